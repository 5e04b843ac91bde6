/* SPDX-License-Identifier: MIT */
/*
 * A bzImage is unpacked by the program that everybody has for its format; see unpack.h.
 *
 * The file is not trusted: offset and length are checked against it, the child gets the packed bytes
 * and nothing else of ours (no descriptor, no environment but PATH), and what it writes is bounded.
 * What comes out is then an image like any other and is checked as such.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/unpack.h"

/* The boot header. */
#define SETUP_SECTS    0x1f1u
#define BOOT_FLAG      0x1feu
#define HEADER_MAGIC   0x202u
#define VERSION        0x206u
#define PAYLOAD_OFFSET 0x248u
#define PAYLOAD_LENGTH 0x24cu
#define HEADER_END     0x250u
#define HAS_PAYLOAD    0x0208u /* first version of the header that names it */
#define SECTOR         512u

#define TIME_LIMIT_MS  60000
#define MEMORY_LIMIT   (UINT64_C(2) << 30)
#define FIRST_ROOM     (size_t)(64u << 20)

static const struct {
	uint8_t magic[6];
	uint8_t len;
	const char *program, *package;
} formats[] = {
	{ { 0x1f, 0x8b }, 2, "gzip", "gzip" },
	{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, "xz", "xz-utils" },
	{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, "zstd", "zstd" },
	{ { 0x02, 0x21, 0x4c, 0x18 }, 4, "lz4", "lz4" },
	{ { 'B', 'Z', 'h' }, 3, "bzip2", "bzip2" },
	{ { 0x5d, 0, 0 }, 3, "xz", "xz-utils" }, /* the older LZMA */
	{ { 0x89, 'L', 'Z', 'O' }, 4, "lzop", "lzop" },
};

#define NR_FORMATS (sizeof(formats) / sizeof(formats[0]))
#define ELF_MAGIC  "\177ELF"

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_bzimage(const struct file *f)
{
	return f->len >= HEADER_END && f->bytes[BOOT_FLAG] == 0x55 &&
	       f->bytes[BOOT_FLAG + 1] == 0xaa && !memcmp(f->bytes + HEADER_MAGIC, "HdrS", 4);
}

/* Where the packed kernel lies in the file. 0, or -EINVAL with a sentence. */
static int find_payload(const struct file *f, const char *path, size_t *at, size_t *len, char *why,
                        size_t why_len)
{
	unsigned version = f->bytes[VERSION] | (unsigned)f->bytes[VERSION + 1] << 8;
	size_t sectors = f->bytes[SETUP_SECTS] ? f->bytes[SETUP_SECTS] : 4;

	if (version < HAS_PAYLOAD)
		return hv_why(
			why, why_len, -EINVAL,
			"%s is a bzImage of boot protocol %u.%02u, which does not say where its "
			"kernel is; give one of Linux 2.6.26 or later, or its vmlinux",
			path, version >> 8, version & 255);
	/* Numbers of 32 bits: the sums cannot wrap. */
	*at = (sectors + 1) * SECTOR + get32(f->bytes + PAYLOAD_OFFSET);
	*len = get32(f->bytes + PAYLOAD_LENGTH);
	if (*at >= f->len || *len > f->len - *at || *len < sizeof(formats[0].magic))
		return hv_why(
			why, why_len, -EINVAL,
			"%s is a damaged bzImage: its kernel (%zu bytes from byte %zu on) does "
			"not lie in the file; build or copy it again",
			path, *len, *at);
	return 0;
}

/* ---- the child ---------------------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int in, out; /* our ends */
	const uint8_t *from;
	size_t left;
	struct file *to;
	size_t room, limit;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int start(struct child *c, const char *program)
{
	char *argv[] = { (char *)(uintptr_t)program, "-dc", NULL };
	char path[4096] = "PATH=/usr/local/bin:/usr/bin:/bin", *env[] = { path, NULL };
	struct rlimit memory = { MEMORY_LIMIT, MEMORY_LIMIT };
	int in[2], out[2], rc;
	posix_spawn_file_actions_t files;

	if (getenv("PATH") && strlen(getenv("PATH")) < sizeof(path) - 5)
		strcpy(path + 5, getenv("PATH"));
	if (pipe2(in, O_CLOEXEC))
		return errno;
	if (pipe2(out, O_CLOEXEC)) {
		rc = errno;
		close(in[0]);
		close(in[1]);
		return rc;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(&c->pid, program, &files, NULL, argv, env);
	posix_spawn_file_actions_destroy(&files);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	if (rc) {
		close_fd(&c->in);
		close_fd(&c->out);
		return rc;
	}
	(void)prlimit(c->pid, RLIMIT_AS, &memory, NULL);
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Some more of the packed bytes; the child may close its end when it has enough. */
static void feed(struct child *c)
{
	ssize_t n = write(c->in, c->from, c->left);

	if (n > 0) {
		c->from += n;
		c->left -= (size_t)n;
	}
	if (!c->left || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(&c->in);
}

/* Some more of the kernel: 1, 0 at its end, or a negative errno. */
static int take(struct child *c)
{
	ssize_t n;

	if (c->to->len == c->room) {
		size_t room = c->room ? c->room * 2 : FIRST_ROOM;
		uint8_t *more = realloc(c->to->bytes, room);

		if (!more)
			return -ENOMEM;
		c->to->bytes = more;
		c->room = room;
	}
	n = read(c->out, c->to->bytes + c->to->len, c->room - c->to->len);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	c->to->len += (size_t)n;
	if (c->to->len > c->limit)
		return -EFBIG;
	return n > 0;
}

static int pump(struct child *c)
{
	int64_t end = now_ms() + TIME_LIMIT_MS;
	int rc = 1;

	while (rc > 0) {
		struct pollfd p[2] = { { c->out, POLLIN, 0 }, { c->in, POLLOUT, 0 } };
		int64_t left = end - now_ms();

		if (left <= 0)
			return -ETIME;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			feed(c);
		if (p[0].revents)
			rc = take(c);
	}
	return rc;
}

/* Runs the program over the packed bytes. 0 or a negative errno. */
static int unpack(struct child *c, const char *program)
{
	sigset_t pipe_signal, old;
	struct timespec no_time = { 0, 0 };
	int rc, status;

	/* A child that ends early must not end us: its pipe's signal waits, and is dropped. */
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
	rc = -start(c, program);
	if (!rc) {
		rc = pump(c);
		close_fd(&c->in);
		close_fd(&c->out);
		if (rc < 0)
			kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (!sigismember(&old, SIGPIPE))
		while (sigtimedwait(&pipe_signal, NULL, &no_time) > 0)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/*
	 * Its exit status is not asked: behind the packed bytes Linux puts the length of the kernel,
	 * of which some programs complain. What came out says whether it worked.
	 */
	return rc;
}

static int say_failure(int rc, const char *path, unsigned format, char *why, size_t why_len)
{
	const char *program = formats[format].program;

	switch (-rc) {
	case ENOENT:
	case EACCES:
		return hv_why(why, why_len, rc,
		              "%s is packed with %s, and that program is not here; install it "
		              "(Debian: %s)",
		              path, program, formats[format].package);
	case ETIME:
		return hv_why(why, why_len, rc,
		              "%s cannot be unpacked: %s took more than %d seconds; try again on a "
		              "less busy host, or give its vmlinux",
		              path, program, TIME_LIMIT_MS / 1000);
	case EFBIG:
		return hv_why(why, why_len, rc,
		              "%s unpacks to more than a kernel may have; give another file", path);
	default:
		return hv_why(why, why_len, rc, "%s cannot be unpacked with %s: %s; try again",
		              path, program, strerror(-rc));
	}
}

int unpack_kernel(struct file *f, const char *path, size_t limit, char *why, size_t why_len)
{
	struct file image = { NULL, 0 };
	struct child c = { .in = -1, .out = -1, .to = &image, .limit = limit };
	unsigned format = 0;
	size_t at = 0, len = 0;
	int rc;

	if (!is_bzimage(f))
		return 0;
	rc = find_payload(f, path, &at, &len, why, why_len);
	if (rc)
		return rc;
	if (!memcmp(f->bytes + at, ELF_MAGIC, 4)) {
		memmove(f->bytes, f->bytes + at, len);
		f->len = len;
		return 0;
	}
	while (format < NR_FORMATS &&
	       memcmp(f->bytes + at, formats[format].magic, formats[format].len))
		format++;
	if (format == NR_FORMATS)
		return hv_why(why, why_len, -EINVAL,
		              "%s is a bzImage whose kernel is packed in an unknown way (it begins "
		              "with %02x%02x%02x%02x); give its vmlinux",
		              path, f->bytes[at], f->bytes[at + 1], f->bytes[at + 2],
		              f->bytes[at + 3]);
	c.from = f->bytes + at;
	c.left = len;
	rc = unpack(&c, formats[format].program);
	if (!rc && (image.len < 4 || memcmp(image.bytes, ELF_MAGIC, 4)))
		rc = -EBADMSG;
	if (rc) {
		file_free(&image);
		return say_failure(rc, path, format, why, why_len);
	}
	file_free(f);
	*f = image;
	return 0;
}
