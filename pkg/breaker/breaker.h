/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BREAKER_H
#define BREAKER_H

/*
 * A circuit breaker for one server, so that it is left alone while it fails.
 *
 *	CLOSED	requests go out; BREAKER_FAILURES failures in a row open it
 *	OPEN	none goes out; after a pause the server is asked whether it lives
 *	TRIAL	it said yes: one request at a time may show that it is true. A failure opens the
 *		breaker again, for longer; a success closes it
 *
 * Pure: the caller has the clock (milliseconds of whatever kind), the randomness and the requests.
 * A zeroed one is closed.
 */

#include <stdint.h>

#define BREAKER_FAILURES      3
#define BREAKER_PAUSE_MS      5000   /* the first pause; each in a row is twice as long, */
#define BREAKER_PAUSE_MOST_MS 300000 /* up to this, plus up to half of it at random */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

struct breaker {
	enum breaker_state state;
	int64_t pause_ms;      /* the first one; 0: BREAKER_PAUSE_MS (tests) */
	unsigned int failures; /* in a row, while closed */
	unsigned int pauses;   /* in a row without a success */
	int64_t since_ms;      /* when the state changed last */
	int64_t probe_ms;      /* OPEN: when to ask */
};

/* A request was answered as a living server does, whenever it was sent. */
void breaker_good(struct breaker *breaker, int64_t now_ms);
/* A request failed. One sent before the state changed says nothing any more. */
void breaker_bad(struct breaker *breaker, int64_t sent_ms, int64_t now_ms, uint64_t random);

/* What came of asking, while open. */
void breaker_alive(struct breaker *breaker, int64_t now_ms);
void breaker_dead(struct breaker *breaker, int64_t now_ms, uint64_t random);

#endif
