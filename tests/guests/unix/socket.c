/* SPDX-License-Identifier: MIT */
/*
 * Sockets. What a program gives or gets goes by way of a page of the kernel's, for the stack copies
 * under its lock and a program's memory may have to be brought in.
 *
 * Invariant: a socket's state and what belongs to it change under its lock, and from UNUSED on only; so
 * who has seen CONNECTED or LISTENING may use the connection without it, as long as the file is there.
 */
#include "tests/guests/unix/socket.h"

#include <stdbool.h>
#include <stddef.h>

#include "pvops/barrier.h"
#include "pvops/lib/string.h"
#include "tests/guests/unix/file.h"
#include "tests/guests/unix/mutex.h"
#include "tests/guests/unix/netif.h"
#include "tests/guests/unix/page.h"
#include "tests/guests/unix/proc.h"
#include "tests/guests/unix/signal.h"
#include "tests/guests/unix/usercopy.h"

#define CONNECT_NS 20000000000ull

enum state { UNUSED, LISTENING, CONNECTED };

struct socket {
	enum state state;
	bool is_stream;
	struct mutex lock;
	struct net *net;
	struct net_udp *udp;   /* NULL until it has a port */
	struct net_tcp *tcp;   /* unless UNUSED */
	uint16_t port;         /* a stream's that is to listen; 0: not bound */
	struct unix_addr peer; /* of datagrams: where they go to; port 0: nowhere */
};

/* ---- as files ---- */

static long sent_to_nobody(void)
{
	signal_send(current()->pid, SIGPIPE);
	return -EPIPE;
}

static long stream_read(struct socket *s, void *page, uint64_t to, uint64_t len)
{
	long n = net_tcp_read(s->tcp, page, len < PV_PAGE_SIZE ? len : PV_PAGE_SIZE, 0);

	if (n > 0 && copy_out(to, page, (size_t)n))
		return -EFAULT;
	return n == -EIO ? -ECONNRESET : n;
}

static long stream_write(struct socket *s, void *page, uint64_t from, uint64_t len)
{
	uint64_t done = 0;

	while (done < len) {
		uint64_t piece = len - done < PV_PAGE_SIZE ? len - done : PV_PAGE_SIZE;
		long n;

		if (copy_in(page, from + done, piece))
			return done ? (long)done : -EFAULT;
		n = net_tcp_write(s->tcp, page, piece, 0);
		if (n < 0 && done)
			break;
		if (n < 0)
			return n == -EIO ? sent_to_nobody() : n;
		done += (uint64_t)n;
		if ((uint64_t)n < piece)
			break;
	}
	return (long)done;
}

/* Any port, for one who has not asked for a certain one. */
static int open_udp(struct socket *s, uint16_t port)
{
	int rc = 0;

	mutex_lock(&s->lock);
	if (!s->udp)
		rc = net_udp_open(s->net, port, &s->udp);
	else if (port)
		rc = -EINVAL;
	mutex_unlock(&s->lock);
	return rc == -EEXIST ? -EADDRINUSE : rc;
}

static long datagram_read(struct socket *s, void *page, uint64_t to, uint64_t len,
                          struct unix_addr *from)
{
	int rc = open_udp(s, 0);
	long n;

	if (rc)
		return rc;
	n = net_udp_receive(s->udp, page, PV_PAGE_SIZE, &from->ip, &from->port, 0);
	if (n > 0 && (uint64_t)n > len)
		n = (long)len;
	if (n > 0 && copy_out(to, page, (size_t)n))
		return -EFAULT;
	return n;
}

static long datagram_write(struct socket *s, void *page, uint64_t from, uint64_t len,
                           const struct unix_addr *to)
{
	int rc = open_udp(s, 0);

	if (!to->port)
		return -EDESTADDRREQ;
	if (len > PV_PAGE_SIZE)
		return -EMSGSIZE;
	if (!rc)
		rc = copy_in(page, from, len);
	if (!rc)
		rc = net_udp_send(s->udp, to->ip, to->port, page, len);
	return rc ? rc : (long)len;
}

static long receive(struct socket *s, uint64_t to, uint64_t len, struct unix_addr *from)
{
	void *page;
	long rc;

	if (s->is_stream && pv_load_acquire(&s->state) != CONNECTED)
		return -ENOTCONN;
	page = page_alloc();
	if (!page)
		return -ENOMEM;
	if (s->is_stream) {
		net_tcp_peer(s->tcp, &from->ip, &from->port);
		rc = stream_read(s, page, to, len);
	} else {
		rc = datagram_read(s, page, to, len, from);
	}
	page_put(page);
	return rc;
}

static long send(struct socket *s, uint64_t from, uint64_t len, const struct unix_addr *to)
{
	void *page;
	long rc;

	if (s->is_stream && pv_load_acquire(&s->state) != CONNECTED)
		return -ENOTCONN;
	page = page_alloc();
	if (!page)
		return -ENOMEM;
	rc = s->is_stream ? stream_write(s, page, from, len)
	                  : datagram_write(s, page, from, len, to ? to : &s->peer);
	page_put(page);
	return rc;
}

static long socket_read(struct file *f, uint64_t to, uint64_t len)
{
	struct unix_addr from;

	return receive(f->data, to, len, &from);
}

static long socket_write(struct file *f, uint64_t from, uint64_t len)
{
	return send(f->data, from, len, NULL);
}

static void socket_close(struct file *f)
{
	struct socket *s = f->data;

	if (s->udp)
		net_udp_close(s->udp);
	if (s->tcp)
		net_tcp_close(s->tcp);
	page_put(s);
}

static const struct file_ops socket_ops = { socket_read, socket_write, socket_close };

/* A descriptor for a socket, or -E*; tcp: it has a connection already, which is closed on failure. */
static int install(struct net *net, bool is_stream, struct net_tcp *tcp)
{
	struct socket *s = page_alloc_zeroed();
	struct file *f = s ? file_new(&socket_ops, O_RDWR, s) : NULL;
	int fd;

	if (!f) {
		if (s)
			page_put(s);
		if (tcp)
			net_tcp_close(tcp);
		return s ? -ENFILE : -ENOMEM;
	}
	s->net = net;
	s->is_stream = is_stream;
	s->tcp = tcp;
	s->state = tcp ? CONNECTED : UNUSED;
	fd = file_install(f);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* ---- calls ---- */

long net_call_socket(struct pv_frame *f)
{
	struct net *net;

	if (f->rdi != SOCK_STREAM && f->rdi != SOCK_DGRAM)
		return -EINVAL;
	net = netif_stack();
	return net ? install(net, f->rdi == SOCK_STREAM, NULL) : -ENOMEM;
}

/* Runs fn for the socket that a descriptor names. */
static long with_socket(struct pv_frame *f, long (*fn)(struct socket *s, struct pv_frame *f))
{
	struct file *file = file_use((unsigned int)f->rdi);
	long rc;

	if (!file)
		return -EBADF;
	rc = file->ops == &socket_ops ? fn(file->data, f) : -ENOTSOCK;
	file_put(file);
	return rc;
}

static long bind_stream(struct socket *s, uint16_t port)
{
	long rc = -EINVAL;

	mutex_lock(&s->lock);
	if (s->state == UNUSED && !s->port && port) {
		s->port = port;
		rc = 0;
	}
	mutex_unlock(&s->lock);
	return rc;
}

/* The address is not asked for: there is one interface. */
static long do_bind(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a;

	if (copy_in(&a, f->rsi, sizeof(a)))
		return -EFAULT;
	return s->is_stream ? bind_stream(s, a.port) : open_udp(s, a.port);
}

static long connect_stream(struct socket *s, const struct unix_addr *a)
{
	long rc = -EISCONN;

	mutex_lock(&s->lock);
	if (s->state == UNUSED && s->port)
		rc = -EOPNOTSUPP; /* a connection's own port is any that is free */
	else if (s->state == UNUSED)
		rc = net_tcp_connect(s->net, a->ip, a->port, CONNECT_NS, &s->tcp);
	if (!rc)
		pv_store_release(&s->state, CONNECTED);
	mutex_unlock(&s->lock);
	return rc;
}

static long do_connect(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a;

	if (copy_in(&a, f->rsi, sizeof(a)))
		return -EFAULT;
	if (!a.port)
		return -EINVAL;
	if (s->is_stream)
		return connect_stream(s, &a);
	s->peer = a;
	return open_udp(s, 0);
}

static long do_listen(struct socket *s, struct pv_frame *f)
{
	long rc = -EINVAL;

	(void)f;
	if (!s->is_stream)
		return -EOPNOTSUPP;
	mutex_lock(&s->lock);
	if (s->state == UNUSED && s->port)
		rc = net_tcp_listen(s->net, s->port, &s->tcp);
	if (!rc)
		pv_store_release(&s->state, LISTENING);
	mutex_unlock(&s->lock);
	return rc == -EEXIST ? -EADDRINUSE : rc;
}

static long do_accept(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a = { 0 };
	struct net_tcp *t;
	int rc, fd;

	if (pv_load_acquire(&s->state) != LISTENING)
		return -EINVAL;
	do {
		rc = net_tcp_accept(s->tcp, 0, &t);
	} while (rc == -EAGAIN);
	if (rc)
		return rc;
	net_tcp_peer(t, &a.ip, &a.port);
	fd = install(s->net, true, t);
	if (fd >= 0 && f->rsi && copy_out(f->rsi, &a, sizeof(a))) {
		file_close((unsigned int)fd);
		return -EFAULT;
	}
	return fd;
}

static long do_sendto(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a;

	if (!users_range(f->rsi, f->rdx) || (f->r10 && copy_in(&a, f->r10, sizeof(a))))
		return -EFAULT;
	return send(s, f->rsi, f->rdx, f->r10 ? &a : NULL);
}

static long do_recvfrom(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a = { 0 };
	long n;

	if (!users_range(f->rsi, f->rdx))
		return -EFAULT;
	n = receive(s, f->rsi, f->rdx, &a);
	return n >= 0 && f->r10 && copy_out(f->r10, &a, sizeof(a)) ? -EFAULT : n;
}

static long do_shutdown(struct socket *s, struct pv_frame *f)
{
	(void)f;
	if (!s->is_stream || pv_load_acquire(&s->state) != CONNECTED)
		return -ENOTCONN;
	net_tcp_shutdown(s->tcp);
	return 0;
}

static long do_sockname(struct socket *s, struct pv_frame *f)
{
	struct unix_addr a = { 0 };
	struct net_config c;

	net_get_config(s->net, &c);
	a.ip = c.ip;
	mutex_lock(&s->lock);
	a.port = s->tcp ? net_tcp_port(s->tcp) : s->udp ? net_udp_port(s->udp) : s->port;
	mutex_unlock(&s->lock);
	return copy_out(f->rsi, &a, sizeof(a));
}

#define SOCKET_CALL(name)                         \
	long net_call_##name(struct pv_frame *f)  \
	{                                         \
		return with_socket(f, do_##name); \
	}
SOCKET_CALL(bind)
SOCKET_CALL(connect)
SOCKET_CALL(listen)
SOCKET_CALL(accept)
SOCKET_CALL(sendto)
SOCKET_CALL(recvfrom)
SOCKET_CALL(shutdown)
SOCKET_CALL(sockname)

long net_call_ping(struct pv_frame *f)
{
	struct unix_addr a;

	if (copy_in(&a, f->rdi, sizeof(a)))
		return -EFAULT;
	if (f->rsi > UINT32_MAX || f->rdx > INT64_MAX)
		return -EINVAL;
	return netif_ping(a.ip, (unsigned int)f->rsi, f->rdx);
}

long net_call_netinfo(struct pv_frame *f)
{
	struct unix_netinfo info;
	int rc = netif_info(&info);

	return rc ? rc : copy_out(f->rdi, &info, sizeof(info));
}

long net_call_netconfig(struct pv_frame *f)
{
	struct unix_netaddr a;

	return copy_in(&a, f->rdi, sizeof(a)) ? -EFAULT : netif_config(&a);
}
