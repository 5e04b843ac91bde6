/* SPDX-License-Identifier: MIT */
/*
 * CPUID for a PV guest that asks through the prefix: the host's answer, less what Xen hides from PV
 * guests, plus the hypervisor's own leaves.
 *
 * Only what code at ring 3 can use is offered: paging, interrupt and virtualization features belong
 * to the hypervisor, and the speculation controls are MSRs that no ordinary process can write.
 * Source: Xen public arch-x86/cpufeatureset.h, the features marked for all guests.
 */
#include <cpuid.h>
#include <stdatomic.h>

#include "abi/cpuid.h"
#include "hypervisor-stub/core/cpu.h"
#include "hypervisor-stub/core/version.h"

#define BIT(n)         (UINT32_C(1) << (n))

#define HYGON_EBX      0x6f677948u /* "Hygo" */
#define MAX_BASIC      0xdu
#define MAX_EXTENDED   0x80000021u
#define EXTENDED       0x80000000u

#define F1C_OSXSAVE    BIT(27)
#define F1C_HYPERVISOR BIT(31)
#define XSTATE_OFFERED UINT64_C(0xe7) /* x87, SSE, AVX, AVX-512; not MPX, PKRU and the rest */

/* Leaf 1, ecx: SSE3 PCLMULQDQ SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AESNI XSAVE AVX F16C RDRAND */
#define F1C_OFFERED                                                                             \
	(BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | \
	 BIT(25) | BIT(26) | BIT(28) | BIT(29) | BIT(30))
/* Leaf 1, edx: FPU DE TSC MSR PAE MCE CX8 APIC SEP MCA CMOV PAT CLFLUSH ACPI MMX FXSR SSE SSE2 SS
 * HTT */
#define F1D_SEP BIT(11)
#define F1D_OFFERED                                                                                \
	(BIT(0) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(11) |         \
	 BIT(14) | BIT(15) | BIT(16) | BIT(19) | BIT(22) | BIT(23) | BIT(24) | BIT(25) | BIT(26) | \
	 BIT(27) | BIT(28))
/* Leaf 7.0, ebx: FSGSBASE BMI1 AVX2 FDP-only BMI2 ERMS no-FCS AVX512F/DQ RDSEED ADX IFMA CLFLUSHOPT
 * CLWB PF ER CD SHA BW VL */
#define F7B_OFFERED                                                                                \
	(BIT(0) | BIT(3) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(13) | BIT(16) | BIT(17) |       \
	 BIT(18) | BIT(19) | BIT(21) | BIT(23) | BIT(24) | BIT(26) | BIT(27) | BIT(28) | BIT(29) | \
	 BIT(30) | BIT(31))
/* Leaf 7.0, ecx: PREFETCHWT1 VBMI VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID CLDEMOTE */
#define F7C_OFFERED                                                                           \
	(BIT(0) | BIT(1) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | \
	 BIT(22) | BIT(25))
/* Leaf 7.0, edx: 4VNNIW 4FMAPS FSRM SERIALIZE FP16 */
#define F7D_OFFERED (BIT(2) | BIT(3) | BIT(4) | BIT(14) | BIT(23))
/* Leaf 7.1, eax: AVX-VNNI BF16 FZRM FSRS FSRCS */
#define F7_1_OFFERED (BIT(4) | BIT(5) | BIT(10) | BIT(11) | BIT(12))
/* Leaf 0xd.1, eax: XSAVEOPT XSAVEC XGETBV1 */
#define FD1_XSAVEC  BIT(1)
#define FD1_OFFERED (BIT(0) | BIT(1) | BIT(2))
/* Leaf 0x80000001, ecx: LAHF CMP_LEGACY ABM SSE4A MISALIGNSSE PREFETCH XOP FMA4 TBM DBEXT */
#define E1C_OFFERED                                                                          \
	(BIT(0) | BIT(1) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(11) | BIT(16) | BIT(21) | \
	 BIT(26))
/* Leaf 0x80000001, edx: SYSCALL NX MMXEXT FFXSR RDTSCP LM 3DNOWEXT 3DNOW; AMD repeats leaf 1's below */
#define E1D_OWN    (BIT(11) | BIT(20) | BIT(22) | BIT(25) | BIT(27) | BIT(29) | BIT(30) | BIT(31))
#define E1D_COMMON 0x0183f3ffu
/* Leaf 0x80000008, ebx: CLZERO RSTR_FP_ERR_PTRS */
#define E8B_OFFERED (BIT(0) | BIT(2))
/* Leaf 0x80000021, eax: LFENCE serialises, null selector clears the base */
#define E21A_OFFERED (BIT(2) | BIT(6))

uint64_t hv_host_xcr0(void)
{
	uint32_t a, b, c, d, lo, hi;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & F1C_OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

bool hv_cpu_is_amd(void)
{
	/* cpuid is slow in a virtual machine, and this answer does not change. */
	static atomic_int known; /* 0: not asked yet, 1: no, 2: yes */
	uint32_t a, b, c, d;

	if (!atomic_load(&known)) {
		__cpuid(0, a, b, c, d);
		atomic_store(&known, b == signature_AMD_ebx || b == HYGON_EBX ? 2 : 1);
	}
	return atomic_load(&known) == 2;
}

static void host_leaf(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

static void clear(uint32_t out[4])
{
	out[0] = out[1] = out[2] = out[3] = 0;
}

static void leaf_1(const struct hv_vcpu *v, uint32_t out[4])
{
	uint32_t osxsave = out[2] & F1C_OSXSAVE;

	/* Two APIC ids to a vCPU, as Xen numbers them. */
	out[1] = (out[1] & 0x00ffffff) | v->id * 2 << 24;
	out[2] = (out[2] & F1C_OFFERED) | osxsave | F1C_HYPERVISOR;
	out[3] &= F1D_OFFERED;
	if (hv_cpu_is_amd())
		out[3] &= ~F1D_SEP; /* sysenter does not work in long mode there */
}

static void leaf_7(uint32_t subleaf, uint32_t out[4])
{
	if (subleaf == 0) {
		out[0] = out[0] ? 1 : 0;
		out[1] &= F7B_OFFERED;
		out[2] &= F7C_OFFERED;
		out[3] &= F7D_OFFERED;
	} else if (subleaf == 1) {
		out[0] &= F7_1_OFFERED;
		out[1] = out[2] = out[3] = 0;
	} else {
		clear(out);
	}
}

/* Bytes of an area in the compacted format, with what of XCR0 is offered and nothing else. */
static uint32_t compacted_size(void)
{
	uint64_t parts = hv_host_xcr0() & XSTATE_OFFERED;
	uint32_t size = 512 + 64, part[4];

	for (uint32_t i = 2; i < 63; i++) {
		if (!(parts >> i & 1))
			continue;
		host_leaf(0xd, i, part);
		if (part[2] & 2)
			size = (size + 63) & ~63u;
		size += part[0];
	}
	return size;
}

/* XSAVE areas. The sizes of sub-leaf 0 are the host's: XCR0 is the host's, too. */
static void leaf_d(uint32_t subleaf, uint32_t out[4])
{
	if (subleaf == 0) {
		out[0] &= (uint32_t)XSTATE_OFFERED;
		out[3] = 0;
	} else if (subleaf == 1) {
		out[0] &= FD1_OFFERED;
		/* The host's counts what only its kernel saves. */
		out[1] = out[0] & FD1_XSAVEC ? compacted_size() : 0;
		out[2] = out[3] = 0;
	} else if (subleaf >= 63 || !(XSTATE_OFFERED >> subleaf & 1)) {
		clear(out);
	}
}

static void basic_leaf(const struct hv_vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	switch (leaf) {
	case 0:
		if (out[0] > MAX_BASIC)
			out[0] = MAX_BASIC;
		break;
	case 1:
		leaf_1(v, out);
		break;
	case 2:
	case 4:
		break; /* caches */
	case 7:
		leaf_7(subleaf, out);
		break;
	case 0xd:
		leaf_d(subleaf, out);
		break;
	default:
		clear(out); /* serial number, monitor, power, topology, counters */
	}
}

static void extended_leaf(uint32_t leaf, uint32_t out[4])
{
	switch (leaf) {
	case EXTENDED:
		if (out[0] > MAX_EXTENDED)
			out[0] = MAX_EXTENDED;
		break;
	case EXTENDED + 1:
		out[2] &= E1C_OFFERED;
		/* Intel leaves the copies of leaf 1 empty, and so they stay. */
		out[3] &= E1D_OWN | (E1D_COMMON & F1D_OFFERED);
		break;
	case EXTENDED + 2:
	case EXTENDED + 3:
	case EXTENDED + 4:
	case EXTENDED + 5:
	case EXTENDED + 6:
	case EXTENDED + 0x1a:
		break; /* the processor's name, caches, width of its pipes */
	case EXTENDED + 8:
		out[0] &= 0xffff;
		out[1] &= E8B_OFFERED;
		out[2] &= 0xf0ff; /* how many cores, and bits to number them */
		out[3] = 0;
		break;
	case EXTENDED + 0x21:
		out[0] &= E21A_OFFERED;
		out[1] = out[2] = out[3] = 0;
		break;
	default:
		clear(out);
	}
}

/* ---- the hypervisor's leaves ---------------------------------------------------------------- */

/* Frequency of what rdtsc gives, in kHz, as v's clock has it now. */
static uint32_t tsc_khz(const struct hv_time_line *l)
{
	/* A tick is mul * 2^shift / 2^32 nanoseconds. */
	unsigned __int128 k = ((unsigned __int128)1000000 << 63) / (l->mul ? l->mul : 1);
	int shift = 31 + l->shift;

	return (uint32_t)(k >> shift);
}

static void time_leaf(const struct hv_vcpu *v, uint32_t subleaf, uint32_t out[4])
{
	const struct hv_time_line *l = &v->time.line;
	bool native = v->domain->machine->clock.tsc_is_usable;

	switch (subleaf) {
	case 0:
		/* Emulated, or safe across processors; rdtscp is there. */
		out[0] = (native ? 2 : 1) | 4;
		out[2] = tsc_khz(l);
		out[3] = 1; /* incarnation: not restored yet */
		break;
	case 1:
		out[0] = (uint32_t)(l->ns_base - hv_time_line_ns(l, l->tsc_base));
		out[2] = l->mul;
		out[3] = (uint32_t)(int32_t)l->shift;
		break;
	case 2:
		out[0] = tsc_khz(l);
		break;
	default:
		break;
	}
}

static unsigned bits_in(uint64_t n)
{
	unsigned bits = 0;

	while (n >> bits)
		bits++;
	return bits;
}

static void xen_leaf(const struct hv_vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	const struct hv_frame_pool *pool = &v->domain->machine->pool;

	clear(out);
	switch (leaf) {
	case XEN_CPUID_LEAF(0):
		out[0] = XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES);
		out[1] = XEN_CPUID_SIGNATURE_EBX;
		out[2] = XEN_CPUID_SIGNATURE_ECX;
		out[3] = XEN_CPUID_SIGNATURE_EDX;
		break;
	case XEN_CPUID_LEAF(1):
		out[0] = HV_XEN_MAJOR << 16 | HV_XEN_MINOR;
		break;
	case XEN_CPUID_LEAF(2):
		out[0] = 1;          /* hypercall pages */
		out[1] = 0x40000000; /* the MSR that fills one */
		out[2] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
		break;
	case XEN_CPUID_LEAF(3):
		time_leaf(v, subleaf, out);
		break;
	case XEN_CPUID_LEAF(5):
		if (subleaf == 0)
			out[1] = HV_PAGE_SHIFT + bits_in(pool->first + pool->max - 1);
		break;
	default:
		break;
	}
}

void hv_cpuid(struct hv_vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	uint32_t max[4];

	if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < XEN_CPUID_FIRST_LEAF + 0x100) {
		xen_leaf(v, leaf, subleaf, out);
		return;
	}
	clear(out);
	host_leaf(leaf & EXTENDED, 0, max);
	if (leaf > max[0] || leaf > (leaf & EXTENDED ? MAX_EXTENDED : MAX_BASIC))
		return;
	host_leaf(leaf, subleaf, out);
	if (leaf & EXTENDED)
		extended_leaf(leaf, out);
	else
		basic_leaf(v, leaf, subleaf, out);
}
