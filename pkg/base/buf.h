/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A growable byte buffer with a hard maximum, for text we make and bytes we read.
 *
 * An append that would pass the maximum adds nothing and marks the buffer failed for good;
 * so a series of appends needs one check at its end. buf_str() is always NUL-terminated.
 * The bytes are wiped when they move or go, so that a buffer may hold secrets.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct buf {
	char *data; /* NULL until the first append */
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* wipes and frees; the buffer is then empty with the same max */
void buf_donep(struct buf *b); /* for CLEANUP() */
void buf_clear(struct buf *b); /* empties and un-fails, keeps the memory */

/* Each returns 0, or -1 when the maximum was or is passed. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *text);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

void buf_drop_front(struct buf *b, size_t len);
const char *buf_str(const struct buf *b); /* lent; "" when empty */
char *buf_take(struct buf *b);		  /* the caller frees; never NULL; b is empty then */

#endif
