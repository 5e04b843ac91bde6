/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a new PV domain lies; see layout.h for the picture.
 */
#include <errno.h>
#include <string.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/layout.h"

#define SPARE_PAGES     (512 * 1024 / HV_PAGE_SIZE) /* behind the boot stack, at least */
#define END_MASK        ((UINT64_C(4) << 20) - 1)   /* the mapping ends at a multiple of this */
#define CANONICAL_LO    (UINT64_C(1) << 47)         /* first address above the lower half */
#define PAGES_OF(bytes) (((bytes) >> HV_PAGE_SHIFT) + (((bytes) & (HV_PAGE_SIZE - 1)) != 0))

typedef unsigned long long ull;

struct planner {
	struct hv_layout *l;
	const struct hv_image *img;
	uint64_t nr_pages; /* of the domain */
	uint64_t next;     /* next free pfn */
	char *why;
	size_t why_len;
};

static uint64_t mib(uint64_t pages)
{
	return (pages >> 8) + ((pages & 255) != 0);
}

static int too_small(struct planner *p, uint64_t pages)
{
	return hv_why(p->why, p->why_len, -ENOMEM,
	              "needs at least %llu MiB of memory and the domain has %llu; give more with "
	              "--memory",
	              (ull)mib(pages), (ull)mib(p->nr_pages));
}

/* Takes pages pfns in a row; `mapped` ones appear at their place in the initial mapping. */
static int take(struct planner *p, struct hv_layout_run *run, uint64_t pages, bool mapped)
{
	if (pages > p->nr_pages - p->next)
		return too_small(p, pages < UINT64_MAX - p->next ? p->next + pages : UINT64_MAX);
	run->pfn = p->next;
	run->pages = pages;
	run->va = mapped ? p->img->virt_base + (p->next << HV_PAGE_SHIFT) : HV_IMAGE_UNSET;
	p->next += pages;
	return 0;
}

static int take_page(struct planner *p, pfn_t *pfn)
{
	struct hv_layout_run run;
	int rc = take(p, &run, 1, true);

	if (!rc)
		pfn->n = run.pfn;
	return rc;
}

static unsigned block_shift(unsigned level)
{
	return HV_PAGE_SHIFT + 9 * level;
}

/*
 * Which tables a range needs that no earlier range brings: a later range lies below the first one,
 * so that they can only share the table of its last block. Tables are numbered from tables_pfn on.
 */
static void count_tables(const struct hv_layout *l, struct hv_layout_map *m, bool with_root)
{
	uint64_t last = m->va + (m->pages << HV_PAGE_SHIFT) - 1;
	uint64_t pfn = m->tables_pfn + with_root;

	for (unsigned level = 3; level >= 1; level--) {
		uint64_t lo = m->va >> block_shift(level), hi = last >> block_shift(level);

		m->level[level].first = lo;
		m->level[level].count = hi - lo + 1;
		m->level[level].pfn = pfn;
		if (l->nr_maps && l->map[0].level[level].first <= hi)
			m->level[level].count--;
		pfn += m->level[level].count;
	}
	m->tables = pfn - m->tables_pfn;
}

/* Checks a range of addresses against the halves of the address space and the hypervisor's part. */
static int check_range(struct planner *p, uint64_t va, uint64_t end)
{
	if (end > va && (end <= CANONICAL_LO || va >= __HYPERVISOR_VIRT_END))
		return 0;
	return hv_why(p->why, p->why_len, -EINVAL,
	              "needs the addresses 0x%llx to 0x%llx, which no guest can have; link it "
	              "below 0x%llx, or at 0x%llx or above",
	              (ull)va, (ull)end, (ull)CANONICAL_LO, (ull)__HYPERVISOR_VIRT_END);
}

/* Page tables, boot stack and spare space: how many tables there are depends on where it ends. */
static int take_tables(struct planner *p)
{
	struct hv_layout *l = p->l;
	struct hv_layout_map *m = &l->map[0];
	uint64_t base = p->img->virt_base, here = base + (p->next << HV_PAGE_SHIFT);
	uint64_t extra = SPARE_PAGES + 1, pages = extra, last;
	int rc;

	m->va = base;
	m->pfn = 0;
	m->tables_pfn = p->next;
	do {
		last = (here + (pages << HV_PAGE_SHIFT)) | END_MASK;
		rc = check_range(p, base, last + 1);
		if (rc)
			return rc;
		m->pages = (last - base + 1) >> HV_PAGE_SHIFT;
		count_tables(l, m, true);
		pages = m->tables + extra;
	} while (here + (pages << HV_PAGE_SHIFT) > last + 1);
	if (m->pages > p->nr_pages)
		return too_small(p, m->pages);
	l->nr_maps = 1;
	l->virt_end = last + 1;
	l->root.n = p->next;
	rc = take(p, &l->tables, m->tables, true);
	if (!rc)
		rc = take(p, &l->stack, 1, true);
	if (!rc)
		p->next = m->pages;
	return rc;
}

/* The p2m where INIT_P2M wants it: behind all that is mapped, its own tables behind it. */
static int take_p2m_apart(struct planner *p, uint64_t pages)
{
	struct hv_layout *l = p->l;
	struct hv_layout_map *m = &l->map[1];
	struct hv_layout_run tables;
	uint64_t end = p->img->init_p2m + (pages << HV_PAGE_SHIFT);
	int rc = check_range(p, p->img->init_p2m, end);

	if (rc)
		return rc;
	if (end > l->virt_base)
		return hv_why(p->why, p->why_len, -EINVAL,
		              "wants its p2m list at 0x%llx (INIT_P2M), where its %llu pages run "
		              "into VIRT_BASE (0x%llx); correct the note or give less memory",
		              (ull)p->img->init_p2m, (ull)pages, (ull)l->virt_base);
	rc = take(p, &l->p2m, pages, false);
	if (rc)
		return rc;
	l->p2m.va = p->img->init_p2m;
	m->va = l->p2m.va;
	m->pages = pages;
	m->pfn = l->p2m.pfn;
	m->tables_pfn = p->next;
	count_tables(l, m, false);
	rc = take(p, &tables, m->tables, false);
	if (!rc)
		l->nr_maps = 2;
	return rc;
}

static int take_all(struct planner *p, uint64_t ramdisk_len)
{
	struct hv_layout *l = p->l;
	const struct hv_image *img = p->img;
	uint64_t p2m_pages = PAGES_OF(p->nr_pages * 8), ramdisk_pages = PAGES_OF(ramdisk_len);
	int rc;

	p->next = (img->kstart - img->virt_base) >> HV_PAGE_SHIFT;
	if (p->next > p->nr_pages)
		return too_small(p, p->next + PAGES_OF(img->kend - img->kstart));
	rc = take(p, &l->kernel, PAGES_OF(img->kend - img->kstart), true);
	if (!rc && ramdisk_pages && !img->mod_start_pfn)
		rc = take(p, &l->ramdisk, ramdisk_pages, true);
	if (!rc && !l->p2m_apart)
		rc = take(p, &l->p2m, p2m_pages, true);
	if (!rc)
		rc = take_page(p, &l->start_info);
	if (!rc)
		rc = take_page(p, &l->store);
	if (!rc)
		rc = take_page(p, &l->console);
	if (!rc)
		rc = take_tables(p);
	if (!rc && ramdisk_pages && img->mod_start_pfn)
		rc = take(p, &l->ramdisk, ramdisk_pages, false);
	if (!rc && l->p2m_apart)
		rc = take_p2m_apart(p, p2m_pages);
	l->pages_used = p->next;
	return rc;
}

int hv_layout_plan(struct hv_layout *l, const struct hv_image *img, uint64_t nr_pages,
                   uint64_t ramdisk_len, char *why, size_t why_len)
{
	struct planner p = { .l = l, .img = img, .nr_pages = nr_pages, .why = why };
	int rc;

	p.why_len = why_len;
	memset(l, 0, sizeof(*l));
	l->virt_base = img->virt_base;
	l->ramdisk.va = HV_IMAGE_UNSET;
	/* Without overlap with the mapping, a p2m of its own address is possible; as Xen judges. */
	l->p2m_apart = img->init_p2m != HV_IMAGE_UNSET && img->init_p2m < img->virt_base &&
	               !(img->init_p2m & (HV_PAGE_SIZE - 1));
	if (nr_pages > (UINT64_C(1) << 40))
		return hv_why(why, why_len, -EINVAL,
		              "cannot have more than 4 PiB of memory; give less with --memory");
	rc = check_range(&p, img->kstart, img->kend);
	if (!rc)
		rc = take_all(&p, ramdisk_len);
	l->ramdisk_len = img->mod_start_pfn ? l->ramdisk.pages << HV_PAGE_SHIFT : ramdisk_len;
	return rc;
}

pfn_t hv_layout_table(const struct hv_layout *l, unsigned level, uint64_t va)
{
	uint64_t block = va >> block_shift(level);
	const struct hv_layout_map *m = &l->map[0];

	if (block < m->level[level].first)
		m = &l->map[1];
	return (pfn_t){ m->level[level].pfn + (block - m->level[level].first) };
}

bool hv_layout_is_table(const struct hv_layout *l, uint64_t pfn)
{
	for (unsigned i = 0; i < l->nr_maps; i++) {
		if (pfn - l->map[i].tables_pfn < l->map[i].tables)
			return true;
	}
	return false;
}
