/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_peer.h"

#include "jv/jv.h"

/* ---- framing ---- */

/* Documents as they come, each with a '|' behind it. */
struct docs {
	struct buf text;
	int stop_at; /* the document that ends the feeding; 0: none */
	int seen;
};

static int note_doc(void *ctx, const char *text, size_t len)
{
	struct docs *docs = ctx;

	assert_int_equal(strlen(text), len);
	assert_int_equal(buf_addf(&docs->text, "%s|", text), 0);
	return ++docs->seen == docs->stop_at ? 7 : 0;
}

static int feed(struct kube_split *split, const char *data, size_t len)
{
	struct err err = {0};
	int ret = kube_split_feed(split, data, len, &err);

	assert_int_equal(err.kind, ret == -1 ? ERR_TRANSIENT : ERR_NONE);
	return ret;
}

static const char stream[] =
	"{\"a\":{\"b\":[1,{}]}}\n{\"}\":\"{\\\"}\\\\\"} \t\r\n{}{\"c\":\"\\\\\\\"\"}";
static const char framed[] =
	"{\"a\":{\"b\":[1,{}]}}|{\"}\":\"{\\\"}\\\\\"}|{}|{\"c\":\"\\\\\\\"\"}|";

static void test_split_at_every_byte(void **state)
{
	size_t len = strlen(stream);

	(void)state;
	for (size_t i = 0; i <= len; i++) {
		for (size_t j = i; j <= len; j++) {
			CLEANUP(kube_split_done) struct kube_split split;
			struct docs docs = {.text = BUF_INIT(4096)};

			kube_split_init(&split, 100, note_doc, &docs);
			assert_int_equal(feed(&split, stream, i), 0);
			assert_int_equal(feed(&split, stream + i, j - i), 0);
			assert_int_equal(feed(&split, stream + j, len - j), 0);
			assert_string_equal(buf_str(&docs.text), framed);
			assert_int_equal(split.depth, 0);
			buf_done(&docs.text);
		}
	}
}

static void test_one_byte_at_a_time(void **state)
{
	CLEANUP(kube_split_done) struct kube_split split;
	struct docs docs = {.text = BUF_INIT(4096)};

	(void)state;
	kube_split_init(&split, 100, note_doc, &docs);
	for (size_t i = 0; i < strlen(stream); i++)
		assert_int_equal(feed(&split, stream + i, 1), 0);
	assert_string_equal(buf_str(&docs.text), framed);
	buf_done(&docs.text);
}

static void test_split_refuses(void **state)
{
	static const char *const cases[] = {"[]", "1", "\"a\"", "{}x", "{}}", "}", "{},{}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(kube_split_done) struct kube_split split;
		struct docs docs = {.text = BUF_INIT(4096)};

		kube_split_init(&split, 100, note_doc, &docs);
		assert_int_equal(feed(&split, cases[i], strlen(cases[i])), -1);
		buf_done(&docs.text);
	}
}

static void test_split_refuses_nul(void **state)
{
	CLEANUP(kube_split_done) struct kube_split split;
	struct docs docs = {.text = BUF_INIT(4096)};

	(void)state;
	kube_split_init(&split, 100, note_doc, &docs);
	assert_int_equal(feed(&split, "\0{}", 3), -1);
}

static void test_split_cap(void **state)
{
	static const char exact[] = "{\"a\":12345}";
	struct docs docs = {.text = BUF_INIT(4096)};

	(void)state;
	for (size_t max = sizeof(exact) - 2; max <= sizeof(exact) - 1; max++) {
		CLEANUP(kube_split_done) struct kube_split whole;
		CLEANUP(kube_split_done) struct kube_split torn;
		int expected = max < sizeof(exact) - 1 ? -1 : 0;

		kube_split_init(&whole, max, note_doc, &docs);
		kube_split_init(&torn, max, note_doc, &docs);
		assert_int_equal(feed(&whole, exact, sizeof(exact) - 1), expected);
		assert_int_equal(feed(&torn, exact, 5), 0);
		assert_int_equal(feed(&torn, exact + 5, sizeof(exact) - 6), expected);
	}
	buf_done(&docs.text);
}

static void test_split_stops(void **state)
{
	CLEANUP(kube_split_done) struct kube_split split;
	struct docs docs = {.text = BUF_INIT(4096), .stop_at = 2};

	(void)state;
	kube_split_init(&split, 100, note_doc, &docs);
	assert_int_equal(feed(&split, "{}{}{}", 6), 7);
	assert_string_equal(buf_str(&docs.text), "{}|{}|");
	buf_done(&docs.text);
}

/* ---- watches ---- */

static const struct kube_resource secrets = {"", "v1", "secrets"};

static const char stream_head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/* What a watch told, as "TYPE name;" for each event, and its end. */
struct seen {
	struct buf events;
	size_t object_len;
	bool any, ended;
	struct err err;
	struct kube_watch *watch;
	bool stop;	   /* from inside the next event ... */
	struct peer *peer; /* ... and there begin another watch */
	struct seen *next;
};

static void watch(struct peer *peer, struct seen *seen);

static void on_event(void *ctx, const char *type, json_t *object)
{
	struct seen *seen = ctx;

	assert_int_equal(buf_addf(&seen->events, "%s %s;", type, jv_str(object, "metadata.name")),
			 0);
	seen->object_len = strlen(jv_str(object, "data"));
	seen->any = true;
	if (seen->stop)
		kube_watch_stop(TAKE(seen->watch));
	if (seen->next)
		watch(seen->peer, seen->next);
}

static void on_end(void *ctx, const struct err *err)
{
	struct seen *seen = ctx;

	assert_false(seen->ended);
	seen->ended = true;
	seen->err = err ? *err : (struct err){0};
}

static void seen_donep(struct seen *seen)
{
	buf_done(&seen->events);
}

#define SEEN_INIT                                                                                  \
	{                                                                                          \
		.events = BUF_INIT(4096)                                                           \
	}

static void watch(struct peer *peer, struct seen *seen)
{
	const struct kube_watch_request req = {
		.resource = &secrets,
		.namespace = "ns",
		.resource_version = "42",
		.selector = "app=x,b in (c)",
		.timeout_s = 20,
		.on_event = on_event,
		.on_end = on_end,
		.ctx = seen,
	};

	seen->watch = kube_watch_start(peer->kube, &req);
	assert_false(seen->any || seen->ended);
}

static void peer_send(struct peer *peer, const char *text)
{
	(void)bufferevent_write(peer->conns[peer->conns_len - 1], text, strlen(text));
}

static void peer_chunk(struct peer *peer, const char *text)
{
	CLEANUP(mem_freep) char *chunk = mem_printf("%zx\r\n%s\r\n", strlen(text), text);

	peer_send(peer, chunk);
}

static void run_until_events(struct peer *peer, const struct seen *seen, const char *events)
{
	while (strcmp(buf_str(&seen->events), events) != 0)
		(void)event_base_loop(peer->base, EVLOOP_ONCE);
}

static void peer_end_stream(struct peer *peer)
{
	peer_send(peer, "0\r\n\r\n");
}

/* A watch whose stream is open and waits for events. */
static void open_watch(struct peer *peer, struct seen *seen)
{
	peer_answer_raw(peer, stream_head);
	watch(peer, seen);
	while (!peer->answered)
		(void)event_base_loop(peer->base, EVLOOP_ONCE);
}

#define EVENT(type, name)                                                                          \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name "\"}}}"

static void test_events(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

	open_watch(peer, &seen);
	peer_chunk(peer, EVENT("ADDED", "a") "\n" EVENT("MODIFIED", "b") "{\"type\":\"DEL");
	run_until_events(peer, &seen, "ADDED a;MODIFIED b;");
	peer_chunk(peer,
		   "ETED\",\"object\":{\"metadata\":{\"name\":\"c\"}}}" EVENT("BOOKMARK", ""));
	run_until_events(peer, &seen, "ADDED a;MODIFIED b;DELETED c;BOOKMARK ;");
	peer_end_stream(peer);
	peer_run_until(peer, &seen.ended);
	assert_int_equal(seen.err.kind, ERR_NONE);
}

static void test_request(void **state)
{
	static const char line[] = "GET /api/v1/namespaces/ns/secrets?watch=1"
				   "&allowWatchBookmarks=true&timeoutSeconds=20&resourceVersion=42"
				   "&labelSelector=app%3Dx%2Cb%20in%20%28c%29 HTTP/1.1\r\n";
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

	peer_answer(peer, 200, "", "");
	watch(peer, &seen);
	peer_run_until(peer, &seen.ended);
	assert_int_equal(seen.err.kind, ERR_NONE);
	assert_ptr_equal(strstr(peer->request, line), peer->request);
	assert_non_null(strstr(peer->request, "\r\nAccept: application/json\r\n"));
}

static void test_error_event(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

	peer_answer(peer, 200, "",
		    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}");
	watch(peer, &seen);
	peer_run_until(peer, &seen.ended);
	assert_string_equal(buf_str(&seen.events), "ERROR ;");
	assert_int_equal(seen.err.kind, ERR_NONE);
}

static void test_large_event(void **state)
{
	enum { LARGE = 1500 * 1024 };
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;
	CLEANUP(mem_freep) char *data = mem_alloc(LARGE + 1);
	CLEANUP(mem_freep) char *event = NULL;

	memset(data, 'x', LARGE);
	data[LARGE] = '\0';
	event = mem_printf("{\"type\":\"ADDED\",\"object\":{\"data\":\"%s\"}}", data);
	peer_answer(peer, 200, "", event);
	watch(peer, &seen);
	peer_run_until(peer, &seen.ended);
	assert_int_equal(seen.object_len, LARGE);
}

static void test_no_events(void **state)
{
	static const char *const bodies[] = {
		EVENT("ADDED", "a") "{\"type\":\"ADDED\",\"object\":",
		EVENT("ADDED", "a") "{\"type\":\"ADDED\",\"object\":{]}}",
		EVENT("ADDED", "a") "{\"type\":\"OTHER\",\"object\":{}}",
		EVENT("ADDED", "a") "{\"type\":\"ADDED\",\"object\":[]}",
		EVENT("ADDED", "a") "{\"object\":{}}",
		EVENT("ADDED", "a") "{}",
		EVENT("ADDED", "a") "null",
	};
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

		peer_answer(peer, 200, "", bodies[i]);
		watch(peer, &seen);
		peer_run_until(peer, &seen.ended);
		assert_string_equal(buf_str(&seen.events), "ADDED a;");
		assert_int_equal(seen.err.kind, ERR_TRANSIENT);
	}
}

static void test_refusals(void **state)
{
	static const char status[] = "{\"kind\":\"Status\",\"reason\":\"Expired\"}";
	static const struct {
		int status;
		const char *headers;
		enum err_kind kind;
		int code;
	} cases[] = {
		{410, "", ERR_GONE, 410},
		{429, "Retry-After: 5\r\n", ERR_THROTTLED, 5},
		{403, "", ERR_DENIED, 403},
		{500, "", ERR_TRANSIENT, 500},
	};
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

		peer_answer(peer, cases[i].status, cases[i].headers, status);
		watch(peer, &seen);
		peer_run_until(peer, &seen.ended);
		assert_false(seen.any);
		assert_int_equal(seen.err.kind, cases[i].kind);
		assert_int_equal(seen.err.code, cases[i].code);
	}
}

static void test_connection_lost(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

	open_watch(peer, &seen);
	peer_chunk(peer, EVENT("ADDED", "a"));
	peer_run_until(peer, &seen.any);
	peer_close_last(peer);
	peer_run_until(peer, &seen.ended);
	assert_int_equal(seen.err.kind, ERR_TRANSIENT);
}

static void test_silence(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;
	const struct kube_watch_request req = {
		.resource = &secrets,
		.timeout_s = 20,
		.idle_timeout_ms = 50,
		.on_event = on_event,
		.on_end = on_end,
		.ctx = &seen,
	};

	peer_answer_raw(peer, stream_head);
	seen.watch = kube_watch_start(peer->kube, &req);
	peer_run_until(peer, &seen.ended);
	assert_int_equal(seen.err.kind, ERR_TRANSIENT);
}

/* ---- stopping ---- */

static void test_stop_from_inside(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen stopped = SEEN_INIT;
	CLEANUP(seen_donep) struct seen other = SEEN_INIT;

	stopped.stop = true;
	stopped.peer = peer;
	stopped.next = &other;
	peer_answer(peer, 200, "", EVENT("ADDED", "a") EVENT("ADDED", "b"));
	peer_answer(peer, 200, "", EVENT("ADDED", "c"));
	watch(peer, &stopped);
	peer_run_until(peer, &other.ended);
	assert_string_equal(buf_str(&stopped.events), "ADDED a;");
	assert_false(stopped.ended);
	assert_string_equal(buf_str(&other.events), "ADDED c;");
}

static void test_stop_from_outside(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen stopped = SEEN_INIT;
	CLEANUP(seen_donep) struct seen other = SEEN_INIT;

	open_watch(peer, &stopped);
	peer_chunk(peer, EVENT("ADDED", "a") "{");
	peer_run_until(peer, &stopped.any);
	kube_watch_stop(stopped.watch);
	kube_watch_stop(NULL);
	peer_answer(peer, 200, "", EVENT("ADDED", "c"));
	watch(peer, &other);
	peer_run_until(peer, &other.ended);
	assert_string_equal(buf_str(&stopped.events), "ADDED a;");
	assert_false(stopped.ended);
}

static void test_free_with_a_watch_running(void **state)
{
	struct peer *peer = *state;
	CLEANUP(seen_donep) struct seen seen = SEEN_INIT;

	open_watch(peer, &seen);
	peer_chunk(peer, EVENT("ADDED", "a") "{");
	peer_run_until(peer, &seen.any);
	kube_free(TAKE(peer->kube));
	assert_false(seen.ended);
}

int main(void)
{
#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_at_every_byte),
		cmocka_unit_test(test_one_byte_at_a_time),
		cmocka_unit_test(test_split_refuses),
		cmocka_unit_test(test_split_refuses_nul),
		cmocka_unit_test(test_split_cap),
		cmocka_unit_test(test_split_stops),
		WITH_PEER(test_events),
		WITH_PEER(test_request),
		WITH_PEER(test_error_event),
		WITH_PEER(test_large_event),
		WITH_PEER(test_no_events),
		WITH_PEER(test_refusals),
		WITH_PEER(test_connection_lost),
		WITH_PEER(test_silence),
		WITH_PEER(test_stop_from_inside),
		WITH_PEER(test_stop_from_outside),
		WITH_PEER(test_free_with_a_watch_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
