/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JV_H
#define JV_H

/*
 * JSON over jansson: bounded parsing, and reading of values that may not be there.
 *
 * json_t pointers returned by getters are lent by their parent. A failed allocation inside
 * jansson ends the process here, so a NULL from these functions never means out of memory.
 * Paths are keys joined by dots ("metadata.resourceVersion"); a key that holds a dot cannot be
 * named so: use json_object_get() for that one step.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define JV_MAX_DEPTH 64

/* Once, before any other call: JSON often holds secrets, so what jansson frees is wiped. */
void jv_setup(void);

/* Frees a json_t local: CLEANUP(jv_freep) json_t *doc = ... */
void jv_freep(json_t **doc);

/* Parses one document of any type; duplicate keys: the last one wins. The caller owns the result.
 * ERR_INVALID with the place of the fault (never with the text itself) for bad JSON, more than
 * JV_MAX_DEPTH levels, text behind the document, numbers out of range, or a NUL in a key (strings
 * may hold one). The caller caps the text: a tree takes up to 75 times its memory. */
json_t *jv_parse(const char *text, size_t len, struct err *err) MUST_CHECK;

/* The same for a document that somebody else owns and that we shall write back: also refuses
 * duplicate keys, the one thing a round trip would lose. The rest is kept, or refused by both:
 * integers beyond 64 bits, reals beyond a double. A real keeps the double that Go's decoder would
 * make of it, though not its digits; the integer -0 becomes 0. */
json_t *jv_parse_exact(const char *text, size_t len, struct err *err) MUST_CHECK;

/* No fewer than the values in a JSON object or array, which is what it costs to work with; 0 for
 * any other text. */
size_t jv_count(const char *text, size_t len);

/* How deep objects and arrays are nested in it; of bad JSON up to the fault. */
size_t jv_levels(const char *text, size_t len);

/* Compact text; the caller frees (wipes, if there are secrets in it). */
char *jv_text(const json_t *doc, size_t *ret_len);

/* NULL / fallback when a step is missing, null, or of another type. */
json_t *jv_get(const json_t *doc, const char *path);
json_t *jv_object(const json_t *doc, const char *path);
json_t *jv_array(const json_t *doc, const char *path);
const char *jv_str(const json_t *doc, const char *path); /* "" when absent; text before a NUL */
/* NULL for anything but a string, and for one with a NUL inside, behind which others would read on.
 */
const char *jv_whole_str(const json_t *value);
int64_t jv_int(const json_t *doc, const char *path, int64_t fallback);
bool jv_bool(const json_t *doc, const char *path, bool fallback);

/* Builders that abort instead of failing; the value is stolen. */
void jv_set(json_t *object, const char *key, json_t *value);
void jv_set_str(json_t *object, const char *key, const char *value); /* must be UTF-8 */
void jv_set_int(json_t *object, const char *key, int64_t value);
void jv_set_bool(json_t *object, const char *key, bool value);
void jv_append(json_t *array, json_t *value);

/* The object under a key, made if absent or of another type; lent. */
json_t *jv_ensure_object(json_t *object, const char *key);

#endif
