/* SPDX-License-Identifier: Apache-2.0 */

/* spec.cname.dnsEndpoint, and what is asked of external-dns. */

#include "api/api_test_decode.h"

#define ENDPOINT(members) SPEC(",\"cname\":{\"dnsEndpoint\":" members "}")
#define TAGGED                                                                                     \
	ENDPOINT("{\"ttlSeconds\":60,\"labels\":{\"app.kubernetes.io/part-of\":\"dns\"},"          \
		 "\"annotations\":{\"external-dns.alpha.kubernetes.io/access\":\"private\"}}")
#define MARK "\"" API_ANNOTATION_REGISTRATION "\":\"example\""

static const struct api_cname cnames[] = {
	{"example.com", "a.auth.example.org"},
	{"www.example.net", "b.auth.example.org"},
};

/* ---- the spec ---- */

static void test_decode(void **state)
{
	CLEANUP(api_freep) struct api_registration *none = decode(SPEC(",\"cname\":{}"));
	CLEANUP(api_freep) struct api_registration *empty = decode(ENDPOINT("{}"));
	CLEANUP(api_freep) struct api_registration *full = decode(TAGGED);

	(void)state;
	assert_null(none->spec.endpoint);
	assert_int_equal(empty->spec.endpoint->ttl_s, 0);
	assert_null(empty->spec.endpoint->tags);
	assert_null(full->spec.unsupported);
	assert_int_equal(full->spec.endpoint->ttl_s, 60);
	assert_int_equal(full->spec.endpoint->tags->len, 2);
	assert_string_equal(full->spec.endpoint->tags->tags[0].key, "app.kubernetes.io/part-of");
	assert_true(full->spec.endpoint->tags->tags[1].annotation);
	assert_true(full->spec.verify);
}

/* The mark that says whose a DNSEndpoint is can be given to no other. */
static void test_refused(void **state)
{
	static const char *const specs[] = {
		ENDPOINT("true"),
		ENDPOINT("[]"),
		ENDPOINT("{\"ttlSeconds\":0}"),
		ENDPOINT("{\"ttlSeconds\":604801}"),
		ENDPOINT("{\"ttlSeconds\":\"60\"}"),
		ENDPOINT("{\"ttlSeconds\":60.5}"),
		ENDPOINT("{\"labels\":[]}"),
		ENDPOINT("{\"labels\":{\"a\":\"b c\"}}"),
		ENDPOINT("{\"labels\":{\"a b\":\"\"}}"),
		ENDPOINT("{\"annotations\":{" MARK "}}"),
		ENDPOINT("{\"annotations\":{\"x." API_GROUP "/a\":\"b\"}}"),
		ENDPOINT("{\"labels\":{\"argocd.argoproj.io/instance\":\"a\"}}"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(specs); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(specs[i]);

		if (!r->spec.unsupported || !strstr(r->spec.unsupported, "spec.cname.dnsEndpoint"))
			fail_msg("%s is let through", specs[i]);
	}
}

/* ---- what is written ---- */

static json_t *body_of(const char *spec, size_t len)
{
	CLEANUP(api_freep) struct api_registration *r = decode(spec);

	return api_endpoint_body(r, cnames, len);
}

static void check(json_t *is, const char *text)
{
	CLEANUP(jv_freep) json_t *want = parse(text);
	CLEANUP(mem_freep) char *dump = json_dumps(is, JSON_COMPACT);

	if (!json_equal(is, want))
		fail_msg("%s", dump);
	json_decref(is);
}

static void test_body(void **state)
{
	(void)state;
	check(body_of(ENDPOINT("{}"), 1),
	      "{\"apiVersion\":\"externaldns.k8s.io/v1alpha1\",\"kind\":\"DNSEndpoint\","
	      "\"metadata\":{\"namespace\":\"\",\"name\":\"example\",\"annotations\":{" MARK "}},"
	      "\"spec\":{\"endpoints\":[{\"dnsName\":\"_acme-challenge.example.com\","
	      "\"recordType\":\"CNAME\",\"targets\":[\"a.auth.example.org\"]}]}}");
	check(body_of(TAGGED, 2),
	      "{\"apiVersion\":\"externaldns.k8s.io/v1alpha1\",\"kind\":\"DNSEndpoint\","
	      "\"metadata\":{\"namespace\":\"\",\"name\":\"example\","
	      "\"labels\":{\"app.kubernetes.io/part-of\":\"dns\"},\"annotations\":{" MARK
	      ",\"external-dns.alpha.kubernetes.io/access\":\"private\"}},\"spec\":{\"endpoints\":["
	      "{\"dnsName\":\"_acme-challenge.example.com\",\"recordType\":\"CNAME\","
	      "\"recordTTL\":60,\"targets\":[\"a.auth.example.org\"]},"
	      "{\"dnsName\":\"_acme-challenge.www.example.net\",\"recordType\":\"CNAME\","
	      "\"recordTTL\":60,\"targets\":[\"b.auth.example.org\"]}]}}");
}

static void test_delete(void **state)
{
	(void)state;
	check(api_endpoint_delete("u", "7"),
	      "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"preconditions\":{\"uid\":\"u\","
	      "\"resourceVersion\":\"7\"}}");
}

/* ---- what was read ---- */

static void test_whose(void **state)
{
	CLEANUP(jv_freep) json_t *ours = parse("{\"metadata\":{\"annotations\":{" MARK "}}}");
	CLEANUP(jv_freep) json_t *bare = parse("{\"metadata\":{}}");

	(void)state;
	assert_true(api_endpoint_is_ours(ours, "example"));
	assert_false(api_endpoint_is_ours(ours, "example2"));
	assert_false(api_endpoint_is_ours(bare, "example"));
}

/* Our fields of one way of writing, as managedFields has them. */
#define FIELDS(manager, operation, fields)                                                         \
	"{\"manager\":\"" manager "\",\"operation\":\"" operation "\",\"fieldsV1\":" fields "}"
#define LABEL(key)	"{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:" key "\":{}}}}"
#define ANNOTATION(key) "{\"f:metadata\":{\"f:annotations\":{\".\":{},\"f:" key "\":{}}}}"

/* What the operator wrote, with something added to the metadata of what is read. */
static json_t *reading(const char *spec, const char *labels, const char *annotations,
		       const char *fields)
{
	json_t *endpoint = body_of(spec, 1);
	json_t *metadata = jv_object(endpoint, "metadata");
	CLEANUP(jv_freep) json_t *more = parse(labels);
	CLEANUP(jv_freep) json_t *notes = parse(annotations);

	jv_set_str(metadata, "resourceVersion", "7");
	(void)json_object_update(jv_ensure_object(metadata, "labels"), more);
	(void)json_object_update(jv_ensure_object(metadata, "annotations"), notes);
	jv_set(metadata, "managedFields", parse(fields));
	return endpoint;
}

static bool says(json_t *endpoint, json_t *body)
{
	CLEANUP(jv_freep) json_t *have = endpoint;
	CLEANUP(jv_freep) json_t *want = body;

	return api_endpoint_says(have, want);
}

static void test_it_says_so(void **state)
{
	(void)state;
	assert_true(says(body_of(ENDPOINT("{}"), 2), body_of(ENDPOINT("{}"), 2)));
	assert_true(says(body_of(TAGGED, 2), body_of(TAGGED, 2)));
	/* What others have put there is theirs. */
	assert_true(says(reading(TAGGED, "{\"x\":\"y\"}", "{\"x\":\"y\"}",
				 "[" FIELDS("kubectl", "Update", LABEL("x")) "]"),
			 body_of(TAGGED, 1)));
	assert_true(says(
		reading(TAGGED, "{}", "{}", "[" FIELDS(API_MANAGER, "Apply", LABEL("gone")) "]"),
		body_of(TAGGED, 1)));
}

static void test_it_says_something_else(void **state)
{
	json_t *drifted = body_of(TAGGED, 1);

	(void)state;
	assert_false(says(body_of(ENDPOINT("{}"), 1), body_of(ENDPOINT("{}"), 2)));
	assert_false(says(body_of(ENDPOINT("{}"), 1), body_of(ENDPOINT("{}"), 0)));
	assert_false(says(body_of(ENDPOINT("{}"), 1), body_of(TAGGED, 1)));
	assert_false(says(body_of(ENDPOINT("{\"ttlSeconds\":60}"), 1), body_of(TAGGED, 1)));
	assert_false(says(parse("{\"metadata\":{\"annotations\":{" MARK "}}}"),
			  body_of(ENDPOINT("{}"), 0)));
	jv_set_str(jv_object(drifted, "metadata.labels"), "app.kubernetes.io/part-of", "other");
	assert_false(says(drifted, body_of(TAGGED, 1)));
	/* A key that was ours and is wanted no more, however it came there. */
	assert_false(says(reading(TAGGED, "{\"x\":\"y\"}", "{}",
				  "[" FIELDS(API_MANAGER, "Update", LABEL("x")) "]"),
			  body_of(TAGGED, 1)));
	assert_false(says(reading(TAGGED, "{}", "{\"x\":\"y\"}",
				  "[" FIELDS(API_MANAGER, "Apply", ANNOTATION("x")) "]"),
			  body_of(TAGGED, 1)));
}

static json_t *trim(json_t *endpoint, json_t *body)
{
	CLEANUP(jv_freep) json_t *have = endpoint;
	CLEANUP(jv_freep) json_t *want = body;

	return api_endpoint_trim(have, want);
}

static void test_trim(void **state)
{
	(void)state;
	assert_null(trim(body_of(TAGGED, 1), body_of(TAGGED, 1)));
	/* Apply takes away what apply has put there. */
	assert_null(trim(reading(TAGGED, "{\"x\":\"y\"}", "{}",
				 "[" FIELDS(API_MANAGER, "Apply", LABEL("x")) "]"),
			 body_of(TAGGED, 1)));
	assert_null(trim(reading(TAGGED, "{\"x\":\"y\"}", "{}",
				 "[" FIELDS("kubectl", "Update", LABEL("x")) "]"),
			 body_of(TAGGED, 1)));
	check(trim(reading(TAGGED, "{\"x\":\"y\",\"z\":\"y\"}", "{\"a.example/x\":\"y\"}",
			   "[" FIELDS(API_MANAGER, "Update", LABEL("x")) "," FIELDS(
				   API_MANAGER, "Update",
				   LABEL("app.kubernetes.io/part-of")) "," FIELDS(API_MANAGER,
										  "Update",
										  ANNOTATION(
											  "a."
											  "example/"
											  "x")) "]"),
		   body_of(TAGGED, 1)),
	      "{\"metadata\":{\"resourceVersion\":\"7\",\"labels\":{\"x\":null},"
	      "\"annotations\":{\"a.example/x\":null}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_it_says_so),
		cmocka_unit_test(test_it_says_something_else),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
