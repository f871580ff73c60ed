/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"
#include "ledger/ledger_impl.h"

/* ---- opening ---- */

static const struct ledger_value *find_value(const struct ledger *ledger, const char *key)
{
	size_t i;

	for (i = 0; i < ledger->values_len; i++)
		if (strcmp(ledger->values[i].key, key) == 0)
			return &ledger->values[i];
	return NULL;
}

static int open_own(struct ledger *ledger, struct err *err)
{
	const struct ledger_value *value = find_value(ledger, LEDGER_OWN_KEY);

	if (!value) {
		ledger->own = ledger_own_new();
		return 0;
	}
	ledger->ours = true;
	ledger->own = jv_parse_exact(value->data, value->len, err);
	if (!ledger->own)
		return err_wrap(err, "%s cannot be read", LEDGER_OWN_KEY);
	return ledger_own_check(ledger->own, err);
}

static int count_values(struct ledger *ledger, struct err *err)
{
	size_t i;

	for (i = 0; i < ledger->values_len; i++)
		ledger->values_bound += jv_count(ledger->values[i].data, ledger->values[i].len);
	if (ledger->values_bound <= LEDGER_MAX_VALUES)
		return 0;
	return err_set(err, ERR_INVALID, 0, "the Secret holds more than %d JSON values",
		       LEDGER_MAX_VALUES);
}

struct ledger *ledger_open(const struct ledger_value *values, size_t len, struct err *err)
{
	CLEANUP(ledger_freep) struct ledger *ledger = mem_zalloc(sizeof(*ledger));
	const struct ledger_value *own;
	size_t i;

	ledger->values = values;
	ledger->values_len = len;
	if (count_values(ledger, err) || open_own(ledger, err))
		return NULL;
	for (i = 0; i < len; i++)
		ledger->size_bound += values[i].len;
	own = find_value(ledger, LEDGER_OWN_KEY);
	if (own)
		ledger->size_bound += ledger_growth(ledger->own, own->len);
	else
		ledger_add_value(ledger, ledger->own);
	ledger_add_claims(ledger);
	return TAKE(ledger);
}

void ledger_free(struct ledger *ledger)
{
	size_t i;

	if (!ledger)
		return;
	for (i = 0; i < ledger->docs_len; i++) {
		free(ledger->docs[i].key);
		json_decref(ledger->docs[i].accounts);
	}
	free(ledger->docs);
	json_decref(ledger->own);
	json_decref(ledger->losers);
	json_decref(ledger->metadata);
	json_decref(ledger->tags);
	free(ledger);
}

void ledger_freep(struct ledger **ledger)
{
	ledger_free(*ledger);
}

static struct ledger_doc *find_doc(const struct ledger *ledger, const char *key)
{
	size_t i;

	for (i = 0; i < ledger->docs_len; i++)
		if (strcmp(ledger->docs[i].key, key) == 0)
			return &ledger->docs[i];
	return NULL;
}

struct ledger_doc *ledger_doc(const struct ledger *ledger, const char *key)
{
	struct ledger_doc *doc = find_doc(ledger, key);

	assert(doc);
	return doc;
}

/* Of the public document: an entry that is retired is deeper in ours than it was there. */
#define MOST_LEVELS (JV_MAX_DEPTH - 4)

/* Absent, empty and null are all no accounts; Go reads null so. */
static json_t *parse_accounts(const struct ledger_value *value, struct err *err)
{
	CLEANUP(jv_freep) json_t *accounts = NULL;

	if (!value || value->len == 0)
		return json_object();
	if (jv_levels(value->data, value->len) > MOST_LEVELS) {
		(void)err_set(err, ERR_INVALID, 0, "JSON of more than %d levels", MOST_LEVELS);
		return NULL;
	}
	accounts = jv_parse_exact(value->data, value->len, err);
	if (!accounts)
		return NULL;
	if (json_is_null(accounts))
		return json_object();
	return ledger_accounts_check(accounts, err) ? NULL : TAKE(accounts);
}

/* Entries that claims under way, or accounts that wait, are going to retire. */
static void add_rotations(struct ledger *ledger, const char *key)
{
	json_t *records = ledger_records(ledger, key);
	const char *domain;
	json_t *record;

	json_object_foreach(records, domain, record)
		if (jv_bool(record, "claim.rotates", false) || jv_object(record, "next"))
			ledger_add_retired(ledger, key, domain);
}

int ledger_use(struct ledger *ledger, const char *key, struct err *err)
{
	const struct ledger_value *value = find_value(ledger, key);
	json_t *accounts;

	if (find_doc(ledger, key))
		return 0;
	if (strcmp(key, LEDGER_OWN_KEY) == 0)
		return err_set(err, ERR_INVALID, 0, "%s is the operator's own", key);
	accounts = parse_accounts(value, err);
	if (!accounts)
		return err_wrap(err, "%s cannot be read as accounts", key);
	ledger->size_bound += ledger_growth(accounts, value ? value->len : 0);
	ledger->values_bound++; /* of a document where there was none */
	ledger->docs = mem_resize(ledger->docs, ledger->docs_len + 1, sizeof(*ledger->docs));
	ledger->docs[ledger->docs_len++] =
		(struct ledger_doc){.key = mem_strdup(key), .accounts = accounts};
	add_rotations(ledger, key);
	return 0;
}

/* ---- asking ---- */

bool ledger_is_ours(const struct ledger *ledger)
{
	return ledger->ours;
}

bool ledger_has_account(const struct ledger *ledger, const char *key)
{
	json_t *accounts = ledger_doc(ledger, key)->accounts;
	const char *domain;
	json_t *entry;

	json_object_foreach(accounts, domain, entry)
		if (ledger_account_complete(entry))
			return true;
	return false;
}

json_t *ledger_records(const struct ledger *ledger, const char *key)
{
	return json_object_get(jv_object(ledger->own, "keys"), key);
}

json_t *ledger_record(const struct ledger *ledger, const char *key, const char *domain)
{
	return json_object_get(ledger_records(ledger, key), domain);
}

const char *ledger_domain_name(const char *domain)
{
	return dnsname_is_hostname(domain) ? domain : "a domain";
}

static enum ledger_origin origin_of(const json_t *record)
{
	const char *origin = jv_str(record, "origin");

	if (strcmp(origin, "registered") == 0)
		return LEDGER_REGISTERED;
	return strcmp(origin, "adopted") == 0 ? LEDGER_ADOPTED : LEDGER_NONE;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

const char *ledger_owner_name(const struct ledger *ledger, const char *uid)
{
	const char *name =
		json_string_value(json_object_get(jv_object(ledger->own, "owners"), uid));

	return name ? name : "";
}

void ledger_look(const struct ledger *ledger, const char *key, const char *domain,
		 struct ledger_entry *ret_entry)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);
	const json_t *record = ledger_record(ledger, key, domain);
	const char *owner = jv_str(record, "owner");

	*ret_entry = (struct ledger_entry){
		.present = json_is_object(entry),
		.complete = ledger_account_complete(entry),
		.fulldomain = ledger_account_text(entry, "fulldomain"),
		.server_url = ledger_account_text(entry, "server_url"),
		.origin = origin_of(record),
		.owner = owner,
		.owner_name = ledger_owner_name(ledger, owner),
		.host = jv_str(record, "host"),
		.uncertain = jv_int(record, "uncertain", 0),
		.loss_s = jv_int(record, "lossTime", -1),
		.nonce = jv_str(record, "claim.nonce"),
		.timeout_s = clamp(jv_int(record, "claim.timeoutSeconds", 0), 1, 300),
		.attempt = jv_int(record, "claim.attempt", 0),
		.rotates = jv_bool(record, "claim.rotates", false),
		.rotated = jv_str(record, "rotate"),
		.next_fulldomain = ledger_account_text(jv_get(record, "next"), "fulldomain"),
		.next_host = ledger_account_text(jv_get(record, "next"), "server_url"),
	};
}

void ledger_look_credentials(const struct ledger *ledger, const char *key, const char *domain,
			     struct ledger_credentials *ret_credentials)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	*ret_credentials = (struct ledger_credentials){
		.username = ledger_account_text(entry, "username"),
		.password = ledger_account_text(entry, "password"),
		.subdomain = ledger_account_text(entry, "subdomain"),
		.limited = json_array_size(ledger_account_field(entry, "allowfrom")) > 0,
	};
}

/* ---- the result ---- */

size_t ledger_size_bound(const struct ledger *ledger)
{
	return ledger->size_bound;
}

size_t ledger_values_bound(const struct ledger *ledger)
{
	return ledger->values_bound;
}

bool ledger_changed(const struct ledger *ledger)
{
	size_t i;

	for (i = 0; i < ledger->docs_len; i++)
		if (ledger->docs[i].changed)
			return true;
	return ledger->own_changed;
}

static void add_value(struct ledger_value **values, size_t *len, const char *key, const json_t *doc)
{
	struct ledger_value value = {.key = mem_strdup(key)};

	value.data = jv_text(doc, &value.len);
	*values = mem_resize(*values, *len + 1, sizeof(**values));
	(*values)[(*len)++] = value;
}

size_t ledger_write(struct ledger *ledger, struct ledger_value **ret_values)
{
	struct ledger_value *values = NULL;
	size_t len = 0;
	size_t i;

	for (i = 0; i < ledger->docs_len; i++)
		if (ledger->docs[i].changed)
			add_value(&values, &len, ledger->docs[i].key, ledger->docs[i].accounts);
	ledger_forget_losers(ledger);
	if (ledger->own_changed)
		add_value(&values, &len, LEDGER_OWN_KEY, ledger->own);
	*ret_values = values;
	return len;
}

void ledger_values_free(struct ledger_value *values, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		free(values[i].key);
		mem_wipe_free(values[i].data, values[i].len);
	}
	free(values);
}
