/* SPDX-License-Identifier: MIT */
/*
 * The two 8259 interrupt controllers of a PC, at ports 0x20 and 0xa0, with the edge/level registers
 * at 0x4d0. The lines and fv_irq_ack() are declared in bus.h.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PIC_H
#define HYPERVISOR_STUB_FULLVIRT_PIC_H

#include "hypervisor-stub/fullvirt/bus.h"

/* Before any device that has a line. 0 or a negative errno. */
int fv_pic_create(struct fv_bus *bus);
void fv_pic_destroy(struct fv_bus *bus);

/* Whether the line is level triggered, as firmware would set it for a PCI device; CPU's thread. */
void fv_pic_set_level_triggered(struct fv_bus *bus, unsigned line);

#endif
