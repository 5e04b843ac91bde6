/* SPDX-License-Identifier: MIT */
/*
 * Disks that come, go and change while their guest runs; see ctl_disk.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/ctl_disk.h"
#include "hypervisor-stub/toolstack/disk.h"

static struct device *need_disk(struct peer *p, struct seat *s, const char *name)
{
	struct device *dev = NULL;
	uint32_t vdev;

	if (disk_vdev_parse(name, &vdev))
		dev = devices_find(&s->guest.devices, &disk_kind, vdev);
	if (!dev)
		peer_fail(p, "%s has no disk '%.64s'; paravane block-list %s shows them",
		          s->guest.name, name, s->guest.name);
	return dev;
}

/* ---- attach ----------------------------------------------------------------------------------- */

/* A file's name means what it means to whoever asked. */
static int resolve(struct disk_spec *spec, const char *folder, char *why, size_t why_len)
{
	char path[DISK_TEXT];
	int n;

	if (spec->format != DISK_RAW || spec->target[0] == '/')
		return 0;
	n = snprintf(path, sizeof(path), "%s/%s", folder, spec->target);
	if (n < 0 || (size_t)n >= sizeof(path))
		return hv_why(why, why_len, -ENAMETOOLONG, "disk %.64s: its path is too long",
		              spec->target);
	memcpy(spec->target, path, (size_t)n + 1);
	return 0;
}

void ctl_disk_attach(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct disk_spec spec;
	struct disk *disk;
	char why[1024], name[24];
	int rc;

	if (!s)
		return;
	rc = disk_spec_parse(&spec, word[2], why, sizeof(why));
	if (!rc)
		rc = resolve(&spec, word[3], why, sizeof(why));
	if (!rc)
		rc = disk_open(&disk, &spec, &s->guest.devices, why, sizeof(why));
	if (!rc) {
		rc = guest_attach(&s->guest, &disk->dev, why, sizeof(why));
		if (rc)
			device_free(&disk->dev);
	}
	if (rc) {
		peer_fail(p, "%s", why);
		return;
	}
	disk_vdev_name(disk->spec.vdev, name, sizeof(name));
	peer_send(p, CTL_OUTPUT, name, strlen(name));
	peer_done(p);
}

/* ---- detach, list, resize, restart --------------------------------------------------------------- */

void ctl_disk_detach(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = s ? need_disk(p, s, word[2]) : NULL;

	if (dev)
		ctl_device_detach(p, s, dev, !strcmp(word[3], "force"));
}

static void list_one(struct peer *p, struct disk *disk)
{
	const struct blkstore *s = disk->store;
	char row[DISK_TEXT + 256], name[24];
	int n = snprintf(row, sizeof(row), "%s\t%u\t%s\t%s\t%" PRIu64 "\t%u\t%s\t%s",
	                 disk_vdev_name(disk->dev.id, name, sizeof(name)), disk->dev.id,
	                 device_state(&disk->dev), s->readonly ? "r" : "w",
	                 s->ops->size(disk->store), s->block, s->kind, disk->spec.target);

	peer_send(p, CTL_OUTPUT, row, (size_t)n);
}

void ctl_disk_list(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);

	if (!s)
		return;
	for (struct device *dev = s->guest.devices.first; dev; dev = dev->next)
		if (dev->kind == &disk_kind)
			list_one(p, disk_of(dev));
	peer_done(p);
}

void ctl_disk_resize(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = s ? need_disk(p, s, word[2]) : NULL;
	uint64_t bytes = 0;
	char why[1024];

	if (!dev)
		return;
	if (word[3][0] && (!options_size(word[3], &bytes) || !bytes))
		peer_fail(p, "'%.64s' is no size; write 64M or 1G (a plain number is MiB)",
		          word[3]);
	else if (disk_resize(disk_of(dev), bytes, why, sizeof(why)))
		peer_fail(p, "%s", why);
	else
		peer_done(p);
}

void ctl_disk_restart(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = s ? need_disk(p, s, word[2]) : NULL;

	if (!dev)
		return;
	if (device_restart(dev))
		peer_fail(p, "that disk is on its way out");
	else
		peer_done(p);
}
