/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "plan/plan_impl.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS	  (60 * MINUTE_MS)

/* The least pause after a POST of unknown outcome, even if others succeed in the meantime. */
#define UNCERTAIN_MS (30 * SECOND_MS)

/* ---- failures ---- */

int64_t plan_backoff_ms(const struct plan_view *view, uint32_t times, int64_t base, int64_t cap)
{
	int64_t ms = backoff_ms(base, times, cap);

	return ms + (int64_t)(view->random[0] % (uint64_t)(ms / 2));
}

static void fail(struct plan_failure *failure, const struct plan_view *view, enum api_reason reason,
		 int64_t cap)
{
	failure->reason = reason;
	failure->retry_ms = view->now_ms + plan_backoff_ms(view, failure->times++, SECOND_MS, cap);
}

static void forget(struct plan_failure *failure)
{
	*failure = (struct plan_failure){.reason = API_REASON_OTHER};
}

/* ---- claims ---- */

static void wipe(struct plan_work *work)
{
	explicit_bzero(work, sizeof(*work));
}

/* The claim surely made no account. */
static void spend(struct plan_memory *memory, const char *nonce)
{
	memmove(memory->spent[1], memory->spent[0], sizeof(memory->spent) - PLAN_NONCE_LEN);
	(void)snprintf(memory->spent[0], PLAN_NONCE_LEN, "%s", nonce);
}

/* What finds no place has its turn when one of the others is done. */
static void watch(struct plan_memory *memory, const char *nonce, int64_t until_ms)
{
	size_t i;

	if (plan_find_foreign(memory, nonce))
		return;
	for (i = 0; i < PLAN_FOREIGN; i++) {
		struct plan_foreign *place = &memory->foreign[i];

		if (*place->nonce)
			continue;
		(void)snprintf(place->nonce, sizeof(place->nonce), "%s", nonce);
		place->until_ms = until_ms;
		return;
	}
}

/* ---- status, events ---- */

static bool is_ready_changed(const struct api_registration *object,
			     const struct api_status *written)
{
	const struct api_condition *before = &object->status.conditions[API_READY];
	const struct api_condition *after = &written->conditions[API_READY];

	return after->status != API_UNKNOWN &&
	       (!before->present || before->status != after->status ||
		before->reason != after->reason);
}

/* What was asked for before there were accounts is handled, too, and is none. */
static bool is_rotated(const struct api_registration *object, const struct api_status *written)
{
	const struct api_status *before = &object->status;
	size_t i;

	if (!written->handled_rotate ||
	    (before->handled_rotate &&
	     strcmp(before->handled_rotate, written->handled_rotate) == 0))
		return false;
	for (i = 0; i < before->records_len; i++) {
		const char *value = api_record_value(written, before->records[i].domain);

		if (value && strcmp(value, before->records[i].value) != 0)
			return true;
	}
	return false;
}

unsigned int plan_news(const struct api_registration *object, const struct api_status *written)
{
	return (is_ready_changed(object, written) ? PLAN_NEWS_READY : 0U) |
	       (is_rotated(object, written) ? PLAN_NEWS_ROTATED : 0U) |
	       (plan_is_drift(object, written) ? PLAN_NEWS_DRIFTED : 0U);
}

void plan_fold_news(struct plan_memory *memory, unsigned int news)
{
	memory->news = (uint8_t)(memory->news | news);
}

void plan_fold_status(struct plan_memory *memory, int64_t generation, unsigned int news)
{
	/* What the server refused is what another spec said; an outcome that is not known is
	 * watched by its claim. */
	if (memory->visited_generation != generation)
		forget(&memory->claim);
	memory->visited_generation = generation;
	plan_fold_news(memory, news);
	/* Each patch says it. */
	memset(&memory->finding, 0, sizeof(memory->finding));
}

void plan_fold_event(struct plan_memory *memory, enum plan_news told)
{
	memory->news = (uint8_t)(memory->news & ~told);
}

void plan_fold_leftover(struct plan_memory *memory)
{
	memory->leftover_told = true;
}

/* ---- reading the Secret ---- */

/* A domain whose claim we wait for, have waited for, or are going to replace. */
static bool is_waiting(enum plan_need need)
{
	return need == NEED_FOREIGN || need == NEED_CLAIM || need == NEED_SHARE ||
	       need == NEED_WORK;
}

static bool is_waited_for(const struct plan_view *view, const struct plan_assessment *assessment,
			  const struct plan_foreign *foreign)
{
	const struct api_spec *spec = &view->object->spec;
	struct ledger_entry entry;
	size_t i;

	for (i = 0; i < spec->domains_len; i++) {
		if (!is_waiting(assessment->domains[i].need))
			continue;
		ledger_look(view->secret.ledger, view->secret.key, spec->domains[i], &entry);
		if (strncmp(entry.nonce, foreign->nonce, PLAN_NONCE_LEN - 1) == 0)
			return true;
	}
	return false;
}

/* So a memory that needs nothing more is blank again. */
static void forget_claims(struct plan_memory *memory, const struct plan_view *view,
			  const struct plan_assessment *assessment)
{
	const size_t *count = assessment->count;
	size_t i;

	for (i = 0; i < PLAN_FOREIGN; i++)
		if (*memory->foreign[i].nonce &&
		    !is_waited_for(view, assessment, &memory->foreign[i]))
			memory->foreign[i] = (struct plan_foreign){0};
	if (count[NEED_FOREIGN] + count[NEED_CLAIM] + count[NEED_SHARE] + count[NEED_WORK] == 0)
		memset(memory->spent, 0, sizeof(memory->spent));
}

static void watch_claims(struct plan_memory *memory, const struct plan_view *view)
{
	const struct api_spec *spec = &view->object->spec;
	struct plan_assessment assessment;
	struct ledger_entry entry;
	size_t i;

	plan_assess(view, memory, view->secret.ledger, &assessment);
	forget_claims(memory, view, &assessment);
	if (!assessment.missing)
		memory->missing_ms = 0;
	else if (!memory->missing_ms)
		memory->missing_ms = view->now_ms;
	for (i = 0; i < spec->domains_len; i++) {
		if (assessment.domains[i].need != NEED_FOREIGN)
			continue;
		ledger_look(view->secret.ledger, view->secret.key, spec->domains[i], &entry);
		if (*entry.nonce)
			watch(memory, entry.nonce, view->now_ms + entry.timeout_s * SECOND_MS);
	}
}

void plan_fold_read(struct plan_memory *memory, const struct plan_view *view)
{
	forget(&memory->read);
	memory->lives = false;
	if (view->object && view->secret.ledger)
		watch_claims(memory, view);
}

void plan_fold_read_failed(struct plan_memory *memory, const struct plan_view *view,
			   enum api_reason reason)
{
	fail(&memory->read, view, reason, MINUTE_MS);
	memory->lives = false;
}

/* ---- writing the Secret ---- */

static void fold_claimed(struct plan_memory *memory, size_t i, const struct plan_edit *edit,
			 const struct plan_written *written)
{
	if (edit->claimed[i].state == PLAN_WORK_NONE || written->outcome == PLAN_WRITE_REFUSED)
		return;
	/* If the claim is there after all, there was no POST for it. */
	if (written->outcome == PLAN_WRITE_UNKNOWN) {
		spend(memory, edit->claimed[i].nonce);
		return;
	}
	memory->works[i] = edit->claimed[i];
	memory->works[i].claimed_ms = written->sent_ms;
}

/* The next loss is another one, also if nobody reads the Secret in between. */
static void end_loss(struct plan_memory *memory, const struct plan_view *view)
{
	struct plan_assessment assessment;

	if (!memory->missing_ms || !view->object || !view->secret.ledger)
		return;
	plan_assess(view, memory, view->secret.ledger, &assessment);
	if (!assessment.missing)
		memory->missing_ms = 0;
}

void plan_fold_written(struct plan_memory *memory, const struct plan_view *view,
		       const struct plan_edit *edit, const struct plan_written *written)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++) {
		if (written->outcome == PLAN_WRITTEN && (edit->stored[i] || edit->discarded[i]))
			wipe(&memory->works[i]);
		fold_claimed(memory, i, edit, written);
	}
	if (written->outcome == PLAN_WRITTEN) {
		forget(&memory->write);
		forget(&memory->read);
		end_loss(memory, view);
	} else {
		fail(&memory->write, view, written->reason, 5 * MINUTE_MS);
		memory->lives = false;
	}
	if (edit->too_large)
		fail(&memory->claim, view, API_REASON_SECRET_TOO_LARGE, 5 * MINUTE_MS);
}

void plan_fold_conflict(struct plan_memory *memory, const struct plan_edit *edit)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		if (edit->claimed[i].state != PLAN_WORK_NONE)
			spend(memory, edit->claimed[i].nonce);
}

/* ---- registering ---- */

void plan_fold_posting(struct plan_memory *memory, int work)
{
	memory->works[work].state = PLAN_WORK_POSTING;
}

void plan_fold_references(struct plan_memory *memory, const struct plan_view *view,
			  const struct err *problem)
{
	if (!problem) {
		if (memory->claim.reason == API_REASON_INVALID_REFERENCE)
			forget(&memory->claim);
		return;
	}
	if (memory->claim.reason != API_REASON_INVALID_REFERENCE)
		forget(&memory->claim);
	fail(&memory->claim, view, API_REASON_INVALID_REFERENCE, MINUTE_MS);
	if (problem->kind == ERR_INVALID)
		memory->claim.retry_ms = PLAN_NEVER;
	memset(memory->claim_message, 0, sizeof(memory->claim_message));
	(void)snprintf(memory->claim_message, sizeof(memory->claim_message), "%s", problem->msg);
}

void plan_fold_expired(struct plan_memory *memory, int work)
{
	spend(memory, memory->works[work].nonce);
	wipe(&memory->works[work]);
}

struct retry_rule {
	enum api_reason reason;
	int64_t base_ms;
	int64_t cap_ms;
};

/* How long a verdict keeps the object from the next claim. */
static const struct retry_rule retry_rules[] = {
	[ACMEDNS_REGISTERED] = {API_REASON_OTHER, 0, 0},
	[ACMEDNS_UNAVAILABLE] = {API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND_MS, HOUR_MS},
	[ACMEDNS_BAD_ALLOWFROM] = {API_REASON_INVALID_ALLOW_FROM, HOUR_MS, HOUR_MS},
	[ACMEDNS_DENIED] = {API_REASON_REGISTRATION_DENIED, 30 * SECOND_MS, HOUR_MS},
	[ACMEDNS_REJECTED] = {API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND_MS, HOUR_MS},
	[ACMEDNS_THROTTLED] = {API_REASON_SERVER_UNAVAILABLE, 5 * SECOND_MS, 5 * MINUTE_MS},
	[ACMEDNS_UNREACHABLE] = {API_REASON_SERVER_UNAVAILABLE, SECOND_MS, 5 * MINUTE_MS},
	[ACMEDNS_NO_ANSWER] = {API_REASON_SERVER_UNAVAILABLE, 30 * SECOND_MS, HOUR_MS},
	[ACMEDNS_SERVER_ERROR] = {API_REASON_SERVER_UNAVAILABLE, 30 * SECOND_MS, HOUR_MS},
	[ACMEDNS_BAD_ANSWER] = {API_REASON_REGISTRATION_UNAVAILABLE, 30 * SECOND_MS, HOUR_MS},
};

static void fold_refusal(struct plan_memory *memory, const struct plan_view *view,
			 const struct acmedns_result *result)
{
	const struct retry_rule *rule = &retry_rules[result->verdict];
	struct plan_failure *failure = &memory->claim;
	int64_t asked_ms = result->retry_after_s * SECOND_MS;
	int64_t wait_ms = plan_backoff_ms(view, failure->times++, rule->base_ms, rule->cap_ms);

	failure->reason = rule->reason;
	failure->retry_ms = view->now_ms + (asked_ms > wait_ms ? asked_ms : wait_ms);
	memset(memory->claim_message, 0, sizeof(memory->claim_message));
	(void)snprintf(memory->claim_message, sizeof(memory->claim_message), "%s", result->message);
}

void plan_fold_registered(struct plan_memory *memory, const struct plan_view *view, int work,
			  const struct acmedns_result *result,
			  const struct acmedns_account *account)
{
	struct plan_work *at = &memory->works[work];

	if (result->verdict == ACMEDNS_REGISTERED) {
		at->state = PLAN_WORK_IN_HAND;
		at->account = *account;
		forget(&memory->claim);
		/* Storing is the next thing to be tried, whatever failed before. */
		memory->read.retry_ms = 0;
		memory->write.retry_ms = 0;
		return;
	}
	if (result->maybe_made)
		watch(memory, at->nonce, view->now_ms + UNCERTAIN_MS);
	else
		spend(memory, at->nonce);
	/* Another host than the one that is meant now holds nothing up. */
	if (!view->object || strcmp(at->host, view->object->spec.host) == 0)
		fold_refusal(memory, view, result);
	wipe(at);
}

/* ---- asking for objects ---- */

static bool is_named(const struct plan_view *view, size_t i, const char *uid)
{
	struct ledger_entry entry;

	if (!view->secret.ledger)
		return false;
	ledger_look(view->secret.ledger, view->secret.key, view->object->spec.domains[i], &entry);
	return strcmp(entry.owner, uid) == 0;
}

static void note_owner(struct plan_owner *asked, size_t bit, bool wants, bool named)
{
	if (!wants)
		asked->free[bit / 64] |= UINT64_C(1) << (bit % 64);
	else if (named)
		asked->held[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* For the labels and annotations; owner NULL: it wants none any more. */
static void note_tags(const struct plan_view *view, const char *uid,
		      const struct api_registration *owner, struct plan_owner *asked)
{
	const struct api_template *template = view->object->spec.template;
	struct ledger_tag tag;
	size_t i;

	for (i = 0; view->secret.ledger && template && i < template->len; i++) {
		plan_look_tag(view, i, &tag);
		note_owner(asked, API_MAX_DOMAINS + i,
			   owner && plan_wants_tag(owner, template->tags[i].annotation,
						   template->tags[i].key),
			   strcmp(tag.owner, uid) == 0);
	}
}

void plan_fold_owner(struct plan_memory *memory, const struct plan_view *view, const char *uid,
		     const struct api_registration *owner)
{
	const struct api_spec *spec = &view->object->spec;
	struct plan_owner *asked = &memory->owner;
	size_t i;

	/* Another one of its name, or one on its way out, wants nothing of the Secret. */
	if (owner && (strcmp(owner->uid, uid) != 0 || owner->deleting))
		owner = NULL;
	if (asked->generation != view->object->generation ||
	    view->now_ms - asked->since_ms >= PLAN_OWNER_MS)
		*asked = (struct plan_owner){.since_ms = view->now_ms};
	asked->generation = view->object->generation;
	asked->asked_ms = view->now_ms;
	memset(asked->uid, 0, sizeof(asked->uid));
	(void)snprintf(asked->uid, sizeof(asked->uid), "%s", uid);
	memset(asked->free, 0, sizeof(asked->free));
	for (i = 0; i < spec->domains_len; i++)
		note_owner(asked, i, owner && api_domain_index(&owner->spec, spec->domains[i]) >= 0,
			   is_named(view, i, uid));
	note_tags(view, uid, owner, asked);
}

void plan_fold_owner_stale(struct plan_memory *memory)
{
	memory->owner = (struct plan_owner){0};
}

int plan_fold_self(struct plan_memory *memory, bool gone)
{
	int given_up = 0;
	size_t i;

	memory->lives = !gone;
	for (i = 0; gone && i < PLAN_WORKS; i++) {
		if (memory->works[i].state != PLAN_WORK_IN_HAND)
			continue;
		given_up++;
		wipe(&memory->works[i]);
	}
	return given_up;
}
