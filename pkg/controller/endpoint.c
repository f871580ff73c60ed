/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The DNSEndpoint that hands an object's CNAMEs to external-dns. plan() says when it is read, and
 * made, changed or deleted; beside that it is looked at every --secret-resync, and, while something
 * is in its way, after pauses that grow to a minute. Such a look wakes the object only if it brings
 * something new. There is no watch: the operator runs where nobody knows what a DNSEndpoint is.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

#define REQUEST_MS    10000
#define LOOKS_MOST    8	   /* under way at a time */
#define LOOK_LEAST_MS 20   /* between two walks over all objects */
#define LOOK_AGAIN_MS 500  /* when it cannot be now */
#define NO_KIND_MS    1000 /* one look in this time is enough for all objects, */
#define NO_KIND_AFTER 1000 /* and theirs are spread over this */
#define JITTER	      20   /* per cent */
#define UID_LEN	      64
#define MANAGER_QUERY "fieldManager=" API_MANAGER

static const struct kube_resource dns_endpoints = {API_ENDPOINT_GROUP, API_ENDPOINT_VERSION,
						   API_ENDPOINT_PLURAL};

struct endpoint {
	struct kube_call *look; /* beside the passes; NULL: none is under way */
	int64_t next_ms;	/* when the next one is due; INT64_MAX: not yet */
	uint64_t wanted;	/* plan_endpoint_digest() of the write under way */
	bool no_kind;		/* what the last look brought */
	/* Of what was read or written last. */
	char uid[UID_LEN];
	char rv[KUBE_RV_LEN]; /* "": it does not exist */
	json_t *trim;	      /* api_endpoint_trim(); NULL: nothing */
};

/* ---- when ---- */

static void look_at_all(void *ctx);

static void look_in(struct record *record, int64_t ms)
{
	record->endpoint->next_ms = mono_ms() + ms;
	alarm_at(&record->controller->endpoint_alarm, record->endpoint->next_ms);
}

void endpoint_start(struct controller *controller)
{
	controller->endpoint_alarm.least_ms = LOOK_LEAST_MS;
	alarm_start(&controller->endpoint_alarm, controller->options.base, look_at_all, controller);
}

void endpoint_stop(struct controller *controller)
{
	alarm_stop(&controller->endpoint_alarm);
}

static void end_look(struct record *record)
{
	if (!record->endpoint->look)
		return;
	record->controller->endpoint_looks--;
	kube_cancel(TAKE(record->endpoint->look));
}

/* ---- whether there are DNSEndpoints at all ---- */

/* All objects would ask the same: one does. */
static void note_no_kind(struct record *record)
{
	record->endpoint->no_kind = true;
	record->controller->no_kind_ms = mono_ms() + NO_KIND_MS;
}

/* The CustomResourceDefinition was installed. */
static void note_kind(struct controller *controller)
{
	struct record *record;
	struct record *next;

	if (!controller->no_kind_ms)
		return;
	controller->no_kind_ms = 0;
	HASH_ITER(hh, controller->records, record, next) {
		if (record->endpoint && record->endpoint->no_kind)
			look_in(record, 0);
	}
}

/* ---- what an answer means ---- */

/* The object does not exist; where the kind does not, the API server says so in another way. */
static bool is_absent(const json_t *status, const struct err *err)
{
	return act_is_not_found(status, err) && *jv_str(status, "details.name");
}

static enum plan_endpoint_state judge_refusal(const struct plan_view *view, const json_t *status,
					      const struct err *err)
{
	struct api_cname list[API_MAX_DOMAINS];

	if (is_absent(status, err))
		return plan_wants_endpoint(view) && plan_endpoint_list(view, list) > 0
			       ? PLAN_ENDPOINT_ABSENT
			       : PLAN_ENDPOINT_CURRENT;
	if (err->kind == ERR_NOT_FOUND)
		return PLAN_ENDPOINT_NO_KIND;
	return act_is_forbidden(err) ? PLAN_ENDPOINT_DENIED : PLAN_ENDPOINT_UNANSWERED;
}

static json_t *make_body(const struct plan_view *view)
{
	struct api_cname list[API_MAX_DOMAINS];

	return api_endpoint_body(view->object, list, plan_endpoint_list(view, list));
}

static void keep(struct endpoint *endpoint, const json_t *object)
{
	(void)snprintf(endpoint->uid, sizeof(endpoint->uid), "%s", jv_str(object, "metadata.uid"));
	(void)snprintf(endpoint->rv, sizeof(endpoint->rv), "%s",
		       jv_str(object, "metadata.resourceVersion"));
	json_decref(TAKE(endpoint->trim));
}

static enum plan_endpoint_state judge(struct record *record, const struct plan_view *view,
				      const json_t *object, const struct err *err)
{
	struct endpoint *endpoint = record->endpoint;
	CLEANUP(jv_freep) json_t *body = NULL;

	keep(endpoint, err ? NULL : object);
	if (err)
		return judge_refusal(view, object, err);
	if (!*endpoint->uid || !*endpoint->rv)
		return PLAN_ENDPOINT_UNANSWERED; /* by whatever stands before the API server */
	if (!api_endpoint_is_ours(object, record->name))
		return PLAN_ENDPOINT_FOREIGN;
	if (!plan_wants_endpoint(view))
		return PLAN_ENDPOINT_OTHER;
	body = make_body(view);
	endpoint->trim = api_endpoint_trim(object, body);
	return api_endpoint_says(object, body) ? PLAN_ENDPOINT_CURRENT : PLAN_ENDPOINT_OTHER;
}

static enum plan_endpoint_state judge_failed_write(const struct err *err)
{
	switch ((int)err->kind) {
	case ERR_CONFLICT:
	case ERR_NOT_FOUND: /* of what: the next look will tell */
		return PLAN_ENDPOINT_CHANGED;
	case ERR_DENIED:
		return act_is_forbidden(err) ? PLAN_ENDPOINT_REFUSED : PLAN_ENDPOINT_UNANSWERED;
	case ERR_INVALID:
		return PLAN_ENDPOINT_REFUSED;
	default:
		return PLAN_ENDPOINT_UNANSWERED;
	}
}

/* ---- what comes of it ---- */

static bool is_same(const struct plan_endpoint *a, const struct plan_endpoint *b)
{
	return a->digest == b->digest && a->state == b->state && a->trouble == b->trouble &&
	       plan_is_endpoint_lasting(a) == plan_is_endpoint_lasting(b);
}

/* Once, not every minute. */
static void log_failure(const struct record *record, bool again, const struct err *err)
{
	static const char message[] = "the DNSEndpoint cannot be made as it should be";

	if (again)
		log_debug(message, "namespace", record->namespace, "name", record->name, "err",
			  err->msg, NULL);
	else
		log_warn(message, "namespace", record->namespace, "name", record->name, "err",
			 err->msg, NULL);
}

/* What is wanted may be something else by now: then it is read again. Returns whether anything is
 * new. */
static bool take(struct record *record, const struct plan_view *view, uint64_t wanted,
		 enum plan_endpoint_state state, const struct err *err)
{
	struct plan_endpoint *known = &record_memory(record)->endpoint;
	const struct plan_endpoint before = *known;
	int64_t pause_ms = plan_fold_endpoint(record_memory(record), view, wanted, state);
	int64_t asked_ms = err && err->kind == ERR_THROTTLED ? (int64_t)err->code * 1000 : 0;
	int64_t resync_ms = record->controller->options.secret_resync_ms;

	if (pause_ms > 0 && err)
		log_failure(record, before.trouble == known->trouble, err);
	if (pause_ms < asked_ms)
		pause_ms = asked_ms;
	look_in(record, pause_ms > 0 ? pause_ms : rnd_jitter_ms(resync_ms, JITTER));
	record->endpoint->no_kind = false;
	if (state == PLAN_ENDPOINT_NO_KIND)
		note_no_kind(record);
	else if (state != PLAN_ENDPOINT_UNANSWERED && state != PLAN_ENDPOINT_DENIED)
		note_kind(record->controller);
	return !is_same(&before, known);
}

/* An act has ended. Its endpoint is gone if nobody minds it any more. */
static void finish(struct record *record, uint64_t wanted, enum plan_endpoint_state state,
		   const struct err *err)
{
	struct plan_view view;

	record_view(record, &view);
	if (record->endpoint)
		(void)take(record, &view, wanted, state, err);
	record_act_ended(record);
}

/* ---- looking ---- */

static struct kube_call *ask(struct record *record, kube_done_fn *on_done)
{
	const struct kube_request req = {
		.verb = "get",
		.resource = &dns_endpoints,
		.namespace = record->namespace,
		.name = record->name,
		.timeout_ms = REQUEST_MS,
		.on_done = on_done,
		.ctx = record,
	};

	return kube_start(record->controller->options.kube, &req);
}

/* Returns whether anything is new. */
static bool take_reading(struct record *record, const json_t *object, const struct err *err)
{
	struct plan_view view;

	record_view(record, &view);
	if (!record->endpoint)
		return false;
	return take(record, &view, plan_endpoint_digest(&view), judge(record, &view, object, err),
		    err);
}

static void on_look(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;

	record->controller->endpoint_looks--;
	record->endpoint->look = NULL;
	if (take_reading(record, object, err))
		workq_add(record->controller->queue, record->uid, WORKQ_LOW);
	record_rest(record);
}

static void on_read(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;

	record->call = NULL;
	(void)take_reading(record, object, err);
	record_act_ended(record);
}

/* When it is next to be looked at, if that is not now. */
static int64_t look(struct record *record, int64_t now_ms)
{
	struct controller *controller = record->controller;
	struct endpoint *endpoint = record->endpoint;

	if (!endpoint || endpoint->look)
		return INT64_MAX;
	if (endpoint->no_kind && endpoint->next_ms <= now_ms && now_ms < controller->no_kind_ms)
		endpoint->next_ms =
			controller->no_kind_ms + (int64_t)(rnd_u64() % (uint64_t)NO_KIND_AFTER);
	if (endpoint->next_ms > now_ms)
		return endpoint->next_ms;
	if (controller->endpoint_looks >= LOOKS_MOST)
		return now_ms;
	/* That may be a write of it. */
	if (record->call)
		return now_ms + LOOK_AGAIN_MS;
	controller->endpoint_looks++;
	endpoint->look = ask(record, on_look);
	return INT64_MAX;
}

static void look_at_all(void *ctx)
{
	struct controller *controller = ctx;
	const struct controller_options *options = &controller->options;
	int64_t now_ms = mono_ms();
	int64_t next_ms = INT64_MAX;
	struct record *record;
	struct record *next;

	if (controller->draining)
		return;
	if (!options->is_leader(options->ctx)) {
		alarm_at(&controller->endpoint_alarm, now_ms + LOOK_AGAIN_MS);
		return;
	}
	HASH_ITER(hh, controller->records, record, next) {
		int64_t ms = look(record, now_ms);

		if (ms < next_ms)
			next_ms = ms;
	}
	if (next_ms < INT64_MAX)
		alarm_at(&controller->endpoint_alarm, next_ms);
}

/* ---- writing ---- */

static void on_written(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	struct endpoint *endpoint = record->endpoint;
	enum plan_endpoint_state state = PLAN_ENDPOINT_CURRENT;

	record->call = NULL;
	if (!endpoint) {
		record_act_ended(record);
		return;
	}
	if (err)
		state = judge_failed_write(err);
	else if (endpoint->trim)
		state = PLAN_ENDPOINT_OTHER; /* and the rest is applied */
	keep(endpoint, err ? NULL : object);
	if (!err && (!*endpoint->uid || !*endpoint->rv))
		state = PLAN_ENDPOINT_UNANSWERED;
	finish(record, endpoint->wanted, state, err);
}

static void start_write(struct record *record, struct kube_request *req)
{
	req->resource = &dns_endpoints;
	req->namespace = record->namespace;
	req->timeout_ms = REQUEST_MS;
	req->ctx = record;
	record->call = kube_start(record->controller->options.kube, req);
}

/* That very one: to apply a resourceVersion alone would make it anew if it has been deleted. */
static void set_preconditions(const struct endpoint *endpoint, json_t *body)
{
	json_t *metadata = jv_object(body, "metadata");

	jv_set_str(metadata, "uid", endpoint->uid);
	jv_set_str(metadata, "resourceVersion", endpoint->rv);
}

static void write_endpoint(struct record *record, const struct plan_view *view)
{
	struct endpoint *endpoint = record->endpoint;
	CLEANUP(jv_freep) json_t *body = make_body(view);
	struct kube_request req = {
		.verb = "patch",
		.name = record->name,
		.query = MANAGER_QUERY,
		.body = body,
		.on_done = on_written,
	};

	endpoint->wanted = plan_endpoint_digest(view);
	if (!*endpoint->rv) {
		req.verb = "create";
		req.name = NULL;
	} else if (endpoint->trim) {
		req.body = endpoint->trim;
	} else {
		req.patch = KUBE_APPLY_PATCH;
		req.query = MANAGER_QUERY "&force=true";
		set_preconditions(endpoint, body);
	}
	start_write(record, &req);
}

static void on_deleted(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	bool gone = !err || is_absent(object, err);

	record->call = NULL;
	if (!record->endpoint) {
		record_act_ended(record);
		return;
	}
	finish(record, record->endpoint->wanted,
	       gone ? PLAN_ENDPOINT_CURRENT : judge_failed_write(err), gone ? NULL : err);
}

static void delete_endpoint(struct record *record, const struct plan_view *view)
{
	struct endpoint *endpoint = record->endpoint;
	CLEANUP(jv_freep) json_t *body = api_endpoint_delete(endpoint->uid, endpoint->rv);
	struct kube_request req = {
		.verb = "delete",
		.name = record->name,
		.body = body,
		.on_done = on_deleted,
	};

	endpoint->wanted = plan_endpoint_digest(view);
	start_write(record, &req);
}

void endpoint_act(struct record *record, const struct plan_view *view, enum plan_what what)
{
	end_look(record);
	if (what == PLAN_READ_ENDPOINT)
		record->call = ask(record, on_read);
	else if (what == PLAN_WRITE_ENDPOINT)
		write_endpoint(record, view);
	else
		delete_endpoint(record, view);
}

/* ---- that of one object ---- */

void endpoint_drop(struct record *record)
{
	if (!record->endpoint)
		return;
	end_look(record);
	json_decref(record->endpoint->trim);
	free(TAKE(record->endpoint));
}

void endpoint_view(struct record *record, struct plan_view *view)
{
	view->endpoint_domains = record->controller->options.endpoint_domains;
	view->endpoint_domains_len = record->controller->options.endpoint_domains_len;
	if (!plan_minds_endpoint(view)) {
		if (record->endpoint)
			plan_fold_endpoint_end(record_memory(record));
		endpoint_drop(record);
	} else if (!record->endpoint) {
		record->endpoint = mem_zalloc(sizeof(*record->endpoint));
		record->endpoint->next_ms = INT64_MAX; /* plan() looks first */
	}
}
