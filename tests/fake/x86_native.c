/* SPDX-License-Identifier: MIT */
/*
 * One instruction on the host's processor. See the header.
 *
 * The stub, for 64-bit code, with every address absolute and below 2 GiB:
 *     push rbx rbp r12-r15; [host_rsp] = rsp
 *     xrstor [vectors]                       (when asked for)
 *     rsp = &regs.rflags; popf; load all registers, rsp last
 *     THE INSTRUCTION
 *     store all registers; rsp = &regs.rflags + 8; pushf
 *     xsave [vectors]; rsp = [host_rsp]; cld; pop ...; ret
 * For 32-bit code the middle part lies in a 32-bit segment, reached and left by far jumps.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/fake/x86_native.h"

#define CODE        (NATIVE_BASE + 0x4000)
#define INSN64      (CODE + 0x400) /* the loading code ends here */
#define INSN32      (CODE + 0xc00)
#define VECTOR_AREA (NATIVE_BASE + 0x1000)

struct shared {
	struct hv_regs regs;
	uint64_t host_rsp;
	uint32_t to32[2]; /* far pointers: offset, selector */
	uint32_t to64[2];
};

static struct shared *const sh = (struct shared *)NATIVE_BASE;
static sigjmp_buf escape;
static volatile sig_atomic_t armed;
static struct x86_fault caught;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)info;
	if (!armed) {
		signal(signo, SIG_DFL);
		return;
	}
	memset(&caught, 0, sizeof(caught));
	caught.vector = (uint8_t)uc->uc_mcontext.gregs[REG_TRAPNO];
	caught.error = (uint32_t)uc->uc_mcontext.gregs[REG_ERR];
	if (caught.vector == X86_VECTOR_PF)
		caught.cr2 = (uint64_t)uc->uc_mcontext.gregs[REG_CR2];
	siglongjmp(escape, 1);
}

const char *native_init(void)
{
	static uint8_t stack[65536];
	static const int signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP };
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	unsigned i;

	if (mmap((void *)NATIVE_BASE, 0x8000, PROT_READ | PROT_WRITE | PROT_EXEC,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)NATIVE_BASE)
		return "no writable and executable memory at a low address";
	if (mmap((void *)NATIVE_DATA, NATIVE_SIZE, PROT_READ | PROT_WRITE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)NATIVE_DATA)
		return "no memory at a low address";
	sigaltstack(&alt, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	sh->to32[1] = 0x23;
	sh->to64[1] = 0x33;
	return NULL;
}

/* ---- writing code ---------------------------------------------------------------------------- */

struct writer {
	uint8_t *at;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
	memcpy(w->at, bytes, len);
	w->at += len;
}

static void put_hex(struct writer *w, uint64_t bytes, unsigned len)
{
	while (len--)
		*w->at++ = (uint8_t)(bytes >> (8 * len));
}

static void put_addr(struct writer *w, uint64_t addr)
{
	uint32_t low = (uint32_t)addr;

	put(w, &low, 4);
}

/* op (8b: load, 89: store, 8d: address) of a general register and an absolute address */
static void put_mov(struct writer *w, uint8_t op, unsigned reg, uint64_t addr, unsigned mode)
{
	if (mode == X86_MODE_64) {
		*w->at++ = (uint8_t)(0x48 | (reg & 8 ? 4 : 0));
		*w->at++ = op;
		*w->at++ = (uint8_t)(0x04 | (reg & 7) << 3);
		*w->at++ = 0x25;
	} else {
		*w->at++ = op;
		*w->at++ = (uint8_t)(0x05 | (reg & 7) << 3);
	}
	put_addr(w, addr);
}

static uint64_t gpr_addr(unsigned reg)
{
	return (uint64_t)(uintptr_t)x86_gpr(&sh->regs, reg);
}

static uint64_t field(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void put_load_all(struct writer *w, unsigned mode)
{
	unsigned reg, n = mode == X86_MODE_64 ? 16 : 8;

	put_mov(w, 0x8d, X86_RSP, field(&sh->regs.rflags), mode);
	put_hex(w, 0x9d, 1);
	for (reg = 0; reg < n; reg++)
		put_mov(w, 0x8b, reg, gpr_addr(reg), mode);
}

static void put_store_all(struct writer *w, unsigned mode)
{
	unsigned reg, n = mode == X86_MODE_64 ? 16 : 8;

	for (reg = 0; reg < n; reg++)
		put_mov(w, 0x89, reg, gpr_addr(reg), mode);
	put_mov(w, 0x8d, X86_RSP, field(&sh->regs.rflags) + (mode == X86_MODE_64 ? 8 : 4), mode);
	put_hex(w, 0x9c, 1);
}

/* mov eax, -1; mov edx, -1; op [vectors] */
static void put_xstate(struct writer *w, uint32_t op)
{
	put_hex(w, 0xb8ffffffff, 5);
	put_hex(w, 0xbaffffffff, 5);
	put_hex(w, op, 4);
	put_addr(w, VECTOR_AREA);
}

/* mov eax, sel; mov ds, eax; mov es, eax */
static void put_data_segments(struct writer *w, uint8_t sel)
{
	*w->at++ = 0xb8;
	put_addr(w, sel);
	put_hex(w, 0x8ed88ec0, 4);
}

static void put_tail(struct writer *w, bool with_vectors)
{
	if (with_vectors) {
		put_xstate(w, 0x0fae2425); /* xsave */
		put_hex(w, 0x0f77, 2);     /* emms: the compiler's code may use the x87 next */
	}
	put_data_segments(w, 0);
	put_mov(w, 0x8b, X86_RSP, field(&sh->host_rsp), X86_MODE_64);
	put_hex(w, 0xfc, 1);
	put_hex(w, 0x415f415e415d415c, 8); /* pop r15 r14 r13 r12 */
	put_hex(w, 0x5d5bc3, 3);
}

/* Code that is to end exactly before `insn`: written once to learn its length, then in place. */
static uint8_t *put_head(bool with_vectors, unsigned mode)
{
	uint8_t *begin = (uint8_t *)CODE;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		struct writer w = { begin };

		put_hex(&w, 0x5355, 2); /* push rbx, rbp */
		put_hex(&w, 0x4154415541564157, 8);
		put_mov(&w, 0x89, X86_RSP, field(&sh->host_rsp), X86_MODE_64);
		if (with_vectors)
			put_xstate(&w, 0x0fae2c25); /* xrstor */
		if (mode == X86_MODE_64) {
			put_load_all(&w, mode);
			begin = (uint8_t *)INSN64 - (w.at - begin);
		} else {
			put_data_segments(&w, 0x2b);
			put_hex(&w, 0xff2c25, 3); /* jmp far [to32] */
			put_addr(&w, field(sh->to32));
		}
	}
	return begin;
}

static void put_body32(const uint8_t *code, unsigned len)
{
	uint8_t *begin = (uint8_t *)INSN32 - 0x100;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		struct writer w = { begin };

		sh->to32[0] = (uint32_t)(uintptr_t)begin;
		put_load_all(&w, X86_MODE_32);
		begin = (uint8_t *)INSN32 - (w.at - begin);
		if (pass == 0)
			continue;
		put(&w, code, len);
		put_store_all(&w, X86_MODE_32);
		put_hex(&w, 0xff2d, 2); /* jmp far [to64] */
		put_addr(&w, field(sh->to64));
	}
}

uint64_t native_rip(unsigned mode)
{
	return mode == X86_MODE_64 ? INSN64 : INSN32;
}

/* Apart, so that no local variable lives across the jump. */
static __attribute__((noinline)) bool call_guarded(const uint8_t *head)
{
	if (sigsetjmp(escape, 1)) {
		armed = 0;
		__asm__ volatile("cld; emms");
		return false;
	}
	armed = 1;
	((void (*)(void))(uintptr_t)head)();
	armed = 0;
	return true;
}

bool native_run(struct hv_regs *regs, const uint8_t *code, unsigned len, unsigned mode,
                bool with_vectors, struct x86_fault *fault)
{
	uint8_t *head = put_head(with_vectors, mode);
	struct writer w = { (uint8_t *)INSN64 };

	if (mode == X86_MODE_64) {
		put(&w, code, len);
		put_store_all(&w, mode);
	} else {
		sh->to64[0] = (uint32_t)(uintptr_t)w.at;
		put_body32(code, len);
	}
	put_tail(&w, with_vectors);

	sh->regs = *regs;
	if (!call_guarded(head)) {
		*fault = caught;
		return false;
	}
	sh->regs.rip = regs->rip + len;
	if (mode != X86_MODE_64)
		sh->regs.rflags &= 0xffffffff;
	*regs = sh->regs;
	return true;
}

/* ---- vector state, in the layout of xsave ------------------------------------------------------ */

#define XSAVE_BV 512

bool native_has_vectors(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & (1u << 16)) || !(b & (1u << 30)))
		return false;
	return __get_cpuid_count(13, 0, &a, &b, &c, &d) && (a & 0xe7) == 0xe7 && b <= 0x3000;
}

static uint32_t component_offset(unsigned component)
{
	uint32_t a, b, c, d;

	__cpuid_count(13, component, a, b, c, d);
	return b;
}

struct piece {
	unsigned component, at, len; /* at: in the register */
	uint32_t off;
};

/* The pieces of a register: XMM in the legacy area, the upper parts in components 2, 6 and 7. */
static unsigned pieces(enum x86_vec_kind kind, unsigned nr, struct piece p[3])
{
	switch (kind) {
	case X86_VEC_MM:
		p[0] = (struct piece){ 0, 0, 8, 32 + 16 * nr };
		return 1;
	case X86_VEC_MASK:
		p[0] = (struct piece){ 5, 0, 8, component_offset(5) + 8 * nr };
		return 1;
	default:
		break;
	}
	if (nr >= 16) {
		p[0] = (struct piece){ 7, 0, 64, component_offset(7) + 64 * (nr - 16) };
		return 1;
	}
	p[0] = (struct piece){ 1, 0, 16, 160 + 16 * nr };
	p[1] = (struct piece){ 2, 16, 16, component_offset(2) + 16 * nr };
	p[2] = (struct piece){ 6, 32, 32, component_offset(6) + 32 * nr };
	return 3;
}

void native_vector_get(enum x86_vec_kind kind, unsigned nr, uint8_t out[64])
{
	const uint8_t *area = (const uint8_t *)VECTOR_AREA;
	struct piece p[3];
	unsigned i, n = pieces(kind, nr, p);
	uint64_t bv;

	memcpy(&bv, area + XSAVE_BV, 8);
	memset(out, 0, 64);
	for (i = 0; i < n; i++) /* a component in its initial state is not stored */
		if ((bv >> p[i].component) & 1)
			memcpy(out + p[i].at, area + p[i].off, p[i].len);
}

void native_vector_set(enum x86_vec_kind kind, unsigned nr, const uint8_t in[64])
{
	static const uint16_t fcw = 0x37f;
	static const uint32_t mxcsr = 0x1f80;
	uint8_t *area = (uint8_t *)VECTOR_AREA;
	struct piece p[3];
	unsigned i, n = pieces(kind, nr, p);
	uint64_t bv;

	memcpy(&bv, area + XSAVE_BV, 8);
	for (i = 0; i < n; i++) {
		if (!((bv >> p[i].component) & 1) && p[i].component == 0)
			memset(area, 0, 24);
		memcpy(area + p[i].off, in + p[i].at, p[i].len);
		bv |= 1ull << p[i].component;
	}
	memcpy(area + XSAVE_BV, &bv, 8);
	memcpy(area, &fcw, 2);
	memcpy(area + 24, &mxcsr, 4);
}
