/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "http/http_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The head of an answer, line by line as libcurl passes it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head = {0};
	int seconds;

	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) + 1 : size;

		if (http_head_line(&head, (const char *)data, len) < 0)
			break;
		data += len;
		size -= len;
	}
	assert(head.bytes <= HTTP_MAX_HEAD);
	assert(strnlen(head.retry_after, sizeof(head.retry_after)) < sizeof(head.retry_after));
	seconds = http_retry_after_s(head.retry_after, 1700000000);
	assert(seconds >= -1 && seconds <= 3600);
	return 0;
}
