/* SPDX-License-Identifier: MIT */
/*
 * What the system has in use, for programs that look whether something was forgotten.
 */
#include "tests/guests/unix/user/lib/unix.h"

#define LOOKS   500
#define LOOK_NS 10000000

/* Tables that are kept for the next program count as free. */
static uint64_t pages_in_use(const struct unix_sysinfo *s)
{
	return s->frames - s->frames_free - s->tables_free;
}

bool count_is_same(const struct unix_sysinfo *a, const struct unix_sysinfo *b)
{
	return pages_in_use(a) == pages_in_use(b) && a->processes == b->processes &&
	       a->files == b->files && a->cpus == b->cpus && a->grants == b->grants &&
	       a->granting == b->granting;
}

/* Orphans are init's to bury, and connections are remembered for a moment: it may take a while. */
void count_settled(struct unix_sysinfo *now, const struct unix_sysinfo *before)
{
	unsigned int i;

	for (i = 0; i < LOOKS; i++) {
		sysinfo(now);
		if (count_is_same(now, before))
			break;
		sleep_ns(LOOK_NS);
	}
}

void count_say(const char *who, const char *when, const struct unix_sysinfo *s)
{
	printf("%s: %s: %lu pages in use, %u processes, %u open files, %u vCPUs, %u grants, %u "
	       "granting\n",
	       who, when, (unsigned long)pages_in_use(s), s->processes, s->files, s->cpus,
	       s->grants, s->granting);
}
