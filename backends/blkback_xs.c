/* SPDX-License-Identifier: MIT */
/*
 * What a block back-end and its front-end tell each other through the store, in the words of Linux's
 * xen-blkback (docs/split-drivers.md has the table).
 *
 * Invariant: a choice of the front-end counts only as a whole: it is read and checked before anything
 * is mapped or bound.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/blkback_priv.h"

/* First failure wins; the rest is left out. */
static int put(int rc, const struct be_host_dev *h, const char *node, uint64_t value)
{
	if (rc)
		return rc;
	rc = be_printf(h, node, "%llu", (unsigned long long)value);
	return rc ? be_fail(h, rc, "%s cannot be written to the store (error %d)", node, -rc) : 0;
}

int blk_xs_offer(struct blkback *b)
{
	const struct be_host_dev *h = &b->host;
	int rc = 0;

	rc = put(rc, h, "feature-max-indirect-segments", BLKBACK_MAX_SEGMENTS);
	rc = put(rc, h, "multi-queue-max-queues", b->options.max_queues);
	rc = put(rc, h, "max-ring-page-order", b->options.max_ring_order);
	/* The same in the words of another time. */
	rc = put(rc, h, "max-ring-pages", UINT64_C(1) << b->options.max_ring_order);
	if (!rc)
		rc = be_printf(h, "mode", "%s", b->limits.readonly ? "r" : "w");
	if (!rc && b->serial)
		rc = be_printf(h, "serial", "%s", b->serial);
	return rc;
}

int blk_xs_write_size(struct blkback *b)
{
	return put(0, &b->host, "sectors", atomic_load(&b->limits.bytes) >> b->limits.unit_shift);
}

int blk_xs_describe(struct blkback *b)
{
	const struct be_host_dev *h = &b->host;
	const struct blkstore *s = b->store;
	unsigned physical = s->physical_block > s->block ? s->physical_block : s->block;
	int rc = put(0, h, "feature-flush-cache", b->limits.can_flush);

	if (b->limits.can_discard) {
		rc = put(rc, h, "discard-granularity", s->discard_granularity);
		rc = put(rc, h, "discard-alignment", 0);
		rc = put(rc, h, "discard-secure", 0);
	}
	rc = put(rc, h, "feature-discard", b->limits.can_discard);
	rc = put(rc, h, "feature-barrier", b->limits.can_flush);
	rc = put(rc, h, "feature-persistent", 1);
	if (!rc)
		rc = blk_xs_write_size(b);
	rc = put(rc, h, "info",
	         (b->options.cdrom ? VDISK_CDROM : 0u) |
	                 (b->options.removable ? VDISK_REMOVABLE : 0u) |
	                 (b->limits.readonly ? VDISK_READONLY : 0u));
	rc = put(rc, h, "sector-size", s->block);
	return put(rc, h, "physical-sector-size", physical);
}

/* ---- the front-end's choice ------------------------------------------------------------------ */

static int check_protocol(const struct be_host_dev *h)
{
	char name[64] = "";
	int rc = h->ops->read(h->arg, BE_FRONT, "protocol", name, sizeof(name));

	if (rc == -ENOENT || rc == 0 || !strcmp(name, "x86_64-abi"))
		return 0;
	return be_fail(h, -EPROTONOSUPPORT,
	               "the front-end wants protocol \"%.32s\"; x86_64-abi is spoken here", name);
}

/* A number that may be missing, between least and most. */
static int read_number(const struct be_host_dev *h, const char *node, uint64_t otherwise,
                       uint64_t least, uint64_t most, uint64_t *value)
{
	int rc = be_read_number(h, BE_FRONT, node, value);

	if (rc == -ENOENT)
		*value = otherwise;
	else if (rc || *value < least || *value > most)
		return be_fail(h, -EINVAL, "%s of the front-end is not a number from %llu to %llu",
		               node, (unsigned long long)least, (unsigned long long)most);
	return 0;
}

/* *named: ring-page-order was given, so that even a single page may be called ring-ref0. */
static int read_ring_pages(struct blkback *b, unsigned *nr_pages, bool *named)
{
	const struct be_host_dev *h = &b->host;
	uint64_t n, most = b->options.max_ring_order;
	int rc;

	*named = be_read_number(h, BE_FRONT, "ring-page-order", &n) != -ENOENT;
	if (*named) {
		rc = read_number(h, "ring-page-order", 0, 0, most, &n);
		*nr_pages = rc ? 0 : 1u << n;
		return rc;
	}
	rc = read_number(h, "num-ring-pages", 1, 1, UINT64_C(1) << most, &n);
	if (!rc && (n & (n - 1)))
		rc = be_fail(h, -EINVAL, "num-ring-pages of the front-end is no power of two");
	*nr_pages = rc ? 0 : (unsigned)n;
	return rc;
}

/* folder: "" or "queue-N/" */
static int read_number32(const struct be_host_dev *h, const char *folder, const char *node,
                         uint32_t *value)
{
	char path[64];
	uint64_t n;
	int rc;

	snprintf(path, sizeof(path), "%s%s", folder, node);
	rc = be_read_number(h, BE_FRONT, path, &n);
	if (!rc && n > UINT32_MAX)
		rc = -EINVAL;
	if (!rc)
		*value = (uint32_t)n;
	return rc;
}

static int read_refs(const struct be_host_dev *h, const char *folder, unsigned nr_pages, bool named,
                     grant_ref_t *ref)
{
	char node[24];
	int rc;

	if (nr_pages == 1) {
		rc = read_number32(h, folder, named ? "ring-ref0" : "ring-ref", &ref[0]);
		if (rc == -ENOENT)
			rc = read_number32(h, folder, named ? "ring-ref" : "ring-ref0", &ref[0]);
		return rc ? be_fail(h, -EINVAL, "%sring-ref of the front-end is no reference",
		                    folder)
		          : 0;
	}
	for (unsigned i = 0; i < nr_pages; i++) {
		snprintf(node, sizeof(node), "ring-ref%u", i);
		if (read_number32(h, folder, node, &ref[i]))
			return be_fail(h, -EINVAL, "%s%s of the front-end is no reference", folder,
			               node);
	}
	return 0;
}

int blk_xs_read(struct blkback *b, struct blk_choice *c)
{
	const struct be_host_dev *h = &b->host;
	uint64_t persistent = 0, large = 0, queues = 0;
	bool named = false;
	int rc = check_protocol(h);

	memset(c, 0, sizeof(*c));
	if (!rc)
		rc = read_number(h, "feature-persistent", 0, 0, UINT32_MAX, &persistent);
	if (!rc)
		rc = read_number(h, "feature-large-sector-size", 0, 0, UINT32_MAX, &large);
	if (!rc)
		rc = read_number(h, "multi-queue-num-queues", 1, 1, b->options.max_queues, &queues);
	if (!rc)
		rc = read_ring_pages(b, &c->nr_pages, &named);
	for (unsigned i = 0; !rc && i < queues; i++) {
		char folder[24] = "";

		if (queues > 1)
			snprintf(folder, sizeof(folder), "queue-%u/", i);
		rc = read_number32(h, folder, "event-channel", &c->queue[i].port);
		if (rc)
			rc = be_fail(h, -EINVAL, "%sevent-channel of the front-end is no port",
			             folder);
		else
			rc = read_refs(h, folder, c->nr_pages, named, c->queue[i].ref);
	}
	c->nr_queues = (unsigned)queues;
	c->persistent = persistent != 0;
	c->large_sectors = large != 0;
	return rc;
}
