/* SPDX-License-Identifier: MIT */
/*
 * Network interfaces as devices of a guest; see vif.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/core/elf.h"
#include "hypervisor-stub/toolstack/vif.h"

#define MAC_TEXT     18 /* bytes, the end included */
#define MAX_FORWARDS 16
#define PASST_MTU    65520 /* what passt takes: a frame of 64 KiB */
#define END_MS       2000  /* for passt to end by itself */

/* ---- LANs ------------------------------------------------------------------------------------- */

struct vif_lan {
	struct vif_lan *next;
	struct netlan *lan;
	char name[64];
	bool isolated, has_uplink;
	pid_t passt; /* of its way out */
	unsigned users;
};

static struct vif_lan *lans;

static int open_uplink(struct vif_lan *l, const char *uplink, char *why, size_t why_len);

static void put_lan(struct vif_lan *l);
static void end_passt(pid_t pid);

static int get_lan(struct vif_lan **out, const struct vif_spec *s, char *why, size_t why_len)
{
	struct vif_lan *l = lans;
	int rc;

	while (l && strcmp(l->name, s->target))
		l = l->next;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l || netlan_create(&l->lan, s->isolated)) {
			free(l);
			return hv_why(why, why_len, -ENOMEM, "memory is short; free some");
		}
		strcpy(l->name, s->target);
		l->isolated = s->isolated;
		l->next = lans;
		lans = l;
	} else if (l->isolated != s->isolated) {
		return hv_why(why, why_len, -EINVAL,
		              "lan:%s is %sisolated already; say the same for all its interfaces",
		              l->name, l->isolated ? "" : "not ");
	}
	l->users++;
	rc = s->uplink[0] && !l->has_uplink ? open_uplink(l, s->uplink, why, why_len) : 0;
	if (rc)
		put_lan(l);
	else
		*out = l;
	return rc;
}

static void put_lan(struct vif_lan *l)
{
	struct vif_lan **at = &lans;

	if (--l->users)
		return;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	netlan_destroy(l->lan);
	end_passt(l->passt);
	free(l);
}

/* ---- ports ------------------------------------------------------------------------------------ */

/* Becomes passt, which serves the socket 3. Between fork and exec: nothing that takes a lock. */
static void become_passt(int sock, char *const *argv)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* It goes with us, also when we are killed. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (dup2(sock, 3) == 3)
		execvp(argv[0], argv);
	_exit(127);
}

static int start_passt(const char *forward, int *fd, pid_t *pid, char *why, size_t why_len)
{
	char *argv[8 + 2 * MAX_FORWARDS] = {
		"passt", "--foreground", "--quiet", "--fd", "3", NULL
	};
	char ports[VIF_TEXT], *next = ports;
	unsigned n = 5;
	int s[2];

	strcpy(ports, forward);
	while (next && *next && n < 5 + 2 * MAX_FORWARDS) {
		argv[n++] = "-t";
		argv[n++] = strsep(&next, "+");
	}
	argv[n] = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		return hv_why(why, why_len, -errno,
		              "no descriptor is left for passt; allow more "
		              "(ulimit -n)");
	*pid = fork();
	if (!*pid)
		become_passt(s[1], argv);
	close(s[1]);
	if (*pid < 0) {
		close(s[0]);
		return hv_why(why, why_len, -errno, "passt cannot be started: %s", strerror(errno));
	}
	*fd = s[0];
	return 0;
}

static void end_passt(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	for (int ms = 0; ms < END_MS; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int connect_to(const char *path, int type, int *fd, char *why, size_t why_len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int rc;

	strcpy(a.sun_path, path);
	*fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return hv_why(why, why_len, -errno,
		              "no descriptor is left; allow more (ulimit -n)");
	if (type == SOCK_DGRAM) {
		/* An address of our own, of the kernel's choosing, so that it can be answered. */
		struct sockaddr_un own = { .sun_family = AF_UNIX };

		if (bind(*fd, (struct sockaddr *)&own, sizeof(own.sun_family)))
			goto fail;
	}
	if (!connect(*fd, (struct sockaddr *)&a, sizeof(a)))
		return 0;
fail:
	rc = -errno;
	close(*fd);
	return hv_why(why, why_len, rc, "no network program answers at %s: %s; start it first",
	              path, strerror(-rc));
}

/* A port that is no LAN's. */
static int open_port(struct netport **port, const struct vif_spec *s, pid_t *pid, char *why,
                     size_t why_len)
{
	int fd, rc;

	switch (s->kind) {
	case VIF_TAP:
		return netport_open_tap(port, s->target, s->queues, why, why_len);
	case VIF_STREAM:
		rc = connect_to(s->target, SOCK_STREAM, &fd, why, why_len);
		return rc ? rc : netport_open_stream(port, fd, s->target, why, why_len);
	case VIF_DGRAM:
		rc = connect_to(s->target, SOCK_DGRAM, &fd, why, why_len);
		return rc ? rc : netport_open_dgram(port, fd, s->target, why, why_len);
	default:
		rc = start_passt(s->forward, &fd, pid, why, why_len);
		return rc ? rc : netport_open_stream(port, fd, NULL, why, why_len);
	}
}

static int open_uplink(struct vif_lan *l, const char *uplink, char *why, size_t why_len)
{
	struct netport *port;
	struct vif_spec s;
	int rc = vif_spec_parse(&s, uplink, why, why_len);

	if (!rc)
		rc = open_port(&port, &s, &l->passt, why, why_len);
	if (rc)
		return rc;
	rc = netlan_uplink(l->lan, port);
	if (rc) {
		port->ops->close(port);
		return hv_why(why, why_len, rc, "lan:%s: the way out %s cannot be used: %s",
		              l->name, uplink, strerror(-rc));
	}
	l->has_uplink = true;
	return 0;
}

static int open_all(struct vif *v, char *why, size_t why_len)
{
	const struct vif_spec *s = &v->spec;
	struct netport_name name;
	struct netport *inner;
	int rc;

	if (s->kind == VIF_LAN) {
		rc = get_lan(&v->lan, s, why, why_len);
		if (!rc && netlan_port(v->lan->lan, &inner))
			rc = hv_why(why, why_len, -ENOSPC, "lan:%s has no more ports", s->target);
	} else {
		rc = open_port(&inner, s, &v->passt, why, why_len);
	}
	if (rc)
		return rc;
	v->port = inner;
	if (!s->capture[0])
		return 0;
	snprintf(name.text, sizeof(name.text), "vif%u", s->id);
	memcpy(name.mac, s->mac, sizeof(name.mac));
	return netport_open_capture(&v->port, inner, s->capture, &name, why, why_len);
}

/* ---- the interface ---------------------------------------------------------------------------- */

static void close_all(struct vif *v)
{
	if (v->port)
		v->port->ops->close(v->port);
	if (v->lan)
		put_lan(v->lan);
	end_passt(v->passt);
	free(v);
}

static int choose_number(struct vif *v, struct device_list *taken, char *why, size_t why_len)
{
	if (v->spec.id == VIF_NO_ID) {
		v->spec.id = 0;
		while (devices_find(taken, &vif_kind, v->spec.id))
			v->spec.id++;
	} else if (devices_find(taken, &vif_kind, v->spec.id)) {
		return hv_why(why, why_len, -EEXIST,
		              "the guest has a network interface %u; give it another devid",
		              v->spec.id);
	}
	return 0;
}

/* One of those that Xen hands out: the last three bytes are chance. */
static void choose_mac(struct vif *v)
{
	static const uint8_t prefix[3] = { 0x00, 0x16, 0x3e };

	if (v->spec.has_mac)
		return;
	memcpy(v->spec.mac, prefix, sizeof(prefix));
	if (getrandom(v->spec.mac + 3, 3, 0) != 3) {
		uint32_t n = (uint32_t)getpid() * 256 + v->spec.id;

		memcpy(v->spec.mac + 3, &n, 3);
	}
	v->spec.mac[3] &= 0x7f;
}

static const char *capture_all; /* of interfaces that say nothing of a capture; NULL: none */

void vif_capture_all(const char *path)
{
	capture_all = path;
}

/* What the text says, with paths as the one who wrote it means them. */
static int read_spec(struct vif_spec *s, const char *text, const char *folder, char *why,
                     size_t why_len)
{
	int rc = vif_spec_parse(s, text, why, why_len);

	if (!rc && (s->kind == VIF_STREAM || s->kind == VIF_DGRAM))
		rc = device_path(s->target, VIF_PATH, folder, why, why_len);
	if (!rc && !s->capture[0] && capture_all)
		snprintf(s->capture, sizeof(s->capture), "%s", capture_all);
	else if (!rc)
		rc = device_path(s->capture, sizeof(s->capture), folder, why, why_len);
	return rc;
}

static int open_vif(struct device **out, const char *text, const char *folder,
                    struct device_list *taken, char *why, size_t why_len)
{
	struct vif *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return hv_why(why, why_len, -ENOMEM, "memory is short; free some");
	rc = read_spec(&v->spec, text, folder, why, why_len);
	if (!rc)
		rc = choose_number(v, taken, why, why_len);
	choose_mac(v);
	if (!rc)
		rc = open_all(v, why, why_len);
	if (rc) {
		close_all(v);
		return rc;
	}
	device_init(&v->dev, &vif_kind, v->spec.id);
	*out = &v->dev;
	return 0;
}

static bool parse_number(const char *name, unsigned *id)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	*id = (unsigned)n;
	return name[0] >= '0' && name[0] <= '9' && !*end && n < VIF_NO_ID;
}

static const char *vif_name(struct device *dev, char *name, size_t size)
{
	snprintf(name, size, "%u", dev->id);
	return name;
}

static const char *mac_text(const struct vif *v, char text[MAC_TEXT])
{
	const uint8_t *m = v->spec.mac;

	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
	         m[5]);
	return text;
}

static int row(struct device *dev, char *row, size_t size)
{
	struct vif *v = vif_of(dev);
	char mac[MAC_TEXT];

	return snprintf(row, size, "%u\t%s\t%s\t%s\t%s", dev->id, mac_text(v, mac),
	                device_state(dev), v->port->kind, v->spec.target[0] ? v->spec.target : "-");
}

/* 0: what the port says, or nothing. */
static unsigned mtu_of(const struct vif *v)
{
	return !v->spec.mtu && v->spec.kind == VIF_PASST ? PASST_MTU : v->spec.mtu;
}

static int create(struct device *dev)
{
	struct vif *v = vif_of(dev);
	struct netback_options options = { .max_queues = v->spec.queues ? v->spec.queues : 1,
		                           .mtu = mtu_of(v),
		                           .rate = v->spec.rate };
	struct netback *b;
	int rc;

	memcpy(options.mac, v->spec.mac, sizeof(options.mac));
	rc = netback_create(&b, &dev->host, v->port, &options);
	if (!rc)
		dev->backend = b;
	return rc;
}

static void destroy(struct device *dev)
{
	struct netback_stats s;

	netback_get_stats(dev->backend, &s);
	device_add_stats(&vif_of(dev)->past, &s, sizeof(s));
	netback_destroy(dev->backend);
}

/* As xl 4.17 writes them; what its scripts need is left out. */
static void nodes(struct device *dev, struct device_nodes *n)
{
	const struct vif *v = vif_of(dev);
	char mac[MAC_TEXT];

	mac_text(v, mac);
	device_put_back(n, "handle", "%u", dev->id);
	device_put_back(n, "mac", "%s", mac);
	device_put_back(n, "type", "vif");
	device_put_back(n, "hotplug-status", "connected");
	device_put_front(n, "handle", "%u", dev->id);
	device_put_front(n, "mac", "%s", mac);
	if (mtu_of(v))
		device_put_front(n, "mtu", "%u", mtu_of(v));
}

static void free_vif(struct device *dev)
{
	close_all(vif_of(dev));
}

static void stats(struct device *dev, const char *guest, FILE *out)
{
	struct vif *v = vif_of(dev);
	struct netback_stats s = v->past, now;

	if (dev->is_plugged) {
		netback_get_stats(dev->backend, &now);
		device_add_stats(&s, &now, sizeof(s));
	}
	fprintf(out,
	        "%s vif%u: sent %" PRIu64 " packets of %" PRIu64 " KiB (%" PRIu64
	        " to be segmented), %" PRIu64 " dropped, %" PRIu64 " malformed; received %" PRIu64
	        " of %" PRIu64 " KiB (%" PRIu64 "), %" PRIu64 " dropped\n",
	        guest, dev->id, s.tx_packets, s.tx_bytes / 1024, s.tx_gso, s.tx_dropped,
	        s.tx_errors, s.rx_packets, s.rx_bytes / 1024, s.rx_gso, s.rx_dropped);
	fprintf(out,
	        "%s vif%u: %" PRIu64 " events in, %" PRIu64 " out, held back %" PRIu64 " times\n",
	        guest, dev->id, s.events_in, s.events_out, s.stops);
}

const struct device_kind vif_kind = {
	.kind = "vif",
	.noun = "network interface",
	.verb = "network",
	.driver = &netback_driver,
	.open = open_vif,
	.number = parse_number,
	.name = vif_name,
	.row = row,
	.create = create,
	.destroy = destroy,
	.nodes = nodes,
	.free = free_vif,
	.stats = stats,
};
