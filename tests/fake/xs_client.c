/* SPDX-License-Identifier: MIT */
/*
 * A client of the store for tests. It knows the protocol by itself and uses nothing of the server's
 * own code for messages.
 */
#include "tests/fake/xs_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(e)                                                                  \
	do {                                                                        \
		if (!(e)) {                                                         \
			fprintf(stderr, "xs_client:%d: %s failed\n", __LINE__, #e); \
			abort();                                                    \
		}                                                                   \
	} while (0)

static void told(void *arg)
{
	struct xsc *c = arg;

	__atomic_fetch_add(&c->told, 1, __ATOMIC_RELAXED);
}

struct xsc *xsc_open(struct xs_store *s, domid_t domid, bool privileged)
{
	struct xsc *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	REQUIRE(xs_conn_open(s, domid, privileged, told, c, &c->conn) == 0);
	c->next_id = 100;
	return c;
}

static void forget_events(struct xsc *c)
{
	while (c->nr_events)
		free(c->event[--c->nr_events]);
}

void xsc_close(struct xsc *c)
{
	xs_conn_close(c->conn);
	forget_events(c);
	free(c);
}

static void keep_event(struct xsc *c, const struct xsd_sockmsg *hdr, const char *payload)
{
	size_t path_len = strlen(payload);

	REQUIRE(hdr->type == XS_WATCH_EVENT && hdr->req_id == 0 && hdr->tx_id == 0);
	REQUIRE(path_len + 1 + strlen(payload + path_len + 1) + 1 == hdr->len);
	REQUIRE(c->nr_events < XSC_EVENTS_MAX);
	REQUIRE(asprintf(&c->event[c->nr_events++], "%s|%s", payload, payload + path_len + 1) > 0);
}

static int error_of(const char *name)
{
	static const struct {
		const char *name;
		int err;
	} errors[] = {
		{ "EINVAL", EINVAL }, { "EACCES", EACCES }, { "EEXIST", EEXIST },
		{ "EISDIR", EISDIR }, { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM },
		{ "ENOSPC", ENOSPC }, { "EIO", EIO },       { "ENOSYS", ENOSYS },
		{ "EROFS", EROFS },   { "EBUSY", EBUSY },   { "EAGAIN", EAGAIN },
		{ "E2BIG", E2BIG },   { "EPERM", EPERM },   { "EISCONN", EISCONN },
	};
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(errors[i].name, name))
			return -errors[i].err;
	REQUIRE(!"a known error name");
	return 0;
}

int xsc_call(struct xsc *c, uint32_t type, const void *payload, size_t len)
{
	struct xsd_sockmsg hdr = {
		.type = type, .req_id = c->next_id++, .tx_id = c->tx, .len = (uint32_t)len
	};
	char buf[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg got;

	c->early = 0;
	REQUIRE(xs_conn_request(c->conn, &hdr, payload) == 0);
	for (;;) {
		REQUIRE(xs_conn_receive(c->conn, &got, buf));
		REQUIRE(got.len <= XENSTORE_PAYLOAD_MAX);
		buf[got.len] = '\0';
		if (got.type != XS_WATCH_EVENT)
			break;
		keep_event(c, &got, buf);
		c->early++;
	}
	REQUIRE(got.req_id == hdr.req_id && got.tx_id == hdr.tx_id);
	memcpy(c->reply, buf, got.len + 1);
	c->reply_len = got.len;
	if (got.type == XS_ERROR) {
		REQUIRE(got.len == strlen(buf) + 1);
		return error_of(buf);
	}
	REQUIRE(got.type == type);
	return 0;
}

int xsc_path(struct xsc *c, uint32_t type, const char *path)
{
	return xsc_call(c, type, path, strlen(path) + 1);
}

int xsc_two(struct xsc *c, uint32_t type, const char *first, const char *second)
{
	size_t a = strlen(first) + 1, b = strlen(second) + 1;
	char buf[XENSTORE_PAYLOAD_MAX];

	REQUIRE(a + b <= sizeof(buf));
	memcpy(buf, first, a);
	memcpy(buf + a, second, b);
	return xsc_call(c, type, buf, a + b);
}

int xsc_write(struct xsc *c, const char *path, const char *value)
{
	size_t a = strlen(path) + 1, b = strlen(value);
	char buf[XENSTORE_PAYLOAD_MAX];

	REQUIRE(a + b <= sizeof(buf));
	memcpy(buf, path, a);
	memcpy(buf + a, value, b);
	return xsc_call(c, XS_WRITE, buf, a + b);
}

int xsc_set_perms(struct xsc *c, const char *path, const char *perms)
{
	size_t a = strlen(path) + 1, b = strlen(perms) + 1, i;
	char buf[XENSTORE_PAYLOAD_MAX];

	REQUIRE(a + b <= sizeof(buf));
	memcpy(buf, path, a);
	for (i = 0; i < b; i++)
		buf[a + i] = perms[i] == ',' ? '\0' : perms[i];
	return xsc_call(c, XS_SET_PERMS, buf, a + b);
}

static const char *failed(struct xsc *c)
{
	memmove(c->reply + 1, c->reply, c->reply_len);
	c->reply[0] = '!';
	return c->reply;
}

const char *xsc_read(struct xsc *c, const char *path)
{
	return xsc_path(c, XS_READ, path) ? failed(c) : c->reply;
}

const char *xsc_list(struct xsc *c, uint32_t type, const char *path)
{
	size_t i;

	if (xsc_path(c, type, path))
		return failed(c);
	for (i = 0; i < c->reply_len; i++)
		if (!c->reply[i])
			c->reply[i] = ',';
	return c->reply;
}

int xsc_begin(struct xsc *c)
{
	int rc = xsc_path(c, XS_TRANSACTION_START, "");

	if (!rc)
		c->tx = (uint32_t)strtoul(c->reply, NULL, 10);
	return rc;
}

int xsc_end(struct xsc *c, bool commit)
{
	int rc = xsc_path(c, XS_TRANSACTION_END, commit ? "T" : "F");

	c->tx = 0;
	return rc;
}

const char *xsc_events(struct xsc *c)
{
	static __thread char text[65536];
	char buf[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg hdr;
	size_t used = 0, len;
	unsigned i;

	while (xs_conn_receive(c->conn, &hdr, buf)) {
		buf[hdr.len] = '\0';
		keep_event(c, &hdr, buf);
	}
	text[0] = '\0';
	for (i = 0; i < c->nr_events; i++) {
		len = strlen(c->event[i]);
		if (used + len + 2 > sizeof(text))
			break;
		memcpy(text + used, c->event[i], len);
		used += len;
		text[used++] = ' ';
		text[used] = '\0';
	}
	forget_events(c);
	return text;
}
