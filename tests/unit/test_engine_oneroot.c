/* SPDX-License-Identifier: MIT */
/*
 * User and kernel mode under one root, on the process engine: system calls are entered and left within
 * the one process, without us. What they carry, what stops them, and what we believe of it.
 */
#include <signal.h>

#include "tests/fake/engine_user.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define USER_DATA    (WORLD_DATA + 0x1000)

static void setup(void)
{
	setup_kernel();
	v->root_user = v->root_kernel;
	/* The first call misses the kernel's stack, which is our affair. */
	enter_user(PUT(user_calls));
	v->regs.rbx = 2;
	run_to_ud2();
	ck_assert_uint_le(slow_calls, 1);
	seen->entries = slow_calls = slow_irets = 0;
}

/* ---- the ordinary way -------------------------------------------------------------------------- */

START_TEST(system_calls_are_entered_and_left_in_place)
{
	uint64_t at = PUT(user_calls);

	enter_user(at);
	v->regs.rbx = 1000;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 1000);
	ck_assert_uint_eq(slow_calls, 0);
	ck_assert_uint_eq(slow_irets, 0);
	ck_assert_uint_eq(v->regs.rbx, 0);
	ck_assert_uint_eq(v->regs.fs_base, 0x123000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x5000);
	ck_assert_uint_eq(v->regs.cs, FLAT_USER_CS);
	ck_assert_uint_eq(v->regs.ss, FLAT_USER_SS);
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

START_TEST(an_exit_from_within_the_kernel_is_the_kernels)
{
	v->traps.syscall.masks_events = true;
	enter_user(PUT(user_calls));
	v->regs.rbx = 10;
	v->regs.rdi = 99; /* makes a hypercall in the kernel */
	run();
	ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
	ck_assert(v->in_kernel);
	ck_assert_uint_eq(v->regs.rax, 29);
	ck_assert_uint_eq(v->regs.cs, FLAT_KERNEL_CS);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x5000);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 1);
	/* It goes on from there, and returns in place. */
	v->regs.rdi = 0x1234;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 10);
	ck_assert_uint_eq(slow_calls + slow_irets, 0);
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0); /* iret unmasked them again */
}
END_TEST

START_TEST(nothing_is_done_in_place_while_every_call_is_traced)
{
	struct hv_tracer tracer = { .every_call = true };

	w->machine.tracer = &tracer;
	enter_user(PUT(user_calls));
	v->regs.rbx = 20;
	run_to_ud2();
	ck_assert_uint_eq(slow_calls, 20);
	ck_assert_uint_eq(slow_irets, 20);
}
END_TEST

/* A program that is stepped through: every instruction is an exception, and a call comes to us. */
START_TEST(single_steps_and_calls_do_not_disturb_each_other)
{
	uint64_t at = PUT(user_calls), steps = 0;

	enter_user(at);
	v->regs.rbx = 3;
	v->regs.rflags |= X86_FLAG_TF;
	for (run(); e.kind == HV_EXIT_EXCEPTION && e.vector == 1; run()) {
		ck_assert(!v->in_kernel);
		ck_assert_uint_lt(v->regs.rip - at, (uint64_t)(user_calls_end - user_calls));
		steps++;
	}
	ck_assert_uint_eq(e.vector, 6);
	ck_assert_uint_eq(seen->entries, 3);
	ck_assert_uint_gt(steps, 3 * 15);
}
END_TEST

START_TEST(an_event_that_is_due_keeps_the_kernel_from_returning)
{
	v->info->evtchn_upcall_pending = 1;
	enter_user(PUT(user_calls));
	v->regs.rbx = 5;
	run_to_ud2(); /* our core does not deliver it, so each iret comes to us */
	ck_assert_uint_eq(slow_irets, 5);
	ck_assert_uint_eq(slow_calls, 0);
}
END_TEST

START_TEST(a_kernel_stack_that_is_not_there_is_our_affair)
{
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
	ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x5000);
	v->traps.kernel_sp = KERNEL_STACK;
	do_syscall();
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 5);
}
END_TEST

/* A kernel whose programs have a root of their own, or not, in turn. */
START_TEST(programs_with_a_root_of_their_own_and_without_take_turns)
{
	uint64_t at = PUT(user_calls);
	mfn_t own = world_alloc(w, 1);

	world_map(w, own, WORLD_CODE, 16, w->run[0].mfn, "x");
	world_map(w, own, WORLD_STACK, 16, HV_MFN_NONE, "w");
	world_map(w, own, WORLD_DATA, 16, HV_MFN_NONE, "w");
	for (unsigned i = 0; i < 40; i++) {
		v->root_user = i & 1 ? own : v->root_kernel;
		enter_user(at);
		v->regs.rbx = 5;
		run_to_ud2();
	}
	ck_assert_uint_eq(seen->entries, 200);
	ck_assert_uint_le(slow_calls, 21); /* the first of those whose kernel had another GS base */
}
END_TEST

/* ---- the floating-point state ------------------------------------------------------------------ */

/* What USER_DATA holds goes into the registers; then calls; they are stored 2048 bytes above. */
WORLD_BLOB(user_fp_fxrstor, "fxrstor64 0x401000\n 1: xor %eax, %eax\n syscall\n dec %rbx\n jnz 1b\n"
                            "fxsave64 0x401800\n ud2\n");
WORLD_BLOB(user_fp_ymm,
           "vmovups 0x401000, %ymm3\n vmovups 0x401020, %ymm14\n 1: xor %eax, %eax\n syscall\n"
           "dec %rbx\n jnz 1b\n vmovups %ymm3, 0x401800\n vmovups %ymm14, 0x401820\n ud2\n");

static const struct {
	const char *what;
	bool xmm, x87, tags, mxcsr, pointers;
} fp[] = {
	{ "nothing", 0, 0, 0, 0, 0 },
	{ "SSE", 1, 0, 0, 0, 0 },
	{ "SSE and its control word", 1, 0, 0, 1, 0 },
	{ "x87, of no tag", 1, 1, 0, 0, 0 },
	{ "x87", 1, 1, 1, 0, 0 },
	{ "x87's pointers", 0, 0, 1, 0, 1 },
	{ "all", 1, 1, 1, 1, 1 },
};

START_TEST(the_floating_point_state_is_carried)
{
	uint8_t *data = world_at(w, v->root_kernel, USER_DATA), *image = data + 2048;
	const uint16_t fcw = fp[_i].tags ? 0x27f : 0x37f;
	const uint32_t mxcsr = fp[_i].mxcsr ? 0x9fc0 : 0x1f80;

	memcpy(data, &fcw, 2);
	data[4] = fp[_i].tags ? 0x5a : 0;
	memcpy(data + 24, &mxcsr, 4);
	if (fp[_i].pointers)
		memset(data + 8, 0x11, 6);
	for (unsigned i = fp[_i].tags ? 0 : 6; i < 8 && fp[_i].x87; i++)
		memset(data + 32 + 16 * i, (int)(0x10 + i), 10);
	for (unsigned i = 0; i < 256 && fp[_i].xmm; i++)
		data[160 + i] = (uint8_t)(i * 7 + 1);
	enter_user(PUT(user_fp_fxrstor));
	v->regs.rbx = 20;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
	ck_assert_uint_eq(slow_calls, 0);
	ck_assert_mem_eq(image, data, 5);
	ck_assert_mem_eq(image + 24, data + 24, 4);
	ck_assert_mem_eq(image + 32, data + 32, 128 + 256);
}
END_TEST

START_TEST(the_wide_registers_are_carried)
{
	uint8_t *data = world_at(w, v->root_kernel, USER_DATA);

	if (!__builtin_cpu_supports("avx"))
		return;
	for (unsigned i = 0; i < 64; i++)
		data[i] = (uint8_t)(i + 1);
	enter_user(PUT(user_fp_ymm));
	v->regs.rbx = 20;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
	ck_assert_mem_eq(data + 2048, data, 64);
}
END_TEST

/* ---- stopping ---------------------------------------------------------------------------------- */

static atomic_bool kicks_end;

static void *kicker(void *arg)
{
	(void)arg;
	while (!atomic_load(&kicks_end)) {
		usleep(20);
		hv_engine_process.vcpu_kick(v);
	}
	return NULL;
}

/* Wherever a kick strikes, we know the mode by what runs. */
START_TEST(kicks_find_the_mode_that_runs)
{
	const uint64_t kernel = v->traps.syscall.va,
		       size = (uint64_t)(kernel_entry_end - kernel_entry);
	uint64_t at = PUT(user_calls);
	unsigned in_kernel = 0, in_user = 0;
	pthread_t t;

	atomic_store(&w->stop_at_tick, true);
	enter_user(at);
	v->regs.rbx = 1000000000;
	pthread_create(&t, NULL, kicker, NULL);
	while (in_kernel + in_user < 2000 || !in_kernel || !in_user) {
		bool there;

		run();
		ck_assert_msg(e.kind == HV_EXIT_KICKED, "kind %d vector %u: %s", e.kind, e.vector,
		              e.kind == HV_EXIT_DEAD ? e.why : "");
		ck_assert_uint_eq(v->regs.r15, 0x1515);
		there = v->regs.rip - kernel < size || v->regs.rip - WORLD_HCALL < HV_PAGE_SIZE;
		ck_assert_int_eq(v->in_kernel, there);
		ck_assert_uint_eq(v->regs.gs_base_kernel, 0x5000);
		*(v->in_kernel ? &in_kernel : &in_user) += 1;
		if (in_user > 5) /* the user's first instruction has set it */
			ck_assert_uint_eq(v->regs.gs_base_user, 0x456000);
	}
	atomic_store(&kicks_end, true);
	pthread_join(t, NULL);
}
END_TEST

/* ---- user code that lies ----------------------------------------------------------------------- */

WORLD_BLOB(user_hypercall, "mov $0x2003a0, %eax\n call *%rax\n ud2\n");

START_TEST(user_code_in_the_hypercall_page_makes_a_system_call)
{
	enter_user(PUT(user_hypercall));
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_SYSCALL);
	ck_assert(!v->in_kernel);
	ck_assert_uint_eq(v->regs.rax, 29);
}
END_TEST

/* Writes r13 at r12, calls its kernel, and so on; whatever comes of it, we get the vCPU back. */
WORLD_BLOB(user_pokes,
           "1: mov %r13, (%r12)\n mov %rbx, %rax\n syscall\n mov $0x200000 + 32 * 29, %eax\n"
           "call *%rax\n dec %rbx\n jnz 1b\n ud2\n");

START_TEST(whatever_the_guest_writes_we_go_on)
{
	static const uint64_t values[] = { 0, 1, 0xffff800000000000, 0x800000000000, ~UINT64_C(0) };
	static const uint32_t words[] = { STATE_TRACED,    STATE_MODE,        STATE_CHANGED,
		                          STATE_GS_KERNEL, STATE_GS_USER,     STATE_KERNEL_SP,
		                          STATE_SCRATCH,   STATE_SCRATCH + 8, STATE_SIGNO,
		                          STATE_UC,        STATE_KIND };
	uint64_t at = PUT(user_pokes);

	atomic_store(&w->stop_at_tick, true);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		enter_user(at);
		v->regs.gs_base_kernel = 0x5000;
		v->regs.r12 = PE_STATE + words[i];
		v->regs.r13 = values[_i];
		v->regs.rbx = 4;
		for (unsigned n = 0; n < 40; n++) {
			atomic_store(&w->deadline, pe_now() + 2000000);
			run();
			ck_assert(v->regs.gs_base_kernel + (UINT64_C(1) << 47) < UINT64_C(1) << 48);
			ck_assert(v->regs.gs_base_user + (UINT64_C(1) << 47) < UINT64_C(1) << 48);
			if (e.kind != HV_EXIT_KICKED && e.kind != HV_EXIT_HYPERCALL)
				break;
		}
	}
	atomic_store(&w->stop_at_tick, false);
	atomic_store(&w->deadline, UINT64_MAX);
	v->traps.kernel_sp = KERNEL_STACK; /* which it may change */
	enter_user(PUT(user_calls));
	v->regs.gs_base_kernel = 0x5000;
	v->regs.rbx = 20;
	seen->entries = 0;
	run_to_ud2();
	ck_assert_uint_eq(seen->entries, 20);
}
END_TEST

WORLD_BLOB(user_peeks, "xor %ebx, %ebx\n mov $0x400, %ecx\n mov %r12, %rdi\n 1: cmp %r13, (%rdi)\n"
                       "jne 2f\n inc %ebx\n 2: add $8, %rdi\n dec %ecx\n jnz 1b\n ud2\n");

/* What a program under the kernel's root leaves where registers are handed over, no other finds. */
START_TEST(registers_are_not_shown_to_a_program_with_a_root_of_its_own)
{
	const uint64_t secret = USER_STACK - 0x1238;
	uint64_t at = PUT(user_calls), peeks = PUT(user_peeks);
	mfn_t own = world_alloc(w, 1);

	world_map(w, own, WORLD_CODE, 16, w->run[0].mfn, "x");
	world_map(w, own, WORLD_STACK, 16, HV_MFN_NONE, "w");
	world_map(w, own, WORLD_DATA, 16, HV_MFN_NONE, "w");
	for (unsigned i = 0; i < 3; i++) {
		v->root_user = own;
		enter_user(at);
		v->regs.rbx = 3;
		run_to_ud2();
		v->root_user = v->root_kernel;
		enter_user(at);
		v->regs.rsp = secret;
		v->regs.rbx = 3;
		run_to_ud2();
		v->root_user = own;
		enter_user(peeks);
		v->regs.r12 = PE_PEER;
		v->regs.r13 = secret;
		run_to_ud2();
		ck_assert_uint_eq(v->regs.rbx, 0);
	}
}
END_TEST

Suite *engine_oneroot_suite(void);

Suite *engine_oneroot_suite(void)
{
	Suite *s = suite_create("engine_oneroot");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, system_calls_are_entered_and_left_in_place);
	tcase_add_test(tc, an_exit_from_within_the_kernel_is_the_kernels);
	tcase_add_test(tc, nothing_is_done_in_place_while_every_call_is_traced);
	tcase_add_test(tc, single_steps_and_calls_do_not_disturb_each_other);
	tcase_add_test(tc, an_event_that_is_due_keeps_the_kernel_from_returning);
	tcase_add_test(tc, a_kernel_stack_that_is_not_there_is_our_affair);
	tcase_add_test(tc, programs_with_a_root_of_their_own_and_without_take_turns);
	tcase_add_loop_test(tc, the_floating_point_state_is_carried, 0, ARRAY_LEN(fp));
	tcase_add_test(tc, the_wide_registers_are_carried);
	tcase_add_test(tc, kicks_find_the_mode_that_runs);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, user_code_in_the_hypercall_page_makes_a_system_call);
	tcase_add_loop_test(tc, whatever_the_guest_writes_we_go_on, 0, 5);
	tcase_add_test(tc, registers_are_not_shown_to_a_program_with_a_root_of_its_own);
	suite_add_tcase(s, tc);
	return s;
}
