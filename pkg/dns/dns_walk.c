/* SPDX-License-Identifier: Apache-2.0 */

/*
 * To the servers of the zone that a name is in, through the resolvers. The zone is that whose SOA
 * comes with the denial of a CNAME at the name's parent, or above; its servers' names are its NS.
 * Those and the addresses come from whoever holds the domain, so the addresses are judged.
 */

#include "base/rnd.h"
#include "dns/dns_impl.h"

#define ENOUGH 4 /* addresses */

static void look_up(struct dns_run *run);
static void ask_address(struct dns_run *run);

/* Does not start with the same server each time, so that one which lags behind is noticed. */
static void ask_servers(struct dns_run *run)
{
	struct dns_walk *walk = &run->walk;

	if (walk->servers.len == 0) {
		dns_run_end(run, CNAME_UNKNOWN,
			    walk->is_refused ? CNAME_ADDRESS_REFUSED : CNAME_NO_SERVERS);
		return;
	}
	walk->first = rnd_u64() % walk->servers.len;
	dns_check_ask_walked(run);
}

static void keep_addrs(struct dns_run *run, const ns_msg *msg)
{
	const struct dns_options *options = &run->call->dns->options;
	struct dns_walk *walk = &run->walk;
	struct cidr_addr addrs[ENOUGH];
	size_t len = dns_message_addrs(msg, addrs, ENOUGH);

	for (size_t i = 0; i < len && walk->servers.len < ENOUGH; i++)
		if (options->refusal && options->refusal(options->ctx, &addrs[i]))
			walk->is_refused = true;
		else
			walk->servers.list[walk->servers.len++].addr = addrs[i];
}

static void on_addrs(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	(void)reason; /* another name may have one */
	if (msg)
		keep_addrs(run, msg);
	ask_address(run);
}

static void ask_address(struct dns_run *run)
{
	struct dns_walk *walk = &run->walk;

	if (walk->asked < 2 * walk->names_len && walk->servers.len < ENOUGH) {
		const char *name = walk->names[walk->asked / 2];
		ns_type type = walk->asked % 2 ? ns_t_aaaa : ns_t_a;

		walk->asked++;
		dns_run_ask_resolvers(run, name, type, on_addrs);
	} else {
		ask_servers(run);
	}
}

static void on_names(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	struct dns_walk *walk = &run->walk;

	if (!msg) {
		dns_run_end(run, CNAME_UNKNOWN, reason);
		return;
	}
	walk->names_len = dns_message_servers(msg, walk->at, walk->names, DNS_MAX_NAMES);
	ask_address(run);
}

static void on_zone(struct dns_run *run, enum cname_reason reason, const ns_msg *msg)
{
	struct dns_walk *walk = &run->walk;
	char zone[DNSNAME_LEN];
	uint32_t ttl_s;

	if (!msg) {
		dns_run_end(run, CNAME_UNKNOWN, reason);
		return;
	}
	if (!dns_message_denial(msg, walk->at, zone, &ttl_s)) {
		look_up(run);
		return;
	}
	dns_name_copy(walk->at, zone);
	if (*zone)
		dns_run_ask_resolvers(run, zone, ns_t_ns, on_names);
	else
		dns_run_end(run, CNAME_UNKNOWN, CNAME_NO_ZONE); /* not even its TLD exists */
}

/* Goes on with the parent, in the end with the root. */
static void look_up(struct dns_run *run)
{
	struct dns_walk *walk = &run->walk;
	char parent[DNSNAME_LEN];

	if (!*walk->at) {
		dns_run_end(run, CNAME_UNKNOWN, CNAME_NO_ZONE);
		return;
	}
	do {
		dns_name_copy(parent, dns_name_parent(walk->at));
		dns_name_copy(walk->at, parent);
	} while (dns_name_is_account(walk->at));
	dns_run_ask_resolvers(run, walk->at, ns_t_cname, on_zone);
}

void dns_walk_begin(struct dns_run *run)
{
	run->walk = (struct dns_walk){0};
	dns_name_copy(run->walk.at, run->chain.at);
	look_up(run);
}
