/* SPDX-License-Identifier: MIT */
/*
 * The process engine alone: guest code is a few instructions in a memfd, the core is
 * tests/fake/engine_world.h.
 */
#include <check.h>

#include "tests/fake/engine_world.h"

/* Guest code: what lies between two labels is copied into guest memory, so it must not refer to
 * anything outside but absolute addresses. */
#define BLOB(name, text)                        \
	extern const char name[], name##_end[]; \
	__asm__(".section .rodata\n.balign 16\n" #name ":\n" text "\n" #name "_end:\n.previous\n")

#define HCALL(nr) "mov $0x200000 + 32 * " #nr ", %r11\n call *%r11\n"

BLOB(blob_registers, "mov $1, %rdi\n mov $2, %rsi\n mov $3, %rdx\n mov $4, %r10\n mov $5, %r8\n"
                     "mov $6, %r9\n mov $7, %rbx\n mov $8, %rbp\n mov $9, %r12\n mov $10, %r13\n"
                     "mov $11, %r14\n mov $12, %r15\n stc\n" HCALL(29) "jnc 1f\n hlt\n 1: ud2\n");

static struct world *w;
static struct hv_exit e;

static void setup(void)
{
	w = world_create(&hv_engine_process);
	world_layout(w, w->vcpu[0].root_kernel);
}

static void teardown(void)
{
	world_destroy(w);
}

START_TEST(a_hypercall_shows_all_registers_and_returns_with_them)
{
	struct hv_regs *r = &w->vcpu[0].regs;
	uint64_t at = world_code(w, w->vcpu[0].root_kernel, blob_registers, blob_registers_end);

	world_enter_at(w, 0, at);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
	ck_assert_uint_eq(r->rax, 29);
	ck_assert_uint_eq(r->rdi, 1);
	ck_assert_uint_eq(r->rsi, 2);
	ck_assert_uint_eq(r->rdx, 3);
	ck_assert_uint_eq(r->r10, 4);
	ck_assert_uint_eq(r->r8, 5);
	ck_assert_uint_eq(r->r9, 6);
	ck_assert_uint_eq(r->rbx, 7);
	ck_assert_uint_eq(r->rbp, 8);
	ck_assert_uint_eq(r->r12, 9);
	ck_assert_uint_eq(r->r13, 10);
	ck_assert_uint_eq(r->r14, 11);
	ck_assert_uint_eq(r->r15, 12);
	ck_assert_uint_eq(r->rsp, WORLD_STACK + 16 * HV_PAGE_SIZE - 8);
	ck_assert_uint_eq(r->rflags & X86_FLAG_CF, X86_FLAG_CF);
	r->rax = 77;
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(r->rax, 77);
	ck_assert_uint_eq(r->r15, 12);
	ck_assert_uint_eq(r->rflags & X86_FLAG_CF, X86_FLAG_CF);
}
END_TEST

Suite *engine_process_suite(void);

Suite *engine_process_suite(void)
{
	Suite *s = suite_create("engine_process");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_hypercall_shows_all_registers_and_returns_with_them);
	suite_add_tcase(s, tc);
	return s;
}
