/* SPDX-License-Identifier: MIT */
/*
 * Devices that come and go while their guest runs; see ctl_device.h.
 */
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/device.h"

#define LEAVE_SECONDS  8    /* the command itself waits for ten */
#define CTL_DEVICE_ROW 1536 /* bytes of a row at the most: the longest target and its figures */

struct device *ctl_device_need(struct peer *p, const struct device_kind *kind,
                               const char *const *word, struct seat **seat)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = NULL;
	unsigned id;

	if (!s)
		return NULL;
	if (kind->number(word[2], &id))
		dev = devices_find(&s->guest.devices, kind, id);
	if (!dev)
		peer_fail(p, "%s has no %s '%.64s'; paravane %s-list %s shows them", s->guest.name,
		          kind->noun, word[2], kind->verb, s->guest.name);
	if (seat)
		*seat = s;
	return dev;
}

/* ---- detach ------------------------------------------------------------------------------------- */

void ctl_device_stop(struct peer *p)
{
	if (p->timer_fd < 0)
		return;
	loop_remove(&peer_machine(p)->loop, p->timer);
	close(p->timer_fd);
	p->timer_fd = -1;
	p->leaves = NULL;
}

static void on_late(void *arg, short revents)
{
	struct peer *p = arg;
	struct seat *s = p->leaves;

	(void)revents;
	ctl_device_stop(p);
	peer_fail(p,
	          "%s does not let go of it yet, and it leaves when it does; --force takes it away",
	          s->guest.name);
}

static bool wait_for_it(struct peer *p, struct seat *s, const struct device *dev)
{
	struct itimerspec t = { .it_value = { .tv_sec = LEAVE_SECONDS } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return false;
	timerfd_settime(fd, 0, &t, NULL);
	p->timer = loop_add(&peer_machine(p)->loop, fd, POLLIN, on_late, p);
	if (p->timer < 0) {
		close(fd);
		return false;
	}
	p->timer_fd = fd;
	p->leaves = s;
	p->device_kind = dev->kind;
	p->device = dev->id;
	return true;
}

void ctl_device_left(struct peer *p, struct seat *s)
{
	if (p->timer_fd < 0 || p->leaves != s ||
	    devices_find(&s->guest.devices, p->device_kind, p->device))
		return;
	ctl_device_stop(p);
	peer_done(p);
}

void ctl_device_detach(struct peer *p, const struct device_kind *kind, const char *const *word)
{
	struct seat *s;
	struct device *dev = ctl_device_need(p, kind, word, &s);

	if (!dev)
		return;
	if (!strcmp(word[3], "force")) {
		devices_remove(&s->guest.devices, dev);
		device_free(dev);
		peer_done(p);
		return;
	}
	if (!wait_for_it(p, s, dev)) {
		peer_fail(p, "no descriptor is left; allow more (ulimit -n)");
		return;
	}
	device_leave(dev);
}

/* ---- attach, list, restart --------------------------------------------------------------------- */

void ctl_device_attach(struct peer *p, const struct device_kind *kind, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev;
	char why[1024], name[24];
	int rc;

	if (!s)
		return;
	rc = kind->open(&dev, word[2], word[3], &s->guest.devices, why, sizeof(why));
	if (!rc) {
		rc = guest_attach(&s->guest, dev, why, sizeof(why));
		if (rc)
			device_free(dev);
	}
	if (rc) {
		peer_fail(p, "%s", why);
		return;
	}
	kind->name(dev, name, sizeof(name));
	peer_send(p, CTL_OUTPUT, name, strlen(name));
	peer_done(p);
}

void ctl_device_list(struct peer *p, const struct device_kind *kind, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	char row[CTL_DEVICE_ROW];

	if (!s)
		return;
	for (struct device *dev = s->guest.devices.first; dev; dev = dev->next)
		if (dev->kind == kind) {
			int len = kind->row(dev, row, sizeof(row));

			HV_ASSERT(len >= 0 && (size_t)len < sizeof(row));
			peer_send(p, CTL_OUTPUT, row, (size_t)len);
		}
	peer_done(p);
}

void ctl_device_restart(struct peer *p, const struct device_kind *kind, const char *const *word)
{
	struct device *dev = ctl_device_need(p, kind, word, NULL);

	if (!dev)
		return;
	if (device_restart(dev))
		peer_fail(p, "that %s is on its way out", kind->noun);
	else
		peer_done(p);
}
