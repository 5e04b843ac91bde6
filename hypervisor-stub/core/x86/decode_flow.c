/* SPDX-License-Identifier: MIT */
/*
 * Where does control go after an instruction? For those who scan code along its flow.
 */
#include "hypervisor-stub/core/x86/decode.h"

static enum x86_flow flow_group5(const struct x86_insn *insn)
{
	switch ((insn->modrm >> 3) & 7) {
	case 2:
		return X86_FLOW_CALL_IND;
	case 4:
		return X86_FLOW_JMP_IND;
	case 3:
	case 5:
		return X86_FLOW_FAR;
	default:
		return X86_FLOW_NEXT;
	}
}

static enum x86_flow flow_one(const struct x86_insn *insn)
{
	switch (insn->opcode) {
	case 0x70 ... 0x7f:
	case 0xe0 ... 0xe3:
		return X86_FLOW_JCC;
	case 0xc7:
		return insn->modrm == 0xf8 ? X86_FLOW_JCC : X86_FLOW_NEXT; /* xbegin */
	case 0xe8:
		return X86_FLOW_CALL;
	case 0xe9:
	case 0xeb:
		return X86_FLOW_JMP;
	case 0xc2:
	case 0xc3:
		return X86_FLOW_RET;
	case 0x9a:
	case 0xca:
	case 0xcb:
	case 0xcf:
	case 0xea:
		return X86_FLOW_FAR;
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xf1:
		return X86_FLOW_INT;
	case 0xff:
		return flow_group5(insn);
	default:
		return X86_FLOW_NEXT;
	}
}

static enum x86_flow flow_0f(const struct x86_insn *insn)
{
	switch (insn->opcode) {
	case 0x01: /* vmcall, vmmcall, vmlaunch, vmresume, vmrun leave and come back behind */
		return (insn->modrm >= 0xc1 && insn->modrm <= 0xc3) || insn->modrm == 0xd8 ||
		                       insn->modrm == 0xd9
		               ? X86_FLOW_INT
		               : X86_FLOW_NEXT;
	case 0x05:
	case 0x34:
		return X86_FLOW_INT;
	case 0x07:
	case 0x35:
	case 0xaa:
		return X86_FLOW_FAR;
	case 0x0b:
	case 0xb9:
	case 0xff:
		return X86_FLOW_STOP;
	case 0x80 ... 0x8f:
		return X86_FLOW_JCC;
	default:
		return X86_FLOW_NEXT;
	}
}

static uint64_t relative_target(const struct x86_insn *insn, uint64_t rip)
{
	uint64_t to = rip + insn->len + insn->imm;

	if (insn->opsize == 2)
		return (uint16_t)to;
	return insn->mode == X86_MODE_64 ? to : (uint32_t)to;
}

enum x86_flow x86_insn_flow(const struct x86_insn *insn, uint64_t rip, uint64_t *target)
{
	enum x86_flow flow = X86_FLOW_NEXT;

	if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_ONE)
		flow = flow_one(insn);
	else if (insn->encoding == X86_ENC_LEGACY && insn->map == X86_MAP_0F)
		flow = flow_0f(insn);
	if (target && (flow == X86_FLOW_JCC || flow == X86_FLOW_JMP || flow == X86_FLOW_CALL))
		*target = relative_target(insn, rip);
	return flow;
}
