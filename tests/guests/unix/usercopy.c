/* SPDX-License-Identifier: MIT */
/*
 * Copies between the kernel and the current program, whose pages are mapped at the same addresses
 * under the kernel's root. A page that is missing faults; the fault's handler (trap.c) brings it in,
 * or else sends the copy to its row in the exception table.
 *
 * Invariant: every address from a program is held against the limits of what programs have before
 * it is used: the kernel's own memory lies below them.
 */
#include "tests/guests/unix/usercopy.h"

#include "pvops/aspace.h"
#include "pvops/traps.h"
#include "tests/guests/unix/abi.h"

bool users_range(uint64_t at, uint64_t len)
{
	return at >= PV_USER_START && at < PV_USER_END && len <= PV_USER_END - at;
}

/* Bytes that were not copied. rep movsb keeps its registers up to date when it faults. */
static size_t copy(void *to, const void *from, size_t len)
{
	__asm__ volatile("1: rep movsb\n"
	                 "2:\n" PV_EXTABLE("1b", "2b")
	                 : "+D"(to), "+S"(from), "+c"(len)
	                 :
	                 : "memory");
	return len;
}

int copy_in(void *to, uint64_t user_from, size_t len)
{
	if (!users_range(user_from, len))
		return -EFAULT;
	return copy(to, (const void *)user_from, len) ? -EFAULT : 0;
}

int copy_out(uint64_t user_to, const void *from, size_t len)
{
	if (!users_range(user_to, len))
		return -EFAULT;
	return copy((void *)user_to, from, len) ? -EFAULT : 0;
}

long copy_in_string(char *to, uint64_t user_from, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (copy_in(&to[i], user_from + i, 1))
			return -EFAULT;
		if (!to[i])
			return (long)i;
	}
	return -ENAMETOOLONG;
}
