/* SPDX-License-Identifier: MIT */
/*
 * The terminal. Input is echoed and collected into lines; a line, or what is there when ^D is typed,
 * is given to whoever reads.
 *
 * Invariant: [head, done) are finished lines, [done, tail) is the line being typed; the indexes only
 * grow, save tail, which goes back over the unfinished line.
 */
#include "tests/guests/unix/tty.h"

#include <stdbool.h>
#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/console.h"
#include "pvops/evtchn.h"
#include "pvops/lock.h"
#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/usercopy.h"

#define SIZE      4096u
#define CTRL(c)   ((c)&0x1f)
#define BACKSPACE 0x7f
#define END_MARK  CTRL('D') /* in the buffer: the read ends here, and it is not read */

static char buffer[SIZE];
static uint32_t head, done, tail;
static struct pv_spinlock lock = PV_SPINLOCK_INIT;
static struct pv_waitq readers;
static int foreground;

static void echo(const char *text, size_t len)
{
	/* What does not fit is lost: an echo must not wait. */
	pv_console_try_write(text, len);
}

static void finish_line(char last)
{
	if (tail - head < SIZE)
		buffer[tail++ % SIZE] = last;
	pv_store(&done, tail);
}

/* Takes the last character of the unfinished line back, on the screen too. False: it is empty. */
static bool rub_out(void)
{
	if (tail == done)
		return false;
	tail--;
	echo("\b \b", 3);
	return true;
}

static void take_char(char c)
{
	if (c == '\r')
		c = '\n';
	if (c == '\n') {
		echo("\n", 1);
		finish_line(c);
	} else if (c == CTRL('D')) {
		finish_line(END_MARK);
	} else if (c == BACKSPACE || c == '\b') {
		rub_out();
	} else if (c == CTRL('U')) {
		while (rub_out())
			;
	} else if (c == CTRL('C')) {
		tail = done;
		echo("^C\n", 3);
		if (foreground)
			signal_send(-foreground, SIGINT);
	} else if (tail - head < SIZE - 1) { /* one place is kept for the end of the line */
		buffer[tail++ % SIZE] = c;
		echo(&c, 1);
	}
}

/* Runs on the vCPU that the port is bound to, events masked. */
static void on_input(evtchn_port_t port, void *arg)
{
	char piece[64];
	size_t n, i;

	(void)port;
	(void)arg;
	/* With the buffer full the rest stays in the ring, until somebody reads. */
	pv_spin_lock(&lock);
	while (tail - head + sizeof(piece) < SIZE) {
		n = pv_console_read(piece, sizeof(piece));
		for (i = 0; i < n; i++)
			take_char(piece[i]);
		if (!n)
			break;
	}
	sched_wake(&readers);
	pv_spin_unlock(&lock);
}

static bool has_line(void *arg)
{
	(void)arg;
	return pv_load(&done) != pv_load(&head);
}

/* At most one line. */
static size_t take_line(char *buf, size_t len)
{
	size_t n = 0;
	char c = 0;

	pv_spin_lock(&lock);
	while (head != done && c != '\n') {
		c = buffer[head % SIZE];
		if (c == END_MARK) {
			head++;
			break;
		}
		if (n == len)
			break;
		head++;
		buf[n++] = c;
	}
	pv_spin_unlock(&lock);
	return n;
}

static long tty_read(struct file *f, uint64_t to, uint64_t len)
{
	char line[256];
	size_t n;
	int rc;

	(void)f;
	if (!len)
		return 0;
	rc = sched_sleep(&readers, has_line, NULL, 0, true);
	if (rc)
		return rc;
	n = take_line(line, len < sizeof(line) ? len : sizeof(line));
	on_input(0, NULL); /* there is room now for what had to wait */
	return copy_out(to, line, n) ? -EFAULT : (long)n;
}

static long tty_write(struct file *f, uint64_t from, uint64_t len)
{
	char piece[256];
	uint64_t at;

	(void)f;
	for (at = 0; at < len;) {
		size_t n = len - at < sizeof(piece) ? len - at : sizeof(piece);

		if (copy_in(piece, from + at, n))
			return -EFAULT;
		pv_console_write(piece, n);
		at += n;
	}
	return (long)len;
}

static void tty_close(struct file *f)
{
	(void)f;
}

const struct file_ops tty_ops = { tty_read, tty_write, tty_close };

void tty_set_foreground(int group)
{
	pv_store(&foreground, group);
}

void tty_init(void)
{
	evtchn_port_t port = pv_console_port();

	if (port && pv_evtchn_bind(port, 0, on_input, NULL))
		pv_panic("unix: the console's port is taken");
	/* What was typed before. */
	on_input(0, NULL);
}
