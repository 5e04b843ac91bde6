/* SPDX-License-Identifier: MIT */
/*
 * The split devices of one guest, of whatever kind: their folders in the store, their back-ends, and
 * how they come and go.
 *
 * A device belongs to a seat: it outlives the domain, and is offered anew to the next one there. What
 * it is made of (an opened disk) is its kind's; the back-end proper is made for each domain.
 *
 * Invariant: a device that is plugged in has both folders in the store, a watch of its front-end, and
 * a be_bus; when device_unplug() has returned, nothing of the domain's is mapped, bound or in flight
 * for it, and both folders are gone.
 *
 * Threads: the functions here are the main thread's. The front-end's changes arrive on a thread of
 * the device's own, the watch's, and so does all that may wait for storage when it closes by itself;
 * `lock` keeps the two apart. Events arrive on the guest's vCPUs and go to the back-end directly.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_DEVICE_H
#define HYPERVISOR_STUB_TOOLSTACK_DEVICE_H

#include <stdio.h>

#include "backends/bus.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/xenstore/xenstore.h"

struct device;
struct device_list;
struct device_nodes;

/* One kind of device; a constant table. */
struct device_kind {
	const char *kind; /* as in device/KIND */
	const char *noun; /* for sentences: "disk" */
	const char *verb; /* of commands: VERB-attach and the like */
	const struct be_driver *driver;
	/*
	 * open - opens what somebody wrote; the device is on no list and plugged nowhere yet
	 * folder: what names of files are relative to; NULL: this process's own
	 * taken:  whose numbers are not to be used again
	 * Returns 0, or a negative errno with a sentence in why. Undo: device_free().
	 */
	int (*open)(struct device **out, const char *text, const char *folder,
	            struct device_list *taken, char *why, size_t why_len);
	/* The number of the device that people call so. false: it is no name of one. */
	bool (*number)(const char *name, unsigned *id);
	/* What people call it, in `name`; returns that. */
	const char *(*name)(struct device *dev, char *name, size_t size);
	/* Its row of VERB-list; returns the length. */
	int (*row)(struct device *dev, char *row, size_t size);
	/* Makes dev->backend for the domain that dev->host reaches. 0 or negative errno. */
	int (*create)(struct device *dev);
	/* The back-end is disconnected. Keeps its figures, frees it. */
	void (*destroy)(struct device *dev);
	/* The toolstack's own nodes, by device_put_back() and device_put_front(). */
	void (*nodes)(struct device *dev, struct device_nodes *n);
	/* From now on, or no longer, requests don't wait for what may never come. May be NULL. */
	void (*hurry)(struct device *dev, bool on);
	/* The device is no more. */
	void (*free)(struct device *dev);
	/* --stats: its lines. May be NULL. */
	void (*stats)(struct device *dev, const char *guest, FILE *out);
};

struct device {
	struct device *next;
	const struct device_kind *kind;
	unsigned id;      /* number in the store; unique among its kind */
	bool is_leaving;  /* unplugged by request: when the guest lets go it is freed */
	bool is_plugged;  /* everything below is valid */
	bool closed_told; /* ring() was called for its end; under lock */

	void *backend; /* what the driver's functions get; the kind's */
	struct be_host_dev host;
	struct hv_domain *d;
	struct xs_host *xs;
	struct xs_host_watch *watch;
	pthread_mutex_t lock; /* bus */
	struct be_bus bus;
	char front[64], back[64]; /* folders */
	/* A device that is leaving has closed: look after it. Any thread. */
	void (*ring)(void *arg);
	void *ring_arg;
};

/* Sets up what is common; the kind's own structure has it as its first member. */
void device_init(struct device *dev, const struct device_kind *kind, unsigned id);
void device_free(struct device *dev);

/*
 * device_plug - offers the device to a domain that exists in the store
 * Returns 0 or a negative errno, and nothing is left. Undo: device_unplug().
 */
int device_plug(struct device *dev, struct hv_domain *d, struct xs_store *store,
                void (*ring)(void *arg), void *arg);
/*
 * Asks the guest to let go; ring() is called when it has. The device stays plugged until
 * device_unplug().
 */
void device_leave(struct device *dev);
/* Whether the guest has let go. */
bool device_is_closed(struct device *dev);
/* Takes it away, whatever the guest does. Waits for storage. Harmless when it is not plugged. */
void device_unplug(struct device *dev);
/* Restarts the back-end under a front-end that goes on. -ENODEV when it is not plugged. */
int device_restart(struct device *dev);
/* The front-end's state, as a word for people. */
const char *device_state(struct device *dev);

/*
 * For kinds: a file's name means what it means to whoever stands in `folder`; NULL: it stays.
 * Returns 0, or -ENAMETOOLONG with a sentence in why.
 */
int device_path(char *path, size_t size, const char *folder, char *why, size_t why_len);
/* For kinds: figures of a back-end that is no more; both are nothing but numbers of 64 bits. */
void device_add_stats(void *sum, const void *stats, size_t bytes);

/* For kinds: a node in one of the two folders, in the transaction that makes them. */
void device_put_back(struct device_nodes *n, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void device_put_front(struct device_nodes *n, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- the devices of one guest ---------------------------------------------------------------- */

struct device_list {
	struct device *first;
};

void devices_add(struct device_list *l, struct device *dev);
/* Takes it off the list; does not free it. */
void devices_remove(struct device_list *l, struct device *dev);
struct device *devices_find(struct device_list *l, const struct device_kind *kind, unsigned id);
/* All of them; the first that fails undoes the others. *failed: which. */
int devices_plug(struct device_list *l, struct hv_domain *d, struct xs_store *store,
                 void (*ring)(void *arg), void *arg, struct device **failed);
/* All of them; those that were leaving are freed. */
void devices_unplug(struct device_list *l);
void devices_free(struct device_list *l);

#endif
