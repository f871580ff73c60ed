/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"

#define PIPE_SIZE 65536

static int pipe_fds[2];
static char line[PIPE_SIZE + 1];

static int open_pipe(void **state)
{
	(void)state;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
		return -1;
	log_setup_fd(pipe_fds[1]);
	return 0;
}

static int close_pipe(void **state)
{
	(void)state;
	log_setup_fd(2);
	return close(pipe_fds[0]) | close(pipe_fds[1]);
}

/* All that was logged since the last call; "" when nothing was. */
static const char *logged(void)
{
	ssize_t got = read(pipe_fds[0], line, PIPE_SIZE);

	line[got > 0 ? got : 0] = '\0';
	return line;
}

/* The line without its time. */
static const char *logged_text(void)
{
	static const char shape[] = "0000-00-00T00:00:00.000000Z ";
	const char *text = logged();
	size_t i;

	for (i = 0; shape[i]; i++)
		assert_true(shape[i] == '0' ? text[i] >= '0' && text[i] <= '9'
					    : text[i] == shape[i]);
	return text + i;
}

/* The line as JSON, which it must be; the caller frees. */
static json_t *logged_json(void)
{
	const char *text = logged();
	json_t *doc = json_loads(text, 0, NULL);

	assert_non_null(doc);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	return doc;
}

static const char *str(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

static void test_text(void **state)
{
	(void)state;
	log_setup(LOG_TEXT, 0);
	log_info("registered", "namespace", "default", "name", "www.example.org", NULL);
	assert_string_equal(logged_text(),
			    "info msg=registered namespace=default name=www.example.org\n");
	log_error("two words", NULL);
	assert_string_equal(logged_text(), "error msg=\"two words\"\n");
	log_warn("x", "a", "", "b", "a b", "c", "k=v", "d", "say \"\\\"", NULL);
	assert_string_equal(logged_text(), "warning msg=x a=\"\" b=\"a b\" c=\"k=v\" "
					   "d=\"say \\\"\\\\\\\"\"\n");
}

static void test_text_cannot_be_forged(void **state)
{
	(void)state;
	log_setup(LOG_TEXT, 0);
	log_info("x", "a", "1\nlevel=error", "b", "\x1b[2J\r\t\x7f", "c", "\xc3\xa9\x9b", NULL);
	assert_string_equal(logged_text(), "info msg=x a=\"1\\u000alevel=error\" "
					   "b=\"\\u001b[2J\\u000d\\u0009\\u007f\" "
					   "c=\"\xc3\xa9\\ufffd\"\n");
}

static void test_json(void **state)
{
	json_auto_t *doc = NULL;

	(void)state;
	log_setup(LOG_JSON, 0);
	log_info("registered", "name", "a\"b\\c\n\x01\x7f", "empty", "", NULL);
	doc = logged_json();
	assert_int_equal(json_object_size(doc), 5);
	assert_string_equal(str(doc, "level"), "info");
	assert_string_equal(str(doc, "msg"), "registered");
	assert_string_equal(str(doc, "name"), "a\"b\\c\n\x01\x7f");
	assert_string_equal(str(doc, "empty"), "");
	assert_true(json_real_value(json_object_get(doc, "ts")) > 1577836800.0);
}

static void test_json_is_utf8(void **state)
{
	static const struct {
		const char *value;
		const char *expected;
	} cases[] = {
		{"\xc3\xa9", "\xc3\xa9"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
		{"\xff", "\ufffd"},
		{"\x80", "\ufffd"},
		{"\xc3", "\ufffd"},
		{"\xc3(", "\ufffd("},
		{"\xc0\x80", "\ufffd\ufffd"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"\xe0\x80\x80", "\ufffd\ufffd\ufffd"},
		{"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
		{"\xf8\x88\x80\x80\x80", "\ufffd\ufffd\ufffd\ufffd\ufffd"},
	};
	size_t i;

	(void)state;
	log_setup(LOG_JSON, 0);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		json_auto_t *doc = NULL;

		log_info("x", "k", cases[i].value, NULL);
		doc = logged_json();
		assert_string_equal(str(doc, "k"), cases[i].expected);
	}
}

static void test_caps(void **state)
{
	enum log_format formats[] = {LOG_TEXT, LOG_JSON};
	char value[3001] = "";
	size_t i;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	for (i = 0; i < ARRAY_LEN(formats); i++) {
		const char *text;

		log_setup(formats[i], 0);
		log_info("m", "k", value, NULL);
		text = strstr(logged(), "xx");
		assert_non_null(text);
		assert_int_equal(strspn(text, "x"), 1024);
		assert_int_equal(text[1024], '"');
	}
}

static void test_long_line_stays_whole(void **state)
{
	char value[1025] = "";
	json_auto_t *doc = NULL;

	(void)state;
	memset(value, '\x01', sizeof(value) - 1);
	log_setup(LOG_JSON, 0);
	log_info("m", "a", value, "b", value, "c", value, "d", "fits", NULL);
	assert_true(strlen(logged()) <= 16384);
	log_info("m", "a", value, "b", value, "c", value, "d", "fits", NULL);
	doc = logged_json();
	assert_int_equal(strlen(str(doc, "b")), 1024);
	assert_null(str(doc, "c"));
	assert_string_equal(str(doc, "d"), "fits");
}

static void test_verbosity(void **state)
{
	(void)state;
	log_setup(LOG_TEXT, 0);
	assert_true(log_enabled(0));
	assert_false(log_enabled(4));
	log_debug("no", NULL);
	log_trace("no", NULL);
	assert_string_equal(logged(), "");
	log_setup(LOG_TEXT, 4);
	log_trace("no", NULL);
	assert_string_equal(logged(), "");
	log_debug("yes", NULL);
	assert_string_equal(logged_text(), "debug msg=yes\n");
	log_setup(LOG_TEXT, 6);
	log_trace("yes", NULL);
	assert_string_equal(logged_text(), "trace msg=yes\n");
}

static void test_null_value_ends_the_list(void **state)
{
	const char *null = NULL;

	(void)state;
	log_setup(LOG_TEXT, 0);
	log_info("m", "a", "1", "b", null, "c", "2", NULL);
	assert_string_equal(logged_text(), "info msg=m a=1\n");
}

static void test_closed_log_is_no_fault(void **state)
{
	(void)state;
	log_setup_fd(-1);
	log_info("lost", NULL);
	log_setup_fd(pipe_fds[1]);
	assert_string_equal(logged(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_cannot_be_forged),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_is_utf8),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_long_line_stays_whole),
		cmocka_unit_test(test_verbosity),
		cmocka_unit_test(test_null_value_ends_the_list),
		cmocka_unit_test(test_closed_log_is_no_fault),
	};

	return cmocka_run_group_tests(tests, open_pipe, close_pipe);
}
