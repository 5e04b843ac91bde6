/* SPDX-License-Identifier: MIT */
/*
 * Whether this host has room for a machine; see limits.h.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/limits.h"

/* Standard ones, screen and trace, control socket and bells, timers and signals, the table m2p; and
 * the numbers that a guest process moves its own to before it closes the others. */
#define FOR_THE_MACHINE 20
#define FOR_A_DOMAIN    4
#define FOR_A_VCPU      2
/* File and ring, or socket and timer; bells. */
#define FOR_A_DISK 4

unsigned limits_descriptors(const struct plan *p)
{
	unsigned nr = FOR_THE_MACHINE;

	for (unsigned i = 0; i < p->nr; i++)
		nr += FOR_A_DOMAIN + FOR_A_VCPU * p->guest[i].max_vcpus +
		      FOR_A_DISK * p->guest[i].disks.nr;
	return nr;
}

static int check_descriptors(const struct plan *p, char *why, size_t why_len)
{
	unsigned nr = limits_descriptors(p);
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return 0;
	if (l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
		getrlimit(RLIMIT_NOFILE, &l);
	}
	if (l.rlim_cur >= nr)
		return 0;
	return hv_why(
		why, why_len, -EMFILE,
		"descriptors are short: %u are needed and %llu allowed; allow more (ulimit -n)", nr,
		(unsigned long long)l.rlim_cur);
}

static int check_memory(const struct plan *p, char *why, size_t why_len)
{
	uint64_t wanted = 0, there;
	struct sysinfo s;
	struct rlimit l;

	for (unsigned i = 0; i < p->nr; i++)
		wanted += p->guest[i].memory;
	if (sysinfo(&s))
		return 0;
	there = ((uint64_t)s.totalram + s.totalswap) * s.mem_unit;
	if (!getrlimit(RLIMIT_AS, &l) && l.rlim_cur != RLIM_INFINITY && l.rlim_cur < there)
		there = l.rlim_cur;
	if (wanted <= there)
		return 0;
	return hv_why(
		why, why_len, -ENOMEM,
		"the memory asked for is %llu MiB and this host has %llu MiB, swap included; give "
		"it less (--memory)",
		(unsigned long long)(wanted >> 20), (unsigned long long)(there >> 20));
}

int limits_check(const struct plan *p, char *why, size_t why_len)
{
	int rc = check_memory(p, why, why_len);

	return rc ? rc : check_descriptors(p, why, why_len);
}
