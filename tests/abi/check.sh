#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Are our headers usable alone, and are they Xen's?
#
#   check.sh ROOT OUT [PART...]     ROOT holds abi/, OUT is for what is made on the way
#
#   alone    each header by itself: C11 (gcc, and clang where there is one), C++, assembly, the host's side;
#            freestanding, and it includes nothing but abi/, <stdint.h> and <stddef.h>
#   layout   every structure and field pinned in the headers; the host's side laid out like the guest's;
#            all of it, and typedefs and enumerators, compared with Xen's headers
#   values   every constant compared with Xen's, in C and in the assembler; macros with arguments by what they do
#   reverse  everything in the corresponding headers of Xen is ours, or stands in abi/README.md as not supported
#   docs     offsets, sizes and numbers in the tables of docs/abi.md are those of the headers; files that
#            abi/README.md names exist
#
# The lists are taken from the headers by program: from the preprocessor (-dM) and from the debugging information of
# one object that includes them all. So what is added without a twin fails.
#
# Environment: XEN_INCLUDE, the folder that holds xen/ (/usr/include); XEN_FACTS, the OUT of an earlier run
# whose facts about Xen's headers are to be used again; ALONE, the only headers to compile alone.
# Exit status: 0 when nothing failed. The last line of output is "headers: N passed, N failed, N skipped".
set -u
LC_ALL=C
export LC_ALL

here=$(dirname "$0")
root=$1
out=$2
shift 2
all="alone layout values reverse docs"
parts=${*:-$all}
# gcc whatever builds the rest: the way that constants are told from phrases needs its options.
CC=gcc
CXX=g++
XEN_INCLUDE=${XEN_INCLUDE:-/usr/include}
xen_flags="-isystem $XEN_INCLUDE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__"
# Debian's release of Xen that the lists were written for; with another one a missing twin is only told.
known_interface=0x00040e00

rm -rf "$out"
mkdir -p "$out" || exit 2
# Generated sources name each other: by absolute paths, wherever we were started.
out=$(cd "$out" && pwd)
root=$(cd "$root" && pwd)
here=$(cd "$here" && pwd)
passed=0
failed=0
skipped=0

pass() { passed=$((passed + $1)); }
skip() { skipped=$((skipped + 1)); echo "SKIP $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $1"; }
# fail once for each line of a file, with a prefix; a line each, so that nothing is hidden
fail_lines() { while IFS= read -r line; do fail "$2$line"; done <"$1"; }
count() { wc -l <"$1" | tr -d ' '; }

headers=$(cd "$root" && ls abi/*.h abi/io/*.h)
for h in $headers; do echo "#include <$h>"; done >"$out/ours.h"
{
	echo '#include <stdint.h>'
	echo '#include <stddef.h>'
	echo '#include <string.h>'
	awk '!/^#/ && NF { print "#include <" $2 ">" }' "$here/xen_headers" | sort -u
} >"$out/xen.h"

have_xen=0
xen_interface=
if [ -e "$XEN_INCLUDE/xen/xen.h" ]; then
	have_xen=1
	xen_interface=$(awk '/define __XEN_LATEST_INTERFACE_VERSION__/ { print $3 }' "$XEN_INCLUDE/xen/xen-compat.h")
fi

# ---- alone ------------------------------------------------------------------------------------

one() { # label, command with flags..., on the current header
	label=$1
	shift
	if printf "#include <%s>\n#include <%s>\n" "$h" "$h" | "$@" -I"$root" -c -o /dev/null - 2>"$out/err"; then
		pass 1
	else
		fail "$h alone as $label: $(grep -m 1 error "$out/err")"
	fi
}

part_alone() {
	strict="-Wall -Wextra -Wshadow -Werror"
	bare="-ffreestanding -nostdinc -isystem $($CC -print-file-name=include)"
	clang=
	command -v clang >/dev/null 2>&1 && clang=1
	[ -n "$clang" ] || skip "no clang: headers compiled alone by $CC only"
	cxx=
	command -v $CXX >/dev/null 2>&1 && cxx=1 || skip "no $CXX: headers not compiled as C++"
	for h in ${ALONE:-$headers}; do
		one C11 $CC -std=c11 -x c $strict $bare
		[ -z "$cxx" ] || one C++ $CXX -std=c++17 -x c++ $strict -ffreestanding
		one assembly $CC -D__ASSEMBLY__ -x assembler-with-cpp $strict $bare
		one "host side" $CC -std=c11 -DPARAVANE_HOST_ABI -x c $strict $bare
		[ -z "$clang" ] || one "C11 by clang" clang -std=c11 -x c $strict -ffreestanding
	done
	(cd "$root" && grep -n '#include' $headers) |
		grep -v -E '#include ("abi/[a-z0-9_/]+\.h"|<stdint\.h>|<stddef\.h>)$' >"$out/borders"
	fail_lines "$out/borders" "includes what it may not: "
	[ -s "$out/borders" ] || pass 1
	echo "abi: $(echo ${ALONE:-$headers} | wc -w) headers compiled alone: C11${clang:+ (gcc, clang)}${cxx:+, C++}, assembly, host side"
}

# ---- the facts of both sides -----------------------------------------------------------------

# facts OUTPUT HEADER FLAGS...: types of all that HEADER declares
facts() {
	to=$1
	header=$2
	shift 2
	printf '#include "%s"\nextern int unused;\n' "$header" >"$to.c"
	$CC "$@" -g -gdwarf-4 -fno-eliminate-unused-debug-types -c -o "$to.o" "$to.c" 2>"$to.err" || return 1
	readelf --debug-dump=info "$to.o" | awk -f "$here/dwarf.awk" | sort -u >"$to.all"
	comm -23 "$to.all" "$out/base.all" >"$to"
}

# names OUTPUT HEADER FLAGS...: macros, "object NAME" or "function NAME"; include guards are left out
names() {
	to=$1
	header=$2
	shift 2
	$CC "$@" -x c -dM -E "$header" 2>/dev/null | awk '
		NF == 2 && $2 ~ /_H(__)?$/ { next }
		$2 ~ /\(/ { sub(/\(.*/, "", $2); print "function", $2; next }
		{ print "object", $2 }' | sort -u >"$to.all"
	comm -23 "$to.all" "$out/base.names.all" >"$to"
}

gather() {
	printf '#include <stdint.h>\n#include <stddef.h>\n#include <string.h>\n' >"$out/base.h"
	: >"$out/base.all"
	: >"$out/base.names.all"
	facts "$out/base" "$out/base.h" -std=c11
	cp "$out/base.all" "$out/base.keep" && mv "$out/base.keep" "$out/base.all"
	names "$out/base.names" "$out/base.h" -std=c11
	if ! facts "$out/ours.guest" "$out/ours.h" -std=c11 -I"$root" ||
		! facts "$out/ours.host" "$out/ours.h" -std=c11 -I"$root" -DPARAVANE_HOST_ABI; then
		fail "our headers do not compile together: $(grep -m 1 error "$out"/ours.*.err)"
		return 1
	fi
	names "$out/ours.names" "$out/ours.h" -std=c11 -I"$root"
	names "$out/ours.asm" "$out/ours.h" -D__ASSEMBLY__ -I"$root"
	[ "$have_xen" = 1 ] || return 0
	if [ -n "${XEN_FACTS:-}" ] && [ -e "$XEN_FACTS/xen.names" ]; then
		cp "$XEN_FACTS"/xen.guest "$XEN_FACTS"/xen.tools "$XEN_FACTS"/xen.names "$out"
		return 0
	fi
	if ! facts "$out/xen.guest" "$out/xen.h" -std=c11 $xen_flags ||
		! facts "$out/xen.tools" "$out/xen.h" -std=c11 -isystem "$XEN_INCLUDE" -D__XEN_TOOLS__; then
		fail "Xen's headers do not compile: $(grep -m 1 error "$out"/xen.*.err)"
		return 1
	fi
	names "$out/xen.names1" "$out/xen.h" -std=c11 $xen_flags
	names "$out/xen.names2" "$out/xen.h" -std=c11 -isystem "$XEN_INCLUDE" -D__XEN_TOOLS__
	sort -u "$out/xen.names1" "$out/xen.names2" >"$out/xen.names"
}

# Rows of "ours_only", against a list of names on standard input: names without a row are printed.
without_reason() {
	awk -v used="$out/reasons.used" '
		function pattern(s) { gsub(/[][.^$+?(){}|\\]/, "\\\\&", s); gsub(/\*/, ".*", s); return "^" s "$" }
		pass == 1 { if ($0 !~ /^#/ && NF) { row[++n] = $1; re[n] = pattern($1) } next }
		{
			for (i = 1; i <= n; i++)
				if ($1 ~ re[i]) { print row[i] >>used; next }
			print $1
		}' pass=1 "$here/ours_only" pass=2 -
}

# A missing twin is a failure with the release of Xen that we know, else something to be told.
missing_twins() { # file, text
	if [ "$xen_interface" = "$known_interface" ]; then
		fail_lines "$1" "$2"
	elif [ -s "$1" ]; then
		skip "Xen's headers are of another release ($xen_interface): $2$(tr '\n' ' ' <"$1")"
	fi
}

# ---- layout ----------------------------------------------------------------------------------

part_layout() {
	# Every structure and union has its size pinned, every field of it that is not at offset 0 its place. Types made
	# by DEFINE_RING_TYPES are pinned by that macro.
	cat $(for h in $headers; do echo "$root/$h"; done) >"$out/text"
	awk '
		pass == 1 {
			if (match($0, /PV_ABI_SIZE\([^,]+,/)) {
				s = substr($0, RSTART + 12, RLENGTH - 13)
				sub(/^(struct|union) /, "", s)
				pinned[s] = 1
			}
			if (match($0, /PV_ABI_FIELD\([^,]+, [^,]+,/)) {
				s = substr($0, RSTART + 13, RLENGTH - 14)
				sub(/^(struct|union) /, "", s)
				sub(/, /, ".", s)
				pinned[s] = 1
			}
			next
		}
		$3 ~ /^__guest_handle_/ || $3 ~ /_(sring_entry|sring|front_ring|back_ring)$/ { next }
		$1 == "type" && !($3 in pinned) { print $2, $3 ": its size" }
		$1 == "field" && $4 !~ /\./ && $5 > 0 && !($3 "." $4 in pinned) { print $2, $3 ": its field " $4 }
	' pass=1 "$out/text" pass=2 "$out/ours.guest" >"$out/unpinned"
	fail_lines "$out/unpinned" "not pinned where it is declared: "
	[ -s "$out/unpinned" ] || pass 1

	# The host's side: handles hold a number instead of a pointer, and there are no plain pointers.
	grep -v -E '^field struct __guest_handle_|^field .* addr\.v ' "$out/ours.guest" >"$out/side.guest"
	grep -v -E '^field struct __guest_handle_' "$out/ours.host" >"$out/side.host"
	diff "$out/side.guest" "$out/side.host" | grep '^[<>]' >"$out/sides"
	fail_lines "$out/sides" "the sides disagree: "
	[ -s "$out/sides" ] || pass "$(count "$out/side.host")"

	[ "$have_xen" = 1 ] || return 0
	# A fact is compared by its key; with the same key there must be the same line.
	awk -v missing="$out/types.missing" -v differ="$out/types.differ" -v same="$out/types.same" '
		function key() {
			return $1 == "field" ? $1 " " $2 " " $3 " " $4 : $1 == "alias" ? $1 " " $2 : $1 " " $2 " " $3
		}
		pass == 1 { xen[key()] = $0; next }
		{
			k = key()
			if ($1 == "field" && !(k in xen) && ("type " $2 " " $3) in xen)
				print "ours: " $0 ", Xen has no such field" >differ
			else if (!(k in xen))
				print $1 == "alias" ? $2 : $3, k >missing
			else if (xen[k] != $0)
				print "ours: " $0 ", Xen: " xen[k] >differ
			else
				print >same
		}' pass=1 "$out/xen.guest" pass=2 "$out/ours.guest"
	touch "$out/types.missing" "$out/types.differ" "$out/types.same"
	fail_lines "$out/types.differ" "not as Xen has it: "
	awk '{ print $1 }' "$out/types.missing" | sort -u >"$out/types.only"
	without_reason <"$out/types.only" >"$out/types.unknown"
	missing_twins "$out/types.unknown" "Xen has no such type, and tests/abi/ours_only does not say why: "
	pass "$(count "$out/types.same")"
	awk '
		$3 ~ /^__guest_handle_/ || $2 ~ /^__guest_handle_/ { handles += $1 == "type"; next }
		{ n[$1]++ }
		END {
			printf "abi: compared with Xen: %d structures and unions, %d fields, %d enumerators, %d typedefs, %d handles\n",
				n["type"], n["field"], n["enum"], n["alias"], handles
		}' "$out/types.same"
}

# ---- values ----------------------------------------------------------------------------------

# evaluate OUTPUT HEADER FLAGS...: "NAME value" for each name of $out/objects that is an expression there
evaluate() {
	to=$1
	header=$2
	shift 2
	cat >"$to.c" <<-PROGRAM
		#include <stdio.h>
		#include <stdint.h>
		#include "$header"
		static void number(const char *n, uintptr_t v) { printf("%s %lld\n", n, (long long)v); }
		static void text(const char *n, uintptr_t v) { printf("%s \"%s\"\n", n, (const char *)v); }
		#define SHOW(x) _Generic((x), char *: text, const char *: text, default: number)(#x, (uintptr_t)(x))
		int main(void)
		{
	PROGRAM
	awk '{ print "SHOW(" $1 ");" }' "$out/objects" >>"$to.c"
	printf 'return 0;\n}\n' >>"$to.c"
	# What is no expression is found by the compiler's complaint about its line, and left out.
	for round in 1 2 3; do
		if $CC "$@" -std=gnu11 -w -fmax-errors=0 -ftrack-macro-expansion=0 -o "$to.run" "$to.c" 2>"$to.err"; then
			"$to.run" >"$to"
			return 0
		fi
		awk -v file="$to.c" '
			pass == 1 { if (split($0, p, ":") > 3 && p[1] == file && $0 ~ /error:/) bad[p[2]] = 1; next }
			!(FNR in bad)' pass=1 "$to.err" pass=2 "$to.c" >"$to.c.new" && mv "$to.c.new" "$to.c"
	done
	return 1
}

# expand OUTPUT HEADER FLAGS...: "NAME text" for each name of $out/phrases, blanks taken out
expand() {
	to=$1
	header=$2
	shift 2
	{
		printf '#include "%s"\n' "$header"
		awk '{ print "#ifdef " $1; print "@@@ \"" $1 "\" " $1; print "#endif" }' "$out/phrases"
	} >"$to.c"
	$CC "$@" -E -P "$to.c" 2>/dev/null | awk '
		/^@@@ / { n = $2; gsub(/"/, "", n); $1 = $2 = ""; gsub(/[ \t]/, ""); print n " " $0 }' >"$to"
}

compare_values() { # ours, Xen's, label: both "NAME value"
	awk -v differ="$out/values.differ" -v same="$out/values.same" -v missing="$out/values.missing" -v label="$3" '
		{ n = $1; sub(/^[^ ]+ ?/, "") }
		pass == 1 { xen[n] = $0; next }
		!(n in xen) { print n >>missing; next }
		xen[n] != $0 { print label n ": ours " $0 ", Xen has " xen[n] >>differ; next }
		{ print n >>same }' pass=1 "$2" pass=2 "$1"
}

part_values() {
	awk '$1 == "object" { print $2 }' "$out/ours.names" >"$out/objects"
	if ! evaluate "$out/ours.values" "$out/ours.h" -I"$root"; then
		fail "the constants cannot be evaluated: $(head -n 1 "$out/ours.values.err")"
		return
	fi

	# The assembler must agree with the compiler on every number that it is shown.
	awk 'pass == 1 { if ($1 == "object") asm[$2] = 1; next } ($1 in asm) && $2 ~ /^-?[0-9]+$/' \
		pass=1 "$out/ours.asm" pass=2 "$out/ours.values" >"$out/asm.want"
	{
		echo '#include "'"$out/ours.h"'"'
		awk '{ print ".quad " $1 }' "$out/asm.want"
	} >"$out/asm.S"
	if $CC -I"$root" -D__ASSEMBLY__ -c -o "$out/asm.o" "$out/asm.S" 2>"$out/asm.err" &&
		objcopy -O binary -j .text "$out/asm.o" "$out/asm.bin" 2>/dev/null; then
		od -An -v -t d8 -w8 "$out/asm.bin" | tr -d ' ' |
			paste -d ' ' "$out/asm.want" - | awk '$2 != $3' >"$out/asm.differ"
		fail_lines "$out/asm.differ" "the assembler sees another number (name, C, assembler): "
		[ -s "$out/asm.differ" ] || pass "$(count "$out/asm.want")"
		echo "abi: $(count "$out/asm.want") constants are the same in assembly"
	else
		fail "a constant is not for the assembler: $(grep -m 1 Error "$out/asm.err")"
	fi

	[ "$have_xen" = 1 ] || return 0
	: >"$out/values.differ" && : >"$out/values.same" && : >"$out/values.missing"
	evaluate "$out/xen.values" "$out/xen.h" $xen_flags || fail "Xen's constants cannot be evaluated"
	compare_values "$out/ours.values" "$out/xen.values" ""
	# What is not an expression is compared as text, in C and in assembly.
	awk 'pass == 1 { done[$1] = 1; next } !($1 in done)' pass=1 "$out/ours.values" pass=2 "$out/objects" >"$out/phrases"
	expand "$out/ours.text" "$out/ours.h" -x c -I"$root"
	expand "$out/xen.text" "$out/xen.h" -x c -std=c11 $xen_flags
	compare_values "$out/ours.text" "$out/xen.text" ""
	awk 'pass == 1 { if ($1 == "object") asm[$2] = 1; next } ($1 in asm) && $2 !~ /^-?[0-9]+$/ { print $1 }' \
		pass=1 "$out/ours.asm" pass=2 "$out/ours.values" >"$out/phrases"
	expand "$out/ours.asmtext" "$out/ours.h" -x assembler-with-cpp -D__ASSEMBLY__ -I"$root"
	grep -v -E '<(stdint|stddef|string)\.h>|version\.h|ring\.h|netif\.h|blkif\.h|console\.h|xs_wire\.h|xenbus\.h' \
		"$out/xen.h" >"$out/xen_asm.h"
	expand "$out/xen.asmtext" "$out/xen_asm.h" -x assembler-with-cpp -D__ASSEMBLY__ $xen_flags
	# Strings that Xen shows to C only are compared there.
	awk 'pass == 1 { x[$1] = 1; next } $1 in x' pass=1 "$out/xen.asmtext" pass=2 "$out/ours.asmtext" >"$out/ours.asmboth"
	compare_values "$out/ours.asmboth" "$out/xen.asmtext" "in assembly: "

	fail_lines "$out/values.differ" "not as Xen has it: "
	sort -u "$out/values.missing" >"$out/values.only"
	without_reason <"$out/values.only" >"$out/values.unknown"
	missing_twins "$out/values.unknown" "Xen has no such constant, and tests/abi/ours_only does not say why: "
	pass "$(count "$out/values.same")"
	echo "abi: compared with Xen: $(sort -u "$out/values.same" | wc -l) constants"
	functions
}

functions() {
	awk 'pass == 1 { if ($1 == "function") xen[$2] = 1; next } $1 == "function" { print $2, $2 in xen }' \
		pass=1 "$out/xen.names" pass=2 "$out/ours.names" >"$out/functions"
	awk '!$2 { print $1 }' "$out/functions" | without_reason >"$out/functions.unknown"
	missing_twins "$out/functions.unknown" "Xen has no such macro, and tests/abi/ours_only does not say why: "
	awk '$2 { print $1 }' "$out/functions" | while read -r n; do
		grep -q -w -e "$n" "$here/macros.c" || echo "$n"
	done >"$out/functions.untried"
	fail_lines "$out/functions.untried" "tests/abi/macros.c does not try the macro "
	if $CC -std=gnu11 -w -I"$root" -include "$out/ours.h" -o "$out/macros.ours" "$here/macros.c" 2>"$out/macros.err" &&
		$CC -std=gnu11 -w $xen_flags -include "$out/xen.h" -o "$out/macros.xen" "$here/macros.c" 2>>"$out/macros.err"; then
		"$out/macros.ours" >"$out/macros.ours.txt"
		"$out/macros.xen" >"$out/macros.xen.txt"
		diff "$out/macros.ours.txt" "$out/macros.xen.txt" | grep '^[<>]' | head -n 10 >"$out/macros.differ"
		fail_lines "$out/macros.differ" "macros behave differently (< ours, > Xen): "
		[ -s "$out/macros.differ" ] || pass "$(count "$out/macros.ours.txt")"
		echo "abi: $(awk '$2' "$out/functions" | wc -l) macros with arguments behave as Xen's," \
			"by $(count "$out/macros.ours.txt") results"
	else
		fail "tests/abi/macros.c does not compile: $(grep -m 1 error "$out/macros.err")"
	fi
}

# ---- reverse ---------------------------------------------------------------------------------

part_reverse() {
	[ "$have_xen" = 1 ] || return 0
	{
		awk '{ print $2 }' "$out/xen.names"
		sort -u "$out/xen.guest" "$out/xen.tools" | awk '
			$1 == "type" && $3 !~ /^__guest_handle_/ { print $3 }
			$1 == "enum" { print $3; if ($2 != "-") print $2 }
			$1 == "alias" && $2 !~ /^__guest_handle_/ { print $2 }'
	} | sort -u >"$out/xen.has"
	{
		awk '{ print $2 }' "$out/ours.names"
		awk '$1 == "type" { print $3 } $1 == "enum" { print $2; print $3 } $1 == "alias" { print $2 }' \
			"$out/ours.guest"
	} | sort -u >"$out/ours.has"
	# Rows of the tables under the heading of README.md; the names are in their first column, in back quotes.
	awk '/^## / { on = $0 ~ /^## Not supported/ }
		on && /^\| *`/ { split($0, c, "|"); n = split(c[2], p, "`"); for (i = 2; i <= n; i += 2) print p[i] }' \
		"$root/abi/README.md" 2>/dev/null >"$out/refused"
	comm -23 "$out/xen.has" "$out/ours.has" | awk -v used="$out/refused.used" '
		function pattern(s) { gsub(/[][.^$+?(){}|\\]/, "\\\\&", s); gsub(/\*/, ".*", s); return "^" s "$" }
		pass == 1 { row[++n] = $1; re[n] = pattern($1); next }
		{
			# A typedef of a structure goes by the structure.
			s = $1
			sub(/_t$/, "", s)
			for (i = 1; i <= n; i++)
				if ($1 ~ re[i] || s ~ re[i]) { print row[i] >used; next }
			print $1
		}' pass=1 "$out/refused" pass=2 - >"$out/absent"
	missing_twins "$out/absent" "in Xen's headers, neither ours nor listed in abi/README.md: "
	touch "$out/refused.used"
	sort -u "$out/refused.used" >"$out/refused.sorted"
	# A row that names nothing is a mistake, unless it names something of ours that answers with an error.
	sort -u "$out/refused" | comm -23 - "$out/refused.sorted" | comm -23 - "$out/ours.has" >"$out/refused.stale"
	missing_twins "$out/refused.stale" "abi/README.md lists what is not in Xen's headers: "
	pass "$(($(count "$out/xen.has") - $(count "$out/absent")))"
	ours=$(comm -12 "$out/xen.has" "$out/ours.has" | wc -l)
	absent=$(count "$out/absent")
	echo "abi: $(count "$out/xen.has") names of Xen's headers: $ours are ours," \
		"$(($(count "$out/xen.has") - ours - absent)) stand in abi/README.md as not supported"
}

# ---- docs ------------------------------------------------------------------------------------

# The table of hypercalls: | number | `name` | `header` | `wrapper` | `file` | tests |
index() {
	top=$here/../..
	awk '/^## / { on = $0 ~ /^## Hypercalls/ }
		on && /^\| [0-9]+ \| `/ { gsub(/[`,]/, ""); gsub(/ *\| */, "|"); print substr($0, 2, length($0) - 2) }' \
		"$root/abi/README.md" >"$out/index"
	: >"$out/index.wrong"
	while IFS='|' read -r number name header wrapper file tests; do
		grep -q -x "__HYPERVISOR_$name $number" "$out/ours.values" || echo "$name is not number $number"
		case $wrapper in
		-) ;;
		*/*) [ -e "$top/$wrapper" ] || echo "$name: there is no $wrapper" ;;
		*) grep -q -w "$wrapper" "$top/pvops/hypercall.h" || echo "$name: pvops/hypercall.h has no $wrapper" ;;
		esac
		grep -q "^int64_t hv_do_$name(" "$top/hypervisor-stub/core/$file" 2>/dev/null ||
			echo "$name: hypervisor-stub/core/$file does not define hv_do_$name"
		for t in $tests; do
			[ "$t" = - ] && continue
			case $t in selftest/*) f=$top/tests/guests/$t ;; *) f=$top/tests/$t ;; esac
			grep -q -E "(pv_hc|hv_do|__HYPERVISOR)_$name\\b" "$f" 2>/dev/null || echo "$name: $t does not test it"
		done
	done <"$out/index" >"$out/index.wrong"
	# Every number that we define is in the table or among the calls that are not supported.
	awk '/^__HYPERVISOR_[a-z]/ { print substr($1, 14) }' "$out/ours.values" | while read -r n; do
		grep -q "^[0-9]*|$n|" "$out/index" || grep -q "^| .*\`__HYPERVISOR_$n\`.* |" "$root/abi/README.md" ||
			echo "__HYPERVISOR_$n is neither in the table of hypercalls nor among those not supported"
	done >>"$out/index.wrong"
	fail_lines "$out/index.wrong" "abi/README.md: "
	[ -s "$out/index.wrong" ] || pass "$(count "$out/index")"
	echo "abi: $(count "$out/index") hypercalls of abi/README.md have their handler, wrapper and tests where it says"
}

part_docs() {
	page=$root/docs/abi.md
	awk '$1 == "object" { print $2 }' "$out/ours.names" >"$out/objects"
	[ -e "$out/ours.values" ] || evaluate "$out/ours.values" "$out/ours.h" -I"$root"
	# A line "`struct NAME`, N bytes" says whose the next table is: | offset | size | `field` | ...
	# A table that begins | name | number | gives numbers of constants.
	awk -v told="$out/docs.told" '
		pass == 1 { value[$1] = $2; next }
		pass == 2 && $1 == "enum" { value[$3] = $4; next }
		pass == 2 && $1 == "type" { bytes[$3] = $4; next }
		pass == 2 && $1 == "field" { place[$3 "." $4] = $5 " " $6; if ($4 !~ /\./) tops[$3] = tops[$3] " " $4; next }
		pass == 2 { next }
		function done(    i, n, f) {
			if (owner == "")
				return
			n = split(tops[owner], f, " ")
			for (i = 1; i <= n; i++)
				if (!(f[i] in listed) && f[i] !~ /^(_|pad|rsvd|reserved)/)
					print "the table of " owner " leaves out " f[i]
			owner = ""
		}
		function cell(i) { gsub(/^ +| +$/, "", c[i]); return c[i] }
		/^`(struct|union) [a-z0-9_]+`, [0-9]+ bytes/ {
			done()
			split($2, q, "`"); owner = q[1]; rows = 0
			for (k in listed) delete listed[k]
			if (!(owner in bytes)) { print "there is no " owner; owner = "" }
			else if (bytes[owner] != $3) print owner " has " bytes[owner] " bytes, not " $3
			else print owner >told
			next
		}
		/^\|/ {
			split($0, c, "|")
			if (cell(2) == "name" && cell(3) == "number") { numbers = 1; next }
			if (numbers && cell(2) ~ /^`.*`$/) {
				n = substr(cell(2), 2, length(cell(2)) - 2)
				if (!(n in value)) print "there is no constant " n
				else if (value[n] != cell(3)) print n " is " value[n] ", not " cell(3)
				else print n >told
				next
			}
			if (owner != "" && cell(4) ~ /^`.*`$/) {
				rows++
				f = substr(cell(4), 2, length(cell(4)) - 2)
				if (!((owner "." f) in place)) print owner " has no field " f
				else if (place[owner "." f] != cell(2) " " cell(3))
					print owner "." f " is at, and has bytes: " place[owner "." f] ", not " cell(2) " " cell(3)
				else print owner "." f >told
				sub(/\..*/, "", f)
				listed[f] = 1
			}
			next
		}
		{ numbers = 0 }
		NF && rows { done() }
		END { done() }' pass=1 "$out/ours.values" pass=2 "$out/ours.guest" pass=3 "$page" >"$out/docs.wrong"
	touch "$out/docs.told"
	fail_lines "$out/docs.wrong" "docs/abi.md: "
	[ -s "$out/docs.told" ] || fail "docs/abi.md: no table was found"
	pass "$(count "$out/docs.told")"
	grep -o -E '`(abi|docs|pvops|tests)/[A-Za-z0-9_./]+`' "$root/abi/README.md" | tr -d '`' | sort -u | while read -r f; do
		[ -e "$here/../../$f" ] || echo "$f"
	done >"$out/docs.gone"
	fail_lines "$out/docs.gone" "abi/README.md names a file that does not exist: "
	index
	echo "abi: $(count "$out/docs.told") sizes, offsets and numbers in docs/abi.md are those of the headers"
}

only_ours() {
	touch "$out/reasons.used"
	grep -v '^#' "$here/ours_only" | while read -r n why; do
		[ -n "$n" ] || continue
		if grep -q -x -F -e "$n" "$out/reasons.used"; then
			echo "abi: ours only: $n - $why"
		else
			echo "$n" >>"$out/reasons.stale"
		fi
	done
	[ ! -s "$out/reasons.stale" ] || missing_twins "$out/reasons.stale" "tests/abi/ours_only names what we do not define: "
}

if [ "$have_xen" = 0 ]; then
	skip "Xen's headers are not in $XEN_INCLUDE/xen (Debian: libxen-dev): nothing compared with them"
fi
needs_facts=0
for p in $parts; do
	case $p in
	alone) part_alone ;;
	*)
		[ "$needs_facts" = 1 ] || { needs_facts=1 && gather || break; }
		"part_$p"
		;;
	esac
done
[ "$have_xen" = 0 ] || [ "$parts" != "$all" ] || only_ours
echo "headers: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
