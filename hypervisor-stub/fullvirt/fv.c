/* SPDX-License-Identifier: MIT */
/*
 * What both ways of running the CPU share: how a machine ends, and how a CPU that has nothing to do
 * sleeps.
 */
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/fv.h"

void fv_end(struct fv_machine *m, enum fv_end end, unsigned code, const char *fmt, ...)
{
	int none = FV_END_NONE;
	va_list ap;

	if (!atomic_compare_exchange_strong(&m->end, &none, (int)end))
		return;
	m->code = code;
	if (fmt) {
		va_start(ap, fmt);
		vsnprintf(m->text, sizeof(m->text), fmt, ap);
		va_end(ap);
	}
	/* Publishes code and text; pairs with the load by whoever waits for the end. */
	atomic_store(&m->stop, true);
	fv_wake(m);
}

void fv_wait(struct fv_machine *m)
{
	for (;;) {
		uint32_t seen = atomic_load(&m->wakes);

		/*
		 * 1. they set the condition    1. we read the count
		 * 2. they change the count     2. we look at the condition
		 * 3. they wake                 3. we sleep if the count is still that
		 */
		if (atomic_load(&m->stop) || fv_irq_pending(m->bus))
			return;
		syscall(SYS_futex, &m->wakes, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
	}
}

void fv_wake(struct fv_machine *m)
{
	atomic_fetch_add(&m->wakes, 1);
	syscall(SYS_futex, &m->wakes, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

const char *fv_exit_name(enum fv_exit_kind kind)
{
	static const char *const name[FV_NR_EXITS] = {
		[FV_EXIT_PORT] = "port",
		[FV_EXIT_MMIO] = "mmio",
		[FV_EXIT_HLT] = "hlt",
		[FV_EXIT_PRIVILEGED] = "privileged instruction",
		[FV_EXIT_SCAN] = "code scanned",
		[FV_EXIT_TABLE_WRITE] = "page-table store",
		[FV_EXIT_ROOT] = "cr3 load",
		[FV_EXIT_INVLPG] = "invlpg",
		[FV_EXIT_MISS] = "shadow miss",
		[FV_EXIT_FAULT] = "page fault of the guest's",
		[FV_EXIT_EXCEPTION] = "other exception of the guest's",
		[FV_EXIT_SYSCALL] = "system call",
		[FV_EXIT_INTERRUPT] = "interrupt",
		[FV_EXIT_WINDOW] = "interrupt window",
		[FV_EXIT_KICK] = "kick",
		[FV_EXIT_OTHER] = "other",
	};

	return kind < FV_NR_EXITS ? name[kind] : "";
}
