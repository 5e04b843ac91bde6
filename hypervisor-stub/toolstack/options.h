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

/* VERB_ASK: a question to a machine that runs; verbs.h reads its words. */
enum verb { VERB_HELP, VERB_RUN_HELP, VERB_VERSION, VERB_RUN, VERB_ASK };

/* No more domains than these in one machine. */
#define OPTIONS_MAX_DOMAINS 32

/* As xl: what a name may be made of, so that it can stand in paths and on command lines. */
#define OPTIONS_NAME_MAX    63
#define OPTIONS_NAME_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+"

#define OPTIONS_MAX_WEIGHT  65535
#define OPTIONS_MAX_CAP     3200 /* percent: 32 vCPUs */

#define OPTIONS_MAX_DEVICES 64 /* of one kind that a guest has at its start */

/* What was written about devices of one kind, each in a text of its own. */
struct device_texts {
	const char *text[OPTIONS_MAX_DEVICES];
	unsigned nr;
};

/* What one domain is made of and what becomes of it. Strings belong to whoever filled it. */
struct guest_config {
	const char *name; /* NULL: from the kernel's file name */
	const char *kernel;
	const char *ramdisk; /* NULL: none */
	const char *cmdline; /* NULL: empty */
	uint64_t memory;     /* bytes, a multiple of 4 KiB */
	uint64_t max_memory; /* it may grow to this; 0: memory */
	unsigned vcpus;      /* online at the start */
	unsigned max_vcpus;  /* possible ones; 0: vcpus */
	unsigned cpu_weight; /* as xl: 256 is the usual one; 0: not given */
	unsigned cpu_cap;    /* percent of one processor, all vCPUs together; 0: none */
	bool restart_on_reboot, restart_on_poweroff, restart_on_crash;
	bool has_uuid;
	uint8_t uuid[16];
	struct device_texts disks; /* disk_spec.h */
	struct device_texts vifs;  /* vif_spec.h */
};

/* Which options of one domain were given: they override what a configuration file says. */
enum {
	GIVEN_MEMORY = 1,
	GIVEN_CMDLINE = 2,
	GIVEN_RAMDISK = 4,
	GIVEN_VCPUS = 8,
	GIVEN_NAME = 16,
	GIVEN_ON_REBOOT = 32,
	GIVEN_MAX_VCPUS = 64,
	GIVEN_CPU_WEIGHT = 128,
	GIVEN_CPU_CAP = 256,
	GIVEN_DISK = 512,
	GIVEN_VIF = 1024,
};

/* Host processes of a domain: the engine's least, and what its file of groups has room for. */
#define OPTIONS_MIN_PROCESSES 4
#define OPTIONS_MAX_PROCESSES 4096

struct options {
	enum verb verb;
	const char *files[OPTIONS_MAX_DOMAINS]; /* one kernel, or configuration files */
	unsigned nr_files;
	struct guest_config guest; /* kernel: the one kernel, or NULL */
	unsigned given;            /* GIVEN_* */
	const char *machine;       /* NULL: from the first domain's name */
	const char *control;       /* a path for a control socket; NULL: none */
	const char *capture;       /* packets of all interfaces go to this file, too; NULL: none */
	const char *console;       /* the domain that has the terminal; NULL: not said */
	uint64_t grace_ns;         /* for a shutdown that SIGTERM asks for */
	const char *engine;        /* "auto", or an engine's name */
	bool fullvirt;             /* a virtual PC in place of a paravirtual machine */
	bool verbose;
	bool spin;           /* the process engine's two options */
	unsigned processes;  /* 0: its default */
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

/* Whether a file is meant as a configuration file: its name ends in .cfg. */
bool options_is_config(const char *file);
/* Whether a text can be a domain's or a machine's name. */
bool options_is_name(const char *text);

/* Bytes from "64M", "1G", "4096K", "65536B"; a plain number is MiB, as for xl. False when it is none. */
bool options_size(const char *text, uint64_t *bytes);

#endif
