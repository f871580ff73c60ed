/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "cname/cname.h"

#define NOW 1000000

static struct cname_schedule known(enum cname_verdict verdict)
{
	struct cname_schedule s;

	cname_schedule_begin(&s, verdict, NOW, 0);
	assert_int_equal(s.verdict, verdict);
	assert_int_equal(s.next_ms, NOW);
	return s;
}

static void test_fast_with_backoff_while_missing(void **state)
{
	static const int64_t pauses_s[] = {5, 10, 20, 40, 80, 160, 300, 300, 300};
	struct cname_schedule s = known(CNAME_UNKNOWN);
	struct cname_schedule late;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
		late = s;
		assert_int_equal(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0), i == 0);
		assert_int_equal(s.next_ms, NOW + pauses_s[i] * 1000);
		(void)cname_schedule_fold(&late, CNAME_MISSING, 0, NOW,
					  (uint64_t)pauses_s[i] * 250);
		assert_int_equal(late.next_ms, NOW + pauses_s[i] * 1250);
	}
	s.tries = UINT32_MAX - 1;
	(void)cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0);
	assert_int_equal(s.next_ms, NOW + CNAME_FAST_MOST_MS);
}

static void test_slow_with_jitter_once_found(void **state)
{
	struct cname_schedule s = known(CNAME_MISSING);
	int64_t least = INT64_MAX;
	int64_t most = 0;

	(void)state;
	assert_true(cname_schedule_fold(&s, CNAME_FOUND, 0, NOW, 0));
	assert_int_equal(s.verdict, CNAME_FOUND);
	for (uint64_t random = 0; random < 10000; random++) {
		assert_false(
			cname_schedule_fold(&s, CNAME_FOUND, 0, NOW, random * 0x9e3779b97f4a7c15U));
		least = s.next_ms < least ? s.next_ms : least;
		most = s.next_ms > most ? s.next_ms : most;
	}
	assert_in_range(least, NOW + CNAME_SLOW_MS * 3 / 4, NOW + CNAME_SLOW_MS * 19 / 25);
	assert_in_range(most, NOW + CNAME_SLOW_MS * 31 / 25, NOW + CNAME_SLOW_MS * 5 / 4);
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
	assert_int_equal(s.next_ms, NOW + CNAME_FAST_MS);
}

static void test_caches_are_waited_for(void **state)
{
	struct cname_schedule s = known(CNAME_MISSING);

	(void)state;
	(void)cname_schedule_fold(&s, CNAME_MISSING, 60, NOW, 0);
	assert_int_equal(s.next_ms, NOW + 60000);
	(void)cname_schedule_fold(&s, CNAME_MISSING, 1, NOW, 0);
	assert_int_equal(s.next_ms, NOW + 2 * CNAME_FAST_MS);
	(void)cname_schedule_fold(&s, CNAME_MISSING, UINT32_MAX, NOW, 0);
	assert_int_equal(s.next_ms, NOW + CNAME_TTL_MOST_S * 1000);
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, UINT32_MAX, NOW, UINT64_MAX));
	assert_in_range(s.next_ms, NOW + CNAME_TTL_MOST_S * 1000, NOW + CNAME_TTL_MOST_S * 1250);
}

/* Nor does a doubt, which has to be settled soon, nor an account that waits for its turn. */
static void test_caches_are_not_waited_for(void **state)
{
	static const int64_t pauses_s[] = {5, 10, 15, 15};
	struct cname_schedule s = known(CNAME_FOUND);

	(void)state;
	assert_false(cname_schedule_fold(&s, CNAME_MISMATCH, 3600, NOW, 0));
	assert_int_equal(s.next_ms, NOW + CNAME_FAST_MS);
	assert_true(cname_schedule_fold(&s, CNAME_MISMATCH, 3600, NOW, 0));
	assert_int_equal(s.next_ms, NOW + 3600000);
	s = known(CNAME_UNKNOWN);
	s.urgent = true;
	for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
		(void)cname_schedule_fold(&s, CNAME_MISMATCH, 3600, NOW, 0);
		assert_int_equal(s.next_ms, NOW + pauses_s[i] * 1000);
	}
}

static void test_hurry(void **state)
{
	struct cname_schedule s = known(CNAME_MISSING);

	(void)state;
	for (int i = 0; i < 9; i++)
		(void)cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0);
	cname_schedule_hurry(&s, NOW + 7);
	assert_int_equal(s.next_ms, NOW + 7);
	assert_true(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW + 8, 0));
	assert_int_equal(s.next_ms, NOW + 8 + CNAME_FAST_MS);
}

/* A wrong record was changed to another wrong one, and somebody asks what is seen now. */
static void test_who_asks_is_told(void **state)
{
	struct cname_schedule s = known(CNAME_MISMATCH);

	(void)state;
	assert_false(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	cname_schedule_hurry(&s, NOW);
	assert_false(
		cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0)); /* not that it is unknown */
	assert_true(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	/* Nobody knew, and why has changed. */
	s = known(CNAME_UNKNOWN);
	assert_true(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	cname_schedule_hurry(&s, NOW);
	assert_true(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	/* Found still ends by two answers only. */
	s = known(CNAME_FOUND);
	cname_schedule_hurry(&s, NOW);
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
	assert_true(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
}

static void test_found_ends_by_the_same_answer_twice(void **state)
{
	struct cname_schedule s = known(CNAME_FOUND);

	(void)state;
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_FOUND, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0)); /* says neither */
	assert_int_equal(s.verdict, CNAME_FOUND);
	assert_true(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	assert_int_equal(s.verdict, CNAME_MISMATCH);
	/* Between the others, and back, once is enough. */
	assert_false(cname_schedule_fold(&s, CNAME_MISMATCH, 0, NOW, 0));
	assert_true(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
	assert_true(cname_schedule_fold(&s, CNAME_FOUND, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_MISSING, 0, NOW, 0));
}

static void test_unknown_after_three_failures_over_ten_minutes(void **state)
{
	struct cname_schedule s = known(CNAME_FOUND);
	struct cname_schedule often;

	(void)state;
	/* Ten minutes, but not three. */
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW + CNAME_FAILING_MS, 0));
	assert_int_equal(s.next_ms, NOW + CNAME_FAILING_MS + 2 * CNAME_FAST_MS);
	/* An answer in between. */
	assert_false(cname_schedule_fold(&s, CNAME_FOUND, 0, NOW + CNAME_FAILING_MS, 0));
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW + CNAME_FAILING_MS, 0));
	/* Three and more, but not ten minutes. */
	often = known(CNAME_MISSING);
	for (int i = 0; i < 9; i++)
		assert_false(cname_schedule_fold(&often, CNAME_UNKNOWN, 0, NOW + i, 0));
	assert_false(cname_schedule_fold(&often, CNAME_UNKNOWN, 0, NOW + CNAME_FAILING_MS - 1, 0));
	assert_int_equal(often.verdict, CNAME_MISSING);
	assert_true(cname_schedule_fold(&often, CNAME_UNKNOWN, 0, NOW + CNAME_FAILING_MS, 0));
	assert_int_equal(often.verdict, CNAME_UNKNOWN);
	/* Told once. */
	assert_false(cname_schedule_fold(&often, CNAME_UNKNOWN, 0, NOW + 2 * CNAME_FAILING_MS, 0));
	assert_true(cname_schedule_fold(&often, CNAME_MISSING, 0, NOW + 2 * CNAME_FAILING_MS, 0));
}

static void test_first_failure_is_told(void **state)
{
	struct cname_schedule s = known(CNAME_UNKNOWN);

	(void)state;
	assert_true(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	assert_false(cname_schedule_fold(&s, CNAME_UNKNOWN, 0, NOW, 0));
	assert_true(cname_schedule_fold(&s, CNAME_FOUND, 0, NOW, 0));
}

/* After a restart ten thousand names are not asked for at once. */
static void test_start_without_a_burst(void **state)
{
	static int per_minute[60];
	static int per_second[60];
	struct cname_schedule s;

	(void)state;
	for (uint64_t i = 0; i < 10000; i++) {
		cname_schedule_begin(&s, CNAME_FOUND, NOW, i * 0x9e3779b97f4a7c15U);
		assert_in_range(s.next_ms, NOW, NOW + CNAME_SLOW_MS);
		per_minute[(s.next_ms - NOW) / 60001]++;
		cname_schedule_begin(&s, i % 2 ? CNAME_MISSING : CNAME_UNKNOWN, NOW,
				     i * 0x9e3779b97f4a7c15U);
		assert_in_range(s.next_ms, NOW, NOW + CNAME_SPREAD_MS);
		per_second[(s.next_ms - NOW) / 1001]++;
	}
	for (size_t i = 0; i < ARRAY_LEN(per_minute); i++) {
		assert_in_range(per_minute[i], 100, 250);
		assert_in_range(per_second[i], 100, 250);
	}
	cname_schedule_hurry(&s, NOW); /* a new one */
	assert_int_equal(s.next_ms, NOW);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_with_backoff_while_missing),
		cmocka_unit_test(test_slow_with_jitter_once_found),
		cmocka_unit_test(test_caches_are_waited_for),
		cmocka_unit_test(test_caches_are_not_waited_for),
		cmocka_unit_test(test_hurry),
		cmocka_unit_test(test_who_asks_is_told),
		cmocka_unit_test(test_found_ends_by_the_same_answer_twice),
		cmocka_unit_test(test_unknown_after_three_failures_over_ten_minutes),
		cmocka_unit_test(test_first_failure_is_told),
		cmocka_unit_test(test_start_without_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
