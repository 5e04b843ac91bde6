/* SPDX-License-Identifier: MIT */
/*
 * The guest's end of the xenstore page against a peer that the test plays by hand.
 */
#include <check.h>
#include <string.h>

#include "abi/errno.h"
#include "pvops/xsring.h"

Suite *pv_xsring_suite(void);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define START        0xfffffff0u /* just below the end of the numbers */

static struct xenstore_domain_interface page;
static struct pv_xsring ring;

static void set_up(void)
{
	memset(&page, 0x5a, sizeof(page));
	page.req_prod = page.req_cons = START;
	page.rsp_prod = page.rsp_cons = START + 5;
	page.server_features = XENSTORE_SERVER_FEATURE_ERROR;
	page.error = XENSTORE_ERROR_NONE;
	pv_xsring_init(&ring, &page);
}

/* ---- normal ---------------------------------------------------------------------------------- */

START_TEST(bytes_go_around_the_ring_and_past_the_end_of_the_numbers)
{
	char out[100], in[100];
	unsigned i, k;
	size_t n;

	for (i = 0; i < 50; i++) {
		for (k = 0; k < sizeof(out); k++)
			out[k] = (char)(i + k);
		ck_assert_int_eq(pv_xsring_put(&ring, out, sizeof(out), &n), 0);
		ck_assert_uint_eq(n, sizeof(out));
		ck_assert_uint_eq(page.req_prod, START + (i + 1) * (uint32_t)sizeof(out));
		for (k = 0; k < n; k++) /* the server echoes */
			page.rsp[MASK_XENSTORE_IDX(page.rsp_prod + k)] =
				page.req[MASK_XENSTORE_IDX(page.req_cons + k)];
		page.req_cons += (uint32_t)n;
		page.rsp_prod += (uint32_t)n;
		ck_assert_int_eq(pv_xsring_get(&ring, in, sizeof(in), &n), 0);
		ck_assert_uint_eq(n, sizeof(in));
		ck_assert_mem_eq(in, out, sizeof(in));
		ck_assert_uint_eq(page.rsp_cons, page.rsp_prod);
	}
}
END_TEST

START_TEST(an_empty_ring_gives_nothing_and_a_full_one_takes_nothing)
{
	static char data[XENSTORE_RING_SIZE + 10];
	size_t n = 7;

	ck_assert_int_eq(pv_xsring_get(&ring, data, sizeof(data), &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(pv_xsring_put(&ring, data, sizeof(data), &n), 0);
	ck_assert_uint_eq(n, XENSTORE_RING_SIZE);
	ck_assert_int_eq(pv_xsring_put(&ring, data, 1, &n), 0);
	ck_assert_uint_eq(n, 0);
	page.req_cons++;
	ck_assert_int_eq(pv_xsring_put(&ring, data, 2, &n), 0);
	ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(a_ring_that_was_in_use_goes_on_where_it_was)
{
	char byte;
	size_t n;

	page.rsp[MASK_XENSTORE_IDX(page.rsp_prod)] = 'x';
	page.rsp_prod++;
	pv_xsring_init(&ring, &page);
	ck_assert_int_eq(pv_xsring_get(&ring, &byte, 1, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(byte, 'x');
}
END_TEST

/* ---- limits and hostile ---------------------------------------------------------------------- */

static const struct {
	uint32_t ahead; /* of the server's producer, from our consumer */
	int rc;
} producer[] = {
	{ 0, 0 },
	{ 1024, 0 },
	{ 1025, -XEN_EIO },
	{ 0x80000000, -XEN_EIO },
	{ UINT32_MAX, -XEN_EIO },
};

START_TEST(only_a_possible_producer_index_is_believed)
{
	size_t len = 7, n = 7;
	char buf[1100];

	page.rsp_prod = page.rsp_cons + producer[_i].ahead;
	ck_assert_int_eq(pv_xsring_peek(&ring, &len), producer[_i].rc);
	ck_assert_uint_eq(len, producer[_i].rc ? 7 : producer[_i].ahead);
	ck_assert_int_eq(pv_xsring_get(&ring, buf, sizeof(buf), &n), producer[_i].rc);
	ck_assert_uint_eq(n, producer[_i].rc ? 0 : producer[_i].ahead);
}
END_TEST

static const struct {
	uint32_t behind; /* the server's consumer, from our producer */
	int rc;
} consumer[] = {
	{ 0, 0 },
	{ 1024, 0 },
	{ 1025, -XEN_EIO },
	{ 0x80000000, -XEN_EIO },
	{ UINT32_MAX, -XEN_EIO },
};

START_TEST(only_a_possible_consumer_index_is_believed)
{
	static struct xenstore_domain_interface before;
	static const char data[1100];
	size_t len = 7, n = 7;

	page.req_cons = page.req_prod - consumer[_i].behind;
	before = page;
	ck_assert_int_eq(pv_xsring_room(&ring, &len), consumer[_i].rc);
	ck_assert_uint_eq(len, consumer[_i].rc ? 7 : 1024 - consumer[_i].behind);
	ck_assert_int_eq(pv_xsring_put(&ring, data, sizeof(data), &n), consumer[_i].rc);
	ck_assert_uint_eq(n, consumer[_i].rc ? 0 : 1024 - consumer[_i].behind);
	if (consumer[_i].rc)
		ck_assert_mem_eq(&page, &before, sizeof(page)); /* nothing was touched */
}
END_TEST

START_TEST(a_server_that_has_given_up_is_an_error_if_it_can_say_so)
{
	size_t n;

	page.error = XENSTORE_ERROR_PROTO;
	ck_assert_int_eq(pv_xsring_peek(&ring, &n), -XEN_EIO);
	ck_assert_int_eq(pv_xsring_room(&ring, &n), -XEN_EIO);
	page.server_features = 0; /* then the field means nothing */
	ck_assert_int_eq(pv_xsring_peek(&ring, &n), 0);
	ck_assert_int_eq(pv_xsring_room(&ring, &n), 0);
}
END_TEST

START_TEST(our_own_indexes_are_not_read_back)
{
	size_t n;

	page.req_prod = 0x1234;
	page.rsp_cons = 0x5678;
	ck_assert_int_eq(pv_xsring_put(&ring, "x", 1, &n), 0);
	ck_assert_uint_eq(page.req_prod, START + 1);
	ck_assert_uint_eq((unsigned char)page.req[MASK_XENSTORE_IDX(START)], 'x');
}
END_TEST

Suite *pv_xsring_suite(void)
{
	Suite *s = suite_create("pv_xsring");
	TCase *normal = tcase_create("normal"), *limits = tcase_create("limits"),
	      *hostile = tcase_create("hostile");

	tcase_add_checked_fixture(normal, set_up, NULL);
	tcase_add_checked_fixture(limits, set_up, NULL);
	tcase_add_checked_fixture(hostile, set_up, NULL);
	tcase_add_test(normal, bytes_go_around_the_ring_and_past_the_end_of_the_numbers);
	tcase_add_test(normal, a_ring_that_was_in_use_goes_on_where_it_was);
	tcase_add_test(limits, an_empty_ring_gives_nothing_and_a_full_one_takes_nothing);
	tcase_add_loop_test(hostile, only_a_possible_producer_index_is_believed, 0,
	                    ARRAY_LEN(producer));
	tcase_add_loop_test(hostile, only_a_possible_consumer_index_is_believed, 0,
	                    ARRAY_LEN(consumer));
	tcase_add_test(hostile, a_server_that_has_given_up_is_an_error_if_it_can_say_so);
	tcase_add_test(hostile, our_own_indexes_are_not_read_back);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, limits);
	suite_add_tcase(s, hostile);
	return s;
}
