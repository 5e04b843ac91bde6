/* SPDX-License-Identifier: MIT */
/*
 * System calls: from registers to the functions that do the work. Everything that comes from a
 * program is checked here or by the function it goes to.
 */
#include "tests/guests/unix/syscall.h"

#include <stddef.h>

#include "pvops/aspace.h"
#include "pvops/frame.h"
#include "pvops/gnttab.h"
#include "pvops/lib/string.h"
#include "pvops/pv_ops.h"
#include "tests/guests/unix/disk.h"
#include "tests/guests/unix/exec.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/socket.h"
#include "tests/guests/unix/trap.h"
#include "tests/guests/unix/tty.h"
#include "tests/guests/unix/usercopy.h"

#define PATH_SIZE 128

static uint64_t page_up(uint64_t a)
{
	return (a + PV_PAGE_SIZE - 1) & PV_PAGE_MASK;
}

/* ---- processes ---- */

static long do_exit(struct pv_frame *f)
{
	proc_exit(UNIX_STATUS((int)f->rdi, 0));
}

static long do_fork(struct pv_frame *f)
{
	(void)f;
	return proc_fork();
}

static int copy_args(struct exec_args *args, uint64_t argv)
{
	uint64_t at;
	long len;

	args->count = args->len = 0;
	for (;; argv += sizeof(at)) {
		if (copy_in(&at, argv, sizeof(at)))
			return -EFAULT;
		if (!at)
			return 0;
		if (args->count == EXEC_ARGS_MAX)
			return -E2BIG;
		len = copy_in_string(args->text + args->len, at, sizeof(args->text) - args->len);
		if (len < 0)
			return len == -EFAULT ? -EFAULT : -E2BIG;
		args->at[args->count++] = (uint16_t)args->len;
		args->len += (unsigned int)len + 1;
	}
}

static long do_exec(struct pv_frame *f)
{
	struct exec_args *args = page_alloc();
	char path[PATH_SIZE];
	long rc = args ? 0 : -ENOMEM;

	_Static_assert(sizeof(*args) <= PV_PAGE_SIZE, "a page holds the arguments");
	if (!rc)
		rc = copy_in_string(path, f->rdi, sizeof(path));
	if (rc >= 0)
		rc = copy_args(args, f->rsi);
	if (rc >= 0)
		rc = exec_run(path, args);
	if (args)
		page_put(args);
	if (rc == EXEC_HALF_WAY)
		proc_exit(UNIX_STATUS(0, SIGKILL));
	return rc;
}

static long do_wait(struct pv_frame *f)
{
	int status = 0, pid = proc_wait((int)f->rdi, &status, (int)f->rdx);

	if (pid > 0 && f->rsi && copy_out(f->rsi, &status, sizeof(status)))
		return -EFAULT;
	return pid;
}

static long do_getpid(struct pv_frame *f)
{
	(void)f;
	return current()->pid;
}

static long do_getppid(struct pv_frame *f)
{
	const struct proc *parent = current()->parent;

	(void)f;
	return parent ? parent->pid : 0;
}

static long do_setpgid(struct pv_frame *f)
{
	return proc_set_group((int)f->rdi, (int)f->rsi);
}

static long do_foreground(struct pv_frame *f)
{
	tty_set_foreground((int)f->rdi);
	return 0;
}

static long do_getcpu(struct pv_frame *f)
{
	(void)f;
	return pv_cpu()->id;
}

static long do_setfs(struct pv_frame *f)
{
	struct proc *p = current();

	if (f->rdi >= PV_USER_END)
		return -EINVAL;
	p->fs_base = f->rdi;
	pv_aspace_switch(&p->vm.as, (char *)p->stack + KERNEL_STACK, p->fs_base);
	return 0;
}

/* ---- signals ---- */

static long do_kill(struct pv_frame *f)
{
	return signal_send((int)f->rdi, (int)f->rsi);
}

static long do_sigaction(struct pv_frame *f)
{
	struct proc *p = current();
	uint64_t old;

	if (f->rdi < 1 || f->rdi >= NR_SIGNALS || f->rdi == SIGKILL || f->rsi >= PV_USER_END)
		return -EINVAL;
	old = p->handler[f->rdi];
	p->handler[f->rdi] = f->rsi;
	p->restorer = f->rdx;
	return (long)old;
}

static long do_sigmask(struct pv_frame *f)
{
	struct proc *p = current();
	uint32_t old = p->mask;

	p->mask = (uint32_t)f->rdi & ~(1u << SIGKILL);
	return old;
}

static long do_sigreturn(struct pv_frame *f)
{
	signal_return(f);
	return (long)f->rax; /* as it was when the handler was called */
}

static long do_alarm(struct pv_frame *f)
{
	return (long)signal_set_alarm(f->rdi);
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static long do_pause(struct pv_frame *f)
{
	struct pv_waitq q = { { NULL } };

	(void)f;
	return sched_sleep(&q, never, NULL, 0, true);
}

/* ---- time ---- */

static long do_sleep(struct pv_frame *f)
{
	struct pv_waitq q = { { NULL } };
	uint64_t end = pv_now_ns() + f->rdi;
	int rc;

	if (f->rdi > INT64_MAX)
		return -EINVAL;
	rc = sched_sleep(&q, never, NULL, end, true);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static long do_yield(struct pv_frame *f)
{
	(void)f;
	sched_yield();
	return 0;
}

static long do_clock(struct pv_frame *f)
{
	return (long)(f->rdi ? pv_wall_ns() : pv_now_ns());
}

/* ---- memory ---- */

static long do_brk(struct pv_frame *f)
{
	return (long)vm_brk(&current()->vm, f->rdi);
}

/* Start and length of a range that a program names; 0 or -EINVAL. */
static int check_range(uint64_t start, uint64_t len, uint64_t *end)
{
	if (start % PV_PAGE_SIZE || !len || start < PV_USER_START || start >= PV_USER_END ||
	    len > PV_USER_END - start)
		return -EINVAL;
	*end = start + page_up(len);
	return 0;
}

static bool prot_is_good(uint64_t prot)
{
	return prot & PROT_READ && !(prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC));
}

static long do_mmap(struct pv_frame *f)
{
	struct vm *vm = &current()->vm;
	uint64_t start = f->rdi, end;
	int rc;

	if (!prot_is_good(f->rdx) || !f->rsi || f->rsi > VM_END - VM_MMAP)
		return -EINVAL;
	if (!start)
		start = vm_find(vm, page_up(f->rsi));
	if (!start)
		return -ENOMEM;
	rc = check_range(start, f->rsi, &end);
	if (!rc)
		rc = vm_add(vm, start, end, (unsigned int)f->rdx, NULL, 0, 0);
	return rc ? rc : (long)start;
}

static long do_munmap(struct pv_frame *f)
{
	uint64_t end;
	int rc = check_range(f->rdi, f->rsi, &end);

	return rc ? rc : vm_remove(&current()->vm, f->rdi, end);
}

static long do_mprotect(struct pv_frame *f)
{
	uint64_t end;
	int rc = prot_is_good(f->rdx) ? check_range(f->rdi, f->rsi, &end) : -EINVAL;

	return rc ? rc : vm_protect(&current()->vm, f->rdi, end, (unsigned int)f->rdx);
}

/* ---- files ---- */

static long do_open(struct pv_frame *f)
{
	char path[PATH_SIZE];
	long len = copy_in_string(path, f->rdi, sizeof(path));

	return len < 0 ? len : file_open(path, (int)f->rsi);
}

static long do_close(struct pv_frame *f)
{
	return file_close((unsigned int)f->rdi);
}

static long do_read(struct pv_frame *f)
{
	return file_read((unsigned int)f->rdi, f->rsi, f->rdx);
}

static long do_write(struct pv_frame *f)
{
	return file_write((unsigned int)f->rdi, f->rsi, f->rdx);
}

static long do_seek(struct pv_frame *f)
{
	return file_seek((unsigned int)f->rdi, f->rsi);
}

static long do_dup2(struct pv_frame *f)
{
	return file_dup2((unsigned int)f->rdi, (int)f->rsi);
}

static long do_pipe(struct pv_frame *f)
{
	int fd[2], rc = pipe_open(fd);

	if (!rc && copy_out(f->rdi, fd, sizeof(fd))) {
		file_close((unsigned int)fd[0]);
		file_close((unsigned int)fd[1]);
		rc = -EFAULT;
	}
	return rc;
}

static long do_unlink(struct pv_frame *f)
{
	char path[PATH_SIZE], *name = path;
	long len = copy_in_string(path, f->rdi, sizeof(path));

	while (len > 0 && *name == '/')
		name++;
	return len < 0 ? len : fs_root->unlink(name);
}

static long do_fsync(struct pv_frame *f)
{
	return file_sync((unsigned int)f->rdi);
}

static long do_sync(struct pv_frame *f)
{
	int rc = fs_root->sync ? fs_root->sync(false) : 0;

	(void)f;
	return rc ? rc : disk_sync_all();
}

static long do_readdir(struct pv_frame *f)
{
	struct unix_dirent entry;
	int rc = fs_root->list(f->rdi, &entry);

	if (!rc && copy_out(f->rsi, &entry, sizeof(entry)))
		rc = -EFAULT;
	return rc;
}

/* ---- the system ---- */

static long do_procinfo(struct pv_frame *f)
{
	struct unix_procinfo info;
	int rc = proc_info(f->rdi, &info);

	if (!rc && copy_out(f->rsi, &info, sizeof(info)))
		rc = -EFAULT;
	return rc;
}

static long do_sysinfo(struct pv_frame *f)
{
	struct unix_sysinfo info = { .processes = proc_count(), .files = file_count() };

	page_count(&info.frames, &info.frames_free);
	pv_aspace_count(&info.tables, &info.tables_free);
	pv_gnttab_count(&info.grants, &info.granting);
	info.cpus = sched_cpus();
	info.switches = sched_switches();
	info.faults = trap_faults();
	return copy_out(f->rdi, &info, sizeof(info));
}

static long do_poweroff(struct pv_frame *f)
{
	(void)f;
	if (current()->pid != 1)
		return -EPERM;
	if (fs_root->sync)
		fs_root->sync(true);
	disk_sync_all();
	pv_shutdown(0);
}

static long (*const calls[UNIX_NR_CALLS])(struct pv_frame *f) = {
#define CALL(name) [SYS_##name] = do_##name,
	UNIX_CALLS(CALL)
#undef CALL
#define CALL(name) [SYS_##name] = net_call_##name,
		UNIX_NET_CALLS(CALL)
#undef CALL
};

void syscall_do(struct pv_frame *f)
{
	long (*call)(struct pv_frame *) = f->rax < UNIX_NR_CALLS ? calls[f->rax] : NULL;

	f->rax = (uint64_t)(call ? call(f) : -ENOSYS);
}
