/* SPDX-License-Identifier: MIT */
/*
 * The NBD protocol: numbers of the newstyle negotiation and of the transmission phase.
 *
 * All numbers on the wire are big-endian. Source: the protocol description of the NBD project
 * (doc/proto.md).
 */
#ifndef BACKENDS_NBD_WIRE_H
#define BACKENDS_NBD_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define NBD_DEFAULT_PORT 10809

/* Negotiation. */
#define NBD_MAGIC       UINT64_C(0x4e42444d41474943) /* "NBDMAGIC" */
#define NBD_OPT_MAGIC   UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define NBD_REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define NBD_FIXED       1u /* handshake flags, both ways */
#define NBD_NO_ZEROES   2u
#define NBD_OPT_NAME    1u
#define NBD_OPT_GO      7u
#define NBD_OPT_STRUCT  8u
#define NBD_REP_ACK     1u
#define NBD_REP_INFO    3u
#define NBD_REP_ERROR   (1u << 31)
#define NBD_REP_UNSUP   (NBD_REP_ERROR | 1)
#define NBD_REP_POLICY  (NBD_REP_ERROR | 2)
#define NBD_REP_TLS     (NBD_REP_ERROR | 5)
#define NBD_REP_UNKNOWN (NBD_REP_ERROR | 6)
#define NBD_INFO_EXPORT 0u
#define NBD_INFO_BLOCK  3u
#define NBD_MAX_NAME    4096u
#define NBD_MAX_OPTION  8192u /* bytes of one option's reply that we read */

/* Flags of an export. */
#define NBD_READ_ONLY   2u
#define NBD_SEND_FLUSH  4u
#define NBD_SEND_FUA    8u
#define NBD_SEND_TRIM   32u
#define NBD_SEND_ZEROES 64u

/* Transmission. */
#define NBD_REQUEST     0x25609513u
#define NBD_SIMPLE      0x67446698u
#define NBD_STRUCTURED  0x668e33efu
#define NBD_CMD_READ    0u
#define NBD_CMD_WRITE   1u
#define NBD_CMD_DISC    2u
#define NBD_CMD_FLUSH   3u
#define NBD_CMD_TRIM    4u
#define NBD_CMD_ZEROES  6u
#define NBD_CMD_FUA     1u /* flag of a command */
#define NBD_CHUNK_DONE  1u /* flag of a chunk */
#define NBD_CHUNK_NONE  0u
#define NBD_CHUNK_DATA  1u
#define NBD_CHUNK_HOLE  2u
#define NBD_CHUNK_ERROR (1u << 15) /* this and those above */
#define NBD_ESHUTDOWN   108u

#define NBD_REQUEST_LEN 28u
#define NBD_SIMPLE_LEN  16u
#define NBD_CHUNK_LEN   20u

static inline uint16_t nbd_get16(const void *at)
{
	uint16_t n;

	memcpy(&n, at, sizeof(n));
	return be16toh(n);
}

static inline uint32_t nbd_get32(const void *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return be32toh(n);
}

static inline uint64_t nbd_get64(const void *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return be64toh(n);
}

static inline char *nbd_put16(char *at, uint16_t n)
{
	n = htobe16(n);
	memcpy(at, &n, sizeof(n));
	return at + sizeof(n);
}

static inline char *nbd_put32(char *at, uint32_t n)
{
	n = htobe32(n);
	memcpy(at, &n, sizeof(n));
	return at + sizeof(n);
}

static inline char *nbd_put64(char *at, uint64_t n)
{
	n = htobe64(n);
	memcpy(at, &n, sizeof(n));
	return at + sizeof(n);
}

#endif
