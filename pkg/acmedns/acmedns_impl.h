/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACMEDNS_IMPL_H
#define ACMEDNS_IMPL_H

/* Shared by the files of pkg/acmedns: acmedns.c makes a request and reads an account,
 * acmedns_answer.c is the table of what /register's answers mean, acmedns_probe.c asks /update. */

#include "acmedns/acmedns.h"
#include "http/http.h"

/* What keeps a body from being an account: the first that is found. */
enum acmedns_flaw {
	ACMEDNS_FLAW_ANY, /* in the table: whatever it is, or is not */
	ACMEDNS_FLAW_NONE,
	ACMEDNS_FLAW_JSON, /* not a JSON object */
	ACMEDNS_FLAW_USERNAME,
	ACMEDNS_FLAW_PASSWORD,
	ACMEDNS_FLAW_SUBDOMAIN,
	ACMEDNS_FLAW_FULLDOMAIN,
	ACMEDNS_FLAW_ALLOWFROM,
};

/* Fills ret_account only when there is no flaw. */
enum acmedns_flaw acmedns_read_account(const char *text, size_t len,
				       struct acmedns_account *ret_account);

/* An answer with a status from least to most, or a fault if both are 0. */
struct acmedns_when {
	int least, most;
	const char *says;	/* that the body must hold; NULL: whatever it holds */
	enum acmedns_flaw flaw; /* as an account */
	enum http_fault fault;	/* HTTP_OK: any */
	bool sent;		/* with a fault: a byte of the request went out */
};

bool acmedns_fits_status(const struct acmedns_when *when, const struct http_response *resp,
			 enum acmedns_flaw flaw);

/* What is told when no answer came. */
const char *acmedns_fault_message(const struct http_response *resp);

#endif
