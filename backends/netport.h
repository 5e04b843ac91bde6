/* SPDX-License-Identifier: MIT */
/*
 * Where a network back-end's packets go and come from: a TAP device, a stream or datagram socket, or
 * the switch that joins the guests of one machine.
 *
 * Outwards a port is given batches of packets whose bytes may still lie in the guest's pages; it has
 * sent or copied them when send() returns. Inwards a port asks the sink for room, which is the
 * guest's own buffers, reads or copies straight into it, and commits. So a packet is copied once by
 * whoever has to copy it, and no thread is woken to carry it from one side to the other.
 *
 * Invariant: a port never waits in send(): what does not fit now is not taken, and the port calls
 * sink->room when it would be. Bytes in a guest's pages may change at any time; what a port decides
 * by (lengths, offsets, kinds) stands in struct netpkt only, which the guest cannot reach.
 */
#ifndef BACKENDS_NETPORT_H
#define BACKENDS_NETPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define NETPKT_MAX_LEN 65550 /* bytes with the Ethernet header: 64 KiB to be segmented, a tag */
#define NETPKT_MAX_IOV 24    /* a head of our own and the slots of a packet */
#define NETPKT_MIN_LEN 14
#define NETPORT_BATCH  64

enum netpkt_gso { NETPKT_GSO_NONE, NETPKT_GSO_TCPV4, NETPKT_GSO_TCPV6 };

/* What is to be done to a packet, and what is known about it; as virtio-net's header says it. */
struct netpkt_meta {
	bool csum_partial; /* the sum from csum_start to the end goes to csum_start + csum_offset */
	bool csum_valid;   /* TCP's or UDP's sum is right */
	uint8_t gso;       /* enum netpkt_gso */
	uint16_t gso_size; /* payload of each segment to be made; not 0 with gso */
	uint16_t hdr_len;  /* bytes of all headers; with gso */
	uint16_t csum_start, csum_offset;
};

struct netpkt {
	struct netpkt_meta meta;
	uint32_t len; /* the sum of iov */
	unsigned nr_iov;
	struct iovec iov[NETPKT_MAX_IOV]; /* the first holds all headers, in our own memory */
};

/* The back-end, seen by a port. Any thread; one at a time for each queue. */
struct netport_sink {
	/*
	 * Room for a packet of len bytes: its pieces, in order. 0: there is none now (with wait: the
	 * port's wake() is called when there is some). Undone by the next begin().
	 */
	unsigned (*begin)(void *arg, unsigned queue, uint32_t len, bool wait, struct iovec *iov);
	/* len: what was really put there, at most what was asked for. meta is copied. */
	void (*commit)(void *arg, unsigned queue, const struct netpkt_meta *meta, uint32_t len);
	/* Tells the guest about all that was committed, if it has to be told. Also after a commit() of
	 * no bytes, and when nothing was committed: it costs nothing then. */
	void (*flush)(void *arg, unsigned queue);
	/* send() would take packets again. The port holds no lock that its send() takes. */
	void (*room)(void *arg, unsigned queue);
	/* The link is up or down. */
	void (*carrier)(void *arg, bool up);
	/* Whether the guest takes packets with csum_partial, and with each kind of gso. */
	bool (*takes)(void *arg, const struct netpkt_meta *meta);
	/*
	 * As lend and take_back of backends/device.h, for what brings packets of a queue: ready() may
	 * use the sink as the port's own thread does, but not at the same time.
	 */
	int (*lend)(void *arg, unsigned queue, int fd, void (*ready)(void *ready_arg),
	            void *ready_arg);
	void (*take_back)(void *arg, unsigned queue, int number);
	void *arg;
	uint32_t max_len; /* of a packet that begin() can have room for */
};

struct netport;

struct netport_ops {
	/*
	 * From now on packets go to the sink; NULL: no longer, and none of its functions runs or will
	 * when this returns. nr_queues: of the guest.
	 */
	int (*attach)(struct netport *p, const struct netport_sink *sink, unsigned nr_queues);
	/*
	 * Sends in order. Returns how many were taken; dropped ones count as taken. The iov of a
	 * packet may be changed. One call at a time for each queue.
	 */
	unsigned (*send)(struct netport *p, unsigned queue, struct netpkt *pkts, unsigned nr);
	/* The guest has posted buffers after begin() had found none. */
	void (*wake)(struct netport *p, unsigned queue);
	void (*close)(struct netport *p); /* detached before */
};

/* The head of each kind of port. Constant after opening. */
struct netport {
	const struct netport_ops *ops;
	const char *kind;    /* "tap", "stream", "dgram", "lan" */
	bool offload;        /* takes csum_partial and gso; else the back-end does it in software */
	unsigned max_queues; /* that can be used side by side */
	unsigned mtu;        /* 0: not known */
};

/* 0, or a negative errno and a sentence with the remedy in why. name: of the device. */
int netport_open_tap(struct netport **out, const char *name, unsigned queues, char *why,
                     size_t why_len);
/* A connected stream socket, which becomes the port's, in the framing of QEMU and passt: 32 bits of
 * length, most significant byte first, and the packet. reconnect: a path to connect to again, or
 * NULL. */
int netport_open_stream(struct netport **out, int fd, const char *reconnect, char *why,
                        size_t why_len);
/* A connected datagram socket: a packet a message. reconnect: as above. */
int netport_open_dgram(struct netport **out, int fd, const char *reconnect, char *why,
                       size_t why_len);

/* A switch of one machine, with ports for its guests and, maybe, one to the outside. */
struct netlan;
int netlan_create(struct netlan **out, bool isolated);
void netlan_destroy(struct netlan *lan); /* all its ports closed before */
int netlan_port(struct netlan *lan, struct netport **out);
/* The other port becomes the switch's, which closes it. */
int netlan_uplink(struct netlan *lan, struct netport *outside);

/* What a port is called in a capture. */
struct netport_name {
	char text[16];
	uint8_t mac[6];
};

/*
 * Every packet that passes a port, into a pcapng file; wraps a port, which becomes its own. Several
 * ports may name the same file: each is an interface of its own in it, in the order of opening.
 */
int netport_open_capture(struct netport **out, struct netport *inner, const char *path,
                         const struct netport_name *name, char *why, size_t why_len);

#endif
