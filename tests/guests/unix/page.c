/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: a list of unused pages, and a count of users for each page of memory.
 *
 * The list is kept beside the pages, not in them: an unused page is not touched.
 *
 * Invariant: a page is in the list exactly when its count is 0.
 */
#include "tests/guests/unix/page.h"

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"

static struct page_info {
	uint32_t users;
	uint32_t next; /* number of the next unused page; 0: none */
} * info;

static uint64_t nr_pages; /* entries in info: one for each page of memory */
static uint32_t first_unused;
static uint64_t nr_all, nr_unused;
static uint64_t block_next, block_end; /* what page_init() has not put into the list yet */
static struct pv_spinlock lock = PV_SPINLOCK_INIT;

static uint64_t number_of(const void *page)
{
	uint64_t n = (uintptr_t)page / PV_PAGE_SIZE;

	if (n >= nr_pages || (uintptr_t)page % PV_PAGE_SIZE)
		pv_panic("page: 0x%lx is no page", (unsigned long)page);
	return n;
}

static void push(uint32_t n)
{
	info[n].next = first_unused;
	first_unused = n;
	nr_unused++;
}

void page_init(const struct pv_boot *boot)
{
	uint64_t start = (boot->free + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
	uint64_t at;

	nr_pages = boot->memory_end / PV_PAGE_SIZE;
	info = (struct page_info *)start;
	start += (nr_pages * sizeof(*info) + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
	memset(info, 0, nr_pages * sizeof(*info));
	block_next = start;
	block_end = boot->mapped_end;
	for (at = boot->low_free; at < boot->low_end; at += PV_PAGE_SIZE, nr_all++)
		push((uint32_t)(at / PV_PAGE_SIZE));
}

void *page_block(uint64_t pages)
{
	uint64_t at = block_next;

	if (pages > (block_end - block_next) / PV_PAGE_SIZE)
		return NULL;
	block_next += pages * PV_PAGE_SIZE;
	return (void *)at;
}

/* The rest of the free memory is taken from its lower end, page by page, when the list is empty. */
static uint32_t take_number(void)
{
	uint32_t n = first_unused;

	if (n) {
		first_unused = info[n].next;
		nr_unused--;
	} else if (block_next < block_end) {
		n = (uint32_t)(block_next / PV_PAGE_SIZE);
		block_next += PV_PAGE_SIZE;
		nr_all++;
	}
	return n;
}

/* Before page_init(): for the tables that map the rest of the memory. Never given back. */
static void *early_page(void)
{
	void *page = (void *)pv_boot.free;

	if (pv_boot.mapped_end - pv_boot.free < PV_PAGE_SIZE)
		return NULL;
	pv_boot.free += PV_PAGE_SIZE;
	return page;
}

void *page_alloc(void)
{
	uint64_t irq;
	uint32_t n;

	if (!info)
		return early_page();
	irq = pv_spin_lock_irq(&lock);
	n = take_number();
	if (n)
		info[n].users = 1;
	pv_spin_unlock_irq(&lock, irq);
	return n ? (void *)(n * PV_PAGE_SIZE) : NULL;
}

void *page_alloc_zeroed(void)
{
	void *page = page_alloc();

	if (page)
		memset(page, 0, PV_PAGE_SIZE);
	return page;
}

void page_get(void *page)
{
	__atomic_fetch_add(&info[number_of(page)].users, 1, __ATOMIC_RELAXED);
}

void page_put(void *page)
{
	uint64_t n = number_of(page), irq;
	/* Release and acquire: whatever its users did to it comes before it is anything else. */
	uint32_t before = __atomic_fetch_sub(&info[n].users, 1, __ATOMIC_ACQ_REL);

	if (!before)
		pv_panic("page: 0x%lx is put once too often", (unsigned long)page);
	if (before > 1)
		return;
	irq = pv_spin_lock_irq(&lock);
	push((uint32_t)n);
	pv_spin_unlock_irq(&lock, irq);
}

bool page_is_sole(const void *page)
{
	return __atomic_load_n(&info[number_of(page)].users, __ATOMIC_ACQUIRE) == 1;
}

void page_count(uint64_t *all, uint64_t *unused)
{
	uint64_t irq = pv_spin_lock_irq(&lock);
	uint64_t rest = (block_end - block_next) / PV_PAGE_SIZE;

	*all = nr_all + rest;
	*unused = nr_unused + rest;
	pv_spin_unlock_irq(&lock, irq);
}
