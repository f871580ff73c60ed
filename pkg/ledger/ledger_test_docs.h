/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LEDGER_TEST_DOCS_H
#define LEDGER_TEST_DOCS_H

/* A Secret's two documents for the tests of this directory: opened, written, opened again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"
#include "ledger/ledger.h"

#define KEY  "acmedns.json"
#define HOST "https://auth.example.com"

struct docs {
	struct ledger_value values[4];
	size_t len;
};

static inline void docs_set(struct docs *docs, const char *key, const char *data, size_t len)
{
	size_t i = 0;

	while (i < docs->len && strcmp(docs->values[i].key, key) != 0)
		i++;
	assert_true(i < ARRAY_LEN(docs->values));
	if (i == docs->len)
		docs->values[docs->len++] = (struct ledger_value){.key = mem_strdup(key)};
	free(docs->values[i].data);
	docs->values[i].data = mem_dup(data, len);
	docs->values[i].len = len;
}

/* NULL: the value is absent. */
static inline struct docs docs_of(const char *own, const char *accounts)
{
	struct docs docs = {.len = 0};

	if (own)
		docs_set(&docs, LEDGER_OWN_KEY, own, strlen(own));
	if (accounts)
		docs_set(&docs, KEY, accounts, strlen(accounts));
	return docs;
}

static inline void docs_donep(struct docs *docs)
{
	size_t i;

	for (i = 0; i < docs->len; i++) {
		free(docs->values[i].key);
		free(docs->values[i].data);
	}
}

/* "" when the value is absent. */
static inline const char *docs_text(const struct docs *docs, const char *key)
{
	size_t i;

	for (i = 0; i < docs->len; i++)
		if (strcmp(docs->values[i].key, key) == 0)
			return docs->values[i].data;
	return "";
}

static inline size_t docs_size(const struct docs *docs)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < docs->len; i++)
		size += docs->values[i].len;
	return size;
}

static inline size_t docs_count(const struct docs *docs)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < docs->len; i++)
		count += jv_count(docs->values[i].data, docs->values[i].len);
	return count;
}

static inline struct ledger *docs_open(const struct docs *docs)
{
	struct err err = {0};
	struct ledger *ledger = ledger_open(docs->values, docs->len, &err);

	if (!ledger || ledger_use(ledger, KEY, &err))
		fail_msg("%s", err.msg);
	return ledger;
}

/* The documents as they would be after the write; returns how many values it has. */
static inline size_t docs_write(struct docs *docs, struct ledger *ledger)
{
	struct ledger_value *values;
	size_t len = ledger_write(ledger, &values);
	size_t i;

	for (i = 0; i < len; i++)
		docs_set(docs, values[i].key, values[i].data, values[i].len);
	ledger_values_free(values, len);
	return len;
}

/* Writes and opens again. */
static inline void docs_reopen(struct docs *docs, struct ledger **ledger)
{
	(void)docs_write(docs, *ledger);
	ledger_free(*ledger);
	*ledger = docs_open(docs);
}

static inline void assert_json(const char *text, const char *expected)
{
	struct err err = {0};
	CLEANUP(jv_freep) json_t *a = jv_parse(text, strlen(text), &err);
	CLEANUP(jv_freep) json_t *b = jv_parse(expected, strlen(expected), &err);

	assert_non_null(b);
	if (!json_equal(a, b))
		fail_msg("%s\ninstead of %s", text, expected);
}

static inline struct acmedns_account an_account(void)
{
	return (struct acmedns_account){
		.username = "c36f50e8-4632-44f0-83fe-e070fef28a10",
		.password = "htB9mR9DYgcu9bX_afHF62erXaH2TS7bg9KW3F7Z",
		.subdomain = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a",
		.fulldomain = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.com",
		.allowfrom = "10.0.0.0/8 2001:db8::/32",
	};
}

#endif
