/* SPDX-License-Identifier: MIT */
/*
 * The power-cut test: a front-end writes, flushes and sends barriers through the block back-end to a
 * storage that loses power at a random moment (power_store.h). After each cut, everything that was
 * completed before an acknowledged flush was sent must be there.
 *
 *   powercut [-n CUTS] [-s SEED] [-m none|no-flush|early-answer]
 *
 * Each sector carries its number and the number of the write. A sector may hold, after a cut, the
 * newest write that is known to be durable, or any that came later; never an older one, never a
 * mixture. With a mutant the test must fail: the exit status then is 0 when a loss was seen within
 * the given number of cuts, and 1 when none was.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fake/blk_front.h"
#include "tests/powercut/power_store.h"

#define SECTORS   512u /* of the disk: few, so that they are often written again */
#define IDS       24u  /* requests of one queue at once */
#define MAX_SEGS  4u
#define PAGES     512u
#define MAX_DONE  65536u
#define MAX_TRIES 400u /* steps until the next answer to a flush */

struct stamp {
	uint64_t sector, seq, check;
};

/* A write as the front-end knows it. */
struct written {
	uint32_t sector, nr;
	uint64_t seq;
};

struct sent {
	bool busy, is_write, is_flush;
	struct written w;
	unsigned covers; /* of a flush or barrier: this many completed writes */
};

struct world {
	struct be_fake f;
	struct blkback *b;
	struct be_bus bus;
	struct blk_front front;
	struct sent sent[2][IDS];
	unsigned nr_queues;
	struct written done[MAX_DONE]; /* completed, in this life of the machine */
	unsigned nr_done;
};

static struct power_store store;
static struct world w;
static unsigned seed;
static uint64_t seq;             /* of the last write */
static uint64_t floor_[SECTORS]; /* newest write known to be durable */
static uint64_t newest[SECTORS]; /* newest write that was sent */
static unsigned flushes, writes, barriers;

static unsigned any(unsigned n)
{
	return power_random(&seed, n);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "powercut: %s (%s)\n", what, w.f.complaint);
	exit(2);
}

/* ---- stamps ------------------------------------------------------------------------------------- */

static void stamp(uint8_t *at, uint64_t sector, uint64_t n)
{
	struct stamp s = { sector, n, sector * 0x9e3779b97f4a7c15u ^ n };

	for (unsigned i = 0; i + sizeof(s) <= 512; i += sizeof(s))
		memcpy(at + i, &s, sizeof(s));
	memset(at + 512 - 512 % sizeof(s), 0, 512 % sizeof(s));
}

/* The number of the write that a sector holds; UINT64_MAX: it is no whole one. */
static uint64_t read_stamp(const uint8_t *at, uint64_t sector)
{
	uint8_t whole[512];
	struct stamp s;

	memcpy(&s, at, sizeof(s));
	if (!s.seq && !s.sector)
		return 0;
	stamp(whole, sector, s.seq);
	return memcmp(at, whole, 512) ? UINT64_MAX : s.seq;
}

/* ---- the machine --------------------------------------------------------------------------------- */

static void machine_begin(void)
{
	struct blkback_options options = { .max_ring_order = 4 };
	bool persistent = any(2);

	memset(&w, 0, sizeof(w));
	be_fake_init(&w.f, PAGES, PAGES + 64);
	be_fake_setn(&w.f, BE_FRONT, "state", 1);
	must(!blkback_create(&w.b, &w.f.host, &store.s, &options), "no back-end");
	must(!be_bus_start(&w.bus, &blkback_driver, w.b, &w.f.host), "no bus");
	w.front.persistent = persistent;
	w.nr_queues = 1 + any(2);
	blk_front_publish(&w.front, &w.f, w.nr_queues, any(2));
	be_bus_front_changed(&w.bus);
	must(w.bus.connected, "not connected");
	be_fake_setn(&w.f, BE_FRONT, "state", 4);
	be_bus_front_changed(&w.bus);
}

/* The back-end waits for what is under way; the storage is dead already. */
static void *complete_all(void *arg)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	atomic_bool *over = arg;

	while (!atomic_load(over))
		if (!power_complete(&store, 16))
			nanosleep(&pause, NULL);
	return NULL;
}

static void machine_end(void)
{
	atomic_bool over = false;
	pthread_t helper;

	must(!pthread_create(&helper, NULL, complete_all, &over), "no thread");
	be_bus_drop(&w.bus);
	atomic_store(&over, true);
	pthread_join(helper, NULL);
	blkback_destroy(w.b);
	be_fake_fini(&w.f);
}

/* ---- what the front-end does ----------------------------------------------------------------------- */

static bool is_free(uint32_t sector, uint32_t nr)
{
	for (unsigned q = 0; q < w.nr_queues; q++)
		for (unsigned i = 0; i < IDS; i++) {
			const struct sent *s = &w.sent[q][i];

			if (s->busy && s->is_write && sector < s->w.sector + s->w.nr &&
			    s->w.sector < sector + nr)
				return false;
		}
	return true;
}

/* Pieces of pages of this request's own; the sectors of the disk follow one another. */
static void fill_segments(struct blkif_request *rq, struct sent *s, unsigned first_page)
{
	unsigned nr = 1 + any(MAX_SEGS);

	s->w.sector = any(SECTORS - MAX_SEGS * 8);
	s->w.nr = 0;
	s->w.seq = seq + 1;
	for (unsigned i = 0; i < nr; i++) {
		unsigned from = any(8), to = from + any(8 - from);

		rq->seg[i] = (struct blkif_request_segment){
			.gref = blk_front_ref(w.front.data_page + first_page + i),
			.first_sect = (uint8_t)from,
			.last_sect = (uint8_t)to,
		};
		s->w.nr += to - from + 1;
	}
	rq->nr_segments = (uint8_t)nr;
	rq->sector_number = s->w.sector;
}

static void write_pages(const struct blkif_request *rq, const struct sent *s, unsigned first_page)
{
	uint32_t sector = s->w.sector;

	for (unsigned i = 0; i < rq->nr_segments; i++)
		for (unsigned k = rq->seg[i].first_sect; k <= rq->seg[i].last_sect; k++, sector++)
			stamp((uint8_t *)blk_front_data(&w.front, first_page + i) + k * 512, sector,
			      s->w.seq);
}

/* One more request in a queue, when there is room; not pushed yet. */
static void send_one(unsigned q, unsigned id)
{
	unsigned first_page = (q * IDS + id) * MAX_SEGS, kind = any(40);
	struct sent *s = &w.sent[q][id];
	struct blkif_request rq = { .id = id };

	if (s->busy)
		return;
	*s = (struct sent){ .is_write = kind < 34, .is_flush = kind >= 33, .covers = w.nr_done };
	rq.operation = kind < 33    ? BLKIF_OP_WRITE
	               : kind == 33 ? BLKIF_OP_WRITE_BARRIER
	                            : BLKIF_OP_FLUSH_DISKCACHE;
	if (s->is_write) {
		fill_segments(&rq, s, first_page);
		if (!is_free(s->w.sector, s->w.nr))
			return;
		seq++;
		write_pages(&rq, s, first_page);
		for (uint32_t i = 0; i < s->w.nr; i++)
			newest[s->w.sector + i] = seq;
	}
	s->busy = true;
	memcpy(blk_front_next(&w.front, q, id), &rq, sizeof(rq));
}

static void raise_floor(const struct written *d)
{
	for (uint32_t i = 0; i < d->nr; i++)
		if (floor_[d->sector + i] < d->seq)
			floor_[d->sector + i] = d->seq;
}

static void take_answer(struct sent *s, int16_t status)
{
	must(status == BLKIF_RSP_OKAY, "a request failed");
	s->busy = false;
	for (unsigned i = 0; s->is_flush && i < s->covers; i++)
		raise_floor(&w.done[i]);
	if (s->is_flush && s->is_write)
		raise_floor(&s->w);
	if (s->is_write) {
		must(w.nr_done < MAX_DONE, "too many writes for one life");
		w.done[w.nr_done++] = s->w;
	}
	writes += s->is_write;
	flushes += s->is_flush && !s->is_write;
	barriers += s->is_flush && s->is_write;
}

static void take_answers(void)
{
	for (unsigned q = 0; q < w.nr_queues; q++) {
		struct blk_front_queue *fq = &w.front.q[q];

		blk_front_poll(&w.front, q);
		for (unsigned id = 0; id < IDS; id++) {
			must(fq->answered[id] <= 1, "answered twice");
			if (!fq->answered[id])
				continue;
			must(w.sent[q][id].busy, "answered without having been asked");
			fq->answered[id] = 0;
			take_answer(&w.sent[q][id], fq->status[id]);
		}
	}
}

/* With at_flush: no further than to the next answer to a flush. True: there was one. */
static bool one_step(bool at_flush)
{
	unsigned q = any(w.nr_queues), before = flushes + barriers;

	for (unsigned n = any(6); n; n--)
		send_one(q, any(IDS));
	blk_front_push(&w.front, q, false);
	take_answers();
	if (at_flush && before != flushes + barriers)
		return true;
	power_complete(&store, any(6));
	take_answers();
	return before != flushes + barriers;
}

/* ---- after a cut ------------------------------------------------------------------------------------ */

/* How many sectors are not what they may be. */
static unsigned look(bool tell)
{
	unsigned lost = 0;

	for (uint32_t i = 0; i < SECTORS; i++) {
		uint64_t n = read_stamp(store.durable + i * 512, i);
		bool ok = n != UINT64_MAX && n >= floor_[i] && n <= newest[i];

		if (!ok && tell && !lost)
			printf("sector %u holds write %lld; %llu was flushed, %llu is the newest\n",
			       i, (long long)n, (unsigned long long)floor_[i],
			       (unsigned long long)newest[i]);
		lost += !ok;
		/* What is there now is durable, and what was lost will not come back. */
		if (ok)
			floor_[i] = newest[i] = n;
	}
	return lost;
}

static unsigned one_life(bool tell)
{
	machine_begin();
	for (unsigned steps = 5 + any(200); steps; steps--)
		one_step(false);
	/* Mostly at the worst moment: a flush has just been answered. */
	for (unsigned tries = any(8) ? MAX_TRIES : 0; tries && !one_step(true); tries--)
		;
	power_cut(&store);
	machine_end();
	power_on(&store);
	return look(tell);
}

static int run(unsigned cuts, enum power_mutant mutant)
{
	unsigned first = seed;

	power_init(&store, SECTORS * 512ull, mutant, seed ^ 0x5bd1e995u);
	for (unsigned i = 1; i <= cuts; i++) {
		unsigned lost = one_life(mutant == POWER_HONEST);

		if (lost && mutant == POWER_HONEST) {
			printf("seed %u, cut %u: %u flushed sectors are lost\n", first, i, lost);
			return 1;
		}
		if (lost) {
			printf("caught at cut %u: %u flushed sectors are lost\n", i, lost);
			power_fini(&store);
			return 0;
		}
	}
	printf("seed %u: %u cuts, %u writes, %u flushes, %u barriers; %u unflushed sectors were "
	       "lost, no flushed one\n",
	       first, cuts, writes, flushes, barriers, store.lost_sectors);
	power_fini(&store);
	return mutant == POWER_HONEST ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const char *const mutants[] = { "none", "no-flush", "early-answer" };
	enum power_mutant mutant = POWER_HONEST;
	unsigned cuts = 300;
	int c;

	seed = (unsigned)time(NULL);
	while ((c = getopt(argc, argv, "n:s:m:")) != -1) {
		if (c == 'n')
			cuts = (unsigned)atoi(optarg);
		else if (c == 's')
			seed = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'm' && !strcmp(optarg, mutants[POWER_NO_FLUSH]))
			mutant = POWER_NO_FLUSH;
		else if (c == 'm' && !strcmp(optarg, mutants[POWER_EARLY_ANSWER]))
			mutant = POWER_EARLY_ANSWER;
		else if (c != 'm' || strcmp(optarg, mutants[0]))
			return 2;
	}
	return run(cuts, mutant);
}
