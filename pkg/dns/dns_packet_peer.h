/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DNS_PACKET_PEER_H
#define DNS_PACKET_PEER_H

/* For tests that answer DNS questions: a message written field by field (RFC 1035, 4.1). */

#include <arpa/nameser.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct packet {
	uint8_t bytes[NS_MAXMSG];
	size_t len;
};

static inline void packet_put16(struct packet *p, unsigned int value)
{
	ns_put16(value, p->bytes + p->len);
	p->len += NS_INT16SZ;
}

static inline void packet_put32(struct packet *p, uint32_t value)
{
	ns_put32(value, p->bytes + p->len);
	p->len += NS_INT32SZ;
}

static inline void packet_put_name(struct packet *p, const char *name)
{
	uint8_t wire[NS_MAXCDNAME];
	int len;

	assert_true(ns_name_pton(name, wire, sizeof(wire)) >= 0);
	len = ns_name_pack(wire, p->bytes + p->len, NS_MAXCDNAME, NULL, NULL);
	assert_true(len > 0);
	p->len += (size_t)len;
}

#endif
