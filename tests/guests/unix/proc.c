/* SPDX-License-Identifier: MIT */
/*
 * The life of processes: fork, exit, wait.
 *
 * A process that ends gives back all it can while it still runs: its files and its pages. What it
 * stands on (its stack, its page tables) is taken by its parent in wait(), when it runs no more.
 */
#include "tests/guests/unix/proc.h"

#include "pvops/fp.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"

#define PROCS_MAX       1024
#define MEMORY_PER_PROC 0x40000 /* bytes; a machine with less has fewer processes */
#define INIT_PID        1

struct proc *proc_table;
unsigned int proc_table_len;

static int next_pid = INIT_PID;

void proc_init(uint64_t memory_bytes)
{
	uint64_t n = memory_bytes / MEMORY_PER_PROC, i;
	uint64_t stack_pages = KERNEL_STACK / PV_PAGE_SIZE + 1; /* and one for fp */
	char *stacks;

	n = n < PROCS_MAX ? n : PROCS_MAX;
	proc_table = page_block((n * sizeof(*proc_table) + PV_PAGE_SIZE - 1) / PV_PAGE_SIZE);
	stacks = page_block(n * stack_pages);
	if (!proc_table || !stacks)
		pv_panic("unix: no memory for processes");
	memset(proc_table, 0, n * sizeof(*proc_table));
	for (i = 0; i < n; i++) {
		proc_table[i].fp = stacks + i * stack_pages * PV_PAGE_SIZE;
		proc_table[i].stack = (char *)proc_table[i].fp + PV_PAGE_SIZE;
	}
	proc_table_len = (unsigned int)n;
}

/* An entry of the table, all clear but for what belongs to the entry itself. */
static struct proc *take_entry(void)
{
	struct proc *p;
	void *stack, *fp;

	pv_spin_lock(&sched_lock);
	for (p = proc_table; p < proc_table + proc_table_len; p++)
		if (p->state == FREE)
			break;
	if (p == proc_table + proc_table_len) {
		pv_spin_unlock(&sched_lock);
		return NULL;
	}
	stack = p->stack;
	fp = p->fp;
	memset(p, 0, sizeof(*p));
	p->state = NEW;
	p->stack = stack;
	p->fp = fp;
	p->pid = next_pid++;
	pv_spin_unlock(&sched_lock);
	return p;
}

static void give_back_entry(struct proc *p)
{
	pv_spin_lock(&sched_lock);
	p->state = FREE;
	pv_spin_unlock(&sched_lock);
}

bool proc_start_kernel(const char *name, void (*main)(void))
{
	struct proc *p = take_entry();

	if (!p)
		return false;
	p->group = p->pid;
	memcpy(p->name, name, strnlen(name, sizeof(p->name) - 1));
	sched_prepare(p, main);
	pv_spin_lock(&sched_lock);
	sched_make_ready(p);
	pv_spin_unlock(&sched_lock);
	return true;
}

void proc_start_first(void (*main)(void))
{
	if (!proc_start_kernel("init", main))
		pv_panic("unix: no process");
}

/* ---- fork ---- */

static void copy_identity(struct proc *child, const struct proc *parent)
{
	memcpy(child->name, parent->name, sizeof(child->name));
	memcpy(child->handler, parent->handler, sizeof(child->handler));
	child->restorer = parent->restorer;
	child->mask = parent->mask;
	child->fs_base = parent->fs_base;
	child->cpu = parent->cpu;
	*proc_frame(child) = *proc_frame(parent);
	proc_frame(child)->rax = 0;
	pv_fp_save(child->fp); /* the program's, for the kernel has not touched it */
}

int proc_fork(void)
{
	struct proc *parent = current(), *child = take_entry();
	int pid, rc;

	if (!child)
		return -EAGAIN;
	pid = child->pid;
	rc = vm_init(&child->vm);
	if (rc) {
		give_back_entry(child);
		return rc;
	}
	rc = vm_clone(&child->vm, &parent->vm, proc_frame(parent)->rsp);
	if (rc) {
		vm_clear(&child->vm);
		vm_destroy(&child->vm);
		give_back_entry(child);
		return rc;
	}
	child->has_memory = true;
	copy_identity(child, parent);
	file_share_all(child, parent);
	sched_prepare(child, NULL);
	pv_spin_lock(&sched_lock);
	child->group = parent->group;
	child->parent = parent;
	sched_make_ready(child);
	pv_spin_unlock(&sched_lock);
	return pid;
}

/* ---- exit ---- */

/* Orphans become init's children, the dead ones too. */
static void leave_children_to_init(const struct proc *p)
{
	struct proc *init = proc_find(INIT_PID), *c;

	for (c = proc_table; c < proc_table + proc_table_len; c++) {
		if (c->state == FREE || c->parent != p)
			continue;
		c->parent = init;
		if (c->state == DEAD && init->children.kernel[0])
			sched_make_ready(init->children.kernel[0]);
	}
}

void proc_exit(int status)
{
	struct proc *p = current();
	unsigned int i;

	if (p->pid == INIT_PID)
		pv_panic("unix: init ended with status 0x%x", (unsigned int)status);
	for (i = 0; i < UNIX_NR_FILES; i++)
		if (p->files[i])
			file_close(i);
	vm_clear(&p->vm);
	signal_set_alarm(0);
	pv_spin_lock(&sched_lock);
	leave_children_to_init(p);
	p->status = status;
	p->state = DEAD;
	signal_post(p->parent, SIGCHLD);
	if (p->parent->children.kernel[0])
		sched_make_ready(p->parent->children.kernel[0]);
	sched_switch();
	pv_panic("unix: a dead process runs");
}

/* ---- wait ---- */

struct wait_for {
	const struct proc *parent;
	int pid;
	bool has_any;
	struct proc *dead;
};

/* With sched_lock held. True: there is one, or there is nothing to wait for. */
static bool look_for_dead(void *arg)
{
	struct wait_for *w = arg;
	struct proc *c;

	w->has_any = false;
	w->dead = NULL;
	for (c = proc_table; c < proc_table + proc_table_len; c++) {
		if (c->state == FREE || c->state == NEW || c->parent != w->parent)
			continue;
		if (w->pid > 0 && c->pid != w->pid)
			continue;
		w->has_any = true;
		if (c->state == DEAD) {
			w->dead = c;
			return true;
		}
	}
	return !w->has_any;
}

static void bury(struct proc *p)
{
	vm_destroy(&p->vm);
	give_back_entry(p);
}

int proc_wait(int pid, int *status, int flags)
{
	struct proc *p = current();
	struct wait_for w = { .parent = p, .pid = pid };
	int rc = 0;

	if (flags & WNOHANG) {
		pv_spin_lock(&sched_lock);
		look_for_dead(&w);
		pv_spin_unlock(&sched_lock);
	} else {
		rc = sched_sleep(&p->children, look_for_dead, &w, 0, true);
	}
	if (rc)
		return rc;
	if (!w.dead)
		return w.has_any ? 0 : -ECHILD;
	/* Only its parent, which we are, looks at a dead process. */
	*status = w.dead->status;
	pid = w.dead->pid;
	bury(w.dead);
	return pid;
}

/* ---- questions ---- */

struct proc *proc_find(int pid)
{
	struct proc *p;

	for (p = proc_table; p < proc_table + proc_table_len; p++)
		if (p->pid == pid && p->state != FREE && p->state != DEAD)
			return p;
	return NULL;
}

int proc_set_group(int pid, int group)
{
	struct proc *p;
	int rc = 0;

	pv_spin_lock(&sched_lock);
	p = pid ? proc_find(pid) : current();
	if (!p || (p != current() && p->parent != current()))
		rc = -ESRCH;
	else
		p->group = group ? group : p->pid;
	pv_spin_unlock(&sched_lock);
	return rc;
}

static void fill_info(const struct proc *p, struct unix_procinfo *info)
{
	static const char states[] = { 'F', 'N', 'r', 'R', 'S', 'Z' };
	uint64_t now = pv_now_ns();

	memset(info, 0, sizeof(*info));
	info->pid = p->pid;
	info->ppid = p->parent ? p->parent->pid : 0;
	info->state = states[p->state];
	info->cpu = (uint8_t)p->cpu;
	info->pages = (uint32_t)p->vm.pages;
	info->cpu_ns = p->cpu_ns + (p->state == RUNNING ? now - p->started_ns : 0);
	memcpy(info->name, p->name, sizeof(info->name));
}

int proc_info(uint64_t index, struct unix_procinfo *info)
{
	int rc = -ENOENT;
	struct proc *p;

	pv_spin_lock(&sched_lock);
	for (p = proc_table; p < proc_table + proc_table_len; p++) {
		if (p->state == FREE || p->state == NEW || index--)
			continue;
		fill_info(p, info);
		rc = 0;
		break;
	}
	pv_spin_unlock(&sched_lock);
	return rc;
}

unsigned int proc_count(void)
{
	unsigned int n = 0;
	struct proc *p;

	pv_spin_lock(&sched_lock);
	for (p = proc_table; p < proc_table + proc_table_len; p++)
		n += p->state != FREE;
	pv_spin_unlock(&sched_lock);
	return n;
}
