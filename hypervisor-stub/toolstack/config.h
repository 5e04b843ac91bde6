/* SPDX-License-Identifier: MIT */
/*
 * A domain's configuration file, in the syntax that xl reads: NAME = VALUE, a value being a number,
 * a quoted string or a list in brackets; docs/man/paravane.1 lists the keys that mean something.
 *
 * The text is foreign: its length, the depth of its lists and the number of warnings are bounded, and
 * whatever it says ends in a struct or in one sentence with a line number.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CONFIG_H
#define HYPERVISOR_STUB_TOOLSTACK_CONFIG_H

#include "hypervisor-stub/toolstack/options.h"

#define CONFIG_MAX_BYTES    65536
#define CONFIG_MAX_WARNINGS 16 /* then one more says that there are others */

struct config {
	struct guest_config guest; /* its strings are in `strings` */
	char *strings;
};

/* One sentence about something that is passed over; no newline. */
typedef void config_warn_fn(void *arg, const char *sentence);

/*
 * config_parse - reads the text of a file
 *
 * file:  its name, for sentences
 * bytes: len bytes, any; more than CONFIG_MAX_BYTES are refused
 * warn:  may be NULL
 *
 * What the file does not say is as xl has it (a reboot restarts), but for the memory: 128 MiB.
 * Returns 0; -EINVAL or -ENOMEM with a sentence in why. Undo: config_free().
 */
int config_parse(struct config *c, const char *file, const void *bytes, size_t len,
                 config_warn_fn *warn, void *arg, char *why, size_t why_len);
void config_free(struct config *c);

#endif
