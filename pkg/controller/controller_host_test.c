/* SPDX-License-Identifier: Apache-2.0 */

/* acme-dns servers: what they answer, how many are asked at a time, and which are not. */

#include "controller/controller_test_world.h"

#include "base/mono.h"
#include "controller/controller_impl.h"

struct failing {
	int status;
	const char *body;
	const char *reason; /* of Registered */
	const char *metric;
};

static const struct failing failing[] = {
	{404, NULL, "RegistrationUnavailable", "unavailable"},
	{401, NULL, "RegistrationDenied", "denied"},
	{418, NULL, "RegistrationUnavailable", "rejected"},
	{429, NULL, "ServerUnavailable", "throttled"},
	{500, NULL, "ServerUnavailable", "server_error"},
	{201, "{}", "RegistrationUnavailable", "bad_answer"},
	{400, "{\"error\":\"invalid_allowfrom_cidr\"}", "InvalidAllowFrom", "bad_allowfrom"},
};

static void test_failing_registrations(void **state)
{
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < ARRAY_LEN(failing); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);
		CLEANUP(mem_freep)
		char *metric = mem_printf("acmedns_registrations_total{result=\"%s\"} 1",
					  failing[i].metric);

		w->peer.acme_status = failing[i].status;
		w->peer.acme_body = failing[i].body;
		given(w, name, name, "[\"a.example.org\"]");
		UNTIL(w, has_reason(w, name, "Registered", failing[i].reason));
		assert_true(has_metric(w, metric));
		assert_int_equal(count_accounts(w, name), 0);
	}
	assert_int_equal(w->peer.posts, ARRAY_LEN(failing));
}

static bool is_told(struct world *w, const char *name, const char *words)
{
	const json_t *registered = condition(w, name, "Registered");

	return registered && strstr(jv_str(registered, "message"), words);
}

/* A server without /register is asked what it is. */
static void test_health(void **state)
{
	static const struct {
		const char *health;
		const char *told;
	} rows[] = {
		{NULL, "is not the URL of an acme-dns API"},
		{"<html>", "is not the URL of an acme-dns API"},
		{"", "registration is disabled at this acme-dns server"},
	};
	struct world *w = *state;

	world_start(w);
	w->peer.acme_status = 404;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);

		w->peer.health = rows[i].health;
		w->peer.health_status = rows[i].health ? 200 : 404;
		given(w, name, name, "[\"a.example.org\"]");
		UNTIL(w, has_reason(w, name, "Registered", "RegistrationUnavailable"));
		assert_true(is_told(w, name, rows[i].told));
	}
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"unavailable\"} 3"));
	assert_int_equal(w->peer.posts, 3);
}

static void test_no_answer(void **state)
{
	struct world *w = *state;

	w->options.register_timeout_ms = 200;
	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Registered", "ServerUnavailable"));
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"no_answer\"} 1"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_no_server(void **state)
{
	struct world *w = *state;

	world_start(w);
	peer_stop_acme(&w->peer);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Registered", "ServerUnavailable"));
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"unreachable\"} 1"));
}

static size_t count_claimed(struct world *w)
{
	return (size_t)peer_count(&w->peer, CREATE_SECRET);
}

/* What a host gives is four at a time; the others wait, without a claim, in the order they came. */
static void test_slots(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		given(w, names[i], names[i], "[\"a.example.org\"]");
		UNTIL(w, w->peer.held_len == (i < 4 ? i + 1 : 4));
		UNTIL(w, condition(w, names[i], "Reconciling"));
	}
	/* One that waits does not keep its place when it goes. */
	given(w, "x", "x", "[\"a.example.org\"]");
	UNTIL(w, condition(w, "x", "Reconciling"));
	peer_delete_registration(&w->peer, "x");
	for (size_t i = 4; i < ARRAY_LEN(names); i++) {
		assert_int_equal(count_claimed(w), i);
		assert_null(peer_secret(&w->peer, names[i]));
		peer_release(&w->peer);
		UNTIL(w, w->peer.held_len == 4);
		assert_non_null(peer_secret(&w->peer, names[i]));
	}
	while (w->peer.held_len)
		peer_release(&w->peer);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		UNTIL(w, is_ready(w, names[i]));
	assert_int_equal(w->peer.most_held, 4);
	assert_int_equal(w->peer.posts, 6);
}

static void given_and_looking(struct world *w, const char *namespace, const char *name)
{
	CLEANUP(mem_freep)
	char *look = mem_printf("GET /api/v1/namespaces/%s/secrets/%s", namespace, name);

	given_in(w, namespace, name, "[\"a.example.org\"]");
	UNTIL(w, peer_count(&w->peer, look) == 1);
}

/* Namespaces take turns, however many of one's objects wait. */
static void test_slots_are_fair(void **state)
{
	static const char *const many[] = {"m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"};
	static const char *const turns[] = {"m5", "few1", "one", "m6", "few2", "m7", "m8"};
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		given_and_looking(w, "many", many[i]);
	UNTIL(w, w->peer.held_len == 4);
	given_and_looking(w, "few", "few1");
	given_and_looking(w, "few", "few2");
	given_and_looking(w, "one", "one");
	/* When this one, of another host, is done, the others stand in their lines. */
	given_at(w, "x", "x", "[\"a.example.org\"]", "http://127.0.0.3:1");
	UNTIL(w, has_reason(w, "x", "Registered", "HostAddressRefused"));
	for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
		assert_null(peer_secret(&w->peer, turns[i]));
		peer_release(&w->peer);
		UNTIL(w, w->peer.held_len == 4);
		assert_non_null(peer_secret(&w->peer, turns[i]));
		assert_int_equal(json_object_size(w->peer.secrets), 5 + i);
	}
}

static void test_slots_of_one_secret(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a1.org\", \"a2.org\", \"a3.org\", \"a4.org\", \"a5.org\"]");
	given(w, "b", "s", "[\"b1.org\", \"b2.org\", \"b3.org\", \"b4.org\", \"b5.org\"]");
	for (int i = 0; i < 10; i++) {
		UNTIL(w, w->peer.held_len);
		peer_release(&w->peer);
	}
	UNTIL(w, is_ready(w, "a") && is_ready(w, "b"));
	assert_int_equal(w->peer.posts, 10);
	assert_true(w->peer.most_held <= 4);
}

/* What has a slot and cannot use it does not keep it from others. */
static void test_a_slot_is_given_back(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct world *w = *state;

	world_start(w);
	given_fault(w, CREATE_SECRET, 403, 4);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		given(w, names[i], names[i], "[\"a.example.org\"]");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		UNTIL(w, has_reason(w, names[i], "SecretReady", "SecretDenied"));
	given(w, "e", "e", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "e"));
}

static void test_another_host_during_a_claim(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *other = mem_printf("http://127.0.0.2:%d/b", w->peer.acme_port);

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	given_spec(w, "a", "host", json_string("http://127.0.0.3:1"));
	given(w, "b", "t", "[\"b.example.org\"]");
	UNTIL(w, w->peer.held_len == 2);
	given_spec(w, "a", "host", json_string(other));
	given(w, "c", "u", "[\"c.example.org\"]");
	UNTIL(w, w->peer.held_len == 3);
	while (w->peer.held_len)
		peer_release(&w->peer);
	UNTIL(w, has_reason(w, "a", "Ready", "HostChanged"));
	assert_true(has_account(w, "s", "a.example.org"));
	UNTIL(w, is_ready(w, "b") && is_ready(w, "c"));
	assert_int_equal(w->peer.posts, 3);
}

/* The host changes while the claim is being written, and again to none at all. */
static void change_host(struct peer *peer, const char *request)
{
	struct world *w = peer->ctx;

	if (!strstr(request, CREATE_SECRET))
		return;
	peer->before = NULL;
	given_spec(w, "a", "host", json_string("http://127.0.0.3:1"));
	given_spec(w, "a", "host", json_string("no URL"));
}

static void test_another_host_during_the_write_of_a_claim(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.before = change_host;
	w->peer.ctx = w;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Ready", "UnsupportedField"));
	given(w, "b", "t", "[\"b1.org\", \"b2.org\", \"b3.org\", \"b4.org\"]");
	UNTIL(w, is_ready(w, "b"));
}

struct refused {
	const char *host;
	const char *reason;
	const char *says;
};

static const struct refused refused[] = {
	{"http://127.0.0.3:1", "HostAddressRefused", "loopback"},
	{"http://127.0.0.1:1", "HostAddressRefused", "the Kubernetes API server's"},
	{"http://[::1]:1", "HostAddressRefused", "loopback"},
	{"http://169.254.169.254", "HostAddressRefused", "link-local"},
	{"http://[::ffff:169.254.169.254]", "HostAddressRefused", "link-local"},
	{"http://[64:ff9b::169.254.169.254]", "HostAddressRefused", "link-local"},
	{"http://[64:ff9b:1::a9fe:a9fe]", "HostAddressRefused", "link-local"},
	{"http://[2002:a9fe:a9fe::1]", "HostAddressRefused", "link-local"},
	{"http://[::ffff:127.0.0.1]:1", "HostAddressRefused", "the Kubernetes API server's"},
	{"http://[64:ff9b::7f00:1]:1", "HostAddressRefused", "the Kubernetes API server's"},
	{"http://[2002:7f00:1::]:1", "HostAddressRefused", "the Kubernetes API server's"},
	{"http://[64:ff9b::224.0.0.1]", "HostAddressRefused", "multicast"},
	{"http://no.onion", "ServerUnavailable", "DNS"}, /* never asked of DNS, RFC 7686 */
};

static bool says(struct world *w, const char *name, const char *text)
{
	return strstr(jv_str(condition(w, name, "Registered"), "message"), text);
}

static void test_refused_hosts(void **state)
{
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);
		CLEANUP(mem_freep) char *same = mem_printf("p%zu", i);

		given_at(w, name, name, "[\"a.example.org\"]", refused[i].host);
		given_at(w, same, same, "[\"a.example.org\"]", refused[i].host);
		UNTIL(w, has_reason(w, name, "Registered", refused[i].reason));
		UNTIL(w, has_reason(w, same, "Registered", refused[i].reason));
		assert_true(says(w, name, refused[i].says));
		assert_null(peer_secret(&w->peer, name));
	}
}

static void given_allowed_hosts(struct world *w, const char *glob)
{
	struct err err;

	assert_int_equal(url_glob_parse(glob, &w->allowed_host, &err), 0);
	w->options.allowed_hosts = &w->allowed_host;
	w->options.allowed_hosts_len = 1;
}

static void test_hosts_that_are_allowed(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *glob = mem_printf("127.0.*.2:%d", w->peer.acme_port);

	given_allowed_hosts(w, glob);
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	given_at(w, "b", "t", "[\"b.example.org\"]", "http://127.0.0.2:1");
	given_at(w, "c", "u", "[\"c.example.org\"]", "http://no.onion");
	UNTIL(w, is_ready(w, "a"));
	UNTIL(w, has_reason(w, "b", "Stalled", "HostNotAllowed"));
	UNTIL(w, has_reason(w, "c", "Registered", "HostNotAllowed"));
	assert_true(says(w, "b", "--allowed-hosts"));
	assert_null(peer_secret(&w->peer, "t"));
	/* What it may not use now, it may after a change. */
	given_spec(w, "b", "host", json_sprintf("http://127.0.0.2:%d", w->peer.acme_port));
	UNTIL(w, is_ready(w, "b"));
}

static void test_only_https(void **state)
{
	struct world *w = *state;

	w->options.require_https = true;
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	given_at(w, "b", "t", "[\"b.example.org\"]", "https://127.0.0.2:1");
	UNTIL(w, has_reason(w, "a", "Stalled", "HostNotAllowed"));
	assert_true(says(w, "a", "--require-https"));
	UNTIL(w, has_reason(w, "b", "Registered", "ServerUnavailable"));
	assert_int_equal(w->peer.posts, 0);
}

/* ---- proxies ---- */

static void given_proxy(const char *value)
{
	assert_int_equal(setenv("HTTP_PROXY", value, 1), 0);
	assert_int_equal(setenv("HTTPS_PROXY", value, 1), 0);
}

/* The acme-dns of the test as the proxy: it gets what it would get anyway, but for the URL. */
static void test_a_host_behind_a_proxy(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *proxy = mem_printf("http://127.0.0.2:%d", w->peer.acme_port);

	given_proxy(proxy);
	given_allowed_hosts(w, "*.onion");
	world_start(w);
	w->peer.register_url = "http://no.onion/register";
	given_at(w, "a", "s", "[\"a.example.org\"]", "http://no.onion");
	given_at(w, "b", "t", "[\"b.example.org\"]", "http://other.test");
	UNTIL(w, is_ready(w, "a"));
	UNTIL(w, has_reason(w, "b", "Stalled", "HostNotAllowed"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_a_proxy_without_allowed_hosts(void **state)
{
	struct world *w = *state;

	given_proxy("http://127.0.0.2:1");
	world_start(w);
	given_at(w, "a", "s", "[\"a.example.org\"]", "http://no.onion");
	given(w, "b", "t", "[\"b.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Stalled", "HostNotAllowed"));
	assert_true(says(w, "a", "--allowed-hosts"));
	/* No proxy leads to the loopback. */
	UNTIL(w, is_ready(w, "b"));
}

static void test_an_address_behind_a_proxy(void **state)
{
	struct world *w = *state;

	given_proxy("http://127.0.0.2:1");
	given_allowed_hosts(w, "*.*.*.*:*");
	world_start(w);
	given_at(w, "a", "s", "[\"a.example.org\"]", "http://169.254.169.254");
	UNTIL(w, has_reason(w, "a", "Registered", "HostAddressRefused"));
	given_at(w, "b", "t", "[\"b.example.org\"]", "http://192.0.2.1");
	UNTIL(w, has_reason(w, "b", "Registered", "ServerUnavailable"));
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"unreachable\"} 1"));
}

/* Whether an address is the API server's cannot be told while those are not known. */
static void test_the_api_server_has_no_address(void **state)
{
	struct world *w = *state;

	w->options.api_server = "http://no.onion";
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Registered", "ServerUnavailable"));
	assert_int_equal(w->peer.posts, 0);
}

static void test_the_api_server_has_no_url(void **state)
{
	struct world *w = *state;
	struct err err;

	w->options.api_server = "https://api/%zz";
	assert_null(controller_new(&w->options, &err));
	assert_int_equal(err.kind, ERR_INVALID);
}

static void test_an_ipv6_host(void **state)
{
	struct world *w = *state;
	struct err err;

	assert_int_equal(cidr_parse("::1/128", &w->allowed, &err), 0);
	world_start(w);
	given_at(w, "a", "s", "[\"a.example.org\"]", "http://[::1]:1");
	UNTIL(w, has_reason(w, "a", "Registered", "ServerUnavailable"));
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"unreachable\"} 1"));
}

/* The clock goes on between the look at a host and its use. */
static void test_an_answer_that_has_just_grown_old(void **state)
{
	char pin[] = "a.example:443:192.0.2.1";
	const struct host host = {
		.state = PLAN_HOST_OK, .until_ms = mono_ms(), .name = "a.example", .pin = pin};

	(void)state;
	assert_false(host_is_resolved(&host));
	assert_string_equal(host_pin(&host), pin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_failing_registrations),
		CASE(test_health),
		CASE(test_no_answer),
		CASE(test_no_server),
		CASE(test_slots),
		CASE(test_slots_are_fair),
		CASE(test_slots_of_one_secret),
		CASE(test_a_slot_is_given_back),
		CASE(test_another_host_during_a_claim),
		CASE(test_another_host_during_the_write_of_a_claim),
		CASE(test_refused_hosts),
		CASE(test_hosts_that_are_allowed),
		CASE(test_only_https),
		CASE(test_a_host_behind_a_proxy),
		CASE(test_a_proxy_without_allowed_hosts),
		CASE(test_an_address_behind_a_proxy),
		CASE(test_the_api_server_has_no_address),
		CASE(test_the_api_server_has_no_url),
		CASE(test_an_ipv6_host),
		cmocka_unit_test(test_an_answer_that_has_just_grown_old),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
