/* SPDX-License-Identifier: Apache-2.0 */

/* Acting: one pass over an object, and the end of everything that a pass starts. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acmedns/acmedns.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

static const struct kube_resource registrations = {API_GROUP, API_VERSION, API_PLURAL};

/* What a status patch under way says, for the fold. */
struct patch {
	int64_t generation;
	bool ready_changed;
};

/* One POST /register under way. */
struct post {
	struct record *record;
	int work;
	struct http_call *call;
};

static void count_pass(struct controller *controller, const char *result, int64_t began_ms)
{
	const char *const by_result[] = {CONTROLLER_NAME, result};
	const char *const by_name[] = {CONTROLLER_NAME};

	metrics_add(controller->metrics.reconciles, by_result, 1);
	metrics_observe(controller->metrics.reconcile_time, by_name,
			(double)(mono_ms() - began_ms) / 1000);
}

/* ---- events ---- */

static void emit(const struct record *record, const struct api_registration *object, bool warning,
		 const char *reason, const char *note)
{
	const struct events_object about = {
		.api_version = API_GROUP "/" API_VERSION,
		.kind = API_KIND,
		.namespace = record->namespace,
		.name = record->name,
		.uid = record->uid,
		.resource_version = object ? object->resource_version : "",
	};

	const struct events_message message = {
		.warning = warning,
		.reason = reason,
		.action = "Register",
		.note = note,
	};

	events_emit(record->controller->options.events, &about, &message);
}

static void act_event(struct record *record, const struct plan_view *view)
{
	const struct api_condition *ready = &view->object->status.conditions[API_READY];
	bool good = ready->status == API_TRUE;

	emit(record, view->object, !good, good ? "Registered" : api_reason_name(ready->reason),
	     ready->message);
	plan_fold_event(record_memory(record));
	record_done(record);
}

void act_count_orphans(struct record *record, unsigned int count)
{
	metrics_add(record->controller->metrics.orphaned, NULL, count);
	log_warn("an account may be orphaned: the outcome of a registration is unknown",
		 "namespace", record->namespace, "name", record->name, NULL);
	emit(record, record_object(record), true, "AccountPossiblyOrphaned",
	     "the outcome of an earlier registration is unknown; the acme-dns server may keep an "
	     "account that nobody uses");
}

/* ---- the status patch ---- */

static void act_failed(struct record *record, const char *what, const struct err *err)
{
	struct workq *queue = record->controller->queue;

	/* A conflict is no trouble: the cache is behind, and its next event brings us back. */
	if (err->kind != ERR_CONFLICT && err->kind != ERR_NOT_FOUND)
		log_warn(what, "namespace", record->namespace, "name", record->name, "err",
			 err->msg, NULL);
	workq_add_backoff(queue, record->uid);
	workq_done(queue, record->uid);
}

static void on_patched(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(mem_freep) struct patch *patch = TAKE(record->patch);

	record->call = NULL;
	if (err) {
		act_failed(record, "patching status failed", err);
		return;
	}
	(void)snprintf(record->own_rv, sizeof(record->own_rv), "%s",
		       jv_str(object, "metadata.resourceVersion"));
	plan_fold_status(record_memory(record), patch->generation, patch->ready_changed);
	record_done(record);
}

static void act_patch(struct record *record, const struct plan_view *view,
		      const struct api_status *status)
{
	CLEANUP(jv_freep)
	json_t *body = api_status_patch(view->object, status, mono_wall_us() / 1000000);
	const struct kube_request req = {
		.verb = "patch",
		.resource = &registrations,
		.namespace = record->namespace,
		.name = record->name,
		.subresource = "status",
		.patch = KUBE_MERGE_PATCH,
		.body = body,
		.on_done = on_patched,
		.ctx = record,
	};

	record->patch = mem_zalloc(sizeof(*record->patch));
	*record->patch = (struct patch){
		.generation = view->object->generation,
		.ready_changed = plan_ready_changed(view->object, status),
	};
	record->call = kube_start(record->controller->options.kube, &req);
}

/* ---- questions ---- */

static void on_owner(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(mem_freep) char *uid = TAKE(record->asked_uid);
	CLEANUP(api_freep) struct api_registration *owner = NULL;
	struct plan_view view;

	record->call = NULL;
	if (err && err->kind != ERR_NOT_FOUND) {
		act_failed(record, "asking for the owner of a domain failed", err);
		return;
	}
	owner = err ? NULL : api_decode(object);
	record_view(record, &view);
	if (view.object)
		plan_fold_owner(record_memory(record), &view, uid, owner);
	record_done(record);
}

static void on_self(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(mem_freep) char *uid = TAKE(record->asked_uid);
	bool gone;
	int lost;

	record->call = NULL;
	if (err && err->kind != ERR_NOT_FOUND) {
		act_failed(record, "asking for the object failed", err);
		return;
	}
	gone = err || strcmp(jv_str(object, "metadata.uid"), uid) != 0;
	lost = plan_fold_self(record_memory(record), gone);
	if (lost > 0)
		act_count_orphans(record, (unsigned int)lost);
	record_done(record);
}

static void act_ask(struct record *record, const char *name, const char *uid, kube_done_fn *on_done)
{
	const struct kube_request req = {
		.verb = "get",
		.resource = &registrations,
		.namespace = record->namespace,
		.name = name,
		.on_done = on_done,
		.ctx = record,
	};

	record->asked_uid = mem_strdup(uid);
	record->call = kube_start(record->controller->options.kube, &req);
}

/* ---- POST /register ---- */

static void report(struct record *record, const char *domain, const struct acmedns_result *result)
{
	static const char *const results[] = {
		[ACMEDNS_REGISTERED] = "registered",	   [ACMEDNS_UNAVAILABLE] = "unavailable",
		[ACMEDNS_BAD_ALLOWFROM] = "bad_allowfrom", [ACMEDNS_DENIED] = "denied",
		[ACMEDNS_REJECTED] = "rejected",	   [ACMEDNS_THROTTLED] = "throttled",
		[ACMEDNS_UNREACHABLE] = "unreachable",	   [ACMEDNS_NO_ANSWER] = "no_answer",
		[ACMEDNS_SERVER_ERROR] = "server_error",   [ACMEDNS_BAD_ANSWER] = "bad_answer",
	};
	const char *const values[] = {results[result->verdict]};

	metrics_add(record->controller->metrics.registrations, values, 1);
	if (result->verdict == ACMEDNS_REGISTERED)
		log_info("registered", "namespace", record->namespace, "name", record->name,
			 "domain", domain, NULL);
	else
		log_warn("registration failed", "namespace", record->namespace, "name",
			 record->name, "domain", domain, "err", result->message, NULL);
}

static void on_registered(void *ctx, const struct http_response *resp)
{
	struct post *post = ctx;
	struct record *record = post->record;
	struct plan_memory *memory = record_memory(record);
	struct acmedns_account account;
	struct acmedns_result result = acmedns_register_result(resp, &account);
	struct plan_view view;

	log_debug("POST /register ended", "domain", memory->works[post->work].domain, "detail",
		  resp->detail, NULL);
	report(record, memory->works[post->work].domain, &result);
	record->posts[post->work] = NULL;
	record_view(record, &view);
	plan_fold_registered(memory, &view, post->work, &result, &account);
	explicit_bzero(&account, sizeof(account));
	free(post);
	host_settle(record);
	workq_add(record->controller->queue, record->uid, WORKQ_HIGH);
}

static void act_register(struct record *record, const struct plan_view *view, int work)
{
	struct controller *controller = record->controller;
	const struct plan_work *at = &record_memory(record)->works[work];
	const struct api_spec *spec = &view->object->spec;
	CLEANUP(mem_freep) char *url = mem_printf("%s/register", at->host);
	CLEANUP(mem_freep)
	char *body =
		acmedns_register_body((const char *const *)spec->allow_from, spec->allow_from_len);
	struct post *post = mem_zalloc(sizeof(*post));
	const struct http_request req = {
		.method = "POST",
		.url = url,
		.headers = {"Content-Type: application/json", "Accept: application/json"},
		.body = body,
		.body_len = strlen(body),
		.max_body = ACMEDNS_MAX_ANSWER,
		.timeout_ms = controller->options.register_timeout_ms,
		.fresh_connection = true,
		.pin = host_pin(record),
		.on_done = on_registered,
		.ctx = post,
	};

	*post = (struct post){.record = record, .work = work};
	post->call = http_start(controller->http, &req);
	record->posts[work] = post;
	plan_fold_posting(record_memory(record), work);
	record_done(record);
}

void act_cancel(struct record *record)
{
	size_t i;

	kube_cancel(record->call);
	free(record->patch);
	free(record->asked_uid);
	for (i = 0; i < PLAN_WORKS; i++) {
		if (!record->posts[i])
			continue;
		http_cancel(record->posts[i]->call);
		free(record->posts[i]);
	}
}

/* ---- one pass ---- */

static void act_wait(struct record *record, const struct plan_action *action, int64_t now_ms)
{
	struct workq *queue = record->controller->queue;

	if (action->wants_slot)
		host_wait_slot(record);
	else
		host_settle(record);
	record->wake_ms = 0;
	if (action->wake_ms < INT64_MAX) {
		record->wake_ms = action->wake_ms;
		workq_add_after(queue, record->uid, action->wake_ms - now_ms);
	}
	workq_forget(queue, record->uid);
	record_rest(record);
	channel_rest(record->channel);
	workq_done(queue, record->uid);
	record_release(record);
}

static void act_edit(struct record *record, unsigned int claims)
{
	if (claims > 0)
		host_take_slots(record, claims);
	channel_edit(record->channel, record);
}

static void act(struct record *record, const struct plan_view *view, struct plan_action *action)
{
	switch (action->what) {
	case PLAN_WAIT:
		act_wait(record, action, view->now_ms);
		break;
	case PLAN_PATCH_STATUS:
		act_patch(record, view, &action->status);
		break;
	case PLAN_READ_SECRET:
		channel_read(record->channel, record);
		break;
	case PLAN_EDIT_SECRET:
		act_edit(record, action->claims);
		break;
	case PLAN_RESOLVE_HOST:
		host_resolve(record);
		workq_done(record->controller->queue, record->uid);
		break;
	case PLAN_ASK_OWNER:
		act_ask(record, action->owner_name, action->owner_uid, on_owner);
		break;
	case PLAN_ASK_SELF:
		act_ask(record, record->name, record->uid, on_self);
		break;
	case PLAN_REGISTER:
		act_register(record, view, action->work);
		break;
	case PLAN_EXPIRE:
		plan_fold_expired(record_memory(record), action->work);
		host_settle(record);
		record_done(record);
		break;
	case PLAN_EMIT_EVENT:
		act_event(record, view);
		break;
	}
}

/* The cache has not brought our own last write yet: what it shows is the past. */
static bool is_behind(const struct record *record, const struct api_registration *object)
{
	bool comparable;

	return object && *record->own_rv &&
	       kube_rv_compare(object->resource_version, record->own_rv, &comparable) < 0;
}

void act_pass(void *ctx, const char *uid)
{
	struct controller *controller = ctx;
	struct record *record = record_find(controller, uid);
	struct plan_action action;
	struct plan_view view;

	if (!record || is_behind(record, record_object(record))) {
		workq_done(controller->queue, uid);
		return;
	}
	if (record->wake_ms && mono_ms() >= record->wake_ms) {
		record->wake_ms = 0;
		record->due_ms = mono_ms();
	}
	record_view(record, &view);
	plan(&view, record_memory(record), &action);
	log_trace("pass", "namespace", record->namespace, "name", record->name, "action",
		  plan_what_name(action.what), NULL);
	record_rest(record);
	act(record, &view, &action);
	plan_action_done(&action);
	count_pass(controller, "success", view.now_ms);
}
