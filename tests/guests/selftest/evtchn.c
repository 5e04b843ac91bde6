/* SPDX-License-Identifier: MIT */
/*
 * Event channels: life of a port, delivery, the two masks, and the errors.
 *
 * Method: ports that lead back to this domain, sent to by the bare hypercalls, received through the
 * library. Breakage: an event is lost, comes twice, or comes while it is masked.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/time.h"

static volatile unsigned int calls;
static volatile evtchn_port_t called_port;
static void *volatile called_arg;

static void count(evtchn_port_t port, void *arg)
{
	calls++;
	called_port = port;
	called_arg = arg;
}

/*
 * A port and its other end, both ours. `far` has the handler, `near` is what one sends on. Natively
 * there are no pairs, and both are one port.
 */
static int loop_open(evtchn_port_t *near, evtchn_port_t *far)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	int rc;

	if (pv_is_native()) {
		rc = pv_evtchn_bind_ipi(0, count, (void *)&calls, far);
		*near = *far;
		calls = 0;
		return rc;
	}
	rc = pv_evtchn_alloc_unbound(DOMID_SELF, count, (void *)&calls, far);
	if (rc)
		return rc;
	bind.remote_port = *far;
	rc = (int)pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind);
	*near = bind.local_port;
	pv_evtchn_take(*near); /* binding raises an event at both ends */
	calls = 0;
	return rc;
}

static int close_port(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	return (int)pv_hc_event_channel_op(EVTCHNOP_close, &op);
}

/* Both ends of a loop. */
static int loop_close(evtchn_port_t near, evtchn_port_t far)
{
	int rc = pv_evtchn_close(far);

	return rc || near == far ? rc : close_port(near);
}

static int get_status(evtchn_port_t port, struct evtchn_status *st)
{
	*st = (struct evtchn_status){ .dom = DOMID_SELF, .port = port };
	return PV_OP(event, channel, EVTCHNOP_status, st);
}

static bool is_pending(evtchn_port_t port)
{
	return pv_bit_test(pv_shared_info->evtchn_pending, port);
}

static void unbound_port_waits_for_its_peer(void)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 0 };
	struct evtchn_status st;

	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_alloc_unbound, &op), 0);
	ST_CHECK(op.port > 0 && op.port < EVTCHN_2L_NR_CHANNELS, "port %u", op.port);
	ST_EQ(get_status(op.port, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_unbound);
	ST_EQ(st.u.unbound.dom, 0);
	ST_EQ(st.vcpu, 0);
	ST_EQ(close_port(op.port), 0);
}

static void sending_to_nobody_is_no_error(void)
{
	evtchn_port_t port;

	ST_EQ(pv_evtchn_alloc_unbound(DOMID_SELF, count, NULL, &port), 0);
	calls = 0;
	ST_EQ(pv_evtchn_send(port), 0);
	ST_EQ(calls, 0);
	ST_EQ(pv_evtchn_close(port), 0);
}

static void loopback_delivers_to_the_other_end(void)
{
	evtchn_port_t near, far;
	struct evtchn_status st;

	ST_EQ(loop_open(&near, &far), 0);
	ST_EQ(get_status(near, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_interdomain);
	ST_EQ(st.u.interdomain.dom, st_own_domid());
	ST_EQ(st.u.interdomain.port, far);
	ST_EQ(get_status(far, &st), 0);
	ST_EQ(st.u.interdomain.port, near);
	ST_EQ(pv_evtchn_send(near), 0);
	ST_EQ(calls, 1);
	ST_EQ(called_port, far);
	ST_EQ((long)called_arg, (long)&calls);
	ST_CHECK(!is_pending(far), "still pending after the handler");
	ST_EQ(pv_evtchn_close(far), 0);
	ST_EQ(close_port(near), 0);
}

static void binding_raises_an_event(void)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
	evtchn_port_t far;

	calls = 0;
	ST_EQ(pv_evtchn_alloc_unbound(DOMID_SELF, count, NULL, &far), 0);
	bind.remote_port = far;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0);
	/* The new end is pending, and masked as all ports are at first; the old one was not told. */
	ST_CHECK(is_pending(bind.local_port), "the new port is not pending");
	ST_EQ(calls, 0);
	pv_evtchn_take(bind.local_port);
	ST_EQ(pv_evtchn_close(far), 0);
	ST_EQ(close_port(bind.local_port), 0);
}

static void closing_one_end_unbinds_the_other(void)
{
	evtchn_port_t near, far;
	struct evtchn_status st;

	ST_EQ(loop_open(&near, &far), 0);
	ST_EQ(close_port(near), 0);
	ST_EQ(get_status(near, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_closed);
	ST_EQ(get_status(far, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_unbound);
	ST_EQ(pv_evtchn_close(far), 0);
}

static void masked_port_stays_pending(void)
{
	evtchn_port_t near, far;

	ST_EQ(loop_open(&near, &far), 0);
	pv_evtchn_mask(far);
	ST_EQ(pv_evtchn_send(near), 0);
	ST_EQ(pv_evtchn_send(near), 0);
	ST_EQ(calls, 0);
	ST_CHECK(is_pending(far), "not pending");
	pv_evtchn_unmask(far);
	ST_EQ(calls, 1);
	pv_evtchn_mask(far);
	pv_evtchn_unmask(far);
	ST_EQ(calls, 1);
	ST_EQ(loop_close(near, far), 0);
}

static void masked_upcalls_come_when_enabled(void)
{
	evtchn_port_t near, far;

	ST_EQ(loop_open(&near, &far), 0);
	pv_irq_disable();
	pv_evtchn_send(near);
	pv_hc_sched_op(SCHEDOP_yield, NULL);
	if (calls || !is_pending(far) || !pv_cpu()->info->evtchn_upcall_pending)
		st_fail("calls %u, pending %d, upcall pending %d", calls, is_pending(far),
		        pv_cpu()->info->evtchn_upcall_pending);
	pv_irq_enable();
	st_settle(&calls, 1);
	ST_EQ(calls, 1);
	ST_EQ(pv_cpu()->info->evtchn_upcall_pending, 0);
	ST_EQ(loop_close(near, far), 0);
}

/* Clearing the mask byte alone makes no upcall; the next return from the hypervisor does. */
static void upcall_comes_with_the_next_hypercall(void)
{
	evtchn_port_t near, far;
	unsigned int early;

	ST_EQ(loop_open(&near, &far), 0);
	pv_irq_disable();
	pv_evtchn_send(near);
	pv_store(&pv_cpu()->info->evtchn_upcall_mask, 0);
	early = calls;
	pv_hc_xen_version(0, NULL);
	ST_EQ(calls, 1);
	ST_CHECK(early <= 1, "%u calls", early);
	ST_EQ(pv_evtchn_close(far), 0);
	ST_EQ(close_port(near), 0);
}

/* An event whose port is pending already makes no second upcall: they merge. */
static void events_merge(void)
{
	evtchn_port_t near, far;
	unsigned int i;

	ST_EQ(loop_open(&near, &far), 0);
	pv_irq_disable();
	for (i = 0; i < 5; i++)
		pv_evtchn_send(near);
	pv_irq_enable();
	st_settle(&calls, 1);
	ST_EQ(calls, 1);
	ST_EQ(loop_close(near, far), 0);
}

static evtchn_port_t resend_port;

static void count_and_resend(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	if (++calls < 10)
		pv_evtchn_send(resend_port);
}

static void event_in_its_own_handler_is_not_lost(void)
{
	evtchn_port_t near, far;

	ST_EQ(loop_open(&near, &far), 0);
	pv_evtchn_unbind(far);
	ST_EQ(pv_evtchn_bind(far, 0, count_and_resend, NULL), 0);
	resend_port = near;
	calls = 0;
	pv_evtchn_send(near);
	ST_EQ(calls, 10);
	ST_EQ(loop_close(near, far), 0);
}

static void raised_port_is_handled(void)
{
	evtchn_port_t near, far;

	ST_EQ(loop_open(&near, &far), 0);
	pv_evtchn_raise(far);
	/* Natively a kernel has its timer interrupt it, which may be a little late. */
	for (uint64_t end = pv_now_ns() + 20000000; pv_is_native() && !calls && pv_now_ns() < end;)
		continue;
	ST_EQ(calls, 1);
	ST_EQ(loop_close(near, far), 0);
}

static void many_ports_each_once(void)
{
	enum { MAX = 200 };
	static evtchn_port_t near[MAX], far[MAX];
	unsigned int i, n = pv_is_native() ? 50 : MAX; /* natively there is one word of them */

	for (i = 0; i < n; i++)
		ST_EQ(loop_open(&near[i], &far[i]), 0);
	pv_irq_disable();
	for (i = 0; i < n; i++)
		pv_evtchn_send(near[i]);
	pv_irq_enable();
	st_settle(&calls, n);
	ST_EQ(calls, n);
	for (i = 0; i < n; i++)
		ST_EQ(loop_close(near[i], far[i]), 0);
}

static void virq_is_bound_once(void)
{
	evtchn_port_t port;
	struct evtchn_bind_virq again = { .virq = VIRQ_DEBUG };
	struct evtchn_status st;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_DEBUG, 0, count, NULL, &port), 0);
	ST_EQ(get_status(port, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_virq);
	ST_EQ(st.u.virq, VIRQ_DEBUG);
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_virq, &again), -XEN_EEXIST);
	ST_EQ(pv_evtchn_close(port), 0);
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_virq, &again), 0);
	ST_EQ(close_port(again.port), 0);
}

static void virq_errors(void)
{
	struct evtchn_bind_virq op = { .virq = NR_VIRQS };

	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_virq, &op), -XEN_EINVAL);
	op = (struct evtchn_bind_virq){ .virq = VIRQ_TIMER, .vcpu = 1000 };
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_virq, &op), -XEN_ENOENT);
}

static void ipi_to_oneself(void)
{
	evtchn_port_t port;
	struct evtchn_status st;
	struct evtchn_bind_ipi bad = { .vcpu = 1000 };

	ST_EQ(pv_evtchn_bind_ipi(0, count, NULL, &port), 0);
	calls = 0;
	ST_EQ(get_status(port, &st), 0);
	ST_EQ(st.status, EVTCHNSTAT_ipi);
	ST_EQ(pv_evtchn_send(port), 0);
	ST_EQ(calls, 1);
	ST_EQ(pv_evtchn_close(port), 0);
	ST_EQ(PV_OP(event, channel, EVTCHNOP_bind_ipi, &bad), -XEN_ENOENT);
}

static void port_errors(void)
{
	static const evtchn_port_t bad[] = { EVTCHN_2L_NR_CHANNELS, 1u << 31, ~0u };
	struct evtchn_status st;
	struct evtchn_unmask unmask;
	struct evtchn_bind_vcpu vcpu;
	unsigned int i;

	for (i = 0; i < ST_COUNT(bad); i++) {
		unmask.port = bad[i];
		vcpu = (struct evtchn_bind_vcpu){ .port = bad[i] };
		ST_EQ(pv_evtchn_send(bad[i]), -XEN_EINVAL);
		ST_EQ(close_port(bad[i]), -XEN_EINVAL);
		ST_EQ(get_status(bad[i], &st), -XEN_EINVAL);
		ST_EQ(pv_hc_event_channel_op(EVTCHNOP_unmask, &unmask), -XEN_EINVAL);
		ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_vcpu, &vcpu), -XEN_EINVAL);
	}
	ST_EQ(pv_hc_event_channel_op(77, &st), -XEN_ENOSYS);
}

static void closed_port_errors(void)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	struct evtchn_bind_vcpu vcpu = { 0 };

	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_alloc_unbound, &op), 0);
	ST_EQ(close_port(op.port), 0);
	ST_EQ(pv_evtchn_send(op.port), -XEN_EINVAL);
	ST_EQ(close_port(op.port), -XEN_EINVAL);
	vcpu.port = op.port;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_vcpu, &vcpu), -XEN_EINVAL);
	ST_EQ(close_port(0), -XEN_EINVAL);
}

static void interdomain_errors(void)
{
	struct evtchn_bind_interdomain op = { .remote_dom = 0x7000, .remote_port = 1 };
	struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = 0 };

	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &op), -XEN_ESRCH);
	op = (struct evtchn_bind_interdomain){ .remote_dom = DOMID_SELF,
		                               .remote_port = EVTCHN_2L_NR_CHANNELS };
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &op), -XEN_EINVAL);
	/* A port that waits for somebody else. */
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0);
	op = (struct evtchn_bind_interdomain){ .remote_dom = DOMID_SELF,
		                               .remote_port = alloc.port };
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_interdomain, &op), -XEN_EINVAL);
	ST_EQ(close_port(alloc.port), 0);
	/* A port for somebody else to have. */
	alloc = (struct evtchn_alloc_unbound){ .dom = 0, .remote_dom = DOMID_SELF };
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), -XEN_EPERM);
}

static void other_domains_status_is_denied(void)
{
	struct evtchn_status st = { .dom = 0, .port = 1 };

	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_status, &st), -XEN_EPERM);
}

static void ports_move_between_vcpus(void)
{
	evtchn_port_t near, far, timer;
	struct evtchn_bind_vcpu op = { 0 };

	ST_EQ(loop_open(&near, &far), 0);
	op.port = far;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_vcpu, &op), 0);
	op.vcpu = 1000;
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_vcpu, &op), -XEN_ENOENT);
	pv_evtchn_send(near);
	ST_EQ(calls, 1);
	ST_EQ(pv_evtchn_close(far), 0);
	ST_EQ(close_port(near), 0);
	/* A virtual interrupt of a vCPU stays with it. */
	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, count, NULL, &timer), 0);
	op = (struct evtchn_bind_vcpu){ .port = timer };
	ST_EQ(pv_hc_event_channel_op(EVTCHNOP_bind_vcpu, &op), -XEN_EINVAL);
	ST_EQ(pv_evtchn_close(timer), 0);
}

static void physical_interrupts_are_denied(void)
{
	struct evtchn_bind_pirq op = { .pirq = 1 };
	long rc = pv_hc_event_channel_op(EVTCHNOP_bind_pirq, &op);

	ST_CHECK(rc == -XEN_EPERM || rc == -XEN_EINVAL, "%ld", rc);
}

/* ---- a storm: upcalls wherever they can strike ---- */

static volatile unsigned long lowest_sp;
static uint64_t storm_ns; /* between two upcalls */

/* Where a way into the hypervisor is long, upcalls must leave time for anything else to happen. */
static uint64_t storm_period(void)
{
	uint64_t start = pv_now_ns(), cost;

	for (int i = 0; i < 16; i++)
		(void)pv_hc_xen_version(XENVER_version, NULL);
	cost = (pv_now_ns() - start) / 16;
	return cost < 10000 ? 2000 + 2 * cost : 16 * cost;
}

static void rearm(evtchn_port_t port, void *arg)
{
	unsigned long sp = (unsigned long)__builtin_frame_address(0);

	(void)port;
	(void)arg;
	calls++;
	if (sp < lowest_sp)
		lowest_sp = sp;
	pv_timer_set(pv_now_ns() + storm_ns);
}

/* A sum over registers that any loss would spoil; the flags are part of it. */
static uint64_t churn(uint64_t rounds)
{
	uint64_t a = 1, b = 2, c = 3, d = 5;

	while (rounds--) {
		a += b ^ c;
		b = b << 7 | b >> 57;
		c += d * 3;
		d ^= a + (a < c);
	}
	return a ^ b ^ c ^ d;
}

/* Timer upcalls every few microseconds, at random points of the code and of the return path. */
static void storm_spoils_no_register_and_no_stack(void)
{
	unsigned long here = (unsigned long)__builtin_frame_address(0);
	uint64_t want = churn(20000), end;
	evtchn_port_t port;
	bool same = true;

	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, rearm, NULL, &port), 0);
	calls = 0;
	lowest_sp = here;
	storm_ns = storm_period();
	end = pv_now_ns() + 300000000;
	pv_timer_set(pv_now_ns() + storm_ns);
	/* On a slow machine until there were enough of them. */
	while ((pv_now_ns() < end || (calls <= 50 && pv_now_ns() < end + 10000000000)) && same)
		same = churn(20000) == want;
	pv_timer_set(0);
	ST_EQ(pv_evtchn_close(port), 0);
	pv_timer_set(0);
	ST_CHECK(same, "a sum came out wrong after %u upcalls", calls);
	ST_CHECK(calls > 50, "only %u upcalls", calls);
	ST_CHECK(here - lowest_sp < 2048, "the stack went down by %lu bytes", here - lowest_sp);
}

/*
 * ---- the return path, instruction by instruction ----
 *
 * An upcall is sent on its way back under the trap flag. At the n-th instruction of the return path
 * that runs with events enabled, the #DB handler raises another event; the hypervisor delivers it
 * when that handler returns, so it strikes at exactly that instruction. For every n: both events
 * are handled, the second one where the first was (or, at the last two instructions, by the sixteen
 * bytes lower that they still hold), and no register suffers.
 */
extern char pv_return_start[], pv_return_popf[], pv_return_end[];

static evtchn_port_t strike_port;
static unsigned int strike_at, strike_count;
static uint64_t strike_rip;
static struct pv_frame *first_frame, *second_frame;

static void start_stepping(struct pv_frame *frame)
{
	if (calls == 1) {
		first_frame = frame;
		__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" ::: "cc", "memory");
	} else {
		second_frame = frame;
	}
}

static bool on_step(struct pv_frame *f)
{
	if (f->rip - (uint64_t)pv_return_start >= (uint64_t)(pv_return_end - pv_return_start))
		return true;
	if (strike_count++ == strike_at) {
		strike_rip = f->rip;
		pv_evtchn_raise(strike_port);
		f->rflags &= ~(uint64_t)PV_RFLAGS_TF;
	}
	return true;
}

/* The interrupted code: all registers known, one event sent, all registers compared. */
static bool registers_survive_an_event(evtchn_port_t port)
{
	struct evtchn_send op = { .port = port };
	uint64_t pattern[6] = { 0x1111111111111111, ~2ul, 3, 0x4444444444444444, 5, 6 };
	uint64_t seen[6] = { 0 };
	const uint64_t *from = pattern;
	struct evtchn_send *arg = &op;

	__asm__ volatile("push %%rbp\n"
	                 "mov 0(%[from]), %%rbx; mov 8(%[from]), %%r12; mov 16(%[from]), %%r13\n"
	                 "mov 24(%[from]), %%r14; mov 32(%[from]), %%r15; mov 40(%[from]), %%rbp\n"
	                 "push %[seen]\n"
	                 "mov $%c[cmd], %%edi\n"
	                 "call pv_hypercall_page + %c[nr] * 32\n"
	                 "pop %%rax\n"
	                 "mov %%rbx, 0(%%rax); mov %%r12, 8(%%rax); mov %%r13, 16(%%rax)\n"
	                 "mov %%r14, 24(%%rax); mov %%r15, 32(%%rax); mov %%rbp, 40(%%rax)\n"
	                 "pop %%rbp\n"
	                 : "+S"(arg), [from] "+d"(from)
	                 : [seen] "a"(seen), [cmd] "i"(EVTCHNOP_send),
	                   [nr] "i"(__HYPERVISOR_event_channel_op)
	                 : "rbx", "rcx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
	                   "r15", "memory", "cc");
	return memcmp(pattern, seen, sizeof(seen)) == 0;
}

/* One strike. Returns false when the return path has no n-th instruction, or it went wrong. */
static bool strike(unsigned int n)
{
	bool same;

	strike_at = n;
	strike_count = 0;
	strike_rip = 0;
	calls = 0;
	st_on_upcall = start_stepping;
	same = registers_survive_an_event(strike_port);
	st_on_upcall = NULL;
	if (strike_rip == 0)
		return false;
	if (!same)
		st_fail("a register was lost at step %u, 0x%lx", n, strike_rip);
	else if (calls != 2)
		st_fail("%u calls at step %u, 0x%lx", calls, n, strike_rip);
	else if ((uint64_t)first_frame - (uint64_t)second_frame > 32)
		st_fail("frame %p after %p at step %u, 0x%lx", (void *)second_frame,
		        (void *)first_frame, n, strike_rip);
	else
		return true;
	return false;
}

static void strike_everywhere(void)
{
	pv_trap_fn old = pv_trap_set(PV_VECTOR_DB, on_step);
	unsigned int n = 0;

	while (n < 64 && strike(n))
		n++;
	pv_trap_set(PV_VECTOR_DB, old);
	pv_hc_set_debugreg(6, 0xffff0ff0); /* as it was before the first step */
	if (strike_rip == 0 && n < 18)
		st_fail("only %u instructions seen", n);
}

static void upcall_may_strike_anywhere_in_the_return(void)
{
	ST_EQ(pv_evtchn_bind_ipi(0, count, NULL, &strike_port), 0);
	strike_everywhere();
	ST_EQ(pv_evtchn_close(strike_port), 0);
}

static const struct st_claim claims[] = {
	ST_CLAIM(unbound_port_waits_for_its_peer),
	ST_CLAIM(sending_to_nobody_is_no_error),
	ST_CLAIM(loopback_delivers_to_the_other_end),
	ST_CLAIM(binding_raises_an_event),
	ST_CLAIM(closing_one_end_unbinds_the_other),
	ST_GENERAL(masked_port_stays_pending),
	ST_GENERAL(masked_upcalls_come_when_enabled),
	ST_CLAIM(upcall_comes_with_the_next_hypercall),
	ST_GENERAL(events_merge),
	ST_GENERAL(event_in_its_own_handler_is_not_lost),
	ST_GENERAL(raised_port_is_handled),
	ST_GENERAL(many_ports_each_once),
	ST_CLAIM(virq_is_bound_once),
	ST_CLAIM(virq_errors),
	ST_GENERAL(ipi_to_oneself),
	ST_CLAIM(port_errors),
	ST_CLAIM(closed_port_errors),
	ST_CLAIM(interdomain_errors),
	ST_CLAIM(other_domains_status_is_denied),
	ST_CLAIM(ports_move_between_vcpus),
	ST_CLAIM(physical_interrupts_are_denied),
	ST_CLAIM(upcall_may_strike_anywhere_in_the_return),
	ST_CLAIM(storm_spoils_no_register_and_no_stack),
};

ST_FAMILY(evtchn, claims);
