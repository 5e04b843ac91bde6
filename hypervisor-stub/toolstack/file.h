/* SPDX-License-Identifier: MIT */
/*
 * Files that are read whole, before anything looks at them: what is checked is what is used.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_FILE_H
#define HYPERVISOR_STUB_TOOLSTACK_FILE_H

#include <stddef.h>
#include <stdint.h>

struct file {
	uint8_t *bytes;
	size_t len;
};

/*
 * file_read - a file as a copy of our own
 * what:  "kernel", "ramdisk": for the sentence in why
 * limit: bytes; a longer file is refused
 * Returns 0 or a negative errno. Undo: file_free().
 */
int file_read(struct file *f, const char *what, const char *path, size_t limit, char *why,
              size_t why_len);
void file_free(struct file *f);

#endif
