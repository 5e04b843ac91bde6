/* SPDX-License-Identifier: MIT */
/*
 * Formatted text. One pass over the format; each conversion is parsed into a struct spec, turned
 * into digits or a string, and padded at one place (emit_field).
 *
 * Invariant: `out->len` counts every character of the whole text; only those that fit are stored.
 */
#include "pvops/lib/format.h"

#include <stdbool.h>
#include <stdint.h>

#include "pvops/lib/string.h"

struct out {
	char *buf;
	size_t size;
	size_t len;
};

struct spec {
	bool left, plus, space, alt, zero;
	int width;
	int precision; /* -1: none given */
	char length;   /* 'H' for hh, 'L' for ll, else the letter, or 0 */
	char conv;
};

static void put(struct out *o, char c)
{
	if (o->size && o->len < o->size - 1)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, long n)
{
	for (; n > 0; n--)
		put(o, c);
}

/* Prefix (sign, 0x), then zeros, then body, all in a field of the asked width. */
static void emit_field(struct out *o, const struct spec *s, const char *prefix, long zeros,
                       const char *body, size_t len)
{
	long used = (long)strlen(prefix) + zeros + (long)len;
	size_t i;

	if (!s->left)
		pad(o, ' ', s->width - used);
	for (; *prefix; prefix++)
		put(o, *prefix);
	pad(o, '0', zeros);
	for (i = 0; i < len; i++)
		put(o, body[i]);
	if (s->left)
		pad(o, ' ', s->width - used);
}

static int parse_number(const char **p, va_list *ap, bool *from_args)
{
	int n = 0;

	*from_args = **p == '*';
	if (*from_args) {
		(*p)++;
		return va_arg(*ap, int);
	}
	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (n < INT32_MAX / 16) /* a wider field than that is a mistake; do not overflow */
			n = n * 10 + (**p - '0');
	return n;
}

static const char *parse_spec(const char *p, struct spec *s, va_list *ap)
{
	bool starred;

	*s = (struct spec){ .precision = -1 };
	for (;; p++) {
		if (*p == '-')
			s->left = true;
		else if (*p == '+')
			s->plus = true;
		else if (*p == ' ')
			s->space = true;
		else if (*p == '#')
			s->alt = true;
		else if (*p == '0')
			s->zero = true;
		else
			break;
	}
	s->width = parse_number(&p, ap, &starred);
	if (s->width < 0) { /* only from a '*' */
		s->left = true;
		s->width = -s->width;
	}
	if (*p == '.') {
		p++;
		s->precision = parse_number(&p, ap, &starred);
	}
	if (*p && strchr("hljzt", *p)) {
		s->length = *p++;
		if (*p == s->length && (*p == 'h' || *p == 'l')) {
			s->length = *p == 'h' ? 'H' : 'L';
			p++;
		}
	}
	s->conv = *p;
	return *p ? p + 1 : p;
}

static intmax_t signed_arg(char length, va_list *ap)
{
	switch (length) {
	case 'H':
		return (signed char)va_arg(*ap, int);
	case 'h':
		return (short)va_arg(*ap, int);
	case 0:
		return va_arg(*ap, int);
	default:
		return va_arg(*ap, intmax_t); /* l, ll, j, z, t: all 64 bits here */
	}
}

static uintmax_t unsigned_arg(char length, va_list *ap)
{
	switch (length) {
	case 'H':
		return (unsigned char)va_arg(*ap, unsigned int);
	case 'h':
		return (unsigned short)va_arg(*ap, unsigned int);
	case 0:
		return va_arg(*ap, unsigned int);
	default:
		return va_arg(*ap, uintmax_t);
	}
}

static void put_number(struct out *o, const struct spec *s, uintmax_t v, const char *prefix)
{
	const char *digits = s->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned int base = s->conv == 'o' ? 8 : s->conv == 'x' || s->conv == 'X' ? 16 : 10;
	char tmp[24]; /* 64 bits in octal are 22 digits */
	size_t at = sizeof(tmp);
	long zeros;
	size_t len;

	for (; v; v /= base)
		tmp[--at] = digits[v % base];
	len = sizeof(tmp) - at;
	if (s->precision >= 0)
		zeros = s->precision - (long)len;
	else if (s->zero && !s->left)
		zeros = s->width - (long)strlen(prefix) - (long)len;
	else
		zeros = 0;
	if (s->precision < 0 && zeros < 1 && len == 0)
		zeros = 1; /* zero is one digit unless a precision of 0 was asked for */
	if (s->conv == 'o' && s->alt && zeros < 1)
		zeros = 1;
	emit_field(o, s, prefix, zeros > 0 ? zeros : 0, tmp + at, len);
}

static void put_signed(struct out *o, const struct spec *s, intmax_t v)
{
	const char *prefix = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

	put_number(o, s, v < 0 ? 0 - (uintmax_t)v : (uintmax_t)v, prefix);
}

static void put_unsigned(struct out *o, const struct spec *s, uintmax_t v)
{
	const char *prefix = "";

	if (s->alt && v && s->conv == 'x')
		prefix = "0x";
	else if (s->alt && v && s->conv == 'X')
		prefix = "0X";
	put_number(o, s, v, prefix);
}

static void convert(struct out *o, struct spec *s, va_list *ap)
{
	const char *str;
	char c;

	switch (s->conv) {
	case 'd':
	case 'i':
		put_signed(o, s, signed_arg(s->length, ap));
		break;
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		put_unsigned(o, s, unsigned_arg(s->length, ap));
		break;
	case 'p':
		s->conv = 'x';
		s->alt = true;
		put_unsigned(o, s, (uintptr_t)va_arg(*ap, void *));
		break;
	case 'c':
		c = (char)va_arg(*ap, int);
		emit_field(o, s, "", 0, &c, 1);
		break;
	case 's':
		str = va_arg(*ap, const char *);
		if (!str)
			str = "(null)";
		emit_field(o, s, "", 0, str,
		           strnlen(str, s->precision < 0 ? SIZE_MAX : (size_t)s->precision));
		break;
	case '%':
		put(o, '%');
		break;
	default:
		put(o, '%');
		if (s->conv)
			put(o, s->conv);
		break;
	}
}

int pv_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size };
	struct spec s;
	va_list args;

	va_copy(args, ap);
	while (*fmt) {
		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt = parse_spec(fmt + 1, &s, &args);
		convert(&o, &s, &args);
	}
	va_end(args);
	if (size)
		buf[o.len < size ? o.len : size - 1] = 0;
	return (int)o.len;
}

int pv_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = pv_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return len;
}
