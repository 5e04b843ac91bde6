/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls as such: numbers that do not exist, pointers that lead nowhere, registers, multicalls,
 * and what the hypervisor says of itself.
 *
 * Method: make the calls, read the errno. Breakage: a hypervisor that answers something else, or
 * follows a pointer it should not.
 */
#include "tests/guests/selftest/test.h"

#include "abi/version.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

static void unknown_number_is_enosys(void)
{
	volatile unsigned int nr = 63;

	ST_EQ(pv_hypercall(nr, 0, 0, 0, 0, 0), -XEN_ENOSYS);
	nr = 127;
	ST_EQ(pv_hypercall(nr, 0, 0, 0, 0, 0), -XEN_ENOSYS);
}

static long bare_syscall(unsigned long nr, unsigned long a, unsigned long b)
{
	long rc;

	__asm__ volatile("syscall" : "=a"(rc), "+D"(a), "+S"(b) : "a"(nr) : "rcx", "r11", "memory");
	return rc;
}

static void bare_syscall_is_a_hypercall(void)
{
	ST_EQ(bare_syscall(__HYPERVISOR_xen_version, XENVER_version, 0),
	      pv_hc_xen_version(XENVER_version, NULL));
	ST_EQ(bare_syscall(100000, 0, 0), -XEN_ENOSYS);
}

static void wild_pointers_are_efault(void)
{
	void *const wild[] = { NULL, ST_UNMAPPED, ST_NONCANONICAL, ST_HYPERVISOR, (void *)~0ul };
	unsigned int i;

	for (i = 0; i < ST_COUNT(wild); i++) {
		ST_EQ(pv_hc_event_channel_op(EVTCHNOP_status, wild[i]), -XEN_EFAULT);
		ST_EQ(pv_hc_xen_version(XENVER_get_features, wild[i]), -XEN_EFAULT);
		ST_EQ(pv_hc_memory_op(XENMEM_machphys_mapping, wild[i]), -XEN_EFAULT);
		ST_EQ(pv_hc_sched_op(SCHEDOP_poll, wild[i]), -XEN_EFAULT);
		ST_EQ(pv_hc_multicall(wild[i], 1), -XEN_EFAULT);
	}
}

static void structure_half_mapped_is_efault(void)
{
	uint64_t va = st_window();
	void *page = st_page();
	struct evtchn_status *op = (void *)(va + PV_PAGE_SIZE - 8);

	ST_EQ(pv_mmu_map_frame(va, pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_WRITE), 0);
	op->dom = DOMID_SELF;
	op->port = pv_boot.start->store_evtchn;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_status, op), -XEN_EFAULT);
	ST_EQ(pv_mmu_map_frame(va, 0, 0), 0);
	st_page_free(page);
}

static void result_to_read_only_memory_is_efault(void)
{
	uint64_t va = st_window();
	void *page = st_page();

	ST_EQ(pv_mmu_map_frame(va, pv_virt_to_mfn(page), PV_PTE_PRESENT), 0);
	ST_EQ(pv_hc_xen_version(XENVER_extraversion, (void *)va), -XEN_EFAULT);
	ST_EQ(*(char *)va, 0);
	ST_EQ(pv_mmu_map_frame(va, 0, 0), 0);
	st_page_free(page);
}

/* All that a hypercall may not change, held in registers across one. */
static void other_registers_survive(void)
{
	uint64_t before[7] = { 0x1111, 0x2222222222222222, 0x33, 0x4444444444, 0x5, ~6ul, 0x7777 };
	uint64_t after[7] = { 0 }, *from = before, *to = after;

	__asm__ volatile("push %%rbp\n"
	                 "push %[after]\n"
	                 "mov 0(%[before]), %%rbx\n"
	                 "mov 16(%[before]), %%r9\n"
	                 "mov 24(%[before]), %%r12\n"
	                 "mov 32(%[before]), %%r13\n"
	                 "mov 40(%[before]), %%r14\n"
	                 "mov 48(%[before]), %%r15\n"
	                 "mov 8(%[before]), %%rbp\n"
	                 "xor %%edi, %%edi\n"
	                 "xor %%esi, %%esi\n"
	                 "call pv_hypercall_page + %c[nr] * 32\n"
	                 "pop %%rax\n"
	                 "mov %%rbx, 0(%%rax)\n"
	                 "mov %%rbp, 8(%%rax)\n"
	                 "mov %%r9, 16(%%rax)\n"
	                 "mov %%r12, 24(%%rax)\n"
	                 "mov %%r13, 32(%%rax)\n"
	                 "mov %%r14, 40(%%rax)\n"
	                 "mov %%r15, 48(%%rax)\n"
	                 "pop %%rbp\n"
	                 : [before] "+S"(from), [after] "+a"(to)
	                 : [nr] "i"(__HYPERVISOR_xen_version)
	                 : "rbx", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
	                   "r14", "r15", "memory");
	ST_EQ(memcmp(before, after, sizeof(before)), 0);
}

static void multicall_runs_all(void)
{
	struct multicall_entry m[3] = {
		{ .op = __HYPERVISOR_xen_version, .args = { XENVER_version } },
		{ .op = 63 },
		{ .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_yield } },
	};

	m[2].result = 77;
	ST_EQ(pv_hc_multicall(m, 3), 0);
	ST_EQ(m[0].result, pv_hc_xen_version(XENVER_version, NULL));
	ST_EQ(m[1].result, -XEN_ENOSYS);
	ST_EQ(m[2].result, 0);
}

static void multicall_in_multicall_is_refused(void)
{
	struct multicall_entry inner = { .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_yield } };
	struct multicall_entry m = { .op = __HYPERVISOR_multicall,
		                     .args = { (unsigned long)&inner, 1 } };

	inner.result = 77;
	ST_EQ(pv_hc_multicall(&m, 1), 0);
	ST_EQ(m.result, -XEN_EINVAL);
	ST_EQ(inner.result, 77);
}

static void multicall_of_nothing_is_nothing(void)
{
	ST_EQ(pv_hc_multicall(NULL, 0), 0);
}

static void multicall_list_half_mapped(void)
{
	uint64_t va = st_window();
	void *page = st_page();
	struct multicall_entry *m = (void *)(va + PV_PAGE_SIZE - sizeof(*m));

	ST_EQ(pv_mmu_map_frame(va, pv_virt_to_mfn(page), PV_PTE_PRESENT | PV_PTE_WRITE), 0);
	*m = (struct multicall_entry){ .op = __HYPERVISOR_xen_version };
	ST_EQ(pv_hc_multicall(m, 2), -XEN_EFAULT);
	ST_EQ(pv_mmu_map_frame(va, 0, 0), 0);
	st_page_free(page);
}

static void version_is_a_number(void)
{
	long v = pv_hc_xen_version(XENVER_version, NULL);

	ST_CHECK(v >> 16 == 4 && (v & 0xffff) < 100, "version is 0x%lx", v);
}

static void strings_of_the_version_end(void)
{
	static char big[1024];
	struct xen_compile_info info;

	memset(big, 'x', sizeof(big));
	ST_EQ(pv_hc_xen_version(XENVER_extraversion, big), 0);
	ST_CHECK(strnlen(big, 16) < 16, "extraversion does not end");
	memset(big, 'x', sizeof(big));
	ST_EQ(pv_hc_xen_version(XENVER_capabilities, big), 0);
	ST_CHECK(strnlen(big, sizeof(big)) < sizeof(big), "capabilities do not end");
	ST_CHECK(strstr(big, "xen-3.0-x86_64 "), "capabilities are \"%.100s\"", big);
	memset(&info, 'x', sizeof(info));
	ST_EQ(pv_hc_xen_version(XENVER_compile_info, &info), 0);
	ST_CHECK(strnlen(info.compiler, 64) < 64, "compiler does not end");
	memset(big, 'x', sizeof(big));
	ST_EQ(pv_hc_xen_version(XENVER_changeset, big), 0);
	ST_CHECK(strnlen(big, 64) < 64, "changeset does not end");
}

static void platform_starts_where_the_hypervisor_does(void)
{
	struct xen_platform_parameters p = { 0 };

	ST_EQ(pv_hc_xen_version(XENVER_platform_parameters, &p), 0);
	ST_EQ(p.virt_start, HYPERVISOR_VIRT_START);
}

static void features_are_those_of_direct_paging(void)
{
	struct xen_feature_info f = { .submap_idx = 0 };

	ST_EQ(pv_hc_xen_version(XENVER_get_features, &f), 0);
	ST_CHECK(f.submap & 1u << XENFEAT_mmu_pt_update_preserve_ad, "no preserve_ad: 0x%x",
	         f.submap);
	ST_CHECK(f.submap & 1u << XENFEAT_highmem_assist, "no highmem_assist: 0x%x", f.submap);
	ST_CHECK(f.submap & 1u << XENFEAT_gnttab_map_avail_bits, "no avail bits: 0x%x", f.submap);
	ST_CHECK(!(f.submap & 1u << XENFEAT_auto_translated_physmap), "translated: 0x%x", f.submap);
	ST_CHECK(!(f.submap & 1u << XENFEAT_dom0), "dom0: 0x%x", f.submap);
}

static void feature_map_has_one_word(void)
{
	struct xen_feature_info f = { .submap_idx = XENFEAT_NR_SUBMAPS };

	ST_EQ(pv_hc_xen_version(XENVER_get_features, &f), -XEN_EINVAL);
}

static void page_size_is_4096(void)
{
	ST_EQ(pv_hc_xen_version(XENVER_pagesize, NULL), 4096);
}

static void domain_has_a_handle(void)
{
	xen_domain_handle_t h;

	ST_EQ(pv_hc_xen_version(XENVER_guest_handle, &h), 0);
}

static void unknown_version_command_is_enosys(void)
{
	ST_EQ(pv_hc_xen_version(99, NULL), -XEN_ENOSYS);
}

/* A domain that may not know the command line is given other text, and no error. */
static void hypervisor_command_line_ends(void)
{
	static char text[sizeof(xen_commandline_t)];

	memset(text, 'x', sizeof(text));
	ST_EQ(pv_hc_xen_version(XENVER_commandline, text), 0);
	ST_CHECK(strnlen(text, sizeof(text)) < sizeof(text), "it does not");
}

static void build_id_is_not_for_us(void)
{
	ST_EQ(pv_hc_xen_version(XENVER_build_id, NULL), -XEN_EPERM);
}

/* Reading is for privileged domains; writing is too, save in debugging builds of Xen. */
static void emergency_console_is_guarded(void)
{
	char text[] = "selftest: a line on the emergency console\n";
	long rc = pv_hc_console_io(CONSOLEIO_write, sizeof(text) - 1, text);

	ST_CHECK(rc == 0 || rc == -XEN_EPERM, "write: %ld", rc);
	ST_EQ(pv_hc_console_io(CONSOLEIO_read, sizeof(text) - 1, text), -XEN_EPERM);
	ST_EQ(pv_hc_console_io(7, sizeof(text) - 1, text), -XEN_EPERM);
}

static const struct st_claim claims[] = {
	ST_GENERAL(unknown_number_is_enosys),
	ST_CLAIM(bare_syscall_is_a_hypercall),
	ST_CLAIM(wild_pointers_are_efault),
	ST_CLAIM(structure_half_mapped_is_efault),
	ST_CLAIM(result_to_read_only_memory_is_efault),
	ST_CLAIM(other_registers_survive),
	ST_CLAIM(multicall_runs_all),
	ST_CLAIM(multicall_in_multicall_is_refused),
	ST_CLAIM(multicall_of_nothing_is_nothing),
	ST_CLAIM(multicall_list_half_mapped),
	ST_CLAIM(version_is_a_number),
	ST_CLAIM(strings_of_the_version_end),
	ST_CLAIM(platform_starts_where_the_hypervisor_does),
	ST_CLAIM(features_are_those_of_direct_paging),
	ST_CLAIM(feature_map_has_one_word),
	ST_CLAIM(page_size_is_4096),
	ST_CLAIM(domain_has_a_handle),
	ST_CLAIM(unknown_version_command_is_enosys),
	ST_CLAIM(hypervisor_command_line_ends),
	ST_CLAIM(build_id_is_not_for_us),
	ST_CLAIM(emergency_console_is_guarded),
};

ST_FAMILY(hypercall, claims);
