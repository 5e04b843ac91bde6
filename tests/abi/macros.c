/* SPDX-License-Identifier: MIT */
/*
 * Macros with arguments, by what they do: this program is compiled once against our headers and once against Xen's
 * (-include), and both must print the same. check.sh fails when a macro that both sides have is not named here.
 *
 * Invariant: output depends on the macros only; every case is deterministic.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef xen_mb
#define xen_mb()  __sync_synchronize()
#define xen_rmb() __sync_synchronize()
#define xen_wmb() __sync_synchronize()
#endif

#define SHOW(expr) printf("%s = %lld\n", #expr, (long long)(expr))

struct req {
	uint64_t id;
	uint32_t what;
};
struct rsp {
	uint64_t id;
};
DEFINE_RING_TYPES(demo, struct req, struct rsp);

typedef struct req req_in_guest_t;
DEFINE_XEN_GUEST_HANDLE(req_in_guest_t);
__DEFINE_XEN_GUEST_HANDLE(other_name, struct rsp);

static union {
	struct demo_sring ring;
	unsigned char page[4096];
} shared;

static void numbers(void)
{
	static const unsigned int sample[] = {
		0, 1, 2, 3, 7, 8, 255, 256, 4095, 65537, 0x80000000u
	};
	for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++) {
		unsigned int x = sample[i];
		SHOW(x);
		SHOW(__RD2(x));
		SHOW(__RD4(x));
		SHOW(__RD8(x));
		SHOW(__RD16(x));
		SHOW(__RD32(x));
		SHOW(xen_pfn_to_cr3(x));
		SHOW(xen_cr3_to_pfn(x));
		SHOW(xen_vcpu_physid_to_x86_apicid((uint64_t)x << 16));
		SHOW(xen_vcpu_physid_to_x86_acpiid((uint64_t)x << 16));
		SHOW(XEN_CPUID_LEAF(x));
		SHOW(MASK_XENSTORE_IDX(x));
		SHOW(MASK_XENCONS_IDX(x, ((struct xencons_interface *)0)->out));
		SHOW(XENMEMF_address_bits(x));
		SHOW(XENMEMF_get_address_bits(x));
		SHOW(XENMEMF_node(x));
		SHOW(XENMEMF_get_node(x));
		SHOW(XENMEMF_exact_node(x));
	}
	SHOW(xen_mk_uint(7));
	SHOW(sizeof(xen_mk_uint(7)));
	SHOW(xen_mk_ulong(7));
	SHOW(sizeof(xen_mk_ulong(7)));
	SHOW(xen_mk_ullong(7));
	SHOW(sizeof(xen_mk_ullong(7)));
}

static void traps(void)
{
	for (int dpl = 0; dpl < 4; dpl++) {
		struct trap_info ti = { 0 };
		TI_SET_DPL(&ti, dpl);
		TI_SET_IF(&ti, dpl & 1);
		SHOW(ti.flags);
		SHOW(TI_GET_DPL(&ti));
		SHOW(TI_GET_IF(&ti));
	}
}

static void handles(void)
{
	static struct req r;
	static struct rsp s;
	XEN_GUEST_HANDLE(req_in_guest_t) h;
	XEN_GUEST_HANDLE(other_name) o;
	__XEN_GUEST_HANDLE(const_req_in_guest_t) c;

	set_xen_guest_handle(h, &r);
	set_xen_guest_handle(o, &s);
	set_xen_guest_handle(c, &r);
	SHOW(h.p == &r && o.p == &s && c.p == &r);
	SHOW(sizeof(h) + sizeof(o) + sizeof(c));
}

/* ___DEFINE_XEN_GUEST_HANDLE is what the two above are made of. */

static struct demo_front_ring front;
static struct demo_back_ring back;

static void show_ring(const char *when)
{
	printf("-- %s\n", when);
	SHOW(shared.ring.req_prod);
	SHOW(shared.ring.rsp_prod);
	SHOW(shared.ring.req_event);
	SHOW(shared.ring.rsp_event);
	SHOW(front.req_prod_pvt);
	SHOW(front.rsp_cons);
	SHOW(back.rsp_prod_pvt);
	SHOW(back.req_cons);
	SHOW(RING_SIZE(&front));
	SHOW(RING_FREE_REQUESTS(&front));
	SHOW(RING_FULL(&front));
	SHOW(XEN_RING_NR_UNCONSUMED_REQUESTS(&back));
	SHOW(XEN_RING_NR_UNCONSUMED_RESPONSES(&front));
	SHOW(RING_HAS_UNCONSUMED_REQUESTS(&back));
	SHOW(RING_HAS_UNCONSUMED_RESPONSES(&front));
}

static void pass_requests(unsigned int n, int check)
{
	int notify = -1;
	for (unsigned int i = 0; i < n; i++) {
		struct req *slot = RING_GET_REQUEST(&front, front.req_prod_pvt);
		slot->id = front.req_prod_pvt * 3u;
		slot->what = i;
		front.req_prod_pvt++;
	}
	if (check)
		RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front, notify);
	else
		RING_PUSH_REQUESTS(&front);
	SHOW(notify);
}

static void serve_requests(unsigned int n, int check)
{
	int notify = -1;
	for (unsigned int i = 0; i < n; i++) {
		struct req copy;
		RING_COPY_REQUEST(&back, back.req_cons, &copy);
		back.req_cons++;
		SHOW(copy.id);
		RING_GET_RESPONSE(&back, back.rsp_prod_pvt)->id = copy.id + 1;
		back.rsp_prod_pvt++;
	}
	if (check)
		RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&back, notify);
	else
		RING_PUSH_RESPONSES(&back);
	SHOW(notify);
}

static void rings(RING_IDX start)
{
	int more;
	memset(&shared, 0xa5, sizeof(shared));
	SHARED_RING_INIT(&shared.ring);
	for (size_t i = 0; i < offsetof(struct demo_sring, ring); i++)
		printf("%02x", shared.page[i]);
	printf("\n");
	SHOW(__CONST_RING_SIZE(demo, 4096));
	SHOW(__CONST_RING_SIZE(demo, 8192));
	SHOW(__RING_SIZE(&shared.ring, 4096));
	FRONT_RING_INIT(&front, &shared.ring, 4096);
	BACK_RING_INIT(&back, &shared.ring, 4096);
	show_ring("new");
	XEN_FRONT_RING_INIT(&front, &shared.ring, 4096);
	FRONT_RING_ATTACH(&front, &shared.ring, start, 4096);
	BACK_RING_ATTACH(&back, &shared.ring, start, 4096);
	shared.ring.req_prod = shared.ring.rsp_prod = start;
	shared.ring.req_event = shared.ring.rsp_event = start + 1;
	show_ring("attached");
	pass_requests(5, 1);
	pass_requests(RING_SIZE(&front) - 5, 0);
	show_ring("full");
	SHOW(RING_REQUEST_CONS_OVERFLOW(&back, back.req_cons + RING_SIZE(&back)));
	SHOW(RING_REQUEST_CONS_OVERFLOW(&back, back.req_cons + RING_SIZE(&back) - 1));
	SHOW(RING_REQUEST_PROD_OVERFLOW(&back, shared.ring.req_prod));
	SHOW(RING_REQUEST_PROD_OVERFLOW(&back, shared.ring.req_prod + 1));
	serve_requests(3, 1);
	RING_FINAL_CHECK_FOR_REQUESTS(&back, more);
	SHOW(more);
	serve_requests(RING_SIZE(&back) - 3, 0);
	RING_FINAL_CHECK_FOR_REQUESTS(&back, more);
	SHOW(more);
	SHOW(RING_RESPONSE_PROD_OVERFLOW(&front, shared.ring.rsp_prod));
	SHOW(RING_RESPONSE_PROD_OVERFLOW(&front, shared.ring.rsp_prod + 1));
	RING_FINAL_CHECK_FOR_RESPONSES(&front, more);
	SHOW(more);
	while (RING_HAS_UNCONSUMED_RESPONSES(&front)) {
		struct rsp copy;
		RING_COPY_RESPONSE(&front, front.rsp_cons, &copy);
		SHOW(copy.id);
		front.rsp_cons++;
	}
	RING_FINAL_CHECK_FOR_RESPONSES(&front, more);
	SHOW(more);
	show_ring("served");
	pass_requests(1, 1);
	serve_requests(1, 1);
	show_ring("once more");
}

int main(void)
{
	numbers();
	traps();
	handles();
	rings(0);
	rings((RING_IDX)-5);
	return 0;
}
