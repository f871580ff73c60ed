/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_test_decode.h"

static void test_full(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(
		"{\"metadata\":{\"name\":\"n\",\"namespace\":\"ns\",\"uid\":\"u\",\"generation\":7,"
		"\"resourceVersion\":\"42\",\"deletionTimestamp\":\"2026-11-24T10:00:00Z\","
		"\"annotations\":{\"other/rotate\":\"1\"}},"
		"\"spec\":{\"host\":\"HTTPS://Auth.example.com:443/base/\","
		"\"accountSecretRef\":{\"name\":\"my.secret-1\",\"key\":\"a.json\"},"
		"\"domains\":[\"*.Example.com\",\"www.example.org.\",\"example.com\"],"
		"\"allowFrom\":[\"10.0.0.0/8\",\"2001:db8::/32\"],\"accountPolicy\":\"Shared\","
		"\"deletionPolicy\":\"Retain\",\"suspend\":false,\"cname\":{\"verify\":true},"
		"\"unknown\":[1]},"
		"\"status\":{\"observedGeneration\":6,\"conditions\":[{\"type\":\"Ready\","
		"\"status\":\"True\",\"reason\":\"Ready\",\"message\":\"m\",\"observedGeneration\":"
		"5,"
		"\"lastTransitionTime\":\"1970-01-01T00:01:00Z\"}],"
		"\"records\":[{\"domain\":\"example.com\",\"value\":\"x.auth.example.com\"}]}}");
	const struct api_condition *ready = &r->status.conditions[API_READY];

	(void)state;
	assert_string_equal(r->namespace, "ns");
	assert_string_equal(r->name, "n");
	assert_string_equal(r->uid, "u");
	assert_string_equal(r->resource_version, "42");
	assert_int_equal(r->generation, 7);
	assert_true(r->deleting);
	assert_null(r->spec.unsupported);
	assert_string_equal(r->spec.host, "https://auth.example.com/base");
	assert_string_equal(r->spec.secret_name, "my.secret-1");
	assert_string_equal(r->spec.secret_key, "a.json");
	assert_int_equal(r->spec.domains_len, 2);
	assert_int_equal(api_domain_index(&r->spec, "example.com"), 0);
	assert_int_equal(api_domain_index(&r->spec, "www.example.org"), 1);
	assert_int_equal(api_domain_index(&r->spec, "example.net"), -1);
	assert_int_equal(r->spec.allow_from_len, 2);
	assert_string_equal(r->spec.allow_from[1], "2001:db8::/32");
	assert_int_equal(r->spec.policy, API_SHARED);
	assert_int_equal(r->status.observed_generation, 6);
	assert_true(ready->present);
	assert_int_equal(ready->status, API_TRUE);
	assert_int_equal(ready->reason, API_REASON_READY);
	assert_string_equal(ready->message, "m");
	assert_int_equal(ready->observed_generation, 5);
	assert_int_equal(ready->transition_s, 60);
	assert_false(r->status.conditions[API_STALLED].present);
	assert_true(r->spec.verify);
	assert_string_equal(api_record_value(&r->status, "example.com"), "x.auth.example.com");
	assert_null(api_record_value(&r->status, "www.example.org"));
}

static void test_minimal(void **state)
{
	CLEANUP(api_freep) struct api_registration *r = decode(SPEC(""));
	size_t i;

	(void)state;
	assert_string_equal(r->namespace, "");
	assert_string_equal(r->resource_version, "");
	assert_int_equal(r->generation, 0);
	assert_false(r->deleting);
	assert_null(r->spec.unsupported);
	assert_string_equal(r->spec.secret_key, "acmedns.json");
	assert_int_equal(r->spec.policy, API_PER_DOMAIN);
	assert_int_equal(r->spec.allow_from_len, 0);
	assert_int_equal(r->status.observed_generation, -1);
	assert_int_equal(r->status.records_len, 0);
	for (i = 0; i < API_TYPES; i++)
		assert_false(r->status.conditions[i].present);
}

static void test_nameless(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[]",
		"null",
		"1",
		"{\"metadata\":[]}",
		"{\"metadata\":{\"name\":\"a\"}}",
		"{\"metadata\":{\"uid\":\"a\"}}",
		"{\"metadata\":{\"name\":\"\",\"uid\":\"a\"}}",
		"{\"metadata\":{\"name\":1,\"uid\":\"a\"}}",
		"{\"metadata\":{\"name\":\"a\",\"uid\":{}}}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(jv_freep) json_t *object = parse(cases[i]);

		assert_null(api_decode(object));
	}
	assert_null(api_decode(NULL));
	api_free(NULL);
}

static void test_folding(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r =
		decode(SPEC_OF(HOST, REF,
			       "\"domains\":[\"b.example\",\"*.a.example\",\"A.EXAMPLE.\",\"*.b."
			       "example\",\"c.a.example\"]"));

	(void)state;
	assert_null(r->spec.unsupported);
	assert_int_equal(r->spec.domains_len, 3);
	assert_string_equal(r->spec.domains[0], "b.example");
	assert_string_equal(r->spec.domains[1], "a.example");
	assert_string_equal(r->spec.domains[2], "c.a.example");
}

/* What the schema should have refused, and what this version does not do. */
static const struct {
	const char *object;
	const char *starts;
} unsupported[] = {
	{"{" META "}", "spec.host: "},
	{"{" META ",\"spec\":[]}", "spec.host: "},
	{"{" META ",\"spec\":\"x\"}", "spec.host: "},
	{SPEC_OF("\"host\":\"auth.example.com\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"https://a/?b\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"https://a\\u0000.allowed.example\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":[\"https://a\"]", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://2852039166/\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://0x7f.1\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://0251.0376.0251.0376\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://svc\\\\@evil\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://a#@b\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"http://a/%2e%2e/\"", REF, DOMS), "spec.host: "},
	{SPEC_OF("\"host\":\"file:///etc/passwd\"", REF, DOMS), "spec.host: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":1", DOMS), "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{}", DOMS), "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a/b\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"..\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a..b\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a-.b\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a.-b\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"-a\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a.\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"A\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\\u0000b\"}", DOMS),
	 "spec.accountSecretRef.name: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":\"\"}", DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":1}", DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":\".\"}", DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":\"..x\"}", DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":\"acme-dns-operator.json\"}",
		 DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"a\",\"key\":\"a/b\"}", DOMS),
	 "spec.accountSecretRef.key: "},
	{SPEC_OF(HOST, REF, "\"domains\":[]"), "spec.domains: "},
	{SPEC_OF(HOST, REF, "\"domains\":\"example.com\""), "spec.domains: "},
	{SPEC_OF(HOST, REF, "\"domains\":{\"example.com\":1}"), "spec.domains: "},
	{SPEC_OF(HOST, REF, "\"domains\":null"), "spec.domains: "},
	{SPEC_OF(HOST, REF, "\"domains\":[\"example.com\",1]"), "spec.domains[1]: "},
	{SPEC_OF(HOST, REF, "\"domains\":[null]"), "spec.domains[0]: "},
	{SPEC_OF(HOST, REF, "\"domains\":[[\"a.b\"]]"), "spec.domains[0]: "},
	{SPEC_OF(HOST, REF, "\"domains\":[\"192.0.2.1\"]"), "spec.domains[0]: "},
	{SPEC_OF(HOST, REF, "\"domains\":[\"a\\u0000.b\"]"), "spec.domains[0]: "},
	{SPEC_OF(HOST, REF,
		 "\"domains\":[\"b\xc3\xbc"
		 "cher.example\"]"),
	 "spec.domains[0]: "},
	{SPEC(",\"allowFrom\":\"10.0.0.0/8\""), "spec.allowFrom: "},
	{SPEC(",\"allowFrom\":{}"), "spec.allowFrom: "},
	{SPEC(",\"allowFrom\":[\"10.0.0.0/8\",\"10.0.0.1\"]"), "spec.allowFrom[1]: "},
	{SPEC(",\"allowFrom\":[1]"), "spec.allowFrom[0]: "},
	{SPEC(",\"allowFrom\":[\"10.0.0.0/8\\u0000\"]"), "spec.allowFrom[0]: "},
	{SPEC(",\"allowFrom\":[\"::/00000000000000000000000000000000000000000000000\"]"),
	 "spec.allowFrom[0]: "},
	{SPEC(",\"accountPolicy\":\"shared\""), "spec.accountPolicy: "},
	{SPEC(",\"accountPolicy\":\"\""), "spec.accountPolicy: "},
	{SPEC(",\"accountPolicy\":1"), "spec.accountPolicy: "},
	{SPEC(",\"secretTemplate\":[]"), "spec.secretTemplate: "},
	{SPEC(",\"suspend\":\"true\""), "spec.suspend: "},
	{SPEC(",\"cname\":{\"verify\":1}"), "spec.cname.verify: "},
	{SPEC(",\"deletionPolicy\":\"delete\""), "spec.deletionPolicy: "},
	{SPEC(",\"deletionPolicy\":[]"), "spec.deletionPolicy: "},
};

static void test_unsupported(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(unsupported); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(unsupported[i].object);
		const char *said = r->spec.unsupported ? r->spec.unsupported : "";
		size_t len = strlen(unsupported[i].starts);

		if (strncmp(said, unsupported[i].starts, len) != 0 || strlen(said) <= len)
			fail_msg("%s: %s", unsupported[i].object, said);
		assert_non_null(r->spec.host);
		assert_non_null(r->spec.secret_name);
		assert_non_null(r->spec.secret_key);
	}
}

static const struct act {
	const char *annotation;
	size_t field;
} acts[] = {
	{API_ANNOTATION_ROTATE, offsetof(struct api_registration, rotate)},
	{API_ANNOTATION_PROBE, offsetof(struct api_registration, probe)},
	{API_ANNOTATION_VERIFY, offsetof(struct api_registration, verify)},
};

static struct api_registration *decode_annotated(const char *annotation, const char *value)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"metadata\":{\"name\":\"a\",\"uid\":\"b\","
				"\"annotations\":{\"%s\":\"%s\"}},"
				"\"spec\":{" HOST "," REF "," DOMS "}}",
				annotation, value);

	return decode(text);
}

static const char *act_of(const struct api_registration *r, const struct act *act)
{
	const char *text;

	memcpy(&text, (const char *)r + act->field, sizeof(text));
	return text;
}

static void test_acts(void **state)
{
	CLEANUP(mem_freep) char *value = mem_zalloc(API_MAX_ACT + 2);
	size_t i;
	size_t k;

	(void)state;
	memset(value, 'x', API_MAX_ACT + 1);
	for (i = 0; i < ARRAY_LEN(acts); i++) {
		CLEANUP(api_freep)
		struct api_registration *r = decode_annotated(acts[i].annotation, "2026-11-24");
		CLEANUP(api_freep)
		struct api_registration *too_long = decode_annotated(acts[i].annotation, value);

		for (k = 0; k < ARRAY_LEN(acts); k++)
			assert_string_equal(act_of(r, &acts[k]), k == i ? "2026-11-24" : "");
		assert_null(r->spec.unsupported);
		assert_non_null(strstr(too_long->spec.unsupported, acts[i].annotation));
		assert_string_equal(act_of(too_long, &acts[i]), "");
	}
}

static void test_verify(void **state)
{
	CLEANUP(api_freep) struct api_registration *none = decode(SPEC(""));
	CLEANUP(api_freep)
	struct api_registration *off = decode(SPEC(",\"cname\":{\"verify\":false}"));

	(void)state;
	assert_true(none->spec.verify);
	assert_false(off->spec.verify);
	assert_null(off->spec.unsupported);
}

/* An empty authentication is none. */
static void test_fields_that_ask_for_nothing(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(SPEC(",\"registrationAuth\":{\"headers\":[]},"
						 "\"cname\":{\"dnsEndpoint\":{}}"));

	(void)state;
	assert_null(r->spec.unsupported);
}

/* null is absent, as for the API server. */
static void test_null_fields(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(SPEC(
		",\"allowFrom\":null,\"accountPolicy\":null,\"registrationAuth\":null,"
		"\"caBundle\":null,\"caBundleRef\":null,\"secretTemplate\":null,\"cname\":null,"
		"\"suspend\":null,\"deletionPolicy\":null"));

	(void)state;
	assert_null(r->spec.unsupported);
}

/* A list of count items, made from a format with the index. */
static struct api_registration *decode_list(const char *field, const char *start, int count,
					    const char *end)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(65536);
	int i;

	(void)buf_addf(&text, "{" META ",\"spec\":{" HOST "," REF ",\"%s\":[", field);
	for (i = 0; i < count; i++)
		(void)buf_addf(&text, "%s\"%s%d%s\"", i ? "," : "", start, i, end);
	assert_int_equal(buf_adds(&text, strcmp(field, "domains") == 0 ? "]}}" : "]," DOMS "}}"),
			 0);
	return decode(buf_str(&text));
}

static void test_bounds(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *domains = decode_list("domains", "d", 100, ".example");
	CLEANUP(api_freep)
	struct api_registration *more_domains = decode_list("domains", "d", 101, ".example");
	CLEANUP(api_freep)
	struct api_registration *cidrs = decode_list("allowFrom", "10.0.", 100, ".0/24");
	CLEANUP(api_freep)
	struct api_registration *more_cidrs = decode_list("allowFrom", "10.0.", 101, ".0/24");

	(void)state;
	assert_null(domains->spec.unsupported);
	assert_int_equal(domains->spec.domains_len, 100);
	assert_non_null(strstr(more_domains->spec.unsupported, "100"));
	assert_int_equal(more_domains->spec.domains_len, 0);
	assert_null(cidrs->spec.unsupported);
	assert_int_equal(cidrs->spec.allow_from_len, 100);
	assert_non_null(strstr(more_cidrs->spec.unsupported, "100"));
	assert_int_equal(more_cidrs->spec.allow_from_len, 0);
}

/* Kubernetes has longer labels than DNS, and keys may start with a dot. */
static void test_long_secret_ref(void **state)
{
	static const struct {
		int name_len;
		int key_len;
		bool good;
	} cases[] = {{253, 240, true}, {254, 240, false}, {253, 241, false}};
	static char as[256];
	size_t i;

	(void)state;
	memset(as, 'a', sizeof(as) - 1);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf(
			SPEC_OF(HOST, "\"accountSecretRef\":{\"name\":\"%.*s\",\"key\":\".%.*s\"}",
				DOMS),
			cases[i].name_len, as, cases[i].key_len - 1, as);
		CLEANUP(api_freep) struct api_registration *r = decode(text);

		assert_int_equal(!r->spec.unsupported, cases[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_nameless),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_acts),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_fields_that_ask_for_nothing),
		cmocka_unit_test(test_null_fields),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_long_secret_ref),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
