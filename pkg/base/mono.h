/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MONO_H
#define BASE_MONO_H

/*
 * The clocks. Durations and deadlines use mono_ms(): CLOCK_BOOTTIME, so that a suspended
 * machine's lease and claims grow old while it sleeps. The wall clock is for texts only.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#define MONO_RFC3339_LEN sizeof("2026-11-24T10:00:00.000000Z")

int64_t mono_ms(void);	    /* milliseconds since some start; read fresh at each call */
int64_t mono_us(void);	    /* the same clock, for what takes less than one */
int64_t mono_wall_us(void); /* microseconds since 1970, UTC */

struct timeval mono_timeval(int64_t ms); /* for a timer of the loop; 0 for what is past */

/* RFC 3339 in UTC: seconds as metav1.Time prints them, microseconds as metav1.MicroTime. */
void mono_rfc3339(int64_t wall_us, char ret_text[MONO_RFC3339_LEN]);
void mono_rfc3339_micro(int64_t wall_us, char ret_text[MONO_RFC3339_LEN]);

/* Seconds since 1970 of "2026-11-24T10:00:00[.fraction]Z"; -1 if it is not such a text. */
int64_t mono_parse_rfc3339(const char *text);

#endif
