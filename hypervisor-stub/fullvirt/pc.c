/* SPDX-License-Identifier: MIT */
/*
 * Builds a virtual PC in the order in which its parts need each other, and takes it apart in the
 * reverse one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/fullvirt/pc.h"

static int add_memory(struct fv_pc *pc, const struct fv_pc_config *config)
{
	int rc = config->nr_ram <= FV_BUS_MAX_RAM ? 0 : -ENOSPC;

	for (unsigned i = 0; i < config->nr_ram && !rc; i++)
		rc = fv_bus_add_ram(pc->bus, config->ram[i].gpa, config->ram[i].ptr,
		                    config->ram[i].len);
	return rc;
}

static int add_devices(struct fv_pc *pc, const struct fv_pc_config *config)
{
	int rc = fv_pic_create(pc->bus);

	if (!rc)
		rc = fv_timers_create(&pc->timers);
	if (!rc)
		rc = fv_board_create(&pc->board, pc->bus);
	if (!rc)
		rc = fv_pit_create(&pc->pit, pc->bus, pc->timers);
	if (!rc)
		rc = fv_uart_create(&pc->uart, pc->bus, pc->timers, &config->console);
	if (!rc)
		rc = fv_pci_create(&pc->pci, pc->bus);
	if (!rc)
		rc = fv_ide_create(&pc->ide, pc->bus, pc->pci, config->disks);
	for (unsigned i = 0; i < FV_PC_NETS && !rc; i++)
		if (config->nets[i].port)
			rc = fv_e1000_create(&pc->net[i], pc->bus, pc->pci, pc->timers,
			                     FV_PC_NET_SLOT + i, config->nets[i].port,
			                     config->nets[i].mac);
	return rc;
}

int fv_pc_create(struct fv_pc **out, const struct fv_pc_config *config, char *why, size_t why_len)
{
	struct fv_pc *pc = calloc(1, sizeof(*pc));
	bool blocks = true;
	int rc = pc ? fv_bus_create(&pc->bus, &config->host) : -ENOMEM;

	for (unsigned i = 0; i < FV_IDE_DRIVES; i++)
		blocks &= !config->disks[i] || config->disks[i]->block == 512;
	if (!rc && !blocks) {
		snprintf(why, why_len, "a fully virtualized disk has blocks of 512 bytes only");
		fv_pc_destroy(pc);
		return -EINVAL;
	}
	if (!rc)
		rc = add_memory(pc, config);
	if (!rc)
		rc = add_devices(pc, config);
	if (rc) {
		snprintf(why, why_len, "the virtual PC cannot be built: %s", strerror(-rc));
		if (pc)
			fv_pc_destroy(pc);
		return rc;
	}
	*out = pc;
	return 0;
}

void fv_pc_destroy(struct fv_pc *pc)
{
	for (unsigned i = 0; i < FV_PC_NETS; i++)
		if (pc->net[i])
			fv_e1000_destroy(pc->net[i]);
	if (pc->ide)
		fv_ide_destroy(pc->ide);
	if (pc->pci)
		fv_pci_destroy(pc->pci);
	if (pc->uart)
		fv_uart_destroy(pc->uart);
	if (pc->pit)
		fv_pit_destroy(pc->pit);
	if (pc->board)
		fv_board_destroy(pc->board);
	if (pc->timers)
		fv_timers_destroy(pc->timers);
	if (pc->bus && pc->bus->pic)
		fv_pic_destroy(pc->bus);
	if (pc->bus)
		fv_bus_destroy(pc->bus);
	free(pc);
}
