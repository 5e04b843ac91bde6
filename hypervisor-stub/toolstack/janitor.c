/* SPDX-License-Identifier: MIT */
/*
 * The process that cleans up after us; see janitor.h. It holds nothing but the reading end of a pipe, is
 * in a session of its own, and no signal but SIGKILL reaches it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/janitor.h"

/* Also where close_range() is too new for the kernel or a container. */
static void close_all_but_zero(void)
{
	long limit = sysconf(_SC_OPEN_MAX);

	if (!syscall(SYS_close_range, 1, ~0u, 0))
		return;
	for (int fd = 1; fd < limit && fd < 1 << 20; fd++)
		close(fd);
}

_Noreturn static void wait_and_clean(int fd, void (*clean)(const void *what), const void *what)
{
	char byte;

	setsid();
	dup2(fd, 0);
	close_all_but_zero();
	/* The pipe ends when the last of us has closed it. */
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		continue;
	clean(what);
	_exit(0);
}

int janitor_start(struct janitor *j, void (*clean)(const void *what), const void *what)
{
	sigset_t all, before;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		wait_and_clean(fds[0], clean, what);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(fds[0]);
	if (pid < 0) {
		close(fds[1]);
		return -EAGAIN;
	}
	*j = (struct janitor){ .fd = fds[1], .pid = pid };
	return 0;
}

void janitor_end(struct janitor *j)
{
	if (!j->pid)
		return;
	close(j->fd);
	while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	j->pid = 0;
}
