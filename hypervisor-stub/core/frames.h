/* SPDX-License-Identifier: MIT */
/*
 * Machine frames: one numbering for all domains of a machine, one memfd per domain.
 *
 * Every frame has an owner, a type and two counts (Xen's page types): a frame is of one type at a
 * time and changes type only when its type count is 0 and no cache may still hold a mapping of the
 * old kind. A frame stays in the memfd, and so with the domain, that it was made in.
 */
#ifndef HYPERVISOR_STUB_CORE_FRAMES_H
#define HYPERVISOR_STUB_CORE_FRAMES_H

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"

enum hv_frame_type {
	HV_TYPE_NONE,
	HV_TYPE_L1,
	HV_TYPE_L2,
	HV_TYPE_L3,
	HV_TYPE_L4,
	HV_TYPE_DESC, /* descriptor table (GDT, LDT) */
	HV_TYPE_WRITABLE,
};

enum hv_frame_state {
	HV_FRAME_UNUSED, /* number not handed out, or frame given back (hole in the memfd) */
	HV_FRAME_GUEST,  /* the domain's own memory: counted in tot_pages */
	HV_FRAME_SHARED, /* the hypervisor's page that the domain may map: shared_info, grant table
	                  */
};

struct hv_frame {
	domid_t owner;
	uint8_t state;  /* enum hv_frame_state */
	uint8_t type;   /* enum hv_frame_type */
	bool validated; /* a table whose entries have been checked and counted */
	bool pinned;
	uint32_t type_count;
	uint32_t ref_count;
	uint64_t removal_seq; /* engine sequence of the last removal of a mapping of this frame */
	/* Where a table hangs: enough to know what virtual addresses its entries translate. mmu.c
	 */
	mfn_t parent;
	uint16_t parent_index;
	uint8_t parent_kind; /* enum in mmu.h: none, one, many at one index, many */
};

struct hv_frame_pool {
	uint64_t first;         /* lowest machine frame number that is ever used */
	uint64_t max;           /* how many numbers */
	uint64_t next;          /* next number not handed to any domain */
	struct hv_frame *table; /* [max], by mfn - first */
	int m2p_fd;             /* the machine-to-physical table: 8 bytes per mfn from mfn 0 */
	uint64_t *m2p;
	uint64_t m2p_entries;
};

struct hv_domain_mem {
	int memfd;
	uint8_t *base;       /* the whole memfd, mapped in this process */
	mfn_t first;         /* machine number of the memfd's frame 0; a multiple of 512 */
	uint64_t nr_frames;  /* frames in the memfd: max_pages and the hypervisor's shared ones */
	uint64_t max_pages;  /* most guest pages */
	uint64_t tot_pages;  /* guest pages now */
	uint64_t *free_list; /* stack of frame offsets that are not in use */
	uint64_t nr_free;
};

int hv_frames_machine_init(struct hv_frame_pool *pool, uint64_t max_frames);
void hv_frames_machine_fini(struct hv_frame_pool *pool);
int hv_frames_domain_init(struct hv_domain *d, uint64_t nr_pages, uint64_t max_pages);
void hv_frames_domain_fini(struct hv_domain *d);

/* The descriptor of a frame, or NULL when the number is none of this machine's. Any context. */
struct hv_frame *hv_frame_get(struct hv_machine *m, mfn_t mfn);
/* Our view of a frame that belongs to d (state GUEST or SHARED), else NULL. Lock: d. */
void *hv_frame_ptr(struct hv_domain *d, mfn_t mfn);
/* Offset of the frame in its domain's memfd, bytes. */
uint64_t hv_frame_offset(const struct hv_domain *d, mfn_t mfn);

/* A frame for the domain: GUEST (zeroed, counted, limit max_pages) or SHARED. 0 or -XEN_ENOMEM.
 * Lock: d. */
int hv_frame_alloc(struct hv_domain *d, enum hv_frame_state state, mfn_t *out);
/* Gives a GUEST frame back; the caller has made sure that nothing refers to it. Lock: d. */
void hv_frame_free(struct hv_domain *d, mfn_t mfn);

void hv_m2p_set(struct hv_machine *m, mfn_t mfn, uint64_t pfn); /* pfn ~0: none */

#endif
