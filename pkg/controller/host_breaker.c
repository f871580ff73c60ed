/* SPDX-License-Identifier: Apache-2.0 */

/* An acme-dns server that fails is left alone: while its breaker is open no slot is given away, and
 * so no claim is written. Now and then it is asked whether it lives, if somebody waits for it. */

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"

#define MAX_HEALTH_BODY 4096

/* ---- what is known of it ---- */

static void follow(struct host *host, enum breaker_state before)
{
	struct metrics_family *unavailable = host->controller->metrics.unavailable;
	enum breaker_state now = host->breaker.state;

	if (before == BREAKER_CLOSED && now != BREAKER_CLOSED) {
		metrics_add(unavailable, NULL, 1);
		host_wake_lines(host);
		log_warn("an acme-dns server fails; nothing is registered there until it answers",
			 "host", host->url, NULL);
	} else if (before != BREAKER_CLOSED && now == BREAKER_CLOSED) {
		metrics_add(unavailable, NULL, -1);
		log_info("an acme-dns server works again", "host", host->url, NULL);
	}
	host_offer_slots(host);
	host_ask_later(host);
}

static bool is_sign_of_life(const struct acmedns_result *result)
{
	return result->verdict != ACMEDNS_UNREACHABLE && result->verdict != ACMEDNS_NO_ANSWER &&
	       result->verdict != ACMEDNS_SERVER_ERROR;
}

static bool is_about_trust(enum http_fault fault)
{
	return fault == HTTP_FAULT_TLS || fault == HTTP_FAULT_TLS_UNTRUSTED ||
	       fault == HTTP_FAULT_TLS_EXPIRED || fault == HTTP_FAULT_TLS_NAME;
}

/* Each object may trust certificates of its own, so what comes of them says nothing of others. */
static bool is_of_all(enum http_fault fault)
{
	return fault != HTTP_FAULT_OTHER && !is_about_trust(fault);
}

void host_note(struct record *record, const struct acmedns_result *result, enum http_fault fault,
	       int64_t sent_ms)
{
	struct host *host = record->host;
	enum breaker_state before = host->breaker.state;

	if (is_sign_of_life(result))
		breaker_good(&host->breaker, mono_ms());
	else if (is_of_all(fault))
		breaker_bad(&host->breaker, sent_ms, mono_ms(), rnd_u64());
	if (host->breaker.state != before)
		follow(host, before);
}

/* ---- asking ---- */

static void end_question(struct host *host, bool alive)
{
	const char *const values[] = {alive ? "alive" : "dead"};
	enum breaker_state before = host->breaker.state;

	metrics_add(host->controller->metrics.health_probes, values, 1);
	if (alive)
		breaker_alive(&host->breaker, mono_ms());
	else
		breaker_dead(&host->breaker, mono_ms(), rnd_u64());
	follow(host, before);
}

/* Whatever a server answers that is no error of its own is a sign of life: an older acme-dns has no
 * /health, a proxy may want a password, the certificate may be one that only its users trust. */
static bool is_alive(const struct http_response *resp)
{
	if (resp->fault == HTTP_OK || resp->fault == HTTP_FAULT_TOO_LARGE)
		return resp->status < 500;
	return is_about_trust(resp->fault);
}

static void on_health(void *ctx, const struct http_response *resp)
{
	struct host *host = ctx;

	log_debug("GET /health ended", "host", host->url, "detail", resp->detail, NULL);
	host->question = NULL;
	end_question(host, is_alive(resp));
}

static void ask(struct host *host)
{
	CLEANUP(mem_freep) char *url = mem_printf("%s/health", host->url);
	const struct http_request req = {
		.method = "GET",
		.url = url,
		.max_body = MAX_HEALTH_BODY,
		.timeout_ms = host->controller->options.register_timeout_ms,
		.fresh_connection = true,
		.pin = host_pin(host),
		.proxy = host->proxy,
		.on_done = on_health,
		.ctx = host,
	};

	host->question = http_start(host->controller->http, &req);
}

void host_ask(struct host *host)
{
	if (!host->asks_address)
		return;
	host->asks_address = false;
	if (host_is_resolved(host))
		ask(host);
	else
		end_question(host, false);
}

static void on_time_to_ask(evutil_socket_t fd, short what, void *ctx)
{
	struct host *host = ctx;

	(void)fd;
	(void)what;
	/* It may have shown by itself that it lives. */
	if (host->breaker.state != BREAKER_OPEN || !host->lines || host->controller->draining)
		return;
	host->asks_address = true;
	if (host_is_resolved(host))
		host_ask(host);
	else
		host_look_up(host);
}

void host_ask_later(struct host *host)
{
	const struct timeval wait = mono_timeval(host->breaker.probe_ms - mono_ms());

	if (host->breaker.state != BREAKER_OPEN || !host->lines || host->question ||
	    host->asks_address)
		return;
	if (!host->question_timer)
		host->question_timer =
			evtimer_new(host->controller->options.base, on_time_to_ask, host);
	(void)evtimer_add(host->question_timer, &wait);
}

/* ---- for the rest of the host ---- */

unsigned int host_most_slots(const struct host *host)
{
	static const unsigned int slots[] = {
		[BREAKER_CLOSED] = PLAN_WORKS,
		[BREAKER_OPEN] = 0,
		[BREAKER_TRIAL] = 1,
	};

	return slots[host->breaker.state];
}

void host_forget_breaker(struct host *host)
{
	if (host->breaker.state != BREAKER_CLOSED)
		metrics_add(host->controller->metrics.unavailable, NULL, -1);
	http_cancel(host->question);
	if (host->question_timer)
		event_free(host->question_timer);
}
