/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cidr/cidr.h"

static struct cidr_addr addr(const char *text)
{
	struct cidr_addr parsed;
	struct err err = {0};

	if (cidr_parse_addr(text, &parsed, &err))
		fail_msg("%s: %s", text, err.msg);
	return parsed;
}

static struct cidr prefix(const char *text)
{
	struct cidr parsed;
	struct err err = {0};

	if (cidr_parse(text, &parsed, &err))
		fail_msg("%s: %s", text, err.msg);
	return parsed;
}

static void test_parse_addr(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"192.0.2.1", "192.0.2.1"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8:0:0::00aB", "2001:db8::ab"},
		{"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:c000:201", "192.0.2.1"},
		{"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
		{"0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr_addr parsed = addr(cases[i].text);
		char text[CIDR_TEXT_LEN];

		cidr_addr_text(&parsed, text);
		assert_string_equal(text, cases[i].expected);
	}
}

static void test_parse_addr_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.04",
		"0x7f.0.0.1",
		"127.1",
		"2130706433",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.-4",
		"[::1]",
		"fe80::1%eth0",
		"1::2::3",
		":::",
		"12345::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::ffff:01.2.3.4",
		"::ffff:1.2.3",
		"1:2:3:4:5:6:7:8::",
		"g::",
		"1.2.3.4/8",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr_addr parsed;
		struct err err = {0};

		if (!cidr_parse_addr(cases[i], &parsed, &err))
			fail_msg("%s was taken", cases[i]);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_string_equal(err.msg, "not an IP address");
	}
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *addr;
		unsigned int bits;
	} cases[] = {
		{"0.0.0.0/0", "0.0.0.0", 96},
		{"10.1.2.3/8", "10.1.2.3", 104},
		{"192.0.2.0/024", "192.0.2.0", 120},
		{"192.0.2.0/0000000000000000000032", "192.0.2.0", 128},
		{"::/0", "::", 0},
		{"2001:db8::1/32", "2001:db8::1", 32},
		{"::1/128", "::1", 128},
		{"::ffff:10.0.0.0/104", "10.0.0.0", 104},
		{"0000:0000:0000:0000:0000:ffff:255.255.255.255/128", "255.255.255.255", 128},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr parsed = prefix(cases[i].text);
		char text[CIDR_TEXT_LEN];

		cidr_addr_text(&parsed.addr, text);
		assert_string_equal(text, cases[i].addr);
		assert_int_equal(parsed.bits, cases[i].bits);
	}
}

static void test_parse_refused(void **state)
{
	static const struct {
		const char *text;
		const char *msg;
	} cases[] = {
		{"", "no prefix length"},
		{"10.0.0.0", "no prefix length"},
		{"/8", "not an IP address"},
		{"10.0.0/8", "not an IP address"},
		{"010.0.0.0/8", "not an IP address"},
		{"fe80::1%eth0/64", "not an IP address"},
		{"00000:0000:0000:0000:0000:ffff:255.255.255.255/128", "not an IP address"},
		{"10.0.0.0/", "not a prefix length"},
		{"10.0.0.0/33", "not a prefix length"},
		{"10.0.0.0/4294967304", "not a prefix length"},
		{"10.0.0.0/+8", "not a prefix length"},
		{"10.0.0.0/-1", "not a prefix length"},
		{"10.0.0.0/8 ", "not a prefix length"},
		{"10.0.0.0/8/8", "not a prefix length"},
		{"10.0.0.0/255.0.0.0", "not a prefix length"},
		{"::/129", "not a prefix length"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr parsed = {.bits = 77};
		struct err err = {0};

		assert_int_equal(cidr_parse(cases[i].text, &parsed, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(parsed.bits, 77);
	}
}

static void test_contains(void **state)
{
	static const struct {
		const char *prefix;
		const char *addr;
		bool expected;
	} cases[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"192.0.2.1/32", "192.0.2.0", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"0.0.0.0/0", "::ffff:1.2.3.4", true},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.0.0.1", false},
		{"::ffff:0:0/95", "10.0.0.1", false},
		{"::ffff:0:0/96", "10.0.0.1", true},
		{"::ffff:10.0.0.0/104", "10.0.0.1", true},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct cidr p = prefix(cases[i].prefix);
		struct cidr_addr a = addr(cases[i].addr);

		if (cidr_contains(&p, &a) != cases[i].expected)
			fail_msg("%s and %s", cases[i].prefix, cases[i].addr);
	}
}

#define LOOPBACK    "a loopback address"
#define LINK_LOCAL  "a link-local address"
#define UNSPECIFIED "an unspecified address"
#define MULTICAST   "a multicast address"
#define BROADCAST   "a broadcast address"
#define API_SERVER  "the Kubernetes API server's address"

struct verdict {
	const char *addr;
	const char *refusal; /* NULL: may be used */
};

static void assert_verdicts(const struct cidr_policy *policy, const struct verdict *verdicts,
			    size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		struct cidr_addr a = addr(verdicts[i].addr);
		const char *got = cidr_refusal(policy, &a);
		const char *expected = verdicts[i].refusal;

		if (strcmp(got ? got : "used", expected ? expected : "used") != 0)
			fail_msg("%s: %s", verdicts[i].addr, got);
	}
}

static void test_refusal(void **state)
{
	static const struct verdict verdicts[] = {
		{"0.0.0.0", UNSPECIFIED},
		{"0.255.255.255", UNSPECIFIED},
		{"1.0.0.0", NULL},
		{"126.255.255.255", NULL},
		{"127.0.0.1", LOOPBACK},
		{"127.255.255.255", LOOPBACK},
		{"128.0.0.0", NULL},
		{"169.253.255.255", NULL},
		{"169.254.169.254", LINK_LOCAL},
		{"169.255.0.0", NULL},
		{"223.255.255.255", NULL},
		{"224.0.0.1", MULTICAST},
		{"239.255.255.255", MULTICAST},
		{"240.0.0.1", NULL},
		{"255.255.255.254", NULL},
		{"255.255.255.255", BROADCAST},
		{"10.0.0.1", NULL},
		{"192.168.1.1", NULL},
		{"::", UNSPECIFIED},
		{"::1", LOOPBACK},
		{"::2", NULL},
		{"fe7f::1", NULL},
		{"fe80::1", LINK_LOCAL},
		{"febf::1", LINK_LOCAL},
		{"fec0::1", NULL},
		{"feff::1", NULL},
		{"ff00::", MULTICAST},
		{"ff02::1", MULTICAST},
		{"2001:db8::1", NULL},
		{"fd00::1", NULL},
	};
	struct cidr_policy policy = {0};

	(void)state;
	assert_verdicts(&policy, verdicts, ARRAY_LEN(verdicts));
}

static void test_refusal_of_carried_v4(void **state)
{
	static const struct verdict verdicts[] = {
		{"::ffff:127.0.0.1", LOOPBACK},
		{"::ffff:7f00:1", LOOPBACK},
		{"::ffff:8.8.8.8", NULL},
		{"64:ff9b::127.0.0.1", LOOPBACK},
		{"64:ff9b::169.254.169.254", LINK_LOCAL},
		{"64:ff9b::8.8.8.8", NULL},
		{"64:ff9b::1:127.0.0.1", NULL},		  /* not the /96 any more */
		{"64:ff9b:1:a9fe:a9:fe00::", LINK_LOCAL}, /* /48 */
		{"64:ff9b:1:808:8:800::", NULL},
		{"64:ff9b:1:1aa9:fe:a9fe::", LINK_LOCAL}, /* /56 */
		{"64:ff9b:1:1a08:8:808::", NULL},
		{"64:ff9b:1:1a2b:a9:fea9:fe00:0", LINK_LOCAL}, /* /64 */
		{"64:ff9b:1:1a2b:8:808:800:0", NULL},
		{"64:ff9b:1::169.254.169.254", LINK_LOCAL}, /* /96 */
		{"64:ff9b:1:7f00:0:1:169.254.169.254", LINK_LOCAL},
		{"64:ff9b:1:7f00:0:1:8.8.8.8", NULL},
		{"64:ff9b:1::", UNSPECIFIED},
		{"64:ff9b:2::169.254.169.254", NULL}, /* nobody's */
		{"2002:7f00:1::", LOOPBACK},
		{"2002:a9fe:a9fe::1", LINK_LOCAL},
		{"2002:e000:1::", MULTICAST},
		{"2002:ffff:ffff::", BROADCAST},
		{"2002:808:808::7f00:1", NULL},
		{"2003:7f00:1::", NULL},
	};
	struct cidr_policy policy = {0};

	(void)state;
	assert_verdicts(&policy, verdicts, ARRAY_LEN(verdicts));
}

static void test_policy(void **state)
{
	static const struct verdict verdicts[] = {
		{"10.96.0.1", API_SERVER},
		{"::ffff:10.96.0.1", API_SERVER},
		{"64:ff9b::10.96.0.1", API_SERVER},
		{"2002:a60:1::5", API_SERVER},
		{"10.96.0.2", NULL},
		{"fd00::1", API_SERVER},
		{"fd00::2", NULL},
		{"203.0.113.7", API_SERVER},
		{"127.0.0.1", NULL},
		{"64:ff9b::127.0.0.1", NULL},
		{"127.0.0.2", LOOPBACK},
		{"::1", LOOPBACK},
		{"fe80::1", NULL},
		{"fd00:1::1", NULL},
		{"2002:7f00:2::", LOOPBACK}, /* allowed in vain: 127.0.0.2 is inside */
	};
	const struct cidr allowed[] = {prefix("127.0.0.1/32"), prefix("fe80::/10"),
				       prefix("fd00:1::/32"), prefix("2002::/16")};
	const struct cidr_addr refused[] = {addr("10.96.0.1"), addr("fd00::1"), addr("fd00:1::1"),
					    addr("64:ff9b::203.0.113.7")};
	struct cidr_policy policy = {allowed, ARRAY_LEN(allowed), refused, ARRAY_LEN(refused)};

	(void)state;
	assert_verdicts(&policy, verdicts, ARRAY_LEN(verdicts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_addr),
		cmocka_unit_test(test_parse_addr_refused),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refused),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_refusal_of_carried_v4),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
