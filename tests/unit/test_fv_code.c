/* SPDX-License-Identifier: MIT */
/*
 * Code pages of a kernel that runs at ring 3: what is found in them and made to trap (fullvirt/scan.c), and
 * the patches that take the place of what traps (fullvirt/patch.c, emit.c). Patched code is executed
 * here, natively, at the addresses that a guest has it at.
 */
#include <check.h>
#include <string.h>

#include "tests/fake/fv_cpu_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define INT3         0xcc

static struct fv_cpu_world w;
static struct fv_code *code;

static void setup(void)
{
	fv_cpu_world_init(&w);
	code = NULL;
}

static void teardown(void)
{
	fv_cpu_world_fini(&w);
}

static void put(unsigned at, const char *bytes, unsigned len)
{
	memcpy(w.ram + WORLD_CODE + at, bytes, len);
}

static const uint8_t *enter(unsigned at)
{
	code = fv_code_enter(w.c, WORLD_CODE, WORLD_CODE, WORLD_CODE + at);
	ck_assert_ptr_nonnull(code);
	return fv_code_copy(w.c, code);
}

/* ---- scanning ---- */

static const struct {
	const char *bytes;
	unsigned len;
	bool silent;
} instructions[] = {
	{ "\x9c", 1, true },                  /* pushf */
	{ "\x9d", 1, true },                  /* popf */
	{ "\x48\xcf", 2, true },              /* iretq */
	{ "\x48\xcb", 2, true },              /* lretq */
	{ "\x8c\xc8", 2, true },              /* mov %cs, %eax */
	{ "\x0f\xa2", 2, true },              /* cpuid */
	{ "\x0f\x01\x00", 3, true },          /* sgdt (%rax) */
	{ "\x0f\x01\x08", 3, true },          /* sidt (%rax) */
	{ "\x0f\x01\xe0", 3, true },          /* smsw %eax */
	{ "\x0f\x00\xc8", 3, true },          /* str %eax */
	{ "\x0f\x00\xc0", 3, true },          /* sldt %eax */
	{ "\x0f\x02\xc0", 3, true },          /* lar */
	{ "\x0f\x01\x38", 3, false },         /* invlpg (%rax): traps by itself */
	{ "\x0f\x01\xf8", 3, false },         /* swapgs */
	{ "\x0f\x00\xd8", 3, false },         /* ltr %ax */
	{ "\xfa", 1, false },                 /* cli */
	{ "\xf4", 1, false },                 /* hlt */
	{ "\xb8\x9c\x9d\xcf\x0f", 5, false }, /* mov $..., %eax */
	{ "\xc5\xf8\x77", 3, false },         /* vzeroupper */
};

START_TEST(what_would_be_silent_traps)
{
	const uint8_t *copy;

	put(0, instructions[_i].bytes, instructions[_i].len);
	put(instructions[_i].len, "\xc3", 1);
	copy = enter(0);
	ck_assert_int_eq(copy[0] == INT3, instructions[_i].silent);
	ck_assert_int_eq(memcmp(copy + 1, instructions[_i].bytes + 1, instructions[_i].len - 1), 0);
	/* The guest's own memory is as it was. */
	ck_assert_int_eq(memcmp(w.ram + WORLD_CODE, instructions[_i].bytes, instructions[_i].len),
	                 0);
}
END_TEST

START_TEST(branches_are_followed)
{
	const uint8_t *copy;

	put(0, "\x74\x7e", 2);             /* je 0x80 */
	put(2, "\xe9\xf9\x01\x00\x00", 5); /* jmp 0x200 */
	put(7, "\xb8\x9c", 2);             /* data that looks like the beginning of a mov */
	put(0x80, "\x9c\xc3", 2);
	put(0x200, "\xe8\xfb\x00\x00\x00\x9d\xc3", 7); /* call 0x300; popf; ret */
	put(0x300, "\x9c\xc3", 2);
	copy = enter(0);
	ck_assert_uint_eq(copy[0x80], INT3);
	ck_assert_uint_eq(copy[0x205], INT3);
	ck_assert_uint_eq(copy[0x300], INT3);
}
END_TEST

START_TEST(functions_that_nothing_points_to_are_found)
{
	const uint8_t *copy;

	memset(w.ram + WORLD_CODE, 0x90, FV_PAGE);
	put(0x10, "\xc3", 1);
	put(0x20, "\x55\x48\x89\xe5\x9c\x58\xc9\xc3",
	    8); /* push %rbp; mov; pushf; pop; leave; ret */
	copy = enter(0);
	ck_assert_uint_eq(copy[0x24], INT3);
}
END_TEST

START_TEST(an_instruction_over_the_page_end_is_taken_whole)
{
	const uint8_t *copy;

	memset(w.ram + WORLD_CODE, 0x90, FV_PAGE);
	put(FV_PAGE - 1, "\x48\xcf", 2); /* iretq, its second byte in the next page */
	copy = enter(0xf00);
	ck_assert_uint_eq(copy[FV_PAGE - 1], INT3);
}
END_TEST

START_TEST(a_page_that_is_written_is_data_again)
{
	put(0, "\x9c\xc3", 2);
	enter(0);
	ck_assert(fv_code_at_gpa(w.c, WORLD_CODE + 5));
	fv_code_drop_gpa(w.c, WORLD_CODE + 5);
	ck_assert(!fv_code_at_gpa(w.c, WORLD_CODE));
	ck_assert_ptr_null(fv_code_find(w.c, WORLD_CODE));
	ck_assert_uint_eq(w.drops, 1);
	ck_assert_uint_eq(w.last_va, WORLD_CODE);
	put(0, "\x90\xc3", 2);
	ck_assert_uint_eq(enter(0)[0], 0x90);
}
END_TEST

START_TEST(pages_beyond_the_limit_make_room)
{
	w.c->nr_free_copies = 3;
	for (unsigned i = 0; i < 8; i++)
		ck_assert_ptr_nonnull(fv_code_enter(w.c, UINT64_C(0x10000000) + i * FV_PAGE,
		                                    (0x100 + i % 128) * FV_PAGE, 0));
}
END_TEST

/* ---- patches ---- */

static const struct {
	const char *bytes;
	unsigned len;
	unsigned at; /* what trapped */
	bool patched;
} rows[] = {
	{ "\xfa\x48\x89\xc8\x48\x89\xc8\xc3", 8, 0, true }, /* cli; mov; mov; ret */
	{ "\x9c\x58\xfa\x90\x90\x90\xc3", 7, 0, true },     /* pushf; pop; cli; nops */
	{ "\x9d\xc3\x90\x90\x90\x90", 6, 0, true },         /* popf; ret; padding */
	{ "\x9d\xc3\x55\x48\x89\xe5\xc3", 7, 0, false },    /* popf; ret; another function */
	{ "\xfa\x74\x02\x90\x90\x90\xc3", 7, 0, false },    /* cli; je */
	{ "\xfa\xff\xd0\x90\x90\x90\xc3", 7, 0, false },    /* cli; call *%rax */
	{ "\x48\x81\xc4\x98\x00\x00\x00\x48\xcf\x55\x55\xc3", 12, 7,
	  true },                                        /* add, iretq: from before */
	{ "\x0f\x30\x90\x90\x90\xc3", 6, 0, false },     /* wrmsr: may have a fix-up */
	{ "\x48\x8b\x00\x90\x90\x90\xc3", 7, 0, false }, /* mov (%rax): a plain fault */
};

START_TEST(a_patch_is_made_where_it_can_be)
{
	const uint8_t *copy;

	put(0, rows[_i].bytes, rows[_i].len);
	copy = enter(0);
	fv_patch(w.c, WORLD_CODE + rows[_i].at);
	ck_assert_uint_eq(w.c->nr_patched, rows[_i].patched);
	ck_assert_int_eq(copy[0] == 0xe9, rows[_i].patched);
}
END_TEST

START_TEST(a_branch_into_a_jump_undoes_it)
{
	const uint8_t *copy;

	put(0, "\xfa\x90\x90\x90\x90\x9c\xc3", 7);
	put(0x100, "\xe9\xfd\xfe\xff\xff", 5); /* jmp 2 */
	memset(w.ram + WORLD_CODE + 7, 0xf1, 0x100 - 7);
	copy = enter(0);
	/* Found before: no patch. */
	fv_patch(w.c, WORLD_CODE);
	if (copy[0] == 0xe9) {
		fv_code_scan(w.c, code, 0x100);
		ck_assert_uint_eq(copy[0], 0xfa);
	}
	ck_assert_uint_eq(copy[1], 0x90);
	ck_assert_uint_eq(copy[5], INT3);
}
END_TEST

START_TEST(undoing_brings_the_bytes_back)
{
	const uint8_t *copy;

	put(0, "\x9c\x58\xfa\x90\x90\x90\xc3", 7);
	copy = enter(0);
	fv_patch(w.c, WORLD_CODE);
	ck_assert_uint_eq(copy[0], 0xe9);
	ck_assert_uint_eq(fv_patch_expose(w.c, WORLD_CODE + 2), WORLD_CODE + 2);
	ck_assert_uint_eq(copy[0], INT3);
	ck_assert_int_eq(memcmp(copy + 1, w.ram + WORLD_CODE + 1, 6), 0);
	/* Not made again. */
	fv_patch(w.c, WORLD_CODE);
	ck_assert_uint_eq(copy[0], INT3);
}
END_TEST

START_TEST(an_address_in_a_patch_is_the_instructions)
{
	put(0, "\x9c\x58\xfa\x90\x90\x90\xc3", 7);
	enter(0);
	fv_patch(w.c, WORLD_CODE);
	ck_assert_uint_eq(fv_patch_expose(w.c, w.c->patch[0].start), WORLD_CODE);
	ck_assert_uint_eq(fv_patch_expose(w.c, w.c->patch[0].start + w.c->patch[0].out[2]),
	                  WORLD_CODE + 2);
}
END_TEST

START_TEST(a_full_area_begins_anew)
{
	put(0, "\xfa\x90\x90\x90\x90\xc3", 6);
	enter(0);
	w.c->patch_at = FV_AREA_END - 64;
	fv_patch(w.c, WORLD_CODE);
	ck_assert_uint_eq(w.c->patch_at, FV_PATCHES);
	ck_assert_ptr_null(fv_code_find(w.c, WORLD_CODE));
}
END_TEST

/* ---- patches, carried out ---- */

/*
 * Calls code with what it does to rax and the flags to be seen. The code may lose any register that a
 * function may lose.
 */
struct result {
	uint64_t rax, flags;
};

static struct result call(uint64_t rax, uint64_t flags)
{
	struct result r;

	__asm__ volatile("push %[in]\n\tpopfq\n\tcall *%[at]\n\tpushfq\n\tpop %[out]"
	                 : "=a"(r.rax), [out] "=&r"(r.flags)
	                 : "a"(rax), [in] "r"(flags), [at] "r"((uint64_t)WORLD_CODE)
	                 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return r;
}

#define ARITH 0x8d5u

/* Patches every instruction that needs it, and runs the page. False: it cannot be shown here. */
static bool run(struct result *r, uint64_t rax, uint64_t flags)
{
	const uint8_t *copy = enter(0);

	fv_patch(w.c, WORLD_CODE);
	ck_assert_uint_eq(copy[0], 0xe9);
	if (!fv_cpu_world_show(&w, code))
		return false;
	*r = call(rax, flags);
	fv_cpu_world_hide(&w, code);
	return true;
}

static uint8_t *mask(void)
{
	return &w.c->page->info.evtchn_upcall_mask;
}

START_TEST(saving_and_disabling_interrupts)
{
	struct result r;

	put(0, "\x9c\x58\xfa\x90\x90\x90\xc3", 7); /* pushf; pop %rax; cli */
	*mask() = (uint8_t)_i;
	if (!run(&r, 0, 0x202 | ARITH))
		return;
	ck_assert_uint_eq(r.rax & 0x200, _i ? 0 : 0x200);
	ck_assert_uint_eq(r.rax & ARITH, ARITH);
	ck_assert_uint_eq(r.flags & ARITH, ARITH);
	ck_assert_uint_eq(*mask(), 1);
}
END_TEST

START_TEST(enabling_interrupts)
{
	struct result r;

	put(0, "\xfb\x90\x90\x90\x90\xc3", 6); /* sti */
	*mask() = 1;
	if (!run(&r, 5, 0x202 | (_i ? ARITH : 0)))
		return;
	ck_assert_uint_eq(r.rax, 5);
	ck_assert_uint_eq(r.flags & ARITH, _i ? ARITH : 0);
	ck_assert_uint_eq(*mask(), 0);
}
END_TEST

START_TEST(restoring_flags)
{
	struct result r;

	put(0, "\x50\x9d\x90\x90\x90\x90\xc3", 7); /* push %rax; popf */
	*mask() = !_i;
	enter(0);
	fv_patch(w.c, WORLD_CODE + 1);
	if (!fv_cpu_world_show(&w, code))
		return;
	r = call((_i & 1 ? 0x200 : 0) | 2 | ARITH, 0x202);
	fv_cpu_world_hide(&w, code);
	ck_assert_uint_eq(r.flags & ARITH, ARITH);
	ck_assert_uint_eq(*mask(), _i & 1 ? 0 : 1);
}
END_TEST

START_TEST(control_registers_are_read)
{
	struct result r;

	put(0, "\x0f\x20\xd0\x90\x90\xc3", 6); /* mov %cr2, %rax */
	w.c->page->cr2 = 0x123456789abc;
	if (!run(&r, 0, 0x202 | ARITH))
		return;
	ck_assert_uint_eq(r.rax, 0x123456789abc);
	ck_assert_uint_eq(r.flags & ARITH, ARITH);
}
END_TEST

/* What follows is carried out from its new place, too: an address relative to itself, and a jump. */
START_TEST(neighbours_do_what_they_did)
{
	struct result r;

	put(0, "\xfa\x48\x8b\x05\xf1\x00\x00\x00\xc3", 9); /* cli; mov 0xf9(%rip), %rax */
	put(0xf9, "\x11\x22\x33\x44\x55\x66\x77\x08", 8);
	if (run(&r, 0, 0x202))
		ck_assert_uint_eq(r.rax, 0x0877665544332211);
	fv_code_drop_all(w.c);
	put(0, "\xfa\xe9\xfa\x00\x00\x00", 6); /* cli; jmp 0x100 */
	put(0x100, "\xb8\x07\x00\x00\x00\xc3", 6);
	if (run(&r, 0, 0x202))
		ck_assert_uint_eq(r.rax, 7);
}
END_TEST

Suite *fv_code_suite(void);
Suite *fv_code_suite(void)
{
	Suite *suite = suite_create("fv_code");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_loop_test(normal, what_would_be_silent_traps, 0, ARRAY_LEN(instructions));
	tcase_add_test(normal, branches_are_followed);
	tcase_add_test(normal, functions_that_nothing_points_to_are_found);
	tcase_add_test(normal, an_instruction_over_the_page_end_is_taken_whole);
	tcase_add_test(normal, a_page_that_is_written_is_data_again);
	tcase_add_loop_test(normal, a_patch_is_made_where_it_can_be, 0, ARRAY_LEN(rows));
	tcase_add_test(normal, a_branch_into_a_jump_undoes_it);
	tcase_add_test(normal, undoing_brings_the_bytes_back);
	tcase_add_test(normal, an_address_in_a_patch_is_the_instructions);
	tcase_add_loop_test(normal, saving_and_disabling_interrupts, 0, 2);
	tcase_add_loop_test(normal, enabling_interrupts, 0, 2);
	tcase_add_loop_test(normal, restoring_flags, 0, 2);
	tcase_add_test(normal, control_registers_are_read);
	tcase_add_test(normal, neighbours_do_what_they_did);
	suite_add_tcase(suite, normal);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, pages_beyond_the_limit_make_room);
	tcase_add_test(limits, a_full_area_begins_anew);
	suite_add_tcase(suite, limits);
	return suite;
}
