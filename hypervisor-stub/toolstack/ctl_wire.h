/* SPDX-License-Identifier: MIT */
/*
 * What is said over a machine's control socket, and where that socket is.
 *
 * The socket is abstract (no file; it is gone with its machine), of type SOCK_SEQPACKET: a message is
 * a packet. Its name is "paravane/UID/MACHINE"; anybody on the host could take such a name, so both
 * sides look who the other is (SO_PEERCRED) and talk to their own user and to root only.
 *
 * A message is one byte that says what it is, and its bytes:
 *   to the machine     R words, each with a nul behind it: a request. One at a time.
 *                      I bytes typed at a console, after R "console"
 *   to the client      O bytes of the answer, in as many messages as it takes
 *                      D the end of the answer: it was done
 *                      E the end of the answer: a sentence why it was not
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_CTL_WIRE_H
#define HYPERVISOR_STUB_TOOLSTACK_CTL_WIRE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "hypervisor-stub/toolstack/options.h"

enum ctl_kind {
	CTL_REQUEST = 'R',
	CTL_INPUT = 'I',
	CTL_OUTPUT = 'O',
	CTL_DONE = 'D',
	CTL_ERROR = 'E'
};

#define CTL_MAX_MESSAGE 8192 /* bytes, the first one included */
#define CTL_MAX_WORDS   4
#define CTL_PREFIX      "paravane/"

/* The address of a machine; its length. */
socklen_t ctl_address(struct sockaddr_un *sun, uid_t uid, const char *machine);
/* Whether the other end is of that user, or root. */
bool ctl_trusts(int fd, uid_t uid);

/*
 * ctl_split - the words of a request
 * text: len bytes behind the first one; word: out: CTL_MAX_WORDS pointers into it
 * Returns their number; 0 when it is none: no word, too many, or the last one has no end.
 */
unsigned ctl_split(const char *text, size_t len, const char *word[CTL_MAX_WORDS]);

#endif
