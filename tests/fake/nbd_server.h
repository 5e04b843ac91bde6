/* SPDX-License-Identifier: MIT */
/*
 * An NBD server for tests: honest, slow, forgetful or lying as it is told. It serves one connection
 * at a time on a unix socket, by a thread of its own.
 */
#ifndef TESTS_FAKE_NBD_SERVER_H
#define TESTS_FAKE_NBD_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum nbd_lie {
	NBD_HONEST,
	/* while it greets */
	NBD_SAYS_NOTHING,
	NBD_OTHER_MAGIC,
	NBD_OLD_STYLE,
	NBD_LONG_REPLY,
	NBD_OTHER_OPTION,
	NBD_NO_EXPORT,
	NBD_NO_SIZE,
	NBD_INFO_TOO_SHORT,
	NBD_HANGS_UP_IN_GREETING,
	NBD_LAST_IN_GREETING = NBD_HANGS_UP_IN_GREETING,
	/* at a read */
	NBD_OTHER_COOKIE,
	NBD_OLD_GENERATION,
	NBD_REPLY_MAGIC_WRONG,
	NBD_DATA_BEFORE,
	NBD_DATA_BEHIND,
	NBD_DATA_TWICE,
	NBD_HOLE_TOO_LONG,
	NBD_CHUNK_UNKNOWN,
	NBD_DONE_TOO_EARLY,
	NBD_HALF_A_REPLY,
	NBD_NEVER_REPLIES,
	NBD_REPLIES_TWICE,
	NBD_SIMPLE_FOR_STRUCTURED,
	NBD_HUGE_CHUNK,
	NR_NBD_LIES
};

struct nbd_server {
	char path[64];
	_Atomic uint64_t size;
	uint16_t flags; /* of the export */
	bool no_go, no_structured;
	_Atomic enum nbd_lie lie;
	atomic_uint error; /* the reply to the next command */
	atomic_uint
		die_after; /* commands, then it hangs up and forgets what was not flushed; 0: never */
	atomic_bool forgets_nothing;
	atomic_bool stopped; /* does not accept */

	uint8_t *bytes, *durable;
	atomic_uint connections, commands, writes, flushes, fua;
	pthread_t thread;
	int listen_fd, fd;
	pthread_mutex_t lock;
	bool structured, closing;
};

/* Zero but for what is set beforehand: flags, no_go, no_structured, lie. */
void nbd_server_start(struct nbd_server *n, uint64_t size);
void nbd_server_stop(struct nbd_server *n);
/* Hangs up on whoever is there. */
void nbd_server_hang_up(struct nbd_server *n);

#endif
