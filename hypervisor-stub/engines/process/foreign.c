/* SPDX-License-Identifier: MIT */
/*
 * Frames of other domains in a guest process: what a grant lets it map.
 *
 * A guest process holds its own domain's memory only, and that must not change: a descriptor of
 * another's whole memory in there would leave nothing between the guest and all of it but the
 * mapper's obedience. So each single mapping of a foreign frame is a transaction with us:
 *
 *   1. We order it. The mapper calls mmap with the number of a descriptor that does not exist.
 *   2. A filter that all processes of the domain have from the nursery (filter.c) stops that call and
 *      tells us, with the thread and all arguments.
 *   3. They are exactly what we ordered: we put the owner's memory at that number, and the call goes
 *      on. They are not: the call is refused and the process ended.
 *   4. The mapper closes the descriptor, the only other thing that its filter lets it do with it.
 *
 * Arguments of mmap are registers, so they cannot change between 2 and 3; the thread that runs guest
 * code may not make any such call, with or without a descriptor. No descriptor outlives its mapping's
 * transaction, so there is nothing to take away when a grant ends: the mapping is, like any other, by
 * a removal that the mapper confirms (mappings.c).
 *
 * Invariant: with pd->lock held and no transaction under way, no guest process of the domain has a
 * descriptor of foreign memory that it could map without being asked about.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hypervisor-stub/engines/process/process.h"

#define APPROVE_WITHIN_NS 5000000000u /* so often a mapper that is silent is looked at */
#define OFFER_WITHIN_MS   2000

/* ---- the listener: made by the nursery before it empties itself, and handed to us ---------------- */

union fd_message {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

void pe_foreign_offer(int sock)
{
	struct sock_filter insn[PE_FOREIGN_INSNS];
	struct sock_fprog prog = { .filter = insn };
	union fd_message control;
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long fd = -1;

	prog.len = (unsigned short)pe_filter_foreign(insn);
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		             SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		             &prog);
	if (fd >= 0) {
		int passed = (int)fd;
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof(passed));
	}
	/* Not libc's function: other threads of ours it may want to know about do not exist here. */
	syscall(SYS_sendmsg, sock, &msg, MSG_NOSIGNAL);
}

/* Whether this kernel can put a descriptor into a process that waits (5.9). */
static bool can_add(int listener)
{
	struct seccomp_notif_addfd add = { .id = 0, .srcfd = (uint32_t)listener };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) && errno == ENOENT;
}

int pe_foreign_receive(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	union fd_message control;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
		              .msg_iovlen = 1,
		              .msg_control = control.bytes,
		              .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	int fd = -1;

	if (poll(&pfd, 1, OFFER_WITHIN_MS) <= 0 || recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (fd >= 0 && !can_add(fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- whose frames may come ------------------------------------------------------------------------ */

int pe_foreign_begin(struct hv_domain *d, struct hv_domain *owner)
{
	struct pe_domain *pd = pe_of(d);
	struct pe_foreign *f = &pd->foreign[owner->domid % HV_MAX_DOMAINS];
	int rc = 0;

	HV_ASSERT(owner != d);
	pthread_mutex_lock(&pd->lock);
	while (!pd->nursery_is_up)
		pthread_cond_wait(&pd->ready_cond, &pd->lock);
	if (pd->listener < 0) {
		rc = -EOPNOTSUPP;
	} else {
		HV_ASSERT(!f->count || f->owner == owner);
		f->owner = owner;
		f->count++;
	}
	pthread_mutex_unlock(&pd->lock);
	return rc;
}

void pe_foreign_end(struct hv_domain *d, struct hv_domain *owner)
{
	struct pe_domain *pd = pe_of(d);
	struct pe_foreign *f = &pd->foreign[owner->domid % HV_MAX_DOMAINS];

	pthread_mutex_lock(&pd->lock);
	HV_ASSERT(f->count && f->owner == owner);
	f->count--;
	pthread_mutex_unlock(&pd->lock);
}

const struct hv_domain *pe_foreign_owner(const struct pe_domain *pd, mfn_t mfn)
{
	for (unsigned i = 0; i < HV_MAX_DOMAINS; i++) {
		const struct pe_foreign *f = &pd->foreign[i];

		if (f->count && mfn.n - f->owner->mem.first.n < f->owner->mem.nr_frames)
			return f->owner;
	}
	return NULL;
}

/* ---- one mapping ----------------------------------------------------------------------------------- */

static bool is_the_order(const struct seccomp_notif *n, const struct pe_proc *p,
                         const struct pe_foreign_map *m)
{
	const struct seccomp_data *d = &n->data;

	return n->pid == (uint32_t)p->mapper_tid && d->nr == SYS_mmap && d->args[0] == m->addr &&
	       d->args[1] == m->len && d->args[2] == m->prot &&
	       d->args[3] == (MAP_SHARED | MAP_FIXED) && d->args[4] == PE_FD_FOREIGN &&
	       d->args[5] == m->offset;
}

static bool put_descriptor(int listener, uint64_t id, int fd)
{
	struct seccomp_notif_addfd add = { .id = id,
		                           .flags = SECCOMP_ADDFD_FLAG_SETFD,
		                           .srcfd = (uint32_t)fd,
		                           .newfd = PE_FD_FOREIGN };

	for (;;) {
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
			return true;
		if (errno != EINTR)
			return false;
	}
}

static void answer(int listener, uint64_t id, bool go_on)
{
	struct seccomp_notif_resp r = { .id = id };

	if (go_on)
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		r.error = -EPERM;
	/* It fails when the thread has been killed meanwhile. */
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r) && errno == EINTR)
		continue;
}

/* Somebody asks. False: not (yet) what we wait for. */
static bool serve(struct pe_proc *p, const struct pe_foreign_map *m)
{
	struct pe_domain *pd = p->pd;
	struct seccomp_notif n;

	memset(&n, 0, sizeof(n));
	/* ENOENT: who asked has died. */
	if (ioctl(pd->listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return false;
	if (is_the_order(&n, p, m) && put_descriptor(pd->listener, n.id, m->memfd)) {
		answer(pd->listener, n.id, true);
		return true;
	}
	/* Nobody asks for what was not ordered, except who runs what is not our code. */
	hv_log(pd->d, "guest process thread %u asked for memory that it was not given: ended",
	       n.pid);
	answer(pd->listener, n.id, false);
	for (struct pe_proc *other = pd->procs; other; other = other->next) {
		if ((uint32_t)other->mapper_tid == n.pid || (uint32_t)other->pid == n.pid)
			pe_proc_kill(other);
	}
	return false;
}

void pe_foreign_map(struct pe_proc *p, const struct pe_foreign_map *m)
{
	struct pollfd pfd = { .fd = p->pd->listener, .events = POLLIN };
	uint64_t end = pe_now() + APPROVE_WITHIN_NS;

	pe_order_foreign(p, m->addr, m->len, m->offset, m->prot);
	pe_order_publish(p, 0);
	while (!p->dead) {
		if (poll(&pfd, 1, 20) > 0) {
			if (serve(p, m))
				return;
			continue;
		}
		if (pe_now() >= end) {
			end = pe_now() + APPROVE_WITHIN_NS;
			if (pe_order_is_to_blame(p))
				pe_proc_kill(p);
		}
		if (pe_has_ended(p->pid))
			p->dead = true;
	}
}
