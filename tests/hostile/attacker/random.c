/* SPDX-License-Identifier: MIT */
/*
 * Values worth trying. All follow from the seed, so a run can be repeated (races apart).
 */
#include "hypervisor-stub/engines/process/layout.h"
#include "tests/hostile/attacker/attack.h"

uint8_t at_scratch[2 * 4096] __attribute__((aligned(4096)));

static uint64_t state = 1;

void at_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ull | 1;
}

/* Helpers draw from the same well: what is lost between two of them adds to the noise. */
uint64_t at_random(void)
{
	uint64_t x = state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	state = x ? x : 1;
	return x * 0x2545f4914f6cdd1dull;
}

uint64_t at_below(uint64_t n)
{
	return n ? (at_random() >> 16) % n : 0;
}

bool at_chance(unsigned int one_in)
{
	return at_below(one_in) == 0;
}

uint64_t at_address(void)
{
	static const uint64_t edges[] = {
		0,
		0x1000,
		0xfff,
		0x10000,
		PE_GUEST_END - 8,
		PE_GUEST_END,
		PE_WINDOW,
		PE_M2P,
		PE_CODE,
		PE_CODE + 0xff8,
		PE_CONST,
		PE_CTL,
		PE_STATE,
		PE_STATE + STATE_SIGSTACK,
		PE_STATE + PE_STATE_SIZE - 8,
		0x7ffffffff000,
		0x7fffffffeff8,
		0x800000000000,
		0x800000000000 - 8,
		0xffff7ffffffffff8,
		MACH2PHYS_VIRT_START,
		MACH2PHYS_VIRT_END - 8,
		HYPERVISOR_VIRT_END,
		HYPERVISOR_VIRT_END - 8,
		0xffffffffff600000,
		~0ull,
		~0ull - 7,
		~0ull - 4095,
		PV_WINDOW,
		PV_WINDOW + 0x1000,
	};
	uint64_t mine = (uint64_t)at_scratch;

	switch (at_below(8)) {
	case 0:
		return edges[at_below(AT_COUNT(edges))];
	case 1:
		return mine + 4096 - at_below(96); /* over a page's end */
	case 2:
		return mine + sizeof(at_scratch) - at_below(96); /* over our last page's end */
	case 3:
		return at_below(pv_boot.memory_end);
	case 4:
		return at_random();
	default:
		return mine + at_below(256) * 8;
	}
}

uint64_t at_frame(void)
{
	switch (at_below(10)) {
	case 0:
		return at.foreign + at_below(64);
	case 1:
		return at.shared_frame;
	case 2:
		return at.grant_frame;
	case 3:
		return at_below(1 << 16);
	case 4:
		return at_random();
	case 5:
		return pv_mmu_boot_root().pfn ? pv_p2m(pv_mmu_boot_root().pfn) : 0;
	default:
		return pv_p2m(at_below(pv_boot.memory_end >> PV_PAGE_SHIFT));
	}
}

uint64_t at_value(void)
{
	static const uint64_t edges[] = { 0,
		                          1,
		                          2,
		                          31,
		                          32,
		                          63,
		                          64,
		                          255,
		                          511,
		                          512,
		                          1024,
		                          4095,
		                          4096,
		                          DOMID_SELF,
		                          DOMID_IO,
		                          DOMID_XEN,
		                          DOMID_INVALID,
		                          0x7fff,
		                          0x8000,
		                          0xffff,
		                          0x7fffffff,
		                          0x80000000,
		                          0xffffffff,
		                          0x100000000,
		                          0x0fffffffffffffff,
		                          0x1fffffffffffffff,
		                          0x7fffffffffffffff,
		                          0x8000000000000000,
		                          ~0ull };

	switch (at_below(8)) {
	case 0:
	case 1:
		return edges[at_below(AT_COUNT(edges))];
	case 2:
		return at_address();
	case 3:
		return at_frame() << (at_chance(2) ? PV_PAGE_SHIFT : 0) |
		       (at_chance(2) ? 0 : at_below(4096));
	case 4:
		return at_random();
	default:
		return at_below(16);
	}
}

void at_noise(void *p, size_t len)
{
	uint64_t *w = p;

	for (size_t i = 0; i < len / 8; i++) {
		switch (at_below(4)) {
		case 0:
			w[i] = at_value();
			break;
		case 1:
			w[i] = at_below(4) | at_below(16) << 32;
			break;
		case 2:
			w[i] = at_frame() << PV_PAGE_SHIFT | at_below(4096);
			break;
		default:
			w[i] = at_below(64) << 32 | at_frame();
		}
	}
}
