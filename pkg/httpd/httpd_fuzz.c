/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "httpd/httpd_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool pass(void *ctx)
{
	(void)ctx;
	return true;
}

static bool fail(void *ctx)
{
	(void)ctx;
	return false;
}

/* A path and a query as a client sent them: the answer is one of three, and no text of the
 * client's but the path is in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_freep) char *path = mem_dup(data, size);
	CLEANUP(buf_donep) struct buf body = BUF_INIT(2 * size + 256);
	char *query = strchr(path, '?');
	struct httpd_check *checks = NULL;
	int status;

	if (query)
		*query++ = '\0';
	httpd_checks_add(&checks, "/readyz", "good", pass, NULL);
	httpd_checks_add(&checks, "/readyz", "bad", fail, NULL);
	status = httpd_checks_answer(checks, path, query, &body);
	if (status != 0 && status != HTTP_OK && status != HTTP_INTERNAL)
		abort();
	if (body.failed || (status == 0) != (body.len == 0))
		abort();
	httpd_checks_free(checks);
	return 0;
}
