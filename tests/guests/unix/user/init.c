/* SPDX-License-Identifier: MIT */
/*
 * The first program. With arguments: runs them as a program, says how it ended, and switches off.
 * Without: a shell, and when that ends the machine does too. Buries whatever is left to it.
 */
#include "tests/guests/unix/user/lib/unix.h"

static char *shell[] = { "sh", NULL };

/* Its own group, which the console's ^C goes to. */
static int start(char **argv)
{
	char path[UNIX_NAME_MAX];
	int pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		foreground(getpid());
		exec(program_path(argv[0], path), argv);
		dprintf(2, "init: %s cannot be run\n", argv[0]);
		exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	char **program = argc > 1 ? argv + 1 : shell;
	int status = 0, pid = start(program), gone;

	do {
		gone = waitpid(-1, &status, 0);
	} while (gone != pid && gone != -ECHILD);
	printf("unix: %s exited %d\n", program[0], status_code(status));
	poweroff();
	return 1;
}
