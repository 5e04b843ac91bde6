/* SPDX-License-Identifier: MIT */
/*
 * What somebody wrote about a network interface; see vif_spec.h.
 *
 * Source: xl-network-configuration(5) of Xen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/toolstack/vif_spec.h"

#define MAX_QUEUES 8
#define MIN_MTU    68
#define MAX_MTU    65521 /* with its header a packet has 64 KiB less one at the most */

struct parse {
	struct vif_spec *s;
	struct spec_text text;
	bool has_target;
};

static int copy(struct parse *p, char *to, size_t size, const char *from, const char *what)
{
	if (!*from)
		return spec_refuse(&p->text, "%s is empty", what);
	if (strlen(from) >= size)
		return spec_refuse(&p->text, "%s has more than %zu characters", what, size - 1);
	strcpy(to, from);
	return 0;
}

/* ---- where packets go ------------------------------------------------------------------------- */

static const struct {
	const char *prefix, *what;
	enum vif_kind kind;
	size_t room;
} kinds[] = { { "tap:", "the name of the TAP device", VIF_TAP, 16 },
	      { "unix:", "the path of the socket", VIF_STREAM, VIF_PATH },
	      { "dgram:", "the path of the socket", VIF_DGRAM, VIF_PATH },
	      { "lan:", "the name of the LAN", VIF_LAN, 64 } };

/* 1: word is none of those. */
static int set_target(struct parse *p, const char *word)
{
	if (!strcmp(word, "passt")) {
		p->s->kind = VIF_PASST;
		p->has_target = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (strncmp(word, kinds[i].prefix, len))
			continue;
		p->s->kind = kinds[i].kind;
		p->has_target = true;
		return copy(p, p->s->target, kinds[i].room, word + len, kinds[i].what);
	}
	return 1;
}

/* ---- words ------------------------------------------------------------------------------------ */

static int set_mac(struct parse *p, const char *v)
{
	unsigned m[6];
	char rest;

	if (strlen(v) != 17 || sscanf(v, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3],
	                              &m[4], &m[5], &rest) != 6)
		return spec_refuse(&p->text, "mac=%.32s is no address; write mac=00:16:3e:01:02:03",
		                   v);
	if (m[0] & 1)
		return spec_refuse(
			&p->text, "mac=%s is an address of many; its first number must be even", v);
	for (int i = 0; i < 6; i++)
		p->s->mac[i] = (uint8_t)m[i];
	p->s->has_mac = true;
	return 0;
}

static int set_number(struct parse *p, const char *name, const char *v, unsigned least,
                      unsigned most, unsigned *n)
{
	char *end;
	unsigned long value = strtoul(v, &end, 10);

	if (*v < '0' || *v > '9' || *end || value < least || value > most)
		return spec_refuse(&p->text, "%s=%.32s: write a number from %u to %u", name, v,
		                   least, most);
	*n = (unsigned)value;
	return 0;
}

/* As xl: a number, G, M, K or nothing, b for bits or B for bytes, "/s". */
static int set_rate(struct parse *p, const char *v)
{
	char *end;
	unsigned long long n = strtoull(v, &end, 10), unit = 1;

	if (*v >= '0' && *v <= '9') {
		if (*end == 'G' || *end == 'M' || *end == 'K') {
			unit = *end == 'G' ? 1000000000 : *end == 'M' ? 1000000 : 1000;
			end++;
		}
		if (!__builtin_mul_overflow(n, unit, &n) && n &&
		    (!strcmp(end, "b/s") || !strcmp(end, "B/s"))) {
			p->s->rate = *end == 'b' ? (n + 7) / 8 : n;
			return 0;
		}
	}
	return spec_refuse(&p->text, "rate=%.32s: write it as rate=10Mb/s or rate=1GB/s", v);
}

static int set_uplink(struct parse *p, const char *v)
{
	struct vif_spec s = { .kind = VIF_LAN };
	struct parse inner = { &s, p->text, false };
	int rc;

	inner.text.text = v;
	rc = set_target(&inner, v);
	if (rc < 0)
		return rc;
	if (rc || s.kind == VIF_LAN)
		return spec_refuse(
			&p->text,
			"uplink=%.64s: write uplink=tap:NAME, uplink=passt, or uplink=unix:PATH",
			v);
	return copy(p, p->s->uplink, sizeof(p->s->uplink), v, "uplink");
}

static int set_bridge(struct parse *p, const char *v)
{
	p->s->kind = VIF_LAN;
	p->has_target = true;
	return copy(p, p->s->target, 64, v, "the name of the bridge");
}

static int set_word(struct parse *p, char *word)
{
	char *v = strchr(word, '=');
	unsigned id;
	int rc;

	if (!v && !strcmp(word, "isolated")) {
		p->s->isolated = true;
		return 0;
	}
	if (v)
		*v++ = 0;
	if (v && !strcmp(word, "mac"))
		return set_mac(p, v);
	if (v && !strcmp(word, "queues"))
		return set_number(p, word, v, 1, MAX_QUEUES, &p->s->queues);
	if (v && !strcmp(word, "mtu"))
		return set_number(p, word, v, MIN_MTU, MAX_MTU, &p->s->mtu);
	if (v && !strcmp(word, "devid")) {
		rc = set_number(p, word, v, 0, 255, &id);
		p->s->id = id;
		return rc;
	}
	if (v && !strcmp(word, "rate"))
		return set_rate(p, v);
	if (v && !strcmp(word, "bridge"))
		return set_bridge(p, v);
	if (v && !strcmp(word, "uplink"))
		return set_uplink(p, v);
	if (v && !strcmp(word, "capture"))
		return copy(p, p->s->capture, sizeof(p->s->capture), v, "capture");
	if (v && !strcmp(word, "forward"))
		return copy(p, p->s->forward, sizeof(p->s->forward), v, "forward");
	return spec_refuse(&p->text, "'%.64s' is not known here; man paravane lists the words",
	                   word);
}

static int check(struct parse *p)
{
	const struct vif_spec *s = p->s;

	if (!p->has_target)
		return spec_refuse(
			&p->text,
			"say where its packets go: tap:NAME, passt, unix:PATH, dgram:PATH or "
			"lan:NAME");
	if (s->kind != VIF_LAN && (s->isolated || s->uplink[0]))
		return spec_refuse(&p->text, "isolated and uplink= are for lan:NAME");
	if (s->kind != VIF_PASST && s->forward[0])
		return spec_refuse(&p->text, "forward= is for passt");
	if (s->queues > 1 && s->kind != VIF_TAP && s->kind != VIF_LAN)
		return spec_refuse(&p->text, "several queues are for tap:NAME and lan:NAME");
	return 0;
}

int vif_spec_parse(struct vif_spec *s, const char *text, char *why, size_t why_len)
{
	struct parse p = { s, { "network interface", text, why, why_len }, false };
	char words[2 * VIF_TEXT], *next = words;
	int rc;

	memset(s, 0, sizeof(*s));
	s->id = VIF_NO_ID;
	if (strlen(text) >= sizeof(words))
		return spec_refuse(&p.text, "the text is too long");
	strcpy(words, text);
	for (bool first = true; next; first = false) {
		char *word = strsep(&next, ",");

		word += strspn(word, " ");
		rc = first ? set_target(&p, word) : 1;
		if (rc > 0)
			rc = set_word(&p, word);
		if (rc)
			return rc;
	}
	return check(&p);
}

int vif_spec_check(const char *text, char *why, size_t why_len)
{
	struct vif_spec s;

	return vif_spec_parse(&s, text, why, why_len);
}
