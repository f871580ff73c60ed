/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/attr.h"

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void test_compare(void **state)
{
	static const struct {
		const char *a, *b;
		bool ok;
		int order;
	} cases[] = {
		{"1", "2", true, -1},
		{"2", "1", true, 1},
		{"7", "7", true, 0},
		{"9", "10", true, -1},
		{"100", "99", true, 1},
		{"0", "1", true, -1},
		{"0", "0", true, 0},
		{"340282366920938463463374607431768211455",
		 "340282366920938463463374607431768211454", true, 1},
		{"18446744073709551616", "18446744073709551615", true, 1},
		{"", "1", false, 0},
		{"1", "", false, 0},
		{"01", "1", false, 0},
		{"00", "0", false, 0},
		{"1", "1a", false, 0},
		{"-1", "1", false, 0},
		{" 1", "1", false, 0},
		{"1.0", "1", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok;
		int order = kube_rv_compare(cases[i].a, cases[i].b, &ok);

		assert_int_equal(ok, cases[i].ok);
		assert_int_equal(sign(order), cases[i].order);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_compare)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
