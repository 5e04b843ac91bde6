/* SPDX-License-Identifier: MIT */
/*
 * vcpu_op: a domain brings its vCPUs up and down, and says where their areas lie.
 *
 * Invariant: what belongs to a vCPU's own thread (registers, timers, clock) is set from elsewhere
 * only before that vCPU has run; later the vCPU is told to look around and does it itself.
 */
#include <errno.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"

#define PERIOD_MIN_NS 1000000
#define PERIOD_MAX_NS (UINT64_MAX >> 2)

/* ---- the first state of a vCPU -------------------------------------------------------------- */

/* An address outside the hypervisor's part of the address space. */
static bool address_ok(uint64_t va)
{
	return va < UINT64_C(1) << 47 || va >= HYPERVISOR_VIRT_END;
}

static bool context_is_valid(const struct vcpu_guest_context *c)
{
	const uint64_t address[] = { c->user_regs.rip,
		                     c->user_regs.rsp,
		                     c->kernel_sp,
		                     c->event_callback_eip,
		                     c->failsafe_callback_eip,
		                     c->syscall_callback_eip,
		                     c->fs_base,
		                     c->gs_base_kernel,
		                     c->gs_base_user };

	for (unsigned i = 0; i < sizeof(address) / sizeof(address[0]); i++)
		if (!hv_is_canonical(address[i]))
			return false;
	for (unsigned i = 0; i < 256; i++)
		if (!hv_is_canonical(c->trap_ctxt[i].address))
			return false;
	if (!(c->flags & VGCF_in_kernel) && !c->ctrlreg[1])
		return false;
	return address_ok(c->ldt_base) && c->ldt_ents <= 8192;
}

static void set_registers(struct hv_vcpu *v, const struct vcpu_guest_context *c)
{
	const struct cpu_user_regs *u = &c->user_regs;

	v->regs = (struct hv_regs){
		.r15 = u->r15,
		.r14 = u->r14,
		.r13 = u->r13,
		.r12 = u->r12,
		.rbp = u->rbp,
		.rbx = u->rbx,
		.r11 = u->r11,
		.r10 = u->r10,
		.r9 = u->r9,
		.r8 = u->r8,
		.rax = u->rax,
		.rcx = u->rcx,
		.rdx = u->rdx,
		.rsi = u->rsi,
		.rdi = u->rdi,
		.rip = u->rip,
		.rsp = u->rsp,
		.cs = u->cs | 3,
		.ss = u->ss | 3,
		.ds = u->ds,
		.es = u->es,
		.fs = u->fs,
		.gs = u->gs,
		.rflags = (u->rflags & ~(uint64_t)X86_FLAG_IOPL) | X86_FLAG_IF | X86_FLAG_ONE,
		.fs_base = c->fs_base,
		.gs_base_kernel = c->gs_base_kernel,
		.gs_base_user = c->gs_base_user,
	};
	v->in_kernel = c->flags & VGCF_in_kernel;
	v->traps.iopl = u->rflags >> 12 & 3;
}

static void set_handlers(struct hv_vcpu *v, const struct vcpu_guest_context *c)
{
	struct hv_vcpu_traps *t = &v->traps;

	for (unsigned i = 0; i < 256; i++) {
		t->trap[i] = c->trap_ctxt[i];
		t->trap[i].cs |= 3;
	}
	t->event = (struct hv_callback){ c->event_callback_eip, false };
	t->failsafe = (struct hv_callback){ c->failsafe_callback_eip,
		                            c->flags & VGCF_failsafe_disables_events };
	t->syscall = (struct hv_callback){ c->syscall_callback_eip,
		                           c->flags & VGCF_syscall_disables_events };
	t->kernel_ss = (uint16_t)c->kernel_ss | 3;
	t->kernel_sp = c->kernel_sp;
	t->ldt_base = c->ldt_base;
	t->ldt_entries = (unsigned)c->ldt_ents;
	t->cr0 = c->ctrlreg[0];
	t->cr2 = c->ctrlreg[2];
	t->cr4 = hv_traps_guest_cr4(v, c->ctrlreg[4]);
	for (unsigned i = 0; i < 8; i++)
		hv_traps_set_dr(v, i, c->debugreg[i]);
}

/* Page-table roots and GDT: what takes references and can be refused. Lock: domain. */
static int set_tables(struct hv_vcpu *v, const struct vcpu_guest_context *c)
{
	int rc = hv_gdt_set(v, c->gdt_frames, (unsigned)c->gdt_ents);

	if (rc)
		return rc;
	rc = hv_vcpu_set_root(v, (mfn_t){ xen_cr3_to_pfn(c->ctrlreg[3]) });
	if (!rc && c->ctrlreg[1])
		rc = hv_vcpu_set_user_root(v, (mfn_t){ xen_cr3_to_pfn(c->ctrlreg[1]) });
	return rc;
}

int hv_vcpu_set_context(struct hv_vcpu *v, const struct vcpu_guest_context *c)
{
	const struct hv_engine *engine = v->domain->machine->engine;
	int rc;

	if (v->is_initialised)
		return -XEN_EEXIST;
	if (!context_is_valid(c) || c->gdt_ents > FIRST_RESERVED_GDT_ENTRY)
		return -XEN_EINVAL;
	rc = set_tables(v, c);
	if (rc)
		return rc;
	set_registers(v, c);
	set_handlers(v, c);
	if (c->flags & VGCF_I387_VALID)
		engine->vcpu_set_fpu(v, (const uint8_t *)c->fpu_ctxt.x);
	else
		engine->vcpu_reset_fpu(v);
	if (v->id == 0)
		v->domain->vm_assist = c->vm_assist;
	v->is_initialised = true;
	return c->flags & VGCF_online ? hv_vcpu_bring_up(v) : 0;
}

static int64_t op_initialise(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_guest_context c;
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_copy_from_guest(caller, &c, va, sizeof(c)) ? -XEN_EFAULT
	                                                   : hv_vcpu_set_context(v, &c);
	hv_domain_unlock(v->domain);
	return rc;
}

/* ---- up and down ---------------------------------------------------------------------------- */

static int start_thread(struct hv_vcpu *v)
{
	struct hv_domain *d = v->domain;

	atomic_fetch_add(&d->live_threads, 1);
	atomic_store(&d->was_started, true);
	if (pthread_create(&v->thread, NULL, hv_vcpu_main, v)) {
		atomic_fetch_sub(&d->live_threads, 1);
		return -XEN_ENOMEM;
	}
	v->has_thread = true;
	return 0;
}

int hv_vcpu_bring_up(struct hv_vcpu *v)
{
	int rc = 0;

	if ((v->has_thread && atomic_load(&v->is_up)) || atomic_load(&v->domain->ending))
		return 0;
	atomic_store(&v->sched.woken_ns, hv_time_now(v->domain->machine));
	atomic_store(&v->is_up, true);
	if (v->has_thread)
		hv_vcpu_poke(v);
	else
		rc = start_thread(v);
	if (rc)
		atomic_store(&v->is_up, false);
	return rc;
}

static int64_t op_up(struct hv_vcpu *v)
{
	int rc;

	hv_domain_lock(v->domain);
	rc = v->is_initialised ? hv_vcpu_bring_up(v) : -XEN_EINVAL;
	hv_domain_unlock(v->domain);
	return rc;
}

static int64_t op_down(struct hv_vcpu *caller, struct hv_vcpu *v)
{
	struct hv_domain *d = v->domain;
	bool others = false;

	hv_domain_lock(d);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->vcpu[i] != v && atomic_load(&d->vcpu[i]->is_up))
			others = true;
	if (others)
		atomic_store(&v->is_up, false);
	hv_domain_unlock(d);
	if (!others)
		hv_domain_end(d, caller, SHUTDOWN_poweroff, NULL); /* nobody would ever run again */
	else if (v != caller)
		hv_vcpu_poke(v);
	return 0;
}

static int64_t op_send_nmi(struct hv_vcpu *v, uint64_t va)
{
	if (va)
		return -XEN_EINVAL;
	if (!atomic_exchange(&v->traps.nmi_pending, true)) {
		atomic_store(&v->sched.blocked, false);
		hv_vcpu_poke(v);
	}
	return 0;
}

/* ---- timers --------------------------------------------------------------------------------- */

static int64_t set_period(struct hv_vcpu *v, uint64_t period_ns)
{
	atomic_store(&v->time.periodic_ns, period_ns);
	hv_vcpu_poke(v);
	return 0;
}

static int64_t op_set_periodic_timer(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_set_periodic_timer set;

	if (hv_guest_read(caller, &set, va, sizeof(set)))
		return -XEN_EFAULT;
	if (set.period_ns < PERIOD_MIN_NS || set.period_ns > PERIOD_MAX_NS)
		return -XEN_EINVAL;
	return set_period(v, set.period_ns);
}

static int64_t op_set_singleshot_timer(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_set_singleshot_timer set;

	if (v != caller)
		return -XEN_EINVAL;
	if (hv_guest_read(v, &set, va, sizeof(set)))
		return -XEN_EFAULT;
	/* VCPU_SSHOTTMR_future is ignored, as Xen does since 4.17: a time that has passed fires. */
	/* Signed, as all of Xen's times: one from the upper half is past. */
	v->time.singleshot_ns = set.timeout_abs_ns >> 63 ? 0 : set.timeout_abs_ns;
	v->time.dirty = true;
	return 0;
}

static int64_t op_stop_singleshot_timer(struct hv_vcpu *caller, struct hv_vcpu *v)
{
	if (v != caller)
		return -XEN_EINVAL;
	v->time.singleshot_ns = HV_TIME_NEVER;
	v->time.dirty = true;
	return 0;
}

/* ---- areas ---------------------------------------------------------------------------------- */

static int64_t op_register_vcpu_info(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_register_vcpu_info info;
	int rc;

	hv_domain_lock(v->domain);
	if (hv_copy_from_guest(caller, &info, va, sizeof(info)))
		rc = -XEN_EFAULT;
	else if (hv_evtchn_info_fits(info.offset) && v != caller && atomic_load(&v->is_up))
		rc = -XEN_EINVAL; /* only a vCPU itself, or while it is down; Xen looks at the place first */
	else
		rc = hv_evtchn_move_vcpu_info(v, (mfn_t){ info.mfn }, info.offset);
	hv_domain_unlock(v->domain);
	return rc;
}

static int64_t op_get_runstate_info(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_runstate_info r;

	hv_sched_runstate_get(v, &r);
	return hv_guest_write(caller, va, &r, sizeof(r)) ? -XEN_EFAULT : 0;
}

static int64_t op_register_runstate_area(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_register_runstate_memory_area area;
	struct vcpu_runstate_info r;

	if (hv_guest_read(caller, &area, va, sizeof(area)) || !address_ok(area.addr.p))
		return -XEN_EFAULT;
	hv_sched_runstate_get(v, &r);
	hv_domain_lock(v->domain);
	v->sched.runstate_area_va = area.addr.p;
	if (area.addr.p) /* that it cannot be written yet is no error */
		(void)hv_copy_to_guest(caller, area.addr.p, &r, sizeof(r));
	hv_domain_unlock(v->domain);
	return 0;
}

static int64_t op_register_time_area(struct hv_vcpu *caller, struct hv_vcpu *v, uint64_t va)
{
	struct vcpu_register_time_memory_area area;

	if (hv_guest_read(caller, &area, va, sizeof(area)) || !address_ok(area.addr.p))
		return -XEN_EFAULT;
	hv_domain_lock(v->domain);
	v->time.area_va = area.addr.p;
	hv_domain_unlock(v->domain);
	if (v == caller)
		hv_time_update_vcpu(v);
	else
		atomic_store(&v->time.area_is_new, true);
	hv_vcpu_poke(v);
	return 0;
}

/* ---- dispatch ------------------------------------------------------------------------------- */

int64_t hv_do_vcpu_op(struct hv_vcpu *caller, const uint64_t *a)
{
	uint32_t id = (uint32_t)a[1];
	uint64_t va = a[2];
	struct hv_vcpu *v;

	if (id >= caller->domain->nr_vcpus)
		return -XEN_ENOENT;
	v = caller->domain->vcpu[id];
	switch ((uint32_t)a[0]) {
	case VCPUOP_initialise:
		return op_initialise(caller, v, va);
	case VCPUOP_up:
		return op_up(v);
	case VCPUOP_down:
		return op_down(caller, v);
	case VCPUOP_is_up:
		return atomic_load(&v->is_up);
	case VCPUOP_get_runstate_info:
		return op_get_runstate_info(caller, v, va);
	case VCPUOP_register_runstate_memory_area:
		return op_register_runstate_area(caller, v, va);
	case VCPUOP_set_periodic_timer:
		return op_set_periodic_timer(caller, v, va);
	case VCPUOP_stop_periodic_timer:
		return set_period(v, 0);
	case VCPUOP_set_singleshot_timer:
		return op_set_singleshot_timer(caller, v, va);
	case VCPUOP_stop_singleshot_timer:
		return op_stop_singleshot_timer(caller, v);
	case VCPUOP_register_vcpu_info:
		return op_register_vcpu_info(caller, v, va);
	case VCPUOP_send_nmi:
		return op_send_nmi(v, va);
	case VCPUOP_get_physid:
		return -XEN_EINVAL; /* for pinned vCPUs of a privileged domain */
	case VCPUOP_register_vcpu_time_memory_area:
		return op_register_time_area(caller, v, va);
	default:
		return -XEN_ENOSYS;
	}
}
