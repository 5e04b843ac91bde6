/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/fake/fv_wire.h"

static int attach(struct netport *p, const struct netport_sink *sink, unsigned nr_queues)
{
	(void)nr_queues;
	if (sink) {
		((struct fv_wire *)p)->sink = *sink;
		sink->carrier(sink->arg, true);
	}
	return 0;
}

static unsigned send_some(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr)
{
	struct fv_wire *wire = (struct fv_wire *)p;
	unsigned i;

	(void)queue;
	for (i = 0; i < nr && wire->room; i++, wire->room--) {
		netpkt_copy_out(&pkts[i], 0, wire->last, pkts[i].len);
		wire->last_len = pkts[i].len;
		wire->last_meta = pkts[i].meta;
		wire->sent++;
	}
	return i;
}

static void wake(struct netport *p, unsigned queue)
{
	(void)queue;
	((struct fv_wire *)p)->wakes++;
}

void fv_wire_open(struct fv_wire *wire, bool offload)
{
	static const struct netport_ops ops = { .attach = attach, .send = send_some, .wake = wake };

	memset(wire, 0, sizeof(*wire));
	wire->p = (struct netport){ .ops = &ops, .offload = offload };
	wire->room = UINT32_MAX;
}

uint32_t fv_wire_come(struct fv_wire *wire, const void *bytes, uint32_t len, bool csum_valid)
{
	const struct netport_sink *sink = &wire->sink;
	struct netpkt_meta meta = { .csum_valid = csum_valid };
	struct iovec iov[NETPKT_MAX_IOV];
	unsigned nr = sink->begin(sink->arg, 0, len, true, iov);
	uint32_t done = 0;

	for (unsigned i = 0; i < nr && done < len; i++) {
		uint32_t n = iov[i].iov_len < len - done ? (uint32_t)iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, (const uint8_t *)bytes + done, n);
		done += n;
	}
	sink->commit(sink->arg, 0, &meta, nr ? len : 0);
	sink->flush(sink->arg, 0);
	return done;
}

uint16_t fv_wire_sum(const uint8_t *p, size_t len, uint32_t start)
{
	uint32_t s = start;

	for (size_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

bool fv_wire_sums_are_right(const struct fv_wire *wire)
{
	const uint8_t *p = wire->last;
	uint32_t l4_len = wire->last_len - 34;
	uint32_t pseudo = fv_wire_sum(p + 26, 8, p[23] + l4_len);

	return fv_wire_sum(p + 14, 20, 0) == 0xffff &&
	       fv_wire_sum(p + 34, l4_len, pseudo) == 0xffff;
}
