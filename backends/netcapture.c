/* SPDX-License-Identifier: MIT */
/*
 * A port that writes what passes another one into a pcapng file, with the direction of each packet.
 *
 * Source: the pcapng format (draft-ietf-opsawg-pcapng): a section header, one interface of Ethernet
 * with times in nanoseconds, and an enhanced packet block for each packet.
 *
 * Invariant: what is written is what was checked (a packet's head is copied before it is read
 * here). A file that cannot be written ends the capture, with packets going on: a full disk is no
 * reason to stop a guest's network.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#define OPT_IF_TSRESOL  9
#define OPT_EPB_FLAGS   2
#define FLAG_INBOUND    1
#define FLAG_OUTBOUND   2
#define MAX_QUEUES      8
#define BUFFERED        (128 * 1024)

struct capture {
	struct netport port; /* first */
	struct netport *inner;
	struct netport_sink sink; /* the back-end's */
	int fd;                   /* -1: the capture has ended */
	pthread_mutex_t lock;     /* of the file and its buffer */
	uint8_t *buffer;
	size_t used;
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

/* Lock: c->lock. */
static void write_out(struct capture *c)
{
	size_t done = 0;

	while (c->fd >= 0 && done < c->used) {
		ssize_t n = write(c->fd, c->buffer + done, c->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(c->fd);
			c->fd = -1;
			break;
		}
		done += (size_t)n;
	}
	c->used = 0;
}

static void append(struct capture *c, const void *bytes, size_t len)
{
	memcpy(c->buffer + c->used, bytes, len);
	c->used += len;
}

static void put_header(struct capture *c)
{
	const uint32_t section[] = { BLOCK_SECTION, 28, BYTE_ORDER_MARK, 1, 0xffffffff,
		                     0xffffffff,    28 };
	const struct {
		uint32_t type, length;
		uint16_t link, reserved;
		uint32_t snap;
		uint16_t code, len;
		uint8_t resolution, pad[3];
		uint16_t end_code, end_len;
		uint32_t length_again;
	} interface = { .type = BLOCK_INTERFACE,
		        .length = sizeof(interface),
		        .link = LINK_ETHERNET,
		        .code = OPT_IF_TSRESOL,
		        .len = 1,
		        .resolution = 9,
		        .length_again = sizeof(interface) };

	append(c, section, sizeof(section));
	append(c, &interface, sizeof(interface));
	write_out(c);
}

static void put_packet(struct capture *c, const struct netpkt *p, uint32_t direction)
{
	uint32_t padded = (p->len + 3) & ~3u;
	struct packet_head h = { .type = BLOCK_PACKET, .captured = p->len, .original = p->len };
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
	pthread_mutex_lock(&c->lock);
	if (c->fd >= 0) {
		if (c->used + h.length > BUFFERED)
			write_out(c);
		append(c, &h, sizeof(h));
		netpkt_copy_out(p, 0, c->buffer + c->used, p->len);
		memset(c->buffer + c->used + p->len, 0, padded - p->len);
		c->used += padded;
		append(c, &t, sizeof(t));
	}
	pthread_mutex_unlock(&c->lock);
}

static void flush_file(struct capture *c)
{
	pthread_mutex_lock(&c->lock);
	write_out(c);
	pthread_mutex_unlock(&c->lock);
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

static int capture_attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	struct capture *c = (struct capture *)p;
	const struct netport_sink ours = { .begin = begin,
		                           .commit = commit,
		                           .flush = flush,
		                           .room = room,
		                           .carrier = carrier,
		                           .takes = takes,
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
	if (c->fd >= 0)
		close(c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c->buffer);
	free(c);
}

static const struct netport_ops capture_ops = {
	.attach = capture_attach, .send = capture_send, .wake = capture_wake, .close = capture_close
};

int netport_open_capture(struct netport **out, struct netport *inner, const char *path, char *why,
                         size_t why_len)
{
	struct capture *c = calloc(1, sizeof(*c));
	int rc;

	if (c)
		c->buffer = malloc(BUFFERED);
	if (!c || !c->buffer) {
		free(c);
		snprintf(why, why_len, "no memory is left for a capture");
		return -ENOMEM;
	}
	c->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (c->fd < 0) {
		rc = -errno;
		snprintf(why, why_len, "the capture '%s' cannot be written: %s", path,
		         strerror(-rc));
		free(c->buffer);
		free(c);
		return rc;
	}
	c->port = *inner;
	c->port.ops = &capture_ops;
	c->inner = inner;
	pthread_mutex_init(&c->lock, NULL);
	put_header(c);
	*out = &c->port;
	return 0;
}
