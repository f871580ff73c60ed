/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"
#include "base/mem.h"
#include "metrics/metrics_impl.h"

struct series {
	UT_hash_handle hh;
	double value;	  /* a histogram's sum */
	uint64_t *counts; /* histograms: observations in each bucket, the last is +Inf's */
	char key[];	  /* the label values, a NUL behind each */
};

struct metrics_family {
	struct metrics_desc desc;
	size_t labels_len;
	struct series *series;
	struct metrics_family *next;
};

struct metrics {
	struct metrics_family *families; /* sorted by name */
	struct metrics_process *process;
};

static size_t count_labels(const struct metrics_desc *desc)
{
	size_t n = 0;

	while (n < METRICS_MAX_LABELS && desc->labels[n])
		n++;
	return n;
}

/* ---- series ---- */

static size_t key_size(const struct metrics_family *family, const char *const *values)
{
	size_t size = 0;

	for (size_t i = 0; i < family->labels_len; i++)
		size += strlen(values[i]) + 1;
	return size;
}

static void key_join(const struct metrics_family *family, const char *const *values, char *ret_key)
{
	for (size_t i = 0; i < family->labels_len; i++)
		ret_key = stpcpy(ret_key, values[i]) + 1;
}

static struct series *new_series(struct metrics_family *family, const char *const *values)
{
	size_t len = key_size(family, values);
	struct series *s = mem_zalloc(sizeof(*s) + len);

	key_join(family, values, s->key);
	if (family->desc.type == METRICS_HISTOGRAM)
		s->counts = mem_zalloc_array(family->desc.buckets_len + 1, sizeof(*s->counts));
	HASH_ADD(hh, family->series, key, len, s);
	return s;
}

static void free_series(struct series *s)
{
	free(s->counts);
	free(s);
}

static struct series *find_series(const struct metrics_family *family, const char *const *values)
{
	size_t len = key_size(family, values);
	CLEANUP(mem_freep) char *key = mem_alloc(len);
	struct series *s = NULL;

	key_join(family, values, key);
	HASH_FIND(hh, family->series, key, len, s);
	return s;
}

static struct series *get_series(struct metrics_family *family, const char *const *values)
{
	static const char *const other[METRICS_MAX_LABELS] = {"other", "other", "other", "other"};
	struct series *s = find_series(family, values);

	if (!s && HASH_COUNT(family->series) >= METRICS_MAX_SERIES) {
		values = other;
		s = find_series(family, values);
	}
	return s ? s : new_series(family, values);
}

/* ---- the registry ---- */

struct metrics *metrics_new(void)
{
	struct metrics *metrics = mem_zalloc(sizeof(*metrics));

	metrics->process = metrics_process_new(metrics);
	return metrics;
}

static void free_family(struct metrics_family *family)
{
	struct series *s = family->series;
	struct series *next;

	HASH_CLEAR(hh, family->series); /* the table; the series stay linked */
	for (; s; s = next) {
		next = s->hh.next;
		free_series(s);
	}
	free(family);
}

void metrics_free(struct metrics *metrics)
{
	struct metrics_family *family;
	struct metrics_family *next;

	if (!metrics)
		return;
	LL_FOREACH_SAFE(metrics->families, family, next)
		free_family(family);
	free(metrics->process);
	free(metrics);
}

static int compare_names(const struct metrics_family *a, const struct metrics_family *b)
{
	int order = strcmp(a->desc.name, b->desc.name);

	assert(order != 0);
	return order;
}

struct metrics_family *metrics_declare(struct metrics *metrics, const struct metrics_desc *desc)
{
	struct metrics_family *family;

	if (!metrics)
		return NULL;
	family = mem_zalloc(sizeof(*family));
	family->desc = *desc;
	family->labels_len = count_labels(desc);
	LL_INSERT_INORDER(metrics->families, family, compare_names);
	if (!family->labels_len)
		(void)get_series(family, desc->labels);
	return family;
}

void metrics_add(struct metrics_family *family, const char *const *values, double by)
{
	if (!family)
		return;
	assert(family->desc.type == METRICS_GAUGE ||
	       (family->desc.type == METRICS_COUNTER && by >= 0));
	get_series(family, values)->value += by;
}

void metrics_set(struct metrics_family *family, const char *const *values, double to)
{
	if (!family)
		return;
	assert(family->desc.type != METRICS_HISTOGRAM);
	get_series(family, values)->value = to;
}

void metrics_observe(struct metrics_family *family, const char *const *values, double value)
{
	struct series *s;
	size_t bucket = 0;

	if (!family)
		return;
	assert(family->desc.type == METRICS_HISTOGRAM);
	while (bucket < family->desc.buckets_len && value > family->desc.buckets[bucket])
		bucket++;
	s = get_series(family, values);
	s->counts[bucket]++;
	s->value += value;
}

static uint64_t total_count(const struct metrics_family *family, const struct series *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i <= family->desc.buckets_len; i++)
		total += s->counts[i];
	return total;
}

double metrics_value(struct metrics_family *family, const char *const *values)
{
	const struct series *s = family ? find_series(family, values) : NULL;

	if (!s)
		return 0;
	return s->counts ? (double)total_count(family, s) : s->value;
}

/* ---- the text format ---- */

static void write_escaped(struct buf *out, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			(void)buf_adds(out, "\\n");
		else if (*text == '\\' || (quotes && *text == '"'))
			(void)buf_addf(out, "\\%c", *text);
		else
			(void)buf_addc(out, *text);
	}
}

/* The shortest text that reads back as the same number. */
static void write_number(struct buf *out, double value)
{
	char text[32];
	char *end;

	if (isnan(value) || isinf(value)) {
		(void)buf_adds(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, &end) == value)
			break;
	}
	(void)buf_adds(out, text);
}

/* name_suffix{label="value",...,le="bound"}; no le for a NULL bound. */
static void write_name(struct buf *out, const struct metrics_family *family, const struct series *s,
		       const char *suffix, const double *bound)
{
	const char *value = s->key;
	char separator = '{';

	(void)buf_addf(out, "%s%s", family->desc.name, suffix);
	for (size_t i = 0; i < family->labels_len; i++) {
		(void)buf_addf(out, "%c%s=\"", separator, family->desc.labels[i]);
		write_escaped(out, value, true);
		(void)buf_addc(out, '"');
		value += strlen(value) + 1;
		separator = ',';
	}
	if (bound) {
		(void)buf_addf(out, "%cle=\"", separator);
		write_number(out, *bound);
		(void)buf_addc(out, '"');
	}
	(void)buf_adds(out, family->labels_len || bound ? "} " : " ");
}

static void write_histogram(struct buf *out, const struct metrics_family *family,
			    const struct series *s)
{
	const struct metrics_desc *desc = &family->desc;
	const double infinite = HUGE_VAL;
	uint64_t total = 0;

	for (size_t i = 0; i <= desc->buckets_len; i++) {
		total += s->counts[i];
		write_name(out, family, s, "_bucket",
			   i < desc->buckets_len ? &desc->buckets[i] : &infinite);
		(void)buf_addf(out, "%llu\n", (unsigned long long)total);
	}
	write_name(out, family, s, "_sum", NULL);
	write_number(out, s->value);
	(void)buf_addc(out, '\n');
	write_name(out, family, s, "_count", NULL);
	(void)buf_addf(out, "%llu\n", (unsigned long long)total);
}

static void write_series(struct buf *out, const struct metrics_family *family,
			 const struct series *s)
{
	if (s->counts) {
		write_histogram(out, family, s);
		return;
	}
	write_name(out, family, s, "", NULL);
	write_number(out, s->value);
	(void)buf_addc(out, '\n');
}

static void write_family(struct buf *out, const struct metrics_family *family)
{
	static const char *const types[] = {
		[METRICS_COUNTER] = "counter",
		[METRICS_GAUGE] = "gauge",
		[METRICS_HISTOGRAM] = "histogram",
	};

	if (!family->series)
		return;
	(void)buf_addf(out, "# HELP %s ", family->desc.name);
	write_escaped(out, family->desc.help, false);
	(void)buf_addf(out, "\n# TYPE %s %s\n", family->desc.name, types[family->desc.type]);
	for (const struct series *s = family->series; s; s = s->hh.next)
		write_series(out, family, s);
}

int metrics_write(const struct metrics *metrics, struct buf *out)
{
	const struct metrics_family *family;

	metrics_process_read(metrics->process);
	LL_FOREACH(metrics->families, family)
		write_family(out, family);
	return out->failed ? -1 : 0;
}
