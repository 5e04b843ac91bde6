/* SPDX-License-Identifier: MIT */
/*
 * A CPU without virtualization hardware: guest kernel and guest user code run at ring 3 in the process
 * engine's guest processes; what ring 0 would have done is emulated.
 *
 *   ring3.c       the way's table, the CPU's loop
 *   ring3_emu.c   one instruction of the guest's, by core/x86
 *   ring3_mem.c   memory and devices' registers by virtual address
 *   ring3_sys.c   descriptors, control registers, MSRs, CPUID
 *   ring3_trap.c  exceptions, interrupts, syscall and sysret: by IDT, TSS and MSRs
 *   ring3_miss.c  a miss in the engine's mappings: what becomes of it
 *   walk.c        the guest's page tables
 *   shadow.c      which entries of them the mappings were made from, and whether they still hold
 *   scan.c        code pages of the kernel's: found, decoded, made to trap
 *   patch.c       what hot instructions are replaced by
 *
 * The engine sees an ordinary domain: guest-physical page n is frame n of its memory, and behind the
 * guest's memory lie frames for copies of code pages. It runs two kinds of root that are only names:
 * one for the kernel's view, which shows whatever the current tables allow ring 0, and one for each
 * CR3 that has user code, which shows only user pages. See shadow.c for how they are kept true.
 *
 * Everything here belongs to the CPU's thread, but for what says otherwise.
 */
#ifndef HYPERVISOR_STUB_FULLVIRT_RING3_H
#define HYPERVISOR_STUB_FULLVIRT_RING3_H

#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/x86/x86emu.h"
#include "hypervisor-stub/fullvirt/bus.h"
#include "hypervisor-stub/fullvirt/fv.h"
#include "hypervisor-stub/fullvirt/native_page.h"

#define FV_PAGE_SHIFT 12
#define FV_PAGE       4096u
#define FV_PAGE_OF(a) ((a) & ~(uint64_t)(FV_PAGE - 1))

#define CR0_PE        0x1u
#define CR0_TS        0x8u
#define CR0_ET        0x10u
#define CR0_WP        0x10000u
#define CR0_PG        0x80000000u
#define CR4_PSE       0x10u
#define CR4_PAE       0x20u
#define CR4_OSXSAVE   0x40000u
#define EFER_SCE      0x1u
#define EFER_LME      0x100u
#define EFER_LMA      0x400u
#define EFER_NXE      0x800u

#define PTE_P         0x1u
#define PTE_W         0x2u
#define PTE_U         0x4u
#define PTE_A         0x20u
#define PTE_D         0x40u
#define PTE_PS        0x80u
#define PTE_NX        (UINT64_C(1) << 63)
#define PTE_ADDR      UINT64_C(0x000ffffffffff000)

#define PFEC_P        0x1u
#define PFEC_W        0x2u
#define PFEC_U        0x4u
#define PFEC_RSVD     0x8u
#define PFEC_I        0x10u

/* ---- the guest's page tables (walk.c) --------------------------------------------------------- */

/* What the tables say of one address. */
struct fv_walk {
	bool present, w, u, x;
	bool dirty;        /* the leaf's */
	unsigned level;    /* of the leaf; where it stopped when not present */
	uint64_t gpa;      /* of the address itself */
	uint64_t size;     /* bytes that the leaf maps */
	uint64_t table[5]; /* guest-physical, by level: those that were read */
	uint64_t entry[5];
	uint16_t index[5];
};

struct fv_mem {
	uint8_t *ram;
	uint64_t bytes;
};

/* Whether a guest-physical page is memory (and not the hole, a device, or nothing). */
static inline bool fv_is_ram(const struct fv_mem *mem, uint64_t gpa)
{
	return gpa < mem->bytes && (gpa < FV_HOLE || gpa >= FV_HOLE_END);
}

enum { FV_WALK_WRITE = 1, FV_WALK_USER = 2, FV_WALK_FETCH = 4 };

struct fv_paging {
	const struct fv_mem *mem;
	uint64_t cr3;
	bool wp, nx;
};

/* Reads the tables; changes nothing. */
void fv_walk(const struct fv_paging *p, uint64_t va, struct fv_walk *w);
/*
 * Whether an access is allowed; then sets accessed and dirty in the tables as a processor would. Else
 * *pfec is the error code of the page fault.
 */
bool fv_walk_allow(const struct fv_paging *p, struct fv_walk *w, unsigned access, uint32_t *pfec);

/* ---- which entries were used (shadow.c) ------------------------------------------------------- */

struct fv_node;

/* What was mapped of one set of tables in one view. */
struct fv_shadow {
	struct fv_node *top;
	uint64_t nr_nodes;
	/* Told of each range whose translation has changed: what was mapped there must go. */
	void (*drop)(void *arg, uint64_t va, uint64_t len);
	void *arg;
};

/* Notes that a mapping was made from what w read. False: no memory. */
bool fv_shadow_note(struct fv_shadow *s, const struct fv_mem *mem, uint64_t va,
                    const struct fv_walk *w);
/* Compares all that was noted with the tables under cr3 now. */
void fv_shadow_sync(struct fv_shadow *s, const struct fv_mem *mem, uint64_t cr3);
/* The same for one address only (invlpg). */
void fv_shadow_sync_page(struct fv_shadow *s, const struct fv_mem *mem, uint64_t cr3, uint64_t va);
void fv_shadow_clear(struct fv_shadow *s); /* forgets all; drop is not called */

/* ---- code pages (scan.c, patch.c) -------------------------------------------------------------- */

#define FV_MAX_CODE 2048 /* copies of code pages */

enum fv_mark {
	FV_MARK_START = 1,   /* an instruction begins here */
	FV_MARK_TRAP = 2,    /* and its first byte was replaced by int3 */
	FV_MARK_TARGET = 4,  /* a branch goes here */
	FV_MARK_JUMP = 8,    /* replaced by a jump to the area of patches; */
	FV_MARK_INSIDE = 16, /* a byte of such a jump that is not its first */
	FV_MARK_TRIED = 32,  /* not patched again */
};

struct fv_code {
	uint64_t va, gpa; /* of the page */
	unsigned copy;    /* index of its copy */
	uint8_t mark[FV_PAGE];
	struct fv_code *next; /* of the same bucket */
};

#define FV_CODE_BUCKETS 512
#define FV_MAX_PATCHES  2048
#define FV_PATCH_INSNS  8

/* ---- the CPU ----------------------------------------------------------------------------------- */

#define FV_MAX_VIEWS 96

struct fv_view { /* of user pages, under one CR3 */
	struct fv_cpu *cpu;
	mfn_t root; /* its name for the engine; HV_MFN_NONE: a free place */
	uint64_t cr3;
	uint64_t used;
	struct fv_shadow shadow;
};

struct fv_table {
	uint64_t base;
	uint16_t limit;
};

/* A segment base that a wrmsr under way has written. */
struct fv_new_base {
	bool is_set;
	uint64_t value;
};

/* A program's fault that its kernel has not returned from yet. */
struct fv_missed {
	bool is_set;
	uint64_t va;
	uint32_t error;
};

struct fv_cpu {
	struct fv_machine *m;
	struct hv_machine *hv;
	struct hv_domain *d;
	struct hv_vcpu *v;
	struct fv_native *page; /* shared with the guest's kernel: native_page.h */
	struct fv_mem mem;

	/* Registers that ring 3 has not, or not of its own. IF is in page->info while the guest runs. */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t star, lstar, cstar, fmask, pat, tsc_aux, sysenter[3];
	uint64_t dr[8];
	struct x86_segment seg[8];
	struct fv_table gdt, idt;
	unsigned cpl;
	bool is_long;                   /* runs natively; else interpreted */
	struct fv_new_base new_base[2]; /* FS, GS */
	bool shadowed; /* the next instruction comes before any interrupt (sti, mov ss) */

	/* Views. */
	mfn_t kernel_root;
	struct fv_shadow kernel;
	struct fv_view view[FV_MAX_VIEWS], *user; /* the current one, or NULL */
	struct fv_missed missed;
	uint64_t clock;
	bool dropped; /* the engine was told of removals and has not been made to act yet */

	/* Code. */
	struct fv_code *code[FV_CODE_BUCKETS]; /* by page of va */
	unsigned *free_copies, nr_free_copies;
	bool in_patch;     /* the emulator carries out a patch: the area is memory */
	uint8_t *code_map; /* by guest-physical page: 1 when it has a copy; read by other threads */
	atomic_bool code_written;         /* a device wrote to such a page */
	struct pe_native_entries entries; /* of the trampoline, for patches */
	uint64_t patch_at;                /* next free byte of the area of patches */
	struct fv_patch {
		uint64_t start, end, va;
		uint8_t nr, in[FV_PATCH_INSNS]; /* where its instructions begin: bytes behind va, */
		uint16_t out[FV_PATCH_INSNS];   /* and behind start */
	} patch[FV_MAX_PATCHES];
	unsigned nr_patches;
	bool patches_on;

	uint64_t nr_patched; /* since the start */
};

/* ring3.c: the interrupt flag from rflags to where the guest's code has it, and back. */
void fv_give_flags(struct fv_cpu *c);
void fv_take_flags(struct fv_cpu *c);

/* ring3_emu.c: one instruction at v->regs.rip. False when it cannot be done (the machine has ended). */
bool fv_emulate(struct fv_cpu *c);
/*
 * ring3_mem.c: guest-physical address of va, for an access of FV_WALK_*; accessed and dirty are set. False
 * with *pfec.
 */
bool fv_translate(struct fv_cpu *c, uint64_t va, unsigned access, uint64_t *gpa, uint32_t *pfec);
/* Guest memory at an address as ring 0 sees it. False with *pfec: a page fault at *bad. */
bool fv_read_va(struct fv_cpu *c, uint64_t va, void *buf, unsigned len, unsigned access,
                uint64_t *bad, uint32_t *pfec);
bool fv_write_va(struct fv_cpu *c, uint64_t va, const void *buf, unsigned len, unsigned access,
                 uint64_t *bad, uint32_t *pfec);
static inline struct fv_paging fv_paging(const struct fv_cpu *c)
{
	return (struct fv_paging){ &c->mem, c->cr3, c->cr0 & CR0_WP, c->efer & EFER_NXE };
}

/* ring3_sys.c: as struct x86_ops has them */
enum x86_result fv_op_get_segment(struct x86_emu *emu, enum x86_seg seg, struct x86_segment *out);
enum x86_result fv_op_load_segment(struct x86_emu *emu, enum x86_seg seg, uint16_t selector,
                                   struct x86_segment *out);
enum x86_result fv_op_load_code(struct x86_emu *emu, enum x86_transfer kind, uint16_t selector,
                                struct x86_segment *out);
enum x86_result fv_op_read_cr(struct x86_emu *emu, unsigned cr, uint64_t *value);
enum x86_result fv_op_write_cr(struct x86_emu *emu, unsigned cr, uint64_t value);
enum x86_result fv_op_rdmsr(struct x86_emu *emu, uint32_t index, uint64_t *value);
enum x86_result fv_op_wrmsr(struct x86_emu *emu, uint32_t index, uint64_t value);
enum x86_result fv_op_cpuid(struct x86_emu *emu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
/* A descriptor of the GDT. False: there is none. *bad, *pfec: as above, when *faulted. */
bool fv_descriptor(struct fv_cpu *c, uint16_t selector, struct x86_segment *out, bool *faulted,
                   uint64_t *bad, uint32_t *pfec);

/* ring3_trap.c */
void fv_fault(struct fv_cpu *c, const struct x86_fault *f);
void fv_interrupt(struct fv_cpu *c, uint8_t vector);
/* int n and its kin, rip already behind. Returns X86_DONE with regs set, or the fault. */
enum x86_result fv_op_system(struct x86_emu *emu, enum x86_system which, uint64_t arg,
                             struct hv_regs *regs);
void fv_syscall(struct fv_cpu *c); /* v->regs.rip behind it */
void fv_set_cpl(struct fv_cpu *c, unsigned cpl);
/* The code and stack segments of c->cpl, as syscall and sysret leave them. */
void fv_set_segments(struct fv_cpu *c);

/* ring3_miss.c */
void fv_miss(struct fv_cpu *c, uint64_t va, uint32_t pfec);
/* The kernel goes back to a program whose fault it has had: what it mapped is filled at once. */
void fv_fill_missed(struct fv_cpu *c);
void fv_load_cr3(struct fv_cpu *c, uint64_t cr3);
void fv_flush_all(struct fv_cpu *c); /* all tables are looked at again */
void fv_flush_page(struct fv_cpu *c, uint64_t va);
void fv_views_init(struct fv_cpu *c);
void fv_views_fini(struct fv_cpu *c);
/* Has the engine drop a range of one root before the guest runs on. */
void fv_drop(struct fv_cpu *c, mfn_t root, uint64_t va, uint64_t len);

/* scan.c */
int fv_code_init(struct fv_cpu *c);
void fv_code_fini(struct fv_cpu *c);
struct fv_code *fv_code_find(const struct fv_cpu *c, uint64_t va);
/* The page at va, memory at gpa, is about to execute at `entry`. NULL: no memory. */
struct fv_code *fv_code_enter(struct fv_cpu *c, uint64_t va, uint64_t gpa, uint64_t entry);
/* Its bytes changed, or may: the page is data again until it is executed next. */
void fv_code_drop_gpa(struct fv_cpu *c, uint64_t gpa);
void fv_code_drop_all(struct fv_cpu *c);
static inline bool fv_code_at_gpa(const struct fv_cpu *c, uint64_t gpa)
{
	return gpa < c->mem.bytes &&
	       __atomic_load_n(&c->code_map[gpa >> FV_PAGE_SHIFT], __ATOMIC_RELAXED);
}
uint8_t *fv_code_copy(const struct fv_cpu *c, const struct fv_code *code);
mfn_t fv_code_mfn(const struct fv_cpu *c, const struct fv_code *code);
/* Whether an instruction must be made to trap: it would do something else at ring 3. */
bool fv_is_silent(const struct x86_insn *insn);

#endif
