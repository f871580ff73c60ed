/* SPDX-License-Identifier: Apache-2.0 */

/* The CNAMEs are handed over to external-dns: what is written, when, and what is left alone. */

#include "api/api.h"
#include "controller/controller_test_world.h"

#define GET_ENDPOINT	"GET " PEER_ENDPOINTS
#define CREATE_ENDPOINT "POST " PEER_ENDPOINTS
#define PATCH_ENDPOINT	"PATCH " PEER_ENDPOINTS
#define DELETE_ENDPOINT "DELETE " PEER_ENDPOINTS
#define UNAVAILABLE	"DNSEndpointUnavailable"

static const struct dnsname_glob domains[] = {{"example.org"}, {"*.example.org"}};

/* An object that has its CNAMEs made by external-dns; members of dnsEndpoint. */
static json_t *handed_as(struct world *w, const char *name, const char *domain_list,
			 const char *members)
{
	CLEANUP(mem_freep) char *host = mem_printf("http://127.0.0.2:%d", w->peer.acme_port);
	json_t *object = new_object(w, name, name, domain_list, host);

	jv_set(jv_object(object, "spec.cname"), "dnsEndpoint", json_loads(members, 0, NULL));
	return object;
}

static json_t *handed(struct world *w, const char *domain_list, const char *members)
{
	return handed_as(w, "a", domain_list, members);
}

static void start(struct world *w)
{
	w->options.endpoint_domains = domains;
	w->options.endpoint_domains_len = ARRAY_LEN(domains);
	world_start(w);
}

static void given_handed(struct world *w, const char *domain_list)
{
	peer_put_registration(&w->peer, handed(w, domain_list, "{}"));
}

static void change(struct world *w, const char *members)
{
	given_spec(
		w, "a", "cname",
		json_pack("{s:b, s:o}", "verify", 0, "dnsEndpoint", json_loads(members, 0, NULL)));
}

static json_t *endpoint(struct world *w)
{
	return json_object_get(w->peer.endpoints, "a");
}

static size_t endpoints_len(struct world *w)
{
	return json_array_size(jv_array(endpoint(w), "spec.endpoints"));
}

static const json_t *first(struct world *w)
{
	return json_array_get(jv_array(endpoint(w), "spec.endpoints"), 0);
}

/* It says where the object's first CNAME is to lead. */
static bool is_right(struct world *w)
{
	const json_t *object = json_object_get(w->peer.registrations, "a");
	const json_t *record = json_array_get(jv_array(object, "status.records"), 0);
	const json_t *target = json_array_get(jv_array(first(w), "targets"), 0);

	return target && strcmp(json_string_value(target), jv_str(record, "value")) == 0;
}

static int count_writes(struct world *w)
{
	return peer_count(&w->peer, CREATE_ENDPOINT) + peer_count(&w->peer, PATCH_ENDPOINT) +
	       peer_count(&w->peer, DELETE_ENDPOINT);
}

static bool is_unavailable(struct world *w, const char *message)
{
	return has_reason(w, "a", "CNAMEReady", UNAVAILABLE) &&
	       strstr(jv_str(condition(w, "a", "CNAMEReady"), "message"), message);
}

static bool is_handed(struct world *w)
{
	return is_ready(w, "a") && is_right(w) &&
	       has_reason(w, "a", "CNAMEReady", "VerificationDisabled");
}

static void test_made(void **state)
{
	struct world *w = *state;

	start(w);
	given_handed(w, "[\"a.example.org\", \"example.org\", \"elsewhere.test\"]");
	UNTIL(w, is_ready(w, "a") && is_right(w));
	assert_int_equal(endpoints_len(w), 2);
	assert_string_equal(jv_str(first(w), "dnsName"), "_acme-challenge.a.example.org");
	assert_true(has_reason(w, "a", "CNAMEReady", "DNSEndpointNotAllowed"));
	assert_int_equal(peer_count(&w->peer, GET_ENDPOINT), 1);
	assert_int_equal(count_writes(w), 1);
	/* An endpoint goes with its domain. */
	given_spec(w, "a", "domains", json_pack("[s]", "a.example.org"));
	UNTIL(w, endpoints_len(w) == 1);
	UNTIL(w, is_handed(w));
}

static void test_changed(void **state)
{
	struct world *w = *state;

	start(w);
	peer_put_registration(&w->peer, handed(w, "[\"a.example.org\"]",
					       "{\"labels\":{\"x\":\"1\",\"y\":\"1\"}}"));
	UNTIL(w, is_handed(w));
	assert_non_null(jv_object(endpoint(w), "metadata.labels"));
	change(w, "{\"labels\":{\"x\":\"2\",\"y\":\"1\"},\"ttlSeconds\":60}");
	UNTIL(w, jv_int(first(w), "recordTTL", 0) == 60);
	assert_string_equal(jv_str(endpoint(w), "metadata.labels.x"), "2");
	assert_int_equal(peer_count(&w->peer, PATCH_ENDPOINT), 1);
	assert_int_equal(peer_count(&w->peer, "?fieldManager=acme-dns-operator&force=true"), 1);
	/* What came with its creation is taken away, and then the rest applied. */
	change(w, "{\"labels\":{\"x\":\"2\"},\"ttlSeconds\":60}");
	UNTIL(w, !json_object_get(jv_object(endpoint(w), "metadata.labels"), "y"));
	UNTIL(w, peer_count(&w->peer, PATCH_ENDPOINT) == 3);
	assert_string_equal(jv_str(endpoint(w), "metadata.labels.x"), "2");
}

static void test_foreign(void **state)
{
	struct world *w = *state;

	peer_put_endpoint(
		&w->peer, "a",
		json_pack("{s:{s:s}, s:{s:[]}}", "metadata", "name", "a", "spec", "endpoints"));
	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a") && is_unavailable(w, "was not made for this object"));
	assert_int_equal(count_writes(w), 0);
	(void)json_object_del(w->peer.endpoints, "a");
	UNTIL(w, is_handed(w));
	assert_int_equal(count_writes(w), 1);
}

/* The mark of another object is none. */
static void test_of_another_object(void **state)
{
	struct world *w = *state;

	peer_put_endpoint(&w->peer, "a",
			  json_pack("{s:{s:s, s:{s:s}}}", "metadata", "name", "a", "annotations",
				    API_ANNOTATION_REGISTRATION, "b"));
	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a") && is_unavailable(w, "was not made for this object"));
	jv_set_str(jv_object(endpoint(w), "metadata.annotations"), API_ANNOTATION_REGISTRATION,
		   "a");
	UNTIL(w, is_handed(w));
	assert_int_equal(peer_count(&w->peer, PATCH_ENDPOINT), 1);
	assert_int_equal(count_writes(w), 1);
}

static void test_kind_is_not_known_yet(void **state)
{
	struct world *w = *state;
	json_t *endpoints = TAKE(w->peer.endpoints);

	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a") && is_unavailable(w, "knows no DNSEndpoints"));
	assert_int_equal(peer_count(&w->peer, GET_ENDPOINT), 1);
	UNTIL(w, peer_count(&w->peer, GET_ENDPOINT) == 2);
	w->peer.endpoints = endpoints;
	UNTIL(w, is_handed(w));
	assert_int_equal(count_writes(w), 1);
}

/* What one learns of the kind, all know. */
static void test_kind_is_not_known_to_two(void **state)
{
	struct world *w = *state;
	json_t *endpoints = TAKE(w->peer.endpoints);

	start(w);
	given_handed(w, "[\"a.example.org\"]");
	peer_put_registration(&w->peer, handed_as(w, "b", "[\"b.example.org\"]", "{}"));
	UNTIL(w, is_unavailable(w, "knows no DNSEndpoints") &&
			 has_reason(w, "b", "CNAMEReady", UNAVAILABLE));
	UNTIL(w, peer_count(&w->peer, GET_ENDPOINT) >= 3);
	w->peer.endpoints = endpoints;
	UNTIL(w, is_handed(w) && has_reason(w, "b", "CNAMEReady", "VerificationDisabled"));
	assert_int_equal(count_writes(w), 2);
}

static void test_throttled(void **state)
{
	struct world *w = *state;

	start(w);
	peer_fail(&w->peer, &(struct peer_fault){.what = GET_ENDPOINT,
						 .status = 429,
						 .times = 1,
						 .headers = "Retry-After: 2"});
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	assert_int_equal(peer_count(&w->peer, GET_ENDPOINT), 2);
}

/* By something that stands before the API server. */
static void test_no_answer(void **state)
{
	struct world *w = *state;

	start(w);
	peer_fail(&w->peer, &(struct peer_fault){
				    .what = GET_ENDPOINT, .status = 200, .times = 1, .body = "{}"});
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	assert_int_equal(count_writes(w), 1);
}

static void test_denied_and_refused(void **state)
{
	struct world *w = *state;

	start(w);
	given_fault(w, GET_ENDPOINT, 403, 1);
	given_fault(w, CREATE_ENDPOINT, 422, 1);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_unavailable(w, "may not read DNSEndpoints"));
	UNTIL(w, is_unavailable(w, "refuses the DNSEndpoint a as the operator writes it"));
	UNTIL(w, is_handed(w));
	assert_int_equal(peer_count(&w->peer, CREATE_ENDPOINT), 2);
	assert_int_equal(w->peer.posts, 1);
}

static void touch_endpoint(struct peer *peer, const char *request)
{
	if (!strstr(request, PATCH_ENDPOINT))
		return;
	peer_stamp(peer, json_object_get(peer->endpoints, "a"));
	peer->before = NULL;
}

/* external-dns writes its status. */
static void test_conflict(void **state)
{
	struct world *w = *state;

	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	w->peer.before = touch_endpoint;
	change(w, "{\"ttlSeconds\":60}");
	UNTIL(w, jv_int(first(w), "recordTTL", 0) == 60);
	assert_int_equal(peer_count(&w->peer, PATCH_ENDPOINT), 2);
	assert_int_equal(peer_count(&w->peer, GET_ENDPOINT), 3);
}

static void test_reply_lost(void **state)
{
	struct world *w = *state;

	start(w);
	given_lost(w, CREATE_ENDPOINT, 504, 1);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	UNTIL(w, peer_count(&w->peer, GET_ENDPOINT) == 2);
	assert_int_equal(count_writes(w), 1);
}

/* A look that brings nothing new wakes nobody. */
static void test_drift(void **state)
{
	struct world *w = *state;

	w->options.secret_resync_ms = 50;
	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	UNTIL(w, peer_count(&w->peer, GET_ENDPOINT) == 5);
	assert_int_equal(count_writes(w), 1);
	jv_set(jv_object(endpoint(w), "spec"), "endpoints", json_array());
	UNTIL(w, is_right(w));
	assert_int_equal(count_writes(w), 2);
	(void)json_object_del(w->peer.endpoints, "a");
	UNTIL(w, is_right(w));
	assert_int_equal(count_writes(w), 3);
}

static void test_not_without_the_flag(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a") && has_reason(w, "a", "CNAMEReady", "DNSEndpointNotAllowed"));
	assert_int_equal(peer_count(&w->peer, "/dnsendpoints"), 0);
}

/* ---- deletionPolicy Delete ---- */

static void check_finalizers(struct peer *peer, const char *request)
{
	const json_t *object = json_object_get(peer->registrations, "a");

	if (strstr(request, CREATE_ENDPOINT))
		assert_int_equal(json_array_size(jv_array(object, "metadata.finalizers")), 2);
}

static void start_delete(struct world *w)
{
	json_t *object;

	start(w);
	object = handed(w, "[\"a.example.org\"]", "{}");
	jv_set_str(jv_object(object, "spec"), "deletionPolicy", "Delete");
	w->peer.before = check_finalizers;
	peer_put_registration(&w->peer, object);
	UNTIL(w, is_handed(w));
}

static void test_it_goes_with_the_object(void **state)
{
	struct world *w = *state;

	start_delete(w);
	given_lost(w, DELETE_ENDPOINT, 500, 1);
	given_deleted(w, "a");
	UNTIL(w, has_finalizers(w, "a", 0));
	assert_null(endpoint(w));
	assert_int_equal(count_accounts(w, "a"), 0);
	assert_int_equal(peer_count(&w->peer, DELETE_ENDPOINT), 1);
}

static void test_it_goes_with_the_field(void **state)
{
	struct world *w = *state;

	start_delete(w);
	given_spec(w, "a", "cname", json_pack("{s:b}", "verify", 0));
	UNTIL(w, has_finalizers(w, "a", 1));
	assert_null(endpoint(w));
	assert_int_equal(peer_count(&w->peer, DELETE_ENDPOINT), 1);
	assert_int_equal(count_accounts(w, "a"), 1);
}

static void test_what_cannot_be_deleted_is_told(void **state)
{
	struct world *w = *state;

	start_delete(w);
	given_fault(w, DELETE_ENDPOINT, 403, 3);
	given_deleted(w, "a");
	UNTIL(w, has_finalizers(w, "a", 0));
	UNTIL(w, has_event(w, "DNSEndpointNotDeleted"));
	assert_string_equal(event_action(w, "DNSEndpointNotDeleted"), "Finalize");
	assert_non_null(endpoint(w));
}

static void test_suspended(void **state)
{
	struct world *w = *state;
	int looks;

	w->options.secret_resync_ms = 50;
	start(w);
	given_handed(w, "[\"a.example.org\"]");
	UNTIL(w, is_handed(w));
	given_spec(w, "a", "suspend", json_true());
	UNTIL(w, jv_int(json_object_get(w->peer.registrations, "a"), "status.observedGeneration",
			0) == 2);
	(void)json_object_del(w->peer.endpoints, "a");
	looks = peer_count(&w->peer, GET_ENDPOINT);
	UNTIL(w, peer_count(&w->peer, GET_SECRET) > 20);
	assert_true(peer_count(&w->peer, GET_ENDPOINT) <= looks + 1); /* it may have been sent */
	assert_null(endpoint(w));
	given_spec(w, "a", "suspend", json_false());
	UNTIL(w, is_handed(w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_made),
		CASE(test_changed),
		CASE(test_foreign),
		CASE(test_of_another_object),
		CASE(test_kind_is_not_known_yet),
		CASE(test_kind_is_not_known_to_two),
		CASE(test_throttled),
		CASE(test_no_answer),
		CASE(test_denied_and_refused),
		CASE(test_conflict),
		CASE(test_reply_lost),
		CASE(test_drift),
		CASE(test_not_without_the_flag),
		CASE(test_it_goes_with_the_object),
		CASE(test_it_goes_with_the_field),
		CASE(test_what_cannot_be_deleted_is_told),
		CASE(test_suspended),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
