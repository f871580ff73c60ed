/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YML_H
#define YML_H

/*
 * YAML over libyaml into JSON values, for kubeconfig files: the first document of the text.
 * Plain scalars become null, booleans, integers or reals by YAML 1.2's core schema (so that yes and
 * 1:30 are strings); quoted ones are strings; a JSON document is YAML too. Keys are taken as
 * written. Aliases are copies of what they stand for.
 *
 * Refused, as nothing a kubeconfig needs: duplicate keys (kubectl lets the last one win, which
 * hides a mistake), merge keys (<<), anchors on keys, tags but !!str, numbers beyond 64 bits or a
 * double.
 */

#include <jansson.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/* Caps: bytes of text, also in all scalars once aliases are expanded; nodes, keys included, once
 * aliases are expanded; depth; anchors. */
#define YML_MAX_BYTES	(4UL * 1024 * 1024)
#define YML_MAX_NODES	100000
#define YML_MAX_DEPTH	64
#define YML_MAX_ANCHORS 256

/* The caller owns the result. ERR_INVALID with line and column, never with the text, for what is
 * not YAML, is too large, or is refused (see above). An empty text is JSON null. */
json_t *yml_parse(const char *text, size_t len, struct err *err) MUST_CHECK;

#endif
