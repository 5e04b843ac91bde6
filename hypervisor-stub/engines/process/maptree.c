/* SPDX-License-Identifier: MIT */
/*
 * Disjoint runs of pages in a treap: a search tree by address that is also a heap by a random
 * priority, which keeps it flat without any balancing code.
 */
#include "hypervisor-stub/engines/process/maptree.h"

#include <stdlib.h>

static uint32_t next_priority(struct pe_maptree *t)
{
	/* xorshift; any odd beginning will do, nothing but the depth of the tree depends on it */
	uint32_t x = t->seed ? t->seed : 0x9e3779b9;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	t->seed = x;
	return x;
}

/* Runs that start below key go to *low, the others to *high. */
static void split(struct pe_maprun *t, uint64_t key, struct pe_maprun **low,
                  struct pe_maprun **high)
{
	while (t) {
		if (t->start < key) {
			*low = t;
			low = &t->right;
			t = t->right;
		} else {
			*high = t;
			high = &t->left;
			t = t->left;
		}
	}
	*low = NULL;
	*high = NULL;
}

/* Every run of low lies below every run of high. */
static struct pe_maprun *join(struct pe_maprun *low, struct pe_maprun *high)
{
	struct pe_maprun *root, **at = &root;

	while (low && high) {
		if (low->priority > high->priority) {
			*at = low;
			at = &low->right;
			low = low->right;
		} else {
			*at = high;
			at = &high->left;
			high = high->left;
		}
	}
	*at = low ? low : high;
	return root;
}

static size_t free_all(struct pe_maprun *t)
{
	size_t n = 0;

	while (t) {
		struct pe_maprun *right = t->right;

		n += 1 + free_all(t->left);
		free(t);
		t = right;
	}
	return n;
}

static struct pe_maprun *last(struct pe_maprun *t)
{
	while (t && t->right)
		t = t->right;
	return t;
}

static struct pe_maprun *first(struct pe_maprun *t)
{
	while (t && t->left)
		t = t->left;
	return t;
}

static struct pe_maprun *new_run(struct pe_maptree *t, uint64_t start, uint64_t end,
                                 uint64_t offset, uint32_t prot)
{
	struct pe_maprun *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct pe_maprun){ .start = start,
		                 .end = end,
		                 .offset = offset,
		                 .prot = prot,
		                 .priority = next_priority(t) };
	return r;
}

/*
 * Takes [start, end) out and leaves what lies below and above it in *low and *high. `rest` is a
 * node for the upper part of a run that reaches over both ends; it is used or freed.
 */
static void cut(struct pe_maptree *t, uint64_t start, uint64_t end, struct pe_maprun *rest,
                struct pe_maprun **low, struct pe_maprun **high)
{
	struct pe_maprun *middle, *r;

	split(t->root, start, low, &middle);
	split(middle, end, &middle, high);
	r = last(*low);
	if (r && r->end > end) {
		rest->start = end;
		rest->end = r->end;
		rest->offset = r->offset + (end - r->start);
		rest->prot = r->prot;
		*high = join(rest, *high);
		t->count++;
		rest = NULL;
	}
	if (r && r->end > start)
		r->end = start;
	r = last(middle);
	if (r && r->end > end) {
		split(middle, r->start, &middle, &r);
		r->offset += end - r->start;
		r->start = end;
		*high = join(r, *high);
	}
	t->count -= free_all(middle);
	free(rest);
}

bool pe_maptree_remove(struct pe_maptree *t, uint64_t start, uint64_t end)
{
	struct pe_maprun *low, *high, *rest;

	if (!pe_maptree_find(t, start, end))
		return true;
	rest = new_run(t, 0, 0, 0, 0);
	if (!rest)
		return false;
	cut(t, start, end, rest, &low, &high);
	t->root = join(low, high);
	return true;
}

/* Whether b goes on where a ends, in the process and in memory, with the same rights. */
static bool continues(const struct pe_maprun *a, const struct pe_maprun *b)
{
	return a->end == b->start && a->offset + (a->end - a->start) == b->offset &&
	       a->prot == b->prot;
}

bool pe_maptree_insert(struct pe_maptree *t, uint64_t start, uint64_t end, uint64_t offset,
                       uint32_t prot)
{
	struct pe_maprun *run = new_run(t, start, end, offset, prot);
	struct pe_maprun *rest = new_run(t, 0, 0, 0, 0);
	struct pe_maprun *low, *high, *r;

	if (!run || !rest) {
		free(run);
		free(rest);
		return false;
	}
	cut(t, start, end, rest, &low, &high);
	t->count++;
	r = last(low);
	if (r && continues(r, run)) {
		split(low, r->start, &low, &r);
		run->start = r->start;
		run->offset = r->offset;
		free(r);
		t->count--;
	}
	r = first(high);
	if (r && continues(run, r)) {
		split(high, r->start + 1, &r, &high);
		run->end = r->end;
		free(r);
		t->count--;
	}
	t->root = join(join(low, run), high);
	return true;
}

const struct pe_maprun *pe_maptree_find(const struct pe_maptree *t, uint64_t start, uint64_t end)
{
	const struct pe_maprun *r = t->root, *best = NULL;

	while (r) {
		if (r->end <= start) {
			r = r->right;
		} else {
			best = r;
			r = r->left;
		}
	}
	return best && best->start < end ? best : NULL;
}

void pe_maptree_clear(struct pe_maptree *t)
{
	free_all(t->root);
	t->root = NULL;
	t->count = 0;
}
