/* SPDX-License-Identifier: MIT */
/*
 * The systems that `make bench` compares: how each one is started with a guest image, a disk, a network.
 *
 * One image for all that run guests: entered by its Xen entry where it runs paravirtualized, by its PVH
 * entry elsewhere. Native and User-mode Linux run the counterparts of its programs.
 */
#ifndef TESTS_BENCH_SYSTEMS_H
#define TESTS_BENCH_SYSTEMS_H

#include <stdbool.h>
#include <stddef.h>

enum system {
	NATIVE,
	PV_PROCESS,
	PV_KVM,
	FULL_PROCESS,
	FULL_KVM,
	QEMU_TCG,
	QEMU_KVM,
	UML,
	NR_SYSTEMS,
};

/* How they are called in the TSV, and in words. */
extern const char *const system_key[NR_SYSTEMS];
extern const char *const system_title[NR_SYSTEMS];

/* Where things are; kept for the whole run. */
struct places {
	const char *paravane, *guests, *measure; /* command, folder of images, the native program */
	const char *qemu, *uml;                  /* programs */
	char scratch[64];    /* a folder of ours, with the root of User-mode Linux */
	unsigned memory_mib; /* of each guest */
};

/* What is to be run. */
struct launch {
	const char *
		program; /* words of the program `bench` in the unix guest and of its counterpart, or NULL: */
	const char *image, *cmdline; /* another guest image and its command line */
	const char *disk;            /* a raw image, or NULL */
	const char *tap;             /* a TAP device, or NULL */
};

struct command {
	char *argv[48];
	char text[8192];
	int nr;
	size_t used;
};

/* False where this system has no such thing. */
bool system_command(const struct places *p, enum system s, const struct launch *l,
                    struct command *c);

#endif /* TESTS_BENCH_SYSTEMS_H */
