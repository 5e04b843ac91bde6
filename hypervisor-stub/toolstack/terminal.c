/* SPDX-License-Identifier: MIT */
/*
 * The terminal on standard input; see terminal.h.
 *
 * Fatal signals of our own making (abort after a broken invariant, a fault) restore it from their
 * handlers; the orderly ends do it through terminal_leave().
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/terminal.h"

static struct termios saved;
static int raw_fd;
static atomic_bool is_raw;
static bool hooks_set;

void terminal_leave(void)
{
	if (atomic_exchange(&is_raw, false))
		tcsetattr(raw_fd, TCSANOW, &saved);
}

static void on_fatal(int sig)
{
	/* SA_RESETHAND: the second time it is the end. */
	terminal_leave();
	raise(sig);
}

static void set_hooks(void)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND }, old;

	if (hooks_set)
		return;
	hooks_set = true;
	atexit(terminal_leave);
	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		/* Somebody else's handler (a sanitizer's, say) stays. */
		if (!sigaction(fatal[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &sa, NULL);
	}
}

bool terminal_enter(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) || tcgetpgrp(fd) != getpgrp())
		return false;
	if (atomic_load(&is_raw))
		return true;
	saved = t;
	raw_fd = fd;
	set_hooks();
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	t.c_cflag |= CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	atomic_store(&is_raw, true);
	if (tcsetattr(fd, TCSANOW, &t)) {
		atomic_store(&is_raw, false);
		return false;
	}
	return true;
}
