/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *enc_base64(const void *data, size_t len)
{
	const unsigned char *in = data;
	char *text = mem_alloc((len + 2) / 3 * 4 + 1);
	char *out = text;
	size_t i;

	for (i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t group = (uint32_t)in[i] << 16;

		if (left > 1)
			group |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			group |= in[i + 2];
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = alphabet[group >> 6 & 63];
		*out++ = alphabet[group & 63];
		if (left < 3)
			out[-1] = '=';
		if (left < 2)
			out[-2] = '=';
	}
	*out = '\0';
	return text;
}

/* 0..63, or -1 for a character outside the alphabet. */
static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

struct decoder {
	uint32_t bits;
	size_t chars; /* without line breaks, with padding */
	size_t pads;
	char *out;
	size_t len;
};

static int decode_char(struct decoder *d, char c)
{
	int value = sextet(c);

	if (c == '=' && d->pads < 2 && d->chars % 4 >= 2) {
		d->pads++;
		d->chars++;
		return 0;
	}
	if (value < 0 || d->pads)
		return -1;
	d->bits = d->bits << 6 | (uint32_t)value;
	if (d->chars % 4 != 0)
		d->out[d->len++] = (char)(d->bits >> (6 - 2 * (d->chars % 4)) & 0xff);
	d->chars++;
	return 0;
}

static int decode(struct decoder *d, const char *text, size_t len, struct err *err)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '\n' || text[i] == '\r')
			continue;
		if (decode_char(d, text[i]))
			return err_set(err, ERR_INVALID, 0, "not base64: character %zu", i);
	}
	if (d->chars % 4 != 0)
		return err_set(err, ERR_INVALID, 0, "not base64: it ends early");
	return 0;
}

char *enc_unbase64(const char *text, size_t len, size_t *ret_len, struct err *err)
{
	struct decoder d = {.out = mem_alloc(len / 4 * 3 + 4)};

	if (decode(&d, text, len, err)) {
		mem_wipe_free(d.out, d.len);
		return NULL;
	}
	d.out[d.len] = '\0';
	*ret_len = d.len;
	return d.out;
}

int enc_percent(struct buf *out, const char *text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (; *text; text++) {
		if (strchr(unreserved, *text))
			(void)buf_addc(out, *text);
		else
			(void)buf_addf(out, "%%%02X", (unsigned int)(unsigned char)*text);
	}
	return out->failed ? -1 : 0;
}
