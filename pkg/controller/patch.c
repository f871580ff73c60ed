/* SPDX-License-Identifier: Apache-2.0 */

/* The patches of an object: of its status, and of its finalizers. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mono.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

/* What a status patch under way says, for the fold. */
struct patch {
	int64_t generation;
	unsigned int news;
	bool visits; /* the first of its generation: that it was accepted is what matters */
	char rv[KUBE_RV_LEN];
	struct api_status status;
};

static void patch_free(struct patch *patch)
{
	if (patch)
		api_status_done(&patch->status);
	free(patch);
}

static void patch_freep(struct patch **patch)
{
	patch_free(*patch);
}

/* What the cache has to bring before the next pass, see act_pass(). */
static void note_own_write(struct record *record, const json_t *object)
{
	(void)snprintf(record->own_rv, sizeof(record->own_rv), "%s",
		       jv_str(object, "metadata.resourceVersion"));
}

static void send_patch(struct record *record, const char *subresource, json_t *body,
		       kube_done_fn *on_done)
{
	const struct kube_request req = {
		.verb = "patch",
		.resource = &controller_registrations,
		.namespace = record->namespace,
		.name = record->name,
		.subresource = subresource,
		.patch = KUBE_MERGE_PATCH,
		.body = body,
		.on_done = on_done,
		.ctx = record,
	};

	record->call = kube_start(record->controller->options.kube, &req);
}

/* ---- status ---- */

/* Its outcome is known, or does not matter any more. */
static void end_lost(struct record *record)
{
	patch_free(TAKE(record->lost));
}

static void count_drift(const struct record *record, const struct patch *patch)
{
	if (patch->news & PLAN_NEWS_DRIFTED)
		metrics_add(record->controller->metrics.drifts, NULL, 1);
}

void patch_settle(struct record *record, const struct api_registration *object)
{
	const struct patch *lost = record->lost;

	if (!lost || !object || strcmp(object->resource_version, lost->rv) == 0)
		return;
	if (api_status_equal(&object->status, &lost->status)) {
		count_drift(record, lost);
		plan_fold_news(record_memory(record), lost->news);
	}
	end_lost(record);
}

/* It may have been accepted; a conflict may be with itself, when the transport had to send it
 * twice. */
static bool is_open(const struct err *err)
{
	return err->kind == ERR_TRANSIENT || err->kind == ERR_THROTTLED ||
	       err->kind == ERR_CONFLICT;
}

static void on_patched(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;
	CLEANUP(patch_freep) struct patch *patch = TAKE(record->patch);
	struct err futile;

	record->call = NULL;
	/* What met a conflict may have met one that was lost. */
	if (err && is_open(err) && patch->news && !(record->lost && err->kind == ERR_CONFLICT)) {
		end_lost(record);
		record->lost = TAKE(patch);
	}
	if (err) {
		act_failed(record, "patching status failed", err);
		return;
	}
	note_own_write(record, object);
	if (!patch->visits && strcmp(record->own_rv, patch->rv) == 0) {
		(void)err_set(&futile, ERR_INVALID, 0,
			      "it changed nothing; is the CustomResourceDefinition an older one?");
		act_failed(record, "patching status failed", &futile);
		return;
	}
	end_lost(record);
	count_drift(record, patch);
	plan_fold_status(record_memory(record), patch->generation, patch->news);
	record_act_ended(record);
}

void patch_take_status(struct record *record, const struct plan_view *view,
		       struct api_status *status)
{
	CLEANUP(jv_freep)
	json_t *body = api_status_patch(view->object, status, mono_wall_us() / 1000000);

	record->patch = mem_zalloc(sizeof(*record->patch));
	*record->patch = (struct patch){
		.generation = view->object->generation,
		.news = plan_news(view->object, status),
		.visits = record_memory(record)->visited_generation != view->object->generation,
	};
	(void)snprintf(record->patch->rv, sizeof(record->patch->rv), "%s",
		       view->object->resource_version);
	record->patch->status = *status;
	api_status_init(status, -1);
	send_patch(record, "status", body, on_patched);
}

void patch_drop(struct record *record)
{
	patch_free(TAKE(record->patch));
	end_lost(record);
}

/* ---- the finalizers ---- */

static void on_finalizer(void *ctx, json_t *object, const struct err *err)
{
	struct record *record = ctx;

	record->call = NULL;
	if (err) {
		act_failed(record, "patching a finalizer failed", err);
		return;
	}
	note_own_write(record, object);
	record_act_ended(record);
}

void patch_finalizer(struct record *record, const struct plan_view *view,
		     const struct plan_action *action)
{
	CLEANUP(jv_freep)
	json_t *body = api_finalizer_patch(view->object, action->finalizer, action->add);

	send_patch(record, NULL, body, on_finalizer);
}
