/* SPDX-License-Identifier: MIT */
/*
 * --stats: how often the guest asked for what, and how long it took; see stats.h.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "hypervisor-stub/toolstack/stats.h"

void stats_hypercall(struct stats *s, uint64_t nr, uint64_t ns)
{
	struct stats_cell *c = &s->call[nr < HV_NR_HYPERCALLS ? nr : HV_NR_HYPERCALLS];

	atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->ns, ns, memory_order_relaxed);
}

void stats_exception(struct stats *s, uint8_t vector)
{
	atomic_fetch_add_explicit(&s->exception[vector & 31], 1, memory_order_relaxed);
}

void stats_happened(struct stats *s, enum hv_traced what)
{
	atomic_fetch_add_explicit(&s->happened[what], 1, memory_order_relaxed);
}

void stats_collect(struct stats *s, const struct hv_domain *d)
{
	const struct hv_engine *e = d->machine->engine;

	for (unsigned i = 0; i < d->nr_vcpus; i++) {
		for (unsigned nr = 0; e->local_hypercalls && nr < HV_NR_HYPERCALLS; nr++)
			s->in_place[nr] += e->local_hypercalls(d->vcpu[i], nr);
		for (unsigned k = 0; e->figure && k < STATS_MAX_FIGURES; k++) {
			uint64_t n = 0;
			const char *name = e->figure(d->vcpu[i], k, &n);

			if (!name)
				break;
			s->figure[k].name = name;
			s->figure[k].n += n;
		}
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

struct row {
	const char *name;
	uint64_t count, in_place, ns;
};

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->in_place > y->in_place ? -1 : x->in_place < y->in_place;
}

static void add_to_row(struct row *r, const struct stats *s, unsigned nr)
{
	r->count += atomic_load(&s->call[nr].count);
	r->ns += atomic_load(&s->call[nr].ns);
	r->in_place += nr < HV_NR_HYPERCALLS ? s->in_place[nr] : 0;
}

/* A row for each name that was called, one for all numbers without a name. */
static unsigned make_rows(const struct stats *s, struct row rows[HV_NR_HYPERCALLS + 1])
{
	struct row nameless = { .name = "(unknown)" };
	unsigned n = 0;

	for (unsigned nr = 0; nr <= HV_NR_HYPERCALLS; nr++) {
		const struct hv_hypercall *h = hv_hypercall_lookup(nr);
		struct row r = { .name = h ? h->name : NULL };

		add_to_row(h ? &r : &nameless, s, nr);
		if (r.count || r.in_place)
			rows[n++] = r;
	}
	if (nameless.count)
		rows[n++] = nameless;
	qsort(rows, n, sizeof(rows[0]), by_time);
	return n;
}

static void print_row(FILE *out, const struct row *r)
{
	fprintf(out, "%-30s %12" PRIu64 " %12" PRIu64 " %12.3f %10.3f\n", r->name, r->count,
	        r->in_place, (double)r->ns / 1e6,
	        r->count ? (double)r->ns / 1e3 / (double)r->count : 0);
}

static void print_exceptions(const struct stats *s, FILE *out)
{
	static const char *const name[32] = {
		[0] = "#DE",  [1] = "#DB",  [3] = "#BP",  [4] = "#OF",  [5] = "#BR",  [6] = "#UD",
		[7] = "#NM",  [8] = "#DF",  [10] = "#TS", [11] = "#NP", [12] = "#SS", [13] = "#GP",
		[14] = "#PF", [16] = "#MF", [17] = "#AC", [19] = "#XM",
	};
	for (unsigned i = 0; i < 32; i++) {
		uint64_t n = atomic_load(&s->exception[i]);

		if (n)
			fprintf(out, "%-30s %12" PRIu64 "\n", name[i] ? name[i] : "(other)", n);
	}
}

static void print_happened(const struct stats *s, FILE *out)
{
	static const char *const name[HV_NR_TRACED] = {
		[HV_TRACED_UPCALL] = "upcalls",
		[HV_TRACED_KICK] = "kicks",
		[HV_TRACED_SLEEP] = "sleeps",
	};

	for (unsigned i = 0; i < HV_NR_TRACED; i++)
		fprintf(out, "%-30s %12" PRIu64 "\n", name[i], atomic_load(&s->happened[i]));
}

static void print_figures(const struct stats *s, FILE *out)
{
	for (unsigned i = 0; i < STATS_MAX_FIGURES && s->figure[i].name; i++)
		if (s->figure[i].n)
			fprintf(out, "%-30s %12" PRIu64 "\n", s->figure[i].name, s->figure[i].n);
}

void stats_print(const struct stats *s, FILE *out)
{
	struct row rows[HV_NR_HYPERCALLS + 1], sum = { .name = "all" };
	unsigned n = make_rows(s, rows);

	fprintf(out, "%-30s %12s %12s %12s %10s\n", "hypercall", "count", "in place", "total ms",
	        "mean us");
	for (unsigned i = 0; i < n; i++) {
		print_row(out, &rows[i]);
		sum.count += rows[i].count;
		sum.in_place += rows[i].in_place;
		sum.ns += rows[i].ns;
	}
	print_row(out, &sum);
	fprintf(out, "%-30s %12s\n", "exception, other", "count");
	print_exceptions(s, out);
	print_happened(s, out);
	print_figures(s, out);
	fflush(out);
}
