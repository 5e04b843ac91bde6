/* SPDX-License-Identifier: MIT */
/*
 * Threads of the ports that end in a descriptor; see netport_fd.h.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/netport_fd.h"

#define BURST     64   /* packets between two looks at the bell */
#define REVIVE_MS 1000 /* between two tries to connect again */
#define TAG_ROOM  8    /* an Ethernet packet with two tags is longer by this */

static void ring(struct fdport_queue *q)
{
	eventfd_write(q->bell, 1);
}

/* ---- inwards ---------------------------------------------------------------------------------- */

/* Moves what has come to the guest. Negative: the descriptor failed. */
static int receive(struct fdport_queue *q)
{
	struct fdport *p = q->p;
	const struct netport_sink *sink = &p->sink;
	int rc = 0;

	for (int i = 0; i < BURST; i++) {
		struct iovec iov[NETPKT_MAX_IOV];
		struct netpkt_meta meta = { 0 };
		unsigned nr;

		/* Before begin(): a wake() that comes at once finds the flag. */
		atomic_store(&q->no_buffers, true);
		nr = sink->begin(sink->arg, q->index, p->most, true, iov);
		if (!nr)
			break;
		atomic_store(&q->no_buffers, false);
		rc = p->kind->read(p, q->index, iov, nr, &meta);
		if (rc <= 0)
			break;
		sink->commit(sink->arg, q->index, &meta, (uint32_t)rc);
	}
	sink->flush(sink->arg, q->index);
	return rc < 0 ? rc : 0;
}

/* ---- the thread ------------------------------------------------------------------------------- */

static void give_room(struct fdport_queue *q)
{
	struct fdport *p = q->p;

	if (p->kind->go_on && p->kind->go_on(p, q->index) == -EAGAIN)
		return;
	atomic_store(&q->want_room, false);
	p->sink.room(p->sink.arg, q->index);
}

static void down(struct fdport_queue *q)
{
	struct fdport *p = q->p;

	p->sink.carrier(p->sink.arg, false);
	/* Packets are lost while the link is down; the guest is not stopped by it. */
	if (atomic_exchange(&q->want_room, false))
		p->sink.room(p->sink.arg, q->index);
}

static void wait_for_link(struct fdport_queue *q)
{
	struct fdport *p = q->p;
	struct pollfd bell = { .fd = q->bell, .events = POLLIN };
	eventfd_t n;

	if (poll(&bell, 1, REVIVE_MS) > 0)
		eventfd_read(q->bell, &n);
	if (!atomic_load(&p->stop) && p->kind->revive && !p->kind->revive(p))
		p->sink.carrier(p->sink.arg, true);
}

static void *thread_main(void *arg)
{
	struct fdport_queue *q = arg;
	struct fdport *p = q->p;

	while (!atomic_load(&p->stop)) {
		struct pollfd pfd[2] = { { .fd = q->bell, .events = POLLIN }, { .fd = q->fd } };
		eventfd_t n;

		if (q->fd < 0) {
			wait_for_link(q);
			continue;
		}
		if (!atomic_load(&q->no_buffers))
			pfd[1].events |= POLLIN;
		if (atomic_load(&q->want_room))
			pfd[1].events |= POLLOUT;
		if (!pfd[1].events)
			pfd[1].fd = -1;
		if (poll(pfd, 2, -1) < 0)
			continue;
		if (pfd[0].revents)
			eventfd_read(q->bell, &n);
		if (pfd[1].revents & POLLOUT)
			give_room(q);
		if ((pfd[1].revents & (POLLIN | POLLERR | POLLHUP)) && receive(q) < 0)
			down(q);
	}
	return NULL;
}

/* ---- the port --------------------------------------------------------------------------------- */

static unsigned fdport_send(struct netport *port, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	struct fdport *p = (struct fdport *)port;
	struct fdport_queue *q = &p->queue[queue % p->nr_fds];
	unsigned i;

	for (i = 0; i < nr; i++) {
		if (p->kind->write(p, q->index, &pkts[i]) == -EAGAIN) {
			atomic_store(&q->want_room, true);
			ring(q);
			break;
		}
	}
	return i;
}

static void fdport_wake(struct netport *port, unsigned queue)
{
	struct fdport *p = (struct fdport *)port;
	struct fdport_queue *q = &p->queue[queue % p->nr_fds];

	if (atomic_exchange(&q->no_buffers, false))
		ring(q);
}

static void detach(struct fdport *p)
{
	atomic_store(&p->stop, true);
	for (unsigned i = 0; i < p->nr_queues; i++) {
		struct fdport_queue *q = &p->queue[i];

		if (!q->running)
			continue;
		ring(q);
		pthread_join(q->thread, NULL);
		q->running = false;
	}
	p->nr_queues = 0;
	memset(&p->sink, 0, sizeof(p->sink));
}

/*
 * How long a packet may come: one that is to be segmented, or one of the link's size. On a link that
 * does not say its size the two ends agree upon it, and anything that the guest takes may come.
 */
static uint32_t longest(const struct fdport *p, bool gso)
{
	uint32_t most = p->sink.max_len;

	if (p->port.mtu && !(gso && p->port.offload) &&
	    p->port.mtu + NETPKT_MIN_LEN + TAG_ROOM < most)
		most = p->port.mtu + NETPKT_MIN_LEN + TAG_ROOM;
	return most;
}

static int fdport_attach(struct netport *port, const struct netport_sink *sink, unsigned nr_queues)
{
	const struct netpkt_meta csum = { .csum_partial = true };
	const struct netpkt_meta gso4 = { .csum_partial = true, .gso = NETPKT_GSO_TCPV4 };
	const struct netpkt_meta gso6 = { .csum_partial = true, .gso = NETPKT_GSO_TCPV6 };
	struct fdport *p = (struct fdport *)port;
	bool c, g4, g6;
	int rc;

	if (!sink) {
		detach(p);
		return 0;
	}
	p->sink = *sink;
	c = sink->takes(sink->arg, &csum);
	g4 = c && sink->takes(sink->arg, &gso4);
	g6 = c && sink->takes(sink->arg, &gso6);
	p->nr_queues = nr_queues < p->nr_fds ? nr_queues : p->nr_fds;
	p->most = longest(p, g4 || g6);
	rc = p->kind->configure ? p->kind->configure(p, c, g4, g6, p->nr_queues) : 0;
	if (rc)
		return rc;
	atomic_store(&p->stop, false);
	sink->carrier(sink->arg, p->queue[0].fd >= 0);
	for (unsigned i = 0; i < p->nr_queues; i++) {
		struct fdport_queue *q = &p->queue[i];

		atomic_store(&q->no_buffers, false);
		atomic_store(&q->want_room, false);
		if (pthread_create(&q->thread, NULL, thread_main, q)) {
			detach(p);
			return -EAGAIN;
		}
		q->running = true;
	}
	return 0;
}

static void fdport_close(struct netport *port)
{
	struct fdport *p = (struct fdport *)port;

	p->kind->release(p);
}

const struct netport_ops fdport_ops = {
	.attach = fdport_attach, .send = fdport_send, .wake = fdport_wake, .close = fdport_close
};

int fdport_init(struct fdport *p, const struct fdport_kind *kind, const int *fds, unsigned nr)
{
	p->port.ops = &fdport_ops;
	p->port.max_queues = nr;
	p->kind = kind;
	for (unsigned i = 0; i < nr; i++) {
		struct fdport_queue *q = &p->queue[i];

		q->p = p;
		q->index = i;
		q->fd = fds[i];
		q->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (q->bell < 0) {
			int rc = -errno;

			while (i--)
				close(p->queue[i].bell);
			return rc;
		}
	}
	p->nr_fds = nr;
	return 0;
}

void fdport_fini(struct fdport *p)
{
	for (unsigned i = 0; i < p->nr_fds; i++) {
		if (p->queue[i].fd >= 0)
			close(p->queue[i].fd);
		close(p->queue[i].bell);
	}
}
