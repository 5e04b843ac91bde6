/* SPDX-License-Identifier: MIT */
/*
 * A port that writes what passes another one into a pcapng file, with the direction of each packet.
 * Ports that name the same file share it: each is an interface of its own there.
 *
 * Source: the pcapng format (draft-ietf-opsawg-pcapng): a section header, an interface of Ethernet
 * with times in nanoseconds for each port, and an enhanced packet block for each packet.
 *
 * Invariant: what is written is what was checked (a packet's head is copied before it is read
 * here). A file that cannot be written ends the capture, with packets going on: a full disk is no
 * reason to stop a guest's network. A pipe whose reader is slow misses packets, never parts of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "backends/netpkt.h"

#define BLOCK_SECTION   0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET    6
#define BYTE_ORDER_MARK 0x1a2b3c4d
#define LINK_ETHERNET   1
#define OPT_END         0
#define OPT_IF_NAME     2
#define OPT_IF_MACADDR  6
#define OPT_IF_TSRESOL  9
#define OPT_EPB_FLAGS   2
#define FLAG_INBOUND    1
#define FLAG_OUTBOUND   2
#define MAX_QUEUES      8
#define BUFFERED        (128 * 1024)
#define NO_INTERFACE    UINT32_MAX

/* A file, and what is not written into it yet. */
struct capture_file {
	struct capture_file *next; /* of the list of all; files_lock */
	unsigned users;            /* files_lock */
	dev_t dev;
	ino_t ino;
	pthread_mutex_t lock; /* of all below */
	int fd;               /* -1: the capture has ended */
	uint32_t interfaces;  /* described so far */
	size_t used;
	uint8_t buffer[BUFFERED];
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture_file *files;

struct capture {
	struct netport port; /* first */
	struct netport *inner;
	struct netport_sink sink; /* the back-end's */
	struct capture_file *file;
	uint32_t interface; /* its number in the file */
	/* What begin() lent, by queue: commit() reads it before it is the guest's again. */
	struct {
		struct iovec iov[NETPKT_MAX_IOV];
		unsigned nr;
	} lent[MAX_QUEUES];
};

struct packet_head {
	uint32_t type, length, interface, time_high, time_low, captured, original;
};

struct packet_tail {
	uint16_t flags_code, flags_len;
	uint32_t flags;
	uint16_t end_code, end_len;
	uint32_t length;
};

/* ---- the file --------------------------------------------------------------------------------- */

/* Lock: f->lock, here and up to put_interface(). */
static void write_out(struct capture_file *f)
{
	size_t done = 0;

	while (f->fd >= 0 && done < f->used) {
		ssize_t n = write(f->fd, f->buffer + done, f->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			close(f->fd);
			f->fd = -1;
			done = f->used;
			break;
		}
		done += (size_t)n;
	}
	f->used -= done;
	memmove(f->buffer, f->buffer + done, f->used);
}

static bool has_room(struct capture_file *f, size_t len)
{
	if (f->used + len > BUFFERED)
		write_out(f);
	return f->used + len <= BUFFERED;
}

static void append(struct capture_file *f, const void *bytes, size_t len)
{
	memcpy(f->buffer + f->used, bytes, len);
	f->used += len;
}

static void put_section(struct capture_file *f)
{
	const uint32_t section[] = { BLOCK_SECTION, 28, BYTE_ORDER_MARK, 1, 0xffffffff,
		                     0xffffffff,    28 };

	append(f, section, sizeof(section));
}

/* Behind it: an option's value is filled up to whole words. */
static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value, size_t len)
{
	const uint16_t head[2] = { code, (uint16_t)len };
	size_t padded = (len + 3) & ~(size_t)3;

	memcpy(at, head, sizeof(head));
	memset(at + sizeof(head), 0, padded);
	memcpy(at + sizeof(head), value, len);
	return at + sizeof(head) + padded;
}

/* Its number; NO_INTERFACE when the reader is so slow that it cannot be told: nothing of it is then. */
static uint32_t put_interface(struct capture_file *f, const struct netport_name *name)
{
	uint32_t head[4] = { BLOCK_INTERFACE, 0, LINK_ETHERNET, 0 };
	const uint8_t nanoseconds = 9;
	uint8_t options[64], *end = options;

	end = put_option(end, OPT_IF_NAME, name->text, strnlen(name->text, sizeof(name->text)));
	end = put_option(end, OPT_IF_MACADDR, name->mac, sizeof(name->mac));
	end = put_option(end, OPT_IF_TSRESOL, &nanoseconds, 1);
	end = put_option(end, OPT_END, "", 0);
	head[1] = (uint32_t)(sizeof(head) + (size_t)(end - options) + 4);
	if (!has_room(f, head[1]))
		return NO_INTERFACE;
	append(f, head, sizeof(head));
	append(f, options, (size_t)(end - options));
	append(f, &head[1], 4);
	return f->interfaces++;
}

static void put_packet(struct capture *c, const struct netpkt *p, uint32_t direction)
{
	struct capture_file *f = c->file;
	uint32_t padded = (p->len + 3) & ~3u;
	struct packet_head h = { .type = BLOCK_PACKET,
		                 .interface = c->interface,
		                 .captured = p->len,
		                 .original = p->len };
	struct packet_tail t = {
		.flags_code = OPT_EPB_FLAGS, .flags_len = 4, .flags = direction, .end_code = OPT_END
	};
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	h.time_high = (uint32_t)(ns >> 32);
	h.time_low = (uint32_t)ns;
	h.length = t.length = (uint32_t)(sizeof(h) + padded + sizeof(t));
	pthread_mutex_lock(&f->lock);
	if (f->fd >= 0 && c->interface != NO_INTERFACE && has_room(f, h.length)) {
		append(f, &h, sizeof(h));
		netpkt_copy_out(p, 0, f->buffer + f->used, p->len);
		memset(f->buffer + f->used + p->len, 0, padded - p->len);
		f->used += padded;
		append(f, &t, sizeof(t));
	}
	pthread_mutex_unlock(&f->lock);
}

static void flush_file(struct capture *c)
{
	pthread_mutex_lock(&c->file->lock);
	write_out(c->file);
	pthread_mutex_unlock(&c->file->lock);
}

/* Lock: files_lock. One more user of the file that fd is; fd is the file's then, or closed. */
static int get_file(struct capture_file **out, int fd)
{
	struct capture_file *f = files;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	while (f && (f->dev != st.st_dev || f->ino != st.st_ino))
		f = f->next;
	if (f) {
		close(fd);
	} else {
		f = malloc(sizeof(*f));
		if (!f)
			return -ENOMEM;
		*f = (struct capture_file){
			.next = files, .dev = st.st_dev, .ino = st.st_ino, .fd = fd
		};
		pthread_mutex_init(&f->lock, NULL);
		if (ftruncate(fd, 0)) {
			/* A pipe or a device: there is nothing in it to be overwritten. */
		}
		put_section(f);
		files = f;
	}
	f->users++;
	*out = f;
	return 0;
}

static void put_file(struct capture_file *f)
{
	struct capture_file **at = &files;

	pthread_mutex_lock(&files_lock);
	if (!--f->users) {
		while (*at != f)
			at = &(*at)->next;
		*at = f->next;
		write_out(f);
		if (f->fd >= 0)
			close(f->fd);
		pthread_mutex_destroy(&f->lock);
		free(f);
	}
	pthread_mutex_unlock(&files_lock);
}

static int open_file(struct capture_file **out, const char *path)
{
	int rc, fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return -errno;
	pthread_mutex_lock(&files_lock);
	rc = get_file(out, fd);
	pthread_mutex_unlock(&files_lock);
	if (rc)
		close(fd);
	return rc;
}

/* ---- between the port and the back-end -------------------------------------------------------- */

static unsigned begin(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov)
{
	struct capture *c = arg;
	unsigned nr = c->sink.begin(c->sink.arg, queue, len, wait, iov);

	c->lent[queue % MAX_QUEUES].nr = nr;
	memcpy(c->lent[queue % MAX_QUEUES].iov, iov, nr * sizeof(*iov));
	return nr;
}

static void commit(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len)
{
	struct capture *c = arg;
	struct netpkt p = { .len = len, .nr_iov = c->lent[queue % MAX_QUEUES].nr };

	memcpy(p.iov, c->lent[queue % MAX_QUEUES].iov, p.nr_iov * sizeof(p.iov[0]));
	if (len && p.nr_iov)
		put_packet(c, &p, FLAG_INBOUND);
	c->sink.commit(c->sink.arg, queue, meta, len);
}

static void flush(void *arg, unsigned queue)
{
	struct capture *c = arg;

	flush_file(c);
	c->sink.flush(c->sink.arg, queue);
}

static void room(void *arg, unsigned queue)
{
	struct capture *c = arg;

	c->sink.room(c->sink.arg, queue);
}

static void carrier(void *arg, bool up)
{
	struct capture *c = arg;

	c->sink.carrier(c->sink.arg, up);
}

static bool takes(void *arg, const struct netpkt_meta *meta)
{
	struct capture *c = arg;

	return c->sink.takes(c->sink.arg, meta);
}

static int lend(void *arg, unsigned queue, int fd, void (*ready)(void *ready_arg), void *ready_arg)
{
	struct capture *c = arg;

	return c->sink.lend ? c->sink.lend(c->sink.arg, queue, fd, ready, ready_arg) : -ENOSYS;
}

static void take_back(void *arg, unsigned queue, int number)
{
	struct capture *c = arg;

	c->sink.take_back(c->sink.arg, queue, number);
}

static int capture_attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	struct capture *c = (struct capture *)p;
	const struct netport_sink ours = { .begin = begin,
		                           .commit = commit,
		                           .flush = flush,
		                           .room = room,
		                           .carrier = carrier,
		                           .takes = takes,
		                           .lend = lend,
		                           .take_back = take_back,
		                           .arg = c,
		                           .max_len = sink ? sink->max_len : 0 };

	if (sink) {
		c->sink = *sink;
		return c->inner->ops->attach(c->inner, &ours, nr_queues);
	}
	flush_file(c);
	return c->inner->ops->attach(c->inner, NULL, 0);
}

static unsigned capture_send(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	struct capture *c = (struct capture *)p;
	unsigned done;

	/* One at a time: only what was taken is written. Its bytes are the guest's to change. */
	for (done = 0; done < nr; done++) {
		struct netpkt as_it_was = pkts[done];

		if (!c->inner->ops->send(c->inner, queue, &pkts[done], 1))
			break;
		put_packet(c, &as_it_was, FLAG_OUTBOUND);
	}
	flush_file(c);
	return done;
}

static void capture_wake(struct netport *p, unsigned queue)
{
	struct capture *c = (struct capture *)p;

	c->inner->ops->wake(c->inner, queue);
}

static void capture_close(struct netport *p)
{
	struct capture *c = (struct capture *)p;

	c->inner->ops->close(c->inner);
	flush_file(c);
	put_file(c->file);
	free(c);
}

static const struct netport_ops capture_ops = {
	.attach = capture_attach, .send = capture_send, .wake = capture_wake, .close = capture_close
};

int netport_open_capture(struct netport **out, struct netport *inner, const char *path,
                         const struct netport_name *name, char *why, size_t why_len)
{
	struct capture *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		snprintf(why, why_len, "no memory is left for a capture");
		return -ENOMEM;
	}
	rc = open_file(&c->file, path);
	if (rc) {
		snprintf(why, why_len, "the capture '%s' cannot be written: %s", path,
		         strerror(-rc));
		free(c);
		return rc;
	}
	c->port = *inner;
	c->port.ops = &capture_ops;
	c->inner = inner;
	pthread_mutex_lock(&c->file->lock);
	c->interface = put_interface(c->file, name);
	write_out(c->file);
	pthread_mutex_unlock(&c->file->lock);
	*out = &c->port;
	return 0;
}
