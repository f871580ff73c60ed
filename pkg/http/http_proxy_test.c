/* SPDX-License-Identifier: Apache-2.0 */

/* Which proxy a request goes through, and what is known of one that a proxy did not pass on. */

#include <signal.h>
#include <stdlib.h>

#include "http/http_test_world.h"

static const char *const variables[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
					"ALL_PROXY",  "all_proxy",  "NO_PROXY",	   "no_proxy"};

static void given(const char *name, const char *value)
{
	assert_int_equal(setenv(name, value, 1), 0);
}

static int without_proxies(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		assert_int_equal(unsetenv(variables[i]), 0);
	return set_up(state);
}

static void assert_proxy(const char *url, const char *want)
{
	CLEANUP(mem_wipe_strp) char *got = http_proxy_of(url);

	if (strcmp(got ? got : "none", want) != 0)
		fail_msg("%s: %s", url, got ? got : "none");
}

static void test_by_scheme_and_case(void **state)
{
	(void)state;
	assert_proxy("http://a.test", "none");
	given("http_proxy", "p:1");
	given("https_proxy", "https://p:2");
	assert_proxy("http://a.test/x", "p:1");
	assert_proxy("https://a.test/x", "https://p:2");
	given("HTTP_PROXY", "http://q:1");
	given("HTTPS_PROXY", "");
	assert_proxy("http://a.test", "http://q:1");
	assert_proxy("https://a.test", "https://p:2");
	given("HTTPS_PROXY", "socks5://user:word@q:1080");
	assert_proxy("https://a.test", "socks5h://user:word@q:1080");
	assert_proxy("no URL at all", "none");
}

static void test_no_other_setting_counts(void **state)
{
	(void)state;
	given("ALL_PROXY", "http://p:1");
	given("all_proxy", "http://p:1");
	assert_proxy("http://a.test", "none");
	assert_proxy("https://a.test", "none");
}

static void test_never_to_the_loopback(void **state)
{
	static const char *const urls[] = {"http://localhost:1", "http://LOCALHOST",
					   "http://127.0.0.1",	 "http://127.9.9.9:80",
					   "http://[::1]:1",	 "http://[::ffff:127.0.0.1]"};

	(void)state;
	given("HTTP_PROXY", "http://p:1");
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		assert_proxy(urls[i], "none");
	assert_proxy("http://localhost.test", "http://p:1");
}

struct exemption {
	const char *list;
	const char *url;
	bool exempt;
};

static const struct exemption exemptions[] = {
	{"a.test", "http://a.test", true},
	{"a.test", "http://A.test:8080", true},
	{"a.test", "http://b.a.test", true},
	{"a.test", "http://xa.test", false},
	{"a.test", "http://a.test.b", false},
	{".a.test", "http://b.a.test", true},
	{".a.test", "http://a.test", false},
	{"*.a.test", "http://c.b.a.test", true},
	{"*.a.test", "http://a.test", false},
	{"b.test, A.TEST ,c.test", "http://a.test", true},
	{",,", "http://a.test", false},
	{"", "http://a.test", false},
	{"*", "http://a.test", true},
	{"b.test,*", "http://10.0.0.1", true},
	{"a.test:80", "http://a.test", true},
	{"a.test:81", "http://a.test", false},
	{"a.test:81", "http://a.test:81", true},
	{":81", "http://a.test:81", false},
	{"a.test:", "http://a.test", false},
	{"a.test:http", "http://a.test", false},
	{"10.0.0.0/8", "http://10.1.2.3", true},
	{"10.0.0.0/8", "http://11.1.2.3", false},
	{"10.0.0.0/8", "http://a.test", false},
	{"10.0.0.0/8", "http://[::ffff:10.1.2.3]", true},
	{"fd00::/8", "http://[fd00::1]", true},
	{"fd00::/8", "http://[fe00::1]", false},
	{"10.0.0.0/99", "http://10.1.2.3", false},
	{"10.0.0.1", "http://10.0.0.1:8080", true},
	{"10.0.0.1", "http://10.0.0.10", false},
	{"0.0.1", "http://10.0.0.1", false},
	{"10.0.0.1:81", "http://10.0.0.1:81", true},
	{"10.0.0.1:81", "http://10.0.0.1", false},
	{"fd00::1", "http://[fd00:0::1]", true},
	{"[fd00::1]", "http://[fd00::1]", true},
	{"[fd00::1]:81", "http://[fd00::1]:81", true},
	{"[fd00::1]:81", "http://[fd00::1]:80", false},
	{"[", "http://a.test", false},
	{"]", "http://a.test", false},
	{"[]", "http://a.test", false},
};

static void test_exemptions(void **state)
{
	(void)state;
	given("HTTP_PROXY", "http://p:1");
	for (size_t i = 0; i < ARRAY_LEN(exemptions); i++) {
		const struct exemption *e = &exemptions[i];
		CLEANUP(mem_wipe_strp) char *proxy = NULL;

		given("NO_PROXY", e->list);
		proxy = http_proxy_of(e->url);
		if (!proxy != e->exempt)
			fail_msg("NO_PROXY=%s and %s: %s", e->list, e->url, proxy ? proxy : "none");
	}
	given("NO_PROXY", "");
	given("no_proxy", "a.test");
	assert_proxy("http://a.test", "none");
}

/* ---- requests ---- */

static char *proxy_url(struct world *w)
{
	return mem_printf("http://127.0.0.1:%d", w->peer.port);
}

static void test_request_goes_through_the_proxy(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *proxy = proxy_url(w);
	struct http_request req = get(w);

	given("HTTP_PROXY", proxy);
	req.url = "http://name.test/";
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_ptr_equal(strstr(w->peer.head, "GET http://name.test/ "), w->peer.head);
	assert_true(w->out.resp.sent);
	given("NO_PROXY", "name.test");
	req.timeout_ms = 2000;
	assert_int_equal(exchange(w, &req)->fault, HTTP_FAULT_RESOLVE);
}

static void test_only_the_proxy_that_the_request_names(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *proxy = proxy_url(w);
	CLEANUP(mem_freep) char *pin = mem_printf("name.test:%d:127.0.0.1", w->peer.port);
	CLEANUP(mem_freep) char *url = mem_printf("http://name.test:%d/", w->peer.port);
	struct http_request req = get(w);

	/* One that would never answer. */
	given("HTTP_PROXY", "http://127.0.0.1:1");
	given("NO_PROXY", "named.test");
	use_options(w, &(struct http_options){.user_agent = "x", .no_proxy = true});
	req.url = url;
	req.pin = pin;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_ptr_equal(strstr(w->peer.head, "GET / "), w->peer.head);
	req.pin = NULL;
	req.url = "http://named.test/";
	req.proxy = proxy;
	assert_int_equal(exchange(w, &req)->fault, HTTP_OK);
	assert_ptr_equal(strstr(w->peer.head, "GET http://named.test/ "), w->peer.head);
}

static const char *const refusals[] = {
	"HTTP/1.1 407 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 502 No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ntext",
};

/* Whatever became of a CONNECT, the request itself was not sent. */
static void test_refused_connect(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *proxy = proxy_url(w);
	struct http_request req = get(w);

	given("HTTPS_PROXY", proxy);
	req.method = "POST";
	req.body = "{}";
	req.body_len = 2;
	req.fresh_connection = true;
	req.url = "https://name.test/";
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		w->peer.reply = refusals[i];
		assert_fault(w, &req, HTTP_FAULT_PROXY, false);
		assert_ptr_equal(strstr(w->peer.head, "CONNECT name.test:443 "), w->peer.head);
		assert_int_equal(w->out.resp.status, 0);
		assert_int_equal(w->out.resp.retry_after_s, -1);
	}
}

static void hang_up(struct peer *peer, struct bufferevent *conn)
{
	peer_drop(peer, conn);
}

static void test_connect_that_fails(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *proxy = proxy_url(w);
	struct http_request req = get(w);

	given("HTTPS_PROXY", proxy);
	req.url = "https://name.test/";
	w->peer.serve = hang_up;
	assert_false(exchange(w, &req)->sent);
	assert_int_not_equal(w->out.resp.fault, HTTP_OK);
	w->peer.serve = serve_nothing;
	req.timeout_ms = 100;
	assert_false(exchange(w, &req)->sent);
	assert_int_not_equal(w->out.resp.fault, HTTP_OK);
	/* What is behind the tunnel speaks no TLS. */
	w->peer.serve = NULL;
	w->peer.reply = "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n";
	req.timeout_ms = 5000;
	assert_fault(w, &req, HTTP_FAULT_TLS, false);
}

static void test_proxy_that_is_not_there(void **state)
{
	struct world *w = *state;
	struct http_request req = get(w);

	given("HTTP_PROXY", "http://127.0.0.1:1");
	req.url = "http://name.test/";
	assert_fault(w, &req, HTTP_FAULT_CONNECT, false);
	given("HTTP_PROXY", "http://no.onion:3128");
	assert_fault(w, &req, HTTP_FAULT_PROXY, false);
	given("HTTP_PROXY", "nonsense://");
	assert_false(exchange(w, &req)->sent);
	assert_int_not_equal(w->out.resp.fault, HTTP_OK);
}

#define PROXY_CASE(name) cmocka_unit_test_setup_teardown(name, without_proxies, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		PROXY_CASE(test_by_scheme_and_case),
		PROXY_CASE(test_no_other_setting_counts),
		PROXY_CASE(test_never_to_the_loopback),
		PROXY_CASE(test_exemptions),
		PROXY_CASE(test_request_goes_through_the_proxy),
		PROXY_CASE(test_only_the_proxy_that_the_request_names),
		PROXY_CASE(test_refused_connect),
		PROXY_CASE(test_connect_that_fails),
		PROXY_CASE(test_proxy_that_is_not_there),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
