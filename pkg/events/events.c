/* SPDX-License-Identifier: Apache-2.0 */
#include "events/events.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "events/events_impl.h"
#include "jv/jv.h"

#define MAX_QUEUE    1000
#define MAX_SEEN     512
#define SAME_MS	     INT64_C(600000)
#define MAX_RETRIES  3
#define MAX_DELAY_MS 60000

static const struct kube_resource events_resource = {"events.k8s.io", "v1", "events"};

/* A request that waits. */
struct item {
	const char *verb;
	char *namespace;
	char *event_name;
	char *body; /* a thousand may wait: as text each is one piece of memory, not forty */
	int retries;
	struct item *prev, *next;
};

/* An event sent in the last ten minutes. */
struct seen {
	UT_hash_handle hh;
	char *namespace;
	char *event_name;
	int64_t since_ms;
	int64_t last_wall_us;
	int count;
	bool counted; /* again since the last word about it */
	char key[];
};

struct events {
	struct kube *kube;
	struct events_options options; /* the texts are ours */
	struct item *queue;	       /* the first is being sent, or about to */
	size_t queue_len;
	struct kube_call *call;
	struct event *retry;
	struct seen *seen; /* in the order of time */
	struct event *series;
	uint64_t dropped;
};

static void add_timer(struct event *event, int64_t delay_ms)
{
	const struct timeval delay = mono_timeval(delay_ms);

	evtimer_add(event, &delay);
}

/* ---- what was seen ---- */

static void forget(struct events *events, struct seen *seen)
{
	HASH_DEL(events->seen, seen);
	free(seen->namespace);
	free(seen->event_name);
	free(seen);
}

static void forget_oldest(struct events *events)
{
	assert(!events->seen->hh.prev);
	forget(events, events->seen);
}

/* One that did not come to be: the next alike is tried as a new one. */
static void forget_name(struct events *events, const char *event_name)
{
	struct seen *seen;
	struct seen *next;

	HASH_ITER(hh, events->seen, seen, next) {
		if (strcmp(seen->event_name, event_name) != 0)
			continue;
		forget(events, seen);
		return;
	}
}

static struct seen *find_seen(struct events *events, const char *key)
{
	int64_t now_ms = mono_ms();
	struct seen *seen;

	while (events->seen && now_ms - events->seen->since_ms >= SAME_MS)
		forget_oldest(events);
	HASH_FIND_STR(events->seen, key, seen);
	return seen;
}

static void remember(struct events *events, const char *key, const char *namespace,
		     const char *event_name)
{
	size_t len = strlen(key);
	struct seen *seen = mem_zalloc(sizeof(*seen) + len + 1);

	if (HASH_COUNT(events->seen) >= MAX_SEEN)
		forget_oldest(events);
	memcpy(seen->key, key, len);
	seen->namespace = mem_strdup(namespace);
	seen->event_name = mem_strdup(event_name);
	seen->since_ms = mono_ms();
	seen->count = 1;
	HASH_ADD(hh, events->seen, key, len, seen);
}

static void count_again(struct events *events, struct seen *seen)
{
	seen->count++;
	seen->counted = true;
	seen->last_wall_us = mono_wall_us();
	if (!evtimer_pending(events->series, NULL))
		add_timer(events->series, events->options.series_ms);
}

/* ---- the queue ---- */

static void free_item(struct item *item)
{
	free(item->namespace);
	free(item->event_name);
	free(item->body);
	free(item);
}

static void pop(struct events *events)
{
	struct item *item = events->queue;

	DL_DELETE(events->queue, item);
	events->queue_len--;
	free_item(item);
}

/* Said at the 1st, 2nd, 4th, 8th... */
static void count_dropped(struct events *events, const char *why)
{
	char total[24];

	events->dropped++;
	if (events->dropped & (events->dropped - 1))
		return;
	(void)snprintf(total, sizeof(total), "%" PRIu64, events->dropped);
	log_warn("event dropped", "err", why, "total", total, NULL);
}

static void on_sent(void *ctx, json_t *object, const struct err *err);

static void send_first(struct events *events)
{
	const struct item *item = events->queue;
	struct kube_request req = {
		.resource = &events_resource,
		.patch = KUBE_MERGE_PATCH,
		.on_done = on_sent,
		.ctx = events,
	};

	if (!item || events->call || evtimer_pending(events->retry, NULL))
		return;
	req.verb = item->verb;
	req.namespace = item->namespace;
	req.name = strcmp(item->verb, "create") == 0 ? NULL : item->event_name;
	req.body = json_loads(item->body, 0, NULL);
	events->call = kube_start(events->kube, &req);
	json_decref(req.body);
}

static bool is_worth_a_retry(const struct err *err)
{
	return err->kind == ERR_TRANSIENT || err->kind == ERR_THROTTLED;
}

static int64_t retry_delay_ms(const struct events *events, const struct err *err)
{
	int64_t delay_ms = events->options.retry_ms << events->queue->retries;
	int64_t told_ms = err->kind == ERR_THROTTLED ? err->code * INT64_C(1000) : 0;

	delay_ms = told_ms > delay_ms ? told_ms : delay_ms;
	return delay_ms < MAX_DELAY_MS ? delay_ms : MAX_DELAY_MS;
}

/* The end of a namespace, or of an old event, is nobody's fault. */
static bool is_expected(const json_t *status, const struct err *err)
{
	return err->kind == ERR_NOT_FOUND ||
	       (err->kind == ERR_DENIED && kube_is_namespace_terminating(status));
}

static void drop_first(struct events *events, const json_t *status, const struct err *err)
{
	if (!is_expected(status, err))
		count_dropped(events, err->msg);
	forget_name(events, events->queue->event_name);
	pop(events);
}

static void on_sent(void *ctx, json_t *object, const struct err *err)
{
	struct events *events = ctx;
	struct item *item = events->queue;

	events->call = NULL;
	/* A conflict is with ourselves: an earlier try of the same name went through. */
	if (!err || err->kind == ERR_CONFLICT) {
		pop(events);
	} else if (is_worth_a_retry(err) && item->retries < MAX_RETRIES) {
		add_timer(events->retry, retry_delay_ms(events, err));
		item->retries++;
	} else {
		drop_first(events, object, err);
	}
	send_first(events);
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	send_first(ctx);
}

/* body is stolen. */
static bool enqueue(struct events *events, const char *verb, const char *namespace,
		    const char *event_name, json_t *body)
{
	struct item *item;

	if (events->queue_len >= MAX_QUEUE) {
		count_dropped(events, "the queue is full");
		json_decref(body);
		return false;
	}
	item = mem_zalloc(sizeof(*item));
	item->verb = verb;
	item->namespace = mem_strdup(namespace);
	item->event_name = mem_strdup(event_name);
	item->body = json_dumps(body, JSON_COMPACT);
	assert(item->body);
	json_decref(body);
	DL_APPEND(events->queue, item);
	events->queue_len++;
	return true;
}

static void on_series(evutil_socket_t fd, short what, void *ctx)
{
	struct events *events = ctx;
	struct seen *seen;
	struct seen *next;

	(void)fd;
	(void)what;
	HASH_ITER(hh, events->seen, seen, next) {
		if (!seen->counted)
			continue;
		seen->counted = false;
		(void)enqueue(events, "patch", seen->namespace, seen->event_name,
			      events_series(seen->count, seen->last_wall_us));
	}
	send_first(events);
}

/* ---- from outside ---- */

struct events *events_new(struct event_base *base, struct kube *kube,
			  const struct events_options *options)
{
	struct events *events = mem_zalloc(sizeof(*events));
	struct events_options *own = &events->options;

	events->kube = kube;
	*own = *options;
	own->controller = mem_strdup(options->controller);
	own->instance = events_cut(options->instance, EVENTS_MAX_WORD);
	own->series_ms = own->series_ms ? own->series_ms : 60000;
	own->retry_ms = own->retry_ms ? own->retry_ms : 1000;
	events->retry = evtimer_new(base, on_retry, events);
	events->series = evtimer_new(base, on_series, events);
	assert(events->retry && events->series);
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	kube_cancel(events->call);
	event_free(events->retry);
	event_free(events->series);
	while (events->queue)
		pop(events);
	while (events->seen)
		forget_oldest(events);
	mem_freep(&events->options.controller);
	mem_freep(&events->options.instance);
	free(events);
}

static void set_cut(json_t *body, const char *key, const char *text, size_t max)
{
	CLEANUP(mem_freep) char *cut = events_cut(text, max);

	jv_set_str(body, key, cut);
}

static json_t *new_body(const struct events *events, const struct events_object *about,
			const char *namespace, const char *event_name)
{
	json_t *body = json_object();
	json_t *meta = jv_ensure_object(body, "metadata");
	char now[MONO_RFC3339_LEN];

	mono_rfc3339_micro(mono_wall_us(), now);
	jv_set_str(body, "apiVersion", "events.k8s.io/v1");
	jv_set_str(body, "kind", "Event");
	jv_set_str(meta, "namespace", namespace);
	jv_set_str(meta, "name", event_name);
	jv_set_str(body, "eventTime", now);
	jv_set_str(body, "reportingController", events->options.controller);
	jv_set_str(body, "reportingInstance", events->options.instance);
	jv_set(body, "regarding", events_reference(about));
	return body;
}

void events_emit(struct events *events, const struct events_object *about,
		 const struct events_message *message)
{
	const char *type = message->warning ? "Warning" : "Normal";
	const char *namespace = *about->namespace ? about->namespace : "default";
	CLEANUP(mem_freep) char *note_cut = events_cut(message->note, EVENTS_MAX_NOTE);
	CLEANUP(mem_freep)
	char *key = mem_printf("%s\n%s\n%s\n%s", about->uid, type, message->reason, note_cut);
	CLEANUP(mem_freep) char *event_name = events_name(about->name);
	struct seen *seen = find_seen(events, key);
	json_t *body;

	if (seen) {
		count_again(events, seen);
		return;
	}
	body = new_body(events, about, namespace, event_name);
	jv_set_str(body, "type", type);
	jv_set_str(body, "note", note_cut);
	set_cut(body, "reason", message->reason, EVENTS_MAX_WORD);
	set_cut(body, "action", message->action, EVENTS_MAX_WORD);
	if (!enqueue(events, "create", namespace, event_name, body))
		return;
	remember(events, key, namespace, event_name);
	send_first(events);
}

bool events_idle(const struct events *events)
{
	return !events->queue;
}
