/* SPDX-License-Identifier: Apache-2.0 */

/* What the numbers in a state stand for: JSON decoded once by the shipping code, plain structs as
 * runs of words that are not zero. */

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "explore.h"
#include "jv/jv.h"

/* ---- texts ---- */

static char *sorted_text(const json_t *json)
{
	return json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

uint32_t store_text(struct store *store, const json_t *json)
{
	CLEANUP(mem_freep) char *text = sorted_text(json);

	return pool_put(&store->texts, text, strlen(text));
}

uint32_t number_in(const char *text, int base)
{
	char *end;
	const char *at = text + strlen(text);

	while (at > text && strchr("0123456789abcdef", at[-1]))
		at--;
	return (uint32_t)strtoul(at, &end, base);
}

uint32_t account_of(const char *fulldomain)
{
	CLEANUP(mem_freep) char *label = mem_strdup(fulldomain);
	char *dot = strchr(label, '.');

	if (!dot || strncmp(label, "20000000-0000-4000-8000-", 24) != 0)
		return 0;
	*dot = '\0';
	return number_in(label, 10);
}

/* ---- objects ---- */

uint32_t store_object(struct store *store, json_t *json)
{
	CLEANUP(mem_freep) char *text = NULL;
	struct object_thing *thing;
	struct item *item;

	jv_set_str(jv_object(json, "metadata"), "resourceVersion", ANY_RV);
	text = sorted_text(json);
	item = pool_item(&store->objects, pool_put(&store->objects, text, strlen(text)));
	if (item->thing) {
		json_decref(json);
		return item->id;
	}
	thing = mem_zalloc(sizeof(*thing));
	*thing = (struct object_thing){
		.json = json,
		.object = api_decode(json),
		.uid = number_in(jv_str(json, "metadata.uid"), 10),
	};
	item->thing = thing;
	return item->id;
}

const struct object_thing *store_get_object(const struct store *store, uint32_t id)
{
	return pool_item(&store->objects, id)->thing;
}

static void free_object(void *thing)
{
	struct object_thing *object = thing;

	json_decref(object->json);
	api_free(object->object);
	free(object);
}

/* ---- Secrets ---- */

/* The documents as JSON again; NULL when absent or unreadable. */
static json_t *document(const struct secret_thing *thing, const char *key)
{
	struct err ignored;
	size_t i;

	for (i = 0; i < thing->snapshot.values_len; i++)
		if (strcmp(thing->snapshot.values[i].key, key) == 0)
			return jv_parse(thing->snapshot.values[i].data,
					thing->snapshot.values[i].len, &ignored);
	return NULL;
}

/* fold.c has the server put the claim's number into the password. */
static uint32_t maker(const struct secret_thing *thing, const char *domain)
{
	CLEANUP(jv_freep) json_t *accounts = document(thing, KEY);

	return number_in(jv_str(json_object_get(accounts, domain), "password"), 10);
}

/* What rotation keeps of a domain. */
static void look_at_spares(const struct secret_thing *thing, const char *domain,
			   struct domain_facts *facts)
{
	CLEANUP(jv_freep) json_t *own = document(thing, LEDGER_OWN_KEY);
	json_t *records = json_object_get(json_object_get(own, "keys"), KEY);
	json_t *record = json_object_get(records, domain);
	json_t *next = json_object_get(record, "next");
	const char *host;
	json_t *account;

	facts->next = account_of(jv_str(next, "fulldomain"));
	facts->next_by = number_in(jv_str(next, "password"), 10);
	json_object_foreach(json_object_get(record, "retired"), host, account)
		if (*jv_str(account, "username") && *jv_str(account, "password"))
			facts->retired |= UINT32_C(1) << account_of(jv_str(account, "fulldomain"));
}

static void look_at_domain(struct secret_thing *thing, uint32_t i)
{
	struct ledger *ledger = thing->snapshot.ledger;
	struct domain_facts *facts = &thing->domains[i];
	struct ledger_entry entry;

	ledger_look(ledger, KEY, domain_names[i], &entry);
	*facts = (struct domain_facts){
		.account = account_of(entry.fulldomain),
		.host = *entry.server_url ? 1 + host_number(entry.server_url) : 0,
		.nonce = *entry.nonce ? number_in(entry.nonce, 16) : 0,
		.origin = (uint32_t)entry.origin,
		.owner = number_in(entry.owner, 10),
		.uncertain = (uint32_t)entry.uncertain,
		.complete = entry.complete,
	};
	facts->by = maker(thing, domain_names[i]);
	look_at_spares(thing, domain_names[i], facts);
	thing->accounts |= facts->account ? UINT32_C(1) << facts->account : 0;
	thing->accounts |= facts->next ? UINT32_C(1) << facts->next : 0;
}

static void drop_all(json_t *object, const char *const *names, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		(void)json_object_del(object, names[i]);
}

/* Of our own document only what no version of ours has written. */
static void strip_own(json_t *own)
{
	static const char *const ours[] = {"version", "created", "owners", "template"};
	static const char *const of_record[] = {"owner",     "host",	 "origin",
						"uncertain", "lossTime", "claim",
						"rotate",    "next",	 "retired"};
	json_t *records = jv_ensure_object(jv_ensure_object(own, "keys"), KEY);
	json_t *record;
	size_t i;

	drop_all(own, ours, ARRAY_LEN(ours));
	for (i = 0; i < DOMAINS; i++) {
		record = json_object_get(records, domain_names[i]);
		drop_all(record, of_record, ARRAY_LEN(of_record));
		if (record && json_object_size(record) == 0)
			(void)json_object_del(records, domain_names[i]);
	}
}

const struct tag_name tag_names[TAGS] = {{false, "team"}, {true, "note"}};

/* What is ours of those, and what is not: check_template.c. */
static void strip_tags(json_t *metadata)
{
	static const char *const kinds[] = {"labels", "annotations"};
	size_t i;

	for (i = 0; i < TAGS; i++)
		(void)json_object_del(json_object_get(metadata, kinds[tag_names[i].annotation]),
				      tag_names[i].key);
	for (i = 0; i < ARRAY_LEN(kinds); i++)
		if (json_object_size(json_object_get(metadata, kinds[i])) == 0)
			(void)json_object_del(metadata, kinds[i]);
}

/* The Secret without the entries and records of our domains, and those tags. */
static uint32_t foreign_text(struct store *store, const struct secret_thing *thing)
{
	CLEANUP(jv_freep)
	json_t *rest = json_is_object(thing->json) ? json_deep_copy(thing->json) : json_object();
	json_t *accounts = document(thing, KEY);
	json_t *own = document(thing, LEDGER_OWN_KEY);
	json_t *data = jv_ensure_object(rest, "data");
	size_t i;

	if (!json_is_object(accounts)) {
		json_decref(accounts);
		accounts = json_object();
	}
	for (i = 0; i < DOMAINS; i++)
		(void)json_object_del(accounts, domain_names[i]);
	jv_set(data, KEY, accounts);
	if (!own)
		own = json_object();
	strip_own(own);
	strip_tags(jv_object(rest, "metadata"));
	jv_set(data, LEDGER_OWN_KEY, own);
	return store_text(store, rest);
}

static void look_at_tags(struct secret_thing *thing)
{
	size_t i;

	for (i = 0; i < TAGS; i++) {
		thing->tags[i] = (struct ledger_tag){.owner = "", .owner_name = ""};
		if (thing->readable)
			ledger_look_tag(thing->snapshot.ledger, tag_names[i].annotation,
					tag_names[i].key, &thing->tags[i]);
	}
}

static void look_at_secret(struct store *store, struct secret_thing *thing)
{
	CLEANUP(jv_freep) json_t *accounts = NULL;
	struct err ignored;
	uint32_t i;

	thing->readable =
		thing->snapshot.ledger && !ledger_use(thing->snapshot.ledger, KEY, &ignored);
	look_at_tags(thing);
	accounts = document(thing, KEY);
	for (i = 0; i < DOMAINS; i++) {
		json_t *entry = json_object_get(accounts, domain_names[i]);

		if (thing->readable)
			look_at_domain(thing, i);
		if (!entry)
			continue;
		thing->domains[i].entry = store_text(store, entry);
		(void)json_object_del(entry, "server_url");
		thing->domains[i].rest = store_text(store, entry);
	}
	thing->foreign = foreign_text(store, thing);
}

static struct secret_thing *make_secret(struct store *store, json_t *json)
{
	struct secret_thing *thing = mem_zalloc(sizeof(*thing));

	thing->json = json;
	if (json_is_null(json))
		snapshot_set_absent(&thing->snapshot, 0);
	else
		snapshot_set(&thing->snapshot, json, 0);
	look_at_secret(store, thing);
	return thing;
}

uint32_t store_secret(struct store *store, json_t *json)
{
	CLEANUP(mem_freep) char *text = NULL;
	struct item *item;

	if (json_is_object(json))
		jv_set_str(jv_ensure_object(json, "metadata"), "resourceVersion", ANY_RV);
	text = sorted_text(json);
	item = pool_item(&store->secrets, pool_put(&store->secrets, text, strlen(text)));
	if (item->thing)
		json_decref(json);
	else
		item->thing = make_secret(store, json);
	return item->id;
}

struct secret_thing *store_get_secret(struct store *store, uint32_t id)
{
	return pool_item(&store->secrets, id ? id : store_secret(store, json_null()))->thing;
}

static void free_secret(void *thing)
{
	struct secret_thing *secret = thing;

	json_decref(secret->json);
	snapshot_drop(&secret->snapshot);
	free(secret);
}

/* ---- bodies of writes and patches ---- */

static void look_at_target(struct body_thing *thing, const char *value)
{
	uint32_t account = account_of(value);

	thing->accounts |= UINT32_C(1) << account;
	thing->unknown |= account == 0;
}

static void look_at_records(struct body_thing *thing)
{
	const json_t *condition;
	const json_t *record;
	size_t i;

	json_array_foreach(jv_array(thing->json, "status.records"), i, record) {
		look_at_target(thing, jv_str(record, "value"));
		if (jv_object(record, "next"))
			look_at_target(thing, jv_str(record, "next.value"));
	}
	json_array_foreach(jv_array(thing->json, "status.conditions"), i, condition)
		thing->ready |= strcmp(jv_str(condition, "type"), "Ready") == 0 &&
				strcmp(jv_str(condition, "status"), "True") == 0;
}

uint32_t store_body(struct store *store, json_t *json)
{
	CLEANUP(mem_freep) char *text = sorted_text(json);
	struct item *item = pool_item(&store->bodies, pool_put(&store->bodies, text, strlen(text)));
	struct body_thing *thing;

	if (item->thing) {
		json_decref(json);
		return item->id;
	}
	thing = mem_zalloc(sizeof(*thing));
	*thing = (struct body_thing){
		.json = json,
		.guarded = strcmp(jv_str(json, "metadata.resourceVersion"), ANY_RV) == 0,
		.create = *jv_str(json, "kind") != '\0',
	};
	look_at_records(thing);
	item->thing = thing;
	return item->id;
}

const struct body_thing *store_get_body(const struct store *store, uint32_t id)
{
	return pool_item(&store->bodies, id)->thing;
}

static void free_body(void *thing)
{
	struct body_thing *body = thing;

	json_decref(body->json);
	free(body);
}

/* ---- plain structs: pairs of (words of zeros, words that follow), then those words ---- */

static void pack(struct buf *packed, const void *data, size_t len)
{
	const uint64_t *words = data;
	size_t count = len / sizeof(*words);
	size_t at = 0;

	while (at < count) {
		uint32_t head[2];
		size_t zeros = at;
		size_t end;

		while (zeros < count && !words[zeros])
			zeros++;
		for (end = zeros; end < count && words[end]; end++)
			continue;
		head[0] = (uint32_t)(zeros - at);
		head[1] = (uint32_t)(end - zeros);
		(void)buf_add(packed, head, sizeof(head));
		(void)buf_add(packed, words + zeros, (end - zeros) * sizeof(*words));
		at = end;
	}
}

static void unpack(const struct item *item, void *ret, size_t len)
{
	const char *at = item->bytes;
	const char *end = at + item->len;
	char *to = ret;

	memset(ret, 0, len);
	while (at < end) {
		uint32_t head[2];

		memcpy(head, at, sizeof(head));
		at += sizeof(head);
		to += head[0] * sizeof(uint64_t);
		memcpy(to, at, head[1] * sizeof(uint64_t));
		to += head[1] * sizeof(uint64_t);
		at += head[1] * sizeof(uint64_t);
	}
}

static void look_at_memory(const struct plan_memory *memory, struct memory_facts *facts)
{
	size_t i;

	facts->held = (uint32_t)plan_slots_held(memory);
	facts->unfinished = (uint32_t)plan_unfinished(memory);
	facts->resting = plan_resting(memory);
	facts->asked_owner = *memory->owner.uid;
	facts->found = (uint32_t)memory->round.reason;
	for (i = 0; i < PLAN_WORKS; i++) {
		const struct plan_work *work = &memory->works[i];

		if (work->state == PLAN_WORK_IN_HAND) {
			facts->in_hand |= UINT32_C(1) << account_of(work->account.fulldomain);
			facts->has_account = true;
		} else if (work->state == PLAN_WORK_CLAIMED) {
			facts->claimed |= UINT32_C(1) << domain_number(work->domain);
		}
	}
}

uint32_t store_memory(struct store *store, const struct plan_memory *memory)
{
	CLEANUP(buf_donep) struct buf packed = BUF_INIT(2 * sizeof(*memory));
	struct item *item;

	_Static_assert(sizeof(*memory) % sizeof(uint64_t) == 0, "it is packed by words");
	pack(&packed, memory, sizeof(*memory));
	if (packed.len == 0)
		return 0;
	item = pool_item(&store->memories, pool_put(&store->memories, packed.data, packed.len));
	if (!item->thing) {
		item->thing = mem_zalloc(sizeof(struct memory_facts));
		look_at_memory(memory, item->thing);
	}
	return item->id;
}

void store_load_memory(const struct store *store, uint32_t id, struct plan_memory *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (id)
		unpack(pool_item(&store->memories, id), ret, sizeof(*ret));
}

const struct memory_facts *store_memory_facts(const struct store *store, uint32_t id)
{
	static const struct memory_facts blank = {.resting = true};

	return id ? pool_item(&store->memories, id)->thing : &blank;
}

uint32_t store_edit(struct store *store, const struct plan_edit *edit)
{
	CLEANUP(buf_donep) struct buf packed = BUF_INIT(2 * sizeof(*edit));
	struct edit_facts *facts;
	struct item *item;
	size_t i;

	_Static_assert(sizeof(*edit) % sizeof(uint64_t) == 0, "it is packed by words");
	pack(&packed, edit, sizeof(*edit));
	item = pool_item(&store->edits, pool_put(&store->edits, buf_str(&packed), packed.len));
	if (item->thing)
		return item->id;
	facts = mem_zalloc(sizeof(*facts));
	facts->retagged = edit->retagged;
	for (i = 0; i < PLAN_WORKS; i++) {
		if (edit->claimed[i].state != PLAN_WORK_NONE) {
			facts->claims++;
			facts->claimed |= UINT32_C(1) << domain_number(edit->claimed[i].domain);
		}
		facts->discarded |= edit->discarded[i] ? UINT32_C(1) << i : 0;
	}
	item->thing = facts;
	return item->id;
}

void store_load_edit(const struct store *store, uint32_t id, struct plan_edit *ret)
{
	unpack(pool_item(&store->edits, id), ret, sizeof(*ret));
}

const struct edit_facts *store_edit_facts(const struct store *store, uint32_t id)
{
	return pool_item(&store->edits, id)->thing;
}

/* ---- what pure functions answered ---- */

uint32_t *store_memo(struct store *store, const uint32_t *key, size_t len, bool *ret_new)
{
	struct item *item =
		pool_item(&store->memo, pool_put(&store->memo, key, len * sizeof(*key)));

	*ret_new = !item->thing;
	if (*ret_new)
		item->thing = mem_zalloc(MEMO_RESULTS * sizeof(uint32_t));
	return item->thing;
}

void store_done(struct store *store)
{
	pool_done(&store->texts, free);
	pool_done(&store->objects, free_object);
	pool_done(&store->secrets, free_secret);
	pool_done(&store->bodies, free_body);
	pool_done(&store->memories, free);
	pool_done(&store->edits, free);
	pool_done(&store->memo, free);
}
