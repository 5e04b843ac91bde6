/* SPDX-License-Identifier: MIT */
/*
 * Signals. A handler is called by moving the program's registers aside, to its own stack, and making
 * new ones that say "call handler(signal, saved registers), then call sigreturn". What comes back
 * from there is the program's word: nothing in it can do more than the program itself could.
 */
#include "tests/guests/unix/signal.h"

#include "abi/arch_x86_64.h"
#include "pvops/fp.h"
#include "pvops/lib/string.h"
#include "pvops/smp.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/usercopy.h"

#define RED_ZONE 128 /* below its stack pointer, a program may use as much */

/* Flags that a program may have as it likes. */
#define USER_RFLAGS 0x00240dd5u

/* Offsets in the saved floating-point state (Intel SDM vol. 1, 13.4). */
#define FP_MXCSR  24
#define FP_HEADER 512
#define FP_REST   (FP_HEADER + 8)
#define FP_END    (FP_HEADER + 64)

static unsigned int nr_alarms;

static uint32_t bit(int sig)
{
	return 1u << sig;
}

static bool is_ignored(const struct proc *p, int sig)
{
	return p->handler[sig] == SIG_IGN || (p->handler[sig] == SIG_DFL && sig == SIGCHLD);
}

bool signal_waits(const struct proc *p)
{
	return p->pending & ~p->mask;
}

void signal_post(struct proc *p, int sig)
{
	if (p->state == FREE || p->state == NEW || p->state == DEAD || is_ignored(p, sig))
		return;
	p->pending |= bit(sig);
	if (!signal_waits(p))
		return;
	if (p->state == SLEEPING && p->can_interrupt)
		sched_make_ready(p);
	else if (p->state == RUNNING && p != current())
		pv_smp_ipi(p->cpu); /* its way back to the program looks */
}

int signal_send(int pid, int sig)
{
	int rc = -ESRCH;
	unsigned int i;

	if (sig < 0 || sig >= NR_SIGNALS)
		return -EINVAL;
	pv_spin_lock(&sched_lock);
	for (i = 0; i < proc_table_len; i++) {
		struct proc *p = &proc_table[i];

		if (p->state == FREE || p->state == NEW || p->state == DEAD)
			continue;
		if (p->pid != pid && (pid >= 0 || p->group != -pid))
			continue;
		rc = 0;
		if (sig)
			signal_post(p, sig);
	}
	pv_spin_unlock(&sched_lock);
	return rc;
}

void signal_reset(struct proc *p)
{
	unsigned int i;

	for (i = 0; i < NR_SIGNALS; i++)
		if (p->handler[i] != SIG_IGN)
			p->handler[i] = SIG_DFL;
	p->restorer = 0;
}

/* ---- alarms ---- */

uint64_t signal_set_alarm(uint64_t ns)
{
	struct proc *p = current();
	uint64_t now = pv_now_ns(), left;

	pv_spin_lock(&sched_lock);
	left = p->alarm_ns > now ? p->alarm_ns - now : 0;
	nr_alarms -= p->alarm_ns != 0;
	p->alarm_ns = ns ? now + ns : 0;
	if (ns) {
		nr_alarms++;
		sched_arm(p->alarm_ns);
	}
	pv_spin_unlock(&sched_lock);
	return left;
}

uint64_t signal_alarms(uint64_t now_ns)
{
	uint64_t next = 0;
	unsigned int i;

	for (i = 0; nr_alarms && i < proc_table_len; i++) {
		struct proc *p = &proc_table[i];

		if (!p->alarm_ns)
			continue;
		if (p->alarm_ns <= now_ns) {
			p->alarm_ns = 0;
			nr_alarms--;
			signal_post(p, SIGALRM);
		} else if (!next || p->alarm_ns < next) {
			next = p->alarm_ns;
		}
	}
	return next;
}

/* ---- delivery ---- */

static int take_pending(struct proc *p)
{
	uint32_t waiting;
	int sig = 0;

	pv_spin_lock(&sched_lock);
	waiting = p->pending & ~p->mask;
	if (waiting) {
		sig = waiting & bit(SIGKILL) ? SIGKILL : __builtin_ctz(waiting);
		p->pending &= ~bit(sig);
	}
	pv_spin_unlock(&sched_lock);
	return sig;
}

static void save_registers(const struct proc *p, const struct pv_frame *f, struct unix_sigframe *s)
{
	/* Fifteen registers in the same order in both. */
	memcpy(&s->r15, &f->r15, 15 * sizeof(uint64_t));
	s->rip = f->rip;
	s->rflags = f->rflags;
	s->rsp = f->rsp;
	s->address = p->fault_address;
	s->trap = p->trap;
	s->error = p->trap_error;
	s->old_mask = p->mask;
}

/* 0, or -EFAULT when the program's stack cannot take it. */
static int call_handler(struct proc *p, struct pv_frame *f, int sig)
{
	uint64_t fp = (f->rsp - RED_ZONE - pv_fp_size()) & ~(uint64_t)(PV_FP_ALIGN - 1);
	uint64_t at = (fp - sizeof(struct unix_sigframe)) & ~15ull, sp = at - 8;
	struct unix_sigframe s;

	save_registers(p, f, &s);
	s.fp = fp;
	pv_fp_save(p->fp);
	if (copy_out(fp, p->fp, pv_fp_size()) || copy_out(at, &s, sizeof(s)) ||
	    copy_out(sp, &p->restorer, sizeof(p->restorer)))
		return -EFAULT;
	p->mask |= bit(sig);
	p->trap = p->trap_error = 0;
	p->fault_address = 0;
	f->rdi = (uint64_t)sig;
	f->rsi = at;
	f->rip = p->handler[sig];
	f->rsp = sp;
	f->rflags = PV_RFLAGS_IF;
	return 0;
}

void signal_deliver(struct pv_frame *frame)
{
	struct proc *p = current();
	int sig;

	/* Without the lock: what comes after this look comes with an interrupt. */
	while (__atomic_load_n(&p->pending, __ATOMIC_RELAXED) & ~p->mask) {
		sig = take_pending(p);
		if (!sig || is_ignored(p, sig))
			continue;
		if (p->handler[sig] == SIG_DFL || sig == SIGKILL || call_handler(p, frame, sig))
			proc_exit(UNIX_STATUS(0, sig));
	}
}

void signal_trap(struct pv_frame *frame, int sig)
{
	struct proc *p = current();

	p->trap = frame->vector;
	p->trap_error = frame->error_code;
	p->fault_address = frame->vector == PV_VECTOR_PF ? frame->cr2 : 0;
	/* It would happen again at once: a program that does not want to know cannot go on. */
	if (p->mask & bit(sig) || p->handler[sig] == SIG_IGN)
		proc_exit(UNIX_STATUS(0, sig));
	pv_spin_lock(&sched_lock);
	p->pending |= bit(sig);
	pv_spin_unlock(&sched_lock);
}

/* A state that the program has had in its hands: made one that the processor accepts. */
static void load_fp(struct proc *p)
{
	uint8_t *area = p->fp;
	uint64_t states;
	uint32_t mxcsr;

	memcpy(&mxcsr, area + FP_MXCSR, sizeof(mxcsr));
	mxcsr &= 0xffff;
	memcpy(area + FP_MXCSR, &mxcsr, sizeof(mxcsr));
	if (pv_fp_size() >= FP_END) {
		memcpy(&states, area + FP_HEADER, sizeof(states));
		states &= pv_fp_states();
		memcpy(area + FP_HEADER, &states, sizeof(states));
		memset(area + FP_REST, 0, FP_END - FP_REST);
	}
	pv_fp_load(area);
}

void signal_return(struct pv_frame *f)
{
	struct proc *p = current();
	struct unix_sigframe s;

	if (copy_in(&s, f->rsp, sizeof(s)) || copy_in(p->fp, s.fp, pv_fp_size()) ||
	    s.rip >= PV_USER_END)
		proc_exit(UNIX_STATUS(0, SIGSEGV));
	memcpy(&f->r15, &s.r15, 15 * sizeof(uint64_t));
	f->rip = s.rip;
	f->rsp = s.rsp;
	f->rflags = (s.rflags & USER_RFLAGS) | PV_RFLAGS_IF;
	p->mask = (uint32_t)s.old_mask & ~bit(SIGKILL);
	load_fp(p);
}
