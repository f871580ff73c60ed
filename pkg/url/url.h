/* SPDX-License-Identifier: Apache-2.0 */
#ifndef URL_H
#define URL_H

/*
 * The base URL of an acme-dns API, as spec.host and server_url hold it: http or https, a host
 * name, dotted quad or bracketed IPv6 address, an optional port and plain path (RFC 3986's pchar
 * without "@" and percent-encoding). No userinfo, query, fragment, backslash, dot segment or
 * control character: what two parsers could read in two ways is refused.
 */

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "dnsname/dnsname.h"

#define URL_LEN 2049 /* with the NUL */

struct url {
	bool https;
	char host[DNSNAME_LEN]; /* lower case, an IPv6 address shortest and without brackets */
	bool ipv6;
	int port;
	/* The normal form, by which URLs are compared and stored: lower-case scheme and host, no
	 * default port, no trailing dot of the host, no trailing slashes, the path as written. */
	char text[URL_LEN];
};

/* ERR_INVALID says what is wrong with it. ret_url is untouched then. */
int url_parse(const char *text, struct url *ret_url, struct err *err) MUST_CHECK;

/* True when both parse and have the same normal form. */
bool url_equal(const char *a, const char *b);

/* Hosts that an administrator names: "auth.example.com", "*.example.com:8443", "[2001:db8::1]",
 * "10.0.0.*:*". A '*' stands for any characters within one label; without a port it is the
 * scheme's default, and ":*" is any. */
struct url_glob {
	char host[DNSNAME_LEN]; /* lower case, as struct url's */
	int port;		/* 0: the default; -1: any */
};

/* ERR_INVALID says how to write one. ret_glob is untouched then. */
int url_glob_parse(const char *text, struct url_glob *ret_glob, struct err *err) MUST_CHECK;
bool url_glob_matches(const struct url_glob *glob, const struct url *url);

#endif
