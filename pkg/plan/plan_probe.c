/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Do the servers still take the accounts? A round asks each account of the object once, and ends in
 * one finding, the worst. What a server says stands until it says something else; that it does not
 * answer is no news of the accounts, so a round without an answer is told instead only if a person
 * has asked for it, or after MISSES_MOST in a row.
 */

#include <stdio.h>
#include <string.h>

#include "base/fnv.h"
#include "plan/plan_impl.h"

#define MISSES_MOST 3
/* What may be over soon is asked again soon: a server that is away, or cannot read its database and
 * so takes nobody's credentials, or whose account was put back. */
#define SOON_MS	   600000
#define JITTER_PER 5 /* up to a fifth more */

/* ---- findings ---- */

/* The worst first. */
static const struct finding {
	enum api_reason reason;
	bool missed; /* no account was asked, or no answer came */
} findings[] = {
	{API_REASON_CREDENTIALS_REJECTED, false},
	{API_REASON_ADDRESS_NOT_ALLOWED, false},
	{API_REASON_INVALID_REFERENCE, true},
	{API_REASON_HOST_NOT_ALLOWED, true},
	{API_REASON_HOST_ADDRESS_REFUSED, true},
	{API_REASON_SERVER_UNAVAILABLE, true},
	{API_REASON_HOST_UNKNOWN, false},
	{API_REASON_PROBE_UNSUPPORTED, false},
	{API_REASON_ACCEPTED, false},
};

/* ARRAY_LEN(findings): it is none. */
static size_t rank(enum api_reason reason)
{
	size_t i = 0;

	while (i < ARRAY_LEN(findings) && findings[i].reason != reason)
		i++;
	return i;
}

static bool is_miss(enum api_reason reason)
{
	size_t i = rank(reason);

	return i < ARRAY_LEN(findings) && findings[i].missed;
}

bool plan_is_finding(enum api_reason reason)
{
	return rank(reason) < ARRAY_LEN(findings);
}

/* What is told of a round is the first of its worst. */
static void note(struct plan_round *round, enum api_reason reason, const char *domain,
		 const char *message)
{
	if (rank(reason) >= rank(round->reason))
		return;
	round->reason = reason;
	memset(round->message, 0, sizeof(round->message));
	(void)snprintf(round->message, sizeof(round->message), "%s%s%s", domain,
		       *domain ? ": " : "", message);
}

/* ---- what an account looks like ---- */

static uint64_t digest_of(const char *text)
{
	return fnv_text(FNV_BEGIN, text);
}

/* Never 0. */
static uint64_t account_digest(const struct plan_view *view, size_t i)
{
	struct ledger_credentials credentials;

	ledger_look_credentials(view->secret.ledger, view->secret.key,
				view->object->spec.domains[i], &credentials);
	return fnv_text(fnv_text(digest_of(credentials.username), credentials.password),
			credentials.subdomain) |
	       1;
}

/* ---- whom to ask ---- */

/* The one question on which it hangs where credentials go: the entry says that it is of spec.host,
 * or says nothing and the Secret does. */
static bool is_of_host(const struct plan_view *view, size_t i)
{
	struct ledger_entry entry;
	const char *host;

	ledger_look(view->secret.ledger, view->secret.key, view->object->spec.domains[i], &entry);
	host = *entry.server_url ? entry.server_url : view->secret.host;
	return host && url_equal(host, view->object->spec.host);
}

/* Of each account that is to be asked; 0: none is, or an earlier domain has it. */
static void list_accounts(const struct plan_view *view, const struct plan_assessment *a,
			  uint64_t digests[API_MAX_DOMAINS])
{
	size_t i;
	size_t k;

	for (i = 0; i < view->object->spec.domains_len; i++) {
		digests[i] =
			a->domains[i].served && is_of_host(view, i) ? account_digest(view, i) : 0;
		for (k = 0; k < i; k++)
			if (digests[k] == digests[i])
				digests[i] = 0;
	}
}

/* All that the spec names. */
static uint64_t accounts_digest(const struct plan_view *view)
{
	uint64_t hash = 0;
	size_t i;

	for (i = 0; i < view->object->spec.domains_len; i++)
		hash = (hash ^ account_digest(view, i)) * FNV_PRIME;
	return hash;
}

static bool is_current(const struct plan_view *view, const struct plan_round *round)
{
	return round->generation == view->object->generation &&
	       round->act == digest_of(view->object->probe) &&
	       round->accounts == accounts_digest(view);
}

/* The next domain whose account is to be asked in the round; false: there is none. */
static bool find_next(const struct plan_view *view, const struct plan_memory *memory,
		      const struct plan_assessment *a, size_t *ret_domain)
{
	uint64_t digests[API_MAX_DOMAINS];
	size_t i = is_current(view, &memory->round) ? memory->round.next : 0;

	list_accounts(view, a, digests);
	while (i < view->object->spec.domains_len && !digests[i])
		i++;
	*ret_domain = i;
	return i < view->object->spec.domains_len;
}

bool plan_probe_trusts(const struct api_spec *spec)
{
	return spec->auth && (spec->auth->ca_pem || spec->auth->ca_config_map);
}

static bool lacks_trust(const struct plan_view *view)
{
	return plan_probe_trusts(&view->object->spec) && view->references == PLAN_REFERENCES_UNREAD;
}

/* Nothing can be asked now; the reason why, or API_REASON_OTHER. */
static enum api_reason obstacle(const struct plan_view *view, const struct plan_memory *memory,
				const char **ret_message)
{
	static const enum api_reason reasons[] = {
		[PLAN_HOST_UNRESOLVED] = API_REASON_OTHER,
		[PLAN_HOST_OK] = API_REASON_OTHER,
		[PLAN_HOST_FAILED] = API_REASON_SERVER_UNAVAILABLE,
		[PLAN_HOST_REFUSED] = API_REASON_HOST_ADDRESS_REFUSED,
		[PLAN_HOST_DOWN] = API_REASON_SERVER_UNAVAILABLE,
		[PLAN_HOST_NOT_ALLOWED] = API_REASON_HOST_NOT_ALLOWED,
	};
	const struct plan_failure *claim = &memory->claim;

	*ret_message = memory->claim_message;
	if (lacks_trust(view) && claim->reason == API_REASON_INVALID_REFERENCE &&
	    view->now_ms < claim->retry_ms)
		return API_REASON_INVALID_REFERENCE;
	*ret_message = view->host.message;
	return reasons[view->host.state];
}

/* ---- the decision ---- */

static bool is_asked_for(const struct api_registration *object)
{
	const char *handled = object->status.handled_probe;

	return *object->probe && (!handled || strcmp(object->probe, handled) != 0);
}

static bool is_wanted(const struct plan_view *view, const struct plan_memory *memory)
{
	const struct plan_probe *probe = &memory->probe;

	return is_asked_for(view->object) ||
	       (probe->due && probe->stopped != (uint32_t)view->object->generation);
}

void plan_probe(const struct plan_view *view, const struct plan_memory *memory,
		const struct plan_assessment *assessment, struct plan_action *action)
{
	const char *ignored;

	/* Registrations go first. */
	if (assessment->count[NEED_WORK] || action->wants_slot ||
	    plan_is_busy_elsewhere(view, memory))
		return;
	/* A host that is left alone is asked for its health while somebody waits. */
	action->wants_slot = memory->probe.misses && view->host.state == PLAN_HOST_DOWN;
	if (memory->round.asked || !assessment->served || !is_wanted(view, memory))
		return;
	if (!find_next(view, memory, assessment, &action->domain) ||
	    obstacle(view, memory, &ignored) != API_REASON_OTHER)
		action->what = PLAN_END_ROUND;
	else if (view->host.state == PLAN_HOST_UNRESOLVED)
		action->what = PLAN_RESOLVE_HOST;
	else if (view->host.slots == 0)
		action->wants_slot = true;
	else
		action->what = lacks_trust(view) ? PLAN_READ_REFERENCES : PLAN_PROBE;
}

/* ---- the round ---- */

void plan_fold_probe_due(struct plan_memory *memory)
{
	memory->probe.due = true;
}

/* If it is not under way. */
static void begin(struct plan_round *round, const struct plan_view *view)
{
	if (is_current(view, round))
		return;
	memset(round, 0, sizeof(*round));
	round->generation = view->object->generation;
	round->act = digest_of(view->object->probe);
	round->accounts = accounts_digest(view);
}

void plan_fold_probing(struct plan_memory *memory, const struct plan_view *view, size_t domain)
{
	struct plan_round *round = &memory->round;

	begin(round, view);
	round->next = (uint32_t)domain;
	round->asked = true;
}

static bool is_limited(const struct plan_view *view, size_t i)
{
	struct ledger_credentials credentials;

	ledger_look_credentials(view->secret.ledger, view->secret.key,
				view->object->spec.domains[i], &credentials);
	return credentials.limited;
}

static void judge(struct plan_round *round, const struct plan_view *view,
		  const struct acmedns_probe_result *result)
{
	static const struct {
		enum api_reason reason;
		bool of_server; /* it is not asked for the other accounts, then */
	} meanings[] = {
		[ACMEDNS_PROBE_ALIVE] = {API_REASON_ACCEPTED, false},
		[ACMEDNS_PROBE_REJECTED] = {API_REASON_CREDENTIALS_REJECTED, false},
		[ACMEDNS_PROBE_NOT_ACMEDNS] = {API_REASON_PROBE_UNSUPPORTED, true},
		[ACMEDNS_PROBE_UNKNOWN] = {API_REASON_SERVER_UNAVAILABLE, true},
		[ACMEDNS_PROBE_UNSUPPORTED] = {API_REASON_PROBE_UNSUPPORTED, false},
	};
	const size_t i = round->next++;
	const char *domain = view->object->spec.domains[i];

	if (result->verdict == ACMEDNS_PROBE_REJECTED && is_limited(view, i))
		note(round, API_REASON_ADDRESS_NOT_ALLOWED, domain,
		     "the server does not take the credentials: the account is gone, or its "
		     "allowfrom leaves out the address of this operator");
	else
		note(round, meanings[result->verdict].reason,
		     result->verdict == ACMEDNS_PROBE_ALIVE ? "" : domain, result->message);
	round->stops |= result->verdict == ACMEDNS_PROBE_NOT_ACMEDNS;
	if (!meanings[result->verdict].of_server)
		return;
	round->next = API_MAX_DOMAINS;
	round->retry_after_s = result->retry_after_s;
}

void plan_fold_probed(struct plan_memory *memory, const struct plan_view *view,
		      const struct acmedns_probe_result *result)
{
	struct plan_round *round = &memory->round;

	round->asked = false;
	if (view->object && view->secret.ledger && is_current(view, round))
		judge(round, view, result);
}

/* What no answer says: an account that belongs to nobody knows which host, and why the others were
 * not asked. */
static void note_unasked(struct plan_memory *memory, const struct plan_view *view)
{
	struct plan_round *round = &memory->round;
	struct plan_assessment a;
	const char *message;
	enum api_reason reason = obstacle(view, memory, &message);
	size_t i;

	plan_assess(view, memory, view->secret.ledger, &a);
	if (find_next(view, memory, &a, &i))
		note(round, reason, "", message);
	for (i = 0; i < view->object->spec.domains_len; i++)
		if (a.domains[i].served && !is_of_host(view, i))
			note(round, API_REASON_HOST_UNKNOWN, view->object->spec.domains[i],
			     "its entry in the Secret has no server_url, so its credentials are "
			     "not sent anywhere; annotate the Secret with " API_ANNOTATION_HOST
			     "=<spec.host> to allow it");
}

/* Something that status does not say. */
static bool is_news(const struct plan_view *view, const struct plan_round *round,
		    unsigned int misses)
{
	const struct api_condition *before =
		&view->object->status.conditions[API_CREDENTIALS_VALID];

	if (is_asked_for(view->object))
		return true;
	if (misses == 0)
		return before->reason != round->reason ||
		       strcmp(before->message, round->message) != 0;
	if (before->status == API_UNKNOWN && before->reason != API_REASON_ADDRESS_NOT_ALLOWED)
		return before->reason != round->reason;
	return misses >= MISSES_MOST;
}

static void conclude(struct plan_memory *memory, const struct plan_view *view)
{
	struct plan_finding *finding = &memory->finding;
	const struct plan_round *round = &memory->round;
	bool news = is_news(view, round, memory->probe.misses);

	if (news || memory->probe.misses == 0)
		memset(finding, 0, sizeof(*finding));
	if (!news)
		return;
	finding->reason = round->reason;
	finding->acted = is_asked_for(view->object);
	finding->act = digest_of(view->object->probe);
	memcpy(finding->message, round->message, sizeof(finding->message));
}

int64_t plan_probe_pause_ms(int64_t interval_ms, enum api_reason found)
{
	bool soon = found == API_REASON_CREDENTIALS_REJECTED || is_miss(found);

	return soon && interval_ms > SOON_MS ? SOON_MS : interval_ms;
}

int64_t plan_fold_round(struct plan_memory *memory, const struct plan_view *view)
{
	struct plan_round *round = &memory->round;
	struct plan_probe *probe = &memory->probe;
	int64_t pause_ms;
	int64_t asked_ms;

	begin(round, view);
	note_unasked(memory, view);
	if (!is_miss(round->reason))
		probe->misses = 0;
	else if (probe->misses < UINT8_MAX)
		probe->misses++;
	probe->stopped = round->stops ? (uint32_t)view->object->generation : 0;
	probe->due = false;
	conclude(memory, view);
	pause_ms = plan_probe_pause_ms(view->probe_interval_ms, round->reason);
	pause_ms += (int64_t)(view->random[0] % (uint64_t)(pause_ms / JITTER_PER + 1));
	asked_ms = (int64_t)round->retry_after_s * 1000;
	memset(round, 0, sizeof(*round));
	return asked_ms > pause_ms ? asked_ms : pause_ms;
}

bool plan_is_probe_done(const struct api_registration *object, const struct plan_finding *finding)
{
	return finding->acted && finding->act == digest_of(object->probe);
}
