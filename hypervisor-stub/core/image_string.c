/* SPDX-License-Identifier: MIT */
/*
 * Reads the string of the section __xen_guest, pair by pair. Nothing beyond the section is looked at.
 */
#include <string.h>

#include "abi/elfnote.h"
#include "hypervisor-stub/core/image_string.h"

static const struct {
	const char *name;
	int type;
	bool is_page;
} names[] = {
	{ "LOADER", XEN_ELFNOTE_LOADER, false },
	{ "GUEST_OS", XEN_ELFNOTE_GUEST_OS, false },
	{ "GUEST_VER", XEN_ELFNOTE_GUEST_VERSION, false },
	{ "XEN_VER", XEN_ELFNOTE_XEN_VERSION, false },
	{ "FEATURES", XEN_ELFNOTE_FEATURES, false },
	{ "BSD_SYMTAB", XEN_ELFNOTE_BSD_SYMTAB, false },
	{ "VIRT_BASE", XEN_ELFNOTE_VIRT_BASE, false },
	{ "VIRT_ENTRY", XEN_ELFNOTE_ENTRY, false },
	{ "ELF_PADDR_OFFSET", XEN_ELFNOTE_PADDR_OFFSET, false },
	{ "HYPERCALL_PAGE", XEN_ELFNOTE_HYPERCALL_PAGE, true },
};

/* Copies until one of the two ends, a comma, a 0 or the section's end; true when it was `end`. */
static bool take(const uint8_t *s, size_t len, size_t *pos, char end, char *out, size_t size)
{
	size_t n = 0;

	while (*pos < len && s[*pos] && s[*pos] != ',' && s[*pos] != end) {
		if (n < size - 1)
			out[n++] = (char)s[*pos];
		++*pos;
	}
	out[n] = 0;
	if (*pos >= len || !s[*pos])
		return false;
	return s[(*pos)++] == end;
}

bool hv_image_pair_next(const uint8_t *s, size_t len, size_t *pos, struct hv_image_pair *pair)
{
	if (*pos >= len || !s[*pos])
		return false;
	pair->value[0] = 0;
	if (take(s, len, pos, '=', pair->name, sizeof(pair->name)))
		take(s, len, pos, ',', pair->value, sizeof(pair->value));
	return true;
}

int hv_image_pair_type(const struct hv_image_pair *pair, bool *is_page)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(pair->name, names[i].name))
			continue;
		*is_page = names[i].is_page;
		return names[i].type;
	}
	return -1;
}
