/* SPDX-License-Identifier: MIT */
/*
 * The console, as bytes in and out without interrupts: for the log, for early words and last words. A
 * device with call-backs stands on top of it (frontends/condev.h).
 */
#ifndef PVOPS_CONSOLE_H
#define PVOPS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/event_channel.h"
#include "abi/xen.h"

/* What is beneath. */
struct pv_console_device {
	size_t size; /* room when everything has been taken */
	size_t (*room)(void);
	/* As much as fits, as much as there is; how many bytes. */
	size_t (*put)(const char *text, size_t len);
	size_t (*get)(char *buf, size_t len);
	void (*moved)(void); /* bytes have gone one way or the other */
	/* Until there may be room, or a moment. True: that took an event that may tell of input. */
	bool (*sleep)(void);
	evtchn_port_t (*port)(void);
};

/* Output goes there from now on. */
void pv_console_use(const struct pv_console_device *dev);

/* The ring of the paravirtual machine, when there is one. Needs the p2m. */
void pv_console_init(const struct start_info *start);

/*
 * pv_console_write - all of it, however long that takes
 *
 * Waits for room where the ring is full. A newline is sent as it is. Context: any.
 */
void pv_console_write(const char *text, size_t len);

/* As much as fits now; returns how much. Context: any. */
size_t pv_console_try_write(const char *text, size_t len);

/* What has come, up to len bytes; returns how much, 0 when nothing is there. Context: any. */
size_t pv_console_read(char *buf, size_t len);

/* Room in the device, in bytes; of the ring: 2048 when everything written has been taken. */
size_t pv_console_room(void);

/* Waits until everything written has been taken, but no longer than `limit_ns`. */
void pv_console_drain(uint64_t limit_ns);

/* The port that rises when input came or room was made; 0 without a console. */
evtchn_port_t pv_console_port(void);

/* From here on no lock is taken: the holder may be the one that crashed. */
void pv_console_panic(void);

#endif /* PVOPS_CONSOLE_H */
