/* SPDX-License-Identifier: Apache-2.0 */

/* POST /register: what makes accounts, and what cannot be taken back; GET /health, which says more
 * of a server that has none. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "acmedns/acmedns.h"
#include "auth/auth.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "controller/controller_impl.h"

#define HEALTH_MS 5000

struct post {
	struct record *record;
	int work;
	struct http_call *call;
	int64_t sent_ms;
	/* Where the POST went. */
	char *pin;    /* NULL for an IPv6 address in the URL */
	char *proxy;  /* NULL: none; may hold a password */
	char *ca_pem; /* NULL: the system's roots */
	struct http_tls tls;
	struct acmedns_result result;
};

static void post_free(struct post *post)
{
	free(post->pin);
	mem_wipe_str(post->proxy);
	free(post->ca_pem);
	free(post);
}

static void report(struct record *record, const char *domain, const struct acmedns_result *result)
{
	static const char *const results[] = {
		[ACMEDNS_REGISTERED] = "registered",	   [ACMEDNS_UNAVAILABLE] = "unavailable",
		[ACMEDNS_BAD_ALLOWFROM] = "bad_allowfrom", [ACMEDNS_DENIED] = "denied",
		[ACMEDNS_REJECTED] = "rejected",	   [ACMEDNS_THROTTLED] = "throttled",
		[ACMEDNS_UNREACHABLE] = "unreachable",	   [ACMEDNS_NO_ANSWER] = "no_answer",
		[ACMEDNS_SERVER_ERROR] = "server_error",   [ACMEDNS_BAD_ANSWER] = "bad_answer",
	};
	const char *const values[] = {results[result->verdict]};

	metrics_add(record->controller->metrics.registrations, values, 1);
	if (result->verdict == ACMEDNS_REGISTERED)
		log_info("registered", "namespace", record->namespace, "name", record->name,
			 "domain", domain, NULL);
	else
		log_warn("registration failed", "namespace", record->namespace, "name",
			 record->name, "domain", domain, "err", result->message, NULL);
}

static void finish(struct post *post, const struct acmedns_account *account)
{
	struct record *record = post->record;
	struct plan_memory *memory = record_memory(record);
	struct plan_view view;

	report(record, memory->works[post->work].domain, &post->result);
	record->posts[post->work] = NULL;
	record_view(record, &view);
	plan_fold_registered(memory, &view, post->work, &post->result, account);
	post_free(post);
	host_settle(record);
	workq_add(record->controller->queue, record->uid, WORKQ_HIGH);
}

static void on_health(void *ctx, const struct http_response *resp)
{
	struct post *post = ctx;
	const char *message = acmedns_health_message(resp);

	log_debug("GET /health ended", "detail", resp->detail, NULL);
	if (message)
		post->result.message = message;
	finish(post, NULL);
}

/* The POST has ended and made nothing: only what is told of it waits. */
static void ask_health(struct post *post)
{
	struct controller *controller = post->record->controller;
	const struct plan_work *at = &record_memory(post->record)->works[post->work];
	CLEANUP(mem_freep) char *url = mem_printf("%s/health", at->host);
	const struct http_request req = {
		.method = "GET",
		.url = url,
		.max_body = ACMEDNS_MAX_ANSWER,
		.timeout_ms = HEALTH_MS,
		.fresh_connection = true,
		.pin = post->pin,
		.proxy = post->proxy,
		.tls = post->ca_pem ? &post->tls : NULL,
		.on_done = on_health,
		.ctx = post,
	};

	post->call = http_start(controller->http, &req);
}

static void on_registered(void *ctx, const struct http_response *resp)
{
	struct post *post = ctx;
	struct acmedns_account account;

	log_debug("POST /register ended", "domain",
		  record_memory(post->record)->works[post->work].domain, "detail", resp->detail,
		  NULL);
	post->result = acmedns_register_result(resp, &account);
	host_note(post->record, &post->result, resp->fault, post->sent_ms);
	if (acmedns_wants_health(resp))
		ask_health(post);
	else
		finish(post, &account);
	explicit_bzero(&account, sizeof(account));
}

/* Header fields and the CA that the object has for its host. */
static void add_auth(struct post *post, const struct api_registration *object,
		     struct http_request *req)
{
	const struct auth *auth = reference_auth(post->record, object);
	size_t at = 0;
	size_t i;

	if (!auth)
		return;
	while (req->headers[at])
		at++;
	for (i = 0; i < API_MAX_HEADERS && auth->headers[i]; i++) {
		assert(at < HTTP_MAX_HEADERS);
		req->headers[at++] = auth->headers[i];
	}
	post->ca_pem = reference_copy_ca(auth, &post->tls);
	if (post->ca_pem)
		req->tls = &post->tls;
}

void post_start(struct record *record, const struct plan_view *view, int work)
{
	struct controller *controller = record->controller;
	const struct plan_work *at = &record_memory(record)->works[work];
	const struct api_spec *spec = &view->object->spec;
	CLEANUP(mem_freep) char *url = mem_printf("%s/register", at->host);
	CLEANUP(mem_freep)
	char *body =
		acmedns_register_body((const char *const *)spec->allow_from, spec->allow_from_len);
	struct post *post = mem_zalloc(sizeof(*post));
	struct http_request req = {
		.method = "POST",
		.url = url,
		.headers = {"Content-Type: application/json", "Accept: application/json"},
		.body = body,
		.body_len = strlen(body),
		.max_body = ACMEDNS_MAX_ANSWER,
		.timeout_ms = controller->options.register_timeout_ms,
		.fresh_connection = true,
		.pin = host_pin(record->host),
		.proxy = record->host->proxy,
		.on_done = on_registered,
		.ctx = post,
	};

	*post = (struct post){.record = record, .work = work, .sent_ms = mono_ms()};
	if (req.pin)
		post->pin = mem_strdup(req.pin);
	if (req.proxy)
		post->proxy = mem_strdup(req.proxy);
	add_auth(post, view->object, &req);
	post->call = http_start(controller->http, &req);
	record->posts[work] = post;
	plan_fold_posting(record_memory(record), work);
	record_act_ended(record);
}

bool post_is_running(const struct record *record)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++)
		if (record->posts[i])
			return true;
	return false;
}

void post_cancel_all(struct record *record)
{
	size_t i;

	for (i = 0; i < PLAN_WORKS; i++) {
		if (!record->posts[i])
			continue;
		http_cancel(record->posts[i]->call);
		post_free(TAKE(record->posts[i]));
	}
}
