/* SPDX-License-Identifier: MIT */
/*
 * Files in memory: a list of names, and for each a page of pointers to its pages.
 *
 * Invariant: what a program runs does not change under it: a page that somebody else uses is
 * replaced by a copy before it is written.
 */
#include <stdbool.h>

#include "pvops/lib/string.h"
#include "pvops/lock.h"
#include "tests/guests/unix/fs.h"
#include "tests/guests/unix/page.h"

#define MAX_PAGES (PV_PAGE_SIZE / sizeof(void *))
#define MAX_FILES 128

struct ram_file {
	struct node node;
	char name[UNIX_NAME_MAX]; /* empty: it has none any more */
	void **pages;             /* MAX_PAGES; NULL where nothing was written */
};

static struct ram_file files[MAX_FILES];
static struct pv_spinlock lock = PV_SPINLOCK_INIT; /* names, pages and sizes */

const struct fs *fs_root = &ramfs;

void node_get(struct node *n)
{
	__atomic_fetch_add(&n->users, 1, __ATOMIC_RELAXED);
}

void node_put(struct node *n)
{
	if (__atomic_fetch_sub(&n->users, 1, __ATOMIC_ACQ_REL) == 1)
		n->ops->release(n);
}

long node_read(struct node *n, uint64_t offset, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len && offset < n->size) {
		size_t at = offset % PV_PAGE_SIZE, piece = PV_PAGE_SIZE - at;
		void *page;
		int rc = n->ops->page(n, offset / PV_PAGE_SIZE, false, &page);

		if (rc)
			return rc;
		if (piece > len - done)
			piece = len - done;
		if (piece > n->size - offset)
			piece = n->size - offset;
		memcpy((char *)buf + done, (char *)page + at, piece);
		page_put(page);
		done += piece;
		offset += piece;
	}
	return (long)done;
}

static struct ram_file *of(struct node *n)
{
	return (struct ram_file *)n; /* the first member */
}

/* The page in *slot becomes one that only the file uses. */
static int make_sole(void **slot)
{
	void *old = *slot, *page;

	if (old && page_is_sole(old))
		return 0;
	page = page_alloc_zeroed();
	if (!page)
		return -ENOSPC;
	if (old) {
		memcpy(page, old, PV_PAGE_SIZE);
		page_put(old);
	}
	*slot = page;
	return 0;
}

static int ram_page(struct node *n, uint64_t index, bool write, void **page)
{
	uint64_t irq;
	void **slot;
	int rc = 0;

	if (index >= MAX_PAGES)
		return -EFBIG;
	irq = pv_spin_lock_irq(&lock);
	slot = &of(n)->pages[index];
	if (write || !*slot)
		rc = make_sole(slot);
	if (!rc) {
		page_get(*slot);
		*page = *slot;
	}
	pv_spin_unlock_irq(&lock, irq);
	return rc;
}

static int ram_resize(struct node *n, uint64_t size)
{
	struct ram_file *f = of(n);
	uint64_t first = (size + PV_PAGE_SIZE - 1) / PV_PAGE_SIZE, i, irq;
	int rc = 0;

	if (size > MAX_PAGES * PV_PAGE_SIZE)
		return -EFBIG;
	irq = pv_spin_lock_irq(&lock);
	/* What lay behind the end must not appear again when the file grows. */
	if (size < n->size && size % PV_PAGE_SIZE && f->pages[first - 1]) {
		rc = make_sole(&f->pages[first - 1]);
		if (!rc)
			memset((char *)f->pages[first - 1] + size % PV_PAGE_SIZE, 0,
			       PV_PAGE_SIZE - size % PV_PAGE_SIZE);
	}
	for (i = first; !rc && i < MAX_PAGES; i++) {
		if (f->pages[i])
			page_put(f->pages[i]);
		f->pages[i] = NULL;
	}
	if (!rc)
		n->size = size;
	pv_spin_unlock_irq(&lock, irq);
	return rc;
}

/* The slot in files[] is free again once `pages` is NULL. */
static void ram_release(struct node *n)
{
	void **pages = of(n)->pages;

	ram_resize(n, 0);
	page_put(pages);
	__atomic_store_n(&of(n)->pages, NULL, __ATOMIC_RELEASE);
}

static const struct node_ops ram_ops = { ram_page, ram_resize, ram_release, NULL };

static struct ram_file *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < MAX_FILES; i++)
		if (files[i].name[0] && !strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

static struct ram_file *new_file(const char *name)
{
	struct ram_file *f;

	for (f = files; f < files + MAX_FILES; f++) {
		if (f->pages)
			continue;
		f->pages = page_alloc_zeroed();
		if (!f->pages)
			return NULL;
		f->node = (struct node){ .ops = &ram_ops, .users = 1 };
		memcpy(f->name, name, strlen(name) + 1);
		return f;
	}
	return NULL;
}

static int ram_open(const char *name, bool create, struct node **n)
{
	struct ram_file *f;
	uint64_t irq;
	int rc = 0;

	if (!name[0] || strlen(name) >= UNIX_NAME_MAX)
		return name[0] ? -ENAMETOOLONG : -ENOENT;
	irq = pv_spin_lock_irq(&lock);
	f = find(name);
	if (!f && create) {
		f = new_file(name);
		rc = f ? 0 : -ENOSPC;
	} else if (!f) {
		rc = -ENOENT;
	}
	if (!rc) {
		node_get(&f->node);
		*n = &f->node;
	}
	pv_spin_unlock_irq(&lock, irq);
	return rc;
}

static int ram_unlink(const char *name)
{
	uint64_t irq = pv_spin_lock_irq(&lock);
	struct ram_file *f = find(name);

	if (f)
		f->name[0] = 0;
	pv_spin_unlock_irq(&lock, irq);
	if (!f)
		return -ENOENT;
	node_put(&f->node);
	return 0;
}

static int ram_list(uint64_t index, struct unix_dirent *entry)
{
	uint64_t irq = pv_spin_lock_irq(&lock);
	int rc = -ENOENT;
	unsigned int i;

	for (i = 0; i < MAX_FILES; i++) {
		if (!files[i].name[0] || index--)
			continue;
		memset(entry, 0, sizeof(*entry));
		memcpy(entry->name, files[i].name, sizeof(entry->name));
		entry->size = files[i].node.size;
		rc = 0;
		break;
	}
	pv_spin_unlock_irq(&lock, irq);
	return rc;
}

const struct fs ramfs = { ram_open, ram_unlink, ram_list, NULL };

int ramfs_add(const char *name, const void *data, size_t len)
{
	struct node *n;
	size_t at;
	void *page;
	int rc;

	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	rc = ram_open(name, true, &n);
	for (at = 0; !rc && at < len; at += PV_PAGE_SIZE) {
		rc = ram_page(n, at / PV_PAGE_SIZE, true, &page);
		if (rc)
			break;
		memcpy(page, (const char *)data + at,
		       len - at < PV_PAGE_SIZE ? len - at : PV_PAGE_SIZE);
		page_put(page);
		n->size = at + PV_PAGE_SIZE < len ? at + PV_PAGE_SIZE : len;
	}
	if (!rc)
		node_put(n);
	return rc;
}
