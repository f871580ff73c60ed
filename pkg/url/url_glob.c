/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "url/url.h"

#define ANY_PORT (-1)

/* With a character for each '*' it has to be the host and port of a URL. */
static int parse_with(const char *text, size_t len, char wildcard, struct url *ret_url)
{
	char url[URL_LEN] = "https://";
	const size_t skip = strlen(url);
	struct err ignored;
	size_t i;

	if (len > sizeof(url) - skip - 1)
		return -1;
	memcpy(url + skip, text, len);
	url[skip + len] = '\0';
	for (i = skip; url[i]; i++)
		if (url[i] == '*')
			url[i] = wildcard;
	return strchr(url + skip, '/') ? -1 : url_parse(url, ret_url, &ignored);
}

static void put_wildcards_back(const char *text, char *host)
{
	size_t i;

	for (i = 0; host[i]; i++)
		if (text[i] == '*')
			host[i] = '*';
}

/* The ':' before the port, or NULL. */
static const char *find_port(const char *text, size_t len)
{
	const char *last = memrchr(text, ':', len);

	return last && !memchr(last, ']', len - (size_t)(last - text)) ? last : NULL;
}

/* A '*' where it can mean nothing. */
static bool is_misplaced(const char *text, size_t len, const char *port)
{
	return (*text == '[' && memchr(text, '*', len)) ||
	       (port && memchr(port, '*', len - (size_t)(port - text)));
}

int url_glob_parse(const char *text, struct url_glob *ret_glob, struct err *err)
{
	size_t len = strlen(text);
	bool any_port = len > 2 && strcmp(text + len - 2, ":*") == 0;
	const char *port;
	struct url url;

	if (any_port)
		len -= 2;
	port = find_port(text, len);
	/* As a digit a '*' can be a part of a dotted quad. */
	if ((any_port && port) || is_misplaced(text, len, port) ||
	    (parse_with(text, len, 'x', &url) && parse_with(text, len, '1', &url)))
		return err_set(err, ERR_INVALID, 0,
			       "write a host or host:port, like *.example.com or 10.0.0.1:8080, "
			       "without https://, path or blanks");
	*ret_glob = (struct url_glob){0};
	(void)snprintf(ret_glob->host, sizeof(ret_glob->host), "%s", url.host);
	if (*text != '[')
		put_wildcards_back(text, ret_glob->host);
	if (any_port)
		ret_glob->port = ANY_PORT;
	else if (port)
		ret_glob->port = url.port;
	return 0;
}

bool url_glob_matches(const struct url_glob *glob, const struct url *url)
{
	int port = glob->port;

	if (port == 0)
		port = url->https ? 443 : 80;
	return (port == ANY_PORT || port == url->port) &&
	       dnsname_glob_matches(glob->host, url->host);
}
