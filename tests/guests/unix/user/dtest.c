/* SPDX-License-Identifier: MIT */
/*
 * Files on a disk, for tests/integration/test_disk.sh, which looks at the same disk from the host.
 *
 *   dtest fill PATH LINES    writes "line 00000000" and so on, syncs it, says "filled"
 *   dtest check PATH LINES   reads them back; says "checked"
 *   dtest wild PATH          a file with holes, cut and written again at all levels of its tree
 *   dtest sync               everything
 *   dtest hold               waits for ever
 */
#include "tests/guests/unix/user/lib/unix.h"

#define LINE 14

static char buf[LINE * 1000];

static void make_lines(long first, long n)
{
	char line[LINE + 1];
	long i;

	for (i = 0; i < n; i++) {
		pv_snprintf(line, sizeof(line), "line %08ld\n", first + i);
		memcpy(buf + i * LINE, line, LINE);
	}
}

static int fill(const char *path, long lines)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC), rc;
	long at, n;

	if (fd < 0)
		return -fd;
	for (at = 0; at < lines; at += n) {
		n = lines - at < 1000 ? lines - at : 1000;
		make_lines(at, n);
		rc = (int)write(fd, buf, (size_t)n * LINE);
		if (rc != n * LINE)
			return rc < 0 ? -rc : ENOSPC;
	}
	rc = fsync(fd);
	if (!rc)
		printf("filled %s\n", path);
	return -rc;
}

static int check(const char *path, long lines)
{
	static char in[LINE * 1000];
	int fd = open(path, O_RDONLY);
	long at, n;

	if (fd < 0)
		return -fd;
	for (at = 0; at < lines; at += n) {
		n = lines - at < 1000 ? lines - at : 1000;
		make_lines(at, n);
		if (read(fd, in, (size_t)n * LINE) != n * LINE || memcmp(in, buf, (size_t)n * LINE))
			return EIO;
	}
	if (read(fd, in, 1))
		return EFBIG;
	printf("checked %s\n", path);
	return 0;
}

/* Places in the inode, in its first block of numbers, and below its block of blocks of them. */
static const long places[] = {
	0, 5000, 47 * 1024, 49 * 1024, 4000 * 1024, 4200 * 1024, 30000 * 1024
};

static int wild(const char *path)
{
	char text[16], zero[16] = { 0 };
	unsigned int i, round;
	int fd;

	for (round = 0; round < 3; round++) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC);
		if (fd < 0)
			return -fd;
		for (i = COUNT(places); i-- > 0;)
			if (seek(fd, (uint64_t)places[i]) < 0 ||
			    write(fd, "0123456789abcdef", 16) != 16)
				return ENOSPC;
		for (i = 0; i < COUNT(places); i++) {
			if (seek(fd, (uint64_t)places[i]) < 0 || read(fd, text, 16) != 16 ||
			    memcmp(text, "0123456789abcdef", 16))
				return EIO;
			if (i + 1 < COUNT(places) &&
			    (read(fd, text, 16) != 16 || memcmp(text, zero, 16)))
				return EFAULT;
		}
		close(fd);
	}
	fd = open(path, O_RDWR);
	if (fd < 0 || unlink(path) || open(path, O_RDONLY) != -ENOENT || read(fd, text, 16) != 16)
		return EINVAL; /* an open file lives on without its name */
	printf("wild %s\n", path);
	return 0;
}

int main(int argc, char **argv)
{
	long n = argc > 3 ? number(argv[3], 0) : 0;
	int rc = EINVAL;

	if (argc > 3 && !strcmp(argv[1], "fill"))
		rc = fill(argv[2], n);
	else if (argc > 3 && !strcmp(argv[1], "check"))
		rc = check(argv[2], n);
	else if (argc > 2 && !strcmp(argv[1], "wild"))
		rc = wild(argv[2]);
	else if (argc > 1 && !strcmp(argv[1], "sync"))
		rc = -sync();
	else if (argc > 1 && !strcmp(argv[1], "hold"))
		for (;;)
			sleep_ns(1000000000);
	if (rc)
		printf("dtest: %s: error %d\n", argc > 1 ? argv[1] : "", rc);
	return rc;
}
