/* SPDX-License-Identifier: MIT */
/*
 * What a back-end asks of its host (backends/device.h), given by this hypervisor: grants, event
 * channels and the store of one device of one domain.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/device_host.h"

_Static_assert(sizeof(((hv_gnttab_host_map_t *)0)->mfn) == sizeof(uint64_t), "fits be_page.host");

static int map(void *arg, grant_ref_t ref, bool readonly, struct be_page *page)
{
	struct device *dev = arg;
	hv_gnttab_host_map_t m;
	int rc = hv_gnttab_host_map(dev->d, ref, readonly, &m);

	if (!rc)
		*page = (struct be_page){
			.ptr = m.ptr, .ref = ref, .readonly = readonly, .host = { m.mfn.n }
		};
	return rc;
}

static void unmap(void *arg, struct be_page *page)
{
	struct device *dev = arg;
	hv_gnttab_host_map_t m = { .ref = page->ref,
		                   .mfn = { page->host[0] },
		                   .readonly = page->readonly,
		                   .ptr = page->ptr };

	hv_gnttab_host_unmap(dev->d, &m);
	page->ptr = NULL;
}

static int copy(void *arg, grant_ref_t ref, unsigned offset, void *buf, unsigned len, bool to_guest)
{
	struct device *dev = arg;

	return hv_gnttab_host_copy(dev->d, ref, offset, buf, len, to_guest);
}

static int bind(void *arg, evtchn_port_t port, void (*event)(void *event_arg), void *event_arg)
{
	struct device *dev = arg;

	/* XEN_E* are errno's numbers. */
	return hv_evtchn_accept_host(dev->d, port, event, event_arg);
}

static void unbind(void *arg, evtchn_port_t port)
{
	struct device *dev = arg;

	hv_evtchn_close_host(dev->d, port);
}

static void notify(void *arg, evtchn_port_t port)
{
	struct device *dev = arg;

	hv_evtchn_notify_guest(dev->d, port);
}

/* The path of a node; false when it is longer than any can be. */
static bool path_of(const struct device *dev, enum be_side side, const char *node, char *path,
                    size_t size)
{
	int n = snprintf(path, size, "%s/%s", side == BE_BACK ? dev->back : dev->front, node);

	return n >= 0 && (size_t)n < size;
}

static int read_node(void *arg, enum be_side side, const char *node, char *value, size_t size)
{
	struct device *dev = arg;
	char path[256], *text;
	size_t len;
	int rc;

	if (!path_of(dev, side, node, path, sizeof(path)))
		return -EINVAL;
	rc = xs_host_read(dev->xs, NULL, path, &text, &len);
	if (rc)
		return rc;
	rc = -E2BIG;
	if (len < size) {
		memcpy(value, text, len);
		value[len] = 0;
		rc = (int)len;
	}
	free(text);
	return rc;
}

static int write_node(void *arg, const char *node, const char *value)
{
	struct device *dev = arg;
	char path[256];

	if (!path_of(dev, BE_BACK, node, path, sizeof(path)))
		return -EINVAL;
	return xs_host_write(dev->xs, NULL, path, value, strlen(value));
}

static void complain(void *arg, const char *line)
{
	struct device *dev = arg;

	hv_log(dev->d, "%s %u: %s", dev->kind->kind, dev->id, line);
}

static int lend(void *arg, unsigned vcpu, int fd, void (*ready)(void *ready_arg), void *ready_arg)
{
	struct device *dev = arg;

	return hv_rest_lend(dev->d->vcpu[vcpu % dev->d->nr_vcpus], fd, ready, ready_arg);
}

static void take_back(void *arg, unsigned vcpu, int number)
{
	struct device *dev = arg;

	hv_rest_take_back(dev->d->vcpu[vcpu % dev->d->nr_vcpus], number);
}

const struct be_host_ops device_host_ops = {
	.map = map,
	.unmap = unmap,
	.copy = copy,
	.bind = bind,
	.unbind = unbind,
	.notify = notify,
	.read = read_node,
	.write = write_node,
	.complain = complain,
	.lend = lend,
	.take_back = take_back,
};
