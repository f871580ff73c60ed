/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKQ_H
#define WORKQ_H

/*
 * The queue of keys to reconcile, after client-go's util/workqueue on one thread.
 *
 * A key is queued once however often it is added. While a key is being worked on (from its
 * handler call to workq_done()) an add marks it dirty, and it is queued again at done: a key never
 * runs twice at once. Keys of high priority go first (changes by users before the initial list),
 * within one priority first in, first out. The handler is called from the loop with a budget for
 * each turn, so that timers, the lease and watches are not starved.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "metrics/metrics.h"

#define WORKQ_MAX_KEY 512

struct workq;

/* Starts work on a key. The work may go on after the return; workq_done() ends it (also allowed
 * from inside the handler). */
typedef void workq_handler_fn(void *ctx, const char *key);

enum workq_priority { WORKQ_LOW, WORKQ_HIGH };

struct workq_options {
	const char *name;	 /* the controller's, for metrics; static */
	int64_t backoff_base_ms; /* 0: 5 */
	int64_t backoff_max_ms;	 /* 0: 1000000 */
	int max_running;	 /* keys between handler and done; 0: no limit */
	int keys_per_turn;	 /* 0: 64 */
	int64_t ms_per_turn;	 /* 0: 5 */
	struct metrics *metrics; /* NULL: none; controller-runtime's workqueue_* names */
};

struct workq *workq_new(struct event_base *base, const struct workq_options *options,
			workq_handler_fn *handler, void *ctx);
void workq_free(struct workq *queue); /* not from inside the handler; NULL is fine */

void workq_add(struct workq *queue, const char *key, enum workq_priority priority);
/* Adds with high priority at now + delay_ms at the latest; a later time than one already set for
 * the key changes nothing. delay_ms <= 0 adds at once. */
void workq_add_after(struct workq *queue, const char *key, int64_t delay_ms);
/* After the key's backoff: base x 2^failures, capped, plus up to its half at random; counts a
 * failure. */
void workq_add_backoff(struct workq *queue, const char *key);
void workq_forget(struct workq *queue, const char *key); /* failures of the key = 0 */
unsigned int workq_failures(const struct workq *queue, const char *key);

void workq_done(struct workq *queue, const char *key);

/* No handler is called any more until resumed; adds are kept. A queue starts paused. */
void workq_pause(struct workq *queue);
void workq_resume(struct workq *queue);
/* As many keys as there are may run at once from now on. */
void workq_unlimit(struct workq *queue);

size_t workq_len(const struct workq *queue);	 /* ready keys */
size_t workq_running(const struct workq *queue); /* keys between handler and done */

#endif
