/* SPDX-License-Identifier: MIT */
/*
 * xen_version: we call ourselves the Xen whose ABI we speak, and say in the free texts who we are.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/version.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/version.h"

static int64_t put(struct hv_vcpu *v, uint64_t va, const void *src, size_t len)
{
	return hv_guest_write(v, va, src, len) ? -XEN_EFAULT : 0;
}

/* Texts have the length of their ABI type; the rest is zero. */
static int64_t put_text(struct hv_vcpu *v, uint64_t va, const char *text, size_t len)
{
	char buf[XEN_CAPABILITIES_INFO_LEN] = { 0 };

	memcpy(buf, text, strlen(text));
	return put(v, va, buf, len);
}

static int64_t get_features(struct hv_vcpu *v, uint64_t va)
{
	struct xen_feature_info f;

	if (hv_guest_read(v, &f, va, sizeof(f)))
		return -XEN_EFAULT;
	if (f.submap_idx != 0)
		return -XEN_EINVAL;
	f.submap = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
	           1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_memory_op_vnode_supported |
	           1u << XENFEAT_not_direct_mapped;
	if (v->domain->vm_assist & 1u << VMASST_TYPE_pae_extended_cr3)
		f.submap |= 1u << XENFEAT_pae_pgdir_above_4gb;
	return put(v, va, &f, sizeof(f));
}

int64_t hv_do_xen_version(struct hv_vcpu *v, const uint64_t *a)
{
	static const struct xen_compile_info compiled = {
		.compiler = "a C11 compiler",
		.compile_by = "paravane",
		.compile_domain = "",
		.compile_date = "",
	};
	static const struct xen_platform_parameters platform = { HYPERVISOR_VIRT_START };
	uint64_t va = a[1];

	switch ((uint32_t)a[0]) {
	case XENVER_version:
		return HV_XEN_MAJOR << 16 | HV_XEN_MINOR;
	case XENVER_extraversion:
		return put_text(v, va, "-paravane", XEN_EXTRAVERSION_LEN);
	case XENVER_compile_info:
		return put(v, va, &compiled, sizeof(compiled));
	case XENVER_capabilities:
		return put_text(v, va, "xen-3.0-x86_64 ", XEN_CAPABILITIES_INFO_LEN);
	case XENVER_changeset:
		return put_text(v, va, "paravane " PARAVANE_VERSION, XEN_CHANGESET_INFO_LEN);
	case XENVER_platform_parameters:
		return put(v, va, &platform, sizeof(platform));
	case XENVER_get_features:
		return get_features(v, va);
	case XENVER_pagesize:
		return va ? -XEN_EINVAL : (int64_t)HV_PAGE_SIZE;
	case XENVER_guest_handle:
		return put(v, va, v->domain->uuid, sizeof(v->domain->uuid));
	case XENVER_commandline:
		/* Xen's words for an unprivileged caller. */
		return put(v, va, "<denied>", sizeof("<denied>"));
	case XENVER_build_id:
		return -XEN_EPERM;
	default:
		return -XEN_ENOSYS;
	}
}
