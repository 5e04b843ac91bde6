/* SPDX-License-Identifier: MIT */
/*
 * A whole virtual PC without its processor: the bus, and on it the devices that QEMU's "pc" machine
 * has at the same places.
 *
 *   interrupt controllers   0x20, 0xa0    pic.h
 *   timer                   0x40, 0x61    pit.h    line 0
 *   serial port             0x3f8         uart.h   line 4
 *   clock, off, reset       0x64, 0x70, 0x92, 0xf4, 0x600   board.h
 *   PCI                     0xcf8         pci.h
 *   network                 slots 3 to 6  e1000.h  lines 10 and 11
 *   disks                   0x1f0, 0x170, 0xc040   ide.h    lines 14 and 15
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PC_H
#define HYPERVISOR_STUB_FULLVIRT_PC_H

#include "hypervisor-stub/fullvirt/board.h"
#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/e1000.h"
#include "hypervisor-stub/fullvirt/ide.h"
#include "hypervisor-stub/fullvirt/pci.h"
#include "hypervisor-stub/fullvirt/pic.h"
#include "hypervisor-stub/fullvirt/pit.h"
#include "hypervisor-stub/fullvirt/timer.h"
#include "hypervisor-stub/fullvirt/uart.h"

struct fv_pc_ram {
	uint64_t gpa, len; /* bytes, page aligned */
	void *ptr;
};

#define FV_PC_NETS     4
#define FV_PC_NET_SLOT 3 /* on the PCI bus, of the first */

struct fv_pc_net {
	struct netport *port; /* NULL: none there */
	uint8_t mac[6];
};

struct fv_pc_config {
	struct fv_bus_host host;
	struct fv_console console;
	struct fv_pc_ram ram[FV_BUS_MAX_RAM];
	unsigned nr_ram;
	struct blkstore *disks[FV_IDE_DRIVES]; /* NULL: none there. They stay the caller's, */
	struct fv_pc_net nets[FV_PC_NETS];     /* and so do these */
};

struct fv_pc {
	struct fv_bus *bus;
	struct fv_timers *timers;
	struct fv_board *board;
	struct fv_pit *pit;
	struct fv_uart *uart;
	struct fv_pci *pci;
	struct fv_ide *ide;
	struct fv_e1000 *net[FV_PC_NETS];
};

/*
 * fv_pc_create - builds the machine; config is copied, the memory is not
 * Returns 0, or a negative errno with a sentence in why. Undo: fv_pc_destroy().
 */
int fv_pc_create(struct fv_pc **out, const struct fv_pc_config *config, char *why, size_t why_len);
/* The CPU runs no more. Waits for what storage has; no call of the host's or the console's is made
 * when this returns, and disks and
 * ports may be closed. */
void fv_pc_destroy(struct fv_pc *pc);

#endif
