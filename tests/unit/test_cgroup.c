/* SPDX-License-Identifier: MIT */
/*
 * Which control group is ours, from what a host may say of its hierarchies; and that nothing is left
 * where none can be made. That a group caps and goes with us is in tests/integration/test_domains.sh.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/cgroup.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static char base[64], self[80], mounts[80];
static struct cgroup_host host = { self, mounts };

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	/* @ is where the tree is. */
	for (const char *at = text; *at; at++) {
		if (*at == '@')
			fputs(base, f);
		else
			fputc(*at, f);
	}
	ck_assert_int_eq(fclose(f), 0);
}

static void make_dir(const char *below)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", base, below);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void setup(void)
{
	strcpy(base, "/tmp/paravane-cgroup-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(self, sizeof(self), "%s/self", base);
	snprintf(mounts, sizeof(mounts), "%s/mounts", base);
	make_dir("v1");
	make_dir("v1/box");
	make_dir("v2");
	make_dir("v2/user");
}

static void teardown(void)
{
	char command[120];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
}

#define V2_MOUNT "30 24 0:26 / @/v2 rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT "31 24 0:27 / @/v1 rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"

/* What the host says, and the directory and version that it means; dir NULL: none. */
static const struct {
	const char *self, *mounts, *controllers, *dir;
	int version;
} hosts[] = {
	{ "0::/user\n", V2_MOUNT, "cpuset cpu io", "/v2/user", 2 },
	{ "0::/\n", V2_MOUNT, NULL, NULL, -ENOENT },
	{ "0::/user\n", V2_MOUNT, "cpuset io cpux", NULL, -ENOENT },
	{ "4:cpu,cpuacct:/box\n0::/user\n", V1_MOUNT V2_MOUNT, "memory", "/v1/box", 1 },
	{ "4:cpuacct,cpu:/\n0::/user\n", V2_MOUNT V1_MOUNT, NULL, "/v1", 1 },
	{ "4:cpuset:/box\n5:cpuacct:/box\n", V1_MOUNT, NULL, NULL, -ENOENT },
	/* A container: only its own part is mounted, and it may or may not know the rest of the path. */
	{ "4:cpu:/pods/a/box\n", "31 24 0:27 /pods/a @/v1 rw - cgroup c rw,cpu\n", NULL, "/v1/box",
	  1 },
	{ "4:cpu:/box\n", "31 24 0:27 /pods/a @/v1 rw - cgroup c rw,cpu\n", NULL, "/v1/box", 1 },
	{ "4:cpu:/pods/a\n", "31 24 0:27 /pods/a @/v1 rw - cgroup c rw,cpu\n", NULL, "/v1", 1 },
	/* Nonsense. */
	{ "", "", NULL, NULL, -ENOENT },
	{ "4:cpu\n:::\n4:cpu:box\n", V1_MOUNT, NULL, NULL, -ENOENT },
	{ "4:cpu:/../v2/x\n", V1_MOUNT, NULL, NULL, -ENOENT },
	{ "4:cpu:/box\n", "31\n31 24 0:27 / - cgroup c rw,cpu\n - cgroup c cpu\n", NULL, NULL,
	  -ENOENT },
	{ "4:cpu:/box\n", "31 24 0:27 / @/v1\\040 rw - cgroup c rw,cpu\n", NULL, NULL, -ENOENT },
};

START_TEST(our_own_group_is_found)
{
	char dir[800] = "", want[200], path[200];

	put(self, hosts[_i].self);
	put(mounts, hosts[_i].mounts);
	if (hosts[_i].controllers) {
		snprintf(path, sizeof(path), "%s/v2/user/cgroup.controllers", base);
		put(path, hosts[_i].controllers);
	}
	ck_assert_int_eq(cgroup_find(&host, dir, sizeof(dir)), hosts[_i].version);
	if (!hosts[_i].dir)
		return;
	snprintf(want, sizeof(want), "%s%s", base, hosts[_i].dir);
	ck_assert_str_eq(dir, want);
}
END_TEST

/* A directory that looks like a hierarchy and is none: no file appears in a new group. */
START_TEST(nothing_is_left_where_no_group_can_be_made)
{
	struct cgroup g = { .dir = "" };
	char path[200];

	put(self, _i ? "0::/user\n" : "4:cpu:/box\n");
	put(mounts, V1_MOUNT V2_MOUNT);
	snprintf(path, sizeof(path), "%s/v2/user/cgroup.controllers", base);
	put(path, "cpu\n");
	ck_assert_int_eq(cgroup_make(&g, &host, "name", 50), -ENOENT);
	ck_assert_str_eq(g.dir, "");
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", base, _i ? "v2/user" : "v1/box");
	ck_assert_int_eq(rmdir(path), 0); /* it is empty */
	cgroup_remove(&g);
}
END_TEST

START_TEST(without_files_there_is_none)
{
	struct cgroup g = { .dir = "" };

	ck_assert_int_eq(cgroup_make(&g, &host, "name", 50), -ENOENT);
}
END_TEST

Suite *cgroup_suite(void);

Suite *cgroup_suite(void)
{
	Suite *s = suite_create("cgroup");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, our_own_group_is_found, 0, ARRAY_LEN(hosts));
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, nothing_is_left_where_no_group_can_be_made, 0, 2);
	tcase_add_test(tc, without_files_there_is_none);
	suite_add_tcase(s, tc);
	return s;
}
