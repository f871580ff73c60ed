/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <assert.h>
#include <string.h>

#define MAX_DOC 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All documents so far, each with a NUL behind it. */
static int note_doc(void *ctx, const char *text, size_t len)
{
	assert(len <= MAX_DOC && text[0] == '{' && text[len - 1] == '}');
	return buf_add(ctx, text, len + 1);
}

static int feed_in_pieces(const char *data, size_t size, size_t piece, struct buf *docs)
{
	CLEANUP(kube_split_done) struct kube_split split;
	struct err err = {0};
	int ret = 0;

	kube_split_init(&split, MAX_DOC, note_doc, docs);
	for (size_t at = 0; ret == 0 && at < size; at += piece) {
		size_t len = size - at < piece ? size - at : piece;

		ret = kube_split_feed(&split, data + at, len, &err);
	}
	return ret;
}

/* However a stream is torn, the same documents come out of it. The first byte tells how. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_donep) struct buf whole = BUF_INIT(1 << 24);
	CLEANUP(buf_donep) struct buf torn = BUF_INIT(1 << 24);
	const char *text = (const char *)data + 1;
	int ret;

	if (size < 2)
		return 0;
	ret = feed_in_pieces(text, size - 1, size, &whole);
	assert(feed_in_pieces(text, size - 1, (size_t)data[0] + 1, &torn) == ret);
	assert(whole.len == torn.len && memcmp(buf_str(&whole), buf_str(&torn), whole.len) == 0);
	return 0;
}
