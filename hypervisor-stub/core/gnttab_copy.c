/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_copy: the hypervisor copies between two pages, each the caller's own frame or one that
 * was granted to it; and the same for back-ends in this process.
 *
 * Both owners' locks are held for the whole of a copy, so the frames stay what they are, and a
 * writable type that is taken for the copy is given back before anyone could see it.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/gnttab_priv.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

/* One side of a copy that is under way. */
struct side {
	struct hv_domain *owner;
	bool by_ref, write;
	struct grant_entry_v1 *row; /* by_ref: marked as in use */
	struct hv_gnttab_active *act;
	mfn_t mfn;
	uint8_t *page;
};

static void close_side(struct side *s)
{
	if (s->page && s->write)
		hv_type_put(s->owner, s->mfn);
	if (s->row)
		hv_gnttab_unmark(s->row, s->act, !s->write);
}

static int open_frame(struct side *s)
{
	struct hv_frame *f = hv_frame_own(s->owner, s->mfn);

	if (!f || !f->ref_count)
		return GNTST_bad_page;
	if (s->write && hv_type_get(s->owner, s->mfn, HV_TYPE_WRITABLE))
		return GNTST_general_error;
	s->page = hv_frame_ptr(s->owner, s->mfn);
	return 0;
}

static int open_ref(struct side *s, grant_ref_t ref, domid_t who)
{
	struct hv_gnttab_active *act;
	struct grant_entry_v1 *row;
	int rc;

	if (!hv_gnttab_row(s->owner, ref, &row, &act))
		return GNTST_bad_gntref;
	if (hv_gnttab_is_pinned(act) && act->domid != who)
		return GNTST_general_error;
	rc = hv_gnttab_mark(row, act, !s->write, false, who);
	if (rc)
		return rc;
	s->row = row;
	s->act = act;
	s->mfn = hv_gnttab_is_pinned(act)
	                 ? act->mfn
	                 : (mfn_t){ __atomic_load_n(&row->frame, __ATOMIC_RELAXED) };
	return open_frame(s);
}

/* Finds the owner of one side; with a reference, to be dropped by hv_domain_put(). */
static int find_owner(struct hv_domain *caller, const struct gnttab_copy_ptr *p, struct side *s)
{
	domid_t dom = p->domid == DOMID_SELF ? caller->domid : p->domid;

	s->owner = hv_domain_get(caller->machine, dom);
	if (!s->owner && (dom || s->by_ref))
		return hv_gnttab_no_owner(dom, p->u.ref);
	/* A frame number alone is only good for the caller's own memory. */
	return p->domid == DOMID_SELF || s->by_ref ? 0 : GNTST_permission_denied;
}

static int open_side(struct hv_domain *caller, const struct gnttab_copy_ptr *p, struct side *s)
{
	if (s->by_ref)
		return open_ref(s, p->u.ref, caller->domid);
	s->mfn.n = p->u.gmfn;
	return open_frame(s);
}

static int copy_locked(struct hv_domain *caller, const struct gnttab_copy *op, struct side *from,
                       struct side *to)
{
	int rc = open_side(caller, &op->source, from);

	if (!rc)
		rc = open_side(caller, &op->dest, to);
	if (!rc && (op->source.offset + op->len > HV_PAGE_SIZE ||
	            op->dest.offset + op->len > HV_PAGE_SIZE))
		rc = GNTST_bad_copy_arg;
	if (!rc)
		memmove(to->page + op->dest.offset, from->page + op->source.offset, op->len);
	close_side(to);
	close_side(from);
	return rc;
}

static int copy_one(struct hv_domain *caller, const struct gnttab_copy *op)
{
	struct side from = { .by_ref = op->flags & GNTCOPY_source_gref };
	struct side to = { .by_ref = op->flags & GNTCOPY_dest_gref, .write = true };
	int rc = find_owner(caller, &op->source, &from);

	if (!rc)
		rc = find_owner(caller, &op->dest, &to);
	if (!rc) {
		hv_domains_lock(from.owner, to.owner);
		rc = copy_locked(caller, op, &from, &to);
		hv_domains_unlock(from.owner, to.owner);
	}
	if (to.owner)
		hv_domain_put(to.owner);
	if (from.owner)
		hv_domain_put(from.owner);
	return rc;
}

int64_t hv_gnttab_copies(struct hv_vcpu *v, uint64_t list, uint32_t count)
{
	struct hv_domain *d = v->domain;

	for (uint32_t i = 0; i < count && !atomic_load(&d->ending); i++) {
		struct gnttab_copy op;
		uint64_t va = 0;
		int rc;

		hv_domain_lock(d);
		rc = hv_array_va(list, i, sizeof(op), &va)
		             ? hv_copy_from_guest(v, &op, va, sizeof(op))
		             : -XEN_EFAULT;
		hv_domain_unlock(d);
		if (rc)
			return rc;
		op.status = (int16_t)copy_one(d, &op);
		hv_domain_lock(d);
		rc = hv_copy_to_guest(v, va + offsetof(struct gnttab_copy, status), &op.status,
		                      sizeof(op.status));
		hv_domain_unlock(d);
		if (rc)
			return rc;
	}
	return 0;
}

int hv_gnttab_host_copy(struct hv_domain *d, grant_ref_t ref, unsigned offset, void *buf,
                        unsigned len, bool to_guest)
{
	struct side s = { .owner = d, .by_ref = true, .write = to_guest };
	int rc;

	if (offset > HV_PAGE_SIZE || len > HV_PAGE_SIZE - offset)
		return GNTST_bad_copy_arg;
	hv_domain_lock(d);
	rc = open_ref(&s, ref, 0);
	if (!rc && to_guest)
		memcpy(s.page + offset, buf, len);
	else if (!rc)
		memcpy(buf, s.page + offset, len);
	close_side(&s);
	hv_domain_unlock(d);
	return rc;
}
