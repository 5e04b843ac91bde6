/* SPDX-License-Identifier: MIT */
/*
 * Files that are read whole; see file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/file.h"

static const char *remedy(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return "give the path of an existing file";
	case EACCES:
	case EPERM:
		return "make it readable for you";
	case EISDIR:
		return "give a file";
	case ENOMEM:
		return "free some memory";
	default:
		return "give another file";
	}
}

static int failed(const char *what, const char *path, int err, char *why, size_t why_len)
{
	return hv_why(why, why_len, -err, "%s: the %s cannot be read: %s; %s", path, what,
	              strerror(err), remedy(err));
}

/* Reads to the end; the size that stat gave is only where it begins. 0 or an errno. */
static int read_all(struct file *f, int fd, size_t room, size_t limit)
{
	for (;;) {
		ssize_t n;

		if (f->len == room || !f->bytes) {
			uint8_t *more;

			room = f->bytes ? room * 2 : room;
			more = realloc(f->bytes, room);
			if (!more)
				return ENOMEM;
			f->bytes = more;
		}
		n = read(fd, f->bytes + f->len, room - f->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		f->len += (size_t)n;
		if (f->len > limit)
			return EFBIG;
	}
}

int file_read(struct file *f, const char *what, const char *path, size_t limit, char *why,
              size_t why_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct stat st;

	*f = (struct file){ NULL, 0 };
	if (fd < 0)
		return failed(what, path, errno, why, why_len);
	if (fstat(fd, &st))
		err = errno;
	else if (S_ISDIR(st.st_mode))
		err = EISDIR;
	else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
		err = EFBIG;
	if (!err) {
		/* O_NONBLOCK was for the opening of a fifo that nobody writes to. */
		fcntl(fd, F_SETFL, 0);
		err = read_all(f, fd, S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 65536, limit);
	}
	close(fd);
	if (err) {
		file_free(f);
		return failed(what, path, err, why, why_len);
	}
	return 0;
}

void file_free(struct file *f)
{
	free(f->bytes);
	*f = (struct file){ NULL, 0 };
}
