/* SPDX-License-Identifier: MIT */
/*
 * Running programs.
 *
 * The file is looked at in full before anything of the old program goes; what is left to fail then is
 * memory, and for that the process ends. Nothing of the file is loaded here: its pages come in as
 * they are touched.
 */
#include "tests/guests/unix/exec.h"

#include <stdbool.h>
#include <stddef.h>

#include "abi/arch_x86_64.h"
#include "pvops/fp.h"
#include "pvops/lib/string.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/usercopy.h"

#define SEGMENTS_MAX 8

/* ELF64: the parts that are looked at (System V ABI, "Object Files"). */
struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#define ELF_IDENT      "\177ELF\2\1\1" /* 64 bits, little-endian, version 1 */
#define ELF_EXEC       2
#define ELF_X86_64     62
#define ELF_LOAD       1
#define ELF_FLAG_EXEC  1
#define ELF_FLAG_WRITE 2

struct image {
	uint64_t entry, end; /* end: of the highest segment */
	unsigned int count;
	struct elf_segment segment[SEGMENTS_MAX];
};

int exec_add_arg(struct exec_args *args, const char *text)
{
	size_t len = strlen(text) + 1;

	if (args->count == EXEC_ARGS_MAX || len > sizeof(args->text) - args->len)
		return -E2BIG;
	args->at[args->count++] = (uint16_t)args->len;
	memcpy(args->text + args->len, text, len);
	args->len += (unsigned int)len;
	return 0;
}

/* ---- reading the file ---- */

static bool segment_is_good(const struct elf_segment *s)
{
	return s->vaddr >= VM_PROGRAM && s->vaddr < VM_STACK && s->memsz <= VM_STACK - s->vaddr &&
	       s->filesz <= s->memsz && s->offset <= UINT32_MAX && s->memsz &&
	       s->vaddr % PV_PAGE_SIZE == s->offset % PV_PAGE_SIZE;
}

static int read_image(struct node *n, struct image *image)
{
	struct elf_header h;
	unsigned int i;

	if (node_read(n, 0, &h, sizeof(h)) != sizeof(h) || memcmp(h.ident, ELF_IDENT, 7) ||
	    h.type != ELF_EXEC || h.machine != ELF_X86_64 ||
	    h.phentsize != sizeof(struct elf_segment))
		return -ENOEXEC;
	image->entry = h.entry;
	image->count = 0;
	image->end = 0;
	for (i = 0; i < h.phnum; i++) {
		struct elf_segment *s = &image->segment[image->count];

		if (image->count == SEGMENTS_MAX ||
		    node_read(n, h.phoff + i * sizeof(*s), s, sizeof(*s)) != sizeof(*s))
			return -ENOEXEC;
		if (s->type != ELF_LOAD)
			continue;
		/* In ascending order, as the ABI of ELF demands. */
		if (!segment_is_good(s) || s->vaddr < image->end)
			return -ENOEXEC;
		image->end = s->vaddr + s->memsz;
		image->count++;
	}
	return image->count ? 0 : -ENOEXEC;
}

/* ---- making the new memory ---- */

static uint64_t page_up(uint64_t a)
{
	return (a + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
}

static int add_segment(struct vm *vm, struct node *n, const struct elf_segment *s)
{
	unsigned int prot = PV_PROT_READ;
	uint64_t start = s->vaddr & PV_PAGE_MASK;

	if (s->flags & ELF_FLAG_WRITE)
		prot |= PV_PROT_WRITE;
	if (s->flags & ELF_FLAG_EXEC)
		prot |= PV_PROT_EXEC;
	return vm_add(vm, start, page_up(s->vaddr + s->memsz), prot, s->filesz ? n : NULL,
	              s->offset - (s->vaddr - start), s->vaddr + s->filesz);
}

static int map_image(struct vm *vm, struct node *n, const struct image *image)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < image->count; i++)
		rc = add_segment(vm, n, &image->segment[i]);
	if (!rc)
		rc = vm_add(vm, VM_STACK + PV_PAGE_SIZE, VM_STACK_END, PV_PROT_READ | PV_PROT_WRITE,
		            NULL, 0, 0);
	return rc;
}

/*
 * At the end of the stack: the arguments' text; below it argv, ended by 0; below that their number,
 * where the stack pointer points.
 */
static int push_args(const struct exec_args *args, uint64_t *sp)
{
	uint64_t text = VM_STACK_END - page_up(args->len + 1);
	uint64_t argv = text - (args->count + 1) * sizeof(uint64_t), at, end = 0;
	uint64_t count = args->count;
	unsigned int i;

	*sp = (argv - sizeof(count)) & ~15ull;
	argv = *sp + sizeof(count);
	if (copy_out(text, args->text, args->len) || copy_out(*sp, &count, sizeof(count)))
		return -EFAULT;
	for (i = 0; i < args->count; i++) {
		at = text + args->at[i];
		if (copy_out(argv + i * sizeof(at), &at, sizeof(at)))
			return -EFAULT;
	}
	return copy_out(argv + count * sizeof(end), &end, sizeof(end));
}

/* ---- becoming it ---- */

static void set_name(struct proc *p, const char *path)
{
	const char *base = path, *c;

	for (c = path; *c; c++)
		if (*c == '/')
			base = c + 1;
	memset(p->name, 0, sizeof(p->name));
	memcpy(p->name, base, strnlen(base, sizeof(p->name) - 1));
}

/* The first program of a process that had none. */
static int give_memory(struct proc *p)
{
	int rc = vm_init(&p->vm);

	if (rc)
		return rc;
	pv_spin_lock(&sched_lock); /* from here on it is switched with its memory */
	pv_aspace_switch(&p->vm.as, (char *)p->stack + KERNEL_STACK, 0);
	p->has_memory = true;
	pv_spin_unlock(&sched_lock);
	return 0;
}

static void begin(struct proc *p, uint64_t entry, uint64_t sp)
{
	struct pv_frame *f = proc_frame(p);

	memset(f, 0, sizeof(*f));
	f->rip = entry;
	f->cs = FLAT_USER_CS;
	f->rflags = PV_RFLAGS_IF;
	f->rsp = sp;
	f->ss = FLAT_USER_SS;
	pv_fp_fresh(p->fp);
	pv_fp_load(p->fp);
	if (p->fs_base) {
		p->fs_base = 0;
		pv_aspace_switch(&p->vm.as, (char *)p->stack + KERNEL_STACK, 0);
	}
}

int exec_run(const char *path, const struct exec_args *args)
{
	struct proc *p = current();
	struct image image;
	struct node *n;
	uint64_t sp;
	int rc;

	while (*path == '/')
		path++;
	rc = fs_root->open(path, false, &n);
	if (rc)
		return rc;
	rc = read_image(n, &image);
	if (!rc && !p->has_memory)
		rc = give_memory(p);
	if (rc) {
		node_put(n);
		return rc;
	}
	vm_clear(&p->vm);
	rc = map_image(&p->vm, n, &image);
	node_put(n);
	if (!rc)
		rc = push_args(args, &sp);
	if (rc)
		return EXEC_HALF_WAY;
	signal_reset(p);
	set_name(p, path);
	begin(p, image.entry, sp);
	vm_touch(&p->vm, image.entry, PV_PROT_EXEC);
	return 0;
}
