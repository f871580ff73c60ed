/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's controller.c, act.c, record.c, post.c and host.c do between plan and fold.
 * A change there that matters for safety is to be made here too. */

#include <string.h>

#include "explore.h"

/* Passes of one process without anybody's help; more is a circle. */
#define PASSES_MOST 200
/* A reading of a Secret is kept for so long: channel.c. */
#define KEEP_MS	    2000
#define LONG_AGO_MS (-60000)

static void fold(struct run *run, size_t p, size_t s, enum fold what, uint32_t a)
{
	seat_fold(run, p, s, &(struct fold_args){.fold = what, .a = a});
}

static const struct memory_facts *facts_of(const struct run *run, const struct seat *seat)
{
	return store_memory_facts(run->store, seat->memory);
}

bool seat_is_busy(const struct seat *seat)
{
	return seat->stage != RECORD_NOTHING || seat->request.kind != REQUEST_NONE;
}

bool seat_has_account(const struct run *run, const struct seat *seat)
{
	return facts_of(run, seat)->has_account;
}

/* ---- records ---- */

void seat_touch(struct process *process, size_t s)
{
	process->fresh &= ~(UINT32_C(1) << s);
	process->request.fresh &= ~(UINT32_C(1) << s);
	process->seats[s].queued = 1;
}

static void find_seat(struct run *run, size_t p, size_t name, uint32_t uid, size_t *ret)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	*ret = SEATS;
	for (s = SEATS; s-- > 0;)
		if (!process->seats[s].uid)
			*ret = s;
	for (s = 0; s < SEATS; s++)
		if (process->seats[s].uid == uid)
			*ret = s;
	if (*ret == SEATS)
		run->pruned = true;
	else
		process->seats[*ret].uid = uid;
	if (*ret < SEATS)
		process->seats[*ret].name = (uint32_t)name;
}

static void touch_cached(struct run *run, size_t p, size_t name)
{
	struct process *process = &run->w.processes[p];
	uint32_t id = process->cache[name].id;
	size_t s;

	if (!id)
		return;
	find_seat(run, p, name, store_get_object(run->store, id)->uid, &s);
	if (s < SEATS)
		seat_touch(process, s);
}

/* record_release() */
static void release(struct run *run, size_t p, size_t s)
{
	struct process *process = &run->w.processes[p];
	bool any = false;
	size_t i;

	if (seat_object(run, p, s) || facts_of(run, &process->seats[s])->unfinished)
		return;
	process->seats[s] = (struct seat){0};
	process->fresh &= ~(UINT32_C(1) << s);
	for (i = 0; i < SEATS; i++)
		any |= process->seats[i].uid != 0;
	if (any)
		return;
	/* The channel goes with its last record. */
	process->request = (struct request){0};
	process->reading = (struct version){0};
	process->known = process->fresh = process->seen = process->seen_rv = 0;
	process->piecewise = process->has_losers = 0;
}

/* ---- slots: host.c ---- */

static void offer_slots(struct run *run, struct process *process)
{
	uint32_t taken = 0;
	size_t i;

	for (i = 0; i < SEATS; i++)
		taken += process->seats[i].slots;
	for (i = 0; i < SEATS && taken < run->scenario->slots; i++) {
		struct seat *seat = &process->seats[i];

		if (!seat->waits_slot)
			continue;
		seat->waits_slot = 0;
		seat->slots++;
		seat->queued = 1;
		taken++;
	}
}

void seat_settle(struct run *run, size_t p, size_t s)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];
	uint32_t keep = facts_of(run, seat)->held;

	if (seat->stage == RECORD_EDITING || seat->stage == RECORD_WRITING || seat->slots <= keep)
		return;
	seat->slots = keep;
	offer_slots(run, process);
}

/* ---- starting, leading, ending ---- */

static void leave_posts(struct run *run, size_t p)
{
	size_t i;

	for (i = 0; i < POSTS; i++) {
		struct post *post = &run->w.posts[i];

		if (post->process != p || post->state == POST_NONE)
			continue;
		if (post->state == POST_SERVED)
			*post = (struct post){0};
		else
			*post = (struct post){.state = POST_SENT,
					      .process = PROCESSES,
					      .nonce = post->nonce,
					      .domain = post->domain,
					      .host = post->host,
					      .fresh_connection = post->fresh_connection};
	}
}

void process_start(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	struct process next = {
		.incarnation = process->incarnation + 1,
		.nonces = process->nonces,
		.jumped = process->jumped, /* the clock is the machine's */
	};

	memcpy(next.cache, process->cache, sizeof(next.cache));
	leave_posts(run, p);
	*process = next;
}

void process_lead(struct run *run, size_t p)
{
	size_t i;

	run->w.processes[p].leads = run->w.processes[p].believes = 1;
	for (i = 0; i < NAMES; i++)
		touch_cached(run, p, i);
}

void process_drain(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	process->believes = 0;
	process->draining = 1;
	for (s = 0; s < SEATS; s++) {
		if (!facts_of(run, &process->seats[s])->unfinished)
			continue;
		fold(run, p, s, FOLD_STORE_AT_ONCE, 0);
		process->seats[s].queued = 1;
	}
}

/* ---- the cache ---- */

static void object_gone(struct run *run, size_t p, uint32_t uid)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	for (s = 0; s < SEATS; s++) {
		if (process->seats[s].uid != uid)
			continue;
		channel_wake_owners(run, p);
		seat_touch(process, s);
	}
}

static void object_changed(struct run *run, size_t p, size_t name,
			   const struct object_thing *before)
{
	struct process *process = &run->w.processes[p];
	const struct object_thing *after = store_get_object(run->store, process->cache[name].id);
	size_t s;

	find_seat(run, p, name, after->uid, &s);
	if (s == SEATS)
		return;
	if (before && before->uid == after->uid &&
	    before->object->generation == after->object->generation) {
		process->seats[s].queued = 1;
		return;
	}
	if (before)
		channel_wake_owners(run, p);
	seat_touch(process, s);
}

void process_deliver(struct run *run, size_t p, size_t name, const struct version *version)
{
	struct process *process = &run->w.processes[p];
	uint32_t id = process->cache[name].id;
	const struct object_thing *before = id ? store_get_object(run->store, id) : NULL;
	bool replaced;

	process->cache[name] = *version;
	if (!process->leads)
		return;
	replaced = before &&
		   (!version->id || store_get_object(run->store, version->id)->uid != before->uid);
	if (replaced)
		object_gone(run, p, before->uid);
	if (version->id)
		object_changed(run, p, name, before);
}

/* ---- acts ---- */

static void seat_failed(struct run *run, size_t p, size_t s)
{
	run->w.processes[p].seats[s].again = 1;
	seat_settle(run, p, s);
}

static void act_wait(struct run *run, size_t p, size_t s, const struct decision *decision)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];

	if (decision->wants_slot) {
		seat->waits_slot = 1;
		offer_slots(run, process);
	} else {
		seat->waits_slot = 0;
		seat_settle(run, p, s);
	}
	seat->wake_ms = decision->wake_ms == INT32_MAX ? 0 : decision->wake_ms;
	channel_rest_seat(run, p);
	release(run, p, s);
}

static void act_patch(struct run *run, size_t p, size_t s, const struct decision *decision)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];
	const struct api_registration *object = seat_object(run, p, s);
	struct plan_memory memory;

	store_load_memory(run->store, seat->memory, &memory);
	seat->request = (struct request){
		.kind = REQUEST_PATCH,
		.body = decision->body,
		.rv = process->cache[seat->name].rv,
		.name = seat->name,
		.uid = seat->uid,
		.generation = (uint32_t)object->generation,
		.ready_changed = decision->ready_changed,
		.visits = memory.visited_generation != object->generation,
	};
}

static void act_finalizer(struct run *run, size_t p, size_t s, const struct decision *decision)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];

	check_let_go(run, p, s);
	seat->request = (struct request){
		.kind = REQUEST_FINALIZER,
		.body = decision->body,
		.rv = process->cache[seat->name].rv,
		.name = seat->name,
	};
}

static void act_ask(struct seat *seat, enum request_kind kind, uint32_t name, uint32_t uid)
{
	seat->request = (struct request){.kind = kind, .name = name, .uid = uid};
}

/* post.c: the POST's connection is never one that was used before. */
static void act_register(struct run *run, size_t p, size_t s, uint32_t work)
{
	const uint32_t fresh_connection = 1;
	struct plan_memory memory;
	const struct plan_work *at = &memory.works[work];
	size_t i = 0;

	store_load_memory(run->store, run->w.processes[p].seats[s].memory, &memory);
	check_post(run, p, s, at);
	while (i < POSTS && run->w.posts[i].state != POST_NONE)
		i++;
	if (i == POSTS) {
		run->pruned = true;
		return;
	}
	run->w.posts[i] = (struct post){
		.state = POST_SENT,
		.process = (uint32_t)p,
		.seat = (uint32_t)s,
		.work = work,
		.nonce = number_in(at->nonce, 16) - 1,
		.domain = domain_number(at->domain),
		.host = host_number(at->host),
		.fresh_connection = fresh_connection,
	};
	run->w.posted |= UINT32_C(1) << run->w.posts[i].nonce;
	fold(run, p, s, FOLD_POSTING, work);
}

static void resolve(struct run *run, size_t p, size_t s)
{
	const struct api_registration *object = seat_object(run, p, s);

	run->w.processes[p].hosts |= UINT32_C(1) << host_number(object->spec.host);
}

static void act(struct run *run, size_t p, size_t s, const struct decision *decision)
{
	struct seat *seat = &run->w.processes[p].seats[s];

	switch (decision->what) {
	case PLAN_WAIT:
		act_wait(run, p, s, decision);
		return;
	case PLAN_PATCH_STATUS:
		act_patch(run, p, s, decision);
		return;
	case PLAN_READ_SECRET:
		seat->stage = RECORD_READING;
		return;
	case PLAN_EDIT_SECRET:
		channel_edit_seat(run, p, s, decision->claims);
		return;
	case PLAN_ASK_OWNER:
		act_ask(seat, REQUEST_OWNER, decision->owner_name, decision->owner_uid);
		return;
	case PLAN_ASK_SELF:
		act_ask(seat, REQUEST_SELF, seat->name, seat->uid);
		return;
	case PLAN_RESOLVE_HOST:
		resolve(run, p, s);
		break;
	case PLAN_REGISTER:
		act_register(run, p, s, decision->work);
		break;
	case PLAN_EXPIRE:
		fold(run, p, s, FOLD_EXPIRED, decision->work);
		seat_settle(run, p, s);
		break;
	case PLAN_EMIT_EVENT:
		fold(run, p, s, decision->leftover ? FOLD_LEFTOVER : FOLD_EVENT, 0);
		break;
	case PLAN_PATCH_FINALIZER:
		act_finalizer(run, p, s, decision);
		return;
	case PLAN_READ_REFERENCES:
		broken(run, "no spec here has references");
	}
	seat->queued = 1;
}

/* ---- a pass ---- */

static void pass(struct run *run, size_t p, size_t s)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];
	uint32_t uid = seat->uid;
	struct decision decision;

	seat->queued = seat->again = 0;
	if (seat_object(run, p, s) && process->cache[seat->name].rv < seat->own_rv &&
	    !seat_has_account(run, seat))
		return; /* is_behind(): the cache has not brought our own last write */
	seat_decide(run, p, s, &decision);
	if (decision.what != PLAN_WAIT)
		tell(run, "  process %zu, object-%u (uid-%u): %s", p, seat->name, uid,
		     plan_what_name(decision.what));
	act(run, p, s, &decision);
}

static bool run_seats(struct run *run, size_t p)
{
	bool ran = false;
	size_t s;

	for (s = 0; s < SEATS; s++) {
		const struct seat *seat = &run->w.processes[p].seats[s];

		if (!seat->uid || !seat->queued || seat_is_busy(seat))
			continue;
		pass(run, p, s);
		ran = true;
	}
	return ran;
}

bool process_is_idle(const struct process *process)
{
	size_t s;

	if (process->request.kind != REQUEST_NONE)
		return false;
	for (s = 0; s < SEATS; s++)
		if (seat_is_busy(&process->seats[s]))
			return false;
	return true;
}

/* on_drain_timer(): when nothing is unfinished, it exits, and a new one stands by. */
static void end_draining(struct run *run, size_t p)
{
	struct process *process = &run->w.processes[p];
	uint32_t unfinished = 0;
	size_t s;

	for (s = 0; s < SEATS; s++)
		unfinished += facts_of(run, &process->seats[s])->unfinished;
	if (process->draining && unfinished == 0 && process_is_idle(process)) {
		tell(run, "  process %zu has nothing unfinished, ends, and starts anew", p);
		process_start(run, p);
	}
}

void process_run(struct run *run, size_t p)
{
	int passes = 0;
	bool ran;

	do {
		ran = run_seats(run, p);
		channel_run(run, p);
		ran |= run_seats(run, p);
		if (passes++ > PASSES_MOST)
			broken(run, "process %zu turns in circles", p);
	} while (ran && !*run->broken && !run->pruned);
	end_draining(run, p);
}

/* ---- answers ---- */

static void answer_patch(struct run *run, size_t p, size_t s, const struct request *request)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	const struct fold_args args = {
		.fold = FOLD_STATUS, .a = request->generation, .b = request->ready_changed};

	if (request->answer != ANSWER_OK) {
		seat_failed(run, p, s);
		return;
	}
	seat->own_rv = request->got.rv;
	seat->proven = request->generation;
	if (!request->visits && request->got.rv == request->rv) {
		seat_failed(run, p, s);
		return;
	}
	seat_fold(run, p, s, &args);
	seat->queued = 1;
}

static void answer_finalizer(struct run *run, size_t p, size_t s, const struct request *request)
{
	struct seat *seat = &run->w.processes[p].seats[s];

	if (request->answer != ANSWER_OK) {
		seat_failed(run, p, s);
		return;
	}
	seat->own_rv = request->got.rv;
	seat->queued = 1;
}

static void answer_question(struct run *run, size_t p, size_t s, const struct request *request)
{
	struct process *process = &run->w.processes[p];
	const uint32_t id = request->answer == ANSWER_OK ? request->got.id : 0;

	if (request->answer == ANSWER_NONE) {
		seat_failed(run, p, s);
		return;
	}
	if (request->kind == REQUEST_OWNER) {
		if (!request->old)
			seat_fold(run, p, s,
				  &(struct fold_args){
					  .fold = FOLD_OWNER, .a = request->uid, .b = id});
		process->has_losers = 1;
	} else {
		fold(run, p, s, FOLD_SELF,
		     !id || store_get_object(run->store, id)->uid != request->uid);
	}
	process->seats[s].queued = 1;
}

void process_answer(struct run *run, size_t p, size_t s)
{
	struct process *process = &run->w.processes[p];
	struct request request;

	if (s == CHANNEL) {
		channel_answer(run, p);
		return;
	}
	request = process->seats[s].request;
	process->seats[s].request = (struct request){0};
	if (request.kind == REQUEST_PATCH)
		answer_patch(run, p, s, &request);
	else if (request.kind == REQUEST_FINALIZER)
		answer_finalizer(run, p, s, &request);
	else
		answer_question(run, p, s, &request);
}

void process_end_post(struct run *run, struct post *post)
{
	struct seat *seat = &run->w.processes[post->process].seats[post->seat];
	const struct fold_args args = {
		.fold = FOLD_REGISTERED,
		.a = post->work,
		.b = post->how,
		.c = post->account,
		.d = post->host,
	};

	if (post->how == SERVED_MADE)
		run->w.learned |= UINT32_C(1) << post->nonce;
	seat_fold(run, post->process, post->seat, &args);
	seat_settle(run, post->process, post->seat);
	seat->queued = 1;
	*post = (struct post){0};
}

/* ---- time ---- */

static void pass_seat_time(struct run *run, size_t p, size_t s, int32_t ms)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];

	fold(run, p, s, FOLD_TIME, (uint32_t)ms);
	if (seat->again)
		seat->queued = 1;
	if (!seat->wake_ms)
		return;
	seat->wake_ms -= ms;
	if (seat->wake_ms > 0)
		return;
	seat->wake_ms = 0;
	seat_touch(process, s);
}

void process_pass_time(struct run *run, size_t p, int32_t ms)
{
	struct process *process = &run->w.processes[p];
	size_t s;

	for (s = 0; s < SEATS; s++)
		if (process->seats[s].uid)
			pass_seat_time(run, p, s, ms);
	if (process->request.kind == REQUEST_WRITE) {
		process->request.sent_ms -= ms;
		if (process->request.sent_ms < LONG_AGO_MS)
			process->request.sent_ms = LONG_AGO_MS;
	}
	if (ms >= KEEP_MS)
		channel_forget(run, p);
}
