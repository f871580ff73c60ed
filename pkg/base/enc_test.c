/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/mem.h"

/* RFC 4648 section 10, and all bits of a byte. */
static const struct {
	const char *plain;
	const char *text;
} vectors[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xff\xfe\xfb", "//77"},
	{"\xfb\xef\xbe", "++++"},
};

static void test_base64(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		CLEANUP(mem_freep)
		char *text = enc_base64(vectors[i].plain, strlen(vectors[i].plain));

		assert_string_equal(text, vectors[i].text);
	}
}

static void assert_decodes(const char *text, const char *expected, size_t expected_len)
{
	struct err err = {0};
	size_t len = SIZE_MAX;
	CLEANUP(mem_freep) char *plain = enc_unbase64(text, strlen(text), &len, &err);

	assert_non_null(plain);
	assert_int_equal(len, expected_len);
	assert_memory_equal(plain, expected, expected_len + 1);
}

static void test_unbase64(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(vectors); i++)
		assert_decodes(vectors[i].text, vectors[i].plain, strlen(vectors[i].plain));
	assert_decodes("AAAA", "\0\0\0", 3);
	assert_decodes("Zm9v\r\nYmFy\n", "foobar", 6);
	assert_decodes("\nZ\ng\n=\n=\n", "f", 1);
	assert_decodes("Zh==", "f", 1); /* stray bits, as Go's StdEncoding has it */
}

static void test_unbase64_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *msg;
	} cases[] = {
		{"Z", 1, "not base64: it ends early"},
		{"Zg", 2, "not base64: it ends early"},
		{"Zg=", 3, "not base64: it ends early"},
		{"Zm9vYg", 6, "not base64: it ends early"},
		{"=", 1, "not base64: character 0"},
		{"Z===", 4, "not base64: character 1"},
		{"Zm9v=", 5, "not base64: character 4"},
		{"Zg==Zg==", 8, "not base64: character 4"},
		{"Zg=a", 4, "not base64: character 3"},
		{"Zg==\n=", 6, "not base64: character 5"},
		{"Zm 9v", 5, "not base64: character 2"},
		{"Zm-_", 4, "not base64: character 2"},
		{"Zm\0v", 4, "not base64: character 2"},
		{"Zm\xc3\xa9", 4, "not base64: character 2"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		size_t len = 77;

		assert_null(enc_unbase64(cases[i].text, cases[i].len, &len, &err));
		assert_int_equal(err.kind, ERR_INVALID);
		assert_string_equal(err.msg, cases[i].msg);
		assert_int_equal(len, 77);
	}
}

static void test_base64_round_trip(void **state)
{
	unsigned char bytes[256];
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(bytes); len++)
		bytes[len] = (unsigned char)(len * 167);
	for (len = 0; len <= sizeof(bytes); len++) {
		CLEANUP(mem_freep) char *text = enc_base64(bytes, len);
		struct err err = {0};
		size_t got_len = 0;
		CLEANUP(mem_freep) char *got = enc_unbase64(text, strlen(text), &got_len, &err);

		assert_non_null(got);
		assert_int_equal(got_len, len);
		assert_memory_equal(got, bytes, len);
	}
}

static void test_percent(void **state)
{
	CLEANUP(buf_donep) struct buf out = BUF_INIT(64);
	CLEANUP(buf_donep) struct buf small = BUF_INIT(4);

	(void)state;
	assert_int_equal(enc_percent(&out, "aZ09-._~"), 0);
	assert_int_equal(enc_percent(&out, " /?#%&+=:\xc3\xa9\n"), 0);
	assert_string_equal(buf_str(&out), "aZ09-._~%20%2F%3F%23%25%26%2B%3D%3A%C3%A9%0A");
	assert_int_equal(enc_percent(&small, "ab/"), -1);
	assert_string_equal(buf_str(&small), "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),		 cmocka_unit_test(test_unbase64),
		cmocka_unit_test(test_unbase64_refuses), cmocka_unit_test(test_base64_round_trip),
		cmocka_unit_test(test_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
