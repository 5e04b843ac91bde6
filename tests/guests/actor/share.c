/* SPDX-License-Identifier: MIT */
/*
 * Two actors with one memory: one lends pages, the other maps them.
 *
 * Behaviour: the lender grants one page to write and one to read, and writes their references to
 * data/lent of its own. The borrower maps both, finds what the lender wrote, and answers in the page
 * to write. Each side changes what the other has just written, so a page that is not the same page
 * shows at once; and each looks after the end whether the page is its own alone, or gone.
 */
#include "tests/guests/actor/actor.h"

#include "abi/errno.h"
#include "pvops/gnttab.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/memory.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/traps.h"
#include "pvops/xs.h"

#define ROUNDS     50u
#define WAIT_MS    20000u
#define LENT_WORD  0x1e47000000000001ul
#define READ_WORD  0x1e47000000000002ul
#define OWNERS_OWN 0x1e47000000000003ul

static volatile uint64_t *lent[2]; /* to write, to read */
static grant_ref_t ref[2];
static struct pv_gnttab_mapping map[2];

static void wait_until(const volatile uint64_t *word, uint64_t value, const char *what)
{
	for (unsigned int i = 0; *word != value; i++) {
		if (i == WAIT_MS)
			pv_panic("share: %s: the word is %lx, not %lx", what, *word, value);
		sleep_ms(1);
	}
}

static void publish(domid_t peer)
{
	struct pv_xs_perm perms[2] = { { 'n', 0 }, { 'r', peer } };
	unsigned int nr = 2;

	if (pv_xs_write(PV_XS_NO_TX, "data", "lent", "", 0) ||
	    pv_xs_get_perms(PV_XS_NO_TX, "data", "lent", perms, &nr))
		pv_panic("share: no store");
	perms[1] = (struct pv_xs_perm){ 'r', peer };
	if (pv_xs_set_perms(PV_XS_NO_TX, "data", "lent", perms, 2) ||
	    pv_xs_printf(PV_XS_NO_TX, "data", "lent", "%u %u", ref[0], ref[1]))
		pv_panic("share: the references cannot be told");
}

static void lend(domid_t peer, const struct pv_boot *boot)
{
	need_store(boot);
	for (unsigned int i = 0; i < 2; i++) {
		lent[i] = pv_page_alloc();
		memset((void *)lent[i], 0, PV_PAGE_SIZE);
		if (pv_gnttab_grant(peer, pv_virt_to_mfn((void *)lent[i]),
		                    i ? PV_GRANT_RO : PV_GRANT_RW, &ref[i]))
			pv_panic("share: no grant");
	}
	*lent[0] = LENT_WORD;
	*lent[1] = READ_WORD;
	publish(peer);
	pv_log("share: lent to %u\n", peer);
}

/* Takes turns with the borrower; it begins. */
static void take_turns_as_lender(void)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		wait_until(lent[0] + 1, 2 * i - 1, "the borrower's turn");
		lent[0][1] = 2 * i;
	}
	if (pv_gnttab_revoke(ref[0]) != -XEN_EBUSY)
		pv_panic("share: a grant was taken back while it is mapped");
	pv_log("share: %u rounds with the borrower\n", ROUNDS);
}

/* The pages come back, and are nobody's but ours. */
static void take_back(void)
{
	unsigned int tries = 0;

	while (pv_gnttab_in_use(ref[0]) || pv_gnttab_in_use(ref[1])) {
		if (++tries == WAIT_MS)
			pv_panic("share: the pages do not come back");
		sleep_ms(1);
	}
	if (pv_gnttab_revoke(ref[0]) || pv_gnttab_revoke(ref[1]))
		pv_panic("share: a grant cannot be taken back");
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 2; i++) {
			*lent[i] = OWNERS_OWN + round;
			sleep_ms(1);
			if (*lent[i] != OWNERS_OWN + round)
				pv_panic("share: page %u changes after it came back", i);
		}
	}
	pv_log("share: both pages came back\n");
}

static void find_references(domid_t peer)
{
	char path[64], text[64];
	const char *at = text;

	pv_xs_domain_path(peer, path, sizeof(path));
	for (unsigned int i = 0;; i++) {
		if (!pv_xs_read(PV_XS_NO_TX, path, "data/lent", text, sizeof(text), NULL) && *text)
			break;
		if (i == WAIT_MS)
			pv_panic("share: domain %u lends nothing", peer);
		sleep_ms(1);
	}
	for (unsigned int i = 0; i < 2; i++) {
		while (*at >= '0' && *at <= '9')
			ref[i] = ref[i] * 10 + (grant_ref_t)(*at++ - '0');
		at++;
	}
}

static void borrow(domid_t peer, const struct pv_boot *boot)
{
	uint64_t window = pv_mmu_window(3);
	int16_t status = 0;

	need_store(boot);
	find_references(peer);
	for (unsigned int i = 0; i < 2; i++) {
		lent[i] = (volatile uint64_t *)(window + i * PV_PAGE_SIZE);
		if (pv_gnttab_map(peer, ref[i], i ? PV_GRANT_RO : PV_GRANT_RW, (void *)lent[i],
		                  &map[i], &status))
			pv_panic("share: reference %u cannot be mapped: status %d", ref[i], status);
	}
	if (*lent[0] != LENT_WORD || *lent[1] != READ_WORD)
		pv_panic("share: not what was lent: %lx %lx", *lent[0], *lent[1]);
	if (pv_probe_write(lent[1], 1))
		pv_panic("share: wrote to a page that was lent to read");
	if (pv_gnttab_map(peer, ref[1], PV_GRANT_RW, (void *)(window + 2 * PV_PAGE_SIZE), &map[1],
	                  &status) == 0)
		pv_panic("share: mapped to write what was lent to read");
	pv_log("share: borrowed from %u\n", peer);
}

static void take_turns_as_borrower(void)
{
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		lent[0][1] = 2 * i - 1;
		wait_until(lent[0] + 1, 2 * i, "the lender's turn");
	}
	pv_log("share: %u rounds with the lender\n", ROUNDS);
}

static void give_back(void)
{
	uint8_t byte;

	for (unsigned int i = 0; i < 2; i++) {
		if (pv_gnttab_unmap(&map[i]))
			pv_panic("share: page %u cannot be unmapped", i);
		if (pv_probe_read(lent[i], &byte))
			pv_panic("share: page %u can be read after it was unmapped", i);
	}
	pv_log("share: gave both back\n");
}

/* Reads and writes until the lender, and with it the page, is gone. */
static void use_until_it_is_gone(void)
{
	uint64_t n = 0, end = pv_now_ns() + 20000000000ul;
	uint8_t byte;

	pv_log("share: uses it\n");
	while (pv_probe_write(lent[0] + 2, (uint8_t)n)) {
		if (++n % 4096 == 0 && pv_now_ns() > end)
			pv_panic("share: the page does not go");
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (pv_probe_read(lent[i], &byte))
			pv_panic("share: page %u is still there", i);
	}
	/* As in Xen: it succeeds, for there is nothing to give back. */
	if (pv_gnttab_unmap(&map[0]))
		pv_log("share: unmapping what is gone fails\n");
	pv_log("share: the page is gone, %s\n", n ? "and was used" : "never used");
}

bool share_act(const char *word, unsigned long dom, const struct pv_boot *boot)
{
	if (!strncmp(word, "lend=", 5)) {
		lend((domid_t)dom, boot);
	} else if (!strncmp(word, "borrow=", 7)) {
		borrow((domid_t)dom, boot);
	} else if (!strncmp(word, "turns=lender", 12)) {
		take_turns_as_lender();
	} else if (!strncmp(word, "turns=borrower", 14)) {
		take_turns_as_borrower();
	} else if (!strncmp(word, "takeback=", 9)) {
		take_back();
	} else if (!strncmp(word, "giveback=", 9)) {
		give_back();
	} else if (!strncmp(word, "use=", 4)) {
		use_until_it_is_gone();
	} else {
		return false;
	}
	return true;
}
