/* SPDX-License-Identifier: MIT */
/*
 * The command line (toolstack/options.c): what it understands, and the sentence for what it does not.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/options.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_WORDS    32

static struct options o;
static char why[1024];
static char line[4096], *words[MAX_WORDS];

/* Splits at spaces; a word '' is the empty one. */
static int parse(const char *text)
{
	int n = 0;

	strncpy(line, text, sizeof(line) - 1);
	words[n++] = (char *)"paravane";
	for (char *w = strtok(line, " "); w && n < MAX_WORDS; w = strtok(NULL, " "))
		words[n++] = strcmp(w, "''") ? w : (char *)"";
	why[0] = 0;
	return options_parse(&o, n, words, why, sizeof(why));
}

/* ---- normal ---- */

START_TEST(a_kernel_alone_gets_the_defaults)
{
	ck_assert_int_eq(parse("run hello"), 0);
	ck_assert_int_eq(o.verb, VERB_RUN);
	ck_assert_str_eq(o.guest.kernel, "hello");
	ck_assert_uint_eq(o.guest.memory, 128 << 20);
	ck_assert_uint_eq(o.guest.vcpus, 1);
	ck_assert_str_eq(o.engine, "auto");
	ck_assert_ptr_null(o.guest.cmdline);
	ck_assert_ptr_null(o.guest.ramdisk);
	ck_assert(!o.guest.restart_on_reboot && !o.trace && !o.stats);
	ck_assert_uint_eq(o.timeout_ns, 0);
	ck_assert_uint_eq(o.given, 0);
	ck_assert_uint_eq(o.nr_files, 1);
	ck_assert_uint_eq(o.grace_ns, 10000000000);
	ck_assert_ptr_null(o.machine);
	ck_assert_ptr_null(o.console);
}
END_TEST

START_TEST(several_configuration_files_make_one_machine)
{
	ck_assert_int_eq(parse("run a.cfg --machine m b.cfg --console b --grace 0"), 0);
	ck_assert_uint_eq(o.nr_files, 2);
	ck_assert_str_eq(o.files[0], "a.cfg");
	ck_assert_str_eq(o.files[1], "b.cfg");
	ck_assert_ptr_null(o.guest.kernel);
	ck_assert_str_eq(o.machine, "m");
	ck_assert_str_eq(o.console, "b");
	ck_assert_uint_eq(o.grace_ns, 0);
	ck_assert_int_eq(parse("run a.cfg --memory 1G --vcpus 2 --maxvcpus 4"), 0);
	ck_assert_uint_eq(o.given, GIVEN_MEMORY | GIVEN_VCPUS | GIVEN_MAX_VCPUS);
	ck_assert_uint_eq(o.guest.max_vcpus, 4);
}
END_TEST

START_TEST(other_verbs_are_left_to_those_who_know_them)
{
	ck_assert_int_eq(parse("list -m x"), 0);
	ck_assert_int_eq(o.verb, VERB_ASK);
	ck_assert_int_eq(parse("xenstore --help"), 0);
	ck_assert_int_eq(o.verb, VERB_ASK);
}
END_TEST

START_TEST(every_option_is_heeded_wherever_it_stands)
{
	ck_assert_int_eq(parse("run --memory 64M --cmdline=a=b k --ramdisk r --vcpus 4 --name n-1 "
	                       "--timeout 1.5 --trace=t --stats --on-reboot restart"),
	                 0);
	ck_assert_str_eq(o.guest.kernel, "k");
	ck_assert_uint_eq(o.guest.memory, 64 << 20);
	ck_assert_str_eq(o.guest.cmdline, "a=b");
	ck_assert_str_eq(o.guest.ramdisk, "r");
	ck_assert_uint_eq(o.guest.vcpus, 4);
	ck_assert_str_eq(o.guest.name, "n-1");
	ck_assert_uint_eq(o.timeout_ns, 1500000000);
	ck_assert(o.trace && o.stats && o.guest.restart_on_reboot);
	ck_assert_str_eq(o.trace_file, "t");
}
END_TEST

START_TEST(trace_takes_its_file_only_with_an_equals_sign)
{
	ck_assert_int_eq(parse("run --trace hello"), 0);
	ck_assert_str_eq(o.guest.kernel, "hello");
	ck_assert(o.trace);
	ck_assert_ptr_null(o.trace_file);
}
END_TEST

START_TEST(after_two_dashes_everything_is_a_name)
{
	ck_assert_int_eq(parse("run -- --memory"), 0);
	ck_assert_str_eq(o.guest.kernel, "--memory");
}
END_TEST

START_TEST(help_and_version_are_commands)
{
	ck_assert_int_eq(parse("--help"), 0);
	ck_assert_int_eq(o.verb, VERB_HELP);
	ck_assert_int_eq(parse("--version"), 0);
	ck_assert_int_eq(o.verb, VERB_VERSION);
	ck_assert_int_eq(parse("run --help"), 0);
	ck_assert_int_eq(o.verb, VERB_RUN_HELP);
	ck_assert_int_eq(parse("run hello -h"), 0);
	ck_assert_int_eq(o.verb, VERB_RUN_HELP);
	ck_assert_int_eq(parse("run --cmdline ''  hello"), 0);
	ck_assert_str_eq(o.guest.cmdline, "");
}
END_TEST

/* ---- limits ---- */

static const struct {
	const char *text;
	bool ok;
	uint64_t bytes;
} sizes[] = {
	{ "1", true, 1 << 20 },
	{ "64M", true, 64 << 20 },
	{ "64m", true, 64 << 20 },
	{ "4096K", true, 4 << 20 },
	{ "2G", true, UINT64_C(2) << 30 },
	{ "1T", true, UINT64_C(1) << 40 },
	{ "4096B", true, 4096 },
	{ "", false, 0 },
	{ "M", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ " 1", false, 0 },
	{ "1MB", false, 0 },
	{ "1X", false, 0 },
	{ "0x10", false, 0 },
	{ "18446744073709551615", false, 0 },
	{ "99999999999999999999", false, 0 },
	{ "17592186044415T", false, 0 },
	{ "1.5G", false, 0 },
};

START_TEST(sizes_are_read_strictly)
{
	uint64_t bytes = 7;

	ck_assert_int_eq(options_size(sizes[_i].text, &bytes), sizes[_i].ok);
	if (sizes[_i].ok)
		ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

static const struct {
	const char *words, *says;
} wrong[] = {
	{ "", "no command given" },
	{ "start", "unknown command 'start'" },
	{ "--version x", "stands alone" },
	{ "run", "no kernel given" },
	{ "run ''", "no kernel given" },
	{ "run a b", "two kernels, 'a' and 'b'" },
	{ "run a.cfg b", "'b' is a kernel among" },
	{ "run a.cfg b.cfg --memory 1G", "leave those options out" },
	{ "run a.cfg b.cfg --name x", "leave those options out" },
	{ "run .cfg .cfg", "two kernels" },
	{ "run a --machine x/y", "cannot be a name" },
	{ "run a --console ''", "--console needs a value" },
	{ "run a --grace -1", "no number of seconds" },
	{ "run a --grace 1m", "no number of seconds" },
	{ "run a --maxvcpus 33", "give 1 to 32" },
	{ "run a --colour", "unknown option '--colour'" },
	{ "run a -m", "unknown option '-m'" },
	{ "run a --mem 1", "unknown option '--mem'" },
	{ "run a --memory", "--memory needs a value: --memory SIZE" },
	{ "run a --memory ''", "--memory needs a value" },
	{ "run a --memory=", "--memory needs a value" },
	{ "run a --memory lots", "'lots' is no size" },
	{ "run a --memory 0", "out of range" },
	{ "run a --memory 2T", "out of range" },
	{ "run a --vcpus 0", "give 1 to 32" },
	{ "run a --vcpus 33", "give 1 to 32" },
	{ "run a --vcpus 1x", "give 1 to 32" },
	{ "run a --vcpus -1", "give 1 to 32" },
	{ "run a --timeout 0", "above 0" },
	{ "run a --timeout -1", "no number of seconds" },
	{ "run a --timeout nan", "no number of seconds" },
	{ "run a --timeout 1s", "no number of seconds" },
	{ "run a --timeout 1e300", "no number of seconds" },
	{ "run a --on-reboot maybe", "give restart or exit" },
	{ "run a --name ../b", "cannot be a name" },
	{ "run a --stats=1", "--stats takes no value" },
	{ "run a --trace=", "--trace needs a value" },
};

START_TEST(wrong_words_get_a_sentence)
{
	ck_assert_int_eq(parse(wrong[_i].words), -EINVAL);
	ck_assert_msg(strstr(why, wrong[_i].says), "'%s' is not in: %s", wrong[_i].says, why);
	ck_assert_ptr_null(strchr(why, '\n'));
}
END_TEST

START_TEST(a_command_line_fits_a_guest_or_is_refused)
{
	char text[1200], *argv[] = { (char *)"paravane", (char *)"run", (char *)"k",
		                     (char *)"--cmdline", text };

	memset(text, 'x', sizeof(text));
	text[1023] = 0;
	ck_assert_int_eq(options_parse(&o, 5, argv, why, sizeof(why)), 0);
	text[1023] = 'x';
	text[1024] = 0;
	ck_assert_int_eq(options_parse(&o, 5, argv, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, "1023"), "%s", why);
}
END_TEST

/* ---- hostile ---- */

START_TEST(more_files_than_domains_are_refused)
{
	char *argv[OPTIONS_MAX_DOMAINS + 3] = { (char *)"paravane", (char *)"run" };

	for (unsigned i = 0; i <= OPTIONS_MAX_DOMAINS; i++)
		argv[2 + i] = (char *)"a.cfg";
	ck_assert_int_eq(options_parse(&o, OPTIONS_MAX_DOMAINS + 2, argv, why, sizeof(why)), 0);
	ck_assert_int_eq(options_parse(&o, OPTIONS_MAX_DOMAINS + 3, argv, why, sizeof(why)),
	                 -EINVAL);
	ck_assert_msg(strstr(why, "32 domains at most"), "%s", why);
}
END_TEST

START_TEST(words_longer_than_a_sentence_are_cut)
{
	char *text = malloc(100000), *argv[] = { (char *)"paravane", (char *)"run", text };

	memset(text, '-', 99999);
	text[99999] = 0;
	ck_assert_int_eq(options_parse(&o, 3, argv, why, sizeof(why)), -EINVAL);
	ck_assert_uint_lt(strlen(why), sizeof(why));
	free(text);
}
END_TEST

Suite *options_suite(void);
Suite *options_suite(void)
{
	Suite *s = suite_create("options");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_test(normal, a_kernel_alone_gets_the_defaults);
	tcase_add_test(normal, every_option_is_heeded_wherever_it_stands);
	tcase_add_test(normal, several_configuration_files_make_one_machine);
	tcase_add_test(normal, other_verbs_are_left_to_those_who_know_them);
	tcase_add_test(normal, trace_takes_its_file_only_with_an_equals_sign);
	tcase_add_test(normal, after_two_dashes_everything_is_a_name);
	tcase_add_test(normal, help_and_version_are_commands);
	suite_add_tcase(s, normal);

	tcase_add_loop_test(limits, sizes_are_read_strictly, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(limits, wrong_words_get_a_sentence, 0, ARRAY_LEN(wrong));
	tcase_add_test(limits, a_command_line_fits_a_guest_or_is_refused);
	suite_add_tcase(s, limits);

	tcase_add_test(hostile, more_files_than_domains_are_refused);
	tcase_add_test(hostile, words_longer_than_a_sentence_are_cut);
	suite_add_tcase(s, hostile);
	return s;
}
