/* SPDX-License-Identifier: MIT */
/*
 * The two 8259 (Intel 8259A data sheet: initialization words ICW1 to ICW4, operation words OCW1 to
 * OCW3).
 */
#include "pvops/native/pic.h"

#include <stdint.h>

#include "pvops/native/io.h"

#define FIRST          0x20 /* command port; data is the next */
#define SECOND         0xa0
#define CASCADE        2

#define ICW1_INIT      0x11 /* and ICW4 will follow */
#define ICW4_8086      0x01
#define OCW2_SPECIFIC  0x60 /* end of interrupt of the level in the low bits */
#define OCW3_READ_ISR  0x0b
#define SPURIOUS_LEVEL 7

static uint16_t masks = 0xffff;

static void write_masks(void)
{
	pv_out8(FIRST + 1, (uint8_t)masks);
	pv_out8(SECOND + 1, (uint8_t)(masks >> 8));
}

static void init_one(uint16_t port, uint8_t vector, uint8_t cascade)
{
	pv_out8(port, ICW1_INIT);
	pv_out8(port + 1, vector);
	pv_out8(port + 1, cascade);
	pv_out8(port + 1, ICW4_8086);
	pv_out8(port, OCW3_READ_ISR); /* what a read of the command port answers from now on */
}

void pv_pic_init(void)
{
	init_one(FIRST, PV_PIC_VECTOR, 1 << CASCADE);
	init_one(SECOND, PV_PIC_VECTOR + 8, CASCADE);
	masks = (uint16_t) ~(1u << CASCADE);
	write_masks();
}

static void set_mask(unsigned int line, bool masked)
{
	if (masked)
		masks |= (uint16_t)(1u << line);
	else
		masks &= (uint16_t) ~(1u << line);
	if (line < 8)
		pv_out8(FIRST + 1, (uint8_t)masks);
	else
		pv_out8(SECOND + 1, (uint8_t)(masks >> 8));
}

void pv_pic_mask(unsigned int line)
{
	set_mask(line, true);
}

void pv_pic_unmask(unsigned int line)
{
	set_mask(line, false);
}

/* A spurious interrupt arrives as the lowest level, which then is not in service. */
bool pv_pic_is_real(unsigned int line)
{
	if (line % 8 != SPURIOUS_LEVEL)
		return true;
	if (pv_in8(line < 8 ? FIRST : SECOND) & 1u << SPURIOUS_LEVEL)
		return true;
	if (line >= 8) /* the first one did see an interrupt: the second's */
		pv_out8(FIRST, OCW2_SPECIFIC | CASCADE);
	return false;
}

void pv_pic_end(unsigned int line)
{
	if (line >= 8)
		pv_out8(SECOND, (uint8_t)(OCW2_SPECIFIC | (line - 8)));
	pv_out8(FIRST, (uint8_t)(OCW2_SPECIFIC | (line < 8 ? line : CASCADE)));
}
