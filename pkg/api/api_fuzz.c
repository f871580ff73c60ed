/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/api.h"
#include "jv/jv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spec(const struct api_spec *spec)
{
	char domain[DNSNAME_LEN];
	struct err err = {0};
	size_t i;

	for (i = 0; i < spec->domains_len; i++) {
		assert(!dnsname_domain(spec->domains[i], domain, &err));
		assert(strcmp(domain, spec->domains[i]) == 0);
		assert(api_domain_index(spec, domain) == (int)i);
	}
	if (!spec->unsupported)
		assert(spec->domains_len && url_equal(spec->host, spec->host) &&
		       *spec->secret_name && *spec->secret_key);
}

/* Whatever was decoded can be checked, and its status be written and decoded to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	CLEANUP(jv_freep) json_t *object = jv_parse((const char *)data, size, &err);
	CLEANUP(api_freep) struct api_registration *first = api_decode(object);
	CLEANUP(api_freep) struct api_registration *second = NULL;
	CLEANUP(jv_freep) json_t *patch = NULL;

	if (!first)
		return 0;
	check_spec(&first->spec);
	patch = api_status_patch(first, &first->status, 1);
	jv_set(object, "status", json_incref(json_object_get(patch, "status")));
	second = api_decode(object);
	assert(second && api_status_equal(&first->status, &second->status));
	return 0;
}
