/* SPDX-License-Identifier: MIT */
/*
 * The network protocol: entries of the transmit and the receive ring (abi/io/ring.h) between
 * netfront and netback. What is agreed through xenstore first is in docs/split-drivers.md.
 *
 * A packet is one or more slots in a row. Transmit: the first request describes the whole packet
 * (its size is the packet's), then extra-info slots while the flags say so, then one request for
 * each further fragment. Receive: responses in the same manner, into buffers that the front-end
 * posted before; there every size is the fragment's own.
 *
 * Invariant: every transmit request gets one response (NETIF_RSP_NULL for extra-info slots), every
 * receive response answers the request of its own slot's index.
 */
#ifndef ABI_IO_NETIF_H
#define ABI_IO_NETIF_H

#include "abi/base.h"
#include "abi/grant_table.h"
#include "abi/io/ring.h"

/* Slots that a back-end takes for one packet at the least; more are not to be counted on. */
#define XEN_NETIF_NR_SLOTS_MIN 18
#define XEN_NETIF_MAX_TX_SIZE  0xFFFF

/* netif_tx_request.flags */
#define _NETTXF_csum_blank     0 /* the checksum field holds only the pseudo-header's sum */
#define NETTXF_csum_blank      (xen_mk_uint(1) << _NETTXF_csum_blank)
#define _NETTXF_data_validated 1 /* the checksum was right, or will be made so */
#define NETTXF_data_validated  (xen_mk_uint(1) << _NETTXF_data_validated)
#define _NETTXF_more_data      2 /* another fragment follows */
#define NETTXF_more_data       (xen_mk_uint(1) << _NETTXF_more_data)
#define _NETTXF_extra_info     3 /* a struct netif_extra_info is in the next slot */
#define NETTXF_extra_info      (xen_mk_uint(1) << _NETTXF_extra_info)

/* netif_rx_response.flags */
#define _NETRXF_data_validated 0
#define NETRXF_data_validated  (xen_mk_uint(1) << _NETRXF_data_validated)
#define _NETRXF_csum_blank     1
#define NETRXF_csum_blank      (xen_mk_uint(1) << _NETRXF_csum_blank)
#define _NETRXF_more_data      2
#define NETRXF_more_data       (xen_mk_uint(1) << _NETRXF_more_data)
#define _NETRXF_extra_info     3
#define NETRXF_extra_info      (xen_mk_uint(1) << _NETRXF_extra_info)
#define _NETRXF_gso_prefix     4 /* an older form of segmentation offload */
#define NETRXF_gso_prefix      (xen_mk_uint(1) << _NETRXF_gso_prefix)

/* netif_extra_info.type and .flags */
#define XEN_NETIF_EXTRA_TYPE_NONE      0
#define XEN_NETIF_EXTRA_TYPE_GSO       1
#define XEN_NETIF_EXTRA_TYPE_MCAST_ADD 2
#define XEN_NETIF_EXTRA_TYPE_MCAST_DEL 3
#define XEN_NETIF_EXTRA_TYPE_HASH      4
#define XEN_NETIF_EXTRA_TYPE_MAX       5
#define _XEN_NETIF_EXTRA_FLAG_MORE     0 /* the next slot is of this kind too */
#define XEN_NETIF_EXTRA_FLAG_MORE      (xen_mk_uint(1) << _XEN_NETIF_EXTRA_FLAG_MORE)

/* netif_extra_info.u.gso.type */
#define XEN_NETIF_GSO_TYPE_NONE  0
#define XEN_NETIF_GSO_TYPE_TCPV4 1
#define XEN_NETIF_GSO_TYPE_TCPV6 2

/* Status of a response; a receive response that is not an error holds the length in bytes. */
#define NETIF_RSP_DROPPED -2
#define NETIF_RSP_ERROR   -1
#define NETIF_RSP_OKAY    0
#define NETIF_RSP_NULL    1 /* transmit: the slot was extra info */

/* Hashing of packets over queues: types and algorithms */
#define _XEN_NETIF_CTRL_HASH_TYPE_IPV4         0
#define XEN_NETIF_CTRL_HASH_TYPE_IPV4          (1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV4)
#define _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP     1
#define XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP      (1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP)
#define _XEN_NETIF_CTRL_HASH_TYPE_IPV6         2
#define XEN_NETIF_CTRL_HASH_TYPE_IPV6          (1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV6)
#define _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP     3
#define XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP      (1 << _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)
#define XEN_NETIF_CTRL_HASH_ALGORITHM_NONE     0
#define XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ 1

/* xen_netif_ctrl_request.type */
#define XEN_NETIF_CTRL_TYPE_INVALID               0
#define XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS        1
#define XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS        2
#define XEN_NETIF_CTRL_TYPE_SET_HASH_KEY          3
#define XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE 4
#define XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE 5
#define XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING      6
#define XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM    7
#define XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE 8
#define XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING      9
#define XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING      10

/* xen_netif_ctrl_response.status */
#define XEN_NETIF_CTRL_STATUS_SUCCESS           0
#define XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED     1
#define XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER 2
#define XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW   3

/* xen_netif_gref.flags */
#define _XEN_NETIF_CTRLF_GREF_readonly 0
#define XEN_NETIF_CTRLF_GREF_readonly  (xen_mk_uint(1) << _XEN_NETIF_CTRLF_GREF_readonly)

#ifndef __ASSEMBLY__

struct netif_tx_request {
	grant_ref_t gref; /* the page, readable for the back-end */
	uint16_t offset;  /* bytes from its start */
	uint16_t flags;   /* NETTXF_* */
	uint16_t id;      /* the front-end's, echoed */
	uint16_t size;    /* first slot: of the whole packet; others: of this fragment */
};
typedef struct netif_tx_request netif_tx_request_t;

/* Takes the place of a request (transmit) or a response (receive). */
struct netif_extra_info {
	uint8_t type;  /* XEN_NETIF_EXTRA_TYPE_* */
	uint8_t flags; /* XEN_NETIF_EXTRA_FLAG_* */
	union {
		struct {
			uint16_t size; /* payload of each segment to be made; 0 is an error */
			uint8_t type;  /* XEN_NETIF_GSO_TYPE_* */
			uint8_t pad;
			uint16_t features;
		} gso;
		struct {
			uint8_t addr[6];
		} mcast;
		struct {
			uint8_t type;
			uint8_t algorithm;
			uint8_t value[4];
		} hash;
		uint16_t pad[3];
	} u;
};
typedef struct netif_extra_info netif_extra_info_t;

struct netif_tx_response {
	uint16_t id;
	int16_t status; /* NETIF_RSP_* */
};
typedef struct netif_tx_response netif_tx_response_t;

struct netif_rx_request {
	uint16_t id; /* the front-end's, echoed */
	uint16_t pad;
	grant_ref_t gref; /* an empty page, writable for the back-end */
};
typedef struct netif_rx_request netif_rx_request_t;

struct netif_rx_response {
	uint16_t id;
	uint16_t offset; /* of the data in the page */
	uint16_t flags;  /* NETRXF_* */
	int16_t status;  /* negative: NETIF_RSP_*; else bytes in this page */
};
typedef struct netif_rx_response netif_rx_response_t;

/* The optional control ring. */
struct xen_netif_ctrl_request {
	uint16_t id;      /* echoed */
	uint16_t type;    /* XEN_NETIF_CTRL_TYPE_* */
	uint32_t data[3]; /* by type */
};

struct xen_netif_ctrl_response {
	uint16_t id;
	uint16_t type;
	uint32_t status; /* XEN_NETIF_CTRL_STATUS_* */
	uint32_t data;   /* by type */
};

struct xen_netif_gref {
	grant_ref_t ref;
	uint16_t flags;  /* XEN_NETIF_CTRLF_GREF_* */
	uint16_t status; /* out: XEN_NETIF_CTRL_STATUS_* */
};

DEFINE_RING_TYPES(netif_tx, struct netif_tx_request, struct netif_tx_response);
DEFINE_RING_TYPES(netif_rx, struct netif_rx_request, struct netif_rx_response);
DEFINE_RING_TYPES(xen_netif_ctrl, struct xen_netif_ctrl_request, struct xen_netif_ctrl_response);

PV_ABI_SIZE(struct netif_tx_request, 12);
PV_ABI_FIELD(struct netif_tx_request, offset, 4);
PV_ABI_FIELD(struct netif_tx_request, flags, 6);
PV_ABI_FIELD(struct netif_tx_request, id, 8);
PV_ABI_FIELD(struct netif_tx_request, size, 10);
PV_ABI_SIZE(struct netif_extra_info, 8);
PV_ABI_FIELD(struct netif_extra_info, flags, 1);
PV_ABI_FIELD(struct netif_extra_info, u, 2);
PV_ABI_SIZE(struct netif_tx_response, 4);
PV_ABI_FIELD(struct netif_tx_response, status, 2);
PV_ABI_SIZE(struct netif_rx_request, 8);
PV_ABI_FIELD(struct netif_rx_request, pad, 2);
PV_ABI_FIELD(struct netif_rx_request, gref, 4);
PV_ABI_SIZE(struct netif_rx_response, 8);
PV_ABI_FIELD(struct netif_rx_response, offset, 2);
PV_ABI_FIELD(struct netif_rx_response, flags, 4);
PV_ABI_FIELD(struct netif_rx_response, status, 6);
PV_ABI_SIZE(struct xen_netif_ctrl_request, 16);
PV_ABI_FIELD(struct xen_netif_ctrl_request, type, 2);
PV_ABI_FIELD(struct xen_netif_ctrl_request, data, 4);
PV_ABI_SIZE(struct xen_netif_ctrl_response, 12);
PV_ABI_FIELD(struct xen_netif_ctrl_response, type, 2);
PV_ABI_FIELD(struct xen_netif_ctrl_response, status, 4);
PV_ABI_FIELD(struct xen_netif_ctrl_response, data, 8);
PV_ABI_SIZE(struct xen_netif_gref, 8);
PV_ABI_FIELD(struct xen_netif_gref, flags, 4);
PV_ABI_FIELD(struct xen_netif_gref, status, 6);
PV_ABI_SIZE(union netif_tx_sring_entry, 12);
PV_ABI_SIZE(struct netif_tx_sring, 76);
PV_ABI_SIZE(union netif_rx_sring_entry, 8);
PV_ABI_SIZE(struct netif_rx_sring, 72);
PV_ABI_SIZE(union xen_netif_ctrl_sring_entry, 16);
PV_ABI_SIZE(struct xen_netif_ctrl_sring, 80);

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_NETIF_H */
