/* SPDX-License-Identifier: MIT */
/*
 * fetch http://A.B.C.D[:PORT]/PATH: the page on the output. Its status is 0 when the server says 200.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define HEAD_SIZE 4096

struct url {
	uint32_t ip;
	uint16_t port;
	const char *path;
};

static bool parse(const char *text, struct url *u)
{
	const char *at;
	unsigned long port = 0;

	if (!strncmp(text, "http://", 7))
		text += 7;
	at = parse_ip(text, &u->ip);
	if (!at)
		return false;
	u->port = 80;
	if (*at == ':') {
		for (at++; *at >= '0' && *at <= '9' && port <= UINT16_MAX; at++)
			port = port * 10 + (unsigned long)(*at - '0');
		if (!port || port > UINT16_MAX)
			return false;
		u->port = (uint16_t)port;
	}
	u->path = *at ? at : "/";
	return *u->path == '/';
}

/* Reads to behind the empty line. How many bytes there are, or -1; *body: where the page begins. */
static long read_head(int fd, char *head, long *body)
{
	long have = 0, n;
	const char *end;

	while (have < HEAD_SIZE - 1) {
		n = read(fd, head + have, (size_t)(HEAD_SIZE - 1 - have));
		if (n <= 0)
			return -1;
		have += n;
		head[have] = 0;
		end = strstr(head, "\r\n\r\n");
		if (end) {
			*body = end + 4 - head;
			return have;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	static char head[HEAD_SIZE];
	long have, body;
	struct url u;
	int fd, rc;

	if (argc != 2 || !parse(argv[1], &u)) {
		dprintf(2, "fetch: say \"fetch http://A.B.C.D[:PORT]/PATH\"\n");
		return 2;
	}
	fd = connect_to(u.ip, u.port);
	if (fd < 0) {
		dprintf(2, "fetch: no connection: error %d\n", -fd);
		return 1;
	}
	dprintf(fd, "GET %s HTTP/1.0\r\nConnection: close\r\n\r\n", u.path);
	have = read_head(fd, head, &body);
	if (have < 12 || strncmp(head, "HTTP/1.", 7)) {
		dprintf(2, "fetch: this is no answer\n");
		return 1;
	}
	rc = write_all(1, head + body, (size_t)(have - body));
	if (!rc)
		rc = copy_all(fd, 1);
	if (rc)
		dprintf(2, "fetch: broken off: error %d\n", -rc);
	return rc || strncmp(head + 8, " 200", 4) ? 1 : 0;
}
