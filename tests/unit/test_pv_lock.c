/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the guest library's spin locks: exclusion, and that no sleeper is forgotten. Threads
 * play vCPUs; the hypervisor's sleep and wake are a condition variable.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "tests/fake/fake_hypercalls.h"

#include "abi/errno.h"
#include "abi/event_channel.h"
#include "abi/sched.h"
#include "pvops/barrier.h"
#include "pvops/lock.h"

#define CPUS   4
#define ROUNDS 3000

Suite *pv_lock_suite(void);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct pv_spinlock lock;
static volatile unsigned int counter;
static unsigned int sleeps;

/* The port of vCPU n is 100 + n. */
static long event_channel_op(const unsigned long args[6])
{
	const struct evtchn_send *op = (const void *)args[1];

	if (args[0] != EVTCHNOP_send)
		return -XEN_ENOSYS;
	pthread_mutex_lock(&mutex);
	pv_bit_set(fake_shared_info.evtchn_pending, op->port);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	return 0;
}

static long sched_op(const unsigned long args[6])
{
	const struct sched_poll *op = (const void *)args[1];

	if (args[0] == SCHEDOP_yield) {
		sched_yield();
		return 0;
	}
	if (args[0] != SCHEDOP_poll)
		return -XEN_ENOSYS;
	pthread_mutex_lock(&mutex);
	sleeps++;
	while (!pv_bit_test(fake_shared_info.evtchn_pending, op->ports.p[0]))
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	return 0;
}

static void setup(void)
{
	fake_hypercalls_reset();
	fake_hypercall_set(__HYPERVISOR_event_channel_op, event_channel_op);
	fake_hypercall_set(__HYPERVISOR_sched_op, sched_op);
	pv_ops.lock = pv_ops_xen.lock;
	lock = (struct pv_spinlock)PV_SPINLOCK_INIT;
	counter = sleeps = 0;
}

START_TEST(free_lock_is_taken_once)
{
	ck_assert(pv_spin_trylock(&lock));
	ck_assert(!pv_spin_trylock(&lock));
	pv_spin_unlock(&lock);
	pv_spin_lock(&lock);
	ck_assert(!pv_spin_trylock(&lock));
	pv_spin_unlock(&lock);
	/* Nobody waited: no hypercall was made. */
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_sched_op), 0);
	ck_assert_uint_eq(fake_hypercall_count(__HYPERVISOR_event_channel_op), 0);
}
END_TEST

START_TEST(events_are_masked_while_it_is_held)
{
	uint64_t outer, inner;

	outer = pv_spin_lock_irq(&lock);
	ck_assert(!pv_irq_enabled());
	inner = pv_irq_save();
	pv_irq_restore(inner);
	ck_assert(!pv_irq_enabled());
	pv_spin_unlock_irq(&lock, outer);
	ck_assert(pv_irq_enabled());
}
END_TEST

/* Holds the lock long enough for the others to give up spinning. */
static void *worker(void *arg)
{
	unsigned int id = (unsigned int)(uintptr_t)arg, i, seen;

	fake_vcpu_enter(id);
	pv_cpu()->kick_port = 100 + id;
	for (i = 0; i < ROUNDS; i++) {
		pv_spin_lock(&lock);
		seen = counter;
		if (i % 64 == 0)
			sched_yield(); /* as if the holder lost its core */
		counter = seen + 1;
		pv_spin_unlock(&lock);
	}
	return NULL;
}

START_TEST(every_increment_counts_and_nobody_sleeps_for_ever)
{
	pthread_t thread[CPUS];
	unsigned int i;

	for (i = 0; i < CPUS; i++)
		fake_vcpu_enter(i);
	for (i = 0; i < CPUS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)i), 0);
	for (i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(counter, CPUS * ROUNDS);
	ck_assert_uint_eq(lock.state, 0);
}
END_TEST

static void *one_round(void *arg)
{
	(void)arg;
	fake_vcpu_enter(1);
	pv_cpu()->kick_port = 101;
	pv_spin_lock(&lock);
	counter++;
	pv_spin_unlock(&lock);
	return NULL;
}

/* The holder gives up only after the other one sleeps: the kick is what wakes it. */
START_TEST(sleeper_is_woken)
{
	unsigned int asleep = 0;
	pthread_t thread;

	fake_vcpu_enter(1);
	fake_vcpu_enter(0);
	pv_spin_lock(&lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, one_round, NULL), 0);
	while (!asleep) {
		pthread_mutex_lock(&mutex);
		asleep = sleeps;
		pthread_mutex_unlock(&mutex);
	}
	ck_assert_uint_eq(counter, 0);
	pv_spin_unlock(&lock);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(counter, 1);
}
END_TEST

Suite *pv_lock_suite(void)
{
	Suite *s = suite_create("pv_lock");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, free_lock_is_taken_once);
	tcase_add_test(tc, events_are_masked_while_it_is_held);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, sleeper_is_woken);
	tcase_add_test(tc, every_increment_counts_and_nobody_sleeps_for_ever);
	suite_add_tcase(s, tc);
	return s;
}
