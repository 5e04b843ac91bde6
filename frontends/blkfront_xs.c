/* SPDX-License-Identifier: MIT */
/*
 * The block front-end and the store: finding a disk, agreeing with its back-end, and all that
 * happens to the connection afterwards.
 *
 *   ours                          the back-end's
 *                                 InitWait: rings and queues that it can have
 *   rings, ports, features
 *   Initialised
 *                                 Connected: the disk, its features
 *   Connected: requests flow
 *
 * Later: Connected written anew, with another number of sectors: a new size. InitWait: the back-end
 * has started again; its old self has let go of everything, and what was under way is sent again.
 * Closing: it wants an end; what is under way is answered first. Gone: requests fail.
 *
 * Invariant: everything here runs in a thread that may wait, and in one at a time (`serving`). The
 * store's event only says that there is something to look at.
 */
#include <stdarg.h>

#include "abi/errno.h"
#include "abi/io/protocols.h"
#include "frontends/blkfront.h"
#include "pvops/cpu.h"
#include "pvops/lib/format.h"
#include "pvops/lib/string.h"

#define DRAIN_NS    10000000000ull /* for requests under way, at the end */
#define RECONNECTS  3              /* tries */
#define POLL_NS     10000          /* to begin with */
#define MAX_SECTORS (UINT64_MAX / BLKDEV_SECTOR)

/* ---- features -------------------------------------------------------------------------------- */

static unsigned at_most(unsigned n, unsigned most)
{
	return n < most ? (unsigned)n : most;
}

/* What has to be known before the rings are made. */
static void agree(struct blkfront *f)
{
	struct blkfront_terms *t = &f->terms;
	uint32_t queues = pv_xenbus_offer(&f->bus, "multi-queue-max-queues", UINT32_MAX, 0);

	t->multi_queue = queues != 0;
	t->nr_queues = at_most(queues ? queues : 1, at_most(pv_cpu_count(), f->options.max_queues));
	t->order = at_most(pv_xenbus_offer(&f->bus, "max-ring-page-order", UINT32_MAX, 0),
	                   f->options.max_ring_order);
}

static bool is_sector_size(uint32_t n)
{
	return n >= BLKDEV_SECTOR && n <= PV_PAGE_SIZE && !(n & (n - 1));
}

/* What the back-end has said by the time it is connected; -XEN_EINVAL when that is no disk. */
static int read_disk(struct blkfront *f)
{
	struct blkfront_terms terms = f->terms, *t = &terms;
	uint32_t n;

	if (pv_xs_read_u64(PV_XS_NO_TX, f->bus.otherend, "sectors", &t->sectors) ||
	    t->sectors > MAX_SECTORS)
		return -XEN_EINVAL;
	n = pv_xenbus_offer(&f->bus, "sector-size", UINT32_MAX, BLKDEV_SECTOR);
	if (!is_sector_size(n))
		return -XEN_EINVAL;
	t->sector_size = n;
	n = pv_xenbus_offer(&f->bus, "physical-sector-size", UINT32_MAX, n);
	t->physical_sector = n >= t->sector_size && !(n & (n - 1)) ? n : t->sector_size;
	t->info = pv_xenbus_offer(&f->bus, "info", UINT32_MAX, 0);
	t->flush = pv_xenbus_offers(&f->bus, "feature-flush-cache");
	t->barrier = pv_xenbus_offers(&f->bus, "feature-barrier");
	t->discard = pv_xenbus_offers(&f->bus, "feature-discard");
	n = pv_xenbus_offer(&f->bus, "discard-granularity", UINT32_MAX, 0);
	t->discard_granularity = n && n % t->sector_size == 0 ? n : t->sector_size;
	t->persistent = f->options.persistent && pv_xenbus_offers(&f->bus, "feature-persistent");
	n = pv_xenbus_offer(&f->bus, "feature-max-indirect-segments", UINT32_MAX, 0);
	t->max_segments = n > BLKFRONT_DIRECT ? at_most(n, f->options.max_segments)
	                                      : at_most(f->options.max_segments, BLKFRONT_DIRECT);
	t->refuses_flush = false;
	f->terms = terms; /* as one: requests are taken while a connection is made again */
	return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int publish_queue(uint32_t tx, const struct blkfront *f, unsigned n, const char *dir)
{
	const struct blkfront_queue *q = f->queue[n];
	char name[16];
	unsigned i;
	int rc;

	rc = pv_xs_printf(tx, dir, "event-channel", "%u", q->port);
	if (!rc && !f->terms.order)
		rc = pv_xs_printf(tx, dir, "ring-ref", "%u", q->ring_ref[0]);
	for (i = 0; !rc && f->terms.order && i < q->nr_ring_pages; i++) {
		pv_snprintf(name, sizeof(name), "ring-ref%u", i);
		rc = pv_xs_printf(tx, dir, name, "%u", q->ring_ref[i]);
	}
	return rc;
}

/* A number, or no such node: one of an earlier connection must not be left there. */
static int publish_number(uint32_t tx, const struct blkfront *f, const char *node, bool is_there,
                          unsigned n)
{
	int rc;

	if (is_there)
		return pv_xs_printf(tx, f->bus.name, node, "%u", n);
	rc = pv_xs_rm(tx, f->bus.name, node);
	return rc == -XEN_ENOENT ? 0 : rc;
}

static int publish(uint32_t tx, void *arg)
{
	const struct blkfront *f = arg;
	const struct blkfront_terms *t = &f->terms;
	char dir[PV_XENBUS_DIR];
	unsigned i;
	int rc;

	rc = publish_number(tx, f, "ring-page-order", t->order, t->order);
	if (!rc)
		rc = publish_number(tx, f, "multi-queue-num-queues", t->multi_queue, t->nr_queues);
	if (!rc)
		rc = publish_number(tx, f, "feature-persistent", true, f->options.persistent);
	/* For our own back-end: it may start anew, and we connect again (docs/split-drivers.md). */
	if (!rc)
		rc = publish_number(tx, f, "feature-reconnect", true, 1);
	if (!rc)
		rc = pv_xs_printf(tx, f->bus.name, "protocol", XEN_IO_PROTO_ABI_X86_64);
	for (i = 0; !rc && i < t->nr_queues; i++) {
		pv_xenbus_queue_dir(&f->bus, i, t->nr_queues, dir);
		rc = publish_queue(tx, f, i, dir);
	}
	return rc;
}

/* A queue for each vCPU, as far as there are any: the k-th that is up has queue k. */
static int make_queues(struct blkfront *f)
{
	unsigned cpu, k = 0;
	int rc = 0;

	for (cpu = 0; !rc && cpu < PV_MAX_CPUS; cpu++) {
		if (pv_cpus[cpu] && k < f->terms.nr_queues)
			rc = blkfront_queue_up(f, k, cpu);
		f->queue_of[cpu] = (uint8_t)(k % f->terms.nr_queues);
		k += pv_cpus[cpu] != NULL;
	}
	return rc;
}

static void drop_queues(struct blkfront *f)
{
	unsigned i;

	for (i = 0; i < f->nr_queues; i++) {
		blkfront_queue_stop(f->queue[i]);
		blkfront_queue_down(f->queue[i]);
	}
}

static int connect(struct blkfront *f)
{
	int rc = pv_xenbus_switch(&f->bus, XenbusStateInitialising);

	/* One that was closed before needs a moment to notice that it is wanted again. */
	if (!rc)
		rc = pv_xenbus_await(&f->bus, XenbusStateInitWait, 0);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "waiting for the back-end");
	agree(f);
	rc = make_queues(f);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "making the rings");
	rc = pv_xs_transact(publish, f);
	if (!rc)
		rc = pv_xenbus_switch(&f->bus, XenbusStateInitialised);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "publishing the rings");
	rc = pv_xenbus_await(&f->bus, XenbusStateConnected, PV_XENBUS_GONE);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "waiting for the connection");
	rc = read_disk(f);
	if (rc)
		return pv_xenbus_error(&f->bus, rc, "reading what disk it is");
	return pv_xenbus_switch(&f->bus, XenbusStateConnected);
}

/* Requests of queues that are not used any more go to the first. */
static void move_requests(struct blkfront_queue *from, struct blkfront_queue *to)
{
	uint64_t irq = pv_spin_lock_irq(&from->lock);
	struct blkdev_req *first = from->first, *last = from->last;
	uint32_t with_call_back = from->with_call_back;

	from->is_retired = true;
	from->first = from->last = from->unsent = NULL;
	from->with_call_back = 0;
	pv_spin_unlock_irq(&from->lock, irq);
	if (!first)
		return;
	irq = pv_spin_lock_irq(&to->lock);
	first->dev.prev = to->last;
	if (to->last)
		to->last->dev.next = first;
	else
		to->first = first;
	to->last = last;
	if (!to->unsent)
		to->unsent = first;
	to->with_call_back += with_call_back;
	pv_spin_unlock_irq(&to->lock, irq);
}

static void open_queues(struct blkfront *f)
{
	unsigned i;

	for (i = f->terms.nr_queues; i < f->nr_queues; i++)
		move_requests(f->queue[i], f->queue[0]);
	for (i = 0; i < f->terms.nr_queues; i++)
		blkfront_queue_open(f->queue[i]);
	for (i = 0; i < f->terms.nr_queues; i++)
		blkfront_run(f->queue[i]);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void say_changed(struct blkfront *f)
{
	if (f->dev.changed)
		f->dev.changed(&f->dev, f->dev.arg);
}

static void set_gone(struct blkfront *f)
{
	pv_store_release(&f->dev.gone, true);
}

/* All that is not held fails; returns whether something is held. */
static bool fail_requests(struct blkfront *f)
{
	unsigned i, held = 0;

	for (i = 0; i < f->nr_queues; i++) {
		held += blkfront_rewind(f->queue[i]);
		blkfront_fail_all(f->queue[i]);
	}
	return held;
}

/* Both sides go; whatever the back-end does, this ends. */
static void disconnect(struct blkfront *f)
{
	unsigned i;

	for (i = 0; i < f->nr_queues; i++)
		blkfront_queue_stop(f->queue[i]);
	pv_xenbus_leave(&f->bus);
	for (i = 0; i < f->nr_queues; i++)
		blkfront_queue_down(f->queue[i]);
}

static bool is_idle(void *arg)
{
	const struct blkfront *f = arg;
	unsigned i;

	for (i = 0; i < f->nr_queues; i++)
		if (pv_load(&f->queue[i]->first))
			return false;
	return true;
}

/* Until everything under way has been answered; false when that takes too long. */
static bool drain_all(struct blkfront *f)
{
	uint64_t deadline_ns = pv_now_ns() + DRAIN_NS;
	unsigned i;

	__atomic_fetch_add(&f->sleepers, 1, __ATOMIC_SEQ_CST);
	while (!is_idle(f) && !pv_load(&f->common.is_broken) && pv_now_ns() < deadline_ns) {
		for (i = 0; i < f->nr_queues; i++)
			blkfront_drain(f->queue[i]);
		pv_wait(&f->common.q, is_idle, f, pv_now_ns() + FRONT_LOOK_NS);
	}
	__atomic_fetch_sub(&f->sleepers, 1, __ATOMIC_SEQ_CST);
	return is_idle(f);
}

static void end(struct blkfront *f, const char *why)
{
	pv_log("%s: %s\n", f->dev.name, why);
	set_gone(f);
	disconnect(f);
	if (fail_requests(f))
		pv_store(&f->common.is_broken, true); /* and looked at again and again */
	say_changed(f);
}

/* ---- what happens meanwhile ------------------------------------------------------------------ */

/* The back-end has started again, and holds nothing of ours any more. */
static void reconnect(struct blkfront *f)
{
	unsigned i, tries, held = 0;
	int rc;

	for (i = 0; i < f->nr_queues; i++)
		blkfront_drain(f->queue[i]); /* what was answered is answered */
	drop_queues(f);
	for (i = 0; i < f->nr_queues; i++)
		held += blkfront_rewind(f->queue[i]);
	if (held) {
		blkfront_accuse(f, "starts again and goes on using %u pages", held);
		end(f, "closed");
		return;
	}
	for (i = 0; i < f->nr_queues; i++)
		blkfront_drop_pages(f->queue[i]); /* the next one may want them otherwise */
	/* It may start anew once more while we connect. */
	for (tries = 1; (rc = connect(f)) && tries < RECONNECTS; tries++)
		drop_queues(f);
	if (rc) {
		end(f, "the back-end did not come back: closed");
		return;
	}
	f->queue[0]->stats.reconnects++;
	open_queues(f);
	say_changed(f);
}

static void look_at_size(struct blkfront *f)
{
	uint64_t sectors;

	if (pv_xs_read_u64(PV_XS_NO_TX, f->bus.otherend, "sectors", &sectors) ||
	    sectors > MAX_SECTORS || sectors == f->terms.sectors)
		return;
	pv_store(&f->terms.sectors, sectors);
	pv_log("%s: now %llu sectors\n", f->dev.name, (unsigned long long)sectors);
	say_changed(f);
}

static void look(void *arg)
{
	struct blkfront *f = arg;
	uint64_t state;

	if (blkdev_is_gone(&f->dev)) {
		fail_requests(f); /* what was held may have been let go */
		return;
	}
	if (pv_load(&f->common.is_broken)) {
		end(f, "closed, for its back-end is not to be trusted");
		return;
	}
	if (pv_xenbus_look(&f->bus, &state))
		return; /* the ring may go on without the store */
	switch (state) {
	case XenbusStateConnected:
		look_at_size(f);
		break;
	case XenbusStateInitWait:
		reconnect(f);
		break;
	case XenbusStateClosing:
		set_gone(f);
		drain_all(f);
		end(f, "closed by the back-end");
		break;
	case XenbusStateUnknown:
	case XenbusStateClosed:
		end(f, "the back-end has gone");
		break;
	default:
		break; /* it is on its way, or talks nonsense */
	}
}

void blkfront_service(struct blkdev *dev)
{
	front_service(&((struct blkfront *)dev)->common, look, dev);
}

void blkfront_attend(struct blkfront *f)
{
	front_attend(&f->common);
	if (f->dev.attention)
		f->dev.attention(&f->dev, f->dev.arg);
}

static void on_change(struct pv_xenbus *bus)
{
	blkfront_attend(bus->arg);
}

void blkfront_accuse(struct blkfront *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	front_accuse(&f->common, &f->bus, fmt, ap);
	va_end(ap);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static struct front_spares spares = FRONT_SPARES_INIT;

static struct blkfront *take_front(void)
{
	struct front *spare = front_take_spare(&spares);
	struct blkfront_queue *queue[BLKFRONT_MAX_QUEUES];
	struct blkfront *f;

	_Static_assert(sizeof(*f) <= PV_PAGE_SIZE, "a device lies in one page");
	if (!spare) {
		f = pv_page_alloc();
		if (f)
			memset(f, 0, sizeof(*f));
		return f;
	}
	f = (struct blkfront *)((char *)spare - offsetof(struct blkfront, common));
	memcpy(queue, f->queue, sizeof(queue));
	memset(f, 0, sizeof(*f));
	memcpy(f->queue, queue, sizeof(queue));
	return f;
}

/* The end of a device without requests. */
static void release(struct blkfront *f)
{
	unsigned i;

	if (f->is_open)
		pv_xenbus_close(&f->bus);
	for (i = 0; i < f->nr_queues; i++) {
		blkfront_queue_free(f->queue[i]);
		memset(&f->queue[i]->stats, 0, sizeof(f->queue[i]->stats));
	}
	front_put_spare(&spares, &f->common);
}

void blkfront_close(struct blkdev *dev)
{
	struct blkfront *f = (struct blkfront *)dev;
	uint64_t deadline_ns = pv_now_ns() + DRAIN_NS;

	drain_all(f);
	front_retire(&f->common);
	if (!blkdev_is_gone(dev)) {
		set_gone(f);
		disconnect(f);
	}
	while (fail_requests(f) && pv_now_ns() < deadline_ns)
		pv_wait(&f->common.q, is_idle, f, pv_now_ns() + FRONT_LOOK_NS);
	if (is_idle(f))
		release(f);
	else /* the back-end holds pages of requests: neither may be used again */
		pv_xenbus_close(&f->bus);
}

static void take_options(struct blkfront *f, const struct blkfront_options *o)
{
	static const struct blkfront_options defaults;

	if (!o)
		o = &defaults;
	f->options = *o;
	f->options.max_queues = at_most(o->max_queues ? o->max_queues : BLKFRONT_MAX_QUEUES,
	                                BLKFRONT_MAX_QUEUES);
	f->options.max_ring_order = at_most(o->max_ring_order ? o->max_ring_order : 2,
	                                    BLKFRONT_MAX_ORDER);
	f->options.max_segments = at_most(o->max_segments ? o->max_segments : BLKFRONT_MAX_SEGMENTS,
	                                  BLKFRONT_MAX_SEGMENTS);
}

int blkfront_open(const char *node, const struct blkfront_options *options, struct blkdev **dev)
{
	struct blkfront *f = take_front();
	unsigned vdev;
	int rc;

	if (!f)
		return -XEN_ENOMEM;
	f->dev.ops = &blkfront_ops;
	f->bus.changed = on_change;
	f->bus.arg = f;
	f->poll_ns = POLL_NS;
	take_options(f, options);
	rc = pv_xenbus_number(node, &vdev);
	if (!rc)
		blkfront_name(vdev, f->dev.name);
	if (!rc)
		rc = pv_xenbus_open(&f->bus, node);
	f->is_open = !rc;
	if (!rc)
		rc = connect(f);
	if (!rc) {
		open_queues(f);
		*dev = &f->dev;
		return 0;
	}
	if (f->nr_queues)
		disconnect(f);
	release(f);
	return rc == -XEN_ENOENT ? -XEN_ENODEV : rc;
}

/* ---- names ----------------------------------------------------------------------------------- */

int blkfront_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg)
{
	return pv_xenbus_each_number("vbd", fn, arg);
}

/* Xen docs/misc/vbd-interface.txt: majors 202, 8 and 3 with their minors, and the extended ones. */
void blkfront_name(unsigned vdev, char name[BLKDEV_NAME])
{
	unsigned major = vdev >> 8, disk, part, len = 0;
	const char *kind = "xvd";
	char letters[6];

	if (vdev >> 28 == 1) {
		disk = vdev >> 8 & 0xfffff;
		part = vdev & 0xff;
	} else if (major == 3 || major == 22) {
		kind = "hd";
		disk = (vdev >> 6 & 3) + (major == 22 ? 2 : 0);
		part = vdev & 63;
	} else {
		kind = major == 8 ? "sd" : kind;
		disk = vdev >> 4 & 15;
		part = vdev & 15;
	}
	/* a..z, aa..zz, aaa...: the last letter first */
	for (disk++; disk && len < sizeof(letters); disk = (disk - 1) / 26)
		letters[len++] = (char)('a' + (disk - 1) % 26);
	pv_snprintf(name, BLKDEV_NAME, "%s", kind);
	for (disk = (unsigned)strlen(name); len--; disk++)
		name[disk] = letters[len];
	name[disk] = '\0';
	if (part)
		pv_snprintf(name + disk, BLKDEV_NAME - disk, "%u", part);
}
