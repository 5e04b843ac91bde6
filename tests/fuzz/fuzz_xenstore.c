/* SPDX-License-Identifier: MIT */
/*
 * The store out of noise: two guests at their shared pages and the host, who do whatever the bytes
 * say. Nothing may crash, and all invariants of the store hold at the end.
 *
 * The input is a list of steps: one byte that says what and who, one byte of length, and so many
 * bytes for that step.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/core/xenstore/quota.h"
#include "hypervisor-stub/core/xenstore/xenstore.h"

int fuzz_xenstore(const uint8_t *data, size_t len);

struct guest {
	union {
		struct xenstore_domain_interface ring;
		char bytes[4096];
	} page;
	struct xs_conn *conn;
	domid_t domid;
	struct xsd_sockmsg hdr; /* of the message being made */
};

struct world {
	struct xs_store *store;
	struct xs_host *host;
	struct guest guest[2];
};

static const char *const words[] = {
	"a",
	"b",
	"a/b",
	"a/b/c",
	"/",
	"/local",
	"/local/domain/1",
	"/local/domain/2",
	"/local/domain/1/a",
	"/local/domain/2/a/b",
	"/s",
	"/s/x",
	"@introduceDomain",
	"@releaseDomain",
	"n1",
	"n2",
	"r1",
	"r2",
	"b1",
	"w2",
	"T",
	"F",
	"0",
	"1",
	"2",
	"tok",
	"n0",
	"//",
	"a/",
	"32752",
	"",
	"x",
};

static void come(struct world *w, struct guest *g)
{
	HV_ASSERT(xs_introduce(w->store, g->domid, &g->page, NULL, NULL, &g->conn) == 0);
}

static void begin(struct world *w)
{
	struct xs_quota quota = xs_quota_default;
	unsigned i;
	int rc;

	quota.nodes = 24;
	quota.watches = 8;
	quota.transactions = 3;
	quota.tx_nodes = 24;
	quota.events = 16;
	rc = xs_store_create(&w->store, &quota);
	if (!rc)
		rc = xs_host_open(w->store, &w->host);
	HV_ASSERT(rc == 0);
	for (i = 0; i < 2; i++) {
		w->guest[i].domid = (domid_t)(i + 1);
		come(w, &w->guest[i]);
	}
	xs_host_mkdir(w->host, NULL, "/local/domain/1");
	xs_host_mkdir(w->host, NULL, "/local/domain/2");
	xs_host_mkdir(w->host, NULL, "/s");
	xs_host_set_perms(w->host, NULL, "/local/domain/1", "n1");
	xs_host_set_perms(w->host, NULL, "/local/domain/2", "n2,r1");
	xs_host_set_perms(w->host, NULL, "/s", "b0");
}

static void end(struct world *w)
{
	int broken = xs_store_check(w->store);

	HV_ASSERT(broken == 0);
	xs_release(w->store, 1);
	xs_release(w->store, 2);
	broken = xs_store_check(w->store);
	HV_ASSERT(broken == 0);
	xs_host_close(w->host);
	xs_store_destroy(w->store);
}

/* Bytes into the page, as far as there is room, with as many events as it takes. */
static void feed(struct guest *g, const void *bytes, size_t len)
{
	struct xenstore_domain_interface *r = &g->page.ring;
	const char *p = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		r->req[MASK_XENSTORE_IDX(r->req_prod)] = p[i];
		r->req_prod++;
		if (r->req_prod - r->req_cons == XENSTORE_RING_SIZE) {
			r->rsp_cons = r->rsp_prod;
			xs_guest_event(g->conn);
			if (r->req_prod - r->req_cons == XENSTORE_RING_SIZE)
				break;
		}
	}
	xs_guest_event(g->conn);
}

static void message(struct guest *g, const char *payload, size_t len)
{
	g->hdr.len = (uint32_t)len;
	g->hdr.req_id++;
	feed(g, &g->hdr, sizeof(g->hdr));
	feed(g, payload, len);
}

/* A message whose payload is made of words: the first two bytes are type and transaction. */
static void spoken(struct guest *g, const uint8_t *b, size_t len)
{
	char payload[4096];
	size_t used = 0, i;
	const char *word;

	for (i = 2; i < len; i++) {
		word = words[b[i] % (sizeof(words) / sizeof(words[0]))];
		if (used + strlen(word) + 1 > sizeof(payload))
			break;
		memcpy(payload + used, word, strlen(word) + 1);
		used += strlen(word) + 1;
	}
	g->hdr.type = len > 0 ? b[0] % 26u : 0;
	g->hdr.tx_id = len > 1 ? b[1] % 5u : 0;
	message(g, payload, used);
}

static void poke(struct guest *g, const uint8_t *b, size_t len)
{
	uint32_t value = 0;

	if (len < 2)
		return;
	memcpy(&value, b + 1, len - 1 < 4 ? len - 1 : 4);
	(&g->page.ring.req_cons)[b[0] % 7] = value;
	xs_guest_event(g->conn);
}

static void host_acts(struct world *w, const uint8_t *b, size_t len)
{
	const char *path = words[len > 1 ? b[1] % (sizeof(words) / sizeof(words[0])) : 0];

	switch (len ? b[0] % 3 : 0) {
	case 0:
		xs_host_write(w->host, NULL, path, b, len);
		break;
	case 1:
		xs_host_rm(w->host, NULL, path);
		break;
	default:
		xs_host_set_perms(w->host, NULL, path, len > 2 && b[2] % 2 ? "n0,b1" : "r2");
	}
}

static void step(struct world *w, uint8_t what, const uint8_t *b, size_t len)
{
	struct guest *g = &w->guest[what & 1];

	switch (what >> 1 & 7) {
	case 0:
		feed(g, b, len);
		break;
	case 1:
	case 2:
		spoken(g, b, len);
		break;
	case 3:
		poke(g, b, len);
		break;
	case 4:
		g->page.ring.rsp_cons = g->page.ring.rsp_prod;
		xs_guest_event(g->conn);
		break;
	case 5:
		host_acts(w, b, len);
		break;
	case 6:
		g->page.ring.connection = XENSTORE_RECONNECT;
		xs_guest_event(g->conn);
		break;
	default:
		xs_release(w->store, g->domid);
		come(w, g);
	}
}

int fuzz_xenstore(const uint8_t *data, size_t len)
{
	static struct world w;
	size_t at = 0, n;

	memset(&w, 0, sizeof(w));
	begin(&w);
	while (len - at >= 2) {
		n = data[at + 1];
		if (n > len - at - 2)
			n = len - at - 2;
		step(&w, data[at], data + at + 2, n);
		at += 2 + n;
	}
	end(&w);
	return 0;
}
