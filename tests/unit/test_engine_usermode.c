/* SPDX-License-Identifier: MIT */
/*
 * User and kernel mode under different roots, on the process engine: system calls and irets that go
 * from one process to the other without us, what they carry, and what user code can make of it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "tests/fake/engine_user.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A user program's address space, as its kernel makes one; the last one may still run on. */
static void new_user(void)
{
	mfn_t user = world_alloc(w, 1);

	v->root_user = user;
	world_map(w, user, WORLD_CODE, 16, w->run[0].mfn, "x");
	world_map(w, user, WORLD_STACK, 16, HV_MFN_NONE, "w");
	world_map(w, user, WORLD_DATA, 16, HV_MFN_NONE, "w");
}

static void setup(void)
{
	setup_kernel();
	new_user();
}

/* ---- the ordinary way -------------------------------------------------------------------------- */

START_TEST(system_calls_go_to_the_kernel_and_back_without_us)
{
	uint64_t at = PUT(user_calls);

	enter_user(at);
	v->regs.rbx = 1000;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 1000);
	ck_assert_uint_le(slow_calls, 1);
	ck_assert_uint_le(slow_irets, 1);
	ck_assert_uint_eq(v->regs.rbx, 0);
	ck_assert_uint_eq(v->regs.fs_base, 0x123000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x5000);
	/* The frame of the last one. */
	ck_assert_uint_eq(seen->rip, at + 16);
	ck_assert_uint_eq(seen->rsp, USER_STACK);
	ck_assert_uint_eq(seen->cs, FLAT_USER_CS);
	ck_assert_uint_eq(seen->ss, FLAT_USER_SS);
	ck_assert_uint_eq(seen->rflags & (X86_FLAG_CF | X86_FLAG_IF), X86_FLAG_CF | X86_FLAG_IF);
	ck_assert_uint_eq(seen->fs, 0x123000);
	ck_assert_uint_eq(seen->gs, 0x5000);
	ck_assert_uint_eq(seen->rax, 1);
	ck_assert_uint_eq(seen->r15, 0x1515);
}
END_TEST

START_TEST(nothing_goes_that_way_while_every_call_is_traced)
{
	struct hv_tracer tracer = { .every_call = true };

	w->machine.tracer = &tracer;
	enter_user(PUT(user_calls));
	v->regs.rbx = 20;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
	ck_assert_uint_eq(slow_calls, 20);
	ck_assert_uint_eq(slow_irets, 20);
}
END_TEST

START_TEST(the_entry_masks_events_when_it_is_to)
{
	v->traps.syscall.masks_events = true;
	enter_user(PUT(user_calls));
	v->regs.rbx = 10;
	v->regs.rdi = 0x1234;
	run_to_ud2();
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0); /* iret unmasked them again */
	enter_user(WORLD_CODE + 0xe000);
	v->regs.rip = world_code(w, v->root_kernel, user_calls, user_calls_end);
	v->regs.rbx = 10;
	v->regs.rdi = 99; /* stops in the kernel */
	run();
	ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.rax, 29);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
	ck_assert_uint_eq(seen->cs, FLAT_USER_CS);
}
END_TEST

START_TEST(the_kernels_stack_can_be_changed_in_place)
{
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	v->traps.kernel_sp = KERNEL_STACK - 0x2000;
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	v->regs.rdi = 99;
	run();
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.rsp, KERNEL_STACK - 0x2000 - 56 - 8);
}
END_TEST

WORLD_BLOB(user_fp,
           "movups 0x400000, %xmm0\n 1: movzbl %bl, %eax\n syscall\n movups %xmm0, 0x400010\n"
           "mov 0x400000, %rax\n cmp 0x400010, %rax\n jne 9f\n dec %rbx\n jnz 1b\n ud2\n"
           "9: hlt\n");

START_TEST(the_floating_point_state_is_carried)
{
	uint64_t *user = (void *)world_at(w, v->root_user, WORLD_DATA);
	uint64_t at = PUT(user_fp);

	user[0] = 0x1122334455667788;
	user[1] = 0x99aabbccddeeff00;
	enter_user(at);
	v->regs.rbx = 50;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 50);
	ck_assert_uint_eq(seen->xmm[0], 0x1122334455667788);
	/* and what the kernel puts there reaches the user */
	((uint64_t *)seen)[12] = 1;
	enter_user(at);
	v->regs.rbx = 50;
	run();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(user[2], 0x77);
}
END_TEST

START_TEST(an_event_that_is_due_keeps_the_kernel_from_returning)
{
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	slow_irets = 0;
	v->info->evtchn_upcall_pending = 1;
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2(); /* our core does not deliver it, so each iret comes to us */
	ck_assert_uint_eq(slow_irets, 5);
}
END_TEST

START_TEST(a_kernel_stack_that_is_not_there_is_our_affair)
{
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	slow_calls = 0;
	v->traps.kernel_sp = 0x70000000;
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_SYSCALL);
	ck_assert(!v->in_kernel);
	ck_assert_uint_eq(v->regs.rax, 5);
	ck_assert_uint_eq(v->regs.rcx, v->regs.rip);
	ck_assert_uint_eq(v->regs.r15, 0x1515);
	ck_assert_uint_eq(v->regs.rsp, USER_STACK);
	ck_assert_uint_eq(v->regs.fs_base, 0x123000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	v->traps.kernel_sp = KERNEL_STACK;
	do_syscall();
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 10);
}
END_TEST

/* Some kernels have more users than places for their pages. */
START_TEST(user_processes_take_turns)
{
	static const unsigned many[] = { 3, PE_PEERS, PE_PEERS + 1 };
	unsigned nr = many[_i];
	mfn_t user[PE_PEERS + 1];
	uint64_t at = PUT(user_calls);

	for (unsigned i = 0; i < nr; i++) {
		user[i] = v->root_user;
		new_user();
	}
	for (unsigned i = 0; i < 60; i++) {
		v->root_user = user[i * 2 % nr];
		enter_user(at);
		v->regs.rbx = 3;
		run_to_ud2();
	}
	ck_assert_uint_eq(seen->entries, 180);
	ck_assert_uint_le(slow_calls, nr);
}
END_TEST

/* ---- stopping ---------------------------------------------------------------------------------- */

static atomic_bool kicks_end;

static void *kicker(void *arg)
{
	unsigned last = ~0u;

	(void)arg;
	while (!atomic_load(&kicks_end)) {
		unsigned ticks = atomic_load(&w->nr_ticks);

		if (ticks == last) {
			sched_yield();
			continue;
		}
		last = ticks;
		usleep(30); /* so that the guest gets somewhere between two kicks */
		hv_engine_process.vcpu_kick(v);
	}
	return NULL;
}

START_TEST(kicks_find_whichever_of_the_two_runs)
{
	uint64_t at = PUT(user_calls), calls = 0;
	pthread_t t;

	atomic_store(&w->stop_at_tick, true);
	enter_user(at);
	v->regs.rbx = 1000000000;
	pthread_create(&t, NULL, kicker, NULL);
	while (atomic_load(&w->nr_ticks) < 2000 || seen->entries < 100) {
		run();
		ck_assert_msg(e.kind == HV_EXIT_KICKED, "kind %d vector %u", e.kind, e.vector);
		ck_assert_uint_eq(v->regs.r15, 0x1515);
		calls += v->in_kernel;
	}
	atomic_store(&kicks_end, true);
	pthread_join(t, NULL);
	ck_assert_uint_gt(seen->entries, 100);
}
END_TEST

/* ---- mappings ---------------------------------------------------------------------------------- */

WORLD_BLOB(user_reads, "1: xor %edi, %edi\n syscall\n mov 0x410000, %rbx\n ud2\n jmp 1b\n");

START_TEST(a_user_page_taken_away_is_gone_when_the_kernel_returns)
{
	mfn_t frame[2] = { world_alloc(w, 1), world_alloc(w, 1) };
	struct hv_entry_change c = { .root = v->root_user, .va = 0x410000, .len = 4096 };

	for (uint64_t i = 0; i < 2; i++)
		memcpy(world_frame(w, frame[i]), &i, 8);
	world_map(w, v->root_user, 0x410000, 1, frame[0], "w");
	enter_user(PUT(user_reads));
	for (unsigned i = 0; i < 20; i++) {
		run_to_ud2();
		ck_assert_uint_eq(v->regs.rbx, i & 1);
		v->regs.rip += 2;
		w->run[w->nr_runs - 1].mfn = frame[~i & 1];
		hv_engine_process.entry_changed(&w->domain, &c);
		if (i % 3)
			hv_engine_process.sync(&w->domain, 1);
		else
			hv_engine_process.retire(&w->domain, UINT64_MAX);
	}
}
END_TEST

/* ---- user code that lies ----------------------------------------------------------------------- */

/* Writes r13d at r12 and runs on. */
WORLD_BLOB(user_pokes,
           "1: mov %r13d, (%r12)\n mov %rbx, %rax\n syscall\n dec %rbx\n jnz 1b\n ud2\n");
WORLD_BLOB(user_reads_at, "mov (%r12), %rbx\n ud2\n");
WORLD_BLOB(user_writes_at, "mov %rbx, (%r12)\n ud2\n");

START_TEST(user_code_sees_what_it_is_given_and_no_more)
{
	static const struct {
		uint64_t va;
		bool readable, writable;
	} pages[] = {
		{ PE_PEER, true, false },
		{ PE_PEER + PE_PEER_SIZE - 8, true, false },
		{ PE_PEER + PE_PEER_SIZE, false, false },
		{ PE_CTL, true, false },
		{ PE_WINDOW, false, false },
		{ KERNEL_DATA + 0x20000, false, false },
	};
	uint64_t at;

	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	at = PUT(user_reads_at);
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		enter_user(at);
		v->regs.r12 = pages[i].va;
		run();
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		ck_assert_uint_eq(e.vector, pages[i].readable ? 6 : 14);
		enter_user(PUT(user_writes_at));
		v->regs.r12 = pages[i].va;
		run();
		ck_assert_uint_eq(e.vector, 14);
		ck_assert(!v->in_kernel);
	}
}
END_TEST

WORLD_BLOB(user_peeks, "xor %ebx, %ebx\n mov $0x400, %ecx\n mov %r12, %rdi\n 1: cmp %r13, (%rdi)\n"
                       "jne 2f\n inc %ebx\n 2: add $8, %rdi\n dec %ecx\n jnz 1b\n ud2\n");

/* What the kernel hands to one program, through pages that all its programs have, no other finds. */
START_TEST(registers_of_one_program_are_not_shown_to_the_next)
{
	const uint64_t secret = 0x5ec4e75ec4e75ec4;
	mfn_t user[2] = { v->root_user, HV_MFN_NONE };
	uint64_t at = PUT(user_calls), peeks = PUT(user_peeks);

	new_user();
	user[1] = v->root_user;
	for (unsigned i = 0; i < 4; i++) {
		v->root_user = user[0];
		enter_user(at);
		v->regs.rbx = 4;
		v->regs.r14 = secret;
		run_to_ud2();
		enter_user(peeks);
		v->regs.r12 = PE_PEER;
		v->regs.r13 = secret;
		run_to_ud2();
		ck_assert_uint_ge(v->regs.rbx, 1); /* its own it may see */
		v->root_user = user[1];
		enter_user(peeks);
		v->regs.r12 = PE_PEER;
		v->regs.r13 = secret;
		run_to_ud2();
		ck_assert_uint_eq(v->regs.rbx, 0);
	}
}
END_TEST

/* Nor when the next one runs without a kernel that it could hand over to. */
START_TEST(registers_are_not_shown_to_a_program_on_its_own)
{
	const uint64_t secret = 0x5ec4e75ec4e75ec4;
	mfn_t user[2] = { v->root_user, HV_MFN_NONE };
	uint64_t at = PUT(user_calls), peeks = PUT(user_peeks);

	new_user();
	user[1] = v->root_user;
	for (unsigned i = 0; i < 4; i++) {
		v->root_user = user[~i & 1];
		enter_user(at);
		v->regs.rbx = 4;
		v->regs.r14 = i & 1 ? 0 : secret;
		run_to_ud2();
	}
	v->root_user = user[1];
	enter_user(at);
	v->regs.rbx = 4;
	v->regs.r14 = secret;
	run_to_ud2();
	v->root_user = user[0];
	v->traps.in_nmi = true; /* every return is our affair */
	enter_user(peeks);
	v->regs.r12 = PE_PEER;
	v->regs.r13 = secret;
	run_to_ud2();
	ck_assert_uint_eq(v->regs.rbx, 0);
}
END_TEST

/* User code changes every word of its own state, one at a time, and goes on calling its kernel. */
START_TEST(whatever_user_code_writes_harms_only_itself)
{
	static const uint32_t values[] = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff };
	uint64_t at = PUT(user_pokes);
	unsigned deaths = 0;

	for (unsigned i = 0; i < 48; i++) {
		unsigned word = i < 34 ? 4 * i : STATE_OUT + 4 * (i - 34);

		enter_user(at);
		v->regs.r12 = PE_STATE + word;
		v->regs.r13 = values[(unsigned)_i % ARRAY_LEN(values)];
		v->regs.rbx = 4;
		atomic_store(&w->stop_at_tick, true);
		for (unsigned n = 0; n < 50; n++) {
			atomic_store(&w->deadline, pe_now() + 3000000);
			run();
			if (e.kind == HV_EXIT_KICKED)
				continue;
			break;
		}
		atomic_store(&w->stop_at_tick, false);
		atomic_store(&w->deadline, UINT64_MAX);
		if (e.kind == HV_EXIT_DEAD) {
			ck_assert_msg(e.from_user_root, "word %#x: %s", word, e.why);
			deaths++;
		}
		/* The kernel's stack holds nothing but what a system call leaves there. */
		ck_assert_uint_lt(seen->rip, PE_GUEST_END);
		ck_assert(!seen->entries || (seen->cs & 0xffffffff) == FLAT_USER_CS);
	}
	/* The kernel is as it was. */
	new_user();
	enter_user(PUT(user_calls));
	v->regs.rbx = 20;
	seen->entries = 0;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
	ck_assert_uint_le(deaths, 48);
}
END_TEST

/*
 * Hands over a system call by itself, with registers that no processor would have, and runs on: the
 * kernel must not see an impossible address, and its stack must not be used twice.
 */
WORLD_BLOB(user_forges,
           "mov %r12, %rax\n mov %r13, 0x2040+0x78(%rax)\n mov %r14, 0x2040+0x80(%rax)\n"
           "movl $1, 0xc(%rax)\n lock incl 0x2000(%rax)\n lock incl (%rax)\n"
           "1: lock incl 0x2000(%rax)\n pause\n lock incl (%rax)\n dec %rbx\n jnz 1b\n"
           "2: jmp 2b\n");

START_TEST(made_up_hand_overs_enter_the_kernel_as_a_user_could)
{
	static const uint64_t rips[] = { 0x100000, 0xffff800000000000, 0x800000000000,
		                         0x7fffffffffff, ~UINT64_C(0) };
	uint64_t at = PUT(user_calls);

	enter_user(at);
	v->regs.rbx = 5;
	run_to_ud2();
	enter_user(PUT(user_forges));
	v->regs.r12 = PE_STATE;
	v->regs.r13 = rips[_i];
	v->regs.r14 = ~UINT64_C(0);
	v->regs.rbx = 1000;
	atomic_store(&w->stop_at_tick, true);
	for (unsigned n = 0; n < 200; n++) {
		atomic_store(&w->deadline, pe_now() + 1000000);
		run();
		ck_assert_uint_lt(seen->rip, UINT64_C(1) << 47);
		ck_assert_uint_eq(seen->rflags & ~UINT64_C(0x244fd7), 0);
		if (e.kind == HV_EXIT_EXCEPTION)
			ck_assert(!v->in_kernel);
		if (e.kind == HV_EXIT_DEAD)
			ck_assert(e.from_user_root);
		if (e.kind != HV_EXIT_KICKED)
			break;
	}
	atomic_store(&w->stop_at_tick, false);
	atomic_store(&w->deadline, UINT64_MAX);
	new_user();
	enter_user(at);
	v->regs.rbx = 20;
	seen->entries = 0;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
}
END_TEST

/* Reports an exit that it has not made, and goes on counting. */
WORLD_BLOB(user_runs_on, "mov %r12, %rax\n incq 0x400200\n lock incl (%rax)\n"
                         "1: incq 0x400200\n jmp 1b\n");

START_TEST(a_users_process_that_is_left_does_not_run)
{
	uint64_t *count = (void *)world_at(w, v->root_user, WORLD_DATA + 0x200);
	uint64_t before;

	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	enter_user(PUT(user_runs_on));
	v->regs.r12 = PE_STATE;
	run();
	usleep(5000);
	ck_assert_uint_gt(*(volatile uint64_t *)count, 1); /* it does run on */
	new_user();
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	before = *(volatile uint64_t *)count;
	usleep(20000);
	ck_assert_uint_eq(*(volatile uint64_t *)count, before);
}
END_TEST

/* What the freezing of a process rests on: one that sleeps cannot have set itself an alarm. */
WORLD_BLOB(user_naps, "mov %r12, %rax\n mov $0x400300, %r10\n jmp *%r13\n");

START_TEST(nobody_sleeps_with_an_end_in_sight)
{
	size_t size = (uintptr_t)pe_tramp_end - (uintptr_t)pe_trampoline;
	struct pe_vcpu *pv = v->engine_priv;
	uint64_t at = PUT(user_naps), gate;

	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	for (size_t i = 0; i + 1 < size; i++) {
		if (memcmp(pe_trampoline + i, "\x0f\x05", 2))
			continue;
		gate = pe_tramp_address(pe_trampoline + i);
		enter_user(at);
		v->regs.r12 = 202; /* futex, */
		v->regs.rdi = PE_STATE + OUT_PARK;
		v->regs.rsi = 0; /* wait */
		v->regs.rdx = pe_load(pv->current->state, OUT_PARK) + 1;
		v->regs.r13 = gate;
		run();
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		ck_assert_uint_eq(e.vector, 13);
		ck_assert_uint_eq(v->regs.rip, gate + 2);
	}
}
END_TEST

/* Nobody counts as asleep with a kick on its way: this is how that is seen. */
START_TEST(a_kick_on_its_way_is_seen)
{
	sigset_t set, before;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, PE_SIG_KICK);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	ck_assert(!pe_kick_is_pending(getpid()));
	pthread_kill(pthread_self(), PE_SIG_KICK);
	ck_assert(pe_kick_is_pending(getpid()));
	sigwait(&set, &sig);
	ck_assert(!pe_kick_is_pending(getpid()));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ck_assert(pe_kick_is_pending(0)); /* no such process: nobody can tell */
}
END_TEST

/* Who is ready and has no core is not to blame for what he does not do; nor who has had one meanwhile. */
START_TEST(who_sleeps_on_is_known)
{
	struct pe_vcpu *pv = v->engine_priv;
	uint64_t runs[4] = { 0 };

	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	usleep(20000);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert(!pe_sleeps_on(getpid(), &runs[0]));
		ck_assert_int_eq(pe_sleeps_on(pv->current->pid, &runs[1]),
		                 i > 0); /* it waits for us */
		ck_assert_int_eq(pe_sleeps_on(pv->current->mapper_tid, &runs[2]), i > 0);
		ck_assert(!pe_sleeps_on(0, &runs[3]));
	}
	kill(pv->current->pid, PE_SIG_KICK); /* it has a look, and goes back to sleep */
	usleep(20000);
	ck_assert(!pe_sleeps_on(pv->current->pid, &runs[1]));
	ck_assert(pe_sleeps_on(pv->current->pid, &runs[1]));
	kill(pv->current->pid, SIGSTOP);
	usleep(20000);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!pe_sleeps_on(pv->current->mapper_tid, &runs[2]));
}
END_TEST

static atomic_bool pests_end;

/* Kicks every user's process that does not run. */
static void *pest(void *arg)
{
	struct pe_vcpu *pv = v->engine_priv;

	(void)arg;
	while (!atomic_load(&pests_end)) {
		pthread_mutex_lock(&pv->pd->lock);
		for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
			if (p->is_user && p != pv->current && p != pv->partner)
				kill(p->pid, PE_SIG_KICK);
		}
		pthread_mutex_unlock(&pv->pd->lock);
		usleep(100);
	}
	return NULL;
}

/* Whatever wakes a program that was left: what the kernel hands to the next is not for it. */
START_TEST(what_the_kernel_gives_one_program_no_other_takes)
{
	mfn_t user[2] = { HV_MFN_NONE, v->root_user };
	uint64_t at = PUT(user_calls);
	uint64_t *mark[2];
	pthread_t t;

	new_user();
	user[0] = v->root_user;
	for (unsigned i = 0; i < 2; i++)
		mark[i] = (void *)world_at(w, user[i], WORLD_DATA + 0x100);
	pthread_create(&t, NULL, pest, NULL);
	for (unsigned i = 0; i < 200; i++) {
		v->root_user = user[i & 1];
		*mark[~i & 1] = 0;
		enter_user(at);
		v->regs.rbx = 40;
		run_to_ud2();
		ck_assert_uint_eq(*mark[~i & 1], 0);
		ck_assert_uint_eq(*mark[i & 1], USER_STACK);
		/* It is left within a system call: so it waits for its kernel. */
		enter_user(at);
		v->regs.rdi = 99;
		run();
		ck_assert(v->in_kernel);
	}
	atomic_store(&pests_end, true);
	pthread_join(t, NULL);
}
END_TEST

START_TEST(the_death_of_a_users_process_is_told_as_such)
{
	struct pe_vcpu *pv = v->engine_priv;

	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	kill(pv->current->pid, SIGKILL);
	run();
	ck_assert_int_eq(e.kind, HV_EXIT_DEAD);
	ck_assert(e.from_user_root);
	ck_assert(!v->in_kernel);
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 10);
}
END_TEST

Suite *engine_usermode_suite(void);

Suite *engine_usermode_suite(void)
{
	Suite *s = suite_create("engine_usermode");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, system_calls_go_to_the_kernel_and_back_without_us);
	tcase_add_test(tc, nothing_goes_that_way_while_every_call_is_traced);
	tcase_add_test(tc, the_entry_masks_events_when_it_is_to);
	tcase_add_test(tc, the_kernels_stack_can_be_changed_in_place);
	tcase_add_test(tc, the_floating_point_state_is_carried);
	tcase_add_test(tc, an_event_that_is_due_keeps_the_kernel_from_returning);
	tcase_add_test(tc, a_kernel_stack_that_is_not_there_is_our_affair);
	tcase_add_loop_test(tc, user_processes_take_turns, 0, 3);
	tcase_add_test(tc, kicks_find_whichever_of_the_two_runs);
	tcase_add_test(tc, a_user_page_taken_away_is_gone_when_the_kernel_returns);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, user_code_sees_what_it_is_given_and_no_more);
	tcase_add_test(tc, registers_of_one_program_are_not_shown_to_the_next);
	tcase_add_test(tc, registers_are_not_shown_to_a_program_on_its_own);
	tcase_add_loop_test(tc, whatever_user_code_writes_harms_only_itself, 0, 6);
	tcase_add_loop_test(tc, made_up_hand_overs_enter_the_kernel_as_a_user_could, 0, 5);
	tcase_add_test(tc, a_users_process_that_is_left_does_not_run);
	tcase_add_test(tc, nobody_sleeps_with_an_end_in_sight);
	tcase_add_test(tc, a_kick_on_its_way_is_seen);
	tcase_add_test(tc, who_sleeps_on_is_known);
	tcase_add_test(tc, what_the_kernel_gives_one_program_no_other_takes);
	tcase_add_test(tc, the_death_of_a_users_process_is_told_as_such);
	suite_add_tcase(s, tc);
	return s;
}
