/* SPDX-License-Identifier: MIT */
/*
 * Which engine runs a machine.
 */
#ifndef HYPERVISOR_STUB_TOOLSTACK_ENGINES_H
#define HYPERVISOR_STUB_TOOLSTACK_ENGINES_H

#include "hypervisor-stub/toolstack/guest.h"

/* Whether --engine may say that. */
bool engines_knows(const char *name);
/* The names, for sentences. */
#define ENGINES_NAMES "auto, process or kvm"

/*
 * engines_choose - the engine of a name, or with "auto" the first that works here and can run every
 * one of the images
 * guest: nr of them, each with its kernel read
 * note:  out: the engine, and why no earlier one
 * Returns NULL with a sentence in why when there is none.
 */
const struct hv_engine *engines_choose(const char *name, const struct guest *const *guest,
                                       unsigned nr, char *note, size_t note_len, char *why,
                                       size_t why_len);

#endif
