# SPDX-License-Identifier: MIT
# Sourced: what a machine has in use on the host.

# The processes below one, itself first.
tree() { local c; echo "$1"; for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$c"; done; }
descriptors() { ls "/proc/$1/fd" 2>/dev/null | wc -l; }

# count_machine PID: into count_*: its processes, its own descriptors, those of the guest's processes together, its
# threads, its memory that is no guest's in KiB; and all processes into last.
count_machine() {
	local p
	mapfile -t last < <(tree "$1")
	count_procs=$((${#last[@]} - 1)) count_own=$(descriptors "$1") count_theirs=0
	for p in "${last[@]:1}"; do count_theirs=$((count_theirs + $(descriptors "$p"))); done
	count_threads=$(ls "/proc/$1/task" 2>/dev/null | wc -l)
	count_memory=$(awk '/^RssAnon/ { print $2 }' "/proc/$1/status" 2>/dev/null)
}

# How many of the processes in last are still there.
count_left() {
	local p left=0
	for p in ${last[@]+"${last[@]}"}; do [ -d "/proc/$p" ] && left=$((left + 1)); done
	echo $left
}
