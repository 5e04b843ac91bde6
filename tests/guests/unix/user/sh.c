/* SPDX-License-Identifier: MIT */
/*
 * The shell. A line is a list of pipelines, each ended by ";", "&" (do not wait) or the end of the
 * line; a pipeline is programs joined by "|"; a program has arguments and < > >> with a file each.
 * Words are separated by blanks; '...' and "..." make one word of what is between.
 *
 * Its own commands: exit [CODE], wait, help. $? is the last program's code. ^C ends the programs in
 * the foreground, or drops the line that is being typed.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define WORDS_MAX 64
#define LINE_MAX  512

/* One program of a pipeline. */
struct command {
	char *argv[WORDS_MAX];
	int argc;
	char *in, *out;
	int out_flags;
};

static int last_code;

static const char help[] =
	"PROGRAM [ARGUMENT]...     run /bin/PROGRAM; \"ls bin\" shows them\n"
	"PROGRAM | PROGRAM ...     the output of one is the input of the next\n"
	"... < FILE > FILE         input from a file, output to a file; >> at its end\n"
	"... &                     do not wait; \"wait\" waits for all of them\n"
	"... ; ...                 one after the other\n"
	"'...' \"...\"               one word, whatever is in it; $? is the last code\n"
	"exit [CODE]               ends the machine\n"
	"^C ends what runs, ^D is the end of input, ^U drops the line\n";

/* ---- words ---- */

enum token { END, WORD, PIPE, SEMICOLON, AMPERSAND, LESS, GREATER, APPEND };

static const char special[] = "|;&<>";

/* Blanks around what is special and not in quotes, so that every word has one behind it. */
static void space_out(const char *line, char *to, size_t size)
{
	char quote = 0, *end = to + size - 4;

	for (; *line && to < end; line++) {
		if (quote ? *line == quote : *line == '\'' || *line == '"')
			quote = quote ? 0 : *line;
		if (quote || !strchr(special, *line)) {
			*to++ = *line;
			continue;
		}
		*to++ = ' ';
		*to++ = *line;
		if (line[0] == '>' && line[1] == '>')
			*to++ = *line++;
		*to++ = ' ';
	}
	*to = 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next token; *at moves on. A word loses its quotes, and a 0 overwrites the blank behind it. */
static enum token next_token(char **at, char **word)
{
	static const enum token tokens[] = { PIPE, SEMICOLON, AMPERSAND, LESS, GREATER };
	char *p = *at, *to, quote = 0;

	while (is_blank(*p))
		p++;
	if (!*p)
		return END;
	if (strchr(special, *p)) {
		bool twice = p[0] == '>' && p[1] == '>';

		*at = p + 1 + twice;
		return twice ? APPEND : tokens[strchr(special, *p) - special];
	}
	for (*word = to = p; *p && (quote || !is_blank(*p)); p++) {
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? 0 : *p;
		else
			*to++ = *p;
	}
	*at = *p ? p + 1 : p;
	*to = 0;
	return WORD;
}

static char *value_of(char *word)
{
	static char code[8];

	if (strcmp(word, "$?"))
		return word;
	pv_snprintf(code, sizeof(code), "%d", last_code);
	return code;
}

/* Reads one program; *end is what comes behind it. 0, or -EINVAL with a message. */
static int parse_command(char **at, struct command *c, enum token *end)
{
	enum token t;
	char *word;

	memset(c, 0, sizeof(*c));
	while ((t = next_token(at, &word)) == WORD || t >= LESS) {
		if (t == WORD) {
			if (c->argc == WORDS_MAX - 1)
				return -EINVAL;
			c->argv[c->argc++] = value_of(word);
			continue;
		}
		if (next_token(at, &word) != WORD) {
			dprintf(2, "sh: a file name is missing\n");
			return -EINVAL;
		}
		if (t == LESS) {
			c->in = word;
		} else {
			c->out = word;
			c->out_flags = O_WRONLY | O_CREAT | (t == APPEND ? O_APPEND : O_TRUNC);
		}
	}
	*end = t;
	return 0;
}

/* ---- running ---- */

static void move_fd(int fd, int to)
{
	if (fd < 0 || fd == to)
		return;
	dup2(fd, to);
	close(fd);
}

static int open_or_say(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0) {
		dprintf(2, "sh: %s: error %d\n", path, -fd);
		exit(1);
	}
	return fd;
}

/* The child: its place in the pipeline, then the program. */
static void become(struct command *c, int in, int out, int group)
{
	char path[UNIX_NAME_MAX];
	int rc;

	setpgid(0, group);
	sigaction(SIGINT, (sighandler)SIG_DFL);
	move_fd(in, 0);
	move_fd(out, 1);
	if (c->in)
		move_fd(open_or_say(c->in, O_RDONLY), 0);
	if (c->out)
		move_fd(open_or_say(c->out, c->out_flags), 1);
	rc = exec(program_path(c->argv[0], path), c->argv);
	dprintf(2, "sh: %s: %s\n", c->argv[0], rc == -ENOENT ? "no such program" : "cannot be run");
	exit(127);
}

static void wait_for_group(int last_pid, int count)
{
	int status, pid;

	while (count > 0) {
		pid = waitpid(-1, &status, 0);
		if (pid == -EINTR)
			continue;
		if (pid < 0)
			break;
		count--;
		if (pid == last_pid)
			last_code = status_code(status);
	}
}

/* A command of the shell's own: true when it was one. */
static bool run_own(const struct command *c)
{
	int status;

	if (!c->argc)
		return true;
	if (!strcmp(c->argv[0], "exit"))
		exit((int)number(c->argc > 1 ? c->argv[1] : NULL, last_code));
	if (!strcmp(c->argv[0], "wait")) {
		while (waitpid(-1, &status, 0) > 0)
			;
		return true;
	}
	if (!strcmp(c->argv[0], "help")) {
		write(1, help, sizeof(help) - 1);
		return true;
	}
	return false;
}

/* One pipeline. False: the rest of the line makes no sense. */
static bool run_pipeline(char **at, enum token *end)
{
	static struct command c;
	int in = -1, group = 0, pid = 0, count = 0, fd[2];

	do {
		if (parse_command(at, &c, end))
			return false;
		if (*end != PIPE && in < 0 && run_own(&c))
			return true;
		if (!c.argc) {
			dprintf(2, "sh: a program is missing\n");
			return false;
		}
		fd[0] = fd[1] = -1;
		if (*end == PIPE && pipe(fd) < 0)
			return false;
		pid = fork();
		if (pid == 0) {
			close(fd[0]);
			become(&c, in, fd[1], group);
		}
		if (in >= 0)
			close(in);
		if (fd[1] >= 0)
			close(fd[1]);
		in = fd[0];
		if (pid < 0) {
			dprintf(2, "sh: no process: error %d\n", -pid);
			break;
		}
		group = group ? group : pid;
		setpgid(pid, group);
		count++;
	} while (*end == PIPE);
	if (*end == AMPERSAND) {
		printf("[%d]\n", pid);
		return true;
	}
	foreground(group);
	wait_for_group(pid, count);
	foreground(getpid());
	return true;
}

static void run_line(const char *line)
{
	static char spaced[2 * LINE_MAX];
	enum token end = SEMICOLON;
	char *at = spaced;

	space_out(line, spaced, sizeof(spaced));
	while (end != END)
		if (!run_pipeline(&at, &end))
			break;
}

/* ---- lines ---- */

/* Without its newline; empty after ^C. False at the end of the input. */
static bool read_line(char *line, size_t size)
{
	static char buf[256];
	static long have, used;
	size_t n = 0;

	for (;;) {
		if (used == have) {
			have = read(0, buf, sizeof(buf));
			used = 0;
			if (have == -EINTR) {
				have = 0;
				line[0] = 0;
				return true;
			}
			if (have <= 0) {
				have = 0;
				line[n] = 0;
				return n;
			}
		}
		if (buf[used] == '\n') {
			used++;
			line[n] = 0;
			return true;
		}
		if (n < size - 1)
			line[n++] = buf[used];
		used++;
	}
}

/* That it happened is all: read() has come back for it. */
static void on_interrupt(int sig, struct unix_sigframe *frame)
{
	(void)sig;
	(void)frame;
}

int main(void)
{
	static char line[LINE_MAX];

	sigaction(SIGINT, on_interrupt);
	setpgid(0, 0);
	foreground(getpid());
	for (;;) {
		int status;

		while (waitpid(-1, &status, WNOHANG) > 0)
			;
		printf("$ ");
		if (!read_line(line, sizeof(line)))
			return last_code;
		if (line[0] != '#')
			run_line(line);
	}
}
