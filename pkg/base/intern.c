/* SPDX-License-Identifier: Apache-2.0 */
#include "base/intern.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct interned {
	UT_hash_handle hh;
	size_t refs;
	char text[];
};

static struct interned *all;

const char *intern_get(const char *text)
{
	struct interned *interned;
	size_t len;

	if (!text)
		text = "";
	len = strlen(text);
	HASH_FIND(hh, all, text, len, interned);
	if (!interned) {
		interned = mem_zalloc(sizeof(*interned) + len + 1);
		memcpy(interned->text, text, len);
		HASH_ADD(hh, all, text, len, interned);
	}
	interned->refs++;
	return interned->text;
}

void intern_put(const char *interned)
{
	struct interned *found;

	if (!interned)
		return;
	HASH_FIND(hh, all, interned, strlen(interned), found);
	assert(found);
	if (--found->refs > 0)
		return;
	HASH_DEL(all, found);
	free(found);
}
