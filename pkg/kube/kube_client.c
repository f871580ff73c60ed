/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "jv/jv.h"

#define TIMEOUT_MS (30 * 1000)

struct kube_call {
	struct kube_exchange x;
	bool deletes; /* a Status may be the answer */
	kube_item_fn *on_item;
	kube_done_fn *on_done;
	void *ctx;
};

/* ---- client ---- */

struct metrics_family *kube_declare_requests_total(struct metrics *metrics)
{
	static const struct metrics_desc desc = {
		.type = METRICS_COUNTER,
		.name = "rest_client_requests_total",
		.help = "Number of HTTP requests, partitioned by status code, method, and host.",
		.labels = {"code", "method", "host"},
	};

	return metrics_declare(metrics, &desc);
}

struct kube *kube_new(struct event_base *base, struct kube_config *config,
		      const struct kube_options *options)
{
	struct kube *kube = mem_zalloc(sizeof(*kube));
	const struct http_options http_options = {
		.user_agent = options->user_agent,
		.http1 = options->http1,
	};
	const char *host = strstr(config->server, "://") + 3;

	kube->http = http_new(base, &http_options);
	kube->config = config;
	kube->requests_total = options->requests_total;
	kube->host = mem_dup(host, strcspn(host, "/"));
	return kube;
}

void kube_free(struct kube *kube)
{
	struct kube_exchange *x, *next;

	if (!kube)
		return;
	DL_FOREACH_SAFE(kube->exchanges, x, next)
		x->destroy(x);
	http_free(kube->http);
	free(kube->host);
	free(kube);
}

/* ---- requests ---- */

static void destroy_call(struct kube_exchange *x)
{
	struct kube_call *call = container_of(x, struct kube_call, x);

	kube_exchange_done(x);
	free(call);
}

static const char *method_of(const char *verb)
{
	static const char *const methods[][2] = {
		{"get", "GET"},	    {"create", "POST"},	  {"update", "PUT"},
		{"patch", "PATCH"}, {"delete", "DELETE"},
	};
	size_t i = 0;

	while (strcmp(verb, methods[i][0]) != 0) {
		i++;
		assert(i < ARRAY_LEN(methods));
	}
	return methods[i][1];
}

static const char *content_type_of(const struct kube_request *req)
{
	if (!req->body)
		return NULL;
	if (strcmp(req->verb, "patch") != 0)
		return "application/json";
	return req->patch == KUBE_APPLY_PATCH ? "application/apply-patch+yaml"
					      : "application/merge-patch+json";
}

static int parse_text(int status, const char *text, size_t len, json_t **ret_object,
		      struct err *err)
{
	struct err not_json;

	*ret_object = jv_parse(text, len, &not_json);
	if (*ret_object)
		return 0;
	return err_set(err, ERR_TRANSIENT, status, "HTTP %d with a bad body: %s", status,
		       not_json.msg);
}

struct item_reader {
	const struct kube_call *call;
	int status;
	struct err *err;
};

static int read_item(void *ctx, const char *text, size_t len)
{
	const struct item_reader *reader = ctx;
	CLEANUP(jv_freep) json_t *item = NULL;

	if (parse_text(reader->status, text, len, &item, reader->err) < 0)
		return -1;
	return reader->call->on_item(reader->call->ctx, item, reader->err);
}

/* Whatever stands before the API server may answer 200, too. */
static int parse_one(const struct kube_call *call, const struct http_response *resp,
		     json_t **ret_object, struct err *err)
{
	if (parse_text(resp->status, resp->body, resp->body_len, ret_object, err) < 0)
		return -1;
	if (*jv_str(*ret_object, "metadata.resourceVersion") ||
	    (call->deletes && strcmp(jv_str(*ret_object, "kind"), "Status") == 0))
		return 0;
	return err_set(err, ERR_TRANSIENT, resp->status,
		       "HTTP %d with what is no Kubernetes object", resp->status);
}

static int parse_object(const struct kube_call *call, const struct http_response *resp,
			json_t **ret_object, struct err *err)
{
	CLEANUP(buf_donep) struct buf rest = BUF_INIT(KUBE_MAX_RESPONSE);
	struct item_reader reader = {.call = call, .status = resp->status, .err = err};

	if (!call->on_item)
		return parse_one(call, resp, ret_object, err);
	if (kube_split_items(resp->body, resp->body_len, read_item, &reader, &rest) != 0)
		return -1;
	return parse_text(resp->status, buf_str(&rest), rest.len, ret_object, err);
}

static void on_response(void *ctx, const struct http_response *resp)
{
	struct kube_call *call = container_of(ctx, struct kube_call, x);
	kube_done_fn *on_done = call->on_done;
	void *done_ctx = call->ctx;
	CLEANUP(jv_freep) json_t *object = NULL;
	struct err err;
	bool ok = kube_exchange_end(&call->x, resp, &object, &err) == 0 &&
		  parse_object(call, resp, &object, &err) == 0;

	destroy_call(&call->x);
	on_done(done_ctx, object, ok ? NULL : &err);
}

struct kube_call *kube_start(struct kube *kube, const struct kube_request *req)
{
	struct kube_call *call = mem_zalloc(sizeof(*call));
	bool is_list = !req->name && strcmp(req->verb, "get") == 0;
	struct http_request http_req = {
		.method = method_of(req->verb),
		.max_body = is_list ? KUBE_MAX_RESPONSE : KUBE_MAX_OBJECT,
		.timeout_ms = req->timeout_ms ? req->timeout_ms : TIMEOUT_MS,
		.on_done = on_response,
	};
	const struct kube_target target = {
		.resource = req->resource,
		.namespace = req->namespace,
		.name = req->name,
		.subresource = req->subresource,
		.query = req->query,
	};
	char *body = NULL;

	assert(req->name || is_list || strcmp(req->verb, "create") == 0);
	if (req->body)
		body = jv_text(req->body, &http_req.body_len);
	http_req.body = body;
	call->x.destroy = destroy_call;
	call->deletes = strcmp(req->verb, "delete") == 0;
	call->on_item = req->on_item;
	call->on_done = req->on_done;
	call->ctx = req->ctx;
	kube_exchange_start(&call->x, kube, &target, content_type_of(req), &http_req);
	mem_wipe_free(body, http_req.body_len);
	return call;
}

void kube_cancel(struct kube_call *call)
{
	if (call)
		destroy_call(&call->x);
}
