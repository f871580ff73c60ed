/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mono.h"

#define LOG_MAX_LINE  16384
#define LOG_MAX_VALUE 1024
#define LOG_TAIL_LEN  2 /* "}\n" */

static enum log_format log_format = LOG_TEXT;
static int log_verbosity;
static int log_fd = 2;

void log_setup(enum log_format format, int verbosity)
{
	log_format = format;
	log_verbosity = verbosity;
}

void log_setup_fd(int fd)
{
	log_fd = fd;
}

bool log_enabled(int verbosity)
{
	return verbosity <= log_verbosity;
}

/* The length of the UTF-8 character (RFC 3629) that text starts with; 0 when it is none. */
static size_t utf8_len(const char *text, size_t left)
{
	static const uint32_t smallest[] = {[2] = 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = (size_t)__builtin_clz(~((uint32_t)bytes[0] << 24)); /* its leading ones */
	uint32_t code;
	size_t i;

	if (!len)
		return 1;
	if (len == 1 || len > 4 || len > left)
		return 0;
	code = bytes[0] & 0x7fU >> len;
	for (i = 1; i < len; i++) {
		if (bytes[i] >> 6 != 2)
			return 0;
		code = code << 6 | (bytes[i] & 0x3fU);
	}
	if (code < smallest[len] || code > 0x10ffff || code >> 11 == 0xd800 >> 11)
		return 0;
	return len;
}

/* Escaped as in JSON; what is not UTF-8 becomes U+FFFD. Returns the bytes it took from text. */
static size_t add_char(struct buf *line, const char *text, size_t left)
{
	unsigned char c = (unsigned char)*text;
	size_t len = utf8_len(text, left);

	if (c == '"' || c == '\\')
		(void)buf_addf(line, "\\%c", c);
	else if (c < 0x20 || c == 0x7f)
		(void)buf_addf(line, "\\u%04x", c);
	else if (len)
		(void)buf_add(line, text, len);
	else
		(void)buf_adds(line, "\\ufffd");
	return len ? len : 1;
}

static void add_quoted(struct buf *line, const char *text)
{
	size_t len = strnlen(text, LOG_MAX_VALUE);
	size_t used = 0;

	(void)buf_addc(line, '"');
	while (used < len)
		used += add_char(line, text + used, len - used);
	(void)buf_addc(line, '"');
}

/* Printable ASCII that logfmt needs no quotes for. */
static bool is_bare(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] <= ' ' || text[i] > '~' || strchr("=\"\\", text[i]))
			return false;
	}
	return i > 0 && i <= LOG_MAX_VALUE;
}

static void add_text_value(struct buf *line, const char *value)
{
	if (is_bare(value))
		(void)buf_adds(line, value);
	else
		add_quoted(line, value);
}

static void add_head(struct buf *line, const char *level, const char *msg)
{
	int64_t now_us = mono_wall_us();
	char ts[MONO_RFC3339_LEN];

	if (log_format == LOG_JSON) {
		(void)buf_addf(line, "{\"ts\":%lld.%06d,\"level\":\"%s\",\"msg\":",
			       (long long)(now_us / 1000000), (int)(now_us % 1000000), level);
		add_quoted(line, msg);
		return;
	}
	mono_rfc3339_micro(now_us, ts);
	(void)buf_addf(line, "%s %s msg=", ts, level);
	add_text_value(line, msg);
}

static void add_pair(struct buf *line, const char *key, const char *value)
{
	CLEANUP(buf_donep) struct buf pair = BUF_INIT(LOG_MAX_LINE);

	if (log_format == LOG_JSON) {
		(void)buf_addc(&pair, ',');
		add_quoted(&pair, key);
		(void)buf_addc(&pair, ':');
		add_quoted(&pair, value);
	} else {
		(void)buf_addf(&pair, " %s=", key);
		add_text_value(&pair, value);
	}
	/* Only whole, so that the line can be read whatever its values. */
	if (pair.len <= LOG_MAX_LINE - LOG_TAIL_LEN - line->len)
		(void)buf_add(line, pair.data, pair.len);
}

void log_line(const char *level, int verbosity, const char *msg, ...)
{
	CLEANUP(buf_donep) struct buf line = BUF_INIT(LOG_MAX_LINE);
	const char *key;
	const char *value;
	va_list args;

	if (!log_enabled(verbosity))
		return;
	add_head(&line, level, msg);
	va_start(args, msg);
	while ((key = va_arg(args, const char *)) && (value = va_arg(args, const char *)))
		add_pair(&line, key, value);
	va_end(args);
	(void)buf_adds(&line, log_format == LOG_JSON ? "}\n" : "\n");
	/* A log that cannot be written has nowhere to be reported. */
	if (write(log_fd, buf_str(&line), line.len) < 0)
		return;
}
