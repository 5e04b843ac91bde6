/* SPDX-License-Identifier: MIT */
/*
 * One machine, two domains: a witness that lives through everything, and attackers, one after the
 * other.
 *
 *   harness [-e ENGINE] [-t SECONDS] [-s SEED] [-b BUDGET] [-f FAMILY] [-v] [-x] WITNESS ATTACKER
 *
 * Each family of attacks runs with one seed after the other until its share of the time is over (at
 * least once). After every attacker's end:
 *   - the counts of its frames are made again from its page tables (hv_mmu_audit());
 *   - it has said nothing of a breach, and when it crashed there is a report;
 *   - a family that can lose nothing but time has not ended otherwise than by powering off;
 *   - processes and descriptors are as many as before it began;
 *   - the witness is alive.
 * At the end the witness swears that its memory and its clock were left alone, and the machine leaves
 * nothing behind. One line for each family, as in tests/lib.sh; exit status 0 when all passed.
 *
 * A defect shows with its family and seed: give both, and -b, to see it again; -v shows what each
 * attacker said, -x each attempt.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/console.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/toolstack/guest.h"

#define ATTACKER_DOMID 2

struct family {
	const char *name;
	unsigned vcpus, budget;
	double limit;  /* seconds: who is not through by then is ended from outside */
	bool survives; /* nothing that it does can be a reason to end it */
};

static const struct family families[] = {
	{ "hypercalls", 2, 20000, 4, false }, { "irets", 1, 4000, 3, false },
	{ "contexts", 3, 300, 5, false },     { "tables", 1, 20000, 20, false },
	{ "races", 3, 200, 30, false },       { "events", 3, 1500, 60, true },
	{ "grants", 1, 10000, 60, true },     { "store", 2, 1500, 60, true },
	{ "engine", 1, 300, 3, false },       { "user", 1, 1000, 60, true },
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

struct party {
	struct guest g;
	struct guest_config config;
	struct outlet outlet;
	int out; /* a memfd that takes what it says */
	char cmdline[300];
};

struct tally {
	unsigned runs, poweroffs, reports, cut;
	unsigned long long attempts;
};

static struct hv_machine *machine;
static struct xs_store *store;
static struct party witness, attacker;
static char witness_said[4096], said[16384], urgent[4096], ready[200];
static pthread_mutex_t urgent_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t urgent_len;
static bool verbose, trace;
static unsigned passed, failed;
static unsigned slower = 1; /* so many times fewer attempts: each crossing costs more */
static double witness_since;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void verdict(bool ok, const char *name, const char *text)
{
	printf("%s hostile/%s%s%s\n", ok ? "PASS" : "FAIL", name, text[0] ? ": " : "", text);
	fflush(stdout);
	*(ok ? &passed : &failed) += 1;
}

/* ---- what is left behind -------------------------------------------------------------------- */

static unsigned count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Processes of ours: guest processes are made with us as their parent. out, or NULL: says who they are. */
static unsigned look_at_children(FILE *out)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		char path[300], line[512], *p;
		int ppid = 0;
		FILE *f;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
		if (p && sscanf(p + 1, " %*c %d", &ppid) == 1 && ppid == (int)getpid()) {
			n++;
			if (out)
				fprintf(out, "    child: %.60s\n", line);
		}
		fclose(f);
	}
	if (d)
		closedir(d);
	return n;
}

static unsigned count_children(void)
{
	return look_at_children(NULL);
}

/* The engine may keep a few processes for the witness ready, so counts settle; they never grow. */
static bool settles(unsigned (*count)(void), unsigned at_most)
{
	double end = now() + 5;

	while (count() > at_most) {
		if (now() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/* ---- domains -------------------------------------------------------------------------------- */

/* console_io: on the attacker's thread. Only what a breach says is kept. */
static void on_urgent(void *arg, struct hv_domain *d, const char *text, size_t len)
{
	(void)arg;
	(void)d;
	if (trace)
		fprintf(stderr, "%.*s", (int)len, text);
	if (!memmem(text, len, "BREACH", 6))
		return;
	pthread_mutex_lock(&urgent_lock);
	if (len > sizeof(urgent) - 1 - urgent_len)
		len = sizeof(urgent) - 1 - urgent_len;
	memcpy(urgent + urgent_len, text, len);
	urgent_len += len;
	pthread_mutex_unlock(&urgent_lock);
}

static void read_out(struct party *p, char *text, size_t size)
{
	ssize_t n = pread(p->out, text, size - 1, 0);

	text[n > 0 ? n : 0] = 0;
}

static bool begin(struct party *p, const char *kernel, unsigned vcpus)
{
	char why[1024] = "";

	p->config = (struct guest_config){
		.kernel = kernel, .cmdline = p->cmdline, .memory = 32u << 20, .vcpus = vcpus
	};
	p->out = memfd_create("said", MFD_CLOEXEC);
	if (p->out < 0 || outlet_open(&p->outlet, p->out)) {
		fprintf(stderr, "harness: no descriptors\n");
		return false;
	}
	if (guest_load(&p->g, &p->config, &p->outlet, why, sizeof(why))) {
		fprintf(stderr, "harness: %s\n", why);
		return false;
	}
	if (guest_build(&p->g, machine, store, why, sizeof(why)) || guest_start(&p->g)) {
		fprintf(stderr, "harness: %s\n", why[0] ? why : "a guest does not start");
		return false;
	}
	return true;
}

static void end(struct party *p)
{
	guest_destroy(&p->g);
	guest_unload(&p->g);
	outlet_close(&p->outlet);
	close(p->out);
}

/* Moves output along until the guest has ended, a line appears, or time is up. */
static bool attend(struct party *p, double limit, const char *line)
{
	double until = now() + limit;
	bool over = false;

	while (!over && now() < until) {
		struct pollfd f = { .fd = p->g.news_fd, .events = POLLIN };

		poll(&f, 1, 20);
		over = guest_news(&p->g) & GUEST_ENDED;
		guest_output(&p->g);
		if (line) {
			read_out(p, said, sizeof(said));
			if (strstr(said, line))
				return true;
		}
	}
	return over && !line;
}

/* The audit knows what the guest's tables say; the toolstack's own hold on two pages it does not. */
static bool audit(struct guest *g)
{
	const mfn_t held[] = { g->built.console_mfn, g->built.store_mfn };
	unsigned wrong;

	hv_domain_lock(g->d);
	for (unsigned i = 0; i < 2; i++)
		hv_type_put(g->d, held[i]);
	wrong = hv_mmu_audit(g->d);
	for (unsigned i = 0; i < 2; i++)
		wrong += hv_type_get(g->d, held[i], HV_TYPE_WRITABLE) != 0;
	hv_domain_unlock(g->d);
	return wrong == 0;
}

/* ---- one attacker --------------------------------------------------------------------------- */

static void describe(const struct family *f, uint64_t seed, unsigned budget)
{
	unsigned port = 0, read = 0, write = 0, comes = 0;
	struct hv_domain *d = witness.g.d;

	sscanf(ready, "witness: ready port %u refs %u %u %u", &port, &read, &write, &comes);
	snprintf(attacker.cmdline, sizeof(attacker.cmdline),
	         "%s seed=%llu budget=%u port=%u read=%u write=%u go=%u foreign=%llu "
	         "foreign_end=%llu%s",
	         f->name, (unsigned long long)seed, budget, port, read, write, comes,
	         (unsigned long long)d->mem.first.n,
	         (unsigned long long)(d->mem.first.n + d->mem.nr_frames), trace ? " trace=1" : "");
}

/* How it ended; NULL when that is in order. */
static const char *judge(const struct family *f, struct tally *t, bool over)
{
	struct hv_domain *d = attacker.g.d;

	t->runs++;
	/* The attacker's own word, which noise may have overwritten. */
	if (d->shared_info->arch.max_pfn < 10 * f->budget)
		t->attempts += d->shared_info->arch.max_pfn;
	if (!over) {
		t->cut++;
		hv_domain_end(d, NULL, SHUTDOWN_poweroff, NULL);
		if (!attend(&attacker, 30, NULL))
			return "it cannot be ended";
		if (f->survives)
			return "it was not through in time";
	} else if (d->end.reason == SHUTDOWN_poweroff) {
		t->poweroffs++;
	} else if (d->end.reason == SHUTDOWN_crash) {
		t->reports++;
		if (!d->end.text[0] && !d->end.regs_valid)
			return "it ended without a report";
		if (f->survives)
			return "it was ended, and had no part in it";
	}
	if (d->domid != ATTACKER_DOMID)
		return "it is not the domain that the witness expects";
	if (!audit(&attacker.g))
		return "its frames' counts are wrong";
	if (urgent_len || strstr(said, "BREACH"))
		return "it broke out";
	return NULL;
}

static void tell(bool over, const char *wrong)
{
	struct hv_domain *d = attacker.g.d;

	fprintf(stderr, "-- %s: %s\n-- end %d: %s\n%s%s", attacker.cmdline, wrong ? wrong : "",
	        d->end.reason, d->end.text, said, urgent);
	for (unsigned i = 0; !over && i < d->nr_vcpus; i++)
		fprintf(stderr, "-- cut: vCPU %u at rip %llx rsp %llx flags %llx, %s\n", i,
		        (unsigned long long)d->vcpu[i]->regs.rip,
		        (unsigned long long)d->vcpu[i]->regs.rsp,
		        (unsigned long long)d->vcpu[i]->regs.rflags,
		        d->vcpu[i]->in_kernel ? "kernel" : "user");
}

static const char *attack(const struct family *f, const char *kernel, uint64_t seed,
                          unsigned budget, struct tally *t)
{
	unsigned children = count_children(), descriptors = count_descriptors();
	const char *wrong;
	bool over;

	urgent_len = 0;
	memset(urgent, 0, sizeof(urgent));
	describe(f, seed, budget);
	if (!begin(&attacker, kernel, f->vcpus))
		return "it cannot be started";
	over = attend(&attacker, f->limit, NULL);
	guest_output(&attacker.g);
	read_out(&attacker, said, sizeof(said));
	wrong = judge(f, t, over);
	if (verbose || wrong)
		tell(over, wrong);
	end(&attacker);
	if (!wrong && !settles(count_children, children)) {
		fprintf(stderr, "there were %u processes of ours, now:\n", children);
		look_at_children(stderr);
		wrong = "a process was left behind";
	}
	if (!wrong && !settles(count_descriptors, descriptors))
		wrong = "a descriptor was left behind";
	if (!wrong && (atomic_load(&witness.g.d->ending)))
		wrong = "the witness died of it";
	guest_news(&witness.g);
	guest_output(&witness.g);
	return wrong;
}

static void run_family(const struct family *f, const char *kernel, double seconds, uint64_t seed,
                       unsigned budget)
{
	double until = now() + seconds;
	const char *wrong = NULL;
	struct tally t = { 0 };
	char text[300];

	do
		wrong = attack(f, kernel, seed++, budget ? budget : f->budget / slower, &t);
	while (!wrong && now() < until);
	if (wrong)
		snprintf(text, sizeof(text), "seed %llu: %s", (unsigned long long)seed - 1, wrong);
	else
		snprintf(text, sizeof(text),
		         "%llu attempts in %u runs: %u powered off, %u ended with a report, %u "
		         "cut, %u otherwise",
		         t.attempts, t.runs, t.poweroffs, t.reports, t.cut,
		         t.runs - t.poweroffs - t.reports - t.cut);
	verdict(!wrong, f->name, text);
}

/* ---- the witness ---------------------------------------------------------------------------- */

static bool witness_begins(const char *kernel)
{
	witness.cmdline[0] = 0;
	if (!begin(&witness, kernel, 1) || !attend(&witness, 20, "witness: ready"))
		return false;
	witness_since = now();
	snprintf(ready, sizeof(ready), "%.190s", strstr(said, "witness: ready"));
	return true;
}

/* Its clock must agree with ours, within what a loaded machine may need to notice the end. */
static void witness_swears(void)
{
	unsigned long long rounds, ns = 0, late, events;
	double here;
	const char *line;

	guest_type(&witness.g, "q", 1);
	here = now() - witness_since;
	if (!attend(&witness, 30, NULL)) {
		verdict(false, "witness", "it does not answer");
		return;
	}
	guest_output(&witness.g);
	read_out(&witness, witness_said, sizeof(witness_said));
	line = strstr(witness_said, "witness: intact");
	verdict(line != NULL && witness.g.d->end.reason == SHUTDOWN_poweroff && audit(&witness.g),
	        "witness", line ? line : witness_said);
	if (!line ||
	    sscanf(line, "witness: intact, %llu rounds, %llu ns, %llu ns late, %llu events",
	           &rounds, &ns, &late, &events) != 4)
		return;
	verdict((double)ns / 1e9 > here - 1 && (double)ns / 1e9 < here + 30, "witness-clock", "");
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void run_all(const char *kernel, const char *only, double seconds, uint64_t seed,
                    unsigned budget)
{
	unsigned n = only ? 1 : FAMILIES;

	for (unsigned i = 0; i < FAMILIES; i++)
		if (!only || !strcmp(only, families[i].name))
			run_family(&families[i], kernel, seconds / n, seed, budget);
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: harness [-e process|kvm] [-t SECONDS] [-s SEED] [-b BUDGET] [-f FAMILY] "
	        "[-v] [-x] WITNESS ATTACKER\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned descriptors, budget = 0;
	const struct hv_engine *engine = &hv_engine_process;
	const char *only = NULL;
	char why[512] = "";
	double seconds = 0;
	uint64_t seed = 1;
	int c;

	while ((c = getopt(argc, argv, "e:t:s:b:f:vx")) != -1) {
		switch (c) {
		case 'e':
			engine = strcmp(optarg, "kvm") ? &hv_engine_process : &hv_engine_kvm;
			slower = engine == &hv_engine_kvm ? 8 : 1;
			break;
		case 't':
			seconds = atof(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'b':
			budget = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'f':
			only = optarg;
			break;
		case 'x':
			trace = true;
			verbose = true;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 2)
		return usage();
	if (engine->probe(why, sizeof(why))) {
		fprintf(stderr, "harness: %s\n", why);
		return 2;
	}
	descriptors = count_descriptors();
	hv_console_set_sink(on_urgent, NULL);
	if (hv_machine_create(&machine, engine, 1u << 16) || xs_store_create(&store, NULL)) {
		fprintf(stderr, "harness: no machine\n");
		return 2;
	}
	printf("seed %llu\n", (unsigned long long)seed);
	if (!witness_begins(argv[optind])) {
		verdict(false, "witness", said[0] ? said : "it does not begin");
		goto out;
	}
	run_all(argv[optind + 1], only, seconds, seed, budget);
	witness_swears();
	end(&witness);
	xs_store_destroy(store);
	hv_machine_destroy(machine);
	verdict(settles(count_children, 0), "nothing-left/processes", "");
	verdict(settles(count_descriptors, descriptors), "nothing-left/descriptors", "");
out:
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed || !passed;
}
