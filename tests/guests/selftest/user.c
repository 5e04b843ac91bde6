/* SPDX-License-Identifier: MIT */
/*
 * User mode: the other root, the way in by system calls, faults and events, the way out by iret.
 *
 * Method: a page of user code (user_run.S) is mapped in an address space that the library makes; the
 * claim goes there, and the first trap that comes from there ends the visit.
 * Breakage: what is wrong here lets a program see its kernel, or a kernel mistake one for the other.
 */
#include "tests/guests/selftest/test.h"

#include "pvops/aspace.h"
#include "pvops/cpu.h"
#include "pvops/evtchn.h"
#include "pvops/p2m.h"
#include "pvops/time.h"

#define BASE  0x10000000000ul
#define CODE  BASE
#define DATA  (BASE + 0x1000)
#define STACK (BASE + 0x3000) /* the end of its page */
#define HOLE  (BASE + 0x5000)

/* Bits of an entry that the processor sets. */
#define A PV_PTE_ACCESSED
#define D PV_PTE_DIRTY

extern char st_user_code[], st_user_call[], st_user_read[], st_user_write[], st_user_write_read[],
	st_user_spin[], st_user_ud[], st_user_fs[], st_user_xmm[], st_user_back[];
extern uint64_t st_user_sp;
void st_user_go(struct pv_frame *frame);

static struct pv_aspace as;
static uint8_t *data, *kernel_stack;
static struct pv_frame visit; /* how the last visit ended */

static bool end_visit(struct pv_frame *frame)
{
	if (!pv_frame_from_user(frame))
		return false;
	visit = *frame;
	frame->rip = (uint64_t)st_user_back;
	frame->cs = FLAT_KERNEL_CS & ~3; /* its two low bits say which mode */
	frame->ss = FLAT_KERNEL_SS;
	frame->rsp = st_user_sp;
	frame->rflags = PV_RFLAGS_IF;
	return true;
}

/* An upcall that strikes the program ends the visit too, when the claim wants that. */
static void end_visit_by_event(struct pv_frame *frame)
{
	if (frame)
		end_visit(frame);
}

/* Runs a piece of user code, with rdi and rsi, until its first trap. */
static void go(const char *piece, uint64_t rdi, uint64_t rsi)
{
	struct pv_frame f;

	memset(&f, 0, sizeof(f));
	f.rip = CODE + (uint64_t)(piece - st_user_code);
	f.cs = FLAT_USER_CS;
	f.ss = FLAT_USER_SS;
	f.rflags = PV_RFLAGS_IF;
	f.rsp = STACK;
	f.rdi = rdi;
	f.rsi = rsi;
	f.rbx = 0xb0b;
	f.r15 = 0xf15;
	st_on_trap = end_visit;
	memset(&visit, 0, sizeof(visit));
	pv_irq_disable();
	st_user_go(&f);
	st_on_trap = NULL;
}

static int map(uint64_t va, const void *page, unsigned int prot)
{
	struct pv_batch b;

	pv_batch_begin(&b, &as);
	pv_batch_map(&b, va, pv_virt_to_pfn(page), prot);
	return pv_batch_end(&b);
}

static int unmap(uint64_t va)
{
	struct pv_batch b;

	pv_batch_begin(&b, &as);
	pv_batch_unmap(&b, va);
	return pv_batch_end(&b);
}

/* An address space with code, a page of data, and a page for the stack; and it is loaded. */
static int open_space(enum pv_roots roots)
{
	static bool is_ready;
	int rc = is_ready ? 0 : pv_aspace_init();

	/* Claims of other families have registered call-backs of their own. */
	if (!is_ready && !rc && !pv_is_native())
		rc = pv_traps_init();
	is_ready = true;
	if (!kernel_stack) {
		kernel_stack = st_page();
		data = st_page();
	}
	memset(data, 0, PV_PAGE_SIZE);
	if (!rc)
		rc = pv_aspace_create(&as, roots);
	if (!rc)
		rc = map(CODE, st_user_code, PV_PROT_READ | PV_PROT_EXEC);
	if (!rc)
		rc = map(DATA, data, PV_PROT_READ | PV_PROT_WRITE);
	if (!rc)
		rc = map(STACK - PV_PAGE_SIZE, data, PV_PROT_READ | PV_PROT_WRITE);
	pv_irq_disable();
	pv_aspace_switch(&as, kernel_stack + PV_PAGE_SIZE, 0);
	pv_irq_enable();
	return rc;
}

static void close_space(void)
{
	uint64_t va, entry;

	pv_irq_disable();
	pv_aspace_switch(NULL, NULL, 0);
	pv_irq_enable();
	for (va = pv_aspace_next(&as, BASE, PV_USER_END, &entry); va < PV_USER_END;
	     va = pv_aspace_next(&as, va, PV_USER_END, &entry))
		unmap(va);
	pv_aspace_destroy(&as);
	pv_aspace_trim();
}

/* ---- the way in and out ---- */

static void system_call_arrives(void)
{
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	go(st_user_call, 11, 22);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.cs & 3, 3);
	ST_EQ(visit.rip, CODE + 2);
	ST_EQ(visit.rcx, CODE + 2);
	ST_EQ(visit.rsp, STACK);
	ST_CHECK(visit.rflags & PV_RFLAGS_IF, "events were off in user mode");
	ST_EQ(visit.r11 & PV_RFLAGS_IF, PV_RFLAGS_IF);
	ST_EQ(visit.rdi, 11);
	ST_EQ(visit.rsi, 22);
	ST_EQ(visit.rbx, 0xb0b);
	ST_EQ(visit.r15, 0xf15);
	close_space();
}

static bool mask_seen;

static bool look_at_mask(struct pv_frame *frame)
{
	if (pv_frame_from_user(frame))
		mask_seen = !pv_irq_enabled();
	return end_visit(frame);
}

static void kernel_is_entered_masked(void)
{
	struct pv_frame f = { .rip = CODE,
		              .cs = FLAT_USER_CS,
		              .ss = FLAT_USER_SS,
		              .rflags = PV_RFLAGS_IF,
		              .rsp = STACK };

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	st_on_trap = look_at_mask;
	mask_seen = false;
	pv_irq_disable();
	st_user_go(&f);
	st_on_trap = NULL;
	ST_CHECK(mask_seen, "events were on");
	close_space();
}

static void fault_says_user(void)
{
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	go(st_user_read, HOLE + 8, 0);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	ST_EQ(visit.error_code, PV_PF_USER);
	ST_EQ(visit.cr2, HOLE + 8);
	ST_EQ(visit.rip, CODE + (uint64_t)(st_user_read - st_user_code));
	go(st_user_write, HOLE + 16, 0);
	ST_EQ(visit.error_code, PV_PF_USER | PV_PF_WRITE);
	go(st_user_write, CODE, 0);
	ST_EQ(visit.error_code, PV_PF_USER | PV_PF_WRITE | PV_PF_PRESENT);
	go(st_user_ud, 0, 0);
	ST_EQ(visit.vector, PV_VECTOR_UD);
	ST_EQ(visit.error_code, 0);
	close_space();
}

static void on_timer(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
}

/*
 * On a host so busy that the moment comes before the program has begun, tries again. Events are off
 * from before the timer is set: one that came in the kernel would leave the program alone for ever.
 */
static void event_interrupts_a_program(void)
{
	evtchn_port_t port;
	unsigned int tries = 0;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	ST_EQ(pv_evtchn_bind_virq(VIRQ_TIMER, 0, on_timer, NULL, &port), 0);
	st_on_upcall = end_visit_by_event;
	do {
		pv_irq_disable();
		pv_timer_set(pv_now_ns() + 5000000);
		go(st_user_spin, 0, 0);
	} while (visit.rax <= 1000 && ++tries < 50);
	st_on_upcall = NULL;
	ST_EQ(visit.vector, PV_VECTOR_EVENT);
	ST_EQ(visit.cs & 3, 3);
	ST_CHECK(visit.rax > 1000, "the program did not run: %lu", visit.rax);
	ST_EQ(pv_evtchn_close(port), 0);
	close_space();
}

/* An event that is pending already comes before the first instruction of the program. */
static void pending_event_comes_first(void)
{
	evtchn_port_t port;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	ST_EQ(pv_evtchn_bind_ipi(0, on_timer, NULL, &port), 0);
	st_on_upcall = end_visit_by_event;
	pv_irq_disable();
	pv_evtchn_send(port);
	go(st_user_spin, 0, 0);
	st_on_upcall = NULL;
	ST_EQ(visit.vector, PV_VECTOR_EVENT);
	/* Natively a kernel has its timer interrupt it, which may be a microsecond late. */
	if (!pv_is_native()) {
		ST_EQ(visit.rip, CODE + (uint64_t)(st_user_spin - st_user_code));
		ST_EQ(visit.rax, 0);
	}
	ST_EQ(pv_evtchn_close(port), 0);
	close_space();
}

/* ---- what a program can reach ---- */

static void program_sees_its_own_pages(void)
{
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	*(uint64_t *)data = 0x1234;
	go(st_user_read, DATA, 0);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rax, 0x1234);
	go(st_user_write, DATA + 8, 0x5678);
	ST_EQ(((uint64_t *)data)[1], 0x5678);
	close_space();
}

static void program_sees_no_kernel_page(void)
{
	uint64_t places[] = { (uint64_t)st_user_code,  (uint64_t)data,
		              (uint64_t)kernel_stack,  (uint64_t)pv_boot.start,
		              pv_boot.start->pt_base,  st_window(),
		              (uint64_t)pv_shared_info };
	unsigned int i;

	ST_EQ(open_space(PV_ROOTS_TWO), 0);
	for (i = 0; i < ST_COUNT(places); i++) {
		go(st_user_read, places[i], 0);
		if (visit.vector != PV_VECTOR_PF)
			st_fail("0x%lx was read", places[i]);
		go(st_user_write, places[i], 0);
		if (visit.vector != PV_VECTOR_PF)
			st_fail("0x%lx was written", places[i]);
	}
	close_space();
}

static void kernel_sees_when_asked_to(void)
{
	ST_EQ(open_space(PV_ROOTS_TWO), 0);
	*(uint64_t *)data = 99;
	ST_EQ(*(volatile uint64_t *)DATA, 99);
	close_space();
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	ST_EQ(ST_TRAPS("movb (%0), %%al", : : "r"(DATA) : "rax", "memory"), 1);
	close_space();
}

/* Nothing stands between the two then: what the kernel may do the program may. */
static void one_root_serves_both(void)
{
	static uint64_t kernels = 5;

	ST_EQ(open_space(PV_ROOTS_ONE), 0);
	*(volatile uint64_t *)DATA = 99;
	go(st_user_read, DATA, 0);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rax, 99);
	go(st_user_write, DATA, 98);
	ST_EQ(*(volatile uint64_t *)DATA, 98);
	go(st_user_read, (uint64_t)&kernels, 0);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rax, 5);
	go(st_user_read, STACK, 0);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	ST_EQ(visit.error_code, PV_PF_USER);
	close_space();
}

static void mapping_changes_between_visits(void)
{
	uint64_t *other = st_page();

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	*(uint64_t *)data = 1;
	*other = 2;
	go(st_user_read, DATA, 0);
	ST_EQ(visit.rax, 1);
	ST_EQ(map(DATA, other, PV_PROT_READ), 0);
	go(st_user_read, DATA, 0);
	ST_EQ(visit.rax, 2);
	go(st_user_write, DATA, 3);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	ST_EQ(*other, 2);
	ST_EQ(unmap(DATA), 0);
	go(st_user_read, DATA, 0);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	ST_EQ(visit.error_code, PV_PF_USER);
	close_space();
	st_page_free(other);
}

/* Two roots in turn, the same address with another page in each. */
static void roots_can_take_turns(void)
{
	struct pv_aspace first;
	uint8_t *first_data;
	unsigned int i;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	first = as;
	first_data = data;
	data = NULL;
	kernel_stack = NULL;
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	*(uint64_t *)first_data = 1;
	*(uint64_t *)data = 2;
	for (i = 0; i < 4; i++) {
		pv_irq_disable();
		pv_aspace_switch(i & 1 ? &as : &first, kernel_stack + PV_PAGE_SIZE, 0);
		go(st_user_read, DATA, 0);
		ST_EQ(visit.rax, 1 + (i & 1));
	}
	close_space();
	as = first;
	as.cpus = 0;
	close_space();
	st_page_free(first_data);
}

/* ---- what is a program's besides memory ---- */

static void segment_bases_are_the_programs(void)
{
	uint64_t kernel_gs = (uint64_t)pv_cpu();

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	((uint64_t *)data)[2] = 0xf5;
	((uint64_t *)data)[3] = 0x65;
	pv_irq_disable();
	pv_aspace_switch(&as, kernel_stack + PV_PAGE_SIZE, DATA + 16);
	PV_OP(cpu, set_user_gs_base, DATA + 24);
	go(st_user_fs, 0, 0);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rax, 0xf5);
	ST_EQ(visit.rdx, 0x65);
	ST_EQ((uint64_t)pv_cpu(), kernel_gs);
	go(st_user_fs, 0, 0);
	ST_EQ(visit.rdx, 0x65);
	PV_OP(cpu, set_user_gs_base, 0);
	close_space();
}

static void floating_point_crosses(void)
{
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	go(st_user_xmm, 0x77777777, 0);
	go(st_user_xmm, 0x88888888, 0);
	ST_EQ(visit.rax, 0x77777777);
	go(st_user_xmm, 0, 0);
	ST_EQ(visit.rax, 0x88888888);
	close_space();
}

static void privileged_flags_stay_ours(void)
{
	struct pv_frame f = { .rip = CODE,
		              .cs = FLAT_USER_CS,
		              .ss = FLAT_USER_SS,
		              .rflags = PV_RFLAGS_IF | 0x3000, /* I/O privilege */
		              .rsp = STACK };

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	st_on_trap = end_visit;
	pv_irq_disable();
	st_user_go(&f);
	st_on_trap = NULL;
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rflags & 0x3000, 0);
	close_space();
}

/* The trap flag of a program: one instruction, and #DB comes from there, on the stack for it. */
static void single_steps_come_from_the_program(void)
{
	struct pv_frame f = { .rip = CODE + (uint64_t)(st_user_spin - st_user_code),
		              .cs = FLAT_USER_CS,
		              .ss = FLAT_USER_SS,
		              .rflags = PV_RFLAGS_IF | PV_RFLAGS_TF,
		              .rsp = STACK };

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	st_on_trap = end_visit;
	pv_irq_disable();
	st_user_go(&f);
	st_on_trap = NULL;
	ST_EQ(visit.vector, PV_VECTOR_DB);
	ST_EQ(visit.cs & 3, 3);
	ST_EQ(visit.rax, 1);
	ST_EQ(visit.rip, f.rip + 3); /* the length of `inc %rax` */
	go(st_user_call, 1, 2);      /* and all is as before */
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	close_space();
}

/* A frame that the processor cannot load: the kernel learns so as of a fault of the program's. */
static void impossible_frame_is_the_programs_fault(void)
{
	/* The fault is pushed right below the frame: not onto what st_user_go() keeps on our stack. */
	static struct {
		uint8_t room[1024];
		struct pv_frame f;
	} low;
	struct pv_frame f = { .rip = (uint64_t)ST_NONCANONICAL,
		              .cs = FLAT_USER_CS,
		              .ss = FLAT_USER_SS,
		              .rflags = PV_RFLAGS_IF,
		              .rsp = STACK,
		              .rbp = 0xb9 };

	if (!pv_is_native())
		ST_SKIP("natively");
	ST_EQ(open_space(PV_ROOTS_APART), 0);
	st_on_trap = end_visit;
	pv_irq_disable();
	low.f = f;
	st_user_go(&low.f);
	st_on_trap = NULL;
	ST_EQ(visit.vector, PV_VECTOR_GP);
	ST_EQ(visit.cs & 3, 3);
	ST_EQ(visit.rsp, STACK);
	ST_EQ(visit.rbp, 0xb9);
	go(st_user_call, 1, 2);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	close_space();
}

/* ---- accessed and dirty ---- */

/* Maps data at DATA by an entry with these bits; returns where its entry is. */
static const uint64_t *map_with_bits(uint64_t bits)
{
	struct pv_pt_write w;
	const uint64_t *table = as.user;
	const struct pv_flush flush = { .cpus = 1 };
	unsigned int level;

	for (level = 4; level > 1; level--)
		table = pv_pfn_to_virt(
			pv_pte_mfn(PV_OP(mmu, read_entry, table, pv_mmu_index(DATA, level))));
	w.entry = (uint64_t *)&table[pv_mmu_index(DATA, 1)];
	w.value = pv_pte(pv_virt_to_pfn(data), PV_PTE_PRESENT | PV_PTE_USER | bits);
	PV_OP(mmu, write_entries, &w, 1, &flush);
	return &table[pv_mmu_index(DATA, 1)];
}

static void accessed_is_set_by_a_read(void)
{
	const uint64_t *entry;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	entry = map_with_bits(PV_PTE_WRITE);
	ST_EQ(*entry & (A | D), 0);
	go(st_user_read, DATA, 0);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(*entry & A, A);
	close_space();
}

static void dirty_is_set_by_a_write(void)
{
	const uint64_t *entry;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	entry = map_with_bits(PV_PTE_WRITE);
	go(st_user_write, DATA, 5);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(*entry & (A | D), A | D);
	ST_EQ(*(uint64_t *)data, 5);
	/* A page that cannot be written does not get dirty. */
	entry = map_with_bits(0);
	go(st_user_read, DATA, 0);
	ST_EQ(*entry & (A | D), A);
	go(st_user_write, DATA, 6);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	ST_EQ(*entry & D, 0);
	close_space();
}

static void bits_can_be_kept_by_an_update(void)
{
	struct mmu_update req;
	const uint64_t *entry;

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	entry = map_with_bits(PV_PTE_WRITE | A | D);
	req.ptr = pv_mmu_machine_address(entry) | MMU_PT_UPDATE_PRESERVE_AD;
	req.val = pv_pte(pv_virt_to_mfn(data), PV_PTE_PRESENT | PV_PTE_USER);
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
	ST_EQ(*entry & (A | D | PV_PTE_WRITE), A | D);
	close_space();
}

/* ---- tables in unusual places ---- */

/* A root that holds itself, read-only: the tables appear in the addresses below that slot. */
static void linear_table_shows_the_tables(void)
{
	enum { SLOT = 60 };
	uint64_t linear = (uint64_t)SLOT << 39, entry_va;
	struct mmu_update req;

	ST_EQ(open_space(PV_ROOTS_TWO), 0);
	req.ptr = pv_mmu_machine_address(&as.kernel[SLOT]);
	req.val = pv_pte(pv_virt_to_mfn(as.kernel), PV_PTE_PRESENT | PV_PTE_USER | A);
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
	entry_va = linear + (DATA >> 12) * 8;
	ST_EQ(pv_pte_mfn(*(volatile uint64_t *)entry_va), pv_virt_to_mfn(data));
	ST_EQ(ST_TRAPS("movq $0, (%0)", : : "r"(entry_va) : "memory"), 1);
	ST_EQ(pv_pte_mfn(*(volatile uint64_t *)entry_va), pv_virt_to_mfn(data));
	/* Writable it is refused. */
	req.val |= PV_PTE_WRITE;
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), -XEN_EINVAL);
	req.val = 0;
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
	pv_mmu_flush_all();
	ST_EQ(ST_TRAPS("movb (%0), %%al", : : "r"(entry_va) : "rax", "memory"), 1);
	close_space();
}

/* One level-1 table in two places. */
static void tables_can_be_shared(void)
{
	uint64_t *l2 = pv_pfn_to_virt(0), *l3;
	struct mmu_update req;
	unsigned int at = pv_mmu_index(DATA, 2);

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	l3 = pv_pfn_to_virt(pv_pte_mfn(pv_mmu_read_entry(as.user, pv_mmu_index(DATA, 4))));
	l2 = pv_pfn_to_virt(pv_pte_mfn(pv_mmu_read_entry(l3, pv_mmu_index(DATA, 3))));
	req.ptr = pv_mmu_machine_address(&l2[at + 1]);
	req.val = l2[at];
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
	go(st_user_write_read, DATA, DATA + 0x200000);
	ST_EQ(visit.vector, PV_VECTOR_SYSCALL);
	ST_EQ(visit.rax, DATA);
	req.val = 0;
	ST_EQ(pv_hc_mmu_update(&req, 1, NULL, DOMID_SELF), 0);
	pv_mmu_flush_all();
	go(st_user_read, DATA + 0x200000, 0);
	ST_EQ(visit.vector, PV_VECTOR_PF);
	close_space();
}

/* Unpinned while it is loaded, a root stays good; and it is memory again once it is not. */
static void loaded_root_outlives_its_pin(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_UNPIN_TABLE };

	ST_EQ(open_space(PV_ROOTS_APART), 0);
	op.arg1.mfn = pv_virt_to_mfn(as.user);
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
	*(uint64_t *)data = 12;
	go(st_user_read, DATA, 0);
	ST_EQ(visit.rax, 12);
	op.cmd = MMUEXT_PIN_L4_TABLE;
	ST_EQ(pv_hc_mmuext_op(&op, 1, NULL, DOMID_SELF), 0);
	close_space();
}

static const struct st_claim claims[] = {
	ST_GENERAL(system_call_arrives),
	ST_GENERAL(kernel_is_entered_masked),
	ST_GENERAL(fault_says_user),
	ST_GENERAL(event_interrupts_a_program),
	ST_CLAIM(pending_event_comes_first),
	ST_GENERAL(program_sees_its_own_pages),
	ST_GENERAL(program_sees_no_kernel_page),
	ST_CLAIM(kernel_sees_when_asked_to),
	ST_CLAIM(one_root_serves_both),
	ST_GENERAL(mapping_changes_between_visits),
	ST_GENERAL(roots_can_take_turns),
	ST_GENERAL(segment_bases_are_the_programs),
	ST_GENERAL(floating_point_crosses),
	ST_GENERAL(privileged_flags_stay_ours),
	ST_GENERAL(single_steps_come_from_the_program),
	ST_GENERAL(impossible_frame_is_the_programs_fault),
	ST_GENERAL(accessed_is_set_by_a_read),
	ST_GENERAL(dirty_is_set_by_a_write),
	ST_CLAIM(bits_can_be_kept_by_an_update),
	ST_CLAIM(linear_table_shows_the_tables),
	ST_CLAIM(tables_can_be_shared),
	ST_CLAIM(loaded_root_outlives_its_pin),
};

ST_FAMILY(user, claims);
