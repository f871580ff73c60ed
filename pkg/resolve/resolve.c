/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/resolve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "aresloop/aresloop.h"
#include "base/mem.h"

#define DEFAULT_TIMEOUT_MS 2000
#define DEFAULT_TRIES	   3

struct resolve {
	struct event_base *base;
	struct aresloop *loop;
	struct resolve_call *calls;
};

struct resolve_call {
	struct resolve *resolve;
	struct resolve_call *prev, *next;
	struct event *deliver; /* tells the owner, from the loop */
	bool in_ares;	       /* c-ares holds the pointer until it has called back */
	struct resolve_answer answer;
	struct err err;
	resolve_done_fn *on_done; /* NULL: cancelled */
	void *ctx;
};

static int open_channel(struct resolve *resolve, const struct resolve_options *options)
{
	struct ares_options set = {
		.timeout = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS,
		.tries = options->tries ? options->tries : DEFAULT_TRIES,
	};
	int status;

	resolve->loop =
		aresloop_new(resolve->base, &set, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES, &status);
	if (resolve->loop && options->servers)
		status = ares_set_servers_ports_csv(aresloop_channel(resolve->loop),
						    options->servers);
	return status;
}

struct resolve *resolve_new(struct event_base *base, const struct resolve_options *options,
			    struct err *err)
{
	struct resolve *resolve = mem_zalloc(sizeof(*resolve));
	int status;

	resolve->base = base;
	status = open_channel(resolve, options);
	if (status == ARES_SUCCESS)
		return resolve;
	(void)err_set(err, ERR_INVALID, status, "DNS client: %s", ares_strerror(status));
	resolve_free(resolve);
	return NULL;
}

/* ---- one name ---- */

static void call_free(struct resolve_call *call)
{
	DL_DELETE(call->resolve->calls, call);
	event_free(call->deliver);
	free(call);
}

static void on_deliver(evutil_socket_t fd, short what, void *ctx)
{
	struct resolve_call *call = ctx;
	struct resolve_call done = *call;

	(void)fd;
	(void)what;
	call_free(call);
	if (done.err.kind == ERR_NONE)
		done.on_done(done.ctx, &done.answer, NULL);
	else
		done.on_done(done.ctx, NULL, &done.err);
}

static void deliver(struct resolve_call *call)
{
	static const struct timeval next_turn = {0};

	(void)evtimer_add(call->deliver, &next_turn);
}

static struct cidr_addr addr_of(const struct ares_addrinfo_node *node)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (node->ai_family == AF_INET) {
		memcpy(&v4, node->ai_addr, sizeof(v4));
		return cidr_addr_v4(&v4.sin_addr);
	}
	memcpy(&v6, node->ai_addr, sizeof(v6));
	return (struct cidr_addr){.ip = v6.sin6_addr};
}

static void keep_answer(struct resolve_call *call, const struct ares_addrinfo *info)
{
	struct resolve_answer *answer = &call->answer;

	for (const struct ares_addrinfo_node *node = info->nodes;
	     node && answer->len < RESOLVE_MAX_ADDRS; node = node->ai_next)
		answer->addrs[answer->len++] = addr_of(node);
}

static void keep_status(struct resolve_call *call, int status)
{
	switch (status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
		if (call->answer.len == 0)
			(void)err_set(&call->err, ERR_NOT_FOUND, 0, "no such host name");
		break;
	default:
		(void)err_set(&call->err, ERR_TRANSIENT, 0, "no answer from DNS: %s",
			      ares_strerror(status));
	}
}

/* c-ares may call this from anywhere, so it only notes what came. */
static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_call *call = ctx;

	(void)timeouts;
	call->in_ares = false;
	if (info)
		keep_answer(call, info);
	ares_freeaddrinfo(info);
	keep_status(call, status);
	if (call->on_done)
		deliver(call);
	else
		call_free(call);
}

struct resolve_call *resolve_start(struct resolve *resolve, const char *host,
				   resolve_done_fn *on_done, void *ctx)
{
	struct resolve_call *call = mem_zalloc(sizeof(*call));
	static const struct ares_addrinfo_hints both = {.ai_family = AF_UNSPEC,
							.ai_socktype = SOCK_STREAM};
	struct err not_literal;

	call->resolve = resolve;
	call->deliver = evtimer_new(resolve->base, on_deliver, call);
	call->on_done = on_done;
	call->ctx = ctx;
	DL_APPEND(resolve->calls, call);
	if (cidr_parse_addr(host, &call->answer.addrs[0], &not_literal) == 0) {
		call->answer.len = 1;
		deliver(call);
		return call;
	}
	call->in_ares = true;
	ares_getaddrinfo(aresloop_channel(resolve->loop), host, NULL, &both, on_answer, call);
	aresloop_arm(resolve->loop);
	return call;
}

void resolve_cancel(struct resolve_call *call)
{
	if (!call)
		return;
	call->on_done = NULL;
	if (!call->in_ares)
		call_free(call);
}

void resolve_free(struct resolve *resolve)
{
	struct resolve_call *call, *next;

	if (!resolve)
		return;
	aresloop_free(resolve->loop); /* gives every call back */
	DL_FOREACH_SAFE(resolve->calls, call, next)
		call_free(call);
	free(resolve);
}
