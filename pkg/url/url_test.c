/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "url/url.h"

#define L50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"

struct good {
	const char *text;
	const char *normal;
	const char *host;
	int port;
	bool https;
	bool ipv6;
};

static const struct good good[] = {
	/* scheme, case, default ports */
	{"https://auth.example.com", "https://auth.example.com", "auth.example.com", 443, true,
	 false},
	{"HTTPS://Auth.EXAMPLE.com", "https://auth.example.com", "auth.example.com", 443, true,
	 false},
	{"http://a", "http://a", "a", 80, false, false},
	{"https://a:443", "https://a", "a", 443, true, false},
	{"http://a:80", "http://a", "a", 80, false, false},
	{"https://a:80", "https://a:80", "a", 80, true, false},
	{"http://a:443", "http://a:443", "a", 443, false, false},
	{"http://a:1", "http://a:1", "a", 1, false, false},
	{"http://a:65535", "http://a:65535", "a", 65535, false, false},
	/* trailing dots and slashes, paths */
	{"https://a.b.", "https://a.b", "a.b", 443, true, false},
	{"https://a.b.:8443/x", "https://a.b:8443/x", "a.b", 8443, true, false},
	{"https://a/", "https://a", "a", 443, true, false},
	{"https://a///", "https://a", "a", 443, true, false},
	{"https://a:443/", "https://a", "a", 443, true, false},
	{"https://a/Base", "https://a/Base", "a", 443, true, false},
	{"https://a/Base//", "https://a/Base", "a", 443, true, false},
	{"https://a/b/c:d/~e", "https://a/b/c:d/~e", "a", 443, true, false},
	{"https://a/.well-known/..x/y./...", "https://a/.well-known/..x/y./...", "a", 443, true,
	 false},
	{"https://a/-._~!$&'()*+,;=:", "https://a/-._~!$&'()*+,;=:", "a", 443, true, false},
	/* addresses */
	{"http://192.0.2.1:8080", "http://192.0.2.1:8080", "192.0.2.1", 8080, false, false},
	{"http://[2001:DB8:0:0::1]", "http://[2001:db8::1]", "2001:db8::1", 80, false, true},
	{"http://[::1]:8080/x/", "http://[::1]:8080/x", "::1", 8080, false, true},
	{"http://[::ffff:192.0.2.1]:80", "http://192.0.2.1", "192.0.2.1", 80, false, false},
	{"http://[::FFFF:c000:201]", "http://192.0.2.1", "192.0.2.1", 80, false, false},
	{"http://[64:ff9b::192.0.2.1]", "http://[64:ff9b::c000:201]", "64:ff9b::c000:201", 80,
	 false, true},
	/* names that only look odd */
	{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example",
	 443, true, false},
	{"https://1.2.3.com", "https://1.2.3.com", "1.2.3.com", 443, true, false},
	{"https://0xyz", "https://0xyz", "0xyz", 443, true, false},
	{"https://http", "https://http", "http", 443, true, false},
};

static void test_parse(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++) {
		const struct good *c = &good[i];
		struct err err = {0};
		struct url again;
		struct url u;

		if (url_parse(c->text, &u, &err))
			fail_msg("%s: %s", c->text, err.msg);
		assert_string_equal(u.text, c->normal);
		assert_string_equal(u.host, c->host);
		assert_int_equal(u.port, c->port);
		assert_int_equal(u.https, c->https);
		assert_int_equal(u.ipv6, c->ipv6);
		assert_int_equal(url_parse(u.text, &again, &err), 0);
		assert_string_equal(again.text, u.text);
		assert_string_equal(again.host, u.host);
	}
}

static const char *const refused[] = {
	/* schemes */
	"",
	"auth.example.com",
	"//auth.example.com",
	"ftp://a",
	"https:a",
	"https:/a",
	"https//a",
	"https",
	" https://a",
	"unix:///run/x",
	"javascript:alert(1)",
	/* no host, odd hosts */
	"https://",
	"https:///",
	"https:///a",
	"https://:443",
	"https://.",
	"https://..",
	"https://a..b",
	"https://a..",
	"https://.a",
	"https://-a",
	"https://a_b",
	"https://*.a",
	"https://a b",
	"https://a,b",
	"https://b\xc3\xbc.example",
	"https://a\xe3\x80\x82.example",
	/* what another parser reads as user, query, fragment or escape */
	"https://user@a",
	"https://user:secret@a",
	"https://a@b@c",
	"https://a:80@b",
	"https://svc\\@evil",
	"https://svc\\evil",
	"https://a\\/b",
	"https://a#",
	"https://a#@b",
	"https://a?",
	"https://a?b",
	"https://a/?b",
	"https://a/#b",
	"https://a/b@c",
	"https://a/%2e%2e/b",
	"https://a%2eb",
	"https://a/b%00",
	"https://a%00.b",
	/* dot segments and empty ones */
	"https://a/.",
	"https://a/./",
	"https://a/..",
	"https://a/../",
	"https://a/../b",
	"https://a/b/..",
	"https://a/b/./c",
	"https://a//b",
	"https://a/b//c",
	/* characters */
	"https://a/b c",
	"https://a/b\tc",
	"https://a/b\n",
	"https://a\n",
	"https://a\r\nHost: b",
	"https://a/\x7f",
	"https://a/\xc3\xbc",
	"https://a/\"",
	"https://a/<b>",
	"https://a/[b]",
	"https://a/{b}",
	"https://a/b|c^`",
	"https://a/b\\c",
	/* numbers that some resolver takes for an address */
	"http://2852039166/",
	"http://0",
	"http://127.1",
	"http://127.0.1",
	"http://0x7f.1",
	"http://0x7f000001",
	"http://0x",
	"http://127.0.0.0x1",
	"http://0177.0.0.1",
	"http://127.0.0.01",
	"http://256.0.0.1",
	"http://1.2.3.4.5",
	"http://a.1",
	"http://192.0.2.1.",
	/* IPv6 */
	"http://::1",
	"http://2001:db8::1/",
	"http://[]",
	"http://[",
	"http://[::1",
	"http://[::1]a",
	"http://[::1].",
	"http://[[::1]]",
	"http://[::1%eth0]",
	"http://[::1%25eth0]",
	"http://[192.0.2.1]",
	"http://[v1.a]",
	"http://[a]",
	"http://[1:2:3:4:5:6:7:8:9]",
	"http://[::1]:",
	"http://a]",
	/* ports */
	"https://a:",
	"https://a:/",
	"https://a:0",
	"https://a:00",
	"https://a:0443",
	"https://a:65536",
	"https://a:99999",
	"https://a:100000",
	"https://a:18446744073709551696",
	"https://a:-1",
	"https://a:+1",
	"https://a:0x50",
	"https://a:8o",
	"https://a:80:80",
	"https://a: 80",
	"https://a:http",
	/* 254 characters of host */
	"https://" L50 "." L50 "." L50 "." L50 "." L50,
};

static void test_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(refused); i++) {
		struct err err = {0};
		struct url before;
		struct url u;

		memset(&u, 0x5a, sizeof(u));
		before = u;
		if (!url_parse(refused[i], &u, &err))
			fail_msg("%s was taken as %s", refused[i], u.text);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_memory_equal(&u, &before, sizeof(u));
	}
}

static void fill(struct buf *text, const char *start, char c, size_t len)
{
	buf_clear(text);
	assert_int_equal(buf_adds(text, start), 0);
	while (text->len < len)
		assert_int_equal(buf_addc(text, c), 0);
}

static void test_length(void **state)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(4096);
	struct err err = {0};
	struct url u;

	(void)state;
	fill(&text, "https://a/", 'b', URL_LEN - 1);
	assert_int_equal(url_parse(buf_str(&text), &u, &err), 0);
	assert_string_equal(u.text, buf_str(&text));
	fill(&text, "https://a/", 'b', URL_LEN);
	assert_int_equal(url_parse(buf_str(&text), &u, &err), -1);
	/* The normal form of an address may be longer than what was written. */
	fill(&text, "https://[::ffff:0:c0a8:c8c8]/", 'b', URL_LEN - 1);
	assert_int_equal(url_parse(buf_str(&text), &u, &err), 0);
	fill(&text, "https://[::c0a8:c8c8]/", 'b', URL_LEN - 1);
	assert_int_equal(url_parse(buf_str(&text), &u, &err), -1);
	assert_non_null(strstr(err.msg, "too long"));
}

static void test_equal(void **state)
{
	(void)state;
	assert_true(url_equal("HTTPS://A.example:443/b/", "https://a.example./b"));
	assert_true(url_equal("http://[0::1]", "http://[::1]:80/"));
	assert_false(url_equal("https://a/b", "https://a/B"));
	assert_false(url_equal("https://a", "http://a"));
	assert_false(url_equal("https://a", "https://a:8443"));
	assert_false(url_equal("https://a", "https://a/b"));
	assert_false(url_equal("a", "a"));
	assert_false(url_equal("", ""));
	assert_false(url_equal("https://a", ""));
	assert_false(url_equal("", "https://a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
