/* SPDX-License-Identifier: MIT */
/*
 * Bytes in and out of the xenstore page. xsring.h states the invariant.
 */
#include "pvops/xsring.h"

#include "abi/errno.h"
#include "pvops/barrier.h"
#include "pvops/lib/string.h"

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void pv_xsring_init(struct pv_xsring *r, struct xenstore_domain_interface *page)
{
	r->page = page;
	r->req_prod = pv_load(&page->req_prod);
	r->rsp_cons = pv_load(&page->rsp_cons);
}

/* The server can say that it has stopped serving only if it offers that field. */
static bool is_given_up(const struct pv_xsring *r)
{
	return (pv_load(&r->page->server_features) & XENSTORE_SERVER_FEATURE_ERROR) &&
	       pv_load(&r->page->error) != XENSTORE_ERROR_NONE;
}

int pv_xsring_room(const struct pv_xsring *r, size_t *len)
{
	/* Acquire: the server has read the old bytes before we store new ones; pairs with its
	 * release of req_cons. */
	uint32_t used = r->req_prod - pv_load_acquire(&r->page->req_cons);

	if (used > XENSTORE_RING_SIZE || is_given_up(r))
		return -XEN_EIO;
	*len = XENSTORE_RING_SIZE - used;
	return 0;
}

int pv_xsring_peek(const struct pv_xsring *r, size_t *len)
{
	/* Acquire: the index before the bytes; pairs with the server's release of rsp_prod. */
	uint32_t ready = pv_load_acquire(&r->page->rsp_prod) - r->rsp_cons;

	if (ready > XENSTORE_RING_SIZE || is_given_up(r))
		return -XEN_EIO;
	*len = ready;
	return 0;
}

int pv_xsring_put(struct pv_xsring *r, const void *data, size_t len, size_t *done)
{
	uint32_t at = MASK_XENSTORE_IDX(r->req_prod);
	size_t room = 0, first;
	int rc = pv_xsring_room(r, &room);

	len = smaller(len, room);
	first = smaller(len, XENSTORE_RING_SIZE - at);
	memcpy(r->page->req + at, data, first);
	memcpy(r->page->req, (const char *)data + first, len - first);
	r->req_prod += (uint32_t)len;
	if (len)
		pv_store_release(&r->page->req_prod, r->req_prod); /* the bytes before it */
	*done = len;
	return rc;
}

int pv_xsring_get(struct pv_xsring *r, void *buf, size_t len, size_t *done)
{
	uint32_t at = MASK_XENSTORE_IDX(r->rsp_cons);
	size_t ready = 0, first;
	int rc = pv_xsring_peek(r, &ready);

	len = smaller(len, ready);
	first = smaller(len, XENSTORE_RING_SIZE - at);
	memcpy(buf, r->page->rsp + at, first);
	memcpy((char *)buf + first, r->page->rsp, len - first);
	r->rsp_cons += (uint32_t)len;
	if (len)
		pv_store_release(&r->page->rsp_cons, r->rsp_cons); /* the bytes are read before */
	*done = len;
	return rc;
}
