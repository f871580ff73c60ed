/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"
#include "url/url.h"

/* At most, apart from domains, hosts and allowfrom: what a claim and the store that follows put
 * into our document, with a new key and owner, and what an account is in the public one. */
#define RECORD_SIZE  1024
#define ACCOUNT_SIZE 1024
/* Names, and a server_url that the entry had none of. */
#define RETIRED_SIZE   256
#define RETIRED_VALUES 4

size_t ledger_text_size(const json_t *doc)
{
	return json_dumpb(doc, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Compact text is shorter as a rule; but 1e5 becomes 100000.0. */
size_t ledger_growth(const json_t *doc, size_t len)
{
	size_t size = ledger_text_size(doc);

	return size > len ? size - len : 0;
}

size_t ledger_account_size(const char *domain, const char *host)
{
	return ACCOUNT_SIZE + strlen(domain) + strlen(host);
}

size_t ledger_retired_size(const struct ledger *ledger, const char *key, const char *domain)
{
	const json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	return RETIRED_SIZE + URL_LEN + (entry ? ledger_text_size(entry) : 0);
}

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than JV_MAX_DEPTH, and a few levels of our own. */
size_t ledger_values_of(json_t *value)
{
	const bool empty = json_array_size(value) + json_object_size(value) == 0;
	size_t count = empty && (json_is_array(value) || json_is_object(value)) ? 2 : 1;
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach(value, i, item)
		count += ledger_values_of(item);
	json_object_foreach(value, key, item)
		count += ledger_values_of(item);
	return count;
}

size_t ledger_retired_values(const struct ledger *ledger, const char *key, const char *domain)
{
	json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	return RETIRED_VALUES + ledger_values_of(entry);
}

void ledger_add_claims(struct ledger *ledger)
{
	json_t *keys = jv_object(ledger->own, "keys");
	const char *key;
	const char *domain;
	json_t *records;
	json_t *record;

	json_object_foreach(keys, key, records)
		json_object_foreach(records, domain, record) {
			if (!jv_object(record, "claim"))
				continue;
			ledger->size_bound +=
				ledger_account_size(domain, jv_str(record, "claim.host"));
			ledger->values_bound += LEDGER_ACCOUNT_VALUES;
		}
}

size_t ledger_claim_size(const char *domain, const char *host, size_t allow_from_len)
{
	return RECORD_SIZE + strlen(domain) + 2 * strlen(host) + ledger_account_size(domain, host) +
	       allow_from_len;
}
