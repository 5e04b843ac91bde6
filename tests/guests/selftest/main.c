/* SPDX-License-Identifier: MIT */
/*
 * Self-test: a kernel that checks, from inside, what the hypervisor and the library promise.
 *
 * One line for each claim:  PASS name  |  SKIP name: reason  |  FAIL name: why
 * and a last one:           selftest: N passed, N failed, N skipped
 *
 * Natively the claims about the hypervisor are skipped.
 *
 * Silence is failure: who reads this output counts only what it says. The same file runs on any
 * hypervisor of this ABI; where two differ is a finding.
 *
 * Command line: only=FAMILY runs one family.
 */
#include "tests/guests/selftest/test.h"

#include <stdarg.h>

#include "pvops/console.h"
#include "pvops/evtchn.h"
#include "pvops/lib/format.h"
#include "pvops/mmu.h"

/* In the order in which they run: what later ones rely on comes first. */
#define FAMILIES(x)                                                                       \
	x(start) x(hypercall) x(traps) x(evtchn) x(time) x(sched) x(priv) x(fp) x(gnttab) \
		x(memory) x(mmu) x(descr) x(errors) x(store) x(user) x(smp) x(console)

#define DECLARE(family) extern const struct st_family st_family_##family;
#define LIST(family)    &st_family_##family,

FAMILIES(DECLARE)

static const struct st_family *const families[] = { FAMILIES(LIST) };

enum verdict { PASS, FAIL, SKIP };

struct pv_frame st_trap;
unsigned int st_traps;
bool (*st_on_trap)(struct pv_frame *frame);

void (*st_on_upcall)(struct pv_frame *frame);

static void upcall_done(struct pv_frame *frame)
{
	if (st_on_upcall)
		st_on_upcall(frame);
}

const struct pv_hooks pv_hooks = { .upcall_done = upcall_done };

extern uint64_t st_run_sp;
extern char st_run_abort[];
int st_run(void (*fn)(void));

static enum verdict verdict;
static char why[200];
static uint64_t window;

static void set_verdict(enum verdict v, const char *fmt, va_list ap)
{
	verdict = v;
	pv_vsnprintf(why, sizeof(why), fmt, ap);
}

void st_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_verdict(FAIL, fmt, ap);
	va_end(ap);
}

void st_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_verdict(SKIP, fmt, ap);
	va_end(ap);
}

/* Every trap comes here. One that the claim has no plan for ends the claim. */
static bool on_trap(struct pv_frame *frame)
{
	st_trap = *frame;
	st_traps++;
	if ((st_on_trap && st_on_trap(frame)) || pv_trap_fix_up(frame))
		return true;
	if (!st_run_sp)
		return false;
	st_fail("unexpected trap %u at 0x%lx, error code 0x%x, address 0x%lx", frame->vector,
	        frame->rip, frame->error_code, frame->cr2);
	frame->rip = (uint64_t)st_run_abort;
	frame->rsp = st_run_sp;
	frame->rflags |= PV_RFLAGS_IF;
	return true;
}

void *st_page(void)
{
	void *page = pv_page_alloc();

	if (!page)
		pv_panic("out of memory");
	memset(page, 0, PV_PAGE_SIZE);
	return page;
}

void st_page_free(void *page)
{
	pv_page_free(page);
}

uint64_t st_window(void)
{
	if (!window)
		window = pv_mmu_window(2);
	if (!window)
		pv_panic("no window");
	return window;
}

/* A port that waits for the domain itself tells the domain's number. */
domid_t st_own_domid(void)
{
	static domid_t own = DOMID_INVALID;
	struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	struct evtchn_status status = { .dom = DOMID_SELF };
	struct evtchn_close close;

	if (own != DOMID_INVALID)
		return own;
	if (pv_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc))
		pv_panic("no port");
	status.port = close.port = alloc.port;
	if (pv_hc_event_channel_op(EVTCHNOP_status, &status))
		pv_panic("no status");
	pv_hc_event_channel_op(EVTCHNOP_close, &close);
	own = status.u.unbound.dom;
	return own;
}

void st_spin_ns(uint64_t ns)
{
	uint64_t end = pv_now_ns() + ns;

	while (pv_now_ns() < end)
		;
}

void st_settle(const volatile unsigned int *count, unsigned int n)
{
	uint64_t end = pv_now_ns() + 500000000;

	while (pv_is_native() && *count < n && pv_now_ns() < end)
		;
}

/* What a claim that was given up in the middle leaves open: one failure is to be one line. */
static void close_ports(void)
{
	struct evtchn_status st = { .dom = DOMID_SELF };

	pv_timer_set(0);
	for (st.port = 1; st.port < 512; st.port++)
		if (st.port != pv_boot.start->store_evtchn && st.port != pv_console_port() &&
		    PV_OP(event, channel, EVTCHNOP_status, &st) == 0 &&
		    st.status != EVTCHNSTAT_closed)
			pv_evtchn_close(st.port);
}

static void run_claim(const struct st_family *family, const struct st_claim *claim,
                      unsigned int count[3])
{
	verdict = PASS;
	st_traps = 0;
	if (pv_is_native() && !claim->is_general)
		st_skip("of the paravirtual machine");
	else
		st_run(claim->run);
	st_on_trap = NULL;
	st_on_upcall = NULL;
	if (verdict == PASS && !pv_irq_enabled())
		st_fail("left events masked");
	pv_irq_enable();
	if (verdict == FAIL)
		close_ports();
	count[verdict]++;
	if (verdict == PASS)
		pv_log("PASS %s/%s\n", family->name, claim->name);
	else
		pv_log("%s %s/%s: %s\n", verdict == FAIL ? "FAIL" : "SKIP", family->name,
		       claim->name, why);
}

static bool is_wanted(const struct st_family *family, const char *cmdline)
{
	const char *only = strstr(cmdline, "only=");

	return !only || strncmp(only + 5, family->name, strlen(family->name)) == 0;
}

void kernel_main(const struct pv_boot *boot)
{
	unsigned int count[3] = { 0 }, i, j;

	for (i = 0; i < PV_NR_VECTORS; i++)
		if (i != PV_VECTOR_EVENT)
			pv_trap_set(i, on_trap);
	pv_irq_enable();
	for (i = 0; i < ST_COUNT(families); i++)
		if (is_wanted(families[i], boot->cmdline))
			for (j = 0; j < families[i]->count; j++)
				run_claim(families[i], &families[i]->claims[j], count);
	pv_log("selftest: %u passed, %u failed, %u skipped\n", count[PASS], count[FAIL],
	       count[SKIP]);
}
