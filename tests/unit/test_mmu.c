/* SPDX-License-Identifier: MIT */
/*
 * Direct paging: types and counts, updates, pins, roots, linear and shared tables, and what the
 * engine is told. After every test all counts are audited and the model cache is checked.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/mmu.h"
#include "hypervisor-stub/core/hypercall.h"
#include "tests/fake/mem_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P0           (WORLD_FREE + 0) /* pages that tests play with */
#define P1           (WORLD_FREE + 1)
#define P2           (WORLD_FREE + 2)
#define P3           (WORLD_FREE + 3)
#define P4           (WORLD_FREE + 4)
#define RO           (WORLD_L1 & ~PTE_W)

static struct world w;
static struct hv_domain *d;
static struct hv_vcpu *v;
static struct fake_engine *e;

static void setup(void)
{
	world_init(&w);
	d = w.d;
	v = w.v;
	e = fake_of(d);
}

static void teardown(void)
{
	ck_assert_uint_eq(world_check(&w), 0);
	world_fini(&w);
}

static int64_t pin(uint64_t pfn, unsigned level)
{
	return world_ext(v, MMUEXT_PIN_L1_TABLE + level - 1, world_mfn(d, pfn).n, 0);
}

static int64_t unpin(uint64_t pfn)
{
	return world_ext(v, MMUEXT_UNPIN_TABLE, world_mfn(d, pfn).n, 0);
}

/* Takes write access to pages away from the guest, so that they can become tables. */
static void protect(uint64_t pfn, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		ck_assert_int_eq(world_protect(v, pfn + i, RO), 0);
}

/* A second tree: P0 = L4, P1 = L3, P2 = L2, P3 = L1 that maps P4 at page 5 of the same addresses. */
static void make_tree(void)
{
	memset(world_page(d, P0), 0, 4 * HV_PAGE_SIZE);
	world_page(d, P0)[WORLD_BASE >> 39 & 511] = world_entry(d, P1, WORLD_HIGH);
	world_page(d, P1)[WORLD_BASE >> 30 & 511] = world_entry(d, P2, WORLD_HIGH);
	world_page(d, P2)[WORLD_BASE >> 21 & 511] = world_entry(d, P3, WORLD_HIGH);
	world_page(d, P3)[5] = world_entry(d, P4, WORLD_L1);
	protect(P0, 4);
}

/* ---- normal --------------------------------------------------------------------------------------- */

START_TEST(the_first_tables_are_counted)
{
	struct hv_frame *root = world_frame(d, world_root());

	ck_assert_uint_eq(root->type, HV_TYPE_L4);
	ck_assert_uint_eq(root->type_count, WORLD_VCPUS);
	ck_assert_uint_eq(world_frame(d, world_l1(0))->type, HV_TYPE_L1);
	ck_assert_uint_eq(world_frame(d, P0)->type, HV_TYPE_WRITABLE);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 1);
	ck_assert_uint_eq(world_frame(d, P0)->ref_count, 2);
}
END_TEST

START_TEST(validation_adds_the_bits_that_xen_adds)
{
	uint64_t kernel = world_page(d, world_l1(0))[P0];

	/* The builder's entries have U: user pages are global in Xen. */
	ck_assert_uint_eq(kernel & (PTE_U | PTE_G | PTE_KERNEL), PTE_U | PTE_G);
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1 & ~PTE_U), 0);
	kernel = world_page(d, world_l1(0))[P0];
	ck_assert_uint_eq(kernel & (PTE_U | PTE_G | PTE_KERNEL), PTE_U | PTE_KERNEL);
}
END_TEST

START_TEST(losing_the_write_right_drops_the_count_and_tells_the_engine)
{
	unsigned before = e->changes;

	protect(P0, 1);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
	ck_assert_uint_eq(world_frame(d, P0)->ref_count, 2);
	ck_assert_uint_eq(e->changes, before + 1);
	ck_assert_uint_eq(e->last_change.va, world_va(P0));
	ck_assert_uint_eq(e->last_change.len, HV_PAGE_SIZE);
	ck_assert_uint_eq(e->last_change.root.n, world_mfn(d, world_root()).n);
	ck_assert_uint_eq(world_frame(d, P0)->removal_seq, e->seq);
	/* Gaining it tells nobody. */
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), 0);
	ck_assert_uint_eq(e->changes, before + 1);
}
END_TEST

START_TEST(a_page_becomes_a_table_only_after_the_caches_dropped_it)
{
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_W), HV_FAULT_RESUME);
	ck_assert(fake_cached(d, 0, v->root_kernel, world_va(P0))->writable);
	memset(world_page(d, P0), 0, HV_PAGE_SIZE);
	protect(P0, 1);
	/* The lazy cache still has it; the type change waits for it. */
	ck_assert_ptr_nonnull(fake_cached(d, 0, v->root_kernel, world_va(P0)));
	ck_assert_int_eq(pin(P0, 1), 0);
	ck_assert_ptr_null(fake_cached(d, 0, v->root_kernel, world_va(P0)));
	ck_assert_uint_eq(e->retires, 1);
	ck_assert_int_eq(unpin(P0), 0);
}
END_TEST

START_TEST(one_wait_serves_a_whole_batch)
{
	memset(world_page(d, P0), 0, 3 * HV_PAGE_SIZE);
	protect(P0, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pin(P0 + i, 1), 0);
	ck_assert_uint_eq(e->retires, 1);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(unpin(P0 + i), 0);
}
END_TEST

START_TEST(a_tree_is_pinned_loaded_and_given_back)
{
	make_tree();
	ck_assert_int_eq(pin(P0, 4), 0);
	ck_assert_uint_eq(world_frame(d, P3)->type, HV_TYPE_L1);
	ck_assert_uint_eq(world_frame(d, P4)->type_count, 2);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, world_mfn(d, P0).n, 0), 0);
	ck_assert_uint_eq(v->root_user.n, world_mfn(d, P0).n);
	ck_assert_int_eq(unpin(P0), 0);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 1);
	/* The number that stands for none inside is no way to ask for none. */
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, UINT64_MAX, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_BASEPTR, UINT64_MAX, 0), -XEN_EINVAL);
	ck_assert_uint_eq(v->root_user.n, world_mfn(d, P0).n);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	ck_assert(hv_mfn_is_none(v->root_user));
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
	ck_assert_uint_eq(world_frame(d, P3)->type_count, 0);
	ck_assert_uint_eq(world_frame(d, P4)->type_count, 1);
	ck_assert_uint_eq(e->last_root_gone.n, world_mfn(d, P0).n);
}
END_TEST

/* Two trees that meet at a level; how much they share then. */
START_TEST(roots_share_what_lies_below_the_same_table)
{
	const struct {
		unsigned pfn, index;
		uint64_t table, span;
	} meet[] = {
		{ P2, WORLD_BASE >> 21 & 511, world_l1(0), UINT64_C(1) << 21 },
		{ P1, WORLD_BASE >> 30 & 511, world_l2(), UINT64_C(1) << 30 },
		{ P0, WORLD_BASE >> 39 & 511, world_l3(), UINT64_C(1) << 39 },
	};
	mfn_t a = world_mfn(d, P0), b = world_mfn(d, world_root());
	uint64_t va = WORLD_BASE, end = 0, *e4;

	make_tree();
	ck_assert(!hv_roots_share(d, a, b, va, &end));
	ck_assert_uint_eq(end, va + 0x200000);
	for (unsigned i = 0; i < 3; i++) {
		e4 = &world_page(d, meet[i].pfn)[meet[i].index];
		*e4 = world_entry(d, meet[i].table, WORLD_HIGH);
		ck_assert(hv_roots_share(d, a, b, va + 0x3000, &end));
		ck_assert_uint_eq(end, (va & ~(meet[i].span - 1)) + meet[i].span);
		/* Accessed says nothing; other rights are another translation; absence is none. */
		*e4 ^= PTE_A;
		ck_assert(hv_roots_share(d, a, b, va, &end));
		*e4 ^= PTE_W;
		ck_assert(!hv_roots_share(d, a, b, va, &end));
		*e4 ^= PTE_W | PTE_P;
		ck_assert(!hv_roots_share(d, a, b, va, &end));
		*e4 ^= PTE_P;
	}
	ck_assert(!hv_roots_share(d, a, (mfn_t){ 3 }, va, &end));
	ck_assert(!hv_roots_share(d, HV_MFN_NONE, HV_MFN_NONE, va, &end));
	ck_assert(!hv_roots_share(d, a, b, UINT64_C(5) << 39, &end)); /* in neither */
	*e4 = 0;
}
END_TEST

START_TEST(a_new_kernel_root_flushes_this_vcpu_only)
{
	make_tree();
	e->syncs = 0;
	ck_assert_int_eq(world_ext(d->vcpu[1], MMUEXT_NEW_BASEPTR, world_mfn(d, P0).n, 0), 0);
	ck_assert_uint_eq(d->vcpu[1]->root_kernel.n, world_mfn(d, P0).n);
	ck_assert_uint_eq(e->last_sync, 1u << 1);
	ck_assert_uint_eq(e->syncs, 1);
	/* The same one again flushes too, as loading CR3 does. */
	world_args(v, 0, &(struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR },
	           sizeof(struct mmuext_op));
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_BASEPTR, v->root_kernel.n, 0), 0);
	ck_assert_uint_eq(e->last_sync, 1u << 0);
	ck_assert_uint_eq(e->syncs, 2);
}
END_TEST

START_TEST(what_hung_under_a_lost_root_is_not_mapped_any_more)
{
	make_tree();
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, world_mfn(d, P0).n, 0), 0);
	v->in_kernel = false;
	ck_assert_int_eq(world_touch(v, world_va(5), PFEC_W), HV_FAULT_RESUME);
	ck_assert(fake_cached(d, 0, world_mfn(d, P0), world_va(5))->writable);
	v->in_kernel = true;
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	/* P4 was mapped below it, and becomes a table now. */
	memset(world_page(d, P4), 0, HV_PAGE_SIZE);
	protect(P4, 1);
	ck_assert_int_eq(pin(P4, 1), 0);
	ck_assert_uint_eq(fake_cache_check(d), 0);
	ck_assert_int_eq(unpin(P4), 0);
}
END_TEST

START_TEST(preserving_updates_keep_accessed_and_dirty)
{
	uint64_t *entry = &world_page(d, world_l1(0))[P0], at = world_place(d, P0);

	*entry |= PTE_D;
	ck_assert_int_eq(
		world_update(v, at | MMU_PT_UPDATE_PRESERVE_AD, world_entry(d, P0, PTE_P | PTE_U)),
		0);
	ck_assert_uint_eq(*entry & (PTE_A | PTE_D | PTE_W), PTE_A | PTE_D);
	ck_assert_int_eq(
		world_update(v, at | MMU_PT_UPDATE_NO_TRANSLATE, world_entry(d, P0, PTE_P | PTE_U)),
		0);
	ck_assert_uint_eq(*entry & (PTE_A | PTE_D | PTE_W), 0);
	/* Clearing accessed is a loss that the caches must see. */
	ck_assert_uint_eq(e->last_change.now & (PTE_A | PTE_D), 0);
}
END_TEST

START_TEST(the_machine_to_physical_table_is_the_guests_to_write_for_its_frames)
{
	struct hv_domain *b = world_add(&w);
	uint64_t at = world_mfn(d, P0).n << HV_PAGE_SHIFT;

	ck_assert_int_eq(world_update(v, at | MMU_MACHPHYS_UPDATE, 4711), 0);
	ck_assert_uint_eq(w.m->pool.m2p[world_mfn(d, P0).n], 4711);
	at = world_mfn(b, P0).n << HV_PAGE_SHIFT;
	ck_assert_int_eq(world_update(v, at | MMU_MACHPHYS_UPDATE, 1), -XEN_EINVAL);
	ck_assert_uint_eq(w.m->pool.m2p[world_mfn(b, P0).n], P0);
}
END_TEST

START_TEST(an_update_of_plain_memory_is_a_store)
{
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 3), 0x1122334455667788), 0);
	ck_assert_uint_eq(world_page(d, P0)[3], 0x1122334455667788);
	/* Also where no entry maps it writable: then it becomes of the writable type for the while. */
	protect(P0, 1);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 3), 9), 0);
	ck_assert_uint_eq(world_page(d, P0)[3], 9);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
}
END_TEST

START_TEST(high_entries_are_hooked_and_unhooked)
{
	unsigned slot = WORLD_BASE >> 21 & 511;

	memset(world_page(d, P3), 0, HV_PAGE_SIZE);
	world_page(d, P3)[5] = world_entry(d, P4, WORLD_L1);
	protect(P3, 1);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), slot + 7),
	                              world_entry(d, P3, PTE_P | PTE_W)),
	                 0);
	ck_assert_uint_eq(world_frame(d, P3)->type, HV_TYPE_L1);
	ck_assert_uint_ne(world_page(d, world_l2())[slot + 7] & PTE_U, 0);
	ck_assert_int_eq(world_touch(v, WORLD_BASE + (7u << 21) + (5u << 12), PFEC_W),
	                 HV_FAULT_RESUME);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), slot + 7), 0), 0);
	ck_assert_uint_eq(e->last_change.va, WORLD_BASE + (7u << 21));
	ck_assert_uint_eq(e->last_change.len, 1u << 21);
	ck_assert_uint_eq(e->last_change.level, 2);
	ck_assert_uint_eq(world_frame(d, P3)->type_count, 0);
	ck_assert_uint_eq(world_frame(d, P4)->removal_seq, e->seq);
}
END_TEST

START_TEST(a_table_that_hangs_nowhere_tells_nobody_but_its_frames_remember)
{
	uint64_t seq;
	unsigned before;

	memset(world_page(d, P3), 0, HV_PAGE_SIZE);
	world_page(d, P3)[5] = world_entry(d, P4, WORLD_L1);
	protect(P3, 1);
	ck_assert_int_eq(pin(P3, 1), 0);
	ck_assert_int_eq(
		world_update(v, world_ptr(d, world_l2(), 300), world_entry(d, P3, WORLD_HIGH)), 0);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), 300), 0), 0);
	seq = e->seq;
	before = e->changes;
	ck_assert_int_eq(world_update(v, world_ptr(d, P3, 5), 0), 0);
	ck_assert_uint_eq(e->changes, before);
	ck_assert_uint_eq(world_frame(d, P4)->removal_seq, seq);
	ck_assert_int_eq(unpin(P3), 0);
}
END_TEST

START_TEST(tables_shared_by_two_roots_are_reported_for_both)
{
	make_tree();
	/* The first root and P0 share an L3 table at the same place. */
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, WORLD_BASE >> 39 & 511),
	                              world_entry(d, world_l3(), WORLD_HIGH)),
	                 0);
	ck_assert_int_eq(pin(P0, 4), 0);
	e->changes = 0;
	protect(P4, 1);
	ck_assert_uint_eq(e->changes, 2);
	ck_assert_uint_eq(e->last_change.va, world_va(P4));
	/* A third root: now all roots, but the place is known. */
	memset(world_page(d, P4), 0, HV_PAGE_SIZE);
	world_page(d, P4)[WORLD_BASE >> 39 & 511] = world_entry(d, world_l3(), WORLD_HIGH);
	ck_assert_int_eq(pin(P4, 4), 0);
	e->changes = 0;
	protect(P4 + 1, 1);
	ck_assert_uint_eq(e->changes, 1);
	ck_assert(hv_mfn_is_none(e->last_change.root));
	ck_assert_uint_eq(e->last_change.va, world_va(P4 + 1));
	ck_assert_uint_eq(e->last_change.len, HV_PAGE_SIZE);
	ck_assert_int_eq(unpin(P0), 0);
	ck_assert_int_eq(unpin(P4), 0);
}
END_TEST

START_TEST(of_two_roots_the_one_that_stays_is_known)
{
	uint64_t slot = WORLD_BASE >> 39 & 511;

	make_tree();
	ck_assert_int_eq(
		world_update(v, world_ptr(d, P0, slot), world_entry(d, world_l3(), WORLD_HIGH)), 0);
	ck_assert_int_eq(pin(P0, 4), 0);
	/* vCPU 1 keeps the new root; the first root loses the shared table. */
	for (unsigned i = 0; i < WORLD_VCPUS; i++)
		ck_assert_int_eq(world_ext(d->vcpu[i], MMUEXT_NEW_BASEPTR, world_mfn(d, P0).n, 0),
		                 0);
	ck_assert_uint_eq(world_frame(d, world_root())->type_count, 0);
	protect(P4, 1);
	ck_assert_uint_eq(e->last_change.root.n, world_mfn(d, P0).n);
	ck_assert_uint_eq(e->last_change.va, world_va(P4));
}
END_TEST

START_TEST(a_table_of_a_root_at_two_slots_is_reported_as_anywhere)
{
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), 77),
	                              world_entry(d, world_l3(), WORLD_HIGH)),
	                 0);
	ck_assert_int_eq(world_touch(v, (UINT64_C(77) << 39) + world_va(P0), PFEC_W),
	                 HV_FAULT_RESUME);
	protect(P0, 1);
	ck_assert_uint_eq(e->last_change.len, 0);
	ck_assert(hv_mfn_is_none(e->last_change.root));
}
END_TEST

START_TEST(losing_the_right_to_execute_is_told)
{
	ck_assert_int_eq(world_touch(v, world_va(P0), PFEC_I), HV_FAULT_RESUME);
	e->changes = 0;
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1 | PTE_NX), 0);
	ck_assert_uint_eq(e->changes, 1);
	ck_assert_uint_eq(e->last_change.va, world_va(P0));
	ck_assert_int_eq(world_protect(v, P0, WORLD_L1), 0);
	ck_assert_uint_eq(e->changes, 1);
}
END_TEST

START_TEST(a_table_at_two_places_is_reported_as_anywhere)
{
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), 300),
	                              world_entry(d, world_l1(0), WORLD_HIGH)),
	                 0);
	ck_assert_int_eq(world_touch(v,
	                             (WORLD_BASE & ~UINT64_C(0x3fffffff)) + (UINT64_C(300) << 21) +
	                                     (P0 << 12),
	                             0),
	                 HV_FAULT_RESUME);
	protect(P0, 1);
	ck_assert_uint_eq(e->last_change.len, 0);
	ck_assert(hv_mfn_is_none(e->last_change.root));
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), 300), 0), 0);
}
END_TEST

START_TEST(linear_tables_are_read_only_views)
{
	uint64_t va = UINT64_C(0xffff880000000000), slot = 272; /* the first above Xen's part */
	uint64_t view = va + (slot << 30) + (slot << 21) + (slot << 12), page;

	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), slot),
	                              world_entry(d, world_root(), WORLD_HIGH)),
	                 -XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), slot),
	                              world_entry(d, world_root(), PTE_P | PTE_U | PTE_A)),
	                 0);
	ck_assert_uint_eq(d->mem.nr_linear, 1);
	ck_assert_uint_eq(world_frame(d, world_root())->type_count, WORLD_VCPUS);
	/* The root as a page, read through itself. */
	world_read(v, view, &page, sizeof(page));
	ck_assert_uint_eq(page, world_page(d, world_root())[0]);
	ck_assert_int_eq(world_touch(v, view, 0), HV_FAULT_RESUME);
	ck_assert(!fake_cached(d, 0, v->root_kernel, view)->writable);
	ck_assert_int_eq(world_touch(v, view, PFEC_W), HV_FAULT_GUEST);
	/* Changes above L1 then concern every address, and flush. */
	e->syncs = 0;
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), 300),
	                              world_entry(d, world_l1(0), WORLD_HIGH)),
	                 0);
	ck_assert_uint_eq(e->last_sync, (1u << WORLD_VCPUS) - 1);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_l2(), 300), 0), 0);
	ck_assert_uint_eq(e->last_change.len, 0);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, view, 0, 0, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), slot), 0), 0);
	ck_assert_uint_eq(d->mem.nr_linear, 0);
}
END_TEST

START_TEST(linear_tables_of_another_root_form_no_chains)
{
	make_tree();
	ck_assert_int_eq(pin(P0, 4), 0);
	ck_assert_int_eq(
		world_update(v, world_ptr(d, world_root(), 300), world_entry(d, P0, PTE_P)), 0);
	ck_assert_int_eq(world_frame(d, world_root())->linear, 1);
	ck_assert_int_eq(world_frame(d, P0)->linear, -1);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 2);
	/* P0 is used so, and has no such entries itself. */
	ck_assert_int_eq(
		world_update(v, world_ptr(d, P0, 300), world_entry(d, world_root(), PTE_P)),
		-XEN_EINVAL);
	/* Nor may it have them to a third root; and who has such entries is no target itself. */
	memset(world_page(d, P4), 0, HV_PAGE_SIZE);
	protect(P4, 1);
	ck_assert_int_eq(pin(P4, 4), -XEN_EINVAL); /* mapped writable by the tree of P0 */
	ck_assert_int_eq(world_update(v, world_ptr(d, P3, 5), 0), 0);
	ck_assert_int_eq(pin(P4, 4), 0);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 300), world_entry(d, P4, PTE_P)),
	                 -XEN_EINVAL);
	ck_assert_int_eq(
		world_update(v, world_ptr(d, P4, 300), world_entry(d, world_root(), PTE_P)),
		-XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, P4, 300), world_entry(d, P4, PTE_P)), 0);
	ck_assert_int_eq(unpin(P4), 0);
	ck_assert_int_eq(unpin(P0), 0);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 1);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), 300), 0), 0);
	ck_assert_uint_eq(world_frame(d, P0)->type_count, 0);
}
END_TEST

static const struct {
	unsigned cmd;
	uint32_t mask;
	int64_t rc;
} flushes[] = {
	{ MMUEXT_TLB_FLUSH_LOCAL, 2, 0 },
	{ MMUEXT_INVLPG_LOCAL, 2, 0 },
	{ MMUEXT_TLB_FLUSH_ALL, 7, 0 },
	{ MMUEXT_INVLPG_ALL, 7, 0 },
	{ MMUEXT_TLB_FLUSH_MULTI, 5, 0 },
	{ MMUEXT_INVLPG_MULTI, 5, 0 },
	{ MMUEXT_FLUSH_CACHE, 0, -XEN_EACCES },
	{ MMUEXT_FLUSH_CACHE_GLOBAL, 0, -XEN_EINVAL },
	{ MMUEXT_MARK_SUPER, 0, -XEN_EOPNOTSUPP },
	{ MMUEXT_UNMARK_SUPER, 0, -XEN_EOPNOTSUPP },
	{ 14, 0, -XEN_ENOSYS },
	{ 21, 0, -XEN_ENOSYS },
	{ UINT32_MAX, 0, -XEN_ENOSYS },
};

START_TEST(flushes_reach_the_vcpus_they_name)
{
	/* The mask names a vCPU that does not exist: ignored. */
	uint64_t mask = 0x8000000000000005, at = world_args(v, 256, &mask, sizeof(mask));

	e->last_sync = 0;
	ck_assert_int_eq(world_ext(d->vcpu[1], flushes[_i].cmd, world_va(P0), at), flushes[_i].rc);
	ck_assert_uint_eq(e->last_sync, flushes[_i].mask);
}
END_TEST

static const struct {
	uint64_t flags;
	uint32_t mask;
} va_flushes[] = {
	{ UVMF_NONE, 0 },
	{ UVMF_TLB_FLUSH | UVMF_LOCAL, 1 },
	{ UVMF_TLB_FLUSH | UVMF_ALL, 7 },
	{ UVMF_INVLPG | UVMF_LOCAL, 1 },
	{ UVMF_INVLPG | UVMF_ALL, 7 },
	{ 3, 0 },
	{ UVMF_INVLPG | 0x1000, 6 }, /* a bitmap, see below */
	{ UVMF_TLB_FLUSH | 0x1000, 6 },
};

START_TEST(update_va_mapping_flushes_as_asked)
{
	uint64_t mask = 6, flags = va_flushes[_i].flags;

	if (flags & 0x1000)
		flags = (flags & 3) | world_args(v, 256, &mask, sizeof(mask));
	e->last_sync = 0;
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
	                            world_entry(d, P0, RO), flags, 0),
	                 0);
	ck_assert_uint_eq(e->last_sync, va_flushes[_i].mask);
}
END_TEST

START_TEST(pages_are_cleared_and_copied)
{
	memset(world_page(d, P0), 0x77, HV_PAGE_SIZE);
	ck_assert_int_eq(world_ext(v, MMUEXT_COPY_PAGE, world_mfn(d, P1).n, world_mfn(d, P0).n), 0);
	ck_assert_mem_eq(world_page(d, P1), world_page(d, P0), HV_PAGE_SIZE);
	ck_assert_int_eq(world_ext(v, MMUEXT_CLEAR_PAGE, world_mfn(d, P0).n, 0), 0);
	ck_assert_uint_eq(world_page(d, P0)[511], 0);
	ck_assert_int_eq(world_ext(v, MMUEXT_CLEAR_PAGE, world_mfn(d, world_l1(0)).n, 0),
	                 -XEN_EINVAL);
	ck_assert_int_eq(
		world_ext(v, MMUEXT_COPY_PAGE, world_mfn(d, world_l1(0)).n, world_mfn(d, P0).n),
		-XEN_EINVAL);
	ck_assert_int_eq(world_ext(v, MMUEXT_COPY_PAGE, world_mfn(d, P0).n, 12), -XEN_EINVAL);
	/* Reading a table is allowed. */
	ck_assert_int_eq(
		world_ext(v, MMUEXT_COPY_PAGE, world_mfn(d, P0).n, world_mfn(d, world_l1(0)).n), 0);
}
END_TEST

START_TEST(batches_say_how_far_they_came)
{
	struct mmu_update rq[200];
	uint64_t at;
	uint32_t done = 0;

	memset(rq, 0, sizeof(rq));
	for (unsigned i = 0; i < 150; i++)
		rq[i] = (struct mmu_update){ world_ptr(d, P0, i), i + 1 };
	rq[150].ptr = 5; /* no such command */
	at = world_args(v, 0, rq, sizeof(rq));
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_mmu_update, at, 200, world_va(WORLD_OUT), DOMID_SELF),
		-XEN_ENOSYS);
	world_read(v, world_va(WORLD_OUT), &done, sizeof(done));
	ck_assert_uint_eq(done, 150);
	ck_assert_uint_eq(world_page(d, P0)[149], 150);
	/* A continued batch counts on. */
	ck_assert_int_eq(world_call(v, __HYPERVISOR_mmu_update, at, 10u | 0x80000000u,
	                            world_va(WORLD_OUT), DOMID_SELF),
	                 0);
	world_read(v, world_va(WORLD_OUT), &done, sizeof(done));
	ck_assert_uint_eq(done, 160);
	/* A bad place for the count is nobody's error. */
	ck_assert_int_eq(world_call(v, __HYPERVISOR_mmu_update, at, 10, 0x1000, DOMID_SELF), 0);
}
END_TEST

/* ---- limits --------------------------------------------------------------------------------------- */

static const struct {
	uint64_t flags;
	int64_t rc;
} l1_flags[] = {
	{ WORLD_L1, 0 },
	{ WORLD_L1 | PTE_NX, 0 },
	{ WORLD_L1 | PTE_G, 0 },
	{ WORLD_L1 | PTE_AVAIL, 0 },
	{ WORLD_L1 | PTE_HIGH, 0 },
	{ 0, 0 },
	{ WORLD_L1 & ~PTE_P, 0 },
	{ WORLD_L1 | PTE_PAT, -XEN_EINVAL },
	{ WORLD_L1 | PTE_PCD, -XEN_EINVAL },
	{ WORLD_L1 | PTE_PWT, -XEN_EINVAL },
	{ (WORLD_L1 | PTE_PAT) & ~PTE_P, 0 },
};

START_TEST(l1_entries_have_the_bits_they_may_have)
{
	int64_t rc = world_protect(v, P0, l1_flags[_i].flags);

	ck_assert_int_eq(rc, l1_flags[_i].rc);
	if (rc)
		ck_assert_uint_eq(world_page(d, world_l1(0))[P0] & PTE_FRAME,
		                  world_mfn(d, P0).n << 12);
}
END_TEST

static const struct {
	uint64_t flags;
	int64_t rc;
} high_flags[] = {
	{ WORLD_HIGH, 0 },
	{ WORLD_HIGH | PTE_NX, 0 },
	{ PTE_P, 0 },
	{ WORLD_HIGH | PTE_HIGH | PTE_AVAIL, 0 },
	{ WORLD_HIGH | PTE_PAT, -XEN_EINVAL }, /* a large page */
	{ WORLD_HIGH | PTE_G, -XEN_EINVAL },
	{ WORLD_HIGH | PTE_PCD, -XEN_EINVAL },
	{ WORLD_HIGH | PTE_PWT, -XEN_EINVAL },
};

START_TEST(higher_entries_have_the_bits_they_may_have)
{
	uint64_t at = world_ptr(d, world_l2(), 300);

	memset(world_page(d, P3), 0, HV_PAGE_SIZE);
	protect(P3, 1);
	ck_assert_int_eq(world_update(v, at, world_entry(d, P3, high_flags[_i].flags)),
	                 high_flags[_i].rc);
	/* Nor do they get in by a change of flags alone. */
	ck_assert_int_eq(world_update(v, at, world_entry(d, P3, WORLD_HIGH)), 0);
	ck_assert_int_eq(world_update(v, at, world_entry(d, P3, high_flags[_i].flags)),
	                 high_flags[_i].rc);
}
END_TEST

START_TEST(l1_entries_name_frames_that_one_may_map)
{
	struct hv_domain *b = world_add(&w);
	const struct {
		uint64_t mfn, flags;
		int64_t rc;
	} t[] = {
		{ world_mfn(d, P1).n, WORLD_L1, 0 },
		{ d->shared_info_mfn.n, WORLD_L1, 0 },
		{ world_mfn(d, world_l1(0)).n, RO, 0 },
		{ world_mfn(d, world_root()).n, RO, 0 },
		{ world_mfn(d, world_l1(0)).n, WORLD_L1, -XEN_EBUSY },
		{ world_mfn(d, world_root()).n, WORLD_L1, -XEN_EBUSY },
		{ world_mfn(b, P0).n, WORLD_L1, -XEN_EBUSY },
		{ world_mfn(b, P0).n, RO, -XEN_EBUSY },
		{ b->shared_info_mfn.n, RO, -XEN_EBUSY },
		{ d->mem.first.n + WORLD_PAGES + 2, RO, -XEN_EBUSY }, /* in no use */
		{ w.m->pool.m2p_entries - 1, RO, -XEN_EBUSY },
		{ w.m->pool.m2p_entries, RO, -XEN_EPERM },
		{ 0xb8, RO, -XEN_EPERM }, /* a PC's video memory */
		{ (UINT64_C(1) << 40) - 1, RO, -XEN_EINVAL },
		{ (UINT64_C(1) << 40) - 2, RO, -XEN_EPERM },
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		int64_t rc = world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
		                        t[i].mfn << 12 | t[i].flags, 0, 0);

		ck_assert_msg(rc == t[i].rc, "case %u: %ld instead of %ld", i, (long)rc,
		              (long)t[i].rc);
	}
}
END_TEST

START_TEST(addresses_of_update_va_mapping)
{
	static const struct {
		uint64_t va;
		int64_t rc;
	} t[] = {
		{ WORLD_BASE + (WORLD_FREE << 12), 0 },
		{ 0, -XEN_EINVAL },
		{ UINT64_C(0x0000800000000000), -XEN_EINVAL },
		{ UINT64_C(0xffff7fffffffffff), -XEN_EINVAL },
		{ UINT64_C(0xffff800000000000), -XEN_EINVAL },
		{ UINT64_C(0xffff880000000000), -XEN_EINVAL },
		{ UINT64_MAX, -XEN_EINVAL },
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, t[i].va,
		                            world_entry(d, P0, RO), 0, 0),
		                 t[i].rc);
	/* The page's address does not count within the page. */
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P1) + 0xfff,
	                            world_entry(d, P1, RO), 0, 0),
	                 0);
}
END_TEST

START_TEST(pins_and_their_errors)
{
	make_tree();
	ck_assert_int_eq(pin(P3, 1), 0);
	ck_assert_int_eq(pin(P3, 1), -XEN_EINVAL);
	ck_assert_int_eq(pin(P3, 2), -XEN_EINVAL);
	ck_assert_int_eq(pin(P2, 2), 0);
	ck_assert_int_eq(pin(P1, 3), 0);
	ck_assert_int_eq(pin(P4, 1), -XEN_EINVAL); /* mapped writable */
	ck_assert_int_eq(world_ext(v, MMUEXT_PIN_L1_TABLE, d->shared_info_mfn.n, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_ext(v, MMUEXT_PIN_L1_TABLE, 3, 0), -XEN_EINVAL);
	ck_assert_int_eq(unpin(P3), 0);
	ck_assert_int_eq(unpin(P3), -XEN_EINVAL);
	ck_assert_int_eq(unpin(P2), 0);
	ck_assert_int_eq(unpin(P1), 0);
	ck_assert_int_eq(world_ext(v, MMUEXT_UNPIN_TABLE, UINT64_MAX, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_BASEPTR, world_mfn(d, P1).n, 0), -XEN_EINVAL);
	ck_assert_int_eq(world_ext(v, MMUEXT_NEW_BASEPTR, 0, 0), -XEN_EINVAL);
}
END_TEST

START_TEST(xens_slots_of_a_root_are_not_the_guests)
{
	make_tree();
	world_page(d, P0)[256] = world_entry(d, P1, WORLD_HIGH);
	world_page(d, P0)[271] = ~UINT64_C(0);
	ck_assert_int_eq(pin(P0, 4), 0);
	/* Whatever was there translates nothing. */
	ck_assert_uint_eq(world_page(d, P0)[256], 0);
	ck_assert_uint_eq(world_page(d, P0)[271], 0);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 256), 0), -XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 271), world_entry(d, P1, WORLD_HIGH)),
	                 -XEN_EINVAL);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 255), world_entry(d, P1, WORLD_HIGH)), 0);
	ck_assert_int_eq(world_update(v, world_ptr(d, P0, 272), world_entry(d, P1, WORLD_HIGH)), 0);
	ck_assert_int_eq(unpin(P0), 0);
}
END_TEST

static const struct {
	unsigned nr;
	uint64_t foreign;
	int64_t rc, empty_rc;
} owners[] = {
	{ __HYPERVISOR_mmu_update, DOMID_SELF, 0, 0 },
	{ __HYPERVISOR_mmu_update, 1, -XEN_ESRCH, -XEN_ESRCH }, /* one's own number */
	{ __HYPERVISOR_mmu_update, 0, -XEN_EPERM, 0 },
	{ __HYPERVISOR_mmu_update, 2, -XEN_EPERM, 0 },
	{ __HYPERVISOR_mmu_update, 9, -XEN_ESRCH, -XEN_ESRCH },
	{ __HYPERVISOR_mmu_update, 0x7777, -XEN_ESRCH, -XEN_ESRCH },
	{ __HYPERVISOR_mmu_update, DOMID_SELF | 2u << 16, 0, 0 },          /* tables of domain 1 */
	{ __HYPERVISOR_mmu_update, DOMID_SELF | 3u << 16, -XEN_EPERM, 0 }, /* of domain 2 */
	{ __HYPERVISOR_mmu_update, DOMID_SELF | 9u << 16, -XEN_ESRCH, -XEN_ESRCH },
	{ __HYPERVISOR_mmu_update, DOMID_IO, -XEN_EBUSY, 0 },
	{ __HYPERVISOR_mmuext_op, DOMID_SELF, 0, 0 },
	{ __HYPERVISOR_mmuext_op, 1, -XEN_ESRCH, -XEN_ESRCH },
	{ __HYPERVISOR_mmuext_op, 2, -XEN_EPERM, -XEN_EPERM },
	{ __HYPERVISOR_mmuext_op, DOMID_IO, -XEN_EPERM, -XEN_EPERM },
	{ __HYPERVISOR_mmuext_op, 9, -XEN_ESRCH, -XEN_ESRCH },
};

START_TEST(other_domains_cannot_be_named)
{
	struct mmu_update rq = { world_place(d, P0), world_entry(d, P0, RO) };
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_LOCAL };
	bool update = owners[_i].nr == __HYPERVISOR_mmu_update;
	uint64_t at;

	world_add(&w);
	at = update ? world_args(v, 0, &rq, sizeof(rq)) : world_args(v, 0, &op, sizeof(op));
	ck_assert_int_eq(world_call(v, owners[_i].nr, at, 1, 0, owners[_i].foreign), owners[_i].rc);
	ck_assert_int_eq(world_call(v, owners[_i].nr, at, 0, 0, owners[_i].foreign),
	                 owners[_i].empty_rc);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping_otherdomain, world_va(P0),
	                            world_entry(d, P0, RO), 0, 2),
	                 -XEN_EPERM);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping_otherdomain, world_va(P0),
	                            world_entry(d, P0, RO), 0, DOMID_SELF),
	                 0);
}
END_TEST

/* ---- hostile -------------------------------------------------------------------------------------- */

START_TEST(a_refused_table_leaves_no_counts)
{
	make_tree();
	world_page(d, P3)[511] = world_entry(d, P3, WORLD_L1); /* itself, writable */
	ck_assert_int_eq(pin(P0, 4), -XEN_EBUSY);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(world_frame(d, P0 + i)->type_count, 0);
		ck_assert_uint_eq(world_frame(d, P0 + i)->ref_count, 2);
	}
	ck_assert_uint_eq(world_frame(d, P4)->type_count, 1);
}
END_TEST

START_TEST(loops_of_tables_are_refused)
{
	make_tree();
	/* An L2 table that names the root as an L1 table, and the root as an L2 table. */
	world_page(d, P2)[9] = world_entry(d, P0, PTE_P);
	ck_assert_int_eq(pin(P0, 4), -XEN_EINVAL);
	world_page(d, P2)[9] = 0;
	world_page(d, P1)[9] = world_entry(d, P0, PTE_P);
	ck_assert_int_eq(pin(P0, 4), -XEN_EINVAL);
	/* An L3 table that is not validated yet cannot be somebody's linear table. */
	world_page(d, P1)[9] = world_entry(d, P4, PTE_P);
	ck_assert_int_eq(pin(P0, 4), -XEN_EINVAL);
}
END_TEST

START_TEST(every_slot_may_be_garbage)
{
	uint64_t x = 0x9e3779b97f4a7c15;

	protect(P0, 1);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 512; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			world_page(d, P0)[i] = x;
		}
		for (unsigned level = 1; level <= 4; level++)
			ck_assert_int_lt(pin(P0, level), 0);
	}
}
END_TEST

START_TEST(pointers_of_batches_may_be_wild)
{
	static const uint64_t wild[] = { 0,
		                         8,
		                         0x1000,
		                         UINT64_C(0x00007ffffffffff0),
		                         UINT64_C(0x0000800000000000),
		                         UINT64_C(0xffff800000000000),
		                         UINT64_MAX - 7,
		                         UINT64_MAX };

	for (unsigned i = 0; i < ARRAY_LEN(wild); i++) {
		ck_assert_int_eq(world_call(v, __HYPERVISOR_mmu_update, wild[i], 3, 0, DOMID_SELF),
		                 -XEN_EFAULT);
		ck_assert_int_eq(world_call(v, __HYPERVISOR_mmuext_op, wild[i], UINT32_MAX, wild[i],
		                            DOMID_SELF),
		                 -XEN_EFAULT);
		ck_assert_int_eq(world_ext(v, MMUEXT_TLB_FLUSH_MULTI, 0, wild[i]), -XEN_EINVAL);
		/* The entry is changed by then, as in Xen. */
		if (wild[i] > 8)
			ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
			                            world_entry(d, P0, RO),
			                            (wild[i] & ~UINT64_C(7)) | UVMF_INVLPG, 0),
			                 -XEN_EFAULT);
	}
}
END_TEST

START_TEST(a_batch_that_runs_off_its_page_stops_there)
{
	struct mmu_update rq = { world_ptr(d, P2, 0), 4711 };
	uint64_t at = world_va(P1) - sizeof(rq);
	uint32_t done;

	memcpy((uint8_t *)world_page(d, P1) - sizeof(rq), &rq, sizeof(rq));
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P1), 0, 0, 0), 0);
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_mmu_update, at, 2, world_va(WORLD_OUT), DOMID_SELF),
		-XEN_EFAULT);
	world_read(v, world_va(WORLD_OUT), &done, sizeof(done));
	ck_assert_uint_eq(done, 1);
	ck_assert_uint_eq(world_page(d, P2)[0], 4711);
}
END_TEST

START_TEST(a_root_in_use_cannot_be_lost)
{
	uint64_t slot = WORLD_BASE >> 39 & 511;

	/* Unpinned, unmapped: it is still vCPU 0's root and stays one. */
	ck_assert_int_eq(
		world_call(v, __HYPERVISOR_update_va_mapping, world_va(world_root()), 0, 0, 0), 0);
	ck_assert_int_eq(world_call(v, __HYPERVISOR_update_va_mapping, world_va(P0),
	                            world_entry(d, world_root(), WORLD_L1), 0, 0),
	                 -XEN_EBUSY);
	/* Its only entry goes: everything is unmapped then, arguments included. */
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), slot), 0), 0);
	ck_assert_int_eq(world_touch(v, world_va(P0), 0), HV_FAULT_GUEST);
	ck_assert_int_eq(world_update(v, world_ptr(d, world_root(), slot),
	                              world_entry(d, world_l3(), WORLD_HIGH)),
	                 -XEN_EFAULT);
}
END_TEST

Suite *mmu_suite(void);
Suite *mmu_suite(void)
{
	Suite *s = suite_create("mmu");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(normal, the_first_tables_are_counted);
	tcase_add_test(normal, validation_adds_the_bits_that_xen_adds);
	tcase_add_test(normal, losing_the_write_right_drops_the_count_and_tells_the_engine);
	tcase_add_test(normal, a_page_becomes_a_table_only_after_the_caches_dropped_it);
	tcase_add_test(normal, one_wait_serves_a_whole_batch);
	tcase_add_test(normal, a_tree_is_pinned_loaded_and_given_back);
	tcase_add_test(normal, roots_share_what_lies_below_the_same_table);
	tcase_add_test(normal, a_new_kernel_root_flushes_this_vcpu_only);
	tcase_add_test(normal, what_hung_under_a_lost_root_is_not_mapped_any_more);
	tcase_add_test(normal, preserving_updates_keep_accessed_and_dirty);
	tcase_add_test(normal, the_machine_to_physical_table_is_the_guests_to_write_for_its_frames);
	tcase_add_test(normal, an_update_of_plain_memory_is_a_store);
	tcase_add_test(normal, high_entries_are_hooked_and_unhooked);
	tcase_add_test(normal, a_table_that_hangs_nowhere_tells_nobody_but_its_frames_remember);
	tcase_add_test(normal, tables_shared_by_two_roots_are_reported_for_both);
	tcase_add_test(normal, of_two_roots_the_one_that_stays_is_known);
	tcase_add_test(normal, a_table_of_a_root_at_two_slots_is_reported_as_anywhere);
	tcase_add_test(normal, losing_the_right_to_execute_is_told);
	tcase_add_test(normal, a_table_at_two_places_is_reported_as_anywhere);
	tcase_add_test(normal, linear_tables_are_read_only_views);
	tcase_add_test(normal, linear_tables_of_another_root_form_no_chains);
	tcase_add_loop_test(normal, flushes_reach_the_vcpus_they_name, 0, ARRAY_LEN(flushes));
	tcase_add_loop_test(normal, update_va_mapping_flushes_as_asked, 0, ARRAY_LEN(va_flushes));
	tcase_add_test(normal, pages_are_cleared_and_copied);
	tcase_add_test(normal, batches_say_how_far_they_came);
	tcase_add_loop_test(limits, l1_entries_have_the_bits_they_may_have, 0, ARRAY_LEN(l1_flags));
	tcase_add_loop_test(limits, higher_entries_have_the_bits_they_may_have, 0,
	                    ARRAY_LEN(high_flags));
	tcase_add_test(limits, l1_entries_name_frames_that_one_may_map);
	tcase_add_test(limits, addresses_of_update_va_mapping);
	tcase_add_test(limits, pins_and_their_errors);
	tcase_add_test(limits, xens_slots_of_a_root_are_not_the_guests);
	tcase_add_loop_test(limits, other_domains_cannot_be_named, 0, ARRAY_LEN(owners));
	tcase_add_test(hostile, a_refused_table_leaves_no_counts);
	tcase_add_test(hostile, loops_of_tables_are_refused);
	tcase_add_test(hostile, every_slot_may_be_garbage);
	tcase_add_test(hostile, pointers_of_batches_may_be_wild);
	tcase_add_test(hostile, a_batch_that_runs_off_its_page_stops_there);
	tcase_add_test(hostile, a_root_in_use_cannot_be_lost);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
