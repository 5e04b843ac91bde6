/* SPDX-License-Identifier: MIT */
/*
 * The domain builder: a kernel image becomes a domain that is ready to start, laid out as Xen does.
 */
#ifndef HYPERVISOR_STUB_CORE_BUILD_H
#define HYPERVISOR_STUB_CORE_BUILD_H

#include "hypervisor-stub/core/hv.h"

struct hv_build_request {
	const void *kernel; /* an ELF64 image in memory (already unpacked) */
	size_t kernel_len;
	const char *kernel_name; /* for sentences */
	const void *ramdisk;
	size_t ramdisk_len;
	const char *cmdline; /* at most MAX_GUEST_CMDLINE - 1 bytes */
	evtchn_port_t console_port, store_port;
};

struct hv_built {
	mfn_t console_mfn, store_mfn;
	pfn_t console_pfn, store_pfn;
};

/*
 * hv_build_pv - fills a fresh domain from an image and sets up vCPU 0
 * Returns 0, or negative errno with one sentence (file, fact, remedy) in why.
 */
int hv_build_pv(struct hv_domain *d, const struct hv_build_request *rq, struct hv_built *out,
                char *why, size_t why_len);

/*
 * Whether an engine has the addresses that an image needs in a domain of nr_pages pages. An image that
 * no engine could run, for its own sake or the domain's size, counts as one that fits: hv_build_pv()
 * finds the words for it. 0, or negative errno with one sentence in why.
 */
int hv_build_fits(const struct hv_engine *e, const struct hv_build_request *rq, uint64_t nr_pages,
                  char *why, size_t why_len);

#endif
