/* SPDX-License-Identifier: MIT */
/*
 * netcat A.B.C.D PORT, netcat -l PORT: a stream's both directions are this program's input and output.
 * The end of the input ends what is sent. It ends when both have ended.
 */
#include "tests/guests/unix/user/lib/unix.h"

static int usage(void)
{
	dprintf(2, "netcat: say \"netcat A.B.C.D PORT\" or \"netcat -l PORT\"\n");
	return 2;
}

static int wait_for_one(uint16_t port)
{
	int fd = listen_at(port), client;

	if (fd < 0)
		return fd;
	client = accept(fd, NULL);
	close(fd);
	return client;
}

int main(int argc, char **argv)
{
	uint16_t port = argc == 3 ? parse_port(argv[2]) : 0;
	bool waits = argc == 3 && !strcmp(argv[1], "-l");
	const char *end;
	uint32_t ip = 0;
	int fd, pid, rc;

	end = argc == 3 ? parse_ip(argv[1], &ip) : NULL;
	if (!port || (!waits && (!end || *end)))
		return usage();
	fd = waits ? wait_for_one(port) : connect_to(ip, port);
	if (fd < 0) {
		dprintf(2, "netcat: no connection: error %d\n", -fd);
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		rc = copy_all(0, fd);
		shutdown(fd);
		exit(rc != 0);
	}
	rc = pid < 0 ? pid : copy_all(fd, 1);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return rc != 0;
}
