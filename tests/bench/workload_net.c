/* SPDX-License-Identifier: MIT */
/*
 * The network loads of `make bench`: the guest netbench on a TAP device in a namespace of our own, with the
 * host's services at the other end; natively the same over a veth pair to a second namespace.
 */
#include <string.h>

#include "tests/bench/workloads.h"

static struct bench_run guest;

static unsigned duration_ms(const struct bench *b)
{
	return b->quick ? 150 : 400;
}

static bool start(struct bench *b, enum system s, const char *load)
{
	char cmdline[96];
	struct launch l = { .image = "netbench", .cmdline = cmdline, .tap = NET_TAP };

	snprintf(cmdline, sizeof(cmdline), "%s ip=10.0.0.2/24 to=10.0.0.1 ms=%u", load,
	         duration_ms(b));
	return bench_launch(b, s, &l, &guest);
}

/* The one or two figures behind such words. */
static bool await(struct bench *b, const char *words, double *first, double *second)
{
	double end = bench_limit(b);
	char line[512];

	*first = *second = 0;
	while (bench_line(&guest, line, sizeof(line), end)) {
		const char *at = strstr(line, words);

		if (!at)
			continue;
		sscanf(at + strlen(words), " %lf %lf", first, second);
		return true;
	}
	return false;
}

static bool guest_rtt(struct bench *b, enum system s)
{
	double min, median;
	bool ok;

	if (!start(b, s, "rtt"))
		return false;
	ok = await(b, "net rtt:", &min, &median) && median > 0 &&
	     bench_add(b, s, "network: UDP round trip", min, median);
	bench_end(&guest);
	return ok;
}

static void guest_packets_out(struct bench *b, enum system s)
{
	uint64_t before = b->net.host.counts->udp_packets;
	double first, second, rate;

	if (!start(b, s, "flood"))
		return;
	if (await(b, "net flood:", &first, &second)) {
		rate = (double)(b->net.host.counts->udp_packets - before) * 1000 / duration_ms(b);
		bench_add(b, s, "network: 64-byte packets out", rate, rate);
	}
	bench_end(&guest);
}

static void guest_packets_in(struct bench *b, enum system s)
{
	double first, second;

	if (!start(b, s, "count"))
		return;
	if (await(b, "net counts", &first, &second)) {
		net_native_flood(NET_GUEST_IP, duration_ms(b) + 200);
		if (await(b, "net count:", &first, &second) && first > 0)
			bench_add(b, s, "network: 64-byte packets in", first, first);
	}
	bench_end(&guest);
}

/* The guest says MB/s. */
static void guest_stream(struct bench *b, enum system s, const char *load, const char *words,
                         const char *row)
{
	double first, second;

	if (!start(b, s, load))
		return;
	if (await(b, words, &first, &second) && first > 0)
		bench_add(b, s, row, first * 1e6, first * 1e6);
	bench_end(&guest);
}

static void add_rate(struct bench *b, const char *row, double rate)
{
	if (rate > 0)
		bench_add(b, NATIVE, row, rate, rate);
}

static double native_packets(struct bench *b)
{
	uint64_t before = b->net.peer.counts->udp_packets;

	net_native_flood(NET_PEER_IP, duration_ms(b));
	return (double)(b->net.peer.counts->udp_packets - before) * 1000 / duration_ms(b);
}

static bool native(struct bench *b)
{
	unsigned ms = duration_ms(b);
	struct net_rtt rtt;

	if (!b->net.has_veth)
		return false;
	rtt = net_native_rtt(NET_PEER_IP, ms);
	if (rtt.median_ns > 0)
		bench_add(b, NATIVE, "network: UDP round trip", rtt.min_ns, rtt.median_ns);
	add_rate(b, "network: 64-byte packets out", native_packets(b));
	add_rate(b, "network: 64-byte packets in", native_packets(b));
	add_rate(b, "network: one TCP stream out", net_native_stream(NET_PEER_IP, true, ms));
	add_rate(b, "network: one TCP stream in", net_native_stream(NET_PEER_IP, false, ms));
	return rtt.median_ns > 0;
}

bool run_net(struct bench *b, enum system s)
{
	if (!b->has_net || s == UML)
		return false;
	if (s == NATIVE)
		return native(b);
	/* Without an answer there is no such interface here: the other loads would only wait, too. */
	if (!b->net.has_tap || !guest_rtt(b, s))
		return false;
	guest_packets_out(b, s);
	guest_packets_in(b, s);
	guest_stream(b, s, "send", "net send:", "network: one TCP stream out");
	guest_stream(b, s, "receive", "net receive:", "network: one TCP stream in");
	return true;
}
