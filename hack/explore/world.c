/* SPDX-License-Identifier: Apache-2.0 */

/* The two servers: one that keeps objects by resourceVersion, and one that makes accounts. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "jv/jv.h"

const char *const domain_names[DOMAINS] = {"a.test", "b.test", "c.test"};

void tell(struct run *run, const char *fmt, ...)
{
	char text[400];
	va_list args;

	if (!run->telling)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)buf_addf(&run->story, "%s\n", text);
}

void broken(struct run *run, const char *fmt, ...)
{
	va_list args;

	if (*run->broken)
		return;
	va_start(args, fmt);
	(void)vsnprintf(run->broken, sizeof(run->broken), fmt, args);
	va_end(args);
	tell(run, "  BROKEN: %s", run->broken);
}

uint32_t domain_number(const char *domain)
{
	uint32_t i;

	for (i = 0; i < DOMAINS && strcmp(domain_names[i], domain) != 0; i++)
		continue;
	return i;
}

uint32_t host_number(const char *url)
{
	return strcmp(url, "https://two.test") == 0;
}

const struct domain_facts *world_facts(const struct run *run, uint32_t domain)
{
	return &store_get_secret(run->store, run->w.secret.id)->domains[domain];
}

/* ---- Secrets ---- */

void world_set_secret(struct run *run, uint32_t id)
{
	struct world *w = &run->w;
	uint32_t i;

	for (i = 0; i < DOMAINS; i++) {
		const struct domain_facts *after = &store_get_secret(run->store, id)->domains[i];
		uint32_t nonce = after->nonce;

		if (after->entry || world_facts(run, i)->entry)
			w->lost_ms[i] = 0;

		if (nonce)
			w->claimed |= UINT32_C(1) << (nonce - 1);
	}
	w->older_secret = w->secret.id;
	w->secret = (struct version){.id = id, .rv = w->secret.rv + 1};
	w->durable |= store_get_secret(run->store, id)->accounts;
}

/* An object without members is none to the API server. */
static void merge_tags(json_t *metadata, const char *kind, json_t *changes)
{
	json_t *tags = jv_ensure_object(metadata, kind);
	const char *key;
	json_t *value;

	json_object_foreach(changes, key, value) {
		if (json_is_null(value))
			(void)json_object_del(tags, key);
		else
			jv_set(tags, key, json_incref(value));
	}
	if (json_object_size(tags) == 0)
		(void)json_object_del(metadata, kind);
}

/* RFC 7386, as far as bodies of ours go: data, labels and annotations are merged key by key. */
uint32_t world_merge(struct run *run, uint32_t id, uint32_t body)
{
	const uint32_t key[] = {1000, id, body};
	const json_t *patch = store_get_body(run->store, body)->json;
	const char *name;
	json_t *value;
	json_t *json;
	bool is_new;
	uint32_t *result = store_memo(run->store, key, ARRAY_LEN(key), &is_new);

	if (!is_new)
		return *result;
	if (!id) {
		*result = store_secret(run->store, json_deep_copy(patch));
		return *result;
	}
	json = json_deep_copy(store_get_secret(run->store, id)->json);
	json_object_foreach(jv_object(patch, "data"), name, value)
		jv_set(jv_ensure_object(json, "data"), name, json_incref(value));
	merge_tags(jv_ensure_object(json, "metadata"), "labels",
		   jv_object(patch, "metadata.labels"));
	merge_tags(jv_ensure_object(json, "metadata"), "annotations",
		   jv_object(patch, "metadata.annotations"));
	*result = store_secret(run->store, json);
	return *result;
}

static enum answer write_secret(struct run *run, const struct request *request, size_t process,
				struct version *ret_got)
{
	const struct body_thing *body = store_get_body(run->store, request->body);
	struct version *live = &run->w.secret;
	uint32_t before = live->id;
	uint32_t after;

	if (body->create && before)
		return ANSWER_CONFLICT;
	if (!body->create && !before)
		return ANSWER_ABSENT;
	if (body->guarded && request->rv != live->rv)
		return ANSWER_CONFLICT;
	after = world_merge(run, before, request->body);
	if (store_get_secret(run->store, before)->snapshot.immutable)
		return ANSWER_DENIED;
	check_commit(run, process, before, after);
	world_set_secret(run, after);
	run->writes++;
	*ret_got = *live;
	return ANSWER_OK;
}

/* ---- objects ---- */

const struct object_thing *world_by_uid(const struct run *run, uint32_t uid)
{
	size_t n;

	for (n = 0; n < NAMES; n++) {
		uint32_t id = run->w.live[n].id;
		const struct object_thing *thing = id ? store_get_object(run->store, id) : NULL;

		if (thing && thing->uid == uid)
			return thing;
	}
	return NULL;
}

static void note_retained(struct run *run, size_t name, const json_t *next)
{
	uint32_t id = run->w.live[name].id;
	const struct object_thing *thing = id ? store_get_object(run->store, id) : NULL;

	if (thing &&
	    !(thing->object->spec.deletion == API_DELETE &&
	      api_has_finalizer(thing->object, API_FINALIZER)) &&
	    number_in(jv_str(next, "metadata.uid"), 10) != thing->uid)
		run->w.retained |= UINT32_C(1) << thing->uid;
}

void world_set_object(struct run *run, size_t name, json_t *json)
{
	struct version *live = &run->w.live[name];

	note_retained(run, name, json);
	run->w.older[name] = *live;
	*live = (struct version){.id = json ? store_object(run->store, json) : 0,
				 .rv = live->rv + 1};
}

static uint32_t with_status(struct run *run, uint32_t id, uint32_t body)
{
	const uint32_t key[] = {1001, id, body};
	json_t *status = jv_object(store_get_body(run->store, body)->json, "status");
	const char *name;
	json_t *value;
	json_t *json;
	bool is_new;
	uint32_t *result = store_memo(run->store, key, ARRAY_LEN(key), &is_new);

	if (!is_new)
		return *result;
	json = json_deep_copy(store_get_object(run->store, id)->json);
	json_object_foreach(status, name, value)
		jv_set(jv_ensure_object(json, "status"), name, json_incref(value));
	*result = store_object(run->store, json);
	return *result;
}

/* True when it was the last thing that kept an object which is being deleted. */
static bool patch_finalizers(struct run *run, const struct request *request)
{
	const struct object_thing *thing =
		store_get_object(run->store, run->w.live[request->name].id);
	json_t *patch = store_get_body(run->store, request->body)->json;
	json_t *list = json_object_get(jv_object(patch, "metadata"), "finalizers");
	json_t *json;

	tell(run, "  the finalizer is %s", json_array_size(list) ? "set" : "removed");
	if (thing->object->deleting && json_array_size(list) == 0)
		return true;
	json = json_deep_copy(thing->json);
	jv_set(jv_object(json, "metadata"), "finalizers", json_incref(list));
	world_set_object(run, request->name, json);
	return false;
}

static enum answer patch_object(struct run *run, const struct request *request,
				struct version *ret_got)
{
	struct version *live = &run->w.live[request->name];
	uint32_t after;

	if (!live->id)
		return ANSWER_ABSENT;
	if (store_get_body(run->store, request->body)->guarded && request->rv != live->rv)
		return ANSWER_CONFLICT;
	if (request->kind == REQUEST_FINALIZER) {
		if (patch_finalizers(run, request))
			world_set_object(run, request->name, NULL);
		run->writes++;
		*ret_got = *live;
		return ANSWER_OK;
	}
	check_patch(run, request);
	after = with_status(run, live->id, request->body);
	if (after != live->id) {
		run->w.older[request->name] = *live;
		*live = (struct version){.id = after, .rv = live->rv + 1};
		run->writes++;
	}
	*ret_got = *live;
	return ANSWER_OK;
}

enum answer world_execute(struct run *run, const struct request *request, size_t process,
			  struct version *ret_got)
{
	if (request->kind != REQUEST_WRITE)
		return patch_object(run, request, ret_got);
	return write_secret(run, request, process, ret_got);
}

enum answer world_get(const struct run *run, const struct request *request, struct version *ret_got)
{
	const struct world *w = &run->w;

	if (request->kind == REQUEST_REFERENCE)
		*ret_got = (struct version){.id = w->referred[request->name]};
	else
		*ret_got = request->kind == REQUEST_READ ? w->secret : w->live[request->name];
	return ret_got->id ? ANSWER_OK : ANSWER_ABSENT;
}

/* ---- acme-dns ---- */

uint32_t world_register(struct run *run, const struct post *post)
{
	struct world *w = &run->w;

	if (w->accounts >= 24) {
		run->pruned = true;
		return 0;
	}
	w->accounts++;
	w->at_two |= post->host << w->accounts;
	w->made[post->domain]++;
	w->made_for[post->domain] |= UINT32_C(1) << w->accounts;
	tell(run, "  server: makes account %u for %s", w->accounts, domain_names[post->domain]);
	return w->accounts;
}
