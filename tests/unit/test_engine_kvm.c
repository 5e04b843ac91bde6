/* SPDX-License-Identifier: MIT */
/*
 * The kvm engine under the real core: a few instructions at ring 3, and what comes out; what hostile
 * ring 3 does to the shim's pages, tables, stack and entry; and page-table entries that change under
 * a running guest. Without a usable /dev/kvm there is one test, which prints the reason.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu_priv.h"
#include "hypervisor-stub/core/x86/x86emu.h"
#include "hypervisor-stub/engines/kvm/kvm.h"

#define BASE  UINT64_C(0x400000) /* page n of the domain's first ones is at BASE + n pages */
#define CODE  (BASE + PAGE_CODE * 4096u)
#define STACK (BASE + PAGE_STACK * 4096u + 4096u)
#define DATA  (BASE + PAGE_DATA * 4096u)
/* A second L1 table is below this, by the next entry of the L2 table. */
#define HIGH (BASE + UINT64_C(0x200000))

enum {
	PAGE_L4,
	PAGE_L3,
	PAGE_L2,
	PAGE_L1,
	PAGE_CODE,
	PAGE_STACK,
	PAGE_DATA,
	PAGE_OTHER,
	PAGE_L1_B,
	PAGE_L1_C,
	PAGES_MAPPED,
};

static char why[512];
static struct hv_machine *machine;
static struct hv_domain *d;
static struct hv_vcpu *v;
static struct hv_exit ex;

/* ---- a domain of a few pages -------------------------------------------------------------------- */

static uint8_t *page(unsigned pfn)
{
	return d->mem.base + pfn * (size_t)HV_PAGE_SIZE;
}

static uint64_t entry_of(unsigned pfn, uint64_t flags)
{
	return (d->mem.first.n + pfn) << HV_PAGE_SHIFT | flags;
}

static void set(unsigned table, unsigned index, uint64_t entry)
{
	((uint64_t *)page(table))[index] = entry;
}

static void make_tables(void)
{
	set(PAGE_L4, 0, entry_of(PAGE_L3, PTE_P | PTE_W | PTE_U | PTE_A));
	set(PAGE_L3, 0, entry_of(PAGE_L2, PTE_P | PTE_W | PTE_U | PTE_A));
	set(PAGE_L2, 2, entry_of(PAGE_L1, PTE_P | PTE_W | PTE_U | PTE_A));
	set(PAGE_L2, 3, entry_of(PAGE_L1_B, PTE_P | PTE_W | PTE_U | PTE_A));
	set(PAGE_L1, PAGE_CODE, entry_of(PAGE_CODE, PTE_P | PTE_U | PTE_A));
	set(PAGE_L1, PAGE_STACK, entry_of(PAGE_STACK, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	set(PAGE_L1, PAGE_DATA, entry_of(PAGE_DATA, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	set(PAGE_L1, PAGE_OTHER, entry_of(PAGE_OTHER, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D));
	set(PAGE_L1_B, 0, entry_of(PAGE_DATA, PTE_P | PTE_U | PTE_A));
	set(PAGE_L1_C, 0, entry_of(PAGE_OTHER, PTE_P | PTE_U | PTE_A));
}

static void on_happened(void *arg, struct hv_vcpu *of, enum hv_traced what)
{
	(void)arg;
	(void)of;
	(void)what;
}

static const struct hv_tracer watcher = { .happened = on_happened };

static void setup(void)
{
	struct hv_domain_config c = { .name = "t", .nr_pages = 512, .nr_vcpus = 2 };

	ck_assert_int_eq(hv_engine_kvm.probe(why, sizeof(why)), 0);
	ck_assert_int_eq(hv_machine_create(&machine, &hv_engine_kvm, 4096), 0);
	machine->tracer = &watcher; /* as with --stats: KVM's own figures are wanted */
	ck_assert_int_eq(hv_domain_create(machine, &c, &d), 0);
	v = d->vcpu[0];
	make_tables();
	hv_domain_lock(d);
	ck_assert_int_eq(hv_vcpu_set_root(v, d->mem.first), 0);
	ck_assert_int_eq(hv_vcpu_set_root(d->vcpu[1], d->mem.first), 0);
	ck_assert_int_eq(hv_vcpu_set_user_root(v, d->mem.first), 0);
	hv_domain_unlock(d);
	page(PAGE_DATA)[0] = 1;
	page(PAGE_OTHER)[0] = 2;
}

static void teardown(void)
{
	hv_domain_destroy(d);
	hv_machine_destroy(machine);
}

/* ---- code ---------------------------------------------------------------------------------------- */

#define BLOB(name, text)                        \
	extern const char name[], name##_end[]; \
	__asm__(".section .rodata\n.balign 16\n" #name ":\n" text "\n" #name "_end:\n.previous\n")

static void put_bytes(const void *code, size_t len)
{
	memset(page(PAGE_CODE), 0xcc, HV_PAGE_SIZE);
	memcpy(page(PAGE_CODE), code, len);
}

#define PUT(name) put_bytes(name, (size_t)(name##_end - name))

static void start(void)
{
	memset(&v->regs, 0, sizeof(v->regs));
	v->regs.rip = CODE;
	v->regs.rsp = STACK;
	v->regs.rflags = X86_FLAG_ONE | X86_FLAG_IF;
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
}

/* Runs until something other than nothing; a miss that the tables allow is resumed, as the core does. */
static enum hv_exit_kind go(void)
{
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(hv_engine_kvm.vcpu_run(v, &ex), 0);
		if (ex.kind != HV_EXIT_KICKED)
			break;
	}
	return ex.kind;
}

static void expect_exception(unsigned vector)
{
	ck_assert_msg(ex.kind == HV_EXIT_EXCEPTION, "kind %d, %s", ex.kind, ex.why ? ex.why : "");
	ck_assert_uint_eq(ex.vector, vector);
}

/* ---- normal -------------------------------------------------------------------------------------- */

BLOB(syscall_code, "syscall");

START_TEST(a_syscall_keeps_every_register_but_two)
{
	struct hv_regs before;

	PUT(syscall_code);
	start();
	for (unsigned i = 0; i < 15; i++)
		(&v->regs.r15)[i] = 0x1111111111111111u * (i + 1);
	v->regs.rflags |= X86_FLAG_CF | X86_FLAG_DF;
	v->regs.fs_base = 0x123456789000;
	v->regs.gs_base_kernel = 0xffff900000001000;
	before = v->regs;
	ck_assert_int_eq(go(), HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rip, CODE + 2);
	ck_assert_uint_eq(v->regs.rcx, CODE + 2);
	ck_assert_uint_eq(v->regs.r11, before.rflags);
	ck_assert_uint_eq(v->regs.rflags, before.rflags);
	before.rip = v->regs.rip;
	before.rcx = v->regs.rcx;
	before.r11 = v->regs.r11;
	ck_assert_mem_eq(&v->regs, &before, sizeof(before));
}
END_TEST

static const struct {
	uint8_t code[8];
	unsigned vector, code_is, after; /* after: how far rip has gone */
} faults[] = {
	{ { 0xcc }, 3, 0, 1 },                   /* int3 */
	{ { 0x0f, 0x0b }, 6, 0, 0 },             /* ud2 */
	{ { 0xf4 }, 13, 0, 0 },                  /* hlt */
	{ { 0xfa }, 13, 0, 0 },                  /* cli */
	{ { 0x31, 0xc9, 0xf7, 0xf1 }, 0, 0, 2 }, /* xor ecx, ecx; div ecx */
	{ { 0xe6, KV_PORT }, 13, 0, 0 },         /* out: the port that the shim uses */
	{ { 0xe4, 0x80 }, 13, 0, 0 },            /* in */
	{ { 0xef }, 13, 0, 0 },                  /* out dx */
	{ { 0x0f, 0x22, 0xd8 }, 13, 0, 0 },      /* mov cr3 */
	{ { 0x0f, 0x20, 0xd8 }, 13, 0, 0 },
	{ { 0x0f, 0x30 }, 13, 0, 0 },             /* wrmsr */
	{ { 0x0f, 0x32 }, 13, 0, 0 },             /* rdmsr */
	{ { 0x0f, 0x01, 0x14, 0x24 }, 13, 0, 0 }, /* lgdt (rsp) */
	{ { 0x0f, 0x01, 0x1c, 0x24 }, 13, 0, 0 }, /* lidt (rsp) */
	{ { 0x0f, 0x00, 0xd8 }, 13, 0, 0 },       /* ltr ax */
	{ { 0x0f, 0x00, 0xd0 }, 13, 0, 0 },       /* lldt ax */
	{ { 0x0f, 0x01, 0xf8 }, 13, 0, 0 },       /* swapgs */
	{ { 0x48, 0x0f, 0x07 }, 13, 0, 0 },       /* sysretq */
	{ { 0x0f, 0x01, 0x3c, 0x24 }, 13, 0, 0 }, /* invlpg */
	{ { 0xcd, 0x80 }, 13, 0x80 * 8 + 2, 0 },  /* int n */
	{ { 0xcd, 0x82 }, 13, 0x82 * 8 + 2, 0 },
	{ { 0xcd, 0x0e }, 13, 0x0e * 8 + 2, 0 }, /* a page fault of one's own making */
	{ { 0xcd, 0x02 }, 13, 0x02 * 8 + 2, 0 },
	{ { 0xcd, 0x08 }, 13, 0x08 * 8 + 2, 0 },
	{ { 0xcd, 0xff }, 13, 0xff * 8 + 2, 0 },
};

START_TEST(each_exception_comes_out_as_hardware_has_it)
{
	put_bytes(faults[_i].code, sizeof(faults[_i].code));
	start();
	go();
	expect_exception(faults[_i].vector);
	ck_assert_uint_eq(v->regs.rip, CODE + faults[_i].after);
	ck_assert_uint_eq(ex.error_code, faults[_i].code_is);
	ck_assert_uint_eq(v->regs.rsp, STACK);
}
END_TEST

BLOB(spin_code, "1: jmp 1b");

static void *kick_soon(void *arg)
{
	struct timespec ts = { 0, 20000000 };

	nanosleep(&ts, NULL);
	(void)arg;
	atomic_store(&v->sched.attention, true);
	hv_engine_kvm.vcpu_kick(v);
	return NULL;
}

/* What --stats shows under a name; UINT64_MAX when there is no such row. */
static uint64_t figure(const char *name)
{
	const char *have;
	uint64_t n = 0;

	for (unsigned i = 0; (have = hv_engine_kvm.figure(v, i, &n)); i++)
		if (!strcmp(have, name))
			return n;
	return UINT64_MAX;
}

START_TEST(what_came_out_is_counted_by_its_kind)
{
	uint64_t kvms = figure("KVM: exits");

	ck_assert_uint_eq(figure("entered by KVM_RUN"), 0);
	PUT(syscall_code);
	for (int i = 0; i < 3; i++) {
		start();
		v->in_kernel = i > 0;
		ck_assert_int_eq(go(), HV_EXIT_SYSCALL);
	}
	start();
	v->regs.rip += 100; /* int3 */
	go();
	expect_exception(3);
	ck_assert_uint_eq(figure("system calls out of it"), 1);
	ck_assert_uint_eq(figure("hypercalls out of it"), 2);
	ck_assert_uint_eq(figure("exceptions out of it"), 1);
	ck_assert_uint_ge(figure("entered by KVM_RUN"), 4);
	/* A KVM may have no figures of its own: then they are 0. */
	if (figure("KVM: exits"))
		ck_assert_uint_ge(figure("KVM: exits"), kvms + 4);
	ck_assert_uint_eq(figure("nothing"), UINT64_MAX);
}
END_TEST

START_TEST(a_kick_stops_a_guest_that_never_leaves)
{
	pthread_t t;

	PUT(spin_code);
	start();
	ck_assert_int_eq(pthread_create(&t, NULL, kick_soon, NULL), 0);
	ck_assert_int_eq(hv_engine_kvm.vcpu_run(v, &ex), 0);
	pthread_join(t, NULL);
	ck_assert_int_eq(ex.kind, HV_EXIT_KICKED);
	ck_assert_uint_eq(v->regs.rip, CODE);
	ck_assert_uint_eq(v->regs.rsp, STACK);
}
END_TEST

static atomic_bool kick_stop;

static void *kick_often(void *arg)
{
	struct timespec pause = { 0, 40000 };

	(void)arg;
	while (!atomic_load(&kick_stop)) {
		atomic_store(&v->sched.attention, true);
		hv_engine_kvm.vcpu_kick(v);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* A kick may come between a `syscall` and what it does: the place where that is, is nobody's to see. */
START_TEST(a_kick_never_shows_the_shims_entry)
{
	unsigned calls = 0;
	pthread_t t;

	PUT(syscall_code);
	start();
	atomic_store(&kick_stop, false);
	ck_assert_int_eq(pthread_create(&t, NULL, kick_often, NULL), 0);
	for (unsigned i = 0; i < 30000 && calls < 10000; i++) {
		if (hv_engine_kvm.vcpu_run(v, &ex))
			break;
		if (ex.kind == HV_EXIT_SYSCALL) {
			calls++;
			if (v->regs.rip != CODE + 2)
				break;
			v->regs.rip = CODE;
		}
		if (v->regs.rip != CODE && v->regs.rip != CODE + 2)
			break;
		atomic_store(&v->sched.attention, false);
	}
	atomic_store(&kick_stop, true);
	pthread_join(t, NULL);
	ck_assert_msg(v->regs.rip == CODE || v->regs.rip == CODE + 2, "at %llx after %u calls",
	              (unsigned long long)v->regs.rip, calls);
	ck_assert_uint_gt(calls, 0);
}
END_TEST

/* ---- page tables --------------------------------------------------------------------------------- */

BLOB(read_code, "mov (%rbx), %al\n int3");
BLOB(write_code, "movb $7, (%rbx)\n int3");

/* The byte at an address as ring 3 sees it, or -1 for a page fault there. */
static int peek(uint64_t va)
{
	PUT(read_code);
	start();
	v->regs.rbx = va;
	go();
	if (ex.kind == HV_EXIT_EXCEPTION && ex.vector == 14) {
		ck_assert_uint_eq(ex.cr2, va);
		return -1;
	}
	expect_exception(3);
	return (int)(v->regs.rax & 0xff);
}

static int poke(uint64_t va)
{
	PUT(write_code);
	start();
	v->regs.rbx = va;
	go();
	if (ex.kind == HV_EXIT_EXCEPTION && ex.vector == 14) {
		ck_assert_uint_eq(ex.cr2, va);
		ck_assert_uint_eq(ex.error_code & 2, 2);
		return -1;
	}
	expect_exception(3);
	return 0;
}

static void update_l1(uint64_t va, uint64_t entry)
{
	const uint64_t a[] = { va, entry, 1 << 0 | 1 << 1 }; /* UVMF_INVLPG, on this vCPU */

	hv_domain_lock(d);
	ck_assert_int_eq(hv_do_update_va_mapping(v, a), 0);
	hv_engine_kvm.sync(d, 3);
	hv_domain_unlock(d);
}

static void update_table(unsigned table, unsigned index, uint64_t entry)
{
	hv_domain_lock(d);
	ck_assert_int_eq(hv_entry_modify(d, (mfn_t){ d->mem.first.n + table }, index, entry, false,
	                                 HV_PG_SELF),
	                 0);
	hv_engine_kvm.sync(d, 3);
	hv_domain_unlock(d);
}

#define RW (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)

START_TEST(a_changed_entry_is_seen_at_once)
{
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(peek(DATA), 1);
		update_l1(DATA, entry_of(PAGE_OTHER, RW));
		ck_assert_int_eq(peek(DATA), 2);
		update_l1(DATA, 0);
		ck_assert_int_eq(peek(DATA), -1);
		update_l1(DATA, entry_of(PAGE_DATA, RW & ~PTE_W));
		ck_assert_int_eq(peek(DATA), 1);
		ck_assert_int_eq(poke(DATA), -1);
		update_l1(DATA, entry_of(PAGE_DATA, RW));
		ck_assert_int_eq(poke(DATA), 0);
		update_l1(DATA, entry_of(PAGE_DATA, RW & ~PTE_W));
		ck_assert_int_eq(poke(DATA), -1);
		page(PAGE_DATA)[0] = 1;
		update_l1(DATA, entry_of(PAGE_DATA, RW));
	}
}
END_TEST

START_TEST(a_changed_table_is_seen_at_once)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(peek(HIGH), 1);
		update_table(PAGE_L2, 3, entry_of(PAGE_L1_C, flags));
		ck_assert_int_eq(peek(HIGH), 2);
		update_table(PAGE_L2, 3, 0);
		ck_assert_int_eq(peek(HIGH), -1);
		update_table(PAGE_L2, 3, entry_of(PAGE_L1_B, flags));
	}
}
END_TEST

/* What was a table, is written to by us, and is a table again shows its new contents. */
START_TEST(a_table_that_was_something_else_meanwhile_is_read_anew)
{
	const uint64_t flags = PTE_P | PTE_W | PTE_U | PTE_A;

	for (int i = 0; i < 10; i++) {
		unsigned now = i & 1 ? PAGE_DATA : PAGE_OTHER;

		ck_assert_int_eq(peek(HIGH), i & 1 ? 2 : 1);
		update_table(PAGE_L2, 3, 0);
		hv_domain_lock(d);
		ck_assert_int_eq(
			hv_type_get(d, (mfn_t){ d->mem.first.n + PAGE_L1_B }, HV_TYPE_WRITABLE), 0);
		set(PAGE_L1_B, 0, entry_of(now, PTE_P | PTE_U | PTE_A));
		hv_type_put(d, (mfn_t){ d->mem.first.n + PAGE_L1_B });
		hv_domain_unlock(d);
		update_table(PAGE_L2, 3, entry_of(PAGE_L1_B, flags));
		ck_assert_int_eq(peek(HIGH), i & 1 ? 1 : 2);
	}
}
END_TEST

/* ---- hostile ------------------------------------------------------------------------------------- */

static const uint64_t places[] = {
	KV_DIRECT,
	KV_DIRECT + 0x3ff000,
	KV_GDT(0),
	KV_GDT(0) + 0xe000,
	KV_GDT(1),
	KV_STUBS,
	KV_STUBS + 16 * 14,
	KV_ENTRY,
	KV_TOUCH,
	KV_FORGET,
	KV_IDT,
	KV_IDT + 0xe0,
	KV_SHIM + 0x4000,
	KV_CPU(0),
	KV_CPU(0) + 0xfd8,
	KV_CPU(1),
	KV_CPU(KV_JANITOR),
	KV_SHIM + 0x1ff000,
	0xffff808000000000 + (UINT64_C(1) << 38),
	0xffff810000000000,
	0xffff87fffffff000,
};

static uint8_t shim_before[64 * HV_PAGE_SIZE];

/* Code, IDT, descriptor tables, task states; not what the processor writes (stacks, accessed bits). */
static void remember_shim(void)
{
	memcpy(shim_before, kv_of(d)->vm.shim, sizeof(shim_before));
}

static void check_shim(void)
{
	const struct kv_vm *vm = &kv_of(d)->vm;

	ck_assert_mem_eq(vm->shim + 6 * HV_PAGE_SIZE, shim_before + 6 * HV_PAGE_SIZE,
	                 4 * HV_PAGE_SIZE);
	ck_assert_mem_eq(kv_shim_cpu_page((struct kv_vm *)(uintptr_t)vm, 0),
	                 shim_before + 10 * HV_PAGE_SIZE, 104);
}

/* After whatever was tried the engine still works. */
static void check_engine_lives(void)
{
	check_shim();
	PUT(syscall_code);
	start();
	ck_assert_int_eq(go(), HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rip, CODE + 2);
}

BLOB(jump_code, "jmp *%rbx");

START_TEST(the_shims_pages_are_closed_to_ring_3)
{
	remember_shim();
	ck_assert_int_eq(peek(places[_i]), -1);
	ck_assert_int_eq(poke(places[_i]), -1);
	PUT(jump_code);
	start();
	v->regs.rbx = places[_i];
	v->regs.rcx = CODE;
	v->regs.r11 = 2;
	go();
	/* The entry cannot be told from a system call; everything else is a fault there. */
	if (ex.kind == HV_EXIT_SYSCALL) {
		ck_assert_uint_eq(places[_i], KV_ENTRY);
		ck_assert_uint_eq(v->regs.rip, CODE);
	} else {
		expect_exception(14);
		ck_assert_uint_eq(ex.cr2, places[_i]);
	}
	check_engine_lives();
}
END_TEST

START_TEST(the_machine_to_physical_table_can_be_read_only)
{
	hv_m2p_set(machine, d->mem.first, 0x42);
	ck_assert_int_eq(peek(KV_M2P + d->mem.first.n * 8), 0x42);
	ck_assert_int_eq(poke(KV_M2P + d->mem.first.n * 8), -1);
	ck_assert_int_eq(peek(KV_M2P + d->mem.first.n * 8), 0x42);
}
END_TEST

/* The guest's own view of its root: slot 256 as a table of one level less gives no way in. */
START_TEST(no_entry_of_the_guest_may_name_the_shim)
{
	remember_shim();
	hv_domain_lock(d);
	for (unsigned slot = 256; slot <= 271; slot++)
		ck_assert_int_ne(hv_entry_modify(d, d->mem.first, slot, entry_of(PAGE_L3, PTE_P),
		                                 false, HV_PG_SELF),
		                 0);
	ck_assert_int_ne(hv_entry_modify(d, (mfn_t){ d->mem.first.n + PAGE_L1 }, 100,
	                                 kv_of(d)->vm.shim_gpa | PTE_P | PTE_U, false, HV_PG_SELF),
	                 0);
	hv_domain_unlock(d);
	check_engine_lives();
}
END_TEST

static const uint64_t stacks[] = {
	KV_CPU(0) + 0x1000,
	KV_CPU(0) + 0xfd8,
	KV_IDT + 0x100,
	KV_GDT(0) + 0xe040,
	KV_STUBS + 64,
	KV_DIRECT + 0x1000,
	0,
	0x800000000000,
	~UINT64_C(0),
	0xffff7fffffffffff,
};

BLOB(push_code, "push %rax\n int3");
BLOB(int3_code, "int3");

START_TEST(a_stack_pointer_aimed_at_the_shim_hits_nothing)
{
	remember_shim();
	PUT(syscall_code);
	start();
	v->regs.rsp = stacks[_i];
	ck_assert_int_eq(go(), HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rsp, stacks[_i]);
	PUT(int3_code);
	start();
	v->regs.rsp = stacks[_i];
	go();
	/* With a stack pointer that is no address there are KVMs that find no int3 there. */
	if (ex.vector != X86_VECTOR_UD || hv_is_canonical(stacks[_i]))
		expect_exception(3);
	ck_assert_uint_eq(v->regs.rsp, stacks[_i]);
	PUT(push_code);
	start();
	v->regs.rsp = stacks[_i];
	go();
	ck_assert_int_eq(ex.kind, HV_EXIT_EXCEPTION);
	ck_assert_msg(ex.vector == 14 || ex.vector == 12 || ex.vector == 13, "%u", ex.vector);
	check_engine_lives();
}
END_TEST

static const uint64_t addresses[] = { 0x800000000000, 0xffff7fffffffffff, UINT64_C(1) << 63,
	                              0x7ffffffffffe };

START_TEST(an_address_that_is_none_is_the_guests_fault)
{
	remember_shim();
	start();
	v->regs.rip = addresses[_i];
	go();
	ck_assert_int_eq(ex.kind, HV_EXIT_EXCEPTION);
	ck_assert_msg(ex.vector == 13 || ex.vector == 14, "%u", ex.vector);
	PUT(jump_code);
	start();
	v->regs.rbx = addresses[_i];
	go();
	ck_assert_int_eq(ex.kind, HV_EXIT_EXCEPTION);
	ck_assert_msg(ex.vector == 13 || ex.vector == 14, "%u", ex.vector);
	start();
	v->regs.fs_base = v->regs.gs_base_kernel = addresses[_i];
	ck_assert_int_ne(go(), HV_EXIT_DEAD);
	check_engine_lives();
}
END_TEST

/* A system call, or an exception, as the first thing that is stepped. */
BLOB(step_syscall, "syscall\n nop\n int3");
BLOB(step_ss, "mov %ss, %eax\n mov %eax, %ss\n syscall\n int3");
BLOB(step_ss_int3, "mov %ss, %eax\n mov %eax, %ss\n int3\n nop");

START_TEST(single_steps_do_not_reach_into_the_shim)
{
	remember_shim();
	switch (_i) {
	case 0:
		PUT(step_syscall);
		break;
	case 1:
		PUT(step_ss);
		break;
	default:
		PUT(step_ss_int3);
	}
	start();
	for (int i = 0; i < 12; i++) {
		v->regs.rflags |= X86_FLAG_TF;
		go();
		ck_assert_msg(ex.kind == HV_EXIT_SYSCALL || ex.kind == HV_EXIT_EXCEPTION, "%d %s",
		              ex.kind, ex.why ? ex.why : "");
		ck_assert_uint_lt(v->regs.rip - CODE, 4096);
		ck_assert_uint_eq(v->regs.rsp, STACK);
	}
	check_engine_lives();
}
END_TEST

BLOB(iret_code, "iretq");

#define FLAGS (X86_FLAG_ONE | X86_FLAG_IF)

static const struct {
	uint64_t rip, cs, flags, rsp, ss;
} frames[] = {
	{ CODE + 64, KV_RING3_CS64, FLAGS, STACK, KV_RING3_SS },
	{ CODE + 64, KV_CS0, FLAGS, STACK, KV_SS0 },
	{ KV_TOUCH, KV_CS0, FLAGS, KV_CPU(0) + KV_LIST, KV_SS0 },
	{ KV_TOUCH, KV_CS0 | 3, FLAGS, KV_CPU(0) + KV_LIST, KV_SS0 | 3 },
	{ KV_STUBS + 16 * 14, KV_RING3_CS64, FLAGS, STACK, KV_RING3_SS },
	{ KV_ENTRY, KV_RING3_CS64, FLAGS, STACK, KV_RING3_SS },
	{ CODE + 64, 0, FLAGS, STACK, 0 },
	{ CODE + 64, 3, FLAGS, STACK, 3 },
	{ CODE + 64, KV_RING3_CS32, FLAGS, STACK, KV_RING3_SS },
	{ CODE + 64, KV_TSS, FLAGS, STACK, KV_RING3_SS },
	{ CODE + 64, KV_TSS | 3, FLAGS, STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_SS, FLAGS, STACK, KV_RING3_CS64 },
	{ CODE + 64, 0x33, FLAGS, STACK, 0x2b },
	{ CODE + 64, 0x10, FLAGS, STACK, 0x18 },
	{ CODE + 64, 0xfffb, FLAGS, STACK, 0xfffb },
	{ CODE + 64, 0x7, FLAGS, STACK, 0x7 },
	{ 0x800000000000, KV_RING3_CS64, FLAGS, STACK, KV_RING3_SS },
	{ ~UINT64_C(0), KV_RING3_CS64, FLAGS, 0x800000000000, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS, KV_CPU(0) + 0x1000, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS | X86_FLAG_TF, STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS | X86_FLAG_NT, STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS | X86_FLAG_IOPL, STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS | X86_FLAG_VM, STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, FLAGS | X86_FLAG_AC | X86_FLAG_VIF | X86_FLAG_VIP, STACK,
	  KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, ~UINT64_C(0), STACK, KV_RING3_SS },
	{ CODE + 64, KV_RING3_CS64, 0, STACK, KV_RING3_SS },
};

/* In the frame or in the registers that the core hands over: nothing gets beyond ring 3. */
START_TEST(an_iret_frame_of_any_shape_stays_at_ring_3)
{
	uint64_t *top = (uint64_t *)(page(PAGE_STACK) + HV_PAGE_SIZE) - 5;

	remember_shim();
	PUT(iret_code);
	start();
	memcpy(top, &frames[_i], sizeof(frames[_i]));
	v->regs.rsp = STACK - 40;
	go();
	ck_assert_msg(ex.kind == HV_EXIT_EXCEPTION || ex.kind == HV_EXIT_SYSCALL, "%d %s", ex.kind,
	              ex.why ? ex.why : "");
	ck_assert_uint_eq(v->regs.rflags & X86_FLAG_IOPL, 0);
	check_engine_lives();
	PUT(int3_code);
	start();
	v->regs.rip = frames[_i].rip;
	v->regs.cs = (uint16_t)frames[_i].cs;
	v->regs.ss = (uint16_t)frames[_i].ss;
	v->regs.rflags = frames[_i].flags;
	v->regs.rsp = frames[_i].rsp;
	go();
	ck_assert_msg(ex.kind == HV_EXIT_EXCEPTION || ex.kind == HV_EXIT_SYSCALL, "%d %s", ex.kind,
	              ex.why ? ex.why : "");
	check_engine_lives();
}
END_TEST

/* ---- the suite ----------------------------------------------------------------------------------- */

START_TEST(there_is_a_sentence_when_it_cannot_be_used)
{
	ck_assert_uint_gt(strlen(why), 20);
}
END_TEST

#define ADD_ALL(tc, test, table) \
	tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

static TCase *new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *engine_kvm_suite(void);

Suite *engine_kvm_suite(void)
{
	Suite *s = suite_create("engine_kvm");
	TCase *normal, *limits, *hostile;

	if (hv_engine_kvm.probe(why, sizeof(why))) {
		TCase *none = tcase_create("normal");

		printf("SKIP engine_kvm: %s\n", why);
		tcase_add_test(none, there_is_a_sentence_when_it_cannot_be_used);
		suite_add_tcase(s, none);
		return s;
	}
	normal = new_case(s, "normal");
	tcase_add_test(normal, a_syscall_keeps_every_register_but_two);
	ADD_ALL(normal, each_exception_comes_out_as_hardware_has_it, faults);
	tcase_add_test(normal, what_came_out_is_counted_by_its_kind);
	tcase_add_test(normal, a_kick_stops_a_guest_that_never_leaves);
	tcase_add_test(normal, a_kick_never_shows_the_shims_entry);
	limits = new_case(s, "limits");
	tcase_add_test(limits, a_changed_entry_is_seen_at_once);
	tcase_add_test(limits, a_changed_table_is_seen_at_once);
	tcase_add_test(limits, a_table_that_was_something_else_meanwhile_is_read_anew);
	hostile = new_case(s, "hostile");
	ADD_ALL(hostile, the_shims_pages_are_closed_to_ring_3, places);
	tcase_add_test(hostile, the_machine_to_physical_table_can_be_read_only);
	tcase_add_test(hostile, no_entry_of_the_guest_may_name_the_shim);
	ADD_ALL(hostile, a_stack_pointer_aimed_at_the_shim_hits_nothing, stacks);
	ADD_ALL(hostile, an_address_that_is_none_is_the_guests_fault, addresses);
	tcase_add_loop_test(hostile, single_steps_do_not_reach_into_the_shim, 0, 3);
	ADD_ALL(hostile, an_iret_frame_of_any_shape_stays_at_ring_3, frames);
	return s;
}
