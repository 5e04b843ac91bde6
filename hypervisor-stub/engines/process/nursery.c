/* SPDX-License-Identifier: MIT */
/*
 * Making and ending the guest processes of a domain.
 *
 * One process per domain, the nursery, is forked from us once and empties itself (script.c). Each
 * guest process is a clone of it: its address space is tiny, so a clone is cheap, and our own pages
 * are never shared copy-on-write again. With CLONE_PARENT the clones are our children all the same.
 *
 * Everything here is done by the keeper thread, which lives as long as the domain: the kernel sends
 * the parent-death signal when the thread that forked ends, not the process. It keeps some processes
 * ready, and reaps those that were killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#define HAVE_LIBC_RSEQ 1
#endif

#define BORN_WITHIN_NS  10000000000u /* a clone that is not ready by then is given up */
#define FIRST_SLOT_SELF 0            /* the nursery's own slot */

/* ---- in the child, before it empties itself --------------------------------------------------- */

/* The kernel would write to the thread's rseq area for ever, and kill when it is gone. */
static void forget_rseq(void)
{
#ifdef HAVE_LIBC_RSEQ
	void *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	if (!__rseq_size)
		return;
	if (syscall(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
		syscall(SYS_rseq, area, __rseq_size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
#endif
}

/* Moves descriptors to the numbers that guest processes know; the nursery closes the rest. */
static bool place_fds(const int *from, unsigned nr)
{
	int high[4];

	for (unsigned i = 0; i < nr; i++) {
		high[i] = fcntl(from[i], F_DUPFD, 16);
		if (high[i] < 0)
			return false;
	}
	for (unsigned i = 0; i < nr; i++) {
		if (dup2(high[i], (int)i) < 0)
			return false;
	}
	return true;
}

/* Everything from `first` on, also where close_range() is too new for the kernel or a container. */
static void close_from(unsigned first)
{
	struct rlimit limit = { .rlim_cur = 65536 };

	if (!syscall(SYS_close_range, first, ~0u, 0))
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned fd = first; fd < limit.rlim_cur && fd < 1u << 20; fd++)
		close((int)fd);
}

_Noreturn static void become_nursery(struct pe_domain *pd, int m2p_fd, int sock)
{
	const int fds[4] = { [PE_FD_MEMORY] = pd->d->mem.memfd,
		             [PE_FD_ACK] = pd->ack_write,
		             [PE_FD_GROUP] = pd->file,
		             [PE_FD_GROUP + 1] = m2p_fd };
	const size_t len = PE_CODE_SIZE + PE_CONST_SIZE;
	void *group = (void *)(uintptr_t)PE_GROUP;

	forget_rseq();
	if (sock >= 0)
		pe_foreign_offer(sock);
	if (!place_fds(fds, m2p_fd >= 0 ? 4 : 3))
		_exit(1);
	close_from(m2p_fd >= 0 ? 4 : 3);
	if (mmap(group, len, PROT_READ, MAP_SHARED | MAP_FIXED, PE_FD_GROUP, PE_FILE_CODE) !=
	            group ||
	    mprotect(group, PE_CODE_SIZE, PROT_READ | PROT_EXEC))
		_exit(1);
	__asm__ volatile("jmp *%0"
	                 :
	                 : "r"(pe_tramp_address(pe_tramp_script)),
	                   "b"((uint64_t)PE_CONST + CONST_NURSERY_SCRIPT)
	                 : "memory");
	__builtin_unreachable();
}

/* ---- the keeper -------------------------------------------------------------------------------- */

static int start_nursery(struct pe_domain *pd)
{
	struct hv_frame_pool *pool = &pd->d->machine->pool;
	int sock[2] = { -1, -1 };
	sigset_t all, before;
	long pid;

	/* Without it everything works but the mapping of others' frames. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		sock[0] = sock[1] = -1;
	/* No signal of ours may run a handler of ours in there. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* Not fork(): nothing of libc's may run, and no SIGCHLD must come when it ends. */
	pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0)
		become_nursery(pd, pool->m2p_entries ? pool->m2p_fd : -1, sock[1]);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sock[0] >= 0) {
		close(sock[1]);
		if (pid > 0)
			pd->listener = pe_foreign_receive(sock[0]);
		close(sock[0]);
	}
	if (pid < 0)
		return (int)pid;
	pd->nursery = (pid_t)pid;
	return 0;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
}

/* Until it is a zombie: then it maps nothing any more. */
static void wait_for_end(pid_t pid)
{
	siginfo_t si;

	while (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | __WALL) && errno == EINTR)
		continue;
}

static bool is_stopping(struct pe_domain *pd)
{
	bool stopping;

	pthread_mutex_lock(&pd->lock);
	stopping = pd->stopping;
	pthread_mutex_unlock(&pd->lock);
	return stopping;
}

/*
 * Waits for the nursery's answer; false when it ends instead. There is no limit, for there is no
 * taking back what was asked for: on a busy host
 *   1. the nursery does not get a core for long, and we give up
 *   2. we free the slot, and aim the script at another one, for another request
 *   3. the nursery serves both: two processes share a slot, and one of them nobody knows of
 */
static bool wait_for_nursery(struct pe_domain *pd, _Atomic uint32_t *done, uint32_t before)
{
	while (atomic_load(done) == before) {
		pe_futex_wait(done, before, pe_now() + 20000000);
		if (atomic_load(done) == before && (pe_has_ended(pd->nursery) || is_stopping(pd)))
			return false;
	}
	return true;
}

/* Waits for the first exit of a new process; false when it ends instead. */
static bool wait_for_birth(struct pe_proc *p)
{
	uint64_t end = pe_now() + BORN_WITHIN_NS;

	for (;;) {
		uint64_t now = pe_now();

		atomic_store(pe_word(p->state, OUT_HV), 1);
		if (pe_load(p->state, STATE_EXIT_SEQ))
			break;
		pe_futex_wait(pe_word(p->state, OUT_HV), 1, now + 20000000);
		if (now >= end || pe_has_ended(p->pid))
			break;
	}
	atomic_store(pe_word(p->state, OUT_HV), 0);
	return pe_load(p->state, STATE_EXIT_SEQ) != 0;
}

/* Has the nursery clone itself into a slot. Returns a pid or a negative errno. */
static pid_t clone_into(struct pe_domain *pd, unsigned slot)
{
	uint8_t *zctl = pe_slot_ctl(pd, FIRST_SLOT_SELF);
	uint8_t *zstate = pe_slot_state(pd, FIRST_SLOT_SELF);
	uint32_t done = pe_load(zstate, ZSTATE_DONE);

	pe_script_aim(pd, slot);
	atomic_fetch_add(pe_word(zctl, ZCTL_REQUEST), 1);
	pe_futex_wake(pe_word(zctl, ZCTL_REQUEST), 1);
	if (!wait_for_nursery(pd, pe_word(zstate, ZSTATE_DONE), done))
		return -ECHILD;
	return (pid_t)pe_load(zstate, ZSTATE_PID);
}

static void write_ctl(struct pe_proc *p)
{
	uint64_t mask = pe_xsave_mask();

	pe_store64(p->ctl, CTL_ACK, p->ack_id);
	pe_store64(p->ctl, CTL_XMASK, mask);
	pe_store(p->ctl, CTL_FP_SIZE, pe_xsave_size());
	pe_store64(p->ctl, CTL_BELL, PE_STATE + OUT_HV);
	pe_store(p->ctl, CTL_USE_TSC, p->pd->d->machine->clock.tsc_is_usable);
}

/* A new guest process. Lock: pd is held on entry and exit, not in between. */
static int create(struct pe_domain *pd)
{
	struct pe_proc *p = calloc(1, sizeof(*p));
	int slot = p ? pe_slot_get(pd) : -ENOMEM;
	pid_t pid;

	if (slot < 0) {
		free(p);
		return slot;
	}
	pd->nr_procs++;
	p->ack_id = ++pd->births;
	pthread_mutex_unlock(&pd->lock);

	p->pd = pd;
	p->slot = (unsigned)slot;
	p->ctl = pe_slot_ctl(pd, p->slot);
	p->state = pe_slot_state(pd, p->slot);
	p->core = -1;
	p->root = HV_MFN_NONE;
	p->window = HV_MFN_NONE;
	write_ctl(p);
	pid = clone_into(pd, p->slot);
	if (pid > 0) {
		p->pid = pid;
		if (!wait_for_birth(p) || pe_load(p->state, STATE_KIND) != PE_EXIT_READY) {
			reap(pid);
			pid = -EAGAIN;
		}
	}

	pthread_mutex_lock(&pd->lock);
	if (pid < 0) {
		pe_slot_put(pd, p->slot);
		pd->nr_procs--;
		free(p);
		return pid;
	}
	p->seq = pe_load(p->state, STATE_EXIT_SEQ);
	p->mapper_tid = (pid_t)pe_load64(p->state, STATE_MAPPER_TID);
	p->fs_base = p->gs_base = ~UINT64_C(0);
	p->next = pd->spare;
	pd->spare = p;
	return 0;
}

/* They stay on the list, and their pids theirs, for as long as they may run. Lock: pd, but for the wait. */
static void end_doomed(struct pe_domain *pd)
{
	while (pd->doomed) {
		struct pe_proc *p = pd->doomed, **at;

		pthread_mutex_unlock(&pd->lock);
		wait_for_end(p->pid);
		pthread_mutex_lock(&pd->lock);
		for (at = &pd->doomed; *at != p; at = &(*at)->next)
			continue; /* others may have come before it */
		*at = p->next;
		reap(p->pid);
		pe_maptree_clear(&p->maps);
		pe_slot_put(pd, p->slot);
		pd->nr_procs--;
		free(p);
	}
}

static unsigned count(const struct pe_proc *p)
{
	unsigned n = 0;

	for (; p; p = p->next)
		n++;
	return n;
}

/* No process can be made before one is ended, and none is being ended. */
static bool is_full(const struct pe_domain *pd)
{
	return pd->nr_procs >= pd->nr_slots - 1 && !pd->doomed;
}

static bool wants_more(const struct pe_domain *pd)
{
	unsigned have = count(pd->spare);

	if (pd->nr_procs >= pd->nr_slots - 1)
		return false;
	return pd->wanted > have || (!pd->create_error && have < pd->spare_target);
}

static void *keeper_main(void *arg)
{
	struct pe_domain *pd = arg;

	prctl(PR_SET_NAME, "pv-keeper");
	pthread_mutex_lock(&pd->lock);
	pd->keeper_tid = (pid_t)syscall(SYS_gettid);
	pd->nursery_error = start_nursery(pd);
	pd->nursery_is_up = true;
	pthread_cond_broadcast(&pd->ready_cond);
	while (!pd->stopping) {
		if (pd->doomed) {
			end_doomed(pd);
		} else if (!pd->nursery_error && wants_more(pd)) {
			pd->create_error = create(pd);
			pd->create_attempts++;
			pthread_cond_broadcast(&pd->ready_cond);
			/* A host that has no room for more gets fewer spare ones from now on. */
			if (pd->create_error && pd->spare_target > 1)
				pd->spare_target /= 2;
			if (pd->create_error && !pd->doomed && !pd->stopping)
				pthread_cond_wait(&pd->keeper_cond, &pd->lock);
		} else {
			pthread_cond_broadcast(&pd->ready_cond);
			pthread_cond_wait(&pd->keeper_cond, &pd->lock);
		}
	}
	while (pd->spare) {
		struct pe_proc *p = pd->spare;

		pd->spare = p->next;
		pe_nursery_doom(pd, p);
	}
	end_doomed(pd);
	if (!pd->nursery_error)
		reap(pd->nursery);
	pthread_mutex_unlock(&pd->lock);
	return NULL;
}

/* ---- for the others ---------------------------------------------------------------------------- */

int pe_nursery_start(struct pe_domain *pd)
{
	sigset_t all, before;
	int fds[2], rc, self;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pd->ack_read = fds[0];
	pd->ack_write = fds[1];
	self = pe_slot_get(pd);
	HV_ASSERT(self == FIRST_SLOT_SELF);
	pd->spare_target = process_options.spare;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&pd->keeper, NULL, keeper_main, pd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		close(fds[0]);
		close(fds[1]);
	}
	return rc;
}

void pe_nursery_stop(struct pe_domain *pd)
{
	pthread_mutex_lock(&pd->lock);
	pd->stopping = true;
	pthread_cond_signal(&pd->keeper_cond);
	pthread_cond_broadcast(&pd->ready_cond);
	pthread_mutex_unlock(&pd->lock);
	pthread_join(pd->keeper, NULL);
	close(pd->ack_read);
	close(pd->ack_write);
	if (pd->listener >= 0)
		close(pd->listener);
}

struct pe_proc *pe_nursery_take(struct pe_domain *pd)
{
	unsigned before = pd->create_attempts;
	struct pe_proc *p;

	/*
	 * Waiting while everything is full would be for ever: 1. vCPU A makes room, 2. the keeper fills
	 * it, 3. vCPU B takes the new one before A has woken up. A has to make room once more.
	 */
	pd->wanted++;
	while (!pd->spare && !pd->stopping && !pd->nursery_error && !is_full(pd) &&
	       !(pd->create_error && pd->create_attempts != before)) {
		pthread_cond_signal(&pd->keeper_cond);
		pthread_cond_wait(&pd->ready_cond, &pd->lock);
	}
	pd->wanted--;
	p = pd->spare;
	if (!p) {
		errno = pd->nursery_error  ? -pd->nursery_error
		        : pd->create_error ? -pd->create_error
		                           : EAGAIN;
		return NULL;
	}
	pd->spare = p->next;
	p->next = NULL;
	pthread_cond_signal(&pd->keeper_cond);
	return p;
}

void pe_nursery_doom(struct pe_domain *pd, struct pe_proc *p)
{
	/* At once, for somebody may have to wait for its end. */
	kill(p->pid, SIGKILL);
	p->next = pd->doomed;
	pd->doomed = p;
	pthread_cond_signal(&pd->keeper_cond);
}

void pe_nursery_wait_ended(struct pe_domain *pd)
{
	for (struct pe_proc *p = pd->doomed; p; p = p->next) {
		if (!p->is_frozen)
			wait_for_end(p->pid);
	}
}
