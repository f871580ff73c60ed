/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "dnsname/dnsname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken as a domain is a key of its own, a host name, and can be written behind anything.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_freep) char *text = mem_dup(data, size);
	char domain[DNSNAME_LEN];
	char again[DNSNAME_LEN];
	struct err err = {0};
	const char *at;

	if (dnsname_domain(text, domain, &err)) {
		assert(err.kind == ERR_INVALID && *err.msg);
		return 0;
	}
	assert(dnsname_is_hostname(domain));
	assert(strlen(DNSNAME_CHALLENGE) + strlen(domain) < DNSNAME_LEN);
	assert(!dnsname_domain(domain, again, &err) && strcmp(domain, again) == 0);
	for (at = domain; *at; at++)
		assert(islower(*at) || isdigit(*at) || *at == '-' || *at == '.');
	return 0;
}
