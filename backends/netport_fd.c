/* SPDX-License-Identifier: MIT */
/*
 * Threads of the ports that end in a descriptor; see netport_fd.h.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
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

/*
 * Moves what has come to the guest. Positive: there may be more; 0: there is not, or there are no buffers;
 * negative: the descriptor failed.
 */
static int receive(struct fdport_queue *q)
{
	struct fdport *p = q->p;
	const struct netport_sink *sink = &p->sink;
	int rc = 1;

	pthread_mutex_lock(&q->rx_lock);
	for (int i = 0; i < BURST && rc > 0; i++) {
		struct iovec iov[NETPKT_MAX_IOV];
		struct netpkt_meta meta = { 0 };
		unsigned nr;

		/* Before begin(): a wake() that comes at once finds the flag. */
		atomic_store(&q->no_buffers, true);
		nr = sink->begin(sink->arg, q->index, p->most, true, iov);
		rc = 0;
		if (!nr)
			break;
		atomic_store(&q->no_buffers, false);
		rc = p->kind->read(p, q->index, iov, nr, &meta);
		if (rc > 0)
			sink->commit(sink->arg, q->index, &meta, (uint32_t)rc);
	}
	sink->flush(sink->arg, q->index);
	pthread_mutex_unlock(&q->rx_lock);
	return rc;
}

/* From whoever the descriptor was lent to. What is left is the thread's: nobody is told of it again. */
static void on_ready(void *arg)
{
	struct fdport_queue *q = arg;

	if (!atomic_load(&q->is_lost) && !atomic_load(&q->no_buffers) && receive(q))
		ring(q);
}

/*
 * Whoever runs the guest watches the descriptor while it sleeps, and the thread only behind it: an
 * exclusive watch wakes the first that sleeps. Where that cannot be the thread waits for the descriptor
 * itself.
 */
static void lend(struct fdport_queue *q)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE };
	const struct netport_sink *sink = &q->p->sink;

	q->lent = q->watch = -1;
	if (q->p->kind->may_lend && sink->lend && q->fd >= 0)
		q->lent = sink->lend(sink->arg, q->index, q->fd, on_ready, q);
	if (q->lent < 0)
		return;
	q->watch = epoll_create1(EPOLL_CLOEXEC);
	if (q->watch >= 0 && !epoll_ctl(q->watch, EPOLL_CTL_ADD, q->fd, &e))
		return;
	if (q->watch >= 0)
		close(q->watch);
	q->watch = -1;
	sink->take_back(sink->arg, q->index, q->lent);
	q->lent = -1;
}

static void take_back(struct fdport_queue *q)
{
	const struct netport_sink *sink = &q->p->sink;

	if (q->lent >= 0)
		sink->take_back(sink->arg, q->index, q->lent);
	q->lent = -1;
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

	q->is_lost = true;
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
	if (atomic_load(&p->stop) || !p->kind->revive || p->kind->revive(p, q->index))
		return;
	q->is_lost = false;
	p->sink.carrier(p->sink.arg, true);
}

/* What the thread waits for; sets which of the three are of interest. */
static int await(struct fdport_queue *q, struct pollfd *pfd, bool more)
{
	bool reads = !atomic_load(&q->no_buffers);

	pfd[0] = (struct pollfd){ .fd = q->bell, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = reads ? q->watch >= 0 ? q->watch : q->fd : -1,
		                  .events = POLLIN };
	pfd[2] = (struct pollfd){ .fd = atomic_load(&q->want_room) ? q->fd : -1,
		                  .events = POLLOUT };
	return poll(pfd, 3, more && reads ? 0 : -1);
}

static void *thread_main(void *arg)
{
	struct fdport_queue *q = arg;
	struct fdport *p = q->p;
	bool more = true; /* edges before the watch began are not told of */

	while (!atomic_load(&p->stop)) {
		struct epoll_event e;
		struct pollfd pfd[3];
		eventfd_t n;
		int rc = 0;

		if (q->is_lost) {
			wait_for_link(q);
			more = true; /* nobody has looked meanwhile */
			continue;
		}
		if (await(q, pfd, more) < 0)
			continue;
		if (pfd[0].revents)
			eventfd_read(q->bell, &n);
		if (pfd[1].revents && q->watch >= 0)
			epoll_wait(q->watch, &e, 1, 0);
		if (pfd[2].revents)
			give_room(q);
		/* Of an edge we are told once; the bell may mean that somebody has left the rest to us. */
		if (pfd[1].revents || (q->watch >= 0 && (more || pfd[0].revents)))
			rc = receive(q);
		more = q->watch >= 0 && rc > 0;
		if (rc < 0)
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

		take_back(q);
		if (q->running) {
			ring(q);
			pthread_join(q->thread, NULL);
		}
		q->running = false;
		if (q->watch >= 0)
			close(q->watch);
		q->watch = -1;
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
	sink->carrier(sink->arg, !p->queue[0].is_lost);
	for (unsigned i = 0; i < p->nr_queues; i++) {
		struct fdport_queue *q = &p->queue[i];

		atomic_store(&q->no_buffers, false);
		atomic_store(&q->want_room, false);
		lend(q);
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

			while (i--) {
				close(p->queue[i].bell);
				pthread_mutex_destroy(&p->queue[i].rx_lock);
			}
			return rc;
		}
		q->lent = q->watch = -1;
		pthread_mutex_init(&q->rx_lock, NULL);
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
		pthread_mutex_destroy(&p->queue[i].rx_lock);
	}
}
