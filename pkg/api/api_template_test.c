/* SPDX-License-Identifier: Apache-2.0 */

/* spec.secretTemplate, and how many names a spec has. */

#include "api/api_test_decode.h"

#define TEMPLATE(members) SPEC(",\"secretTemplate\":" members)
#define LABELS(members)	  TEMPLATE("{\"labels\":{" members "}}")
#define NOTES(members)	  TEMPLATE("{\"annotations\":{" members "}}")
#define SIXTEEN                                                                                    \
	"\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\",\"f\":\"\",\"g\":\"\",\"h\":\"\"," \
	"\"i\":\"\",\"j\":\"\",\"k\":\"\",\"l\":\"\",\"m\":\"\",\"n\":\"\",\"o\":\"\",\"p\":\"\""

static void test_both(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(
		TEMPLATE("{\"labels\":{\"team\":\"a\",\"example.com/x\":\"\"},"
			 "\"annotations\":{\"mykubernetes.io/note\":\"two words \xc3\xa9\"}}"));
	const struct api_template *template = r->spec.template;

	(void)state;
	assert_null(r->spec.unsupported);
	assert_int_equal(template->len, 3);
	assert_false(template->tags[0].annotation);
	assert_string_equal(template->tags[0].key, "team");
	assert_string_equal(template->tags[0].value, "a");
	assert_string_equal(template->tags[1].key, "example.com/x");
	assert_string_equal(template->tags[1].value, "");
	assert_true(template->tags[2].annotation);
	assert_string_equal(template->tags[2].value, "two words \xc3\xa9");
}

static void test_none(void **state)
{
	static const char *const specs[] = {SPEC(""),	      TEMPLATE("{}"),
					    TEMPLATE("null"), TEMPLATE("{\"labels\":null}"),
					    LABELS(""),	      NOTES("")};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(specs); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(specs[i]);

		assert_null(r->spec.unsupported);
		assert_null(r->spec.template);
	}
}

static void test_sixteen(void **state)
{
	CLEANUP(api_freep) struct api_registration *r = decode(LABELS(SIXTEEN));

	(void)state;
	assert_null(r->spec.unsupported);
	assert_int_equal(r->spec.template->len, API_MAX_TAGS);
}

/* An object may have been stored under another schema. */
static void test_refused(void **state)
{
	static const char *const specs[] = {
		TEMPLATE("[]"),
		TEMPLATE("{\"labels\":[]}"),
		LABELS(SIXTEEN ",\"q\":\"\""),
		LABELS("\"\":\"a\""),
		LABELS("\"/a\":\"a\""),
		LABELS("\"a/\":\"a\""),
		LABELS("\"a/b/c\":\"a\""),
		LABELS("\"-a\":\"a\""),
		LABELS("\"a-\":\"a\""),
		LABELS("\"A.com/a\":\"a\""),
		LABELS("\"a b\":\"a\""),
		LABELS("\"0123456789012345678901234567890123456789012345678901234567890123\":\"\""),
		LABELS("\"a\":1"),
		LABELS("\"a\":\"b c\""),
		LABELS("\"a\":\"-b\""),
		LABELS("\"a\":\"b\\u0000\""),
		LABELS("\"" API_GROUP "/a\":\"a\""),
		LABELS("\"kubernetes.io/a\":\"a\""),
		LABELS("\"app.kubernetes.io/managed-by\":\"a\""),
		LABELS("\"node.k8s.io/a\":\"a\""),
		NOTES("\"argocd.argoproj.io/tracking-id\":\"a\""),
		NOTES("\"" API_GROUP "/adopt\":\"true\""),
		NOTES("\"a\":\"b\\u0000\""),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(specs); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(specs[i]);

		if (!r->spec.unsupported || !strstr(r->spec.unsupported, "spec.secretTemplate"))
			fail_msg("%s is let through", specs[i]);
		assert_null(r->spec.template);
	}
}

static void test_long_annotation(void **state)
{
	static char text[4098];
	size_t len;

	(void)state;
	for (len = sizeof(text) - 2; len < sizeof(text); len++) {
		CLEANUP(mem_freep) char *object = NULL;
		CLEANUP(api_freep) struct api_registration *r = NULL;

		memset(text, 'x', len);
		object = mem_printf(NOTES("\"a\":\"%s\""), text);
		r = decode(object);
		assert_int_equal(r->spec.unsupported == NULL, len <= 4096);
	}
}

/* Each needs a TXT value of its own. */
static void test_names(void **state)
{
	static const struct {
		const char *domains;
		unsigned int names;
	} cases[] = {
		{"\"a.test\"", 1},
		{"\"*.a.test\"", 1},
		{"\"a.test\",\"*.a.test\"", 2},
		{"\"a.test\",\"A.test.\",\"a.test\"", 1},
		{"\"*.a.test\",\"a.test\",\"*.a.test\",\"b.test\"", 3},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep)
		char *object = mem_printf(SPEC_OF(HOST, REF, "\"domains\":[%s]"), cases[i].domains);
		CLEANUP(api_freep) struct api_registration *r = decode(object);

		assert_int_equal(r->spec.names, cases[i].names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both),	cmocka_unit_test(test_none),
		cmocka_unit_test(test_sixteen), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_long_annotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
