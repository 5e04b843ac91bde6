/* SPDX-License-Identifier: MIT */
/*
 * Entering the guest's kernel and leaving it: trap table and callbacks, the frames that an
 * exception, an event or a system call leaves on the kernel's stack, iret, and the small hypercalls
 * on a vCPU's own state.
 *
 * Invariant: every entry is made by enter_kernel(), which writes the whole frame or ends the domain,
 * and changes registers only when the frame is written. All of this is done by the vCPU's own thread
 * while the vCPU does not run.
 *
 * Layout of a frame: struct pv_bounce_frame in abi/arch_x86_64.h.
 */
#include <stddef.h>
#include <string.h>

#include "abi/callback.h"
#include "abi/errno.h"
#include "abi/nmi.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/core/x86/x86emu.h"

#define VECTORS_WITH_ERROR                                                           \
	(1u << 8 | 1u << X86_VECTOR_TS | 1u << X86_VECTOR_NP | 1u << X86_VECTOR_SS | \
	 1u << X86_VECTOR_GP | 1u << X86_VECTOR_PF | 1u << X86_VECTOR_AC)

#define PF_USER                4u /* bit of #PF's error code */

#define CR0_TS                 (UINT64_C(1) << 3)
#define CR4_DE                 (UINT64_C(1) << 3)

#define DR6_ONES               UINT64_C(0xffff0ff0)
#define DR6_ZEROES             UINT64_C(0x00001000)
#define DR7_ONES               UINT64_C(0x00000400)
#define DR7_ZEROES             UINT64_C(0x0000d800)
#define DR7_GENERAL_DETECT     UINT64_C(0x00002000)
#define DR7_ENABLED            UINT64_C(0x000000ff)
#define DR_TYPE_IO             2u

#define FLAGS_CLEARED_ON_ENTRY (X86_FLAG_AC | X86_FLAG_VM | X86_FLAG_RF | X86_FLAG_NT | X86_FLAG_TF)

void hv_traps_vcpu_init(struct hv_vcpu *v)
{
	v->traps.dr[6] = DR6_ONES;
	v->traps.dr[7] = DR7_ONES;
}

/* ---- frames --------------------------------------------------------------------------------- */

struct entry {
	const char *what; /* for the report of a crash */
	uint64_t rip;
	bool masks_events;
	bool has_error;
	uint32_t error;
	bool is_failsafe; /* the segment selectors are in the frame as well */
};

static bool architectural_iopl(const struct hv_domain *d)
{
	return d->vm_assist & 1u << VMASST_TYPE_architectural_iopl;
}

/* rflags as the guest is to see them: IF is the event mask's inverse, IOPL the virtual one. */
static uint64_t flags_shown(const struct hv_vcpu *v, uint8_t mask)
{
	uint64_t flags = (uint32_t)v->regs.rflags & ~(X86_FLAG_IF | X86_FLAG_IOPL);

	if (!mask)
		flags |= X86_FLAG_IF;
	if (architectural_iopl(v->domain))
		flags |= (uint64_t)v->traps.iopl << 12;
	return flags;
}

/* The frame's words, lowest address first. Returns how many. */
static unsigned build_frame(const struct hv_vcpu *v, const struct entry *e, uint8_t mask,
                            uint64_t frame[12])
{
	const struct hv_regs *r = &v->regs;
	uint16_t cs = v->in_kernel ? r->cs & ~3u : r->cs;
	unsigned n = 0;

	frame[n++] = r->rcx;
	frame[n++] = r->r11;
	if (e->is_failsafe) {
		frame[n++] = r->ds;
		frame[n++] = r->es;
		frame[n++] = r->fs;
		frame[n++] = r->gs;
	}
	if (e->has_error)
		frame[n++] = e->error;
	frame[n++] = r->rip;
	frame[n++] = cs | (uint64_t)mask << PV_BOUNCE_CS_MASK_SHIFT;
	frame[n++] = flags_shown(v, mask);
	frame[n++] = r->rsp;
	frame[n++] = r->ss;
	return n;
}

/*
 * Writes the frame below `top` under the kernel's root. False when it is not writable, or would touch
 * the hypervisor's part of the address space.
 */
static bool push_frame(struct hv_vcpu *v, uint64_t top, const uint64_t *frame, size_t size,
                       uint64_t *sp)
{
	bool was_in_kernel = v->in_kernel;
	int rc;

	*sp = (top & ~UINT64_C(15)) - size;
	if (*sp > UINT64_MAX - size ||
	    (*sp + size > HYPERVISOR_VIRT_START && *sp < HYPERVISOR_VIRT_END))
		return false;
	v->in_kernel = true;
	rc = hv_guest_write(v, *sp, frame, size);
	v->in_kernel = was_in_kernel;
	return rc == 0;
}

/* The guest's kernel runs next, at e->rip, with a frame that says where it was. */
static void enter_kernel(struct hv_vcpu *v, const struct entry *e)
{
	struct vcpu_info *info = v->info;
	uint8_t mask = __atomic_load_n(&info->evtchn_upcall_mask, __ATOMIC_RELAXED);
	uint64_t top = v->in_kernel ? v->regs.rsp : v->traps.kernel_sp;
	uint64_t frame[12], sp;
	unsigned n;

	if (!e->rip) {
		hv_domain_crash(v->domain, v, "%s, and the guest has no handler for it", e->what);
		return;
	}
	n = build_frame(v, e, mask, frame);
	if (!push_frame(v, top, frame, n * sizeof(frame[0]), &sp)) {
		hv_domain_crash(
			v->domain, v,
			"%s, and its frame cannot be written to the guest's kernel stack at %#llx",
			e->what, (unsigned long long)top);
		return;
	}
	if (e->masks_events)
		__atomic_store_n(&info->evtchn_upcall_mask, mask | 1, __ATOMIC_SEQ_CST);
	v->in_kernel = true;
	v->regs.rflags &= ~(uint64_t)FLAGS_CLEARED_ON_ENTRY;
	v->regs.ss = FLAT_KERNEL_SS;
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.rsp = sp;
	v->regs.rip = e->rip;
}

static const char *vector_name(uint8_t vector)
{
	static const char *const name[] = {
		"a divide error (#DE)",
		"a debug exception (#DB)",
		"an NMI",
		"a breakpoint (#BP)",
		"an overflow (#OF)",
		"a bound-range exception (#BR)",
		"an undefined instruction (#UD)",
		"a device-not-available exception (#NM)",
		"a double fault (#DF)",
		"a coprocessor overrun",
		"an invalid task state (#TS)",
		"a segment not present (#NP)",
		"a stack fault (#SS)",
		"a general protection fault (#GP)",
		"a page fault (#PF)",
		"a reserved exception",
		"a floating-point error (#MF)",
		"an alignment check (#AC)",
		"a machine check (#MC)",
		"a SIMD exception (#XM)",
	};

	return vector < sizeof(name) / sizeof(name[0]) ? name[vector] : "an exception";
}

void hv_traps_exception(struct hv_vcpu *v, uint8_t vector, uint32_t error_code, uint64_t cr2)
{
	const struct trap_info *ti = &v->traps.trap[vector];
	struct entry e = { .what = vector_name(vector),
		           .rip = ti->address,
		           .masks_events = TI_GET_IF(ti) != 0 };

	HV_ASSERT(vector < 32);
	e.has_error = VECTORS_WITH_ERROR >> vector & 1;
	e.error = error_code;
	if (vector == X86_VECTOR_PF) {
		v->traps.cr2 = cr2;
		v->info->arch.cr2 = cr2;
		/* Ring 3 is both of the guest's rings: the bit says which one it was. */
		e.error = v->in_kernel ? error_code & ~PF_USER : error_code | PF_USER;
	}
	enter_kernel(v, &e);
}

void hv_traps_softint(struct hv_vcpu *v, uint8_t vector)
{
	const struct trap_info *ti = &v->traps.trap[vector];
	const struct entry e = { .what = "a software interrupt",
		                 .rip = ti->address,
		                 .masks_events = TI_GET_IF(ti) != 0 };

	enter_kernel(v, &e);
}

void hv_traps_guest_syscall(struct hv_vcpu *v)
{
	const struct hv_callback *cb = &v->traps.syscall;
	struct entry e = { .what = "a system call" };

	if (v->regs.cs == FLAT_USER_CS32 && v->traps.syscall32.va)
		cb = &v->traps.syscall32;
	e.rip = cb->va;
	e.masks_events = cb->masks_events;
	enter_kernel(v, &e);
	v->regs.rflags &= ~(uint64_t)X86_FLAG_DF;
}

void hv_traps_failsafe(struct hv_vcpu *v)
{
	const struct entry e = { .what = "a state that cannot be loaded",
		                 .rip = v->traps.failsafe.va,
		                 .masks_events = v->traps.failsafe.masks_events,
		                 .is_failsafe = true };

	enter_kernel(v, &e);
}

static bool nmi_is_due(struct hv_vcpu *v)
{
	if (!atomic_load_explicit(&v->traps.nmi_pending, memory_order_relaxed) || v->traps.in_nmi)
		return false;
	atomic_store(&v->traps.nmi_pending, false);
	return v->traps.trap[HV_VECTOR_NMI].address != 0; /* without a handler it is dropped */
}

bool hv_traps_event(struct hv_vcpu *v)
{
	struct vcpu_info *info = v->info;
	const struct entry e = { .what = "an event",
		                 .rip = v->traps.event.va,
		                 .masks_events = true };

	if (nmi_is_due(v)) {
		v->traps.in_nmi = true;
		hv_traps_exception(v, HV_VECTOR_NMI, 0, 0);
		return true;
	}
	if (!__atomic_load_n(&info->evtchn_upcall_pending, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&info->evtchn_upcall_mask, __ATOMIC_SEQ_CST))
		return false;
	enter_kernel(v, &e);
	return !atomic_load(&v->domain->ending);
}

/* ---- iret ----------------------------------------------------------------------------------- */

int64_t hv_do_iret(struct hv_vcpu *v, const uint64_t *a)
{
	struct hv_regs *r = &v->regs;
	struct iret_context c;
	bool to_user;

	(void)a;
	if (hv_guest_read(v, &c, r->rsp, sizeof(c))) {
		hv_domain_crash(v->domain, v, "iret: its frame at %#llx cannot be read",
		                (unsigned long long)r->rsp);
		return 0;
	}
	to_user = (c.cs & 3) == 3;
	if (to_user && hv_mfn_is_none(v->root_user)) {
		hv_domain_crash(v->domain, v, "iret to user mode without a user page-table root");
		return 0;
	}
	if (architectural_iopl(v->domain))
		v->traps.iopl = c.rflags >> 12 & 3;
	v->in_kernel = !to_user;
	r->rip = c.rip;
	r->cs = (uint16_t)c.cs | 3;
	r->rflags = (c.rflags & ~(uint64_t)(X86_FLAG_IOPL | X86_FLAG_VM)) | X86_FLAG_IF |
	            X86_FLAG_ONE;
	r->rsp = c.rsp;
	r->ss = (uint16_t)c.ss | 3;
	r->rax = c.rax;
	if (!(c.flags & VGCF_in_syscall)) {
		r->r11 = c.r11;
		r->rcx = c.rcx;
	} else {
		/* Left as sysret leaves it. */
		r->r11 = r->rflags;
		r->rcx = r->rip;
	}
	/* Whoever sends an event now looks at the mask after its bits: pairs with mark_upcall(). */
	__atomic_store_n(&v->info->evtchn_upcall_mask, !(c.rflags & X86_FLAG_IF), __ATOMIC_SEQ_CST);
	v->traps.in_nmi = false;
	if (!hv_is_canonical(r->rip))
		hv_traps_failsafe(v);
	return (int64_t)r->rax;
}

/* ---- registering handlers ------------------------------------------------------------------- */

/* A selector that the guest names for its kernel runs at ring 3 here. */
static uint16_t ring3(uint16_t selector)
{
	return selector | 3;
}

static int register_nmi(struct hv_vcpu *v, uint64_t va)
{
	struct trap_info *ti = &v->traps.trap[HV_VECTOR_NMI];

	if (!hv_is_canonical(va))
		return -XEN_EINVAL;
	*ti = (struct trap_info){ .vector = HV_VECTOR_NMI, .cs = FLAT_KERNEL_CS, .address = va };
	TI_SET_IF(ti, 1);
	return 0;
}

static void unregister_nmi(struct hv_vcpu *v)
{
	v->traps.trap[HV_VECTOR_NMI] = (struct trap_info){ 0 };
}

static int register_callback(struct hv_vcpu *v, const struct callback_register *reg)
{
	struct hv_callback cb = { reg->address, reg->flags & CALLBACKF_mask_events };

	if (!hv_is_canonical(reg->address))
		return -XEN_EINVAL;
	switch (reg->type) {
	case CALLBACKTYPE_event:
		v->traps.event = cb;
		return 0;
	case CALLBACKTYPE_failsafe:
		v->traps.failsafe = cb;
		return 0;
	case CALLBACKTYPE_syscall:
		v->traps.syscall = cb;
		return 0;
	case CALLBACKTYPE_syscall32:
		v->traps.syscall32 = cb;
		return 0;
	case CALLBACKTYPE_sysenter:
		v->traps.sysenter = cb;
		return 0;
	case CALLBACKTYPE_nmi:
		return register_nmi(v, reg->address);
	default:
		return -XEN_ENOSYS;
	}
}

static int unregister_callback(struct hv_vcpu *v, uint16_t type)
{
	switch (type) {
	case CALLBACKTYPE_event:
	case CALLBACKTYPE_failsafe:
	case CALLBACKTYPE_syscall:
	case CALLBACKTYPE_syscall32:
	case CALLBACKTYPE_sysenter:
		return -XEN_EINVAL;
	case CALLBACKTYPE_nmi:
		unregister_nmi(v);
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

int64_t hv_do_callback_op(struct hv_vcpu *v, const uint64_t *a)
{
	struct callback_register reg;
	struct callback_unregister unreg;

	switch ((uint32_t)a[0]) {
	case CALLBACKOP_register:
		if (hv_guest_read(v, &reg, a[1], sizeof(reg)))
			return -XEN_EFAULT;
		return register_callback(v, &reg);
	case CALLBACKOP_unregister:
		if (hv_guest_read(v, &unreg, a[1], sizeof(unreg)))
			return -XEN_EFAULT;
		return unregister_callback(v, unreg.type);
	default:
		return -XEN_ENOSYS;
	}
}

int64_t hv_do_set_callbacks(struct hv_vcpu *v, const uint64_t *a)
{
	static const uint16_t type[] = { CALLBACKTYPE_event, CALLBACKTYPE_failsafe,
		                         CALLBACKTYPE_syscall };

	/* An address that is refused leaves the old one; the call says 0 all the same, as in Xen. */
	for (unsigned i = 0; i < 3; i++)
		register_callback(v,
		                  &(struct callback_register){ .type = type[i], .address = a[i] });
	return 0;
}

int64_t hv_do_nmi_op(struct hv_vcpu *v, const uint64_t *a)
{
	struct xennmi_callback cb;

	switch ((uint32_t)a[0]) {
	case XENNMI_register_callback:
		if (hv_guest_read(v, &cb, a[1], sizeof(cb)))
			return -XEN_EFAULT;
		return register_nmi(v, cb.handler_address);
	case XENNMI_unregister_callback:
		unregister_nmi(v);
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

int64_t hv_do_set_trap_table(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t va = a[0];
	struct trap_info ti;

	if (!va) {
		memset(v->traps.trap, 0, sizeof(v->traps.trap));
		return 0;
	}
	/* The table ends where the guest says; one that never ends must not outlive its domain. */
	while (!atomic_load(&v->domain->ending)) {
		if (hv_guest_read(v, &ti, va, sizeof(ti)))
			return -XEN_EFAULT;
		if (!ti.address)
			return 0;
		if (!hv_is_canonical(ti.address))
			return -XEN_EINVAL;
		ti.cs = ring3(ti.cs);
		v->traps.trap[ti.vector] = ti;
		va += sizeof(ti);
	}
	return 0;
}

/* ---- the vCPU's own registers --------------------------------------------------------------- */

int64_t hv_do_stack_switch(struct hv_vcpu *v, const uint64_t *a)
{
	v->traps.kernel_ss = ring3((uint16_t)a[0]);
	v->traps.kernel_sp = a[1];
	return 0;
}

/* The base that loading a data selector into gs gives; 0 for one that is not loadable. */
static uint64_t selector_base(struct hv_vcpu *v, uint16_t selector)
{
	const uint64_t present = UINT64_C(1) << 47, segment = UINT64_C(1) << 44;
	uint64_t desc = 0;
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_descriptor_read(v, selector, &desc);
	hv_domain_unlock(v->domain);
	if (rc || selector < 4 || !(desc & present) || !(desc & segment))
		return 0;
	return (desc >> 16 & 0xffffff) | (desc >> 32 & 0xff000000);
}

int64_t hv_do_set_segment_base(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t base = a[1];

	switch ((uint32_t)a[0]) {
	case SEGBASE_FS:
	case SEGBASE_GS_USER:
	case SEGBASE_GS_KERNEL:
		if (!hv_is_canonical(base))
			return -XEN_EINVAL;
		if ((uint32_t)a[0] == SEGBASE_FS)
			v->regs.fs_base = base;
		else if ((uint32_t)a[0] == SEGBASE_GS_USER)
			v->regs.gs_base_user = base;
		else
			v->regs.gs_base_kernel = base;
		return 0;
	case SEGBASE_GS_USER_SEL:
		v->regs.gs_base_user = selector_base(v, (uint16_t)base);
		return 0;
	default:
		return -XEN_EINVAL;
	}
}

int64_t hv_do_fpu_taskswitch(struct hv_vcpu *v, const uint64_t *a)
{
	if ((uint32_t)a[0])
		v->traps.cr0 |= CR0_TS;
	else
		v->traps.cr0 &= ~CR0_TS;
	return 0;
}

/* ---- debug registers: kept and checked, but nothing here can make them fire ------------------ */

static bool breakpoint_address_ok(uint64_t va)
{
	return va < UINT64_C(1) << 47 || va >= HYPERVISOR_VIRT_END;
}

static int set_dr7(struct hv_vcpu *v, uint64_t value)
{
	if (value >> 32)
		return -XEN_EINVAL;
	value = (value | DR7_ONES) & ~DR7_ZEROES;
	if (value & DR7_GENERAL_DETECT)
		return -XEN_EPERM;
	if (value & DR7_ENABLED)
		for (unsigned i = 16; i < 32; i += 4)
			if ((value >> i & 3) == DR_TYPE_IO && !(v->traps.cr4 & CR4_DE))
				return -XEN_EPERM;
	v->traps.dr[7] = value;
	return 0;
}

int hv_traps_set_dr(struct hv_vcpu *v, unsigned reg, uint64_t value)
{
	if ((reg == 4 || reg == 5) && v->traps.cr4 & CR4_DE)
		return -XEN_ENODEV;
	switch (reg) {
	case 0:
	case 1:
	case 2:
	case 3:
		if (!breakpoint_address_ok(value))
			return -XEN_EPERM;
		v->traps.dr[reg] = value;
		return 0;
	case 4:
	case 6:
		if (value >> 32)
			return -XEN_EINVAL;
		v->traps.dr[6] = (value | DR6_ONES) & ~DR6_ZEROES;
		return 0;
	case 5:
	case 7:
		return set_dr7(v, value);
	default:
		return -XEN_ENODEV;
	}
}

int hv_traps_get_dr(const struct hv_vcpu *v, unsigned reg, uint64_t *value)
{
	if (reg > 7 || ((reg == 4 || reg == 5) && v->traps.cr4 & CR4_DE))
		return -XEN_ENODEV;
	*value = v->traps.dr[reg == 4 || reg == 5 ? reg + 2 : reg];
	return 0;
}

int64_t hv_do_set_debugreg(struct hv_vcpu *v, const uint64_t *a)
{
	return hv_traps_set_dr(v, (uint32_t)a[0], a[1]);
}

int64_t hv_do_get_debugreg(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t value;
	int rc = hv_traps_get_dr(v, (uint32_t)a[0], &value);

	return rc ? rc : (int64_t)value;
}
