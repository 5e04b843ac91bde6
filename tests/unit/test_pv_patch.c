/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the rewriting of call sites: on a buffer that nobody runs. What the bytes mean was
 * looked up in the processor's manuals; the disassembler of a guest agrees (tests/guests/selftest
 * runs the result).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "pvops/patch.h"

Suite *pv_patch_suite(void);

#define SITE 64 /* where in the buffer */

static uint8_t code[256];
static uint64_t table[8];                            /* what the sites' indirect calls look at */
static uint64_t set_table[8];                        /* the set's functions */
static const uint8_t piece[] = { 0x0f, 0x01, 0x3f }; /* invlpg (%rdi) */
static const uint8_t branch[] = { 0x74, 0x05, 0xe8, 0x10, 0, 0, 0, 0xc3 }; /* je; call .+16 */

static const struct pv_patch_code codes[] = {
	{ 8, piece, piece + sizeof(piece), NULL },
	{ 16, branch, branch + sizeof(branch), branch + 3 },
};

static const struct pv_patch_set set = { codes, 2, set_table };

static struct pv_patch_site site_of(uint16_t op, uint8_t len, uint8_t is_jump)
{
	struct pv_patch_site s = { code + SITE, op, len, is_jump, 0 };
	uint32_t word = (uint32_t)((uintptr_t)table + op);

	memset(code, 0xcc, sizeof(code));
	code[SITE] = 0xff;
	code[SITE + 1] = is_jump ? 0x24 : 0x14;
	code[SITE + 2] = 0x25;
	memcpy(&code[SITE + 3], &word, 4);
	memset(&code[SITE + 7], 0x90, len > 7 ? len - 7u : 0);
	set_table[op / 8] = (uintptr_t)code + 200;
	return s;
}

/* Nothing but the site has changed. */
static void check_around(unsigned int len)
{
	unsigned int i;

	for (i = 0; i < sizeof(code); i++)
		if (i < SITE || i >= SITE + len)
			ck_assert_uint_eq(code[i], 0xcc);
}

START_TEST(piece_of_code_is_put_in_place)
{
	struct pv_patch_site s = site_of(8, 9, 0);

	ck_assert_int_eq(pv_patch_one(&s, &set, table), 0);
	ck_assert_mem_eq(code + SITE, piece, sizeof(piece));
	ck_assert_mem_eq(code + SITE + 3, "\x66\x0f\x1f\x44\x00\x00", 6);
	check_around(9);
}
END_TEST

/* A relative call inside the piece still goes where it went. */
START_TEST(relative_call_keeps_its_target)
{
	struct pv_patch_site s = site_of(16, 9, 0);
	int32_t d;
	int rc = pv_patch_one(&s, &set, table);

	memcpy(&d, code + SITE + 3, 4);
	if (rc == 0)
		ck_assert_uint_eq((uintptr_t)(code + SITE + 7) + (uint64_t)(int64_t)d,
		                  (uintptr_t)branch + 7 + 0x10);
	else /* the two are too far apart in this process: then a direct call */
		ck_assert_int_eq(rc, -XEN_EINVAL);
	check_around(9);
}
END_TEST

static const struct {
	uint8_t len, is_jump, opcode;
} direct[] = { { 7, 0, 0xe8 }, { 9, 0, 0xe8 }, { 27, 0, 0xe8 }, { 9, 1, 0xe9 } };

START_TEST(operation_without_a_piece_is_called_directly)
{
	struct pv_patch_site s = site_of(24, direct[_i].len, direct[_i].is_jump);
	int32_t d;

	ck_assert_int_eq(pv_patch_one(&s, &set, table), 0);
	ck_assert_uint_eq(code[SITE], direct[_i].opcode);
	memcpy(&d, code + SITE + 1, 4);
	ck_assert_int_eq(d, 200 - SITE - 5);
	check_around(direct[_i].len);
}
END_TEST

/* A jump, and a site with too little room, get the function, not the piece. */
START_TEST(piece_is_not_forced_in)
{
	static const uint8_t long_piece[20];
	const struct pv_patch_code one = { 32, long_piece, long_piece + 20, NULL };
	const struct pv_patch_set small = { &one, 1, set_table };
	struct pv_patch_site s = site_of(32, 19, 0);

	ck_assert_int_eq(pv_patch_one(&s, &small, table), 0);
	ck_assert_uint_eq(code[SITE], 0xe8);
	s = site_of(8, 9, 1);
	ck_assert_int_eq(pv_patch_one(&s, &set, table), 0);
	ck_assert_uint_eq(code[SITE], 0xe9);
}
END_TEST

/* Every length of padding decodes as no-operations of at most 11 bytes. */
START_TEST(padding_is_whole_instructions)
{
	struct pv_patch_site s = site_of(24, (uint8_t)(7 + _i), 0);
	const uint8_t *at = code + SITE + 5, *end = code + SITE + 7 + _i;
	unsigned int n = 0;

	ck_assert_int_eq(pv_patch_one(&s, &set, table), 0);
	for (; at < end; n++) {
		while (*at == 0x66 || *at == 0x2e)
			at++;
		if (*at == 0x90) {
			at++;
			continue;
		}
		ck_assert_uint_eq(at[0], 0x0f);
		ck_assert_uint_eq(at[1], 0x1f);
		switch (at[2]) {
		case 0x00:
			at += 3;
			break;
		case 0x40:
			at += 4;
			break;
		case 0x44:
			at += 5;
			break;
		case 0x80:
			at += 7;
			break;
		case 0x84:
			at += 8;
			break;
		default:
			ck_abort_msg("byte 0x%x", at[2]);
		}
	}
	ck_assert_ptr_eq(at, end);
	ck_assert_uint_le(n, (2u + _i + 10) / 11);
}
END_TEST

/* What does not look as it was compiled is left as it is. */
START_TEST(other_code_is_left_alone)
{
	struct pv_patch_site s = site_of(8, 9, 0);
	uint8_t before[sizeof(code)];

	code[SITE + _i] ^= 1;
	memcpy(before, code, sizeof(code));
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
	ck_assert_mem_eq(code, before, sizeof(code));
}
END_TEST

START_TEST(site_is_rewritten_once)
{
	struct pv_patch_site s = site_of(8, 9, 0);

	ck_assert_int_eq(pv_patch_one(&s, &set, table), 0);
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
}
END_TEST

START_TEST(impossible_sites_are_refused)
{
	struct pv_patch_site s = site_of(24, 9, 0);
	uint8_t before[sizeof(code)];

	memcpy(before, code, sizeof(code));
	s.len = 6;
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
	s.len = 33;
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
	s.len = 9;
	set_table[3] = 0; /* an operation that the set does not have */
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
	set_table[3] = (uintptr_t)code + (1ull << 33); /* out of reach */
	ck_assert_int_eq(pv_patch_one(&s, &set, table), -XEN_EINVAL);
	ck_assert_mem_eq(code, before, sizeof(code));
}
END_TEST

Suite *pv_patch_suite(void)
{
	Suite *s = suite_create("pv_patch");
	TCase *tc = tcase_create("normal");

	tcase_add_test(tc, piece_of_code_is_put_in_place);
	tcase_add_test(tc, relative_call_keeps_its_target);
	tcase_add_loop_test(tc, operation_without_a_piece_is_called_directly, 0, 4);
	tcase_add_test(tc, piece_is_not_forced_in);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_loop_test(tc, padding_is_whole_instructions, 0, 26);
	tcase_add_test(tc, impossible_sites_are_refused);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_add_loop_test(tc, other_code_is_left_alone, 0, 7);
	tcase_add_test(tc, site_is_rewritten_once);
	suite_add_tcase(s, tc);
	return s;
}
