/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LEDGER_H
#define LEDGER_H

/*
 * The two documents in a Secret, and every edit that we make to them. Pure: bytes in, bytes out.
 *
 * data[<key>] is the public one, which cert-manager, lego and others read: domain -> account. Its
 * fields are matched as Go's encoding/json does (any case, the last one wins, null is nothing);
 * what is not ours keeps its meaning, and a document that cannot be kept so is refused.
 *
 * data["acme-dns-operator.json"] is our own:
 *
 *	{ "version": 1, "created": true, "owners": { <uid>: <name> },
 *	  "template": { "labels": { <key>: { "owner": <uid>, "value" } }, "annotations": ... },
 *	  "keys": { <key>: { <domain>: { "owner": <uid>, "host": <URL>,
 *	      "origin": "registered" | "adopted", "uncertain": 0,
 *	      "lossTime": <seconds>,
 *	      "claim": { "nonce", "holder", "owner", "host", "timeoutSeconds", "attempt",
 *			 "rotates" },
 *	      "rotate": <value>, "next": <account>, "retired": { <URL>: <account> } } } } }
 *
 * "claim" is the right to one POST /register, written before it is sent. "uncertain" counts the
 * POSTs of which nobody knows whether they made an account, and the accounts thrown away. Of an
 * account made for a lost one, "lossTime" says which loss, as status.lastAccountLossTime does.
 * "rotate" is the rotation last honoured; "next" an account that waits for its turn, "retired" the
 * newest that was replaced at each host, both as in the public document with their server_url.
 * "template" is what we put onto the Secret itself, and for which object; a tag here is either
 * kind. Members that we do not know are kept, unless they are null; another version is refused.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acmedns/acmedns.h"
#include "base/attr.h"
#include "base/err.h"

#define LEDGER_OWN_KEY	  "acme-dns-operator.json"
#define LEDGER_MAX_SECRET (1024 * 1024) /* the API server's limit on all values together */
/* Of an account that others are to have, too: more than any server answers with. */
#define LEDGER_MAX_SHARED 32768
/* Of all JSON in the Secret, so that work on it cannot hold up the loop, nor its trees fill the
 * memory; filled with accounts it has some 30,000. */
#define LEDGER_MAX_VALUES 32768

struct ledger;

/* One value of a Secret's data, decoded from base64. */
struct ledger_value {
	char *key;
	char *data;
	size_t len;
};

/* All lent for the ledger's life. ERR_INVALID when our own document cannot be read, or there are
 * more than LEDGER_MAX_VALUES. */
struct ledger *ledger_open(const struct ledger_value *values, size_t len,
			   struct err *err) MUST_CHECK;
void ledger_free(struct ledger *ledger); /* NULL is fine */
void ledger_freep(struct ledger **ledger);

/* Opens the public document under a key; needed before anything else is asked of that key.
 * ERR_INVALID says why it cannot be read, or not be kept; then nothing may be written to it. The
 * key of our own document is refused. */
int ledger_use(struct ledger *ledger, const char *key, struct err *err) MUST_CHECK;

/* The metadata of the Secret, to be looked at for labels and annotations; NULL: it is absent. */
void ledger_set_metadata(struct ledger *ledger, json_t *metadata);

/* The Secret holds a document of ours: it needs no adoption. */
bool ledger_is_ours(const struct ledger *ledger);
/* The public document holds at least one whole account: it may be adopted unasked. */
bool ledger_has_account(const struct ledger *ledger, const char *key);

enum ledger_origin { LEDGER_NONE, LEDGER_REGISTERED, LEDGER_ADOPTED };

/* What the documents say of one domain. Strings are lent until the next edit; "" = not said. */
struct ledger_entry {
	bool present;  /* the public document has an entry */
	bool complete; /* with all of username, password, subdomain, fulldomain as strings */
	const char *fulldomain;
	const char *server_url;
	/* ours */
	enum ledger_origin origin;
	const char *owner;	/* uid */
	const char *owner_name; /* "" when the owner is not named */
	const char *host;
	int64_t uncertain;
	int64_t loss_s; /* -1 = none */
	/* the claim; nonce "" = none */
	const char *nonce;
	int64_t timeout_s; /* clamped to 1..300 */
	int64_t attempt;
	bool rotates; /* its account is to replace the entry */
	/* rotation */
	const char *rotated; /* the value last honoured */
	const char *next_fulldomain;
	const char *next_host;
};

void ledger_look(const struct ledger *ledger, const char *key, const char *domain,
		 struct ledger_entry *ret_entry);

/* What proves to the server that an account is its user's; lent as the above, "" = not said. */
struct ledger_credentials {
	const char *username;
	const char *password;
	const char *subdomain;
	bool limited; /* to the networks of an allowfrom */
};

void ledger_look_credentials(const struct ledger *ledger, const char *key, const char *domain,
			     struct ledger_credentials *ret_credentials);

/* ---- edits: one that changes nothing leaves ledger_changed() as it was ---- */

struct ledger_owner {
	const char *uid;
	const char *name;
};

struct ledger_claim {
	const char *nonce;
	const char *holder;
	const char *host;
	int64_t timeout_s;
	/* The claim that this one replaces may have made an account: it is counted. */
	bool after_uncertain;
	bool rotates; /* the domain has an entry, which the account is to replace */
};

void ledger_set_created(struct ledger *ledger);
/* The domain is owner's from now on; an owner without any domain is forgotten. */
void ledger_set_owner(struct ledger *ledger, const char *key, const char *domain,
		      const struct ledger_owner *owner);
/* Takes an existing entry as an account at host. The public document stays as it is. */
void ledger_adopt(struct ledger *ledger, const char *key, const char *domain, const char *host);
void ledger_claim(struct ledger *ledger, const char *key, const char *domain,
		  const struct ledger_owner *owner, const struct ledger_claim *claim);
/* Writes an account as the domain's entry and ends its claim. */
void ledger_store(struct ledger *ledger, const char *key, const char *domain, const char *host,
		  const struct acmedns_account *account);
/* The account was made for the one lost at this time, in seconds since 1970. */
void ledger_set_loss(struct ledger *ledger, const char *key, const char *domain, int64_t loss_s);
/* The domain under key whose claim has this nonce, the next one after the domain (NULL: the first).
 * NULL when there is none. Edits in between are fine: no record ever moves or goes, so the domain
 * is lent for the ledger's life. */
const char *ledger_next_claimed(const struct ledger *ledger, const char *key, const char *nonce,
				const char *after);
/* The entry is no larger than LEDGER_MAX_SHARED: a person may have put anything into it. */
bool ledger_is_sharable(const struct ledger *ledger, const char *key, const char *domain);
/* Gives domain a copy of the entry of another one, which has a record (accountPolicy Shared). */
void ledger_share(struct ledger *ledger, const char *key, const char *from, const char *domain);
/* Counts an account thrown away; ends the claim if it has this nonce. */
void ledger_discard(struct ledger *ledger, const char *key, const char *domain, const char *nonce);

/* ---- rotation ---- */

/* The entry's allowfrom is this list, in any order. */
bool ledger_allows(const struct ledger *ledger, const char *key, const char *domain,
		   char *const *cidrs, size_t len);
/* The fulldomain of the account at host that waits, or else is retired there; NULL: none does. Lent
 * until the next edit. */
const char *ledger_spare(const struct ledger *ledger, const char *key, const char *domain,
			 const char *host);
void ledger_set_rotated(struct ledger *ledger, const char *key, const char *domain,
			const char *value);
/* Keeps an account beside the entry, and ends the claim. One that waits there already is retired.
 */
void ledger_store_next(struct ledger *ledger, const char *key, const char *domain, const char *host,
		       const struct acmedns_account *account);
/* Makes the account at host that waits, or else is retired there, the entry; there must be one. The
 * entry retires under entry_host. */
void ledger_switch(struct ledger *ledger, const char *key, const char *domain, const char *host,
		   const char *entry_host);
/* The same account at another address: that of the entry, if it names any, and ours. */
void ledger_rehost(struct ledger *ledger, const char *key, const char *domain, const char *host);

/* ---- deletion ---- */

/* Ends a claim that surely made no account. */
void ledger_drop_claim(struct ledger *ledger, const char *key, const char *domain);
/* How many domains under key are owner's, but for those in keep. */
size_t ledger_count_owned(const struct ledger *ledger, const char *key, const char *uid,
			  char *const *keep, size_t keep_len);
/* Removes all that is known of those domains, and the entries of those that were registered; what
 * was adopted stays as it is, and is nobody's again. Returns how many claims went with them,
 * each of which may have made an account. */
size_t ledger_remove_owned(struct ledger *ledger, const char *key, const char *uid,
			   char *const *keep, size_t keep_len);

/* ---- labels and annotations of the Secret ---- */

struct ledger_tag {
	const char *value; /* as it is on the Secret; NULL: absent */
	const char *put;   /* as we put it there; NULL: we did not */
	const char *owner; /* uid of the object for which we did; "" = none */
	const char *owner_name;
};

/* Our document says that we made the Secret. */
bool ledger_is_created(const struct ledger *ledger);
void ledger_look_tag(const struct ledger *ledger, bool annotation, const char *key,
		     struct ledger_tag *ret_tag);
/* Neither the Secret nor its annotations pass what the API server, and we, permit. */
bool ledger_tag_fits(const struct ledger *ledger, bool annotation, const char *key,
		     const char *value, const struct ledger_owner *owner);
/* Puts it onto the Secret, for this owner from now on. */
void ledger_put_tag(struct ledger *ledger, bool annotation, const char *key, const char *value,
		    const struct ledger_owner *owner);

/* The tag is to stay. */
typedef bool ledger_keep_fn(const void *ctx, bool annotation, const char *key);

/* How many tags are the owner's, but for those to keep. */
size_t ledger_count_tags(const struct ledger *ledger, const char *uid, ledger_keep_fn *keep,
			 const void *ctx);
/* Takes them away; one that somebody has changed, only out of our document. Returns how many. */
size_t ledger_drop_tags(struct ledger *ledger, const char *uid, ledger_keep_fn *keep,
			const void *ctx);

/* ---- the result ---- */

/* No smaller than the sum of all values' bytes after the edits, and after the accounts that the
 * claims in our document may bring (their allowfrom apart). */
size_t ledger_size_bound(const struct ledger *ledger);
/* What a claim for the domain, and the account that follows it, may add at most; allow_from_len:
 * bytes of the account's allowfrom as JSON. */
size_t ledger_claim_size(const char *domain, const char *host, size_t allow_from_len);
/* What the entry of a domain adds to our document, at most, when it is retired. */
size_t ledger_retired_size(const struct ledger *ledger, const char *key, const char *domain);

/* The same three in JSON values, as LEDGER_MAX_VALUES counts them; an allowfrom adds one for each
 * of its networks. */
#define LEDGER_CLAIM_VALUES 48
size_t ledger_values_bound(const struct ledger *ledger);
size_t ledger_retired_values(const struct ledger *ledger, const char *key, const char *domain);

bool ledger_changed(const struct ledger *ledger);
/* The values that changed; *ret_values is freed by ledger_values_free(). The names of owners that
 * own nothing any more go here. */
size_t ledger_write(struct ledger *ledger, struct ledger_value **ret_values);
void ledger_values_free(struct ledger_value *values, size_t len); /* wipes */
/* Adds the labels and annotations that changed to the metadata of a merge patch; null takes away.
 */
void ledger_write_tags(const struct ledger *ledger, json_t *metadata);

#endif
