/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "url/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The normal form is its own normal form, and holds nothing that could be read in two ways. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_freep) char *text = mem_dup(data, size);
	struct err err = {0};
	struct url again;
	struct url u;

	if (url_parse(text, &u, &err)) {
		assert(err.kind == ERR_INVALID);
		return 0;
	}
	assert(!url_parse(u.text, &again, &err));
	assert(strcmp(u.text, again.text) == 0 && strcmp(u.host, again.host) == 0);
	assert(u.port == again.port && u.https == again.https && u.ipv6 == again.ipv6);
	assert(url_equal(text, u.text));
	assert(u.port >= 1 && u.port <= 65535);
	assert(u.ipv6 ? strchr(u.host, ':') != NULL : dnsname_is_hostname(u.host));
	assert(!u.text[strcspn(u.text, "#?@%\\ \t\r\n")]);
	return 0;
}
