/* SPDX-License-Identifier: MIT */
/*
 * Storage of the block back-end: files, with each way of waiting, and memory (backends/blkstore_*.c).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/blkaio.h"
#include "backends/blkstore_file.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SIZE         (1u << 20)

static struct blkstore *s;
static char path[64], why[1024];
static uint8_t *memory; /* 64 pages, for requests */

/* ---- calls of the kernel, counted and spoilt ------------------------------------------------------ */

static atomic_uint syncs, reads, punches, nowaits;
static atomic_int sync_error, read_error, write_error;
static atomic_bool reads_half, reads_nothing, says_memory, knows_no_nowait;

static ssize_t spoilt(const atomic_int *error, ssize_t len)
{
	if (atomic_load(error)) {
		errno = atomic_load(error);
		return -1;
	}
	return atomic_load(&reads_nothing) ? 0 : len;
}

static ssize_t fake_pread(int fd, void *buf, size_t len, off_t offset)
{
	atomic_fetch_add(&reads, 1);
	if (atomic_load(&reads_half) && len > 512)
		len = len / 1024 * 512;
	if (spoilt(&read_error, 1) != 1)
		return spoilt(&read_error, 1);
	return pread(fd, buf, len, offset);
}

static ssize_t fake_preadv(int fd, const struct iovec *iov, int nr, off_t offset)
{
	(void)nr;
	return fake_pread(fd, iov->iov_base, iov->iov_len, offset);
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	if (atomic_load(&reads_half) && len > 512)
		len = len / 1024 * 512;
	if (spoilt(&write_error, 1) != 1)
		return spoilt(&write_error, 1);
	return pwrite(fd, buf, len, offset);
}

static ssize_t fake_pwritev(int fd, const struct iovec *iov, int nr, off_t offset)
{
	(void)nr;
	return fake_pwrite(fd, iov->iov_base, iov->iov_len, offset);
}

static ssize_t fake_preadv2(int fd, const struct iovec *iov, int nr, off_t offset, int flags)
{
	atomic_fetch_add(&nowaits, 1);
	ck_assert_int_eq(flags, RWF_NOWAIT);
	if (atomic_load(&knows_no_nowait)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return fake_preadv(fd, iov, nr, offset);
}

static ssize_t fake_pwritev2(int fd, const struct iovec *iov, int nr, off_t offset, int flags)
{
	ck_assert_int_eq(flags, RWF_NOWAIT);
	if (atomic_load(&knows_no_nowait)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return fake_pwritev(fd, iov, nr, offset);
}

static int fake_fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (atomic_load(&sync_error)) {
		errno = atomic_load(&sync_error);
		return -1;
	}
	return fdatasync(fd);
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t len)
{
	atomic_fetch_add(&punches, 1);
	return fallocate(fd, mode, offset, len);
}

static bool fake_in_memory(int fd)
{
	(void)fd;
	return atomic_load(&says_memory);
}

static const struct blkstore_file_calls fake = {
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.preadv = fake_preadv,
	.pwritev = fake_pwritev,
	.preadv2 = fake_preadv2,
	.pwritev2 = fake_pwritev2,
	.fdatasync = fake_fdatasync,
	.fallocate = fake_fallocate,
	.in_memory = fake_in_memory,
};

/* ---- requests ---------------------------------------------------------------------------------------- */

struct asked {
	struct blkstore_req req; /* first */
	struct iovec iov[8];
	atomic_int rc; /* 1: not yet */
};

static void on_done(struct blkstore_req *req, int rc)
{
	struct asked *a = (struct asked *)req;

	ck_assert_int_eq(atomic_load(&a->rc), 1);
	atomic_store(&a->rc, rc);
}

static void prepare(struct asked *a, enum blkstore_op op, uint64_t offset, void *at, size_t len)
{
	memset(a, 0, sizeof(*a));
	a->req = (struct blkstore_req){ .op = op, .offset = offset, .len = len, .done = on_done };
	if (at) {
		a->iov[0] = (struct iovec){ at, len };
		a->req.iov = a->iov;
		a->req.nr_iov = 1;
	}
	a->rc = 1;
}

static int wait_for(struct asked *a)
{
	for (unsigned i = 0; i < 50000 && atomic_load(&a->rc) == 1; i++)
		usleep(200);
	return atomic_load(&a->rc);
}

/* By another thread. */
static int ask(enum blkstore_op op, uint64_t offset, void *at, size_t len)
{
	struct asked *a = calloc(1, sizeof(*a));
	int rc;

	prepare(a, op, offset, at, len);
	s->ops->submit(s, &a->req, false);
	rc = wait_for(a);
	free(a);
	return rc;
}

/* At once, or else by another thread. */
static int now_or_later(enum blkstore_op op, uint64_t offset, void *at, size_t len)
{
	struct asked a;
	int rc;

	prepare(&a, op, offset, at, len);
	rc = s->ops->try(s, &a.req);
	return rc == -EAGAIN ? ask(op, offset, at, len) : rc;
}

static int try_now(enum blkstore_op op, uint64_t offset, void *at, size_t len)
{
	struct asked a;

	prepare(&a, op, offset, at, len);
	return s->ops->try(s, &a.req);
}

/* ---- worlds ---------------------------------------------------------------------------------------------- */

enum kind { THREADS, URING, TMPFS_THREADS, TMPFS_URING, DIRECT, MEMORY, NR_KINDS };

static const char *folder_of(enum kind kind)
{
	return kind == TMPFS_THREADS || kind == TMPFS_URING ? "/dev/shm" : "/tmp";
}

static void make_file(const char *folder, size_t size)
{
	int fd;

	snprintf(path, sizeof(path), "%s/paravane-test.XXXXXX", folder);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void begin(void)
{
	atomic_store(&syncs, 0);
	atomic_store(&reads, 0);
	atomic_store(&punches, 0);
	atomic_store(&nowaits, 0);
	sync_error = read_error = write_error = 0;
	reads_half = reads_nothing = says_memory = knows_no_nowait = false;
	memory = aligned_alloc(4096, 64 * 4096);
	memset(memory, 0, 64 * 4096);
	path[0] = 0;
	s = NULL;
}

static void end(void)
{
	if (s)
		s->ops->close(s);
	if (path[0])
		unlink(path);
	free(memory);
}

/* False: not on this machine. */
static bool open_kind(enum kind kind)
{
	struct blkstore_file_options o = { .direct = kind == DIRECT,
		                           .no_uring = kind == THREADS || kind == TMPFS_THREADS };
	int rc;

	if (kind == MEMORY)
		return !blkstore_open_memory(&s, SIZE, 512, why, sizeof(why));
	make_file(folder_of(kind), SIZE);
	rc = blkstore_open_file(&s, path, &o, why, sizeof(why));
	ck_assert_msg(!rc || (kind == DIRECT && rc == -EINVAL), "%s", why);
	return !rc;
}

static void open_fake(void)
{
	struct blkstore_file_options o = { .no_uring = true };

	make_file("/tmp", SIZE);
	ck_assert_int_eq(blkstore_open_file_with(&s, path, &o, &fake, why, sizeof(why)), 0);
	atomic_store(&punches, 0);
}

/* ---- normal ------------------------------------------------------------------------------------------------- */

START_TEST(what_is_written_is_read)
{
	if (!open_kind((enum kind)_i))
		return;
	ck_assert_uint_eq(s->ops->size(s), SIZE);
	for (unsigned i = 0; i < 16; i++) {
		uint64_t at = (uint64_t)i * 7 % 16 * 65536;

		memset(memory, (int)(i + 1), 65536);
		ck_assert_int_eq(now_or_later(BLKSTORE_WRITE, at, memory, 65536 - 4096 * (i % 3)),
		                 0);
	}
	for (unsigned i = 0; i < 16; i++) {
		uint64_t at = (uint64_t)i * 7 % 16 * 65536;

		ck_assert_int_eq(i % 2 ? ask(BLKSTORE_READ, at, memory, 4096)
		                       : now_or_later(BLKSTORE_READ, at, memory, 4096),
		                 0);
		ck_assert_uint_eq(memory[0], i + 1);
		ck_assert_uint_eq(memory[4095], i + 1);
	}
	ck_assert_int_eq(now_or_later(BLKSTORE_FLUSH, 0, NULL, 0), 0);
}
END_TEST

/* More at once than a ring of io_uring holds, each in pieces, all of them kicked once. */
START_TEST(many_at_once_in_pieces)
{
	enum { NR = 400 };
	struct asked *a = calloc(NR, sizeof(*a));

	if (!open_kind((enum kind)_i)) {
		free(a);
		return;
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < NR; i++) {
			enum blkstore_op op = round ? BLKSTORE_READ : BLKSTORE_WRITE;
			unsigned page = i % 64;

			/* The same bytes wherever they go: pieces of one page in another order. */
			prepare(&a[i], op, (uint64_t)(i % 256) * 4096, memory + page * 4096, 4096);
			memset(memory + page * 4096, (int)page + 1, round ? 0 : 4096);
			a[i].iov[0].iov_len = 512;
			a[i].iov[1] = (struct iovec){ memory + page * 4096 + 512, 3072 };
			a[i].iov[2] = (struct iovec){ memory + page * 4096 + 3584, 512 };
			a[i].req.nr_iov = 3;
			s->ops->submit(s, &a[i].req, true);
		}
		s->ops->kick(s);
		for (unsigned i = 0; i < NR; i++)
			ck_assert_int_eq(wait_for(&a[i]), 0);
	}
	for (unsigned page = 0; page < 64; page++)
		ck_assert_uint_eq(memory[page * 4096 + 4095], page + 1);
	free(a);
}
END_TEST

START_TEST(closing_waits_for_what_is_under_way)
{
	enum { NR = 64 };
	struct asked *a = calloc(NR, sizeof(*a));

	if (open_kind((enum kind)_i)) {
		for (unsigned i = 0; i < NR; i++) {
			prepare(&a[i], BLKSTORE_WRITE, i * 4096, memory, 4096);
			s->ops->submit(s, &a[i].req, i + 1 < NR);
		}
		s->ops->close(s);
		s = NULL;
		for (unsigned i = 0; i < NR; i++)
			ck_assert_int_eq(atomic_load(&a[i].rc), 0);
	}
	free(a);
}
END_TEST

START_TEST(a_discard_gives_space_back)
{
	struct stat before, after;

	if (!open_kind((enum kind)_i) || !s->can_discard)
		return;
	memset(memory, 0xaa, 65536);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_int_eq(now_or_later(BLKSTORE_WRITE, i * 65536, memory, 65536), 0);
	ck_assert_int_eq(now_or_later(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	if (_i != MEMORY)
		ck_assert_int_eq(stat(path, &before), 0);
	ck_assert_int_eq(now_or_later(BLKSTORE_DISCARD, 65536, NULL, 8 * 65536), 0);
	ck_assert_int_eq(now_or_later(BLKSTORE_READ, 65536, memory, 4096), 0);
	ck_assert_uint_eq(memory[0] | memory[4095], 0);
	ck_assert_int_eq(now_or_later(BLKSTORE_READ, 0, memory, 65536), 0);
	ck_assert_uint_eq(memory[65535], 0xaa);
	if (_i != MEMORY) {
		ck_assert_int_eq(stat(path, &after), 0);
		ck_assert_int_lt(after.st_blocks, before.st_blocks);
		ck_assert_int_eq(after.st_size, SIZE);
	}
}
END_TEST

START_TEST(a_new_size_is_seen_when_it_is_looked_at)
{
	ck_assert(open_kind(URING));
	ck_assert_int_eq(truncate(path, 2 * SIZE + 100), 0);
	ck_assert_uint_eq(s->ops->size(s), SIZE);
	ck_assert_int_eq(s->ops->refresh(s), 0);
	ck_assert_uint_eq(s->ops->size(s), 2 * SIZE);
}
END_TEST

START_TEST(reading_a_hole_does_not_fill_it)
{
	struct stat st;

	ck_assert(open_kind(TMPFS_URING));
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 16; i++)
			ck_assert_int_eq(try_now(BLKSTORE_READ, i * 65536, memory, 65536), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
	/* What a discard has made a hole is one, though it was known to have pages. */
	for (unsigned round = 0; round < 3; round++)
		ck_assert_int_eq(try_now(BLKSTORE_WRITE, 4096, memory, 4096), 0);
	ck_assert_int_eq(ask(BLKSTORE_DISCARD, 0, NULL, 8192), 0);
	ck_assert_int_eq(try_now(BLKSTORE_READ, 4096, memory, 4096), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
}
END_TEST

/* ---- flushes ---------------------------------------------------------------------------------------------- */

START_TEST(a_flush_is_an_fdatasync)
{
	open_fake();
	ck_assert_int_eq(now_or_later(BLKSTORE_WRITE, 0, memory, 4096), 0);
	ck_assert_uint_eq(syncs, 0);
	ck_assert_int_eq(try_now(BLKSTORE_FLUSH, 0, NULL, 0), -EAGAIN);
	ck_assert_uint_eq(syncs, 0);
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	ck_assert_uint_eq(syncs, 1);
	/* Nothing was written since: nothing is to be done. */
	ck_assert_int_eq(try_now(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	ck_assert_uint_eq(syncs, 1);
	ck_assert_int_eq(ask(BLKSTORE_DISCARD, 0, NULL, 4096), 0);
	ck_assert_int_eq(try_now(BLKSTORE_FLUSH, 0, NULL, 0), -EAGAIN);
}
END_TEST

START_TEST(a_flush_in_memory_is_an_fdatasync_at_once)
{
	atomic_store(&says_memory, true);
	open_fake();
	ck_assert_int_eq(try_now(BLKSTORE_WRITE, 0, memory, 4096), 0);
	ck_assert_int_eq(try_now(BLKSTORE_FLUSH, 0, NULL, 0), 0);
	ck_assert_uint_eq(syncs, 1);
}
END_TEST

START_TEST(a_flush_that_failed_fails_for_ever)
{
	open_fake();
	ck_assert_int_eq(now_or_later(BLKSTORE_WRITE, 0, memory, 4096), 0);
	atomic_store(&sync_error, EIO);
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), -EIO);
	/* The kernel would say that all is well now: it has forgotten the pages. */
	atomic_store(&sync_error, 0);
	ck_assert_int_eq(ask(BLKSTORE_FLUSH, 0, NULL, 0), -EIO);
	ck_assert_int_eq(try_now(BLKSTORE_FLUSH, 0, NULL, 0), -EIO);
}
END_TEST

static int nothing(void *arg, struct blkstore_req *req, int rc)
{
	(void)arg;
	(void)req;
	return rc;
}

static bool never(void *arg, const struct blkstore_req *req)
{
	(void)arg;
	(void)req;
	return false;
}

/* A pipe knows no fdatasync: that the kernel says so shows that it was asked. */
START_TEST(io_uring_asks_the_kernel_for_an_fdatasync)
{
	struct blkaio_target t = { .finish = nothing, .is_special = never };
	struct blkaio *aio;
	struct asked a;
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	t.fd = fd[0];
	if (!blkaio_open_uring(&aio, &t)) {
		prepare(&a, BLKSTORE_FLUSH, 0, NULL, 0);
		aio->ops->submit(aio, &a.req, false);
		ck_assert_int_eq(wait_for(&a), -EINVAL);
		aio->ops->close(aio);
	}
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* ---- limits ------------------------------------------------------------------------------------------------ */

START_TEST(a_short_transfer_goes_on)
{
	open_fake();
	atomic_store(&reads_half, true);
	memset(memory, 7, 16384);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 0, memory, 16384), 0);
	memset(memory, 0, 16384);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 16384), 0);
	ck_assert_uint_eq(memory[16383], 7);
	ck_assert_uint_gt(reads, 3);
}
END_TEST

START_TEST(a_part_in_the_cache_is_no_answer)
{
	open_fake();
	atomic_store(&reads_half, true);
	ck_assert_int_eq(try_now(BLKSTORE_READ, 0, memory, 16384), -EAGAIN);
	ck_assert_uint_eq(nowaits, 1);
}
END_TEST

START_TEST(without_nowait_a_read_from_a_disk_waits_elsewhere)
{
	open_fake();
	atomic_store(&knows_no_nowait, true);
	ck_assert_int_eq(try_now(BLKSTORE_READ, 0, memory, 4096), -EAGAIN);
	ck_assert_int_eq(try_now(BLKSTORE_READ, 0, memory, 4096), -EAGAIN);
	/* It is asked for once. */
	ck_assert_uint_eq(nowaits, 1);
	ck_assert_uint_eq(reads, 0);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
}
END_TEST

static const struct {
	int read, write, rc;
	bool nothing;
} errors[] = {
	{ EIO, 0, -EIO, false },
	{ 0, ENOSPC, -ENOSPC, false },
	{ 0, EDQUOT, -EDQUOT, false },
	{ 0, 0, -EIO, true },
};

START_TEST(an_error_is_the_request_s)
{
	enum blkstore_op op = errors[_i].read || errors[_i].nothing ? BLKSTORE_READ
	                                                            : BLKSTORE_WRITE;

	open_fake();
	atomic_store(&read_error, errors[_i].read);
	atomic_store(&write_error, errors[_i].write);
	atomic_store(&reads_nothing, errors[_i].nothing);
	ck_assert_int_eq(ask(op, 0, memory, 4096), errors[_i].rc);
	atomic_store(&read_error, 0);
	atomic_store(&write_error, 0);
	atomic_store(&reads_nothing, false);
	ck_assert_int_eq(ask(op, 0, memory, 4096), 0);
}
END_TEST

START_TEST(a_file_that_became_shorter_gives_errors)
{
	if (!open_kind((enum kind)_i))
		return;
	/* So that it is known, and mapped, where it can be. */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(now_or_later(BLKSTORE_WRITE, 65536, memory, 4096), 0);
	ck_assert_int_eq(truncate(path, 4096), 0);
	ck_assert_int_eq(now_or_later(BLKSTORE_READ, 65536, memory, 4096), -EIO);
	ck_assert_int_eq(ask(BLKSTORE_READ, 65536, memory, 4096), -EIO);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 8192), -EIO);
	ck_assert_int_eq(now_or_later(BLKSTORE_READ, 65536, memory, 4096), -EIO);
	ck_assert_int_eq(ask(BLKSTORE_READ, 0, memory, 4096), 0);
}
END_TEST

START_TEST(direct_from_memory_that_is_not_aligned)
{
	if (!open_kind(DIRECT))
		return;
	memset(memory, 9, 16384);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 4096, memory + 8, 8192), 0);
	ck_assert_int_eq(ask(BLKSTORE_READ, 4096, memory + 32768 + 24, 8192), 0);
	ck_assert_uint_eq(memory[32768 + 24 + 8191], 9);
}
END_TEST

/* ---- opening ----------------------------------------------------------------------------------------------- */

START_TEST(an_image_that_is_written_is_used_once)
{
	struct blkstore_file_options rw = { .no_uring = true }, ro = { .readonly = true };
	struct blkstore *other;

	make_file("/tmp", SIZE);
	ck_assert_int_eq(blkstore_open_file(&s, path, &rw, why, sizeof(why)), 0);
	ck_assert_int_eq(blkstore_open_file(&other, path, &rw, why, sizeof(why)), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "it is in use already"));
	ck_assert_int_eq(blkstore_open_file(&other, path, &ro, why, sizeof(why)), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "somebody writes it"));
	s->ops->close(s);
	ck_assert_int_eq(blkstore_open_file(&s, path, &ro, why, sizeof(why)), 0);
	ck_assert_int_eq(blkstore_open_file(&other, path, &ro, why, sizeof(why)), 0);
	ck_assert_int_eq(try_now(BLKSTORE_WRITE, 0, memory, 512), -EROFS);
	ck_assert_int_eq(ask(BLKSTORE_WRITE, 0, memory, 512), -EROFS);
	ck_assert_int_eq(ask(BLKSTORE_DISCARD, 0, NULL, 512), -EROFS);
	other->ops->close(other);
}
END_TEST

START_TEST(what_is_no_disk_is_refused_with_a_sentence)
{
	static const struct {
		const char *path, *says;
		int rc;
	} wrong[] = {
		{ "/tmp", "neither a file nor a block device", -ENOTBLK },
		{ "/nowhere/at/all", "cannot be opened", -ENOENT },
		{ "/dev/null", "neither a file nor a block device", -ENOTBLK },
	};
	struct blkstore_file_options o = { .readonly = true };

	ck_assert_int_eq(blkstore_open_file(&s, wrong[_i].path, &o, why, sizeof(why)),
	                 wrong[_i].rc);
	ck_assert_msg(strstr(why, wrong[_i].says), "%s", why);
	s = NULL;
}
END_TEST

START_TEST(a_file_without_a_block_is_refused)
{
	struct blkstore_file_options o = { .block = 4096 };

	make_file("/tmp", 4095);
	ck_assert_int_eq(blkstore_open_file(&s, path, &o, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "less than one block"));
	s = NULL;
}
END_TEST

Suite *blkstore_suite(void);
Suite *blkstore_suite(void)
{
	Suite *suite = suite_create("blkstore");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *opening = tcase_create("hostile");
	TCase *all[] = { normal, limits, opening };

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		tcase_set_timeout(all[i], 60);
		tcase_add_checked_fixture(all[i], begin, end);
		suite_add_tcase(suite, all[i]);
	}
	tcase_add_loop_test(normal, what_is_written_is_read, 0, NR_KINDS);
	tcase_add_loop_test(normal, many_at_once_in_pieces, 0, NR_KINDS);
	tcase_add_loop_test(normal, closing_waits_for_what_is_under_way, 0, NR_KINDS);
	tcase_add_loop_test(normal, a_discard_gives_space_back, 0, NR_KINDS);
	tcase_add_test(normal, a_new_size_is_seen_when_it_is_looked_at);
	tcase_add_test(normal, reading_a_hole_does_not_fill_it);
	tcase_add_test(normal, a_flush_is_an_fdatasync);
	tcase_add_test(normal, a_flush_in_memory_is_an_fdatasync_at_once);
	tcase_add_test(normal, a_flush_that_failed_fails_for_ever);
	tcase_add_test(normal, io_uring_asks_the_kernel_for_an_fdatasync);
	tcase_add_test(limits, a_short_transfer_goes_on);
	tcase_add_test(limits, a_part_in_the_cache_is_no_answer);
	tcase_add_test(limits, without_nowait_a_read_from_a_disk_waits_elsewhere);
	tcase_add_loop_test(limits, an_error_is_the_request_s, 0, ARRAY_LEN(errors));
	tcase_add_loop_test(limits, a_file_that_became_shorter_gives_errors, 0, DIRECT);
	tcase_add_test(limits, direct_from_memory_that_is_not_aligned);
	tcase_add_test(opening, an_image_that_is_written_is_used_once);
	tcase_add_loop_test(opening, what_is_no_disk_is_refused_with_a_sentence, 0, 3);
	tcase_add_test(opening, a_file_without_a_block_is_refused);
	return suite;
}
