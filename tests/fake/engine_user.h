/* SPDX-License-Identifier: MIT */
/*
 * A kernel and a user program for tests of an engine: a kernel of a few instructions that counts its entries,
 * and a program that calls it. What the core would do with an iret or a system call that comes to us is done
 * by do_iret() and do_syscall().
 *
 * Like engine_world.h, it is included by exactly one file of a program.
 */
#ifndef TESTS_FAKE_ENGINE_USER_H
#define TESTS_FAKE_ENGINE_USER_H

#include <check.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/engines/process/process.h"
#include "tests/fake/engine_world.h"

/* The kernel's pages; a user with a root of its own has others there, but for the code. */
#define KERNEL_STACK (WORLD_STACK + 8 * HV_PAGE_SIZE)
#define KERNEL_DATA  WORLD_DATA
#define USER_STACK   (WORLD_STACK + 16 * HV_PAGE_SIZE)

static struct world *w;
static struct hv_vcpu *v;
static struct hv_exit e;
static unsigned slow_irets, slow_calls, others;
static struct {
	uint64_t entries, rip, rsp, rflags, cs, ss, fs, gs, xmm[2], rax, r15;
} * seen; /* what the kernel's entry leaves in its data page */

/* Counts, notes what it was entered with, and returns rax + 1; rdi = 99 makes it stop. */
WORLD_BLOB(kernel_entry,
           "mov %rax, 0x400050\n mov 16(%rsp), %rax\n mov %rax, 0x400008\n mov 40(%rsp), %rax\n"
           "mov %rax, 0x400010\n mov 32(%rsp), %rax\n mov %rax, 0x400018\n mov 24(%rsp), %rax\n"
           "mov %rax, 0x400020\n mov 48(%rsp), %rax\n mov %rax, 0x400028\n rdfsbase %rax\n"
           "mov %rax, 0x400030\n rdgsbase %rax\n mov %rax, 0x400038\n movups %xmm0, 0x400040\n"
           "mov %r15, 0x400058\n incq 0x400000\n cmp $99, %rdi\n jne 1f\n"
           "mov $0x200000 + 32 * 29, %rax\n call *%rax\n"
           "1: mov 0x400060, %rax\n test %rax, %rax\n jz 2f\n mov $0x77, %eax\n movq %rax, %xmm0\n"
           "2: mov 0x400050, %rax\n inc %rax\n pop %rcx\n pop %r11\n push $0\n"
           "pushq $0x2002e0\n ret\n");

/* Calls its kernel rbx times; every register must come back. Ends by ud2; by hlt when one is wrong. */
WORLD_BLOB(user_calls,
           "wrfsbase %r8\n wrgsbase %r9\n 1: movzbl %bl, %eax\n stc\n syscall\n jnc 9f\n"
           "movzbl %bl, %ecx\n inc %ecx\n cmp %rcx, %rax\n jne 9f\n cmp $0x1515, %r15\n jne 9f\n"
           "cmp $0x1234, %rdi\n jne 9f\n rdfsbase %rax\n cmp %r8, %rax\n jne 9f\n rdgsbase %rax\n"
           "cmp %r9, %rax\n jne 9f\n mov %rsp, 0x400100\n dec %rbx\n jnz 1b\n ud2\n 9: hlt\n");

/* The kernel; whether the user has a root of its own is the caller's affair. */
static void setup_kernel(void)
{
	w = world_create(&hv_engine_process);
	v = &w->vcpu[0];
	world_layout(w, v->root_kernel);
	seen = (void *)world_at(w, v->root_kernel, KERNEL_DATA);
	v->traps.syscall.va = world_code(w, v->root_kernel, kernel_entry, kernel_entry_end);
	v->traps.kernel_sp = KERNEL_STACK;
	v->traps.kernel_ss = FLAT_KERNEL_SS;
	v->regs.gs_base_kernel = 0x5000;
}

static void teardown(void)
{
	world_destroy(w);
}

static void enter_user(uint64_t rip)
{
	uint64_t gs = v->regs.gs_base_kernel;

	world_enter_at(w, 0, rip);
	v->regs.gs_base_kernel = gs;
	v->in_kernel = false;
	v->regs.rsp = USER_STACK;
	v->regs.r15 = 0x1515;
	v->regs.rdi = 0x1234;
	v->regs.r8 = 0x123000;
	v->regs.r9 = 0x456000;
}

/* An iret hypercall as the core does it. False when there is no frame. */
static bool do_iret(void)
{
	const uint8_t *frame = world_at(w, v->root_kernel, v->regs.rsp);
	struct iret_context c;

	if (!frame)
		return false;
	memcpy(&c, frame, sizeof(c));
	v->in_kernel = (c.cs & 3) != 3;
	v->regs.rip = c.rip;
	v->regs.rsp = c.rsp;
	v->regs.rflags = c.rflags;
	v->regs.cs = (uint16_t)c.cs | 3;
	v->regs.ss = (uint16_t)c.ss | 3;
	v->regs.rax = c.rax;
	v->regs.rcx = c.rcx;
	v->regs.r11 = c.r11;
	v->info->evtchn_upcall_mask = !(c.rflags & X86_FLAG_IF);
	slow_irets++;
	return true;
}

/* False when the kernel has no stack. */
static bool do_syscall(void)
{
	struct hv_regs *r = &v->regs;
	uint64_t sp = (v->traps.kernel_sp & ~UINT64_C(15)) - 56;
	uint64_t frame[] = { r->rcx, r->r11, r->rip, r->cs, r->rflags, r->rsp, r->ss };

	if (!world_at(w, v->root_kernel, sp))
		return false;
	memcpy(world_at(w, v->root_kernel, sp), frame, sizeof(frame));
	v->in_kernel = true;
	r->rsp = sp;
	r->rip = v->traps.syscall.va;
	r->cs = FLAT_KERNEL_CS;
	r->ss = FLAT_KERNEL_SS;
	r->rflags &= ~(uint64_t)X86_FLAG_TF;
	slow_calls++;
	return true;
}

/* Runs until something happens that is neither a miss, an iret nor a system call. */
static void run(void)
{
	struct hv_exit got;

	for (;;) {
		ck_assert_int_eq(world_run(w, 0, &got), 0);
		e = got;
		if (e.kind == HV_EXIT_HYPERCALL && v->regs.rax == 23 && do_iret())
			continue;
		if (e.kind == HV_EXIT_SYSCALL && !v->in_kernel && do_syscall())
			continue;
		if (e.kind == HV_EXIT_KICKED && !atomic_load(&w->stop_at_tick))
			others++;
		else
			return;
	}
}

static void run_to_ud2(void)
{
	run();
	ck_assert_msg(e.kind == HV_EXIT_EXCEPTION, "kind %d: %s", e.kind, e.why ? e.why : "");
	ck_assert_msg(e.vector == 6, "vector %u at %#llx", e.vector,
	              (unsigned long long)v->regs.rip);
	ck_assert(!v->in_kernel);
}

#define PUT(blob) world_code(w, v->root_kernel, blob, blob##_end)

#endif
