/* SPDX-License-Identifier: MIT */
/*
 * What somebody wrote about a network interface: on the command line, or in a configuration file.
 *
 * A first word that says where packets go, and words with commas between them; of these mac=,
 * bridge=, mtu= and rate= are xl's. docs/man/paravane.1 lists all.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_VIF_SPEC_H
#define HYPERVISOR_STUB_TOOLSTACK_VIF_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hypervisor-stub/toolstack/spec.h"

#define VIF_PATH  108 /* bytes of a socket's path, its end included */
#define VIF_TEXT  256
#define VIF_NO_ID UINT32_MAX

enum vif_kind { VIF_TAP, VIF_PASST, VIF_STREAM, VIF_DGRAM, VIF_LAN };

struct vif_spec {
	enum vif_kind kind;
	char target[VIF_TEXT]; /* device, path, name of a LAN */
	bool has_mac;
	uint8_t mac[6];
	unsigned queues;        /* 0: 1 */
	unsigned mtu;           /* 0: the port's own */
	uint64_t rate;          /* bytes a second; 0: no limit */
	uint32_t id;            /* number of the interface; VIF_NO_ID: the first that is free */
	bool isolated;          /* lan: guests reach the way out only */
	char uplink[VIF_TEXT];  /* lan: where its way out leads, as a first word; "": nowhere */
	char capture[VIF_TEXT]; /* "": none */
	char forward[VIF_TEXT]; /* passt: HOST:GUEST ports, or ""; several with '+' in between */
};

/* Returns 0, or -EINVAL with a sentence in why. */
int vif_spec_parse(struct vif_spec *s, const char *text, char *why, size_t why_len);
spec_check_fn vif_spec_check;

#endif
