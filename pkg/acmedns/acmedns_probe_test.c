/* SPDX-License-Identifier: Apache-2.0 */

/* The probe, against a peer that is as rude as can be. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acmedns/acmedns.h"
#include "base/mem.h"
#include "http/http.h"
#include "http/http_test_peer.h"

#define USER "c36f50e8-4632-44f0-83fe-e070fef28a10"
#define SUB  "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
#define PASS "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z"

/* ---- what an answer means ---- */

static const struct row {
	struct http_response resp;
	enum acmedns_probe_verdict verdict;
	const char *message; /* the start of it */
} answers[] = {
	{{.status = 400, .body = "{\"error\": \"bad_txt\"}"},
	 ACMEDNS_PROBE_ALIVE,
	 "the server takes the credentials"},
	{{.status = 401, .body = "{\"error\": \"forbidden\"}"},
	 ACMEDNS_PROBE_REJECTED,
	 "the server does not take"},
	{{.status = 401, .body = "<html>"},
	 ACMEDNS_PROBE_REJECTED,
	 "the server, or a proxy before it, asks for other credentials"},
	{{.status = 200, .body = "{\"txt\": \"\"}"},
	 ACMEDNS_PROBE_NOT_ACMEDNS,
	 "the server takes an /update"},
	{{.status = 200, .body = "{\"error\": \"bad_txt\"}"},
	 ACMEDNS_PROBE_NOT_ACMEDNS,
	 "the server takes an /update"},
	{{.status = 201, .fault = HTTP_FAULT_CLOSED},
	 ACMEDNS_PROBE_NOT_ACMEDNS,
	 "the server takes an /update"},
	{{.status = 204}, ACMEDNS_PROBE_NOT_ACMEDNS, "the server takes an /update"},
	{{.status = 307}, ACMEDNS_PROBE_UNKNOWN, "the server redirects"},
	{{.status = 400}, ACMEDNS_PROBE_UNKNOWN, "the server refuses the request other"},
	{{.status = 400, .body = "malformed_json_payload"},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server refuses the request other"},
	{{.status = 403, .body = "forbidden"},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server, or a proxy before it, forbids"},
	{{.status = 404}, ACMEDNS_PROBE_UNKNOWN, "there is no /update"},
	{{.status = 405}, ACMEDNS_PROBE_UNKNOWN, "there is no /update"},
	{{.status = 407}, ACMEDNS_PROBE_UNKNOWN, "a proxy before the server asks"},
	{{.status = 418, .body = "bad_txt"},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server refuses the request other"},
	{{.status = 429}, ACMEDNS_PROBE_UNKNOWN, "the server asks to come back later"},
	{{.status = 500, .body = "{\"error\": \"db_error\"}"},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server reports an error"},
	{{.status = 502, .fault = HTTP_FAULT_TOO_LARGE},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server, or a proxy before it, is not"},
	{{.status = 503}, ACMEDNS_PROBE_UNKNOWN, "the server, or a proxy before it, is not"},
	{{.status = 101}, ACMEDNS_PROBE_UNKNOWN, "the answer is not one of acme-dns"},
	{{.fault = HTTP_FAULT_CONNECT}, ACMEDNS_PROBE_UNKNOWN, "the server refuses the connection"},
	{{.fault = HTTP_FAULT_TLS_EXPIRED},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server's certificate is not trusted"},
	{{.fault = HTTP_FAULT_TIMEOUT, .sent = true},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server does not answer in time"},
	{{.status = 100, .fault = HTTP_FAULT_CLOSED, .sent = true},
	 ACMEDNS_PROBE_UNKNOWN,
	 "the server closed the connection"},
};

static void test_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct http_response resp = answers[i].resp;
		struct acmedns_probe_result r;

		resp.body = resp.body ? resp.body : "";
		resp.body_len = strlen(resp.body);
		resp.retry_after_s = (int)i - 1;
		r = acmedns_probe_answer(&resp);
		if (r.verdict != answers[i].verdict ||
		    strncmp(r.message, answers[i].message, strlen(answers[i].message)) != 0)
			fail_msg("%d %s: %s", resp.status, resp.body, r.message);
		assert_true(strlen(r.message) < 160);
		assert_int_equal(r.retry_after_s, (int)i - 1);
	}
}

/* ---- asking ---- */

struct world {
	struct event_base *base;
	struct http *http;
	struct peer peer;
};

static int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));

	w->base = event_base_new();
	w->http = http_new(w->base, &(struct http_options){.user_agent = "test/1"});
	assert_true(peer_listen(&w->peer, w->base, "127.0.0.1", 0));
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	peer_done(&w->peer);
	event_base_free(w->base);
	free(w);
	return 0;
}

struct told {
	int done;
	struct acmedns_probe_result result;
};

static void note(void *ctx, const struct acmedns_probe_result *result)
{
	struct told *told = ctx;

	told->done++;
	told->result = *result;
}

struct errand {
	struct acmedns_probe probe;
	struct told told;
	char host[64];
	char pin[64];
};

/* A probe of an account at the peer, by a name that is nowhere but in the pin. */
static void errand_to(struct world *w, struct errand *errand)
{
	*errand = (struct errand){0};
	(void)snprintf(errand->host, sizeof(errand->host), "http://acme.test:%d/path",
		       w->peer.port);
	(void)snprintf(errand->pin, sizeof(errand->pin), "acme.test:%d:127.0.0.1", w->peer.port);
	errand->probe = (struct acmedns_probe){
		.host = errand->host,
		.pin = errand->pin,
		.username = USER,
		.password = PASS,
		.subdomain = SUB,
		.timeout_ms = 5000,
		.on_done = note,
		.ctx = &errand->told,
	};
}

static enum acmedns_probe_verdict ask(struct world *w, struct errand *errand)
{
	struct acmedns_probe_result refusal;

	errand->told = (struct told){0};
	if (!acmedns_probe_start(w->http, &errand->probe, &refusal)) {
		assert_true(*refusal.message);
		return refusal.verdict;
	}
	assert_int_equal(errand->told.done, 0);
	run_until(w->base, &errand->told.done, 1);
	assert_true(*errand->told.result.message);
	return errand->told.result.verdict;
}

static void test_request(void **state)
{
	struct world *w = *state;
	struct errand errand;

	errand_to(w, &errand);
	w->peer.reply = "HTTP/1.1 400 Bad Request\r\nContent-Length: 20\r\n\r\n"
			"{\"error\": \"bad_txt\"}";
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_ALIVE);
	assert_memory_equal(w->peer.head, "POST /path/update HTTP/1.1\r\n", 28);
	assert_non_null(strstr(w->peer.head, "\r\nX-Api-User: " USER "\r\n"));
	assert_non_null(strstr(w->peer.head, "\r\nX-Api-Key: " PASS "\r\n"));
	assert_non_null(strstr(w->peer.head, "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(w->peer.body, "{\"subdomain\":\"" SUB "\",\"txt\":\"\"}");
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_ALIVE);
	assert_int_equal(w->peer.accepted, 2); /* no connection is used again */
}

/* Where a proxy leads the name is not looked up here, and so not pinned. */
static void test_proxy(void **state)
{
	struct world *w = *state;
	struct errand errand;
	char proxy[64];

	errand_to(w, &errand);
	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", w->peer.port);
	errand.probe.pin = NULL;
	errand.probe.proxy = proxy;
	errand.probe.host = "http://acme.test/path";
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_NOT_ACMEDNS);
	assert_memory_equal(w->peer.head, "POST http://acme.test/path/update ", 34);
}

/* Whatever was written into the Secret: the body stays what it is. */
static void test_odd_subdomain(void **state)
{
	struct world *w = *state;
	struct errand errand;

	errand_to(w, &errand);
	errand.probe.subdomain = "a\",\"txt\":\"x\nX-Evil: 1";
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_NOT_ACMEDNS);
	assert_string_equal(w->peer.body,
			    "{\"subdomain\":\"a\\\",\\\"txt\\\":\\\"x\\nX-Evil: 1\",\"txt\":\"\"}");
}

static void test_unsupported(void **state)
{
	static const char *const values[] = {"",   " ",	    "a\nX-Evil: b", "a\r",
					     "\t", "a\x01", "a\x7f"};
	CLEANUP(mem_freep) char *longest = mem_zalloc(1026);
	struct world *w = *state;
	struct errand errand;

	memset(longest, 'x', 1025);
	for (size_t i = 0; i <= ARRAY_LEN(values); i++) {
		const char *value = i < ARRAY_LEN(values) ? values[i] : longest;

		errand_to(w, &errand);
		errand.probe.username = value;
		assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNSUPPORTED);
		errand_to(w, &errand);
		errand.probe.password = value;
		assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNSUPPORTED);
	}
	errand_to(w, &errand);
	errand.probe.subdomain = longest;
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNSUPPORTED);
	errand_to(w, &errand);
	errand.probe.host = "http://user@acme.test";
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNSUPPORTED);
	errand_to(w, &errand);
	errand.probe.subdomain = "\xff";
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNSUPPORTED);
	assert_int_equal(w->peer.accepted, 0);
	longest[1024] = '\0';
	errand_to(w, &errand);
	errand.probe.password = longest;
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_NOT_ACMEDNS);
}

/* The credentials go where the pin leads, and nowhere else. */
static void test_nowhere_else(void **state)
{
	struct world *w = *state;
	struct errand errand;
	struct peer other;
	char reply[256];

	assert_true(peer_listen(&other, w->base, "127.0.0.1", 0));
	(void)snprintf(reply, sizeof(reply),
		       "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n"
		       "Location: http://127.0.0.1:%d/update\r\n\r\n",
		       other.port);
	w->peer.reply = reply;
	errand_to(w, &errand);
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNKNOWN);
	assert_int_equal(w->peer.requests, 1);
	errand.probe.host = "http://localhost:1/path"; /* not what is pinned */
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNKNOWN);
	assert_int_equal(w->peer.requests, 1);
	assert_int_equal(other.accepted, 0);
	peer_done(&other);
}

static void hang_up(struct peer *peer, struct bufferevent *conn)
{
	peer_drop(peer, conn);
}

static void greet(struct peer *peer, struct bufferevent *conn)
{
	peer_say_and_close(peer, conn, peer->reply);
}

static void test_rude_peer(void **state)
{
	static const struct {
		peer_serve_fn *serve;
		const char *reply;
		enum acmedns_probe_verdict verdict;
	} rows[] = {
		{serve_nothing, NULL, ACMEDNS_PROBE_UNKNOWN},
		{hang_up, NULL, ACMEDNS_PROBE_UNKNOWN},
		{peer_reset, NULL, ACMEDNS_PROBE_UNKNOWN},
		{greet, "SSH-2.0-x\r\n", ACMEDNS_PROBE_UNKNOWN},
		{greet, "HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{\"error\": \"forbidden\"",
		 ACMEDNS_PROBE_REJECTED},
		{greet, "HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n{\"error\": \"bad_",
		 ACMEDNS_PROBE_UNKNOWN},
		{NULL, "HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n{", ACMEDNS_PROBE_UNKNOWN},
		{NULL, "HTTP/1.1 100 Continue\r\n\r\n", ACMEDNS_PROBE_UNKNOWN},
	};
	struct world *w = *state;
	struct errand errand;

	errand_to(w, &errand);
	errand.probe.timeout_ms = 200;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		w->peer.serve = rows[i].serve;
		w->peer.reply = rows[i].reply;
		assert_int_equal(ask(w, &errand), rows[i].verdict);
		assert_int_equal(w->peer.requests, i + 1);
	}
	peer_done(&w->peer);
	assert_int_equal(ask(w, &errand), ACMEDNS_PROBE_UNKNOWN);
}

static void test_cancel(void **state)
{
	struct world *w = *state;
	struct acmedns_probe_result refusal;
	struct acmedns_probe_call *call;
	struct errand errand;

	w->peer.serve = serve_nothing;
	errand_to(w, &errand);
	call = acmedns_probe_start(w->http, &errand.probe, &refusal);
	run_until(w->base, &w->peer.requests, 1);
	acmedns_probe_cancel(call);
	acmedns_probe_cancel(NULL);
	assert_int_equal(errand.told.done, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer), CASE(test_request),     CASE(test_proxy),
		CASE(test_odd_subdomain),      CASE(test_unsupported), CASE(test_nowhere_else),
		CASE(test_rude_peer),	       CASE(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
