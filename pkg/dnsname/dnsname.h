/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNSNAME_H
#define DNSNAME_H

/*
 * Host names (RFC 1123 section 2.1): labels of letters, digits and inner hyphens, at most 63 each,
 * 253 in all, no trailing dot.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

#define DNSNAME_LEN	  254 /* with the NUL */
#define DNSNAME_CHALLENGE "_acme-challenge."

#define DNSNAME_UUID_LEN 36 /* characters, without the NUL */

bool dnsname_is_hostname(const char *text);

/* Its first DNSNAME_UUID_LEN characters are a UUID, in either case; what follows is not looked at.
 */
bool dnsname_begins_as_uuid(const char *text);

/* Letters of ASCII in lower case; to has room for len bytes and a NUL. */
void dnsname_copy_lower(char *to, const char *from, size_t len);

/*
 * The key under which cert-manager looks an account up: lower case, without a trailing dot and
 * without "*.". ERR_INVALID says what is wrong: not a host name, an IP address, no room for
 * "_acme-challenge." before it, or a U-label (with the hint to write its A-label).
 */
int dnsname_domain(const char *text, char ret_domain[DNSNAME_LEN], struct err *err) MUST_CHECK;

/* Domains that an administrator names: "example.com", "*.example.com", "dev-*.example.com". A '*'
 * stands for any characters within one label: "*.example.com" is not example.com itself, and no
 * name two labels below it. */
struct dnsname_glob {
	char text[DNSNAME_LEN]; /* as dnsname_domain() writes domains */
};

/* ERR_INVALID says how to write one. ret_glob is untouched then. */
int dnsname_glob_parse(const char *text, struct dnsname_glob *ret_glob, struct err *err) MUST_CHECK;
/* Both in lower case. */
bool dnsname_glob_matches(const char *glob, const char *name);

#endif
