/* SPDX-License-Identifier: MIT */
/*
 * Floating-point state: it belongs to the vCPU, and nothing that the hypervisor or the library does
 * between two instructions may change it.
 *
 * Method: fill every register, let something happen, compare. With a handler that spoils all of them
 * on purpose when the library is asked to save on entry. Breakage: somebody's sum is wrong, seldom.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/fp.h"
#include "pvops/time.h"

struct vectors {
	uint8_t ymm[16][32];
	uint32_t mxcsr;
	uint16_t fcw;
} __attribute__((aligned(64)));

static struct vectors want, got;
static bool avx;

#define EACH(x) \
	x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)

#define LOAD_XMM(n)  "movups " #n "*32(%0), %%xmm" #n "\n"
#define STORE_XMM(n) "movups %%xmm" #n ", " #n "*32(%0)\n"
#define LOAD_YMM(n)  "vmovups " #n "*32(%0), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovups %%ymm" #n ", " #n "*32(%0)\n"

static void load(const struct vectors *v)
{
	if (avx)
		__asm__ volatile(EACH(LOAD_YMM) : : "r"(v) : "memory");
	else
		__asm__ volatile(EACH(LOAD_XMM) : : "r"(v) : "memory");
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(v->mxcsr), "m"(v->fcw) : "memory");
}

static void store(struct vectors *v)
{
	if (avx)
		__asm__ volatile(EACH(STORE_YMM) : : "r"(v) : "memory");
	else
		__asm__ volatile(EACH(STORE_XMM) : : "r"(v) : "memory");
	__asm__ volatile("stmxcsr %0; fstcw %1" : "=m"(v->mxcsr), "=m"(v->fcw) : : "memory");
}

static void fill(struct vectors *v, unsigned int seed)
{
	unsigned int i, j;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < 16; i++)
		for (j = 0; j < (avx ? 32u : 16u); j++)
			v->ymm[i][j] = (uint8_t)(seed + i * 37 + j * 11);
	v->mxcsr = 0x1f80 | (seed & 3) << 13; /* rounding */
	v->fcw = 0x037f | (seed & 3) << 10;
}

static void back_to_normal(void)
{
	struct vectors zero = { .mxcsr = 0x1f80, .fcw = 0x037f };

	load(&zero);
}

/* Keeps the compiler's hands off between loading and storing: one asm for what happens. */
#define ACROSS(what)                          \
	do {                                  \
		memset(&got, 0, sizeof(got)); \
		fill(&want, 0x51);            \
		load(&want);                  \
		what;                         \
		store(&got);                  \
		back_to_normal();             \
	} while (0)

#define SAME() ST_EQ(memcmp(&want, &got, sizeof(want)), 0)

static void state_of_the_machine(void)
{
	uint64_t on = pv_fp_init(PV_XCR0_AVX | PV_XCR0_AVX512);

	ST_EQ(on & (PV_XCR0_X87 | PV_XCR0_SSE), PV_XCR0_X87 | PV_XCR0_SSE);
	ST_CHECK(pv_fp_size() >= 512 && pv_fp_size() < 16384, "area of %lu bytes", pv_fp_size());
	avx = on & PV_XCR0_AVX;
	ST_EQ(st_traps, 0);
}

static void avx_can_be_switched_on(void)
{
	uint32_t r[4];

	pv_cpuid(1, 0, r);
	if (!(r[2] & 1u << 28))
		ST_SKIP("the processor has no AVX");
	ST_CHECK(avx, "AVX is there and off");
	ST_EQ(ST_TRAPS("vpxor %%xmm0, %%xmm0, %%xmm0", : : : "memory"), 0);
}

static void hypercalls_keep_it(void)
{
	ACROSS(pv_hc_sched_op(SCHEDOP_yield, NULL));
	SAME();
}

static void sleeping_keeps_it(void)
{
	struct sched_poll poll = { .timeout = pv_now_ns() + 3000000 };

	ACROSS(pv_hc_sched_op(SCHEDOP_poll, &poll));
	SAME();
}

static void traps_keep_it(void)
{
	ACROSS(ST_TRY("ud2", : : : "memory"));
	ST_EQ(st_traps, 1);
	SAME();
}

/* Emulated, so the hypervisor itself runs code in between. */
static void emulation_keeps_it(void)
{
	uint32_t r[4];

	ACROSS(pv_cpuid(1, 0, r));
	SAME();
}

static volatile unsigned int ticks;

static void tick(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	ticks++;
	pv_timer_set(pv_now_ns() + 100000);
}

static void spoil(struct pv_frame *frame)
{
	static struct vectors other;

	(void)frame;
	fill(&other, 0x93 + ticks);
	load(&other);
}

static void run_with_ticks(unsigned int n)
{
	while (ticks < n)
		pv_hc_sched_op(SCHEDOP_yield, NULL);
}

static void events_keep_it(void)
{
	evtchn_port_t port;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, tick, NULL, &port), 0);
	ticks = 0;
	pv_timer_set(pv_now_ns() + 100000);
	ACROSS(run_with_ticks(20));
	ST_EQ(pv_evtchn_close(port), 0);
	pv_timer_set(0);
	SAME();
}

static void library_saves_it_on_entry(void)
{
	evtchn_port_t port;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, tick, NULL, &port), 0);
	pv_irq_disable();
	pv_fp_save_on_entry(true);
	pv_irq_enable();
	st_on_upcall = spoil;
	ticks = 0;
	pv_timer_set(pv_now_ns() + 100000);
	ACROSS(run_with_ticks(20));
	st_on_upcall = NULL;
	ST_EQ(pv_evtchn_close(port), 0);
	pv_timer_set(0);
	pv_irq_disable();
	pv_fp_save_on_entry(false);
	pv_irq_enable();
	SAME();
}

static bool spoil_in_trap(struct pv_frame *frame)
{
	spoil(frame);
	return false;
}

static void library_saves_it_in_traps(void)
{
	pv_irq_disable();
	pv_fp_save_on_entry(true);
	pv_irq_enable();
	st_on_trap = spoil_in_trap;
	ACROSS(ST_TRY("ud2", : : : "memory"));
	pv_irq_disable();
	pv_fp_save_on_entry(false);
	pv_irq_enable();
	SAME();
}

static void without_saving_a_handler_would_spoil_it(void)
{
	st_on_trap = spoil_in_trap;
	ACROSS(ST_TRY("ud2", : : : "memory"));
	ST_CHECK(memcmp(&want, &got, sizeof(want)),
	         "nothing was spoilt: these claims prove nothing");
}

static void areas_hold_it(void)
{
	static uint8_t area[4096] __attribute__((aligned(64)));
	static uint8_t fresh[4096] __attribute__((aligned(64)));

	ST_CHECK(pv_fp_size() <= sizeof(area), "%lu bytes", pv_fp_size());
	memset(area, 0, sizeof(area));
	pv_fp_fresh(fresh);
	ACROSS({
		pv_fp_save(area);
		pv_fp_load(fresh);
		store(&got);
		pv_fp_load(area);
	});
	SAME();
	memset(&want, 0, sizeof(want));
	want.mxcsr = 0x1f80;
	want.fcw = 0x037f;
	memset(&got, 0, sizeof(got));
	pv_fp_load(fresh);
	store(&got);
	SAME();
}

static const struct st_claim claims[] = {
	ST_GENERAL(state_of_the_machine),
	ST_GENERAL(avx_can_be_switched_on),
	ST_CLAIM(hypercalls_keep_it),
	ST_CLAIM(sleeping_keeps_it),
	ST_GENERAL(traps_keep_it),
	ST_GENERAL(emulation_keeps_it),
	ST_GENERAL(events_keep_it),
	ST_GENERAL(library_saves_it_on_entry),
	ST_GENERAL(library_saves_it_in_traps),
	ST_GENERAL(without_saving_a_handler_would_spoil_it),
	ST_GENERAL(areas_hold_it),
};

ST_FAMILY(fp, claims);
