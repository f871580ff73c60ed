/* SPDX-License-Identifier: Apache-2.0 */
#include "workq/workq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/backoff.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "workq/workq_impl.h"

#define JITTER_PERCENT 50
#define NEVER	       INT64_MAX
#define OVERDUE_MS     1000 /* more than any turn of the loop takes */
#define STATS_MS       500

struct workq {
	struct workq_options options;
	workq_handler_fn *handler;
	void *ctx;
	struct workq_key *keys;
	struct workq_key *ready[2]; /* by priority */
	size_t ready_len;
	struct workq_key *running; /* the longest first */
	size_t running_len;
	struct workq_heap timers;
	struct event *turn; /* at once while keys are ready, else when the first timer is due */
	int64_t turn_ms;
	bool in_turn;
	bool paused;
	const struct workq_key *in_handler; /* its name is lent: not to be freed */
	struct event *stats_tick;
	struct workq_stats stats;
};

static void add_timer(struct event *event, int64_t delay_ms)
{
	const struct timeval delay = mono_timeval(delay_ms);

	evtimer_add(event, &delay);
}

static bool may_run(const struct workq *queue)
{
	return queue->ready_len && !queue->paused &&
	       (!queue->options.max_running ||
		queue->running_len < (size_t)queue->options.max_running);
}

/* Sets the next turn. Through the timers even when it is at once, so that the loop looks at
 * everything else in between. */
static void plan_turn(struct workq *queue)
{
	const struct workq_key *timed = workq_heap_first(&queue->timers);
	int64_t now_ms = mono_ms();
	int64_t turn_ms = timed ? timed->due_ms : NEVER;

	if (queue->in_turn) /* it does this at its end */
		return;
	if (may_run(queue))
		turn_ms = 0;
	/* If it is overdue the machine has slept, and the loop's timers with it. */
	if (turn_ms == queue->turn_ms && (turn_ms == 0 || turn_ms > now_ms - OVERDUE_MS))
		return;
	queue->turn_ms = turn_ms;
	if (turn_ms == NEVER)
		event_del(queue->turn);
	else
		add_timer(queue->turn, turn_ms > now_ms ? turn_ms - now_ms : 0);
}

/* ---- keys ---- */

static struct workq_key *find_key(const struct workq *queue, const char *name)
{
	struct workq_key *key;

	HASH_FIND_STR(queue->keys, name, key);
	return key;
}

static struct workq_key *get_key(struct workq *queue, const char *name)
{
	struct workq_key *key = find_key(queue, name);
	size_t len = strlen(name);

	if (key)
		return key;
	assert(len <= WORKQ_MAX_KEY);
	key = mem_zalloc(sizeof(*key) + len + 1);
	memcpy(key->name, name, len);
	HASH_ADD(hh, queue->keys, name, len, key);
	return key;
}

static void free_if_unused(struct workq *queue, struct workq_key *key)
{
	if (key->state != WORKQ_RESTING || key->timer || key->failures || key == queue->in_handler)
		return;
	HASH_DEL(queue->keys, key);
	free(key);
}

static void enqueue(struct workq *queue, struct workq_key *key, enum workq_priority priority)
{
	key->state = WORKQ_QUEUED;
	key->priority = priority;
	key->since_us = mono_us();
	DL_APPEND(queue->ready[priority], key);
	queue->ready_len++;
	workq_stats_depth(&queue->stats, priority, 1);
}

static void dequeue(struct workq *queue, struct workq_key *key)
{
	DL_DELETE(queue->ready[key->priority], key);
	queue->ready_len--;
	workq_stats_depth(&queue->stats, key->priority, -1);
}

/* Behind those of the higher priority that wait; it has been ready since it was. */
static void promote(struct workq *queue, struct workq_key *key)
{
	int64_t since_us = key->since_us;

	dequeue(queue, key);
	enqueue(queue, key, WORKQ_HIGH);
	key->since_us = since_us;
}

static void mark_dirty(struct workq_key *key, enum workq_priority priority)
{
	if (!key->dirty || priority > key->priority)
		key->priority = priority;
	key->dirty = true;
}

static void make_ready(struct workq *queue, struct workq_key *key, enum workq_priority priority)
{
	if (key->state == WORKQ_RESTING || (key->state == WORKQ_RUNNING && !key->dirty))
		metrics_add(queue->stats.adds, queue->stats.labels, 1);
	switch (key->state) {
	case WORKQ_RESTING:
		enqueue(queue, key, priority);
		break;
	case WORKQ_QUEUED:
		if (priority > key->priority)
			promote(queue, key);
		break;
	case WORKQ_RUNNING:
		mark_dirty(key, priority);
		break;
	}
}

/* ---- turns ---- */

static void fire_timers(struct workq *queue)
{
	int64_t now_ms = mono_ms();
	struct workq_key *key;

	while ((key = workq_heap_first(&queue->timers)) && key->due_ms <= now_ms) {
		workq_heap_remove_first(&queue->timers);
		make_ready(queue, key, WORKQ_HIGH);
	}
}

static void run_next(struct workq *queue)
{
	struct workq_key *key = queue->ready[queue->ready[WORKQ_HIGH] ? WORKQ_HIGH : WORKQ_LOW];

	dequeue(queue, key);
	workq_stats_observe(&queue->stats, queue->stats.queue_seconds, key->since_us);
	key->state = WORKQ_RUNNING;
	key->since_us = mono_us();
	DL_APPEND(queue->running, key);
	queue->running_len++;
	queue->in_handler = key;
	queue->handler(queue->ctx, key->name);
	queue->in_handler = NULL;
	free_if_unused(queue, key);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct workq *queue = ctx;
	int64_t end_us = mono_us() + queue->options.ms_per_turn * 1000;

	(void)fd;
	(void)what;
	queue->turn_ms = NEVER;
	queue->in_turn = true;
	fire_timers(queue);
	for (int i = 0; i < queue->options.keys_per_turn; i++) {
		if (!may_run(queue) || (i > 0 && mono_us() >= end_us))
			break;
		run_next(queue);
	}
	queue->in_turn = false;
	if (queue->options.metrics && queue->running_len &&
	    !evtimer_pending(queue->stats_tick, NULL))
		add_timer(queue->stats_tick, STATS_MS);
	plan_turn(queue);
}

static void on_stats_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct workq *queue = ctx;

	(void)fd;
	(void)what;
	workq_stats_unfinished(&queue->stats, queue->running);
	if (queue->running_len)
		add_timer(queue->stats_tick, STATS_MS);
}

/* ---- from outside ---- */

struct workq *workq_new(struct event_base *base, const struct workq_options *options,
			workq_handler_fn *handler, void *ctx)
{
	struct workq *queue = mem_zalloc(sizeof(*queue));
	struct workq_options *own = &queue->options;

	*own = *options;
	own->backoff_base_ms = own->backoff_base_ms ? own->backoff_base_ms : 5;
	own->backoff_max_ms = own->backoff_max_ms ? own->backoff_max_ms : 1000000;
	own->keys_per_turn = own->keys_per_turn ? own->keys_per_turn : 64;
	own->ms_per_turn = own->ms_per_turn ? own->ms_per_turn : 5;
	queue->handler = handler;
	queue->ctx = ctx;
	queue->paused = true;
	queue->turn_ms = NEVER;
	queue->turn = evtimer_new(base, on_turn, queue);
	queue->stats_tick = evtimer_new(base, on_stats_tick, queue);
	assert(queue->turn && queue->stats_tick);
	workq_stats_init(&queue->stats, options->metrics, options->name);
	return queue;
}

void workq_free(struct workq *queue)
{
	struct workq_key *key;
	struct workq_key *next;

	if (!queue)
		return;
	assert(!queue->in_turn);
	key = queue->keys;
	HASH_CLEAR(hh, queue->keys); /* the table; the keys stay linked */
	for (; key; key = next) {
		next = key->hh.next;
		free(key);
	}
	free(queue->timers.keys);
	event_free(queue->turn);
	event_free(queue->stats_tick);
	free(queue);
}

void workq_add(struct workq *queue, const char *key, enum workq_priority priority)
{
	make_ready(queue, get_key(queue, key), priority);
	plan_turn(queue);
}

void workq_add_after(struct workq *queue, const char *key, int64_t delay_ms)
{
	if (delay_ms <= 0) {
		workq_add(queue, key, WORKQ_HIGH);
		return;
	}
	workq_heap_set(&queue->timers, get_key(queue, key), mono_ms() + delay_ms);
	plan_turn(queue);
}

void workq_add_backoff(struct workq *queue, const char *key)
{
	struct workq_key *failed = get_key(queue, key);
	int64_t delay_ms = backoff_ms(queue->options.backoff_base_ms, failed->failures++,
				      queue->options.backoff_max_ms);

	metrics_add(queue->stats.retries, queue->stats.labels, 1);
	workq_add_after(queue, key, rnd_jitter_ms(delay_ms, JITTER_PERCENT));
}

void workq_forget(struct workq *queue, const char *key)
{
	struct workq_key *known = find_key(queue, key);

	if (!known)
		return;
	known->failures = 0;
	free_if_unused(queue, known);
}

unsigned int workq_failures(const struct workq *queue, const char *key)
{
	const struct workq_key *known = find_key(queue, key);

	return known ? known->failures : 0;
}

void workq_done(struct workq *queue, const char *key)
{
	struct workq_key *done = find_key(queue, key);

	assert(done && done->state == WORKQ_RUNNING);
	DL_DELETE(queue->running, done);
	queue->running_len--;
	workq_stats_observe(&queue->stats, queue->stats.work_seconds, done->since_us);
	done->state = WORKQ_RESTING;
	if (done->dirty)
		enqueue(queue, done, done->priority);
	done->dirty = false;
	free_if_unused(queue, done);
	plan_turn(queue);
}

void workq_pause(struct workq *queue)
{
	queue->paused = true;
}

void workq_resume(struct workq *queue)
{
	queue->paused = false;
	plan_turn(queue);
}

void workq_unlimit(struct workq *queue)
{
	queue->options.max_running = 0;
	plan_turn(queue);
}

size_t workq_len(const struct workq *queue)
{
	return queue->ready_len;
}

size_t workq_running(const struct workq *queue)
{
	return queue->running_len;
}
