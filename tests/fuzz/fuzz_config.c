/* SPDX-License-Identifier: MIT */
/*
 * Configuration files out of noise. Whatever the bytes are: nothing is read beyond them, what comes
 * out fits the bounds that everybody after relies on, and a refusal is one sentence that can be shown.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/toolstack/config.h"

int fuzz_config(const uint8_t *data, size_t len);

static void is_shown(const char *text)
{
	HV_ASSERT(*text);
	for (; *text; text++)
		HV_ASSERT(*text >= ' ' && *text <= '~');
}

static void on_warning(void *arg, const char *sentence)
{
	unsigned *nr = arg;

	is_shown(sentence);
	HV_ASSERT(++*nr <= CONFIG_MAX_WARNINGS + 1);
}

static void is_sound(const struct guest_config *g)
{
	HV_ASSERT(g->kernel && *g->kernel);
	HV_ASSERT(!g->name || options_is_name(g->name));
	HV_ASSERT(!g->ramdisk || *g->ramdisk);
	HV_ASSERT(!g->cmdline || strlen(g->cmdline) < MAX_GUEST_CMDLINE);
	HV_ASSERT(g->memory && g->memory <= UINT64_C(1) << 40);
	HV_ASSERT(!g->max_memory ||
	          (g->max_memory >= g->memory && g->max_memory <= UINT64_C(1) << 40));
	HV_ASSERT(g->vcpus >= 1 && g->vcpus <= HV_MAX_VCPUS);
	HV_ASSERT(!g->max_vcpus || (g->max_vcpus >= g->vcpus && g->max_vcpus <= HV_MAX_VCPUS));
	HV_ASSERT(g->cpu_weight <= OPTIONS_MAX_WEIGHT && g->cpu_cap <= OPTIONS_MAX_CAP);
}

int fuzz_config(const uint8_t *data, size_t len)
{
	char why[1024] = "", *copy = malloc(len ? len : 1);
	unsigned warnings = 0;
	struct config c;

	/* In a block of its own: a sanitizer sees who reads beyond it. */
	HV_ASSERT(copy != NULL);
	if (len)
		memcpy(copy, data, len);
	if (config_parse(&c, "f.cfg", copy, len, on_warning, &warnings, why, sizeof(why))) {
		is_shown(why);
		HV_ASSERT(!c.strings);
	} else {
		/* The text is not needed any more. */
		memset(copy, 0x5a, len);
		is_sound(&c.guest);
		config_free(&c);
	}
	free(copy);
	return 0;
}
