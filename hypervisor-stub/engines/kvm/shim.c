/* SPDX-License-Identifier: MIT */
/*
 * The shim: the few pages of ours that the guest's processor needs to get out of ring 3, and the
 * tables that put them into slot 256 of every root.
 *
 *   KV_DIRECT   the domain's frames, for the supervisor: table entries are touched here
 *   KV_GDTS     64 KiB for each processor: 14 pages of the guest's own descriptor table, one of ours
 *   KV_STUBS    for each vector 16 bytes with one OUT: the exit tells which by its address
 *   KV_ENTRY    where `syscall` goes: one OUT, for the stack is the guest's
 *   KV_TOUCH    pop an address, write nothing to it, and so on, and an OUT
 *   KV_IDT      256 gates to the stubs, all on the stack of the processor's own page
 *   KV_CPU(i)   task state, touch list, stack
 *
 * Invariant: every page here is the supervisor's; code and IDT are read-only; only the slot of the
 * machine-to-physical table is open to ring 3, and read-only from the top.
 */
#include <string.h>

#include "hypervisor-stub/engines/kvm/kvm.h"

#define P     UINT64_C(0x001)
#define W     UINT64_C(0x002)
#define U     UINT64_C(0x004)
#define A     UINT64_C(0x020)
#define D     UINT64_C(0x040)
#define PS    UINT64_C(0x080)
#define NX    (UINT64_C(1) << 63)

#define LARGE UINT64_C(0x200000)
#define GIB   (UINT64_C(1) << 30)

/* Pages of the shim's memory. */
enum {
	PAGE_ROOT,
	PAGE_L3,
	PAGE_L2,
	PAGE_L1,
	PAGE_GDT_L1, /* two of them */
	PAGE_STUBS = PAGE_GDT_L1 + 2,
	PAGE_ENTRY,
	PAGE_IDT,
	PAGE_ZERO,
	PAGE_CPUS,
	PAGE_OUR_GDT = PAGE_CPUS + KV_MAX_CPUS,
	PAGE_DIRECT_L2 = PAGE_OUR_GDT + KV_MAX_CPUS,
};

static uint64_t div_up(uint64_t n, uint64_t by)
{
	return (n + by - 1) / by;
}

/* ---- sizes -------------------------------------------------------------------------------------- */

static uint64_t direct_tables(const struct kv_shim_plan *p)
{
	return div_up(p->direct_gpa % GIB + p->direct_len, GIB);
}

static uint64_t m2p_l1s(const struct kv_shim_plan *p)
{
	return div_up(p->m2p_len, LARGE);
}

static uint64_t m2p_l2s(const struct kv_shim_plan *p)
{
	return div_up(p->m2p_len, GIB);
}

static uint64_t m2p_first(const struct kv_shim_plan *p)
{
	return PAGE_DIRECT_L2 + direct_tables(p);
}

size_t kv_shim_size(const struct kv_shim_plan *plan)
{
	return (m2p_first(plan) + 1 + m2p_l2s(plan) + m2p_l1s(plan)) * HV_PAGE_SIZE;
}

/* ---- tables -------------------------------------------------------------------------------------- */

static void *page_at(struct kv_vm *vm, uint64_t n)
{
	return vm->shim + n * HV_PAGE_SIZE;
}

static uint64_t gpa_of(const struct kv_vm *vm, uint64_t n)
{
	return vm->shim_gpa + n * HV_PAGE_SIZE;
}

static void set(struct kv_vm *vm, uint64_t table, unsigned index, uint64_t entry)
{
	uint64_t *t = page_at(vm, table);

	t[index] = entry;
}

static void fill_direct(struct kv_vm *vm, const struct kv_shim_plan *p)
{
	uint64_t base = p->direct_gpa - p->direct_gpa % GIB;
	uint64_t end = p->direct_gpa + p->direct_len;

	for (uint64_t t = 0; t < direct_tables(p); t++) {
		uint64_t table = PAGE_DIRECT_L2 + t;

		set(vm, PAGE_L3, (unsigned)t, gpa_of(vm, table) | P | W | A);
		for (unsigned i = 0; i < 512; i++) {
			uint64_t gpa = base + t * GIB + i * LARGE;

			if (gpa + LARGE > p->direct_gpa && gpa < end)
				set(vm, table, i, gpa | P | W | A | D | PS | NX);
		}
	}
}

static void fill_m2p(struct kv_vm *vm, const struct kv_shim_plan *p)
{
	uint64_t l3 = m2p_first(p), l2 = l3 + 1, l1 = l2 + m2p_l2s(p);

	for (uint64_t i = 0; i < m2p_l2s(p); i++)
		set(vm, l3, (unsigned)i, gpa_of(vm, l2 + i) | P | U | A);
	for (uint64_t i = 0; i < m2p_l1s(p); i++)
		set(vm, l2 + i / 512, i % 512, gpa_of(vm, l1 + i) | P | U | A);
	for (uint64_t i = 0; i < div_up(p->m2p_len, HV_PAGE_SIZE); i++)
		set(vm, l1 + i / 512, i % 512,
		    (p->m2p_gpa + i * HV_PAGE_SIZE) | P | U | A | D | NX);
}

static void fill_tables(struct kv_vm *vm)
{
	const unsigned first = (KV_SHIM >> HV_PAGE_SHIFT) & 511;
	const unsigned gdts = (KV_GDTS >> 21) & 511;

	set(vm, PAGE_ROOT, KV_SLOT_SHIM, kv_shim_root_entry(vm, KV_SLOT_SHIM));
	set(vm, PAGE_L3, 511, gpa_of(vm, PAGE_L2) | P | W | A);
	set(vm, PAGE_L2, 511, gpa_of(vm, PAGE_L1) | P | W | A);
	set(vm, PAGE_L2, gdts, gpa_of(vm, PAGE_GDT_L1) | P | W | A);
	set(vm, PAGE_L2, gdts + 1, gpa_of(vm, PAGE_GDT_L1 + 1) | P | W | A);
	set(vm, PAGE_L1, first, gpa_of(vm, PAGE_STUBS) | P | A);
	set(vm, PAGE_L1, first + 1, gpa_of(vm, PAGE_ENTRY) | P | A);
	set(vm, PAGE_L1, first + 2, gpa_of(vm, PAGE_IDT) | P | A | NX);
	for (unsigned i = 0; i < KV_MAX_CPUS; i++) {
		set(vm, PAGE_L1, first + 8 + i, gpa_of(vm, PAGE_CPUS + i) | P | W | A | D | NX);
		for (unsigned k = 0; k < KV_GUEST_GDT_PAGES; k++)
			kv_shim_set_gdt(vm, i, k, HV_MFN_NONE);
		set(vm, PAGE_GDT_L1 + i * 16 / 512, (i * 16 + KV_GUEST_GDT_PAGES) % 512,
		    gpa_of(vm, PAGE_OUR_GDT + i) | P | W | A | D | NX);
	}
}

uint64_t kv_shim_set_gdt(struct kv_vm *vm, unsigned cpu, unsigned page, mfn_t frame)
{
	unsigned n = cpu * 16 + page, table = PAGE_GDT_L1 + n / 512;
	uint64_t entry = hv_mfn_is_none(frame) ? gpa_of(vm, PAGE_ZERO) | P | A | NX
	                                       : frame.n << HV_PAGE_SHIFT | P | W | A | D | NX;

	__atomic_store_n((uint64_t *)page_at(vm, table) + n % 512, entry, __ATOMIC_RELEASE);
	return KV_SHIM + 0x4000 + (table - PAGE_GDT_L1) * HV_PAGE_SIZE + n % 512 * 8;
}

uint64_t kv_shim_root_entry(const struct kv_vm *vm, unsigned slot)
{
	if (slot == KV_SLOT_SHIM)
		return gpa_of(vm, PAGE_L3) | P | W | A;
	if (slot == KV_SLOT_M2P && vm->m2p_l3)
		return vm->m2p_l3 | P | U | A;
	return 0;
}

uint64_t kv_shim_root(const struct kv_vm *vm)
{
	return gpa_of(vm, PAGE_ROOT);
}

/* ---- code ---------------------------------------------------------------------------------------- */

static const uint8_t out_byte[] = { 0xe6, KV_PORT }; /* out %al, $port */

static void fill_code(struct kv_vm *vm)
{
	/* pop %rdi; lock orq $0, (%rdi): a write that changes nothing, which KVM emulates */
	static const uint8_t touch[] = { 0x5f, 0xf0, 0x48, 0x83, 0x0f, 0x00 };
	/* pop %rdi; lock orw $0, (%rdi): less than an entry, so KVM forgets the whole table */
	static const uint8_t forget[] = { 0x5f, 0x66, 0xf0, 0x83, 0x0f, 0x00 };
	uint8_t *stubs = page_at(vm, PAGE_STUBS), *entry = page_at(vm, PAGE_ENTRY);
	uint8_t *t = entry + (KV_TOUCH - KV_ENTRY), *f = entry + (KV_FORGET - KV_ENTRY);

	memset(stubs, 0xcc, HV_PAGE_SIZE);
	memset(entry, 0xcc, HV_PAGE_SIZE);
	for (unsigned i = 0; i < 256; i++)
		memcpy(stubs + 16 * i, out_byte, sizeof(out_byte));
	memcpy(entry, out_byte, sizeof(out_byte));
	for (unsigned i = 0; i < KV_MAX_TOUCH; i++) {
		memcpy(t + i * sizeof(touch), touch, sizeof(touch));
		memcpy(f + i * sizeof(forget), forget, sizeof(forget));
	}
	memcpy(t + KV_MAX_TOUCH * sizeof(touch), out_byte, sizeof(out_byte));
	memcpy(f + KV_MAX_TOUCH * sizeof(forget), out_byte, sizeof(out_byte));
}

/* ---- descriptors --------------------------------------------------------------------------------- */

static void fill_idt(struct kv_vm *vm)
{
	uint64_t *idt = page_at(vm, PAGE_IDT);

	for (unsigned i = 0; i < 256; i++) {
		uint64_t at = KV_STUBS + 16 * i;
		/* `int n` of ring 3 passes the gates of 3 and 4 only; the others answer #GP. */
		uint64_t dpl = i == 3 || i == 4 ? 3 : 0;

		idt[2 * i] = (at & 0xffff) | (uint64_t)KV_CS0 << 16 | UINT64_C(1) << 32 |
		             UINT64_C(0x8e) << 40 | dpl << 45 | (at >> 16 & 0xffff) << 48;
		idt[2 * i + 1] = at >> 32;
	}
}

static void fill_cpu(struct kv_vm *vm, unsigned i)
{
	uint64_t *gdt = page_at(vm, PAGE_OUR_GDT + i);
	uint8_t *tss = page_at(vm, PAGE_CPUS + i);
	uint64_t at = KV_CPU(i), top = at + KV_STACK_TOP;
	uint16_t no_ports = 104; /* beyond the limit: ring 3 may use no port */

	gdt[(KV_CS0 - 0xe000) / 8] = 0x00af9b000000ffff;
	gdt[(KV_SS0 - 0xe000) / 8] = 0x00cf93000000ffff;
	gdt[(KV_RING3_CS32 - 0xe000) / 8] = 0x00cffb000000ffff;
	gdt[(KV_RING3_SS - 0xe000) / 8] = 0x00cff3000000ffff;
	gdt[(KV_RING3_CS64 - 0xe000) / 8] = 0x00affb000000ffff;
	gdt[(KV_TSS - 0xe000) / 8] = 103 | (at & 0xffffff) << 16 | UINT64_C(0x8b) << 40 |
	                             (at >> 24 & 0xff) << 56;
	gdt[(KV_TSS - 0xe000) / 8 + 1] = at >> 32;
	memcpy(tss + 4, &top, sizeof(top));    /* stack of ring 0 */
	memcpy(tss + 0x24, &top, sizeof(top)); /* interrupt stack 1, which every gate names */
	memcpy(tss + 0x66, &no_ports, sizeof(no_ports));
}

void kv_shim_fill(struct kv_vm *vm, const struct kv_shim_plan *plan)
{
	const unsigned first = (KV_SHIM >> HV_PAGE_SHIFT) & 511;

	HV_ASSERT(direct_tables(plan) < 511 && m2p_l2s(plan) <= 512);
	vm->m2p_l3 = plan->m2p_len ? gpa_of(vm, m2p_first(plan)) : 0;
	vm->direct_gpa = plan->direct_gpa;
	vm->direct_len = plan->direct_len;
	fill_tables(vm);
	/* The tables of the descriptor tables, to be touched when they change. */
	set(vm, PAGE_L1, first + 4, gpa_of(vm, PAGE_GDT_L1) | P | W | A | D | NX);
	set(vm, PAGE_L1, first + 5, gpa_of(vm, PAGE_GDT_L1 + 1) | P | W | A | D | NX);
	fill_direct(vm, plan);
	if (plan->m2p_len)
		fill_m2p(vm, plan);
	fill_code(vm);
	fill_idt(vm);
	for (unsigned i = 0; i < KV_MAX_CPUS; i++)
		fill_cpu(vm, i);
}

uint8_t *kv_shim_cpu_page(struct kv_vm *vm, unsigned index)
{
	return page_at(vm, PAGE_CPUS + index);
}

uint64_t kv_shim_direct(const struct kv_vm *vm, uint64_t gpa)
{
	HV_ASSERT(gpa >= vm->direct_gpa && gpa < vm->direct_gpa + vm->direct_len);
	return KV_DIRECT + gpa - (vm->direct_gpa - vm->direct_gpa % GIB);
}
