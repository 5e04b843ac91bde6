/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor says of itself: xen_version(cmd, arg). arg is written, never read, save where
 * a field says "in".
 */
#ifndef ABI_VERSION_H
#define ABI_VERSION_H

#include "abi/base.h"
#include "abi/features.h"
#include "abi/handle.h"
#include "abi/xen.h"

#define XENVER_version             0  /* no argument; returns major << 16 | minor */
#define XENVER_extraversion        1  /* xen_extraversion_t */
#define XENVER_compile_info        2  /* struct xen_compile_info */
#define XENVER_capabilities        3  /* xen_capabilities_info_t: "xen-<version>-x86_64 ..." */
#define XENVER_changeset           4  /* xen_changeset_info_t */
#define XENVER_platform_parameters 5  /* struct xen_platform_parameters */
#define XENVER_get_features        6  /* struct xen_feature_info */
#define XENVER_pagesize            7  /* no argument; returns the page size in bytes */
#define XENVER_guest_handle        8  /* xen_domain_handle_t */
#define XENVER_commandline         9  /* xen_commandline_t */
#define XENVER_build_id            10 /* struct xen_build_id; returns its length */

#ifndef __ASSEMBLY__

typedef char xen_extraversion_t[16];
typedef char xen_capabilities_info_t[1024];
typedef char xen_changeset_info_t[64];
typedef char xen_commandline_t[1024];

#define XEN_EXTRAVERSION_LEN      (sizeof(xen_extraversion_t))
#define XEN_CAPABILITIES_INFO_LEN (sizeof(xen_capabilities_info_t))
#define XEN_CHANGESET_INFO_LEN    (sizeof(xen_changeset_info_t))

/* Strings, each ended by a 0. */
struct xen_compile_info {
	char compiler[64];
	char compile_by[16];
	char compile_domain[32];
	char compile_date[32];
};
typedef struct xen_compile_info xen_compile_info_t;

struct xen_platform_parameters {
	xen_ulong_t virt_start; /* where the hypervisor's part of the address space starts */
};
typedef struct xen_platform_parameters xen_platform_parameters_t;

struct xen_feature_info {
	unsigned int submap_idx; /* in: below XENFEAT_NR_SUBMAPS */
	uint32_t submap;         /* out: bit n is feature 32 * submap_idx + n */
};
typedef struct xen_feature_info xen_feature_info_t;

struct xen_build_id {
	uint32_t len; /* in: room in buf, in bytes */
	unsigned char buf[XEN_FLEX_ARRAY_DIM];
};
typedef struct xen_build_id xen_build_id_t;

PV_ABI_SIZE(struct xen_compile_info, 144);
PV_ABI_FIELD(struct xen_compile_info, compile_by, 64);
PV_ABI_FIELD(struct xen_compile_info, compile_domain, 80);
PV_ABI_FIELD(struct xen_compile_info, compile_date, 112);
PV_ABI_SIZE(struct xen_platform_parameters, 8);
PV_ABI_SIZE(struct xen_feature_info, 8);
PV_ABI_FIELD(struct xen_feature_info, submap, 4);
PV_ABI_SIZE(struct xen_build_id, 4);
PV_ABI_FIELD(struct xen_build_id, buf, 4);

#endif /* __ASSEMBLY__ */

#endif /* ABI_VERSION_H */
