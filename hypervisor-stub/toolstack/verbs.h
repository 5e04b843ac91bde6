/* SPDX-License-Identifier: MIT */
/*
 * The verbs that ask a machine which runs: list, console, vcpu-set, shutdown, destroy, xenstore.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_VERBS_H
#define HYPERVISOR_STUB_TOOLSTACK_VERBS_H

#include <stdbool.h>
#include <stdio.h>

bool verbs_knows(const char *word);
/* A line for each. */
void verbs_help(FILE *out);
/* argv[1] is the verb. Returns the exit status. */
int verbs_run(int argc, char *const *argv);

#endif
