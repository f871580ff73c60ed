/* SPDX-License-Identifier: Apache-2.0 */
#ifndef METRICS_H
#define METRICS_H

/*
 * Metrics in the Prometheus text format 0.0.4: counters, gauges, histograms, with labels.
 *
 * A family is declared once; its series are made by the first use of their label values (use a
 * series once at start-up to have it shown as 0). The number of series of a family is capped:
 * beyond METRICS_MAX_SERIES new label values are counted in one series whose values are "other".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

#define METRICS_MAX_LABELS 4
#define METRICS_MAX_SERIES 1000

struct metrics;
struct metrics_family;

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_desc {
	enum metrics_type type;
	const char *name;			/* static */
	const char *help;			/* static */
	const char *labels[METRICS_MAX_LABELS]; /* static, NULL-terminated unless full */
	const double *buckets; /* histograms: ascending upper bounds without +Inf; static */
	size_t buckets_len;
};

struct metrics *metrics_new(void); /* with process_* families, read at each write */
void metrics_free(struct metrics *metrics);

/* Declares a family; lent, lives as long as the registry. A name twice is a bug (assert). Without
 * labels its one series is there at once. NULL when metrics is NULL. */
struct metrics_family *metrics_declare(struct metrics *metrics, const struct metrics_desc *desc);

/* values: as many label values as the family has labels, in that order; NULL when none.
 * A NULL family is fine and does nothing, so that tests need no registry. */
void metrics_add(struct metrics_family *family, const char *const *values, double by);
void metrics_set(struct metrics_family *family, const char *const *values, double to);
void metrics_observe(struct metrics_family *family, const char *const *values, double value);
double metrics_value(struct metrics_family *family,
		     const char *const *values); /* histogram: count */

/* Appends everything, sorted by name. */
int metrics_write(const struct metrics *metrics, struct buf *out);

#endif
