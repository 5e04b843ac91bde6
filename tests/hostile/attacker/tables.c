/* SPDX-License-Identifier: MIT */
/*
 * Page tables that lie.
 *
 * Behaviour: a few pages are data, tables of all four levels, descriptor tables and given back, in
 * any order and several at once; entries point to each other, to themselves, to the roots in use, to
 * the hypervisor's frames, to the neighbour's, or are noise; through a window one looks at what came
 * of it.
 * Method: all ways of changing an entry: lists, by address, by a store into the table, by exchange.
 * After each success one looks whether something stands there that must not.
 * Breakage: an entry for the neighbour's frame; a writable one for a page table; the harness's audit
 * of the counts; the hypervisor's end.
 */
#include "tests/hostile/attacker/attack.h"

#define POOL   20u
#define WINDOW 8u

static uint8_t pool[POOL][4096] __attribute__((aligned(4096)));
static uint64_t mfn[POOL]; /* 0: given back */
static uint64_t window;    /* WINDOW pages of addresses, and one 2 MiB stretch of its own */
static uint64_t stretch;

static unsigned int some(void)
{
	return (unsigned int)at_below(POOL);
}

static uint64_t some_frame(void)
{
	return at_chance(4) ? at_frame() : mfn[some()];
}

static uint64_t some_entry(void)
{
	static const uint64_t flags[] = { 7, 5, 0x67, 0x65, 0x27, 3, 1, 0x87, 0xe7, 0x1e7, 0 };
	uint64_t e = some_frame() << PV_PAGE_SHIFT | flags[at_below(AT_COUNT(flags))];

	if (at_chance(8))
		e |= 1ull << (at_chance(2) ? 63 : 52 + at_below(11));
	return at_chance(16) ? at_random() : e;
}

static uint64_t root_frame(void)
{
	return pv_p2m(pv_mmu_boot_root().pfn);
}

/* An entry that the hypervisor took: may it stand in a table? */
static void judge(uint64_t entry, unsigned int level)
{
	uint64_t frame = pv_pte_mfn(entry);

	if (!(entry & PV_PTE_PRESENT))
		return;
	if (at_is_foreign(frame))
		at_breach("an entry of level %u for the neighbour's frame %lx", level, frame);
	if (level == 1 && (entry & PV_PTE_WRITE) && frame == root_frame())
		at_breach("a writable entry for the root, %lx", entry);
}

static int update(uint64_t ptr, uint64_t value)
{
	struct mmu_update u = { .ptr = ptr, .val = value };

	return (int)pv_hc_mmu_update(&u, 1, NULL, DOMID_SELF);
}

static int ext(unsigned int cmd, uint64_t a, uint64_t b)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = a;
	op.arg2.src_mfn = b;
	return (int)pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void judge_table(unsigned int i, unsigned int level)
{
	/* Our address for it may show another frame by now. */
	if (pv_hc_update_va_mapping((uint64_t)pool[i], mfn[i] << PV_PAGE_SHIFT | 0x65,
	                            UVMF_INVLPG | UVMF_ALL))
		return;
	for (unsigned int k = 0; k < 512; k++) {
		uint8_t probe;
		uint64_t *e = (uint64_t *)pool[i] + k;

		if (!at_read((uint64_t)e, &probe))
			return;
		judge(*e, level);
	}
}

/* ---- moves ---------------------------------------------------------------------------------- */

static void fill(void)
{
	uint8_t *p = pool[some()];

	if (!at_write((uint64_t)p, 0))
		return;
	memset(p, 0, 4096);
	for (unsigned int n = (unsigned int)at_below(6); n; n--)
		((uint64_t *)p)[at_below(512)] = some_entry();
	if (at_chance(16))
		at_noise(p, 4096);
}

/* A copy of the root in use: the only kind that one can live under. */
static void copy_root(void)
{
	uint8_t *p = pool[some()];

	if (at_write((uint64_t)p, 0))
		memcpy(p, (void *)(pv_mmu_boot_root().pfn << PV_PAGE_SHIFT), 4096);
}

static void set_rights(unsigned int i, uint64_t flags)
{
	pv_hc_update_va_mapping((uint64_t)pool[i], mfn[i] << PV_PAGE_SHIFT | flags, UVMF_INVLPG);
}

static void protect(void)
{
	set_rights(some(), at_chance(2) ? 0x67 : 0x65);
}

static void pin(void)
{
	unsigned int i = some(), level = (unsigned int)at_below(4);

	if (at_chance(2))
		set_rights(i, 0x65);
	if (!ext(MMUEXT_PIN_L1_TABLE + level, mfn[i], 0))
		judge_table(i, level + 1);
}

static void unpin(void)
{
	ext(MMUEXT_UNPIN_TABLE, at_chance(8) ? at_frame() : mfn[some()], 0);
}

static void change(void)
{
	uint64_t entry = some_entry(), at_entry = at_below(512) * 8;
	unsigned int kind = (unsigned int)at_below(4);

	/* In a page that is no table it is a store like any other: judge_table() looks later. */
	update(mfn[some()] << PV_PAGE_SHIFT | at_entry | kind, entry);
}

static void map_one(void)
{
	uint64_t entry = some_entry();
	uint64_t va = window + at_below(WINDOW) * 4096;

	/* Our own kernel's pages only now and then: that is the end of it. */
	if (at_chance(16))
		va = at_address();
	if (va < pv_boot.memory_end && !at_chance(200))
		va = (uint64_t)pool[some()];

	if (!pv_hc_update_va_mapping(va, entry, at_chance(8) ? at_value() : at_below(8)))
		judge(entry, 1);
}

/* Hangs a page of the pool under the window's level-2 table, or the root. */
static void hang(void)
{
	const uint64_t *e = pv_mmu_walk(stretch, 2);
	uint64_t entry = some_entry() | 7;

	if (at_chance(4)) {
		/* Level-4 slots that nobody needs: linear tables, loops. */
		update((root_frame() << PV_PAGE_SHIFT) +
		               (at_chance(2) ? 300 : 65 + at_below(447)) * 8,
		       at_chance(2) ? root_frame() << PV_PAGE_SHIFT | 0x25 : entry);
		return;
	}
	if (e && !update(pv_mmu_machine_address(e), entry))
		judge(entry, 2);
}

static void touch(void)
{
	uint64_t va = at_chance(2) ? window + at_below(WINDOW * 4096)
	                           : stretch + at_below(512 * 4096);
	uint8_t byte;

	if (at_chance(4))
		va = 300ull << 39 | at_below(1ull << 39) | 0xffff800000000000ull;
	/* What is mapped there may be our own code: a store of what is there already is one, too. */
	if (at_read(va, &byte) && at_chance(2))
		at_write(va, byte);
}

/* A store into a table, which the hypervisor carries out when it is allowed. */
static void store(void)
{
	uint64_t entry = some_entry();
	uint64_t *at_entry = (uint64_t *)pool[some()] + at_below(512);

	switch (at_below(4)) {
	case 0:
		__atomic_store_n(at_entry, entry, __ATOMIC_SEQ_CST);
		break;
	case 1:
		__atomic_exchange_n(at_entry, entry, __ATOMIC_SEQ_CST);
		break;
	case 2:
		__atomic_or_fetch(at_entry, entry & 0xfff, __ATOMIC_SEQ_CST);
		break;
	default:
		*(volatile uint16_t *)((uint8_t *)at_entry + at_below(7)) = (uint16_t)entry;
	}
}

static void give_back(void)
{
	unsigned int i = some();
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	xen_pfn_t frame = mfn[i];

	set_xen_guest_handle(r.extent_start, &frame);
	if (at_chance(2))
		pv_hc_update_va_mapping((uint64_t)pool[i], 0, at_below(8));
	if (pv_hc_memory_op(XENMEM_decrease_reservation, &r) != 1)
		return;
	frame = (uint64_t)pool[i] >> PV_PAGE_SHIFT;
	if (pv_hc_memory_op(XENMEM_populate_physmap, &r) == 1) {
		mfn[i] = frame;
		if (at_is_foreign(frame))
			at_breach("was given the neighbour's frame %lx", frame);
		pv_hc_update_va_mapping((uint64_t)pool[i], frame << PV_PAGE_SHIFT | 0x67, 2);
	}
}

static void exchange(void)
{
	unsigned int i = some();
	xen_pfn_t in = at_chance(4) ? at_frame() : mfn[i];
	xen_pfn_t out = (uint64_t)pool[i] >> PV_PAGE_SHIFT;
	struct xen_memory_exchange x = { .in = { .nr_extents = 1, .domid = DOMID_SELF },
		                         .out = { .nr_extents = 1, .domid = DOMID_SELF } };

	set_xen_guest_handle(x.in.extent_start, &in);
	set_xen_guest_handle(x.out.extent_start, &out);
	if (at_chance(2))
		pv_hc_update_va_mapping((uint64_t)pool[i], 0, at_below(8));
	if (pv_hc_memory_op(XENMEM_exchange, &x) || x.nr_exchanged != 1 || in != mfn[i])
		return;
	mfn[i] = out;
	if (at_is_foreign(out))
		at_breach("was given the neighbour's frame %lx", (uint64_t)out);
	pv_hc_update_va_mapping((uint64_t)pool[i], out << PV_PAGE_SHIFT | 0x67, 2);
}

static void descriptors(void)
{
	xen_pfn_t frame = some_frame();

	if (at_chance(2))
		pv_hc_set_gdt(&frame, (unsigned int)(at_chance(4) ? at_value() : at_below(513)));
	else if (at_chance(2))
		pv_hc_update_descriptor(frame << PV_PAGE_SHIFT | at_below(512) << 3, at_random());
	else
		ext(MMUEXT_SET_LDT, at_chance(2) ? (uint64_t)pool[some()] : at_address(),
		    at_value());
}

static void base(void)
{
	const uint8_t *root = (const uint8_t *)(pv_mmu_boot_root().pfn << PV_PAGE_SHIFT);
	unsigned int i = some();
	uint8_t probe;

	if (at_chance(2)) {
		ext(MMUEXT_NEW_USER_BASEPTR, mfn[some()], 0);
		return;
	}
	/* Only under a root that has our kernel can we go on. */
	if (!at_read((uint64_t)pool[i], &probe) || ((pool[i][0] ^ root[0]) & ~0x60) ||
	    memcmp(pool[i] + 1, root + 1, 7))
		return;
	if (!ext(MMUEXT_NEW_BASEPTR, mfn[i], 0)) {
		touch();
		ext(MMUEXT_NEW_BASEPTR, root_frame(), 0);
	}
}

static void others(void)
{
	static const uint8_t cmds[] = { MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_INVLPG_LOCAL,
		                        MMUEXT_TLB_FLUSH_MULTI, MMUEXT_INVLPG_MULTI,
		                        MMUEXT_TLB_FLUSH_ALL,   MMUEXT_INVLPG_ALL,
		                        MMUEXT_CLEAR_PAGE,      MMUEXT_COPY_PAGE };

	unsigned int cmd = cmds[at_below(AT_COUNT(cmds))];

	if (cmd == MMUEXT_CLEAR_PAGE || cmd == MMUEXT_COPY_PAGE)
		ext(cmd, at_chance(8) ? at.foreign + at_below(4096) : mfn[some()], some_frame());
	else
		ext(cmd, at_chance(2) ? some_frame() : at_address(), some_frame());
}

#define MOVE(name)          \
	{                   \
#name, name \
	}
static const struct {
	const char *name;
	void (*fn)(void);
} moves[] = {
	MOVE(fill),        MOVE(copy_root), MOVE(protect),  MOVE(pin),     MOVE(pin),
	MOVE(unpin),       MOVE(change),    MOVE(change),   MOVE(map_one), MOVE(map_one),
	MOVE(hang),        MOVE(touch),     MOVE(touch),    MOVE(base),    MOVE(give_back),
	MOVE(descriptors), MOVE(others),    MOVE(exchange), MOVE(store),   MOVE(store),
};

static void move(void *arg)
{
	moves[*(uint64_t *)arg].fn();
}

void at_tables(void)
{
	uint64_t i;

	window = pv_mmu_window(WINDOW);
	stretch = (pv_mmu_window(1024) + 0x1fffff) & ~0x1fffffull;
	for (i = 0; i < POOL; i++)
		mfn[i] = pv_p2m((uint64_t)pool[i] >> PV_PAGE_SHIFT);
	for (unsigned int n = 0; n < at.budget; n++) {
		i = at_below(AT_COUNT(moves));
		at_attempt(moves[i].name);
		at_try(move, &i);
	}
}
