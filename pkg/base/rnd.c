/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rnd.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

void rnd_bytes(void *ret_data, size_t len)
{
	char *at = ret_data;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		assert(got > 0);
		at += got;
		len -= (size_t)got;
	}
}

uint64_t rnd_u64(void)
{
	uint64_t value;

	rnd_bytes(&value, sizeof(value));
	return value;
}

void rnd_uuid(char ret_text[RND_UUID_LEN])
{
	uint64_t high = (rnd_u64() & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
	uint64_t low = (rnd_u64() >> 2) | UINT64_C(0x8000000000000000);

	(void)snprintf(ret_text, RND_UUID_LEN, "%08x-%04x-%04x-%04x-%012llx",
		       (unsigned int)(high >> 32), (unsigned int)(high >> 16 & 0xffff),
		       (unsigned int)(high & 0xffff), (unsigned int)(low >> 48),
		       (unsigned long long)(low & 0xffffffffffff));
}

int64_t rnd_jitter_ms(int64_t ms, int percent)
{
	int64_t span = ms / 100 * percent + ms % 100 * percent / 100;

	return span > 0 ? ms + (int64_t)(rnd_u64() % (uint64_t)(span + 1)) : ms;
}
