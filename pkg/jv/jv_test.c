/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"

typedef json_t *parse_fn(const char *text, size_t len, struct err *err);

static json_t *must_parse(const char *text)
{
	struct err err = {0};
	json_t *doc = jv_parse(text, strlen(text), &err);

	assert_string_equal(err.msg, "");
	assert_non_null(doc);
	return doc;
}

static void assert_refused(parse_fn *parse, const char *text, size_t len, const char *msg)
{
	struct err err = {0};

	assert_null(parse(text, len, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_string_equal(err.msg, msg);
}

static void assert_round_trip(parse_fn *parse, const char *text, size_t len, const char *expected)
{
	struct err err = {0};
	CLEANUP(jv_freep) json_t *doc = parse(text, len, &err);
	size_t text_len = 0;

	assert_non_null(doc);
	CLEANUP(mem_freep) char *got = jv_text(doc, &text_len);
	assert_string_equal(got, expected);
	assert_int_equal(text_len, strlen(expected));
}

static void test_round_trip(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} cases[] = {
		{"null", "null"},
		{" true ", "true"},
		{"\"x\"", "\"x\""},
		{"[]", "[]"},
		{"{ \"z\" : 1, \"a\" : [ 1 , 2 ], \"m\" : {} }", "{\"z\":1,\"a\":[1,2],\"m\":{}}"},
		{"\"\\u00e9\\n\\/\"", "\"\xc3\xa9\\n/\""},
		{"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
		{"\"a\\u0000b\"", "\"a\\u0000b\""},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"1.0", "1.0"},
		{"\"\"", "\"\""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].text;

		assert_round_trip(jv_parse, text, strlen(text), cases[i].expected);
		assert_round_trip(jv_parse_exact, text, strlen(text), cases[i].expected);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		const char *msg;
	} cases[] = {
		{"", "JSON that ends early at line 1, column 0"},
		{"{\"secret\":}", "malformed JSON at line 1, column 11"},
		{"{\"secret\"", "JSON that ends early at line 1, column 9"},
		{"[1,]", "malformed JSON at line 1, column 4"},
		{"{} {}", "text behind the JSON document at line 1, column 4"},
		{"[\n 1,\n x]", "malformed JSON at line 3, column 2"},
		{"\xef\xbb\xbf{}", "malformed JSON at line 1, column 1"},
		{"\"\xc3\x28\"", "invalid UTF-8 at line 1, column 1"},
		{"\"\xed\xa0\x80\"", "invalid UTF-8 at line 1, column 1"},
		{"\"\xc0\x80\"", "invalid UTF-8 at line 1, column 1"},
		{"\"\\ud800\"", "malformed JSON at line 1, column 8"},
		{"\"\\ud800\\u0041\"", "malformed JSON at line 1, column 14"},
		{"{\"a\\u0000\":1}", "a NUL in a key at line 1, column 10"},
		{"9223372036854775808", "a number out of range at line 1, column 19"},
		{"-9223372036854775809", "a number out of range at line 1, column 20"},
		{"1e400", "a number out of range at line 1, column 5"},
		{"01", "malformed JSON at line 1, column 1"},
		{"NaN", "malformed JSON at line 1, column 3"},
		{"'x'", "malformed JSON at line 1, column 1"},
		{"\"a\nb\"", "malformed JSON at line 1, column 2"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_refused(jv_parse, cases[i].text, strlen(cases[i].text), cases[i].msg);
		assert_refused(jv_parse_exact, cases[i].text, strlen(cases[i].text), cases[i].msg);
	}
	assert_refused(jv_parse, "1\0", 2, "JSON with a NUL byte");
}

static void test_duplicate_keys(void **state)
{
	static const char flat[] = "{\"a\":1,\"b\":2,\"a\":3}";
	static const char nested[] = "[{\"x\":{\"a\":1,\"a\":1}}]";
	static const char escaped[] = "{\"a\":1,\"\\u0061\":1}";

	(void)state;
	assert_round_trip(jv_parse, flat, sizeof(flat) - 1, "{\"a\":3,\"b\":2}");
	assert_refused(jv_parse_exact, flat, sizeof(flat) - 1,
		       "a duplicate key at line 1, column 16");
	assert_refused(jv_parse_exact, nested, sizeof(nested) - 1,
		       "a duplicate key at line 1, column 16");
	assert_refused(jv_parse_exact, escaped, sizeof(escaped) - 1,
		       "a duplicate key at line 1, column 15");
}

/* The digits may change, the double must not. */
static void test_reals_keep_their_double(void **state)
{
	static const char *const cases[] = {
		"0.1",
		"-0.0",
		"1e5",
		"3.141592653589793",
		"1.7976931348623157e308",
		"2.2250738585072014e-308",
		"5e-324",
		"1e-400",
		"9007199254740993.0",
		"123456789012345678901234567890.5",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(jv_freep) json_t *doc = must_parse(cases[i]);
		size_t len = 0;
		CLEANUP(mem_freep) char *text = jv_text(doc, &len);
		CLEANUP(jv_freep) json_t *again = must_parse(text);
		double expected = strtod(cases[i], NULL);
		double got = json_real_value(again);

		assert_true(json_is_real(again));
		assert_memory_equal(&got, &expected, sizeof(got));
	}
}

static char *nested(size_t levels)
{
	char *text = mem_zalloc(2 * levels + 1);

	memset(text, '[', levels);
	memset(text + levels, ']', levels);
	return text;
}

static void test_depth(void **state)
{
	static const char brackets_in_string[] =
		"[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]";
	CLEANUP(mem_freep) char *deepest = nested(JV_MAX_DEPTH);
	CLEANUP(mem_freep) char *too_deep = nested(JV_MAX_DEPTH + 1);
	CLEANUP(mem_freep) char *bomb = nested(1000000);
	CLEANUP(mem_freep) char *closed = mem_printf("]]]]%s", too_deep);
	CLEANUP(mem_freep) char *objects = mem_zalloc(5 * 65 + 1);
	size_t i;

	(void)state;
	for (i = 0; i < 65; i++)
		memcpy(objects + 5 * i, "{\"\":", 5);
	assert_round_trip(jv_parse, deepest, strlen(deepest), deepest);
	assert_round_trip(jv_parse, brackets_in_string, strlen(brackets_in_string),
			  brackets_in_string);
	assert_refused(jv_parse, too_deep, strlen(too_deep), "JSON of more than 64 levels");
	assert_refused(jv_parse_exact, bomb, strlen(bomb), "JSON of more than 64 levels");
	assert_refused(jv_parse, closed, strlen(closed), "malformed JSON at line 1, column 1");
}

static void test_count(void **state)
{
	static const struct {
		const char *text;
		size_t count;
	} cases[] = {
		{"", 0},
		{" \t\r\n", 0},
		{"a,b,c", 0},
		{"\"[,,]\"", 0},
		{"[]", 1},
		{"[1,2,3]", 3},
		{"\n {\"a\":[{}],\"b\":\"[,\\\",{\"}", 4},
		{"[,,,,", 5},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(jv_count(cases[i].text, strlen(cases[i].text)), cases[i].count);
}

static void test_no_text_in_messages(void **state)
{
	static const char *const cases[] = {
		"{\"k\":hunter2}", "[\"hunter2\" hunter2]", "{\"hunter2\":1,\"hunter2\":2}",
		"\"hunter2",	   "\"hunter2\\x\"",	    "\"hunter2\xff\"",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};

		assert_null(jv_parse_exact(cases[i], strlen(cases[i]), &err));
		assert_null(strstr(err.msg, "hunter2"));
	}
}

static void test_getters(void **state)
{
	CLEANUP(jv_freep)
	json_t *doc = must_parse("{\"s\":\"text\",\"i\":7,\"t\":true,\"f\":false,\"n\":null,"
				 "\"r\":1.5,\"z\":\"a\\u0000b\",\"\":{\"\":1},"
				 "\"o\":{\"p\":{\"q\":\"deep\"},\"a\":[1,2]}}");

	(void)state;
	assert_string_equal(jv_str(doc, "s"), "text");
	assert_string_equal(jv_str(doc, "o.p.q"), "deep");
	assert_string_equal(jv_str(doc, "z"), "a");
	assert_string_equal(jv_str(doc, "i"), "");
	assert_string_equal(jv_str(doc, "o.x.q"), "");
	assert_string_equal(jv_str(doc, "s.p"), "");
	assert_int_equal(jv_int(doc, "i", -1), 7);
	assert_int_equal(jv_int(doc, "r", -1), -1);
	assert_int_equal(jv_int(doc, "s", -1), -1);
	assert_int_equal(jv_int(doc, ".", -1), 1);
	assert_true(jv_bool(doc, "t", false));
	assert_false(jv_bool(doc, "f", true));
	assert_true(jv_bool(doc, "n", true));
	assert_false(jv_bool(doc, "i", false));
	assert_null(jv_get(doc, "n"));
	assert_null(jv_get(doc, "n.x"));
	assert_null(jv_get(doc, "missing"));
	assert_null(jv_get(doc, "o."));
	assert_ptr_equal(jv_get(doc, "o.p"), jv_object(jv_object(doc, "o"), "p"));
	assert_int_equal(json_array_size(jv_array(doc, "o.a")), 2);
	assert_null(jv_array(doc, "o"));
	assert_null(jv_object(doc, "o.a"));
	assert_null(jv_get(NULL, "o"));
	assert_string_equal(jv_str(NULL, "o"), "");
}

static void test_builders(void **state)
{
	CLEANUP(jv_freep) json_t *doc = json_object();
	json_t *list = json_array();
	json_t *meta;
	size_t len = 0;

	(void)state;
	jv_set_str(doc, "s", "x\"y");
	jv_set_int(doc, "i", INT64_MIN);
	jv_set_bool(doc, "b", true);
	jv_set(doc, "l", list);
	jv_append(list, json_integer(1));
	jv_append(list, json_null());
	meta = jv_ensure_object(doc, "m");
	jv_set_bool(meta, "b", false);
	assert_ptr_equal(jv_ensure_object(doc, "m"), meta);
	assert_int_equal(json_object_size(jv_ensure_object(doc, "s")), 0);

	CLEANUP(mem_freep) char *text = jv_text(doc, &len);
	assert_string_equal(text, "{\"s\":{},\"i\":-9223372036854775808,\"b\":true,\"l\":[1,null],"
				  "\"m\":{\"b\":false}}");
	assert_int_equal(len, strlen(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_reals_keep_their_double),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_no_text_in_messages),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_builders),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
