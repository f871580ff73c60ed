/* SPDX-License-Identifier: Apache-2.0 */

/* What must be so at the end, when faults have stopped and all is at rest: every object is as well
 * as it can be, and says so. */

#include <string.h>

#include "explore.h"

static bool owner_lists(const struct run *run, uint32_t uid, const char *domain)
{
	const struct object_thing *thing = world_by_uid(run, uid);

	return thing && api_domain_index(&thing->object->spec, domain) >= 0;
}

/* Whether a reason that only a person can heal is so for the domain. */
static bool is_so(const struct run *run, const struct object_thing *thing, enum api_reason reason,
		  const char *domain)
{
	const struct domain_facts *facts = world_facts(run, domain_number(domain));
	const struct api_registration *object = thing->object;

	switch ((int)reason) {
	case API_REASON_DOMAIN_CONFLICT:
		return facts->owner && facts->owner != thing->uid &&
		       owner_lists(run, facts->owner, domain);
	case API_REASON_HOST_CHANGED:
		return facts->entry && facts->host && !asks_for_rotation(object) &&
		       facts->host != 1 + host_number(object->spec.host) &&
		       !is_same_server(store_get_secret(run->store, run->w.secret.id), facts->host,
				       object);
	case API_REASON_SECRET_CONTESTED:
		return !facts->entry &&
		       (facts->origin || api_record_value(&object->status, domain));
	case API_REASON_ACCOUNT_INCOMPLETE:
		return facts->entry && !facts->complete;
	case API_REASON_CREDENTIALS_REJECTED:
		return facts->account && run->w.rejected >> facts->account & 1;
	default:
		return false;
	}
}

static bool is_secret_so(const struct run *run, enum api_reason reason)
{
	const struct secret_thing *secret = store_get_secret(run->store, run->w.secret.id);
	const struct snapshot *snapshot = &secret->snapshot;

	switch ((int)reason) {
	case API_REASON_SECRET_IMMUTABLE:
		return snapshot->immutable;
	case API_REASON_SECRET_UNPARSABLE:
		return !secret->readable;
	case API_REASON_SECRET_NOT_ADOPTED:
		return secret->readable && !ledger_is_ours(snapshot->ledger) &&
		       !ledger_has_account(snapshot->ledger, KEY);
	default:
		return false;
	}
}

/* What the spec refers to is not all there and for its host. */
static bool lacks_references(const struct run *run, const struct api_spec *spec)
{
	uint32_t login = run->w.referred[REFERRED_LOGIN];
	uint32_t ca = run->w.referred[REFERRED_CA];

	return spec->auth &&
	       ((spec->auth->basic_secret && login != REFERRED_GOOD + host_number(spec->host)) ||
		(spec->auth->ca_config_map && ca == REFERRED_ABSENT));
}

static bool is_explained(const struct run *run, const struct object_thing *thing)
{
	const struct api_condition *conditions = thing->object->status.conditions;
	enum api_reason reason = conditions[API_READY].reason;
	size_t i;

	/* Ready tells the first that fails; what only a person can heal may be behind it. */
	if (is_secret_so(run, conditions[API_SECRET_READY].reason))
		return true;
	if (reason == API_REASON_REGISTERING && awaits_cname(run, thing->object))
		return true;
	if (reason == API_REASON_INVALID_REFERENCE)
		return lacks_references(run, &thing->object->spec);
	for (i = 0; i < thing->object->spec.domains_len; i++)
		if (is_so(run, thing, reason, thing->object->spec.domains[i]))
			return true;
	return false;
}

/* Ready: every domain has its account, at the object's host, and status names it. */
static void check_ready(struct run *run, const struct object_thing *thing)
{
	const struct api_registration *object = thing->object;
	size_t i;

	for (i = 0; i < object->spec.domains_len; i++) {
		const char *domain = object->spec.domains[i];
		const struct domain_facts *facts = world_facts(run, domain_number(domain));
		const char *value = api_record_value(&object->status, domain);

		if (!facts->entry || !facts->complete)
			broken(run, "object-%s is Ready, and %s has no account", object->name,
			       domain);
		else if (!value || account_of(value) != facts->account)
			broken(run, "%s is Ready, and status names another CNAME for %s",
			       object->name, domain);
		else if (facts->owner != thing->uid)
			broken(run, "%s is Ready, and %s is another's", object->name, domain);
		else if (facts->host && facts->host != 1 + host_number(object->spec.host))
			broken(run, "%s is Ready, and %s has its account elsewhere", object->name,
			       domain);
	}
}

static void check_at_rest(struct run *run, const struct api_registration *object)
{
	const struct api_condition *conditions = object->status.conditions;

	if (conditions[API_RECONCILING].present || conditions[API_STALLED].present)
		broken(run, "%s is suspended, and says that it is not at rest", object->name);
	if (!conditions[API_READY].present)
		broken(run, "%s is suspended, and nothing is said of it", object->name);
}

static void check_object(struct run *run, const struct object_thing *thing)
{
	const struct api_registration *object = thing->object;
	const struct api_condition *ready = &object->status.conditions[API_READY];

	if (object->deleting)
		broken(run, "faults have stopped, and %s does not go", object->name);
	else if (object->status.observed_generation != object->generation)
		broken(run, "faults have stopped, and %s is not looked at", object->name);
	else if (object->spec.suspend)
		check_at_rest(run, object);
	else if (ready->status == API_TRUE && asks_for_rotation(object) &&
		 !awaits_cname(run, object))
		broken(run, "faults have stopped, and %s is not rotated", object->name);
	else if (asks_for_probe(object) &&
		 (ready->status == API_TRUE || ready->reason == API_REASON_CREDENTIALS_REJECTED))
		broken(run, "faults have stopped, and the accounts of %s are not asked for",
		       object->name);
	else if (ready->status == API_TRUE)
		check_ready(run, thing);
	else if (!is_explained(run, thing))
		broken(run,
		       "faults have stopped, and %s is not Ready for no reason that stands: %s",
		       object->name, api_reason_name(ready->reason));
}

void check_goal(struct run *run)
{
	size_t n;

	for (n = 0; n < NAMES; n++)
		if (run->w.live[n].id)
			check_object(run, store_get_object(run->store, run->w.live[n].id));
	check_tags_at_rest(run);
}
