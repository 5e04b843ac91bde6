/* SPDX-License-Identifier: MIT */
/*
 * An NBD connection up to the first request: addresses, connecting, negotiating.
 *
 * A server is foreign: each length is checked before it is used, and each wait has an end.
 */
#ifndef BACKENDS_NBD_CLIENT_H
#define BACKENDS_NBD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "backends/nbd_wire.h"

struct nbd_address {
	struct sockaddr_storage to;
	socklen_t to_len;
	char export_name[NBD_MAX_NAME + 1]; /* empty: the server's default */
};

/* What the server says of the export. */
struct nbd_export {
	uint64_t size;
	uint16_t flags;                      /* NBD_READ_ONLY... */
	uint32_t min_block, preferred_block; /* bytes; 0: not said */
	uint32_t max_payload;                /* bytes of one request */
	bool structured;
};

/*
 * nbd_parse - nbd:unix:PATH[:exportname=NAME], nbd:HOST:PORT[:exportname=NAME],
 *             nbd://HOST[:PORT][/NAME], nbd+unix:///[NAME]?socket=PATH
 * HOST: an address in digits (IPv6 in brackets), or a name in /etc/hosts.
 * Returns 0, or -EINVAL with a sentence in why.
 */
int nbd_parse(struct nbd_address *a, const char *text, char *why, size_t why_len);

/*
 * nbd_connect - connects and negotiates
 *
 * until_ns: of CLOCK_MONOTONIC: when it must be done
 * stop_fd:  when that becomes readable, enough; -1: none
 * Returns a descriptor that does not block; or a negative errno with a sentence in why.
 */
int nbd_connect(const struct nbd_address *a, struct nbd_export *e, uint64_t until_ns, int stop_fd,
                char *why, size_t why_len);

/* All of len bytes, or a negative errno: -ECONNRESET at the end, -ETIMEDOUT, -EINTR for stop_fd. */
int nbd_read(int fd, void *to, size_t len, uint64_t until_ns, int stop_fd);
int nbd_write(int fd, const void *from, size_t len, uint64_t until_ns, int stop_fd);
/* The same for a vector, which is changed. */
int nbd_readv(int fd, struct iovec *iov, unsigned nr, uint64_t until_ns, int stop_fd);

uint64_t nbd_now_ns(void);

#endif
