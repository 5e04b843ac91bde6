/* SPDX-License-Identifier: MIT */
/*
 * The main program of every unit-test binary: runs the one suite that the build names in SUITE.
 * Exit status 0 when every test passed, 1 otherwise.
 */
#include <check.h>
#include <stdlib.h>

Suite *SUITE(void);

int main(void)
{
	SRunner *runner = srunner_create(SUITE());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
