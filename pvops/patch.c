/* SPDX-License-Identifier: MIT */
/*
 * Rewriting call sites. See patch.h for what a site is.
 *
 * The one place that writes code: a hypervisor that watches code pages is disturbed once.
 */
#include "pvops/patch.h"

#include <stdbool.h>

#include "abi/errno.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

#define SITE_MAX     32
#define INDIRECT_LEN 7 /* ff /2 or /4, SIB without base or index, 32-bit address */
#define DIRECT_LEN   5

/* What the compiler left there: call or jmp through one word of memory at a 32-bit address. */
static void indirect(uint8_t code[INDIRECT_LEN], bool is_jump, uint64_t word)
{
	uint32_t at = (uint32_t)word;

	code[0] = 0xff;
	code[1] = is_jump ? 0x24 : 0x14;
	code[2] = 0x25;
	memcpy(&code[3], &at, sizeof(at));
}

/*
 * One long instruction after the other: prefixes, 0f 1f, an address that nobody looks at (Intel SDM
 * vol. 2, NOP; AMD64 manual vol. 3). A jump over them would cost an emulator more.
 */
static void fill_nops(uint8_t *at, size_t len)
{
	static const uint8_t longest[] = { 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 };
	static const uint8_t shorter[][8] = {
		{ 0x90 },
		{ 0x66, 0x90 },
		{ 0x0f, 0x1f, 0x00 },
		{ 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 },
	};
	size_t n;

	for (; len; at += n, len -= n) {
		n = len < sizeof(longest) ? len : sizeof(longest);
		if (n <= 8)
			memcpy(at, shorter[n - 1], n);
		else /* with fewer prefixes */
			memcpy(at, longest + sizeof(longest) - n, n);
	}
}

static const struct pv_patch_code *find_code(const struct pv_patch_set *set, uint16_t op)
{
	size_t i;

	for (i = 0; i < set->nr_codes; i++)
		if (set->codes[i].op == op)
			return &set->codes[i];
	return NULL;
}

/* The displacement from the end of its 4 bytes at `from` to `target`; false: too far. */
static bool displacement(const uint8_t *from, uint64_t target, int32_t *out)
{
	int64_t d = (int64_t)(target - (uintptr_t)(from + 4));

	*out = (int32_t)d;
	return *out == d;
}

/* The set's own code; returns its length, 0 when it does not fit. */
static size_t make_inline(uint8_t *to, const struct pv_patch_site *site,
                          const struct pv_patch_code *code)
{
	size_t len = (size_t)(code->end - code->start), at;
	int32_t d;

	if (len > site->len || site->is_jump)
		return 0;
	memcpy(to, code->start, len);
	if (!code->relative)
		return len;
	at = (size_t)(code->relative - code->start);
	memcpy(&d, code->relative, sizeof(d));
	if (!displacement(site->at + at, (uintptr_t)(code->relative + 4) + (uint64_t)(int64_t)d,
	                  &d))
		return 0;
	memcpy(to + at, &d, sizeof(d));
	return len;
}

static size_t make_direct(uint8_t *to, const struct pv_patch_site *site,
                          const struct pv_patch_set *set)
{
	uint64_t target;
	int32_t d;

	memcpy(&target, (const uint8_t *)set->table + site->op, sizeof(target));
	if (!target || !displacement(site->at + 1, target, &d))
		return 0;
	to[0] = site->is_jump ? 0xe9 : 0xe8;
	memcpy(to + 1, &d, sizeof(d));
	return DIRECT_LEN;
}

int pv_patch_one(const struct pv_patch_site *site, const struct pv_patch_set *set,
                 const void *table)
{
	const struct pv_patch_code *code = find_code(set, site->op);
	uint8_t was[INDIRECT_LEN], now[SITE_MAX];
	size_t len = 0;

	if (site->len < INDIRECT_LEN || site->len > SITE_MAX)
		return -XEN_EINVAL;
	indirect(was, site->is_jump, (uintptr_t)table + site->op);
	if (memcmp(site->at, was, INDIRECT_LEN))
		return -XEN_EINVAL;
	if (code)
		len = make_inline(now, site, code);
	if (!len)
		len = make_direct(now, site, set);
	if (!len)
		return -XEN_EINVAL;
	fill_nops(now + len, site->len - len);
	memcpy(site->at, now, site->len);
	return memcmp(site->at, now, site->len) ? -XEN_EINVAL : 0;
}

#ifndef PV_HOSTED_TEST

void pv_patch_apply(const struct pv_patch_set *set)
{
	const struct pv_patch_site *site;

	for (site = pv_patch_start; site < pv_patch_end; site++)
		if (pv_patch_one(site, set, &pv_ops))
			pv_panic("patch: the call site at 0x%lx cannot be rewritten",
			         (unsigned long)site->at);
}

#endif /* PV_HOSTED_TEST */
