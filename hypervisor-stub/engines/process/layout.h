/* SPDX-License-Identifier: MIT */
/*
 * What a guest process looks like: the pages of its group, and every field that the trampoline's
 * assembly and our C share.
 *
 * A guest process holds nothing but guest pages and this group, which lies at the same addresses in
 * every process, so that the trampoline needs neither a stack nor thread-local storage:
 *
 *   0 .. PE_GUEST_END          guest pages, mapped by the process's mapper thread only
 *   PE_WINDOW                  the page that holds the vCPU's vcpu_info; kernel roots only
 *   PE_M2P                     the machine-to-physical table, read-only
 *   PE_CODE                    the trampoline, read and execute
 *   PE_CONST                   filters and scripts, read-only
 *   PE_CTL                     what we tell the process: read-only there, read-write here
 *   PE_STATE                   what the process tells us: read-write in both, never trusted
 *   PE_PEER                    two pages of another process's state, read-only: what the vCPU's
 *                              process in the other mode, user or kernel, hands over to this one;
 *                              a kernel's process has those of several users, side by side
 *
 * Nothing in ctl is a secret, nothing in state is believed. The file that backs the group belongs
 * to the domain (pages.c); slot n of it is one process's ctl and state.
 *
 * The mapper's filter bounds addresses by their upper half (filter.c), so PE_MAP_END must be a
 * multiple of 4 GiB and everything that the mapper may not touch lies PE_MAP_MAX_LEN above it.
 */
#ifndef HYPERVISOR_STUB_ENGINES_PROCESS_LAYOUT_H
#define HYPERVISOR_STUB_ENGINES_PROCESS_LAYOUT_H

#define PE_GUEST_END   0x7ffec0000000
#define PE_WINDOW      0x7ffefffff000
#define PE_MAP_END     0x7fff00000000 /* the mapper never starts a mapping at or above it */
#define PE_MAP_MAX_LEN 0x40000000     /* nor makes one longer than this, bytes */
#define PE_M2P         0x7fff80000000
#define PE_GROUP       0x7fffff800000
#define PE_TASK_END    0x7ffffffff000 /* first address that no process can map */

#define PE_CODE        (PE_GROUP)
#define PE_CODE_SIZE   0x2000
#define PE_CONST       (PE_CODE + PE_CODE_SIZE)
#define PE_CONST_SIZE  0x3000
#define PE_CTL         (PE_GROUP + 0x10000)
#define PE_CTL_SIZE    0x4000
#define PE_STATE       (PE_GROUP + 0x20000)
#define PE_STATE_SIZE  0xc000
#define PE_PEER        (PE_STATE + PE_STATE_SIZE)
#define PE_PEER_SIZE   0x2000
#define PE_PEERS       8

/* Offsets of code, constants and slots in the file. */
#define PE_FILE_CODE  0x0
#define PE_FILE_CONST PE_CODE_SIZE
#define PE_FILE_SLOTS 0x10000
#define PE_SLOT_SIZE  0x10000
#define PE_SLOT_STATE 0x4000 /* of state within a slot */

#define PE_XSAVE_MAX  0x1000

/* Descriptors of a guest process: the domain's memory, the pipe for confirmations, and this file. */
#define PE_FD_MEMORY 0
#define PE_FD_ACK    1
#define PE_FD_GROUP  2
/* Where another domain's memory is while the mapper maps of it what we ordered (foreign.c). */
#define PE_FD_FOREIGN 4

/* ---- const ---------------------------------------------------------------------------------- */

#define CONST_NURSERY_SCRIPT 0x0000
#define CONST_CHILD_SCRIPT   0x0800
#define CONST_MAPPER_SCRIPT  0x0e00
#define CONST_VCPU_FILTER    0x1000 /* struct sock_fprog, then its program */
#define CONST_MAPPER_FILTER  0x1600
#define CONST_DATA           0x2000 /* structures that scripts point to */
#define CONST_INITIAL_FP     0x2800 /* what xrstor makes the initial state of */

/* ---- ctl ------------------------------------------------------------------------------------ */

#define CTL_PENDING       0x004 /* u32: leave the guest as soon as possible */
#define CTL_SPINS         0x008 /* u32: checks before anything else while waiting */
#define CTL_YIELDS        0x00c /* u32: then so many sched_yield, then sleep */
#define CTL_TAIL          0x010 /* u32: orders posted to the mapper */
#define CTL_ACTION        0x014 /* u32: PE_DO_* */
#define CTL_IN_PLACE      0x018 /* u32: hypercalls may be answered without us */
#define CTL_USE_TSC       0x01c /* u32: the trampoline may execute rdtsc */
#define CTL_BELL          0x020 /* u64: address of the OUT_HV that our thread sleeps on */
#define CTL_SAVE_MASK     0x028 /* u64: bit n: hypercall n saves the floating-point state */
#define CTL_FP_ADDR       0x030 /* u64: what xrstor loads, with PE_DO_FP */
#define CTL_FS_BASE       0x038 /* u64, u64: with PE_DO_BASES */
#define CTL_GS_BASE       0x040
#define CTL_VERSION       0x048 /* u64: answer to xen_version(XENVER_version); 0: not known */
#define CTL_INFO          0x050 /* u64: address of vcpu_info in the process; 0: not mapped */
#define CTL_XMASK         0x058 /* u32, u32: eax and edx of xsave and xrstor */
#define CTL_ACK           0x060 /* u64: what the mapper writes to PE_FD_ACK: ack_id */
#define CTL_CS            0x068 /* u32, u32: selectors that an iret in place may name */
#define CTL_SS            0x06c
#define CTL_IOPL          0x070 /* u32, u32: flags of such an iret must be so, in these bits */
#define CTL_MAPPER_YIELDS 0x078 /* u32: the mapper gives way so often before it sleeps */
#define CTL_FP_SIZE       0x07c /* u32: bytes of a saved floating-point state */
/* From user mode to the kernel and back without us: hand-over to another process, or in place. */
#define CTL_PEER      0x080 /* u32: may hand over to the peer */
#define CTL_IS_USER   0x084 /* u32: this one runs user mode */
#define CTL_USER_CS   0x088 /* u32, u32: the user's selectors */
#define CTL_USER_SS   0x08c
#define CTL_KERNEL_SP 0x090 /* u64: where its kernel is entered, unless it was changed in place */
#define CTL_SYSCALL   0x098 /* u64: the entry for system calls */
#define CTL_SYS_MASKS 0x0a0 /* u32: which masks events */
#define CTL_GS_USER   0x0a8 /* u64: the user's GS base, unless it was changed in place */
#define CTL_FROZEN    0x0b0 /* u32: a process that must not run sleeps here; always 0 */
#define CTL_ONE_ROOT  0x0b4 /* u32: user mode runs here too; a system call is entered in place */
#define CTL_PEER_AT   0x0b8 /* u64: where the peer's pages are, less STATE_OUT */
#define CTL_LEFT      0x0c0 /* u32: how often its kernel has left this program for another */
/* A kernel that believes to be at ring 0 (native.h). */
#define CTL_NATIVE       0x0c4 /* u32: this is one */
#define CTL_NATIVE_CS    0x0c8 /* u32: its code selector, for returns from kernel to kernel */
#define CTL_NATIVE_FMASK 0x0cc /* u32: flags that a system call clears */
#define CTL_NATIVE_ASKS  0x0d0 /* u32: its next iretq to user mode is not carried out in place */
#define CTL_REGS      0x100 /* 15 u64 in the order of struct hv_regs, then an iret frame */
#define CTL_ANSWERED  0x1a0 /* u32: sequence number of the last exit that was answered */
#define CTL_ORDERS    0x1000
#define CTL_XSAVE     0x2000

/* In the ctl page of slot 0, which belongs to the process that clones the others. */
#define ZCTL_REQUEST   0x300 /* u32: how many clones were asked for */

#define PE_NR_ORDERS   64
#define PE_ORDER_SHIFT 6
#define ORDER_SEQ      0x00 /* u32: 0 while it is being written */
#define ORDER_OP       0x04 /* u32: PE_OP_* */
#define ORDER_ADDR     0x08
#define ORDER_LEN      0x10
#define ORDER_OFFSET   0x18
#define ORDER_PROT     0x20 /* u32 */
#define ORDER_GO       0x24 /* u32: value for state.go when it is done; 0: none */
#define ORDER_ACK      0x28 /* u32: write CTL_ACK to PE_FD_ACK when it is done */

#define PE_OP_NONE     0
#define PE_OP_MAP      1
#define PE_OP_UNMAP    2
#define PE_OP_PEER     3 /* map pages of the file of groups, from PE_PEER on */
#define PE_OP_FOREIGN  4 /* map another domain's memory, which we let it have for that call */

#define PE_DO_FP       1 /* load the floating-point state from CTL_FP_ADDR */
#define PE_DO_BASES    2
#define PE_DO_IRET     4 /* enter the guest by iretq, else by popfq and jmp */
#define PE_DO_SAVE     8 /* do not enter it: save the floating-point state and report again */

/* ---- state ---------------------------------------------------------------------------------- */

#define STATE_EXIT_SEQ 0x000 /* u32: rises with every exit */
#define STATE_GO       0x004 /* u32: changes when the guest may run on */
#define STATE_KIND     0x008 /* u32: PE_EXIT_* */
#define STATE_TURN \
	0x00c                    /* u32: 1: waits, and may be handed the vCPU by the peer; who sets
                                    it to 0, by a compare and exchange, has it */
#define STATE_DONE         0x010 /* u32: orders that the mapper has carried out */
#define STATE_MAPPER_WAITS 0x014 /* u32: the mapper sleeps on ctl.tail */
#define STATE_TRACED       0x018 /* u32: a single-step trap hit the trampoline: the guest has TF set */
#define STATE_MODE         0x01c /* u32: with CTL_ONE_ROOT: 1: user mode; next to TRACED */
#define STATE_UC           0x020 /* u64: PE_EXIT_SIGNAL: where the ucontext lies */
#define STATE_INFO         0x028 /* u64: and the siginfo */
#define STATE_SAVED        0x030 /* u32: STATE_XSAVE holds the floating-point state of this exit */
#define STATE_CHANGED      0x034 /* u32: PE_CHANGED_* */
#define STATE_FS_BASE      0x038 /* u64, u64 */
#define STATE_GS_BASE      0x040
#define STATE_TSC          0x048 /* u64, u64: time of the exit, of the last resume; CTL_USE_TSC */
#define STATE_RESUMED      0x050
#define STATE_KERNEL_SP    0x058 /* u64, u64, u64: answered in place, by STATE_CHANGED */
#define STATE_KERNEL_SS    0x060
#define STATE_GS_USER      0x068
#define STATE_MAPPER_TID   0x070 /* u64 */
#define STATE_RESULT       0x078 /* u32: error of a failed script (negative) */
#define STATE_MAP_FAILED   0x07c /* u32: mappings that the host refused */
#define STATE_SCRATCH      0x080 /* u64, u64, u64: target, flags and stack of a jump to the guest */
#define STATE_SIGNO        0x098 /* u32 */
#define STATE_REGS         0x0a0 /* struct hv_regs up to rsp */
#define STATE_REGS_RSP     0x128
#define STATE_GS_KERNEL    0x130 /* u64: while STATE_MODE is user mode */
#define STATE_LOCAL        0x140 /* u32 by number: hypercalls answered in place */
#define STATE_RETURN       0x280 /* what an iret to user mode loads last; RETURN_* */
#define STATE_LEFT         0x2b0 /* u32: CTL_LEFT when the system call was handed over */
#define STATE_SLEEPY       0x2b8 /* u64: a system call that its kernel left it for, by rax */
#define STATE_XSAVE        0x1000
/* Two pages that the peer may read. */
#define STATE_OUT        0x2000
#define OUT_SEQ          0x2000 /* u32: hand-overs given */
#define OUT_TAKEN        0x2004 /* u32: hand-overs taken from the peer */
#define OUT_WAITS        0x2008 /* u32: sleeps on OUT_PARK */
#define OUT_PARK         0x200c /* u32: we change it to make a sleeper look again */
#define OUT_HV           0x2010 /* u32: 1: our thread sleeps here until an exit */
#define OUT_FS_BASE      0x2018 /* u64, u64 */
#define OUT_GS_BASE      0x2020
#define OUT_REGS         0x2040 /* struct hv_regs up to rsp: the user's */
#define OUT_XSAVE        0x3000
#define STATE_SIGSTACK   0x4000
#define PE_SIGSTACK_SIZE 0x8000

/* In the state page of slot 0. */
#define ZSTATE_DONE 0x240 /* u32: requests served */
#define ZSTATE_PID  0x244 /* u32: pid of the last clone, or a negative errno */

/* In STATE_RETURN, u64 each. */
#define RETURN_RIP         0x00
#define RETURN_RFLAGS      0x08
#define RETURN_RSP         0x10
#define RETURN_RAX         0x18
#define RETURN_RCX         0x20
#define RETURN_R11         0x28

#define PE_NR_LOCAL        64
/* Among them, of numbers that no hypercall has: of a kernel that believes to be at ring 0. */
#define PE_LOCAL_NATIVE_CALL   62
#define PE_LOCAL_NATIVE_RETURN 63

#define PE_EXIT_HYPERCALL  1
#define PE_EXIT_SIGNAL     2
#define PE_EXIT_READY      3 /* set up, has run nothing */
#define PE_EXIT_SAVED      4 /* after PE_DO_SAVE */
#define PE_EXIT_FAILED     5 /* the script failed */
#define PE_EXIT_TAKEN      6 /* the user's system call arrived, and could not be entered in place */

#define PE_CHANGED_STACK   1
#define PE_CHANGED_GS_USER 2
#define PE_CHANGED_MODE    4

/* ---- scripts -------------------------------------------------------------------------------- */

/*
 * A script is an array of system calls that a process makes to become what it is meant to be; the
 * trampoline carries it out. One entry:
 */
#define SCRIPT_NR       0x00 /* u64: system call, or PE_SCRIPT_* */
#define SCRIPT_ARG      0x08 /* 6 u64 */
#define SCRIPT_CHECK    0x38 /* u64: PE_CHECK_*; for PE_SCRIPT_JUMP: 0 */
#define PE_SCRIPT_ENTRY 0x48 /* bytes */
#define SCRIPT_VALUE \
	0x40                  /* u64: PE_CHECK_EQUAL: the one right result;
                                   PE_CHECK_FORK: address of the child's script */
#define PE_SCRIPT_JUMP 0xffff /* go on at the address in the first argument */

#define PE_CHECK_ERRNO 0 /* a negative errno fails the script */
#define PE_CHECK_NONE  1
#define PE_CHECK_EQUAL 2
#define PE_CHECK_FORK \
	3 /* result 0: go on with another script; the parent stores the result
                                in STATE_MAPPER_TID */

/* ---- of the kernel -------------------------------------------------------------------------- */

#define UC_R8          40
#define UC_R9          48
#define UC_R10         56
#define UC_R11         64
#define UC_R12         72
#define UC_R13         80
#define UC_R14         88
#define UC_R15         96
#define UC_RDI         104
#define UC_RSI         112
#define UC_RBP         120
#define UC_RBX         128
#define UC_RDX         136
#define UC_RAX         144
#define UC_RCX         152
#define UC_RSP         160
#define UC_RIP         168
#define UC_FLAGS       176
#define UC_CS          184 /* u16 cs, gs, fs, ss */
#define UC_SS          190
#define UC_TRAPNO      200
#define UC_FPSTATE     224
#define SI_CALL_ADDR   16 /* in the siginfo of SIGSYS */
#define SI_ARCH        28
#define UC_SIGINFO     304 /* where the kernel puts the siginfo behind the ucontext */

#define PE_SIG_KICK    10 /* SIGUSR1 */
#define PE_SIG_TRAP    5  /* SIGTRAP */
#define PE_SIG_SEGV    11 /* SIGSEGV */
#define PE_SIG_BUS     7  /* SIGBUS */
#define PE_SIG_SYS     31 /* SIGSYS */

#define PE_CS64        0x33
#define PE_CS32        0x23
#define PE_ARCH_X86_64 0xc000003e /* AUDIT_ARCH_X86_64 */
#define PE_SS          0x2b

#endif
