/* SPDX-License-Identifier: MIT */
/*
 * An NBD server for tests; see nbd_server.h.
 */
#include "tests/fake/nbd_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/nbd_wire.h"

static bool get(struct nbd_server *n, void *to, size_t len)
{
	return !len || recv(n->fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static bool put(struct nbd_server *n, const void *from, size_t len)
{
	return !len || send(n->fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* ---- negotiation ----------------------------------------------------------------------------------- */

static bool reply(struct nbd_server *n, uint32_t option, uint32_t type, const void *data,
                  uint32_t len)
{
	enum nbd_lie lie = atomic_load(&n->lie);
	char head[20], *at = head;

	at = nbd_put64(at, NBD_REPLY_MAGIC);
	at = nbd_put32(at, lie == NBD_OTHER_OPTION ? option + 1 : option);
	nbd_put32(nbd_put32(at, type), lie == NBD_LONG_REPLY ? 1u << 30 : len);
	return put(n, head, sizeof(head)) && put(n, data, len);
}

static bool tell_export(struct nbd_server *n)
{
	enum nbd_lie lie = atomic_load(&n->lie);
	char info[14];

	if (lie == NBD_NO_EXPORT)
		return reply(n, NBD_OPT_GO, NBD_REP_UNKNOWN, "no \033[1m such", 12) && false;
	nbd_put16(nbd_put64(nbd_put16(info, NBD_INFO_EXPORT), n->size), n->flags);
	if (lie != NBD_NO_SIZE &&
	    !reply(n, NBD_OPT_GO, NBD_REP_INFO, info, lie == NBD_INFO_TOO_SHORT ? 5 : 12))
		return false;
	nbd_put32(nbd_put32(nbd_put32(nbd_put16(info, NBD_INFO_BLOCK), 1), 4096), 32u << 20);
	return reply(n, NBD_OPT_GO, NBD_REP_INFO, info, 14) &&
	       reply(n, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

static bool one_option(struct nbd_server *n, bool *over)
{
	char head[16], data[8192], tail[10];
	uint32_t option, len;

	if (!get(n, head, sizeof(head)))
		return false;
	option = nbd_get32(head + 8);
	len = nbd_get32(head + 12);
	if (nbd_get64(head) != NBD_OPT_MAGIC || len > sizeof(data) || !get(n, data, len))
		return false;
	if (atomic_load(&n->lie) == NBD_HANGS_UP_IN_GREETING)
		return false;
	if (option == NBD_OPT_STRUCT) {
		n->structured = !n->no_structured;
		return reply(n, option, n->structured ? NBD_REP_ACK : NBD_REP_UNSUP, NULL, 0);
	}
	*over = true;
	if (option == NBD_OPT_GO && !n->no_go)
		return tell_export(n);
	if (option == NBD_OPT_NAME) {
		nbd_put16(nbd_put64(tail, n->size), n->flags);
		return put(n, tail, sizeof(tail));
	}
	*over = false;
	return reply(n, option, NBD_REP_UNSUP, NULL, 0);
}

static bool greet(struct nbd_server *n)
{
	enum nbd_lie lie = atomic_load(&n->lie);
	char hello[18], flags[4];
	bool over = false;

	n->structured = false;
	nbd_put64(nbd_put64(hello, lie == NBD_OTHER_MAGIC ? 7 : NBD_MAGIC), NBD_OPT_MAGIC);
	nbd_put16(hello + 16, lie == NBD_OLD_STYLE ? 0 : NBD_FIXED | NBD_NO_ZEROES);
	if (lie == NBD_SAYS_NOTHING)
		return recv(n->fd, flags, 1, 0) > 0;
	if (!put(n, hello, sizeof(hello)) || !get(n, flags, sizeof(flags)))
		return false;
	while (!over)
		if (!one_option(n, &over))
			return false;
	return true;
}

/* ---- commands ---------------------------------------------------------------------------------------- */

struct command {
	uint16_t flags, type;
	uint64_t cookie, offset;
	uint32_t len;
};

static bool simple(struct nbd_server *n, uint64_t cookie, uint32_t error)
{
	char head[NBD_SIMPLE_LEN];

	nbd_put64(nbd_put32(nbd_put32(head, NBD_SIMPLE), error), cookie);
	return put(n, head, sizeof(head));
}

static bool chunk(struct nbd_server *n, uint64_t cookie, uint16_t flags, uint16_t type,
                  uint32_t len)
{
	char head[NBD_CHUNK_LEN], *at = nbd_put32(head, NBD_STRUCTURED);

	at = nbd_put64(nbd_put16(nbd_put16(at, flags), type), cookie);
	nbd_put32(at, len);
	return put(n, head, sizeof(head));
}

static bool data_chunk(struct nbd_server *n, const struct command *c, uint16_t flags,
                       uint64_t offset, uint32_t len)
{
	char at[8];

	nbd_put64(at, offset);
	return chunk(n, c->cookie, flags, NBD_CHUNK_DATA, len + 8) && put(n, at, sizeof(at)) &&
	       put(n, n->bytes + (offset < n->size - len ? offset : 0), len);
}

static bool hole_chunk(struct nbd_server *n, const struct command *c, uint16_t flags,
                       uint64_t offset, uint32_t len)
{
	char at[12];

	nbd_put32(nbd_put64(at, offset), len);
	return chunk(n, c->cookie, flags, NBD_CHUNK_HOLE, 12) && put(n, at, sizeof(at));
}

/* The second half as a hole when it is one, and the halves in the wrong order. */
static bool honest_read(struct nbd_server *n, const struct command *c)
{
	uint32_t half = c->len / 2;
	const uint8_t *second = n->bytes + c->offset + half;
	bool is_hole = true;

	if (!n->structured)
		return simple(n, c->cookie, 0) && put(n, n->bytes + c->offset, c->len);
	for (uint32_t i = 0; i < c->len - half; i++)
		is_hole &= !second[i];
	if (is_hole ? !hole_chunk(n, c, 0, c->offset + half, c->len - half)
	            : !data_chunk(n, c, 0, c->offset + half, c->len - half))
		return false;
	return data_chunk(n, c, 0, c->offset, half) &&
	       chunk(n, c->cookie, NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0);
}

static bool lying_read(struct nbd_server *n, const struct command *c)
{
	char junk[32] = "";

	switch (atomic_load(&n->lie)) {
	case NBD_OTHER_COOKIE:
		return chunk(n, c->cookie + 63, NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0);
	case NBD_OLD_GENERATION:
		return chunk(n, c->cookie - (UINT64_C(1) << 32), NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0);
	case NBD_REPLY_MAGIC_WRONG:
		return put(n, junk, sizeof(junk));
	case NBD_DATA_BEFORE:
		return data_chunk(n, c, NBD_CHUNK_DONE, c->offset - 512, c->len);
	case NBD_DATA_BEHIND:
		return data_chunk(n, c, NBD_CHUNK_DONE, c->offset + 512, c->len);
	case NBD_DATA_TWICE:
		return data_chunk(n, c, 0, c->offset, c->len) &&
		       data_chunk(n, c, 0, c->offset, c->len);
	case NBD_HOLE_TOO_LONG:
		return hole_chunk(n, c, NBD_CHUNK_DONE, c->offset, UINT32_MAX);
	case NBD_CHUNK_UNKNOWN:
		return chunk(n, c->cookie, NBD_CHUNK_DONE, 77, 0);
	case NBD_DONE_TOO_EARLY:
		return data_chunk(n, c, NBD_CHUNK_DONE, c->offset, c->len / 2);
	case NBD_HALF_A_REPLY:
		return chunk(n, c->cookie, NBD_CHUNK_DONE, NBD_CHUNK_DATA, c->len + 8) &&
		       put(n, junk, 4);
	case NBD_REPLIES_TWICE:
		return honest_read(n, c) && honest_read(n, c);
	case NBD_SIMPLE_FOR_STRUCTURED:
		return simple(n, c->cookie, 0) && put(n, n->bytes + c->offset, c->len);
	case NBD_HUGE_CHUNK:
		return chunk(n, c->cookie, NBD_CHUNK_DONE, NBD_CHUNK_DATA, UINT32_MAX);
	default:
		return true; /* NBD_NEVER_REPLIES */
	}
}

static bool do_command(struct nbd_server *n, const struct command *c)
{
	uint32_t error = atomic_exchange(&n->error, 0);

	if (c->type == NBD_CMD_WRITE && !get(n, n->bytes + c->offset, error ? 0 : c->len))
		return false;
	if (error)
		return simple(n, c->cookie, error);
	if (c->type == NBD_CMD_READ)
		return atomic_load(&n->lie) ? lying_read(n, c) : honest_read(n, c);
	if (c->type == NBD_CMD_TRIM || c->type == NBD_CMD_ZEROES)
		memset(n->bytes + c->offset, 0, c->len);
	if (c->type == NBD_CMD_FLUSH)
		memcpy(n->durable, n->bytes, n->size);
	else if (c->flags & NBD_CMD_FUA)
		memcpy(n->durable + c->offset, n->bytes + c->offset, c->len);
	atomic_fetch_add(&n->writes, c->type == NBD_CMD_WRITE);
	atomic_fetch_add(&n->flushes, c->type == NBD_CMD_FLUSH);
	atomic_fetch_add(&n->fua, c->flags & NBD_CMD_FUA);
	return simple(n, c->cookie, 0);
}

static bool one_command(struct nbd_server *n)
{
	char head[NBD_REQUEST_LEN];
	struct command c;

	if (!get(n, head, sizeof(head)) || nbd_get32(head) != NBD_REQUEST)
		return false;
	c = (struct command){ .flags = nbd_get16(head + 4),
		              .type = nbd_get16(head + 6),
		              .cookie = nbd_get64(head + 8),
		              .offset = nbd_get64(head + 16),
		              .len = nbd_get32(head + 24) };
	if (c.type == NBD_CMD_DISC || c.offset > n->size || c.len > n->size - c.offset)
		return false;
	if (atomic_load(&n->die_after) && !atomic_fetch_sub(&n->die_after, 1))
		return false;
	atomic_fetch_add(&n->commands, 1);
	if (!do_command(n, &c))
		return false;
	/* It has just become 0: dead after the answer to that command. */
	return true;
}

static void serve(struct nbd_server *n)
{
	atomic_fetch_add(&n->connections, 1);
	if (!greet(n))
		return;
	for (;;) {
		bool dying = atomic_load(&n->die_after) == 1;

		if (!one_command(n))
			break;
		if (dying) {
			atomic_store(&n->die_after, 0);
			break;
		}
	}
	if (!atomic_load(&n->forgets_nothing))
		memcpy(n->bytes, n->durable, n->size);
}

static void *run(void *arg)
{
	struct nbd_server *n = arg;

	for (;;) {
		int fd = accept(n->listen_fd, NULL, NULL);

		pthread_mutex_lock(&n->lock);
		n->fd = fd;
		if (n->closing || fd < 0) {
			pthread_mutex_unlock(&n->lock);
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		pthread_mutex_unlock(&n->lock);
		if (!atomic_load(&n->stopped))
			serve(n);
		pthread_mutex_lock(&n->lock);
		close(n->fd);
		n->fd = -1;
		pthread_mutex_unlock(&n->lock);
	}
}

/* ---- life -------------------------------------------------------------------------------------------- */

void nbd_server_start(struct nbd_server *n, uint64_t size)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	n->size = size;
	n->bytes = calloc(1, size);
	n->durable = calloc(1, size);
	n->fd = -1;
	pthread_mutex_init(&n->lock, NULL);
	snprintf(n->path, sizeof(n->path), "/tmp/paravane-nbd.%d.%p", getpid(), (void *)n);
	strcpy(sun.sun_path, n->path);
	unlink(n->path);
	n->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!n->bytes || !n->durable || bind(n->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    listen(n->listen_fd, 8) || pthread_create(&n->thread, NULL, run, n))
		abort();
}

void nbd_server_hang_up(struct nbd_server *n)
{
	pthread_mutex_lock(&n->lock);
	if (n->fd >= 0)
		shutdown(n->fd, SHUT_RDWR);
	pthread_mutex_unlock(&n->lock);
}

void nbd_server_stop(struct nbd_server *n)
{
	pthread_mutex_lock(&n->lock);
	n->closing = true;
	if (n->fd >= 0)
		shutdown(n->fd, SHUT_RDWR);
	pthread_mutex_unlock(&n->lock);
	shutdown(n->listen_fd, SHUT_RDWR);
	pthread_join(n->thread, NULL);
	close(n->listen_fd);
	unlink(n->path);
	free(n->bytes);
	free(n->durable);
	pthread_mutex_destroy(&n->lock);
}
