/* SPDX-License-Identifier: MIT */
/*
 * The hypercall table: number, name, handler, argument count and privilege in one row; the
 * dispatcher; multicall.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/misc.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/core/version.h"

#define U HV_HC_UNLOCKED
#define P (HV_HC_UNLOCKED | HV_HC_PRIVILEGED)

static const struct hv_hypercall table[HV_NR_HYPERCALLS] = {
	[__HYPERVISOR_set_trap_table] = { "set_trap_table", hv_do_set_trap_table, 1, U },
	[__HYPERVISOR_mmu_update] = { "mmu_update", hv_do_mmu_update, 4, U },
	[__HYPERVISOR_set_gdt] = { "set_gdt", hv_do_set_gdt, 2, 0 },
	[__HYPERVISOR_stack_switch] = { "stack_switch", hv_do_stack_switch, 2, U },
	[__HYPERVISOR_set_callbacks] = { "set_callbacks", hv_do_set_callbacks, 3, U },
	[__HYPERVISOR_fpu_taskswitch] = { "fpu_taskswitch", hv_do_fpu_taskswitch, 1, U },
	[__HYPERVISOR_sched_op_compat] = { "sched_op_compat", hv_do_sched_op_compat, 2, U },
	[__HYPERVISOR_platform_op] = { "platform_op", hv_do_platform_op, 1, U },
	[__HYPERVISOR_set_debugreg] = { "set_debugreg", hv_do_set_debugreg, 2, U },
	[__HYPERVISOR_get_debugreg] = { "get_debugreg", hv_do_get_debugreg, 1, U },
	[__HYPERVISOR_update_descriptor] = { "update_descriptor", hv_do_update_descriptor, 2, 0 },
	[__HYPERVISOR_memory_op] = { "memory_op", hv_do_memory_op, 2, U },
	[__HYPERVISOR_multicall] = { "multicall", hv_do_multicall, 2, U },
	[__HYPERVISOR_update_va_mapping] = { "update_va_mapping", hv_do_update_va_mapping, 3, 0 },
	[__HYPERVISOR_set_timer_op] = { "set_timer_op", hv_do_set_timer_op, 1, U },
	[__HYPERVISOR_event_channel_op_compat] = { "event_channel_op_compat",
	                                           hv_do_event_channel_op_compat, 1, U },
	[__HYPERVISOR_xen_version] = { "xen_version", hv_do_xen_version, 2, U },
	[__HYPERVISOR_console_io] = { "console_io", hv_do_console_io, 3, U },
	[__HYPERVISOR_physdev_op_compat] = { "physdev_op_compat", hv_do_physdev_op_compat, 1, U },
	[__HYPERVISOR_grant_table_op] = { "grant_table_op", hv_do_grant_table_op, 3, U },
	[__HYPERVISOR_vm_assist] = { "vm_assist", hv_do_vm_assist, 2, 0 },
	[__HYPERVISOR_update_va_mapping_otherdomain] = { "update_va_mapping_otherdomain",
	                                                 hv_do_update_va_mapping_otherdomain, 4,
	                                                 0 },
	[__HYPERVISOR_iret] = { "iret", hv_do_iret, 0, U | HV_HC_REGS },
	[__HYPERVISOR_vcpu_op] = { "vcpu_op", hv_do_vcpu_op, 3, U },
	[__HYPERVISOR_set_segment_base] = { "set_segment_base", hv_do_set_segment_base, 2, U },
	[__HYPERVISOR_mmuext_op] = { "mmuext_op", hv_do_mmuext_op, 4, U },
	[__HYPERVISOR_nmi_op] = { "nmi_op", hv_do_nmi_op, 2, U },
	[__HYPERVISOR_sched_op] = { "sched_op", hv_do_sched_op, 2, U },
	[__HYPERVISOR_callback_op] = { "callback_op", hv_do_callback_op, 2, U },
	[__HYPERVISOR_event_channel_op] = { "event_channel_op", hv_do_event_channel_op, 2, U },
	[__HYPERVISOR_physdev_op] = { "physdev_op", hv_do_physdev_op, 2, U },
	[__HYPERVISOR_hvm_op] = { "hvm_op", hv_do_hvm_op, 2, U },
	[__HYPERVISOR_sysctl] = { "sysctl", hv_do_sysctl, 1, U },
	[__HYPERVISOR_domctl] = { "domctl", hv_do_domctl, 1, U },
	[__HYPERVISOR_kexec_op] = { "kexec_op", NULL, 2, P },
	[__HYPERVISOR_xenoprof_op] = { "xenoprof_op", hv_do_xenoprof_op, 2, U },
	[__HYPERVISOR_xenpmu_op] = { "xenpmu_op", hv_do_not_offered, 2, U },
	[__HYPERVISOR_dm_op] = { "dm_op", hv_do_dm_op, 3, U },
	[__HYPERVISOR_hypfs_op] = { "hypfs_op", NULL, 5, P },
	[__HYPERVISOR_arch_0] = { "mca", NULL, 1, P },
	[__HYPERVISOR_arch_1] = { "paging_domctl", hv_do_paging_domctl, 1, U },
};

const struct hv_hypercall *hv_hypercall_lookup(uint64_t number)
{
	return number < HV_NR_HYPERCALLS && table[number].name ? &table[number] : NULL;
}

int hv_guest_read(struct hv_vcpu *v, void *dst, uint64_t va, size_t len)
{
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_copy_from_guest(v, dst, va, len);
	hv_domain_unlock(v->domain);
	return rc;
}

int hv_guest_write(struct hv_vcpu *v, uint64_t va, const void *src, size_t len)
{
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_copy_to_guest(v, va, src, len);
	hv_domain_unlock(v->domain);
	return rc;
}

/* One call by number: looked up, privilege checked, done with the right lock. */
static int64_t do_call(struct hv_vcpu *v, uint64_t number, const uint64_t *a)
{
	const struct hv_hypercall *h = hv_hypercall_lookup(number);
	int64_t result;

	if (!h)
		return -XEN_ENOSYS;
	if (h->flags & HV_HC_PRIVILEGED)
		return -XEN_EPERM;
	if (h->flags & HV_HC_UNLOCKED)
		return h->fn(v, a);
	hv_domain_lock(v->domain);
	result = h->fn(v, a);
	hv_domain_unlock(v->domain);
	return result;
}

/* As do_call(), and tells the tracer. */
static int64_t call(struct hv_vcpu *v, uint64_t number, const uint64_t *a)
{
	const struct hv_tracer *t = v->domain->machine->tracer;
	uint64_t start;
	int64_t result;

	if (!t || !t->hypercall)
		return do_call(v, number, a);
	start = hv_time_host_ns();
	result = do_call(v, number, a);
	t->hypercall(t->arg, v, number, a, result, hv_time_host_ns() - start);
	return result;
}

void hv_hypercall_dispatch(struct hv_vcpu *v)
{
	struct hv_regs *r = &v->regs;
	const uint64_t a[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };
	uint64_t number = r->rax;
	int64_t result = call(v, number, a);

	if (number != __HYPERVISOR_iret)
		r->rax = (uint64_t)result;
}

/* ---- multicall ------------------------------------------------------------------------------ */

/*
 * Calls in a row, each with a result of its own. A multicall in a multicall is refused, an iret ends
 * the row. The end of the domain ends it, too; events wait until it is through.
 */
int64_t hv_do_multicall(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t count = (uint32_t)a[1];

	if (a[0] >= UINT64_C(1) << 47 && a[0] < HYPERVISOR_VIRT_END)
		return -XEN_EFAULT; /* even when it is empty */
	for (uint32_t i = 0; i < count && !atomic_load(&v->domain->ending); i++) {
		struct multicall_entry e;
		uint64_t args[6], va;

		if (!hv_array_va(a[0], i, sizeof(e), &va) || hv_guest_read(v, &e, va, sizeof(e)))
			return -XEN_EFAULT;
		memcpy(args, e.args, sizeof(args));
		if (e.op == __HYPERVISOR_iret) {
			/* Registers are loaded already, rax too; the caller's result is that rax. */
			call(v, e.op, args);
			return (int64_t)v->regs.rax;
		}
		e.result = (xen_ulong_t)(e.op == __HYPERVISOR_multicall ? -XEN_EINVAL
		                                                        : call(v, e.op, args));
		if (hv_guest_write(v, va + offsetof(struct multicall_entry, result), &e.result,
		                   sizeof(e.result)))
			return -XEN_EFAULT;
	}
	return 0;
}
