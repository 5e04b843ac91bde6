/* SPDX-License-Identifier: MIT */
/*
 * An NBD connection up to the first request; see nbd_client.h.
 */
#include "backends/nbd_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t nbd_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int say(char *why, size_t why_len, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static int say(char *why, size_t why_len, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- addresses -------------------------------------------------------------------------------- */

static bool set_unix(struct nbd_address *a, const char *path)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&a->to;

	if (!*path || strlen(path) >= sizeof(sun->sun_path))
		return false;
	sun->sun_family = AF_UNIX;
	strcpy(sun->sun_path, path);
	a->to_len = sizeof(*sun);
	return true;
}

/* An address in digits. */
static bool set_digits(struct nbd_address *a, const char *host, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->to;

	memset(&a->to, 0, sizeof(a->to));
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		a->to_len = sizeof(*in);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	a->to_len = sizeof(*in6);
	return true;
}

/*
 * A name of this host's own table. Real look-ups would need libraries that a static program cannot
 * load, and could wait for long.
 */
static bool set_name(struct nbd_address *a, const char *host, uint16_t port)
{
	FILE *f = fopen("/etc/hosts", "re");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *save, *address, *name;

		line[strcspn(line, "#\n")] = 0;
		address = strtok_r(line, " \t", &save);
		while (address && !found && (name = strtok_r(NULL, " \t", &save)))
			found = !strcmp(name, host) && set_digits(a, address, port);
	}
	if (f)
		fclose(f);
	return found;
}

static bool set_host(struct nbd_address *a, const char *host, const char *port)
{
	unsigned long n = NBD_DEFAULT_PORT;
	char *end;

	if (port) {
		n = strtoul(port, &end, 10);
		if (*port < '0' || *port > '9' || *end || !n || n > 65535)
			return false;
	}
	return set_digits(a, host, (uint16_t)n) || set_name(a, host, (uint16_t)n);
}

/* HOST, HOST:PORT, [V6], [V6]:PORT; changes the text. */
static bool set_host_port(struct nbd_address *a, char *text)
{
	char *host = text, *port, *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end = 0;
		return set_host(a, text + 1, end[1] ? end + 2 : NULL);
	}
	port = strrchr(text, ':');
	if (port)
		*port++ = 0;
	return set_host(a, host, port);
}

/* %41 and the like, in place. False: not what it says. */
static bool unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		char hex[3] = "", *end;

		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		memcpy(hex, text + 1, strnlen(text + 1, 2));
		*to = (char)strtoul(hex, &end, 16);
		if (end != hex + 2 || !*to++)
			return false;
		text += 2;
	}
	*to = 0;
	return true;
}

static bool set_export(struct nbd_address *a, const char *name)
{
	if (strlen(name) > NBD_MAX_NAME)
		return false;
	strcpy(a->export_name, name);
	return true;
}

/* Behind nbd:// or nbd+unix:// */
static bool parse_uri(struct nbd_address *a, char *text, bool is_unix)
{
	char *query = strchr(text, '?'), *name = strchr(text, '/');

	if (query)
		*query++ = 0;
	if (name)
		*name++ = 0;
	if (name && (!unescape(name) || !set_export(a, name)))
		return false;
	if (!is_unix)
		return !query && set_host_port(a, text);
	return !*text && query && !strncmp(query, "socket=", 7) && unescape(query + 7) &&
	       set_unix(a, query + 7);
}

/* Behind nbd: */
static bool parse_short(struct nbd_address *a, char *text)
{
	char *name = strstr(text, ":exportname=");

	if (name) {
		*name = 0;
		if (!set_export(a, name + strlen(":exportname=")))
			return false;
	}
	if (!strncmp(text, "unix:", 5))
		return set_unix(a, text + 5);
	return strrchr(text, ':') && set_host_port(a, text);
}

int nbd_parse(struct nbd_address *a, const char *text, char *why, size_t why_len)
{
	char copy[NBD_MAX_NAME + 1024];
	bool ok;

	memset(a, 0, sizeof(*a));
	if (strlen(text) >= sizeof(copy))
		return say(why, why_len, -EINVAL, "disk %.64s...: the address is too long", text);
	strcpy(copy, text);
	if (!strncmp(copy, "nbd://", 6))
		ok = parse_uri(a, copy + 6, false);
	else if (!strncmp(copy, "nbd+unix://", 11))
		ok = parse_uri(a, copy + 11, true);
	else
		ok = !strncmp(copy, "nbd:", 4) && parse_short(a, copy + 4);
	if (ok)
		return 0;
	return say(why, why_len, -EINVAL,
	           "disk %.200s: that is no address here; write nbd:unix:PATH, nbd:HOST:PORT or "
	           "nbd://HOST/NAME, HOST in digits or as in /etc/hosts",
	           text);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

/* Until fd is ready, 0; or -ETIMEDOUT, -EINTR. */
static int wait_for(int fd, short events, uint64_t until_ns, int stop_fd)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = events },
			               { .fd = stop_fd, .events = POLLIN } };
		uint64_t now = nbd_now_ns();
		uint64_t ms = until_ns > now ? (until_ns - now + 999999) / 1000000 : 0;
		int n = poll(p, 2, ms > 60000 ? 60000 : (int)ms);

		if (p[1].revents && n > 0)
			return -EINTR;
		if (n > 0)
			return 0;
		if (n == 0 && nbd_now_ns() >= until_ns)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int nbd_readv(int fd, struct iovec *iov, unsigned nr, uint64_t until_ns, int stop_fd)
{
	while (nr) {
		ssize_t n = readv(fd, iov, (int)nr);
		int rc = 0;

		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno == EAGAIN)
			rc = wait_for(fd, POLLIN, until_ns, stop_fd);
		else if (n < 0 && errno != EINTR)
			rc = -errno;
		if (rc)
			return rc;
		while (n > 0 && nr && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			nr--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int nbd_read(int fd, void *to, size_t len, uint64_t until_ns, int stop_fd)
{
	struct iovec iov = { to, len };

	return len ? nbd_readv(fd, &iov, 1, until_ns, stop_fd) : 0;
}

int nbd_write(int fd, const void *from, size_t len, uint64_t until_ns, int stop_fd)
{
	while (len) {
		ssize_t n = send(fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int rc = 0;

		if (n < 0 && errno == EAGAIN)
			rc = wait_for(fd, POLLOUT, until_ns, stop_fd);
		else if (n < 0 && errno != EINTR)
			rc = -errno;
		if (rc)
			return rc;
		if (n > 0) {
			from = (const char *)from + n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* ---- negotiation ------------------------------------------------------------------------------ */

struct talk {
	int fd, stop_fd;
	uint64_t until_ns;
	char *why;
	size_t why_len;
	char reply[NBD_MAX_OPTION];
	uint32_t reply_len;
};

static int get(struct talk *t, void *to, size_t len)
{
	int rc = nbd_read(t->fd, to, len, t->until_ns, t->stop_fd);

	return rc ? say(t->why, t->why_len, rc, "it hung up during the greeting, or was silent: %s",
	                strerror(-rc))
	          : 0;
}

static int put(struct talk *t, const void *from, size_t len)
{
	int rc = nbd_write(t->fd, from, len, t->until_ns, t->stop_fd);

	return rc ? say(t->why, t->why_len, rc, "it hung up during the greeting: %s", strerror(-rc))
	          : 0;
}

static int broken(struct talk *t, const char *what)
{
	return say(t->why, t->why_len, -EPROTO, "it does not speak NBD as we do: %s", what);
}

/* Its greeting; *flags: its handshake flags. */
static int greet(struct talk *t, uint16_t *flags)
{
	char hello[18], answer[4];
	int rc = get(t, hello, sizeof(hello));

	if (rc)
		return rc;
	*flags = nbd_get16(hello + 16);
	if (nbd_get64(hello) != NBD_MAGIC || nbd_get64(hello + 8) != NBD_OPT_MAGIC)
		return broken(t, "it greets in another way");
	if (!(*flags & NBD_FIXED))
		return broken(t, "it knows the old way of negotiating only");
	*flags &= NBD_FIXED | NBD_NO_ZEROES;
	nbd_put32(answer, *flags);
	return put(t, answer, sizeof(answer));
}

static int send_option(struct talk *t, uint32_t option, const void *data, uint32_t len)
{
	char head[16];
	int rc;

	nbd_put32(nbd_put32(nbd_put64(head, NBD_OPT_MAGIC), option), len);
	rc = put(t, head, sizeof(head));
	return rc ? rc : put(t, data, len);
}

/* The next reply to that option: its type in *type, its data in t->reply. */
static int get_reply(struct talk *t, uint32_t option, uint32_t *type)
{
	char head[20];
	int rc = get(t, head, sizeof(head));

	if (rc)
		return rc;
	*type = nbd_get32(head + 12);
	t->reply_len = nbd_get32(head + 16);
	if (nbd_get64(head) != NBD_REPLY_MAGIC || nbd_get32(head + 8) != option)
		return broken(t, "a reply that was not asked for");
	if (t->reply_len > sizeof(t->reply))
		return broken(t, "a reply that is too long");
	return get(t, t->reply, t->reply_len);
}

static int ask_structured(struct talk *t, struct nbd_export *e)
{
	uint32_t type;
	int rc = send_option(t, NBD_OPT_STRUCT, NULL, 0);

	if (!rc)
		rc = get_reply(t, NBD_OPT_STRUCT, &type);
	if (!rc)
		e->structured = type == NBD_REP_ACK;
	return rc;
}

static int take_info(struct talk *t, struct nbd_export *e, bool *has_export)
{
	uint32_t len = t->reply_len;
	uint16_t kind = len >= 2 ? nbd_get16(t->reply) : UINT16_MAX;

	if (kind == NBD_INFO_EXPORT) {
		if (len != 12)
			return broken(t, "an export of the wrong length");
		e->size = nbd_get64(t->reply + 2);
		e->flags = nbd_get16(t->reply + 10);
		*has_export = true;
	} else if (kind == NBD_INFO_BLOCK) {
		if (len != 14)
			return broken(t, "block sizes of the wrong length");
		e->min_block = nbd_get32(t->reply + 2);
		e->preferred_block = nbd_get32(t->reply + 6);
		e->max_payload = nbd_get32(t->reply + 10);
	}
	return 0;
}

static int refused(struct talk *t, uint32_t type, const char *name)
{
	/* Only what can be shown. */
	for (uint32_t i = 0; i < t->reply_len; i++)
		if (t->reply[i] < ' ' || t->reply[i] > '~')
			t->reply[i] = '?';
	if (type == NBD_REP_UNKNOWN)
		return say(t->why, t->why_len, -ENOENT, "it has no export '%.64s'", name);
	if (type == NBD_REP_TLS)
		return say(t->why, t->why_len, -EPERM,
		           "it wants TLS, which is not spoken here; let it serve without");
	return say(t->why, t->why_len, -EPERM, "it refuses the export '%.64s': %.*s", name,
	           t->reply_len > 200 ? 200 : (int)t->reply_len, t->reply);
}

/* The way of servers that do not know OPT_GO. */
static int ask_by_name(struct talk *t, struct nbd_export *e, const char *name, uint16_t flags)
{
	char tail[10 + 124];
	int rc = send_option(t, NBD_OPT_NAME, name, (uint32_t)strlen(name));

	if (!rc)
		rc = get(t, tail, flags & NBD_NO_ZEROES ? 10 : sizeof(tail));
	if (rc)
		return rc;
	e->size = nbd_get64(tail);
	e->flags = nbd_get16(tail + 8);
	return 0;
}

static int ask_go(struct talk *t, struct nbd_export *e, const char *name, uint16_t flags)
{
	uint32_t name_len = (uint32_t)strlen(name), type;
	char data[4 + NBD_MAX_NAME + 4], *at = nbd_put32(data, name_len);
	bool has_export = false;
	int rc;

	memcpy(at, name, name_len);
	at = nbd_put16(nbd_put16(at + name_len, 1), NBD_INFO_BLOCK);
	rc = send_option(t, NBD_OPT_GO, data, (uint32_t)(at - data));
	while (!rc) {
		rc = get_reply(t, NBD_OPT_GO, &type);
		if (rc)
			break;
		if (type == NBD_REP_UNSUP)
			return ask_by_name(t, e, name, flags);
		if (type & NBD_REP_ERROR)
			return refused(t, type, name);
		if (type == NBD_REP_ACK)
			return has_export ? 0 : broken(t, "an export without a size");
		if (type != NBD_REP_INFO)
			return broken(t, "a reply of an unknown kind");
		rc = take_info(t, e, &has_export);
	}
	return rc;
}

static int negotiate(struct talk *t, struct nbd_export *e, const char *name)
{
	uint16_t flags;
	int rc = greet(t, &flags);

	memset(e, 0, sizeof(*e));
	e->max_payload = 32u << 20;
	if (!rc)
		rc = ask_structured(t, e);
	return rc ? rc : ask_go(t, e, name, flags);
}

/* ---- connecting ------------------------------------------------------------------------------- */

static int reach(const struct nbd_address *a, uint64_t until_ns, int stop_fd)
{
	int fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	socklen_t len = sizeof(int);
	int rc, error = 0;

	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)&a->to, a->to_len) ? -errno : 0;
	if (rc == -EINPROGRESS) {
		rc = wait_for(fd, POLLOUT, until_ns, stop_fd);
		if (!rc && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
			rc = -errno;
		if (!rc)
			rc = -error;
	}
	if (rc) {
		close(fd);
		return rc;
	}
	if (a->to.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int nbd_connect(const struct nbd_address *a, struct nbd_export *e, uint64_t until_ns, int stop_fd,
                char *why, size_t why_len)
{
	struct talk *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return say(why, why_len, -ENOMEM, "memory is short");
	t->fd = reach(a, until_ns, stop_fd);
	t->stop_fd = stop_fd;
	t->until_ns = until_ns;
	t->why = why;
	t->why_len = why_len;
	rc = t->fd;
	if (rc < 0) {
		say(why, why_len, rc, "it cannot be reached: %s; is it running?", strerror(-rc));
	} else {
		rc = negotiate(t, e, a->export_name);
		if (rc)
			close(t->fd);
		else
			rc = t->fd;
	}
	free(t);
	return rc;
}
