/* SPDX-License-Identifier: MIT */
/*
 * The emulator where a processor cannot be asked: privileged instructions, segments and far transfers,
 * the fetch, faults at every place, what a caller allows, locks that lose, repetition in parts, and 16- and 32-bit code.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/x86/x86emu.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- a small machine ------------------------------------------------------------------------------ */

#define MEM_BASE  0x10000u
#define MEM_SIZE  0x3000u
#define CODE_AT   (MEM_BASE + 0x800)
#define DATA_AT   (MEM_BASE + 0x1000)
#define STACK_AT  (MEM_BASE + 0x2000)
#define FLAT_CS64 0xe033
#define FLAT_SS   0xe02b
#define FLAT_CS32 0xe023

static struct world {
	uint8_t mem[MEM_SIZE];
	bool absent[3]; /* pages */
	bool read_only[3];
	unsigned writes, cmpxchgs, losses;
	uint64_t cr[9], dr[8], msr[4];
	uint32_t msr_index;
	uint64_t invalidated;
	unsigned halts, flushes;
	bool discarded;
	uint16_t port;
	uint32_t port_value;
	unsigned port_len, port_calls;
	bool refuse; /* the system callbacks raise #GP(0x18) */
	bool interrupts;
	unsigned system_calls;
	enum x86_system system_which;
	uint64_t system_arg;
	uint64_t table_base[2];
	uint16_t table_limit[2];
	uint64_t xcr;
	struct x86_segment segment[8];
} world;

static struct hv_regs regs;
static struct x86_emu emu;

static enum x86_result check_access(struct x86_emu *e, uint64_t addr, unsigned len, bool write)
{
	unsigned i;

	for (i = 0; i < len; i++) {
		uint64_t at = addr + i;
		uint64_t page = (at - MEM_BASE) / 4096;

		if (at < MEM_BASE || at >= MEM_BASE + MEM_SIZE || world.absent[page])
			return x86_raise_page_fault(e, at, write ? 2 : 0);
		if (write && world.read_only[page])
			return x86_raise_page_fault(e, at, 3);
	}
	return X86_DONE;
}

static enum x86_result w_read(struct x86_emu *e, enum x86_access kind, uint64_t addr, void *buf,
                              unsigned len)
{
	enum x86_result rc = check_access(e, addr, len, kind == X86_READ_FOR_WRITE);

	if (rc == X86_DONE)
		memcpy(buf, world.mem + (addr - MEM_BASE), len);
	return rc;
}

static enum x86_result w_write(struct x86_emu *e, uint64_t addr, const void *buf, unsigned len)
{
	enum x86_result rc = check_access(e, addr, len, true);

	if (rc == X86_DONE) {
		world.writes++;
		memcpy(world.mem + (addr - MEM_BASE), buf, len);
	}
	return rc;
}

static enum x86_result w_cmpxchg(struct x86_emu *e, uint64_t addr, void *old, const void *new,
                                 unsigned len)
{
	enum x86_result rc = check_access(e, addr, len, true);
	uint8_t *at = world.mem + (addr - MEM_BASE);

	if (rc != X86_DONE)
		return rc;
	world.cmpxchgs++;
	if (world.losses) {
		world.losses--;
		at[0] += 16;
	}
	if (memcmp(at, old, len)) {
		memcpy(old, at, len);
		return X86_RETRY;
	}
	memcpy(at, new, len);
	return X86_DONE;
}

static enum x86_result maybe_refuse(struct x86_emu *e)
{
	return world.refuse ? x86_raise_error(e, X86_VECTOR_GP, 0x18) : X86_DONE;
}

static enum x86_result w_load_segment(struct x86_emu *e, enum x86_seg seg, uint16_t selector,
                                      struct x86_segment *out)
{
	(void)seg;
	if (world.refuse)
		return x86_raise_error(e, X86_VECTOR_GP, selector & ~3u);
	out->selector = selector;
	out->base = selector == 0x63 ? 0x7000 : 0;
	return X86_DONE;
}

static enum x86_result w_load_code(struct x86_emu *e, enum x86_transfer kind, uint16_t selector,
                                   struct x86_segment *out)
{
	(void)kind;
	if (world.refuse || (selector | 3) == 0xe00b)
		return x86_raise_error(e, X86_VECTOR_GP, selector & ~3u);
	out->selector = selector | 3;
	out->base = 0;
	out->limit = 0xffffffff;
	out->attr = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_CODE | X86_DESC_RW | X86_DESC_DPL |
	            (out->selector == FLAT_CS64 ? X86_DESC_L : X86_DESC_DB);
	return X86_DONE;
}

static enum x86_result w_read_cr(struct x86_emu *e, unsigned cr, uint64_t *value)
{
	*value = world.cr[cr];
	return maybe_refuse(e);
}

static enum x86_result w_write_cr(struct x86_emu *e, unsigned cr, uint64_t value)
{
	if (!world.refuse)
		world.cr[cr] = value;
	return maybe_refuse(e);
}

static enum x86_result w_read_dr(struct x86_emu *e, unsigned dr, uint64_t *value)
{
	*value = world.dr[dr];
	return maybe_refuse(e);
}

static enum x86_result w_write_dr(struct x86_emu *e, unsigned dr, uint64_t value)
{
	world.dr[dr] = value;
	return maybe_refuse(e);
}

static enum x86_result w_rdmsr(struct x86_emu *e, uint32_t index, uint64_t *value)
{
	world.msr_index = index;
	*value = world.msr[0];
	return maybe_refuse(e);
}

static enum x86_result w_wrmsr(struct x86_emu *e, uint32_t index, uint64_t value)
{
	world.msr_index = index;
	world.msr[0] = value;
	return maybe_refuse(e);
}

static enum x86_result w_invlpg(struct x86_emu *e, uint64_t addr)
{
	(void)e;
	world.invalidated = addr;
	return X86_DONE;
}

static enum x86_result w_wbinvd(struct x86_emu *e, bool discard)
{
	(void)e;
	world.flushes++;
	world.discarded = discard;
	return X86_DONE;
}

static enum x86_result w_hlt(struct x86_emu *e)
{
	(void)e;
	world.halts++;
	return X86_DONE;
}

static enum x86_result w_cpuid(struct x86_emu *e, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	(void)e;
	out[0] = leaf + 1;
	out[1] = 0xb;
	out[2] = subleaf + 2;
	out[3] = 0xd;
	return X86_DONE;
}

static enum x86_result w_rdtsc(struct x86_emu *e, uint64_t *value)
{
	*value = 0x1122334455667788;
	return maybe_refuse(e);
}

static enum x86_result w_tsc_aux(struct x86_emu *e, uint32_t *value)
{
	(void)e;
	*value = 7;
	return X86_DONE;
}

static enum x86_result w_rdpmc(struct x86_emu *e, uint32_t index, uint64_t *value)
{
	*value = index;
	return maybe_refuse(e);
}

static enum x86_result w_xgetbv(struct x86_emu *e, uint32_t index, uint64_t *value)
{
	(void)e;
	*value = index == 0 ? 0x7 : 0;
	return X86_DONE;
}

static enum x86_result w_xsetbv(struct x86_emu *e, uint32_t index, uint64_t value)
{
	(void)index;
	world.xcr = value;
	return maybe_refuse(e);
}

static enum x86_result w_in(struct x86_emu *e, uint16_t port, unsigned len, uint32_t *value)
{
	world.port = port;
	world.port_len = len;
	world.port_calls++;
	*value = world.port_value++;
	return maybe_refuse(e);
}

static enum x86_result w_out(struct x86_emu *e, uint16_t port, unsigned len, uint32_t value)
{
	world.port = port;
	world.port_len = len;
	world.port_calls++;
	world.port_value = value;
	return maybe_refuse(e);
}

static enum x86_result w_set_interrupts(struct x86_emu *e, bool enable)
{
	if (!world.refuse)
		world.interrupts = enable;
	return maybe_refuse(e);
}

static enum x86_result w_system(struct x86_emu *e, enum x86_system which, uint64_t arg,
                                struct hv_regs *r)
{
	world.system_calls++;
	world.system_which = which;
	world.system_arg = arg;
	r->rcx = r->rip;
	return maybe_refuse(e);
}

static enum x86_result w_read_table(struct x86_emu *e, enum x86_table which, uint64_t *base,
                                    uint16_t *limit)
{
	(void)e;
	*base = world.table_base[which];
	*limit = world.table_limit[which];
	return X86_DONE;
}

static enum x86_result w_write_table(struct x86_emu *e, enum x86_table which, uint64_t base,
                                     uint16_t limit)
{
	(void)e;
	world.table_base[which] = base;
	world.table_limit[which] = limit;
	return X86_DONE;
}

static enum x86_result no_vec_get(struct x86_emu *e, enum x86_vec_kind kind, unsigned nr, void *buf,
                                  unsigned len)
{
	(void)kind;
	(void)nr;
	memset(buf, 0, len);
	return maybe_refuse(e);
}

static enum x86_result no_vec_set(struct x86_emu *e, enum x86_vec_kind kind, unsigned nr,
                                  const void *buf, unsigned len, bool zero_upper)
{
	(void)kind;
	(void)nr;
	(void)buf;
	(void)len;
	(void)zero_upper;
	return maybe_refuse(e);
}

static enum x86_result w_get_segment(struct x86_emu *e, enum x86_seg seg, struct x86_segment *out)
{
	(void)e;
	*out = world.segment[seg];
	return X86_DONE;
}

static const struct x86_ops all_ops = {
	.read = w_read,
	.write = w_write,
	.cmpxchg = w_cmpxchg,
	.load_segment = w_load_segment,
	.load_code = w_load_code,
	.read_cr = w_read_cr,
	.write_cr = w_write_cr,
	.read_dr = w_read_dr,
	.write_dr = w_write_dr,
	.rdmsr = w_rdmsr,
	.wrmsr = w_wrmsr,
	.invlpg = w_invlpg,
	.wbinvd = w_wbinvd,
	.hlt = w_hlt,
	.xsetbv = w_xsetbv,
	.read_table = w_read_table,
	.write_table = w_write_table,
	.cpuid = w_cpuid,
	.rdtsc = w_rdtsc,
	.tsc_aux = w_tsc_aux,
	.rdpmc = w_rdpmc,
	.xgetbv = w_xgetbv,
	.port_in = w_in,
	.port_out = w_out,
	.system = w_system,
};

static struct x86_ops ops;

static void set_up(void)
{
	unsigned i;

	memset(&world, 0, sizeof(world));
	for (i = 0; i < 8; i++)
		world.segment[i] = (struct x86_segment){
			.limit = 0xffffffff,
			.attr = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_RW | X86_DESC_DB |
			        (i == X86_SEG_CS ? X86_DESC_CODE : 0),
		};
	regs = (struct hv_regs){
		.rip = CODE_AT,
		.rflags = X86_FLAG_IF | X86_FLAG_ONE,
		.rsp = STACK_AT,
		.rbx = DATA_AT,
		.cs = FLAT_CS64,
		.ss = FLAT_SS,
	};
	ops = all_ops;
	emu = (struct x86_emu){
		.regs = &regs,
		.ops = &ops,
		.mode = X86_MODE_64,
		.cpl = 3,
		.flags = X86_EMU_KERNEL,
		.allow = X86_ALLOW_ALL,
	};
}

static unsigned code_len;

/* To where rip points, when there is memory. */
static void put_code(const char *hex)
{
	uint64_t linear = regs.rip + (emu.flags & X86_EMU_REAL ? (uint64_t)regs.cs << 4 : 0);
	uint8_t *at = world.mem;

	if (linear >= MEM_BASE && linear < MEM_BASE + MEM_SIZE - 32)
		at += linear - MEM_BASE;

	code_len = 0;
	for (; hex[0]; hex++) {
		char pair[3] = { hex[0], hex[1], 0 };

		if (hex[0] == ' ')
			continue;
		at[code_len++] = (uint8_t)strtoul(pair, NULL, 16);
		hex++;
	}
}

static enum x86_result run(const char *hex)
{
	put_code(hex);
	return x86_emulate(&emu);
}

static void check_done(const char *hex)
{
	uint64_t rip = regs.rip;

	ck_assert_msg(run(hex) == X86_DONE, "%s", hex);
	ck_assert_uint_eq(regs.rip, rip + code_len);
}

/* The instruction must fault, and leave every register as it was. */
static void check_fault(const char *hex, unsigned vector, uint32_t error)
{
	struct hv_regs before = regs;
	unsigned writes = world.writes;

	ck_assert_msg(run(hex) == X86_FAULT, "%s", hex);
	ck_assert_msg(emu.fault.vector == vector, "%s: vector %u", hex, emu.fault.vector);
	ck_assert_uint_eq(emu.fault.error, error);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
	ck_assert_uint_eq(world.writes, writes);
}

static void check_unhandled(const char *hex)
{
	struct hv_regs before = regs;

	ck_assert_msg(run(hex) == X86_UNHANDLED, "%s", hex);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
}

static uint64_t peek(uint64_t addr, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, world.mem + (addr - MEM_BASE), size);
	return value;
}

static void poke(uint64_t addr, uint64_t value, unsigned size)
{
	memcpy(world.mem + (addr - MEM_BASE), &value, size);
}

/* ---- privileged instructions ----------------------------------------------------------------------- */

static const char *const privileged[] = {
	"f4",         /* hlt */
	"0f06",       /* clts */
	"0f08",       /* invd */
	"0f09",       /* wbinvd */
	"0f20c0",     /* mov rax, cr0 */
	"0f22d8",     /* mov cr3, rax */
	"0f21f8",     /* mov rax, dr7 */
	"0f23f8",     /* mov dr7, rax */
	"0f30",       /* wrmsr */
	"0f32",       /* rdmsr */
	"0f01f0",     /* lmsw ax */
	"0f013b",     /* invlpg [rbx] */
	"0f01d1",     /* xsetbv */
	"0f0113",     /* lgdt [rbx] */
	"0f011b",     /* lidt [rbx] */
	"0f00d0",     /* lldt ax */
	"0f00d8",     /* ltr ax */
	"0f01f8",     /* swapgs */
	"480f07",     /* sysret */
	"0f35",       /* sysexit */
	"0f01c8",     /* monitor */
	"660f388203", /* invpcid */
};

START_TEST(user_code_gets_gp_for_privileged_instructions)
{
	emu.flags = 0;
	check_fault(privileged[_i], X86_VECTOR_GP, 0);
	ck_assert(emu.fault.has_error);
}
END_TEST

START_TEST(kernel_code_has_them_done)
{
	regs.rax = DATA_AT; /* canonical, for monitor */
	check_done(privileged[_i]);
}
END_TEST

START_TEST(without_a_callback_nothing_happens)
{
	static const struct x86_ops memory_only = { .read = w_read, .write = w_write };

	emu.ops = &memory_only;
	check_unhandled(privileged[_i]);
}
END_TEST

START_TEST(control_registers_pass_whole)
{
	world.cr[3] = 0x123456789a;
	check_done("410f20d9"); /* mov r9, cr3 */
	ck_assert_uint_eq(regs.r9, 0x123456789a);
	regs.rdx = 0xfedcba9876543210;
	check_done("0f22d2"); /* mov cr2, rdx */
	ck_assert_uint_eq(world.cr[2], 0xfedcba9876543210);
	check_done("440f22c2"); /* mov cr8, rdx */
	ck_assert_uint_eq(world.cr[8], 0xfedcba9876543210);
	check_fault("0f20c8", X86_VECTOR_UD, 0);   /* cr1 */
	check_fault("440f20c8", X86_VECTOR_UD, 0); /* cr9 */
	check_done("0f23f2");                      /* mov dr6, rdx */
	ck_assert_uint_eq(world.dr[6], 0xfedcba9876543210);
	check_fault("440f21c0", X86_VECTOR_UD, 0); /* dr8 */
}
END_TEST

START_TEST(clts_and_lmsw_change_only_their_bits)
{
	world.cr[0] = 0x8005003b;
	check_done("0f06");
	ck_assert_uint_eq(world.cr[0], 0x80050033);
	regs.rax = 0xfff8; /* TS on; PE cannot be cleared */
	check_done("0f01f0");
	ck_assert_uint_eq(world.cr[0], 0x80050039);
	check_done("480f01e1"); /* smsw rcx */
	ck_assert_uint_eq(regs.rcx, 0x80050039);
	check_done("0f0123"); /* smsw word [rbx] */
	ck_assert_uint_eq(peek(DATA_AT, 4), 0x0039);
	emu.flags = X86_EMU_UMIP;
	check_fault("480f01e1", X86_VECTOR_GP, 0);
	emu.flags = 0;
	check_done("480f01e1");
}
END_TEST

START_TEST(msrs_and_counters_go_through_edx_and_eax)
{
	regs.rcx = 0xffffffffc0000080;
	regs.rax = 0xaaaaaaaa11111111;
	regs.rdx = 0xbbbbbbbb22222222;
	check_done("0f30");
	ck_assert_uint_eq(world.msr_index, 0xc0000080);
	ck_assert_uint_eq(world.msr[0], 0x2222222211111111);
	world.msr[0] = 0x99999999eeeeeeee;
	check_done("0f32");
	ck_assert_uint_eq(regs.rax, 0xeeeeeeee);
	ck_assert_uint_eq(regs.rdx, 0x99999999);
	check_done("0f31");
	ck_assert_uint_eq(regs.rax, 0x55667788);
	ck_assert_uint_eq(regs.rdx, 0x11223344);
	check_done("0f01f9"); /* rdtscp */
	ck_assert_uint_eq(regs.rcx, 7);
	check_done("f3480fc7fe"); /* rdpid rsi */
	ck_assert_uint_eq(regs.rsi, 7);
	check_done("0f33");
	ck_assert_uint_eq(regs.rax, 7);
	regs.rcx = 0;
	check_done("0f01d0"); /* xgetbv */
	ck_assert_uint_eq(regs.rax, 7);
	ck_assert_uint_eq(regs.rdx, 0);
	check_done("0f01d1"); /* xsetbv */
	ck_assert_uint_eq(world.xcr, 7);
	world.refuse = true;
	check_fault("0f30", X86_VECTOR_GP, 0x18);
	check_fault("0f32", X86_VECTOR_GP, 0x18);
	check_fault("0f31", X86_VECTOR_GP, 0x18);
	check_fault("0f01f9", X86_VECTOR_GP, 0x18);
}
END_TEST

START_TEST(cpuid_fills_all_four_registers)
{
	regs.rax = 0xffffffff40000000;
	regs.rcx = 5;
	check_done("0fa2");
	ck_assert_uint_eq(regs.rax, 0x40000001);
	ck_assert_uint_eq(regs.rbx, 0xb);
	ck_assert_uint_eq(regs.rcx, 7);
	ck_assert_uint_eq(regs.rdx, 0xd);
}
END_TEST

START_TEST(hlt_invlpg_and_wbinvd_reach_their_callbacks)
{
	check_done("f4");
	ck_assert_uint_eq(world.halts, 1);
	ck_assert_uint_eq(emu.retired, X86_RETIRED_HLT);
	check_done("0f01bb00100000"); /* invlpg [rbx + 0x1000] */
	ck_assert_uint_eq(world.invalidated, DATA_AT + 0x1000);
	regs.gs_base_kernel = 0xffff800000000000;
	regs.gs_base_user = 0x1000;
	check_done("650f013c2500000000"); /* invlpg gs:[0] */
	ck_assert_uint_eq(world.invalidated, 0xffff800000000000);
	check_done("0f08");
	ck_assert(world.discarded);
	check_done("0f09");
	ck_assert(!world.discarded);
	ck_assert_uint_eq(world.flushes, 2);
}
END_TEST

START_TEST(interrupts_are_switched_by_privilege_or_by_the_callers_rule)
{
	check_fault("fa", X86_VECTOR_GP, 0); /* cpl 3, IOPL 0 */
	regs.rflags |= X86_FLAG_IOPL;
	check_done("fa");
	ck_assert(!(regs.rflags & X86_FLAG_IF));
	check_done("fb");
	ck_assert(regs.rflags & X86_FLAG_IF);
	ck_assert_uint_eq(emu.retired, X86_RETIRED_STI);

	regs.rflags &= ~(uint64_t)X86_FLAG_IOPL;
	ops.set_interrupts = w_set_interrupts;
	check_done("fb");
	ck_assert(world.interrupts);
	check_done("fa");
	ck_assert(!world.interrupts);
	ck_assert(regs.rflags & X86_FLAG_IF); /* the caller keeps its own */
	world.refuse = true;
	check_fault("fb", X86_VECTOR_GP, 0x18);
}
END_TEST

START_TEST(ports_get_number_width_and_value)
{
	world.port_value = 0xa1b2c3d4;
	regs.rax = UINT64_MAX;
	check_done("e470"); /* in al, 0x70 */
	ck_assert_uint_eq(world.port, 0x70);
	ck_assert_uint_eq(world.port_len, 1);
	ck_assert_uint_eq(regs.rax, 0xffffffffffffffd4);
	regs.rdx = 0xffff0cf8;
	check_done("66ed"); /* in ax, dx */
	ck_assert_uint_eq(world.port, 0x0cf8);
	ck_assert_uint_eq(world.port_len, 2);
	ck_assert_uint_eq(regs.rax, 0xffffffffffffc3d5);
	check_done("48ed"); /* REX.W: still 32 bits, and the upper half is cleared */
	ck_assert_uint_eq(world.port_len, 4);
	ck_assert_uint_eq(regs.rax, 0xa1b2c3d6);
	regs.rax = 0x1122334455667788;
	check_done("ef"); /* out dx, eax */
	ck_assert_uint_eq(world.port_value, 0x55667788);
	check_done("e680"); /* out 0x80, al */
	ck_assert_uint_eq(world.port_value, 0x88);
	world.refuse = true;
	check_fault("e680", X86_VECTOR_GP, 0x18);
	check_fault("e470", X86_VECTOR_GP, 0x18);
}
END_TEST

START_TEST(string_ports_move_memory)
{
	regs.rdi = DATA_AT;
	regs.rcx = 3;
	regs.rdx = 0x1f0;
	world.port_value = 0x100;
	check_done("f3666d"); /* rep insw */
	ck_assert_uint_eq(peek(DATA_AT, 8), 0x010201010100);
	ck_assert_uint_eq(regs.rdi, DATA_AT + 6);
	ck_assert_uint_eq(regs.rcx, 0);
	regs.rsi = DATA_AT;
	regs.rcx = 1;
	check_done("f36f"); /* rep outsd */
	ck_assert_uint_eq(world.port_value, 0x01010100);
	/* A port is not read when its value could not be stored. */
	world.read_only[1] = true;
	regs.rdi = DATA_AT;
	world.port_calls = 0;
	check_fault("6c", X86_VECTOR_PF, 3);
	ck_assert_uint_eq(world.port_calls, 0);
}
END_TEST

START_TEST(descriptor_tables_are_read_and_written)
{
	poke(DATA_AT, 0x0fff, 2);
	poke(DATA_AT + 2, 0xffff820000001000, 8);
	check_done("0f0113"); /* lgdt */
	ck_assert_uint_eq(world.table_base[X86_TABLE_GDT], 0xffff820000001000);
	ck_assert_uint_eq(world.table_limit[X86_TABLE_GDT], 0xfff);
	world.table_base[X86_TABLE_IDT] = 0x1234567890;
	world.table_limit[X86_TABLE_IDT] = 0x7ff;
	check_done("0f010b"); /* sidt */
	ck_assert_uint_eq(peek(DATA_AT, 2), 0x7ff);
	ck_assert_uint_eq(peek(DATA_AT + 2, 8), 0x1234567890);
	poke(DATA_AT + 2, 0x8000000000000000, 8);
	check_fault("0f0113", X86_VECTOR_GP, 0);
}
END_TEST

/* ---- segments and far transfers ---------------------------------------------------------------------- */

START_TEST(flat_selectors_can_be_moved_and_popped)
{
	regs.rax = FLAT_SS;
	check_done("8ed8"); /* mov ds, eax */
	ck_assert_uint_eq(regs.ds, FLAT_SS);
	ck_assert_uint_eq(emu.loaded, 1u << X86_SEG_DS);
	check_done("8ed0"); /* mov ss, eax */
	ck_assert_uint_eq(emu.retired, X86_RETIRED_MOV_SS);
	poke(DATA_AT, FLAT_SS, 2);
	check_done("8e03"); /* mov es, [rbx] */
	ck_assert_uint_eq(regs.es, FLAT_SS);
	poke(STACK_AT, 0x63, 8);
	check_done("0fa1"); /* pop fs */
	ck_assert_uint_eq(regs.fs, 0x63);
	ck_assert_uint_eq(regs.fs_base, 0x7000);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 8);
	regs.rax = 0x63;
	regs.gs_base_user = 1;
	check_done("8ee8"); /* mov gs, eax */
	ck_assert_uint_eq(regs.gs_base_kernel, 0x7000);
	ck_assert_uint_eq(regs.gs_base_user, 1);
	check_fault("8ec8", X86_VECTOR_UD, 0); /* mov cs, eax */
	check_fault("8ef8", X86_VECTOR_UD, 0); /* no such segment */
	world.refuse = true;
	check_fault("8ed8", X86_VECTOR_GP, 0x60);
	check_fault("0fa1", X86_VECTOR_GP, 0);
}
END_TEST

START_TEST(selectors_are_stored)
{
	regs.ds = 0x2b;
	regs.rax = UINT64_MAX;
	check_done("668cd8"); /* mov ax, ds */
	ck_assert_uint_eq(regs.rax, 0xffffffffffff002b);
	check_done("8cd8"); /* mov eax, ds */
	ck_assert_uint_eq(regs.rax, 0x2b);
	poke(DATA_AT, UINT64_MAX, 8);
	check_done("488c1b"); /* mov [rbx], ds: two bytes, whatever the size */
	ck_assert_uint_eq(peek(DATA_AT, 8), 0xffffffffffff002b);
	check_done("0fa8"); /* push gs */
	ck_assert_uint_eq(regs.rsp, STACK_AT - 8);
}
END_TEST

START_TEST(iretq_takes_its_frame_and_keeps_what_user_code_may_not_change)
{
	static const uint64_t frame[5] = { CODE_AT + 0x100, FLAT_CS64, 0xffffffff, STACK_AT + 0x80,
		                           FLAT_SS };
	unsigned i;

	for (i = 0; i < 5; i++)
		poke(STACK_AT + 8 * i, frame[i], 8);
	regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	ck_assert_int_eq(run("48cf"), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x100);
	ck_assert_uint_eq(regs.cs, FLAT_CS64);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 0x80);
	ck_assert_uint_eq(regs.ss, FLAT_SS);
	ck_assert_uint_eq(regs.rflags, X86_FLAGS_ARITH | X86_FLAG_ONE | X86_FLAG_TF | X86_FLAG_DF |
	                                       X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_AC |
	                                       X86_FLAG_ID | X86_FLAG_IF);
	ck_assert_uint_eq(emu.loaded, 1u << X86_SEG_CS | 1u << X86_SEG_SS);
	/* TF from the frame traps after the next instruction, not after this one. */
	ck_assert_uint_eq(emu.retired, 0);

	/* IF does not go away at cpl 3; at cpl 0 it does, and IOPL comes in. */
	regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	regs.rip = CODE_AT;
	regs.rsp = STACK_AT;
	poke(STACK_AT + 16, X86_FLAG_IOPL, 8);
	ck_assert_int_eq(run("48cf"), X86_DONE);
	ck_assert_uint_eq(regs.rflags, X86_FLAG_ONE | X86_FLAG_IF);
	regs.rip = CODE_AT;
	regs.rsp = STACK_AT;
	emu.cpl = 0;
	ck_assert_int_eq(run("48cf"), X86_DONE);
	ck_assert_uint_eq(regs.rflags, X86_FLAG_ONE | X86_FLAG_IOPL);
}
END_TEST

START_TEST(iretq_faults_leave_everything)
{
	poke(STACK_AT, CODE_AT, 8);
	poke(STACK_AT + 8, 0xe008, 8);
	check_fault("48cf", X86_VECTOR_GP, 0xe008);
	poke(STACK_AT, 0x0000800000000000, 8);
	poke(STACK_AT + 8, FLAT_CS64, 8);
	check_fault("48cf", X86_VECTOR_GP, 0);
	regs.rflags |= X86_FLAG_NT;
	check_fault("48cf", X86_VECTOR_GP, 0);
	regs.rflags &= ~(uint64_t)X86_FLAG_NT;
	regs.rsp = MEM_BASE + MEM_SIZE - 32; /* the frame's last word is not there */
	check_fault("48cf", X86_VECTOR_PF, 0);
	ck_assert_uint_eq(emu.fault.cr2, MEM_BASE + MEM_SIZE);
}
END_TEST

START_TEST(far_returns_and_jumps_name_flat_selectors)
{
	poke(STACK_AT, CODE_AT + 0x40, 8);
	poke(STACK_AT + 8, FLAT_CS64 & ~3u, 8); /* RPL 0: the callback makes it 3 */
	ck_assert_int_eq(run("48cb"), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x40);
	ck_assert_uint_eq(regs.cs, FLAT_CS64);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 16);

	regs.rip = CODE_AT;
	regs.rsp = STACK_AT;
	ck_assert_int_eq(run("48ca1000"), X86_DONE); /* lretq $16 */
	ck_assert_uint_eq(regs.rsp, STACK_AT + 32);

	regs.rip = CODE_AT;
	poke(DATA_AT, CODE_AT + 0x80, 4);
	poke(DATA_AT + 4, FLAT_CS32, 2);
	ck_assert_int_eq(run("ff2b"), X86_DONE); /* ljmp *[rbx], 16:32 */
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x80);
	ck_assert_uint_eq(regs.cs, FLAT_CS32);

	regs.rip = CODE_AT;
	regs.cs = FLAT_CS64;
	regs.rsp = STACK_AT;
	poke(DATA_AT, CODE_AT + 0x90, 8);
	poke(DATA_AT + 8, FLAT_CS64, 2);
	ck_assert_int_eq(run("48ff1b"), X86_DONE); /* lcall *[rbx], 16:64 */
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x90);
	ck_assert_uint_eq(peek(regs.rsp, 8), CODE_AT + 3);
	ck_assert_uint_eq(peek(regs.rsp + 8, 8), FLAT_CS64);

	/* AMD's processors read a 32-bit offset there. */
	regs.rip = CODE_AT;
	emu.mode = X86_MODE_64 | X86_MODE_AMD;
	poke(DATA_AT + 4, FLAT_CS32, 2);
	ck_assert_int_eq(run("48ff2b"), X86_DONE);
	ck_assert_uint_eq(regs.cs, FLAT_CS32);

	regs.rip = CODE_AT;
	poke(DATA_AT + 4, 0xe008, 2);
	check_fault("ff2b", X86_VECTOR_GP, 0xe008);
}
END_TEST

START_TEST(lss_lfs_lgs_load_pointer_and_segment)
{
	poke(DATA_AT, 0x12345678, 4);
	poke(DATA_AT + 4, 0x63, 2);
	check_done("0fb40b"); /* lfs ecx, [rbx] */
	ck_assert_uint_eq(regs.rcx, 0x12345678);
	ck_assert_uint_eq(regs.fs, 0x63);
	ck_assert_uint_eq(regs.fs_base, 0x7000);
	check_fault("0fb4c8", X86_VECTOR_UD, 0); /* a register has no pointer */
	world.refuse = true;
	check_fault("0fb20b", X86_VECTOR_GP, 0x60);
}
END_TEST

START_TEST(traps_go_through_the_system_callback)
{
	ck_assert_int_eq(run("cd80"), X86_DONE);
	ck_assert_uint_eq(world.system_which, X86_SYS_INT);
	ck_assert_uint_eq(world.system_arg, 0x80);
	ck_assert_uint_eq(regs.rcx, CODE_AT + 2);
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("cc"), X86_DONE);
	ck_assert_uint_eq(world.system_arg, X86_VECTOR_BP);
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("0f05"), X86_DONE);
	ck_assert_uint_eq(world.system_which, X86_SYS_SYSCALL);
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("0f01d9"), X86_DONE);
	ck_assert_uint_eq(world.system_which, X86_SYS_VMCALL);
	ck_assert_uint_eq(world.system_arg, 1);
	regs.rip = CODE_AT;
	emu.allow = X86_ALLOW_ALL & ~X86_ALLOW_TRAP;
	check_unhandled("cd80");
}
END_TEST

/* ---- the forced-emulation prefix --------------------------------------------------------------------- */

START_TEST(cpuid_behind_the_prefix_is_emulated)
{
	regs.rax = 1;
	put_code("0f0b78656e 0fa2");
	ck_assert_int_eq(x86_emulate_forced(&emu, false), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 7);
	ck_assert_uint_eq(regs.rax, 2);
	ck_assert_ptr_eq(emu.regs, &regs);
}
END_TEST

START_TEST(other_instructions_behind_it_only_when_asked)
{
	struct hv_regs before = regs;

	put_code("0f0b78656e 0f31");
	ck_assert_int_eq(x86_emulate_forced(&emu, false), X86_UNHANDLED);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
	ck_assert_int_eq(x86_emulate_forced(&emu, true), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 7);
	/* a prefix that is not quite it */
	regs = before;
	put_code("0f0b78656d 0fa2");
	ck_assert_int_eq(x86_emulate_forced(&emu, true), X86_UNHANDLED);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
	/* a plain ud2 at the end of what is mapped */
	world.absent[1] = world.absent[2] = true;
	regs.rip = DATA_AT - 2;
	poke(DATA_AT - 2, 0x0b0f, 2);
	ck_assert_int_eq(x86_emulate_forced(&emu, false), X86_UNHANDLED);
	/* the prefix whole, the instruction not */
	regs.rip = DATA_AT - 6;
	memcpy(world.mem + (DATA_AT - 6 - MEM_BASE), "\x0f\x0bxen\x0f", 6);
	before = regs;
	ck_assert_int_eq(x86_emulate_forced(&emu, false), X86_FAULT);
	ck_assert_uint_eq(emu.fault.vector, X86_VECTOR_PF);
	ck_assert_uint_eq(emu.fault.cr2, DATA_AT);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
}
END_TEST

/* ---- fetch --------------------------------------------------------------------------------------------- */

START_TEST(an_instruction_may_cross_into_the_next_page)
{
	static const uint8_t mov[5] = { 0xb8, 0x78, 0x56, 0x34, 0x12 };
	unsigned i;

	for (i = 1; i < sizeof(mov); i++) {
		set_up();
		memcpy(world.mem + 0x1000 - i, mov, sizeof(mov));
		regs.rip = DATA_AT - i;
		ck_assert_int_eq(x86_emulate(&emu), X86_DONE);
		ck_assert_uint_eq(regs.rax, 0x12345678);
		/* what is missing is what faults */
		regs.rip = DATA_AT - i;
		world.absent[1] = true;
		ck_assert_int_eq(x86_emulate(&emu), X86_FAULT);
		ck_assert_uint_eq(emu.fault.vector, X86_VECTOR_PF);
		ck_assert_uint_eq(emu.fault.cr2, DATA_AT);
		ck_assert_uint_eq(regs.rip, DATA_AT - i);
	}
}
END_TEST

START_TEST(the_next_page_is_not_touched_without_need)
{
	world.absent[1] = true;
	regs.rip = DATA_AT - 2;
	poke(DATA_AT - 2, 0xc3ff, 2); /* inc ebx */
	ck_assert_int_eq(x86_emulate(&emu), X86_DONE);
	ck_assert_uint_eq(regs.rip, DATA_AT);
	/* an undefined opcode is undefined whatever would follow */
	regs.rip = DATA_AT - 1;
	world.mem[0xfff] = 0x06;
	ck_assert_int_eq(x86_emulate(&emu), X86_FAULT);
	ck_assert_uint_eq(emu.fault.vector, X86_VECTOR_UD);
}
END_TEST

START_TEST(bad_code_gets_the_processors_answer)
{
	check_fault("6666666666666666666666666666666690", X86_VECTOR_GP, 0); /* 17 bytes */
	check_fault("0f0b", X86_VECTOR_UD, 0);
	check_fault("0fff00", X86_VECTOR_UD, 0);
	check_fault("06", X86_VECTOR_UD, 0);
	regs.rip = 0x0000800000000000;
	check_fault("90", X86_VECTOR_GP, 0);
	regs.rip = 0x1000;
	check_fault("90", X86_VECTOR_PF, 0);
	ck_assert_uint_eq(emu.fault.cr2, 0x1000);
}
END_TEST

START_TEST(the_last_canonical_byte_can_be_fetched)
{
	regs.rip = 0x00007fffffffffff;
	ck_assert_int_eq(x86_emulate(&emu), X86_FAULT);
	ck_assert_uint_eq(emu.fault.vector, X86_VECTOR_PF); /* not there, but asked for */
	ck_assert_uint_eq(emu.fault.cr2, 0x00007fffffffffff);
}
END_TEST

/* ---- data faults ----------------------------------------------------------------------------------------- */

static const struct {
	const char *hex;
	uint64_t rbx, rsp;
	unsigned vector;
	uint32_t error;
	uint64_t cr2;
} data_faults[] = {
	{ "488b03", 0x0000800000000000, 0, X86_VECTOR_GP, 0, 0 },
	{ "488b03", 0x00007ffffffffffc, 0, X86_VECTOR_GP, 0, 0 }, /* ends beyond */
	{ "488903", 0xffff7fffffffffff, 0, X86_VECTOR_GP, 0, 0 },
	{ "488b0424", 0, 0x0000800000000000, X86_VECTOR_SS, 0, 0 },
	{ "50", 0, 0x0000800000000008, X86_VECTOR_SS, 0, 0 },
	{ "58", 0, 0x0000800000000000, X86_VECTOR_SS, 0, 0 },
	{ "e800000000", 0, 0x0000900000000000, X86_VECTOR_SS, 0, 0 },
	{ "488b03", 0x5000, 0, X86_VECTOR_PF, 0, 0x5000 },
	{ "488903", 0x5000, 0, X86_VECTOR_PF, 2, 0x5000 },
	{ "480103", 0x5000, 0, X86_VECTOR_PF, 2,
	  0x5000 }, /* a read-modify-write faults as a write */
	{ "f0480103", 0x5000, 0, X86_VECTOR_PF, 2, 0x5000 },
	{ "f0480fb10b", 0x5000, 0, X86_VECTOR_PF, 2, 0x5000 },
	{ "4887 03", 0x5000, 0, X86_VECTOR_PF, 2, 0x5000 },
	{ "483903", 0x5000, 0, X86_VECTOR_PF, 0, 0x5000 }, /* cmp only reads */
	{ "ff33", 0x5000, STACK_AT, X86_VECTOR_PF, 0, 0x5000 },
	{ "8f03", 0x5000, STACK_AT, X86_VECTOR_PF, 2, 0x5000 },
	{ "ff33", DATA_AT, 0x5008, X86_VECTOR_PF, 2, 0x5000 },
	{ "488b03", MEM_BASE + MEM_SIZE - 4, 0, X86_VECTOR_PF, 0, MEM_BASE + MEM_SIZE },
	{ "488903", MEM_BASE + MEM_SIZE - 4, 0, X86_VECTOR_PF, 2, MEM_BASE + MEM_SIZE },
	{ "480fc70b", DATA_AT + 8, 0, X86_VECTOR_GP, 0, 0 }, /* cmpxchg16b off its alignment */
	{ "f7f1", 0, 0, X86_VECTOR_DE, 0, 0 },               /* div by a zero ecx */
	{ "f0480303", DATA_AT, 0, X86_VECTOR_UD, 0, 0 },     /* LOCK where memory is the source */
	{ "f04801c3", DATA_AT, 0, X86_VECTOR_UD, 0, 0 },     /* LOCK on a register */
	{ "f0488903", DATA_AT, 0, X86_VECTOR_UD, 0, 0 },     /* LOCK on a mov */
	{ "f0483903", DATA_AT, 0, X86_VECTOR_UD, 0, 0 },     /* LOCK on a cmp */
	{ "8dc0", 0, 0, X86_VECTOR_UD, 0, 0 },               /* lea of a register */
	{ "ffe3", 0x0000800000000000, 0, X86_VECTOR_GP, 0, 0 },
	{ "ffd3", 0x0000800000000000, STACK_AT, X86_VECTOR_GP, 0, 0 },
	{ "c3", 0, STACK_AT + 0x100, X86_VECTOR_GP, 0, 0 }, /* returns to a non-canonical address */
};

START_TEST(a_fault_is_the_processors_and_changes_nothing)
{
	regs.rbx = data_faults[_i].rbx;
	regs.rsp = data_faults[_i].rsp;
	poke(STACK_AT + 0x100, 0x8000000000000000, 8);
	check_fault(data_faults[_i].hex, data_faults[_i].vector, data_faults[_i].error);
	ck_assert_uint_eq(emu.fault.cr2, data_faults[_i].cr2);
}
END_TEST

START_TEST(segment_bases_are_added_and_gs_follows_the_mode)
{
	regs.rbx = 0x10;
	regs.fs_base = DATA_AT;
	poke(DATA_AT + 0x10, 0x77, 8);
	check_done("64488b03");
	ck_assert_uint_eq(regs.rax, 0x77);
	regs.gs_base_kernel = DATA_AT;
	regs.gs_base_user = DATA_AT + 8;
	poke(DATA_AT + 0x18, 0x88, 8);
	check_done("65488b03");
	ck_assert_uint_eq(regs.rax, 0x77);
	emu.flags = 0;
	check_done("65488b03");
	ck_assert_uint_eq(regs.rax, 0x88);
	/* base + offset may leave the canonical space, or come back into it */
	regs.fs_base = 0x00007fffffffffff;
	check_fault("64488b03", X86_VECTOR_GP, 0);
	regs.fs_base = DATA_AT + 0x100;
	regs.rbx = (uint64_t)-0xf0;
	check_done("64488b03");
	ck_assert_uint_eq(regs.rax, 0x77);
}
END_TEST

START_TEST(fs_and_gs_base_instructions_use_the_register_file)
{
	emu.flags = 0;
	regs.rax = 0x1234;
	check_done("f3480faed8"); /* wrgsbase rax */
	ck_assert_uint_eq(regs.gs_base_user, 0x1234);
	regs.fs_base = 0xffffffff00000001;
	check_done("f30faec1"); /* rdfsbase ecx */
	ck_assert_uint_eq(regs.rcx, 1);
	regs.rax = 0x8000000000000000;
	check_fault("f3480faed0", X86_VECTOR_GP, 0); /* wrfsbase rax */
}
END_TEST

/* ---- locks --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *hex;
	bool atomic;
	uint64_t now;
} updates[] = {
	/* [rbx] is 0x0f, rax 0x31, rcx 0x01 */
	{ "48010b", false, 0x10 },       { "f048010b", true, 0x10 },
	{ "f0480903", true, 0x3f },      { "f0482103", true, 0x01 },
	{ "f0483103", true, 0x3e },      { "f048290b", true, 0x0e },
	{ "f048ff03", true, 0x10 },      { "f048ff0b", true, 0x0e },
	{ "f048f713", true, ~0xfull },   { "f048f71b", true, (uint64_t)-15 },
	{ "f0480fba2b08", true, 0x10f }, { "f0480fba3301", true, 0x0d },
	{ "f0480fba3b04", true, 0x1f },  { "f0480fab03", true, 0x0f },
	{ "f0480fc10b", true, 0x10 },    { "480fc10b", false, 0x10 },
	{ "48870b", true, 0x01 },        { "f048870b", true, 0x01 },
	{ "f0480fb10b", true, 0x0f },    { "f00fc70b", true, 0x0f },
	{ "f0488303fe", true, 0x0d },
};

START_TEST(locked_updates_use_the_atomic_callback_and_only_that)
{
	poke(DATA_AT, 0x0f, 8);
	regs.rax = 0x31;
	regs.rcx = 1;
	check_done(updates[_i].hex);
	if (_i == 13) /* bts of bit 0x31 */
		ck_assert_uint_eq(peek(DATA_AT, 8), 0x0f | 1ull << 0x31);
	else
		ck_assert_uint_eq(peek(DATA_AT, 8), updates[_i].now);
	ck_assert_uint_eq(world.cmpxchgs, updates[_i].atomic);
	ck_assert_uint_eq(world.writes, !updates[_i].atomic);
}
END_TEST

START_TEST(a_lost_race_is_run_again_on_the_new_value)
{
	poke(DATA_AT, 0x0f, 8);
	regs.rax = 1;
	world.losses = 3;
	check_done("f0480fc103"); /* lock xadd [rbx], rax */
	ck_assert_uint_eq(world.cmpxchgs, 4);
	ck_assert_uint_eq(peek(DATA_AT, 8), 0x40);
	ck_assert_uint_eq(regs.rax, 0x3f);
}
END_TEST

START_TEST(a_race_lost_for_ever_is_given_back_to_the_guest)
{
	struct hv_regs before = regs;

	world.losses = 100000;
	ck_assert_int_eq(run("f048ff03"), X86_RETRY);
	ck_assert_mem_eq(&regs, &before, sizeof(regs));
	ck_assert_uint_le(world.cmpxchgs, 1000);
}
END_TEST

START_TEST(cmpxchg_leaves_the_other_value_in_the_accumulator)
{
	poke(DATA_AT, 0x1111, 8);
	regs.rax = 0x1111;
	regs.rcx = 0x2222;
	check_done("f0480fb10b");
	ck_assert(regs.rflags & X86_FLAG_ZF);
	ck_assert_uint_eq(peek(DATA_AT, 8), 0x2222);
	check_done("f0480fb10b");
	ck_assert(!(regs.rflags & X86_FLAG_ZF));
	ck_assert_uint_eq(regs.rax, 0x2222);
	/* cmpxchg16b */
	regs.rdx = 0;
	regs.rbx = 5;
	regs.rcx = 6;
	regs.rdi = DATA_AT;
	check_done("f0480fc70f");
	ck_assert(regs.rflags & X86_FLAG_ZF);
	ck_assert_uint_eq(peek(DATA_AT, 8), 5);
	ck_assert_uint_eq(peek(DATA_AT + 8, 8), 6);
	check_done("f0480fc70f");
	ck_assert(!(regs.rflags & X86_FLAG_ZF));
	ck_assert_uint_eq(regs.rax, 5);
	ck_assert_uint_eq(regs.rdx, 6);
}
END_TEST

/* ---- what the caller allows ------------------------------------------------------------------------------------ */

static const struct {
	const char *hex;
	uint32_t family;
} families[] = {
	{ "488b03", X86_ALLOW_DATA }, { "f048010b", X86_ALLOW_DATA },
	{ "f348a5", X86_ALLOW_DATA }, { "0f1003", X86_ALLOW_VECTOR },
	{ "90", X86_ALLOW_DATA },     { "eb00", X86_ALLOW_BRANCH },
	{ "c3", X86_ALLOW_BRANCH },   { "8ed8", X86_ALLOW_SEG },
	{ "48cf", X86_ALLOW_SEG },    { "0fa2", X86_ALLOW_PRIV },
	{ "0f22d8", X86_ALLOW_PRIV }, { "e470", X86_ALLOW_IO },
	{ "6c", X86_ALLOW_IO },       { "cd03", X86_ALLOW_TRAP },
	{ "fa", X86_ALLOW_PRIV },     { "c4e278f7c1", X86_ALLOW_DATA },
};

START_TEST(a_family_that_is_not_allowed_is_not_done)
{
	emu.allow = X86_ALLOW_ALL & ~families[_i].family;
	check_unhandled(families[_i].hex);
	emu.allow = 0;
	check_unhandled(families[_i].hex);
}
END_TEST

static const char *const not_done[] = {
	"d9c0",         /* fld st0 */
	"0f58c1",       /* addps */
	"0fc7f0",       /* rdrand */
	"c5f877",       /* vzeroupper */
	"0fae03",       /* fxsave */
	"0f0fc1bf",     /* 3DNow! */
	"8fe878c0c100", /* XOP */
	"0f00e0",       /* verr */
};

START_TEST(what_is_not_done_is_said_so)
{
	check_unhandled(not_done[_i]);
}
END_TEST

/* ---- repetition, traps, flags of the flow ------------------------------------------------------------------------ */

START_TEST(long_repetitions_come_in_parts)
{
	regs.rdi = DATA_AT;
	regs.rcx = 10;
	regs.rax = 0x42;
	emu.max_reps = 4;
	ck_assert_int_eq(run("f3aa"), X86_DONE);
	ck_assert_uint_eq(emu.retired, X86_RETIRED_PARTIAL);
	ck_assert_uint_eq(regs.rip, CODE_AT);
	ck_assert_uint_eq(regs.rcx, 6);
	ck_assert_uint_eq(regs.rdi, DATA_AT + 4);
	ck_assert(regs.rflags & X86_FLAG_RF);
	ck_assert_int_eq(x86_emulate(&emu), X86_DONE);
	ck_assert_int_eq(x86_emulate(&emu), X86_DONE);
	ck_assert_uint_eq(emu.retired, 0);
	ck_assert_uint_eq(regs.rip, CODE_AT + 2);
	ck_assert_uint_eq(regs.rcx, 0);
	ck_assert(!(regs.rflags & X86_FLAG_RF));
	ck_assert_uint_eq(peek(DATA_AT, 8), 0x4242424242424242);
	ck_assert_uint_eq(peek(DATA_AT + 8, 8), 0x4242);
}
END_TEST

START_TEST(a_fault_in_the_middle_is_reported_by_its_own_element)
{
	regs.rdi = MEM_BASE + MEM_SIZE - 16;
	regs.rcx = 5;
	ck_assert_int_eq(run("f348ab"), X86_DONE); /* rep stosq: two fit */
	ck_assert_uint_eq(emu.retired, X86_RETIRED_PARTIAL);
	ck_assert_uint_eq(regs.rcx, 3);
	ck_assert_uint_eq(regs.rip, CODE_AT);
	check_fault("f348ab", X86_VECTOR_PF, 2);
	ck_assert_uint_eq(emu.fault.cr2, MEM_BASE + MEM_SIZE);
	ck_assert_uint_eq(regs.rcx, 3);
}
END_TEST

START_TEST(a_count_of_zero_touches_nothing)
{
	regs.rdi = 0x1000;
	regs.rsi = 0x1000;
	check_done("f348a5");
	regs.rflags |= X86_FLAG_ZF;
	check_done("f3a6");
	ck_assert(regs.rflags & X86_FLAG_ZF);
}
END_TEST

START_TEST(cmps_and_scas_stop_at_the_flag)
{
	memcpy(world.mem + 0x1000, "hello world", 12);
	regs.rdi = DATA_AT;
	regs.rcx = 100;
	regs.rax = 0;
	check_done("f2ae"); /* repne scasb: strlen */
	ck_assert_uint_eq(100 - regs.rcx, 12);
	ck_assert(regs.rflags & X86_FLAG_ZF);
	memcpy(world.mem + 0x1100, "hello wOrld", 12);
	regs.rsi = DATA_AT;
	regs.rdi = DATA_AT + 0x100;
	regs.rcx = 12;
	check_done("f3a6");
	ck_assert_uint_eq(regs.rcx, 4);
	ck_assert(!(regs.rflags & X86_FLAG_ZF));
}
END_TEST

START_TEST(single_stepping_is_reported_and_stops_a_repetition_each_time)
{
	regs.rflags |= X86_FLAG_TF | X86_FLAG_RF;
	check_done("90");
	ck_assert_uint_eq(emu.retired, X86_RETIRED_TRAP);
	ck_assert(!(regs.rflags & X86_FLAG_RF));
	regs.rip = CODE_AT;
	regs.rcx = 3;
	regs.rdi = DATA_AT;
	ck_assert_int_eq(run("f3aa"), X86_DONE);
	ck_assert_uint_eq(emu.retired, X86_RETIRED_TRAP | X86_RETIRED_PARTIAL);
	ck_assert_uint_eq(regs.rcx, 2);
	regs.rcx = 1;
	ck_assert_int_eq(run("f3aa"), X86_DONE);
	ck_assert_uint_eq(emu.retired, X86_RETIRED_TRAP);
	/* popf that sets TF traps after the next instruction */
	regs.rflags = X86_FLAG_ONE;
	poke(STACK_AT, X86_FLAG_TF | X86_FLAG_ONE, 8);
	check_done("9d");
	ck_assert_uint_eq(emu.retired, 0);
}
END_TEST

/* ---- branches ------------------------------------------------------------------------------------------------------ */

START_TEST(near_branches_go_and_remember)
{
	ck_assert_int_eq(run("e810000000"), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x15);
	ck_assert_uint_eq(peek(STACK_AT - 8, 8), CODE_AT + 5);
	put_code("");
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("c20800"), X86_DONE); /* ret 8 */
	ck_assert_uint_eq(regs.rip, CODE_AT + 5);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 8);

	regs.rip = CODE_AT;
	regs.rflags = X86_FLAG_ONE | X86_FLAG_ZF;
	ck_assert_int_eq(run("7410"), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x12);
	regs.rip = CODE_AT;
	check_done("7510");
	regs.rcx = 2;
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("e2fe"), X86_DONE); /* loop to itself */
	ck_assert_uint_eq(regs.rip, CODE_AT);
	check_done("e2fe");
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("e310"), X86_DONE); /* jrcxz */
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x12);
	regs.rcx = 0x100000000;
	regs.rip = CODE_AT;
	check_done("e310");
	regs.rip = CODE_AT;
	ck_assert_int_eq(run("67e310"), X86_DONE); /* jecxz */
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x13);
	regs.rip = CODE_AT;
	poke(DATA_AT, 0x123456, 8);
	ck_assert_int_eq(run("ff23"), X86_DONE);
	ck_assert_uint_eq(regs.rip, 0x123456);
}
END_TEST

START_TEST(absolute_moves_use_the_whole_address)
{
	poke(DATA_AT + 0x10, 0x1122334455667788, 8);
	check_done("48a1 1010010000000000"); /* mov rax, [0x11010] */
	ck_assert_uint_eq(regs.rax, 0x1122334455667788);
	check_done("a3 2010010000000000"); /* mov [0x11020], eax */
	ck_assert_uint_eq(peek(DATA_AT + 0x20, 8), 0x55667788);
	check_fault("48a1 0000000000008000", X86_VECTOR_GP, 0);
}
END_TEST

/* ---- 16- and 32-bit code --------------------------------------------------------------------------------------------- */

START_TEST(real_mode_segments_are_sixteen_bytes_apart)
{
	ops.load_segment = NULL;
	ops.load_code = NULL;
	emu.mode = X86_MODE_16;
	emu.flags = X86_EMU_KERNEL | X86_EMU_REAL;
	emu.cpl = 0;
	regs.cs = MEM_BASE >> 4;
	regs.rip = 0x800;
	regs.rax = (DATA_AT >> 4) & 0xffff;
	regs.rbx = 0;
	check_done("8ed8"); /* mov ds, ax */
	ck_assert_uint_eq(regs.ds, DATA_AT >> 4);
	ck_assert_uint_eq(emu.segment[X86_SEG_DS].base, DATA_AT);
	poke(DATA_AT + 4, 0xbeef, 2);
	check_done("8b4704"); /* mov ax, [bx + 4] */
	ck_assert_uint_eq(regs.rax & 0xffff, 0xbeef);
	regs.rip = 0x800;
	ck_assert_int_eq(run("ea00090010"), X86_DONE); /* jmp 1000:0900 */
	ck_assert_uint_eq(regs.cs, 0x1000);
	ck_assert_uint_eq(regs.rip, 0x900);
	regs.rip = 0x800;
	regs.rbx = 0xffff;
	check_fault("8b07", X86_VECTOR_GP, 0); /* a word at ffff */
	regs.rsp = 0;
	regs.ss = STACK_AT >> 4;
	regs.rip = 0x800;
	check_fault("50", X86_VECTOR_PF,
	            2); /* ss:fffe lies outside of memory here, but inside of ss */
	ck_assert_uint_eq(emu.fault.cr2, STACK_AT + 0xfffe);
}
END_TEST

START_TEST(protected_mode_limits_and_types_hold)
{
	ops.get_segment = w_get_segment;
	emu.mode = X86_MODE_32;
	emu.cpl = 0;
	world.segment[X86_SEG_DS].limit = DATA_AT + 7;
	check_done("8b4304"); /* mov eax, [ebx + 4] */
	check_fault("8b4305", X86_VECTOR_GP, 0);
	world.segment[X86_SEG_DS].attr &= ~X86_DESC_RW;
	check_done("8b4304");
	check_fault("894304", X86_VECTOR_GP, 0);
	check_fault("2e894304", X86_VECTOR_GP, 0); /* code is never written */
	world.segment[X86_SEG_SS].limit = STACK_AT - 1;
	check_done("50");
	regs.rsp = STACK_AT;
	world.segment[X86_SEG_SS].limit = STACK_AT - 2;
	check_fault("50", X86_VECTOR_SS, 0);
	world.segment[X86_SEG_SS].attr |= X86_DESC_DOWN; /* valid above the limit now */
	world.segment[X86_SEG_SS].limit = STACK_AT - 5;
	check_done("50");
	regs.rsp = STACK_AT;
	world.segment[X86_SEG_SS].limit = STACK_AT - 4;
	check_fault("50", X86_VECTOR_SS, 0);
	world.segment[X86_SEG_ES].attr = 0; /* a null selector */
	regs.rdi = DATA_AT;
	check_fault("aa", X86_VECTOR_GP, 0);
	world.segment[X86_SEG_CS].limit = (uint32_t)regs.rip + 1;
	ck_assert_int_eq(run("eb00"), X86_FAULT); /* two bytes fit; the target does not */
	ck_assert_uint_eq(emu.fault.vector, X86_VECTOR_GP);
	world.segment[X86_SEG_CS].limit = (uint32_t)regs.rip;
	check_fault("eb00", X86_VECTOR_GP, 0); /* nor do two bytes */
}
END_TEST

/* What a start in 32-bit code does before long mode, step by step. */
START_TEST(a_32_bit_start_can_be_interpreted)
{
	emu.mode = X86_MODE_32;
	emu.cpl = 0;
	emu.flags = X86_EMU_KERNEL;
	regs.rbx = DATA_AT;
	check_done("bc00200100"); /* mov esp, 0x12000 */
	ck_assert_uint_eq(regs.rsp, STACK_AT);
	check_done("0f20e0"); /* mov eax, cr4 */
	check_done("83c820");
	check_done("0f22e0");
	ck_assert_uint_eq(world.cr[4], 0x20);
	check_done("b9800000c0"); /* mov ecx, EFER */
	check_done("0f32");
	check_done("0fbae808"); /* bts eax, 8 */
	check_done("0f30");
	ck_assert_uint_eq(world.msr[0], 0x100);
	poke(DATA_AT, 0x27, 2);
	poke(DATA_AT + 2, 0x12345678, 8);
	check_done("0f0113"); /* lgdt */
	ck_assert_uint_eq(world.table_base[X86_TABLE_GDT], 0x12345678);
	check_done("60"); /* pusha, popa */
	ck_assert_uint_eq(regs.rsp, STACK_AT - 32);
	check_done("61");
	ck_assert_int_eq(run("ea0010010033e0"), X86_DONE); /* ljmp 0xe033:0x11000 */
	ck_assert_uint_eq(regs.rip, DATA_AT);
	ck_assert_uint_eq(regs.cs, FLAT_CS64);
	ck_assert(emu.segment[X86_SEG_CS].attr & X86_DESC_L);
}
END_TEST

static void go_to_protected_mode(void)
{
	emu.mode = X86_MODE_32;
	emu.cpl = 0;
	emu.flags = X86_EMU_KERNEL;
	regs.cs = 0x10;
}

START_TEST(protected_mode_returns_inward_and_outward)
{
	static const uint32_t frame[5] = { CODE_AT + 0x40, 0x13, X86_FLAG_IOPL | X86_FLAG_IF,
		                           STACK_AT + 0x80, 0x1b };
	unsigned i;

	go_to_protected_mode();
	for (i = 0; i < 5; i++)
		poke(STACK_AT + 4 * i, frame[i], 4);
	ck_assert_int_eq(run("cf"), X86_DONE); /* iret to ring 3 takes esp and ss */
	ck_assert_uint_eq(regs.rip, CODE_AT + 0x40);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 0x80);
	ck_assert_uint_eq(regs.ss, 0x1b);
	ck_assert_uint_eq(regs.rflags, X86_FLAG_ONE | X86_FLAG_IOPL | X86_FLAG_IF);

	emu.cpl = 3;
	regs.rsp = STACK_AT;
	ck_assert_int_eq(run("cf"), X86_DONE); /* the same frame from ring 3 does not */
	ck_assert_uint_eq(regs.rsp, STACK_AT + 12);

	emu.cpl = 0;
	regs.rsp = STACK_AT;
	poke(STACK_AT + 16, STACK_AT + 0x100, 4); /* behind what lret 8 drops: esp, ss */
	poke(STACK_AT + 20, 0x1b, 4);
	regs.ss = 0;
	ck_assert_int_eq(run("ca0800"), X86_DONE);
	ck_assert_uint_eq(regs.rsp, STACK_AT + 0x108);
	ck_assert_uint_eq(regs.ss, 0x1b);

	/* virtual-8086 mode and nested tasks are not done */
	poke(STACK_AT + 8, X86_FLAG_VM, 4);
	regs.rsp = STACK_AT;
	check_unhandled("cf");
	regs.rflags |= X86_FLAG_NT;
	check_unhandled("cf");
}
END_TEST

START_TEST(real_mode_returns_load_all_flags)
{
	ops.load_segment = NULL;
	ops.load_code = NULL;
	emu.mode = X86_MODE_16;
	emu.flags = X86_EMU_KERNEL | X86_EMU_REAL;
	emu.cpl = 0;
	regs.cs = MEM_BASE >> 4;
	regs.rip = 0x800;
	regs.ss = STACK_AT >> 4;
	regs.rsp = 0x10;
	regs.rflags = X86_FLAG_ONE | X86_FLAG_AC;
	poke(STACK_AT + 0x10, 0x900, 2);
	poke(STACK_AT + 0x12, 0x1003, 2);
	poke(STACK_AT + 0x14, 0x3202, 2);
	ck_assert_int_eq(run("cf"), X86_DONE);
	ck_assert_uint_eq(regs.cs, 0x1003); /* no privilege in a real-mode selector */
	ck_assert_uint_eq(regs.rip, 0x900);
	ck_assert_uint_eq(regs.rsp, 0x16);
	ck_assert_uint_eq(regs.rflags, X86_FLAG_AC | 0x3202);
	poke(STACK_AT + 0x16, 0x800, 2);
	poke(STACK_AT + 0x18, 0x1000, 2);
	ck_assert_int_eq(run("cb"), X86_DONE);
	ck_assert_uint_eq(regs.cs, 0x1000);
	ck_assert_int_eq(run("9a00090010"), X86_DONE);
	ck_assert_uint_eq(peek(STACK_AT + 0x16, 4), 0x10000805);
	check_fault("0f00c0", X86_VECTOR_UD, 0); /* sldt is not of real mode */
}
END_TEST

START_TEST(protected_mode_has_instructions_of_its_own)
{
	go_to_protected_mode();
	regs.rax = 5;
	poke(DATA_AT, 0xfffffffb, 4); /* -5 .. 5 */
	poke(DATA_AT + 4, 5, 4);
	check_done("6203"); /* bound eax, [ebx] */
	regs.rax = 6;
	check_fault("6203", X86_VECTOR_BR, 0);
	regs.rax = 0xfffffffa;
	check_fault("6203", X86_VECTOR_BR, 0);
	regs.rflags |= X86_FLAG_CF;
	check_done("d6"); /* salc */
	ck_assert_uint_eq(regs.rax, 0xffffffff);
	check_done("ce"); /* into, without an overflow */
	regs.rflags |= X86_FLAG_OF;
	check_done("ce");
	ck_assert_uint_eq(world.system_arg, X86_VECTOR_OF);
	regs.ds = 0x28;
	check_done("1e"); /* push ds, pop es */
	check_done("07");
	ck_assert_uint_eq(regs.es, 0x28);
	poke(DATA_AT, 0x12345678, 4);
	poke(DATA_AT + 4, 0x30, 2);
	check_done("c413"); /* les edx, [ebx] */
	ck_assert_uint_eq(regs.rdx, 0x12345678);
	ck_assert_uint_eq(regs.es, 0x30);
	check_unhandled("63c0"); /* arpl */
	poke(DATA_AT + 2, 0xff345678, 4);
	check_done("660f0113"); /* lgdt with 16-bit operands takes 24 bits */
	ck_assert_uint_eq(world.table_base[X86_TABLE_GDT], 0x345678);
	ops.get_segment = w_get_segment;
	world.segment[X86_SEG_DS].base = 0x1000;
	check_done("0f013b"); /* invlpg */
	ck_assert_uint_eq(world.invalidated, DATA_AT + 0x1000);
	world.segment[X86_SEG_TR].selector = 0x40;
	check_done("0f00c9"); /* str ecx */
	ck_assert_uint_eq(regs.rcx, 0x40);
	check_fault("0f01f8", X86_VECTOR_UD, 0); /* swapgs */
}
END_TEST

static const struct {
	const char *hex;
	enum x86_system which;
} system_instructions[] = {
	{ "0f34", X86_SYS_SYSENTER },      { "0f35", X86_SYS_SYSEXIT },
	{ "0f05", X86_SYS_SYSCALL },       { "480f07", X86_SYS_SYSRET },
	{ "0f01f8", X86_SYS_SWAPGS },      { "0f01c1", X86_SYS_VMCALL },
	{ "0f01c8", X86_SYS_MONITOR },     { "0f01c9", X86_SYS_MWAIT },
	{ "0f01ca", X86_SYS_CLAC },        { "0f01cb", X86_SYS_STAC },
	{ "660f388203", X86_SYS_INVPCID }, { "f1", X86_SYS_INT },
};

START_TEST(system_instructions_reach_their_callback)
{
	regs.rax = DATA_AT;
	check_done(system_instructions[_i].hex);
	ck_assert_uint_eq(world.system_calls, 1);
	ck_assert_uint_eq(world.system_which, system_instructions[_i].which);
	if (system_instructions[_i].which == X86_SYS_MONITOR ||
	    system_instructions[_i].which == X86_SYS_INVPCID)
		ck_assert_uint_eq(world.system_arg, DATA_AT);
	/* and what it refuses changes nothing, though it was given the working registers */
	world.refuse = true;
	check_fault(system_instructions[_i].hex, X86_VECTOR_GP, 0x18);
}
END_TEST

START_TEST(cache_lines_and_fences_are_harmless)
{
	check_done("0faef0");   /* mfence */
	check_done("0fae3b");   /* clflush [rbx] */
	check_done("660fae33"); /* clwb [rbx] */
	regs.rbx = 0x5000;
	check_fault("0fae3b", X86_VECTOR_PF, 0);
	check_done("0f0d0b");   /* a prefetch never faults */
	check_done("0f1f03");   /* nor does a nop */
	check_done("f30f1efa"); /* endbr64 */
	regs.rbx = 0x0000800000000000;
	check_done("0f013b"); /* invlpg of a non-canonical address does nothing */
	ck_assert_uint_eq(world.invalidated, 0);
}
END_TEST

START_TEST(a_forced_repetition_in_parts_stays_at_its_prefix)
{
	regs.rdi = DATA_AT;
	regs.rcx = 6;
	emu.max_reps = 4;
	put_code("0f0b78656e f3aa");
	ck_assert_int_eq(x86_emulate_forced(&emu, true), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT);
	ck_assert_uint_eq(regs.rcx, 2);
	ck_assert_int_eq(x86_emulate_forced(&emu, true), X86_DONE);
	ck_assert_uint_eq(regs.rip, CODE_AT + 7);
}
END_TEST

static const char *const malformed[] = {
	"c5fc1203",     /* vmovlps with L = 1 */
	"c5f01003",     /* vmovups with a third register */
	"c4e17b6f03",   /* vmovdqu8 has no VEX form */
	"c4e1786f03",   /* nor has the MMX movq */
	"62f17c5f1003", /* a broadcast */
	"62f17c6f1003", /* vector length 3 */
	"62f17cc81003", /* zeroing without a mask */
	"62f17ccf1103", /* zeroing of memory */
};

START_TEST(malformed_vector_prefixes_are_undefined)
{
	ops.get_vec = no_vec_get;
	ops.set_vec = no_vec_set;
	check_fault(malformed[_i], X86_VECTOR_UD, 0);
}
END_TEST

Suite *x86_system_suite(void);
Suite *x86_system_suite(void)
{
	Suite *s = suite_create("x86_system");
	TCase *normal = tcase_create("normal");
	TCase *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, NULL);
	tcase_add_checked_fixture(limits, set_up, NULL);
	tcase_add_checked_fixture(hostile, set_up, NULL);

	tcase_add_loop_test(normal, kernel_code_has_them_done, 0, ARRAY_LEN(privileged));
	tcase_add_loop_test(normal, without_a_callback_nothing_happens, 0, ARRAY_LEN(privileged));
	tcase_add_test(normal, control_registers_pass_whole);
	tcase_add_test(normal, clts_and_lmsw_change_only_their_bits);
	tcase_add_test(normal, msrs_and_counters_go_through_edx_and_eax);
	tcase_add_test(normal, cpuid_fills_all_four_registers);
	tcase_add_test(normal, hlt_invlpg_and_wbinvd_reach_their_callbacks);
	tcase_add_test(normal, interrupts_are_switched_by_privilege_or_by_the_callers_rule);
	tcase_add_test(normal, ports_get_number_width_and_value);
	tcase_add_test(normal, string_ports_move_memory);
	tcase_add_test(normal, descriptor_tables_are_read_and_written);
	tcase_add_test(normal, flat_selectors_can_be_moved_and_popped);
	tcase_add_test(normal, selectors_are_stored);
	tcase_add_test(normal, iretq_takes_its_frame_and_keeps_what_user_code_may_not_change);
	tcase_add_test(normal, far_returns_and_jumps_name_flat_selectors);
	tcase_add_test(normal, lss_lfs_lgs_load_pointer_and_segment);
	tcase_add_test(normal, traps_go_through_the_system_callback);
	tcase_add_test(normal, cpuid_behind_the_prefix_is_emulated);
	tcase_add_test(normal, segment_bases_are_added_and_gs_follows_the_mode);
	tcase_add_test(normal, fs_and_gs_base_instructions_use_the_register_file);
	tcase_add_loop_test(normal, locked_updates_use_the_atomic_callback_and_only_that, 0,
	                    ARRAY_LEN(updates));
	tcase_add_test(normal, a_lost_race_is_run_again_on_the_new_value);
	tcase_add_test(normal, cmpxchg_leaves_the_other_value_in_the_accumulator);
	tcase_add_test(normal, cmps_and_scas_stop_at_the_flag);
	tcase_add_test(normal, near_branches_go_and_remember);
	tcase_add_test(normal, absolute_moves_use_the_whole_address);
	tcase_add_test(normal, real_mode_segments_are_sixteen_bytes_apart);
	tcase_add_test(normal, a_32_bit_start_can_be_interpreted);
	tcase_add_test(normal, protected_mode_returns_inward_and_outward);
	tcase_add_test(normal, real_mode_returns_load_all_flags);
	tcase_add_test(normal, protected_mode_has_instructions_of_its_own);
	tcase_add_loop_test(normal, system_instructions_reach_their_callback, 0,
	                    ARRAY_LEN(system_instructions));
	tcase_add_test(normal, cache_lines_and_fences_are_harmless);

	tcase_add_test(limits, an_instruction_may_cross_into_the_next_page);
	tcase_add_test(limits, the_next_page_is_not_touched_without_need);
	tcase_add_test(limits, the_last_canonical_byte_can_be_fetched);
	tcase_add_test(limits, protected_mode_limits_and_types_hold);
	tcase_add_test(limits, long_repetitions_come_in_parts);
	tcase_add_test(limits, a_forced_repetition_in_parts_stays_at_its_prefix);
	tcase_add_test(limits, a_count_of_zero_touches_nothing);
	tcase_add_test(limits, single_stepping_is_reported_and_stops_a_repetition_each_time);

	tcase_add_loop_test(hostile, user_code_gets_gp_for_privileged_instructions, 0,
	                    ARRAY_LEN(privileged));
	tcase_add_test(hostile, iretq_faults_leave_everything);
	tcase_add_test(hostile, other_instructions_behind_it_only_when_asked);
	tcase_add_test(hostile, bad_code_gets_the_processors_answer);
	tcase_add_loop_test(hostile, a_fault_is_the_processors_and_changes_nothing, 0,
	                    ARRAY_LEN(data_faults));
	tcase_add_test(hostile, a_race_lost_for_ever_is_given_back_to_the_guest);
	tcase_add_loop_test(hostile, a_family_that_is_not_allowed_is_not_done, 0,
	                    ARRAY_LEN(families));
	tcase_add_loop_test(hostile, malformed_vector_prefixes_are_undefined, 0,
	                    ARRAY_LEN(malformed));
	tcase_add_loop_test(hostile, what_is_not_done_is_said_so, 0, ARRAY_LEN(not_done));
	tcase_add_test(hostile, a_fault_in_the_middle_is_reported_by_its_own_element);

	tcase_set_timeout(normal, 60);
	tcase_set_timeout(limits, 60);
	tcase_set_timeout(hostile, 60);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
