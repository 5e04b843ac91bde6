/* SPDX-License-Identifier: MIT */
/* The processes, and what the system has left. */
#include "tests/guests/unix/user/lib/unix.h"

int main(void)
{
	struct unix_procinfo p;
	struct unix_sysinfo s;
	uint64_t i;

	printf("  PID  PPID S CPU PAGES     TIME NAME\n");
	for (i = 0; procinfo(i, &p) == 0; i++)
		printf("%5d %5d %c %3u %5u %5lu.%02lu %s\n", p.pid, p.ppid, p.state, p.cpu, p.pages,
		       (unsigned long)(p.cpu_ns / 1000000000),
		       (unsigned long)(p.cpu_ns / 10000000 % 100), p.name);
	sysinfo(&s);
	printf("%lu of %lu pages free, %lu tables, %u files open, %u vCPUs, %lu switches, %lu "
	       "faults\n",
	       (unsigned long)s.frames_free, (unsigned long)s.frames, (unsigned long)s.tables,
	       s.files, s.cpus, (unsigned long)s.switches, (unsigned long)s.faults);
	return 0;
}
