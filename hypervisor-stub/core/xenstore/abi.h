/* SPDX-License-Identifier: MIT */
/*
 * What this folder takes from the ABI, seen from the host: domain numbers and the wire format.
 */
#ifndef HYPERVISOR_STUB_CORE_XENSTORE_ABI_H
#define HYPERVISOR_STUB_CORE_XENSTORE_ABI_H

#ifndef PARAVANE_HOST_ABI
#define PARAVANE_HOST_ABI 1
#endif
#include "abi/xen.h"
#include "abi/io/xs_wire.h"

#endif
