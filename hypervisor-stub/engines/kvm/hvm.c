/* SPDX-License-Identifier: MIT */
/*
 * Full virtualization on KVM: the guest at ring 0 of a hardware virtual machine, entered as a PVH image
 * asks for. KVM runs it; what it asks of the hardware comes out here and goes to the bus.
 *
 * Nothing but the generic interface of KVM is used: no interrupt controller and no timer of the kernel's.
 * An interrupt of the bus goes in by KVM_INTERRUPT as soon as the guest takes one, which KVM tells by
 * request_interrupt_window.
 *
 * How a kick is not lost:
 *   1. the CPU's thread sets `inside`, clears immediate_exit, then looks at the bus and at `stop`;
 *   2. a kicker has changed one of them, then looks at `inside` and signals the thread;
 *   3. the signal's handler sets immediate_exit, so KVM_RUN does not begin, or ends (kick.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/engines/kvm/hvm.h"

/* Above all memory that a guest may have, below 4 GiB, where no device is. */
#define KVMS_PAGES UINT64_C(0xfffbc000)

enum { SLOT_LOW, SLOT_HIGH };

/* ---- the machine --------------------------------------------------------------------------------- */

static int probe(char *why, size_t why_len)
{
	return kv_open(why, why_len);
}

/*
 * What KVM supports, less what this machine has not got: the local interrupt controllers and the
 * timer in them, and KVM's own offers to its guests.
 */
static void trim_cpuid(struct kvm_cpuid2 *c)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 e = c->entries[i];

		if (e.function >> 28 == 4)
			continue;
		if (e.function == 1) {
			e.edx &= ~(1u << 9);
			e.ecx &= ~(1u << 21 | 1u << 24 | 1u << 31);
			e.ebx = (e.ebx & 0xffff) | 1u << 16;
		}
		if (e.function == 0x80000001)
			e.edx &= ~(1u << 9);
		c->entries[kept++] = e;
	}
	c->nent = kept;
}

static int map_memory(struct fv_cpu *c, const struct fv_machine *m)
{
	uint64_t low = m->ram_bytes < FV_HOLE ? m->ram_bytes : FV_HOLE;
	int rc = kv_vm_map(&c->vm, SLOT_LOW, 0, m->ram, low);

	if (!rc && m->ram_bytes > FV_HOLE_END)
		rc = kv_vm_map(&c->vm, SLOT_HIGH, FV_HOLE_END, m->ram + FV_HOLE_END,
		               m->ram_bytes - FV_HOLE_END);
	return rc;
}

/* One processor that waits in a loop waits for a device: nobody else could use the time. */
static void keep_pause_inside(const struct kv_vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS,
		                      .args[0] = KVM_X86_DISABLE_EXITS_PAUSE };

	(void)ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

static int create_parts(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;
	int rc = kv_vm_create(&c->vm, KV_BY_FLUSH, KVMS_PAGES);

	if (rc)
		return rc;
	keep_pause_inside(&c->vm);
	m->ram = mmap(NULL, m->ram_bytes, PROT_READ | PROT_WRITE,
	              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->ram == MAP_FAILED) {
		m->ram = NULL;
		return -errno;
	}
	trim_cpuid(c->vm.cpuid);
	rc = map_memory(c, m);
	if (!rc)
		rc = kv_cpu_open(&c->vm, &c->cpu, 0, NULL);
	if (rc)
		return rc;
	/* A processor starts with x87 alone, and its kernel switches the rest on. There are KVMs (on QEMU's
	 * TCG) that never hear of that: so all is on. */
	kv_cpu_set_xcr0(&c->cpu);
	kv_figures_open(&c->cpu);
	return 0;
}

void kv_hvm_destroy(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;

	if (!c)
		return;
	if (c->cpu.fd >= 0)
		kv_cpu_destroy(&c->cpu);
	kv_vm_destroy(&c->vm);
	if (m->ram)
		munmap(m->ram, m->ram_bytes);
	m->ram = NULL;
	m->cpu = NULL;
	free(c);
}

int kv_hvm_create(struct fv_machine *m)
{
	int rc;

	m->cpu = calloc(1, sizeof(*m->cpu));
	if (!m->cpu)
		return -ENOMEM;
	m->cpu->m = m;
	m->cpu->vm.fd = -1;
	m->cpu->cpu.fd = m->cpu->cpu.stats_fd = -1;
	rc = create_parts(m);
	if (rc)
		kv_hvm_destroy(m);
	return rc;
}

static int create(struct fv_machine *m, char *why, size_t why_len)
{
	int rc = kv_open(why, why_len);

	if (rc)
		return rc;
	rc = kv_hvm_create(m);
	if (rc)
		return hv_why(why, why_len, rc,
		              "KVM cannot make a virtual machine here (%s): give the guest less "
		              "memory, or "
		              "raise the limits of this process",
		              strerror(-rc));
	return 0;
}

/* ---- the start ----------------------------------------------------------------------------------- */

static void flat(struct kvm_segment *s, uint16_t selector, uint8_t type)
{
	*s = (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
}

/* 32-bit protected mode without paging, flat segments, interrupts off, ebx to the start info (abi/pvh.h). */
int kv_hvm_enter_pvh(const struct fv_cpu *c)
{
	struct kvm_regs r = { .rip = c->m->entry, .rbx = c->m->start_info, .rflags = X86_FLAG_ONE };
	struct kvm_sregs s;

	if (ioctl(c->cpu.fd, KVM_GET_SREGS, &s))
		return -errno;
	s.cr0 = 0x11; /* ET, PE */
	s.cr3 = s.cr4 = s.efer = 0;
	flat(&s.cs, 8, 11);
	flat(&s.ds, 16, 3);
	s.es = s.ss = s.fs = s.gs = s.ds;
	s.tr = (struct kvm_segment){ .limit = 103, .type = 11, .present = 1 };
	s.ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
	s.gdt.limit = s.idt.limit = 0;
	if (ioctl(c->cpu.fd, KVM_SET_SREGS, &s) || ioctl(c->cpu.fd, KVM_SET_REGS, &r))
		return -errno;
	return 0;
}

/* ---- interrupts ---------------------------------------------------------------------------------- */

/* Gives the guest the interrupt that waits, or asks KVM to say when it takes one. */
static int inject(struct fv_cpu *c)
{
	struct kvm_run *run = c->cpu.run;
	struct kvm_interrupt irq;

	run->request_interrupt_window = 0;
	if (!fv_irq_pending(c->m->bus))
		return 0;
	if (!run->ready_for_interrupt_injection) {
		run->request_interrupt_window = 1;
		return 0;
	}
	irq.irq = fv_irq_ack(c->m->bus);
	/* Until the next exit KVM holds this one. */
	run->ready_for_interrupt_injection = 0;
	run->request_interrupt_window = fv_irq_pending(c->m->bus);
	fv_count(c->m, FV_EXIT_INTERRUPT);
	return ioctl(c->cpu.fd, KVM_INTERRUPT, &irq) ? -errno : 0;
}

static void kick(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;

	if (atomic_load(&c->inside))
		kv_kick(c->tid);
	fv_wake(m);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* One entry into the guest. 0 when it came out with a reason, -EINTR for a kick or the machine's end. */
static int enter(struct fv_cpu *c)
{
	struct kvm_run *run = c->cpu.run;
	int rc = -EINTR;

	atomic_store(&c->inside, true);
	__atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (!atomic_load(&c->m->stop)) {
		rc = inject(c);
		if (!rc && ioctl(c->cpu.fd, KVM_RUN, 0))
			rc = -errno;
	}
	atomic_store(&c->inside, false);
	return rc;
}

/*
 * KVM carries out an access at the next KVM_RUN. Before the thread leaves for good that is done too, so
 * that the last store to a port is complete and nothing runs behind it.
 */
static void finish_access(struct fv_cpu *c)
{
	__atomic_store_n(&c->cpu.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	(void)ioctl(c->cpu.fd, KVM_RUN, 0);
}

static void run(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;
	int rc = kv_hvm_enter_pvh(c);

	if (rc)
		fv_end(m, FV_END_OURS, 0, "KVM refuses the state of a PVH entry: %s",
		       strerror(-rc));
	if (kv_hvm_is_emulated())
		fv_complain(
			m->bus,
			"this host's KVM executes the guest's kernel by emulation, instruction by "
			"instruction: its figures say nothing of virtualization hardware");
	c->tid = kv_kick_enter(c->cpu.run);
	while (!atomic_load(&m->stop)) {
		rc = enter(c);
		if (!rc)
			kv_hvm_exit(c);
		else if (rc == -EINTR || rc == -EAGAIN)
			fv_count(m, FV_EXIT_KICK);
		else
			fv_end(m, FV_END_OURS, 0, "KVM_RUN: %s", strerror(-rc));
	}
	finish_access(c);
	kv_kick_leave();
}

static void stats(const struct fv_machine *m, FILE *out)
{
	const char *name;
	uint64_t n;

	for (unsigned i = 0; (name = kv_kvm_figure(&m->cpu->cpu, i, &n)); i++)
		if (n)
			fprintf(out, "%-30s %12" PRIu64 "\n", name, n);
}

const struct fv_way fv_way_hvm = {
	.name = "kvm",
	.probe = probe,
	.create = create,
	.destroy = kv_hvm_destroy,
	.run = run,
	.kick = kick,
	.stats = stats,
};
