/* SPDX-License-Identifier: MIT */
/*
 * Which core a vCPU's group runs on: our thread that serves it and its guest processes.
 *
 * A hand-over between two threads on one core costs a context switch; between two cores it costs a
 * wake-up of a sleeping core, ten times as much. So the group stays together.
 */
#include <sched.h>
#include <sys/prctl.h>

#include "hypervisor-stub/engines/process/process.h"

static void pin(pid_t tid, int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(tid, sizeof(set), &set);
}

void pe_place_thread(struct pe_vcpu *pv)
{
	/* Where the host put this thread just now is where it found the most room. */
	pv->core = sched_getcpu();
	pv->thread = pthread_self();
	pv->entered = true;
	prctl(PR_SET_TIMERSLACK, 1);
	if (pv->core >= 0)
		pin(0, pv->core);
}

void pe_place_proc(struct pe_vcpu *pv, struct pe_proc *p)
{
	if (p->core == pv->core || pv->core < 0)
		return;
	p->core = pv->core;
	pin(p->pid, p->core);
	pin(p->mapper_tid, p->core);
}
