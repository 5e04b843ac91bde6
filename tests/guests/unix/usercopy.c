/* SPDX-License-Identifier: MIT */
/*
 * Copies between the kernel and the current program. The kernel sees nothing of a program at the
 * program's addresses: it finds the frame of each page in the program's tables, brings the page in as
 * a fault of the program would, and copies by the identity map.
 *
 * Invariant: every address from a program is held against the limits of what programs have before
 * it is used, and every page against the rights that the program has there.
 */
#include "tests/guests/unix/usercopy.h"

#include "pvops/aspace.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"
#include "tests/guests/unix/abi.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"

bool users_range(uint64_t at, uint64_t len)
{
	return at >= PV_USER_START && at < PV_USER_END && len <= PV_USER_END - at;
}

/*
 * The kernel's address of a byte of the program's. It stays good as long as this process does nothing
 * to its own memory: nobody else may.
 */
static void *find(uint64_t at, bool write)
{
	struct vm *vm = &current()->vm;
	uint64_t entry = pv_aspace_entry(&vm->as, at);

	if (!entry || (write && !(entry & PV_PTE_WRITE))) {
		if (vm_fault(vm, at, write ? PV_PROT_WRITE : PV_PROT_READ))
			return NULL;
		entry = pv_aspace_entry(&vm->as, at);
	}
	return (char *)pv_pfn_to_virt(pv_pte_mfn(entry)) + at % PV_PAGE_SIZE;
}

static int copy(uint64_t user, char *kernel, size_t len, bool out)
{
	if (!users_range(user, len))
		return -EFAULT;
	while (len) {
		size_t piece = PV_PAGE_SIZE - user % PV_PAGE_SIZE;
		char *p = find(user, out);

		if (!p)
			return -EFAULT;
		if (piece > len)
			piece = len;
		if (out)
			memcpy(p, kernel, piece);
		else
			memcpy(kernel, p, piece);
		user += piece;
		kernel += piece;
		len -= piece;
	}
	return 0;
}

int copy_in(void *to, uint64_t user_from, size_t len)
{
	return copy(user_from, to, len, false);
}

int copy_out(uint64_t user_to, const void *from, size_t len)
{
	return copy(user_to, (char *)(uintptr_t)from, len, true);
}

long copy_in_string(char *to, uint64_t user_from, size_t size)
{
	size_t done = 0, piece;
	const char *p, *end;

	while (done < size && users_range(user_from, 1)) {
		piece = PV_PAGE_SIZE - user_from % PV_PAGE_SIZE;
		if (piece > size - done)
			piece = size - done;
		p = find(user_from, false);
		if (!p)
			return -EFAULT;
		end = memchr(p, 0, piece);
		if (end)
			piece = (size_t)(end - p) + 1;
		memcpy(to + done, p, piece);
		done += piece;
		user_from += piece;
		if (end)
			return (long)done - 1;
	}
	return done < size ? -EFAULT : -ENAMETOOLONG;
}
