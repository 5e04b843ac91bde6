/* SPDX-License-Identifier: MIT */
/*
 * What a device driver of a natively running kernel needs from the library.
 *
 * A driver asks pv_is_native() (pvops/pv_ops.h) before anything else: paravirtualized there is no
 * hardware, and everything here is out of place.
 *
 * Memory for DMA: what lies in the identity map, so whatever pv_page_alloc() gives, has the physical
 * address that its virtual address says (pv_native_dma()). Caches are coherent. Memory of the kernel
 * is below 4 GiB.
 */
#ifndef PVOPS_NATIVE_NATIVE_H
#define PVOPS_NATIVE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "pvops/native/io.h"
#include "pvops/pv_ops.h"

/*
 * Runs with interrupts off, like an event handler: it may wake, submit, raise; it does not wait.
 * Its last effect on the device is to withdraw the request, or the line stays up and it runs again.
 */
typedef void (*pv_native_irq_fn)(void *arg);

/*
 * pv_native_irq_request - call fn at each interrupt of a line, and unmask the line
 *
 * irq: a line of the two 8259, 0 to 15 (PCI: the interrupt-line register)
 *
 * Lines may be shared: every handler of the line is called, and each looks at its own device.
 * Handlers run before the event handlers of the same interrupt; pv_hooks.upcall_done follows.
 *
 * Context: any. Returns 0; -XEN_EINVAL for no such line; -XEN_ENOSPC when there are too many.
 * Undo: pv_native_irq_release()
 */
int pv_native_irq_request(unsigned int irq, pv_native_irq_fn fn, void *arg);
void pv_native_irq_release(unsigned int irq, pv_native_irq_fn fn, void *arg);

/*
 * pv_native_map_mmio - device registers, uncached, at an address in the window
 *
 * Returns NULL when there is no memory for tables. There is no way back.
 */
volatile void *pv_native_map_mmio(uint64_t physical, size_t len);

/* The physical address of memory in the identity map, as a device wants it. */
static inline uint64_t pv_native_dma(const volatile void *p)
{
	return (uintptr_t)p;
}

#endif /* PVOPS_NATIVE_NATIVE_H */
