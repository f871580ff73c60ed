/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_test_decode.h"
#include "base/intern.h"

static void test_names(void **state)
{
	int i;
	int k;

	(void)state;
	for (i = 0; i < API_TYPES; i++)
		assert_true(*api_type_name((enum api_type)i));
	for (i = 0; i < API_REASONS; i++)
		for (k = 0; k <= i; k++)
			assert_int_equal(strcmp(api_reason_name((enum api_reason)i),
						api_reason_name((enum api_reason)k)) == 0,
					 i == k);
}

static void test_decode_conditions(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(
		"{" META ",\"status\":{\"observedGeneration\":\"x\",\"conditions\":["
		"{\"type\":\"Registered\",\"status\":\"False\",\"reason\":\"ServerUnavailable\","
		"\"message\":1,\"lastTransitionTime\":\"yesterday\"},"
		"{\"type\":\"Registered\",\"status\":\"True\",\"reason\":\"Registered\"},"
		"{\"type\":\"SecretReady\",\"status\":\"Maybe\",\"reason\":\"OfAnotherVersion\"},"
		"{\"type\":\"CNAMEReady\",\"status\":true,\"reason\":\"ready\"},"
		"{\"type\":\"Stalled\"},"
		"{\"type\":\"Foreign\",\"status\":\"True\"},{\"type\":1},{},[],null,1,\"Ready\"]}"
		"}");
	const struct api_condition *c = r->status.conditions;

	(void)state;
	assert_int_equal(r->status.observed_generation, -1);
	assert_true(c[API_REGISTERED].present);
	assert_int_equal(c[API_REGISTERED].status, API_FALSE);
	assert_int_equal(c[API_REGISTERED].reason, API_REASON_SERVER_UNAVAILABLE);
	assert_string_equal(c[API_REGISTERED].message, "");
	assert_int_equal(c[API_REGISTERED].transition_s, -1);
	assert_int_equal(c[API_SECRET_READY].status, API_UNKNOWN);
	assert_int_equal(c[API_SECRET_READY].reason, API_REASON_OTHER);
	assert_int_equal(c[API_CNAME_READY].status, API_UNKNOWN);
	assert_int_equal(c[API_CNAME_READY].reason, API_REASON_OTHER);
	assert_true(c[API_STALLED].present);
	assert_false(c[API_READY].present);
	assert_false(c[API_CREDENTIALS_VALID].present);
}

static void test_decode_every_reason(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < API_REASONS; i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf("{" META ",\"status\":{\"conditions\":[{\"type\":\"Ready\","
					"\"reason\":\"%s\"}]}}",
					api_reason_name((enum api_reason)i));
		CLEANUP(api_freep) struct api_registration *r = decode(text);

		assert_int_equal(r->status.conditions[API_READY].reason, i);
	}
}

static void test_decode_hostile_status(void **state)
{
	static const char *const statuses[] = {
		"null",
		"1",
		"[]",
		"{\"conditions\":{}}",
		"{\"records\":{}}",
		"{\"conditions\":\"x\",\"records\":1}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf("{" META ",\"status\":%s}", statuses[i]);
		CLEANUP(api_freep) struct api_registration *r = decode(text);
		struct api_status none;

		api_status_init(&none, -1);
		assert_true(api_status_equal(&r->status, &none));
	}
}

static void test_decode_records(void **state)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(65536);
	int i;

	(void)state;
	(void)buf_adds(&text, "{" META ",\"status\":{\"records\":[1,{},{\"domain\":\"a\"}");
	for (i = 0; i < 100; i++)
		(void)buf_addf(&text, ",{\"domain\":\"d%d\",\"value\":\"v%d\"}", i, i);
	assert_int_equal(buf_adds(&text, "]}}"), 0);
	CLEANUP(api_freep) struct api_registration *r = decode(buf_str(&text));
	assert_int_equal(r->status.records_len, API_MAX_DOMAINS);
	assert_string_equal(api_record_value(&r->status, "a"), "");
	assert_string_equal(api_record_value(&r->status, "d96"), "v96");
	assert_null(api_record_value(&r->status, "d97"));
}

/* A status to be varied. */
static void fill(struct api_status *status)
{
	api_status_init(status, 3);
	api_status_set(status, API_READY, API_TRUE, API_REASON_READY, "fine");
	api_status_set(status, API_CNAME_READY, API_UNKNOWN, API_REASON_VERIFICATION_DISABLED, "");
	api_status_add_record(status, "a.example", "x.auth");
	api_status_add_record(status, "b.example", "y.auth");
	api_record_set(&status->records[1], CNAME_MISMATCH, "z.example.net");
}

static void set_text(char **text, const char *value)
{
	free(*text);
	*text = mem_strdup(value);
}

static void vary(struct api_status *status, int way)
{
	struct api_condition *ready = &status->conditions[API_READY];

	switch (way) {
	case 0:
		status->observed_generation = 4;
		break;
	case 1:
		ready->status = API_FALSE;
		break;
	case 2:
		ready->reason = API_REASON_OTHER;
		break;
	case 3:
		intern_put(ready->message);
		ready->message = intern_get("finer");
		break;
	case 4:
		ready->observed_generation = 4;
		break;
	case 5:
		ready->present = false;
		break;
	case 6:
		api_status_set(status, API_STALLED, API_TRUE, API_REASON_HOST_CHANGED, "");
		break;
	case 7:
		api_status_add_record(status, "c.example", "z.auth");
		break;
	case 8:
		set_text(&status->records[1].domain, "c.example");
		break;
	case 9:
		api_record_set(&status->records[1], CNAME_MISMATCH, "x.example.net");
		break;
	case 10:
		api_record_set(&status->records[1], CNAME_MISSING, "z.example.net");
		break;
	case 11:
		api_status_set_handled(status, NULL, NULL, "1");
		break;
	default:
		set_text(&status->records[0].value, "z.auth");
		break;
	}
}

static void test_equal(void **state)
{
	int way;

	(void)state;
	for (way = 0; way < 13; way++) {
		CLEANUP(api_status_donep) struct api_status a;
		CLEANUP(api_status_donep) struct api_status b;

		fill(&a);
		fill(&b);
		a.conditions[API_READY].transition_s = 1;
		b.conditions[API_READY].transition_s = 2;
		a.records[0].transition_s = 3;
		assert_true(api_status_equal(&a, &b));
		vary(&b, way);
		assert_false(api_status_equal(&a, &b));
		assert_false(api_status_equal(&b, &a));
	}
}

static void test_set_again(void **state)
{
	CLEANUP(api_status_donep) struct api_status status;

	(void)state;
	fill(&status);
	api_status_set(&status, API_READY, API_FALSE, API_REASON_HOST_CHANGED, "moved");
	assert_int_equal(status.conditions[API_READY].status, API_FALSE);
	assert_int_equal(status.conditions[API_READY].reason, API_REASON_HOST_CHANGED);
	assert_string_equal(status.conditions[API_READY].message, "moved");
	assert_int_equal(status.conditions[API_READY].observed_generation, 3);
}

/* What is cut to fit may be cut within a character. */
static void test_set_cut(void **state)
{
	static const struct {
		const char *message;
		const char *want;
	} cases[] = {
		{"", ""},
		{"m", "m"},
		{"m\xc3\xa9", "m\xc3\xa9"},
		{"m\xc3", "m"},
		{"m\xe2\x82\xac", "m\xe2\x82\xac"},
		{"m\xe2\x82", "m"},
		{"\xe2", ""},
		{"m\xf0\x9f\x98\x80", "m\xf0\x9f\x98\x80"},
		{"m\xf0\x9f\x98", "m"},
		{"m\xf0", "m"},
	};
	CLEANUP(api_status_donep) struct api_status status;
	size_t i;

	(void)state;
	api_status_init(&status, -1);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		api_status_set(&status, API_READY, API_TRUE, API_REASON_READY, cases[i].message);
		assert_string_equal(status.conditions[API_READY].message, cases[i].want);
	}
}

/* ---- the patch ---- */

static void test_patch(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *have = decode(
		"{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"42\"},"
		"\"status\":{"
		"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Stored\","
		"\"message\":\"\",\"lastTransitionTime\":\"2026-11-24T10:00:00Z\"},"
		"{\"type\":\"Registered\",\"status\":\"Unknown\",\"reason\":\"Registering\","
		"\"message\":\"\",\"lastTransitionTime\":\"2026-11-24T10:00:00Z\"},"
		"{\"type\":\"SecretReady\",\"status\":\"True\",\"lastTransitionTime\":\"?\"},"
		"{\"type\":\"Reconciling\",\"status\":\"True\"}],"
		"\"records\":[{\"domain\":\"a.example\",\"value\":\"another.auth\","
		"\"lastTransitionTime\":\"2026-11-24T11:00:00Z\"},{\"domain\":\"b.example\","
		"\"value\":\"y.auth\",\"verification\":\"Mismatch\","
		"\"lastTransitionTime\":\"2026-11-24T11:00:00Z\"}]}}");
	CLEANUP(jv_freep)
	json_t *expected = parse(
		"{\"metadata\":{\"resourceVersion\":\"42\"},\"status\":{\"observedGeneration\":3,"
		"\"conditions\":["
		"{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Ready\",\"message\":\"fine\","
		"\"observedGeneration\":3,\"lastTransitionTime\":\"2026-11-24T10:00:00Z\"},"
		"{\"type\":\"Registered\",\"status\":\"True\",\"reason\":\"Registered\","
		"\"message\":\"\",\"observedGeneration\":3,"
		"\"lastTransitionTime\":\"1970-01-02T00:00:00Z\"},"
		"{\"type\":\"SecretReady\",\"status\":\"True\",\"reason\":\"Stored\",\"message\":"
		"\"\","
		"\"observedGeneration\":3,\"lastTransitionTime\":\"1970-01-02T00:00:00Z\"},"
		"{\"type\":\"CNAMEReady\",\"status\":\"Unknown\",\"reason\":"
		"\"VerificationDisabled\","
		"\"message\":\"\",\"observedGeneration\":3,"
		"\"lastTransitionTime\":\"1970-01-02T00:00:00Z\"}],"
		"\"records\":[{\"domain\":\"a.example\",\"name\":\"_acme-challenge.a.example\","
		"\"type\":\"CNAME\",\"value\":\"x.auth\",\"verification\":\"Unknown\","
		"\"observed\":\"\",\"lastTransitionTime\":\"1970-01-02T00:00:00Z\"},"
		"{\"domain\":\"b.example\",\"name\":\"_acme-challenge.b.example\","
		"\"type\":\"CNAME\",\"value\":\"y.auth\",\"verification\":\"Mismatch\","
		"\"observed\":\"z.example.net\","
		"\"lastTransitionTime\":\"2026-11-24T11:00:00Z\"}]}}");
	CLEANUP(api_status_donep) struct api_status want;
	CLEANUP(jv_freep) json_t *patch = NULL;

	(void)state;
	fill(&want);
	api_status_set(&want, API_REGISTERED, API_TRUE, API_REASON_REGISTERED_ALL, "");
	api_status_set(&want, API_SECRET_READY, API_TRUE, API_REASON_STORED, "");
	patch = api_status_patch(have, &want, 86400);
	if (!json_equal(patch, expected)) {
		size_t len;
		CLEANUP(mem_freep) char *text = jv_text(patch, &len);

		fail_msg("%s", text);
	}
}

/* What a patch says is what decoding it gives, and empty lists are said, not left out. */
static void test_patch_round_trip(void **state)
{
	CLEANUP(api_freep) struct api_registration *have = decode(SPEC(""));
	CLEANUP(api_freep) struct api_registration *again = NULL;
	CLEANUP(api_status_donep) struct api_status want;
	CLEANUP(jv_freep) json_t *patch = NULL;
	CLEANUP(jv_freep) json_t *object = parse(SPEC(""));
	int i;

	(void)state;
	fill(&want);
	for (i = 0; i < API_TYPES; i++)
		api_status_set(&want, (enum api_type)i, (enum api_status_value)(i % 3),
			       (enum api_reason)(i + 1), "m\xc3\xbc");
	api_status_set_handled(&want, "1", "2", "3");
	patch = api_status_patch(have, &want, 7);
	jv_set(object, "status", json_incref(json_object_get(patch, "status")));
	again = api_decode(object);
	assert_true(api_status_equal(&again->status, &want));
	assert_int_equal(again->status.conditions[API_STALLED].transition_s, 7);
	assert_int_equal(again->status.records[0].transition_s, 7);

	api_status_done(&want);
	json_decref(patch);
	patch = api_status_patch(have, &want, 7);
	assert_int_equal(json_array_size(jv_array(patch, "status.conditions")), 0);
	assert_non_null(jv_array(patch, "status.conditions"));
	assert_non_null(jv_array(patch, "status.records"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_decode_conditions),
		cmocka_unit_test(test_decode_every_reason),
		cmocka_unit_test(test_decode_hostile_status),
		cmocka_unit_test(test_decode_records),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_set_again),
		cmocka_unit_test(test_set_cut),
		cmocka_unit_test(test_patch),
		cmocka_unit_test(test_patch_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
