/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "url/url.h"

struct pair {
	const char *glob;
	const char *url;
	bool matches;
};

static const struct pair pairs[] = {
	/* case and trailing dots */
	{"auth.example.com", "https://auth.example.com/base", true},
	{"AUTH.example.com.", "https://Auth.Example.com.", true},
	{"auth.example.com", "https://auth.example.org", false},
	{"auth.example.com", "https://auth.example.com.evil.test", false},
	{"auth.example.com", "https://xauth.example.com", false},
	/* ports */
	{"a.test", "https://a.test:443", true},
	{"a.test", "http://a.test", true},
	{"a.test", "http://a.test:80", true},
	{"a.test", "https://a.test:8443", false},
	{"a.test", "https://a.test:80", false},
	{"a.test:443", "https://a.test", true},
	{"a.test:443", "http://a.test", false},
	{"a.test:80", "http://a.test", true},
	{"a.test:8443", "https://a.test:8443", true},
	{"a.test:8443", "https://a.test", false},
	{"a.test:*", "https://a.test:8443", true},
	{"a.test:*", "http://a.test", true},
	{"a.test:*", "http://b.test", false},
	/* wildcards stay in their label */
	{"*.example.com", "https://a.example.com", true},
	{"*.example.com", "https://example.com", false},
	{"*.example.com", "https://a.b.example.com", false},
	{"*.*.example.com", "https://a.b.example.com", true},
	{"*.example.com", "https://a.example.com.evil.test", false},
	{"*.example.com", "https://aexample.com", false},
	{"auth-*.example.com", "https://auth-1.example.com", true},
	{"auth-*.example.com", "https://auth-1.2.example.com", false},
	{"auth*.example.com", "https://auth.example.com", true},
	{"*a*b.test", "https://xaxbab.test", true},
	{"*a*b.test", "https://xaxbac.test", false},
	{"*a.*a.test", "https://aba.aba.test", true},
	{"*a.*a.test", "https://aba.ab.test", false},
	{"auth.*", "https://auth.test", true},
	{"auth.*", "https://auth.example.test", false},
	{"*", "https://auth", true},
	{"*", "https://auth.test", false},
	/* addresses */
	{"10.0.0.*", "http://10.0.0.7", true},
	{"10.0.0.*", "http://10.0.1.7", false},
	{"*.0.0.1:8080", "http://127.0.0.1:8080", true},
	{"127.0.0.1", "http://[::ffff:127.0.0.1]", true},
	{"[2001:DB8:0::1]", "https://[2001:db8::1]", true},
	{"[2001:db8::1]:8080", "http://[2001:db8::1]:8080", true},
	{"[2001:db8::1]", "http://[2001:db8::1]:8080", false},
	{"[2001:db8::1]:*", "http://[2001:db8::1]:8080", true},
	{"[2001:db8::1]", "https://[2001:db8::2]", false},
	{"*", "https://[2001:db8::2]", true},
};

static void test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct url_glob glob;
		struct url url;
		struct err err;

		if (url_glob_parse(pairs[i].glob, &glob, &err))
			fail_msg("%s: %s", pairs[i].glob, err.msg);
		assert_int_equal(url_parse(pairs[i].url, &url, &err), 0);
		if (url_glob_matches(&glob, &url) != pairs[i].matches)
			fail_msg("%s and %s", pairs[i].glob, pairs[i].url);
	}
}

static const char *const refused[] = {
	"",
	":",
	":*",
	":80",
	"https://a.test",
	"a.test/",
	"a.test/x",
	"a test",
	" a.test",
	"a.test:",
	"a.test:0",
	"a.test:8*",
	"a.test:80:*",
	"a.test:*:*",
	"a.test:**",
	"a.test:65536",
	"a..test",
	".a.test",
	"user@a.test",
	"a.test?",
	"a.test#",
	"a.test\\",
	"2130706433",
	"0x7f.1",
	"[::*]",
	"[::1",
	"::1",
	"[*]",
	"\xc3\xbc.test",
	"a.test\n",
	"a.test,b.test",
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct url_glob glob = {.port = 7};
		struct err err = {0};

		if (!url_glob_parse(refused[i], &glob, &err))
			fail_msg("%s was taken", refused[i]);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_int_equal(glob.port, 7);
	}
}

static void test_too_long(void **state)
{
	char text[2 * URL_LEN];
	struct url_glob glob;
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(url_glob_parse(text, &glob, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
