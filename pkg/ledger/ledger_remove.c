/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"

static bool is_kept(const char *domain, char *const *keep, size_t keep_len)
{
	size_t i;

	for (i = 0; i < keep_len; i++)
		if (strcmp(keep[i], domain) == 0)
			return true;
	return false;
}

static bool is_owned(const json_t *record, const char *uid)
{
	return strcmp(jv_str(record, "owner"), uid) == 0;
}

size_t ledger_count_owned(const struct ledger *ledger, const char *key, const char *uid,
			  char *const *keep, size_t keep_len)
{
	const char *domain;
	json_t *record;
	size_t count = 0;

	json_object_foreach(ledger_records(ledger, key), domain, record)
		count += is_owned(record, uid) && !is_kept(domain, keep, keep_len);
	return count;
}

void ledger_drop_claim(struct ledger *ledger, const char *key, const char *domain)
{
	ledger_drop_own(ledger, ledger_record(ledger, key, domain), "claim");
}

static void remove_entry(struct ledger *ledger, const char *key, const char *domain)
{
	struct ledger_doc *doc = ledger_doc(ledger, key);

	if (!json_object_del(doc->accounts, domain))
		doc->changed = true;
}

size_t ledger_remove_owned(struct ledger *ledger, const char *key, const char *uid,
			   char *const *keep, size_t keep_len)
{
	json_t *records = ledger_records(ledger, key);
	const char *domain;
	json_t *record;
	size_t claims = 0;
	void *next;

	json_object_foreach_safe(records, next, domain, record) {
		if (!is_owned(record, uid) || is_kept(domain, keep, keep_len))
			continue;
		claims += jv_object(record, "claim") != NULL;
		if (strcmp(jv_str(record, "origin"), "registered") == 0)
			remove_entry(ledger, key, domain);
		ledger_drop_own(ledger, records, domain);
	}
	ledger_note_loser(ledger, uid);
	return claims;
}
