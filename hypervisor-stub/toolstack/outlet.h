/* SPDX-License-Identifier: MIT */
/*
 * Where the guest's output leaves this process: a terminal, a pipe, a file, a socket.
 *
 * Invariant: outlet_try() never waits for a reader. Standard output may be shared with programs
 * that do not expect it to be non-blocking, so it is not made so: a pipe or terminal is opened anew
 * with a description of our own, a socket is asked per call, and a file never makes anybody wait.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_OUTLET_H
#define HYPERVISOR_STUB_TOOLSTACK_OUTLET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct outlet {
	pthread_mutex_t lock;
	int fd;
	bool owns_fd;
	enum { OUTLET_FILE, OUTLET_SOCKET, OUTLET_NONBLOCKING, OUTLET_CAREFUL } kind;
	int error;     /* errno that ended it; 0: it works. Under lock */
	uint64_t lost; /* bytes that came after that */
	int stop_fd;   /* readable: nobody may wait any longer */
};

/* fd stays the caller's. Returns 0 or a negative errno. */
int outlet_open(struct outlet *o, int fd);
void outlet_close(struct outlet *o);
/*
 * Gives away what can be given without waiting: the number of bytes, 0 when none, or a negative
 * errno when the reader is gone for good. Any thread.
 */
ssize_t outlet_try(struct outlet *o, const void *bytes, size_t len);
/* Gives away everything, waiting as long as it takes or until outlet_stop(). Any thread. */
void outlet_put(struct outlet *o, const void *bytes, size_t len);
/* Waits for room, at most ms (-1: no limit); false when nobody may wait any longer. Any thread. */
bool outlet_wait(struct outlet *o, int ms);
/* From now on nobody waits; what then finds no room is lost. Any thread, also a signal handler. */
void outlet_stop(struct outlet *o);
/* Why it takes nothing any more: an errno, or 0. */
int outlet_error(struct outlet *o);

#endif
