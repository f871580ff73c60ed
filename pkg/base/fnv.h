/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FNV_H
#define BASE_FNV_H

/*
 * FNV-1a (draft-eastlake-fnv), 64 bits: for texts that are compared within a process. Nobody's
 * choice of texts may hang on two of them being different.
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
