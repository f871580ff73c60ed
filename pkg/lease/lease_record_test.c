/* SPDX-License-Identifier: Apache-2.0 */
#include "lease/lease_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jv/jv.h"

#define WALL_US INT64_C(1795514400000000) /* 2026-11-24T10:00:00Z */

static const struct lease_options options = {
	.namespace = "ns",
	.name = "operator",
	.identity = "me",
	.lease_duration_ms = 15000,
};

static json_t *parse(const char *text)
{
	json_t *doc = json_loads(text, 0, NULL);

	assert_non_null(doc);
	return doc;
}

static void assert_json(const json_t *actual, const char *expected)
{
	CLEANUP(jv_freep) json_t *doc = parse(expected);

	if (!json_equal(actual, doc))
		fail_msg("%s is not %s", json_dumps(actual, 0), expected);
}

static void test_is_free(void **state)
{
	static const struct {
		const char *object;
		int64_t unchanged_ms;
		bool is_free;
	} cases[] = {
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":2}}", 0, false},
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":2}}", 1999, false},
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":2}}", 2000, true},
		{"{\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":2}}", 0, true},
		{"{\"spec\":{\"holderIdentity\":null,\"leaseDurationSeconds\":2}}", 0, true},
		{"{\"spec\":{}}", 0, true},
		{"{}", 0, true},
		/* one that does not say how long it lasts, lasts as long as ours */
		{"{\"spec\":{\"holderIdentity\":\"you\"}}", 14999, false},
		{"{\"spec\":{\"holderIdentity\":\"you\"}}", 15000, true},
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":-1}}", 14999,
		 false},
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":\"2\"}}", 2000,
		 false},
		{"{\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":"
		 "9223372036854775807}}",
		 15000, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(jv_freep) json_t *object = parse(cases[i].object);

		assert_int_equal(lease_record_is_free(object, cases[i].unchanged_ms, 15000),
				 cases[i].is_free);
	}
}

static void test_same(void **state)
{
	CLEANUP(jv_freep)
	json_t *one = parse("{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"a\":1}}");
	CLEANUP(jv_freep)
	json_t *annotated = parse("{\"metadata\":{\"resourceVersion\":\"2\"},\"spec\":{\"a\":1}}");
	CLEANUP(jv_freep)
	json_t *renewed = parse("{\"metadata\":{\"resourceVersion\":\"3\"},\"spec\":{\"a\":2}}");

	(void)state;
	assert_true(lease_record_same(one, annotated));
	assert_false(lease_record_same(one, renewed));
}

static void test_new(void **state)
{
	CLEANUP(jv_freep) json_t *created = lease_record_new(&options, WALL_US);

	(void)state;
	assert_json(created, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\","
			     "\"metadata\":{\"namespace\":\"ns\",\"name\":\"operator\"},"
			     "\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,"
			     "\"acquireTime\":\"2026-11-24T10:00:00.000000Z\","
			     "\"renewTime\":\"2026-11-24T10:00:00.000000Z\","
			     "\"leaseTransitions\":0}}");
}

static void test_taken_over(void **state)
{
	CLEANUP(jv_freep)
	json_t *theirs = parse("{\"metadata\":{\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"}},"
			       "\"spec\":{\"holderIdentity\":\"you\",\"leaseDurationSeconds\":1,"
			       "\"acquireTime\":\"x\",\"renewTime\":\"y\",\"leaseTransitions\":4,"
			       "\"strategy\":\"OldestEmulationVersion\"},\"later\":[1]}");
	CLEANUP(jv_freep) json_t *ours = lease_record_claimed(theirs, &options, WALL_US + 1);

	(void)state;
	assert_json(ours, "{\"metadata\":{\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"}},"
			  "\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,"
			  "\"acquireTime\":\"2026-11-24T10:00:00.000001Z\","
			  "\"renewTime\":\"2026-11-24T10:00:00.000001Z\",\"leaseTransitions\":5,"
			  "\"strategy\":\"OldestEmulationVersion\"},\"later\":[1]}");
	assert_true(lease_record_holds(theirs, "you"));
}

static void test_renewed(void **state)
{
	CLEANUP(jv_freep)
	json_t *before =
		parse("{\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,"
		      "\"acquireTime\":\"x\",\"renewTime\":\"y\",\"leaseTransitions\":4}}");
	CLEANUP(jv_freep) json_t *after = lease_record_claimed(before, &options, WALL_US);

	(void)state;
	assert_json(after, "{\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,"
			   "\"acquireTime\":\"x\",\"renewTime\":\"2026-11-24T10:00:00.000000Z\","
			   "\"leaseTransitions\":4}}");
}

static void test_released(void **state)
{
	CLEANUP(jv_freep)
	json_t *ours = parse("{\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,"
			     "\"acquireTime\":\"x\",\"renewTime\":\"y\",\"leaseTransitions\":4}}");
	CLEANUP(jv_freep) json_t *released = lease_record_released(ours, WALL_US);

	(void)state;
	assert_json(released, "{\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1,"
			      "\"acquireTime\":\"2026-11-24T10:00:00.000000Z\","
			      "\"renewTime\":\"2026-11-24T10:00:00.000000Z\","
			      "\"leaseTransitions\":4}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_free), cmocka_unit_test(test_same),
		cmocka_unit_test(test_new),	cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_renewed), cmocka_unit_test(test_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
