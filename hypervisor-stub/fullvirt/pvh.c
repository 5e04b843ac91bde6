/* SPDX-License-Identifier: MIT */
/*
 * The loader for a kernel that is entered without paging.
 *
 * Invariant: the file is hostile; what is written lies in the guest's memory, outside of the hole.
 * What the kernel is told of lies below it, in the first 64 KiB, and the ramdisk at the end of memory.
 */
#include <errno.h>
#include <string.h>

#include "abi/elfnote.h"
#include "abi/pvh.h"
#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/fullvirt/pvh.h"

#define START_INFO  0x6000u
#define MODULES     0x6100u
#define MEMORY_MAP  0x6200u
#define CMDLINE     0x7000u
#define CMDLINE_MAX 0x2000u  /* bytes, with the closing 0 */
#define LOW_END     0x10000u /* nothing of the kernel is loaded below */
#define PAGE        4096u

static uint32_t read_entry(const struct hv_elf_note *n)
{
	uint32_t entry = 0;

	if (n->desc_len >= 4)
		memcpy(&entry, n->desc, 4);
	return entry;
}

/* The note of Xen's that names the entry; 0: none. */
static uint32_t find_entry(const struct hv_elf *f)
{
	Elf64_Phdr ph;

	for (unsigned i = 0; hv_elf_phdr(f, i, &ph); i++) {
		const uint8_t *area = ph.p_type == PT_NOTE
		                              ? hv_elf_bytes(f, ph.p_offset, ph.p_filesz)
		                              : NULL;
		struct hv_elf_note n;
		size_t pos = 0;

		while (area && hv_elf_note_next(area, ph.p_filesz, &pos, &n) == 1) {
			if (n.type == XEN_ELFNOTE_PHYS32_ENTRY && n.name_len == 4 &&
			    !memcmp(n.name, "Xen", 4) && read_entry(&n))
				return read_entry(&n);
		}
	}
	return 0;
}

static bool fits(const struct fv_machine *m, uint64_t at, uint64_t len)
{
	return at >= LOW_END && at <= m->ram_bytes && len <= m->ram_bytes - at &&
	       (at >= FV_HOLE_END || (at < FV_HOLE && len <= FV_HOLE - at));
}

static int load_segments(struct fv_machine *m, const struct hv_elf *f, uint64_t *end, char *why,
                         size_t why_len)
{
	unsigned loaded = 0;
	Elf64_Phdr ph;

	for (unsigned i = 0; hv_elf_phdr(f, i, &ph); i++) {
		const uint8_t *from;

		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		from = hv_elf_bytes(f, ph.p_offset, ph.p_filesz);
		if (!from || ph.p_filesz > ph.p_memsz)
			return hv_why(why, why_len, -EINVAL,
			              "is cut short: segment %u is not all there", i);
		if (!fits(m, ph.p_paddr, ph.p_memsz))
			return hv_why(
				why, why_len, -ENOSPC,
				"wants memory at %#llx to %#llx; the machine has RAM from %#x to "
				"%#x and from %#x to %#llx: give it more (--memory)",
				(unsigned long long)ph.p_paddr,
				(unsigned long long)(ph.p_paddr + ph.p_memsz), LOW_END, FV_HOLE,
				FV_HOLE_END, (unsigned long long)m->ram_bytes);
		memcpy(m->ram + ph.p_paddr, from, ph.p_filesz);
		memset(m->ram + ph.p_paddr + ph.p_filesz, 0, ph.p_memsz - ph.p_filesz);
		if (ph.p_paddr + ph.p_memsz > *end)
			*end = ph.p_paddr + ph.p_memsz;
		loaded++;
	}
	return loaded ? 0 : hv_why(why, why_len, -EINVAL, "has nothing to load");
}

static unsigned write_map(struct fv_machine *m)
{
	const struct hvm_memmap_table_entry map[] = {
		{ 0, FV_HOLE, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
		{ FV_HOLE, FV_HOLE_END - FV_HOLE, XEN_HVM_MEMMAP_TYPE_RESERVED, 0 },
		{ FV_HOLE_END, m->ram_bytes - FV_HOLE_END, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
	};

	memcpy(m->ram + MEMORY_MAP, map, sizeof(map));
	return sizeof(map) / sizeof(map[0]);
}

/* At the end of memory, where it is least in the kernel's way. */
static int load_ramdisk(struct fv_machine *m, const struct fv_image *image, uint64_t kernel_end,
                        struct hvm_start_info *info, char *why, size_t why_len)
{
	struct hvm_modlist_entry module = { .size = image->ramdisk_len };
	uint64_t room = m->ram_bytes - kernel_end;

	if (!image->ramdisk)
		return 0;
	if (image->ramdisk_len > room || room - image->ramdisk_len < PAGE)
		return hv_why(why, why_len, -ENOSPC,
		              "and its ramdisk do not fit into %llu MiB: give it more (--memory)",
		              (unsigned long long)(m->ram_bytes >> 20));
	module.paddr = (m->ram_bytes - image->ramdisk_len) & ~(uint64_t)(PAGE - 1);
	memcpy(m->ram + module.paddr, image->ramdisk, image->ramdisk_len);
	memcpy(m->ram + MODULES, &module, sizeof(module));
	info->nr_modules = 1;
	info->modlist_paddr = MODULES;
	return 0;
}

int fv_pvh_load(struct fv_machine *m, const struct fv_image *image, char *why, size_t why_len)
{
	struct hvm_start_info info = { .magic = XEN_HVM_START_MAGIC_VALUE, .version = 1 };
	const char *cmdline = image->cmdline ? image->cmdline : "";
	uint64_t end = FV_HOLE_END;
	struct hv_elf f;
	int rc = hv_elf_open(&f, image->kernel, image->kernel_len, why, why_len);

	if (rc)
		return rc;
	m->entry = find_entry(&f);
	if (!m->entry)
		return hv_why(why, why_len, -EINVAL,
		              "has no PVH entry (the note PHYS32_ENTRY of Xen's): it can be run by "
		              "--mode pv only");
	if (strlen(cmdline) >= CMDLINE_MAX)
		return hv_why(why, why_len, -EINVAL, "has a command line of more than %u bytes",
		              CMDLINE_MAX - 1);
	rc = load_segments(m, &f, &end, why, why_len);
	if (!rc)
		rc = load_ramdisk(m, image, end, &info, why, why_len);
	if (rc)
		return rc;
	memcpy(m->ram + CMDLINE, cmdline, strlen(cmdline) + 1);
	info.cmdline_paddr = CMDLINE;
	info.memmap_paddr = MEMORY_MAP;
	info.memmap_entries = write_map(m);
	memcpy(m->ram + START_INFO, &info, sizeof(info));
	m->start_info = START_INFO;
	return 0;
}
