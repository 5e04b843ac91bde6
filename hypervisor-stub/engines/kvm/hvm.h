/* SPDX-License-Identifier: MIT */
/*
 * Full virtualization on KVM: what hvm.c (the machine, its loop) and hvm_exit.c (what the guest asked of
 * its hardware) share.
 */
#ifndef HYPERVISOR_STUB_ENGINES_KVM_HVM_H
#define HYPERVISOR_STUB_ENGINES_KVM_HVM_H

#include "hypervisor-stub/engines/kvm/kvm.h"
#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/fv.h"

struct fv_cpu {
	struct fv_machine *m;
	struct kv_vm vm;
	struct kv_cpu cpu;
	pid_t tid;          /* who runs it */
	atomic_bool inside; /* between the last look around and the end of KVM_RUN */
};

/* The virtual machine, its memory, its processor. 0 or a negative errno; what there is then is in m. */
int kv_hvm_create(struct fv_machine *m);
void kv_hvm_destroy(struct fv_machine *m);
/* The processor becomes what a PVH entry finds. 0 or a negative errno. */
int kv_hvm_enter_pvh(const struct fv_cpu *c);
/* Whether this host's KVM executes ring 0 by emulation, found out by trying (hvm_probe.c). */
bool kv_hvm_is_emulated(void);

/* Does what the last KVM_RUN came out for. The CPU's thread. */
void kv_hvm_exit(struct fv_cpu *c);

#endif
