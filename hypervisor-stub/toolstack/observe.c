/* SPDX-License-Identifier: MIT */
/*
 * What --trace and --stats see of a machine; see observe.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/observe.h"

bool observe_colour(FILE *out)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(out)) && term && strcmp(term, "dumb") && !(no && *no);
}

static void on_hypercall(void *arg, struct hv_vcpu *v, uint64_t nr, const uint64_t *a,
                         int64_t result, uint64_t ns)
{
	struct observe *ob = arg;

	if (ob->does_stats)
		stats_hypercall(&ob->stats, nr, ns);
	if (ob->does_trace)
		trace_hypercall(&ob->trace, v, nr, a, result, ns);
}

static void on_exception(void *arg, struct hv_vcpu *v, uint8_t vector, uint32_t error_code,
                         uint64_t cr2)
{
	struct observe *ob = arg;

	if (ob->does_stats)
		stats_exception(&ob->stats, vector);
	if (ob->does_trace)
		trace_exception(&ob->trace, v, vector, error_code, cr2);
}

static void on_happened(void *arg, struct hv_vcpu *v, enum hv_traced what)
{
	struct observe *ob = arg;

	(void)v;
	if (ob->does_stats)
		stats_happened(&ob->stats, what);
}

static int open_trace(struct observe *ob, const char *file, char *why, size_t why_len)
{
	int rc;

	if (file) {
		ob->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (ob->fd < 0)
			return hv_why(why, why_len, -errno,
			              "--trace: %s cannot be written: %s; give another file", file,
			              strerror(errno));
	}
	rc = outlet_open(&ob->out, file ? ob->fd : STDERR_FILENO);
	if (rc) {
		observe_close(ob);
		return hv_why(why, why_len, rc,
		              "--trace: standard error cannot be used: %s; give a "
		              "file",
		              strerror(-rc));
	}
	ob->does_trace = true;
	ob->trace.out = &ob->out;
	ob->trace.colour = !file && observe_colour(stderr);
	return 0;
}

int observe_open(struct observe *ob, const struct options *o, char *why, size_t why_len)
{
	memset(ob, 0, sizeof(*ob));
	ob->fd = -1;
	ob->tracer.hypercall = on_hypercall;
	ob->tracer.exception = on_exception;
	ob->tracer.happened = on_happened;
	ob->tracer.arg = ob;
	ob->tracer.every_call = o->trace;
	ob->does_stats = o->stats;
	return o->trace ? open_trace(ob, o->trace_file, why, why_len) : 0;
}

void observe_close(struct observe *ob)
{
	if (ob->does_trace)
		outlet_close(&ob->out);
	if (ob->fd >= 0)
		close(ob->fd);
	ob->fd = -1;
}

const struct hv_tracer *observe_tracer(struct observe *ob)
{
	return ob->does_trace || ob->does_stats ? &ob->tracer : NULL;
}

void observe_stop(struct observe *ob)
{
	if (ob->does_trace)
		outlet_stop(&ob->out);
}
