/* SPDX-License-Identifier: MIT */
/* How a text about a device is refused; see spec.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "hypervisor-stub/toolstack/spec.h"

int spec_refuse(const struct spec_text *t, const char *fmt, ...)
{
	int n = snprintf(t->why, t->why_len, "%s '%.200s': ", t->what, t->text);
	va_list ap;

	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < t->why_len)
		vsnprintf(t->why + n, t->why_len - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}
