/* SPDX-License-Identifier: Apache-2.0 */
#include "breaker/breaker.h"

#include "base/backoff.h"

static int64_t next_pause_ms(struct breaker *breaker, uint64_t random)
{
	int64_t base_ms = breaker->pause_ms ? breaker->pause_ms : BREAKER_PAUSE_MS;
	int64_t ms = backoff_ms(base_ms, breaker->pauses++, BREAKER_PAUSE_MOST_MS);

	return ms + (int64_t)(random % (uint64_t)(ms / 2 + 1));
}

static void change(struct breaker *breaker, enum breaker_state state, int64_t now_ms)
{
	breaker->state = state;
	breaker->since_ms = now_ms;
	breaker->failures = 0;
}

void breaker_good(struct breaker *breaker, int64_t now_ms)
{
	breaker->failures = 0;
	breaker->pauses = 0;
	if (breaker->state != BREAKER_CLOSED)
		change(breaker, BREAKER_CLOSED, now_ms);
}

void breaker_bad(struct breaker *breaker, int64_t sent_ms, int64_t now_ms, uint64_t random)
{
	if (breaker->state == BREAKER_OPEN || sent_ms < breaker->since_ms)
		return;
	if (breaker->state == BREAKER_CLOSED && ++breaker->failures < BREAKER_FAILURES)
		return;
	change(breaker, BREAKER_OPEN, now_ms);
	breaker->probe_ms = now_ms + next_pause_ms(breaker, random);
}

void breaker_alive(struct breaker *breaker, int64_t now_ms)
{
	if (breaker->state == BREAKER_OPEN)
		change(breaker, BREAKER_TRIAL, now_ms);
}

void breaker_dead(struct breaker *breaker, int64_t now_ms, uint64_t random)
{
	if (breaker->state == BREAKER_OPEN)
		breaker->probe_ms = now_ms + next_pause_ms(breaker, random);
}
