/* SPDX-License-Identifier: MIT */
/*
 * What a guest's network costs: the loads of tests/guests/netbench over a TAP device and from guest to guest
 * on a LAN of one machine, beside the same loads natively over a veth pair between two network namespaces and
 * over a unix socket pair, all in one run. Beside them a program that reads and writes the packets of a TAP
 * device as they are: what that costs is nobody's to save.
 *
 *   net PARAVANE GUEST_DIR [ROUNDS [TSV]]
 *
 * All of it happens in a network namespace of its own, inside a user namespace unless we are root, so
 * nothing of the machine's network is touched and nothing stays. It needs iproute2 and /dev/net/tun; what
 * is missing leaves its column empty.
 *
 * A round runs every way once. Packets out are counted when the device has taken them, packets in by the
 * program that receives them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/figures.h"
#include "tests/bench/net_native.h"
#include "tests/bench/net_raw.h"
#include "tests/bench/net_place.h"
#include "tests/bench/spawn.h"

#define MS       500
#define LIMIT_S  30
#define PER_GBIT 1.25e8 /* bytes */

enum system { VETH, PAIR, RAW, GUEST, NR_SYSTEMS };

static const char *const system_names[] = { "veth", "unix", "raw", "guest" };
static struct figures figures = { .systems = NR_SYSTEMS };
static struct net_place place;
static char scratch[] = "/tmp/paravane-net.XXXXXX"; /* a folder */
static int raw = -1;                                /* a TAP device without a guest */
static char *paravane, kernel[4096];

/* ---- rows ------------------------------------------------------------------------------------- */

enum row {
	TAP_RTT,
	LAN_RTT,
	TAP_OUT,
	TAP_IN,
	LAN_PACKETS,
	TAP_SEND,
	TAP_RECEIVE,
	LAN_STREAM,
	NR_ROWS
};

static const struct {
	const char *name;
	bool more;
	double unit, asked; /* asked: in that unit; 0: nothing */
} rows[NR_ROWS] = {
	{ "UDP round trip over TAP, us", false, 1e3, 20 },
	{ "UDP round trip guest to guest, us", false, 1e3, 20 },
	{ "64-byte packets out over TAP, k/s", true, 1e3, 350 },
	{ "64-byte packets in over TAP, k/s", true, 1e3, 350 },
	{ "64-byte packets guest to guest, k/s", true, 1e3, 1000 },
	{ "TCP guest to host over TAP, Gbit/s", true, PER_GBIT, 10 },
	{ "TCP host to guest over TAP, Gbit/s", true, PER_GBIT, 10 },
	{ "TCP guest to guest, Gbit/s", true, PER_GBIT, 20 },
};

static void add(enum row r, enum system s, double best, double median)
{
	struct fig_row *row = figures_row(&figures, rows[r].name, rows[r].more);

	if (row && median > 0)
		figures_add(&figures, row, s, best / rows[r].unit, median / rows[r].unit);
}

/* ---- the guest -------------------------------------------------------------------------------- */

/* Reads lines until one has the words, and the numbers behind them. False: there was none in time. */
static bool await_line(struct bench_run *r, const char *words, double *a, double *b, double limit)
{
	char line[512];

	while (bench_line(r, line, sizeof(line), limit)) {
		const char *at = strstr(line, words);

		*a = *b = 0;
		if (at) {
			sscanf(at + strlen(words), " %lf %lf", a, b);
			return true;
		}
	}
	return false;
}

/* One guest on the TAP device. */
static bool start_tap(struct bench_run *r, const char *load)
{
	char cmdline[128];
	char *const argv[] = { paravane,
		               (char *)"run",
		               (char *)"--memory",
		               (char *)"64M",
		               (char *)"--timeout",
		               (char *)"25",
		               (char *)"--vif",
		               (char *)"tap:t0",
		               (char *)"--cmdline",
		               cmdline,
		               kernel,
		               NULL };

	snprintf(cmdline, sizeof(cmdline), "%s ip=10.0.0.2/24 to=10.0.0.1 ms=%d", load, MS);
	return bench_start(r, argv);
}

/* A load whose line has one or two figures; scale: of the figures to what a row is made from. */
static void run_tap(enum row row, const char *load, const char *words, double scale)
{
	static struct bench_run r;
	double a, b;

	if (!start_tap(&r, load))
		return;
	if (await_line(&r, words, &a, &b, bench_now() + LIMIT_S))
		add(row, GUEST, a * scale, (b ? b : a) * scale);
	bench_end(&r);
}

static void run_tap_in(void)
{
	double end = bench_now() + LIMIT_S, a, b;
	static struct bench_run r;

	if (!start_tap(&r, "count"))
		return;
	if (await_line(&r, "net counts", &a, &b, end)) {
		net_native_flood(NET_GUEST_IP, MS + 200);
		if (await_line(&r, "net count:", &a, &b, end))
			add(TAP_IN, GUEST, a, a);
	}
	bench_end(&r);
}

static void write_config(const char *name, const char *load, char *path, size_t size)
{
	FILE *f;

	snprintf(path, size, "%s/%s.cfg", scratch, name);
	f = fopen(path, "w");
	if (!f)
		return;
	fprintf(f,
	        "name = \"%s\"\nkernel = \"%s\"\nmemory = 64\ncmdline = \"%s ms=%d\"\n"
	        "vif = [ 'lan:bench' ]\n",
	        name, kernel, load, MS);
	fclose(f);
}

/* Two guests on a LAN; the line may be either one's. */
static void run_lan(enum row row, const char *server, const char *load, const char *words,
                    double scale)
{
	char first[128], second[128], text[96];
	char *const argv[] = { paravane, (char *)"run", first, second, NULL };
	static struct bench_run r;
	double a, b;

	snprintf(text, sizeof(text), "%s ip=10.0.0.1/24 s=20", server);
	write_config("one", text, first, sizeof(first));
	snprintf(text, sizeof(text), "%s ip=10.0.0.2/24 to=10.0.0.1", load);
	write_config("two", text, second, sizeof(second));
	if (bench_start(&r, argv)) {
		if (await_line(&r, words, &a, &b, bench_now() + LIMIT_S))
			add(row, GUEST, a * scale, (b ? b : a) * scale);
		bench_end(&r);
	}
	unlink(first);
	unlink(second);
}

/* ---- native ----------------------------------------------------------------------------------- */

/* Sent, or received by the program at the other end. */
static void veth_packets(double *sent, double *received)
{
	uint64_t before = place.peer.counts->udp_packets;

	*sent = net_native_flood(NET_PEER_IP, MS);
	*received = (double)(place.peer.counts->udp_packets - before) * 1000 / MS;
}

static void raw_round(void)
{
	struct net_rtt rtt;
	double n;

	if (raw < 0)
		return;
	rtt = net_raw_rtt(raw, MS);
	add(TAP_RTT, RAW, rtt.min_ns, rtt.median_ns);
	n = net_raw_out(raw, MS);
	add(TAP_OUT, RAW, n, n);
	n = net_raw_in(raw, MS);
	add(TAP_IN, RAW, n, n);
}

static void native_round(void)
{
	struct net_rtt veth = { 0 }, pair = net_pair_rtt(MS);
	double out = 0, in = 0, sent = 0, received = 0, pair_packets, pair_stream;

	if (place.has_veth) {
		veth = net_native_rtt(NET_PEER_IP, MS);
		veth_packets(&sent, &received);
		out = net_native_stream(NET_PEER_IP, true, MS);
		in = net_native_stream(NET_PEER_IP, false, MS);
	}
	pair_packets = net_pair_packets(MS);
	pair_stream = net_pair_stream(MS);
	for (enum row r = 0; r < NR_ROWS; r++) {
		if (r <= LAN_RTT) {
			add(r, VETH, veth.min_ns, veth.median_ns);
			add(r, PAIR, pair.min_ns, pair.median_ns);
		} else if (r <= LAN_PACKETS) {
			add(r, VETH, r == TAP_OUT ? sent : received,
			    r == TAP_OUT ? sent : received);
			add(r, PAIR, pair_packets, pair_packets);
		} else {
			add(r, VETH, r == TAP_RECEIVE ? in : out, r == TAP_RECEIVE ? in : out);
			add(r, PAIR, pair_stream, pair_stream);
		}
	}
}

/* ---- the table -------------------------------------------------------------------------------- */

static void print_row(FILE *tsv, enum row r, int wanted)
{
	const struct fig_row *row = figures_row(&figures, rows[r].name, rows[r].more);
	struct fig_sum sum;
	bool noisy = false;

	printf("%-38s", rows[r].name);
	fprintf(tsv, "%s", rows[r].name);
	for (int s = 0; row && s < NR_SYSTEMS; s++) {
		if (figures_sum(&figures, row, s, wanted, &sum)) {
			printf(" %9.1f %9.1f", sum.best, sum.median);
			fprintf(tsv, "\t%.2f\t%.2f", sum.best, sum.median);
			noisy |= sum.noisy;
		} else {
			printf(" %9s %9s", "-", "-");
			fprintf(tsv, "\t\t");
		}
	}
	printf(" %9.0f%s\n", rows[r].asked, noisy ? "  noisy" : "");
	fprintf(tsv, "\t%.0f\t%s\n", rows[r].asked, noisy ? "noisy" : "");
}

static void print_table(FILE *tsv, int wanted)
{
	printf("%-38s", "");
	fprintf(tsv, "name");
	for (int s = 0; s < NR_SYSTEMS; s++) {
		printf(" %5sbest %9s", system_names[s], "median");
		fprintf(tsv, "\t%s_best\t%s_median", system_names[s], system_names[s]);
	}
	printf(" %9s\n", "asked for");
	fprintf(tsv, "\tasked\tnoise\n");
	for (enum row r = 0; r < NR_ROWS; r++)
		print_row(tsv, r, wanted);
}

static void one_round(void)
{
	figures.rounds++;
	native_round();
	raw_round();
	run_tap(TAP_RTT, "rtt", "net rtt:", 1);
	run_lan(LAN_RTT, "serve", "rtt", "net rtt:", 1);
	run_tap(TAP_OUT, "flood", "net flood:", 1);
	run_tap_in();
	run_lan(LAN_PACKETS, "count", "flood", "net count:", 1);
	run_tap(TAP_SEND, "send", "net send:", 1e6);
	run_tap(TAP_RECEIVE, "receive", "net receive:", 1e6);
	run_lan(LAN_STREAM, "serve", "send", "net send:", 1e6);
}

static void remove_files(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/one.cfg", scratch);
	unlink(path);
	snprintf(path, sizeof(path), "%s/two.cfg", scratch);
	unlink(path);
	rmdir(scratch);
	net_place_end(&place);
}

int main(int argc, char **argv)
{
	int wanted = argc > 3 ? atoi(argv[3]) : 5;
	FILE *tsv = fopen(argc > 4 ? argv[4] : "/dev/null", "w");

	if (argc < 3 || wanted < 1 || wanted > FIG_ROUNDS || !tsv) {
		fprintf(stderr, "usage: net PARAVANE GUEST_DIR [ROUNDS(1-%d) [TSV]]\n", FIG_ROUNDS);
		return 2;
	}
	paravane = argv[1];
	snprintf(kernel, sizeof(kernel), "%s/netbench", argv[2]);
	if (!net_place_enter()) {
		fprintf(stderr,
		        "net: no network namespace can be made: %s; run it as root, or allow user "
		        "namespaces\n",
		        strerror(errno));
		return 2;
	}
	if (!mkdtemp(scratch))
		return 2;
	bench_catch_signals(remove_files);
	if (!net_place_make(&place))
		return 2;
	if (place.has_tap)
		raw = net_raw_open();
	else
		printf("no TAP device can be made here: no figures over one\n");
	if (!place.has_veth)
		printf("no veth pair can be made here: no native figures over one\n");
	while (figures.rounds < wanted)
		one_round();
	print_table(tsv, wanted);
	remove_files();
	return fclose(tsv) ? 2 : 0;
}
