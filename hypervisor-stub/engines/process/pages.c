/* SPDX-License-Identifier: MIT */
/*
 * The file behind the groups of a domain's guest processes (layout.h): one code page, the constants,
 * and a slot of ctl and state for each process. It has holes wherever nobody has written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

static size_t file_size(const struct pe_domain *pd)
{
	return PE_FILE_SLOTS + (size_t)pd->nr_slots * PE_SLOT_SIZE;
}

/* Mapping the file executable needs no executable file, and some hosts forbid those. */
static int open_file(void)
{
	int fd = memfd_create("paravane-process", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("paravane-process", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int pe_pages_create(struct pe_domain *pd, unsigned nr_slots)
{
	int rc;

	pd->nr_slots = nr_slots;
	pd->free_slots = calloc(nr_slots, sizeof(*pd->free_slots));
	if (!pd->free_slots)
		return -ENOMEM;
	for (unsigned i = 0; i < nr_slots; i++)
		pd->free_slots[i] = nr_slots - 1 - i;
	pd->nr_free_slots = nr_slots;

	rc = open_file();
	if (rc < 0)
		goto no_file;
	pd->file = rc;
	if (ftruncate(pd->file, (off_t)file_size(pd))) {
		rc = -errno;
		goto no_size;
	}
	pd->base = mmap(NULL, file_size(pd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
	                pd->file, 0);
	if (pd->base == MAP_FAILED) {
		rc = -errno;
		goto no_size;
	}
	return 0;

no_size:
	close(pd->file);
no_file:
	free(pd->free_slots);
	return rc;
}

void pe_pages_destroy(struct pe_domain *pd)
{
	munmap(pd->base, file_size(pd));
	close(pd->file);
	free(pd->free_slots);
}

int pe_slot_get(struct pe_domain *pd)
{
	return pd->nr_free_slots ? (int)pd->free_slots[--pd->nr_free_slots] : -ENOSPC;
}

void pe_slot_put(struct pe_domain *pd, unsigned slot)
{
	off_t at = PE_FILE_SLOTS + (off_t)slot * PE_SLOT_SIZE;

	/* The next process in this slot must find nothing of the last one's. */
	if (fallocate(pd->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PE_SLOT_SIZE))
		memset(pe_slot_ctl(pd, slot), 0, PE_SLOT_SIZE);
	pd->free_slots[pd->nr_free_slots++] = slot;
}
