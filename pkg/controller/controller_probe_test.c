/* SPDX-License-Identifier: Apache-2.0 */

/* Servers are asked whether they still take the accounts: when, which ones, and with what. */

#include "api/api.h"
#include "controller/controller_test_world.h"

#define DOMAIN "[\"a.example.org\"]"
#define BARE                                                                                       \
	"\"username\":\"u\",\"password\":\"p\",\"subdomain\":\"s\",\"fulldomain\":\"s.example."    \
	"org\""
#define ALIVE "acmedns_credential_probes_total{result=\"alive\"} "

/* The clock by which a reading is older than the wish for it has milliseconds. */
static void annotate(struct world *w, const char *name, const char *act, const char *value)
{
	json_t *object = json_deep_copy(json_object_get(w->peer.registrations, name));
	json_t *metadata = json_object_get(object, "metadata");
	CLEANUP(mem_freep) char *annotation = mem_printf(API_GROUP "/%s", act);

	jv_set_str(jv_ensure_object(metadata, "annotations"), annotation, value);
	assert_int_equal(usleep(2000), 0);
	peer_put_registration(&w->peer, object);
}

static bool is_handled(struct world *w, const char *name, const char *value)
{
	const json_t *object = json_object_get(w->peer.registrations, name);

	return strcmp(jv_str(object, "status.lastHandled.probe"), value) == 0;
}

static bool is_valid(struct world *w, const char *name, const char *status, const char *reason)
{
	return strcmp(jv_str(condition(w, name, "CredentialsValid"), "status"), status) == 0 &&
	       has_reason(w, name, "CredentialsValid", reason);
}

/* An object whose Secret holds this entry, which is adopted. */
static void given_entry(struct world *w, const char *name, const char *entry, const char *host)
{
	CLEANUP(mem_freep) char *text = mem_printf("{\"a.example.org\":%s}", entry);

	given_secret(w, name, text);
	given_at(w, name, name, DOMAIN, host);
	UNTIL(w, is_ready(w, name));
}

/* An operator, and an object that it has registered. */
static void start_served(struct world *w)
{
	world_start(w);
	given(w, "a", "s", DOMAIN);
	UNTIL(w, is_ready(w, "a"));
}

static char *host_of(const struct world *w)
{
	return mem_printf("http://127.0.0.2:%d", w->peer.acme_port);
}

static void given_annotated_secret(struct world *w, const char *name, const char *value)
{
	json_t *secret = json_deep_copy(peer_secret(&w->peer, name));
	json_t *metadata = json_object_get(secret, "metadata");

	jv_set_str(jv_ensure_object(metadata, "annotations"), API_ANNOTATION_HOST, value);
	peer_put_secret(&w->peer, name, secret);
}

/* ---- when ---- */

static void test_interval(void **state)
{
	struct world *w = *state;
	int patches;

	w->options.probe_interval_ms = 100;
	start_served(w);
	UNTIL(w, is_valid(w, "a", "True", "Accepted"));
	UNTIL(w, has_metric(w, ALIVE "3"));
	patches = peer_count(&w->peer, PATCH_STATUS);
	UNTIL(w, has_metric(w, ALIVE "8"));
	assert_int_equal(peer_count(&w->peer, PATCH_STATUS), patches);
	assert_true(peer_count(&w->peer, GET_SECRET) >= 8); /* each goes by a reading of its own */
	assert_int_equal(w->peer.posts, 1);
}

static void test_rejected_and_put_back(void **state)
{
	struct world *w = *state;

	w->options.probe_interval_ms = 100;
	start_served(w);
	w->peer.update_status = 401;
	UNTIL(w, is_valid(w, "a", "False", "CredentialsRejected"));
	assert_true(has_reason(w, "a", "Ready", "CredentialsRejected"));
	assert_true(has_reason(w, "a", "Registered", "Registered"));
	UNTIL(w, has_event(w, "CredentialsRejected"));
	w->peer.update_status = 0;
	UNTIL(w, is_ready(w, "a"));
	assert_true(is_valid(w, "a", "True", "Accepted"));
	assert_int_equal(w->peer.posts, 1);
	assert_true(has_account(w, "s", "a.example.org"));
}

static void test_once_for_each_value(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\",\"b.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_true(is_valid(w, "a", "Unknown", "NotProbed"));
	assert_int_equal(w->peer.updates, 0);
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "True", "Accepted"));
	assert_int_equal(w->peer.updates, 2);
	annotate(w, "a", "looked-at", "1");
	annotate(w, "a", "probe", "2");
	UNTIL(w, is_handled(w, "a", "2"));
	assert_int_equal(w->peer.updates, 4);
}

/* ---- which ---- */

static void test_two_names_of_one_account(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\",\"b.example.org\"]");
	given_spec(w, "a", "accountPolicy", json_string("Shared"));
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_int_equal(w->peer.posts, w->peer.updates);
}

static void test_nobody_else_s_credentials(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *host = host_of(w);

	world_start(w);
	given_secret(w, "far",
		     "{\"a.example.org\":{" BARE ",\"server_url\":\"http://127.0.0.2:1\"}}");
	given_at(w, "far", "far", DOMAIN, host);
	UNTIL(w, has_reason(w, "far", "Ready", "HostChanged"));
	annotate(w, "far", "probe", "1");
	given_entry(w, "bare", "{" BARE "}", host);
	annotate(w, "bare", "probe", "1");
	UNTIL(w, is_handled(w, "bare", "1"));
	assert_true(is_valid(w, "bare", "Unknown", "HostUnknown"));
	given_annotated_secret(w, "bare", "http://127.0.0.2:1");
	annotate(w, "bare", "probe", "2");
	UNTIL(w, is_handled(w, "bare", "2"));
	assert_true(is_valid(w, "bare", "Unknown", "HostUnknown"));
	assert_int_equal(w->peer.updates, 0);
	given_annotated_secret(w, "bare", host);
	annotate(w, "bare", "probe", "3");
	UNTIL(w, is_handled(w, "bare", "3"));
	assert_true(is_valid(w, "bare", "True", "Accepted"));
	assert_int_equal(w->peer.updates, 1);
	assert_false(is_handled(w, "far", "1"));
}

static void test_odd_password(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *host = host_of(w);
	CLEANUP(mem_freep)
	char *entry = mem_printf("{\"username\":\"u\",\"password\":\"a\\nX-Evil: 1\",\"subdomain\":"
				 "\"s\",\"fulldomain\":\"s.example.org\",\"server_url\":\"%s\"}",
				 host);

	world_start(w);
	given_entry(w, "a", entry, host);
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "Unknown", "ProbeUnsupported"));
	assert_int_equal(w->peer.updates, 0);
	assert_true(has_metric(w, "acmedns_credential_probes_total{result=\"unsupported\"} 1"));
}

/* ---- with what ---- */

/* The login is for /register, and nobody needs it here; the CA is for both. */
static void test_no_login(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *host = host_of(w);
	CLEANUP(mem_freep)
	char *entry = mem_printf("{" BARE ",\"server_url\":\"%s\"}", host);

	world_start(w);
	given_entry(w, "a", entry, host);
	given_spec(w, "a", "registrationAuth",
		   json_pack("{s:{s:{s:s}}}", "basic", "secretRef", "name", "login"));
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "True", "Accepted"));
	assert_null(strstr(buf_str(&w->peer.headers), "Authorization"));
	assert_non_null(strstr(buf_str(&w->peer.headers), "X-Api-Key: p\n"));
	assert_int_equal(peer_count(&w->peer, GET_SECRET "login"), 0);
}

static void test_ca(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *host = host_of(w);
	CLEANUP(mem_freep)
	char *entry = mem_printf("{" BARE ",\"server_url\":\"%s\"}", host);

	world_start(w);
	given_entry(w, "a", entry, host);
	given_spec(
		w, "a", "caBundleRef",
		json_pack("{s:s, s:s, s:s}", "kind", "ConfigMap", "name", "ca", "key", "ca.crt"));
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "Unknown", "InvalidReference"));
	assert_true(is_ready(w, "a"));
	assert_int_equal(w->peer.updates, 0);
}

/* ---- beside everything else ---- */

static void test_slots(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct world *w = *state;

	world_start(w);
	w->peer.hold_updates = true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		given(w, names[i], names[i], DOMAIN);
		UNTIL(w, is_ready(w, names[i]) || i > 3);
		annotate(w, names[i], "probe", "1");
		UNTIL(w, w->peer.updates == (int)(i < 4 ? i + 1 : 4));
	}
	/* Registrations wait for a slot as well. */
	assert_int_equal(w->peer.posts, 4);
	peer_release_updates(&w->peer);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		UNTIL(w, is_handled(w, names[i], "1"));
	assert_int_equal(w->peer.posts, 6);
	assert_int_equal(w->peer.updates, 6);
}

static void test_open_breaker(void **state)
{
	struct world *w = *state;

	w->options.breaker_pause_ms = 3600000;
	world_start(w);
	given(w, "a", "a", DOMAIN);
	UNTIL(w, is_ready(w, "a"));
	w->peer.acme_status = 500;
	for (int i = 0; i < 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("f%d", i);

		given(w, name, name, DOMAIN);
		UNTIL(w, has_reason(w, name, "Registered", "ServerUnavailable"));
	}
	UNTIL(w, has_metric(w, "acmedns_hosts_unavailable 1"));
	annotate(w, "a", "probe", "1");
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "Unknown", "ServerUnavailable"));
	assert_true(is_ready(w, "a"));
	assert_int_equal(w->peer.updates, 0);
}

/* Whoever waits has a host that fails asked for its health; nobody else does. */
static void test_breaker_closes(void **state)
{
	struct world *w = *state;

	w->options.breaker_pause_ms = 1;
	w->options.probe_interval_ms = 100;
	world_start(w);
	given(w, "a", "a", DOMAIN);
	UNTIL(w, is_valid(w, "a", "True", "Accepted"));
	w->peer.health_status = 503;
	w->peer.acme_status = 500;
	for (int i = 0; i < 3; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("f%d", i);

		given(w, name, name, DOMAIN);
		UNTIL(w, has_reason(w, name, "Registered", "ServerUnavailable"));
		peer_delete_registration(&w->peer, name);
	}
	UNTIL(w, is_valid(w, "a", "Unknown", "ServerUnavailable"));
	w->peer.health_status = 200;
	UNTIL(w, is_valid(w, "a", "True", "Accepted"));
}

static void test_account_replaced_meanwhile(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *host = host_of(w);
	CLEANUP(mem_freep)
	char *entry = mem_printf("{" BARE ",\"server_url\":\"%s\"}", host);

	w->options.secret_resync_ms = 50;
	world_start(w);
	given_entry(w, "a", entry, host);
	w->peer.hold_updates = true;
	annotate(w, "a", "probe", "1");
	UNTIL(w, w->peer.updates == 1);
	annotate(w, "a", "rotate", "1");
	UNTIL(w, strcmp(jv_str(json_object_get(w->peer.registrations, "a"),
			       "status.lastHandled.rotate"),
			"1") == 0);
	w->peer.update_status = 401;
	peer_release_updates(&w->peer);
	w->peer.update_status = 0;
	UNTIL(w, is_handled(w, "a", "1"));
	assert_true(is_valid(w, "a", "True", "Accepted"));
	assert_int_equal(w->peer.updates, 2);
	assert_false(has_event(w, "CredentialsRejected"));
	UNTIL(w, has_event(w, "Rotated"));
	assert_string_equal(event_action(w, "Rotated"), "Rotate");
}

static void test_host_changed_meanwhile(void **state)
{
	struct world *w = *state;

	start_served(w);
	w->peer.hold_updates = true;
	annotate(w, "a", "probe", "1");
	UNTIL(w, w->peer.updates == 1);
	given_spec(w, "a", "host", json_string("http://127.0.0.2:1"));
	UNTIL(w, has_reason(w, "a", "Ready", "HostChanged"));
	peer_release_updates(&w->peer);
	UNTIL(w, has_metric(w, ALIVE "1"));
	assert_true(is_valid(w, "a", "Unknown", "NotProbed"));
	assert_int_equal(w->peer.updates, 1);
}

static void test_object_gone_meanwhile(void **state)
{
	struct world *w = *state;

	start_served(w);
	w->peer.hold_updates = true;
	annotate(w, "a", "probe", "1");
	UNTIL(w, w->peer.updates == 1);
	peer_delete_registration(&w->peer, "a");
	given(w, "b", "b", DOMAIN);
	UNTIL(w, is_ready(w, "b"));
	peer_release_updates(&w->peer);
	UNTIL(w, has_metric(w, ALIVE "1"));
}

static void test_end_meanwhile(void **state)
{
	struct world *w = *state;

	start_served(w);
	w->peer.hold_updates = true;
	annotate(w, "a", "probe", "1");
	UNTIL(w, w->peer.updates == 1);
	controller_drain(w->controller, world_on_drained, w);
	UNTIL(w, w->drained);
	controller_free(TAKE(w->controller));
	assert_int_equal(w->peer.held_updates_len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_interval),
		CASE(test_rejected_and_put_back),
		CASE(test_once_for_each_value),
		CASE(test_two_names_of_one_account),
		CASE(test_nobody_else_s_credentials),
		CASE(test_odd_password),
		CASE(test_no_login),
		CASE(test_ca),
		CASE(test_slots),
		CASE(test_open_breaker),
		CASE(test_breaker_closes),
		CASE(test_account_replaced_meanwhile),
		CASE(test_host_changed_meanwhile),
		CASE(test_object_gone_meanwhile),
		CASE(test_end_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
