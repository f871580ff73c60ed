/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/enc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"

#define MAX_URL		   (16 * 1024)
#define CONNECT_TIMEOUT_MS (30 * 1000) /* client-go's dialer */

/* ---- the path ---- */

/* An empty name would turn an object into its collection, and "..", which escaping leaves as it
 * is, may be resolved on the way. */
static int add_segment(struct buf *path, const char *name)
{
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -1;
	return buf_addc(path, '/') < 0 ? -1 : enc_percent(path, name);
}

static int add_segments(struct buf *path, const char *const *names)
{
	for (; *names; names++)
		if (add_segment(path, *names) < 0)
			return -1;
	return 0;
}

/* NULL if the target has no path. */
static char *path_of(const struct kube_target *target)
{
	CLEANUP(buf_donep) struct buf path = BUF_INIT(MAX_URL);
	const struct kube_resource *resource = target->resource;
	const char *const core[] = {"api", resource->version, NULL};
	const char *const group[] = {"apis", resource->group, resource->version, NULL};
	const char *const scope[] = {"namespaces", target->namespace, NULL};
	const char *const object[] = {resource->plural, target->name, target->subresource, NULL};

	if (add_segments(&path, *resource->group ? group : core) < 0 ||
	    (target->namespace && add_segments(&path, scope) < 0) ||
	    add_segments(&path, object) < 0)
		return NULL;
	if (target->query && buf_addf(&path, "?%s", target->query) < 0)
		return NULL;
	return buf_take(&path);
}

/* ---- start ---- */

void kube_exchange_start(struct kube_exchange *x, struct kube *kube,
			 const struct kube_target *target, const char *content_type,
			 struct http_request *http_req)
{
	CLEANUP(mem_freep) char *url = NULL;
	CLEANUP(mem_wipe_strp) char *authorization = NULL;
	CLEANUP(mem_freep) char *content = NULL;
	int64_t now_ms = mono_ms();
	const char *token = kube_config_token(kube->config, now_ms);
	size_t n = 0;

	x->kube = kube;
	x->tls = kube_tls_ref(kube_config_tls(kube->config, now_ms));
	x->method = http_req->method;
	x->path = path_of(target);
	x->started_ms = now_ms;
	/* Without a path this is a bad URL, which http reports when the loop turns. */
	url = x->path ? mem_printf("%s%s", kube->config->server, x->path) : mem_strdup("");
	http_req->url = url;
	http_req->headers[n++] = "Accept: application/json";
	if (content_type) {
		content = mem_printf("Content-Type: %s", content_type);
		http_req->headers[n++] = content;
	}
	if (token) {
		authorization = mem_printf("Authorization: Bearer %s", token);
		http_req->headers[n++] = authorization;
	}
	http_req->tls = &x->tls->http;
	http_req->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	http_req->ctx = x;
	x->call = http_start(kube->http, http_req);
	DL_APPEND(kube->exchanges, x);
}

/* ---- end ---- */

static void count(const struct kube_exchange *x, const struct http_response *resp)
{
	char code[16] = "<error>"; /* client-go's word */
	const char *const values[] = {code, x->method, x->kube->host};

	if (resp->fault == HTTP_OK)
		(void)snprintf(code, sizeof(code), "%d", resp->status);
	metrics_add(x->kube->requests_total, values, 1);
}

static void log_exchange(const struct kube_exchange *x, const struct http_response *resp)
{
	char status[16], took[32];

	if (!log_enabled(4))
		return;
	(void)snprintf(status, sizeof(status), "%d", resp->status);
	(void)snprintf(took, sizeof(took), "%" PRId64, mono_ms() - x->started_ms);
	log_debug("api request", "method", x->method, "path", x->path, "status", status, "ms", took,
		  "detail", resp->detail, NULL);
}

int kube_exchange_end(struct kube_exchange *x, const struct http_response *resp,
		      json_t **ret_status, struct err *err)
{
	x->call = NULL;
	if (!x->path)
		return err_set(err, ERR_INVALID, 0,
			       "not a name, or too long, for a request's path");
	count(x, resp);
	log_exchange(x, resp);
	if (resp->status == 401)
		kube_config_distrust_token(x->kube->config);
	return kube_status_check(resp, x->kube->config->server, ret_status, err);
}

void kube_exchange_done(struct kube_exchange *x)
{
	http_cancel(x->call);
	DL_DELETE(x->kube->exchanges, x);
	kube_tls_unref(x->tls);
	free(x->path);
}
