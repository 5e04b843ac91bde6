/* SPDX-License-Identifier: MIT */
/*
 * A guest with one device, in one process: the world of pv_xs_world.h (the real store, the real
 * front-end), memory whose pages can be mapped twice, a hypervisor that knows event channels and a
 * grant table, and the two folders of the device. The back-end is the includer's (blk_world.h,
 * net_world.h), which names them first:
 *
 *   FRONT, BACK   paths of the two folders
 */
#ifndef TESTS_UNIT_FRONT_WORLD_H
#define TESTS_UNIT_FRONT_WORLD_H

static void *page_take(void);
static void page_give(void *page);
#define WORLD_PAGES page_take, page_give
#include "tests/unit/pv_xs_world.h"

#include <sys/mman.h>
#include <unistd.h>

#include "abi/grant_table.h"
#include "abi/io/xenbus.h"
#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/memory.h"
#include "pvops/mmu.h"
#include "pvops/p2m.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define POOL_PAGES   8192u
#define TABLE_PAGES  64u
#define FIRST_MFN    0x1000u
#define FIRST_PORT   20u

/* What the back-end does when it is told; set by its world. */
static void (*notified)(evtchn_port_t port);

/* ---- memory ---------------------------------------------------------------------------------- */

static struct {
	int fd;
	uint8_t *base; /* the identity map, as it were */
	void *unused[POOL_PAGES];
	unsigned nr_unused;
	unsigned limit; /* pages that may still be taken */
	unsigned windows;
} pool;

static struct grant_entry_v1 *grants; /* the table as the hypervisor sees it */
static unsigned table_pages;

static void *page_take(void)
{
	if (!pool.nr_unused || !pool.limit)
		return NULL;
	pool.limit--;
	return pool.unused[--pool.nr_unused];
}

static void page_give(void *page)
{
	pool.limit++;
	pool.unused[pool.nr_unused++] = page;
}

uint64_t pv_p2m(uint64_t pfn)
{
	uint64_t first = (uintptr_t)pool.base >> PV_PAGE_SHIFT;

	return pfn - first < POOL_PAGES ? FIRST_MFN + pfn - first : PV_NO_FRAME;
}

uint64_t pv_m2p(uint64_t mfn)
{
	return ((uintptr_t)pool.base >> PV_PAGE_SHIFT) + mfn - FIRST_MFN;
}

uint64_t pv_mmu_window(unsigned int pages)
{
	void *at = mmap(NULL, pages * PV_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(at != MAP_FAILED);
	pool.windows++;
	return (uintptr_t)at;
}

int pv_mmu_map_frame(uint64_t va, uint64_t mfn, uint64_t flags)
{
	void *at;

	if (!flags)
		at = mmap((void *)va, PV_PAGE_SIZE, PROT_NONE,
		          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	else
		at = mmap((void *)va, PV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		          pool.fd, (off_t)((mfn - FIRST_MFN) * PV_PAGE_SIZE));
	ck_assert(at == (void *)va);
	return 0;
}

static void pool_begin(void)
{
	unsigned i;

	pool.fd = memfd_create("pool", 0);
	ck_assert(pool.fd >= 0);
	ck_assert_int_eq(ftruncate(pool.fd, POOL_PAGES * PV_PAGE_SIZE), 0);
	pool.base = mmap(NULL, POOL_PAGES * PV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
	                 pool.fd, 0);
	ck_assert(pool.base != MAP_FAILED);
	grants = (void *)pool.base; /* the first TABLE_PAGES */
	table_pages = TABLE_PAGES;
	pool.nr_unused = 0;
	for (i = TABLE_PAGES; i < POOL_PAGES; i++)
		pool.unused[pool.nr_unused++] = pool.base + i * PV_PAGE_SIZE;
	pool.limit = POOL_PAGES;
	pv_memory_hand_over();
}

/* Pages for a test's data: `n` in a row. */
static uint8_t *pages(unsigned n)
{
	static unsigned next;
	uint8_t *at = pool.base + (TABLE_PAGES + next) * PV_PAGE_SIZE;

	next += n;
	ck_assert_uint_le(next, 4096); /* the library takes from the other end */
	return at;
}

/* ---- the store ------------------------------------------------------------------------------- */

static evtchn_port_t next_port;
static unsigned ports_open;

static void host_write(const char *path, const char *value)
{
	ck_assert_int_eq(xsc_write(world.host, path, value), 0);
}

static unsigned front_number(const char *node, unsigned otherwise)
{
	char path[128];
	const char *text;

	snprintf(path, sizeof(path), FRONT "/%s", node);
	text = xsc_read(world.host, path);
	return text[0] == '!' ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static unsigned front_state(void)
{
	return front_number("state", 0);
}

static void back_state(unsigned state)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", state);
	host_write(BACK "/state", text);
}

static void back_offer(const char *node, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), BACK "/%s", node);
	if (value)
		host_write(path, value);
}

static unsigned back_state_now(void)
{
	return (unsigned)strtoul(xsc_read(world.host, BACK "/state"), NULL, 10);
}

/* ---- grants, as the other side uses them ----------------------------------------------------- */

static void *granted_page(grant_ref_t ref, bool write)
{
	ck_assert_uint_lt(ref, TABLE_PAGES * 512);
	ck_assert_uint_ge(ref, GNTTAB_NR_RESERVED_ENTRIES);
	ck_assert_uint_eq(grants[ref].flags & GTF_type_mask, GTF_permit_access);
	ck_assert_uint_eq(grants[ref].domid, 0);
	ck_assert(!write || !(grants[ref].flags & GTF_readonly));
	ck_assert_uint_lt(grants[ref].frame - FIRST_MFN, POOL_PAGES);
	return pool.base + (grants[ref].frame - FIRST_MFN) * PV_PAGE_SIZE;
}

static void hold(grant_ref_t ref)
{
	grants[ref].flags |= GTF_reading | GTF_writing;
}

static void let_go(grant_ref_t ref)
{
	grants[ref].flags &= (uint16_t) ~(GTF_reading | GTF_writing);
}

/* All that is held by anybody. */
static void let_go_of_all(void)
{
	grant_ref_t ref;

	for (ref = GNTTAB_NR_RESERVED_ENTRIES; ref < TABLE_PAGES * 512; ref++)
		if (grants[ref].flags & (GTF_reading | GTF_writing))
			let_go(ref);
}

static unsigned grants_in_force(void)
{
	unsigned n = 0;
	grant_ref_t ref;

	for (ref = GNTTAB_NR_RESERVED_ENTRIES; ref < TABLE_PAGES * 512; ref++)
		n += grants[ref].flags != GTF_invalid;
	return n;
}

/* ---- the hypervisor -------------------------------------------------------------------------- */

static void raise_event(evtchn_port_t port)
{
	pv_bit_set(world.shared.evtchn_pending, port);
	__atomic_fetch_or(&pv_cpus[0]->info->evtchn_pending_sel, 1ull << (port / 64),
	                  __ATOMIC_SEQ_CST);
	pv_store(&pv_cpus[0]->info->evtchn_upcall_pending, 1);
}

static long event_channel_op(const unsigned long args[6])
{
	struct evtchn_alloc_unbound *a = (void *)args[1];
	const struct evtchn_send *send = (const void *)args[1];

	switch (args[0]) {
	case EVTCHNOP_alloc_unbound:
		a->port = next_port++;
		ports_open++;
		return 0;
	case EVTCHNOP_close:
		ports_open--;
		return 0;
	case EVTCHNOP_bind_vcpu:
		return 0;
	case EVTCHNOP_unmask:
		pv_bit_clear(world.shared.evtchn_mask, send->port);
		if (pv_bit_test(world.shared.evtchn_pending, send->port))
			raise_event(send->port);
		return 0;
	case EVTCHNOP_send:
		ck_assert_uint_ge(send->port, FIRST_PORT);
		notified(send->port);
		return 0;
	}
	ck_abort_msg("event channel operation %lu", args[0]);
	return -XEN_ENOSYS;
}

static long front_hypercall(unsigned int nr, const unsigned long args[6])
{
	struct gnttab_setup_table *op = (void *)args[1];
	unsigned i;

	if (nr == __HYPERVISOR_event_channel_op)
		return event_channel_op(args);
	ck_assert_uint_eq(nr, __HYPERVISOR_grant_table_op);
	ck_assert_uint_eq(args[0], GNTTABOP_setup_table);
	op->status = op->nr_frames <= table_pages ? GNTST_okay : GNTST_general_error;
	for (i = 0; op->status == GNTST_okay && i < op->nr_frames; i++)
		op->frame_list.p[i] = FIRST_MFN + i;
	return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct pv_cpu more_cpus[4];
static struct vcpu_info more_info[4];

static void add_cpus(unsigned n)
{
	unsigned i;

	for (i = 1; i < n; i++) {
		more_cpus[i].self = &more_cpus[i];
		more_cpus[i].id = i;
		more_cpus[i].info = &more_info[i];
		pv_cpus[i] = &more_cpus[i];
	}
}

/* After the back-end's own state has been set up: tick is called while the front-end waits. */
static void front_begin(void (*tick)(void), void (*send)(evtchn_port_t port))
{
	pool_begin();
	world_begin();
	pv_cpus[0] = &world.cpu;
	next_port = FIRST_PORT;
	ports_open = 0;
	notified = send;
	world.hypercall = front_hypercall;
	world.look_ns = 100;
	world.tick = tick;
	ck_assert_int_eq(xsc_path(world.host, XS_MKDIR, BACK), 0);
	ck_assert_int_eq(xsc_set_perms(world.host, BACK, "n0,r1"), 0);
	host_write(FRONT "/backend", BACK);
	host_write(FRONT "/backend-id", "0");
	host_write(FRONT "/state", "1");
}

#endif
