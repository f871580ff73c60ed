/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What status says of the CNAMEs. What this process has seen in DNS comes first; then what status
 * said before, so that a restart changes nothing until something else is seen.
 */

#include <stdio.h>
#include <string.h>

#include "base/fnv.h"
#include "plan/plan_impl.h"

uint64_t plan_record_digest(const char *domain, const char *value)
{
	return fnv_text(fnv_text(FNV_BEGIN, domain), value);
}

static const struct plan_seen *find_digest(const struct plan_view *view, uint64_t digest)
{
	size_t i;

	for (i = 0; i < view->seen_len; i++)
		if (view->seen[i].digest == digest && view->seen[i].told)
			return &view->seen[i];
	return NULL;
}

static const struct plan_seen *find_seen(const struct plan_view *view,
					 const struct api_record *record)
{
	return find_digest(view, plan_record_digest(record->domain, record->value));
}

/* ---- records ---- */

/* Of the record alone: what is wrong with the zone that it leads to is told by CNAMEReady. */
static enum cname_verdict of_record(enum cname_verdict verdict)
{
	return cname_is_of_zone(verdict) ? CNAME_FOUND : verdict;
}

/* What status says of the record, which may be the one that was to follow; NULL: nothing. */
static const struct api_record *find_said(const struct api_status *status,
					  const struct api_record *record)
{
	const struct api_record *said = api_record_find(status, record->domain);

	while (said && strcmp(said->value, record->value) != 0)
		said = said->next;
	return said;
}

static void fill(const struct plan_view *view, struct api_record *record)
{
	const struct plan_seen *seen = find_seen(view, record);
	const struct api_record *said = find_said(&view->object->status, record);

	if (seen)
		api_record_set(record, of_record(seen->verdict), seen->observed);
	else if (said)
		api_record_set(record, said->verification, said->observed);
}

static bool leads(enum cname_verdict verdict)
{
	return of_record(verdict) == CNAME_FOUND;
}

bool plan_leads_to(const struct plan_view *view, const char *domain, const char *value)
{
	const struct plan_seen *seen = find_digest(view, plan_record_digest(domain, value));

	return seen && leads(seen->verdict);
}

bool plan_is_moved(const struct api_record *record)
{
	return record->next &&
	       (leads(record->next->verification) ||
		(record->observed && strcmp(record->observed, record->next->value) == 0));
}

/* ---- CNAMEReady ---- */

/* The worst first; the rank is the place in it. */
static const struct meaning {
	enum cname_verdict verdict;
	enum api_reason reason;
	enum api_status_value value;
} meanings[] = {
	{CNAME_MISMATCH, API_REASON_CNAME_MISMATCH, API_FALSE},
	{CNAME_MISSING, API_REASON_CNAME_MISSING, API_FALSE},
	{CNAME_UNDELEGATED, API_REASON_ZONE_NOT_DELEGATED, API_FALSE},
	{CNAME_SIGNED, API_REASON_ZONE_SIGNED, API_FALSE},
	{CNAME_UNKNOWN, API_REASON_DNS_UNAVAILABLE, API_UNKNOWN},
	{CNAME_FOUND, API_REASON_CNAME_FOUND, API_TRUE},
};

static size_t rank_of(enum cname_verdict verdict)
{
	size_t i = 0;

	while (meanings[i].verdict != verdict)
		i++;
	return i;
}

/* Of one record, with what is known of it. */
struct sight {
	const struct api_record *record;
	const struct plan_seen *seen; /* NULL: nothing in this process */
	bool named;		      /* the message that stands is about it */
	size_t rank;
};

static bool is_named(const struct api_condition *before, const struct api_record *record)
{
	char owner[DNSNAME_LEN + 1];
	int len = snprintf(owner, sizeof(owner), "%s%s:", DNSNAME_CHALLENGE, record->domain);

	return before->present && strncmp(before->message, owner, (size_t)len) == 0;
}

/* status.records has no word for the zone that a CNAME leads to: the condition's reason tells. */
static enum cname_verdict said_of_zone(enum api_reason reason)
{
	if (reason == API_REASON_ZONE_NOT_DELEGATED)
		return CNAME_UNDELEGATED;
	return reason == API_REASON_ZONE_SIGNED ? CNAME_SIGNED : CNAME_FOUND;
}

enum cname_verdict plan_said(const struct api_status *status, const struct api_record *record)
{
	const struct api_condition *before = &status->conditions[API_CNAME_READY];

	if (record->verification != CNAME_FOUND || !is_named(before, record))
		return record->verification;
	return said_of_zone(before->reason);
}

static struct sight look_at(const struct plan_view *view, const struct api_record *record)
{
	const struct api_status *before = &view->object->status;
	struct sight sight = {.record = record,
			      .seen = find_seen(view, record),
			      .named = is_named(&before->conditions[API_CNAME_READY], record)};
	enum cname_verdict verdict = sight.seen ? sight.seen->verdict : plan_said(before, record);

	sight.rank = rank_of(plan_is_moved(record) ? CNAME_FOUND : verdict);
	return sight;
}

/* Where somebody has to have the CNAME lead: what external-dns is asked for is to follow already.
 */
static const char *target_of(const struct plan_view *view, const struct api_record *record)
{
	return record->next && plan_is_handed_over(view, record->domain) ? record->next->value
									 : record->value;
}

/* For people; begins with the record's name, see is_named(). */
static void describe(const struct plan_view *view, const struct sight *sight, char *ret, size_t len)
{
	const struct api_record *record = sight->record;
	const char *zone = strchr(record->value, '.');
	const char *why = sight->seen ? cname_reason_text(sight->seen->reason) : "no CNAME";

	switch ((int)meanings[sight->rank].verdict) {
	case CNAME_MISSING:
		(void)snprintf(ret, len, "%s%s: %s; %s a CNAME to %s", DNSNAME_CHALLENGE,
			       record->domain, why,
			       plan_is_handed_over(view, record->domain)
				       ? "the DNSEndpoint asks external-dns for"
				       : "add",
			       target_of(view, record));
		break;
	case CNAME_MISMATCH:
		(void)snprintf(ret, len, "%s%s: %s%s; it has to lead to %s", DNSNAME_CHALLENGE,
			       record->domain,
			       record->observed ? "the CNAME, or a wildcard's, leads to " : why,
			       record->observed ? record->observed : "", target_of(view, record));
		break;
	case CNAME_UNDELEGATED:
	case CNAME_SIGNED:
		(void)snprintf(ret, len, "%s%s: leads to the zone %s: %s", DNSNAME_CHALLENGE,
			       record->domain, zone ? zone + 1 : record->value, why);
		break;
	case CNAME_UNKNOWN:
		(void)snprintf(ret, len, "%s%s: %s", DNSNAME_CHALLENGE, record->domain, why);
		break;
	default:
		(void)snprintf(ret, len, "every CNAME leads to its account");
		break;
	}
}

static void set_sight(const struct plan_view *view, const struct sight *sight,
		      struct api_status *want)
{
	const struct meaning *meaning = &meanings[sight->rank];
	const struct api_condition *before = &view->object->status.conditions[API_CNAME_READY];
	char message[3 * DNSNAME_LEN + 200];

	if (!sight->seen && sight->named && before->reason == meaning->reason) {
		api_status_set(want, API_CNAME_READY, meaning->value, meaning->reason,
			       before->message);
	} else if (!sight->seen && meaning->verdict == CNAME_UNKNOWN) {
		api_status_set(want, API_CNAME_READY, API_UNKNOWN, API_REASON_NOT_VERIFIED,
			       "not every CNAME was looked up yet");
	} else {
		describe(view, sight, message, sizeof(message));
		api_status_set(want, API_CNAME_READY, meaning->value, meaning->reason, message);
	}
}

static void set_ready(const struct plan_view *view, struct api_status *want)
{
	struct sight worst = {.rank = ARRAY_LEN(meanings)};
	size_t i;

	for (i = 0; i < want->records_len; i++) {
		struct sight sight = look_at(view, &want->records[i]);

		if (sight.rank < worst.rank)
			worst = sight;
	}
	if (!worst.record || (want->records_len < view->object->spec.domains_len &&
			      worst.rank >= rank_of(CNAME_UNKNOWN)))
		api_status_set(want, API_CNAME_READY, API_UNKNOWN, API_REASON_NOT_VERIFIED,
			       "not every domain has an account that a CNAME could lead to");
	else
		set_sight(view, &worst, want);
}

static const char *verify_handled(const struct plan_view *view)
{
	return view->verified ? view->object->verify : view->object->status.handled_verify;
}

const char *plan_cname(const struct plan_view *view, const struct plan_memory *memory,
		       struct api_status *want)
{
	bool verify = view->object->spec.verify;
	size_t i;

	for (i = 0; verify && i < want->records_len; i++) {
		fill(view, &want->records[i]);
		if (want->records[i].next)
			fill(view, want->records[i].next);
	}
	/* What keeps a CNAME from being made comes before that it is not there. */
	if (plan_tell_endpoint(view, memory, want))
		return verify_handled(view);
	if (verify)
		set_ready(view, want);
	else
		api_status_set(want, API_CNAME_READY, API_UNKNOWN, API_REASON_VERIFICATION_DISABLED,
			       "spec.cname.verify is false, so no CNAME is looked up");
	return verify_handled(view);
}

bool plan_is_drift(const struct api_registration *object, const struct api_status *written)
{
	size_t i;

	for (i = 0; i < written->records_len; i++) {
		const struct api_record *after = &written->records[i];
		const struct api_record *before = api_record_find(&object->status, after->domain);

		if (before && before->verification == CNAME_FOUND && !plan_is_moved(after) &&
		    cname_is_wrong(after->verification) && strcmp(before->value, after->value) == 0)
			return true;
	}
	return false;
}
