/* SPDX-License-Identifier: MIT */
/*
 * Calling a thread out of KVM_RUN: a signal whose handler sets immediate_exit of the run page that the
 * thread has entered here, so that a KVM_RUN which has not begun does not begin either.
 *
 * The signal is one that does not queue: however often a thread is called before it looks, one is
 * pending. And one that does nothing to a thread that has no handler for it.
 */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/engines/kvm/kvm.h"

#define KICK SIGURG

static _Thread_local struct kvm_run *entered;

static void on_kick(int sig)
{
	(void)sig;
	if (entered)
		__atomic_store_n(&entered->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

static void install_handler(void)
{
	struct sigaction sa = { .sa_handler = on_kick, .sa_flags = SA_RESTART };

	sigaction(KICK, &sa, NULL);
}

pid_t kv_kick_enter(struct kvm_run *run)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t set;

	pthread_once(&once, install_handler);
	entered = run;
	sigemptyset(&set);
	sigaddset(&set, KICK);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return (pid_t)syscall(SYS_gettid);
}

void kv_kick_leave(void)
{
	entered = NULL;
}

void kv_kick(pid_t tid)
{
	syscall(SYS_tgkill, getpid(), tid, KICK);
}

void kv_kick_timer(struct sigevent *ev, pid_t tid)
{
	*ev = (struct sigevent){ .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK };
	ev->_sigev_un._tid = tid;
}
