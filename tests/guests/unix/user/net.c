/* SPDX-License-Identifier: MIT */
/*
 * The network interface.
 *
 *   net                              shows it
 *   net dhcp [PROGRAM ...]           asks for an address
 *   net A.B.C.D/BITS [via A.B.C.D] [PROGRAM ...]
 *
 * With a program: that is run then, in place of this one.
 */
#include "tests/guests/unix/user/lib/unix.h"

static int show(void)
{
	struct unix_netinfo n;
	int rc = netinfo(&n);

	if (rc) {
		dprintf(2, "net: error %d\n", -rc);
		return 1;
	}
	if (!n.name[0])
		printf("no interface\n");
	else
		printf("%s: %02x:%02x:%02x:%02x:%02x:%02x, mtu %u, %s\n", n.name, n.mac[0],
		       n.mac[1], n.mac[2], n.mac[3], n.mac[4], n.mac[5], n.mtu,
		       n.link_up ? "up" : "down");
	printf("address %u.%u.%u.%u mask %u.%u.%u.%u gateway %u.%u.%u.%u\n", IP_ARGS(n.addr.ip),
	       IP_ARGS(n.addr.mask), IP_ARGS(n.addr.gateway));
	printf("%lu sent, %lu received, %lu dropped, %lu bad sums, %lu sent again\n",
	       (unsigned long)n.sent, (unsigned long)n.received, (unsigned long)n.dropped,
	       (unsigned long)n.bad_checksum, (unsigned long)n.retransmitted);
	return 0;
}

/* How many words it was, or 0: they make no sense. */
static int parse(char **argv, struct unix_netaddr *a)
{
	const char *at;
	long bits;

	memset(a, 0, sizeof(*a));
	if (!strcmp(argv[1], "dhcp"))
		return 1;
	at = parse_ip(argv[1], &a->ip);
	bits = at && *at == '/' ? number(at + 1, -1) : -1;
	if (bits < 1 || bits > 32 || !a->ip)
		return 0;
	a->mask = (uint32_t)(UINT64_MAX << (32 - bits));
	if (!argv[2] || strcmp(argv[2], "via"))
		return 1;
	at = argv[3] ? parse_ip(argv[3], &a->gateway) : NULL;
	return at && !*at ? 3 : 0;
}

int main(int argc, char **argv)
{
	struct unix_netaddr a;
	int rc, words;

	if (argc == 1)
		return show();
	words = parse(argv, &a);
	if (!words) {
		dprintf(2, "net: say \"net dhcp\" or \"net A.B.C.D/BITS [via A.B.C.D]\"\n");
		return 2;
	}
	rc = netconfig(&a);
	if (rc) {
		dprintf(2, "net: %s: error %d\n", argv[1], -rc);
		return 1;
	}
	show();
	if (!argv[1 + words])
		return 0;
	exec_named(argv + 1 + words);
	dprintf(2, "net: %s cannot be run\n", argv[1 + words]);
	return 127;
}
