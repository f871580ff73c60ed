/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "plan/plan_impl.h"

/* What an event's note may hold, with a NUL. */
#define MESSAGE_LEN 1024
/* TXT values that acme-dns keeps of an account: each name that is validated needs one. */
#define SHARED_MOST 2

/* One condition in the making. */
struct verdict {
	enum api_status_value value;
	enum api_reason reason;
	bool stalls; /* whatever the reason: nothing but another spec can heal it */
	char message[MESSAGE_LEN];
};

static struct verdict verdict(enum api_status_value value, enum api_reason reason,
			      const char *message)
{
	struct verdict v = {.value = value, .reason = reason};

	(void)snprintf(v.message, sizeof(v.message), "%s", message);
	return v;
}

/* What only a person can heal; trying again cannot. */
static bool is_stalling(enum api_reason reason)
{
	switch ((int)reason) {
	case API_REASON_INVALID_ALLOW_FROM:
	case API_REASON_HOST_NOT_ALLOWED:
	case API_REASON_HOST_ADDRESS_REFUSED:
	case API_REASON_HOST_CHANGED:
	case API_REASON_DOMAIN_CONFLICT:
	case API_REASON_SECRET_CONTESTED:
	case API_REASON_ACCOUNT_INCOMPLETE:
	case API_REASON_UNSUPPORTED_FIELD:
	case API_REASON_SECRET_UNPARSABLE:
	case API_REASON_SECRET_IMMUTABLE:
	case API_REASON_SECRET_NOT_ADOPTED:
	case API_REASON_SECRET_TOO_LARGE:
	case API_REASON_CREDENTIALS_REJECTED:
		return true;
	default:
		return false;
	}
}

/* ---- Registered ---- */

struct obstacle {
	enum plan_need need;
	enum api_reason reason;
	const char *what; /* follows the domain's name */
};

/* The first that applies is told. */
static const struct obstacle obstacles[] = {
	{NEED_CONFLICT, API_REASON_DOMAIN_CONFLICT,
	 "which uses this Secret too; remove the domain from one of them"},
	{NEED_HOST, API_REASON_HOST_CHANGED,
	 "has its account at another host than spec.host; set spec.host back, or annotate the "
	 "object with " API_ANNOTATION_ROTATE "=<a new value> for a new account, or, if it is the "
	 "same server, the Secret with " API_ANNOTATION_SAME_SERVER},
	{NEED_MISSING, API_REASON_ACCOUNT_MISSING,
	 "had an account, and its entry is gone from the Secret; unless it is put back soon, a new "
	 "one is made, and the CNAME has to be changed"},
	{NEED_INCOMPLETE, API_REASON_ACCOUNT_INCOMPLETE,
	 "has an entry in the Secret without username, password, subdomain or fulldomain; "
	 "complete it from a backup"},
};

/* Instead of AccountMissing. */
static const struct obstacle lost_again = {
	NEED_MISSING, API_REASON_SECRET_CONTESTED,
	"lost its account for the second time in a day: something else writes this Secret; stop "
	"that, then put the entry back or rotate"};

static bool name_hosts(const char *domain, const char *what, const char *from, const char *to,
		       struct verdict *v)
{
	return (size_t)snprintf(v->message, sizeof(v->message), "%s %s=\"%s %s\"", domain, what,
				from, to) < sizeof(v->message);
}

/* What the Secret calls a host may be no URL, or a long one. */
static void tell_hosts(const struct plan_view *view, const char *domain, const char *what,
		       struct verdict *v)
{
	struct ledger_entry entry;
	const char *from;

	ledger_look(view->secret.ledger, view->secret.key, domain, &entry);
	from = plan_entry_host(&entry);
	if (!url_equal(from, from) || !name_hosts(domain, what, from, view->object->spec.host, v))
		(void)name_hosts(domain, what, "<old URL>", "<new URL>", v);
}

/* The names of the domain and, of two objects that want it, the other one. */
static void name_domain(const struct plan_view *view, const struct obstacle *obstacle, int first,
			struct verdict *v)
{
	const char *domain = view->object->spec.domains[first];
	struct ledger_entry entry;

	if (obstacle->need == NEED_HOST) {
		tell_hosts(view, domain, obstacle->what, v);
		return;
	}
	if (obstacle->need != NEED_CONFLICT) {
		(void)snprintf(v->message, sizeof(v->message), "%s %s", domain, obstacle->what);
		return;
	}
	ledger_look(view->secret.ledger, view->secret.key, domain, &entry);
	(void)snprintf(v->message, sizeof(v->message),
		       "%s belongs to the AcmeDnsRegistration %s, %s", domain,
		       dnsname_is_hostname(entry.owner_name) ? entry.owner_name : "of another name",
		       obstacle->what);
}

static struct verdict registering(const struct plan_view *view, const struct plan_memory *memory,
				  const struct plan_assessment *a)
{
	const struct plan_failure *failure = &memory->claim;
	struct verdict failed = verdict(API_FALSE, failure->reason, memory->claim_message);

	failed.stalls = failure->retry_ms == PLAN_NEVER;
	if (failure->reason != API_REASON_OTHER && failure->reason != API_REASON_SECRET_TOO_LARGE)
		return failed;
	if (a->count[NEED_CLAIM] && view->host.state == PLAN_HOST_NOT_ALLOWED)
		return verdict(API_FALSE, API_REASON_HOST_NOT_ALLOWED, view->host.message);
	if (a->count[NEED_CLAIM] && view->host.state == PLAN_HOST_REFUSED)
		return verdict(API_FALSE, API_REASON_HOST_ADDRESS_REFUSED, view->host.message);
	if (a->count[NEED_CLAIM] &&
	    (view->host.state == PLAN_HOST_FAILED || view->host.state == PLAN_HOST_DOWN))
		return verdict(API_FALSE, API_REASON_SERVER_UNAVAILABLE, view->host.message);
	if (a->count[NEED_CNAME])
		return verdict(
			API_UNKNOWN, API_REASON_REGISTERING,
			"the accounts that are to follow are there; each takes its place when "
			"the CNAME leads to what status.records[].next says");
	return verdict(API_UNKNOWN, API_REASON_REGISTERING, "accounts are being registered");
}

static bool is_complete(const struct plan_view *view, const struct plan_assessment *a)
{
	return a->served == view->object->spec.domains_len;
}

static struct verdict awaiting_secret(void)
{
	return verdict(API_UNKNOWN, API_REASON_REGISTERING,
		       "the Secret has to be usable first, see SecretReady");
}

/* That accounts are missing is not forgotten while the Secret cannot be looked at. */
static struct verdict unassessed(const struct api_registration *object)
{
	const struct api_condition *before = &object->status.conditions[API_REGISTERED];

	if (before->reason == API_REASON_ACCOUNT_MISSING ||
	    before->reason == API_REASON_SECRET_CONTESTED)
		return verdict(before->status, before->reason, before->message);
	return awaiting_secret();
}

static struct verdict registered(const struct plan_view *view, const struct plan_memory *memory,
				 const struct plan_assessment *a)
{
	size_t i;

	if (view->object->spec.unsupported)
		return verdict(API_FALSE, API_REASON_UNSUPPORTED_FIELD,
			       view->object->spec.unsupported);
	if (!a)
		return unassessed(view->object);
	for (i = 0; i < ARRAY_LEN(obstacles); i++) {
		const struct obstacle *obstacle = &obstacles[i];
		int first = a->first[obstacle->need];
		struct verdict v;

		if (first < 0)
			continue;
		if (obstacle->need == NEED_MISSING && plan_is_contested(view, a))
			obstacle = &lost_again;
		v = verdict(API_FALSE, obstacle->reason, "");
		name_domain(view, obstacle, first, &v);
		return v;
	}
	if (is_complete(view, a))
		return verdict(API_TRUE, API_REASON_REGISTERED_ALL,
			       "every domain has an account at spec.host");
	return registering(view, memory, a);
}

/* ---- SecretReady ---- */

static const char *secret_message(const struct plan_view *view, enum api_reason reason)
{
	switch ((int)reason) {
	case API_REASON_SECRET_UNPARSABLE:
		return view->secret.unparsable;
	case API_REASON_SECRET_IMMUTABLE:
		return "the Secret is immutable; replace it by one that is not";
	case API_REASON_SECRET_NOT_ADOPTED:
		return view->secret.opaque
			       ? "the Secret was not made by this operator and holds no account; "
				 "annotate it with " API_ANNOTATION_ADOPT "=true to let it be used"
			       : "the Secret is not of type Opaque; name another one in a new "
				 "object";
	case API_REASON_SECRET_TOO_LARGE:
		return "the Secret would pass 1 MiB; move some of the domains to a new object with "
		       "another Secret";
	case API_REASON_SECRET_DENIED:
		return "the API server denies access to the Secret; check the operator's RBAC, "
		       "quotas and admission policies";
	case API_REASON_NAMESPACE_TERMINATING:
		return "the namespace is being terminated";
	default:
		return "the API server does not answer for the Secret";
	}
}

bool plan_is_told(const struct plan_failure *failure)
{
	/* An API server that does not answer once or twice is no news. */
	return failure->reason != API_REASON_OTHER &&
	       (failure->reason != API_REASON_SECRET_UNAVAILABLE || failure->times > 2);
}

/* API_REASON_OTHER: nothing is wrong. */
static enum api_reason secret_trouble(const struct plan_view *view,
				      const struct plan_memory *memory,
				      const struct plan_assessment *a)
{
	if (plan_is_told(&memory->read))
		return memory->read.reason;
	if (!a || !plan_wants_edit(a))
		return plan_secret_problem(view);
	if (view->secret.immutable)
		return API_REASON_SECRET_IMMUTABLE;
	if (plan_is_told(&memory->write))
		return memory->write.reason;
	return memory->claim.reason == API_REASON_SECRET_TOO_LARGE ? memory->claim.reason
								   : API_REASON_OTHER;
}

/* The accounts are stored all the same. */
static struct verdict template_conflict(const struct plan_view *view,
					const struct plan_assessment *a)
{
	struct verdict v = verdict(API_TRUE, API_REASON_TEMPLATE_CONFLICT, "");

	plan_tag_message(view, &a->tags, v.message, sizeof(v.message));
	return v;
}

static struct verdict secret_ready(const struct plan_view *view, const struct plan_memory *memory,
				   const struct plan_assessment *a)
{
	enum api_reason trouble = API_REASON_OTHER;

	if (!view->object->spec.unsupported)
		trouble = secret_trouble(view, memory, a);
	if (trouble != API_REASON_OTHER)
		return verdict(API_FALSE, trouble, secret_message(view, trouble));
	if (!a)
		return verdict(API_UNKNOWN, API_REASON_REGISTERING,
			       "the Secret is not looked at yet, see Registered");
	if (is_complete(view, a) && a->tags.conflict)
		return template_conflict(view, a);
	if (is_complete(view, a))
		return verdict(API_TRUE, API_REASON_STORED, "the Secret holds every account");
	return verdict(API_UNKNOWN, API_REASON_REGISTERING,
		       "the Secret does not hold every account at spec.host yet, see Registered");
}

/* ---- CredentialsValid ---- */

static enum api_status_value finding_value(enum api_reason reason)
{
	if (reason == API_REASON_ACCEPTED)
		return API_TRUE;
	return reason == API_REASON_CREDENTIALS_REJECTED ? API_FALSE : API_UNKNOWN;
}

/* An account that status names has another in its place, or is none of the object's any more. */
static bool are_others(const struct api_status *have, const struct api_status *want)
{
	size_t i;

	for (i = 0; i < have->records_len; i++) {
		const char *value = api_record_value(want, have->records[i].domain);

		if (!value || strcmp(value, have->records[i].value) != 0)
			return true;
	}
	return false;
}

/* What was found stands until something else is, or other accounts are there: want names them. */
static struct verdict credentials_valid(const struct plan_view *view,
					const struct plan_memory *memory,
					const struct api_status *want)
{
	const struct plan_finding *finding = &memory->finding;
	const struct api_status *have = &view->object->status;
	const struct api_condition *before = &have->conditions[API_CREDENTIALS_VALID];

	if (!are_others(have, want)) {
		if (finding->reason != API_REASON_OTHER)
			return verdict(finding_value(finding->reason), finding->reason,
				       finding->message);
		if (plan_is_finding(before->reason))
			return verdict(finding_value(before->reason), before->reason,
				       before->message);
	}
	return verdict(API_UNKNOWN, API_REASON_NOT_PROBED,
		       "the server was not asked yet whether it takes the credentials; annotate "
		       "the object with " API_ANNOTATION_PROBE "=<a new value> to have it asked");
}

static const char *probe_handled(const struct api_registration *object,
				 const struct plan_memory *memory)
{
	return plan_is_probe_done(object, &memory->finding) ? object->probe
							    : object->status.handled_probe;
}

/* ---- the summary ---- */

/* The fulldomains of the accounts that we registered ourselves; false when one of them has another
 * allowfrom than spec. */
static bool are_as_registered(const struct plan_view *view, const char **ret_names, size_t *ret_len)
{
	const struct api_spec *spec = &view->object->spec;
	const struct ledger *ledger = view->secret.ledger;
	struct ledger_entry entry;
	size_t i;

	*ret_len = 0;
	for (i = 0; i < spec->domains_len; i++) {
		ledger_look(ledger, view->secret.key, spec->domains[i], &entry);
		if (entry.origin != LEDGER_REGISTERED)
			continue;
		if (!ledger_allows(ledger, view->secret.key, spec->domains[i], spec->allow_from,
				   spec->allow_from_len))
			return false;
		ret_names[(*ret_len)++] = entry.fulldomain;
	}
	return true;
}

static bool keep_to_policy(enum api_policy policy, const char *const *names, size_t len)
{
	size_t i;
	size_t k;

	for (i = 0; i < len; i++)
		for (k = 0; k < i; k++)
			if ((strcmp(names[i], names[k]) == 0) != (policy == API_SHARED))
				return false;
	return true;
}

/* What a rotation would change, for people; NULL: nothing. */
static const char *rotation_needed(const struct plan_view *view)
{
	const char *names[API_MAX_DOMAINS];
	size_t len;

	if (!are_as_registered(view, names, &len))
		return "accounts were registered with another spec.allowFrom, which the server "
		       "cannot change; annotate the object with " API_ANNOTATION_ROTATE
		       "=<a new value> to have new ones";
	if (!keep_to_policy(view->object->spec.policy, names, len))
		return "accounts were registered under another spec.accountPolicy; annotate the "
		       "object with " API_ANNOTATION_ROTATE "=<a new value> to have new ones";
	return NULL;
}

static struct verdict all_is_well(const struct plan_view *view, const struct plan_assessment *a)
{
	const char *needed = a->rotating ? NULL : rotation_needed(view);

	if (needed)
		return verdict(API_TRUE, API_REASON_ROTATION_NEEDED, needed);
	if (a->tags.conflict)
		return template_conflict(view, a);
	if (view->object->spec.policy == API_SHARED && view->object->spec.names > SHARED_MOST)
		return verdict(API_TRUE, API_REASON_TOO_MANY_NAMES,
			       "more than two names share an account, which holds two TXT values: "
			       "a certificate for three of them fails; use spec.accountPolicy "
			       "PerDomain, or several objects");
	return verdict(API_TRUE, API_REASON_READY, "the Secret holds an account for every domain");
}

/* Of Registered, SecretReady and CredentialsValid. */
static struct verdict ready(const struct plan_view *view, const struct plan_assessment *a,
			    const struct verdict parts[3])
{
	if (parts[0].value == API_FALSE)
		return parts[0];
	if (parts[1].value == API_FALSE)
		return parts[1];
	if (parts[0].value == API_TRUE && parts[2].value == API_FALSE)
		return parts[2];
	return parts[0].value == API_TRUE ? all_is_well(view, a) : parts[0];
}

static void set(struct api_status *status, enum api_type type, const struct verdict *v)
{
	api_status_set(status, type, v->value, v->reason, v->message);
}

static void set_progress(struct api_status *status, const struct verdict *summary)
{
	bool failing = summary->value == API_FALSE;

	if (summary->value == API_TRUE)
		return;
	if (failing && (summary->stalls || is_stalling(summary->reason)))
		api_status_set(status, API_STALLED, API_TRUE, summary->reason, summary->message);
	else
		api_status_set(status, API_RECONCILING, API_TRUE,
			       failing ? API_REASON_PROGRESSING_WITH_RETRY : API_REASON_PROGRESSING,
			       summary->message);
}

/* The accounts serve, and others are to take their place. */
static void set_rotating(const struct plan_view *view, const struct plan_memory *memory,
			 const struct plan_assessment *a, struct api_status *status)
{
	struct verdict v = registering(view, memory, a);

	if (v.value == API_FALSE)
		api_status_set(status, API_RECONCILING, API_TRUE, API_REASON_PROGRESSING_WITH_RETRY,
			       v.message);
	else
		api_status_set(status, API_RECONCILING, API_TRUE, API_REASON_PROGRESSING,
			       a->count[NEED_CNAME]
				       ? v.message
				       : "a rotation was asked for; the accounts serve until "
					 "there are others");
}

/* The accounts serve, or are rejected; a rotation helps in either case. */
static bool is_rotating(const struct plan_assessment *a, const struct verdict *summary)
{
	return a && a->rotating &&
	       (summary->value == API_TRUE || summary->reason == API_REASON_CREDENTIALS_REJECTED);
}

/* ---- records ---- */

static struct api_record *add(struct api_status *status, const char *domain, const char *value,
			      const char *next)
{
	struct api_record *record = api_status_add_record(status, domain, value);

	if (next)
		api_record_set_next(record, next);
	return record;
}

/* A record named before is kept while its account may still be the one, and until there is another:
 * its loss must be noticed. */
static void add_record(const struct plan_view *view, const struct plan_assessment *a, size_t i,
		       struct api_status *status)
{
	const char *domain = view->object->spec.domains[i];
	const struct api_record *before = api_record_find(&view->object->status, domain);
	struct ledger_entry entry;

	if (a && a->domains[i].named) {
		ledger_look(view->secret.ledger, view->secret.key, domain, &entry);
		(void)add(status, domain, entry.fulldomain, a->domains[i].next);
	} else if (before && (!a || a->domains[i].need != NEED_CONFLICT)) {
		(void)add(status, domain, before->value,
			  before->next && !a ? before->next->value : NULL);
	}
}

void plan_status_want(const struct plan_view *view, const struct plan_memory *memory,
		      const struct plan_assessment *assessment, struct api_status *ret_status)
{
	const struct api_registration *object = view->object;
	struct verdict parts[3] = {registered(view, memory, assessment),
				   secret_ready(view, memory, assessment)};
	const char *rotated = object->status.handled_rotate;
	const char *verified;
	struct verdict summary;
	size_t i;

	if (parts[0].value == API_UNKNOWN && parts[1].value == API_FALSE)
		parts[0] = awaiting_secret();
	api_status_init(ret_status, object->generation);
	for (i = 0; i < object->spec.domains_len; i++)
		add_record(view, assessment, i, ret_status);
	parts[2] = credentials_valid(view, memory, ret_status);
	summary = ready(view, assessment, parts);
	set(ret_status, API_READY, &summary);
	set(ret_status, API_REGISTERED, &parts[0]);
	set(ret_status, API_SECRET_READY, &parts[1]);
	set(ret_status, API_CREDENTIALS_VALID, &parts[2]);
	verified = plan_cname(view, memory, ret_status);
	if (is_rotating(assessment, &summary))
		set_rotating(view, memory, assessment, ret_status);
	else
		set_progress(ret_status, &summary);
	if (assessment && !assessment->rotating && *object->rotate)
		rotated = object->rotate;
	/* Who asked is to know of the accounts that are there now. */
	api_status_set_handled(ret_status, rotated,
			       are_others(&object->status, ret_status)
				       ? object->status.handled_probe
				       : probe_handled(object, memory),
			       verified);
	ret_status->loss_s = object->status.loss_s;
	if (assessment && plan_is_new_loss(view, assessment))
		ret_status->loss_s = view->wall_s;
}

static void keep_record(const struct api_record *have, struct api_status *ret_status)
{
	struct api_record *record =
		add(ret_status, have->domain, have->value, have->next ? have->next->value : NULL);

	api_record_set(record, have->verification, have->observed);
	if (have->next)
		api_record_set(record->next, have->next->verification, have->next->observed);
}

/* What was said before stays, but for what was found since; what never was is said otherwise. The
 * observedGeneration of a condition tells of which spec it was true. */
static void keep_status(const struct api_registration *object, const struct plan_memory *memory,
			const struct verdict *otherwise, struct api_status *ret_status)
{
	const struct plan_finding *finding = &memory->finding;
	const struct api_status *have = &object->status;
	size_t i;

	api_status_init(ret_status, object->generation);
	for (i = 0; i < API_RECONCILING; i++) {
		if (have->conditions[i].present)
			api_status_keep(ret_status, (enum api_type)i, have);
		else
			set(ret_status, (enum api_type)i, otherwise);
	}
	if (finding->reason != API_REASON_OTHER)
		api_status_set(ret_status, API_CREDENTIALS_VALID, finding_value(finding->reason),
			       finding->reason, finding->message);
	api_status_set_handled(ret_status, have->handled_rotate, probe_handled(object, memory),
			       have->handled_verify);
	ret_status->loss_s = have->loss_s;
	for (i = 0; i < have->records_len; i++)
		keep_record(&have->records[i], ret_status);
}

void plan_status_visit(const struct api_registration *object, const struct plan_memory *memory,
		       struct api_status *ret_status)
{
	const struct verdict seen = verdict(API_UNKNOWN, API_REASON_REGISTERING,
					    "the operator has seen this generation and acts on it");

	keep_status(object, memory, &seen, ret_status);
	api_status_set(ret_status, API_RECONCILING, API_TRUE, API_REASON_PROGRESSING, seen.message);
}

void plan_status_suspend(const struct api_registration *object, const struct plan_memory *memory,
			 struct api_status *ret_status)
{
	const struct verdict suspended =
		verdict(API_UNKNOWN, API_REASON_SUSPENDED,
			"spec.suspend is true, so nothing was done for this object yet");

	keep_status(object, memory, &suspended, ret_status);
}
