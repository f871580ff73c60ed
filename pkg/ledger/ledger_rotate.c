/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"
#include "url/url.h"

/* ---- asking ---- */

static bool has_text(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

bool ledger_allows(const struct ledger *ledger, const char *key, const char *domain,
		   char *const *cidrs, size_t len)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);
	const json_t *list = ledger_account_field(entry, "allowfrom");
	size_t i;

	if (json_array_size(list) != len)
		return false;
	for (i = 0; i < len; i++)
		if (!has_text(list, cidrs[i]))
			return false;
	return true;
}

/* Under whatever spelling of the host it was retired. */
static const char *retired_key(json_t *record, const char *host)
{
	const char *key;
	json_t *ignored;

	json_object_foreach(jv_object(record, "retired"), key, ignored)
		if (url_equal(key, host))
			return key;
	return NULL;
}

/* Lent by the record; NULL: none is there. */
static json_t *find_spare(json_t *record, const char *host)
{
	json_t *next = json_object_get(record, "next");
	const char *at;

	if (next && url_equal(ledger_account_text(next, "server_url"), host))
		return next;
	at = retired_key(record, host);
	return at ? json_object_get(json_object_get(record, "retired"), at) : NULL;
}

const char *ledger_spare(const struct ledger *ledger, const char *key, const char *domain,
			 const char *host)
{
	json_t *spare = find_spare(ledger_record(ledger, key, domain), host);

	return spare ? ledger_account_text(spare, "fulldomain") : NULL;
}

/* ---- edits ---- */

void ledger_set_rotated(struct ledger *ledger, const char *key, const char *domain,
			const char *value)
{
	ledger_put_own(ledger, ledger_edit_record(ledger, key, domain), "rotate",
		       json_string(value));
}

/* The account is stolen. */
static void retire(struct ledger *ledger, json_t *record, const char *host, json_t *account)
{
	json_t *retired = ledger_ensure_own(ledger, record, "retired");
	const char *key = retired_key(record, host);

	if (!*ledger_account_text(account, "server_url"))
		ledger_account_set_url(account, host);
	if (key && strcmp(key, host) != 0)
		ledger_drop_own(ledger, retired, key);
	ledger_put_own(ledger, retired, host, account);
}

void ledger_store_next(struct ledger *ledger, const char *key, const char *domain, const char *host,
		       const struct acmedns_account *account)
{
	json_t *record = ledger_edit_record(ledger, key, domain);
	json_t *before = json_object_get(record, "next");

	if (before)
		retire(ledger, record, ledger_account_text(before, "server_url"),
		       json_incref(before));
	ledger_drop_own(ledger, record, "claim");
	ledger_put_own(ledger, record, "next", ledger_account_json(account, host));
}

/* Takes the account at host out of where it waits; the caller owns it. */
static json_t *take_spare(struct ledger *ledger, json_t *record, const char *host)
{
	json_t *spare = json_incref(find_spare(record, host));

	assert(spare);
	if (spare == json_object_get(record, "next"))
		ledger_drop_own(ledger, record, "next");
	else
		ledger_drop_own(ledger, json_object_get(record, "retired"),
				retired_key(record, host));
	return spare;
}

void ledger_switch(struct ledger *ledger, const char *key, const char *domain, const char *host,
		   const char *entry_host)
{
	json_t *record = ledger_edit_record(ledger, key, domain);
	json_t *spare = take_spare(ledger, record, host);
	const json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	if (ledger_account_complete(json_object_get(ledger_doc(ledger, key)->accounts, domain)))
		retire(ledger, record, entry_host, json_deep_copy(entry));
	(void)ledger_set_origin(ledger, key, domain, "registered", host);
	ledger_set_entry(ledger, key, domain, spare);
}

void ledger_rehost(struct ledger *ledger, const char *key, const char *domain, const char *host)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);
	json_t *copy;

	ledger_put_own(ledger, ledger_edit_record(ledger, key, domain), "host", json_string(host));
	if (!*ledger_account_text(entry, "server_url"))
		return;
	copy = json_deep_copy(entry);
	ledger_account_set_url(copy, host);
	ledger_set_entry(ledger, key, domain, copy);
}
