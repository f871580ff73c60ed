/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's controller.c, record.c and host.c do between plan and fold. A change there
 * that matters for safety is to be made here too. */

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
void seat_release(struct run *run, size_t p, size_t s)
{
	struct process *process = &run->w.processes[p];
	bool any = false;
	size_t i;

	if (seat_object(run, p, s) || facts_of(run, &process->seats[s])->unfinished ||
	    process->seats[s].probe.rest)
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
	uint32_t keep = seat_held(run, seat);

	if (seat->stage == RECORD_EDITING || seat->stage == RECORD_WRITING || seat->slots <= keep)
		return;
	seat->slots = keep;
	offer_slots(run, process);
}

/* host_take_slots() */
void seat_take_slots(struct run *run, struct seat *seat, uint32_t more)
{
	uint32_t want = seat_held(run, seat) + more;

	if (want > seat->slots)
		seat->slots = want;
}

void seat_want_slot(struct run *run, size_t p, size_t s, bool wants)
{
	struct process *process = &run->w.processes[p];

	process->seats[s].waits_slot = wants;
	if (wants)
		offer_slots(run, process);
	else
		seat_settle(run, p, s);
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
		.frozen = process->frozen,
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

static bool asks_the_same(const struct object_thing *a, const struct object_thing *b)
{
	return a->uid == b->uid && a->object->generation == b->object->generation &&
	       strcmp(a->object->probe, b->object->probe) == 0;
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
	if (before && asks_the_same(before, after)) {
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
	seat_act(run, p, s, &decision);
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

/* ---- time ---- */

static void pass_seat_time(struct run *run, size_t p, size_t s, int32_t ms)
{
	struct process *process = &run->w.processes[p];
	struct seat *seat = &process->seats[s];

	fold(run, p, s, FOLD_TIME, (uint32_t)ms);
	seat_pass_reference_time(seat, ms);
	if (seat->probe.rest)
		seat->probe.age_ms += ms;
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
