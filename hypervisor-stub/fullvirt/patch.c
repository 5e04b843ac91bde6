/* SPDX-License-Identifier: MIT */
#include "hypervisor-stub/fullvirt/patch.h"

void fv_patch(struct fv_cpu *c, uint64_t va)
{
	(void)c;
	(void)va;
}

void fv_patch_undo(struct fv_cpu *c, struct fv_code *code, unsigned at)
{
	(void)c;
	(void)code;
	(void)at;
}

bool fv_patch_find(const struct fv_cpu *c, uint64_t rip, uint64_t *va)
{
	(void)c;
	(void)rip;
	(void)va;
	return false;
}
