# SPDX-License-Identifier: MIT
# Sourced inside a user and network namespace of its own: a way out for passt, which wants one; where it leads does
# not matter. A bridge where the kernel has one, else a dummy. False: neither.
way_out() {
	ip link set lo up
	ip link add way type bridge 2>/dev/null || ip link add way type dummy 2>/dev/null || return 1
	ip addr add 10.1.0.5/24 dev way && ip link set way up && ip route add default via 10.1.0.1 dev way
}
