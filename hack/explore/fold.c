/* SPDX-License-Identifier: Apache-2.0 */

/* The shipping plan(), plan_edit() and folds. They are pure: what they have answered once is
 * remembered by all that they saw. */

#include <stdio.h>
#include <string.h>

#include "explore.h"
#include "jv/jv.h"

/* Later than anything that still compares with the clock (PLAN_OWNER_MS is a minute). */
#define LONG_AGO_MS INT64_C(600000)

/* Two to the power of that in seconds: more than the longest pause. */
#define REFERENCE_TIMES 6

enum question { ASK_PLAN = 1, ASK_EDIT, ASK_FOLD };

/* All of a view, as numbers. */
struct sight {
	uint32_t memory, object, known, secret, fresh, leading, host_ok, slots, references;
	uint32_t process, incarnation, nonces, clock_s;
	uint32_t shown[DOMAINS];
};

#define SIGHT_LEN (sizeof(struct sight) / sizeof(uint32_t))

const struct api_registration *seat_object(const struct run *run, size_t p, size_t s)
{
	const struct process *process = &run->w.processes[p];
	const struct seat *seat = &process->seats[s];
	const struct object_thing *thing;

	if (!process->cache[seat->name].id)
		return NULL;
	thing = store_get_object(run->store, process->cache[seat->name].id);
	return thing->uid == seat->uid ? thing->object : NULL;
}

/* host.c: what was given to this one, and what nobody has while nobody waits. */
static uint32_t slots_of(const struct run *run, size_t p, size_t s)
{
	const struct process *process = &run->w.processes[p];
	uint32_t taken = 0;
	uint32_t free_slots = 0;
	bool waits = false;
	size_t i;

	for (i = 0; i < SEATS; i++) {
		taken += process->seats[i].slots;
		waits |= process->seats[i].waits_slot;
	}
	if (!waits && taken < run->scenario->slots)
		free_slots = run->scenario->slots - taken;
	return process->seats[s].slots - seat_held(run, &process->seats[s]) + free_slots;
}

static struct sight look(const struct run *run, size_t p, size_t s)
{
	const struct process *process = &run->w.processes[p];
	const struct seat *seat = &process->seats[s];
	const struct api_registration *object = seat_object(run, p, s);

	struct sight sight = {
		.memory = seat->memory,
		.object = object ? process->cache[seat->name].id : 0,
		.known = process->known,
		.secret = process->known ? process->reading.id : 0,
		.fresh = process->known && process->fresh >> s & 1,
		.leading = process->believes && !process->draining,
		.host_ok = object && process->hosts >> host_number(object->spec.host) & 1,
		.slots = slots_of(run, p, s),
		.references = seat_has_references(seat, object),
		.process = (uint32_t)p,
		.incarnation = process->incarnation,
		.nonces = process->nonces,
		.clock_s = run->w.clock_s,
	};
	memcpy(sight.shown, seat->shown, sizeof(sight.shown));
	return sight;
}

/* channel_view() */
static void show_secret(struct store *store, const struct sight *sight, struct plan_secret *ret)
{
	const struct secret_thing *thing;

	*ret = (struct plan_secret){.key = KEY};
	if (!sight->known)
		return;
	thing = store_get_secret(store, sight->secret);
	ret->state = thing->snapshot.exists ? PLAN_SECRET_PRESENT : PLAN_SECRET_ABSENT;
	ret->fresh = sight->fresh;
	ret->opaque = thing->snapshot.opaque;
	ret->immutable = thing->snapshot.immutable;
	ret->adopt = thing->snapshot.adopt;
	ret->same_server = thing->snapshot.same_server;
	ret->host = thing->snapshot.host;
	ret->ledger = thing->readable ? thing->snapshot.ledger : NULL;
	ret->unparsable = thing->readable ? NULL : "it cannot be read";
}

/* What a view lends. */
struct lent {
	char holder[PLAN_NONCE_LEN];
	struct plan_seen seen[DOMAINS];
};

static void show(struct store *store, const struct sight *sight, struct lent *lent,
		 struct plan_view *ret)
{
	char *holder = lent->holder;
	size_t i;

	(void)snprintf(holder, PLAN_NONCE_LEN, "holder-%u-%u", sight->process, sight->incarnation);
	*ret = (struct plan_view){
		.object = sight->object ? store_get_object(store, sight->object)->object : NULL,
		.holder = holder,
		.leading = sight->leading,
		.host = {.state = sight->host_ok ? PLAN_HOST_OK : PLAN_HOST_UNRESOLVED,
			 .message = "",
			 .slots = sight->slots},
		.references = sight->references ? PLAN_REFERENCES_OK : PLAN_REFERENCES_UNREAD,
		.now_ms = NOW,
		.register_timeout_ms = TIMEOUT_MS,
		.wall_s = WALL_S + sight->clock_s,
		.lost_account_grace_ms = GRACE_MS,
	};
	for (i = 0; i < PLAN_WORKS; i++)
		ret->random[2 * i + 1] = 1 + sight->process * NONCES_EACH + sight->nonces + i;
	show_secret(store, sight, &ret->secret);
	ret->seen = lent->seen;
	ret->seen_len = show_seen(ret->object, sight->shown, lent->seen);
}

/* ---- plan() ---- */

static int32_t in_ms(int64_t wake_ms)
{
	if (wake_ms == INT64_MAX)
		return INT32_MAX;
	return wake_ms > NOW ? (int32_t)(wake_ms - NOW) : 1;
}

static void remember(struct store *store, const struct plan_view *view,
		     const struct plan_action *action, uint32_t result[MEMO_RESULTS])
{
	result[0] = action->what;
	result[1] = (uint32_t)in_ms(action->wake_ms);
	result[2] = action->wants_slot;
	result[3] = (uint32_t)action->work;
	result[4] = action->claims;
	if (action->what == PLAN_PATCH_STATUS) {
		result[5] = store_body(store, api_status_patch(view->object, &action->status, 0));
		result[6] = plan_news(view->object, &action->status);
	} else if (action->what == PLAN_PATCH_FINALIZER) {
		result[5] = store_body(
			store, api_finalizer_patch(view->object, action->finalizer, action->add));
	} else if (action->what == PLAN_EMIT_EVENT) {
		result[6] = action->news;
		result[7] = action->leftover != NULL;
	} else if (action->what == PLAN_PROBE) {
		result[5] = (uint32_t)action->domain;
	} else if (action->what == PLAN_ASK_OWNER) {
		result[5] = number_in(action->owner_uid, 10);
		result[6] = number_in(action->owner_name, 10);
	}
}

static void ask_plan(struct store *store, const struct sight *sight, uint32_t result[MEMO_RESULTS])
{
	struct plan_memory memory;
	struct plan_action action;
	struct plan_view view;
	struct lent lent = {0};

	store_load_memory(store, sight->memory, &memory);
	show(store, sight, &lent, &view);
	plan(&view, &memory, &action);
	remember(store, &view, &action, result);
	plan_action_done(&action);
}

void seat_decide(struct run *run, size_t p, size_t s, struct decision *ret)
{
	struct sight sight = look(run, p, s);
	uint32_t key[1 + SIGHT_LEN] = {ASK_PLAN};
	uint32_t *result;
	bool is_new;

	sight.nonces = 0; /* plan() makes none */
	memcpy(key + 1, &sight, sizeof(sight));
	result = store_memo(run->store, key, ARRAY_LEN(key), &is_new);
	if (is_new)
		ask_plan(run->store, &sight, result);
	*ret = (struct decision){
		.what = (enum plan_what)result[0],
		.wake_ms = (int32_t)result[1],
		.wants_slot = result[2],
		.work = result[3],
		.claims = result[4],
		.body = result[5],
		.domain = result[5],
		.news = result[6],
		.owner_uid = result[5],
		.owner_name = result[6],
		.leftover = result[7],
	};
}

/* ---- plan_edit() ---- */

static void ask_edit(struct store *store, const struct sight *sights, size_t len,
		     uint32_t result[MEMO_RESULTS])
{
	const struct secret_thing *thing = store_get_secret(store, sights->secret);
	const struct snapshot *snapshot = &thing->snapshot;
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	uint32_t made = 0;
	struct err err;
	size_t i;

	ledger = snapshot_open(snapshot, &err);
	for (i = 0; ledger && i < len && !ledger_use(ledger, KEY, &err); i++) {
		struct sight sight = sights[i];
		struct plan_memory memory;
		struct plan_view view;
		struct lent lent = {0};
		struct plan_edit edit;

		sight.nonces += made;
		store_load_memory(store, sight.memory, &memory);
		show(store, &sight, &lent, &view);
		plan_edit(&view, &memory, ledger, &edit);
		result[1 + i] = store_edit(store, &edit);
		made += store_edit_facts(store, result[1 + i])->claims;
	}
	if (!ledger || !ledger_changed(ledger))
		return;
	if (!snapshot->exists)
		ledger_set_created(ledger);
	result[0] = store_body(store, snapshot_body(snapshot, "default", "s", ledger));
}

uint32_t seats_edit(struct run *run, size_t p, const size_t *seats, size_t len,
		    uint32_t ret_edits[SEATS])
{
	struct process *process = &run->w.processes[p];
	uint32_t key[1 + SEATS * SIGHT_LEN] = {ASK_EDIT};
	struct sight sights[SEATS] = {0};
	uint32_t *result;
	bool is_new;
	size_t i;

	for (i = 0; i < len; i++) {
		sights[i] = look(run, p, seats[i]);
		/* Its stores alone: channel_write.c */
		if (process->piecewise && seat_has_account(run, &process->seats[seats[i]]))
			sights[i].leading = false;
	}
	memcpy(key + 1, sights, len * sizeof(*sights));
	result = store_memo(run->store, key, 1 + len * SIGHT_LEN, &is_new);
	if (is_new)
		ask_edit(run->store, sights, len, result);
	memcpy(ret_edits, result + 1, len * sizeof(*ret_edits));
	for (i = 0; i < len; i++)
		if (ret_edits[i])
			process->nonces += store_edit_facts(run->store, ret_edits[i])->claims;
	run->pruned |= process->nonces > NONCES_EACH - PLAN_WORKS;
	return result[0];
}

/* ---- the answer of a POST, as the shipping code reads it ---- */

bool served_makes(enum served how)
{
	return how <= SERVED_ERROR_MADE || how == SERVED_REPEATED;
}

/* A real server knows of no claim: the password says by which the account was made. */
static char *account_json(uint32_t account, uint32_t host, const char *nonce)
{
	return mem_printf("{\"username\":\"10000000-0000-4000-8000-%012u\",\"password\":\"p%u\","
			  "\"fulldomain\":\"20000000-0000-4000-8000-%012u.%s.test\","
			  "\"subdomain\":\"20000000-0000-4000-8000-%012u\",\"allowfrom\":[]}",
			  account, number_in(nonce, 16), account, host ? "two" : "one", account);
}

static struct http_response answer_of(enum served how, const char *body)
{
	static const struct http_response none = {.body = "", .retry_after_s = -1};
	struct http_response resp = none;

	resp.sent = how != SERVED_UNREACHABLE;
	switch (how) {
	case SERVED_MADE:
	case SERVED_REPEATED:
		resp.status = 201;
		resp.body = body;
		resp.body_len = strlen(body);
		break;
	case SERVED_ERROR_MADE:
	case SERVED_ERROR:
		resp.status = 500;
		break;
	case SERVED_UNAVAILABLE:
		resp.status = 404;
		break;
	case SERVED_LOST:
	case SERVED_UNREACHABLE:
	case SERVED:
		resp.fault = HTTP_FAULT_TIMEOUT;
		break;
	}
	return resp;
}

static void fold_registered(struct plan_memory *memory, const struct plan_view *view,
			    const struct fold_args *args)
{
	CLEANUP(mem_freep)
	char *body = account_json(args->c, args->d, memory->works[args->a].nonce);
	const struct http_response resp = answer_of((enum served)args->b, body);
	struct acmedns_account account = {0};
	const struct acmedns_result result = acmedns_register_result(&resp, &account);

	plan_fold_registered(memory, view, (int)args->a, &result, &account);
}

/* ---- time ---- */

static void pass(int64_t *at_ms, int64_t ms, int64_t least_ms)
{
	if (*at_ms == 0)
		return;
	*at_ms -= ms;
	if (*at_ms < least_ms)
		*at_ms = least_ms;
}

/* A moment that has come is like none. */
static void pass_retry(struct plan_failure *failure, int64_t ms)
{
	pass(&failure->retry_ms, ms, 0);
	if (failure->retry_ms <= NOW)
		failure->retry_ms = 0;
}

/* All times in a memory, moved so that now stays NOW. Whoever adds a time to the struct adds it
 * here: one that is left out would never come. */
static void fold_time(struct plan_memory *memory, int64_t ms)
{
	size_t i;

	_Static_assert(sizeof(*memory) == 34520,
		       "a field was added to plan_memory: if it is a time, let it pass here");
	pass_retry(&memory->read, ms);
	pass_retry(&memory->write, ms);
	pass_retry(&memory->claim, ms);
	pass(&memory->missing_ms, ms, NOW - LONG_AGO_MS);
	pass(&memory->owner.asked_ms, ms, NOW - LONG_AGO_MS);
	pass(&memory->owner.since_ms, ms, NOW - LONG_AGO_MS);
	for (i = 0; i < PLAN_FOREIGN; i++)
		pass(&memory->foreign[i].until_ms, ms, NOW);
	for (i = 0; i < PLAN_WORKS; i++)
		pass(&memory->works[i].claimed_ms, ms, NOW - LONG_AGO_MS);
}

/* ---- the folds ---- */

static void fold_written(struct store *store, struct plan_memory *memory,
			 const struct plan_view *view, const struct fold_args *args)
{
	const struct plan_written written = {
		.outcome = (enum plan_outcome)args->b,
		.reason = (enum api_reason)args->c,
		.sent_ms = NOW + (int32_t)args->d,
	};
	struct plan_edit edit;

	store_load_edit(store, args->a, &edit);
	plan_fold_written(memory, view, &edit, &written);
}

static void fold_conflict(struct store *store, struct plan_memory *memory, uint32_t id)
{
	struct plan_edit edit;

	store_load_edit(store, id, &edit);
	plan_fold_conflict(memory, &edit);
}

static void fold_owner(struct store *store, struct plan_memory *memory,
		       const struct plan_view *view, const struct fold_args *args)
{
	char uid[32];

	(void)snprintf(uid, sizeof(uid), "uid-%u", args->a);
	if (view->object)
		plan_fold_owner(memory, view, uid,
				args->b ? store_get_object(store, args->b)->object : NULL);
}

static void fold_references(struct store *store, struct plan_memory *memory,
			    const struct plan_view *view, const struct fold_args *args)
{
	struct err problem;

	if (args->a)
		(void)err_set(&problem, (enum err_kind)args->b, 0, "%s",
			      (const char *)pool_item(&store->texts, args->c)->bytes);
	plan_fold_references(memory, view, args->a ? &problem : NULL);
	/* It is looked for every minute: from here on no pause is longer than the one before. */
	if (memory->claim.times > REFERENCE_TIMES)
		memory->claim.times = REFERENCE_TIMES;
}

/* As the shipping code reads them. */
static void fold_probed(struct plan_memory *memory, const struct plan_view *view, enum probed how)
{
	static const char bad_txt[] = "{\"error\":\"bad_txt\"}";
	static const struct http_response answers[PROBED] = {
		[PROBED_ALIVE] = {.status = 400,
				  .sent = true,
				  .body = bad_txt,
				  .body_len = sizeof(bad_txt) - 1,
				  .retry_after_s = -1},
		[PROBED_REJECTED] = {.status = 401, .sent = true, .body = "", .retry_after_s = -1},
		[PROBED_NONE] = {.fault = HTTP_FAULT_TIMEOUT, .body = "", .retry_after_s = -1},
	};
	const struct acmedns_probe_result result = acmedns_probe_answer(&answers[how]);

	plan_fold_probed(memory, view, &result);
}

static void fold_probe(struct plan_memory *memory, const struct plan_view *view,
		       const struct fold_args *args)
{
	if (args->fold == FOLD_PROBE_DUE)
		plan_fold_probe_due(memory);
	else if (args->fold == FOLD_PROBING)
		plan_fold_probing(memory, view, args->a);
	else if (args->fold == FOLD_PROBED)
		fold_probed(memory, view, (enum probed)args->a);
	else
		(void)plan_fold_round(memory, view);
}

static void do_fold(struct store *store, struct plan_memory *memory, const struct plan_view *view,
		    const struct fold_args *args)
{
	switch (args->fold) {
	case FOLD_STATUS:
		plan_fold_status(memory, args->a, args->b);
		break;
	case FOLD_READ:
		plan_fold_read(memory, view);
		break;
	case FOLD_READ_FAILED:
		plan_fold_read_failed(memory, view, (enum api_reason)args->a);
		break;
	case FOLD_WRITTEN:
		fold_written(store, memory, view, args);
		break;
	case FOLD_CONFLICT:
		fold_conflict(store, memory, args->a);
		break;
	case FOLD_POSTING:
		plan_fold_posting(memory, (int)args->a);
		break;
	case FOLD_REGISTERED:
		fold_registered(memory, view, args);
		break;
	case FOLD_EXPIRED:
		plan_fold_expired(memory, (int)args->a);
		break;
	case FOLD_OWNER:
		fold_owner(store, memory, view, args);
		break;
	case FOLD_OWNER_STALE:
		plan_fold_owner_stale(memory);
		break;
	case FOLD_SELF:
		(void)plan_fold_self(memory, args->a);
		break;
	case FOLD_REFERENCES:
		fold_references(store, memory, view, args);
		break;
	case FOLD_EVENT:
		plan_fold_event(memory, (enum plan_news)args->a);
		break;
	case FOLD_LEFTOVER:
		plan_fold_leftover(memory);
		break;
	case FOLD_TIME:
		fold_time(memory, args->a);
		break;
	case FOLD_STORE_AT_ONCE:
		memory->read.retry_ms = memory->write.retry_ms = 0;
		break;
	case FOLD_PROBE_DUE:
	case FOLD_PROBING:
	case FOLD_PROBED:
	case FOLD_ROUND:
		fold_probe(memory, view, args);
		break;
	}
}

static uint32_t ask_fold(struct store *store, const struct sight *sight,
			 const struct fold_args *args)
{
	struct plan_memory memory;
	struct plan_view view;
	struct lent lent = {0};

	store_load_memory(store, sight->memory, &memory);
	show(store, sight, &lent, &view);
	do_fold(store, &memory, &view, args);
	return store_memory(store, &memory);
}

static bool discards(const struct run *run, const struct fold_args *args)
{
	return args->fold == FOLD_WRITTEN && args->b == PLAN_WRITTEN &&
	       store_edit_facts(run->store, args->a)->discarded;
}

void seat_fold(struct run *run, size_t p, size_t s, const struct fold_args *args)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	struct sight sight = look(run, p, s);
	uint32_t key[6 + SIGHT_LEN] = {ASK_FOLD, args->fold, args->a, args->b, args->c, args->d};
	uint32_t before = store_memory_facts(run->store, seat->memory)->in_hand;
	uint32_t *result;
	bool is_new;

	sight.nonces = 0; /* no fold makes one */
	memcpy(key + 6, &sight, sizeof(sight));
	result = store_memo(run->store, key, ARRAY_LEN(key), &is_new);
	if (is_new)
		*result = ask_fold(run->store, &sight, args);
	seat->memory = *result;
	check_hand(run, seat, before & ~store_memory_facts(run->store, seat->memory)->in_hand,
		   discards(run, args));
}
