/* SPDX-License-Identifier: MIT */
/*
 * Requests for IDE disks: their queue, the commands made of them, and waiting.
 *
 * An interrupt is dear in a virtual machine, and so is each look at a drive. One whose storage is
 * memory or a cache has often done a command as soon as it was given: then one look is all, and the
 * interrupt stays off. Where the first look is in vain, the next commands interrupt, and nobody
 * looks. Who turns the interrupt on looks once more: a command that ended before will not
 * interrupt.
 */
#include "frontends/native/ide.h"

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/time.h"

#define IRQ_COMMANDS 64u            /* by interrupt before another look is tried */
#define SLEEP_MAX_NS 1000000000ull  /* then look again */
#define DEAD_NS      30000000000ull /* a drive that has not answered by then never will */

static struct ide_disk *disk_of(struct blkdev *dev)
{
	return (struct ide_disk *)dev; /* the first member */
}

/* ---- the list; lock held ---------------------------------------------------------------------- */

static void append(struct ide_channel *ch, struct blkdev_req *req)
{
	req->dev.next = NULL;
	if (ch->last)
		ch->last->dev.next = req;
	else
		ch->first = req;
	ch->last = req;
	ch->call_backs += req->done != NULL;
}

/* The first one is over. */
static void finish_first(struct ide_channel *ch, int result)
{
	struct blkdev_req *req = ch->first, **at = &ch->finished;

	ch->first = req->dev.next;
	if (!ch->first)
		ch->last = NULL;
	ch->call_backs -= req->done != NULL;
	req->dev.error = result;
	req->dev.next = NULL;
	while (*at) /* in the order in which they came */
		at = &(*at)->dev.next;
	*at = req;
}

/* The command is over: so are its requests, or a part of one is. */
static void finish_command(struct ide_channel *ch, enum ide_step how)
{
	struct blkdev_req *req = ch->first;

	ch->busy = false;
	if (how == IDE_FAILED && !ch->cmd.nr_whole) {
		finish_first(ch, -XEN_EIO);
		return;
	}
	for (; ch->cmd.nr_whole; ch->cmd.nr_whole--)
		finish_first(ch, how == IDE_FAILED ? -XEN_EIO : 0);
	if (ch->first && ch->first == req) {
		req->dev.sent += ch->cmd.sectors;
		req->dev.seg = ch->cmd.end.seg;
		req->dev.offset = ch->cmd.end.offset;
	}
}

static bool wants_irq(const struct ide_channel *ch)
{
	return ch->call_backs || ch->sleepers || ch->irq_for;
}

/* A drive without a cache has nothing to flush. */
static bool is_nothing(const struct ide_channel *ch, const struct blkdev_req *req)
{
	return req && req->op == BLKDEV_FLUSH && !ch->disk[req->dev.parts].can_flush;
}

/* Ends what has ended, begins what can begin. */
static void work(struct ide_channel *ch)
{
	enum ide_step how = ch->busy && ch->look_drive ? ide_step(ch) : IDE_WORKS;

	ch->look_drive = false;
	if (how != IDE_WORKS)
		finish_command(ch, how);
	while (!ch->busy && is_nothing(ch, ch->first))
		finish_first(ch, 0);
	if (!ch->busy && ch->first) {
		ide_enable_irq(ch, wants_irq(ch));
		ch->irq_for -= ch->irq_for != 0;
		ide_begin(ch);
	}
}

/* ---- without the lock ------------------------------------------------------------------------- */

/*
 * One at a time: who finds somebody at it leaves it to them to look again. So a call-back that submits
 * does not nest.
 */
static unsigned run(struct ide_channel *ch, bool look)
{
	uint64_t irq = pv_spin_lock_irq(&ch->lock);
	unsigned n = 0;
	bool wake;

	ch->look_again = true;
	ch->look_drive |= look;
	while (ch->look_again && !ch->is_drained) {
		struct blkdev_req *list;

		ch->look_again = false;
		ch->is_drained = true;
		work(ch);
		list = ch->finished;
		ch->finished = NULL;
		wake = list && ch->sleepers;
		pv_spin_unlock_irq(&ch->lock, irq);
		n += blkdev_deliver(list);
		if (wake)
			pv_wake(&ch->q);
		irq = pv_spin_lock_irq(&ch->lock);
		ch->is_drained = false;
	}
	pv_spin_unlock_irq(&ch->lock, irq);
	return n;
}

void ide_interrupt(void *channel)
{
	struct ide_channel *ch = channel;

	ch->cmd.disk->stats.events++;
	run(ch, true);
}

void ide_fail_all(struct ide_channel *ch)
{
	uint64_t irq = pv_spin_lock_irq(&ch->lock);

	ide_reset(ch);
	ch->busy = false;
	for (unsigned i = 0; i < 2; i++)
		pv_store_release(&ch->disk[i].dev.gone, true);
	while (ch->first)
		finish_first(ch, -XEN_EIO);
	pv_spin_unlock_irq(&ch->lock, irq);
	run(ch, false);
}

/* ---- what a kernel calls ---------------------------------------------------------------------- */

static int check_data(const struct ide_disk *d, const struct blkdev_req *req)
{
	uint64_t bytes = 0;

	if (!req->nr_sectors || req->nr_sectors > d->sectors ||
	    req->sector > d->sectors - req->nr_sectors)
		return -XEN_EINVAL;
	for (unsigned i = 0; i < req->nr_segs; i++) {
		uintptr_t place = (uintptr_t)req->segs[i].va | req->segs[i].len;

		if (!req->segs[i].len || place % BLKDEV_SECTOR)
			return -XEN_EINVAL;
		bytes += req->segs[i].len;
	}
	return bytes == req->nr_sectors * BLKDEV_SECTOR ? 0 : -XEN_EINVAL;
}

static int check(const struct ide_disk *d, const struct blkdev_req *req)
{
	if (blkdev_is_gone(&d->dev))
		return -XEN_ENODEV;
	if (req->op == BLKDEV_FLUSH)
		return req->nr_sectors ? -XEN_EINVAL : 0;
	if (req->op == BLKDEV_DISCARD)
		return -XEN_EOPNOTSUPP;
	return req->op > BLKDEV_DISCARD ? -XEN_EINVAL : check_data(d, req);
}

static int submit(struct blkdev *dev, struct blkdev_req *req)
{
	struct ide_disk *d = disk_of(dev);
	int rc = check(d, req);
	uint64_t irq;

	if (rc)
		return rc;
	req->result = 0;
	req->finished = false;
	req->dev.sent = 0;
	req->dev.seg = req->dev.offset = 0;
	req->dev.parts = d->unit;
	irq = pv_spin_lock_irq(&d->ch->lock);
	d->stats.requests++;
	append(d->ch, req);
	pv_spin_unlock_irq(&d->ch->lock, irq);
	return 0;
}

static void kick(struct blkdev *dev)
{
	struct ide_channel *ch = disk_of(dev)->ch;

	if (!pv_load(&ch->busy) || pv_load(&ch->finished))
		run(ch, false);
}

static bool is_finished(const struct blkdev_req *req)
{
	return pv_load_acquire(&req->finished);
}

/* Interrupts come, also for what has ended already. */
static void turn_irq_on(struct ide_channel *ch)
{
	uint64_t irq = pv_spin_lock_irq(&ch->lock);

	ch->irq_for = IRQ_COMMANDS;
	ide_enable_irq(ch, true);
	pv_spin_unlock_irq(&ch->lock, irq);
	run(ch, true);
}

static unsigned poll(struct blkdev *dev)
{
	struct ide_channel *ch = disk_of(dev)->ch;
	bool by_irq = pv_irq_enabled() && pv_load(&ch->irq_on);
	unsigned n;

	if (!pv_load(&ch->first) && !pv_load(&ch->finished))
		return 0;
	n = by_irq && pv_load(&ch->busy) ? 0 : run(ch, true);
	if (!n && !by_irq && pv_irq_enabled())
		turn_irq_on(ch);
	return n;
}

static bool is_over(void *arg)
{
	return is_finished(arg);
}

static void sleep_for(struct ide_channel *ch, struct blkdev_req *req)
{
	uint64_t irq = pv_spin_lock_irq(&ch->lock);

	ch->sleepers++;
	ch->cmd.disk->stats.sleeps++;
	pv_spin_unlock_irq(&ch->lock, irq);
	pv_wait(&ch->q, is_over, req, pv_now_ns() + SLEEP_MAX_NS);
	irq = pv_spin_lock_irq(&ch->lock);
	ch->sleepers--;
	pv_spin_unlock_irq(&ch->lock, irq);
}

static int wait(struct blkdev *dev, struct blkdev_req *req)
{
	struct ide_channel *ch = disk_of(dev)->ch;
	uint64_t began;

	if (!pv_load(&ch->irq_on))
		run(ch, true);
	if (is_finished(req))
		return req->result;
	if (!pv_load(&ch->irq_on))
		turn_irq_on(ch);
	for (began = pv_now_ns(); !is_finished(req);) {
		sleep_for(ch, req);
		run(ch, true); /* should an interrupt be lost, no more than a second is */
		if (!is_finished(req) && pv_now_ns() - began > DEAD_NS) {
			pv_log("%s: the drive does not answer any more\n", dev->name);
			ide_fail_all(ch);
		}
	}
	return req->result;
}

static void service(struct blkdev *dev)
{
	(void)dev; /* nothing ever changes */
}

static void geometry(struct blkdev *dev, struct blkdev_geometry *g)
{
	const struct ide_disk *d = disk_of(dev);

	*g = (struct blkdev_geometry){
		.sectors = d->sectors,
		.sector_size = BLKDEV_SECTOR,
		.physical_sector = d->physical_sector,
		.max_bytes = IDE_MAX_SECTORS * BLKDEV_SECTOR,
		.queue_depth = 1,
		.can_flush = d->can_flush,
	};
}

static void stats(struct blkdev *dev, struct blkdev_stats *s)
{
	*s = disk_of(dev)->stats;
}

static bool is_idle(void *arg)
{
	return !pv_load_acquire(&((struct ide_channel *)arg)->first);
}

static void ide_close(struct blkdev *dev)
{
	struct ide_disk *d = disk_of(dev);

	while (!is_idle(d->ch)) {
		run(d->ch, true);
		pv_wait(&d->ch->q, is_idle, d->ch, pv_now_ns() + SLEEP_MAX_NS / 100);
	}
	d->is_open = false;
}

const struct blkdev_ops ide_ops = {
	.submit = submit,
	.kick = kick,
	.poll = poll,
	.wait = wait,
	.service = service,
	.geometry = geometry,
	.stats = stats,
	.close = ide_close,
};
