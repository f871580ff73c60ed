/* SPDX-License-Identifier: Apache-2.0 */
#include "yml/yml.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "yml/yml_impl.h"

/* Of a part of the document, after its aliases are expanded. */
struct size {
	size_t nodes;
	size_t bytes;
};

/* An anchored node. Its size and height are known when it is closed; 0 nodes until then. */
struct anchor {
	char *name;
	json_t *value; /* lent by the tree */
	struct size size;
	size_t height;
};

/* An open sequence or mapping; what it points to belongs to the tree or to the list of anchors. */
struct level {
	json_t *container;
	void *slot; /* of a mapping: where the next value goes; NULL when a key comes next */
	struct anchor *anchor;
	struct size before; /* of the document */
	size_t height;	    /* levels from here down, this one included */
};

struct builder {
	json_t *root;
	struct level levels[YML_MAX_DEPTH];
	size_t depth;
	struct size size;
	struct anchor anchors[YML_MAX_ANCHORS];
	size_t anchors_len;
	yaml_mark_t mark; /* of the event at hand */
	struct err *err;
};

static void builder_done(struct builder *b)
{
	size_t i;

	json_decref(b->root);
	for (i = 0; i < b->anchors_len; i++)
		mem_freep(&b->anchors[i].name);
}

static int fail(const struct builder *b, const char *what)
{
	return err_set(b->err, ERR_INVALID, 0, "%s at line %zu, column %zu", what, b->mark.line + 1,
		       b->mark.column + 1);
}

static struct level *top(struct builder *b)
{
	return b->depth ? &b->levels[b->depth - 1] : NULL;
}

static bool expects_key(struct builder *b)
{
	const struct level *level = top(b);

	return level && json_is_object(level->container) && !level->slot;
}

/* The level holds something of that height. */
static void note_height(struct level *level, size_t height)
{
	if (level && level->height < height + 1)
		level->height = height + 1;
}

static int grow(struct builder *b, struct size part)
{
	b->size.nodes += part.nodes;
	b->size.bytes += part.bytes;
	if (b->size.nodes > YML_MAX_NODES)
		return fail(b, "too many nodes");
	return b->size.bytes > YML_MAX_BYTES ? fail(b, "too much text") : 0;
}

/* Puts a value, which it steals, where the document is now. */
static void place(struct builder *b, json_t *value)
{
	struct level *level = top(b);
	int failed = !value;

	if (!level) {
		b->root = value;
	} else if (level->slot) {
		failed = json_object_iter_set_new(level->container, level->slot, value);
		level->slot = NULL;
	} else {
		failed = json_array_append_new(level->container, value);
	}
	assert(!failed);
}

/* name may be NULL; the size of a container, which is still open, is nothing. */
static int add_anchor(struct builder *b, const yaml_char_t *name, json_t *value, struct size size)
{
	if (!name)
		return 0;
	if (b->anchors_len == YML_MAX_ANCHORS)
		return fail(b, "too many anchors");
	b->anchors[b->anchors_len++] = (struct anchor){
		.name = mem_strdup((const char *)name), .value = value, .size = size};
	return 0;
}

/* The latest of that name, as YAML has it. */
static const struct anchor *find_anchor(const struct builder *b, const yaml_char_t *name)
{
	size_t i;

	for (i = b->anchors_len; i > 0; i--) {
		if (strcmp(b->anchors[i - 1].name, (const char *)name) == 0)
			return &b->anchors[i - 1];
	}
	return NULL;
}

static int on_key(struct builder *b, const yaml_event_t *event)
{
	struct level *level = top(b);
	const char *key = (const char *)event->data.scalar.value;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	int failed;

	if (event->data.scalar.anchor)
		return fail(b, "an anchor on a key");
	if (plain && strcmp(key, "<<") == 0)
		return fail(b, "a merge key");
	if (strlen(key) != event->data.scalar.length)
		return fail(b, "a NUL in a key");
	if (json_object_get(level->container, key))
		return fail(b, "a duplicate key");
	failed = json_object_set_new(level->container, key, json_null());
	assert(!failed);
	level->slot = json_object_iter_at(level->container, key);
	return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	struct size size = {1, event->data.scalar.length};
	json_t *value;

	if (tag && strcmp(tag, YAML_STR_TAG) != 0)
		return fail(b, "an unknown tag");
	if (grow(b, size))
		return -1;
	if (expects_key(b))
		return on_key(b, event);
	if (!tag && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		value = yml_plain_scalar(text);
	else
		value = json_stringn(text, size.bytes);
	if (!value)
		return fail(b, "a number out of range");
	place(b, value);
	return add_anchor(b, event->data.scalar.anchor, value, size);
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
	const struct anchor *anchor = find_anchor(b, event->data.alias.anchor);

	if (expects_key(b))
		return fail(b, "a key that is no scalar");
	if (!anchor || !anchor->size.nodes)
		return fail(b, "an alias of no anchor before it");
	if (b->depth + anchor->height > YML_MAX_DEPTH)
		return fail(b, "too many levels");
	if (grow(b, anchor->size))
		return -1;
	place(b, json_deep_copy(anchor->value));
	note_height(top(b), anchor->height);
	return 0;
}

static int open_level(struct builder *b, json_t *(*make)(void), const yaml_char_t *anchor)
{
	struct level *level = &b->levels[b->depth];
	json_t *container;

	if (expects_key(b))
		return fail(b, "a key that is no scalar");
	if (b->depth == YML_MAX_DEPTH)
		return fail(b, "too many levels");
	container = make();
	place(b, container);
	*level = (struct level){.container = container,
				.anchor = anchor ? &b->anchors[b->anchors_len] : NULL,
				.before = b->size,
				.height = 1};
	b->depth++;
	if (grow(b, (struct size){.nodes = 1}))
		return -1;
	return add_anchor(b, anchor, container, (struct size){0});
}

static int close_level(struct builder *b)
{
	const struct level *level = top(b);

	assert(level);
	b->depth--;
	if (level->anchor) {
		level->anchor->size = (struct size){b->size.nodes - level->before.nodes,
						    b->size.bytes - level->before.bytes};
		level->anchor->height = level->height;
	}
	note_height(top(b), level->height);
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(b, event);
	case YAML_ALIAS_EVENT:
		return on_alias(b, event);
	case YAML_SEQUENCE_START_EVENT:
		if (!event->data.sequence_start.implicit)
			return fail(b, "an unknown tag");
		return open_level(b, json_array, event->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		if (!event->data.mapping_start.implicit)
			return fail(b, "an unknown tag");
		return open_level(b, json_object, event->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_level(b);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/* libyaml's texts are constants and quote nothing. */
static int parser_fault(struct builder *b, const yaml_parser_t *parser)
{
	assert(parser->error != YAML_MEMORY_ERROR);
	b->mark = parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark;
	return fail(b, parser->problem);
}

/* Takes the next event; ret_more is false at the end of the first document. */
static int step(struct builder *b, yaml_parser_t *parser, bool *ret_more)
{
	CLEANUP(yaml_event_delete) yaml_event_t event;

	if (!yaml_parser_parse(parser, &event))
		return parser_fault(b, parser);
	b->mark = event.start_mark;
	*ret_more = event.type != YAML_DOCUMENT_END_EVENT && event.type != YAML_STREAM_END_EVENT;
	return on_event(b, &event);
}

json_t *yml_parse(const char *text, size_t len, struct err *err)
{
	CLEANUP(builder_done) struct builder b = {.err = err};
	CLEANUP(yaml_parser_delete) yaml_parser_t parser;
	int ready = yaml_parser_initialize(&parser);
	bool more = true;

	assert(ready);
	if (len > YML_MAX_BYTES) {
		(void)err_set(err, ERR_INVALID, 0, "YAML of more than %lu bytes", YML_MAX_BYTES);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more) {
		if (step(&b, &parser, &more))
			return NULL;
	}
	return b.root ? TAKE(b.root) : json_null();
}
