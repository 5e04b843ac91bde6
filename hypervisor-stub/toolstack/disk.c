/* SPDX-License-Identifier: MIT */
/*
 * Disks as devices of a guest; see disk.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/blkstore_nbd.h"
#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/disk.h"
#include "hypervisor-stub/toolstack/options.h"

/* ---- storage ---------------------------------------------------------------------------------- */

static int open_memory(struct disk *disk, char *why, size_t why_len)
{
	uint64_t bytes;

	if (!options_size(disk->spec.target, &bytes) || !bytes)
		return hv_why(why, why_len, -EINVAL,
		              "disk memory:%s: that is no size; write memory:64M",
		              disk->spec.target);
	return blkstore_open_memory(&disk->store, bytes,
	                            disk->spec.sector ? disk->spec.sector : 512, why, why_len);
}

static int open_nbd(struct disk *disk, char *why, size_t why_len)
{
	struct blkstore_nbd_limits limits = blkstore_nbd_usual;

	if (disk->spec.timeout)
		limits.lost_ms = disk->spec.timeout * 1000;
	return blkstore_open_nbd_with(&disk->store, disk->spec.target, disk->spec.readonly, &limits,
	                              why, why_len);
}

static int open_store(struct disk *disk, char *why, size_t why_len)
{
	const struct disk_spec *s = &disk->spec;
	struct blkstore_file_options file = { .readonly = s->readonly,
		                              .direct = s->direct,
		                              .block = s->sector,
		                              .no_uring = s->no_uring };

	switch (s->format) {
	case DISK_NBD:
		return open_nbd(disk, why, why_len);
	case DISK_MEMORY:
		return open_memory(disk, why, why_len);
	default:
		return blkstore_open_file(&disk->store, s->target, &file, why, why_len);
	}
}

/* The number that was asked for, or the first that is free. */
static int choose_number(struct disk *disk, struct device_list *taken, char *why, size_t why_len)
{
	char name[24];

	if (disk->spec.vdev == DISK_NO_VDEV) {
		unsigned n = 0;

		while (devices_find(taken, &disk_kind, disk_vdev_nth(n)))
			n++;
		disk->spec.vdev = disk_vdev_nth(n);
	} else if (devices_find(taken, &disk_kind, disk->spec.vdev)) {
		return hv_why(why, why_len, -EEXIST,
		              "disk %s: the guest has one called %s; give it another vdev",
		              disk->spec.target,
		              disk_vdev_name(disk->spec.vdev, name, sizeof(name)));
	}
	return 0;
}

static int open_disk(struct device **out, const char *text, const char *folder,
                     struct device_list *taken, char *why, size_t why_len)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int rc;

	if (!disk)
		return hv_why(why, why_len, -ENOMEM, "memory is short; free some");
	rc = disk_spec_parse(&disk->spec, text, why, why_len);
	if (!rc && disk->spec.format == DISK_RAW)
		rc = device_path(disk->spec.target, sizeof(disk->spec.target), folder, why,
		                 why_len);
	if (!rc)
		rc = choose_number(disk, taken, why, why_len);
	if (!rc)
		rc = open_store(disk, why, why_len);
	if (rc) {
		free(disk);
		return rc;
	}
	disk->store->readonly |= disk->spec.readonly;
	if (disk->spec.no_discard)
		disk->store->can_discard = false;
	device_init(&disk->dev, &disk_kind, disk->spec.vdev);
	*out = &disk->dev;
	return 0;
}

int disk_resize(struct disk *disk, uint64_t bytes, char *why, size_t why_len)
{
	struct blkstore *s = disk->store;
	int rc = 0;

	if (bytes && disk->spec.format != DISK_RAW)
		return hv_why(why, why_len, -EINVAL,
		              "only a file is given another size here; change it where it is");
	if (bytes && bytes < s->ops->size(s))
		return hv_why(why, why_len, -EINVAL,
		              "%s has %" PRIu64 " bytes; to make it smaller would cut off data",
		              disk->spec.target, s->ops->size(s));
	if (bytes && truncate(disk->spec.target, (off_t)bytes))
		rc = -errno;
	if (!rc)
		rc = s->ops->refresh(s);
	if (rc)
		return hv_why(why, why_len, rc, "%s: %s", disk->spec.target, strerror(-rc));
	if (disk->dev.is_plugged)
		blkback_resized(disk->dev.backend);
	return 0;
}

/* ---- the device ------------------------------------------------------------------------------- */

static int create(struct device *dev)
{
	struct disk *disk = disk_of(dev);
	struct blkback_options options = {
		.removable = disk->spec.removable,
		.cdrom = disk->spec.cdrom,
		.serial = disk->spec.serial[0] ? disk->spec.serial : NULL,
		.max_ring_order = 4,
	};
	struct blkback *b;
	int rc = blkback_create(&b, &dev->host, disk->store, &options);

	if (!rc)
		dev->backend = b;
	return rc;
}

static void destroy(struct device *dev)
{
	struct disk *disk = disk_of(dev);
	struct blkback_stats s;

	blkback_get_stats(dev->backend, &s);
	device_add_stats(&disk->past, &s, sizeof(s));
	blkback_destroy(dev->backend);
}

/* As xl 4.17 writes them; its own folder and the scripts' nodes are left out. */
static void nodes(struct device *dev, struct device_nodes *n)
{
	const struct disk_spec *s = &disk_of(dev)->spec;
	const char *type = s->cdrom ? "cdrom" : "disk";
	char name[24];

	device_put_back(n, "params", "%s", s->target);
	device_put_back(n, "type", "%s", s->format == DISK_RAW ? "phy" : "qdisk");
	device_put_back(n, "dev", "%s", disk_vdev_name(s->vdev, name, sizeof(name)));
	device_put_back(n, "mode", "%s", s->readonly ? "r" : "w");
	device_put_back(n, "device-type", "%s", type);
	device_put_back(n, "removable", "%d", s->removable || s->cdrom);
	device_put_back(n, "bootable", "1");
	device_put_back(n, "discard-enable", "%d", disk_of(dev)->store->can_discard);
	device_put_back(n, "hotplug-status", "connected");
	device_put_front(n, "virtual-device", "%u", dev->id);
	device_put_front(n, "device-type", "%s", type);
}

static void hurry(struct device *dev, bool on)
{
	struct blkstore *s = disk_of(dev)->store;

	if (s->ops->hurry)
		s->ops->hurry(s, on);
}

static void free_disk(struct device *dev)
{
	struct disk *disk = disk_of(dev);

	disk->store->ops->close(disk->store);
	free(disk);
}

static const char *disk_name(struct device *dev, char *name, size_t size)
{
	return disk_vdev_name(dev->id, name, size);
}

static int row(struct device *dev, char *row, size_t size)
{
	struct disk *disk = disk_of(dev);
	struct blkstore *s = disk->store;
	char name[24];

	return snprintf(row, size, "%s\t%u\t%s\t%s\t%" PRIu64 "\t%u\t%s\t%s",
	                disk_name(dev, name, sizeof(name)), dev->id, device_state(dev),
	                s->readonly ? "r" : "w", s->ops->size(s), s->block, s->kind,
	                disk->spec.target);
}

static double per(uint64_t n, uint64_t of)
{
	return of ? (double)n / (double)of : 0;
}

static void stats(struct device *dev, const char *guest, FILE *out)
{
	struct disk *disk = disk_of(dev);
	struct blkback_stats s = disk->past, now;
	char name[24];
	uint64_t all;

	if (dev->is_plugged) {
		blkback_get_stats(dev->backend, &now);
		device_add_stats(&s, &now, sizeof(s));
	}
	all = s.reads + s.writes + s.flushes + s.discards;
	fprintf(out,
	        "%s %s: %" PRIu64 " reads of %" PRIu64 " KiB, %" PRIu64 " writes of %" PRIu64
	        " KiB, %" PRIu64 " flushes, %" PRIu64 " discards, %" PRIu64 " errors\n",
	        guest, disk_vdev_name(disk->spec.vdev, name, sizeof(name)), s.reads,
	        s.sectors_read / 2, s.writes, s.sectors_written / 2, s.flushes, s.discards,
	        s.errors);
	fprintf(out,
	        "%s %s: %" PRIu64 " served where the event arrived, %" PRIu64
	        " handed over; a request took %.3f events in, %.3f out, %.3f grant maps\n",
	        guest, name, s.inline_done, s.handed_over, per(s.events_in, all),
	        per(s.events_out, all), per(s.grants_mapped, all));
}

const struct device_kind disk_kind = {
	.kind = "vbd",
	.noun = "disk",
	.verb = "block",
	.driver = &blkback_driver,
	.open = open_disk,
	.number = disk_vdev_parse,
	.name = disk_name,
	.row = row,
	.create = create,
	.destroy = destroy,
	.nodes = nodes,
	.hurry = hurry,
	.free = free_disk,
	.stats = stats,
};
