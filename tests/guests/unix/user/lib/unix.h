/* SPDX-License-Identifier: MIT */
/*
 * The library of the programs: system calls, and the little of C's library that they use.
 *
 * A call returns what the kernel returned: a negative error number when it failed.
 */
#ifndef TESTS_GUESTS_UNIX_USER_UNIX_H
#define TESTS_GUESTS_UNIX_USER_UNIX_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvops/lib/format.h"
#include "pvops/lib/string.h"
#include "tests/guests/unix/abi.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline long unix_call(enum unix_call nr, unsigned long a, unsigned long b, unsigned long c)
{
	long rc;

	__asm__ volatile("syscall"
	                 : "=a"(rc)
	                 : "a"((long)nr), "D"(a), "S"(b), "d"(c)
	                 : "rcx", "r11", "memory");
	return rc;
}

static inline long unix_call4(enum unix_call nr, unsigned long a, unsigned long b, unsigned long c,
                              unsigned long d)
{
	register unsigned long fourth __asm__("r10") = d;
	long rc;

	__asm__ volatile("syscall"
	                 : "=a"(rc)
	                 : "a"((long)nr), "D"(a), "S"(b), "d"(c), "r"(fourth)
	                 : "rcx", "r11", "memory");
	return rc;
}

#define CALL(name, a, b, c) \
	unix_call(SYS_##name, (unsigned long)(a), (unsigned long)(b), (unsigned long)(c))

__attribute__((noreturn)) void exit(int status);

typedef void (*sighandler)(int sig, struct unix_sigframe *frame);

/* clang-format off */
/* One call, one line. */
static inline int fork(void) { return (int)CALL(fork, 0, 0, 0); }
static inline int exec(const char *path, char *const argv[]) { return (int)CALL(exec, path, argv, 0); }
static inline int waitpid(int pid, int *status, int flags) { return (int)CALL(wait, pid, status, flags); }
static inline int getpid(void) { return (int)CALL(getpid, 0, 0, 0); }
static inline int getppid(void) { return (int)CALL(getppid, 0, 0, 0); }
static inline int kill(int pid, int sig) { return (int)CALL(kill, pid, sig, 0); }
static inline long sigmask(uint32_t mask) { return CALL(sigmask, mask, 0, 0); }
static inline long alarm_ns(uint64_t ns) { return CALL(alarm, ns, 0, 0); }
static inline int pause(void) { return (int)CALL(pause, 0, 0, 0); }
static inline int sleep_ns(uint64_t ns) { return (int)CALL(sleep, ns, 0, 0); }
static inline void yield(void) { CALL(yield, 0, 0, 0); }
static inline uint64_t clock_ns(void) { return (uint64_t)CALL(clock, 0, 0, 0); }
static inline void *brk(void *end) { return (void *)CALL(brk, end, 0, 0); }
/* Addresses below 0 are error numbers. */
static inline long mmap(void *at, size_t len, int prot) { return CALL(mmap, at, len, prot); }
static inline int munmap(void *at, size_t len) { return (int)CALL(munmap, at, len, 0); }
static inline int mprotect(void *at, size_t len, int prot) { return (int)CALL(mprotect, at, len, prot); }
static inline int setfs(void *base) { return (int)CALL(setfs, base, 0, 0); }
static inline int open(const char *path, int flags) { return (int)CALL(open, path, flags, 0); }
static inline int close(int fd) { return (int)CALL(close, fd, 0, 0); }
static inline long read(int fd, void *buf, size_t len) { return CALL(read, fd, buf, len); }
static inline long write(int fd, const void *buf, size_t len) { return CALL(write, fd, buf, len); }
static inline long seek(int fd, uint64_t offset) { return CALL(seek, fd, offset, 0); }
static inline int dup2(int fd, int to) { return (int)CALL(dup2, fd, to, 0); }
static inline int pipe(int fd[2]) { return (int)CALL(pipe, fd, 0, 0); }
static inline int unlink(const char *path) { return (int)CALL(unlink, path, 0, 0); }
static inline int fsync(int fd) { return (int)CALL(fsync, fd, 0, 0); }
static inline int sync(void) { return (int)CALL(sync, 0, 0, 0); }
static inline int readdir(uint64_t i, struct unix_dirent *e) { return (int)CALL(readdir, i, e, 0); }
static inline int setpgid(int pid, int group) { return (int)CALL(setpgid, pid, group, 0); }
static inline int foreground(int group) { return (int)CALL(foreground, group, 0, 0); }
static inline int procinfo(uint64_t i, struct unix_procinfo *p) { return (int)CALL(procinfo, i, p, 0); }
static inline int sysinfo(struct unix_sysinfo *s) { return (int)CALL(sysinfo, s, 0, 0); }
static inline unsigned int getcpu(void) { return (unsigned int)CALL(getcpu, 0, 0, 0); }
static inline void poweroff(void) { CALL(poweroff, 0, 0, 0); }
static inline int socket(int type) { return (int)CALL(socket, type, 0, 0); }
static inline int bind(int fd, const struct unix_addr *a) { return (int)CALL(bind, fd, a, 0); }
static inline int connect(int fd, const struct unix_addr *a) { return (int)CALL(connect, fd, a, 0); }
static inline int listen(int fd) { return (int)CALL(listen, fd, 0, 0); }
static inline int accept(int fd, struct unix_addr *a) { return (int)CALL(accept, fd, a, 0); }
static inline int shutdown(int fd) { return (int)CALL(shutdown, fd, 0, 0); }
static inline int sockname(int fd, struct unix_addr *a) { return (int)CALL(sockname, fd, a, 0); }
static inline long ping(const struct unix_addr *a, size_t len, uint64_t ns) { return CALL(ping, a, len, ns); }
static inline int netinfo(struct unix_netinfo *n) { return (int)CALL(netinfo, n, 0, 0); }
static inline int netconfig(const struct unix_netaddr *a) { return (int)CALL(netconfig, a, 0, 0); }
/* clang-format on */

static inline long sendto(int fd, const void *buf, size_t len, const struct unix_addr *to)
{
	return unix_call4(SYS_sendto, (unsigned long)fd, (unsigned long)buf, len,
	                  (unsigned long)to);
}

static inline long recvfrom(int fd, void *buf, size_t len, struct unix_addr *from)
{
	return unix_call4(SYS_recvfrom, (unsigned long)fd, (unsigned long)buf, len,
	                  (unsigned long)from);
}

/* The handler before, SIG_DFL or SIG_IGN among them; or an error number. */
long sigaction(int sig, sighandler handler);

/* To descriptor 1, or the one given; what is longer than 511 characters is cut. */
__attribute__((format(printf, 1, 2))) int printf(const char *fmt, ...);
__attribute__((format(printf, 2, 3))) int dprintf(int fd, const char *fmt, ...);

/* A decimal number, or `otherwise` when the text is none. */
long number(const char *text, long otherwise);

/* Runs a program and waits for it: its status (UNIX_STATUS), or an error number. */
int run(char *const argv[]);

/* Becomes a program, by its path or its name in /bin; returns only when that cannot be: an error. */
int exec_named(char *const argv[]);

/* From one descriptor to another until the end of the first: 0, or an error number. */
int copy_all(int from, int to);
/* All of it, however little is taken at a time: 0, or an error number. */
int write_all(int fd, const void *buf, size_t len);

/* ---- what is in use, before and after (lib/count.c) ---- */

/* Looks at the system until the same is in use as before, 5 seconds at most. */
void count_settled(struct unix_sysinfo *now, const struct unix_sysinfo *before);
bool count_is_same(const struct unix_sysinfo *a, const struct unix_sysinfo *b);
/* "WHO: WHEN: ..." */
void count_say(const char *who, const char *when, const struct unix_sysinfo *s);

/* ---- addresses (lib/addr.c) ---- */

/* "A.B.C.D": behind it, or NULL when it is none. */
const char *parse_ip(const char *text, uint32_t *ip);
/* A port, the whole of the text; 0: it is none. */
uint16_t parse_port(const char *text);
/* Four numbers for printf's "%u.%u.%u.%u". */
#define IP_ARGS(ip) (ip) >> 24, (ip) >> 16 & 255, (ip) >> 8 & 255, (ip)&255
/* A stream that is connected, or listens; or an error number. */
int connect_to(uint32_t ip, uint16_t port);
int listen_at(uint16_t port);

/* "/bin/NAME" for a name without a "/". buf: at least UNIX_NAME_MAX. */
const char *program_path(const char *name, char *buf);

/* What a status says, as the shell counts: the code, or 128 and the signal. */
static inline int status_code(int status)
{
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

#endif /* TESTS_GUESTS_UNIX_USER_UNIX_H */
