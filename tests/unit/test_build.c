/* SPDX-License-Identifier: MIT */
/*
 * The domain builder as a whole (core/build.c): the built domain is inspected the way a processor
 * and a guest would see it, by a page walk of the test's own and by the contents of its pages.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/elfnote.h"
#include "hypervisor-stub/core/build.h"
#include "hypervisor-stub/core/mmu.h"
#include "tests/fake/elf_maker.h"
#include "tests/fake/fake_engine.h"

#define PAGES      2048u /* 8 MiB */
#define LINUX_BASE UINT64_C(0xffffffff80000000)
#define P2M_BASE   UINT64_C(0x8000000000)

static struct elf_maker m;
static struct hv_engine engine;
static struct hv_machine *machine;
static struct hv_domain *d;
static struct hv_build_request rq;
static struct hv_built built;
static char why[512];
static uint64_t asked_lo, asked_hi;
static const char *range_refusal;

static int check_range(uint64_t lo, uint64_t hi, char *text, size_t len)
{
	if (lo < asked_lo)
		asked_lo = lo;
	if (hi > asked_hi)
		asked_hi = hi;
	if (!range_refusal)
		return 0;
	snprintf(text, len, "%s", range_refusal);
	return -ENOTSUP;
}

static void setup(void)
{
	struct hv_domain_config c = { .name = "t", .nr_pages = PAGES, .nr_vcpus = 2 };

	engine = fake_engine;
	engine.check_range = check_range;
	range_refusal = NULL;
	asked_lo = UINT64_MAX;
	asked_hi = 0;
	elf_maker_init(&m);
	m.segment[0].memsz = 3 * 4096 + 100; /* .bss */
	m.segment[0].filesz = 8192;
	ck_assert_int_eq(hv_machine_create(&machine, &engine, 1 << 16), 0);
	ck_assert_int_eq(hv_domain_create(machine, &c, &d), 0);
	rq = (struct hv_build_request){
		.kernel_name = "kernel.elf", .cmdline = "a=1 b", .console_port = 2, .store_port = 1
	};
	why[0] = 0;
}

static void teardown(void)
{
	hv_domain_destroy(d);
	hv_machine_destroy(machine);
	elf_maker_free(&m);
}

static int build(void)
{
	elf_make(&m);
	rq.kernel = m.bytes;
	rq.kernel_len = m.len;
	return hv_build_pv(d, &rq, &built, why, sizeof(why));
}

static const uint8_t *frame(uint64_t mfn)
{
	const uint8_t *p;

	hv_domain_lock(d);
	p = hv_frame_ptr(d, (mfn_t){ mfn });
	hv_domain_unlock(d);
	ck_assert_ptr_nonnull(p);
	return p;
}

/* The L1 entry for va, by nothing but the tables in memory; 0 when a level is not present. */
static uint64_t walk(uint64_t va)
{
	uint64_t mfn = d->vcpu[0]->root_kernel.n, entry = 0;

	for (int level = 4; level >= 1; level--) {
		entry = ((const uint64_t *)frame(mfn))[va >> (3 + 9 * level) & 511];
		if (!(entry & 1))
			return 0;
		mfn = (entry & 0x000ffffffffff000) >> 12;
	}
	return entry;
}

static uint64_t mfn_at(uint64_t va)
{
	return (walk(va) & 0x000ffffffffff000) >> 12;
}

static const void *at(uint64_t va)
{
	return frame(mfn_at(va)) + (va & 4095);
}

static const struct start_info *start_info(void)
{
	return at(d->vcpu[0]->regs.rsi);
}

/* ---- normal ---- */

START_TEST(the_initial_mapping_is_pfns_in_a_row)
{
	uint64_t base = d->mem.first.n;

	ck_assert_int_eq(build(), 0);
	for (uint64_t pfn = 0; pfn < 1024; pfn++)
		ck_assert_uint_eq(mfn_at(pfn << 12), base + pfn);
	ck_assert_uint_eq(walk(1024 << 12), 0);
	/* Not identity: a guest that confuses the two kinds of number must notice. */
	ck_assert_uint_ne(base, 0);
}
END_TEST

START_TEST(page_tables_are_mapped_read_only_and_all_else_writable)
{
	const struct start_info *si;

	ck_assert_int_eq(build(), 0);
	si = start_info();
	ck_assert_uint_eq(si->nr_pt_frames, 5);
	for (uint64_t pfn = 0; pfn < 1024; pfn++) {
		uint64_t va = pfn << 12;
		bool is_table = va >= si->pt_base && va < si->pt_base + si->nr_pt_frames * 4096;

		ck_assert_msg(!(walk(va) & 2) == is_table, "pfn %lu", (unsigned long)pfn);
		ck_assert_msg(walk(va) >> 63 == 0, "pfn %lu is not executable", (unsigned long)pfn);
	}
}
END_TEST

START_TEST(the_root_is_pinned_validated_and_where_it_is_said_to_be)
{
	const struct hv_frame *f;

	ck_assert_int_eq(build(), 0);
	ck_assert_uint_eq(mfn_at(start_info()->pt_base), d->vcpu[0]->root_kernel.n);
	hv_domain_lock(d);
	f = hv_frame_get(machine, d->vcpu[0]->root_kernel);
	ck_assert(f->pinned && f->validated);
	ck_assert_uint_eq(f->type, HV_TYPE_L4);
	ck_assert_uint_eq(f->type_count, 2); /* the pin, and vCPU 0 */
	ck_assert_uint_eq(hv_mmu_audit(d), 0);
	hv_domain_unlock(d);
}
END_TEST

START_TEST(the_image_is_loaded_and_the_rest_of_it_is_zero)
{
	const uint8_t *p;

	ck_assert_int_eq(build(), 0);
	p = at(ELF_MAKER_BASE);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(p[i], 0x90);
	p = at(ELF_MAKER_BASE + 8192);
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(p[i], 0);
}
END_TEST

START_TEST(the_hypercall_page_is_filled_by_the_engine)
{
	ck_assert_int_eq(build(), 0);
	ck_assert_uint_eq(*(const uint8_t *)at(ELF_MAKER_BASE + 4096), 0xcc);
	ck_assert_uint_eq(*(const uint8_t *)at(ELF_MAKER_BASE + 4095), 0x90);
	ck_assert_uint_eq(*(const uint8_t *)at(ELF_MAKER_BASE + 8192), 0x00);
}
END_TEST

START_TEST(the_p2m_and_the_m2p_agree)
{
	ck_assert_int_eq(build(), 0);
	for (uint64_t pfn = 0; pfn < PAGES; pfn++) {
		uint64_t mfn = *(const uint64_t *)at(start_info()->mfn_list + pfn * 8);

		ck_assert_uint_eq(mfn, d->mem.first.n + pfn);
		ck_assert_uint_eq(machine->pool.m2p[mfn], pfn);
	}
}
END_TEST

START_TEST(start_info_says_what_is)
{
	const struct start_info *si;

	ck_assert_int_eq(build(), 0);
	si = start_info();
	ck_assert_str_eq(si->magic, "xen-3.0-x86_64");
	ck_assert_uint_eq(si->nr_pages, PAGES);
	ck_assert_uint_eq(si->shared_info, d->shared_info_mfn.n << 12);
	ck_assert_uint_eq(si->flags, 0);
	ck_assert_uint_eq(si->store_mfn, built.store_mfn.n);
	ck_assert_uint_eq(si->store_evtchn, 1);
	ck_assert_uint_eq(si->console.domU.mfn, built.console_mfn.n);
	ck_assert_uint_eq(si->console.domU.evtchn, 2);
	ck_assert_uint_eq(si->mod_len, 0);
	ck_assert_uint_eq(si->nr_p2m_frames, 0);
	ck_assert_str_eq((const char *)si->cmd_line, "a=1 b");
	/* start_info, xenstore page, console page: one behind the other, behind the p2m. */
	ck_assert_uint_eq(d->vcpu[0]->regs.rsi, si->mfn_list + PAGES * 8);
	ck_assert_uint_eq(built.store_pfn.n, (d->vcpu[0]->regs.rsi >> 12) + 1);
	ck_assert_uint_eq(built.console_pfn.n, (d->vcpu[0]->regs.rsi >> 12) + 2);
	ck_assert_uint_eq(mfn_at(built.console_pfn.n << 12), built.console_mfn.n);
}
END_TEST

START_TEST(vcpu_0_starts_at_the_entry_with_a_stack)
{
	const struct hv_vcpu *v = d->vcpu[0];

	ck_assert_int_eq(build(), 0);
	ck_assert_uint_eq(v->regs.rip, ELF_MAKER_BASE + 16);
	ck_assert_uint_eq(v->regs.rsp & 4095, 0);
	ck_assert_uint_eq(v->regs.rsp, start_info()->pt_base + (5 + 1) * 4096);
	ck_assert(walk(v->regs.rsp - 8) & 2);
	ck_assert_uint_eq(v->regs.cs, FLAT_KERNEL_CS);
	ck_assert_uint_eq(v->regs.ss, FLAT_KERNEL_SS);
	ck_assert_uint_eq(v->regs.ds, 0);
	ck_assert_uint_eq(v->regs.rflags, 0x202);
	ck_assert_uint_eq(v->regs.rdi, 0);
	ck_assert(v->in_kernel && v->is_initialised);
	ck_assert(!d->vcpu[1]->is_initialised);
	ck_assert_uint_eq(d->shared_info->vcpu_info[0].evtchn_upcall_mask, 1);
}
END_TEST

START_TEST(a_ramdisk_is_found_where_start_info_says)
{
	char disk[5000];

	memset(disk, 'r', sizeof(disk));
	rq.ramdisk = disk;
	rq.ramdisk_len = sizeof(disk);
	ck_assert_int_eq(build(), 0);
	ck_assert_uint_eq(start_info()->mod_start, ELF_MAKER_BASE + 4 * 4096);
	ck_assert_uint_eq(start_info()->mod_len, 5000);
	ck_assert_mem_eq(at(start_info()->mod_start), disk, 4096);
	ck_assert_mem_eq(at(start_info()->mod_start + 4096), disk, 5000 - 4096);
	ck_assert_uint_eq(*(const char *)at(start_info()->mod_start + 5000), 0);
}
END_TEST

/* As Linux wants it: linked high, loaded low, p2m elsewhere, ramdisk not mapped. */
static void like_linux(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	elf_maker_number(&m, XEN_ELFNOTE_VIRT_BASE, LINUX_BASE);
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, LINUX_BASE + ELF_MAKER_BASE + 64);
	elf_maker_number(&m, XEN_ELFNOTE_INIT_P2M, P2M_BASE);
	elf_maker_number(&m, XEN_ELFNOTE_MOD_START_PFN, 1);
}

START_TEST(a_kernel_like_linux_gets_its_p2m_and_ramdisk_apart)
{
	const struct start_info *si;
	char disk[100];

	memset(disk, 'x', sizeof(disk));
	rq.ramdisk = disk;
	rq.ramdisk_len = sizeof(disk);
	like_linux();
	ck_assert_int_eq(build(), 0);
	si = start_info();
	ck_assert_uint_eq(d->vcpu[0]->regs.rip, LINUX_BASE + ELF_MAKER_BASE + 64);
	ck_assert_uint_eq(si->flags, SIF_MOD_START_PFN);
	ck_assert_uint_eq(si->mod_start, 1024); /* a pfn, behind 4 MiB of mapping */
	ck_assert_mem_eq(frame(d->mem.first.n + 1024), disk, 100);
	ck_assert_uint_eq(walk(LINUX_BASE + (1024 << 12)), 0);
	ck_assert_uint_eq(si->mfn_list, P2M_BASE);
	ck_assert_uint_eq(si->first_p2m_pfn, 1025);
	ck_assert_uint_eq(si->nr_p2m_frames, PAGES * 8 / 4096 + 3);
	for (uint64_t pfn = 0; pfn < PAGES; pfn += 100)
		ck_assert_uint_eq(*(const uint64_t *)at(P2M_BASE + pfn * 8), d->mem.first.n + pfn);
	ck_assert_uint_eq(walk(P2M_BASE + PAGES * 8), 0);
	ck_assert_uint_eq(asked_lo, P2M_BASE);
	ck_assert_uint_eq(asked_hi, LINUX_BASE + (4 << 20));
}
END_TEST

START_TEST(a_wanted_symbol_table_is_behind_the_image)
{
	uint32_t len;

	m.symbol[0].name = "start";
	m.symbol[0].value = ELF_MAKER_BASE;
	m.nr_symbols = 1;
	elf_maker_text(&m, XEN_ELFNOTE_BSD_SYMTAB, "yes");
	ck_assert_int_eq(build(), 0);
	memcpy(&len, at(ELF_MAKER_BASE + 3 * 4096 + 104), sizeof(len));
	ck_assert_uint_eq(len, 264 + 48 + 7 - 4);
	ck_assert_mem_eq(at(ELF_MAKER_BASE + 3 * 4096 + 108), ELFMAG, SELFMAG);
}
END_TEST

/* ---- limits ---- */

/* Nothing of the domain has been touched. */
static void is_fresh(void)
{
	static const uint8_t zero[4096];

	ck_assert_uint_eq(d->mem.tot_pages, PAGES);
	ck_assert(hv_mfn_is_none(d->vcpu[0]->root_kernel));
	ck_assert(!d->vcpu[0]->is_initialised);
	for (uint64_t pfn = 0; pfn < PAGES; pfn++)
		ck_assert_mem_eq(frame(d->mem.first.n + pfn), zero, sizeof(zero));
}

START_TEST(what_the_engine_cannot_map_is_refused_before_anything_is_written)
{
	range_refusal = "needs addresses that are not to be had; link it elsewhere";
	ck_assert_int_eq(build(), -ENOTSUP);
	ck_assert_str_eq(why,
	                 "kernel.elf needs addresses that are not to be had; link it elsewhere");
	/* VIRT_BASE is no part of the question: what lies below the image may stay unmapped. */
	ck_assert_uint_eq(asked_lo, ELF_MAKER_BASE);
	ck_assert_uint_eq(asked_hi, 4 << 20);
	is_fresh();
}
END_TEST

START_TEST(too_little_memory_is_said_before_anything_is_written)
{
	m.segment[0].memsz = 64 << 20;
	ck_assert_int_eq(build(), -ENOMEM);
	ck_assert_msg(!strncmp(why, "kernel.elf needs at least 65 MiB", 32), "%s", why);
	is_fresh();
}
END_TEST

/* ---- hostile ---- */

START_TEST(a_bad_image_leaves_the_domain_as_it_was)
{
	elf_make(&m);
	m.ehdr.e_machine = EM_386;
	ck_assert_int_eq(build(), -EINVAL);
	ck_assert_msg(!strncmp(why, "kernel.elf is for machine 3", 27), "%s", why);
	is_fresh();
	/* And it can still be built. */
	m.ehdr.e_machine = EM_X86_64;
	ck_assert_int_eq(build(), 0);
}
END_TEST

Suite *build_suite(void);
Suite *build_suite(void)
{
	Suite *s = suite_create("build");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_test(normal, the_initial_mapping_is_pfns_in_a_row);
	tcase_add_test(normal, page_tables_are_mapped_read_only_and_all_else_writable);
	tcase_add_test(normal, the_root_is_pinned_validated_and_where_it_is_said_to_be);
	tcase_add_test(normal, the_image_is_loaded_and_the_rest_of_it_is_zero);
	tcase_add_test(normal, the_hypercall_page_is_filled_by_the_engine);
	tcase_add_test(normal, the_p2m_and_the_m2p_agree);
	tcase_add_test(normal, start_info_says_what_is);
	tcase_add_test(normal, vcpu_0_starts_at_the_entry_with_a_stack);
	tcase_add_test(normal, a_ramdisk_is_found_where_start_info_says);
	tcase_add_test(normal, a_kernel_like_linux_gets_its_p2m_and_ramdisk_apart);
	tcase_add_test(normal, a_wanted_symbol_table_is_behind_the_image);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, what_the_engine_cannot_map_is_refused_before_anything_is_written);
	tcase_add_test(limits, too_little_memory_is_said_before_anything_is_written);
	suite_add_tcase(s, limits);

	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_test(hostile, a_bad_image_leaves_the_domain_as_it_was);
	suite_add_tcase(s, hostile);
	return s;
}
