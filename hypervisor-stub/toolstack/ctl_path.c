/* SPDX-License-Identifier: MIT */
/*
 * The control socket at a path; see ctl_path.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/ctl_path.h"

bool ctl_is_path(const char *text)
{
	return text[0] == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3);
}

socklen_t ctl_path_address(struct sockaddr_un *sun, const char *path)
{
	size_t len = strlen(path);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (len >= sizeof(sun->sun_path))
		return 0;
	memcpy(sun->sun_path, path, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static bool is_ours(const struct ctl_path *p)
{
	struct stat st;

	return !lstat(p->sun.sun_path, &st) && st.st_dev == p->dev && st.st_ino == p->ino;
}

/* For the janitor too. */
static void take_away(const void *arg)
{
	const struct ctl_path *p = arg;

	if (is_ours(p))
		unlink(p->sun.sun_path);
}

/* A socket at which nobody listens any more goes. 0; -EADDRINUSE: somebody does; -EEXIST: no socket. */
static int remove_stale(const struct ctl_path *p, socklen_t len)
{
	struct stat st;
	int fd, rc = -EADDRINUSE;

	if (lstat(p->sun.sun_path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&p->sun, len) && errno == ECONNREFUSED)
		rc = unlink(p->sun.sun_path) ? -errno : 0;
	close(fd);
	return rc;
}

static int bind_it(const struct ctl_path *p, socklen_t len)
{
	int rc = bind(p->fd, (const struct sockaddr *)&p->sun, len) ? -errno : 0;

	if (rc != -EADDRINUSE)
		return rc;
	rc = remove_stale(p, len);
	if (!rc && bind(p->fd, (const struct sockaddr *)&p->sun, len))
		rc = -errno;
	return rc;
}

static int make(struct ctl_path *p, socklen_t len, int backlog)
{
	struct stat st;
	int rc;

	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return -errno;
	/* Before it has a name: at no time anybody else may connect. */
	if (fchmod(p->fd, 0600))
		return -errno;
	rc = bind_it(p, len);
	if (rc)
		return rc;
	if (lstat(p->sun.sun_path, &st))
		return -errno;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	rc = listen(p->fd, backlog) ? -errno : janitor_start(&p->janitor, take_away, p);
	if (rc)
		take_away(p);
	return rc;
}

int ctl_path_open(struct ctl_path *p, const char *path, int backlog, char *why, size_t why_len)
{
	socklen_t len = ctl_path_address(&p->sun, path);
	int rc = len ? make(p, len, backlog) : -ENAMETOOLONG;

	if (!rc)
		return 0;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (rc == -EADDRINUSE)
		return hv_why(why, why_len, rc,
		              "--control: a machine listens at %s already; give another path",
		              path);
	if (rc == -EEXIST)
		return hv_why(why, why_len, rc,
		              "--control: %s is there and no socket; give another path", path);
	return hv_why(why, why_len, rc, "--control: no socket can be made at %s: %s", path,
	              strerror(-rc));
}

void ctl_path_close(struct ctl_path *p)
{
	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	/* Should somebody have ended the janitor. */
	take_away(p);
	janitor_end(&p->janitor);
}
