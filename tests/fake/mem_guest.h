/* SPDX-License-Identifier: MIT */
/*
 * Two hostile domains played from a string of bytes: page-table updates, pins, roots, memory and
 * grant operations, faults, and stores through whatever the model cache still holds.
 */
#ifndef TESTS_FAKE_MEM_GUEST_H
#define TESTS_FAKE_MEM_GUEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Plays all bytes; after every `check_every` steps, and at the end, counts and caches are checked,
 * and at last both domains are destroyed and must come out at zero. Aborts by hv_bug() on a defect.
 */
void mem_guest_play(const uint8_t *data, size_t len, unsigned check_every);

#endif
