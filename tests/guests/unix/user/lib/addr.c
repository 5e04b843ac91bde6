/* SPDX-License-Identifier: MIT */
/*
 * Addresses as people write them, and streams by them.
 */
#include "tests/guests/unix/user/lib/unix.h"

/* Up to three digits, at most `most`; behind them, or NULL. */
static const char *parse_byte(const char *text, uint32_t *value)
{
	unsigned int n = 0, digits = 0;

	while (*text >= '0' && *text <= '9' && digits++ < 3)
		n = n * 10 + (unsigned int)(*text++ - '0');
	*value = *value << 8 | n;
	return digits && n <= 255 ? text : NULL;
}

const char *parse_ip(const char *text, uint32_t *ip)
{
	int i;

	*ip = 0;
	for (i = 0; i < 4 && text; i++) {
		if (i && *text++ != '.')
			return NULL;
		text = parse_byte(text, ip);
	}
	return text;
}

uint16_t parse_port(const char *text)
{
	long n = number(text, 0);

	return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

static int stream(int (*fn)(int fd, const struct unix_addr *a), uint32_t ip, uint16_t port)
{
	const struct unix_addr a = { .ip = ip, .port = port };
	int fd = socket(SOCK_STREAM), rc;

	if (fd < 0)
		return fd;
	rc = fn(fd, &a);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int connect_to(uint32_t ip, uint16_t port)
{
	return stream(connect, ip, port);
}

static int bind_and_listen(int fd, const struct unix_addr *a)
{
	int rc = bind(fd, a);

	return rc ? rc : listen(fd);
}

int listen_at(uint16_t port)
{
	return stream(bind_and_listen, 0, port);
}
