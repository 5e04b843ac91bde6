/* SPDX-License-Identifier: MIT */
/*
 * A DHCP client: one address, asked for once (RFC 2131). Leases are not renewed.
 */
#include "tests/guests/unix/net/net_priv.h"

#define SERVER_PORT 67
#define CLIENT_PORT 68
#define OP_REQUEST  1
#define OP_ANSWER   2
#define FIXED       236
#define COOKIE      UINT32_C(0x63825363)
#define BUF         576
#define DISCOVER    1
#define OFFER       2
#define REQUEST     3
#define ACK         5
#define NAK         6
#define TRY_NS      (1000 * NS_PER_MS)

enum {
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_ADDRESS = 50,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_WANTED = 55,
	OPT_END = 255
};

struct offer {
	struct net_config c;
	uint32_t server;
	uint8_t type;
};

static uint8_t *put_option(uint8_t *p, uint8_t code, uint32_t value)
{
	*p++ = code;
	*p++ = 4;
	put32(p, value);
	return p + 4;
}

static int say(struct net *n, struct net_udp *u, uint32_t xid, uint8_t type, const struct offer *o)
{
	uint8_t m[BUF] = { OP_REQUEST, 1, 6 }, *p = m + FIXED;

	put32(m + 4, xid);
	put16(m + 10, 0x8000); /* answer to everybody: we have no address yet */
	memcpy(m + 28, n->info.mac, 6);
	put32(p, COOKIE);
	p += 4;
	*p++ = OPT_TYPE;
	*p++ = 1;
	*p++ = type;
	if (type == REQUEST) {
		p = put_option(p, OPT_ADDRESS, o->c.ip);
		p = put_option(p, OPT_SERVER, o->server);
	}
	memcpy(p, (const uint8_t[]){ OPT_WANTED, 3, OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_END }, 6);
	p += 6;
	/* Some servers want the length that BOOTP had. */
	return net_udp_send(u, NET_BROADCAST, SERVER_PORT, m, p - m < 300 ? 300 : (size_t)(p - m));
}

/* 0 and the offer, or -1: it is not for us, or makes no sense. */
static int understand(const uint8_t *m, size_t len, uint32_t xid, struct offer *o)
{
	memset(o, 0, sizeof(*o));
	if (len < FIXED + 4 || m[0] != OP_ANSWER || get32(m + 4) != xid ||
	    get32(m + FIXED) != COOKIE)
		return -1;
	o->c.ip = get32(m + 16);
	for (size_t i = FIXED + 4; i + 1 < len && m[i] != OPT_END;) {
		uint8_t code = m[i], n = m[i + 1];

		if (!code) {
			i++;
			continue;
		}
		if (n > len - i - 2)
			return -1;
		if (code == OPT_TYPE && n >= 1)
			o->type = m[i + 2];
		if (n >= 4) {
			uint32_t v = get32(m + i + 2);

			o->c.mask = code == OPT_MASK ? v : o->c.mask;
			o->c.gateway = code == OPT_ROUTER ? v : o->c.gateway;
			o->c.dns = code == OPT_DNS ? v : o->c.dns;
			o->server = code == OPT_SERVER ? v : o->server;
		}
		i += 2u + n;
	}
	return 0;
}

/* Says something and waits for an answer of a kind. */
static int exchange(struct net *n, struct net_udp *u, uint32_t xid, uint8_t what, uint8_t want,
                    struct offer *o, uint64_t end)
{
	uint64_t said = 0;
	uint8_t m[BUF];
	struct offer got;

	for (;;) {
		uint64_t now = n->env.now_ns();
		long len;

		if (now >= end)
			return -XEN_ETIMEDOUT;
		if (!said || now - said >= TRY_NS) {
			int rc = say(n, u, xid, what, o);

			if (rc && rc != -XEN_EAGAIN)
				return rc;
			said = now;
		}
		len = net_udp_receive(u, m, sizeof(m), NULL, NULL,
		                      end - now < TRY_NS ? end - now : TRY_NS);
		if (len == -NET_EINTR)
			return (int)len;
		if (len < 0 || understand(m, (size_t)len < BUF ? (size_t)len : BUF, xid, &got))
			continue;
		if (got.type == NAK)
			return -XEN_EACCES;
		if (got.type == want) {
			*o = got;
			return 0;
		}
	}
}

int net_dhcp(struct net *n, uint64_t limit_ns)
{
	uint64_t now = n->env.now_ns();
	uint32_t xid = (uint32_t)now ^ get32(n->info.mac + 2);
	struct offer o = { 0 };
	struct net_udp *u;
	int rc = net_udp_open(n, CLIENT_PORT, &u);

	if (rc)
		return rc;
	rc = exchange(n, u, xid, DISCOVER, OFFER, &o, now + limit_ns);
	if (!rc)
		rc = exchange(n, u, xid, REQUEST, ACK, &o, now + limit_ns);
	if (!rc)
		net_configure(n, &o.c);
	net_udp_close(u);
	return rc;
}
