/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The way to one Secret: every read and write of it goes through here, one at a time.
 *
 * Readers wait for an answer to a request that was sent after they asked; one serves all who wait.
 * Editors are merged into one write, see channel_write.c. No list is walked for what concerns a few
 * of the objects: a Secret may be shared by ten thousand.
 */

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/intern.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"

#define LINGER_MS 3 /* what comes together is written together */
/* A reading is kept so long after its last use. That there is no Secret costs little to keep, and
 * spares an object that waits for a slot another look. */
#define KEEP_MS	      2000
#define KEEP_NONE_MS  60000
#define RESYNC_JITTER 20 /* per cent */
#define NEVER	      INT64_MAX

const struct kube_resource channel_secrets = {"", "v1", "secrets"};

/* ---- the alarm ---- */

void channel_work_in(struct channel *channel, int64_t ms)
{
	int64_t at_ms = mono_ms() + ms;

	if (at_ms < channel->pause_ms)
		at_ms = channel->pause_ms;
	if (at_ms < channel->work_ms)
		channel->work_ms = at_ms;
	alarm_at(&channel->alarm, channel->work_ms);
}

static void keep_for(struct channel *channel, int64_t ms)
{
	channel->keep_ms = mono_ms() + ms;
	alarm_at(&channel->alarm, channel->keep_ms);
}

static void schedule_resync(struct channel *channel)
{
	channel->resync_ms =
		mono_ms() +
		rnd_jitter_ms(channel->controller->options.secret_resync_ms, RESYNC_JITTER);
	alarm_at(&channel->alarm, channel->resync_ms);
}

/* A round over the accounts goes by one reading. One with a memory in use has registrations under
 * way: it will need the reading to store them, but reads a large one again: servers that take their
 * time must not keep the memory filled. */
static bool is_wanted(const struct channel *channel)
{
	bool large = snapshot_is_large(&channel->snapshot);
	const struct record *record;

	if (channel->call || channel->stages[RECORD_READING] || channel->stages[RECORD_EDITING])
		return true;
	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (record->call || record->probe || (!large && record->memory))
			return true;
	}
	return false;
}

static void end_keeping(struct channel *channel)
{
	channel->keep_ms = NEVER;
	if (is_wanted(channel))
		keep_for(channel, KEEP_MS);
	else
		snapshot_drop(&channel->snapshot);
}

static void read_secret(struct channel *channel);

static void resync(struct channel *channel)
{
	const struct controller_options *options = &channel->controller->options;

	schedule_resync(channel);
	if (!channel->call && options->is_leader(options->ctx))
		read_secret(channel);
}

/* ---- one thing at a time ---- */

static void work(struct channel *channel)
{
	channel->work_ms = NEVER;
	if (channel->call)
		return;
	if (!channel->stages[RECORD_READING] && !channel->stages[RECORD_EDITING]) {
		channel->piecewise = false;
		return;
	}
	if (channel->stages[RECORD_EDITING] && channel->snapshot.known)
		channel_write(channel);
	else
		read_secret(channel);
	/* An edit that changed nothing has ended already: what is next? */
	if (!channel->call)
		channel_work_in(channel, 0);
}

static int64_t earliest(const struct channel *channel)
{
	int64_t ms = channel->resync_ms;

	if (channel->keep_ms < ms)
		ms = channel->keep_ms;
	return channel->work_ms < ms ? channel->work_ms : ms;
}

static void on_alarm(void *ctx)
{
	struct channel *channel = ctx;
	int64_t now_ms = mono_ms();

	if (channel->work_ms <= now_ms)
		work(channel);
	if (channel->keep_ms <= now_ms)
		end_keeping(channel);
	if (channel->resync_ms <= now_ms)
		resync(channel);
	alarm_at(&channel->alarm, earliest(channel));
}

/* ---- life ---- */

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
	channel->namespace = intern_get(namespace);
	channel->name = channel->key + strlen(namespace) + 1;
	alarm_start(&channel->alarm, controller->options.base, on_alarm, channel);
	channel->work_ms = channel->keep_ms = NEVER;
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
	channel_move(record, RECORD_NOTHING);
	free(record->edit);
	DL_DELETE2(channel->records, record, channel_prev, channel_next);
	if (channel->records)
		return;
	kube_cancel(channel->call);
	alarm_stop(&channel->alarm);
	HASH_DEL(channel->controller->channels, channel);
	snapshot_drop(&channel->snapshot);
	free(channel->key);
	intern_put(channel->namespace);
	free(channel);
}

void channel_move(struct record *record, enum record_stage stage)
{
	struct channel *channel = record->channel;

	if (record->stage != RECORD_NOTHING)
		DL_DELETE2(channel->stages[record->stage], record, stage_prev, stage_next);
	record->stage = stage;
	if (stage != RECORD_NOTHING)
		DL_APPEND2(channel->stages[stage], record, stage_prev, stage_next);
}

void channel_rest(struct channel *channel)
{
	bool alone = channel->records && !channel->records->channel_next;

	if (alone && channel->snapshot.exists && !is_wanted(channel))
		snapshot_drop(&channel->snapshot);
}

/* ---- who lost a domain to another object ---- */

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

void channel_note_loser(struct channel *channel)
{
	channel->has_losers = true;
}

void channel_wake_losers(struct channel *channel)
{
	int64_t now_ms = mono_ms();
	struct record *record;

	channel->changes++;
	if (!channel->has_losers)
		return;
	channel->has_losers = false;
	DL_FOREACH2(channel->records, record, channel_next)
	{
		if (!has_asked_owner(record))
			continue;
		plan_fold_owner_stale(record_memory(record));
		record_rest(record);
		record_touch(record, now_ms, WORKQ_HIGH);
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
	keep_for(channel, snapshot->exists ? KEEP_MS : KEEP_NONE_MS);
	ret_secret->state = snapshot->exists ? PLAN_SECRET_PRESENT : PLAN_SECRET_ABSENT;
	ret_secret->fresh = snapshot->as_of_ms >= record->due_ms;
	ret_secret->opaque = snapshot->opaque;
	ret_secret->immutable = snapshot->immutable;
	ret_secret->adopt = snapshot->adopt;
	ret_secret->same_server = snapshot->same_server;
	ret_secret->host = snapshot->host;
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

void channel_respect(struct plan_failure *failure, const struct err *err)
{
	int64_t until_ms = mono_ms() + (int64_t)err->code * 1000;

	if (err->kind == ERR_THROTTLED && failure->retry_ms < until_ms)
		failure->retry_ms = until_ms;
}

static void end_read(struct record *record, const struct err *err)
{
	struct plan_memory *memory = record_memory(record);
	struct plan_view view;

	channel_move(record, RECORD_NOTHING);
	record_view(record, &view);
	if (err) {
		plan_fold_read_failed(memory, &view,
				      act_is_forbidden(err) ? API_REASON_SECRET_DENIED
							    : API_REASON_SECRET_UNAVAILABLE);
		channel_respect(&memory->read, err);
	} else {
		plan_fold_read(memory, &view);
	}
	record_act_ended(record);
}

void channel_end_reads(struct channel *channel, const struct err *err)
{
	struct record *record;
	struct record *next;

	DL_FOREACH_SAFE2(channel->stages[RECORD_READING], record, next, stage_next)
	{
		if (err || record->due_ms <= channel->sent_ms)
			end_read(record, err);
	}
	while (err && channel->stages[RECORD_EDITING])
		end_read(channel->stages[RECORD_EDITING], err);
}

/* The objects look again; this reading is new enough for that. */
static void wake_all(struct channel *channel)
{
	struct record *record;

	DL_FOREACH2(channel->records, record, channel_next)
	record_touch(record, channel->sent_ms, WORKQ_LOW);
}

static void take_reading(struct channel *channel, const json_t *secret)
{
	char before[sizeof(channel->snapshot.rv)];

	memcpy(before, channel->snapshot.rv, sizeof(before));
	if (secret)
		snapshot_set(&channel->snapshot, secret, channel->sent_ms);
	else
		snapshot_set_absent(&channel->snapshot, channel->sent_ms);
	if (channel->seen && strcmp(before, channel->snapshot.rv) != 0)
		wake_all(channel);
	channel->seen = true;
	keep_for(channel, KEEP_MS);
}

static void on_read(void *ctx, json_t *object, const struct err *err)
{
	struct channel *channel = ctx;

	channel->call = NULL;
	if (err && !act_is_not_found(object, err)) {
		log_warn("reading a Secret failed", "namespace", channel->namespace, "name",
			 channel->name, "err", err->msg, NULL);
		channel_end_reads(channel, err);
		return;
	}
	take_reading(channel, err ? NULL : object);
	channel_end_reads(channel, NULL);
	/* In a turn of its own: a large Secret was work enough for this one. */
	channel_work_in(channel, 0);
}

static void read_secret(struct channel *channel)
{
	const struct kube_request req = {
		.verb = "get",
		.resource = &channel_secrets,
		.namespace = channel->namespace,
		.name = channel->name,
		.timeout_ms = CHANNEL_REQUEST_MS,
		.on_done = on_read,
		.ctx = channel,
	};

	channel->sent_ms = mono_ms();
	channel->call = kube_start(channel->controller->options.kube, &req);
	schedule_resync(channel);
}

void channel_read(struct channel *channel, struct record *record)
{
	channel_move(record, RECORD_READING);
	channel_work_in(channel, 0);
}

void channel_edit(struct channel *channel, struct record *record)
{
	channel_move(record, RECORD_EDITING);
	/* For the only object of a Secret there is nothing to wait for. */
	channel_work_in(channel, channel->records->channel_next ? LINGER_MS : 0);
}
