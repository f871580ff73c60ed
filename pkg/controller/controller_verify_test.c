/* SPDX-License-Identifier: Apache-2.0 */

/* CNAMEs are looked up: which ones, when, and what status says of them. */

#include "api/api.h"
#include "controller/controller_dns_peer.h"

#define OWNER  "_acme-challenge.a.example.org"
#define DOMAIN "[\"a.example.org\"]"
#define LOOKED "acmedns_cname_lookups_total{result="

/* An object of the namespace whose CNAMEs are looked up. */
static void given_verified(struct world *w, const char *namespace, const char *name,
			   const char *domains)
{
	CLEANUP(mem_freep) char *host = mem_printf("http://127.0.0.2:%d", w->peer.acme_port);
	json_t *object = new_object(w, name, name, domains, host);

	jv_set_str(json_object_get(object, "metadata"), "namespace", namespace);
	jv_set(json_object_get(object, "spec"), "cname", json_pack("{s:b}", "verify", 1));
	peer_put_registration(&w->peer, object);
}

static const json_t *record(struct world *w, const char *name)
{
	const json_t *object = json_object_get(w->peer.registrations, name);

	return json_array_get(jv_array(object, "status.records"), 0);
}

static bool is_verified(struct world *w, const char *name, const char *verification,
			const char *reason)
{
	return strcmp(jv_str(record(w, name), "verification"), verification) == 0 &&
	       has_reason(w, name, "CNAMEReady", reason);
}

static void set_cname(struct resolver *resolver, const char *owner, const char *target)
{
	json_object_set_new(resolver->cnames, owner, json_string(target));
}

/* Each new value of the annotation has all looked up. */
static void verify(struct world *w, const char *name, const char *value)
{
	json_t *object = json_deep_copy(json_object_get(w->peer.registrations, name));
	json_t *metadata = json_object_get(object, "metadata");

	jv_set_str(jv_ensure_object(metadata, "annotations"), API_ANNOTATION_VERIFY, value);
	peer_put_registration(&w->peer, object);
}

static bool is_handled(struct world *w, const char *name, const char *value)
{
	const json_t *object = json_object_get(w->peer.registrations, name);

	return strcmp(jv_str(object, "status.lastHandled.verify"), value) == 0;
}

static void start_missing(struct world *w, struct resolver *resolver)
{
	resolver_start(resolver, w);
	world_start(w);
	given_verified(w, "default", "a", DOMAIN);
	UNTIL(w, is_ready(w, "a") && is_verified(w, "a", "Missing", "CNAMEMissing"));
}

static void start_found(struct world *w, struct resolver *resolver)
{
	start_missing(w, resolver);
	set_cname(resolver, OWNER, jv_str(record(w, "a"), "value"));
	verify(w, "a", "found");
	UNTIL(w, is_handled(w, "a", "found"));
	assert_true(is_verified(w, "a", "Found", "CNAMEFound"));
}

static void test_missing_then_found(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_found(w, &resolver);
	assert_true(has_metric(w, LOOKED "\"missing\"} 1"));
	assert_true(has_metric(w, LOOKED "\"found\"} 1"));
	assert_true(has_metric(w, "acmedns_cname_drifts_total 0"));
	assert_int_equal(resolver_asked(&resolver, OWNER), 2);
	assert_null(json_object_get(resolver.asked, jv_str(record(w, "a"), "value")));
	resolver_stop(&resolver);
}

/* What was found ends with the second answer that says so; that is told once. */
static void test_drift(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_found(w, &resolver);
	set_cname(&resolver, OWNER, "elsewhere.example.org");
	verify(w, "a", "moved");
	UNTIL(w, is_handled(w, "a", "moved"));
	assert_true(is_verified(w, "a", "Mismatch", "CNAMEMismatch"));
	assert_string_equal(jv_str(record(w, "a"), "observed"), "elsewhere.example.org");
	assert_int_equal(resolver_asked(&resolver, OWNER), 4);
	UNTIL(w, has_event(w, "CNAMEMismatch"));
	assert_string_equal(event_action(w, "CNAMEMismatch"), "Verify");
	assert_true(has_metric(w, "acmedns_cname_drifts_total 1"));
	assert_true(is_ready(w, "a"));
	resolver_stop(&resolver);
}

static void delete_patched(struct peer *peer, const char *request)
{
	if (!strstr(request, PATCH_STATUS))
		return;
	peer->after = NULL;
	peer_delete_registration(peer, "a");
}

/* What is told of a patch does not hang on its answer. */
static void test_drift_whose_reply_is_lost(void **state)
{
	static const int statuses[] = {500, 429, 409};
	struct world *w = *state;
	CLEANUP(mem_freep) char *target = NULL;
	struct resolver resolver;
	size_t i;

	start_found(w, &resolver);
	target = mem_strdup(jv_str(record(w, "a"), "value"));
	for (i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(mem_freep) char *act = mem_printf("%zu", i);
		CLEANUP(mem_freep)
		char *drifts = mem_printf("acmedns_cname_drifts_total %zu\n", i + 1);

		set_cname(&resolver, OWNER, "elsewhere.example.org");
		given_lost(w, PATCH_STATUS, statuses[i], 1);
		verify(w, "a", act);
		UNTIL(w, is_handled(w, "a", act) && has_metric(w, drifts));
		set_cname(&resolver, OWNER, target);
		act[0] = (char)(act[0] + 50);
		verify(w, "a", act);
		UNTIL(w, is_handled(w, "a", act));
	}
	UNTIL(w, has_event(w, "CNAMEMismatch"));
	resolver_stop(&resolver);
}

/* Nobody is left to be told. */
static void test_gone_while_the_reply_is_lost(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_found(w, &resolver);
	set_cname(&resolver, OWNER, "elsewhere.example.org");
	given_lost(w, PATCH_STATUS, 500, 1);
	w->peer.after = delete_patched;
	verify(w, "a", "moved");
	UNTIL(w, w->peer.after == NULL);
	given(w, "b", "s", "[\"b.example.org\"]");
	UNTIL(w, is_ready(w, "b"));
	resolver_stop(&resolver);
}

static void test_zone_is_not_delegated(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_found(w, &resolver);
	resolver.undelegated = true;
	verify(w, "a", "gone");
	UNTIL(w, is_handled(w, "a", "gone"));
	assert_true(is_verified(w, "a", "Found", "ZoneNotDelegated"));
	assert_true(has_metric(w, "acmedns_cname_drifts_total 0"));
	resolver.undelegated = false;
	verify(w, "a", "back");
	UNTIL(w, is_handled(w, "a", "back"));
	assert_true(is_verified(w, "a", "Found", "CNAMEFound"));
	resolver_stop(&resolver);
}

/* The rest that an object comes to, and what a change of it brings. */
static void test_suspended_and_disabled(void **state)
{
	struct world *w = *state;
	struct resolver resolver;
	int asked;

	start_found(w, &resolver);
	asked = resolver_asked(&resolver, OWNER);
	given_spec(w, "a", "suspend", json_true());
	UNTIL(w, !condition(w, "a", "Reconciling") &&
			 jv_int(json_object_get(w->peer.registrations, "a"),
				"status.observedGeneration", 0) == 2);
	assert_true(is_verified(w, "a", "Found", "CNAMEFound"));
	given_spec(w, "a", "suspend", json_false());
	UNTIL(w, resolver_asked(&resolver, OWNER) > asked);
	given_spec(w, "a", "cname", json_pack("{s:b}", "verify", 0));
	UNTIL(w, is_verified(w, "a", "Unknown", "VerificationDisabled"));
	resolver_stop(&resolver);
}

static void test_no_answer(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	resolver_start(&resolver, w);
	resolver_stop(&resolver);
	world_start(w);
	given_verified(w, "default", "a", DOMAIN);
	UNTIL(w, is_ready(w, "a") && is_verified(w, "a", "Unknown", "DNSUnavailable"));
	assert_true(has_metric(w, LOOKED "\"unknown\"} 1"));
}

/* An object in the namespace noisy, of whose names the resolver answers none, and four are under
 * way: the namespace's share. */
static void start_noisy(struct world *w, struct resolver *resolver, const char *domains)
{
	resolver_start(resolver, w);
	resolver->silent_about = ".example.net";
	world_start(w);
	given_verified(w, "noisy", "n", domains);
	UNTIL(w, is_ready(w, "n") && json_object_size(resolver->asked) == 4);
}

/* Names that get no answer take their namespace's share, and leave the rest to others. */
static void test_share_of_a_namespace(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_noisy(w, &resolver,
		    "[\"1.example.net\",\"2.example.net\",\"3.example.net\",\"4.example.net\","
		    "\"5.example.net\",\"6.example.net\"]");
	given_verified(w, "default", "a", DOMAIN);
	UNTIL(w, is_ready(w, "a") && is_verified(w, "a", "Missing", "CNAMEMissing"));
	assert_int_equal(json_object_size(resolver.asked), 5);
	resolver_stop(&resolver);
}

/* Nor are those left waiting when the names that have the places go. */
static void test_places_of_what_is_gone(void **state)
{
	struct world *w = *state;
	struct resolver resolver;

	start_noisy(w, &resolver,
		    "[\"1.example.net\",\"2.example.net\",\"3.example.net\",\"4.example.net\"]");
	given_verified(w, "noisy", "a", DOMAIN);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(resolver_asked(&resolver, OWNER), 0);
	peer_delete_registration(&w->peer, "n");
	UNTIL(w, is_verified(w, "a", "Missing", "CNAMEMissing"));
	resolver_stop(&resolver);
}

static void test_bad_resolvers(void **state)
{
	struct world *w = *state;
	struct err err;

	w->options.dns_resolvers = "192.0.2.1,nonsense";
	assert_null(controller_new(&w->options, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_non_null(strstr(err.msg, "--dns-resolvers 192.0.2.1,nonsense"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_missing_then_found),
		CASE(test_drift),
		CASE(test_drift_whose_reply_is_lost),
		CASE(test_gone_while_the_reply_is_lost),
		CASE(test_zone_is_not_delegated),
		CASE(test_suspended_and_disabled),
		CASE(test_no_answer),
		CASE(test_share_of_a_namespace),
		CASE(test_places_of_what_is_gone),
		CASE(test_bad_resolvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
