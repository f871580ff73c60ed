/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RESOLVE_H
#define RESOLVE_H

/*
 * Host names to addresses by c-ares on the loop (hosts file, search list, resolv.conf), for hosts
 * that tenants name: libcurl's own resolver thread would block the loop's exit on a slow name,
 * and would leave no moment to judge an address before connecting to it.
 */

#include <event2/event.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "cidr/cidr.h"

#define RESOLVE_MAX_ADDRS 16

struct resolve;
struct resolve_call;

struct resolve_answer {
	struct cidr_addr addrs[RESOLVE_MAX_ADDRS]; /* in the order to try */
	size_t len;
};

/* err is NULL on success; ERR_NOT_FOUND: no such name or no address; ERR_TRANSIENT: no answer.
 * answer is lent for the call. Called exactly once, never from inside resolve_start(). */
typedef void resolve_done_fn(void *ctx, const struct resolve_answer *answer, const struct err *err);

struct resolve_options {
	const char *servers; /* "127.0.0.1:5353,[::1]:53" instead of resolv.conf's; NULL: those */
	int timeout_ms;	     /* of one try; 0: 2000 */
	int tries;	     /* 0: 3; each waits twice as long as the one before */
};

struct resolve *resolve_new(struct event_base *base, const struct resolve_options *options,
			    struct err *err) MUST_CHECK;
void resolve_free(struct resolve *resolve); /* cancels what runs; NULL is fine */

/* host is a name, a dotted quad, or an IPv6 address without brackets (answered as itself). */
struct resolve_call *resolve_start(struct resolve *resolve, const char *host,
				   resolve_done_fn *on_done, void *ctx) RETURNS_NONNULL;
void resolve_cancel(struct resolve_call *call); /* on_done is not called any more; NULL is fine */

#endif
