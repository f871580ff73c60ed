/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/rnd.h"

#define ROUNDS 1000

static void test_bytes(void **state)
{
	static const unsigned char zeroes[4096];
	static unsigned char data[sizeof(zeroes)];

	(void)state;
	rnd_bytes(data, 0);
	assert_memory_equal(data, zeroes, sizeof(data));
	rnd_bytes(data, sizeof(data));
	assert_memory_not_equal(data, zeroes, 16);
	assert_memory_not_equal(data + sizeof(data) - 16, zeroes, 16);
	assert_true(rnd_u64() != rnd_u64());
}

static void assert_uuid_v4(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-4xxx-Nxxx-xxxxxxxxxxxx";
	size_t i;

	assert_int_equal(strlen(text), sizeof(shape) - 1);
	for (i = 0; shape[i]; i++) {
		if (shape[i] == 'x')
			assert_non_null(strchr("0123456789abcdef", text[i]));
		else if (shape[i] == 'N')
			assert_non_null(strchr("89ab", text[i]));
		else
			assert_int_equal(text[i], shape[i]);
	}
}

static void test_uuid(void **state)
{
	char last[RND_UUID_LEN] = "";
	char text[RND_UUID_LEN];
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		rnd_uuid(text);
		assert_uuid_v4(text);
		assert_string_not_equal(text, last);
		memcpy(last, text, sizeof(last));
	}
}

static void test_jitter_bounds(void **state)
{
	static const struct {
		int64_t ms;
		int percent;
		int64_t most;
	} cases[] = {{1000, 10, 1100}, {1000, 0, 1000},
		     {0, 50, 0},       {3, 50, 4},
		     {199, 100, 398},  {10 * INT64_C(86400000), 20, 12 * INT64_C(86400000)}};
	size_t i;
	int round;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		for (round = 0; round < ROUNDS; round++) {
			int64_t got = rnd_jitter_ms(cases[i].ms, cases[i].percent);

			assert_true(got >= cases[i].ms && got <= cases[i].most);
		}
	}
}

static void test_jitter_reaches_both_ends(void **state)
{
	bool seen[3] = {false};
	int round;

	(void)state;
	for (round = 0; round < ROUNDS; round++)
		seen[rnd_jitter_ms(4, 50) - 4] = true;
	assert_true(seen[0] && seen[1] && seen[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_jitter_bounds),
		cmocka_unit_test(test_jitter_reaches_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
