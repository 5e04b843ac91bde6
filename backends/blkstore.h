/* SPDX-License-Identifier: MIT */
/*
 * Where a block back-end keeps its bytes: a file or block device, memory, an NBD server, or what a
 * test makes of it.
 *
 * A request is tried first: try() does at once, in the caller's thread, what will not wait (the
 * page cache has it, or it is memory). What would wait is submitted and answered later by its done
 * call-back. So a request costs no other thread unless the storage itself takes time.
 *
 * Invariant: what done() was told with 0 has been read, or is what a later read gets; after a flush
 * that was answered with 0, every write that had been answered before the flush was submitted
 * survives the end of this process and, as far as the storage keeps its word, a power cut.
 */
#ifndef BACKENDS_BLKSTORE_H
#define BACKENDS_BLKSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLKSTORE_MAX_IOV 512 /* pages of the largest request: 2 MiB */

enum blkstore_op { BLKSTORE_READ, BLKSTORE_WRITE, BLKSTORE_FLUSH, BLKSTORE_DISCARD };

struct blkstore_req {
	enum blkstore_op op;
	uint64_t offset, len; /* bytes; multiples of the store's block; within its size. FLUSH: 0 */
	struct iovec *iov; /* READ, WRITE: nr_iov pieces of len bytes in all; the store may change
	                         them; valid until done() */
	unsigned nr_iov;
	/* rc: 0 or negative errno. Any thread, or from within submit(). May submit further ones. */
	void (*done)(struct blkstore_req *req, int rc);
	void *link[4]; /* the store's own while it has the request */
};

struct blkstore;

struct blkstore_ops {
	/*
	 * 0: done, as if done() had been called with 0 (it is not called). -EAGAIN: it would wait, or
	 * a part of it would: submit it. Another negative errno: it has failed.
	 * Never waits for storage. Any thread, several at once.
	 */
	int (*try)(struct blkstore *s, struct blkstore_req *req);
	/*
	 * Takes the request; done() is called exactly once. Never fails and never waits for storage.
	 * batch: more are coming at once; the store may wait for the kick() that follows them.
	 */
	void (*submit)(struct blkstore *s, struct blkstore_req *req, bool batch);
	void (*kick)(struct blkstore *s);
	/* Size in bytes now; it may have changed since (blkstore_resized()). */
	uint64_t (*size)(struct blkstore *s);
	/* Looks at the size anew; 0 or negative errno. */
	int (*refresh)(struct blkstore *s);
	/*
	 * on: requests shall not wait any longer for what may never come (a server that has gone),
	 * but fail. Off again: as before. Any thread; may be NULL.
	 */
	void (*hurry)(struct blkstore *s, bool on);
	/* Waits for all requests, then frees all. Nobody uses the store any more. */
	void (*close)(struct blkstore *s);
};

/* The head of each kind of store. Constant after opening. */
struct blkstore {
	const struct blkstore_ops *ops;
	const char *kind;        /* "file", "memory", "nbd" */
	unsigned block;          /* bytes: logical block, 512 or 4096 */
	unsigned physical_block; /* bytes: what is written whole best */
	bool readonly, can_discard, can_flush;
	unsigned discard_granularity; /* bytes */
};

struct blkstore_file_options {
	bool readonly;
	bool direct;    /* O_DIRECT */
	unsigned block; /* 0: the file's own */
	bool no_uring;  /* the fall-back, for tests and tables */
};

/* 0, or a negative errno and a sentence with the remedy in why. */
int blkstore_open_file(struct blkstore **out, const char *path,
                       const struct blkstore_file_options *options, char *why, size_t why_len);
int blkstore_open_memory(struct blkstore **out, uint64_t size, unsigned block, char *why,
                         size_t why_len);
/* uri: nbd:unix:PATH[:exportname=NAME], nbd:HOST:PORT[:exportname=NAME], nbd://..., nbd+unix:///... */
int blkstore_open_nbd(struct blkstore **out, const char *uri, bool readonly, char *why,
                      size_t why_len);

#endif
