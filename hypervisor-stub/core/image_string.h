/* SPDX-License-Identifier: MIT */
/*
 * The section __xen_guest: "NAME=value,NAME=value,...", what kernels said of themselves before there
 * were ELF notes, and some (Mini-OS and its descendants) still do.
 */
#ifndef HYPERVISOR_STUB_CORE_IMAGE_STRING_H
#define HYPERVISOR_STUB_CORE_IMAGE_STRING_H

#include "hypervisor-stub/core/elf.h"

struct hv_image_pair {
	char name[32], value[128]; /* cut to size, as Xen does; value is empty without a '=' */
};

/*
 * hv_image_pair_next - the pair at *pos of the string
 *
 * s, len: the section's bytes; the string ends at a 0 or with them
 * pos:    in and out: moves behind the pair and its comma
 *
 * False when the string has ended. Source: Xen's libelf.
 */
bool hv_image_pair_next(const uint8_t *s, size_t len, size_t *pos, struct hv_image_pair *pair);

/*
 * The note that says what a pair says: its type, XEN_ELFNOTE_*, or -1 for a name that nobody reads.
 * is_page: out: the value is the number of a page behind VIRT_BASE, not an address.
 */
int hv_image_pair_type(const struct hv_image_pair *pair, bool *is_page);

#endif
