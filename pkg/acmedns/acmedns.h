/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACMEDNS_H
#define ACMEDNS_H

/*
 * acme-dns' HTTP API: what is sent to /register, and what an answer means. Pure: the caller does
 * the transfer. /register has no idempotency key and nothing can be listed or deleted, so the one
 * question that matters of a failure is whether an account may have been made by it. The table of
 * all answers is in acmedns_answer.c, and for people in docs/server-answers.md.
 *
 * Source: acme-dns' pkg/api/register.go, and its answers as seen on the wire.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "dnsname/dnsname.h"

struct http_response;

#define ACMEDNS_UUID_LEN      37   /* with the NUL, as the others */
#define ACMEDNS_PASSWORD_LEN  257  /* at most 256 printable characters */
#define ACMEDNS_ALLOWFROM_LEN 5120 /* CIDRs joined by blanks; the schema has room for 100 of 49 */
#define ACMEDNS_MAX_ANSWER    16384

/* The five fields of an account and no other: a plain value, holds a secret (wipe it). */
struct acmedns_account {
	char username[ACMEDNS_UUID_LEN];
	char password[ACMEDNS_PASSWORD_LEN];
	char subdomain[ACMEDNS_UUID_LEN];
	char fulldomain[DNSNAME_LEN];
	char allowfrom[ACMEDNS_ALLOWFROM_LEN];
};

enum acmedns_verdict {
	ACMEDNS_REGISTERED,    /* 201, or what a proxy made of it (2xx), with a whole account */
	ACMEDNS_UNAVAILABLE,   /* 404, 405, 3xx, 200: registration disabled, or not acme-dns */
	ACMEDNS_BAD_ALLOWFROM, /* 400 invalid_allowfrom_cidr */
	ACMEDNS_DENIED,	       /* 401, 403, 407 */
	ACMEDNS_REJECTED,      /* any other 4xx */
	ACMEDNS_THROTTLED,     /* 429 */
	ACMEDNS_UNREACHABLE,   /* no byte of the request was sent */
	ACMEDNS_NO_ANSWER,    /* it was sent, and neither a status >= 300 nor a whole answer came */
	ACMEDNS_SERVER_ERROR, /* 5xx, from the server or a proxy before it */
	ACMEDNS_BAD_ANSWER,   /* 201 or other 2xx with something that is not an account */
};

struct acmedns_result {
	enum acmedns_verdict verdict;
	bool maybe_made;     /* an account may exist that nobody knows of */
	int retry_after_s;   /* what the server asked for; -1: nothing */
	const char *message; /* static, for people, without remote text */
};

/* The body of POST /register, with CIDRs that cidr_parse() takes; the caller frees. */
char *acmedns_register_body(const char *const *allow_from, size_t len);

/* Fills ret_account only with ACMEDNS_REGISTERED: username and subdomain are UUIDs, fulldomain is
 * subdomain + "." + a host name, the password is printable, allowfrom a list of CIDRs. */
struct acmedns_result acmedns_register_result(const struct http_response *resp,
					      struct acmedns_account *ret_account);

/* A 404 or 405 of /register does not say whether acme-dns answered: GET /health does. */
bool acmedns_wants_health(const struct http_response *resp);

/* What its answer makes of the message of the result: static; NULL when it tells nothing. */
const char *acmedns_health_message(const struct http_response *resp);

bool acmedns_is_uuid(const char *text);

#endif
