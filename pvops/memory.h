/* SPDX-License-Identifier: MIT */
/*
 * Between the start-up code and the boot memory. What a kernel uses is in pvguest.h.
 */
#ifndef PVOPS_MEMORY_H
#define PVOPS_MEMORY_H

/* From here on the kernel's hooks for pages are used: right before kernel_main(). */
void pv_memory_hand_over(void);

#endif /* PVOPS_MEMORY_H */
