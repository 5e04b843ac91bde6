/* SPDX-License-Identifier: MIT */
/*
 * What a machine shall be: the command line and the configuration files that it names, put together.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_PLAN_H
#define HYPERVISOR_STUB_TOOLSTACK_PLAN_H

#include "hypervisor-stub/toolstack/config.h"

struct plan {
	const struct options *o;
	unsigned nr;
	struct guest_config guest[OPTIONS_MAX_DOMAINS]; /* each with its name */
	struct config file[OPTIONS_MAX_DOMAINS];        /* whose strings they use */
	char name[OPTIONS_MAX_DOMAINS][OPTIONS_NAME_MAX + 1];
	char machine[OPTIONS_NAME_MAX + 1];
	bool is_named;    /* somebody chose the machine's name: another one would not do */
	unsigned console; /* the guest that has the terminal */
};

/*
 * plan_make - reads the configuration files and checks what they say together
 * warn: told what is passed over; may be NULL
 * Returns 0 or a negative errno with a sentence in why. Undo: plan_free().
 */
int plan_make(struct plan *p, const struct options *o, config_warn_fn *warn, void *arg, char *why,
              size_t why_len);
void plan_free(struct plan *p);

#endif
