/* SPDX-License-Identifier: MIT */
/*
 * The process engine on a core that others want more: an honest guest that gets none of it is slow and
 * nothing else; one that ignores us is found out all the same.
 */
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/fake/engine_user.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HOGS         3

static struct pe_vcpu *pv;
static atomic_bool hogs_end;
static pthread_t hogs[HOGS];

static void *hog(void *arg)
{
	(void)arg;
	while (!atomic_load(&hogs_end))
		__builtin_ia32_pause();
	return NULL;
}

static int core_of_guest(void)
{
	return pv->current->core >= 0 ? pv->current->core : 0;
}

/* `all`: nobody else gets any of it, if we may ask for that. */
static void hog_core(int core, bool all)
{
	struct sched_param first = { .sched_priority = 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	for (unsigned i = 0; i < HOGS; i++) {
		ck_assert_int_eq(pthread_create(&hogs[i], NULL, hog, NULL), 0);
		pthread_setaffinity_np(hogs[i], sizeof(set), &set);
		if (all)
			pthread_setschedparam(hogs[i], SCHED_FIFO, &first);
	}
}

/* From now on the guest's process has what the hogs leave of its core. */
static void crowd_in(void)
{
	setpriority(PRIO_PROCESS, (id_t)pv->current->pid, 19);
	setpriority(PRIO_PROCESS, (id_t)pv->current->mapper_tid, 19);
	hog_core(core_of_guest(), false);
}

static void crowd_leaves(void)
{
	atomic_store(&hogs_end, true);
	for (unsigned i = 0; i < HOGS; i++)
		pthread_join(hogs[i], NULL);
}

static void setup(void)
{
	cpu_set_t set;

	setup_kernel();
	v->root_user = v->root_kernel;
	pv = v->engine_priv;
	enter_user(PUT(user_calls));
	v->regs.rbx = 2;
	run_to_ud2();
	/* The group stays where it is: it may go where the keeper may. */
	CPU_ZERO(&set);
	CPU_SET(core_of_guest(), &set);
	sched_setaffinity(pv->pd->keeper_tid, sizeof(set), &set);
}

static void stop_in(uint64_t us)
{
	atomic_store(&w->stop_at_tick, true);
	atomic_store(&w->deadline, pe_now() + us * 1000);
}

/* ---- honest guests ------------------------------------------------------------------------------ */

START_TEST(a_guest_without_a_core_is_not_deaf)
{
	enter_user(PUT(user_calls));
	v->regs.rbx = 1000000000;
	crowd_in();
	for (unsigned i = 0; i < 30; i++) {
		stop_in(2000);
		run();
		ck_assert_msg(e.kind == HV_EXIT_KICKED, "kind %d: %s", e.kind, e.why ? e.why : "");
	}
	crowd_leaves();
	ck_assert_uint_gt(seen->entries, 2);
}
END_TEST

/* For a while neither of its threads runs; then its mapper still gets no core, but its vCPU thread does. */
static void *let_go_on(void *arg)
{
	usleep(300000);
	kill(*(pid_t *)arg, SIGCONT);
	usleep(700000);
	crowd_leaves();
	return NULL;
}

START_TEST(a_guest_whose_mapper_has_no_core_is_not_deaf)
{
	struct hv_entry_change c = { .root = v->root_kernel, .va = KERNEL_DATA, .len = 4096 };
	int core = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? !core_of_guest() : core_of_guest();
	struct sched_param none = { 0 };
	pid_t pid = pv->current->pid;
	cpu_set_t set;
	pthread_t t;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(pv->current->mapper_tid, sizeof(set), &set);
	sched_setscheduler(pv->current->mapper_tid, SCHED_IDLE, &none);
	enter_user(PUT(user_calls));
	v->regs.rbx = 1000000000;
	kill(pid, SIGSTOP);
	usleep(50000); /* it needs a core to stop, too */
	hog_core(core, core != core_of_guest());
	/* Our own flush is carried out before the guest goes on, by its mapper. */
	hv_engine_process.entry_changed(&w->domain, &c);
	hv_engine_process.sync(&w->domain, 1);
	pthread_create(&t, NULL, let_go_on, &pid);
	stop_in(5000);
	run();
	ck_assert_msg(e.kind == HV_EXIT_KICKED, "kind %d: %s", e.kind, e.why ? e.why : "");
	pthread_join(t, NULL);
}
END_TEST

/* ---- one that only seems to be -------------------------------------------------------------------- */

/* Goes into the trampoline where that has given way, as if it waited for us. */
WORLD_BLOB(guest_waits, "mov %r12, %rax\n jmp *%r13\n");

START_TEST(a_guest_that_waits_for_nothing_is_deaf)
{
	size_t size = (uintptr_t)pe_tramp_end - (uintptr_t)pe_trampoline;
	uint64_t at = PUT(guest_waits);
	unsigned deaf = 0;

	if (_i)
		crowd_in();
	for (size_t i = 0; i + 1 < size && !deaf; i++) {
		if (memcmp(pe_trampoline + i, "\x0f\x05", 2))
			continue;
		world_enter_at(w, 0, at);
		v->regs.r12 = 24; /* sched_yield */
		v->regs.r13 = pe_tramp_address(pe_trampoline + i);
		v->regs.rbx = pv->current ? pv->current->go + 1 : 0;
		stop_in(5000);
		run();
		deaf += e.kind == HV_EXIT_DEAD && strstr(e.why, "ignores") != NULL;
	}
	ck_assert_uint_eq(deaf, 1);
	if (_i)
		crowd_leaves();
}
END_TEST

Suite *engine_crowd_suite(void);

Suite *engine_crowd_suite(void)
{
	Suite *s = suite_create("engine_crowd");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_guest_without_a_core_is_not_deaf);
	tcase_add_test(tc, a_guest_whose_mapper_has_no_core_is_not_deaf);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_guest_that_waits_for_nothing_is_deaf, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
