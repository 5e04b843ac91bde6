/* SPDX-License-Identifier: MIT */
/*
 * The command line: words become a struct, or a sentence that says what is wrong with them.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_OPTIONS_H
#define HYPERVISOR_STUB_TOOLSTACK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum verb { VERB_HELP, VERB_RUN_HELP, VERB_VERSION, VERB_RUN };

/* As xl: what a name may be made of, so that it can stand in paths and on command lines. */
#define OPTIONS_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+"

/* What one domain is made of and what becomes of it. Strings belong to whoever filled it. */
struct guest_config {
	const char *name; /* NULL: from the kernel's file name */
	const char *kernel;
	const char *ramdisk; /* NULL: none */
	const char *cmdline; /* NULL: empty */
	uint64_t memory;     /* bytes, a multiple of 4 KiB */
	unsigned vcpus;
	bool restart_on_reboot;
};

struct options {
	enum verb verb;
	struct guest_config guest;
	const char *engine;
	uint64_t timeout_ns; /* 0: none */
	bool trace, stats;
	const char *trace_file; /* NULL: standard error */
};

/*
 * options_parse - reads the words of the command line
 *
 * o:    out; refers to the words
 * why:  out: one sentence, when the result is not 0
 *
 * Returns 0 or -EINVAL.
 */
int options_parse(struct options *o, int argc, char *const *argv, char *why, size_t why_len);

void options_help(FILE *out);
void options_run_help(FILE *out);

/* Bytes from "64M", "1G", "4096K", "65536B"; a plain number is MiB, as for xl. False when it is none. */
bool options_size(const char *text, uint64_t *bytes);

#endif
