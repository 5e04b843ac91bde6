/* SPDX-License-Identifier: MIT */
/*
 * Machine frames: one numbering for all domains of a machine, one memfd per domain.
 *
 * Every frame has an owner, a type and two counts (Xen's page types): a frame is of one type at a
 * time and changes type only when its type count is 0 and no cache may still hold a mapping of the
 * old kind. A frame stays in the memfd, and so with the domain, that it was made in.
 *
 * Whether a frame is in use is said by one bit in hv_domain_mem.used. Its descriptor is filled in
 * when it is first asked for, so that memory nobody maps costs nothing.
 */
#ifndef HYPERVISOR_STUB_CORE_FRAMES_H
#define HYPERVISOR_STUB_CORE_FRAMES_H

#include <pthread.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"

enum hv_frame_type {
	HV_TYPE_NONE,
	HV_TYPE_L1, /* the four tables have the number of their level */
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
	uint64_t removal_seq; /* engine sequence of the last removal of a mapping of this frame */
	uint32_t type_count;
	uint32_t ref_count; /* every type count has a reference of its own; 1 more while allocated
	                     */
	/* Where a table hangs: enough to know what virtual addresses its entries translate. mmu.c
	 */
	uint32_t parent[2];    /* mfn */
	uint32_t nr_hooks;     /* entries of higher tables that point here */
	uint16_t parent_index; /* the entry in the parent */
	int16_t linear;        /* > 0: linear entries in this table; < 0: such entries to it */
	domid_t owner;
	uint8_t state;       /* enum hv_frame_state */
	uint8_t type;        /* enum hv_frame_type */
	uint8_t parent_kind; /* enum hv_parent_kind, mmu_priv.h */
	bool validated;      /* a table whose entries have been checked and counted */
	bool pinned;
	bool allocated; /* not yet given back by the domain (Xen's PGC_allocated) */
};

struct hv_frame_pool {
	uint64_t first;            /* lowest machine frame number that is ever used */
	uint64_t max;              /* how many numbers */
	struct hv_frame *table;    /* [max], by mfn - first */
	struct hv_domain **chunks; /* [max / 512]: who has these 512 numbers, or NULL */
	pthread_mutex_t lock;      /* chunks; a leaf */
	int m2p_fd;                /* the machine-to-physical table: 8 bytes per mfn from mfn 0 */
	uint64_t *m2p;
	uint64_t m2p_entries;
};

struct hv_domain_mem {
	int memfd;
	uint8_t *base;        /* the whole memfd, mapped in this process */
	mfn_t first;          /* machine number of the memfd's frame 0; a multiple of 512 */
	uint64_t nr_frames;   /* frames in the memfd: max_pages and the hypervisor's shared ones */
	uint64_t max_pages;   /* most guest pages */
	uint64_t tot_pages;   /* guest pages now */
	uint64_t *used;       /* bitmap by offset: 1 in use */
	uint64_t hint;        /* no free frame below this offset */
	uint64_t last_seq;    /* the engine's newest sequence number */
	uint64_t retired_seq; /* engine->retire() has been called for this */
	uint64_t nr_linear;   /* linear page-table entries in the domain's tables */
};

/* Frames that each domain has for the hypervisor's own shared pages, beyond max_pages. */
#define HV_SHARED_FRAMES 80

/* Room for max_frames frames of all domains together. 0 or negative errno. */
int hv_frames_machine_init(struct hv_frame_pool *pool, uint64_t max_frames);
void hv_frames_machine_fini(struct hv_frame_pool *pool);
/*
 * Memory for d: its first nr_pages frames are GUEST frames at once (zero, one reference, no type;
 * machine numbers mem.first and up); max_pages is how many it may ever have. 0 or negative errno.
 */
int hv_frames_domain_init(struct hv_domain *d, uint64_t nr_pages, uint64_t max_pages);
/* Gives all back, whatever the counts say; nobody may run or map any of it. */
void hv_frames_domain_fini(struct hv_domain *d);

/*
 * The descriptor of a frame, or NULL when the number is none of this machine's. The owner's lock
 * is held, or a grant keeps the frame; a number that no domain uses has state HV_FRAME_UNUSED.
 */
struct hv_frame *hv_frame_get(struct hv_machine *m, mfn_t mfn);
/* The descriptor of a frame that d owns and that is in use, else NULL. Lock: d. */
struct hv_frame *hv_frame_own(struct hv_domain *d, mfn_t mfn);
/* Our view of a frame that belongs to d (state GUEST or SHARED), else NULL. Lock: d. */
void *hv_frame_ptr(struct hv_domain *d, mfn_t mfn);
/* Offset of the frame in its domain's memfd, bytes. */
uint64_t hv_frame_offset(const struct hv_domain *d, mfn_t mfn);
/* Whether a number lies in d's memfd. Any context. */
bool hv_frame_in(const struct hv_domain *d, mfn_t mfn);
/* Whose memfd a number lies in (an address only; may be gone at any time), or NULL. Any context. */
struct hv_domain *hv_frame_domain(struct hv_machine *m, mfn_t mfn);

/* A frame for the domain: GUEST (zeroed, counted, limit max_pages) or SHARED. 0 or -XEN_ENOMEM.
 * Lock: d. */
int hv_frame_alloc(struct hv_domain *d, enum hv_frame_state state, mfn_t *out);
/* 2^order GUEST frames in a row, the first number a multiple of 2^order. As above. */
int hv_frame_alloc_extent(struct hv_domain *d, unsigned order, mfn_t *out);
/* Gives a GUEST frame back; the caller has made sure that nothing refers to it. Lock: d. */
void hv_frame_free(struct hv_domain *d, mfn_t mfn);
/*
 * The free bitmap alone, for exchange: the frame's number can be handed out again, or is taken
 * again; counts, contents and tot_pages stay as they are. Lock: d.
 */
void hv_frame_set_used(struct hv_domain *d, mfn_t mfn, bool used);
/* Drops the contents: the frame reads as zero. Lock: d. */
void hv_frame_punch(struct hv_domain *d, mfn_t mfn, uint64_t nr);

void hv_m2p_set(struct hv_machine *m, mfn_t mfn, uint64_t pfn); /* pfn ~0: none */

#endif
