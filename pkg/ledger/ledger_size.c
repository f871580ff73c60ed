/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"
#include "ledger/ledger_impl.h"
#include "url/url.h"

/* At most, apart from domains, hosts and allowfrom: what a claim and the store that follows put
 * into our document, with a new key and owner, and what an account is in the public one. */
#define RECORD_SIZE  1024
#define ACCOUNT_SIZE 1024
/* What an account adds to the JSON values. */
#define ACCOUNT_VALUES 20
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

/* An account in the public document, with an empty allowfrom, at most. */
static size_t account_size(const char *domain, const char *host)
{
	return ACCOUNT_SIZE + strlen(domain) + strlen(host);
}

size_t ledger_retired_size(const struct ledger *ledger, const char *key, const char *domain)
{
	const json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);

	return RETIRED_SIZE + URL_LEN + (entry ? ledger_text_size(entry) : 0);
}

/* Of a value that is put into an object; its bytes, too. */
static size_t count_values(const json_t *value, size_t *ret_size)
{
	char *text = jv_text(value, ret_size);
	size_t count = jv_count(text, *ret_size) + 1;

	mem_wipe_free(text, *ret_size);
	return count;
}

void ledger_add_value(struct ledger *ledger, const json_t *value)
{
	size_t size;

	ledger->values_bound += count_values(value, &size);
	ledger->size_bound += size;
}

size_t ledger_retired_values(const struct ledger *ledger, const char *key, const char *domain)
{
	const json_t *entry = json_object_get(ledger_doc(ledger, key)->accounts, domain);
	size_t size;

	return RETIRED_VALUES + (entry ? count_values(entry, &size) : 1);
}

void ledger_add_account(struct ledger *ledger, const char *domain, const char *host)
{
	ledger->size_bound += account_size(domain, host);
	ledger->values_bound += ACCOUNT_VALUES;
}

void ledger_add_retired(struct ledger *ledger, const char *key, const char *domain)
{
	ledger->size_bound += ledger_retired_size(ledger, key, domain);
	ledger->values_bound += ledger_retired_values(ledger, key, domain);
}

void ledger_add_claims(struct ledger *ledger)
{
	json_t *keys = jv_object(ledger->own, "keys");
	const char *key;
	const char *domain;
	json_t *records;
	json_t *record;

	json_object_foreach(keys, key, records)
		json_object_foreach(records, domain, record)
			if (jv_object(record, "claim"))
				ledger_add_account(ledger, domain, jv_str(record, "claim.host"));
}

size_t ledger_claim_size(const char *domain, const char *host, size_t allow_from_len)
{
	return RECORD_SIZE + strlen(domain) + 2 * strlen(host) + account_size(domain, host) +
	       allow_from_len;
}
