/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_INTERN_H
#define BASE_INTERN_H

/*
 * Texts that thousands of objects say alike, kept once and counted: the messages of their
 * conditions, namespaces, hosts. Single-threaded, like all that uses it.
 */

#include "base/attr.h"

/* The one copy of text, which stays until each get has had its put. NULL is kept as "". */
const char *intern_get(const char *text) RETURNS_NONNULL;
void intern_put(const char *interned); /* NULL is fine */

#endif
