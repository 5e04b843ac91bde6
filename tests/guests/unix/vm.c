/* SPDX-License-Identifier: MIT */
/*
 * The memory of a program: demand paging, copy-on-write, and the regions behind both.
 *
 * A page is brought in when it is touched. One that others use too (the parent or the child of a
 * fork, the file it comes from) is mapped read-only, and copied when it is written; so:
 *
 * Invariant: a page that is mapped writable has one user, and that is this mapping.
 */
#include "tests/guests/unix/vm.h"

#include "abi/errno.h"
#include "pvops/lib/string.h"
#include "pvops/p2m.h"
#include "tests/guests/unix/page.h"

/* Pages brought in by one fault: of a file's, which are there already; of a run of faults. */
#define FILE_AHEAD 8
#define RUN_MAX    32

/* Bytes below one level-1 table. */
#define L1_SPAN (PV_PAGE_SIZE * PV_ENTRIES)

enum pv_roots vm_roots = PV_ROOTS_APART;

static uint64_t page_down(uint64_t a)
{
	return a & PV_PAGE_MASK;
}

static uint64_t page_up(uint64_t a)
{
	return page_down(a + PV_PAGE_SIZE - 1);
}

static void *entry_page(uint64_t entry)
{
	return pv_pfn_to_virt(pv_pte_mfn(entry));
}

/* The library's error numbers are the hypervisor's; only one of them can be a program's fault. */
static int error_of(int rc)
{
	if (rc && rc != -XEN_ENOMEM)
		pv_panic("vm: a change of page tables was refused: error %d", rc);
	return rc ? -ENOMEM : 0;
}

/* ---- regions ---- */

/* The first region that ends behind the address. */
static unsigned int find_index(const struct vm *vm, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < vm->nr_regions; i++)
		if (vm->region[i].end > address)
			break;
	return i;
}

static struct vm_region *find(struct vm *vm, uint64_t address)
{
	unsigned int i = find_index(vm, address);

	return i < vm->nr_regions && vm->region[i].start <= address ? &vm->region[i] : NULL;
}

static void insert(struct vm *vm, unsigned int at, const struct vm_region *r)
{
	memmove(&vm->region[at + 1], &vm->region[at], (vm->nr_regions - at) * sizeof(*r));
	vm->region[at] = *r;
	vm->nr_regions++;
}

static void take_out(struct vm *vm, unsigned int at)
{
	if (vm->region[at].node)
		node_put(vm->region[at].node);
	vm->nr_regions--;
	memmove(&vm->region[at], &vm->region[at + 1],
	        (vm->nr_regions - at) * sizeof(vm->region[0]));
}

int vm_add(struct vm *vm, uint64_t start, uint64_t end, unsigned int prot, struct node *node,
           uint64_t offset, uint64_t file_end)
{
	unsigned int at = find_index(vm, start);
	struct vm_region r = { start, end, prot, node, offset, file_end, 0, 0 };

	if (start % PV_PAGE_SIZE || end % PV_PAGE_SIZE || start >= end || start < PV_USER_START ||
	    end > VM_END)
		return -EINVAL;
	if (at < vm->nr_regions && vm->region[at].start < end)
		return -EINVAL;
	if (vm->nr_regions == VM_REGIONS)
		return -ENOMEM;
	if (node)
		node_get(node);
	insert(vm, at, &r);
	return 0;
}

uint64_t vm_find(const struct vm *vm, uint64_t bytes)
{
	uint64_t at = VM_MMAP;
	unsigned int i;

	for (i = find_index(vm, at); i < vm->nr_regions; i++) {
		if (vm->region[i].start >= at && vm->region[i].start - at >= bytes)
			break;
		at = vm->region[i].end;
	}
	return at < VM_END && VM_END - at >= bytes ? at : 0;
}

/* No region crosses the address afterwards. 0 or -ENOMEM. */
static int split(struct vm *vm, uint64_t address)
{
	struct vm_region *r = find(vm, address), upper;

	if (!r || r->start == address)
		return 0;
	if (vm->nr_regions == VM_REGIONS)
		return -ENOMEM;
	upper = *r;
	upper.start = address;
	upper.offset += address - r->start;
	r->end = address;
	if (upper.node)
		node_get(upper.node);
	insert(vm, (unsigned int)(r - vm->region) + 1, &upper);
	return 0;
}

/* ---- whole memories ---- */

int vm_init(struct vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	vm->heap_end = VM_HEAP;
	return error_of(pv_aspace_create(&vm->as, vm_roots));
}

void vm_destroy(struct vm *vm)
{
	pv_aspace_destroy(&vm->as);
}

/*
 * Pages that are being unmapped. They go back only when no vCPU can reach them any more, which is
 * when the batch has been ended; in an order that lets a later run have them in a row again.
 */
struct unmapping {
	struct vm *vm;
	struct pv_batch batch;
	void *gone[PV_PT_WRITE_MAX];
	unsigned int count;
};

static void unmap_settle(struct unmapping *u)
{
	error_of(pv_batch_end(&u->batch));
	u->vm->pages -= u->count;
	while (u->count)
		page_put(u->gone[--u->count]);
}

static void unmap_begin(struct unmapping *u, struct vm *vm)
{
	u->vm = vm;
	u->count = 0;
	pv_batch_begin(&u->batch, &vm->as);
}

static void unmap_range(struct unmapping *u, uint64_t start, uint64_t end)
{
	uint64_t va, entry;

	for (va = pv_aspace_next(&u->vm->as, start, end, &entry); va < end;
	     va = pv_aspace_next(&u->vm->as, va + PV_PAGE_SIZE, end, &entry)) {
		if (u->count == PV_PT_WRITE_MAX)
			unmap_settle(u);
		pv_batch_unmap(&u->batch, va);
		u->gone[u->count++] = entry_page(entry);
	}
}

void vm_clear(struct vm *vm)
{
	struct unmapping u;
	unsigned int i;

	unmap_begin(&u, vm);
	for (i = 0; i < vm->nr_regions; i++)
		unmap_range(&u, vm->region[i].start, vm->region[i].end);
	unmap_settle(&u);
	while (vm->nr_regions)
		take_out(vm, vm->nr_regions - 1);
	vm->heap_end = VM_HEAP;
}

/* A page for the child, which the caller is a user of. False: there is no table for it. */
static bool map_for_child(struct pv_batch *childs, uint64_t va, void *page, unsigned int prot)
{
	pv_batch_map(childs, va, pv_virt_to_pfn(page), prot);
	if (childs->error)
		page_put(page);
	return !childs->error;
}

/* Both get the page, and neither may write it. */
static bool share(struct pv_batch *mine, struct pv_batch *childs, uint64_t va, uint64_t entry,
                  unsigned int prot)
{
	page_get(entry_page(entry));
	if (!map_for_child(childs, va, entry_page(entry), prot & ~PV_PROT_WRITE))
		return false;
	if (entry & PV_PTE_WRITE)
		pv_batch_protect(mine, va, prot & ~PV_PROT_WRITE);
	return true;
}

/* The child gets a copy of a page that the parent may go on writing. */
static bool copy_now(struct pv_batch *childs, uint64_t va, uint64_t entry, unsigned int prot)
{
	void *copy = page_alloc();

	if (!copy)
		return false;
	memcpy(copy, entry_page(entry), PV_PAGE_SIZE);
	return map_for_child(childs, va, copy, prot);
}

/* The pages of one region. False: no memory; what was done so far is in the batches. */
static bool clone_pages(struct pv_batch *mine, struct pv_batch *childs, const struct vm_region *r,
                        uint64_t stacks)
{
	struct pv_aspace *as = mine->as;
	uint64_t va, entry;
	bool ok = true;

	for (va = pv_aspace_next(as, r->start, r->end, &entry); ok && va < r->end;
	     va = pv_aspace_next(as, va + PV_PAGE_SIZE, r->end, &entry)) {
		if (va == page_down(stacks) && entry & PV_PTE_WRITE)
			ok = copy_now(childs, va, entry, r->prot);
		else
			ok = share(mine, childs, va, entry, r->prot);
	}
	return ok;
}

int vm_clone(struct vm *child, struct vm *parent, uint64_t stacks)
{
	struct pv_batch mine, childs;
	bool ok = true;
	unsigned int i;
	int rc;

	pv_batch_begin(&mine, &parent->as);
	pv_batch_begin(&childs, &child->as);
	for (i = 0; ok && i < parent->nr_regions; i++) {
		const struct vm_region *r = &parent->region[i];

		if (r->node)
			node_get(r->node);
		child->region[i] = *r;
		child->nr_regions = i + 1;
		ok = clone_pages(&mine, &childs, r, stacks);
	}
	child->heap_end = parent->heap_end;
	child->pages = parent->pages;
	rc = error_of(pv_batch_end(&childs));
	error_of(pv_batch_end(&mine));
	return ok ? rc : -ENOMEM;
}

/* ---- parts ---- */

int vm_remove(struct vm *vm, uint64_t start, uint64_t end)
{
	struct unmapping u;
	unsigned int i;
	int rc = split(vm, start);

	if (!rc)
		rc = split(vm, end);
	if (rc)
		return rc;
	unmap_begin(&u, vm);
	unmap_range(&u, start, end);
	unmap_settle(&u);
	for (i = find_index(vm, start); i < vm->nr_regions && vm->region[i].start < end;)
		take_out(vm, i);
	return 0;
}

/* Writable in the tables is only what has one user; the rest becomes so when it is written. */
static void protect_pages(struct vm *vm, const struct vm_region *r)
{
	struct pv_batch b;
	uint64_t va, entry;

	pv_batch_begin(&b, &vm->as);
	for (va = pv_aspace_next(&vm->as, r->start, r->end, &entry); va < r->end;
	     va = pv_aspace_next(&vm->as, va + PV_PAGE_SIZE, r->end, &entry))
		pv_batch_protect(&b, va, entry & PV_PTE_WRITE ? r->prot : r->prot & ~PV_PROT_WRITE);
	error_of(pv_batch_end(&b));
}

int vm_protect(struct vm *vm, uint64_t start, uint64_t end, unsigned int prot)
{
	unsigned int i;
	int rc = split(vm, start);

	if (!rc)
		rc = split(vm, end);
	if (rc)
		return rc;
	for (i = find_index(vm, start); i < vm->nr_regions && vm->region[i].start < end; i++) {
		vm->region[i].prot = prot;
		protect_pages(vm, &vm->region[i]);
	}
	return 0;
}

uint64_t vm_brk(struct vm *vm, uint64_t end)
{
	uint64_t old_end = page_up(vm->heap_end), new_end = page_up(end);
	struct vm_region *r = find(vm, VM_HEAP);
	unsigned int next = find_index(vm, old_end);

	if (end < VM_HEAP || end > VM_MMAP)
		return vm->heap_end;
	if (new_end < old_end && vm_remove(vm, new_end, old_end))
		return vm->heap_end;
	if (new_end > old_end) {
		if (next < vm->nr_regions && vm->region[next].start < new_end)
			return vm->heap_end;
		if (r && r->start == VM_HEAP)
			r->end = new_end;
		else if (vm_add(vm, VM_HEAP, new_end, PV_PROT_READ | PV_PROT_WRITE, NULL, 0, 0))
			return vm->heap_end;
	}
	vm->heap_end = end;
	return end;
}

/* ---- faults ---- */

/* What a region's page shows of its file, in bytes; what lies behind that is zero. */
static uint64_t bytes_in_file(const struct vm_region *r, uint64_t va)
{
	return r->node && va < r->file_end ? r->file_end - va : 0;
}

/*
 * A page of a region that is not there yet. write: the program is going to write to it now; fresh:
 * NULL, or a page to be used when there is to be a new one.
 */
static int source(const struct vm_region *r, uint64_t va, bool write, void *fresh, void **page,
                  unsigned int *prot)
{
	uint64_t in_file = bytes_in_file(r, va);
	long rc;

	*prot = r->prot;
	/* The last page of what is never written may show what follows in the file, not zeroes. */
	if (!write && (in_file >= PV_PAGE_SIZE || (in_file && !(r->prot & PV_PROT_WRITE)))) {
		*prot &= ~PV_PROT_WRITE;
		return r->node->ops->page(r->node, (r->offset + va - r->start) / PV_PAGE_SIZE,
		                          false, page);
	}
	if (!fresh)
		fresh = page_alloc();
	if (!fresh)
		return -ENOMEM;
	memset(fresh, 0, PV_PAGE_SIZE);
	if (in_file) {
		rc = node_read(r->node, r->offset + va - r->start, fresh,
		               in_file < PV_PAGE_SIZE ? in_file : PV_PAGE_SIZE);
		if (rc < 0) {
			page_put(fresh);
			return (int)rc;
		}
	}
	*page = fresh;
	return 0;
}

/*
 * How many pages to bring in from va on: more when a file has them, or faults come in a row. They lie
 * in the region, below one table, and are not there.
 */
static unsigned int run_length(const struct vm *vm, const struct vm_region *r, uint64_t va,
                               bool write)
{
	unsigned int want = 1, n;

	if (bytes_in_file(r, va) && !write)
		want = FILE_AHEAD;
	else if (va == r->next_fault && r->run)
		want = r->run * 2 < RUN_MAX ? r->run * 2 : RUN_MAX;
	for (n = 1; n < want; n++) {
		va += PV_PAGE_SIZE;
		if (va >= r->end || va % L1_SPAN == 0 || pv_aspace_entry(&vm->as, va))
			break;
	}
	return n;
}

static int bring_in(struct vm *vm, struct vm_region *r, uint64_t va, bool write)
{
	unsigned int want = run_length(vm, r, va, write), n, prot;
	/* In a row, when all of them are to be new. */
	char *fresh = want > 1 && !bytes_in_file(r, va) ? page_alloc_run(want) : NULL;
	struct pv_batch b;
	void *page, *brought[RUN_MAX];
	int rc = 0;

	pv_batch_begin(&b, &vm->as);
	for (n = 0; n < want; n++, va += PV_PAGE_SIZE) {
		rc = source(r, va, write, fresh ? fresh + n * PV_PAGE_SIZE : NULL, &page, &prot);
		if (rc)
			break;
		pv_batch_map(&b, va, pv_virt_to_pfn(page), prot);
		brought[n] = page;
	}
	if (n)
		rc = 0; /* the page that is needed is there */
	r->next_fault = va;
	r->run = n;
	if (n && error_of(pv_batch_end(&b))) {
		/* No table for them: a run lies below one table, so none is mapped. */
		while (n)
			page_put(brought[--n]);
		return -ENOMEM;
	}
	vm->pages += n;
	return rc;
}

/* A write to a page that is mapped read-only though the region is writable. */
static int copy_on_write(struct vm *vm, struct vm_region *r, uint64_t va, uint64_t entry)
{
	void *old = entry_page(entry), *copy;
	struct pv_batch b;

	pv_batch_begin(&b, &vm->as);
	if (page_is_sole(old)) {
		pv_batch_protect(&b, va, r->prot);
		return error_of(pv_batch_end(&b));
	}
	copy = page_alloc();
	if (!copy)
		return -ENOMEM;
	memcpy(copy, old, PV_PAGE_SIZE);
	pv_batch_map(&b, va, pv_virt_to_pfn(copy), r->prot);
	error_of(pv_batch_end(&b));
	page_put(old);
	return 0;
}

int vm_fault(struct vm *vm, uint64_t address, unsigned int access)
{
	struct vm_region *r = find(vm, address);
	uint64_t va = page_down(address), entry;

	if (!r || access & ~r->prot)
		return -EFAULT;
	entry = pv_aspace_entry(&vm->as, va);
	if (!entry)
		return bring_in(vm, r, va, access & PV_PROT_WRITE);
	if (access & PV_PROT_WRITE && !(entry & PV_PTE_WRITE))
		return copy_on_write(vm, r, va, entry);
	return 0; /* a right that has grown meanwhile: the old translation is gone now */
}

void vm_touch(struct vm *vm, uint64_t address, unsigned int access)
{
	if (!pv_aspace_entry(&vm->as, address))
		vm_fault(vm, address, access);
}
