/* SPDX-License-Identifier: MIT */
/*
 * The first serial port of a PC: a 16550A at 0x3f8, line 4, joined to a console of the toolstack.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_UART_H
#define HYPERVISOR_STUB_FULLVIRT_UART_H

#include "backends/consback.h"
#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/timer.h"

/* The same as of a console back-end: see backends/consback.h. */
struct fv_console {
	consback_sink_fn *put; /* must not call the UART */
	void *put_arg;
	/*
	 * output_waits: the sink was full; call fv_uart_run() when it has room. input_room: the guest has
	 * read after fv_uart_type() had not taken all. Any thread, locks held: must not call the UART.
	 * Both may be NULL.
	 */
	void (*output_waits)(void *arg);
	void (*input_room)(void *arg);
	void *arg;
};

struct fv_uart;

/* console is copied. 0 or a negative errno. */
int fv_uart_create(struct fv_uart **out, struct fv_bus *bus, struct fv_timers *timers,
                   const struct fv_console *console);
/* Passes on what the sink takes at once. */
void fv_uart_destroy(struct fv_uart *u);

/* Passes on what the guest wrote, as much as the sink takes; true when more waits. Any thread. */
bool fv_uart_run(struct fv_uart *u);
/* Bytes for the guest; returns how many found room. Any thread. */
size_t fv_uart_type(struct fv_uart *u, const void *bytes, size_t len);

#endif
