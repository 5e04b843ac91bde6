/* SPDX-License-Identifier: MIT */
/*
 * Pages: all memory that the kernel hands out, each with a count of its users.
 */
#ifndef TESTS_GUESTS_UNIX_PAGE_H
#define TESTS_GUESTS_UNIX_PAGE_H

#include <stdint.h>

#include "pvops/pvguest.h"

/* Takes over the free memory, all of which is mapped. Before it only page_alloc() works. */
void page_init(const struct pv_boot *boot);

/* One page with one user, any contents or zeroed; NULL when there is none. */
void *page_alloc(void);
void *page_alloc_zeroed(void);

/* So many pages in a row, each with one user; NULL when there are not so many. After page_init(). */
void *page_alloc_run(unsigned int count);

/* One more user; one less, and the last gives the page back. */
void page_get(void *page);
void page_put(void *page);

/* Is the caller, who is a user, the only one? */
bool page_is_sole(const void *page);

/* Pages in a row that are never given back; NULL when there are not so many. At start only. */
void *page_block(uint64_t pages);

void page_count(uint64_t *all, uint64_t *free);

#endif /* TESTS_GUESTS_UNIX_PAGE_H */
