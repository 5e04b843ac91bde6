/* SPDX-License-Identifier: MIT */
/*
 * The memory map that a domain is told: one row, as Xen's toolstack makes it, or what the domain has
 * said of itself, which nobody but itself looks at.
 *
 * Source: XENMEM_memory_map and XENMEM_set_memory_map in Xen's xen/arch/x86/mm.c.
 */
#include <stdlib.h>

#include "abi/errno.h"
#include "abi/memory.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu_priv.h"

#define MAX_ROWS 1024u
#define RAM      1u

/* As the PC's firmware has it. */
struct hv_memory_row {
	uint64_t start, len;
	uint32_t type;
} __attribute__((packed));

int64_t hv_memory_map_get(struct hv_vcpu *v, uint64_t arg)
{
	const struct hv_domain *d = v->domain;
	const struct hv_memory_row usual = { .len = d->mem.max_pages << HV_PAGE_SHIFT,
		                             .type = RAM };
	const struct hv_memory_row *rows = d->memory_map.is_set ? d->memory_map.rows : &usual;
	uint32_t nr = d->memory_map.is_set ? d->memory_map.nr : 1;
	struct xen_memory_map map;

	if (!nr)
		return -XEN_ENOSYS;
	if (hv_copy_from_guest(v, &map, arg, sizeof(map)))
		return -XEN_EFAULT;
	/* As many rows as there is room for, which may be none. */
	if (map.nr_entries > nr)
		map.nr_entries = nr;
	if (hv_copy_to_guest(v, xen_guest_handle_va(map.buffer), rows,
	                     map.nr_entries * sizeof(*rows)))
		return -XEN_EFAULT;
	return hv_copy_to_guest(v, arg, &map, sizeof(map));
}

int64_t hv_memory_map_set(struct hv_vcpu *v, uint64_t arg)
{
	struct hv_memory_map *of = &v->domain->memory_map;
	struct xen_foreign_memory_map op;
	struct hv_memory_row *rows;
	int rc;

	if (hv_copy_from_guest(v, &op, arg, sizeof(op)))
		return -XEN_EFAULT;
	if (op.map.nr_entries > MAX_ROWS)
		return -XEN_EINVAL;
	rc = hv_domid_check(v->domain, op.domid, true);
	if (rc)
		return rc;
	rows = calloc(op.map.nr_entries + 1, sizeof(*rows));
	if (!rows)
		return -XEN_ENOMEM;
	if (hv_copy_from_guest(v, rows, xen_guest_handle_va(op.map.buffer),
	                       op.map.nr_entries * sizeof(*rows))) {
		free(rows);
		return -XEN_EFAULT;
	}
	free(of->rows);
	*of = (struct hv_memory_map){ .rows = rows, .nr = op.map.nr_entries, .is_set = true };
	return 0;
}

void hv_memory_map_fini(struct hv_domain *d)
{
	free(d->memory_map.rows);
	d->memory_map = (struct hv_memory_map){ 0 };
}
