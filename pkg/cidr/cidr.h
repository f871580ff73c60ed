/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CIDR_H
#define CIDR_H

/*
 * IP addresses and prefixes (RFC 4632, RFC 4291), and the judgement whether the operator may
 * connect to an address that a tenant's host name resolved to.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/* IPv4 is kept v4-mapped (::ffff:a.b.c.d), so that one comparison serves both. */
struct cidr_addr {
	struct in6_addr ip;
};

struct cidr {
	struct cidr_addr addr; /* host bits kept as written */
	unsigned int bits;     /* 0..128, counted in the mapped form */
};

#define CIDR_TEXT_LEN (INET6_ADDRSTRLEN)

/* Of the four bytes that a packet or a struct in_addr has. */
struct cidr_addr cidr_addr_v4(const void *bytes);
/* "192.0.2.1" (dotted quad without leading zeros) or "2001:db8::1" (no brackets, no zone). */
int cidr_parse_addr(const char *text, struct cidr_addr *ret_addr, struct err *err) MUST_CHECK;
/* "192.0.2.0/24" or "2001:db8::/32", as Go's net.ParseCIDR takes it: the length may have leading
 * zeros, an octet may not, and "::ffff:10.0.0.0/104" counts in 128 bits and is 10.0.0.0/8. */
int cidr_parse(const char *text, struct cidr *ret_cidr, struct err *err) MUST_CHECK;
void cidr_addr_text(const struct cidr_addr *addr, char ret_text[CIDR_TEXT_LEN]);
/* As in Go, an IPv6 prefix holds no IPv4 address: "::/0" means all of IPv6, "0.0.0.0/0" all of
 * IPv4. */
bool cidr_contains(const struct cidr *prefix, const struct cidr_addr *addr);

/* What the operator must not be lured to. */
struct cidr_policy {
	const struct cidr *allowed; /* --allow-address: wins over every refusal; lent */
	size_t allowed_len;
	const struct cidr_addr *refused; /* the API server's own addresses; lent */
	size_t refused_len;
};

/* NULL when the address may be used, otherwise a static phrase that says what it is ("a loopback
 * address", "a link-local address", "an unspecified address", "a multicast address", "a broadcast
 * address", "the Kubernetes API server's address"). v4-mapped, NAT64 (64:ff9b::/96,
 * 64:ff9b:1::/48) and 6to4 (2002::/16) addresses, also refused ones of the policy, are judged by
 * the IPv4 address inside, and allowed by that alone. */
const char *cidr_refusal(const struct cidr_policy *policy, const struct cidr_addr *addr);

#endif
