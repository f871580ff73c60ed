/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/*
 * Calls that have no place here, made compile errors; the build includes this file before
 * every source of ours. Unbounded or unterminated copies: mem_printf, buf_addf, snprintf instead.
 * Hidden state or locale: strtok, localtime. Unchecked parsing: strtol with its end pointer.
 */

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Some are macros under some compilers; a macro cannot be poisoned. */
#undef sprintf
#undef vsprintf
#undef strncat
#undef alloca

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok
#pragma GCC poison atoi atol atof sscanf gmtime localtime ctime gethostbyname alloca
#pragma GCC poison system popen tmpnam mktemp gets

#endif
