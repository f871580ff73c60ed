/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "plan/plan_impl.h"

/* When to look for a place for a claim that is not watched. */
#define UNWATCHED_MS 30000
/* Accounts are made again once in that time. */
#define CONTESTED_S (24 * 3600)

enum api_reason plan_secret_problem(const struct plan_view *view)
{
	const struct plan_secret *secret = &view->secret;

	if (secret->state == PLAN_SECRET_UNREAD ||
	    (secret->state == PLAN_SECRET_ABSENT && secret->ledger))
		return API_REASON_OTHER;
	if (!secret->opaque)
		return API_REASON_SECRET_NOT_ADOPTED;
	if (!secret->ledger)
		return API_REASON_SECRET_UNPARSABLE;
	if (!ledger_is_ours(secret->ledger) && !secret->adopt &&
	    !ledger_has_account(secret->ledger, secret->key))
		return API_REASON_SECRET_NOT_ADOPTED;
	return API_REASON_OTHER;
}

const char *plan_entry_host(const struct ledger_entry *entry)
{
	return *entry->server_url ? entry->server_url : entry->host;
}

bool plan_is_writable(const struct plan_view *view)
{
	return !view->secret.immutable && plan_secret_problem(view) == API_REASON_OTHER;
}

bool plan_has_edits(const struct plan_assessment *assessment)
{
	const size_t *count = assessment->count;

	return assessment->takes || assessment->removals || assessment->tags.edits ||
	       count[NEED_ADOPT] || count[NEED_SHARE] || count[NEED_SWITCH] || count[NEED_REHOST];
}

bool plan_wants_edit(const struct plan_assessment *assessment)
{
	const size_t *count = assessment->count;

	return plan_has_edits(assessment) || assessment->tags.asks || count[NEED_WORK] ||
	       count[NEED_CLAIM] || count[NEED_OWNER];
}

static bool has_bit(const uint64_t bits[PLAN_OWNER_WORDS], size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* ---- who owns it ---- */

/* A uid in the document may be longer than one of Kubernetes'. */
static bool is_asked(const struct plan_owner *owner, const char *uid)
{
	return strncmp(owner->uid, uid, sizeof(owner->uid) - 1) == 0;
}

enum plan_need plan_judge_owner(const struct plan_view *view, const struct plan_memory *memory,
				const char *uid, const char *name, size_t bit)
{
	const struct plan_owner *owner = &memory->owner;
	bool valid = owner->generation == view->object->generation;

	if (!api_is_object_name(name)) /* or none at all: nobody can be asked */
		return NEED_NOTHING;
	if (valid && has_bit(owner->free, bit) && is_asked(owner, uid) &&
	    view->now_ms - owner->asked_ms < PLAN_OWNER_MS)
		return NEED_NOTHING;
	if (valid && has_bit(owner->held, bit) && view->now_ms - owner->since_ms < PLAN_OWNER_MS)
		return NEED_CONFLICT;
	return NEED_OWNER;
}

/* ---- who may register ---- */

/* By domain too: the Secret may have been emptied while the POST ran. */
static bool has_work(const struct plan_memory *memory, const char *domain, const char *nonce)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		if (memory->works[i].state != PLAN_WORK_NONE &&
		    (strcmp(memory->works[i].domain, domain) == 0 ||
		     strcmp(memory->works[i].nonce, nonce) == 0))
			return true;
	return false;
}

static bool is_spent(const struct plan_memory *memory, const char *nonce)
{
	size_t i;

	for (i = 0; i < PLAN_SPENT; i++)
		if (strcmp(memory->spent[i], nonce) == 0)
			return true;
	return false;
}

/* A nonce in the document may be longer than one of ours. */
const struct plan_foreign *plan_find_foreign(const struct plan_memory *memory, const char *nonce)
{
	size_t i;

	for (i = 0; i < PLAN_FOREIGN; i++)
		if (strncmp(memory->foreign[i].nonce, nonce, PLAN_NONCE_LEN - 1) == 0)
			return &memory->foreign[i];
	return NULL;
}

static void wake_at(struct plan_assessment *assessment, int64_t ms)
{
	if (ms < assessment->wake_ms)
		assessment->wake_ms = ms;
}

/* There is no entry: who may register one? Whose claim it is, this process's or another's, makes
 * no difference: without a work of this object nobody here knows what became of it. */
static enum plan_need judge_claim(const struct plan_view *view, const struct plan_memory *memory,
				  const struct ledger_entry *entry, struct plan_domain *domain,
				  struct plan_assessment *assessment)
{
	const struct plan_foreign *foreign;

	if (!*entry->nonce || is_spent(memory, entry->nonce))
		return NEED_CLAIM;
	foreign = plan_find_foreign(memory, entry->nonce);
	domain->counted = foreign && view->now_ms >= foreign->until_ms;
	if (domain->counted)
		return NEED_CLAIM;
	wake_at(assessment, foreign ? foreign->until_ms : view->now_ms + UNWATCHED_MS);
	assessment->unwatched += !foreign;
	return NEED_FOREIGN;
}

bool plan_must_watch(const struct plan_memory *memory, const struct plan_assessment *assessment)
{
	return assessment->unwatched && plan_find_foreign(memory, "");
}

/* The Secret says that the account's host and spec.host are one server. */
static bool is_same_server(const struct plan_view *view, const char *host)
{
	const char *text = view->secret.same_server;
	const char *blank = text ? strchr(text, ' ') : NULL;
	char from[URL_LEN];

	if (!blank || (size_t)(blank - text) >= sizeof(from))
		return false;
	(void)snprintf(from, sizeof(from), "%.*s", (int)(blank - text), text);
	return url_equal(from, host) && url_equal(blank + 1, view->object->spec.host);
}

/* There is an entry: is it an account that serves us? */
static enum plan_need judge_entry(const struct plan_view *view, const struct ledger_entry *entry)
{
	const char *host = plan_entry_host(entry);
	bool here = !*host || url_equal(host, view->object->spec.host);

	if (!entry->complete || !dnsname_is_hostname(entry->fulldomain))
		return NEED_INCOMPLETE;
	if (!here && !is_same_server(view, host))
		return NEED_HOST;
	if (entry->origin == LEDGER_NONE || !*entry->owner)
		return NEED_ADOPT;
	return here ? NEED_NOTHING : NEED_REHOST;
}

/* ---- rotation ---- */

bool plan_rotation_asked(const struct api_registration *object)
{
	const char *handled = object->status.handled_rotate;

	return *object->rotate && (!handled || strcmp(object->rotate, handled) != 0);
}

/* ---- loss ---- */

bool plan_had_account(const struct api_registration *object, const char *domain,
		      const struct ledger_entry *entry)
{
	return entry->origin != LEDGER_NONE || api_record_value(&object->status, domain);
}

/* Status may not have come to say that all is well again. */
static bool is_remade(const struct api_status *status, const struct ledger_entry *entry)
{
	return entry->loss_s >= 0 && entry->loss_s == status->loss_s;
}

/* After the loss that status tells of. */
static bool is_lost_again(const struct api_status *status, const struct plan_assessment *assessment)
{
	return status->conditions[API_REGISTERED].status == API_TRUE || assessment->remade;
}

bool plan_is_contested(const struct plan_view *view, const struct plan_assessment *assessment)
{
	const struct api_status *status = &view->object->status;

	if (status->conditions[API_REGISTERED].reason == API_REASON_SECRET_CONTESTED)
		return true;
	return is_lost_again(status, assessment) && status->loss_s >= 0 &&
	       view->wall_s - status->loss_s < CONTESTED_S;
}

bool plan_is_new_loss(const struct plan_view *view, const struct plan_assessment *assessment)
{
	const struct api_status *status = &view->object->status;

	return assessment->count[NEED_MISSING] && !plan_is_contested(view, assessment) &&
	       (status->loss_s < 0 || is_lost_again(status, assessment));
}

/* What should be there is not: somebody may put it back. Only when status has told of the loss, and
 * some time has passed, is it made again, once. */
static bool is_given_up(const struct plan_view *view, const struct plan_memory *memory,
			const struct ledger_entry *entry, struct plan_assessment *assessment)
{
	const struct api_status *status = &view->object->status;
	const struct api_condition *registered = &status->conditions[API_REGISTERED];
	int64_t until_ms = memory->missing_ms + view->lost_account_grace_ms;

	if (status->loss_s < 0 || !memory->missing_ms || is_remade(status, entry) ||
	    registered->status == API_TRUE || registered->reason == API_REASON_SECRET_CONTESTED)
		return false;
	if (view->now_ms < until_ms)
		wake_at(assessment, until_ms);
	return view->now_ms >= until_ms;
}

/* Of this domain, which is ours. */
static bool wants_rotation(const struct plan_view *view, const struct ledger_entry *entry)
{
	return plan_rotation_asked(view->object) &&
	       strcmp(view->object->rotate, entry->rotated) != 0;
}

/* The account that is to be the entry is there already. */
static bool waits_here(const struct plan_view *view, const struct ledger_entry *entry)
{
	return url_equal(entry->next_host, view->object->spec.host);
}

/* Make before break: the entry stays until the CNAME leads to the account that follows it. */
static enum plan_need judge_switch(const struct plan_view *view, struct plan_domain *domain,
				   const char *name)
{
	if (!view->object->spec.verify || !dnsname_is_hostname(domain->spare))
		return NEED_SWITCH;
	domain->next = domain->spare;
	return plan_leads_to(view, name, domain->next) ? NEED_SWITCH : NEED_CNAME;
}

/* The domain has an account, which is to be replaced. At the same host that is always a new one. */
static enum plan_need judge_rotation(const struct plan_view *view, const struct plan_memory *memory,
				     const struct ledger_entry *entry, size_t i,
				     struct plan_assessment *assessment)
{
	struct plan_domain *domain = &assessment->domains[i];

	if (waits_here(view, entry) || (domain->need == NEED_HOST && domain->spare))
		return judge_switch(view, domain, view->object->spec.domains[i]);
	domain->rotates = true;
	return judge_claim(view, memory, entry, domain, assessment);
}

static enum plan_need judge_missing(const struct plan_view *view, const struct plan_memory *memory,
				    const struct ledger_entry *entry, struct plan_domain *domain,
				    struct plan_assessment *assessment)
{
	if (domain->asked && waits_here(view, entry))
		return NEED_SWITCH;
	if (domain->asked || is_given_up(view, memory, entry, assessment))
		return judge_claim(view, memory, entry, domain, assessment);
	assessment->remade += is_remade(&view->object->status, entry);
	return NEED_MISSING;
}

/* The domain is ours, or nobody's, and no work of ours is about it. */
static enum plan_need judge_own(const struct plan_view *view, const struct plan_memory *memory,
				const struct ledger_entry *entry, size_t i,
				struct plan_assessment *assessment)
{
	struct plan_domain *domain = &assessment->domains[i];

	if (entry->present)
		return domain->asked && (domain->need == NEED_NOTHING || domain->need == NEED_HOST)
			       ? judge_rotation(view, memory, entry, i, assessment)
			       : domain->need;
	if (domain->missing)
		return judge_missing(view, memory, entry, domain, assessment);
	return judge_claim(view, memory, entry, domain, assessment);
}

/* What is so whatever is to be done about it. */
static void note_state(const struct plan_view *view, const struct ledger_entry *entry, size_t i,
		       struct plan_domain *domain)
{
	const struct api_registration *object = view->object;
	bool owned = strcmp(entry->owner, object->uid) == 0;
	bool free = !*entry->owner;

	if (entry->present)
		domain->need = judge_entry(view, entry);
	else
		domain->missing = plan_had_account(object, object->spec.domains[i], entry);
	domain->served = owned && entry->present && domain->need == NEED_NOTHING;
	domain->named =
		domain->served ||
		((owned || free) && (domain->need == NEED_REHOST || domain->need == NEED_HOST));
	/* An account at another host that nobody has taken can only be replaced. */
	domain->asked = (owned || (free && (domain->missing || domain->need == NEED_HOST))) &&
			wants_rotation(view, entry);
}

static void assess_domain(const struct plan_view *view, const struct plan_memory *memory,
			  const struct ledger_entry *entry, size_t i,
			  struct plan_assessment *assessment)
{
	const struct api_registration *object = view->object;
	struct plan_domain *domain = &assessment->domains[i];

	note_state(view, entry, i, domain);
	if (has_work(memory, object->spec.domains[i], entry->nonce)) {
		domain->need = NEED_WORK;
		return;
	}
	if (*entry->owner && strcmp(entry->owner, object->uid) != 0) {
		enum plan_need judged =
			plan_judge_owner(view, memory, entry->owner, entry->owner_name, i);

		domain->take = judged == NEED_NOTHING;
		if (!domain->take) {
			domain->need = judged;
			domain->missing = false; /* that is for the other one to tell */
			return;
		}
	}
	domain->need = judge_own(view, memory, entry, i, assessment);
}

/* ---- Shared: one account for all domains that have none ---- */

static int find_need(const struct plan_assessment *assessment, size_t len, enum plan_need need)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (assessment->domains[i].need == need)
			return (int)i;
	return -1;
}

/* One that has its account, or has it by the end of the edit that shares it. */
static int find_source(const struct plan_view *view, const struct ledger *ledger,
		       const struct plan_assessment *assessment)
{
	static const enum plan_need needs[] = {NEED_NOTHING, NEED_ADOPT, NEED_REHOST, NEED_SWITCH};
	const struct api_spec *spec = &view->object->spec;
	size_t n;
	size_t i;

	for (n = 0; n < ARRAY_LEN(needs); n++)
		for (i = 0; i < spec->domains_len; i++)
			if (assessment->domains[i].need == needs[n] &&
			    ledger_is_sharable(ledger, view->secret.key, spec->domains[i]))
				return (int)i;
	return -1;
}

static void assess_sharing(const struct plan_view *view, const struct ledger *ledger,
			   struct plan_assessment *assessment)
{
	size_t len = view->object->spec.domains_len;
	int source = find_source(view, ledger, assessment);
	enum plan_need instead = NEED_CLAIM;
	size_t i;

	if (source >= 0)
		instead = NEED_SHARE;
	else if (find_need(assessment, len, NEED_WORK) >= 0)
		instead = NEED_WORK;
	else if (find_need(assessment, len, NEED_FOREIGN) >= 0)
		instead = NEED_FOREIGN; /* it may bring the account for all */
	else if (find_need(assessment, len, NEED_CNAME) >= 0)
		instead = NEED_CNAME; /* the account for all waits for the CNAMEs of the others */
	for (i = 0; i < len; i++)
		if (assessment->domains[i].need == NEED_CLAIM && !assessment->domains[i].rotates)
			assessment->domains[i].need = instead;
	assessment->shared_source = source;
}

/* ---- all of them ---- */

static void count_needs(size_t len, struct plan_assessment *assessment)
{
	size_t i;

	for (i = 0; i < NEEDS; i++)
		assessment->first[i] = -1;
	for (i = len; i-- > 0;) {
		enum plan_need need = assessment->domains[i].need;

		assessment->count[need]++;
		assessment->first[need] = (int)i;
		assessment->takes += assessment->domains[i].take;
		assessment->served += assessment->domains[i].served;
		assessment->missing += assessment->domains[i].missing;
		assessment->rotating += assessment->domains[i].asked;
	}
}

void plan_assess(const struct plan_view *view, const struct plan_memory *memory,
		 const struct ledger *ledger, struct plan_assessment *ret)
{
	const struct api_spec *spec = &view->object->spec;
	struct ledger_entry entry;
	size_t i;

	*ret = (struct plan_assessment){.wake_ms = INT64_MAX};
	for (i = 0; i < spec->domains_len; i++) {
		ledger_look(ledger, view->secret.key, spec->domains[i], &entry);
		ret->domains[i].spare =
			ledger_spare(ledger, view->secret.key, spec->domains[i], spec->host);
		assess_domain(view, memory, &entry, i, ret);
	}
	if (spec->policy == API_SHARED)
		assess_sharing(view, ledger, ret);
	count_needs(spec->domains_len, ret);
	ret->removals = plan_removals(view, memory, ledger);
	plan_assess_tags(view, memory, ledger, &ret->tags);
	if (ret->count[NEED_CONFLICT] || ret->tags.held)
		wake_at(ret, memory->owner.since_ms + PLAN_OWNER_MS);
}
