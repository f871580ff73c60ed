/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INFORMER_IMPL_H
#define INFORMER_IMPL_H

/* What the files of this package share: the store (what is known) and the reflectors (how it is
 * learnt), tied together by struct informer. */

#include <jansson.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "informer/informer.h"

/* ---- informer_store.c ---- */

struct informer_entry {
	UT_hash_handle hh;
	void *object;	     /* NULL: its document was refused */
	unsigned generation; /* of the last list that held it */
	bool refused;
	char rv[KUBE_RV_LEN];
	char key[]; /* namespace, NUL, name, NUL: one allocation, and both are strings */
};

struct informer_store {
	struct informer_kind kind;
	struct informer_entry *entries;
	size_t len; /* entries with an object */
};

enum informer_source { INFORMER_LIST, INFORMER_WATCH };

const char *informer_entry_name(const struct informer_entry *entry);

/* Both fail with ERR_INVALID when the document has no usable name or resourceVersion. */
int informer_store_put(struct informer_store *store, const json_t *document,
		       enum informer_source source, unsigned generation, struct err *err);
int informer_store_remove(struct informer_store *store, const json_t *document, struct err *err);

/* Deletes what the list of that generation did not hold. namespace NULL: of all namespaces. */
void informer_store_sweep(struct informer_store *store, const char *namespace, unsigned generation);

struct informer_entry *informer_store_find(const struct informer_store *store,
					   const char *namespace, const char *name);
void informer_store_done(struct informer_store *store);

/* The metadata.resourceVersion of an object, list or bookmark; ERR_INVALID if there is none. */
int informer_read_rv(const json_t *document, char ret_rv[KUBE_RV_LEN], struct err *err);

/* ---- informer_reflector.c ---- */

struct informer_reflector {
	struct informer *informer;
	char *namespace; /* NULL: all */
	struct event *timer;
	struct kube_call *call;	  /* a list that runs */
	struct kube_watch *watch; /* a watch that runs; never together with a call */
	char rv[KUBE_RV_LEN];
	char list_rv[KUBE_RV_LEN]; /* of the list that runs, when its first page has come */
	const char *list_cause;	   /* why the next thing is a list; NULL: it is a watch */
	const char *failing;	   /* "list" or "watch": logged as such; NULL: all is well */
	unsigned generation;	   /* of the newest list */
	int limit;		   /* objects of a page; smaller once one was too large */
	bool list_continues;	   /* the call asks for a page behind the first */
	bool list_whole;	   /* it asks for all at once */
	bool bookmarks;		   /* the server sends them */
	bool watch_heard;	   /* this watch has had an event */
	unsigned mute_watches;	   /* failed in a row without an event */
	int64_t watch_began_ms;
	int64_t heard_ms;
	int64_t failed_ms;
	int64_t backoff_ms;
};

void informer_reflector_init(struct informer_reflector *r, struct informer *informer,
			     const char *namespace);
void informer_reflector_start(struct informer_reflector *r);
void informer_reflector_done(struct informer_reflector *r);

/* ---- informer.c ---- */

struct informer {
	struct event_base *base;
	struct kube *kube;
	struct informer_store store;
	struct informer_metrics metrics;
	char *selector; /* NULL: none */
	int page_size;
	int watch_min_s;
	int64_t backoff_ms;
	int64_t silence_ms;
	unsigned generation; /* counts the lists of all reflectors */
	struct informer_reflector *reflectors;
	size_t reflectors_len;
	bool synced;
};

/* Tells the owner when the first lists are all there. */
void informer_note_list(struct informer *informer);

#endif
