/* SPDX-License-Identifier: MIT */
/*
 * An engine that runs nothing: it keeps a model of what an engine caches, so that tests can ask
 * whether the core ever left a translation behind.
 *
 * The model is as lazy as the interface allows: a translation that entry_changed() named stays until
 * a sync() or retire() covers it. Every vCPU has a cache of its own for each root.
 */
#ifndef TESTS_FAKE_FAKE_ENGINE_H
#define TESTS_FAKE_FAKE_ENGINE_H

#include "hypervisor-stub/core/hv.h"

extern const struct hv_engine fake_engine;

struct fake_page {
	mfn_t root;
	uint64_t va;
	mfn_t mfn;
	uint64_t stale_seq; /* 0: as the tables say; else since this change it may be wrong */
	unsigned vcpu;
	bool writable, executable;
	bool in_use;
	int next; /* hash chain or free list */
};

#define FAKE_HEADS 1024

/* What the calls of one domain were, and its cache. */
struct fake_engine {
	struct fake_page *page;
	int nr_pages, free_page;
	int head[FAKE_HEADS];
	uint64_t seq;
	unsigned fills, changes, syncs, retires, roots_gone;
	struct hv_run_map last_run;
	struct hv_entry_change last_change;
	uint32_t last_sync;
	uint64_t last_retire;
	mfn_t last_root_gone;
	int foreign;   /* begins of foreign frames without an end */
	bool own_only; /* refuse foreign frames */
	int fill_rc;   /* what fill() answers; it caches nothing unless 0 */
};

struct fake_engine *fake_of(const struct hv_domain *d);
/* What a vCPU has cached, or NULL. */
const struct fake_page *fake_cached(const struct hv_domain *d, unsigned vcpu, mfn_t root,
                                    uint64_t va);
/*
 * The invariants, checked over the whole cache. Every page: its frame is in use, another domain's is
 * held by a grant, and when it is writable the frame is no table and no descriptor table. Pages
 * that are not stale: the tables say
 * the same now. Returns the number of violations, each of which is logged. Lock: d.
 */
unsigned fake_cache_check(struct hv_domain *d);

#endif
