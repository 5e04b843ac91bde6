/* SPDX-License-Identifier: MIT */
/*
 * Event channels, 2-level ABI: bindings of ports, and the delivery of an event.
 *
 * Invariant: a binding is read and changed under machine->evtchn_lock only. The bits that the guest
 * sees are set by atomic operations in this order: pending bit, selector bit, upcall byte; each
 * only when the one before it was newly set, so that a port that is pending already costs nothing.
 *
 * Where a wake-up could be lost:
 *   1. a vCPU about to sleep sets `blocked` and then looks at its pending bits;
 *   2. a sender sets pending bits and then looks at `blocked` (hv_vcpu_wake(), the poll mask).
 * Both use sequentially consistent operations, so at least one sees what the other wrote.
 */
#include <errno.h>
#include <stdlib.h>

#include "abi/errno.h"
#include "hypervisor-stub/core/hv.h"
#include "hypervisor-stub/core/hypercall.h"
#include "hypervisor-stub/core/mmu.h"

#define PORTS_PER_STEP 64 /* Xen makes ports in buckets of this size; beyond them is no port */
#define NR_PIRQS       56 /* what a machine with 24 interrupt lines gives a domain */
#define BITS_PER_WORD  64

enum port_state {
	PORT_FREE,
	PORT_RESERVED, /* port 0 */
	PORT_UNBOUND,
	PORT_INTERDOMAIN,
	PORT_VIRQ,
	PORT_IPI,
	PORT_HOST,     /* the remote end is a back-end in this process */
	PORT_HOST_END, /* the guest closed it; the back-end still holds its end */
};

struct hv_evtchn_port {
	uint8_t state;             /* enum port_state */
	uint8_t vcpu;              /* where its events go */
	domid_t remote_domid;      /* UNBOUND */
	struct hv_domain *remote;  /* INTERDOMAIN */
	evtchn_port_t remote_port; /* INTERDOMAIN */
	uint32_t virq;             /* VIRQ */
	hv_host_notify_fn *notify; /* HOST */
	void *notify_arg;
	unsigned notifying; /* calls of notify under way */
};

static void lock(struct hv_domain *d)
{
	pthread_mutex_lock(&d->machine->evtchn_lock);
}

static void unlock(struct hv_domain *d)
{
	pthread_mutex_unlock(&d->machine->evtchn_lock);
}

int hv_evtchn_domain_init(struct hv_domain *d)
{
	d->evtchn.ports = calloc(EVTCHN_2L_NR_CHANNELS, sizeof(*d->evtchn.ports));
	if (!d->evtchn.ports)
		return -ENOMEM;
	d->evtchn.nr_valid = PORTS_PER_STEP;
	d->evtchn.ports[0].state = PORT_RESERVED;
	return 0;
}

/* The port of that number, or NULL. Lock: evtchn_lock. */
static struct hv_evtchn_port *get_port(struct hv_domain *d, evtchn_port_t port)
{
	return port < d->evtchn.nr_valid ? &d->evtchn.ports[port] : NULL;
}

/* A free port: its number, or -XEN_ENOSPC. Lock: evtchn_lock. */
static int find_free(struct hv_domain *d)
{
	unsigned port = 1;

	while (port < d->evtchn.nr_valid && d->evtchn.ports[port].state != PORT_FREE)
		port++;
	if (port < d->evtchn.nr_valid)
		return (int)port;
	if (port >= EVTCHN_2L_NR_CHANNELS)
		return -XEN_ENOSPC;
	d->evtchn.nr_valid += PORTS_PER_STEP;
	return (int)port;
}

/* ---- delivery ------------------------------------------------------------------------------- */

static bool test_and_set(xen_ulong_t *words, unsigned bit)
{
	xen_ulong_t mask = (xen_ulong_t)1 << bit % BITS_PER_WORD;

	return __atomic_fetch_or(&words[bit / BITS_PER_WORD], mask, __ATOMIC_SEQ_CST) & mask;
}

static bool test_and_clear(xen_ulong_t *words, unsigned bit)
{
	xen_ulong_t mask = (xen_ulong_t)1 << bit % BITS_PER_WORD;

	return __atomic_fetch_and(&words[bit / BITS_PER_WORD], ~mask, __ATOMIC_SEQ_CST) & mask;
}

static bool test(const xen_ulong_t *words, unsigned bit)
{
	xen_ulong_t word = __atomic_load_n(&words[bit / BITS_PER_WORD], __ATOMIC_SEQ_CST);

	return word >> bit % BITS_PER_WORD & 1;
}

/*
 * These set bits under evtchn_lock and say by a mask which vCPUs are to be woken for it. To wake one
 * takes long (another thread's processor has to be interrupted), so it is done by wake() after the
 * lock has been given up; what a vCPU finds when it looks is there before.
 */
static uint32_t mark_upcall(struct hv_vcpu *v)
{
	if (__atomic_exchange_n(&v->info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
		return 0;
	return UINT32_C(1) << v->id;
}

/* The second level: the word of this port has news for v. */
static uint32_t mark_selector(struct hv_vcpu *v, evtchn_port_t port)
{
	if (test_and_set(&v->info->evtchn_pending_sel, port / BITS_PER_WORD))
		return 0;
	return mark_upcall(v);
}

/* An event on a port of d. Lock: evtchn_lock (the port's vCPU and vcpu_info must stay). */
static uint32_t set_pending(struct hv_domain *d, evtchn_port_t port)
{
	struct shared_info *s = d->shared_info;
	uint32_t mask = 0;

	if (test_and_set(s->evtchn_pending, port))
		return 0;
	if (!test(s->evtchn_mask, port))
		mask = mark_selector(d->vcpu[d->evtchn.ports[port].vcpu], port);
	return mask | hv_sched_take_pollers(d, port);
}

/* No lock held; d must stay: it is the caller's own, or a reference to it is held. */
static void wake(struct hv_domain *d, uint32_t mask)
{
	for (unsigned i = 0; mask; i++, mask >>= 1)
		if (mask & 1)
			hv_vcpu_wake(d->vcpu[i]);
}

void hv_evtchn_raise_virq(struct hv_vcpu *v, unsigned virq)
{
	struct hv_domain *d = v->domain;
	evtchn_port_t port;
	uint32_t mask = 0;

	HV_ASSERT(virq < NR_VIRQS);
	if (!hv_evtchn_virq_is_bound(v, virq))
		return;
	lock(d);
	port = d->evtchn.virq_port[v->id][virq];
	if (port)
		mask = set_pending(d, port);
	unlock(d);
	wake(d, mask);
}

bool hv_evtchn_virq_is_bound(const struct hv_vcpu *v, unsigned virq)
{
	return __atomic_load_n(&v->domain->evtchn.virq_port[v->id][virq], __ATOMIC_RELAXED) != 0;
}

int hv_evtchn_is_pending(struct hv_domain *d, evtchn_port_t port)
{
	const struct hv_evtchn_port *p;
	int rc = -XEN_EINVAL;

	lock(d);
	p = get_port(d, port);
	if (p && p->state != PORT_FREE && p->state != PORT_RESERVED)
		rc = test(d->shared_info->evtchn_pending, port);
	unlock(d);
	return rc;
}

bool hv_evtchn_info_fits(unsigned offset)
{
	return offset <= HV_PAGE_SIZE - sizeof(struct vcpu_info) &&
	       offset % _Alignof(struct vcpu_info) == 0;
}

int hv_evtchn_move_vcpu_info(struct hv_vcpu *v, mfn_t mfn, unsigned offset)
{
	struct hv_domain *d = v->domain;
	struct vcpu_info *to;
	uint8_t *page;
	uint32_t mask;

	if (!hv_evtchn_info_fits(offset))
		return -XEN_ENXIO;
	if (!hv_mfn_same(v->info_mfn, d->shared_info_mfn))
		return -XEN_EINVAL; /* once only */
	if (hv_type_get(d, mfn, HV_TYPE_WRITABLE))
		return -XEN_EINVAL;
	page = hv_frame_ptr(d, mfn);
	HV_ASSERT(page != NULL);
	to = (struct vcpu_info *)(page + offset);

	lock(d);
	*to = *v->info;
	v->info_mfn = mfn;
	v->info_offset = offset;
	__atomic_store_n(&v->info, to, __ATOMIC_SEQ_CST);
	/* What arrived in the old place during the copy is not known: all is pending. */
	__atomic_store_n(&to->evtchn_pending_sel, ~(xen_ulong_t)0, __ATOMIC_SEQ_CST);
	mask = mark_upcall(v);
	unlock(d);
	wake(d, mask);
	return 0;
}

/* ---- closing -------------------------------------------------------------------------------- */

/* The port becomes free and forgets all. Lock: evtchn_lock. */
static void free_port(struct hv_domain *d, evtchn_port_t port)
{
	test_and_clear(d->shared_info->evtchn_pending, port);
	d->evtchn.ports[port] = (struct hv_evtchn_port){ .state = PORT_FREE };
}

static void forget_virq(struct hv_domain *d, evtchn_port_t port)
{
	unsigned virq = d->evtchn.ports[port].virq;

	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (d->evtchn.virq_port[i][virq] == port)
			__atomic_store_n(&d->evtchn.virq_port[i][virq], 0, __ATOMIC_RELAXED);
}

/* The guest's side of a port goes. Lock: evtchn_lock. 0 or -XEN_EINVAL. */
static int close_port(struct hv_domain *d, evtchn_port_t port)
{
	struct hv_evtchn_port *p = get_port(d, port), *r;

	if (!p)
		return -XEN_EINVAL;
	switch (p->state) {
	case PORT_FREE:
	case PORT_RESERVED:
	case PORT_HOST_END:
		return -XEN_EINVAL;
	case PORT_VIRQ:
		forget_virq(d, port);
		break;
	case PORT_INTERDOMAIN:
		r = &p->remote->evtchn.ports[p->remote_port];
		r->state = PORT_UNBOUND;
		r->remote_domid = d->domid;
		r->remote = NULL;
		break;
	case PORT_HOST:
		test_and_clear(d->shared_info->evtchn_pending, port);
		p->state = PORT_HOST_END;
		p->vcpu = 0;
		return 0;
	default:
		break;
	}
	free_port(d, port);
	return 0;
}

void hv_evtchn_domain_fini(struct hv_domain *d)
{
	struct hv_evtchn_port *ports = d->evtchn.ports;

	lock(d);
	for (unsigned i = 1; i < d->evtchn.nr_valid; i++)
		close_port(d, i);
	d->evtchn.nr_valid = 0;
	d->evtchn.ports = NULL;
	unlock(d);
	free(ports);
}

/* ---- ports whose remote end is in this process ---------------------------------------------- */

static void bind_host(struct hv_evtchn_port *p, hv_host_notify_fn *notify, void *arg)
{
	p->state = PORT_HOST;
	p->notify = notify;
	p->notify_arg = arg;
}

int hv_evtchn_bind_host(struct hv_domain *d, hv_host_notify_fn *notify, void *arg,
                        evtchn_port_t *port)
{
	int n;

	lock(d);
	n = find_free(d);
	if (n > 0) {
		bind_host(&d->evtchn.ports[n], notify, arg);
		*port = (evtchn_port_t)n;
	}
	unlock(d);
	return n > 0 ? 0 : n;
}

int hv_evtchn_accept_host(struct hv_domain *d, evtchn_port_t port, hv_host_notify_fn *notify,
                          void *arg)
{
	struct hv_evtchn_port *p;
	int rc = -XEN_EINVAL;

	lock(d);
	p = get_port(d, port);
	if (p && p->state == PORT_UNBOUND && p->remote_domid == 0) {
		bind_host(p, notify, arg);
		rc = 0;
	}
	unlock(d);
	return rc;
}

void hv_evtchn_close_host(struct hv_domain *d, evtchn_port_t port)
{
	struct hv_evtchn_port *p;

	lock(d);
	p = get_port(d, port);
	if (p && (p->state == PORT_HOST || p->state == PORT_HOST_END)) {
		/* From here on no send finds the function; those under way are waited for. */
		p->notify = NULL;
		while (p->notifying)
			pthread_cond_wait(&d->machine->evtchn_idle, &d->machine->evtchn_lock);
		if (p->state == PORT_HOST) {
			p->state = PORT_UNBOUND; /* as when a remote domain closes its end */
			p->remote_domid = 0;
		} else {
			free_port(d, port);
		}
	}
	unlock(d);
}

void hv_evtchn_notify_guest(struct hv_domain *d, evtchn_port_t port)
{
	struct hv_evtchn_port *p;
	uint32_t mask = 0;

	lock(d);
	p = get_port(d, port);
	if (p && p->state == PORT_HOST)
		mask = set_pending(d, port);
	unlock(d);
	wake(d, mask);
}

/* The guest sends to a back-end. Lock: evtchn_lock, given up while the back-end is told. */
static void notify_host(struct hv_domain *d, struct hv_evtchn_port *p)
{
	hv_host_notify_fn *notify = p->notify;
	void *arg = p->notify_arg;

	if (!notify)
		return;
	p->notifying++;
	unlock(d);
	notify(arg);
	lock(d);
	if (!--p->notifying)
		pthread_cond_broadcast(&d->machine->evtchn_idle);
}

/* ---- operations ----------------------------------------------------------------------------- */

/* A domain id in an argument: 0 for ourselves, -XEN_EPERM for another that exists, -XEN_ESRCH. */
static int check_own_domid(struct hv_vcpu *v, domid_t domid)
{
	struct hv_domain *d;

	if (domid == DOMID_SELF || domid == v->domain->domid)
		return 0;
	if (domid == 0)
		return -XEN_EPERM;
	d = hv_domain_get(v->domain->machine, domid);
	if (!d)
		return -XEN_ESRCH;
	hv_domain_put(d);
	return -XEN_EPERM;
}

static int64_t op_alloc_unbound(struct hv_vcpu *v, void *arg)
{
	struct evtchn_alloc_unbound *op = arg;
	struct hv_domain *d = v->domain;
	int rc = check_own_domid(v, op->dom);
	int n;

	if (rc)
		return rc;
	lock(d);
	n = find_free(d);
	if (n > 0) {
		struct hv_evtchn_port *p = &d->evtchn.ports[n];

		p->state = PORT_UNBOUND;
		p->remote_domid = op->remote_dom == DOMID_SELF ? d->domid : op->remote_dom;
		op->port = (evtchn_port_t)n;
	}
	unlock(d);
	return n > 0 ? 0 : n;
}

/* Lock: evtchn_lock. */
static int connect(struct hv_domain *d, struct hv_domain *rd, evtchn_port_t remote_port,
                   uint32_t *mask)
{
	int n = find_free(d);
	struct hv_evtchn_port *l, *r = get_port(rd, remote_port);

	if (n < 0)
		return n;
	if (!r || r->state != PORT_UNBOUND || r->remote_domid != d->domid)
		return -XEN_EINVAL;
	l = &d->evtchn.ports[n];
	l->state = PORT_INTERDOMAIN;
	l->remote = rd;
	l->remote_port = remote_port;
	r->state = PORT_INTERDOMAIN;
	r->remote = d;
	r->remote_port = (evtchn_port_t)n;
	/* What the other side sent before was dropped: one event to be sure. */
	*mask = set_pending(d, (evtchn_port_t)n);
	return n;
}

static int64_t op_bind_interdomain(struct hv_vcpu *v, void *arg)
{
	struct evtchn_bind_interdomain *op = arg;
	struct hv_domain *d = v->domain, *rd;
	domid_t rdom = op->remote_dom == DOMID_SELF ? d->domid : op->remote_dom;
	uint32_t mask = 0;
	int n;

	if (rdom == 0)
		return -XEN_EINVAL; /* back-ends here bind to the guest's ports, never the reverse */
	rd = hv_domain_get(d->machine, rdom);
	if (!rd)
		return -XEN_ESRCH;
	lock(d);
	n = connect(d, rd, op->remote_port, &mask);
	unlock(d);
	hv_domain_put(rd);
	wake(d, mask);
	if (n < 0)
		return n;
	op->local_port = (evtchn_port_t)n;
	return 0;
}

static bool virq_is_per_vcpu(uint32_t virq)
{
	return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF ||
	       virq == VIRQ_XENPMU;
}

static int64_t op_bind_virq(struct hv_vcpu *v, void *arg)
{
	struct evtchn_bind_virq *op = arg;
	struct hv_domain *d = v->domain;
	int n = -XEN_EEXIST;

	if (op->virq >= NR_VIRQS)
		return -XEN_EINVAL;
	if (!virq_is_per_vcpu(op->virq) && op->vcpu != 0)
		return -XEN_EINVAL;
	if (op->vcpu >= d->nr_vcpus)
		return -XEN_ENOENT;
	lock(d);
	if (!d->evtchn.virq_port[op->vcpu][op->virq])
		n = find_free(d);
	if (n > 0) {
		struct hv_evtchn_port *p = &d->evtchn.ports[n];

		p->state = PORT_VIRQ;
		p->vcpu = (uint8_t)op->vcpu;
		p->virq = op->virq;
		__atomic_store_n(&d->evtchn.virq_port[op->vcpu][op->virq], (uint16_t)n,
		                 __ATOMIC_RELAXED);
		op->port = (evtchn_port_t)n;
	}
	unlock(d);
	if (n < 0)
		return n;
	/* The periodic timer runs only while somebody listens. */
	if (op->virq == VIRQ_TIMER)
		hv_vcpu_poke(d->vcpu[op->vcpu]);
	return 0;
}

static int64_t op_bind_ipi(struct hv_vcpu *v, void *arg)
{
	struct evtchn_bind_ipi *op = arg;
	struct hv_domain *d = v->domain;
	int n;

	if (op->vcpu >= d->nr_vcpus)
		return -XEN_ENOENT;
	lock(d);
	n = find_free(d);
	if (n > 0) {
		d->evtchn.ports[n].state = PORT_IPI;
		d->evtchn.ports[n].vcpu = (uint8_t)op->vcpu;
		op->port = (evtchn_port_t)n;
	}
	unlock(d);
	return n > 0 ? 0 : n;
}

static int64_t op_bind_pirq(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_bind_pirq *op = arg;

	(void)v;
	return op->pirq < NR_PIRQS ? -XEN_EPERM : -XEN_EINVAL;
}

static int64_t op_close(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_close *op = arg;
	int rc;

	lock(v->domain);
	rc = close_port(v->domain, op->port);
	unlock(v->domain);
	return rc;
}

static int64_t op_send(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_send *op = arg;
	struct hv_domain *d = v->domain, *to = d;
	struct hv_evtchn_port *p;
	uint32_t mask = 0;
	int rc = 0;

	lock(d);
	p = get_port(d, op->port);
	switch (p ? (int)p->state : (int)PORT_FREE) {
	case PORT_INTERDOMAIN:
		to = p->remote;
		mask = set_pending(to, p->remote_port);
		break;
	case PORT_IPI:
		mask = set_pending(d, op->port);
		break;
	case PORT_HOST:
		notify_host(d, p);
		break;
	case PORT_UNBOUND:
		break; /* nobody there yet: dropped */
	default:
		rc = -XEN_EINVAL;
	}
	/* A domain that is bound to us is in the list: one more reference keeps it there. */
	atomic_fetch_add(&to->refs, 1);
	unlock(d);
	wake(to, mask);
	hv_domain_put(to);
	return rc;
}

/* Lock: evtchn_lock. */
static void fill_status(const struct hv_evtchn_port *p, struct evtchn_status *op)
{
	op->vcpu = p->vcpu;
	switch (p->state) {
	case PORT_UNBOUND:
		op->status = EVTCHNSTAT_unbound;
		op->u.unbound.dom = p->remote_domid;
		break;
	case PORT_INTERDOMAIN:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = p->remote->domid;
		op->u.interdomain.port = p->remote_port;
		break;
	case PORT_HOST:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = 0;
		op->u.interdomain.port = op->port; /* back-ends number their ends as we do */
		break;
	case PORT_VIRQ:
		op->status = EVTCHNSTAT_virq;
		op->u.virq = p->virq;
		break;
	case PORT_IPI:
		op->status = EVTCHNSTAT_ipi;
		break;
	default:
		op->status = EVTCHNSTAT_closed;
	}
}

static int64_t op_status(struct hv_vcpu *v, void *arg)
{
	struct evtchn_status *op = arg;
	const struct hv_evtchn_port *p;
	int rc = check_own_domid(v, op->dom);

	if (rc)
		return rc;
	lock(v->domain);
	p = get_port(v->domain, op->port);
	if (p)
		fill_status(p, op);
	unlock(v->domain);
	return p ? 0 : -XEN_EINVAL;
}

static int64_t op_bind_vcpu(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_bind_vcpu *op = arg;
	struct hv_domain *d = v->domain;
	struct hv_evtchn_port *p;
	int rc = -XEN_EINVAL;

	if (op->vcpu >= d->nr_vcpus)
		return -XEN_ENOENT;
	lock(d);
	p = get_port(d, op->port);
	if (p && (p->state == PORT_UNBOUND || p->state == PORT_INTERDOMAIN ||
	          p->state == PORT_HOST || (p->state == PORT_VIRQ && !virq_is_per_vcpu(p->virq)))) {
		p->vcpu = (uint8_t)op->vcpu;
		rc = 0;
	}
	unlock(d);
	return rc;
}

static int64_t op_unmask(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_unmask *op = arg;
	struct hv_domain *d = v->domain;
	struct shared_info *s = d->shared_info;
	struct hv_evtchn_port *p;
	uint32_t mask = 0;

	lock(d);
	p = get_port(d, op->port);
	if (p && p->state != PORT_FREE && p->state != PORT_RESERVED && p->state != PORT_HOST_END &&
	    test_and_clear(s->evtchn_mask, op->port) && test(s->evtchn_pending, op->port))
		mask = mark_selector(d->vcpu[p->vcpu], op->port);
	unlock(d);
	wake(d, mask);
	return p ? 0 : -XEN_EINVAL;
}

static int64_t op_reset(struct hv_vcpu *v, void *arg)
{
	const struct evtchn_reset *op = arg;
	struct hv_domain *d = v->domain;
	int rc = check_own_domid(v, op->dom);

	if (rc)
		return rc;
	lock(d);
	for (unsigned i = 1; i < d->evtchn.nr_valid; i++)
		close_port(d, i);
	unlock(d);
	return 0;
}

/*
 * The FIFO delivery is not offered: a guest that asks for it falls back to the bit maps. What goes
 * with it gets the answers of a domain that has not switched over.
 */
static int64_t op_init_control(struct hv_vcpu *v, void *arg)
{
	(void)v;
	(void)arg;
	return -XEN_ENOSYS;
}

static int64_t op_expand_array(struct hv_vcpu *v, void *arg)
{
	(void)v;
	(void)arg;
	return -XEN_EOPNOTSUPP;
}

static int64_t op_set_priority(struct hv_vcpu *v, void *arg)
{
	const evtchn_port_t *port = arg; /* the first of the structure's fields */
	bool exists;

	lock(v->domain);
	exists = get_port(v->domain, *port) != NULL;
	unlock(v->domain);
	return exists ? -XEN_ENOSYS : -XEN_EINVAL;
}

/* ---- dispatch ------------------------------------------------------------------------------- */

/* Sizes of the arguments of the FIFO operations, whose layouts are not part of our ABI. */
#define SIZE_INIT_CONTROL 24
#define SIZE_EXPAND_ARRAY 8
#define SIZE_SET_PRIORITY 8
#define OP_RESET_CONT     14 /* Xen's own continuation of reset, which guests can name, too */

struct evtchn_row {
	int64_t (*fn)(struct hv_vcpu *v, void *arg);
	uint16_t size;
	bool writes_back; /* the argument carries a result when the call succeeds */
};

static const struct evtchn_row rows[] = {
	[EVTCHNOP_bind_interdomain] = { op_bind_interdomain, sizeof(struct evtchn_bind_interdomain),
	                                true },
	[EVTCHNOP_bind_virq] = { op_bind_virq, sizeof(struct evtchn_bind_virq), true },
	[EVTCHNOP_bind_pirq] = { op_bind_pirq, sizeof(struct evtchn_bind_pirq), true },
	[EVTCHNOP_close] = { op_close, sizeof(struct evtchn_close), false },
	[EVTCHNOP_send] = { op_send, sizeof(struct evtchn_send), false },
	[EVTCHNOP_status] = { op_status, sizeof(struct evtchn_status), true },
	[EVTCHNOP_alloc_unbound] = { op_alloc_unbound, sizeof(struct evtchn_alloc_unbound), true },
	[EVTCHNOP_bind_ipi] = { op_bind_ipi, sizeof(struct evtchn_bind_ipi), true },
	[EVTCHNOP_bind_vcpu] = { op_bind_vcpu, sizeof(struct evtchn_bind_vcpu), false },
	[EVTCHNOP_unmask] = { op_unmask, sizeof(struct evtchn_unmask), false },
	[EVTCHNOP_reset] = { op_reset, sizeof(struct evtchn_reset), false },
	[EVTCHNOP_init_control] = { op_init_control, SIZE_INIT_CONTROL, false },
	[EVTCHNOP_expand_array] = { op_expand_array, SIZE_EXPAND_ARRAY, false },
	[EVTCHNOP_set_priority] = { op_set_priority, SIZE_SET_PRIORITY, false },
	[OP_RESET_CONT] = { op_reset, sizeof(struct evtchn_reset), false },
};

/* cmd with its argument at va; old callers have the argument 8 bytes into a larger structure. */
static int64_t do_op(struct hv_vcpu *v, uint32_t cmd, uint64_t va)
{
	union {
		struct evtchn_bind_interdomain a;
		struct evtchn_status b;
		uint8_t bytes[64];
	} arg;
	const struct evtchn_row *row;
	int64_t rc;

	if (cmd >= sizeof(rows) / sizeof(rows[0]) || !rows[cmd].fn)
		return -XEN_ENOSYS;
	row = &rows[cmd];
	if (hv_guest_read(v, &arg, va, row->size))
		return -XEN_EFAULT;
	rc = row->fn(v, &arg);
	if (!rc && row->writes_back && hv_guest_write(v, va, &arg, row->size))
		return -XEN_EFAULT;
	return rc;
}

int64_t hv_do_event_channel_op(struct hv_vcpu *v, const uint64_t *a)
{
	return do_op(v, (uint32_t)a[0], a[1]);
}

int64_t hv_do_event_channel_op_compat(struct hv_vcpu *v, const uint64_t *a)
{
	uint32_t cmd;

	if (hv_guest_read(v, &cmd, a[0], sizeof(cmd)))
		return -XEN_EFAULT;
	return do_op(v, cmd, a[0] + offsetof(struct evtchn_op, u));
}
