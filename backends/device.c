/* SPDX-License-Identifier: MIT */
/*
 * The host's calls in the form in which back-ends use them: numbers, formats, one line of complaint.
 *
 * Invariant: what the front-end wrote is text of any content; a number is digits that fit, or it is
 * no number.
 */
#include "backends/device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int be_read_number(const struct be_host_dev *h, enum be_side side, const char *node,
                   uint64_t *value)
{
	char text[24];
	uint64_t n = 0;
	int rc = h->ops->read(h->arg, side, node, text, sizeof(text));

	if (rc == -ENOENT)
		return rc;
	if (rc <= 0)
		return -EINVAL;
	for (const char *p = text; p < text + rc; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -EINVAL;
	}
	*value = n;
	return 0;
}

uint64_t be_read_number_or(const struct be_host_dev *h, enum be_side side, const char *node,
                           uint64_t otherwise)
{
	be_read_number(h, side, node, &otherwise);
	return otherwise;
}

int be_printf(const struct be_host_dev *h, const char *node, const char *fmt, ...)
{
	char text[BE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return h->ops->write(h->arg, node, text);
}

void be_complain(const struct be_host_dev *h, const char *fmt, ...)
{
	char text[BE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h->ops->complain(h->arg, text);
}

int be_fail(const struct be_host_dev *h, int rc, const char *fmt, ...)
{
	char text[BE_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	h->ops->complain(h->arg, text);
	be_printf(h, "error", "%d %s", -rc, text);
	return rc;
}
