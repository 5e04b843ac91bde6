/* SPDX-License-Identifier: MIT */
/*
 * The command line and configuration files put together (toolstack/plan.c), what a host must have for
 * it (toolstack/limits.c), and weights as nice values (toolstack/weight.c).
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/limits.h"
#include "hypervisor-stub/toolstack/weight.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct options o;
static struct plan p;
static char why[1024], folder[] = "/tmp/paravane-plan.XXXXXX", path[2][64];

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (unsigned i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/file%u.cfg", folder, i);
	o = (struct options){ .verb = VERB_RUN,
		              .guest = { .memory = 128 << 20, .vcpus = 1 },
		              .engine = "process" };
}

static void tear_down(void)
{
	for (unsigned i = 0; i < 2; i++)
		unlink(path[i]);
	rmdir(folder);
	strcpy(folder, "/tmp/paravane-plan.XXXXXX");
}

static void write_file(unsigned i, const char *text)
{
	FILE *f = fopen(path[i], "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	o.files[i] = path[i];
	o.nr_files = i + 1;
}

static int make(void)
{
	why[0] = 0;
	return plan_make(&p, &o, NULL, NULL, why, sizeof(why));
}

/* ---- normal ---- */

START_TEST(a_kernel_alone_is_a_machine_of_its_name)
{
	o.files[0] = o.guest.kernel = "/boot/my kernel.elf";
	o.nr_files = 1;
	ck_assert_int_eq(make(), 0);
	ck_assert_uint_eq(p.nr, 1);
	ck_assert_str_eq(p.guest[0].name, "my_kernel.elf");
	ck_assert_str_eq(p.machine, "my_kernel.elf");
	ck_assert(!p.is_named);
	ck_assert_uint_eq(p.guest[0].max_memory, 128 << 20);
	ck_assert_uint_eq(p.guest[0].max_vcpus, 1);
	plan_free(&p);
	o.machine = "m";
	ck_assert_int_eq(make(), 0);
	ck_assert_str_eq(p.machine, "m");
	ck_assert(p.is_named);
	plan_free(&p);
}
END_TEST

START_TEST(options_override_the_file_of_a_single_guest)
{
	write_file(0,
	           "kernel='k'\nname='n'\nmemory=64\nmaxmem=96\nvcpus=2\nmaxvcpus=8\nextra='e'\n");
	ck_assert_int_eq(make(), 0);
	ck_assert_str_eq(p.guest[0].name, "n");
	ck_assert(p.is_named);
	ck_assert_uint_eq(p.guest[0].max_memory, 96 << 20);
	ck_assert_uint_eq(p.guest[0].max_vcpus, 8);
	plan_free(&p);

	o.given = GIVEN_MEMORY | GIVEN_VCPUS | GIVEN_CMDLINE | GIVEN_NAME;
	o.guest.memory = 32 << 20;
	o.guest.vcpus = 4;
	o.guest.cmdline = "c";
	o.guest.name = "other";
	ck_assert_int_eq(make(), 0);
	ck_assert_uint_eq(p.guest[0].memory, 32 << 20);
	ck_assert_uint_eq(p.guest[0].max_memory, 32 << 20);
	ck_assert_uint_eq(p.guest[0].vcpus, 4);
	ck_assert_uint_eq(p.guest[0].max_vcpus, 4);
	ck_assert_str_eq(p.guest[0].cmdline, "c");
	ck_assert_str_eq(p.guest[0].kernel, "k");
	ck_assert_str_eq(p.machine, "other");
	plan_free(&p);
}
END_TEST

START_TEST(several_files_are_several_guests)
{
	write_file(0, "kernel='k'\n");
	write_file(1, "kernel='k'\nname='two'\n");
	o.console = "two";
	ck_assert_int_eq(make(), 0);
	ck_assert_uint_eq(p.nr, 2);
	ck_assert_str_eq(p.guest[0].name, "file0");
	ck_assert_str_eq(p.guest[1].name, "two");
	ck_assert_str_eq(p.machine, "file0");
	ck_assert(!p.is_named);
	ck_assert_uint_eq(p.console, 1);
	plan_free(&p);
}
END_TEST

/* ---- limits ---- */

START_TEST(guests_that_do_not_go_together_get_a_sentence)
{
	write_file(0, "kernel='k'\nname='n'\n");
	write_file(1, "kernel='k'\nname='n'\n");
	ck_assert_int_eq(make(), -EINVAL);
	ck_assert_msg(strstr(why, "both domains are called n"), "%s", why);
	write_file(1, "kernel='k'\nname='m'\n");
	o.console = "x";
	ck_assert_int_eq(make(), -EINVAL);
	ck_assert_msg(strstr(why, "no domain is called 'x'"), "%s", why);
	write_file(1, "kernel=\n");
	ck_assert_int_eq(make(), -EINVAL);
	ck_assert_msg(strstr(why, "file1.cfg:1:"), "%s", why);
	o.nr_files = 1;
	o.console = NULL;
	o.given = GIVEN_MAX_VCPUS | GIVEN_VCPUS;
	o.guest.vcpus = 4;
	o.guest.max_vcpus = 2;
	ck_assert_int_eq(make(), -EINVAL);
	ck_assert_msg(strstr(why, "--maxvcpus: 2 is less than the 4"), "%s", why);
}
END_TEST

START_TEST(a_host_without_room_gets_a_sentence)
{
	struct rlimit l = { 10, 10 };

	o.files[0] = o.guest.kernel = "k";
	o.nr_files = 1;
	ck_assert_int_eq(make(), 0);
	ck_assert_int_eq(limits_check(&p, why, sizeof(why)), 0);
	p.guest[0].memory = UINT64_C(1) << 50;
	ck_assert_int_eq(limits_check(&p, why, sizeof(why)), -ENOMEM);
	ck_assert_msg(strstr(why, "--memory"), "%s", why);
	p.guest[0].memory = 1 << 20;
	p.guest[0].max_vcpus = 32;
	ck_assert_uint_gt(limits_descriptors(&p), 64);
	/* In a process of the test's own: there is no way back. */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &l), 0);
	ck_assert_int_eq(limits_check(&p, why, sizeof(why)), -EMFILE);
	ck_assert_msg(strstr(why, "and 10 allowed; allow more (ulimit -n)"), "%s", why);
	plan_free(&p);
}
END_TEST

static const struct {
	unsigned weight;
	int nice;
} weights[] = { { 256, 0 }, { 320, -1 }, { 512, -3 },    { 128, 3 },  { 64, 6 },
	        { 260, 0 }, { 1, 19 },   { 65535, -20 }, { 1024, -6 } };

START_TEST(a_weight_is_a_nice_value)
{
	ck_assert_int_eq(weight_nice(weights[_i].weight), weights[_i].nice);
}
END_TEST

static int own_nice(void *arg)
{
	*(int *)arg = getpriority(PRIO_PROCESS, (id_t)gettid());
	return 7;
}

static const struct cgroup no_group = { .dir = "" };

START_TEST(a_weight_holds_for_what_is_called_and_for_nobody_else)
{
	int before, inside = 0, after;
	bool denied;

	own_nice(&before);
	ck_assert_int_eq(weight_call(128, &no_group, own_nice, &inside, &denied), 7);
	own_nice(&after);
	ck_assert(!denied);
	ck_assert_int_eq(inside, before + 3 > 19 ? 19 : before + 3);
	ck_assert_int_eq(after, before);
	ck_assert_int_eq(weight_call(0, &no_group, own_nice, &inside, &denied), 7);
	ck_assert_int_eq(inside, before);
}
END_TEST

Suite *plan_suite(void);
Suite *plan_suite(void)
{
	Suite *s = suite_create("plan");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits");

	tcase_add_checked_fixture(normal, set_up, tear_down);
	tcase_add_test(normal, a_kernel_alone_is_a_machine_of_its_name);
	tcase_add_test(normal, options_override_the_file_of_a_single_guest);
	tcase_add_test(normal, several_files_are_several_guests);
	tcase_add_test(normal, a_weight_holds_for_what_is_called_and_for_nobody_else);
	suite_add_tcase(s, normal);

	tcase_add_checked_fixture(limits, set_up, tear_down);
	tcase_add_test(limits, guests_that_do_not_go_together_get_a_sentence);
	tcase_add_test(limits, a_host_without_room_gets_a_sentence);
	tcase_add_loop_test(limits, a_weight_is_a_nice_value, 0, ARRAY_LEN(weights));
	suite_add_tcase(s, limits);
	return s;
}
