/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines and their handlers.
 *
 * Invariant: a line is unmasked exactly while it has a handler.
 */
#include <stdbool.h>

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/native/irq.h"
#include "pvops/native/native.h"
#include "pvops/native/pic.h"

#define MAX_HANDLERS 16

static struct handler {
	pv_native_irq_fn fn; /* NULL: unused */
	void *arg;
	unsigned int line;
} handlers[MAX_HANDLERS];

static bool line_has_handler(unsigned int line)
{
	unsigned int i;

	for (i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].fn && handlers[i].line == line)
			return true;
	return false;
}

int pv_native_irq_request(unsigned int irq, pv_native_irq_fn fn, void *arg)
{
	uint64_t state;
	unsigned int i;

	if (irq >= PV_PIC_LINES || !fn)
		return -XEN_EINVAL;
	state = pv_irq_save();
	for (i = 0; i < MAX_HANDLERS && handlers[i].fn; i++)
		;
	if (i < MAX_HANDLERS) {
		handlers[i] = (struct handler){ fn, arg, irq };
		pv_pic_unmask(irq);
	}
	pv_irq_restore(state);
	return i < MAX_HANDLERS ? 0 : -XEN_ENOSPC;
}

void pv_native_irq_release(unsigned int irq, pv_native_irq_fn fn, void *arg)
{
	uint64_t state = pv_irq_save();
	unsigned int i;

	for (i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].fn == fn && handlers[i].arg == arg && handlers[i].line == irq)
			handlers[i].fn = NULL;
	if (irq < PV_PIC_LINES && !line_has_handler(irq))
		pv_pic_mask(irq);
	pv_irq_restore(state);
}

void pv_native_irq_run(unsigned int line)
{
	unsigned int i;

	if (!pv_pic_is_real(line))
		return;
	for (i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].fn && handlers[i].line == line)
			handlers[i].fn(handlers[i].arg);
	pv_pic_end(line);
}
