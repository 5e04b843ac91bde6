/* SPDX-License-Identifier: MIT */
/*
 * Loads an image the way a PVH loader does: its segments to physical addresses, and what it finds
 * behind ebx (abi/pvh.h).
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PVH_H
#define HYPERVISOR_STUB_FULLVIRT_PVH_H

#include "hypervisor-stub/fullvirt/fv.h"

struct fv_image {
	const void *kernel; /* an ELF file with the note PHYS32_ENTRY */
	size_t kernel_len;
	const char *cmdline; /* NULL: empty */
	const void *ramdisk; /* NULL: none */
	size_t ramdisk_len;
};

/*
 * fv_pvh_load - writes the image to m->ram, and sets m->entry and m->start_info
 * why: out: one sentence without the file's name, when the result is not 0
 * Returns 0, -EINVAL or -ENOSPC. Source: Xen's docs/misc/pvh.
 */
int fv_pvh_load(struct fv_machine *m, const struct fv_image *image, char *why, size_t why_len);

#endif
