/* SPDX-License-Identifier: MIT */
/*
 * The shared ring of split drivers: requests one way, responses the other, in the same slots.
 *
 * Invariant: indexes run freely modulo 2^32; the slot of an index is the index modulo the number of
 * entries, a power of two. In flight is at most that number: req_prod - rsp_prod <= entries.
 *
 *   req_prod, rsp_event  written by the front-end
 *   rsp_prod, req_event  written by the back-end
 *
 * A side that wants to be woken writes into its event field the index whose arrival is to wake it,
 * then looks once more (RING_FINAL_CHECK_FOR_*): the store of the event field and the load of the
 * producer index are divided by a full barrier, which pairs with the one between the store of the
 * producer index and the load of the event field in RING_PUSH_*_AND_CHECK_NOTIFY. Without either, a
 * wake-up can be lost.
 *
 * The peer is not trusted: an index is read once and checked (RING_*_PROD_OVERFLOW), a request is
 * copied out (RING_COPY_*) before it is looked at.
 */
#ifndef ABI_IO_RING_H
#define ABI_IO_RING_H

#include "abi/base.h"

#ifndef XEN_PAGE_SHIFT
#define XEN_PAGE_SHIFT 12
#endif

#ifndef __ASSEMBLY__

/* Barriers between domains: needed whatever the number of processors of either. */
#ifndef xen_mb
#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

typedef unsigned int RING_IDX;

/* An index in shared memory is read and written once, as a whole, whatever the compiler knows. */
#define PV_ABI_RING_GET(index)        __atomic_load_n(&(index), __ATOMIC_RELAXED)
#define PV_ABI_RING_SET(index, value) __atomic_store_n(&(index), value, __ATOMIC_RELAXED)

/* The largest power of two that is not above x; 0 for 0. */
#define __RD2(x)  (((x)&0x00000002) ? 0x2 : ((x)&0x1))
#define __RD4(x)  (((x)&0x0000000c) ? __RD2((x) >> 2) << 2 : __RD2(x))
#define __RD8(x)  (((x)&0x000000f0) ? __RD4((x) >> 4) << 4 : __RD4(x))
#define __RD16(x) (((x)&0x0000ff00) ? __RD8((x) >> 8) << 8 : __RD8(x))
#define __RD32(x) (((x)&0xffff0000) ? __RD16((x) >> 16) << 16 : __RD16(x))

/* Entries of a ring of type name in bytes of shared memory: as a constant, and from a pointer. */
#define __CONST_RING_SIZE(name, bytes)                          \
	(__RD32(((bytes)-offsetof(struct name##_sring, ring)) / \
	        sizeof(((struct name##_sring *)0)->ring[0])))
#define __RING_SIZE(sring, bytes) \
	(__RD32(((bytes) - (long)(sring)->ring + (long)(sring)) / sizeof((sring)->ring[0])))

/*
 * Types for a ring whose requests are req_t and responses rsp_t: struct name_sring is the shared
 * memory, struct name_front_ring and struct name_back_ring are the private sides.
 */
#define DEFINE_RING_TYPES(name, req_t, rsp_t)                   \
	union name##_sring_entry {                              \
		req_t req;                                      \
		rsp_t rsp;                                      \
	};                                                      \
	struct name##_sring {                                   \
		RING_IDX req_prod, req_event;                   \
		RING_IDX rsp_prod, rsp_event;                   \
		union {                                         \
			struct {                                \
				uint8_t smartpoll_active;       \
			} netif;                                \
			struct {                                \
				uint8_t msg;                    \
			} tapif_user;                           \
			uint8_t pvt_pad[4];                     \
		} pvt;                                          \
		uint8_t __pad[44];                              \
		union name##_sring_entry ring[1]; /* of many */ \
	};                                                      \
	struct name##_front_ring {                              \
		RING_IDX req_prod_pvt;                          \
		RING_IDX rsp_cons;                              \
		unsigned int nr_ents;                           \
		struct name##_sring *sring;                     \
	};                                                      \
	struct name##_back_ring {                               \
		RING_IDX rsp_prod_pvt;                          \
		RING_IDX req_cons;                              \
		unsigned int nr_ents;                           \
		struct name##_sring *sring;                     \
	};                                                      \
	typedef struct name##_sring name##_sring_t;             \
	typedef struct name##_front_ring name##_front_ring_t;   \
	typedef struct name##_back_ring name##_back_ring_t

/* The front-end prepares the shared memory, once, before the back-end hears of it. */
#define SHARED_RING_INIT(s)                                                      \
	do {                                                                     \
		size_t pv_ring_i;                                                \
		(s)->req_prod = (s)->rsp_prod = 0;                               \
		(s)->req_event = (s)->rsp_event = 1;                             \
		for (pv_ring_i = 0; pv_ring_i < 4; pv_ring_i++)                  \
			(s)->pvt.pvt_pad[pv_ring_i] = 0;                         \
		for (pv_ring_i = 0; pv_ring_i < sizeof((s)->__pad); pv_ring_i++) \
			(s)->__pad[pv_ring_i] = 0;                               \
	} while (0)

/* Take up a ring at index i, which is 0 for a new one. */
#define FRONT_RING_ATTACH(r, s, i, bytes)             \
	do {                                          \
		(r)->req_prod_pvt = (i);              \
		(r)->rsp_cons = (i);                  \
		(r)->nr_ents = __RING_SIZE(s, bytes); \
		(r)->sring = (s);                     \
	} while (0)
#define FRONT_RING_INIT(r, s, bytes) FRONT_RING_ATTACH(r, s, 0, bytes)
#define XEN_FRONT_RING_INIT(r, s, bytes)      \
	do {                                  \
		SHARED_RING_INIT(s);          \
		FRONT_RING_INIT(r, s, bytes); \
	} while (0)
#define BACK_RING_ATTACH(r, s, i, bytes)              \
	do {                                          \
		(r)->rsp_prod_pvt = (i);              \
		(r)->req_cons = (i);                  \
		(r)->nr_ents = __RING_SIZE(s, bytes); \
		(r)->sring = (s);                     \
	} while (0)
#define BACK_RING_INIT(r, s, bytes) BACK_RING_ATTACH(r, s, 0, bytes)

#define RING_SIZE(r)                ((r)->nr_ents)

/* Front-end: slots for new requests, and whether there is none. */
#define RING_FREE_REQUESTS(r) (RING_SIZE(r) - ((r)->req_prod_pvt - (r)->rsp_cons))
#define RING_FULL(r)          (RING_FREE_REQUESTS(r) == 0)

/*
 * What the peer has produced and this side has not consumed; requests limited to what may be. Who
 * goes on to read slots puts xen_rmb() in between.
 */
#define XEN_RING_NR_UNCONSUMED_RESPONSES(r) (PV_ABI_RING_GET((r)->sring->rsp_prod) - (r)->rsp_cons)
#define XEN_RING_NR_UNCONSUMED_REQUESTS(r)                                                        \
	__extension__({                                                                           \
		unsigned int pv_ring_req = PV_ABI_RING_GET((r)->sring->req_prod) - (r)->req_cons; \
		unsigned int pv_ring_rsp = RING_SIZE(r) - ((r)->req_cons - (r)->rsp_prod_pvt);    \
		pv_ring_req < pv_ring_rsp ? pv_ring_req : pv_ring_rsp;                            \
	})
#define RING_HAS_UNCONSUMED_RESPONSES(r) XEN_RING_NR_UNCONSUMED_RESPONSES(r)
#define RING_HAS_UNCONSUMED_REQUESTS(r)  XEN_RING_NR_UNCONSUMED_REQUESTS(r)

/* The slot of an index, in shared memory: for writing, or after the peer has let go of it. */
#define RING_GET_REQUEST(r, idx)  (&((r)->sring->ring[((idx) & (RING_SIZE(r) - 1))].req))
#define RING_GET_RESPONSE(r, idx) (&((r)->sring->ring[((idx) & (RING_SIZE(r) - 1))].rsp))

/* A private copy of the slot of an index. The cast keeps the compiler from reading it twice. */
#define RING_COPY_REQUEST(r, idx, dest)                                         \
	do {                                                                    \
		*(dest) = *(volatile __typeof__(dest))RING_GET_REQUEST(r, idx); \
	} while (0)
#define RING_COPY_RESPONSE(r, idx, dest)                                         \
	do {                                                                     \
		*(dest) = *(volatile __typeof__(dest))RING_GET_RESPONSE(r, idx); \
	} while (0)

/* A back-end would consume beyond the requests that can exist; a producer index that cannot be. */
#define RING_REQUEST_CONS_OVERFLOW(r, cons)  (((cons) - (r)->rsp_prod_pvt) >= RING_SIZE(r))
#define RING_REQUEST_PROD_OVERFLOW(r, prod)  (((prod) - (r)->rsp_prod_pvt) > RING_SIZE(r))
#define RING_RESPONSE_PROD_OVERFLOW(r, prod) (((prod) - (r)->rsp_cons) > RING_SIZE(r))

/* Publish what was written; the barrier lets nobody see the index before the slots. */
#define RING_PUSH_REQUESTS(r)                                             \
	do {                                                              \
		xen_wmb();                                                \
		PV_ABI_RING_SET((r)->sring->req_prod, (r)->req_prod_pvt); \
	} while (0)
#define RING_PUSH_RESPONSES(r)                                            \
	do {                                                              \
		xen_wmb();                                                \
		PV_ABI_RING_SET((r)->sring->rsp_prod, (r)->rsp_prod_pvt); \
	} while (0)

/* The same, and whether the peer asked to be woken for something among it. */
#define RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(r, notify)                                         \
	do {                                                                                   \
		RING_IDX pv_ring_old = PV_ABI_RING_GET((r)->sring->req_prod);                  \
		RING_IDX pv_ring_new = (r)->req_prod_pvt;                                      \
		xen_wmb();                                                                     \
		PV_ABI_RING_SET((r)->sring->req_prod, pv_ring_new);                            \
		xen_mb();                                                                      \
		(notify) = ((RING_IDX)(pv_ring_new - PV_ABI_RING_GET((r)->sring->req_event)) < \
		            (RING_IDX)(pv_ring_new - pv_ring_old));                            \
	} while (0)
#define RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(r, notify)                                        \
	do {                                                                                   \
		RING_IDX pv_ring_old = PV_ABI_RING_GET((r)->sring->rsp_prod);                  \
		RING_IDX pv_ring_new = (r)->rsp_prod_pvt;                                      \
		xen_wmb();                                                                     \
		PV_ABI_RING_SET((r)->sring->rsp_prod, pv_ring_new);                            \
		xen_mb();                                                                      \
		(notify) = ((RING_IDX)(pv_ring_new - PV_ABI_RING_GET((r)->sring->rsp_event)) < \
		            (RING_IDX)(pv_ring_new - pv_ring_old));                            \
	} while (0)

/* Before sleeping: ask to be woken, then look once more. */
#define RING_FINAL_CHECK_FOR_REQUESTS(r, more_to_do)                       \
	do {                                                               \
		(more_to_do) = RING_HAS_UNCONSUMED_REQUESTS(r);            \
		if (more_to_do)                                            \
			break;                                             \
		PV_ABI_RING_SET((r)->sring->req_event, (r)->req_cons + 1); \
		xen_mb();                                                  \
		(more_to_do) = RING_HAS_UNCONSUMED_REQUESTS(r);            \
	} while (0)
#define RING_FINAL_CHECK_FOR_RESPONSES(r, more_to_do)                      \
	do {                                                               \
		(more_to_do) = RING_HAS_UNCONSUMED_RESPONSES(r);           \
		if (more_to_do)                                            \
			break;                                             \
		PV_ABI_RING_SET((r)->sring->rsp_event, (r)->rsp_cons + 1); \
		xen_mb();                                                  \
		(more_to_do) = RING_HAS_UNCONSUMED_RESPONSES(r);           \
	} while (0)

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_RING_H */
