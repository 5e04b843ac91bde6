/* SPDX-License-Identifier: MIT */
/*
 * What the programs share.
 */
#include "tests/guests/unix/user/lib/unix.h"

extern char unix_restorer[];
extern const uint32_t unix_sigreturn_number;

const uint32_t unix_sigreturn_number = SYS_sigreturn;

void exit(int status)
{
	for (;;)
		CALL(exit, status, 0, 0);
}

long sigaction(int sig, sighandler handler)
{
	return CALL(sigaction, sig, handler, unix_restorer);
}

static int print(int fd, const char *fmt, va_list ap)
{
	char text[512];
	int len = pv_vsnprintf(text, sizeof(text), fmt, ap);

	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	return (int)write(fd, text, (size_t)len);
}

int printf(const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = print(1, fmt, ap);
	va_end(ap);
	return rc;
}

int dprintf(int fd, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = print(fd, fmt, ap);
	va_end(ap);
	return rc;
}

long number(const char *text, long otherwise)
{
	long n = 0;

	if (!text || !*text)
		return otherwise;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return otherwise;
		n = n * 10 + (*text - '0');
	}
	return n;
}

const char *program_path(const char *name, char *buf)
{
	if (strchr(name, '/'))
		return name;
	pv_snprintf(buf, UNIX_NAME_MAX, "/bin/%s", name);
	return buf;
}

int exec_named(char *const argv[])
{
	char path[UNIX_NAME_MAX];

	return exec(program_path(argv[0], path), argv);
}

int write_all(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		long n = write(fd, (const char *)buf + done, len - done);

		if (n <= 0)
			return n ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int copy_all(int from, int to)
{
	static char buf[4096];
	long n;
	int rc;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		rc = write_all(to, buf, (size_t)n);
		if (rc)
			return rc;
	}
	return (int)n;
}

int run(char *const argv[])
{
	int status = 0, pid = fork();

	if (pid == 0) {
		exec_named(argv);
		dprintf(2, "%s: cannot be run\n", argv[0]);
		exit(127);
	}
	if (pid < 0)
		return pid;
	return waitpid(pid, &status, 0) < 0 ? -ECHILD : status;
}
