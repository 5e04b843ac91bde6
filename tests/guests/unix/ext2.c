/* SPDX-License-Identifier: MIT */
/*
 * The second extended file system: mounting, names, files.
 *
 * Directories appear as parts of names: "bin/sh". One that is missing is made when a file is made in
 * it. Everything goes through the cache of blocks; inodes in use are kept in a table here and go to
 * their blocks when the file system is synced, or when nobody uses them any more.
 *
 * Not supported: blocks of other sizes than 4 KiB, and the features that came with ext3 and ext4
 * (`mke2fs -t ext2 -b 4096` makes what is).
 */
#include "tests/guests/unix/ext2.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "tests/guests/unix/page.h"

#define NODES     256
#define AHEAD     16u /* blocks */
#define MAX_DEPTH 8   /* of directories that are listed */

struct ext2_fs ext2_fs;

static struct ext2_node nodes[NODES];
static const struct node_ops ops;

static struct ext2_node *of(struct node *n)
{
	return (struct ext2_node *)n; /* the first member */
}

static uint32_t now(void)
{
	return (uint32_t)(pv_wall_ns() / 1000000000);
}

/* ---- inodes ---------------------------------------------------------------------------------- */

static int transfer(struct ext2_node *n, bool write)
{
	uint32_t block, at;
	void *page;
	int rc = ext2_place(n->nr, &block, &at);

	if (!rc)
		rc = bcache_get(ext2_fs.disk, block, write ? BLOCK_WRITE : BLOCK_READ, &page);
	if (rc)
		return rc;
	if (write)
		memcpy((char *)page + at, &n->inode, sizeof(n->inode));
	else
		memcpy(&n->inode, (char *)page + at, sizeof(n->inode));
	page_put(page);
	return 0;
}

/* To its block, with the size that it has by now. */
static int save(struct ext2_node *n)
{
	if (n->inode.size != n->node.size) {
		n->inode.size = (uint32_t)n->node.size;
		n->inode.modified = n->inode.changed = now();
		n->dirty = true;
	}
	if (!n->dirty)
		return 0;
	n->dirty = false;
	return transfer(n, true);
}

static struct ext2_node *free_slot(void)
{
	struct ext2_node *n;

	for (n = nodes; n < nodes + NODES; n++)
		if (!n->nr)
			return n;
	return NULL;
}

/* The inode of a number, with one user more. */
static int get_node(uint32_t nr, struct ext2_node **found)
{
	struct ext2_node *n;
	int rc;

	for (n = nodes; n < nodes + NODES; n++) {
		if (n->nr != nr)
			continue;
		node_get(&n->node);
		*found = n;
		return 0;
	}
	n = free_slot();
	if (!n)
		return -ENFILE;
	*n = (struct ext2_node){ .node = { .ops = &ops, .users = 1 }, .nr = nr };
	rc = transfer(n, false);
	if (!rc && (n->inode.size > EXT2_MAX_SIZE || !n->inode.links))
		rc = -EIO;
	if (rc)
		n->nr = 0;
	n->node.size = n->inode.size;
	*found = n;
	return rc;
}

/*
 * Nobody uses it: with the lock held. Somebody may have found it in the table meanwhile, and even
 * have let go of it again; then the slot is looked at once too often.
 */
static void end_node(struct ext2_node *n)
{
	if (pv_load_acquire(&n->node.users) || !n->nr)
		return;
	if (!n->inode.links && !ext2_fs.readonly) {
		ext2_cut(n, 0);
		n->node.size = 0;
		n->inode.deleted = now();
		ext2_give(EXT2_INODES, n->nr, (n->inode.mode & EXT2_FORMAT) == EXT2_DIR);
		n->dirty = true;
	}
	save(n);
	n->nr = 0;
}

/* As node_put(), with the lock held. */
static void put_node(struct ext2_node *n)
{
	if (__atomic_fetch_sub(&n->node.users, 1, __ATOMIC_ACQ_REL) == 1)
		end_node(n);
}

static int new_node(uint16_t mode, uint32_t parent, struct ext2_node **made)
{
	bool is_dir = (mode & EXT2_FORMAT) == EXT2_DIR;
	struct ext2_node *n = free_slot();
	uint32_t nr;
	int rc;

	if (!n)
		return -ENFILE;
	rc = ext2_take(EXT2_INODES, (parent - 1) / ext2_fs.inodes_per_group, is_dir, &nr);
	if (rc)
		return rc;
	*n = (struct ext2_node){ .node = { .ops = &ops, .users = 1 }, .nr = nr, .dirty = true };
	n->inode = (struct ext2_inode){ .mode = mode, .links = is_dir ? 2 : 1 };
	n->inode.accessed = n->inode.changed = n->inode.modified = now();
	*made = n;
	return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A file or directory that is not there: made, and put into its directory. */
static int make(struct ext2_node *dir, const char *name, size_t len, bool is_dir,
                struct ext2_node **made)
{
	int rc = new_node((uint16_t)(is_dir ? EXT2_DIR | 0755 : EXT2_FILE | 0755), dir->nr, made);

	if (rc)
		return rc;
	if (is_dir)
		rc = ext2_begin_dir(*made, dir->nr);
	if (!rc)
		rc = ext2_add(dir, name, len, (*made)->nr, is_dir ? EXT2_TYPE_DIR : EXT2_TYPE_FILE);
	if (rc) {
		(*made)->inode.links = 0;
		put_node(*made);
	} else if (is_dir) {
		dir->inode.links++;
		dir->dirty = true;
	}
	return rc;
}

static int enter(struct ext2_node *dir, const char *name, size_t len, bool create, bool is_dir,
                 struct ext2_node **n)
{
	uint32_t nr;
	int rc;

	if (len > 255)
		return -ENAMETOOLONG;
	rc = ext2_find(dir, name, len, &nr);
	if (rc == -ENOENT && create)
		return ext2_fs.readonly ? -EROFS : make(dir, name, len, is_dir, n);
	if (!rc)
		rc = get_node(nr, n);
	if (rc)
		return rc;
	if (((*n)->inode.mode & EXT2_FORMAT) == (is_dir ? EXT2_DIR : EXT2_FILE))
		return 0;
	put_node(*n);
	return is_dir ? -ENOTDIR : -EISDIR;
}

/* The directory of a name, and the last part of the name. */
static int walk(const char *path, bool create, struct ext2_node **dir, const char **name)
{
	struct ext2_node *next;
	int rc = get_node(EXT2_ROOT, dir);

	for (;;) {
		const char *end;

		while (*path == '/')
			path++;
		end = strchr(path, '/');
		if (rc || !end)
			break;
		rc = enter(*dir, path, (size_t)(end - path), create, true, &next);
		put_node(*dir);
		*dir = next;
		path = end;
	}
	*name = path;
	if (!rc && !*path) {
		put_node(*dir);
		rc = -EISDIR;
	}
	return rc;
}

static int open_file(const char *path, bool create, struct node **n)
{
	struct ext2_node *dir, *file;
	const char *name;
	int rc;

	mutex_lock(&ext2_fs.lock);
	rc = walk(path, create, &dir, &name);
	if (!rc) {
		rc = enter(dir, name, strlen(name), create, false, &file);
		put_node(dir);
	}
	mutex_unlock(&ext2_fs.lock);
	if (!rc)
		*n = &file->node;
	return rc;
}

static int unlink_file(const char *path)
{
	struct ext2_node *dir, *file;
	const char *name;
	int rc;

	if (ext2_fs.readonly)
		return -EROFS;
	mutex_lock(&ext2_fs.lock);
	rc = walk(path, false, &dir, &name);
	if (!rc) {
		rc = enter(dir, name, strlen(name), false, false, &file);
		if (!rc) {
			rc = ext2_remove(dir, name, strlen(name));
			file->inode.links -= !rc;
			file->dirty = true;
			put_node(file);
		}
		put_node(dir);
	}
	mutex_unlock(&ext2_fs.lock);
	return rc;
}

/* ---- the list of all files ------------------------------------------------------------------- */

struct listing {
	uint64_t left; /* files before the one that is wanted */
	struct unix_dirent *entry;
	size_t len; /* of the directory's name, which entry->name begins with */
};

static int list_dir(struct listing *l, uint32_t nr, unsigned int depth);

/* One entry: 0 when it, or something in it, is the one. */
static int list_one(struct listing *l, uint32_t nr, uint8_t type, unsigned int depth)
{
	struct ext2_node *file;
	size_t len = l->len;
	int rc;

	if (type == EXT2_TYPE_DIR && depth < MAX_DEPTH) {
		l->len = strlen(l->entry->name);
		l->entry->name[l->len++] = '/';
		rc = list_dir(l, nr, depth + 1);
		l->len = len;
		return rc;
	}
	if (type != EXT2_TYPE_FILE || l->left--)
		return -ENOENT;
	rc = get_node(nr, &file);
	if (rc)
		return rc;
	l->entry->size = file->node.size;
	put_node(file);
	return 0;
}

static int list_dir(struct listing *l, uint32_t nr, unsigned int depth)
{
	struct ext2_node *dir;
	uint64_t place = 0;
	uint32_t inode;
	uint8_t type;
	int rc = get_node(nr, &dir);

	if (rc)
		return rc;
	do {
		char *name = l->entry->name + l->len;

		/* Room for the "/" behind a directory's; longer names are not listed. */
		rc = ext2_next(dir, &place, &inode, &type, name, UNIX_NAME_MAX - 1 - l->len);
		if (rc)
			break;
		rc = -ENOENT;
		if (strcmp(name, ".") && strcmp(name, ".."))
			rc = list_one(l, inode, type, depth);
	} while (rc == -ENOENT);
	put_node(dir);
	return rc;
}

static int list_files(uint64_t index, struct unix_dirent *entry)
{
	struct listing l = { .left = index, .entry = entry };
	int rc;

	memset(entry, 0, sizeof(*entry));
	mutex_lock(&ext2_fs.lock);
	rc = list_dir(&l, EXT2_ROOT, 0);
	mutex_unlock(&ext2_fs.lock);
	return rc;
}

/* ---- contents -------------------------------------------------------------------------------- */

/* What lies in a row behind a block that is not here yet comes with it. */
static void read_ahead(struct ext2_node *n, uint64_t index, uint32_t block)
{
	uint64_t end = (n->node.size + BLOCK - 1) / BLOCK;
	unsigned int count;
	uint32_t next;

	if (bcache_has(ext2_fs.disk, block))
		return;
	for (count = 1; count < AHEAD && index + count < end; count++)
		if (ext2_map(n, index + count, false, &next) || next != block + count)
			break;
	bcache_ahead(ext2_fs.disk, block, count);
}

static int file_page(struct node *node, uint64_t index, bool write, void **page)
{
	struct ext2_node *n = of(node);
	uint32_t block;
	int rc;

	if (write && ext2_fs.readonly)
		return -EROFS;
	if (index > EXT2_MAX_SIZE / BLOCK)
		return -EFBIG;
	mutex_lock(&ext2_fs.lock);
	rc = ext2_map(n, index, write, &block);
	if (!rc && block) {
		read_ahead(n, index, block);
		rc = bcache_get(ext2_fs.disk, block, write ? BLOCK_WRITE : BLOCK_READ, page);
	} else if (!rc) { /* a hole */
		*page = page_alloc_zeroed();
		rc = *page ? 0 : -ENOMEM;
	}
	mutex_unlock(&ext2_fs.lock);
	return rc;
}

static int file_resize(struct node *node, uint64_t size)
{
	struct ext2_node *n = of(node);
	uint32_t block = 0;
	void *page;
	int rc = 0;

	if (ext2_fs.readonly || size > EXT2_MAX_SIZE)
		return ext2_fs.readonly ? -EROFS : -EFBIG;
	mutex_lock(&ext2_fs.lock);
	if (size < node->size) {
		rc = ext2_cut(n, (size + BLOCK - 1) / BLOCK);
		/* What lay behind the end must not appear again when the file grows. */
		if (!rc && size % BLOCK)
			rc = ext2_map(n, size / BLOCK, false, &block);
		if (!rc && block)
			rc = bcache_get(ext2_fs.disk, block, BLOCK_WRITE, &page);
		if (!rc && block) {
			memset((char *)page + size % BLOCK, 0, BLOCK - size % BLOCK);
			page_put(page);
		}
	}
	if (!rc)
		node->size = size;
	mutex_unlock(&ext2_fs.lock);
	return rc;
}

static void file_release(struct node *node)
{
	mutex_lock(&ext2_fs.lock);
	end_node(of(node));
	mutex_unlock(&ext2_fs.lock);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int set_state(bool clean)
{
	struct ext2_super *super;
	void *page;
	int rc = bcache_get(ext2_fs.disk, 0, BLOCK_WRITE, &page);

	if (rc)
		return rc;
	super = (void *)((char *)page + EXT2_SUPER);
	super->state = (uint16_t)(clean ? super->state | EXT2_CLEAN : super->state & ~EXT2_CLEAN);
	super->written = now();
	page_put(page);
	return bcache_sync(ext2_fs.disk);
}

static int sync_all(bool end)
{
	struct ext2_node *n;
	int rc = 0;

	if (ext2_fs.readonly)
		return 0;
	mutex_lock(&ext2_fs.lock);
	for (n = nodes; !rc && n < nodes + NODES; n++)
		if (n->nr)
			rc = save(n);
	if (!rc)
		rc = bcache_sync(ext2_fs.disk);
	if (!rc && end)
		rc = set_state(true);
	mutex_unlock(&ext2_fs.lock);
	return rc;
}

static int file_sync(struct node *node)
{
	(void)node;
	return sync_all(false);
}

static const struct node_ops ops = { file_page, file_resize, file_release, file_sync };

const struct fs ext2 = { open_file, unlink_file, list_files, sync_all };

/* Whether we can do with it; a sentence when not. */
static const char *objection(const struct ext2_super *s, uint64_t disk_blocks_there)
{
	if (s->magic != EXT2_MAGIC)
		return "there is no ext2 file system on it";
	if (s->log_block != 2)
		return "its blocks are not of 4096 bytes (mke2fs -b 4096)";
	if (s->incompat != EXT2_FILETYPE || s->ro_compat & ~(uint32_t)(EXT2_SPARSE | EXT2_LARGE))
		return "it has features of a later file system (mke2fs -t ext2)";
	if (s->blocks > disk_blocks_there)
		return "it is larger than the disk";
	if (!s->blocks_per_group || s->blocks_per_group > BLOCK * 8 || !s->inodes_per_group ||
	    s->inodes_per_group > BLOCK * 8 || s->inode_size < sizeof(struct ext2_inode) ||
	    s->inode_size > BLOCK || s->inode_size & (s->inode_size - 1) || s->first_block ||
	    (s->blocks - 1) / s->blocks_per_group != (s->inodes - 1) / s->inodes_per_group)
		return "its superblock makes no sense";
	return NULL;
}

int ext2_mount(const char *name)
{
	struct blkdev *disk = disk_open(name);
	const struct ext2_super *s;
	struct blkdev_geometry g;
	const char *why;
	void *page;
	int rc;

	if (!disk) {
		pv_log("unix: there is no disk %s\n", name);
		return -ENOENT;
	}
	blkdev_get_geometry(disk, &g);
	rc = bcache_get(disk, 0, BLOCK_READ, &page);
	if (rc)
		return rc;
	s = (void *)((char *)page + EXT2_SUPER);
	why = objection(s, disk_blocks(disk));
	ext2_fs = (struct ext2_fs){ .disk = disk,
		                    .readonly = g.readonly,
		                    .blocks = s->blocks,
		                    .inodes = s->inodes,
		                    .first_inode = s->first_inode,
		                    .blocks_per_group = s->blocks_per_group,
		                    .inodes_per_group = s->inodes_per_group,
		                    .groups = why ? 0 : (s->blocks - 1) / s->blocks_per_group + 1,
		                    .inode_size = s->inode_size };
	page_put(page);
	if (why) {
		pv_log("unix: %s cannot be mounted: %s\n", name, why);
		return -EINVAL;
	}
	return g.readonly ? 0 : set_state(false);
}
