/* SPDX-License-Identifier: MIT */
/*
 * A domain's configuration file; see config.h.
 *
 * Two parts: a reader of the syntax, which knows no key, and the table of keys. A string without its
 * quotes and escapes is never longer than it was with them, so one block as long as the file holds
 * all of them.
 *
 * Source: xl.cfg(5) of Xen's manual; what xl 4.17 accepts was tried out.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "abi/xen.h"
#include "hypervisor-stub/core/types.h"
#include "hypervisor-stub/toolstack/config.h"
#include "hypervisor-stub/toolstack/disk_spec.h"
#include "hypervisor-stub/toolstack/vif_spec.h"

#define MAX_DEPTH   8
#define MAX_MIB     (UINT64_C(1) << 20)
#define DEFAULT_MIB 128
#define SHOWN       64 /* bytes of the file's own words in a sentence */

enum kind { NUMBER, STRING, LIST };

struct value {
	enum kind kind;
	uint64_t number;
	const char *text; /* of a string; of a number, as it was written */
};

struct reader {
	struct config *c;
	const char *file;
	const char *at, *end;
	unsigned line;
	char *room; /* the next free byte of c->strings */
	unsigned warnings;
	/* The strings of the outermost list that was read last. */
	const char *item[OPTIONS_MAX_DEVICES];
	unsigned nr_items;
	bool has_other_items; /* others than strings, or too many */
	config_warn_fn *warn;
	void *warn_arg;
	char *why;
	size_t why_len;

	/* What is put together from several keys. */
	const char *cmdline, *root, *extra;
};

/* ---- sentences ------------------------------------------------------------------------------ */

/* What can be shown of foreign bytes on a terminal. */
static void tame(char *text)
{
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static int refuse(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct reader *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tame(text);
	snprintf(r->why, r->why_len, "%s:%u: %s", r->file, r->line, text);
	return -EINVAL;
}

static void warn(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct reader *r, const char *fmt, ...)
{
	char text[512], sentence[1024];
	va_list ap;

	if (!r->warn || r->warnings > CONFIG_MAX_WARNINGS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tame(text);
	if (r->warnings++ == CONFIG_MAX_WARNINGS)
		snprintf(text, sizeof(text), "more of that kind follows and is passed over");
	snprintf(sentence, sizeof(sentence), "%s:%u: %s", r->file, r->line, text);
	r->warn(r->warn_arg, sentence);
}

/* ---- syntax --------------------------------------------------------------------------------- */

static char peek(const struct reader *r)
{
	return r->at < r->end ? *r->at : 0;
}

/* Blanks and comments; newlines too where they mean nothing (inside a list). */
static void skip(struct reader *r, bool over_lines)
{
	for (; r->at < r->end; r->at++) {
		if (*r->at == '#') {
			while (r->at < r->end && *r->at != '\n')
				r->at++;
			if (r->at == r->end)
				return;
		}
		if (*r->at == '\n' && over_lines)
			r->line++;
		else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r')
			return;
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Digits of an escape, at most so many; at least one. Returns the byte or a negative number. */
static int escape_number(struct reader *r, int base, int most)
{
	int n = 0, seen = 0;

	for (; seen < most && r->at < r->end; seen++, r->at++) {
		int digit = hex_digit(*r->at);

		if (digit < 0 || digit >= base)
			break;
		n = n * base + digit;
	}
	/* A zero byte would end the string early. */
	return seen && n > 0 && n < 256 ? n : -1;
}

/* What stands behind a backslash. Returns the byte or a negative number. */
static int escape(struct reader *r)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	char c = peek(r);
	const char *found = c ? strchr(from, c) : NULL;

	if (c >= '0' && c <= '7')
		return escape_number(r, 8, 3);
	if (c == 'x') {
		r->at++;
		return escape_number(r, 16, 2);
	}
	if (!found)
		return -1;
	r->at++;
	return to[found - from];
}

static int read_string(struct reader *r, struct value *v)
{
	char quote = *r->at++, *out = r->room;

	while (r->at < r->end && *r->at != quote && *r->at != '\n') {
		int c = (unsigned char)*r->at++;

		if (c == '\\') {
			c = escape(r);
			if (c < 0)
				return refuse(r, "a backslash is followed by nothing that it can "
				                 "stand before; write \\\\ for one itself");
		}
		if (!c)
			return refuse(r, "a string holds a zero byte; take it out");
		*out++ = (char)c;
	}
	if (peek(r) != quote)
		return refuse(r, "a string has no end on its line; close it with %c", quote);
	r->at++;
	*out++ = 0;
	*v = (struct value){ .kind = STRING, .text = r->room };
	r->room = out;
	return 0;
}

static int read_number(struct reader *r, struct value *v)
{
	const char *from = r->at;
	char text[24], *end;
	size_t len;

	while (r->at < r->end && isalnum((unsigned char)*r->at))
		r->at++;
	len = (size_t)(r->at - from);
	if (len >= sizeof(text))
		return refuse(r, "a number has %zu digits; that is no number here", len);
	memcpy(text, from, len);
	text[len] = 0;
	errno = 0;
	v->kind = NUMBER;
	v->number = strtoull(text, &end, text[1] == 'x' || text[1] == 'X' ? 16 : 10);
	if (*end || errno)
		return refuse(r, "'%s' is no number; text goes into quotes", text);
	return 0;
}

static int read_value(struct reader *r, struct value *v, unsigned depth);

static void keep_item(struct reader *r, const struct value *member)
{
	if (member->kind == STRING && r->nr_items < OPTIONS_MAX_DEVICES)
		r->item[r->nr_items++] = member->text;
	else
		r->has_other_items = true;
}

static int read_list(struct reader *r, unsigned depth)
{
	struct value member;
	int rc;

	if (depth == MAX_DEPTH)
		return refuse(r, "lists are nested more than %d deep; nothing needs that",
		              MAX_DEPTH);
	if (depth == 0) {
		r->nr_items = 0;
		r->has_other_items = false;
	}
	r->at++;
	for (;;) {
		skip(r, true);
		if (peek(r) == ']')
			break;
		rc = read_value(r, &member, depth + 1);
		if (rc)
			return rc;
		if (depth == 0)
			keep_item(r, &member);
		skip(r, true);
		if (peek(r) == ',')
			r->at++;
		else if (peek(r) != ']')
			return refuse(r, "a list goes on without a comma, or has no end; close it "
			                 "with ]");
	}
	r->at++;
	return 0;
}

static int read_value(struct reader *r, struct value *v, unsigned depth)
{
	char c = peek(r);

	if (c == '"' || c == '\'')
		return read_string(r, v);
	if (c >= '0' && c <= '9')
		return read_number(r, v);
	if (c != '[')
		return refuse(r, "there is no value where one belongs; write a number, a quoted "
		                 "string or a [list]");
	v->kind = LIST;
	return read_list(r, depth);
}

/* ---- keys ----------------------------------------------------------------------------------- */

struct key;
typedef int set_fn(struct reader *r, const struct key *k, const struct value *v);

struct key {
	const char *name;
	enum kind kind;
	uint64_t min, max; /* of a number */
	set_fn *set;
	size_t where; /* in struct reader or struct guest_config, as the function has it */
};

#define IN_GUEST(member)  offsetof(struct guest_config, member)
#define IN_READER(member) offsetof(struct reader, member)

static void *guest_member(struct reader *r, const struct key *k)
{
	return (char *)&r->c->guest + k->where;
}

static int set_text(struct reader *r, const struct key *k, const struct value *v)
{
	*(const char **)guest_member(r, k) = v->text;
	return 0;
}

static int set_part(struct reader *r, const struct key *k, const struct value *v)
{
	*(const char **)((char *)r + k->where) = v->text;
	return 0;
}

static int set_mib(struct reader *r, const struct key *k, const struct value *v)
{
	*(uint64_t *)guest_member(r, k) = v->number << 20;
	return 0;
}

static int set_unsigned(struct reader *r, const struct key *k, const struct value *v)
{
	*(unsigned *)guest_member(r, k) = (unsigned)v->number;
	return 0;
}

static int set_name(struct reader *r, const struct key *k, const struct value *v)
{
	if (!options_is_name(v->text))
		return refuse(r, "'%.*s' cannot be a name; use 1 to %d of a-z A-Z 0-9 - _ . : +",
		              SHOWN, v->text, OPTIONS_NAME_MAX);
	return set_text(r, k, v);
}

/* A list of devices: each text is checked by check(), and kept. */
static int set_devices(struct reader *r, const struct key *k,
                       int (*check)(const char *text, char *why, size_t why_len))
{
	struct device_texts *texts = guest_member(r, k);
	char sentence[512];

	if (r->has_other_items)
		return refuse(r, "%s takes up to %d strings", k->name, OPTIONS_MAX_DEVICES);
	texts->nr = 0;
	for (unsigned i = 0; i < r->nr_items; i++) {
		if (check(r->item[i], sentence, sizeof(sentence)))
			return refuse(r, "%s", sentence);
		texts->text[texts->nr++] = r->item[i];
	}
	return 0;
}

static int set_disks(struct reader *r, const struct key *k, const struct value *v)
{
	(void)v;
	return set_devices(r, k, disk_spec_check);
}

static int set_vifs(struct reader *r, const struct key *k, const struct value *v)
{
	(void)v;
	return set_devices(r, k, vif_spec_check);
}

static int set_type(struct reader *r, const struct key *k, const struct value *v)
{
	if (strcmp(v->text, "pv") && strcmp(v->text, "generic") && strcmp(v->text, "linux"))
		return refuse(r,
		              "%s = '%.*s': only paravirtualized guests run here; write "
		              "type=\"pv\"",
		              k->name, SHOWN, v->text);
	return 0;
}

static int set_uuid(struct reader *r, const struct key *k, const struct value *v)
{
	struct guest_config *g = &r->c->guest;
	const char *at = v->text;

	for (unsigned i = 0; i < 16; i++) {
		int high, low;

		if (*at == '-')
			at++;
		high = hex_digit(at[0]);
		low = high < 0 ? -1 : hex_digit(at[1]);
		if (low < 0)
			return refuse(r,
			              "%s = '%.*s' is no UUID; write 32 hex digits in five groups",
			              k->name, SHOWN, v->text);
		g->uuid[i] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	if (*at)
		return refuse(r, "%s = '%.*s' is no UUID; write 32 hex digits in five groups",
		              k->name, SHOWN, v->text);
	g->has_uuid = true;
	return 0;
}

/* What xl does with a domain that has ended, and what is done here. */
static int set_action(struct reader *r, const struct key *k, const struct value *v)
{
	static const struct {
		const char *name;
		bool restarts, is_served;
	} action[] = {
		{ "destroy", false, true },        { "restart", true, true },
		{ "preserve", false, false },      { "coredump-destroy", false, false },
		{ "rename-restart", true, false }, { "coredump-restart", true, false },
		{ "soft-reset", true, false },
	};

	for (size_t i = 0; i < sizeof(action) / sizeof(action[0]); i++) {
		if (strcmp(v->text, action[i].name))
			continue;
		*(bool *)guest_member(r, k) = action[i].restarts;
		if (!action[i].is_served)
			warn(r, "%s = '%s' is taken for '%s'", k->name, v->text,
			     action[i].restarts ? "restart" : "destroy");
		return 0;
	}
	return refuse(r, "%s = '%.*s' is unknown; write destroy or restart", k->name, SHOWN,
	              v->text);
}

static const struct key keys[] = {
	{ "name", STRING, 0, 0, set_name, IN_GUEST(name) },
	{ "type", STRING, 0, 0, set_type, 0 },
	{ "builder", STRING, 0, 0, set_type, 0 },
	{ "kernel", STRING, 0, 0, set_text, IN_GUEST(kernel) },
	{ "ramdisk", STRING, 0, 0, set_text, IN_GUEST(ramdisk) },
	{ "memory", NUMBER, 1, MAX_MIB, set_mib, IN_GUEST(memory) },
	{ "maxmem", NUMBER, 1, MAX_MIB, set_mib, IN_GUEST(max_memory) },
	{ "vcpus", NUMBER, 1, HV_MAX_VCPUS, set_unsigned, IN_GUEST(vcpus) },
	{ "maxvcpus", NUMBER, 1, HV_MAX_VCPUS, set_unsigned, IN_GUEST(max_vcpus) },
	{ "cpu_weight", NUMBER, 1, OPTIONS_MAX_WEIGHT, set_unsigned, IN_GUEST(cpu_weight) },
	{ "cap", NUMBER, 0, OPTIONS_MAX_CAP, set_unsigned, IN_GUEST(cpu_cap) },
	{ "disk", LIST, 0, 0, set_disks, IN_GUEST(disks) },
	{ "vif", LIST, 0, 0, set_vifs, IN_GUEST(vifs) },
	{ "cmdline", STRING, 0, 0, set_part, IN_READER(cmdline) },
	{ "root", STRING, 0, 0, set_part, IN_READER(root) },
	{ "extra", STRING, 0, 0, set_part, IN_READER(extra) },
	{ "uuid", STRING, 0, 0, set_uuid, 0 },
	{ "on_poweroff", STRING, 0, 0, set_action, IN_GUEST(restart_on_poweroff) },
	{ "on_reboot", STRING, 0, 0, set_action, IN_GUEST(restart_on_reboot) },
	{ "on_crash", STRING, 0, 0, set_action, IN_GUEST(restart_on_crash) },
};

/* A number may also be written in quotes, as xl has it. */
static int as_number(struct reader *r, const struct key *k, struct value *v)
{
	char *end;

	if (v->kind == STRING && isdigit((unsigned char)v->text[0])) {
		errno = 0;
		v->number = strtoull(v->text, &end, 10);
		if (!*end && !errno)
			v->kind = NUMBER;
	}
	if (v->kind != NUMBER)
		return refuse(r, "%s takes a number", k->name);
	if (v->number < k->min || v->number > k->max)
		return refuse(r, "%s = %llu is out of range; give %llu to %llu", k->name,
		              (unsigned long long)v->number, (unsigned long long)k->min,
		              (unsigned long long)k->max);
	return 0;
}

static int set_key(struct reader *r, const char *name, size_t name_len, struct value *v)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct key *k = &keys[i];
		int rc;

		if (strlen(k->name) != name_len || memcmp(k->name, name, name_len))
			continue;
		rc = k->kind == NUMBER ? as_number(r, k, v) : 0;
		if (!rc && k->kind == STRING && v->kind != STRING)
			rc = refuse(r, "%s takes a string; put it into quotes", k->name);
		if (!rc && k->kind == LIST && v->kind != LIST)
			rc = refuse(r, "%s takes a list; put it into brackets", k->name);
		return rc ? rc : k->set(r, k, v);
	}
	warn(r, "'%.*s' means nothing here and is passed over",
	     name_len < SHOWN ? (int)name_len : SHOWN, name);
	return 0;
}

/* NAME = VALUE, up to the end of its line or a semicolon. */
static int read_setting(struct reader *r)
{
	const char *name = r->at;
	struct value v = { NUMBER, 0, NULL };
	size_t len;
	int rc;

	while (r->at < r->end && (isalnum((unsigned char)*r->at) || *r->at == '_'))
		r->at++;
	len = (size_t)(r->at - name);
	if (!len || isdigit((unsigned char)*name))
		return refuse(r, "there is no key where one belongs; write KEY = VALUE");
	skip(r, false);
	if (peek(r) == '+' && r->end - r->at > 1 && r->at[1] == '=')
		return refuse(r, "+= is not understood here; write the whole value once");
	if (peek(r) != '=')
		return refuse(r, "behind '%.*s' there is no =; write KEY = VALUE",
		              len < SHOWN ? (int)len : SHOWN, name);
	r->at++;
	skip(r, false);
	rc = read_value(r, &v, 0);
	if (rc)
		return rc;
	rc = set_key(r, name, len, &v);
	if (rc)
		return rc;
	skip(r, false);
	if (r->at < r->end && *r->at != '\n' && *r->at != ';')
		return refuse(r, "something follows the value; end it with a newline");
	return 0;
}

static int read_all(struct reader *r)
{
	int rc;

	for (;;) {
		skip(r, true);
		if (r->at == r->end)
			return 0;
		if (*r->at == ';') {
			r->at++;
			continue;
		}
		rc = read_setting(r);
		if (rc)
			return rc;
	}
}

/* ---- what several keys say together ---------------------------------------------------------- */

/* As xl: cmdline alone, or root and extra; there is room for both behind the other strings. */
static int join_cmdline(struct reader *r)
{
	struct guest_config *g = &r->c->guest;
	int len;

	if (r->cmdline && (r->root || r->extra))
		warn(r, "cmdline is given, so root and extra are passed over");
	if (r->cmdline) {
		g->cmdline = r->cmdline;
	} else if (r->root) {
		len = sprintf(r->room, "root=%s%s%s", r->root, r->extra ? " " : "",
		              r->extra ? r->extra : "");
		g->cmdline = r->room;
		r->room += len + 1;
	} else {
		g->cmdline = r->extra;
	}
	if (g->cmdline && strlen(g->cmdline) >= MAX_GUEST_CMDLINE)
		return refuse(r, "the command line has %zu bytes; a guest can be given %d at most",
		              strlen(g->cmdline), MAX_GUEST_CMDLINE - 1);
	return 0;
}

static int check_whole(struct reader *r)
{
	struct guest_config *g = &r->c->guest;
	int rc = join_cmdline(r);

	if (rc)
		return rc;
	if (!g->kernel || !*g->kernel)
		return refuse(r, "no kernel is named; write kernel = \"FILE\"");
	if (g->ramdisk && !*g->ramdisk)
		g->ramdisk = NULL;
	if (g->max_memory && !g->memory)
		g->memory = g->max_memory;
	if (!g->memory)
		g->memory = (uint64_t)DEFAULT_MIB << 20;
	if (g->max_memory && g->max_memory < g->memory)
		return refuse(r, "maxmem is less than memory; give it at least as much");
	if (!g->vcpus)
		g->vcpus = 1;
	if (g->max_vcpus && g->max_vcpus < g->vcpus)
		return refuse(r, "maxvcpus is less than vcpus; give it at least as many");
	return 0;
}

int config_parse(struct config *c, const char *file, const void *bytes, size_t len,
                 config_warn_fn *warn_fn, void *arg, char *why, size_t why_len)
{
	struct reader r = {
		.c = c,
		.file = file,
		.at = bytes,
		.end = (const char *)bytes + len,
		.line = 1,
		.warn = warn_fn,
		.warn_arg = arg,
		.why = why,
		.why_len = why_len,
	};
	int rc;

	*c = (struct config){ .guest = { .restart_on_reboot = true } };
	if (len > CONFIG_MAX_BYTES)
		return refuse(&r, "the file has more than %d bytes; that is no configuration",
		              CONFIG_MAX_BYTES);
	/* All strings as they stand, and once more those of a command line put together of two. */
	c->strings = malloc(2 * len + sizeof("root= "));
	if (!c->strings) {
		snprintf(why, why_len, "%s: memory is short; free some", file);
		return -ENOMEM;
	}
	r.room = c->strings;
	rc = read_all(&r);
	if (!rc)
		rc = check_whole(&r);
	if (rc)
		config_free(c);
	return rc;
}

void config_free(struct config *c)
{
	free(c->strings);
	memset(c, 0, sizeof(*c));
}
