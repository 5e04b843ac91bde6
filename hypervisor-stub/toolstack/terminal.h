/* SPDX-License-Identifier: MIT */
/*
 * The terminal on standard input: raw while a guest owns it, as it was on every way out.
 *
 * Invariant: whenever this process ends or stops in a way that it can notice (exit, a signal that
 * can be caught, abort, a stop from outside), the terminal has its old settings. Output processing is
 * never switched off: a guest that writes a bare newline still gets a new line.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_TERMINAL_H
#define HYPERVISOR_STUB_TOOLSTACK_TERMINAL_H

#include <stdbool.h>

/* Makes fd raw when it is a terminal of which we are in the foreground. Returns whether it is. */
bool terminal_enter(int fd);
/* Gives it its old settings. Any context, also a signal handler; no effect when it is not raw. */
void terminal_leave(void);

#endif
