/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "acmedns/acmedns_impl.h"
#include "base/mem.h"
#include "jv/jv.h"
#include "url/url.h"

#define MAX_VALUE 1024 /* of a credential; acme-dns' own have 36 and 40 bytes */

struct acmedns_probe_call {
	struct http_call *call;
	acmedns_probe_fn *on_done;
	void *ctx;
};

/* ---- what an answer means ---- */

struct row {
	struct acmedns_when when;
	enum acmedns_probe_verdict verdict;
	const char *message;
};

/* The first that fits. */
static const struct row rows[] = {
	{{.least = 200, .most = 299},
	 ACMEDNS_PROBE_NOT_ACMEDNS,
	 "the server takes an /update without a value, which acme-dns does not: the account's "
	 "server_url must name its API"},
	{{.least = 300, .most = 399},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server redirects /update: the account's server_url must name the API itself"},
	{{.least = 400, .most = 400, .says = "bad_txt"},
	 ACMEDNS_PROBE_ALIVE,
	 "the server takes the credentials"},
	{{.least = 401, .most = 401, .says = "forbidden"},
	 ACMEDNS_PROBE_REJECTED,
	 "the server does not take the credentials"},
	{{.least = 401, .most = 401},
	 ACMEDNS_PROBE_REJECTED,
	 "the server, or a proxy before it, asks for other credentials at /update"},
	{{.least = 403, .most = 403},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server, or a proxy before it, forbids this operator to use /update"},
	{{.least = 404, .most = 405},
	 ACMEDNS_PROBE_UNKNOWN,
	 "there is no /update at the account's server_url: it must name the acme-dns API"},
	{{.least = 407, .most = 407},
	 ACMEDNS_PROBE_UNKNOWN,
	 "a proxy before the server asks for authentication"},
	{{.least = 429, .most = 429}, ACMEDNS_PROBE_UNKNOWN, "the server asks to come back later"},
	{{.least = 400, .most = 499},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server refuses the request otherwise than acme-dns does"},
	{{.least = 502, .most = 504},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server, or a proxy before it, is not available"},
	{{.least = 500, .most = INT32_MAX},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server reports an error of its own: its log says which"},
	{{.least = INT32_MIN, .most = 199},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the answer is not one of acme-dns: the account's server_url must name its API"},
};

static struct acmedns_probe_result result(enum acmedns_probe_verdict verdict, int retry_after_s,
					  const char *message)
{
	return (struct acmedns_probe_result){verdict, retry_after_s, message};
}

struct acmedns_probe_result acmedns_probe_answer(const struct http_response *resp)
{
	const struct row *row = rows;

	/* What the status says is clear, whether or not all that follows has come. */
	if (resp->fault != HTTP_OK && resp->status < 200)
		return result(ACMEDNS_PROBE_UNKNOWN, resp->retry_after_s,
			      acmedns_fault_message(resp));
	while (!acmedns_fits_status(&row->when, resp, ACMEDNS_FLAW_ANY))
		row++;
	return result(row->verdict, resp->retry_after_s, row->message);
}

/* ---- asking ---- */

/* A header's value: what could end its line, or would make libcurl leave it out, is not sent. */
static bool can_be_sent(const char *value)
{
	const char *at;

	for (at = value; *at; at++)
		if ((*at > 0 && *at < ' ') || *at == 0x7f)
			return false;
	return at > value + strspn(value, " ") && at - value <= MAX_VALUE;
}

/* NULL for a subdomain that is too long, or not UTF-8; the caller frees. */
static char *update_body(const char *subdomain)
{
	CLEANUP(jv_freep) json_t *body = json_object();
	json_t *value = strlen(subdomain) <= MAX_VALUE ? json_string(subdomain) : NULL;
	size_t ignored;

	if (!value)
		return NULL;
	jv_set(body, "subdomain", value);
	jv_set(body, "txt", json_string(""));
	return jv_text(body, &ignored);
}

static void on_answer(void *ctx, const struct http_response *resp)
{
	struct acmedns_probe_call *call = ctx;
	struct acmedns_probe_result answer = acmedns_probe_answer(resp);

	call->on_done(call->ctx, &answer);
	free(call);
}

static struct http_call *send_probe(struct http *http, const struct acmedns_probe *probe,
				    const char *url, const char *body,
				    struct acmedns_probe_call *call)
{
	CLEANUP(mem_wipe_strp) char *user = mem_printf("X-Api-User: %s", probe->username);
	CLEANUP(mem_wipe_strp) char *key = mem_printf("X-Api-Key: %s", probe->password);
	const struct http_request req = {
		.method = "POST",
		.url = url,
		.headers = {user, key, "Content-Type: application/json",
			    "Accept: application/json"},
		.body = body,
		.body_len = strlen(body),
		.max_body = ACMEDNS_MAX_ANSWER,
		.timeout_ms = probe->timeout_ms,
		.fresh_connection = true,
		.pin = probe->pin,
		.proxy = probe->proxy,
		.tls = probe->tls,
		.on_done = on_answer,
		.ctx = call,
	};

	return http_start(http, &req);
}

struct acmedns_probe_call *acmedns_probe_start(struct http *http, const struct acmedns_probe *probe,
					       struct acmedns_probe_result *ret_refusal)
{
	CLEANUP(mem_freep) char *body = update_body(probe->subdomain);
	CLEANUP(mem_freep) char *url = NULL;
	struct acmedns_probe_call *call;
	struct err ignored;
	struct url host;

	if (!can_be_sent(probe->username) || !can_be_sent(probe->password)) {
		*ret_refusal = result(ACMEDNS_PROBE_UNSUPPORTED, -1,
				      "the account's username or password is empty, too long, or "
				      "has control characters: it is not sent");
		return NULL;
	}
	if (!body || url_parse(probe->host, &host, &ignored)) {
		*ret_refusal =
			result(ACMEDNS_PROBE_UNSUPPORTED, -1,
			       "the account's subdomain or server_url is not one of acme-dns");
		return NULL;
	}
	/* Without a pin libcurl would look a name up, and take what it finds. */
	assert(probe->pin || probe->proxy || host.ipv6);
	call = mem_zalloc(sizeof(*call));
	*call = (struct acmedns_probe_call){.on_done = probe->on_done, .ctx = probe->ctx};
	url = mem_printf("%s/update", host.text);
	call->call = send_probe(http, probe, url, body, call);
	return call;
}

void acmedns_probe_cancel(struct acmedns_probe_call *call)
{
	if (!call)
		return;
	http_cancel(call->call);
	free(call);
}
