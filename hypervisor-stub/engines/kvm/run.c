/* SPDX-License-Identifier: MIT */
/*
 * vcpu_run(): a vCPU's registers into KVM's processor, and what stopped it back out.
 *
 * The guest is entered at ring 3 directly, by registers in the run page. It is left
 *   - by an exception: a gate, a stub of the shim, its OUT; the frame is in the shim's stack,
 *   - by `syscall`: the shim's entry, its OUT; or, where KVM enters at ring 3 and so faults on the
 *     supervisor's page, by that page fault: both are one and the same event,
 *   - by a signal to this thread, which finds it at ring 3, or in a stub that it then finishes.
 *
 * How a kick is not lost:
 *   1. the vCPU's thread sets `inside`, clears immediate_exit, then looks at `kicked`;
 *   2. a kicker sets `kicked`, then looks at `inside` and signals the thread;
 *   3. the signal's handler sets immediate_exit, so KVM_RUN does not begin, or ends (kick.c).
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/engines/kvm/kvm.h"

#define FLAGS_OF_RING3                                                                           \
	(X86_FLAGS_ARITH | X86_FLAG_TF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_RF | X86_FLAG_AC | \
	 X86_FLAG_ID)

/* Vectors of exceptions with an error code. */
#define HAVE_CODE \
	(1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17 | 1u << 21)

#define DESC_LONG (UINT64_C(1) << 53)

enum { VECTOR_DB = 1, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_PF = 14 };

/* What the processor pushes. */
struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

static _Thread_local struct kv_vcpu *current;

struct kv_vcpu *kv_current(void)
{
	return current;
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static int enter_thread(struct kv_vcpu *kv)
{
	struct sigevent ev;

	if (kv->entered)
		timer_delete(kv->timer);
	kv->entered = false;
	current = kv;
	kv->thread = pthread_self();
	kv->tid = kv_kick_enter(kv->cpu.run);
	kv_kick_timer(&ev, kv->tid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &kv->timer))
		return -errno;
	kv->timer_ns = UINT64_MAX;
	kv->entered = true;
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void set_timer(struct kv_vcpu *kv, uint64_t at_ns)
{
	struct itimerspec it = { 0 };

	if (kv->timer_ns == at_ns)
		return;
	kv->timer_ns = at_ns;
	if (at_ns != UINT64_MAX) {
		it.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
		it.it_value.tv_nsec = (long)(at_ns % 1000000000u);
	}
	timer_settime(kv->timer, TIMER_ABSTIME, &it, NULL);
}

void kv_vcpu_kick(struct hv_vcpu *v)
{
	struct kv_vcpu *kv = v->engine_priv;

	atomic_store(&kv->kicked, true);
	if (atomic_load(&kv->inside))
		kv_kick(kv->tid);
}

/* ---- into the guest ------------------------------------------------------------------------------ */

static bool is_canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

/* Whether the code segment that the vCPU runs in is one of 32 bits. */
static bool is_32bit(struct hv_vcpu *v)
{
	uint16_t cs = v->regs.cs | 3;
	uint64_t desc = 0;
	int rc;

	if (cs >= 0xe000)
		return cs == KV_RING3_CS32;
	hv_domain_lock(v->domain);
	rc = hv_descriptor_read(v, cs, &desc);
	hv_domain_unlock(v->domain);
	return !rc && !(desc & DESC_LONG);
}

static uint64_t gs_base(const struct hv_vcpu *v)
{
	return v->in_kernel ? v->regs.gs_base_kernel : v->regs.gs_base_user;
}

static void put_gprs(const struct hv_regs *from, struct kvm_regs *to)
{
	to->rax = from->rax;
	to->rbx = from->rbx;
	to->rcx = from->rcx;
	to->rdx = from->rdx;
	to->rsi = from->rsi;
	to->rdi = from->rdi;
	to->rbp = from->rbp;
	to->rsp = from->rsp;
	to->r8 = from->r8;
	to->r9 = from->r9;
	to->r10 = from->r10;
	to->r11 = from->r11;
	to->r12 = from->r12;
	to->r13 = from->r13;
	to->r14 = from->r14;
	to->r15 = from->r15;
	to->rip = from->rip;
	to->rflags = (from->rflags & FLAGS_OF_RING3) | X86_FLAG_ONE | X86_FLAG_IF;
}

static void put_state(struct kv_vcpu *kv)
{
	struct hv_vcpu *v = kv->v;
	struct kvm_sregs *s = &kv->cpu.run->s.regs.sregs;

	put_gprs(&v->regs, &kv->cpu.run->s.regs.regs);
	kv_segments(s, v->regs.cs | 3, v->regs.ss | 3, is_32bit(v));
	s->fs.base = is_canonical(v->regs.fs_base) ? v->regs.fs_base : 0;
	s->gs.base = is_canonical(gs_base(v)) ? gs_base(v) : 0;
	s->cr3 = hv_vcpu_root(v).n << HV_PAGE_SHIFT;
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
	kv->cpu.run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

/* The guest's descriptor table, where the processor finds it. */
static void put_gdt(struct kv_vcpu *kv)
{
	const struct hv_vcpu *v = kv->v;

	for (unsigned i = 0; i < KV_GUEST_GDT_PAGES; i++) {
		mfn_t frame = i * 512 < v->traps.gdt_entries ? v->traps.gdt_frame[i] : HV_MFN_NONE;

		if (hv_mfn_same(frame, kv->gdt[i]))
			continue;
		kv->gdt[i] = frame;
		kv_touch_shim(kv, kv_shim_set_gdt(&kv->kd->vm, kv->cpu.index, i, frame));
	}
}

/* ---- out of the guest ---------------------------------------------------------------------------- */

static void exception(struct hv_exit *exit, uint8_t vector, uint32_t error_code, uint64_t cr2)
{
	exit->kind = HV_EXIT_EXCEPTION;
	exit->vector = vector;
	exit->error_code = error_code;
	exit->cr2 = cr2;
}

static int dead(struct hv_exit *exit, const char *why)
{
	exit->kind = HV_EXIT_DEAD;
	exit->why = why;
	return 0;
}

static void take_gprs(const struct kvm_regs *from, struct hv_regs *to)
{
	to->rax = from->rax;
	to->rbx = from->rbx;
	to->rcx = from->rcx;
	to->rdx = from->rdx;
	to->rsi = from->rsi;
	to->rdi = from->rdi;
	to->rbp = from->rbp;
	to->r8 = from->r8;
	to->r9 = from->r9;
	to->r10 = from->r10;
	to->r11 = from->r11;
	to->r12 = from->r12;
	to->r13 = from->r13;
	to->r14 = from->r14;
	to->r15 = from->r15;
}

static void take_bases(struct hv_vcpu *v, const struct kvm_sregs *s)
{
	v->regs.fs_base = s->fs.base;
	if (v->in_kernel)
		v->regs.gs_base_kernel = s->gs.base;
	else
		v->regs.gs_base_user = s->gs.base;
}

static void take_frame(struct hv_vcpu *v, const struct frame *f)
{
	v->regs.rip = f->rip;
	v->regs.rsp = f->rsp;
	v->regs.rflags = (f->rflags & FLAGS_OF_RING3) | X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.cs = (uint16_t)f->cs;
	v->regs.ss = (uint16_t)f->ss;
}

static void take_syscall(struct hv_vcpu *v, struct hv_exit *exit)
{
	kv_figure_add(v->engine_priv, v->in_kernel ? KV_HYPERCALL : KV_SYSCALL);
	exit->kind = HV_EXIT_SYSCALL;
	v->regs.rip = v->regs.rcx;
	v->regs.rflags = (v->regs.r11 & FLAGS_OF_RING3) | X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.r11 = v->regs.rflags;
}

/* The number of the `int n` at an address, or -1. */
static int int_number(struct hv_vcpu *v, uint64_t at)
{
	uint64_t fault_va;
	uint8_t code[2];
	uint32_t pfec;
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_access_guest(v, code, at, sizeof(code), false, true, &fault_va, &pfec);
	hv_domain_unlock(v->domain);
	return !rc && code[0] == 0xcd ? code[1] : -1;
}

/*
 * `int n` through a gate that ring 3 may not use is #GP(n * 8 + 2) on a processor. There are KVMs that
 * report #UD, and such that get the code wrong, or say an address behind the instruction.
 */
static void name_software_interrupt(struct hv_vcpu *v, struct hv_exit *exit)
{
	bool wrong_vector = exit->vector == VECTOR_UD;
	bool wrong_code = exit->vector == VECTOR_GP && (exit->error_code & 3) == 2;
	int nr = wrong_vector || wrong_code ? int_number(v, v->regs.rip) : -1;

	if (nr < 0 && wrong_code) {
		nr = int_number(v, v->regs.rip - 2);
		v->regs.rip -= nr < 0 ? 0 : 2;
	}
	if (nr >= 0)
		exception(exit, VECTOR_GP, (uint32_t)nr * 8 + 2, 0);
}

static int take_exception(struct kv_vcpu *kv, unsigned vector, struct hv_exit *exit)
{
	const struct kvm_regs *r = &kv->cpu.run->s.regs.regs;
	const struct kvm_sregs *s = &kv->cpu.run->s.regs.sregs;
	bool has_code = vector < 32 && (HAVE_CODE >> vector & 1);
	unsigned size = sizeof(struct frame) + (has_code ? 8 : 0);
	struct hv_vcpu *v = kv->v;
	uint64_t code = 0;
	struct frame f;

	memcpy(&f, kv->cpu.page + KV_STACK_TOP - sizeof(f), sizeof(f));
	if (has_code)
		memcpy(&code, kv->cpu.page + KV_STACK_TOP - size, sizeof(code));
	if (r->rsp != KV_CPU(kv->cpu.index) + KV_STACK_TOP - size || (f.cs & 3) != 3)
		return dead(exit, "an exception came from the engine's own ring");
	take_gprs(r, &v->regs);
	take_bases(v, s);
	if (vector == VECTOR_PF && f.rip == KV_ENTRY && s->cr2 == KV_ENTRY) {
		v->regs.rsp = f.rsp;
		take_syscall(v, exit);
		return 0;
	}
	take_frame(v, &f);
	kv_figure_add(kv, KV_EXCEPTION);
	exception(exit, (uint8_t)vector, (uint32_t)code, vector == VECTOR_PF ? s->cr2 : 0);
	name_software_interrupt(v, exit);
	return 0;
}

static int take_out(struct kv_vcpu *kv, struct hv_exit *exit)
{
	const struct kvm_regs *r = &kv->cpu.run->s.regs.regs;
	uint64_t rip = r->rip;

	if (rip - KV_STUBS < HV_PAGE_SIZE)
		return take_exception(kv, (unsigned)(rip - KV_STUBS) / 16, exit);
	if (rip - KV_ENTRY <= 2) {
		take_gprs(r, &kv->v->regs);
		kv->v->regs.rsp = r->rsp;
		take_bases(kv->v, &kv->cpu.run->s.regs.sregs);
		take_syscall(kv->v, exit);
		return 0;
	}
	return dead(exit, "the engine's own code stopped at an unknown place");
}

/* Ring 3, and nothing on its way to the guest: what the registers say is all there is. */
static bool is_at_rest(struct kv_vcpu *kv)
{
	struct kvm_vcpu_events ev;

	if ((kv->cpu.run->s.regs.sregs.cs.selector & 3) != 3)
		return false;
	memset(&ev, 0, sizeof(ev));
	return !ioctl(kv->cpu.fd, KVM_GET_VCPU_EVENTS, &ev) && !ev.exception.injected &&
	       !ev.exception.pending;
}

static void take_ring3(struct kv_vcpu *kv)
{
	const struct kvm_regs *r = &kv->cpu.run->s.regs.regs;
	const struct kvm_sregs *s = &kv->cpu.run->s.regs.sregs;
	const struct frame f = { r->rip, s->cs.selector, r->rflags, r->rsp, s->ss.selector };

	take_gprs(r, &kv->v->regs);
	take_bases(kv->v, s);
	take_frame(kv->v, &f);
}

/* KVM could not go on. At ring 3 it met an instruction that it does not know: the guest's fault. */
static int take_error(struct kv_vcpu *kv, struct hv_exit *exit)
{
	if ((kv->cpu.run->s.regs.sregs.cs.selector & 3) != 3)
		return dead(exit, "KVM failed inside of the engine's own code");
	take_ring3(kv);
	exception(exit, VECTOR_UD, 0, 0);
	return 0;
}

static int take_exit(struct kv_vcpu *kv, struct hv_exit *exit)
{
	const struct kvm_run *run = kv->cpu.run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.port == KV_PORT && run->io.direction == KVM_EXIT_IO_OUT)
			return take_out(kv, exit);
		return dead(exit, "it reached an I/O port");
	case KVM_EXIT_INTERNAL_ERROR:
		return take_error(kv, exit);
	case KVM_EXIT_SHUTDOWN:
		return dead(exit, "its virtual processor shut down");
	case KVM_EXIT_FAIL_ENTRY:
		return dead(exit, "KVM cannot enter it");
	case KVM_EXIT_MMIO:
		return dead(exit, "it reached an address that is no memory");
	default:
		return dead(exit, "KVM stopped it for an unknown reason");
	}
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* Whether it is time for hv_vcpu_tick(). */
static bool is_due(struct kv_vcpu *kv)
{
	uint64_t deadline = hv_vcpu_deadline(kv->v);

	set_timer(kv, deadline);
	return atomic_exchange(&kv->kicked, false) || now_ns() >= deadline;
}

static int run_inside(struct kv_vcpu *kv)
{
	struct kvm_run *run = kv->cpu.run;
	uint64_t seq = atomic_load(&kv->kd->seq);
	int rc;

	/* Whoever makes a change after this sees `inside` (cache.c). */
	if (kv->flush || (kv->kd->vm.coherence == KV_BY_FLUSH && kv->flushed != seq)) {
		kv->flush = false;
		atomic_store(&kv->flushed, seq);

		run->s.regs.sregs.cr4 ^= KV_CR4_FLIP;
		run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	}
	kv_figure_add(kv, KV_ENTERED);
	rc = ioctl(kv->cpu.fd, KVM_RUN, 0) ? -errno : 0;
	run->kvm_dirty_regs = 0;
	return rc;
}

int kv_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
	struct kv_vcpu *kv = v->engine_priv;
	bool finish = false; /* the shim is in the middle of something */
	int rc;

	memset(exit, 0, sizeof(*exit));
	if (!kv->entered || !pthread_equal(kv->thread, pthread_self())) {
		rc = enter_thread(kv);
		if (rc)
			return rc;
	}
	if (atomic_exchange(&kv->reset_fpu, false)) {
		rc = kv_cpu_reset_fpu(&kv->cpu, kv->has_fpu_image ? kv->fpu_image : NULL);
		if (rc)
			return rc;
	}
	if (!is_canonical(v->regs.rip)) {
		exception(exit, VECTOR_GP, 0, 0);
		return 0;
	}
	put_gdt(kv);
	put_state(kv);
	for (;;) {
		atomic_store(&kv->inside, true);
		__atomic_store_n(&kv->cpu.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (!finish && is_due(kv)) {
			atomic_store(&kv->inside, false);
			if (!hv_vcpu_tick(v))
				continue;
			kv_figure_add(kv, KV_KICKED);
			exit->kind = HV_EXIT_KICKED;
			return 0;
		}
		rc = run_inside(kv);
		atomic_store(&kv->inside, false);
		if (!rc)
			return take_exit(kv, exit);
		if (rc != -EINTR && rc != -EAGAIN)
			return rc;
		finish = !is_at_rest(kv);
		if (finish)
			continue;
		take_ring3(kv);
		/* Where KVM enters at ring 3, it may stop between a `syscall` and its fault. */
		if (v->regs.rip == KV_ENTRY) {
			take_syscall(v, exit);
			return 0;
		}
	}
}
