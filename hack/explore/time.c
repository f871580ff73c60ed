/* SPDX-License-Identifier: Apache-2.0 */

/* Time passes: what is due then, and what has taken too long. */

#include "explore.h"

#define REQUEST_MS 15000
#define BACKOFF_MS 1000

/* One that was not served yet may still be. */
static void time_post_out(struct run *run, struct post *post)
{
	struct post still = *post;

	tell(run, "  the POST for %s times out", domain_names[post->domain]);
	post->how = SERVED_LOST;
	process_end_post(run, post);
	if (still.state == POST_SENT)
		*post = (struct post){.state = POST_SENT,
				      .process = PROCESSES,
				      .nonce = still.nonce,
				      .domain = still.domain,
				      .host = still.host,
				      .fresh_connection = still.fresh_connection};
}

static void sooner(int32_t *ms, int32_t other)
{
	if (other < *ms)
		*ms = other;
}

static void seat_sooner(int32_t *ms, const struct seat *seat)
{
	if (seat->again)
		sooner(ms, BACKOFF_MS);
	if (seat->wake_ms)
		sooner(ms, seat->wake_ms);
	if (seat->probe.rest)
		sooner(ms, TIMEOUT_MS - seat->probe.age_ms);
}

int32_t steps_next_ms(const struct run *run)
{
	const struct world *w = &run->w;
	int32_t ms = INT32_MAX;
	size_t p;
	size_t s;

	for (p = 0; p < PROCESSES; p++)
		for (s = 0; s < SEATS; s++)
			seat_sooner(&ms, &w->processes[p].seats[s]);
	for (p = 0; p < POSTS; p++)
		if (w->posts[p].state != POST_NONE && w->posts[p].process < PROCESSES)
			sooner(&ms, TIMEOUT_MS - w->posts[p].age_ms);
	return ms > 0 ? ms : 1;
}

static void time_requests_out(struct run *run, size_t p)
{
	size_t s;

	for (s = 0; s <= SEATS; s++) {
		struct request *request = steps_request(&run->w, p, s);
		if (request->kind == REQUEST_NONE)
			continue;
		tell(run, "  process %zu: its %s times out", p, steps_request_name(request));
		if (steps_writes(request) && request->answer == ANSWER_NOT_YET &&
		    run->w.late.kind == REQUEST_NONE)
			steps_give_up(&run->w, request, p);
		request->answer = ANSWER_NONE;
		process_answer(run, p, s);
	}
}

static void time_probes_out(struct run *run, size_t p)
{
	size_t s;

	for (s = 0; s < SEATS; s++) {
		const struct probe_call *call = &run->w.processes[p].seats[s].probe;

		if (call->rest && call->age_ms >= TIMEOUT_MS)
			seat_end_probe(run, p, s, PROBED_NONE);
	}
}

void steps_notice(struct run *run, size_t p)
{
	tell(run, "process %zu notices that it does not lead any more", p);
	process_drain(run, p);
}

static void grow_older(struct run *run, size_t p, int32_t ms)
{
	size_t i;

	process_pass_time(run, p, ms);
	for (i = 0; i < POSTS; i++)
		if (run->w.posts[i].state != POST_NONE && run->w.posts[i].process == p)
			run->w.posts[i].age_ms += ms;
}

/* The lease and what drains end in a long time, too. */
static void time_out(struct run *run, size_t p, int32_t ms)
{
	struct process *process = &run->w.processes[p];
	size_t i;

	for (i = 0; i < POSTS; i++) {
		struct post *post = &run->w.posts[i];

		if (post->state != POST_NONE && post->process == p && post->age_ms >= TIMEOUT_MS)
			time_post_out(run, post);
	}
	time_probes_out(run, p);
	if (ms >= REQUEST_MS)
		time_requests_out(run, p);
	if (ms < LONG_MS)
		return;
	if (process->draining)
		process_start(run, p);
	else if (process->believes && run->w.lease != p)
		steps_notice(run, p);
}

void steps_pass_process_time(struct run *run, size_t p, int32_t ms)
{
	grow_older(run, p, ms);
	time_out(run, p, ms);
}

static void pass_world_time(struct run *run, int32_t ms)
{
	struct world *w = &run->w;
	size_t i;

	for (i = 0; i < NONCES; i++) {
		int64_t age_ms = (int64_t)w->claim_ms[i] + ms;

		if (w->claimed >> i & 1)
			w->claim_ms[i] = (int32_t)(age_ms < CLAIM_MS ? age_ms : CLAIM_MS);
	}
	for (i = 0; i < DOMAINS; i++) {
		int64_t age_ms = (int64_t)w->lost_ms[i] + ms;

		if (!world_facts(run, (uint32_t)i)->entry)
			w->lost_ms[i] = (int32_t)(age_ms < GRACE_MS ? age_ms : GRACE_MS);
	}
}

void steps_pass_time(struct run *run, int32_t ms, const struct absence *absence)
{
	size_t p;

	pass_world_time(run, ms);
	for (p = 0; p < PROCESSES; p++) {
		bool absent = absence && absence->process == p;

		if (!absent || absence->what == ABSENCE_NONE)
			steps_pass_process_time(run, p, ms);
		else if (absence->what == ABSENCE_STOPPED)
			grow_older(run, p, ms);
	}
}
