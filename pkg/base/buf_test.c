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

static void test_empty(void **state)
{
	CLEANUP(buf_donep) struct buf b = BUF_INIT(4);
	CLEANUP(mem_freep) char *taken = buf_take(&b);

	(void)state;
	assert_string_equal(taken, "");
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_string_equal(buf_str(&b), "");
	buf_drop_front(&b, 0);
	buf_clear(&b);
	assert_int_equal(b.len, 0);
}

static void test_appends(void **state)
{
	CLEANUP(buf_donep) struct buf b;

	(void)state;
	buf_init(&b, 64);
	assert_int_equal(buf_adds(&b, "one"), 0);
	assert_int_equal(buf_addc(&b, ' '), 0);
	assert_int_equal(buf_addf(&b, "%s-%d", "two", 3), 0);
	assert_int_equal(buf_add(&b, "\0x", 2), 0);
	assert_int_equal(b.len, 11);
	assert_memory_equal(buf_str(&b), "one two-3\0x", 12);
}

static void test_maximum(void **state)
{
	CLEANUP(buf_donep) struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(buf_adds(&b, "1234"), 0);
	assert_false(b.failed);
	assert_int_equal(buf_addc(&b, '5'), -1);
	assert_true(b.failed);
	assert_string_equal(buf_str(&b), "1234");
	buf_drop_front(&b, 2);
	assert_int_equal(buf_add(&b, "", 0), -1);
	assert_string_equal(buf_str(&b), "34");
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "%d", 12345), -1);
	assert_string_equal(buf_str(&b), "");
	buf_clear(&b);
	assert_int_equal(buf_add(&b, "x", SIZE_MAX), -1);
	buf_clear(&b);
	assert_int_equal(buf_adds(&b, "abcd"), 0);
}

static void test_grows(void **state)
{
	CLEANUP(buf_donep) struct buf b = BUF_INIT(100000);
	size_t i;

	(void)state;
	for (i = 0; i < b.max; i++)
		assert_int_equal(buf_addc(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(buf_addc(&b, 'x'), -1);
	assert_int_equal(strlen(buf_str(&b)), b.max);
	for (i = 0; i < b.max; i++)
		assert_int_equal(b.data[i], 'a' + i % 26);
}

static void test_drop_front(void **state)
{
	CLEANUP(buf_donep) struct buf b = BUF_INIT(64);

	(void)state;
	(void)buf_adds(&b, "line\nrest");
	buf_drop_front(&b, 5);
	assert_string_equal(buf_str(&b), "rest");
	(void)buf_adds(&b, "!");
	assert_string_equal(buf_str(&b), "rest!");
	buf_drop_front(&b, 5);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
}

static void test_take_leaves_it_empty(void **state)
{
	CLEANUP(buf_donep) struct buf b = BUF_INIT(8);
	(void)buf_adds(&b, "text");
	CLEANUP(mem_freep) char *taken = buf_take(&b);

	(void)state;
	assert_string_equal(taken, "text");
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 8);
	assert_int_equal(buf_adds(&b, "12345678"), 0);
	assert_string_equal(buf_str(&b), "12345678");
}

static void test_clear_and_drop_wipe(void **state)
{
	static const char zeroes[6];
	CLEANUP(buf_donep) struct buf b = BUF_INIT(64);

	(void)state;
	(void)buf_adds(&b, "secret");
	buf_drop_front(&b, 4);
	assert_memory_equal(b.data, "et\0\0\0\0", 6);
	buf_clear(&b);
	assert_memory_equal(b.data, zeroes, sizeof(zeroes));
	buf_done(&b);
	assert_null(b.data);
	assert_int_equal(b.max, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_drop_front),
		cmocka_unit_test(test_take_leaves_it_empty),
		cmocka_unit_test(test_clear_and_drop_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
