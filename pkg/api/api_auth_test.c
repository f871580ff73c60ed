/* SPDX-License-Identifier: Apache-2.0 */

/* spec.registrationAuth, spec.caBundle, spec.caBundleRef. */

#include "api/api_test_decode.h"
#include "base/enc.h"

#define BASIC(ref)	 ",\"registrationAuth\":{\"basic\":{\"secretRef\":" ref "}}"
#define HEADERS(items)	 ",\"registrationAuth\":{\"headers\":[" items "]}"
#define FIELD(name)	 "{\"name\":\"" name "\",\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}"
#define FIELD_REF(ref)	 "{\"name\":\"X-Token\",\"secretKeyRef\":" ref "}"
#define CA_REF(members)	 ",\"caBundleRef\":{" members "}"
#define REFUSED_AUTH	 "spec.registrationAuth: "
#define REFUSED_BASIC	 "spec.registrationAuth.basic.secretRef: "
#define REFUSED_HEADERS	 "spec.registrationAuth.headers: "
#define REFUSED_FIELD(i) "spec.registrationAuth.headers[" #i "]: "
#define REFUSED_CA	 "spec.caBundle: "
#define REFUSED_CA_REF	 "spec.caBundleRef: "

static void test_basic(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r =
		decode(SPEC(",\"registrationAuth\":{\"basic\":{\"secretRef\":{\"name\":\"a.b\"}},"
			    "\"headers\":[]}"));

	(void)state;
	assert_null(r->spec.unsupported);
	assert_string_equal(r->spec.auth->basic_secret, "a.b");
	assert_int_equal(r->spec.auth->headers_len, 0);
	assert_null(r->spec.auth->ca_pem);
	assert_null(r->spec.auth->ca_config_map);
}

static void test_headers(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(SPEC(HEADERS(
		FIELD("Authorization") "," FIELD_REF("{\"name\":\"t\",\"key\":\".token\"}"))));
	const struct api_auth *auth = r->spec.auth;

	(void)state;
	assert_null(r->spec.unsupported);
	assert_null(auth->basic_secret);
	assert_int_equal(auth->headers_len, 2);
	assert_string_equal(auth->headers[0].name, "Authorization");
	assert_string_equal(auth->headers[0].secret, "s");
	assert_string_equal(auth->headers[0].key, "k");
	assert_string_equal(auth->headers[1].name, "X-Token");
	assert_string_equal(auth->headers[1].secret, "t");
	assert_string_equal(auth->headers[1].key, ".token");
}

static void test_ca_bundle(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(SPEC(",\"caBundle\":\"cGVt\""));
	CLEANUP(api_freep)
	struct api_registration *again = decode(SPEC(",\"caBundle\":\"cG\\nVt\""));
	/* "pem" and a NUL: nothing that could be read two ways. */
	CLEANUP(api_freep)
	struct api_registration *binary = decode(SPEC(",\"caBundle\":\"cGVtAA==\""));

	(void)state;
	assert_null(r->spec.unsupported);
	assert_string_equal(r->spec.auth->ca_pem, "pem");
	assert_ptr_equal(r->spec.auth->ca_pem, again->spec.auth->ca_pem);
	assert_string_equal(binary->spec.auth->ca_pem, "");
	assert_null(r->spec.auth->ca_config_map);
}

static void test_ca_ref(void **state)
{
	CLEANUP(api_freep)
	struct api_registration *r = decode(
		SPEC(CA_REF("\"kind\":\"ConfigMap\",\"name\":\"roots\",\"key\":\"ca.crt\"")));
	CLEANUP(api_freep)
	struct api_registration *short_form =
		decode(SPEC(CA_REF("\"name\":\"roots\",\"key\":\"ca.crt\"")));

	(void)state;
	assert_null(r->spec.unsupported);
	assert_string_equal(r->spec.auth->ca_config_map, "roots");
	assert_string_equal(r->spec.auth->ca_key, "ca.crt");
	assert_null(r->spec.auth->ca_pem);
	assert_string_equal(short_form->spec.auth->ca_config_map, "roots");
}

static void test_none(void **state)
{
	static const char *const specs[] = {
		SPEC(""),
		SPEC(",\"registrationAuth\":{}"),
		SPEC(",\"registrationAuth\":{\"headers\":[]}"),
		SPEC(",\"registrationAuth\":null,\"caBundle\":null,\"caBundleRef\":null"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(specs); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(specs[i]);

		assert_null(r->spec.auth);
		assert_null(r->spec.unsupported);
	}
}

static const struct {
	const char *object;
	const char *starts;
} refused[] = {
	{SPEC(",\"registrationAuth\":\"basic\""), REFUSED_AUTH},
	{SPEC(",\"registrationAuth\":{\"basic\":{}}"), REFUSED_BASIC},
	{SPEC(",\"registrationAuth\":{\"basic\":\"a\"}"), REFUSED_BASIC},
	{SPEC(BASIC("\"a\"")), REFUSED_BASIC},
	{SPEC(BASIC("{\"name\":\"\"}")), REFUSED_BASIC},
	{SPEC(BASIC("{\"name\":\"../x\"}")), REFUSED_BASIC},
	{SPEC(BASIC("{\"name\":\"a\\u0000b\"}")), REFUSED_BASIC},
	{SPEC(",\"registrationAuth\":{\"basic\":{\"secretRef\":{\"name\":\"a\"}},"
	      "\"headers\":[" FIELD("X-Token") "]}"),
	 REFUSED_AUTH},
	{SPEC(",\"registrationAuth\":{\"headers\":{}}"), REFUSED_HEADERS},
	{SPEC(",\"registrationAuth\":{\"headers\":\"X-Token\"}"), REFUSED_HEADERS},
	{SPEC(HEADERS("1")), REFUSED_FIELD(0)},
	{SPEC(HEADERS("{\"name\":\"X-Token\"}")), REFUSED_FIELD(0)},
	{SPEC(HEADERS(FIELD("X-Token") "," FIELD_REF("{}"))), REFUSED_FIELD(1)},
	{SPEC(HEADERS(FIELD_REF("{\"name\":\"a\"}"))), REFUSED_FIELD(0)},
	{SPEC(HEADERS(FIELD_REF("{\"key\":\"a\"}"))), REFUSED_FIELD(0)},
	{SPEC(HEADERS(FIELD_REF("{\"name\":\"a\",\"key\":\"..\"}"))), REFUSED_FIELD(0)},
	{SPEC(HEADERS(FIELD_REF("{\"name\":\"a\",\"key\":\"a/b\"}"))), REFUSED_FIELD(0)},
	{SPEC(HEADERS(FIELD("X-Token") "," FIELD("x-tOKEN"))), REFUSED_FIELD(1)},
	{SPEC(",\"caBundle\":\"\""), REFUSED_CA},
	{SPEC(",\"caBundle\":1"), REFUSED_CA},
	{SPEC(",\"caBundle\":\"cGVt!\""), REFUSED_CA},
	{SPEC(",\"caBundle\":\"cGVt\"" CA_REF("\"name\":\"a\",\"key\":\"b\"")), REFUSED_CA_REF},
	{SPEC(",\"caBundleRef\":\"a\""), REFUSED_CA_REF},
	{SPEC(CA_REF("\"name\":\"a\"")), REFUSED_CA_REF},
	{SPEC(CA_REF("\"key\":\"a\"")), REFUSED_CA_REF},
	{SPEC(CA_REF("\"name\":\"A\",\"key\":\"a\"")), REFUSED_CA_REF},
	{SPEC(CA_REF("\"kind\":\"Secret\",\"name\":\"a\",\"key\":\"a\"")), REFUSED_CA_REF},
	{SPEC(CA_REF("\"kind\":1,\"name\":\"a\",\"key\":\"a\"")), REFUSED_CA_REF},
};

static void test_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		CLEANUP(api_freep) struct api_registration *r = decode(refused[i].object);
		const char *said = r->spec.unsupported ? r->spec.unsupported : "";
		size_t len = strlen(refused[i].starts);

		if (strncmp(said, refused[i].starts, len) != 0 || strlen(said) <= len)
			fail_msg("%s: %s", refused[i].object, said);
	}
}

static const struct {
	const char *name;
	bool good;
} names[] = {
	{"Authorization", true},
	{"X-Token", true},
	{"x", true},
	{"!#$%&'*+-.^_`|~9", true},
	{"Hosts", true},
	{"X-Api", true},
	{"Contents", true},
	{"", false},
	{"X Token", false},
	{"X:", false},
	{"X\\n", false},
	{"X\\u0000", false},
	{"X\xc3\xbc", false},
	{"(x)", false},
	{"Host", false},
	{"hOST", false},
	{"Connection", false},
	{"Transfer-Encoding", false},
	{"TRAILER", false},
	{"Upgrade", false},
	{"Expect", false},
	{"Keep-Alive", false},
	{"Content-Type", false},
	{"content-length", false},
	{"Content-", false},
	{"Proxy-Authorization", false},
	{"X-Api-User", false},
	{"x-aPI-key", false},
};

static void test_header_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_freep)
		char *text = mem_printf(SPEC(HEADERS(FIELD("%s"))), names[i].name);
		CLEANUP(api_freep) struct api_registration *r = decode(text);

		if (!r->spec.unsupported != names[i].good)
			fail_msg("%s: %s", names[i].name,
				 names[i].good ? r->spec.unsupported : "taken");
	}
}

static bool takes_header(int name_len, int key_len)
{
	static char as[256];
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(api_freep) struct api_registration *r = NULL;

	memset(as, 'a', sizeof(as) - 1);
	text = mem_printf(SPEC(HEADERS("{\"name\":\"%.*s\",\"secretKeyRef\":{\"name\":\"s\","
				       "\"key\":\"%.*s\"}}")),
			  name_len, as, key_len, as);
	r = decode(text);
	return !r->spec.unsupported;
}

static bool takes_headers(int count)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(65536);
	CLEANUP(api_freep) struct api_registration *r = NULL;
	int i;

	(void)buf_adds(&text, "{" META ",\"spec\":{" HOST "," REF "," DOMS
			      ",\"registrationAuth\":{\"headers\":[");
	for (i = 0; i < count; i++)
		(void)buf_addf(&text, "%s" FIELD("X-%d"), i ? "," : "", i);
	assert_int_equal(buf_adds(&text, "]}}}"), 0);
	r = decode(buf_str(&text));
	return !r->spec.unsupported;
}

static bool takes_ca(size_t len)
{
	CLEANUP(mem_freep) char *pem = mem_alloc(len + 1);
	CLEANUP(mem_freep) char *base64 = NULL;
	CLEANUP(mem_freep) char *text = NULL;
	CLEANUP(api_freep) struct api_registration *r = NULL;

	memset(pem, 'a', len);
	base64 = enc_base64(pem, len);
	text = mem_printf(SPEC(",\"caBundle\":\"%s\""), base64);
	r = decode(text);
	return !r->spec.unsupported;
}

static void test_bounds(void **state)
{
	(void)state;
	assert_true(takes_header(128, 253));
	assert_false(takes_header(129, 253));
	assert_false(takes_header(128, 254));
	assert_true(takes_headers(16));
	assert_false(takes_headers(17));
	assert_true(takes_ca(65536));
	assert_false(takes_ca(65539));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),	     cmocka_unit_test(test_headers),
		cmocka_unit_test(test_ca_bundle),    cmocka_unit_test(test_ca_ref),
		cmocka_unit_test(test_none),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_header_names), cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
