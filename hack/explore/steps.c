/* SPDX-License-Identifier: Apache-2.0 */

/* All that can happen next, and its happening. */

#include <stdio.h>
#include <string.h>

#include "explore.h"

#define JUMP_MS 60000

/* What becomes of a request. */
enum fate {
	FATE_GOOD,
	FATE_FAILS, /* 5xx, or never arrives: not executed */
	FATE_LOST,  /* executed; no answer comes */
	FATE_TWICE, /* executed; the transport sends it again, and that is a conflict */
	FATE_LATE,  /* given up, and executed later if at all */
	FATE_DENIED,
	FATES,
};

size_t steps_processes(const struct run *run)
{
	return run->scenario->two ? 2 : 1;
}

bool steps_writes(const struct request *request)
{
	return request->kind == REQUEST_WRITE || request->kind == REQUEST_PATCH ||
	       request->kind == REQUEST_FINALIZER;
}

/* ---- what can happen ---- */

struct list {
	const struct run *run;
	struct step *steps;
	size_t len;
};

static void add(struct list *list, enum step_kind kind, size_t p, size_t a, size_t b)
{
	if (list->len < STEPS_MOST)
		list->steps[list->len++] = (struct step){
			.kind = (uint8_t)kind, .p = (uint8_t)p, .a = (uint8_t)a, .b = (uint8_t)b};
}

static bool has(const struct list *list, enum budget budget)
{
	const uint32_t *left = list->run->w.left;

	return left[budget] > 0 && (budget == BUDGET_TIME || left[BUDGET_ALL] > 0);
}

static const struct request *request_of(const struct world *w, size_t p, size_t s)
{
	return s == CHANNEL ? &w->processes[p].request : &w->processes[p].seats[s].request;
}

static bool may_meet(const struct list *list, const struct request *request, enum fate fate)
{
	bool writes = steps_writes(request);

	switch (fate) {
	case FATE_LOST:
	case FATE_TWICE:
		return writes;
	case FATE_LATE:
		return writes && list->run->w.late.kind == REQUEST_NONE;
	case FATE_DENIED:
		return (request->kind == REQUEST_WRITE || request->kind == REQUEST_REFERENCE) &&
		       list->run->scenario->denies;
	case FATE_GOOD:
	case FATE_FAILS:
	case FATES:
		break;
	}
	return true;
}

static void list_request(struct list *list, size_t p, size_t s)
{
	const struct request *request = request_of(&list->run->w, p, s);
	size_t fate;

	if (request->kind == REQUEST_NONE)
		return;
	if (request->answer != ANSWER_NOT_YET) {
		add(list, STEP_ANSWER, p, s, 0);
		return;
	}
	add(list, STEP_SERVE, p, s, FATE_GOOD);
	for (fate = FATE_FAILS; has(list, BUDGET_FAULT) && fate < FATES; fate++)
		if (may_meet(list, request, (enum fate)fate))
			add(list, STEP_SERVE, p, s, fate);
}

static void list_post(struct list *list, size_t i)
{
	const struct post *post = &list->run->w.posts[i];
	size_t how;

	add(list, STEP_POST_SERVE, post->process, i, SERVED_MADE);
	for (how = SERVED_ERROR_MADE; has(list, BUDGET_FAULT) && how < SERVED; how++)
		if (how != SERVED_REPEATED || !post->fresh_connection)
			add(list, STEP_POST_SERVE, post->process, i, how);
}

/* One that was served well, and whose answer is on its way. */
static void list_served(struct list *list, size_t i)
{
	const struct post *post = &list->run->w.posts[i];

	add(list, STEP_POST_END, post->process, i, SERVED_MADE);
	if (has(list, BUDGET_FAULT))
		add(list, STEP_POST_END, post->process, i, SERVED_LOST);
}

static void list_posts(struct list *list)
{
	size_t i;

	for (i = 0; i < POSTS; i++) {
		if (list->run->w.posts[i].state == POST_SENT)
			list_post(list, i);
		else if (list->run->w.posts[i].state == POST_SERVED)
			list_served(list, i);
	}
}

static void list_deliveries(struct list *list, size_t p)
{
	const struct world *w = &list->run->w;
	size_t n;

	for (n = 0; n < NAMES; n++) {
		const struct version *cached = &w->processes[p].cache[n];

		if (has(list, BUDGET_FAULT) && cached->id && w->processes[p].leads)
			add(list, STEP_DELIVER, p, n, 2);
		if (cached->rv == w->live[n].rv && cached->id == w->live[n].id)
			continue;
		add(list, STEP_DELIVER, p, n, 0);
		if (w->older[n].rv > cached->rv)
			add(list, STEP_DELIVER, p, n, 1);
	}
}

static void list_crashes(struct list *list, size_t p)
{
	const struct world *w = &list->run->w;
	size_t n;

	if (!has(list, BUDGET_CRASH))
		return;
	add(list, STEP_CRASH, p, 0, 0);
	for (n = 0; n < NAMES; n++)
		if (w->older[n].rv != w->live[n].rv && w->older[n].id)
			add(list, STEP_CRASH, p, 1 + n, 0);
	if (has(list, BUDGET_FAULT) && w->late.kind == REQUEST_NONE &&
	    w->processes[p].request.kind == REQUEST_WRITE &&
	    w->processes[p].request.answer == ANSWER_NOT_YET)
		add(list, STEP_CRASH, p, 0, 1);
}

static void list_probe(struct list *list, size_t p, size_t s)
{
	size_t how;

	if (!list->run->w.processes[p].seats[s].probe.rest)
		return;
	add(list, STEP_PROBE_END, p, s, PROBED_ALIVE);
	for (how = PROBED_REJECTED; has(list, BUDGET_FAULT) && how < PROBED; how++)
		add(list, STEP_PROBE_END, p, s, how);
}

static void list_lookups(struct list *list, size_t p)
{
	const struct process *process = &list->run->w.processes[p];
	size_t s;

	for (s = 0; s < SEATS && process->leads; s++)
		if (process->seats[s].uid && seat_may_see(list->run, p, s))
			add(list, STEP_LOOK_UP, p, s, 0);
}

static void list_process(struct list *list, size_t p)
{
	const struct world *w = &list->run->w;
	const struct process *process = &w->processes[p];
	size_t s;

	for (s = 0; s <= SEATS; s++)
		list_request(list, p, s);
	for (s = 0; s < SEATS; s++)
		list_probe(list, p, s);
	list_deliveries(list, p);
	if (process->believes && w->lease != p)
		add(list, STEP_NOTICE, p, 0, 0);
	list_crashes(list, p);
	if (has(list, BUDGET_LEASE) && w->lease != p && !process->believes && !process->draining)
		add(list, STEP_TAKE_LEASE, p, 0, 0);
	if (has(list, BUDGET_CLOCK) && process->leads) {
		add(list, STEP_JUMP, p, 0, 0);
		add(list, STEP_FREEZE, p, 0, 0);
		add(list, STEP_PAUSE, p, 0, 0);
	}
	if (has(list, BUDGET_TIME) && process->believes && process->request.kind == REQUEST_NONE &&
	    process->seen)
		add(list, STEP_RESYNC, p, 0, 0);
	list_lookups(list, p);
	if (list->run->scenario->probes && has(list, BUDGET_TIME) && process->believes)
		add(list, STEP_PROBE_DUE, p, 0, 0);
}

size_t steps_list(const struct run *run, struct step steps[STEPS_MOST])
{
	struct list list = {.run = run, .steps = steps};
	size_t i;

	for (i = 0; i < steps_processes(run); i++)
		list_process(&list, i);
	list_posts(&list);
	if (run->w.late.kind != REQUEST_NONE)
		add(&list, STEP_LATE, 0, 0, 0);
	if (has(&list, BUDGET_TIME)) {
		if (steps_next_ms(run) < LONG_MS)
			add(&list, STEP_TIME, 0, 0, 0);
		add(&list, STEP_LONG_TIME, 0, 0, 0);
	}
	for (i = 0; has(&list, BUDGET_USER) && i < ACTS_MOST; i++)
		if (user_can(run, run->scenario->acts[i]))
			add(&list, STEP_USER, 0, (size_t)run->scenario->acts[i], 0);
	return list.len;
}

/* ---- requests ---- */

const char *steps_request_name(const struct request *request)
{
	static const char *const names[] = {
		[REQUEST_NONE] = "",
		[REQUEST_READ] = "GET of the Secret",
		[REQUEST_WRITE] = "write of the Secret",
		[REQUEST_PATCH] = "status patch",
		[REQUEST_OWNER] = "GET of an owner",
		[REQUEST_SELF] = "GET of its object",
		[REQUEST_FINALIZER] = "patch of the finalizers",
		[REQUEST_REFERENCE] = "GET of what the spec refers to",
	};

	return names[request->kind];
}

struct request *steps_request(struct world *w, size_t p, size_t s)
{
	return s == CHANNEL ? &w->processes[p].request : &w->processes[p].seats[s].request;
}

static enum answer execute(struct run *run, const struct request *request, size_t p,
			   struct version *ret_got)
{
	if (steps_writes(request))
		return world_execute(run, request, p, ret_got);
	return world_get(run, request, ret_got);
}

static enum answer answer_of(enum fate fate)
{
	if (fate == FATE_TWICE)
		return ANSWER_CONFLICT;
	return fate == FATE_DENIED ? ANSWER_DENIED : ANSWER_NONE;
}

void steps_give_up(struct world *w, const struct request *request, size_t p)
{
	w->late = *request;
	w->late.by = (uint32_t)p;
}

static void serve(struct run *run, size_t p, size_t s, enum fate fate)
{
	static const char *const stories[FATES] = {
		[FATE_GOOD] = "is executed",
		[FATE_FAILS] = "fails: 5xx",
		[FATE_LOST] = "is executed, and its answer is lost",
		[FATE_TWICE] =
			"is executed, sent again by the transport, and conflicts with itself",
		[FATE_LATE] = "times out, and is still on its way",
		[FATE_DENIED] = "is denied: 403",
	};
	struct request *request = steps_request(&run->w, p, s);
	struct version got = {0};

	tell(run, "process %zu: its %s %s", p, steps_request_name(request), stories[fate]);
	if (fate == FATE_LATE)
		steps_give_up(&run->w, request, p);
	if (fate == FATE_GOOD || fate == FATE_LOST || fate == FATE_TWICE)
		request->answer = execute(run, request, p, &got);
	request->got = got;
	if (fate == FATE_GOOD)
		return;
	request->answer = answer_of(fate);
	process_answer(run, p, s);
}

static void answer(struct run *run, size_t p, size_t s)
{
	static const char *const names[] = {
		[ANSWER_NOT_YET] = "nothing",	[ANSWER_OK] = "200",
		[ANSWER_CONFLICT] = "409",	[ANSWER_ABSENT] = "404",
		[ANSWER_DENIED] = "403 or 422", [ANSWER_NONE] = "no answer",
	};
	const struct request *request = steps_request(&run->w, p, s);

	tell(run, "process %zu: its %s is answered: %s", p, steps_request_name(request),
	     names[request->answer]);
	process_answer(run, p, s);
}

static void arrive_late(struct run *run)
{
	struct request request = run->w.late;
	struct version ignored;

	run->w.late = (struct request){0};
	tell(run, "the %s that was given up arrives", steps_request_name(&request));
	(void)world_execute(run, &request, request.by, &ignored);
}

/* ---- POSTs ---- */

static const char *const served_names[SERVED] = {
	[SERVED_MADE] = "201",
	[SERVED_LOST] = "no answer",
	[SERVED_ERROR_MADE] = "500, though the account is made",
	[SERVED_ERROR] = "500",
	[SERVED_UNAVAILABLE] = "404",
	[SERVED_UNREACHABLE] = "no connection",
	[SERVED_REPEATED] = "a dead connection, and 201 to the same POST on another",
};

static void serve_post(struct run *run, struct post *post, enum served how)
{
	tell(run, "POST of process %u for %s is served: %s", post->process,
	     domain_names[post->domain], served_names[how]);
	if (how == SERVED_REPEATED)
		(void)world_register(run, post);
	if (served_makes(how))
		post->account = world_register(run, post);
	else if (how != SERVED_ERROR)
		run->w.refused |= UINT32_C(1) << post->nonce;
	post->how = (uint32_t)how;
	post->state = POST_SERVED;
	if (post->process == PROCESSES)
		*post = (struct post){0};
	else if (how != SERVED_MADE)
		process_end_post(run, post);
}

static void end_post(struct run *run, struct post *post, enum served how)
{
	tell(run, "process %u: its POST for %s is answered: %s", post->process,
	     domain_names[post->domain], served_names[how]);
	post->how = (uint32_t)how;
	process_end_post(run, post);
}

static void end_probe(struct run *run, size_t p, size_t s, enum probed how)
{
	static const char *const names[PROBED] = {
		[PROBED_ALIVE] = "it lives",
		[PROBED_REJECTED] = "401",
		[PROBED_NONE] = "no answer",
	};
	const struct probe_call *call = &run->w.processes[p].seats[s].probe;

	tell(run, "process %zu: its probe of account %u for %s is answered: %s", p, call->account,
	     domain_names[call->domain], names[how]);
	seat_end_probe(run, p, s, how);
}

/* ---- time ---- */

static void jump(struct run *run, size_t p)
{
	tell(run, "the clock of process %zu jumps by %d s", p, JUMP_MS / 1000);
	run->w.processes[p].jumped = 1;
	steps_pass_process_time(run, p, JUMP_MS);
}

/* ---- processes ---- */

static void crash(struct run *run, const struct step *step)
{
	struct world *w = &run->w;
	struct process *process = &w->processes[step->p];
	size_t n;

	tell(run, "process %u crashes and starts again%s%s", step->p,
	     step->a ? ", its cache an old one" : "",
	     step->b ? "; the write that it had sent is still on its way" : "");
	if (step->b)
		steps_give_up(w, &process->request, step->p);
	process_start(run, step->p);
	for (n = 0; n < NAMES; n++)
		process->cache[n] = step->a == 1 + n ? w->older[n] : w->live[n];
	if (w->lease == step->p)
		process_lead(run, step->p);
}

static void take_lease(struct run *run, size_t p)
{
	tell(run, "process %zu takes the lease over", p);
	run->w.lease = (uint32_t)p;
	process_lead(run, p);
}

static void deliver(struct run *run, const struct step *step)
{
	struct version version = step->b ? run->w.older[step->a] : run->w.live[step->a];

	/* Lists ask for the newest: what a process has seen never goes back. */
	if (step->b == 2)
		version = (struct version){.rv = run->w.processes[step->p].cache[step->a].rv};
	tell(run, "process %u: %s %sobject-%u%s", step->p,
	     step->b == 2 ? "a list that is not true has" : "the watch brings",
	     version.id ? "" : "no ", step->a, step->b == 1 ? " as it was before" : "");
	process_deliver(run, step->p, step->a, &version);
}

static const char *const absences[] = {
	[ABSENCE_NONE] = "",
	[ABSENCE_FROZEN] = ", but not for the process whose machine is paused",
	[ABSENCE_STOPPED] = ", and the process that is stopped meanwhile wakes up",
};

/* ---- a step ---- */

static void spend(struct run *run, const struct step *step)
{
	static const uint8_t costs[] = {
		[STEP_DELIVER] = BUDGETS,	[STEP_SERVE] = BUDGETS,
		[STEP_ANSWER] = BUDGETS,	[STEP_POST_SERVE] = BUDGETS,
		[STEP_POST_END] = BUDGETS,	[STEP_LATE] = BUDGETS,
		[STEP_CRASH] = BUDGET_CRASH,	[STEP_TAKE_LEASE] = BUDGET_LEASE,
		[STEP_NOTICE] = BUDGETS,	[STEP_TIME] = BUDGET_TIME,
		[STEP_LONG_TIME] = BUDGET_TIME, [STEP_JUMP] = BUDGET_CLOCK,
		[STEP_FREEZE] = BUDGET_CLOCK,	[STEP_PAUSE] = BUDGET_CLOCK,
		[STEP_RESYNC] = BUDGET_TIME,	[STEP_USER] = BUDGET_USER,
		[STEP_PROBE_DUE] = BUDGET_TIME, [STEP_PROBE_END] = BUDGETS,
		[STEP_LOOK_UP] = BUDGETS,
	};
	bool faulty = (step->kind == STEP_DELIVER && step->b == 2) ||
		      (step->kind == STEP_SERVE && step->b != FATE_GOOD) ||
		      (step->kind == STEP_POST_SERVE && step->b != SERVED_MADE) ||
		      (step->kind == STEP_POST_END && step->b != SERVED_MADE) ||
		      (step->kind == STEP_PROBE_END && step->b != PROBED_ALIVE) ||
		      (step->kind == STEP_CRASH && step->b);

	if (costs[step->kind] != BUDGETS)
		run->w.left[costs[step->kind]]--;
	if (faulty)
		run->w.left[BUDGET_FAULT]--;
	if (faulty || (costs[step->kind] != BUDGETS && costs[step->kind] != BUDGET_TIME))
		run->w.left[BUDGET_ALL]--;
}

static void pass_some_time(struct run *run, const struct step *step)
{
	int32_t ms = step->kind == STEP_TIME ? steps_next_ms(run) : LONG_MS;
	struct absence absence = {.process = step->p};

	if (step->kind == STEP_FREEZE) {
		absence.what = ABSENCE_FROZEN;
		run->w.processes[step->p].frozen = 1;
	} else if (step->kind == STEP_PAUSE) {
		absence.what = ABSENCE_STOPPED;
	}
	tell(run, "%d ms pass%s", ms, absences[absence.what]);
	steps_pass_time(run, ms, &absence);
}

static void happen(struct run *run, const struct step *step)
{
	switch ((enum step_kind)step->kind) {
	case STEP_DELIVER:
		deliver(run, step);
		break;
	case STEP_SERVE:
		serve(run, step->p, step->a, (enum fate)step->b);
		break;
	case STEP_ANSWER:
		answer(run, step->p, step->a);
		break;
	case STEP_POST_SERVE:
		serve_post(run, &run->w.posts[step->a], (enum served)step->b);
		break;
	case STEP_POST_END:
		end_post(run, &run->w.posts[step->a], (enum served)step->b);
		break;
	case STEP_LATE:
		arrive_late(run);
		break;
	case STEP_CRASH:
		crash(run, step);
		break;
	case STEP_TAKE_LEASE:
		take_lease(run, step->p);
		break;
	case STEP_NOTICE:
		steps_notice(run, step->p);
		break;
	case STEP_TIME:
	case STEP_LONG_TIME:
	case STEP_FREEZE:
	case STEP_PAUSE:
		pass_some_time(run, step);
		break;
	case STEP_JUMP:
		jump(run, step->p);
		break;
	case STEP_RESYNC:
		tell(run, "process %u looks at the Secret by itself", step->p);
		channel_resync(run, step->p);
		break;
	case STEP_PROBE_DUE:
		tell(run, "process %u: it is time to ask for its accounts", step->p);
		process_probe_due(run, step->p);
		break;
	case STEP_LOOK_UP:
		seat_look_up(run, step->p, step->a);
		break;
	case STEP_PROBE_END:
		end_probe(run, step->p, step->a, (enum probed)step->b);
		break;
	case STEP_USER:
		user_act(run, (enum act)step->a);
		break;
	}
}

void steps_finish(struct run *run)
{
	size_t p;

	for (p = 0; p < steps_processes(run) && !*run->broken && !run->pruned; p++)
		process_run(run, p);
	for (p = 0; p < steps_processes(run); p++)
		process_forget_shown(run, p);
	check_accounts(run);
	canonicalise(run);
}

void steps_apply(struct run *run, const struct step *step)
{
	spend(run, step);
	happen(run, step);
	steps_finish(run);
}

void steps_begin(struct run *run)
{
	size_t p;
	size_t i;

	run->w = (struct world){0};
	for (i = 0; i < DOMAINS; i++)
		run->w.lost_ms[i] = GRACE_MS;
	memcpy(run->w.left, run->scenario->left, sizeof(run->w.left));
	user_begin(run);
	for (p = 0; p < PROCESSES; p++) {
		process_start(run, p);
		memcpy(run->w.processes[p].cache, run->w.live, sizeof(run->w.live));
	}
	process_lead(run, 0);
	steps_finish(run);
}
