/* SPDX-License-Identifier: Apache-2.0 */

/* Acting: one pass over an object, and the end of everything that a pass starts. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

/* More than any object needs on its way to rest; then a backoff after each few. */
#define STREAK_MOST  500
#define STREAK_AGAIN 4
/* plan() wants to look again at a time that has come: never in a tight circle. */
#define WAIT_LEAST_MS	 10
#define THROTTLED_JITTER 20 /* per cent */

static void count_result(struct controller *controller, const char *result)
{
	const char *const by_result[] = {CONTROLLER_NAME, result};

	metrics_add(controller->metrics.reconciles, by_result, 1);
}

static void count_pass(struct controller *controller, int64_t began_us)
{
	const char *const by_name[] = {CONTROLLER_NAME};

	count_result(controller, "success");
	metrics_observe(controller->metrics.reconcile_time, by_name,
			(double)(mono_us() - began_us) / 1e6);
}

/* ---- events ---- */

static void emit(const struct record *record, const struct api_registration *object,
		 const struct events_message *message)
{
	const struct events_object about = {
		.api_version = API_GROUP "/" API_VERSION,
		.kind = API_KIND,
		.namespace = record->namespace,
		.name = record->name,
		.uid = record->uid,
		.resource_version = object ? object->resource_version : "",
	};

	events_emit(record->controller->options.events, &about, message);
}

static void act_leftover(struct record *record, const struct plan_view *view,
			 const struct plan_action *action)
{
	const struct events_message message = {
		.warning = true,
		.reason = action->leaves_endpoint ? "DNSEndpointNotDeleted" : "EntriesNotDeleted",
		.action = "Finalize",
		.note = action->leftover,
	};

	emit(record, view->object, &message);
	if (action->leaves_endpoint)
		plan_fold_endpoint_left(record_memory(record));
	else
		plan_fold_leftover(record_memory(record));
	record_act_ended(record);
}

/* Of those that are not right, the one of which that was found last. */
static const struct api_record *find_drifted(const struct api_status *status)
{
	const struct api_record *drifted = NULL;
	size_t i;

	for (i = 0; i < status->records_len; i++) {
		const struct api_record *at = &status->records[i];

		if (cname_is_wrong(at->verification) &&
		    (!drifted || at->transition_s > drifted->transition_s))
			drifted = at;
	}
	return drifted;
}

static void emit_drift(const struct record *record, const struct api_registration *object)
{
	const struct api_record *drifted = find_drifted(&object->status);
	struct events_message message = {.warning = true, .action = "Verify"};
	CLEANUP(mem_freep) char *note = NULL;
	const char *where;

	if (!drifted)
		return; /* it is right again */
	where = drifted->observed ? drifted->observed : "another name";
	if (drifted->verification == CNAME_MISSING) {
		message.reason = api_reason_name(API_REASON_CNAME_MISSING);
		note = mem_printf("%s%s: the CNAME was right and is missing; add one to %s",
				  DNSNAME_CHALLENGE, drifted->domain, drifted->value);
	} else {
		message.reason = api_reason_name(API_REASON_CNAME_MISMATCH);
		note = mem_printf("%s%s: the CNAME was right and leads to %s; it has to lead to %s",
				  DNSNAME_CHALLENGE, drifted->domain, where, drifted->value);
	}
	message.note = note;
	emit(record, object, &message);
}

static void emit_ready(const struct record *record, const struct api_registration *object)
{
	const struct api_condition *ready = &object->status.conditions[API_READY];
	bool good = ready->reason == API_REASON_READY;
	const struct events_message message = {
		.warning = !good,
		.reason = good ? "Registered" : api_reason_name(ready->reason),
		.action = "Register",
		.note = ready->message,
	};

	emit(record, object, &message);
}

static void act_event(struct record *record, const struct plan_view *view, enum plan_news news)
{
	static const struct events_message rotated = {
		.reason = "Rotated",
		.action = "Rotate",
		.note = "every account has another in its place, as was asked for; each CNAME has "
			"to lead to what status.records says",
	};

	if (news == PLAN_NEWS_ROTATED)
		emit(record, view->object, &rotated);
	else if (news == PLAN_NEWS_DRIFTED)
		emit_drift(record, view->object);
	else
		emit_ready(record, view->object);
	plan_fold_event(record_memory(record), news);
	record_act_ended(record);
}

void act_count_orphans(struct record *record, unsigned int count)
{
	static const struct events_message message = {
		.warning = true,
		.reason = "AccountPossiblyOrphaned",
		.action = "Register",
		.note = "the outcome of a registration is unknown, or its account could not be "
			"used; the acme-dns server may keep an account that nobody uses",
	};

	metrics_add(record->controller->metrics.orphaned, NULL, count);
	log_warn("an account may be orphaned", "namespace", record->namespace, "name", record->name,
		 NULL);
	emit(record, record_object(record), &message);
}

void act_failed(struct record *record, const char *what, const struct err *err)
{
	struct controller *controller = record->controller;

	/* A conflict is no trouble: the cache is behind, and its next event brings us back. */
	if (err->kind != ERR_CONFLICT && err->kind != ERR_NOT_FOUND)
		log_warn(what, "namespace", record->namespace, "name", record->name, "err",
			 err->msg, NULL);
	count_result(controller, "error");
	host_settle(record); /* others need not wait for the end of our troubles */
	if (err->kind == ERR_THROTTLED && err->code > 0)
		workq_add_after(controller->queue, record->uid,
				rnd_jitter_ms((int64_t)err->code * 1000, THROTTLED_JITTER));
	else
		workq_add_backoff(controller->queue, record->uid);
	workq_done(controller->queue, record->uid);
}

/* ---- questions ---- */

bool act_is_not_found(const json_t *status, const struct err *err)
{
	return err->kind == ERR_NOT_FOUND && strcmp(jv_str(status, "reason"), "NotFound") == 0;
}

bool act_is_forbidden(const struct err *err)
{
	return err->kind == ERR_DENIED && err->code != 401;
}

/* What came is neither an object nor a proper 404: that would end ownerships and registrations. */
static bool is_no_answer(const json_t *object, const struct err *err)
{
	if (!err)
		return !*jv_str(object, "metadata.uid");
	return !act_is_not_found(object, err);
}

void act_unanswered(struct record *record, const char *what, const struct err *err)
{
	struct err odd;

	(void)err_set(&odd, ERR_TRANSIENT, 0, "the answer is no Kubernetes object");
	act_failed(record, what, err && err->kind != ERR_NOT_FOUND ? err : &odd);
}

static void on_owner(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(mem_freep) char *uid = TAKE(record->asked_uid);
	CLEANUP(api_freep) struct api_registration *owner = NULL;
	struct plan_view view;

	record->call = NULL;
	if (is_no_answer(object, err)) {
		act_unanswered(record, "asking for an object failed", err);
		return;
	}
	owner = err ? NULL : api_decode(object);
	record_view(record, &view);
	/* The cache may have overtaken the answer: what is older than a change is asked anew. */
	if (view.object && record->asked_at == record->channel->changes)
		plan_fold_owner(record_memory(record), &view, uid, owner);
	channel_note_loser(record->channel);
	record_act_ended(record);
}

static void on_self(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(mem_freep) char *uid = TAKE(record->asked_uid);
	bool gone;
	int lost;

	record->call = NULL;
	if (is_no_answer(object, err)) {
		act_unanswered(record, "asking for an object failed", err);
		return;
	}
	gone = err || strcmp(jv_str(object, "metadata.uid"), uid) != 0;
	lost = plan_fold_self(record_memory(record), gone);
	if (lost > 0)
		act_count_orphans(record, (unsigned int)lost);
	record_act_ended(record);
}

static void act_ask(struct record *record, const char *name, const char *uid, kube_done_fn *on_done)
{
	const struct kube_request req = {
		.verb = "get",
		.resource = &controller_registrations,
		.namespace = record->namespace,
		.name = name,
		.on_done = on_done,
		.ctx = record,
	};

	record->asked_uid = mem_strdup(uid);
	record->asked_at = record->channel->changes;
	record->call = kube_start(record->controller->options.kube, &req);
}

void act_cancel(struct record *record)
{
	kube_cancel(TAKE(record->call));
	reference_drop(record);
	free(TAKE(record->asked_uid));
	post_cancel_all(record);
	probe_cancel(record);
}

/* ---- one pass ---- */

static void act_wait(struct record *record, const struct plan_action *action, int64_t now_ms)
{
	struct workq *queue = record->controller->queue;
	int64_t wait_ms = action->wake_ms - now_ms;

	if (action->wants_slot)
		host_wait_slot(record);
	else
		host_want_no_slot(record);
	record->streak = 0;
	record->wake_ms = 0;
	if (action->wake_ms < INT64_MAX) {
		record->wake_ms = action->wake_ms;
		workq_add_after(queue, record->uid,
				wait_ms > WAIT_LEAST_MS ? wait_ms : WAIT_LEAST_MS);
	}
	workq_forget(queue, record->uid);
	channel_rest(record->channel);
	if (!record->memory && !record->probe)
		reference_drop(record);
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
		patch_take_status(record, view, &action->status);
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
	case PLAN_READ_REFERENCES:
		reference_read(record, view);
		break;
	case PLAN_ASK_OWNER:
		act_ask(record, action->owner_name, action->owner_uid, on_owner);
		break;
	case PLAN_ASK_SELF:
		act_ask(record, record->name, record->uid, on_self);
		break;
	case PLAN_REGISTER:
		post_start(record, view, action->work);
		break;
	case PLAN_EXPIRE:
		plan_fold_expired(record_memory(record), action->work);
		host_settle(record);
		record_act_ended(record);
		break;
	case PLAN_EMIT_EVENT:
		if (action->leftover)
			act_leftover(record, view, action);
		else
			act_event(record, view, action->news);
		break;
	case PLAN_PATCH_FINALIZER:
		patch_finalizer(record, view, action);
		break;
	case PLAN_PROBE:
		probe_start(record, view, action->domain);
		break;
	case PLAN_END_ROUND:
		probe_end_round(record, view);
		break;
	case PLAN_READ_ENDPOINT:
	case PLAN_WRITE_ENDPOINT:
	case PLAN_DELETE_ENDPOINT:
		endpoint_act(record, view, action->what);
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

/* The end of each act brings the next pass at once. That plan() gets nowhere that way should not
 * be; but if two operators fight over a status, they shall do it slowly. */
static bool is_restless(struct record *record)
{
	if (++record->streak <= STREAK_MOST)
		return false;
	log_warn("many acts, and still not at rest", "namespace", record->namespace, "name",
		 record->name, NULL);
	record->streak = STREAK_MOST - STREAK_AGAIN;
	return true;
}

static void pass(struct record *record)
{
	struct controller *controller = record->controller;
	int64_t began_us = mono_us();
	struct plan_action action;
	struct plan_view view;

	if (record->wake_ms && mono_ms() >= record->wake_ms) {
		record->wake_ms = 0;
		record->due_ms = mono_ms();
	}
	record_view(record, &view);
	patch_settle(record, view.object);
	plan(&view, record_memory(record), &action);
	log_trace("pass", "namespace", record->namespace, "name", record->name, "action",
		  plan_what_name(action.what), NULL);
	record_rest(record);
	act(record, &view, &action);
	plan_action_done(&action);
	count_pass(controller, began_us);
}

void act_pass(void *ctx, const char *uid)
{
	struct controller *controller = ctx;
	struct record *record = record_find(controller, uid);
	bool urgent = record && record_has_account(record);

	if (!record)
		workq_forget(controller->queue, uid);
	if (!record || (!urgent && is_behind(record, record_object(record)))) {
		workq_done(controller->queue, uid);
	} else if (is_restless(record) && !urgent) {
		workq_add_backoff(controller->queue, uid);
		workq_done(controller->queue, uid);
	} else {
		pass(record);
	}
}
