/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "dns/dns_impl.h"

#define OWNER "_acme-challenge.example.test"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_for_servers(const ns_msg *msg)
{
	char names[DNS_MAX_NAMES][DNSNAME_LEN];
	struct cidr_addr addrs[2];
	char zone[DNSNAME_LEN];
	uint32_t ttl_s;

	for (size_t i = dns_message_servers(msg, "example.test", names, DNS_MAX_NAMES); i-- > 0;)
		assert(*names[i] && strlen(names[i]) < DNSNAME_LEN);
	assert(dns_message_addrs(msg, addrs, ARRAY_LEN(addrs)) <= ARRAY_LEN(addrs));
	if (dns_message_denial(msg, OWNER, zone, &ttl_s))
		assert(dns_name_is_within(OWNER, zone));
}

/* An answer to the question for the owner; the first byte says whether by the zone's own server.
 * Whatever is in it, the way ends, or goes on to a name that may be asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_chain chain = {
		.at = OWNER,
		.expected = "d420c923-bbd7-4056-ab64-c3ca54c9b3cf.auth.test",
	};
	struct dns_answer answer = {0};
	ns_msg msg;

	if (size == 0 || dns_message_read(&msg, data + 1, size - 1, *data & 1, OWNER))
		return 0;
	look_for_servers(&msg);
	if (dns_chain_follow(&chain, &msg, &answer)) {
		assert((answer.verdict == CNAME_FOUND) == (answer.reason == CNAME_NO_REASON));
		assert(*cname_reason_text(answer.reason));
	} else {
		assert(*chain.at && strcmp(chain.at, chain.expected) != 0);
		assert(!dns_name_is_account(chain.at));
	}
	assert(chain.hops <= DNS_MAX_HOPS);
	assert(!answer.observed[strspn(answer.observed,
				       "abcdefghijklmnopqrstuvwxyz0123456789-_.")]);
	return 0;
}
