/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory, and its devices' registers, by virtual address through the guest's tables.
 *
 * Invariant: an access that reaches two pages has both translated, and both allowed, before anything is
 * touched; what is no memory goes to the bus, in pieces that it takes.
 */
#include <string.h>

#include "hypervisor-stub/fullvirt/ring3.h"

/* Guest-physical address of va; false with *pfec. */
bool fv_translate(struct fv_cpu *c, uint64_t va, unsigned access, uint64_t *gpa, uint32_t *pfec)
{
	struct fv_paging p = fv_paging(c);
	struct fv_walk w;

	if (!(c->cr0 & CR0_PG) || (c->in_patch && va >= FV_AREA && va < FV_AREA_END)) {
		*gpa = va;
		return true;
	}
	fv_walk(&p, va, &w);
	if (!fv_walk_allow(&p, &w, access, pfec))
		return false;
	*gpa = w.gpa;
	return true;
}

/* Memory, or while a patch is carried out what the patches are made of. */
static bool is_memory(const struct fv_cpu *c, uint64_t gpa)
{
	return fv_is_ram(&c->mem, gpa) || (c->in_patch && gpa >= FV_AREA && gpa < FV_AREA_END);
}

static void read_gpa(struct fv_cpu *c, uint64_t gpa, uint8_t *buf, unsigned len)
{
	if (is_memory(c, gpa)) {
		memcpy(buf, c->mem.ram + gpa, len);
		return;
	}
	while (len) {
		unsigned n = len >= 4 && gpa % 4 == 0 ? 4 : len >= 2 && gpa % 2 == 0 ? 2 : 1;
		uint64_t value = ~UINT64_C(0);

		if (fv_mmio_read(c->m->bus, gpa, n, &value))
			fv_count(c->m, FV_EXIT_MMIO);
		memcpy(buf, &value, n);
		buf += n;
		gpa += n;
		len -= n;
	}
}

static void write_gpa(struct fv_cpu *c, uint64_t gpa, const uint8_t *buf, unsigned len)
{
	if (is_memory(c, gpa)) {
		if (fv_code_at_gpa(c, gpa))
			fv_code_drop_gpa(c, gpa);
		memcpy(c->mem.ram + gpa, buf, len);
		return;
	}
	while (len) {
		unsigned n = len >= 4 && gpa % 4 == 0 ? 4 : len >= 2 && gpa % 2 == 0 ? 2 : 1;
		uint64_t value = 0;

		memcpy(&value, buf, n);
		if (fv_mmio_write(c->m->bus, gpa, n, value))
			fv_count(c->m, FV_EXIT_MMIO);
		buf += n;
		gpa += n;
		len -= n;
	}
}

/* An access in at most two pages: both are translated before anything is touched. */
struct pieces {
	uint64_t gpa[2];
	unsigned len[2], nr;
};

static bool find(struct fv_cpu *c, uint64_t va, unsigned len, unsigned access, struct pieces *p,
                 uint64_t *bad, uint32_t *pfec)
{
	unsigned first = FV_PAGE - (unsigned)(va % FV_PAGE);

	p->nr = len > first ? 2 : 1;
	p->len[0] = p->nr == 2 ? first : len;
	p->len[1] = len - p->len[0];
	for (unsigned i = 0; i < p->nr; i++) {
		uint64_t at = i ? va + first : va;

		if (!c->is_long && !(c->efer & EFER_LMA))
			at &= 0xffffffff;
		*bad = at;
		if (!fv_translate(c, at, access, &p->gpa[i], pfec))
			return false;
	}
	return true;
}

bool fv_read_va(struct fv_cpu *c, uint64_t va, void *buf, unsigned len, unsigned access,
                uint64_t *bad, uint32_t *pfec)
{
	struct pieces p;

	if (!find(c, va, len, access, &p, bad, pfec))
		return false;
	read_gpa(c, p.gpa[0], buf, p.len[0]);
	if (p.nr == 2)
		read_gpa(c, p.gpa[1], (uint8_t *)buf + p.len[0], p.len[1]);
	return true;
}

bool fv_write_va(struct fv_cpu *c, uint64_t va, const void *buf, unsigned len, unsigned access,
                 uint64_t *bad, uint32_t *pfec)
{
	struct pieces p;

	if (!find(c, va, len, access | FV_WALK_WRITE, &p, bad, pfec))
		return false;
	write_gpa(c, p.gpa[0], buf, p.len[0]);
	if (p.nr == 2)
		write_gpa(c, p.gpa[1], (const uint8_t *)buf + p.len[0], p.len[1]);
	return true;
}
