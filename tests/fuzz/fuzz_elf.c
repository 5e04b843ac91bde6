/* SPDX-License-Identifier: MIT */
/*
 * Kernel images out of noise: whatever the bytes are, reading and placing them stays inside of them,
 * and an image that was accepted agrees with itself.
 */
#include <stdint.h>
#include <stdlib.h>

#include "hypervisor-stub/core/layout.h"

int fuzz_elf(const uint8_t *data, size_t len);

/* What build.c relies on. */
static void check(const struct hv_image *img, const struct hv_layout *l, uint64_t nr_pages)
{
	HV_ASSERT(img->kstart <= img->entry && img->entry < img->kend);
	HV_ASSERT(l->pages_used <= nr_pages && l->virt_end > img->virt_base);
	if (img->symtab.va != HV_IMAGE_UNSET) {
		const struct hv_image_symtab *t = &img->symtab;

		HV_ASSERT(t->va >= img->kstart && t->strings_va + t->strings.sh_size <= img->kend);
		HV_ASSERT(hv_elf_bytes(&img->elf, t->symbols.sh_offset, t->symbols.sh_size));
		HV_ASSERT(hv_elf_bytes(&img->elf, t->strings.sh_offset, t->strings.sh_size));
	}
	for (unsigned i = 0; i < img->nr_segments; i++) {
		const struct hv_image_segment *s = &img->segment[i];

		HV_ASSERT(hv_elf_bytes(&img->elf, s->offset, s->filesz));
		HV_ASSERT(s->va >= img->kstart && s->memsz <= img->kend - s->va);
		HV_ASSERT(((s->va + s->memsz - img->virt_base) >> HV_PAGE_SHIFT) <= nr_pages);
	}
	for (unsigned k = 0; k < l->nr_maps; k++) {
		const struct hv_layout_map *m = &l->map[k];

		HV_ASSERT(m->pfn + m->pages <= nr_pages && m->tables_pfn + m->tables <= nr_pages);
		for (unsigned level = 1; level <= 3; level++) {
			uint64_t last = m->va + (m->pages << HV_PAGE_SHIFT) - 1;

			HV_ASSERT(hv_layout_is_table(l, hv_layout_table(l, level, m->va).n));
			HV_ASSERT(hv_layout_is_table(l, hv_layout_table(l, level, last).n));
		}
	}
}

int fuzz_elf(const uint8_t *data, size_t len)
{
	struct hv_image *img = malloc(sizeof(*img));
	struct hv_layout l;
	char why[512];
	uint64_t ramdisk = len > 64 ? data[63] * UINT64_C(5000) : 0;

	if (img && !hv_image_parse(img, data, len, why, sizeof(why)) &&
	    !hv_layout_plan(&l, img, 32768, ramdisk, why, sizeof(why)))
		check(img, &l, 32768);
	free(img);
	return 0;
}
