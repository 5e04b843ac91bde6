/* SPDX-License-Identifier: MIT */
/*
 * What a person gets to see of a guest that crashed.
 *
 * Invariant: the guest's memory is read through its page tables, page by page, and what cannot be
 * reached is said to be so. A stack of lies ends the back-trace; it cannot prolong it.
 */
#include <inttypes.h>
#include <string.h>

#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/toolstack/crash.h"

#define CODE_BEFORE 16
#define CODE_AFTER  16
#define STACK_WORDS 24
#define MAX_FRAMES  32

struct report {
	FILE *out;
	struct hv_domain *d;
	const struct hv_end *end;
	const struct symbols *symbols;
};

/* How many of len bytes at va can be read: all, or those before the first that cannot. */
static size_t peek(struct report *r, uint64_t va, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = va + done;
		size_t in_page = HV_PAGE_SIZE - (at & (HV_PAGE_SIZE - 1));
		size_t n = len - done < in_page ? len - done : in_page;
		struct hv_walk w;

		if (hv_mfn_is_none(r->end->root) || at < va)
			break;
		hv_walk(r->d, r->end->root, at, &w);
		if (!w.present || !w.ptr)
			break;
		memcpy((char *)buf + done, (char *)w.ptr + (at & (HV_PAGE_SIZE - 1)), n);
		done += n;
	}
	return done;
}

static void print_symbol(struct report *r, const char *before, uint64_t addr)
{
	char text[300];

	if (symbols_name(r->symbols, addr, text, sizeof(text))[0])
		fprintf(r->out, "%s%s", before, text);
}

static void print_registers(struct report *r)
{
	const struct hv_regs *g = &r->end->regs;

	fprintf(r->out, "  rip %04x:%016" PRIx64, g->cs, g->rip);
	print_symbol(r, "  ", g->rip);
	fprintf(r->out, "\n  rsp %04x:%016" PRIx64 "  rflags %08" PRIx64 "\n", g->ss, g->rsp,
	        g->rflags);
	fprintf(r->out, "  rax %016" PRIx64 "  rbx %016" PRIx64 "  rcx %016" PRIx64 "\n", g->rax,
	        g->rbx, g->rcx);
	fprintf(r->out, "  rdx %016" PRIx64 "  rsi %016" PRIx64 "  rdi %016" PRIx64 "\n", g->rdx,
	        g->rsi, g->rdi);
	fprintf(r->out, "  rbp %016" PRIx64 "  r8  %016" PRIx64 "  r9  %016" PRIx64 "\n", g->rbp,
	        g->r8, g->r9);
	fprintf(r->out, "  r10 %016" PRIx64 "  r11 %016" PRIx64 "  r12 %016" PRIx64 "\n", g->r10,
	        g->r11, g->r12);
	fprintf(r->out, "  r13 %016" PRIx64 "  r14 %016" PRIx64 "  r15 %016" PRIx64 "\n", g->r13,
	        g->r14, g->r15);
	fprintf(r->out, "  fs base %016" PRIx64 "  gs base %016" PRIx64 "  cr2 %016" PRIx64 "\n",
	        g->fs_base, r->end->in_kernel ? g->gs_base_kernel : g->gs_base_user, r->end->cr2);
}

static void print_code(struct report *r)
{
	uint64_t rip = r->end->regs.rip, from = rip - CODE_BEFORE;
	uint8_t code[CODE_BEFORE + CODE_AFTER];
	size_t n;

	/* What lies before rip may be in a page that is not there. */
	if (from > rip || peek(r, from, code, CODE_BEFORE) < CODE_BEFORE)
		from = rip;
	n = peek(r, from, code, (size_t)(rip - from) + CODE_AFTER);
	fprintf(r->out, "  code");
	for (size_t i = 0; i < n; i++)
		fprintf(r->out, from + i == rip ? " <%02x>" : " %02x", code[i]);
	fprintf(r->out, n > rip - from ? "\n" : " (not mapped)\n");
}

static void print_entry(struct report *r, unsigned level, unsigned index, uint64_t entry)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} bits[] = {
		{ 0x001, "present" },  { 0x002, "writable" }, { 0x004, "user" },
		{ 0x020, "accessed" }, { 0x040, "dirty" },    { UINT64_C(1) << 63, "no-execute" },
	};

	fprintf(r->out, "    L%u[%3u] %016" PRIx64, level, index, entry);
	if (!(entry & 1))
		fprintf(r->out, " not present");
	for (size_t i = 0; (entry & 1) && i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (entry & bits[i].bit)
			fprintf(r->out, " %s", bits[i].name);
	}
	fputc('\n', r->out);
}

static void print_walk(struct report *r)
{
	uint64_t va = r->end->cr2;
	struct hv_walk w;

	/* Whether there ever was a page fault is not known; 0 with another reason means no. */
	if (hv_mfn_is_none(r->end->root) || (!va && !strstr(r->end->text, "#PF")))
		return;
	fprintf(r->out,
	        "  page tables for %016" PRIx64 " (last page fault), root mfn %" PRIx64 "\n", va,
	        r->end->root.n);
	hv_walk(r->d, r->end->root, va, &w);
	for (unsigned level = 4; level >= w.level && level >= 1; level--)
		print_entry(r, level, (unsigned)(va >> (3 + 9 * level)) & 511, w.entry[level]);
}

static void print_stack(struct report *r)
{
	uint64_t word[STACK_WORDS], sp = r->end->regs.rsp & ~UINT64_C(7);
	size_t n = peek(r, sp, word, sizeof(word)) / sizeof(word[0]);

	fprintf(r->out, "  stack at %016" PRIx64 "%s\n", sp, n ? "" : " (not mapped)");
	for (size_t i = 0; i < n; i++)
		fprintf(r->out, "%s%016" PRIx64 "%s", i % 4 ? " " : "    ", word[i],
		        i % 4 == 3 || i + 1 == n ? "\n" : "");
}

static void print_frame(struct report *r, uint64_t addr)
{
	fprintf(r->out, "    %016" PRIx64, addr);
	print_symbol(r, "  ", addr);
	fputc('\n', r->out);
}

/* A return address is named by the call before it: behind a call that never returns there may be
 * another function. */
static void print_caller(struct report *r, uint64_t ret)
{
	fprintf(r->out, "    %016" PRIx64, ret);
	print_symbol(r, "  ", ret - 1);
	fputc('\n', r->out);
}

/*
 * A function that has not set up its frame, or never does, hides its caller from the chain of frame
 * pointers: the return address is still on top of the stack then.
 */
static void print_hidden_caller(struct report *r)
{
	const struct hv_regs *g = &r->end->regs;
	const struct symbol *f = symbols_find(r->symbols, g->rip);
	uint64_t at = g->rsp, ret;
	uint8_t push_rbp = 0;

	if (!f || !f->size || peek(r, f->addr, &push_rbp, 1) < 1)
		return;
	if (push_rbp == 0x55 && g->rip > f->addr + 1)
		return;
	if (push_rbp == 0x55 && g->rip == f->addr + 1)
		at += 8;
	if (peek(r, at, &ret, sizeof(ret)) == sizeof(ret) && ret &&
	    symbols_find(r->symbols, ret - 1))
		print_caller(r, ret);
}

/* Frame pointers: each frame begins with the caller's rbp and the return address, and lies above
 * the one before it. */
static void print_backtrace(struct report *r)
{
	uint64_t bp = r->end->regs.rbp, frame[2];

	fprintf(r->out, "  back-trace\n");
	print_frame(r, r->end->regs.rip);
	print_hidden_caller(r);
	for (unsigned i = 0; i < MAX_FRAMES; i++) {
		if ((bp & 7) || peek(r, bp, frame, sizeof(frame)) < sizeof(frame) || !frame[1])
			return;
		print_caller(r, frame[1]);
		if (frame[0] <= bp)
			return;
		bp = frame[0];
	}
	fprintf(r->out, "    ...\n");
}

void crash_report(FILE *out, struct hv_domain *d, const char *name, const struct symbols *symbols)
{
	struct report r = { .out = out, .d = d, .end = &d->end, .symbols = symbols };

	fprintf(out, "paravane: %s crashed: %s\n", name,
	        d->end.text[0] ? d->end.text : "its own kernel said so");
	if (!d->end.regs_valid)
		return;
	fprintf(out, "  vCPU %u of %u, %s mode\n", d->end.vcpu, d->nr_vcpus,
	        d->end.in_kernel ? "kernel" : "user");
	hv_domain_lock(d);
	print_registers(&r);
	print_code(&r);
	print_walk(&r);
	print_stack(&r);
	print_backtrace(&r);
	hv_domain_unlock(d);
	fflush(out);
}
