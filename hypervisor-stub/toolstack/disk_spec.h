/* SPDX-License-Identifier: MIT */
/*
 * What somebody wrote about a disk: on the command line, or in a configuration file as xl has it.
 *
 * Words with commas between them. Of these xl's are: target=, format=, vdev=, access=, the same
 * without their names, the old prefixes phy: and file:; docs/man/paravane.1 lists all. A first word
 * without a name is the target; target= takes the rest of the text; else the order does not matter.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_DISK_SPEC_H
#define HYPERVISOR_STUB_TOOLSTACK_DISK_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/toolstack/spec.h"

#define DISK_TEXT    1024 /* bytes of a whole text, its end included */
#define DISK_SERIAL  64
#define DISK_NO_VDEV UINT32_MAX

enum disk_format { DISK_RAW, DISK_NBD, DISK_MEMORY };

struct disk_spec {
	enum disk_format format;
	char target[DISK_TEXT]; /* a path, an nbd: address; a size for DISK_MEMORY */
	char serial[DISK_SERIAL];
	uint32_t vdev; /* number of the device; DISK_NO_VDEV: the first that is free */
	bool readonly, direct, cdrom, removable;
	bool no_uring; /* for tests and tables */
	bool no_discard;
	unsigned timeout; /* seconds without a server before requests fail; 0: the usual 30 */
	unsigned sector;  /* bytes; 0: the storage's own */
};

/* Returns 0, or -EINVAL with a sentence in why. */
int disk_spec_parse(struct disk_spec *s, const char *text, char *why, size_t why_len);
spec_check_fn disk_spec_check;

/* The number of "xvda", "xvdb3", "hda", "sdc", or of a plain number. False: it is none. */
bool disk_vdev_parse(const char *text, uint32_t *vdev);
/* "xvda" and the like; a number that has no such name as it is. Returns name. */
const char *disk_vdev_name(uint32_t vdev, char *name, size_t size);
/* The number of the n-th whole disk: xvda is 0. */
uint32_t disk_vdev_nth(unsigned n);

#endif
