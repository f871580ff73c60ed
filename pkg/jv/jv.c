/* SPDX-License-Identifier: Apache-2.0 */
#include "jv/jv.h"

#include <assert.h>
#include <ctype.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static void wipe_free(void *p)
{
	mem_wipe_free(p, malloc_usable_size(p));
}

void jv_setup(void)
{
	json_set_alloc_funcs(mem_alloc, wipe_free);
}

void jv_freep(json_t **doc)
{
	json_decref(*doc);
}

/* What a text holds outside its strings. */
struct shape {
	ptrdiff_t deepest;
	size_t pieces; /* commas and opening brackets: no fewer than values */
};

/* In bad JSON the shape is right up to the fault, and jansson does not look further. */
static struct shape shape_of(const char *text, size_t len)
{
	struct shape shape = {0};
	bool in_string = false;
	ptrdiff_t depth = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = text[i];
		bool opens = c == '[' || c == '{';

		if (c == '"')
			in_string = !in_string;
		else if (in_string)
			i += c == '\\';
		else
			depth += opens - (c == ']' || c == '}');
		shape.pieces += !in_string && (opens || c == ',');
		if (depth > shape.deepest)
			shape.deepest = depth;
	}
	return shape;
}

size_t jv_count(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len && isspace((unsigned char)text[at]))
		at++;
	if (at == len || (text[at] != '[' && text[at] != '{'))
		return 0;
	return shape_of(text + at, len - at).pieces;
}

size_t jv_levels(const char *text, size_t len)
{
	return (size_t)shape_of(text, len).deepest;
}

/* jansson's own texts quote the document. */
static const char *fault_name(enum json_error_code code)
{
	static const char *const names[] = {
		[json_error_invalid_utf8] = "invalid UTF-8",
		[json_error_premature_end_of_input] = "JSON that ends early",
		[json_error_end_of_input_expected] = "text behind the JSON document",
		[json_error_null_byte_in_key] = "a NUL in a key",
		[json_error_duplicate_key] = "a duplicate key",
		[json_error_numeric_overflow] = "a number out of range",
	};

	return (size_t)code < ARRAY_LEN(names) && names[code] ? names[code] : "malformed JSON";
}

static json_t *parse(const char *text, size_t len, size_t flags, struct err *err)
{
	json_error_t fault;
	json_t *doc;

	/* jansson parses by recursion, to levels of its own choice. */
	if (jv_levels(text, len) > JV_MAX_DEPTH) {
		(void)err_set(err, ERR_INVALID, 0, "JSON of more than %d levels", JV_MAX_DEPTH);
		return NULL;
	}
	/* jansson overlooks some. */
	if (memchr(text, '\0', len)) {
		(void)err_set(err, ERR_INVALID, 0, "JSON with a NUL byte");
		return NULL;
	}
	doc = json_loadb(text, len, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
	if (doc)
		return doc;
	assert(fault.text[0]); /* else out of memory, which jansson does not describe */
	(void)err_set(err, ERR_INVALID, 0, "%s at line %d, column %d",
		      fault_name(json_error_code(&fault)), fault.line, fault.column);
	return NULL;
}

json_t *jv_parse(const char *text, size_t len, struct err *err)
{
	return parse(text, len, 0, err);
}

json_t *jv_parse_exact(const char *text, size_t len, struct err *err)
{
	return parse(text, len, JSON_REJECT_DUPLICATES, err);
}

static int add_piece(const char *piece, size_t len, void *text)
{
	return buf_add(text, piece, len);
}

char *jv_text(const json_t *doc, size_t *ret_len)
{
	/* Not json_dumps: it leaves copies of secrets behind as its text grows. */
	struct buf text = BUF_INIT(SIZE_MAX);
	int failed = json_dump_callback(doc, add_piece, &text, JSON_COMPACT | JSON_ENCODE_ANY);

	assert(!failed);
	*ret_len = text.len;
	return buf_take(&text);
}

json_t *jv_get(const json_t *doc, const char *path)
{
	json_t *value = NULL;

	for (;;) {
		size_t len = strcspn(path, ".");

		value = json_object_getn(doc, path, len);
		if (!path[len])
			return json_is_null(value) ? NULL : value;
		doc = value;
		path += len + 1;
	}
}

json_t *jv_object(const json_t *doc, const char *path)
{
	json_t *value = jv_get(doc, path);

	return json_is_object(value) ? value : NULL;
}

json_t *jv_array(const json_t *doc, const char *path)
{
	json_t *value = jv_get(doc, path);

	return json_is_array(value) ? value : NULL;
}

const char *jv_str(const json_t *doc, const char *path)
{
	const char *text = json_string_value(jv_get(doc, path));

	return text ? text : "";
}

const char *jv_whole_str(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

int64_t jv_int(const json_t *doc, const char *path, int64_t fallback)
{
	const json_t *value = jv_get(doc, path);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool jv_bool(const json_t *doc, const char *path, bool fallback)
{
	const json_t *value = jv_get(doc, path);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

void jv_set(json_t *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(object, key, value);

	assert(!failed);
}

void jv_set_str(json_t *object, const char *key, const char *value)
{
	jv_set(object, key, json_string(value));
}

void jv_set_int(json_t *object, const char *key, int64_t value)
{
	jv_set(object, key, json_integer(value));
}

void jv_set_bool(json_t *object, const char *key, bool value)
{
	jv_set(object, key, json_boolean(value));
}

void jv_append(json_t *array, json_t *value)
{
	int failed = json_array_append_new(array, value);

	assert(!failed);
}

json_t *jv_ensure_object(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_object(value))
		return value;
	value = json_object();
	jv_set(object, key, value);
	return value;
}
