/* SPDX-License-Identifier: MIT */
/*
 * The verb `run`: one machine, from its files to its end, on this terminal.
 *
 * The main thread sleeps in one loop: standard input, signals, --timeout, room in the outlet, and
 * news of the guest. The vCPUs have threads of their own, which inherit its mask of blocked signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/crash.h"
#include "hypervisor-stub/toolstack/guest.h"
#include "hypervisor-stub/toolstack/loop.h"
#include "hypervisor-stub/toolstack/observe.h"
#include "hypervisor-stub/toolstack/outlet.h"
#include "hypervisor-stub/toolstack/run.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/terminal.h"

#define KEY_END 0x1d /* Ctrl-] */

struct run {
	const struct options *o;
	struct hv_machine *m;
	struct xs_store *store;
	struct loop loop;
	struct outlet outlet;
	struct guest guest;
	struct observe observe;

	sigset_t signals; /* those that we answer */
	int signal_fd, timer_fd;
	int in_watch, out_watch;
	char typed[512]; /* read from standard input, no room in the guest's ring yet */
	size_t typed_len;
	bool in_is_tty, in_over;

	bool flushing; /* the guest has ended, its last output is on its way */
	bool cut;      /* ended from outside: status says by whom */
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
	loop_stop(&r->loop);
}

static int status_of(int reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		return STATUS_POWEROFF;
	case SHUTDOWN_reboot:
	case SHUTDOWN_soft_reset:
		return STATUS_REBOOT;
	case SHUTDOWN_suspend:
		return STATUS_SUSPEND;
	case SHUTDOWN_watchdog:
		return STATUS_WATCHDOG;
	default:
		return STATUS_CRASH;
	}
}

/* ---- output --------------------------------------------------------------------------------- */

/* Passes output on; as long as some waits, the loop watches for room. */
static void push_output(struct run *r)
{
	bool waits = guest_output(&r->guest);

	loop_set(&r->loop, r->out_watch, waits ? POLLOUT : 0);
	if (r->flushing && !waits)
		loop_stop(&r->loop);
}

static void on_room(void *arg, short revents)
{
	(void)revents;
	push_output(arg);
}

/* HYPERVISOR_console_io: on the vCPU's thread, which waits for its reader like for a serial line. */
static void emergency_output(void *arg, struct hv_domain *d, const char *text, size_t len)
{
	struct run *r = arg;

	(void)d;
	outlet_put(&r->outlet, text, len);
}

/* ---- input ---------------------------------------------------------------------------------- */

static void set_input(struct run *r)
{
	bool may_read = !r->in_over && r->typed_len == 0;

	/* In the background reading would stop the whole job. */
	if (may_read && r->in_is_tty && tcgetpgrp(STDIN_FILENO) != getpgrp())
		may_read = false;
	loop_set(&r->loop, r->in_watch, may_read ? POLLIN : 0);
}

static void push_input(struct run *r)
{
	size_t n = guest_type(&r->guest, r->typed, r->typed_len);

	memmove(r->typed, r->typed + n, r->typed_len - n);
	r->typed_len -= n;
	set_input(r);
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
	if (r->in_is_tty && memchr(r->typed, KEY_END, (size_t)n)) {
		cut(r, STATUS_KEYBOARD);
		return;
	}
	r->typed_len = (size_t)n;
	push_input(r);
}

/* ---- news, time, signals -------------------------------------------------------------------- */

static void on_news(void *arg, short revents)
{
	struct run *r = arg;
	unsigned news = guest_news(&r->guest);

	(void)revents;
	if (news & GUEST_ENDED)
		r->flushing = true;
	if (news & (GUEST_ENDED | GUEST_OUTPUT))
		push_output(r);
	if ((news & GUEST_INPUT_ROOM) && r->typed_len)
		push_input(r);
}

static void on_timeout(void *arg, short revents)
{
	struct run *r = arg;

	(void)revents;
	cut(r, STATUS_TIMEOUT);
}

/* Stopped from outside: the terminal belongs to the shell until we go on. */
static void stop_for_a_while(struct run *r)
{
	terminal_leave();
	kill(getpid(), SIGSTOP);
	(void)r;
}

static void on_signal(void *arg, short revents)
{
	struct run *r = arg;
	struct signalfd_siginfo si;

	(void)revents;
	if (read(r->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGTSTP) {
		stop_for_a_while(r);
	} else if (si.ssi_signo == SIGCONT) {
		r->in_is_tty = isatty(STDIN_FILENO);
		terminal_enter(STDIN_FILENO);
		set_input(r);
	} else {
		cut(r, STATUS_SIGNAL + (int)si.ssi_signo);
	}
}

/* What our parent ignores stays ignored. */
static int open_signals(struct run *r)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT };
	struct sigaction old;

	sigemptyset(&r->signals);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!sigaction(wanted[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&r->signals, wanted[i]);
	}
	return signalfd(-1, &r->signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_timer(uint64_t ns)
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

/* ---- the machine ---------------------------------------------------------------------------- */

static const struct hv_engine *find_engine(struct run *r)
{
	const struct hv_engine *e = &hv_engine_process;
	char fact[512] = "";

	if (strcmp(r->o->engine, e->name)) {
		hv_why(r->why, sizeof(r->why), 0, "--engine: '%s' is unknown; give %s",
		       r->o->engine, e->name);
		return NULL;
	}
	if (e->probe(fact, sizeof(fact))) {
		hv_why(r->why, sizeof(r->why), 0, "%s", fact);
		return NULL;
	}
	return e;
}

/*
 * While the loop runs, signals arrive there and nowhere else, and the terminal is the guest's. Outside
 * of it a signal ends us at once, so that nothing that blocks (a report to a pipe that nobody reads)
 * can keep us.
 */
static void enter_loop(struct run *r)
{
	pthread_sigmask(SIG_BLOCK, &r->signals, NULL);
	r->loop.stop = false;
	terminal_enter(STDIN_FILENO);
	set_input(r);
}

static void leave_loop(struct run *r)
{
	terminal_leave();
	pthread_sigmask(SIG_UNBLOCK, &r->signals, NULL);
}

/* Runs the guest from its first instruction to its end, or until somebody cuts it short. */
static int run_once(struct run *r)
{
	bool is_started;

	r->flushing = false;
	r->typed_len = 0;
	if (guest_build(&r->guest, r->m, r->store, r->why, sizeof(r->why)))
		return STATUS_USAGE;
	/* Before the first vCPU's thread, which inherits what is blocked. */
	enter_loop(r);
	is_started = guest_start(&r->guest) == 0;
	if (is_started)
		loop_run(&r->loop);
	leave_loop(r);
	if (!is_started) {
		hv_why(r->why, sizeof(r->why), 0,
		       "%s: its vCPUs cannot be started; free some memory or processes",
		       r->guest.name);
		return STATUS_OURS;
	}
	if (!r->cut)
		r->status = status_of(r->guest.d->end.reason);
	return r->status;
}

/* What is to be said of a guest that has run, while its memory is still there. */
static void report(struct run *r)
{
	struct symbols symbols;

	stats_collect(&r->observe.stats, r->guest.d);
	if (r->cut || r->status != STATUS_CRASH)
		return;
	symbols_load(&symbols, r->guest.kernel.bytes, r->guest.kernel.len);
	crash_report(stderr, r->guest.d, r->guest.name, &symbols);
	symbols_free(&symbols);
}

static void run_to_the_end(struct run *r)
{
	do {
		r->status = run_once(r);
		if (!r->guest.d)
			return;
		report(r);
		guest_destroy(&r->guest);
	} while (!r->cut && r->status == STATUS_REBOOT && r->o->guest.restart_on_reboot);
}

static int watch(struct run *r)
{
	loop_init(&r->loop);
	r->signal_fd = open_signals(r);
	if (r->signal_fd < 0)
		return -errno;
	loop_add(&r->loop, r->signal_fd, POLLIN, on_signal, r);
	if (r->o->timeout_ns) {
		r->timer_fd = open_timer(r->o->timeout_ns);
		if (r->timer_fd < 0)
			return -errno;
		loop_add(&r->loop, r->timer_fd, POLLIN, on_timeout, r);
	}
	loop_add(&r->loop, r->guest.news_fd, POLLIN, on_news, r);
	r->out_watch = loop_add(&r->loop, r->outlet.fd, 0, on_room, r);
	r->in_watch = loop_add(&r->loop, STDIN_FILENO, 0, on_input, r);
	return 0;
}

static void unwatch(struct run *r)
{
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	if (r->timer_fd >= 0)
		close(r->timer_fd);
}

static int make_machine(struct run *r, const struct hv_engine *engine)
{
	int rc = hv_machine_create(&r->m, engine, r->o->guest.memory >> HV_PAGE_SHIFT);

	if (rc)
		return rc;
	r->m->tracer = observe_tracer(&r->observe);
	rc = xs_store_create(&r->store, NULL);
	if (rc)
		hv_machine_destroy(r->m);
	return rc;
}

static void run_on_terminal(struct run *r)
{
	int rc = watch(r);

	if (rc) {
		hv_why(r->why, sizeof(r->why), 0,
		       "descriptors are short: %s; allow more (ulimit -n)", strerror(-rc));
		r->status = STATUS_OURS;
	} else {
		r->in_is_tty = isatty(STDIN_FILENO);
		hv_console_set_sink(emergency_output, r);
		run_to_the_end(r);
	}
	unwatch(r);
}

static int with_machine(struct run *r)
{
	const struct hv_engine *engine = find_engine(r);
	int rc;

	if (!engine)
		return STATUS_USAGE;
	rc = make_machine(r, engine);
	if (rc) {
		hv_why(r->why, sizeof(r->why), 0,
		       "no machine of %llu MiB can be made: %s; give it less or free some memory",
		       (unsigned long long)(r->o->guest.memory >> 20), strerror(-rc));
		return STATUS_USAGE;
	}
	run_on_terminal(r);
	xs_store_destroy(r->store);
	hv_machine_destroy(r->m);
	return r->status;
}

/* Descriptors 0 to 2 exist from here on, so that no file of ours takes one of those numbers. */
static void fill_standard_descriptors(void)
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

	if (guest_load(&r->guest, &r->o->guest, &r->outlet, r->why, sizeof(r->why)))
		return STATUS_USAGE;
	if (observe_open(&r->observe, r->o, r->why, sizeof(r->why))) {
		guest_unload(&r->guest);
		return STATUS_USAGE;
	}
	status = with_machine(r);
	if (r->observe.does_stats && status != STATUS_USAGE)
		stats_print(&r->observe.stats, stderr);
	observe_close(&r->observe);
	guest_unload(&r->guest);
	return status;
}

int run_machine(const struct options *o)
{
	struct run r = { .o = o, .signal_fd = -1, .timer_fd = -1 };
	int rc;

	fill_standard_descriptors();
	rc = outlet_open(&r.outlet, STDOUT_FILENO);
	if (rc) {
		fprintf(stderr, "paravane: standard output cannot be used: %s\n", strerror(-rc));
		return STATUS_OURS;
	}
	r.status = with_files(&r);
	if (r.why[0])
		fprintf(stderr, "paravane: %s\n", r.why);
	rc = outlet_error(&r.outlet);
	if (rc)
		fprintf(stderr, "paravane: output was lost: %s\n", strerror(rc));
	if (rc && r.status == STATUS_POWEROFF)
		r.status = STATUS_OUTPUT_LOST;
	outlet_close(&r.outlet);
	return r.status;
}
