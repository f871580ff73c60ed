/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define BUF_FIRST_CAP 256

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_done(struct buf *b)
{
	mem_wipe_free(b->data, b->len);
	buf_init(b, b->max);
}

void buf_donep(struct buf *b)
{
	buf_done(b);
}

void buf_clear(struct buf *b)
{
	if (b->data) {
		explicit_bzero(b->data, b->len);
		b->data[0] = '\0';
	}
	b->len = 0;
	b->failed = false;
}

static void grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;
	char *bigger;

	if (need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	bigger = mem_alloc(cap);
	if (b->len)
		memcpy(bigger, b->data, b->len);
	/* Not realloc: it may leave a copy of a secret behind. */
	mem_wipe_free(b->data, b->len);
	b->data = bigger;
	b->cap = cap;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->failed || len > b->max - b->len) {
		b->failed = true;
		return -1;
	}
	grow(b, b->len + len + 1);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int buf_adds(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	CLEANUP(mem_wipe_strp) char *text = NULL;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	assert(len >= 0);
	return buf_add(b, text, (size_t)len);
}

void buf_drop_front(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (!len)
		return;
	memmove(b->data, b->data + len, b->len - len);
	explicit_bzero(b->data + (b->len - len), len);
	b->len -= len;
	b->data[b->len] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : mem_strdup("");

	buf_init(b, b->max);
	return data;
}
