/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "plan/plan_impl.h"

/* Of an API server that does not answer for the Secret: two to five minutes. */
#define MOST_TRIES 8

bool plan_is_leaving(const struct plan_view *view)
{
	return view->object && view->object->deleting && view->leading &&
	       api_has_finalizer(view->object, API_FINALIZER);
}

size_t plan_removals(const struct plan_view *view, const struct plan_memory *memory,
		     const struct ledger *ledger)
{
	const struct api_spec *spec = &view->object->spec;
	size_t i;

	if (spec->deletion != API_DELETE)
		return 0;
	/* What is under way for one of them ends in the Secret first. */
	for (i = 0; i < PLAN_WORKS; i++)
		if (memory->works[i].state != PLAN_WORK_NONE &&
		    api_domain_index(spec, memory->works[i].domain) < 0)
			return 0;
	return ledger_count_owned(ledger, view->secret.key, view->object->uid, spec->domains,
				  spec->domains_len);
}

/* While the API server answers nothing the finalizer cannot be taken off, either; but it may be the
 * Secret alone that it fails for. Only in the pause after a try that failed: when that ends, the
 * Secret is tried again first. */
static bool is_hopeless(const struct plan_view *view, const struct plan_failure *failure)
{
	if (failure->reason == API_REASON_SECRET_UNAVAILABLE)
		return failure->times >= MOST_TRIES && view->now_ms < failure->retry_ms;
	return failure->reason != API_REASON_OTHER;
}

static const char *failure_text(enum api_reason reason)
{
	switch ((int)reason) {
	case API_REASON_SECRET_TOO_LARGE:
		return "the Secret would pass 1 MiB; the entries stay in it";
	case API_REASON_NAMESPACE_TERMINATING:
		return "the namespace is being terminated, and the entries with it";
	case API_REASON_SECRET_DENIED:
		return "the API server denies access to the Secret; the entries stay in it";
	default:
		return "the API server does not answer for the Secret; the entries stay in it";
	}
}

/* NULL: the Secret can be read and written, as far as is known. */
static const char *why_left(const struct plan_view *view, const struct plan_memory *memory)
{
	if (is_hopeless(view, &memory->read))
		return failure_text(memory->read.reason);
	if (is_hopeless(view, &memory->write))
		return failure_text(memory->write.reason);
	if (view->secret.state == PLAN_SECRET_UNREAD || !view->secret.fresh)
		return NULL;
	if (!view->secret.opaque || !view->secret.ledger)
		return "the Secret cannot be read as one of this operator's; the entries stay in "
		       "it";
	return view->secret.immutable ? "the Secret is immutable; the entries stay in it" : NULL;
}

static void let_go(const struct plan_memory *memory, const char *leftover,
		   struct plan_action *action)
{
	action->what = PLAN_PATCH_FINALIZER;
	action->finalizer = API_FINALIZER;
	if (!leftover || memory->leftover_told)
		return;
	action->what = PLAN_EMIT_EVENT;
	action->leftover = leftover;
}

static bool owns_something(const struct plan_view *view)
{
	return view->secret.state == PLAN_SECRET_PRESENT &&
	       (ledger_count_owned(view->secret.ledger, view->secret.key, view->object->uid, NULL,
				   0) > 0 ||
		plan_unwanted_tags(view, view->secret.ledger) > 0);
}

bool plan_awaits_claim(const struct plan_view *view, const struct plan_memory *memory,
		       const struct ledger *ledger, struct plan_assessment *ret_assessment)
{
	plan_assess(view, memory, ledger, ret_assessment);
	return ret_assessment->count[NEED_FOREIGN] > 0;
}

static bool must_wait_for_claim(const struct plan_view *view, const struct plan_memory *memory,
				struct plan_action *action)
{
	struct plan_assessment assessment;

	if (!plan_awaits_claim(view, memory, view->secret.ledger, &assessment))
		return false;
	action->wake_ms = assessment.wake_ms;
	if (plan_must_watch(memory, &assessment))
		action->what = PLAN_READ_SECRET;
	return true;
}

void plan_finalize(const struct plan_view *view, const struct plan_memory *memory,
		   struct plan_action *action)
{
	const char *leftover = why_left(view, memory);

	/* The end of our POSTs brings us back. What is in hand is stored first, if it can be. */
	if (plan_slots_held(memory) > 0 || (!leftover && !plan_resting(memory)))
		return;
	if (view->object->spec.deletion == API_RETAIN || leftover)
		let_go(memory, view->object->spec.deletion == API_RETAIN ? NULL : leftover, action);
	else if (!plan_may_try(view, memory, action))
		return;
	else if (!view->secret.fresh)
		action->what = PLAN_READ_SECRET;
	else if (!owns_something(view))
		let_go(memory, NULL, action);
	else if (!must_wait_for_claim(view, memory, action))
		action->what = PLAN_EDIT_SECRET;
}
