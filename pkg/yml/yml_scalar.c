/* SPDX-License-Identifier: Apache-2.0 */
#include "yml/yml_impl.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

#define DIGITS "0123456789"

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

static const char *after_sign(const char *text)
{
	return *text == '+' || *text == '-' ? text + 1 : text;
}

static bool is_all(const char *text, const char *set)
{
	return *text && !text[strspn(text, set)];
}

/* The base an integer is written in, or 0 when it is none; ret_digits then starts at the digits, or
 * at the sign that only base 10 may have. */
static int integer_base(const char *text, const char **ret_digits)
{
	*ret_digits = text;
	if (is_all(after_sign(text), DIGITS))
		return 10;
	*ret_digits = text + 2;
	if (strncmp(text, "0o", 2) == 0 && is_all(text + 2, "01234567"))
		return 8;
	if (strncmp(text, "0x", 2) == 0 && is_all(text + 2, DIGITS "abcdefABCDEF"))
		return 16;
	return 0;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_real(const char *text)
{
	size_t before;
	size_t after = 0;

	text = after_sign(text);
	before = strspn(text, DIGITS);
	text += before;
	if (*text == '.') {
		after = strspn(text + 1, DIGITS);
		text += 1 + after;
	}
	if (!before && !after)
		return false;
	if (*text == 'e' || *text == 'E')
		return is_all(after_sign(text + 1), DIGITS);
	return !*text;
}

static json_t *integer(const char *digits, int base)
{
	long long value;
	char *end;

	errno = 0;
	value = strtoll(digits, &end, base);
	return errno || *end ? NULL : json_integer(value);
}

static json_t *real(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	return isfinite(value) && !*end ? json_real(value) : NULL;
}

json_t *yml_plain_scalar(const char *text)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
	static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
	const char *digits;
	int base = integer_base(text, &digits);

	if (base)
		return integer(digits, base);
	if (is_real(text))
		return real(text);
	if (is_one_of(after_sign(text), infinities) || is_one_of(text, nans))
		return NULL;
	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	if (is_one_of(text, falses))
		return json_false();
	return json_string(text);
}
