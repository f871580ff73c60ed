/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"

static void test_set(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_THROTTLED, 7, "host %s said %d", "x", 429), -1);
	assert_int_equal(err.kind, ERR_THROTTLED);
	assert_int_equal(err.code, 7);
	assert_string_equal(err.msg, "host x said 429");
}

static void test_wrap(void **state)
{
	struct err err = {0};

	(void)state;
	(void)err_set(&err, ERR_DENIED, 403, "forbidden");
	assert_int_equal(err_wrap(&err, "reading %s", "file"), -1);
	(void)err_wrap(&err, "starting");
	assert_int_equal(err.kind, ERR_DENIED);
	assert_int_equal(err.code, 403);
	assert_string_equal(err.msg, "starting: reading file: forbidden");
}

static void test_long_messages_are_cut(void **state)
{
	struct err err = {0};
	char text[2 * sizeof(err.msg)];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_INVALID, 0, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	(void)err_wrap(&err, "outer");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_memory_equal(err.msg, "outer: xxx", 10);
	(void)err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_memory_equal(err.msg, "xxx", 3);
}

static void test_kind_names(void **state)
{
	static const char *const names[] = {"None", "Transient", "Conflict", "NotFound",
					    "Gone", "Throttled", "Denied",   "Invalid"};
	size_t kind;

	(void)state;
	for (kind = 0; kind < ARRAY_LEN(names); kind++)
		assert_string_equal(err_kind_name((enum err_kind)kind), names[kind]);
	assert_string_equal(err_kind_name((enum err_kind)ARRAY_LEN(names)), "Unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_long_messages_are_cut),
		cmocka_unit_test(test_kind_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
