/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the instruction decoder and emulator.
 *
 * Input: 4 bytes that choose mode, privilege, what fails and how the registers start; then up to 64 bytes of code,
 * which run as a program of at most 32 instructions in a world whose memory answers everything.
 *
 * Checked besides memory errors: a length is never more than the bytes given; what is not done changes
 * no register; an address that reaches a callback is canonical; a callback gets only lengths it may get.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/x86/x86emu.h"

int fuzz_x86(const uint8_t *data, size_t len);

struct choice {
	uint8_t mode, flags, seed, failure;
};

struct scene {
	struct choice c;
	const uint8_t *code;
	size_t code_len;
	unsigned calls;
};

#define CODE_AT 0x400000u

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Some calls fail, chosen by the input. */
static enum x86_result answer(struct x86_emu *emu)
{
	struct scene *s = emu->opaque;
	unsigned call = s->calls++;

	if (s->c.failure < 0x80 || (s->c.failure & 0x1f) != (call & 0x1f))
		return X86_DONE;
	if (s->c.failure & 0x40)
		return X86_UNHANDLED;
	return x86_raise_page_fault(emu, 0x1234, 2);
}

static void check_span(struct x86_emu *emu, uint64_t addr, unsigned len, unsigned max)
{
	require(len >= 1 && len <= max);
	if ((emu->mode & X86_MODE_64) != 0)
		require(x86_is_canonical(addr) && x86_is_canonical(addr + len - 1));
	else
		require(addr <= UINT32_MAX);
}

static enum x86_result f_read(struct x86_emu *emu, enum x86_access kind, uint64_t addr, void *buf,
                              unsigned len)
{
	struct scene *s = emu->opaque;
	unsigned i;

	check_span(emu, addr, len, 64);
	if (kind != X86_FETCH && answer(emu) != X86_DONE)
		return X86_FAULT;
	for (i = 0; i < len; i++) {
		uint64_t off = addr + i - CODE_AT;

		((uint8_t *)buf)[i] = off < s->code_len ? s->code[off]
		                                        : (uint8_t)((addr + i) * 0x9d + s->c.seed);
	}
	return X86_DONE;
}

static enum x86_result f_write(struct x86_emu *emu, uint64_t addr, const void *buf, unsigned len)
{
	volatile uint8_t sink = ((const uint8_t *)buf)[len - 1];

	(void)sink;
	check_span(emu, addr, len, 64);
	return answer(emu);
}

static enum x86_result f_cmpxchg(struct x86_emu *emu, uint64_t addr, void *old, const void *new,
                                 unsigned len)
{
	struct scene *s = emu->opaque;

	check_span(emu, addr, len, 16);
	require((len & (len - 1)) == 0);
	if (s->calls % 3 == 0) {
		memcpy(old, new, len);
		s->calls++;
		return X86_RETRY;
	}
	return answer(emu);
}

static enum x86_result f_get_segment(struct x86_emu *emu, enum x86_seg seg, struct x86_segment *out)
{
	struct scene *s = emu->opaque;

	out->selector = seg;
	out->base = seg == X86_SEG_CS ? 0 : s->c.seed * 0x1001u;
	out->limit = seg == X86_SEG_CS ? 0xffffffff : s->c.seed & 1 ? 0xffff : 0xffffffff;
	out->attr = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_RW |
	            (s->c.seed & 2 ? X86_DESC_DB : 0) | (s->c.seed & 4 ? X86_DESC_DOWN : 0);
	return X86_DONE;
}

static enum x86_result f_load_segment(struct x86_emu *emu, enum x86_seg seg, uint16_t selector,
                                      struct x86_segment *out)
{
	require(seg < X86_SEG_NONE);
	out->selector = selector;
	out->base = selector;
	return answer(emu);
}

static enum x86_result f_load_code(struct x86_emu *emu, enum x86_transfer kind, uint16_t selector,
                                   struct x86_segment *out)
{
	(void)kind;
	out->selector = selector;
	out->limit = 0xffffffff;
	out->attr = selector & 8 ? X86_DESC_L : X86_DESC_DB;
	return answer(emu);
}

static enum x86_result f_get(struct x86_emu *emu, unsigned nr, uint64_t *value)
{
	*value = nr * 0x1122334455667788ull;
	return answer(emu);
}

static enum x86_result f_set(struct x86_emu *emu, unsigned nr, uint64_t value)
{
	(void)nr;
	(void)value;
	return answer(emu);
}

static enum x86_result f_get32(struct x86_emu *emu, uint32_t nr, uint64_t *value)
{
	return f_get(emu, nr, value);
}

static enum x86_result f_set32(struct x86_emu *emu, uint32_t nr, uint64_t value)
{
	return f_set(emu, nr, value);
}

static enum x86_result f_addr(struct x86_emu *emu, uint64_t addr)
{
	check_span(emu, addr, 1, 1);
	return answer(emu);
}

static enum x86_result f_cpuid(struct x86_emu *emu, uint32_t leaf, uint32_t subleaf,
                               uint32_t out[4])
{
	out[0] = out[1] = leaf;
	out[2] = out[3] = subleaf;
	return answer(emu);
}

static enum x86_result f_tsc(struct x86_emu *emu, uint64_t *value)
{
	return f_get(emu, 1, value);
}

static enum x86_result f_aux(struct x86_emu *emu, uint32_t *value)
{
	*value = 1;
	return answer(emu);
}

static enum x86_result f_in(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t *value)
{
	require(len == 1 || len == 2 || len == 4);
	*value = port;
	return answer(emu);
}

static enum x86_result f_out(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t value)
{
	(void)port;
	require((len == 1 || len == 2 || len == 4) && (len == 4 || value >> (8 * len) == 0));
	return answer(emu);
}

static enum x86_result f_flag(struct x86_emu *emu, bool flag)
{
	(void)flag;
	return answer(emu);
}

static enum x86_result f_nothing(struct x86_emu *emu)
{
	return answer(emu);
}

static enum x86_result f_system(struct x86_emu *emu, enum x86_system which, uint64_t arg,
                                struct hv_regs *regs)
{
	(void)which;
	(void)arg;
	regs->rax++;
	return answer(emu);
}

static enum x86_result f_read_table(struct x86_emu *emu, enum x86_table which, uint64_t *base,
                                    uint16_t *limit)
{
	require(which == X86_TABLE_GDT || which == X86_TABLE_IDT);
	*base = 0x1000;
	*limit = 0xff;
	return answer(emu);
}

static enum x86_result f_write_table(struct x86_emu *emu, enum x86_table which, uint64_t base,
                                     uint16_t limit)
{
	(void)limit;
	require((which == X86_TABLE_GDT || which == X86_TABLE_IDT) && x86_is_canonical(base));
	return answer(emu);
}

static enum x86_result f_get_vec(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr,
                                 void *buf, unsigned len)
{
	struct scene *s = emu->opaque;

	require(len <= 64 && nr < (kind == X86_VEC_XMM ? 32u : 8u));
	memset(buf, s->c.seed, len);
	return answer(emu);
}

static enum x86_result f_set_vec(struct x86_emu *emu, enum x86_vec_kind kind, unsigned nr,
                                 const void *buf, unsigned len, bool zero_upper)
{
	volatile uint8_t sink = ((const uint8_t *)buf)[len - 1];

	(void)sink;
	(void)zero_upper;
	require(len <= 64 && nr < (kind == X86_VEC_XMM ? 32u : 8u));
	return answer(emu);
}

static const struct x86_ops all_ops = {
	.read = f_read,
	.write = f_write,
	.cmpxchg = f_cmpxchg,
	.get_segment = f_get_segment,
	.load_segment = f_load_segment,
	.load_code = f_load_code,
	.read_cr = f_get,
	.write_cr = f_set,
	.read_dr = f_get,
	.write_dr = f_set,
	.rdmsr = f_get32,
	.wrmsr = f_set32,
	.invlpg = f_addr,
	.wbinvd = f_flag,
	.hlt = f_nothing,
	.xsetbv = f_set32,
	.read_table = f_read_table,
	.write_table = f_write_table,
	.cpuid = f_cpuid,
	.rdtsc = f_tsc,
	.tsc_aux = f_aux,
	.rdpmc = f_get32,
	.xgetbv = f_get32,
	.port_in = f_in,
	.port_out = f_out,
	.set_interrupts = f_flag,
	.system = f_system,
	.get_vec = f_get_vec,
	.set_vec = f_set_vec,
};

/* As little as a caller may give. */
static const struct x86_ops few_ops = { .read = f_read, .write = f_write };

static unsigned mode_of(uint8_t byte)
{
	static const unsigned modes[4] = { X86_MODE_64, X86_MODE_64 | X86_MODE_AMD, X86_MODE_32,
		                           X86_MODE_16 };

	return modes[byte & 3];
}

static void check_decoding(const uint8_t *code, size_t len, unsigned mode)
{
	struct x86_insn insn;
	uint64_t target = 0;
	enum x86_decode_result rc = x86_decode(&insn, code, len, mode);

	require(insn.len <= X86_INSN_MAX && insn.len <= len);
	if (rc == X86_DECODE_OK) {
		require(insn.len > 0 && !memcmp(insn.bytes, code, insn.len));
		x86_insn_flow(&insn, CODE_AT, &target);
	}
}

static void start_registers(struct hv_regs *regs, uint8_t seed)
{
	unsigned i;

	memset(regs, 0, sizeof(*regs));
	for (i = 0; i < 16; i++)
		*x86_gpr(regs, i) = (seed >> (i & 7) & 1)
		                            ? 0x800000 + 0x100 * i
		                            : 0x8000000000000001ull * (i + seed) >> (seed & 31);
	regs->rip = CODE_AT;
	regs->rflags = X86_FLAG_ONE | (seed & 0x80 ? X86_FLAG_DF | X86_FLAG_CF : X86_FLAG_IF);
	if (seed & 0x40)
		regs->rflags |= X86_FLAG_TF;
	regs->gs_base_kernel = 0x00007ffffffffff0;
}

static uint64_t next_rip(const struct x86_emu *emu, uint64_t rip, bool forced)
{
	uint64_t next = rip + emu->insn.len + (forced ? 5 : 0);

	return emu->mode & X86_MODE_64 ? next : (uint32_t)next;
}

static bool step(struct x86_emu *emu, bool forced)
{
	struct hv_regs old = *emu->regs;
	enum x86_result rc = forced ? x86_emulate_forced(emu, true) : x86_emulate(emu);

	require(rc <= X86_RETRY);
	if (rc != X86_DONE) {
		require(!memcmp(&old, emu->regs, sizeof(old)));
		if (rc == X86_FAULT)
			require(emu->fault.vector < 32);
		if (emu->insn.len)
			emu->regs->rip += emu->insn.len;
		return emu->insn.len > 0;
	}
	if (emu->retired & X86_RETIRED_PARTIAL)
		require(emu->regs->rip == old.rip);
	else if (x86_insn_flow(&emu->insn, 0, NULL) == X86_FLOW_NEXT)
		require(emu->regs->rip == next_rip(emu, old.rip, forced));
	return true;
}

int fuzz_x86(const uint8_t *data, size_t len)
{
	struct scene scene = { 0 };
	struct hv_regs regs;
	struct x86_emu emu = { .regs = &regs, .opaque = &scene };
	unsigned i;

	if (len < sizeof(scene.c) + 1)
		return 0;
	memcpy(&scene.c, data, sizeof(scene.c));
	scene.code = data + sizeof(scene.c);
	scene.code_len = len - sizeof(scene.c) > 64 ? 64 : len - sizeof(scene.c);
	emu.mode = mode_of(scene.c.mode);
	check_decoding(scene.code, scene.code_len, emu.mode);

	start_registers(&regs, scene.c.seed);
	emu.ops = scene.c.mode & 4 ? &few_ops : &all_ops;
	emu.flags = scene.c.flags & 7;
	if (emu.mode & X86_MODE_64)
		emu.flags &= ~X86_EMU_REAL;
	emu.cpl = scene.c.flags >> 3 & 3;
	emu.allow = scene.c.mode & 8 ? X86_ALLOW_ALL & ~X86_ALLOW_BRANCH : X86_ALLOW_ALL;
	emu.max_reps = 8;
	for (i = 0; i < 32; i++)
		if (!step(&emu, scene.c.mode & 16))
			break;
	return 0;
}
