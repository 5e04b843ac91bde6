/* SPDX-License-Identifier: MIT */
/*
 * The file store's calls of the kernel, for tests that count them or make them fail.
 */
#ifndef BACKENDS_BLKSTORE_FILE_H
#define BACKENDS_BLKSTORE_FILE_H

#include <sys/types.h>

#include "backends/blkstore.h"

/* Each as the manual's section 2 has it. */
struct blkstore_file_calls {
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t offset);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t offset);
	ssize_t (*preadv)(int fd, const struct iovec *iov, int nr, off_t offset);
	ssize_t (*pwritev)(int fd, const struct iovec *iov, int nr, off_t offset);
	ssize_t (*preadv2)(int fd, const struct iovec *iov, int nr, off_t offset, int flags);
	ssize_t (*pwritev2)(int fd, const struct iovec *iov, int nr, off_t offset, int flags);
	int (*fdatasync)(int fd);
	int (*fallocate)(int fd, int mode, off_t offset, off_t len);
	/* Whether the file system keeps everything in memory. */
	bool (*in_memory)(int fd);
};

extern const struct blkstore_file_calls blkstore_file_kernel;

/* blkstore_open_file() with other calls; they outlive the store. io_uring knows nothing of them. */
int blkstore_open_file_with(struct blkstore **out, const char *path,
                            const struct blkstore_file_options *options,
                            const struct blkstore_file_calls *calls, char *why, size_t why_len);

#endif
