/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of the native side. What drivers use is in native.h, what a kernel uses is in
 * pvops/.
 */
#ifndef PVOPS_NATIVE_INTERNAL_H
#define PVOPS_NATIVE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/pvh.h"
#include "pvops/frame.h"
#include "pvops/pv_ops.h"

/* ---- memory (memory.c): what the loader says ---- */

/* Memory for good, page aligned and zeroed, before the kernel has it. Crashes when there is none. */
void *pv_native_block(unsigned int pages);

/* Fills in pv_boot. All that it needs of the loader's is copied, or kept out of free memory. */
void pv_native_memory_init(const struct hvm_start_info *info);

/* The end of the RAM that `at` lies in; 0: none. */
uint64_t pv_native_ram_end(const struct hvm_memmap_table_entry *map, unsigned int count,
                           uint64_t at);
/* Takes the ramdisk out of [*start, *end): what remains is the larger part beside it. */
void pv_native_cut_out(uint64_t *start, uint64_t *end, uint64_t at, uint64_t len);

/* ---- tables that the processor reads (tables.c) ---- */

void pv_native_tables_init(void);
void pv_native_set_kernel_stack(void *top);

/* ---- page tables (paging.c) ---- */

/* The identity map, loaded. Needs pv_boot. */
void pv_native_paging_init(void);

/* A level-1 table for a 2 MiB page at `base`; pages below `hole` are left out. */
void pv_native_fill_l1(uint64_t *l1, uint64_t base, uint64_t hole, uint64_t flags);
/* A level-2 table of large pages from `base`, up to `end`; returns how many it has. */
unsigned int pv_native_fill_l2(uint64_t *l2, uint64_t base, uint64_t end, uint64_t flags);

int pv_native_set_page(uint64_t va, uint64_t entry);
int pv_native_set_entries(uint64_t *table, unsigned int first, unsigned int count,
                          const uint64_t *entries);
int pv_native_write_entries(struct pv_pt_write *list, unsigned int count,
                            const struct pv_flush *flush);
void pv_native_flush_all(void);
int pv_native_switch_context(const struct pv_context *from, const struct pv_context *to);

/* ---- events (event.c): the hypervisor's part of the shared page, played by the library ---- */

void pv_native_event_init(void);

/* The console's port, and making a port pending; interrupts off. */
#define PV_NATIVE_CONSOLE_PORT 1u
#define PV_NATIVE_TIMER_PORT   2u
void pv_native_event_set(unsigned int port);

int pv_native_channel(int cmd, void *arg);
void pv_native_raised(void);
void pv_native_sleep(uint64_t deadline_ns);

/* Called by entry.S: an interrupt of the line in frame->error_code. */
void pv_native_interrupt(struct pv_frame *frame);

/* ---- clocks (clock.c) ---- */

void pv_native_clock_init(void);
int pv_native_set_timer(uint64_t deadline_ns);

/* Like a second timer: an interrupt, no event, no later than that. */
void pv_native_wake_at(uint64_t deadline_ns);

/* An interrupt as soon as interrupts are enabled. */
void pv_native_interrupt_soon(void);

/* ---- console and power ---- */

void pv_native_uart_early(void);
void pv_native_uart_init(void);

/*
 * rsdp: physical address of ACPI's root pointer; limit: what is mapped one to one. Returns the port
 * of PM1a's control register; 0: there is none that can be found.
 */
uint16_t pv_native_find_off_port(uint64_t rsdp, uint64_t limit);
void pv_native_power_init(uint64_t rsdp);
void pv_native_shutdown(unsigned int reason);

#endif /* PVOPS_NATIVE_INTERNAL_H */
