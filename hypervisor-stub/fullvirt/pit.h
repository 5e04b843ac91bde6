/* SPDX-License-Identifier: MIT */
/*
 * The 8254 interval timer of a PC at 0x40, whose first channel is line 0, and port 0x61, which
 * shows and gates the third.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_PIT_H
#define HYPERVISOR_STUB_FULLVIRT_PIT_H

#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/timer.h"

#define FV_PIT_HZ 1193182u

struct fv_pit;

int fv_pit_create(struct fv_pit **out, struct fv_bus *bus, struct fv_timers *timers);
void fv_pit_destroy(struct fv_pit *p);

#endif
