#!/bin/bash
# SPDX-License-Identifier: MIT
# The borders of docs/architecture.md: which folder may include what. One verdict a rule.
cd "$(dirname "$0")/../.." || exit 1
p=0 f=0
rule() {	# NAME FOLDER FORBIDDEN(Perl's regular expression on the included path)
	local bad
	bad=$(find $2 -name '*.[chS]' -print0 2>/dev/null |
		xargs -0 -r grep -HnP "^ *# *include *[<\"]($3)" 2>/dev/null)
	if [ -z "$bad" ]; then
		p=$((p + 1)); echo "PASS $1"
	else
		f=$((f + 1)); echo "FAIL $1:"; echo "$bad"
	fi
}
host='(stdio|stdlib|string|unistd|errno|pthread|time|signal|fcntl|sys/|linux/)'
rule "abi uses nothing" abi "($host|pvops|frontends|backends|hypervisor-stub|tests)"
rule "pvops uses abi only" pvops "(frontends|backends|hypervisor-stub|tests)"
rule "frontends use abi and pvops only" frontends "(backends|hypervisor-stub|tests)"
rule "backends use abi only" backends "(pvops|frontends|hypervisor-stub|tests)"
rule "the core knows no engine, device or tool" hypervisor-stub/core \
	"(linux/kvm|sys/ptrace|linux/seccomp|.*engines/(process|kvm)/|.*fullvirt/|.*toolstack/|pvops|frontends)"
# Of full virtualization an engine may know the seam: fv.h, and the bus behind which the devices are.
rule "engines know no tool and no device" hypervisor-stub/engines "(.*toolstack/|.*fullvirt/(?!(fv|bus)\.h)|backends|pvops|frontends)"
# Guest code includes no host header, except what a hosted unit-test build asks for.
bad=$(find pvops frontends -name '*.[chS]' -print0 | xargs -0 -r awk '
	FNR == 1 { hosted = 0 }
	/^ *# *ifdef *PV_HOSTED_TEST|^ *# *if defined\(PV_HOSTED_TEST\)/ { hosted = 1 }
	/^ *# *(endif|else)/ { hosted = 0 }
	/^ *# *include *<(stdio|stdlib|string|unistd|errno|pthread|time|signal|fcntl|sys\/|linux\/)/ && !hosted { print FILENAME ":" FNR ": " $0 }')
if [ -z "$bad" ]; then p=$((p + 1)); echo "PASS guest code includes no host header"; else f=$((f + 1)); echo "FAIL guest code includes a host header:"; echo "$bad"; fi
printf '%d passed, %d failed, 0 skipped\n' $p $f
[ $f = 0 ]
