/* SPDX-License-Identifier: MIT */
/*
 * A port that is a TAP device of the host: packets with virtio-net's header in front, so that
 * checksums and segmentation are left to whoever does them best, both ways.
 *
 * The device is made by somebody with the privilege (ip tuntap add ... user NAME) or, with
 * CAP_NET_ADMIN, by this. Sources: Linux's Documentation/networking/tuntap.rst, linux/if_tun.h,
 * virtio 1.2, 5.1.6.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/netport_fd.h"

struct tap {
	struct fdport p; /* first */
	char name[IFNAMSIZ];
	unsigned offloads; /* TUN_F_* that the guest takes */
};

static void to_header(const struct netpkt_meta *m, struct virtio_net_hdr *h)
{
	memset(h, 0, sizeof(*h));
	if (m->csum_partial) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = m->csum_start;
		h->csum_offset = m->csum_offset;
	} else if (m->csum_valid) {
		h->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (m->gso == NETPKT_GSO_NONE)
		return;
	h->gso_type = m->gso == NETPKT_GSO_TCPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
	                                         : VIRTIO_NET_HDR_GSO_TCPV6;
	h->gso_size = m->gso_size;
	h->hdr_len = m->hdr_len;
}

static int from_header(const struct virtio_net_hdr *h, struct netpkt_meta *m)
{
	unsigned type = h->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;

	m->csum_partial = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	m->csum_valid = h->flags & VIRTIO_NET_HDR_F_DATA_VALID;
	m->csum_start = h->csum_start;
	m->csum_offset = h->csum_offset;
	m->hdr_len = h->hdr_len;
	m->gso_size = h->gso_size;
	if (type == VIRTIO_NET_HDR_GSO_TCPV4)
		m->gso = NETPKT_GSO_TCPV4;
	else if (type == VIRTIO_NET_HDR_GSO_TCPV6)
		m->gso = NETPKT_GSO_TCPV6;
	else if (type != VIRTIO_NET_HDR_GSO_NONE)
		return -EPROTO;
	return 0;
}

static int tap_read(struct fdport *p, unsigned queue, struct iovec *iov, unsigned nr,
                    struct netpkt_meta *meta)
{
	struct virtio_net_hdr h;
	struct iovec all[NETPKT_MAX_IOV + 1];
	ssize_t len;

	all[0].iov_base = &h;
	all[0].iov_len = sizeof(h);
	memcpy(all + 1, iov, nr * sizeof(*iov));
	do
		len = readv(p->queue[queue].fd, all, (int)nr + 1);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? 0 : -errno; /* EBADFD, EIO: the device was deleted */
	if ((size_t)len <= sizeof(h) || from_header(&h, meta))
		return 0;
	return (int)(len - (ssize_t)sizeof(h));
}

static int tap_write(struct fdport *p, unsigned queue, struct netpkt *pkt)
{
	struct virtio_net_hdr h;
	struct iovec all[NETPKT_MAX_IOV + 1];
	ssize_t rc;

	to_header(&pkt->meta, &h);
	all[0].iov_base = &h;
	all[0].iov_len = sizeof(h);
	memcpy(all + 1, pkt->iov, pkt->nr_iov * sizeof(pkt->iov[0]));
	do
		rc = writev(p->queue[queue].fd, all, (int)pkt->nr_iov + 1);
	while (rc < 0 && errno == EINTR);
	return rc < 0 && errno == EAGAIN ? -EAGAIN : 0;
}

static int tap_configure(struct fdport *p, bool csum, bool gso4, bool gso6, unsigned nr_queues)
{
	struct tap *t = (struct tap *)p;
	unsigned flags = (csum ? TUN_F_CSUM : 0) | (gso4 ? TUN_F_TSO4 : 0) |
	                 (gso6 ? TUN_F_TSO6 : 0);

	t->offloads = flags;
	for (unsigned i = 0; i < p->nr_fds; i++) {
		struct ifreq ifr = { .ifr_flags = i < nr_queues ? IFF_ATTACH_QUEUE
			                                        : IFF_DETACH_QUEUE };

		if (ioctl(p->queue[i].fd, TUNSETOFFLOAD, (unsigned long)flags))
			return -errno;
		/* What the guest does not serve must not get packets. */
		if (p->nr_fds > 1 && ioctl(p->queue[i].fd, TUNSETQUEUE, &ifr) && errno != EINVAL)
			return -errno;
	}
	return 0;
}

static void tap_release(struct fdport *p)
{
	fdport_fini(p);
	free(p);
}

static int attach_device(int fd, const char *name, bool multi)
{
	struct ifreq ifr = { 0 };

	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi ? IFF_MULTI_QUEUE : 0));
	memcpy(ifr.ifr_name, name, strlen(name));
	return ioctl(fd, TUNSETIFF, &ifr) ? -errno : 0;
}

static bool device_is_there(const char *name)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	memcpy(ifr.ifr_name, name, strlen(name));
	rc = s < 0 ? -1 : ioctl(s, SIOCGIFINDEX, &ifr);
	if (s >= 0)
		close(s);
	return !rc;
}

/* Somebody has deleted the device. If it has been made again this takes it; it makes none itself. */
static int tap_revive(struct fdport *p, unsigned queue)
{
	struct tap *t = (struct tap *)p;
	int fd = p->queue[queue].fd, rc;

	if (!device_is_there(t->name))
		return -ENODEV;
	rc = attach_device(fd, t->name, p->nr_fds > 1);
	if (!rc && ioctl(fd, TUNSETOFFLOAD, (unsigned long)t->offloads))
		rc = -errno;
	return rc;
}

static const struct fdport_kind tap_kind = { .read = tap_read,
	                                     .write = tap_write,
	                                     .configure = tap_configure,
	                                     .revive = tap_revive,
	                                     .release = tap_release,
	                                     .may_lend = true };

static int open_queue(const char *name, bool multi, int *fd, char *why, size_t why_len)
{
	int rc;

	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0) {
		rc = -errno;
		snprintf(why, why_len,
		         "/dev/net/tun cannot be opened (%s); load the module tun, or "
		         "give this user access to it",
		         strerror(-rc));
		return rc;
	}
	rc = attach_device(*fd, name, multi);
	if (!rc)
		return 0;
	snprintf(why, why_len,
	         rc == -EBUSY ? "TAP device %s is in use by another program"
	         : rc == -EINVAL
	                 ? "%s is no TAP device, or one with another number of queues; make it by "
	                   "'ip tuntap add dev NAME mode tap%s'"
	                 : "TAP device %s cannot be used; let its owner make it by 'ip tuntap add "
	                   "dev NAME mode tap user USER%s'",
	         name, multi ? " multi_queue" : "");
	close(*fd);
	return rc;
}

static unsigned device_mtu(const char *name)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (s < 0)
		return 0;
	memcpy(ifr.ifr_name, name, strlen(name));
	rc = ioctl(s, SIOCGIFMTU, &ifr);
	close(s);
	return rc || ifr.ifr_mtu < 0 ? 0 : (unsigned)ifr.ifr_mtu;
}

int netport_open_tap(struct netport **out, const char *name, unsigned queues, char *why,
                     size_t why_len)
{
	int fds[FDPORT_MAX_QUEUES], rc = 0;
	unsigned nr = 0;
	struct tap *t;

	if (!name[0] || strlen(name) >= IFNAMSIZ) {
		snprintf(why, why_len, "'%s' is no name of a device; it has 1 to 15 characters",
		         name);
		return -EINVAL;
	}
	if (!queues)
		queues = 1;
	if (queues > FDPORT_MAX_QUEUES)
		queues = FDPORT_MAX_QUEUES;
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(why, why_len, "no memory is left for TAP device %s", name);
		return -ENOMEM;
	}
	for (; nr < queues && !rc; nr += !rc)
		rc = open_queue(name, queues > 1, &fds[nr], why, why_len);
	if (!rc) {
		rc = fdport_init(&t->p, &tap_kind, fds, nr);
		if (rc)
			snprintf(why, why_len,
			         "no descriptor is left for TAP device %s; allow more "
			         "(ulimit -n)",
			         name);
	}
	if (rc) {
		while (nr--)
			close(fds[nr]);
		free(t);
		return rc;
	}
	strcpy(t->name, name);
	t->p.port.kind = "tap";
	t->p.port.offload = true;
	t->p.port.mtu = device_mtu(name);
	*out = &t->p.port;
	return 0;
}
