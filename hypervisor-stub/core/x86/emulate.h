/* SPDX-License-Identifier: MIT */
/*
 * Inside the emulator: the state of one instruction under way, its operands, and the table rows
 * that say how an opcode is executed. Private to core/x86.
 *
 * The life of an instruction: a row is found by map and opcode; the operands that it names are set
 * up and loaded; the row's function computes on them and on the working registers; the destination
 * is stored; and only then the working registers become the guest's.
 */
#ifndef HYPERVISOR_STUB_CORE_X86_EMULATE_H
#define HYPERVISOR_STUB_CORE_X86_EMULATE_H

#include "hypervisor-stub/core/x86/x86emu.h"

enum x86_operand_kind { X86_OPD_NONE, X86_OPD_REG, X86_OPD_HIGH8, X86_OPD_MEM, X86_OPD_VALUE };

struct x86_operand {
	uint8_t kind; /* enum x86_operand_kind */
	uint8_t size; /* bytes */
	uint8_t reg;
	uint8_t seg;   /* memory: enum x86_seg */
	uint64_t off;  /* memory: offset in the segment */
	uint64_t addr; /* memory: linear address, once it was checked */
	uint64_t val;  /* zero-extended from `size` */
};

struct x86_work {
	struct x86_emu *emu;
	const struct x86_insn *insn;
	const struct x86_row *row;
	struct hv_regs r;  /* the working copy; rip is already behind the instruction */
	uint64_t next_rip; /* that same address */
	struct x86_operand dst, src;
	bool skip_store; /* the function decided that dst is not written */
	bool keep_rf;    /* the function set RF itself */
	bool partial;    /* a string instruction with iterations left: rip stays */
	uint32_t retired;
	uint32_t loaded;
};

typedef enum x86_result x86_fn(struct x86_work *w);

/* Where a row's operand comes from. */
enum x86_source {
	X86_O_NONE,
	X86_O_E, /* modrm.rm: register or memory */
	X86_O_M, /* modrm.rm: memory, whose address alone counts */
	X86_O_G, /* modrm.reg */
	X86_O_A, /* the accumulator */
	X86_O_R, /* the low three bits of the opcode */
	X86_O_I, /* the immediate */
	X86_O_O, /* memory at an absolute offset */
	X86_O_1, /* the number 1 */
	X86_O_C, /* cl */
	X86_O_V, /* VEX.vvvv */
};

struct x86_row {
	x86_fn *fn; /* NULL: look into `group`; both NULL: not done here */
	uint8_t dst, src;
	uint8_t allow;               /* one of X86_ALLOW_* */
	uint16_t flags;              /* X86_R_* */
	const struct x86_row *group; /* eight rows, chosen by modrm.reg */
};

#define X86_R_BYTE   0x0001u /* operands of one byte */
#define X86_R_READ   0x0002u /* the destination is read first */
#define X86_R_WRITE  0x0004u /* the destination is written after */
#define X86_R_RW     (X86_R_READ | X86_R_WRITE)
#define X86_R_LOCK   0x0008u /* may have LOCK when the destination is memory */
#define X86_R_XLOCK  0x0010u /* memory destination: atomic with and without LOCK */
#define X86_R_SRC8   0x0020u /* the source is one byte */
#define X86_R_SRC16  0x0040u /* the source is two bytes */
#define X86_R_SRC32  0x0080u /* the source is four bytes */
#define X86_R_BITOFF 0x0100u /* bt and kin: the source moves a memory destination */
#define X86_R_MEM    0x0200u /* #UD when modrm names a register */
#define X86_R_REG    0x0400u /* #UD when modrm names memory */
#define X86_R_KERNEL 0x0800u /* #GP(0) without X86_EMU_KERNEL */
#define X86_R_LAZY   0x1000u /* operands are not set up: the function does all itself */
#define X86_R_DST16  0x2000u /* the destination is two bytes when it is memory */

/* Rows by map; emulate_tables.c and, for VEX, emulate_bmi.c. */
extern const struct x86_row x86_rows_one[256];
extern const struct x86_row x86_rows_0f[256];
const struct x86_row *x86_row_of(const struct x86_insn *insn);

/* ---- emulate.c: operands ------------------------------------------------------------------- */

uint64_t x86_reg_get(const struct x86_work *w, unsigned reg, unsigned size);
void x86_reg_set(struct x86_work *w, unsigned reg, unsigned size, uint64_t value);
struct x86_operand x86_opd_rm(struct x86_work *w, unsigned size);
struct x86_operand x86_opd_reg(const struct x86_work *w, unsigned size);
enum x86_result x86_opd_load(struct x86_work *w, struct x86_operand *op, enum x86_access kind);
enum x86_result x86_opd_store(struct x86_work *w, struct x86_operand *op);
uint64_t x86_ea(const struct x86_work *w);
bool x86_in_kernel(const struct x86_work *w);

/* ---- emulate_mem.c: memory and the stack ---------------------------------------------------- */

enum x86_result x86_segment_get(struct x86_emu *emu, const struct hv_regs *r, enum x86_seg seg,
                                struct x86_segment *out);
enum x86_result x86_linear(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned len,
                           enum x86_access kind, uint64_t *addr);
enum x86_result x86_mem_read(struct x86_work *w, enum x86_access kind, enum x86_seg seg,
                             uint64_t off, void *buf, unsigned len);
enum x86_result x86_mem_write(struct x86_work *w, enum x86_seg seg, uint64_t off, const void *buf,
                              unsigned len);
/* Integers of 1, 2, 4 or 8 bytes, zero-extended. */
enum x86_result x86_mem_get(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned size,
                            uint64_t *value);
enum x86_result x86_mem_put(struct x86_work *w, enum x86_seg seg, uint64_t off, unsigned size,
                            uint64_t value);
uint64_t x86_unpack(const uint8_t *buf, unsigned size);
void x86_pack(uint8_t *buf, uint64_t value, unsigned size);
enum x86_result x86_stack_size(struct x86_work *w, unsigned *bytes);
void x86_stack_move(struct x86_work *w, unsigned stack_bytes, uint64_t delta);
enum x86_result x86_push(struct x86_work *w, unsigned size, uint64_t value);
enum x86_result x86_pop(struct x86_work *w, unsigned size, uint64_t *value);

/* ---- alu.c: arithmetic with flags; sizes in bytes, values zero-extended ---------------------- */

uint64_t x86_mask(unsigned size);
uint64_t x86_sign_extend(uint64_t value, unsigned size);
uint64_t x86_add(uint64_t *rflags, uint64_t a, uint64_t b, bool carry, unsigned size);
uint64_t x86_sub(uint64_t *rflags, uint64_t a, uint64_t b, bool borrow, unsigned size);
uint64_t x86_logic(uint64_t *rflags, uint64_t result, unsigned size);
uint64_t x86_shift(uint64_t *rflags, unsigned op, uint64_t a, unsigned count, unsigned size);
uint64_t x86_shift_double(uint64_t *rflags, bool left, uint64_t a, uint64_t fill, unsigned count,
                          unsigned size);
bool x86_condition(uint64_t rflags, unsigned cc);

/* ---- control, segments ---------------------------------------------------------------------- */

/* Checks a near target against canonical form or CS's limit and puts it into the working rip. */
enum x86_result x86_jump(struct x86_work *w, uint64_t target);
enum x86_result x86_load_segment(struct x86_work *w, enum x86_seg seg, uint16_t selector);
/* The flags that popf and iret may change at the current privilege, from an image of `size` bytes. */
uint64_t x86_flags_from_image(const struct x86_work *w, uint64_t image, unsigned size);

/* ---- the functions of the rows, by file ------------------------------------------------------ */

/* emulate_alu.c */
x86_fn x86_do_add, x86_do_or, x86_do_adc, x86_do_sbb, x86_do_and, x86_do_sub, x86_do_xor,
	x86_do_cmp;
x86_fn x86_do_test, x86_do_not, x86_do_neg, x86_do_inc, x86_do_dec;
x86_fn x86_do_mul, x86_do_imul1, x86_do_imul2, x86_do_imul3, x86_do_div, x86_do_idiv;
x86_fn x86_do_xadd, x86_do_cmpxchg, x86_do_cmpxchg8b;
x86_fn x86_do_cbw, x86_do_cwd, x86_do_bcd;
x86_fn x86_do_adx;
/* emulate_bits.c */
x86_fn x86_do_shift, x86_do_shld, x86_do_shrd, x86_do_bt, x86_do_bts, x86_do_btr, x86_do_btc;
x86_fn x86_do_bsf, x86_do_bsr, x86_do_popcnt, x86_do_bswap, x86_do_crc32, x86_do_movbe;
/* emulate_mov.c */
x86_fn x86_do_mov, x86_do_movsx, x86_do_xchg, x86_do_lea, x86_do_push, x86_do_pop, x86_do_pop_rm;
x86_fn x86_do_pusha, x86_do_popa, x86_do_pushf, x86_do_popf, x86_do_lahf, x86_do_sahf;
x86_fn x86_do_enter, x86_do_leave, x86_do_xlat, x86_do_cmov, x86_do_setcc, x86_do_nop, x86_do_ud;
x86_fn x86_do_flag, x86_do_salc, x86_do_bound;
/* emulate_string.c */
x86_fn x86_do_movs, x86_do_cmps, x86_do_stos, x86_do_lods, x86_do_scas, x86_do_ins, x86_do_outs;
/* emulate_branch.c */
x86_fn x86_do_jcc, x86_do_jmp, x86_do_jmp_ind, x86_do_call, x86_do_call_ind, x86_do_ret;
x86_fn x86_do_loop, x86_do_int, x86_do_into, x86_do_syscall;
/* emulate_seg.c */
x86_fn x86_do_mov_from_sreg, x86_do_mov_to_sreg, x86_do_push_sreg, x86_do_pop_sreg;
x86_fn x86_do_load_far, x86_do_jmp_far, x86_do_jmp_far_mem, x86_do_retf, x86_do_iret;
/* emulate_priv.c */
x86_fn x86_do_in, x86_do_out, x86_do_hlt, x86_do_cli_sti, x86_do_mov_cr, x86_do_mov_dr, x86_do_clts;
x86_fn x86_do_rdmsr, x86_do_wrmsr, x86_do_rdtsc, x86_do_rdpmc, x86_do_cpuid, x86_do_wbinvd;
/* emulate_sys.c */
x86_fn x86_do_grp6, x86_do_grp7, x86_do_grp15, x86_do_grp9, x86_do_invpcid;
/* emulate_vec.c */
x86_fn x86_do_vec;
/* emulate_bmi.c */
const struct x86_row *x86_bmi_row(const struct x86_insn *insn);

#endif
