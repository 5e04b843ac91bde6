/* SPDX-License-Identifier: MIT */
/*
 * The console as a terminal: lines that can be edited, and the signal of ^C.
 */
#ifndef TESTS_GUESTS_UNIX_TTY_H
#define TESTS_GUESTS_UNIX_TTY_H

/* Takes over the console's input. */
void tty_init(void);

/* The group of processes that ^C goes to; 0: nobody. */
void tty_set_foreground(int group);

#endif /* TESTS_GUESTS_UNIX_TTY_H */
