/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and system calls.
 *
 * Invariant: every vector of the trap table masks events on entry. For #PF that is a must (the
 * fault's address stands in vcpu_info, and a second fault would overwrite it); for the others it
 * makes one rule of all.
 */
#include "pvops/traps.h"

#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/cpu.h"
#include "pvops/hypercall.h"
#include "pvops/pv_ops.h"
#include "pvops/pvguest.h"

static pv_trap_fn handlers[PV_NR_VECTORS];

pv_trap_fn pv_trap_set(unsigned int vector, pv_trap_fn fn)
{
	if (vector >= PV_NR_VECTORS)
		return NULL;
	return pv_xchg(&handlers[vector], fn);
}

static const char *vector_name(unsigned int vector)
{
	static const char *const names[PV_NR_VECTORS] = {
		[PV_VECTOR_DE] = "#DE divide error",
		[PV_VECTOR_DB] = "#DB debug",
		[PV_VECTOR_NMI] = "NMI",
		[PV_VECTOR_BP] = "#BP breakpoint",
		[PV_VECTOR_OF] = "#OF overflow",
		[PV_VECTOR_BR] = "#BR bound",
		[PV_VECTOR_UD] = "#UD invalid opcode",
		[PV_VECTOR_NM] = "#NM no floating point",
		[PV_VECTOR_DF] = "#DF double fault",
		[PV_VECTOR_TS] = "#TS task segment",
		[PV_VECTOR_NP] = "#NP segment not present",
		[PV_VECTOR_SS] = "#SS stack segment",
		[PV_VECTOR_GP] = "#GP general protection",
		[PV_VECTOR_PF] = "#PF page fault",
		[PV_VECTOR_MF] = "#MF x87",
		[PV_VECTOR_AC] = "#AC alignment",
		[PV_VECTOR_MC] = "#MC machine check",
		[PV_VECTOR_XM] = "#XM SIMD",
		[PV_VECTOR_CP] = "#CP control protection",
		[PV_VECTOR_EVENT] = "event",
		[PV_VECTOR_FAILSAFE] = "segment that cannot be loaded",
		[PV_VECTOR_SYSCALL] = "system call",
	};

	return vector < PV_NR_VECTORS && names[vector] ? names[vector] : "unknown vector";
}

void pv_trap_report(const struct pv_frame *f)
{
	const uint64_t *bp = (const uint64_t *)f->rbp;
	unsigned int i;
	uint8_t probe;

	pv_log("%s in %s mode, error code 0x%x, address 0x%lx\n", vector_name(f->vector),
	       pv_frame_from_user(f) ? "user" : "kernel", f->error_code, f->cr2);
	pv_log("rip %016lx rsp %016lx rflags %08lx cs %04x ss %04lx\n", f->rip, f->rsp, f->rflags,
	       f->cs, f->ss);
	pv_log("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	pv_log("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	pv_log("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	pv_log("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
	if (pv_frame_from_user(f))
		return;
	for (i = 0; i < 16 && bp && !((uintptr_t)bp & 7); i++) {
		if (!pv_probe_read(bp, &probe) ||
		    !pv_probe_read((const uint8_t *)(bp + 2) - 1, &probe))
			break;
		if (!bp[1])
			break;
		pv_log("  called from %016lx\n", bp[1]);
		if (bp[0] <= (uintptr_t)bp) /* frames only go up; anything else is a loop */
			break;
		bp = (const uint64_t *)bp[0];
	}
}

#ifndef PV_HOSTED_TEST

struct extable_row {
	uint64_t from;
	uint64_t to;
};

extern const struct extable_row pv_extable_start[], pv_extable_end[];

bool pv_trap_fix_up(struct pv_frame *f)
{
	const struct extable_row *row;

	if (pv_frame_from_user(f))
		return false;
	for (row = pv_extable_start; row < pv_extable_end; row++) {
		if (row->from == f->rip) {
			f->rip = row->to;
			return true;
		}
	}
	return false;
}

void pv_trap_main(struct pv_frame *f)
{
	pv_trap_fn fn = f->vector < PV_NR_VECTORS ? pv_load(&handlers[f->vector]) : NULL;

	/* Before anything that could fault itself. */
	if (f->vector == PV_VECTOR_PF)
		f->cr2 = PV_OP(cpu, fault_address);
	if (fn && fn(f))
		return;
	if (pv_trap_fix_up(f))
		return;
	pv_trap_report(f);
	pv_panic("unhandled %s at 0x%lx", vector_name(f->vector), f->rip);
}

bool pv_probe_read(const volatile void *p, uint8_t *value)
{
	uint32_t got = 0, ok = 1;

	__asm__ volatile("1: movzbl (%2), %0\n"
	                 "jmp 3f\n"
	                 "2: xor %1, %1\n"
	                 "3:\n" PV_EXTABLE("1b", "2b")
	                 : "+r"(got), "+r"(ok)
	                 : "r"(p)
	                 : "memory");
	*value = (uint8_t)got;
	return ok;
}

bool pv_probe_write(volatile void *p, uint8_t value)
{
	uint32_t ok = 1;

	__asm__ volatile("1: movb %1, (%2)\n"
	                 "jmp 3f\n"
	                 "2: xor %0, %0\n"
	                 "3:\n" PV_EXTABLE("1b", "2b")
	                 : "+r"(ok)
	                 : "q"(value), "r"(p)
	                 : "memory");
	return ok;
}

#define ROW(vec, ring, name)                                                \
	{                                                                   \
		.vector = (vec), .flags = (ring) | 4, .cs = FLAT_KERNEL_CS, \
		.address = (unsigned long)(name)                            \
	}

extern char pv_entry_de[], pv_entry_db[], pv_entry_nmi[], pv_entry_bp[], pv_entry_of[],
	pv_entry_br[], pv_entry_ud[], pv_entry_nm[], pv_entry_df[], pv_entry_ts[], pv_entry_np[],
	pv_entry_ss[], pv_entry_gp[], pv_entry_pf[], pv_entry_mf[], pv_entry_ac[], pv_entry_mc[],
	pv_entry_xm[], pv_entry_cp[], pv_entry_event[], pv_entry_failsafe[], pv_entry_syscall[];

int pv_traps_init(void)
{
	/* Ring 3 in the second column: user programs may raise #BP and #OF by their instructions. */
	const struct trap_info traps[] = {
		ROW(PV_VECTOR_DE, 0, pv_entry_de),   ROW(PV_VECTOR_DB, 0, pv_entry_db),
		ROW(PV_VECTOR_NMI, 0, pv_entry_nmi), ROW(PV_VECTOR_BP, 3, pv_entry_bp),
		ROW(PV_VECTOR_OF, 3, pv_entry_of),   ROW(PV_VECTOR_BR, 0, pv_entry_br),
		ROW(PV_VECTOR_UD, 0, pv_entry_ud),   ROW(PV_VECTOR_NM, 0, pv_entry_nm),
		ROW(PV_VECTOR_DF, 0, pv_entry_df),   ROW(PV_VECTOR_TS, 0, pv_entry_ts),
		ROW(PV_VECTOR_NP, 0, pv_entry_np),   ROW(PV_VECTOR_SS, 0, pv_entry_ss),
		ROW(PV_VECTOR_GP, 0, pv_entry_gp),   ROW(PV_VECTOR_PF, 0, pv_entry_pf),
		ROW(PV_VECTOR_MF, 0, pv_entry_mf),   ROW(PV_VECTOR_AC, 0, pv_entry_ac),
		ROW(PV_VECTOR_MC, 0, pv_entry_mc),   ROW(PV_VECTOR_XM, 0, pv_entry_xm),
		ROW(PV_VECTOR_CP, 0, pv_entry_cp),   { 0 },
	};
	const struct {
		uint16_t type;
		char *entry;
	} callbacks[] = {
		{ CALLBACKTYPE_event, pv_entry_event },
		{ CALLBACKTYPE_failsafe, pv_entry_failsafe },
		{ CALLBACKTYPE_syscall, pv_entry_syscall },
	};
	unsigned int i;
	long rc = pv_hc_set_trap_table(traps);

	for (i = 0; !rc && i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
		struct callback_register reg = {
			.type = callbacks[i].type,
			.flags = CALLBACKF_mask_events,
			.address = (unsigned long)callbacks[i].entry,
		};

		rc = pv_hc_callback_op(CALLBACKOP_register, &reg);
	}
	return (int)rc;
}

#else

/* On the host nothing can trap into us; the probes are the only calls that tests may meet. */
bool pv_probe_read(const volatile void *p, uint8_t *value)
{
	*value = *(const volatile uint8_t *)p;
	return true;
}

bool pv_trap_fix_up(struct pv_frame *f)
{
	(void)f;
	return false;
}

bool pv_probe_write(volatile void *p, uint8_t value)
{
	*(volatile uint8_t *)p = value;
	return true;
}

#endif /* PV_HOSTED_TEST */
