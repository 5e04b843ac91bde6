/* SPDX-License-Identifier: MIT */
/*
 * Devices that leave while their guest runs; see ctl_device.h.
 */
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/device.h"

#define LEAVE_SECONDS 8 /* the command itself waits for ten */

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

void ctl_device_detach(struct peer *p, struct seat *s, struct device *dev, bool force)
{
	if (force) {
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
