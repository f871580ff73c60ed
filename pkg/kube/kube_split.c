/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

void kube_split_init(struct kube_split *split, size_t max_doc, kube_split_fn *on_doc, void *ctx)
{
	*split = (struct kube_split){.on_doc = on_doc, .ctx = ctx, .doc = BUF_INIT(max_doc)};
}

void kube_split_done(struct kube_split *split)
{
	buf_done(&split->doc);
}

static void see_in_string(struct kube_split *split, char c)
{
	if (split->escaped)
		split->escaped = false;
	else if (c == '\\')
		split->escaped = true;
	else if (c == '"')
		split->in_string = false;
}

/* Braces alone tell the end: whether brackets and all else are in order is the parser's affair. */
static void see(struct kube_split *split, char c)
{
	if (split->in_string)
		see_in_string(split, c);
	else if (c == '"')
		split->in_string = true;
	else if (c == '{')
		split->depth++;
	else if (c == '}')
		split->depth--;
}

static bool is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int keep(struct kube_split *split, const char *data, size_t len, struct err *err)
{
	if (buf_add(&split->doc, data, len) == 0)
		return 0;
	return err_set(err, ERR_TRANSIENT, 0, "an object of the stream is over %zu bytes",
		       split->doc.max);
}

static int finish_doc(struct kube_split *split)
{
	int ret = split->on_doc(split->ctx, buf_str(&split->doc), split->doc.len);

	buf_done(&split->doc); /* not clear: one large object shall not stay for days */
	return ret;
}

int kube_split_feed(struct kube_split *split, const char *data, size_t len, struct err *err)
{
	size_t start = 0; /* of what is not kept yet */
	int ret;

	for (size_t i = 0; i < len; i++) {
		if (split->depth == 0 && is_white(data[i])) {
			start = i + 1;
			continue;
		}
		if (split->depth == 0 && data[i] != '{')
			return err_set(err, ERR_TRANSIENT, 0, "the stream holds no JSON object");
		see(split, data[i]);
		if (split->depth > 0)
			continue;
		if (keep(split, data + start, i + 1 - start, err) < 0)
			return -1;
		start = i + 1;
		ret = finish_doc(split);
		if (ret != 0)
			return ret;
	}
	return keep(split, data + start, len - start, err);
}
