/* SPDX-License-Identifier: MIT */
/*
 * Calls that no careful kernel makes, and what comes of them: the answers of real Xen.
 *
 * Method: whole families of calls were made with all kinds of arguments on both, and their answers
 * compared; what differed is held here. Breakage: a kernel that probes what it runs on, or relies on
 * an error to find its way, takes another one.
 */
#include "tests/guests/selftest/test.h"

#include "abi/physdev.h"
#include "pvops/evtchn.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"
#include "pvops/time.h"

#define MS               1000000ull
#define MSR_MC0_CTL      0x400u
#define MEM_FREED_PAGES  18u /* numbers that only tools use */
#define MEM_SHARED_PAGES 19u
#define MEM_ACCESS_OP    21u
#define MEM_RESERVED_MAP 27u

/* An address of the hypervisor's at which it has nothing. */
#define ST_NOTHING ((char *)0xffff807ffffffff8)

/* ---- page-table roots, events, time ---- */

static long new_root(unsigned int cmd, uint64_t mfn)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = mfn;
	return pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void no_frame_is_no_root(void)
{
	ST_EQ(new_root(MMUEXT_NEW_BASEPTR, ~0ull), -XEN_EINVAL);
	ST_EQ(new_root(MMUEXT_NEW_USER_BASEPTR, ~0ull), -XEN_EINVAL);
	ST_EQ(new_root(MMUEXT_NEW_BASEPTR, 0), -XEN_EINVAL);
}

static long poll_port(evtchn_port_t port)
{
	struct sched_poll poll = { .nr_ports = 1, .timeout = 1 };

	set_xen_guest_handle(poll.ports, &port);
	return pv_hc_sched_op(SCHEDOP_poll, &poll);
}

static void only_ports_in_use_are_polled(void)
{
	evtchn_port_t port;

	ST_EQ(poll_port(0), -XEN_EINVAL);
	ST_EQ(pv_evtchn_bind_ipi(0, NULL, NULL, &port), 0);
	ST_EQ(poll_port(port), 0);
	ST_EQ(pv_evtchn_close(port), 0);
	ST_EQ(poll_port(port), -XEN_EINVAL);
}

/* Free ports exist up to a multiple of 64, beyond the highest that was ever in use. */
static void ports_come_in_steps_of_64(void)
{
	struct evtchn_status st = { .dom = DOMID_SELF };

	do
		st.port++;
	while (pv_hc_event_channel_op(EVTCHNOP_status, &st) == 0);
	ST_EQ(st.port % 64, 0);
}

static void singleshot_in_the_past_is_taken(void)
{
	struct vcpu_set_singleshot_timer op = { .timeout_abs_ns = pv_now_ns() - MS,
		                                .flags = VCPU_SSHOTTMR_future };

	ST_EQ(pv_hc_vcpu_op(VCPUOP_set_singleshot_timer, 0, &op), 0);
	ST_EQ(pv_hc_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
}

/* Times are signed: one from the upper half is past, which is no error; 0 is none. */
static void any_time_is_taken(void)
{
	ST_EQ(pv_hc_set_timer_op(1), 0);
	ST_EQ(pv_hc_set_timer_op(1ull << 63), 0);
	ST_EQ(pv_hc_set_timer_op(~0ull), 0);
	ST_EQ(pv_hc_set_timer_op(0), 0);
}

/* ---- memory ---- */

/* The hypervisor's own domains have memory, but are no domains to be asked about. */
static void system_domains_are_no_domains(void)
{
	static const domid_t doms[] = { DOMID_IO, DOMID_XEN };
	static const unsigned int ops[] = { XENMEM_current_reservation, XENMEM_maximum_reservation,
		                            XENMEM_maximum_gpfn, XENMEM_remove_from_physmap };
	uint64_t arg[4] = { 0 };
	unsigned int i, j;

	for (i = 0; i < ST_COUNT(doms); i++) {
		struct gnttab_setup_table setup = { .dom = doms[i] };
		struct gnttab_query_size size = { .dom = doms[i] };
		struct gnttab_get_version version = { .dom = doms[i] };

		*(domid_t *)arg = doms[i];
		for (j = 0; j < ST_COUNT(ops); j++)
			ST_EQ(pv_hc_memory_op(ops[j], arg), -XEN_ESRCH);
		ST_EQ(pv_hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0);
		ST_EQ(setup.status, GNTST_bad_domain);
		ST_EQ(pv_hc_grant_table_op(GNTTABOP_query_size, &size, 1), 0);
		ST_EQ(size.status, GNTST_bad_domain);
		ST_EQ(pv_hc_grant_table_op(GNTTABOP_get_version, &version, 1), -XEN_ESRCH);
	}
}

static long memory_of(unsigned int op, domid_t dom)
{
	uint64_t arg[8] = { dom };

	return pv_hc_memory_op(op, arg);
}

static void memory_of_other_kinds_of_guests(void)
{
	ST_EQ(pv_hc_memory_op(XENMEM_set_pod_target, NULL), -XEN_EFAULT);
	ST_EQ(memory_of(XENMEM_get_pod_target, DOMID_SELF), -XEN_EINVAL);
	ST_EQ(pv_hc_memory_op(MEM_FREED_PAGES, NULL), 0);
	ST_EQ(pv_hc_memory_op(MEM_SHARED_PAGES, NULL), 0);
	ST_EQ(pv_hc_memory_op(MEM_ACCESS_OP, NULL), -XEN_EFAULT);
	ST_EQ(memory_of(MEM_ACCESS_OP, DOMID_SELF), -XEN_EINVAL);
	ST_EQ(pv_hc_memory_op(XENMEM_machphys_compat_mfn_list, NULL), -XEN_EOPNOTSUPP);
	ST_EQ(pv_hc_memory_op(XENMEM_get_vnumainfo, NULL), -XEN_EFAULT);
	ST_EQ(memory_of(XENMEM_get_vnumainfo, DOMID_SELF), -XEN_EOPNOTSUPP);
	ST_EQ(memory_of(XENMEM_get_vnumainfo, 0), -XEN_EPERM);
	ST_EQ(memory_of(MEM_RESERVED_MAP, 0), 0);
	ST_EQ(memory_of(MEM_RESERVED_MAP, 77), -XEN_EINVAL);
	ST_EQ(memory_of(XENMEM_acquire_resource, DOMID_SELF), -XEN_ESRCH);
	/* An operation that goes on where it was interrupted, which there is not. */
	ST_EQ(pv_hc_memory_op(35 | 1 << 6, NULL), -XEN_ENOSYS);
}

struct e820 {
	uint64_t start, len;
	uint32_t type;
} __attribute__((packed));

static long set_map(domid_t dom, struct e820 *rows, unsigned int nr)
{
	struct xen_foreign_memory_map op = { .domid = dom, .map.nr_entries = nr };

	set_xen_guest_handle(op.map.buffer, (void *)rows);
	return pv_hc_memory_op(XENMEM_set_memory_map, &op);
}

/* A domain may say itself what its memory map is. */
static void memory_map_is_the_domains_own(void)
{
	struct e820 before[4], rows[2] = { { 0, 0x1000, 1 }, { 0x5000, 0x2000, 2 } }, seen[4];
	struct xen_memory_map map = { .nr_entries = 4 };
	unsigned int nr;

	set_xen_guest_handle(map.buffer, (void *)before);
	ST_EQ(pv_hc_memory_op(XENMEM_memory_map, &map), 0);
	nr = map.nr_entries;
	ST_EQ(set_map(DOMID_SELF, rows, 2), 0);
	map.nr_entries = 4;
	set_xen_guest_handle(map.buffer, (void *)seen);
	ST_EQ(pv_hc_memory_op(XENMEM_memory_map, &map), 0);
	ST_EQ(map.nr_entries, 2);
	ST_EQ(memcmp(seen, rows, sizeof(rows)), 0);
	ST_EQ(set_map(DOMID_SELF, rows, 0), 0);
	ST_EQ(pv_hc_memory_op(XENMEM_memory_map, &map), -XEN_ENOSYS);
	ST_EQ(set_map(DOMID_SELF, before, nr), 0);
	ST_EQ(set_map(0, rows, 1), -XEN_EPERM);
	ST_EQ(set_map(77, rows, 1), -XEN_ESRCH);
	ST_EQ(set_map(DOMID_SELF, rows, 1025), -XEN_EINVAL);
	ST_EQ(set_map(DOMID_SELF, (struct e820 *)ST_UNMAPPED, 1), -XEN_EFAULT);
	ST_EQ(pv_hc_memory_op(XENMEM_memory_map, &map), 0);
}

static void exchange_of_too_long_lists_is_efault(void)
{
	struct xen_memory_exchange op = { .in = { .nr_extents = ~0ul, .domid = DOMID_SELF },
		                          .out = { .nr_extents = ~0ul, .domid = DOMID_SELF } };

	ST_EQ(pv_hc_memory_op(XENMEM_exchange, &op), -XEN_EFAULT);
	ST_EQ(op.nr_exchanged, 0);
}

/* ---- grants ---- */

static int copy_status(domid_t dom, uint16_t flags, grant_ref_t ref)
{
	uint64_t *to = st_page();
	struct gnttab_copy op = { .flags = flags, .len = 8, .status = 77 };

	op.source.domid = dom;
	op.source.u.ref = ref;
	op.dest.domid = DOMID_SELF;
	op.dest.u.gmfn = pv_virt_to_mfn(to);
	pv_hc_grant_table_op(GNTTABOP_copy, &op, 1);
	st_page_free(to);
	return op.status;
}

static void domains_of_a_copy_are_looked_for_first(void)
{
	ST_EQ(copy_status(77, 0, 0), GNTST_bad_domain);
	ST_EQ(copy_status(DOMID_XEN, 0, 0), GNTST_bad_domain);
	ST_EQ(copy_status(0, 0, 0), GNTST_permission_denied);
}

static void grants_of_domain_0_have_a_limit(void)
{
	struct gnttab_map_grant_ref op = {
		.dom = 0, .ref = ~0u, .flags = GNTMAP_host_map, .host_addr = st_window()
	};

	ST_EQ(pv_hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0);
	ST_EQ(op.status, GNTST_bad_gntref);
}

/* ---- descriptors and ports ---- */

/* The second half of a call gate is taken as it is. */
static void a_descriptor_of_no_type_is_kept(void)
{
	uint64_t *page = st_page(), nothing = 0x00a080000000fffful;
	uint64_t at = pv_mmu_machine_address(page);

	ST_EQ(pv_hc_update_descriptor(at, nothing), 0);
	ST_EQ(page[0], nothing);
	st_page_free(page);
}

static void a_bitmap_of_ports_has_a_guests_address(void)
{
	struct physdev_set_iobitmap op = { .nr_ports = 65536 };

	set_xen_guest_handle(op.bitmap, ST_NONCANONICAL);
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), -XEN_EINVAL);
	set_xen_guest_handle(op.bitmap, ST_HYPERVISOR);
	op.nr_ports = 0;
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), -XEN_EINVAL);
	set_xen_guest_handle(op.bitmap, ST_UNMAPPED);
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), 0);
	set_xen_guest_handle(op.bitmap, NULL);
	ST_EQ(pv_hc_physdev_op(PHYSDEVOP_set_iobitmap, &op), 0);
}

/* ---- instructions ---- */

#define ONE_TRAP(want, insn, ...)                      \
	do {                                           \
		ST_EQ(ST_TRAPS(insn, __VA_ARGS__), 1); \
		ST_EQ(st_trap.vector, want);           \
	} while (0)

static void vmcall_is_no_way_to_this_hypervisor(void)
{
	ONE_TRAP(PV_VECTOR_UD, "vmcall", : : "a"(0) : "memory");
}

static void privilege_is_looked_at_before_memory(void)
{
	ONE_TRAP(PV_VECTOR_GP, "insb", : : "D"(ST_UNMAPPED), "d"(0x80) : "memory");
	ONE_TRAP(PV_VECTOR_GP, "outsb", : : "S"(ST_UNMAPPED), "d"(0x80) : "memory");
}

/* The banks of machine checks take any control word, and no more than zero for the rest. */
static void banks_of_machine_checks_are_cleared_only(void)
{
	uint32_t i;

	ST_EQ(ST_TRAPS("wrmsr", : : "a"(1), "d"(0), "c"(MSR_MC0_CTL) : "memory"), 0);
	for (i = 1; i < 4; i++) {
		ST_EQ(ST_TRAPS("wrmsr", : : "a"(0), "d"(0), "c"(MSR_MC0_CTL + i) : "memory"), 0);
		ONE_TRAP(PV_VECTOR_GP, "wrmsr",
		         :
		         : "a"(1), "d"(0), "c"(MSR_MC0_CTL + i)
		         : "memory");
	}
}

/* Something is mapped there, and a kernel may tell it from nothing. */
static void the_hypervisors_memory_is_present(void)
{
	volatile char *m2p = (char *)MACH2PHYS_VIRT_START, *all = ST_HYPERVISOR;

	ONE_TRAP(PV_VECTOR_PF, "movb (%0), %%al", : : "r"(all) : "rax", "memory");
	ST_EQ(st_trap.error_code, PV_PF_PRESENT);
	ONE_TRAP(PV_VECTOR_PF, "movb %%al, (%0)", : : "r"(all) : "memory");
	ST_EQ(st_trap.error_code, PV_PF_PRESENT | PV_PF_WRITE);
	ONE_TRAP(PV_VECTOR_PF, "movb %%al, (%0)", : : "r"(m2p) : "memory");
	ST_EQ(st_trap.error_code, PV_PF_PRESENT | PV_PF_WRITE);
	ONE_TRAP(PV_VECTOR_PF, "movb (%0), %%al", : : "r"(ST_NOTHING) : "rax", "memory");
	ST_EQ(st_trap.error_code, 0);
}

static const struct st_claim claims[] = {
	ST_CLAIM(no_frame_is_no_root),
	ST_CLAIM(only_ports_in_use_are_polled),
	ST_CLAIM(ports_come_in_steps_of_64),
	ST_CLAIM(singleshot_in_the_past_is_taken),
	ST_CLAIM(any_time_is_taken),
	ST_CLAIM(system_domains_are_no_domains),
	ST_CLAIM(memory_of_other_kinds_of_guests),
	ST_CLAIM(memory_map_is_the_domains_own),
	ST_CLAIM(exchange_of_too_long_lists_is_efault),
	ST_CLAIM(domains_of_a_copy_are_looked_for_first),
	ST_CLAIM(grants_of_domain_0_have_a_limit),
	ST_CLAIM(a_descriptor_of_no_type_is_kept),
	ST_CLAIM(a_bitmap_of_ports_has_a_guests_address),
	ST_CLAIM(vmcall_is_no_way_to_this_hypervisor),
	ST_CLAIM(privilege_is_looked_at_before_memory),
	ST_CLAIM(banks_of_machine_checks_are_cleared_only),
	ST_CLAIM(the_hypervisors_memory_is_present),
};

ST_FAMILY(errors, claims);
