/* SPDX-License-Identifier: MIT */
/*
 * The verbs that ask a machine which runs; see verbs.h. One table says which there are and what they
 * take; a new one is a row and a function.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/client.h"
#include "hypervisor-stub/toolstack/ctl_path.h"
#include "hypervisor-stub/toolstack/status.h"
#include "hypervisor-stub/toolstack/terminal.h"
#include "hypervisor-stub/toolstack/verbs.h"

#define ANSWER_MS   10000 /* a machine that lives answers at once */
#define STORE_DEPTH 1600  /* more than the longest path has */
#define KEY_END     0x1d  /* Ctrl-], as for run */

/* One call of the command: the words behind the verb, and where to ask. */
struct call {
	const struct verb_row *row;
	const char *word[4];
	unsigned nr;
	const char *machine; /* NULL: not said */
	uid_t uid;           /* whose machines */
	bool force;
};

struct verb_row {
	const char *name, *takes, *help;
	unsigned min, max; /* words */
	int (*fn)(struct call *c);
};

static int fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("paravane: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static int written(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return fail(STATUS_OUTPUT_LOST, "output was lost: %s", strerror(errno));
}

/* ---- machines ------------------------------------------------------------------------------- */

/* Connects; a descriptor, or -1 and a sentence has been said. */
static int reach(const struct call *c, const char *machine)
{
	int fd = client_connect(c->uid, machine);

	if (fd >= 0)
		return fd;
	if (fd == -ENOENT)
		fail(0,
		     ctl_is_path(machine) ? "no machine listens at %s"
		                          : "no machine of yours is called '%s'; paravane list "
		                            "shows them",
		     machine);
	else if (fd == -EPERM)
		fail(0, "machine '%s' is somebody else's, who took that name; it is not asked",
		     machine);
	else
		fail(0, "machine '%s' cannot be reached: %s", machine, strerror(-fd));
	return -1;
}

/* What went wrong on the way, as a sentence. */
static int lost(const char *machine, int rc)
{
	if (rc == -ECONNRESET || rc == -EPIPE)
		return fail(STATUS_REFUSED, "machine '%s' has ended, or does not serve you",
		            machine);
	if (rc == -ETIMEDOUT)
		return fail(STATUS_REFUSED, "machine '%s' does not answer; is it stopped?",
		            machine);
	if (rc == -E2BIG)
		return fail(STATUS_USAGE, "that is longer than a request can be; shorten it");
	return fail(STATUS_REFUSED, "machine '%s' cannot be asked: %s", machine, strerror(-rc));
}

typedef void output_fn(void *arg, const char *bytes, size_t len);

/*
 * Asks and reads the whole answer. Returns CTL_DONE; CTL_ERROR with the machine's sentence in why
 * (CTL_MAX_MESSAGE bytes and one); or a negative errno.
 */
static int ask_machine(int fd, const char *const *word, unsigned nr, int limit_ms,
                       output_fn *output, void *arg, char *why)
{
	size_t len;
	int rc = client_ask(fd, word, nr);

	while (!rc) {
		rc = client_answer(fd, why, &len, limit_ms);
		if (rc != CTL_OUTPUT)
			break;
		if (output)
			output(arg, why, len);
		rc = 0;
	}
	return rc;
}

/* The same; returns the exit status, and a sentence has been said if that is not 0. */
static int ask(int fd, const char *machine, const char *const *word, unsigned nr, int limit_ms,
               output_fn *output, void *arg)
{
	char why[CTL_MAX_MESSAGE + 1];
	int rc = ask_machine(fd, word, nr, limit_ms, output, arg, why);

	if (rc == CTL_ERROR)
		return fail(STATUS_REFUSED, "%s", why);
	return rc == CTL_DONE ? 0 : lost(machine, rc);
}

/* ---- list ----------------------------------------------------------------------------------- */

/* One row of a machine's answer, taken to pieces. */
struct row {
	char name[OPTIONS_NAME_MAX + 1], state[8];
	unsigned domid, vcpus;
	uint64_t mib, tenths;
};

static bool read_row(struct row *r, const char *text)
{
	return sscanf(text, "%63[^\t]\t%u\t%" SCNu64 "\t%u\t%7[^\t]\t%" SCNu64, r->name, &r->domid,
	              &r->mib, &r->vcpus, r->state, &r->tenths) == 6;
}

static void print_row(void *machine, const char *text, size_t len)
{
	struct row r;

	(void)len;
	if (read_row(&r, text))
		printf("%-24s %4u %6" PRIu64 " %5u     %s %8" PRIu64 ".%" PRIu64 "  %s\n", r.name,
		       r.domid, r.mib, r.vcpus, r.state, r.tenths / 10, r.tenths % 10,
		       (const char *)machine);
}

static int list_one(struct call *c, const char *machine)
{
	static const char *const word[] = { "list" };
	int fd = reach(c, machine), status;

	if (fd < 0)
		return STATUS_USAGE;
	status = ask(fd, machine, word, 1, ANSWER_MS, print_row, (void *)machine);
	close(fd);
	return status;
}

/* The names of the user's machines. */
static int find_machines(const struct call *c, struct client_names *names)
{
	int rc;

	rc = client_find(names, c->uid);
	if (rc)
		return fail(STATUS_USAGE, "/proc/net/unix cannot be read: %s; say -m MACHINE",
		            strerror(-rc));
	return 0;
}

static int do_list(struct call *c)
{
	static struct client_names names;
	int worst = c->machine ? 0 : find_machines(c, &names);

	if (worst)
		return worst;
	printf("%-24s %4s %6s %5s     %-6s %10s  %s\n", "Name", "ID", "Mem", "VCPUs", "State",
	       "Time(s)", "Machine");
	if (c->machine)
		worst = list_one(c, c->machine);
	for (unsigned i = 0; i < names.nr; i++) {
		int status = list_one(c, names.name[i]);

		if (status > worst)
			worst = status;
	}
	return written(worst);
}

/* ---- one domain ----------------------------------------------------------------------------- */

struct search {
	const char *domain;
	bool found;
};

static void look_for(void *arg, const char *text, size_t len)
{
	struct search *s = arg;
	struct row r;
	char number[16];

	(void)len;
	if (!read_row(&r, text))
		return;
	snprintf(number, sizeof(number), "%u", r.domid);
	s->found |= !strcmp(r.name, s->domain) || !strcmp(number, s->domain);
}

static bool has_domain(struct call *c, const char *machine, const char *domain)
{
	static const char *const word[] = { "list" };
	struct search s = { domain, false };
	int fd = client_connect(c->uid, machine);

	/* One that ends just now, or is not ours, has not got it. */
	if (fd < 0)
		return false;
	ask(fd, machine, word, 1, ANSWER_MS, look_for, &s);
	close(fd);
	return s.found;
}

/* The machine that was said, or the only one (with that domain). NULL: a sentence has been said. */
static const char *choose_machine(struct call *c, const char *domain)
{
	static struct client_names names;
	const char *found = NULL;

	if (c->machine)
		return c->machine;
	if (find_machines(c, &names))
		return NULL;
	for (unsigned i = 0; i < names.nr; i++) {
		if (domain && !has_domain(c, names.name[i], domain))
			continue;
		if (found) {
			fail(0, "both machine %s and machine %s would fit; say which one: -m %s",
			     found, names.name[i], found);
			return NULL;
		}
		found = names.name[i];
	}
	if (!found && domain)
		fail(0, "no machine of yours has a domain '%s'; paravane list shows them", domain);
	else if (!found)
		fail(0, "no machine of yours runs; start one with paravane run");
	return found;
}

/* A verb whose answer is yes or no. */
static int order(struct call *c, int limit_ms)
{
	const char *machine = choose_machine(c, c->word[0]), *word[4] = { c->row->name };
	int fd = machine ? reach(c, machine) : -1, status;

	if (fd < 0)
		return STATUS_USAGE;
	for (unsigned i = 0; i < c->nr; i++)
		word[1 + i] = c->word[i];
	status = ask(fd, machine, word, 1 + c->nr, limit_ms, NULL, NULL);
	close(fd);
	return status;
}

static int do_order(struct call *c)
{
	return order(c, ANSWER_MS);
}

/* ---- console -------------------------------------------------------------------------------- */

static void on_end(int sig)
{
	terminal_leave();
	raise(sig);
}

/* The terminal gets its settings back also when we are ended from outside. */
static void restore_at_end(void)
{
	static const int ends[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_end, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &sa, NULL);
}

static bool put_all(const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Standard input to the console. False: Ctrl-]. The end of input ends input only. */
static bool type_on(int fd, bool is_tty, bool *over)
{
	char bytes[512];
	ssize_t n;

	bytes[0] = CTL_INPUT;
	n = read(STDIN_FILENO, bytes + 1, sizeof(bytes) - 1);
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		*over = true;
		return true;
	}
	if (is_tty && memchr(bytes + 1, KEY_END, (size_t)n))
		return false;
	/* When the machine has gone, the other direction says so. */
	if (send(fd, bytes, (size_t)n + 1, MSG_NOSIGNAL) < 0)
		*over = true;
	return true;
}

static int pass_on(int fd, const char *machine, bool is_tty)
{
	char bytes[CTL_MAX_MESSAGE + 1];
	bool over = false;

	for (;;) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			               { .fd = over ? -1 : STDIN_FILENO, .events = POLLIN } };
		size_t len;
		int kind;

		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail(STATUS_OURS, "nothing can be waited for: %s", strerror(errno));
		}
		if (p[1].revents && !type_on(fd, is_tty, &over))
			return 0;
		if (!p[0].revents)
			continue;
		kind = client_answer(fd, bytes, &len, -1);
		if (kind == CTL_DONE)
			return 0;
		if (kind == CTL_ERROR) {
			terminal_leave();
			return fail(STATUS_REFUSED, "%s", bytes);
		}
		if (kind != CTL_OUTPUT) {
			terminal_leave();
			return lost(machine, kind);
		}
		if (!put_all(bytes, len))
			return fail(STATUS_OUTPUT_LOST, "output was lost: %s", strerror(errno));
	}
}

static int do_console(struct call *c)
{
	const char *machine = choose_machine(c, c->word[0]);
	const char *word[] = { "console", c->word[0] };
	int fd = machine ? reach(c, machine) : -1, rc;

	if (fd < 0)
		return STATUS_USAGE;
	rc = client_ask(fd, word, 2);
	if (rc)
		return lost(machine, rc);
	restore_at_end();
	rc = pass_on(fd, machine, terminal_enter(STDIN_FILENO));
	terminal_leave();
	close(fd);
	return rc;
}

/* ---- xenstore ------------------------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t len;
	bool failed;
};

static void gather(void *arg, const char *bytes, size_t len)
{
	struct text *t = arg;
	char *more = realloc(t->bytes, t->len + len + 1);

	if (!more) {
		t->failed = true;
		return;
	}
	memcpy(more + t->len, bytes, len);
	t->bytes = more;
	t->len += len;
	more[t->len] = 0;
}

/* A value on a terminal or in a file: what is not printable as in C. */
static void print_value(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)bytes[i];

		if (b == '\\' || b == '"')
			printf("\\%c", b);
		else if (b >= ' ' && b <= '~')
			putchar(b);
		else if (b == '\n')
			fputs("\\n", stdout);
		else
			printf("\\x%02x", b);
	}
}

struct store {
	int fd;
	const char *machine;
	char path[CTL_MAX_MESSAGE]; /* where ls is */
};

static int store_get(struct store *s, const char *verb, const char *path, struct text *t)
{
	const char *word[] = { verb, path };
	int status;

	*t = (struct text){ NULL, 0, false };
	status = ask(s->fd, s->machine, word, 2, ANSWER_MS, gather, t);
	if (!status && t->failed)
		status = fail(STATUS_OURS, "memory is short; free some");
	return status;
}

/* The same for a node that was there just now: one that is gone has nothing to show. */
static int store_look(struct store *s, const char *verb, const char *path, struct text *t)
{
	const char *word[] = { verb, path };
	char why[CTL_MAX_MESSAGE + 1];
	int rc;

	*t = (struct text){ NULL, 0, false };
	rc = ask_machine(s->fd, word, 2, ANSWER_MS, gather, t, why);
	if (rc < 0)
		return lost(s->machine, rc);
	return t->failed ? fail(STATUS_OURS, "memory is short; free some") : 0;
}

static int list_names(struct store *s, const struct text *names, unsigned depth);

/* One child of s->path: its line, and all below it. */
static int list_child(struct store *s, const char *name, unsigned depth)
{
	struct text value, names = { NULL, 0, false };
	size_t len = strlen(s->path);
	int status;

	snprintf(s->path + len, sizeof(s->path) - len, "%s%s", strcmp(s->path, "/") ? "/" : "",
	         name);
	status = store_look(s, "store-read", s->path, &value);
	if (!status) {
		printf("%*s%s = \"", (int)depth, "", name);
		print_value(value.bytes ? value.bytes : "", value.len);
		puts("\"");
		status = store_look(s, "store-directory", s->path, &names);
	}
	free(value.bytes);
	if (!status)
		status = list_names(s, &names, depth + 1);
	free(names.bytes);
	s->path[len] = 0;
	return status;
}

static int list_names(struct store *s, const struct text *names, unsigned depth)
{
	int status = 0;

	if (depth > STORE_DEPTH)
		return fail(STATUS_REFUSED, "%.64s...: deeper than a path can be", s->path);
	for (size_t at = 0; !status && at < names->len; at += strlen(names->bytes + at) + 1)
		status = list_child(s, names->bytes + at, depth);
	return status;
}

static int xs_ls(struct store *s, struct call *c)
{
	struct text names;
	int status;

	snprintf(s->path, sizeof(s->path), "%s", c->nr > 1 ? c->word[1] : "/");
	status = store_get(s, "store-directory", s->path, &names);
	if (!status)
		status = list_names(s, &names, 0);
	free(names.bytes);
	return written(status);
}

static int xs_read(struct store *s, struct call *c)
{
	struct text value;
	int status = store_get(s, "store-read", c->word[1], &value);

	if (!status) {
		print_value(value.bytes ? value.bytes : "", value.len);
		putchar('\n');
		status = written(0);
	}
	free(value.bytes);
	return status;
}

static int xs_write(struct store *s, struct call *c)
{
	const char *word[] = { "store-write", c->word[1], c->word[2] };

	return ask(s->fd, s->machine, word, 3, ANSWER_MS, NULL, NULL);
}

static void print_paths(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	for (size_t at = 0; at < len; at += strlen(bytes + at) + 1)
		puts(bytes + at);
	/* Without its reader there is nothing left to do. */
	if (fflush(stdout))
		exit(STATUS_OUTPUT_LOST);
}

static int xs_watch(struct store *s, struct call *c)
{
	const char *word[] = { "store-watch", c->word[1] };

	return ask(s->fd, s->machine, word, 2, -1, print_paths, NULL);
}

static int do_xenstore(struct call *c)
{
	static const struct {
		const char *name;
		unsigned min, max; /* words, itself included */
		int (*fn)(struct store *s, struct call *c);
	} what[] = {
		{ "ls", 1, 2, xs_ls },
		{ "read", 2, 2, xs_read },
		{ "write", 3, 3, xs_write },
		{ "watch", 2, 2, xs_watch },
	};

	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		struct store s;
		int status;

		if (strcmp(c->word[0], what[i].name))
			continue;
		if (c->nr < what[i].min || c->nr > what[i].max)
			break;
		s.machine = choose_machine(c, NULL);
		s.fd = s.machine ? reach(c, s.machine) : -1;
		if (s.fd < 0)
			return STATUS_USAGE;
		status = what[i].fn(&s, c);
		close(s.fd);
		return status;
	}
	return fail(STATUS_USAGE, "xenstore: write paravane xenstore %s", c->row->takes);
}

/* ---- disks and network interfaces ------------------------------------------------------------ */

/* Asks the machine of the domain c->word[0]. */
static int ask_domain(struct call *c, const char *const *word, unsigned nr, output_fn *output,
                      const char **machine)
{
	int fd, status;

	*machine = choose_machine(c, c->word[0]);
	fd = *machine ? reach(c, *machine) : -1;
	if (fd < 0)
		return STATUS_USAGE;
	status = ask(fd, *machine, word, nr, ANSWER_MS, output, NULL);
	close(fd);
	return status;
}

static void print_line(void *arg, const char *text, size_t len)
{
	(void)arg;
	printf("%.*s\n", (int)len, text);
}

/* The name that the device has got is printed. */
static int do_attach(struct call *c)
{
	char folder[4096];
	const char *word[] = { c->row->name, c->word[0], c->word[1], folder }, *machine;
	int status;

	if (!getcwd(folder, sizeof(folder)))
		return fail(STATUS_USAGE, "this folder has no name: %s; go to another",
		            strerror(errno));
	status = ask_domain(c, word, 4, print_line, &machine);
	return status ? status : written(0);
}

static int do_detach(struct call *c)
{
	const char *word[] = { c->row->name, c->word[0], c->word[1], c->force ? "force" : "" };
	const char *machine;

	return ask_domain(c, word, 4, NULL, &machine);
}

static int do_block_resize(struct call *c)
{
	const char *word[] = { "block-resize", c->word[0], c->word[1],
		               c->nr > 2 ? c->word[2] : "" };
	const char *machine;

	return ask_domain(c, word, 4, NULL, &machine);
}

/* A row of the machine's answer: eight words with tabs between them, the last one the target. */
static void print_disk(void *arg, const char *text, size_t len)
{
	char name[24], state[24], mode[4], kind[16];
	unsigned vdev, sector;
	uint64_t bytes;
	int at = 0;

	(void)arg;
	(void)len;
	if (sscanf(text, "%23[^\t]\t%u\t%23[^\t]\t%3[^\t]\t%" SCNu64 "\t%u\t%15[^\t]\t%n", name,
	           &vdev, state, mode, &bytes, &sector, kind, &at) == 7 &&
	    at)
		printf("%-8s %9u  %-10s %-4s %10" PRIu64 " %6u  %-7s %s\n", name, vdev, state, mode,
		       bytes >> 10, sector, kind, text + at);
}

static int do_block_list(struct call *c)
{
	const char *word[] = { "block-list", c->word[0] }, *machine;
	int status;

	printf("%-8s %9s  %-10s %-4s %10s %6s  %-7s %s\n", "Vdev", "Number", "State", "Mode", "KiB",
	       "Sector", "Storage", "Target");
	status = ask_domain(c, word, 2, print_disk, &machine);
	return status ? status : written(0);
}

/* A row of the machine's answer: five words with tabs between them, the last one the target. */
static void print_vif(void *arg, const char *text, size_t len)
{
	char mac[24], state[24], kind[16];
	unsigned id;
	int at = 0;

	(void)arg;
	(void)len;
	if (sscanf(text, "%u\t%23[^\t]\t%23[^\t]\t%15[^\t]\t%n", &id, mac, state, kind, &at) == 4 &&
	    at)
		printf("%-6u %-17s  %-12s %-7s %s\n", id, mac, state, kind, text + at);
}

static int do_network_list(struct call *c)
{
	const char *word[] = { "network-list", c->word[0] }, *machine;
	int status;

	printf("%-6s %-17s  %-12s %-7s %s\n", "Number", "Address", "State", "Port", "Target");
	status = ask_domain(c, word, 2, print_vif, &machine);
	return status ? status : written(0);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct verb_row rows[] = {
	{ "list", "", "the domains of all your machines", 0, 0, do_list },
	{ "console", "DOMAIN", "its console on this terminal; Ctrl-] leaves it", 1, 1, do_console },
	{ "vcpu-set", "DOMAIN N", "ask it to use N of its vCPUs", 2, 2, do_order },
	{ "shutdown", "DOMAIN", "ask it to shut down", 1, 1, do_order },
	{ "destroy", "DOMAIN", "end it at once", 1, 1, do_order },
	{ "block-list", "DOMAIN", "its disks", 1, 1, do_block_list },
	{ "block-attach", "DOMAIN DISK", "give it another disk, as run --disk has it", 2, 2,
	  do_attach },
	{ "block-detach", "[--force] DOMAIN DISK", "take a disk away; by force: at once", 2, 2,
	  do_detach },
	{ "block-resize", "DOMAIN DISK [SIZE]", "a disk has, or shall have, another size", 2, 3,
	  do_block_resize },
	{ "block-restart", "DOMAIN DISK", "start a disk's back-end anew", 2, 2, do_order },
	{ "network-list", "DOMAIN", "its network interfaces", 1, 1, do_network_list },
	{ "network-attach", "DOMAIN PORT", "give it another, as run --vif has it", 2, 2,
	  do_attach },
	{ "network-detach", "[--force] DOMAIN NUMBER", "take one away; by force: at once", 2, 2,
	  do_detach },
	{ "network-restart", "DOMAIN NUMBER", "start an interface's back-end anew", 2, 2,
	  do_order },
	{ "xenstore", "ls [PATH] | read PATH | write PATH VALUE | watch PATH",
	  "look at a machine's store, or change it", 1, 3, do_xenstore },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct verb_row *find_row(const char *word)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strcmp(rows[i].name, word))
			return &rows[i];
	return NULL;
}

bool verbs_knows(const char *word)
{
	return find_row(word) != NULL;
}

void verbs_help(FILE *out)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", rows[i].name,
		         strchr(rows[i].takes, '|') ? "..." : rows[i].takes);
		fprintf(out, "  paravane %-22s %s\n", left, rows[i].help);
	}
}

static int print_help(const struct verb_row *row)
{
	printf("paravane %s [-m MACHINE]%s%s - %s\n\n"
	       "  -m, --machine NAME     ask that machine; needed when several would fit.\n"
	       "                         UID/NAME is one of another user's, for root\n"
	       "\n"
	       "A DOMAIN is a name or a number, as paravane list shows them. Exit status: 0 done,\n"
	       "1 the machine could not do it, 2 wrong words or no such machine.\n",
	       row->name, *row->takes ? " " : "", row->takes, row->help);
	return written(0);
}

/* -m NAME or -m UID/NAME. */
static int set_machine(struct call *c, const char *text)
{
	const char *slash = strchr(text, '/');
	struct stat st;
	char *end;

	if (ctl_is_path(text)) {
		c->machine = text;
		/* Root may ask any user's: that of whom the file is. */
		if (!c->uid && !stat(text, &st))
			c->uid = st.st_uid;
		return 0;
	}
	if (slash) {
		unsigned long uid = strtoul(text, &end, 10);

		if (text[0] < '0' || text[0] > '9' || end != slash || uid >= UINT32_MAX)
			return fail(STATUS_USAGE,
			            "-m: '%s' is no machine; write NAME, UID/NAME or a path", text);
		c->uid = (uid_t)uid;
	}
	c->machine = slash ? slash + 1 : text;
	if (!options_is_name(c->machine))
		return fail(STATUS_USAGE, "-m: '%s' is no machine's name", c->machine);
	return 0;
}

/* Returns 0; -1 when help was asked for; else the exit status. */
static int parse(struct call *c, int argc, char *const *argv)
{
	bool options_over = false;
	int rc = 0;

	for (int i = 2; i < argc && !rc; i++) {
		const char *word = argv[i];
		bool is_option = !options_over && word[0] == '-' && word[1];

		if (is_option && (!strcmp(word, "--help") || !strcmp(word, "-h")))
			return -1;
		if (is_option && !strcmp(word, "--")) {
			options_over = true;
		} else if (is_option && !strncmp(word, "--machine=", 10)) {
			rc = set_machine(c, word + 10);
		} else if (is_option && (!strcmp(word, "-m") || !strcmp(word, "--machine"))) {
			if (++i == argc)
				return fail(STATUS_USAGE, "%s needs a value: -m MACHINE", word);
			rc = set_machine(c, argv[i]);
		} else if (is_option && strstr(c->row->takes, "--force") &&
		           (!strcmp(word, "--force") || !strcmp(word, "-f"))) {
			c->force = true;
		} else if (is_option) {
			rc = fail(STATUS_USAGE, "%s: unknown option '%s'; see paravane %s --help",
			          c->row->name, word, c->row->name);
		} else if (c->nr == c->row->max) {
			rc = fail(STATUS_USAGE,
			          "%s: '%s' is one word too many; see paravane %s --help",
			          c->row->name, word, c->row->name);
		} else {
			c->word[c->nr++] = word;
		}
	}
	return rc;
}

int verbs_run(int argc, char *const *argv)
{
	struct call c = { .row = find_row(argv[1]), .uid = geteuid() };
	int rc = parse(&c, argc, argv);

	if (rc < 0)
		return print_help(c.row);
	if (rc)
		return rc;
	if (c.nr < c.row->min)
		return fail(STATUS_USAGE, "%s: write paravane %s [-m MACHINE] %s", c.row->name,
		            c.row->name, c.row->takes);
	return c.row->fn(&c);
}
