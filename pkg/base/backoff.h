/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

/* Exponential backoff, without the jitter, which each caller adds as much of as it needs. */

#include <stdint.h>

/* base_ms, doubled so many times, but no more than most_ms. */
static inline int64_t backoff_ms(int64_t base_ms, unsigned int times, int64_t most_ms)
{
	int64_t ms = base_ms;

	while (times-- > 0 && ms < most_ms)
		ms *= 2;
	return ms < most_ms ? ms : most_ms;
}

#endif
