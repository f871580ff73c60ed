/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FNV_H
#define BASE_FNV_H

/*
 * FNV-1a (draft-eastlake-fnv), 64 bits: to compare texts within a process without keeping them.
 * Whoever chooses the texts can have two be the same, so that must do no harm to others.
 */

#include <stdint.h>

#define FNV_BEGIN UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* Of what was hashed before, the text and its NUL. */
static inline uint64_t fnv_text(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	} while (*text++);
	return hash;
}

#endif
