/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNSNAME_H
#define DNSNAME_H

/*
 * Host names (RFC 1123 section 2.1): labels of letters, digits and inner hyphens, at most 63 each,
 * 253 in all, no trailing dot.
 */

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

#define DNSNAME_LEN	  254 /* with the NUL */
#define DNSNAME_CHALLENGE "_acme-challenge."

bool dnsname_is_hostname(const char *text);

/*
 * The key under which cert-manager looks an account up: lower case, without a trailing dot and
 * without "*.". ERR_INVALID says what is wrong: not a host name, an IP address, no room for
 * "_acme-challenge." before it, or a U-label (with the hint to write its A-label).
 */
int dnsname_domain(const char *text, char ret_domain[DNSNAME_LEN], struct err *err) MUST_CHECK;

#endif
