/* SPDX-License-Identifier: MIT */
/*
 * The console back-end: the host's side of one console ring (abi/io/console.h).
 *
 * What the guest writes goes to a sink, as fast as the sink takes it and no faster: when the sink is
 * full the bytes stay in the ring, and the guest waits as it does for any full ring. What is typed
 * goes to the guest the same way round. No byte is lost, none is held in between, no thread belongs
 * to it: it acts when it is called.
 *
 * Invariant: the ring page is the guest's to change at any moment. Indexes of our own are kept here
 * and only published there; the guest's are read once and checked. A guest whose index is impossible
 * loses that direction of its console, once, with one line to the host.
 */
#ifndef BACKENDS_CONSBACK_H
#define BACKENDS_CONSBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "abi/io/console.h"
#include "backends/host.h"

struct consback;

/*
 * Takes what it can of len bytes without waiting: their number, or 0 when it can take none now.
 * Negative: it never will again; the bytes are dropped and so are all that follow.
 */
typedef ssize_t consback_sink_fn(void *arg, const void *bytes, size_t len);

/*
 * consback_open - attaches to a ring
 *
 * ring:  the guest's page, mapped for as long as the back-end lives
 * host:  copied
 *
 * Returns NULL when memory is short. Undo: consback_close().
 */
struct consback *consback_open(struct xencons_interface *ring, const struct be_host *host,
                               consback_sink_fn *sink, void *sink_arg);
/* No call may be under way, and none may follow. */
void consback_close(struct consback *c);

/*
 * consback_run - passes on what the guest wrote, as much as the sink takes
 *
 * Called when the guest sends the console's event, when the sink has room again, and at the end.
 * Any thread; several at once are put in line.
 * Returns true when more waits in the ring: call again when the sink has room.
 */
bool consback_run(struct consback *c);

/*
 * consback_type - puts bytes for the guest into its ring
 * Any thread. Returns how many found room; more will after the guest's next event.
 */
size_t consback_type(struct consback *c, const void *bytes, size_t len);

#endif
