# SPDX-License-Identifier: MIT
#
# The only Makefile. Three kinds of object, each with flags of its own, all under $(O):
#   host/   the hypervisor, back-ends and toolstack (libc, threads)
#   guest/  the guest library and the guest kernels (freestanding, no red zone)
#   ghost/  the guest library compiled for the host, for unit tests against a fake hypervisor
# Sources are found by folder; a new .c file in one of the folders below needs no edit here.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SECONDARY:

VERSION := 0.1.0
O       ?= build
PREFIX  ?= /usr/local
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
AR      := ar
CFLAGS  ?= -O2 -g
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2))

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(filter 1,$(WERROR)),-Werror)
SAN     := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)

HOST_FLAGS  := -std=gnu11 -I. -D_GNU_SOURCE -DPARAVANE_VERSION='"$(VERSION)"' -pthread $(WARN) $(SAN)
GUEST_FLAGS := -std=gnu11 -I. -ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only \
               -fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-strict-aliasing \
               -fcf-protection=none -ffunction-sections -fdata-sections $(WARN)
# clang says that it has no use for it where nothing is position-independent anyway.
NO_PIE      := $(if $(findstring clang,$(CC)),,-no-pie)
GHOST_FLAGS := -std=gnu11 -I. -DPV_HOSTED_TEST -pthread -fno-strict-aliasing $(WARN) $(SAN)

# The host's side of the ABI sees guest pointers as inert numbers (abi/handle.h).
$(O)/host/hypervisor-stub/% $(O)/host/backends/%: HOST_FLAGS += -DPARAVANE_HOST_ABI

# ---- what there is ---------------------------------------------------------------------------

HOST_DIRS  := backends hypervisor-stub/core hypervisor-stub/core/x86 hypervisor-stub/core/xenstore \
              hypervisor-stub/engines/process hypervisor-stub/engines/kvm hypervisor-stub/fullvirt hypervisor-stub/toolstack
HOST_SRCS  := $(foreach d,$(HOST_DIRS),$(wildcard $(d)/*.c $(d)/*.S))
HOST_MAIN  := hypervisor-stub/toolstack/main.c
HOST_OBJS  := $(patsubst %,$(O)/host/%.o,$(filter-out $(HOST_MAIN),$(HOST_SRCS)))

GUEST_DIRS := pvops pvops/boot pvops/lib pvops/native frontends frontends/native
GUEST_SRCS := $(foreach d,$(GUEST_DIRS),$(wildcard $(d)/*.c $(d)/*.S))
GUEST_OBJS := $(patsubst %,$(O)/guest/%.o,$(GUEST_SRCS))
GHOST_OBJS := $(patsubst %,$(O)/ghost/%.o,$(filter %.c,$(GUEST_SRCS)))

GUESTS     := $(notdir $(patsubst %/,%,$(wildcard tests/guests/*/)))
# A small network stack that guests share; it is no part of the library.
NET_SRCS   := $(wildcard tests/guests/unix/net/*.c)
NET_OBJS   := $(patsubst %,$(O)/guest/%.o,$(NET_SRCS))
GHOST_OBJS += $(patsubst %,$(O)/ghost/%.o,$(NET_SRCS))
GUEST_ELFS := $(foreach g,$(GUESTS),$(O)/guests/$(g))

FAKE_OBJS  := $(patsubst %,$(O)/host/%.o,$(wildcard tests/fake/*.c))
UNITS      := $(sort $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c)))
UNIT_BINS  := $(foreach u,$(UNITS),$(O)/tests/unit/$(u))
# How many test programs run side by side: most of their time is waiting.
CHECK_JOBS ?= $(shell n=$$(nproc 2>/dev/null); [ "$${n:-1}" -gt 1 ] && echo 2 || echo 1)

# ---- main targets ----------------------------------------------------------------------------

.PHONY: all host guest lib guests clean
all: host guest
host: $(O)/paravane $(O)/libparavane.a
guest: lib guests
lib: $(O)/libpvguest.a
guests: $(GUEST_ELFS)

# Static where the toolchain can: a dynamic loader costs a tenth of the time to a guest's first line.
STATIC := $(if $(SAN),,$(shell echo 'int main(void){return 0;}' | $(CC) -static-pie -fPIE -pthread -x c - -o /dev/null 2>/dev/null && echo -static-pie))

$(O)/paravane: $(O)/host/$(HOST_MAIN).o $(O)/libparavane.a
	$(call say,LD,$@)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(STATIC) $(LDFLAGS) -o $@ $^

$(O)/libparavane.a: $(HOST_OBJS)
$(O)/libpvguest.a: $(GUEST_OBJS)
$(O)/libpvguest-hosted.a: $(GHOST_OBJS)
$(O)/libfake.a: $(FAKE_OBJS)
$(O)/%.a:
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@; $(AR) rcs $@ $^

$(O)/host/%.o: %
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) $(EXTRA_$(subst /,_,$<)) -MMD -MP -c -o $@ $<

$(O)/guest/%.o: %
	$(call say,GUESTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_FLAGS) -O2 -g $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/ghost/%.o: %
	$(call say,GHOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GHOST_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# A guest kernel: every source in its folder, the library, the library's linker script.
guest_objs = $(patsubst %,$(O)/guest/%.o,$(wildcard tests/guests/$(1)/*.c tests/guests/$(1)/*.S))
$(O)/guests/%: $$(call guest_objs,$$*) $(O)/libpvguest.a pvops/boot/guest.lds
	$(call say,GUESTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static $(NO_PIE) -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,--no-warn-rwx-segments -Wl,--gc-sections -T pvops/boot/guest.lds -o $@ $(filter %.o,$^) $(O)/libpvguest.a

# ---- tests/guests/unix: its programs, and the archive of them inside the kernel --------------------

# Linked above 1 TiB, where programs live; position-independent code reaches any address.
USER_FLAGS := -std=gnu11 -I. -ffreestanding -fpie -fno-stack-protector -fno-asynchronous-unwind-tables \
              -fno-strict-aliasing -fcf-protection=none -ffunction-sections -fdata-sections $(WARN)
USER_DIR   := tests/guests/unix/user
USER_NAMES := $(patsubst $(USER_DIR)/%.c,%,$(wildcard $(USER_DIR)/*.c)) \
              $(filter-out lib,$(notdir $(patsubst %/,%,$(wildcard $(USER_DIR)/*/))))
USER_PROGS := $(addprefix $(O)/user/bin/,$(USER_NAMES))
USER_LIB   := $(patsubst %,$(O)/user/%.o,$(wildcard $(USER_DIR)/lib/*.c $(USER_DIR)/lib/*.S) \
                pvops/lib/format.c pvops/lib/string.c)

$(O)/user/%.o: %
	$(call say,USERCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_FLAGS) -O2 -g $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<
# A program is one file or one folder.
user_objs = $(patsubst %,$(O)/user/%.o,$(wildcard $(USER_DIR)/$(1).c $(USER_DIR)/$(1)/*.c))
$(O)/user/bin/%: $$(call user_objs,$$*) $(USER_LIB)
	$(call say,USERLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static $(NO_PIE) -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,-z,noseparate-code -Wl,--gc-sections -Wl,--no-relax -Wl,-Ttext-segment=0x10000000000 -s -o $@ $^
$(O)/unix.cpio: $(USER_PROGS) tests/guests/unix/mkcpio.sh
	$(call say,CPIO,$@)
	$(Q)tests/guests/unix/mkcpio.sh bin $(sort $(USER_PROGS)) >$@
$(O)/guests/unix $(O)/guests/netbench: $(NET_OBJS)
$(O)/guest/tests/guests/unix/archive.S.o: $(O)/unix.cpio
$(O)/guest/tests/guests/unix/archive.S.o: GUEST_FLAGS += -DUNIX_ARCHIVE='"$(O)/unix.cpio"'

# ---- tests -----------------------------------------------------------------------------------

CHECK_CFLAGS = $(shell pkg-config --cflags check 2>/dev/null)
CHECK_LIBS   = $(shell pkg-config --libs check 2>/dev/null)

$(O)/host/tests/unit/%.c.o: HOST_FLAGS += $(CHECK_CFLAGS)

$(O)/tests/unit/%: $(O)/host/tests/unit/test_%.c.o tests/unit/runner.c $(O)/libparavane.a $(O)/libpvguest-hosted.a $(O)/libfake.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -DSUITE=$*_suite $(CHECK_CFLAGS) $(LDFLAGS) -o $@ tests/unit/runner.c $< \
	    -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(CHECK_LIBS)

.PHONY: units check-unit $(addprefix unit-,$(UNITS))
units: $(UNIT_BINS)
$(addprefix unit-,$(UNITS)): unit-%: $(O)/tests/unit/%
	$(Q)$<
# It takes a core from everybody else.
ALONE := engine_crowd
check-unit: $(UNIT_BINS)
	$(Q)tests/check.sh -t 90 -j $(CHECK_JOBS) $(addprefix -a ,$(ALONE)) unit $(UNIT_BINS)

# ---- the house: everything a person types -----------------------------------------------------

export O
SETUP_PACKAGES := check pkg-config libxen-dev libclang-rt-14-dev xen-hypervisor-4.17-amd64 xen-utils-4.17 xenstore-utils \
                  linux-image-amd64 busybox-static qemu-system-x86 qemu-utils seabios cpio kmod xz-utils \
                  user-mode-linux grub-xen-host e2fsprogs nbdkit passt podman mandoc
# Kernels of other kinds and generations, for check-linux FULL=1: unpacked under $(O)/kernels, not installed.
LINUX_PACKAGES := linux-image-6.12-amd64 linux-image-cloud-amd64
.PHONY: help setup demo check check-guest check-fuzz check-san check-container fuzz

help:
	@sed -n 's/^#: //p' Makefile

#: make                  build everything under build/ (O=dir elsewhere; V=1 shows commands; WERROR=1 makes warnings errors)
#: make setup            install the Debian packages that the tests use (root, or sudo without a password);
#:                       FULL=1 also fetches further stock kernels into O, without installing them
#: make demo             build, boot guests, fetch a page from one, look at the disk of another
#: make check            all tests: ABI, unit, guests, hostile input, power cuts, bounded fuzzing; CHECK_JOBS=1 one at a time
#: make check-abi        our ABI headers against Xen's
#: make check-unit       unit tests;  make unit-NAME  one of them
#: make check-guest      guests on every engine that works here, command line, kill test
#: make check-fuzz       replay and mutate each corpus for FUZZ_SECONDS (2)
#: make check-san        unit tests and fuzz replay under AddressSanitizer and UndefinedBehaviorSanitizer
#: make check-container  demo and guest tests without capabilities under a container's seccomp profile
#: make check-xen        hello, selftest and the unix guest, with disk and network, on real Xen in an emulator, beside ours
#: make check-linux      Debian's kernel package as a guest (needs /dev/kvm); FULL=1 every one that is here
#: make fuzz TIME=60     every target under libFuzzer (clang) for TIME seconds each
#: make check-powercut    CUTS=300 power cuts under the block back-end: what was flushed is there
#: make hostile          guests that attack, for MINUTES=10 with random seeds
#: make stress MINUTES=10  forks, programs, exits, page faults on 4 vCPUs, counted before and after; many address spaces
#: make bench            the same guest on every system that works here, beside native: about 10 minutes (QUICK=1: one), with a report
#: make bench-compare A=old.tsv B=new.tsv   what changed beyond the noise
#: make soak MINUTES=10   a network interface under full load, its peer killed and restarted, counted before and after
#: make bench-docs TSV=run.tsv  keeps a run as the one that README and docs/benchmarks.md show
#: make bench-micro      the table of micro-benchmarks
#: make bench-engine     the process engine's own paths, without the core
#: make bench-floor      what the host charges for the steps that the process engine is made of
#: make bench-blkback    what the block back-end alone costs, beside pread and pwrite
#: make bench-blk        a guest's disk beside pread, AIO and io_uring, on tmpfs and on the machine's disk
#: make bench-net        a guest's network, over TAP and to another guest, beside a veth pair and a unix socket pair
#: make bench-os         what a guest's programs pay for system calls, faults, forks; beside native and User-mode Linux
#: make bench-exits      exits per operation on the kvm engine, here and under an emulated kvm-amd; FULL=1 Linux there, too
#: make install          DESTDIR= PREFIX=/usr/local
#: make clean            remove O

setup:
	@tests/tools/setup.sh $(SETUP_PACKAGES)
	$(if $(FULL),@tests/tools/kernels.sh $(O)/kernels $(LINUX_PACKAGES))

# The other end of a guest's stream port: the guests' own network stack in a process of the host.
$(O)/host/tests/netpeer/%: HOST_FLAGS += -DPV_HOSTED_TEST
$(O)/tests/netpeer: $(patsubst %,$(O)/host/%.o,$(wildcard tests/netpeer/*.c)) $(O)/libfake.a $(O)/libpvguest-hosted.a $(O)/libparavane.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

# The host's half of what a guest is asked over a TAP device; the dom0 of real Xen has it, too.
$(O)/tests/netcheck: tests/tools/real-xen/netcheck.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $<

.PHONY: net-bins
net-bins: $(O)/tests/netpeer $(O)/tests/netcheck

demo: all $(O)/tests/netpeer
	$(Q)tests/demo.sh

# Those that take longest begin first: two run side by side, and one alone at the end is time lost.
INTEGRATION := $(patsubst %,tests/integration/test_%.sh,unix hostile cli)
INTEGRATION += $(filter-out $(INTEGRATION),$(sort $(wildcard tests/integration/test_*.sh)))

check: all units bench-bins
	$(Q)tests/check-all.sh

check-guest: all hostile-bins net-bins bench-bins fullvirt-bins
	$(Q)tests/check.sh -t 400 -j $(CHECK_JOBS) guest $(INTEGRATION)

# Stock Linux kernels of this machine's /boot on the kvm engine; FULL=1: all of them.
.PHONY: check-linux
check-linux: all $(O)/fullvirt/cpu $(if $(FULL),hostile-bins) $(if $(CHECK_LIBS),$(addprefix $(O)/tests/unit/,engine_kvm engine_hvm))
	$(Q)tests/check.sh -t $(if $(FULL),2000,600) linux tests/linux/test_boot.sh tests/linux/test_range.sh tests/linux/test_kvm_amd.sh

# ---- fuzzing: targets are plain functions ----------------------------------------------------

FUZZ_SECONDS ?= 2
TIME         ?= 60
FUZZ_TARGETS := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BINS    := $(foreach t,$(FUZZ_TARGETS),$(O)/fuzz/$(t))

$(O)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/driver.c $(O)/libparavane.a $(O)/libfake.a $(O)/libpvguest-hosted.a
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) -Wno-missing-prototypes $(CFLAGS) -DTARGET=fuzz_$* $(LDFLAGS) -o $@ tests/fuzz/fuzz_$*.c tests/fuzz/driver.c \
	    -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

$(O)/libfuzzer/%: tests/fuzz/fuzz_%.c tests/fuzz/libfuzzer.c $(O)/libparavane.a $(O)/libfake.a $(O)/libpvguest-hosted.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) -Wno-missing-prototypes -fsanitize=fuzzer $(CFLAGS) -DTARGET=fuzz_$* -o $@ tests/fuzz/fuzz_$*.c \
	    tests/fuzz/libfuzzer.c -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

.PHONY: fuzz-bins libfuzzer-bins
fuzz-bins: $(FUZZ_BINS)
libfuzzer-bins: $(foreach t,$(FUZZ_TARGETS),$(O)/libfuzzer/$(t))
check-fuzz: fuzz-bins
	$(Q)tests/fuzz/run.sh replay $(FUZZ_SECONDS) $(FUZZ_BINS)
fuzz:
	$(Q)$(MAKE) --no-print-directory O=$(O)/clang CC=clang SANITIZE=address,undefined,fuzzer-no-link libfuzzer-bins
	$(Q)tests/fuzz/run.sh libfuzzer $(TIME) $(foreach t,$(FUZZ_TARGETS),$(O)/clang/libfuzzer/$(t))

# Under sanitizers only hosted code runs: the unit tests, the fuzz targets, and the hypervisor that meets hostile
# guests. The process engine starts processes that are emptied of everything, a sanitizer's shadow included, so
# its own test, which looks into them, is left out; and so is the one that takes a core from all others.
SAN_LEFT_OUT := engine_process $(ALONE)
check-san:
	$(Q)$(MAKE) --no-print-directory O=$(O)/san SANITIZE=address,undefined CFLAGS="-O1 -g" san-run
SAN_ENV    := ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
SAN_BINS   := $(filter-out $(addprefix $(O)/tests/unit/,$(SAN_LEFT_OUT)),$(UNIT_BINS))
# Every other one, so that make -j2 runs two at a time.
SAN_EVEN   := $(shell printf '%s\n' $(SAN_BINS) | sed -n '0~2p')
SAN_ODD    := $(filter-out $(SAN_EVEN),$(SAN_BINS))
.PHONY: san-run san-odd san-even
san-odd: $(SAN_BINS)
	$(Q)$(SAN_ENV) tests/check.sh -t 200 san-unit-odd $(SAN_ODD)
san-even: $(SAN_BINS)
	$(Q)$(SAN_ENV) tests/check.sh -t 200 san-unit-even $(SAN_EVEN)
san-run: san-odd san-even $(FUZZ_BINS) hostile-bins $(O)/paravane guests
	$(Q)$(SAN_ENV) HOSTILE_SECONDS=9 tests/check.sh -t 240 san-hostile tests/integration/test_hostile.sh
	$(Q)ASAN_OPTIONS=abort_on_error=1 tests/fuzz/run.sh replay 1 $(FUZZ_BINS)

$(O)/tests/contain: tests/container/contain.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $<
check-container: all $(O)/tests/contain $(O)/tests/netpeer
	$(Q)tests/container/check.sh

$(O)/bench/micro: tests/bench/micro.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $<
.PHONY: bench-micro
bench-micro: all $(O)/bench/micro
	$(Q)$(O)/bench/micro $(O)/paravane $(O)/guests 5 $(O)/bench/micro.tsv

$(O)/host/tests/bench/%: HOST_FLAGS += -DPARAVANE_HOST_ABI
$(O)/bench/engine: $(O)/host/tests/bench/bench_engine.c.o $(O)/libparavane.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $^
.PHONY: bench-engine
bench-engine: $(O)/bench/engine
	$(Q)$(O)/bench/engine

$(O)/bench/floor: $(O)/host/tests/bench/floor.c.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $^
.PHONY: bench-floor
bench-floor: $(O)/bench/floor
	$(Q)$(O)/bench/floor

$(O)/bench/blkback: $(O)/host/tests/bench/blkback.c.o $(O)/libfake.a $(O)/libparavane.a
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group
.PHONY: bench-blkback
bench-blkback: $(O)/bench/blkback
	$(Q)$(O)/bench/blkback $${TMPDIR:-/dev/shm}/paravane-bench-blkback.$$$$ 51

# ---- tests/hostile: guests that attack, and the machine in which they do -------------------------

HOSTILE      := $(notdir $(patsubst %/,%,$(wildcard tests/hostile/*/)))
HOSTILE_ELFS := $(foreach h,$(HOSTILE),$(O)/hostile/$(h))
MINUTES      ?= 10
hostile_objs  = $(patsubst %,$(O)/guest/%.o,$(wildcard tests/hostile/$(1)/*.c tests/hostile/$(1)/*.S))
$(HOSTILE_ELFS): $(O)/hostile/%: $$(call hostile_objs,$$*) $(O)/libpvguest.a pvops/boot/guest.lds
	$(call say,GUESTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static $(NO_PIE) -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,--no-warn-rwx-segments -Wl,--gc-sections -T pvops/boot/guest.lds -o $@ $(filter %.o,$^) $(O)/libpvguest.a
# ---- tests/fullvirt: kernels that boot natively and use nothing of the library -----------------------

FULLVIRT_ELFS := $(patsubst tests/fullvirt/%/,$(O)/fullvirt/%,$(wildcard tests/fullvirt/*/))
fullvirt_objs  = $(patsubst %,$(O)/guest/%.o,$(wildcard tests/fullvirt/$(1)/*.c tests/fullvirt/$(1)/*.S))
$(FULLVIRT_ELFS): $(O)/fullvirt/%: $$(call fullvirt_objs,$$*) tests/fullvirt/%/link.lds
	$(call say,GUESTLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static $(NO_PIE) -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,--no-warn-rwx-segments -T tests/fullvirt/$*/link.lds -o $@ $(filter %.o,$^)
.PHONY: fullvirt-bins
fullvirt-bins: $(FULLVIRT_ELFS)

$(O)/host/tests/hostile/%: HOST_FLAGS += -DPARAVANE_HOST_ABI
$(O)/hostile/harness: $(O)/host/tests/hostile/harness.c.o $(O)/libparavane.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $^
.PHONY: hostile hostile-bins
hostile-bins: $(HOSTILE_ELFS) $(O)/hostile/harness
hostile: hostile-bins
	$(Q)$(O)/hostile/harness -t $$(($(MINUTES) * 60)) -s $$(date +%s) $(O)/hostile/witness $(O)/hostile/attacker

# ---- tests/powercut: storage that loses power under the block back-end -----------------------------

CUTS ?= 300
$(O)/tests/powercut: $(patsubst %,$(O)/host/%.o,$(wildcard tests/powercut/*.c)) $(O)/libparavane.a $(O)/libfake.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread $(SAN) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group
.PHONY: check-powercut
check-powercut: $(O)/tests/powercut
	$(Q)tests/powercut/run.sh $(O)/tests/powercut $(CUTS)

$(O)/bench/blk: tests/bench/blk.c tests/bench/blk_native.c tests/bench/blk_native.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^)
.PHONY: bench-blk
BENCH_FOLDERS ?= /dev/shm $(O)/bench
bench-blk: all $(O)/bench/blk
	$(Q)$(O)/bench/blk $(O)/paravane $(O)/guests $(O)/bench/blk.tsv $(BENCH_ROUNDS) $(BENCH_FOLDERS)

# What the benchmark programs share is in tests/bench, too; each names what it is made of.
BENCH_SRCS := $(addprefix tests/bench/,bench.c machine.c workloads.c workload_net.c systems.c table.c figures.c spawn.c \
              uml.c blk_native.c net_native.c net_place.c)
$(O)/bench/bench: $(BENCH_SRCS) $(wildcard tests/bench/*.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^)
$(O)/bench/report $(O)/bench/diff $(O)/bench/markdown: $(O)/bench/%: tests/bench/%.c tests/bench/table.c tests/bench/table.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^) -lm
.PHONY: bench bench-bins bench-docs bench-compare
bench-bins: $(addprefix $(O)/bench/,bench os-measure report diff markdown)
bench: all bench-bins
	$(Q)$(O)/bench/bench $(O)/paravane $(O)/guests $(O)/bench/os-measure $(O)/bench/bench.tsv $(if $(QUICK),quick)
	$(Q)$(O)/bench/report $(O)/bench/bench.tsv $(O)/bench/bench.html
	@echo "the figures are in $(O)/bench/bench.tsv, with charts in $(O)/bench/bench.html"
bench-docs: $(O)/bench/markdown
	$(Q)tests/bench/docs.sh $(O)/bench/markdown $(TSV)
bench-compare: $(O)/bench/diff
	$(Q)$(O)/bench/diff $(A) $(B)

$(O)/bench/net: $(addprefix tests/bench/,net.c net_place.c net_native.c net_raw.c figures.c spawn.c net_place.h net_native.h net_raw.h figures.h spawn.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^)
.PHONY: bench-net
bench-net: all $(O)/bench/net
	$(Q)$(O)/bench/net $(O)/paravane $(O)/guests $(BENCH_ROUNDS) $(O)/bench/net.tsv

$(O)/bench/os: $(addprefix tests/bench/,os.c figures.c spawn.c uml.c figures.h spawn.h uml.h)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -o $@ $(filter %.c,$^)
$(O)/bench/os-measure: tests/bench/os_measure.c tests/bench/loops.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -static -o $@ $<
$(O)/bench/exits: tests/bench/exits.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_FLAGS) $(CFLAGS) -static -o $@ $<
.PHONY: bench-exits
bench-exits: all $(O)/bench/exits $(O)/bench/os-measure
	$(Q)tests/bench/exits.sh $(if $(FULL),full)
.PHONY: bench-os stress soak
BENCH_ROUNDS ?= 5
bench-os: all $(O)/bench/os $(O)/bench/os-measure
	$(Q)$(O)/bench/os $(O)/paravane $(O)/guests $(O)/bench/os-measure $(BENCH_ROUNDS) $(O)/bench/os.tsv
MINUTES ?= 10
stress: all
	$(Q)tests/tools/stress.sh $(MINUTES)
	$(Q)ROOTS_HEAVY=1 tests/check.sh -t 600 stress-roots tests/integration/test_roots.sh
soak: all $(O)/tests/netpeer
	$(Q)tests/tools/soak.sh $(MINUTES)

# ---- the ABI: headers alone, against Xen's own, and whether a spoilt byte is noticed (abi/README.md) ----------

.PHONY: check-abi
check-abi:
	$(Q)tests/abi/all.sh $(O)/abi

# ---- the judge: the same guests on real Xen (tests/tools/real-xen/README.md) -----------------------------

.PHONY: check-xen
check-xen: $(O)/paravane $(addprefix $(O)/guests/,hello selftest unix blkbench) net-bins
	$(Q)tests/tools/check-xen.sh

# ---- installing: the command, and what a kernel of somebody else's builds on ------------------------------

.PHONY: install install-host install-guest
install: install-host install-guest
install-host: $(O)/paravane
	install -D -m 755 $(O)/paravane "$(DESTDIR)$(PREFIX)/bin/paravane"
	install -D -m 644 docs/man/paravane.1 "$(DESTDIR)$(PREFIX)/share/man/man1/paravane.1"
install-guest: $(O)/libpvguest.a
	install -d "$(DESTDIR)$(PREFIX)/lib/pkgconfig" "$(DESTDIR)$(PREFIX)/include/paravane" "$(DESTDIR)$(PREFIX)/share/paravane"
	install -m 644 $(O)/libpvguest.a "$(DESTDIR)$(PREFIX)/lib/"
	install -m 644 pvops/boot/guest.lds "$(DESTDIR)$(PREFIX)/share/paravane/"
	for h in $$(find abi pvops frontends -name '*.h'); do \
	    install -D -m 644 $$h "$(DESTDIR)$(PREFIX)/include/paravane/$$h" || exit 1; done
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' pvops/pvguest.pc.in > "$(DESTDIR)$(PREFIX)/lib/pkgconfig/pvguest.pc"

clean:
	rm -rf $(O)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
