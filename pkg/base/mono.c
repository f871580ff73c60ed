/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mono.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct timespec read_clock(clockid_t id)
{
	struct timespec ts;
	int failed = clock_gettime(id, &ts);

	assert(!failed);
	return ts;
}

int64_t mono_ms(void)
{
	struct timespec ts = read_clock(CLOCK_BOOTTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct timeval mono_timeval(int64_t ms)
{
	if (ms <= 0)
		return (struct timeval){0};
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

int64_t mono_us(void)
{
	struct timespec ts = read_clock(CLOCK_BOOTTIME);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t mono_wall_us(void)
{
	struct timespec ts = read_clock(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static size_t seconds_text(int64_t wall_us, char *text)
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm tm;

	(void)gmtime_r(&seconds, &tm);
	return strftime(text, MONO_RFC3339_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
}

void mono_rfc3339(int64_t wall_us, char ret_text[MONO_RFC3339_LEN])
{
	size_t len = seconds_text(wall_us, ret_text);

	(void)snprintf(ret_text + len, MONO_RFC3339_LEN - len, "Z");
}

void mono_rfc3339_micro(int64_t wall_us, char ret_text[MONO_RFC3339_LEN])
{
	size_t len = seconds_text(wall_us, ret_text);

	(void)snprintf(ret_text + len, MONO_RFC3339_LEN - len, ".%06dZ", (int)(wall_us % 1000000));
}

/* strptime alone takes blanks and short numbers. */
static bool starts_like(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '0' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	}
	return true;
}

int64_t mono_parse_rfc3339(const char *text)
{
	struct tm tm = {0};
	const char *rest;
	int64_t seconds;
	int day;

	if (!starts_like(text, "0000-00-00T00:00:00"))
		return -1;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest && *rest == '.' && isdigit((unsigned char)rest[1]))
		rest += 1 + strspn(rest + 1, "0123456789");
	if (!rest || strcmp(rest, "Z") != 0)
		return -1;
	day = tm.tm_mday;
	seconds = (int64_t)timegm(&tm);
	return tm.tm_mday == day ? seconds : -1; /* there is no 30th of February */
}
