/* SPDX-License-Identifier: MIT */
/*
 * The process engine and frames of other domains: a guest process maps exactly those that it is let,
 * whatever it or even its mapper does, and gives them up when it is told.
 *
 * The owners are memory without a guest; the core is tests/fake/engine_world.h.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "hypervisor-stub/engines/process/process.h"
#include "tests/fake/engine_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define OWNER_FRAMES 64u
#define OWNER_FIRST  20480u
#define WINDOW       0x700000u /* where foreign frames are mapped */

static struct world *w;
static struct hv_vcpu *v;
static struct hv_exit e;
static struct hv_domain owner[2]; /* neighbours in the numbering of frames */

static void make_owner(struct hv_domain *o, unsigned i)
{
	memset(o, 0, sizeof(*o));
	o->machine = &w->machine;
	o->domid = (domid_t)(2 + i);
	o->mem.memfd = memfd_create("owner", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(o->mem.memfd, OWNER_FRAMES * HV_PAGE_SIZE), 0);
	o->mem.base = mmap(NULL, OWNER_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
	                   o->mem.memfd, 0);
	ck_assert_ptr_ne(o->mem.base, MAP_FAILED);
	o->mem.first.n = OWNER_FIRST + i * OWNER_FRAMES;
	o->mem.nr_frames = OWNER_FRAMES;
	for (unsigned n = 0; n < OWNER_FRAMES; n++)
		*(uint64_t *)(void *)(o->mem.base + n * HV_PAGE_SIZE) = 0x5ec2e7000 + i * 1000 + n;
}

static void setup(void)
{
	w = world_create(&hv_engine_process);
	v = &w->vcpu[0];
	world_layout(w, v->root_kernel);
	make_owner(&owner[0], 0);
	make_owner(&owner[1], 1);
}

static void teardown(void)
{
	world_destroy(w);
	for (unsigned i = 0; i < 2; i++) {
		munmap(owner[i].mem.base, OWNER_FRAMES * HV_PAGE_SIZE);
		close(owner[i].mem.memfd);
	}
}

#define PUT(blob) world_code(w, v->root_kernel, blob, blob##_end)

static uint64_t *page_of(unsigned o, unsigned frame)
{
	return (void *)(owner[o].mem.base + frame * HV_PAGE_SIZE);
}

static mfn_t frame_of(unsigned o, unsigned frame)
{
	return (mfn_t){ owner[o].mem.first.n + frame };
}

static int begin(unsigned o)
{
	int rc;

	pthread_mutex_lock(&w->domain.lock);
	rc = hv_engine_process.foreign_begin(&w->domain, &owner[o]);
	pthread_mutex_unlock(&w->domain.lock);
	return rc;
}

static void end(unsigned o)
{
	pthread_mutex_lock(&w->domain.lock);
	hv_engine_process.foreign_end(&w->domain, &owner[o]);
	pthread_mutex_unlock(&w->domain.lock);
}

static struct pe_proc *current(void)
{
	return ((struct pe_vcpu *)v->engine_priv)->current;
}

/* Fills pages to be read by hand, as the core would on a miss. */
static int fill(mfn_t mfn, uint64_t va, uint64_t nr)
{
	struct hv_run_map run = {
		.root = v->root_kernel, .va = va, .nr = nr, .mfn = mfn, .miss = va
	};
	int rc;

	pthread_mutex_lock(&w->domain.lock);
	rc = hv_engine_process.fill(v, &run);
	pthread_mutex_unlock(&w->domain.lock);
	return rc;
}

static void take_away(uint64_t va, uint64_t len)
{
	struct hv_entry_change c = { .root = v->root_kernel, .va = va, .len = len };

	pthread_mutex_lock(&w->domain.lock);
	hv_engine_process.retire(&w->domain, hv_engine_process.entry_changed(&w->domain, &c));
	pthread_mutex_unlock(&w->domain.lock);
}

WORLD_BLOB(blob_call, "1:" WORLD_CALL(29) "jmp 1b\n");
WORLD_BLOB(blob_swap,
           "1: mov (%rdi), %rbx\n" WORLD_CALL(29) "mov %rsi, (%rdi)\n" WORLD_CALL(29) "jmp 1b\n");

/* Until the next hypercall; everything else is a failure of the test. */
static void run_to_call(void)
{
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_HYPERCALL);
}

/* The guest reads a word, and writes another when `write`. */
static uint64_t guest_reads(uint64_t va)
{
	world_enter_at(w, 0, PUT(blob_swap));
	v->regs.rdi = va;
	run_to_call();
	return v->regs.rbx;
}

/* Descriptors of a process, 0 when we may not look. */
static unsigned count_fds(pid_t pid)
{
	unsigned n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *de = readdir(dir); de; de = readdir(dir))
		n += de->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Whether a process has memory of an owner; false when we may not look. */
static bool maps_owner(pid_t pid)
{
	char text[16384];
	ssize_t n, have = 0;
	int fd;

	snprintf(text, 64, "/proc/%d/maps", (int)pid);
	fd = open(text, O_RDONLY);
	if (fd < 0)
		return false;
	while ((n = read(fd, text + have, sizeof(text) - 1 - (size_t)have)) > 0)
		have += n;
	text[have] = 0;
	close(fd);
	return strstr(text, "/memfd:owner") != NULL;
}

/* ---- normal -------------------------------------------------------------------------------------- */

START_TEST(a_foreign_frame_is_read_and_written)
{
	ck_assert_int_eq(begin(0), 0);
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, 7), "w");
	world_enter_at(w, 0, PUT(blob_swap));
	v->regs.rdi = WINDOW;
	v->regs.rsi = 0x1234567;
	run_to_call();
	ck_assert_uint_eq(v->regs.rbx, 0x5ec2e7000 + 7);
	run_to_call();
	ck_assert_uint_eq(*page_of(0, 7), 0x1234567);
	*page_of(0, 7) = 99;
	run_to_call();
	ck_assert_uint_eq(v->regs.rbx, 99);
	take_away(WINDOW, HV_PAGE_SIZE);
	end(0);
}
END_TEST

START_TEST(a_frame_lent_to_read_is_not_written)
{
	ck_assert_int_eq(begin(0), 0);
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, 7), "");
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + 7);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.cr2, WINDOW);
	ck_assert_uint_eq(*page_of(0, 7), 0x5ec2e7000 + 7);
}
END_TEST

START_TEST(no_descriptor_stays_behind)
{
	unsigned ours;

	ck_assert_int_eq(begin(0), 0);
	ours = count_fds(getpid());
	for (unsigned i = 0; i < 50; i++) {
		world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, i), "w");
		w->code_next = WORLD_CODE;
		ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + i);
		if (geteuid() == 0) {
			ck_assert(maps_owner(current()->pid));
			ck_assert_uint_eq(count_fds(current()->pid), 3);
		}
		take_away(WINDOW, HV_PAGE_SIZE);
		ck_assert(!maps_owner(current()->pid));
		w->nr_runs--;
	}
	ck_assert_uint_eq(count_fds(getpid()), ours);
}
END_TEST

START_TEST(each_root_and_each_vcpu_maps_it)
{
	struct hv_vcpu *v1 = &w->vcpu[1];
	mfn_t second = world_alloc(w, 1);

	ck_assert_int_eq(begin(1), 0);
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(1, 3), "w");
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + 1003);
	world_layout(w, second);
	world_map(w, second, WINDOW, 1, frame_of(1, 4), "w");
	v->root_kernel = second;
	w->code_next = WORLD_CODE;
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + 1004);
	v1->root_kernel = second;
	w->code_next = WORLD_CODE;
	world_enter_at(w, 1, PUT(blob_swap));
	v1->regs.rdi = WINDOW;
	ck_assert_int_eq(world_run(w, 1, &e), 0);
	ck_assert_uint_eq(v1->regs.rbx, 0x5ec2e7000 + 1004);
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------------- */

START_TEST(neighbours_of_two_owners_are_not_taken_for_one)
{
	ck_assert_int_eq(begin(0), 0);
	ck_assert_int_eq(begin(1), 0);
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, OWNER_FRAMES - 1), "w");
	world_map(w, v->root_kernel, WINDOW + HV_PAGE_SIZE, 1, frame_of(1, 0), "w");
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + OWNER_FRAMES - 1);
	ck_assert_uint_eq(guest_reads(WINDOW + HV_PAGE_SIZE), 0x5ec2e7000 + 1000);
	/* One run over both is none of one owner. */
	ck_assert_int_eq(fill(frame_of(0, OWNER_FRAMES - 1), WINDOW, 2), -EINVAL);
	take_away(WINDOW, HV_PAGE_SIZE);
	w->run[w->nr_runs - 2].nr = 0;
	ck_assert_uint_eq(guest_reads(WINDOW + HV_PAGE_SIZE), 0x5ec2e7000 + 1000);
	world_enter_at(w, 0, PUT(blob_swap));
	v->regs.rdi = WINDOW;
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
}
END_TEST

START_TEST(nothing_is_mapped_before_the_first_leave_and_after_the_last)
{
	world_enter_at(w, 0, PUT(blob_call));
	run_to_call();
	ck_assert_int_eq(fill(frame_of(0, 1), WINDOW, 1), -EINVAL);
	ck_assert_int_eq(begin(0), 0);
	ck_assert_int_eq(begin(0), 0);
	ck_assert_int_eq(fill(frame_of(1, 1), WINDOW, 1), -EINVAL);
	ck_assert_int_eq(fill(frame_of(0, 1), WINDOW, 1), 0);
	end(0);
	ck_assert_int_eq(fill(frame_of(0, 2), WINDOW, 1), 0);
	take_away(WINDOW, HV_PAGE_SIZE);
	end(0);
	ck_assert_int_eq(fill(frame_of(0, 2), WINDOW, 1), -EINVAL);
	run_to_call();
}
END_TEST

START_TEST(without_a_listener_foreign_frames_are_refused)
{
	struct pe_domain *pd = pe_of(&w->domain);
	int listener;

	world_enter_at(w, 0, PUT(blob_call));
	run_to_call();
	listener = pd->listener;
	ck_assert_int_ge(listener, 0);
	pd->listener = -1;
	ck_assert_int_eq(begin(0), -EOPNOTSUPP);
	ck_assert_int_eq(fill(frame_of(0, 1), WINDOW, 1), -EINVAL);
	pd->listener = listener;
}
END_TEST

/* ---- hostile ------------------------------------------------------------------------------------- */

/* Orders that we did not approve: as if a guest had made its mapper obey. */
static const struct {
	uint64_t va;
	unsigned frame;
	uint32_t prot;
} unasked[] = {
	{ WINDOW + HV_PAGE_SIZE, 7, PROT_READ }, /* elsewhere */
	{ WINDOW, 8, PROT_READ },                /* another frame */
	{ WINDOW, 7, PROT_READ | PROT_WRITE },   /* more rights */
};

START_TEST(a_mapper_that_asks_for_something_else_gets_nothing)
{
	struct pe_domain *pd = pe_of(&w->domain);
	struct pe_proc *p;
	pid_t pid;

	ck_assert_int_eq(begin(0), 0);
	world_enter_at(w, 0, PUT(blob_call));
	run_to_call();
	p = current();
	pid = p->pid;
	pthread_mutex_lock(&pd->lock);
	pe_order_foreign(p, unasked[_i].va, HV_PAGE_SIZE, unasked[_i].frame * HV_PAGE_SIZE,
	                 unasked[_i].prot);
	pe_order_publish(p, 0);
	pthread_mutex_unlock(&pd->lock);
	usleep(20000); /* it asks, and nobody answers */
	ck_assert(!maps_owner(pid));
	ck_assert_uint_le(count_fds(pid), 3);
	/* When we do, it is not for what we want. */
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, 7), "");
	ck_assert_int_eq(fill(frame_of(0, 7), WINDOW, 1), 0);
	ck_assert(p->dead);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_DEAD);
	ck_assert(!maps_owner(pid));
	/* A new process gets what it is meant to have. */
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + 7);
}
END_TEST

START_TEST(a_process_that_dies_while_it_is_let_map_holds_nobody_up)
{
	struct pe_domain *pd = pe_of(&w->domain);

	ck_assert_int_eq(begin(0), 0);
	world_enter_at(w, 0, PUT(blob_call));
	run_to_call();
	kill(current()->pid, SIGKILL);
	ck_assert_int_eq(fill(frame_of(0, 7), WINDOW, 1), 0);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_DEAD);
	/* And with its question asked already. */
	world_enter_at(w, 0, PUT(blob_call));
	run_to_call();
	pthread_mutex_lock(&pd->lock);
	pe_order_foreign(current(), WINDOW, HV_PAGE_SIZE, 0, PROT_READ);
	pe_order_publish(current(), 0);
	pthread_mutex_unlock(&pd->lock);
	usleep(5000);
	kill(current()->pid, SIGKILL);
	ck_assert_int_eq(fill(frame_of(0, 7), WINDOW, 1), 0);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	ck_assert_int_eq(e.kind, HV_EXIT_DEAD);
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, 7), "w");
	ck_assert_uint_eq(guest_reads(WINDOW), 0x5ec2e7000 + 7);
}
END_TEST

WORLD_BLOB(blob_hammer, "1: incq (%rdi)\n jmp 1b\n");

static atomic_bool hammer_ends;

static void *hammer(void *arg)
{
	struct hv_exit x;

	(void)arg;
	while (!atomic_load(&hammer_ends) && !world_run(w, 1, &x) && x.kind == HV_EXIT_KICKED)
		continue;
	return NULL;
}

/* A vCPU writes all the time; when the frame is the owner's again, nothing changes it any more. */
START_TEST(nobody_writes_a_foreign_frame_after_it_was_retired)
{
	struct hv_vcpu *v1 = &w->vcpu[1];
	struct hv_run_map *m;
	pthread_t t;
	unsigned met = 0;

	ck_assert_int_eq(begin(0), 0);
	v1->root_kernel = v->root_kernel;
	world_map(w, v->root_kernel, WINDOW, 1, frame_of(0, 0), "w");
	m = &w->run[w->nr_runs - 1];
	world_enter_at(w, 1, PUT(blob_hammer));
	v1->regs.rdi = WINDOW;
	atomic_store(&w->stop_at_tick, true);
	atomic_store(&hammer_ends, false);
	pthread_create(&t, NULL, hammer, NULL);
	for (unsigned i = 0; i < 200 || (met < 20 && i < 20000); i++) {
		volatile uint64_t *old = page_of(0, i % OWNER_FRAMES);
		uint64_t last = *old, now;

		usleep(100);
		met += *old != last;
		pthread_mutex_lock(&w->domain.lock);
		m->mfn = frame_of(0, (i + 1) % OWNER_FRAMES);
		pthread_mutex_unlock(&w->domain.lock);
		take_away(WINDOW, HV_PAGE_SIZE);
		now = *old;
		usleep(50);
		ck_assert_uint_eq(*old, now);
	}
	atomic_store(&hammer_ends, true);
	hv_engine_process.vcpu_kick(v1);
	pthread_join(t, NULL);
	ck_assert_uint_ge(met, 20);
}
END_TEST

Suite *engine_foreign_suite(void);

Suite *engine_foreign_suite(void)
{
	Suite *s = suite_create("engine_foreign");
	TCase *tc = tcase_create("normal");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_foreign_frame_is_read_and_written);
	tcase_add_test(tc, a_frame_lent_to_read_is_not_written);
	tcase_add_test(tc, no_descriptor_stays_behind);
	tcase_add_test(tc, each_root_and_each_vcpu_maps_it);
	suite_add_tcase(s, tc);

	tc = tcase_create("limits");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, neighbours_of_two_owners_are_not_taken_for_one);
	tcase_add_test(tc, nothing_is_mapped_before_the_first_leave_and_after_the_last);
	tcase_add_test(tc, without_a_listener_foreign_frames_are_refused);
	suite_add_tcase(s, tc);

	tc = tcase_create("hostile");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_mapper_that_asks_for_something_else_gets_nothing, 0,
	                    ARRAY_LEN(unasked));
	tcase_add_test(tc, a_process_that_dies_while_it_is_let_map_holds_nobody_up);
	tcase_add_test(tc, nobody_writes_a_foreign_frame_after_it_was_retired);
	suite_add_tcase(s, tc);
	return s;
}
