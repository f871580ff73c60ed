/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "acmedns/acmedns.h"
#include "base/mem.h"
#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_account(const struct acmedns_account *account)
{
	assert(acmedns_is_uuid(account->username) && acmedns_is_uuid(account->subdomain));
	assert(dnsname_is_hostname(account->fulldomain));
	assert(*account->password);
	assert(!account->allowfrom[strspn(account->allowfrom, "0123456789abcdefABCDEF.:/ ")]);
}

/* Two bytes choose status and fault, the rest is the answer's body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acmedns_account account = {0};
	struct acmedns_result result;

	if (size < 2)
		return 0;
	CLEANUP(mem_freep) char *body = mem_dup(data + 2, size - 2);
	const struct http_response resp = {
		.status = data[0] * 3,
		.fault = (enum http_fault)(data[1] / 2 % (HTTP_FAULT_OTHER + 1)),
		.sent = data[1] % 2,
		.body = body,
		.body_len = size - 2,
	};
	assert(*acmedns_probe_answer(&resp).message);
	(void)acmedns_health_message(&resp);
	result = acmedns_register_result(&resp, &account);
	assert(*result.message);
	assert(!result.maybe_made || resp.sent || resp.fault == HTTP_OK || resp.status >= 300);
	if (result.verdict == ACMEDNS_REGISTERED)
		check_account(&account);
	else
		assert(!*account.username && !*account.password && !*account.fulldomain);
	return 0;
}
