/* SPDX-License-Identifier: MIT */
/*
 * The memory half against two hostile domains (tests/fake/mem_guest.h), with the counts audited at
 * the end of each input.
 */
#include <stddef.h>
#include <stdint.h>

#include "tests/fake/mem_guest.h"

int fuzz_mmu(const uint8_t *data, size_t len);

int fuzz_mmu(const uint8_t *data, size_t len)
{
	mem_guest_play(data, len, 64);
	return 0;
}
