/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
	const char *text;
	const char *items; /* each followed by '|' */
	const char *rest;
};

static const struct row rows[] = {
	{"{\"items\":[]}", "", "{\"items\":[]}"},
	{"{\"items\":[{\"a\":1},{\"b\":{\"items\":[{}]}}],\"kind\":\"List\"}",
	 "{\"a\":1}|{\"b\":{\"items\":[{}]}}|", "{\"items\":[],\"kind\":\"List\"}"},
	{" { \"kind\" : \"items\" , \"items\" : [ {} , {} ] , \"metadata\":{} } ", "{}|{}|",
	 " { \"kind\" : \"items\" , \"items\" : [] , \"metadata\":{} } "},
	{"{\"items\":[{\"x\":\"}]\\\"{[\"}]}", "{\"x\":\"}]\\\"{[\"}|", "{\"items\":[]}"},
	{"{\"other\":[{\"a\":1}],\"sub\":{\"items\":[{}]}}", "",
	 "{\"other\":[{\"a\":1}],\"sub\":{\"items\":[{}]}}"},
	{"{\"\\\"items\":[{}]}", "", "{\"\\\"items\":[{}]}"},
	{"not json", "", "not json"},
	{"", "", ""},
	{"{\"items\":[{\"a\":1}", "{\"a\":1}|", "{\"items\":["},
	{"}}{\"items\":[{}]}", "", "}}{\"items\":[{}]}"},
};

static int add_item(void *ctx, const char *text, size_t len)
{
	struct buf *items = ctx;

	(void)buf_add(items, text, len);
	return buf_addc(items, '|');
}

static void test_items_are_taken_out(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_donep) struct buf items = BUF_INIT(4096);
		CLEANUP(buf_donep) struct buf rest = BUF_INIT(4096);

		assert_int_equal(kube_split_items(rows[i].text, strlen(rows[i].text), add_item,
						  &items, &rest),
				 0);
		assert_string_equal(buf_str(&items), rows[i].items);
		assert_string_equal(buf_str(&rest), rows[i].rest);
	}
}

static int refuse(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	assert_int_equal(len, 1);
	assert_int_equal(*text, '7');
	return -1;
}

static void test_an_item_that_is_no_object_is_shown_to_the_parser(void **state)
{
	static const char text[] = "{\"items\":[7,{}]}";
	CLEANUP(buf_donep) struct buf rest = BUF_INIT(4096);

	(void)state;
	assert_int_equal(kube_split_items(text, strlen(text), refuse, NULL, &rest), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items_are_taken_out),
		cmocka_unit_test(test_an_item_that_is_no_object_is_shown_to_the_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
