/* SPDX-License-Identifier: MIT */
/*
 * A guest that does what its command line says, word by word: the other half of the tests of the
 * command `paravane`. At the end of the words it powers off.
 *
 *   say=TEXT      a line with TEXT
 *   lines=N       N numbered lines through the console ring, as fast as they go
 *   emergency=N   N numbered lines through console_io
 *   echo          gives back what is typed, upper case, until a line that is "end"
 *   sleep=MS      blocks that long
 *   orderly       blocks until control/shutdown is written, says what, and powers off
 *   deaf          watches control/shutdown like that, but never does anything
 *   idle, spin    blocks, or runs, for ever
 *   ramdisk       says its length and the sum of its bytes
 *   facts         says memory, command line, ports
 *   layout        says where the domain builder put what
 *   ring          stores an impossible index in the console ring and sends the event
 *   reboot, suspend, crash, watchdog   ends in that way
 *   fault         reads where nothing is mapped, with no trap table, three calls deep
 *   lend=DOM      lends two pages to a domain, borrow=DOM maps what one lends; share.c has these,
 *                 turns=lender, turns=borrower, giveback=, takeback=, use=
 *   roots=N       all vCPUs go through N address spaces; cycle=N makes and unmakes so many
 *   stack         faults with a stack pointer that leads nowhere
 */
#include "abi/io/console.h"
#include "pvops/console.h"
#include "pvops/hypercall.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"
#include "pvops/xs.h"
#include "tests/guests/actor/actor.h"
#include "tests/guests/words.h"

#define NOWHERE 0x7654321000ul

static bool never(void *arg)
{
	(void)arg;
	return false;
}

void sleep_ms(uint64_t ms)
{
	struct pv_waitq q = { { 0 } };

	pv_wait(&q, never, NULL, pv_now_ns() + ms * 1000000);
}

static unsigned long number_at(const char *text)
{
	return word_digits(&text);
}

/* ---- talking ---- */

static void say_lines(unsigned long n)
{
	for (unsigned long i = 1; i <= n; i++)
		pv_log("line %lu of %lu, followed by some text to fill the ring sooner\n", i, n);
}

static void say_emergency(unsigned long n)
{
	char text[32] = "emergency 000000\n";

	for (unsigned long i = 1; i <= n; i++) {
		unsigned long rest = i;

		for (int at = 15; at >= 10; at--, rest /= 10)
			text[at] = (char)('0' + rest % 10);
		pv_hc_console_io(CONSOLEIO_write, 17, text);
	}
}

static void echo(void)
{
	char c, last[4] = "";

	pv_log("echo: ready\n");
	for (;;) {
		if (!pv_console_read(&c, 1)) {
			sleep_ms(1);
			continue;
		}
		memmove(last, last + 1, 3);
		last[3] = c;
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		pv_console_write(&c, 1);
		if (!memcmp(last, "end", 3) && (last[3] == '\n' || last[3] == '\r'))
			return;
	}
}

static void say_ramdisk(const struct pv_boot *boot)
{
	const unsigned char *p = boot->ramdisk;
	unsigned long sum = 0;

	for (size_t i = 0; i < boot->ramdisk_len; i++)
		sum += p[i];
	pv_log("ramdisk: %lu bytes, sum %lu\n", (unsigned long)boot->ramdisk_len, sum);
}

static void say_facts(const struct pv_boot *boot)
{
	pv_log("facts: %lu KiB, cmdline \"%s\", console port %u, store port %u\n",
	       boot->memory_end / 1024, boot->cmdline, boot->start->console.domU.evtchn,
	       boot->start->store_evtchn);
}

static void say_layout(const struct start_info *si)
{
	pv_log("layout: magic %s, %lu pages, flags %x\n", si->magic, si->nr_pages, si->flags);
	pv_log("layout: start_info %lx, store %lx, console %lx\n", (unsigned long)si,
	       (unsigned long)pv_m2p(si->store_mfn) << PV_PAGE_SHIFT,
	       (unsigned long)pv_m2p(si->console.domU.mfn) << PV_PAGE_SHIFT);
	pv_log("layout: tables %lx, %lu frames, p2m %lx, first_p2m_pfn %lx, nr %lu\n", si->pt_base,
	       si->nr_pt_frames, si->mfn_list, si->first_p2m_pfn, si->nr_p2m_frames);
	pv_log("layout: module %lx, %lu bytes\n", si->mod_start, si->mod_len);
}

static void spoil_ring(const struct pv_boot *boot)
{
	struct xencons_interface *ring = pv_pfn_to_virt(pv_m2p(boot->start->console.domU.mfn));
	struct evtchn_send send = { boot->start->console.domU.evtchn };

	pv_console_drain(1000000000);
	ring->out_prod += 100000;
	pv_hc_event_channel_op(EVTCHNOP_send, &send);
	ring->out_prod -= 100000;
}

/* ---- asked to end ---- */

static struct pv_waitq asked_q;
static volatile unsigned int asked;

static void on_asked(struct pv_xs_watch *w, const char *path)
{
	(void)w;
	(void)path;
	asked = asked + 1;
	pv_wake(&asked_q);
}

static bool is_asked(void *seen)
{
	return asked != *(unsigned int *)seen;
}

void need_store(const struct pv_boot *boot)
{
	static bool is_up;

	if (!is_up && pv_xs_init(boot->start))
		pv_panic("actor: no store");
	is_up = true;
}

static void wait_for_shutdown(const struct pv_boot *boot, bool heeds_it)
{
	static struct pv_xs_watch w = { .fn = on_asked };
	unsigned int seen = 0;
	char what[64] = "";

	need_store(boot);
	if (pv_xs_watch(&w, "control/shutdown"))
		pv_panic("actor: no watch");
	pv_log("waiting for a shutdown\n");
	while (!heeds_it || !what[0]) {
		pv_wait(&asked_q, is_asked, &seen, 0);
		seen = asked;
		if (pv_xs_read(PV_XS_NO_TX, "control", "shutdown", what, sizeof(what), NULL))
			what[0] = 0;
	}
	pv_xs_write(PV_XS_NO_TX, "control", "shutdown", "", 0);
	pv_log("asked to %s\n", what);
	pv_shutdown(SHUTDOWN_poweroff);
}

/* ---- ends ---- */

/* Functions that a report of the stack shows one by one. */
#ifdef __clang__
#define PLAIN_CALL __attribute__((noinline, optnone))
#else
#define PLAIN_CALL __attribute__((noipa))
#endif

PLAIN_CALL static unsigned long read_nowhere(unsigned long *where)
{
	return *(volatile unsigned long *)where + 1;
}

PLAIN_CALL static unsigned long second_call(unsigned long *where)
{
	return read_nowhere(where) + 1;
}

PLAIN_CALL static unsigned long first_call(unsigned long *where)
{
	return second_call(where) + 1;
}

static void expire_watchdog(void)
{
	struct sched_watchdog w = { 0, 1 };

	pv_hc_sched_op(SCHEDOP_watchdog, &w);
	sleep_ms(60000);
}

static void fault(void)
{
	pv_hc_set_trap_table(NULL);
	first_call((unsigned long *)NOWHERE);
}

static void lose_stack(void)
{
	__asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(NOWHERE) : "memory");
}

/* ---- words ---- */

static bool is(const char *word, size_t len, const char *what)
{
	return strlen(what) == len && !strncmp(word, what, len);
}

static void act_plain(const char *word, size_t len, const struct pv_boot *boot)
{
	if (is(word, len, "echo"))
		echo();
	else if (is(word, len, "idle"))
		for (;;)
			sleep_ms(1000000000);
	else if (is(word, len, "orderly"))
		wait_for_shutdown(boot, true);
	else if (is(word, len, "deaf"))
		wait_for_shutdown(boot, false);
	else if (is(word, len, "spin"))
		for (;;)
			__asm__ volatile("pause");
	else if (is(word, len, "ramdisk"))
		say_ramdisk(boot);
	else if (is(word, len, "facts"))
		say_facts(boot);
	else if (is(word, len, "layout"))
		say_layout(boot->start);
	else if (is(word, len, "ring"))
		spoil_ring(boot);
	else if (is(word, len, "reboot"))
		pv_shutdown(SHUTDOWN_reboot);
	else if (is(word, len, "suspend"))
		pv_shutdown(SHUTDOWN_suspend);
	else if (is(word, len, "crash"))
		pv_shutdown(SHUTDOWN_crash);
	else if (is(word, len, "watchdog"))
		expire_watchdog();
	else if (is(word, len, "fault"))
		fault();
	else if (is(word, len, "stack"))
		lose_stack();
	else
		pv_panic("actor: unknown word '%s'", word);
}

static bool has_value(const char *word, size_t len)
{
	const char *equals = strchr(word, '=');

	return equals && (size_t)(equals - word) < len;
}

static void act(const char *word, size_t len, const struct pv_boot *boot)
{
	if (!strncmp(word, "say=", 4)) {
		pv_console_write(word + 4, len - 4);
		pv_console_write("\n", 1);
	} else if (!strncmp(word, "lines=", 6)) {
		say_lines(number_at(word + 6));
	} else if (!strncmp(word, "emergency=", 10)) {
		say_emergency(number_at(word + 10));
	} else if (!strncmp(word, "sleep=", 6)) {
		sleep_ms(number_at(word + 6));
	} else if (has_value(word, len)) {
		unsigned long n = number_at(strchr(word, '=') + 1);

		if (!roots_act(word, n) && !share_act(word, n, boot))
			pv_panic("actor: unknown word '%s'", word);
	} else {
		act_plain(word, len, boot);
	}
}

void kernel_main(const struct pv_boot *boot)
{
	const char *at = boot->cmdline;

	while (*at) {
		const char *space = strchr(at, ' ');
		size_t len = space ? (size_t)(space - at) : strlen(at);

		if (len)
			act(at, len, boot);
		at += len + (space != NULL);
	}
}
