/* SPDX-License-Identifier: MIT */
/*
 * Unit tests of the guest library's clocks: the scaling of counter ticks, and reading a clock that
 * somebody else is writing.
 */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>

#include "tests/fake/fake_hypercalls.h"

#include "pvops/barrier.h"
#include "pvops/time.h"

Suite *pv_time_suite(void);

static const struct {
	uint64_t ticks;
	uint32_t mul;
	int shift;
	uint64_t ns;
} scales[] = {
	{ 0, 0x80000000, 1, 0 },
	{ 1000, 0x80000000, 1, 1000 },  /* 1 GHz */
	{ 3000, 0xaaaaaaab, -1, 1000 }, /* 3 GHz */
	{ 10, 0xc8000000, 7, 1000 },    /* 10 MHz */
	{ UINT64_MAX, 0x80000000, 0, UINT64_MAX / 2 },
	{ 1ull << 63, 0xffffffff, 0, 0x7fffffff80000000ull },
	{ 1, 0xffffffff, -1, 0 },
	{ 1ull << 40, 1u << 31, -8, 1ull << 31 },
};

START_TEST(ticks_become_nanoseconds)
{
	ck_assert_uint_eq(pv_time_scale(scales[_i].ticks, scales[_i].mul, scales[_i].shift),
	                  scales[_i].ns);
}
END_TEST

START_TEST(counter_behind_the_stamp_is_the_stamp)
{
	const struct vcpu_time_info t = { .tsc_timestamp = 1000,
		                          .system_time = 777,
		                          .tsc_to_system_mul = 0x80000000,
		                          .tsc_shift = 1 };

	ck_assert_uint_eq(pv_time_at(&t, 1000), 777);
	ck_assert_uint_eq(pv_time_at(&t, 999), 777);
	ck_assert_uint_eq(pv_time_at(&t, 0), 777);
	ck_assert_uint_eq(pv_time_at(&t, 1500), 1277);
}
END_TEST

/* ---- a writer on another thread ---- */

static struct vcpu_time_info shared;
static bool stop;

/* All fields are functions of one number, so a mixture of two states shows. */
static void write_state(uint64_t n)
{
	uint32_t version = shared.version;

	pv_store(&shared.version, version + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	pv_store(&shared.tsc_timestamp, n * 3);
	pv_store(&shared.system_time, n * 5);
	pv_store(&shared.tsc_to_system_mul, (uint32_t)n * 7);
	pv_store(&shared.tsc_shift, (int8_t)(n % 32));
	pv_store_release(&shared.version, version + 2);
}

static void *writer(void *arg)
{
	uint64_t n = 1;

	(void)arg;
	while (!pv_load(&stop))
		write_state(n++);
	return NULL;
}

START_TEST(reader_never_sees_half_an_update)
{
	struct vcpu_time_info copy;
	unsigned int i, distinct = 0;
	uint64_t last = 0;
	pthread_t thread;

	write_state(1);
	stop = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, writer, NULL), 0);
	for (i = 0; i < 20000 || distinct < 2; i++) {
		uint64_t n;

		pv_time_snapshot(&shared, &copy);
		n = copy.tsc_timestamp / 3;
		ck_assert_uint_eq(copy.version % 2, 0);
		ck_assert_uint_eq(copy.system_time, n * 5);
		ck_assert_uint_eq(copy.tsc_to_system_mul, (uint32_t)n * 7);
		ck_assert_int_eq(copy.tsc_shift, (int8_t)(n % 32));
		distinct += n != last;
		last = n;
	}
	pv_store(&stop, true);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- one time for all vCPUs ---- */

static void set_clock(unsigned int cpu, uint64_t system_time, uint8_t flags)
{
	struct vcpu_time_info *t = &fake_shared_info.vcpu_info[cpu].time;

	/* A multiplier of 0: the counter does not matter, the time is what is said here. */
	*t = (struct vcpu_time_info){ .version = 2, .system_time = system_time, .flags = flags };
}

START_TEST(time_does_not_go_back_between_vcpus)
{
	fake_hypercalls_reset();
	fake_vcpu_enter(1);
	set_clock(0, 5000, 0);
	set_clock(1, 4000, 0); /* its clock is late */
	fake_vcpu_enter(0);
	ck_assert_uint_eq(pv_time_now_ns(), 5000);
	fake_vcpu_enter(1);
	ck_assert_uint_eq(pv_time_now_ns(), 5000);
	set_clock(1, 6000, 0);
	ck_assert_uint_eq(pv_time_now_ns(), 6000);
	fake_vcpu_enter(0);
	ck_assert_uint_eq(pv_time_now_ns(), 6000);
}
END_TEST

START_TEST(wall_time_is_the_sum)
{
	fake_hypercalls_reset();
	set_clock(0, 1500000000, XEN_PVCLOCK_TSC_STABLE_BIT);
	fake_shared_info.wc_version = 4;
	fake_shared_info.wc_sec = 7;
	fake_shared_info.wc_sec_hi = 1;
	fake_shared_info.wc_nsec = 250000000;
	ck_assert_uint_eq(pv_time_wall_ns(), ((1ull << 32) + 7) * 1000000000 + 1750000000);
}
END_TEST

Suite *pv_time_suite(void)
{
	Suite *s = suite_create("pv_time");
	TCase *tc = tcase_create("normal");

	tcase_add_test(tc, time_does_not_go_back_between_vcpus);
	tcase_add_test(tc, wall_time_is_the_sum);
	suite_add_tcase(s, tc);
	tc = tcase_create("limits");
	tcase_add_loop_test(tc, ticks_become_nanoseconds, 0, sizeof(scales) / sizeof(scales[0]));
	tcase_add_test(tc, counter_behind_the_stamp_is_the_stamp);
	suite_add_tcase(s, tc);
	tc = tcase_create("hostile");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reader_never_sees_half_an_update);
	suite_add_tcase(s, tc);
	return s;
}
