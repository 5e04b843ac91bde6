/* SPDX-License-Identifier: MIT */
/*
 * One guest as the toolstack sees it: its files, its domain, its console.
 *
 * Life: guest_load() once; then guest_build(), guest_start(), guest_destroy(), as often as it is
 * restarted; guest_unload(). Everything here is called by the main thread. What other threads have
 * to tell it arrives as news: a descriptor becomes readable, guest_news() says what it is.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_GUEST_H
#define HYPERVISOR_STUB_TOOLSTACK_GUEST_H

#include <stdatomic.h>

#include "backends/consback.h"
#include "hypervisor-stub/core/build.h"
#include "hypervisor-stub/core/xenstore/xenstore.h"
#include "hypervisor-stub/toolstack/device.h"
#include "hypervisor-stub/toolstack/file.h"
#include "hypervisor-stub/toolstack/options.h"
#include "hypervisor-stub/toolstack/outlet.h"

enum {
	GUEST_ENDED = 1,      /* no vCPU runs any more; d->end says why */
	GUEST_OUTPUT = 2,     /* output waits for a sink that is full */
	GUEST_INPUT_ROOM = 4, /* the guest took input that had no room before */
	GUEST_DEVICES = 8,    /* a device that was to leave has closed */
};

/* Where a console's output goes. */
struct guest_sink {
	consback_sink_fn *put;
	/* Moves on what put() took and holds back; true: something waits. NULL: it never does. */
	bool (*flush)(void *arg, bool at_end);
	void *arg;
};

struct guest {
	const struct guest_config *config;
	char name[64];
	struct file kernel, ramdisk;

	struct hv_domain *d; /* NULL while there is none */
	struct hv_built built;
	struct consback *console;
	struct guest_sink sink;
	struct xs_store *store; /* the machine's */
	struct xs_conn *store_conn;
	evtchn_port_t console_port, store_port;
	bool is_capped_by_host; /* the core need not */
	bool holds_pages;       /* console and store page stay what they are */
	struct device_list devices;

	int news_fd;
	atomic_uint news;        /* GUEST_* */
	atomic_bool input_waits; /* the main thread wants to hear of room */
};

/* Its kernel, unpacked when it is packed, and its ramdisk if any. 0, or negative with a sentence in why. */
int guest_read_files(const struct guest_config *config, struct file *kernel, struct file *ramdisk,
                     char *why, size_t why_len);
/*
 * What a guest has from the start: storage and ports are opened before anything runs. 0, or negative with
 * a sentence in why; what was opened is on the list all the same.
 */
int guest_open_devices(struct device_list *list, const struct guest_config *config, char *why,
                       size_t why_len);
/* Reads the files; output goes to the outlet. Returns 0 or a negative errno with a sentence in why. */
int guest_load(struct guest *g, const struct guest_config *config, struct outlet *outlet, char *why,
               size_t why_len);
void guest_unload(struct guest *g);
/* Output goes there from the next guest_build() on. */
void guest_set_sink(struct guest *g, const struct guest_sink *sink);

/* The domain, built but not running. Returns 0 or a negative errno with a sentence in why. */
int guest_build(struct guest *g, struct hv_machine *m, struct xs_store *store, char *why,
                size_t why_len);
/* Returns 0 or a negative errno. */
int guest_start(struct guest *g);
/* Ends it when it still runs, and gives everything of guest_build() back. */
void guest_destroy(struct guest *g);

/*
 * guest_attach - one more device, at once when there is a domain
 * Returns 0, or a negative errno with a sentence in why; dev is the caller's then.
 */
int guest_attach(struct guest *g, struct device *dev, char *why, size_t why_len);
/* Frees the devices that were to leave and have closed; whether there were any. */
bool guest_sweep(struct guest *g);

/* What has happened since the last call: GUEST_*. */
unsigned guest_news(struct guest *g);
/* Passes output on; true when some must wait for room where it goes. */
bool guest_output(struct guest *g);
/* Types bytes; returns how many found room. When not all did, GUEST_INPUT_ROOM follows. */
size_t guest_type(struct guest *g, const void *bytes, size_t len);

#endif
