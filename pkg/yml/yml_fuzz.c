/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "yml/yml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool be_true)
{
	if (!be_true)
		abort();
}

static void freep(json_t **doc)
{
	json_decref(*doc);
}

/* What parses is a tree that JSON can carry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	CLEANUP(freep) json_t *doc = yml_parse((const char *)data, size, &err);

	if (!doc) {
		must(err.kind == ERR_INVALID);
		return 0;
	}
	CLEANUP(mem_freep) char *text = json_dumps(doc, JSON_ENCODE_ANY);
	CLEANUP(freep) json_t *again = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	must(again && json_equal(doc, again));
	return 0;
}
