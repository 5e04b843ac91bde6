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
#include "hypervisor-stub/toolstack/options.h"

#define DEFAULT_MEMORY  (UINT64_C(128) << 20)
#define MAX_MEMORY      (UINT64_C(1) << 40)
#define MAX_TIMEOUT_SEC 1e9

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
	return 0;
}

static int set_cmdline(struct parse *p, const char *text)
{
	if (strlen(text) >= MAX_GUEST_CMDLINE)
		return refuse(p,
		              "--cmdline: the text has %zu bytes; a guest can be given %d at most",
		              strlen(text), MAX_GUEST_CMDLINE - 1);
	p->o->guest.cmdline = text;
	return 0;
}

static int set_ramdisk(struct parse *p, const char *text)
{
	p->o->guest.ramdisk = text;
	return 0;
}

static int set_engine(struct parse *p, const char *text)
{
	p->o->engine = text;
	return 0;
}

static int set_timeout(struct parse *p, const char *text)
{
	char *end;
	double seconds;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return refuse(p, "--timeout: '%s' is no number of seconds; write 10 or 0.5", text);
	seconds = strtod(text, &end);
	if (*end || !(seconds > 0) || seconds > MAX_TIMEOUT_SEC)
		return refuse(p, "--timeout: '%s' is no number of seconds above 0; write 10 or 0.5",
		              text);
	p->o->timeout_ns = (uint64_t)(seconds * 1e9);
	if (p->o->timeout_ns == 0)
		p->o->timeout_ns = 1;
	return 0;
}

static int set_trace(struct parse *p, const char *text)
{
	p->o->trace = true;
	p->o->trace_file = text;
	return 0;
}

static int set_stats(struct parse *p, const char *text)
{
	(void)text;
	p->o->stats = true;
	return 0;
}

static int set_vcpus(struct parse *p, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > HV_MAX_VCPUS)
		return refuse(p, "--vcpus: '%s' is out of range; give 1 to %d", text, HV_MAX_VCPUS);
	p->o->guest.vcpus = (unsigned)n;
	return 0;
}

static int set_name(struct parse *p, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > 63 || strspn(text, OPTIONS_NAME_CHARS) != len)
		return refuse(p,
		              "--name: '%s' cannot be a name; use 1 to 63 of a-z A-Z 0-9 - _ . : +",
		              text);
	p->o->guest.name = text;
	return 0;
}

static int set_on_reboot(struct parse *p, const char *text)
{
	if (strcmp(text, "restart") && strcmp(text, "exit"))
		return refuse(p, "--on-reboot: '%s' is unknown; give restart or exit", text);
	p->o->guest.restart_on_reboot = text[0] == 'r';
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
	{ "--vcpus", HAS_VALUE, "N", set_vcpus, "number of virtual processors, 1 to 32 (1)" },
	{ "--name", HAS_VALUE, "NAME", set_name, "name of the guest (that of the kernel's file)" },
	{ "--engine", HAS_VALUE, "NAME", set_engine, "what runs guest code: process (process)" },
	{ "--timeout", HAS_VALUE, "SECONDS", set_timeout, "end the machine after that time" },
	{ "--on-reboot", HAS_VALUE, "WHAT", set_on_reboot, "restart or exit (exit)" },
	{ "--trace", MAY_HAVE_VALUE, "FILE", set_trace,
	  "print every hypercall, to standard error or FILE" },
	{ "--stats", NO_VALUE, NULL, set_stats,
	  "count and time every hypercall, print a table at the end" },
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

static int parse_run(struct parse *p, int argc, char *const *argv)
{
	bool options_over = false;
	int rc;

	p->o->verb = VERB_RUN;
	for (int i = 0; i < argc; i++) {
		if (!options_over && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
			p->o->verb = VERB_RUN_HELP;
			return 0;
		}
		if (!options_over && !strcmp(argv[i], "--")) {
			options_over = true;
			continue;
		}
		if (!options_over && argv[i][0] == '-' && argv[i][1]) {
			rc = one_option(p, argc, argv, &i);
			if (rc)
				return rc;
			continue;
		}
		if (p->o->guest.kernel)
			return refuse(p, "run: two kernels, '%s' and '%s'; give one",
			              p->o->guest.kernel, argv[i]);
		p->o->guest.kernel = argv[i];
	}
	if (!p->o->guest.kernel || !*p->o->guest.kernel)
		return refuse(p, "run: no kernel given; write paravane run KERNEL");
	return 0;
}

int options_parse(struct options *o, int argc, char *const *argv, char *why, size_t why_len)
{
	struct parse p = { o, why, why_len };

	*o = (struct options){
		.verb = VERB_HELP,
		.engine = "process",
		.guest = { .memory = DEFAULT_MEMORY, .vcpus = 1 },
	};
	if (argc < 2)
		return refuse(&p, "no command given; see paravane --help");
	if (!strcmp(argv[1], "run"))
		return parse_run(&p, argc - 2, argv + 2);
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
	      "  paravane --help                 this text\n"
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

	fputs("paravane run KERNEL [OPTIONS] - run a kernel, its console on this terminal\n\n",
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
