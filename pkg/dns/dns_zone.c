/* SPDX-License-Identifier: Apache-2.0 */

/* Is an acme-dns server's own domain delegated to it, and without a DS? */

#include <string.h>

#include "dns/dns_impl.h"

/* Of a zone that is there only a DS is bad, not the lack of an answer about it. */
static void on_ds(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	(void)reason;
	if (msg && dns_message_has(msg, ns_s_an, ns_t_ds, run->chain.at))
		dns_run_end(run, CNAME_SIGNED, CNAME_HAS_DS);
	else
		dns_run_end(run, CNAME_FOUND, CNAME_NO_REASON);
}

static void on_soa(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	const char *zone = run->chain.at;
	char denier[DNSNAME_LEN];
	bool is_denied;

	if (!msg) {
		dns_run_end(run, CNAME_UNKNOWN, reason);
		return;
	}
	is_denied = dns_message_denial(msg, zone, denier, &run->answer.ttl_s);
	if (dns_message_has(msg, ns_s_an, ns_t_soa, zone) ||
	    (is_denied && strcmp(denier, zone) == 0))
		dns_run_ask_resolvers(run, zone, ns_t_ds, on_ds);
	else if (is_denied || ns_msg_getflag(*msg, ns_f_rcode) == ns_r_nxdomain)
		dns_run_end(run, CNAME_UNDELEGATED, CNAME_NOT_DELEGATED);
	else
		dns_run_end(run, CNAME_UNKNOWN, CNAME_LAME);
}

void dns_zone_begin(struct dns_run *run)
{
	dns_run_ask_resolvers(run, run->chain.at, ns_t_soa, on_soa);
}
