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
#define RETIRED_SIZE 256

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

size_t ledger_claims_size(const json_t *own)
{
	json_t *keys = jv_object(own, "keys");
	const char *key;
	const char *domain;
	json_t *records;
	json_t *record;
	size_t size = 0;

	json_object_foreach(keys, key, records)
		json_object_foreach(records, domain, record)
			if (jv_object(record, "claim"))
				size += ledger_account_size(domain, jv_str(record, "claim.host"));
	return size;
}

size_t ledger_claim_size(const char *domain, const char *host, size_t allow_from_len)
{
	return RECORD_SIZE + strlen(domain) + 2 * strlen(host) + ledger_account_size(domain, host) +
	       allow_from_len;
}
