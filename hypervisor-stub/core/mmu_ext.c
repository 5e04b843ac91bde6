/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_mmuext_op: pins, roots, flushes; and the end of a domain's tables.
 *
 * Order of checks and error numbers are those of do_mmuext_op() in Xen's xen/arch/x86/mm.c, for a
 * domain that controls no other and owns no device.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/mmu.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

#define MMU_UPDATE_PREEMPTED 0x80000000u
#define BATCH                64u

static void sync_vcpus(struct hv_domain *d, uint32_t mask)
{
	if (mask)
		d->machine->engine->sync(d, mask);
}

/* ---- pins -------------------------------------------------------------------------------------- */

static int pin(struct hv_domain *d, mfn_t mfn, enum hv_frame_type type)
{
	int rc = hv_type_get(d, mfn, type);

	if (rc)
		return rc;
	if (hv_frame_own(d, mfn)->pinned) {
		hv_type_put(d, mfn);
		return -XEN_EINVAL;
	}
	hv_frame_own(d, mfn)->pinned = true;
	return 0;
}

static int unpin(struct hv_domain *d, mfn_t mfn)
{
	struct hv_frame *f = hv_frame_own(d, mfn);

	if (!f || !f->pinned)
		return -XEN_EINVAL;
	f->pinned = false;
	hv_type_put(d, mfn);
	return 0;
}

/* ---- roots ------------------------------------------------------------------------------------- */

static int replace_root(struct hv_vcpu *v, mfn_t *root, mfn_t now)
{
	struct hv_domain *d = v->domain;
	mfn_t old = *root;
	int rc;

	if (hv_mfn_same(old, now))
		return 0;
	if (!hv_mfn_is_none(now)) {
		rc = hv_type_get(d, now, HV_TYPE_L4);
		if (rc)
			return rc;
	}
	*root = now;
	if (!hv_mfn_is_none(old))
		hv_type_put(d, old);
	return 0;
}

int hv_vcpu_set_root(struct hv_vcpu *v, mfn_t kernel_root)
{
	int rc = -XEN_EINVAL;

	if (!hv_mfn_is_none(kernel_root))
		rc = replace_root(v, &v->root_kernel, kernel_root);

	/* Loading a root flushes, even when it is the same one. */
	if (!rc)
		sync_vcpus(v->domain, UINT32_C(1) << v->id);
	return rc;
}

int hv_vcpu_set_user_root(struct hv_vcpu *v, mfn_t user_root)
{
	/* The number that stands for no root is one that a guest can say. */
	return hv_mfn_is_none(user_root) ? -XEN_EINVAL : replace_root(v, &v->root_user, user_root);
}

int hv_vcpu_no_user_root(struct hv_vcpu *v)
{
	return replace_root(v, &v->root_user, HV_MFN_NONE);
}

/* ---- pages ------------------------------------------------------------------------------------- */

static int clear_page(struct hv_domain *d, mfn_t mfn)
{
	if (hv_type_get(d, mfn, HV_TYPE_WRITABLE))
		return -XEN_EINVAL;
	memset(hv_frame_ptr(d, mfn), 0, HV_PAGE_SIZE);
	hv_type_put(d, mfn);
	return 0;
}

static int copy_page(struct hv_domain *d, mfn_t to, mfn_t from)
{
	if (hv_ref_get(d, from))
		return -XEN_EINVAL;
	if (hv_type_get(d, to, HV_TYPE_WRITABLE)) {
		hv_ref_put(d, from);
		return -XEN_EINVAL;
	}
	memmove(hv_frame_ptr(d, to), hv_frame_ptr(d, from), HV_PAGE_SIZE);
	hv_type_put(d, to);
	hv_ref_put(d, from);
	return 0;
}

/* ---- operations -------------------------------------------------------------------------------- */

static int flush_multi(struct hv_vcpu *v, const struct mmuext_op *op)
{
	uint32_t mask;

	if (hv_vcpumask_read(v, xen_guest_handle_va(op->arg2.vcpumask), &mask))
		return -XEN_EINVAL;
	sync_vcpus(v->domain, mask);
	return 0;
}

/* Operations on the caller's own vCPUs: a foreign domain makes no sense for them. */
static int vcpu_op(struct hv_vcpu *v, const struct mmuext_op *op)
{
	mfn_t mfn = { op->arg1.mfn };

	switch (op->cmd) {
	case MMUEXT_NEW_BASEPTR:
		return hv_vcpu_set_root(v, mfn);
	case MMUEXT_NEW_USER_BASEPTR:
		return mfn.n ? hv_vcpu_set_user_root(v, mfn) : hv_vcpu_no_user_root(v);
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
		sync_vcpus(v->domain, UINT32_C(1) << v->id);
		return 0;
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
		return flush_multi(v, op);
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_INVLPG_ALL:
		sync_vcpus(v->domain, hv_all_vcpus(v->domain));
		return 0;
	case MMUEXT_FLUSH_CACHE: /* for owners of devices, with an errno each */
		return -XEN_EACCES;
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return -XEN_EINVAL;
	case MMUEXT_SET_LDT:
		return hv_ldt_set(v, op->arg1.linear_addr, op->arg2.nr_ents);
	default:
		return -XEN_ENOSYS;
	}
}

static int ext_one(struct hv_vcpu *v, const struct mmuext_op *op)
{
	struct hv_domain *d = v->domain;
	mfn_t mfn = { op->arg1.mfn };

	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE:
	case MMUEXT_PIN_L2_TABLE:
	case MMUEXT_PIN_L3_TABLE:
	case MMUEXT_PIN_L4_TABLE:
		return pin(d, mfn, HV_TYPE_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE));
	case MMUEXT_UNPIN_TABLE:
		return unpin(d, mfn);
	case MMUEXT_CLEAR_PAGE:
		return clear_page(d, mfn);
	case MMUEXT_COPY_PAGE:
		return copy_page(d, mfn, (mfn_t){ op->arg2.src_mfn });
	case MMUEXT_MARK_SUPER:
	case MMUEXT_UNMARK_SUPER:
		return -XEN_EOPNOTSUPP;
	default:
		return vcpu_op(v, op);
	}
}

static int ext_all(struct hv_vcpu *v, uint64_t list, uint32_t count, uint32_t *done)
{
	struct hv_domain *d = v->domain;

	for (*done = 0; *done < count; (*done)++) {
		struct mmuext_op op;
		uint64_t va;
		int rc;

		if (*done && *done % BATCH == 0) {
			hv_domain_unlock(d);
			hv_domain_lock(d);
			if (atomic_load(&d->ending))
				return 0;
		}
		if (!hv_array_va(list, *done, sizeof(op), &va) ||
		    hv_copy_from_guest(v, &op, va, sizeof(op)))
			return -XEN_EFAULT;
		rc = ext_one(v, &op);
		if (rc)
			return rc;
	}
	return 0;
}

int64_t hv_do_mmuext_op(struct hv_vcpu *v, const uint64_t *a)
{
	struct hv_domain *d = v->domain;
	uint32_t count = (uint32_t)a[1], before = 0, done;
	uint64_t pdone = a[2];
	int rc;

	if (!hv_addr_ok(a[0]))
		return -XEN_EFAULT;
	rc = hv_domid_check(d, (uint16_t)a[3], false);
	if (rc)
		return rc;
	hv_domain_lock(d);
	if (count & MMU_UPDATE_PREEMPTED) {
		count &= ~MMU_UPDATE_PREEMPTED;
		if (pdone && hv_copy_from_guest(v, &before, pdone, sizeof(before)))
			before = 0;
	}
	rc = ext_all(v, a[0], count, &done);
	done += before;
	if (pdone)
		(void)hv_copy_to_guest(v, pdone, &done, sizeof(done));
	hv_domain_unlock(d);
	return rc;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void drop_vcpu(struct hv_vcpu *v)
{
	struct hv_domain *d = v->domain;

	hv_gdt_clear(v);
	if (!hv_mfn_same(v->info_mfn, d->shared_info_mfn)) {
		/* Where the guest registered its vcpu_info; hv_evtchn_move_vcpu_info() took it. */
		hv_type_put(d, v->info_mfn);
		v->info_mfn = d->shared_info_mfn;
	}
	if (!hv_mfn_is_none(v->root_user))
		hv_type_put(d, v->root_user);
	if (!hv_mfn_is_none(v->root_kernel))
		hv_type_put(d, v->root_kernel);
	v->root_user = HV_MFN_NONE;
	v->root_kernel = HV_MFN_NONE;
}

void hv_mmu_domain_teardown(struct hv_domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		if (d->vcpu[i])
			drop_vcpu(d->vcpu[i]);
	}
	for (uint64_t i = 0; i < d->mem.nr_frames; i++) {
		mfn_t mfn = { d->mem.first.n + i };
		struct hv_frame *f = &d->machine->pool.table[mfn.n - d->machine->pool.first];

		/* Frames that nobody looked at have no descriptor and no pin. */
		if (f->state == HV_FRAME_GUEST && f->pinned)
			(void)unpin(d, mfn);
	}
}
