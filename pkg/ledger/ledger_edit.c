/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"

/* ---- every change goes through these ---- */

/* What the value replaces is not taken off the size: a bound may be too large. */
static void put(struct ledger *ledger, bool *changed, json_t *object, const char *key,
		json_t *value)
{
	CLEANUP(jv_freep) json_t *name = json_string(key);

	if (json_equal(json_object_get(object, key), value)) {
		json_decref(value);
		return;
	}
	ledger->size_bound += ledger_text_size(name) + strlen(":,");
	ledger_add_value(ledger, value);
	jv_set(object, key, value);
	*changed = true;
}

void ledger_put_own(struct ledger *ledger, json_t *object, const char *key, json_t *value)
{
	put(ledger, &ledger->own_changed, object, key, value);
}

void ledger_drop_own(struct ledger *ledger, json_t *object, const char *key)
{
	if (!json_object_del(object, key))
		ledger->own_changed = true;
}

/* ---- our records ---- */

json_t *ledger_ensure_own(struct ledger *ledger, json_t *object, const char *key)
{
	if (!json_object_get(object, key))
		ledger_put_own(ledger, object, key, json_object());
	return json_object_get(object, key);
}

json_t *ledger_edit_record(struct ledger *ledger, const char *key, const char *domain)
{
	json_t *keys = json_object_get(ledger->own, "keys");

	return ledger_ensure_own(ledger, ledger_ensure_own(ledger, keys, key), domain);
}

static int64_t one_more(const json_t *record, const char *path)
{
	int64_t count = jv_int(record, path, 0);

	return count < INT64_MAX ? count + 1 : count;
}

static void count_uncertain(struct ledger *ledger, json_t *record)
{
	ledger_put_own(ledger, record, "uncertain", json_integer(one_more(record, "uncertain")));
}

void ledger_set_created(struct ledger *ledger)
{
	ledger_put_own(ledger, ledger->own, "created", json_true());
}

/* ---- owners ---- */

void ledger_note_loser(struct ledger *ledger, const char *uid)
{
	if (!ledger->losers)
		ledger->losers = json_object();
	jv_set_bool(ledger->losers, uid, true);
}

void ledger_forget_losers(struct ledger *ledger)
{
	json_t *keys = json_object_get(ledger->own, "keys");
	json_t *owners = json_object_get(ledger->own, "owners");
	const char *key;
	const char *domain;
	json_t *records;
	json_t *record;

	if (!ledger->losers)
		return;
	json_object_foreach(keys, key, records)
		json_object_foreach(records, domain, record)
			(void)json_object_del(ledger->losers, jv_str(record, "owner"));
	ledger_except_tag_owners(ledger, ledger->losers);
	json_object_foreach(ledger->losers, key, record)
		(void)json_object_del(owners, key);
}

void ledger_set_owner(struct ledger *ledger, const char *key, const char *domain,
		      const struct ledger_owner *owner)
{
	json_t *record = ledger_edit_record(ledger, key, domain);
	json_t *owners = json_object_get(ledger->own, "owners");
	CLEANUP(jv_freep) json_t *before = json_incref(json_object_get(record, "owner"));

	ledger_put_own(ledger, record, "owner", json_string(owner->uid));
	ledger_put_own(ledger, owners, owner->uid, json_string(owner->name));
	if (json_is_string(before))
		ledger_note_loser(ledger, json_string_value(before));
}

/* ---- claims ---- */

void ledger_claim(struct ledger *ledger, const char *key, const char *domain,
		  const struct ledger_owner *owner, const struct ledger_claim *claim)
{
	json_t *record = ledger_edit_record(ledger, key, domain);
	json_t *json = json_object();

	jv_set_str(json, "nonce", claim->nonce);
	jv_set_str(json, "holder", claim->holder);
	jv_set_str(json, "owner", owner->uid);
	jv_set_str(json, "host", claim->host);
	jv_set_int(json, "timeoutSeconds", claim->timeout_s);
	jv_set_int(json, "attempt", one_more(record, "claim.attempt"));
	if (claim->rotates)
		jv_set_bool(json, "rotates", true);
	if (claim->after_uncertain)
		count_uncertain(ledger, record);
	ledger_put_own(ledger, record, "claim", json);
	ledger_set_owner(ledger, key, domain, owner);
	ledger_add_account(ledger, domain, claim->host);
	if (claim->rotates)
		ledger_add_retired(ledger, key, domain);
}

const char *ledger_next_claimed(const struct ledger *ledger, const char *key, const char *nonce,
				const char *after)
{
	json_t *records = ledger_records(ledger, key);
	void *at = after ? json_object_iter_next(records, json_object_iter_at(records, after))
			 : json_object_iter(records);

	while (at && strcmp(jv_str(json_object_iter_value(at), "claim.nonce"), nonce) != 0)
		at = json_object_iter_next(records, at);
	return at ? json_object_iter_key(at) : NULL;
}

void ledger_discard(struct ledger *ledger, const char *key, const char *domain, const char *nonce)
{
	json_t *record = ledger_edit_record(ledger, key, domain);

	count_uncertain(ledger, record);
	if (strcmp(jv_str(record, "claim.nonce"), nonce) == 0)
		ledger_drop_own(ledger, record, "claim");
}

/* ---- accounts ---- */

json_t *ledger_set_origin(struct ledger *ledger, const char *key, const char *domain,
			  const char *origin, const char *host)
{
	json_t *record = ledger_edit_record(ledger, key, domain);

	ledger_put_own(ledger, record, "origin", json_string(origin));
	ledger_put_own(ledger, record, "host", json_string(host));
	return record;
}

void ledger_set_entry(struct ledger *ledger, const char *key, const char *domain, json_t *entry)
{
	struct ledger_doc *doc = ledger_doc(ledger, key);

	put(ledger, &doc->changed, doc->accounts, domain, entry);
}

void ledger_adopt(struct ledger *ledger, const char *key, const char *domain, const char *host)
{
	(void)ledger_set_origin(ledger, key, domain, "adopted", host);
}

void ledger_store(struct ledger *ledger, const char *key, const char *domain, const char *host,
		  const struct acmedns_account *account)
{
	json_t *record = ledger_set_origin(ledger, key, domain, "registered", host);

	ledger_drop_own(ledger, record, "claim");
	ledger_set_entry(ledger, key, domain, ledger_account_json(account, host));
}

void ledger_set_loss(struct ledger *ledger, const char *key, const char *domain, int64_t loss_s)
{
	json_t *record = ledger_edit_record(ledger, key, domain);

	ledger_put_own(ledger, record, "lossTime", json_integer(loss_s));
}

bool ledger_is_sharable(const struct ledger *ledger, const char *key, const char *domain)
{
	const json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	return ledger_text_size(entry) <= LEDGER_MAX_SHARED;
}

void ledger_share(struct ledger *ledger, const char *key, const char *from, const char *domain)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, from);
	const json_t *source = ledger_record(ledger, key, from);
	json_t *record;

	assert(json_is_object(entry) && source);
	record = ledger_set_origin(ledger, key, domain, jv_str(source, "origin"),
				   jv_str(source, "host"));
	ledger_drop_own(ledger, record, "claim");
	/* Not a deep copy: entries are only ever replaced whole. */
	ledger_set_entry(ledger, key, domain, json_incref(entry));
}
