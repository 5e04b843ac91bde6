/* SPDX-License-Identifier: MIT */
/*
 * The witness: a domain that shares a machine with an attacker and swears that nothing happened to it.
 *
 * Behaviour: its memory holds a pattern that follows from the addresses; it looks at a part of it a
 * hundred times a second and at all of it at the end, and it watches its clock.
 * Method: it offers the attacker what a neighbour may have: one page to read, one to write, one that
 * comes and goes, and a port. Of these, only the page to write may ever change.
 * Breakage: the line "witness: BROKEN ..." with what differs; a clock that goes backwards or has
 * stopped; silence.
 *
 *   witness: ready port P refs READ WRITE COMES      then it waits for a "q" on its console
 *   witness: intact, N rounds, T ns, L ns late, E events
 */
#include "pvops/console.h"
#include "abi/sched.h"
#include "pvops/evtchn.h"
#include "pvops/gnttab.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define ATTACKER 2
#define PAGES    1024u
#define A_ROUND  64u
#define ROUND_NS 10000000u
#define WORDS    (PV_PAGE_SIZE / 8)

static uint64_t *page[PAGES];
static volatile uint64_t events;

static uint64_t pattern(unsigned int p, unsigned int word)
{
	uint64_t x = (p * WORDS + word + 1) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}

static void broken(const char *what, uint64_t where, uint64_t got)
{
	pv_log("witness: BROKEN %s at %lx: %lx\n", what, where, got);
	pv_shutdown(SHUTDOWN_crash);
}

static void look_at(unsigned int p)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (page[p][i] != pattern(p, i))
			broken("memory", p * PV_PAGE_SIZE + i * 8, page[p][i]);
}

static void fill(void)
{
	for (unsigned int p = 0; p < PAGES; p++) {
		page[p] = pv_page_alloc();
		if (!page[p])
			pv_panic("witness: out of memory");
		for (unsigned int i = 0; i < WORDS; i++)
			page[p][i] = pattern(p, i);
	}
}

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	events++;
}

static grant_ref_t grant(void *what, enum pv_grant_access access)
{
	grant_ref_t ref = 0;

	if (pv_gnttab_grant(ATTACKER, pv_p2m((uintptr_t)what >> PV_PAGE_SHIFT), access, &ref))
		pv_panic("witness: cannot grant");
	return ref;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static bool told_to_stop(void)
{
	char c;

	return pv_console_read(&c, 1) && c == 'q';
}

void kernel_main(const struct pv_boot *boot)
{
	static uint64_t scratch[WORDS] __attribute__((aligned(4096)));
	struct pv_waitq q = { { 0 } };
	grant_ref_t coming;
	evtchn_port_t port = 0;
	uint64_t start, last, now, late = 0, rounds = 0;

	(void)boot;
	if (pv_mmu_map_memory())
		pv_panic("witness: no memory");
	fill();
	pv_irq_enable();
	if (pv_evtchn_alloc_unbound(ATTACKER, on_event, NULL, &port))
		pv_panic("witness: no port");
	coming = grant(page[1], PV_GRANT_RO);
	pv_log("witness: ready port %u refs %u %u %u\n", port, grant(page[0], PV_GRANT_RO),
	       grant(scratch, PV_GRANT_RW), coming);
	start = last = pv_now_ns();
	while (!told_to_stop()) {
		pv_wait(&q, never, NULL, last + ROUND_NS);
		now = pv_now_ns();
		if (now < last)
			broken("clock", last, now);
		if (now > last + ROUND_NS && now - last - ROUND_NS > late)
			late = now - last - ROUND_NS;
		last = now;
		for (unsigned int i = 0; i < A_ROUND; i++)
			look_at((unsigned int)(rounds * A_ROUND + i) % PAGES);
		rounds++;
		/* Freed and granted again while the attacker may have it mapped. */
		if (!pv_gnttab_revoke(coming))
			coming = grant(page[1], PV_GRANT_RO);
	}
	for (unsigned int p = 0; p < PAGES; p++)
		look_at(p);
	pv_log("witness: intact, %lu rounds, %lu ns, %lu ns late, %lu events\n", rounds,
	       pv_now_ns() - start, late, events);
}
