/* SPDX-License-Identifier: Apache-2.0 */

/* Type CNAME at the owner, and at each name that it leads through. */

#include "dns/dns_impl.h"

static void on_cname(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	if (!msg)
		dns_run_end(run, CNAME_UNKNOWN, reason);
	else if (dns_chain_follow(&run->chain, msg, &run->answer))
		dns_run_end(run, run->answer.verdict, run->answer.reason);
	else
		dns_check_begin(run);
}

void dns_check_begin(struct dns_run *run)
{
	if (run->call->authoritative)
		dns_walk_begin(run);
	else
		dns_run_ask_resolvers(run, run->chain.at, ns_t_cname, on_cname);
}

void dns_check_ask_walked(struct dns_run *run)
{
	struct dns_query query = {.type = ns_t_cname,
				  .authoritative = true,
				  .servers = run->walk.servers,
				  .first = &run->walk.first};

	dns_run_query(run, &query, run->chain.at, on_cname);
}
