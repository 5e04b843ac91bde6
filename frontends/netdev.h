/* SPDX-License-Identifier: MIT */
/*
 * A network interface as a kernel sees it, whatever is beneath: packets out, packets in, with what
 * the other side is asked to do to them.
 *
 * Packets are built of buffers, which are pages of the kernel's; the device takes a buffer and gives
 * it back when it is done. Nothing is copied unless the device has to.
 *
 * Invariant: every buffer that the device has taken comes back exactly once: by sent() or by
 * receive, also when the device goes away and also when its back-end is restarted (packets that were
 * under way then are lost, as on a wire).
 */
#ifndef FRONTENDS_NETDEV_H
#define FRONTENDS_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvops/pvguest.h"

#define NETDEV_NAME      16
#define NETDEV_MAX_FRAGS 18 /* of one packet */

enum netdev_gso { NETDEV_GSO_NONE, NETDEV_GSO_TCPV4, NETDEV_GSO_TCPV6 };

/* A piece of one page, in the identity map. */
struct netdev_frag {
	void *va;
	uint32_t len;
};

struct netdev_packet {
	struct netdev_frag frags[NETDEV_MAX_FRAGS]; /* the first holds all headers */
	unsigned nr_frags;
	uint32_t len;
	bool csum_partial; /* out: fill in TCP's or UDP's checksum (the field holds the sum of the
	                      pseudo-header); in: it has not been filled in, and need not be checked */
	bool csum_valid;   /* in: it was found right */
	uint8_t gso;       /* enum netdev_gso */
	uint16_t gso_size; /* payload of a segment */
	void *arg;         /* out: the caller's, for sent() */
};

struct netdev_info {
	uint8_t mac[6];
	unsigned mtu, queues;
	unsigned tx_depth, rx_depth; /* slots of a queue */
	bool link_up, csum_ipv4, csum_ipv6, gso_ipv4, gso_ipv6, sg;
};

struct netdev_stats {
	uint64_t tx_packets, tx_bytes, tx_dropped, rx_packets, rx_bytes, rx_dropped, rx_errors;
	uint64_t notifications, events, reconnects;
};

struct netdev;

/* What the kernel does for the device. Called from the event handler or from netdev_poll(), events
 * masked. */
struct netdev_client {
	/*
	 * A packet has come. The pages of its pieces are the kernel's from now on; an empty page for
	 * each is asked for by page_alloc() of pv_hooks. No lock of the device's is held.
	 */
	void (*receive)(struct netdev *dev, unsigned queue, struct netdev_packet *pkt);
	/* The pieces of a packet that was taken are the kernel's again; ok: it has left. */
	void (*sent)(struct netdev *dev, unsigned queue, void *arg, bool ok);
	/* A series of the two above is at its end: the place to answer and to kick. May be NULL. */
	void (*done)(struct netdev *dev, unsigned queue);
	/* There is room again after -XEN_EAGAIN; or the link or the device has changed. May be NULL. */
	void (*room)(struct netdev *dev, unsigned queue);
	void (*changed)(struct netdev *dev);
	/*
	 * netdev_service() has something to do: the other side is closing, has started again, or lies.
	 * To wake a thread with. NULL: the kernel calls it now and then.
	 */
	void (*attention)(struct netdev *dev);
};

struct netdev_ops {
	int (*send)(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt);
	void (*kick)(struct netdev *dev, unsigned queue);
	unsigned (*poll)(struct netdev *dev, unsigned queue, unsigned budget);
	void (*info)(struct netdev *dev, struct netdev_info *info);
	void (*stats)(struct netdev *dev, struct netdev_stats *stats);
	void (*service)(struct netdev *dev);
	void (*close)(struct netdev *dev);
};

struct netdev {
	const struct netdev_ops *ops;
	char name[NETDEV_NAME]; /* "eth0" */
	struct netdev_client client;
	void *arg; /* the kernel's */
};

/*
 * netdev_send - hand a packet to the device
 * The other side may not be told before netdev_kick(): so that a batch costs one notification.
 * Returns 0; -XEN_EAGAIN when there is no room (room() follows); -XEN_EINVAL; -XEN_ENODEV.
 * Context: any; one caller at a time for each queue.
 */
static inline int netdev_send(struct netdev *dev, unsigned queue, const struct netdev_packet *pkt)
{
	return dev->ops->send(dev, queue, pkt);
}

static inline void netdev_kick(struct netdev *dev, unsigned queue)
{
	dev->ops->kick(dev, queue);
}

/* Looks after the connection; may wait, for seconds when the other side does not answer. */
static inline void netdev_service(struct netdev *dev)
{
	dev->ops->service(dev);
}

/* Handles what has come and gone, up to budget packets; returns how many. */
static inline unsigned netdev_poll(struct netdev *dev, unsigned queue, unsigned budget)
{
	return dev->ops->poll(dev, queue, budget);
}

static inline void netdev_get_info(struct netdev *dev, struct netdev_info *info)
{
	dev->ops->info(dev, info);
}

static inline void netdev_get_stats(struct netdev *dev, struct netdev_stats *stats)
{
	dev->ops->stats(dev, stats);
}

static inline void netdev_close(struct netdev *dev)
{
	dev->ops->close(dev);
}

/*
 * The interfaces of the paravirtual machine (netfront.c).
 * netfront_each: calls fn with the store's name ("device/vif/0") and number of each.
 * netfront_open: connects; -XEN_ENODEV, -XEN_ETIMEDOUT, or what the store or the tables answered.
 * netfront_start: call-backs may be called from now on; once, after netfront_open().
 */
int netfront_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg);
int netfront_open(const char *node, const struct netdev_client *client, void *arg,
                  struct netdev **dev);
void netfront_start(struct netdev *dev);

/*
 * The interfaces of whatever machine this is (devices.c): as the three above where there is a
 * hypervisor; where there is none (pv_is_native()) its Ethernet cards (native/e1000.c), and there is
 * no store.
 */
int netdev_each(int (*fn)(const char *node, unsigned handle, void *arg), void *arg);
int netdev_open(const char *node, const struct netdev_client *client, void *arg,
                struct netdev **dev);
void netdev_start(struct netdev *dev);

#endif /* FRONTENDS_NETDEV_H */
