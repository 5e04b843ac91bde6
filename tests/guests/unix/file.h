/* SPDX-License-Identifier: MIT */
/*
 * Open files and the descriptors that name them.
 */
#ifndef TESTS_GUESTS_UNIX_FILE_H
#define TESTS_GUESTS_UNIX_FILE_H

#include <stdint.h>

struct file;
struct node;
struct proc;

/* What a kind of open file can do; addresses are the current program's. Bytes done, or -E*. */
struct file_ops {
	long (*read)(struct file *f, uint64_t to, uint64_t len);
	long (*write)(struct file *f, uint64_t from, uint64_t len);
	void (*close)(struct file *f); /* the last descriptor is gone */
};

struct file {
	const struct file_ops *ops;
	uint32_t users; /* descriptors; atomic; 0: the entry is not in use */
	int flags;      /* O_* */
	uint64_t offset;
	void *data; /* the kind's own */
};

/* An entry with one user, which is not in a table of descriptors yet; or NULL. */
struct file *file_new(const struct file_ops *ops, int flags, void *data);

/* Gives it a descriptor: the number, or -EMFILE. */
int file_install(struct file *f);
void file_put(struct file *f);

/* What a descriptor names, with one user more: file_put() ends that. NULL: nothing. */
struct file *file_use(unsigned int fd);

/* The calls of the same names, for the current process. */
int file_open(const char *path, int flags);
int file_close(unsigned int fd);
long file_read(unsigned int fd, uint64_t to, uint64_t len);
long file_write(unsigned int fd, uint64_t from, uint64_t len);
long file_seek(unsigned int fd, uint64_t offset);
int file_sync(unsigned int fd);
int file_dup2(unsigned int fd, int to);

/* fork(): the child has the parent's descriptors. */
void file_share_all(struct proc *child, const struct proc *parent);

/* Open files in the whole system. */
unsigned int file_count(void);

/* pipe.c: two descriptors; 0 or -E*. */
int pipe_open(int fd[2]);

/* tty.c: what the name "console" opens. */
extern const struct file_ops tty_ops;

#endif /* TESTS_GUESTS_UNIX_FILE_H */
