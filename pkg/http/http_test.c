/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "http/http_test_world.h"

#define OK_REPLY(body_len, body) "HTTP/1.1 200 OK\r\nContent-Length: " body_len "\r\n\r\n" body

/* ---- answers ---- */

static void test_get(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	const struct http_response *resp;

	w->peer.reply = "HTTP/1.1 201 Created\r\nContent-Type: text/plain \r\nLocation: /there\r\n"
			"Retry-After: 7\r\nContent-Length: 5\r\n\r\nhello";
	req.headers[0] = "Authorization: Bearer x";
	resp = exchange(w, &req);
	assert_int_equal(resp->fault, HTTP_OK);
	assert_int_equal(resp->status, 201);
	assert_int_equal(resp->body_len, 5);
	assert_string_equal(w->out.body, "hello");
	assert_int_equal(resp->retry_after_s, 7);
	assert_true(resp->sent);
	assert_ptr_equal(strstr(w->peer.head, "GET /path?q=1 HTTP/1.1\r\n"), w->peer.head);
	assert_non_null(strstr(w->peer.head, "\r\nUser-Agent: test/1\r\n"));
	assert_non_null(strstr(w->peer.head, "\r\nAuthorization: Bearer x\r\n"));
}

static void test_empty_answer(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	const struct http_response *resp = exchange(w, &req);

	assert_int_equal(resp->fault, HTTP_OK);
	assert_int_equal(resp->status, 200);
	assert_string_equal(w->out.body, "");
	assert_int_equal(resp->retry_after_s, -1);
}

static void test_body_is_sent(void **state)
{
	static const size_t big = 1500000; /* where libcurl would ask for a 100-continue */
	struct world *w = *state;
	CLEANUP(mem_freep) char *body = mem_zalloc(big);
	struct http_request req = get(w);

	req.method = "PUT";
	req.body = body;
	req.body_len = big;
	req.headers[0] = "Content-Type: application/json";
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_ptr_equal(strstr(w->peer.head, "PUT /"), w->peer.head);
	assert_non_null(strstr(w->peer.head, "\r\nContent-Length: 1500000\r\n"));
	assert_non_null(strstr(w->peer.head, "\r\nContent-Type: application/json\r\n"));
	assert_null(strstr(w->peer.head, "Expect"));
}

static void test_methods_without_body(void **state)
{
	static const struct {
		const char *method;
		bool has_length;
	} cases[] = {
		{"POST", true}, {"PUT", true}, {"PATCH", true}, {"DELETE", false}, {"HEAD", false}};
	struct world *w = *state;
	struct http_request req = get(w);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		req.method = cases[i].method;
		assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
		assert_ptr_equal(strstr(w->peer.head, req.method), w->peer.head);
		assert_int_equal(strstr(w->peer.head, "Content-Length: 0") != NULL,
				 cases[i].has_length);
		assert_null(strstr(w->peer.head, "Content-Type"));
	}
}

static void test_retry_after(void **state)
{
	static const struct {
		const char *value;
		int seconds;
	} cases[] = {
		{"0", 0},
		{"3599", 3599},
		{"3601", 3600},
		{"99999999999999999999", 3600},
		{"12x", -1},
		{"-1", -1},
		{"", -1},
		{"soon", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 0},
		{"Fri, 01 Jan 2100 00:00:00 GMT", 3600},
	};
	struct world *w = *state;
	struct http_request req = get(w);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep)
		char *reply = mem_printf("HTTP/1.1 429 Too Many\r\nRetry-After: %s\r\n"
					 "Content-Length: 0\r\n\r\n",
					 cases[i].value);

		w->peer.reply = reply;
		assert_int_equal(exchange(w, &req)->retry_after_s, cases[i].seconds);
	}
}

static void test_interim_answer(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.reply = "HTTP/1.1 103 Early\r\nRetry-After: 7\r\n\r\n" OK_REPLY("2", "ok");
	assert_int_equal(exchange(w, &req)->status, 200);
	assert_int_equal(w->out.resp.retry_after_s, -1);
	assert_string_equal(w->out.body, "ok");
}

static void test_redirect_is_an_answer(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.reply = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
			"Content-Length: 0\r\n\r\n";
	assert_int_equal(exchange(w, &req)->status, 302);
	assert_int_equal(w->peer.requests, 1);
}

static void test_overlong_header_value(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	CLEANUP(mem_freep)
	char *reply = mem_printf(
		"HTTP/1.1 200 OK\r\nRetry-After: %0200d\r\nContent-Length: 0\r\n\r\n", 7);

	w->peer.reply = reply;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(w->out.resp.retry_after_s, -1);
}

static void test_body_cap(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.reply = OK_REPLY("10", "0123456789");
	req.max_body = 10;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_string_equal(w->out.body, "0123456789");
	req.max_body = 9;
	assert_fault(w, &req, HTTP_FAULT_TOO_LARGE, true);
	assert_int_equal(w->out.resp.status, 200);
}

static void test_head_cap(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	CLEANUP(mem_freep)
	char *reply = mem_printf("HTTP/1.1 200 OK\r\nA: %030000d\r\nB: %030000d\r\nC: %06000d\r\n"
				 "Content-Length: 0\r\n\r\n",
				 0, 0, 0);

	w->peer.reply = reply;
	assert_fault(w, &req, HTTP_FAULT_TOO_LARGE, true);
}

/* ---- faults ---- */

static void test_refused_input(void **state)
{
	static const char *const urls[] = {"",
					   "not a url",
					   "ftp://127.0.0.1/",
					   "file:///etc/passwd",
					   "http://user:pass@127.0.0.1/",
					   "http://127.0.0.1:99999/"};
	struct world *w = *state;
	struct http_request req = get(w);

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		req.url = urls[i];
		assert_fault(w, &req, HTTP_FAULT_OTHER, false);
	}
	req = get(w);
	req.headers[0] = "X: a\r\nY: b";
	assert_fault(w, &req, HTTP_FAULT_OTHER, false);
	req = get(w);
	req.method = "GET / HTTP/1.1\r\nX:";
	assert_fault(w, &req, HTTP_FAULT_OTHER, false);
	req = get(w);
	req.pin = "127.0.0.1:nonsense";
	assert_fault(w, &req, HTTP_FAULT_OTHER, false);
	assert_int_equal(w->peer.accepted, 0);
}

static void test_refused_port(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	peer_done(&w->peer);
	assert_fault(w, &req, HTTP_FAULT_CONNECT, false);
	assert_int_equal(w->out.resp.status, 0);
}

static void test_name_not_resolved(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	/* A label of 64 letters fails without asking anybody. */
	req.url = "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test/";
	assert_fault(w, &req, HTTP_FAULT_RESOLVE, false);
}

static void serve_reset(struct peer *peer, struct bufferevent *conn)
{
	peer_reset(peer, conn);
}

static void serve_close(struct peer *peer, struct bufferevent *conn)
{
	peer_drop(peer, conn);
}

static void serve_truncated(struct peer *peer, struct bufferevent *conn)
{
	peer_say_and_close(peer, conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
}

static void test_closed(void **state)
{
	static peer_serve_fn *const scripts[] = {serve_reset, serve_close, serve_truncated};
	struct world *w = *state;
	struct http_request req = get(w);

	req.fresh_connection = true;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		w->peer.serve = scripts[i];
		assert_fault(w, &req, HTTP_FAULT_CLOSED, true);
	}
	assert_int_equal(w->peer.requests, ARRAY_LEN(scripts));
}

static void test_silent_server(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.serve = serve_nothing;
	req.timeout_ms = 100;
	assert_fault(w, &req, HTTP_FAULT_TIMEOUT, true);
	assert_int_equal(w->peer.requests, 1);
}

static void greet_and_close(struct peer *peer, struct bufferevent *conn)
{
	peer_say_and_close(peer, conn, peer->reply);
}

static void test_server_without_http(void **state)
{
	static const char *const greetings[] = {
		"SSH-2.0-OpenSSH_9.2\r\n",
		"220 mail.test ESMTP\r\n",
		"HTTP/9.9 200 OK\r\n\r\n",
	};
	struct world *w = *state;
	struct http_request req = get(w);

	w->peer.serve = greet_and_close;
	for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
		w->peer.reply = greetings[i];
		assert_fault(w, &req, HTTP_FAULT_NOT_HTTP, true);
	}
}

/* A socket whose queue of connections is full: the kernel ignores further ones. */
static int listen_full(struct sockaddr_in *addr, int fillers[static 4])
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)addr, len), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	for (size_t i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (struct sockaddr *)addr, len);
	}
	return fd;
}

static void test_connect_timeout(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	struct sockaddr_in addr;
	int fillers[4];
	int fd = listen_full(&addr, fillers);

	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d/", ntohs(addr.sin_port));
	req.connect_timeout_ms = 50;
	assert_fault(w, &req, HTTP_FAULT_CONNECT_TIMEOUT, false);
	req.connect_timeout_ms = 0;
	req.timeout_ms = 50;
	assert_fault(w, &req, HTTP_FAULT_CONNECT_TIMEOUT, false);
	for (size_t i = 0; i < 4; i++)
		(void)close(fillers[i]);
	(void)close(fd);
}

/* ---- where a request goes ---- */

static void test_pins_do_not_leak(void **state)
{
	struct world *w = *state;
	struct peer other;
	struct http_request req = get(w);
	char first[64];
	char second[64];

	assert_true(peer_listen(&other, w->base, "127.0.0.2", w->peer.port));
	(void)snprintf(w->url, sizeof(w->url), "http://localhost:%d/", w->peer.port);
	(void)snprintf(first, sizeof(first), "localhost:%d:127.0.0.1", w->peer.port);
	(void)snprintf(second, sizeof(second), "localhost:%d:127.0.0.2", w->peer.port);
	for (int i = 0; i < 2; i++) {
		req.pin = first;
		(void)http_start(w->http, &req);
		req.pin = second;
		(void)http_start(w->http, &req);
	}
	run_until(w->base, &w->out.done, 4);
	assert_int_equal(w->peer.requests, 2);
	assert_int_equal(other.requests, 2);
	assert_int_equal(w->peer.accepted + other.accepted, 4);

	req.pin = NULL;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(w->peer.requests, 3);
	req.pin = second;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(other.requests, 3);
	peer_done(&other);
}

static void test_pin_of_several(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);
	char pin[96];

	(void)snprintf(w->url, sizeof(w->url), "http://name.test:%d/", w->peer.port);
	(void)snprintf(pin, sizeof(pin), "name.test:%d:127.0.0.3,127.0.0.1", w->peer.port);
	req.pin = pin;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(w->peer.requests, 1);
}

static void test_pin_for_another_host(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	(void)snprintf(w->url, sizeof(w->url), "http://localhost:%d/", w->peer.port);
	req.pin = "localhost:1:127.0.0.1";
	assert_fault(w, &req, HTTP_FAULT_RESOLVE, false);
	req.pin = "other.test:80:127.0.0.1";
	assert_fault(w, &req, HTTP_FAULT_RESOLVE, false);
	assert_int_equal(w->peer.accepted, 0);
}

static void test_ipv6_literal(void **state)
{
	struct world *w = *state;
	struct peer peer;
	struct http_request req = get(w);

	if (!peer_listen(&peer, w->base, "::1", 0))
		skip();
	(void)snprintf(w->url, sizeof(w->url), "http://[::1]:%d/", peer.port);
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_int_equal(peer.requests, 1);
	peer_done(&peer);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_get),
		CASE(test_empty_answer),
		CASE(test_body_is_sent),
		CASE(test_methods_without_body),
		CASE(test_retry_after),
		CASE(test_interim_answer),
		CASE(test_redirect_is_an_answer),
		CASE(test_overlong_header_value),
		CASE(test_body_cap),
		CASE(test_head_cap),
		CASE(test_refused_input),
		CASE(test_refused_port),
		CASE(test_name_not_resolved),
		CASE(test_closed),
		CASE(test_silent_server),
		CASE(test_server_without_http),
		CASE(test_connect_timeout),
		CASE(test_pins_do_not_leak),
		CASE(test_pin_of_several),
		CASE(test_pin_for_another_host),
		CASE(test_ipv6_literal),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
