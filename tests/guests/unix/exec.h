/* SPDX-License-Identifier: MIT */
/*
 * Running programs: static ELF files.
 */
#ifndef TESTS_GUESTS_UNIX_EXEC_H
#define TESTS_GUESTS_UNIX_EXEC_H

#include <stdint.h>

/* All of a program's arguments, one string behind the other, as they will lie on its stack. */
#define EXEC_ARGS_SIZE 3072
#define EXEC_ARGS_MAX  64

struct exec_args {
	unsigned int count;
	unsigned int len; /* bytes of text in use */
	uint16_t at[EXEC_ARGS_MAX];
	char text[EXEC_ARGS_SIZE];
};

/* Adds a string; 0 or -E2BIG. */
int exec_add_arg(struct exec_args *args, const char *text);

/*
 * exec_run - the current process becomes another program
 *
 * Returns 0: the process's frame begins the program. -E*: nothing has changed. EXEC_HALF_WAY: the old
 * program is gone and there is no memory for the new one, so that only proc_exit() is left.
 */
#define EXEC_HALF_WAY 1
int exec_run(const char *path, const struct exec_args *args);

#endif /* TESTS_GUESTS_UNIX_EXEC_H */
