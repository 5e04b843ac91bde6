/* SPDX-License-Identifier: MIT */
/*
 * What a guest process does to become one, as lists of system calls that the trampoline carries
 * out: our code and stack are gone by then.
 *
 *   nursery   empties itself, maps what all guest processes share, and waits for requests to clone
 *   child     a clone: makes sure that it dies with us, maps its own slot, starts its mapper thread,
 *             puts on the filter and waits for its first resume
 *   mapper    puts on its own filter and waits for orders
 *
 * The lists lie in the constants page; only where the child's slot is changes between clones, and
 * one clone is made at a time.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

struct script_entry {
	uint64_t nr;
	uint64_t arg[6];
	uint64_t check, value;
};

/* As the kernel has it; libc's differs. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

/* Structures that the scripts point to; at CONST_DATA. */
struct script_data {
	stack_t signal_stack;
	struct kernel_sigaction action;
	uint64_t mask; /* signals that are blocked in the vCPU thread */
	struct rlimit no_core;
	char name[16];
};

#define SA_KERNEL_RESTORER  0x04000000u
#define CONST_ADDRESS(off)  (PE_CONST + (off))
#define DATA_ADDRESS(field) CONST_ADDRESS(CONST_DATA + offsetof(struct script_data, field))

_Static_assert(sizeof(struct script_entry) == PE_SCRIPT_ENTRY, "script entry");
_Static_assert(offsetof(struct script_entry, arg) == SCRIPT_ARG, "script entry");
_Static_assert(offsetof(struct script_entry, check) == SCRIPT_CHECK, "script entry");
_Static_assert(offsetof(struct script_entry, value) == SCRIPT_VALUE, "script entry");
_Static_assert(CONST_DATA + sizeof(struct script_data) <= PE_CONST_SIZE, "constants");
_Static_assert(PE_CODE_SIZE + PE_CONST_SIZE <= PE_CTL - PE_CODE, "group");
_Static_assert(PE_SLOT_STATE + PE_STATE_SIZE <= PE_SLOT_SIZE, "slot");

static const int guest_signals[] = {
	SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, PE_SIG_KICK
};

#ifndef PR_SET_SYSCALL_USER_DISPATCH /* Linux 5.11 */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON           1
#endif

#define NR_SIGNALS  (sizeof(guest_signals) / sizeof(guest_signals[0]))
#define SECCOMP_ARG SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW

struct writer {
	struct script_entry *next, *end;
};

static struct script_entry *add(struct writer *w, uint64_t check, uint64_t value, uint64_t nr,
                                uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                uint64_t a5)
{
	HV_ASSERT(w->next < w->end);
	*w->next = (struct script_entry){
		.nr = nr, .arg = { a0, a1, a2, a3, a4, a5 }, .check = check, .value = value
	};
	return w->next++;
}

static void call(struct writer *w, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	add(w, PE_CHECK_ERRNO, 0, nr, a0, a1, a2, a3, 0, 0);
}

static void map(struct writer *w, uint64_t at, uint64_t len, uint64_t prot, uint64_t fd,
                uint64_t offset)
{
	add(w, PE_CHECK_EQUAL, at, SYS_mmap, at, len, prot, MAP_SHARED | MAP_FIXED, fd, offset);
}

static void jump(struct writer *w, const char *label)
{
	add(w, 0, 0, PE_SCRIPT_JUMP, pe_tramp_address(label), 0, 0, 0, 0, 0);
}

static struct writer writer_at(struct pe_domain *pd, unsigned from, unsigned to)
{
	uint8_t *page = pd->base + PE_FILE_CONST;

	return (struct writer){ .next = (struct script_entry *)(void *)(page + from),
		                .end = (struct script_entry *)(void *)(page + to) - 1 };
}

uint64_t pe_tramp_address(const char *label)
{
	return PE_CODE + (uint64_t)(label - pe_trampoline);
}

/* Dies with the thread of ours that started it; and if that is gone already, at once. */
static void die_with_us(struct writer *w, const struct pe_domain *pd)
{
	call(w, SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	add(w, PE_CHECK_EQUAL, (uint64_t)pd->self, SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static void write_nursery(struct pe_domain *pd, uint64_t m2p_bytes)
{
	struct writer w = writer_at(pd, CONST_NURSERY_SCRIPT, CONST_CHILD_SCRIPT);
	const uint64_t above = PE_CONST + PE_CONST_SIZE;

	die_with_us(&w, pd);
	call(&w, SYS_munmap, 0, PE_CODE, 0, 0);
	call(&w, SYS_munmap, above, PE_TASK_END - above, 0, 0);
	if (m2p_bytes) {
		map(&w, PE_M2P, m2p_bytes, PROT_READ, PE_FD_GROUP + 1, 0);
		call(&w, SYS_close, PE_FD_GROUP + 1, 0, 0, 0);
	}
	map(&w, PE_CTL, PE_CTL_SIZE, PROT_READ, PE_FD_GROUP, PE_FILE_SLOTS);
	map(&w, PE_STATE, PE_STATE_SIZE, PROT_READ | PROT_WRITE, PE_FD_GROUP,
	    PE_FILE_SLOTS + PE_SLOT_STATE);
	call(&w, SYS_sigaltstack, DATA_ADDRESS(signal_stack), 0, 0, 0);
	for (size_t i = 0; i < NR_SIGNALS; i++)
		call(&w, SYS_rt_sigaction, (uint64_t)guest_signals[i], DATA_ADDRESS(action), 0, 8);
	call(&w, SYS_prlimit64, 0, RLIMIT_CORE, DATA_ADDRESS(no_core), 0);
	call(&w, SYS_prctl, PR_SET_NAME, DATA_ADDRESS(name), 0, 0);
	call(&w, SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
	call(&w, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	jump(&w, pe_tramp_nursery);
}

static struct script_entry *child_map_ctl(struct pe_domain *pd)
{
	return writer_at(pd, CONST_CHILD_SCRIPT, CONST_MAPPER_SCRIPT).next + 2;
}

static void write_child(struct pe_domain *pd)
{
	struct writer w = writer_at(pd, CONST_CHILD_SCRIPT, CONST_MAPPER_SCRIPT);

	die_with_us(&w, pd);
	HV_ASSERT(w.next == child_map_ctl(pd));
	map(&w, PE_CTL, PE_CTL_SIZE, PROT_READ, PE_FD_GROUP, 0);
	map(&w, PE_STATE, PE_STATE_SIZE, PROT_READ | PROT_WRITE, PE_FD_GROUP, 0);
	add(&w, PE_CHECK_FORK, CONST_ADDRESS(CONST_MAPPER_SCRIPT), SYS_clone,
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, 0, 0,
	    0, 0, 0);
	call(&w, SYS_rt_sigprocmask, SIG_SETMASK, DATA_ADDRESS(mask), 0, 8);
	if (!pd->d->machine->clock.tsc_is_usable)
		call(&w, SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0);
	/*
	 * The guest's own system calls become signals before the filter looks at them: a little faster,
	 * and the filter has the last word on the trampoline's. Older hosts go without.
	 */
	add(&w, PE_CHECK_NONE, 0, SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON,
	    PE_CODE, PE_CODE_SIZE + 1, 0, 0);
	call(&w, SYS_seccomp, SECCOMP_ARG, CONST_ADDRESS(CONST_VCPU_FILTER), 0);
	jump(&w, pe_tramp_vcpu);
}

static void write_mapper(struct pe_domain *pd)
{
	struct writer w = writer_at(pd, CONST_MAPPER_SCRIPT, CONST_VCPU_FILTER);

	call(&w, SYS_seccomp, SECCOMP_ARG, CONST_ADDRESS(CONST_MAPPER_FILTER), 0);
	jump(&w, pe_tramp_mapper);
}

static void write_data(struct pe_domain *pd)
{
	struct script_data *data = (void *)(pd->base + PE_FILE_CONST + CONST_DATA);
	const uint32_t mxcsr = MXCSR_INITIAL;

	data->signal_stack.ss_sp = (void *)(uintptr_t)(PE_STATE + STATE_SIGSTACK);
	data->signal_stack.ss_size = PE_SIGSTACK_SIZE;
	data->action.handler = pe_tramp_address(pe_tramp_signal);
	/* The restorer is never used, but the kernel insists on having one. */
	data->action.flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_KERNEL_RESTORER;
	data->action.restorer = pe_tramp_address(pe_tramp_signal);
	data->mask = ~UINT64_C(0);
	for (size_t i = 0; i < NR_SIGNALS; i++)
		data->mask &= ~(UINT64_C(1) << (guest_signals[i] - 1));
	memcpy(pd->base + PE_FILE_CONST + CONST_INITIAL_FP + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	strncpy(data->name, "paravane-guest", sizeof(data->name) - 1);
}

void pe_script_write(struct pe_domain *pd, uint64_t m2p_bytes)
{
	uint8_t *constants = pd->base + PE_FILE_CONST;

	memcpy(pd->base + PE_FILE_CODE, pe_trampoline, PE_CODE_SIZE);
	write_nursery(pd, m2p_bytes);
	write_child(pd);
	write_mapper(pd);
	write_data(pd);
	pe_filter_vcpu(constants + CONST_VCPU_FILTER, CONST_ADDRESS(CONST_VCPU_FILTER));
	pe_filter_mapper(constants + CONST_MAPPER_FILTER, CONST_ADDRESS(CONST_MAPPER_FILTER));
}

void pe_script_aim(struct pe_domain *pd, unsigned slot)
{
	struct script_entry *e = child_map_ctl(pd);
	uint64_t at = PE_FILE_SLOTS + (uint64_t)slot * PE_SLOT_SIZE;

	e[0].arg[5] = at;
	e[1].arg[5] = at + PE_SLOT_STATE;
}
