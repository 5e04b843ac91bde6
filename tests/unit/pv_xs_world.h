/* SPDX-License-Identifier: MIT */
/*
 * A guest and a store in one process, for the tests of the xenstore client: the library's hypercalls
 * end here, an event to the server runs the real server, and an event to the guest runs the
 * library's handler as an upcall would, one at a time, never inside of itself.
 *
 * Included by one test file per program: it defines what a kernel would.
 */
#ifndef TESTS_UNIT_PV_XS_WORLD_H
#define TESTS_UNIT_PV_XS_WORLD_H

#ifndef PV_HOSTED_TEST
#define PV_HOSTED_TEST 1 /* as the library was compiled */
#endif

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/errno.h"
#include "abi/event_channel.h"
#include "abi/xen.h"
#include "hypervisor-stub/core/xenstore/xenstore.h"
#include "pvops/cpu.h"
#include "pvops/hypercall.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/xs.h"
#include "tests/fake/xs_client.h"

#define PORT  9u
#define DOMID 1

static struct {
	struct xs_store *store;
	struct xsc *host;
	union {
		struct xenstore_domain_interface ring;
		char bytes[4096];
	} page;
	struct xs_conn *conn;
	void (*server)(void);  /* instead of the real one; or NULL */
	void (*at_wait)(void); /* called when somebody begins to wait; or NULL */
	void (*tick)(void);    /* and again and again while they do; or NULL */
	/* What is not an event to the server; or NULL. */
	long (*hypercall)(unsigned int nr, const unsigned long args[6]);
	bool real_clock;
	uint64_t now_ns, look_ns; /* look_ns: that a look at the clock takes */
	bool pending;
	pthread_mutex_t upcall;
	struct pv_cpu cpu;
	struct vcpu_info info;
	struct shared_info shared;
	unsigned sends;
} world;

_Thread_local struct pv_cpu *pv_test_cpu;

void kernel_main(const struct pv_boot *boot)
{
	(void)boot;
}

/* ---- the vCPU -------------------------------------------------------------------------------- */

static bool take_pending(void)
{
	bool was = __atomic_exchange_n(&world.pending, false, __ATOMIC_SEQ_CST);

	/* pv_evtchn_raise() marks the shared page */
	return (__atomic_fetch_and(&world.shared.evtchn_pending[0], ~(1ul << PORT),
	                           __ATOMIC_SEQ_CST) &
	        1ul << PORT) ||
	       was;
}

static bool is_pending(void)
{
	return __atomic_load_n(&world.pending, __ATOMIC_SEQ_CST) ||
	       (__atomic_load_n(&world.shared.evtchn_pending[0], __ATOMIC_SEQ_CST) & 1ul << PORT);
}

static void upcall(void)
{
	while (is_pending()) {
		if (pthread_mutex_trylock(&world.upcall))
			return; /* who is in there looks again afterwards */
		while (take_pending())
			pv_xs_event(PORT, NULL);
		pthread_mutex_unlock(&world.upcall);
	}
}

/* The server's event. */
static void to_guest(void *unused)
{
	(void)unused;
	__atomic_store_n(&world.pending, true, __ATOMIC_SEQ_CST);
	upcall();
}

long pv_test_hypercall(unsigned int nr, const unsigned long args[6])
{
	const struct evtchn_send *send = (const void *)args[1];

	if (world.hypercall &&
	    (nr != __HYPERVISOR_event_channel_op || args[0] != EVTCHNOP_send || send->port != PORT))
		return world.hypercall(nr, args);
	ck_assert_uint_eq(nr, __HYPERVISOR_event_channel_op);
	ck_assert_uint_eq(args[0], EVTCHNOP_send);
	ck_assert_uint_eq(send->port, PORT);
	__atomic_fetch_add(&world.sends, 1, __ATOMIC_RELAXED);
	if (world.server)
		world.server();
	else
		xs_guest_event(world.conn);
	return 0;
}

static uint64_t irq_save(void)
{
	return 0;
}

static void irq_restore(uint64_t state)
{
	(void)state;
}

static void lock_wait(struct pv_spinlock *lock)
{
	(void)lock;
	sched_yield();
}

static void lock_kick(struct pv_spinlock *lock)
{
	(void)lock;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	if (!world.real_clock)
		return world.now_ns += world.look_ns;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Time passes by waiting, a millisecond at a time (and by looks at the clock, of look_ns), unless the test wants real time. */
static bool hook_wait(struct pv_waitq *q, bool (*ready)(void *arg), void *arg, uint64_t deadline_ns)
{
	(void)q;
	if (world.at_wait)
		world.at_wait();
	for (;;) {
		upcall();
		if (world.tick)
			world.tick();
		if (ready(arg))
			return true;
		if (deadline_ns && now_ns() >= deadline_ns)
			return false;
		if (!world.real_clock)
			world.now_ns += 1000000;
		sched_yield();
	}
}

static void hook_wake(struct pv_waitq *q)
{
	(void)q;
}

static void hook_log(const char *text, size_t len)
{
	(void)text;
	(void)len;
}

#ifndef WORLD_PAGES /* a test that needs pages says where they come from */
#define WORLD_PAGES NULL, NULL
#endif

const struct pv_hooks pv_hooks = { WORLD_PAGES, .wait = hook_wait, .wake = hook_wake,
	                           .log = hook_log };

static int event_channel(int cmd, void *arg)
{
	return (int)pv_hc_event_channel_op(cmd, arg);
}

static void event_raised(void)
{
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void world_begin(void)
{
	memset(&world, 0, sizeof(world));
	pthread_mutex_init(&world.upcall, NULL);
	world.cpu.self = &world.cpu;
	world.cpu.info = &world.info;
	pv_test_cpu = &world.cpu;
	pv_shared_info = &world.shared;
	pv_ops.event.channel = event_channel;
	pv_ops.event.raised = event_raised;
	pv_ops.irq.save = irq_save;
	pv_ops.irq.restore = irq_restore;
	pv_ops.time.now_ns = now_ns;
	pv_ops.lock.wait = lock_wait;
	pv_ops.lock.kick = lock_kick;
	ck_assert_int_eq(xs_store_create(&world.store, NULL), 0);
	world.host = xsc_open(world.store, 0, true);
	ck_assert_int_eq(xsc_path(world.host, XS_MKDIR, "/local/domain/1"), 0);
	ck_assert_int_eq(xsc_set_perms(world.host, "/local/domain/1", "n1"), 0);
	ck_assert_int_eq(xs_introduce(world.store, DOMID, &world.page, to_guest, NULL, &world.conn),
	                 0);
	ck_assert_int_eq(pv_xs_attach(&world.page.ring, PORT), 0);
}

static void world_end(void)
{
	ck_assert_int_eq(xs_store_check(world.store), 0);
	xs_release(world.store, DOMID);
	xsc_close(world.host);
	xs_store_destroy(world.store);
}

#endif
