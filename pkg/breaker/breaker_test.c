/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "breaker/breaker.h"

#define NOW 1000000

static void open_it(struct breaker *b)
{
	for (int i = 0; i < BREAKER_FAILURES; i++)
		breaker_bad(b, NOW, NOW, 0);
	assert_int_equal(b->state, BREAKER_OPEN);
}

static void test_failures_in_a_row_open_it(void **state)
{
	struct breaker b = {0};

	(void)state;
	for (int i = 1; i < BREAKER_FAILURES; i++) {
		breaker_bad(&b, NOW, NOW, 0);
		assert_int_equal(b.state, BREAKER_CLOSED);
	}
	breaker_good(&b, NOW);
	for (int i = 1; i < BREAKER_FAILURES; i++)
		breaker_bad(&b, NOW, NOW, 0);
	assert_int_equal(b.state, BREAKER_CLOSED);
	breaker_bad(&b, NOW, NOW + 7, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.probe_ms, NOW + 7 + BREAKER_PAUSE_MS);
}

static void test_pauses_grow_up_to_a_cap(void **state)
{
	struct breaker b = {0};
	int64_t pause_ms = BREAKER_PAUSE_MS;

	(void)state;
	open_it(&b);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(b.probe_ms, NOW + pause_ms);
		pause_ms =
			pause_ms * 2 < BREAKER_PAUSE_MOST_MS ? pause_ms * 2 : BREAKER_PAUSE_MOST_MS;
		breaker_dead(&b, NOW, 0);
		assert_int_equal(b.state, BREAKER_OPEN);
	}
	/* Half of it is chance. */
	breaker_dead(&b, NOW, BREAKER_PAUSE_MOST_MS / 2);
	assert_int_equal(b.probe_ms, NOW + BREAKER_PAUSE_MOST_MS / 2 * 3);
	breaker_dead(&b, NOW, BREAKER_PAUSE_MOST_MS / 2 + 1);
	assert_int_equal(b.probe_ms, NOW + BREAKER_PAUSE_MOST_MS);
	breaker_dead(&b, NOW, UINT64_MAX);
	assert_in_range(b.probe_ms, NOW + BREAKER_PAUSE_MOST_MS,
			NOW + BREAKER_PAUSE_MOST_MS / 2 * 3);
}

static void test_a_trial_that_fails_opens_it_for_longer(void **state)
{
	struct breaker b = {0};

	(void)state;
	open_it(&b);
	breaker_alive(&b, NOW + 10);
	assert_int_equal(b.state, BREAKER_TRIAL);
	breaker_bad(&b, NOW + 10, NOW + 20, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.probe_ms, NOW + 20 + 2 * BREAKER_PAUSE_MS);
}

static void test_a_trial_that_succeeds_closes_it(void **state)
{
	struct breaker b = {0};

	(void)state;
	open_it(&b);
	breaker_dead(&b, NOW, 0);
	breaker_alive(&b, NOW + 10);
	breaker_good(&b, NOW + 20);
	assert_int_equal(b.state, BREAKER_CLOSED);
	for (int i = 0; i < BREAKER_FAILURES; i++)
		breaker_bad(&b, NOW + 20, NOW + 30, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.probe_ms, NOW + 30 + BREAKER_PAUSE_MS);
}

/* Of requests that were under way when the state changed. */
static void test_old_news(void **state)
{
	struct breaker b = {0};

	(void)state;
	open_it(&b);
	breaker_bad(&b, NOW, NOW + 5, 0);
	assert_int_equal(b.probe_ms, NOW + BREAKER_PAUSE_MS);
	breaker_alive(&b, NOW + 10);
	breaker_bad(&b, NOW + 9, NOW + 15, 0);
	assert_int_equal(b.state, BREAKER_TRIAL);
	breaker_good(&b, NOW + 20);
	for (int i = 0; i < BREAKER_FAILURES; i++)
		breaker_bad(&b, NOW + 19, NOW + 25, 0);
	assert_int_equal(b.state, BREAKER_CLOSED);
	/* Good news count at any time, and an answer to a question that nobody asks any more not.
	 */

	breaker_alive(&b, NOW + 30);
	breaker_dead(&b, NOW + 30, 0);
	assert_int_equal(b.state, BREAKER_CLOSED);
	b = (struct breaker){0};
	open_it(&b);
	breaker_good(&b, NOW + 1);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_a_pause_of_ones_own(void **state)
{
	struct breaker b = {.pause_ms = 1};

	(void)state;
	open_it(&b);
	assert_int_equal(b.probe_ms, NOW + 1);
	breaker_dead(&b, NOW, 0);
	assert_int_equal(b.probe_ms, NOW + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_in_a_row_open_it),
		cmocka_unit_test(test_pauses_grow_up_to_a_cap),
		cmocka_unit_test(test_a_trial_that_fails_opens_it_for_longer),
		cmocka_unit_test(test_a_trial_that_succeeds_closes_it),
		cmocka_unit_test(test_old_news),
		cmocka_unit_test(test_a_pause_of_ones_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
