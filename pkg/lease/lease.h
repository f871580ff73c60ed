/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LEASE_H
#define LEASE_H

/*
 * Leader election on a coordination.k8s.io/v1 Lease, after client-go's tools/leaderelection.
 *
 * Remote times are never compared: another holder's lease has expired when this process has seen
 * its record unchanged for leaseDurationSeconds by its own clock. Unknown fields of the Lease
 * survive an update. There is no fencing: lease_valid() reads the clock anew, and is asked before
 * each act that only a leader may do.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "kube/kube.h"
#include "metrics/metrics.h"

struct lease;

struct lease_options {
	const char *namespace, *name, *identity; /* copied */
	int64_t lease_duration_ms;		 /* usually 15000 */
	int64_t renew_deadline_ms;		 /* usually 10000 */
	int64_t retry_period_ms;       /* usually 2000; a candidate's is up to 2.2 times as long */
	void (*on_started)(void *ctx); /* we lead now */
	void (*on_lost)(void *ctx);    /* we led and do not any more: called once, then nothing */
	void *ctx;
	struct metrics *metrics; /* NULL: none; leader_election_master_status */
};

/* ERR_INVALID unless lease > deadline > 1.2 x retry. kube is the lease's own client, lent. */
struct lease *lease_new(struct event_base *base, struct kube *kube,
			const struct lease_options *options, struct err *err) MUST_CHECK;
void lease_start(struct lease *lease);
void lease_free(struct lease *lease); /* without releasing; NULL is fine */

/* We lead, and the last renewal was sent less than renew_deadline ago by a freshly read clock. */
bool lease_valid(const struct lease *lease);

/* Gives the lease up (holder "", duration 1 s; again on conflict, within the renew deadline),
 * then calls released: at once, from inside, if it is not ours. No other handler is called any
 * more. */
void lease_release(struct lease *lease, void (*released)(void *ctx), void *ctx);

#endif
