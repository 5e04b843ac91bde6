/* SPDX-License-Identifier: MIT */
/*
 * The network device as the store shows it: what is offered, what the front-end chose, its queues
 * made and unmade; and the rate. See netback.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/netback_priv.h"

#define DEFAULT_QUEUES 4
#define RATE_STEP_NS   UINT64_C(10000000) /* how often credit is given out */
#define NS_PER_SEC     UINT64_C(1000000000)
#define PATH_ROOM      64

void netback_complain(struct netback_queue *q, const char *fmt, ...)
{
	char line[BE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	be_complain(&q->nb->host, "network queue %u: %s", q->index, line);
}

void netback_break(struct netback_queue *q)
{
	if (!atomic_exchange(&q->broken, true))
		netback_complain(q, "the queue is shut until the guest connects anew");
}

/* ---- the rate --------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* At most a tenth of a second's worth is saved up. Lock: rate_lock. */
static void refill(struct netback *nb)
{
	uint64_t now = now_ns(), elapsed = now - nb->credit_at;
	int64_t most = (int64_t)(nb->opt.rate / 10);

	if (most < NETPKT_MAX_LEN)
		most = NETPKT_MAX_LEN;
	if (elapsed > NS_PER_SEC)
		elapsed = NS_PER_SEC;
	nb->credit += (int64_t)((double)nb->opt.rate * (double)elapsed / (double)NS_PER_SEC);
	if (nb->credit > most)
		nb->credit = most;
	nb->credit_at = now;
}

bool netback_rate_open(struct netback *nb)
{
	bool open;

	if (!nb->opt.rate)
		return true;
	pthread_mutex_lock(&nb->rate_lock);
	refill(nb);
	open = nb->credit > 0;
	if (!open) {
		nb->rate_dry = true;
		pthread_cond_signal(&nb->rate_cond);
	}
	pthread_mutex_unlock(&nb->rate_lock);
	return open;
}

void netback_rate_spend(struct netback *nb, uint32_t len)
{
	if (!nb->opt.rate)
		return;
	pthread_mutex_lock(&nb->rate_lock);
	nb->credit -= len;
	pthread_mutex_unlock(&nb->rate_lock);
}

/* Sleeps until a queue has run dry, then until there is credit, then lets all go on. */
static void *rate_main(void *arg)
{
	struct netback *nb = arg;

	pthread_mutex_lock(&nb->rate_lock);
	while (!nb->rate_stop) {
		struct timespec step = { .tv_nsec = (long)RATE_STEP_NS };

		if (!nb->rate_dry) {
			pthread_cond_wait(&nb->rate_cond, &nb->rate_lock);
			continue;
		}
		pthread_mutex_unlock(&nb->rate_lock);
		nanosleep(&step, NULL);
		pthread_mutex_lock(&nb->rate_lock);
		refill(nb);
		if (nb->credit <= 0 || nb->rate_stop)
			continue;
		nb->rate_dry = false;
		pthread_mutex_unlock(&nb->rate_lock);
		for (unsigned i = 0; i < nb->nr_queues; i++)
			netback_tx_room(&nb->queue[i]);
		pthread_mutex_lock(&nb->rate_lock);
	}
	pthread_mutex_unlock(&nb->rate_lock);
	return NULL;
}

static int rate_start(struct netback *nb)
{
	if (!nb->opt.rate)
		return 0;
	nb->rate_stop = nb->rate_dry = false;
	nb->credit = 0;
	nb->credit_at = now_ns();
	if (pthread_create(&nb->rate_thread, NULL, rate_main, nb))
		return -EAGAIN;
	nb->rate_running = true;
	return 0;
}

static void rate_end(struct netback *nb)
{
	if (!nb->rate_running)
		return;
	pthread_mutex_lock(&nb->rate_lock);
	nb->rate_stop = true;
	pthread_cond_signal(&nb->rate_cond);
	pthread_mutex_unlock(&nb->rate_lock);
	pthread_join(nb->rate_thread, NULL);
	nb->rate_running = false;
}

/* ---- the store -------------------------------------------------------------------------------- */

/* dir is "" or "queue-N/". 0; -ENOENT, -EINVAL. */
static int need(struct netback *nb, const char *dir, const char *node, uint32_t *value)
{
	char path[PATH_ROOM];
	uint64_t n = 0;
	int rc;

	snprintf(path, sizeof(path), "%s%s", dir, node);
	rc = be_read_number(&nb->host, BE_FRONT, path, &n);
	if (!rc && n > UINT32_MAX)
		rc = -EINVAL;
	if (!rc)
		*value = (uint32_t)n;
	return rc;
}

static int need_or_fail(struct netback *nb, const char *dir, const char *node, uint32_t *value)
{
	int rc = need(nb, dir, node, value);

	return rc ? be_fail(&nb->host, rc, "the front-end's node %s%s is missing or no number", dir,
	                    node)
	          : 0;
}

static bool feature(struct netback *nb, const char *node)
{
	return be_read_number_or(&nb->host, BE_FRONT, node, 0) != 0;
}

static int netback_init(void *device)
{
	static const char *const offers[] = { "feature-sg",        "feature-gso-tcpv4",
		                              "feature-gso-tcpv6", "feature-ipv6-csum-offload",
		                              "feature-rx-copy",   "feature-split-event-channels" };
	struct netback *nb = device;
	const struct be_host_dev *host = &nb->host;
	const uint8_t *m = nb->opt.mac;
	int rc;

	rc = be_printf(host, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
	               m[5]);
	for (size_t i = 0; !rc && i < sizeof(offers) / sizeof(offers[0]); i++)
		rc = be_printf(host, offers[i], "1");
	if (!rc)
		rc = be_printf(host, "feature-rx-flip", "0");
	if (!rc)
		rc = be_printf(host, "feature-multicast-control", "0");
	if (!rc)
		rc = be_printf(host, "multi-queue-max-queues", "%u", nb->opt.max_queues);
	if (!rc && nb->opt.mtu)
		rc = be_printf(host, "mtu", "%u", nb->opt.mtu);
	return rc;
}

/* ---- queues ----------------------------------------------------------------------------------- */

static void on_tx(void *arg)
{
	struct netback_queue *q = arg;

	NETBACK_COUNT(q, events_in, 1);
	netback_tx_event(q);
}

static void on_rx(void *arg)
{
	struct netback_queue *q = arg;

	NETBACK_COUNT(q, events_in, 1);
	netback_rx_event(q);
}

static void on_both(void *arg)
{
	struct netback_queue *q = arg;

	NETBACK_COUNT(q, events_in, 1);
	netback_rx_event(q);
	netback_tx_event(q);
}

static int map_rings(struct netback_queue *q, grant_ref_t tx, grant_ref_t rx)
{
	const struct be_host_dev *host = &q->nb->host;

	if (host->ops->map(host->arg, tx, false, &q->tx_page))
		return be_fail(host, -EFAULT, "the transmit ring's grant %u cannot be mapped", tx);
	if (host->ops->map(host->arg, rx, false, &q->rx_page))
		return be_fail(host, -EFAULT, "the receive ring's grant %u cannot be mapped", rx);
	/* A ring that was in use goes on behind what was answered; a new one is at 0. */
	BACK_RING_ATTACH(&q->tx, (struct netif_tx_sring *)q->tx_page.ptr,
	                 PV_ABI_RING_GET(((struct netif_tx_sring *)q->tx_page.ptr)->rsp_prod),
	                 NETBACK_PAGE);
	BACK_RING_ATTACH(&q->rx, (struct netif_rx_sring *)q->rx_page.ptr,
	                 PV_ABI_RING_GET(((struct netif_rx_sring *)q->rx_page.ptr)->rsp_prod),
	                 NETBACK_PAGE);
	return 0;
}

static int bind_port(struct netback_queue *q, evtchn_port_t port, void (*event)(void *arg))
{
	const struct be_host_dev *host = &q->nb->host;
	int rc = host->ops->bind(host->arg, port, event, q);

	return rc ? be_fail(host, rc, "event channel %u cannot be bound", port) : 0;
}

static int bind_ports(struct netback_queue *q)
{
	int rc = bind_port(q, q->tx_port, q->split ? on_tx : on_both);

	q->bound_tx = !rc;
	if (rc || !q->split)
		return rc;
	rc = bind_port(q, q->rx_port, on_rx);
	q->bound_rx = !rc;
	return rc;
}

static int read_ports(struct netback_queue *q, const char *dir)
{
	struct netback *nb = q->nb;

	q->split = !need(nb, dir, "event-channel-tx", &q->tx_port);
	if (q->split)
		return need_or_fail(nb, dir, "event-channel-rx", &q->rx_port);
	if (need_or_fail(nb, dir, "event-channel", &q->tx_port))
		return -EINVAL;
	q->rx_port = q->tx_port;
	return 0;
}

/* On failure what was mapped and bound is undone by queue_close(). */
static int queue_open(struct netback *nb, struct netback_queue *q, unsigned index)
{
	char dir[PATH_ROOM] = "";
	uint32_t tx, rx;
	int rc;

	q->nb = nb;
	q->index = index;
	q->stopped = true; /* until there is a port */
	pthread_mutex_init(&q->tx_lock, NULL);
	if (nb->nr_queues > 1)
		snprintf(dir, sizeof(dir), "queue-%u/", index);
	rc = need_or_fail(nb, dir, "tx-ring-ref", &tx);
	if (!rc)
		rc = need_or_fail(nb, dir, "rx-ring-ref", &rx);
	if (!rc)
		rc = read_ports(q, dir);
	if (!rc)
		rc = map_rings(q, tx, rx);
	return rc;
}

static void unbind_ports(struct netback_queue *q)
{
	const struct be_host_dev *host = &q->nb->host;

	if (q->bound_tx)
		host->ops->unbind(host->arg, q->tx_port);
	if (q->bound_rx)
		host->ops->unbind(host->arg, q->rx_port);
	q->bound_tx = q->bound_rx = false;
}

/* Nobody works on the rings any more: ports unbound, the rate's thread ended, netport detached. */
static void queue_close(struct netback_queue *q)
{
	const struct be_host_dev *host = &q->nb->host;

	netback_tx_drain(q);
	netback_rx_drain(q);
	if (q->tx_page.ptr)
		host->ops->unmap(host->arg, &q->tx_page);
	if (q->rx_page.ptr)
		host->ops->unmap(host->arg, &q->rx_page);
	pthread_mutex_destroy(&q->tx_lock);
}

static void add_figures(struct netback_stats *s, struct netback_queue *q)
{
	s->tx_packets += atomic_load(&q->n.tx_packets);
	s->tx_bytes += atomic_load(&q->n.tx_bytes);
	s->tx_dropped += atomic_load(&q->n.tx_dropped);
	s->tx_errors += atomic_load(&q->n.tx_errors);
	s->tx_gso += atomic_load(&q->n.tx_gso);
	s->rx_packets += atomic_load(&q->n.rx_packets);
	s->rx_bytes += atomic_load(&q->n.rx_bytes);
	s->rx_dropped += atomic_load(&q->n.rx_dropped);
	s->rx_gso += atomic_load(&q->n.rx_gso);
	s->events_in += atomic_load(&q->n.events_in);
	s->events_out += atomic_load(&q->n.events_out);
	s->stops += atomic_load(&q->n.stops);
}

static void close_queues(struct netback *nb, unsigned nr)
{
	pthread_mutex_lock(&nb->lock);
	for (unsigned i = 0; i < nr; i++) {
		queue_close(&nb->queue[i]);
		add_figures(&nb->past, &nb->queue[i]);
	}
	free(nb->queue);
	nb->queue = NULL;
	pthread_mutex_unlock(&nb->lock);
}

static int open_queues(struct netback *nb)
{
	struct netback_queue *queue = calloc(nb->nr_queues, sizeof(*queue));
	int rc = 0;

	if (!queue)
		return -ENOMEM;
	pthread_mutex_lock(&nb->lock);
	nb->queue = queue;
	pthread_mutex_unlock(&nb->lock);
	for (unsigned i = 0; i < nb->nr_queues; i++) {
		rc = queue_open(nb, &nb->queue[i], i);
		if (rc) {
			close_queues(nb, i + 1);
			return rc;
		}
	}
	return 0;
}

static int read_choices(struct netback *nb)
{
	const struct be_host_dev *host = &nb->host;
	uint64_t queues = be_read_number_or(host, BE_FRONT, "multi-queue-num-queues", 1);

	if (!queues || queues > nb->opt.max_queues)
		return be_fail(host, -EINVAL, "the front-end wants %llu queues; there are %u",
		               (unsigned long long)queues, nb->opt.max_queues);
	/* Pages are not flipped: the front-end has to say that it takes copies. */
	if (!feature(nb, "request-rx-copy"))
		return be_fail(host, -EOPNOTSUPP, "the front-end does not take copies");
	nb->nr_queues = (unsigned)queues;
	nb->fe_sg = feature(nb, "feature-sg");
	nb->fe_gso4 = feature(nb, "feature-gso-tcpv4");
	nb->fe_gso6 = feature(nb, "feature-gso-tcpv6");
	nb->fe_csum4 = !feature(nb, "feature-no-csum-offload");
	nb->fe_csum6 = feature(nb, "feature-ipv6-csum-offload");
	return 0;
}

/* The guest's events first, then what could go on by itself, then the world outside. Harmless where
 * connect got less far. */
static void stop(struct netback *nb)
{
	for (unsigned i = 0; i < nb->nr_queues; i++)
		unbind_ports(&nb->queue[i]);
	rate_end(nb);
	nb->port->ops->attach(nb->port, NULL, 0);
	close_queues(nb, nb->nr_queues);
}

/*
 * Event channels before the port, since what comes from outside at once has to be told. The transmit
 * side stands still until the port is there; then what the guest has put into its ring meanwhile is
 * looked at.
 */
static int netback_connect(void *device)
{
	struct netback *nb = device;
	struct netport_sink sink = netback_sink;
	int rc = read_choices(nb);

	if (!rc)
		rc = open_queues(nb);
	if (rc)
		return rc;
	for (unsigned i = 0; !rc && i < nb->nr_queues; i++)
		rc = bind_ports(&nb->queue[i]);
	sink.arg = nb;
	sink.max_len = nb->fe_sg ? NETPKT_MAX_LEN : NETBACK_PAGE;
	if (!rc) {
		rc = nb->port->ops->attach(nb->port, &sink, nb->nr_queues);
		if (rc)
			be_fail(&nb->host, rc, "the %s port cannot be used (%s)", nb->port->kind,
			        strerror(-rc));
	}
	if (!rc)
		rc = rate_start(nb);
	if (rc) {
		stop(nb);
		return rc;
	}
	for (unsigned i = 0; i < nb->nr_queues; i++)
		netback_tx_room(&nb->queue[i]);
	return 0;
}

static void netback_disconnect(void *device)
{
	struct netback *nb = device;

	if (nb->queue)
		stop(nb);
}

const struct be_driver netback_driver = { .kind = "vif",
	                                  .init = netback_init,
	                                  .connect = netback_connect,
	                                  .disconnect = netback_disconnect };

/* ---- the device ------------------------------------------------------------------------------- */

int netback_create(struct netback **out, const struct be_host_dev *host, struct netport *port,
                   const struct netback_options *options)
{
	struct netback *nb = calloc(1, sizeof(*nb));

	if (!nb)
		return -ENOMEM;
	nb->host = *host;
	nb->port = port;
	nb->opt = *options;
	if (!nb->opt.max_queues)
		nb->opt.max_queues = DEFAULT_QUEUES;
	if (nb->opt.max_queues > NETBACK_MAX_QUEUES)
		nb->opt.max_queues = NETBACK_MAX_QUEUES;
	if (nb->opt.max_queues > port->max_queues)
		nb->opt.max_queues = port->max_queues;
	if (!nb->opt.mtu)
		nb->opt.mtu = port->mtu;
	pthread_mutex_init(&nb->lock, NULL);
	pthread_mutex_init(&nb->rate_lock, NULL);
	pthread_cond_init(&nb->rate_cond, NULL);
	*out = nb;
	return 0;
}

void netback_destroy(struct netback *nb)
{
	pthread_cond_destroy(&nb->rate_cond);
	pthread_mutex_destroy(&nb->rate_lock);
	pthread_mutex_destroy(&nb->lock);
	free(nb);
}

void netback_get_stats(struct netback *nb, struct netback_stats *out)
{
	pthread_mutex_lock(&nb->lock);
	*out = nb->past;
	for (unsigned i = 0; nb->queue && i < nb->nr_queues; i++)
		add_figures(out, &nb->queue[i]);
	pthread_mutex_unlock(&nb->lock);
}
