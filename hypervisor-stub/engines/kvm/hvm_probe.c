/* SPDX-License-Identifier: MIT */
/*
 * Whether this host's KVM has hardware for ring 0, found out by trying: a few instructions that no
 * hardware needs help with, and how many of them KVM says it has emulated. No module's name is asked; a
 * KVM without figures is taken for one with hardware.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "hypervisor-stub/engines/kvm/hvm.h"

#define CODE 0x1000u
#define NOPS 64u
#define HLT  0xf4

static uint64_t emulated(const struct fv_cpu *c)
{
	const char *name;
	uint64_t n = 0;

	for (unsigned i = 0; (name = kv_kvm_figure(&c->cpu, i, &n)); i++)
		if (!strcmp(name, "KVM: insn_emulation"))
			return n;
	return 0;
}

bool kv_hvm_is_emulated(void)
{
	struct fv_machine m = { .ram_bytes = 0x10000, .entry = CODE };
	bool is = false;

	if (kv_hvm_create(&m))
		return false;
	memset(m.ram + CODE, 0x90, NOPS);
	m.ram[CODE + NOPS] = HLT;
	if (!kv_hvm_enter_pvh(m.cpu) && !ioctl(m.cpu->cpu.fd, KVM_RUN, 0))
		is = emulated(m.cpu) >= NOPS;
	kv_hvm_destroy(&m);
	return is;
}
