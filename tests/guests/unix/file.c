/* SPDX-License-Identifier: MIT */
/*
 * The table of open files, descriptors, and files of a file system.
 *
 * Invariant: an entry's users are the descriptors that name it, plus one while a call is using it;
 * so a read that waits is not disturbed by a close.
 */
#include "tests/guests/unix/file.h"

#include <stdbool.h>
#include <stddef.h>

#include "pvops/lib/string.h"
#include "pvops/pvguest.h"
#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/disk.h"
#include "tests/guests/unix/fs.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/usercopy.h"

#define FILES_MAX 1024

static struct file table[FILES_MAX];

/* ---- open files ---- */

struct file *file_new(const struct file_ops *ops, int flags, void *data)
{
	struct file *f;

	for (f = table; f < table + FILES_MAX; f++) {
		uint32_t unused = 0;

		if (!__atomic_compare_exchange_n(&f->users, &unused, 1, false, __ATOMIC_ACQUIRE,
		                                 __ATOMIC_RELAXED))
			continue;
		f->ops = ops;
		f->flags = flags;
		f->offset = 0;
		f->data = data;
		return f;
	}
	return NULL;
}

static void file_get(struct file *f)
{
	__atomic_fetch_add(&f->users, 1, __ATOMIC_RELAXED);
}

/*
 * The count goes to 0 last: the entry may be taken for another file at once then. Nobody can raise
 * it from 1 meanwhile, for that one user is the caller.
 */
void file_put(struct file *f)
{
	uint32_t users = __atomic_load_n(&f->users, __ATOMIC_ACQUIRE);

	for (;;) {
		if (users == 1) {
			f->ops->close(f);
			__atomic_store_n(&f->users, 0, __ATOMIC_RELEASE);
			return;
		}
		if (__atomic_compare_exchange_n(&f->users, &users, users - 1, false,
		                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return;
	}
}

unsigned int file_count(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < FILES_MAX; i++)
		n += __atomic_load_n(&table[i].users, __ATOMIC_RELAXED) != 0;
	return n;
}

/* ---- descriptors ---- */

static struct file *lookup(unsigned int fd)
{
	return fd < UNIX_NR_FILES ? current()->files[fd] : NULL;
}

struct file *file_use(unsigned int fd)
{
	struct file *f = lookup(fd);

	if (f)
		file_get(f);
	return f;
}

int file_install(struct file *f)
{
	struct proc *p = current();
	int fd;

	for (fd = 0; fd < UNIX_NR_FILES; fd++) {
		if (!p->files[fd]) {
			p->files[fd] = f;
			return fd;
		}
	}
	return -EMFILE;
}

int file_close(unsigned int fd)
{
	struct file *f = lookup(fd);

	if (!f)
		return -EBADF;
	current()->files[fd] = NULL;
	file_put(f);
	return 0;
}

int file_dup2(unsigned int fd, int to)
{
	struct file *f = lookup(fd);

	if (!f || to >= UNIX_NR_FILES)
		return -EBADF;
	if (to == (int)fd)
		return to;
	file_get(f);
	if (to < 0) {
		to = file_install(f);
		if (to < 0)
			file_put(f);
		return to;
	}
	file_close((unsigned int)to);
	current()->files[to] = f;
	return to;
}

void file_share_all(struct proc *child, const struct proc *parent)
{
	unsigned int i;

	for (i = 0; i < UNIX_NR_FILES; i++) {
		child->files[i] = parent->files[i];
		if (child->files[i])
			file_get(child->files[i]);
	}
}

long file_read(unsigned int fd, uint64_t to, uint64_t len)
{
	struct file *f = lookup(fd);
	long rc;

	if (!f || (f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (!users_range(to, len))
		return -EFAULT;
	file_get(f);
	rc = f->ops->read(f, to, len);
	file_put(f);
	return rc;
}

long file_write(unsigned int fd, uint64_t from, uint64_t len)
{
	struct file *f = lookup(fd);
	long rc;

	if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!users_range(from, len))
		return -EFAULT;
	file_get(f);
	rc = f->ops->write(f, from, len);
	file_put(f);
	return rc;
}

/* ---- files of a file system ---- */

static long disk_read(struct file *f, uint64_t to, uint64_t len)
{
	struct node *n = f->data;
	uint64_t done = 0;

	while (done < len && f->offset < n->size) {
		uint64_t at = f->offset % PV_PAGE_SIZE, piece = PV_PAGE_SIZE - at;
		void *page;
		int rc = n->ops->page(n, f->offset / PV_PAGE_SIZE, false, &page);

		if (rc)
			return done ? (long)done : rc;
		if (piece > len - done)
			piece = len - done;
		if (piece > n->size - f->offset)
			piece = n->size - f->offset;
		rc = copy_out(to + done, (char *)page + at, piece);
		page_put(page);
		if (rc)
			return done ? (long)done : rc;
		done += piece;
		f->offset += piece;
	}
	return (long)done;
}

static long disk_write(struct file *f, uint64_t from, uint64_t len)
{
	struct node *n = f->data;
	uint64_t done = 0;

	if (f->flags & O_APPEND)
		f->offset = n->size;
	while (done < len) {
		uint64_t at = f->offset % PV_PAGE_SIZE, piece = PV_PAGE_SIZE - at;
		void *page;
		int rc = n->ops->page(n, f->offset / PV_PAGE_SIZE, true, &page);

		if (rc)
			return done ? (long)done : rc;
		if (piece > len - done)
			piece = len - done;
		rc = copy_in((char *)page + at, from + done, piece);
		page_put(page);
		if (rc)
			return done ? (long)done : rc;
		done += piece;
		f->offset += piece;
		if (f->offset > n->size)
			n->size = f->offset;
	}
	return (long)done;
}

static void disk_close(struct file *f)
{
	node_put(f->data);
}

static const struct file_ops disk_ops = { disk_read, disk_write, disk_close };

int file_sync(unsigned int fd)
{
	struct file *f = lookup(fd);
	struct node *n;
	int rc = 0;

	if (!f)
		return -EBADF;
	if (f->ops != &disk_ops)
		return -EINVAL;
	file_get(f);
	n = f->data;
	if (n->ops->sync)
		rc = n->ops->sync(n);
	file_put(f);
	return rc;
}

static struct file *open_node(const char *path, int flags, int *error)
{
	struct node *n;
	struct file *f;

	if (!strncmp(path, "dev/", 4))
		*error = disk_node(path + 4, &n);
	else
		*error = fs_root->open(path, flags & O_CREAT, &n);
	if (!*error && flags & O_TRUNC && flags & O_ACCMODE) {
		*error = n->ops->resize(n, 0);
		if (*error)
			node_put(n);
	}
	if (*error)
		return NULL;
	f = file_new(&disk_ops, flags, n);
	if (!f) {
		node_put(n);
		*error = -ENFILE;
	}
	return f;
}

int file_open(const char *path, int flags)
{
	struct file *f;
	int fd, error = -ENFILE;

	while (*path == '/')
		path++;
	if (!strcmp(path, "dev/console"))
		f = file_new(&tty_ops, flags, NULL);
	else
		f = open_node(path, flags, &error);
	if (!f)
		return error;
	fd = file_install(f);
	if (fd < 0)
		file_put(f);
	return fd;
}

long file_seek(unsigned int fd, uint64_t offset)
{
	struct file *f = lookup(fd);

	if (!f)
		return -EBADF;
	if (offset > INT64_MAX)
		return -EINVAL;
	f->offset = offset;
	return (long)offset;
}
