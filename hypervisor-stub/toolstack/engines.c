/* SPDX-License-Identifier: MIT */
/*
 * Which engine runs a machine; see engines.h. The order is that of least demands: what needs no
 * device comes first.
 */
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/engines.h"

static const struct hv_engine *const all[] = { &hv_engine_process, &hv_engine_kvm };

#define NR_ENGINES (sizeof(all) / sizeof(all[0]))

static const struct hv_engine *find(const char *name)
{
	for (size_t i = 0; i < NR_ENGINES; i++) {
		if (!strcmp(all[i]->name, name))
			return all[i];
	}
	return NULL;
}

bool engines_knows(const char *name)
{
	return !strcmp(name, "auto") || find(name);
}

/* 0 when the engine works here and has the addresses that the images need. */
static int suits(const struct hv_engine *e, const struct guest *const *guest, unsigned nr,
                 char *why, size_t why_len)
{
	int rc = e->probe(why, why_len);

	for (unsigned i = 0; i < nr && !rc; i++) {
		struct hv_build_request rq = {
			.kernel = guest[i]->kernel.bytes,
			.kernel_len = guest[i]->kernel.len,
			.kernel_name = guest[i]->config->kernel,
			.ramdisk_len = guest[i]->ramdisk.len,
		};

		rc = hv_build_fits(e, &rq, guest[i]->config->memory >> HV_PAGE_SHIFT, why, why_len);
	}
	return rc;
}

static const struct hv_engine *choose_best(const struct guest *const *guest, unsigned nr,
                                           char *note, size_t note_len, char *why, size_t why_len)
{
	char fact[NR_ENGINES][512] = { "" };

	for (size_t i = 0; i < NR_ENGINES; i++) {
		if (suits(all[i], guest, nr, fact[i], sizeof(fact[i])))
			continue;
		if (i)
			hv_why(note, note_len, 0, "engine %s, because %s", all[i]->name, fact[0]);
		else
			hv_why(note, note_len, 0,
			       "engine %s, which needs nothing of the host and can run this",
			       all[i]->name);
		return all[i];
	}
	hv_why(why, why_len, 0, "no engine can run this here: %s; and %s", fact[0], fact[1]);
	return NULL;
}

const struct hv_engine *engines_choose(const char *name, const struct guest *const *guest,
                                       unsigned nr, char *note, size_t note_len, char *why,
                                       size_t why_len)
{
	const struct hv_engine *e = find(name);
	char fact[512] = "";

	if (!e)
		return choose_best(guest, nr, note, note_len, why, why_len);
	hv_why(note, note_len, 0, "engine %s, as asked for", e->name);
	if (e->probe(fact, sizeof(fact))) {
		hv_why(why, why_len, 0, "%s", fact);
		return NULL;
	}
	return e;
}
