/* SPDX-License-Identifier: Apache-2.0 */

/* What pkg/controller's act.c, patch.c and post.c do, but for the news of lost replies: what a pass
 * has decided is begun, and its end is folded. A change there that matters for safety is to be made
 * here too. */

#include <assert.h>

#include "explore.h"

static void fold(struct run *run, size_t p, size_t s, enum fold what, uint32_t a)
{
	seat_fold(run, p, s, &(struct fold_args){.fold = what, .a = a});
}

/* ---- acts ---- */

void seat_failed(struct run *run, size_t p, size_t s)
{
	run->w.processes[p].seats[s].again = 1;
	seat_settle(run, p, s);
}

static void act_wait(struct run *run, size_t p, size_t s, const struct decision *decision)
{
	seat_want_slot(run, p, s, decision->wants_slot);
	run->w.processes[p].seats[s].wake_ms =
		decision->wake_ms == INT32_MAX ? 0 : decision->wake_ms;
	channel_rest_seat(run, p);
	if (!run->w.processes[p].seats[s].memory && !run->w.processes[p].seats[s].probe.rest)
		run->w.processes[p].seats[s].references = (struct references){0};
	seat_release(run, p, s);
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
		.news = decision->news,
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

void seat_act(struct run *run, size_t p, size_t s, const struct decision *decision)
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
		fold(run, p, s, decision->leftover ? FOLD_LEFTOVER : FOLD_EVENT, decision->news);
		break;
	case PLAN_PATCH_FINALIZER:
		act_finalizer(run, p, s, decision);
		return;
	case PLAN_READ_REFERENCES:
		seat_read_references(run, p, s);
		return;
	case PLAN_PROBE:
		seat_probe(run, p, s, decision->domain);
		return;
	case PLAN_END_ROUND:
		seat_end_round(run, p, s);
		return;
	case PLAN_READ_ENDPOINT:
	case PLAN_WRITE_ENDPOINT:
	case PLAN_DELETE_ENDPOINT:
		assert(false); /* no object here has a dnsEndpoint */
		break;
	}
	seat->queued = 1;
}

/* ---- answers ---- */

static void answer_patch(struct run *run, size_t p, size_t s, const struct request *request)
{
	struct seat *seat = &run->w.processes[p].seats[s];
	const struct fold_args args = {
		.fold = FOLD_STATUS, .a = request->generation, .b = request->news};

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
	else if (request.kind == REQUEST_REFERENCE)
		seat_answer_reference(run, p, s, &request);
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
