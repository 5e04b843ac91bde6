/* SPDX-License-Identifier: MIT */
/*
 * Words of the actor that share memory with another domain.
 */
#ifndef TESTS_GUESTS_ACTOR_SHARE_H
#define TESTS_GUESTS_ACTOR_SHARE_H

#include "pvops/pvguest.h"

/* Does a word of a domain number; false when it is none of these. */
bool share_act(const char *word, unsigned long dom, const struct pv_boot *boot);
void sleep_ms(uint64_t ms); /* main.c */
void need_store(const struct pv_boot *boot);

#endif
