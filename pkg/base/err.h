/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * Errors as values.
 *
 * A function that can fail takes a `struct err *err` as its last parameter and
 * returns 0 or -1 (or a pointer or NULL). On success the error is untouched; it
 * is never NULL, never allocated, and there is nothing to free. Failing and
 * explaining is one line:
 *
 *	return err_set(err, ERR_INVALID, 0, "host %s has no scheme", host);
 *	return err_wrap(err, "reading %s", path);
 *
 * The kind says what the caller must do next, not where it happened. An error is
 * logged once, where it ends. A message holds no secret, and no remote
 * text but the API server's (see kube.h).
 */

#include "base/attr.h"

enum err_kind {
	ERR_NONE = 0,
	ERR_TRANSIENT, /* try again with backoff */
	ERR_CONFLICT,  /* read again, merge, try again now (HTTP 409) */
	ERR_NOT_FOUND, /* the thing is not there (404) */
	ERR_GONE,      /* the resourceVersion expired: list again (410) */
	ERR_THROTTLED, /* come back later; code = seconds, 0 when not told (429) */
	ERR_DENIED,    /* not allowed; a person must change a right (401, 403) */
	ERR_INVALID,   /* will fail again until the input changes (400, 422) */
};

struct err {
	enum err_kind kind;
	int code; /* HTTP status, errno, or seconds as the kind says; 0 = none */
	char msg[240];
};

/* Both return -1, and cut a message that does not fit. err_wrap puts "text: " before it. */
int err_set(struct err *err, enum err_kind kind, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "Transient", "Conflict", ...; a static string, for logs and metrics. */
const char *err_kind_name(enum err_kind kind);

#endif
