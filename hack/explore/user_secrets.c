/* SPDX-License-Identifier: Apache-2.0 */

/* What people and their tools do to the Secret, and to what the spec refers to. */

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "explore.h"
#include "jv/jv.h"

#define DAY_S (24 * 3600)

/* ---- the account rule ---- */

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

/* It waits for accounts beside those that the Secret has. */
static bool is_rotating(const struct run *run)
{
	uint32_t id = run->w.live[0].id;

	return id && asks_for_rotation(store_get_object(run->store, id)->object);
}

/* Our document becomes another one, and the account rule begins anew: with the account that is in
 * it, and the count. All is modulo 2^32, as the rule adds them up again. */
static void put(struct run *run, uint32_t id)
{
	uint32_t i;

	run->w.reset = 1;
	for (i = 0; i < DOMAINS; i++) {
		const struct domain_facts *facts = &store_get_secret(run->store, id)->domains[i];
		bool counts = i == 0 || !run->scenario->shared;

		run->w.excused[i] = run->w.made[i] + outstanding(run, i) - facts->uncertain;
		if (counts)
			run->w.excused[i] += is_rotating(run) - (uint32_t)facts->complete;
	}
	world_set_secret(run, id);
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

static void set(struct run *run, json_t *secret)
{
	world_set_secret(run, store_secret(run->store, secret));
}

/* A scenario's Secret is written with documents as JSON, not as base64. */
void user_make_secret(struct run *run, const char *text)
{
	json_t *secret = user_parse(text);
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(jv_object(secret, "data"), next, key, value) {
		CLEANUP(jv_freep) json_t *document = json_incref(value);

		encode(secret, key, document);
	}
	set(run, secret);
}

/* ---- the whole Secret ---- */

static const struct secret_thing *live(const struct run *run)
{
	return store_get_secret(run->store, run->w.secret.id);
}

static bool can_edit(const struct run *run, int ignored)
{
	(void)ignored;
	return run->w.secret.id && live(run)->readable && !live(run)->snapshot.immutable;
}

static void delete_secret(struct run *run, int ignored)
{
	(void)ignored;
	put(run, 0);
}

static bool can_delete(const struct run *run, int ignored)
{
	(void)ignored;
	return run->w.secret.id;
}

static uint32_t backup(const struct run *run, int first)
{
	return first ? run->w.first_secret : run->w.older_secret;
}

static void put_back(struct run *run, int first)
{
	put(run, backup(run, first));
}

static bool can_put_back(const struct run *run, int first)
{
	return run->w.secret.id != backup(run, first);
}

/* The objects come back as ones that nobody has lost anything of. */
static void restore(struct run *run, int first)
{
	put_back(run, first);
	user_restore_objects(run);
}

static bool can_restore(const struct run *run, int first)
{
	(void)first;
	return run->w.next_uid < 5;
}

/* Deleted and made anew with the same contents. */
static void lock(struct run *run, int immutable)
{
	json_t *secret = contents(run);

	jv_set_bool(secret, "immutable", immutable);
	set(run, secret);
}

static bool can_lock(const struct run *run, int immutable)
{
	return run->w.secret.id && live(run)->snapshot.immutable != immutable;
}

static void spoil(struct run *run, int ignored)
{
	json_t *secret = contents(run);

	(void)ignored;
	run->w.sound_secret = run->w.secret.id;
	jv_set_str(jv_ensure_object(secret, "data"), KEY, "e30gYW5kIG1vcmU=");
	set(run, secret);
}

static void mend(struct run *run, int ignored)
{
	(void)ignored;
	world_set_secret(run, run->w.sound_secret);
	run->w.sound_secret = 0;
}

static bool can_mend(const struct run *run, int ignored)
{
	(void)ignored;
	return run->w.sound_secret && !live(run)->readable;
}

/* ---- what is in it ---- */

static void edit_accounts(struct run *run, const char *domain, const char *entry)
{
	json_t *secret = contents(run);
	CLEANUP(jv_freep) json_t *accounts = decoded(secret, KEY);

	if (entry)
		jv_set(accounts, domain, user_parse(entry));
	else
		(void)json_object_del(accounts, domain);
	encode(secret, KEY, accounts);
	set(run, secret);
}

/* What vanished is made again, once a day and object. */
static void remove_entry(struct run *run, int ignored)
{
	uint32_t id = run->w.live[0].id;
	const struct object_thing *thing = id ? store_get_object(run->store, id) : NULL;
	uint32_t uid = thing ? thing->uid : 0;

	(void)ignored;
	if (uid != run->w.lost_uid || !thing)
		run->w.excused[0]++;
	run->w.lost_uid = uid;
	run->w.clock_s++;
	edit_accounts(run, "a.test", NULL);
}

static bool can_remove_entry(const struct run *run, int ignored)
{
	(void)ignored;
	return world_facts(run, 0)->entry;
}

static void pass_day(struct run *run, int ignored)
{
	(void)ignored;
	run->w.clock_s += DAY_S;
	run->w.lost_uid = 0;
	steps_pass_time(run, DAY_S * 1000, NULL);
}

static bool can_pass_day(const struct run *run, int ignored)
{
	(void)ignored;
	return run->w.clock_s < DAY_S;
}

static void add_entry(struct run *run, int of_ours)
{
	if (of_ours)
		edit_accounts(run, "a.test",
			      "{'fulldomain':'20000000-0000-4000-8000-000000000026.one.test',"
			      "'subdomain':'s','username':'u','password':'p','allowfrom':[]}");
	else
		edit_accounts(run, "foreign.test", "{'fulldomain':'f','x':{'y':[1]}}");
}

static bool can_add_entry(const struct run *run, int of_ours)
{
	return can_edit(run, 0) && (!of_ours || !world_facts(run, 0)->entry);
}

static const char *const same_servers[] = {
	"https://one.test https://two.test",
	"https://one.test https://other.test",
};

static void say_same_server(struct run *run, int which)
{
	json_t *secret = contents(run);
	json_t *annotations = jv_ensure_object(jv_ensure_object(secret, "metadata"), "annotations");

	jv_set_str(annotations, API_ANNOTATION_SAME_SERVER, same_servers[which]);
	set(run, secret);
}

static bool can_say_same_server(const struct run *run, int which)
{
	const char *said = live(run)->snapshot.same_server;

	return can_edit(run, 0) && (!said || strcmp(said, same_servers[which]) != 0);
}

/* Of the accounts that do not say it themselves. */
static void say_host(struct run *run, int ignored)
{
	json_t *secret = contents(run);
	json_t *annotations = jv_ensure_object(jv_ensure_object(secret, "metadata"), "annotations");

	(void)ignored;
	jv_set_str(annotations, API_ANNOTATION_HOST, "https://one.test");
	set(run, secret);
}

static bool can_say_host(const struct run *run, int ignored)
{
	(void)ignored;
	return can_edit(run, 0) && !live(run)->snapshot.host;
}

/* To the value of arg. */
static const char *const labels[] = {NULL, "x", "b"};

static void label(struct run *run, int which)
{
	json_t *secret = contents(run);
	json_t *metadata = jv_ensure_object(secret, "metadata");
	json_t *set_now = jv_ensure_object(metadata, "labels");

	if (labels[which])
		jv_set_str(set_now, tag_names[0].key, labels[which]);
	else
		(void)json_object_del(set_now, tag_names[0].key);
	if (json_object_size(set_now) == 0)
		(void)json_object_del(metadata, "labels");
	set(run, secret);
}

static bool can_label(const struct run *run, int which)
{
	const char *now = live(run)->tags[0].value;

	return can_edit(run, 0) &&
	       (now && labels[which] ? strcmp(now, labels[which]) != 0 : now != labels[which]);
}

/* ---- what the spec refers to ---- */

/* To the state of arg. */
static void change_login(struct run *run, int to)
{
	run->w.referred[REFERRED_LOGIN] = (uint32_t)to;
}

static bool can_change_login(const struct run *run, int to)
{
	return run->w.referred[REFERRED_LOGIN] != (uint32_t)to;
}

static void change_ca(struct run *run, int to)
{
	run->w.referred[REFERRED_CA] = (uint32_t)to;
}

static bool can_change_ca(const struct run *run, int to)
{
	return run->w.referred[REFERRED_CA] != (uint32_t)to;
}

const struct user_row secret_acts[ACTS] = {
	[ACT_DELETE_SECRET] = {"deletes the Secret", can_delete, delete_secret, 0},
	[ACT_RESTORE] = {"restores a backup: objects without status, an older Secret", can_restore,
			 restore, 0},
	[ACT_RESTORE_FIRST] = {"restores a backup: objects without status, the Secret as it was "
			       "in the beginning",
			       can_restore, restore, 1},
	[ACT_PUT_BACK] = {"applies the Secret as it was before its last change", can_put_back,
			  put_back, 0},
	[ACT_REMOVE_ENTRY] = {"removes the entry of a.test from the Secret", can_remove_entry,
			      remove_entry, 0},
	[ACT_DAY] = {"does nothing for a day", can_pass_day, pass_day, 0},
	[ACT_ADD_FOREIGN] = {"adds an entry of another domain to the Secret", can_add_entry,
			     add_entry, 0},
	[ACT_ADD_ENTRY] = {"puts an account made by hand for a.test into the Secret", can_add_entry,
			   add_entry, 1},
	[ACT_LOCK] = {"replaces the Secret by an immutable one", can_lock, lock, 1},
	[ACT_UNLOCK] = {"replaces the Secret by one that is not immutable", can_lock, lock, 0},
	[ACT_SPOIL] = {"writes what is no JSON into the Secret", can_edit, spoil, 0},
	[ACT_MEND] = {"mends the Secret", can_mend, mend, 0},
	[ACT_SAME_SERVER] = {"says on the Secret that two.test is one.test", can_say_same_server,
			     say_same_server, 0},
	[ACT_OTHER_SERVER] = {"says on the Secret that other.test is one.test", can_say_same_server,
			      say_same_server, 1},
	[ACT_HOST_ONE] = {"says on the Secret that its accounts are of one.test", can_say_host,
			  say_host, 0},
	[ACT_LABEL] = {"labels the Secret team=x", can_label, label, 1},
	[ACT_LABEL_OTHER] = {"labels the Secret team=b", can_label, label, 2},
	[ACT_NO_LABEL] = {"takes the label team from the Secret", can_label, label, 0},
	[ACT_LOGIN] = {"makes the login for one.test", can_change_login, change_login,
		       REFERRED_GOOD},
	[ACT_LOGIN_ELSEWHERE] = {"binds the login to two.test", can_change_login, change_login,
				 REFERRED_OTHER},
	[ACT_NO_LOGIN] = {"removes the login", can_change_login, change_login, REFERRED_ABSENT},
	[ACT_CA] = {"makes the CA", can_change_ca, change_ca, REFERRED_GOOD},
	[ACT_NO_CA] = {"removes the CA", can_change_ca, change_ca, REFERRED_ABSENT},
};
