/* SPDX-License-Identifier: MIT */
/*
 * A text about a device that is taken apart, and how it is refused: one sentence that begins with
 * the text itself.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_SPEC_H
#define HYPERVISOR_STUB_TOOLSTACK_SPEC_H

#include <stddef.h>

struct spec_text {
	const char *what; /* "disk" */
	const char *text; /* all of it */
	char *why;        /* for the sentence */
	size_t why_len;
};

/* Returns -EINVAL, with "WHAT 'TEXT': SENTENCE" in why as far as there is room. */
int spec_refuse(const struct spec_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Takes a text apart only to see whether it makes sense; disk_spec_check() and vif_spec_check() are
 * of this type. Returns 0, or -EINVAL with a sentence in why.
 */
typedef int spec_check_fn(const char *text, char *why, size_t why_len);

#endif
