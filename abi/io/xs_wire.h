/* SPDX-License-Identifier: MIT */
/*
 * Xenstore's messages and its shared page.
 *
 * A message is a header (struct xsd_sockmsg) and len bytes. The answer has the request's type, or
 * XS_ERROR with the error's name as payload ("EINVAL"), and its req_id and tx_id; answers come in
 * any order, XS_WATCH_EVENT with req_id 0 in between.
 *
 * Invariant of the page: two rings of XENSTORE_RING_SIZE bytes with free-running indexes; producer
 * minus consumer never exceeds the size. Messages are packed without gaps and wrap anywhere.
 *
 *   req_prod, rsp_cons  written by the guest
 *   req_cons, rsp_prod  written by xenstore
 */
#ifndef ABI_IO_XS_WIRE_H
#define ABI_IO_XS_WIRE_H

#include "abi/base.h"

#define XENSTORE_RING_SIZE     1024
#define MASK_XENSTORE_IDX(idx) ((idx) & (XENSTORE_RING_SIZE - 1))

/* Longest payload, absolute and relative path, in bytes; the final 0 of a path is not counted. */
#define XENSTORE_PAYLOAD_MAX  4096
#define XENSTORE_ABS_PATH_MAX 3072
#define XENSTORE_REL_PATH_MAX 2048

/* xenstore_domain_interface.server_features */
#define XENSTORE_SERVER_FEATURE_RECONNECTION 1 /* the connection field works */
#define XENSTORE_SERVER_FEATURE_ERROR        2 /* the error field works */

/* xenstore_domain_interface.connection: the guest asks by 1, xenstore answers by 0 */
#define XENSTORE_CONNECTED 0
#define XENSTORE_RECONNECT 1

/* xenstore_domain_interface.error: why xenstore no longer reads the ring */
#define XENSTORE_ERROR_NONE    0
#define XENSTORE_ERROR_COMM    1
#define XENSTORE_ERROR_RINGIDX 2 /* impossible index */
#define XENSTORE_ERROR_PROTO   3 /* impossible message */

/* Second string of XS_WRITE in its oldest form */
#define XS_WRITE_NONE        "NONE"
#define XS_WRITE_CREATE      "CREATE"
#define XS_WRITE_CREATE_EXCL "CREATE|EXCL"

#ifndef __ASSEMBLY__

enum xsd_sockmsg_type {
	XS_CONTROL,              /* privileged */
	XS_DIRECTORY,            /* path: names of the children, each ended by a 0 */
	XS_READ,                 /* path: value, without a 0 */
	XS_GET_PERMS,            /* path: permissions, each ended by a 0 */
	XS_WATCH,                /* path, token: "OK"; an event follows at once */
	XS_UNWATCH,              /* path, token: "OK" */
	XS_TRANSACTION_START,    /* empty: number of the transaction, for tx_id */
	XS_TRANSACTION_END,      /* "T" or "F": "OK", or EAGAIN for a conflict */
	XS_INTRODUCE,            /* privileged */
	XS_RELEASE,              /* privileged */
	XS_GET_DOMAIN_PATH,      /* domain id: its home directory */
	XS_WRITE,                /* path, 0, value without a 0: "OK" */
	XS_MKDIR,                /* path: "OK" */
	XS_RM,                   /* path: "OK" */
	XS_SET_PERMS,            /* path, permissions: "OK" */
	XS_WATCH_EVENT,          /* from xenstore only: path, token */
	XS_ERROR,                /* from xenstore only: name of the error */
	XS_IS_DOMAIN_INTRODUCED, /* domain id: "T" or "F" */
	XS_RESUME,               /* privileged */
	XS_SET_TARGET,           /* privileged */
	/* one number is not used */
	XS_RESET_WATCHES = XS_SET_TARGET + 2, /* empty: all watches and transactions are gone */
	XS_DIRECTORY_PART, /* path, offset: generation, then a part of the children's names */
	XS_TYPE_COUNT,     /* types in use are below */
	XS_INVALID = 0xffff
};
#define XS_DEBUG XS_CONTROL

/* Parts of an XS_WATCH_EVENT's payload. */
enum xs_watch_type { XS_WATCH_PATH = 0, XS_WATCH_TOKEN };

struct xsd_sockmsg {
	uint32_t type;   /* XS_* */
	uint32_t req_id; /* chosen by who asks, echoed */
	uint32_t tx_id;  /* transaction, 0 for none; echoed */
	uint32_t len;    /* bytes that follow, at most XENSTORE_PAYLOAD_MAX */
};

typedef uint32_t XENSTORE_RING_IDX;

struct xenstore_domain_interface {
	char req[XENSTORE_RING_SIZE]; /* to xenstore */
	char rsp[XENSTORE_RING_SIZE]; /* answers and watch events */
	XENSTORE_RING_IDX req_cons, req_prod;
	XENSTORE_RING_IDX rsp_cons, rsp_prod;
	uint32_t server_features; /* written by xenstore */
	uint32_t connection;      /* both: see above */
	uint32_t error;           /* written by xenstore */
};

PV_ABI_SIZE(struct xsd_sockmsg, 16);
PV_ABI_FIELD(struct xsd_sockmsg, req_id, 4);
PV_ABI_FIELD(struct xsd_sockmsg, tx_id, 8);
PV_ABI_FIELD(struct xsd_sockmsg, len, 12);
PV_ABI_SIZE(struct xenstore_domain_interface, 2076);
PV_ABI_FIELD(struct xenstore_domain_interface, rsp, 1024);
PV_ABI_FIELD(struct xenstore_domain_interface, req_cons, 2048);
PV_ABI_FIELD(struct xenstore_domain_interface, req_prod, 2052);
PV_ABI_FIELD(struct xenstore_domain_interface, rsp_cons, 2056);
PV_ABI_FIELD(struct xenstore_domain_interface, rsp_prod, 2060);
PV_ABI_FIELD(struct xenstore_domain_interface, server_features, 2064);
PV_ABI_FIELD(struct xenstore_domain_interface, connection, 2068);
PV_ABI_FIELD(struct xenstore_domain_interface, error, 2072);

#endif /* __ASSEMBLY__ */

#endif /* ABI_IO_XS_WIRE_H */
