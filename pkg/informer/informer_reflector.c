/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One namespace (or all) kept true: list, watch, and what to do when either fails.
 *
 * Lists ask for "the newest" (no resourceVersion) in pages. The reference asks for
 * resourceVersion=0 first, which may be arbitrarily old and makes the watch cache ignore the
 * limit: all objects as one tree. Since Kubernetes 1.34 the newest is served from the watch cache
 * too (KEP-2340), and it can never be "too large" or older than what is known here.
 *
 * At most one of these is under way for a reflector: a list, a watch, or the timer, which ends a
 * backoff or, while a watch runs, its silence.
 */

#include "informer/informer_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "jv/jv.h"

#define BACKOFF_MAX_MS	 30000
#define BACKOFF_RESET_MS 120000
#define SHORT_WATCH_MS	 1000
#define MAX_MUTE_WATCHES 5
#define MAX_QUERY	 16384
#define NO_LIMIT	 0

static void watch_begin(struct informer_reflector *r);

/* ---- being heard of, and failing ---- */

static const char *plural(const struct informer_reflector *r)
{
	return r->informer->store.kind.resource.plural;
}

static const char *namespace_or_all(const struct informer_reflector *r)
{
	return r->namespace ? r->namespace : "";
}

static void set_timer(struct informer_reflector *r, int64_t delay_ms)
{
	struct timeval delay = mono_timeval(delay_ms);

	(void)event_add(r->timer, &delay);
}

static void note_heard(struct informer_reflector *r)
{
	const char *const labels[] = {plural(r), namespace_or_all(r)};

	r->heard_ms = mono_ms();
	metrics_set(r->informer->metrics.last_activity, labels, (double)mono_wall_us() / 1e6);
}

/* A list that works says nothing about a watch that fails, so what failed first must succeed. */
static void note_failure(struct informer_reflector *r, const char *what, const struct err *err)
{
	log_debug("reflector failed", "resource", plural(r), "namespace", namespace_or_all(r),
		  "doing", what, "err", err->msg, NULL);
	if (r->failing)
		return;
	r->failing = what;
	log_warn("cannot follow a resource", "resource", plural(r), "namespace",
		 namespace_or_all(r), "doing", what, "kind", err_kind_name(err->kind), "err",
		 err->msg, NULL);
}

static void note_success(struct informer_reflector *r, const char *what)
{
	if (!r->failing || strcmp(r->failing, what) != 0)
		return;
	r->failing = NULL;
	log_info("following a resource again", "resource", plural(r), "namespace",
		 namespace_or_all(r), NULL);
}

/* What the server asked for, within reason. */
static int64_t asked_delay_ms(const struct err *err)
{
	if (err->kind != ERR_THROTTLED)
		return 0;
	return err->code < BACKOFF_MAX_MS / 1000 ? err->code * INT64_C(1000) : BACKOFF_MAX_MS;
}

static void back_off(struct informer_reflector *r, const struct err *err)
{
	int64_t now_ms = mono_ms();
	int64_t asked_ms = asked_delay_ms(err);
	int64_t delay_ms;

	if (now_ms - r->failed_ms >= BACKOFF_RESET_MS)
		r->backoff_ms = r->informer->backoff_ms;
	r->failed_ms = now_ms;
	delay_ms = r->backoff_ms > asked_ms ? r->backoff_ms : asked_ms;
	r->backoff_ms = 2 * r->backoff_ms < BACKOFF_MAX_MS ? 2 * r->backoff_ms : BACKOFF_MAX_MS;
	set_timer(r, rnd_jitter_ms(delay_ms, 100));
}

/* ---- list ---- */

static int on_item(void *ctx, json_t *item, struct err *err)
{
	struct informer_reflector *r = ctx;

	return informer_store_put(&r->informer->store, item, INFORMER_LIST, r->generation, err);
}

static void on_page(void *ctx, json_t *page, const struct err *err);

static void list_failed(struct informer_reflector *r, const struct err *err)
{
	note_failure(r, "list", err);
	r->list_cause = "error";
	back_off(r, err);
}

/* limit 0: all at once; token "": from the beginning. */
static void list_page(struct informer_reflector *r, int limit, const char *token)
{
	CLEANUP(buf_donep) struct buf query = BUF_INIT(MAX_QUERY);
	struct kube_request req = {
		.verb = "get",
		.resource = &r->informer->store.kind.resource,
		.namespace = r->namespace,
		.on_item = on_item,
		.on_done = on_page,
		.ctx = r,
	};
	struct err err;

	(void)buf_addf(&query, "limit=%d", limit);
	if (*token) {
		(void)buf_adds(&query, "&continue=");
		(void)enc_percent(&query, token);
	}
	if (r->informer->selector) {
		(void)buf_adds(&query, "&labelSelector=");
		(void)enc_percent(&query, r->informer->selector);
	}
	if (query.failed) {
		(void)err_set(&err, ERR_INVALID, 0, "continue token or selector too long");
		list_failed(r, &err);
		return;
	}
	req.query = buf_str(&query);
	r->list_continues = *token != '\0';
	r->list_whole = limit == NO_LIMIT;
	r->call = kube_start(r->informer->kube, &req);
}

/* Each attempt has a generation of its own: what a broken-off one has seen may be gone since. */
static void list_from_start(struct informer_reflector *r, int limit)
{
	r->generation = ++r->informer->generation;
	list_page(r, limit, "");
}

static void list_begin(struct informer_reflector *r)
{
	const char *const labels[] = {plural(r), r->list_cause};

	metrics_add(r->informer->metrics.lists, labels, 1);
	list_from_start(r, r->limit);
}

/* Some objects may be as large as all others together. */
static bool take_smaller_pages(struct informer_reflector *r, const struct err *err)
{
	if (!kube_is_too_large(err) || r->list_whole || r->limit <= 1)
		return false;
	r->limit /= 2;
	list_from_start(r, r->limit);
	return true;
}

static void list_end(struct informer_reflector *r)
{
	informer_store_sweep(&r->informer->store, r->namespace, r->generation);
	memcpy(r->rv, r->list_rv, sizeof(r->rv));
	r->list_cause = NULL;
	r->mute_watches = 0;
	note_success(r, "list");
	informer_note_list(r->informer);
	watch_begin(r);
}

static void on_page(void *ctx, json_t *page, const struct err *err)
{
	struct informer_reflector *r = ctx;
	char rv[KUBE_RV_LEN];
	struct err fault;
	const char *token;

	r->call = NULL;
	if (err && err->kind == ERR_GONE && r->list_continues) {
		list_from_start(r, NO_LIMIT);
		return;
	}
	if (err && take_smaller_pages(r, err))
		return;
	if (!err && informer_read_rv(page, rv, &fault) < 0)
		err = &fault;
	if (err) {
		list_failed(r, err);
		return;
	}
	/* An older start of the watch only repeats events. */
	if (!r->list_continues)
		memcpy(r->list_rv, rv, sizeof(rv));
	note_heard(r);
	token = jv_str(page, "metadata.continue");
	if (*token)
		list_page(r, r->limit, token);
	else
		list_end(r);
}

/* ---- watch ---- */

/* Only a server that sends bookmarks can be found silent. */
static void watch_for_silence(struct informer_reflector *r)
{
	if (r->bookmarks)
		set_timer(r, r->informer->silence_ms);
}

/* Trouble that passes is answered by another watch from the last resourceVersion: a list would
 * cost the server more, just when it can least afford it. A list comes when a watch cannot help
 * (the version expired, the refusal is for good), or has not helped some times in a row (the next
 * event is too large for us, say). */
static void watch_failed(struct informer_reflector *r, const struct err *err)
{
	if (!r->watch_heard)
		r->mute_watches++;
	if (err->kind == ERR_GONE) {
		log_info("resourceVersion expired, listing again", "resource", plural(r),
			 "namespace", namespace_or_all(r), NULL);
		r->list_cause = "expired";
	} else {
		note_failure(r, "watch", err);
		if ((err->kind != ERR_TRANSIENT && err->kind != ERR_THROTTLED) ||
		    r->mute_watches >= MAX_MUTE_WATCHES)
			r->list_cause = "error";
	}
	back_off(r, err);
}

static int move_rv(struct informer_reflector *r, const json_t *object, struct err *err)
{
	char rv[KUBE_RV_LEN];
	bool comparable;

	if (informer_read_rv(object, rv, err) < 0)
		return -1;
	if (kube_rv_compare(rv, r->rv, &comparable) > 0 || !comparable)
		memcpy(r->rv, rv, sizeof(rv));
	return 0;
}

static int event_put(struct informer_reflector *r, const json_t *object, struct err *err)
{
	if (informer_store_put(&r->informer->store, object, INFORMER_WATCH, r->generation, err) < 0)
		return -1;
	return move_rv(r, object, err);
}

static int event_deleted(struct informer_reflector *r, const json_t *object, struct err *err)
{
	if (informer_store_remove(&r->informer->store, object, err) < 0)
		return -1;
	return move_rv(r, object, err);
}

static int event_bookmark(struct informer_reflector *r, const json_t *object, struct err *err)
{
	r->bookmarks = true;
	return move_rv(r, object, err);
}

/* An expired version comes this way, on a stream that began with 200. */
static int event_error(struct informer_reflector *r, const json_t *status, struct err *err)
{
	const char *message = jv_str(status, "message");
	int code = (int)jv_int(status, "code", 0);
	enum err_kind kind = ERR_INVALID;

	(void)r;
	if (code == 429)
		return err_set(err, ERR_THROTTLED,
			       (int)jv_int(status, "details.retryAfterSeconds", 0), "%s", message);
	if (code == 410)
		kind = ERR_GONE;
	else if (code >= 500)
		kind = ERR_TRANSIENT;
	return err_set(err, kind, code, "%s", message);
}

typedef int event_fn(struct informer_reflector *r, const json_t *object, struct err *err);

static event_fn *handler_of(const char *type)
{
	if (strcmp(type, "DELETED") == 0)
		return event_deleted;
	if (strcmp(type, "BOOKMARK") == 0)
		return event_bookmark;
	if (strcmp(type, "ERROR") == 0)
		return event_error;
	return event_put; /* ADDED and MODIFIED: kube lets no other through */
}

static void on_event(void *ctx, const char *type, json_t *object)
{
	struct informer_reflector *r = ctx;
	const char *const labels[] = {plural(r), type};
	struct err err;

	metrics_add(r->informer->metrics.watch_events, labels, 1);
	if (handler_of(type)(r, object, &err) < 0) {
		kube_watch_stop(TAKE(r->watch));
		watch_failed(r, &err);
		return;
	}
	r->watch_heard = true;
	r->mute_watches = 0;
	note_heard(r);
	note_success(r, "watch");
	watch_for_silence(r);
}

static void on_watch_end(void *ctx, const struct err *err)
{
	struct informer_reflector *r = ctx;
	struct err fault;

	r->watch = NULL;
	if (!err && !r->watch_heard && mono_ms() - r->watch_began_ms < SHORT_WATCH_MS) {
		(void)err_set(&fault, ERR_TRANSIENT, 0, "it ends at once, without an event");
		err = &fault;
	}
	if (err) {
		watch_failed(r, err);
		return;
	}
	note_success(r, "watch");
	watch_begin(r);
}

static void watch_begin(struct informer_reflector *r)
{
	const struct informer *informer = r->informer;
	unsigned min_s = (unsigned)informer->watch_min_s;
	struct kube_watch_request req = {
		.resource = &informer->store.kind.resource,
		.namespace = r->namespace,
		.resource_version = r->rv,
		.selector = informer->selector,
		.timeout_s = (int)(min_s + rnd_u64() % min_s),
		.on_event = on_event,
		.on_end = on_watch_end,
		.ctx = r,
	};

	r->watch_heard = false;
	r->watch_began_ms = mono_ms();
	r->watch = kube_watch_start(informer->kube, &req);
	watch_for_silence(r);
}

/* ---- life ---- */

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct informer_reflector *r = ctx;
	struct err err;

	(void)fd;
	(void)what;
	if (r->watch) {
		kube_watch_stop(TAKE(r->watch));
		(void)err_set(&err, ERR_TRANSIENT, 0, "not even a bookmark for %d s",
			      (int)(r->informer->silence_ms / 1000));
		watch_failed(r, &err);
	} else if (r->list_cause) {
		list_begin(r);
	} else {
		watch_begin(r);
	}
}

void informer_reflector_init(struct informer_reflector *r, struct informer *informer,
			     const char *namespace)
{
	*r = (struct informer_reflector){
		.informer = informer,
		.namespace = namespace ? mem_strdup(namespace) : NULL,
		.timer = evtimer_new(informer->base, on_timer, r),
		.limit = informer->page_size,
		.list_cause = "start",
		.heard_ms = mono_ms(),
		.backoff_ms = informer->backoff_ms,
	};
	assert(r->timer);
}

void informer_reflector_start(struct informer_reflector *r)
{
	list_begin(r);
}

void informer_reflector_done(struct informer_reflector *r)
{
	kube_cancel(r->call);
	kube_watch_stop(r->watch);
	event_free(r->timer);
	free(r->namespace);
}
