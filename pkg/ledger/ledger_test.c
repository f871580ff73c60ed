/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger_test_docs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DATA "pkg/ledger/testdata/accounts/"
#define MAX  65536

#define FOUR "\"username\":\"u\",\"password\":\"p\",\"subdomain\":\"s\",\"fulldomain\":\"s.a\""
#define OWN(owners, keys)                                                                          \
	"{\"version\":1,\"owners\":{" owners "},\"keys\":{\"" KEY "\":{" keys "}}}"

/* ---- the public document: testdata has what Go reads, and what becomes of it ---- */

/* NULL when there is no such file. */
static char *read_file(const char *name, const char *ext, size_t *ret_len)
{
	CLEANUP(mem_freep) char *path = mem_printf(DATA "%s.%s", name, ext);
	char *text = mem_alloc(MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, MAX - 1);

	if (fd >= 0)
		(void)close(fd);
	if (len < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = (size_t)len;
	return text;
}

/* Without the newline at its end. */
static char *read_line(const char *name, const char *ext)
{
	size_t len;
	char *text = read_file(name, ext, &len);

	if (text && len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}

static void check_refused(const char *name, const struct docs *docs, const char *why)
{
	struct err err = {0};
	CLEANUP(ledger_freep) struct ledger *ledger = ledger_open(docs->values, docs->len, &err);

	assert_non_null(ledger);
	assert_int_equal(ledger_use(ledger, KEY, &err), -1);
	assert_int_equal(err.kind, ERR_INVALID);
	if (!strstr(err.msg, KEY " cannot be read as accounts: ") || !strstr(err.msg, why))
		fail_msg("%s: %s", name, err.msg);
}

static void check_stored(const char *name, struct docs *docs, const char *expected)
{
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(docs);
	const struct acmedns_account account = an_account();

	ledger_store(ledger, KEY, "new.example", HOST, &account);
	assert_int_equal(docs_write(docs, ledger), 2);
	if (strcmp(docs_text(docs, KEY), expected) != 0)
		fail_msg("%s:\n%s\ninstead of\n%s", name, docs_text(docs, KEY), expected);
	assert_true(ledger_size_bound(ledger) >= docs_size(docs));
	docs_reopen(docs, &ledger);
	assert_false(ledger_changed(ledger));
}

static void check_file(const char *name)
{
	size_t len = 0;
	CLEANUP(mem_freep) char *in = read_file(name, "in", &len);
	CLEANUP(mem_freep) char *out = read_line(name, "out");
	CLEANUP(mem_freep) char *error = read_line(name, "error");
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);

	assert_non_null(in);
	docs_set(&docs, KEY, in, len);
	if (error)
		check_refused(name, &docs, error);
	else if (out)
		check_stored(name, &docs, out);
	else
		fail_msg("%s: nothing is expected of it", name);
}

static void test_accounts(void **state)
{
	DIR *dir = opendir(DATA);
	struct dirent *file;
	int count = 0;

	(void)state;
	assert_non_null(dir);
	while ((file = readdir(dir))) {
		char *dot = strrchr(file->d_name, '.');

		if (!dot || strcmp(dot, ".in") != 0)
			continue;
		*dot = '\0';
		check_file(file->d_name);
		count++;
	}
	(void)closedir(dir);
	assert_true(count > 40);
}

static void test_absent_accounts(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_value *values;

	(void)state;
	assert_false(ledger_is_ours(ledger));
	assert_false(ledger_has_account(ledger, KEY));
	assert_false(ledger_changed(ledger));
	assert_int_equal(ledger_write(ledger, &values), 0);
	ledger_values_free(values, 0);
	ledger_free(NULL);
}

static void test_key_of_ours(void **state)
{
	static const char *const owns[] = {NULL, OWN("", "")};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(owns); i++) {
		CLEANUP(docs_donep) struct docs docs = docs_of(owns[i], NULL);
		CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
		struct err err = {0};

		assert_int_equal(ledger_is_ours(ledger), owns[i] != NULL);
		assert_int_equal(ledger_use(ledger, KEY, &err), 0);
		assert_int_equal(ledger_use(ledger, LEDGER_OWN_KEY, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

/* What Go would find in an entry, and whether that is a whole account. */
static void test_fields(void **state)
{
	static const struct {
		const char *entry;
		bool complete;
		const char *fulldomain;
	} cases[] = {
		{"{" FOUR "}", true, "s.a"},
		{"{" FOUR ",\"allowfrom\":1,\"x\":[]}", true, "s.a"},
		{"{}", false, ""},
		{"null", false, ""},
		{"{\"username\":\"u\",\"password\":\"p\",\"subdomain\":\"s\"}", false, ""},
		{"{" FOUR ",\"Fulldomain\":\"last\"}", true, "last"},
		{"{\"FULLDOMAIN\":\"first\"," FOUR "}", true, "s.a"},
		{"{" FOUR ",\"Fulldomain\":null}", true, "s.a"},
		{"{" FOUR ",\"Fulldomain\":\"\"}", false, ""},
		{"{" FOUR ",\"USERNAME\":\"\"}", false, "s.a"},
		{"{\"u\xc5\xbf"
		 "erName\":\"u\",\"PA\xc5\xbf\xc5\xbfword\":\"p\",\"\xc5\xbfubdomain\":\"s\","
		 "\"fullDomain\":\"f\"}",
		 true, "f"},
		{"{\"username\":\"u\",\"password\":\"p\",\"\xc5ubdomain\":\"s\",\"fulldomain\":"
		 "\"f\"}",
		 false, NULL},
		{"{" FOUR ",\"fulldomain \":\"x\",\"fulldomainx\":\"y\",\"fulldomai\":\"z\"}", true,
		 "s.a"},
		{"{" FOUR ",\"Fulldomain\":\"a\\u0000b\"}", false, ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep) char *text = mem_printf("{\"d\":%s}", cases[i].entry);
		CLEANUP(docs_donep) struct docs docs = docs_of(NULL, text);
		struct ledger_entry entry;

		if (!cases[i].fulldomain) {
			check_refused(cases[i].entry, &docs, "UTF-8");
			continue;
		}
		CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
		ledger_look(ledger, KEY, "d", &entry);
		if (entry.complete != cases[i].complete)
			fail_msg("%s", cases[i].entry);
		assert_string_equal(entry.fulldomain, cases[i].fulldomain);
		assert_int_equal(entry.present, strcmp(cases[i].entry, "null") != 0);
		assert_int_equal(ledger_has_account(ledger, KEY), cases[i].complete);
	}
}

static void test_has_account(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(NULL, "{\"a\":{},\"b\":null,\"c\":{" FOUR "},\"d\":{}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);

	(void)state;
	assert_true(ledger_has_account(ledger, KEY));
	assert_false(ledger_is_ours(ledger));
}

/* ---- our own document ---- */

static void test_look(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(
		OWN("\"u.1\":\"one\"",
		    "\"a\":{\"owner\":\"u.1\",\"host\":\"" HOST "\",\"origin\":\"registered\","
		    "\"uncertain\":2,\"lossTime\":1800000000},"
		    "\"b\":{\"owner\":\"u-2\",\"origin\":\"adopted\",\"host\":null,\"claim\":{"
		    "\"nonce\":\"n\",\"holder\":\"h\",\"owner\":\"u-2\",\"host\":\"https://b\","
		    "\"timeoutSeconds\":20,\"attempt\":3}},"
		    "\"c\":{\"claim\":{\"timeoutSeconds\":301}},\"d\":{\"claim\":null}"),
		"{\"a\":{" FOUR ",\"server_url\":\"https://x\"}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_entry e;

	(void)state;
	ledger_look(ledger, KEY, "a", &e);
	assert_true(e.present && e.complete);
	assert_string_equal(e.server_url, "https://x");
	assert_int_equal(e.origin, LEDGER_REGISTERED);
	assert_string_equal(e.owner, "u.1");
	assert_string_equal(e.owner_name, "one");
	assert_string_equal(e.host, HOST);
	assert_int_equal(e.uncertain, 2);
	assert_int_equal(e.loss_s, 1800000000);
	assert_string_equal(e.nonce, "");
	ledger_look(ledger, KEY, "b", &e);
	assert_false(e.present || e.complete);
	assert_int_equal(e.origin, LEDGER_ADOPTED);
	assert_string_equal(e.owner_name, "");
	assert_string_equal(e.host, "");
	assert_string_equal(e.nonce, "n");
	assert_int_equal(e.timeout_s, 20);
	assert_int_equal(e.attempt, 3);
	ledger_look(ledger, KEY, "c", &e);
	assert_int_equal(e.origin, LEDGER_NONE);
	assert_int_equal(e.timeout_s, 300);
	ledger_look(ledger, KEY, "nowhere", &e);
	assert_false(e.present);
	assert_int_equal(e.origin, LEDGER_NONE);
	assert_string_equal(e.owner, "");
	assert_int_equal(e.uncertain, 0);
	assert_int_equal(e.loss_s, -1);
	assert_int_equal(e.timeout_s, 1);
}

static void test_damaged(void **state)
{
	static const struct {
		const char *own;
		const char *why;
	} cases[] = {
		{"", "cannot be read"},
		{"{", "cannot be read"},
		{"{\"version\":1,\"version\":1,\"owners\":{},\"keys\":{}}", "duplicate"},
		{"null", "version"},
		{"[]", "version"},
		{"{}", "version"},
		{"{\"version\":\"1\",\"owners\":{},\"keys\":{}}", "version"},
		{"{\"version\":1.0,\"owners\":{},\"keys\":{}}", "version"},
		{"{\"version\":0,\"owners\":{},\"keys\":{}}", "version"},
		{"{\"version\":2,\"owners\":{},\"keys\":{}}", "version"},
		{"{\"version\":4294967297,\"owners\":{},\"keys\":{}}", "version"},
		{"{\"version\":1,\"keys\":{}}", "owners"},
		{"{\"version\":1,\"owners\":[],\"keys\":{}}", "owners"},
		{"{\"version\":1,\"owners\":{}}", "keys"},
		{"{\"version\":1,\"owners\":{},\"keys\":null}", "keys"},
		{OWN("\"u\":1", ""), "owner"},
		{OWN("\"u\":null", ""), "owner"},
		{"{\"version\":1,\"owners\":{},\"keys\":{\"k\":[]}}", "key"},
		{"{\"version\":1,\"owners\":{},\"keys\":{\"k\":null}}", "key"},
		{OWN("", "\"d.example\":1"), "d.example"},
		{OWN("", "\"d\":null"), "the record of d"},
		{OWN("", "\"<evil>\":[]"), "the record of a domain"},
		{OWN("", "\"d\":{\"owner\":1}"), "record"},
		{OWN("", "\"d\":{\"owner\":\"a\\u0000\"}"), "record"},
		{OWN("", "\"d\":{\"host\":{}}"), "record"},
		{OWN("", "\"d\":{\"origin\":true}"), "record"},
		{OWN("", "\"d\":{\"origin\":\"borrowed\"}"), "record"},
		{OWN("", "\"d\":{\"uncertain\":\"1\"}"), "record"},
		{OWN("", "\"d\":{\"uncertain\":-1}"), "record"},
		{OWN("", "\"d\":{\"uncertain\":1.5}"), "record"},
		{OWN("", "\"d\":{\"lossTime\":\"1\"}"), "record"},
		{OWN("", "\"d\":{\"claim\":\"x\"}"), "record"},
		{OWN("", "\"d\":{\"claim\":[]}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"nonce\":1}}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"holder\":1}}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"owner\":1}}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"host\":1}}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"timeoutSeconds\":\"9\"}}"), "record"},
		{OWN("", "\"d\":{\"claim\":{\"attempt\":-1}}"), "record"},
		{OWN("", "\"d\":{},\"e\":{\"owner\":[]}"), "the record of e"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(docs_donep) struct docs docs = docs_of(cases[i].own, NULL);
		struct err err = {0};
		CLEANUP(ledger_freep)
		struct ledger *ledger = ledger_open(docs.values, docs.len, &err);

		if (ledger || err.kind != ERR_INVALID || !strstr(err.msg, LEDGER_OWN_KEY) ||
		    !strstr(err.msg, cases[i].why))
			fail_msg("%s: %s", cases[i].own, ledger ? "taken" : err.msg);
	}
}

/* An array of so many values; the caller frees. */
static char *many(size_t values)
{
	char *text = mem_zalloc(2 * values + 2);
	size_t i;

	for (i = 0; i < 2 * values; i++)
		text[i] = i % 2 ? '0' : ',';
	text[0] = '[';
	text[2 * values] = ']';
	return text;
}

/* Under whatever keys they are; text that is no JSON may have as many commas as it likes. */
static void test_too_many_values(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(mem_freep) char *half = many(LEDGER_MAX_VALUES / 2);
	CLEANUP(mem_freep) char *table = many(LEDGER_MAX_VALUES);
	struct err err = {0};
	struct ledger *ledger;

	(void)state;
	table[0] = '0';
	docs_set(&docs, "a", half, strlen(half));
	docs_set(&docs, "b", half, strlen(half));
	docs_set(&docs, "c", table, strlen(table));
	ledger = ledger_open(docs.values, docs.len, &err);
	assert_non_null(ledger);
	ledger_free(ledger);
	docs_set(&docs, "d", "{}", 2);
	assert_null(ledger_open(docs.values, docs.len, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_string_equal(err.msg, "the Secret holds more than 32768 JSON values");
}

static void test_credentials(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(NULL, "{\"all\":{" FOUR ",\"AllowFrom\":[\"192.0.2.0/24\"]},"
					 "\"free\":{" FOUR ",\"allowfrom\":[]},"
					 "\"odd\":{\"Password\":\"p\",\"allowfrom\":\"x\"}}");
	CLEANUP(ledger_freep) struct ledger *ledger = docs_open(&docs);
	struct ledger_credentials credentials;

	(void)state;
	ledger_look_credentials(ledger, KEY, "all", &credentials);
	assert_string_equal(credentials.username, "u");
	assert_string_equal(credentials.password, "p");
	assert_string_equal(credentials.subdomain, "s");
	assert_true(credentials.limited);
	ledger_look_credentials(ledger, KEY, "free", &credentials);
	assert_false(credentials.limited);
	ledger_look_credentials(ledger, KEY, "odd", &credentials);
	assert_string_equal(credentials.username, "");
	assert_string_equal(credentials.password, "p");
	assert_false(credentials.limited);
	ledger_look_credentials(ledger, KEY, "none", &credentials);
	assert_string_equal(credentials.password, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts),    cmocka_unit_test(test_absent_accounts),
		cmocka_unit_test(test_key_of_ours), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_has_account), cmocka_unit_test(test_look),
		cmocka_unit_test(test_damaged),	    cmocka_unit_test(test_too_many_values),
		cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
