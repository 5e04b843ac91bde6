/* SPDX-License-Identifier: MIT */
/* Between the interrupt entries and the handlers of devices (native.h). */
#ifndef PVOPS_NATIVE_IRQ_H
#define PVOPS_NATIVE_IRQ_H

/* Serves one interrupt of a line. Interrupts off. */
void pv_native_irq_run(unsigned int line);

#endif /* PVOPS_NATIVE_IRQ_H */
