/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static void test_zeroed(void **state)
{
	static const char zeroes[64];
	CLEANUP(mem_freep) char *one = mem_zalloc(sizeof(zeroes));
	CLEANUP(mem_freep) char *many = mem_zalloc_array(8, 8);
	CLEANUP(mem_freep) void *none = mem_zalloc_array(0, 8);
	CLEANUP(mem_freep) void *empty = mem_alloc(0);

	(void)state;
	assert_memory_equal(one, zeroes, sizeof(zeroes));
	assert_memory_equal(many, zeroes, sizeof(zeroes));
	assert_non_null(none);
	assert_non_null(empty);
}

static void test_resize(void **state)
{
	CLEANUP(mem_freep) char *text = mem_dup("abc", 3);

	(void)state;
	text = mem_resize(text, 1000, 4);
	assert_string_equal(text, "abc");
	text = mem_resize(text, 0, 4);
	assert_non_null(text);
}

static void test_copies(void **state)
{
	CLEANUP(mem_freep) char *bytes = mem_dup("a\0b", 3);
	CLEANUP(mem_freep) char *nothing = mem_dup(NULL, 0);
	CLEANUP(mem_freep) char *text = mem_strdup("text");
	CLEANUP(mem_freep) char *null = mem_strdup(NULL);
	CLEANUP(mem_freep) char *printed = mem_printf("%s-%d", "x", 7);

	(void)state;
	assert_memory_equal(bytes, "a\0b", 4);
	assert_string_equal(nothing, "");
	assert_string_equal(text, "text");
	assert_string_equal(null, "");
	assert_string_equal(printed, "x-7");
}

static char *hand_over(void)
{
	CLEANUP(mem_freep) char *text = mem_strdup("kept");

	return TAKE(text);
}

static void test_take(void **state)
{
	CLEANUP(mem_freep) char *text = hand_over();

	(void)state;
	assert_string_equal(text, "kept");
}

static void test_wiping_takes_null(void **state)
{
	CLEANUP(mem_wipe_strp) char *none = NULL;
	CLEANUP(mem_wipe_strp) char *secret = mem_strdup("secret");

	(void)state;
	mem_wipe_free(NULL, 0);
	mem_wipe_str(none);
	mem_wipe_free(mem_dup("secret", 6), 6);
	assert_non_null(secret);
}

struct outer {
	int first;
	int second;
};

static void test_container_of(void **state)
{
	struct outer outer = {1, 2};

	(void)state;
	assert_ptr_equal(container_of(&outer.second, struct outer, second), &outer);
}

static void resize_too_much(void)
{
	free(mem_resize(NULL, SIZE_MAX / 2, 3));
}

static void zero_too_much(void)
{
	free(mem_zalloc_array(SIZE_MAX / 2, 1));
}

/* The C locale has no euro sign, so that the print fails. */
static void print_unprintable(void)
{
	free(mem_printf("%ls", L"\u20ac"));
}

/* Whether the process ends before the call returns. */
static bool is_fatal(void (*call)(void))
{
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		(void)close(STDERR_FILENO);
		call();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status != 0;
}

static void test_failing_is_fatal(void **state)
{
	(void)state;
	assert_true(is_fatal(resize_too_much));
	assert_true(is_fatal(zero_too_much));
	assert_true(is_fatal(print_unprintable));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_wiping_takes_null),
		cmocka_unit_test(test_container_of),
		cmocka_unit_test(test_failing_is_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
