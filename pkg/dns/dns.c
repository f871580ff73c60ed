/* SPDX-License-Identifier: Apache-2.0 */

/* Calls: their line, their deadlines and their end. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/mono.h"
#include "dns/dns_impl.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define TIMEOUT_MS  2000
#define DEADLINE_MS 10000
#define SLOTS	    32

/* ---- those under way and those that wait ---- */

static void run_free(struct dns_run *run)
{
	if (!run)
		return;
	run->call->dns->running--;
	dns_exchange_free(run->exchange);
	event_free(run->deadline);
	free(run);
}

static void call_free(struct dns_call *call)
{
	DL_DELETE(call->dns->calls, call);
	run_free(call->run);
	free(call->name);
	free(call->expected);
	free(call);
}

static void on_message(void *ctx, enum cname_reason reason, const ns_msg *msg)
{
	struct dns_run *run = ctx;

	run->on_answer(run, reason, msg);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct dns_run *run = ctx;

	(void)fd;
	(void)what;
	dns_run_end(run, CNAME_UNKNOWN, dns_exchange_reason(run->exchange));
}

static void call_begin(struct dns_call *call)
{
	struct dns *dns = call->dns;
	struct dns_run *run = mem_zalloc(sizeof(*run));
	const struct timeval wait = mono_timeval(dns->options.deadline_ms);

	dns->running++;
	call->run = run;
	run->call = call;
	dns_name_copy(run->chain.at, call->name);
	dns_name_copy(run->chain.expected, call->expected);
	run->exchange = dns_exchange_new(dns->base, on_message, run);
	run->deadline = evtimer_new(dns->base, on_deadline, run);
	(void)evtimer_add(run->deadline, &wait);
	call->begin(run);
}

static void serve_line(struct dns *dns)
{
	struct dns_call *call;

	DL_FOREACH(dns->calls, call) {
		if (dns->running >= dns->options.slots)
			return;
		if (!call->run)
			call_begin(call);
	}
}

void dns_run_query(struct dns_run *run, struct dns_query *query, const char *name,
		   dns_next_fn *on_answer)
{
	const struct dns_options *options = &run->call->dns->options;

	dns_name_copy(query->name, name);
	query->tcp = run->call->tcp;
	query->port = options->port;
	query->timeout_ms = options->timeout_ms;
	run->on_answer = on_answer;
	dns_exchange_start(run->exchange, query);
}

void dns_run_ask_resolvers(struct dns_run *run, const char *name, ns_type type,
			   dns_next_fn *on_answer)
{
	struct dns *dns = run->call->dns;
	struct dns_query query = {.type = type,
				  .first = &run->resolver,
				  .servers = dns->resolvers.len ? dns->resolvers
								: *dns_conf_servers(&dns->conf)};

	dns_run_query(run, &query, name, on_answer);
}

void dns_run_end(struct dns_run *run, enum cname_verdict verdict, enum cname_reason reason)
{
	struct dns_call *call = run->call;
	struct dns *dns = call->dns;
	struct dns_answer answer = run->answer;
	dns_done_fn *on_done = call->on_done;
	void *ctx = call->ctx;

	answer.verdict = verdict;
	answer.reason = reason;
	if (verdict != CNAME_MISMATCH)
		answer.observed[0] = '\0';
	if (verdict == CNAME_UNKNOWN || call->authoritative)
		answer.ttl_s = 0;
	call_free(call);
	serve_line(dns);
	on_done(ctx, &answer);
}

/* ---- the face ---- */

struct dns *dns_new(struct event_base *base, const struct dns_options *options, struct err *err)
{
	struct dns *dns = mem_zalloc(sizeof(*dns));

	dns->base = base;
	dns->options = *options;
	dns->options.timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	dns->options.deadline_ms = options->deadline_ms ? options->deadline_ms : DEADLINE_MS;
	dns->options.slots = options->slots ? options->slots : SLOTS;
	dns->conf.path = options->resolv_conf ? options->resolv_conf : RESOLV_CONF;
	if (!options->resolvers || !dns_servers_parse(options->resolvers, &dns->resolvers, err))
		return dns;
	dns_free(dns);
	return NULL;
}

static struct dns_call *call_add(struct dns *dns, const struct dns_call *call)
{
	struct dns_call *added = mem_dup(call, sizeof(*call));

	added->dns = dns;
	DL_APPEND(dns->calls, added);
	serve_line(dns);
	return added;
}

struct dns_call *dns_check(struct dns *dns, const struct dns_check_options *check,
			   dns_done_fn *on_done, void *ctx)
{
	assert(*check->owner && strcmp(check->owner, ".") != 0);
	return call_add(dns, &(struct dns_call){
				     .begin = dns_check_begin,
				     .name = mem_strdup(check->owner),
				     .expected = mem_strdup(check->expected),
				     .authoritative = check->authoritative,
				     .tcp = check->tcp,
				     .on_done = on_done,
				     .ctx = ctx,
			     });
}

struct dns_call *dns_check_zone(struct dns *dns, const char *zone, dns_done_fn *on_done, void *ctx)
{
	return call_add(dns, &(struct dns_call){
				     .begin = dns_zone_begin,
				     .name = mem_strdup(zone),
				     .expected = mem_strdup(NULL),
				     .on_done = on_done,
				     .ctx = ctx,
			     });
}

void dns_cancel(struct dns_call *call)
{
	struct dns *dns;

	if (!call)
		return;
	dns = call->dns;
	call_free(call);
	serve_line(dns);
}

void dns_free(struct dns *dns)
{
	struct dns_call *call, *next;

	if (!dns)
		return;
	DL_FOREACH_SAFE(dns->calls, call, next)
		call_free(call);
	free(dns);
}
