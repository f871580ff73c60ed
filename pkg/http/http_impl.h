/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_IMPL_H
#define HTTP_IMPL_H

/* Shared by the files of pkg/http: http.c drives libcurl, http_call.c is the life of one request,
 * http_setup.c its options, http_head.c what matters of an answer's head, http_fault.c the names of
 * what failed, http_proxy.c the way to a server; http_pem.c is apart. */

#include <curl/curl.h>

#include "base/buf.h"
#include "http/http.h"

/* Free what curl_url() and curl_url_get() have made: CLEANUP(http_url_freep) CURLU *url = ... */
static inline void http_url_freep(CURLU **url)
{
	curl_url_cleanup(*url);
}

static inline void http_text_freep(char **text)
{
	curl_free(*text);
}

#define HTTP_MAX_HEAD 65536 /* all header lines of an answer, 1xx and trailers included */

/* ---- the head of an answer ---- */

struct http_head {
	size_t bytes;
	char retry_after[64];
};

/* Takes one line as libcurl passes it, CRLF included. -1 when the head has grown too large. */
int http_head_line(struct http_head *head, const char *line, size_t len) MUST_CHECK;

/* Seconds until the time that a Retry-After value means (RFC 9110 section 10.2.3), 0..3600; -1 when
 * it means nothing. now_s: seconds since 1970. */
int http_retry_after_s(const char *value, int64_t now_s);

/* ---- faults ---- */

enum http_fault http_fault_of(CURLcode code);

/* ---- one request ---- */

enum http_stage {
	HTTP_QUEUED,  /* libcurl has not seen it yet */
	HTTP_RUNNING, /* in the multi handle */
	HTTP_DOOMED,  /* cancelled from inside libcurl, which must return before it is freed */
	HTTP_ENDED,   /* out of libcurl; the owner is being told */
};

#define HTTP_SHARED 8

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; /* when libcurl wants to be called again */
	struct http_call *calls;
	char *user_agent;
	bool http1;
	bool no_proxy;
	bool in_curl; /* libcurl is on the stack: it must not be entered again */
	/* Of the connections that HTTP/2 calls share: their sockets, -1 = free place, and when a
	 * byte last came. */
	int shared[HTTP_SHARED];
	int64_t heard_ms;
};

struct http_call {
	struct http *http;
	struct http_call *prev, *next;
	enum http_stage stage;
	struct event *turn; /* the start, then the deadlines, of this call */
	CURL *easy;
	CURLcode setup;	       /* the first option that libcurl refused */
	bool shares;	       /* its connection with other calls */
	bool resolving;	       /* a name had to be looked up */
	bool connected;	       /* all the way to the server */
	enum http_fault fault; /* why we ended it ourselves */

	struct curl_slist *headers;
	struct curl_slist *pins;
	struct curl_slist *connect_to;
	CURLSH *pin_cache;
	struct buf request_body;

	int64_t deadline_ms; /* INT64_MAX: none */
	int64_t idle_timeout_ms;
	int64_t last_byte_ms;

	struct http_head head;
	struct buf body;
	char error[CURL_ERROR_SIZE];

	http_data_fn *on_data;
	http_done_fn *on_done;
	void *ctx;
};

/* The options of libcurl; one that it refuses is kept in call->setup. */
void http_call_set_up(struct http_call *call, const struct http_request *req);

struct http_call *http_call_new(struct http *http, const struct http_request *req) RETURNS_NONNULL;
void http_call_free(struct http_call *call);
/* Tells the owner, unless on_done is NULL, and frees the call. */
void http_call_finish(struct http_call *call, CURLcode code);
/* The call is given up: is it because the connection is dead, though the network does not say so (a
 * proxy or a paused server acknowledges still)? When nobody has heard a byte since this call did,
 * or began, and that is at least silence_ms ago, the shared connections are ended. Whoever uses
 * them learns it at once, and the next call gets a new one; libcurl would use the old for ever. */
void http_call_doubt(const struct http_call *call, int64_t silence_ms);
/* Has the call's event run after wait_ms. */
void http_call_arm(struct http_call *call, int64_t wait_ms);

/* p, or the end of the process when a library could not allocate it. */
void *http_must(void *p) RETURNS_NONNULL;

#endif
