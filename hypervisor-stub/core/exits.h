/* SPDX-License-Identifier: MIT */
/*
 * Why the guest stopped, and what is done about it.
 */
#ifndef HYPERVISOR_STUB_CORE_EXITS_H
#define HYPERVISOR_STUB_CORE_EXITS_H

#include "hypervisor-stub/core/hv.h"

/* Answers one exit of the engine: v->regs is then what the guest goes on with, or the domain is
 * ending, or v asked to rest. v's thread, no lock held. */
void hv_exit_handle(struct hv_vcpu *v, const struct hv_exit *exit);

/*
 * Emulation on behalf of a guest instruction (emulate.c). v's thread, no lock held.
 * Each returns true when the instruction is dealt with: done, or its own fault delivered.
 */
bool hv_emulate_privileged(struct hv_vcpu *v);                    /* after #GP with error code 0 */
bool hv_emulate_selector(struct hv_vcpu *v, uint32_t error_code); /* #GP/#NP/#SS naming one */
bool hv_emulate_invalid(struct hv_vcpu *v);                       /* after #UD */
bool hv_emulate_pt_write(struct hv_vcpu *v, uint64_t cr2);        /* HV_FAULT_PT_WRITE */
bool hv_emulate_m2p_read(struct hv_vcpu *v, uint64_t cr2);        /* HV_FAULT_M2P_READ */

#endif
