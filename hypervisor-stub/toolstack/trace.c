/* SPDX-License-Identifier: MIT */
/*
 * --trace: a line for every hypercall; see trace.h.
 *
 * Names of hypercalls come from the core's table, those of sub-operations from the tables here.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abi/callback.h"
#include "abi/errno.h"
#include "abi/event_channel.h"
#include "abi/grant_table.h"
#include "abi/memory.h"
#include "abi/physdev.h"
#include "abi/sched.h"
#include "abi/vcpu.h"
#include "abi/version.h"
#include "hypervisor-stub/toolstack/trace.h"

struct name {
	unsigned number;
	const char *text;
};

#define N(x)          \
	{             \
		x, #x \
	}
#define END             \
	{               \
		0, NULL \
	}

static const struct name sched_ops[] = {
	N(SCHEDOP_yield),    N(SCHEDOP_block),           N(SCHEDOP_shutdown),      N(SCHEDOP_poll),
	N(SCHEDOP_watchdog), N(SCHEDOP_remote_shutdown), N(SCHEDOP_shutdown_code), END,
};

static const struct name memory_ops[] = {
	N(XENMEM_increase_reservation),
	N(XENMEM_decrease_reservation),
	N(XENMEM_maximum_ram_page),
	N(XENMEM_current_reservation),
	N(XENMEM_maximum_reservation),
	N(XENMEM_machphys_mfn_list),
	N(XENMEM_populate_physmap),
	N(XENMEM_add_to_physmap),
	N(XENMEM_memory_map),
	N(XENMEM_machine_memory_map),
	N(XENMEM_exchange),
	N(XENMEM_machphys_mapping),
	N(XENMEM_maximum_gpfn),
	N(XENMEM_remove_from_physmap),
	N(XENMEM_get_vnumainfo),
	END,
};

static const struct name event_channel_ops[] = {
	N(EVTCHNOP_bind_interdomain),
	N(EVTCHNOP_bind_virq),
	N(EVTCHNOP_bind_pirq),
	N(EVTCHNOP_close),
	N(EVTCHNOP_send),
	N(EVTCHNOP_status),
	N(EVTCHNOP_alloc_unbound),
	N(EVTCHNOP_bind_ipi),
	N(EVTCHNOP_bind_vcpu),
	N(EVTCHNOP_unmask),
	N(EVTCHNOP_reset),
	N(EVTCHNOP_init_control),
	N(EVTCHNOP_expand_array),
	N(EVTCHNOP_set_priority),
	END,
};

static const struct name grant_ops[] = {
	N(GNTTABOP_map_grant_ref), N(GNTTABOP_unmap_grant_ref),
	N(GNTTABOP_setup_table),   N(GNTTABOP_dump_table),
	N(GNTTABOP_transfer),      N(GNTTABOP_copy),
	N(GNTTABOP_query_size),    N(GNTTABOP_set_version),
	N(GNTTABOP_get_version),   END,
};

static const struct name vcpu_ops[] = {
	N(VCPUOP_initialise),
	N(VCPUOP_up),
	N(VCPUOP_down),
	N(VCPUOP_is_up),
	N(VCPUOP_get_runstate_info),
	N(VCPUOP_register_runstate_memory_area),
	N(VCPUOP_set_periodic_timer),
	N(VCPUOP_stop_periodic_timer),
	N(VCPUOP_set_singleshot_timer),
	N(VCPUOP_stop_singleshot_timer),
	N(VCPUOP_register_vcpu_info),
	N(VCPUOP_send_nmi),
	N(VCPUOP_get_physid),
	N(VCPUOP_register_vcpu_time_memory_area),
	END,
};

static const struct name version_ops[] = {
	N(XENVER_version),   N(XENVER_extraversion), N(XENVER_compile_info),
	N(XENVER_changeset), N(XENVER_capabilities), N(XENVER_platform_parameters),
	N(XENVER_pagesize),  N(XENVER_get_features), N(XENVER_guest_handle),
	N(XENVER_build_id),  N(XENVER_commandline),  END,
};

static const struct name callback_ops[] = { N(CALLBACKOP_register), N(CALLBACKOP_unregister), END };

static const struct name segment_bases[] = { N(SEGBASE_FS), N(SEGBASE_GS_USER),
	                                     N(SEGBASE_GS_KERNEL), N(SEGBASE_GS_USER_SEL), END };

static const struct name console_ops[] = { N(CONSOLEIO_write), N(CONSOLEIO_read), END };

static const struct name assist_cmds[] = { N(VMASST_CMD_enable), N(VMASST_CMD_disable), END };

static const struct name physdev_ops[] = { N(PHYSDEVOP_set_iopl), N(PHYSDEVOP_set_iobitmap), END };

static const struct name errors[] = {
	N(XEN_EPERM),      N(XEN_ENOENT), N(XEN_ESRCH),
	N(XEN_EIO),        N(XEN_ENXIO),  N(XEN_E2BIG),
	N(XEN_EAGAIN),     N(XEN_ENOMEM), N(XEN_EACCES),
	N(XEN_EFAULT),     N(XEN_EBUSY),  N(XEN_EEXIST),
	N(XEN_ENODEV),     N(XEN_EINVAL), N(XEN_ENOSPC),
	N(XEN_ERANGE),     N(XEN_ENOSYS), N(XEN_EOVERFLOW),
	N(XEN_EOPNOTSUPP), N(XEN_ETIME),  N(XEN_EISCONN),
	N(XEN_ENOTCONN),   END,
};

/* Which argument is a sub-operation, and what its names are. */
static const struct {
	unsigned nr, arg;
	const struct name *names;
} sub_ops[] = {
	{ __HYPERVISOR_sched_op, 0, sched_ops },
	{ __HYPERVISOR_sched_op_compat, 0, sched_ops },
	{ __HYPERVISOR_memory_op, 0, memory_ops },
	{ __HYPERVISOR_event_channel_op, 0, event_channel_ops },
	{ __HYPERVISOR_grant_table_op, 0, grant_ops },
	{ __HYPERVISOR_vcpu_op, 0, vcpu_ops },
	{ __HYPERVISOR_xen_version, 0, version_ops },
	{ __HYPERVISOR_callback_op, 0, callback_ops },
	{ __HYPERVISOR_set_segment_base, 0, segment_bases },
	{ __HYPERVISOR_console_io, 0, console_ops },
	{ __HYPERVISOR_vm_assist, 0, assist_cmds },
	{ __HYPERVISOR_physdev_op, 0, physdev_ops },
};

static const char *find_name(const struct name *list, uint64_t number)
{
	for (; list->text; list++) {
		if (list->number == number)
			return list->text;
	}
	return NULL;
}

static const char *sub_op_name(uint64_t nr, unsigned arg, uint64_t value)
{
	for (size_t i = 0; i < sizeof(sub_ops) / sizeof(sub_ops[0]); i++) {
		if (sub_ops[i].nr == nr && sub_ops[i].arg == arg)
			return find_name(sub_ops[i].names, value);
	}
	return NULL;
}

/* A line that grows and is cut rather than overrun. */
struct line {
	char *text;
	size_t size, len;
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, l->size - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len = l->len + (size_t)n < l->size ? l->len + (size_t)n : l->size - 1;
}

static void add_number(struct line *l, uint64_t n)
{
	add(l, n < 10 ? "%" PRIu64 : "0x%" PRIx64, n);
}

static void add_result(struct line *l, int64_t result, bool colour)
{
	const char *error = result < 0 ? find_name(errors, 0 - (uint64_t)result) : NULL;

	if (!error) {
		add(l, " = %" PRId64, result);
		return;
	}
	add(l, colour ? " = \x1b[31m-%s\x1b[0m" : " = -%s", error);
}

size_t trace_format(char *text, size_t size, uint64_t nr, const uint64_t *a, int64_t result,
                    bool colour)
{
	const struct hv_hypercall *h = hv_hypercall_lookup(nr);
	unsigned nr_args = h ? h->nr_args : 0;
	struct line l = { text, size, 0 };

	if (h)
		add(&l, "%s(", h->name);
	else
		add(&l, "hypercall %" PRIu64 "(", nr);
	for (unsigned i = 0; i < nr_args; i++) {
		const char *sub = sub_op_name(nr, i, a[i]);

		if (i)
			add(&l, ", ");
		if (sub)
			add(&l, "%s", sub);
		else
			add_number(&l, a[i]);
	}
	add(&l, ")");
	add_result(&l, result, colour);
	return l.len;
}

/* Every line begins with the system time, the domain and the vCPU. */
static size_t begin(char *text, size_t size, struct hv_vcpu *v)
{
	uint64_t now = hv_time_now(v->domain->machine);
	struct line l = { text, size, 0 };

	add(&l, "[%5" PRIu64 ".%06" PRIu64 "] d%uv%u ", now / 1000000000, now % 1000000000 / 1000,
	    v->domain->domid, v->id);
	return l.len;
}

void trace_hypercall(struct trace *t, struct hv_vcpu *v, uint64_t nr, const uint64_t *a,
                     int64_t result, uint64_t ns)
{
	char text[400];
	struct line l = { text, sizeof(text), 0 };

	l.len = begin(text, sizeof(text), v);
	l.len += trace_format(text + l.len, sizeof(text) - l.len, nr, a, result, t->colour);
	add(&l, "  %" PRIu64 ".%03" PRIu64 " us\n", ns / 1000, ns % 1000);
	outlet_put(t->out, text, l.len);
}

void trace_exception(struct trace *t, struct hv_vcpu *v, uint8_t vector, uint32_t error_code,
                     uint64_t cr2)
{
	char text[200];
	struct line l = { text, sizeof(text), 0 };

	l.len = begin(text, sizeof(text), v);
	add(&l, "exception %u, error code 0x%x, rip 0x%" PRIx64, vector, error_code, v->regs.rip);
	if (vector == 14)
		add(&l, ", address 0x%" PRIx64, cr2);
	add(&l, "\n");
	outlet_put(t->out, text, l.len);
}
