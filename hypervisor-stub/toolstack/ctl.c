/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a machine; see ctl.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/ctl_device.h"
#include "hypervisor-stub/toolstack/ctl_path.h"
#include "hypervisor-stub/toolstack/ctl_peer.h"

#define MAX_NUMBER     1000 /* of machines with one name */
#define LINGER_MS      1000
#define LINGER_STEP_MS 10

/* A socket that visitors come by: the abstract one, and one at a path when that was asked for. */
struct door {
	struct ctl *ctl;
	int fd; /* -1: there is none */
	int handle;
};

struct ctl {
	struct machine *m; /* NULL: not attached */
	uid_t uid;
	struct door door[2];
	struct ctl_path path;
	int bell_fd, bell_handle;
	unsigned long ages;
	struct peer peer[CTL_PEERS];
};

struct machine *peer_machine(const struct peer *p)
{
	return p->ctl->m;
}

/* ---- messages out --------------------------------------------------------------------------- */

/* What the loop is to wait for. A peer that has answers to read is not heard before it reads. */
static void set_events(struct peer *p)
{
	short events = POLLRDHUP;

	if (p->out)
		events |= POLLOUT;
	else if (!p->typed_len)
		events |= POLLIN;
	loop_set(&p->ctl->m->loop, p->handle, events);
}

static void hear_doors(struct ctl *c, short events)
{
	for (unsigned i = 0; i < 2; i++)
		if (c->door[i].fd >= 0)
			loop_set(&c->m->loop, c->door[i].handle, events);
}

static void drop_queue(struct peer *p)
{
	while (p->out) {
		struct ctl_out *o = p->out;

		p->out = o->next;
		free(o);
	}
	p->out_tail = &p->out;
	p->out_bytes = 0;
}

static void hang_up(struct peer *p)
{
	if (p->fd < 0)
		return;
	ctl_do_stop(p);
	drop_queue(p);
	loop_remove(&p->ctl->m->loop, p->handle);
	close(p->fd);
	p->fd = -1;
	pthread_mutex_destroy(&p->paths.lock);
	/* There is a descriptor for the next visitor. */
	hear_doors(p->ctl, POLLIN);
}

/* One packet, now or not at all. 1: sent, 0: no room, -1: the peer is gone. */
static int send_now(struct peer *p, const void *bytes, size_t len)
{
	ssize_t n;

	do
		n = send(p->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
}

static void push_queue(struct peer *p)
{
	while (p->out) {
		struct ctl_out *o = p->out;
		int rc = send_now(p, o->bytes, o->len);

		if (rc < 0) {
			hang_up(p);
			return;
		}
		if (!rc)
			break;
		p->out = o->next;
		if (!p->out)
			p->out_tail = &p->out;
		p->out_bytes -= o->len;
		free(o);
	}
	if (!p->out && p->is_last)
		hang_up(p);
	else
		set_events(p);
}

void peer_send(struct peer *p, enum ctl_kind kind, const void *bytes, size_t len)
{
	struct ctl_out *o;

	if (p->fd < 0)
		return;
	HV_ASSERT(len < CTL_MAX_MESSAGE);
	o = p->out_bytes + len < CTL_MAX_QUEUE ? malloc(sizeof(*o) + len + 1) : NULL;
	if (!o) {
		hang_up(p);
		return;
	}
	o->next = NULL;
	o->len = len + 1;
	o->bytes[0] = (char)kind;
	if (len)
		memcpy(o->bytes + 1, bytes, len);
	*p->out_tail = o;
	p->out_tail = &o->next;
	p->out_bytes += o->len;
	push_queue(p);
}

void peer_done(struct peer *p)
{
	peer_send(p, CTL_DONE, NULL, 0);
}

void peer_fail(struct peer *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	peer_send(p, CTL_ERROR, text, strlen(text));
}

/* ---- messages in ---------------------------------------------------------------------------- */

static void on_request(struct peer *p, const char *text, size_t len)
{
	const char *word[CTL_MAX_WORDS];
	unsigned nr = ctl_split(text, len, word);

	p->has_asked = true;
	if (!nr || p->seat || p->host || p->timer_fd >= 0) {
		p->is_last = true;
		peer_fail(p, nr ? "the request before is not done yet" : "that is no request");
		return;
	}
	ctl_do(p, word, nr);
}

static void on_message(struct peer *p, const char *bytes, size_t len)
{
	if (len > CTL_MAX_MESSAGE || (bytes[0] != CTL_REQUEST && bytes[0] != CTL_INPUT)) {
		p->is_last = true;
		peer_fail(p, "that is no request");
		return;
	}
	if (bytes[0] == CTL_REQUEST) {
		on_request(p, bytes + 1, len - 1);
		return;
	}
	/* What is typed where there is no console, or no more, is lost. */
	if (!p->view)
		return;
	memcpy(p->typed, bytes + 1, len - 1);
	p->typed_len = len - 1;
	ctl_do_type(p);
}

static void on_peer(void *arg, short revents)
{
	struct peer *p = arg;
	char bytes[CTL_MAX_MESSAGE];
	ssize_t n;

	if (revents & POLLOUT) {
		push_queue(p);
		if (p->fd >= 0)
			ctl_do_more(p);
	} else if (revents & POLLIN) {
		n = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			hang_up(p);
		else
			on_message(p, bytes, (size_t)n);
	} else {
		hang_up(p);
	}
	if (p->fd >= 0)
		set_events(p);
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* A free place; when there is none, that of who came first and has not asked for anything. */
static struct peer *find_place(struct ctl *c)
{
	struct peer *silent = NULL;

	for (unsigned i = 0; i < CTL_PEERS; i++) {
		struct peer *p = &c->peer[i];

		if (p->fd < 0)
			return p;
		if (!p->has_asked && (!silent || p->age < silent->age))
			silent = p;
	}
	if (silent)
		hang_up(silent);
	return silent;
}

static void begin(struct ctl *c, struct peer *p, int fd)
{
	memset(p, 0, sizeof(*p));
	p->ctl = c;
	p->fd = fd;
	p->age = c->ages++;
	p->out_tail = &p->out;
	p->timer_fd = -1;
	pthread_mutex_init(&p->paths.lock, NULL);
	p->handle = loop_add(&c->m->loop, fd, POLLIN | POLLRDHUP, on_peer, p);
	HV_ASSERT(p->handle >= 0);
}

static void on_visitor(void *arg, short revents)
{
	struct door *door = arg;
	struct ctl *c = door->ctl;
	struct peer *p;
	int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (fd < 0) {
		/* Without a descriptor for him the visitor would ring for ever. */
		if (errno == EMFILE || errno == ENFILE)
			hear_doors(c, 0);
		return;
	}
	p = ctl_trusts(fd, c->uid) ? find_place(c) : NULL;
	if (p)
		begin(c, p, fd);
	else
		close(fd);
}

static void on_bell(void *arg, short revents)
{
	struct ctl *c = arg;
	eventfd_t n;

	(void)revents;
	/* The bell first, the news second: news that arrives in between rings again. */
	eventfd_read(c->bell_fd, &n);
	for (unsigned i = 0; i < CTL_PEERS; i++)
		if (c->peer[i].fd >= 0)
			ctl_do_more(&c->peer[i]);
}

void peer_ring(void *peer)
{
	struct peer *p = peer;

	eventfd_write(p->ctl->bell_fd, 1);
}

static void on_over(void *arg, struct seat *s)
{
	struct ctl *c = arg;

	for (unsigned i = 0; i < CTL_PEERS; i++)
		if (c->peer[i].fd >= 0)
			ctl_do_over(&c->peer[i], s);
}

static void on_left(void *arg, struct seat *s)
{
	struct ctl *c = arg;

	for (unsigned i = 0; i < CTL_PEERS; i++)
		if (c->peer[i].fd >= 0)
			ctl_device_left(&c->peer[i], s);
}

static void on_input_room(void *arg, struct seat *s)
{
	struct ctl *c = arg;

	for (unsigned i = 0; i < CTL_PEERS; i++) {
		struct peer *p = &c->peer[i];

		if (p->fd >= 0 && p->seat == s && p->typed_len) {
			ctl_do_type(p);
			set_events(p);
		}
	}
}

/* ---- the socket ----------------------------------------------------------------------------- */

static int take_name(int fd, uid_t uid, const char *name)
{
	struct sockaddr_un sun;
	socklen_t len = ctl_address(&sun, uid, name);

	return bind(fd, (struct sockaddr *)&sun, len) ? -errno : 0;
}

/* A free name: the plan's, or one with a number behind it when nobody chose it. */
static int choose_name(struct ctl *c, struct plan *plan, char *why, size_t why_len)
{
	char name[OPTIONS_NAME_MAX + 1];
	int rc = take_name(c->door[0].fd, c->uid, plan->machine);

	for (unsigned i = 2; rc == -EADDRINUSE && !plan->is_named && i < MAX_NUMBER; i++) {
		snprintf(name, sizeof(name), "%.*s-%u", OPTIONS_NAME_MAX - 5, plan->machine, i);
		rc = take_name(c->door[0].fd, c->uid, name);
		if (!rc)
			snprintf(plan->machine, sizeof(plan->machine), "%s", name);
	}
	if (rc == -EADDRINUSE)
		return hv_why(why, why_len, rc,
		              "a machine called %s runs already; give this one another name "
		              "(--machine) or end that one",
		              plan->machine);
	if (rc)
		return hv_why(why, why_len, rc, "the control socket cannot be named: %s",
		              strerror(-rc));
	return 0;
}

static int open_socket(struct ctl *c, struct plan *plan, char *why, size_t why_len)
{
	int rc;

	c->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->bell_fd < 0)
		goto none;
	c->door[0].fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->door[0].fd < 0)
		goto none;
	rc = choose_name(c, plan, why, why_len);
	if (rc)
		return rc;
	if (listen(c->door[0].fd, CTL_PEERS))
		goto none;
	if (!plan->o->control)
		return 0;
	rc = ctl_path_open(&c->path, plan->o->control, CTL_PEERS, why, why_len);
	c->door[1].fd = c->path.fd;
	return rc;
none:
	rc = -errno;
	return hv_why(why, why_len, rc, "no control socket can be made: %s; allow more (ulimit -n)",
	              strerror(-rc));
}

int ctl_open(struct ctl **out, struct plan *plan, char *why, size_t why_len)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return hv_why(why, why_len, -ENOMEM, "memory is short; free some");
	c->uid = geteuid();
	c->bell_fd = c->path.fd = -1;
	for (unsigned i = 0; i < 2; i++)
		c->door[i] = (struct door){ .ctl = c, .fd = -1 };
	for (unsigned i = 0; i < CTL_PEERS; i++)
		c->peer[i].fd = -1;
	rc = open_socket(c, plan, why, why_len);
	if (rc)
		ctl_close(c);
	else
		*out = c;
	return rc;
}

void ctl_close(struct ctl *c)
{
	if (c->door[0].fd >= 0)
		close(c->door[0].fd);
	ctl_path_close(&c->path);
	if (c->bell_fd >= 0)
		close(c->bell_fd);
	free(c);
}

void ctl_attach(struct ctl *c, struct machine *m)
{
	struct machine_listener l = { NULL, on_over, on_input_room, on_left, c };

	c->m = m;
	for (unsigned i = 0; i < 2; i++)
		if (c->door[i].fd >= 0)
			c->door[i].handle = loop_add(&m->loop, c->door[i].fd, POLLIN, on_visitor,
			                             &c->door[i]);
	c->bell_handle = loop_add(&m->loop, c->bell_fd, POLLIN, on_bell, c);
	machine_listen(m, &l);
}

static bool is_waiting(const struct peer *p)
{
	return p->fd >= 0 && p->out;
}

/* The last words of the domains: who reads them gets them, who does not is not waited for long. */
static void linger(struct ctl *c)
{
	for (unsigned round = 0; round < LINGER_MS / LINGER_STEP_MS; round++) {
		struct pollfd fd[CTL_PEERS];
		struct peer *who[CTL_PEERS];
		nfds_t nr = 0;

		for (unsigned i = 0; i < CTL_PEERS; i++) {
			if (!is_waiting(&c->peer[i]))
				continue;
			who[nr] = &c->peer[i];
			fd[nr++] = (struct pollfd){ .fd = c->peer[i].fd, .events = POLLOUT };
		}
		if (!nr)
			return;
		poll(fd, nr, LINGER_STEP_MS);
		for (nfds_t i = 0; i < nr; i++)
			if (fd[i].revents)
				on_peer(who[i], fd[i].revents);
	}
}

void ctl_detach(struct ctl *c)
{
	if (!c->m)
		return;
	linger(c);
	for (unsigned i = 0; i < CTL_PEERS; i++)
		hang_up(&c->peer[i]);
	for (unsigned i = 0; i < 2; i++)
		if (c->door[i].fd >= 0)
			loop_remove(&c->m->loop, c->door[i].handle);
	loop_remove(&c->m->loop, c->bell_handle);
	c->m = NULL;
}
