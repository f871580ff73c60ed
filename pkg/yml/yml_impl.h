/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YML_IMPL_H
#define YML_IMPL_H

#include <jansson.h>

/* What a plain (unquoted) scalar means by YAML 1.2's core schema (section 10.3.2), as a new value;
 * NULL for a number that JSON or 64 bits cannot hold. */
json_t *yml_plain_scalar(const char *text);

#endif
