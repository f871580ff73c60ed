/* SPDX-License-Identifier: Apache-2.0 */

/*
 * spec.cname.dnsEndpoint: external-dns is to make the CNAMEs. One DNSEndpoint of the object's name
 * says those that status names, as far as the administrator permits their domains. It is read when
 * it may not say what it should, and whoever calls brings a look at it now and then.
 *
 * Under deletionPolicy Delete a finalizer of its own is there before it: so it goes with the object
 * or with the field, whoever leads by then. Nothing of this is in the way of accounts.
 */

#include <stdio.h>
#include <string.h>

#include "base/fnv.h"
#include "plan/plan_impl.h"

#define BACKOFF_MS	1000
#define BACKOFF_MOST_MS 40000 /* and up to a half more: what is mended is seen within a minute */
/* That a look has no answer, or an odd one, once or twice, is no news. */
#define ONCE_OR_TWICE 2

/* Of no DNSEndpoint: what is looked for is whether ours is still there. */
#define DIGEST_NONE 1

/* ---- what is wanted ---- */

const char *plan_endpoint_target(const struct plan_view *view, const char *domain)
{
	const struct api_record *record = api_record_find(&view->object->status, domain);

	/* A rotation waits for the CNAME. */
	if (record && record->next)
		record = record->next;
	/* Whoever may write status may have written anything there. */
	return record && dnsname_is_hostname(record->value) ? record->value : NULL;
}

static bool is_allowed(const struct plan_view *view, const char *domain)
{
	size_t i;

	for (i = 0; i < view->endpoint_domains_len; i++)
		if (dnsname_glob_matches(view->endpoint_domains[i].text, domain))
			return true;
	return false;
}

bool plan_is_handed_over(const struct plan_view *view, const char *domain)
{
	return view->object->spec.endpoint && is_allowed(view, domain);
}

static bool has_finalizer(const struct plan_view *view)
{
	return api_has_finalizer(view->object, API_FINALIZER_ENDPOINT);
}

bool plan_is_endpoint_leaving(const struct plan_view *view)
{
	return view->object && view->object->deleting && view->leading && has_finalizer(view);
}

/* Without the flag nothing is made or changed; what is to go by deletionPolicy still goes. */
bool plan_wants_endpoint(const struct plan_view *view)
{
	const struct api_registration *object = view->object;

	return !object->deleting && object->spec.endpoint && view->endpoint_domains_len > 0;
}

bool plan_minds_endpoint(const struct plan_view *view)
{
	const struct api_registration *object = view->object;

	if (!object || (!object->deleting && (object->spec.suspend || object->spec.unsupported)))
		return false;
	return has_finalizer(view) || plan_wants_endpoint(view);
}

size_t plan_endpoint_list(const struct plan_view *view, struct api_cname ret_list[API_MAX_DOMAINS])
{
	const struct api_spec *spec = &view->object->spec;
	size_t len = 0;
	size_t i;

	for (i = 0; i < spec->domains_len; i++) {
		const char *domain = spec->domains[i];
		const char *target = plan_endpoint_target(view, domain);

		if (target && plan_is_handed_over(view, domain))
			ret_list[len++] = (struct api_cname){.domain = domain, .target = target};
	}
	return len;
}

static uint64_t digest_tags(const struct api_template *tags, uint64_t hash)
{
	size_t i;

	for (i = 0; tags && i < tags->len; i++) {
		hash = fnv_text(hash, tags->tags[i].annotation ? "annotation" : "label");
		hash = fnv_text(fnv_text(hash, tags->tags[i].key), tags->tags[i].value);
	}
	return hash;
}

uint64_t plan_endpoint_digest(const struct plan_view *view)
{
	struct api_cname list[API_MAX_DOMAINS];
	uint64_t hash = FNV_BEGIN;
	size_t len;
	size_t i;

	if (!plan_wants_endpoint(view))
		return DIGEST_NONE;
	len = plan_endpoint_list(view, list);
	for (i = 0; i < len; i++)
		hash = fnv_text(fnv_text(hash, list[i].domain), list[i].target);
	hash = (hash ^ (uint64_t)view->object->spec.endpoint->ttl_s) * FNV_PRIME;
	return digest_tags(view->object->spec.endpoint->tags, hash) | 2; /* neither 0 nor NONE */
}

/* ---- what to do ---- */

static void set_finalizer(struct plan_action *action, bool add)
{
	action->what = PLAN_PATCH_FINALIZER;
	action->finalizer = API_FINALIZER_ENDPOINT;
	action->add = add;
}

/* What is not known is looked at again, but for what is not ours to know, if that lasts. */
static void leave_unread(const struct plan_endpoint *known, struct plan_action *action)
{
	static const char message[] = "the API server refuses to have the DNSEndpoint looked at or "
				      "deleted; it stays, and so do the records made of it";
	bool denied =
		known->trouble == PLAN_ENDPOINT_DENIED || known->trouble == PLAN_ENDPOINT_REFUSED;

	if (!plan_is_endpoint_lasting(known))
		return;
	if (known->trouble == PLAN_ENDPOINT_NO_KIND || (denied && known->told)) {
		set_finalizer(action, false);
	} else if (denied) {
		action->what = PLAN_EMIT_EVENT;
		action->leftover = message;
		action->leaves_endpoint = true;
	}
}

void plan_endpoint_leave(const struct plan_view *view, const struct plan_memory *memory,
			 struct plan_action *action)
{
	const struct plan_endpoint *known = &memory->endpoint;
	bool retains = view->object->spec.deletion == API_RETAIN;

	if (!retains && known->digest != DIGEST_NONE)
		action->what = PLAN_READ_ENDPOINT;
	else if (!retains && known->state == PLAN_ENDPOINT_OTHER)
		action->what = PLAN_DELETE_ENDPOINT;
	else if (!retains && known->state == PLAN_ENDPOINT_UNREAD)
		leave_unread(known, action);
	else
		set_finalizer(action, false);
}

/* There is one, or is to be; that is CURRENT, too, when none is wanted. */
static bool may_be_left(const struct plan_view *view, const struct plan_endpoint *known)
{
	struct api_cname list[API_MAX_DOMAINS];

	return known->state != PLAN_ENDPOINT_CURRENT || plan_endpoint_list(view, list) > 0;
}

static void provide(const struct plan_view *view, const struct plan_endpoint *known,
		    struct plan_action *action)
{
	bool deletes = view->object->spec.deletion == API_DELETE;

	if (known->digest != plan_endpoint_digest(view))
		action->what = PLAN_READ_ENDPOINT;
	else if (known->state == PLAN_ENDPOINT_UNREAD || known->state == PLAN_ENDPOINT_FOREIGN)
		return;
	else if (deletes && !has_finalizer(view) && may_be_left(view, known))
		set_finalizer(action, true);
	else if (known->state != PLAN_ENDPOINT_CURRENT)
		action->what = PLAN_WRITE_ENDPOINT;
}

void plan_endpoint(const struct plan_view *view, const struct plan_memory *memory,
		   const struct plan_assessment *assessment, struct plan_action *action)
{
	const struct api_spec *spec = &view->object->spec;

	/* The end of a registration will tell of another record; status waits for it, too. */
	if (assessment->count[NEED_WORK] || action->wants_slot)
		return;
	if (has_finalizer(view) && (!spec->endpoint || spec->deletion == API_RETAIN))
		plan_endpoint_leave(view, memory, action);
	else if (plan_wants_endpoint(view))
		provide(view, &memory->endpoint, action);
}

/* ---- what came of it ---- */

/* One that is not ours is in nobody's way unless one is wanted. */
static bool is_trouble(uint64_t digest, enum plan_endpoint_state state)
{
	return state > PLAN_ENDPOINT_FOREIGN ||
	       (state == PLAN_ENDPOINT_FOREIGN && digest != DIGEST_NONE);
}

/* That no answer came does not make the trouble that there was another. */
static void note_trouble(struct plan_endpoint *known, enum plan_endpoint_state state)
{
	if (state == PLAN_ENDPOINT_CHANGED || (state == PLAN_ENDPOINT_UNANSWERED && known->trouble))
		return;
	known->trouble = (uint8_t)state;
}

int64_t plan_fold_endpoint(struct plan_memory *memory, const struct plan_view *view,
			   uint64_t digest, enum plan_endpoint_state state)
{
	struct plan_endpoint *known = &memory->endpoint;

	if (known->digest != digest || state == PLAN_ENDPOINT_CURRENT)
		memset(known, 0, sizeof(*known));
	known->digest = digest;
	known->state = state <= PLAN_ENDPOINT_FOREIGN ? (uint8_t)state : PLAN_ENDPOINT_UNREAD;
	if (!is_trouble(digest, state))
		return 0;
	note_trouble(known, state);
	if (known->times < UINT8_MAX)
		known->times++;
	return plan_backoff_ms(view, known->times - 1U, BACKOFF_MS, BACKOFF_MOST_MS);
}

void plan_fold_endpoint_left(struct plan_memory *memory)
{
	memory->endpoint.told = true;
}

void plan_fold_endpoint_end(struct plan_memory *memory)
{
	memset(&memory->endpoint, 0, sizeof(memory->endpoint));
}

/* ---- what status says of it ---- */

bool plan_is_endpoint_lasting(const struct plan_endpoint *endpoint)
{
	return endpoint->times > ONCE_OR_TWICE;
}

bool plan_is_endpoint_trouble(const struct plan_endpoint *endpoint)
{
	return endpoint->trouble && (endpoint->trouble != PLAN_ENDPOINT_UNANSWERED ||
				     plan_is_endpoint_lasting(endpoint));
}

static void describe(const struct plan_view *view, const struct plan_endpoint *known, char *ret,
		     size_t len)
{
	const char *name = view->object->name;

	switch ((int)known->trouble) {
	case PLAN_ENDPOINT_FOREIGN:
		(void)snprintf(
			ret, len,
			"the DNSEndpoint %s was not made for this object; delete it, or hand "
			"it over by annotating it with " API_ANNOTATION_REGISTRATION "=%s",
			name, name);
		break;
	case PLAN_ENDPOINT_NO_KIND:
		(void)snprintf(ret, len,
			       "the API server knows no DNSEndpoints; install the "
			       "CustomResourceDefinition of external-dns");
		break;
	case PLAN_ENDPOINT_DENIED:
		(void)snprintf(ret, len,
			       "the operator may not read DNSEndpoints here; apply its "
			       "manifests/dns-endpoint");
		break;
	case PLAN_ENDPOINT_REFUSED:
		(void)snprintf(ret, len,
			       "the API server refuses the DNSEndpoint %s as the operator writes "
			       "it; check RBAC (manifests/dns-endpoint), quotas and admission "
			       "policies, and see the operator's log",
			       name);
		break;
	default:
		(void)snprintf(ret, len, "the API server does not answer for the DNSEndpoint %s",
			       name);
		break;
	}
}

/* The CNAME is not where its maker has to put it. That a rotation waits for it is no reason to ask
 * people for what they have done once. */
static bool is_lacking(const struct api_record *record, bool handed_over)
{
	if (!record)
		return handed_over;
	if (plan_is_moved(record))
		return false;
	return record->verification != CNAME_FOUND || (handed_over && record->next);
}

/* The first domain whose CNAME is lacking, and is handed over or is not; NULL: none. */
static const char *find_lacking(const struct plan_view *view, const struct api_status *want,
				bool handed_over)
{
	const struct api_spec *spec = &view->object->spec;
	size_t i;

	for (i = 0; i < spec->domains_len; i++) {
		const struct api_record *record = api_record_find(want, spec->domains[i]);

		if (is_lacking(record, handed_over) &&
		    is_allowed(view, spec->domains[i]) == handed_over)
			return spec->domains[i];
	}
	return NULL;
}

static void tell(struct api_status *want, enum api_reason reason, const char *message)
{
	api_status_set(want, API_CNAME_READY, API_FALSE, reason, message);
}

static bool tell_trouble(const struct plan_view *view, const struct plan_memory *memory,
			 struct api_status *want)
{
	const struct api_condition *before = &view->object->status.conditions[API_CNAME_READY];
	const struct plan_endpoint *known = &memory->endpoint;
	char message[2 * DNSNAME_LEN + 300];

	if (plan_is_endpoint_trouble(known)) {
		describe(view, known, message, sizeof(message));
		tell(want, API_REASON_DNS_ENDPOINT_UNAVAILABLE, message);
		return true;
	}
	/* A restart, or another record, changes nothing until it is as it should be. */
	if (known->state == PLAN_ENDPOINT_CURRENT ||
	    before->reason != API_REASON_DNS_ENDPOINT_UNAVAILABLE)
		return false;
	tell(want, API_REASON_DNS_ENDPOINT_UNAVAILABLE, before->message);
	return true;
}

bool plan_tell_endpoint(const struct plan_view *view, const struct plan_memory *memory,
			struct api_status *want)
{
	char message[2 * DNSNAME_LEN + 300];
	const char *domain;

	if (!view->object->spec.endpoint)
		return false;
	domain = find_lacking(view, want, false);
	if (!domain)
		return find_lacking(view, want, true) && tell_trouble(view, memory, want);
	(void)snprintf(message, sizeof(message),
		       "%s%s: the operator's --dns-endpoint-domains does not name the domain, so "
		       "external-dns is not asked for the CNAME; add it by hand",
		       DNSNAME_CHALLENGE, domain);
	tell(want, API_REASON_DNS_ENDPOINT_NOT_ALLOWED, message);
	return true;
}
