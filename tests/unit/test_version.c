/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor says of itself and of the processor: xen_version, CPUID leaves, MSRs.
 */
#include <check.h>
#include <cpuid.h>
#include <string.h>

#include "abi/cpuid.h"
#include "abi/errno.h"
#include "abi/version.h"
#include "hypervisor-stub/core/cpu.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 2);
	v = g.v;
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static int64_t version(uint64_t cmd, uint64_t va)
{
	return fake_call(v, __HYPERVISOR_xen_version, cmd, va, 0);
}

/* ---- normal ---- */

START_TEST(it_is_xen_4_17_for_64_bit_guests)
{
	char *text = fake_ptr(&g, FAKE_VA);

	ck_assert_int_eq(version(XENVER_version, 0), 0x40011);
	memset(text, 0xff, 4096);
	ck_assert_int_eq(version(XENVER_capabilities, FAKE_VA), 0);
	ck_assert_str_eq(text, "xen-3.0-x86_64 ");
	ck_assert_int_eq(text[1023], 0);
	ck_assert_int_eq(text[1024], (char)0xff);
	ck_assert_int_eq(version(XENVER_extraversion, FAKE_VA), 0);
	ck_assert_str_eq(text, "-paravane");
	ck_assert_int_eq(version(XENVER_changeset, FAKE_VA), 0);
	ck_assert(strncmp(text, "paravane", 8) == 0);
	ck_assert_int_eq(version(XENVER_commandline, FAKE_VA), 0);
	ck_assert_str_eq(text, "<denied>");
	ck_assert_int_eq(version(XENVER_pagesize, 0), 4096);
	ck_assert_int_eq(version(XENVER_platform_parameters, FAKE_VA), 0);
	ck_assert_uint_eq(*(uint64_t *)(void *)text, UINT64_C(0xffff800000000000));
}
END_TEST

START_TEST(features_are_those_of_a_pv_guest)
{
	struct xen_feature_info *f = fake_ptr(&g, FAKE_VA);

	*f = (struct xen_feature_info){ 0 };
	ck_assert_int_eq(version(XENVER_get_features, FAKE_VA), 0);
	ck_assert_uint_eq(f->submap, 1u << XENFEAT_mmu_pt_update_preserve_ad |
	                                     1u << XENFEAT_highmem_assist |
	                                     1u << XENFEAT_gnttab_map_avail_bits |
	                                     1u << XENFEAT_memory_op_vnode_supported |
	                                     1u << XENFEAT_not_direct_mapped);
	g.d->vm_assist |= 1u << VMASST_TYPE_pae_extended_cr3;
	ck_assert_int_eq(version(XENVER_get_features, FAKE_VA), 0);
	ck_assert_uint_eq(f->submap >> XENFEAT_pae_pgdir_above_4gb & 1, 1);
}
END_TEST

START_TEST(the_guest_learns_its_handle)
{
	memset(g.d->uuid, 0x5a, sizeof(g.d->uuid));
	ck_assert_int_eq(version(XENVER_guest_handle, FAKE_VA), 0);
	ck_assert_mem_eq(fake_ptr(&g, FAKE_VA), g.d->uuid, 16);
}
END_TEST

START_TEST(cpuid_has_the_hypervisors_leaves)
{
	uint32_t r[4];

	hv_cpuid(v, 0x40000000, 0, r);
	ck_assert_uint_eq(r[0], 0x40000005);
	ck_assert_mem_eq(&r[1], "XenVMMXenVMM", 12);
	hv_cpuid(v, 0x40000001, 0, r);
	ck_assert_uint_eq(r[0], 0x40011);
	hv_cpuid(v, 0x40000002, 0, r);
	ck_assert_uint_eq(r[0], 1);
	ck_assert_uint_eq(r[1], 0x40000000);
	ck_assert_uint_eq(r[2], XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD);
	hv_cpuid(v, 0x40000005, 0, r);
	ck_assert_uint_ge(r[1], 12);
	ck_assert_uint_le(r[1], 52);
	hv_cpuid(v, 0x40000006, 0, r);
	ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
}
END_TEST

START_TEST(the_time_leaf_tells_the_frequency_that_the_clock_uses)
{
	uint32_t r[4];
	uint64_t khz;

	hv_time_calibrate(g.m);
	hv_time_update_vcpu(v);
	hv_cpuid(v, 0x40000003, 0, r);
	khz = r[2];
	/* One millisecond of that many ticks is a million nanoseconds on the line. */
	ck_assert_uint_ge(khz, 100000);
	ck_assert_uint_le(hv_time_line_ns(&v->time.line, v->time.line.tsc_base + khz) -
	                          v->time.line.ns_base,
	                  1000010);
	ck_assert_uint_ge(hv_time_line_ns(&v->time.line, v->time.line.tsc_base + khz) -
	                          v->time.line.ns_base,
	                  999980);
}
END_TEST

START_TEST(what_ring_3_cannot_use_is_hidden_and_the_rest_is_the_hosts)
{
	uint32_t r[4], h[4];

	__cpuid(1, h[0], h[1], h[2], h[3]);
	hv_cpuid(v, 1, 0, r);
	ck_assert_uint_eq(r[0], h[0]);
	ck_assert_uint_eq(r[1] >> 24, 0);
	ck_assert_uint_eq(r[2] & (1u << 5), 0);                  /* VMX */
	ck_assert_uint_eq(r[2] & (1u << 3), 0);                  /* MONITOR */
	ck_assert_uint_eq(r[2] & (1u << 21), 0);                 /* x2APIC */
	ck_assert_uint_eq(r[2] & (1u << 31), 1u << 31);          /* a hypervisor is there */
	ck_assert_uint_eq(r[3] & (1u << 12), 0);                 /* MTRR */
	ck_assert_uint_eq(r[3] & (1u << 17), 0);                 /* PSE36 */
	ck_assert_uint_eq(r[3] & (1u << 3), 0);                  /* PSE */
	ck_assert_uint_eq(r[2] & (3u << 26), h[2] & (3u << 26)); /* XSAVE, OSXSAVE */
	ck_assert_uint_eq(r[3] & (1u << 26), 1u << 26);          /* SSE2 */
	hv_cpuid(g.d->vcpu[1], 1, 0, r);
	ck_assert_uint_eq(r[1] >> 24, 2);

	hv_cpuid(v, 0x80000001, 0, r);
	ck_assert_uint_eq(r[2] & (1u << 2), 0);         /* SVM */
	ck_assert_uint_eq(r[3] & (1u << 29), 1u << 29); /* long mode */
	hv_cpuid(v, 7, 0, r);
	ck_assert_uint_eq(r[1] & (1u << 7 | 1u << 20 | 1u << 10), 0); /* SMEP SMAP INVPCID */
	ck_assert_uint_eq(r[2] & (1u << 3), 0);                       /* PKU */
	hv_cpuid(v, 0xd, 0, r);
	ck_assert_uint_eq(r[0] & ~0xe7u, 0);
	hv_cpuid(v, 0xa, 0, r);
	ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
}
END_TEST

START_TEST(own_msrs_are_kept)
{
	uint64_t value = 0;

	ck_assert(hv_wrmsr(v, 0xc0000100, 0x1000));
	ck_assert(hv_wrmsr(v, 0xc0000101, 0x2000));
	ck_assert(hv_wrmsr(v, 0xc0000102, 0x3000));
	ck_assert_uint_eq(v->regs.fs_base, 0x1000);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x2000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x3000);
	ck_assert(hv_rdmsr(v, 0xc0000102, &value));
	ck_assert_uint_eq(value, 0x3000);
	ck_assert(!hv_wrmsr(v, 0xc0000100, UINT64_C(0x8000000000000000)));
	ck_assert_uint_eq(v->regs.fs_base, 0x1000);
	ck_assert(hv_rdmsr(v, 0xc0000080, &value));
	ck_assert_uint_eq(value, 0xd01);
	ck_assert(hv_wrmsr(v, 0xc0000080, 0xd01));
	ck_assert(!hv_wrmsr(v, 0xc0000080, 0xd00));
	ck_assert(hv_rdmsr(v, 0x277, &value));
	ck_assert_uint_eq(value, UINT64_C(0x050100070406));
	ck_assert(hv_rdmsr(v, 0x1b, &value));
	ck_assert_uint_eq(value, 0xfee00900);
	ck_assert(hv_rdmsr(g.d->vcpu[1], 0x1b, &value));
	ck_assert_uint_eq(value, 0xfee00800);
}
END_TEST

START_TEST(machine_check_banks_are_there_and_silent)
{
	uint64_t value = 1;

	ck_assert(hv_rdmsr(v, 0x179, &value));
	ck_assert_uint_eq(value, 2);
	ck_assert(hv_rdmsr(v, 0x404, &value));
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert(hv_rdmsr(v, 0x408, &value));
	ck_assert_uint_eq(value, 0);
	ck_assert(hv_rdmsr(v, 0x401, &value));
	ck_assert_uint_eq(value, 0);
	ck_assert(hv_wrmsr(v, 0x400, 7));
	ck_assert(hv_wrmsr(v, 0x401, 0)); /* cleared, and nothing else */
	ck_assert(!hv_wrmsr(v, 0x401, 7));
	ck_assert(!hv_wrmsr(v, 0x407, 7));
	ck_assert(hv_wrmsr(v, 0x409, 7)); /* beyond the banks */
	ck_assert(hv_rdmsr(v, 0x401, &value));
	ck_assert_uint_eq(value, 0);
}
END_TEST

START_TEST(the_hypercall_msr_fills_a_page_of_the_guest)
{
	memset(fake_ptr(&g, FAKE_VA + 0x5000), 0, 4096);
	ck_assert(hv_wrmsr(v, 0x40000000, g.page[5].n << 12));
	ck_assert_uint_eq(*(uint8_t *)fake_ptr(&g, FAKE_VA + 0x5fff), 0xcc);
	ck_assert(!hv_wrmsr(v, 0x40000000, g.page[5].n << 12 | 1)); /* a second page */
	ck_assert(!hv_wrmsr(v, 0x40000000, g.l1.n << 12));          /* a table */
	ck_assert(!hv_wrmsr(v, 0x40000000, UINT64_MAX << 12));
}
END_TEST

/* ---- hostile ---- */

static const uint64_t with_argument[] = { XENVER_extraversion,        XENVER_compile_info,
	                                  XENVER_capabilities,        XENVER_changeset,
	                                  XENVER_platform_parameters, XENVER_get_features,
	                                  XENVER_guest_handle,        XENVER_commandline };

START_TEST(a_place_that_cannot_be_written_is_efault)
{
	ck_assert_int_eq(version(with_argument[_i], 0x1000), -XEN_EFAULT);
	ck_assert_int_eq(version(with_argument[_i], fake_l1_va()),
	                 with_argument[_i] == XENVER_get_features ? -XEN_EINVAL : -XEN_EFAULT);
}
END_TEST

START_TEST(what_is_not_told)
{
	ck_assert_int_eq(version(XENVER_build_id, FAKE_VA), -XEN_EPERM);
	ck_assert_int_eq(version(XENVER_pagesize, FAKE_VA), -XEN_EINVAL);
	ck_assert_int_eq(version(11, FAKE_VA), -XEN_ENOSYS);
	ck_assert_int_eq(version(UINT32_MAX, FAKE_VA), -XEN_ENOSYS);
	*(uint32_t *)fake_ptr(&g, FAKE_VA) = 1;
	ck_assert_int_eq(version(XENVER_get_features, FAKE_VA), -XEN_EINVAL);
}
END_TEST

static const uint32_t unknown_msrs[] = { 0x2,        0x48,       0x3a,       0x10a,
	                                 0x122,      0x200,      0x2ff,      0x40000001,
	                                 0xc0000081, 0xc0000082, 0xc0010117, 0xffffffff };

START_TEST(other_msrs_are_gp)
{
	uint64_t value = 0;

	ck_assert(!hv_rdmsr(v, unknown_msrs[_i], &value));
	ck_assert(!hv_wrmsr(v, unknown_msrs[_i], 0));
	/* A kernel that has no handler yet is spared the fault, but for the hypervisor's own. */
	v->traps.trap[13].address = 0;
	ck_assert_int_eq(hv_rdmsr(v, unknown_msrs[_i], &value), unknown_msrs[_i] != 0x40000001);
	ck_assert_uint_eq(value, 0);
}
END_TEST

START_TEST(every_leaf_has_an_answer)
{
	static const uint32_t first[] = { 0, 0x40000000, 0x80000000, 0xc0000000, 0xffffff00 };
	uint32_t r[4];

	for (unsigned i = 0; i < ARRAY_LEN(first); i++)
		for (uint32_t leaf = 0; leaf < 0x30; leaf++)
			for (uint32_t sub = 0; sub < 3; sub++)
				hv_cpuid(v, first[i] + leaf, sub * 0x7fffffffu, r);
	hv_cpuid(v, 0xd, 63, r);
	ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
	hv_cpuid(v, 0xd, UINT32_MAX, r);
	ck_assert_uint_eq(r[0] | r[1] | r[2] | r[3], 0);
}
END_TEST

Suite *version_suite(void);
Suite *version_suite(void)
{
	Suite *s = suite_create("version");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, it_is_xen_4_17_for_64_bit_guests);
	tcase_add_test(tc, features_are_those_of_a_pv_guest);
	tcase_add_test(tc, the_guest_learns_its_handle);
	tcase_add_test(tc, cpuid_has_the_hypervisors_leaves);
	tcase_add_test(tc, the_time_leaf_tells_the_frequency_that_the_clock_uses);
	tcase_add_test(tc, what_ring_3_cannot_use_is_hidden_and_the_rest_is_the_hosts);
	tcase_add_test(tc, own_msrs_are_kept);
	tcase_add_test(tc, machine_check_banks_are_there_and_silent);
	tcase_add_test(tc, the_hypercall_msr_fills_a_page_of_the_guest);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_place_that_cannot_be_written_is_efault, 0,
	                    ARRAY_LEN(with_argument));
	tcase_add_test(tc, what_is_not_told);
	tcase_add_loop_test(tc, other_msrs_are_gp, 0, ARRAY_LEN(unknown_msrs));
	tcase_add_test(tc, every_leaf_has_an_answer);
	suite_add_tcase(s, tc);
	return s;
}
