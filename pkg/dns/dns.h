/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_H
#define DNS_H

/*
 * Does DNS lead from _acme-challenge.<domain> to an account of an acme-dns server? By c-ares on the
 * loop: UDP, TCP where an answer is truncated, EDNS, an id and a port of its own for each try.
 *
 * acme-dns denies its accounts' names until their first update, and for every type but TXT for
 * ever; a resolver remembers that for hours. So all that is asked for is type CNAME at the owner
 * and at the names its CNAMEs lead through, which no resolver follows; it ends at the expected
 * name without asking for it, or at another one in its zone, and a name like an account's (a UUID
 * as its first label) is never asked for, wherever it comes from. What is asked for besides are
 * SOA, NS and DS of zones, and, where a zone's own servers are asked, type CNAME at the names above
 * those (whose denial tells the zone) and the addresses of the servers that the zone names.
 *
 * What comes of it, and when to ask again, is in pkg/cname.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "cidr/cidr.h"
#include "cname/cname.h"
#include "dnsname/dnsname.h"

#define DNS_MAX_HOPS	8     /* CNAMEs from the owner to the expected name */
#define DNS_MAX_ANSWER	16384 /* bytes of one answer */
#define DNS_MAX_SERVERS 8     /* that are asked in turn, each twice */

struct dns_answer {
	enum cname_verdict verdict;
	enum cname_reason reason;
	/* MISMATCH: what the CNAME at the owner says, in lower case; "" if that has characters that
	 * no host name has, but for "_". */
	char observed[DNSNAME_LEN];
	/* For how long a resolver's cache gives the same answer (RFC 2308 where there is none); 0
	 * where none stands between. */
	uint32_t ttl_s;
};

/* Called exactly once, never from inside the call that asks. answer is lent for the call. */
typedef void dns_done_fn(void *ctx, const struct dns_answer *answer);

struct dns_options {
	/* "192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53"; NULL: those of resolv.conf, which is read
	 * again when it changes. Lent for dns_new(). */
	const char *resolvers;
	const char *resolv_conf; /* a path, lent for as long as dns lives; NULL: /etc/resolv.conf */
	/* May a server be asked that a zone names? NULL or a phrase, as cidr_refusal(); without the
	 * function all may. */
	const char *(*refusal)(void *ctx, const struct cidr_addr *addr);
	void *ctx;
	uint16_t port;	    /* of servers named without one, and of zones' own; 0: 53 */
	int timeout_ms;	    /* of the first try at a server; 0: 2000. The second has twice that */
	int deadline_ms;    /* of a check with all that it takes; 0: 10000 */
	unsigned int slots; /* checks under way, while others wait in line; 0: 32 */
};

struct dns;
struct dns_call;

/* NULL with ERR_INVALID if resolvers is no such list, or is longer than DNS_MAX_SERVERS. */
struct dns *dns_new(struct event_base *base, const struct dns_options *options,
		    struct err *err) MUST_CHECK;
void dns_free(struct dns *dns); /* cancels what runs; NULL is fine */

struct dns_check_options {
	const char *owner;    /* "_acme-challenge.example.com"; not the root */
	const char *expected; /* "d420c923-....auth.example.com" */
	bool authoritative;   /* ask the zone's own servers, without recursion */
	bool tcp;	      /* only by TCP: a second answer that is harder to forge */
};

/* Names are compared without case and trailing dot, and copied. */
struct dns_call *dns_check(struct dns *dns, const struct dns_check_options *check,
			   dns_done_fn *on_done, void *ctx) RETURNS_NONNULL;
/* The domain of an acme-dns server ("auth.example.com"), through the resolvers. As expected above
 * it may be anything: it comes out of a Secret. */
struct dns_call *dns_check_zone(struct dns *dns, const char *zone, dns_done_fn *on_done,
				void *ctx) RETURNS_NONNULL;
void dns_cancel(struct dns_call *call); /* on_done is not called any more; NULL is fine */

#endif
