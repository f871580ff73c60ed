/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dnsname/dnsname.h"

#define L10 "abcdefghij"
#define L63 L10 L10 L10 L10 L10 L10 "xyz"
#define L60 L10 L10 L10 L10 L10 L10

/* 253 characters: the most a host name has; 237: the most before which "_acme-challenge." fits. */
#define N253 L63 "." L63 "." L63 "." L60 "x"
#define N237 L63 "." L63 "." L63 "." L10 L10 L10 L10 "12345"

static void test_hostname(void **state)
{
	static const struct {
		const char *text;
		bool expected;
	} cases[] = {
		{"example.com", true},
		{"EXAMPLE.Com", true},
		{"localhost", true},
		{"a", true},
		{"1", true},
		{"192.0.2.1", true},
		{"a-b.c--d.xn--bcher-kva", true},
		{L63, true},
		{L63 ".com", true},
		{N253, true},
		{"", false},
		{".", false},
		{".com", false},
		{"example.com.", false},
		{"a..b", false},
		{"-a.b", false},
		{"a-.b", false},
		{"a.-", false},
		{"_acme-challenge.a", false},
		{"*.a", false},
		{"a b", false},
		{"a\n", false},
		{"a/b", false},
		{"a:1", false},
		{"b\xc3\xbc"
		 "cher.example",
		 false},
		{L63 "x", false},
		{"a." L63 "x.b", false},
		{N253 "y", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		if (dnsname_is_hostname(cases[i].text) != cases[i].expected)
			fail_msg("%s", cases[i].text);
}

static void test_domain(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"example.com", "example.com"},
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"*.example.com", "example.com"},
		{"*.Example.com.", "example.com"},
		{"*.apps.example.com", "apps.example.com"},
		{"com", "com"},
		{"xn--BCHER-kva.example", "xn--bcher-kva.example"},
		{"1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"},
		{"3com.com", "3com.com"},
		{"example.c0", "example.c0"},
		{N237, N237},
		{"*." N237 ".", N237},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		char domain[DNSNAME_LEN];
		struct err err = {0};

		if (dnsname_domain(cases[i].text, domain, &err))
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_string_equal(domain, cases[i].expected);
	}
}

static void test_domain_refused(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"", "host name"},
		{".", "host name"},
		{"..", "host name"},
		{"a..", "host name"},
		{"*", "host name"},
		{"*.", "host name"},
		{"*..", "host name"},
		{"*.*.example.com", "host name"},
		{"*example.com", "host name"},
		{"www.*.com", "host name"},
		{"_acme-challenge.example.com", "host name"},
		{"https://example.com", "host name"},
		{"example.com/", "host name"},
		{"example.com:443", "host name"},
		{" example.com", "host name"},
		{"example.com\n", "host name"},
		{"-a.com", "host name"},
		{L63 "x.com", "host name"},
		{"2001:db8::1", "host name"},
		{"192.0.2.1", "IP address"},
		{"192.0.2.1.", "IP address"},
		{"*.192.0.2.1", "IP address"},
		{"3232235521", "IP address"},
		{"example.1", "IP address"},
		{N237 "x", "no room"},
		{"*." N237 "x.", "no room"},
		{N253, "no room"},
		{"b\xc3\xbc"
		 "cher.example",
		 "xn--"},
		{"example\xe3\x80\x82"
		 "com",
		 "xn--"},
		{"\xff", "xn--"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		char domain[DNSNAME_LEN];
		struct err err = {0};

		if (!dnsname_domain(cases[i].text, domain, &err))
			fail_msg("%s was taken", cases[i].text);
		assert_int_equal(err.kind, ERR_INVALID);
		if (!strstr(err.msg, cases[i].why))
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_domain_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
