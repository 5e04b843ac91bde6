/* SPDX-License-Identifier: MIT */
/*
 * The command line; one table says what `paravane run` understands, and help is printed from it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/toolstack/disk_spec.h"
#include "hypervisor-stub/toolstack/ctl_path.h"
#include "hypervisor-stub/toolstack/vif_spec.h"
#include "hypervisor-stub/toolstack/options.h"
#include "hypervisor-stub/toolstack/engines.h"
#include "hypervisor-stub/toolstack/verbs.h"

#define FULLVIRT_MIN_MEMORY (UINT64_C(4) << 20)
#define FULLVIRT_MAX_MEMORY (UINT64_C(3) << 30)
#define DEFAULT_MEMORY      (UINT64_C(128) << 20)
#define MAX_MEMORY          (UINT64_C(1) << 40)
#define MAX_TIMEOUT_SEC     1e9
#define DEFAULT_GRACE_NS    UINT64_C(10000000000)

struct parse {
	struct options *o;
	char *why;
	size_t why_len;
};

static int refuse(struct parse *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, p->why_len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- values --------------------------------------------------------------------------------- */

bool options_size(const char *text, uint64_t *bytes)
{
	static const struct {
		char letter;
		unsigned shift;
	} units[] = { { 'B', 0 }, { 'K', 10 }, { 'M', 20 }, { 'G', 30 }, { 'T', 40 }, { 0, 20 } };
	char *end;
	uint64_t n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || (end[0] && end[1]))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		char upper = *end >= 'a' && *end <= 'z' ? (char)(*end - 'a' + 'A') : *end;

		if (upper != units[i].letter)
			continue;
		if (n > UINT64_MAX >> units[i].shift)
			return false;
		*bytes = n << units[i].shift;
		return true;
	}
	return false;
}

static int set_memory(struct parse *p, const char *text)
{
	uint64_t bytes;

	if (!options_size(text, &bytes))
		return refuse(p,
		              "--memory: '%s' is no size; write 64M or 1G (a plain number is MiB)",
		              text);
	if (bytes < HV_PAGE_SIZE || bytes > MAX_MEMORY)
		return refuse(p, "--memory: %s is out of range; give 1M to 1T", text);
	p->o->guest.memory = bytes & ~(uint64_t)(HV_PAGE_SIZE - 1);
	p->o->given |= GIVEN_MEMORY;
	return 0;
}

static int set_cmdline(struct parse *p, const char *text)
{
	if (strlen(text) >= MAX_GUEST_CMDLINE)
		return refuse(p,
		              "--cmdline: the text has %zu bytes; a guest can be given %d at most",
		              strlen(text), MAX_GUEST_CMDLINE - 1);
	p->o->guest.cmdline = text;
	p->o->given |= GIVEN_CMDLINE;
	return 0;
}

static int set_ramdisk(struct parse *p, const char *text)
{
	p->o->guest.ramdisk = text;
	p->o->given |= GIVEN_RAMDISK;
	return 0;
}

static int add_device(struct parse *p, struct device_texts *list, const char *text,
                      spec_check_fn *check)
{
	int rc = check(text, p->why, p->why_len);

	if (!rc)
		list->text[list->nr++] = text;
	return rc;
}

static int set_disk(struct parse *p, const char *text)
{
	struct device_texts *disks = &p->o->guest.disks;

	if (disks->nr == OPTIONS_MAX_DEVICES)
		return refuse(p, "--disk: a guest has %d disks at its start at most",
		              OPTIONS_MAX_DEVICES);
	p->o->given |= GIVEN_DISK;
	return add_device(p, disks, text, disk_spec_check);
}

static int set_vif(struct parse *p, const char *text)
{
	struct device_texts *vifs = &p->o->guest.vifs;

	if (vifs->nr == OPTIONS_MAX_DEVICES)
		return refuse(p, "--vif: a guest has %d network interfaces at its start at most",
		              OPTIONS_MAX_DEVICES);
	p->o->given |= GIVEN_VIF;
	return add_device(p, vifs, text, vif_spec_check);
}

static int set_capture(struct parse *p, const char *text)
{
	if (!*text || strlen(text) >= VIF_TEXT)
		return refuse(p, "--capture: a path has 1 to %d characters", VIF_TEXT - 1);
	p->o->capture = text;
	return 0;
}

static int set_engine(struct parse *p, const char *text)
{
	if (!engines_knows(text))
		return refuse(p, "--engine: '%s' is unknown; give " ENGINES_NAMES, text);
	p->o->engine = text;
	return 0;
}

static int set_mode(struct parse *p, const char *text)
{
	if (strcmp(text, "pv") && strcmp(text, "fullvirt"))
		return refuse(p, "--mode: '%s' is unknown; give pv or fullvirt", text);
	p->o->fullvirt = text[0] == 'f';
	return 0;
}

/* A number of seconds as nanoseconds; false when it is none. */
static bool read_seconds(const char *text, uint64_t *ns)
{
	char *end;
	double seconds;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return false;
	seconds = strtod(text, &end);
	if (*end || !(seconds >= 0) || seconds > MAX_TIMEOUT_SEC)
		return false;
	*ns = (uint64_t)(seconds * 1e9);
	if (*ns == 0 && seconds > 0)
		*ns = 1;
	return true;
}

static int set_timeout(struct parse *p, const char *text)
{
	if (!read_seconds(text, &p->o->timeout_ns) || !p->o->timeout_ns)
		return refuse(p, "--timeout: '%s' is no number of seconds above 0; write 10 or 0.5",
		              text);
	return 0;
}

static int set_grace(struct parse *p, const char *text)
{
	if (!read_seconds(text, &p->o->grace_ns))
		return refuse(p, "--grace: '%s' is no number of seconds; write 30 or 0", text);
	return 0;
}

static int set_trace(struct parse *p, const char *text)
{
	p->o->trace = true;
	p->o->trace_file = text;
	return 0;
}

static int set_verbose(struct parse *p, const char *text)
{
	(void)text;
	p->o->verbose = true;
	return 0;
}

static int set_stats(struct parse *p, const char *text)
{
	(void)text;
	p->o->stats = true;
	return 0;
}

/* A number from 1 to max for an option, which is called by its name in the sentence. */
static int read_number(struct parse *p, const char *option, const char *text, unsigned max,
                       unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > max)
		return refuse(p, "%s: '%s' is out of range; give 1 to %u", option, text, max);
	*out = (unsigned)n;
	return 0;
}

static int set_vcpus(struct parse *p, const char *text)
{
	p->o->given |= GIVEN_VCPUS;
	return read_number(p, "--vcpus", text, HV_MAX_VCPUS, &p->o->guest.vcpus);
}

static int set_max_vcpus(struct parse *p, const char *text)
{
	p->o->given |= GIVEN_MAX_VCPUS;
	return read_number(p, "--maxvcpus", text, HV_MAX_VCPUS, &p->o->guest.max_vcpus);
}

static int set_cpu_weight(struct parse *p, const char *text)
{
	p->o->given |= GIVEN_CPU_WEIGHT;
	return read_number(p, "--cpu-weight", text, OPTIONS_MAX_WEIGHT, &p->o->guest.cpu_weight);
}

static int set_cpu_cap(struct parse *p, const char *text)
{
	p->o->given |= GIVEN_CPU_CAP;
	return read_number(p, "--cpu-cap", text, OPTIONS_MAX_CAP, &p->o->guest.cpu_cap);
}

bool options_is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= OPTIONS_NAME_MAX && strspn(text, OPTIONS_NAME_CHARS) == len;
}

/* A name for an option, which is called by its name in the sentence. */
static int read_name(struct parse *p, const char *option, const char *text, const char **out)
{
	if (!options_is_name(text))
		return refuse(p, "%s: '%s' cannot be a name; use 1 to 63 of a-z A-Z 0-9 - _ . : +",
		              option, text);
	*out = text;
	return 0;
}

static int set_name(struct parse *p, const char *text)
{
	p->o->given |= GIVEN_NAME;
	return read_name(p, "--name", text, &p->o->guest.name);
}

static int set_machine(struct parse *p, const char *text)
{
	return read_name(p, "--machine", text, &p->o->machine);
}

static int set_control(struct parse *p, const char *text)
{
	if (!ctl_is_path(text))
		return refuse(p, "--control: '%s' is no path; write ./%s", text, text);
	p->o->control = text;
	return 0;
}

static int set_console(struct parse *p, const char *text)
{
	return read_name(p, "--console", text, &p->o->console);
}

static int set_on_reboot(struct parse *p, const char *text)
{
	if (strcmp(text, "restart") && strcmp(text, "exit"))
		return refuse(p, "--on-reboot: '%s' is unknown; give restart or exit", text);
	p->o->guest.restart_on_reboot = text[0] == 'r';
	p->o->given |= GIVEN_ON_REBOOT;
	return 0;
}

static int set_spin(struct parse *p, const char *text)
{
	(void)text;
	p->o->spin = true;
	return 0;
}

static int set_processes(struct parse *p, const char *text)
{
	if (read_number(p, "--processes", text, OPTIONS_MAX_PROCESSES, &p->o->processes))
		return -EINVAL;
	if (p->o->processes < OPTIONS_MIN_PROCESSES)
		return refuse(p, "--processes: '%s' is too few; give %d to %d", text,
		              OPTIONS_MIN_PROCESSES, OPTIONS_MAX_PROCESSES);
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

enum value { NO_VALUE, MAY_HAVE_VALUE, HAS_VALUE };

static const struct option_row {
	const char *name;
	enum value value;
	const char *placeholder;
	int (*set)(struct parse *p, const char *text);
	const char *help;
} rows[] = {
	{ "--memory", HAS_VALUE, "SIZE", set_memory, "memory of the guest: 64M, 1G (128M)" },
	{ "--cmdline", HAS_VALUE, "TEXT", set_cmdline, "the kernel's command line" },
	{ "--ramdisk", HAS_VALUE, "FILE", set_ramdisk, "a file to be loaded behind the kernel" },
	{ "--disk", HAS_VALUE, "FILE[,...]", set_disk,
	  "a disk: FILE[,ro][,direct][,serial=TEXT], nbd:ADDRESS; several are xvda, xvdb..." },
	{ "--vif", HAS_VALUE, "PORT[,...]", set_vif,
	  "a network interface: tap:NAME, passt, unix:PATH, lan:NAME[,mac=...][,queues=N]" },
	{ "--capture", HAS_VALUE, "FILE", set_capture,
	  "what passes all network interfaces, into a pcapng file" },
	{ "--vcpus", HAS_VALUE, "N", set_vcpus, "number of virtual processors, 1 to 32 (1)" },
	{ "--maxvcpus", HAS_VALUE, "N", set_max_vcpus,
	  "as many can be brought up later (--vcpus)" },
	{ "--cpu-weight", HAS_VALUE, "N", set_cpu_weight,
	  "its share beside others, 1 to 65535 (256)" },
	{ "--cpu-cap", HAS_VALUE, "PERCENT", set_cpu_cap,
	  "at most so much of a processor, all its vCPUs together" },
	{ "--name", HAS_VALUE, "NAME", set_name, "name of the guest (that of the kernel's file)" },
	{ "--machine", HAS_VALUE, "NAME", set_machine,
	  "name of the machine (that of its first guest)" },
	{ "--control", HAS_VALUE, "PATH", set_control, "a control socket there, too; for -m PATH" },
	{ "--console", HAS_VALUE, "NAME", set_console,
	  "of several guests, the one that has the terminal" },
	{ "--engine", HAS_VALUE, "NAME", set_engine,
	  "what runs guest code: auto, process, kvm (auto)" },
	{ "--mode", HAS_VALUE, "MODE", set_mode,
	  "pv, or fullvirt: a virtual PC, the kernel entered natively (pv)" },
	{ "--spin", NO_VALUE, NULL, set_spin,
	  "wait for a guest's calls on an idle core, awake: faster, dearer" },
	{ "--processes", HAS_VALUE, "N", set_processes,
	  "most host processes for each guest's address spaces (256)" },
	{ "--timeout", HAS_VALUE, "SECONDS", set_timeout, "end the machine after that time" },
	{ "--grace", HAS_VALUE, "SECONDS", set_grace,
	  "after SIGTERM, for guests to shut down (10)" },
	{ "--on-reboot", HAS_VALUE, "WHAT", set_on_reboot, "restart or exit (exit)" },
	{ "--trace", MAY_HAVE_VALUE, "FILE", set_trace,
	  "print every hypercall, to standard error or FILE" },
	{ "--verbose", NO_VALUE, NULL, set_verbose, "say which engine was chosen, and why" },
	{ "--stats", NO_VALUE, NULL, set_stats,
	  "count and time every hypercall, print a table at the end and on SIGUSR1" },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct option_row *find_row(const char *word, size_t len)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, word, len))
			return &rows[i];
	}
	return NULL;
}

/* An option at argv[*i]; *i moves over its value when that is a word of its own. */
static int one_option(struct parse *p, int argc, char *const *argv, int *i)
{
	const char *word = argv[*i], *eq = strchr(word, '='), *value = eq ? eq + 1 : NULL;
	const struct option_row *row = find_row(word, eq ? (size_t)(eq - word) : strlen(word));

	if (!row)
		return refuse(p, "run: unknown option '%s'; see paravane run --help", word);
	if (row->value == NO_VALUE && value)
		return refuse(p, "%s takes no value; leave '%s' out", row->name, value);
	if (row->value == HAS_VALUE && !value) {
		if (*i + 1 >= argc)
			return refuse(p, "%s needs a value: %s %s", row->name, row->name,
			              row->placeholder);
		value = argv[++*i];
	}
	if (value && !*value && row->set != set_cmdline)
		return refuse(p, "%s needs a value: %s %s", row->name, row->name, row->placeholder);
	return row->set(p, value);
}

bool options_is_config(const char *file)
{
	size_t len = strlen(file);

	return len > 4 && !strcmp(file + len - 4, ".cfg");
}

static int add_file(struct parse *p, const char *file)
{
	struct options *o = p->o;

	if (o->nr_files == OPTIONS_MAX_DOMAINS)
		return refuse(p, "run: more than %d files; a machine has %d domains at most",
		              OPTIONS_MAX_DOMAINS, OPTIONS_MAX_DOMAINS);
	o->files[o->nr_files++] = file;
	return 0;
}

/* What the files are, and whether the options fit their number. */
static int check_files(struct parse *p)
{
	struct options *o = p->o;

	if (!o->nr_files || !*o->files[0])
		return refuse(p, "run: no kernel given; write paravane run KERNEL");
	for (unsigned i = 0; i < o->nr_files; i++) {
		if (options_is_config(o->files[i]))
			continue;
		if (o->guest.kernel)
			return refuse(p,
			              "run: two kernels, '%s' and '%s'; give one, or a "
			              "configuration file (.cfg) for each",
			              o->guest.kernel, o->files[i]);
		o->guest.kernel = o->files[i];
	}
	if (o->guest.kernel && o->nr_files > 1)
		return refuse(p,
		              "run: '%s' is a kernel among configuration files; write a .cfg file "
		              "for it, too",
		              o->guest.kernel);
	if (o->nr_files > 1 && o->given)
		return refuse(p, "run: of several guests, memory, names and the like are said in "
		                 "their configuration files; leave those options out");
	return 0;
}

/* A virtual PC is one kernel with what its devices can do. */
static int check_mode(struct parse *p)
{
	const struct options *o = p->o;

	if (!o->fullvirt)
		return 0;
	if (!o->guest.kernel)
		return refuse(p, "--mode fullvirt runs one kernel; configuration files are for pv");
	if (o->guest.vcpus > 1 || o->guest.max_vcpus > 1)
		return refuse(p, "--vcpus: a machine of --mode fullvirt has 1; leave it out");
	if (o->guest.memory < FULLVIRT_MIN_MEMORY || o->guest.memory > FULLVIRT_MAX_MEMORY)
		return refuse(p, "--memory: a machine of --mode fullvirt has 4M to 3G");
	if (o->trace)
		return refuse(
			p, "--trace shows hypercalls, which --mode fullvirt has not; use --stats");
	return 0;
}

static int parse_run(struct parse *p, int argc, char *const *argv)
{
	bool options_over = false;
	int rc = 0;

	p->o->verb = VERB_RUN;
	for (int i = 0; i < argc && !rc; i++) {
		if (!options_over && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
			p->o->verb = VERB_RUN_HELP;
			return 0;
		}
		if (!options_over && !strcmp(argv[i], "--"))
			options_over = true;
		else if (!options_over && argv[i][0] == '-' && argv[i][1])
			rc = one_option(p, argc, argv, &i);
		else
			rc = add_file(p, argv[i]);
	}
	if (!rc)
		rc = check_files(p);
	return rc ? rc : check_mode(p);
}

int options_parse(struct options *o, int argc, char *const *argv, char *why, size_t why_len)
{
	struct parse p = { o, why, why_len };

	*o = (struct options){
		.verb = VERB_HELP,
		.engine = "auto",
		.grace_ns = DEFAULT_GRACE_NS,
		.guest = { .memory = DEFAULT_MEMORY, .vcpus = 1 },
	};
	if (argc < 2)
		return refuse(&p, "no command given; see paravane --help");
	if (!strcmp(argv[1], "run"))
		return parse_run(&p, argc - 2, argv + 2);
	if (verbs_knows(argv[1])) {
		o->verb = VERB_ASK;
		return 0;
	}
	if (strcmp(argv[1], "--help") && strcmp(argv[1], "-h") && strcmp(argv[1], "--version"))
		return refuse(&p, "unknown command '%s'; see paravane --help", argv[1]);
	if (argc > 2)
		return refuse(&p, "%s stands alone; leave '%s' out", argv[1], argv[2]);
	o->verb = strcmp(argv[1], "--version") ? VERB_HELP : VERB_VERSION;
	return 0;
}

/* ---- help ----------------------------------------------------------------------------------- */

void options_help(FILE *out)
{
	fputs("paravane - runs paravirtualized (Xen PV) kernels as ordinary Linux processes\n"
	      "\n"
	      "  paravane run KERNEL [OPTIONS]   run a kernel; see paravane run --help\n"
	      "  paravane run FILE.cfg...        run a machine of several, as xl's files say\n",
	      out);
	verbs_help(out);
	fputs("  paravane --help                 this text\n"
	      "  paravane --version              the version\n"
	      "\n"
	      "More is in the manual page paravane(1).\n",
	      out);
}

static void left_column(char *text, size_t size, const struct option_row *r)
{
	if (r->value == HAS_VALUE)
		snprintf(text, size, "%s %s", r->name, r->placeholder);
	else if (r->value == MAY_HAVE_VALUE)
		snprintf(text, size, "%s[=%s]", r->name, r->placeholder);
	else
		snprintf(text, size, "%s", r->name);
}

void options_run_help(FILE *out)
{
	char left[32];

	fputs("paravane run KERNEL [OPTIONS] - run a kernel, its console on this terminal\n"
	      "paravane run FILE.cfg... [OPTIONS] - run what configuration files in xl's syntax "
	      "say\n\n",
	      out);
	for (size_t i = 0; i < NR_ROWS; i++) {
		const struct option_row *r = &rows[i];

		left_column(left, sizeof(left), r);
		fprintf(out, "  %-22s %s\n", left, r->help);
	}
	fputs("\n"
	      "On a terminal Ctrl-] ends the machine. Exit status: 0 the guest powered off, 2 "
	      "wrong\n"
	      "options or files, 10 it crashed, 11 it asked for a reboot, 12 --timeout passed; "
	      "the\n"
	      "others are in paravane(1).\n",
	      out);
}
