/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mono.h"

static void test_texts(void **state)
{
	static const struct {
		int64_t wall_us;
		const char *seconds;
		const char *micro;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		{999999, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.999999Z"},
		{951782400000001, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000001Z"},
		{1795514400123456, "2026-11-24T10:00:00Z", "2026-11-24T10:00:00.123456Z"},
		{253402300799000000, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"},
	};
	char text[MONO_RFC3339_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		mono_rfc3339(cases[i].wall_us, text);
		assert_string_equal(text, cases[i].seconds);
		assert_int_equal(mono_parse_rfc3339(text), cases[i].wall_us / 1000000);
		mono_rfc3339_micro(cases[i].wall_us, text);
		assert_string_equal(text, cases[i].micro);
		assert_int_equal(mono_parse_rfc3339(text), cases[i].wall_us / 1000000);
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {
		{"2026-11-24T10:00:00Z", 1795514400},
		{"2026-11-24T10:00:00.5Z", 1795514400},
		{"2026-11-24T10:00:00.123456789Z", 1795514400},
		{"2024-02-29T23:59:59Z", 1709251199},
		{"", -1},
		{"null", -1},
		{"2026-11-24", -1},
		{"2026-11-24T10:00:00", -1},
		{"2026-11-24T10:00:00z", -1},
		{"2026-11-24 10:00:00Z", -1},
		{"2026-11-24T10:00:00+00:00", -1},
		{"2026-11-24T10:00:00.Z", -1},
		{"2026-11-24T10:00:00.5.5Z", -1},
		{"2026-11-24T10:00:00Z ", -1},
		{" 2026-11-24T10:00:00Z", -1},
		{"2026-1-4T1:0:0Z", -1},
		{"2026- 1-24T10:00:00Z", -1},
		{"2026-13-01T10:00:00Z", -1},
		{"2026-11-24T24:00:00Z", -1},
		{"2026-02-29T10:00:00Z", -1},
		{"2026-11-31T10:00:00Z", -1},
		{"2026-11-00T10:00:00Z", -1},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		if (mono_parse_rfc3339(cases[i].text) != cases[i].seconds)
			fail_msg("%s", cases[i].text);
	}
}

static void test_clocks(void **state)
{
	const int64_t year_2020_us = 1577836800000000;
	int64_t first = mono_ms();

	(void)state;
	assert_true(mono_ms() >= first);
	assert_true(mono_wall_us() > year_2020_us);
}

static void test_timeval(void **state)
{
	const struct timeval some = mono_timeval(2345);
	const struct timeval past = mono_timeval(-1);

	(void)state;
	assert_true(some.tv_sec == 2 && some.tv_usec == 345000);
	assert_true(past.tv_sec == 0 && past.tv_usec == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_timeval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
