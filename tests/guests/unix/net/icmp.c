/* SPDX-License-Identifier: MIT */
/*
 * Echo requests and answers (RFC 792).
 */
#include "tests/guests/unix/net/net_priv.h"

#define ECHO_ANSWER 0
#define ECHO        8
#define HEAD        8
#define PING_ID     0x7076
#define AGAIN       (1000 * NS_PER_MS)

static int send_echo(struct net *n, uint8_t type, uint32_t to, const uint8_t *rest, size_t len)
{
	const struct net_out out = { .to = to, .protocol = IP_ICMP, .len = (unsigned)(4 + len) };
	uint8_t *page, *icmp;

	if (ETH_LEN + IP_LEN + 4 + len > TX_ROOM)
		return -XEN_EMSGSIZE;
	page = net_page(n);
	if (!page)
		return -XEN_ENOMEM;
	icmp = page + ETH_LEN + IP_LEN;
	icmp[0] = type;
	icmp[1] = 0;
	put16(icmp + 2, 0);
	memcpy(icmp + 4, rest, len);
	put16(icmp + 2, net_sum_end(net_sum(0, icmp, 4 + len)));
	return net_send(n, page, &out);
}

void icmp_input(struct net *n, const struct net_in *in)
{
	const uint8_t *icmp = in->l4;

	if (in->l4_len < HEAD || in->head_len != in->l4_len ||
	    net_sum_end(net_sum(0, icmp, in->l4_len)))
		return;
	if (icmp[0] == ECHO && net_is_ours(n, in->to)) {
		send_echo(n, ECHO_ANSWER, in->from, icmp + 4, in->l4_len - 4);
	} else if (icmp[0] == ECHO_ANSWER && get16(icmp + 4) == PING_ID &&
	           get16(icmp + 6) == n->ping_seq) {
		n->ping_answered = true;
		n->env.wake(&n->ping_q);
	}
}

static bool answered(void *arg)
{
	struct net *n = arg;

	return __atomic_load_n(&n->ping_answered, __ATOMIC_ACQUIRE);
}

/* Asked again every second: the first may have been lost while nobody knew the address. */
int net_ping(struct net *n, uint32_t ip, unsigned len, uint64_t limit_ns, uint64_t *rtt_ns)
{
	static uint8_t bytes[2048];
	uint64_t end = limit_ns ? n->env.now_ns() + limit_ns : UINT64_MAX;

	if (len > sizeof(bytes) - 4)
		return -XEN_EMSGSIZE;
	for (;;) {
		uint64_t irq = pv_spin_lock_irq(&n->lock), start, until;
		int rc;

		n->ping_answered = false;
		put16(bytes, PING_ID);
		put16(bytes + 2, ++n->ping_seq);
		start = n->env.now_ns();
		rc = send_echo(n, ECHO, ip, bytes, 4 + len);
		net_leave(n, irq);
		if (rc)
			return rc;
		until = end - start < AGAIN ? end : start + AGAIN;
		rc = net_wait(n, &n->ping_q, answered, n, until);
		if (!rc)
			*rtt_ns = n->env.now_ns() - start;
		if (rc != -XEN_ETIMEDOUT || n->env.now_ns() >= end)
			return rc;
	}
}
