/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the xenstore page: bytes in and out of two rings. What the bytes mean is for
 * xs.c.
 *
 * Invariant: our two indexes are kept here and only shown in the page. The other side's are read
 * once per call; one that cannot be is an error, and nothing is touched.
 */
#ifndef PVOPS_XSRING_H
#define PVOPS_XSRING_H

#include <stddef.h>
#include <stdint.h>

#include "abi/io/xs_wire.h"

struct pv_xsring {
	struct xenstore_domain_interface *page;
	uint32_t req_prod, rsp_cons;
};

/* Goes on where the page says that we were: an earlier kernel may have used it. */
void pv_xsring_init(struct pv_xsring *r, struct xenstore_domain_interface *page);

/*
 * pv_xsring_room, pv_xsring_peek - bytes that can be put, bytes that wait to be got
 *
 * len: out; unchanged on failure
 * Return 0, or -XEN_EIO: an index of the server's cannot be, or it has given the connection up.
 */
int pv_xsring_room(const struct pv_xsring *r, size_t *len);
int pv_xsring_peek(const struct pv_xsring *r, size_t *len);

/*
 * pv_xsring_put, pv_xsring_get - as many of len bytes as there is room for, or as there are
 *
 * done: out: how many; 0 on failure. The caller tells the server when it is not 0.
 * Return 0 or -XEN_EIO. Context: any; one caller at a time for each of the two.
 * Source: Xen docs/misc/xenstore-ring.txt.
 */
int pv_xsring_put(struct pv_xsring *r, const void *data, size_t len, size_t *done);
int pv_xsring_get(struct pv_xsring *r, void *buf, size_t len, size_t *done);

#endif /* PVOPS_XSRING_H */
