/* SPDX-License-Identifier: MIT */
/*
 * What this host's KVM does, found out by trying in a small virtual machine with the shim in it:
 * whether exceptions, `syscall` and `int n` of ring 3 come out as the engine reads them, and which
 * way of making a changed page-table entry visible works. Nothing is chosen by a module's name.
 *
 * The machine has two megabytes: tables, one page of code at ring 3, and two pages of data that one
 * address shows in turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/engines/kvm/kvm.h"

#define P        1u
#define W        2u
#define U        4u
#define A        0x20u
#define D        0x40u

#define MEM_GPA  UINT64_C(0x40000000)
#define MEM_SIZE UINT64_C(0x200000)
#define CODE_VA  UINT64_C(0x400000) /* the first page of one L1 table */
#define DATA_VA  UINT64_C(0x401000)
#define ROUNDS   8

enum { PAGE_L4, PAGE_L3, PAGE_L2, PAGE_L1, PAGE_CODE, PAGE_DATA, PAGE_OTHER };

/* mov DATA_VA, %eax; int3 */
static const uint8_t read_code[] = { 0x8b, 0x04, 0x25, 0x00, 0x10, 0x40, 0x00, 0xcc };
static const uint8_t syscall_code[] = { 0x0f, 0x05 };
#define SYSCALL_AT 0x100u

struct prober {
	struct kv_vm vm;
	struct kv_cpu cpu;
	uint8_t *mem;
};

static uint64_t gpa(unsigned page)
{
	return MEM_GPA + page * (uint64_t)HV_PAGE_SIZE;
}

static uint64_t *entry(struct prober *p, unsigned page, unsigned index)
{
	return (uint64_t *)(p->mem + page * HV_PAGE_SIZE) + index;
}

static void set_data(struct prober *p, unsigned page)
{
	__atomic_store_n(entry(p, PAGE_L1, 1), gpa(page) | P | W | U | A | D, __ATOMIC_SEQ_CST);
}

static void fill(struct prober *p)
{
	*entry(p, PAGE_L4, 0) = gpa(PAGE_L3) | P | W | U | A;
	*entry(p, PAGE_L4, KV_SLOT_SHIM) = kv_shim_root_entry(&p->vm, KV_SLOT_SHIM);
	*entry(p, PAGE_L3, 0) = gpa(PAGE_L2) | P | W | U | A;
	*entry(p, PAGE_L2, CODE_VA >> 21) = gpa(PAGE_L1) | P | W | U | A;
	*entry(p, PAGE_L1, 0) = gpa(PAGE_CODE) | P | U | A;
	memcpy(p->mem + PAGE_CODE * HV_PAGE_SIZE, read_code, sizeof(read_code));
	memcpy(p->mem + PAGE_CODE * HV_PAGE_SIZE + SYSCALL_AT, syscall_code, sizeof(syscall_code));
	p->mem[PAGE_DATA * HV_PAGE_SIZE] = 1;
	p->mem[PAGE_OTHER * HV_PAGE_SIZE] = 2;
	set_data(p, PAGE_DATA);
}

static int make(struct prober *p, enum kv_coherence coherence)
{
	const struct kv_shim_plan plan = { .direct_gpa = MEM_GPA, .direct_len = MEM_SIZE };
	int rc = kv_vm_create(&p->vm, coherence, KV_KVMS_PAGES);

	if (rc)
		return rc;
	p->vm.shim_gpa = MEM_GPA + MEM_SIZE;
	p->vm.shim_size = kv_shim_size(&plan);
	p->vm.shim = mmap(NULL, p->vm.shim_size, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->vm.shim == MAP_FAILED) {
		p->vm.shim = NULL;
		return -ENOMEM;
	}
	p->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->mem == MAP_FAILED) {
		p->mem = NULL;
		return -ENOMEM;
	}
	kv_shim_fill(&p->vm, &plan);
	fill(p);
	rc = kv_vm_map(&p->vm, KV_MEM_SHIM, p->vm.shim_gpa, p->vm.shim, p->vm.shim_size);
	if (!rc)
		rc = kv_vm_map(&p->vm, KV_MEM_OWN, MEM_GPA, p->mem, MEM_SIZE);
	return rc ? rc : kv_cpu_create(&p->vm, &p->cpu, 0, NULL);
}

static void undo(struct prober *p)
{
	if (p->cpu.fd >= 0)
		kv_cpu_destroy(&p->cpu);
	kv_vm_destroy(&p->vm);
	if (p->mem)
		munmap(p->mem, MEM_SIZE);
}

/* Runs ring 3 from rip until it comes out; the place in the shim where it did, or 0. */
static uint64_t go(struct prober *p, uint64_t rip)
{
	struct kvm_run *run = p->cpu.run;
	int rc;

	run->s.regs.regs = (struct kvm_regs){ .rip = rip, .rflags = X86_FLAG_ONE | X86_FLAG_IF };
	kv_segments(&run->s.regs.sregs, KV_RING3_CS64, KV_RING3_SS, false);
	run->s.regs.sregs.cr3 = gpa(PAGE_L4);
	run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	run->immediate_exit = 0;
	do
		rc = ioctl(p->cpu.fd, KVM_RUN, 0);
	while (rc && errno == EINTR);
	if (rc || run->exit_reason != KVM_EXIT_IO || run->io.port != KV_PORT)
		return 0;
	return run->s.regs.regs.rip;
}

static bool at(uint64_t rip, uint64_t place)
{
	return rip - place <= 2;
}

/* `syscall` comes to the shim's entry, or faults on it. */
static bool syscall_comes_out(struct prober *p)
{
	uint64_t rip = go(p, CODE_VA + SYSCALL_AT);
	const struct kvm_run *run = p->cpu.run;

	if (!at(rip, KV_ENTRY) &&
	    !(at(rip, KV_STUBS + 16 * 14) && run->s.regs.sregs.cr2 == KV_ENTRY))
		return false;
	return run->s.regs.regs.rcx == CODE_VA + SYSCALL_AT + sizeof(syscall_code);
}

/* What the page at DATA_VA has in its first byte, or -1. */
static int read_data(struct prober *p)
{
	uint64_t rip = go(p, CODE_VA);

	return at(rip, KV_STUBS + 16 * 3) ? (int)(p->cpu.run->s.regs.regs.rax & 0xff) : -1;
}

/* Whether an entry that this process changes is what ring 3 sees after the engine's measures. */
static bool changes_are_seen(struct prober *p)
{
	const uint64_t direct = kv_shim_direct(&p->vm, gpa(PAGE_L1)) + 8;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned page = i & 1 ? PAGE_DATA : PAGE_OTHER;
		unsigned was = i & 1 ? PAGE_OTHER : PAGE_DATA;

		if (read_data(p) != (was == PAGE_DATA ? 1 : 2))
			return false;
		set_data(p, page);
		if (p->vm.coherence == KV_BY_FLUSH)
			p->cpu.run->s.regs.sregs.cr4 ^= KV_CR4_FLIP;
		else if (i & 2 && kv_cpu_touch(&p->cpu, &direct, 1, i & 4))
			return false;
		else if (!(i & 2) &&
		         madvise(p->mem + was * HV_PAGE_SIZE, HV_PAGE_SIZE, MADV_DONTNEED))
			return false;
		if (read_data(p) != (page == PAGE_DATA ? 1 : 2))
			return false;
	}
	return true;
}

static int try(enum kv_coherence coherence, bool *enters, bool *sees)
{
	struct prober p = { .cpu = { .fd = -1, .stats_fd = -1 }, .vm.fd = -1 };
	int rc = make(&p, coherence);

	if (!rc) {
		*enters = syscall_comes_out(&p) && read_data(&p) == 1;
		*sees = *enters && changes_are_seen(&p);
	}
	undo(&p);
	return rc;
}

static int find_out(char *why, size_t why_len)
{
	bool enters = false, sees = false;
	int rc = try(KV_BY_FLUSH, &enters, &sees);

	if (!rc && sees)
		return KV_BY_FLUSH;
	if (!rc && enters)
		rc = try(KV_BY_TOUCH, &enters, &sees);
	if (!rc && sees)
		return KV_BY_TOUCH;
	if (rc)
		return hv_why(why, why_len, rc,
		              "the kvm engine cannot make a virtual machine here (%s): raise the "
		              "limits of this process, or use --engine process",
		              strerror(-rc));
	return hv_why(why, why_len, -ENOSYS,
	              enters ? "the kvm engine cannot make this host's KVM see changes of page "
	                       "tables: use another host kernel, or --engine process"
	                     : "the kvm engine gets no system calls or exceptions of ring 3 out "
	                       "of this host's KVM: use another host kernel, or --engine process");
}

int kv_coherence(char *why, size_t why_len)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int known = -1; /* only what works is kept; the reason of a failure is found anew */
	int rc;

	pthread_mutex_lock(&lock);
	if (known < 0)
		known = find_out(why, why_len);
	rc = known;
	pthread_mutex_unlock(&lock);
	return rc;
}
