/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An acme-dns server as the operator sees it: whether it may be used at all, and the addresses that
 * its name has and that may be used. Objects of one server share these and its slots, those of
 * another have their own: a dead server delays nobody else.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "controller/controller_impl.h"
#include "url/url.h"

#define ADDRESS_MS     30000 /* an answer is good for so long */
#define REFUSED_MS     60000
#define FAILED_MS      5000
#define FAILED_MOST_MS 60000

/* NULL when the administrator lets the host be used. Where a proxy goes nobody here can see, so the
 * host has to be named. */
static const char *forbidden(const struct controller_options *options, const struct url *url,
			     bool proxied)
{
	size_t i;

	if (options->require_https && !url->https)
		return "spec.host must begin with https://, since this operator runs with "
		       "--require-https";
	for (i = 0; i < options->allowed_hosts_len; i++)
		if (url_glob_matches(&options->allowed_hosts[i], url))
			return NULL;
	if (options->allowed_hosts_len > 0)
		return "spec.host is none of the hosts that this operator may use; use one of "
		       "them, or have its administrator add this one to --allowed-hosts";
	if (proxied)
		return "spec.host is behind a proxy, where its address cannot be judged; have the "
		       "operator's administrator name it in --allowed-hosts, or in NO_PROXY";
	return NULL;
}

static struct host *host_get(struct controller *controller, const char *text)
{
	struct host *host;
	struct url url;
	struct err err;

	if (url_parse(text, &url, &err))
		return NULL;
	HASH_FIND_STR(controller->hosts, url.text, host);
	if (host)
		return host;
	host = mem_zalloc(sizeof(*host));
	host->controller = controller;
	host->url = mem_strdup(url.text);
	(void)snprintf(host->name, sizeof(host->name), "%s", url.host);
	host->port = url.port;
	host->ipv6 = url.ipv6;
	host->proxy = http_proxy_of(url.text);
	host->forbidden = forbidden(&controller->options, &url, host->proxy != NULL);
	host->failed_ms = FAILED_MS;
	host->breaker.pause_ms = controller->options.breaker_pause_ms;
	HASH_ADD_KEYPTR(hh, controller->hosts, host->url, strlen(host->url), host);
	return host;
}

static void host_free(struct host *host)
{
	HASH_DEL(host->controller->hosts, host);
	resolve_cancel(host->call);
	host_forget_breaker(host);
	free(host->url);
	free(host->pin);
	mem_wipe_str(host->proxy);
	free(host);
}

void host_free_all(struct controller *controller)
{
	struct host *host;
	struct host *next;

	HASH_ITER(hh, controller->hosts, host, next) {
		host_free(host);
	}
}

/* ---- which host an object uses ---- */

/* Its claims at the old host count there until they have ended, and so do those being written. */
static bool must_stay(const struct record *record)
{
	return record->host && (record->stage == RECORD_WRITING || host_held(record) > 0);
}

void host_use(struct record *record, const char *url)
{
	struct host *host;

	if (must_stay(record))
		return;
	host = host_get(record->controller, url);
	if (record->host == host)
		return;
	host_leave(record);
	record->host = host;
	if (host)
		host->users++;
}

static void stop_waiting(struct record *record)
{
	host_leave_line(record);
	if (record->waits_address)
		DL_DELETE2(record->host->wait_address, record, address_prev, address_next);
	record->waits_address = false;
}

void host_leave(struct record *record)
{
	struct host *host = record->host;

	if (!host)
		return;
	stop_waiting(record);
	host->taken -= record->slots;
	record->slots = 0;
	record->host = NULL;
	host_offer_slots(host);
	if (--host->users == 0)
		host_free(host);
}

/* ---- what plan() sees of it ---- */

/* A name that only the proxy looks up; an address is judged all the same. */
static bool is_resolved_by_proxy(const struct host *host)
{
	struct cidr_addr addr;
	struct err ignored;

	return host->proxy && cidr_parse_addr(host->name, &addr, &ignored);
}

static enum plan_host_state address_state(const struct host *host)
{
	if (is_resolved_by_proxy(host))
		return PLAN_HOST_OK;
	return mono_ms() < host->until_ms ? host->state : PLAN_HOST_UNRESOLVED;
}

bool host_is_resolved(const struct host *host)
{
	return address_state(host) == PLAN_HOST_OK;
}

/* Nothing is known of a server that fails but to those who try it out. */
static bool is_down(const struct record *record)
{
	enum breaker_state state = record->host->breaker.state;

	return state == BREAKER_OPEN ||
	       (state == BREAKER_TRIAL && record->slots == 0 &&
		(record->host->lines || host_free_slots(record->host) == 0));
}

void host_view(struct record *record, struct plan_host *ret_host)
{
	const struct host *host = record->host;

	*ret_host = (struct plan_host){.state = PLAN_HOST_UNRESOLVED};
	if (!host)
		return;
	if (host->forbidden) {
		ret_host->state = PLAN_HOST_NOT_ALLOWED;
		ret_host->message = host->forbidden;
		ret_host->retry_ms = INT64_MAX;
		return;
	}
	ret_host->state = address_state(host);
	ret_host->message = host->message;
	ret_host->retry_ms = host->until_ms;
	if (ret_host->state != PLAN_HOST_REFUSED && is_down(record)) {
		ret_host->state = PLAN_HOST_DOWN;
		ret_host->message = "the acme-dns server has failed several times in a row; it is "
				    "tried again once it answers GET /health";
		ret_host->retry_ms = INT64_MAX;
	}
	/* Who waits goes before who comes; what was given to this one is its own. */
	assert(record->slots >= host_held(record));
	ret_host->slots =
		record->slots - host_held(record) + (host->lines ? 0 : host_free_slots(host));
}

/* ---- addresses ---- */

static void wake_waiting(struct host *host)
{
	while (host->wait_address) {
		struct record *record = host->wait_address;

		DL_DELETE2(host->wait_address, record, address_prev, address_next);
		record->waits_address = false;
		workq_add(host->controller->queue, record->uid, WORKQ_HIGH);
	}
	host_ask(host);
}

static void set_state(struct host *host, enum plan_host_state state, int64_t ms,
		      const char *message)
{
	host->state = state;
	host->until_ms = mono_ms() + ms;
	(void)snprintf(host->message, sizeof(host->message), "%s", message);
}

static void set_failed(struct host *host, const char *message)
{
	set_state(host, PLAN_HOST_FAILED, host->failed_ms, message);
	if (host->failed_ms < FAILED_MOST_MS)
		host->failed_ms *= 2;
}

/* Those of the addresses that may be used, as libcurl wants them; "" with the reason for none. */
static void judge(struct host *host, const struct resolve_answer *answer, const char **ret_refusal)
{
	CLEANUP(buf_donep) struct buf pin = BUF_INIT(2048);
	size_t used = 0;
	size_t i;

	(void)buf_addf(&pin, "%s%s%s:%d:", host->ipv6 ? "[" : "", host->name, host->ipv6 ? "]" : "",
		       host->port);
	for (i = 0; i < answer->len; i++) {
		const char *refusal = controller_refusal(host->controller, &answer->addrs[i]);
		char text[CIDR_TEXT_LEN];

		if (refusal) {
			*ret_refusal = refusal;
			continue;
		}
		cidr_addr_text(&answer->addrs[i], text);
		(void)buf_addf(&pin, strchr(text, ':') ? "%s[%s]" : "%s%s", used++ ? "," : "",
			       text);
	}
	free(host->pin);
	host->pin = used ? buf_take(&pin) : NULL;
}

static void on_resolved(void *ctx, const struct resolve_answer *answer, const struct err *err)
{
	struct host *host = ctx;
	const char *refusal = "no address";
	char message[160];

	host->call = NULL;
	if (err) {
		log_debug("a host does not resolve", "host", host->url, "err", err->msg, NULL);
		set_failed(host, err->kind == ERR_NOT_FOUND
					 ? "the name of spec.host does not exist in DNS"
					 : "DNS does not answer for the name of spec.host");
		wake_waiting(host);
		return;
	}
	if (!host->controller->api_addrs_len) {
		set_failed(host,
			   "the API server's addresses, which are refused, are not known yet");
		wake_waiting(host);
		return;
	}
	judge(host, answer, &refusal);
	if (host->pin) {
		host->failed_ms = FAILED_MS;
		set_state(host, PLAN_HOST_OK, ADDRESS_MS, "");
	} else {
		(void)snprintf(message, sizeof(message),
			       "spec.host resolves to %s, which this operator does not connect to "
			       "(--allow-address)",
			       refusal);
		set_state(host, PLAN_HOST_REFUSED, REFUSED_MS, message);
	}
	wake_waiting(host);
}

void host_look_up(struct host *host)
{
	if (!host->call)
		host->call =
			resolve_start(host->controller->resolve, host->name, on_resolved, host);
}

void host_resolve(struct record *record)
{
	struct host *host = record->host;

	assert(host); /* plan() has none act on an object with a bad spec.host */
	if (!record->waits_address)
		DL_APPEND2(host->wait_address, record, address_prev, address_next);
	record->waits_address = true;
	host_look_up(host);
}

const char *host_pin(const struct host *host)
{
	/* Since it was looked at, in this turn, the answer may have grown too old: no harm. */
	assert(!host->forbidden && (is_resolved_by_proxy(host) || host->state == PLAN_HOST_OK));
	/* An IPv6 address in the URL is not looked up, and libcurl pins none. */
	return host->ipv6 || host->proxy ? NULL : host->pin;
}
