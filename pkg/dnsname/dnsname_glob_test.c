/* SPDX-License-Identifier: Apache-2.0 */

/* Domains that an administrator names. That a '*' stays in its label, url_glob_test.c tests too. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dnsname/dnsname.h"

#define L63 "123456789012345678901234567890123456789012345678901234567890abc"
#define L64 "123456789012345678901234567890123456789012345678901234567890abc*"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"example.com", "example.com"},
		{"Example.COM.", "example.com"},
		{"*.example.com", "*.example.com"},
		{"*.*.Example.com", "*.*.example.com"},
		{"dev-*.example.com.", "dev-*.example.com"},
		{"*", "*"},
		{"a.*", "a.*"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{L63 ".test", L63 ".test"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct dnsname_glob glob;
		struct err err = {0};

		if (dnsname_glob_parse(cases[i].text, &glob, &err))
			fail_msg("%s: %s", cases[i].text, err.msg);
		assert_string_equal(glob.text, cases[i].expected);
	}
}

static void test_refused(void **state)
{
	static const char long_label[] = L64 ".test";
	static const char long_name[] = L63 "." L63 "." L63 "." L63;
	static const char *const texts[] = {
		"",
		".",
		"a..b",
		" a.test",
		"a.test,b.test",
		"-*.test",
		"*-.test",
		"_acme-challenge.a.test",
		"https://a.test",
		"a.test:53",
		"[::1]",
		"192.0.2.*.1",
		"*.2.0.192",
		"b\xc3\xbc.test",
		long_label,
		long_name,
		"?.test",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		struct dnsname_glob glob = {.text = "as before"};
		struct err err = {0};

		if (!dnsname_glob_parse(texts[i], &glob, &err))
			fail_msg("%s was taken", texts[i]);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_non_null(strstr(err.msg, "*.example.com"));
		assert_string_equal(glob.text, "as before");
	}
}

static void test_matches(void **state)
{
	static const struct {
		const char *glob;
		const char *name;
		bool matches;
	} cases[] = {
		{"example.com", "example.com", true},
		{"example.com", "www.example.com", false},
		{"example.com", "example.com.evil.test", false},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.www.example.com", false},
		{"*.*.example.com", "a.www.example.com", true},
		{"*.example.com", "wwwexample.com", false},
		{"dev-*.example.com", "dev-1.example.com", true},
		{"dev-*.example.com", "dev-.example.com", true},
		{"dev-*.example.com", "prod-1.example.com", false},
		{"*", "localhost", true},
		{"*", "example.com", false},
		{"*a*b.test", "xaxbab.test", true},
		{"*a*b.test", "xaxbac.test", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		if (dnsname_glob_matches(cases[i].glob, cases[i].name) != cases[i].matches)
			fail_msg("%s, %s", cases[i].glob, cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
