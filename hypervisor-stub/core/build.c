/* SPDX-License-Identifier: MIT */
/*
 * The domain builder: a kernel image becomes a domain that is ready to start, laid out as Xen does.
 *
 * Parts, in the order in which they run: the image is parsed (image.c) and placed (layout.c); then
 * its pages are filled: kernel, ramdisk, p2m list, start_info, page tables; last the tables are
 * validated and pinned like any guest's (mmu.h), and vCPU 0 gets its registers.
 *
 * Invariant: nothing of the domain is written before the whole plan is known to fit. The domain is
 * fresh (all its memory is zero) and no vCPU of it runs, so that nobody sees a half-built page.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "abi/io/console.h"
#include "abi/io/xs_wire.h"
#include "hypervisor-stub/core/build.h"
#include "hypervisor-stub/core/layout.h"
#include "hypervisor-stub/core/mmu.h"

#define PTE_P UINT64_C(0x001)
#define PTE_W UINT64_C(0x002)
#define PTE_U UINT64_C(0x004)
#define PTE_A UINT64_C(0x020)
#define PTE_D UINT64_C(0x040)

/* Rights of the initial tables, as Xen's builder gives them; validation adds what is implied. */
#define L1_FLAGS    (PTE_P | PTE_W | PTE_A)
#define L2_FLAGS    (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

#define DR6_DEFAULT 0xffff0ff0u
#define DR7_DEFAULT 0x00000400u

struct builder {
	struct hv_domain *d;
	const struct hv_build_request *rq;
	struct hv_image img;
	struct hv_layout l;
	uint64_t nr_pages;
	char *why;
	size_t why_len;
};

/* ---- pages of the new domain ---------------------------------------------------------------- */

/* A fresh domain's frames are in one run (frames.h): pfn 0 is the first of them. */
static mfn_t frame_of(const struct builder *b, uint64_t pfn)
{
	return (mfn_t){ b->d->mem.first.n + pfn };
}

/* Our view of a page of the plan; the plan has made sure that it is there. */
static uint8_t *page(struct builder *b, uint64_t pfn)
{
	uint8_t *p;

	HV_ASSERT(pfn < b->nr_pages);
	p = hv_frame_ptr(b->d, frame_of(b, pfn));
	HV_ASSERT(p != NULL);
	return p;
}

/* Copies bytes to a place given by pfn and offset; pages in a row need not be frames in a row. */
static void put(struct builder *b, uint64_t pfn, uint64_t off, const void *src, uint64_t len)
{
	const uint8_t *from = src;

	pfn += off >> HV_PAGE_SHIFT;
	off &= HV_PAGE_SIZE - 1;
	while (len) {
		uint64_t n = HV_PAGE_SIZE - off < len ? HV_PAGE_SIZE - off : len;

		memcpy(page(b, pfn) + off, from, n);
		from += n;
		len -= n;
		off = 0;
		pfn++;
	}
}

/* Tells the machine-to-physical table what the domain's frames are. */
static void number_frames(struct builder *b)
{
	for (uint64_t pfn = 0; pfn < b->nr_pages; pfn++)
		hv_m2p_set(b->d->machine, frame_of(b, pfn), pfn);
}

/* ---- contents ------------------------------------------------------------------------------- */

static void load_kernel(struct builder *b)
{
	for (unsigned i = 0; i < b->img.nr_segments; i++) {
		const struct hv_image_segment *s = &b->img.segment[i];
		const uint8_t *src = hv_elf_bytes(&b->img.elf, s->offset, s->filesz);

		HV_ASSERT(src != NULL);
		put(b, 0, s->va - b->img.virt_base, src, s->filesz);
	}
}

/* The symbol table that the note BSD_SYMTAB asks for. */
static void load_symtab(struct builder *b)
{
	const struct hv_image_symtab *t = &b->img.symtab;
	const struct hv_elf *f = &b->img.elf;
	uint64_t base = b->img.virt_base;
	uint8_t header[HV_SYMTAB_HEADER];

	if (t->va == HV_IMAGE_UNSET)
		return;
	hv_image_symtab_header(&b->img, header);
	put(b, 0, t->va - base, header, sizeof(header));
	put(b, 0, t->symbols_va - base, hv_elf_bytes(f, t->symbols.sh_offset, t->symbols.sh_size),
	    t->symbols.sh_size);
	put(b, 0, t->strings_va - base, hv_elf_bytes(f, t->strings.sh_offset, t->strings.sh_size),
	    t->strings.sh_size);
}

static void write_p2m(struct builder *b)
{
	uint64_t per_page = HV_PAGE_SIZE / sizeof(uint64_t);

	for (uint64_t i = 0; i < b->nr_pages; i += per_page) {
		uint64_t *out = (uint64_t *)page(b, b->l.p2m.pfn + i / per_page);

		for (uint64_t j = 0; j < per_page && i + j < b->nr_pages; j++)
			out[j] = frame_of(b, i + j).n;
	}
}

static uint64_t entry_for(struct builder *b, uint64_t pfn, uint64_t flags)
{
	return frame_of(b, pfn).n << HV_PAGE_SHIFT | flags;
}

static void set_entry(struct builder *b, pfn_t table, uint64_t index, uint64_t entry)
{
	((uint64_t *)page(b, table.n))[index & 511] = entry;
}

/* Links the tables that one map brought into those above them. */
static void link_tables(struct builder *b, const struct hv_layout_map *m)
{
	for (unsigned level = 1; level <= 3; level++) {
		for (uint64_t i = 0; i < m->level[level].count; i++) {
			uint64_t block = m->level[level].first + i;
			uint64_t va = block << (HV_PAGE_SHIFT + 9 * level);
			pfn_t above = level == 3 ? b->l.root
			                         : hv_layout_table(&b->l, level + 1, va);

			set_entry(b, above, block, entry_for(b, m->level[level].pfn + i, L2_FLAGS));
		}
	}
}

static void write_tables(struct builder *b)
{
	for (unsigned k = 0; k < b->l.nr_maps; k++) {
		const struct hv_layout_map *m = &b->l.map[k];

		link_tables(b, m);
		for (uint64_t i = 0; i < m->pages; i++) {
			uint64_t va = m->va + (i << HV_PAGE_SHIFT), flags = L1_FLAGS;

			if (hv_layout_is_table(&b->l, m->pfn + i))
				flags &= ~PTE_W;
			set_entry(b, hv_layout_table(&b->l, 1, va), va >> HV_PAGE_SHIFT,
			          entry_for(b, m->pfn + i, flags));
		}
	}
}

static uint64_t va_of(const struct builder *b, pfn_t pfn)
{
	return b->l.virt_base + (pfn.n << HV_PAGE_SHIFT);
}

static void write_start_info(struct builder *b)
{
	struct start_info *si = (struct start_info *)page(b, b->l.start_info.n);
	const struct hv_layout *l = &b->l;

	snprintf(si->magic, sizeof(si->magic), "xen-3.0-x86_64");
	si->nr_pages = b->nr_pages;
	si->shared_info = b->d->shared_info_mfn.n << HV_PAGE_SHIFT;
	si->store_mfn = frame_of(b, l->store.n).n;
	si->store_evtchn = b->rq->store_port;
	si->console.domU.mfn = frame_of(b, l->console.n).n;
	si->console.domU.evtchn = b->rq->console_port;
	si->pt_base = l->tables.va;
	si->nr_pt_frames = l->tables.pages;
	si->mfn_list = l->p2m.va;
	if (l->p2m_apart) {
		si->first_p2m_pfn = l->p2m.pfn;
		si->nr_p2m_frames = l->pages_used - l->p2m.pfn;
	}
	if (l->ramdisk.pages) {
		bool mapped = l->ramdisk.va != HV_IMAGE_UNSET;

		si->flags |= mapped ? 0 : SIF_MOD_START_PFN;
		si->mod_start = mapped ? l->ramdisk.va : l->ramdisk.pfn;
		si->mod_len = l->ramdisk_len;
	}
	if (b->rq->cmdline)
		snprintf((char *)si->cmd_line, sizeof(si->cmd_line), "%s", b->rq->cmdline);
}

static void fill_hypercall_page(struct builder *b)
{
	uint64_t pfn = (b->img.hypercall_page - b->img.virt_base) >> HV_PAGE_SHIFT;

	if (b->img.hypercall_page != HV_IMAGE_UNSET)
		b->d->machine->engine->fill_hypercall_page(b->d, page(b, pfn));
}

/* ---- vCPU 0 --------------------------------------------------------------------------------- */

static void set_registers(struct builder *b)
{
	struct hv_vcpu *v = b->d->vcpu[0];

	memset(&v->regs, 0, sizeof(v->regs));
	v->regs.rip = b->img.entry;
	v->regs.rsp = b->l.stack.va + HV_PAGE_SIZE;
	v->regs.rsi = va_of(b, b->l.start_info);
	v->regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
	v->traps.kernel_ss = FLAT_KERNEL_SS;
	v->traps.kernel_sp = v->regs.rsp;
	v->traps.dr[6] = DR6_DEFAULT;
	v->traps.dr[7] = DR7_DEFAULT;
	v->in_kernel = true;
}

/* Pins the tables, as a guest would by MMUEXT_PIN_L4_TABLE, and makes them vCPU 0's. */
static int adopt_tables(struct builder *b)
{
	mfn_t root = frame_of(b, b->l.root.n);
	int rc = hv_type_get(b->d, root, HV_TYPE_L4);

	if (rc)
		return rc;
	hv_frame_get(b->d->machine, root)->pinned = true;
	return hv_vcpu_set_root(b->d->vcpu[0], root);
}

static void mask_events(struct hv_domain *d)
{
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		d->shared_info->vcpu_info[i].evtchn_upcall_mask = 1;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Whether the engine can use the addresses of the initial mapping that the image needs. */
static int ask_engine(struct builder *b, const struct hv_engine *e)
{
	int rc = e->check_range(b->img.kstart, b->l.virt_end, b->why, b->why_len);

	if (!rc && b->l.p2m_apart)
		rc = e->check_range(b->l.p2m.va, b->l.p2m.va + (b->l.p2m.pages << HV_PAGE_SHIFT),
		                    b->why, b->why_len);
	return rc;
}

static int plan(struct builder *b)
{
	const struct hv_build_request *rq = b->rq;
	int rc = hv_image_parse(&b->img, rq->kernel, rq->kernel_len, b->why, b->why_len);

	if (!rc)
		rc = hv_layout_plan(&b->l, &b->img, b->nr_pages, rq->ramdisk_len, b->why,
		                    b->why_len);
	if (!rc)
		rc = ask_engine(b, b->d->machine->engine);
	return rc;
}

static int fill(struct builder *b)
{
	int rc;

	number_frames(b);
	load_kernel(b);
	load_symtab(b);
	if (b->l.ramdisk.pages)
		put(b, b->l.ramdisk.pfn, 0, b->rq->ramdisk, b->rq->ramdisk_len);
	write_p2m(b);
	write_start_info(b);
	write_tables(b);
	fill_hypercall_page(b);
	mask_events(b->d);
	set_registers(b);
	rc = adopt_tables(b);
	if (rc)
		return hv_why(b->why, b->why_len, rc,
		              "cannot be loaded: its page tables were refused (%d)", rc);
	return 0;
}

int hv_build_pv(struct hv_domain *d, const struct hv_build_request *rq, struct hv_built *out,
                char *why, size_t why_len)
{
	struct builder *b = calloc(1, sizeof(*b));
	char fact[512] = "";
	int rc;

	if (!b)
		return hv_why(why, why_len, -ENOMEM, "%s: out of memory", rq->kernel_name);
	b->d = d;
	b->rq = rq;
	b->why = fact;
	b->why_len = sizeof(fact);
	hv_domain_lock(d);
	b->nr_pages = d->mem.tot_pages;
	rc = plan(b);
	if (!rc)
		rc = fill(b);
	if (!rc) {
		out->console_pfn = b->l.console;
		out->store_pfn = b->l.store;
		out->console_mfn = frame_of(b, b->l.console.n);
		out->store_mfn = frame_of(b, b->l.store.n);
		d->vcpu[0]->is_initialised = true;
	}
	hv_domain_unlock(d);
	if (rc)
		hv_why(why, why_len, rc, "%s %s", rq->kernel_name, fact);
	free(b);
	return rc;
}

int hv_build_fits(const struct hv_engine *e, const struct hv_build_request *rq, uint64_t nr_pages,
                  char *why, size_t why_len)
{
	struct builder *b = calloc(1, sizeof(*b));
	char fact[512] = "";
	int rc = 0;

	if (!b)
		return hv_why(why, why_len, -ENOMEM, "%s: out of memory", rq->kernel_name);
	b->why = fact;
	b->why_len = sizeof(fact);
	if (!hv_image_parse(&b->img, rq->kernel, rq->kernel_len, fact, sizeof(fact)) &&
	    !hv_layout_plan(&b->l, &b->img, nr_pages, rq->ramdisk_len, fact, sizeof(fact)))
		rc = ask_engine(b, e);
	if (rc)
		hv_why(why, why_len, rc, "%s %s", rq->kernel_name, fact);
	free(b);
	return rc;
}
