/* SPDX-License-Identifier: MIT */
/*
 * Kernel images, read: what a correct one says, and that every kind of broken one gets a sentence
 * that names the fact. core/elf.c and core/image.c.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/elfnote.h"
#include "abi/features.h"
#include "hypervisor-stub/core/image.h"
#include "tests/fake/elf_maker.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct elf_maker m;
static struct hv_image img;
static char why[512];

static void setup(void)
{
	elf_maker_init(&m);
	why[0] = 0;
}

static void teardown(void)
{
	elf_maker_free(&m);
}

/* Parses a copy of exactly the given length, so that a sanitizer sees a read beyond it. */
static int parse_exact(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, bytes, len);
	rc = hv_image_parse(&img, copy, len, why, sizeof(why));
	free(copy);
	return rc;
}

static int parse(void)
{
	elf_make(&m);
	return parse_exact(m.bytes, m.len);
}

/* ---- normal ---- */

START_TEST(a_plain_image_is_placed_by_physical_address)
{
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.virt_base, 0);
	ck_assert_uint_eq(img.kstart, ELF_MAKER_BASE);
	ck_assert_uint_eq(img.kend, ELF_MAKER_BASE + 8192);
	ck_assert_uint_eq(img.entry, ELF_MAKER_BASE + 16);
	ck_assert_uint_eq(img.hypercall_page, ELF_MAKER_BASE + 4096);
	ck_assert_uint_eq(img.init_p2m, HV_IMAGE_UNSET);
	ck_assert(!img.mod_start_pfn);
	ck_assert_str_eq(img.guest_os, "test");
}
END_TEST

START_TEST(notes_are_read_from_sections_when_no_segment_has_them)
{
	m.notes_in_section = 1;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.entry, ELF_MAKER_BASE + 16);
}
END_TEST

/* What Mini-OS says: everything from 0 on, and which page is the hypercall page. */
START_TEST(the_string_from_before_the_notes_says_the_same)
{
	m.nr_notes = 0;
	m.segment[0].paddr = 0;
	m.ehdr.e_entry = 0;
	m.extra_section = "__xen_guest";
	m.extra_text = "GUEST_OS=Mini-OS,XEN_VER=xen-3.0,VIRT_BASE=0x0,ELF_PADDR_OFFSET=0x0,"
		       "HYPERCALL_PAGE=0x1,LOADER=generic,PAE=yes,UNKNOWN,FEATURES=a|"
		       "writable_page_tables";
	ck_assert_int_eq(parse(), 0);
	ck_assert_str_eq(img.guest_os, "Mini-OS");
	ck_assert_uint_eq(img.virt_base, 0);
	ck_assert_uint_eq(img.kstart, 0);
	ck_assert_uint_eq(img.entry, 0);
	ck_assert_uint_eq(img.hypercall_page, 4096);
	ck_assert_uint_eq(img.features, 1u << XENFEAT_writable_page_tables);
}
END_TEST

START_TEST(with_the_old_string_p_paddr_is_virtual)
{
	const uint64_t base = 0xffffffff80000000;

	m.nr_notes = 0;
	m.segment[0].paddr = base + ELF_MAKER_BASE;
	m.extra_section = "__xen_guest";
	m.extra_text = "LOADER=generic,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,"
		       "VIRT_ENTRY=0xffffffff80100010,HYPERCALL_PAGE=0x101,BSD_SYMTAB";
	m.symbol[0].name = "one";
	m.nr_symbols = 1;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.kstart, base + ELF_MAKER_BASE);
	ck_assert_uint_eq(img.entry, base + ELF_MAKER_BASE + 16);
	ck_assert_uint_eq(img.hypercall_page, base + ELF_MAKER_BASE + 4096);
	ck_assert_uint_ne(img.symtab.va, HV_IMAGE_UNSET);
}
END_TEST

START_TEST(a_high_image_is_loaded_low)
{
	const uint64_t base = 0xffffffff80000000;

	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	elf_maker_number(&m, XEN_ELFNOTE_VIRT_BASE, base);
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, base + ELF_MAKER_BASE + 32);
	elf_maker_number(&m, XEN_ELFNOTE_INIT_P2M, 0x8000000000);
	elf_maker_number(&m, XEN_ELFNOTE_MOD_START_PFN, 1);
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.kstart, base + ELF_MAKER_BASE);
	ck_assert_uint_eq(img.segment[0].va, base + ELF_MAKER_BASE);
	ck_assert_uint_eq(img.init_p2m, 0x8000000000);
	ck_assert_uint_eq(img.hypercall_page, HV_IMAGE_UNSET);
	ck_assert(img.mod_start_pfn);
}
END_TEST

START_TEST(paddr_offset_is_taken_off_the_physical_addresses)
{
	const uint64_t base = 0xffffffff80000000;

	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	elf_maker_number(&m, XEN_ELFNOTE_VIRT_BASE, base);
	elf_maker_number(&m, XEN_ELFNOTE_PADDR_OFFSET, base);
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, base + ELF_MAKER_BASE);
	m.segment[0].paddr = base + ELF_MAKER_BASE;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.kstart, base + ELF_MAKER_BASE);
}
END_TEST

START_TEST(without_the_note_the_header_has_the_entry_and_it_may_be_0)
{
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	m.segment[0].paddr = 0;
	m.ehdr.e_entry = 0;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.entry, 0);
	ck_assert_uint_eq(img.kstart, 0);
}
END_TEST

START_TEST(features_are_collected_from_both_notes)
{
	elf_maker_text(&m, XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb|what");
	m.note[m.nr_notes++] = (struct elf_maker_note){ .type = XEN_ELFNOTE_SUPPORTED_FEATURES,
		                                        .number = 1u << XENFEAT_dom0,
		                                        .size = 4 };
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.features, 1u << XENFEAT_writable_page_tables |
	                                        1u << XENFEAT_pae_pgdir_above_4gb |
	                                        1u << XENFEAT_dom0);
	ck_assert_uint_eq(img.features_required, 1u << XENFEAT_writable_page_tables);
}
END_TEST

START_TEST(notes_of_others_and_unknown_notes_are_passed_over)
{
	m.note[m.nr_notes++] =
		(struct elf_maker_note){ .owner = "GNU", .type = 3, .number = 7, .size = 5 };
	elf_maker_number(&m, 99, 1);
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, ELF_MAKER_BASE + 16); /* twice, but the same */
	elf_maker_number(&m, XEN_ELFNOTE_PHYS32_ENTRY, ELF_MAKER_BASE);
	ck_assert_int_eq(parse(), 0);
}
END_TEST

START_TEST(a_symbol_table_is_placed_behind_the_image_when_it_is_wanted)
{
	uint8_t header[HV_SYMTAB_HEADER];
	Elf64_Ehdr e;
	Elf64_Shdr sh[3];
	uint32_t len;

	m.symbol[0].name = "start";
	m.symbol[0].value = ELF_MAKER_BASE;
	m.nr_symbols = 1;
	ck_assert_int_eq(parse(), 0);
	ck_assert_uint_eq(img.symtab.va, HV_IMAGE_UNSET);
	elf_maker_text(&m, XEN_ELFNOTE_BSD_SYMTAB, "yes");
	elf_make(&m);
	ck_assert_int_eq(hv_image_parse(&img, m.bytes, m.len, why, sizeof(why)), 0);
	/* 260 bytes of headers, two symbols of 24, "\0start\0" of 7; each rounded up to 8. */
	ck_assert_uint_eq(img.symtab.va, ELF_MAKER_BASE + 8192);
	ck_assert_uint_eq(img.symtab.symbols_va, img.symtab.va + 264);
	ck_assert_uint_eq(img.symtab.strings_va, img.symtab.va + 264 + 48);
	ck_assert_uint_eq(img.kend, img.symtab.va + 264 + 48 + 8);
	hv_image_symtab_header(&img, header);
	memcpy(&len, header, 4);
	memcpy(&e, header + 4, sizeof(e));
	memcpy(sh, header + 4 + sizeof(e), sizeof(sh));
	ck_assert_uint_eq(len, 264 + 48 + 7 - 4);
	ck_assert_uint_eq(e.e_shnum, 3);
	ck_assert_uint_eq(e.e_phnum, 0);
	ck_assert_uint_eq(sh[1].sh_offset, 264 - 4);
	ck_assert_uint_eq(sh[1].sh_link, 2);
	ck_assert_uint_eq(sh[2].sh_offset, 264 + 48 - 4);
}
END_TEST

/* ---- limits: each row breaks one thing ---- */

static void not_elf(void)
{
	memcpy(m.ehdr.e_ident, "MZ\0\0", 4);
}
static void class32(void)
{
	m.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
}
static void big_endian(void)
{
	m.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
}
static void for_arm(void)
{
	m.ehdr.e_machine = EM_AARCH64;
}
static void object_file(void)
{
	m.ehdr.e_type = ET_REL;
}
static void short_headers(void)
{
	m.ehdr.e_phentsize = 40;
}
static void no_segment(void)
{
	m.nr_segments = 0;
}
static void nobody_may_touch_it(void)
{
	m.segment[0].flags = 0;
}
static void more_file_than_memory(void)
{
	m.segment[0].memsz = 4096;
}
static void beyond_the_file(void)
{
	m.segment[0].filesz = m.segment[0].memsz = 1u << 30;
}
static void wrapping_segment(void)
{
	m.segment[0].memsz = UINT64_MAX - 4096;
}
static void overlapping(void)
{
	m.segment[1] = m.segment[0];
	m.segment[1].paddr += 8191;
	m.nr_segments = 2;
}
static void overlapping_upwards(void)
{
	m.segment[1] = m.segment[0];
	m.segment[0].paddr += 4096;
	m.nr_segments = 2;
}
static void unaligned(void)
{
	m.segment[0].paddr += 16;
}
static void no_notes(void)
{
	m.nr_notes = 0;
}
static void empty_old_string(void)
{
	m.nr_notes = 0;
	m.extra_section = "__xen_guest";
}
static void old_version(void)
{
	m.nr_notes = 0;
	m.extra_section = "__xen_guest";
	m.extra_text = "LOADER=generic,XEN_VER=xen-2.0";
}
static void two_old_bases(void)
{
	m.nr_notes = 0;
	m.extra_section = "__xen_guest";
	m.extra_text = "LOADER=generic,XEN_VER=xen-3.0,VIRT_BASE=0x1000,VIRT_BASE=0x2000";
}
static void other_loader(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_LOADER);
	elf_maker_text(&m, XEN_ELFNOTE_LOADER, "grub\x1b[31m");
}
static void pvh_only(void)
{
	m.nr_notes = 0;
	elf_maker_number(&m, XEN_ELFNOTE_PHYS32_ENTRY, ELF_MAKER_BASE);
}
static void other_version(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_XEN_VERSION);
	elf_maker_text(&m, XEN_ELFNOTE_XEN_VERSION, "xen-2.0");
}
static void two_entries(void)
{
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, ELF_MAKER_BASE + 32);
}
static void odd_number(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	m.note[m.nr_notes++] =
		(struct elf_maker_note){ .type = XEN_ELFNOTE_ENTRY, .number = 1, .size = 3 };
}
static void offset_without_base(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_number(&m, XEN_ELFNOTE_PADDR_OFFSET, 0);
}
static void offset_too_high(void)
{
	elf_maker_number(&m, XEN_ELFNOTE_PADDR_OFFSET, ELF_MAKER_BASE + 4096);
}
static void base_inside_page(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_number(&m, XEN_ELFNOTE_VIRT_BASE, 12);
}
static void base_at_the_end(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_VIRT_BASE);
	elf_maker_number(&m, XEN_ELFNOTE_VIRT_BASE, UINT64_MAX - 0xfffff);
}
static void entry_outside(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	elf_maker_number(&m, XEN_ELFNOTE_ENTRY, ELF_MAKER_BASE + 8192);
}
static void entry_of_header_outside(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_ENTRY);
	m.ehdr.e_entry = 0;
}
static void page_outside(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	elf_maker_number(&m, XEN_ELFNOTE_HYPERCALL_PAGE, ELF_MAKER_BASE + 8192);
}
static void page_unaligned(void)
{
	elf_maker_drop(&m, XEN_ELFNOTE_HYPERCALL_PAGE);
	elf_maker_number(&m, XEN_ELFNOTE_HYPERCALL_PAGE, ELF_MAKER_BASE + 32);
}
static void p2m_inside(void)
{
	elf_maker_number(&m, XEN_ELFNOTE_INIT_P2M, ELF_MAKER_BASE + 4096);
}
static void needs_ring0(void)
{
	elf_maker_text(&m, XEN_ELFNOTE_FEATURES, "pae_pgdir_above_4gb|!supervisor_mode_kernel");
}
static void needs_unknown(void)
{
	elf_maker_text(&m, XEN_ELFNOTE_FEATURES, "!teleportation");
}
static void needs_dom0(void)
{
	elf_maker_text(&m, XEN_ELFNOTE_FEATURES, "!dom0");
}

static const struct {
	void (*spoil)(void);
	const char *says;
} broken[] = {
	{ not_elf, "not an ELF file" },
	{ class32, "not 64-bit" },
	{ big_endian, "little-endian" },
	{ for_arm, "not for x86-64" },
	{ object_file, "not an executable" },
	{ short_headers, "headers of 40 bytes" },
	{ no_segment, "no loadable segment" },
	{ nobody_may_touch_it, "no loadable segment" },
	{ more_file_than_memory, "than its memory" },
	{ beyond_the_file, "truncated" },
	{ wrapping_segment, "wraps around" },
	{ overlapping, "overlapping segments" },
	{ overlapping_upwards, "overlapping segments" },
	{ unaligned, "begins inside a page" },
	{ no_notes, "no Xen ELF notes" },
	{ empty_old_string, "loader ''" },
	{ old_version, "xen-2.0" },
	{ two_old_bases, "contradict" },
	{ other_loader, "loader 'grub?[31m'" },
	{ pvh_only, "only be entered by PVH" },
	{ other_version, "xen-2.0" },
	{ two_entries, "contradict" },
	{ odd_number, "note ENTRY of 3 bytes" },
	{ offset_without_base, "but not VIRT_BASE" },
	{ offset_too_high, "contradict" },
	{ base_inside_page, "VIRT_BASE" },
	{ base_at_the_end, "beyond the address space" },
	{ entry_outside, "from the note ENTRY" },
	{ entry_of_header_outside, "from the ELF header" },
	{ page_outside, "HYPERCALL_PAGE" },
	{ page_unaligned, "HYPERCALL_PAGE" },
	{ p2m_inside, "INIT_P2M" },
	{ needs_ring0, "requires the feature supervisor_mode_kernel" },
	{ needs_unknown, "'teleportation'" },
	{ needs_dom0, "dom0" },
};

START_TEST(a_broken_image_gets_a_sentence_with_the_fact_and_a_remedy)
{
	broken[_i].spoil();
	ck_assert_int_eq(parse(), -EINVAL);
	ck_assert_msg(strstr(why, broken[_i].says), "'%s' is not in: %s", broken[_i].says, why);
	ck_assert_msg(strstr(why, "; "), "no remedy in: %s", why);
	ck_assert_msg(!strchr(why, '\n') && !strchr(why, '\x1b'), "more than a sentence: %s", why);
}
END_TEST

static const struct {
	size_t off;
	const char *magic;
	size_t len;
	const char *says;
} containers[] = {
	{ 0x202, "HdrS", 4, "a bzImage" },
	{ 0, "\x1f\x8b\x08", 3, "gzip" },
	{ 0,
	  "\xfd"
	  "7zXZ",
	  6, "xz" },
	{ 0, "\x28\xb5\x2f\xfd", 4, "zstd" },
	{ 0, "\x02\x21\x4c\x18", 4, "lz4" },
	{ 0, "BZh9", 4, "bzip2" },
};

START_TEST(a_compressed_kernel_is_named_for_what_it_is)
{
	uint8_t bytes[0x300] = { 0 };

	memcpy(bytes + containers[_i].off, containers[_i].magic, containers[_i].len);
	ck_assert_int_eq(parse_exact(bytes, sizeof(bytes)), -EINVAL);
	ck_assert_msg(strstr(why, containers[_i].says), "%s", why);
}
END_TEST

/* ---- hostile ---- */

START_TEST(a_file_cut_anywhere_is_refused_or_read_within_its_bounds)
{
	int refused = 0;

	elf_make(&m);
	for (size_t len = 0; len < m.len; len += len < 1024 ? 1 : 97)
		refused += parse_exact(m.bytes, len) != 0;
	/* The section headers come last, so every cut misses something. */
	ck_assert_int_gt(refused, 1000);
	ck_assert_int_eq(parse_exact(m.bytes, m.len - 1), -EINVAL);
	ck_assert_msg(strstr(why, "truncated"), "%s", why);
}
END_TEST

START_TEST(no_single_byte_can_make_the_reader_leave_the_file)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	size_t end;

	elf_make(&m);
	end = m.note_off + 512;
	for (size_t at = 0; at < end; at++) {
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			uint8_t was = m.bytes[at];

			m.bytes[at] = values[i];
			if (!parse_exact(m.bytes, m.len)) {
				ck_assert_uint_le(img.kstart, img.entry);
				ck_assert_uint_lt(img.entry, img.kend);
			}
			m.bytes[at] = was;
		}
	}
	ck_assert_int_eq(parse_exact(m.bytes, m.len), 0);
}
END_TEST

START_TEST(the_old_string_is_read_within_its_section)
{
	static char text[600] = "LOADER=generic,XEN_VER=xen-3.0,";

	m.nr_notes = 0;
	m.extra_section = "__xen_guest";
	m.extra_text = text;
	memset(text + strlen(text), 'A', 300); /* a name without an end */
	elf_make(&m);
	ck_assert_int_eq(parse_exact(m.bytes, m.len), 0);
	memcpy(text + 31, "FEATURES=", 9); /* a value without an end */
	elf_make(&m);
	ck_assert_int_eq(parse_exact(m.bytes, m.len), 0);
	for (size_t len = 0; len < m.len; len += 7)
		parse_exact(m.bytes, len);
}
END_TEST

START_TEST(a_note_that_runs_past_its_area_is_refused)
{
	Elf64_Nhdr h;

	elf_make(&m);
	memcpy(&h, m.bytes + m.note_off, sizeof(h));
	h.n_namesz = UINT32_MAX;
	memcpy(m.bytes + m.note_off, &h, sizeof(h));
	ck_assert_int_eq(parse_exact(m.bytes, m.len), -EINVAL);
	ck_assert_msg(strstr(why, "runs past the end"), "%s", why);
}
END_TEST

START_TEST(many_headers_of_the_same_notes_do_not_take_for_ever)
{
	const unsigned nr = 60000;
	size_t len = sizeof(Elf64_Ehdr) + nr * sizeof(Elf64_Phdr) + 120000;
	uint8_t *bytes = calloc(1, len);
	Elf64_Ehdr e = m.ehdr;
	Elf64_Phdr load = { .p_type = PT_LOAD, .p_flags = PF_R, .p_memsz = 4096 };

	e.e_phoff = sizeof(e);
	e.e_phnum = nr;
	memcpy(bytes, &e, sizeof(e));
	for (unsigned i = 0; i < nr; i++) {
		Elf64_Phdr ph = { .p_type = PT_NOTE, .p_filesz = 120000 };

		ph.p_offset = len - 120000;
		memcpy(bytes + sizeof(e) + i * sizeof(ph), &ph, sizeof(ph));
	}
	memcpy(bytes + sizeof(e), &load, sizeof(load));
	ck_assert_int_eq(hv_image_parse(&img, bytes, len, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, "more than 65536 notes"), "%s", why);
	free(bytes);
}
END_TEST

Suite *elf_suite(void);
Suite *elf_suite(void)
{
	Suite *s = suite_create("elf");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_test(normal, a_plain_image_is_placed_by_physical_address);
	tcase_add_test(normal, notes_are_read_from_sections_when_no_segment_has_them);
	tcase_add_test(normal, the_string_from_before_the_notes_says_the_same);
	tcase_add_test(normal, with_the_old_string_p_paddr_is_virtual);
	tcase_add_test(normal, a_high_image_is_loaded_low);
	tcase_add_test(normal, paddr_offset_is_taken_off_the_physical_addresses);
	tcase_add_test(normal, without_the_note_the_header_has_the_entry_and_it_may_be_0);
	tcase_add_test(normal, features_are_collected_from_both_notes);
	tcase_add_test(normal, notes_of_others_and_unknown_notes_are_passed_over);
	tcase_add_test(normal, a_symbol_table_is_placed_behind_the_image_when_it_is_wanted);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_loop_test(limits, a_broken_image_gets_a_sentence_with_the_fact_and_a_remedy, 0,
	                    ARRAY_LEN(broken));
	tcase_add_loop_test(limits, a_compressed_kernel_is_named_for_what_it_is, 0,
	                    ARRAY_LEN(containers));
	suite_add_tcase(s, limits);

	tcase_add_checked_fixture(hostile, setup, teardown);
	tcase_set_timeout(hostile, 60);
	tcase_add_test(hostile, a_file_cut_anywhere_is_refused_or_read_within_its_bounds);
	tcase_add_test(hostile, no_single_byte_can_make_the_reader_leave_the_file);
	tcase_add_test(hostile, the_old_string_is_read_within_its_section);
	tcase_add_test(hostile, a_note_that_runs_past_its_area_is_refused);
	tcase_add_test(hostile, many_headers_of_the_same_notes_do_not_take_for_ever);
	suite_add_tcase(s, hostile);
	return s;
}
