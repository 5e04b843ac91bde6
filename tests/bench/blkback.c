/* SPDX-License-Identifier: MIT */
/*
 * What the block back-end alone costs: a front-end in the same thread sends requests and takes the
 * answers, so that no hypercall, upcall or wake-up is in the figures. Beside it the same transfers by
 * pread() and pwrite() in a loop, and the ring on a storage that does nothing: the back-end's share.
 *
 *   blkback FILE [ROUNDS]   FILE is made, used and removed; on tmpfs, so that the path is measured
 *
 * Each line: nanoseconds of the thread's processor time for a request, smallest and median over the
 * rounds. At the end what a page costs that the hypervisor maps and unmaps for a back-end, and what
 * a front-end pays that copies it instead. (Nobody waits here, so on an idle machine it is the time on the wall; on a busy one it is
 * not spoilt by others' turns.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/gnttab_priv.h"
#include "tests/fake/blk_front.h"
#include "tests/fake/mem_world.h"

#define FILE_BYTES  (256u << 20)
#define DATA_PAGES  1100u
#define MAX_ROUNDS  999
#define ROUND_BYTES (16u << 20) /* moved in a round, at most */

struct load {
	const char *name;
	bool write, sequential;
	unsigned pages, depth;
};

static const struct load loads[] = {
	{ "4 KiB random read, 1 in flight", false, false, 1, 1 },
	{ "4 KiB random read, 32 in flight", false, false, 1, 32 },
	{ "4 KiB random write, 32 in flight", true, false, 1, 32 },
	{ "44 KiB random read, 4 in flight", false, false, 11, 4 },
	{ "128 KiB sequential read, 4 in flight", false, true, 32, 4 },
	{ "128 KiB sequential write, 4 in flight", true, true, 32, 4 },
	{ "1 MiB sequential read, 4 in flight", false, true, 256, 4 },
};

static int fd;
static struct be_fake f;
static struct blk_front front;
static unsigned rng = 1;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static unsigned next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	rng ^= rng << 5;
	return rng;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench blkback: %s\n", what);
	exit(1);
}

static unsigned requests(const struct load *l)
{
	unsigned n = ROUND_BYTES / (l->pages * BE_FAKE_PAGE);

	return n > 1024 ? 1024 : n;
}

static uint64_t place(const struct load *l, unsigned i)
{
	uint64_t places = FILE_BYTES / (l->pages * BE_FAKE_PAGE);

	return (l->sequential ? i % places : next_random() % places) * l->pages * BE_FAKE_PAGE;
}

/* Which of the data pages request i uses: each of those in flight its own. */
static unsigned first_page(const struct load *l, unsigned i)
{
	return 8 + i % l->depth * l->pages;
}

static double native_round(const struct load *l)
{
	unsigned n = requests(l);
	double begin = now_ns();

	for (unsigned i = 0; i < n; i++) {
		size_t len = (size_t)l->pages * BE_FAKE_PAGE;
		void *at = blk_front_data(&front, first_page(l, i));
		off_t offset = (off_t)place(l, i);
		ssize_t rc = l->write ? pwrite(fd, at, len, offset) : pread(fd, at, len, offset);

		must(rc == (ssize_t)len, "native transfer");
	}
	return (now_ns() - begin) / n;
}

static void send(const struct load *l, unsigned i)
{
	uint8_t op = l->write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	uint64_t sector = place(l, i) / 512;
	unsigned page = first_page(l, i);

	if (l->pages <= BLKIF_MAX_SEGMENTS_PER_REQUEST)
		blk_front_rw(&front, 0, i % l->depth, op, sector, page, l->pages);
	else
		blk_front_indirect(&front, 0, i % l->depth, op, sector, page, l->pages,
		                   i % l->depth);
}

static double ring_round(const struct load *l)
{
	unsigned n = requests(l), sent = 0, got = 0;
	double begin = now_ns();

	while (got < n) {
		for (; sent < n && sent - got < l->depth; sent++)
			send(l, sent);
		blk_front_push(&front, 0, false);
		got += blk_front_poll(&front, 0);
	}
	for (unsigned i = 0; i < l->depth; i++)
		must(front.q[0].status[i] == BLKIF_RSP_OKAY, "a request failed");
	return (now_ns() - begin) / n;
}

/* ---- a storage that does nothing -------------------------------------------------------------- */

static int nothing_try(struct blkstore *s, struct blkstore_req *req)
{
	(void)s;
	(void)req;
	return 0;
}

static void nothing_kick(struct blkstore *s)
{
	(void)s;
}

static uint64_t nothing_size(struct blkstore *s)
{
	(void)s;
	return FILE_BYTES;
}

static const struct blkstore_ops nothing_ops = { .try = nothing_try,
	                                         .kick = nothing_kick,
	                                         .size = nothing_size };
static struct blkstore nothing = { .ops = &nothing_ops, .block = 512 };

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(const char *what, double *ns, unsigned rounds, const struct load *l)
{
	qsort(ns, rounds, sizeof(*ns), by_value);
	printf("  %-32s %9.0f %9.0f ns   %7.0f k/s  %6.2f GB/s\n", what, ns[0], ns[rounds / 2],
	       1e6 / ns[rounds / 2], l->pages * 4096.0 / ns[rounds / 2]);
}

static double connected_round(const struct load *l, struct blkstore *store, bool persistent)
{
	struct blkback_options options = { 0 };
	struct be_bus bus;
	struct blkback *b;
	double ns;

	must(!blkback_create(&b, &f.host, store, &options), "create");
	be_bus_start(&bus, &blkback_driver, b, &f.host);
	front.persistent = persistent;
	blk_front_publish(&front, &f, 1, 1);
	be_bus_front_changed(&bus);
	must(bus.connected, f.complaint);
	ring_round(l); /* pages and tables are touched */
	ns = ring_round(l);
	be_bus_drop(&bus);
	blkback_destroy(b);
	return ns;
}

static void run_all(struct blkstore *store, unsigned rounds)
{
	static double ns[5][MAX_ROUNDS];

	for (unsigned k = 0; k < sizeof(loads) / sizeof(loads[0]); k++) {
		const struct load *l = &loads[k];

		for (unsigned round = 0; round < rounds; round++) {
			ns[0][round] = native_round(l);
			ns[1][round] = connected_round(l, store, false);
			ns[2][round] = connected_round(l, store, true);
			ns[3][round] = connected_round(l, &nothing, false);
			ns[4][round] = connected_round(l, &nothing, true);
		}
		printf("%s\n", l->name);
		report("native, one after another", ns[0], rounds, l);
		report("ring, grants mapped each time", ns[1], rounds, l);
		report("ring, persistent grants", ns[2], rounds, l);
		report("no storage, grants mapped", ns[3], rounds, l);
		report("no storage, persistent", ns[4], rounds, l);
	}
}

/* ---- grants or copies ------------------------------------------------------------------------- */

#define GRANTS 32u

static double map_round(struct hv_domain *d)
{
	static hv_gnttab_host_map_t map[GRANTS];
	double begin = now_ns();

	for (unsigned k = 0; k < 100; k++) {
		for (unsigned i = 0; i < GRANTS; i++)
			must(!hv_gnttab_host_map(d, 8 + i, false, &map[i]), "map");
		for (unsigned i = 0; i < GRANTS; i++)
			hv_gnttab_host_unmap(d, &map[i]);
	}
	return (now_ns() - begin) / (100 * GRANTS);
}

static double copy_round(unsigned from, unsigned to, unsigned pages)
{
	double begin = now_ns();

	for (unsigned i = 0; i < 1000; i++)
		memcpy(be_fake_page(&f, to + next_random() % pages),
		       be_fake_page(&f, from + next_random() % pages), BE_FAKE_PAGE);
	return (now_ns() - begin) / 1000;
}

static void compare_grants(unsigned rounds)
{
	static double ns[2][MAX_ROUNDS];
	static struct world w;
	struct grant_entry_v1 *rows;

	world_init(&w);
	rows = w.d->gnttab.shared[0];
	for (unsigned i = 0; i < GRANTS; i++) {
		rows[8 + i].frame = (uint32_t)world_mfn(w.d, WORLD_FREE + i).n;
		rows[8 + i].flags = GTF_permit_access;
	}
	for (unsigned round = 0; round < rounds; round++) {
		ns[0][round] = map_round(w.d);
		ns[1][round] = copy_round(0, DATA_PAGES / 2, DATA_PAGES / 2);
	}
	world_fini(&w);
	printf("one page\n");
	for (unsigned i = 0; i < 2; i++) {
		qsort(ns[i], rounds, sizeof(double), by_value);
		printf("  %-32s %9.0f %9.0f ns\n",
		       i ? "copied (4 MiB of pages)" : "mapped and unmapped", ns[i][0],
		       ns[i][rounds / 2]);
	}
}

static void make_file(const char *path)
{
	static char block[1 << 20];

	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(fd >= 0, "the file cannot be made");
	memset(block, 0x5a, sizeof(block));
	for (unsigned i = 0; i < FILE_BYTES / sizeof(block); i++)
		must(write(fd, block, sizeof(block)) == sizeof(block), "no room for the file");
}

int main(int argc, char **argv)
{
	struct blkstore_file_options options = { 0 };
	struct blkstore *store;
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 51;
	char why[256];

	must(argc > 1 && rounds > 0 && rounds <= MAX_ROUNDS, "usage: blkback FILE [ROUNDS]");
	make_file(argv[1]);
	must(!blkstore_open_file(&store, argv[1], &options, why, sizeof(why)), "open");
	unlink(argv[1]);
	be_fake_init(&f, DATA_PAGES, DATA_PAGES + 64);
	blk_front_publish(&front, &f, 1, 1);
	printf("%-34s %9s %9s\n", "", "min", "median");
	run_all(store, rounds);
	compare_grants(rounds);
	store->ops->close(store);
	be_fake_fini(&f);
	close(fd);
	return 0;
}
