/* SPDX-License-Identifier: MIT */
/*
 * What comes from programs without their asking: page faults and other exceptions.
 */
#include "tests/guests/unix/trap.h"

#include "abi/arch_x86_64.h"
#include "pvops/lock.h"
#include "pvops/mmu.h"
#include "pvops/traps.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/syscall.h"

static uint64_t nr_faults;

uint64_t trap_faults(void)
{
	return nr_faults;
}

static unsigned int access_of(uint32_t error)
{
	if (error & PV_PF_WRITE)
		return PV_PROT_WRITE;
	return error & PV_PF_FETCH ? PV_PROT_EXEC : PV_PROT_READ;
}

/*
 * The kernel's own memory may fault too: a page that was a table, and is writable again, is
 * read-only still in this vCPU's translations. The fault has dropped that one; nothing is wrong.
 */
static bool is_stale(const struct pv_frame *frame)
{
	const uint64_t *entry;

	if (frame->cr2 >= pv_boot.memory_end || !(frame->error_code & PV_PF_WRITE))
		return false;
	entry = pv_mmu_walk(frame->cr2, 1);
	return entry && *entry & PV_PTE_PRESENT && *entry & PV_PTE_WRITE;
}

static bool on_page_fault(struct pv_frame *frame)
{
	bool from_user = pv_frame_from_user(frame);
	struct proc *p = current();
	uint64_t address = frame->cr2;
	int rc = -EFAULT;

	if (!from_user && is_stale(frame))
		return true;
	__atomic_fetch_add(&nr_faults, 1, __ATOMIC_RELAXED);
	if (p->has_memory && address >= PV_USER_START && address < PV_USER_END)
		rc = vm_fault(&p->vm, address, access_of(frame->error_code));
	if (!rc)
		return true;
	if (!from_user)
		return false; /* a copy's row in the exception table, or the end of the kernel */
	if (rc == -ENOMEM)
		proc_exit(UNIX_STATUS(0, SIGKILL));
	signal_trap(frame, SIGSEGV);
	signal_deliver(frame);
	return true;
}

static int signal_of(unsigned int vector)
{
	switch (vector) {
	case PV_VECTOR_DE:
	case PV_VECTOR_OF:
	case PV_VECTOR_BR:
	case PV_VECTOR_MF:
	case PV_VECTOR_XM:
		return SIGFPE;
	case PV_VECTOR_DB:
	case PV_VECTOR_BP:
		return SIGTRAP;
	case PV_VECTOR_UD:
		return SIGILL;
	case PV_VECTOR_AC:
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

static bool on_exception(struct pv_frame *frame)
{
	if (!pv_frame_from_user(frame))
		return false;
	signal_trap(frame, signal_of(frame->vector));
	signal_deliver(frame);
	return true;
}

static bool on_syscall(struct pv_frame *frame)
{
	syscall_do(frame);
	signal_deliver(frame);
	return true;
}

void trap_init(void)
{
	static const uint8_t vectors[] = {
		PV_VECTOR_DE, PV_VECTOR_DB, PV_VECTOR_BP, PV_VECTOR_OF,
		PV_VECTOR_BR, PV_VECTOR_UD, PV_VECTOR_NM, PV_VECTOR_TS,
		PV_VECTOR_NP, PV_VECTOR_SS, PV_VECTOR_GP, PV_VECTOR_MF,
		PV_VECTOR_AC, PV_VECTOR_XM, PV_VECTOR_CP, PV_VECTOR_FAILSAFE,
	};
	unsigned int i;

	for (i = 0; i < sizeof(vectors); i++)
		pv_trap_set(vectors[i], on_exception);
	pv_trap_set(PV_VECTOR_PF, on_page_fault);
	pv_trap_set(PV_VECTOR_SYSCALL, on_syscall);
}
