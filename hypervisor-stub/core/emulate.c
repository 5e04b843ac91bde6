/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest expects the hypervisor to do for an instruction of its own: glue between exits and
 * the emulator in core/x86.
 *
 *   - privileged instructions: the few that Xen emulates for PV guests, by opcode; all others are #GP
 *   - selectors: loads of Xen's flat selectors, which every GDT under Xen contains and the host's does
 *     not, and of descriptors in the guest's own tables
 *   - cpuid behind Xen's prefix, in either mode
 *   - stores to L1 tables, and loads from the machine-to-physical table where it is not mapped
 *
 * Invariant: one instruction is fetched once, under the guest's own page tables; what is executed is
 * what was looked at. Locks are taken per access and never held over the emulator.
 */
#include <string.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/core/exits.h"
#include "hypervisor-stub/core/guestcopy.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/core/x86/x86emu.h"

#define CR0_TS      (UINT64_C(1) << 3)
#define CR0_REST    UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR4_TSD     (UINT64_C(1) << 2)
#define CR4_OSXSAVE (UINT64_C(1) << 18)
/* CR4: what the guest may choose (TSD DE FSGSBASE OSXSAVE), what it sees set (PAE MCE OSFXSR
 * OSXMMEXCPT). */
#define CR4_CHOICE (UINT64_C(1) << 2 | UINT64_C(1) << 3 | UINT64_C(1) << 16 | UINT64_C(1) << 18)
#define CR4_FIXED  (UINT64_C(1) << 5 | UINT64_C(1) << 6 | UINT64_C(1) << 9 | UINT64_C(1) << 10)

#define HOST_CS32  0x23 /* a 32-bit code selector of the host's; engines report it as it is */

/* One emulation: who it is for, and which special pages may be touched. */
struct job {
	struct hv_vcpu *v;
	bool m2p; /* the machine-to-physical table may be read */
	bool has_table;
	uint64_t table_page; /* the page of an L1 table that may be written */
	/* A write to an MSR that lies in the register file, which the emulator holds a copy of. */
	bool has_base;
	uint32_t base_msr;
	uint64_t base;
};

static struct hv_vcpu *vcpu_of(struct x86_emu *emu)
{
	return ((struct job *)emu->opaque)->v;
}

/* ---- memory --------------------------------------------------------------------------------- */

static bool in_m2p(uint64_t va, unsigned len)
{
	return va >= MACH2PHYS_VIRT_START && va + len <= MACH2PHYS_VIRT_END;
}

/* Beyond the machine's last frame the table says that there is none. */
static void read_m2p(const struct hv_machine *m, uint64_t va, uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i++, va++) {
		uint64_t index = (va - MACH2PHYS_VIRT_START) / 8;
		uint64_t entry = ~UINT64_C(0);

		if (index < m->pool.m2p_entries)
			entry = __atomic_load_n(&m->pool.m2p[index], __ATOMIC_RELAXED);
		buf[i] = (uint8_t)(entry >> va % 8 * 8);
	}
}

static enum x86_result op_read(struct x86_emu *emu, enum x86_access kind, uint64_t addr, void *buf,
                               unsigned len)
{
	struct job *job = emu->opaque;
	struct hv_vcpu *v = job->v;
	uint64_t fault_va;
	uint32_t pfec;
	int rc;

	if (job->m2p && kind == X86_READ && in_m2p(addr, len)) {
		read_m2p(v->domain->machine, addr, buf, len);
		return X86_DONE;
	}
	hv_domain_lock(v->domain);
	rc = hv_access_guest(v, buf, addr, len, false, kind == X86_FETCH, &fault_va, &pfec);
	hv_domain_unlock(v->domain);
	return rc ? x86_raise_page_fault(emu, fault_va, pfec) : X86_DONE;
}

/* Whether all of [addr, addr + len) can be written; else the fault. Lock: domain. */
static bool check_write(struct hv_vcpu *v, uint64_t addr, unsigned len, uint64_t *fault_va,
                        uint32_t *pfec)
{
	uint64_t last = (addr + len - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
	uint64_t va = addr;

	for (;;) {
		struct hv_walk w;

		hv_walk(v->domain, hv_vcpu_root(v), va, &w);
		if (!w.present || !w.user || !w.writable) {
			*fault_va = va;
			*pfec = (w.present ? 1u : 0) | 2u;
			return false;
		}
		if ((va & ~(uint64_t)(HV_PAGE_SIZE - 1)) == last)
			return true;
		va = last;
	}
}

static bool is_table_write(const struct job *job, uint64_t addr)
{
	return job->has_table && (addr & ~(uint64_t)(HV_PAGE_SIZE - 1)) == job->table_page;
}

/* A store to the table that faulted; *expected as for hv_mmu_emulated_write(). */
static enum x86_result write_table(struct x86_emu *emu, uint64_t addr, const void *buf,
                                   unsigned len, uint64_t *expected, bool *done)
{
	struct hv_vcpu *v = vcpu_of(emu);
	uint64_t value = 0;
	int rc;

	if (len > sizeof(value))
		return X86_UNHANDLED;
	memcpy(&value, buf, len);
	hv_domain_lock(v->domain);
	rc = hv_mmu_emulated_write(v, addr, len, value, expected, done);
	hv_domain_unlock(v->domain);
	return rc ? X86_UNHANDLED : X86_DONE;
}

static enum x86_result op_write(struct x86_emu *emu, uint64_t addr, const void *buf, unsigned len)
{
	struct job *job = emu->opaque;
	struct hv_vcpu *v = job->v;
	uint64_t fault_va = addr;
	uint32_t pfec = 0;
	bool ok = false;

	if (is_table_write(job, addr))
		return write_table(emu, addr, buf, len, NULL, &ok);
	hv_domain_lock(v->domain);
	ok = check_write(v, addr, len, &fault_va, &pfec) && !hv_copy_to_guest(v, addr, buf, len);
	hv_domain_unlock(v->domain);
	return ok ? X86_DONE : x86_raise_page_fault(emu, fault_va, pfec);
}

/* Only stores to page tables come here: nothing else that is emulated is atomic. */
static enum x86_result op_cmpxchg(struct x86_emu *emu, uint64_t addr, void *old, const void *new,
                                  unsigned len)
{
	uint64_t expected = 0;
	bool matched = false;
	enum x86_result rc;

	if (!is_table_write(emu->opaque, addr) || len > sizeof(expected))
		return X86_UNHANDLED;
	memcpy(&expected, old, len);
	rc = write_table(emu, addr, new, len, &expected, &matched);
	if (rc != X86_DONE)
		return rc;
	memcpy(old, &expected, len);
	return matched ? X86_DONE : X86_RETRY;
}

/* ---- control registers, MSRs, time ---------------------------------------------------------- */

uint64_t hv_traps_guest_cr4(const struct hv_vcpu *v, uint64_t value)
{
	(void)v;
	return (value & CR4_CHOICE) | CR4_FIXED;
}

static enum x86_result op_read_cr(struct x86_emu *emu, unsigned cr, uint64_t *value)
{
	const struct hv_vcpu *v = vcpu_of(emu);

	switch (cr) {
	case 0:
		*value = CR0_REST | (v->traps.cr0 & CR0_TS);
		return X86_DONE;
	case 2:
		*value = v->traps.cr2;
		return X86_DONE;
	case 3:
		*value = xen_pfn_to_cr3(v->root_kernel.n);
		return X86_DONE;
	case 4:
		*value = hv_traps_guest_cr4(v, v->traps.cr4);
		return X86_DONE;
	default:
		return X86_UNHANDLED;
	}
}

static enum x86_result op_write_cr(struct x86_emu *emu, unsigned cr, uint64_t value)
{
	struct hv_vcpu *v = vcpu_of(emu);
	int rc;

	switch (cr) {
	case 0:
		if ((value & ~CR0_TS) != CR0_REST)
			return X86_UNHANDLED;
		v->traps.cr0 = (v->traps.cr0 & ~CR0_TS) | (value & CR0_TS);
		return X86_DONE;
	case 2:
		v->traps.cr2 = value;
		v->info->arch.cr2 = value;
		return X86_DONE;
	case 3:
		hv_domain_lock(v->domain);
		rc = hv_vcpu_set_root(v, (mfn_t){ xen_cr3_to_pfn(value) });
		hv_domain_unlock(v->domain);
		return rc ? X86_UNHANDLED : X86_DONE;
	case 4:
		v->traps.cr4 = hv_traps_guest_cr4(v, value);
		return X86_DONE;
	default:
		return X86_UNHANDLED;
	}
}

static enum x86_result op_read_dr(struct x86_emu *emu, unsigned dr, uint64_t *value)
{
	return hv_traps_get_dr(vcpu_of(emu), dr, value) ? x86_raise(emu, X86_VECTOR_UD) : X86_DONE;
}

static enum x86_result op_write_dr(struct x86_emu *emu, unsigned dr, uint64_t value)
{
	switch (hv_traps_set_dr(vcpu_of(emu), dr, value)) {
	case 0:
		return X86_DONE;
	case -XEN_ENODEV:
		return x86_raise(emu, X86_VECTOR_UD);
	default:
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	}
}

static enum x86_result op_rdmsr(struct x86_emu *emu, uint32_t index, uint64_t *value)
{
	return hv_rdmsr(vcpu_of(emu), index, value) ? X86_DONE
	                                            : x86_raise_error(emu, X86_VECTOR_GP, 0);
}

static enum x86_result op_wrmsr(struct x86_emu *emu, uint32_t index, uint64_t value)
{
	struct job *job = emu->opaque;

	if (hv_msr_is_base(index) && hv_is_canonical(value)) {
		job->has_base = true;
		job->base_msr = index;
		job->base = value;
		return X86_DONE;
	}
	return hv_wrmsr(job->v, index, value) ? X86_DONE : x86_raise_error(emu, X86_VECTOR_GP, 0);
}

/* The domain owns no device whose caches could matter. */
static enum x86_result op_wbinvd(struct x86_emu *emu, bool discard)
{
	(void)emu;
	(void)discard;
	return X86_DONE;
}

/* XCR0 stays the host's; what it contains the guest may ask for. */
static enum x86_result op_xsetbv(struct x86_emu *emu, uint32_t index, uint64_t value)
{
	uint64_t host = hv_host_xcr0();
	bool sse_missing = (value & 4) && !(value & 2);
	bool avx512_partial = (value & 0xe0) && (value & 0xe6) != 0xe6;

	if (!(vcpu_of(emu)->traps.cr4 & CR4_OSXSAVE))
		return x86_raise(emu, X86_VECTOR_UD);
	if (index || !(value & 1) || (value & ~host) || sse_missing || avx512_partial)
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	return X86_DONE;
}

static enum x86_result op_rdtsc(struct x86_emu *emu, uint64_t *value)
{
	const struct hv_vcpu *v = vcpu_of(emu);

	if ((v->traps.cr4 & CR4_TSD) && !v->in_kernel)
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	*value = hv_time_tsc(v->domain->machine);
	return X86_DONE;
}

static enum x86_result op_tsc_aux(struct x86_emu *emu, uint32_t *value)
{
	*value = vcpu_of(emu)->traps.tsc_aux;
	return X86_DONE;
}

static enum x86_result op_cpuid(struct x86_emu *emu, uint32_t leaf, uint32_t subleaf,
                                uint32_t out[4])
{
	hv_cpuid(vcpu_of(emu), leaf, subleaf, out);
	return X86_DONE;
}

/* ---- ports and interrupts ------------------------------------------------------------------- */

/* The privilege that the guest believes to have against the one that it asked for. */
static bool iopl_ok(const struct hv_vcpu *v)
{
	bool architectural = v->domain->vm_assist & 1u << VMASST_TYPE_architectural_iopl;
	unsigned cpl = v->in_kernel ? (architectural ? 0 : 1) : 3;

	return cpl <= v->traps.iopl;
}

/* User code may use the ports that the kernel's bitmap allows. */
static bool port_ok(struct hv_vcpu *v, uint16_t port, unsigned len)
{
	bool was_in_kernel = v->in_kernel;
	uint8_t map[2] = { 0xff, 0xff };
	unsigned bits;

	if (iopl_ok(v))
		return true;
	if (v->traps.iobitmap_ports <= port + len)
		return false;
	v->in_kernel = true; /* the bitmap is at an address of the kernel's root */
	hv_domain_lock(v->domain);
	if (hv_copy_from_guest(v, map, v->traps.iobitmap_va + port / 8, 2))
		map[1] = 0xff;
	hv_domain_unlock(v->domain);
	v->in_kernel = was_in_kernel;
	bits = map[0] | (unsigned)map[1] << 8;
	return !(bits & ((1u << len) - 1) << port % 8);
}

#define PORT_PIT_COUNTER 0x42
#define PORT_CMOS_INDEX  0x70
#define PORT_PCI_ADDRESS 0xcf8

/*
 * There is no device behind any port: reads float high, writes go nowhere. But for the address
 * registers of CMOS and PCI, which Xen keeps for every domain; and the counter of a timer that
 * Linux calibrates by. Its first value would be all ones: a port that floats high looks like one
 * about to start, and Linux reads it a hundred thousand times, at the price of an exit each.
 */
static enum x86_result op_port_in(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t *value)
{
	const struct hv_domain *d = vcpu_of(emu)->domain;

	if (!port_ok(vcpu_of(emu), port, len))
		return X86_UNHANDLED;
	*value = len == 4 ? ~0u : (1u << len * 8) - 1;
	if (port == PORT_PCI_ADDRESS && len == 4)
		*value = atomic_load(&d->pci_cf8);
	else if (port == PORT_CMOS_INDEX)
		*value = (*value & ~0xffu) | atomic_load(&d->cmos_index);
	else if (port == PORT_PIT_COUNTER && len == 1)
		*value = 0;
	return X86_DONE;
}

static enum x86_result op_port_out(struct x86_emu *emu, uint16_t port, unsigned len, uint32_t value)
{
	struct hv_domain *d = vcpu_of(emu)->domain;

	if (!port_ok(vcpu_of(emu), port, len))
		return X86_UNHANDLED;
	if (port == PORT_PCI_ADDRESS && len == 4)
		atomic_store(&d->pci_cf8, value);
	else if (port == PORT_CMOS_INDEX)
		atomic_store(&d->cmos_index, (uint8_t)value);
	return X86_DONE;
}

/*
 * cli and sti do nothing even where IOPL allows them, as under Xen: popf could undo a cli without
 * anybody knowing. A PV kernel masks events in its vcpu_info.
 */
static enum x86_result op_set_interrupts(struct x86_emu *emu, bool enable)
{
	(void)enable;
	return iopl_ok(vcpu_of(emu)) ? X86_DONE : X86_UNHANDLED;
}

/* ---- selectors ------------------------------------------------------------------------------ */

#define SELECTOR(s) ((s) & ~3u)

static struct x86_segment flat_segment(uint16_t selector, uint16_t attr)
{
	return (struct x86_segment){ .selector = selector,
		                     .limit = ~0u,
		                     .attr = attr | X86_DESC_S | X86_DESC_DPL | X86_DESC_PRESENT |
		                             X86_DESC_RW | X86_DESC_G };
}

/* A descriptor of the guest's own, unpacked; a fault names the selector. */
static enum x86_result guest_segment(struct x86_emu *emu, uint16_t selector,
                                     struct x86_segment *out)
{
	struct hv_vcpu *v = vcpu_of(emu);
	uint64_t d = 0;
	int rc;

	hv_domain_lock(v->domain);
	rc = hv_descriptor_read(v, selector, &d);
	hv_domain_unlock(v->domain);
	out->selector = selector;
	out->base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
	out->limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
	out->attr = d >> 40 & 0xf0ff;
	if (out->attr & X86_DESC_G)
		out->limit = out->limit << 12 | 0xfff;
	if (rc || !(out->attr & X86_DESC_S))
		return x86_raise_error(emu, X86_VECTOR_GP, SELECTOR(selector));
	return X86_DONE;
}

static enum x86_result op_load_segment(struct x86_emu *emu, enum x86_seg seg, uint16_t selector,
                                       struct x86_segment *out)
{
	bool is_ss = seg == X86_SEG_SS;
	enum x86_result rc = X86_DONE;

	if (seg > X86_SEG_GS)
		return X86_UNHANDLED;
	if (SELECTOR(selector) == 0) {
		*out = (struct x86_segment){ .selector = selector };
		return is_ss ? x86_raise_error(emu, X86_VECTOR_GP, 0) : X86_DONE;
	}
	if (SELECTOR(selector) == SELECTOR(FLAT_RING3_SS64))
		*out = flat_segment(selector, X86_DESC_DB);
	else if (SELECTOR(selector) == SELECTOR(FLAT_RING3_CS64) ||
	         SELECTOR(selector) == SELECTOR(FLAT_RING3_CS32))
		*out = flat_segment(selector, X86_DESC_CODE);
	else
		rc = guest_segment(emu, selector, out);
	if (rc != X86_DONE)
		return rc;
	if (is_ss &&
	    ((selector & 3) != 3 || (out->attr & X86_DESC_CODE) || !(out->attr & X86_DESC_RW)))
		return x86_raise_error(emu, X86_VECTOR_GP, SELECTOR(selector));
	if ((out->attr & X86_DESC_CODE) && !(out->attr & X86_DESC_RW))
		return x86_raise_error(emu, X86_VECTOR_GP, SELECTOR(selector));
	if (!(out->attr & X86_DESC_PRESENT))
		return x86_raise_error(emu, is_ss ? X86_VECTOR_SS : X86_VECTOR_NP,
		                       SELECTOR(selector));
	return X86_DONE;
}

static enum x86_result op_load_code(struct x86_emu *emu, enum x86_transfer kind, uint16_t selector,
                                    struct x86_segment *out)
{
	enum x86_result rc = X86_DONE;

	(void)kind;
	if (SELECTOR(selector) == 0)
		return x86_raise_error(emu, X86_VECTOR_GP, 0);
	if (SELECTOR(selector) == SELECTOR(FLAT_RING3_CS64))
		*out = flat_segment(selector, X86_DESC_CODE | X86_DESC_L);
	else if (SELECTOR(selector) == SELECTOR(FLAT_RING3_CS32))
		*out = flat_segment(selector, X86_DESC_CODE | X86_DESC_DB);
	else
		rc = guest_segment(emu, selector, out);
	if (rc != X86_DONE)
		return rc;
	/* Returns may not go inward; jumps and calls stay at ring 3 whatever the RPL says. */
	if (!(out->attr & X86_DESC_CODE) ||
	    ((kind == X86_FAR_RET || kind == X86_FAR_IRET) && (selector & 3) != 3))
		return x86_raise_error(emu, X86_VECTOR_GP, SELECTOR(selector));
	if (!(out->attr & X86_DESC_PRESENT))
		return x86_raise_error(emu, X86_VECTOR_NP, SELECTOR(selector));
	out->selector = selector | 3;
	return X86_DONE;
}

static const struct x86_ops pv_ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.load_segment = op_load_segment,
	.load_code = op_load_code,
	.read_cr = op_read_cr,
	.write_cr = op_write_cr,
	.read_dr = op_read_dr,
	.write_dr = op_write_dr,
	.rdmsr = op_rdmsr,
	.wrmsr = op_wrmsr,
	.wbinvd = op_wbinvd,
	.xsetbv = op_xsetbv,
	.cpuid = op_cpuid,
	.rdtsc = op_rdtsc,
	.tsc_aux = op_tsc_aux,
	.port_in = op_port_in,
	.port_out = op_port_out,
	.set_interrupts = op_set_interrupts,
};

/* ---- the jobs ------------------------------------------------------------------------------- */

static struct x86_emu begin(struct job *job, uint32_t allow)
{
	struct hv_vcpu *v = job->v;
	bool is_32bit = v->regs.cs == FLAT_RING3_CS32 || v->regs.cs == HOST_CS32;
	unsigned vendor = hv_cpu_is_amd() ? X86_MODE_AMD : 0; /* far pointers differ */

	return (struct x86_emu){ .regs = &v->regs,
		                 .ops = &pv_ops,
		                 .opaque = job,
		                 .mode = (is_32bit ? X86_MODE_32 : X86_MODE_64) | vendor,
		                 .cpl = 3,
		                 .flags = v->in_kernel ? X86_EMU_KERNEL : 0,
		                 .allow = allow };
}

/* The end of an emulation: true when the guest can go on. */
static bool finish(struct hv_vcpu *v, const struct x86_emu *emu, enum x86_result rc)
{
	const struct job *job = emu->opaque;

	switch (rc) {
	case X86_DONE:
		if (job->has_base)
			HV_ASSERT(hv_wrmsr(v, job->base_msr, job->base));
		if (emu->retired & X86_RETIRED_TRAP) {
			v->traps.dr[6] |= 1u << 14; /* BS */
			hv_traps_exception(v, X86_VECTOR_DB, 0, 0);
		}
		return true;
	case X86_RETRY:
		return true;
	case X86_FAULT:
		hv_traps_exception(v, emu->fault.vector,
		                   emu->fault.has_error ? emu->fault.error : 0, emu->fault.cr2);
		return true;
	default:
		return false;
	}
}

/* The privileged instructions that Xen emulates for a PV guest. */
static bool is_emulated(const struct x86_insn *insn)
{
	uint8_t op = insn->opcode;

	if (insn->encoding != X86_ENC_LEGACY)
		return false;
	if (insn->map == X86_MAP_ONE)
		return (op >= 0x6c && op <= 0x6f) || (op >= 0xe4 && op <= 0xe7) ||
		       (op >= 0xec && op <= 0xef) || op == 0xfa || op == 0xfb;
	if (insn->map != X86_MAP_0F)
		return false;
	if (op == 0x01) /* xsetbv rdtscp */
		return insn->modrm == 0xd1 || insn->modrm == 0xf9;
	return op == 0x06 || op == 0x08 || op == 0x09 || (op >= 0x20 && op <= 0x23) ||
	       (op >= 0x30 && op <= 0x32) || op == 0xa2;
}

/* A string on its way to or from a port: whether it may is asked before its memory is touched. */
static bool may_use_port(struct hv_vcpu *v, const struct x86_insn *insn)
{
	unsigned size = insn->opcode & 1 ? insn->opsize : 1;

	if (insn->map != X86_MAP_ONE || insn->opcode < 0x6c || insn->opcode > 0x6f)
		return true;
	return port_ok(v, (uint16_t)v->regs.rdx, size > 4 ? 4 : size);
}

/* A call to a hypervisor of the processor's kind, which is none of the guest's. */
static bool is_vmcall(const struct x86_insn *insn)
{
	return insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F &&
	       insn->opcode == 0x01 && (insn->modrm == 0xc1 || insn->modrm == 0xd9);
}

bool hv_emulate_privileged(struct hv_vcpu *v)
{
	struct job job = { .v = v };
	struct x86_emu emu = begin(&job, X86_ALLOW_PRIV | X86_ALLOW_IO);
	enum x86_result rc = x86_fetch(&emu);

	if (rc == X86_DONE && is_vmcall(&emu.insn))
		rc = x86_raise(&emu, X86_VECTOR_UD);
	else if (rc == X86_DONE)
		rc = is_emulated(&emu.insn) && may_use_port(v, &emu.insn) ? x86_execute(&emu)
		                                                          : X86_UNHANDLED;
	return finish(v, &emu, rc);
}

bool hv_emulate_selector(struct hv_vcpu *v, uint32_t error_code)
{
	struct job job = { .v = v };
	struct x86_emu emu = begin(&job, X86_ALLOW_SEG);

	(void)error_code; /* which selector it was is read from the instruction itself */
	return finish(v, &emu, x86_emulate(&emu));
}

bool hv_emulate_invalid(struct hv_vcpu *v)
{
	struct job job = { .v = v };
	struct x86_emu emu = begin(&job, X86_ALLOW_PRIV);

	return finish(v, &emu, x86_emulate_forced(&emu, false));
}

bool hv_emulate_pt_write(struct hv_vcpu *v, uint64_t cr2)
{
	struct job job = { .v = v,
		           .has_table = true,
		           .table_page = cr2 & ~(uint64_t)(HV_PAGE_SIZE - 1) };
	struct x86_emu emu = begin(&job, X86_ALLOW_DATA);

	return finish(v, &emu, x86_emulate(&emu));
}

bool hv_emulate_m2p_read(struct hv_vcpu *v, uint64_t cr2)
{
	struct job job = { .v = v, .m2p = true };
	struct x86_emu emu = begin(&job, X86_ALLOW_DATA | X86_ALLOW_BRANCH);

	(void)cr2;
	return finish(v, &emu, x86_emulate(&emu));
}
