/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUESTS_UNIX_SYSCALL_H
#define TESTS_GUESTS_UNIX_SYSCALL_H

struct pv_frame;

/* Carries out the call that the current program's registers describe; the result goes there. */
void syscall_do(struct pv_frame *frame);

#endif /* TESTS_GUESTS_UNIX_SYSCALL_H */
