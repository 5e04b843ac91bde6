/* SPDX-License-Identifier: MIT */
/*
 * What people write about disks (toolstack/disk_spec.c): our form, xl's, and what is neither.
 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "hypervisor-stub/toolstack/disk_spec.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define XVDA         51712u

static char why[1024];

/* ---- normal ---- */

static const struct {
	const char *text, *target, *serial;
	enum disk_format format;
	uint32_t vdev;
	bool readonly, direct, cdrom;
} good[] = {
	{ "a.img", "a.img", "", DISK_RAW, DISK_NO_VDEV, false, false, false },
	{ "a.img,ro,direct,serial=x-1", "a.img", "x-1", DISK_RAW, DISK_NO_VDEV, true, true, false },
	{ "ro", "ro", "", DISK_RAW, DISK_NO_VDEV, false, false, false },
	{ "format=raw, vdev=xvda, access=rw, target=/a,b=c", "/a,b=c", "", DISK_RAW, XVDA, false,
	  false, false },
	{ "/dev/vg/x,raw,xvdb,r", "/dev/vg/x", "", DISK_RAW, XVDA + 16, true, false, false },
	{ "phy:/dev/x,xvda,w", "/dev/x", "", DISK_RAW, XVDA, false, false, false },
	{ "file:/x,hda,r", "/x", "", DISK_RAW, 768, true, false, false },
	{ "/x,,xvda", "/x", "", DISK_RAW, XVDA, false, false, false },
	{ "/x,vdev=xvdc,devtype=cdrom", "/x", "", DISK_RAW, XVDA + 32, true, false, true },
	{ "vdev=xvda,readonly,target=/x", "/x", "", DISK_RAW, XVDA, true, false, false },
	{ "nbd:unix:/s:exportname=e", "nbd:unix:/s:exportname=e", "", DISK_NBD, DISK_NO_VDEV, false,
	  false, false },
	{ "format=nbd:127.0.0.1:9,ro", "nbd:127.0.0.1:9", "", DISK_NBD, DISK_NO_VDEV, true, false,
	  false },
	{ "memory:64M,xvdz", "64M", "", DISK_MEMORY, 1u << 28 | 25 << 8, false, false, false },
	{ "/x,discard,direct-io-safe,backendtype=phy", "/x", "", DISK_RAW, DISK_NO_VDEV, false,
	  false, false },
};

START_TEST(a_disk_is_what_was_written)
{
	struct disk_spec s;

	ck_assert_msg(!disk_spec_parse(&s, good[_i].text, why, sizeof(why)), "%s", why);
	ck_assert_str_eq(s.target, good[_i].target);
	ck_assert_str_eq(s.serial, good[_i].serial);
	ck_assert_int_eq(s.format, good[_i].format);
	ck_assert_uint_eq(s.vdev, good[_i].vdev);
	ck_assert_int_eq(s.readonly, good[_i].readonly);
	ck_assert_int_eq(s.direct, good[_i].direct);
	ck_assert_int_eq(s.cdrom, good[_i].cdrom);
}
END_TEST

static const struct {
	const char *name;
	uint32_t vdev;
} names[] = {
	{ "xvda", XVDA },
	{ "xvda1", XVDA + 1 },
	{ "xvdp15", XVDA + 255 },
	{ "xvda16", 1u << 28 | 16 },
	{ "xvdq", 1u << 28 | 16 << 8 },
	{ "xvdaa", 1u << 28 | 26 << 8 },
	{ "hda", 768 },
	{ "hdb2", 768 + 66 },
	{ "hdc", 22 << 8 },
	{ "sda", 2048 },
	{ "sdp", 2048 + 240 },
};

START_TEST(a_name_and_its_number)
{
	char name[24];
	uint32_t vdev;

	ck_assert(disk_vdev_parse(names[_i].name, &vdev));
	ck_assert_uint_eq(vdev, names[_i].vdev);
	ck_assert_str_eq(disk_vdev_name(vdev, name, sizeof(name)), names[_i].name);
}
END_TEST

START_TEST(disks_are_numbered_in_order)
{
	char name[24];

	ck_assert_str_eq(disk_vdev_name(disk_vdev_nth(0), name, sizeof(name)), "xvda");
	ck_assert_str_eq(disk_vdev_name(disk_vdev_nth(15), name, sizeof(name)), "xvdp");
	ck_assert_str_eq(disk_vdev_name(disk_vdev_nth(16), name, sizeof(name)), "xvdq");
	ck_assert_str_eq(disk_vdev_name(disk_vdev_nth(26), name, sizeof(name)), "xvdaa");
}
END_TEST

/* ---- what is wrong ---- */

static const struct {
	const char *text, *says;
} wrong[] = {
	{ "", "no target" },
	{ "vdev=xvda", "no target" },
	{ "a.img,format=qcow2", "qemu-nbd -f qcow2" },
	{ "a.img,format=foo", "'foo' is unknown" },
	{ "a.img,bar", "'bar' is unknown" },
	{ "a.img,vdev=xvd", "is no device" },
	{ "a.img,vdev=hde", "is no device" },
	{ "a.img,access=x", "access 'x'" },
	{ "a.img,serial=", "serial number" },
	{ "a.img,serial=a b", "serial number" },
	{ "a.img,sector=1024", "512 or 4096" },
	{ "a.img,timeout=3", "timeout is for nbd" },
	{ "nbd:unix:/a,timeout=0", "out of range" },
	{ "nbd:unix:/a,direct", "direct is for files" },
	{ "a.img,target=b.img", "second target" },
	{ "a.img,aio=x", "aio=x is unknown" },
};

START_TEST(what_is_no_disk_gets_one_sentence)
{
	struct disk_spec s;

	why[0] = 0;
	ck_assert_int_eq(disk_spec_parse(&s, wrong[_i].text, why, sizeof(why)), -EINVAL);
	ck_assert_msg(strstr(why, wrong[_i].says), "'%s': %s", wrong[_i].text, why);
	ck_assert_ptr_null(strchr(why, '\n'));
}
END_TEST

START_TEST(a_text_that_is_too_long_is_refused)
{
	char text[DISK_TEXT + 1];
	struct disk_spec s;

	memset(text, 'a', sizeof(text));
	text[DISK_TEXT] = 0;
	ck_assert_int_eq(disk_spec_parse(&s, text, why, sizeof(why)), -EINVAL);
	text[DISK_TEXT - 1] = 0;
	ck_assert_int_eq(disk_spec_parse(&s, text, why, sizeof(why)), 0);
}
END_TEST

static const char *const no_names[] = {
	"",
	"xvd",
	"xvda0",
	"xvda256",
	"xvdA",
	"xvda1x",
	"xvdzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
	"hda64",
	"sdq",
	"sda16",
	"7x",
	"-1",
	"99999999999999999999",
	"vda",
};

START_TEST(what_is_no_name)
{
	uint32_t vdev;

	ck_assert_msg(!disk_vdev_parse(no_names[_i], &vdev), "%s", no_names[_i]);
}
END_TEST

Suite *disk_spec_suite(void);
Suite *disk_spec_suite(void)
{
	Suite *suite = suite_create("disk_spec");
	TCase *normal = tcase_create("normal"), *hostile = tcase_create("hostile");

	suite_add_tcase(suite, normal);
	suite_add_tcase(suite, hostile);
	tcase_add_loop_test(normal, a_disk_is_what_was_written, 0, ARRAY_LEN(good));
	tcase_add_loop_test(normal, a_name_and_its_number, 0, ARRAY_LEN(names));
	tcase_add_test(normal, disks_are_numbered_in_order);
	tcase_add_loop_test(hostile, what_is_no_disk_gets_one_sentence, 0, ARRAY_LEN(wrong));
	tcase_add_test(hostile, a_text_that_is_too_long_is_refused);
	tcase_add_loop_test(hostile, what_is_no_name, 0, ARRAY_LEN(no_names));
	return suite;
}
