/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/intern.h"

static void test_equal_texts_are_one(void **state)
{
	char copy[] = "all accounts are stored";
	const char *a = intern_get("all accounts are stored");
	const char *b = intern_get(copy);
	const char *other = intern_get("all accounts");

	(void)state;
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, copy);
	assert_ptr_not_equal(a, other);
	intern_put(other);
	intern_put(a);
	assert_string_equal(b, copy); /* ASan tells, had the first put freed it */
	intern_put(b);
}

static void test_no_text_is_the_empty_one(void **state)
{
	const char *empty = intern_get(NULL);

	(void)state;
	assert_string_equal(empty, "");
	assert_ptr_equal(empty, intern_get(""));
	intern_put(empty);
	intern_put(empty);
	intern_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_texts_are_one),
		cmocka_unit_test(test_no_text_is_the_empty_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
