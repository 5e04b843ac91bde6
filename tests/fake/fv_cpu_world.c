/* SPDX-License-Identifier: MIT */
/*
 * See fv_cpu_world.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fake/fv_cpu_world.h"

#define BYTES (WORLD_RAM + (uint64_t)FV_MAX_CODE * FV_PAGE)

static struct fv_cpu_world *world;
static int memory_fd;

static uint64_t entry_changed(struct hv_domain *d, const struct hv_entry_change *change)
{
	(void)d;
	world->drops++;
	world->last_va = change->va;
	world->last_len = change->len;
	return 1;
}

static const struct hv_engine engine = { .name = "fake", .entry_changed = entry_changed };

uint64_t *fv_cpu_world_entry(struct fv_cpu_world *w, uint64_t va)
{
	return (uint64_t *)(void *)(w->ram + WORLD_CR3 + 3 * FV_PAGE) + va / FV_PAGE % 512;
}

static void make_tables(struct fv_cpu_world *w)
{
	for (unsigned level = 4; level > 1; level--) {
		uint64_t at = WORLD_CR3 + (4 - level) * FV_PAGE;

		*(uint64_t *)(void *)(w->ram + at) = (at + FV_PAGE) | PTE_P | PTE_W | PTE_U;
	}
	for (uint64_t va = 0; va < 512 * FV_PAGE; va += FV_PAGE)
		*fv_cpu_world_entry(w, va) = va | PTE_P | PTE_W;
}

void fv_cpu_world_init(struct fv_cpu_world *w)
{
	struct fv_cpu *c = calloc(1, sizeof(*c));

	*w = (struct fv_cpu_world){ .c = c };
	world = w;
	memory_fd = memfd_create("fv_cpu_world", MFD_CLOEXEC);
	if (!c || memory_fd < 0 || ftruncate(memory_fd, BYTES))
		abort();
	w->ram = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	c->m = calloc(1, sizeof(*c->m));
	c->hv = calloc(1, sizeof(*c->hv));
	c->d = calloc(1, sizeof(*c->d));
	c->v = calloc(1, sizeof(*c->v));
	if (w->ram == MAP_FAILED || !c->m || !c->hv || !c->d || !c->v)
		abort();
	c->hv->engine = &engine;
	pthread_mutex_init(&c->d->lock, NULL);
	c->mem = (struct fv_mem){ w->ram, WORLD_RAM };
	c->page = (void *)(w->ram + FV_AREA);
	c->cr0 = CR0_PE | CR0_PG | CR0_WP;
	c->efer = EFER_LMA | EFER_NXE;
	c->cr3 = WORLD_CR3;
	c->is_long = true;
	c->patches_on = true;
	c->patch_at = FV_PATCHES;
	make_tables(w);
	if (fv_code_init(c))
		abort();
}

void fv_cpu_world_fini(struct fv_cpu_world *w)
{
	struct fv_cpu *c = w->c;

	fv_code_fini(c);
	munmap(w->ram, BYTES);
	close(memory_fd);
	pthread_mutex_destroy(&c->d->lock);
	free(c->v);
	free(c->d);
	free(c->hv);
	free(c->m);
	free(c);
}

static bool show(uint64_t at, uint64_t len, int prot, uint64_t offset)
{
	void *want = (void *)(uintptr_t)at;
	void *got = mmap(want, len, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, memory_fd,
	                 (off_t)offset);

	if (got == want)
		return true;
	if (got != MAP_FAILED)
		munmap(got, len);
	return false;
}

bool fv_cpu_world_show(struct fv_cpu_world *w, const struct fv_code *code)
{
	uint64_t copy = (uint64_t)(fv_code_copy(w->c, code) - w->ram);

	if (!show(FV_AREA, FV_AREA_END - FV_AREA, PROT_READ | PROT_WRITE | PROT_EXEC, FV_AREA))
		return false;
	if (show(code->va, FV_PAGE, PROT_READ | PROT_EXEC, copy))
		return true;
	munmap((void *)(uintptr_t)FV_AREA, FV_AREA_END - FV_AREA);
	return false;
}

void fv_cpu_world_hide(struct fv_cpu_world *w, const struct fv_code *code)
{
	(void)w;
	munmap((void *)(uintptr_t)FV_AREA, FV_AREA_END - FV_AREA);
	munmap((void *)(uintptr_t)code->va, FV_PAGE);
}
