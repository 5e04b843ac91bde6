/* SPDX-License-Identifier: MIT */
/*
 * bzImages (toolstack/unpack.c): headers made here, packed by the programs that are installed.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/unpack.h"

#define SETUP ((size_t)5 * 512) /* four sectors of set-up code behind the boot sector */
#define LIMIT (1u << 20)
#define ROOM  (1u << 17)

static struct file f;
static char why[512];

static void put32(size_t at, uint32_t n)
{
	memcpy(f.bytes + at, &n, sizeof(n));
}

/* A bzImage around packed bytes, as Linux lays it out: 0 sectors mean 4. */
static void make(const void *payload, size_t len)
{
	f.len = SETUP + 64 + len;
	f.bytes = calloc(1, f.len);
	ck_assert_ptr_nonnull(f.bytes);
	f.bytes[0x1fe] = 0x55;
	f.bytes[0x1ff] = 0xaa;
	memcpy(f.bytes + 0x202, "HdrS\x0f\x02", 6);
	put32(0x248, 64);
	put32(0x24c, (uint32_t)len);
	memcpy(f.bytes + SETUP + 64, payload, len);
	why[0] = 0;
}

static void teardown(void)
{
	file_free(&f);
}

/* ELF's first bytes and some more, packed by a command line; 0 when the program is not here. */
static size_t pack(const char *command, uint8_t *out, size_t image_len)
{
	char line[200], name[] = "/tmp/paravane-unpack-XXXXXX";
	int fd = mkstemp(name);
	size_t n;
	FILE *p;

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < image_len; i++) {
		uint8_t b = i < 4 ? (uint8_t) "\177ELF"[i] : (uint8_t)(i / 7);

		ck_assert_int_eq(write(fd, &b, 1), 1);
	}
	close(fd);
	snprintf(line, sizeof(line), "%s <%s 2>/dev/null", command, name);
	p = popen(line, "r");
	ck_assert_ptr_nonnull(p);
	n = fread(out, 1, ROOM, p);
	pclose(p);
	unlink(name);
	return n;
}

static const struct {
	const char *program, *command;
} packers[] = {
	{ "gzip", "gzip -c" }, { "xz", "xz -c" },    { "xz", "xz -c --format=lzma" },
	{ "zstd", "zstd -c" }, { "lz4", "lz4 -lc" }, { "bzip2", "bzip2 -c" },
	{ "lzop", "lzop -c" },
};

static uint8_t packed[ROOM];

START_TEST(what_the_usual_programs_pack_is_unpacked)
{
	const uint32_t size = 30000;
	size_t n = pack(packers[_i].command, packed, size);

	if (!n) {
		printf("SKIP unpack: no %s here\n", packers[_i].program);
		return;
	}
	/* Linux appends the length of the image. */
	memcpy(packed + n, &size, sizeof(size));
	make(packed, n + sizeof(size));
	ck_assert_msg(unpack_kernel(&f, "k", LIMIT, why, sizeof(why)) == 0, "%s", why);
	ck_assert_uint_eq(f.len, size);
	ck_assert_mem_eq(f.bytes, "\177ELF", 4);
	for (uint32_t i = 4; i < size; i++)
		ck_assert_uint_eq(f.bytes[i], (uint8_t)(i / 7));
}
END_TEST

START_TEST(a_kernel_that_is_not_packed_is_taken_as_it_is)
{
	make("\177ELF and more", 13);
	ck_assert_int_eq(unpack_kernel(&f, "k", LIMIT, why, sizeof(why)), 0);
	ck_assert_uint_eq(f.len, 13);
	ck_assert_mem_eq(f.bytes, "\177ELF and more", 13);
}
END_TEST

START_TEST(what_is_no_bzimage_stays_as_it_is)
{
	make("\177ELF", 4);
	f.bytes[0x202] = 'h';
	ck_assert_int_eq(unpack_kernel(&f, "k", LIMIT, why, sizeof(why)), 0);
	ck_assert_uint_eq(f.len, SETUP + 64 + 4);
	f.bytes[0x202] = 'H';
	f.len = 0x24f;
	ck_assert_int_eq(unpack_kernel(&f, "k", LIMIT, why, sizeof(why)), 0);
	ck_assert_uint_eq(f.len, 0x24f);
}
END_TEST

/* ---- hostile ---- */

static const struct {
	uint32_t offset, len;
} outside[] = {
	{ 64, 1000 }, { UINT32_MAX, 16 }, { 64, UINT32_MAX }, { UINT32_MAX, UINT32_MAX },
	{ 64, 0 },    { 70, 16 },
};

START_TEST(a_payload_outside_of_the_file_is_refused)
{
	make("\x1f\x8b..............", 16);
	put32(0x248, outside[_i].offset);
	put32(0x24c, outside[_i].len);
	ck_assert_int_eq(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, "name is a damaged bzImage") != NULL, "%s", why);
	ck_assert_uint_eq(f.len, SETUP + 64 + 16);
}
END_TEST

START_TEST(an_unknown_packing_and_an_old_header_are_named)
{
	make("nothing known...", 16);
	ck_assert_int_eq(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "unknown way"));
	f.bytes[0x206] = 0x07;
	ck_assert_int_eq(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "2.07"));
}
END_TEST

START_TEST(damaged_bytes_and_a_missing_program_are_told)
{
	make("\x1f\x8b"
	     "damaged bytes.",
	     16);
	ck_assert_int_lt(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "cannot be unpacked with gzip"));
	ck_assert_uint_eq(f.len, SETUP + 64 + 16);
	setenv("PATH", "/nowhere", 1);
	ck_assert_int_lt(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(strstr(why, "install it (Debian: gzip)"));
}
END_TEST

START_TEST(a_bomb_is_cut_off)
{
	size_t n = pack("{ head -c 50000000 /dev/zero | gzip -c; }", packed, 4);

	ck_assert_uint_gt(n, 0);
	make(packed, n);
	ck_assert_int_eq(unpack_kernel(&f, "name", LIMIT, why, sizeof(why)), -EFBIG);
	ck_assert_ptr_nonnull(strstr(why, "more than a kernel may have"));
}
END_TEST

Suite *unpack_suite(void);

Suite *unpack_suite(void)
{
	Suite *s = suite_create("unpack");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_loop_test(normal, what_the_usual_programs_pack_is_unpacked, 0,
	                    (int)(sizeof(packers) / sizeof(packers[0])));
	tcase_add_test(limits, a_kernel_that_is_not_packed_is_taken_as_it_is);
	tcase_add_test(limits, what_is_no_bzimage_stays_as_it_is);
	tcase_add_loop_test(hostile, a_payload_outside_of_the_file_is_refused, 0,
	                    (int)(sizeof(outside) / sizeof(outside[0])));
	tcase_add_test(hostile, an_unknown_packing_and_an_old_header_are_named);
	tcase_add_test(hostile, damaged_bytes_and_a_missing_program_are_told);
	tcase_add_test(hostile, a_bomb_is_cut_off);
	TCase *all[] = { normal, limits, hostile };
	for (int i = 0; i < 3; i++) {
		tcase_set_timeout(all[i], 60);
		tcase_add_checked_fixture(all[i], NULL, teardown);
		suite_add_tcase(s, all[i]);
	}
	return s;
}
