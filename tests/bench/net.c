/* SPDX-License-Identifier: MIT */
/*
 * What a guest's network costs: the loads of tests/guests/netbench over a TAP device and from guest to guest
 * on a LAN of one machine, beside the same loads natively over a veth pair between two network namespaces and
 * over a unix socket pair, all in one run.
 *
 *   net PARAVANE GUEST_DIR [ROUNDS [TSV]]
 *
 * All of it happens in a network namespace of its own, inside a user namespace unless we are root, so
 * nothing of the machine's network is touched and nothing stays. It needs iproute2 and /dev/net/tun; what
 * is missing leaves its column empty.
 *
 * A round runs every way once. Packets are counted where they arrive, by the program that receives them.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/figures.h"
#include "tests/bench/net_native.h"
#include "tests/bench/spawn.h"

#define MS       500
#define LIMIT_S  30
#define HOST_IP  0x0a000001u /* 10.0.0.1, over the TAP device */
#define GUEST_IP 0x0a000002u
#define PEER_IP  0x0a020002u /* 10.2.0.2, over the veth pair */
#define PER_GBIT 1.25e8      /* bytes */

enum system { VETH, PAIR, GUEST, NR_SYSTEMS };

static const char *const system_names[] = { "veth", "unix", "guest" };
static struct figures figures = { .systems = NR_SYSTEMS };
static struct net_services host, peer;
static char scratch[] = "/tmp/paravane-net.XXXXXX"; /* a folder */
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

static void run_tap_out(void)
{
	uint64_t before = host.counts->udp_packets;
	static struct bench_run r;
	double a, b;

	if (!start_tap(&r, "flood"))
		return;
	if (await_line(&r, "net flood:", &a, &b, bench_now() + LIMIT_S)) {
		a = (double)(host.counts->udp_packets - before) * 1000 / MS;
		add(TAP_OUT, GUEST, a, a);
	}
	bench_end(&r);
}

static void run_tap_in(void)
{
	double end = bench_now() + LIMIT_S, a, b;
	static struct bench_run r;

	if (!start_tap(&r, "count"))
		return;
	if (await_line(&r, "net counts", &a, &b, end)) {
		net_native_flood(GUEST_IP, MS + 200);
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

static double veth_packets(void)
{
	uint64_t before = peer.counts->udp_packets;

	net_native_flood(PEER_IP, MS);
	return (double)(peer.counts->udp_packets - before) * 1000 / MS;
}

static void native_round(void)
{
	struct net_rtt veth = { 0 }, pair = net_pair_rtt(MS);
	double out = 0, in = 0, packets[2] = { 0 }, pair_packets, pair_stream;

	if (peer.pid) {
		veth = net_native_rtt(PEER_IP, MS);
		packets[0] = veth_packets();
		packets[1] = veth_packets();
		out = net_native_stream(PEER_IP, true, MS);
		in = net_native_stream(PEER_IP, false, MS);
	}
	pair_packets = net_pair_packets(MS);
	pair_stream = net_pair_stream(MS);
	for (enum row r = 0; r < NR_ROWS; r++) {
		if (r <= LAN_RTT) {
			add(r, VETH, veth.min_ns, veth.median_ns);
			add(r, PAIR, pair.min_ns, pair.median_ns);
		} else if (r <= LAN_PACKETS) {
			add(r, VETH, packets[r == TAP_IN], packets[r == TAP_IN]);
			add(r, PAIR, pair_packets, pair_packets);
		} else {
			add(r, VETH, r == TAP_RECEIVE ? in : out, r == TAP_RECEIVE ? in : out);
			add(r, PAIR, pair_stream, pair_stream);
		}
	}
}

/* ---- where it happens ------------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A network of our own, where we may do all. */
static bool enter_namespace(void)
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

static void make_networks(void)
{
	if (!shell("ip link set lo up && ip tuntap add dev t0 mode tap && ip addr add 10.0.0.1/24 "
	           "dev t0 "
	           "&& ip link set t0 up",
	           0))
		printf("no TAP device can be made here: no figures over one\n");
	if (!net_services_start(&host, NULL) || !net_services_go(&host))
		exit(2);
	if (!net_services_start(&peer,
	                        "ip link set lo up && ip addr add 10.2.0.2/24 dev v1 && ip link "
	                        "set v1 up") ||
	    !shell("ip link add v0 type veth peer name v1 netns %d && ip addr add 10.2.0.1/24 dev "
	           "v0 && "
	           "ip link set v0 up",
	           peer.pid) ||
	    !net_services_go(&peer)) {
		printf("no veth pair can be made here: no native figures over one\n");
		net_services_end(&peer);
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
	run_tap(TAP_RTT, "rtt", "net rtt:", 1);
	run_lan(LAN_RTT, "serve", "rtt", "net rtt:", 1);
	run_tap_out();
	run_tap_in();
	run_lan(LAN_PACKETS, "count", "flood", "net count:", 1);
	run_tap(TAP_SEND, "send", "net send:", 1e6);
	run_tap(TAP_RECEIVE, "receive", "net receive:", 1e6);
	run_lan(LAN_STREAM, "serve", "send", "net send:", 1e6);
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
	if (!enter_namespace()) {
		fprintf(stderr,
		        "net: no network namespace can be made: %s; run it as root, or allow user "
		        "namespaces\n",
		        strerror(errno));
		return 2;
	}
	if (!mkdtemp(scratch))
		return 2;
	bench_catch_signals();
	make_networks();
	while (figures.rounds < wanted)
		one_round();
	print_table(tsv, wanted);
	net_services_end(&peer);
	net_services_end(&host);
	rmdir(scratch);
	return fclose(tsv) ? 2 : 0;
}
