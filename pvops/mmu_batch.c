/* SPDX-License-Identifier: MIT */
/*
 * Operations of the hypervisor's that come in lists: page-table writes with the flush that they
 * need, and the switch from one context to another. Each is one hypercall, however long its list.
 *
 * Invariant: a flush comes after the writes that make it necessary, in the same call, so nobody can
 * use a stale translation after the operation has returned.
 */
#include "pvops/mmu.h"

#include <stddef.h>

#include "pvops/cpu.h"
#include "pvops/hypercall.h"
#include "pvops/p2m.h"

/* Beyond this many pages one flush of everything is cheaper than one for each. */
#define FLUSH_PAGES_MAX 8

_Static_assert(sizeof(struct pv_pt_write) == sizeof(struct mmu_update), "one becomes the other");

/* The flush as operations; returns their number. */
static unsigned int flush_ops(const struct pv_flush *flush, struct mmuext_op *ops)
{
	bool here = flush->cpus == 1ull << pv_cpu()->id;
	bool all = flush->pages == 0 || flush->pages > FLUSH_PAGES_MAX;
	unsigned int i, n = all ? 1 : flush->pages;

	for (i = 0; i < n; i++) {
		ops[i] = (struct mmuext_op){ 0 };
		if (all)
			ops[i].cmd = here ? MMUEXT_TLB_FLUSH_LOCAL : MMUEXT_TLB_FLUSH_MULTI;
		else
			ops[i].cmd = here ? MMUEXT_INVLPG_LOCAL : MMUEXT_INVLPG_MULTI;
		if (!all)
			ops[i].arg1.linear_addr = flush->va + i * PV_PAGE_SIZE;
		if (!here)
			set_xen_guest_handle(ops[i].arg2.vcpumask, &flush->cpus);
	}
	return n;
}

static void set_call(struct multicall_entry *c, unsigned long op, unsigned long a, unsigned long b)
{
	*c = (struct multicall_entry){ .op = op, .args = { a, b } };
}

/* The same for the two calls that work a list of the domain's own. */
static void set_list_call(struct multicall_entry *c, unsigned long op, const void *list,
                          unsigned int count)
{
	set_call(c, op, (unsigned long)list, count);
	c->args[3] = DOMID_SELF;
}

/* Returns 0, or the first failure. */
static int do_calls(struct multicall_entry *calls, unsigned int count)
{
	long rc = pv_hc_multicall(calls, count);
	unsigned int i;

	for (i = 0; !rc && i < count; i++)
		rc = (long)calls[i].result;
	return (int)rc;
}

int pv_mmu_write_entries(struct pv_pt_write *list, unsigned int count, const struct pv_flush *flush)
{
	struct mmu_update *req = (struct mmu_update *)list;
	struct mmuext_op ops[FLUSH_PAGES_MAX];
	struct multicall_entry calls[2];
	unsigned int i;

	if (count > PV_PT_WRITE_MAX)
		return -XEN_EINVAL;
	for (i = 0; i < count; i++) {
		uint64_t e = list[i].value;

		req[i].ptr = pv_mmu_machine_address(list[i].entry) | MMU_NORMAL_PT_UPDATE;
		if (e & PV_PTE_PRESENT)
			e = pv_pte(pv_p2m(pv_pte_mfn(e)), e & ~PV_PTE_FRAME);
		req[i].val = e;
	}
	if (!flush || !flush->cpus)
		return count ? (int)pv_hc_mmu_update(req, count, NULL, DOMID_SELF) : 0;
	i = flush_ops(flush, ops);
	if (!count)
		return (int)pv_hc_mmuext_op(ops, i, NULL, DOMID_SELF);
	set_list_call(&calls[0], __HYPERVISOR_mmu_update, req, count);
	set_list_call(&calls[1], __HYPERVISOR_mmuext_op, ops, i);
	return do_calls(calls, 2);
}

/*
 * The stack and the segment base come first, and with them nothing can fail: so when the roots are
 * refused, putting the two back undoes all of it.
 */
int pv_mmu_switch_context(const struct pv_context *from, const struct pv_context *to)
{
	struct multicall_entry calls[3];
	struct mmuext_op ops[2];
	unsigned int n = 0, nr_ops = 0;

	if (to->kernel_stack != from->kernel_stack)
		set_call(&calls[n++], __HYPERVISOR_stack_switch, FLAT_KERNEL_SS,
		         (unsigned long)to->kernel_stack);
	if (to->fs_base != from->fs_base)
		set_call(&calls[n++], __HYPERVISOR_set_segment_base, SEGBASE_FS, to->fs_base);
	if (to->kernel_root.pfn != from->kernel_root.pfn) {
		ops[nr_ops] = (struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR };
		ops[nr_ops++].arg1.mfn = pv_p2m(to->kernel_root.pfn);
	}
	if (to->user_root.pfn != from->user_root.pfn) {
		ops[nr_ops] = (struct mmuext_op){ .cmd = MMUEXT_NEW_USER_BASEPTR };
		ops[nr_ops++].arg1.mfn = to->user_root.pfn ? pv_p2m(to->user_root.pfn) : 0;
	}
	if (nr_ops)
		set_list_call(&calls[n++], __HYPERVISOR_mmuext_op, ops, nr_ops);
	return n ? do_calls(calls, n) : 0;
}
