/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_IMPL_H
#define DNS_IMPL_H

/* Between the files of this package. */

#include <arpa/nameser.h>
#include <stddef.h>

#include "aresloop/aresloop.h"
#include "dns/dns.h"

/* ---- names: lower case, no trailing dot, the root is "" (dns_message.c) ---- */

void dns_name_copy(char ret_name[DNSNAME_LEN], const char *name); /* cut if too long */
/* The name without its first label; "" of the last one. */
const char *dns_name_parent(const char *name);
bool dns_name_is_within(const char *name, const char *zone); /* or is the zone */
/* Named as acme-dns names accounts, which must not be asked for. */
bool dns_name_is_account(const char *name);

/* ---- answers: their bytes, parsed anew for each thing looked for (dns_message.c) ---- */

/* CNAME_NO_REASON and the answer in ret_msg, which points into data, if it can be used; else why
 * not. is_authoritative: it has to come from the zone's own server. */
enum cname_reason dns_message_read(ns_msg *ret_msg, const uint8_t *data, size_t len,
				   bool is_authoritative, const char *name);

/* The CNAME that the answer has at that name. */
bool dns_message_cname(const ns_msg *msg, const char *name, char ret_target[DNSNAME_LEN],
		       uint32_t *ret_ttl_s);
/* The zone that denies the name, and for how long. */
bool dns_message_denial(const ns_msg *msg, const char *name, char ret_zone[DNSNAME_LEN],
			uint32_t *ret_ttl_s);
/* Is there a record of that type at the name, in that section? */
bool dns_message_has(const ns_msg *msg, ns_sect section, ns_type type, const char *name);
/* The names of the zone's servers; their number, at most max. */
size_t dns_message_servers(const ns_msg *msg, const char *zone, char (*ret_names)[DNSNAME_LEN],
			   size_t max);
/* The addresses in the answer (A and AAAA), wherever its CNAMEs lead; their number. */
size_t dns_message_addrs(const ns_msg *msg, struct cidr_addr *ret_addrs, size_t max);

/* ---- servers (dns_servers.c) ---- */

struct dns_server {
	struct cidr_addr addr;
	uint16_t port; /* 0: the usual one */
};

struct dns_servers {
	struct dns_server list[DNS_MAX_SERVERS];
	size_t len;
};

int dns_servers_parse(const char *text, struct dns_servers *ret_servers,
		      struct err *err) MUST_CHECK;

struct ares_addr_port_node dns_server_node(const struct dns_server *server, uint16_t port);

/* A resolv.conf, read again when it is another file or was written. */
struct dns_conf {
	const char *path;
	int64_t stamp[4];
	struct dns_servers servers;
};

const struct dns_servers *dns_conf_servers(struct dns_conf *conf);

/* ---- one question, put to servers in turn until an answer can be used (dns_exchange.c) ---- */

struct dns_query {
	struct dns_servers servers;
	size_t *first; /* the server to begin with; set to the one that answers */
	char name[DNSNAME_LEN];
	ns_type type;
	bool authoritative;
	bool tcp;
	uint16_t port;
	int timeout_ms;
};

struct dns_exchange;

/* msg is NULL if reason is not CNAME_NO_REASON; lent for the call. Called once, from the loop; the
 * exchange is over then, and the next one may be started in its place. */
typedef void dns_exchange_fn(void *ctx, enum cname_reason reason, const ns_msg *msg);

struct dns_exchange *dns_exchange_new(struct event_base *base, dns_exchange_fn *on_done, void *ctx);
void dns_exchange_start(struct dns_exchange *exchange, const struct dns_query *query); /* copied */
void dns_exchange_free(struct dns_exchange *exchange); /* on_done is not called any more */
/* Why the servers asked so far were of no use; CNAME_TIMEOUT if none has failed. */
enum cname_reason dns_exchange_reason(const struct dns_exchange *exchange);

/* ---- the judgement of a check's answers (dns_chain.c) ---- */

struct dns_chain {
	char expected[DNSNAME_LEN];
	char at[DNSNAME_LEN]; /* the name whose CNAME is asked for */
	unsigned int hops;
};

/* Follows the CNAMEs of an answer to the question for chain->at. True when answer tells the
 * verdict; else chain->at is the name to ask for next. */
bool dns_chain_follow(struct dns_chain *chain, const ns_msg *msg, struct dns_answer *answer);

/* ---- a call (dns.c), and the ways that it goes ---- */

struct dns_run;

#define DNS_MAX_NAMES 4 /* of a zone's servers whose addresses are asked for */

struct dns {
	struct event_base *base;
	struct dns_options options;
	struct dns_servers resolvers; /* none: those of conf */
	struct dns_conf conf;
	struct dns_call *calls; /* those under way, then those that wait in line */
	unsigned int running;
};

/* The way to a zone's own servers. */
struct dns_walk {
	char at[DNSNAME_LEN]; /* the zone is here or above */
	char names[DNS_MAX_NAMES][DNSNAME_LEN];
	size_t names_len;
	size_t asked; /* A and AAAA of each name */
	bool is_refused;
	struct dns_servers servers;
	size_t first;
};

/* A call: waits in line with no more than this. */
struct dns_call {
	struct dns *dns;
	struct dns_call *prev, *next;
	void (*begin)(struct dns_run *run);
	char *name; /* of an owner, or of a zone */
	char *expected;
	bool authoritative;
	bool tcp;
	struct dns_run *run; /* NULL: not begun */
	dns_done_fn *on_done;
	void *ctx;
};

/* msg is NULL if reason is not CNAME_NO_REASON. */
typedef void dns_next_fn(struct dns_run *run, enum cname_reason reason, const ns_msg *msg);

/* A call under way. */
struct dns_run {
	struct dns_call *call;
	struct dns_exchange *exchange;
	struct event *deadline;
	dns_next_fn *on_answer;
	size_t resolver;	/* that answered last */
	struct dns_chain chain; /* a zone's name is its at */
	struct dns_walk walk;
	struct dns_answer answer;
};

/* One of these is the last thing that a step does; a begin asks, since an end has to come from the
 * loop. */
void dns_run_query(struct dns_run *run, struct dns_query *query, const char *name,
		   dns_next_fn *on_answer); /* query: type, servers, first, authoritative */
void dns_run_ask_resolvers(struct dns_run *run, const char *name, ns_type type,
			   dns_next_fn *on_answer);
void dns_run_end(struct dns_run *run, enum cname_verdict verdict, enum cname_reason reason);

void dns_check_begin(struct dns_run *run);	/* dns_check.c */
void dns_check_ask_walked(struct dns_run *run); /* the servers found by: */
void dns_walk_begin(struct dns_run *run);	/* dns_walk.c */
void dns_zone_begin(struct dns_run *run);	/* dns_zone.c */

#endif
