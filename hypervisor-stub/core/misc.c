/* SPDX-License-Identifier: MIT */
/*
 * Answers to calls about devices, hardware VMs, assists and control: what Xen says to a PV domain
 * that owns no hardware and no privilege.
 */
#include "abi/errno.h"
#include "abi/physdev.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/misc.h"

#define NR_PIRQS                  56 /* as evtchn.c has it */
#define MAX_IO_PORTS              65536
#define PHYSDEV_IRQ_UNMASK_NOTIFY 4  /* obsolete; Xen still takes it */
#define PHYSDEV_LAST              32 /* highest operation that Xen knows */

/* Assists that a 64-bit guest may name; some mean nothing to it and are taken all the same. */
#define VALID_ASSISTS                                     \
	(UINT64_C(1) << VMASST_TYPE_4gb_segments |        \
	 UINT64_C(1) << VMASST_TYPE_4gb_segments_notify | \
	 UINT64_C(1) << VMASST_TYPE_writable_pagetables | \
	 UINT64_C(1) << VMASST_TYPE_pae_extended_cr3 |    \
	 UINT64_C(1) << VMASST_TYPE_architectural_iopl |  \
	 UINT64_C(1) << VMASST_TYPE_runstate_update_flag | UINT64_C(1) << VMASST_TYPE_m2p_strict)

int64_t hv_do_vm_assist(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t type = (uint32_t)a[1];

	if (type >= 64 || !(VALID_ASSISTS >> type & 1))
		return -XEN_EINVAL;
	switch ((uint32_t)a[0]) {
	case VMASST_CMD_enable:
		v->domain->vm_assist |= UINT64_C(1) << type;
		return 0;
	case VMASST_CMD_disable:
		v->domain->vm_assist &= ~(UINT64_C(1) << type);
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

/* ---- devices -------------------------------------------------------------------------------- */

static int64_t irq_status_query(struct hv_vcpu *v, uint64_t va)
{
	struct physdev_irq_status_query q;

	if (hv_guest_read(v, &q, va, sizeof(q)))
		return -XEN_EFAULT;
	if (q.irq >= NR_PIRQS)
		return -XEN_EINVAL;
	/* An interrupt that is not bound: as far as it goes, an EOI would do no harm. */
	q.flags = XENIRQSTAT_needs_eoi;
	return hv_guest_write(v, va, &q, sizeof(q)) ? -XEN_EFAULT : 0;
}

static int64_t eoi(struct hv_vcpu *v, uint64_t va)
{
	struct physdev_eoi e;

	if (hv_guest_read(v, &e, va, sizeof(e)))
		return -XEN_EFAULT;
	return -XEN_EINVAL; /* no interrupt can be bound */
}

static int64_t set_iopl(struct hv_vcpu *v, uint64_t va)
{
	struct physdev_set_iopl s;

	if (hv_guest_read(v, &s, va, sizeof(s)))
		return -XEN_EFAULT;
	if (s.iopl > 3)
		return -XEN_EINVAL;
	v->traps.iopl = s.iopl;
	return 0;
}

static int64_t set_iobitmap(struct hv_vcpu *v, uint64_t va)
{
	struct physdev_set_iobitmap s;

	if (hv_guest_read(v, &s, va, sizeof(s)))
		return -XEN_EFAULT;
	if (s.nr_ports > MAX_IO_PORTS)
		return -XEN_EINVAL;
	v->traps.iobitmap_va = s.bitmap.va;
	v->traps.iobitmap_ports = s.nr_ports;
	return 0;
}

static int64_t do_physdev(struct hv_vcpu *v, uint32_t cmd, uint64_t va)
{
	switch (cmd) {
	case PHYSDEV_IRQ_UNMASK_NOTIFY:
		return 0;
	case PHYSDEVOP_irq_status_query:
		return irq_status_query(v, va);
	case PHYSDEVOP_set_iopl:
		return set_iopl(v, va);
	case PHYSDEVOP_set_iobitmap:
		return set_iobitmap(v, va);
	case PHYSDEVOP_eoi:
		return eoi(v, va);
	default:
		/* The rest is for owners of devices. */
		return cmd >= 8 && cmd <= PHYSDEV_LAST ? -XEN_EPERM : -XEN_ENOSYS;
	}
}

int64_t hv_do_physdev_op(struct hv_vcpu *v, const uint64_t *a)
{
	return do_physdev(v, (uint32_t)a[0], a[1]);
}

/* One structure with the command in front and its argument 8 bytes in. */
int64_t hv_do_physdev_op_compat(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t cmd;

	if (hv_guest_read(v, &cmd, a[0], sizeof(cmd)))
		return -XEN_EFAULT;
	if (cmd != PHYSDEV_IRQ_UNMASK_NOTIFY && cmd != PHYSDEVOP_irq_status_query &&
	    cmd != PHYSDEVOP_set_iopl && cmd != PHYSDEVOP_set_iobitmap && (cmd < 8 || cmd > 11))
		return -XEN_ENOSYS;
	return do_physdev(v, cmd, a[0] + 8);
}

/* ---- not for us ----------------------------------------------------------------------------- */

#define HVMOP_SET_PARAM       0
#define HVMOP_GET_PARAM       1
#define HVMOP_FLUSH_TLBS      5
#define HVMOP_PAGETABLE_DYING 9
#define HVMOP_GET_TIME        10

/* Operations on hardware VMs, of which this domain is none. */
int64_t hv_do_hvm_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint8_t arg[16];

	switch ((uint32_t)a[0]) {
	case HVMOP_SET_PARAM:
	case HVMOP_GET_PARAM:
	case HVMOP_PAGETABLE_DYING:
		if (hv_guest_read(v, arg, a[1], sizeof(arg)))
			return -XEN_EFAULT;
		return -XEN_EINVAL;
	case HVMOP_FLUSH_TLBS:
		return a[1] ? -XEN_EINVAL : -XEN_EINVAL;
	default:
		return -XEN_ENOSYS;
	}
}

int64_t hv_do_control_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t head[2]; /* command, interface version */

	if (hv_guest_read(v, head, a[0], sizeof(head)))
		return -XEN_EFAULT;
	return -XEN_EPERM;
}

int64_t hv_do_not_offered(struct hv_vcpu *v, const uint64_t *a)
{
	(void)v;
	(void)a;
	return -XEN_EOPNOTSUPP;
}
