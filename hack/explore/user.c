/* SPDX-License-Identifier: Apache-2.0 */

/* People and their tools: what they do to objects and to the Secret, at any time. */

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "explore.h"
#include "jv/jv.h"

/* ' stands for " in the scenarios' texts. */
static json_t *parse(const char *text)
{
	CLEANUP(mem_freep) char *json = mem_strdup(text);
	struct err err;
	json_t *doc;
	char *at = json;

	while ((at = strchr(at, '\'')))
		*at = '"';
	doc = jv_parse(json, strlen(json), &err);
	return doc ? doc : json_object();
}

/* ---- objects ---- */

static json_t *new_object(const struct run *run, size_t name, const char *spec)
{
	json_t *json = parse("{'metadata':{'namespace':'default','generation':1},"
			     "'status':{'observedGeneration':-1}}");
	json_t *metadata = jv_object(json, "metadata");
	CLEANUP(mem_freep) char *name_text = mem_printf("object-%zu", name);
	CLEANUP(mem_freep) char *uid = mem_printf("uid-%u", run->w.next_uid);

	jv_set_str(metadata, "name", name_text);
	jv_set_str(metadata, "uid", uid);
	jv_set(json, "spec", parse(spec));
	return json;
}

static void make(struct run *run, size_t name, size_t spec)
{
	json_t *json;

	run->w.next_uid++;
	json = new_object(run, name, run->scenario->specs[spec]);
	world_set_object(run, name, json);
}

static bool is_kept(const struct run *run, size_t name)
{
	return api_has_finalizer(store_get_object(run->store, run->w.live[name].id)->object);
}

/* One with a finalizer stays until that goes. */
static void delete_object(struct run *run, size_t name)
{
	const struct object_thing *thing = store_get_object(run->store, run->w.live[name].id);
	json_t *metadata;
	json_t *json;

	if (!is_kept(run, name)) {
		world_set_object(run, name, NULL);
		return;
	}
	json = json_deep_copy(thing->json);
	metadata = jv_object(json, "metadata");
	jv_set_str(metadata, "deletionTimestamp", "2027-01-15T08:00:00Z");
	jv_set_int(metadata, "generation", thing->object->generation + 1);
	world_set_object(run, name, json);
}

static bool can_delete(const struct run *run, size_t name)
{
	uint32_t id = run->w.live[name].id;

	return id && !store_get_object(run->store, id)->object->deleting;
}

/* One more account of each domain. */
static void excuse_rotation(struct run *run)
{
	uint32_t i;

	for (i = 0; i < DOMAINS; i++)
		run->w.excused[i]++;
}

/* Another host asks a rotation that is under way for accounts there. */
static void respec(struct run *run, size_t name, size_t spec)
{
	const struct object_thing *thing = store_get_object(run->store, run->w.live[name].id);
	json_t *json = json_deep_copy(thing->json);

	jv_set(json, "spec", parse(run->scenario->specs[spec]));
	jv_set_int(jv_object(json, "metadata"), "generation", thing->object->generation + 1);
	if (*thing->object->rotate &&
	    strcmp(jv_str(json, "spec.host"), thing->object->spec.host) != 0)
		excuse_rotation(run);
	world_set_object(run, name, json);
}

static void annotate(struct run *run, const char *value)
{
	json_t *json = json_deep_copy(store_get_object(run->store, run->w.live[0].id)->json);
	json_t *annotations = jv_ensure_object(jv_object(json, "metadata"), "annotations");

	if (value)
		jv_set_str(annotations, API_ANNOTATION_ROTATE, value);
	else
		(void)json_object_del(annotations, API_ANNOTATION_ROTATE);
	world_set_object(run, 0, json);
}

static void rotate(struct run *run)
{
	CLEANUP(mem_freep) char *value = mem_printf("r%u", ++run->w.rotations);

	excuse_rotation(run);
	annotate(run, value);
}

/* From a backup: as it was, but for status, and with a uid of its own. */
static void restore_object(struct run *run, size_t name)
{
	json_t *json;

	if (!run->w.live[name].id)
		return;
	run->w.next_uid++;
	json = new_object(run, name, "{}");
	jv_set(json, "spec",
	       json_deep_copy(jv_object(store_get_object(run->store, run->w.live[name].id)->json,
					"spec")));
	world_set_object(run, name, json);
}

/* ---- the Secret ---- */

static uint32_t count_claims(const struct run *run, uint32_t domain)
{
	uint32_t count = 0;
	size_t p;
	size_t s;

	for (p = 0; p < PROCESSES; p++)
		for (s = 0; s < SEATS; s++) {
			const struct seat *seat = &run->w.processes[p].seats[s];

			count +=
				store_memory_facts(run->store, seat->memory)->claimed >> domain & 1;
			if (seat->edit && run->w.processes[p].request.answer == ANSWER_OK)
				count += store_edit_facts(run->store, seat->edit)->claimed >>
						 domain &
					 1;
		}
	return count;
}

/* What is under way may still become accounts: POSTs, claims that a process has, and those in the
 * Secret of which their writer is still to hear. */
static uint32_t outstanding(const struct run *run, uint32_t domain)
{
	uint32_t count = count_claims(run, domain);
	size_t i;

	for (i = 0; i < POSTS; i++)
		count += run->w.posts[i].state == POST_SENT && run->w.posts[i].domain == domain;
	return count;
}

/* Our document becomes another one: the account rule begins anew. */
static void excuse(struct run *run)
{
	uint32_t i;

	run->w.reset = 1;
	for (i = 0; i < DOMAINS; i++)
		run->w.excused[i] = run->w.made[i] + outstanding(run, i);
}

static json_t *contents(const struct run *run)
{
	return json_deep_copy(store_get_secret(run->store, run->w.secret.id)->json);
}

static json_t *decoded(const json_t *secret, const char *key)
{
	const json_t *value = json_object_get(jv_object(secret, "data"), key);
	CLEANUP(mem_freep) char *text = NULL;
	struct err err;
	size_t len;
	json_t *json = NULL;

	if (json_is_string(value))
		text = enc_unbase64(json_string_value(value), json_string_length(value), &len,
				    &err);
	if (text)
		json = jv_parse(text, len, &err);
	return json ? json : json_object();
}

static void encode(json_t *secret, const char *key, const json_t *json)
{
	size_t len;
	CLEANUP(mem_freep) char *text = jv_text(json, &len);
	CLEANUP(mem_freep) char *base64 = enc_base64(text, len);

	jv_set_str(jv_ensure_object(secret, "data"), key, base64);
}

static void edit_accounts(struct run *run, const char *domain, const char *entry)
{
	json_t *secret = contents(run);
	CLEANUP(jv_freep) json_t *accounts = decoded(secret, KEY);

	if (entry)
		jv_set(accounts, domain, parse(entry));
	else
		(void)json_object_del(accounts, domain);
	encode(secret, KEY, accounts);
	world_set_secret(run, store_secret(run->store, secret));
}

static void lock(struct run *run, bool immutable)
{
	json_t *secret = contents(run);

	jv_set_bool(secret, "immutable", immutable);
	world_set_secret(run, store_secret(run->store, secret));
}

static void put_back(struct run *run)
{
	excuse(run);
	world_set_secret(run, run->w.older_secret);
}

static void restore(struct run *run)
{
	size_t n;

	put_back(run);
	for (n = 0; n < NAMES; n++)
		restore_object(run, n);
}

/* ---- the table ---- */

const char *user_act_name(enum act act)
{
	static const char *const names[ACTS] = {
		[ACT_NONE] = "",
		[ACT_FIRST_SPEC] = "sets the spec of object-0 back",
		[ACT_OTHER_SPEC] = "edits the spec of object-0",
		[ACT_SECOND_SPEC] = "edits the spec of object-1",
		[ACT_DELETE_OBJECT] = "deletes object-0",
		[ACT_DELETE_OTHER] = "deletes object-1",
		[ACT_RECREATE_OBJECT] = "deletes object-0 and makes it anew",
		[ACT_MAKE_OTHER] = "makes object-1",
		[ACT_DELETE_SECRET] = "deletes the Secret",
		[ACT_RESTORE] = "restores a backup: objects without status, an older Secret",
		[ACT_PUT_BACK] = "applies the Secret as it was before its last change",
		[ACT_REMOVE_ENTRY] = "removes the entry of a.test from the Secret",
		[ACT_ADD_FOREIGN] = "adds an entry of another domain to the Secret",
		[ACT_ADD_ENTRY] = "puts an account made by hand for a.test into the Secret",
		[ACT_LOCK] = "replaces the Secret by an immutable one",
		[ACT_UNLOCK] = "replaces the Secret by one that is not immutable",
		[ACT_ROTATE] = "asks for a rotation of object-0",
		[ACT_CALL_OFF] = "takes the rotation of object-0 back",
	};

	return names[act];
}

static bool has_spec(const struct run *run, size_t name, size_t spec)
{
	CLEANUP(jv_freep) json_t *json = parse(run->scenario->specs[spec]);
	uint32_t id = run->w.live[name].id;

	return id && json_equal(json, jv_object(store_get_object(run->store, id)->json, "spec"));
}

static bool is_locked(const struct run *run)
{
	return store_get_secret(run->store, run->w.secret.id)->snapshot.immutable;
}

bool user_can(const struct run *run, enum act act)
{
	const struct world *w = &run->w;

	switch (act) {
	case ACT_FIRST_SPEC:
		return w->live[0].id && !has_spec(run, 0, 0);
	case ACT_OTHER_SPEC:
		return w->live[0].id && !has_spec(run, 0, 1);
	case ACT_SECOND_SPEC:
		return w->live[1].id && !has_spec(run, 1, 3);
	case ACT_DELETE_OBJECT:
		return can_delete(run, 0);
	case ACT_ROTATE:
		return w->live[0].id;
	case ACT_CALL_OFF:
		return w->live[0].id &&
		       *store_get_object(run->store, w->live[0].id)->object->rotate;
	case ACT_DELETE_OTHER:
		return can_delete(run, 1);
	case ACT_RECREATE_OBJECT:
		return w->next_uid < 6 && (!w->live[0].id || !is_kept(run, 0));
	case ACT_MAKE_OTHER:
		return !w->live[1].id && w->next_uid < 6;
	case ACT_DELETE_SECRET:
		return w->secret.id;
	case ACT_RESTORE:
		return w->next_uid < 5;
	case ACT_PUT_BACK:
		return w->older_secret != w->secret.id;
	case ACT_REMOVE_ENTRY:
		return world_facts(run, 0)->entry;
	case ACT_ADD_ENTRY:
		return w->secret.id && !is_locked(run) && !world_facts(run, 0)->entry;
	case ACT_ADD_FOREIGN:
	case ACT_LOCK:
		return w->secret.id && !is_locked(run);
	case ACT_UNLOCK:
		return w->secret.id && is_locked(run);
	case ACT_NONE:
	case ACTS:
		break;
	}
	return false;
}

void user_act(struct run *run, enum act act)
{
	tell(run, "a user %s", user_act_name(act));
	switch (act) {
	case ACT_FIRST_SPEC:
	case ACT_OTHER_SPEC:
		respec(run, 0, act == ACT_OTHER_SPEC);
		break;
	case ACT_SECOND_SPEC:
		respec(run, 1, 3);
		break;
	case ACT_DELETE_OBJECT:
	case ACT_DELETE_OTHER:
		delete_object(run, act == ACT_DELETE_OTHER);
		break;
	case ACT_RECREATE_OBJECT:
		make(run, 0, 0);
		break;
	case ACT_MAKE_OTHER:
		make(run, 1, 2);
		break;
	case ACT_DELETE_SECRET:
		excuse(run);
		world_set_secret(run, 0);
		break;
	case ACT_RESTORE:
		restore(run);
		break;
	case ACT_PUT_BACK:
		put_back(run);
		break;
	case ACT_REMOVE_ENTRY:
		run->w.excused[0]++; /* it is made again, once */
		edit_accounts(run, "a.test", NULL);
		break;
	case ACT_ADD_FOREIGN:
		edit_accounts(run, "foreign.test", "{'fulldomain':'f','x':{'y':[1]}}");
		break;
	case ACT_ADD_ENTRY:
		edit_accounts(run, "a.test",
			      "{'fulldomain':'20000000-0000-4000-8000-000000000026.one.test',"
			      "'subdomain':'s','username':'u','password':'p','allowfrom':[]}");
		break;
	case ACT_LOCK:
	case ACT_UNLOCK:
		lock(run, act == ACT_LOCK);
		break;
	case ACT_ROTATE:
		rotate(run);
		break;
	case ACT_CALL_OFF:
		annotate(run, NULL);
		break;
	case ACT_NONE:
	case ACTS:
		break;
	}
}

/* ---- the beginning ---- */

/* A scenario's Secret is written with documents as JSON, not as base64. */
static json_t *secret_of(const char *text)
{
	json_t *secret = parse(text);
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(jv_object(secret, "data"), next, key, value) {
		CLEANUP(jv_freep) json_t *document = json_incref(value);

		encode(secret, key, document);
	}
	return secret;
}

void user_begin(struct run *run)
{
	uint32_t i;

	make(run, 0, 0);
	if (run->scenario->both)
		make(run, 1, 2);
	if (run->scenario->secret)
		world_set_secret(run, store_secret(run->store, secret_of(run->scenario->secret)));
	for (i = 0; i < DOMAINS; i++)
		run->w.made[i] = world_facts(run, i)->origin == LEDGER_REGISTERED;
	run->w.older[0] = run->w.live[0];
	run->w.older[1] = run->w.live[1];
}
