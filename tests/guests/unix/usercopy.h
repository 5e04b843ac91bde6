/* SPDX-License-Identifier: MIT */
/*
 * Memory of the current program, which may be missing, read-only, or no memory at all.
 *
 * All return 0 or -EFAULT; then some of the bytes may have been copied. They bring pages in.
 */
#ifndef TESTS_GUESTS_UNIX_USERCOPY_H
#define TESTS_GUESTS_UNIX_USERCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does [at, at + len) lie where programs may have memory? Nothing is brought in. */
bool users_range(uint64_t at, uint64_t len);

int copy_in(void *to, uint64_t user_from, size_t len);
int copy_out(uint64_t user_to, const void *from, size_t len);

/*
 * A string with its final 0; size: of `to`. Returns its length, -EFAULT, or -ENAMETOOLONG.
 */
long copy_in_string(char *to, uint64_t user_from, size_t size);

#endif /* TESTS_GUESTS_UNIX_USERCOPY_H */
