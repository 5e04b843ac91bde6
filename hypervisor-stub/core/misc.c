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

/* A domain that an argument names and that is not ours to touch: -XEN_EPERM or -XEN_ESRCH. */
static int64_t refuse_domain(struct hv_vcpu *v, domid_t domid)
{
	struct hv_domain *d;

	if (domid == 0 || domid == DOMID_SELF)
		return -XEN_EPERM;
	d = hv_domain_get(v->domain->machine, domid);
	if (!d)
		return -XEN_ESRCH;
	hv_domain_put(d);
	return -XEN_EPERM;
}

static bool can_read(struct hv_vcpu *v, uint64_t va)
{
	uint32_t word;

	return !hv_guest_read(v, &word, va, sizeof(word));
}

/* ---- devices -------------------------------------------------------------------------------- */

/* Operations that have no twin in our ABI: what they are for is in Xen's public/physdev.h. */
enum {
	OP_IRQ_UNMASK_NOTIFY = 4, /* obsolete */
	OP_APIC_READ = 8,
	OP_APIC_WRITE = 9,
	OP_ALLOC_IRQ_VECTOR = 10,
	OP_MANAGE_PCI_ADD = 15,
	OP_MANAGE_PCI_REMOVE = 16,
	OP_PIRQ_EOI_GMFN_V1 = 17,
	OP_RESTORE_MSI = 19,
	OP_MANAGE_PCI_ADD_EXT = 20,
	OP_SETUP_GSI = 21,
	OP_PCI_MMCFG_RESERVED = 24,
	OP_PCI_DEVICE_ADD = 25,
	OP_PCI_DEVICE_REMOVE = 26,
	OP_RESTORE_MSI_EXT = 27,
	OP_PIRQ_EOI_GMFN_V2 = 28,
	OP_DBGP_OP = 29,
	OP_PREPARE_MSIX = 30,
	OP_RELEASE_MSIX = 31,
};

static int64_t irq_status_query(struct hv_vcpu *v, uint64_t va)
{
	struct physdev_irq_status_query q;

	if (hv_guest_read(v, &q, va, sizeof(q)))
		return -XEN_EFAULT;
	if (q.irq >= NR_PIRQS)
		return -XEN_EINVAL;
	q.flags = XENIRQSTAT_needs_eoi; /* none is bound; an EOI would do no harm */
	return hv_guest_write(v, va, &q, sizeof(q)) ? -XEN_EFAULT : 0;
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
	if (s.nr_ports > MAX_IO_PORTS ||
	    (s.bitmap.va >= UINT64_C(1) << 47 && s.bitmap.va < HYPERVISOR_VIRT_END))
		return -XEN_EINVAL;
	v->traps.iobitmap_va = s.bitmap.va;
	v->traps.iobitmap_ports = s.nr_ports;
	return 0;
}

/* map_pirq, unmap_pirq: the domain stands first. */
static int64_t map_pirq(struct hv_vcpu *v, uint64_t va)
{
	domid_t domid;

	if (hv_guest_read(v, &domid, va, sizeof(domid)))
		return -XEN_EFAULT;
	return refuse_domain(v, domid);
}

/* The call succeeds and says that there is none: the number is an error in itself. */
static int64_t get_free_pirq(struct hv_vcpu *v, uint64_t va)
{
	int32_t arg[2]; /* type in, number out */

	if (hv_guest_read(v, arg, va, sizeof(arg)))
		return -XEN_EFAULT;
	arg[1] = -XEN_ENOSPC;
	return hv_guest_write(v, va, arg, sizeof(arg)) ? -XEN_EFAULT : 0;
}

static int64_t do_physdev(struct hv_vcpu *v, uint32_t cmd, uint64_t va)
{
	switch (cmd) {
	case OP_IRQ_UNMASK_NOTIFY:
		return 0;
	case PHYSDEVOP_irq_status_query:
		return irq_status_query(v, va);
	case PHYSDEVOP_set_iopl:
		return set_iopl(v, va);
	case PHYSDEVOP_set_iobitmap:
		return set_iobitmap(v, va);
	case PHYSDEVOP_eoi: /* no interrupt can be bound, no page for their state be named */
	case OP_PIRQ_EOI_GMFN_V1:
	case OP_PIRQ_EOI_GMFN_V2:
		return can_read(v, va) ? -XEN_EINVAL : -XEN_EFAULT;
	case PHYSDEVOP_map_pirq:
	case PHYSDEVOP_unmap_pirq:
		return map_pirq(v, va);
	case PHYSDEVOP_get_free_pirq:
		return get_free_pirq(v, va);
	case OP_PCI_MMCFG_RESERVED:
	case OP_DBGP_OP:
		return -XEN_EPERM;
	case OP_APIC_READ:
	case OP_APIC_WRITE:
	case OP_ALLOC_IRQ_VECTOR:
	case OP_MANAGE_PCI_ADD:
	case OP_MANAGE_PCI_REMOVE:
	case OP_RESTORE_MSI:
	case OP_MANAGE_PCI_ADD_EXT:
	case OP_SETUP_GSI:
	case OP_PCI_DEVICE_ADD:
	case OP_PCI_DEVICE_REMOVE:
	case OP_RESTORE_MSI_EXT:
	case OP_PREPARE_MSIX:
	case OP_RELEASE_MSIX:
		return can_read(v, va) ? -XEN_EPERM : -XEN_EFAULT;
	default:
		return -XEN_ENOSYS;
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
	if (cmd < OP_IRQ_UNMASK_NOTIFY || cmd > 11)
		return -XEN_ENOSYS;
	return do_physdev(v, cmd, a[0] + 8);
}

/* ---- hardware VMs --------------------------------------------------------------------------- */

enum {
	HVMOP_SET_PARAM = 0,
	HVMOP_GET_PARAM = 1,
	HVMOP_FLUSH_TLBS = 5,
	HVMOP_PAGETABLE_DYING = 9,
	HVMOP_GET_TIME = 10,
	HVMOP_XENTRACE = 11,
	HVMOP_GET_MEM_TYPE = 15,
	HVMOP_SET_EVTCHN_UPCALL_VECTOR = 23,
	HVMOP_GUEST_REQUEST_VM_EVENT = 24,
	HVMOP_ALTP2M = 25,
};

#define XENTRACE_MAX_BYTES 28

/* Operations that begin with a domain, which is looked up before it is found to be no hardware VM. */
static int64_t hvm_domain_op(struct hv_vcpu *v, uint64_t va, int for_others)
{
	domid_t domid;
	int64_t rc;

	if (hv_guest_read(v, &domid, va, sizeof(domid)))
		return -XEN_EFAULT;
	rc = refuse_domain(v, domid);
	return rc == -XEN_ESRCH ? rc : for_others;
}

static int64_t hvm_get_time(struct hv_vcpu *v, uint64_t va)
{
	uint64_t now = hv_time_vcpu_now(v);

	return hv_guest_write(v, va, &now, sizeof(now)) ? -XEN_EFAULT : 0;
}

/* A trace record of the guest's own: checked, and dropped as by a Xen that does not trace. */
static int64_t hvm_trace(struct hv_vcpu *v, uint64_t va)
{
	struct {
		uint16_t event, extra_bytes;
		uint8_t extra[XENTRACE_MAX_BYTES];
	} rec;

	if (hv_guest_read(v, &rec, va, sizeof(rec)))
		return -XEN_EFAULT;
	return rec.extra_bytes > XENTRACE_MAX_BYTES ? -XEN_EINVAL : 0;
}

/* This domain is no hardware VM, and owns none. */
int64_t hv_do_hvm_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint64_t va = a[1];

	switch ((uint32_t)a[0]) {
	case HVMOP_SET_PARAM:
	case HVMOP_GET_PARAM:
		return can_read(v, va) ? -XEN_EINVAL : -XEN_EFAULT;
	case HVMOP_PAGETABLE_DYING:
		return hvm_domain_op(v, va, -XEN_EOPNOTSUPP);
	case HVMOP_GET_MEM_TYPE:
		return hvm_domain_op(v, va, -XEN_EPERM);
	case HVMOP_GET_TIME:
		return hvm_get_time(v, va);
	case HVMOP_XENTRACE:
		return hvm_trace(v, va);
	case HVMOP_FLUSH_TLBS:
	case HVMOP_SET_EVTCHN_UPCALL_VECTOR:
		return -XEN_EINVAL;
	case HVMOP_GUEST_REQUEST_VM_EVENT:
		return va ? -XEN_EINVAL : 0;
	case HVMOP_ALTP2M:
		return -XEN_EOPNOTSUPP;
	default:
		return -XEN_ENOSYS;
	}
}

#define DM_OP_MAX_BUFS 2

/* For the device model of a hardware VM: domain, number of buffers, buffers. */
int64_t hv_do_dm_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t nr_bufs = (uint32_t)a[1];

	if (nr_bufs > DM_OP_MAX_BUFS)
		return -XEN_E2BIG;
	if (!nr_bufs)
		return -XEN_ENODATA;
	return can_read(v, a[2]) ? refuse_domain(v, (domid_t)a[0]) : -XEN_EFAULT;
}

/* ---- profiling and control ------------------------------------------------------------------ */

#define XENOPROF_INIT       0
#define XENOPROF_GET_BUFFER 14
#define XENOPROF_LAST       17

/* There is no profiler here. */
int64_t hv_do_xenoprof_op(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t op = (uint32_t)a[0];

	if (op > XENOPROF_LAST)
		return -XEN_EINVAL;
	if (op != XENOPROF_INIT && op != XENOPROF_GET_BUFFER)
		return -XEN_EPERM;
	return can_read(v, a[1]) ? -XEN_ENODEV : -XEN_EFAULT;
}

#define SYSCTL_VERSION   0x15
#define DOMCTL_VERSION   0x15
#define PLATFORM_VERSION 0x03000000

/* Command and version stand first; a version of another Xen's is refused by another number. */
static int64_t control_op(struct hv_vcpu *v, uint64_t va, uint32_t version)
{
	uint32_t head[2];

	if (hv_guest_read(v, head, va, sizeof(head)))
		return -XEN_EFAULT;
	return head[1] == version ? -XEN_EPERM : -XEN_EACCES;
}

int64_t hv_do_sysctl(struct hv_vcpu *v, const uint64_t *a)
{
	return control_op(v, a[0], SYSCTL_VERSION);
}

int64_t hv_do_domctl(struct hv_vcpu *v, const uint64_t *a)
{
	return control_op(v, a[0], DOMCTL_VERSION);
}

int64_t hv_do_platform_op(struct hv_vcpu *v, const uint64_t *a)
{
	return control_op(v, a[0], PLATFORM_VERSION);
}

/* Xen's own continuation of a domctl; what a guest could pass is never one. */
int64_t hv_do_paging_domctl(struct hv_vcpu *v, const uint64_t *a)
{
	return can_read(v, a[0]) ? -XEN_EOPNOTSUPP : -XEN_EFAULT;
}

int64_t hv_do_not_offered(struct hv_vcpu *v, const uint64_t *a)
{
	(void)v;
	(void)a;
	return -XEN_EOPNOTSUPP;
}
