/* SPDX-License-Identifier: MIT */
/*
 * Configuration files (toolstack/config.c): what of xl's syntax is understood, what a file that is
 * none gets, and that no file gets more than one sentence.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/config.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct config c;
static char why[1024], warned[65536];
static unsigned warnings;

static void on_warning(void *arg, const char *sentence)
{
	ck_assert_ptr_eq(arg, &c);
	ck_assert_ptr_null(strchr(sentence, '\n'));
	snprintf(warned + strlen(warned), sizeof(warned) - strlen(warned), "%s\n", sentence);
	warnings++;
}

/* The text lies at the end of a block of its own, so that a tool sees who reads beyond it. */
static int parse_bytes(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, text, len);
	why[0] = warned[0] = 0;
	warnings = 0;
	rc = config_parse(&c, "f.cfg", copy, len, on_warning, &c, why, sizeof(why));
	free(copy);
	return rc;
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

/* ---- normal ---- */

START_TEST(a_whole_file)
{
	ck_assert_int_eq(parse("# a guest\n"
	                       "name = \"web-1\"\n"
	                       "type='pv'; kernel = \"/boot/k\"   # the kernel\n"
	                       "ramdisk = '/boot/r'\r\n"
	                       "memory = 64\n"
	                       "maxmem = 0x80\n"
	                       "vcpus = '2'\n"
	                       "maxvcpus = 4\n"
	                       "cpu_weight = 512\n"
	                       "cap = 50\n"
	                       "uuid = '00112233-4455-6677-8899-aabbccddeeff'\n"
	                       "on_poweroff = 'restart'\n"
	                       "on_reboot = 'destroy'\n"
	                       "on_crash = 'restart'\n"
	                       "extra = 'quiet'"),
	                 0);
	ck_assert_str_eq(c.guest.name, "web-1");
	ck_assert_str_eq(c.guest.kernel, "/boot/k");
	ck_assert_str_eq(c.guest.ramdisk, "/boot/r");
	ck_assert_str_eq(c.guest.cmdline, "quiet");
	ck_assert_uint_eq(c.guest.memory, 64 << 20);
	ck_assert_uint_eq(c.guest.max_memory, 128 << 20);
	ck_assert_uint_eq(c.guest.vcpus, 2);
	ck_assert_uint_eq(c.guest.max_vcpus, 4);
	ck_assert_uint_eq(c.guest.cpu_weight, 512);
	ck_assert_uint_eq(c.guest.cpu_cap, 50);
	ck_assert(c.guest.has_uuid);
	ck_assert_uint_eq(c.guest.uuid[1], 0x11);
	ck_assert_uint_eq(c.guest.uuid[15], 0xff);
	ck_assert(c.guest.restart_on_poweroff && !c.guest.restart_on_reboot &&
	          c.guest.restart_on_crash);
	ck_assert_uint_eq(warnings, 0);
	config_free(&c);
}
END_TEST

START_TEST(what_is_not_said_is_as_xl_has_it)
{
	ck_assert_int_eq(parse("kernel='k'"), 0);
	ck_assert_ptr_null(c.guest.name);
	ck_assert_ptr_null(c.guest.cmdline);
	ck_assert_ptr_null(c.guest.ramdisk);
	ck_assert_uint_eq(c.guest.memory, 128 << 20);
	ck_assert_uint_eq(c.guest.vcpus, 1);
	ck_assert(!c.guest.restart_on_poweroff && c.guest.restart_on_reboot &&
	          !c.guest.restart_on_crash && !c.guest.has_uuid);
	config_free(&c);
}
END_TEST

static const struct {
	const char *text, *cmdline;
} cmdlines[] = {
	{ "extra='a b'", "a b" },
	{ "root='/dev/xvda ro'", "root=/dev/xvda ro" },
	{ "extra='b'\nroot='a'", "root=a b" },
	{ "cmdline='x'", "x" },
	{ "cmdline='x'\nextra='y'", "x" },
	{ "extra=''", "" },
	{ "extra='say \"hi\"'", "say \"hi\"" },
	{ "extra=\"a\\\"b\\\\c\\x41\\102\\t\"", "a\"b\\cAB\t" },
	{ "extra='# no comment; none'", "# no comment; none" },
	{ "extra='one'\nextra='two'", "two" },
};

START_TEST(a_command_line_is_put_together)
{
	char text[256];

	snprintf(text, sizeof(text), "kernel='k'\n%s\n", cmdlines[_i].text);
	ck_assert_msg(!parse(text), "%s: %s", text, why);
	ck_assert_str_eq(c.guest.cmdline, cmdlines[_i].cmdline);
	config_free(&c);
}
END_TEST

START_TEST(what_means_nothing_here_is_passed_over_with_a_sentence)
{
	ck_assert_int_eq(parse("kernel='k'\n"
	                       "vfb = [ 'type=vnc',\n"
	                       "        [ 1, 'x' ], # a comment\n"
	                       "      ]\n"
	                       "on_crash = 'coredump-restart'\n"
	                       "pci = []\n"),
	                 0);
	ck_assert_uint_eq(warnings, 3);
	ck_assert_msg(strstr(warned, "f.cfg:4: 'vfb' means nothing here"), "%s", warned);
	ck_assert_msg(strstr(warned, "f.cfg:5: on_crash = 'coredump-restart' is taken for "
	                             "'restart'"),
	              "%s", warned);
	ck_assert(c.guest.restart_on_crash);
	config_free(&c);
}
END_TEST

START_TEST(interfaces_are_kept_as_they_were_written)
{
	ck_assert_int_eq(parse("kernel='k'\n"
	                       "vif = [ 'mac=00:16:3e:00:00:01,bridge=br0', 'tap:t0,queues=2' ]\n"),
	                 0);
	ck_assert_uint_eq(warnings, 0);
	ck_assert_uint_eq(c.guest.vifs.nr, 2);
	ck_assert_str_eq(c.guest.vifs.text[0], "mac=00:16:3e:00:00:01,bridge=br0");
	ck_assert_str_eq(c.guest.vifs.text[1], "tap:t0,queues=2");
	config_free(&c);
	ck_assert_int_eq(parse("kernel='k'\nvif = [ 'nowhere' ]\n"), -EINVAL);
	ck_assert_msg(strstr(why, "nowhere"), "%s", why);
}
END_TEST

/* ---- limits and what is wrong ---- */

static const struct {
	const char *text, *says;
} wrong[] = {
	{ "", "no kernel is named" },
	{ "name='x'", "no kernel is named" },
	{ "kernel=''", "no kernel is named" },
	{ "kernel", "there is no =" },
	{ "kernel=", "no value" },
	{ "kernel=k", "no value" },
	{ "kernel='k", "has no end" },
	{ "kernel='k\n'", "has no end" },
	{ "kernel=\"k'", "has no end" },
	{ "kernel='k' 'l'", "something follows" },
	{ "kernel='k' memory=1", "something follows" },
	{ "kernel='a\\qb'", "backslash" },
	{ "kernel='a\\x00b'", "backslash" },
	{ "kernel='a\\400b'", "backslash" },
	{ "kernel='a\\", "backslash" },
	{ "kernel=3", "takes a string" },
	{ "kernel=['k']", "takes a string" },
	{ "kernel='k'\nmemory='much'", "f.cfg:2: memory takes a number" },
	{ "kernel='k'\nmemory=[64]", "takes a number" },
	{ "kernel='k'\nmemory=64M", "is no number" },
	{ "kernel='k'\nmemory=-1", "no value" },
	{ "kernel='k'\nmemory=0", "out of range" },
	{ "kernel='k'\nmemory=1048577", "out of range" },
	{ "kernel='k'\nmemory=99999999999999999999", "no number" },
	{ "kernel='k'\nmemory=999999999999999999999999999999", "30 digits" },
	{ "kernel='k'\nmemory=64\nmaxmem=32", "maxmem is less" },
	{ "kernel='k'\nvcpus=0", "out of range" },
	{ "kernel='k'\nvcpus=33", "out of range; give 1 to 32" },
	{ "kernel='k'\nvcpus=4\nmaxvcpus=2", "maxvcpus is less" },
	{ "kernel='k'\ncpu_weight=0", "out of range" },
	{ "kernel='k'\ncap=3201", "out of range" },
	{ "kernel='k'\nname='../x'", "cannot be a name" },
	{ "kernel='k'\nname=''", "cannot be a name" },
	{ "kernel='k'\ntype='hvm'", "only paravirtualized" },
	{ "kernel='k'\nbuilder='hvm'", "only paravirtualized" },
	{ "kernel='k'\non_crash='dance'", "write destroy or restart" },
	{ "kernel='k'\nuuid='1234'", "is no UUID" },
	{ "kernel='k'\nuuid='00112233-4455-6677-8899-aabbccddeeff0'", "is no UUID" },
	{ "kernel='k'\nuuid='0011223344556677-8899-aabbccddeeg0'", "is no UUID" },
	{ "kernel='k'\nvif=[", "no value" },
	{ "kernel='k'\nvif=['a' 'b']", "without a comma" },
	{ "kernel='k'\nvif=['a'", "without a comma" },
	{ "kernel='k'\nvif=[[[[[[[[[1]]]]]]]]]", "nested more than 8 deep" },
	{ "kernel='k'\nextra+='x'", "+= is not understood" },
	{ "kernel='k'\n= 5", "no key" },
	{ "kernel='k'\n5 = 5", "no key" },
	{ "kernel='k'\n\x7f\x45LF", "no key" },
};

START_TEST(a_wrong_file_gets_one_sentence)
{
	ck_assert_int_eq(parse(wrong[_i].text), -EINVAL);
	ck_assert_msg(strstr(why, wrong[_i].says), "'%s' is not in: %s", wrong[_i].says, why);
	ck_assert_ptr_eq(strstr(why, "f.cfg:"), why);
	ck_assert_ptr_null(strchr(why, '\n'));
	ck_assert_ptr_null(c.strings);
}
END_TEST

START_TEST(a_command_line_fits_a_guest_or_is_refused)
{
	static char text[4096];
	size_t len = (size_t)sprintf(text, "kernel='k'\nroot='");

	memset(text + len, 'x', 1018);
	strcpy(text + len + 1018, "'\n");
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(strlen(c.guest.cmdline), 1023);
	config_free(&c);
	memset(text + len, 'x', 1019);
	strcpy(text + len + 1019, "'\n");
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_msg(strstr(why, "1024 bytes"), "%s", why);
}
END_TEST

/* ---- hostile ---- */

START_TEST(warnings_are_few)
{
	static char text[32768];
	size_t at = (size_t)sprintf(text, "kernel='k'\n");

	for (unsigned i = 0; i < 1000; i++)
		at += (size_t)sprintf(text + at, "key%u = %u\n", i, i);
	ck_assert_int_eq(parse(text), 0);
	ck_assert_uint_eq(warnings, CONFIG_MAX_WARNINGS + 1);
	ck_assert_msg(strstr(warned, "more of that kind"), "%s", warned);
	config_free(&c);
}
END_TEST

START_TEST(a_file_that_is_too_long_is_refused)
{
	char *text = malloc(CONFIG_MAX_BYTES + 1);

	memset(text, '\n', CONFIG_MAX_BYTES + 1);
	memcpy(text, "kernel='k'", 10);
	ck_assert_int_eq(parse_bytes(text, CONFIG_MAX_BYTES), 0);
	config_free(&c);
	ck_assert_int_eq(parse_bytes(text, CONFIG_MAX_BYTES + 1), -EINVAL);
	/* One key as long as that. */
	memset(text, 'k', CONFIG_MAX_BYTES);
	ck_assert_int_eq(parse_bytes(text, CONFIG_MAX_BYTES), -EINVAL);
	memset(text, '[', CONFIG_MAX_BYTES);
	memcpy(text, "vif=", 4);
	ck_assert_int_eq(parse_bytes(text, CONFIG_MAX_BYTES), -EINVAL);
	free(text);
}
END_TEST

START_TEST(bytes_that_are_no_text_never_reach_the_terminal)
{
	static const char text[] = "kernel='k'\nname='\x1b[31m\x80'\n";

	ck_assert_int_eq(parse(text), -EINVAL);
	for (const char *at = why; *at; at++)
		ck_assert(*at >= ' ' && *at <= '~');
	ck_assert_int_eq(parse_bytes("kernel='k\0l'", 12), -EINVAL);
	ck_assert_int_eq(parse_bytes("kernel='k'\0", 11), -EINVAL);
}
END_TEST

START_TEST(every_piece_of_a_file_has_an_end)
{
	static const char text[] = "kernel = \"a\\x41\\n\" # c\nvif = [ 'a', [ 0x1f ], ]; cap = 5\n"
				   "uuid='00112233-4455-6677-8899-aabbccddeeff'\nextra='b'\n";

	for (size_t len = 0; len < sizeof(text); len++)
		if (!parse_bytes(text, len))
			config_free(&c);
}
END_TEST

Suite *config_suite(void);
Suite *config_suite(void)
{
	Suite *s = suite_create("config");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_test(normal, a_whole_file);
	tcase_add_test(normal, what_is_not_said_is_as_xl_has_it);
	tcase_add_loop_test(normal, a_command_line_is_put_together, 0, ARRAY_LEN(cmdlines));
	tcase_add_test(normal, what_means_nothing_here_is_passed_over_with_a_sentence);
	tcase_add_test(normal, interfaces_are_kept_as_they_were_written);
	suite_add_tcase(s, normal);

	tcase_add_loop_test(limits, a_wrong_file_gets_one_sentence, 0, ARRAY_LEN(wrong));
	tcase_add_test(limits, a_command_line_fits_a_guest_or_is_refused);
	suite_add_tcase(s, limits);

	tcase_add_test(hostile, warnings_are_few);
	tcase_add_test(hostile, a_file_that_is_too_long_is_refused);
	tcase_add_test(hostile, bytes_that_are_no_text_never_reach_the_terminal);
	tcase_add_test(hostile, every_piece_of_a_file_has_an_end);
	suite_add_tcase(s, hostile);
	return s;
}
