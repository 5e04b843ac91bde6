/* SPDX-License-Identifier: MIT */
/*
 * Exit statuses of the command, as the manual page lists them. Ended by a signal: 128 + its number.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_STATUS_H
#define HYPERVISOR_STUB_TOOLSTACK_STATUS_H

enum {
	STATUS_POWEROFF = 0,
	STATUS_USAGE = 2,    /* options, files or the machine do not fit; nothing has run */
	STATUS_CRASH = 10,   /* the guest crashed, or broke a rule that no honest guest can break */
	STATUS_REBOOT = 11,  /* the guest asked for a reboot, and --on-reboot is exit */
	STATUS_TIMEOUT = 12, /* --timeout passed */
	STATUS_SUSPEND = 13, /* the guest suspended itself; there is nobody to resume it */
	STATUS_OURS = 14,    /* our own error */
	STATUS_WATCHDOG = 15,    /* the guest's watchdog expired */
	STATUS_OUTPUT_LOST = 16, /* the guest powered off, but its output had nowhere to go */
	STATUS_KEYBOARD = 17,    /* Ctrl-] was typed */
	STATUS_DESTROYED = 18,   /* a domain was ended by `paravane destroy` */
	STATUS_SIGNAL = 128,
};

/* What the verbs that ask a running machine exit with, beside 0 and STATUS_USAGE. */
enum { STATUS_REFUSED = 1 /* the machine answered that it cannot do that */ };

#endif
