/* SPDX-License-Identifier: MIT */
/*
 * Ports that are unix sockets: a stream in the framing that QEMU's stream netdev and passt speak
 * (four bytes of length, most significant first, then the packet), and datagrams.
 *
 * What comes from the peer is not trusted: a length that no packet has ends the connection. A peer
 * that does not read stops the sending guest's queue (back-pressure) until it does; one that goes
 * away takes the carrier with it, packets are lost meanwhile, and with a path the port connects
 * again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/netport_fd.h"

#define FRAME  4
#define BUFFER (256 * 1024) /* of what has come and is not yet handed on */

struct stream {
	struct fdport p;      /* first */
	pthread_mutex_t lock; /* writing, and the change of the descriptor */
	struct sockaddr_un path;
	bool reconnects;
	/* In: bytes [from, to) of in wait to be cut into packets. */
	uint8_t *in;
	size_t from, to;
	/* Out: the rest of a packet of which a part has been sent. */
	uint8_t *out;
	size_t out_from, out_to;
};

/* ---- the stream, inwards ---------------------------------------------------------------------- */

/* 0: there is nothing more now; 1: something came; negative: the end. */
static int fill(struct stream *s)
{
	ssize_t n;

	if (s->from) {
		memmove(s->in, s->in + s->from, s->to - s->from);
		s->to -= s->from;
		s->from = 0;
	}
	do
		n = recv(s->p.queue[0].fd, s->in + s->to, BUFFER - s->to, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		s->to += (size_t)n;
		return 1;
	}
	return n < 0 && errno == EAGAIN ? 0 : -EPIPE;
}

static void hang_up(struct stream *s)
{
	pthread_mutex_lock(&s->lock);
	close(s->p.queue[0].fd);
	s->p.queue[0].fd = -1;
	s->from = s->to = s->out_from = s->out_to = 0;
	pthread_mutex_unlock(&s->lock);
}

static void spread(const uint8_t *bytes, uint32_t len, struct iovec *iov, unsigned nr)
{
	for (unsigned i = 0; i < nr && len; i++) {
		size_t piece = len < iov[i].iov_len ? len : iov[i].iov_len;

		memcpy(iov[i].iov_base, bytes, piece);
		bytes += piece;
		len -= (uint32_t)piece;
	}
}

static int stream_read(struct fdport *p, unsigned queue, struct iovec *iov, unsigned nr,
                       struct netpkt_meta *meta)
{
	struct stream *s = (struct stream *)p;

	(void)queue;
	(void)meta;
	for (;;) {
		size_t have = s->to - s->from;
		const uint8_t *f = s->in + s->from;
		uint32_t len = 0;
		int rc;

		if (have >= FRAME) {
			len = (uint32_t)f[0] << 24 | (uint32_t)f[1] << 16 | (uint32_t)f[2] << 8 |
			      f[3];
			if (!len || len > NETPKT_MAX_LEN) {
				hang_up(s);
				return -EPROTO;
			}
		}
		if (!len || have - FRAME < len) {
			rc = fill(s);
			if (rc < 0)
				hang_up(s);
			if (rc <= 0)
				return rc;
			continue;
		}
		s->from += FRAME + len;
		/* What is longer than the link's packets, or no packet at all, is lost. */
		if (len < NETPKT_MIN_LEN || len > p->most)
			continue;
		spread(f + FRAME, len, iov, nr);
		return (int)len;
	}
}

/* ---- the stream, outwards --------------------------------------------------------------------- */

/* Keeps what a packet's sending left over: from byte done of its frame on. Lock: s->lock. */
static void keep_rest(struct stream *s, const struct iovec *iov, unsigned nr, size_t done)
{
	s->out_from = s->out_to = 0;
	for (unsigned i = 0; i < nr; i++) {
		size_t len = iov[i].iov_len, skip = done < len ? done : len;

		memcpy(s->out + s->out_to, (const uint8_t *)iov[i].iov_base + skip, len - skip);
		s->out_to += len - skip;
		done -= skip;
	}
}

/* Lock: s->lock. -EAGAIN: some of the last packet still waits. */
static int send_rest(struct stream *s)
{
	while (s->out_from < s->out_to) {
		ssize_t n = send(s->p.queue[0].fd, s->out + s->out_from, s->out_to - s->out_from,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (n < 0) {
			/* The reading side finds out, too, and hangs up. */
			s->out_from = s->out_to = 0;
			break;
		}
		s->out_from += (size_t)n;
	}
	return 0;
}

static int stream_go_on(struct fdport *p, unsigned queue)
{
	struct stream *s = (struct stream *)p;
	int rc;

	(void)queue;
	pthread_mutex_lock(&s->lock);
	rc = send_rest(s);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int stream_write(struct fdport *p, unsigned queue, struct netpkt *pkt)
{
	struct stream *s = (struct stream *)p;
	uint8_t frame[FRAME] = { (uint8_t)(pkt->len >> 24), (uint8_t)(pkt->len >> 16),
		                 (uint8_t)(pkt->len >> 8), (uint8_t)pkt->len };
	struct iovec iov[NETPKT_MAX_IOV + 1];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = pkt->nr_iov + 1 };
	ssize_t n;
	int rc = 0;

	(void)queue;
	iov[0].iov_base = frame;
	iov[0].iov_len = sizeof(frame);
	memcpy(iov + 1, pkt->iov, pkt->nr_iov * sizeof(pkt->iov[0]));
	pthread_mutex_lock(&s->lock);
	if (s->p.queue[0].fd < 0)
		goto out;
	rc = send_rest(s);
	if (rc)
		goto out;
	do
		n = sendmsg(s->p.queue[0].fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		rc = errno == EAGAIN ? -EAGAIN : 0;
	else if ((size_t)n < pkt->len + FRAME)
		keep_rest(s, iov, pkt->nr_iov + 1, (size_t)n);
out:
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int stream_revive(struct fdport *p, unsigned queue)
{
	struct stream *s = (struct stream *)p;
	int fd;

	(void)queue;
	if (!s->reconnects)
		return -ENOTCONN;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&s->path, sizeof(s->path))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	pthread_mutex_lock(&s->lock);
	s->p.queue[0].fd = fd;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void stream_release(struct fdport *p)
{
	struct stream *s = (struct stream *)p;

	fdport_fini(p);
	pthread_mutex_destroy(&s->lock);
	free(s->in);
	free(s->out);
	free(s);
}

static const struct fdport_kind stream_kind = { .read = stream_read,
	                                        .write = stream_write,
	                                        .go_on = stream_go_on,
	                                        .revive = stream_revive,
	                                        .release = stream_release };

int netport_open_stream(struct netport **out, int fd, const char *reconnect, char *why,
                        size_t why_len)
{
	struct stream *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	if (reconnect && strlen(reconnect) >= sizeof(s->path.sun_path)) {
		free(s);
		snprintf(why, why_len, "the path '%s' is too long for a socket", reconnect);
		return -ENAMETOOLONG;
	}
	if (s) {
		s->in = malloc(BUFFER);
		s->out = malloc(NETPKT_MAX_LEN + FRAME);
	}
	if (!s || !s->in || !s->out || fcntl(fd, F_SETFL, O_NONBLOCK))
		goto fail;
	pthread_mutex_init(&s->lock, NULL);
	s->path.sun_family = AF_UNIX;
	s->reconnects = reconnect;
	if (reconnect)
		memcpy(s->path.sun_path, reconnect, strlen(reconnect) + 1);
	rc = fdport_init(&s->p, &stream_kind, &fd, 1);
	if (rc)
		goto fail;
	s->p.port.kind = "stream";
	*out = &s->p.port;
	return 0;
fail:
	if (s) {
		free(s->in);
		free(s->out);
	}
	free(s);
	snprintf(why, why_len, "a network port cannot be made: %s", strerror(-rc));
	return rc;
}

/* ---- datagrams -------------------------------------------------------------------------------- */

struct dgram {
	struct fdport p; /* first */
	struct sockaddr_un path;
	bool reconnects;
};

static int dgram_read(struct fdport *p, unsigned queue, struct iovec *iov, unsigned nr,
                      struct netpkt_meta *meta)
{
	(void)meta;
	for (;;) {
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr };
		ssize_t n = recvmsg(p->queue[queue].fd, &msg, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		/* Nothing there, or word that the peer is not there now: it may come back. */
		if (n < 0)
			return 0;
		if (n < NETPKT_MIN_LEN || (msg.msg_flags & MSG_TRUNC))
			continue;
		return (int)n;
	}
}

/* The first that is sent to a peer that has gone is refused, and with that the connection ends. */
static bool is_gone(int error)
{
	return error == ECONNREFUSED || error == ENOTCONN;
}

/* Is there another by its name? */
static bool dgram_finds_another(struct dgram *d)
{
	return d->reconnects &&
	       !connect(d->p.queue[0].fd, (struct sockaddr *)&d->path, sizeof(d->path));
}

static int dgram_write(struct fdport *p, unsigned queue, struct netpkt *pkt)
{
	struct msghdr msg = { .msg_iov = pkt->iov, .msg_iovlen = pkt->nr_iov };
	bool has_looked = false;
	ssize_t n;

	do
		n = sendmsg(p->queue[queue].fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && (errno == EINTR || (!has_looked && is_gone(errno) && (has_looked = true) &&
	                                    dgram_finds_another((struct dgram *)p))));
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? -EAGAIN : 0;
}

static void dgram_release(struct fdport *p)
{
	fdport_fini(p);
	free(p);
}

static const struct fdport_kind dgram_kind = {
	.read = dgram_read, .write = dgram_write, .release = dgram_release, .may_lend = true
};

int netport_open_dgram(struct netport **out, int fd, const char *reconnect, char *why,
                       size_t why_len)
{
	struct dgram *d = calloc(1, sizeof(*d));
	int rc = d ? 0 : -ENOMEM;

	if (d && reconnect) {
		d->path.sun_family = AF_UNIX;
		d->reconnects = true;
		if (strlen(reconnect) < sizeof(d->path.sun_path))
			strcpy(d->path.sun_path, reconnect);
		else
			rc = -ENAMETOOLONG;
	}
	if (!rc)
		rc = fdport_init(&d->p, &dgram_kind, &fd, 1);
	if (rc) {
		free(d);
		snprintf(why, why_len, "a network port cannot be made: %s", strerror(-rc));
		return rc;
	}
	d->p.port.kind = "dgram";
	*out = &d->p.port;
	return 0;
}
