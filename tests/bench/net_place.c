/* SPDX-License-Identifier: MIT */
/*
 * Where network benchmarks happen; see net_place.h.
 */
#include "tests/bench/net_place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool net_place_enter(void)
{
	unsigned uid = getuid(), gid = getgid();
	char text[64];

	if (!unshare(CLONE_NEWNET))
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) || !write_file("/proc/self/setgroups", "deny"))
		return false;
	snprintf(text, sizeof(text), "0 %u 1", uid);
	if (!write_file("/proc/self/uid_map", text))
		return false;
	snprintf(text, sizeof(text), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", text);
}

static bool shell(const char *fmt, int n)
{
	char text[512];

	snprintf(text, sizeof(text), fmt, n);
	return !system(text);
}

/* Quiet: what is missing is said by who wanted it. */
static bool make_tap(void)
{
	return shell("exec 2>/dev/null; ip link set lo up && ip tuntap add dev " NET_TAP
	             " mode tap && "
	             "ip addr add 10.0.0.1/24 dev " NET_TAP " && ip link set " NET_TAP " up",
	             0);
}

static bool make_veth(struct net_services *peer)
{
	bool ok = net_services_start(peer, "ip link set lo up && ip addr add 10.2.0.2/24 dev v1 && "
	                                   "ip link set v1 up");

	ok = ok && shell("exec 2>/dev/null; ip link add v0 type veth peer name v1 netns %d && "
	                 "ip addr add 10.2.0.1/24 dev v0 && ip link set v0 up",
	                 peer->pid);
	if (ok && net_services_go(peer))
		return true;
	net_services_end(peer);
	return false;
}

bool net_place_make(struct net_place *p)
{
	p->has_tap = make_tap();
	if (!net_services_start(&p->host, NULL) || !net_services_go(&p->host)) {
		net_services_end(&p->host);
		return false;
	}
	p->has_veth = make_veth(&p->peer);
	return true;
}

void net_place_end(struct net_place *p)
{
	if (p->has_veth)
		net_services_end(&p->peer);
	net_services_end(&p->host);
}
