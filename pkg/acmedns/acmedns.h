/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACMEDNS_H
#define ACMEDNS_H

/*
 * acme-dns' HTTP API: what is sent to /register, what an answer means (pure: the caller does the
 * transfer), and the probe that asks whether an account still lives. /register has no idempotency
 * key and nothing can be listed or deleted, so the one question that matters of a failure is
 * whether an account may have been made by it. The table of all answers is in acmedns_answer.c, and
 * for people in docs/server-answers.md.
 *
 * Source: acme-dns' pkg/api/register.go and update.go, and its answers as seen on the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "dnsname/dnsname.h"

struct http;
struct http_response;
struct http_tls;

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

/* ---- the probe ---- */

/*
 * Does the server still take an account? POST /update with the account's credentials and an empty
 * txt. acme-dns looks at the user, the password, the caller's address (allowfrom), the subdomain
 * and the txt, in this order, and then writes: so an account that lives gives 400 bad_txt, and
 * nothing is written. All that comes before the txt gives one and the same 401: where the account
 * has an allowfrom, it may be our address that is refused; and a server whose database cannot be
 * read answers so, too. Each probe costs the server a bcrypt and a line in its log.
 */
enum acmedns_probe_verdict {
	ACMEDNS_PROBE_ALIVE,	   /* 400 bad_txt */
	ACMEDNS_PROBE_REJECTED,	   /* 401, of acme-dns or of a proxy: cert-manager gets it, too */
	ACMEDNS_PROBE_NOT_ACMEDNS, /* 2xx: it took what acme-dns refuses. Do not send it more */
	ACMEDNS_PROBE_UNKNOWN,	   /* any other answer, or none */
	ACMEDNS_PROBE_UNSUPPORTED, /* nothing was sent: acmedns_probe_start() refused */
};

struct acmedns_probe_result {
	enum acmedns_probe_verdict verdict;
	int retry_after_s;   /* what the server asked for; -1: nothing */
	const char *message; /* static, for people, without remote text */
};

struct acmedns_probe_call;
typedef void acmedns_probe_fn(void *ctx, const struct acmedns_probe_result *result);

/* All lent for the call of acmedns_probe_start(). */
struct acmedns_probe {
	/* The URL of the entry's own server_url, or one that its Secret permits: the caller has
	 * seen to that. The credentials go there, by a connection of their own and not by way of
	 * a redirect. */
	const char *host;
	const char *pin;   /* as in http_request; NULL only for an IPv6 address in the URL, or
			    * behind a proxy */
	const char *proxy; /* as in http_request */
	const struct http_tls *tls; /* NULL: the system's roots; else lent until the call ends */
	const char *username;
	const char *password;
	const char *subdomain;
	int64_t timeout_ms;
	acmedns_probe_fn *on_done; /* once, on the loop, unless cancelled or refused */
	void *ctx;
};

/* NULL, ret_refusal says why and on_done is not called, when username or password are not what a
 * header can carry (empty, over 1 KiB, with control characters), subdomain is over 1 KiB or no
 * UTF-8, or host is no URL. What is copied of the credentials is wiped when the call ends. */
struct acmedns_probe_call *acmedns_probe_start(struct http *http, const struct acmedns_probe *probe,
					       struct acmedns_probe_result *ret_refusal);
/* NULL is fine; not from inside on_done. */
void acmedns_probe_cancel(struct acmedns_probe_call *call);

/* What an answer means, for acmedns_probe_start() and tests. */
struct acmedns_probe_result acmedns_probe_answer(const struct http_response *resp);

#endif
