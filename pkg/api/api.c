/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/intern.h"
#include "base/mem.h"
#include "base/mono.h"
#include "jv/jv.h"

void api_free(struct api_registration *registration)
{
	if (!registration)
		return;
	intern_put(registration->namespace);
	free(registration->name);
	free(registration->uid);
	free(registration->resource_version);
	intern_put(registration->rotate);
	intern_put(registration->probe);
	intern_put(registration->verify);
	api_strings_free(registration->finalizers, registration->finalizers_len);
	api_spec_done(&registration->spec);
	api_status_done(&registration->status);
	free(registration);
}

void api_freep(struct api_registration **registration)
{
	api_free(*registration);
}

/* API_TYPES for one that we do not know. */
static enum api_type type_of(const char *name)
{
	enum api_type type = API_READY;

	while (type < API_TYPES && strcmp(api_type_name(type), name) != 0)
		type++;
	return type;
}

static enum api_reason reason_of(const char *name)
{
	enum api_reason reason = API_REASON_OTHER;

	while (reason < API_REASONS && strcmp(api_reason_name(reason), name) != 0)
		reason++;
	return reason < API_REASONS ? reason : API_REASON_OTHER;
}

static enum api_status_value value_of(const char *name)
{
	if (strcmp(name, "True") == 0)
		return API_TRUE;
	return strcmp(name, "False") == 0 ? API_FALSE : API_UNKNOWN;
}

static void decode_condition(const json_t *item, struct api_status *status)
{
	enum api_type type = type_of(jv_str(item, "type"));

	if (type == API_TYPES || status->conditions[type].present)
		return;
	status->conditions[type] = (struct api_condition){
		.present = true,
		.status = value_of(jv_str(item, "status")),
		.reason = reason_of(jv_str(item, "reason")),
		.message = intern_get(jv_str(item, "message")),
		.observed_generation = jv_int(item, "observedGeneration", 0),
		.transition_s = mono_parse_rfc3339(jv_str(item, "lastTransitionTime")),
	};
}

static enum cname_verdict verification_of(const char *name)
{
	enum cname_verdict verdict = CNAME_MISMATCH;

	while (verdict > CNAME_UNKNOWN && strcmp(api_verification_name(verdict), name) != 0)
		verdict--;
	return verdict;
}

static void decode_verification(const json_t *item, struct api_record *record)
{
	api_record_set(record, verification_of(jv_str(item, "verification")),
		       jv_str(item, "observed"));
	record->transition_s = mono_parse_rfc3339(jv_str(item, "lastTransitionTime"));
}

static void decode_record(const json_t *item, struct api_status *status)
{
	const json_t *next = jv_object(item, "next");
	struct api_record *record =
		api_status_add_record(status, jv_str(item, "domain"), jv_str(item, "value"));

	decode_verification(item, record);
	if (!next)
		return;
	api_record_set_next(record, jv_str(next, "value"));
	decode_verification(next, record->next);
}

static const char *text_or_null(const json_t *object, const char *path)
{
	const char *text = jv_str(object, path);

	return *text ? text : NULL;
}

static void decode_status(const json_t *object, struct api_status *status)
{
	const json_t *conditions = jv_array(object, "status.conditions");
	const json_t *records = jv_array(object, "status.records");
	json_t *item;
	size_t i;

	api_status_init(status, jv_int(object, "status.observedGeneration", -1));
	json_array_foreach(conditions, i, item)
		decode_condition(item, status);
	for (i = 0; i < json_array_size(records) && i < API_MAX_DOMAINS; i++)
		decode_record(json_array_get(records, i), status);
	status->loss_s = mono_parse_rfc3339(jv_str(object, "status.lastAccountLossTime"));
	api_status_set_handled(status, text_or_null(object, "status.lastHandled.rotate"),
			       text_or_null(object, "status.lastHandled.probe"),
			       text_or_null(object, "status.lastHandled.verify"));
}

static void decode_finalizers(const json_t *object, struct api_registration *registration)
{
	const json_t *list = jv_array(object, "metadata.finalizers");
	size_t len = json_array_size(list);
	size_t i;

	if (len == 0)
		return;
	registration->finalizers = mem_zalloc_array(len, sizeof(*registration->finalizers));
	for (i = 0; i < len; i++)
		registration->finalizers[registration->finalizers_len++] =
			mem_strdup(json_string_value(json_array_get(list, i)));
}

/* With one that is too long nothing is done: see decode_act(). */
static const char *keep_act(const json_t *object, const char *annotation)
{
	const char *text = api_annotation(object, annotation);

	return intern_get(strlen(text) <= API_MAX_ACT ? text : "");
}

struct api_registration *api_decode(const json_t *object)
{
	struct api_registration *registration;

	if (!*jv_str(object, "metadata.name") || !*jv_str(object, "metadata.uid"))
		return NULL;
	registration = mem_zalloc(sizeof(*registration));
	registration->namespace = intern_get(jv_str(object, "metadata.namespace"));
	registration->name = mem_strdup(jv_str(object, "metadata.name"));
	registration->uid = mem_strdup(jv_str(object, "metadata.uid"));
	registration->resource_version = mem_strdup(jv_str(object, "metadata.resourceVersion"));
	registration->generation = jv_int(object, "metadata.generation", 0);
	registration->deleting = *jv_str(object, "metadata.deletionTimestamp") != '\0';
	decode_finalizers(object, registration);
	registration->rotate = keep_act(object, API_ANNOTATION_ROTATE);
	registration->probe = keep_act(object, API_ANNOTATION_PROBE);
	registration->verify = keep_act(object, API_ANNOTATION_VERIFY);
	api_spec_decode(object, &registration->spec);
	decode_status(object, &registration->status);
	return registration;
}

/* ---- finalizers ---- */

bool api_has_finalizer(const struct api_registration *registration, const char *finalizer)
{
	size_t i;

	for (i = 0; i < registration->finalizers_len; i++)
		if (strcmp(registration->finalizers[i], finalizer) == 0)
			return true;
	return false;
}

json_t *api_finalizer_patch(const struct api_registration *have, const char *finalizer, bool add)
{
	json_t *patch = json_object();
	json_t *metadata = jv_ensure_object(patch, "metadata");
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < have->finalizers_len; i++)
		if (strcmp(have->finalizers[i], finalizer) != 0)
			jv_append(list, json_string(have->finalizers[i]));
	if (add)
		jv_append(list, json_string(finalizer));
	jv_set_str(metadata, "resourceVersion", have->resource_version);
	jv_set(metadata, "finalizers", list);
	return patch;
}
