/* SPDX-License-Identifier: MIT */
/*
 * A raw file or a block device as storage; see blkstore.h.
 *
 * Which requests are done at once, in the caller's thread:
 *   reads    what the page cache has (RWF_NOWAIT); on a file system in memory, which does not know
 *            that flag, all of them by a plain call, for there is nothing to wait for, or without
 *            one (blkstore_map.h)
 *   writes   by RWF_NOWAIT where the file system knows it for writes; else a plain write into the
 *            page cache, as long as that has been quick: see write_now()
 *   flushes  when nothing was written since the last one, and on a file system in memory
 * With direct I/O nothing is, except on a file system in memory.
 *
 * Invariant: a flush that has failed once fails for ever. The kernel forgets the pages that it could
 * not write, so a later fdatasync() that succeeds would promise what is not so.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "backends/blkaio.h"
#include "backends/blkstore_file.h"
#include "backends/blkstore_map.h"

#define TMPFS_MAGIC_NR 0x01021994
#define RAMFS_MAGIC_NR 0x858458f6

/* A plain write that took longer was one that waited; for so many times as long nobody tries again. */
#define SLOW_WRITE_NS   UINT64_C(1000000)
#define BACK_OFF_FACTOR 8u

struct file_store {
	struct blkstore s;
	int fd;
	bool is_device;
	bool in_memory; /* its file system keeps all in memory */
	bool direct;
	unsigned memory_align; /* of buffers, for direct I/O */
	const struct blkstore_file_calls *calls;
	struct blkaio *aio;
	struct blkmap *map; /* NULL: none */
	_Atomic uint64_t size;
	atomic_bool no_read_now, no_write_now; /* RWF_NOWAIT is not known */
	_Atomic uint64_t plain_from_ns;        /* no plain write before that time */

	/* Which writes a flush must cover. */
	_Atomic uint64_t written; /* writes and discards that were answered */
	_Atomic uint64_t flushed; /* value of `written` that the last good flush began with */
	atomic_int flush_error;   /* of the first one that failed */
};

static struct file_store *file_of(struct blkstore *s)
{
	return (struct file_store *)s;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* ---- transfers ------------------------------------------------------------------------------ */

/* One call. Bytes, or a negative errno. */
static ssize_t transfer_some(struct file_store *f, enum blkstore_op op, const struct iovec *iov,
                             unsigned nr, uint64_t offset, int flags)
{
	bool is_write = op == BLKSTORE_WRITE;
	ssize_t n;

	do {
		/* The simple calls are a tenth faster than those with vectors. */
		if (flags)
			n = (is_write ? f->calls->pwritev2 : f->calls->preadv2)(
				f->fd, iov, (int)nr, (off_t)offset, flags);
		else if (nr == 1 && is_write)
			n = f->calls->pwrite(f->fd, iov->iov_base, iov->iov_len, (off_t)offset);
		else if (nr == 1)
			n = f->calls->pread(f->fd, iov->iov_base, iov->iov_len, (off_t)offset);
		else
			n = (is_write ? f->calls->pwritev : f->calls->preadv)(f->fd, iov, (int)nr,
			                                                      (off_t)offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Leaves out the first n bytes of the vector. */
static void advance(struct iovec **iov, unsigned *nr, size_t n)
{
	while (*nr && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*nr)--;
	}
	if (*nr) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

/* The whole of it, in as many calls as it takes. */
static int transfer(struct file_store *f, enum blkstore_op op, struct iovec *iov, unsigned nr,
                    uint64_t offset)
{
	while (nr) {
		ssize_t n = transfer_some(f, op, iov, nr, offset, 0);

		if (n < 0)
			return (int)n;
		/* The file has become shorter than we were told, or takes nothing: both are lost. */
		if (n == 0)
			return -EIO;
		offset += (uint64_t)n;
		advance(&iov, &nr, (size_t)n);
	}
	return 0;
}

/* Direct I/O from or to memory that is not aligned as it must be: by way of some that is. */
static int bounce(struct file_store *f, struct blkstore_req *req)
{
	char *memory = aligned_alloc(4096, (req->len + 4095) & ~UINT64_C(4095)), *at = memory;
	struct iovec whole = { memory, req->len };
	int rc;

	if (!memory)
		return -ENOMEM;
	for (unsigned i = 0; req->op == BLKSTORE_WRITE && i < req->nr_iov; i++) {
		memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	rc = transfer(f, req->op, &whole, 1, req->offset);
	at = memory;
	for (unsigned i = 0; !rc && req->op == BLKSTORE_READ && i < req->nr_iov; i++) {
		memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
	free(memory);
	return rc;
}

static bool is_aligned(const struct file_store *f, const struct blkstore_req *req)
{
	if (!f->direct)
		return true;
	for (unsigned i = 0; i < req->nr_iov; i++)
		if ((((uintptr_t)req->iov[i].iov_base) | req->iov[i].iov_len) &
		    (f->memory_align - 1))
			return false;
	return true;
}

static int discard(struct file_store *f, const struct blkstore_req *req)
{
	uint64_t range[2] = { req->offset, req->len };
	int rc;

	if (f->map)
		blkmap_forget(f->map, req->offset, req->len);
	if (f->is_device)
		rc = ioctl(f->fd, BLKDISCARD, range);
	else
		rc = f->calls->fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                         (off_t)req->offset, (off_t)req->len);
	return rc ? -errno : 0;
}

/* ---- flushes -------------------------------------------------------------------------------- */

/* Whether every write that was answered is covered by a flush that succeeded. */
static bool is_clean(struct file_store *f)
{
	return atomic_load(&f->flushed) == atomic_load(&f->written);
}

/* What link[2] of a flush keeps: how many writes it covers. */
static void begin_flush(struct file_store *f, struct blkstore_req *req)
{
	req->link[2] = (void *)(uintptr_t)atomic_load(&f->written);
}

static int end_flush(struct file_store *f, const struct blkstore_req *req, int rc)
{
	uint64_t covered = (uintptr_t)req->link[2], before = atomic_load(&f->flushed);
	int none = 0;

	if (rc)
		atomic_compare_exchange_strong(&f->flush_error, &none, rc);
	rc = atomic_load(&f->flush_error);
	/* Several flushes may end in any order: only forward. */
	while (!rc && before < covered &&
	       !atomic_compare_exchange_weak(&f->flushed, &before, covered))
		;
	return rc;
}

static int flush(struct file_store *f)
{
	return f->calls->fdatasync(f->fd) ? -errno : 0;
}

static int flush_now(struct file_store *f, struct blkstore_req *req)
{
	int rc = atomic_load(&f->flush_error);

	if (rc || is_clean(f))
		return rc;
	if (!f->in_memory)
		return -EAGAIN;
	begin_flush(f, req);
	return end_flush(f, req, flush(f));
}

/* ---- what can be done at once ---------------------------------------------------------------- */

/* A result of a call that moved bytes: all, a part (the rest would wait), or an error. */
static int result(const struct blkstore_req *req, ssize_t n)
{
	if (n == (ssize_t)req->len)
		return 0;
	return n >= 0 ? -EAGAIN : (int)n;
}

/* Whether the file system does not know RWF_NOWAIT: then never again. */
static bool is_unknown(int rc, atomic_bool *never)
{
	if (rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EINVAL)
		return false;
	atomic_store(never, true);
	return true;
}

/* There is nothing to wait for: by the mapping where it is known to have pages, else by a call. */
static int transfer_in_memory(struct file_store *f, struct blkstore_req *req)
{
	int rc;

	if (f->map && blkmap_transfer(f->map, req))
		return 0;
	rc = result(req, transfer_some(f, req->op, req->iov, req->nr_iov, req->offset, 0));
	if (!rc && f->map)
		blkmap_learn(f->map, req);
	return rc;
}

static int read_now(struct file_store *f, struct blkstore_req *req)
{
	int rc;

	if (f->in_memory)
		return transfer_in_memory(f, req);
	if (f->direct || atomic_load_explicit(&f->no_read_now, memory_order_relaxed))
		return -EAGAIN;
	rc = result(req, transfer_some(f, BLKSTORE_READ, req->iov, req->nr_iov, req->offset,
	                               RWF_NOWAIT));
	return is_unknown(rc, &f->no_read_now) ? -EAGAIN : rc;
}

/*
 * A plain write into the page cache. Most are a copy, some wait: for a page to be read, for room in
 * the journal, for others' dirty pages. One that was slow forbids them for eight times as long, so
 * that of all time at most a ninth is lost by waiting here.
 */
static int write_plainly(struct file_store *f, struct blkstore_req *req)
{
	uint64_t began = now_ns(), took;
	ssize_t n;

	if (began < atomic_load_explicit(&f->plain_from_ns, memory_order_relaxed))
		return -EAGAIN;
	n = transfer_some(f, BLKSTORE_WRITE, req->iov, req->nr_iov, req->offset, 0);
	took = now_ns() - began;
	if (took > SLOW_WRITE_NS)
		atomic_store(&f->plain_from_ns, began + took + BACK_OFF_FACTOR * took);
	return result(req, n);
}

static int write_now(struct file_store *f, struct blkstore_req *req)
{
	int rc;

	if (f->s.readonly)
		return -EROFS;
	if (f->in_memory)
		return transfer_in_memory(f, req);
	if (f->direct)
		return -EAGAIN;
	if (!atomic_load_explicit(&f->no_write_now, memory_order_relaxed)) {
		rc = result(req, transfer_some(f, BLKSTORE_WRITE, req->iov, req->nr_iov,
		                               req->offset, RWF_NOWAIT));
		if (!is_unknown(rc, &f->no_write_now))
			return rc;
	}
	return write_plainly(f, req);
}

static int try_now(struct blkstore *s, struct blkstore_req *req)
{
	struct file_store *f = file_of(s);
	int rc;

	switch (req->op) {
	case BLKSTORE_READ:
		return read_now(f, req);
	case BLKSTORE_WRITE:
		rc = write_now(f, req);
		if (!rc)
			atomic_fetch_add(&f->written, 1);
		return rc;
	case BLKSTORE_FLUSH:
		return flush_now(f, req);
	default:
		return f->s.readonly ? -EROFS : -EAGAIN;
	}
}

/* ---- what waits ------------------------------------------------------------------------------ */

/* blkaio_target: the whole of a request, however long it takes. */
static int perform(void *arg, struct blkstore_req *req)
{
	struct file_store *f = arg;

	switch (req->op) {
	case BLKSTORE_READ:
	case BLKSTORE_WRITE:
		if (!is_aligned(f, req))
			return bounce(f, req);
		return transfer(f, req->op, req->iov, req->nr_iov, req->offset);
	case BLKSTORE_FLUSH:
		return flush(f);
	default:
		return discard(f, req);
	}
}

static int finish(void *arg, struct blkstore_req *req, int rc)
{
	struct file_store *f = arg;

	if (req->op == BLKSTORE_FLUSH)
		return end_flush(f, req, rc);
	if (!rc && req->op != BLKSTORE_READ)
		atomic_fetch_add(&f->written, 1);
	return rc;
}

static bool is_special(void *arg, const struct blkstore_req *req)
{
	struct file_store *f = arg;

	return (req->op == BLKSTORE_DISCARD && (f->is_device || f->map)) ||
	       (req->op <= BLKSTORE_WRITE && !is_aligned(f, req));
}

static void submit(struct blkstore *s, struct blkstore_req *req, bool batch)
{
	struct file_store *f = file_of(s);

	if (req->op == BLKSTORE_FLUSH)
		begin_flush(f, req);
	if (f->s.readonly && (req->op == BLKSTORE_WRITE || req->op == BLKSTORE_DISCARD))
		req->done(req, -EROFS);
	else
		f->aio->ops->submit(f->aio, req, batch);
}

static void kick(struct blkstore *s)
{
	struct file_store *f = file_of(s);

	f->aio->ops->kick(f->aio);
}

/* ---- size ------------------------------------------------------------------------------------ */

static uint64_t size(struct blkstore *s)
{
	return atomic_load(&file_of(s)->size);
}

static int refresh(struct blkstore *s)
{
	struct file_store *f = file_of(s);
	struct stat st;
	uint64_t bytes;

	if (f->is_device ? ioctl(f->fd, BLKGETSIZE64, &bytes) : fstat(f->fd, &st))
		return -errno;
	if (!f->is_device)
		bytes = (uint64_t)st.st_size;
	/* What is left over at the end is less than a block: nobody can ask for it. */
	atomic_store(&f->size, bytes - bytes % s->block);
	return 0;
}

static void close_file(struct blkstore *s)
{
	struct file_store *f = file_of(s);

	if (f->aio)
		f->aio->ops->close(f->aio);
	if (f->map)
		blkmap_close(f->map);
	close(f->fd);
	free(f);
}

static const struct blkstore_ops file_ops = {
	.try = try_now,
	.submit = submit,
	.kick = kick,
	.size = size,
	.refresh = refresh,
	.close = close_file,
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool in_memory(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) &&
	       ((uint32_t)fs.f_type == TMPFS_MAGIC_NR || (uint32_t)fs.f_type == RAMFS_MAGIC_NR);
}

const struct blkstore_file_calls blkstore_file_kernel = {
	.pread = pread,
	.pwrite = pwrite,
	.preadv = preadv,
	.pwritev = pwritev,
	.preadv2 = preadv2,
	.pwritev2 = pwritev2,
	.fdatasync = fdatasync,
	.fallocate = fallocate,
	.in_memory = in_memory,
};

struct opening {
	const char *path;
	const struct blkstore_file_options *options;
	char *why;
	size_t why_len;
};

static int refuse(const struct opening *o, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int refuse(const struct opening *o, int rc, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(o->why, o->why_len, "disk %.500s: ", o->path);

	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < o->why_len)
		vsnprintf(o->why + n, o->why_len - (size_t)n, fmt, ap);
	va_end(ap);
	return rc;
}

static int open_path(struct file_store *f, const struct opening *o)
{
	int flags = (o->options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK |
	            (o->options->direct ? O_DIRECT : 0);
	struct stat st;
	int rc;

	f->fd = open(o->path, flags);
	if (f->fd < 0 && errno == EINVAL && o->options->direct)
		return refuse(o, -EINVAL, "its file system knows no direct I/O; leave out direct");
	if (f->fd < 0 && (errno == EACCES || errno == EROFS) && !o->options->readonly)
		return refuse(o, -errno,
		              "it cannot be opened for writing: %s; add ,ro or get leave",
		              strerror(errno));
	if (f->fd < 0 || fstat(f->fd, &st)) {
		rc = -errno;
		return refuse(o, rc, "it cannot be opened: %s; name a file or a block device",
		              strerror(-rc));
	}
	f->is_device = S_ISBLK(st.st_mode);
	if (!f->is_device && !S_ISREG(st.st_mode))
		return refuse(o, -ENOTBLK, "it is neither a file nor a block device; name one");
	/* Only so that opening a pipe does not wait; io_uring would not wait for data either. */
	fcntl(f->fd, F_SETFL, flags & ~O_NONBLOCK);
	return 0;
}

/*
 * Nobody else shall write what we use, nor use what we write: a lock of this open file, which qemu's
 * own locks meet. File systems without locks are used without.
 */
static int lock(struct file_store *f, const struct opening *o)
{
	struct flock l = { .l_type = o->options->readonly ? F_RDLCK : F_WRLCK,
		           .l_whence = SEEK_SET };

	if (!fcntl(f->fd, F_OFD_SETLK, &l) || (errno != EAGAIN && errno != EACCES))
		return 0;
	return refuse(o, -EBUSY,
	              o->options->readonly
	                      ? "somebody writes it; end that first"
	                      : "it is in use already; end that first, or let all use it with ,ro");
}

/* What direct I/O asks of offsets and buffers; *offset_align 0: no direct I/O. */
static void direct_alignment(struct file_store *f, unsigned *offset_align)
{
	struct statx sx;

	*offset_align = 512;
	f->memory_align = 512;
	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    (sx.stx_mask & STATX_DIOALIGN) && sx.stx_dio_offset_align) {
		*offset_align = sx.stx_dio_offset_align;
		f->memory_align = sx.stx_dio_mem_align;
	}
}

static int set_blocks(struct file_store *f, const struct opening *o)
{
	unsigned least = 512, logical = 512, physical = 512;

	f->memory_align = 1;
	if (f->is_device &&
	    (ioctl(f->fd, BLKSSZGET, &logical) || ioctl(f->fd, BLKPBSZGET, &physical)))
		logical = physical = 512;
	if (o->options->direct)
		direct_alignment(f, &least);
	if (o->options->direct && logical > least)
		least = logical;
	if (!f->is_device)
		physical = 4096;
	f->s.block = o->options->block ? o->options->block : (logical > least ? logical : least);
	if (f->s.block < least || (f->s.block != 512 && f->s.block != 4096))
		return refuse(
			o, -EINVAL,
			"blocks of %u bytes do not go with it; it takes %u, a disk 512 or 4096",
			f->s.block, least);
	f->s.physical_block = physical > f->s.block ? physical : f->s.block;
	return 0;
}

/* A number in the device's folder of sysfs, or 0. */
static unsigned long device_limit(dev_t dev, const char *name)
{
	char path[96], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/%s", major(dev), minor(dev), name);
	file = fopen(path, "re");
	if (!file) {
		/* A partition: its disk's. */
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/%s", major(dev),
		         minor(dev), name);
		file = fopen(path, "re");
	}
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	return strtoul(text, NULL, 10);
}

/* Tried out where that changes nothing: beyond the end of the file. */
static bool file_can_punch(const struct file_store *f)
{
	uint64_t end = (atomic_load(&f->size) + 4095) & ~UINT64_C(4095);

	return !f->calls->fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)end,
	                            4096);
}

static void set_features(struct file_store *f)
{
	struct stat st;

	f->s.can_flush = true;
	f->s.discard_granularity = f->s.physical_block;
	if (f->s.readonly || fstat(f->fd, &st))
		return;
	if (!f->is_device) {
		f->s.can_discard = file_can_punch(f);
	} else if (device_limit(st.st_rdev, "discard_max_bytes")) {
		f->s.can_discard = true;
		f->s.discard_granularity = (unsigned)device_limit(st.st_rdev,
		                                                  "discard_granularity");
	}
}

static int open_aio(struct file_store *f, const struct opening *o)
{
	struct blkaio_target target = { .fd = f->fd,
		                        .perform = perform,
		                        .finish = finish,
		                        .is_special = is_special,
		                        .arg = f };
	int rc = o->options->no_uring ? -ENOSYS : blkaio_open_uring(&f->aio, &target);

	/* Forbidden, unknown, or short of something: threads can do all of it. */
	if (rc)
		rc = blkaio_open_threads(&f->aio, &target);
	return rc ? refuse(o, rc, "no thread can be made for it: %s; allow more processes",
	                   strerror(-rc))
	          : 0;
}

static int open_all(struct file_store *f, const struct opening *o)
{
	int rc = open_path(f, o);

	if (!rc)
		rc = lock(f, o);
	if (!rc)
		rc = set_blocks(f, o);
	if (rc)
		return rc;
	rc = refresh(&f->s);
	if (rc)
		return refuse(o, rc, "its size cannot be found: %s", strerror(-rc));
	if (!atomic_load(&f->size))
		return refuse(
			o, -EINVAL,
			"it has less than one block of %u bytes; make it larger (truncate -s)",
			f->s.block);
	set_features(f);
	return open_aio(f, o);
}

int blkstore_open_file_with(struct blkstore **out, const char *path,
                            const struct blkstore_file_options *options,
                            const struct blkstore_file_calls *calls, char *why, size_t why_len)
{
	struct opening o = { path, options, why, why_len };
	struct file_store *f = calloc(1, sizeof(*f));
	int rc;

	if (!f)
		return refuse(&o, -ENOMEM, "memory is short; free some");
	f->s = (struct blkstore){ .ops = &file_ops, .kind = "file", .readonly = options->readonly };
	f->fd = -1;
	f->calls = calls;
	f->direct = options->direct;
	rc = open_all(f, &o);
	if (rc) {
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return rc;
	}
	f->in_memory = calls->in_memory(f->fd);
	if (f->in_memory && !f->is_device)
		f->map = blkmap_open(f->fd, atomic_load(&f->size), f->s.readonly);
	*out = &f->s;
	return 0;
}

int blkstore_open_file(struct blkstore **out, const char *path,
                       const struct blkstore_file_options *options, char *why, size_t why_len)
{
	return blkstore_open_file_with(out, path, options, &blkstore_file_kernel, why, why_len);
}
