/* SPDX-License-Identifier: MIT */
/*
 * The systems that `make bench` compares; see systems.h.
 */
#include "tests/bench/systems.h"
#include "tests/bench/uml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const system_key[NR_SYSTEMS] = {
	[NATIVE] = "native",     [PV_PROCESS] = "pv-process",
	[PV_KVM] = "pv-kvm",     [FULL_PROCESS] = "fv-process",
	[FULL_KVM] = "fv-kvm",   [QEMU_TCG] = "qemu-tcg",
	[QEMU_KVM] = "qemu-kvm", [UML] = "uml",
};

const char *const system_title[NR_SYSTEMS] = {
	[NATIVE] = "native process",
	[PV_PROCESS] = "paravirtual, process engine",
	[PV_KVM] = "paravirtual, kvm engine",
	[FULL_PROCESS] = "fully virtual, process",
	[FULL_KVM] = "fully virtual, kvm",
	[QEMU_TCG] = "QEMU, TCG",
	[QEMU_KVM] = "QEMU, KVM",
	[UML] = "User-mode Linux",
};

/* One more argument. What does not fit is a mistake of ours: the arguments are few and short. */
__attribute__((format(printf, 2, 3))) static void add(struct command *c, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(c->text + c->used, sizeof(c->text) - c->used, fmt, ap);
	va_end(ap);
	if (n < 0 || c->used + (size_t)n >= sizeof(c->text) ||
	    c->nr + 1 >= (int)(sizeof(c->argv) / sizeof(c->argv[0])))
		return;
	c->argv[c->nr++] = c->text + c->used;
	c->argv[c->nr] = NULL;
	c->used += (size_t)n + 1;
}

/* Each word of a text. */
static void add_words(struct command *c, const char *words)
{
	size_t len;

	for (; *words; words += len + (words[len] == ' ')) {
		len = strcspn(words, " ");
		if (len)
			add(c, "%.*s", (int)len, words);
	}
}

static void image_and_cmdline(const struct places *p, const struct launch *l, char *image,
                              char *cmdline, size_t size)
{
	snprintf(image, size, "%s/%s", p->guests, l->program ? "unix" : l->image);
	snprintf(cmdline, size, l->program ? "run=bench %s" : "%s",
	         l->program ? l->program : l->cmdline);
}

static void paravane(const struct places *p, const struct launch *l, bool full, const char *engine,
                     struct command *c)
{
	char image[4096], cmdline[256];

	image_and_cmdline(p, l, image, cmdline, sizeof(cmdline));
	add(c, "%s", p->paravane);
	add_words(c, "run --timeout 110");
	if (full)
		add_words(c, "--mode fullvirt");
	add(c, "--engine");
	add(c, "%s", engine);
	add(c, "--memory");
	add(c, "%uM", p->memory_mib);
	add(c, "--cmdline");
	add(c, "%s", cmdline);
	if (l->disk) {
		add(c, "--disk");
		add(c, "%s", l->disk);
	}
	if (l->tap) {
		add(c, "--vif");
		add(c, "tap:%s", l->tap);
	}
	add(c, "%s", image);
}

static void qemu(const struct places *p, const struct launch *l, const char *accel,
                 struct command *c)
{
	char image[4096], cmdline[256];

	image_and_cmdline(p, l, image, cmdline, sizeof(cmdline));
	add(c, "%s", p->qemu);
	add_words(c, "-nodefaults -no-user-config -no-reboot -display none -serial stdio -machine "
	             "pc -accel");
	add(c, "%s", accel);
	add(c, "-m");
	add(c, "%u", p->memory_mib);
	if (l->disk) {
		add(c, "-drive");
		add(c, "file=%s,if=ide,format=raw,cache=writeback", l->disk);
	}
	if (l->tap) {
		add(c, "-netdev");
		add(c, "tap,id=n,ifname=%s,script=no,downscript=no", l->tap);
		add(c, "-device");
		add(c, "e1000,netdev=n");
	}
	add(c, "-kernel");
	add(c, "%s", image);
	add(c, "-append");
	add(c, "%s", cmdline);
}

static void uml(const struct places *p, const struct launch *l, struct command *c)
{
	add(c, "%s", p->uml);
	add(c, "mem=%uM", p->memory_mib);
	add(c, "initrd=%s/" UML_ROOT, p->scratch);
	add_words(c, "umid=" UML_ID);
	add(c, "uml_dir=%s", p->scratch);
	add_words(c, "con0=fd:0,fd:1 con=null ssl=null quiet --");
	add_words(c, l->program);
}

bool system_command(const struct places *p, enum system s, const struct launch *l,
                    struct command *c)
{
	*c = (struct command){ 0 };
	switch (s) {
	case NATIVE:
		if (!l->program)
			return false;
		add(c, "%s", p->measure);
		add_words(c, l->program);
		return true;
	case PV_PROCESS:
	case PV_KVM:
	case FULL_PROCESS:
	case FULL_KVM:
		paravane(p, l, s == FULL_PROCESS || s == FULL_KVM,
		         s == PV_PROCESS || s == FULL_PROCESS ? "process" : "kvm", c);
		return true;
	case QEMU_TCG:
	case QEMU_KVM:
		qemu(p, l, s == QEMU_TCG ? "tcg" : "kvm", c);
		return true;
	case UML:
		if (!l->program)
			return false;
		uml(p, l, c);
		return true;
	default:
		return false;
	}
}
