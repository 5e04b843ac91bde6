/* SPDX-License-Identifier: MIT */
/*
 * Directories: blocks full of entries, each of which says how far it is to the next.
 *
 * Invariant: entries fill each block exactly. What does not is -EIO.
 */
#include <stddef.h>

#include "pvops/lib/string.h"
#include "tests/guests/unix/ext2.h"
#include "tests/guests/unix/page.h"

#define HEAD offsetof(struct ext2_entry, name)

static uint32_t room_for(size_t name_len)
{
	return (uint32_t)((HEAD + name_len + 3) & ~3ul);
}

/* The entry at a byte of a block, or NULL when that is none. */
static struct ext2_entry *entry_at(void *page, uint32_t at)
{
	struct ext2_entry *e = (void *)((char *)page + at);

	if (at > BLOCK - HEAD || e->len < HEAD || e->len % 4 || e->len > BLOCK - at ||
	    HEAD + e->name_len > e->len)
		return NULL;
	return e;
}

static int get(struct ext2_node *dir, uint64_t index, enum block_use use, void **page)
{
	uint32_t block;
	int rc = ext2_map(dir, index, false, &block);

	if (!rc && !block)
		rc = -EIO;
	return rc ? rc : bcache_get(ext2_fs.disk, block, use, page);
}

/* The byte of the directory where the entry lies that fn wants. */
static int search(struct ext2_node *dir, bool (*fn)(const struct ext2_entry *e, const void *arg),
                  const void *arg, uint64_t *place)
{
	uint64_t index;
	uint32_t at;
	void *page;
	int rc;

	for (index = 0; index < dir->node.size / BLOCK; index++) {
		rc = get(dir, index, BLOCK_READ, &page);
		if (rc)
			return rc;
		for (at = 0, rc = -ENOENT; rc == -ENOENT && at < BLOCK;) {
			struct ext2_entry *e = entry_at(page, at);

			if (!e)
				rc = -EIO;
			else if (fn(e, arg))
				rc = 0;
			else
				at += e->len;
		}
		page_put(page);
		*place = index * BLOCK + at;
		if (rc != -ENOENT)
			return rc;
	}
	return -ENOENT;
}

struct name {
	const char *text;
	size_t len;
};

static bool has_name(const struct ext2_entry *e, const void *arg)
{
	const struct name *n = arg;

	return e->inode && e->name_len == n->len && !memcmp(e->name, n->text, n->len);
}

static bool has_room(const struct ext2_entry *e, const void *arg)
{
	const struct name *n = arg;

	return (uint32_t)e->len - (e->inode ? room_for(e->name_len) : 0) >= room_for(n->len);
}

/* The entry at a place, for as long as the page is not put. */
static int get_entry(struct ext2_node *dir, uint64_t place, enum block_use use, void **page,
                     struct ext2_entry **e)
{
	int rc = get(dir, place / BLOCK, use, page);

	*e = rc ? NULL : (void *)((char *)*page + place % BLOCK);
	return rc;
}

/* The entry of a name; -ENOENT when there is none. Else as get_entry(). */
static int look_up(struct ext2_node *dir, const char *name, size_t len, enum block_use use,
                   void **page, struct ext2_entry **e)
{
	struct name n = { name, len };
	uint64_t place;
	int rc = search(dir, has_name, &n, &place);

	return rc ? rc : get_entry(dir, place, use, page, e);
}

int ext2_find(struct ext2_node *dir, const char *name, size_t len, uint32_t *inode)
{
	struct ext2_entry *e;
	void *page;
	int rc = look_up(dir, name, len, BLOCK_READ, &page, &e);

	if (rc)
		return rc;
	*inode = e->inode;
	page_put(page);
	return 0;
}

static void fill(struct ext2_entry *e, const char *name, size_t len, uint32_t inode, uint8_t type)
{
	e->inode = inode;
	e->name_len = (uint8_t)len;
	e->type = type;
	memcpy(e->name, name, len);
}

/* One block more, all of it one free entry. */
static int grow(struct ext2_node *dir, uint64_t *place)
{
	struct ext2_entry *e;
	uint32_t block;
	void *page;
	int rc = ext2_map(dir, dir->node.size / BLOCK, true, &block);

	*place = dir->node.size;
	if (!rc)
		rc = get_entry(dir, *place, BLOCK_WRITE, &page, &e);
	if (rc)
		return rc;
	e->len = BLOCK;
	page_put(page);
	dir->node.size += BLOCK;
	dir->dirty = true;
	return 0;
}

int ext2_add(struct ext2_node *dir, const char *name, size_t len, uint32_t inode, uint8_t type)
{
	struct name n = { name, len };
	struct ext2_entry *e;
	uint64_t place;
	uint32_t used;
	void *page;
	int rc = search(dir, has_room, &n, &place);

	if (rc == -ENOENT)
		rc = grow(dir, &place);
	if (!rc)
		rc = get_entry(dir, place, BLOCK_WRITE, &page, &e);
	if (rc)
		return rc;
	if (e->inode) { /* behind what is there */
		used = room_for(e->name_len);
		((struct ext2_entry *)((char *)e + used))->len = (uint16_t)(e->len - used);
		e->len = (uint16_t)used;
		e = (void *)((char *)e + used);
	}
	fill(e, name, len, inode, type);
	page_put(page);
	/* Whoever adds without knowing of the hashes takes them away (so Linux's ext2 does, too). */
	dir->inode.flags &= ~(uint32_t)EXT2_INDEXED;
	dir->dirty = true;
	return 0;
}

int ext2_remove(struct ext2_node *dir, const char *name, size_t len)
{
	struct ext2_entry *e;
	void *page;
	int rc = look_up(dir, name, len, BLOCK_WRITE, &page, &e);

	if (rc)
		return rc;
	e->inode = 0;
	page_put(page);
	return 0;
}

int ext2_begin_dir(struct ext2_node *dir, uint32_t parent)
{
	int rc = ext2_add(dir, ".", 1, dir->nr, EXT2_TYPE_DIR);

	return rc ? rc : ext2_add(dir, "..", 2, parent, EXT2_TYPE_DIR);
}

int ext2_next(struct ext2_node *dir, uint64_t *place, uint32_t *inode, uint8_t *type, char *name,
              size_t size)
{
	while (*place < dir->node.size) {
		struct ext2_entry *e;
		void *page;
		int rc = get(dir, *place / BLOCK, BLOCK_READ, &page);

		if (rc)
			return rc;
		e = entry_at(page, *place % BLOCK);
		if (!e) {
			page_put(page);
			return -EIO;
		}
		*place += e->len;
		*inode = e->inode;
		*type = e->type;
		if (*inode && e->name_len < size) {
			memcpy(name, e->name, e->name_len);
			name[e->name_len] = 0;
			page_put(page);
			return 0;
		}
		page_put(page);
	}
	return -ENOENT;
}
