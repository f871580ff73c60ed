/* SPDX-License-Identifier: Apache-2.0 */

/* A server that fails is left alone until it answers; nobody claims anything there meanwhile. */

#include "controller/controller_test_world.h"

#define OPEN "acmedns_hosts_unavailable 1"
#define SHUT "acmedns_hosts_unavailable 0"

static void given_pause(struct world *w, int64_t ms)
{
	w->options.breaker_pause_ms = ms;
}

static void given_numbered(struct world *w, char letter, int from, int to)
{
	for (int i = from; i <= to; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("%c%d", letter, i);

		given(w, name, name, "[\"a.example.org\"]");
	}
}

static bool has_secret(struct world *w, char letter, int number)
{
	CLEANUP(mem_freep) char *name = mem_printf("%c%d", letter, number);

	return peer_secret(&w->peer, name);
}

static int count_ready(struct world *w, char letter, int most)
{
	int count = 0;

	for (int i = 1; i <= most; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("%c%d", letter, i);

		count += is_ready(w, name);
	}
	return count;
}

static bool says_health(struct world *w, const char *name)
{
	return has_reason(w, name, "Registered", "ServerUnavailable") &&
	       strstr(jv_str(condition(w, name, "Registered"), "message"), "GET /health");
}

/* Three objects whose registrations fail, which opens the breaker. */
static void given_failures(struct world *w, int status)
{
	w->peer.acme_status = status;
	for (int i = 1; i <= 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("f%d", i);

		assert_true(has_metric(w, SHUT));
		given(w, name, name, "[\"a.example.org\"]");
		UNTIL(w, has_reason(w, name, "Registered", "ServerUnavailable"));
	}
	assert_true(has_metric(w, OPEN));
	assert_int_equal(w->peer.posts, 3);
}

static void test_nothing_is_claimed_while_it_is_open(void **state)
{
	struct world *w = *state;

	given_pause(w, 3600000);
	world_start(w);
	given_failures(w, 500);
	given_numbered(w, 'a', 1, 3);
	for (int i = 1; i <= 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("a%d", i);

		UNTIL(w, says_health(w, name));
		assert_true(has_reason(w, name, "Reconciling", "ProgressingWithRetry"));
		assert_false(has_secret(w, 'a', i));
	}
	assert_int_equal(w->peer.posts, 3);
	assert_int_equal(w->peer.health_asked, 0);
	/* Another host is another matter, and so is this one once nobody uses it. */
	given_spec(w, "a1", "host", json_string("http://127.0.0.2:1"));
	UNTIL(w, has_reason(w, "a1", "Registered", "ServerUnavailable") && !says_health(w, "a1"));
	assert_true(has_metric(w, OPEN));
}

static void test_who_waits_is_told(void **state)
{
	struct world *w = *state;

	given_pause(w, 3600000);
	world_start(w);
	w->peer.acme_status = 500;
	w->peer.hold = true;
	given_numbered(w, 'f', 1, 4);
	UNTIL(w, w->peer.held_len == 4);
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Reconciling", "Progressing"));
	for (int i = 0; i < 3; i++)
		peer_release(&w->peer);
	UNTIL(w, has_metric(w, OPEN) && says_health(w, "a"));
	assert_null(peer_secret(&w->peer, "a"));
	/* A success that was under way is good news. */
	w->peer.acme_status = 201;
	w->peer.hold = false;
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_true(has_metric(w, SHUT));
	assert_int_equal(w->peer.health_asked, 0);
}

/* Who was offered a slot just before it opened does not keep it for the time after. */
static void test_slot_that_was_offered_goes_back(void **state)
{
	struct world *w = *state;

	given_pause(w, 100);
	world_start(w);
	w->peer.acme_status = 500;
	w->peer.hold = true;
	given_numbered(w, 'f', 1, 4);
	UNTIL(w, w->peer.held_len == 4);
	given_numbered(w, 'a', 1, 2);
	UNTIL(w, peer_count(&w->peer, GET_SECRET "a1") && peer_count(&w->peer, GET_SECRET "a2"));
	given_at(w, "x", "x", "[\"a.example.org\"]", "http://127.0.0.3:1");
	UNTIL(w, has_reason(w, "x", "Registered", "HostAddressRefused")); /* a1 and a2 wait */
	w->peer.hold = false;
	while (w->peer.held_len)
		peer_release(&w->peer);
	UNTIL(w, has_metric(w, OPEN));
	w->peer.acme_status = 201;
	UNTIL(w, count_ready(w, 'a', 2) == 2);
	assert_true(has_metric(w, SHUT));
}

static void test_health_is_asked_until_it_is_good(void **state)
{
	struct world *w = *state;

	given_pause(w, 1);
	world_start(w);
	w->peer.health_status = 503;
	given_failures(w, 502);
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, w->peer.health_asked >= 3);
	assert_int_equal(w->peer.posts, 3);
	assert_null(peer_secret(&w->peer, "a"));
	assert_true(has_metric(w, "acmedns_health_probes_total{result=\"dead\"}"));
	assert_false(has_metric(w, "acmedns_health_probes_total{result=\"alive\"}"));
	w->peer.health_status = 200;
	w->peer.acme_status = 201;
	UNTIL(w, is_ready(w, "a"));
	assert_true(has_metric(w, "acmedns_health_probes_total{result=\"alive\"} 1"));
	assert_true(has_metric(w, SHUT));
}

/* Nobody waits: nobody asks. */
static void test_health_is_not_asked_for_nothing(void **state)
{
	struct world *w = *state;

	given_pause(w, 1);
	world_start(w);
	given_failures(w, 500);
	given_at(w, "x", "x", "[\"a.example.org\"]", "http://127.0.0.3:1");
	UNTIL(w, has_reason(w, "x", "Registered", "HostAddressRefused"));
	assert_int_equal(w->peer.health_asked, 0);
}

/* An acme-dns from before it had /health, and a proxy that wants a password for it. */
static void test_other_signs_of_life(void **state)
{
	static const int statuses[] = {404, 401};
	struct world *w = *state;

	given_pause(w, 1);
	world_start(w);
	given_failures(w, 503);
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("s%zu", i);

		w->peer.health_status = statuses[i];
		given(w, name, name, "[\"a.example.org\"]");
		UNTIL(w, w->peer.posts == 4 + (int)i);
		UNTIL(w, has_reason(w, name, "Registered", "ServerUnavailable"));
	}
	assert_true(has_metric(w, OPEN));
}

/* What another server has there may be of any length. */
static void test_a_long_page_is_a_sign_of_life(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *page = mem_zalloc(10001);

	memset(page, 'x', 10000);
	given_pause(w, 1);
	world_start(w);
	given_failures(w, 503);
	w->peer.health = page;
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, w->peer.posts == 4);
}

/* Each object may trust certificates of its own. */
static void test_certificates_do_not_open_it(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *https = NULL;

	world_start(w);
	https = mem_printf("https://127.0.0.2:%d", w->peer.acme_port);
	for (int i = 1; i <= 4; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("t%d", i);

		given_at(w, name, name, "[\"a.example.org\"]", https);
		UNTIL(w, has_reason(w, name, "Registered", "ServerUnavailable"));
		assert_true(has_metric(w, SHUT));
	}
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"unreachable\"} 4"));
}

/* /health is well, and /register is not: one try at a time, each after a question. */
static void test_a_trial_at_a_time(void **state)
{
	struct world *w = *state;

	given_pause(w, 1);
	world_start(w);
	given_failures(w, 500);
	w->peer.hold = true;
	given_numbered(w, 'a', 1, 6);
	for (int i = 1; i <= 3; i++) {
		UNTIL(w, w->peer.held_len == 1);
		assert_int_equal(w->peer.health_asked, i);
		assert_int_equal(w->peer.posts, 3 + i);
		peer_release(&w->peer);
	}
	UNTIL(w, w->peer.held_len == 1);
	assert_int_equal(w->peer.most_held, 1);
	/* It works: all slots are there again. */
	w->peer.acme_status = 201;
	peer_release(&w->peer);
	UNTIL(w, w->peer.held_len == 2);
	assert_int_equal(w->peer.health_asked, 4);
	assert_true(has_metric(w, SHUT));
	peer_release(&w->peer);
	peer_release(&w->peer);
	UNTIL(w, count_ready(w, 'a', 6) == 3);
}

/* What is an answer, however unwelcome, is none of the breaker's business. */
static void test_answers_do_not_open_it(void **state)
{
	static const int statuses[] = {404, 405, 401, 403, 429, 418, 500, 500, 404, 500, 500, 201};
	struct world *w = *state;

	world_start(w);
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(mem_freep) char *name = mem_printf("o%zu", i);

		w->peer.acme_status = statuses[i];
		given(w, name, name, "[\"a.example.org\"]");
		UNTIL(w, condition(w, name, "Registered") &&
				 !has_reason(w, name, "Registered", "Registering"));
		assert_true(has_metric(w, SHUT));
	}
	assert_int_equal(w->peer.posts, ARRAY_LEN(statuses));
}

/* It goes away with the last object that uses it. */
static void test_a_host_that_nobody_uses_is_forgotten(void **state)
{
	struct world *w = *state;

	given_pause(w, 3600000);
	world_start(w);
	given_failures(w, 500);
	for (int i = 1; i <= 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("f%d", i);

		peer_delete_registration(&w->peer, name);
	}
	UNTIL(w, has_metric(w, SHUT));
	w->peer.acme_status = 201;
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
}

static void test_a_server_that_does_not_listen(void **state)
{
	struct world *w = *state;

	given_pause(w, 1);
	world_start(w);
	peer_stop_acme(&w->peer);
	given_numbered(w, 'f', 1, 3);
	UNTIL(w, has_metric(w, OPEN));
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, says_health(w, "a"));
	UNTIL(w, has_metric(w, "acmedns_health_probes_total{result=\"dead\"}"));
	assert_null(peer_secret(&w->peer, "a"));
}

/* Behind one proxy may be many servers. */
static void test_another_path_is_another_server(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *broken = NULL;

	given_pause(w, 1);
	world_start(w);
	broken = mem_printf("http://127.0.0.2:%d/broken", w->peer.acme_port);
	for (int i = 1; i <= 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("f%d", i);

		given_at(w, name, name, "[\"a.example.org\"]", broken);
	}
	UNTIL(w, has_metric(w, OPEN));
	given(w, "a", "a", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_true(has_metric(w, OPEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nothing_is_claimed_while_it_is_open),
		CASE(test_who_waits_is_told),
		CASE(test_slot_that_was_offered_goes_back),
		CASE(test_health_is_asked_until_it_is_good),
		CASE(test_health_is_not_asked_for_nothing),
		CASE(test_other_signs_of_life),
		CASE(test_a_long_page_is_a_sign_of_life),
		CASE(test_certificates_do_not_open_it),
		CASE(test_a_trial_at_a_time),
		CASE(test_answers_do_not_open_it),
		CASE(test_a_host_that_nobody_uses_is_forgotten),
		CASE(test_a_server_that_does_not_listen),
		CASE(test_another_path_is_another_server),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
