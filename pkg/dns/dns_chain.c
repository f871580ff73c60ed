/* SPDX-License-Identifier: Apache-2.0 */

/* From the owner towards the expected name. Pure. */

#include <string.h>

#include "dns/dns_impl.h"

static bool end(struct dns_answer *answer, enum cname_verdict verdict, enum cname_reason reason)
{
	answer->verdict = verdict;
	answer->reason = reason;
	return true;
}

/* There is no CNAME at the owner. */
static bool end_denied(const struct dns_chain *chain, const ns_msg *msg, struct dns_answer *answer)
{
	char zone[DNSNAME_LEN] = "";

	if (!dns_message_denial(msg, chain->at, zone, &answer->ttl_s))
		answer->ttl_s = 0;
	if (strcmp(zone, chain->at) == 0 || dns_message_has(msg, ns_s_ns, ns_t_ns, chain->at))
		return end(answer, CNAME_UNKNOWN, CNAME_OWN_ZONE);
	if (ns_msg_getflag(*msg, ns_f_rcode) == ns_r_nxdomain)
		return end(answer, CNAME_MISSING, CNAME_NO_NAME);
	return end(answer, CNAME_MISSING, CNAME_NO_CNAME);
}

/* The CNAMEs so far lead to a name that has none. */
static bool end_elsewhere(const struct dns_chain *chain, const ns_msg *msg,
			  struct dns_answer *answer)
{
	char zone[DNSNAME_LEN];
	uint32_t ttl_s;

	if (dns_message_denial(msg, chain->at, zone, &ttl_s) && ttl_s < answer->ttl_s)
		answer->ttl_s = ttl_s;
	return end(answer, CNAME_MISMATCH, CNAME_ELSEWHERE);
}

/* Whatever the accounts of this server look like, or those of others. */
static bool is_account(const struct dns_chain *chain, const char *name)
{
	return dns_name_is_account(name) ||
	       dns_name_is_within(name, dns_name_parent(chain->expected));
}

/* Goes on to the target. True when that ends the way. */
static bool step(struct dns_chain *chain, const char *target, uint32_t ttl_s,
		 struct dns_answer *answer)
{
	if (chain->hops++ == 0)
		dns_name_copy(answer->observed, target);
	if (chain->hops == 1 || ttl_s < answer->ttl_s)
		answer->ttl_s = ttl_s;
	dns_name_copy(chain->at, target);
	if (*target && strcmp(target, chain->expected) == 0)
		return end(answer, CNAME_FOUND, CNAME_NO_REASON);
	if (!*target || is_account(chain, target))
		return end(answer, CNAME_MISMATCH, CNAME_ELSEWHERE);
	return chain->hops >= DNS_MAX_HOPS && end(answer, CNAME_MISMATCH, CNAME_LOOP);
}

bool dns_chain_follow(struct dns_chain *chain, const ns_msg *msg, struct dns_answer *answer)
{
	unsigned int hops = chain->hops;
	char target[DNSNAME_LEN];
	uint32_t ttl_s;

	while (dns_message_cname(msg, chain->at, target, &ttl_s))
		if (step(chain, target, ttl_s, answer))
			return true;
	if (chain->hops > hops)
		return false;
	if (hops > 0)
		return end_elsewhere(chain, msg, answer);
	return end_denied(chain, msg, answer);
}
