/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "yml/yml.h"

#define MANY 200000

static void freep(json_t **doc)
{
	json_decref(*doc);
}

static void assert_yields(const char *text, size_t len, const char *expected)
{
	struct err err = {0};
	CLEANUP(freep) json_t *doc = yml_parse(text, len, &err);
	CLEANUP(mem_freep) char *got = json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY);

	assert_string_equal(err.msg, "");
	assert_non_null(doc);
	assert_string_equal(got, expected);
}

static void assert_refused(const char *text, size_t len, const char *msg)
{
	struct err err = {0};

	assert_null(yml_parse(text, len, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_string_equal(err.msg, msg);
}

struct pair {
	const char *text;
	const char *expected;
};

static void assert_all_yield(const struct pair *pairs, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		assert_yields(pairs[i].text, strlen(pairs[i].text), pairs[i].expected);
}

static void test_plain_scalars(void **state)
{
	static const struct pair pairs[] = {
		{"~", "null"},
		{"Null", "null"},
		{"nULL", "\"nULL\""},
		{"True", "true"},
		{"FALSE", "false"},
		{"yes", "\"yes\""},
		{"off", "\"off\""},
		{"0", "0"},
		{"-12", "-12"},
		{"+12", "12"},
		{"0012", "12"},
		{"0o17", "15"},
		{"0o18", "\"0o18\""},
		{"0x1F", "31"},
		{"0x", "\"0x\""},
		{"-0x1", "\"-0x1\""},
		{"0x-1", "\"0x-1\""},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"1.5", "1.5"},
		{"-.5", "-0.5"},
		{"1.", "1.0"},
		{"1e3", "1000.0"},
		{"1.5E-1", "0.14999999999999999"},
		{".", "\".\""},
		{"+", "\"+\""},
		{"e5", "\"e5\""},
		{"1e", "\"1e\""},
		{"1e+", "\"1e+\""},
		{"1.2.3", "\"1.2.3\""},
		{"1:30", "\"1:30\""},
		{"2026-11-24", "\"2026-11-24\""},
		{"1_000", "\"1_000\""},
		{"0x1p3", "\"0x1p3\""},
		{"infinity", "\"infinity\""},
		{"nan", "\"nan\""},
	};

	(void)state;
	assert_all_yield(pairs, ARRAY_LEN(pairs));
}

static void test_quoted_scalars(void **state)
{
	static const struct pair pairs[] = {
		{"\"true\"", "\"true\""},
		{"'12'", "\"12\""},
		{"''", "\"\""},
		{"'it''s'", "\"it's\""},
		{"\"a\\tb\\0\\u00e9\\U0001F600\"", "\"a\\tb\\u0000\xc3\xa9\xf0\x9f\x98\x80\""},
		{"!!str true", "\"true\""},
		{"a: !!str\nb: 1", "{\"a\":\"\",\"b\":1}"},
		{"|\n  one\n  two\n", "\"one\\ntwo\\n\""},
		{"|-\n  12\n", "\"12\""},
		{">\n  one\n  two\n\n  three\n", "\"one two\\nthree\\n\""},
		{"one\n two", "\"one two\""},
	};

	(void)state;
	assert_all_yield(pairs, ARRAY_LEN(pairs));
}

static void test_documents(void **state)
{
	static const struct pair pairs[] = {
		{"", "null"},
		{"# only a comment\n", "null"},
		{"---\n", "null"},
		{"--- 1\n--- 2\n", "1"},
		{"a: 1\n...\n%garbage", "{\"a\":1}"},
		{"%YAML 1.2\n---\nx", "\"x\""},
		{"\xef\xbb\xbf"
		 "a: 1",
		 "{\"a\":1}"},
		{"{\"a\": [1, -2.5, \"x\", null, {}], \"b\": false}",
		 "{\"a\":[1,-2.5,\"x\",null,{}],\"b\":false}"},
		{"z: 1\na: 2\nm:\n- - x\n  - y\n- {}\n- k: v\n",
		 "{\"z\":1,\"a\":2,\"m\":[[\"x\",\"y\"],{},{\"k\":\"v\"}]}"},
		{"a:\nb: ~\n", "{\"a\":null,\"b\":null}"},
		{"1: a\ntrue: b\n~: c\n\"\": d\n",
		 "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\",\"\":\"d\"}"},
		{"? k\n: v\n", "{\"k\":\"v\"}"},
		{"[a, b: c]", "[\"a\",{\"b\":\"c\"}]"},
		{"'<<': 1", "{\"<<\":1}"},
	};
	static const char utf16[] = "\xff\xfe"
				    "a\0:\0 \0001\0";

	(void)state;
	assert_all_yield(pairs, ARRAY_LEN(pairs));
	assert_yields(utf16, sizeof(utf16) - 1, "{\"a\":1}");
}

static void test_kubeconfig(void **state)
{
	static const char text[] = "apiVersion: v1\n"
				   "kind: Config\n"
				   "clusters:\n"
				   "- name: here\n"
				   "  cluster:\n"
				   "    server: https://[::1]:6443\n"
				   "    insecure-skip-tls-verify: true\n"
				   "contexts: []\n"
				   "current-context: \"\"\n";

	(void)state;
	assert_yields(text, sizeof(text) - 1,
		      "{\"apiVersion\":\"v1\",\"kind\":\"Config\",\"clusters\":[{\"name\":\"here\","
		      "\"cluster\":{\"server\":\"https://[::1]:6443\","
		      "\"insecure-skip-tls-verify\":true}}],\"contexts\":[],"
		      "\"current-context\":\"\"}");
}

static void test_aliases(void **state)
{
	static const struct pair pairs[] = {
		{"[&a x, *a]", "[\"x\",\"x\"]"},
		{"a: &a {k: [1]}\nb: *a\nc: [*a]",
		 "{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]},\"c\":[{\"k\":[1]}]}"},
		{"[&a 1, &a 2, *a]", "[1,2,2]"},
		{"&a [&b 1, *b]", "[1,1]"},
		{"&a [&a 1, *a]", "[1,1]"},
	};
	CLEANUP(freep) json_t *doc = NULL;
	struct err err = {0};

	(void)state;
	assert_all_yield(pairs, ARRAY_LEN(pairs));

	doc = yml_parse("[&a {}, *a]", 11, &err);
	assert_ptr_not_equal(json_array_get(doc, 0), json_array_get(doc, 1));
}

static void test_refused(void **state)
{
	static const struct pair pairs[] = {
		{"a: 1\nb: 2\na: 3", "a duplicate key at line 3, column 1"},
		{"[{x: {a: 1, 'a': 1}}]", "a duplicate key at line 1, column 13"},
		{"a: &a {}\nb: {<<: *a}", "a merge key at line 2, column 5"},
		{"&a k: v", "an anchor on a key at line 1, column 1"},
		{"\"k\\0\": v", "a NUL in a key at line 1, column 1"},
		{"? [a]\n: v", "a key that is no scalar at line 1, column 3"},
		{"? {a: 1}\n: v", "a key that is no scalar at line 1, column 3"},
		{"[&a x, {*a : 1}]", "a key that is no scalar at line 1, column 9"},
		{"*a", "an alias of no anchor before it at line 1, column 1"},
		{"[*a, &a 1]", "an alias of no anchor before it at line 1, column 2"},
		{"&a [*a]", "an alias of no anchor before it at line 1, column 5"},
		{"[&a 1, &a [*a]]", "an alias of no anchor before it at line 1, column 12"},
		{"!!int '3'", "an unknown tag at line 1, column 1"},
		{"!mine x", "an unknown tag at line 1, column 1"},
		{"!!set {a, b}", "an unknown tag at line 1, column 1"},
		{"!!omap [a: 1]", "an unknown tag at line 1, column 1"},
		{"9223372036854775808", "a number out of range at line 1, column 1"},
		{"a: 0xffffffffffffffff", "a number out of range at line 1, column 4"},
		{"1e999", "a number out of range at line 1, column 1"},
		{"-.INF", "a number out of range at line 1, column 1"},
		{".nan", "a number out of range at line 1, column 1"},
		{"a: b: c", "mapping values are not allowed in this context at line 1, column 5"},
		{"a:\n\t- b", "found character that cannot start any token at line 2, column 1"},
		{"[1", "did not find expected ',' or ']' at line 2, column 1"},
		{"'open", "found unexpected end of stream at line 1, column 6"},
		{"a: \xff", "invalid leading UTF-8 octet at line 1, column 1"},
		{"\"\\uD800\"", "found invalid Unicode character escape code at line 1, column 4"},
		{"a: \x01", "control characters are not allowed at line 1, column 1"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(pairs); i++)
		assert_refused(pairs[i].text, strlen(pairs[i].text), pairs[i].expected);
}

/* count times before, then the middle, then count times after; the caller frees. */
static char *repeat(size_t count, const char *before, const char *middle, const char *after)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(4 * YML_MAX_BYTES);
	size_t i;

	for (i = 0; i < count; i++)
		(void)buf_adds(&text, before);
	(void)buf_adds(&text, middle);
	for (i = 0; i < count; i++)
		(void)buf_adds(&text, after);
	return buf_take(&text);
}

static void test_depth(void **state)
{
	CLEANUP(mem_freep) char *deepest = repeat(YML_MAX_DEPTH, "[", "", "]");
	CLEANUP(mem_freep) char *too_deep = repeat(YML_MAX_DEPTH + 1, "[", "", "]");
	CLEANUP(mem_freep) char *bomb = repeat(MANY, "[", "", "]");
	CLEANUP(mem_freep) char *dashes = repeat(MANY, "- ", "x", "");
	CLEANUP(mem_freep) char *half = repeat(YML_MAX_DEPTH / 2, "[", "", "]");
	/* One level for the outer list: a half and a half less one fit, two halves do not. */
	CLEANUP(mem_freep)
	char *fits = mem_printf("[&a %s,%.31s*a%.31s]", half, half, half + YML_MAX_DEPTH / 2);
	CLEANUP(mem_freep)
	char *deep_alias = mem_printf("[&a %s,%.32s*a%.32s]", half, half, half + YML_MAX_DEPTH / 2);
	struct err err = {0};
	CLEANUP(freep) json_t *doc = yml_parse(fits, strlen(fits), &err);

	(void)state;
	assert_non_null(doc);
	assert_yields(deepest, strlen(deepest), deepest);
	assert_refused(too_deep, strlen(too_deep), "too many levels at line 1, column 65");
	assert_refused(bomb, strlen(bomb), "too many levels at line 1, column 65");
	assert_refused(dashes, strlen(dashes), "too many levels at line 1, column 129");
	assert_refused(deep_alias, strlen(deep_alias), "too many levels at line 1, column 102");
}

static void test_alias_bomb(void **state)
{
	CLEANUP(buf_donep) struct buf laughs = BUF_INIT(4096);
	int name;

	(void)state;
	(void)buf_adds(&laughs, "a: &a [x, x, x, x, x, x, x, x, x]\n");
	for (name = 'b'; name <= 'i'; name++) {
		int last = name - 1;

		(void)buf_addf(&laughs, "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n",
			       name, name, last, last, last, last, last, last, last, last, last);
	}
	assert_refused(buf_str(&laughs), laughs.len, "too many nodes at line 6, column 8");
}

/* Few nodes, but long ones. */
static void test_alias_text_bomb(void **state)
{
	CLEANUP(mem_freep) char *long_text = repeat(YML_MAX_BYTES / 4, "x", "", "");
	CLEANUP(mem_freep) char *bomb = mem_printf("- &a %s\n- *a\n- *a\n- *a\n- *a\n", long_text);

	(void)state;
	assert_refused(bomb, strlen(bomb), "too much text at line 5, column 3");
}

static void test_caps(void **state)
{
	CLEANUP(mem_freep) char *most_nodes = repeat(YML_MAX_NODES - 1, "- 1\n", "", "");
	CLEANUP(mem_freep) char *too_many_nodes = repeat(YML_MAX_NODES, "- 1\n", "", "");
	CLEANUP(mem_freep) char *too_many_lists = repeat(YML_MAX_NODES, "- []\n", "", "");
	CLEANUP(mem_freep) char *most_anchors = repeat(YML_MAX_ANCHORS, "- &a 1\n", "- *a\n", "");
	CLEANUP(mem_freep)
	char *too_many_anchors = repeat(YML_MAX_ANCHORS, "- &a 1\n", "- &b []", "");
	CLEANUP(mem_freep) char *too_long = repeat(YML_MAX_BYTES + 1, " ", "", "");
	struct err err = {0};
	CLEANUP(freep) json_t *nodes = yml_parse(most_nodes, strlen(most_nodes), &err);
	CLEANUP(freep) json_t *anchors = yml_parse(most_anchors, strlen(most_anchors), &err);

	(void)state;
	assert_int_equal(json_array_size(nodes), YML_MAX_NODES - 1);
	assert_int_equal(json_array_size(anchors), YML_MAX_ANCHORS + 1);
	assert_yields(too_long, YML_MAX_BYTES, "null");
	assert_refused(too_many_nodes, strlen(too_many_nodes),
		       "too many nodes at line 100000, column 3");
	assert_refused(too_many_lists, strlen(too_many_lists),
		       "too many nodes at line 100000, column 3");
	assert_refused(too_many_anchors, strlen(too_many_anchors),
		       "too many anchors at line 257, column 3");
	assert_refused(too_long, strlen(too_long), "YAML of more than 4194304 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_scalars),
		cmocka_unit_test(test_quoted_scalars),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_kubeconfig),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_alias_bomb),
		cmocka_unit_test(test_alias_text_bomb),

		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
