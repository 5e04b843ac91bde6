/* SPDX-License-Identifier: MIT */
/*
 * The core of the ABI: hypercall numbers, domain ids, virtual interrupts, and the pages that a
 * domain and the hypervisor share from the first instruction on (start_info, shared_info with
 * vcpu_info and the clocks).
 *
 * Invariant: numbers and layouts are those of Xen's public xen.h (the page-table part is in
 * abi/mmu.h).
 */
#ifndef ABI_XEN_H
#define ABI_XEN_H

#include "abi/arch_x86_64.h"
#include "abi/base.h"
#include "abi/handle.h"

/* ---- hypercalls: number n is entered at byte 32 * n of the hypercall page ---- */

#define __HYPERVISOR_set_trap_table                0
#define __HYPERVISOR_mmu_update                    1
#define __HYPERVISOR_set_gdt                       2
#define __HYPERVISOR_stack_switch                  3
#define __HYPERVISOR_set_callbacks                 4
#define __HYPERVISOR_fpu_taskswitch                5
#define __HYPERVISOR_sched_op_compat               6
#define __HYPERVISOR_platform_op                   7
#define __HYPERVISOR_set_debugreg                  8
#define __HYPERVISOR_get_debugreg                  9
#define __HYPERVISOR_update_descriptor             10
#define __HYPERVISOR_memory_op                     12
#define __HYPERVISOR_multicall                     13
#define __HYPERVISOR_update_va_mapping             14
#define __HYPERVISOR_set_timer_op                  15
#define __HYPERVISOR_event_channel_op_compat       16
#define __HYPERVISOR_xen_version                   17
#define __HYPERVISOR_console_io                    18
#define __HYPERVISOR_physdev_op_compat             19
#define __HYPERVISOR_grant_table_op                20
#define __HYPERVISOR_vm_assist                     21
#define __HYPERVISOR_update_va_mapping_otherdomain 22
#define __HYPERVISOR_iret                          23
#define __HYPERVISOR_vcpu_op                       24
#define __HYPERVISOR_set_segment_base              25
#define __HYPERVISOR_mmuext_op                     26
#define __HYPERVISOR_xsm_op                        27
#define __HYPERVISOR_nmi_op                        28
#define __HYPERVISOR_sched_op                      29
#define __HYPERVISOR_callback_op                   30
#define __HYPERVISOR_xenoprof_op                   31
#define __HYPERVISOR_event_channel_op              32
#define __HYPERVISOR_physdev_op                    33
#define __HYPERVISOR_hvm_op                        34
#define __HYPERVISOR_sysctl                        35
#define __HYPERVISOR_domctl                        36
#define __HYPERVISOR_kexec_op                      37
#define __HYPERVISOR_tmem_op                       38
#define __HYPERVISOR_argo_op                       39
#define __HYPERVISOR_xenpmu_op                     40
#define __HYPERVISOR_dm_op                         41
#define __HYPERVISOR_hypfs_op                      42

#define __HYPERVISOR_arch_0                        48
#define __HYPERVISOR_arch_1                        49
#define __HYPERVISOR_arch_2                        50
#define __HYPERVISOR_arch_3                        51
#define __HYPERVISOR_arch_4                        52
#define __HYPERVISOR_arch_5                        53
#define __HYPERVISOR_arch_6                        54
#define __HYPERVISOR_arch_7                        55

/* ---- virtual interrupts: sources that EVTCHNOP_bind_virq accepts
 * ---- */

/* Per vCPU: one binding for each, which stays where it was made. */
#define VIRQ_TIMER    0 /* a timer of this vCPU has expired */
#define VIRQ_DEBUG    1 /* someone asks the guest to print its state */
#define VIRQ_XENOPROF 7
#define VIRQ_XENPMU   13

/* Per domain: bound once, on vCPU 0, moved by EVTCHNOP_bind_vcpu. All but ARGO are privileged. */
#define VIRQ_CONSOLE    2
#define VIRQ_DOM_EXC    3
#define VIRQ_TBUF       4
#define VIRQ_DEBUGGER   6
#define VIRQ_CON_RING   8
#define VIRQ_PCPU_STATE 9
#define VIRQ_MEM_EVENT  10
#define VIRQ_ARGO       11
#define VIRQ_ENOMEM     12

#define VIRQ_ARCH_0     16
#define VIRQ_ARCH_1     17
#define VIRQ_ARCH_2     18
#define VIRQ_ARCH_3     19
#define VIRQ_ARCH_4     20
#define VIRQ_ARCH_5     21
#define VIRQ_ARCH_6     22
#define VIRQ_ARCH_7     23

#define NR_VIRQS        24

/* ---- domain ids
 * ---- */

#define DOMID_FIRST_RESERVED xen_mk_uint(0x7FF0) /* ordinary domains lie below */
#define DOMID_SELF           xen_mk_uint(0x7FF0) /* whoever makes the call */
#define DOMID_IO             xen_mk_uint(0x7FF1) /* owner of I/O memory */
#define DOMID_XEN            xen_mk_uint(0x7FF2) /* owner of the hypervisor's own frames */
#define DOMID_COW            xen_mk_uint(0x7FF3) /* owner of frames shared copy-on-write */
#define DOMID_INVALID        xen_mk_uint(0x7FF4) /* no owner known */
#define DOMID_IDLE           xen_mk_uint(0x7FFF)
#define DOMID_MASK           xen_mk_uint(0x7FFF)

/* ---- console_io(cmd, count, buffer): the emergency console, not the ring
 * ---- */

#define CONSOLEIO_write \
	0 /* 0, or a negative errno; buffered until a newline, unprintable bytes are dropped */
#define CONSOLEIO_read 1 /* number of bytes read, which may be 0 */

/* ---- vm_assist(cmd, type): emulations that a guest asks for
 * ---- */

#define VMASST_CMD_enable               0
#define VMASST_CMD_disable              1

#define VMASST_TYPE_4gb_segments        0 /* 32-bit guests only */
#define VMASST_TYPE_4gb_segments_notify 1 /* 32-bit guests only */
#define VMASST_TYPE_writable_pagetables 2 /* a store into an L1 table faults and is emulated */
#define VMASST_TYPE_pae_extended_cr3    3 /* 32-bit guests only */
#define VMASST_TYPE_architectural_iopl \
	4 /* IOPL of frames means something; the kernel counts as ring 0 for it */
#define VMASST_TYPE_runstate_update_flag \
	5 /* XEN_RUNSTATE_UPDATE is set while a runstate area is being written */
#define VMASST_TYPE_m2p_strict 32 /* the machine-to-physical table is hidden from user mode */

/* ---- start_info.flags
 * ---- */

#define SIF_PRIVILEGED      (1 << 0)    /* privileged domain; never set here */
#define SIF_INITDOMAIN      (1 << 1)    /* the first, controlling domain; never set here */
#define SIF_MULTIBOOT_MOD   (1 << 2)    /* mod_start is a list: struct xen_multiboot_mod_list */
#define SIF_MOD_START_PFN   (1 << 3)    /* mod_start is a pfn, and the module is not mapped */
#define SIF_VIRT_P2M_4TOOLS (1 << 4)    /* tools understand the linear p2m of arch_shared_info */
#define SIF_PM_MASK         (0xFF << 8) /* power management of a privileged domain */

#define MAX_GUEST_CMDLINE   1024

/* vcpu_time_info.flags */
#define XEN_PVCLOCK_TSC_STABLE_BIT (1 << 0) /* the clocks of all vCPUs agree */
#define XEN_PVCLOCK_GUEST_STOPPED  (1 << 1) /* was stopped for long; the guest clears it */

#ifndef __ASSEMBLY__

typedef uint16_t domid_t;

/* An element of multicall(list, count): the guest writes op and args, the hypervisor result. */
struct multicall_entry {
	xen_ulong_t op;
	xen_ulong_t result;
	xen_ulong_t args[6];
};
typedef struct multicall_entry multicall_entry_t;
DEFINE_XEN_GUEST_HANDLE(multicall_entry_t);

/*
 * A vCPU's clock. Only the hypervisor writes it, in this order: version becomes odd, the fields
 * change, version becomes even again. A reader takes version, the fields, version again, and starts
 * anew if the first was odd or the two differ.
 *
 *   now = system_time + (shifted(tsc - tsc_timestamp) * tsc_to_system_mul >> 32)    nanoseconds
 *
 * shifted() goes left by a positive tsc_shift, right by a negative one; the product has 96 bits.
 */
struct vcpu_time_info {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time; /* ns since the domain was started */
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags; /* XEN_PVCLOCK_* */
	uint8_t pad1[2];
};
typedef struct vcpu_time_info vcpu_time_info_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_time_info_t);

/*
 * One vCPU's part of event delivery, its fault address and its clock.
 *
 * evtchn_upcall_pending  The hypervisor sets it. The guest clears it, then looks at
 *                        evtchn_pending_sel.
 * evtchn_upcall_mask     While it is not 0 no upcall is made. The guest sets and clears it; the
 *                        hypervisor sets it on an upcall and clears it when the vCPU blocks. Who
 *                        clears it looks at evtchn_upcall_pending next.
 * evtchn_pending_sel     Bit w: word w of evtchn_pending has news. The hypervisor sets bits, the
 *                        guest takes all by an atomic exchange with 0.
 */
struct vcpu_info {
	uint8_t evtchn_upcall_pending;
	uint8_t evtchn_upcall_mask;
	xen_ulong_t evtchn_pending_sel;
	struct arch_vcpu_info arch;
	vcpu_time_info_t time;
};
typedef struct vcpu_info vcpu_info_t;

/*
 * The one page that every domain shares with the hypervisor; its machine address is in start_info.
 * Nothing else lies in that page, and a guest may not rely on the length of this structure.
 *
 * evtchn_pending  Bit p: port p has an event. The hypervisor sets it, the guest clears it, both
 *                 atomically.
 * evtchn_mask     Bit p: port p makes no upcall. Only the guest writes it; EVTCHNOP_unmask clears
 *                 it on the guest's behalf.
 * wc_*            Wall clock at system time 0: seconds and nanoseconds since 1970. wc_version
 *                 works as in vcpu_time_info.
 */
struct shared_info {
	struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
	xen_ulong_t evtchn_pending[sizeof(xen_ulong_t) * 8];
	xen_ulong_t evtchn_mask[sizeof(xen_ulong_t) * 8];
	uint32_t wc_version;
	uint32_t wc_sec;
	uint32_t wc_nsec;
	uint32_t wc_sec_hi;
	struct arch_shared_info arch;
};
typedef struct shared_info shared_info_t;
#define xen_wc_sec_hi wc_sec_hi

/*
 * What a PV kernel is told at its first instruction: its address is in rsi. Written by the domain
 * builder; from then on the page is the guest's. "virtual" is an address in the initial mapping,
 * "mfn" a machine frame number.
 */
struct start_info {
	/* Valid at boot and again after a resume. */
	char magic[32];            /* "xen-<major>.<minor>-x86_64", ended by a 0 */
	unsigned long nr_pages;    /* frames of this domain */
	unsigned long shared_info; /* machine address, in bytes, of the shared_info page */
	uint32_t flags;            /* SIF_* */
	xen_pfn_t store_mfn;       /* page of struct xenstore_domain_interface */
	uint32_t store_evtchn;     /* local port of the xenstore ring */
	union {
		struct {
			xen_pfn_t mfn;   /* page of struct xencons_interface */
			uint32_t evtchn; /* local port of the console ring */
		} domU;
		struct {
			uint32_t info_off;
			uint32_t info_size;
		} dom0; /* privileged domains only */
	} console;
	/* Valid at boot only. */
	unsigned long pt_base;      /* virtual address of the L4 table */
	unsigned long nr_pt_frames; /* frames of the initial page tables, from pt_base on */
	unsigned long mfn_list;     /* virtual address of the p2m: an array of mfns by pfn */
	unsigned long mod_start;    /* ramdisk: virtual address, or pfn with SIF_MOD_START_PFN */
	unsigned long mod_len;      /* its length in bytes; 0: there is none */
	int8_t cmd_line[MAX_GUEST_CMDLINE];
	unsigned long first_p2m_pfn; /* where the p2m lies when XEN_ELFNOTE_INIT_P2M moved it */
	unsigned long nr_p2m_frames;
};
typedef struct start_info start_info_t;

/* Row of the list that SIF_MULTIBOOT_MOD announces: offsets from its start; mod_start 0 ends it. */
struct xen_multiboot_mod_list {
	uint32_t mod_start; /* first byte */
	uint32_t mod_end;   /* last byte */
	uint32_t cmdline;
	uint32_t pad; /* 0 */
};

typedef uint8_t xen_domain_handle_t[16];

typedef struct {
	uint8_t a[16];
} xen_uuid_t;

PV_ABI_SIZE(struct multicall_entry, 64);
PV_ABI_FIELD(struct multicall_entry, result, 8);
PV_ABI_FIELD(struct multicall_entry, args, 16);
PV_ABI_SIZE(struct vcpu_time_info, 32);
PV_ABI_FIELD(struct vcpu_time_info, pad0, 4);
PV_ABI_FIELD(struct vcpu_time_info, tsc_timestamp, 8);
PV_ABI_FIELD(struct vcpu_time_info, system_time, 16);
PV_ABI_FIELD(struct vcpu_time_info, tsc_to_system_mul, 24);
PV_ABI_FIELD(struct vcpu_time_info, tsc_shift, 28);
PV_ABI_FIELD(struct vcpu_time_info, flags, 29);
PV_ABI_FIELD(struct vcpu_time_info, pad1, 30);
PV_ABI_SIZE(struct vcpu_info, 64);
PV_ABI_FIELD(struct vcpu_info, evtchn_upcall_mask, 1);
PV_ABI_FIELD(struct vcpu_info, evtchn_pending_sel, 8);
PV_ABI_FIELD(struct vcpu_info, arch, 16);
PV_ABI_FIELD(struct vcpu_info, time, 32);
PV_ABI_SIZE(struct shared_info, 3136);
PV_ABI_FIELD(struct shared_info, evtchn_pending, 2048);
PV_ABI_FIELD(struct shared_info, evtchn_mask, 2560);
PV_ABI_FIELD(struct shared_info, wc_version, 3072);
PV_ABI_FIELD(struct shared_info, wc_sec, 3076);
PV_ABI_FIELD(struct shared_info, wc_nsec, 3080);
PV_ABI_FIELD(struct shared_info, wc_sec_hi, 3084);
PV_ABI_FIELD(struct shared_info, arch, 3088);
PV_ABI_SIZE(struct start_info, 1168);
PV_ABI_FIELD(struct start_info, nr_pages, 32);
PV_ABI_FIELD(struct start_info, shared_info, 40);
PV_ABI_FIELD(struct start_info, flags, 48);
PV_ABI_FIELD(struct start_info, store_mfn, 56);
PV_ABI_FIELD(struct start_info, store_evtchn, 64);
PV_ABI_FIELD(struct start_info, console, 72);
PV_ABI_FIELD(struct start_info, pt_base, 88);
PV_ABI_FIELD(struct start_info, nr_pt_frames, 96);
PV_ABI_FIELD(struct start_info, mfn_list, 104);
PV_ABI_FIELD(struct start_info, mod_start, 112);
PV_ABI_FIELD(struct start_info, mod_len, 120);
PV_ABI_FIELD(struct start_info, cmd_line, 128);
PV_ABI_FIELD(struct start_info, first_p2m_pfn, 1152);
PV_ABI_FIELD(struct start_info, nr_p2m_frames, 1160);
PV_ABI_SIZE(struct xen_multiboot_mod_list, 16);
PV_ABI_FIELD(struct xen_multiboot_mod_list, mod_end, 4);
PV_ABI_FIELD(struct xen_multiboot_mod_list, cmdline, 8);
PV_ABI_FIELD(struct xen_multiboot_mod_list, pad, 12);
PV_ABI_SIZE(xen_uuid_t, 16);

#endif /* __ASSEMBLY__ */

#endif /* ABI_XEN_H */
