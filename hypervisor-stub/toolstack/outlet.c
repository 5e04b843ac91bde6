/* SPDX-License-Identifier: MIT */
/*
 * Where the guest's output leaves this process; see outlet.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/outlet.h"

/* A description of our own for the same pipe or terminal; -1 where that is not allowed. */
static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int outlet_open(struct outlet *o, int fd)
{
	struct stat st;

	*o = (struct outlet){ .fd = fd, .kind = OUTLET_FILE };
	if (fstat(fd, &st))
		return -errno;
	o->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->stop_fd < 0)
		return -errno;
	pthread_mutex_init(&o->lock, NULL);
	if (S_ISSOCK(st.st_mode)) {
		o->kind = OUTLET_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || isatty(fd)) {
		int own = reopen(fd);

		o->kind = own < 0 ? OUTLET_CAREFUL : OUTLET_NONBLOCKING;
		o->fd = own < 0 ? fd : own;
		o->owns_fd = own >= 0;
	}
	return 0;
}

void outlet_close(struct outlet *o)
{
	if (o->owns_fd)
		close(o->fd);
	close(o->stop_fd);
	pthread_mutex_destroy(&o->lock);
}

/*
 * Without a description of our own: a pipe that polls as writable takes PIPE_BUF bytes at once, a
 * terminal at least one. Small pieces keep the wait short when somebody else fills it meanwhile.
 */
static ssize_t write_carefully(int fd, const void *bytes, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	size_t piece = isatty(fd) ? 64 : PIPE_BUF;

	if (poll(&p, 1, 0) != 1 || !(p.revents & (POLLOUT | POLLERR))) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, bytes, len < piece ? len : piece);
}

static ssize_t write_once(struct outlet *o, const void *bytes, size_t len)
{
	switch (o->kind) {
	case OUTLET_SOCKET:
		return send(o->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case OUTLET_CAREFUL:
		return write_carefully(o->fd, bytes, len);
	default:
		return write(o->fd, bytes, len);
	}
}

/* As outlet_try(), with the lock held. */
static ssize_t try_locked(struct outlet *o, const void *bytes, size_t len)
{
	size_t done = 0;

	while (!o->error && done < len) {
		ssize_t n = write_once(o, (const char *)bytes + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno == EAGAIN)
			break;
		else if (errno != EINTR)
			o->error = errno;
	}
	if (!o->error)
		return (ssize_t)done;
	o->lost += len - done;
	return -o->error;
}

ssize_t outlet_try(struct outlet *o, const void *bytes, size_t len)
{
	ssize_t n;

	pthread_mutex_lock(&o->lock);
	n = try_locked(o, bytes, len);
	pthread_mutex_unlock(&o->lock);
	return n;
}

bool outlet_wait(struct outlet *o, int ms)
{
	struct pollfd p[2] = {
		{ .fd = o->fd, .events = POLLOUT },
		{ .fd = o->stop_fd, .events = POLLIN },
	};

	while (poll(p, 2, ms) < 0 && errno == EINTR)
		;
	return !p[1].revents;
}

void outlet_put(struct outlet *o, const void *bytes, size_t len)
{
	const char *at = bytes;

	for (;;) {
		ssize_t n = outlet_try(o, at, len);

		if (n < 0 || (size_t)n == len)
			return;
		at += n;
		len -= (size_t)n;
		if (!outlet_wait(o, -1)) {
			pthread_mutex_lock(&o->lock);
			o->lost += len;
			pthread_mutex_unlock(&o->lock);
			return;
		}
	}
}

void outlet_stop(struct outlet *o)
{
	eventfd_write(o->stop_fd, 1);
}

int outlet_error(struct outlet *o)
{
	int error;

	pthread_mutex_lock(&o->lock);
	error = o->error;
	pthread_mutex_unlock(&o->lock);
	return error;
}
