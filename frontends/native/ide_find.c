/* SPDX-License-Identifier: MIT */
/*
 * Which IDE disks there are: the PCI function says whether a bus master comes with the channels,
 * which are looked at where they have always been.
 *
 * Not handled: functions whose channels have ports of their own (native mode); effect: their disks
 * are not found.
 */
#include "abi/errno.h"
#include "frontends/native/ide.h"
#include "frontends/native/pci.h"
#include "pvops/lib/format.h"
#include "pvops/native/native.h"

#define CLASS_IDE    0x0101
#define CLASS_NATIVE 0x05 /* either channel is in native mode */
#define CLASS_MASTER 0x80
#define NO_UNIT      0xff

bool ide_only_pio;

static struct ide_channel channels[2];
static bool is_looked_for;

static int find_function(const struct pci_dev *dev, void *arg)
{
	uint64_t bar;
	bool is_io;

	if (dev->class_code >> 8 != CLASS_IDE || dev->class_code & CLASS_NATIVE)
		return 0;
	*(bool *)arg = true;
	pci_enable(dev);
	bar = pci_bar(dev, 4, &is_io);
	for (unsigned i = 0; i < 2 && dev->class_code & CLASS_MASTER && is_io && bar; i++)
		channels[i].bm = (uint16_t)(bar + 8 * i);
	return 1;
}

/* A channel's drives; the channel is used when it has one. */
static int look_at(unsigned nr)
{
	static const uint16_t task[2] = { 0x1f0, 0x170 }, control[2] = { 0x3f6, 0x376 };
	struct ide_channel *ch = &channels[nr];

	ch->task = task[nr];
	ch->control = control[nr];
	ch->irq = 14 + nr;
	ch->selected = NO_UNIT;
	ch->irq_on = true;
	ide_enable_irq(ch, false);
	for (unsigned i = 0; i < 2; i++) {
		struct ide_disk *d = &ch->disk[i];

		d->ch = ch;
		d->unit = (uint8_t)i;
		d->dev.ops = &ide_ops;
		ch->cmd.disk = ch->cmd.disk ? ch->cmd.disk : d;
		if (ide_identify(d))
			d->sectors = 0;
		ch->is_found |= d->sectors != 0;
	}
	ch->selected = NO_UNIT;
	if (!ch->is_found)
		return 0;
	ch->prds = pv_page_alloc();
	if (!ch->prds)
		return -XEN_ENOMEM;
	if (ch->bm)
		pv_out32(ch->bm + 4, (uint32_t)pv_native_dma(ch->prds));
	return pv_native_irq_request(ch->irq, ide_interrupt, ch);
}

static int look(void)
{
	bool is_there = false;
	int rc = 0;

	if (is_looked_for)
		return 0;
	is_looked_for = true;
	pci_each(find_function, &is_there);
	for (unsigned i = 0; is_there && !rc && i < 2; i++)
		rc = look_at(i);
	return rc;
}

int ide_each(int (*fn)(const char *node, unsigned vdev, void *arg), void *arg)
{
	static const unsigned vdev[4] = { 3 << 8, 3 << 8 | 64, 22 << 8, 22 << 8 | 64 };
	int rc = look();

	for (unsigned i = 0; i < 4 && !rc; i++) {
		char node[8];

		pv_snprintf(node, sizeof(node), "ide%u", i);
		if (channels[i / 2].disk[i % 2].sectors)
			rc = fn(node, vdev[i], arg);
	}
	return rc;
}

int ide_open(const char *node, struct blkdev **dev)
{
	unsigned i = (unsigned)(node[3] - '0');
	struct ide_disk *d;

	if (look() || i > 3)
		return -XEN_ENODEV;
	d = &channels[i / 2].disk[i % 2];
	if (!d->sectors || blkdev_is_gone(&d->dev))
		return -XEN_ENODEV;
	if (d->is_open)
		return -XEN_EBUSY;
	d->is_open = true;
	pv_snprintf(d->dev.name, sizeof(d->dev.name), "hd%c", 'a' + i);
	*dev = &d->dev;
	return 0;
}
