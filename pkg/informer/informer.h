/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INFORMER_H
#define INFORMER_H

/*
 * A cache of all objects of one kind, kept true by list and watch, as client-go's reflector does
 * (tools/cache/reflector.go): list in pages, watch with bookmarks from the list's
 * resourceVersion, watch again from the last one seen when a stream ends, list again on 410,
 * backoff 800 ms x2 up to 30 s with jitter.
 *
 * The cache holds what decode() makes of an object, not its JSON: a tree costs seven times as
 * much. Handlers run on the loop, after the cache has changed. A delete that was missed in a gap
 * is made up at the next list, with the object as last known.
 *
 * An object that decode() refuses is logged once and is not in the cache; an earlier good version
 * of it leaves the cache as if deleted. A version no newer than the cached one is ignored.
 *
 * Failures of a watched namespace are logged when they begin and when they end, not at each retry.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "kube/kube.h"
#include "metrics/metrics.h"

struct informer;

/* The families that all informers of a process share. */
struct informer_metrics {
	struct metrics_family *lists;	      /* informer_lists_total{resource,cause} */
	struct metrics_family *watch_events;  /* informer_watch_events_total{resource,type} */
	struct metrics_family *last_activity; /* informer_last_activity_seconds{resource,namespace},
						 the wall clock when a watch was last heard of */
};

void informer_metrics_declare(struct informer_metrics *ret_families, struct metrics *metrics);

/* What the owner of a kind provides. */
struct informer_kind {
	struct kube_resource resource;	       /* its strings are lent for the informer's life */
	void *(*decode)(const json_t *object); /* NULL: log and leave out */
	void (*free)(void *object);
	/* old or new is NULL for an add or a delete; lent for the call (new stays in the cache). */
	void (*changed)(void *ctx, const char *namespace, const char *name, void *old_object,
			void *new_object);
	/* Every namespace's first list is in the cache; called once. May be NULL. */
	void (*synced)(void *ctx);
	void *ctx;
};

struct informer_options {
	const char *const *namespaces;		/* NULL-terminated; NULL: all. Copied. */
	const char *selector;			/* label selector; NULL: none. Copied. */
	const struct informer_metrics *metrics; /* NULL: none. Copied. */
	int page_size;				/* 0: 500 */
	int watch_min_s;			/* 0: 300; the watch lasts this to twice this */
	int64_t backoff_ms;			/* 0: 800 (tests) */
	/* 0: 150000, two and a half of the server's bookmark periods (tests). Once bookmarks came,
	 * a watch that is silent for so long is dead. */
	int64_t silence_ms;
};

/* kube is lent and must outlive the informer. kind is copied. */
struct informer *informer_new(struct event_base *base, struct kube *kube,
			      const struct informer_kind *kind,
			      const struct informer_options *options);
void informer_start(struct informer *informer); /* once */
/* NULL is fine; no handler is called. Not from inside a handler. */
void informer_free(struct informer *informer);

bool informer_synced(const struct informer *informer);
size_t informer_len(const struct informer *informer);

/* The object, or NULL; lent until the loop turns. ret_rv (may be NULL) gets its
 * resourceVersion, lent too. */
void *informer_get(const struct informer *informer, const char *namespace, const char *name,
		   const char **ret_rv);

/* Calls fn for each object; fn must not change the cache. */
void informer_each(const struct informer *informer,
		   void (*fn)(void *ctx, const char *namespace, const char *name, void *object),
		   void *ctx);

/* The newest resourceVersion seen by the watch that covers the namespace (events and bookmarks);
 * "" before the first list. */
const char *informer_rv(const struct informer *informer, const char *namespace);

/* Milliseconds since the most silent watch was last heard of (list, event, bookmark). */
int64_t informer_silence_ms(const struct informer *informer);

#endif
