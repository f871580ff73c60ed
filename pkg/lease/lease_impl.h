/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LEASE_IMPL_H
#define LEASE_IMPL_H

/* Between the files of this package only: what a Lease object says, and the ones we write. Times
 * put into one are the wall clock's, for people; none is ever read. */

#include <jansson.h>

#include "lease/lease.h"

bool lease_record_holds(const json_t *object, const char *identity);

/* The same holder wrote nothing in between. */
bool lease_record_same(const json_t *a, const json_t *b);

/* Nobody holds it, or its holder has let it be unchanged_ms without a renewal.
 * default_ms: for a Lease that does not say how long it lasts. */
bool lease_record_is_free(const json_t *object, int64_t unchanged_ms, int64_t default_ms);

/* Bodies of requests; the caller owns them. */
json_t *lease_record_new(const struct lease_options *options, int64_t wall_us);
json_t *lease_record_claimed(const json_t *object, const struct lease_options *options,
			     int64_t wall_us); /* taken over or renewed */
json_t *lease_record_released(const json_t *object, int64_t wall_us);

#endif
