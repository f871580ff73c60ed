/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/mem.h"
#include "controller/controller_impl.h"
#include "jv/jv.h"

#define MANAGED_BY   "app.kubernetes.io/managed-by"
#define LARGE_VALUES 8192 /* of JSON; some 500 accounts */

static void forget(struct snapshot *snapshot)
{
	ledger_free(snapshot->ledger);
	ledger_values_free(snapshot->values, snapshot->values_len);
	free(snapshot->unparsable);
	json_decref(snapshot->tags);
	snapshot->tags = NULL;
	snapshot->same_server = NULL;
	snapshot->host = NULL;
	snapshot->ledger = NULL;
	snapshot->unparsable = NULL;
	snapshot->values = NULL;
	snapshot->values_len = 0;
}

struct ledger *snapshot_open(const struct snapshot *snapshot, struct err *err)
{
	struct ledger *ledger = ledger_open(snapshot->values, snapshot->values_len, err);

	if (ledger)
		ledger_set_metadata(ledger, snapshot->tags);
	return ledger;
}

/* No more of the metadata: managedFields are long. */
static json_t *take_tags(const json_t *secret)
{
	static const char *const names[] = {"labels", "annotations"};
	json_t *tags = json_object();
	json_t *metadata = jv_object(secret, "metadata");
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (jv_object(metadata, names[i]))
			jv_set(tags, names[i], json_incref(jv_object(metadata, names[i])));
	return tags;
}

static void open_ledger(struct snapshot *snapshot)
{
	struct err err;

	snapshot->ledger = snapshot_open(snapshot, &err);
	if (!snapshot->ledger)
		snapshot->unparsable = mem_strdup(err.msg);
}

static void decode_values(struct snapshot *snapshot, json_t *data)
{
	const char *key;
	json_t *value;

	snapshot->values = mem_zalloc_array(json_object_size(data), sizeof(*snapshot->values));
	json_object_foreach(data, key, value) {
		struct ledger_value *at = &snapshot->values[snapshot->values_len];
		struct err err;

		/* The API server has checked it; what is not base64 after all counts as nothing. */
		at->data = enc_unbase64(json_string_value(value), json_string_length(value),
					&at->len, &err);
		if (!at->data)
			continue;
		at->key = mem_strdup(key);
		snapshot->values_len++;
	}
}

static bool is_true(const json_t *annotation)
{
	return json_is_string(annotation) && strcmp(json_string_value(annotation), "true") == 0;
}

void snapshot_set(struct snapshot *snapshot, const json_t *secret, int64_t as_of_ms)
{
	const json_t *annotations = jv_object(secret, "metadata.annotations");

	forget(snapshot);
	*snapshot = (struct snapshot){
		.known = true,
		.exists = true,
		.opaque = strcmp(jv_str(secret, "type"), "Opaque") == 0,
		.immutable = jv_bool(secret, "immutable", false),
		.adopt = is_true(json_object_get(annotations, API_ANNOTATION_ADOPT)),
		.same_server =
			json_string_value(json_object_get(annotations, API_ANNOTATION_SAME_SERVER)),
		.host = json_string_value(json_object_get(annotations, API_ANNOTATION_HOST)),
		.as_of_ms = as_of_ms,
		.tags = take_tags(secret),
	};
	(void)snprintf(snapshot->rv, sizeof(snapshot->rv), "%s",
		       jv_str(secret, "metadata.resourceVersion"));
	decode_values(snapshot, jv_object(secret, "data"));
	open_ledger(snapshot);
}

void snapshot_set_absent(struct snapshot *snapshot, int64_t as_of_ms)
{
	forget(snapshot);
	*snapshot = (struct snapshot){.known = true, .opaque = true, .as_of_ms = as_of_ms};
	open_ledger(snapshot);
}

void snapshot_drop(struct snapshot *snapshot)
{
	forget(snapshot);
	snapshot->known = false;
}

static void add_value(json_t *data, const struct ledger_value *value)
{
	CLEANUP(mem_wipe_strp) char *text = enc_base64(value->data, value->len);

	jv_set_str(data, value->key, text);
}

bool snapshot_is_large(const struct snapshot *snapshot)
{
	return snapshot->ledger && ledger_values_bound(snapshot->ledger) > LARGE_VALUES;
}

json_t *snapshot_body(const struct snapshot *snapshot, const char *namespace, const char *name,
		      struct ledger *edited)
{
	json_t *body = json_object();
	json_t *metadata = jv_ensure_object(body, "metadata");
	struct ledger_value *values;
	size_t len = ledger_write(edited, &values);
	size_t i;

	if (snapshot->exists) {
		jv_set_str(metadata, "resourceVersion", snapshot->rv);
	} else {
		jv_set_str(body, "apiVersion", "v1");
		jv_set_str(body, "kind", "Secret");
		jv_set_str(body, "type", "Opaque");
		jv_set_str(metadata, "namespace", namespace);
		jv_set_str(metadata, "name", name);
		jv_set_str(jv_ensure_object(metadata, "labels"), MANAGED_BY, API_MANAGER);
	}
	for (i = 0; i < len; i++)
		add_value(jv_ensure_object(body, "data"), &values[i]);
	ledger_values_free(values, len);
	ledger_write_tags(edited, metadata);
	return body;
}
