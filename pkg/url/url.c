/* SPDX-License-Identifier: Apache-2.0 */
#include "url/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cidr/cidr.h"
#include "dnsname/dnsname.h"

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, 0, "not an acme-dns base URL: %s", what);
}

static int parse_scheme(const char **at, struct url *u, struct err *err)
{
	if (strncasecmp(*at, "https://", 8) == 0) {
		u->https = true;
		*at += 8;
		return 0;
	}
	if (strncasecmp(*at, "http://", 7) == 0) {
		*at += 7;
		return 0;
	}
	return bad(err, "it must begin with https:// or http://");
}

static int copy_host(const char *from, size_t len, struct url *u, struct err *err)
{
	if (len == 0)
		return bad(err, "the host is missing");
	if (len >= sizeof(u->host))
		return bad(err, "the host is too long");
	dnsname_copy_lower(u->host, from, len);
	return 0;
}

static int parse_ipv6(const char **at, struct url *u, struct err *err)
{
	const char *end = strchr(*at, ']');
	struct cidr_addr addr;

	if (!end || copy_host(*at + 1, (size_t)(end - *at - 1), u, err) || !strchr(u->host, ':') ||
	    cidr_parse_addr(u->host, &addr, err))
		return bad(err, "the brackets hold no IPv6 address");
	cidr_addr_text(&addr, u->host);
	u->ipv6 = strchr(u->host, ':') != NULL; /* of a v4-mapped one the dotted quad is left */
	*at = end + 1;
	return 0;
}

/* A lower-case name whose last label is a number is an address to some resolvers. */
static bool is_number_name(const char *host)
{
	const char *dot = strrchr(host, '.');
	const char *last = dot ? dot + 1 : host;

	if (strncmp(last, "0x", 2) == 0)
		return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

static int parse_name(const char **at, struct url *u, struct err *err)
{
	size_t len = strcspn(*at, ":/");
	bool dotted = len > 1 && (*at)[len - 1] == '.';
	struct cidr_addr addr;

	if (copy_host(*at, len - dotted, u, err))
		return -1;
	*at += len;
	if (!dnsname_is_hostname(u->host))
		return bad(err, "the host is neither a host name nor an address");
	if (is_number_name(u->host) && (dotted || cidr_parse_addr(u->host, &addr, err)))
		return bad(err, "a numeric host must be a dotted quad");
	return 0;
}

static int parse_port(const char **at, struct url *u, struct err *err)
{
	char *end;
	long port;

	u->port = u->https ? 443 : 80;
	if (**at != ':')
		return 0;
	port = strtol(*at + 1, &end, 10);
	/* strtol also takes blanks, signs and leading zeros. */
	if ((*at)[1] < '1' || (*at)[1] > '9' || port > 65535)
		return bad(err, "the port must be 1 to 65535, without leading zeros");
	u->port = (int)port;
	*at = end;
	return 0;
}

static bool has_dot_segment(const char *path)
{
	const char *at;

	for (at = path; (at = strstr(at, "/.")); at++) {
		size_t dots = strspn(at + 1, ".");

		if (dots <= 2 && (at[1 + dots] == '/' || at[1 + dots] == '\0'))
			return true;
	}
	return false;
}

static int check_path(const char *path, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-._~!$&'()*+,;=:/";

	if (*path && *path != '/')
		return bad(err, "text follows the host or port");
	if (has_dot_segment(path) || strstr(path, "//"))
		return bad(err, "the path holds a dot segment or an empty one");
	if (path[strspn(path, allowed)])
		return bad(err, "the path holds a character that is not allowed");
	return 0;
}

static int join(struct url *u, const char *path, struct err *err)
{
	int default_port = u->https ? 443 : 80;
	char port[8] = "";
	int len;

	if (u->port != default_port)
		(void)snprintf(port, sizeof(port), ":%d", u->port);
	len = snprintf(u->text, sizeof(u->text), "%s://%s%s%s%s%s", u->https ? "https" : "http",
		       u->ipv6 ? "[" : "", u->host, u->ipv6 ? "]" : "", port, path);
	return len < (int)sizeof(u->text) ? 0 : bad(err, "it is too long");
}

int url_parse(const char *text, struct url *ret_url, struct err *err)
{
	struct url u = {0};
	const char *at = text;
	char path[URL_LEN];
	size_t len;

	if (strlen(text) >= URL_LEN)
		return bad(err, "it is too long");
	if (parse_scheme(&at, &u, err))
		return -1;
	if (*at == '[' ? parse_ipv6(&at, &u, err) : parse_name(&at, &u, err))
		return -1;
	if (parse_port(&at, &u, err))
		return -1;
	/* Trailing slashes are dropped before "//" is judged, so that ".../" and "...//" pass. */
	len = strlen(at);
	while (len > 0 && at[len - 1] == '/')
		len--;
	memcpy(path, at, len);
	path[len] = '\0';
	if (check_path(path, err) || join(&u, path, err))
		return -1;
	*ret_url = u;
	return 0;
}

bool url_equal(const char *a, const char *b)
{
	struct url ua;
	struct url ub;
	struct err ignored;

	return !url_parse(a, &ua, &ignored) && !url_parse(b, &ub, &ignored) &&
	       strcmp(ua.text, ub.text) == 0;
}
