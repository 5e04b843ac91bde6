/* SPDX-License-Identifier: MIT */
/*
 * The store that the disks and the network interface of a paravirtual machine are found by.
 */
#ifndef TESTS_GUESTS_UNIX_STORE_H
#define TESTS_GUESTS_UNIX_STORE_H

#include <stdbool.h>

/* Opens it when it is asked for first. False: the machine has none. May wait. */
bool store_is_there(void);

#endif /* TESTS_GUESTS_UNIX_STORE_H */
