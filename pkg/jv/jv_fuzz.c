/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "jv/jv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool be_true)
{
	if (!be_true)
		abort();
}

/* What parses is written back and parses to the same again; exact parsing refuses only more. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	CLEANUP(jv_freep) json_t *doc = jv_parse((const char *)data, size, &err);
	CLEANUP(jv_freep) json_t *exact = jv_parse_exact((const char *)data, size, &err);
	size_t len;

	if (!doc) {
		must(!exact && err.kind == ERR_INVALID);
		return 0;
	}
	CLEANUP(mem_freep) char *text = jv_text(doc, &len);
	CLEANUP(jv_freep) json_t *again = jv_parse_exact(text, len, &err);
	must(again && json_equal(doc, again));
	must(!exact || json_equal(doc, exact));
	return 0;
}
