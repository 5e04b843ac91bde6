/* SPDX-License-Identifier: MIT */
/*
 * Why the fully virtualized guest came out: ports, memory that is a device's, hlt, the end; and one
 * instruction that a KVM which emulates ring 0 does not know.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/engines/kvm/hvm.h"

#define MSR_STAR 0xc0000081u
#define CR0_PG   (UINT64_C(1) << 31)
#define EFER_LMA (UINT64_C(1) << 10)
/* What sysret takes from r11. */
#define SYSRET_FLAGS UINT64_C(0x3c7fd7)

/* ---- ports and MMIO ------------------------------------------------------------------------------ */

static uint32_t load(const uint8_t *from, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, from, size);
	return v;
}

static void do_port(struct fv_cpu *c)
{
	struct kvm_run *run = c->cpu.run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool is_out = run->io.direction == KVM_EXIT_IO_OUT;
	uint32_t v;

	fv_count(c->m, FV_EXIT_PORT);
	if (run->io.count > 1 && is_out) {
		fv_port_outs(c->m->bus, run->io.port, run->io.size, data, run->io.count);
	} else if (run->io.count > 1) {
		fv_port_ins(c->m->bus, run->io.port, run->io.size, data, run->io.count);
	} else if (is_out) {
		fv_port_out(c->m->bus, run->io.port, run->io.size, load(data, run->io.size));
	} else {
		v = fv_port_in(c->m->bus, run->io.port, run->io.size);
		memcpy(data, &v, run->io.size);
	}
}

static void do_mmio(struct fv_cpu *c)
{
	struct kvm_run *run = c->cpu.run;
	unsigned len = run->mmio.len;
	/* A length that is no access's own is a part of one that crosses a page. */
	unsigned step = len == 2 || len == 4 || len == 8 ? len : 1;

	fv_count(c->m, FV_EXIT_MMIO);
	for (unsigned i = 0; i < len; i += step) {
		uint64_t v = 0, gpa = run->mmio.phys_addr + i;

		if (run->mmio.is_write) {
			memcpy(&v, run->mmio.data + i, step);
			(void)fv_mmio_write(c->m->bus, gpa, step, v);
		} else {
			(void)fv_mmio_read(c->m->bus, gpa, step, &v);
			memcpy(run->mmio.data + i, &v, step);
		}
	}
}

/* ---- hlt ----------------------------------------------------------------------------------------- */

static void do_hlt(struct fv_cpu *c)
{
	fv_count(c->m, FV_EXIT_HLT);
	if (c->cpu.run->if_flag)
		fv_wait(c->m);
	else
		fv_end(c->m, FV_END_CRASH, 0, "it halted with its interrupts off");
}

/* ---- where KVM emulates ring 0 ------------------------------------------------------------------- */

static bool read_code(const struct fv_cpu *c, uint64_t rip, uint8_t *code, size_t len)
{
	struct kvm_translation t = { .linear_address = rip };
	const uint8_t *at;

	if (ioctl(c->cpu.fd, KVM_TRANSLATE, &t) || !t.valid)
		return false;
	at = fv_ram(c->m->bus, t.physical_address, len);
	if (at)
		memcpy(code, at, len);
	return at;
}

/*
 * sysretq, which such a KVM leaves to us: to ring 3 by rcx and r11 (Intel SDM vol. 2, SYSRET). What a
 * processor would fault for is not looked at further: a rip that is no address faults at ring 3.
 */
static bool do_sysret(struct fv_cpu *c)
{
	struct kv_msrs msr = { .nr = 1, .e[0].index = MSR_STAR };
	struct kvm_sregs s;
	struct kvm_regs r;
	uint8_t code[3];
	uint16_t base;

	if (ioctl(c->cpu.fd, KVM_GET_SREGS, &s) || ioctl(c->cpu.fd, KVM_GET_REGS, &r) ||
	    ioctl(c->cpu.fd, KVM_GET_MSRS, &msr) != 1)
		return false;
	if ((s.cs.selector & 3) || !(s.efer & EFER_LMA) || !(s.cr0 & CR0_PG) ||
	    !read_code(c, r.rip, code, sizeof(code)) || memcmp(code, "\x48\x0f\x07", sizeof(code)))
		return false;
	base = (uint16_t)(msr.e[0].data >> 48);
	kv_segments(&s, (uint16_t)(base + 16) | 3, (uint16_t)(base + 8) | 3, false);
	r.rip = r.rcx;
	r.rflags = (r.r11 & SYSRET_FLAGS) | X86_FLAG_ONE;
	return !ioctl(c->cpu.fd, KVM_SET_SREGS, &s) && !ioctl(c->cpu.fd, KVM_SET_REGS, &r);
}

static void do_error(struct fv_cpu *c)
{
	struct kvm_regs r = { 0 };

	if (do_sysret(c)) {
		fv_count(c->m, FV_EXIT_SYSCALL);
		return;
	}
	(void)ioctl(c->cpu.fd, KVM_GET_REGS, &r);
	fv_end(c->m, FV_END_CRASH, 0,
	       "this host's KVM cannot execute its instruction at %#llx (suberror %u)",
	       (unsigned long long)r.rip, c->cpu.run->internal.suberror);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

void kv_hvm_exit(struct fv_cpu *c)
{
	struct kvm_run *run = c->cpu.run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		do_port(c);
		break;
	case KVM_EXIT_MMIO:
		do_mmio(c);
		break;
	case KVM_EXIT_HLT:
		do_hlt(c);
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		fv_count(c->m, FV_EXIT_WINDOW);
		break;
	case KVM_EXIT_SHUTDOWN:
		fv_end(c->m, FV_END_CRASH, 0, "a triple fault");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		do_error(c);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fv_end(c->m, FV_END_OURS, 0, "KVM cannot enter the guest (reason %#llx)",
		       (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		fv_count(c->m, FV_EXIT_OTHER);
		fv_end(c->m, FV_END_OURS, 0,
		       "KVM stopped the guest for a reason that is not known here (%u)",
		       run->exit_reason);
	}
}
