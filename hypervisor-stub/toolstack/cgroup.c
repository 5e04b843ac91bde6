/* SPDX-License-Identifier: MIT */
/*
 * Control groups of domains; see cgroup.h.
 *
 * Version 1 moves single threads by the file `tasks`. Version 2 does so between the groups of a threaded
 * subtree: the first threaded child makes our own group its root, which may then have processes and the
 * cpu controller for its children, both at once.
 *
 * Source: Linux Documentation/admin-guide/cgroup-v2.rst ("Threads"), cgroup-v1/cgroups.rst,
 * scheduler/sched-bwc.rst; proc(5) for mountinfo.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/toolstack/cgroup.h"

#define PERIOD_US    100000u
#define REMOVE_TRIES 1000 /* of 5 ms: guest processes die after us */

const struct cgroup_host cgroup_host = { "/proc/self/cgroup", "/proc/self/mountinfo" };

/* ---- finding ----------------------------------------------------------------------------------- */

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
		if (!strncmp(at, word, len) && (!at[len] || strchr(", \n", at[len])))
			return true;
	}
	return false;
}

/* Our path in a hierarchy: a line "NUMBER:CONTROLLERS:PATH", with no controllers in version 2. */
static bool own_path(const char *file, bool v2, char *path, size_t size)
{
	char line[1024], *controllers, *at;
	FILE *f = fopen(file, "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		controllers = strchr(line, ':');
		at = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!at || at[1] != '/')
			continue;
		*at++ = 0;
		controllers++;
		found = v2 ? !*controllers : has_word(controllers, "cpu");
		if (found && snprintf(path, size, "%s", at) >= (int)size)
			found = false;
	}
	if (f)
		fclose(f);
	return found;
}

/* "36 35 98:0 ROOT MOUNTPOINT options ... - TYPE SOURCE SUPEROPTIONS" */
static bool is_mount(char *line, bool v2, char **root, char **point)
{
	char *type = strstr(line, " - "), *save = NULL, *super;

	if (!type)
		return false;
	*type = 0;
	type += 3;
	super = strrchr(type, ' ');
	if (v2 ? strncmp(type, "cgroup2 ", 8)
	       : strncmp(type, "cgroup ", 7) || !super || !has_word(super + 1, "cpu"))
		return false;
	*root = strtok_r(line, " ", &save);
	for (unsigned i = 0; i < 3 && *root; i++)
		*root = strtok_r(NULL, " ", &save);
	*point = strtok_r(NULL, " ", &save);
	/* Names with blanks and the like are written in octal; no such hierarchy is ours. */
	return *root && *point && !strchr(*point, '\\') && !strchr(*root, '\\');
}

static bool find_dir(const struct cgroup_host *h, bool v2, char *dir, size_t size)
{
	char path[512], line[2048], *root, *point;
	FILE *f = fopen(h->mounts, "re");
	bool found = false;

	if (f && own_path(h->self, v2, path, sizeof(path))) {
		while (!found && fgets(line, sizeof(line), f)) {
			const char *below = path;
			size_t len;

			line[strcspn(line, "\n")] = 0;
			if (!is_mount(line, v2, &root, &point))
				continue;
			/* A container may have a part of the hierarchy mounted. */
			len = strcmp(root, "/") ? strlen(root) : 0;
			if (len && !strncmp(path, root, len))
				below += len;
			found = snprintf(dir, size, "%s%s", point,
			                 strcmp(below, "/") ? below : "") < (int)size;
		}
	}
	if (f)
		fclose(f);
	return found && !strstr(dir, "/../");
}

static bool file_has(const char *dir, const char *name, const char *word)
{
	char path[1200], text[512] = "", *save = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		if (!strcmp(w, word))
			return true;
	}
	return false;
}

int cgroup_find(const struct cgroup_host *h, char *dir, size_t size)
{
	if (find_dir(h, true, dir, size) && file_has(dir, "cgroup.controllers", "cpu"))
		return 2;
	return find_dir(h, false, dir, size) ? 1 : -ENOENT;
}

/* ---- making ------------------------------------------------------------------------------------ */

static int put(const char *dir, const char *name, const char *text)
{
	char path[1200];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int set_cap(const char *own, const struct cgroup *g, unsigned percent)
{
	unsigned quota = PERIOD_US / 100 * percent;
	char text[64];
	int rc;

	if (g->is_v2) {
		rc = put(g->dir, "cgroup.type", "threaded");
		if (!rc && !file_has(own, "cgroup.subtree_control", "cpu"))
			rc = put(own, "cgroup.subtree_control", "+cpu");
		snprintf(text, sizeof(text), "%u %u", quota, PERIOD_US);
		return rc ? rc : put(g->dir, "cpu.max", text);
	}
	snprintf(text, sizeof(text), "%u", PERIOD_US);
	rc = put(g->dir, "cpu.cfs_period_us", text);
	snprintf(text, sizeof(text), "%u", quota);
	return rc ? rc : put(g->dir, "cpu.cfs_quota_us", text);
}

int cgroup_join(const struct cgroup *g)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", (long)syscall(SYS_gettid));
	return put(g->dir, g->is_v2 ? "cgroup.threads" : "tasks", text);
}

static void *try_to_join(void *arg)
{
	return (void *)(intptr_t)cgroup_join(arg);
}

/* Whether threads may go there at all: one that then ends tries it. */
static int try_group(struct cgroup *g)
{
	pthread_t thread;
	void *rc;

	if (pthread_create(&thread, NULL, try_to_join, g))
		return -EAGAIN;
	pthread_join(thread, &rc);
	return (int)(intptr_t)rc;
}

static int remove_dir(const char *dir)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (unsigned i = 0; i < REMOVE_TRIES; i++) {
		if (!rmdir(dir) || errno == ENOENT)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -errno;
}

static void clean(const void *dir)
{
	remove_dir(dir);
}

int cgroup_make(struct cgroup *g, const struct cgroup_host *h, const char *name, unsigned percent)
{
	struct cgroup made = { .dir = "" };
	char own[800];
	int rc = cgroup_find(h, own, sizeof(own));

	if (rc < 0)
		return rc;
	made.is_v2 = rc == 2;
	snprintf(made.dir, sizeof(made.dir), "%s/paravane.%d.%s", own, (int)getpid(), name);
	if (mkdir(made.dir, 0755))
		return -errno;
	rc = set_cap(own, &made, percent);
	if (!rc)
		rc = try_group(&made);
	if (!rc)
		rc = janitor_start(&made.janitor, clean, made.dir);
	if (rc)
		remove_dir(made.dir);
	else
		*g = made;
	return rc;
}

void cgroup_remove(struct cgroup *g)
{
	if (!g->dir[0])
		return;
	janitor_end(&g->janitor);
	/* Somebody may have ended it. */
	remove_dir(g->dir);
	g->dir[0] = 0;
}
