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

bool acmedns_body_says(const struct http_response *resp, const char *words);

#endif
