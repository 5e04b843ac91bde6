/* SPDX-License-Identifier: MIT */
/*
 * A small Unix: what a kernel looks like that was ported to the library. Start here; then
 *
 *   trap.c syscall.c signal.c usercopy.c     what programs do to the kernel, and it to them
 *   proc.c sched.c switch.S                  processes, and who runs where
 *   vm.c page.c exec.c                       memory, and programs in it
 *   file.c pipe.c tty.c ramfs.c cpio.c       files
 *   disk.c bcache.c ext2*.c                  disks, and a file system on one
 *   socket.c netif.c net/                    sockets, and the network stack under them
 *
 * The kernel knows nothing of hypercalls: pvops/ does. A program has an address space of its own
 * whose user's root does not contain the kernel.
 *
 * Command line: [root=/dev/DISK] [roots=two|one] [run=PROGRAM ARGUMENTS...]. With run= that is done
 * and the machine is switched off; else there is a shell. roots=: see vm_roots.
 */
#include "frontends/blkdev.h"
#include "pvops/aspace.h"
#include "pvops/lib/string.h"
#include "pvops/mmu.h"
#include "pvops/pvguest.h"
#include "tests/guests/unix/exec.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/fs.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/sched.h"
#include "tests/guests/unix/trap.h"
#include "tests/guests/unix/tty.h"

extern const char unix_archive[], unix_archive_end[];

static bool library_waits(struct pv_waitq *q, bool (*ready)(void *arg), void *arg,
                          uint64_t deadline_ns)
{
	return !sched_sleep(q, ready, arg, deadline_ns, false);
}

const struct pv_hooks pv_hooks = {
	.page_alloc = page_alloc,
	.page_free = page_put,
	.wait = library_waits,
	.wake = sched_wake,
	.upcall_done = sched_upcall_done,
};

static void must(int rc, const char *what)
{
	if (rc)
		pv_panic("unix: cannot %s: error %d", what, rc);
}

/* The arguments of init: the rest of the command line behind "run=", word by word. */
static void add_words(struct exec_args *args, const char *text)
{
	char word[128];
	size_t n;

	while (*text) {
		while (*text == ' ')
			text++;
		for (n = 0; text[n] && text[n] != ' ' && n < sizeof(word) - 1; n++)
			word[n] = text[n];
		word[n] = 0;
		text += n;
		if (n)
			must(exec_add_arg(args, word), "take so long a command line");
	}
}

/* root=/dev/xvda: the files of that disk instead of the archive's. */
static void mount_root(void)
{
	const char *root = strstr(pv_boot.cmdline, "root=/dev/");
	char name[BLKDEV_NAME] = "";
	size_t n;

	if (!root)
		return;
	root += strlen("root=/dev/");
	for (n = 0; root[n] && root[n] != ' ' && n < sizeof(name) - 1; n++)
		name[n] = root[n];
	must(ext2_mount(name), "mount the root");
	fs_root = &ext2;
}

/* The first process, while it is still in the kernel. */
static void become_init(void)
{
	static struct exec_args args;
	const char *run = strstr(pv_boot.cmdline, "run=");
	int i;

	mount_root();
	must(exec_add_arg(&args, "init"), "start init");
	if (run)
		add_words(&args, run + 4);
	for (i = 0; i < 3; i++)
		must(file_open("dev/console", O_RDWR) != i, "open the console");
	must(exec_run("bin/init", &args), "run bin/init");
	pv_frame_resume(proc_frame(current()));
}

void kernel_main(const struct pv_boot *boot)
{
	const void *archive = boot->ramdisk ? boot->ramdisk : unix_archive;
	size_t len = boot->ramdisk ? boot->ramdisk_len : (size_t)(unix_archive_end - unix_archive);

	if (strstr(boot->cmdline, "roots=two"))
		vm_roots = PV_ROOTS_TWO;
	else if (strstr(boot->cmdline, "roots=one"))
		vm_roots = PV_ROOTS_ONE;
	sched_init();
	must(pv_mmu_map_memory(), "map the memory");
	page_init(boot);
	proc_init(boot->memory_end);
	must(pv_aspace_init(), "prepare for address spaces");
	must(cpio_unpack(archive, len, ramfs_add) <= 0, "unpack the archive");
	trap_init();
	tty_init();
	sched_start_cpus();
	proc_start_first(become_init);
	sched_run();
}
