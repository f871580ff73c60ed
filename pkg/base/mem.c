/* SPDX-License-Identifier: Apache-2.0 */
#define MEM_IMPLEMENTATION /* the one place that may call malloc and its kin */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NORETURN void out_of_memory(size_t size)
{
	(void)fprintf(stderr, "out of memory: %zu bytes\n", size);
	abort();
}

static void *checked(void *p, size_t size)
{
	if (!p)
		out_of_memory(size);
	return p;
}

void *mem_alloc(size_t size)
{
	return checked(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
	return mem_zalloc_array(1, size);
}

void *mem_zalloc_array(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size ? size : 1), size);
}

void *mem_resize(void *old, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		out_of_memory(count);
	return checked(realloc(old, total ? total : 1), total);
}

void *mem_dup(const void *data, size_t len)
{
	char *copy = mem_alloc(len + 1);

	if (len)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

char *mem_strdup(const char *text)
{
	return text ? mem_dup(text, strlen(text)) : mem_dup("", 0);
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		out_of_memory(0);
	return text;
}

void mem_freep(void *pointer_to_pointer)
{
	void *p;

	/* Any object pointer has the representation of void *; memcpy keeps aliasing rules. */
	memcpy(&p, pointer_to_pointer, sizeof(p));
	free(p);
}

void mem_wipe_free(void *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
	free(data);
}

void mem_wipe_str(char *secret)
{
	mem_wipe_free(secret, secret ? strlen(secret) : 0);
}

void mem_wipe_strp(char **secret)
{
	mem_wipe_str(*secret);
}
