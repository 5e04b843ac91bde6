/* SPDX-License-Identifier: MIT */
/*
 * httpd [-n COUNT] PORT FILE: answers every request with that file, each in a process of its own;
 * ends after COUNT of them.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define REQUEST_SIZE 4096
#define PATIENCE     10000000000ull

/* To the empty line; what stands before it does not matter. False: it did not come. */
static bool read_request(int fd)
{
	static char text[REQUEST_SIZE];
	long have = 0, n;

	while (have < REQUEST_SIZE - 1) {
		n = read(fd, text + have, (size_t)(REQUEST_SIZE - 1 - have));
		if (n <= 0)
			return false;
		have += n;
		text[have] = 0;
		if (strstr(text, "\r\n\r\n"))
			return !strncmp(text, "GET ", 4) || !strncmp(text, "HEAD ", 5);
	}
	return false;
}

static int answer(int fd, const char *path)
{
	int file;

	alarm_ns(PATIENCE); /* who says nothing is left */
	if (!read_request(fd)) {
		dprintf(fd, "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n");
		return 1;
	}
	alarm_ns(0);
	file = open(path, O_RDONLY);
	if (file < 0) {
		dprintf(fd, "HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\n");
		return 1;
	}
	dprintf(fd, "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n");
	return copy_all(file, fd) ? 1 : 0;
}

int main(int argc, char **argv)
{
	long count = -1;
	uint16_t port;
	int fd, status;

	if (argc > 2 && !strcmp(argv[1], "-n")) {
		count = number(argv[2], 0);
		argc -= 2;
		argv += 2;
	}
	port = argc == 3 ? parse_port(argv[1]) : 0;
	if (!port || !count) {
		dprintf(2, "httpd: say \"httpd [-n COUNT] PORT FILE\"\n");
		return 2;
	}
	fd = listen_at(port);
	if (fd < 0) {
		dprintf(2, "httpd: port %u: error %d\n", port, -fd);
		return 1;
	}
	printf("httpd: port %u\n", port);
	while (count < 0 || count-- > 0) {
		int client = accept(fd, NULL);

		if (client < 0)
			return 1;
		if (fork() == 0)
			exit(answer(client, argv[2]));
		close(client);
		while (waitpid(-1, &status, WNOHANG) > 0)
			;
	}
	while (waitpid(-1, &status, 0) > 0)
		;
	return 0;
}
