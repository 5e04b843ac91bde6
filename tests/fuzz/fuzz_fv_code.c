/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the emulator beside the processor, and the scanning and patching of code pages.
 *
 * Input: 4 bytes that choose; then code. Instructions of a list (general registers only, no memory, no
 * stack, no branch) are executed by the emulator and natively from the same registers, and must come out the
 * same, flags that the manuals leave undefined aside. Then the bytes are a page of a kernel's, which is
 * entered, patched wherever the input says, and undone.
 *
 * Checked: equal registers and flags; in a copy of a page each byte is the guest's, an int3 at the beginning
 * of a silent instruction, or part of a jump into the area; after undoing no jump is left; the guest's
 * memory never changes.
 * Source of the undefined flags: Intel SDM vol. 2, each instruction's "Flags affected".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/fake/fv_cpu_world.h"

int fuzz_fv_code(const uint8_t *data, size_t len);

#define ARITH X86_FLAGS_ARITH
#define AF    X86_FLAG_AF
#define BITS  (X86_FLAG_OF | X86_FLAG_SF | X86_FLAG_AF | X86_FLAG_PF)

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t *page;

/* ---- the emulator beside the processor --------------------------------------------------------- */

/* Where the processor's registers come from and go to: rax to r15 by number, and flags. For the assembly. */
extern struct fuzz_real {
	uint64_t reg[16], flags;
	uint8_t *entry;
} fuzz_real;
struct fuzz_real fuzz_real __attribute__((visibility("hidden")));

#define EACH_REGISTER(op)                                                                         \
	op("rax", 0) op("rcx", 8) op("rdx", 16) op("rbx", 24) op("rbp", 40) op("rsi", 48)         \
		op("rdi", 56) op("r8", 64) op("r9", 72) op("r10", 80) op("r11", 88) op("r12", 96) \
			op("r13", 104) op("r14", 112) op("r15", 120)
#define LOAD(name, at)  "mov fuzz_real+" #at "(%%rip), %%" name "\n\t"
#define STORE(name, at) "mov %%" name ", fuzz_real+" #at "(%%rip)\n\t"

/* All registers but rsp are the instruction's; the page ends in a jump to the label. */
__attribute__((noinline)) static void run_real(void)
{
	__asm__ volatile(
		"sub $128, %%rsp; push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14\n\t"
		"push %%r15; push fuzz_real+128(%%rip); popfq\n\t" EACH_REGISTER(
			LOAD) "jmp *fuzz_real+136(%%rip)\n"
			      "fuzz_real_behind:\n\t" EACH_REGISTER(
				      STORE) "pushfq; popq fuzz_real+128(%%rip)\n\t"
					     "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop "
	                                     "%%rbp; pop %%rbx; add $128, %%rsp"
		:
		:
		: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}
extern uint8_t fuzz_real_behind[] __attribute__((visibility("hidden")));

/* What is executed: one byte opcodes with a modrm of registers, and some of two bytes. */
struct kind {
	uint8_t map, opcode, members; /* members: bits of modrm.reg that are meant; 0: all */
	uint32_t undefined;           /* flags */
};
static const struct kind kinds[] = {
	{ 0, 0x00, 0, 0 },       { 0, 0x01, 0, 0 },     { 0, 0x02, 0, 0 },
	{ 0, 0x03, 0, 0 },       { 0, 0x08, 0, AF },    { 0, 0x09, 0, AF },
	{ 0, 0x0b, 0, AF },      { 0, 0x10, 0, 0 },     { 0, 0x11, 0, 0 },
	{ 0, 0x13, 0, 0 },       { 0, 0x18, 0, 0 },     { 0, 0x19, 0, 0 },
	{ 0, 0x1b, 0, 0 },       { 0, 0x21, 0, AF },    { 0, 0x23, 0, AF },
	{ 0, 0x29, 0, 0 },       { 0, 0x2b, 0, 0 },     { 0, 0x31, 0, AF },
	{ 0, 0x33, 0, AF },      { 0, 0x38, 0, 0 },     { 0, 0x39, 0, 0 },
	{ 0, 0x3b, 0, 0 },       { 0, 0x63, 0, 0 },     { 0, 0x69, 0, BITS & ~X86_FLAG_OF },
	{ 0, 0x80, 0xad, 0 },    { 0, 0x81, 0xad, 0 },  { 0, 0x83, 0xad, 0 },
	{ 0, 0x84, 0, AF },      { 0, 0x85, 0, AF },    { 0, 0x86, 0, 0 },
	{ 0, 0x87, 0, 0 },       { 0, 0x88, 0, 0 },     { 0, 0x89, 0, 0 },
	{ 0, 0x8b, 0, 0 },       { 0, 0xc7, 0x01, 0 },  { 0, 0xf6, 0x0c, 0 },
	{ 0, 0xf7, 0x0c, 0 },    { 0, 0xfe, 0x03, 0 },  { 0, 0xff, 0x03, 0 },
	{ 0, 0xd1, 0xbf, AF },   { 0, 0xd0, 0xbf, AF }, { 1, 0x40, 0, 0 },
	{ 1, 0x44, 0, 0 },       { 1, 0x47, 0, 0 },     { 1, 0x4c, 0, 0 },
	{ 1, 0x92, 0, 0 },       { 1, 0x95, 0, 0 },     { 1, 0x9f, 0, 0 },
	{ 1, 0xa3, 0, BITS },    { 1, 0xab, 0, BITS },  { 1, 0xaf, 0, BITS & ~X86_FLAG_OF },
	{ 1, 0xb3, 0, BITS },    { 1, 0xb6, 0, 0 },     { 1, 0xb7, 0, 0 },
	{ 1, 0xba, 0xf0, BITS }, { 1, 0xbb, 0, BITS },  { 1, 0xbe, 0, 0 },
	{ 1, 0xbf, 0, 0 },       { 1, 0xc0, 0, 0 },     { 1, 0xc1, 0, 0 },
};

/* An instruction from the input's numbers; its length. None of its registers is rsp. */
static unsigned make(const uint8_t *data, const struct kind *k, uint8_t *to)
{
	uint8_t rex = 0x40 | (data[0] & 0x0d), reg = data[1] & 7, rm = data[1] >> 3 & 7;
	unsigned n = 0;

	if (k->members)
		while (!(k->members >> reg & 1))
			reg = (reg + 1) & 7;
	if (reg == 4 && !(rex & 4) && !k->members)
		reg = 5;
	if (rm == 4 && !(rex & 1))
		rm = 6;
	if (data[0] & 0x20)
		to[n++] = 0x66;
	to[n++] = rex;
	if (k->map)
		to[n++] = 0x0f;
	to[n++] = k->opcode;
	to[n++] = (uint8_t)(0xc0 | reg << 3 | rm);
	memcpy(to + n, data + 2, 4); /* an immediate, as far as it has one */
	return n;
}

static enum x86_result no_memory(struct x86_emu *emu, enum x86_access kind, uint64_t addr,
                                 void *buf, unsigned len)
{
	if (kind != X86_FETCH || addr < 0x1000 || addr - 0x1000 > 64 - len)
		return x86_raise_page_fault(emu, addr, 0);
	memcpy(buf, page + (addr - 0x1000), len);
	return X86_DONE;
}

static void compare(const uint8_t *data, uint64_t seed)
{
	static const uint8_t back[6] = { 0xff, 0x25 }; /* jmp *(%rip) */
	static const struct x86_ops ops = { .read = no_memory };
	const struct kind *k = &kinds[data[6] % (sizeof(kinds) / sizeof(kinds[0]))];
	struct hv_regs regs = { .rip = 0x1000 };
	struct x86_emu emu = {
		.regs = &regs, .ops = &ops, .mode = X86_MODE_64, .cpl = 3, .allow = X86_ALLOW_DATA
	};
	const uint8_t *label = fuzz_real_behind;
	struct x86_insn insn;
	uint64_t flags = ARITH & ~(uint64_t)k->undefined;

	memset(page, 0x90, 64);
	make(data, k, page);
	if (x86_decode(&insn, page, 15, X86_MODE_64) != X86_DECODE_OK)
		return;
	memcpy(page + insn.len, back, sizeof(back));
	memcpy(page + insn.len + sizeof(back), &label, sizeof(label));
	for (unsigned i = 0; i < 16; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		fuzz_real.reg[i] = i == 4 ? 0 : data[7] >> (i % 8) & 1 ? seed >> 60 : seed;
		*x86_gpr(&regs, i) = fuzz_real.reg[i];
	}
	fuzz_real.flags = regs.rflags = 0x202 | (seed >> 20 & ARITH);
	fuzz_real.entry = page;
	if (x86_emulate(&emu) != X86_DONE)
		return;
	run_real();
	require(regs.rip == 0x1000u + insn.len);
	for (unsigned i = 0; i < 16; i++)
		require(i == 4 || *x86_gpr(&regs, i) == fuzz_real.reg[i]);
	require((regs.rflags & flags) == (fuzz_real.flags & flags));
}

/* ---- a page of a kernel's ------------------------------------------------------------------------ */

static bool begins_jump(const struct fv_code *code, unsigned at, unsigned *left)
{
	if (!(code->mark[at] & FV_MARK_JUMP))
		return false;
	*left = 4;
	return true;
}

static void check_copy(struct fv_cpu_world *w, const struct fv_code *code)
{
	const uint8_t *copy = fv_code_copy(w->c, code), *orig = w->ram + code->gpa;
	struct x86_insn insn;
	unsigned left = 0;

	for (unsigned at = 0; at < FV_PAGE; at++) {
		if (left) {
			left--;
			require(code->mark[at] & FV_MARK_INSIDE);
			continue;
		}
		if (begins_jump(code, at, &left)) {
			require(copy[at] == 0xe9);
			continue;
		}
		if (copy[at] == orig[at])
			continue;
		require(copy[at] == 0xcc && (code->mark[at] & FV_MARK_START));
		require(fv_code_decode(w->c, code, at, &insn) && fv_is_silent(&insn));
	}
}

static void scan(const uint8_t *data, size_t len)
{
	struct fv_cpu_world w;
	struct fv_code *code;
	uint8_t *keep;

	fv_cpu_world_init(&w);
	for (unsigned i = 0; i < FV_PAGE; i++)
		w.ram[WORLD_CODE + i] = data[i % len];
	keep = malloc(FV_PAGE);
	require(keep);
	memcpy(keep, w.ram + WORLD_CODE, FV_PAGE);
	code = fv_code_enter(w.c, WORLD_CODE, WORLD_CODE, WORLD_CODE + data[0]);
	require(code);
	check_copy(&w, code);
	for (unsigned i = 0; i < 64 && fv_code_find(w.c, WORLD_CODE); i++) {
		uint64_t at = WORLD_CODE + (unsigned)(data[i % len] * 16 + data[(i + 1) % len]);

		if (data[(i + 2) % len] & 3)
			fv_patch(w.c, at);
		else
			fv_patch_expose(w.c, at);
	}
	require(w.c->patch_at <= FV_AREA_END);
	code = fv_code_find(w.c, WORLD_CODE);
	if (code) {
		check_copy(&w, code);
		for (unsigned at = 0; at < FV_PAGE; at++)
			fv_patch_undo(w.c, code, at);
		for (unsigned at = 0; at < FV_PAGE; at++)
			require(!(code->mark[at] & (FV_MARK_JUMP | FV_MARK_INSIDE)));
		check_copy(&w, code);
	}
	require(!memcmp(keep, w.ram + WORLD_CODE, FV_PAGE));
	free(keep);
	fv_cpu_world_fini(&w);
}

int fuzz_fv_code(const uint8_t *data, size_t len)
{
	if (len < 12)
		return 0;
	if (!page) {
		page = mmap(NULL, FV_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		require(page != MAP_FAILED);
	}
	for (size_t i = 4; i + 8 <= len; i += 8)
		compare(data + i, data[0] + 256u * data[1] + i);
	scan(data, len);
	return 0;
}
