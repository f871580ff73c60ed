/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing a Secret: one write carries the stores and claims of all objects that want one, made by
 * plan_edit() on the newest reading and sent with its resourceVersion. A conflict reads and merges
 * again, a few times; any other refusal of a merged write is tried again piecewise, stores first,
 * so that one object's trouble is not another's, nor a claim's that of a store.
 */

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

/* Pauses between conflicts: 0 to 1 x this, then twice as long each time; 1 s on average for all. */
#define CONFLICT_MS    UINT64_C(8)
#define CONFLICTS_MOST 8

/* ---- the edits ---- */

static unsigned int count_claims(const struct plan_edit *edit)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		count += edit->claimed[i].state != PLAN_WORK_NONE;
	return count;
}

/* Makes one object's edit on the ledger. */
static void edit_for(struct channel *channel, struct record *record, struct ledger *ledger)
{
	struct plan_view view;
	struct err err;

	record_view(record, &view);
	channel_move(record, RECORD_WRITING);
	/* A document that cannot be read is told by the next pass. */
	if (!ledger || ledger_use(ledger, record->secret_key, &err))
		return;
	if (channel->piecewise && record_has_account(record))
		view.leading = false; /* its stores alone */
	record->edit = mem_zalloc(sizeof(*record->edit));
	plan_edit(&view, record_memory(record), ledger, record->edit);
	if (count_claims(record->edit) > 0)
		host_take_slots(record, count_claims(record->edit));
}

static struct record *first_with_store(struct record *waiting)
{
	struct record *record;

	DL_FOREACH2(waiting, record, stage_next)
	{
		if (record_has_account(record))
			return record;
	}
	return waiting;
}

static void edit_waiting(struct channel *channel, struct ledger *ledger)
{
	struct record **waiting = &channel->stages[RECORD_EDITING];

	if (channel->piecewise) {
		edit_for(channel, first_with_store(*waiting), ledger);
		return;
	}
	while (*waiting)
		edit_for(channel, *waiting, ledger);
}

/* ---- the end of a write ---- */

static void drop_edit(struct record *record, enum record_stage stage)
{
	free(record->edit);
	record->edit = NULL;
	channel_move(record, stage);
}

/* err: why, unless it was written or not even sent. */
static void end_edit(struct record *record, const struct plan_written *written,
		     const struct err *err)
{
	struct plan_memory *memory = record_memory(record);
	const struct plan_edit *edit = record->edit;
	struct plan_view view;

	record_view(record, &view);
	if (edit)
		plan_fold_written(memory, &view, edit, written);
	if (err)
		channel_respect(&memory->write, err);
	if (edit && written->outcome == PLAN_WRITTEN && edit->uncertain)
		act_count_orphans(record, edit->uncertain);
	drop_edit(record, RECORD_NOTHING);
	host_settle(record);
	record_act_ended(record);
}

static bool has_template(const struct record *record)
{
	const struct api_registration *object = record_object(record);

	return object && object->spec.template;
}

/* Who wants a label that went puts it back, and who wanted one that is another now says so. */
static void wake_templates(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (has_template(record))
			record_touch(record, channel->sent_ms, WORKQ_LOW);
	}
}

static void end_edits(struct channel *channel, const struct plan_written *written,
		      const struct err *err)
{
	bool retagged = false;

	channel->conflicts = 0;
	while (channel->stages[RECORD_WRITING]) {
		const struct plan_edit *edit = channel->stages[RECORD_WRITING]->edit;

		retagged |= edit && edit->retagged;
		end_edit(channel->stages[RECORD_WRITING], written, err);
	}
	if (retagged && written->outcome == PLAN_WRITTEN)
		wake_templates(channel);
}

/* Nothing was written; the edits are to be made anew. */
static void edit_again(struct channel *channel)
{
	struct record *record;

	while ((record = channel->stages[RECORD_WRITING])) {
		if (record->edit)
			plan_fold_conflict(record_memory(record), record->edit);
		drop_edit(record, RECORD_EDITING);
	}
}

static bool is_too_large(const json_t *status, const struct err *err)
{
	const json_t *cause;
	size_t i;

	json_array_foreach(jv_array(status, "details.causes"), i, cause)
		if (strcmp(jv_str(cause, "reason"), "FieldValueTooLong") == 0)
			return true;
	return err->code == 413;
}

static enum api_reason refusal_reason(const json_t *status, const struct err *err)
{
	/* What is not found by a create is the namespace: on its way out, too. */
	if (err->kind == ERR_NOT_FOUND || kube_is_namespace_terminating(status))
		return API_REASON_NAMESPACE_TERMINATING;
	return is_too_large(status, err) ? API_REASON_SECRET_TOO_LARGE : API_REASON_SECRET_DENIED;
}

/* Somebody else has written, or deleted it. That ends sooner or later, unless it is a quota or a
 * webhook that answers so; then the failure of a write takes over. */
static bool is_conflict(struct channel *channel, const struct err *err)
{
	bool conflict = err->kind == ERR_CONFLICT ||
			(err->kind == ERR_NOT_FOUND && channel->snapshot.exists);
	int64_t pause_ms;

	if (!conflict || channel->conflicts >= CONFLICTS_MOST)
		return false;
	pause_ms = (int64_t)(rnd_u64() % (CONFLICT_MS << channel->conflicts++));
	channel->pause_ms = mono_ms() + pause_ms;
	return true;
}

/* A refusal may be for one object only, or for an object's claim and not for its store. */
static bool can_divide(const struct channel *channel)
{
	const struct record *first = channel->stages[RECORD_WRITING];

	return !channel->piecewise && (first->stage_next || record_has_account(first));
}

static void write_failed(struct channel *channel, const json_t *status, const struct err *err)
{
	bool refused = act_is_forbidden(err) || err->kind == ERR_INVALID ||
		       (act_is_not_found(status, err) && !channel->snapshot.exists);
	struct plan_written written = {
		.outcome = refused ? PLAN_WRITE_REFUSED : PLAN_WRITE_UNKNOWN,
		.sent_ms = channel->sent_ms,
		.reason = refused ? refusal_reason(status, err) : API_REASON_SECRET_UNAVAILABLE,
	};

	if (!refused)
		snapshot_drop(&channel->snapshot);
	if (is_conflict(channel, err)) {
		edit_again(channel);
		return;
	}
	log_warn("writing a Secret failed", "namespace", channel->namespace, "name", channel->name,
		 "err", err->msg, NULL);
	if (refused && written.reason != API_REASON_NAMESPACE_TERMINATING && can_divide(channel)) {
		channel->piecewise = true;
		edit_again(channel);
		return;
	}
	end_edits(channel, &written, err);
}

static void on_written(void *ctx, json_t *object, const struct err *err)
{
	struct channel *channel = ctx;
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = channel->sent_ms};

	channel->call = NULL;
	if (err) {
		write_failed(channel, object, err);
	} else {
		snapshot_set(&channel->snapshot, object, channel->sent_ms);
		channel->seen = true;
		end_edits(channel, &written, NULL);
		channel_end_reads(channel, NULL);
	}
	channel_work_in(channel, 0);
}

/* ---- sending ---- */

static void send_write(struct channel *channel, struct ledger *ledger)
{
	const bool exists = channel->snapshot.exists;
	CLEANUP(jv_freep)
	json_t *body = snapshot_body(&channel->snapshot, channel->namespace, channel->name, ledger);
	const struct kube_request req = {
		.verb = exists ? "patch" : "create",
		.resource = &channel_secrets,
		.namespace = channel->namespace,
		.name = exists ? channel->name : NULL,
		.patch = KUBE_MERGE_PATCH,
		.body = body,
		.timeout_ms = CHANNEL_REQUEST_MS,
		.on_done = on_written,
		.ctx = channel,
	};

	channel->sent_ms = mono_ms();
	channel->call = kube_start(channel->controller->options.kube, &req);
}

void channel_write(struct channel *channel)
{
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = mono_ms()};
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	struct err err;

	ledger = snapshot_open(&channel->snapshot, &err);
	edit_waiting(channel, ledger);
	if (!ledger || !ledger_changed(ledger)) {
		end_edits(channel, &written, NULL);
		return;
	}
	if (!channel->snapshot.exists)
		ledger_set_created(ledger);
	send_write(channel, ledger);
}
