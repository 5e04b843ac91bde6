/* SPDX-License-Identifier: MIT */
/*
 * The KVM engine: guest kernel and guest user at ring 3 of a KVM virtual machine, under their own
 * validated page tables. docs/engine-kvm.md tells how and why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/cpuid.h"
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/engines/kvm/kvm.h"

#define LARGE UINT64_C(0x200000)

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* ---- what fits ----------------------------------------------------------------------------------- */

static int probe(char *why, size_t why_len)
{
	int rc = kv_open(why, why_len);

	return rc ? rc : kv_coherence(why, why_len) < 0 ? -ENOSYS : 0;
}

static int check_range(uint64_t lo, uint64_t hi, char *why, size_t why_len)
{
	const uint64_t low_end = UINT64_C(1) << 47;

	if (hi > lo && (hi <= low_end || lo >= HYPERVISOR_VIRT_END))
		return 0;
	snprintf(why, why_len,
	         "needs the addresses 0x%llx to 0x%llx, which no guest can have; link it below "
	         "0x%llx, or at 0x%llx or above",
	         (unsigned long long)lo, (unsigned long long)hi, (unsigned long long)low_end,
	         (unsigned long long)HYPERVISOR_VIRT_END);
	return -EINVAL;
}

static uint64_t m2p_len(const struct hv_domain *d)
{
	return round_up(d->machine->pool.m2p_entries * sizeof(uint64_t), HV_PAGE_SIZE);
}

static uint64_t m2p_address(const struct hv_domain *d)
{
	(void)d;
	return KV_M2P;
}

/* ---- domains ------------------------------------------------------------------------------------- */

int kv_map_memory(struct kv_domain *kd, unsigned slot, struct hv_domain *owner, uint8_t **base)
{
	size_t len = owner->mem.nr_frames << HV_PAGE_SHIFT;
	int rc;

	*base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, owner->mem.memfd, 0);
	if (*base == MAP_FAILED) {
		*base = NULL;
		return -errno;
	}
	rc = kv_vm_map(&kd->vm, slot, owner->mem.first.n << HV_PAGE_SHIFT, *base, len);
	if (rc) {
		munmap(*base, len);
		*base = NULL;
	}
	return rc;
}

void kv_unmap_memory(struct kv_domain *kd, unsigned slot, struct hv_domain *owner, uint8_t *base)
{
	uint64_t gpa = owner->mem.first.n << HV_PAGE_SHIFT;

	(void)kv_vm_map(&kd->vm, slot, gpa, base, 0);
	munmap(base, owner->mem.nr_frames << HV_PAGE_SHIFT);
}

/* The shim behind all frames that there can be, the machine-to-physical table behind the shim. */
static int make_shim(struct kv_domain *kd)
{
	const struct hv_frame_pool *pool = &kd->d->machine->pool;
	struct kv_vm *vm = &kd->vm;
	struct kv_shim_plan plan = {
		.direct_gpa = kd->d->mem.first.n << HV_PAGE_SHIFT,
		.direct_len = kd->d->mem.nr_frames << HV_PAGE_SHIFT,
		.m2p_len = m2p_len(kd->d),
	};
	int rc;

	vm->shim_size = kv_shim_size(&plan);
	vm->shim_gpa = round_up(pool->m2p_entries << HV_PAGE_SHIFT, LARGE);
	plan.m2p_gpa = round_up(vm->shim_gpa + vm->shim_size, LARGE);
	if ((plan.m2p_gpa + plan.m2p_len) >> kv_phys_bits())
		return -ENOMEM;
	vm->shim = mmap(NULL, vm->shim_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                -1, 0);
	if (vm->shim == MAP_FAILED) {
		vm->shim = NULL;
		return -errno;
	}
	kv_shim_fill(vm, &plan);
	rc = kv_vm_map(vm, KV_MEM_SHIM, vm->shim_gpa, vm->shim, vm->shim_size);
	return rc ? rc : kv_vm_map(vm, KV_MEM_M2P, plan.m2p_gpa, pool->m2p, plan.m2p_len);
}

static void free_domain(struct kv_domain *kd)
{
	if (kd->has_janitor)
		kv_cpu_destroy(&kd->janitor);
	for (unsigned i = 0; i < kd->nr_foreign; i++)
		HV_ASSERT(!kd->foreign[i].uses);
	kv_vm_destroy(&kd->vm);
	if (kd->base)
		munmap(kd->base, kd->len);
	pthread_mutex_destroy(&kd->lock);
	free(kd);
}

static int domain_create(struct hv_domain *d)
{
	struct kv_domain *kd = calloc(1, sizeof(*kd));
	int rc, coherence = kv_coherence(NULL, 0);

	if (!kd)
		return -ENOMEM;
	kd->d = d;
	kd->len = d->mem.nr_frames << HV_PAGE_SHIFT;
	pthread_mutex_init(&kd->lock, NULL);
	kd->vm.fd = -1;
	rc = coherence < 0 ? coherence
	                   : kv_vm_create(&kd->vm, (enum kv_coherence)coherence, KV_KVMS_PAGES);
	if (!rc)
		rc = make_shim(kd);
	if (!rc)
		rc = kv_map_memory(kd, KV_MEM_OWN, d, &kd->base);
	if (!rc && coherence == KV_BY_TOUCH)
		rc = kv_cpu_create(&kd->vm, &kd->janitor, KV_JANITOR, NULL);
	kd->has_janitor = !rc && coherence == KV_BY_TOUCH;
	if (kd->has_janitor && d->machine->tracer)
		kv_figures_open(&kd->janitor);
	if (rc) {
		free_domain(kd);
		return rc;
	}
	d->engine_priv = kd;
	return 0;
}

static void domain_destroy(struct hv_domain *d)
{
	if (!d->engine_priv)
		return;
	free_domain(kv_of(d));
	d->engine_priv = NULL;
}

/* As Xen fills it: 32 bytes a call; `syscall` is the way in, and iret's frame is begun for it. */
static void fill_hypercall_page(struct hv_domain *d, uint8_t page[HV_PAGE_SIZE])
{
	static const uint8_t save[] = { 0x51, 0x41, 0x53, 0x50 }; /* push rcx, r11, rax */
	static const uint8_t keep[] = { 0x51, 0x41, 0x53 };       /* push rcx, r11 */
	static const uint8_t back[] = { 0x41, 0x5b, 0x59, 0xc3 }; /* pop r11, rcx; ret */

	(void)d;
	memset(page, 0xcc, HV_PAGE_SIZE);
	for (uint32_t nr = 0; nr < HV_PAGE_SIZE / 32; nr++) {
		uint8_t *at = page + 32 * nr;
		bool is_iret = nr == __HYPERVISOR_iret;
		size_t n = is_iret ? sizeof(save) : sizeof(keep);

		memcpy(at, is_iret ? save : keep, n);
		at += n;
		*at++ = 0xb8; /* mov $nr, %eax */
		memcpy(at, &nr, sizeof(nr));
		at += sizeof(nr);
		memcpy(at, "\x0f\x05", 2); /* syscall */
		if (!is_iret)
			memcpy(at + 2, back, sizeof(back));
	}
}

/* ---- vCPUs --------------------------------------------------------------------------------------- */

/*
 * What a plain cpuid shows where KVM answers it: the same as the prefix of Xen, hypervisor's leaves
 * included, and nothing of KVM's own.
 */
static struct kvm_cpuid2 *make_cpuid(struct hv_vcpu *v, const struct kvm_cpuid2 *host)
{
	const unsigned xen_leaves = XEN_CPUID_MAX_NUM_LEAVES + 1;
	struct kvm_cpuid2 *c;

	c = calloc(1, sizeof(*c) + (host->nent + xen_leaves) * sizeof(c->entries[0]));
	for (unsigned i = 0; c && i < host->nent + xen_leaves; i++) {
		struct kvm_cpuid_entry2 e = { .function = XEN_CPUID_FIRST_LEAF + i - host->nent };
		uint32_t out[4];

		if (i < host->nent)
			e = host->entries[i];
		if (i < host->nent && e.function >> 28 == XEN_CPUID_FIRST_LEAF >> 28)
			continue;
		hv_cpuid(v, e.function, e.index, out);
		e.eax = out[0];
		e.ebx = out[1];
		e.ecx = out[2];
		e.edx = out[3];
		c->entries[c->nent++] = e;
	}
	return c;
}

static int vcpu_create(struct hv_vcpu *v)
{
	struct kv_vcpu *kv = calloc(1, sizeof(*kv));
	struct kvm_cpuid2 *cpuid;
	int rc;

	if (!kv)
		return -ENOMEM;
	kv->v = v;
	kv->kd = kv_of(v->domain);
	for (unsigned i = 0; i < KV_GUEST_GDT_PAGES; i++)
		kv->gdt[i] = HV_MFN_NONE;
	cpuid = make_cpuid(v, kv->kd->vm.cpuid);
	rc = cpuid ? kv_cpu_create(&kv->kd->vm, &kv->cpu, v->id, cpuid) : -ENOMEM;
	free(cpuid);
	if (rc) {
		free(kv);
		return rc;
	}
	if (v->domain->machine->tracer)
		kv_figures_open(&kv->cpu);
	v->engine_priv = kv;
	return 0;
}

static void vcpu_destroy(struct hv_vcpu *v)
{
	struct kv_vcpu *kv = v->engine_priv;

	if (!kv)
		return;
	if (kv->entered)
		timer_delete(kv->timer);
	kv_cpu_destroy(&kv->cpu);
	v->engine_priv = NULL;
	free(kv);
}

static void vcpu_reset_fpu(struct hv_vcpu *v)
{
	struct kv_vcpu *kv = v->engine_priv;

	kv->has_fpu_image = false;
	atomic_store(&kv->reset_fpu, true);
}

static void vcpu_set_fpu(struct hv_vcpu *v, const uint8_t image[512])
{
	struct kv_vcpu *kv = v->engine_priv;

	memcpy(kv->fpu_image, image, sizeof(kv->fpu_image));
	kv->has_fpu_image = true;
	atomic_store(&kv->reset_fpu, true);
}

static void root_gone(struct hv_domain *d, mfn_t root)
{
	(void)d;
	(void)root;
}

static uint64_t root_entry(const struct hv_domain *d, unsigned slot)
{
	return kv_shim_root_entry(&kv_of(d)->vm, slot);
}

static uint64_t local_hypercalls(const struct hv_vcpu *v, unsigned nr)
{
	(void)v;
	(void)nr;
	return 0;
}

const struct hv_engine hv_engine_kvm = {
	.name = "kvm",
	.probe = probe,
	.check_range = check_range,
	.m2p_address = m2p_address,
	.domain_create = domain_create,
	.domain_destroy = domain_destroy,
	.fill_hypercall_page = fill_hypercall_page,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_run = kv_vcpu_run,
	.vcpu_kick = kv_vcpu_kick,
	.vcpu_reset_fpu = vcpu_reset_fpu,
	.vcpu_set_fpu = vcpu_set_fpu,
	.fill = kv_fill,
	.entry_changed = kv_entry_changed,
	.table_gone = kv_table_gone,
	.root_entry = root_entry,
	.sync = kv_sync,
	.retire = kv_retire,
	.root_gone = root_gone,
	.foreign_begin = kv_foreign_begin,
	.foreign_end = kv_foreign_end,
	.local_hypercalls = local_hypercalls,
	.figure = kv_figure,
};
