/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The way to one Secret: every read and write of it goes through here, one at a time.
 *
 * Readers wait for a GET that was sent after they asked; one GET serves all who wait. Editors are
 * merged: one write carries the stores and claims of all objects that want one, made by
 * plan_edit() on the newest reading and sent with its resourceVersion. A conflict reads and merges
 * again; any other refusal of a merged write is tried again piecewise, stores first, so that one
 * object's trouble is not another's.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

#define LINGER_MS 3 /* what comes together is written together */
/* A reading is kept so long after its last use. That there is no Secret costs little to keep, and
 * spares an object that waits for a slot another look. */
#define KEEP_MS	      2000
#define KEEP_NONE_MS  60000
#define REQUEST_MS    15000
#define RESYNC_JITTER 20 /* per cent */

struct channel {
	struct controller *controller;
	char *key; /* "namespace/name" */
	char *namespace;
	char *name;
	struct record *records;
	struct snapshot snapshot;
	char seen_rv[40]; /* at the last reading, kept when the snapshot is dropped; "" = absent */
	bool seen;
	struct kube_call *reading;
	struct kube_call *writing;
	int64_t sent_ms; /* of the request under way */
	bool piecewise;	 /* one object a write, until the queue is empty */
	struct event *linger;
	struct event *keep;
	struct event *resync;
	UT_hash_handle hh;
};

static const struct kube_resource secrets = {"", "v1", "secrets"};

static void work(struct channel *channel);

static void timer_in(struct event *timer, int64_t ms)
{
	const struct timeval in = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)evtimer_add(timer, &in);
}

/* ---- life ---- */

static void on_linger(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	work(ctx);
}

/* One with a memory in use has registrations under way: it will need the reading to store them. */
static bool is_wanted(const struct channel *channel)
{
	const struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (record->wants_read || record->wants_edit || record->in_batch || record->memory)
			return true;
	}
	return false;
}

static void on_keep(evutil_socket_t fd, short what, void *ctx)
{
	struct channel *channel = ctx;

	(void)fd;
	(void)what;
	if (is_wanted(channel))
		timer_in(channel->keep, KEEP_MS);
	else
		snapshot_drop(&channel->snapshot);
}

static void read_secret(struct channel *channel);

static void schedule_resync(struct channel *channel)
{
	timer_in(channel->resync,
		 rnd_jitter_ms(channel->controller->options.secret_resync_ms, RESYNC_JITTER));
}

static void on_resync(evutil_socket_t fd, short what, void *ctx)
{
	struct channel *channel = ctx;

	(void)fd;
	(void)what;
	schedule_resync(channel);
	if (!channel->reading && !channel->writing &&
	    channel->controller->options.is_leader(channel->controller->options.ctx))
		read_secret(channel);
}

struct channel *channel_get(struct controller *controller, const char *namespace, const char *name)
{
	struct channel *channel;
	CLEANUP(mem_freep) char *key = mem_printf("%s/%s", namespace, name);

	HASH_FIND_STR(controller->channels, key, channel);
	if (channel)
		return channel;
	channel = mem_zalloc(sizeof(*channel));
	channel->controller = controller;
	channel->key = TAKE(key);
	channel->namespace = mem_strdup(namespace);
	channel->name = mem_strdup(name);
	channel->linger = evtimer_new(controller->options.base, on_linger, channel);
	channel->keep = evtimer_new(controller->options.base, on_keep, channel);
	channel->resync = evtimer_new(controller->options.base, on_resync, channel);
	schedule_resync(channel);
	HASH_ADD_KEYPTR(hh, controller->channels, channel->key, strlen(channel->key), channel);
	return channel;
}

void channel_add(struct channel *channel, struct record *record)
{
	DL_APPEND2(channel->records, record, channel_prev, channel_next);
}

void channel_remove(struct channel *channel, struct record *record)
{
	DL_DELETE2(channel->records, record, channel_prev, channel_next);
	free(record->edit);
	if (channel->records)
		return;
	kube_cancel(channel->reading);
	kube_cancel(channel->writing);
	event_free(channel->linger);
	event_free(channel->keep);
	event_free(channel->resync);
	HASH_DEL(channel->controller->channels, channel);
	snapshot_drop(&channel->snapshot);
	free(channel->key);
	free(channel->namespace);
	free(channel->name);
	free(channel);
}

void channel_rest(struct channel *channel)
{
	bool alone = channel->records && !channel->records->channel_next;

	if (alone && channel->snapshot.exists && !is_wanted(channel))
		snapshot_drop(&channel->snapshot);
}

static bool has_asked_owner(const struct record *record)
{
	struct plan_owner owner;

	if (record->memory)
		return *record->memory->owner.uid;
	if (!record->head)
		return false;
	memcpy(&owner, (const char *)record->head + offsetof(struct plan_memory, owner),
	       sizeof(owner));
	return *owner.uid;
}

void channel_wake_losers(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		/* Who asked for an owner is in a conflict, or was. */
		if (!has_asked_owner(record))
			continue;
		plan_fold_owner_stale(record_memory(record));
		record_rest(record);
		record_touch(record, WORKQ_HIGH);
	}
}

/* ---- what a pass sees ---- */

void channel_view(struct channel *channel, const struct record *record,
		  struct plan_secret *ret_secret)
{
	struct snapshot *snapshot = &channel->snapshot;
	struct err err;

	*ret_secret = (struct plan_secret){.key = record->secret_key};
	if (!snapshot->known)
		return;
	timer_in(channel->keep, snapshot->exists ? KEEP_MS : KEEP_NONE_MS);
	ret_secret->state = snapshot->exists ? PLAN_SECRET_PRESENT : PLAN_SECRET_ABSENT;
	ret_secret->fresh = snapshot->as_of_ms >= record->due_ms;
	ret_secret->opaque = snapshot->opaque;
	ret_secret->immutable = snapshot->immutable;
	ret_secret->adopt = snapshot->adopt;
	if (snapshot->ledger && ledger_use(snapshot->ledger, record->secret_key, &err)) {
		free(snapshot->unparsable);
		snapshot->unparsable = mem_strdup(err.msg);
		ret_secret->unparsable = snapshot->unparsable;
		return;
	}
	ret_secret->ledger = snapshot->ledger;
	ret_secret->unparsable = snapshot->ledger ? NULL : snapshot->unparsable;
}

/* ---- reading ---- */

static void changed_outside(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	record_touch(record, WORKQ_LOW);
}

static void note_reading(struct channel *channel)
{
	bool same = strcmp(channel->seen_rv, channel->snapshot.rv) == 0;

	if (channel->seen && !same)
		changed_outside(channel);
	channel->seen = true;
	(void)snprintf(channel->seen_rv, sizeof(channel->seen_rv), "%s", channel->snapshot.rv);
	timer_in(channel->keep, KEEP_MS);
}

static void end_read(struct record *record, const struct err *err)
{
	struct plan_view view;

	record->wants_read = false;
	if (err)
		record->wants_edit = false;
	record_view(record, &view);
	if (err)
		plan_fold_read_failed(record_memory(record), &view,
				      err->kind == ERR_DENIED ? API_REASON_SECRET_DENIED
							      : API_REASON_SECRET_UNAVAILABLE);
	else
		plan_fold_read(record_memory(record), &view);
	record_done(record);
}

/* A failure ends those who want to write as well: they need a reading, too. */
static void end_reads(struct channel *channel, const struct err *err)
{
	struct record *record;
	struct record *next;

	DL_FOREACH_SAFE2(channel->records, record, next, channel_next)
	if (record->wants_read && (err || record->due_ms <= channel->sent_ms))
		end_read(record, err);
}

static void on_read(void *ctx, json_t *object, const struct err *err)
{
	struct channel *channel = ctx;

	channel->reading = NULL;
	if (err && err->kind != ERR_NOT_FOUND) {
		log_warn("reading a Secret failed", "namespace", channel->namespace, "name",
			 channel->name, "err", err->msg, NULL);
		end_reads(channel, err);
		return;
	}
	if (err)
		snapshot_set_absent(&channel->snapshot, channel->sent_ms);
	else
		snapshot_set(&channel->snapshot, object, channel->sent_ms);
	note_reading(channel);
	end_reads(channel, NULL);
	work(channel);
}

static void read_secret(struct channel *channel)
{
	const struct kube_request req = {
		.verb = "get",
		.resource = &secrets,
		.namespace = channel->namespace,
		.name = channel->name,
		.timeout_ms = REQUEST_MS,
		.on_done = on_read,
		.ctx = channel,
	};

	channel->sent_ms = mono_ms();
	channel->reading = kube_start(channel->controller->options.kube, &req);
}

void channel_read(struct channel *channel, struct record *record)
{
	record->wants_read = true;
	timer_in(channel->linger, 0);
}

/* ---- writing ---- */

/* One whose edit belongs to the write under way has ended. */
static void end_edit(struct record *record, const struct plan_written *written)
{
	struct plan_edit *edit = record->edit;
	struct plan_view view;

	record->wants_edit = false;
	record->in_batch = false;
	record_view(record, &view);
	if (edit)
		plan_fold_written(record_memory(record), &view, edit, written);
	if (edit && written->outcome == PLAN_WRITTEN && edit->uncertain)
		act_count_orphans(record, edit->uncertain);
	free(edit);
	record->edit = NULL;
	host_settle(record);
	record_done(record);
}

static bool has_account_in_hand(const struct record *record)
{
	size_t i;

	for (i = 0; record->memory && i < PLAN_WORKS; i++)
		if (record->memory->works[i].state == PLAN_WORK_IN_HAND)
			return true;
	return false;
}

/* Piecewise: the one to go now, stores first; else NULL = all. */
static struct record *choose_one(struct channel *channel)
{
	struct record *record;
	struct record *any = NULL;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (!record->wants_edit)
			continue;
		if (has_account_in_hand(record))
			return record;
		any = record;
	}
	return any;
}

/* Makes one object's edit on the ledger, and puts it into the batch. */
static void edit_for(struct channel *channel, struct record *record, struct ledger *ledger)
{
	struct plan_view view;
	struct err err;

	record->in_batch = true;
	record->wants_edit = false;
	record->edit = mem_zalloc(sizeof(*record->edit));
	record_view(record, &view);
	/* A document that cannot be read is told by the next pass. */
	if (ledger_use(ledger, record->secret_key, &err))
		return;
	if (channel->piecewise && has_account_in_hand(record))
		view.leading = false; /* its stores alone */
	plan_edit(&view, record_memory(record), ledger, record->edit);
}

static void edit_all(struct channel *channel, struct ledger *ledger)
{
	struct record *one = channel->piecewise ? choose_one(channel) : NULL;
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	if (record->wants_edit && (!channel->piecewise || record == one))
		edit_for(channel, record, ledger);
}

static size_t count_batch(const struct channel *channel)
{
	const struct record *record;
	size_t count = 0;

	DL_FOREACH2(channel->records, record, channel_next)
	count += record->in_batch;
	return count;
}

static void end_batch(struct channel *channel, const struct plan_written *written)
{
	struct record *record;
	struct record *next;

	DL_FOREACH_SAFE2(channel->records, record, next, channel_next)
	if (record->in_batch)
		end_edit(record, written);
}

/* The batch is to be made anew: nothing of it was written. */
static void requeue_batch(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (!record->in_batch)
			continue;
		record->in_batch = false;
		record->wants_edit = true;
		free(record->edit);
		record->edit = NULL;
	}
}

static enum api_reason refusal_reason(const struct channel *channel, const json_t *status,
				      const struct err *err)
{
	if (kube_is_namespace_terminating(status))
		return API_REASON_NAMESPACE_TERMINATING;
	if (err->kind == ERR_INVALID && channel->snapshot.immutable)
		return API_REASON_SECRET_IMMUTABLE;
	return err->kind == ERR_INVALID ? API_REASON_SECRET_TOO_LARGE : API_REASON_SECRET_DENIED;
}

static void write_failed(struct channel *channel, const json_t *status, const struct err *err)
{
	struct plan_written written = {.sent_ms = channel->sent_ms};
	bool refused = err->kind == ERR_DENIED || err->kind == ERR_INVALID;

	if (err->kind == ERR_CONFLICT || (err->kind == ERR_NOT_FOUND && channel->snapshot.exists)) {
		requeue_batch(channel);
		snapshot_drop(&channel->snapshot);
		return;
	}
	log_warn("writing a Secret failed", "namespace", channel->namespace, "name", channel->name,
		 "err", err->msg, NULL);
	if (refused && count_batch(channel) > 1) {
		channel->piecewise = true;
		requeue_batch(channel);
		return;
	}
	/* The namespace of a create that is not found is on its way out, too. */
	refused |= err->kind == ERR_NOT_FOUND;
	written.outcome = refused ? PLAN_WRITE_REFUSED : PLAN_WRITE_UNKNOWN;
	written.reason =
		refused ? refusal_reason(channel, status, err) : API_REASON_SECRET_UNAVAILABLE;
	if (!refused)
		snapshot_drop(&channel->snapshot);
	end_batch(channel, &written);
}

static void on_written(void *ctx, json_t *object, const struct err *err)
{
	struct channel *channel = ctx;
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = channel->sent_ms};

	channel->writing = NULL;
	if (err) {
		write_failed(channel, object, err);
	} else {
		snapshot_set(&channel->snapshot, object, channel->sent_ms);
		channel->seen = true;
		(void)snprintf(channel->seen_rv, sizeof(channel->seen_rv), "%s",
			       channel->snapshot.rv);
		end_batch(channel, &written);
	}
	work(channel);
}

static void send_write(struct channel *channel, const struct ledger *ledger)
{
	const bool exists = channel->snapshot.exists;
	CLEANUP(jv_freep)
	json_t *body = snapshot_body(&channel->snapshot, channel->namespace, channel->name, ledger);
	const struct kube_request req = {
		.verb = exists ? "patch" : "create",
		.resource = &secrets,
		.namespace = channel->namespace,
		.name = exists ? channel->name : NULL,
		.patch = KUBE_MERGE_PATCH,
		.body = body,
		.timeout_ms = REQUEST_MS,
		.on_done = on_written,
		.ctx = channel,
	};

	channel->sent_ms = mono_ms();
	channel->writing = kube_start(channel->controller->options.kube, &req);
}

/* Our own document cannot be read: the next pass of each will tell. */
static void batch_all(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	{
		record->in_batch |= record->wants_edit;
		record->wants_edit = false;
	}
}

static void write_secret(struct channel *channel)
{
	struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = mono_ms()};
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	struct err err;

	ledger = ledger_open(channel->snapshot.values, channel->snapshot.values_len, &err);
	if (ledger)
		edit_all(channel, ledger);
	else
		batch_all(channel);
	if (!ledger || !ledger_changed(ledger)) {
		end_batch(channel, &written);
		return;
	}
	if (channel->snapshot.immutable) {
		written.outcome = PLAN_WRITE_REFUSED;
		written.reason = API_REASON_SECRET_IMMUTABLE;
		end_batch(channel, &written);
		return;
	}
	if (!channel->snapshot.exists)
		ledger_set_created(ledger);
	send_write(channel, ledger);
}

void channel_edit(struct channel *channel, struct record *record)
{
	record->wants_edit = true;
	/* For the only object of a Secret there is nothing to wait for. */
	timer_in(channel->linger, channel->records->channel_next ? LINGER_MS : 0);
}

/* ---- one thing at a time ---- */

static bool wants(const struct channel *channel, bool *ret_edit)
{
	const struct record *record;
	bool read = false;

	*ret_edit = false;
	DL_FOREACH2(channel->records, record, channel_next)
	{
		read |= record->wants_read;
		*ret_edit |= record->wants_edit;
	}
	return read || *ret_edit;
}

static void work(struct channel *channel)
{
	bool edit;

	if (channel->reading || channel->writing)
		return;
	if (!wants(channel, &edit)) {
		channel->piecewise = false;
		return;
	}
	if (edit && channel->snapshot.known)
		write_secret(channel);
	else
		read_secret(channel);
	/* An edit that changed nothing has ended already: what is next? */
	if (!channel->reading && !channel->writing)
		timer_in(channel->linger, 0);
}
