/* SPDX-License-Identifier: MIT */
/*
 * One guest as the toolstack sees it; see guest.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/core/mmu.h"
#include "hypervisor-stub/toolstack/disk.h"
#include "hypervisor-stub/toolstack/vif.h"
#include "hypervisor-stub/toolstack/guest.h"
#include "hypervisor-stub/toolstack/unpack.h"

#define MAX_KERNEL  (UINT64_C(1) << 30)
#define MAX_RAMDISK (UINT64_C(1) << 36)

/* ---- files ---------------------------------------------------------------------------------- */

/* The name that was given, or the kernel's file name with what a name cannot have replaced. */
static void choose_name(struct guest *g)
{
	const char *name = g->config->name, *slash = strrchr(g->config->kernel, '/');

	if (!name)
		name = slash && slash[1] ? slash + 1 : g->config->kernel;
	snprintf(g->name, sizeof(g->name), "%s", name);
	for (char *c = g->name; *c; c++) {
		if (!strchr(OPTIONS_NAME_CHARS, *c))
			*c = '_';
	}
}

static ssize_t to_outlet(void *arg, const void *bytes, size_t len)
{
	return outlet_try(arg, bytes, len);
}

void guest_set_sink(struct guest *g, const struct guest_sink *sink)
{
	g->sink = *sink;
}

static int open_kind(struct device_list *list, const struct device_texts *texts,
                     const struct device_kind *kind, char *why, size_t why_len)
{
	for (unsigned i = 0; i < texts->nr; i++) {
		struct device *dev;
		int rc = kind->open(&dev, texts->text[i], NULL, list, why, why_len);

		if (rc)
			return rc;
		devices_add(list, dev);
	}
	return 0;
}

int guest_open_devices(struct device_list *list, const struct guest_config *config, char *why,
                       size_t why_len)
{
	int rc = open_kind(list, &config->disks, &disk_kind, why, why_len);

	return rc ? rc : open_kind(list, &config->vifs, &vif_kind, why, why_len);
}

int guest_read_files(const struct guest_config *config, struct file *kernel, struct file *ramdisk,
                     char *why, size_t why_len)
{
	int rc = file_read(kernel, "kernel", config->kernel, MAX_KERNEL, why, why_len);

	if (rc)
		return rc;
	rc = unpack_kernel(kernel, config->kernel, MAX_KERNEL, why, why_len);
	if (!rc && config->ramdisk)
		rc = file_read(ramdisk, "ramdisk", config->ramdisk, MAX_RAMDISK, why, why_len);
	if (rc)
		file_free(kernel);
	return rc;
}

int guest_load(struct guest *g, const struct guest_config *config, struct outlet *outlet, char *why,
               size_t why_len)
{
	int rc;

	memset(g, 0, sizeof(*g));
	g->config = config;
	g->sink = (struct guest_sink){ to_outlet, NULL, outlet };
	choose_name(g);
	rc = guest_read_files(config, &g->kernel, &g->ramdisk, why, why_len);
	if (rc)
		return rc;
	rc = guest_open_devices(&g->devices, config, why, why_len);
	if (rc)
		goto drop_devices;
	g->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->news_fd >= 0)
		return 0;
	rc = hv_why(why, why_len, -errno, "no descriptor is left for %s; allow more (ulimit -n)",
	            g->name);
drop_devices:
	devices_free(&g->devices);
	file_free(&g->ramdisk);
	file_free(&g->kernel);
	return rc;
}

void guest_unload(struct guest *g)
{
	close(g->news_fd);
	devices_free(&g->devices);
	file_free(&g->ramdisk);
	file_free(&g->kernel);
}

/* ---- what other threads tell the main thread ------------------------------------------------ */

static void tell(struct guest *g, unsigned what)
{
	/* Who finds news there already need not ring: the main thread has not looked yet. */
	if (!(atomic_fetch_or(&g->news, what) & what))
		eventfd_write(g->news_fd, 1);
}

unsigned guest_news(struct guest *g)
{
	eventfd_t n;
	unsigned news;

	/* The bell first, the news second: news that arrives in between rings again. */
	eventfd_read(g->news_fd, &n);
	news = atomic_exchange(&g->news, 0);
	if (news & GUEST_ENDED)
		xs_domain_shutdown(g->store, g->d->domid);
	return news;
}

static void on_end(struct hv_domain *d, void *arg)
{
	(void)d;
	tell(arg, GUEST_ENDED);
}

/* ---- console -------------------------------------------------------------------------------- */

/* The guest rang the console's port: on its vCPU's thread, no lock held. */
static void on_console_event(void *arg)
{
	struct guest *g = arg;

	if (guest_output(g))
		tell(g, GUEST_OUTPUT);
	if (atomic_load(&g->input_waits))
		tell(g, GUEST_INPUT_ROOM);
}

/* The guest rang the store's port. */
static void on_store_event(void *arg)
{
	struct guest *g = arg;
	struct xs_conn *conn = __atomic_load_n(&g->store_conn, __ATOMIC_ACQUIRE);

	if (conn)
		xs_guest_event(conn);
}

static void notify_store(void *arg)
{
	struct guest *g = arg;

	hv_evtchn_notify_guest(g->d, g->store_port);
}

static void notify_console(void *arg)
{
	struct guest *g = arg;

	hv_evtchn_notify_guest(g->d, g->console_port);
}

static void complain(void *arg, const char *line)
{
	struct guest *g = arg;

	hv_log(g->d, "%s", line);
}

bool guest_output(struct guest *g)
{
	bool waits = consback_run(g->console);

	/* An unfinished line is shown when nobody will finish it. */
	if (g->sink.flush && g->sink.flush(g->sink.arg, !waits && g->d->end_told))
		waits = true;
	return waits;
}

size_t guest_type(struct guest *g, const void *bytes, size_t len)
{
	size_t n;

	/*
	 * 1. say that we wait, 2. try. The guest takes bytes, then rings: either our try sees the
	 * room, or its ring sees that we wait.
	 */
	atomic_store(&g->input_waits, true);
	n = consback_type(g->console, bytes, len);
	if (n == len)
		atomic_store(&g->input_waits, false);
	return n;
}

/* ---- the domain ----------------------------------------------------------------------------- */

/*
 * The two pages that we write to stay writable pages of the guest for as long as we do: like the
 * mappings of Xen's own tools, we hold a type and a reference.
 */
static int hold_pages(struct guest *g)
{
	int rc;

	hv_domain_lock(g->d);
	rc = hv_type_get(g->d, g->built.console_mfn, HV_TYPE_WRITABLE);
	if (!rc) {
		rc = hv_type_get(g->d, g->built.store_mfn, HV_TYPE_WRITABLE);
		if (rc)
			hv_type_put(g->d, g->built.console_mfn);
	}
	hv_domain_unlock(g->d);
	g->holds_pages = rc == 0;
	return rc;
}

static void drop_pages(struct guest *g)
{
	if (!g->holds_pages)
		return;
	hv_domain_lock(g->d);
	hv_type_put(g->d, g->built.console_mfn);
	hv_type_put(g->d, g->built.store_mfn);
	hv_domain_unlock(g->d);
	g->holds_pages = false;
}

static void *page_of(struct guest *g, mfn_t mfn)
{
	void *page;

	hv_domain_lock(g->d);
	page = hv_frame_ptr(g->d, mfn);
	hv_domain_unlock(g->d);
	HV_ASSERT(page != NULL);
	return page;
}

static int connect_console(struct guest *g)
{
	struct be_host host = { .notify = notify_console, .complain = complain, .arg = g };

	g->console = consback_open(page_of(g, g->built.console_mfn), &host, g->sink.put,
	                           g->sink.arg);
	return g->console ? 0 : -ENOMEM;
}

static int connect_store(struct guest *g)
{
	uint64_t kib = g->d->mem.tot_pages * (HV_PAGE_SIZE / 1024);
	struct xs_domain_info info = {
		.domid = g->d->domid,
		.name = g->name,
		.memory_kib = kib,
		.max_memory_kib = g->d->mem.max_pages * (HV_PAGE_SIZE / 1024),
		.nr_vcpus = g->config->vcpus,
		.max_vcpus = g->d->nr_vcpus,
		.store_mfn = g->built.store_mfn.n,
		.console_mfn = g->built.console_mfn.n,
		.store_port = g->store_port,
		.console_port = g->console_port,
	};
	struct xs_conn *conn;
	int rc;

	memcpy(info.uuid, g->d->uuid, sizeof(info.uuid));
	rc = xs_domain_populate(g->store, &info);
	if (!rc)
		rc = xs_introduce(g->store, g->d->domid, page_of(g, g->built.store_mfn),
		                  notify_store, g, &conn);
	if (!rc)
		__atomic_store_n(&g->store_conn, conn, __ATOMIC_RELEASE);
	return rc;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void on_device_closed(void *arg)
{
	tell(arg, GUEST_DEVICES);
}

static int refuse_device(const struct guest *g, const struct device *dev, int rc, char *why,
                         size_t why_len)
{
	return hv_why(why, why_len, rc, "%s: its %s %u cannot be offered: %s; free some memory",
	              g->name, dev->kind->kind, dev->id, strerror(-rc));
}

static int connect_devices(struct guest *g, char *why, size_t why_len)
{
	struct device *dev;
	int rc = devices_plug(&g->devices, g->d, g->store, on_device_closed, g, &dev);

	return rc ? refuse_device(g, dev, rc, why, why_len) : 0;
}

int guest_attach(struct guest *g, struct device *dev, char *why, size_t why_len)
{
	int rc = g->d ? device_plug(dev, g->d, g->store, on_device_closed, g) : 0;

	if (rc)
		return refuse_device(g, dev, rc, why, why_len);
	devices_add(&g->devices, dev);
	return 0;
}

bool guest_sweep(struct guest *g)
{
	struct device *dev, *next;
	bool any = false;

	for (dev = g->devices.first; dev; dev = next) {
		next = dev->next;
		if (!dev->is_leaving || !device_is_closed(dev))
			continue;
		devices_remove(&g->devices, dev);
		device_free(dev);
		any = true;
	}
	return any;
}

/* ---- building ------------------------------------------------------------------------------- */

/* Ports in the order in which Xen's toolstack makes them: xenstore 1, console 2. */
static int make_ports(struct guest *g)
{
	int rc = hv_evtchn_bind_host(g->d, on_store_event, g, &g->store_port);

	if (!rc)
		rc = hv_evtchn_bind_host(g->d, on_console_event, g, &g->console_port);
	return rc;
}

static int build(struct guest *g, char *why, size_t why_len)
{
	struct hv_build_request rq = {
		.kernel = g->kernel.bytes,
		.kernel_len = g->kernel.len,
		.kernel_name = g->config->kernel,
		.ramdisk = g->ramdisk.bytes,
		.ramdisk_len = g->ramdisk.len,
		.cmdline = g->config->cmdline,
	};
	int rc = make_ports(g);

	if (rc)
		return hv_why(why, why_len, rc, "%s: no event channels (%d)", g->name, rc);
	rq.console_port = g->console_port;
	rq.store_port = g->store_port;
	rc = hv_build_pv(g->d, &rq, &g->built, why, why_len);
	if (rc)
		return rc;
	rc = hold_pages(g);
	if (!rc)
		rc = connect_console(g);
	if (!rc)
		rc = connect_store(g);
	if (rc)
		return hv_why(why, why_len, rc, "%s: out of memory", g->name);
	return connect_devices(g, why, why_len);
}

/* A random one, as version 4 of RFC 4122 has it. */
static void make_uuid(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, GRND_NONBLOCK) != 16)
		memset(uuid, 0, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

int guest_build(struct guest *g, struct hv_machine *m, struct xs_store *store, char *why,
                size_t why_len)
{
	struct hv_domain_config dc = {
		.name = g->name,
		.nr_pages = g->config->memory >> HV_PAGE_SHIFT,
		.max_pages = g->config->max_memory >> HV_PAGE_SHIFT,
		.nr_vcpus = g->config->max_vcpus ? g->config->max_vcpus : g->config->vcpus,
	};
	int rc = hv_domain_create(m, &dc, &g->d);

	if (rc) {
		g->d = NULL;
		return hv_why(
			why, why_len, rc,
			"%s: no domain of %llu MiB and %u vCPUs can be made here: %s; give it "
			"less or free some memory",
			g->name, (unsigned long long)(g->config->memory >> 20), dc.nr_vcpus,
			strerror(-rc));
	}
	g->store = store;
	if (g->config->cpu_cap && !g->is_capped_by_host)
		hv_sched_set_cap(g->d, g->config->cpu_cap);
	if (g->config->has_uuid)
		memcpy(g->d->uuid, g->config->uuid, sizeof(g->d->uuid));
	else
		make_uuid(g->d->uuid);
	g->d->on_end = on_end;
	g->d->on_end_arg = g;
	atomic_store(&g->news, 0);
	atomic_store(&g->input_waits, false);
	rc = build(g, why, why_len);
	if (rc)
		guest_destroy(g);
	return rc;
}

int guest_start(struct guest *g)
{
	return hv_domain_start(g->d);
}

void guest_destroy(struct guest *g)
{
	if (!g->d)
		return;
	/* No more requests; then what is under way is waited for, and no page is held any longer. */
	hv_domain_end(g->d, NULL, SHUTDOWN_poweroff, NULL);
	devices_unplug(&g->devices);
	if (g->console_port)
		hv_evtchn_close_host(g->d, g->console_port);
	if (g->store_port)
		hv_evtchn_close_host(g->d, g->store_port);
	g->console_port = g->store_port = 0;
	/* After their ports: no event is under way and none will come. */
	if (g->console)
		consback_close(g->console);
	g->console = NULL;
	if (g->store_conn)
		xs_release(g->store, g->d->domid);
	g->store_conn = NULL;
	xs_domain_forget(g->store, g->d->domid);
	drop_pages(g);
	hv_domain_destroy(g->d);
	g->d = NULL;
}
