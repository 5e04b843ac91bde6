/* SPDX-License-Identifier: MIT */
/*
 * Words and last words: the log, the panic, the orderly end.
 */
#include <stdarg.h>

#include "abi/sched.h"
#include "pvops/console.h"
#include "pvops/lib/format.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define LINE_MAX     256
#define LAST_WORD_NS 2000000000ull /* how long the console's reader may take at the end */

static void write_log(const char *text, size_t len)
{
	if (pv_hooks.log)
		pv_hooks.log(text, len);
	else
		pv_console_write(text, len);
}

static void log_va(const char *fmt, va_list ap)
{
	char line[LINE_MAX];
	int len = pv_vsnprintf(line, sizeof(line), fmt, ap);

	write_log(line, len < LINE_MAX ? (size_t)len : LINE_MAX - 1);
}

void pv_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(fmt, ap);
	va_end(ap);
}

void pv_shutdown(unsigned int reason)
{
	pv_console_drain(LAST_WORD_NS);
	for (;;)
		PV_OP(cpu, shutdown, reason);
}

void pv_panic(const char *fmt, ...)
{
	va_list ap;

	pv_irq_disable();
	pv_console_panic();
	pv_log("panic: ");
	va_start(ap, fmt);
	log_va(fmt, ap);
	va_end(ap);
	pv_log("\n");
	pv_shutdown(SHUTDOWN_crash);
}
