/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger_test_docs.h"

#include <stdio.h>

#define ENTRY "{\"username\":\"u\",\"password\":\"p\",\"subdomain\":\"s\",\"fulldomain\":\"s.a\"}"
#define OWN(owners, keys)                                                                          \
	"{\"version\":1,\"owners\":{" owners "},\"keys\":{\"" KEY "\":{" keys "}}}"
#define ADOPTED(owner) "{\"owner\":\"" owner "\",\"origin\":\"adopted\",\"host\":\"" HOST "\"}"

static const struct ledger_owner alice = {.uid = "uid-a", .name = "alice"};
static const struct ledger_owner bob = {.uid = "uid-b", .name = "bob"};

static struct ledger_claim claim_of(const char *nonce)
{
	return (struct ledger_claim){
		.nonce = nonce, .holder = "holder", .host = HOST, .timeout_s = 20};
}

static void claim(struct ledger *ledger, const char *domain, const char *nonce)
{
	const struct ledger_claim c = claim_of(nonce);

	ledger_claim(ledger, KEY, domain, &alice, &c);
}

static void store(struct ledger *ledger, const char *domain)
{
	const struct acmedns_account account = an_account();

	ledger_store(ledger, KEY, domain, HOST, &account);
}

static struct ledger_entry look(const struct ledger *ledger, const char *domain)
{
	struct ledger_entry entry;

	ledger_look(ledger, KEY, domain, &entry);
	return entry;
}

/* ---- one edit each ---- */

static void test_created(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_set_created(ledger);
	assert_true(ledger_changed(ledger));
	docs_reopen(&docs, &ledger);
	assert_string_equal(docs_text(&docs, LEDGER_OWN_KEY),
			    "{\"version\":1,\"owners\":{},\"keys\":{},\"created\":true}");
	assert_true(ledger_is_ours(ledger));
	ledger_set_created(ledger);
	assert_false(ledger_changed(ledger));
}

static void test_claim(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, "{\"x\":" ENTRY "}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	claim(ledger, "d", "n1");
	assert_int_equal(docs_write(&docs, ledger), 1);
	assert_string_equal(docs_text(&docs, KEY), "{\"x\":" ENTRY "}");
	assert_string_equal(
		docs_text(&docs, LEDGER_OWN_KEY),
		OWN("\"uid-a\":\"alice\"",
		    "\"d\":{\"claim\":{\"nonce\":\"n1\",\"holder\":\"holder\",\"owner\":\"uid-a\","
		    "\"host\":\"" HOST
		    "\",\"timeoutSeconds\":20,\"attempt\":1},\"owner\":\"uid-a\"}"));
}

/* The attempts of one registration are counted until it is stored, what is uncertain for ever. */
static void test_attempts(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_claim again = claim_of("n2");

	(void)state;
	claim(ledger, "d", "n1");
	assert_int_equal(look(ledger, "d").attempt, 1);
	again.after_uncertain = true;
	ledger_claim(ledger, KEY, "d", &bob, &again);
	assert_int_equal(look(ledger, "d").attempt, 2);
	assert_int_equal(look(ledger, "d").uncertain, 1);
	assert_string_equal(look(ledger, "d").nonce, "n2");
	assert_string_equal(look(ledger, "d").owner_name, "bob");
	claim(ledger, "d", "n3");
	assert_int_equal(look(ledger, "d").attempt, 3);
	assert_int_equal(look(ledger, "d").uncertain, 1);
	docs_reopen(&docs, &ledger);
	store(ledger, "d");
	assert_string_equal(look(ledger, "d").nonce, "");
	assert_int_equal(look(ledger, "d").attempt, 0);
	assert_int_equal(look(ledger, "d").uncertain, 1);
	assert_int_equal(look(ledger, "d").origin, LEDGER_REGISTERED);
	assert_string_equal(look(ledger, "d").host, HOST);
	assert_true(look(ledger, "d").complete);
	ledger_discard(ledger, KEY, "d", "n4");
	assert_int_equal(look(ledger, "d").uncertain, 2);
	claim(ledger, "d", "n5");
	assert_int_equal(look(ledger, "d").attempt, 1);
}

static void test_counts_end(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs =
		docs_of(OWN("", "\"d\":{\"uncertain\":9223372036854775807,"
				"\"claim\":{\"nonce\":\"n\",\"attempt\":9223372036854775807}}"),
			NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_claim c = claim_of("n2");

	(void)state;
	c.after_uncertain = true;
	ledger_claim(ledger, KEY, "d", &alice, &c);
	assert_int_equal(look(ledger, "d").uncertain, INT64_MAX);
	assert_int_equal(look(ledger, "d").attempt, INT64_MAX);
	docs_reopen(&docs, &ledger);
}

static void test_discard(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_discard(ledger, KEY, "new", "n");
	assert_int_equal(look(ledger, "new").uncertain, 1);
	claim(ledger, "d", "n1");
	ledger_discard(ledger, KEY, "d", "other");
	assert_string_equal(look(ledger, "d").nonce, "n1");
	ledger_discard(ledger, KEY, "d", "n1");
	assert_string_equal(look(ledger, "d").nonce, "");
	assert_int_equal(look(ledger, "d").uncertain, 2);
	docs_reopen(&docs, &ledger);
	assert_int_equal(look(ledger, "d").uncertain, 2);
}

static void test_adopt(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, "{ \"d\" : " ENTRY " }");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_set_owner(ledger, KEY, "d", &alice);
	ledger_adopt(ledger, KEY, "d", HOST);
	docs_reopen(&docs, &ledger);
	assert_string_equal(docs_text(&docs, KEY), "{ \"d\" : " ENTRY " }");
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    OWN("\"uid-a\":\"alice\"", "\"d\":" ADOPTED("uid-a")));
	ledger_set_owner(ledger, KEY, "d", &alice);
	ledger_adopt(ledger, KEY, "d", HOST);
	assert_false(ledger_changed(ledger));
}

static void test_store(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct acmedns_account account = an_account();

	(void)state;
	account.allowfrom[0] = '\0';
	(void)snprintf(account.password, sizeof(account.password), "a\"\\b");
	ledger_store(ledger, KEY, "d", HOST, &account);
	assert_true(ledger_changed(ledger));
	assert_int_equal(docs_write(&docs, ledger), 2);
	assert_string_equal(
		docs_text(&docs, KEY),
		"{\"d\":{\"username\":\"c36f50e8-4632-44f0-83fe-e070fef28a10\","
		"\"password\":\"a\\\"\\\\b\",\"fulldomain\":"
		"\"8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.example.com\",\"subdomain\":"
		"\"8e5700ea-a4bf-41c7-8a77-e990661dcc6a\",\"allowfrom\":[],\"server_url\":\"" HOST
		"\"}}");
	assert_string_equal(docs_text(&docs, LEDGER_OWN_KEY),
			    OWN("", "\"d\":{\"origin\":\"registered\",\"host\":\"" HOST "\"}"));
}

static void test_share(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("", "\"d\":" ADOPTED("uid-a")), "{\"d\":" ENTRY "}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	claim(ledger, "e", "n");
	ledger_share(ledger, KEY, "d", "e");
	assert_string_equal(look(ledger, "e").nonce, "");
	assert_int_equal(look(ledger, "e").origin, LEDGER_ADOPTED);
	assert_string_equal(look(ledger, "e").host, HOST);
	store(ledger, "d");
	ledger_share(ledger, KEY, "d", "f");
	assert_int_equal(look(ledger, "f").origin, LEDGER_REGISTERED);
	docs_reopen(&docs, &ledger);
	assert_string_equal(look(ledger, "e").fulldomain, "s.a");
	assert_string_equal(look(ledger, "f").fulldomain, an_account().fulldomain);
	assert_non_null(strstr(docs_text(&docs, KEY), ",\"e\":" ENTRY ",\"f\":{"));
}

static void test_owners(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of("{\"version\":1,\"owners\":{\"uid-a\":\"old\",\"uid-x\":\"x\"},"
				   "\"keys\":{\"other\":{\"d\":{\"owner\":\"uid-x\"}}}}",
				   NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_set_owner(ledger, KEY, "d", &alice);
	ledger_set_owner(ledger, KEY, "e", &alice);
	assert_string_equal(look(ledger, "d").owner_name, "alice");
	ledger_set_owner(ledger, KEY, "d", &bob);
	assert_string_equal(look(ledger, "d").owner_name, "bob");
	assert_string_equal(look(ledger, "e").owner_name, "alice");
	ledger_set_owner(ledger, KEY, "e", &bob);
	assert_int_equal(docs_write(&docs, ledger), 1);
	assert_string_equal(docs_text(&docs, LEDGER_OWN_KEY),
			    "{\"version\":1,\"owners\":{\"uid-x\":\"x\",\"uid-b\":\"bob\"},"
			    "\"keys\":{\"other\":{"
			    "\"d\":{\"owner\":\"uid-x\"}},\"" KEY "\":{\"d\":{\"owner\":\"uid-b\"},"
			    "\"e\":{\"owner\":\"uid-b\"}}}}");
}

/* An owner may be null, or one whose name is not there. */
static void test_odd_owners(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs =
		docs_of(OWN("", "\"d\":{\"owner\":null},\"e\":{\"owner\":\"gone\"}"), NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	ledger_set_owner(ledger, KEY, "d", &bob);
	ledger_set_owner(ledger, KEY, "e", &bob);
	(void)docs_write(&docs, ledger);
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    OWN("\"uid-b\":\"bob\"",
			"\"d\":{\"owner\":\"uid-b\"},\"e\":{\"owner\":\"uid-b\"}"));
}

/* ---- what is not ours stays, in its order ---- */

static void test_unknown_members(void **state)
{
	static const char own[] =
		"{\"z\":{\"deep\":[1,{\"er\":null}]},\"keys\":{\"other\":{\"d\":{\"x\":[{}]}},"
		"\"" KEY "\":{\"z\":{\"claim\":{\"nonce\":\"n0\",\"more\":1.5}},"
		"\"d\":{\"x\":{\"y\":1},\"owner\":\"uid-a\",\"y\":[]}}},"
		"\"version\":1,\"owners\":{\"uid-a\":\"alice\"},\"a\":\"\\u0000\"}";
	CLEANUP(docs_donep) struct docs docs = docs_of(own, "{\"z\":{\"x\":[1e2]},\"d\":null}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	claim(ledger, "d", "n");
	store(ledger, "d");
	ledger_discard(ledger, KEY, "d", "n");
	assert_int_equal(docs_write(&docs, ledger), 2);
	assert_string_equal(
		docs_text(&docs, LEDGER_OWN_KEY),
		"{\"z\":{\"deep\":[1,{\"er\":null}]},\"keys\":{\"other\":{\"d\":{\"x\":[{}]}},"
		"\"" KEY "\":{\"z\":{\"claim\":{\"nonce\":\"n0\",\"more\":1.5}},"
		"\"d\":{\"x\":{\"y\":1},\"owner\":\"uid-a\",\"y\":[],\"origin\":\"registered\","
		"\"host\":\"" HOST "\",\"uncertain\":1}}},"
		"\"version\":1,\"owners\":{\"uid-a\":\"alice\"},\"a\":\"\\u0000\"}");
	assert_memory_equal(docs_text(&docs, KEY), "{\"z\":{\"x\":[100.0]},\"d\":{\"username\"",
			    33);
}

static void test_only_changed(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, "{}");
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;
	struct err err = {0};
	struct ledger_value *values;

	(void)state;
	docs_set(&docs, "foreign", "\xff\0{", 3);
	ledger = docs_open(&docs);
	assert_int_equal(ledger_use(ledger, "second", &err), 0);
	ledger_adopt(ledger, "second", "d", HOST);
	assert_int_equal(ledger_write(ledger, &values), 1);
	assert_string_equal(values[0].key, LEDGER_OWN_KEY);
	assert_int_equal(values[0].len, strlen(values[0].data));
	ledger_values_free(values, 1);
	ledger_store(ledger, "second", "d", HOST, &(struct acmedns_account){.username = "u"});
	assert_int_equal(ledger_write(ledger, &values), 2);
	assert_string_equal(values[0].key, "second");
	assert_string_equal(values[1].key, LEDGER_OWN_KEY);
	ledger_values_free(values, 2);
	assert_int_equal(ledger_use(ledger, "foreign", &err), -1);
}

/* ---- claims that hold for several domains ---- */

static void test_next_claimed(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	static const char *const claimed[] = {"a", "c", "d", "f"};
	const char *domain = NULL;
	char added[16];
	size_t count = 0;
	int i;

	(void)state;
	assert_null(ledger_next_claimed(ledger, KEY, "n", NULL));
	claim(ledger, "a", "n");
	claim(ledger, "b", "other");
	claim(ledger, "c", "n");
	claim(ledger, "d", "n");
	ledger_set_owner(ledger, KEY, "e", &alice);
	claim(ledger, "f", "n");
	docs_reopen(&docs, &ledger);
	/* Stores drop the claim under the iteration; records that come make the table grow. */
	while ((domain = ledger_next_claimed(ledger, KEY, "n", domain))) {
		assert_string_equal(domain, claimed[count++]);
		store(ledger, domain);
		for (i = 0; i < 20; i++) {
			(void)snprintf(added, sizeof(added), "x%zu.%d", count, i);
			ledger_share(ledger, KEY, domain, added);
		}
		assert_string_equal(domain, claimed[count - 1]);
	}
	assert_int_equal(count, ARRAY_LEN(claimed));
	assert_null(ledger_next_claimed(ledger, KEY, "n", NULL));
	assert_string_equal(ledger_next_claimed(ledger, KEY, "other", NULL), "b");
	docs_reopen(&docs, &ledger);
	assert_true(look(ledger, "f").complete && look(ledger, "x4.19").complete);
	assert_string_equal(look(ledger, "b").nonce, "other");
}

/* Left as it is, a claim is not found twice. */
static void test_next_claimed_unedited(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	claim(ledger, "a", "n");
	claim(ledger, "b", "n");
	assert_string_equal(ledger_next_claimed(ledger, KEY, "n", NULL), "a");
	claim(ledger, "a", "n");
	assert_string_equal(ledger_next_claimed(ledger, KEY, "n", "a"), "b");
	assert_null(ledger_next_claimed(ledger, KEY, "n", "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_counts_end),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_odd_owners),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_only_changed),
		cmocka_unit_test(test_next_claimed),
		cmocka_unit_test(test_next_claimed_unedited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
