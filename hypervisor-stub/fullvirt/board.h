/* SPDX-License-Identifier: MIT */
/*
 * The small things of a PC's board: the clock with its battery-backed memory, and the ports that
 * switch the machine off or reset it, where QEMU's "pc" has them.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_BOARD_H
#define HYPERVISOR_STUB_FULLVIRT_BOARD_H

#include "hypervisor-stub/fullvirt/bus.h"

struct fv_board;

/* After the memory was added, whose size CMOS tells. 0 or a negative errno. */
int fv_board_create(struct fv_board **out, struct fv_bus *bus);
void fv_board_destroy(struct fv_board *b);

#endif
