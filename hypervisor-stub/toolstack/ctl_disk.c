/* SPDX-License-Identifier: MIT */
/*
 * Disks that change while their guest runs; see ctl_disk.h.
 */
#include "hypervisor-stub/toolstack/ctl_disk.h"
#include "hypervisor-stub/toolstack/disk.h"

void ctl_disk_resize(struct peer *p, const struct device_kind *kind, const char *const *word)
{
	struct device *dev = ctl_device_need(p, kind, word, NULL);
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
