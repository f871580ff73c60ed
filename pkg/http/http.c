/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/mono.h"
#include "http/http_impl.h"

#define SILENCE_MS 30000 /* of a call that is cancelled: then it is why, as likely as not */

void *http_must(void *p)
{
	assert(p);
	return p;
}

/* Owners are told outside libcurl, so that they may start and cancel calls as they like. All
 * messages are read each time, since libcurl does not announce one twice. */
static void finish_completed(struct http *http)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(http->multi, &left))) {
		CURLcode code = msg->data.result;
		struct http_call *call = NULL;

		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		http_call_finish(call, code);
	}
}

static void drive(struct http *http, curl_socket_t fd, int mask)
{
	int running;

	http->in_curl = true;
	(void)curl_multi_socket_action(http->multi, fd, mask, &running);
	http->in_curl = false;
	finish_completed(http);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	drive(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
	int mask =
		(what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	drive(ctx, fd, mask);
}

static int want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http *http = ctx;
	struct timeval wait = mono_timeval(timeout_ms);

	(void)multi;
	if (timeout_ms < 0)
		(void)evtimer_del(http->timer);
	else
		(void)evtimer_add(http->timer, &wait);
	return 0;
}

/* per_socket is the event of an earlier call for the same socket, or NULL. */
static int want_socket(CURL *easy, curl_socket_t fd, int want, void *ctx, void *per_socket)
{
	struct http *http = ctx;
	struct event *event = per_socket;
	short what = EV_PERSIST;

	(void)easy;
	if (event)
		event_free(event);
	event = NULL;
	if (want & CURL_POLL_IN)
		what |= EV_READ;
	if (want & CURL_POLL_OUT)
		what |= EV_WRITE;
	if (want != CURL_POLL_REMOVE) {
		event = http_must(event_new(http->base, fd, what, on_socket, http));
		(void)event_add(event, NULL);
	}
	(void)curl_multi_assign(http->multi, fd, event);
	return 0;
}

struct http *http_new(struct event_base *base, const struct http_options *options)
{
	struct http *http = mem_zalloc(sizeof(*http));

	memset(http->shared, -1, sizeof(http->shared));
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	http->base = base;
	http->user_agent = mem_strdup(options->user_agent);
	http->http1 = options->http1;
	http->no_proxy = options->no_proxy;
	http->timer = http_must(evtimer_new(base, on_timer, http));
	http->multi = http_must(curl_multi_init());
	(void)curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	(void)curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	(void)curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	(void)curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	(void)curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
				(long)options->max_connections);
	return http;
}

void http_free(struct http *http)
{
	struct http_call *call, *next;

	if (!http)
		return;
	assert(!http->in_curl);
	DL_FOREACH_SAFE(http->calls, call, next)
		http_call_free(call);
	(void)curl_multi_cleanup(http->multi);
	event_free(http->timer);
	free(http->user_agent);
	free(http);
	curl_global_cleanup();
}

struct http_call *http_start(struct http *http, const struct http_request *req)
{
	struct http_call *call = http_call_new(http, req);

	DL_APPEND(http->calls, call);
	http_call_arm(call, 0);
	return call;
}

void http_cancel(struct http_call *call)
{
	if (!call || call->stage == HTTP_ENDED)
		return;
	http_call_doubt(call, SILENCE_MS);
	if (!call->http->in_curl) {
		http_call_free(call);
		return;
	}
	call->stage = HTTP_DOOMED;
	call->on_done = NULL;
	http_call_arm(call, 0);
}
