/* SPDX-License-Identifier: MIT */
/*
 * The command `paravane`: reads the command line, does the verb, exits with its status. Nothing
 * below this file exits.
 */
#include <signal.h>
#include <stdio.h>

#include "hypervisor-stub/engines/process/options.h"
#include "hypervisor-stub/toolstack/full.h"
#include "hypervisor-stub/toolstack/options.h"
#include "hypervisor-stub/toolstack/run.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/verbs.h"

/* Help and version: what could not be written was not given. */
static int printed(void)
{
	return fflush(stdout) || ferror(stdout) ? STATUS_OUTPUT_LOST : STATUS_POWEROFF;
}

int main(int argc, char **argv)
{
	struct options o;
	char why[1024];

	signal(SIGPIPE, SIG_IGN);
	if (options_parse(&o, argc, argv, why, sizeof(why))) {
		fprintf(stderr, "paravane: %s\n", why);
		return STATUS_USAGE;
	}
	switch (o.verb) {
	case VERB_HELP:
		options_help(stdout);
		return printed();
	case VERB_RUN_HELP:
		options_run_help(stdout);
		return printed();
	case VERB_VERSION:
		puts("paravane " PARAVANE_VERSION);
		return printed();
	case VERB_ASK:
		return verbs_run(argc, argv);
	case VERB_RUN:
		process_options.spin = o.spin;
		if (o.processes)
			process_options.max_processes = o.processes;
		return o.fullvirt ? run_full(&o) : run_machine(&o);
	}
	return STATUS_OURS;
}
