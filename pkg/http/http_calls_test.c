/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "base/mono.h"
#include "http/http_test_world.h"

/* ---- streams ---- */

struct stream {
	struct world *w;
	struct http_call *call;
	struct http_call *victim;
	char text[256];
	int chunks;
	int refuse_at; /* the chunk that is refused; 0: none */
	int cancel_at; /* the chunk at which the calls are cancelled */
};

static int take_chunk(void *ctx, const char *data, size_t len)
{
	struct stream *s = ctx;

	(void)snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%.*s",
		       (int)len, data);
	s->chunks++;
	if (s->chunks == s->cancel_at) {
		http_cancel(s->victim);
		http_cancel(s->call);
	}
	return s->chunks == s->refuse_at;
}

static void end_stream(void *ctx, const struct http_response *resp)
{
	struct stream *s = ctx;

	outcome_note(&s->w->out, resp);
}

static struct http_request get_stream(struct stream *s)
{
	struct http_request req = get(s->w);

	req.timeout_ms = 0;
	req.idle_timeout_ms = 5000;
	req.on_data = take_chunk;
	req.on_done = end_stream;
	req.ctx = s;
	return req;
}

/* The server's second half waits until the first has arrived. */
static void run_in_two(struct world *w, struct stream *s, const char *second)
{
	struct bufferevent **conn;

	w->peer.serve = serve_nothing;
	run_until(w->base, &w->peer.requests, 1);
	conn = &w->peer.conns[0];
	peer_say(*conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none,\r\n");
	run_until(w->base, &s->chunks, 1);
	peer_say(*conn, second);
}

static void test_stream(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w};
	struct http_request req = get_stream(&s);

	(void)http_start(w->http, &req);
	run_in_two(w, &s, "3\r\ntwo\r\n0\r\n\r\n");
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
	assert_string_equal(s.text, "one,two");
	assert_int_equal(s.chunks, 2);
	assert_string_equal(w->out.body, "");
}

static void test_stream_refused(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w, .refuse_at = 2};
	struct http_request req = get_stream(&s);

	(void)http_start(w->http, &req);
	run_in_two(w, &s, "3\r\ntwo\r\n");
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_FAULT_OTHER);
	assert_int_equal(w->out.resp.status, 200);
}

static void test_stream_error_body(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w};
	struct http_request req = get_stream(&s);

	w->peer.reply = "HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone";
	(void)http_start(w->http, &req);
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
	assert_int_equal(w->out.resp.status, 410);
	assert_string_equal(w->out.body, "gone");
	assert_int_equal(s.chunks, 0);
}

static void test_stream_idle(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w};
	struct http_request req = get_stream(&s);

	req.idle_timeout_ms = 100;
	(void)http_start(w->http, &req);
	run_in_two(w, &s, "3\r\ntwo\r\n");
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_FAULT_TIMEOUT);
	assert_true(w->out.resp.sent);
	assert_string_equal(s.text, "one,two");
}

/* Not HTTP/2, but the same rule: the peer speaks HTTP/1.1 only. */

static void run_past_now(struct world *w)
{
	const int64_t now_ms = mono_ms();

	while (mono_ms() == now_ms)
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* Begins a stream that is heard twice, then a request that nobody answers. */
static void begin_silence(struct world *w, struct stream *s, struct outcome *silent)
{
	struct http_request req = get_stream(s);

	s->call = http_start(w->http, &req);
	run_in_two(w, s, "3\r\ntwo\r\n");
	run_until(w->base, &s->chunks, 2);
	run_past_now(w);
	req = get(w);
	req.timeout_ms = 200;
	req.ctx = silent;
	(void)http_start(w->http, &req);
	run_until(w->base, &w->peer.requests, 2);
	run_past_now(w);
}

static void test_silence_ends_what_is_shared(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w};
	struct outcome silent = {0};
	struct http_request req;

	begin_silence(w, &s, &silent);
	run_until(w->base, &silent.done, 1);
	assert_int_equal(silent.resp.fault, HTTP_FAULT_TIMEOUT);
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_FAULT_CLOSED);
	w->peer.serve = NULL;
	w->peer.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	req = get(w);
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
}

static void test_silence_of_one_answer_ends_nothing_that_is_heard(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w};
	struct outcome silent = {0};

	begin_silence(w, &s, &silent);
	peer_say(w->peer.conns[0], "5\r\nthree\r\n");
	run_until(w->base, &s.chunks, 3);
	run_until(w->base, &silent.done, 1);
	assert_int_equal(silent.resp.fault, HTTP_FAULT_TIMEOUT);
	peer_say(w->peer.conns[0], "0\r\n\r\n");
	run_until(w->base, &w->out.done, 1);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
}

static void test_cancel_inside_stream(void **state)
{
	struct world *w = *state;
	struct stream s = {.w = w, .cancel_at = 2};
	struct http_request req = get_stream(&s);
	struct http_request victim = get(w);

	s.call = http_start(w->http, &req);
	s.victim = http_start(w->http, &victim);
	run_in_two(w, &s, "3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
	run_until(w->base, &s.chunks, 2);
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	assert_string_equal(s.text, "one,two");
	assert_int_equal(w->out.done, 0);
}

/* ---- many calls ---- */

static void test_twenty_at_once(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	for (int i = 0; i < 20; i++)
		(void)http_start(w->http, &req);
	run_until(w->base, &w->out.done, 20);
	assert_int_equal(w->peer.requests, 20);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
}

static void test_connections_are_reused(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(w->peer.accepted, 1);
	req.fresh_connection = true;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(w->peer.accepted, 2);
}

static void test_max_connections(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	use_options(w,
		    &(struct http_options){.user_agent = "x", .http1 = true, .max_connections = 1});
	for (int i = 0; i < 3; i++)
		(void)http_start(w->http, &req);
	run_until(w->base, &w->out.done, 3);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
	assert_int_equal(w->peer.accepted, 1);
	assert_int_equal(w->peer.requests, 3);
}

static void test_deadline_in_the_queue(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	use_options(w, &(struct http_options){.user_agent = "x", .max_connections = 1});
	w->peer.serve = serve_nothing;
	(void)http_start(w->http, &req);
	run_until(w->base, &w->peer.requests, 1);
	req.timeout_ms = 50;
	assert_fault(w, &req, HTTP_FAULT_CONNECT_TIMEOUT, false);
}

struct chain {
	struct world *w;
	struct http_call *others[3];
	int left;
};

static void start_next(void *ctx, const struct http_response *resp)
{
	struct chain *c = ctx;
	struct http_request req = get(c->w);

	for (size_t i = 0; i < ARRAY_LEN(c->others); i++)
		http_cancel(c->others[i]);
	memset(c->others, 0, sizeof(c->others));
	outcome_note(&c->w->out, resp);
	req.on_done = start_next;
	req.ctx = c;
	if (c->left-- > 0)
		(void)http_start(c->w->http, &req);
}

static void never_done(void *ctx, const struct http_response *resp)
{
	(void)ctx;
	(void)resp;
	fail();
}

static void test_handler_starts_and_cancels(void **state)
{
	struct world *w = *state;
	struct chain c = {.w = w, .left = 2};
	struct http_request req = get(w);

	req.on_done = start_next;
	req.ctx = &c;
	(void)http_start(w->http, &req);
	req.on_done = never_done;
	for (size_t i = 0; i < ARRAY_LEN(c.others); i++)
		c.others[i] = http_start(w->http, &req);
	run_until(w->base, &w->out.done, 3);
	assert_int_equal(w->out.resp.fault, HTTP_OK);
}

static void cancel_itself(void *ctx, const struct http_response *resp)
{
	struct chain *c = ctx;

	outcome_note(&c->w->out, resp);
	http_cancel(c->others[0]);
}

static void test_cancel_of_an_ended_call(void **state)
{
	struct world *w = *state;
	struct chain c = {.w = w};
	struct http_request req = get(w);

	req.on_done = cancel_itself;
	req.ctx = &c;
	c.others[0] = http_start(w->http, &req);
	run_until(w->base, &w->out.done, 1);
	http_cancel(NULL);
}

static void test_free_with_calls(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.serve = serve_nothing;
	req.on_done = never_done;
	(void)http_start(w->http, &req);
	run_until(w->base, &w->peer.requests, 1);
	(void)http_start(w->http, &req); /* libcurl has not seen this one */
	http_free(w->http);
	w->http = NULL;
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	http_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_stream),
		CASE(test_stream_refused),
		CASE(test_stream_error_body),
		CASE(test_stream_idle),
		CASE(test_silence_ends_what_is_shared),
		CASE(test_silence_of_one_answer_ends_nothing_that_is_heard),
		CASE(test_cancel_inside_stream),
		CASE(test_twenty_at_once),
		CASE(test_connections_are_reused),
		CASE(test_max_connections),
		CASE(test_deadline_in_the_queue),
		CASE(test_handler_starts_and_cancels),
		CASE(test_cancel_of_an_ended_call),
		CASE(test_free_with_calls),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
