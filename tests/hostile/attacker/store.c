/* SPDX-License-Identifier: MIT */
/*
 * The pages that the hypervisor's own servers read: xenstore's rings and the console's.
 *
 * Behaviour: requests of every type with paths, tokens and transactions that may or may not be;
 * lengths and indexes that cannot be; watches without end and transactions that nobody ends; new
 * connections in the middle of all that; answers that are never fetched.
 * Method: one vCPU makes requests, honest ones and others; the other ones write noise to the same
 * pages and ring both ports while the servers look.
 * Breakage: this domain's own end, for nothing here is worth a death; another domain's entries that
 * can be read or written; a neighbour that is held up; a hypervisor that grows without bound.
 */
#include "abi/event_channel.h"
#include "abi/io/console.h"
#include "abi/io/xs_wire.h"
#include "abi/sched.h"
#include "pvops/barrier.h"
#include "tests/hostile/attacker/attack.h"

static struct xenstore_domain_interface *store;
static struct xencons_interface *console;
static evtchn_port_t store_port, console_port;

static const char *const paths[] = {
	"data/a",
	"data/a/b/c/d/e/f/g/h",
	"data",
	"device",
	"",
	"/",
	"//",
	"domid",
	"control/shutdown",
	"@releaseDomain",
	"@introduceDomain",
	"/local/domain/0/backend",
	"/local/domain/1",
	"/local/domain/1/domid",
	"/local/domain/1/data",
	"/local/domain/1/console/port",
	"/tool/xenstored",
	"../1/domid",
};

#define NEIGHBOURS_NUMBER 13         /* of the paths: it may not be read */
#define ASKED             0x5ec12e7u /* the number of a request for it */

static void ring_port(evtchn_port_t port)
{
	struct evtchn_send s = { .port = port };

	pv_hc_event_channel_op(EVTCHNOP_send, &s);
}

/* Bytes behind *prod, without a look at what the server has taken. */
static void put(uint32_t *prod, const void *data, size_t len)
{
	const char *s = data;

	for (size_t i = 0; i < len; i++)
		store->req[MASK_XENSTORE_IDX((*prod)++)] = s[i];
}

static size_t add(char *text, size_t at_byte, const char *word)
{
	size_t len = strlen(word) + 1;

	memcpy(text + at_byte, word, len);
	return at_byte + len;
}

/* A request that is well-formed but for what chance spoils. */
static void request(void)
{
	char text[400];
	struct xsd_sockmsg m = { .type = (uint32_t)at_below(XS_TYPE_COUNT + 2),
		                 .req_id = (uint32_t)at_value(),
		                 .tx_id = (uint32_t)(at_chance(2) ? 0 : at_below(12)) };
	uint32_t prod = pv_load(&store->req_prod);
	unsigned int which = (unsigned int)at_below(AT_COUNT(paths));
	size_t len = add(text, 0, paths[which]);

	if (which == NEIGHBOURS_NUMBER && at_chance(2)) {
		m.type = XS_READ;
		m.req_id = ASKED;
	}
	if (at_chance(2))
		len = add(text, len, at_chance(2) ? "n1" : paths[at_below(AT_COUNT(paths))]);
	if (at_chance(4)) {
		at_noise(text + len, 64);
		len += 64;
	}
	if (at_chance(8))
		text[at_below(len)] = (char)at_random();
	m.len = (uint32_t)(at_chance(16) ? at_value() : len - at_below(2));
	put(&prod, &m, sizeof(m));
	put(&prod, text, len);
	pv_store_release(&store->req_prod, prod);
	ring_port(store_port);
}

/* What is not ours must not be told: an answer with the neighbour's number is one. */
static void answers(void)
{
	uint32_t cons = pv_load(&store->rsp_cons), prod = pv_load_acquire(&store->rsp_prod);
	struct xsd_sockmsg m;
	char text[2];

	if (prod - cons >= sizeof(m) + 1) {
		for (size_t i = 0; i < sizeof(m); i++)
			((char *)&m)[i] = store->rsp[MASK_XENSTORE_IDX(cons + i)];
		text[0] = store->rsp[MASK_XENSTORE_IDX(cons + sizeof(m))];
		if (m.type == XS_READ && m.req_id == ASKED && m.len == 1 &&
		    text[0] == '0' + (char)at.witness)
			at_breach("the neighbour's entry was read");
	}
	if (!at_chance(3))
		pv_store_release(&store->rsp_cons, prod);
}

static void indexes(void)
{
	uint32_t *const index[] = { &store->req_cons, &store->req_prod, &store->rsp_cons,
		                    &store->rsp_prod };

	pv_store(index[at_below(4)], (uint32_t)at_value());
	ring_port(store_port);
}

static void reconnect(void)
{
	pv_store(&store->connection, XENSTORE_RECONNECT);
	ring_port(store_port);
	for (unsigned int i = 0; i < 20 && pv_load(&store->connection) == XENSTORE_RECONNECT; i++)
		pv_hc_sched_op(SCHEDOP_yield, NULL);
}

static void watches(void)
{
	struct xsd_sockmsg m = { .type = XS_WATCH };
	char text[40] = "data/a";
	uint32_t prod = pv_load(&store->req_prod);

	text[7] = (char)('a' + at_below(26));
	text[8] = (char)('a' + at_below(26));
	m.len = 10;
	put(&prod, &m, sizeof(m));
	put(&prod, text, m.len);
	m = (struct xsd_sockmsg){ .type = XS_TRANSACTION_START, .len = 1 };
	put(&prod, &m, sizeof(m));
	put(&prod, "", 1);
	pv_store_release(&store->req_prod, prod);
	ring_port(store_port);
}

static void scribble(unsigned int cpu)
{
	(void)cpu;
	((volatile uint64_t *)store)[at_below(sizeof(*store) / 8)] = at_value();
	((volatile uint64_t *)console)[at_below(sizeof(*console) / 8)] = at_value();
	ring_port(at_chance(2) ? store_port : console_port);
}

void at_store(void)
{
	static void (*const moves[])(void) = { request, request, request,  answers,
		                               watches, indexes, reconnect };
	const struct start_info *start = pv_boot.start;
	struct sched_shutdown off = { .reason = SHUTDOWN_poweroff };

	if (pv_m2p(start->store_mfn) == PV_NO_FRAME)
		return;
	store = pv_pfn_to_virt(pv_m2p(start->store_mfn));
	console = pv_pfn_to_virt(pv_m2p(start->console.domU.mfn));
	store_port = start->store_evtchn;
	console_port = start->console.domU.evtchn;
	for (unsigned int i = 0; i < at.budget; i++) {
		/* Alone at first: only then does an answer mean something. */
		if (i == at.budget / 2)
			at_helpers(scribble);
		at_attempt("store");
		moves[at_below(AT_COUNT(moves))]();
		if (at_chance(4))
			pv_hc_sched_op(SCHEDOP_yield, NULL);
	}
	at_helpers(NULL);
	pv_hc_sched_op(SCHEDOP_shutdown, &off); /* a word of farewell would wait for the console */
}
