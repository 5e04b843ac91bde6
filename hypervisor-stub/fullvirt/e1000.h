/* SPDX-License-Identifier: MIT */
/*
 * An Ethernet card with the programming interface of Intel's 82540EM, on the ports that network
 * back-ends use.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_E1000_H
#define HYPERVISOR_STUB_FULLVIRT_E1000_H

#include "backends/netport.h"
#include "hypervisor-stub/fullvirt/pci.h"
#include "hypervisor-stub/fullvirt/timer.h"

struct fv_e1000;

struct fv_e1000_stats {
	uint64_t tx_packets, tx_bytes, tx_dropped, tx_gso;
	uint64_t rx_packets, rx_bytes, rx_dropped;
	uint64_t interrupts;
};

/*
 * fv_e1000_create - slot: on the PCI bus; port: stays the caller's, is attached
 * Returns 0 or a negative errno.
 */
int fv_e1000_create(struct fv_e1000 **out, struct fv_bus *bus, struct fv_pci *pci,
                    struct fv_timers *timers, unsigned slot, struct netport *port,
                    const uint8_t mac[6]);
/* Detaches the port. The CPU runs no more. */
void fv_e1000_destroy(struct fv_e1000 *e);
/* Any thread. */
void fv_e1000_get_stats(struct fv_e1000 *e, struct fv_e1000_stats *stats);

#endif
