/* SPDX-License-Identifier: MIT */
/*
 * The console page: two byte rings between a domain and whoever shows its console.
 *
 * Invariant: indexes run freely modulo 2^32; producer minus consumer is the number of bytes in a
 * ring and never exceeds its size. Each index has one writer:
 *
 *   in_prod   the console's side       in_cons   the guest
 *   out_prod  the guest                out_cons  the console's side
 *
 * A producer stores bytes, then (release) its index; a consumer loads the index (acquire), then the
 * bytes, and after it has read them (full barrier) stores its own. Either side notifies the port of
 * start_info.console.domU.evtchn after it moved an index.
 */
#ifndef ABI_IO_CONSOLE_H
#define ABI_IO_CONSOLE_H

#include "abi/base.h"

#ifndef __ASSEMBLY__

typedef uint32_t XENCONS_RING_IDX;

#define MASK_XENCONS_IDX(idx, ring) ((idx) & (sizeof(ring) - 1))

struct xencons_interface {
	char in[1024];
	char out[2048];
	XENCONS_RING_IDX in_cons, in_prod;
	XENCONS_RING_IDX out_cons, out_prod;
};

PV_ABI_SIZE(struct xencons_interface, 3088);
PV_ABI_FIELD(struct xencons_interface, out, 1024);
PV_ABI_FIELD(struct xencons_interface, in_cons, 3072);
PV_ABI_FIELD(struct xencons_interface, in_prod, 3076);
PV_ABI_FIELD(struct xencons_interface, out_cons, 3080);
PV_ABI_FIELD(struct xencons_interface, out_prod, 3084);

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_CONSOLE_H */
