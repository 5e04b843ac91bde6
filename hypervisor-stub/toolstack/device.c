/* SPDX-License-Identifier: MIT */
/*
 * The split devices of one guest; see device.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/device.h"
#include "hypervisor-stub/toolstack/device_host.h"

/* ---- folders in the store -------------------------------------------------------------------- */

struct device_nodes {
	struct device *dev;
	struct xs_host *h;
	struct xs_tx *tx;
	int rc; /* of the first step that failed: the rest does nothing */
};

static void put(struct device_nodes *n, const char *folder, const char *name, const char *fmt,
                va_list ap)
{
	char path[128], value[1024];
	int len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	len = vsnprintf(value, sizeof(value), fmt, ap);
	if (!n->rc && (len < 0 || (size_t)len >= sizeof(value)))
		n->rc = -E2BIG;
	if (!n->rc)
		n->rc = xs_host_write(n->h, n->tx, path, value, (size_t)len);
}

void device_put_back(struct device_nodes *n, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(n, n->dev->back, name, fmt, ap);
	va_end(ap);
}

void device_put_front(struct device_nodes *n, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(n, n->dev->front, name, fmt, ap);
	va_end(ap);
}

/* An empty folder that belongs to one domain and that another one may read, as xl has it. */
static void make_folder(struct device_nodes *n, const char *path, domid_t owner, domid_t reader)
{
	char perms[24];

	snprintf(perms, sizeof(perms), "n%u,r%u", owner, reader);
	if (!n->rc)
		n->rc = xs_host_rm(n->h, n->tx, path);
	if (n->rc == -ENOENT)
		n->rc = 0;
	if (!n->rc)
		n->rc = xs_host_mkdir(n->h, n->tx, path);
	if (!n->rc)
		n->rc = xs_host_set_perms(n->h, n->tx, path, perms);
}

/* The nodes and their permissions are those that xl writes; the kind adds its own. */
static int make_nodes(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	struct device *dev = arg;
	struct device_nodes n = { dev, h, tx, 0 };

	make_folder(&n, dev->front, dev->d->domid, 0);
	make_folder(&n, dev->back, 0, dev->d->domid);
	device_put_back(&n, "frontend", "%s", dev->front);
	device_put_back(&n, "frontend-id", "%u", dev->d->domid);
	device_put_back(&n, "online", "1");
	device_put_back(&n, "state", "%d", XenbusStateInitialising);
	device_put_front(&n, "backend", "%s", dev->back);
	device_put_front(&n, "backend-id", "0");
	device_put_front(&n, "state", "%d", XenbusStateInitialising);
	dev->kind->nodes(dev, &n);
	return n.rc;
}

/* Removes a folder, and those above it up to `stop` that are empty now. */
static void remove_folder(struct xs_host *h, struct xs_tx *tx, const char *folder, const char *stop)
{
	char path[64], **names, *slash;
	unsigned nr;

	snprintf(path, sizeof(path), "%s", folder);
	xs_host_rm(h, tx, path);
	for (slash = strrchr(path, '/'); slash && strlen(path) > strlen(stop);
	     slash = strrchr(path, '/')) {
		*slash = 0;
		if (strlen(path) <= strlen(stop) || xs_host_directory(h, tx, path, &names, &nr))
			return;
		if (nr) {
			free(names);
			return;
		}
		xs_host_rm(h, tx, path);
	}
}

static int remove_nodes(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	struct device *dev = arg;

	char device[48];

	snprintf(device, sizeof(device), "/local/domain/%u/device", dev->d->domid);
	remove_folder(h, tx, dev->front, device);
	remove_folder(h, tx, dev->back, "/local/domain/0");
	return 0;
}

/* ---- the front-end's changes ------------------------------------------------------------------ */

/* On the watch's thread. */
static void on_change(void *arg, const char *path)
{
	struct device *dev = arg;
	bool tell;

	(void)path;
	pthread_mutex_lock(&dev->lock);
	be_bus_front_changed(&dev->bus);
	tell = be_bus_closed(&dev->bus) && !dev->closed_told;
	dev->closed_told |= tell;
	pthread_mutex_unlock(&dev->lock);
	if (tell)
		dev->ring(dev->ring_arg);
}

/* Signals are the main thread's: the store's thread is made with all of them blocked. */
static int start_watch(struct device *dev)
{
	sigset_t all, before;
	char path[80];
	int rc;

	snprintf(path, sizeof(path), "%s/state", dev->front);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = xs_host_watch(dev->xs, path, on_change, dev, &dev->watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* ---- one device ------------------------------------------------------------------------------- */

void device_init(struct device *dev, const struct device_kind *kind, unsigned id)
{
	memset(dev, 0, sizeof(*dev));
	dev->kind = kind;
	dev->id = id;
	dev->host = (struct be_host_dev){ &device_host_ops, dev };
	pthread_mutex_init(&dev->lock, NULL);
}

void device_free(struct device *dev)
{
	device_unplug(dev);
	pthread_mutex_destroy(&dev->lock);
	dev->kind->free(dev);
}

static int start(struct device *dev)
{
	int rc = xs_host_transact(dev->xs, make_nodes, dev);

	if (rc)
		return rc;
	rc = be_bus_start(&dev->bus, dev->kind->driver, dev->backend, &dev->host);
	if (rc)
		goto out_nodes;
	rc = start_watch(dev);
	if (!rc)
		return 0;
	be_bus_drop(&dev->bus);
out_nodes:
	xs_host_transact(dev->xs, remove_nodes, dev);
	return rc;
}

int device_plug(struct device *dev, struct hv_domain *d, struct xs_store *store,
                void (*ring)(void *arg), void *arg)
{
	int rc;

	HV_ASSERT(!dev->is_plugged);
	dev->d = d;
	dev->ring = ring;
	dev->ring_arg = arg;
	dev->closed_told = false;
	snprintf(dev->front, sizeof(dev->front), "/local/domain/%u/device/%s/%u", d->domid,
	         dev->kind->kind, dev->id);
	snprintf(dev->back, sizeof(dev->back), "/local/domain/0/backend/%s/%u/%u", dev->kind->kind,
	         d->domid, dev->id);
	rc = xs_host_open(store, &dev->xs);
	if (rc)
		return rc;
	rc = dev->kind->create(dev);
	if (rc)
		goto out_store;
	rc = start(dev);
	if (rc)
		goto out_backend;
	dev->is_plugged = true;
	return 0;

out_backend:
	dev->kind->destroy(dev);
out_store:
	xs_host_close(dev->xs);
	return rc;
}

void device_leave(struct device *dev)
{
	dev->is_leaving = true;
	if (!dev->is_plugged)
		return;
	pthread_mutex_lock(&dev->lock);
	be_bus_close(&dev->bus);
	pthread_mutex_unlock(&dev->lock);
	/* It may have closed at once. */
	on_change(dev, NULL);
}

bool device_is_closed(struct device *dev)
{
	bool closed = true;

	if (!dev->is_plugged)
		return true;
	pthread_mutex_lock(&dev->lock);
	closed = be_bus_closed(&dev->bus);
	pthread_mutex_unlock(&dev->lock);
	return closed;
}

void device_unplug(struct device *dev)
{
	if (!dev->is_plugged)
		return;
	if (dev->kind->hurry)
		dev->kind->hurry(dev, true);
	/* Not with the lock: this waits for a change that is being served. */
	xs_host_unwatch(dev->watch);
	pthread_mutex_lock(&dev->lock);
	be_bus_drop(&dev->bus);
	pthread_mutex_unlock(&dev->lock);
	if (dev->kind->hurry)
		dev->kind->hurry(dev, false);
	dev->kind->destroy(dev);
	xs_host_transact(dev->xs, remove_nodes, dev);
	xs_host_close(dev->xs);
	dev->is_plugged = false;
	dev->backend = NULL;
	dev->d = NULL;
}

int device_restart(struct device *dev)
{
	if (!dev->is_plugged || dev->is_leaving)
		return -ENODEV;
	pthread_mutex_lock(&dev->lock);
	be_bus_restart(&dev->bus);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

const char *device_state(struct device *dev)
{
	static const char *const word[] = { "unknown", "starting",      "waiting",
		                            "ready",   "connected",     "closing",
		                            "closed",  "reconfiguring", "reconfigured" };
	int state;

	if (!dev->is_plugged)
		return "unplugged";
	pthread_mutex_lock(&dev->lock);
	state = dev->bus.state;
	pthread_mutex_unlock(&dev->lock);
	return state >= 0 && (size_t)state < sizeof(word) / sizeof(word[0]) ? word[state] : word[0];
}

int device_path(char *path, size_t size, const char *folder, char *why, size_t why_len)
{
	char whole[1024];
	int n;

	if (!folder || !path[0] || path[0] == '/')
		return 0;
	n = snprintf(whole, sizeof(whole), "%s/%s", folder, path);
	if (n < 0 || (size_t)n >= sizeof(whole) || (size_t)n >= size)
		return hv_why(why, why_len, -ENAMETOOLONG, "the path of %.64s is too long", path);
	memcpy(path, whole, (size_t)n + 1);
	return 0;
}

void device_add_stats(void *sum, const void *stats, size_t bytes)
{
	const uint64_t *from = stats;
	uint64_t *to = sum;

	HV_ASSERT(bytes % sizeof(uint64_t) == 0);
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		to[i] += from[i];
}

/* ---- all of a guest ---------------------------------------------------------------------------- */

void devices_add(struct device_list *l, struct device *dev)
{
	struct device **link = &l->first;

	while (*link)
		link = &(*link)->next;
	dev->next = NULL;
	*link = dev;
}

void devices_remove(struct device_list *l, struct device *dev)
{
	struct device **link = &l->first;

	while (*link != dev)
		link = &(*link)->next;
	*link = dev->next;
}

struct device *devices_find(struct device_list *l, const struct device_kind *kind, unsigned id)
{
	for (struct device *dev = l->first; dev; dev = dev->next)
		if (dev->kind == kind && dev->id == id)
			return dev;
	return NULL;
}

int devices_plug(struct device_list *l, struct hv_domain *d, struct xs_store *store,
                 void (*ring)(void *arg), void *arg, struct device **failed)
{
	for (struct device *dev = l->first; dev; dev = dev->next) {
		int rc = device_plug(dev, d, store, ring, arg);

		if (!rc)
			continue;
		*failed = dev;
		for (struct device *other = l->first; other != dev; other = other->next)
			device_unplug(other);
		return rc;
	}
	return 0;
}

void devices_unplug(struct device_list *l)
{
	struct device *next;

	for (struct device *dev = l->first; dev; dev = next) {
		next = dev->next;
		device_unplug(dev);
		if (!dev->is_leaving)
			continue;
		devices_remove(l, dev);
		device_free(dev);
	}
}

void devices_free(struct device_list *l)
{
	while (l->first) {
		struct device *dev = l->first;

		l->first = dev->next;
		device_free(dev);
	}
}
