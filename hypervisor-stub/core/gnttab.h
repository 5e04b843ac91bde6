/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1: a domain's leave for another to use one of its frames.
 */
#ifndef HYPERVISOR_STUB_CORE_GNTTAB_H
#define HYPERVISOR_STUB_CORE_GNTTAB_H

#include "abi/grant_table.h"
#include "hypervisor-stub/core/types.h"

#define HV_GNTTAB_MAX_FRAMES 64

struct hv_gnttab_map; /* one live mapping of a foreign grant; gnttab.c */

struct hv_domain_gnttab {
	unsigned nr_frames;
	mfn_t frame[HV_GNTTAB_MAX_FRAMES];
	struct grant_entry_v1 *shared[HV_GNTTAB_MAX_FRAMES]; /* our view */
	struct hv_gnttab_map *maps;
	unsigned nr_maps;
};

int hv_gnttab_domain_init(struct hv_domain *d);
void hv_gnttab_domain_fini(struct hv_domain *d);
int64_t hv_do_grant_table_op(struct hv_vcpu *v, const uint64_t *a);

#endif
