/* SPDX-License-Identifier: MIT */
/*
 * The two 8259 interrupt controllers of a PC, 15 lines in all: line 2 is where the second is attached
 * to the first.
 */
#ifndef PVOPS_NATIVE_PIC_H
#define PVOPS_NATIVE_PIC_H

#include <stdbool.h>

#define PV_PIC_LINES  16
#define PV_PIC_VECTOR 32 /* of line 0; the others follow. Below are the processor's own. */

/* All lines masked, vectors from PV_PIC_VECTOR on. Interrupts are off. */
void pv_pic_init(void);

/* Interrupts off. */
void pv_pic_mask(unsigned int line);
void pv_pic_unmask(unsigned int line);

/*
 * An interrupt of `line` has come. is_real, before its handlers: false when the line went down before
 * it was looked at; nobody is to be called then, nor end. end, after its handlers: the device has
 * withdrawn a level-triggered request by then, and an edge that came meanwhile has been noted.
 */
bool pv_pic_is_real(unsigned int line);
void pv_pic_end(unsigned int line);

#endif /* PVOPS_NATIVE_PIC_H */
