/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/*
 * The macros that every package may use.
 *
 * A local that owns something is declared with CLEANUP(fn), where fn takes a pointer
 * to the local and accepts NULL inside it. Each type offers that function next to its
 * free, named with a trailing p:
 *
 *	CLEANUP(buf_donep) struct buf b = BUF_INIT(4096);
 *	CLEANUP(mem_freep) char *text = mem_strdup("x");
 *	return TAKE(text);                     // hands it over, leaves NULL behind
 */

#include <stddef.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK	       __attribute__((warn_unused_result))
#define NORETURN	       __attribute__((noreturn))
#define RETURNS_NONNULL	       __attribute__((returns_nonnull))
#define CLEANUP(fn)	       __attribute__((__cleanup__(fn)))

#define TAKE(p)                                                                                    \
	__extension__({                                                                            \
		__typeof__(p) take_ptr_ = (p);                                                     \
		(p) = NULL;                                                                        \
		take_ptr_;                                                                         \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                                            \
	__extension__({                                                                            \
		char *member_ptr_ = (char *)(ptr);                                                 \
		(type *)(void *)(member_ptr_ - offsetof(type, member));                            \
	})

#endif
