/* SPDX-License-Identifier: MIT */
/*
 * What a run was measured on; see machine.h.
 */
#include "tests/bench/machine.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/spawn.h"

static void fact(FILE *tsv, const char *key, const char *text)
{
	fprintf(tsv, "# %s\t%.*s\n", key, (int)strcspn(text, "\n\t"), text);
}

/* The first line of a file; "unknown" when there is none. */
static const char *first_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(text, (int)size, f))
		snprintf(text, size, "unknown");
	if (f)
		fclose(f);
	return text;
}

/* The value of a key in a file of lines "key : value". */
static void value_of(const char *path, const char *key, char *text, size_t size)
{
	char line[1024], *colon;
	FILE *f = fopen(path, "r");

	snprintf(text, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		colon = strchr(line, ':');
		if (!colon || strncmp(line, key, strlen(key)))
			continue;
		snprintf(text, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
		break;
	}
	if (f)
		fclose(f);
}

/* Those that the kernel does something about. */
static void write_mitigations(FILE *tsv)
{
	static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
	char path[512], line[256], all[512] = "";
	struct dirent *e;
	DIR *d = opendir(folder);

	while (d && (e = readdir(d))) {
		size_t used = strlen(all);

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (!strncmp(first_line(path, line, sizeof(line)), "Mitigation", 10) ||
		    !strncmp(line, "Vulnerable", 10))
			snprintf(all + used, sizeof(all) - used, "%s%.60s%s", used ? ", " : "",
			         e->d_name, line[0] == 'V' ? " (open)" : "");
	}
	if (d)
		closedir(d);
	fact(tsv, "mitigations", !d ? "unknown" : all[0] ? all : "none");
}

/* What a program says of itself in its first line. */
static void write_version(FILE *tsv, const char *key, const char *program)
{
	char *const argv[] = { (char *)program, (char *)"--version", NULL };
	static struct bench_run r;
	char line[200];

	if (!bench_has_program(program) || !bench_start(&r, argv)) {
		fact(tsv, key, "not installed");
		return;
	}
	if (bench_line(&r, line, sizeof(line), bench_now() + 10))
		fact(tsv, key, line);
	bench_end(&r);
}

void machine_write(FILE *tsv, const struct places *p)
{
	char text[256], more[512];
	time_t now = time(NULL);
	struct utsname u;
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &tm));
	fact(tsv, "date", text);
	value_of("/proc/cpuinfo", "model name", text, sizeof(text));
	snprintf(more, sizeof(more), "%ld x %.200s", sysconf(_SC_NPROCESSORS_ONLN), text);
	fact(tsv, "processors", more);
	value_of("/proc/meminfo", "MemTotal", text, sizeof(text));
	fact(tsv, "memory", text);
	if (!uname(&u)) {
		snprintf(more, sizeof(more), "%.60s %.100s", u.sysname, u.release);
		fact(tsv, "kernel", more);
	}
	write_mitigations(tsv);
	fact(tsv, "large pages",
	     first_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)));
	fact(tsv, "load before", first_line("/proc/loadavg", text, sizeof(text)));
	fact(tsv, "compiler", "gcc " __VERSION__);
	write_version(tsv, "paravane", p->paravane);
	write_version(tsv, "qemu", p->qemu);
	write_version(tsv, "user-mode linux", p->uml);
}
