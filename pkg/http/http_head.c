/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "http/http_impl.h"

#define MAX_RETRY_AFTER_S 3600

/* Keeps the value of a Retry-After; one that does not fit counts as absent, since half a value is
 * a wrong one. */
static void keep_retry_after(struct http_head *head, const char *line, size_t len)
{
	static const char name[] = "Retry-After:";
	const char *from = line + strlen(name);
	const char *to = line + len;

	if (len < strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
		return;
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (to > from && isspace((unsigned char)to[-1]))
		to--;
	len = (size_t)(to - from);
	if (len >= sizeof(head->retry_after))
		len = 0;
	memcpy(head->retry_after, from, len);
	head->retry_after[len] = '\0';
}

int http_head_line(struct http_head *head, const char *line, size_t len)
{
	if (len > HTTP_MAX_HEAD - head->bytes)
		return -1;
	head->bytes += len;
	/* A status line: what an interim (1xx) answer said is not about the final one. */
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
		*head = (struct http_head){.bytes = head->bytes};
	keep_retry_after(head, line, len);
	return 0;
}

static int digits_s(const char *value)
{
	int seconds = 0;

	for (; isdigit((unsigned char)*value); value++)
		if (seconds < MAX_RETRY_AFTER_S)
			seconds = seconds * 10 + (*value - '0');
	return *value ? -1 : seconds;
}

static int64_t date_s(const char *value, int64_t now_s)
{
	time_t date = curl_getdate(value, NULL);

	if (date == -1)
		return -1;
	return date > now_s ? date - now_s : 0;
}

int http_retry_after_s(const char *value, int64_t now_s)
{
	int64_t seconds = -1;

	if (isdigit((unsigned char)*value))
		seconds = digits_s(value);
	else if (isalpha((unsigned char)*value)) /* a date begins with its weekday */
		seconds = date_s(value, now_s);
	return seconds < MAX_RETRY_AFTER_S ? (int)seconds : MAX_RETRY_AFTER_S;
}
