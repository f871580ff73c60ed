/* SPDX-License-Identifier: Apache-2.0 */

/* Which proxy a URL goes through. Decided here and not by libcurl, whose rules are others: it
 * would go through a proxy to the loopback, and an administrator knows client-go's. */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "cidr/cidr.h"
#include "dnsname/dnsname.h"
#include "http/http_impl.h"

struct target {
	bool https;
	char host[256]; /* lower case, without brackets */
	long port;
	bool is_addr;
	struct cidr_addr addr;
};

/* The length of a host without its brackets, and where it starts. */
static int bare_host(const char **host)
{
	size_t len = strlen(*host);

	if (**host != '[' || (*host)[len - 1] != ']')
		return (int)len;
	*host += 1;
	return (int)len - 2;
}

/* -1 for anything but digits. */
static long parse_port(const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	return end > text && !*end ? port : -1;
}

static bool read_target(const char *text, struct target *ret_target)
{
	CLEANUP(http_url_freep) CURLU *url = curl_url();
	CLEANUP(http_text_freep) char *scheme = NULL;
	CLEANUP(http_text_freep) char *host = NULL;
	CLEANUP(http_text_freep) char *port = NULL;
	const char *bare;
	struct err ignored;
	int len;

	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		return false;
	*ret_target = (struct target){
		.https = strcasecmp(scheme, "https") == 0,
		.port = parse_port(port),
	};
	bare = host;
	len = bare_host(&bare);
	(void)snprintf(ret_target->host, sizeof(ret_target->host), "%.*s", len, bare);
	dnsname_copy_lower(ret_target->host, ret_target->host, strlen(ret_target->host));
	ret_target->is_addr = !cidr_parse_addr(ret_target->host, &ret_target->addr, &ignored);
	return true;
}

static bool is_local(const struct target *target)
{
	const struct in6_addr *ip = &target->addr.ip;

	if (!target->is_addr)
		return strcmp(target->host, "localhost") == 0;
	return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}

/* ---- NO_PROXY ---- */

/* Cuts the port off; 0 when there is none, -1 for one that no URL has. A second colon makes it an
 * IPv6 address. */
static long cut_port(char *entry)
{
	char *colon = strrchr(entry, ':');
	bool bracketed = *entry == '[';
	long port;

	if (!colon || (!bracketed && strchr(entry, ':') != colon) ||
	    (bracketed && strchr(colon, ']')))
		return 0;
	port = parse_port(colon + 1);
	*colon = '\0';
	return port;
}

/* "example.com" is the name and all below it, ".example.com" and "*.example.com" only what is
 * below. */
static bool is_name_or_below(const char *entry, const char *host)
{
	size_t entry_len;
	size_t host_len = strlen(host);

	if (strncmp(entry, "*.", 2) == 0)
		entry++;
	if (strcmp(entry, host) == 0)
		return true;
	entry_len = strlen(entry);
	return host_len > entry_len && strcmp(host + host_len - entry_len, entry) == 0 &&
	       (*entry == '.' || host[host_len - entry_len - 1] == '.');
}

static bool is_prefix_of(const char *entry, const struct target *target)
{
	struct cidr prefix;
	struct err ignored;

	return target->is_addr && !cidr_parse(entry, &prefix, &ignored) &&
	       cidr_contains(&prefix, &target->addr);
}

static bool is_host(const char *entry, const struct target *target)
{
	CLEANUP(mem_freep) char *bare = NULL;
	struct cidr_addr addr;
	struct err ignored;
	int len = bare_host(&entry);

	bare = mem_dup(entry, (size_t)len);
	if (len == 0)
		return false;
	if (!cidr_parse_addr(bare, &addr, &ignored))
		return target->is_addr && IN6_ARE_ADDR_EQUAL(&addr.ip, &target->addr.ip);
	return !target->is_addr && is_name_or_below(bare, target->host);
}

static bool exempts(char *entry, const struct target *target)
{
	long port;

	entry += strspn(entry, " \t");
	entry[strcspn(entry, " \t")] = '\0';
	dnsname_copy_lower(entry, entry, strlen(entry));
	if (strcmp(entry, "*") == 0)
		return true;
	if (strchr(entry, '/'))
		return is_prefix_of(entry, target);
	port = cut_port(entry);
	return (port == 0 || port == target->port) && is_host(entry, target);
}

static bool is_exempt(const char *list, const struct target *target)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(list);
	char *rest = copy;

	while (rest)
		if (exempts(strsep(&rest, ","), target))
			return true;
	return false;
}

/* ---- the whole ---- */

static const char *setting(const char *upper, const char *lower_case)
{
	const char *value = getenv(upper);

	if (!value || !*value)
		value = getenv(lower_case);
	return value ? value : "";
}

char *http_proxy_of(const char *url)
{
	struct target target;
	const char *proxy;

	if (!read_target(url, &target) || is_local(&target) ||
	    is_exempt(setting("NO_PROXY", "no_proxy"), &target))
		return NULL;
	proxy = target.https ? setting("HTTPS_PROXY", "https_proxy")
			     : setting("HTTP_PROXY", "http_proxy");
	if (!*proxy)
		return NULL;
	/* The names are for the proxy to look up; socks5 alone would have libcurl do it. */
	if (strncasecmp(proxy, "socks5://", 9) == 0)
		return mem_printf("socks5h://%s", proxy + 9);
	return mem_strdup(proxy);
}
