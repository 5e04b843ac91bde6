/* SPDX-License-Identifier: MIT */
/*
 * The console: HYPERVISOR_console_io, and the host's end of the console ring is a back-end
 * (backends/).
 */
#ifndef HYPERVISOR_STUB_CORE_CONSOLE_H
#define HYPERVISOR_STUB_CORE_CONSOLE_H

#include "hypervisor-stub/core/hv.h"

/* Where CONSOLEIO_write goes; set by the toolstack. Called without locks. */
typedef void hv_console_sink_fn(void *arg, struct hv_domain *d, const char *text, size_t len);
void hv_console_set_sink(hv_console_sink_fn *fn, void *arg);
/* Gives an unfinished line to the sink; at a domain's end. */
void hv_console_flush(struct hv_domain *d);
int64_t hv_do_console_io(struct hv_vcpu *v, const uint64_t *a);

#endif
