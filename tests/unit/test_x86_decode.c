/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder: lengths against GNU objdump's (a table made by tests/tools/x86-lengths.py),
 * fields against hand-checked encodings, its limits, and byte strings that mean harm.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hypervisor-stub/core/x86/decode.h"
#include "tests/unit/x86_lengths.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static size_t from_hex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;

	for (; hex[0] && n < room; hex++) {
		char pair[3] = { hex[0], hex[1], 0 };

		if (hex[0] == ' ')
			continue;
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex++;
	}
	return n;
}

static enum x86_decode_result decode_hex(struct x86_insn *insn, const char *hex, unsigned mode)
{
	uint8_t bytes[32];
	size_t n = from_hex(hex, bytes, sizeof(bytes));

	return x86_decode(insn, bytes, n, mode);
}

/* Whatever follows an instruction does not change its length, and without its last byte it is short. */
static void check_length(const char *hex, unsigned mode)
{
	uint8_t bytes[32];
	struct x86_insn insn;
	size_t i, n;

	memset(bytes, 0xcc, sizeof(bytes));
	n = from_hex(hex, bytes, sizeof(bytes));
	ck_assert_msg(x86_decode(&insn, bytes, sizeof(bytes), mode) == X86_DECODE_OK, "%s", hex);
	ck_assert_msg(insn.len == n, "%s: %u instead of %zu", hex, insn.len, n);
	ck_assert_int_eq(x86_decode(&insn, bytes, n, mode), X86_DECODE_OK);
	for (i = 0; i < n; i++)
		ck_assert_msg(x86_decode(&insn, bytes, i, mode) == X86_DECODE_SHORT,
		              "%s cut to %zu", hex, i);
}

START_TEST(every_encoding_has_the_length_that_objdump_gives_it)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(code64); i++)
		check_length(code64[i], X86_MODE_64 | X86_MODE_AMD);
	for (i = 0; i < ARRAY_LEN(code32); i++)
		check_length(code32[i], X86_MODE_32 | X86_MODE_AMD);
	for (i = 0; i < ARRAY_LEN(code16); i++)
		check_length(code16[i], X86_MODE_16 | X86_MODE_AMD);
}
END_TEST

static const struct {
	const char *hex;
	unsigned mode;
	uint8_t map, opcode, opsize, addrsize, reg, seg, base, index, scale;
	int64_t disp;
	uint64_t imm;
} fields[] = {
	/* mov rax, [rbx + rcx*4 + 0x10] */
	{ "488b448b10", X86_MODE_64, 0, 0x8b, 8, 8, 0, X86_SEG_DS, X86_RBX, X86_RCX, 4, 0x10, 0 },
	/* add word fs:[r13 - 1], -2 */
	{ "66644183 45fffe", X86_MODE_64, 0, 0x83, 2, 8, 0, X86_SEG_FS, X86_R13, 0xff, 1, -1,
	  ~1ull },
	/* mov [rsp + r12*8], r15d */
	{ "46893ce4", X86_MODE_64, 0, 0x89, 4, 8, 15, X86_SEG_SS, X86_RSP, X86_R12, 8, 0, 0 },
	/* mov eax, [disp32], no base, no index */
	{ "8b042578563412", X86_MODE_64, 0, 0x8b, 4, 8, 0, X86_SEG_DS, 0xff, 0xff, 1, 0x12345678,
	  0 },
	/* mov rax, imm64 */
	{ "48b8efcdab8967452301", X86_MODE_64, 0, 0xb8, 8, 8, 0, X86_SEG_NONE, 0xff, 0xff, 1, 0,
	  0x0123456789abcdef },
	/* movzx ecx, word [bp + si - 128] in 16-bit code, 66 */
	{ "660fb74a80", X86_MODE_16, 1, 0xb7, 4, 2, 1, X86_SEG_SS, X86_RBP, X86_RSI, 1, -128, 0 },
	/* mov al, [0x1234] in 16-bit code */
	{ "8a061234", X86_MODE_16, 0, 0x8a, 2, 2, 0, X86_SEG_DS, 0xff, 0xff, 1, 0x3412, 0 },
	/* push qword [rax]; 64 bits without REX.W */
	{ "ff30", X86_MODE_64, 0, 0xff, 8, 8, 6, X86_SEG_DS, X86_RAX, 0xff, 1, 0, 0 },
	/* es: does nothing in 64-bit code; REX before a legacy prefix does not count */
	{ "26488b00", X86_MODE_64, 0, 0x8b, 8, 8, 0, X86_SEG_DS, X86_RAX, 0xff, 1, 0, 0 },
	{ "48268b00", X86_MODE_64, 0, 0x8b, 4, 8, 0, X86_SEG_DS, X86_RAX, 0xff, 1, 0, 0 },
	{ "268b00", X86_MODE_32, 0, 0x8b, 4, 4, 0, X86_SEG_ES, X86_RAX, 0xff, 1, 0, 0 },
	/* jmp far 0x10:0x12345678 */
	{ "ea785634121000", X86_MODE_32, 0, 0xea, 4, 4, 0, X86_SEG_NONE, 0xff, 0xff, 1, 0,
	  0x12345678 },
	/* vmovups zmm17{k1}, [rax + 0x40] as a scaled displacement of 1 */
	{ "62e17c49104801", X86_MODE_64, 1, 0x10, 4, 8, 17, X86_SEG_DS, X86_RAX, 0xff, 1, 1, 0 },
	/* mov cr3, rax, though mod says memory with a displacement */
	{ "0f2258", X86_MODE_64, 1, 0x22, 8, 8, 3, X86_SEG_NONE, 0xff, 0xff, 1, 0, 0 },
};

START_TEST(fields_are_those_of_the_encoding)
{
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, fields[_i].hex, fields[_i].mode), X86_DECODE_OK);
	ck_assert_uint_eq(insn.map, fields[_i].map);
	ck_assert_uint_eq(insn.opcode, fields[_i].opcode);
	ck_assert_uint_eq(insn.opsize, fields[_i].opsize);
	ck_assert_uint_eq(insn.addrsize, fields[_i].addrsize);
	ck_assert_uint_eq(insn.reg, fields[_i].reg);
	ck_assert_uint_eq(insn.seg, fields[_i].seg);
	ck_assert_uint_eq(insn.base, fields[_i].base);
	ck_assert_uint_eq(insn.index, fields[_i].index);
	ck_assert_uint_eq(insn.scale, fields[_i].scale);
	ck_assert_int_eq(insn.disp, fields[_i].disp);
	ck_assert_uint_eq(insn.imm, fields[_i].imm);
}
END_TEST

START_TEST(the_parts_lie_where_the_instruction_says)
{
	struct x86_insn insn;

	/* lock add dword fs:[rax + rbx + 0x11223344], 0x55667788 */
	ck_assert_int_eq(decode_hex(&insn, "f0648184184433221188776655", X86_MODE_64),
	                 X86_DECODE_OK);
	ck_assert_uint_eq(insn.opcode_at, 2);
	ck_assert_uint_eq(insn.modrm_at, 3);
	ck_assert_uint_eq(insn.disp_at, 5);
	ck_assert_uint_eq(insn.disp_len, 4);
	ck_assert_uint_eq(insn.imm_at, 9);
	ck_assert_uint_eq(insn.imm_len, 4);
	ck_assert_uint_eq(insn.prefix, X86_PFX_LOCK);

	/* enter 0x1234, 5 */
	ck_assert_int_eq(decode_hex(&insn, "c8341205", X86_MODE_64), X86_DECODE_OK);
	ck_assert_uint_eq(insn.imm, 0x1234);
	ck_assert_uint_eq(insn.imm2, 5);

	/* vpaddd ymm8, ymm15, [r9] */
	ck_assert_int_eq(decode_hex(&insn, "c44105fe01", X86_MODE_64), X86_DECODE_OK);
	ck_assert_uint_eq(insn.vvvv, 15);
	ck_assert_uint_eq(insn.vl, 1);
	ck_assert_uint_eq(insn.reg, 8);
	ck_assert_uint_eq(insn.base, X86_R9);
	ck_assert_uint_eq(insn.pp, X86_PP_66);
}
END_TEST

static const struct {
	const char *hex;
	unsigned mode;
	uint64_t ea;
} addresses[] = {
	{ "488b448b10", X86_MODE_64, 0x3000 + 4 * 0x10 + 0x10 },
	{ "488b0578563412", X86_MODE_64, 0x400007 + 0x12345678 },   /* rip-relative */
	{ "67488b0578563412", X86_MODE_64, 0x400008 + 0x12345678 }, /* eip-relative */
	{ "488b40ff", X86_MODE_64, 0xfffffffffffffffe },            /* rax - 1 wraps */
	{ "678b40ff", X86_MODE_64, 0xfffffffe },                    /* eax - 1 wraps at 32 bits */
	{ "8b40ff", X86_MODE_16, 0x3005 - 1 },                      /* [bx + si - 1] */
	{ "48a1efcdab8967452301", X86_MODE_64, 0x0123456789abcdef },
	{ "67a178563412", X86_MODE_64, 0x12345678 },
	{ "62e17c48104b01", X86_MODE_64, 0x3040 }, /* scaled by 64 */
	{ "62e17c281043ff", X86_MODE_64, 0x3000 - 32 },
	{ "62e17e48104301", X86_MODE_64, 0x3004 }, /* vmovss */
};

START_TEST(effective_addresses_wrap_to_the_address_size)
{
	struct hv_regs regs = { .rax = UINT64_MAX, .rbx = 0x3000, .rcx = 0x10, .rsi = 5 };
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, addresses[_i].hex, addresses[_i].mode), X86_DECODE_OK);
	ck_assert(insn.has_mem);
	ck_assert_uint_eq(x86_insn_ea(&insn, &regs, 0x400000 + insn.len), addresses[_i].ea);
}
END_TEST

static const struct {
	const char *hex;
	unsigned mode;
	enum x86_flow flow;
	uint64_t target; /* from 0x1000 */
} flows[] = {
	{ "4889e5", X86_MODE_64, X86_FLOW_NEXT, 0 },
	{ "f4", X86_MODE_64, X86_FLOW_NEXT, 0 },
	{ "74fe", X86_MODE_64, X86_FLOW_JCC, 0x1000 },
	{ "0f8500010000", X86_MODE_64, X86_FLOW_JCC, 0x1106 },
	{ "e3fe", X86_MODE_64, X86_FLOW_JCC, 0x1000 },
	{ "ebfd", X86_MODE_64, X86_FLOW_JMP, 0xfff },
	{ "e9fbffffff", X86_MODE_64, X86_FLOW_JMP, 0x1000 },
	{ "e9fbefffff", X86_MODE_64, X86_FLOW_JMP, 0 },
	{ "e9faefffff", X86_MODE_64, X86_FLOW_JMP, UINT64_MAX },
	{ "e9faefffff", X86_MODE_32, X86_FLOW_JMP, UINT32_MAX },
	{ "e9fcef", X86_MODE_16, X86_FLOW_JMP, UINT16_MAX },
	{ "e800000000", X86_MODE_64, X86_FLOW_CALL, 0x1005 },
	{ "ffd0", X86_MODE_64, X86_FLOW_CALL_IND, 0 },
	{ "ff25aabbccdd", X86_MODE_64, X86_FLOW_JMP_IND, 0 },
	{ "ff2d00000000", X86_MODE_64, X86_FLOW_FAR, 0 },
	{ "c3", X86_MODE_64, X86_FLOW_RET, 0 },
	{ "48cf", X86_MODE_64, X86_FLOW_FAR, 0 },
	{ "48cb", X86_MODE_64, X86_FLOW_FAR, 0 },
	{ "0f05", X86_MODE_64, X86_FLOW_INT, 0 },
	{ "cd80", X86_MODE_64, X86_FLOW_INT, 0 },
	{ "0f0b", X86_MODE_64, X86_FLOW_STOP, 0 },
	{ "ea785634121000", X86_MODE_32, X86_FLOW_FAR, 0 },
	{ "c5f877", X86_MODE_64, X86_FLOW_NEXT, 0 },
	{ "ff30", X86_MODE_64, X86_FLOW_NEXT, 0 },
	{ "c7c000000000", X86_MODE_64, X86_FLOW_NEXT, 0 },
	{ "c7f800000000", X86_MODE_64, X86_FLOW_JCC, 0x1006 }, /* xbegin */
	{ "0f01d9", X86_MODE_64, X86_FLOW_INT, 0 },            /* vmmcall */
	{ "0f01f9", X86_MODE_64, X86_FLOW_NEXT, 0 },           /* rdtscp */
	{ "0f0119", X86_MODE_64, X86_FLOW_NEXT, 0 },           /* lidt */
	{ "480f07", X86_MODE_64, X86_FLOW_FAR, 0 },
};

START_TEST(control_goes_where_the_instruction_sends_it)
{
	uint64_t target = 0;
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, flows[_i].hex, flows[_i].mode), X86_DECODE_OK);
	ck_assert_int_eq(x86_insn_flow(&insn, 0x1000, &target), flows[_i].flow);
	ck_assert_uint_eq(target, flows[_i].target);
}
END_TEST

START_TEST(the_makers_disagree_about_66_on_near_branches)
{
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, "66e900000000", X86_MODE_64), X86_DECODE_OK);
	ck_assert_uint_eq(insn.len, 6);
	ck_assert_int_eq(decode_hex(&insn, "66e900000000", X86_MODE_64 | X86_MODE_AMD),
	                 X86_DECODE_OK);
	ck_assert_uint_eq(insn.len, 4);
	ck_assert_int_eq(decode_hex(&insn, "66e900000000", X86_MODE_32), X86_DECODE_OK);
	ck_assert_uint_eq(insn.len, 4);
}
END_TEST

START_TEST(fifteen_bytes_are_an_instruction_and_sixteen_are_not)
{
	uint8_t bytes[32];
	struct x86_insn insn;

	memset(bytes, 0x66, sizeof(bytes));
	bytes[14] = 0x90;
	ck_assert_int_eq(x86_decode(&insn, bytes, sizeof(bytes), X86_MODE_64), X86_DECODE_OK);
	ck_assert_uint_eq(insn.len, 15);
	bytes[14] = 0x66;
	bytes[15] = 0x90;
	ck_assert_int_eq(x86_decode(&insn, bytes, sizeof(bytes), X86_MODE_64), X86_DECODE_LONG);
	/* the immediate would be the sixteenth byte */
	memset(bytes, 0x66, sizeof(bytes));
	bytes[13] = 0x04;
	ck_assert_int_eq(x86_decode(&insn, bytes, sizeof(bytes), X86_MODE_64), X86_DECODE_OK);
	bytes[13] = 0x66;
	bytes[14] = 0x04;
	ck_assert_int_eq(x86_decode(&insn, bytes, sizeof(bytes), X86_MODE_64), X86_DECODE_LONG);
	ck_assert_int_eq(x86_decode(&insn, bytes, 14, X86_MODE_64), X86_DECODE_SHORT);
	ck_assert_int_eq(x86_decode(&insn, bytes, 0, X86_MODE_64), X86_DECODE_SHORT);
}
END_TEST

static const struct {
	const char *hex;
	unsigned mode;
} undefined[] = {
	{ "06", X86_MODE_64 },                 /* push es */
	{ "60", X86_MODE_64 },                 /* pusha */
	{ "9a0000000000000000", X86_MODE_64 }, /* far call */
	{ "d6", X86_MODE_64 },                 /* salc */
	{ "0f0a", X86_MODE_64 },               /* no such opcode */
	{ "0f38ff00", X86_MODE_64 },           /* no such opcode */
	{ "8f4b780000", X86_MODE_64 },         /* XOP map 11 */
	{ "fed0", X86_MODE_64 },               /* group 4, member 2 */
	{ "fff8", X86_MODE_64 },               /* group 5, member 7 */
	{ "ffe8", X86_MODE_64 },               /* far jump through a register */
	{ "c6c8ff", X86_MODE_64 },             /* group 11, member 1 */
	{ "66c5f877", X86_MODE_64 },           /* 66 before VEX */
	{ "48c5f877", X86_MODE_64 },           /* REX before VEX */
	{ "f0c5f877", X86_MODE_64 },           /* LOCK before VEX */
	{ "c4e07877", X86_MODE_64 },           /* VEX map 0 */
	{ "c4e4787700", X86_MODE_64 },         /* VEX map 4 */
	{ "62f47c4810c0", X86_MODE_64 },       /* EVEX map 4 */
	{ "62f1784810c0", X86_MODE_64 },       /* EVEX with its fixed bit clear */
	{ "0fb8c0", X86_MODE_64 },             /* popcnt without f3 */
	{ "0fbac000", X86_MODE_64 },           /* group 8, member 0 */
};

START_TEST(undefined_encodings_are_refused)
{
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, undefined[_i].hex, undefined[_i].mode),
	                 X86_DECODE_INVALID);
}
END_TEST

START_TEST(outside_64_bit_code_vex_and_evex_are_les_lds_and_bound)
{
	struct x86_insn insn;

	ck_assert_int_eq(decode_hex(&insn, "c400", X86_MODE_32), X86_DECODE_OK);
	ck_assert_uint_eq(insn.encoding, X86_ENC_LEGACY);
	ck_assert_uint_eq(insn.len, 2);
	ck_assert_int_eq(decode_hex(&insn, "c5f877", X86_MODE_32), X86_DECODE_OK);
	ck_assert_uint_eq(insn.encoding, X86_ENC_VEX);
	ck_assert_int_eq(decode_hex(&insn, "6200", X86_MODE_32), X86_DECODE_OK);
	ck_assert_uint_eq(insn.encoding, X86_ENC_LEGACY);
	ck_assert_int_eq(decode_hex(&insn, "62f17c4810c0", X86_MODE_32), X86_DECODE_OK);
	ck_assert_uint_eq(insn.encoding, X86_ENC_EVEX);
}
END_TEST

/* The last bytes of a page, with nothing mapped behind it. */
START_TEST(no_byte_behind_the_given_ones_is_touched)
{
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                     0);
	unsigned long round;
	struct x86_insn insn;

	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(munmap(page + 4096, 4096), 0);
	srandom(1);
	for (round = 0; round < 300000; round++) {
		static const unsigned modes[] = { X86_MODE_16, X86_MODE_32, X86_MODE_64,
			                          X86_MODE_64 | X86_MODE_AMD };
		size_t i, len = (size_t)random() % 17;
		uint8_t *at = page + 4096 - len;
		enum x86_decode_result rc;

		for (i = 0; i < len; i++)
			at[i] = (uint8_t)random();
		if (len > 2 && random() % 2) /* most of the maps lie behind these */
			at[0] = (uint8_t[]){ 0x0f, 0xc4, 0xc5, 0x62 }[random() % 4];
		rc = x86_decode(&insn, at, len, modes[random() % 4]);
		ck_assert_uint_le(insn.len, len < 15 ? len : 15);
		if (rc == X86_DECODE_OK)
			ck_assert_uint_ge(insn.len, 1);
		if (rc == X86_DECODE_SHORT)
			ck_assert_uint_lt(len, 15);
		if (rc == X86_DECODE_LONG)
			ck_assert_uint_ge(len, 15);
	}
	munmap(page, 4096);
}
END_TEST

Suite *x86_decode_suite(void);
Suite *x86_decode_suite(void)
{
	Suite *s = suite_create("x86_decode");
	TCase *normal = tcase_create("normal");
	TCase *limits = tcase_create("limits");
	TCase *hostile = tcase_create("hostile");

	tcase_add_test(normal, every_encoding_has_the_length_that_objdump_gives_it);
	tcase_add_loop_test(normal, fields_are_those_of_the_encoding, 0, ARRAY_LEN(fields));
	tcase_add_test(normal, the_parts_lie_where_the_instruction_says);
	tcase_add_loop_test(normal, effective_addresses_wrap_to_the_address_size, 0,
	                    ARRAY_LEN(addresses));
	tcase_add_loop_test(normal, control_goes_where_the_instruction_sends_it, 0,
	                    ARRAY_LEN(flows));
	tcase_add_test(limits, the_makers_disagree_about_66_on_near_branches);
	tcase_add_test(limits, fifteen_bytes_are_an_instruction_and_sixteen_are_not);
	tcase_add_test(limits, outside_64_bit_code_vex_and_evex_are_les_lds_and_bound);
	tcase_add_loop_test(hostile, undefined_encodings_are_refused, 0, ARRAY_LEN(undefined));
	tcase_add_test(hostile, no_byte_behind_the_given_ones_is_touched);
	tcase_set_timeout(normal, 60);
	tcase_set_timeout(limits, 60);
	tcase_set_timeout(hostile, 60);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
