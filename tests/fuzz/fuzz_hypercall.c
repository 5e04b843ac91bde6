/* SPDX-License-Identifier: MIT */
/*
 * A guest that does anything: hypercalls, exceptions and stores to its memory in any order, on two
 * vCPUs of one domain and one of another, on an engine that runs no code.
 *
 * The input is a program. Each step is one byte that says what, and operands of one byte that choose
 * among numbers which mean something (addresses, frames, counts, limits) or announce eight raw bytes.
 * After the program the books of both domains must balance, and everything must come down cleanly.
 */
#include <string.h>

#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/exits.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"
#include "tests/fake/fake_vcpu.h"

#define MAX_STEPS 400

int fuzz_hypercall(const uint8_t *data, size_t len);

struct program {
	const uint8_t *at, *end;
	struct fake_guest a, b;
};

static uint8_t byte(struct program *p)
{
	return p->at < p->end ? *p->at++ : 0;
}

static uint64_t raw(struct program *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 64; i += 8)
		n |= (uint64_t)byte(p) << i;
	return n;
}

/* A number that is likely to hit something. */
static uint64_t operand(struct program *p, struct fake_guest *g)
{
	static const uint64_t limits[] = { UINT32_MAX,
		                           UINT64_MAX,
		                           UINT64_C(1) << 63,
		                           UINT64_C(0xffff800000000000),
		                           UINT64_C(0xffff880000000000),
		                           UINT64_C(0x7ffffffff000),
		                           DOMID_SELF,
		                           4095 };
	uint8_t how = byte(p);

	switch (how >> 5) {
	case 0:
	case 1:
		return how & 63;
	case 2: /* a place in the data pages */
		return FAKE_VA + (uint64_t)(how & 31) * 4096 + (byte(p) & ~7u) * 16;
	case 3: /* a frame, as a number */
		return g->page[how & 31].n;
	case 4: /* a page-table entry */
		return g->page[how & 31].n << 12 | byte(p);
	case 5: /* an entry of the L1 table, as an address; tables as frames */
		if (how & 16)
			return (how & 8 ? g->root.n : g->l1.n) << (how & 4 ? 12 : 0);
		return g->l1.n << 12 | (uint64_t)(byte(p) & 127) * 8 | (how & 3);
	case 6:
		return limits[how & 7];
	default:
		return raw(p);
	}
}

static void call(struct program *p, struct fake_guest *g, struct hv_vcpu *v)
{
	uint64_t nr = byte(p) % (HV_NR_HYPERCALLS + 1);
	uint64_t a[4];

	for (unsigned i = 0; i < 4; i++)
		a[i] = operand(p, g);
	v->in_kernel = true;
	v->regs.r10 = a[3];
	fake_call(v, nr, a[0], a[1], a[2]);
}

/* Stores a word into guest memory, where the next call may find it as an argument. */
static void poke(struct program *p, struct fake_guest *g)
{
	uint64_t va = FAKE_VA + (uint64_t)(byte(p) & 31) * 4096 + (byte(p) & 127) * 8;
	uint64_t word = operand(p, g);
	const struct hv_frame *f = hv_frame_get(g->m, g->page[(va - FAKE_VA) / 4096]);

	/* The guest can write only what it maps writable: not what has become a table. */
	if (f->state == HV_FRAME_GUEST && f->owner == g->d->domid &&
	    (f->type == HV_TYPE_WRITABLE || f->type == HV_TYPE_NONE))
		memcpy(fake_ptr(g, va), &word, sizeof(word));
}

static void fault(struct program *p, struct fake_guest *g, struct hv_vcpu *v)
{
	struct hv_exit exit = { .kind = byte(p) % 6, .vector = byte(p) & 31 };

	exit.error_code = (uint32_t)operand(p, g);
	exit.cr2 = operand(p, g);
	exit.from_user_root = byte(p) & 1;
	v->in_kernel = byte(p) & 1;
	hv_exit_handle(v, &exit);
}

static void registers(struct program *p, struct fake_guest *g, struct hv_vcpu *v)
{
	v->regs.rip = operand(p, g);
	v->regs.rsp = operand(p, g);
	v->regs.rax = operand(p, g);
	v->regs.rcx = operand(p, g);
	v->regs.rflags = (operand(p, g) & 0x14dd5) | 0x202;
}

static void step(struct program *p)
{
	uint8_t what = byte(p);
	struct fake_guest *g = what & 0x80 ? &p->b : &p->a;
	struct hv_vcpu *v = g->d->vcpu[what & 0x80 ? 0 : what >> 6 & 1];

	/* A vCPU that was brought up runs by itself from then on. */
	if (v->has_thread || atomic_load(&g->d->ending))
		return;
	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		call(p, g, v);
		break;
	case 3:
	case 4:
		poke(p, g);
		break;
	case 5:
		fault(p, g, v);
		break;
	case 6:
		registers(p, g, v);
		break;
	default:
		hv_time_service(v);
		hv_traps_event(v);
	}
	atomic_store(&v->sched.blocked, false);
}

static void check_books(struct fake_guest *g)
{
	hv_domain_lock(g->d);
	HV_ASSERT(hv_mmu_audit(g->d) == 0);
	hv_domain_unlock(g->d);
}

static void silent(void *arg, struct hv_domain *d, const char *text, size_t len)
{
	(void)arg;
	(void)d;
	(void)text;
	(void)len;
}

/* A clock that needs no calibration: the TSC is CLOCK_MONOTONIC. */
static void simple_clock(struct hv_machine *m)
{
	m->clock.tsc_is_usable = false;
	m->clock.line = (struct hv_time_line){ m->clock.boot_ns, 0, 0x80000000u, 1 };
	m->clock.is_calibrated = true;
}

int fuzz_hypercall(const uint8_t *data, size_t len)
{
	static struct program p;

	p.at = data;
	p.end = data + len;
	hv_console_set_sink(silent, NULL);
	fake_guest_make(&p.a, 2);
	simple_clock(p.a.m);
	fake_guest_join(&p.b, &p.a, 1);
	fake_vcpu_prepare(&p.a, 1);
	for (unsigned i = 0; i < MAX_STEPS && p.at < p.end; i++)
		step(&p);
	hv_domain_end(p.a.d, NULL, SHUTDOWN_poweroff, NULL);
	hv_domain_end(p.b.d, NULL, SHUTDOWN_poweroff, NULL);
	check_books(&p.a);
	check_books(&p.b);
	fake_guest_destroy(&p.a);
	fake_guest_destroy(&p.b);
	return 0;
}
