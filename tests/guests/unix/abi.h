/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and its programs agree on: system calls, signals, structures.
 *
 * A call is the `syscall` instruction: its number in rax, arguments in rdi, rsi, rdx, r10, r8; the
 * result, or a negative error number, in rax; rcx and r11 are lost. Where Linux has the same call,
 * the meaning and the constants are Linux's.
 */
#ifndef TESTS_GUESTS_UNIX_ABI_H
#define TESTS_GUESTS_UNIX_ABI_H

#include <stdint.h>

/* clang-format off */
/* name, arguments -> result beyond success and failure */
#define UNIX_CALLS(x) \
	x(exit)       /* status */                                                        \
	x(fork)       /* -> pid, 0 in the child */                                        \
	x(exec)       /* path, argv (ended by NULL) */                                    \
	x(wait)       /* pid or -1, int *status, flags -> pid */                          \
	x(getpid)     /* -> pid */                                                        \
	x(getppid)    /* -> pid */                                                        \
	x(kill)       /* pid (negative: group), signal */                                 \
	x(sigaction)  /* signal, handler, restorer -> the handler before */               \
	x(sigmask)    /* mask -> the mask before */                                       \
	x(sigreturn)  /* at the end of a handler */                                       \
	x(alarm)      /* ns from now, 0: none; then SIGALRM */                            \
	x(pause)      /* waits for a signal */                                            \
	x(sleep)      /* ns */                                                            \
	x(yield)                                                                          \
	x(clock)      /* 0: since start, 1: since 1970 -> ns */                           \
	x(brk)        /* address or 0 -> the end of the heap */                           \
	x(mmap)       /* address or 0, bytes, prot -> address */                          \
	x(munmap)     /* address, bytes */                                                \
	x(mprotect)   /* address, bytes, prot */                                          \
	x(setfs)      /* base of the FS segment */                                        \
	x(open)       /* path, flags -> descriptor */                                     \
	x(close)      /* descriptor */                                                    \
	x(read)       /* descriptor, buffer, bytes -> bytes */                            \
	x(write)      /* descriptor, buffer, bytes -> bytes */                            \
	x(seek)       /* descriptor, offset from the start -> offset */                   \
	x(dup2)       /* descriptor, new descriptor or -1 -> descriptor */                \
	x(pipe)       /* int[2] */                                                        \
	x(unlink)     /* path */                                                          \
	x(fsync)      /* descriptor: what was written to it survives a power cut */       \
	x(sync)       /* and all that was written to anything */                          \
	x(readdir)    /* index, struct unix_dirent * -> 0, or -ENOENT beyond the last */  \
	x(setpgid)    /* pid or 0, group or 0 */                                          \
	x(foreground) /* group that the console's signals go to */                        \
	x(procinfo)   /* index, struct unix_procinfo * -> 0, or -ENOENT beyond the last */\
	x(sysinfo)    /* struct unix_sysinfo * */                                         \
	x(getcpu)     /* -> number of the vCPU */                                         \
	x(poweroff)   /* ends the machine; init only */

/* Of the network. sendto and recvfrom say and hear with whom; others may be left to read and write. */
#define UNIX_NET_CALLS(x) \
	x(socket)     /* SOCK_* -> descriptor */                                          \
	x(bind)       /* descriptor, const struct unix_addr *; port 0: any */             \
	x(connect)    /* descriptor, const struct unix_addr * */                          \
	x(listen)     /* descriptor of a stream that is bound */                          \
	x(accept)     /* descriptor, struct unix_addr * or 0 -> descriptor */             \
	x(sendto)     /* descriptor, buffer, bytes, const struct unix_addr * or 0 */      \
	x(recvfrom)   /* descriptor, buffer, bytes, struct unix_addr * or 0 -> bytes */   \
	x(shutdown)   /* descriptor of a stream: no more is sent */                       \
	x(sockname)   /* descriptor, struct unix_addr *: its own end */                   \
	x(ping)       /* const struct unix_addr *, bytes, limit in ns -> ns */            \
	x(netinfo)    /* struct unix_netinfo * */                                         \
	x(netconfig)  /* const struct unix_netaddr *; address 0: asks by DHCP */
/* clang-format on */

enum unix_call {
	UNIX_CALL_NONE,
#define UNIX_CALL_NUMBER(name) SYS_##name,
	UNIX_CALLS(UNIX_CALL_NUMBER) UNIX_NET_CALLS(UNIX_CALL_NUMBER)
#undef UNIX_CALL_NUMBER
		UNIX_NR_CALLS
};

#define EPERM        1
#define ENOENT       2
#define ESRCH        3
#define EINTR        4
#define EIO          5
#define E2BIG        7
#define ENOEXEC      8
#define EBADF        9
#define ECHILD       10
#define EAGAIN       11
#define ENOMEM       12
#define EFAULT       14
#define EEXIST       17
#define ENOTDIR      20
#define EISDIR       21
#define EINVAL       22
#define ENFILE       23
#define EMFILE       24
#define EFBIG        27
#define ENOSPC       28
#define EROFS        30
#define EPIPE        32
#define ENAMETOOLONG 36
#define ENOSYS       38
#define ENOTSOCK     88
#define EDESTADDRREQ 89
#define EMSGSIZE     90
#define EOPNOTSUPP   95
#define EADDRINUSE   98
#define ECONNRESET   104
#define EISCONN      106
#define ENOTCONN     107
#define ETIMEDOUT    110
#define ECONNREFUSED 111

#define SIGHUP       1
#define SIGINT       2
#define SIGQUIT      3
#define SIGILL       4
#define SIGTRAP      5
#define SIGBUS       7
#define SIGFPE       8
#define SIGKILL      9
#define SIGUSR1      10
#define SIGSEGV      11
#define SIGUSR2      12
#define SIGPIPE      13
#define SIGALRM      14
#define SIGTERM      15
#define SIGCHLD      17
#define NR_SIGNALS   32

#define SIG_DFL      0ul
#define SIG_IGN      1ul

#define PROT_READ    1
#define PROT_WRITE   2
#define PROT_EXEC    4

#define O_RDONLY     0x000
#define O_WRONLY     0x001
#define O_RDWR       0x002
#define O_ACCMODE    0x003
#define O_CREAT      0x040
#define O_TRUNC      0x200
#define O_APPEND     0x400

#define WNOHANG      1

/* In the status of wait(): the low byte is the signal that ended it or 0, the next one the code. */
#define UNIX_STATUS(code, sig) (((code)&0xff) << 8 | ((sig)&0x7f))

#define SOCK_STREAM            1
#define SOCK_DGRAM             2

#define UNIX_NAME_MAX          60
#define UNIX_NR_FILES          16 /* descriptors of a process */

struct unix_dirent {
	char name[UNIX_NAME_MAX];
	uint32_t pad;
	uint64_t size;
};

struct unix_procinfo {
	int32_t pid, ppid;
	char state; /* R running, r ready, S sleeping, Z dead */
	uint8_t cpu;
	uint16_t pad;
	uint32_t pages; /* that are mapped */
	uint64_t cpu_ns;
	char name[24];
};

struct unix_sysinfo {
	uint64_t frames, frames_free; /* the kernel's pages of 4 KiB */
	uint64_t tables, tables_free; /* those among them that serve as page tables */
	uint32_t processes;
	uint32_t files; /* that are open; several descriptors may share one */
	uint32_t cpus;
	uint32_t grants, granting; /* references in use; those that grant a page now */
	uint32_t pad;
	uint64_t switches, faults; /* since the start */
};

/* Address and port in the processor's own order. */
struct unix_addr {
	uint32_t ip;
	uint16_t port, pad;
};

struct unix_netaddr {
	uint32_t ip, mask, gateway, dns; /* gateway, dns 0: none */
};

struct unix_netinfo {
	char name[16]; /* "" when there is no interface */
	uint8_t mac[6], link_up, pad;
	uint32_t mtu;
	struct unix_netaddr addr;
	uint64_t sent, received, dropped, bad_checksum, retransmitted;
};

/*
 * What a signal handler gets as its second argument: the registers, as they will be after it
 * returns. It may change them.
 */
struct unix_sigframe {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp;
	uint64_t address; /* of a fault */
	uint32_t trap;    /* number of the exception, 0 when the signal comes from elsewhere */
	uint32_t error;   /* its error code */
	uint64_t old_mask;
	uint64_t fp; /* the floating-point state; the kernel reads it back from there */
};

#endif /* TESTS_GUESTS_UNIX_ABI_H */
