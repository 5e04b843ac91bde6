/* SPDX-License-Identifier: MIT */
/*
 * Virtual machines and processors by /dev/kvm: the calls of linux/kvm.h, and the state that every
 * processor starts from.
 *
 * A processor is used by one thread at a time. Its registers go in and out through the shared run
 * page (KVM_CAP_SYNC_REGS); a call for each would cost several microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/engines/kvm/kvm.h"

#define MAX_CPUID        256u

#define MSR_EFER         0xc0000080u
#define MSR_TSC          0x10u
#define MSR_STAR         0xc0000081u
#define MSR_LSTAR        0xc0000082u
#define MSR_CSTAR        0xc0000083u
#define MSR_SYSCALL_MASK 0xc0000084u

#define CR0_VALUE        0x80050033u /* PG AM WP NE ET MP PE */
#define CR4_VALUE        0x00050620u /* OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PAE */
#define EFER_VALUE       0xd01u      /* NX LMA LME SCE */

static int device = -1;

/* ---- the device ---------------------------------------------------------------------------------- */

static const struct {
	int cap;
	int bits; /* that its value must have; 0: any but 0 */
	const char *name;
} needs[] = {
	{ KVM_CAP_USER_MEMORY, 0, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, "KVM_CAP_SYNC_REGS" },
	{ KVM_CAP_IMMEDIATE_EXIT, 0, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_EXT_CPUID, 0, "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_XSAVE, 0, "KVM_CAP_XSAVE" },
	{ KVM_CAP_VCPU_EVENTS, 0, "KVM_CAP_VCPU_EVENTS" },
};

static int check_needs(int fd, char *why, size_t why_len)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return hv_why(
			why, why_len, -ENOSYS,
			"the kvm engine needs version %d of KVM's interface, and /dev/kvm has "
			"%d: use another host kernel, or --engine process",
			KVM_API_VERSION, version);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		int have = ioctl(fd, KVM_CHECK_EXTENSION, needs[i].cap);

		if (have > 0 && (have & needs[i].bits) == needs[i].bits)
			continue;
		return hv_why(why, why_len, -ENOSYS,
		              "the kvm engine needs %s, which this host's KVM lacks: use a newer "
		              "host kernel, or --engine process",
		              needs[i].name);
	}
	return 0;
}

int kv_open(char *why, size_t why_len)
{
	int fd, rc;

	if (device >= 0)
		return 0;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return hv_why(why, why_len, -EACCES,
		              "the kvm engine may not open /dev/kvm: become a member of its group "
		              "(usually kvm), or use --engine process");
	if (fd < 0)
		return hv_why(
			why, why_len, -ENODEV,
			"the kvm engine finds no usable /dev/kvm (%s): load a kvm module, give "
			"the container the device, or use --engine process",
			strerror(errno));
	rc = check_needs(fd, why, why_len);
	if (rc)
		close(fd);
	else
		device = fd;
	return rc;
}

/* ---- CPUID --------------------------------------------------------------------------------------- */

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid2 *c, uint32_t leaf,
                                                uint32_t subleaf)
{
	for (unsigned i = 0; i < c->nent; i++) {
		if (c->entries[i].function == leaf && c->entries[i].index == subleaf)
			return &c->entries[i];
	}
	return NULL;
}

static int read_cpuid(struct kv_vm *vm)
{
	const struct kvm_cpuid_entry2 *x;

	vm->cpuid = calloc(1, sizeof(*vm->cpuid) + MAX_CPUID * sizeof(vm->cpuid->entries[0]));
	if (!vm->cpuid)
		return -ENOMEM;
	vm->cpuid->nent = MAX_CPUID;
	if (ioctl(device, KVM_GET_SUPPORTED_CPUID, vm->cpuid))
		return -errno;
	x = find_leaf(vm->cpuid, 0xd, 0);
	vm->xcr0 = x ? (x->eax | (uint64_t)x->edx << 32) & 0xe7 : 0;
	return 0;
}

unsigned kv_phys_bits(void)
{
	struct kv_vm vm = { 0 };
	const struct kvm_cpuid_entry2 *x;
	unsigned bits = 36;

	if (!read_cpuid(&vm)) {
		x = find_leaf(vm.cpuid, 0x80000008, 0);
		if (x && (x->eax & 0xff) >= 32 && (x->eax & 0xff) <= 52)
			bits = x->eax & 0xff;
	}
	free(vm.cpuid);
	return bits;
}

/* ---- the machine --------------------------------------------------------------------------------- */

int kv_vm_create(struct kv_vm *vm, enum kv_coherence coherence, uint64_t kvms_pages)
{
	int rc, size, slots;

	memset(vm, 0, sizeof(*vm));
	vm->coherence = coherence;
	vm->fd = ioctl(device, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -errno;
	rc = read_cpuid(vm);
	if (rc)
		goto fail;
	rc = -EIO;
	size = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		goto fail;
	vm->run_size = (size_t)size;
	slots = ioctl(device, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	vm->max_slots = slots > 0 ? (uint32_t)slots : 32;
	ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &kvms_pages);
	ioctl(vm->fd, KVM_SET_TSS_ADDR, kvms_pages + HV_PAGE_SIZE);
	return 0;
fail:
	kv_vm_destroy(vm);
	return rc;
}

void kv_vm_destroy(struct kv_vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->shim)
		munmap(vm->shim, vm->shim_size);
	free(vm->cpuid);
	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
}

int kv_vm_map(struct kv_vm *vm, unsigned slot, uint64_t gpa, void *host, uint64_t len)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	if (slot >= vm->max_slots)
		return -ENOSPC;
	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

/* ---- processors ---------------------------------------------------------------------------------- */

static int set_msrs(struct kv_cpu *c)
{
	struct kv_msrs m = { .nr = 4 };

	m.e[0] = (struct kvm_msr_entry){ .index = MSR_STAR, .data = (uint64_t)KV_CS0 << 32 };
	m.e[1] = (struct kvm_msr_entry){ .index = MSR_LSTAR, .data = KV_ENTRY };
	m.e[2] = (struct kvm_msr_entry){ .index = MSR_CSTAR, .data = KV_ENTRY };
	m.e[3] = (struct kvm_msr_entry){
		.index = MSR_SYSCALL_MASK,
		.data = X86_FLAG_TF | X86_FLAG_IF | X86_FLAG_DF | X86_FLAG_NT | X86_FLAG_AC |
		        X86_FLAG_IOPL,
	};
	return ioctl(c->fd, KVM_SET_MSRS, &m) == 4 ? 0 : -EIO;
}

static void data_segment(struct kvm_segment *s, uint16_t selector, unsigned dpl)
{
	*s = (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = 3,
		.s = 1,
		.present = 1,
		.db = 1,
		.g = 1,
		.dpl = (uint8_t)dpl,
	};
}

void kv_segments(struct kvm_sregs *s, uint16_t cs, uint16_t ss, bool is_32bit)
{
	data_segment(&s->ss, ss, ss & 3);
	s->cs = s->ss;
	s->cs.selector = cs;
	s->cs.type = 11;
	s->cs.l = !is_32bit;
	s->cs.db = is_32bit;
}

static int set_sregs(struct kv_cpu *c)
{
	struct kvm_sregs s;

	if (ioctl(c->fd, KVM_GET_SREGS, &s))
		return -errno;
	s.cr0 = CR0_VALUE;
	s.cr4 = CR4_VALUE;
	s.cr3 = kv_shim_root(c->vm);
	s.efer = EFER_VALUE;
	s.gdt.base = KV_GDT(c->index);
	s.gdt.limit = 0xefff;
	s.idt.base = KV_IDT;
	s.idt.limit = 0xfff;
	s.tr = (struct kvm_segment){
		.base = KV_CPU(c->index),
		.limit = 103,
		.selector = KV_TSS,
		.type = 11,
		.present = 1,
	};
	s.ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
	data_segment(&s.ds, 0, 3);
	data_segment(&s.es, 0, 3);
	data_segment(&s.fs, 0, 3);
	data_segment(&s.gs, 0, 3);
	kv_segments(&s, KV_CS0, KV_SS0, false);
	if (ioctl(c->fd, KVM_SET_SREGS, &s))
		return -errno;
	c->run->s.regs.sregs = s;
	return 0;
}

void kv_cpu_set_xcr0(struct kv_cpu *c)
{
	struct kvm_xcrs x = { .nr_xcrs = 1 };

	if (!(c->vm->xcr0 & 2) || ioctl(device, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) <= 0)
		return;
	x.xcrs[0].value = c->vm->xcr0;
	(void)ioctl(c->fd, KVM_SET_XCRS, &x);
}

/*
 * The guest's clock is computed from the host's TSC: rdtsc shall give just that. By offset where KVM
 * can be told one, else by value, which KVM turns into an offset.
 */
static void set_tsc(struct kv_cpu *c)
{
	uint64_t none = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&none,
	};
	struct kv_msrs m = { .nr = 1, .e[0].index = MSR_TSC };

	if (!ioctl(c->fd, KVM_SET_DEVICE_ATTR, &attr))
		return;
	m.e[0].data = __builtin_ia32_rdtsc();
	(void)ioctl(c->fd, KVM_SET_MSRS, &m);
}

int kv_cpu_reset_fpu(struct kv_cpu *c, const uint8_t *image)
{
	struct kvm_xsave *x = calloc(1, sizeof(*x));
	uint16_t control = 0x37f;
	uint32_t mxcsr = 0x1f80;
	uint64_t parts = 3;
	int rc;

	if (!x)
		return -ENOMEM;
	memcpy(x->region, &control, sizeof(control));
	memcpy((uint8_t *)x->region + 24, &mxcsr, sizeof(mxcsr));
	memcpy((uint8_t *)x->region + 512, &parts, sizeof(parts));
	rc = ioctl(c->fd, KVM_SET_XSAVE, x) ? -errno : 0;
	if (!rc && image) {
		memcpy(x->region, image, 512);
		/* KVM refuses what fxrstor would: then it stays the initial one. */
		(void)ioctl(c->fd, KVM_SET_XSAVE, x);
	}
	free(x);
	return rc;
}

int kv_cpu_open(struct kv_vm *vm, struct kv_cpu *c, unsigned index, const struct kvm_cpuid2 *cpuid)
{
	int rc;

	*c = (struct kv_cpu){ .fd = -1, .index = index, .vm = vm, .stats_fd = -1 };
	c->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (c->fd < 0)
		return -errno;
	c->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (c->run == MAP_FAILED) {
		c->run = NULL;
		rc = -errno;
		goto fail;
	}
	rc = -EIO;
	if (!ioctl(c->fd, KVM_SET_CPUID2, cpuid ? cpuid : vm->cpuid))
		return 0;
fail:
	kv_cpu_destroy(c);
	return rc;
}

int kv_cpu_create(struct kv_vm *vm, struct kv_cpu *c, unsigned index,
                  const struct kvm_cpuid2 *cpuid)
{
	int rc = kv_cpu_open(vm, c, index, cpuid);

	if (rc)
		return rc;
	c->page = kv_shim_cpu_page(vm, index);
	rc = set_sregs(c);
	if (!rc)
		rc = set_msrs(c);
	if (rc)
		goto fail;
	kv_cpu_set_xcr0(c);
	set_tsc(c);
	rc = kv_cpu_reset_fpu(c, NULL);
	if (rc)
		goto fail;
	c->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return 0;
fail:
	kv_cpu_destroy(c);
	return rc;
}

void kv_cpu_destroy(struct kv_cpu *c)
{
	if (c->run)
		munmap(c->run, c->vm->run_size);
	if (c->stats_fd >= 0)
		close(c->stats_fd);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct kv_cpu){ .fd = -1, .stats_fd = -1 };
}

int kv_cpu_touch(struct kv_cpu *c, const uint64_t *va, unsigned nr, bool whole_table)
{
	const uint64_t stub = whole_table ? KV_FORGET : KV_TOUCH, end = stub + 6 * KV_MAX_TOUCH;
	struct kvm_sregs *s = &c->run->s.regs.sregs, kept = *s;
	struct kvm_regs *r = &c->run->s.regs.regs;
	int rc = -EIO;

	HV_ASSERT(nr <= KV_MAX_TOUCH);
	atomic_fetch_add_explicit(&c->touches, 1, memory_order_relaxed);
	memcpy(c->page + KV_LIST, va, nr * sizeof(*va));
	*r = (struct kvm_regs){
		.rip = end - 6 * (uint64_t)nr,
		.rsp = KV_CPU(c->index) + KV_LIST,
		.rflags = X86_FLAG_ONE,
	};
	kv_segments(s, KV_CS0, KV_SS0, false);
	s->cr3 = kv_shim_root(c->vm);
	c->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	for (;;) {
		__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (ioctl(c->fd, KVM_RUN, 0)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			rc = -errno;
			break;
		}
		if (c->run->exit_reason == KVM_EXIT_IO && c->run->io.port == KV_PORT &&
		    (r->rip == end || r->rip == end + 2))
			rc = 0;
		break;
	}
	*s = kept;
	return rc;
}
