/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

/*
 * uthash as every package uses it. Left alone it ends the process by exit(-1) when memory is out,
 * and its own choice of hash function falls through cases without clang's blessing.
 */

#include "base/mem.h"

#define uthash_malloc(size)		  mem_alloc(size)
#define HASH_FUNCTION(key, len, ret_hash) HASH_FNV(key, len, ret_hash)

#include <uthash.h>

#endif
