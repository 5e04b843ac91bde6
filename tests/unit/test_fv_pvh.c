/* SPDX-License-Identifier: MIT */
/*
 * The loader of kernels that are entered without paging: fullvirt/pvh.c. What a kernel finds, and that
 * no image writes outside of memory.
 */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/elfnote.h"
#include "abi/pvh.h"
#include "hypervisor-stub/fullvirt/pvh.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define RAM          (8u << 20)
#define TEXT         "the kernel"

static struct {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2]; /* what is loaded, the note */
	struct {
		Elf64_Nhdr nh;
		char name[4];
		uint32_t entry;
	} note;
	char text[16];
} file;

static struct fv_machine m;
static struct fv_image image;
static char why[512];

static void setup(void)
{
	memset(&file, 0, sizeof(file));
	memset(&m, 0, sizeof(m));
	memcpy(file.eh.e_ident, ELFMAG, SELFMAG);
	file.eh.e_ident[EI_CLASS] = ELFCLASS64;
	file.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	file.eh.e_ident[EI_VERSION] = EV_CURRENT;
	file.eh.e_type = ET_EXEC;
	file.eh.e_machine = EM_X86_64;
	file.eh.e_version = EV_CURRENT;
	file.eh.e_ehsize = sizeof(file.eh);
	file.eh.e_phoff = offsetof(__typeof__(file), ph);
	file.eh.e_phentsize = sizeof(file.ph[0]);
	file.eh.e_phnum = 2;
	file.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
		                   .p_offset = offsetof(__typeof__(file), text),
		                   .p_paddr = 0x100000,
		                   .p_filesz = sizeof(file.text),
		                   .p_memsz = 0x2000 };
	file.ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE,
		                   .p_offset = offsetof(__typeof__(file), note),
		                   .p_filesz = sizeof(file.note) };
	file.note.nh = (Elf64_Nhdr){ 4, 4, XEN_ELFNOTE_PHYS32_ENTRY };
	memcpy(file.note.name, "Xen", 4);
	file.note.entry = 0x100004;
	strcpy(file.text, TEXT);
	m.ram_bytes = RAM;
	m.ram = malloc(RAM);
	ck_assert_ptr_nonnull(m.ram);
	memset(m.ram, 0xee, RAM);
	image = (struct fv_image){ .kernel = &file, .kernel_len = sizeof(file), .cmdline = "a b" };
	why[0] = 0;
}

static void teardown(void)
{
	free(m.ram);
}

static int load(void)
{
	return fv_pvh_load(&m, &image, why, sizeof(why));
}

static const struct hvm_start_info *info(void)
{
	return (const void *)(m.ram + m.start_info);
}

START_TEST(a_kernel_is_loaded_and_told)
{
	const struct hvm_memmap_table_entry *map;

	ck_assert_msg(!load(), "%s", why);
	ck_assert_uint_eq(m.entry, 0x100004);
	ck_assert_str_eq((char *)m.ram + 0x100000, TEXT);
	ck_assert_uint_eq(m.ram[0x101fff], 0); /* behind what the file has */
	ck_assert_uint_eq(m.ram[0x102000], 0xee);
	ck_assert_uint_eq(info()->magic, XEN_HVM_START_MAGIC_VALUE);
	ck_assert_uint_eq(info()->version, 1);
	ck_assert_uint_eq(info()->nr_modules, 0);
	ck_assert_str_eq((char *)m.ram + info()->cmdline_paddr, "a b");
	map = (const void *)(m.ram + info()->memmap_paddr);
	ck_assert_uint_eq(info()->memmap_entries, 3);
	ck_assert_uint_eq(map[0].size, FV_HOLE);
	ck_assert_uint_eq(map[1].type, XEN_HVM_MEMMAP_TYPE_RESERVED);
	ck_assert_uint_eq(map[2].addr + map[2].size, RAM);
}
END_TEST

START_TEST(a_ramdisk_lies_at_the_end_of_memory)
{
	const struct hvm_modlist_entry *module;

	image.ramdisk = "ramdisk";
	image.ramdisk_len = 8;
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(info()->nr_modules, 1);
	module = (const void *)(m.ram + info()->modlist_paddr);
	ck_assert_uint_eq(module->size, 8);
	ck_assert_uint_eq(module->paddr, RAM - 4096);
	ck_assert_str_eq((char *)m.ram + module->paddr, "ramdisk");
}
END_TEST

static const struct {
	uint64_t paddr, memsz;
	int rc;
} places[] = {
	{ RAM - 0x2000, 0x2000, 0 },
	{ RAM - 0x2000, 0x2001, -ENOSPC },
	{ RAM, 0x10, -ENOSPC },
	{ 0x10000, 0x2000, 0 },
	{ 0xffff, 0x2000, -ENOSPC }, /* where we put what it is told */
	{ FV_HOLE - 0x2000, 0x2000, 0 },
	{ FV_HOLE - 0x2000, 0x2001, -ENOSPC },
	{ FV_HOLE, 0x10, -ENOSPC },
	{ FV_HOLE_END - 1, 0x10, -ENOSPC },
	{ UINT64_MAX - 8, 0x2000, -ENOSPC },
	{ 0x100000, UINT64_MAX, -ENOSPC },
};

START_TEST(a_segment_goes_to_memory_or_nowhere)
{
	file.ph[0].p_paddr = places[_i].paddr;
	file.ph[0].p_memsz = places[_i].memsz;
	ck_assert_int_eq(load(), places[_i].rc);
	ck_assert_int_eq(why[0] != 0, places[_i].rc != 0);
}
END_TEST

static void spoil(int what)
{
	switch (what) {
	case 0:
		file.note.nh.n_type = 1;
		break;
	case 1:
		memcpy(file.note.name, "GNU", 4);
		break;
	case 2:
		file.note.entry = 0;
		break;
	case 3:
		file.ph[0].p_offset = sizeof(file);
		break;
	case 4:
		file.ph[0].p_filesz = UINT64_MAX;
		break;
	case 5:
		file.ph[0].p_memsz = 8; /* less than the file has */
		break;
	case 6:
		file.ph[0].p_type = PT_NULL;
		break;
	case 7:
		file.eh.e_machine = EM_386;
		break;
	default:
		file.ph[1].p_filesz = UINT64_MAX;
		break;
	}
}

START_TEST(what_is_no_such_kernel_is_refused_with_a_sentence)
{
	spoil(_i);
	ck_assert_int_eq(load(), -EINVAL);
	ck_assert_int_ne(why[0], 0);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	char *words = malloc(0x3000);

	image.ramdisk = words;
	image.ramdisk_len = RAM;
	ck_assert_int_eq(load(), -ENOSPC);
	image.ramdisk_len = SIZE_MAX;
	ck_assert_int_eq(load(), -ENOSPC);
	image.ramdisk = NULL;
	memset(words, 'x', 0x2000);
	words[0x2000] = 0;
	image.cmdline = words;
	ck_assert_int_eq(load(), -EINVAL);
	words[0x1fff] = 0;
	ck_assert_int_eq(load(), 0);
	free(words);
}
END_TEST

Suite *fv_pvh_suite(void);
Suite *fv_pvh_suite(void)
{
	Suite *suite = suite_create("fv_pvh");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_test(normal, a_kernel_is_loaded_and_told);
	tcase_add_test(normal, a_ramdisk_lies_at_the_end_of_memory);
	suite_add_tcase(suite, normal);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_loop_test(limits, a_segment_goes_to_memory_or_nowhere, 0, ARRAY_LEN(places));
	tcase_add_test(limits, what_does_not_fit_is_refused);
	suite_add_tcase(suite, limits);
	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_add_loop_test(hostile, what_is_no_such_kernel_is_refused_with_a_sentence, 0, 9);
	suite_add_tcase(suite, hostile);
	return suite;
}
