/* SPDX-License-Identifier: Apache-2.0 */

/* Labels and annotations of the Secret, and what our document remembers of them. */

#include "ledger/ledger_test_docs.h"

#define OWN(template)                                                                              \
	"{\"version\":1,\"owners\":{\"u1\":\"one\"},\"keys\":{},\"later\":[1],"                    \
	"\"template\":" template "}"
#define TEAM "{\"labels\":{\"team\":{\"owner\":\"u1\",\"value\":\"a\",\"later\":1}}}"

static const struct ledger_owner one = {.uid = "u1", .name = "one"};
static const struct ledger_owner two = {.uid = "u2", .name = "two"};

static json_t *parse(const char *text)
{
	struct err err = {0};
	json_t *doc = jv_parse(text, strlen(text), &err);

	assert_non_null(doc);
	return doc;
}

/* metadata: NULL: the Secret is absent. */
static struct ledger *open_with(const struct docs *docs, const char *metadata)
{
	struct ledger *ledger = docs_open(docs);
	CLEANUP(jv_freep) json_t *json = metadata ? parse(metadata) : NULL;

	ledger_set_metadata(ledger, json);
	return ledger;
}

static void assert_patch(const struct ledger *ledger, const char *expected)
{
	CLEANUP(jv_freep) json_t *metadata = json_object();
	CLEANUP(mem_freep) char *text = NULL;
	size_t len;

	ledger_write_tags(ledger, metadata);
	text = jv_text(metadata, &len);
	assert_json(text, expected);
}

static bool keep_named(const void *ctx, bool annotation, const char *key)
{
	return !annotation && strcmp(key, ctx) == 0;
}

static void test_put(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(NULL, NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = open_with(&docs, NULL);
	struct ledger_tag tag;

	(void)state;
	assert_false(ledger_is_created(ledger));
	assert_patch(ledger, "{}");
	ledger_put_tag(ledger, false, "team", "a", &one);
	ledger_put_tag(ledger, true, "note", "x", &one);
	ledger_look_tag(ledger, false, "team", &tag);
	assert_string_equal(tag.value, "a");
	assert_string_equal(tag.put, "a");
	assert_string_equal(tag.owner, "u1");
	assert_string_equal(tag.owner_name, "one");
	assert_patch(ledger, "{\"labels\":{\"team\":\"a\"},\"annotations\":{\"note\":\"x\"}}");
	(void)docs_write(&docs, ledger);
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    "{\"version\":1,\"owners\":{\"u1\":\"one\"},\"keys\":{},\"template\":{"
		    "\"labels\":{\"team\":{\"owner\":\"u1\",\"value\":\"a\"}},"
		    "\"annotations\":{\"note\":{\"owner\":\"u1\",\"value\":\"x\"}}}}");
}

static void test_put_again(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(OWN(TEAM), NULL);
	CLEANUP(ledger_freep)
	struct ledger *there = open_with(&docs, "{\"labels\":{\"team\":\"a\"}}");
	CLEANUP(ledger_freep) struct ledger *removed = open_with(&docs, "{}");

	(void)state;
	ledger_put_tag(there, false, "team", "a", &one);
	assert_false(ledger_changed(there));
	/* Our document is as it was, and yet there is something to write. */
	ledger_put_tag(removed, false, "team", "a", &one);
	assert_true(ledger_changed(removed));
	assert_patch(removed, "{\"labels\":{\"team\":\"a\"}}");
}

static void test_taken_over(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(OWN(TEAM), NULL);
	CLEANUP(ledger_freep)
	struct ledger *ledger = open_with(&docs, "{\"labels\":{\"team\":\"a\"}}");

	(void)state;
	ledger_put_tag(ledger, false, "team", "b", &two);
	assert_patch(ledger, "{\"labels\":{\"team\":\"b\"}}");
	assert_int_equal(ledger_count_tags(ledger, "u1", keep_named, "-"), 0);
	assert_int_equal(ledger_count_tags(ledger, "u2", keep_named, "-"), 1);
	assert_int_equal(ledger_count_tags(ledger, "u2", keep_named, "team"), 0);
	(void)docs_write(&docs, ledger);
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    "{\"version\":1,\"owners\":{\"u2\":\"two\"},\"keys\":{},\"later\":[1],"
		    "\"template\":{\"labels\":{\"team\":{\"owner\":\"u2\",\"value\":\"b\","
		    "\"later\":1}}}}");
}

/* null is as good as absent. */
static void test_null(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs =
		docs_of(OWN("{\"labels\":{\"team\":{\"owner\":null,\"value\":null}}}"), NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = open_with(&docs, NULL);

	(void)state;
	ledger_put_tag(ledger, false, "team", "a", &one);
	(void)docs_write(&docs, ledger);
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    OWN("{\"labels\":{\"team\":{\"owner\":\"u1\",\"value\":\"a\"}}}"));
}

/* It is removed only if it is as we put it. */
static void test_dropped(void **state)
{
	static const struct {
		const char *metadata;
		const char *patch;
	} cases[] = {
		{"{\"labels\":{\"team\":\"a\"}}", "{\"labels\":{\"team\":null}}"},
		{"{\"labels\":{\"team\":\"x\"}}", "{}"},
		{"{}", "{}"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(docs_donep) struct docs docs = docs_of(OWN(TEAM), NULL);
		CLEANUP(ledger_freep) struct ledger *ledger = open_with(&docs, cases[i].metadata);

		assert_int_equal(ledger_drop_tags(ledger, "u1", keep_named, "-"), 1);
		assert_patch(ledger, cases[i].patch);
		(void)docs_write(&docs, ledger);
		assert_json(docs_text(&docs, LEDGER_OWN_KEY),
			    "{\"version\":1,\"owners\":{},\"keys\":{},\"later\":[1]}");
	}
}

static void test_dropped_beside_others(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs =
		docs_of(OWN("{\"labels\":{\"a\":{\"owner\":\"u1\",\"value\":\"1\"},"
			    "\"b\":{\"owner\":\"u1\",\"value\":\"2\"}},\"annotations\":{\"b\":{"
			    "\"owner\":\"u1\",\"value\":\"3\"}}}"),
			NULL);
	CLEANUP(ledger_freep) struct ledger *ledger = open_with(&docs, "{}");

	(void)state;
	assert_int_equal(ledger_drop_tags(ledger, "u2", keep_named, "-"), 0);
	assert_false(ledger_changed(ledger));
	assert_int_equal(ledger_count_tags(ledger, "u1", keep_named, "b"), 2);
	assert_int_equal(ledger_drop_tags(ledger, "u1", keep_named, "b"), 2);
	(void)docs_write(&docs, ledger);
	assert_json(docs_text(&docs, LEDGER_OWN_KEY),
		    OWN("{\"labels\":{\"b\":{\"owner\":\"u1\",\"value\":\"2\"}}}"));
}

/* The API server counts annotations by themselves, and our document with the Secret. */
static void test_room(void **state)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(OWN("{}"), NULL);
	CLEANUP(mem_freep) char *text = mem_alloc(LEDGER_MAX_SECRET + 1);
	CLEANUP(mem_freep) char *metadata = NULL;
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;

	(void)state;
	memset(text, 'x', LEDGER_MAX_SECRET);
	text[LEDGER_MAX_SECRET] = '\0';
	metadata = mem_printf("{\"annotations\":{\"n\":\"%.*s\"}}", 256 * 1024 - 3, text);
	ledger = open_with(&docs, metadata);
	assert_true(ledger_tag_fits(ledger, true, "k", "v", &one));
	assert_false(ledger_tag_fits(ledger, true, "k", "vw", &one));
	assert_true(ledger_tag_fits(ledger, false, "k", "vw", &one));
	assert_false(ledger_tag_fits(ledger, false, "k", text, &one));
	ledger_put_tag(ledger, true, "k", "v", &one);
	assert_false(ledger_tag_fits(ledger, true, "l", "", &one));
}

/* What it replaces makes room for it, and so does what was taken away. */
static void test_room_of_another(void **state)
{
	CLEANUP(docs_donep)
	struct docs docs = docs_of(OWN("{\"annotations\":{\"k\":{\"owner\":\"u1\",\"value\":"
				       "\"v\"}}}"),
				   NULL);
	CLEANUP(mem_freep) char *text = mem_zalloc(256 * 1024);
	CLEANUP(mem_freep) char *metadata = NULL;
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;

	(void)state;
	memset(text, 'x', 256 * 1024 - 3);
	metadata = mem_printf("{\"annotations\":{\"k\":\"v\",\"n\":\"%s\"}}", text);
	ledger = open_with(&docs, metadata);
	assert_true(ledger_tag_fits(ledger, true, "k", "w", &one));
	assert_false(ledger_tag_fits(ledger, true, "k", "ww", &one));
	assert_false(ledger_tag_fits(ledger, true, "l", "w", &one));
	ledger_put_tag(ledger, true, "k", "", &one);
	assert_true(ledger_tag_fits(ledger, true, "l", "", &one));
	assert_false(ledger_tag_fits(ledger, true, "l", "w", &one));
	assert_true(ledger_tag_fits(ledger, true, "k", "w", &one));
	assert_int_equal(ledger_drop_tags(ledger, "u1", keep_named, "-"), 1);
	assert_true(ledger_tag_fits(ledger, true, "l", "w", &one));
	assert_false(ledger_tag_fits(ledger, true, "l", "ww", &one));
}

static bool fits_beside(size_t count)
{
	CLEANUP(docs_donep) struct docs docs = docs_of(OWN("{}"), NULL);
	CLEANUP(mem_freep) char *text = mem_alloc(count);
	CLEANUP(ledger_freep) struct ledger *ledger = NULL;

	memset(text, ',', count);
	text[0] = '[';
	docs_set(&docs, "other", text, count);
	ledger = docs_open(&docs);
	return ledger_tag_fits(ledger, false, "k", "v", &one);
}

/* With more of them the Secret is not read any more. */
static void test_values(void **state)
{
	(void)state;
	assert_true(fits_beside(LEDGER_MAX_VALUES - 64));
	assert_false(fits_beside(LEDGER_MAX_VALUES - 16));
}

static void test_damaged(void **state)
{
	static const char *const cases[] = {
		OWN("[]"),
		OWN("null"),
		OWN("{\"labels\":[]}"),
		OWN("{\"labels\":null}"),
		OWN("{\"labels\":{\"a\":1}}"),
		OWN("{\"labels\":{\"a\":{\"owner\":1}}}"),
		OWN("{\"annotations\":{\"a\":{\"value\":{}}}}"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(docs_donep) struct docs docs = docs_of(cases[i], NULL);
		struct err err;

		assert_null(ledger_open(docs.values, docs.len, &err));
		assert_non_null(strstr(err.msg, "template"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),	   cmocka_unit_test(test_put_again),
		cmocka_unit_test(test_taken_over), cmocka_unit_test(test_null),
		cmocka_unit_test(test_dropped),	   cmocka_unit_test(test_dropped_beside_others),
		cmocka_unit_test(test_room),	   cmocka_unit_test(test_room_of_another),
		cmocka_unit_test(test_values),	   cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
