/* SPDX-License-Identifier: MIT */
/*
 * What a machine shall be; see plan.h.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/file.h"
#include "hypervisor-stub/toolstack/plan.h"

/* A file's name without folders and without an ending, as a domain's name. */
static void name_from_file(char name[OPTIONS_NAME_MAX + 1], const char *file, const char *ending)
{
	const char *slash = strrchr(file, '/');
	size_t len, cut = strlen(ending);

	snprintf(name, OPTIONS_NAME_MAX + 1, "%s", slash && slash[1] ? slash + 1 : file);
	len = strlen(name);
	if (len > cut && !strcmp(name + len - cut, ending))
		name[len - cut] = 0;
	for (char *c = name; *c; c++)
		if (!strchr(OPTIONS_NAME_CHARS, *c))
			*c = '_';
}

static int read_config(struct plan *p, unsigned i, config_warn_fn *warn, void *arg, char *why,
                       size_t why_len)
{
	const char *path = p->o->files[i];
	struct file f;
	int rc = file_read(&f, "configuration", path, CONFIG_MAX_BYTES, why, why_len);

	if (rc)
		return rc;
	rc = config_parse(&p->file[i], path, f.bytes, f.len, warn, arg, why, why_len);
	file_free(&f);
	if (!rc)
		p->guest[i] = p->file[i].guest;
	return rc;
}

/* What was given on the command line counts for a single guest, whatever its file says. */
static void override(struct guest_config *g, const struct options *o)
{
	const struct guest_config *by = &o->guest;

	if (o->given & GIVEN_MEMORY) {
		g->memory = by->memory;
		g->max_memory = 0;
	}
	if (o->given & GIVEN_CMDLINE)
		g->cmdline = by->cmdline;
	if (o->given & GIVEN_RAMDISK)
		g->ramdisk = by->ramdisk;
	if (o->given & GIVEN_VCPUS)
		g->vcpus = by->vcpus;
	if (o->given & GIVEN_MAX_VCPUS)
		g->max_vcpus = by->max_vcpus;
	else if (o->given & GIVEN_VCPUS)
		g->max_vcpus = 0;
	if (o->given & GIVEN_NAME)
		g->name = by->name;
	if (o->given & GIVEN_ON_REBOOT)
		g->restart_on_reboot = by->restart_on_reboot;
	if (o->given & GIVEN_CPU_WEIGHT)
		g->cpu_weight = by->cpu_weight;
	if (o->given & GIVEN_CPU_CAP)
		g->cpu_cap = by->cpu_cap;
	if (o->given & GIVEN_DISK)
		g->disks = by->disks;
	if (o->given & GIVEN_VIF)
		g->vifs = by->vifs;
}

static int make_guest(struct plan *p, unsigned i, config_warn_fn *warn, void *arg, char *why,
                      size_t why_len)
{
	const struct options *o = p->o;
	struct guest_config *g = &p->guest[i];
	int rc = 0;

	if (o->guest.kernel)
		*g = o->guest;
	else
		rc = read_config(p, i, warn, arg, why, why_len);
	if (rc)
		return rc;
	if (o->nr_files == 1)
		override(g, o);
	if (!g->max_memory)
		g->max_memory = g->memory;
	if (!g->max_vcpus)
		g->max_vcpus = g->vcpus;
	if (g->max_vcpus < g->vcpus)
		return hv_why(
			why, why_len, -EINVAL,
			"--maxvcpus: %u is less than the %u that are online at the start; give "
			"at least as many",
			g->max_vcpus, g->vcpus);
	if (g->name)
		p->is_named |= i == 0;
	else
		name_from_file(p->name[i], o->files[i], o->guest.kernel ? "" : ".cfg");
	if (!g->name)
		g->name = p->name[i];
	return 0;
}

static int check_names(const struct plan *p, char *why, size_t why_len)
{
	for (unsigned i = 1; i < p->nr; i++)
		for (unsigned j = 0; j < i; j++)
			if (!strcmp(p->guest[i].name, p->guest[j].name))
				return hv_why(why, why_len, -EINVAL,
				              "%s and %s: both domains are called %s; give each a "
				              "name of its own",
				              p->o->files[j], p->o->files[i], p->guest[i].name);
	return 0;
}

static int choose_console(struct plan *p, char *why, size_t why_len)
{
	if (!p->o->console)
		return 0;
	for (unsigned i = 0; i < p->nr; i++) {
		if (!strcmp(p->guest[i].name, p->o->console)) {
			p->console = i;
			return 0;
		}
	}
	return hv_why(why, why_len, -EINVAL,
	              "--console: no domain is called '%s'; the first one is %s", p->o->console,
	              p->guest[0].name);
}

int plan_make(struct plan *p, const struct options *o, config_warn_fn *warn, void *arg, char *why,
              size_t why_len)
{
	int rc = 0;

	memset(p, 0, sizeof(*p));
	p->o = o;
	p->nr = o->nr_files;
	for (unsigned i = 0; i < p->nr && !rc; i++)
		rc = make_guest(p, i, warn, arg, why, why_len);
	if (!rc)
		rc = check_names(p, why, why_len);
	if (!rc)
		rc = choose_console(p, why, why_len);
	if (rc) {
		plan_free(p);
		return rc;
	}
	p->is_named |= o->machine != NULL;
	snprintf(p->machine, sizeof(p->machine), "%s", o->machine ? o->machine : p->guest[0].name);
	return 0;
}

void plan_free(struct plan *p)
{
	for (unsigned i = 0; i < p->nr; i++)
		config_free(&p->file[i]);
}
