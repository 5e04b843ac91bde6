/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_console_io: the emergency console, on which a kernel can speak before it has a ring.
 *
 * Text is gathered into lines per domain, bytes that are not printable are dropped, and whole lines
 * go to the toolstack's sink; so the lines of vCPUs and domains do not run into each other.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/hypercall.h"

static hv_console_sink_fn *sink;
static void *sink_arg;

void hv_console_set_sink(hv_console_sink_fn *fn, void *arg)
{
	sink_arg = arg;
	sink = fn;
}

static bool is_shown(char c)
{
	return (c >= ' ' && c <= '~') || c == '\t';
}

static void emit(struct hv_domain *d, struct hv_console_line *line)
{
	line->text[line->len++] = '\n';
	if (sink)
		sink(sink_arg, d, line->text, line->len);
}

/*
 * Adds bytes to the domain's line until it is complete; then takes it over into *whole.
 * Returns how many bytes were used; *is_whole says whether there is a line to emit.
 */
static uint32_t gather(struct hv_domain *d, const char *buf, uint32_t n,
                       struct hv_console_line *whole, bool *is_whole)
{
	struct hv_console_line *line = &d->console_line;
	uint32_t i = 0;

	*is_whole = false;
	hv_domain_lock(d);
	while (i < n && !*is_whole) {
		char c = buf[i++];

		if (is_shown(c))
			line->text[line->len++] = c;
		/* One byte stays free for the newline. */
		*is_whole = c == '\n' || line->len == sizeof(line->text) - 1;
	}
	if (*is_whole) {
		*whole = *line;
		line->len = 0;
	}
	hv_domain_unlock(d);
	return i;
}

void hv_console_flush(struct hv_domain *d)
{
	struct hv_console_line whole;
	bool is_whole;

	if (d->console_line.len) {
		gather(d, "\n", 1, &whole, &is_whole);
		emit(d, &whole);
	}
}

static int64_t console_write(struct hv_vcpu *v, uint64_t va, uint32_t count)
{
	struct hv_domain *d = v->domain;
	char buf[128];

	while (count && !atomic_load(&d->ending)) {
		uint32_t n = count < sizeof(buf) ? count : (uint32_t)sizeof(buf);

		if (hv_guest_read(v, buf, va, n))
			return -XEN_EFAULT;
		for (uint32_t i = 0; i < n;) {
			struct hv_console_line whole;
			bool is_whole;

			i += gather(d, buf + i, n - i, &whole, &is_whole);
			if (is_whole)
				emit(d, &whole);
		}
		va += n;
		count -= n;
	}
	return 0;
}

int64_t hv_do_console_io(struct hv_vcpu *v, const uint64_t *a)
{
	/* Reading, and whatever else: for the domain that owns the machine's console. */
	if ((uint32_t)a[0] != CONSOLEIO_write)
		return -XEN_EPERM;
	return console_write(v, a[2], (uint32_t)a[1]);
}
