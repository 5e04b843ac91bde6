/* SPDX-License-Identifier: MIT */
/*
 * Whether this engine can work here, and whether it can run a guest that needs given addresses. What
 * can be tried is tried; a refusal is one sentence with the remedy.
 */
#include <errno.h>
#include <stdatomic.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#define HWCAP2_FSGSBASE_BIT (1u << 1)
#define XFEATURE_SSE        2u
#define SAFE_LOW            0x10000u /* no host asks for more to be left free */

typedef unsigned long long ull;

static int say(char *why, size_t why_len, const char *sentence)
{
	snprintf(why, why_len, "%s", sentence);
	return -ENOSYS;
}

int pe_probe(char *why, size_t why_len)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	int fd;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return say(why, why_len,
		           "the process engine needs FSGSBASE, which this processor or kernel "
		           "lacks: use Linux 5.9 or later on a processor of 2013 or later");
	if (!(pe_xsave_mask() & XFEATURE_SSE))
		return say(why, why_len,
		           "the process engine needs XSAVE, which this processor or kernel lacks: "
		           "use another machine");
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action))
		return say(why, why_len,
		           "the process engine needs seccomp filters: use a kernel with "
		           "CONFIG_SECCOMP_FILTER, and a container profile that allows seccomp");
	fd = memfd_create("paravane-probe", MFD_CLOEXEC);
	if (fd < 0)
		return say(why, why_len,
		           "the process engine needs memfd_create, which is refused here: use a "
		           "container profile that allows it");
	close(fd);
	return 0;
}

/*
 * Whether the host lets us map one page there. A guest process has our rights, so what we may map it
 * may map; nothing is disturbed, for a page that is taken stays what it is.
 */
static bool can_map(uint64_t page)
{
	void *at = (void *)(uintptr_t)page;
	void *got = mmap(at, HV_PAGE_SIZE, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED)
		return errno == EEXIST;
	munmap(got, HV_PAGE_SIZE);
	return got == at;
}

uint64_t pe_lowest_address(void)
{
	static _Atomic uint64_t known; /* plus 1; 0: not tried yet */
	uint64_t page = atomic_load(&known);

	if (page)
		return page - 1;
	for (page = 0; page < SAFE_LOW && !can_map(page); page += HV_PAGE_SIZE)
		;
	atomic_store(&known, page + 1);
	return page;
}

int pe_check_range(uint64_t lo, uint64_t hi, char *why, size_t why_len)
{
	uint64_t page = lo & ~(uint64_t)(HV_PAGE_SIZE - 1);

	if (hi <= lo || lo >= PE_GUEST_END || hi > PE_GUEST_END) {
		snprintf(why, why_len,
		         "needs the addresses 0x%llx to 0x%llx, but the process engine has only "
		         "those below 0x%llx; link it there",
		         (ull)lo, (ull)hi, (ull)PE_GUEST_END);
		return -EINVAL;
	}
	for (; page < hi && page < SAFE_LOW; page += HV_PAGE_SIZE) {
		if (can_map(page))
			continue;
		snprintf(why, why_len,
		         "needs the address 0x%llx, which this host lets no ordinary user map "
		         "(vm.mmap_min_addr); link it at 0x%x or above, or run it as root",
		         (ull)page, SAFE_LOW);
		return -EPERM;
	}
	return 0;
}
