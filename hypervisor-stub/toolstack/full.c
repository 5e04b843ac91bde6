/* SPDX-License-Identifier: MIT */
/*
 * One virtual PC on this terminal; see full.h.
 *
 * The CPU has a thread of its own. The main thread sleeps in one loop: standard input for the serial
 * port, signals, --timeout, room in the outlet, and the end of the CPU. The guest knows nothing of
 * those outside, so whatever ends the machine from there ends it at once.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/fullvirt/fv.h"
#include "hypervisor-stub/fullvirt/pc.h"
#include "hypervisor-stub/fullvirt/pvh.h"
#include "hypervisor-stub/toolstack/disk.h"
#include "hypervisor-stub/toolstack/full.h"
#include "hypervisor-stub/toolstack/guest.h"
#include "hypervisor-stub/toolstack/loop.h"
#include "hypervisor-stub/toolstack/outlet.h"
#include "hypervisor-stub/toolstack/run.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/terminal.h"
#include "hypervisor-stub/toolstack/vif.h"

enum { NEWS_ENDED = 1, NEWS_OUTPUT = 2, NEWS_INPUT_ROOM = 4 };

struct full {
	const struct options *o;
	const struct fv_way *way;
	struct fv_machine m;
	struct fv_pc *pc;
	struct file kernel, ramdisk;
	struct device_list devices;
	struct outlet outlet;

	struct loop loop;
	sigset_t signals;
	int signal_fd, timer_fd, news_fd;
	int in_watch, out_watch;
	atomic_uint news;
	char typed[512]; /* read from standard input, no room in the serial port yet */
	size_t typed_len;
	bool in_is_tty, in_over;

	pthread_t cpu;
	bool has_cpu, cut;
	int status;
	char why[1024];
};

static void tell(struct full *f, unsigned what)
{
	if (!(atomic_fetch_or(&f->news, what) & what))
		eventfd_write(f->news_fd, 1);
}

/* ---- what the devices call --------------------------------------------------------------------- */

static void host_kick(void *arg)
{
	struct full *f = arg;

	fv_wake(&f->m);
	f->way->kick(&f->m);
}

static void host_power(void *arg, enum fv_power what, unsigned code)
{
	static const enum fv_end end[] = {
		[FV_POWER_OFF] = FV_END_POWEROFF,
		[FV_POWER_RESET] = FV_END_RESET,
		[FV_POWER_DEBUG_EXIT] = FV_END_CODE,
		[FV_POWER_PANIC] = FV_END_CRASH,
	};
	struct full *f = arg;

	fv_end(&f->m, end[what], code, what == FV_POWER_PANIC ? "its kernel gave up" : NULL);
}

static void host_wrote(void *arg, uint64_t gpa, uint64_t len)
{
	struct full *f = arg;

	if (f->way->wrote)
		f->way->wrote(&f->m, gpa, len);
}

static void complain(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "paravane: %s\n", line);
}

static ssize_t put(void *arg, const void *bytes, size_t len)
{
	return outlet_try(arg, bytes, len);
}

static void output_waits(void *arg)
{
	tell(arg, NEWS_OUTPUT);
}

static void input_room(void *arg)
{
	tell(arg, NEWS_INPUT_ROOM);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void cut(struct full *f, int status)
{
	f->cut = true;
	f->status = status;
	outlet_stop(&f->outlet);
	loop_stop(&f->loop);
}

static int status_of(struct full *f)
{
	switch (atomic_load(&f->m.end)) {
	case FV_END_POWEROFF:
		return STATUS_POWEROFF;
	case FV_END_RESET:
		return STATUS_REBOOT;
	case FV_END_CODE: /* as QEMU's isa-debug-exit: 0 is success */
		return f->m.code ? STATUS_CRASH : STATUS_POWEROFF;
	case FV_END_CRASH:
		return STATUS_CRASH;
	default:
		return STATUS_OURS;
	}
}

/* ---- input and output -------------------------------------------------------------------------- */

static void set_input(struct full *f)
{
	bool may_read = !f->in_over && f->typed_len == 0;

	/* In the background reading would stop the whole job. */
	if (may_read && f->in_is_tty && tcgetpgrp(STDIN_FILENO) != getpgrp())
		may_read = false;
	loop_set(&f->loop, f->in_watch, may_read ? POLLIN : 0);
}

static void push_input(struct full *f)
{
	size_t n = fv_uart_type(f->pc->uart, f->typed, f->typed_len);

	memmove(f->typed, f->typed + n, f->typed_len - n);
	f->typed_len -= n;
	set_input(f);
}

static void on_input(void *arg, short revents)
{
	struct full *f = arg;
	ssize_t n = read(STDIN_FILENO, f->typed, sizeof(f->typed));

	(void)revents;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		f->in_over = true; /* the end of input ends input only */
		set_input(f);
	} else if (f->in_is_tty && memchr(f->typed, RUN_KEY_END, (size_t)n)) {
		cut(f, STATUS_KEYBOARD);
	} else {
		f->typed_len = (size_t)n;
		push_input(f);
	}
}

static void push_output(struct full *f)
{
	loop_set(&f->loop, f->out_watch, fv_uart_run(f->pc->uart) ? POLLOUT : 0);
}

static void on_room(void *arg, short revents)
{
	(void)revents;
	push_output(arg);
}

static void on_news(void *arg, short revents)
{
	struct full *f = arg;
	eventfd_t n;
	unsigned news;

	(void)revents;
	eventfd_read(f->news_fd, &n);
	news = atomic_exchange(&f->news, 0);
	if (news & NEWS_OUTPUT)
		push_output(f);
	if ((news & NEWS_INPUT_ROOM) && f->typed_len)
		push_input(f);
	if (news & NEWS_ENDED)
		loop_stop(&f->loop);
}

/* ---- time and signals -------------------------------------------------------------------------- */

static void on_timeout(void *arg, short revents)
{
	(void)revents;
	cut(arg, STATUS_TIMEOUT);
}

static void print_stats(struct full *f)
{
	fprintf(stderr, "exits of the CPU by kind\n");
	for (unsigned i = 0; i < FV_NR_EXITS; i++) {
		unsigned long long n = atomic_load(&f->m.exits[i]);

		if (n)
			fprintf(stderr, "%20llu  %s\n", n, fv_exit_name(i));
	}
	if (f->way->stats)
		f->way->stats(&f->m, stderr);
}

static void on_signal(void *arg, short revents)
{
	struct full *f = arg;
	struct signalfd_siginfo si;

	(void)revents;
	if (read(f->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGUSR1) {
		print_stats(f);
	} else if (si.ssi_signo == SIGTSTP) {
		terminal_leave();
		kill(getpid(), SIGSTOP);
	} else if (si.ssi_signo == SIGCONT) {
		f->in_is_tty = isatty(STDIN_FILENO);
		terminal_enter(STDIN_FILENO);
		set_input(f);
	} else {
		cut(f, STATUS_SIGNAL + (int)si.ssi_signo);
	}
}

static int watch(struct full *f)
{
	loop_init(&f->loop);
	f->signal_fd = run_open_signals(&f->signals, f->o->stats);
	f->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->signal_fd < 0 || f->news_fd < 0)
		return -errno;
	loop_add(&f->loop, f->signal_fd, POLLIN, on_signal, f);
	loop_add(&f->loop, f->news_fd, POLLIN, on_news, f);
	if (f->o->timeout_ns) {
		f->timer_fd = run_open_timer(f->o->timeout_ns);
		if (f->timer_fd < 0)
			return -errno;
		loop_add(&f->loop, f->timer_fd, POLLIN, on_timeout, f);
	}
	f->in_watch = loop_add(&f->loop, STDIN_FILENO, 0, on_input, f);
	f->out_watch = loop_add(&f->loop, f->outlet.fd, 0, on_room, f);
	f->in_is_tty = isatty(STDIN_FILENO);
	return 0;
}

static void unwatch(struct full *f)
{
	int *fd[] = { &f->signal_fd, &f->timer_fd, &f->news_fd };

	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		if (*fd[i] >= 0)
			close(*fd[i]);
}

/* ---- the CPU's thread -------------------------------------------------------------------------- */

static void *cpu_main(void *arg)
{
	struct full *f = arg;

	f->way->run(&f->m);
	tell(f, NEWS_ENDED);
	return NULL;
}

static int start_cpu(struct full *f)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = -pthread_create(&f->cpu, NULL, cpu_main, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	f->has_cpu = !rc;
	return rc;
}

static void stop_cpu(struct full *f)
{
	if (!f->has_cpu)
		return;
	fv_end(&f->m, FV_END_STOPPED, 0, NULL);
	f->way->kick(&f->m);
	pthread_join(f->cpu, NULL);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int run_to_the_end(struct full *f)
{
	int rc;

	pthread_sigmask(SIG_BLOCK, &f->signals, NULL);
	terminal_enter(STDIN_FILENO);
	set_input(f);
	rc = start_cpu(f);
	if (!rc)
		loop_run(&f->loop);
	stop_cpu(f);
	/* What the guest wrote last goes out as long as somebody reads. */
	while (!f->cut && fv_uart_run(f->pc->uart) && outlet_wait(&f->outlet, -1))
		continue;
	terminal_leave();
	pthread_sigmask(SIG_UNBLOCK, &f->signals, NULL);
	if (rc)
		return hv_why(f->why, sizeof(f->why), STATUS_OURS, "no thread can be made: %s",
		              strerror(-rc));
	if (f->cut)
		return f->status;
	if (f->m.text[0])
		hv_why(f->why, sizeof(f->why), 0, "the guest stopped: %s", f->m.text);
	return status_of(f);
}

/* As they were named: the first disk is the first drive, the first interface the first card. */
static void give_devices(struct full *f, struct fv_pc_config *config)
{
	unsigned disks = 0, nets = 0;

	for (struct device *dev = f->devices.first; dev; dev = dev->next) {
		if (dev->kind == &disk_kind) {
			config->disks[disks++] = disk_of(dev)->store;
		} else {
			config->nets[nets].port = vif_of(dev)->port;
			memcpy(config->nets[nets].mac, vif_of(dev)->spec.mac, 6);
			nets++;
		}
	}
}

static int open_devices(struct full *f)
{
	const struct guest_config *g = &f->o->guest;

	if (g->disks.nr > FV_IDE_DRIVES || g->vifs.nr > FV_PC_NETS)
		return hv_why(
			f->why, sizeof(f->why), -EINVAL,
			"a machine of --mode fullvirt has %d disks and %d network interfaces at "
			"most",
			FV_IDE_DRIVES, FV_PC_NETS);
	vif_capture_all(f->o->capture);
	return guest_open_devices(&f->devices, g, f->why, sizeof(f->why));
}

static int with_cpu(struct full *f)
{
	const struct fv_image image = {
		.kernel = f->kernel.bytes,
		.kernel_len = f->kernel.len,
		.cmdline = f->o->guest.cmdline,
		.ramdisk = f->ramdisk.bytes,
		.ramdisk_len = f->ramdisk.len,
	};
	struct fv_pc_config config = {
		.host = { host_kick, host_power, host_wrote, complain, f },
		.console = { put, &f->outlet, output_waits, input_room, f },
		.ram = { { 0, FV_HOLE, f->m.ram },
		         { FV_HOLE_END, f->m.ram_bytes - FV_HOLE_END, f->m.ram + FV_HOLE_END } },
		.nr_ram = 2,
	};
	char fact[512];
	int status;

	give_devices(f, &config);
	if (fv_pvh_load(&f->m, &image, fact, sizeof(fact)))
		return hv_why(f->why, sizeof(f->why), STATUS_USAGE, "kernel '%s' %s",
		              f->o->guest.kernel, fact);
	if (watch(f))
		return hv_why(f->why, sizeof(f->why), STATUS_USAGE,
		              "descriptors are short: %s; allow more (ulimit -n)", strerror(errno));
	if (fv_pc_create(&f->pc, &config, f->why, sizeof(f->why)))
		return STATUS_OURS;
	f->m.bus = f->pc->bus;
	status = run_to_the_end(f);
	if (f->o->stats)
		print_stats(f);
	fv_pc_destroy(f->pc);
	return status;
}

static const struct fv_way *find_way(const char *engine)
{
	static const struct fv_way *const ways[] = { &fv_way_ring3, &fv_way_hvm };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(engine, "auto") || !strcmp(engine, ways[i]->name))
			return ways[i];
	return NULL;
}

static int with_outlet(struct full *f)
{
	int status;

	f->way = find_way(f->o->engine);
	if (!f->way)
		return hv_why(f->why, sizeof(f->why), STATUS_USAGE,
		              "--mode fullvirt does not run on engine %s; leave --engine out",
		              f->o->engine);
	if (f->way->probe(f->why, sizeof(f->why)) ||
	    guest_read_files(&f->o->guest, &f->kernel, &f->ramdisk, f->why, sizeof(f->why)) ||
	    open_devices(f))
		return STATUS_USAGE;
	f->m.ram_bytes = f->o->guest.memory;
	if (f->way->create(&f->m, f->why, sizeof(f->why)))
		return STATUS_USAGE;
	status = with_cpu(f);
	f->way->destroy(&f->m);
	return status;
}

static int run(struct full *f)
{
	int rc = outlet_open(&f->outlet, STDOUT_FILENO);

	if (rc) {
		fprintf(stderr, "paravane: standard output cannot be used: %s\n", strerror(-rc));
		return STATUS_OURS;
	}
	f->status = with_outlet(f);
	unwatch(f);
	devices_free(&f->devices);
	if (f->why[0])
		fprintf(stderr, "paravane: %s\n", f->why);
	file_free(&f->ramdisk);
	file_free(&f->kernel);
	rc = outlet_error(&f->outlet);
	if (rc)
		fprintf(stderr, "paravane: output was lost: %s\n", strerror(rc));
	if (rc && f->status == STATUS_POWEROFF)
		f->status = STATUS_OUTPUT_LOST;
	outlet_close(&f->outlet);
	return f->status;
}

int run_full(const struct options *o)
{
	struct full *f = calloc(1, sizeof(*f));
	int status;

	if (!f) {
		fprintf(stderr, "paravane: memory is short; free some\n");
		return STATUS_USAGE;
	}
	f->o = o;
	f->signal_fd = f->timer_fd = f->news_fd = -1;
	run_fill_descriptors();
	status = run(f);
	free(f);
	return status;
}
