/* SPDX-License-Identifier: MIT */
/*
 * The floating-point state belongs to the vCPU; where it is depends on how the guest stopped.
 *
 * After a hypercall it is still in the registers of the process's vCPU thread; after a signal it is
 * in the signal frame. As long as the vCPU runs on in the same process it stays there and costs
 * nothing. When it goes to another one, it is copied out first. What comes from a process is
 * foreign: a header that xrstor would refuse is put right, so that no guest gets another to fault.
 */
#include <string.h>

#include "hypervisor-stub/engines/process/process.h"

#define XSAVE_FEATURE 512
#define XSAVE_HEADER  64
#define MXCSR_MASK    28 /* where fxsave says which bits of MXCSR there are; 0: all but DAZ */
#define XSAVE_LEGACY  3u /* features: x87 and SSE */

static uint32_t mxcsr_mask(void)
{
	static _Atomic uint32_t known;
	uint32_t mask = atomic_load(&known);

	if (!mask) {
		uint8_t area[512] __attribute__((aligned(16))) = { 0 };

		__builtin_ia32_fxsave64(area);
		memcpy(&mask, area + MXCSR_MASK, sizeof(mask));
		mask = mask ? mask : 0xffbf;
		atomic_store(&known, mask);
	}
	return mask;
}

static void copy_in(struct pe_vcpu *pv, const uint8_t *from, size_t room)
{
	uint8_t *to = pv->fp_copy;
	uint64_t features;
	uint32_t mxcsr;

	memset(to, 0, PE_XSAVE_MAX);
	memcpy(to, from, room < PE_XSAVE_MAX ? room : PE_XSAVE_MAX);
	memcpy(&features, to + XSAVE_FEATURE, sizeof(features));
	features &= pe_xsave_mask();
	memset(to + XSAVE_FEATURE, 0, XSAVE_HEADER);
	memcpy(to + XSAVE_FEATURE, &features, sizeof(features));
	memcpy(&mxcsr, to + XSAVE_MXCSR, sizeof(mxcsr));
	mxcsr &= mxcsr_mask();
	memcpy(to + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	pv->fp = PE_FP_COPY;
	pv->fp_proc = NULL;
}

/* Offset in state of an address in the signal stack of the process; false when it is none. */
static bool frame_offset(uint64_t fpstate, size_t *offset, size_t *room)
{
	uint64_t at = fpstate - (PE_STATE + STATE_SIGSTACK);

	if (fpstate % 64 || at >= PE_SIGSTACK_SIZE ||
	    PE_SIGSTACK_SIZE - at < XSAVE_FEATURE + XSAVE_HEADER)
		return false;
	*offset = STATE_SIGSTACK + at;
	*room = PE_SIGSTACK_SIZE - at;
	return true;
}

void pe_fpu_is_live(struct pe_vcpu *pv, struct pe_proc *p)
{
	pv->fp = PE_FP_LIVE;
	pv->fp_proc = p;
}

void pe_fpu_is_in_frame(struct pe_vcpu *pv, struct pe_proc *p, uint64_t fpstate)
{
	size_t offset, room;

	if (!frame_offset(fpstate, &offset, &room)) {
		pv->fp = PE_FP_INIT;
		pv->fp_proc = NULL;
		return;
	}
	pv->fp = PE_FP_FRAME;
	pv->fp_proc = p;
	pv->fp_addr = fpstate;
}

void pe_fpu_is_in_out(struct pe_vcpu *pv, struct pe_proc *p)
{
	copy_in(pv, p->state + OUT_XSAVE, PE_XSAVE_MAX);
}

void pe_fpu_set(struct pe_vcpu *pv, const uint8_t image[512])
{
	uint8_t area[XSAVE_FEATURE + XSAVE_HEADER] = { 0 };
	const uint64_t features = XSAVE_LEGACY;
	uint32_t mxcsr;

	pv->fp = PE_FP_INIT;
	pv->fp_proc = NULL;
	memcpy(&mxcsr, image + XSAVE_MXCSR, sizeof(mxcsr));
	if (mxcsr & ~mxcsr_mask())
		return;
	memcpy(area, image, XSAVE_FEATURE);
	memcpy(area + XSAVE_FEATURE, &features, sizeof(features));
	copy_in(pv, area, sizeof(area));
}

void pe_fpu_collect(struct pe_vcpu *pv)
{
	struct pe_proc *p = pv->fp_proc;
	size_t offset, room;

	if (pv->fp == PE_FP_FRAME && frame_offset(pv->fp_addr, &offset, &room)) {
		copy_in(pv, p->state + offset, room);
		return;
	}
	if (pv->fp != PE_FP_LIVE)
		return;
	if (!pe_load(p->state, STATE_SAVED)) {
		pe_store(p->ctl, CTL_ACTION, PE_DO_SAVE);
		if (!pe_wait(pv, p, NULL)) {
			pv->fp = PE_FP_INIT;
			pv->fp_proc = NULL;
			return;
		}
		/* That wait may have had an order to stop, which was meant for the guest. */
		atomic_store(&pv->kicked, true);
	}
	copy_in(pv, p->state + STATE_XSAVE, PE_XSAVE_MAX);
}

uint32_t pe_fpu_load(struct pe_vcpu *pv, struct pe_proc *p)
{
	uint8_t *area = p->ctl + CTL_XSAVE;
	const uint32_t mxcsr = MXCSR_INITIAL;

	switch (pv->fp) {
	case PE_FP_LIVE:
		return 0;
	case PE_FP_FRAME:
		pe_store64(p->ctl, CTL_FP_ADDR, pv->fp_addr);
		return PE_DO_FP;
	case PE_FP_INIT: /* no feature is marked as saved: xrstor makes all of them initial */
		memset(area, 0, XSAVE_FEATURE + XSAVE_HEADER);
		memcpy(area + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
		break;
	case PE_FP_COPY:
		memcpy(area, pv->fp_copy, PE_XSAVE_MAX);
		break;
	}
	pe_store64(p->ctl, CTL_FP_ADDR, PE_CTL + CTL_XSAVE);
	return PE_DO_FP;
}
