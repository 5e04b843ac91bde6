/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables, read as a processor does: four levels, pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * A table outside of the guest's memory reads as all ones bits on a PC's bus; here it is an entry that
 * is not present, which ends the same way for the guest: in a fault.
 */
#include "hypervisor-stub/fullvirt/ring3.h"

static uint64_t *table_at(const struct fv_mem *mem, uint64_t gpa)
{
	return fv_is_ram(mem, gpa) ? (uint64_t *)(void *)(mem->ram + gpa) : NULL;
}

void fv_walk(const struct fv_paging *p, uint64_t va, struct fv_walk *w)
{
	uint64_t table = p->cr3 & PTE_ADDR;

	*w = (struct fv_walk){ .w = true, .u = true, .x = true };
	for (unsigned level = 4; level >= 1; level--) {
		const uint64_t *t = table_at(p->mem, table);
		unsigned shift = FV_PAGE_SHIFT + 9 * (level - 1);
		uint64_t e;

		w->level = level;
		if (!t)
			return;
		w->table[level] = table;
		w->index[level] = (uint16_t)(va >> shift & 511);
		e = __atomic_load_n(&t[w->index[level]], __ATOMIC_RELAXED);
		w->entry[level] = e;
		if (!(e & PTE_P))
			return;
		w->w = w->w && (e & PTE_W);
		w->u = w->u && (e & PTE_U);
		w->x = w->x && !(p->nx && (e & PTE_NX));
		if (level == 1 || (level < 4 && (e & PTE_PS))) {
			w->size = UINT64_C(1) << shift;
			w->gpa = (e & PTE_ADDR & ~(w->size - 1)) | (va & (w->size - 1));
			w->dirty = e & PTE_D;
			w->present = true;
			return;
		}
		table = e & PTE_ADDR;
	}
}

static void set_bits(const struct fv_paging *p, struct fv_walk *w, unsigned level, uint64_t bits)
{
	uint64_t *t = table_at(p->mem, w->table[level]);

	if ((w->entry[level] & bits) == bits)
		return;
	__atomic_fetch_or(&t[w->index[level]], bits, __ATOMIC_RELAXED);
	w->entry[level] |= bits;
}

bool fv_walk_allow(const struct fv_paging *p, struct fv_walk *w, unsigned access, uint32_t *pfec)
{
	bool user = access & FV_WALK_USER, write = access & FV_WALK_WRITE;

	*pfec = (w->present ? PFEC_P : 0) | (write ? PFEC_W : 0) | (user ? PFEC_U : 0) |
	        ((access & FV_WALK_FETCH) && p->nx ? PFEC_I : 0);
	if (!w->present || (user && !w->u) || (write && !w->w && (user || p->wp)) ||
	    ((access & FV_WALK_FETCH) && !w->x))
		return false;
	for (unsigned level = 4; level > w->level; level--)
		set_bits(p, w, level, PTE_A);
	set_bits(p, w, w->level, PTE_A | (write ? PTE_D : 0));
	w->dirty = w->entry[w->level] & PTE_D;
	return true;
}
