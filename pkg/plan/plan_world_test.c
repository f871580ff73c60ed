/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each seed is another order of events and faults in the world of plan_test_world.h: lost answers,
 * conflicts, crashes, changes of leader and of spec. Then the faults end, and everything has to
 * come to rest in the right state. A seed that fails prints its story; TEST_SEED=<n> runs it
 * alone, TEST_SEEDS=<n> so many.
 */

#include "plan/plan_test_world.h"

#define SEEDS 1500
#define STEPS 150

/* ---- acting ---- */

static void patch_status(struct world *w, int p, int o, const struct plan_action *action)
{
	struct seat *seat = &w->processes[p].seats[o];
	CLEANUP(jv_freep) json_t *patch = api_status_patch(seat->cached, &action->status, 1);
	bool current = strcmp(jv_str(w->objects[o], "metadata.resourceVersion"),
			      seat->cached->resource_version) == 0;
	unsigned int news = plan_news(seat->cached, &action->status);
	int64_t generation = seat->cached->generation;
	size_t i;

	for (i = 0; i < action->status.records_len; i++)
		check(w, json_object_get(w->durable, action->status.records[i].value) != NULL,
		      "a CNAME is named before it is durable");
	if (!current || chance(w, 10)) {
		deliver(w, p, o);
		return;
	}
	jv_set(w->objects[o], "status", json_deep_copy(jv_object(patch, "status")));
	bump(w, o);
	w->writes++;
	deliver(w, p, o);
	if (chance(w, 10))
		return; /* the answer is lost */
	seat->proven_generation = generation;
	plan_fold_status(&seat->memory, generation, news);
}

static bool claims_anything(const struct plan_edit *edit)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		if (edit->claimed[i].state == PLAN_WORK_CLAIMED)
			return true;
	return false;
}

/* One write, with all that can come of it. */
static void send_edit(struct world *w, int p, int o, const struct plan_edit *edit, json_t *data)
{
	struct seat *seat = &w->processes[p].seats[o];
	struct plan_written result = {.outcome = PLAN_WRITTEN, .sent_ms = w->now_ms};
	bool lost = chance(w, 15);
	struct plan_view view;

	pass_time(w, pick(w, chance(w, 10) ? 12000 : 20));
	if (chance(w, 5)) {
		result.outcome = PLAN_WRITE_REFUSED;
		result.reason = API_REASON_SECRET_DENIED;
	} else if (lost && pick(w, 2)) {
		json_decref(w->late);
		w->late = json_incref(data);
		w->late_rv = w->rv;
	} else {
		commit(w, data);
	}
	if (lost) {
		result.outcome = PLAN_WRITE_UNKNOWN;
		result.reason = API_REASON_SECRET_UNAVAILABLE;
	}
	tell(w, "process %d, object %d: write %d%s", p, o, (int)result.outcome,
	     claims_anything(edit) ? " with claims" : "");
	if (result.outcome == PLAN_WRITTEN)
		read_secret(w, &w->processes[p]);
	else
		forget_reading(&w->processes[p]);
	view_of(w, p, o, &view);
	plan_fold_written(&seat->memory, &view, edit, &result);
}

/* Returns true after a conflict, which may be with itself: sent twice. */
static bool try_edit(struct world *w, int p, int o)
{
	struct process *process = &w->processes[p];
	struct seat *seat = &process->seats[o];
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	CLEANUP(jv_freep) json_t *data = NULL;
	CLEANUP(mem_freep) struct plan_edit *edit = mem_zalloc(sizeof(*edit));
	const struct plan_written nothing = {.outcome = PLAN_WRITTEN, .sent_ms = w->now_ms};
	struct plan_view view;

	if (!process->reading || process->rv != w->rv)
		read_secret(w, process);
	ledger = open_reading(process);
	view_of(w, p, o, &view);
	plan_edit(&view, &seat->memory, ledger, edit);
	if (!ledger_changed(ledger)) {
		plan_fold_written(&seat->memory, &view, edit, &nothing);
		return false;
	}
	check(w, !claims_anything(edit) || seat->proven_generation == seat->cached->generation,
	      "a claim before its status patch");
	check(w, !claims_anything(edit) || p == w->leader, "a claim of one who does not lead");
	data = written(process, ledger);
	if (chance(w, 10)) {
		tell(w, "process %d, object %d: a conflict", p, o);
		if (pick(w, 2))
			commit(w, data);
		plan_fold_conflict(&seat->memory, edit);
		return true;
	}
	send_edit(w, p, o, edit, data);
	return false;
}

static void edit_secret(struct world *w, int p, int o)
{
	if (!w->gentle && chance(w, 5)) {
		crash(w, p);
		return;
	}
	while (try_edit(w, p, o))
		continue;
	if (!w->gentle && chance(w, 5))
		crash(w, p);
}

static void ask_owner(struct world *w, int p, int o, const struct plan_action *action)
{
	CLEANUP(mem_freep) char *uid = mem_strdup(action->owner_uid);
	CLEANUP(api_freep) struct api_registration *owner = NULL;
	const int other = action->owner_name[strlen(action->owner_name) - 1] - '0';
	struct plan_view view;

	if (w->objects[other])
		owner = api_decode(w->objects[other]);
	view_of(w, p, o, &view);
	plan_fold_owner(&w->processes[p].seats[o].memory, &view, uid, owner);
}

static void read_references(struct world *w, int p, int o)
{
	const struct err missing = {.kind = ERR_NOT_FOUND, .msg = "it is not there"};
	struct seat *seat = &w->processes[p].seats[o];
	bool there = !chance(w, 20);
	struct plan_view view;

	seat->references_ms = there ? w->now_ms : 0;
	view_of(w, p, o, &view);
	plan_fold_references(&seat->memory, &view, there ? NULL : &missing);
}

static void act(struct world *w, int p, int o, const struct plan_action *action)
{
	struct seat *seat = &w->processes[p].seats[o];
	struct plan_view view;

	switch (action->what) {
	case PLAN_WAIT:
		seat->wake_ms = action->wake_ms;
		return;
	case PLAN_PATCH_STATUS:
		patch_status(w, p, o, action);
		return;
	case PLAN_READ_SECRET:
		if (!chance(w, 5))
			read_secret(w, &w->processes[p]);
		view_of(w, p, o, &view);
		if (view.secret.fresh)
			plan_fold_read(&seat->memory, &view);
		else
			plan_fold_read_failed(&seat->memory, &view, API_REASON_SECRET_UNAVAILABLE);
		return;
	case PLAN_EDIT_SECRET:
		edit_secret(w, p, o);
		return;
	case PLAN_RESOLVE_HOST:
		w->host_state = chance(w, 20) ? PLAN_HOST_FAILED : PLAN_HOST_OK;
		w->host_retry_ms = w->now_ms + 3000;
		return;
	case PLAN_READ_REFERENCES:
		read_references(w, p, o);
		return;
	case PLAN_ASK_OWNER:
		ask_owner(w, p, o, action);
		return;
	case PLAN_ASK_SELF:
		(void)plan_fold_self(&seat->memory, !w->objects[o]);
		return;
	case PLAN_REGISTER:
		view_of(w, p, o, &view);
		check(w, !w->auth || view.references == PLAN_REFERENCES_OK,
		      "a registration without its credentials");
		start_post(w, p, o, action->work);
		return;
	case PLAN_EXPIRE:
		plan_fold_expired(&seat->memory, action->work);
		return;
	case PLAN_EMIT_EVENT:
		plan_fold_event(&seat->memory, action->news);
		return;
	case PLAN_PATCH_FINALIZER:
	case PLAN_PROBE:
	case PLAN_END_ROUND:
	case PLAN_READ_ENDPOINT:
	case PLAN_WRITE_ENDPOINT:
	case PLAN_DELETE_ENDPOINT:
		fail_msg("no object here has one, is to have one, or asks for it");
	}
}

/* True when it did something. */
static bool pass(struct world *w, int p, int o)
{
	struct seat *seat = &w->processes[p].seats[o];
	struct plan_action action;
	struct plan_view view;
	enum plan_what what;

	if (seat->wake_ms && w->now_ms >= seat->wake_ms)
		seat->due_ms = w->now_ms;
	seat->wake_ms = 0;
	view_of(w, p, o, &view);
	plan(&view, &seat->memory, &action);
	what = action.what;
	if (what != PLAN_WAIT)
		tell(w, "process %d, object %d: %s", p, o, plan_what_name(what));
	act(w, p, o, &action);
	plan_action_done(&action);
	return what != PLAN_WAIT;
}

/* ---- a run ---- */

static void begin(struct world *w, uint64_t seed)
{
	int p;
	int o;

	*w = (struct world){.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15),
			    .story = BUF_INIT(1 << 20),
			    .now_ms = 1000,
			    .shared = seed % 3 == 2,
			    .gentle = seed % 10 <= 2,
			    .auth = seed % 4 == 1,
			    .secret = json_null(),
			    .posted = json_object(),
			    .durable = json_object()};
	for (o = 0; o < OBJECTS; o++)
		if (o == 0 || (!w->gentle && seed >> o & 1))
			make_object(w, o);
	for (p = 0; p < PROCESSES; p++)
		crash(w, p);
	w->faulty = seed % 10 != 0;
}

static void end(struct world *w)
{
	int p;
	int o;

	for (o = 0; o < OBJECTS; o++) {
		for (p = 0; p < PROCESSES; p++)
			api_free(w->processes[p].seats[o].cached);
		json_decref(w->objects[o]);
	}
	for (p = 0; p < PROCESSES; p++)
		forget_reading(&w->processes[p]);
	json_decref(w->secret);
	json_decref(w->late);
	json_decref(w->posted);
	json_decref(w->durable);
	buf_done(&w->story);
}

/* All passes want a new reading of the Secret. */
static void resync(struct world *w)
{
	int p;
	int o;

	for (p = 0; p < PROCESSES; p++)
		for (o = 0; o < OBJECTS; o++)
			w->processes[p].seats[o].due_ms = w->now_ms;
}

static void suffer(struct world *w)
{
	int i;

	for (i = 0; w->faulty && i < STEPS; i++) {
		int p = pick(w, PROCESSES);
		int o = pick(w, OBJECTS);

		if (chance(w, 15))
			trouble(w);
		arrive_late(w);
		if (chance(w, 50))
			deliver(w, p, o);
		pass_time(w, pick(w, 300));
		(void)pass(w, p, o);
	}
	w->faulty = false;
	w->immutable = false;
	if (w->moved)
		set_spec(w, 0, "one.test", domains_of[0]);
	tell(w, "no more faults");
	resync(w);
}

/* Everybody acts until all wait for the clock or for nothing; returns the next moment. */
static int64_t exhaust(struct world *w)
{
	int64_t wake_ms = INT64_MAX;
	int budget = 400;
	bool again;
	int p;
	int o;

	do {
		again = false;
		for (p = 0; p < PROCESSES; p++)
			for (o = 0; o < OBJECTS; o++)
				again |= pass(w, p, o);
		check(w, budget-- > 0, "it turns in circles");
	} while (again);
	for (p = 0; p < PROCESSES; p++)
		for (o = 0; o < OBJECTS; o++)
			if (w->processes[p].seats[o].wake_ms < wake_ms)
				wake_ms = w->processes[p].seats[o].wake_ms;
	return wake_ms;
}

static bool is_posting(const struct world *w)
{
	size_t i;

	for (i = 0; i < POSTS; i++)
		if (w->posts[i].active)
			return true;
	return false;
}

static void settle(struct world *w)
{
	unsigned int writes = 0;
	int idle = 0;
	int p;
	int o;

	while (idle < 3) {
		int64_t wake_ms;

		for (p = 0; p < PROCESSES; p++)
			for (o = 0; o < OBJECTS; o++)
				deliver(w, p, o);
		wake_ms = exhaust(w);
		idle = writes == w->writes && !is_posting(w) ? idle + 1 : 0;
		writes = w->writes;
		if (is_posting(w))
			pass_time(w, 200);
		else if (wake_ms < INT64_MAX)
			pass_time(w, wake_ms - w->now_ms);
	}
}

static void rest(struct world *w, int64_t ms)
{
	pass_time(w, ms);
	resync(w);
	settle(w);
}

/* ---- what must be so at the end ---- */

static void check_domain(struct world *w, const struct ledger *ledger,
			 const struct api_registration *object, size_t i)
{
	const char *domain = object->spec.domains[i];
	int64_t made = w->made[domain[0] - 'a'];
	struct ledger_entry entry;

	ledger_look(ledger, KEY, domain, &entry);
	if (w->reset && !entry.present)
		return; /* AccountMissing, maybe behind another reason */
	check(w, entry.present && entry.complete, "a domain without an account");
	if (strcmp(entry.owner, object->uid) == 0)
		check(w, strcmp(api_record_value(&object->status, domain), entry.fulldomain) == 0,
		      "a wrong record");
	check(w, !w->gentle || entry.uncertain == 0, "an outcome was known, and counted");
	check(w, w->reset || w->shared || made <= 1 + entry.uncertain, "an account too many");
}

static void check_object(struct world *w, int o)
{
	CLEANUP(api_freep) struct api_registration *object = api_decode(w->objects[o]);
	const struct api_condition *ready = &object->status.conditions[API_READY];
	const struct process *process = &w->processes[w->leader];
	size_t i;

	tell(w, "object %d: Ready %d, %s: %s", o, (int)ready->status,
	     api_reason_name(ready->reason), ready->message);
	if (w->reset && (ready->reason == API_REASON_ACCOUNT_MISSING ||
			 ready->reason == API_REASON_SECRET_CONTESTED))
		return;
	if (ready->reason == API_REASON_HOST_CHANGED && w->moved)
		return;
	if (ready->reason != API_REASON_DOMAIN_CONFLICT)
		check(w, ready->status == API_TRUE, "an object that is not ready");
	for (i = 0; i < object->spec.domains_len; i++)
		check_domain(w, process->ledger, object, i);
}

/* A Shared account is made for the first domain that needs one; so only the sum can be judged. */
static void check_sum(struct world *w)
{
	const struct process *process = &w->processes[w->leader];
	int64_t most = OBJECTS;
	struct ledger_entry entry;
	int i;

	for (i = 0; i < NAMES; i++) {
		const char domain[] = {(char)('a' + i), '.', 't', 'e', 's', 't', 0};

		ledger_look(process->ledger, KEY, domain, &entry);
		most += entry.uncertain;
	}
	check(w, w->reset || w->moved || !w->shared || w->accounts <= most,
	      "a shared account too many");
}

static void run(uint64_t seed)
{
	CLEANUP(mem_freep) struct world *w = mem_zalloc(sizeof(*w));
	unsigned int writes;
	int o;

	begin(w, seed);
	tell(w, "seed %llu", (unsigned long long)seed);
	suffer(w);
	settle(w);
	rest(w, 2 * 3600000); /* longer than any backoff */
	writes = w->writes;
	rest(w, 600000);
	check(w, writes == w->writes, "a write at rest");
	for (o = 0; o < OBJECTS; o++) {
		check(w,
		      plan_resting(&w->processes[0].seats[o].memory) &&
			      plan_resting(&w->processes[1].seats[o].memory),
		      "a memory that does not rest");
		if (w->objects[o])
			check_object(w, o);
	}
	check_sum(w);
	end(w);
}

static void test_all_seeds(void **state)
{
	const char *one = getenv("TEST_SEED");
	const char *more = getenv("TEST_SEEDS");
	uint64_t seeds = more ? strtoull(more, NULL, 10) : SEEDS;
	uint64_t seed;

	(void)state;
	if (one) {
		run(strtoull(one, NULL, 10));
		return;
	}
	for (seed = 0; seed < seeds; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_seeds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
