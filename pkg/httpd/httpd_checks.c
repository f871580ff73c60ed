/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd_impl.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/mem.h"

struct httpd_check {
	char *path;
	char *name;
	httpd_check_fn *run;
	void *ctx;
	struct httpd_check *next;
};

void httpd_checks_add(struct httpd_check **checks, const char *path, const char *name,
		      httpd_check_fn *run, void *ctx)
{
	struct httpd_check *check = mem_zalloc(sizeof(*check));

	check->path = mem_strdup(path);
	check->name = mem_strdup(name);
	check->run = run;
	check->ctx = ctx;
	LL_APPEND(*checks, check);
}

void httpd_checks_free(struct httpd_check *checks)
{
	struct httpd_check *check;
	struct httpd_check *next;

	LL_FOREACH_SAFE(checks, check, next) {
		free(check->path);
		free(check->name);
		free(check);
	}
}

/* The path asks for a check when it is the check's, or that with "/name" behind it. */
static bool is_asked(const struct httpd_check *check, const char *path)
{
	size_t len = strlen(check->path);

	if (strncmp(check->path, path, len) != 0)
		return false;
	return !path[len] || (path[len] == '/' && strcmp(path + len + 1, check->name) == 0);
}

/* Whether the query has the parameter: "key=value", or "key" alone for a NULL value. */
static bool has_parameter(const char *query, const char *key, const char *value)
{
	CLEANUP(mem_freep) char *wanted = value ? mem_printf("%s=%s", key, value) : mem_strdup(key);
	size_t len = strlen(wanted);

	while (query) {
		if (strncmp(query, wanted, len) == 0 && (query[len] == '&' || !query[len]))
			return true;
		query = strchr(query, '&');
		query = query ? query + 1 : NULL;
	}
	return false;
}

static bool run_one(const struct httpd_check *check, const char *query, struct buf *body)
{
	if (has_parameter(query, "exclude", check->name)) {
		(void)buf_addf(body, "[+]%s excluded: ok\n", check->name);
		return true;
	}
	if (check->run(check->ctx)) {
		(void)buf_addf(body, "[+]%s ok\n", check->name);
		return true;
	}
	(void)buf_addf(body, "[-]%s failed: reason withheld\n", check->name);
	return false;
}

int httpd_checks_answer(const struct httpd_check *checks, const char *path, const char *query,
			struct buf *body)
{
	const struct httpd_check *check;
	bool found = false;
	bool passed = true;

	LL_FOREACH(checks, check) {
		if (!is_asked(check, path))
			continue;
		found = true;
		passed = run_one(check, query, body) && passed;
	}
	if (!found)
		return 0;
	if (passed && !has_parameter(query, "verbose", NULL)) {
		buf_clear(body);
		(void)buf_adds(body, "ok");
		return HTTP_OK;
	}
	(void)buf_addf(body, "%s check %s\n", path + 1, passed ? "passed" : "failed");
	return passed ? HTTP_OK : HTTP_INTERNAL;
}
