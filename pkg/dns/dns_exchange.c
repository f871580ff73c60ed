/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One question, put to servers in turn. Each try is a channel of c-ares of its own with one
 * server: so each has a fresh port, servers may be others next time though c-ares 1.18 cannot
 * change them under way, and we know what each of them said. The id is ours, from the kernel.
 */

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rnd.h"
#include "dns/dns_impl.h"

#define ROUNDS	  2 /* the second without EDNS, for servers that do not answer to it */
#define EDNS_SIZE 1232

struct dns_exchange {
	struct event_base *base;
	struct dns_query query;
	size_t tries;	       /* that are over */
	struct aresloop *loop; /* of the try under way */
	struct event *turn;    /* a try is over: goes on from the loop, out of c-ares' hands */
	enum cname_reason reason;
	uint8_t *data; /* of the answer; NULL: none, see reason */
	size_t len;
	dns_exchange_fn *on_done;
	void *ctx;
};

static void end_try(struct dns_exchange *exchange, enum cname_reason reason)
{
	exchange->reason = reason;
	event_active(exchange->turn, EV_TIMEOUT, 0);
}

static enum cname_reason status_reason(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return CNAME_TIMEOUT;
	case ARES_ECONNREFUSED:
		return CNAME_UNREACHABLE;
	default:
		return CNAME_ERROR;
	}
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *data, int len)
{
	struct dns_exchange *exchange = ctx;

	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return; /* by ourselves */
	if (status == ARES_SUCCESS) {
		exchange->data = mem_dup(data, (size_t)len);
		exchange->len = (size_t)len;
	}
	end_try(exchange, status == ARES_SUCCESS ? CNAME_NO_REASON : status_reason(status));
}

static size_t server_index(const struct dns_exchange *exchange)
{
	const struct dns_query *query = &exchange->query;

	assert(query->servers.len > 0);
	return (*query->first + exchange->tries) % query->servers.len;
}

static int open_channel(struct dns_exchange *exchange, bool edns)
{
	static char lookups[] = "b";
	const struct dns_query *query = &exchange->query;
	/* With all of these set, c-ares reads no file. */
	struct ares_options options = {
		.flags = ARES_FLAG_NOCHECKRESP | (edns ? ARES_FLAG_EDNS : 0) |
			 (query->tcp ? ARES_FLAG_USEVC : 0),
		.timeout = edns ? query->timeout_ms : 2 * query->timeout_ms,
		.tries = 1,
		.ndots = 1,
		.ednspsz = EDNS_SIZE,
		.lookups = lookups,
	};
	struct ares_addr_port_node node =
		dns_server_node(&query->servers.list[server_index(exchange)], query->port);
	int status;

	exchange->loop =
		aresloop_new(exchange->base, &options,
			     ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
				     ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
				     ARES_OPT_SORTLIST | ARES_OPT_EDNSPSZ,
			     &status);
	if (exchange->loop)
		status = ares_set_servers_ports(aresloop_channel(exchange->loop), &node);
	return status;
}

static void try_server(struct dns_exchange *exchange)
{
	const struct dns_query *query = &exchange->query;
	bool edns = exchange->tries < query->servers.len;
	unsigned char *message = NULL;
	int len;
	uint16_t id;
	int status = open_channel(exchange, edns);

	rnd_bytes(&id, sizeof(id));
	if (status == ARES_SUCCESS)
		status = ares_create_query(query->name, ns_c_in, (int)query->type, id,
					   !query->authoritative, &message, &len,
					   edns ? EDNS_SIZE : 0);
	if (status != ARES_SUCCESS) {
		end_try(exchange, CNAME_ERROR);
		return;
	}
	ares_send(aresloop_channel(exchange->loop), message, len, on_answer, exchange);
	ares_free_string(message);
	aresloop_arm(exchange->loop);
}

static void clear(struct dns_exchange *exchange)
{
	aresloop_free(TAKE(exchange->loop));
	free(TAKE(exchange->data));
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct dns_exchange *exchange = ctx;
	const struct dns_query *query = &exchange->query;
	ns_msg msg;

	(void)fd;
	(void)what;
	if (exchange->data)
		exchange->reason = dns_message_read(&msg, exchange->data, exchange->len,
						    query->authoritative, query->name);
	if (exchange->data && exchange->reason == CNAME_NO_REASON) {
		aresloop_free(TAKE(exchange->loop));
		*query->first = server_index(exchange);
		exchange->on_done(exchange->ctx, CNAME_NO_REASON, &msg);
		return;
	}
	clear(exchange);
	if (++exchange->tries < ROUNDS * query->servers.len)
		try_server(exchange);
	else
		exchange->on_done(exchange->ctx, exchange->reason, NULL);
}

struct dns_exchange *dns_exchange_new(struct event_base *base, dns_exchange_fn *on_done, void *ctx)
{
	struct dns_exchange *exchange = mem_zalloc(sizeof(*exchange));

	exchange->base = base;
	exchange->turn = event_new(base, -1, 0, on_turn, exchange);
	exchange->on_done = on_done;
	exchange->ctx = ctx;
	return exchange;
}

void dns_exchange_start(struct dns_exchange *exchange, const struct dns_query *query)
{
	/* Nobody is asked for an account, whatever the question is and wherever it comes from. */
	bool is_over = query->servers.len == 0 || dns_name_is_account(query->name);

	clear(exchange);
	exchange->query = *query;
	exchange->tries = is_over ? ROUNDS * query->servers.len : 0;
	exchange->reason = CNAME_NO_REASON;
	if (is_over)
		end_try(exchange, CNAME_NO_SERVERS);
	else
		try_server(exchange);
}

enum cname_reason dns_exchange_reason(const struct dns_exchange *exchange)
{
	return exchange->reason != CNAME_NO_REASON ? exchange->reason : CNAME_TIMEOUT;
}

void dns_exchange_free(struct dns_exchange *exchange)
{
	if (!exchange)
		return;
	clear(exchange);
	event_free(exchange->turn);
	free(exchange);
}
