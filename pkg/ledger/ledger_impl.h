/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LEDGER_IMPL_H
#define LEDGER_IMPL_H

#include <jansson.h>

#include "ledger/ledger.h"

struct ledger_doc {
	char *key;
	json_t *accounts;
	bool changed;
};

struct ledger {
	const struct ledger_value *values; /* lent */
	size_t values_len;
	json_t *own;
	bool ours;	/* own was in the Secret */
	json_t *losers; /* uids, as keys, that ledger_note_loser() was told; NULL: none */
	bool own_changed;
	struct ledger_doc *docs;
	size_t docs_len;
	size_t size_bound; /* grows only */
	size_t values_bound;
	json_t *metadata; /* the Secret's, as it was read; NULL: absent */
	json_t *tags;	  /* the labels and annotations that change; NULL: none */
};

/* The document opened under key; asserts that ledger_use() was called. */
struct ledger_doc *ledger_doc(const struct ledger *ledger, const char *key);
/* Our records under key; NULL when there are none. */
json_t *ledger_records(const struct ledger *ledger, const char *key);
/* "" when it is not named. */
const char *ledger_owner_name(const struct ledger *ledger, const char *uid);
/* Our record of a domain; NULL when there is none. */
json_t *ledger_record(const struct ledger *ledger, const char *key, const char *domain);
/* The domain, or what to call it in a message when it is no host name. */
const char *ledger_domain_name(const char *domain);

/* ---- ledger_edit.c: every change goes through these; values are stolen ---- */

void ledger_put_own(struct ledger *ledger, json_t *object, const char *key, json_t *value);
void ledger_drop_own(struct ledger *ledger, json_t *object, const char *key);
/* The object under a key of ours, made if absent; any other type was refused on opening. */
json_t *ledger_ensure_own(struct ledger *ledger, json_t *object, const char *key);
json_t *ledger_edit_record(struct ledger *ledger, const char *key, const char *domain);
json_t *ledger_set_origin(struct ledger *ledger, const char *key, const char *domain,
			  const char *origin, const char *host);
/* It may own nothing any more: if so, ledger_write() drops its name. */
void ledger_note_loser(struct ledger *ledger, const char *uid);
void ledger_set_entry(struct ledger *ledger, const char *key, const char *domain, json_t *entry);

/* Drops the names of losers that own nothing; in one walk, as there may be many of them. */
void ledger_forget_losers(struct ledger *ledger);

/* ---- ledger_tag.c ---- */

/* Takes those that own a label or annotation out of uids, whose keys they are. */
void ledger_except_tag_owners(const struct ledger *ledger, json_t *uids);

/* ---- ledger_own.c: our own document ---- */

json_t *ledger_own_new(void);
/* ERR_INVALID unless it is of our version, and whatever we read by name has the type we expect.
 * What is null in a record is dropped from it. */
int ledger_own_check(json_t *own, struct err *err);

/* ---- ledger_account.c: one entry of the public document, read as Go would ---- */

/* The last field of that name that is not null; lent. */
json_t *ledger_account_field(json_t *entry, const char *name);
/* "" unless the field is a string, and one without a NUL inside. */
const char *ledger_account_text(json_t *entry, const char *name);
bool ledger_account_complete(json_t *entry);
/* ERR_INVALID unless Go could decode every entry of the document. */
int ledger_accounts_check(json_t *accounts, struct err *err);
/* Whatever the field was called before. */
void ledger_account_set_url(json_t *entry, const char *server_url);
json_t *ledger_account_json(const struct acmedns_account *account, const char *server_url);

/* ---- ledger_size.c: how large the values may get ---- */

/* As jv_text() would write it. */
size_t ledger_text_size(const json_t *doc);
/* What a document adds by being written anew, beyond the len bytes that it takes now. */
size_t ledger_growth(const json_t *doc, size_t len);
/* Adds the accounts that the claims in our document may bring. */
void ledger_add_claims(struct ledger *ledger);
/* Adds an account that a claim may bring, with an empty allowfrom, to the bounds. */
void ledger_add_account(struct ledger *ledger, const char *domain, const char *host);
/* Adds the entry of a domain, which is to be retired. */
void ledger_add_retired(struct ledger *ledger, const char *key, const char *domain);
/* Adds a value that is put into an object, or is a document of its own. */
void ledger_add_value(struct ledger *ledger, const json_t *value);

#endif
