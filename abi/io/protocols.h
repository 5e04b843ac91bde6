/* SPDX-License-Identifier: MIT */
/*
 * Values of the node "protocol" by which a block front-end names the layout of its ring.
 */
#ifndef ABI_IO_PROTOCOLS_H
#define ABI_IO_PROTOCOLS_H

#define XEN_IO_PROTO_ABI_X86_32 "x86_32-abi"
#define XEN_IO_PROTO_ABI_X86_64 "x86_64-abi"
#define XEN_IO_PROTO_ABI_ARM    "arm-abi"
#define XEN_IO_PROTO_ABI_NATIVE XEN_IO_PROTO_ABI_X86_64

#endif /* ABI_IO_PROTOCOLS_H */
