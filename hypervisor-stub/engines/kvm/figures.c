/* SPDX-License-Identifier: MIT */
/*
 * What the engine counts for --stats: its own figures, and those that KVM keeps of each processor and
 * shows by a descriptor (KVM_CAP_BINARY_STATS_FD): among them every exit, also those that KVM answers
 * itself. The janitor's are added to the first vCPU's.
 *
 * The descriptor is asked for when a processor is made: later the call would wait for it to stop. It
 * costs one more per vCPU, so only where somebody wants to know.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hypervisor-stub/engines/kvm/kvm.h"

static const char *const own[KV_NR_FIGURES] = {
	[KV_ENTERED] = "entered by KVM_RUN",     [KV_HYPERCALL] = "hypercalls out of it",
	[KV_SYSCALL] = "system calls out of it", [KV_EXCEPTION] = "exceptions out of it",
	[KV_KICKED] = "kicked out of it",
};

/* Of KVM's, what tells something here; names as in linux/kvm.h's users, shown with a prefix. */
static const struct {
	const char *name, *shown;
} kvms[] = {
	{ "exits", "KVM: exits" },           { "io_exits", "KVM: io_exits" },
	{ "irq_exits", "KVM: irq_exits" },   { "signal_exits", "KVM: signal_exits" },
	{ "halt_exits", "KVM: halt_exits" }, { "insn_emulation", "KVM: insn_emulation" },
	{ "pf_taken", "KVM: pf_taken" },     { "pf_fixed", "KVM: pf_fixed" },
	{ "tlb_flush", "KVM: tlb_flush" },
};

void kv_figure_add(struct kv_vcpu *kv, enum kv_figure what)
{
	atomic_fetch_add_explicit(&kv->figure[what], 1, memory_order_relaxed);
}

void kv_figures_open(struct kv_cpu *c)
{
	c->stats_fd = ioctl(c->fd, KVM_GET_STATS_FD, NULL);
}

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
	return pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

/* One of KVM's figures of a processor; 0 when this KVM has none of that name. */
static uint64_t ask_kvm(const struct kv_cpu *c, const char *name)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	uint64_t n = 0;
	size_t size;

	if (c->stats_fd < 0 || !read_at(c->stats_fd, &h, sizeof(h), 0) || h.name_size > 4096)
		return 0;
	size = sizeof(*d) + h.name_size;
	d = malloc(size);
	for (uint32_t i = 0; d && i < h.num_desc; i++) {
		if (!read_at(c->stats_fd, d, size, h.desc_offset + i * size))
			break;
		if (strncmp(d->name, name, h.name_size))
			continue;
		if (!read_at(c->stats_fd, &n, sizeof(n), h.data_offset + d->offset))
			n = 0;
		break;
	}
	free(d);
	return n;
}

const char *kv_kvm_figure(const struct kv_cpu *c, unsigned i, uint64_t *n)
{
	if (i >= sizeof(kvms) / sizeof(kvms[0]))
		return NULL;
	*n = ask_kvm(c, kvms[i].name);
	return kvms[i].shown;
}

const char *kv_figure(const struct hv_vcpu *v, unsigned i, uint64_t *n)
{
	const struct kv_vcpu *kv = v->engine_priv;
	const struct kv_cpu *janitor = v->id == 0 && kv->kd->has_janitor ? &kv->kd->janitor : NULL;
	uint64_t janitors = 0;
	const char *name;

	if (i < KV_NR_FIGURES) {
		*n = atomic_load(&kv->figure[i]);
		return own[i];
	}
	i -= KV_NR_FIGURES;
	if (i == 0) {
		*n = atomic_load(&kv->cpu.touches) + (janitor ? atomic_load(&janitor->touches) : 0);
		return "shim run for changed tables";
	}
	name = kv_kvm_figure(&kv->cpu, --i, n);

	if (name && janitor && kv_kvm_figure(janitor, i, &janitors))
		*n += janitors;
	return name;
}
