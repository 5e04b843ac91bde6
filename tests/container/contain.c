/* SPDX-License-Identifier: MIT */
/*
 * Runs a command as a default container would: a new user namespace, no capability, no new privileges, and
 * a seccomp filter that refuses what the default profile of the usual container engines refuses.
 *
 *   contain COMMAND ARG...      exit status: the command's; 125 when the set-up failed
 *
 * The refused set is the one that those profiles document for a container without added capabilities:
 * everything that needs a capability of the host's, new namespaces, kernel modules, keys, BPF, performance
 * events, userfaultfd, io_uring; and clone3, which is answered with ENOSYS so that libc falls back.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_NAMESPACES 0x7E020000 /* every CLONE_NEW* flag */
#define LAST_KNOWN     462        /* system calls that the profiles do not know yet: ENOSYS */

static const int refused[] = {
	SYS_acct,
	SYS_add_key,
	SYS_bpf,
	SYS_clock_adjtime,
	SYS_clock_settime,
	SYS_create_module,
	SYS_delete_module,
	SYS_finit_module,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fsopen,
	SYS_fspick,
	SYS_get_kernel_syms,
	SYS_get_mempolicy,
	SYS_init_module,
	SYS_ioperm,
	SYS_iopl,
	SYS_kexec_file_load,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_lookup_dcookie,
	SYS_mbind,
	SYS_mount,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_move_pages,
	SYS_nfsservctl,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_perf_event_open,
	SYS_pivot_root,
	SYS_query_module,
	SYS_quotactl,
	SYS_reboot,
	SYS_request_key,
	SYS_set_mempolicy,
	SYS_setns,
	SYS_settimeofday,
	SYS_swapon,
	SYS_swapoff,
	SYS_sysfs,
	SYS__sysctl,
	SYS_umount2,
	SYS_unshare,
	SYS_uselib,
	SYS_userfaultfd,
	SYS_ustat,
	SYS_vhangup,
	SYS_chroot,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_syslog,
	SYS_fanotify_init,
	SYS_setdomainname,
	SYS_sethostname,
};
#define NR_REFUSED (sizeof(refused) / sizeof(*refused))

static void fail(const char *what)
{
	fprintf(stderr, "contain: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void install_filter(void)
{
	struct sock_filter f[2 * NR_REFUSED + 24];
	struct sock_fprog prog = { .filter = f };
	size_t n = 0, i;

#define LOAD(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(v)        BPF_STMT(BPF_RET | BPF_K, (v))
#define SAME(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
	f[n++] = (struct sock_filter)LOAD(arch);
	f[n++] = (struct sock_filter)SAME(AUDIT_ARCH_X86_64, 1, 0);
	f[n++] = (struct sock_filter)ANSWER(
		SECCOMP_RET_ALLOW); /* the profiles allow the 32-bit entries too */
	f[n++] = (struct sock_filter)LOAD(nr);
	f[n++] = (struct sock_filter)SAME(SYS_clone3, 0, 1);
	f[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | ENOSYS);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_KNOWN, 0, 1);
	f[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | ENOSYS);
	for (i = 0; i < NR_REFUSED; i++) {
		f[n++] = (struct sock_filter)SAME((unsigned)refused[i], 0, 1);
		f[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | EPERM);
	}
	f[n++] = (struct sock_filter)SAME(SYS_clone, 0, 3);
	f[n++] = (struct sock_filter)LOAD(args[0]);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1);
	f[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | EPERM);
	f[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		fail("seccomp");
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) && errno != EPERM)
			fail("capability bounding set");
	if (syscall(SYS_capset, &head, none))
		fail("capset");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: contain COMMAND ARG...\n");
		return 125;
	}
	if (unshare(CLONE_NEWUSER))
		fprintf(stderr, "contain: no new user namespace here (%s); going on in this one\n",
		        strerror(errno));
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("no_new_privs");
	install_filter();
	execvp(argv[1], argv + 1);
	fail(argv[1]);
}
