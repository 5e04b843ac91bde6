/* SPDX-License-Identifier: MIT */
/* Signals. */
#include "tests/guests/unix/user/utest/test.h"

static volatile int count, last;

static void on_signal(int sig, struct unix_sigframe *frame)
{
	(void)frame;
	count++;
	last = sig;
}

static void handlers_are_called(void)
{
	CHECK_EQ(sigaction(SIGUSR1, on_signal), SIG_DFL);
	CHECK_EQ(sigaction(SIGUSR2, on_signal), SIG_DFL);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(last, SIGUSR1);
	CHECK_EQ(kill(getpid(), SIGUSR2), 0);
	CHECK_EQ(count, 2);
	CHECK_EQ(last, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR1, (sighandler)SIG_IGN), on_signal);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 2);
}

static void bad_requests_are_refused(void)
{
	CHECK_EQ(sigaction(0, on_signal), -EINVAL);
	CHECK_EQ(sigaction(NR_SIGNALS, on_signal), -EINVAL);
	CHECK_EQ(sigaction(SIGKILL, on_signal), -EINVAL);
	CHECK_EQ(sigaction(SIGUSR1, (sighandler)0xffff800000000000), -EINVAL);
	CHECK_EQ(kill(getpid(), NR_SIGNALS), -EINVAL);
	CHECK_EQ(kill(getpid(), -1), -EINVAL);
	CHECK_EQ(kill(0x7ffffff0, SIGUSR1), -ESRCH);
	CHECK_EQ(kill(getpid(), 0), 0);
}

static void masks_hold_back(void)
{
	sigaction(SIGUSR1, on_signal);
	CHECK_EQ(sigmask(1u << SIGUSR1), 0);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(count, 0);
	CHECK_EQ(sigmask(0), 1u << SIGUSR1);
	CHECK_EQ(count, 1); /* signals are not counted */
}

static void deeper(int sig, struct unix_sigframe *frame)
{
	(void)frame;
	if (sig == SIGUSR1) {
		kill(getpid(), SIGUSR1); /* held back until we return */
		CHECK_EQ(count, 0);
		kill(getpid(), SIGUSR2);
		CHECK_EQ(count, 1);
		sigaction(SIGUSR1, on_signal);
	} else {
		count++;
	}
}

static void handlers_nest(void)
{
	sigaction(SIGUSR1, deeper);
	sigaction(SIGUSR2, deeper);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(count, 2);
}

static void change_frame(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	frame->rax = 4711;
}

/* The frame is what the program goes on with. */
static void frames_can_be_changed(void)
{
	sigaction(SIGUSR1, change_frame);
	CHECK_EQ(CALL(kill, getpid(), SIGUSR1, 0), 4711);
}

/*
 * Not to the kernel's entry point: where one root serves program and kernel (roots=one) the program
 * would begin the kernel anew, and over what it runs on.
 */
static void to_the_kernel(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	frame->rip = 0x7fff000;
	frame->rflags |= 0x3000; /* I/O privilege */
}

/* What a program writes into its frame gives it nothing that it did not have. */
static void forged_frames_gain_nothing(void)
{
	int pid = fork(), status;

	if (pid == 0) {
		sigaction(SIGUSR1, to_the_kernel);
		kill(getpid(), SIGUSR1);
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGSEGV));
	pid = fork();
	if (pid == 0) {
		CALL(sigreturn, 0, 0, 0); /* from nowhere: the stack is taken for a frame */
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(status & 0x7f);
}

static void spin(void)
{
	for (;;)
		;
}

static void spinning_programs_can_be_killed(void)
{
	int pid[3], status;
	unsigned int i;

	for (i = 0; i < COUNT(pid); i++)
		pid[i] = child(spin);
	sleep_ns(50 * MS);
	for (i = 0; i < COUNT(pid); i++) {
		CHECK_EQ(kill(pid[i], SIGKILL), 0);
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK_EQ(status, UNIX_STATUS(0, SIGKILL));
	}
}

static void sleep_long(void)
{
	sleep_ns(LIMIT_NS);
}

static void sleeping_programs_can_be_killed(void)
{
	int pid = child(sleep_long), status;

	sleep_ns(30 * MS);
	CHECK_EQ(kill(pid, SIGTERM), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGTERM));
}

static void ignore_all_and_spin(void)
{
	sigmask(~0u);
	spin();
}

static void nothing_stops_sigkill(void)
{
	int pid = child(ignore_all_and_spin), status;

	sleep_ns(30 * MS);
	kill(pid, SIGTERM);
	sleep_ns(30 * MS);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, UNIX_STATUS(0, SIGKILL));
}

static void calls_are_interrupted(void)
{
	char c;
	int fd[2];

	sigaction(SIGALRM, on_signal);
	alarm_ns(20 * MS);
	CHECK_EQ(pause(), -EINTR);
	CHECK_EQ(count, 1);
	alarm_ns(20 * MS);
	CHECK_EQ(sleep_ns(LIMIT_NS), -EINTR);
	CHECK_EQ(count, 2);
	CHECK_EQ(pipe(fd), 0);
	alarm_ns(20 * MS);
	CHECK_EQ(read(fd[0], &c, 1), -EINTR);
	CHECK_EQ(count, 3);
}

/* An alarm comes though the program never enters the kernel by itself. */
static void alarms_interrupt_a_loop(void)
{
	uint64_t t = clock_ns();

	sigaction(SIGALRM, on_signal);
	alarm_ns(20 * MS);
	while (!count)
		;
	CHECK(clock_ns() - t >= 20 * MS);
}

static void alarms_can_be_called_off(void)
{
	sigaction(SIGALRM, on_signal);
	CHECK(alarm_ns(30 * MS) > 0); /* the harness's own */
	CHECK(alarm_ns(0) > 0);
	sleep_ns(60 * MS);
	CHECK_EQ(count, 0);
}

static void end_at_once(void)
{
}

static void children_that_end_are_told(void)
{
	int pid;

	sigaction(SIGCHLD, on_signal);
	pid = child(end_at_once);
	child_ends(pid, 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(last, SIGCHLD);
}

static void whole_groups(void)
{
	int pid[3], status, group = 0;
	unsigned int i;

	for (i = 0; i < COUNT(pid); i++) {
		pid[i] = child(sleep_long);
		group = group ? group : pid[i];
		CHECK_EQ(setpgid(pid[i], group), 0);
	}
	CHECK_EQ(kill(-group, SIGTERM), 0);
	for (i = 0; i < COUNT(pid); i++) {
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK_EQ(status, UNIX_STATUS(0, SIGTERM));
	}
	CHECK_EQ(kill(-group, SIGTERM), -ESRCH);
}

/* Two processes that send to each other as fast as they can. */
static void send_often(void)
{
	int i, parent = getppid();

	for (i = 0; i < 1000; i++)
		kill(parent, SIGUSR1);
}

static void storms(void)
{
	uint64_t sum = 0, i;
	int pid;

	sigaction(SIGUSR1, on_signal);
	pid = child(send_often);
	for (i = 0; i < 2000000; i++)
		sum += i;
	child_ends(pid, 0);
	CHECK_EQ(sum, 2000000ull * 1999999 / 2);
	CHECK(count > 0);
}

static const struct claim claims[] = {
	{ "handlers-are-called", handlers_are_called },
	{ "bad-requests-are-refused", bad_requests_are_refused },
	{ "masks-hold-back", masks_hold_back },
	{ "handlers-nest", handlers_nest },
	{ "frames-can-be-changed", frames_can_be_changed },
	{ "forged-frames-gain-nothing", forged_frames_gain_nothing },
	{ "spinning-programs-can-be-killed", spinning_programs_can_be_killed },
	{ "sleeping-programs-can-be-killed", sleeping_programs_can_be_killed },
	{ "nothing-stops-SIGKILL", nothing_stops_sigkill },
	{ "calls-are-interrupted", calls_are_interrupted },
	{ "alarms-interrupt-a-loop", alarms_interrupt_a_loop },
	{ "alarms-can-be-called-off", alarms_can_be_called_off },
	{ "children-that-end-are-told", children_that_end_are_told },
	{ "whole-groups", whole_groups },
	{ "storms", storms },
};

FAMILY(signals, claims);
