/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/enc.h"
#include "base/mem.h"
#include "jv/jv.h"

#define URL    "https://auth.example.com/base"
#define BOUND  "\"acme-dns-operator.github.io/credentials-for\":\"" URL "\""
#define BASIC  "\"registrationAuth\":{\"basic\":{\"secretRef\":{\"name\":\"login\"}}}"
#define HEADER "\"registrationAuth\":{\"headers\":[" FIELD("X-Token", "token") "]}"
#define CA_REF "\"caBundleRef\":{\"name\":\"roots\",\"key\":\"ca.crt\"}"
#define FIELD(name, key)                                                                           \
	"{\"name\":\"" name "\",\"secretKeyRef\":{\"name\":\"tokens\",\"key\":\"" key "\"}}"

static json_t *parse(const char *text)
{
	struct err err = {0};
	json_t *doc = jv_parse(text, strlen(text), &err);

	if (!doc)
		fail_msg("%s: %s", text, err.msg);
	return doc;
}

/* With what is given in its spec. */
static struct api_registration *object_with(const char *spec)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"},\"spec\":{"
				"\"host\":\"" URL "\",\"accountSecretRef\":{\"name\":\"s\"},"
				"\"domains\":[\"example.com\"],%s}}",
				spec);
	CLEANUP(jv_freep) json_t *json = parse(text);
	struct api_registration *object = api_decode(json);

	assert_non_null(object->spec.auth);
	return object;
}

/* ---- what is referred to ---- */

static json_t *secret_of(const char *type, const char *annotations)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"type\":\"%s\",\"metadata\":{\"annotations\":{%s}}}", type,
				annotations);

	return parse(text);
}

static void put(json_t *secret, const char *key, const char *value, size_t len)
{
	CLEANUP(mem_freep) char *base64 = enc_base64(value, len);

	jv_set_str(jv_ensure_object(secret, "data"), key, base64);
}

static json_t *login_of(const char *username, const char *password)
{
	json_t *secret = secret_of("kubernetes.io/basic-auth", BOUND);

	put(secret, "username", username, strlen(username));
	put(secret, "password", password, strlen(password));
	return secret;
}

static json_t *token_of(const char *value, size_t len)
{
	json_t *secret = secret_of("Opaque", BOUND);

	put(secret, "token", value, len);
	return secret;
}

/* A self-signed certificate, or what stands for one. */
static char *make_ca(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	char *pem;
	long len;

	assert_non_null(key);
	(void)X509_set_pubkey(cert, key);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	len = BIO_get_mem_data(bio, &text);
	pem = mem_dup(text, (size_t)len);
	BIO_free(bio);
	X509_free(cert);
	EVP_PKEY_free(key);
	return pem;
}

static json_t *config_map_of(const char *pem)
{
	json_t *object = json_object();

	jv_set_str(jv_ensure_object(object, "data"), "ca.crt", pem);
	return object;
}

/* ---- taking it ---- */

/* What comes of an object with spec that refers to just this one. */
static int take(const char *spec, const json_t *object, struct auth *auth, struct err *err)
{
	CLEANUP(api_freep) struct api_registration *r = object_with(spec);
	struct auth_source source;

	assert_int_equal(auth_begin(auth, &r->spec, err), 0);
	assert_true(auth_next(auth, r->spec.auth, &source));
	if (auth_take(auth, &r->spec, object, err))
		return -1;
	assert_false(auth_next(auth, r->spec.auth, &source));
	return 0;
}

static void check_header(const char *spec, json_t *secret, const char *want)
{
	struct err err = {0};
	struct auth auth;

	if (take(spec, secret, &auth, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(auth.headers[0], want);
	assert_null(auth.headers[1]);
	auth_done(&auth);
	assert_null(auth.headers[0]);
	json_decref(secret);
}

/* The message begins with the field, and holds what is to be found in it; nothing is taken. */
static void check_refused(const char *spec, json_t *object, const char *field, const char *part)
{
	struct err err = {0};
	struct auth auth;

	assert_int_equal(take(spec, object, &auth, &err), -1);
	if (strncmp(err.msg, field, strlen(field)) != 0 || !strstr(err.msg, part) ||
	    strstr(err.msg, "s3cret") || err.kind != ERR_NOT_FOUND)
		fail_msg("%s instead of %s ... %s", err.msg, field, part);
	assert_null(auth.headers[0]);
	assert_null(auth.ca_pem);
	auth_done(&auth);
	json_decref(object);
}

#define BASIC_FIELD  "spec.registrationAuth.basic.secretRef: "
#define HEADER_FIELD "spec.registrationAuth.headers[0].secretKeyRef: "
#define CA_FIELD     "spec.caBundleRef: "

static void test_basic(void **state)
{
	json_t *lacking = secret_of("kubernetes.io/basic-auth", BOUND);
	json_t *opaque = login_of("me", "s3cret");

	(void)state;
	/* Of RFC 7617, section 2 and 2.1. */
	check_header(BASIC, login_of("Aladdin", "open sesame"),
		     "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	check_header(BASIC, login_of("test", "123\xc2\xa3"),
		     "Authorization: Basic dGVzdDoxMjPCow==");
	check_header(BASIC, login_of("Aladdin\n", "open sesame\n"),
		     "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	check_header(BASIC, login_of("", ""), "Authorization: Basic Og==");
	check_refused(BASIC, login_of("s3cret:me", "x"), BASIC_FIELD, "colon");
	check_refused(BASIC, login_of("me\n\n", "s3cret"), BASIC_FIELD, "username");
	check_refused(BASIC, login_of("me", "s3cret\r\n"), BASIC_FIELD, "password");
	put(lacking, "username", "me", 2);
	check_refused(BASIC, lacking, BASIC_FIELD, "password is missing");
	jv_set_str(opaque, "type", "Opaque");
	check_refused(BASIC, opaque, BASIC_FIELD, "kubernetes.io/basic-auth");
}

static const struct {
	const char *value;
	size_t len;
	const char *sent; /* NULL: refused */
} values[] = {
	{"s3cret", 6, "X-Token: s3cret"},
	{"s3cret\n", 7, "X-Token: s3cret"},
	{"Bearer s3cret: \xc3\xbc ", 18, "X-Token: Bearer s3cret: \xc3\xbc "},
	{"s3cret\n\n", 8, NULL},
	{"s3cret\r\n", 8, NULL},
	{"s3cret\r", 7, NULL},
	{"\ns3cret", 7, NULL},
	{"s3\tcret", 7, NULL},
	{"s3cret\x7f", 7, NULL},
	{"s3cret\0", 7, NULL},
	{"s3cret\0\n", 8, NULL},
	{"s3cret\r\nHost: x", 15, NULL},
	{"\n", 1, NULL},
	{"  \n", 3, NULL},
	{"", 0, NULL},
};

static void test_header_values(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(values); i++) {
		json_t *secret = token_of(values[i].value, values[i].len);

		if (values[i].sent)
			check_header(HEADER, secret, values[i].sent);
		else
			check_refused(HEADER, secret, HEADER_FIELD, "the value of its token");
	}
}

static void test_long_header_values(void **state)
{
	CLEANUP(mem_freep) char *value = mem_zalloc(AUTH_MAX_VALUE + 3);
	CLEANUP(mem_freep) char *sent = NULL;

	(void)state;
	memset(value, 'x', AUTH_MAX_VALUE + 1);
	check_refused(HEADER, token_of(value, AUTH_MAX_VALUE + 1), HEADER_FIELD, "8 KiB");
	value[AUTH_MAX_VALUE] = '\n';
	sent = mem_printf("X-Token: %.*s", AUTH_MAX_VALUE, value);
	check_header(HEADER, token_of(value, AUTH_MAX_VALUE + 1), sent);
}

static const struct {
	const char *annotations;
	bool bound;
} bindings[] = {
	{BOUND, true},
	{"\"acme-dns-operator.github.io/credentials-for\":\"HTTPS://Auth.Example.COM:443/base/\"",
	 true},
	{"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"true\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":true", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"auth.example.com/base\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"http://auth.example.com/base\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"https://auth.example.com\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"https://auth.example.com/Base\"",
	 false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"https://auth.example.com:8443/base\"",
	 false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"" URL "\\u0000x\"", false},
	{"\"acme-dns-operator.github.io/credentials-for\":\"" URL " https://b.example\"", false},
	{"\"acme-dns-operator.github.io/host\":\"" URL "\"", false},
};

static void test_bindings(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(bindings); i++) {
		json_t *secret = secret_of("Opaque", bindings[i].annotations);

		put(secret, "token", "s3cret", 6);
		if (bindings[i].bound)
			check_header(HEADER, secret, "X-Token: s3cret");
		else
			check_refused(HEADER, secret, HEADER_FIELD, "credentials-for");
	}
}

/* What is not bound might as well not be there: neither its type nor its keys are told. */
static void test_unbound_is_absent(void **state)
{
	struct err absent = {0};
	struct err other_type = {0};
	struct err no_key = {0};
	CLEANUP(jv_freep) json_t *opaque = secret_of("Opaque", "");
	struct auth auth;

	(void)state;
	assert_int_equal(take(BASIC, NULL, &auth, &absent), -1);
	assert_int_equal(take(BASIC, opaque, &auth, &other_type), -1);
	assert_string_equal(absent.msg, other_type.msg);
	assert_int_equal(take(HEADER, NULL, &auth, &absent), -1);
	assert_int_equal(take(HEADER, opaque, &auth, &no_key), -1);
	assert_string_equal(absent.msg, no_key.msg);
}

/* Two Secrets for three headers: each is read once, and the message tells which header it is. */
static void test_many_headers(void **state)
{
	static const char spec[] = "\"registrationAuth\":{\"headers\":[" FIELD(
		"A",
		"a") ","
		     "{\"name\":\"B\",\"secretKeyRef\":{\"name\":\"other\",\"key\":\"b\"}}," FIELD(
			     "C", "c") "]}," CA_REF;
	CLEANUP(api_freep) struct api_registration *r = object_with(spec);
	CLEANUP(jv_freep) json_t *tokens = secret_of("Opaque", BOUND);
	CLEANUP(mem_freep) char *pem = make_ca();
	CLEANUP(jv_freep) json_t *roots = config_map_of(pem);
	struct auth_source source;
	struct err err = {0};
	struct auth auth;

	(void)state;
	put(tokens, "a", "1", 1);
	put(tokens, "b", "2", 1);
	assert_int_equal(auth_begin(&auth, &r->spec, &err), 0);
	assert_true(auth_next(&auth, r->spec.auth, &source));
	assert_string_equal(source.name, "tokens");
	assert_int_equal(auth_take(&auth, &r->spec, tokens, &err), -1);
	assert_non_null(strstr(err.msg, "headers[2].secretKeyRef: its c is missing"));
	auth_done(&auth);
	put(tokens, "c", "3", 1);
	assert_int_equal(auth_begin(&auth, &r->spec, &err), 0);
	assert_int_equal(auth_take(&auth, &r->spec, tokens, &err), 0);
	assert_true(auth_next(&auth, r->spec.auth, &source));
	assert_string_equal(source.name, "other");
	assert_false(source.config_map);
	assert_int_equal(auth_denied(&auth, &r->spec, &err), -1);
	assert_non_null(strstr(err.msg, "headers[1].secretKeyRef: "));
	assert_int_equal(auth_take(&auth, &r->spec, tokens, &err), 0);
	assert_true(auth_next(&auth, r->spec.auth, &source));
	assert_string_equal(source.name, "roots");
	assert_true(source.config_map);
	assert_int_equal(auth_denied(&auth, &r->spec, &err), -1);
	assert_non_null(strstr(err.msg, CA_FIELD));
	assert_int_equal(auth_take(&auth, &r->spec, roots, &err), 0);
	assert_false(auth_next(&auth, r->spec.auth, &source));
	assert_int_equal(auth_take(&auth, &r->spec, NULL, &err), 0);
	assert_string_equal(auth.headers[0], "A: 1");
	assert_string_equal(auth.headers[1], "B: 2");
	assert_string_equal(auth.headers[2], "C: 3");
	assert_string_equal(auth.ca_pem, pem);
	auth_done(&auth);
}

static void test_denied_basic(void **state)
{
	CLEANUP(api_freep) struct api_registration *r = object_with(BASIC);
	struct auth auth = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(auth_denied(&auth, &r->spec, &err), -1);
	assert_non_null(strstr(err.msg, BASIC_FIELD));
	assert_non_null(strstr(err.msg, "RBAC"));
}

/* ---- certificates ---- */

static void check_ca(json_t *object, const char *pem)
{
	struct err err = {0};
	struct auth auth;

	if (take(CA_REF, object, &auth, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(auth.ca_pem, pem);
	auth_done(&auth);
	assert_null(auth.ca_pem);
	json_decref(object);
}

static void test_ca_ref(void **state)
{
	CLEANUP(mem_freep) char *pem = make_ca();
	CLEANUP(mem_freep) char *base64 = enc_base64(pem, strlen(pem));
	CLEANUP(mem_freep) char *two = mem_printf("# two of them\n%s\n%s", pem, pem);
	json_t *binary = json_object();
	json_t *no_text = json_object();

	(void)state;
	jv_set_str(jv_ensure_object(binary, "binaryData"), "ca.crt", base64);
	jv_set(jv_ensure_object(no_text, "data"), "ca.crt", json_integer(1));
	check_ca(config_map_of(pem), pem);
	check_ca(config_map_of(two), two);
	check_ca(binary, pem);
	check_refused(CA_REF, NULL, CA_FIELD, "make it");
	check_refused(CA_REF, json_object(), CA_FIELD, "its key");
	check_refused(CA_REF, no_text, CA_FIELD, "its key");
}

static void test_bad_certificates(void **state)
{
	CLEANUP(mem_freep) char *pem = make_ca();
	CLEANUP(mem_freep) char *damaged = mem_strdup(pem);
	CLEANUP(mem_freep) char *half = mem_dup(pem, strlen(pem) / 2);
	CLEANUP(mem_freep) char *one_damaged = NULL;
	CLEANUP(mem_freep) char *nul_base64 = enc_base64(pem, strlen(pem) + 1);
	json_t *nul = json_object();

	(void)state;
	memset(strchr(damaged, '\n') + 1, 'A', 20);
	one_damaged = mem_printf("%s%s", pem, damaged);
	jv_set_str(jv_ensure_object(nul, "binaryData"), "ca.crt", nul_base64);
	check_refused(CA_REF, config_map_of(""), CA_FIELD, "PEM");
	check_refused(CA_REF, config_map_of("s3cret"), CA_FIELD, "PEM");
	check_refused(CA_REF, config_map_of(damaged), CA_FIELD, "PEM");
	check_refused(CA_REF, config_map_of(one_damaged), CA_FIELD, "PEM");
	check_refused(CA_REF, config_map_of(half), CA_FIELD, "PEM");
	check_refused(CA_REF,
		      config_map_of("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
		      CA_FIELD, "PEM");
	check_refused(CA_REF, nul, CA_FIELD, "PEM");
}

static void test_large_certificates(void **state)
{
	CLEANUP(mem_freep) char *pem = make_ca();
	CLEANUP(mem_freep) char *full = mem_printf("%*s\n%s", 65535 - (int)strlen(pem), "", pem);
	CLEANUP(mem_freep) char *more = mem_printf("\n%s", full);

	(void)state;
	assert_int_equal(strlen(full), 65536);
	check_ca(config_map_of(full), full);
	check_refused(CA_REF, config_map_of(more), CA_FIELD, "64 KiB");
}

static void test_ca_bundle(void **state)
{
	CLEANUP(mem_freep) char *pem = make_ca();
	CLEANUP(mem_freep) char *base64 = enc_base64(pem, strlen(pem));
	CLEANUP(mem_freep) char *spec = mem_printf("\"caBundle\":\"%s\"", base64);
	CLEANUP(api_freep) struct api_registration *good = object_with(spec);
	CLEANUP(api_freep) struct api_registration *bad = object_with("\"caBundle\":\"czNjcmV0\"");
	struct auth_source source;
	struct err err = {0};
	struct auth auth;

	(void)state;
	assert_int_equal(auth_begin(&auth, &good->spec, &err), 0);
	assert_string_equal(auth.ca_pem, pem);
	assert_false(auth_next(&auth, good->spec.auth, &source));
	auth_done(&auth);
	assert_int_equal(auth_begin(&auth, &bad->spec, &err), -1);
	assert_int_equal(err.kind, ERR_INVALID);
	assert_int_equal(strncmp(err.msg, "spec.caBundle: ", 15), 0);
	assert_null(strstr(err.msg, "s3cret"));
	auth_done(&auth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_header_values),
		cmocka_unit_test(test_long_header_values),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_unbound_is_absent),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_denied_basic),
		cmocka_unit_test(test_ca_ref),
		cmocka_unit_test(test_bad_certificates),
		cmocka_unit_test(test_large_certificates),
		cmocka_unit_test(test_ca_bundle),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
