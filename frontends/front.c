/* SPDX-License-Identifier: MIT */
/*
 * Attention, and who gives it: a mark and a turn. The mark is taken before the look, so what comes
 * during a look is looked at once more.
 */
#include "frontends/front.h"

#include "pvops/barrier.h"
#include "pvops/lib/format.h"
#include "pvops/pv_ops.h"

void front_attend(struct front *f)
{
	pv_store_release(&f->attention, 1);
	pv_wake(&f->q);
}

static bool is_served(void *arg)
{
	return !pv_load_acquire(&((struct front *)arg)->serving);
}

static void wait_for_turn(struct front *f)
{
	pv_wait(&f->q, is_served, f, pv_now_ns() + FRONT_LOOK_NS);
}

void front_service(struct front *f, void (*look)(void *arg), void *arg)
{
	if (pv_xchg(&f->serving, 1)) {
		wait_for_turn(f);
		return;
	}
	while (pv_xchg(&f->attention, 0))
		look(arg);
	pv_store_release(&f->serving, 0);
	pv_wake(&f->q);
}

void front_retire(struct front *f)
{
	while (pv_xchg(&f->serving, 1))
		wait_for_turn(f);
}

struct front *front_take_spare(struct front_spares *s)
{
	uint64_t irq = pv_spin_lock_irq(&s->lock);
	struct front *f = s->first;

	if (f)
		s->first = f->spare;
	pv_spin_unlock_irq(&s->lock, irq);
	return f;
}

void front_put_spare(struct front_spares *s, struct front *f)
{
	uint64_t irq = pv_spin_lock_irq(&s->lock);

	f->spare = s->first;
	s->first = f;
	pv_spin_unlock_irq(&s->lock, irq);
}

bool front_accuse(struct front *f, const struct pv_xenbus *bus, const char *fmt, va_list ap)
{
	char text[120];

	if (pv_xchg(&f->is_broken, true))
		return false;
	pv_vsnprintf(text, sizeof(text), fmt, ap);
	pv_log("%s: the back-end %s\n", bus->name, text);
	return true;
}
