/* SPDX-License-Identifier: MIT */
/*
 * Words of the actor that are more than a line: sharing memory with another domain (share.c), and many
 * address spaces (roots.c).
 */
#ifndef TESTS_GUESTS_ACTOR_ACTOR_H
#define TESTS_GUESTS_ACTOR_ACTOR_H

#include "pvops/pvguest.h"

/* roots=N, cycle=N */
bool roots_act(const char *word, unsigned long n);
/* Does a word of a domain number; false when it is none of these. */
bool share_act(const char *word, unsigned long dom, const struct pv_boot *boot);
void sleep_ms(uint64_t ms); /* main.c */
void need_store(const struct pv_boot *boot);

#endif
