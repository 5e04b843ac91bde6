/* SPDX-License-Identifier: MIT */
/*
 * The only code of ours in a guest process: two pages, mapped at PE_CODE, read and execute.
 *
 * It is copied there from our own read-only data, so everything in it is addressed relative to rip:
 * the pages of the group lie at fixed distances (layout.h). Nothing here trusts the stack pointer
 * of the guest, and nothing here is trusted by us: guest code may jump to any byte of them with
 * any registers, and gains what it could have done anyway (the filters see to system calls, ctl is
 * read-only, state is not believed).
 *
 * Parts, in order: the way in for hypercalls, with those that are answered in place; the way in for
 * signals; reporting an exit and waiting for the answer; resuming the guest; the mapper thread; the
 * interpreter of scripts; the loop of the process that clones the others.
 *
 * Signals. All handlers run on the signal stack in state, none is masked, and none ends by
 * rt_sigreturn: the guest is resumed from ctl by popfq and jmp or by iretq. A signal that hits this
 * page itself is a kick, a single step, or a fault on guest memory that an in-place answer touched;
 * the first two go back to where they came from, the third to the long way. So nothing nests deeper
 * than one frame of an exit and one of a kick.
 */
#define __ASSEMBLY__
#include "abi/xen.h"
#include "hypervisor-stub/engines/process/layout.h"
#include "hypervisor-stub/engines/process/native.h"

#define CTL(f)   base + (PE_CTL - PE_CODE) + (f)(%rip)
#define STATE(f) base + (PE_STATE - PE_CODE) + (f)(%rip)
#define CONST(f) base + (PE_CONST - PE_CODE) + (f)(%rip)
#define PEER(f)  (f)(%rbp) /* after mov CTL(CTL_PEER_AT), %rbp */

/* Offsets in CTL_REGS, STATE_REGS and OUT_REGS: struct hv_regs. */
#define R15    0x00
#define R14    0x08
#define R13    0x10
#define R12    0x18
#define RBP    0x20
#define RBX    0x28
#define R11    0x30
#define R10    0x38
#define R9     0x40
#define R8     0x48
#define RAX    0x50
#define RCX    0x58
#define RDX    0x60
#define RSI    0x68
#define RDI    0x70
#define RIP    0x78
#define RFLAGS 0x80
#define RSP    0x88

#define NR_WRITE       1
#define NR_CLOSE       3
#define NR_MMAP        9
#define NR_MUNMAP      11
#define NR_SCHED_YIELD 24
#define NR_CLONE       56
#define NR_FUTEX       202
#define NR_EXIT_GROUP  231

#define FUTEX_WAIT     0
#define FUTEX_WAKE     1
#define CLONE_PARENT   0x8000
#define MAP_FLAGS      0x11 /* MAP_SHARED | MAP_FIXED */
#define MINUS_ERRNO    -4096 /* system call results above it, unsigned, are errors */

/* In what xsave writes. */
#define XSTATE_MXCSR   24
#define XSTATE_ST      32
#define XSTATE_XMM     160
#define XSTATE_BV      512
#define XSTATE_LEGACY  3 /* x87 and SSE */
#define FCW_INITIAL    0x37f
#define MXCSR_INITIAL  0x1f80

#define FLAG_TF        0x100
#define FLAG_IF        0x200
#define FLAG_ALWAYS    0x202   /* IF and the one that is always set */
#define FLAGS_USER     0x244dd5 /* what ring 3 can change */
#define FLAGS_ON_ENTRY 0x54500 /* cleared when a kernel is entered: TF, DF, NT, RF, AC */
#define FLAG_IF_IOPL   0x3200
/*
 * Flags that an iret in place can load: all the ordinary ones; and IF, IOPL and RF, which mean nothing:
 * popfq leaves them out. (Every frame of a fault has RF.)
 */
#define FLAGS_PLAIN    0x253ed7

/* Wakes whoever sleeps on a word of the group. Loses rax, rcx, rdx, rsi, rdi, r11. */
.macro WAKE word:vararg
	lea	\word, %rdi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	mov	$NR_FUTEX, %eax
	syscall
.endm

/* Sleeps while a word of the group is edx. Loses rax, rcx, rsi, rdi, r10, r11. */
.macro SLEEP word:vararg
	lea	\word, %rdi
	mov	$FUTEX_WAIT, %esi
	xor	%r10d, %r10d
	mov	$NR_FUTEX, %eax
	syscall
.endm

/* The time, where the guest process may ask for it. Loses rax and rdx. */
.macro STAMP word:vararg
	cmpl	$0, CTL(CTL_USE_TSC)
	je	771f
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, \word
771:
.endm

/* What an iret has prepared, for the peer. Loses rax. */
.macro TO_OUT from, to
	mov	STATE(STATE_RETURN + \from), %rax
	mov	%rax, STATE(OUT_REGS + \to)
.endm

/* To where an iret has prepared to go, in this process; all other registers are the guest's already. */
.macro RETURN_HERE
	mov	STATE(STATE_RETURN + RETURN_RAX), %rax
	mov	STATE(STATE_RETURN + RETURN_RCX), %rcx
	mov	STATE(STATE_RETURN + RETURN_R11), %r11
	lea	STATE(STATE_RETURN + RETURN_RFLAGS), %rsp
	popfq
	pop	%rsp
	jmp	*STATE(STATE_RETURN + RETURN_RIP)
.endm

/* Makes rax a canonical address, as a segment base must be. */
.macro CANONICAL
	shl	$16, %rax
	sar	$16, %rax
.endm

.macro MASK_FP
	mov	CTL(CTL_XMASK), %eax
	mov	CTL(CTL_XMASK + 4), %edx
.endm

/*
 * The floating-point state of a signal frame, at rbx, back into the registers. The host has made all of
 * them initial for the handler, and xrstor is slow even where little is in use. So what a program has
 * that uses SSE alone is loaded without it: the frame always says that x87 is in use, hence we look.
 * Loses rax and rdx.
 */
.macro LOAD_FRAME_FP
	testq	$~XSTATE_LEGACY, XSTATE_BV(%rbx)
	jnz	772f
	cmpq	$FCW_INITIAL, (%rbx) /* also fsw, ftw and fop; then the two pointers */
	jne	772f
	cmpl	$MXCSR_INITIAL, XSTATE_MXCSR(%rbx)
	jne	772f
	mov	8(%rbx), %rax
	or	16(%rbx), %rax
	jnz	772f
	movaps	XSTATE_ST(%rbx), %xmm0
	.irp	nr, 1, 2, 3, 4, 5, 6, 7
	orps	XSTATE_ST + 16 * \nr(%rbx), %xmm0
	.endr
	packsswb %xmm0, %xmm0 /* 0 stays 0 only */
	movq	%xmm0, %rax
	test	%rax, %rax
	jnz	772f
	.irp	nr, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movaps	XSTATE_XMM + 16 * \nr(%rbx), %xmm\nr
	.endr
	jmp	773f
772:	MASK_FP
	xrstor64 (%rbx)
773:
.endm

	.section .rodata.pe_trampoline, "a", @progbits
	.balign	4096
	.globl	pe_trampoline
pe_trampoline:
base:

/* ---- hypercalls ------------------------------------------------------------------------------ */

/*
 * From the hypercall page: eax = number, rcx = return address, r11 free; all else is the guest's.
 * From here to the answer the stack pointer lies in state and the floating-point state is live.
 */
	.globl	pe_tramp_hypercall
pe_tramp_hypercall:
	mov	%rsp, STATE(STATE_REGS_RSP)
	lea	STATE(STATE_REGS_RSP), %rsp
	pushfq
	cmpl	$0, CTL(CTL_IN_PLACE)
	je	slow
	cmpl	$0, CTL(CTL_PENDING)
	jne	slow
	cmpq	$0, STATE(STATE_TRACED) /* and STATE_MODE: user code is no kernel */
	jne	slow
	cmp	$__HYPERVISOR_iret, %eax
	je	iret_in_place
	cmp	$__HYPERVISOR_xen_version, %eax
	je	version_in_place
	cmp	$__HYPERVISOR_stack_switch, %eax
	je	stack_switch_in_place
	cmp	$__HYPERVISOR_set_segment_base, %eax
	je	segment_base_in_place

slow:	/* all registers into state.regs, downwards from rip */
	push	%rcx
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	movl	$0, STATE(STATE_SAVED)
	cmp	$63, %eax
	ja	1f
	mov	CTL(CTL_SAVE_MASK), %rdx
	bt	%rax, %rdx
	jnc	1f
	MASK_FP
	xsave64	STATE(STATE_XSAVE)
	movl	$1, STATE(STATE_SAVED)
1:	rdfsbase %rax
	mov	%rax, STATE(STATE_FS_BASE)
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_BASE)
	mov	$PE_EXIT_HYPERCALL, %ebp
	jmp	post

version_in_place: /* xen_version(XENVER_version), which kernels use to look for events */
	test	%edi, %edi
	jnz	slow
	mov	CTL(CTL_INFO), %r11
	test	%r11, %r11
	jz	slow
touch_version:
	cmpb	$0, 1(%r11)
	jne	1f
	cmpb	$0, (%r11)
	jne	slow
1:	mov	CTL(CTL_VERSION), %r11
touch_version_end:
	test	%r11, %r11
	jz	slow
	mov	%r11, %rax
	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_xen_version)
	jmp	answered

stack_switch_in_place: /* rdi = ss, rsi = sp */
	mov	%rdi, STATE(STATE_KERNEL_SS)
	mov	%rsi, STATE(STATE_KERNEL_SP)
	orl	$PE_CHANGED_STACK, STATE(STATE_CHANGED)
	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_stack_switch)
	xor	%eax, %eax
	jmp	answered

segment_base_in_place: /* rdi = which, rsi = base; only canonical ones */
	mov	%rsi, %r11
	shl	$16, %r11
	sar	$16, %r11
	cmp	%rsi, %r11
	jne	slow
	cmp	$SEGBASE_GS_KERNEL, %rdi
	je	2f
	ja	slow
	test	%edi, %edi
	jnz	1f
	wrfsbase %rsi
	jmp	3f
1:	mov	%rsi, STATE(STATE_GS_USER)
	orl	$PE_CHANGED_GS_USER, STATE(STATE_CHANGED)
	jmp	3f
2:	wrgsbase %rsi
3:	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_set_segment_base)
	xor	%eax, %eax

answered: /* back to the hypercall page, flags as they were */
	popfq
	mov	STATE(STATE_REGS_RSP), %rsp
	jmp	*%rcx

/*
 * iret from kernel to kernel, with no event to deliver: the frame (struct iret_context) lies at the
 * guest's rsp; rax, rcx and r11 are free, since the frame holds them. Whatever is not plain goes
 * the long way, where the core reads the frame anew.
 */
iret_in_place:
	mov	STATE(STATE_REGS_RSP), %r11
touch_iret:
	movzwl	40(%r11), %ecx /* cs: ring 3 is user mode, else the selector in use */
	mov	%ecx, %eax
	or	$3, %eax
	cmp	%eax, %ecx
	je	iret_to_user
	cmpq	$0, 24(%r11) /* flags */
	jne	slow_iret
	cmp	%eax, CTL(CTL_CS)
	jne	slow_iret
	movzwl	64(%r11), %eax /* ss */
	or	$3, %eax
	cmp	%eax, CTL(CTL_SS)
	jne	slow_iret
	mov	32(%r11), %rcx /* rip */
	mov	%rcx, STATE(STATE_SCRATCH)
	shr	$47, %rcx
	jnz	slow_iret
	mov	56(%r11), %rcx /* rsp */
	mov	%rcx, STATE(STATE_SCRATCH + 16)
	mov	48(%r11), %rcx /* rflags */
	mov	%rcx, STATE(STATE_SCRATCH + 8)
	test	$~FLAGS_PLAIN, %rcx
	jnz	slow_iret
	mov	%ecx, %eax
	xor	CTL(CTL_IOPL), %eax
	test	%eax, CTL(CTL_IOPL + 4)
	jnz	slow_iret
	mov	CTL(CTL_INFO), %rax
	test	%rax, %rax
	jz	slow_iret
	not	%ecx
	shr	$9, %ecx
	and	$1, %ecx
	/*
	 * The mask is written before pending is read, by an instruction that is a full barrier. Who
	 * sends an event does it the other way round, so one of the two sees the other:
	 *   1. we unmask               1. they set pending
	 *   2. we look at pending      2. they look at the mask, and kick if it is clear
	 */
	xchg	%cl, 1(%rax)
	cmpb	$0, 1(%rax)
	jne	1f
	cmpb	$0, (%rax)
	jne	slow_iret
1:	mov	(%r11), %rax
	mov	16(%r11), %rcx
	mov	8(%r11), %r11
	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_iret)
	lea	STATE(STATE_SCRATCH + 8), %rsp
	popfq
	pop	%rsp
	jmp	*STATE(STATE_SCRATCH)

/*
 * The same to user mode: to the user's process, when that may be handed the vCPU, and its registers go
 * to OUT; or, where one root serves both, to user mode here.
 */
iret_to_user:
	mov	CTL(CTL_PEER), %eax
	or	CTL(CTL_ONE_ROOT), %eax
	jz	slow_iret
	cmp	%ecx, CTL(CTL_USER_CS)
	jne	slow_iret
	movzwl	64(%r11), %ecx
	cmp	%ecx, CTL(CTL_USER_SS)
	jne	slow_iret
	mov	32(%r11), %rcx
	mov	%rcx, %rax
	shr	$47, %rax
	jnz	slow_iret
	mov	%rcx, STATE(STATE_RETURN + RETURN_RIP)
	mov	56(%r11), %rax
	mov	%rax, STATE(STATE_RETURN + RETURN_RSP)
	mov	48(%r11), %rax
	test	$~FLAGS_PLAIN, %rax
	jnz	slow_iret
	mov	%rax, STATE(STATE_RETURN + RETURN_RFLAGS)
	xor	CTL(CTL_IOPL), %eax
	test	%eax, CTL(CTL_IOPL + 4)
	jnz	slow_iret
	mov	STATE(STATE_RETURN + RETURN_RFLAGS), %rax
	cmpq	$VGCF_in_syscall, 24(%r11)
	je	1f
	cmpq	$0, 24(%r11)
	jne	slow_iret
	mov	8(%r11), %rax
	mov	16(%r11), %rcx
1:	mov	%rax, STATE(STATE_RETURN + RETURN_R11)
	mov	%rcx, STATE(STATE_RETURN + RETURN_RCX)
	mov	(%r11), %rax
	mov	%rax, STATE(STATE_RETURN + RETURN_RAX)
	mov	STATE(STATE_RETURN + RETURN_RFLAGS), %ecx
	not	%ecx
	shr	$9, %ecx
	and	$1, %ecx
	mov	CTL(CTL_INFO), %rax
	xchg	%cl, 1(%rax) /* see above */
	cmpb	$0, 1(%rax)
	jne	1f
	cmpb	$0, (%rax)
	jne	slow_iret
touch_iret_end:
1:	cmpl	$0, CTL(CTL_ONE_ROOT)
	jne	return_in_place
	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_iret)
give_to_user:
	mov	%r15, STATE(OUT_REGS + R15)
	mov	%r14, STATE(OUT_REGS + R14)
	mov	%r13, STATE(OUT_REGS + R13)
	mov	%r12, STATE(OUT_REGS + R12)
	mov	%rbp, STATE(OUT_REGS + RBP)
	mov	%rbx, STATE(OUT_REGS + RBX)
	mov	%r10, STATE(OUT_REGS + R10)
	mov	%r9, STATE(OUT_REGS + R9)
	mov	%r8, STATE(OUT_REGS + R8)
	mov	%rdx, STATE(OUT_REGS + RDX)
	mov	%rsi, STATE(OUT_REGS + RSI)
	mov	%rdi, STATE(OUT_REGS + RDI)
	TO_OUT	RETURN_RIP, RIP
	TO_OUT	RETURN_RFLAGS, RFLAGS
	TO_OUT	RETURN_RSP, RSP
	TO_OUT	RETURN_RAX, RAX
	TO_OUT	RETURN_RCX, RCX
	TO_OUT	RETURN_R11, R11
	MASK_FP
	xsave64	STATE(OUT_XSAVE)
	rdfsbase %rax
	mov	%rax, STATE(OUT_FS_BASE)
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_BASE)
	mov	CTL(CTL_GS_USER), %rax
	testl	$PE_CHANGED_GS_USER, STATE(STATE_CHANGED)
	jz	2f
	mov	STATE(STATE_GS_USER), %rax
2:	mov	%rax, STATE(OUT_GS_BASE)
	xor	%r15d, %r15d

/*
 * The vCPU goes to the peer, whose process finds our OUT; we wait until it comes back or the
 * hypervisor resumes us. The peer may be about to sleep when we look: then waking wakes nobody, and
 * we try again until it sleeps or has seen us. r15d: sleep at once.
 */
hand_over:
	mov	CTL(CTL_PEER_AT), %rbp
	mov	STATE(STATE_GO), %ebx
	movl	$1, STATE(STATE_TURN)
	lock incl STATE(OUT_SEQ) /* full barrier; pairs with the xchg of OUT_WAITS */
	mov	$64, %r12d
1:	cmpl	$0, PEER(OUT_WAITS)
	je	2f
	WAKE	PEER(OUT_PARK)
	test	%eax, %eax
	jnz	2f
	mov	$NR_SCHED_YIELD, %eax
	syscall
	dec	%r12d
	jnz	1b
2:	test	%r15d, %r15d
	jz	wait
	jmp	sleep

slow_iret:
	mov	$__HYPERVISOR_iret, %eax
	jmp	slow

return_in_place: /* all other registers, and the floating-point state, are the user's already */
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_KERNEL)
	mov	CTL(CTL_GS_USER), %rax
	testl	$PE_CHANGED_GS_USER, STATE(STATE_CHANGED)
	jz	1f
	mov	STATE(STATE_GS_USER), %rax
	CANONICAL
1:	wrgsbase %rax
	orl	$PE_CHANGED_MODE, STATE(STATE_CHANGED)
	movl	$1, STATE(STATE_MODE)
	incl	STATE(STATE_LOCAL + 4 * __HYPERVISOR_iret)
	RETURN_HERE

/* ---- a kernel that believes to be at ring 0 ---------------------------------------------------- */

/*
 * sysretq and iretq of such a kernel's, from the patches that stand for them (fullvirt/emit.c): ecx =
 * the instruction's address, the guest's rcx is in the page at CTL_INFO; all else is the guest's. What
 * is not plain goes the long way, and is carried out there from the guest's memory.
 */
.macro NATIVE_BEGIN
	mov	%rsp, STATE(STATE_REGS_RSP)
	lea	STATE(STATE_REGS_RSP), %rsp
	pushfq
	cmpl	$0, CTL(CTL_PENDING)
	jne	slow
	cmpl	$0, STATE(STATE_TRACED)
	jne	slow
	mov	%rax, STATE(STATE_RETURN + RETURN_RAX)
	mov	%r11, STATE(STATE_RETURN + RETURN_R11)
	mov	%rcx, STATE(STATE_SCRATCH)
	mov	CTL(CTL_INFO), %rax
.endm

/* The flags in r11, for the guest: interrupts on or off. Loses ecx. RF means nothing here. */
.macro NATIVE_FLAGS slow:req
	btr	$16, %r11
	test	$~FLAGS_PLAIN, %r11
	jnz	\slow
	mov	%r11, STATE(STATE_RETURN + RETURN_RFLAGS)
	mov	%r11d, %ecx
	not	%ecx
	shr	$9, %ecx
	and	$1, %ecx
	xchg	%cl, 1(%rax) /* as in iret_in_place */
	testl	$FLAG_IF, %r11d
	jz	775f
	cmpb	$0, (%rax)
	je	775f
	mov	%cl, 1(%rax) /* until the long way has done it, the flag is as it was */
	jmp	\slow
775:
.endm

	.globl	pe_tramp_native_sysret
pe_tramp_native_sysret:
	NATIVE_BEGIN
	cmpl	$0, CTL(CTL_PEER)
	je	native_slow
touch_native_sysret:
	mov	NATIVE_T1(%rax), %rcx
	mov	%rcx, STATE(STATE_RETURN + RETURN_RCX)
	mov	%rcx, STATE(STATE_RETURN + RETURN_RIP)
	shr	$47, %rcx
	jnz	native_slow
	mov	STATE(STATE_REGS_RSP), %rcx
	mov	%rcx, STATE(STATE_RETURN + RETURN_RSP)
	NATIVE_FLAGS native_slow
touch_native_sysret_end:
native_to_user: /* by swapgs the base in use is the user's */
	incl	STATE(STATE_LOCAL + 4 * PE_LOCAL_NATIVE_RETURN)
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_USER)
	orl	$PE_CHANGED_GS_USER, STATE(STATE_CHANGED)
	jmp	give_to_user

native_slow:
	mov	STATE(STATE_RETURN + RETURN_RAX), %rax
	mov	STATE(STATE_RETURN + RETURN_R11), %r11
	mov	STATE(STATE_SCRATCH), %rcx
	jmp	slow

	.globl	pe_tramp_native_iret
pe_tramp_native_iret: /* the frame: rip, cs, rflags, rsp, ss */
	NATIVE_BEGIN
touch_native_iret:
	mov	NATIVE_T1(%rax), %rcx
	mov	%rcx, STATE(STATE_RETURN + RETURN_RCX)
	mov	STATE(STATE_REGS_RSP), %rsp
	mov	(%rsp), %rcx
	mov	%rcx, STATE(STATE_RETURN + RETURN_RIP)
	shr	$47, %rcx
	jnz	native_slow_iret
	mov	24(%rsp), %rcx
	mov	%rcx, STATE(STATE_RETURN + RETURN_RSP)
	mov	16(%rsp), %r11
	movzwl	8(%rsp), %ecx
	cmp	CTL(CTL_NATIVE_CS), %ecx
	jne	1f
	NATIVE_FLAGS native_slow_iret
	RETURN_HERE
1:	cmpl	$0, CTL(CTL_PEER)
	je	native_slow_iret
	cmpl	$0, CTL(CTL_NATIVE_ASKS)
	jne	native_slow_iret
	cmp	CTL(CTL_USER_CS), %ecx
	jne	native_slow_iret
	movzwl	32(%rsp), %ecx
	cmp	CTL(CTL_USER_SS), %ecx
	jne	native_slow_iret
	NATIVE_FLAGS native_slow_iret
touch_native_iret_end:
	lea	STATE(STATE_REGS_RSP), %rsp
	jmp	native_to_user
native_slow_iret:
	lea	STATE(STATE_REGS_RSP - 8), %rsp
	jmp	native_slow

/* ---- signals --------------------------------------------------------------------------------- */

/* edi = signal, rsi = siginfo, rdx = ucontext, both on the signal stack. */
	.globl	pe_tramp_signal
pe_tramp_signal:
	mov	UC_RIP(%rdx), %rax
	lea	base(%rip), %rcx
	sub	%rcx, %rax
	cmp	$PE_CODE_SIZE, %rax
	jb	inside
	cmp	$PE_SIG_SYS, %edi
	je	user_call
	cmp	$PE_SIG_KICK, %edi
	jne	report
	cmpl	$0, CTL(CTL_PENDING)
	je	go_back /* somebody has answered that kick already */

report:
	mov	%rdx, STATE(STATE_UC)
	mov	%rsi, STATE(STATE_INFO)
	mov	%edi, STATE(STATE_SIGNO)
	rdfsbase %rax
	mov	%rax, STATE(STATE_FS_BASE)
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_BASE)
	mov	$PE_EXIT_SIGNAL, %ebp
	jmp	post

user_call: /* a system call of user mode goes to its kernel without us, if it is an ordinary one */
	cmpl	$0, CTL(CTL_PENDING)
	jne	report
	cmpl	$0, STATE(STATE_TRACED)
	jne	report
	cmpl	$PE_ARCH_X86_64, SI_ARCH(%rsi)
	jne	report
	mov	SI_CALL_ADDR(%rsi), %rax
	shr	$47, %rax
	jnz	report
	cmpw	$PE_CS64, UC_CS(%rdx)
	jne	report
	testl	$FLAG_TF, UC_FLAGS(%rdx)
	jnz	report
	cmpl	$0, CTL(CTL_ONE_ROOT)
	jne	call_in_place
	cmpl	$0, CTL(CTL_PEER)
	je	report
	cmpl	$0, CTL(CTL_IS_USER)
	je	report
	mov	%rdx, %rsp
	mov	UC_R15(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R15)
	mov	UC_R14(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R14)
	mov	UC_R13(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R13)
	mov	UC_R12(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R12)
	mov	UC_RBP(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RBP)
	mov	UC_RBX(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RBX)
	mov	UC_R10(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R10)
	mov	UC_R9(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R9)
	mov	UC_R8(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + R8)
	mov	UC_RAX(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RAX)
	mov	UC_RDX(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RDX)
	mov	UC_RSI(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RSI)
	mov	UC_RDI(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RDI)
	mov	UC_RIP(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RIP)
	mov	UC_FLAGS(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RFLAGS)
	mov	UC_RSP(%rsp), %rax
	mov	%rax, STATE(OUT_REGS + RSP)
	mov	UC_FPSTATE(%rsp), %rsi
	lea	STATE(OUT_XSAVE), %rdi
	mov	CTL(CTL_FP_SIZE), %ecx
	rep movsb
	rdfsbase %rax
	mov	%rax, STATE(OUT_FS_BASE)
	rdgsbase %rax
	mov	%rax, STATE(OUT_GS_BASE)
	/*
	 * Its kernel left it for another program the last time that it made this call: then it may well do
	 * so again, and can only when we sleep. Else giving way costs less.
	 */
	mov	CTL(CTL_LEFT), %eax
	mov	%eax, STATE(STATE_LEFT)
	xor	%r15d, %r15d
	mov	STATE(OUT_REGS + RAX), %rax
	cmp	STATE(STATE_SLEEPY), %rax
	sete	%r15b
	jmp	hand_over

/*
 * One root for both: the kernel is entered here and now. Until its frame is written nothing has
 * changed, so a stack that is not there makes it an exit like any other.
 */
call_in_place:
	cmpl	$0, STATE(STATE_MODE)
	je	report
	mov	UC_RIP(%rdx), %rcx
	mov	UC_FLAGS(%rdx), %r11d
	mov	UC_RSP(%rdx), %r9
	lea	enter_in_place(%rip), %r10
	lea	report_call(%rip), %r8
	jmp	build_frame
report_call:
	mov	$PE_SIG_SYS, %edi
	lea	UC_SIGINFO(%rdx), %rsi
	jmp	report
enter_in_place: /* rcx and r11 are set; the signal stack must be left when all is read from it */
	mov	UC_FPSTATE(%rdx), %rbx
	mov	%rdx, %rsp
	LOAD_FRAME_FP
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_USER)
	mov	STATE(STATE_GS_KERNEL), %rax
	CANONICAL
	wrgsbase %rax
	orl	$PE_CHANGED_GS_USER | PE_CHANGED_MODE, STATE(STATE_CHANGED)
	movl	$0, STATE(STATE_MODE)
	mov	UC_R15(%rsp), %r15
	mov	UC_R14(%rsp), %r14
	mov	UC_R13(%rsp), %r13
	mov	UC_R12(%rsp), %r12
	mov	UC_RBP(%rsp), %rbp
	mov	UC_RBX(%rsp), %rbx
	mov	UC_R10(%rsp), %r10
	mov	UC_R9(%rsp), %r9
	mov	UC_R8(%rsp), %r8
	mov	UC_RAX(%rsp), %rax
	mov	UC_RDX(%rsp), %rdx
	mov	UC_RSI(%rsp), %rsi
	mov	UC_RDI(%rsp), %rdi
	lea	STATE(STATE_SCRATCH + 8), %rsp
	popfq
	pop	%rsp
	jmp	*STATE(STATE_SCRATCH)

inside:	/* rax = offset in these pages */
	cmp	$PE_SIG_KICK, %edi
	je	go_back
	cmp	$PE_SIG_TRAP, %edi
	jne	1f
	cmpq	$1, UC_TRAPNO(%rdx)
	jne	report
	andl	$~FLAG_TF, UC_FLAGS(%rdx)
	movl	$1, STATE(STATE_TRACED)
	jmp	go_back
1:	/* Memory that we touched for the guest is gone, or held what cannot be loaded. */
	lea	fixups(%rip), %rsi
2:	movzwl	(%rsi), %ecx
	test	%ecx, %ecx
	jz	3f
	cmp	%rcx, %rax
	jb	4f
	movzwl	2(%rsi), %ecx
	cmp	%rcx, %rax
	jb	5f
4:	add	$6, %rsi
	jmp	2b
5:	movzwl	4(%rsi), %ecx
	lea	base(%rip), %rax
	add	%rcx, %rax
	mov	%rax, UC_RIP(%rdx)
	jmp	go_back
3:	lea	UC_SIGINFO(%rdx), %rsi
	jmp	report

/* From, up to, where to go on instead; offsets in these pages. */
fixups:
	.word	touch_version - base, touch_version_end - base, slow - base
	.word	touch_iret - base, touch_iret_end - base, slow_iret - base
	.word	touch_entry - base, touch_entry_end - base, no_frame - base
	.word	touch_fp - base, touch_fp_end - base, initial_fp - base
	.word	touch_native_call - base, touch_native_call_end - base, taken - base
	.word	touch_native_sysret - base, touch_native_sysret_end - base, native_slow - base
	.word	touch_native_iret - base, touch_native_iret_end - base, native_slow_iret - base
	/* A peer's page that is not there: to report that would come here again, for ever. */
	.word	touch_peer - base, touch_peer_end - base, nothing_yet - base
	.word	touch_bell - base, touch_bell_end - base, wait - base
	.word	0

go_back: /* to what this signal interrupted, all registers as they were */
	mov	UC_FPSTATE(%rdx), %rbx
	mov	%rdx, %rcx
	MASK_FP
	xrstor64 (%rbx)
	pushq	$2 /* NT would make iretq fault */
	popfq
	mov	%rcx, %rsp
	movzwl	UC_CS(%rsp), %eax
	movzwl	UC_SS(%rsp), %ebx
	mov	UC_RIP(%rsp), %rcx
	mov	UC_FLAGS(%rsp), %rdx
	mov	UC_RSP(%rsp), %rsi
	mov	%rcx, UC_SIGINFO(%rsp)
	mov	%rax, UC_SIGINFO + 8(%rsp)
	mov	%rdx, UC_SIGINFO + 16(%rsp)
	mov	%rsi, UC_SIGINFO + 24(%rsp)
	mov	%rbx, UC_SIGINFO + 32(%rsp)
	mov	UC_R8(%rsp), %r8
	mov	UC_R9(%rsp), %r9
	mov	UC_R10(%rsp), %r10
	mov	UC_R11(%rsp), %r11
	mov	UC_R12(%rsp), %r12
	mov	UC_R13(%rsp), %r13
	mov	UC_R14(%rsp), %r14
	mov	UC_R15(%rsp), %r15
	mov	UC_RDI(%rsp), %rdi
	mov	UC_RSI(%rsp), %rsi
	mov	UC_RBP(%rsp), %rbp
	mov	UC_RBX(%rsp), %rbx
	mov	UC_RDX(%rsp), %rdx
	mov	UC_RAX(%rsp), %rax
	mov	UC_RCX(%rsp), %rcx
	lea	UC_SIGINFO(%rsp), %rsp
	iretq

/* ---- an exit: report it, wait for the answer -------------------------------------------------- */

post:	/* ebp = kind; everything else is in state already */
	movl	%ebp, STATE(STATE_KIND)
	STAMP	STATE(STATE_TSC)
	/* What "go on" reads now is not for this exit, whoever is quick to answer. */
	mov	STATE(STATE_GO), %ebx
	mov	CTL(CTL_BELL), %r13
	lock incl STATE(STATE_EXIT_SEQ) /* full barrier; pairs with ours after OUT_HV is set */
1:
touch_bell:
	cmpl	$0, (%r13)
touch_bell_end:
	je	wait
	mov	%r13, %rdi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	mov	$NR_FUTEX, %eax
	syscall
	test	%eax, %eax
	jnz	wait
	mov	$NR_SCHED_YIELD, %eax /* it is about to sleep, or about to see us */
	syscall
	jmp	1b

/*
 * Waits until GO is not ebx any more, or the peer hands us the vCPU. `check` comes back to r14 when
 * there is nothing yet.
 */
wait:	mov	CTL(CTL_SPINS), %r12d
1:	lea	2f(%rip), %r14
	jmp	check
2:	pause
	dec	%r12d
	jns	1b
	xor	%r12d, %r12d
3:	cmp	%r12d, CTL(CTL_YIELDS) /* it may be taken back while we wait */
	jle	sleep
	inc	%r12d
	mov	$NR_SCHED_YIELD, %eax
	syscall
	lea	4f(%rip), %r14
	jmp	check
4:	jmp	3b
sleep:	mov	STATE(OUT_PARK), %r13d
	mov	$1, %eax
	xchg	%eax, STATE(OUT_WAITS) /* full barrier; pairs with those before OUT_WAITS is read */
	lea	6f(%rip), %r14
	jmp	check
6:	mov	%r13d, %edx
	SLEEP	STATE(OUT_PARK)
	jmp	sleep

check:	cmp	%ebx, STATE(STATE_GO)
	jne	resume
	cmpl	$0, CTL(CTL_PEER) /* what its peer gives now is for another one */
	je	1f
	cmpl	$0, STATE(STATE_TURN)
	je	1f
	mov	CTL(CTL_PEER_AT), %rbp
touch_peer:
	mov	PEER(OUT_SEQ), %edx
touch_peer_end:
	cmp	%edx, STATE(OUT_TAKEN)
	je	1f
	/* The hypervisor takes the turn away by the same exchange: one of us gets it. */
	mov	$1, %eax
	xor	%ecx, %ecx
	lock cmpxchg %ecx, STATE(STATE_TURN)
	je	take
1:
nothing_yet:
	jmp	*%r14

/* ---- the peer has handed us the vCPU ----------------------------------------------------------- */

take:	mov	%edx, STATE(OUT_TAKEN)
	movl	$0, STATE(OUT_WAITS)
	STAMP	STATE(STATE_RESUMED)
	lea	STATE(STATE_REGS_RSP), %rsp
	cmpl	$0, CTL(CTL_IS_USER)
	jne	take_return

	/* A system call of the user's: all that comes from PEER is foreign, and read once. */
	cmpl	$0, CTL(CTL_PENDING)
	jne	taken
	mov	PEER(OUT_REGS + RIP), %rcx
	mov	%rcx, %rax
	shr	$47, %rax
	jnz	taken
	mov	PEER(OUT_REGS + RFLAGS), %r11d
	mov	PEER(OUT_REGS + RSP), %r9
	cmpl	$0, CTL(CTL_NATIVE)
	jne	native_call
	lea	enter_taken(%rip), %r10
	lea	taken(%rip), %r8
	jmp	build_frame
enter_taken:
	mov	PEER(OUT_GS_BASE), %rax
	CANONICAL
	mov	%rax, STATE(STATE_GS_USER)
	orl	$PE_CHANGED_GS_USER, STATE(STATE_CHANGED)
load_peer:
	mov	PEER(OUT_FS_BASE), %rax
	CANONICAL
	wrfsbase %rax
	MASK_FP
touch_fp:
	xrstor64 PEER(OUT_XSAVE)
touch_fp_end:
	jmp	run_peer

/*
 * A kernel that believes to be at ring 0 is entered as `syscall` does: no frame, the user's stack and GS
 * base, the flags less those of the mask. Its interrupt flag is the mask of events turned round.
 */
native_call:
	and	$FLAGS_USER, %r11d
	or	$FLAG_ALWAYS, %r11d
	mov	CTL(CTL_INFO), %rsi
	mov	CTL(CTL_NATIVE_FMASK), %ebx
touch_native_call:
	testb	$1, 1(%rsi)
	jz	1f
	and	$~FLAG_IF, %r11d
1:	test	$FLAG_IF, %ebx
	jz	touch_native_call_end
	movb	$1, 1(%rsi)
touch_native_call_end:
	not	%ebx
	and	%r11d, %ebx
	mov	%rbx, STATE(STATE_SCRATCH + 8)
	mov	%r9, STATE(STATE_SCRATCH + 16)
	mov	CTL(CTL_SYSCALL), %rax
	mov	%rax, STATE(STATE_SCRATCH)
	mov	PEER(OUT_GS_BASE), %rax
	CANONICAL
	wrgsbase %rax
	incl	STATE(STATE_LOCAL + 4 * PE_LOCAL_NATIVE_CALL)
	jmp	load_peer

initial_fp: /* nobody can have had such a state */
	MASK_FP
	xrstor64 CONST(CONST_INITIAL_FP)
	jmp	run_peer

taken:	/* the hypervisor enters the kernel instead, from the peer's OUT */
	rdgsbase %rax
	mov	%rax, STATE(STATE_GS_BASE)
	mov	$PE_EXIT_TAKEN, %ebp
	jmp	post

/*
 * The frame of a system call (struct pv_bounce_frame) on the kernel's stack, and where to go on in
 * SCRATCH. rcx = rip, r11d = flags, r9 = stack of the user; then to r10, or to r8 when the stack is not
 * there. Sets r11 to the flags that are shown; loses rax, rbx, rsi, rdi.
 */
build_frame:
	and	$FLAGS_USER, %r11d
	or	$FLAG_ALWAYS, %r11d
	mov	CTL(CTL_KERNEL_SP), %rdi
	testl	$PE_CHANGED_STACK, STATE(STATE_CHANGED)
	jz	1f
	mov	STATE(STATE_KERNEL_SP), %rdi
1:	and	$-16, %rdi
	sub	$56, %rdi
	mov	CTL(CTL_INFO), %rsi
touch_entry:
	movzbl	1(%rsi), %ebx
	mov	%rcx, (%rdi)
	mov	%r11, 8(%rdi)
	mov	%rcx, 16(%rdi)
	mov	%rbx, %rax
	shl	$PV_BOUNCE_CS_MASK_SHIFT, %rax
	mov	%rax, 24(%rdi)
	mov	CTL(CTL_USER_CS), %eax
	or	%eax, 24(%rdi)
	mov	%r11d, %eax
	and	$~FLAG_IF_IOPL, %eax
	test	%ebx, %ebx
	jnz	2f
	or	$FLAG_IF, %eax
2:	mov	CTL(CTL_IOPL), %ebx
	and	CTL(CTL_IOPL + 4), %ebx
	or	%ebx, %eax
	mov	%rax, 32(%rdi)
	mov	%r9, 40(%rdi)
	mov	CTL(CTL_USER_SS), %eax
	mov	%rax, 48(%rdi)
	cmpl	$0, CTL(CTL_SYS_MASKS)
	je	touch_entry_end
	lock orb $1, 1(%rsi)
touch_entry_end:
	mov	%rdi, STATE(STATE_SCRATCH + 16)
	mov	%r11d, %eax
	and	$~FLAGS_ON_ENTRY, %eax
	mov	%rax, STATE(STATE_SCRATCH + 8)
	mov	CTL(CTL_SYSCALL), %rax
	mov	%rax, STATE(STATE_SCRATCH)
	jmp	*%r10
no_frame:
	jmp	*%r8

take_return: /* to user mode, by the kernel's iret; a page that it wants may be just about to come */
	mov	STATE(OUT_REGS + RAX), %rcx
	mov	CTL(CTL_LEFT), %eax
	cmp	%eax, STATE(STATE_LEFT)
	jne	1f
	cmp	%rcx, STATE(STATE_SLEEPY)
	jne	2f
	mov	$-1, %rcx /* it was wrong */
1:	mov	%rcx, STATE(STATE_SLEEPY)
2:
	mov	$4, %r12d
1:	mov	CTL(CTL_TAIL), %eax
	cmp	%eax, STATE(STATE_DONE)
	je	2f
	mov	$NR_SCHED_YIELD, %eax
	syscall
	dec	%r12d
	jnz	1b
2:	MASK_FP
	xrstor64 PEER(OUT_XSAVE)
	mov	PEER(OUT_FS_BASE), %rax
	wrfsbase %rax
	mov	PEER(OUT_GS_BASE), %rax
	wrgsbase %rax
	mov	PEER(OUT_REGS + RIP), %rax
	mov	%rax, STATE(STATE_SCRATCH)
	mov	PEER(OUT_REGS + RFLAGS), %rax
	mov	%rax, STATE(STATE_SCRATCH + 8)
	mov	PEER(OUT_REGS + RSP), %rax
	mov	%rax, STATE(STATE_SCRATCH + 16)
	mov	PEER(OUT_REGS + RCX), %rcx
	mov	PEER(OUT_REGS + R11), %r11

run_peer: /* rbp is where PEER is; rcx and r11 are set, target, flags and stack are in SCRATCH, the rest is PEER's */
	mov	PEER(OUT_REGS + R15), %r15
	mov	PEER(OUT_REGS + R14), %r14
	mov	PEER(OUT_REGS + R13), %r13
	mov	PEER(OUT_REGS + R12), %r12
	mov	PEER(OUT_REGS + RBX), %rbx
	mov	PEER(OUT_REGS + R10), %r10
	mov	PEER(OUT_REGS + R9), %r9
	mov	PEER(OUT_REGS + R8), %r8
	mov	PEER(OUT_REGS + RAX), %rax
	mov	PEER(OUT_REGS + RDX), %rdx
	mov	PEER(OUT_REGS + RSI), %rsi
	mov	PEER(OUT_REGS + RDI), %rdi
	mov	PEER(OUT_REGS + RBP), %rbp
	lea	STATE(STATE_SCRATCH + 8), %rsp
	popfq
	pop	%rsp
	jmp	*STATE(STATE_SCRATCH)

/* ---- resuming the guest from ctl -------------------------------------------------------------- */

resume:
	cmpl	$0, STATE(OUT_WAITS) /* a line that both look at, seldom written */
	je	1f
	movl	$0, STATE(OUT_WAITS)
1:
	STAMP	STATE(STATE_RESUMED)
	mov	CTL(CTL_ACTION), %ebp
	test	$PE_DO_SAVE, %ebp
	jnz	save
	test	$PE_DO_FP, %ebp
	jz	1f
	mov	CTL(CTL_FP_ADDR), %rdi
	MASK_FP
	xrstor64 (%rdi)
1:	test	$PE_DO_BASES, %ebp
	jz	2f
	mov	CTL(CTL_FS_BASE), %rax
	wrfsbase %rax
	mov	CTL(CTL_GS_BASE), %rax
	wrgsbase %rax
2:	lea	STATE(STATE_REGS_RSP), %rsp
	pushq	$2 /* NT would make iretq fault */
	popfq
	lea	CTL(CTL_REGS), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	testl	$PE_DO_IRET, CTL(CTL_ACTION)
	jnz	3f
	lea	16(%rsp), %rsp
	popfq
	pop	%rsp
	jmp	*CTL(CTL_REGS + 15 * 8)
3:	iretq

save:	MASK_FP
	xsave64	STATE(STATE_XSAVE)
	mov	$PE_EXIT_SAVED, %ebp
	jmp	post

	.globl	pe_tramp_vcpu
pe_tramp_vcpu:
	lea	STATE(STATE_REGS_RSP), %rsp
	mov	$PE_EXIT_READY, %ebp
	jmp	post

/* ---- the mapper thread ------------------------------------------------------------------------ */

/*
 * Carries out the orders in ctl, in their order, and keeps everything in registers: r12d is the
 * next order's number. All signals are blocked, so any mishap is the end of the process.
 *
 * We wait for the count of orders done before we use a slot again, but that count lies in state.
 * So a slot is believed only while it carries the number that is due, before and after it is read;
 * a guest that forges the count loses its mapper, and with it the process.
 */
	.globl	pe_tramp_mapper
pe_tramp_mapper:
	mov	$1, %r12d
	xor	%r14d, %r14d
next_order:
	mov	CTL(CTL_TAIL), %edx
	mov	%edx, %eax
	sub	%r12d, %eax
	js	no_order
	mov	%r12d, %eax
	and	$PE_NR_ORDERS - 1, %eax
	shl	$PE_ORDER_SHIFT, %eax
	lea	CTL(CTL_ORDERS), %r13
	add	%rax, %r13
	cmp	%r12d, ORDER_SEQ(%r13)
	jne	lost
	mov	ORDER_OP(%r13), %ebx
	mov	ORDER_ADDR(%r13), %rdi
	mov	ORDER_LEN(%r13), %rsi
	mov	ORDER_OFFSET(%r13), %r9
	mov	ORDER_PROT(%r13), %edx
	mov	ORDER_GO(%r13), %r14d
	mov	ORDER_ACK(%r13), %r15d
	cmp	%r12d, ORDER_SEQ(%r13)
	jne	lost
	mov	$MAP_FLAGS, %r10d
	mov	$PE_FD_MEMORY, %r8d
	cmp	$PE_OP_MAP, %ebx
	jb	order_done
	je	0f
	cmp	$PE_OP_UNMAP, %ebx
	je	1f
	mov	$PE_FD_GROUP, %r8d
	cmp	$PE_OP_PEER, %ebx
	je	0f
	mov	$PE_FD_FOREIGN, %r8d
0:	mov	$NR_MMAP, %eax
	syscall
	cmp	$PE_OP_FOREIGN, %ebx
	jne	6f
	mov	%rax, %rbp
	mov	$PE_FD_FOREIGN, %edi
	mov	$NR_CLOSE, %eax
	syscall
	mov	%rbp, %rax
6:
	cmp	$MINUS_ERRNO, %rax
	jbe	order_done
	/* No memory or too many mappings: give up all of them; the guest will fault again. */
	incl	STATE(STATE_MAP_FAILED)
	jmp	2f
1:	mov	$NR_MUNMAP, %eax
	syscall
	test	%rax, %rax
	jz	order_done
2:	xor	%edi, %edi
	mov	$PE_WINDOW, %rsi
	mov	$NR_MUNMAP, %eax
	syscall
	test	%rax, %rax
	jnz	lost
order_done:
	mov	%r12d, STATE(STATE_DONE)
	test	%r14d, %r14d
	jz	3f
	mov	%r14d, STATE(STATE_GO)
	lock incl STATE(OUT_PARK) /* full barrier; pairs with the xchg of OUT_WAITS */
	cmpl	$0, STATE(OUT_WAITS)
	je	3f
	WAKE	STATE(OUT_PARK)
3:	test	%r15d, %r15d
	jz	4f
	mov	$PE_FD_ACK, %edi
	lea	CTL(CTL_ACK), %rsi
	mov	$8, %edx
	mov	$NR_WRITE, %eax
	syscall
4:	inc	%r12d
	mov	CTL(CTL_MAPPER_YIELDS), %r14d
	jmp	next_order
no_order:
	/*
	 * Soon after an order another one is likely, and giving way costs less than sleeping. But
	 * when the vCPU thread has stopped and nobody has answered it yet, we run before the thread
	 * that will order something: then we would do so every time. Sleeping lets it go ahead.
	 */
	dec	%r14d
	js	5f
	mov	STATE(STATE_EXIT_SEQ), %eax
	cmp	%eax, CTL(CTL_ANSWERED)
	jne	5f
	mov	$NR_SCHED_YIELD, %eax
	syscall
	jmp	next_order
5:	mov	$1, %eax
	xchg	%eax, STATE(STATE_MAPPER_WAITS) /* full barrier; pairs with ours after ctl.tail */
	cmp	%edx, CTL(CTL_TAIL)
	jne	next_order
	SLEEP	CTL(CTL_TAIL)
	xor	%r14d, %r14d
	jmp	next_order
lost:	ud2

/* ---- scripts ---------------------------------------------------------------------------------- */

/* rbx = first entry. Uses no stack. */
	.globl	pe_tramp_script
pe_tramp_script:
	mov	SCRIPT_NR(%rbx), %rax
	mov	SCRIPT_ARG(%rbx), %rdi
	cmp	$PE_SCRIPT_JUMP, %rax
	je	4f
	mov	SCRIPT_ARG + 8(%rbx), %rsi
	mov	SCRIPT_ARG + 16(%rbx), %rdx
	mov	SCRIPT_ARG + 24(%rbx), %r10
	mov	SCRIPT_ARG + 32(%rbx), %r8
	mov	SCRIPT_ARG + 40(%rbx), %r9
	syscall
	mov	SCRIPT_CHECK(%rbx), %ecx
	cmp	$PE_CHECK_NONE, %ecx
	je	3f
	cmp	$PE_CHECK_EQUAL, %ecx
	jb	2f
	ja	1f
	cmp	SCRIPT_VALUE(%rbx), %rax
	je	3f
	jmp	script_failed
1:	test	%rax, %rax
	jz	5f
	mov	%rax, STATE(STATE_MAPPER_TID)
2:	cmp	$MINUS_ERRNO, %rax
	ja	script_failed
3:	add	$PE_SCRIPT_ENTRY, %rbx
	jmp	pe_tramp_script
4:	jmp	*%rdi
5:	mov	SCRIPT_VALUE(%rbx), %rbx
	jmp	pe_tramp_script
script_failed: /* before state is mapped this is the end by SIGSEGV, which serves as well */
	mov	%eax, STATE(STATE_RESULT)
	movl	$PE_EXIT_FAILED, STATE(STATE_KIND)
	lock incl STATE(STATE_EXIT_SEQ)
	WAKE	STATE(OUT_HV)
	mov	$1, %edi
	mov	$NR_EXIT_GROUP, %eax
	syscall
	ud2

/* ---- the process that clones the others -------------------------------------------------------- */

	.globl	pe_tramp_nursery
pe_tramp_nursery:
	lea	CONST(CONST_CHILD_SCRIPT), %rbp
	xor	%r12d, %r12d
1:	mov	CTL(ZCTL_REQUEST), %edx
	cmp	%r12d, %edx
	jne	2f
	SLEEP	CTL(ZCTL_REQUEST)
	jmp	1b
2:	inc	%r12d
	mov	$CLONE_PARENT, %edi
	xor	%esi, %esi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	mov	$NR_CLONE, %eax
	syscall
	test	%rax, %rax
	jnz	3f
	mov	%rbp, %rbx
	jmp	pe_tramp_script
3:	mov	%eax, STATE(ZSTATE_PID)
	mov	%r12d, STATE(ZSTATE_DONE)
	WAKE	STATE(ZSTATE_DONE)
	jmp	1b

	.globl	pe_tramp_end
pe_tramp_end:
	.org	base + PE_CODE_SIZE /* an error when the pages are full */

	.section .note.GNU-stack, "", @progbits
