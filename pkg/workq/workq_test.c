/* SPDX-License-Identifier: Apache-2.0 */
#include "workq/workq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/mono.h"

struct fixture {
	struct event_base *base;
	struct metrics *metrics;
	struct workq *queue;
	struct buf log; /* the keys in the order they were handed out, a blank behind each */
	bool keep_running;
	int pause_after;
	int64_t busy_ms;
};

static void spin(int64_t ms)
{
	int64_t end_ms = mono_ms() + ms;

	while (mono_ms() < end_ms)
		continue;
}

static void work(void *ctx, const char *key)
{
	struct fixture *f = ctx;

	(void)buf_addf(&f->log, "%s ", key);
	if (f->pause_after && !--f->pause_after)
		workq_pause(f->queue);
	spin(f->busy_ms);
	if (f->keep_running)
		return;
	workq_done(f->queue, key);
	assert_true(strlen(key) > 0); /* still lent */
}

static void start(struct fixture *f, struct workq_options options)
{
	options.name = "things";
	workq_free(f->queue);
	f->queue = workq_new(f->base, &options, work, f);
}

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));

	f->base = event_base_new();
	f->metrics = metrics_new();
	buf_init(&f->log, 1 << 20);
	start(f, (struct workq_options){0});
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	workq_free(f->queue);
	metrics_free(f->metrics);
	event_base_free(f->base);
	buf_done(&f->log);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Turns the loop until the log is as expected. */
static void assert_log(struct fixture *f, const char *expected)
{
	int64_t limit_ms = mono_ms() + 5000;

	while (f->log.len < strlen(expected) && mono_ms() < limit_ms)
		(void)event_base_loop(f->base, EVLOOP_ONCE);
	turn(f);
	turn(f);
	assert_string_equal(buf_str(&f->log), expected);
}

/* ---- adding ---- */

static void test_starts_paused(void **state)
{
	struct fixture *f = *state;

	workq_add(f->queue, "a", WORKQ_HIGH);
	turn(f);
	assert_log(f, "");
	assert_int_equal(workq_len(f->queue), 1);
	workq_resume(f->queue);
	assert_log(f, "a ");
	assert_int_equal(workq_len(f->queue), 0);
}

static void test_never_called_from_inside_an_add(void **state)
{
	struct fixture *f = *state;

	workq_resume(f->queue);
	workq_add(f->queue, "a", WORKQ_HIGH);
	assert_string_equal(buf_str(&f->log), "");
	assert_log(f, "a ");
}

static void test_queued_once(void **state)
{
	struct fixture *f = *state;

	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_LOW);
	workq_add(f->queue, "a", WORKQ_LOW);
	workq_resume(f->queue);
	assert_log(f, "a b ");
	workq_add(f->queue, "a", WORKQ_LOW);
	assert_log(f, "a b a ");
}

static void test_high_priority_first_then_in_order(void **state)
{
	struct fixture *f = *state;

	workq_add(f->queue, "low1", WORKQ_LOW);
	workq_add(f->queue, "high1", WORKQ_HIGH);
	workq_add(f->queue, "low2", WORKQ_LOW);
	workq_add(f->queue, "high2", WORKQ_HIGH);
	workq_add(f->queue, "high1", WORKQ_LOW); /* does not lower it */
	workq_resume(f->queue);
	assert_log(f, "high1 high2 low1 low2 ");
}

static void test_add_raises_priority(void **state)
{
	struct fixture *f = *state;

	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_HIGH);
	workq_resume(f->queue);
	assert_log(f, "b a ");
}

/* ---- running ---- */

static void test_added_while_running_runs_again_after_done(void **state)
{
	struct fixture *f = *state;

	f->keep_running = true;
	workq_resume(f->queue);
	workq_add(f->queue, "a", WORKQ_HIGH);
	assert_log(f, "a ");
	assert_int_equal(workq_running(f->queue), 1);
	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "a", WORKQ_HIGH);
	workq_add(f->queue, "b", WORKQ_LOW);
	assert_log(f, "a b ");
	assert_int_equal(workq_running(f->queue), 2);
	workq_done(f->queue, "a");
	assert_log(f, "a b a ");
	workq_done(f->queue, "a");
	workq_done(f->queue, "b");
	assert_int_equal(workq_running(f->queue), 0);
	assert_log(f, "a b a ");
}

static void test_dirty_key_has_the_priority_of_its_adds(void **state)
{
	struct fixture *f = *state;

	f->keep_running = true;
	workq_add(f->queue, "a", WORKQ_HIGH);
	workq_add(f->queue, "b", WORKQ_HIGH);
	workq_resume(f->queue);
	assert_log(f, "a b ");
	workq_pause(f->queue);
	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_HIGH);
	workq_done(f->queue, "a");
	workq_done(f->queue, "b");
	workq_resume(f->queue);
	assert_log(f, "a b b a ");
}

static void test_pause_stops_at_once(void **state)
{
	struct fixture *f = *state;

	f->pause_after = 1;
	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_LOW);
	workq_resume(f->queue);
	assert_log(f, "a ");
	assert_int_equal(workq_len(f->queue), 1);
	workq_resume(f->queue);
	assert_log(f, "a b ");
}

static void test_so_many_run_at_once(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.max_running = 2});
	f->keep_running = true;
	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_LOW);
	workq_add(f->queue, "c", WORKQ_LOW);
	workq_resume(f->queue);
	assert_log(f, "a b ");
	workq_done(f->queue, "b");
	assert_log(f, "a b c ");
	workq_add(f->queue, "d", WORKQ_LOW);
	workq_add(f->queue, "e", WORKQ_LOW);
	assert_log(f, "a b c ");
	workq_unlimit(f->queue);
	assert_log(f, "a b c d e ");
}

static void log_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)fd;
	(void)what;
	(void)buf_addc(&f->log, '.');
}

static void assert_loop_turns_between(struct fixture *f)
{
	const struct timeval at_once = {0};
	struct event *tick = event_new(f->base, -1, EV_PERSIST, log_tick, f);

	workq_add(f->queue, "a", WORKQ_LOW);
	workq_add(f->queue, "b", WORKQ_LOW);
	workq_resume(f->queue);
	(void)event_add(tick, &at_once);
	for (int i = 0; i < 5; i++)
		turn(f);
	event_free(tick);
	assert_non_null(strstr(buf_str(&f->log), "a ."));
	assert_non_null(strstr(buf_str(&f->log), ".b "));
}

static void test_budget_of_keys(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.keys_per_turn = 1});
	assert_loop_turns_between(f);
}

static void test_budget_of_time(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.ms_per_turn = 1});
	f->busy_ms = 2;
	assert_loop_turns_between(f);
}

/* ---- later ---- */

static void test_delayed_in_the_order_of_their_times(void **state)
{
	struct fixture *f = *state;

	workq_resume(f->queue);
	workq_add_after(f->queue, "third", 30);
	workq_add_after(f->queue, "first", 5);
	workq_add_after(f->queue, "now", 0);
	workq_add_after(f->queue, "second", 15);
	assert_log(f, "now first second third ");
}

static void test_earlier_time_wins(void **state)
{
	struct fixture *f = *state;

	workq_resume(f->queue);
	workq_add_after(f->queue, "a", 1000000);
	workq_add_after(f->queue, "b", 1000000);
	workq_add_after(f->queue, "b", 1);
	workq_add_after(f->queue, "b", 500000);
	assert_log(f, "b ");
}

static void test_time_passing_while_running_marks_dirty(void **state)
{
	struct fixture *f = *state;

	f->keep_running = true;
	workq_resume(f->queue);
	workq_add(f->queue, "a", WORKQ_HIGH);
	assert_log(f, "a ");
	workq_add_after(f->queue, "a", 1);
	workq_add_after(f->queue, "b", 2);
	assert_log(f, "a b ");
	workq_done(f->queue, "a");
	assert_log(f, "a b a ");
}

static void test_many_timed_keys_run_once_each(void **state)
{
	enum { KEYS = 2000 };
	struct fixture *f = *state;
	char key[16];

	workq_resume(f->queue);
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof(key), "%04d", i);
		workq_add_after(f->queue, key, 1 + i * 7919 % 97);
		workq_add_after(f->queue, key, 1 + i * 104729 % 89);
	}
	while (f->log.len < (size_t)KEYS * 5)
		(void)event_base_loop(f->base, EVLOOP_ONCE);
	turn(f);
	assert_int_equal(f->log.len, KEYS * 5);
	for (int i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof(key), "%04d ", i);
		assert_non_null(strstr(buf_str(&f->log), key));
	}
}

static void test_backoff_counts_failures(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.backoff_base_ms = 1});
	workq_resume(f->queue);
	assert_int_equal(workq_failures(f->queue, "a"), 0);
	workq_add_backoff(f->queue, "a");
	assert_log(f, "a ");
	workq_add_backoff(f->queue, "a");
	assert_log(f, "a a ");
	assert_int_equal(workq_failures(f->queue, "a"), 2);
	workq_forget(f->queue, "a");
	workq_forget(f->queue, "never seen");
	assert_int_equal(workq_failures(f->queue, "a"), 0);
}

static void test_backoff_grows(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.backoff_base_ms = 10});
	workq_resume(f->queue);
	f->keep_running = true;
	for (int i = 0; i < 10; i++) /* the first time, the earliest, stands */
		workq_add_backoff(f->queue, "often");
	assert_log(f, "often ");
	workq_done(f->queue, "often");
	workq_add_backoff(f->queue, "often"); /* 10 s */
	workq_add_backoff(f->queue, "seldom");
	assert_log(f, "often seldom ");
}

static void test_backoff_is_capped(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.backoff_base_ms = 1, .backoff_max_ms = 3});
	workq_resume(f->queue);
	f->keep_running = true;
	for (int i = 0; i < 100; i++)
		workq_add_backoff(f->queue, "a");
	assert_log(f, "a ");
	workq_done(f->queue, "a");
	workq_add_backoff(f->queue, "a");
	assert_log(f, "a a ");
}

/* ---- metrics ---- */

static void assert_written(struct fixture *f, const char *expected)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(1 << 20);

	assert_int_equal(metrics_write(f->metrics, &text), 0);
	if (!strstr(buf_str(&text), expected))
		fail_msg("\"%s\" is not in:\n%s", expected, buf_str(&text));
}

static void test_metrics(void **state)
{
#define LABELS "{name=\"things\",controller=\"things\"} "
	struct fixture *f = *state;

	start(f, (struct workq_options){.metrics = f->metrics, .backoff_base_ms = 1});
	assert_written(f, "workqueue_adds_total" LABELS "0\n");
	workq_add(f->queue, "a", WORKQ_HIGH);
	workq_add(f->queue, "a", WORKQ_HIGH);
	workq_add(f->queue, "b", WORKQ_LOW);
	assert_written(f, "workqueue_adds_total" LABELS "2\n");
	assert_written(f,
		       "workqueue_depth{name=\"things\",controller=\"things\",priority=\"0\"} 1\n");
	assert_written(
		f, "workqueue_depth{name=\"things\",controller=\"things\",priority=\"-100\"} 1\n");
	f->busy_ms = 2;
	workq_resume(f->queue);
	assert_log(f, "a b ");
	assert_written(f, "workqueue_queue_duration_seconds_count" LABELS "2\n");
	assert_written(f, "workqueue_work_duration_seconds_bucket{name=\"things\","
			  "controller=\"things\",le=\"0.001\"} 0\n");
	assert_written(f, "workqueue_work_duration_seconds_count" LABELS "2\n");
	workq_add_backoff(f->queue, "a");
	assert_log(f, "a b a ");
	assert_written(f, "workqueue_retries_total" LABELS "1\n");
	assert_written(f, "workqueue_adds_total" LABELS "3\n");
}

static void test_metrics_of_unfinished_work(void **state)
{
	struct fixture *f = *state;

	start(f, (struct workq_options){.metrics = f->metrics});
	f->keep_running = true;
	workq_resume(f->queue);
	workq_add(f->queue, "a", WORKQ_HIGH);
	assert_log(f, "a ");
	assert_written(f, "workqueue_unfinished_work_seconds" LABELS "0\n");
	(void)event_base_loop(f->base, EVLOOP_ONCE); /* half a second */
	assert_written(f, "workqueue_unfinished_work_seconds" LABELS "0.");
	assert_written(f, "workqueue_longest_running_processor_seconds" LABELS "0.");
	workq_done(f->queue, "a");
	(void)event_base_loop(f->base, EVLOOP_ONCE);
	assert_written(f, "workqueue_unfinished_work_seconds" LABELS "0\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_starts_paused),
		TEST(test_never_called_from_inside_an_add),
		TEST(test_queued_once),
		TEST(test_high_priority_first_then_in_order),
		TEST(test_add_raises_priority),
		TEST(test_added_while_running_runs_again_after_done),
		TEST(test_dirty_key_has_the_priority_of_its_adds),
		TEST(test_pause_stops_at_once),
		TEST(test_so_many_run_at_once),
		TEST(test_budget_of_keys),
		TEST(test_budget_of_time),
		TEST(test_delayed_in_the_order_of_their_times),
		TEST(test_earlier_time_wins),
		TEST(test_time_passing_while_running_marks_dirty),
		TEST(test_many_timed_keys_run_once_each),
		TEST(test_backoff_counts_failures),
		TEST(test_backoff_grows),
		TEST(test_backoff_is_capped),
		TEST(test_metrics),
		TEST(test_metrics_of_unfinished_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
