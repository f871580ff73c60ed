/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger_test_docs.h"

#include <stdio.h>

#include "base/buf.h"

#define OTHER "https://other.example.com"
#define FIELDS(name, url)                                                                          \
	"\"username\":\"" name "\",\"password\":\"p\",\"fulldomain\":\"" name                      \
	".a\",\"subdomain\":\"" name "\",\"allowfrom\":[],\"server_url\":\"" url "\""
#define ENTRY_OF(name, url) "{" FIELDS(name, url) "}"
#define OWN(record)                                                                                \
	"{\"version\":1,\"owners\":{\"uid-a\":\"alice\"},\"keys\":{\"" KEY "\":{\"d\":" record "}" \
	"}"                                                                                        \
	"}"
#define ORIGIN(url) "\"owner\":\"uid-a\",\"origin\":\"registered\",\"host\":\"" url "\""

static struct acmedns_account account_of(const char *name)
{
	struct acmedns_account account = {.password = "p"};

	(void)snprintf(account.username, sizeof(account.username), "%s", name);
	(void)snprintf(account.subdomain, sizeof(account.subdomain), "%s", name);
	(void)snprintf(account.fulldomain, sizeof(account.fulldomain), "%s.a", name);
	return account;
}

static void store_next(struct ledger *ledger, const char *name, const char *host)
{
	const struct acmedns_account account = account_of(name);

	ledger_store_next(ledger, KEY, "d", host, &account);
}

/* Writes, opens again, and compares. */
static void expect(struct docs *docs, struct ledger **ledger, const char *own, const char *accounts)
{
	size_t bound = ledger_size_bound(*ledger);
	size_t values = ledger_values_bound(*ledger);

	docs_reopen(docs, ledger);
	assert_true(docs_count(docs) <= values);
	assert_json(docs_text(docs, LEDGER_OWN_KEY), own);
	assert_json(docs_text(docs, KEY), accounts);
	assert_true(docs_size(docs) <= bound);
	assert_true(docs_size(docs) <= ledger_size_bound(*ledger));
}

static struct docs registered(void)
{
	return docs_of(OWN("{" ORIGIN(HOST) "}"), "{\"d\":" ENTRY_OF("old", HOST) "}");
}

static void test_rotation_at_the_host(void **state)
{
	const struct ledger_owner owner = {.uid = "uid-a", .name = "alice"};
	const struct ledger_claim claim = {
		.nonce = "n", .holder = "h", .host = HOST, .timeout_s = 20, .rotates = true};
	CLEANUP(docs_donep) struct docs docs = registered();
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_entry entry;
	size_t waiting;
	size_t bound;
	size_t values;

	(void)state;
	ledger_claim(ledger, KEY, "d", &owner, &claim);
	docs_reopen(&docs, &ledger);
	bound = ledger_size_bound(ledger);
	values = ledger_values_bound(ledger);
	ledger_look(ledger, KEY, "d", &entry);
	assert_true(entry.rotates);
	assert_string_equal(entry.next_host, "");

	store_next(ledger, "new", HOST);
	expect(&docs, &ledger, OWN("{" ORIGIN(HOST) ",\"next\":" ENTRY_OF("new", HOST) "}"),
	       "{\"d\":" ENTRY_OF("old", HOST) "}");
	ledger_look(ledger, KEY, "d", &entry);
	assert_false(entry.rotates);
	assert_string_equal(entry.next_host, HOST);
	assert_string_equal(entry.next_fulldomain, "new.a");
	assert_string_equal(entry.fulldomain, "old.a");

	/* Room was kept for this, too. */
	waiting = ledger_size_bound(ledger);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	ledger_set_rotated(ledger, KEY, "d", "1");
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(HOST) ",\"rotate\":\"1\",\"retired\":{\"" HOST
				    "\":" ENTRY_OF("old", HOST) "}}"),
	       "{\"d\":" ENTRY_OF("new", HOST) "}");
	assert_true(docs_size(&docs) <= bound && docs_size(&docs) <= waiting);
	assert_true(docs_count(&docs) <= values);
	ledger_look(ledger, KEY, "d", &entry);
	assert_string_equal(entry.rotated, "1");
}

/* null is as good as absent. */
static void test_null(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{" ORIGIN(HOST) ",\"next\":null,\"retired\":null}"),
				   "{\"d\":" ENTRY_OF("old", HOST) "}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	assert_null(ledger_spare(ledger, KEY, "d", HOST));
	store_next(ledger, "new", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(HOST) ",\"retired\":{\"" HOST "\":" ENTRY_OF("old", HOST) "}}"),
	       "{\"d\":" ENTRY_OF("new", HOST) "}");
}

static struct docs deep(int arrays)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(4096);
	int i;

	(void)buf_adds(&text, "{\"d\":{" FIELDS("old", HOST) ",\"x\":");
	for (i = 0; i < arrays; i++)
		(void)buf_adds(&text, "[");
	for (i = 0; i < arrays; i++)
		(void)buf_adds(&text, "]");
	(void)buf_adds(&text, "}}");
	return docs_of(OWN("{" ORIGIN(HOST) "}"), buf_str(&text));
}

/* What is retired is deeper in our document, which has to be read again. */
static void test_levels(void **state)
{
	CLEANUP(docs_donep) struct docs docs = deep(58);
	CLEANUP(docs_donep) struct docs deeper = deep(59);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	CLEANUP(ledger_freep) struct ledger *refused = NULL;
	struct err err;

	(void)state;
	store_next(ledger, "new", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	docs_reopen(&docs, &ledger);
	assert_non_null(ledger_spare(ledger, KEY, "d", HOST));
	refused = ledger_open(deeper.values, deeper.len, &err);
	assert_int_equal(ledger_use(refused, KEY, &err), -1);
	assert_non_null(strstr(err.msg, "JSON of more than 60 levels"));
}

/* As Go reads it, the last field counts; what is retired has to say where it is from. */
static void test_server_url_in_two_spellings(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{" ORIGIN(HOST) "}"),
				   "{\"d\":{" FIELDS("old", "") ",\"SERVER_URL\":\"\"}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	store_next(ledger, "new", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	docs_reopen(&docs, &ledger);
	assert_string_equal(ledger_spare(ledger, KEY, "d", HOST), "old.a");
}

/* The newest of each host is kept. */
static void test_retired_accounts(void **state)
{
	CLEANUP(docs_donep) struct docs docs = registered();
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	store_next(ledger, "two", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	store_next(ledger, "three", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	assert_null(ledger_spare(ledger, KEY, "d", OTHER));
	store_next(ledger, "far", OTHER);
	ledger_switch(ledger, KEY, "d", OTHER, HOST);
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(OTHER) ",\"retired\":{\"" HOST "\":" ENTRY_OF("three", HOST) "}}"),
	       "{\"d\":" ENTRY_OF("far", OTHER) "}");
	assert_non_null(ledger_spare(ledger, KEY, "d", "HTTPS://auth.example.com:443/"));

	ledger_switch(ledger, KEY, "d", HOST, OTHER);
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(HOST) ",\"retired\":{\"" OTHER "\":" ENTRY_OF("far", OTHER) "}}"),
	       "{\"d\":" ENTRY_OF("three", HOST) "}");
}

/* An account that was to be next when the host changed again is not lost. */
static void test_next_is_replaced(void **state)
{
	CLEANUP(docs_donep) struct docs docs = registered();
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	store_next(ledger, "far", OTHER);
	store_next(ledger, "near", HOST);
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(HOST) ",\"next\":" ENTRY_OF(
		       "near", HOST) ",\"retired\":{\"" OTHER "\":" ENTRY_OF("far", OTHER) "}}"),
	       "{\"d\":" ENTRY_OF("old", HOST) "}");
}

#define BARE                                                                                       \
	"{\"userName\":\"u\",\"password\":\"p\",\"subdomain\":\"s\",\"fulldomain\":\"s.a\",\"x\":" \
	"[1]"

/* Retired with all its members, and with the host that nobody had written into it. */
static void test_an_adopted_entry_retires_whole(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{" ORIGIN(HOST) "}"), "{\"d\":" BARE "}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	store_next(ledger, "new", HOST);
	ledger_switch(ledger, KEY, "d", HOST, HOST);
	expect(&docs, &ledger,
	       OWN("{" ORIGIN(HOST) ",\"retired\":{\"" HOST "\":" BARE ",\"server_url\":\"" HOST
				    "\"}}}"),
	       "{\"d\":" ENTRY_OF("new", HOST) "}");
}

static void test_rehost(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{" ORIGIN(HOST) "}"),
				   "{\"d\":" BARE ",\"Server_URL\":\"" HOST "\"},\"e\":" BARE "}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_rehost(ledger, KEY, "d", OTHER);
	expect(&docs, &ledger, OWN("{" ORIGIN(OTHER) "}"),
	       "{\"d\":" BARE ",\"server_url\":\"" OTHER "\"},\"e\":" BARE "}}");
}

/* One that names no server is not given one. */
static void test_rehost_of_an_entry_without_url(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{" ORIGIN(HOST) "}"), "{\"d\":" BARE "}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_rehost(ledger, KEY, "d", OTHER);
	expect(&docs, &ledger, OWN("{" ORIGIN(OTHER) "}"), "{\"d\":" BARE "}}");
}

static void test_allows(void **state)
{
	char ten[] = "10.0.0.0/8";
	char all[] = "::/0";
	char net[] = "192.0.2.0/24";
	char *const two[] = {ten, all};
	char *const other[] = {ten, net};
	CLEANUP(docs_donep)
	struct docs docs = docs_of(NULL, "{\"d\":{\"AllowFrom\":[\"::/0\",\"10.0.0.0/8\"]},"
					 "\"e\":{\"allowfrom\":null},\"f\":{\"allowfrom\":[1]}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	assert_true(ledger_allows(ledger, KEY, "d", two, 2));
	assert_false(ledger_allows(ledger, KEY, "d", two, 1));
	assert_false(ledger_allows(ledger, KEY, "d", other, 2));
	assert_true(ledger_allows(ledger, KEY, "e", NULL, 0));
	assert_true(ledger_allows(ledger, KEY, "nobody", NULL, 0));
	assert_false(ledger_allows(ledger, KEY, "f", two, 1));
}

static void test_damaged(void **state)
{
	static const char *const records[] = {
		"{\"rotate\":1}",
		"{\"next\":{}}",
		"{\"next\":" BARE "}}",
		"{\"retired\":[]}",
		"{\"retired\":{\"" HOST "\":{}}}",
	};
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(records); i++) {
		CLEANUP(mem_freep)
		char *own = mem_printf("{\"version\":1,\"owners\":{},\"keys\":{\"k\":{\"d\":%s}}}",
				       records[i]);
		CLEANUP(docs_donep) struct docs docs = docs_of(own, NULL);

		assert_null(ledger_open(docs.values, docs.len, &err));
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rotation_at_the_host),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_server_url_in_two_spellings),
		cmocka_unit_test(test_retired_accounts),
		cmocka_unit_test(test_next_is_replaced),
		cmocka_unit_test(test_an_adopted_entry_retires_whole),
		cmocka_unit_test(test_rehost),
		cmocka_unit_test(test_rehost_of_an_entry_without_url),
		cmocka_unit_test(test_allows),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
