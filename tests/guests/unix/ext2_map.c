/* SPDX-License-Identifier: MIT */
/*
 * Free blocks and inodes, and the trees of block numbers by which a file finds its blocks: twelve in
 * the inode, a block of them, a block of blocks of them. (A third level would begin at 4 GiB.)
 */
#include "pvops/lib/string.h"
#include "tests/guests/unix/ext2.h"
#include "tests/guests/unix/page.h"

static int get(uint32_t block, enum block_use use, void **page)
{
	if (block >= ext2_fs.blocks)
		return -EIO;
	return bcache_get(ext2_fs.disk, block, use, page);
}

/* ---- what is free ---------------------------------------------------------------------------- */

/* Descriptors of the groups lie from block 1 on. */
static int get_group(uint32_t group, enum block_use use, struct ext2_group **g, void **page)
{
	uint32_t per = BLOCK / sizeof(**g);
	int rc = get(1 + group / per, use, page);

	*g = (struct ext2_group *)*page + group % per;
	return rc;
}

/* After so many (1 or -1) blocks or inodes were taken: the sums of the group and of all. */
static int count(enum ext2_kind kind, uint32_t group, int taken, bool is_dir)
{
	struct ext2_super *super;
	struct ext2_group *g;
	void *page;
	int rc = get_group(group, BLOCK_WRITE, &g, &page);

	if (rc)
		return rc;
	if (kind == EXT2_BLOCKS)
		g->free_blocks = (uint16_t)(g->free_blocks - taken);
	else
		g->free_inodes = (uint16_t)(g->free_inodes - taken);
	if (is_dir)
		g->dirs = (uint16_t)(g->dirs + taken);
	page_put(page);
	rc = get(0, BLOCK_WRITE, &page);
	if (rc)
		return rc;
	super = (void *)((char *)page + EXT2_SUPER);
	if (kind == EXT2_BLOCKS)
		super->free_blocks -= (uint32_t)taken;
	else
		super->free_inodes -= (uint32_t)taken;
	page_put(page);
	return 0;
}

/* The first bit that is 0, at most `bits`, becomes 1. */
static int take_bit(uint32_t map, uint32_t bits, uint32_t *bit)
{
	uint8_t *bytes;
	void *page;
	uint32_t i;
	int rc = get(map, BLOCK_READ, &page);

	if (rc)
		return rc;
	bytes = page;
	for (i = 0; i < bits && bytes[i / 8] >> (i % 8) & 1; i++)
		;
	page_put(page);
	if (i == bits)
		return -ENOSPC;
	rc = get(map, BLOCK_WRITE, &page);
	if (rc)
		return rc;
	bytes = page;
	bytes[i / 8] |= (uint8_t)(1 << i % 8);
	page_put(page);
	*bit = i;
	return 0;
}

/* How many a group has: the last one may have fewer. */
static uint32_t size_of_group(enum ext2_kind kind, uint32_t group, uint32_t *per)
{
	uint32_t all = kind == EXT2_BLOCKS ? ext2_fs.blocks : ext2_fs.inodes;

	*per = kind == EXT2_BLOCKS ? ext2_fs.blocks_per_group : ext2_fs.inodes_per_group;
	return all - group * *per < *per ? all - group * *per : *per;
}

static int map_of(enum ext2_kind kind, uint32_t group, uint32_t *map, bool *is_full)
{
	struct ext2_group *g;
	void *page;
	int rc = get_group(group, BLOCK_READ, &g, &page);

	if (rc)
		return rc;
	*map = kind == EXT2_BLOCKS ? g->block_map : g->inode_map;
	*is_full = !(kind == EXT2_BLOCKS ? g->free_blocks : g->free_inodes);
	page_put(page);
	return 0;
}

int ext2_take(enum ext2_kind kind, uint32_t group, bool is_dir, uint32_t *nr)
{
	uint32_t i, map, bit, per;
	bool is_full;
	int rc = 0;

	for (i = 0; i < ext2_fs.groups; i++, group++) {
		group %= ext2_fs.groups;
		rc = map_of(kind, group, &map, &is_full);
		if (!rc)
			rc = is_full ? -ENOSPC
			             : take_bit(map, size_of_group(kind, group, &per), &bit);
		if (rc == -ENOSPC)
			continue;
		if (rc)
			return rc;
		size_of_group(kind, group, &per);
		*nr = group * per + bit + (kind == EXT2_INODES); /* inodes count from 1 */
		return count(kind, group, 1, is_dir);
	}
	return -ENOSPC;
}

int ext2_give(enum ext2_kind kind, uint32_t nr, bool is_dir)
{
	uint32_t per, map, bit = nr - (kind == EXT2_INODES), group;
	bool is_full;
	void *page;
	int rc;

	size_of_group(kind, 0, &per);
	group = bit / per;
	bit %= per;
	if (group >= ext2_fs.groups)
		return -EIO;
	rc = map_of(kind, group, &map, &is_full);
	if (!rc)
		rc = get(map, BLOCK_WRITE, &page);
	if (rc)
		return rc;
	((uint8_t *)page)[bit / 8] &= (uint8_t) ~(1 << bit % 8);
	page_put(page);
	return count(kind, group, -1, is_dir);
}

int ext2_place(uint32_t nr, uint32_t *block, uint32_t *offset)
{
	uint32_t at = (nr - 1) % ext2_fs.inodes_per_group * ext2_fs.inode_size;
	struct ext2_group *g;
	void *page;
	int rc;

	if (!nr || nr > ext2_fs.inodes)
		return -EIO;
	rc = get_group((nr - 1) / ext2_fs.inodes_per_group, BLOCK_READ, &g, &page);
	if (rc)
		return rc;
	*block = g->inode_table + at / BLOCK;
	*offset = at % BLOCK;
	page_put(page);
	return *block < ext2_fs.blocks ? 0 : -EIO;
}

/* ---- blocks of a file ------------------------------------------------------------------------ */

/* The way to a block: an index into the inode, then into a block for each further step. */
static unsigned int way_to(uint64_t index, uint32_t at[3])
{
	if (index < EXT2_DIRECT) {
		at[0] = (uint32_t)index;
		return 1;
	}
	index -= EXT2_DIRECT;
	if (index < EXT2_PER_BLOCK) {
		at[0] = EXT2_DIRECT;
		at[1] = (uint32_t)index;
		return 2;
	}
	index -= EXT2_PER_BLOCK;
	at[0] = EXT2_DIRECT + 1;
	at[1] = (uint32_t)(index / EXT2_PER_BLOCK);
	at[2] = (uint32_t)(index % EXT2_PER_BLOCK);
	return index < (uint64_t)EXT2_PER_BLOCK * EXT2_PER_BLOCK ? 3 : 0;
}

/* A block of zeroes for a file. */
static int new_block(struct ext2_node *n, uint32_t *block)
{
	void *page;
	int rc = ext2_take(EXT2_BLOCKS, (n->nr - 1) / ext2_fs.inodes_per_group, false, block);

	if (!rc)
		rc = get(*block, BLOCK_NEW, &page);
	if (rc)
		return rc;
	page_put(page);
	n->inode.sectors += EXT2_BLOCK_SECTORS;
	n->dirty = true;
	return 0;
}

static int read_entry(uint32_t block, uint32_t i, uint32_t *value)
{
	void *page;
	int rc = get(block, BLOCK_READ, &page);

	if (rc)
		return rc;
	*value = ((uint32_t *)page)[i];
	page_put(page);
	return 0;
}

static int write_entry(uint32_t block, uint32_t i, uint32_t value)
{
	void *page;
	int rc = get(block, BLOCK_WRITE, &page);

	if (rc)
		return rc;
	((uint32_t *)page)[i] = value;
	page_put(page);
	return 0;
}

int ext2_map(struct ext2_node *n, uint64_t index, bool create, uint32_t *block)
{
	uint32_t at[3], here, next;
	unsigned int steps = way_to(index, at), i;
	int rc = 0;

	if (!steps)
		return create ? -EFBIG : -EIO;
	here = n->inode.block[at[0]];
	if (!here && create) {
		rc = new_block(n, &here);
		if (!rc)
			n->inode.block[at[0]] = here;
	}
	for (i = 1; !rc && here && i < steps; i++, here = next) {
		rc = read_entry(here, at[i], &next);
		if (rc || next || !create)
			continue;
		rc = new_block(n, &next);
		if (!rc)
			rc = write_entry(here, at[i], next);
	}
	if (rc)
		return rc;
	*block = here;
	return here < ext2_fs.blocks ? 0 : -EIO;
}

/*
 * Below *block is a tree of so many levels: what it holds from `keep` on is given back, and all of
 * it, itself included, when that is 0.
 */
static int cut_tree(struct ext2_node *n, uint32_t *block, unsigned int levels, uint64_t keep)
{
	uint64_t span = levels > 1 ? EXT2_PER_BLOCK : 1; /* blocks below one entry */
	uint32_t i, was, now;
	int rc = 0;

	if (!*block)
		return 0;
	for (i = levels ? (uint32_t)(keep / span) : EXT2_PER_BLOCK; !rc && i < EXT2_PER_BLOCK;
	     i++) {
		rc = read_entry(*block, i, &was);
		now = was;
		if (!rc)
			rc = cut_tree(n, &now, levels - 1, keep > i * span ? keep - i * span : 0);
		if (!rc && now != was && keep)
			rc = write_entry(*block, i, now);
	}
	if (rc || keep)
		return rc;
	rc = ext2_give(EXT2_BLOCKS, *block, false);
	*block = 0;
	n->inode.sectors -= EXT2_BLOCK_SECTORS;
	n->dirty = true;
	return rc;
}

int ext2_cut(struct ext2_node *n, uint64_t keep)
{
	uint64_t first = EXT2_DIRECT, span = 1;
	unsigned int i, levels;
	int rc = 0;

	for (i = 0; !rc && i < EXT2_DIRECT; i++)
		if (i >= keep)
			rc = cut_tree(n, &n->inode.block[i], 0, 0);
	for (levels = 1; !rc && levels <= 2; levels++) {
		span *= EXT2_PER_BLOCK;
		if (keep < first + span)
			rc = cut_tree(n, &n->inode.block[EXT2_DIRECT + levels - 1], levels,
			              keep > first ? keep - first : 0);
		first += span;
	}
	return rc;
}
