/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "http/http_impl.h"

static void keep(struct http_call *call, CURLcode code)
{
	if (call->setup == CURLE_OK)
		call->setup = code;
}

static void set(struct http_call *call, CURLoption option, const void *value)
{
	keep(call, curl_easy_setopt(call->easy, option, value));
}

static void set_long(struct http_call *call, CURLoption option, long value)
{
	keep(call, curl_easy_setopt(call->easy, option, value));
}

static void set_pem(struct http_call *call, CURLoption option, const char *pem, size_t len)
{
	struct curl_blob blob = {.len = len, .flags = CURL_BLOB_NOCOPY};

	/* The struct wants a writable pointer, though libcurl only reads. */
	memcpy(&blob.data, &pem, sizeof(pem));
	set(call, option, &blob);
}

static void add(struct curl_slist **list, const char *text)
{
	*list = http_must(curl_slist_append(*list, text));
}

static void set_always(struct http_call *call)
{
	set_long(call, CURLOPT_NOSIGNAL, 1);
	set_long(call, CURLOPT_QUICK_EXIT, 1); /* never wait for the resolver's thread */
	set_long(call, CURLOPT_FOLLOWLOCATION, 0);
	set_long(call, CURLOPT_DISALLOW_USERNAME_IN_URL, 1);
	set_long(call, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	set_long(call, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	set_long(call, CURLOPT_TCP_KEEPALIVE, 1);
	set_long(call, CURLOPT_TCP_KEEPIDLE, 15);
	set_long(call, CURLOPT_TCP_KEEPINTVL, 10);
	set(call, CURLOPT_PROTOCOLS_STR, "http,https");
	set(call, CURLOPT_PRIVATE, call);
	set(call, CURLOPT_ERRORBUFFER, call->error);
}

/* A control character would let a value end its line and add headers of its own. */
static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((*text > 0 && *text < ' ' && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

static void set_headers(struct http_call *call, const struct http_request *req)
{
	for (size_t i = 0; i < HTTP_MAX_HEADERS && req->headers[i]; i++) {
		if (has_control(req->headers[i]))
			keep(call, CURLE_BAD_FUNCTION_ARGUMENT);
		add(&call->headers, req->headers[i]);
	}
	/* A name alone keeps libcurl from adding its own: a form's type, a 100-continue. */
	add(&call->headers, "Content-Type:");
	add(&call->headers, "Expect:");
	set(call, CURLOPT_HTTPHEADER, call->headers);
}

static void set_body(struct http_call *call, const struct http_request *req)
{
	static const char *const with_body[] = {"POST", "PUT", "PATCH"};
	bool has_body = req->body != NULL;

	if (has_control(req->method))
		keep(call, CURLE_BAD_FUNCTION_ARGUMENT);
	for (size_t i = 0; i < ARRAY_LEN(with_body); i++)
		has_body = has_body || strcmp(req->method, with_body[i]) == 0;
	if (has_body) {
		buf_init(&call->request_body, req->body_len);
		(void)buf_add(&call->request_body, req->body, req->body_len);
		set(call, CURLOPT_POSTFIELDS, buf_str(&call->request_body));
		keep(call, curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
					    (curl_off_t)req->body_len));
	} else if (strcmp(req->method, "HEAD") == 0) {
		set_long(call, CURLOPT_NOBODY, 1);
	}
	set(call, CURLOPT_CUSTOMREQUEST, req->method);
}

static void set_tls(struct http_call *call, const struct http_tls *tls)
{
	/* An encrypted key must fail, not ask for a password on the terminal. */
	set(call, CURLOPT_KEYPASSWD, "");
	if (tls->ca_pem) {
		set_pem(call, CURLOPT_CAINFO_BLOB, tls->ca_pem, tls->ca_pem_len);
		set(call, CURLOPT_CAPATH, NULL); /* libcurl would trust the system's as well */
	}
	if (tls->cert_pem) {
		set_pem(call, CURLOPT_SSLCERT_BLOB, tls->cert_pem, strlen(tls->cert_pem));
		set_pem(call, CURLOPT_SSLKEY_BLOB, tls->key_pem, strlen(tls->key_pem));
	}
	if (tls->insecure) {
		set_long(call, CURLOPT_SSL_VERIFYPEER, 0);
		set_long(call, CURLOPT_SSL_VERIFYHOST, 0);
	}
}

/* libcurl takes the name for SNI and verification from the URL. So the URL names the server as its
 * certificate does, while CONNECT_TO and the Host header have the URL's own host. */
static CURLUcode rename_server(struct http_call *call, CURLU *url, const char *server_name)
{
	CLEANUP(http_text_freep) char *host = NULL;
	CLEANUP(http_text_freep) char *port = NULL;
	CLEANUP(http_text_freep) char *own_port = NULL;
	CLEANUP(mem_freep) char *header = NULL;
	CLEANUP(mem_freep) char *target = NULL;
	CURLUcode code = curl_url_get(url, CURLUPART_HOST, &host, 0);

	if (!code)
		code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (!code)
		code = curl_url_set(url, CURLUPART_HOST, server_name, 0);
	if (code)
		return code;
	(void)curl_url_get(url, CURLUPART_PORT, &own_port, 0);
	header = mem_printf("Host: %s%s%s", host, own_port ? ":" : "", own_port ? own_port : "");
	target = mem_printf("::%s:%s", host, port);
	add(&call->headers, header);
	add(&call->connect_to, target);
	set(call, CURLOPT_CONNECT_TO, call->connect_to);
	return CURLUE_OK;
}

static void set_url(struct http_call *call, const struct http_request *req)
{
	CLEANUP(http_url_freep) CURLU *url = http_must(curl_url());
	CLEANUP(http_text_freep) char *text = NULL;
	const char *server_name = req->tls ? req->tls->server_name : NULL;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, req->url, 0);

	if (!code && server_name)
		code = rename_server(call, url, server_name);
	if (!code)
		code = curl_url_get(url, CURLUPART_URL, &text, 0);
	if (code)
		keep(call, CURLE_URL_MALFORMAT);
	else
		set(call, CURLOPT_URL, text);
}

/* A name that is pinned is looked up in a cache of this call alone: libcurl's shared one would
 * answer other calls with it, and this one with theirs. */
static void set_pin(struct http_call *call, const char *pin)
{
	call->pin_cache = http_must(curl_share_init());
	(void)curl_share_setopt(call->pin_cache, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	set(call, CURLOPT_SHARE, call->pin_cache);
	add(&call->pins, pin);
	set(call, CURLOPT_RESOLVE, call->pins);
}

/* Always said, so that libcurl does not look into the environment itself. */
static void set_proxy(struct http_call *call, const struct http_request *req)
{
	CLEANUP(mem_wipe_strp) char *proxy = NULL;

	if (req->proxy)
		proxy = mem_strdup(req->proxy);
	else if (!req->pin && !call->http->no_proxy)
		proxy = http_proxy_of(req->url);
	set(call, CURLOPT_PROXY, proxy ? proxy : "");
	set(call, CURLOPT_NOPROXY, "");
}

/* Connections are kept by host name, so a pinned call must neither use nor leave one. HTTP/1.1
 * because another call could join one that speaks HTTP/2 at any time. */
static void set_connection(struct http_call *call, const struct http_request *req)
{
	const struct http *http = call->http;
	bool own = req->fresh_connection || req->pin;
	bool http1 = own || http->http1;
	int64_t connect_ms = req->connect_timeout_ms ? req->connect_timeout_ms : req->timeout_ms;

	call->shares = !http1;
	set_long(call, CURLOPT_HTTP_VERSION,
		 http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS);
	set_long(call, CURLOPT_PIPEWAIT, !http1);
	set_long(call, CURLOPT_FRESH_CONNECT, own);
	set_long(call, CURLOPT_FORBID_REUSE, own);
	set_long(call, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	set(call, CURLOPT_USERAGENT, http->user_agent);
	if (req->pin)
		set_pin(call, req->pin);
	set_proxy(call, req);
}

void http_call_set_up(struct http_call *call, const struct http_request *req)
{
	set_always(call);
	set_url(call, req);
	set_headers(call, req);
	set_body(call, req);
	set_connection(call, req);
	if (req->tls)
		set_tls(call, req->tls);
}
