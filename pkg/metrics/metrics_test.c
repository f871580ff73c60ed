/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#include "base/mono.h"

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static const double bounds[] = {0.1, 1, 10};

static const struct metrics_desc calls = {
	.type = METRICS_COUNTER,
	.name = "calls_total",
	.help = "Calls, by what came of them.",
	.labels = {"verb", "code"},
};

static const struct metrics_desc depth = {
	.type = METRICS_GAUGE,
	.name = "depth",
	.help = "A back\\slash and\na line.",
};

static const struct metrics_desc seconds = {
	.type = METRICS_HISTOGRAM,
	.name = "seconds",
	.help = "How long.",
	.labels = {"verb"},
	.buckets = bounds,
	.buckets_len = ARRAY_LEN(bounds),
};

struct fixture {
	struct metrics *metrics;
	struct buf text;
};

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));

	f->metrics = metrics_new();
	buf_init(&f->text, 1 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	metrics_free(f->metrics);
	buf_done(&f->text);
	free(f);
	return 0;
}

static const char *written(struct fixture *f)
{
	buf_clear(&f->text);
	assert_int_equal(metrics_write(f->metrics, &f->text), 0);
	return buf_str(&f->text);
}

static void assert_has(struct fixture *f, const char *expected)
{
	if (!strstr(written(f), expected))
		fail_msg("\"%s\" is not in:\n%s", expected, buf_str(&f->text));
}

static void assert_has_not(struct fixture *f, const char *unexpected)
{
	if (strstr(written(f), unexpected))
		fail_msg("\"%s\" is in:\n%s", unexpected, buf_str(&f->text));
}

static void test_counter(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &calls);

	assert_has_not(f, "calls_total"); /* no series yet */
	metrics_add(family, LABELS("get", "200"), 0);
	metrics_add(family, LABELS("get", "404"), 1);
	metrics_add(family, LABELS("get", "404"), 2);
	assert_has(f, "# HELP calls_total Calls, by what came of them.\n"
		      "# TYPE calls_total counter\n"
		      "calls_total{verb=\"get\",code=\"200\"} 0\n"
		      "calls_total{verb=\"get\",code=\"404\"} 3\n");
	assert_true(metrics_value(family, LABELS("get", "404")) == 3);
	assert_true(metrics_value(family, LABELS("get", "500")) == 0);
}

static void test_values_are_told_apart_by_their_edges(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &calls);

	metrics_add(family, LABELS("ab", "c"), 1);
	metrics_add(family, LABELS("a", "bc"), 2);
	assert_true(metrics_value(family, LABELS("ab", "c")) == 1);
	assert_true(metrics_value(family, LABELS("a", "bc")) == 2);
}

static void test_gauge_without_labels(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &depth);

	assert_has(f, "# HELP depth A back\\\\slash and\\na line.\n# TYPE depth gauge\ndepth 0\n");
	metrics_set(family, NULL, 5);
	metrics_add(family, NULL, -7.5);
	assert_has(f, "\ndepth -2.5\n");
}

static void test_label_values_are_escaped(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &calls);

	metrics_add(family, LABELS("a\"b\\c\nd", ""), 1);
	assert_has(f, "calls_total{verb=\"a\\\"b\\\\c\\nd\",code=\"\"} 1\n");
}

static void test_histogram(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &seconds);

	metrics_observe(family, LABELS("get"), 0.1); /* a bound belongs to its bucket */
	metrics_observe(family, LABELS("get"), 0.5);
	metrics_observe(family, LABELS("get"), 0.75);
	metrics_observe(family, LABELS("get"), 11);
	assert_has(f, "# TYPE seconds histogram\n"
		      "seconds_bucket{verb=\"get\",le=\"0.1\"} 1\n"
		      "seconds_bucket{verb=\"get\",le=\"1\"} 3\n"
		      "seconds_bucket{verb=\"get\",le=\"10\"} 3\n"
		      "seconds_bucket{verb=\"get\",le=\"+Inf\"} 4\n"
		      "seconds_sum{verb=\"get\"} 12.35\n"
		      "seconds_count{verb=\"get\"} 4\n");
	assert_true(metrics_value(family, LABELS("get")) == 4);
}

static void test_histogram_without_labels(void **state)
{
	struct fixture *f = *state;
	struct metrics_desc desc = seconds;

	desc.labels[0] = NULL;
	(void)metrics_declare(f->metrics, &desc);
	assert_has(f, "seconds_bucket{le=\"+Inf\"} 0\nseconds_sum 0\nseconds_count 0\n");
}

static void test_numbers(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{0.1, "depth 0.1\n"},
		{1e-8, "depth 1e-08\n"},
		{1.0 / 3, "depth 0.3333333333333333\n"},
		{0.1 + 0.2, "depth 0.30000000000000004\n"},
		{1234567, "depth 1234567\n"},
		{1e300, "depth 1e+300\n"},
		{(double)INFINITY, "depth +Inf\n"},
		{-(double)INFINITY, "depth -Inf\n"},
		{(double)NAN, "depth NaN\n"},
	};
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &depth);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		metrics_set(family, NULL, cases[i].value);
		assert_has(f, cases[i].text);
	}
}

static void test_sorted_by_name(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *last = metrics_declare(f->metrics, &seconds);
	struct metrics_family *first = metrics_declare(f->metrics, &calls);
	const char *text;

	metrics_observe(last, LABELS("get"), 1);
	metrics_add(first, LABELS("get", "200"), 1);
	text = written(f);
	assert_true(strstr(text, "calls_total") < strstr(text, "process_open_fds"));
	assert_true(strstr(text, "process_open_fds") < strstr(text, "seconds_sum"));
}

static void test_series_are_capped(void **state)
{
	struct fixture *f = *state;
	struct metrics_family *family = metrics_declare(f->metrics, &calls);
	char verb[16];

	for (int i = 0; i < METRICS_MAX_SERIES + 50; i++) {
		(void)snprintf(verb, sizeof(verb), "verb%d", i);
		metrics_add(family, LABELS(verb, "200"), 1);
	}
	assert_true(metrics_value(family, LABELS("other", "other")) == 50);
	assert_true(metrics_value(family, LABELS("verb999", "200")) == 1);
	assert_has_not(f, "verb1000");
}

static void test_process(void **state)
{
	struct fixture *f = *state;
	const char *text = written(f);
	const char *start = strstr(text, "\nprocess_start_time_seconds ");
	double now = (double)mono_wall_us() / 1e6;

	assert_non_null(start);
	assert_true(strtod(start + strlen("\nprocess_start_time_seconds "), NULL) <= now + 1);
	assert_true(strtod(start + strlen("\nprocess_start_time_seconds "), NULL) > now - 600);
	assert_non_null(strstr(text, "# TYPE process_cpu_seconds_total counter\n"));
	assert_null(strstr(text, "process_resident_memory_bytes 0\n"));
	assert_null(strstr(text, "process_open_fds 0\n"));
}

static void test_full_buffer_is_an_error(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_donep) struct buf small = BUF_INIT(100);

	assert_int_equal(metrics_write(f->metrics, &small), -1);
}

static void test_without_a_registry(void **state)
{
	struct metrics_family *family = metrics_declare(NULL, &calls);

	(void)state;
	assert_null(family);
	metrics_add(family, NULL, 1);
	metrics_set(family, NULL, 1);
	metrics_observe(family, NULL, 1);
	assert_true(metrics_value(family, NULL) == 0);
	metrics_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_counter),
		TEST(test_values_are_told_apart_by_their_edges),
		TEST(test_gauge_without_labels),
		TEST(test_label_values_are_escaped),
		TEST(test_histogram),
		TEST(test_histogram_without_labels),
		TEST(test_numbers),
		TEST(test_sorted_by_name),
		TEST(test_series_are_capped),
		TEST(test_process),
		TEST(test_full_buffer_is_an_error),
		TEST(test_without_a_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
