/* SPDX-License-Identifier: MIT */
/*
 * Linux's bzImage: a boot sector, set-up code, and the kernel packed into it.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_UNPACK_H
#define HYPERVISOR_STUB_TOOLSTACK_UNPACK_H

#include "hypervisor-stub/toolstack/file.h"

/*
 * unpack_kernel - replaces a bzImage by the ELF image that is packed in it
 * f:     any file; one that is no bzImage stays as it is
 * path:  its name, for the sentence in why
 * limit: bytes; a longer image is refused
 *
 * Runs the usual program of the format (gzip, xz, zstd, ...) as a child with a pipe on either side,
 * and limits on its memory and time. Returns 0, or a negative errno with a sentence in why and *f
 * as it was. Source: Linux Documentation/arch/x86/boot.rst, fields payload_offset and -length.
 */
int unpack_kernel(struct file *f, const char *path, size_t limit, char *why, size_t why_len);

#endif
