#!/bin/bash
# SPDX-License-Identifier: MIT
# The porting guide: its kernel builds outside this tree, from an installed library, by the command that the
# guide gives, and runs; each claim of the self-test that it leans on exists.
. "$(dirname "$0")/../lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
guide=$root/docs/porting.md

# The first C block of the guide is the whole kernel.
awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$guide" >"$work/hello.c"
contains "guide has a kernel" "$work/hello.c" 'void kernel_main'

if ! command -v pkg-config >/dev/null; then
	skip "kernel outside the tree" "no pkg-config (apt-get install pkg-config)"
elif limited 60 make -C "$root" --no-print-directory O="$(realpath "$O")" DESTDIR="$work/dest" PREFIX=/usr \
	install-guest >"$work/log" 2>&1; then
	export PKG_CONFIG_PATH=$work/dest/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/dest
	# shellcheck disable=SC2046
	(cd "$work" && limited 60 ${CC:-cc} -O2 $(pkg-config --cflags pvguest) hello.c -o hello \
		$(pkg-config --libs pvguest)) >"$work/log" 2>&1
	expect "kernel outside the tree: build" 0 $?
	limited 20 "$PARAVANE" run --cmdline "from the guide" "$work/hello" </dev/null >"$work/out" 2>"$work/err"
	expect "kernel outside the tree: run" 0 $?
	contains "kernel outside the tree: words" "$work/out" 'hello: [0-9]+ KiB of memory, command line "from the guide"'

	cp "$root/tests/guests/tour/main.c" "$work/tour.c"
	# shellcheck disable=SC2046
	(cd "$work" && limited 60 ${CC:-cc} -O2 -Wall -Wextra -Werror $(pkg-config --cflags pvguest) tour.c -o tour \
		$(pkg-config --libs pvguest)) >"$work/log" 2>&1
	expect "second example outside the tree: build" 0 $?
	for vcpus in 1 3; do
		limited 20 "$PARAVANE" run --vcpus $vcpus "$work/tour" </dev/null >"$work/out" 2>"$work/err"
		expect "second example, $vcpus vCPUs: run" 0 $?
		expect "second example, $vcpus vCPUs: the others are up" $((vcpus - 1)) "$(grep -c '^vCPU [0-9]* is up' "$work/out")"
		expect "second example, $vcpus vCPUs: words" \
			'3 ticks/system call 1/system call 2/the program touched 0x0 and ends/' \
			"$(tr -d '\r' <"$work/out" | grep -Ev 'KiB of memory|is up$' | tr '\n' '/')"
	done
else
	fail "install-guest" "$(tail -n 3 "$work/log")"
fi

for claim in $(grep -oE '`[a-z]+/[a-z0-9_]+`' "$guide" | tr -d '`' | sort -u); do
	family=${claim%%/*} name=${claim#*/}
	if grep -q "($name)" "$root/tests/guests/selftest/$family.c" 2>/dev/null; then
		pass "claim $claim exists"
	else
		fail "claim $claim" "the guide names it and the self-test has none"
	fi
done
finish
