/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_H
#define STORE_H

/* store.c, pool.c: what the numbers in a state stand for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller_impl.h"
#include "plan/plan.h"

#define DOMAINS 3 /* a.test, b.test, c.test */

/* ---- pools: what is large, once ---- */

struct item {
	void *bytes;
	size_t len;
	uint32_t id;
	void *thing; /* what was made of the bytes */
	UT_hash_handle hh;
};

struct pool {
	struct item *by_bytes;
	struct item **items;
	uint32_t len, room;
};

/* The number of these bytes, from 1. */
uint32_t pool_put(struct pool *pool, const void *bytes, size_t len);
struct item *pool_item(const struct pool *pool, uint32_t id);
void pool_done(struct pool *pool, void (*free_thing)(void *thing));

struct object_thing {
	json_t *json;
	struct api_registration *object; /* resourceVersion ANY_RV */
	uint32_t uid;
};

/* What matters of a domain in a Secret. */
struct domain_facts {
	uint32_t entry; /* its text in the pool of texts; 0 = none */
	uint32_t rest;	/* the same without server_url */
	uint32_t account;
	uint32_t host;	/* 1 or 2; 0: not said */
	uint32_t by;	/* the nonce of the claim that it was made by, as below */
	uint32_t nonce; /* 1 + its number; 0 = no claim */
	uint32_t origin, owner, uncertain;
	uint32_t next;	  /* the account that waits for its turn */
	uint32_t next_by; /* as by */
	uint32_t retired; /* bits: accounts that are whole */
	bool complete;
};

/* Labels and annotations that the scenarios' templates name. */
#define TAGS 2

struct tag_name {
	bool annotation;
	const char *key;
};

extern const struct tag_name tag_names[TAGS];

struct secret_thing {
	json_t *json;
	struct snapshot snapshot; /* resourceVersion ANY_RV */
	struct domain_facts domains[DOMAINS];
	struct ledger_tag tags[TAGS]; /* of the snapshot's ledger */
	uint32_t foreign;	      /* all that is not ours, as a text */
	uint32_t accounts;	      /* bits: the entries' accounts, and those that wait */
	bool readable;
};

/* A request's body, as the shipping code made it. */
struct body_thing {
	json_t *json;
	bool guarded; /* carries the resourceVersion that it was made from */
	bool create;
	uint32_t accounts; /* PATCH: those whose CNAME it names */
	bool unknown;	   /* PATCH: it names one that no server made */
	bool ready;	   /* PATCH: Ready is True */
};

struct memory_facts {
	uint32_t in_hand;		    /* bits: accounts */
	uint32_t held, unfinished, claimed; /* claimed: bits, domains CLAIMED */
	uint32_t found;			    /* enum api_reason: of the round under way */
	bool resting, asked_owner, has_account;
};

struct edit_facts {
	uint32_t claims;
	uint32_t claimed;   /* bits: domains */
	uint32_t discarded; /* bits: works */
	bool retagged;
};

#define ANY_RV "7"

struct store {
	struct pool texts, objects, secrets, bodies, memories, edits, memo;
};

void store_done(struct store *store);
/* Takes the reference; resourceVersion is no part of it. */
uint32_t store_object(struct store *store, json_t *json);
uint32_t store_secret(struct store *store, json_t *json);
uint32_t store_body(struct store *store, json_t *json);
uint32_t store_text(struct store *store, const json_t *json);
uint32_t store_memory(struct store *store, const struct plan_memory *memory);
uint32_t store_edit(struct store *store, const struct plan_edit *edit);
const struct object_thing *store_get_object(const struct store *store, uint32_t id);
/* 0 is a Secret, too: an absent one. */
struct secret_thing *store_get_secret(struct store *store, uint32_t id);
const struct body_thing *store_get_body(const struct store *store, uint32_t id);
const struct memory_facts *store_memory_facts(const struct store *store, uint32_t id);
const struct edit_facts *store_edit_facts(const struct store *store, uint32_t id);
/* id 0: a blank memory. */
void store_load_memory(const struct store *store, uint32_t id, struct plan_memory *ret);
void store_load_edit(const struct store *store, uint32_t id, struct plan_edit *ret);

#define MEMO_RESULTS 8
/* The results that are remembered for this question; *ret_new: there are none yet. */
uint32_t *store_memo(struct store *store, const uint32_t *key, size_t len, bool *ret_new);

/* The account or uid that a text ends with. */
uint32_t number_in(const char *text, int base);
uint32_t account_of(const char *fulldomain); /* 0 = no server of ours made it */

#endif
