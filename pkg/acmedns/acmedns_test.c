/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "acmedns/acmedns.h"
#include "base/buf.h"
#include "base/mem.h"
#include "http/http.h"

#define USER   "c36f50e8-4632-44f0-83fe-e070fef28a10"
#define SUB    "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
#define PASS   "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z"
#define FULL   SUB ".auth.example.com"
#define PASS64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define ACCOUNT(username, password, fulldomain, subdomain, rest)                                   \
	"{\"username\":" username ",\"password\":" password ",\"fulldomain\":" fulldomain          \
	",\"subdomain\":" subdomain rest "}"
#define Q(text)	    "\"" text "\""
#define WHOLE(rest) ACCOUNT(Q(USER), Q(PASS), Q(FULL), Q(SUB), rest)

static struct acmedns_result judge(const struct http_response *resp,
				   struct acmedns_account *account)
{
	struct http_response full = *resp;

	full.body = full.body ? full.body : "";
	full.body_len = full.body_len ? full.body_len : strlen(full.body);
	return acmedns_register_result(&full, account);
}

/* The account must stay as it was unless there is one. */
static struct acmedns_result judge_no_account(const struct http_response *resp)
{
	struct acmedns_account before;
	struct acmedns_account account;
	struct acmedns_result result;

	memset(&before, 0x5a, sizeof(before));
	account = before;
	result = judge(resp, &account);
	assert_int_not_equal(result.verdict, ACMEDNS_REGISTERED);
	assert_memory_equal(&account, &before, sizeof(account));
	/* It becomes part of a memory that has 160 bytes for it. */
	assert_true(*result.message && strlen(result.message) < 160);
	return result;
}

/* ---- the request ---- */

static void test_register_body(void **state)
{
	static const char *const cidrs[] = {"10.0.0.0/8", "2001:db8::/32"};
	CLEANUP(mem_freep) char *none = acmedns_register_body(NULL, 0);
	CLEANUP(mem_freep) char *two = acmedns_register_body(cidrs, 2);

	(void)state;
	assert_string_equal(none, "{\"allowfrom\":[]}");
	assert_string_equal(two, "{\"allowfrom\":[\"10.0.0.0/8\",\"2001:db8::/32\"]}");
}

static void test_is_uuid(void **state)
{
	static const struct {
		const char *text;
		bool expected;
	} cases[] = {
		{USER, true},
		{"00000000-0000-0000-0000-000000000000", true},
		{"C36F50E8-4632-44F0-83FE-E070FEF28A10", true},
		{"", false},
		{"c36f50e8-4632-44f0-83fe-e070fef28a1", false},
		{USER "0", false},
		{"c36f50e8_4632-44f0-83fe-e070fef28a10", false},
		{"c36f50e-84632-44f0-83fe-e070fef28a10", false},
		{"c36f50e8-4632-44f0-83fe-e070fef28a1g", false},
		{"c36f50e8-4632-44f0-83fe-e070fef28a1-", false},
		{"{36f50e8-4632-44f0-83fe-e070fef28a1}", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		if (acmedns_is_uuid(cases[i].text) != cases[i].expected)
			fail_msg("%s", cases[i].text);
}

/* ---- answers without an account ---- */

static void test_fault(void **state)
{
	enum http_fault fault;

	(void)state;
	for (fault = HTTP_FAULT_RESOLVE; fault <= HTTP_FAULT_OTHER; fault++) {
		bool large = fault == HTTP_FAULT_TOO_LARGE;
		struct acmedns_result r;

		r = judge_no_account(&(struct http_response){.fault = fault});
		assert_int_equal(r.verdict, ACMEDNS_UNREACHABLE);
		assert_false(r.maybe_made);
		r = judge_no_account(&(struct http_response){.fault = fault, .sent = true});
		assert_int_equal(r.verdict, large ? ACMEDNS_BAD_ANSWER : ACMEDNS_NO_ANSWER);
		assert_true(r.maybe_made);
		/* A 201 of which only a part came, even if the part looks whole. */
		r = judge_no_account(&(struct http_response){
			.fault = fault, .sent = true, .status = 201, .body = WHOLE("")});
		assert_int_equal(r.verdict, large ? ACMEDNS_BAD_ANSWER : ACMEDNS_NO_ANSWER);
		assert_true(r.maybe_made);
		/* Of these the status is enough. */
		r = judge_no_account(
			&(struct http_response){.fault = fault, .sent = true, .status = 404});
		assert_int_equal(r.verdict, ACMEDNS_UNAVAILABLE);
		assert_false(r.maybe_made);
		r = judge_no_account(
			&(struct http_response){.fault = fault, .sent = true, .status = 502});
		assert_int_equal(r.verdict, ACMEDNS_SERVER_ERROR);
		assert_true(r.maybe_made);
	}
}

static void test_status(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum acmedns_verdict verdict;
		bool maybe_made;
	} cases[] = {
		{400, "{\"error\": \"invalid_allowfrom_cidr\"}", ACMEDNS_BAD_ALLOWFROM, false},
		{400, "{\"error\": \"malformed_json_payload\"}", ACMEDNS_REJECTED, false},
		{400, "", ACMEDNS_REJECTED, false},
		{400, "Client sent an HTTP request to an HTTPS server.\n", ACMEDNS_UNAVAILABLE,
		 false},
		{400, "<title>400 The plain HTTP request was sent to HTTPS port</title>",
		 ACMEDNS_UNAVAILABLE, false},
		{401, "{\"error\": \"forbidden\"}", ACMEDNS_DENIED, false},
		{403, "<html>", ACMEDNS_DENIED, false},
		{404, "404 page not found\n", ACMEDNS_UNAVAILABLE, false},
		{404, "{\"error\": \"invalid_allowfrom_cidr\"}", ACMEDNS_UNAVAILABLE, false},
		{405, "Method Not Allowed\n", ACMEDNS_UNAVAILABLE, false},
		{407, "", ACMEDNS_DENIED, false},
		{408, "", ACMEDNS_REJECTED, false},
		{409, "", ACMEDNS_REJECTED, false},
		{422, "", ACMEDNS_REJECTED, false},
		{429, "", ACMEDNS_THROTTLED, false},
		{499, "", ACMEDNS_REJECTED, false},
		{500, "{\"error\": \"database or disk is \"full\"\"}", ACMEDNS_SERVER_ERROR, true},
		{502, "", ACMEDNS_SERVER_ERROR, true},
		{503, "", ACMEDNS_SERVER_ERROR, true},
		{504, "", ACMEDNS_SERVER_ERROR, true},
		{599, "", ACMEDNS_SERVER_ERROR, true},
		{999, "", ACMEDNS_SERVER_ERROR, true},
		{300, "", ACMEDNS_UNAVAILABLE, false},
		{301, "", ACMEDNS_UNAVAILABLE, false},
		{307, "", ACMEDNS_UNAVAILABLE, false},
		{308, WHOLE(""), ACMEDNS_UNAVAILABLE, false},
		{200, "<html>", ACMEDNS_UNAVAILABLE, false},
		{200, "", ACMEDNS_UNAVAILABLE, false},
		{201, "", ACMEDNS_BAD_ANSWER, true},
		{201, "<html>", ACMEDNS_BAD_ANSWER, true},
		{202, "", ACMEDNS_BAD_ANSWER, true},
		{204, "", ACMEDNS_BAD_ANSWER, true},
		{299, "{}", ACMEDNS_BAD_ANSWER, true},
		{101, WHOLE(""), ACMEDNS_BAD_ANSWER, true},
		{0, WHOLE(""), ACMEDNS_BAD_ANSWER, true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct http_response resp = {.sent = true,
						   .status = cases[i].status,
						   .body = cases[i].body,
						   .retry_after_s = (int)i - 1};
		struct acmedns_result r = judge_no_account(&resp);

		if (r.verdict != cases[i].verdict || r.maybe_made != cases[i].maybe_made)
			fail_msg("%d %s: %d", cases[i].status, cases[i].body, (int)r.verdict);
		assert_int_equal(r.retry_after_s, (int)i - 1);
	}
}

/* What is told: a row of the table each, in its order. */
static const struct telling {
	struct http_response resp;
	const char *message; /* the start of it */
} tellings[] = {
	{{.status = 200}, "the answer is not one of acme-dns"},
	{{.status = 201}, "the answer holds no account: it is not a JSON object"},
	{{.status = 201, .body = "{}"}, "the answer holds no account: its username"},
	{{.status = 201, .body = ACCOUNT(Q(USER), "1", Q(FULL), Q(SUB), "")},
	 "the answer holds no account: its password"},
	{{.status = 201, .body = ACCOUNT(Q(USER), Q(PASS), Q(FULL), Q("x"), "")},
	 "the answer holds no account: its subdomain"},
	{{.status = 201, .body = ACCOUNT(Q(USER), Q(PASS), Q("x.test"), Q(SUB), "")},
	 "the answer holds no account: its fulldomain"},
	{{.status = 201, .body = WHOLE(",\"allowfrom\":1")},
	 "the answer holds no account: its allowfrom"},
	{{.status = 307}, "the server redirects /register"},
	{{.status = 400, .body = "invalid_allowfrom_cidr"}, "the server refuses a CIDR"},
	{{.status = 400, .body = "malformed_json_payload"}, "the server cannot read the request"},
	{{.status = 400, .body = "an HTTP request to an HTTPS server"}, "the server wants HTTPS"},
	{{.status = 400, .body = "HTTP request was sent to HTTPS port"}, "the server wants HTTPS"},
	{{.status = 401}, "the server, or a proxy before it, asks for authentication"},
	{{.status = 403}, "the server, or a proxy before it, forbids"},
	{{.status = 404}, "there is no /register at this URL"},
	{{.status = 405}, "there is no /register at this URL"},
	{{.status = 407}, "a proxy before the server asks for authentication"},
	{{.status = 429}, "the server asks to come back later"},
	{{.status = 400}, "the server refused the request"},
	{{.status = 418}, "the server refused the request"},
	{{.status = 502}, "a proxy before the server gets no proper answer"},
	{{.status = 503}, "the server, or a proxy before it, is not available"},
	{{.status = 504}, "a proxy before the server gets no answer"},
	{{.status = 500}, "the server reports an error of its own"},
	{{.status = 507}, "the server reports an error of its own"},
	{{.status = 101}, "the answer is not one of acme-dns"},
	{{.fault = HTTP_FAULT_RESOLVE}, "the name of spec.host does not resolve"},
	{{.fault = HTTP_FAULT_CONNECT}, "the server refuses the connection"},
	{{.fault = HTTP_FAULT_CONNECT_TIMEOUT}, "the server does not take the connection"},
	{{.fault = HTTP_FAULT_TLS}, "the TLS handshake with the server fails"},
	{{.fault = HTTP_FAULT_TLS_TIMEOUT}, "the server does not finish the TLS handshake"},
	{{.fault = HTTP_FAULT_TLS_UNTRUSTED}, "the server's certificate is not trusted: no"},
	{{.fault = HTTP_FAULT_TLS_EXPIRED}, "the server's certificate is not trusted: it has exp"},
	{{.fault = HTTP_FAULT_TLS_NAME}, "the server's certificate is not trusted: it is not for"},
	{{.fault = HTTP_FAULT_PROXY}, "the operator's own proxy"},
	{{.fault = HTTP_FAULT_CLOSED}, "the server closes the connection before the request"},
	{{.fault = HTTP_FAULT_OTHER}, "the request could not be sent"},
	{{.fault = HTTP_FAULT_TIMEOUT, .sent = true}, "the server does not answer in time"},
	{{.fault = HTTP_FAULT_CLOSED, .sent = true}, "the server closed the connection before its"},
	{{.fault = HTTP_FAULT_TOO_LARGE, .sent = true}, "the answer is larger than any"},
	{{.fault = HTTP_FAULT_NOT_HTTP, .sent = true}, "what answers does not speak HTTP"},
	{{.fault = HTTP_FAULT_OTHER, .sent = true}, "the exchange with the server broke off"},
};

static void test_message(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(tellings); i++) {
		const struct telling *t = &tellings[i];
		struct acmedns_result r = judge_no_account(&t->resp);

		if (strncmp(r.message, t->message, strlen(t->message)) != 0)
			fail_msg("%s, not %s", r.message, t->message);
	}
}

static void test_health(void **state)
{
	static const struct {
		struct http_response resp;
		const char *message; /* the start of it; NULL: none */
	} cases[] = {
		{{.status = 200, .body = ""}, "registration is disabled at this acme-dns server"},
		{{.status = 200, .body = "ok"}, "spec.host is not the URL"},
		{{.status = 200, .body = "", .fault = HTTP_FAULT_TOO_LARGE},
		 "spec.host is not the URL"},
		{{.status = 302, .body = ""}, "spec.host is not the URL"},
		{{.status = 404, .body = "x"}, "spec.host is not the URL"},
		{{.status = 405, .body = ""}, "spec.host is not the URL"},
		{{.status = 204, .body = ""}, NULL},
		{{.status = 401, .body = ""}, NULL},
		{{.status = 403, .body = ""}, NULL},
		{{.status = 502, .body = ""}, NULL},
		{{.body = "", .fault = HTTP_FAULT_TIMEOUT}, NULL},
		{{.body = "", .fault = HTTP_FAULT_CONNECT}, NULL},
	};
	int status;
	size_t i;

	(void)state;
	for (status = 200; status < 600; status++)
		assert_int_equal(acmedns_wants_health(&(struct http_response){.status = status}),
				 status == 404 || status == 405);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_response resp = cases[i].resp;
		const char *message;

		resp.body_len = strlen(resp.body);
		message = acmedns_health_message(&resp);
		if (!cases[i].message)
			assert_null(message);
		else
			assert_memory_equal(message, cases[i].message, strlen(cases[i].message));
	}
}

/* ---- accounts ---- */

static void test_account(void **state)
{
	static const struct {
		const char *body;
		const char *password;
		const char *allowfrom;
	} cases[] = {
		{WHOLE(",\"allowfrom\":[]"), PASS, ""},
		{WHOLE(""), PASS, ""},
		{WHOLE(",\"allowfrom\":null"), PASS, ""},
		{WHOLE(",\"allowfrom\":[\"10.0.0.1/8\"]"), PASS, "10.0.0.1/8"},
		{WHOLE(",\"allowfrom\":[\"10.0.0.1/8\",\"::1/128\"]"), PASS, "10.0.0.1/8 ::1/128"},
		{WHOLE(",\"more\":{\"a\":[1]}") "\n", PASS, ""},
		{ACCOUNT(Q(USER), Q("\\u0041 b\\\"~"), Q(FULL), Q(SUB), ""), "A b\"~", ""},
		{ACCOUNT(Q(USER), Q(PASS64 PASS64 PASS64 PASS64), Q(FULL), Q(SUB), ""),
		 PASS64 PASS64 PASS64 PASS64, ""},
		{WHOLE(",\"password\":\"last\""), "last", ""},
	};
	static const int statuses[] = {201, 200, 202};
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		for (k = 0; k < ARRAY_LEN(statuses); k++) {
			struct acmedns_account account;
			const struct http_response resp = {
				.sent = true, .status = statuses[k], .body = cases[i].body};
			struct acmedns_result r = judge(&resp, &account);

			assert_int_equal(r.verdict, ACMEDNS_REGISTERED);
			assert_false(r.maybe_made);
			assert_string_equal(account.username, USER);
			assert_string_equal(account.subdomain, SUB);
			assert_string_equal(account.fulldomain, FULL);
			assert_string_equal(account.password, cases[i].password);
			assert_string_equal(account.allowfrom, cases[i].allowfrom);
		}
}

static const char *const mangled[] = {
	"null",
	"[]",
	"\"" USER "\"",
	"{}",
	"[" WHOLE("") "]",
	WHOLE("") "x",
	WHOLE(","),
	"\xef\xbb\xbf" WHOLE(""),
	/* missing */
	"{\"password\":\"" PASS "\",\"fulldomain\":\"" FULL "\",\"subdomain\":\"" SUB "\"}",
	"{\"username\":\"" USER "\",\"fulldomain\":\"" FULL "\",\"subdomain\":\"" SUB "\"}",
	"{\"username\":\"" USER "\",\"password\":\"" PASS "\",\"subdomain\":\"" SUB "\"}",
	"{\"username\":\"" USER "\",\"password\":\"" PASS "\",\"fulldomain\":\"" FULL "\"}",
	/* of another type */
	ACCOUNT("1", Q(PASS), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), "null", Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), "[]", Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(FULL), "{}", ""),
	WHOLE(",\"allowfrom\":\"10.0.0.0/8\""),
	WHOLE(",\"allowfrom\":{}"),
	WHOLE(",\"allowfrom\":[1]"),
	WHOLE(",\"allowfrom\":[null]"),
	WHOLE(",\"allowfrom\":[\"10.0.0.0/8\",[]]"),
	/* not UUIDs */
	ACCOUNT(Q(""), Q(PASS), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q("admin"), Q(PASS), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER "0"), Q(PASS), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q("a.auth.example.com"), Q("a"), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(".auth.example.com"), Q(""), ""),
	/* passwords */
	ACCOUNT(Q(USER), Q(""), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q("a\\nX-Evil: b"), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q("a\\u007f"), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q("p\xc3\xa4ss"), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS64 PASS64 PASS64 PASS64 "x"), Q(FULL), Q(SUB), ""),
	/* a NUL inside */
	ACCOUNT(Q(USER "\\u0000"), Q(PASS), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS "\\u0000x"), Q(FULL), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(FULL "\\u0000.evil"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(FULL), Q(SUB "\\u0000"), ""),
	WHOLE(",\"allowfrom\":[\"10.0.0.0/8\\u0000x\"]"),
	/* fulldomain is not subdomain + "." + a host name */
	ACCOUNT(Q(USER), Q(PASS), Q(SUB), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "."), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(FULL "."), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "x.auth.example.com"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "auth.example.com"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(USER ".auth.example.com"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q("auth.example.com"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q("8E5700EA-a4bf-41c7-8a77-e990661dcc6a.example"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "..example"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB ".a b"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB ".a\\nb"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB ".<b>.example"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "." PASS64 ".example"), Q(SUB), ""),
	ACCOUNT(Q(USER), Q(PASS), Q(SUB "." PASS "." PASS "." PASS "." PASS "." PASS "." PASS),
		Q(SUB), ""),
	/* not CIDRs */
	WHOLE(",\"allowfrom\":[\"\"]"),
	WHOLE(",\"allowfrom\":[\"10.0.0.1\"]"),
	WHOLE(",\"allowfrom\":[\"[::1]/128\"]"),
	WHOLE(",\"allowfrom\":[\"10.0.0.0/8 evil\"]"),
};

static void test_mangled_account(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(mangled); i++) {
		const struct http_response resp = {.sent = true, .status = 201, .body = mangled[i]};
		struct acmedns_account account;
		struct acmedns_result r = judge(&resp, &account);

		if (r.verdict != ACMEDNS_BAD_ANSWER || !r.maybe_made)
			fail_msg("%s: %d", mangled[i], (int)r.verdict);
		(void)judge_no_account(&resp);
	}
}

static void test_raw_nul(void **state)
{
	static const char body[] = WHOLE("") "\0";
	const struct http_response resp = {
		.sent = true, .status = 201, .body = body, .body_len = sizeof(body)};

	(void)state;
	assert_int_equal(judge_no_account(&resp).verdict, ACMEDNS_BAD_ANSWER);
}

/* As many CIDRs as the schema lets through have room; more are refused, not cut. */
static void test_long_allowfrom(void **state)
{
	static const char longest[] = "2001:0db8:0000:0000:0000:0000:255.255.255.255/128";
	CLEANUP(buf_donep) struct buf body = BUF_INIT(ACMEDNS_MAX_ANSWER);
	struct acmedns_account account;
	int count;
	int i;

	(void)state;
	for (count = 100; count <= 110; count += 10) {
		struct http_response resp = {.sent = true, .status = 201};
		struct acmedns_result r;

		buf_clear(&body);
		(void)buf_adds(&body, WHOLE(",\"allowfrom\":["));
		body.len--; /* the brace that WHOLE has closed */
		for (i = 0; i < count; i++)
			(void)buf_addf(&body, "%s\"%s\"", i ? "," : "", longest);
		assert_int_equal(buf_adds(&body, "]}"), 0);
		resp.body = buf_str(&body);
		resp.body_len = body.len;
		r = judge(&resp, &account);
		assert_int_equal(r.verdict, count == 100 ? ACMEDNS_REGISTERED : ACMEDNS_BAD_ANSWER);
		if (count == 100)
			assert_int_equal(strlen(account.allowfrom), 100 * sizeof(longest) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register_body), cmocka_unit_test(test_is_uuid),
		cmocka_unit_test(test_fault),	      cmocka_unit_test(test_status),
		cmocka_unit_test(test_account),	      cmocka_unit_test(test_mangled_account),
		cmocka_unit_test(test_raw_nul),	      cmocka_unit_test(test_long_allowfrom),
		cmocka_unit_test(test_message),	      cmocka_unit_test(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
