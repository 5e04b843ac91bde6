/* SPDX-License-Identifier: MIT */
/*
 * What somebody wrote about a disk; see disk_spec.h.
 *
 * Source: xl-disk-configuration(5) and docs/misc/vbd-interface.txt of Xen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/disk_spec.h"

/* ---- numbers of devices ----------------------------------------------------------------------- */

#define XVD_MAJOR     202u
#define EXTENDED      (1u << 28) /* xvd beyond 15 disks or partitions: disk << 8, partition */
#define MAX_DISK      (1u << 20)
#define MAX_PARTITION 255u

/* "a" is 0, "z" 25, "aa" 26. Reads letters; false when there are none, or too many. */
static bool read_letters(const char **at, unsigned *disk)
{
	unsigned n = 0;

	for (; **at >= 'a' && **at <= 'z'; (*at)++) {
		n = n * 26 + (unsigned)(**at - 'a') + 1;
		if (n > MAX_DISK)
			return false;
	}
	*disk = n - 1;
	return n > 0;
}

static bool number_of(const char *kind, unsigned disk, unsigned partition, uint32_t *vdev)
{
	static const unsigned ide_major[] = { 3, 22 };

	if (!strcmp(kind, "hd")) {
		*vdev = ide_major[disk / 2 % 2] << 8 | disk % 2 << 6 | partition;
		return disk < 4 && partition < 64;
	}
	if (!strcmp(kind, "sd")) {
		*vdev = 8u << 8 | disk << 4 | partition;
		return disk < 16 && partition < 16;
	}
	if (disk < 16 && partition < 16)
		*vdev = XVD_MAJOR << 8 | disk << 4 | partition;
	else
		*vdev = EXTENDED | disk << 8 | partition;
	return true;
}

bool disk_vdev_parse(const char *text, uint32_t *vdev)
{
	static const char *const kind[] = { "xvd", "hd", "sd" };
	unsigned long n;
	unsigned disk;
	char *end;

	if (text[0] >= '0' && text[0] <= '9') {
		n = strtoul(text, &end, 0);
		*vdev = (uint32_t)n;
		return !*end && n < EXTENDED * 2;
	}
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		const char *at = text + strlen(kind[i]);

		if (strncmp(text, kind[i], strlen(kind[i])) || !read_letters(&at, &disk))
			continue;
		if (!*at)
			return number_of(kind[i], disk, 0, vdev);
		n = strtoul(at, &end, 10);
		return *at >= '1' && *at <= '9' && !*end && n <= MAX_PARTITION &&
		       number_of(kind[i], disk, (unsigned)n, vdev);
	}
	return false;
}

const char *disk_vdev_name(uint32_t vdev, char *name, size_t size)
{
	unsigned disk, partition, major = vdev >> 8;
	const char *kind = "xvd";
	char letters[8], *at = letters + sizeof(letters) - 1;

	if (vdev & EXTENDED) {
		disk = (vdev & ~EXTENDED) >> 8;
		partition = vdev & 255;
	} else if (major == XVD_MAJOR || major == 8) {
		kind = major == 8 ? "sd" : "xvd";
		disk = vdev >> 4 & 15;
		partition = vdev & 15;
	} else if (major == 3 || major == 22) {
		kind = "hd";
		disk = (major == 22) * 2 + (vdev >> 6 & 3);
		partition = vdev & 63;
	} else {
		snprintf(name, size, "%u", vdev);
		return name;
	}
	*at = 0;
	for (disk++; disk; disk = (disk - 1) / 26)
		*--at = (char)('a' + (disk - 1) % 26);
	if (partition)
		snprintf(name, size, "%s%s%u", kind, at, partition);
	else
		snprintf(name, size, "%s%s", kind, at);
	return name;
}

uint32_t disk_vdev_nth(unsigned n)
{
	uint32_t vdev;

	number_of("xvd", n, 0, &vdev);
	return vdev;
}

/* ---- words --------------------------------------------------------------------------------------- */

struct parse {
	struct disk_spec *s;
	struct spec_text text;
	bool has_target;
};

/* The text is shorter than any of our strings (disk_spec_parse()). */
static int set_target(struct parse *p, const char *value)
{
	static const char *const old[] = { "phy:", "file:" };

	if (p->has_target)
		return spec_refuse(&p->text, "'%s' is a second target; a disk has one", value);
	p->has_target = true;
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (!strncmp(value, old[i], strlen(old[i])))
			value += strlen(old[i]);
	if (!strncmp(value, "nbd:", 4) || !strncmp(value, "nbd://", 6) ||
	    !strncmp(value, "nbd+unix:", 9)) {
		p->s->format = DISK_NBD;
	} else if (!strncmp(value, "memory:", 7)) {
		p->s->format = DISK_MEMORY;
		value += 7;
	}
	snprintf(p->s->target, sizeof(p->s->target), "%s", value);
	return 0;
}

static int set_format(struct parse *p, const char *value)
{
	static const char *const images[] = {
		"qcow2", "qcow", "vhd", "vhdx", "vmdk", "vdi", "qed"
	};

	if (!strncmp(value, "nbd:", 4) || !strncmp(value, "memory:", 7))
		return set_target(p, value);
	if (!strcmp(value, "raw") || !*value)
		return 0;
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++)
		if (!strcmp(value, images[i]))
			return spec_refuse(&p->text,
			                   "a %s image is read through a server: qemu-nbd -f %s -k "
			                   "SOCKET FILE, then --disk nbd:unix:SOCKET",
			                   value, value);
	return spec_refuse(&p->text,
	                   "the format '%s' is unknown; give raw, nbd:ADDRESS or memory:SIZE",
	                   value);
}

static int set_vdev(struct parse *p, const char *value)
{
	if (disk_vdev_parse(value, &p->s->vdev))
		return 0;
	return spec_refuse(&p->text, "'%s' is no device; write xvda or xvdb", value);
}

/* xl's words for it. */
static bool is_access(const char *value, bool *readonly)
{
	static const char *const word[] = { "ro", "r", "rw", "w" };

	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
		if (strcmp(value, word[i]))
			continue;
		*readonly = i < 2;
		return true;
	}
	return false;
}

static int set_access(struct parse *p, const char *value)
{
	if (is_access(value, &p->s->readonly))
		return 0;
	return spec_refuse(&p->text, "the access '%s' is unknown; write r or w", value);
}

static int set_serial(struct parse *p, const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < len; i++)
		if (value[i] < '!' || value[i] > '~')
			len = DISK_SERIAL;
	if (!len || len >= DISK_SERIAL)
		return spec_refuse(&p->text, "a serial number has 1 to %d printable characters",
		                   DISK_SERIAL - 1);
	memcpy(p->s->serial, value, len + 1);
	return 0;
}

static int set_sector(struct parse *p, const char *value)
{
	if (strcmp(value, "512") && strcmp(value, "4096"))
		return spec_refuse(&p->text, "sectors have 512 or 4096 bytes, not '%s'", value);
	p->s->sector = (unsigned)strtoul(value, NULL, 10);
	return 0;
}

static int set_timeout(struct parse *p, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || !n || n > 86400)
		return spec_refuse(&p->text, "timeout=%s is out of range; give 1 to 86400 seconds",
		                   value);
	p->s->timeout = (unsigned)n;
	return 0;
}

static int set_devtype(struct parse *p, const char *value)
{
	if (strcmp(value, "cdrom") && strcmp(value, "disk"))
		return spec_refuse(&p->text, "the type '%s' is unknown; write disk or cdrom",
		                   value);
	p->s->cdrom = value[0] == 'c';
	p->s->readonly |= p->s->cdrom;
	return 0;
}

static int set_aio(struct parse *p, const char *value)
{
	if (strcmp(value, "threads") && strcmp(value, "io_uring"))
		return spec_refuse(&p->text, "aio=%s is unknown; write threads or io_uring", value);
	p->s->no_uring = value[0] == 't';
	return 0;
}

/* Written for xl's other back-ends, and true of any of ours. */
static int pass_over(struct parse *p, const char *value)
{
	(void)p;
	(void)value;
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct parse *p, const char *value);
} keys[] = {
	{ "format", set_format }, { "vdev", set_vdev },         { "access", set_access },
	{ "serial", set_serial }, { "sector", set_sector },     { "devtype", set_devtype },
	{ "aio", set_aio },       { "backendtype", pass_over }, { "timeout", set_timeout },
};

/* Words without a value. */
static bool set_flag(struct disk_spec *s, const char *word)
{
	if (!strcmp(word, "direct"))
		s->direct = true;
	else if (!strcmp(word, "readonly"))
		s->readonly = true;
	else if (!strcmp(word, "cdrom"))
		s->cdrom = s->readonly = true;
	else if (!strcmp(word, "removable"))
		s->removable = true;
	else if (!strcmp(word, "no-discard"))
		s->no_discard = true;
	else
		return !strcmp(word, "discard") || !strcmp(word, "direct-io-safe") || !*word;
	return true;
}

static int one_word(struct parse *p, const char *word, bool is_first)
{
	const char *eq = strchr(word, '=');

	for (size_t i = 0; eq && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].name) == (size_t)(eq - word) &&
		    !memcmp(keys[i].name, word, (size_t)(eq - word)))
			return keys[i].set(p, eq + 1);
	/* What stands first without a key is the target, whatever it looks like. */
	if (is_first && *word)
		return set_target(p, word);
	if (is_access(word, &p->s->readonly) || set_flag(p->s, word) ||
	    disk_vdev_parse(word, &p->s->vdev))
		return 0;
	return p->has_target ? set_format(p, word) : set_target(p, word);
}

static int check(struct parse *p)
{
	if (!p->has_target || !*p->s->target)
		return spec_refuse(&p->text,
		                   "it has no target; name a file, a block device or nbd:ADDRESS");
	if (p->s->timeout && p->s->format != DISK_NBD)
		return spec_refuse(&p->text, "timeout is for nbd:ADDRESS; leave it out");
	if (p->s->direct && p->s->format != DISK_RAW)
		return spec_refuse(&p->text, "direct is for files and block devices; leave it out");
	return 0;
}

int disk_spec_parse(struct disk_spec *s, const char *text, char *why, size_t why_len)
{
	struct parse p = { s, { "disk", text, why, why_len }, false };
	char copy[DISK_TEXT], *word = copy, *comma;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->vdev = DISK_NO_VDEV;
	if (strlen(text) >= sizeof(copy))
		return spec_refuse(&p.text, "the text is longer than %d bytes", DISK_TEXT - 1);
	strcpy(copy, text);
	for (; word && !rc; word = comma) {
		while (*word == ' ' || *word == '\t')
			word++;
		comma = strchr(word, ',');
		if (!strncmp(word, "target=", 7)) {
			rc = set_target(&p, word + 7);
			break;
		}
		if (comma)
			*comma++ = 0;
		rc = one_word(&p, word, word == copy);
	}
	return rc ? rc : check(&p);
}

int disk_spec_check(const char *text, char *why, size_t why_len)
{
	struct disk_spec s;

	return disk_spec_parse(&s, text, why, why_len);
}
