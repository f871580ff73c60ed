/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RND_H
#define BASE_RND_H

/* Randomness from the kernel, getrandom(2). */

#include <stddef.h>
#include <stdint.h>

#define RND_UUID_LEN sizeof("123e4567-e89b-42d3-a456-426614174000")

void rnd_bytes(void *ret_data, size_t len);
uint64_t rnd_u64(void);

/* A random UUID, RFC 9562 version 4, lower case. */
void rnd_uuid(char ret_text[RND_UUID_LEN]);

/* ms plus a random 0..percent per cent of it. */
int64_t rnd_jitter_ms(int64_t ms, int percent);

#endif
