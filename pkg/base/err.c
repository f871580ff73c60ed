/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
{
	va_list args;

	err->kind = kind;
	err->code = code;
	va_start(args, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof(err->msg)];
	va_list args;
	size_t used;

	memcpy(inner, err->msg, sizeof(inner));
	va_start(args, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	used = strlen(err->msg);
	(void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", inner);
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
		[ERR_NONE] = "None",	     [ERR_TRANSIENT] = "Transient",
		[ERR_CONFLICT] = "Conflict", [ERR_NOT_FOUND] = "NotFound",
		[ERR_GONE] = "Gone",	     [ERR_THROTTLED] = "Throttled",
		[ERR_DENIED] = "Denied",     [ERR_INVALID] = "Invalid",
	};
	return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "Unknown";
}
