/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd_impl.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BACKLOG 64

static void freeaddrinfop(struct addrinfo **info)
{
	if (*info)
		freeaddrinfo(*info);
}

/* Digits only, 0 to 65535: getaddrinfo() would take the lower bits of anything longer. */
static bool is_port(const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && port <= UINT16_MAX;
}

/* Cuts "host:port", "[host]:port" or ":port" in place; host "" for the last. */
static int split(char *address, char **ret_host, char **ret_port)
{
	char *colon = strrchr(address, ':');
	bool bracketed = address[0] == '[';

	if (!colon || !is_port(colon + 1))
		return -1;
	*colon = '\0';
	if (bracketed) {
		if (colon < address + 3 || colon[-1] != ']')
			return -1;
		colon[-1] = '\0';
	}
	*ret_host = address + bracketed;
	*ret_port = colon + 1;
	return !bracketed && strchr(*ret_host, ':') ? -1 : 0;
}

static struct evconnlistener *bind_to(struct event_base *base, int family, const char *host,
				      const char *port)
{
	const struct addrinfo hints = {
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	};
	CLEANUP(freeaddrinfop) struct addrinfo *info = NULL;

	errno = EINVAL;
	if (getaddrinfo(*host ? host : NULL, port, &hints, &info) != 0)
		return NULL;
	return evconnlistener_new_bind(
		base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
		BACKLOG, info->ai_addr, (int)info->ai_addrlen);
}

struct evconnlistener *httpd_listen(struct event_base *base, const char *address, struct err *err)
{
	CLEANUP(mem_freep) char *copy = mem_strdup(address);
	struct evconnlistener *listener;
	char *host;
	char *port;

	if (split(copy, &host, &port) != 0) {
		(void)err_set(err, ERR_INVALID, 0, "address %s: want [ip]:port", address);
		return NULL;
	}
	/* No host means both families, which is one socket of the newer; a machine may lack it. */
	listener = bind_to(base, *host ? AF_UNSPEC : AF_INET6, host, port);
	if (!listener && !*host && errno == EAFNOSUPPORT)
		listener = bind_to(base, AF_INET, host, port);
	if (!listener && errno == EINVAL)
		(void)err_set(err, ERR_INVALID, 0, "address %s: %s is not an IP address", address,
			      host);
	else if (!listener)
		(void)err_set(err, ERR_DENIED, errno, "listening on %s: %s", address,
			      strerror(errno));
	return listener;
}
