/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/mono.h"
#include "http/http_impl.h"

#define LOST_PEER_MS 45000   /* sent bytes unacknowledged for so long: the peer is gone */
#define MAX_WAIT_MS  3600000 /* of one timer; then it is armed again */

/* ---- what libcurl calls while a request runs ---- */

static void replace_shared(struct http *http, int from, int to)
{
	size_t i;

	for (i = 0; i < HTTP_SHARED; i++) {
		if (http->shared[i] != from)
			continue;
		http->shared[i] = to;
		return;
	}
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct http_call *call = ctx;
	int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
	unsigned int lost_ms = LOST_PEER_MS;

	(void)purpose;
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost_ms, sizeof(lost_ms));
	if (fd >= 0 && call->shares)
		replace_shared(call->http, -1, fd);
	return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
	replace_shared(ctx, fd, -1);
	return close(fd);
}

static void note_byte(struct http_call *call)
{
	call->last_byte_ms = mono_ms();
	if (call->shares)
		call->http->heard_ms = call->last_byte_ms;
}

/* Called for a name that libcurl's cache does not have. A pinned call's own cache has the name it
 * may go to; asking the system for any other would undo the pin. */
static int on_resolve(void *resolver, void *reserved, void *ctx)
{
	struct http_call *call = ctx;

	(void)resolver;
	(void)reserved;
	call->resolving = true;
	return call->pin_cache ? -1 : 0;
}

/* The connection stands, through proxies and TLS; the request goes out now. */
static int on_connected(void *ctx, char *to, char *from, int to_port, int from_port)
{
	struct http_call *call = ctx;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	call->connected = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t len, void *ctx)
{
	struct http_call *call = ctx;

	(void)size; /* always 1 */
	note_byte(call);
	if (http_head_line(&call->head, line, len) == 0)
		return len;
	call->fault = HTTP_FAULT_TOO_LARGE;
	return 0;
}

static int status_of(const struct http_call *call)
{
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t on_body(char *data, size_t size, size_t len, void *ctx)
{
	struct http_call *call = ctx;

	(void)size; /* always 1 */
	if (call->stage == HTTP_DOOMED)
		return 0;
	note_byte(call);
	if (call->on_data && status_of(call) / 100 == 2)
		return call->on_data(call->ctx, data, len) == 0 ? len : 0;
	if (buf_add(&call->body, data, len) == 0)
		return len;
	call->fault = HTTP_FAULT_TOO_LARGE;
	return 0;
}

static void set_callbacks(struct http_call *call)
{
	CURL *easy = call->easy;

	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	/* A connection outlives the call that opened it. */
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->http);
	(void)curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	(void)curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

/* ---- a connection in doubt ---- */

void http_call_doubt(const struct http_call *call, int64_t silence_ms)
{
	const struct http *http = call->http;
	size_t i;

	if (!call->shares || http->heard_ms > call->last_byte_ms ||
	    mono_ms() - call->last_byte_ms < silence_ms)
		return;
	for (i = 0; i < HTTP_SHARED; i++)
		if (http->shared[i] >= 0)
			(void)shutdown(http->shared[i], SHUT_RDWR);
}

/* ---- its life ---- */

static int64_t due_ms(const struct http_call *call)
{
	int64_t idle_ms = call->last_byte_ms + call->idle_timeout_ms;

	return call->idle_timeout_ms && idle_ms < call->deadline_ms ? idle_ms : call->deadline_ms;
}

void http_call_arm(struct http_call *call, int64_t wait_ms)
{
	struct timeval wait = mono_timeval(wait_ms);

	(void)evtimer_add(call->turn, &wait);
}

/* The deadlines are ours, not CURLOPT_TIMEOUT_MS: libcurl 7.88 does not look at it while a request
 * waits for a connection. */
static void wait_or_time_out(struct http_call *call)
{
	int64_t left_ms = due_ms(call) - mono_ms();

	if (left_ms <= 0) {
		http_call_doubt(call, 0);
		http_call_finish(call, CURLE_OPERATION_TIMEDOUT);
	} else {
		http_call_arm(call, left_ms < MAX_WAIT_MS ? left_ms : MAX_WAIT_MS);
	}
}

static void begin(struct http_call *call)
{
	if (call->setup != CURLE_OK) {
		http_call_finish(call, call->setup);
		return;
	}
	call->stage = HTTP_RUNNING;
	(void)curl_multi_add_handle(call->http->multi, call->easy);
	wait_or_time_out(call);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct http_call *call = ctx;

	(void)fd;
	(void)what;
	if (call->stage == HTTP_QUEUED)
		begin(call);
	else if (call->stage == HTTP_DOOMED)
		http_call_free(call);
	else
		wait_or_time_out(call);
}

struct http_call *http_call_new(struct http *http, const struct http_request *req)
{
	struct http_call *call = mem_zalloc(sizeof(*call));

	assert(req->timeout_ms > 0 || req->on_data);
	call->http = http;
	call->turn = http_must(evtimer_new(http->base, on_turn, call));
	call->easy = http_must(curl_easy_init());
	call->last_byte_ms = mono_ms();
	call->deadline_ms = req->timeout_ms ? call->last_byte_ms + req->timeout_ms : INT64_MAX;
	call->idle_timeout_ms = req->idle_timeout_ms;
	call->on_data = req->on_data;
	call->on_done = req->on_done;
	call->ctx = req->ctx;
	buf_init(&call->body, req->max_body);
	set_callbacks(call);
	http_call_set_up(call, req);
	return call;
}

/* Ends the transfer. What libcurl was lent is not used any more, the answer is still there. */
static void detach(struct http_call *call)
{
	DL_DELETE(call->http->calls, call);
	if (call->stage != HTTP_QUEUED)
		(void)curl_multi_remove_handle(call->http->multi, call->easy);
	curl_easy_cleanup(call->easy);
	event_free(call->turn);
	call->stage = HTTP_ENDED;
}

/* Headers may hold credentials. */
static void wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *at = list; at; at = at->next)
		explicit_bzero(at->data, strlen(at->data));
	curl_slist_free_all(list);
}

void http_call_free(struct http_call *call)
{
	if (call->stage != HTTP_ENDED)
		detach(call);
	wipe_list(call->headers);
	curl_slist_free_all(call->pins);
	curl_slist_free_all(call->connect_to);
	(void)curl_share_cleanup(call->pin_cache);
	buf_done(&call->request_body);
	buf_done(&call->body);
	free(call);
}

/* PRETRANSFER is set once the head went out, REQUEST_SIZE counts what each send took, also that of
 * a CONNECT to a proxy. */
static bool was_sent(const struct http_call *call)
{
	CURL *easy = call->easy;
	curl_off_t pretransfer_us = 0;
	long request_size = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer_us);
	(void)curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_size);
	return call->connected && (pretransfer_us > 0 || request_size > 0);
}

static enum http_fault fault_before_sent(const struct http_call *call)
{
	curl_off_t lookup_us = 0;
	long connected_port = 0; /* CONNECT_TIME is set behind the handshake only */

	(void)curl_easy_getinfo(call->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup_us);
	(void)curl_easy_getinfo(call->easy, CURLINFO_PRIMARY_PORT, &connected_port);
	if (call->resolving && lookup_us == 0)
		return HTTP_FAULT_RESOLVE;
	return connected_port > 0 ? HTTP_FAULT_TLS_TIMEOUT : HTTP_FAULT_CONNECT_TIMEOUT;
}

/* libcurl judges the name itself: OpenSSL has then found nothing, or nothing in particular. */
static enum http_fault fault_of_certificate(const struct http_call *call)
{
	long verdict = X509_V_OK;

	(void)curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	switch (verdict) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:
		return HTTP_FAULT_TLS_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return HTTP_FAULT_TLS_EXPIRED;
	default:
		return HTTP_FAULT_TLS_UNTRUSTED;
	}
}

static enum http_fault fault_of(const struct http_call *call, CURLcode code, bool sent)
{
	long proxy_status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
	if (call->fault != HTTP_OK)
		return call->fault;
	if (proxy_status >= 300)
		return HTTP_FAULT_PROXY;
	if (code == CURLE_OPERATION_TIMEDOUT && !sent)
		return fault_before_sent(call);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return fault_of_certificate(call);
	/* HTTP/0.9: bytes without a head. */
	if (code == CURLE_UNSUPPORTED_PROTOCOL && sent)
		return HTTP_FAULT_NOT_HTTP;
	return http_fault_of(code);
}

void http_call_finish(struct http_call *call, CURLcode code)
{
	bool sent = was_sent(call);
	struct http_response resp = {
		.fault = fault_of(call, code, sent),
		.sent = sent,
		.status = status_of(call),
		.body = buf_str(&call->body),
		.body_len = call->body.len,
		.retry_after_s =
			http_retry_after_s(call->head.retry_after, mono_wall_us() / 1000000),
	};

	(void)snprintf(resp.detail, sizeof(resp.detail), "%.127s",
		       call->error[0]	  ? call->error
		       : code != CURLE_OK ? curl_easy_strerror(code)
					  : "");
	detach(call);
	if (call->on_done)
		call->on_done(call->ctx, &resp);
	http_call_free(call);
}
