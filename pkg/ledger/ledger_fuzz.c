/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"
#include "ledger/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY  "acmedns.json"
#define HOST "https://auth.example.com"
#define UUID "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"

static const char *const domains[] = {"a", "b.example", "c"};
static const struct acmedns_account account = {
	.username = UUID, .password = "p", .subdomain = UUID, .fulldomain = UUID ".a"};

static void look(const struct ledger *ledger)
{
	struct ledger_entry entry;
	size_t i;

	(void)ledger_has_account(ledger, KEY);
	for (i = 0; i < ARRAY_LEN(domains); i++) {
		ledger_look(ledger, KEY, domains[i], &entry);
		assert(!entry.complete || (entry.present && *entry.fulldomain));
		assert(entry.timeout_s >= 1 && entry.timeout_s <= 300);
		assert(entry.uncertain >= 0 && entry.attempt >= 0);
	}
}

/* A new account at the host, another one at another, and back. */
static void rotate(struct ledger *ledger)
{
	static const char *const hosts[] = {HOST, "https://other.example.com", HOST};
	static const struct ledger_owner owner = {.uid = UUID, .name = "one"};
	const char *before = HOST;
	size_t i;

	for (i = 0; i < ARRAY_LEN(hosts); i++) {
		const struct ledger_claim claim = {.nonce = "r",
						   .holder = UUID,
						   .host = hosts[i],
						   .timeout_s = 20,
						   .rotates = true};

		ledger_claim(ledger, KEY, domains[2], &owner, &claim);
		ledger_store_next(ledger, KEY, domains[2], hosts[i], &account);
		ledger_switch(ledger, KEY, domains[2], hosts[i], before);
		ledger_set_rotated(ledger, KEY, domains[2], "1");
		before = hosts[i];
	}
	ledger_rehost(ledger, KEY, domains[2], HOST);
}

static bool keep_none(const void *ctx, bool annotation, const char *key)
{
	(void)ctx;
	(void)annotation;
	(void)key;
	return false;
}

static void tag(struct ledger *ledger)
{
	static const struct ledger_owner owner = {.uid = "2", .name = "two"};

	ledger_put_tag(ledger, false, domains[0], "x", &owner);
	ledger_put_tag(ledger, true, domains[1], "y", &owner);
	assert(ledger_drop_tags(ledger, owner.uid, keep_none, NULL) >= 2);
	ledger_put_tag(ledger, false, domains[0], "z", &owner);
}

static void edit(struct ledger *ledger)
{
	static const struct ledger_owner owner = {.uid = UUID, .name = "one"};
	static const struct ledger_claim claim = {.nonce = "n",
						  .holder = UUID,
						  .host = HOST,
						  .timeout_s = 20,
						  .after_uncertain = true};
	const char *domain;
	size_t i;

	ledger_set_created(ledger);
	for (i = 0; i < ARRAY_LEN(domains); i++)
		ledger_claim(ledger, KEY, domains[i], &owner, &claim);
	domain = ledger_next_claimed(ledger, KEY, "n", NULL);
	assert(domain);
	ledger_store(ledger, KEY, domain, HOST, &account);
	while ((domain = ledger_next_claimed(ledger, KEY, "n", domain)))
		ledger_discard(ledger, KEY, domain, "n");
	ledger_adopt(ledger, KEY, domains[1], HOST);
	ledger_store(ledger, KEY, domains[0], HOST, &account);
	ledger_share(ledger, KEY, domains[0], domains[2]);
	ledger_claim(ledger, KEY, domains[1], &owner, &claim);
	rotate(ledger);
	tag(ledger);
}

/* What was written can be opened and is no larger than was said. */
static void check_written(struct ledger *ledger)
{
	struct ledger_value *values;
	size_t len = ledger_write(ledger, &values);
	struct err err = {0};
	struct ledger *again = ledger_open(values, len, &err);
	struct ledger_entry entry;

	assert(len == 2 && again && !ledger_use(again, KEY, &err));
	assert(values[0].len + values[1].len <= ledger_size_bound(ledger));
	assert(jv_count(values[0].data, values[0].len) + jv_count(values[1].data, values[1].len) <=
	       ledger_values_bound(ledger));
	look(again);
	ledger_look(again, KEY, domains[2], &entry);
	assert(entry.complete && entry.origin == LEDGER_REGISTERED);
	assert(strcmp(entry.owner_name, "one") == 0);
	ledger_look(again, KEY, domains[1], &entry);
	assert(strcmp(entry.nonce, "n") == 0 && entry.uncertain > 0);
	ledger_free(again);
	ledger_values_free(values, len);
}

/* The first byte says how much of the rest is our document, in 255ths; the remainder is the public
 * one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};

	if (size < 1)
		return 0;
	const size_t own_len = (size - 1) * data[0] / 255;
	CLEANUP(mem_freep) char *own = mem_dup(data + 1, own_len);
	CLEANUP(mem_freep) char *accounts = mem_dup(data + 1 + own_len, size - 1 - own_len);
	char own_key[] = LEDGER_OWN_KEY;
	char key[] = KEY;
	const struct ledger_value values[2] = {
		{.key = key, .data = accounts, .len = size - 1 - own_len},
		{.key = own_key, .data = own, .len = own_len},
	};
	CLEANUP(ledger_freep)
	struct ledger *ledger = ledger_open(values, own_len ? 2 : 1, &err);

	if (!ledger || ledger_use(ledger, KEY, &err)) {
		assert(err.kind == ERR_INVALID);
		return 0;
	}
	look(ledger);
	edit(ledger);
	check_written(ledger);
	return 0;
}
