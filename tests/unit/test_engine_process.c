/* SPDX-License-Identifier: MIT */
/*
 * The process engine alone: guest code is a few instructions in a memfd, the core is
 * tests/fake/engine_world.h. What hostile guest code tries is in test_engine_isolation.c.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/engines/process/process.h"
#include "tests/fake/engine_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TOP_OF_STACK (WORLD_STACK + 16 * HV_PAGE_SIZE)

static struct world *w;
static struct hv_vcpu *v;
static struct hv_exit e;

static void setup(void)
{
	w = world_create(&hv_engine_process);
	v = &w->vcpu[0];
	world_layout(w, v->root_kernel);
}

static void teardown(void)
{
	world_destroy(w);
}

#define PUT(blob) world_code(w, v->root_kernel, blob, blob##_end)

static void run(void)
{
	ck_assert_int_eq(world_run(w, 0, &e), 0);
}

static void run_to(enum hv_exit_kind kind)
{
	run();
	ck_assert_int_eq(e.kind, kind);
}

static void run_to_call(uint64_t nr)
{
	run_to(HV_EXIT_HYPERCALL);
	ck_assert_uint_eq(v->regs.rax, nr);
}

/* ---- hypercalls -------------------------------------------------------------------------------- */

WORLD_BLOB(blob_registers,
           "mov $1, %rdi\n mov $2, %rsi\n mov $3, %rdx\n mov $4, %r10\n mov $5, %r8\n"
           "mov $6, %r9\n mov $7, %rbx\n mov $8, %rbp\n mov $9, %r12\n mov $10, %r13\n"
           "mov $11, %r14\n mov $12, %r15\n stc\n std\n" WORLD_CALL(29) "hlt\n");

static void check_registers(const struct hv_regs *r, uint64_t rax)
{
	ck_assert_uint_eq(r->rax, rax);
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
	ck_assert_uint_eq(r->rflags & (X86_FLAG_CF | X86_FLAG_DF), X86_FLAG_CF | X86_FLAG_DF);
}

START_TEST(a_hypercall_shows_all_registers_and_returns_with_them)
{
	world_enter_at(w, 0, PUT(blob_registers));
	run_to_call(29);
	check_registers(&v->regs, 29);
	ck_assert_uint_eq(v->regs.rsp, TOP_OF_STACK - 8);
	v->regs.rax = 77;
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	check_registers(&v->regs, 77);
	ck_assert_uint_eq(v->regs.rsp, TOP_OF_STACK);
}
END_TEST

WORLD_BLOB(blob_resume, WORLD_CALL(29) "hlt\n");

START_TEST(every_register_can_be_changed_between_exits)
{
	uint64_t at = PUT(blob_resume) + (uint64_t)(blob_resume_end - blob_resume) - 1;
	struct hv_regs *r = &v->regs;

	world_enter_at(w, 0, PUT(blob_resume));
	run_to_call(29);
	for (uint64_t *g = &r->r15, i = 1; g <= &r->rdi; g++, i++)
		*g = i * UINT64_C(0x123456789abcdef);
	r->rip = at;
	r->rsp = 0xdeadbeef12345678; /* it is not used: neither are we */
	r->rflags = X86_FLAG_ONE | X86_FLAG_IF | X86_FLAG_ZF | X86_FLAG_OF | X86_FLAG_AC |
	            X86_FLAG_ID;
	run_to(HV_EXIT_EXCEPTION);
	for (uint64_t *g = &r->r15, i = 1; g <= &r->rdi; g++, i++)
		ck_assert_uint_eq(*g, i * UINT64_C(0x123456789abcdef));
	ck_assert_uint_eq(r->rip, at);
	ck_assert_uint_eq(r->rsp, 0xdeadbeef12345678);
	ck_assert_uint_eq(r->rflags & ~(uint64_t)X86_FLAG_RF, X86_FLAG_ONE | X86_FLAG_IF |
	                                                              X86_FLAG_ZF | X86_FLAG_OF |
	                                                              X86_FLAG_AC | X86_FLAG_ID);
}
END_TEST

START_TEST(the_page_has_an_entry_every_32_bytes_and_returns_from_each)
{
	static const uint8_t numbers[] = { 0, 1, 2, 12, 13, 22, 24, 26, 32, 41, 55, 63, 64, 127 };
	uint64_t nr = numbers[_i];

	world_enter_at(w, 0, WORLD_HCALL + 32 * nr);
	v->regs.rsp -= 8;
	memcpy(world_at(w, v->root_kernel, v->regs.rsp), &(uint64_t){ WORLD_CODE }, 8);
	PUT(blob_resume);
	run_to_call(nr);
	run_to_call(29);
	ck_assert_uint_eq(v->regs.rsp, TOP_OF_STACK - 8);
}
END_TEST

START_TEST(user_code_that_calls_the_page_makes_a_system_call)
{
	world_enter_at(w, 0, PUT(blob_resume));
	v->in_kernel = false;
	v->root_user = v->root_kernel;
	run_to(HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rax, 29);
	ck_assert_uint_eq(v->regs.rcx, v->regs.rip);
}
END_TEST

WORLD_BLOB(blob_syscall, "mov $39, %eax\n stc\n syscall\n hlt\n");

START_TEST(a_syscall_instruction_is_reported_and_not_done)
{
	uint64_t at = PUT(blob_syscall);

	world_enter_at(w, 0, at);
	run_to(HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rax, 39);
	ck_assert_uint_eq(v->regs.rip, at + 8);
	ck_assert_uint_eq(v->regs.rcx, v->regs.rip);
	ck_assert_uint_eq(v->regs.r11, v->regs.rflags);
	ck_assert_uint_eq(v->regs.rflags & X86_FLAG_CF, X86_FLAG_CF);
	v->regs.rax = 5;
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(v->regs.rax, 5);
}
END_TEST

/* ---- in place ---------------------------------------------------------------------------------- */

WORLD_BLOB(blob_in_place, "mov $0x1234, %rsi\n xor %edi, %edi\n stc\n" WORLD_CALL(25) /* fs */
           "jnc 9f\n mov $1, %edi\n mov $0x5678, %rsi\n" WORLD_CALL(25) /* gs of user */
           "mov $2, %edi\n mov $0x9abc, %rsi\n" WORLD_CALL(25)          /* gs of kernel */
           "mov $0x2b, %edi\n mov $0xfeed000, %rsi\n" WORLD_CALL(3)     /* stack_switch */
           "mov %rax, %rbx\n" WORLD_CALL(29) "9: hlt\n");

START_TEST(what_touches_only_the_vcpu_is_answered_in_place)
{
	world_enter_at(w, 0, PUT(blob_in_place));
	run_to_call(29);
	ck_assert_uint_eq(v->regs.rbx, 0);
	ck_assert_uint_eq(v->regs.fs_base, 0x1234);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x5678);
	ck_assert_uint_eq(v->regs.gs_base_kernel, 0x9abc);
	ck_assert_uint_eq(v->traps.kernel_ss, 0x2b);
	ck_assert_uint_eq(v->traps.kernel_sp, 0xfeed000);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 25), 3);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 3), 1);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 29), 0);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 64), 0);
}
END_TEST

START_TEST(nothing_is_answered_in_place_while_every_call_is_traced)
{
	struct hv_tracer tracer = { .every_call = true };

	w->machine.tracer = &tracer;
	world_enter_at(w, 0, PUT(blob_in_place));
	run_to_call(25);
	run_to_call(25);
	run_to_call(25);
	run_to_call(3);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 25), 0);
}
END_TEST

WORLD_BLOB(blob_noncanonical,
           "mov $0x0000900000000000, %rsi\n xor %edi, %edi\n" WORLD_CALL(25) "hlt\n");

START_TEST(a_base_that_is_not_canonical_goes_to_the_core)
{
	world_enter_at(w, 0, PUT(blob_noncanonical));
	run_to_call(25);
	ck_assert_uint_eq(v->regs.fs_base, 0);
}
END_TEST

WORLD_BLOB(blob_versions,
           "xor %edi, %edi\n" WORLD_CALL(17) "mov %rax, %rbx\n xor %edi, %edi\n" WORLD_CALL(
		   17) "mov %rax, %rbp\n" WORLD_CALL(29) "xor %edi, %edi\n" WORLD_CALL(17) "hlt\n");

START_TEST(the_version_is_answered_in_place_unless_an_event_is_due)
{
	world_enter_at(w, 0, PUT(blob_versions));
	run_to_call(17); /* the first time the core must say it */
	v->regs.rax = 0x40011;
	run_to_call(29);
	ck_assert_uint_eq(v->regs.rbx, 0x40011);
	ck_assert_uint_eq(v->regs.rbp, 0x40011);
	v->info->evtchn_upcall_pending = 1;
	run_to_call(17);
}
END_TEST

WORLD_BLOB(blob_iret, "lea 1f(%rip), %rcx\n mov $0x3fff00, %ebx\n push $0xe02b\n push %rbx\n"
                      "push %rdi\n push %rsi\n push %rcx\n push $0\n mov $0x33, %ecx\n"
                      "mov $0x44, %r11d\n mov $0x55, %eax\n pushq $0x2002e0\n ret\n"
                      "1: hlt\n");

/* How an iret frame is answered: edi = flags, esi = cs. */
static const struct {
	uint64_t rflags, cs;
	uint8_t pending, mask_before, mask_after;
	bool in_place;
} irets[] = {
	{ 0x202, 0xe030, 0, 1, 0, true },          /* events on, none there */
	{ 0x002, 0xe030, 0, 0, 1, true },          /* events off */
	{ 0x002, 0xe030, 1, 1, 1, true },          /* events stay off: what is pending stays so */
	{ 0x202, 0xe030, 1, 1, 0, false },         /* an event to deliver */
	{ 0x202, 0xe033, 0, 1, 1, false },         /* to user mode */
	{ 0x202, 0x10, 0, 1, 1, false },           /* another segment */
	{ 0x302, 0xe030, 0, 1, 1, false },         /* single step */
	{ 0x4202, 0xe030, 0, 1, 1, false },        /* nested task */
	{ 0x240ed7, 0xe030, 0, 1, 0, true },       /* all the plain flags */
	{ 0x10000000202, 0xe030, 0, 1, 1, false }, /* bits that are none */
};

START_TEST(an_iret_within_the_kernel_is_done_in_place_when_nothing_else_is_to_do)
{
	world_enter_at(w, 0, PUT(blob_iret));
	v->info->evtchn_upcall_pending = irets[_i].pending;
	v->info->evtchn_upcall_mask = irets[_i].mask_before;
	v->regs.rdi = irets[_i].rflags;
	v->regs.rsi = irets[_i].cs;
	run();
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, irets[_i].mask_after);
	if (!irets[_i].in_place) {
		struct iret_context c;

		ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
		ck_assert_uint_eq(v->regs.rax, 23);
		memcpy(&c, world_at(w, v->root_kernel, v->regs.rsp), sizeof(c));
		ck_assert_uint_eq(c.rax, 0x55);
		ck_assert_uint_eq(c.r11, 0x44);
		ck_assert_uint_eq(c.rcx, 0x33);
		ck_assert_uint_eq(c.rflags, irets[_i].rflags);
		return;
	}
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(v->regs.rax, 0x55);
	ck_assert_uint_eq(v->regs.r11, 0x44);
	ck_assert_uint_eq(v->regs.rcx, 0x33);
	ck_assert_uint_eq(v->regs.rsp, 0x3fff00);
	ck_assert_uint_eq(v->regs.rflags & ~(uint64_t)X86_FLAG_RF, irets[_i].rflags | X86_FLAG_IF);
	ck_assert_uint_eq(hv_engine_process.local_hypercalls(v, 23), 1);
}
END_TEST

WORLD_BLOB(blob_bad_iret, "mov $0x30f000, %esp\n mov $0x2002e0, %eax\n jmp *%rax\n");

START_TEST(an_iret_frame_that_is_not_there_goes_to_the_core)
{
	world_enter_at(w, 0, PUT(blob_bad_iret));
	w->run[2].nr = 15; /* without the page that would hold all of the frame but three words */
	run();
	ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
	ck_assert_uint_eq(v->regs.rax, 23);
	ck_assert_uint_eq(v->regs.rsp, 0x30f000 - 24);
}
END_TEST

/* ---- exceptions -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t code[24];
	uint8_t len, at; /* at: where rip stands, from the first byte */
	uint8_t vector;
	uint32_t error_code;
	uint64_t cr2;
} faults[] = {
	{ "hlt", { 0xf4 }, 1, 0, 13, 0, 0 },
	{ "cli", { 0xfa }, 1, 0, 13, 0, 0 },
	{ "in", { 0xec }, 1, 0, 13, 0, 0 },
	{ "mov cr3", { 0x0f, 0x20, 0xd8 }, 3, 0, 13, 0, 0 },
	{ "rdmsr", { 0x0f, 0x32 }, 2, 0, 13, 0, 0 },
	{ "int 0x82", { 0xcd, 0x82 }, 2, 0, 13, 0x82 * 8 + 2, 0 },
	{ "int 0x80", { 0xcd, 0x80 }, 2, 0, 13, 0x80 * 8 + 2, 0 },
	{ "mov $0xe02b, ds", { 0xb8, 0x2b, 0xe0, 0, 0, 0x8e, 0xd8 }, 7, 5, 13, 0xe028, 0 },
	{ "noncanonical", { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x8a, 0 }, 12, 10, 13, 0, 0 },
	{ "ud2", { 0x0f, 0x0b }, 2, 0, 6, 0, 0 },
	{ "stac", { 0x0f, 0x01, 0xcb }, 3, 0, 6, 0, 0 },
	{ "int3", { 0xcc }, 1, 1, 3, 0, 0 },
	{ "div 0", { 0x31, 0xc9, 0xf7, 0xf1 }, 4, 2, 0, 0, 0 },
	{ "read", { 0x8a, 0x04, 0x25, 0, 0, 0, 0x70 }, 7, 0, 14, 4, 0x70000000 },
	{ "write", { 0x88, 0x04, 0x25, 8, 0, 0, 0x70 }, 7, 0, 14, 6, 0x70000008 },
	{ "write to code", { 0x88, 0x04, 0x25, 0, 0, 0x10, 0 }, 7, 0, 14, 7, 0x100000 },
	{ "jump to nothing", { 0xb8, 0, 0, 0, 0x70, 0xff, 0xe0 }, 7, 0, 14, 0x14, 0x70000000 },
	{ "jump to data", { 0xb8, 0, 0, 0x40, 0, 0xff, 0xe0 }, 7, 0, 14, 0x15, 0x400000 },
	{ "read above",
	  { 0x48, 0xb8, 0, 0, 0, 0, 0, 0x88, 0xff, 0xff, 0x8a, 0 },
	  12,
	  10,
	  14,
	  5,
	  0xffff880000000000 },
	{ "simd",
	  { 0x0f, 0xae, 0x14, 0x25, 0, 0, 0x40, 0, 0x0f, 0x57, 0xc0, 0x0f, 0x57, 0xc9, 0x0f, 0x5e,
	    0xc1 },
	  17,
	  14,
	  19,
	  0,
	  0 },
};

START_TEST(an_exception_comes_as_hardware_gives_it)
{
	const char *code = (const char *)faults[_i].code;
	uint64_t at = world_code(w, v->root_kernel, code, code + faults[_i].len);
	uint64_t rip = at + faults[_i].at;

	/* for the one that needs MXCSR with all exceptions unmasked; mapped already for the others */
	memset(world_at(w, v->root_kernel, WORLD_DATA), 0, 64);
	world_enter_at(w, 0, at);
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_msg(e.vector == faults[_i].vector, "%s: vector %u", faults[_i].name, e.vector);
	ck_assert_msg((e.error_code & ~1u) == (faults[_i].error_code & ~1u), "%s: error code %#x",
	              faults[_i].name, e.error_code);
	if (e.vector == 14) {
		ck_assert_uint_eq(e.cr2, faults[_i].cr2);
		if (e.error_code & 16)
			rip = faults[_i].cr2;
	}
	ck_assert_msg(v->regs.rip == rip, "%s: rip %#llx", faults[_i].name,
	              (unsigned long long)v->regs.rip);
}
END_TEST

START_TEST(an_address_without_code_faults_as_hardware_does)
{
	static const struct {
		uint64_t rip;
		uint8_t vector;
	} at[] = { { 0, 14 },
		   { PE_GUEST_END, 14 },
		   { PE_CODE, 14 },
		   { 0x7fffffffffff, 14 },
		   { 0x800000000000, 13 },
		   { 0xffff7fffffffffff, 13 },
		   { 0xffff800000000000, 14 },
		   { 0xffffffffffffffff, 14 } };

	world_enter_at(w, 0, at[_i].rip);
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, at[_i].vector);
	ck_assert_uint_eq(v->regs.rip, at[_i].rip);
	if (e.vector == 14)
		ck_assert_uint_eq(e.cr2, at[_i].rip);
}
END_TEST

WORLD_BLOB(blob_misaligned, "mov 0x400001, %eax\n hlt\n");

START_TEST(alignment_checks_work)
{
	uint64_t at = PUT(blob_misaligned);

	world_enter_at(w, 0, at);
	v->regs.rflags |= X86_FLAG_AC;
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 17);
	ck_assert_uint_eq(v->regs.rip, at);
	v->regs.rflags &= ~(uint64_t)X86_FLAG_AC;
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
}
END_TEST

/* It ends at the hlt however many steps the hypercall page has. */
START_TEST(single_steps_go_through_hypercalls)
{
	uint64_t at = PUT(blob_resume);
	uint64_t end = at + (uint64_t)(blob_resume_end - blob_resume) - 1;
	bool called = false;

	world_enter_at(w, 0, at);
	v->regs.rflags |= X86_FLAG_TF;
	for (unsigned i = 0; i < 12 && v->regs.rip != end; i++) {
		run();
		if (e.kind == HV_EXIT_HYPERCALL) {
			ck_assert_uint_eq(v->regs.rflags & X86_FLAG_TF, X86_FLAG_TF);
			called = true;
			continue;
		}
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		ck_assert_uint_eq(e.vector, 1);
	}
	ck_assert(called);
	ck_assert_uint_eq(v->regs.rip, end);
}
END_TEST

/* A far jump to the host's 32-bit code segment, which the guest's GDT has under the same number. */
WORLD_BLOB(blob_compat,
           "ljmp *1f(%rip)\n 1: .long 0x100040, 0x23\n .skip 64 - (. - blob_compat), 0x90\n"
           ".code32\n inc %eax\n hlt\n inc %eax\n hlt\n .code64\n");

START_TEST(code_of_32_bits_runs_and_stays_what_it_is)
{
	world_enter_at(w, 0, PUT(blob_compat));
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(v->regs.cs, FLAT_RING3_CS32);
	ck_assert_uint_eq(v->regs.rax, 1);
	v->regs.rip++;
	v->regs.rax = 0xffffffff;
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(v->regs.rax, 0);
	v->regs.cs = FLAT_RING3_CS64;
}
END_TEST

/* ---- floating point ---------------------------------------------------------------------------- */

WORLD_BLOB(
	blob_fpu,
	"mov $0x400000, %eax\n fldl (%rax)\n movups (%rax), %xmm0\n movups 16(%rax), %xmm15\n"
	"1: ldmxcsr 32(%rax)\n 2: " WORLD_CALL(
		29) "mov $0x400100, %eax\n movups %xmm0, (%rax)\n"
		    "movups %xmm15, 16(%rax)\n stmxcsr 32(%rax)\n fstl 40(%rax)\n hlt\n jmp 2b\n");

static const double numbers[4] = { 1.5, -2.25, 1e300, 3.0 };

static void start_fpu(void)
{
	const uint32_t mxcsr = 0x3fc0; /* with DAZ, which not every mask has */

	memcpy(world_at(w, v->root_kernel, WORLD_DATA), numbers, sizeof(numbers));
	memcpy(world_at(w, v->root_kernel, WORLD_DATA + 32), &mxcsr, sizeof(mxcsr));
	world_enter_at(w, 0, PUT(blob_fpu));
	run_to_call(29);
}

static void check_fpu(void)
{
	uint8_t *found = world_at(w, v->root_kernel, WORLD_DATA + 0x100);
	uint32_t mxcsr;

	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	memcpy(&mxcsr, found + 32, sizeof(mxcsr));
	ck_assert_mem_eq(found, numbers, sizeof(numbers));
	ck_assert_uint_eq(mxcsr & ~0x3fu, 0x3fc0);
	ck_assert_mem_eq(found + 40, numbers, sizeof(double));
	memset(found, 0, 64);
	v->regs.rip++;
	run_to_call(29);
}

/* Another root with the same pages. */
static mfn_t twin_root(void)
{
	mfn_t twin = world_alloc(w, 1);
	unsigned nr = w->nr_runs;

	for (unsigned i = 0; i < nr; i++) {
		struct hv_run_map *m = &w->run[i];

		world_map(w, twin, m->va, m->nr, m->mfn, m->writable ? "w" : "x");
	}
	return twin;
}

START_TEST(the_floating_point_state_survives_exits)
{
	start_fpu();
	check_fpu(); /* after a hypercall, and one more after the exception in there */
	check_fpu();
}
END_TEST

START_TEST(the_floating_point_state_goes_along_to_another_root)
{
	mfn_t root[2] = { v->root_kernel, twin_root() };

	start_fpu();
	for (unsigned i = 0; i < 6; i++) {
		v->root_kernel = root[i & 1]; /* after a hypercall */
		check_fpu();
	}
	/* and after an exception */
	for (unsigned i = 0; i < 6; i++) {
		run_to(HV_EXIT_EXCEPTION);
		v->root_kernel = root[i & 1];
		v->regs.rip++;
		run_to_call(29);
		check_fpu();
	}
}
END_TEST

START_TEST(the_floating_point_state_can_be_reset)
{
	uint8_t *found = world_at(w, v->root_kernel, WORLD_DATA + 0x100);
	static const uint8_t zeros[32];
	uint32_t mxcsr;

	start_fpu();
	hv_engine_process.vcpu_reset_fpu(v);
	memset(found, 0xff, 64);
	run_to(HV_EXIT_EXCEPTION);
	memcpy(&mxcsr, found + 32, sizeof(mxcsr));
	ck_assert_mem_eq(found, zeros, 32);
	ck_assert_uint_eq(mxcsr, 0x1f80);
}
END_TEST

/* As fxsave would have written it; or with a bit that there is not. */
START_TEST(the_floating_point_state_can_be_given)
{
	uint8_t *found = world_at(w, v->root_kernel, WORLD_DATA + 0x100);
	uint8_t image[512] = { 0x7f, 0x03 };
	uint32_t mxcsr = _i ? 0x80001f80 : 0x5f80;

	start_fpu();
	memcpy(image + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	memset(image + 160, 0x11, 16);       /* xmm0 */
	memset(image + 160 + 240, 0x22, 16); /* xmm15 */
	hv_engine_process.vcpu_set_fpu(v, image);
	memset(found, 0xff, 64);
	run_to(HV_EXIT_EXCEPTION);
	memcpy(&mxcsr, found + 32, sizeof(mxcsr));
	ck_assert_uint_eq(mxcsr, _i ? 0x1f80 : 0x5f80);
	ck_assert_uint_eq(found[0], _i ? 0 : 0x11);
	ck_assert_uint_eq(found[31], _i ? 0 : 0x22);
}
END_TEST

WORLD_BLOB(blob_segments,
           "mov %fs:0, %rbx\n mov %gs:0, %rbp\n wrfsbase %rsi\n wrgsbase %rdi\n" WORLD_CALL(
		   29) "hlt\n");

START_TEST(segment_bases_belong_to_the_vcpu)
{
	mfn_t root[2] = { v->root_kernel, twin_root() };
	uint64_t at = PUT(blob_segments);
	uint64_t *data = (void *)world_at(w, v->root_kernel, WORLD_DATA);

	data[0] = 10;
	data[1] = 11;
	data[2] = 12;
	for (unsigned i = 0; i < 4; i++) {
		v->root_kernel = root[i & 1];
		world_enter_at(w, 0, at);
		v->regs.fs_base = WORLD_DATA + 8;
		v->regs.gs_base_kernel = WORLD_DATA + 16;
		v->regs.gs_base_user = WORLD_DATA;
		v->regs.rsi = 0x1000 + i;
		v->regs.rdi = 0xffff800000000000 + i;
		run_to_call(29);
		ck_assert_uint_eq(v->regs.rbx, 11);
		ck_assert_uint_eq(v->regs.rbp, 12);
		ck_assert_uint_eq(v->regs.fs_base, 0x1000 + i);
		ck_assert_uint_eq(v->regs.gs_base_kernel, 0xffff800000000000 + i);
		ck_assert_uint_eq(v->regs.gs_base_user, WORLD_DATA);
	}
}
END_TEST

/* ---- mappings ---------------------------------------------------------------------------------- */

WORLD_BLOB(blob_read, "1: mov 0x410000, %rbx\n hlt\n jmp 1b\n");

static uint64_t changed(mfn_t root, uint64_t va, uint64_t len)
{
	struct hv_entry_change c = { .root = root, .va = va, .len = len };

	return hv_engine_process.entry_changed(&w->domain, &c);
}

/* Another frame with a number in it goes where the data page at 0x410000 is. */
static void remap(uint64_t number)
{
	mfn_t m = world_map(w, v->root_kernel, 0x410000, 1, HV_MFN_NONE, "w");

	memcpy(world_frame(w, m), &number, sizeof(number));
}

static uint64_t read_again(void)
{
	run_to(HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	v->regs.rip++;
	return v->regs.rbx;
}

static const struct {
	uint64_t va, len;
	bool other_root, any_root, visible;
} removals[] = {
	{ 0x410000, 0x1000, false, false, true },
	{ 0x400000, 0x10000, false, false, false }, /* ends just below */
	{ 0x411000, 0x1000, false, false, false },  /* begins just above */
	{ 0x400000, 0x200000, false, false, true },
	{ 0, UINT64_C(1) << 39, false, false, true },
	{ 0, 0, false, false, true }, /* anything */
	{ 0x410000, 0x1000, true, false, false },
	{ 0x410000, 0x1000, false, true, true },
};

START_TEST(a_removal_shows_after_the_next_flush)
{
	mfn_t root = removals[_i].any_root     ? HV_MFN_NONE
	             : removals[_i].other_root ? (mfn_t){ 1 }
	                                       : v->root_kernel;

	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 1);
	remap(2);
	changed(root, removals[_i].va, removals[_i].len);
	hv_engine_process.sync(&w->domain, 1);
	ck_assert_uint_eq(read_again(), removals[_i].visible ? 2 : 1);
}
END_TEST

START_TEST(a_removal_shows_after_retire_and_after_a_change_of_root)
{
	mfn_t root[2] = { v->root_kernel, twin_root() };

	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 1);
	remap(2);
	hv_engine_process.retire(&w->domain, changed(v->root_kernel, 0x410000, 0x1000));
	ck_assert_uint_eq(read_again(), 2);
	remap(3);
	changed(v->root_kernel, 0x410000, 0x1000);
	ck_assert_uint_eq(read_again(), 2); /* no flush yet */
	v->root_kernel = root[1];
	remap(100);
	ck_assert_uint_eq(read_again(), 100);
	v->root_kernel = root[0];
	ck_assert_uint_eq(read_again(), 3);
}
END_TEST

START_TEST(a_lost_log_drops_everything)
{
	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 1);
	remap(2);
	changed(v->root_kernel, 0x410000, 0x1000);
	for (unsigned i = 0; i < PE_LOG_SIZE; i++)
		changed(v->root_kernel, 0x70000000, 0x1000);
	hv_engine_process.sync(&w->domain, 1);
	ck_assert_uint_eq(read_again(), 2);
}
END_TEST

START_TEST(what_lies_elsewhere_is_not_mapped)
{
	struct hv_run_map m = { .root = v->root_kernel, .va = 0x600000, .nr = 1 };
	static const struct {
		uint64_t va, nr, mfn;
	} bad[] = {
		{ 0x600000, 1, WORLD_FIRST_MFN - 1 },
		{ 0x600000, 1, WORLD_FIRST_MFN + WORLD_FRAMES },
		{ 0x600000, 2, WORLD_FIRST_MFN + WORLD_FRAMES - 1 },
		{ 0x600000, UINT64_MAX, WORLD_FIRST_MFN },
		{ 0x600001, 1, WORLD_FIRST_MFN },
		{ PE_GUEST_END, 1, WORLD_FIRST_MFN },
		{ PE_GUEST_END - 0x1000, 2, WORLD_FIRST_MFN },
		{ PE_CTL, 1, WORLD_FIRST_MFN },
		{ 0xffff800000000000, 1, WORLD_FIRST_MFN },
	};

	world_enter_at(w, 0, PUT(blob_read));
	read_again();
	m.va = bad[_i].va;
	m.miss = m.va;
	m.nr = bad[_i].nr;
	m.mfn.n = bad[_i].mfn;
	ck_assert_int_eq(hv_engine_process.fill(v, &m), -EINVAL);
}
END_TEST

/* More separate pages than a process can have mapped: a cache forgets, nothing else happens. */
START_TEST(more_mappings_than_the_host_allows_are_no_failure)
{
	struct hv_run_map m = { .root = v->root_kernel, .nr = 1, .mfn = world_alloc(w, 4) };

	remap(7);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 7);
	for (unsigned i = 0; i < 70000; i++) {
		m.va = 0x10000000 + (uint64_t)i * 2 * HV_PAGE_SIZE;
		m.miss = m.va;
		ck_assert_int_eq(hv_engine_process.fill(v, &m), 0);
	}
	ck_assert_uint_eq(read_again(), 7);
}
END_TEST

WORLD_BLOB(blob_poll, "1: mov 0x410000, %rbx\n cmp $1000, %rbx\n jb 1b\n hlt\n jmp 1b\n");

static atomic_bool poller_ends;

static void *poller(void *arg)
{
	struct hv_exit x;

	(void)arg;
	while (!atomic_load(&poller_ends)) {
		if (world_run(w, 1, &x) || x.kind == HV_EXIT_EXCEPTION)
			return (void *)1;
	}
	return NULL;
}

/*
 * A second vCPU reads a page all the time while its frame is exchanged. After each retire() the old
 * frame gets a number that the reader must never see.
 */
START_TEST(nobody_reads_a_frame_after_it_was_retired)
{
	struct hv_vcpu *v1 = &w->vcpu[1];
	mfn_t frame[2] = { world_alloc(w, 1), world_alloc(w, 1) };
	struct hv_run_map *m;
	pthread_t t;
	void *seen;

	v1->root_kernel = v->root_kernel;
	world_map(w, v->root_kernel, 0x410000, 1, frame[0], "w");
	m = &w->run[w->nr_runs - 1];
	world_enter_at(w, 1, PUT(blob_poll));
	atomic_store(&w->stop_at_tick, true);
	pthread_create(&t, NULL, poller, NULL);
	/* Until the reader has met enough of them; how many a round brings is the scheduler's. */
	for (unsigned i = 1; i < 500 || (w->nr_fills <= 100 && i < 50000); i++) {
		uint64_t *old = (void *)world_frame(w, frame[(i - 1) & 1]);
		uint64_t *new = (void *)world_frame(w, frame[i & 1]);

		usleep(100);
		pthread_mutex_lock(&w->domain.lock);
		*new = i & 511;
		m->mfn = frame[i & 1];
		hv_engine_process.retire(&w->domain, changed(v->root_kernel, 0x410000, 0x1000));
		*old = 5000;
		pthread_mutex_unlock(&w->domain.lock);
	}
	atomic_store(&poller_ends, true);
	hv_engine_process.vcpu_kick(v1);
	pthread_join(t, &seen);
	ck_assert_ptr_null(seen);
	ck_assert_uint_gt(w->nr_fills, 100);
}
END_TEST

static void *flusher(void *arg)
{
	(void)arg;
	hv_engine_process.sync(&w->domain, 1);
	return NULL;
}

static atomic_bool crowd_ends;

static void *crowd(void *arg)
{
	(void)arg;
	while (!atomic_load(&crowd_ends))
		__builtin_ia32_pause();
	return NULL;
}

/* The mapper of p gets its core only when nobody else wants it, and somebody does. */
static pthread_t starve_mapper(const struct pe_proc *p)
{
	struct sched_param none = { 0 };
	pthread_t t;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(p->core >= 0 ? p->core : 0, &set);
	ck_assert_int_eq(sched_setaffinity(p->mapper_tid, sizeof(set), &set), 0);
	ck_assert_int_eq(sched_setscheduler(p->mapper_tid, SCHED_IDLE, &none), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, crowd, NULL), 0);
	pthread_setaffinity_np(t, sizeof(set), &set);
	return t;
}

/*
 * Another vCPU flushes ours, and publishes the order to our mapper, while we are about to resume: the
 * guest must not go on before that order is done, although nothing is left to publish.
 */
START_TEST(a_guest_goes_on_behind_what_another_vcpu_ordered)
{
	struct pe_vcpu *pv = v->engine_priv;
	pthread_t spinner, t;

	remap(0);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 0);
	spinner = starve_mapper(pv->current);
	for (uint64_t i = 1; i <= 10; i++) {
		uint32_t tail = pe_load(pv->current->ctl, CTL_TAIL);

		remap(i);
		changed(v->root_kernel, 0x410000, 0x1000);
		pthread_create(&t, NULL, flusher, NULL);
		while (pe_load(pv->current->ctl, CTL_TAIL) == tail)
			sched_yield();
		ck_assert_uint_eq(read_again(), i);
		pthread_join(t, NULL);
	}
	atomic_store(&crowd_ends, true);
	pthread_join(spinner, NULL);
}
END_TEST

START_TEST(more_roots_than_processes_take_turns)
{
	mfn_t root[12];

	root[0] = v->root_kernel;
	remap(42);
	world_enter_at(w, 0, PUT(blob_read));
	for (unsigned i = 1; i < ARRAY_LEN(root); i++) {
		root[i] = world_alloc(w, 1);
		for (unsigned r = 0; r < 5; r++) {
			if (w->run[r].va == WORLD_CODE || w->run[r].va == 0x410000)
				world_map(w, root[i], w->run[r].va, w->run[r].nr, w->run[r].mfn,
				          "x");
		}
	}
	for (unsigned i = 0; i < 60; i++) {
		v->root_kernel = root[i * 5 % ARRAY_LEN(root)];
		ck_assert_uint_eq(read_again(), 42);
	}
	ck_assert_uint_le(pe_of(&w->domain)->nr_procs, 6);
}
END_TEST

#define TURNS 200
static mfn_t turn_root[2][5];

/* Runs the blob once under each of a vCPU's roots in turn; the page holds 42 under all of them. */
static void *take_turns(void *arg)
{
	unsigned i = arg ? 1 : 0;
	struct hv_vcpu *vcpu = &w->vcpu[i];
	uint64_t start = vcpu->regs.rip;
	struct hv_exit x;

	for (unsigned n = 0; n < TURNS; n++) {
		vcpu->root_kernel = turn_root[i][n % 5];
		vcpu->regs.rip = start;
		vcpu->regs.rbx = 0;
		do {
			if (world_run(w, i, &x))
				return (void *)1;
		} while (x.kind == HV_EXIT_KICKED);
		if (x.kind != HV_EXIT_EXCEPTION || vcpu->regs.rbx != 42)
			return (void *)2;
	}
	return NULL;
}

/*
 * Two vCPUs that both need a process when there are no more: one makes room, the other takes the new
 * process away from it. The first must then make room again and not wait for ever.
 */
START_TEST(two_vcpus_compete_for_the_last_process)
{
	pthread_t t;
	void *other;

	remap(42);
	for (unsigned n = 0; n < 5; n++) {
		for (unsigned i = 0; i < 2; i++) {
			turn_root[i][n] = world_alloc(w, 1);
			for (unsigned r = 0; r < 5; r++)
				if (w->run[r].va == WORLD_CODE || w->run[r].va == 0x410000)
					world_map(w, turn_root[i][n], w->run[r].va, w->run[r].nr,
					          w->run[r].mfn, "x");
		}
	}
	world_enter_at(w, 0, PUT(blob_read));
	world_enter_at(w, 1, v->regs.rip);
	pthread_create(&t, NULL, take_turns, (void *)1);
	ck_assert_ptr_null(take_turns(NULL));
	pthread_join(t, &other);
	ck_assert_ptr_null(other);
}
END_TEST

static void setup_small(void)
{
	process_options.max_processes = 6;
	setup();
}

START_TEST(a_root_that_goes_takes_its_process_along)
{
	mfn_t root[2] = { v->root_kernel, twin_root() };
	unsigned procs = 0;

	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	read_again();
	v->root_kernel = root[1];
	remap(2);
	ck_assert_uint_eq(read_again(), 2);
	hv_engine_process.root_gone(&w->domain, root[0]);
	for (struct pe_proc *p = pe_of(&w->domain)->procs; p; p = p->next)
		procs++;
	ck_assert_uint_eq(procs, 1);
	v->root_kernel = root[0]; /* the same frame as a new root */
	ck_assert_uint_eq(read_again(), 1);
}
END_TEST

/* Left, filled anew and loaded again before the vCPU runs: only the number is the same. */
START_TEST(a_root_of_the_same_frame_is_another_one)
{
	struct hv_entry_change all = { .root = v->root_kernel };

	world_enter_at(w, 0, PUT(blob_read));
	for (uint64_t i = 1; i <= 5; i++) {
		remap(i);
		ck_assert_uint_eq(read_again(), i);
		hv_engine_process.entry_changed(&w->domain, &all);
		hv_engine_process.root_gone(&w->domain, v->root_kernel);
	}
	ck_assert_uint_le(pe_of(&w->domain)->nr_procs, 3); /* the others do not pile up */
}
END_TEST

/* The kernel's pages by tables that both roots share; the data page is each one's own. */
START_TEST(a_new_root_starts_with_what_it_shares)
{
	mfn_t home = v->root_kernel, twin;
	unsigned fills;

	remap(1);
	twin = twin_root();
	world_enter_at(w, 0, PUT(blob_read));
	read_again();
	w->shared_from = WORLD_CODE;
	w->shared_to = WORLD_STACK + 16 * HV_PAGE_SIZE;
	fills = w->nr_fills;
	v->root_kernel = twin;
	remap(2);
	ck_assert_uint_eq(read_again(), 2);
	ck_assert_uint_eq(w->nr_fills, fills + 1);
	/* The same root on another vCPU: nothing is missed. */
	w->vcpu[1].root_kernel = twin;
	w->vcpu[1].regs = v->regs;
	ck_assert_int_eq(world_run(w, 1, &e), 0);
	ck_assert_uint_eq(w->vcpu[1].regs.rbx, 2);
	ck_assert_uint_eq(w->nr_fills, fills + 1);
	v->root_kernel = home;
	ck_assert_uint_eq(read_again(), 1);
}
END_TEST

START_TEST(what_was_inherited_is_taken_away_like_the_rest)
{
	mfn_t home = v->root_kernel, twin;

	remap(1);
	twin = twin_root();
	world_enter_at(w, 0, PUT(blob_read));
	read_again();
	w->shared_from = 0;
	w->shared_to = PE_GUEST_END;
	/* Before: what is outstanding for the parent is not passed on. */
	remap(2);
	changed(HV_MFN_NONE, 0x410000, 0x1000);
	v->root_kernel = twin;
	remap(2);
	ck_assert_uint_eq(read_again(), 2);
	/* And after: the one knows nothing of the other's mappings. */
	remap(3);
	hv_engine_process.retire(&w->domain, changed(HV_MFN_NONE, 0x410000, 0x1000));
	ck_assert_uint_eq(read_again(), 3);
	v->root_kernel = home;
	ck_assert_uint_eq(read_again(), 2);
}
END_TEST

/* ---- stopping ---------------------------------------------------------------------------------- */

WORLD_BLOB(blob_spin, "1: inc %rbx\n jmp 1b\n");
WORLD_BLOB(blob_calling, "1: inc %rbx\n" WORLD_CALL(29) "jmp 1b\n");
WORLD_BLOB(blob_local, "1: inc %rbx\n xor %edi, %edi\n xor %esi, %esi\n" WORLD_CALL(25) "jmp 1b\n");
WORLD_BLOB(blob_trapping, "1: inc %rbx\n hlt\n jmp 1b\n");

static atomic_bool kicks_end;

/* Kicks again only after the last kick was seen, so none may be lost. */
static void *kicker(void *arg)
{
	unsigned last = ~0u;

	(void)arg;
	while (!atomic_load(&kicks_end)) {
		unsigned seen = atomic_load(&w->nr_ticks);

		if (seen == last) {
			sched_yield();
			continue;
		}
		last = seen;
		hv_engine_process.vcpu_kick(v);
	}
	return NULL;
}

static const struct {
	const char *from, *to;
	uint64_t skip;
	unsigned nr;
} kicked[] = { { blob_spin, blob_spin_end, 0, 10000 },
	       { blob_calling, blob_calling_end, 0, 3000 },
	       { blob_local, blob_local_end, 0, 3000 },
	       { blob_trapping, blob_trapping_end, 1, 3000 } };

START_TEST(no_kick_is_lost_and_no_register_with_it)
{
	pthread_t t;

	atomic_store(&w->stop_at_tick, true);
	world_enter_at(w, 0, world_code(w, v->root_kernel, kicked[_i].from, kicked[_i].to));
	v->regs.r15 = 0x1122334455667788;
	pthread_create(&t, NULL, kicker, NULL);
	while (atomic_load(&w->nr_ticks) < kicked[_i].nr) {
		run();
		ck_assert_uint_eq(v->regs.r15, 0x1122334455667788);
		if (e.kind == HV_EXIT_EXCEPTION)
			v->regs.rip += kicked[_i].skip;
	}
	atomic_store(&kicks_end, true);
	pthread_join(t, NULL);
}
END_TEST

START_TEST(a_kick_before_the_run_counts)
{
	world_enter_at(w, 0, PUT(blob_spin));
	atomic_store(&w->stop_at_tick, true);
	hv_engine_process.vcpu_kick(v);
	run_to(HV_EXIT_KICKED);
	ck_assert_uint_eq(w->nr_ticks, 1);
}
END_TEST

START_TEST(a_deadline_is_kept)
{
	world_enter_at(w, 0, PUT(blob_spin));
	atomic_store(&w->stop_at_tick, true);
	for (unsigned i = 0; i < 50; i++) {
		uint64_t due = pe_now() + 1000 * (uint64_t)(1 << i % 12);

		atomic_store(&w->deadline, due);
		run_to(HV_EXIT_KICKED);
		ck_assert_uint_ge(pe_now(), due);
	}
	ck_assert_uint_gt(v->regs.rbx, 0);
}
END_TEST

START_TEST(a_guest_at_rest_does_not_run)
{
	struct pe_schedstat before[2], after[2];
	pid_t tid[2];

	world_enter_at(w, 0, PUT(blob_resume));
	run_to_call(29);
	tid[0] = ((struct pe_vcpu *)v->engine_priv)->current->pid;
	tid[1] = ((struct pe_vcpu *)v->engine_priv)->current->mapper_tid;
	usleep(100000);
	for (unsigned i = 0; i < 2; i++)
		ck_assert(pe_schedstat(tid[i], &before[i]));
	usleep(500000);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(pe_schedstat(tid[i], &after[i]));
		ck_assert_uint_eq(before[i].runs, after[i].runs);
	}
	run_to(HV_EXIT_EXCEPTION);
}
END_TEST

START_TEST(the_end_of_its_process_is_the_end_of_a_vcpu)
{
	world_enter_at(w, 0, PUT(blob_resume));
	run_to_call(29);
	kill(((struct pe_vcpu *)v->engine_priv)->current->pid, SIGKILL);
	run_to(HV_EXIT_DEAD);
	ck_assert_ptr_nonnull(e.why);
	ck_assert(!e.from_user_root);
}
END_TEST

/* A host that refuses all mappings: an error, and no fault for ever. */
START_TEST(refused_mappings_end_in_an_error)
{
	struct rlimit none = { 0, 0 };
	struct hv_run_map *m;
	unsigned rounds = 0;
	int rc = 0;

	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	while (!((struct pe_vcpu *)v->engine_priv)->current)
		ck_assert_int_eq(hv_engine_process.vcpu_run(v, &e), 0);
	ck_assert_int_eq(
		prlimit(((struct pe_vcpu *)v->engine_priv)->current->pid, RLIMIT_AS, &none, NULL),
		0);
	while (!rc && ++rounds < 100) {
		ck_assert_int_eq(hv_engine_process.vcpu_run(v, &e), 0);
		if (e.kind == HV_EXIT_KICKED)
			continue;
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		m = world_find(w, v->root_kernel, e.cr2);
		ck_assert_ptr_nonnull(m);
		m->miss = m->va;
		rc = hv_engine_process.fill(v, m);
	}
	ck_assert_int_eq(rc, -ENOMEM);
}
END_TEST

static void *wake_nursery(void *arg)
{
	usleep(2300000);
	kill(*(pid_t *)arg, SIGCONT);
	return NULL;
}

/* Processes that the keeper's thread is the parent of. */
static unsigned count_children(const struct pe_domain *pd)
{
	char path[64];
	unsigned n = 0;
	FILE *f;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)pd->keeper_tid);
	f = fopen(path, "r");
	while (f && fscanf(f, "%d", &pid) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

START_TEST(a_slow_nursery_makes_each_process_once)
{
	struct pe_domain *pd = pe_of(&w->domain);
	mfn_t frame = w->run[0].mfn;
	unsigned nr, had;
	pthread_t t;

	remap(1);
	world_enter_at(w, 0, PUT(blob_read));
	ck_assert_uint_eq(read_again(), 1);
	usleep(200000); /* the spare ones are made */
	kill(pd->nursery, SIGSTOP);
	pthread_create(&t, NULL, wake_nursery, &pd->nursery);
	for (unsigned i = 0; i < 4; i++) {
		v->root_kernel = world_alloc(w, 1);
		world_map(w, v->root_kernel, WORLD_CODE, 16, frame, "x");
		world_enter_at(w, 0, WORLD_CODE + 0x8000);
		ck_assert_int_eq(hv_engine_process.vcpu_run(v, &e), 0);
	}
	pthread_join(t, NULL);
	usleep(200000);
	pthread_mutex_lock(&pd->lock);
	nr = pd->nr_procs;
	had = count_children(pd);
	pthread_mutex_unlock(&pd->lock);
	if (had)
		ck_assert_uint_eq(had, nr + 1); /* and the nursery */
}
END_TEST

START_TEST(without_a_nursery_there_is_an_error_and_no_waiting)
{
	struct pe_domain *pd = pe_of(&w->domain);
	int rc;

	world_enter_at(w, 0, PUT(blob_read));
	read_again();
	kill(pd->nursery, SIGKILL);
	for (unsigned i = 0;; i++) {
		ck_assert_uint_lt(i, 10);
		v->root_kernel = world_alloc(w, 1);
		rc = hv_engine_process.vcpu_run(v, &e);
		if (rc)
			break;
	}
	ck_assert_int_lt(rc, 0);
}
END_TEST

/* ---- what the host can do ---------------------------------------------------------------------- */

START_TEST(this_host_will_do)
{
	char why[256] = "";

	ck_assert_msg(hv_engine_process.probe(why, sizeof(why)) == 0, "%s", why);
}
END_TEST

static const struct {
	uint64_t lo, hi;
	bool ok;
} ranges[] = {
	{ 0x10000, 0x20000, true },
	{ 0x100000, 0x100000000, true },
	{ 0x100000, PE_GUEST_END, true },
	{ 0x100000, PE_GUEST_END + 1, false },
	{ 0xffffffff81000000, 0xffffffff82000000, false },
	{ 0x20000, 0x10000, false },
	{ PE_CODE, PE_CODE + 0x1000, false },
};

START_TEST(an_impossible_range_gets_a_sentence)
{
	char why[256] = "";
	int rc = hv_engine_process.check_range(ranges[_i].lo, ranges[_i].hi, why, sizeof(why));

	ck_assert_int_eq(rc == 0, ranges[_i].ok);
	ck_assert_int_eq(why[0] == 0, ranges[_i].ok);
}
END_TEST

Suite *engine_process_suite(void);

static TCase *new_case(Suite *s, const char *name, void (*prepare)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, prepare, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *engine_process_suite(void)
{
	Suite *s = suite_create("engine_process");
	TCase *tc = new_case(s, "normal", setup);

	tcase_add_test(tc, a_hypercall_shows_all_registers_and_returns_with_them);
	tcase_add_test(tc, every_register_can_be_changed_between_exits);
	tcase_add_loop_test(tc, the_page_has_an_entry_every_32_bytes_and_returns_from_each, 0, 14);
	tcase_add_test(tc, user_code_that_calls_the_page_makes_a_system_call);
	tcase_add_test(tc, a_syscall_instruction_is_reported_and_not_done);
	tcase_add_test(tc, what_touches_only_the_vcpu_is_answered_in_place);
	tcase_add_test(tc, nothing_is_answered_in_place_while_every_call_is_traced);
	tcase_add_test(tc, a_base_that_is_not_canonical_goes_to_the_core);
	tcase_add_test(tc, the_version_is_answered_in_place_unless_an_event_is_due);
	tcase_add_loop_test(tc,
	                    an_iret_within_the_kernel_is_done_in_place_when_nothing_else_is_to_do,
	                    0, ARRAY_LEN(irets));
	tcase_add_test(tc, an_iret_frame_that_is_not_there_goes_to_the_core);
	tcase_add_loop_test(tc, an_exception_comes_as_hardware_gives_it, 0, ARRAY_LEN(faults));
	tcase_add_loop_test(tc, an_address_without_code_faults_as_hardware_does, 0, 8);
	tcase_add_test(tc, alignment_checks_work);
	tcase_add_test(tc, single_steps_go_through_hypercalls);
	tcase_add_test(tc, code_of_32_bits_runs_and_stays_what_it_is);
	tcase_add_test(tc, the_floating_point_state_survives_exits);
	tcase_add_test(tc, the_floating_point_state_goes_along_to_another_root);
	tcase_add_test(tc, the_floating_point_state_can_be_reset);
	tcase_add_loop_test(tc, the_floating_point_state_can_be_given, 0, 2);
	tcase_add_test(tc, segment_bases_belong_to_the_vcpu);
	tcase_add_loop_test(tc, a_removal_shows_after_the_next_flush, 0, ARRAY_LEN(removals));
	tcase_add_test(tc, a_removal_shows_after_retire_and_after_a_change_of_root);
	tcase_add_test(tc, nobody_reads_a_frame_after_it_was_retired);
	tcase_add_test(tc, a_guest_goes_on_behind_what_another_vcpu_ordered);
	tcase_add_test(tc, a_root_of_the_same_frame_is_another_one);
	tcase_add_test(tc, a_root_that_goes_takes_its_process_along);
	tcase_add_test(tc, a_new_root_starts_with_what_it_shares);
	tcase_add_test(tc, what_was_inherited_is_taken_away_like_the_rest);
	tcase_add_loop_test(tc, no_kick_is_lost_and_no_register_with_it, 0, ARRAY_LEN(kicked));
	tcase_add_test(tc, a_kick_before_the_run_counts);
	tcase_add_test(tc, a_deadline_is_kept);
	tcase_add_test(tc, a_guest_at_rest_does_not_run);
	tcase_add_test(tc, this_host_will_do);

	tc = new_case(s, "limits", setup);
	tcase_add_test(tc, a_lost_log_drops_everything);
	tcase_add_loop_test(tc, what_lies_elsewhere_is_not_mapped, 0, 9);
	tcase_add_test(tc, more_mappings_than_the_host_allows_are_no_failure);
	tcase_add_test(tc, the_end_of_its_process_is_the_end_of_a_vcpu);
	tcase_add_test(tc, refused_mappings_end_in_an_error);
	tcase_add_test(tc, without_a_nursery_there_is_an_error_and_no_waiting);
	tcase_add_test(tc, a_slow_nursery_makes_each_process_once);
	tcase_add_loop_test(tc, an_impossible_range_gets_a_sentence, 0, ARRAY_LEN(ranges));

	tc = new_case(s, "few processes", setup_small);
	tcase_add_test(tc, more_roots_than_processes_take_turns);
	tcase_add_test(tc, two_vcpus_compete_for_the_last_process);
	return s;
}
