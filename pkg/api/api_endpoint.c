/* SPDX-License-Identifier: Apache-2.0 */

/*
 * spec.cname.dnsEndpoint, and the DNSEndpoint that comes of it (external-dns' apis/v1alpha1). The
 * operator makes it by create, which never takes over one that somebody else made, and changes it
 * by server-side apply. What create has set is owned by another entry of managedFields than what
 * apply has: that is what api_endpoint_trim() is for.
 */

#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/mem.h"
#include "jv/jv.h"

/* ---- the spec ---- */

void api_endpoint_free(struct api_endpoint *endpoint)
{
	if (!endpoint)
		return;
	api_template_free(endpoint->tags);
	free(endpoint);
}

static bool is_ttl(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 1 &&
	       json_integer_value(value) <= API_MAX_TTL_S;
}

struct api_endpoint *api_endpoint_decode(const json_t *object, char **ret_unsupported)
{
	const json_t *whole = jv_get(object, "spec.cname.dnsEndpoint");
	const json_t *ttl = jv_get(whole, "ttlSeconds");
	struct api_endpoint *endpoint;

	if (!whole)
		return NULL;
	endpoint = mem_zalloc(sizeof(*endpoint));
	endpoint->ttl_s = is_ttl(ttl) ? json_integer_value(ttl) : 0;
	if (ttl && !endpoint->ttl_s && !*ret_unsupported)
		*ret_unsupported =
			mem_printf("spec.cname.dnsEndpoint.ttlSeconds: not a number of 1 to %d",
				   API_MAX_TTL_S);
	endpoint->tags =
		api_template_decode(object, "spec.cname.dnsEndpoint", true, ret_unsupported);
	return endpoint;
}

/* ---- what it has to say ---- */

static json_t *endpoint_json(const struct api_endpoint *spec, const struct api_cname *cname)
{
	CLEANUP(mem_freep) char *name = mem_printf("%s%s", DNSNAME_CHALLENGE, cname->domain);
	json_t *json = json_object();
	json_t *targets = json_array();

	jv_append(targets, json_string(cname->target));
	jv_set_str(json, "dnsName", name);
	jv_set_str(json, "recordType", "CNAME");
	jv_set(json, "targets", targets);
	if (spec->ttl_s > 0)
		jv_set_int(json, "recordTTL", spec->ttl_s);
	return json;
}

json_t *api_endpoint_body(const struct api_registration *object, const struct api_cname *cnames,
			  size_t len)
{
	const struct api_endpoint *spec = object->spec.endpoint;
	json_t *body = json_object();
	json_t *metadata = jv_ensure_object(body, "metadata");
	json_t *endpoints = json_array();
	size_t i;

	jv_set_str(body, "apiVersion", API_ENDPOINT_GROUP "/" API_ENDPOINT_VERSION);
	jv_set_str(body, "kind", "DNSEndpoint");
	jv_set_str(metadata, "namespace", object->namespace);
	jv_set_str(metadata, "name", object->name);
	for (i = 0; spec->tags && i < spec->tags->len; i++) {
		const struct api_tag *tag = &spec->tags->tags[i];

		jv_set_str(jv_ensure_object(metadata, tag->annotation ? "annotations" : "labels"),
			   tag->key, tag->value);
	}
	jv_set_str(jv_ensure_object(metadata, "annotations"), API_ANNOTATION_REGISTRATION,
		   object->name);
	for (i = 0; i < len; i++)
		jv_append(endpoints, endpoint_json(spec, &cnames[i]));
	jv_set(jv_ensure_object(body, "spec"), "endpoints", endpoints);
	return body;
}

json_t *api_endpoint_delete(const char *uid, const char *resource_version)
{
	json_t *body = json_object();
	json_t *preconditions = jv_ensure_object(body, "preconditions");

	jv_set_str(body, "apiVersion", "v1");
	jv_set_str(body, "kind", "DeleteOptions");
	jv_set_str(preconditions, "uid", uid);
	jv_set_str(preconditions, "resourceVersion", resource_version);
	return body;
}

/* ---- what was read ---- */

bool api_endpoint_is_ours(const json_t *endpoint, const char *name)
{
	return strcmp(api_annotation(endpoint, API_ANNOTATION_REGISTRATION), name) == 0;
}

static bool has_all(const json_t *have, json_t *want)
{
	const char *key;
	json_t *value;

	json_object_foreach(want, key, value) {
		const json_t *there = json_object_get(have, key);

		if (!there || !json_equal(there, value))
			return false;
	}
	return true;
}

/* Adds to patch, as nulls, the keys of one kind that an entry of managedFields says are ours, and
 * that are there, and not in body. */
static void add_unwanted(const json_t *endpoint, const json_t *body, const json_t *entry,
			 bool annotations, json_t *patch)
{
	const char *kind = annotations ? "annotations" : "labels";
	const char *fields =
		annotations ? "fieldsV1.f:metadata.f:annotations" : "fieldsV1.f:metadata.f:labels";
	const json_t *have = json_object_get(json_object_get(endpoint, "metadata"), kind);
	const json_t *want = json_object_get(json_object_get(body, "metadata"), kind);
	const char *field;
	json_t *ignored;

	json_object_foreach(jv_object(entry, fields), field, ignored) {
		const char *key = strncmp(field, "f:", 2) == 0 ? field + 2 : "";

		if (json_object_get(have, key) && !json_object_get(want, key))
			jv_set(jv_ensure_object(patch, kind), key, json_null());
	}
}

/* created: those only that came with its creation, or by a merge patch. NULL: there are none. */
static json_t *unwanted(const json_t *endpoint, const json_t *body, bool created)
{
	json_t *patch = json_object();
	const json_t *entry;
	size_t i;

	json_array_foreach(jv_array(endpoint, "metadata.managedFields"), i, entry) {
		if (strcmp(jv_str(entry, "manager"), API_MANAGER) != 0 ||
		    (created && strcmp(jv_str(entry, "operation"), "Update") != 0))
			continue;
		add_unwanted(endpoint, body, entry, false, patch);
		add_unwanted(endpoint, body, entry, true, patch);
	}
	if (json_object_size(patch) > 0)
		return patch;
	json_decref(patch);
	return NULL;
}

bool api_endpoint_says(const json_t *endpoint, const json_t *body)
{
	CLEANUP(jv_freep) json_t *old = unwanted(endpoint, body, false);
	const json_t *endpoints = jv_array(endpoint, "spec.endpoints");

	return !old && endpoints && json_equal(endpoints, jv_array(body, "spec.endpoints")) &&
	       has_all(jv_object(endpoint, "metadata.labels"),
		       jv_object(body, "metadata.labels")) &&
	       has_all(jv_object(endpoint, "metadata.annotations"),
		       jv_object(body, "metadata.annotations"));
}

json_t *api_endpoint_trim(const json_t *endpoint, const json_t *body)
{
	json_t *metadata = unwanted(endpoint, body, true);
	json_t *patch;

	if (!metadata)
		return NULL;
	jv_set_str(metadata, "resourceVersion", jv_str(endpoint, "metadata.resourceVersion"));
	patch = json_object();
	jv_set(patch, "metadata", metadata);
	return patch;
}
