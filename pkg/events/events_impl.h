/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVENTS_IMPL_H
#define EVENTS_IMPL_H

/* Between the files of this package only: the bodies we send. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "events/events.h"

#define EVENTS_MAX_WORD 128
#define EVENTS_MAX_NOTE 1024

/* At most max bytes of text, cut between characters; what is not UTF-8 becomes "?". The caller
 * frees it. */
char *events_cut(const char *text, size_t max);

/* The name of a new event about an object: unique, and no longer than a name may be. The caller
 * frees it. */
char *events_name(const char *object_name);

/* The caller owns these. */
json_t *events_reference(const struct events_object *about);
json_t *events_series(int count, int64_t last_wall_us); /* a merge patch */

#endif
