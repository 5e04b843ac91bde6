/* SPDX-License-Identifier: MIT */
/*
 * A client of the store for tests: sends requests over a connection without a ring and keeps the
 * watch events that come in between.
 */
#ifndef TESTS_FAKE_XS_CLIENT_H
#define TESTS_FAKE_XS_CLIENT_H

#include "hypervisor-stub/core/xenstore/xenstore.h"

#define XSC_EVENTS_MAX 4096

struct xsc {
	struct xs_conn *conn;
	uint32_t next_id;
	uint32_t tx;                          /* sent in every header */
	char reply[XENSTORE_PAYLOAD_MAX + 1]; /* of the last call, a nul behind it */
	size_t reply_len;
	char *event[XSC_EVENTS_MAX]; /* "path|token", in order */
	unsigned nr_events;
	unsigned early; /* events that came before the reply of the last call */
	unsigned told;  /* calls of notify */
};

struct xsc *xsc_open(struct xs_store *s, domid_t domid, bool privileged);
void xsc_close(struct xsc *c);

/*
 * Sends a request and takes its reply; aborts the test program when there is none, or when it is
 * not the reply to this request. Returns 0, or the negative errno that the reply's name means.
 */
int xsc_call(struct xsc *c, uint32_t type, const void *payload, size_t len);
/* Payload of a string and, with write, of a value behind it. */
int xsc_path(struct xsc *c, uint32_t type, const char *path);
int xsc_two(struct xsc *c, uint32_t type, const char *first, const char *second);
int xsc_write(struct xsc *c, const char *path, const char *value);
/* perms as in "n1,r2" */
int xsc_set_perms(struct xsc *c, const char *path, const char *perms);
/* The value, or "!E..." for an error; valid until the next call. */
const char *xsc_read(struct xsc *c, const char *path);
/* Names or permissions, each followed by a comma; or "!E...". */
const char *xsc_list(struct xsc *c, uint32_t type, const char *path);

int xsc_begin(struct xsc *c);            /* sets c->tx */
int xsc_end(struct xsc *c, bool commit); /* and takes it away */

/* Takes events that wait, and gives them all as "path|token path|token "; forgets them. */
const char *xsc_events(struct xsc *c);

#endif
