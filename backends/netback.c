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
#define VALUE_MAX      64

void netback_complain(struct netback_queue *q, const char *fmt, ...)
{
	const struct be_host_dev *host = &q->nb->host;
	char line[192];
	va_list ap;
	int len = snprintf(line, sizeof(line), "network queue %u: ", q->index);

	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	va_end(ap);
	host->ops->complain(host->arg, line);
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

static int put(struct netback *nb, const char *node, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return nb->host.ops->write(nb->host.arg, node, text);
}

/* A number that the front-end wrote; fallback when it wrote none. -EINVAL for nonsense. */
static int get(struct netback *nb, const char *dir, const char *node, unsigned fallback,
               unsigned *value)
{
	char path[VALUE_MAX], text[VALUE_MAX], *end;
	unsigned long long n;
	int rc;

	snprintf(path, sizeof(path), "%s%s", dir, node);
	rc = nb->host.ops->read(nb->host.arg, BE_FRONT, path, text, sizeof(text));
	if (rc == -ENOENT) {
		*value = fallback;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	n = strtoull(text, &end, 10);
	if (*end || n > UINT32_MAX)
		return -EINVAL;
	*value = (unsigned)n;
	return 0;
}

static int need(struct netback *nb, const char *dir, const char *node, unsigned *value)
{
	int rc = get(nb, dir, node, UINT32_MAX, value);

	return rc ? rc : *value == UINT32_MAX ? -ENOENT : 0;
}

static bool feature(struct netback *nb, const char *node)
{
	unsigned value;

	return !get(nb, "", node, 0, &value) && value;
}

static int netback_init(void *device)
{
	static const char *const offers[] = { "feature-sg",        "feature-gso-tcpv4",
		                              "feature-gso-tcpv6", "feature-ipv6-csum-offload",
		                              "feature-rx-copy",   "feature-split-event-channels" };
	struct netback *nb = device;
	const uint8_t *m = nb->opt.mac;
	char mac[18];
	int rc;

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
	         m[5]);
	rc = nb->host.ops->write(nb->host.arg, "mac", mac);
	for (size_t i = 0; !rc && i < sizeof(offers) / sizeof(offers[0]); i++)
		rc = put(nb, offers[i], 1);
	if (!rc)
		rc = put(nb, "feature-rx-flip", 0);
	if (!rc)
		rc = put(nb, "feature-multicast-control", 0);
	if (!rc)
		rc = put(nb, "multi-queue-max-queues", nb->opt.max_queues);
	if (!rc && nb->opt.mtu)
		rc = put(nb, "mtu", nb->opt.mtu);
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
		return -EFAULT;
	if (host->ops->map(host->arg, rx, false, &q->rx_page))
		return -EFAULT;
	/* A ring that was in use goes on behind what was answered; a new one is at 0. */
	BACK_RING_ATTACH(&q->tx, (struct netif_tx_sring *)q->tx_page.ptr,
	                 PV_ABI_RING_GET(((struct netif_tx_sring *)q->tx_page.ptr)->rsp_prod),
	                 NETBACK_PAGE);
	BACK_RING_ATTACH(&q->rx, (struct netif_rx_sring *)q->rx_page.ptr,
	                 PV_ABI_RING_GET(((struct netif_rx_sring *)q->rx_page.ptr)->rsp_prod),
	                 NETBACK_PAGE);
	return 0;
}

static int bind_ports(struct netback_queue *q)
{
	const struct be_host_dev *host = &q->nb->host;
	int rc = host->ops->bind(host->arg, q->tx_port, q->split ? on_tx : on_both, q);

	if (rc)
		return rc;
	q->bound_tx = true;
	if (!q->split)
		return 0;
	rc = host->ops->bind(host->arg, q->rx_port, on_rx, q);
	q->bound_rx = !rc;
	return rc;
}

static int read_ports(struct netback_queue *q, const char *dir)
{
	struct netback *nb = q->nb;
	unsigned tx, rx;

	if (!need(nb, dir, "event-channel-tx", &tx)) {
		int rc = need(nb, dir, "event-channel-rx", &rx);

		if (rc)
			return rc;
		q->split = true;
	} else {
		int rc = need(nb, dir, "event-channel", &tx);

		if (rc)
			return rc;
		rx = tx;
	}
	q->tx_port = tx;
	q->rx_port = rx;
	return 0;
}

/* On failure what was mapped and bound is undone by queue_close(). */
static int queue_open(struct netback *nb, struct netback_queue *q, unsigned index)
{
	char dir[VALUE_MAX] = "";
	unsigned tx, rx;
	int rc;

	q->nb = nb;
	q->index = index;
	pthread_mutex_init(&q->tx_lock, NULL);
	if (nb->nr_queues > 1)
		snprintf(dir, sizeof(dir), "queue-%u/", index);
	rc = need(nb, dir, "tx-ring-ref", &tx);
	if (!rc)
		rc = need(nb, dir, "rx-ring-ref", &rx);
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
	unsigned queues, copy;
	int rc = get(nb, "", "multi-queue-num-queues", 1, &queues);

	if (rc)
		return rc;
	if (!queues || queues > nb->opt.max_queues)
		return -EINVAL;
	/* Pages are not flipped: the front-end has to say that it takes copies. */
	rc = get(nb, "", "request-rx-copy", 0, &copy);
	if (rc)
		return rc;
	if (!copy)
		return -EOPNOTSUPP;
	nb->nr_queues = queues;
	nb->fe_sg = feature(nb, "feature-sg");
	nb->fe_gso4 = feature(nb, "feature-gso-tcpv4");
	nb->fe_gso6 = feature(nb, "feature-gso-tcpv6");
	nb->fe_csum4 = !feature(nb, "feature-no-csum-offload");
	nb->fe_csum6 = feature(nb, "feature-ipv6-csum-offload");
	return 0;
}

/* The guest's events first, then what could go on by itself, then the world outside. */
static void stop(struct netback *nb)
{
	for (unsigned i = 0; i < nb->nr_queues; i++)
		unbind_ports(&nb->queue[i]);
	rate_end(nb);
	nb->port->ops->attach(nb->port, NULL, 0);
	close_queues(nb, nb->nr_queues);
}

/*
 * The port is attached last but one, events come last: an event finds everything there, and so does
 * a packet from outside. What the guest had put into its ring before is looked at once.
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
	sink.arg = nb;
	rc = nb->port->ops->attach(nb->port, &sink, nb->nr_queues);
	if (rc)
		goto close;
	rc = rate_start(nb);
	for (unsigned i = 0; !rc && i < nb->nr_queues; i++)
		rc = bind_ports(&nb->queue[i]);
	if (rc)
		goto stop;
	for (unsigned i = 0; i < nb->nr_queues; i++)
		on_both(&nb->queue[i]);
	return 0;
stop:
	stop(nb);
	return rc;
close:
	close_queues(nb, nb->nr_queues);
	return rc;
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
