/* SPDX-License-Identifier: MIT */
/*
 * The nodes that every guest expects to find, written as xl writes them.
 *
 * Everything is written in one transaction of the host: a guest or a watcher sees all or nothing.
 *
 * Source: the names and permissions of Xen's docs/misc/xenstore-paths.pandoc, and of a running xl.
 */
#include "hypervisor-stub/core/xenstore/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DOMAIN_BASE "/local/domain/"

struct populate {
	struct xs_host *h;
	struct xs_tx *tx;
	const struct xs_domain_info *info;
	char uuid[37];
	int rc; /* of the first step that failed: the rest does nothing */
};

static void format_uuid(char *out, const uint8_t *u)
{
	sprintf(out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
	        u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13],
	        u[14], u[15]);
}

/* A node of the domain's folder with a value; it has the permissions of the folder it is in. */
static void put(struct populate *p, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), DOMAIN_BASE "%u/%s", p->info->domid, name);
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, path, value, strlen(value));
}

static void put_number(struct populate *p, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put(p, name, text);
}

static void make(struct populate *p, const char *path, const char *perms)
{
	if (!p->rc)
		p->rc = xs_host_mkdir(p->h, p->tx, path);
	if (!p->rc)
		p->rc = xs_host_set_perms(p->h, p->tx, path, perms);
}

/* A folder that the guest may read; name NULL: the domain's own. */
static void make_readable(struct populate *p, const char *name)
{
	char path[256], perms[16];

	snprintf(path, sizeof(path), DOMAIN_BASE "%u%s%s", p->info->domid, name ? "/" : "",
	         name ? name : "");
	snprintf(perms, sizeof(perms), "n0,r%u", p->info->domid);
	make(p, path, perms);
}

/* A node that belongs to the guest. */
static void make_owned(struct populate *p, const char *name)
{
	char path[256], perms[16];

	snprintf(path, sizeof(path), DOMAIN_BASE "%u/%s", p->info->domid, name);
	snprintf(perms, sizeof(perms), "n%u", p->info->domid);
	make(p, path, perms);
}

static void put_vm(struct populate *p)
{
	char path[256], perms[16];

	snprintf(path, sizeof(path), "/vm/%s", p->uuid);
	snprintf(perms, sizeof(perms), "n0,r%u", p->info->domid);
	p->rc = xs_host_mkdir(p->h, p->tx, "/vm");
	if (!p->rc)
		p->rc = xs_host_rm(p->h, p->tx, path);
	make(p, path, perms);
	put(p, "vm", path);
	snprintf(path, sizeof(path), "/vm/%s/uuid", p->uuid);
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, path, p->uuid, strlen(p->uuid));
	snprintf(path, sizeof(path), "/vm/%s/name", p->uuid);
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, path, p->info->name, strlen(p->info->name));
	snprintf(path, sizeof(path), "/vm/%s/image/ostype", p->uuid);
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, path, "linux", 5);
	snprintf(path, sizeof(path), "/vm/%s/start_time", p->uuid);
	if (!p->rc)
		p->rc = xs_host_printf(p->h, p->tx, path, "%lld.00", (long long)time(NULL));
}

static void put_folders(struct populate *p)
{
	static const char *const readable[] = { "cpu",     "memory",  "device",
		                                "control", "console", "store" };
	static const char *const owned[] = {
		"device/suspend/event-channel",
		"control/shutdown",
		"control/feature-poweroff",
		"control/feature-reboot",
		"control/feature-suspend",
		"control/sysrq",
		"data",
		"drivers",
		"feature",
		"attr",
		"error",
	};
	size_t i;

	for (i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
		make_readable(p, readable[i]);
	for (i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		make_owned(p, owned[i]);
}

static void put_values(struct populate *p)
{
	const struct xs_domain_info *info = p->info;
	char name[40];
	unsigned i;

	put(p, "name", info->name);
	put_number(p, "domid", info->domid);
	put_number(p, "memory/static-max", info->max_memory_kib);
	put_number(p, "memory/target", info->memory_kib);
	put(p, "memory/videoram", "0");
	for (i = 0; i < info->max_vcpus; i++) {
		snprintf(name, sizeof(name), "cpu/%u/availability", i);
		put(p, name, i < info->nr_vcpus ? "online" : "offline");
	}
	put_number(p, "store/port", info->store_port);
	put_number(p, "store/ring-ref", info->store_mfn);
	put_number(p, "console/port", info->console_port);
	put_number(p, "console/ring-ref", info->console_mfn);
	put(p, "console/type", "xenconsoled");
	put(p, "console/output", "pty");
	put(p, "console/limit", "1048576");
	put(p, "console/tty", info->console_tty ? info->console_tty : "");
	put(p, "control/platform-feature-multiprocessor-suspend", "1");
	put(p, "control/platform-feature-xs_reset_watches", "1");
}

/* Our own "domain 0": what a guest's back-ends live under. */
static void put_domain0(struct populate *p)
{
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, DOMAIN_BASE "0/domid", "0", 1);
	if (!p->rc)
		p->rc = xs_host_write(p->h, p->tx, DOMAIN_BASE "0/name", "Domain-0", 8);
}

static int populate(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	struct populate *p = arg;
	char path[64];

	p->h = h;
	p->tx = tx;
	put_domain0(p);
	snprintf(path, sizeof(path), DOMAIN_BASE "%u", p->info->domid);
	if (!p->rc)
		p->rc = xs_host_rm(h, tx, path);
	make_readable(p, NULL);
	if (!p->rc)
		put_vm(p);
	put_folders(p);
	put_values(p);
	return p->rc;
}

static int add_domain(struct xs_store *s, domid_t domid)
{
	int rc;

	xs_lock(s);
	rc = xs_domain_add(s, domid);
	xs_unlock(s);
	return rc;
}

int xs_domain_populate(struct xs_store *s, const struct xs_domain_info *info)
{
	struct populate p = { .info = info };
	struct xs_host *h;
	int rc;

	if (!info->name || strlen(info->name) > XENSTORE_PAYLOAD_MAX)
		return -EINVAL;
	rc = add_domain(s, info->domid);
	if (rc)
		return rc;
	format_uuid(p.uuid, info->uuid);
	rc = xs_host_open(s, &h);
	if (rc)
		return rc;
	rc = xs_host_transact(h, populate, &p);
	xs_host_close(h);
	return rc;
}

static int forget(struct xs_host *h, struct xs_tx *tx, void *arg)
{
	domid_t domid = *(domid_t *)arg;
	char path[64], *vm;
	int rc;

	snprintf(path, sizeof(path), DOMAIN_BASE "%u/vm", domid);
	rc = xs_host_read(h, tx, path, &vm, NULL);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	if (!strncmp(vm, "/vm/", 4))
		xs_host_rm(h, tx, vm);
	free(vm);
	snprintf(path, sizeof(path), DOMAIN_BASE "%u", domid);
	return xs_host_rm(h, tx, path);
}

void xs_domain_forget(struct xs_store *s, domid_t domid)
{
	struct xs_host *h;

	if (xs_host_open(s, &h))
		return;
	xs_host_transact(h, forget, &domid);
	xs_host_close(h);
}
