/* SPDX-License-Identifier: MIT */
/*
 * vcpu_run(): from the registers of a vCPU into its guest process, and from what the process reports
 * back into the registers.
 *
 * Everything in the state page was written by the guest or could have been. It is copied once, and
 * of the copy only that is taken which unprivileged code could have caused by itself: general
 * registers, flags that ring 3 can set, an exception.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/engines/process/process.h"

#define FLAGS_OF_RING3                                                                           \
	(X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_AC | \
	 X86_FLAG_ID)
#define FLAGS_BY_IRET (X86_FLAG_TF | X86_FLAG_RF)
#define VSYSCALL_PAGE 0xffffffffff600000u
#define NO_CALL       (~UINT64_C(0))

enum { VECTOR_GP = 13, VECTOR_PF = 14 };

_Static_assert(offsetof(struct hv_regs, rip) == 15 * 8 && offsetof(struct hv_regs, rsp) == 17 * 8,
               "the trampoline stores registers in this order");
_Static_assert(STATE_REGS + offsetof(struct hv_regs, rsp) == STATE_REGS_RSP, "registers in state");
_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs[REG_R8]) == UC_R8 &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_RDI]) == UC_RDI &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_RSP]) == UC_RSP &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]) == UC_RIP &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_EFL]) == UC_FLAGS &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_CSGSFS]) == UC_CS &&
                       offsetof(ucontext_t, uc_mcontext.gregs[REG_TRAPNO]) == UC_TRAPNO &&
                       offsetof(ucontext_t, uc_mcontext.fpregs) == UC_FPSTATE,
               "ucontext");
_Static_assert(PE_SIG_KICK == SIGUSR1 && PE_SIG_TRAP == SIGTRAP && PE_SIG_SEGV == SIGSEGV,
               "signals");

/* What CTL_REGS holds. */
struct resume {
	uint64_t gpr[15];
	uint64_t rip, cs, rflags, rsp, ss;
};

/* ---- into the guest ---------------------------------------------------------------------------- */

static bool is_canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static bool wants_cs32(const struct hv_regs *r)
{
	return r->cs == FLAT_RING3_CS32 || r->cs == PE_CS32;
}

static uint64_t gs_base(const struct hv_vcpu *v)
{
	return v->in_kernel ? v->regs.gs_base_kernel : v->regs.gs_base_user;
}

static uint32_t put_regs(const struct hv_vcpu *v, struct pe_proc *p)
{
	struct resume *to = (void *)(p->ctl + CTL_REGS);
	const struct hv_regs *r = &v->regs;
	uint64_t flags = (r->rflags & FLAGS_OF_RING3) | X86_FLAG_ONE | X86_FLAG_IF;
	uint32_t action = 0;

	memcpy(to->gpr, r, sizeof(to->gpr));
	to->rip = r->rip;
	to->cs = wants_cs32(r) ? PE_CS32 : PE_CS64;
	to->rflags = flags;
	to->rsp = r->rsp;
	to->ss = PE_SS;
	if ((flags & FLAGS_BY_IRET) || to->cs != PE_CS64)
		action |= PE_DO_IRET;
	if (p->fs_base != r->fs_base || p->gs_base != gs_base(v)) {
		p->fs_base = is_canonical(r->fs_base) ? r->fs_base : 0;
		p->gs_base = is_canonical(gs_base(v)) ? gs_base(v) : 0;
		pe_store64(p->ctl, CTL_FS_BASE, p->fs_base);
		pe_store64(p->ctl, CTL_GS_BASE, p->gs_base);
		action |= PE_DO_BASES;
	}
	return action;
}

/* Whether the trampoline may answer anything without us. */
static bool in_place_allowed(const struct hv_vcpu *v, const struct pe_proc *p)
{
	const struct hv_tracer *tracer = v->domain->machine->tracer;

	/* An iret also ends an NMI, which the core keeps account of. */
	return !p->is_user && !v->native.is_on && !(tracer && tracer->every_call) &&
	       !v->traps.nmi_pending && !v->traps.in_nmi;
}

static void put_in_place(struct pe_vcpu *pv, struct pe_proc *p)
{
	const struct hv_vcpu *v = pv->v;
	bool window = !p->is_user && hv_mfn_same(p->window, v->info_mfn) &&
	              v->info_offset <= HV_PAGE_SIZE - sizeof(struct vcpu_info);
	bool iopl = v->domain->vm_assist >> VMASST_TYPE_architectural_iopl & 1;

	/* A partner is entered as its kernel is, whatever the user does now. */
	bool as_kernel = v->in_kernel || p != pv->current || pe_pair_in_one(v);
	bool own_selectors = v->in_kernel && p == pv->current;

	pe_tell(p->ctl, CTL_IN_PLACE, as_kernel && in_place_allowed(v, p));
	pe_tell64(p->ctl, CTL_INFO, window ? PE_WINDOW + v->info_offset : 0);
	pe_tell(p->ctl, CTL_CS, own_selectors ? v->regs.cs | 3 : FLAT_KERNEL_CS);
	pe_tell(p->ctl, CTL_SS, own_selectors ? v->regs.ss | 3 : FLAT_KERNEL_SS);
	pe_tell(p->ctl, CTL_IOPL, v->traps.iopl << 12);
	pe_tell(p->ctl, CTL_IOPL + 4, iopl ? X86_FLAG_IOPL : 0);
	pe_tell(p->ctl, CTL_NATIVE, v->native.is_on);
	pe_tell(p->ctl, CTL_NATIVE_CS, v->native.kernel_cs);
	pe_tell(p->ctl, CTL_NATIVE_FMASK, v->native.fmask);
	pe_tell64(p->ctl, CTL_VERSION, pv->version);
	pe_tell64(p->ctl, CTL_SAVE_MASK, pv->save_mask);
	pe_tell(p->ctl, CTL_SPINS, pe_place_spins(pv) ? PE_SPINS : 0);
	pe_tell(p->ctl, CTL_YIELDS, pe_place_spins(pv) ? 0 : pv->yields);
	pe_tell(p->ctl, CTL_MAPPER_YIELDS, pe_place_spins(pv) || !pv->yields ? 0 : 2);
}

/*
 * Where one root serves user and kernel, the process may change between the two without us: it keeps
 * which of them it runs, and the segment base that the other one has.
 */
static void put_mode(struct pe_vcpu *pv, struct pe_proc *p)
{
	const struct hv_vcpu *v = pv->v;
	bool one = !p->is_user && pe_pair_in_one(v) && pe_load64(p->ctl, CTL_INFO);

	pe_tell(p->ctl, CTL_ONE_ROOT, one);
	pe_store(p->state, STATE_MODE, one && !v->in_kernel);
	if (!one)
		return;
	pe_store64(p->state, STATE_GS_KERNEL, v->regs.gs_base_kernel);
	pe_pair_tell_kernel(pv, p);
}

static void enter(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *partner)
{
	uint32_t action = put_regs(pv->v, p);

	put_in_place(pv, p);
	put_mode(pv, p);
	if (partner) {
		put_in_place(pv, partner);
		put_mode(pv, partner);
	}
	action |= pe_fpu_load(pv, p);
	pe_tell(p->ctl, CTL_ACTION, action);
}

/* ---- out of the guest -------------------------------------------------------------------------- */

static uint64_t clean_flags(struct pe_proc *p, uint64_t flags)
{
	flags &= FLAGS_OF_RING3;
	/* A single step that hit the trampoline cleared TF there (trampoline.S). */
	if (pe_load(p->state, STATE_TRACED)) {
		pe_store(p->state, STATE_TRACED, 0);
		flags |= X86_FLAG_TF;
	}
	return flags | X86_FLAG_ONE | X86_FLAG_IF;
}

static void exception(struct hv_exit *exit, uint8_t vector, uint32_t error_code, uint64_t cr2)
{
	exit->kind = HV_EXIT_EXCEPTION;
	exit->vector = vector;
	exit->error_code = error_code;
	exit->cr2 = cr2;
}

/* The mode in which a process stopped that may change between the two without us. */
static void take_mode(struct pe_vcpu *pv, struct pe_proc *p)
{
	struct hv_vcpu *v = pv->v;
	uint64_t gs;

	if (!pe_load(p->ctl, CTL_ONE_ROOT) || !(pe_load(p->state, STATE_CHANGED) & PE_CHANGED_MODE))
		return;
	v->in_kernel = !pe_load(p->state, STATE_MODE);
	v->regs.cs = v->in_kernel ? FLAT_KERNEL_CS : pv->user_cs;
	v->regs.ss = v->in_kernel ? FLAT_KERNEL_SS : pv->user_ss;
	gs = pe_load64(p->state, STATE_GS_KERNEL);
	if (!v->in_kernel)
		v->regs.gs_base_kernel = is_canonical(gs) ? gs : 0;
}

/* What the trampoline answered in place since the last exit. */
static void take_in_place(struct pe_vcpu *pv, struct pe_proc *p)
{
	struct hv_vcpu *v = pv->v;
	uint32_t changed = pe_load(p->state, STATE_CHANGED);

	if (!changed || p->is_user)
		return;
	pe_store(p->state, STATE_CHANGED, 0);
	if (changed & PE_CHANGED_STACK) {
		v->traps.kernel_sp = pe_load64(p->state, STATE_KERNEL_SP);
		v->traps.kernel_ss = (uint16_t)pe_load64(p->state, STATE_KERNEL_SS) | 3;
	}
	if (changed & PE_CHANGED_GS_USER) {
		uint64_t base = pe_load64(p->state, STATE_GS_USER);

		v->regs.gs_base_user = is_canonical(base) ? base : 0;
	}
}

static void take_bases(struct hv_vcpu *v, struct pe_proc *p)
{
	uint64_t fs = pe_load64(p->state, STATE_FS_BASE), gs = pe_load64(p->state, STATE_GS_BASE);

	p->fs_base = is_canonical(fs) ? fs : 0;
	p->gs_base = is_canonical(gs) ? gs : 0;
	v->regs.fs_base = p->fs_base;
	if (v->in_kernel)
		v->regs.gs_base_kernel = p->gs_base;
	else
		v->regs.gs_base_user = p->gs_base;
}

static void take_hypercall(struct pe_vcpu *pv, struct pe_proc *p, struct hv_exit *exit)
{
	struct hv_vcpu *v = pv->v;

	memcpy(&v->regs, p->state + STATE_REGS, offsetof(struct hv_regs, rsp) + 8);
	v->regs.rflags = clean_flags(p, v->regs.rflags);
	pe_fpu_is_live(pv, p);
	exit->kind = HV_EXIT_HYPERCALL;
	pv->last_call = v->regs.rax;
	if (v->in_kernel)
		return;
	/* User code that finds its way into a hypercall page makes a system call of its kernel's. */
	exit->kind = HV_EXIT_SYSCALL;
	v->regs.rcx = v->regs.rip;
	v->regs.r11 = v->regs.rflags;
}

static void take_gregs(struct hv_vcpu *v, struct pe_proc *p, const greg_t *g)
{
	struct hv_regs *r = &v->regs;
	uint16_t cs = (uint16_t)g[REG_CSGSFS];

	r->r8 = (uint64_t)g[REG_R8];
	r->r9 = (uint64_t)g[REG_R9];
	r->r10 = (uint64_t)g[REG_R10];
	r->r11 = (uint64_t)g[REG_R11];
	r->r12 = (uint64_t)g[REG_R12];
	r->r13 = (uint64_t)g[REG_R13];
	r->r14 = (uint64_t)g[REG_R14];
	r->r15 = (uint64_t)g[REG_R15];
	r->rdi = (uint64_t)g[REG_RDI];
	r->rsi = (uint64_t)g[REG_RSI];
	r->rbp = (uint64_t)g[REG_RBP];
	r->rbx = (uint64_t)g[REG_RBX];
	r->rdx = (uint64_t)g[REG_RDX];
	r->rax = (uint64_t)g[REG_RAX];
	r->rcx = (uint64_t)g[REG_RCX];
	r->rsp = (uint64_t)g[REG_RSP];
	r->rip = (uint64_t)g[REG_RIP];
	r->rflags = clean_flags(p, (uint64_t)g[REG_EFL]);
	/* The selector of the vCPU is the guest's own choice; only the mode can have changed. */
	if ((cs == PE_CS32) != wants_cs32(r))
		r->cs = cs == PE_CS32 ? FLAT_RING3_CS32 : FLAT_RING3_CS64;
}

static void take_sigsys(struct hv_vcpu *v, const siginfo_t *si, struct hv_exit *exit)
{
	uint64_t at = (uint64_t)(uintptr_t)si->si_call_addr;

	if (at >= VSYSCALL_PAGE) {
		/* The host's page of legacy calls: to the guest there is nothing. */
		v->regs.rip = at;
		v->regs.rsp -= 8; /* the kernel has emulated the return */
		exception(exit, VECTOR_PF, 0x14, at);
	} else if (si->si_arch != AUDIT_ARCH_X86_64) {
		/* int $0x80, also from 64-bit code: the host has a gate where a guest has none. */
		v->regs.rip -= 2;
		exception(exit, VECTOR_GP, 0x80 * 8 + 2, 0);
	} else {
		exit->kind = HV_EXIT_SYSCALL;
		v->regs.rcx = v->regs.rip;
		v->regs.r11 = v->regs.rflags;
	}
}

static void take_signal(struct pe_vcpu *pv, struct pe_proc *p, struct hv_exit *exit)
{
	const uint64_t stack = PE_STATE + STATE_SIGSTACK;
	uint64_t uc_at = pe_load64(p->state, STATE_UC) - stack;
	uint64_t si_at = pe_load64(p->state, STATE_INFO) - stack;
	uint32_t signo = pe_load(p->state, STATE_SIGNO);
	struct hv_vcpu *v = pv->v;
	greg_t g[NGREG];
	uint64_t fpstate;
	siginfo_t si;
	bool inside;

	if (uc_at > PE_SIGSTACK_SIZE - 512 || si_at > PE_SIGSTACK_SIZE - sizeof(si) ||
	    (uc_at | si_at) % 8) {
		/* Forged. The registers stay what they were. */
		exception(exit, VECTOR_GP, 0, 0);
		pe_fpu_is_live(pv, p);
		return;
	}
	memcpy(g, p->state + STATE_SIGSTACK + uc_at + UC_R8, sizeof(g));
	memcpy(&fpstate, p->state + STATE_SIGSTACK + uc_at + UC_FPSTATE, sizeof(fpstate));
	memcpy(&si, p->state + STATE_SIGSTACK + si_at, sizeof(si));
	take_gregs(v, p, g);
	pe_fpu_is_in_frame(pv, p, fpstate);
	inside = v->regs.rip - PE_CODE < PE_CODE_SIZE;

	if (signo == PE_SIG_KICK || (si.si_code <= 0 && signo != SIGSYS)) {
		exit->kind = HV_EXIT_KICKED;
	} else if (inside || g[REG_TRAPNO] < 0 || g[REG_TRAPNO] > 31) {
		/* Honest code does not get there: it jumped into our page. */
		exception(exit, VECTOR_GP, 0, 0);
	} else if (signo == SIGSYS) {
		take_sigsys(v, &si, exit);
	} else {
		exception(exit, (uint8_t)g[REG_TRAPNO], (uint32_t)g[REG_ERR], (uint64_t)g[REG_CR2]);
	}
}

/*
 * The user's process u made a system call that its kernel's process took, but did not enter: a stop
 * was wanted, or the kernel's stack was not there. It is as if u had come to us with it.
 */
static void take_users_call(struct pe_vcpu *pv, struct pe_proc *u, struct hv_exit *exit)
{
	struct hv_vcpu *v = pv->v;
	uint64_t fs = pe_load64(u->state, OUT_FS_BASE), gs = pe_load64(u->state, OUT_GS_BASE);

	memcpy(&v->regs, u->state + OUT_REGS, offsetof(struct hv_regs, rsp) + 8);
	v->regs.rflags = (v->regs.rflags & FLAGS_OF_RING3) | X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.rcx = v->regs.rip;
	v->regs.r11 = v->regs.rflags;
	v->regs.fs_base = is_canonical(fs) ? fs : 0;
	v->regs.gs_base_user = is_canonical(gs) ? gs : 0;
	v->regs.cs = pv->user_cs;
	v->regs.ss = pv->user_ss;
	v->in_kernel = false;
	pe_fpu_is_in_out(pv, u);
	exit->kind = HV_EXIT_SYSCALL;
	if (v->regs.rip >= PE_GUEST_END)
		exception(exit, VECTOR_GP, 0, 0); /* no instruction can have been there */
}

static void take_exit(struct pe_vcpu *pv, struct pe_proc *p, struct pe_proc *other,
                      struct hv_exit *exit)
{
	uint32_t kind = pe_load(p->state, STATE_KIND);

	pv->last_call = NO_CALL;
	if (other || p != pv->current)
		pe_pair_settle(pv, p, other);
	take_mode(pv, p);
	take_in_place(pv, p->is_user && other ? other : p);
	take_bases(pv->v, p);
	if (kind == PE_EXIT_HYPERCALL) {
		take_hypercall(pv, p, exit);
	} else if (kind == PE_EXIT_SIGNAL) {
		take_signal(pv, p, exit);
	} else if (kind == PE_EXIT_TAKEN && other && other->is_user) {
		take_users_call(pv, other, exit);
	} else {
		exception(exit, VECTOR_GP, 0, 0); /* forged */
		pe_fpu_is_live(pv, p);
	}
	if (exit->kind == HV_EXIT_KICKED && atomic_exchange(&pv->kicked, false))
		hv_vcpu_tick(pv->v);
}

/* ---- the whole --------------------------------------------------------------------------------- */

/* An address at which no instruction can be fetched: the fault needs no process to find out. */
static bool faults_at_once(struct hv_vcpu *v, struct hv_exit *exit)
{
	uint64_t rip = v->regs.rip;

	if (rip < PE_GUEST_END)
		return false;
	if (is_canonical(rip))
		exception(exit, VECTOR_PF, 0x14, rip);
	else
		exception(exit, VECTOR_GP, 0, 0);
	return true;
}

/* Learns from the hypercall that ended just now what the next ones will need. */
static void learn(struct pe_vcpu *pv, bool moves)
{
	const struct hv_vcpu *v = pv->v;

	if (pv->last_call == __HYPERVISOR_xen_version && !pv->version && v->regs.rdi == 0 &&
	    (int64_t)v->regs.rax > 0)
		pv->version = v->regs.rax;
	if (pv->last_call < 64 && moves)
		pv->save_mask |= UINT64_C(1) << pv->last_call;
	pv->answered = pv->last_call < PE_HABITS - 1 ? (unsigned)pv->last_call : PE_HABITS - 1;
	pv->last_call = NO_CALL;
}

static bool fits(const struct hv_vcpu *v, const struct pe_proc *p)
{
	bool is_user = !v->in_kernel && !hv_mfn_same(v->root_user, v->root_kernel);

	return p && hv_mfn_same(p->root, hv_vcpu_root(v)) && p->is_user == is_user &&
	       !atomic_load(&p->is_orphan);
}

int pe_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
	struct pe_vcpu *pv = v->engine_priv;
	struct pe_proc *p = pv->current, *partner;
	int rc;

	memset(exit, 0, sizeof(*exit));
	if (!pv->entered || !pthread_equal(pv->thread, pthread_self()))
		pe_place_thread(pv);
	pe_place_enter(pv);
	if ((atomic_exchange(&pv->kicked, false) || pe_now() >= hv_vcpu_deadline(v)) &&
	    hv_vcpu_tick(v)) {
		exit->kind = HV_EXIT_KICKED;
		return 0;
	}
	if (faults_at_once(v, exit))
		return 0;
	learn(pv, !fits(v, p));
	if (!fits(v, p)) {
		pe_fpu_collect(pv);
		if (p)
			pe_store(p->ctl, CTL_YIELDS, 0); /* it need not look for us any more */
		rc = pe_cache_activate(pv);
		if (rc)
			return rc;
		p = pv->current;
	}
	if (!p->is_user && !hv_mfn_same(p->window, v->info_mfn)) {
		pthread_mutex_lock(&pv->pd->lock);
		pe_map_window(p);
		pthread_mutex_unlock(&pv->pd->lock);
	}
	partner = pe_pair_up(pv, p);
	pe_place_proc(pv, p);
	if (partner)
		pe_place_proc(pv, partner);
	enter(pv, p, partner);
	p = pe_wait(pv, p, partner);
	pe_place_leave(pv);
	if (!p) {
		exit->kind = HV_EXIT_DEAD;
		exit->why = pv->why;
		exit->from_user_root = pv->died->is_user;
		v->in_kernel = !pv->died->is_user;
		pe_cache_bury(pv, pv->died);
		return 0;
	}
	/* The partner may have died meanwhile. */
	take_exit(pv, p, p == pv->current ? pv->partner : pv->current, exit);
	return 0;
}
