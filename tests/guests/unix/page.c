/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: a bit for each page of memory, set while the page is unused, and a count of
 * users. The lowest unused pages are taken first: so pages that are brought in together lie in a row
 * mostly, which makes one translation of them where the hypervisor or the processor can do that.
 *
 * Both are kept beside the pages, not in them: an unused page is not touched.
 *
 * Invariants: a page's bit is set only when its count is 0; no bit is set below word first_word.
 */
#include "tests/guests/unix/page.h"

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "pvops/lock.h"

#define WORD_BITS 64

static uint32_t *users;  /* of each page of memory; NULL before page_init() */
static uint64_t *unused; /* a bit each */
static uint64_t nr_pages, nr_words;
static uint64_t first_word;
static uint64_t nr_all, nr_unused; /* of those handed out here */
static struct pv_spinlock lock = PV_SPINLOCK_INIT;

static uint64_t number_of(const void *page)
{
	uint64_t n = (uintptr_t)page / PV_PAGE_SIZE;

	if (n >= nr_pages || (uintptr_t)page % PV_PAGE_SIZE)
		pv_panic("page: 0x%lx is no page", (unsigned long)page);
	return n;
}

static bool is_unused(uint64_t n)
{
	return unused[n / WORD_BITS] >> n % WORD_BITS & 1;
}

static void give(uint64_t n)
{
	unused[n / WORD_BITS] |= 1ull << n % WORD_BITS;
	if (n / WORD_BITS < first_word)
		first_word = n / WORD_BITS;
	nr_unused++;
}

static void take(uint64_t n)
{
	unused[n / WORD_BITS] &= ~(1ull << n % WORD_BITS);
	users[n] = 1;
	nr_unused--;
}

/* The first of the lowest unused page, or of the lowest `count` in a row; 0 when there is none. */
static uint64_t find(uint64_t count)
{
	uint64_t n, run = 0;

	while (first_word < nr_words && !unused[first_word])
		first_word++;
	for (n = first_word * WORD_BITS; n < nr_pages; n++) {
		if (n % WORD_BITS == 0 && !unused[n / WORD_BITS]) {
			n += WORD_BITS - 1;
			run = 0;
			continue;
		}
		run = is_unused(n) ? run + 1 : 0;
		if (run == count)
			return n - count + 1;
	}
	return 0;
}

static void add_range(uint64_t start, uint64_t end)
{
	for (; start < end; start += PV_PAGE_SIZE, nr_all++)
		give(start / PV_PAGE_SIZE);
}

static uint64_t page_up(uint64_t a)
{
	return (a + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
}

void page_init(const struct pv_boot *boot)
{
	uint64_t start = page_up(boot->free);

	nr_pages = boot->memory_end / PV_PAGE_SIZE;
	nr_words = (nr_pages + WORD_BITS - 1) / WORD_BITS;
	unused = (uint64_t *)start;
	start += page_up(nr_words * sizeof(*unused));
	memset(unused, 0, nr_words * sizeof(*unused));
	users = (uint32_t *)start;
	start += page_up(nr_pages * sizeof(*users));
	memset(users, 0, nr_pages * sizeof(*users));
	add_range(boot->low_free, boot->low_end);
	add_range(start, boot->mapped_end);
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

void *page_alloc_run(unsigned int count)
{
	uint64_t irq = pv_spin_lock_irq(&lock);
	uint64_t n = find(count), i;

	for (i = 0; n && i < count; i++)
		take(n + i);
	pv_spin_unlock_irq(&lock, irq);
	return n ? (void *)(n * PV_PAGE_SIZE) : NULL;
}

void *page_alloc(void)
{
	return users ? page_alloc_run(1) : early_page();
}

void *page_alloc_zeroed(void)
{
	void *page = page_alloc();

	if (page)
		memset(page, 0, PV_PAGE_SIZE);
	return page;
}

void *page_block(uint64_t pages)
{
	void *block = page_alloc_run((unsigned int)pages);
	uint64_t irq = pv_spin_lock_irq(&lock);

	if (block)
		nr_all -= pages;
	pv_spin_unlock_irq(&lock, irq);
	return block;
}

void page_get(void *page)
{
	__atomic_fetch_add(&users[number_of(page)], 1, __ATOMIC_RELAXED);
}

void page_put(void *page)
{
	uint64_t n = number_of(page), irq;
	/* Release and acquire: whatever its users did to it comes before it is anything else. */
	uint32_t before = __atomic_fetch_sub(&users[n], 1, __ATOMIC_ACQ_REL);

	if (!before)
		pv_panic("page: 0x%lx is put once too often", (unsigned long)page);
	if (before > 1)
		return;
	irq = pv_spin_lock_irq(&lock);
	give(n);
	pv_spin_unlock_irq(&lock, irq);
}

bool page_is_sole(const void *page)
{
	return __atomic_load_n(&users[number_of(page)], __ATOMIC_ACQUIRE) == 1;
}

void page_count(uint64_t *all, uint64_t *free)
{
	uint64_t irq = pv_spin_lock_irq(&lock);

	*all = nr_all;
	*free = nr_unused;
	pv_spin_unlock_irq(&lock, irq);
}
