/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENTS_H
#define EVENTS_H

/*
 * Kubernetes Events (events.k8s.io/v1), one for each thing that happened to an object.
 *
 * Best effort: a bounded queue, sent one after another; a failed one is tried a few times, then
 * dropped and counted. An identical event within ten minutes is sent as a series' count at most
 * once a minute. Fields are cut to the API's limits: names 253, reason and action 128, note 1024.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "kube/kube.h"

struct events;

struct events_options {
	const char *controller; /* reportingController, a qualified name; copied */
	const char *instance;	/* reportingInstance; copied */
	int64_t series_ms;	/* between a series' counts; 0: 60000 (tests) */
	int64_t retry_ms;	/* before the first further try, then doubled; 0: 1000 (tests) */
};

/* What an event is about; lent. */
struct events_object {
	const char *api_version, *kind, *namespace, *name, *uid, *resource_version;
};

struct events *events_new(struct event_base *base, struct kube *kube,
			  const struct events_options *options);
void events_free(struct events *events); /* drops what waits; NULL is fine */

struct events_message {
	bool warning;	    /* type Warning, else Normal */
	const char *reason; /* the outcome: "Registered" */
	const char *action; /* what we did: "Register", "Verify" */
	const char *note;   /* for people */
};

/* Both are lent for the call. */
void events_emit(struct events *events, const struct events_object *about,
		 const struct events_message *message);

bool events_idle(const struct events *events); /* nothing waits or runs (for a clean end) */

#endif
