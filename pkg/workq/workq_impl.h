/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKQ_IMPL_H
#define WORKQ_IMPL_H

/* Between the files of this package only. */

#include "base/hash.h"
#include "base/mem.h"
#include "workq/workq.h"

enum workq_state { WORKQ_RESTING, WORKQ_QUEUED, WORKQ_RUNNING };

/* A key is known while it is queued, running, timed, or has failed; else it is freed. */
struct workq_key {
	UT_hash_handle hh;
	struct workq_key *prev, *next; /* queued: the list of its priority; running: that list */
	int64_t since_us;	       /* when it was queued, or began to run */
	int64_t due_ms;
	size_t timer; /* its place in the heap, from 1; 0: no time is set */
	unsigned int failures;
	enum workq_state state;
	enum workq_priority priority; /* queued, or to be queued when dirty */
	bool dirty;		      /* added again while running */
	char name[];
};

/* ---- workq_heap.c: the keys with a time set, the earliest first ---- */

struct workq_heap {
	struct workq_key **keys;
	size_t len;
	size_t cap;
};

void workq_heap_set(struct workq_heap *heap, struct workq_key *key, int64_t due_ms);
struct workq_key *workq_heap_first(const struct workq_heap *heap); /* NULL when empty */
void workq_heap_remove_first(struct workq_heap *heap);

/* ---- workq_stats.c: the workqueue_* metrics ---- */

struct workq_stats {
	const char *labels[2];
	struct metrics_family *depth;
	struct metrics_family *adds;
	struct metrics_family *retries;
	struct metrics_family *queue_seconds;
	struct metrics_family *work_seconds;
	struct metrics_family *unfinished;
	struct metrics_family *longest;
};

void workq_stats_init(struct workq_stats *stats, struct metrics *metrics, const char *name);
void workq_stats_depth(const struct workq_stats *stats, enum workq_priority priority, int change);
void workq_stats_observe(const struct workq_stats *stats, struct metrics_family *family,
			 int64_t since_us);
void workq_stats_unfinished(const struct workq_stats *stats, const struct workq_key *running);

#endif
