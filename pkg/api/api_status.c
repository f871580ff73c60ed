/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/intern.h"
#include "base/mem.h"
#include "base/mono.h"
#include "jv/jv.h"

const char *api_type_name(enum api_type type)
{
	static const char *const names[API_TYPES] = {
		[API_READY] = "Ready",
		[API_REGISTERED] = "Registered",
		[API_SECRET_READY] = "SecretReady",
		[API_CREDENTIALS_VALID] = "CredentialsValid",
		[API_CNAME_READY] = "CNAMEReady",
		[API_RECONCILING] = "Reconciling",
		[API_STALLED] = "Stalled",
	};

	return names[type];
}

const char *api_reason_name(enum api_reason reason)
{
	static const char *const names[API_REASONS] = {
		[API_REASON_OTHER] = "Other",
		[API_REASON_SUSPENDED] = "Suspended",
		[API_REASON_READY] = "Ready",
		[API_REASON_ROTATION_NEEDED] = "RotationNeeded",
		[API_REASON_TEMPLATE_CONFLICT] = "TemplateConflict",
		[API_REASON_TOO_MANY_NAMES] = "TooManyNames",
		[API_REASON_REGISTERED_ALL] = "Registered",
		[API_REASON_STORED] = "Stored",
		[API_REASON_ACCEPTED] = "Accepted",
		[API_REASON_REGISTERING] = "Registering",
		[API_REASON_REGISTRATION_UNAVAILABLE] = "RegistrationUnavailable",
		[API_REASON_REGISTRATION_DENIED] = "RegistrationDenied",
		[API_REASON_INVALID_ALLOW_FROM] = "InvalidAllowFrom",
		[API_REASON_SERVER_UNAVAILABLE] = "ServerUnavailable",
		[API_REASON_HOST_NOT_ALLOWED] = "HostNotAllowed",
		[API_REASON_HOST_ADDRESS_REFUSED] = "HostAddressRefused",
		[API_REASON_HOST_CHANGED] = "HostChanged",
		[API_REASON_DOMAIN_CONFLICT] = "DomainConflict",
		[API_REASON_ACCOUNT_MISSING] = "AccountMissing",
		[API_REASON_SECRET_CONTESTED] = "SecretContested",
		[API_REASON_ACCOUNT_INCOMPLETE] = "AccountIncomplete",
		[API_REASON_INVALID_REFERENCE] = "InvalidReference",
		[API_REASON_UNSUPPORTED_FIELD] = "UnsupportedField",
		[API_REASON_SECRET_UNPARSABLE] = "SecretUnparsable",
		[API_REASON_SECRET_IMMUTABLE] = "SecretImmutable",
		[API_REASON_SECRET_NOT_ADOPTED] = "SecretNotAdopted",
		[API_REASON_SECRET_TOO_LARGE] = "SecretTooLarge",
		[API_REASON_SECRET_DENIED] = "SecretDenied",
		[API_REASON_SECRET_UNAVAILABLE] = "SecretUnavailable",
		[API_REASON_NAMESPACE_TERMINATING] = "NamespaceTerminating",
		[API_REASON_CREDENTIALS_REJECTED] = "CredentialsRejected",
		[API_REASON_ADDRESS_NOT_ALLOWED] = "AddressNotAllowed",
		[API_REASON_HOST_UNKNOWN] = "HostUnknown",
		[API_REASON_NOT_PROBED] = "NotProbed",
		[API_REASON_PROBE_UNSUPPORTED] = "ProbeUnsupported",
		[API_REASON_CNAME_FOUND] = "CNAMEFound",
		[API_REASON_CNAME_MISSING] = "CNAMEMissing",
		[API_REASON_CNAME_MISMATCH] = "CNAMEMismatch",
		[API_REASON_DNS_ENDPOINT_NOT_ALLOWED] = "DNSEndpointNotAllowed",
		[API_REASON_DNS_ENDPOINT_UNAVAILABLE] = "DNSEndpointUnavailable",
		[API_REASON_ZONE_NOT_DELEGATED] = "ZoneNotDelegated",
		[API_REASON_ZONE_SIGNED] = "ZoneSigned",
		[API_REASON_DNS_UNAVAILABLE] = "DNSUnavailable",
		[API_REASON_NOT_VERIFIED] = "NotVerified",
		[API_REASON_VERIFICATION_DISABLED] = "VerificationDisabled",
		[API_REASON_PROGRESSING] = "Progressing",
		[API_REASON_PROGRESSING_WITH_RETRY] = "ProgressingWithRetry",
	};

	return names[reason];
}

const char *api_verification_name(enum cname_verdict verification)
{
	static const char *const names[] = {
		[CNAME_UNKNOWN] = "Unknown",
		[CNAME_FOUND] = "Found",
		[CNAME_MISSING] = "Missing",
		[CNAME_MISMATCH] = "Mismatch",
	};

	return names[verification];
}

static const char *value_name(enum api_status_value value)
{
	static const char *const names[] = {"Unknown", "True", "False"};

	return names[value];
}

void api_status_init(struct api_status *status, int64_t observed_generation)
{
	*status = (struct api_status){.observed_generation = observed_generation, .loss_s = -1};
}

static void free_texts(struct api_record *record)
{
	free(record->domain);
	free(record->value);
	free(record->observed);
}

static void record_done(struct api_record *record)
{
	if (record->next)
		free_texts(record->next);
	free(record->next);
	free_texts(record);
}

void api_status_done(struct api_status *status)
{
	size_t i;

	for (i = 0; i < API_TYPES; i++)
		intern_put(status->conditions[i].message);
	for (i = 0; i < status->records_len; i++)
		record_done(&status->records[i]);
	free(status->records);
	free(status->handled_rotate);
	free(status->handled_probe);
	free(status->handled_verify);
	api_status_init(status, -1);
}

void api_status_donep(struct api_status *status)
{
	api_status_done(status);
}

/* Without what a cut has left of a character at the end (RFC 3629). */
static size_t whole_len(const char *text)
{
	size_t len = strlen(text);
	size_t lead = len;
	size_t need;

	while (lead > 0 && len - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0 || (unsigned char)text[lead - 1] < 0xc0)
		return len;
	need = (unsigned char)text[lead - 1] < 0xe0   ? 2
	       : (unsigned char)text[lead - 1] < 0xf0 ? 3
						      : 4;
	return len - lead + 1 < need ? lead - 1 : len;
}

void api_status_set(struct api_status *status, enum api_type type, enum api_status_value value,
		    enum api_reason reason, const char *message)
{
	struct api_condition *condition = &status->conditions[type];
	CLEANUP(mem_freep) char *whole = mem_dup(message, whole_len(message));

	message = intern_get(whole);
	intern_put(condition->message);
	*condition = (struct api_condition){
		.present = true,
		.status = value,
		.reason = reason,
		.message = message,
		.observed_generation = status->observed_generation,
	};
}

void api_status_keep(struct api_status *status, enum api_type type, const struct api_status *have)
{
	const char *message = intern_get(have->conditions[type].message);

	intern_put(status->conditions[type].message);
	status->conditions[type] = have->conditions[type];
	status->conditions[type].message = message;
}

static void record_init(struct api_record *record, const char *domain, const char *value)
{
	*record = (struct api_record){
		.domain = mem_strdup(domain), .value = mem_strdup(value), .transition_s = -1};
}

struct api_record *api_status_add_record(struct api_status *status, const char *domain,
					 const char *value)
{
	struct api_record *record;

	status->records =
		mem_resize(status->records, status->records_len + 1, sizeof(*status->records));
	record = &status->records[status->records_len++];
	record_init(record, domain, value);
	return record;
}

void api_record_set_next(struct api_record *record, const char *value)
{
	record->next = mem_zalloc(sizeof(*record->next));
	record_init(record->next, record->domain, value);
}

void api_record_set(struct api_record *record, enum cname_verdict verification,
		    const char *observed)
{
	free(record->observed);
	record->observed = observed && *observed ? mem_strdup(observed) : NULL;
	record->verification = verification;
}

void api_status_set_handled(struct api_status *status, const char *rotate, const char *probe,
			    const char *verify)
{
	free(status->handled_rotate);
	free(status->handled_probe);
	free(status->handled_verify);
	status->handled_rotate = rotate ? mem_strdup(rotate) : NULL;
	status->handled_probe = probe ? mem_strdup(probe) : NULL;
	status->handled_verify = verify ? mem_strdup(verify) : NULL;
}

struct api_record *api_record_find(const struct api_status *status, const char *domain)
{
	size_t i;

	for (i = 0; i < status->records_len; i++)
		if (strcmp(status->records[i].domain, domain) == 0)
			return &status->records[i];
	return NULL;
}

const char *api_record_value(const struct api_status *status, const char *domain)
{
	const struct api_record *record = api_record_find(status, domain);

	return record ? record->value : NULL;
}

static bool condition_equal(const struct api_condition *a, const struct api_condition *b)
{
	if (a->present != b->present)
		return false;
	return !a->present || (a->status == b->status && a->reason == b->reason &&
			       a->observed_generation == b->observed_generation &&
			       strcmp(a->message, b->message) == 0);
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool target_equal(const struct api_record *a, const struct api_record *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a->value, b->value) == 0 && a->verification == b->verification &&
	       text_equal(a->observed, b->observed);
}

static bool record_equal(const struct api_record *a, const struct api_record *b)
{
	return strcmp(a->domain, b->domain) == 0 && target_equal(a, b) &&
	       target_equal(a->next, b->next);
}

bool api_status_equal(const struct api_status *a, const struct api_status *b)
{
	size_t i;

	if (a->observed_generation != b->observed_generation || a->records_len != b->records_len ||
	    a->loss_s != b->loss_s || !text_equal(a->handled_rotate, b->handled_rotate) ||
	    !text_equal(a->handled_probe, b->handled_probe) ||
	    !text_equal(a->handled_verify, b->handled_verify))
		return false;
	for (i = 0; i < API_TYPES; i++)
		if (!condition_equal(&a->conditions[i], &b->conditions[i]))
			return false;
	for (i = 0; i < a->records_len; i++)
		if (!record_equal(&a->records[i], &b->records[i]))
			return false;
	return true;
}

/* ---- the patch ---- */

static int64_t transition_s(const struct api_condition *have, const struct api_condition *want,
			    int64_t now_s)
{
	bool kept = have->present && have->status == want->status && have->transition_s >= 0;

	return kept ? have->transition_s : now_s;
}

static void set_time(json_t *object, const char *key, int64_t seconds)
{
	char text[MONO_RFC3339_LEN];

	mono_rfc3339(seconds * 1000000, text);
	jv_set_str(object, key, text);
}

static json_t *condition_json(enum api_type type, const struct api_condition *have,
			      const struct api_condition *want, int64_t now_s)
{
	json_t *json = json_object();
	jv_set_str(json, "type", api_type_name(type));
	jv_set_str(json, "status", value_name(want->status));
	jv_set_str(json, "reason", api_reason_name(want->reason));
	jv_set_str(json, "message", want->message);
	jv_set_int(json, "observedGeneration", want->observed_generation);
	set_time(json, "lastTransitionTime", transition_s(have, want, now_s));
	return json;
}

/* A verdict about another value is another one. */
static int64_t record_transition_s(const struct api_record *have, const struct api_record *want,
				   int64_t now_s)
{
	bool kept = have && have->transition_s >= 0 && have->verification == want->verification &&
		    strcmp(have->value, want->value) == 0;

	return kept ? have->transition_s : now_s;
}

/* Of a record, or the one to change to. */
static json_t *target_json(const struct api_record *have, const struct api_record *record,
			   int64_t now_s)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s%s", DNSNAME_CHALLENGE, record->domain);
	json_t *json = json_object();

	jv_set_str(json, "name", name);
	jv_set_str(json, "type", "CNAME");
	jv_set_str(json, "value", record->value);
	jv_set_str(json, "verification", api_verification_name(record->verification));
	jv_set_str(json, "observed", record->observed ? record->observed : "");
	set_time(json, "lastTransitionTime", record_transition_s(have, record, now_s));
	return json;
}

static json_t *record_json(const struct api_record *have, const struct api_record *record,
			   int64_t now_s)
{
	json_t *json = target_json(have, record, now_s);

	jv_set_str(json, "domain", record->domain);
	if (record->next)
		jv_set(json, "next", target_json(have ? have->next : NULL, record->next, now_s));
	return json;
}

json_t *api_status_patch(const struct api_registration *have, const struct api_status *want,
			 int64_t now_s)
{
	json_t *patch = json_object();
	json_t *status = jv_ensure_object(patch, "status");
	json_t *conditions = json_array();
	json_t *records = json_array();
	size_t i;

	for (i = 0; i < API_TYPES; i++)
		if (want->conditions[i].present)
			jv_append(conditions,
				  condition_json((enum api_type)i, &have->status.conditions[i],
						 &want->conditions[i], now_s));
	for (i = 0; i < want->records_len; i++)
		jv_append(records,
			  record_json(api_record_find(&have->status, want->records[i].domain),
				      &want->records[i], now_s));
	jv_set_str(jv_ensure_object(patch, "metadata"), "resourceVersion", have->resource_version);
	jv_set_int(status, "observedGeneration", want->observed_generation);
	jv_set(status, "conditions", conditions);
	jv_set(status, "records", records);
	/* A value once handled stays until another one is. */
	if (want->handled_rotate)
		jv_set_str(jv_ensure_object(status, "lastHandled"), "rotate", want->handled_rotate);
	if (want->handled_probe)
		jv_set_str(jv_ensure_object(status, "lastHandled"), "probe", want->handled_probe);
	if (want->handled_verify)
		jv_set_str(jv_ensure_object(status, "lastHandled"), "verify", want->handled_verify);
	if (want->loss_s >= 0)
		set_time(status, "lastAccountLossTime", want->loss_s);
	return patch;
}
