/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

/*
 * Memory. None of these returns NULL: out of memory ends the process (in a container the
 * kernel does so first). What they return is freed with free(3), or by CLEANUP(mem_freep).
 */

#include <stddef.h>

#include "base/attr.h"

void *mem_alloc(size_t size) RETURNS_NONNULL;			   /* uninitialised */
void *mem_zalloc(size_t size) RETURNS_NONNULL;			   /* zeroed */
void *mem_zalloc_array(size_t count, size_t size) RETURNS_NONNULL; /* zeroed, overflow checked */
void *mem_resize(void *old, size_t count, size_t size) RETURNS_NONNULL; /* overflow checked */
void *mem_dup(const void *data, size_t len) RETURNS_NONNULL; /* NUL added behind the copy */
char *mem_strdup(const char *text) RETURNS_NONNULL;	     /* NULL copies as "" */
char *mem_printf(const char *fmt, ...) RETURNS_NONNULL PRINTF_LIKE(1, 2);

void mem_freep(void *pointer_to_pointer);

/* Wipe before freeing: for anything that held a secret. NULL is fine. */
void mem_wipe_free(void *data, size_t len);
void mem_wipe_str(char *secret);
void mem_wipe_strp(char **secret); /* for CLEANUP() */

#endif
