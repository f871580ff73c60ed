/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"

#include <string.h>

#include "plan/plan_impl.h"

/* What a claim may last beyond the POST's own time: to write the claim, and to start the POST. */
#define CLAIM_MARGIN_S 10
/* Others read no more than that from a claim. */
#define CLAIM_MOST_S 300
/* An account in hand waits for a Secret that cannot be written as it is. */
#define LOOK_AGAIN_MS 5000

int64_t plan_claim_timeout_s(const struct plan_view *view)
{
	int64_t timeout_s = (view->register_timeout_ms + 999) / 1000 + CLAIM_MARGIN_S;

	return timeout_s < CLAIM_MOST_S ? timeout_s : CLAIM_MOST_S;
}

/* ---- small questions ---- */

static int count_works(const struct plan_memory *memory, enum plan_work_state state)
{
	int count = 0;
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		count += memory->works[i].state == state;
	return count;
}

int plan_unfinished(const struct plan_memory *memory)
{
	return count_works(memory, PLAN_WORK_POSTING) + count_works(memory, PLAN_WORK_IN_HAND);
}

int plan_slots_held(const struct plan_memory *memory)
{
	return count_works(memory, PLAN_WORK_CLAIMED) + count_works(memory, PLAN_WORK_POSTING);
}

bool plan_resting(const struct plan_memory *memory)
{
	return count_works(memory, PLAN_WORK_NONE) == PLAN_WORKS;
}

bool plan_may_act(const struct plan_view *view)
{
	return view->object && !view->object->deleting && view->leading;
}

bool plan_may_begin(const struct plan_view *view)
{
	return plan_may_act(view) && !view->object->spec.suspend && !view->object->spec.unsupported;
}

static bool decide(struct plan_action *action, enum plan_what what)
{
	action->what = what;
	return true;
}

static void wake_at(struct plan_action *action, int64_t ms)
{
	if (ms < action->wake_ms)
		action->wake_ms = ms;
}

/* After a failure there is a pause. */
static bool must_wait(const struct plan_view *view, const struct plan_failure *failure,
		      struct plan_action *action)
{
	if (view->now_ms >= failure->retry_ms)
		return false;
	wake_at(action, failure->retry_ms);
	return true;
}

bool plan_may_try(const struct plan_view *view, const struct plan_memory *memory,
		  struct plan_action *action)
{
	return !must_wait(view, &memory->read, action) && !must_wait(view, &memory->write, action);
}

/* ---- what is under way comes first ---- */

/* There is something in the way of a store: while nobody shows us the object, it may be that. */
static bool must_ask_self(const struct plan_view *view, const struct plan_memory *memory)
{
	bool in_the_way = memory->read.reason != API_REASON_OTHER ||
			  memory->write.reason != API_REASON_OTHER ||
			  view->secret.state == PLAN_SECRET_ABSENT || !plan_is_writable(view);

	return !view->object && in_the_way && !memory->lives;
}

/* An account in hand goes to the Secret before anything else, whoever leads and whatever became of
 * the object. Only a live answer that the object is gone ends it. */
static bool store_accounts(const struct plan_view *view, const struct plan_memory *memory,
			   struct plan_action *action)
{
	if (count_works(memory, PLAN_WORK_IN_HAND) == 0)
		return false;
	if (!plan_may_try(view, memory, action))
		return false;
	if (must_ask_self(view, memory))
		return decide(action, PLAN_ASK_SELF);
	if (view->secret.state == PLAN_SECRET_UNREAD)
		return decide(action, PLAN_READ_SECRET);
	if (plan_is_writable(view))
		return decide(action, PLAN_EDIT_SECRET);
	if (!view->secret.fresh)
		return decide(action, PLAN_READ_SECRET);
	wake_at(action, view->now_ms + LOOK_AGAIN_MS);
	return false;
}

static bool lacks_references(const struct plan_view *view)
{
	return view->object->spec.auth && view->references == PLAN_REFERENCES_UNREAD;
}

/* The registration is still meant, can end in the time of its claim, and can be stored. */
static bool may_post(const struct plan_view *view, const struct plan_memory *memory,
		     const struct plan_work *work)
{
	int64_t start_within_ms = plan_claim_timeout_s(view) * 1000 - view->register_timeout_ms;

	return plan_may_begin(view) && (!work->rotates || plan_rotation_asked(view->object)) &&
	       strcmp(work->host, view->object->spec.host) == 0 &&
	       api_domain_index(&view->object->spec, work->domain) >= 0 &&
	       view->now_ms - work->claimed_ms <= start_within_ms &&
	       memory->claim.reason != API_REASON_INVALID_REFERENCE &&
	       count_works(memory, PLAN_WORK_IN_HAND) == 0;
}

/* A claim is good for one POST. */
static bool start_post(const struct plan_view *view, const struct plan_memory *memory,
		       struct plan_action *action)
{
	int i;

	for (i = 0; i < PLAN_WORKS; i++) {
		const struct plan_work *work = &memory->works[i];

		if (work->state != PLAN_WORK_CLAIMED)
			continue;
		action->work = i;
		if (!may_post(view, memory, work))
			return decide(action, PLAN_EXPIRE);
		if (view->host.state == PLAN_HOST_UNRESOLVED)
			return decide(action, PLAN_RESOLVE_HOST);
		if (lacks_references(view))
			return decide(action, PLAN_READ_REFERENCES);
		return decide(action,
			      view->host.state == PLAN_HOST_OK ? PLAN_REGISTER : PLAN_EXPIRE);
	}
	return false;
}

/* ---- status ---- */

static bool visit(const struct plan_view *view, const struct plan_memory *memory,
		  struct plan_action *action)
{
	plan_status_visit(view->object, memory, &action->status);
	return decide(action, PLAN_PATCH_STATUS);
}

static bool is_visited(const struct api_registration *object)
{
	return object->status.observed_generation == object->generation &&
	       object->status.conditions[API_READY].present;
}

/* Status says what is so; then the events that tell of it; then there is nothing to do. */
static bool publish_status(const struct plan_view *view, const struct plan_memory *memory,
			   struct plan_action *action)
{
	if (!api_status_equal(&view->object->status, &action->status))
		return decide(action, PLAN_PATCH_STATUS);
	plan_action_done(action);
	action->news = (enum plan_news)(memory->news & -memory->news); /* one of them */
	return decide(action, memory->news ? PLAN_EMIT_EVENT : PLAN_WAIT);
}

static bool publish(const struct plan_view *view, const struct plan_memory *memory,
		    const struct plan_assessment *assessment, struct plan_action *action)
{
	plan_status_want(view, memory, assessment, &action->status);
	return publish_status(view, memory, action);
}

/* Registrations run, or wait for nothing but a slot: their end will be told, not every step. */
static bool is_busy(const struct plan_view *view, const struct plan_memory *memory,
		    const struct plan_assessment *assessment, const struct plan_action *action)
{
	return view->object->status.conditions[API_RECONCILING].present && plan_is_writable(view) &&
	       view->host.state != PLAN_HOST_DOWN && memory->claim.reason == API_REASON_OTHER &&
	       !plan_is_told(&memory->write) &&
	       (assessment->count[NEED_WORK] || action->wants_slot);
}

/* ---- the Secret ---- */

/* Without a usable reading there is nothing to assess. A problem is told from a fresh one only. */
static bool read_secret(const struct plan_view *view, const struct plan_memory *memory,
			struct plan_action *action)
{
	if (must_wait(view, &memory->read, action)) {
		if (plan_is_told(&memory->read))
			(void)publish(view, memory, NULL, action);
		return true;
	}
	if (view->secret.state == PLAN_SECRET_UNREAD)
		return decide(action, PLAN_READ_SECRET);
	if (plan_secret_problem(view) == API_REASON_OTHER)
		return false;
	return view->secret.fresh ? publish(view, memory, NULL, action)
				  : decide(action, PLAN_READ_SECRET);
}

bool plan_is_busy_elsewhere(const struct plan_view *view, const struct plan_memory *memory)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		if (memory->works[i].state != PLAN_WORK_NONE &&
		    strcmp(memory->works[i].host, view->object->spec.host) != 0)
			return true;
	return memory->round.asked && memory->round.generation != view->object->generation;
}

/* If all that the spec refers to is there. */
static unsigned int possible_claims(const struct plan_view *view, const struct plan_memory *memory,
				    const struct plan_assessment *assessment)
{
	bool paused = view->now_ms < memory->claim.retry_ms;
	/* One that is stored by the same edit leaves its place to the next. */
	size_t most = (size_t)(PLAN_WORKS - plan_slots_held(memory));

	if (paused || view->host.state != PLAN_HOST_OK || plan_is_busy_elsewhere(view, memory))
		return 0;
	if (most > view->host.slots)
		most = view->host.slots;
	if (view->object->spec.policy == API_SHARED && most > 1)
		most = 1;
	return (unsigned int)(assessment->count[NEED_CLAIM] < most ? assessment->count[NEED_CLAIM]
								   : most);
}

unsigned int plan_claims(const struct plan_view *view, const struct plan_memory *memory,
			 const struct plan_assessment *assessment)
{
	return lacks_references(view) ? 0 : possible_claims(view, memory, assessment);
}

/* Finds out how many claims can be made now; true when something has to come first. */
static bool prepare_claims(const struct plan_view *view, const struct plan_memory *memory,
			   const struct plan_assessment *assessment, struct plan_action *action)
{
	if (!assessment->count[NEED_CLAIM] || plan_is_busy_elsewhere(view, memory))
		return false;
	if (must_wait(view, &memory->claim, action))
		return false;
	if (view->host.state == PLAN_HOST_UNRESOLVED)
		return decide(action, PLAN_RESOLVE_HOST);
	if (view->host.state != PLAN_HOST_OK)
		wake_at(action, view->host.retry_ms);
	if (lacks_references(view) && possible_claims(view, memory, assessment) > 0)
		return decide(action, PLAN_READ_REFERENCES);
	action->claims = plan_claims(view, memory, assessment);
	action->wants_slot = view->host.state == PLAN_HOST_DOWN ||
			     (view->host.state == PLAN_HOST_OK && view->host.slots == 0);
	return false;
}

static bool ask_owner(const struct plan_view *view, const struct plan_assessment *assessment,
		      struct plan_action *action)
{
	const char *domain = view->object->spec.domains[assessment->first[NEED_OWNER]];
	struct ledger_entry entry;

	ledger_look(view->secret.ledger, view->secret.key, domain, &entry);
	action->owner_uid = entry.owner;
	action->owner_name = entry.owner_name;
	return decide(action, PLAN_ASK_OWNER);
}

static bool ask_tag_owner(const struct plan_view *view, const struct plan_assessment *assessment,
			  struct plan_action *action)
{
	struct ledger_tag tag;

	if (!assessment->tags.asks)
		return false;
	plan_look_tag(view, assessment->tags.ask_at, &tag);
	action->owner_uid = tag.owner;
	action->owner_name = tag.owner_name;
	return decide(action, PLAN_ASK_OWNER);
}

static bool edit_secret(const struct plan_view *view, const struct plan_memory *memory,
			const struct plan_assessment *assessment, struct plan_action *action)
{
	if (!plan_wants_edit(assessment) || !plan_is_writable(view) ||
	    must_wait(view, &memory->write, action))
		return false;
	/* What may be taken from one owner is taken before the next one is asked. */
	if (!assessment->takes && assessment->count[NEED_OWNER])
		return ask_owner(view, assessment, action);
	if (prepare_claims(view, memory, assessment, action))
		return true;
	if (!plan_has_edits(assessment) && !action->claims)
		return ask_tag_owner(view, assessment, action);
	/* The patch proves to the API server that the object is the one we see, even if it changes
	 * nothing. */
	if (memory->visited_generation != view->object->generation)
		return visit(view, memory, action);
	return decide(action, PLAN_EDIT_SECRET);
}

/* The waiting for a claim, and before what was lost is made again, begins with a reading. */
static bool must_look(const struct plan_memory *memory, const struct plan_assessment *assessment)
{
	return (assessment->missing && !memory->missing_ms) || plan_must_watch(memory, assessment);
}

/* The Secret and status are as they should be by now, or have to wait. */
static void use_leisure(const struct plan_view *view, const struct plan_memory *memory,
			const struct plan_assessment *assessment, struct plan_action *action)
{
	if (must_look(memory, assessment))
		(void)decide(action, PLAN_READ_SECRET);
	else
		plan_endpoint(view, memory, assessment, action);
	if (action->what == PLAN_WAIT)
		plan_probe(view, memory, assessment, action);
}

/* ---- the whole ---- */

void plan(const struct plan_view *view, const struct plan_memory *memory,
	  struct plan_action *ret_action)
{
	struct plan_assessment assessment;

	*ret_action = (struct plan_action){.what = PLAN_WAIT, .wake_ms = INT64_MAX};
	if (store_accounts(view, memory, ret_action) || start_post(view, memory, ret_action))
		return;
	/* No CNAME shall lead to an account that is gone. */
	if (plan_is_endpoint_leaving(view)) {
		plan_endpoint_leave(view, memory, ret_action);
		return;
	}
	if (plan_is_leaving(view)) {
		plan_finalize(view, memory, ret_action);
		return;
	}
	if (!plan_may_act(view))
		return;
	if (view->object->spec.suspend) {
		plan_status_suspend(view->object, memory, &ret_action->status);
		(void)publish_status(view, memory, ret_action);
		return;
	}
	if (!is_visited(view->object)) {
		(void)visit(view, memory, ret_action);
		return;
	}
	if (view->object->spec.unsupported) {
		(void)publish(view, memory, NULL, ret_action);
		return;
	}
	if (api_has_finalizer(view->object, API_FINALIZER) !=
	    (view->object->spec.deletion == API_DELETE)) {
		ret_action->add = view->object->spec.deletion == API_DELETE;
		ret_action->finalizer = API_FINALIZER;
		(void)decide(ret_action, PLAN_PATCH_FINALIZER);
		return;
	}
	if (read_secret(view, memory, ret_action))
		return;
	plan_assess(view, memory, view->secret.ledger, &assessment);
	wake_at(ret_action, assessment.wake_ms);
	if (edit_secret(view, memory, &assessment, ret_action))
		return;
	if (!view->secret.fresh)
		(void)decide(ret_action, PLAN_READ_SECRET);
	else if (!is_busy(view, memory, &assessment, ret_action))
		(void)publish(view, memory, &assessment, ret_action);
	if (ret_action->what == PLAN_WAIT)
		use_leisure(view, memory, &assessment, ret_action);
}

void plan_action_done(struct plan_action *action)
{
	api_status_done(&action->status);
}

const char *plan_what_name(enum plan_what what)
{
	static const char *const names[] = {
		[PLAN_WAIT] = "Wait",
		[PLAN_PATCH_STATUS] = "PatchStatus",
		[PLAN_READ_SECRET] = "ReadSecret",
		[PLAN_EDIT_SECRET] = "EditSecret",
		[PLAN_RESOLVE_HOST] = "ResolveHost",
		[PLAN_READ_REFERENCES] = "ReadReferences",
		[PLAN_ASK_OWNER] = "AskOwner",
		[PLAN_ASK_SELF] = "AskSelf",
		[PLAN_REGISTER] = "Register",
		[PLAN_EXPIRE] = "Expire",
		[PLAN_EMIT_EVENT] = "EmitEvent",
		[PLAN_PATCH_FINALIZER] = "PatchFinalizer",
		[PLAN_PROBE] = "Probe",
		[PLAN_END_ROUND] = "EndRound",
		[PLAN_READ_ENDPOINT] = "ReadEndpoint",
		[PLAN_WRITE_ENDPOINT] = "WriteEndpoint",
		[PLAN_DELETE_ENDPOINT] = "DeleteEndpoint",
	};

	return names[what];
}
