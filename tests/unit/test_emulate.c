/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor does for instructions of a PV guest (core/emulate.c): bytes in guest memory, an
 * exit as an engine reports it, registers and memory afterwards.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/core/exits.h"
#include "hypervisor-stub/core/mmu.h"
#include "tests/fake/fake_vcpu.h"

#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define NON_CANONICAL UINT64_C(0x8000000000000000)
#define CODE          FAKE_VA
#define DATA          (FAKE_VA + 0x9000)

enum { DB = 1, UD = 6, NP = 11, SS = 12, GP = 13, PF = 14 };

static struct fake_guest g;
static struct hv_vcpu *v;

static void setup(void)
{
	fake_guest_make(&g, 2);
	v = g.v;
	v->info->evtchn_upcall_mask = 0;
	hv_time_calibrate(g.m);
	hv_time_update_vcpu(v);
}

static void teardown(void)
{
	fake_guest_destroy(&g);
}

static void fault(uint8_t vector, uint32_t error_code, uint64_t cr2)
{
	struct hv_exit exit = {
		.kind = HV_EXIT_EXCEPTION, .vector = vector, .error_code = error_code, .cr2 = cr2
	};

	hv_exit_handle(v, &exit);
}

static void put_code(const char *bytes, size_t len)
{
	memcpy(fake_ptr(&g, CODE), bytes, len);
	v->regs.rip = CODE;
}

/* Runs one instruction that raised #GP(0); its length. */
#define PRIVILEGED(bytes)                           \
	do {                                        \
		put_code(bytes, sizeof(bytes) - 1); \
		fault(GP, 0, 0);                    \
	} while (0)
#define ADVANCED(bytes) ck_assert_uint_eq(v->regs.rip, CODE + sizeof(bytes) - 1)
#define DO(bytes)                  \
	do {                       \
		PRIVILEGED(bytes); \
		ADVANCED(bytes);   \
	} while (0)

static uint64_t word(uint64_t va)
{
	uint64_t w;

	memcpy(&w, fake_ptr(&g, va), sizeof(w));
	return w;
}

/* The guest was told of an exception at the instruction itself. */
static void check_raised(uint8_t vector)
{
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(vector));
	ck_assert_uint_eq(word(v->regs.rsp + (vector == UD || vector == DB ? 16 : 24)), CODE);
}

static void to_user_mode(void)
{
	v->in_kernel = false;
	v->regs.cs = 0x33;
}

/* ---- normal: control registers ---- */

START_TEST(cr0_shows_protected_mode_and_takes_ts_only)
{
	DO("\x0f\x20\xc0"); /* mov %cr0, %rax */
	ck_assert_uint_eq(v->regs.rax, 0x80050033);
	v->regs.rax |= 8;
	DO("\x0f\x22\xc0"); /* mov %rax, %cr0 */
	DO("\x0f\x20\xc3"); /* mov %cr0, %rbx */
	ck_assert_uint_eq(v->regs.rbx, 0x8005003b);
	DO("\x0f\x06"); /* clts */
	DO("\x0f\x20\xc3");
	ck_assert_uint_eq(v->regs.rbx, 0x80050033);
	v->regs.rax = 0x80040033; /* without WP */
	PRIVILEGED("\x0f\x22\xc0");
	check_raised(GP);
}
END_TEST

START_TEST(cr2_is_kept)
{
	v->regs.rax = 0x1234;
	DO("\x0f\x22\xd0"); /* mov %rax, %cr2 */
	ck_assert_uint_eq(v->info->arch.cr2, 0x1234);
	DO("\x0f\x20\xd1"); /* mov %cr2, %rcx */
	ck_assert_uint_eq(v->regs.rcx, 0x1234);
}
END_TEST

START_TEST(cr3_is_the_root)
{
	DO("\x0f\x20\xd8"); /* mov %cr3, %rax */
	ck_assert_uint_eq(v->regs.rax, xen_pfn_to_cr3(g.root.n));
	DO("\x0f\x22\xd8"); /* mov %rax, %cr3 */
	ck_assert_uint_eq(v->root_kernel.n, g.root.n);
	v->regs.rax = xen_pfn_to_cr3(g.l1.n);
	PRIVILEGED("\x0f\x22\xd8");
	check_raised(GP);
	ck_assert_uint_eq(v->root_kernel.n, g.root.n);
}
END_TEST

START_TEST(cr4_lets_a_guest_choose_a_few_bits)
{
	v->regs.rax = UINT64_MAX;
	DO("\x0f\x22\xe0"); /* mov %rax, %cr4 */
	DO("\x0f\x20\xe1"); /* mov %cr4, %rcx */
	ck_assert_uint_eq(v->regs.rcx, 0x5066c);
	v->regs.rax = 0;
	DO("\x0f\x22\xe0");
	DO("\x0f\x20\xe1");
	ck_assert_uint_eq(v->regs.rcx, 0x660);
}
END_TEST

START_TEST(debug_registers_move)
{
	v->regs.rax = 0x123450;
	DO("\x0f\x23\xc0"); /* mov %rax, %dr0 */
	DO("\x0f\x21\xc3"); /* mov %dr0, %rbx */
	ck_assert_uint_eq(v->regs.rbx, 0x123450);
	v->regs.rax = 0x2000;
	PRIVILEGED("\x0f\x23\xf8"); /* mov %rax, %dr7: general detect */
	check_raised(GP);
	v->regs.rsp = FAKE_STACK;
	v->traps.cr4 |= 8;
	PRIVILEGED("\x0f\x21\xe0"); /* mov %dr4, %rax with CR4.DE */
	check_raised(UD);
}
END_TEST

/* ---- MSRs, time, cpuid ---- */

START_TEST(a_base_written_by_wrmsr_is_in_effect)
{
	v->regs.rcx = 0xc0000100;
	v->regs.rdx = 0x7f12;
	v->regs.rax = 0x34567000;
	DO("\x0f\x30"); /* wrmsr */
	ck_assert_uint_eq(v->regs.fs_base, UINT64_C(0x7f1234567000));
	v->regs.rax = v->regs.rdx = 0;
	DO("\x0f\x32"); /* rdmsr */
	ck_assert_uint_eq(v->regs.rax, 0x34567000);
	ck_assert_uint_eq(v->regs.rdx, 0x7f12);
	v->regs.rdx = 0x80000000;
	PRIVILEGED("\x0f\x30");
	check_raised(GP);
	ck_assert_uint_eq(v->regs.fs_base, UINT64_C(0x7f1234567000));
}
END_TEST

START_TEST(a_trapped_rdtsc_is_the_clocks)
{
	uint64_t before = hv_time_tsc(g.m), tsc;

	to_user_mode();
	DO("\x0f\x31"); /* rdtsc */
	tsc = v->regs.rdx << 32 | v->regs.rax;
	ck_assert_uint_ge(tsc, before);
	ck_assert_uint_le(tsc, hv_time_tsc(g.m));
	DO("\x0f\x01\xf9"); /* rdtscp */
	ck_assert_uint_eq(v->regs.rcx, 0);
	v->traps.cr4 |= 4; /* TSD */
	PRIVILEGED("\x0f\x31");
	check_raised(GP);
}
END_TEST

START_TEST(cpuid_behind_the_prefix_works_in_either_mode)
{
	if (_i)
		to_user_mode();
	put_code("\x0f\x0bxen\x0f\xa2", 7);
	v->regs.rax = 0x40000000;
	v->regs.rbx = v->regs.rcx = v->regs.rdx = ~UINT64_C(0);
	fault(UD, 0, 0);
	ck_assert_uint_eq(v->regs.rip, CODE + 7);
	ck_assert_uint_eq(v->regs.rbx, 0x566e6558);
	ck_assert_uint_eq(v->regs.rcx, 0x65584d4d);
	ck_assert_uint_eq(v->regs.rdx, 0x4d4d566e);
	/* A bare ud2 is the guest's own. */
	put_code("\x0f\x0bxem\x0f\xa2", 7);
	fault(UD, 0, 0);
	check_raised(UD);
}
END_TEST

START_TEST(xsetbv_wants_osxsave_first)
{
	v->regs.rcx = v->regs.rdx = 0;
	v->regs.rax = 3;
	PRIVILEGED("\x0f\x01\xd1");
	check_raised(UD);
	v->regs.rsp = FAKE_STACK;
	v->traps.cr4 |= 1u << 18;
	DO("\x0f\x01\xd1");
	v->regs.rax = 2; /* x87 cannot be switched off */
	PRIVILEGED("\x0f\x01\xd1");
	check_raised(GP);
}
END_TEST

START_TEST(cache_instructions_do_nothing)
{
	DO("\x0f\x08");
	DO("\x0f\x09");
}
END_TEST

/* ---- ports and interrupts ---- */

START_TEST(without_io_privilege_ports_are_gp)
{
	PRIVILEGED("\xe4\x80"); /* in $0x80, %al */
	check_raised(GP);
	v->regs.rsp = FAKE_STACK;
	PRIVILEGED("\xee"); /* out %al, %dx */
	check_raised(GP);
}
END_TEST

/* insb, outsb, insw with an address that is mapped nowhere: the port is asked about first. */
START_TEST(without_io_privilege_a_strings_memory_is_not_touched)
{
	static const char *const code[] = { "\x6c", "\x6e", "\x66\x6d" };

	put_code(code[_i], 1 + (_i == 2));
	v->regs.rdi = v->regs.rsi = 0x123456789000;
	v->regs.rdx = 0x80;
	fault(GP, 0, 0);
	check_raised(GP);
}
END_TEST

/* vmcall, vmmcall: an engine may report what the host's hypervisor made of it. */
START_TEST(calls_to_another_hypervisor_are_undefined)
{
	put_code(_i ? "\x0f\x01\xd9" : "\x0f\x01\xc1", 3);
	fault(GP, 0, 0);
	check_raised(UD);
}
END_TEST

START_TEST(with_io_privilege_there_is_nothing_behind_the_ports)
{
	v->traps.iopl = 1;
	v->regs.rax = 0;
	DO("\xe4\x80");
	ck_assert_uint_eq(v->regs.rax, 0xff);
	v->regs.rax = 0x1122334455667788;
	v->regs.rdx = 0xcf8;
	DO("\x66\xed"); /* in %dx, %ax */
	ck_assert_uint_eq(v->regs.rax, 0x112233445566ffff);
	DO("\xed"); /* in %dx, %eax: the PCI address register is kept */
	ck_assert_uint_eq(v->regs.rax, 0);
	v->regs.rax = 0x80001234;
	DO("\xef");
	v->regs.rax = 0;
	DO("\xed");
	ck_assert_uint_eq(v->regs.rax, 0x80001234);
	v->regs.rdx = 0xcfc;
	DO("\xed");
	ck_assert_uint_eq(v->regs.rax, 0xffffffff);
	v->regs.rdx = 0xcf8;
	/* Not for user code, unless the bitmap says so. */
	to_user_mode();
	PRIVILEGED("\xed");
	check_raised(GP);
	to_user_mode();
	memset(fake_ptr(&g, DATA), 0xff, 4096);
	*(uint8_t *)fake_ptr(&g, DATA + 0xcf8 / 8) = 0xf0;
	v->traps.iobitmap_va = DATA;
	v->traps.iobitmap_ports = 0x1000;
	v->regs.rsp = FAKE_STACK;
	DO("\xed");
	v->regs.rdx = 0xcf9; /* one of the four is not allowed */
	PRIVILEGED("\xed");
	check_raised(GP);
}
END_TEST

START_TEST(cli_and_sti_need_iopl_and_do_nothing)
{
	PRIVILEGED("\xfa");
	check_raised(GP);
	v->regs.rsp = FAKE_STACK;
	v->traps.iopl = 1;
	DO("\xfa");
	ck_assert_uint_eq(v->info->evtchn_upcall_mask, 0);
	DO("\xfb");
	/* With the assist the kernel counts as ring 0. */
	v->traps.iopl = 0;
	g.d->vm_assist |= 1u << VMASST_TYPE_architectural_iopl;
	DO("\xfa");
}
END_TEST

/* ---- what stays #GP ---- */

static const struct {
	const char *bytes;
	size_t len;
} not_emulated[] = {
	{ "\xf4", 1 },             /* hlt */
	{ "\x0f\x01\x10", 3 },     /* lgdt (%rax) */
	{ "\x0f\x01\x18", 3 },     /* lidt (%rax) */
	{ "\x0f\x00\xd0", 3 },     /* lldt %ax */
	{ "\x0f\x00\xd8", 3 },     /* ltr %ax */
	{ "\x0f\x01\xf0", 3 },     /* lmsw %ax */
	{ "\x0f\x01\x38", 3 },     /* invlpg (%rax) */
	{ "\x0f\x01\xf8", 3 },     /* swapgs */
	{ "\x48\x0f\x07", 3 },     /* sysretq */
	{ "\x0f\x01\xd0", 3 },     /* xgetbv */
	{ "\x44\x0f\x20\xc0", 4 }, /* mov %cr8, %rax */
	{ "\x48\xcf", 2 },         /* iretq */
	{ "\x48\x8b\x00", 3 },     /* mov (%rax), %rax: a non-canonical address */
	{ "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 15 },
};

START_TEST(other_instructions_are_the_guests_gp)
{
	put_code(not_emulated[_i].bytes, not_emulated[_i].len);
	fault(GP, 0, 0);
	check_raised(GP);
}
END_TEST

START_TEST(user_code_is_not_helped)
{
	static const char *const privileged[] = { "\x0f\x20\xc0", "\x0f\x22\xd8", "\x0f\x32",
		                                  "\x0f\x30",     "\x0f\x06",     "\x0f\x21\xc0" };
	uint64_t root = v->root_kernel.n;

	to_user_mode();
	put_code(privileged[_i], 3);
	fault(GP, 0, 0);
	check_raised(GP);
	ck_assert_uint_eq(v->root_kernel.n, root);
}
END_TEST

/* ---- selectors ---- */

static void put_iretq_frame(uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t rsp, uint64_t ss)
{
	const uint64_t frame[] = { rip, cs, rflags, rsp, ss };

	v->regs.rsp = DATA;
	memcpy(fake_ptr(&g, DATA), frame, sizeof(frame));
}

START_TEST(iretq_to_the_flat_selectors)
{
	put_iretq_frame(0x12345, 0xe033, 0x10247, 0x7777, 0xe02b);
	put_code("\x48\xcf", 2);
	fault(GP, 0xe030, 0);
	ck_assert_uint_eq(v->regs.rip, 0x12345);
	ck_assert_uint_eq(v->regs.rsp, 0x7777);
	ck_assert_uint_eq(v->regs.cs, 0xe033);
	ck_assert_uint_eq(v->regs.ss, 0xe02b);
	ck_assert_uint_eq(v->regs.rflags & 0xfff, 0x247);
	ck_assert(v->in_kernel);
}
END_TEST

START_TEST(lretq_and_far_jumps_to_the_flat_selectors)
{
	const uint64_t frame[] = { 0x4444, 0xe033 };

	v->regs.rsp = DATA;
	memcpy(fake_ptr(&g, DATA), frame, sizeof(frame));
	put_code("\x48\xcb", 2); /* lretq */
	fault(GP, 0xe030, 0);
	ck_assert_uint_eq(v->regs.rip, 0x4444);
	ck_assert_uint_eq(v->regs.rsp, DATA + 16);
	ck_assert_uint_eq(v->regs.cs, 0xe033);

	memcpy(fake_ptr(&g, DATA), "\x55\x55\x00\x00\x33\xe0", 6);
	v->regs.rax = DATA;
	put_code("\xff\x28", 2); /* ljmp *(%rax), 32-bit offset */
	fault(GP, 0xe030, 0);
	ck_assert_uint_eq(v->regs.rip, 0x5555);
}
END_TEST

/* A far pointer with REX.W is 10 bytes long on Intel's processors and 6 on AMD's. */
START_TEST(far_pointers_are_read_as_this_processor_does)
{
	uint8_t *image = fake_ptr(&g, DATA);
	bool amd = hv_cpu_is_amd();
	unsigned size = amd ? 4 : 8;

	memset(image, 0, 16);
	image[1] = 0x66;
	image[size] = 0x33;
	image[size + 1] = 0xe0;
	v->regs.rax = DATA;
	put_code("\x48\xff\x28", 3); /* rex.w ljmp *(%rax) */
	fault(GP, 0xe030, 0);
	ck_assert_uint_eq(v->regs.rip, 0x6600);
	ck_assert_uint_eq(v->regs.cs, 0xe033);
}
END_TEST

START_TEST(data_segments_take_the_flat_selector)
{
	v->regs.rax = 0xe02b;
	put_code("\x8e\xd0", 2); /* mov %eax, %ss */
	fault(GP, 0xe028, 0);
	ck_assert_uint_eq(v->regs.rip, CODE + 2);
	ck_assert_uint_eq(v->regs.ss, 0xe02b);
	put_code("\x8e\xd8", 2); /* mov %eax, %ds */
	fault(GP, 0xe028, 0);
	ck_assert_uint_eq(v->regs.ds, 0xe02b);
	v->regs.rsp = DATA;
	*(uint64_t *)fake_ptr(&g, DATA) = 0xe02b;
	v->regs.fs_base = 0x1234;
	put_code("\x0f\xa1", 2); /* pop %fs */
	fault(GP, 0xe028, 0);
	ck_assert_uint_eq(v->regs.fs, 0xe02b);
	ck_assert_uint_eq(v->regs.fs_base, 0);
	ck_assert_uint_eq(v->regs.rsp, DATA + 8);
}
END_TEST

static const struct {
	uint64_t cs, ss, rip;
	uint8_t vector;
	uint32_t error;
} bad_iretq[] = {
	{ 0xe030, 0xe02b, 0x1000, GP, 0xe030 }, /* RPL 0 from ring 3 */
	{ 0xe02b, 0xe02b, 0x1000, GP, 0xe028 }, /* data as code */
	{ 0xe033, 0, 0x1000, GP, 0 },           /* no stack */
	{ 0xe033, 0xe033, 0x1000, GP, 0xe030 }, /* code as stack */
	{ 0xe033, 0xe02b, NON_CANONICAL, GP, 0 },
	{ 0x1b, 0xe02b, 0x1000, GP, 0x18 }, /* not in the guest's table */
	{ 0xfff3, 0xe02b, 0x1000, GP, 0xfff0 },
};

START_TEST(an_iretq_that_would_fail_on_xen_fails)
{
	put_iretq_frame(bad_iretq[_i].rip, bad_iretq[_i].cs, 0x202, 0x7777, bad_iretq[_i].ss);
	put_code("\x48\xcf", 2);
	fault(GP, (uint32_t)bad_iretq[_i].cs & ~7u ? (uint32_t)bad_iretq[_i].cs & ~7u : 0x30, 0);
	check_raised(bad_iretq[_i].vector);
	ck_assert_uint_eq(word(v->regs.rsp + 16), bad_iretq[_i].error);
}
END_TEST

START_TEST(a_frame_that_is_not_there_is_a_page_fault)
{
	v->regs.rsp = FAKE_VA + FAKE_PAGES * 4096 -
	              8; /* the L1 table's mapping is next: readable */
	v->traps.kernel_sp = FAKE_STACK;
	put_code("\x48\xcf", 2);
	v->regs.rsp = 0x5000;
	to_user_mode(); /* so that the frame goes to the kernel's stack */
	fault(GP, 0xe030, 0);
	check_raised(PF);
	ck_assert_uint_eq(v->info->arch.cr2, 0x5000);
	ck_assert_uint_eq(word(v->regs.rsp + 16), 4);
}
END_TEST

START_TEST(own_descriptors_can_be_loaded)
{
	uint64_t *gdt = fake_ptr(&g, DATA);
	uint64_t frames[1] = { g.page[9].n };
	uint64_t *entry;

	memset(gdt, 0, 4096);
	gdt[4] = UINT64_C(0x12cff3567890ffff); /* data, base 0x12567890 */
	gdt[5] = UINT64_C(0x00affb000000ffff); /* 64-bit code */
	gdt[6] = UINT64_C(0x00cf73000000ffff); /* not present */
	/* A descriptor page may not be mapped writable. */
	hv_domain_lock(g.d);
	entry = (uint64_t *)hv_frame_ptr(g.d, g.l1) + 9;
	ck_assert_uint_eq(*entry >> 12 & UINT64_C(0xffffffffff), g.page[9].n);
	hv_domain_unlock(g.d);
	ck_assert_int_eq(
		fake_call(v, __HYPERVISOR_update_va_mapping, DATA, *entry & ~UINT64_C(2), 0), 0);
	hv_domain_lock(g.d);
	ck_assert_int_eq(hv_gdt_set(v, frames, 8), 0);
	hv_domain_unlock(g.d);

	v->regs.rax = 0x23;
	put_code("\x8e\xe0", 2); /* mov %eax, %fs */
	fault(GP, 0x20, 0);
	ck_assert_uint_eq(v->regs.rip, CODE + 2);
	ck_assert_uint_eq(v->regs.fs, 0x23);
	ck_assert_uint_eq(v->regs.fs_base, 0x12567890);
	v->regs.rax = 0x33;
	put_code("\x8e\xe0", 2);
	fault(NP, 0x30, 0);
	check_raised(NP);
	/* The user's gs by hypercall. */
	ck_assert_int_eq(fake_call(v, __HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0x20, 0),
	                 0);
	ck_assert_uint_eq(v->regs.gs_base_user, 0x12567890);
}
END_TEST

/* ---- tables: machine to physical, page tables ---- */

START_TEST(the_fixed_machine_to_physical_address_can_be_read)
{
	uint64_t mfn = g.page[3].n;

	hv_m2p_set(g.m, (mfn_t){ mfn }, 0x77);
	v->regs.rax = MACH2PHYS_VIRT_START + mfn * 8;
	put_code("\x48\x8b\x18", 3); /* mov (%rax), %rbx */
	fault(PF, 4, v->regs.rax);
	ck_assert_uint_eq(v->regs.rip, CODE + 3);
	ck_assert_uint_eq(v->regs.rbx, 0x77);
	v->regs.rcx = 0x78;
	put_code("\x48\x3b\x08", 3); /* cmp (%rax), %rcx */
	fault(PF, 4, v->regs.rax);
	ck_assert_uint_eq(v->regs.rip, CODE + 3);
	ck_assert_uint_eq(v->regs.rflags & 0x40, 0);
	/* Not beyond, not for writing, not for user code. */
	v->regs.rax = MACH2PHYS_VIRT_END;
	put_code("\x48\x8b\x18", 3);
	fault(PF, 4, v->regs.rax);
	check_raised(PF);
	v->regs.rsp = FAKE_STACK;
	v->regs.rax = MACH2PHYS_VIRT_START + mfn * 8;
	put_code("\x48\x89\x18", 3); /* mov %rbx, (%rax) */
	fault(PF, 6, v->regs.rax);
	check_raised(PF);
	to_user_mode();
	put_code("\x48\x8b\x18", 3);
	fault(PF, 4, v->regs.rax);
	check_raised(PF);
}
END_TEST

static void let_tables_be_written(void)
{
	g.d->vm_assist |= 1u << VMASST_TYPE_writable_pagetables;
}

START_TEST(a_store_to_a_page_table_is_done_when_it_is_valid)
{
	uint64_t *table = hv_frame_ptr(g.d, g.l1), old = table[20];

	let_tables_be_written();
	v->regs.rdi = fake_l1_va() + 20 * 8;
	v->regs.rax = old & ~UINT64_C(2); /* read-only */
	put_code("\x48\x89\x07", 3);      /* mov %rax, (%rdi) */
	fault(PF, 7, v->regs.rdi);
	ck_assert_uint_eq(v->regs.rip, CODE + 3);
	ck_assert_uint_eq(table[20] & 2, 0);
	/* xchg and cmpxchg, too. */
	v->regs.rax = old;
	put_code("\x48\x87\x07", 3); /* xchg %rax, (%rdi) */
	fault(PF, 7, v->regs.rdi);
	ck_assert_uint_eq(v->regs.rip, CODE + 3);
	ck_assert_uint_eq(v->regs.rax & 2, 0);
	ck_assert_uint_eq(table[20] & 2, 2);
	v->regs.rax = table[20];
	v->regs.rcx = 0;
	put_code("\xf0\x48\x0f\xb1\x0f", 5); /* lock cmpxchg %rcx, (%rdi) */
	fault(PF, 7, v->regs.rdi);
	ck_assert_uint_eq(v->regs.rip, CODE + 5);
	ck_assert_uint_eq(table[20], 0);
}
END_TEST

START_TEST(a_store_that_would_break_the_rules_is_a_page_fault)
{
	uint64_t *table = hv_frame_ptr(g.d, g.l1), old = table[20];

	let_tables_be_written();
	v->regs.rdi = fake_l1_va() + 20 * 8;
	v->regs.rax = g.l1.n << 12 | 7; /* a table, writable */
	put_code("\x48\x89\x07", 3);
	fault(PF, 7, v->regs.rdi);
	check_raised(PF);
	ck_assert_uint_eq(table[20], old);
	ck_assert_uint_eq(word(v->regs.rsp + 16), 3);
	/* Nor without the assist, nor by user code. */
	v->regs.rsp = FAKE_STACK;
	v->regs.rax = old;
	g.d->vm_assist = 0;
	put_code("\x48\x89\x07", 3);
	fault(PF, 7, v->regs.rdi);
	check_raised(PF);
	let_tables_be_written();
	to_user_mode();
	put_code("\x48\x89\x07", 3);
	fault(PF, 7, v->regs.rdi);
	check_raised(PF);
}
END_TEST

/* ---- limits ---- */

START_TEST(an_instruction_may_cross_into_a_page_that_is_not_there)
{
	const uint64_t hole = FAKE_VA + 20 * 4096;

	ck_assert_int_eq(fake_call(v, __HYPERVISOR_update_va_mapping, hole, 0, 0), 0);
	v->regs.rip = hole - 1;
	*(uint8_t *)fake_ptr(&g, hole - 1) = 0x0f;
	fault(GP, 0, 0);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(PF));
	ck_assert_uint_eq(v->info->arch.cr2, hole);
	ck_assert_uint_eq(word(v->regs.rsp + 24), hole - 1);
	/* One that ends before the hole does not need it. */
	v->regs.rsp = FAKE_STACK;
	v->regs.rip = hole - 2;
	memcpy(fake_ptr(&g, hole - 2), "\x0f\x06", 2);
	fault(GP, 0, 0);
	ck_assert_uint_eq(v->regs.rip, hole);
}
END_TEST

START_TEST(a_single_step_over_an_emulated_instruction_traps_behind_it)
{
	v->regs.rflags |= X86_FLAG_TF;
	put_code("\x0f\x06", 2);
	fault(GP, 0, 0);
	ck_assert_uint_eq(v->regs.rip, FAKE_HANDLER(DB));
	ck_assert_uint_eq(word(v->regs.rsp + 16), CODE + 2);
	ck_assert_uint_eq(v->traps.dr[6] >> 14 & 1, 1);
}
END_TEST

Suite *emulate_suite(void);
Suite *emulate_suite(void)
{
	Suite *s = suite_create("emulate");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, cr0_shows_protected_mode_and_takes_ts_only);
	tcase_add_test(tc, cr2_is_kept);
	tcase_add_test(tc, cr3_is_the_root);
	tcase_add_test(tc, cr4_lets_a_guest_choose_a_few_bits);
	tcase_add_test(tc, debug_registers_move);
	tcase_add_test(tc, a_base_written_by_wrmsr_is_in_effect);
	tcase_add_test(tc, a_trapped_rdtsc_is_the_clocks);
	tcase_add_loop_test(tc, cpuid_behind_the_prefix_works_in_either_mode, 0, 2);
	tcase_add_test(tc, xsetbv_wants_osxsave_first);
	tcase_add_test(tc, cache_instructions_do_nothing);
	tcase_add_test(tc, without_io_privilege_ports_are_gp);
	tcase_add_loop_test(tc, without_io_privilege_a_strings_memory_is_not_touched, 0, 3);
	tcase_add_loop_test(tc, calls_to_another_hypervisor_are_undefined, 0, 2);
	tcase_add_test(tc, with_io_privilege_there_is_nothing_behind_the_ports);
	tcase_add_test(tc, cli_and_sti_need_iopl_and_do_nothing);
	tcase_add_test(tc, iretq_to_the_flat_selectors);
	tcase_add_test(tc, lretq_and_far_jumps_to_the_flat_selectors);
	tcase_add_test(tc, far_pointers_are_read_as_this_processor_does);
	tcase_add_test(tc, data_segments_take_the_flat_selector);
	tcase_add_test(tc, own_descriptors_can_be_loaded);
	tcase_add_test(tc, the_fixed_machine_to_physical_address_can_be_read);
	tcase_add_test(tc, a_store_to_a_page_table_is_done_when_it_is_valid);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_instruction_may_cross_into_a_page_that_is_not_there);
	tcase_add_test(tc, a_single_step_over_an_emulated_instruction_traps_behind_it);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, other_instructions_are_the_guests_gp, 0, ARRAY_LEN(not_emulated));
	tcase_add_loop_test(tc, user_code_is_not_helped, 0, 6);
	tcase_add_loop_test(tc, an_iretq_that_would_fail_on_xen_fails, 0, ARRAY_LEN(bad_iretq));
	tcase_add_test(tc, a_frame_that_is_not_there_is_a_page_fault);
	tcase_add_test(tc, a_store_that_would_break_the_rules_is_a_page_fault);
	suite_add_tcase(s, tc);
	return s;
}
