/* SPDX-License-Identifier: MIT */
/*
 * The process engine: guest code runs natively, each root of each vCPU in a Linux process that holds
 * guest pages, two pages of trampoline and nothing else. docs/engines.md tells how and why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/native.h"
#include "hypervisor-stub/engines/process/process.h"

struct process_options process_options = { .max_processes = 256, .spare = 2 };

static uint64_t m2p_bytes(const struct hv_domain *d)
{
	uint64_t bytes = d->machine->pool.m2p_entries * sizeof(uint64_t);

	return (bytes + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
}

static uint64_t m2p_address(const struct hv_domain *d)
{
	return m2p_bytes(d) && m2p_bytes(d) <= PE_GROUP - PE_M2P ? PE_M2P : 0;
}

static int domain_create(struct hv_domain *d)
{
	struct pe_domain *pd = calloc(1, sizeof(*pd));
	pthread_condattr_t attr;
	unsigned slots;
	int rc;

	if (!pd)
		return -ENOMEM;
	pd->d = d;
	pd->self = getpid();
	pd->listener = -1;
	pthread_mutex_init(&pd->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pd->keeper_cond, &attr);
	pthread_cond_init(&pd->ready_cond, &attr);
	pthread_condattr_destroy(&attr);
	/* Each vCPU keeps the process that it runs in; one more lets them change roots in turn. */
	slots = process_options.max_processes;
	if (slots < d->nr_vcpus + 1)
		slots = d->nr_vcpus + 1;
	rc = pe_pages_create(pd, slots + 1);
	if (rc)
		goto no_pages;
	pe_script_write(pd, m2p_address(d) ? m2p_bytes(d) : 0);
	rc = pe_nursery_start(pd);
	if (rc)
		goto no_nursery;
	d->engine_priv = pd;
	return 0;

no_nursery:
	pe_pages_destroy(pd);
no_pages:
	free(pd);
	return rc;
}

static void domain_destroy(struct hv_domain *d)
{
	struct pe_domain *pd = pe_of(d);

	if (!pd)
		return;
	pe_nursery_stop(pd);
	pe_pages_destroy(pd);
	pthread_cond_destroy(&pd->keeper_cond);
	pthread_cond_destroy(&pd->ready_cond);
	pthread_mutex_destroy(&pd->lock);
	free(pd);
	d->engine_priv = NULL;
}

/*
 * Xen's layout: 32 bytes a call. `mov $nr, %eax` as there; then rcx gets the address to return to,
 * as `syscall` would load it, and r11, lost as well, the way to the trampoline.
 */
static void fill_hypercall_page(struct hv_domain *d, uint8_t page[HV_PAGE_SIZE])
{
	static const uint8_t save[] = { 0x51, 0x41, 0x53, 0x50 }; /* push rcx, r11, rax */
	const uint64_t entry = pe_tramp_address(pe_tramp_hypercall);

	(void)d;
	memset(page, 0xcc, HV_PAGE_SIZE);
	for (uint32_t nr = 0; nr < HV_PAGE_SIZE / 32; nr++) {
		uint8_t *at = page + 32 * nr;

		if (nr == __HYPERVISOR_iret) {
			memcpy(at, save, sizeof(save));
			at += sizeof(save);
		}
		*at++ = 0xb8; /* mov $nr, %eax */
		memcpy(at, &nr, sizeof(nr));
		at += sizeof(nr);
		memcpy(at, "\x48\x8d\x0d\x0d\x00\x00\x00", 7); /* lea 13(%rip), %rcx */
		at += 7;
		memcpy(at, "\x49\xbb", 2); /* movabs $entry, %r11 */
		memcpy(at + 2, &entry, sizeof(entry));
		at += 10;
		memcpy(at, "\x41\xff\xe3", 3); /* jmp *%r11 */
		at[3] = 0xc3;                  /* ret */
	}
}

void pe_native_entries(struct pe_native_entries *out)
{
	out->exit = pe_tramp_address(pe_tramp_hypercall);
	out->iret = pe_tramp_address(pe_tramp_native_iret);
	out->sysret = pe_tramp_address(pe_tramp_native_sysret);
}

static int vcpu_create(struct hv_vcpu *v)
{
	struct pe_vcpu *pv = calloc(1, sizeof(*pv));

	if (!pv)
		return -ENOMEM;
	pv->fp_copy = aligned_alloc(64, PE_XSAVE_MAX);
	if (!pv->fp_copy) {
		free(pv);
		return -ENOMEM;
	}
	pv->v = v;
	pv->pd = pe_of(v->domain);
	pv->last_call = ~UINT64_C(0);
	pv->place.core = -1;
	pv->user_cs = FLAT_USER_CS;
	pv->user_ss = FLAT_USER_SS;
	pv->yields = v->domain->machine->clock.tsc_is_usable ? PE_YIELDS : 0;
	pv->yields_again = pv->yields ? 0 : UINT64_MAX;
	pthread_mutex_init(&pv->kick_lock, NULL);
	v->engine_priv = pv;
	return 0;
}

static void vcpu_destroy(struct hv_vcpu *v)
{
	struct pe_vcpu *pv = v->engine_priv;

	if (!pv)
		return;
	pe_cache_drop_vcpu(pv);
	v->engine_priv = NULL;
	pthread_mutex_destroy(&pv->kick_lock);
	free(pv->fp_copy);
	free(pv);
}

static void vcpu_reset_fpu(struct hv_vcpu *v)
{
	struct pe_vcpu *pv = v->engine_priv;

	pv->fp = PE_FP_INIT;
	pv->fp_proc = NULL;
}

static void vcpu_set_fpu(struct hv_vcpu *v, const uint8_t image[512])
{
	pe_fpu_set(v->engine_priv, image);
}

static void root_gone(struct hv_domain *d, mfn_t root)
{
	pe_cache_drop_root(pe_of(d), root);
}

static uint64_t local_hypercalls(const struct hv_vcpu *v, unsigned nr)
{
	struct pe_vcpu *pv = v->engine_priv;
	uint64_t n;

	if (!pv || nr >= PE_NR_LOCAL)
		return 0;
	pthread_mutex_lock(&pv->pd->lock);
	n = pv->local[nr];
	for (struct pe_proc *p = pv->pd->procs; p; p = p->next) {
		if (p->owner == pv)
			n += pe_load(p->state, STATE_LOCAL + 4 * nr);
	}
	pthread_mutex_unlock(&pv->pd->lock);
	return n;
}

const struct hv_engine hv_engine_process = {
	.name = "process",
	.probe = pe_probe,
	.check_range = pe_check_range,
	.m2p_address = m2p_address,
	.domain_create = domain_create,
	.domain_destroy = domain_destroy,
	.fill_hypercall_page = fill_hypercall_page,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_run = pe_vcpu_run,
	.vcpu_kick = pe_vcpu_kick,
	.vcpu_reset_fpu = vcpu_reset_fpu,
	.vcpu_set_fpu = vcpu_set_fpu,
	.fill = pe_fill,
	.entry_changed = pe_entry_changed,
	.sync = pe_sync,
	.retire = pe_retire,
	.root_gone = root_gone,
	.foreign_begin = pe_foreign_begin,
	.foreign_end = pe_foreign_end,
	.local_hypercalls = local_hypercalls,
};
