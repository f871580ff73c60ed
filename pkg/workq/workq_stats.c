/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mono.h"
#include "workq/workq_impl.h"

/* Names, labels, buckets and priorities are controller-runtime's, so that its dashboards work. */

static const double buckets[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000};

static struct metrics_family *declare(struct metrics *metrics, enum metrics_type type,
				      const char *name, const char *help)
{
	const struct metrics_desc desc = {
		.type = type,
		.name = name,
		.help = help,
		.labels = {"name", "controller"},
		.buckets = buckets,
		.buckets_len = ARRAY_LEN(buckets),
	};

	return metrics_declare(metrics, &desc);
}

static struct metrics_family *declare_depth(struct metrics *metrics)
{
	const struct metrics_desc desc = {
		.type = METRICS_GAUGE,
		.name = "workqueue_depth",
		.help = "Keys that are ready to be worked on.",
		.labels = {"name", "controller", "priority"},
	};

	return metrics_declare(metrics, &desc);
}

void workq_stats_init(struct workq_stats *stats, struct metrics *metrics, const char *name)
{
	stats->labels[0] = stats->labels[1] = name;
	stats->depth = declare_depth(metrics);
	stats->adds = declare(metrics, METRICS_COUNTER, "workqueue_adds_total",
			      "Keys added that were not waiting already.");
	stats->retries = declare(metrics, METRICS_COUNTER, "workqueue_retries_total",
				 "Keys to be tried again after a backoff.");
	stats->queue_seconds = declare(metrics, METRICS_HISTOGRAM,
				       "workqueue_queue_duration_seconds", "Time a key was ready.");
	stats->work_seconds = declare(metrics, METRICS_HISTOGRAM, "workqueue_work_duration_seconds",
				      "Time from the start of the work on a key to its end.");
	stats->unfinished = declare(metrics, METRICS_GAUGE, "workqueue_unfinished_work_seconds",
				    "Sum of the ages of the work that goes on.");
	stats->longest =
		declare(metrics, METRICS_GAUGE, "workqueue_longest_running_processor_seconds",
			"Age of the oldest work that goes on.");
	workq_stats_depth(stats, WORKQ_LOW, 0);
	workq_stats_depth(stats, WORKQ_HIGH, 0);
	metrics_add(stats->adds, stats->labels, 0);
	metrics_add(stats->retries, stats->labels, 0);
	workq_stats_unfinished(stats, NULL);
}

void workq_stats_depth(const struct workq_stats *stats, enum workq_priority priority, int change)
{
	const char *const labels[] = {stats->labels[0], stats->labels[1],
				      priority == WORKQ_HIGH ? "0" : "-100"};

	metrics_add(stats->depth, labels, change);
}

void workq_stats_observe(const struct workq_stats *stats, struct metrics_family *family,
			 int64_t since_us)
{
	metrics_observe(family, stats->labels, (double)(mono_us() - since_us) / 1e6);
}

void workq_stats_unfinished(const struct workq_stats *stats, const struct workq_key *running)
{
	int64_t now_us = mono_us();
	int64_t longest = running ? now_us - running->since_us : 0; /* the list's order is age */
	int64_t sum = 0;

	for (; running; running = running->next)
		sum += now_us - running->since_us;
	metrics_set(stats->unfinished, stats->labels, (double)sum / 1e6);
	metrics_set(stats->longest, stats->labels, (double)longest / 1e6);
}
