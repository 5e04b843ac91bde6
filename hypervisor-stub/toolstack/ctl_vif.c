/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces that come and go while their guest runs; see ctl_vif.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/ctl_vif.h"
#include "hypervisor-stub/toolstack/vif.h"

static struct device *need_vif(struct peer *p, struct seat *s, const char *number)
{
	struct device *dev = NULL;
	char *end;
	unsigned long id = strtoul(number, &end, 10);

	if (number[0] >= '0' && number[0] <= '9' && !*end && id < VIF_NO_ID)
		dev = devices_find(&s->guest.devices, &vif_kind, (unsigned)id);
	if (!dev)
		peer_fail(
			p,
			"%s has no network interface '%.64s'; paravane network-list %s shows them",
			s->guest.name, number, s->guest.name);
	return dev;
}

/* A path means what it means to whoever asked. */
static int resolve(char *path, size_t size, const char *folder, char *why, size_t why_len)
{
	char whole[2 * VIF_TEXT];
	int n;

	if (!path[0] || path[0] == '/')
		return 0;
	n = snprintf(whole, sizeof(whole), "%s/%s", folder, path);
	if (n < 0 || (size_t)n >= sizeof(whole) || (size_t)n >= size)
		return hv_why(why, why_len, -ENAMETOOLONG, "the path of %.64s is too long", path);
	memcpy(path, whole, (size_t)n + 1);
	return 0;
}

static int resolve_all(struct vif_spec *spec, const char *folder, char *why, size_t why_len)
{
	int rc = 0;

	if (spec->kind == VIF_STREAM || spec->kind == VIF_DGRAM)
		rc = resolve(spec->target, VIF_PATH, folder, why, why_len);
	return rc ? rc : resolve(spec->capture, sizeof(spec->capture), folder, why, why_len);
}

void ctl_vif_attach(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct vif_spec spec;
	struct vif *vif;
	char why[1024], name[16];
	int rc;

	if (!s)
		return;
	rc = vif_spec_parse(&spec, word[2], why, sizeof(why));
	if (!rc)
		rc = resolve_all(&spec, word[3], why, sizeof(why));
	if (!rc)
		rc = vif_open(&vif, &spec, &s->guest.devices, why, sizeof(why));
	if (!rc) {
		rc = guest_attach(&s->guest, &vif->dev, why, sizeof(why));
		if (rc)
			device_free(&vif->dev);
	}
	if (rc) {
		peer_fail(p, "%s", why);
		return;
	}
	snprintf(name, sizeof(name), "%u", vif->dev.id);
	peer_send(p, CTL_OUTPUT, name, strlen(name));
	peer_done(p);
}

void ctl_vif_detach(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = s ? need_vif(p, s, word[2]) : NULL;

	if (dev)
		ctl_device_detach(p, s, dev, !strcmp(word[3], "force"));
}

static void list_one(struct peer *p, struct vif *vif)
{
	const uint8_t *m = vif->spec.mac;
	char row[2 * VIF_TEXT];
	int n = snprintf(row, sizeof(row), "%u\t%02x:%02x:%02x:%02x:%02x:%02x\t%s\t%s\t%s",
	                 vif->dev.id, m[0], m[1], m[2], m[3], m[4], m[5], device_state(&vif->dev),
	                 vif->port->kind, vif->spec.target[0] ? vif->spec.target : "-");

	peer_send(p, CTL_OUTPUT, row, (size_t)n);
}

void ctl_vif_list(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);

	if (!s)
		return;
	for (struct device *dev = s->guest.devices.first; dev; dev = dev->next)
		if (dev->kind == &vif_kind)
			list_one(p, vif_of(dev));
	peer_done(p);
}

void ctl_vif_restart(struct peer *p, const char *const *word)
{
	struct seat *s = peer_need_seat(p, word[1]);
	struct device *dev = s ? need_vif(p, s, word[2]) : NULL;

	if (!dev)
		return;
	if (device_restart(dev))
		peer_fail(p, "that interface is on its way out");
	else
		peer_done(p);
}
