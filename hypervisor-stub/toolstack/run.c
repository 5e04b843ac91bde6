/* SPDX-License-Identifier: MIT */
/*
 * The verb `run`: one machine, from its files to its end, on this terminal.
 *
 * The main thread sleeps in one loop: standard input, signals, --timeout, room in the outlet, news of
 * the guests, and those who ask over the control socket. The vCPUs have threads of their own, which
 * inherit its mask of blocked signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/crash.h"
#include "hypervisor-stub/toolstack/ctl.h"
#include "hypervisor-stub/toolstack/engines.h"
#include "hypervisor-stub/toolstack/limits.h"
#include "hypervisor-stub/toolstack/machine.h"
#include "hypervisor-stub/toolstack/run.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/terminal.h"

struct run {
	const struct options *o;
	struct plan plan;
	struct outlet outlet;
	struct observe observe;
	struct machine machine;
	struct ctl *ctl;
	struct seat *seat; /* that has the terminal */

	sigset_t signals; /* those that we answer */
	int signal_fd, timer_fd, grace_fd;
	int in_watch;
	char typed[512]; /* read from standard input, no room in the guest's ring yet */
	size_t typed_len;
	bool in_is_tty, in_over;

	bool cut; /* ended from outside: status says by whom */
	int status;
	char why[1024];
};

/* ---- ends ----------------------------------------------------------------------------------- */

/* Ends the machine from outside, at once. */
static void cut(struct run *r, int status)
{
	r->cut = true;
	r->status = status;
	outlet_stop(&r->outlet);
	observe_stop(&r->observe);
	loop_stop(&r->machine.loop);
}

/*
 * While the loop runs, signals arrive there and nowhere else, and the terminal is the guest's. Outside
 * of it a signal ends us at once, so that nothing that blocks (a report to a pipe that nobody reads)
 * can keep us.
 */
static void enter_loop(struct run *r);
static void leave_loop(struct run *r);

/* What is to be said of a guest that crashed, while its memory is still there. */
static void on_ended(void *arg, struct seat *s)
{
	struct run *r = arg;
	struct symbols symbols;

	if (s == r->seat)
		r->typed_len = 0;
	if (s->status != STATUS_CRASH)
		return;
	leave_loop(r);
	symbols_load(&symbols, s->guest.kernel.bytes, s->guest.kernel.len);
	crash_report(stderr, s->guest.d, s->guest.name, &symbols);
	symbols_free(&symbols);
	enter_loop(r);
}

static void on_over(void *arg, struct seat *s)
{
	struct run *r = arg;

	(void)s;
	if (!r->machine.left)
		loop_stop(&r->machine.loop);
}

/* ---- input ---------------------------------------------------------------------------------- */

static void set_input(struct run *r)
{
	bool may_read = !r->in_over && r->typed_len == 0;

	/* In the background reading would stop the whole job. */
	if (may_read && r->in_is_tty && tcgetpgrp(STDIN_FILENO) != getpgrp())
		may_read = false;
	loop_set(&r->machine.loop, r->in_watch, may_read ? POLLIN : 0);
}

static void push_input(struct run *r)
{
	size_t n = r->typed_len;

	/* What is typed for a domain that has ended is lost. */
	if (r->seat->guest.d && !r->seat->is_ended)
		n = guest_type(&r->seat->guest, r->typed, r->typed_len);
	memmove(r->typed, r->typed + n, r->typed_len - n);
	r->typed_len -= n;
	set_input(r);
}

static void on_input_room(void *arg, struct seat *s)
{
	struct run *r = arg;

	if (s == r->seat && r->typed_len)
		push_input(r);
}

static void on_input(void *arg, short revents)
{
	struct run *r = arg;
	ssize_t n = read(STDIN_FILENO, r->typed, sizeof(r->typed));

	(void)revents;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The end of input ends input only. */
		r->in_over = true;
		set_input(r);
		return;
	}
	if (r->in_is_tty && memchr(r->typed, RUN_KEY_END, (size_t)n)) {
		cut(r, STATUS_KEYBOARD);
		return;
	}
	r->typed_len = (size_t)n;
	push_input(r);
}

/* ---- time, signals -------------------------------------------------------------------------- */

static void on_timeout(void *arg, short revents)
{
	struct run *r = arg;

	(void)revents;
	cut(r, STATUS_TIMEOUT);
}

int run_open_timer(uint64_t ns)
{
	struct itimerspec t = {
		.it_value = { .tv_sec = (time_t)(ns / 1000000000),
		              .tv_nsec = (long)(ns % 1000000000) },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &t, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void on_grace_over(void *arg, short revents)
{
	struct run *r = arg;

	(void)revents;
	for (unsigned i = 0; i < r->machine.nr; i++)
		if (!r->machine.seat[i].is_over)
			fprintf(stderr,
			        "paravane: %s has not shut down within %g s and is destroyed; "
			        "--grace gives it longer\n",
			        r->machine.seat[i].guest.name, (double)r->o->grace_ns / 1e9);
	cut(r, r->status);
}

/*
 * SIGTERM: guests that listen are asked to shut down and get some time for it; the others could not
 * know, so they are destroyed at once.
 */
static void close_down(struct run *r, int status)
{
	struct machine *m = &r->machine;
	bool asked[OPTIONS_MAX_DOMAINS] = { false }, any = false;

	m->is_closing = true;
	r->status = status;
	for (unsigned i = 0; i < m->nr && r->o->grace_ns; i++) {
		asked[i] = m->seat[i].guest.d && !seat_shutdown(&m->seat[i]);
		any |= asked[i];
	}
	if (any)
		r->grace_fd = run_open_timer(r->o->grace_ns);
	if (r->grace_fd < 0) {
		cut(r, status);
		return;
	}
	loop_add(&m->loop, r->grace_fd, POLLIN, on_grace_over, r);
	for (unsigned i = 0; i < m->nr; i++)
		if (m->seat[i].guest.d && !asked[i])
			seat_destroy(&m->seat[i]);
}

/* Stopped from outside: the terminal belongs to the shell until we go on. */
static void stop_for_a_while(void)
{
	terminal_leave();
	kill(getpid(), SIGSTOP);
}

static void on_signal(void *arg, short revents)
{
	struct run *r = arg;
	struct signalfd_siginfo si;

	(void)revents;
	if (read(r->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGUSR1) {
		machine_stats_so_far(&r->machine, stderr);
	} else if (si.ssi_signo == SIGTSTP) {
		stop_for_a_while();
	} else if (si.ssi_signo == SIGCONT) {
		r->in_is_tty = isatty(STDIN_FILENO);
		terminal_enter(STDIN_FILENO);
		set_input(r);
	} else if (si.ssi_signo == SIGTERM && !r->machine.is_closing) {
		close_down(r, STATUS_SIGNAL + SIGTERM);
	} else {
		cut(r, STATUS_SIGNAL + (int)si.ssi_signo);
	}
}

/* What our parent ignores stays ignored. */
int run_open_signals(sigset_t *set, bool does_stats)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT };
	struct sigaction old;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!sigaction(wanted[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(set, wanted[i]);
	}
	if (does_stats)
		sigaddset(set, SIGUSR1);
	return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the machine ---------------------------------------------------------------------------- */

static const struct hv_engine *find_engine(struct run *r)
{
	const struct guest *guest[OPTIONS_MAX_DOMAINS];
	const struct hv_engine *e;
	char note[600] = "";

	for (unsigned i = 0; i < r->machine.nr; i++)
		guest[i] = &r->machine.seat[i].guest;
	e = engines_choose(r->o->engine, guest, r->machine.nr, note, sizeof(note), r->why,
	                   sizeof(r->why));
	if (e && (r->o->verbose || r->observe.does_stats))
		fprintf(stderr, "paravane: %s\n", note);
	return e;
}

static void enter_loop(struct run *r)
{
	pthread_sigmask(SIG_BLOCK, &r->signals, NULL);
	terminal_enter(STDIN_FILENO);
	set_input(r);
}

static void leave_loop(struct run *r)
{
	terminal_leave();
	pthread_sigmask(SIG_UNBLOCK, &r->signals, NULL);
}

static int watch(struct run *r)
{
	struct machine_listener l = { on_ended, on_over, on_input_room, NULL, r };
	struct loop *loop = &r->machine.loop;

	r->signal_fd = run_open_signals(&r->signals, r->observe.does_stats);
	if (r->signal_fd < 0)
		return -errno;
	loop_add(loop, r->signal_fd, POLLIN, on_signal, r);
	if (r->o->timeout_ns) {
		r->timer_fd = run_open_timer(r->o->timeout_ns);
		if (r->timer_fd < 0)
			return -errno;
		loop_add(loop, r->timer_fd, POLLIN, on_timeout, r);
	}
	r->in_watch = loop_add(loop, STDIN_FILENO, 0, on_input, r);
	r->in_is_tty = isatty(STDIN_FILENO);
	machine_listen(&r->machine, &l);
	ctl_attach(r->ctl, &r->machine);
	return 0;
}

static void unwatch(struct run *r)
{
	int *fd[] = { &r->signal_fd, &r->timer_fd, &r->grace_fd };

	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (*fd[i] >= 0)
			close(*fd[i]);
}

/* From the first instruction of the guests to the end of the last, or until somebody cuts it short. */
static int run_to_the_end(struct run *r)
{
	int rc = watch(r);

	if (rc) {
		hv_why(r->why, sizeof(r->why), 0,
		       "descriptors are short: %s; allow more (ulimit -n)", strerror(-rc));
		return STATUS_USAGE;
	}
	/* Before the first vCPU's thread, which inherits what is blocked. */
	enter_loop(r);
	rc = machine_start(&r->machine, r->why, sizeof(r->why));
	if (!rc)
		loop_run(&r->machine.loop);
	leave_loop(r);
	if (rc)
		return STATUS_OURS;
	return r->cut || r->machine.is_closing ? r->status : machine_status(&r->machine);
}

static int with_machine(struct run *r)
{
	const struct hv_engine *engine = find_engine(r);
	int status;

	if (!engine || machine_create(&r->machine, engine, &r->observe, r->why, sizeof(r->why)))
		return STATUS_USAGE;
	r->seat = &r->machine.seat[r->plan.console];
	status = run_to_the_end(r);
	unwatch(r);
	ctl_detach(r->ctl);
	machine_destroy(&r->machine);
	return status;
}

void run_fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static int with_files(struct run *r)
{
	int status;

	if (machine_open(&r->machine, &r->plan, &r->outlet, r->why, sizeof(r->why)))
		return STATUS_USAGE;
	if (observe_open(&r->observe, r->o, r->why, sizeof(r->why))) {
		machine_close(&r->machine);
		return STATUS_USAGE;
	}
	status = with_machine(r);
	if (r->observe.does_stats && status != STATUS_USAGE) {
		stats_print(&r->observe.stats, stderr);
		machine_device_stats(&r->machine, stderr);
	}
	observe_close(&r->observe);
	machine_close(&r->machine);
	return status;
}

static void say(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "paravane: %s\n", sentence);
}

static int with_plan(struct run *r)
{
	int status = STATUS_USAGE;

	if (plan_make(&r->plan, r->o, say, NULL, r->why, sizeof(r->why)))
		return STATUS_USAGE;
	if (!limits_check(&r->plan, r->why, sizeof(r->why)) &&
	    !ctl_open(&r->ctl, &r->plan, r->why, sizeof(r->why))) {
		status = with_files(r);
		ctl_close(r->ctl);
	}
	plan_free(&r->plan);
	return status;
}

static int run(struct run *r)
{
	int rc = outlet_open(&r->outlet, STDOUT_FILENO);

	if (rc) {
		fprintf(stderr, "paravane: standard output cannot be used: %s\n", strerror(-rc));
		return STATUS_OURS;
	}
	r->status = with_plan(r);
	if (r->why[0])
		fprintf(stderr, "paravane: %s\n", r->why);
	rc = outlet_error(&r->outlet);
	if (rc)
		fprintf(stderr, "paravane: output was lost: %s\n", strerror(rc));
	if (rc && r->status == STATUS_POWEROFF)
		r->status = STATUS_OUTPUT_LOST;
	outlet_close(&r->outlet);
	return r->status;
}

int run_machine(const struct options *o)
{
	struct run *r = calloc(1, sizeof(*r));
	int status;

	if (!r) {
		fprintf(stderr, "paravane: memory is short; free some\n");
		return STATUS_USAGE;
	}
	r->o = o;
	r->signal_fd = r->timer_fd = r->grace_fd = -1;
	run_fill_descriptors();
	status = run(r);
	free(r);
	return status;
}
