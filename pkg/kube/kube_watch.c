/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/mem.h"
#include "jv/jv.h"

#define MAX_QUERY	 (8 * 1024)
#define DEADLINE_GRACE_S 5

struct kube_watch {
	struct kube_exchange x;
	struct kube_split split;
	bool delivering; /* on_event runs */
	bool stopped;	 /* by kube_watch_stop() while delivering: nothing is called any more */
	bool broken;	 /* what came is no event: err tells */
	struct err err;
	kube_event_fn *on_event;
	kube_watch_end_fn *on_end;
	void *ctx;
};

static void destroy_watch(struct kube_exchange *x)
{
	struct kube_watch *watch = container_of(x, struct kube_watch, x);

	kube_exchange_done(x);
	kube_split_done(&watch->split);
	free(watch);
}

/* ---- events ---- */

static bool is_event_type(const char *type)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static int on_doc(void *ctx, const char *text, size_t len)
{
	struct kube_watch *watch = ctx;
	CLEANUP(jv_freep) json_t *doc = jv_parse(text, len, &watch->err);
	json_t *object = jv_object(doc, "object");
	const char *type = jv_str(doc, "type");

	if (!doc)
		return err_wrap(&watch->err, "an event of the watch");
	if (!object || !is_event_type(type))
		return err_set(&watch->err, ERR_TRANSIENT, 0,
			       "a document of the watch is no event");
	watch->delivering = true;
	watch->on_event(watch->ctx, type, object);
	watch->delivering = false;
	return watch->stopped ? -1 : 0;
}

static int on_data(void *ctx, const char *data, size_t len)
{
	struct kube_watch *watch = container_of(ctx, struct kube_watch, x);

	if (kube_split_feed(&watch->split, data, len, &watch->err) == 0)
		return 0;
	watch->broken = true;
	watch->err.kind = ERR_TRANSIENT; /* a torn stream, whatever the parser says of it */
	return -1;
}

/* ---- end ---- */

static int judge_end(struct kube_watch *watch, const struct http_response *resp, struct err *err)
{
	CLEANUP(jv_freep) json_t *status = NULL;
	int ret = kube_exchange_end(&watch->x, resp, &status, err);

	if (watch->broken) {
		*err = watch->err;
		return -1;
	}
	if (ret == 0 && watch->split.depth > 0)
		return err_set(err, ERR_TRANSIENT, 0, "the stream ended inside an event");
	return ret;
}

static void on_response(void *ctx, const struct http_response *resp)
{
	struct kube_watch *watch = container_of(ctx, struct kube_watch, x);
	kube_watch_end_fn *on_end = watch->stopped ? NULL : watch->on_end;
	void *end_ctx = watch->ctx;
	struct err err;
	int ret = judge_end(watch, resp, &err);

	destroy_watch(&watch->x);
	if (on_end)
		on_end(end_ctx, ret < 0 ? &err : NULL);
}

void kube_watch_stop(struct kube_watch *watch)
{
	if (!watch)
		return;
	if (watch->delivering)
		watch->stopped = true; /* on_response frees it */
	else
		destroy_watch(&watch->x);
}

/* ---- start ---- */

static void add_param(struct buf *query, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	(void)buf_addf(query, "&%s=", name);
	(void)enc_percent(query, value);
}

struct kube_watch *kube_watch_start(struct kube *kube, const struct kube_watch_request *req)
{
	CLEANUP(buf_donep) struct buf query = BUF_INIT(MAX_QUERY);
	struct kube_watch *watch = mem_zalloc(sizeof(*watch));
	struct http_request http_req = {
		.method = "GET",
		.max_body = KUBE_MAX_OBJECT,
		.timeout_ms = ((int64_t)req->timeout_s + DEADLINE_GRACE_S) * 1000,
		.idle_timeout_ms = req->idle_timeout_ms,
		.on_data = on_data,
		.on_done = on_response,
	};
	struct kube_target target = {.resource = req->resource, .namespace = req->namespace};

	(void)buf_addf(&query, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%d",
		       req->timeout_s);
	add_param(&query, "resourceVersion", req->resource_version);
	add_param(&query, "labelSelector", req->selector);
	target.query = buf_str(&query);
	kube_split_init(&watch->split, KUBE_MAX_OBJECT, on_doc, watch);
	watch->x.destroy = destroy_watch;
	watch->on_event = req->on_event;
	watch->on_end = req->on_end;
	watch->ctx = req->ctx;
	kube_exchange_start(&watch->x, kube, &target, NULL, &http_req);
	return watch;
}
