/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_H
#define AUTH_H

/*
 * How the two ends of a registration prove themselves: the header fields that are sent, and the CA
 * that the host is verified with, collected from what an AcmeDnsRegistration refers to. No I/O:
 * the caller reads the objects.
 *
 *	if (auth_begin(&auth, spec, &err)) ...
 *	while (auth_next(&auth, spec->auth, &source))
 *		if (auth_take(&auth, spec, read(source), &err)) ...
 *
 * A Secret serves only if its annotation credentials-for is spec.host. Whether one that is not is
 * there, of what type, and what it holds is not told either: who may write an AcmeDnsRegistration
 * may not be one who may read Secrets.
 *
 * The message of an error names the field of the spec and says what to do; no value is in it.
 * ERR_NOT_FOUND: who mends what is referred to heals it. ERR_INVALID: only another spec does.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api/api.h"
#include "base/attr.h"
#include "base/err.h"

#define AUTH_MAX_VALUE 8192 /* what servers take in one header line */

/* Holds secrets: auth_done() wipes it. All zero is an empty one. */
struct auth {
	/* "Name: value", in the order of the spec; those that are not taken yet are NULL. */
	char *headers[API_MAX_HEADERS];
	char *ca_pem; /* NULL: the system's roots */
};

/* An object in the AcmeDnsRegistration's namespace. */
struct auth_source {
	bool config_map;  /* else a Secret */
	const char *name; /* lent by the spec */
};

/* Begins with what the spec itself holds. */
int auth_begin(struct auth *auth, const struct api_spec *spec, struct err *err) MUST_CHECK;
/* What has to be read next; false: nothing, it is complete. */
bool auth_next(const struct auth *auth, const struct api_auth *wanted,
	       struct auth_source *ret_source);
/* Takes all that is wanted of the object that auth_next() named; NULL: there is none. After a
 * failure only auth_done() is of use. */
int auth_take(struct auth *auth, const struct api_spec *spec, const json_t *object,
	      struct err *err) MUST_CHECK;
/* The same when the API server does not let us read it. */
int auth_denied(const struct auth *auth, const struct api_spec *spec, struct err *err);
void auth_done(struct auth *auth);

#endif
