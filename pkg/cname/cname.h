/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNAME_H
#define CNAME_H

/*
 * What is known of a CNAME that somebody has to make, and of the zone that it leads to: verdicts,
 * their reasons, when to ask again, and when an answer is to be believed. Pure: the caller has the
 * clock, the randomness and the answers (pkg/dns).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

enum cname_verdict {
	CNAME_UNKNOWN,	/* no answer that can be used; the reason says why */
	CNAME_FOUND,	/* it leads there. Of a zone: it is delegated and answers */
	CNAME_MISSING,	/* there is no CNAME */
	CNAME_MISMATCH, /* it leads elsewhere */
	/* Of the zone that it leads to: */
	CNAME_UNDELEGATED,
	CNAME_SIGNED, /* a DS record in front of it, so that nobody who validates takes what
			 acme-dns answers, which cannot sign */
};

/* It is seen not to lead there. */
static inline bool cname_is_wrong(enum cname_verdict verdict)
{
	return verdict == CNAME_MISSING || verdict == CNAME_MISMATCH;
}

/* The CNAME was found, and the zone that it leads to is bad. */
static inline bool cname_is_of_zone(enum cname_verdict verdict)
{
	return verdict == CNAME_UNDELEGATED || verdict == CNAME_SIGNED;
}

enum cname_reason {
	CNAME_NO_REASON,
	/* CNAME_UNKNOWN */
	CNAME_TIMEOUT,
	CNAME_UNREACHABLE,
	CNAME_SERVFAIL,
	CNAME_REFUSED,
	CNAME_ERROR,	       /* another error code */
	CNAME_MALFORMED,       /* cannot be parsed, or is too large */
	CNAME_LAME,	       /* answers, but not for this name */
	CNAME_OWN_ZONE,	       /* the owner is a zone of its own */
	CNAME_NO_ZONE,	       /* authoritative: the resolvers do not tell which zone it is in */
	CNAME_NO_SERVERS,      /* authoritative: none of the zone's servers has an address */
	CNAME_ADDRESS_REFUSED, /* authoritative: they only have addresses that must not be used */
	/* CNAME_MISSING */
	CNAME_NO_NAME,	/* nothing at all is there */
	CNAME_NO_CNAME, /* something else is, and may keep a CNAME from being added (TXT, A) */
	/* CNAME_MISMATCH */
	CNAME_ELSEWHERE,
	CNAME_LOOP, /* round in circles, or on for more than DNS_MAX_HOPS */
	/* CNAME_UNDELEGATED, CNAME_SIGNED */
	CNAME_NOT_DELEGATED,
	CNAME_HAS_DS,
};

/* A phrase to go behind a colon, such as "no answer in time"; static, never remote text. */
const char *cname_reason_text(enum cname_reason reason) RETURNS_NONNULL;

/* ---- when to ask, and what to believe ---- */

#define CNAME_FAST_MS	   5000	   /* while it is not Found: at first, twice as long each time, */
#define CNAME_FAST_MOST_MS 300000  /* up to this; plus up to a quarter at random */
#define CNAME_URGENT_MS	   15000   /* but up to this, cache or not, for one that is waited for */
#define CNAME_SLOW_MS	   3600000 /* once Found: this, less or plus up to a quarter */
#define CNAME_SPREAD_MS	   60000   /* those not Found at a start, spread over this */
#define CNAME_TTL_MOST_S   3600	   /* caches are waited for no longer than this */
#define CNAME_FAILURES	   3	   /* answers in a row that are Unknown, */
#define CNAME_FAILING_MS   600000  /* over this time, make a known verdict Unknown */

/* What is remembered of one name. A plain value. */
struct cname_schedule {
	enum cname_verdict verdict; /* as it is told */
	enum cname_verdict doubt;   /* of an answer that would end Found, until it comes twice,
				       cache or not */
	bool asked;		    /* somebody did, and nothing was told since */
	bool urgent;		    /* an account waits for it: set by the caller at any time */
	unsigned int tries;	    /* answers in a row that were not Found */
	unsigned int failures;	    /* answers in a row that were Unknown */
	int64_t failing_since_ms;
	int64_t next_ms; /* when to ask */
};

/* known is the verdict that was told before this process was there. Those not Found are spread over
 * CNAME_SPREAD_MS, since after an outage or an update all may be Unknown; a record that is new can
 * be hurried. */
void cname_schedule_begin(struct cname_schedule *schedule, enum cname_verdict known, int64_t now_ms,
			  uint64_t random);
/* True when what the answer says replaces what was told: verdict, reason and observed. */
bool cname_schedule_fold(struct cname_schedule *schedule, enum cname_verdict verdict,
			 uint32_t ttl_s, int64_t now_ms, uint64_t random);
/* Somebody asks for it, or the record was changed: at once, and from there as at first. What is
 * seen then is told though the verdict stays, since reason and observed may be others. */
void cname_schedule_hurry(struct cname_schedule *schedule, int64_t now_ms);

#endif
