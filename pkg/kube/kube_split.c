/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_impl.h"

#include <string.h>

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

/* ---- the items of a list ---- */

struct items {
	struct kube_split split; /* for its eyes only: nothing is kept there */
	bool inside;		 /* of the array */
	const char *word;	 /* the last string's opening quote */
	size_t word_len;
	const char *item;
};

/* Whether the array that opens here is the value of the document's own "items". */
static bool is_items(const struct items *items, char c)
{
	static const char name[] = "\"items\"";

	return c == '[' && items->split.depth == 1 && items->word_len == sizeof(name) - 1 &&
	       memcmp(items->word, name, sizeof(name) - 1) == 0;
}

static void see_word(struct items *items, const char *at, bool was_in_string)
{
	if (!was_in_string && items->split.in_string)
		items->word = at;
	if (was_in_string && !items->split.in_string)
		items->word_len = (size_t)(at + 1 - items->word);
}

static int see_item(struct items *items, const char *at, unsigned depth_before)
{
	if (depth_before == 1 && items->split.depth == 2)
		items->item = at;
	if (depth_before == 2 && items->split.depth == 1)
		return items->split.on_doc(items->split.ctx, items->item,
					   (size_t)(at + 1 - items->item));
	if (depth_before != 1 || items->split.depth != 1 || *at == ',' || is_white(*at))
		return 0;
	if (*at != ']') /* an item that is no object: whoever parses it will say so */
		return items->split.on_doc(items->split.ctx, at, 1);
	items->inside = false;
	return 0;
}

int kube_split_items(const char *text, size_t len, kube_split_fn *on_doc, void *ctx,
		     struct buf *ret_rest)
{
	struct items items = {.split = {.on_doc = on_doc, .ctx = ctx}};
	size_t start = 0; /* of what is not in the rest yet */

	for (size_t i = 0; i < len; i++) {
		bool was_inside = items.inside;
		bool was_in_string = items.split.in_string;
		unsigned depth = items.split.depth;
		int ret;

		see(&items.split, text[i]);
		see_word(&items, text + i, was_in_string);
		ret = was_inside ? see_item(&items, text + i, depth) : 0;
		if (ret != 0)
			return ret;
		if (!was_inside && !was_in_string)
			items.inside = is_items(&items, text[i]);
		if (items.inside && !was_inside)
			(void)buf_add(ret_rest, text + start, i + 1 - start);
		if (was_inside && !items.inside)
			start = i;
	}
	if (!items.inside)
		(void)buf_add(ret_rest, text + start, len - start);
	return 0;
}
