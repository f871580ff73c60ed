/* SPDX-License-Identifier: Apache-2.0 */

/* Rotation and changed hosts, step by step: what plan() decides, and what the documents say after
 * each edit. */

#include "plan/plan_test_steps.h"

static void test_at_the_same_host(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	expect(&s, PLAN_WAIT);
	ask(&s, "1");
	(void)edit(&s);
	assert_true(s.memory.works[0].rotates);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'next':" NEW(HOST)));
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" HOST "':" OLD(HOST) "}"));
	publish(&s, "Ready", "", "1");
	assert_string_equal(api_record_value(&s.object->status, "a.test"), NAME2);
	expect(&s, PLAN_WAIT);

	ask(&s, ""); /* and once taken away, and put back, it is still done */
	expect(&s, PLAN_WAIT);
	ask(&s, "1");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* The old accounts serve on, and status says what goes on. */
static void test_a_server_that_refuses(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_UNAVAILABLE);
	publish(&s, "Ready", "ProgressingWithRetry", "");
	assert_string_equal(s.object->status.conditions[API_RECONCILING].message, "disabled");
	assert_string_equal(api_record_value(&s.object->status, "a.test"), FULL);
	ask(&s, ""); /* called off */
	publish(&s, "Ready", "", "");
	scene_done(&s);
}

static void test_called_off_before_the_post(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	ask(&s, "1");
	(void)edit(&s);
	ask(&s, "");
	expect(&s, PLAN_EXPIRE);
	plan_fold_expired(&s.memory, 0);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* The account comes, and waits until a rotation is asked for again. */
static void test_called_off_during_the_post(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	ask(&s, "");
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'next':" NEW(HOST)));
	expect(&s, PLAN_WAIT);
	ask(&s, "2");
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'2','retired':{'" HOST "':" OLD(HOST) "}"));
	scene_done(&s);
}

/* A new value during a rotation asks for nothing more. */
static void test_asked_again_during_the_post(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	ask(&s, "2");
	(void)edit(&s);
	(void)edit(&s);
	publish(&s, "Ready", "", "2");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_changed_host(void **state)
{
	struct scene s;

	(void)state;
	start(&s, OTHER, "");
	publish(&s, "HostChanged", "", "");
	ask(&s, "1");
	(void)edit(&s);
	assert_string_equal(s.memory.works[0].host, HOST);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" OTHER "':" OLD(OTHER) "}"));
	publish(&s, "Ready", "", "1");

	intern_put(s.object->spec.host); /* and back again */
	s.object->spec.host = intern_get(OTHER);
	publish(&s, "HostChanged", "", "1");
	ask(&s, "2");
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(OTHER) "}",
	      RECORD(OTHER, ",'rotate':'2','retired':{'" HOST "':" NEW(HOST) "}"));
	publish(&s, "Ready", "", "2");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* Nobody has taken it, nor can anybody: it retires with the rotation. */
static void test_an_entry_of_another_host(void **state)
{
	struct scene s;

	(void)state;
	start(&s, OTHER, "");
	set_secret(&s, "{'a.test':" OLD(OTHER) "}", "{}");
	publish(&s, "HostChanged", "", "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" OTHER "':" OLD(OTHER) "}"));
	scene_done(&s);
}

static void test_same_server(void **state)
{
	static const char *const wrong[] = {
		"",
		HOST,
		" ",
		OTHER " ",
		OTHER " " OTHER,
		HOST " " OTHER,
		OTHER "  " HOST,
		"x " HOST,
		OTHER " " HOST " " HOST,
	};
	char too_long[URL_LEN + 10];
	struct scene s;
	size_t i;

	(void)state;
	start(&s, OTHER, "");
	publish(&s, "HostChanged", "", "");
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		s.view.secret.same_server = wrong[i];
		expect(&s, PLAN_WAIT);
	}
	memset(too_long, 'x', sizeof(too_long));
	too_long[URL_LEN] = ' ';
	too_long[sizeof(too_long) - 1] = '\0';
	s.view.secret.same_server = too_long;
	expect(&s, PLAN_WAIT);
	s.view.secret.same_server = "HTTPS://OTHER.test:443/ " HOST;
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ""));
	publish(&s, "Ready", "", "");
	scene_done(&s);
}

/* An account that nobody has taken yet, too: its entry says where it was. */
static void test_same_server_adopted(void **state)
{
	struct scene s;

	(void)state;
	start(&s, OTHER, "");
	set_secret(&s, "{'a.test':" OLD(OTHER) "}", "{}");
	publish(&s, "HostChanged", "", "");
	s.view.secret.same_server = OTHER " " HOST;
	(void)edit(&s);
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}",
	      "{'owner':'uid-1','origin':'adopted','host':'" HOST "'}");
	publish(&s, "Ready", "", "");
	scene_done(&s);
}

/* What was asked for before there was an account was not about it. */
static void test_asked_before_there_was_one(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	ask(&s, "1");
	(void)edit(&s);
	assert_false(s.memory.works[0].rotates);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'rotate':'1'"));
	publish(&s, "Ready", "", "1");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_asked_when_it_is_adopted(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, "{'a.test':" OLD(HOST) "}", "{}");
	ask(&s, "1");
	(void)edit(&s);
	publish(&s, "Ready", "", "1");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* Nor is it when the account is stored while the cache does not show the object. */
static void test_asked_before_and_stored_unseen(void **state)
{
	const struct api_registration *object;
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, "{}", "{}");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	object = TAKE(s.view.object);
	(void)edit(&s);
	s.view.object = object;
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'rotate':'1'"));
	publish(&s, "Ready", "", "1");
	scene_done(&s);
}

/* An account that vanished is made anew when the user asks. */
static void test_a_missing_account(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, "{}", "{'a.test':" RECORD(HOST, "") "}");
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'lossTime':1800000000,'rotate':'1'"));
	scene_done(&s);
}

/* The account that waits was made for the very rotation that is asked for. */
static void test_a_missing_account_and_one_that_waits(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	ask(&s, "1");
	set_secret(&s, "{}", "{'a.test':" RECORD(HOST, ",'next':" NEW(HOST)) "}");
	plan_fold_read(&s.memory, &s.view);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'rotate':'1'"));
	publish(&s, "Ready", "", "1");
	scene_done(&s);
}

/* The claim was taken over by somebody else in the meantime: there is no place for the account. */
static void test_another_rotates_it(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	set_secret(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, ",'rotate':'1'") "}");
	(void)edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'rotate':'1','uncertain':1"));
	scene_done(&s);

	start(&s, HOST, ""); /* and is not done yet */
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	set_secret(&s, "{'a.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, ",'claim':{'nonce':'n-9','rotates':true}") "}");
	assert_int_equal(edit(&s), 1);
	scene_done(&s);
}

static void test_rotation_is_needed(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, ",'allowFrom':['10.0.0.0/8']");
	publish(&s, "RotationNeeded", "", "");
	scene_done(&s);

	start(&s, HOST, SHARED);
	set_object(&s, AB, SHARED, VISITED);
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" NEW(HOST) "}",
		   "{'a.test':" RECORD(HOST, "") ",'b.test':" RECORD(HOST, "") "}");
	publish(&s, "RotationNeeded", "", "");
	set_object(&s, AB, "", VISITED);
	publish(&s, "Ready", "", "");
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, "") ",'b.test':" RECORD(HOST, "") "}");
	publish(&s, "RotationNeeded", "", "");
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(
			   HOST, "") ",'b.test':{'owner':'uid-1','origin':'adopted','host':'" HOST
				     "'}}");
	publish(&s, "Ready", "", "");
	scene_done(&s);
}

/* Adopted by one that wrote down no host: it counts as at ours. */
static void test_an_account_of_no_host(void **state)
{
	static const char accounts[] =
		"{'a.test':{'username':'u','password':'p','subdomain':'s','fulldomain':'" FULL
		"'}}";
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, accounts,
		   "{'a.test':{'owner':'uid-1','origin':'adopted','next':" NEW(HOST) "}}");
	publish(&s, "Ready", "", "");
	ask(&s, "1");
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" HOST
			   "':{'username':'u','password':'p','subdomain':'s','fulldomain':'" FULL
			   "','server_url':'" HOST "'}}"));
	scene_done(&s);
}

static void test_an_incomplete_entry_is_not_replaced(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, "{'a.test':{}}", "{'a.test':" RECORD(HOST, "") "}");
	ask(&s, "1");
	publish(&s, "AccountIncomplete", "", "");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_no_slot_yet(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	s.view.host.slots = 0;
	ask(&s, "1");
	publish(&s, "Ready", "Progressing", "");
	scene_done(&s);
}

static void test_the_new_host_refuses(void **state)
{
	struct scene s;

	(void)state;
	start(&s, OTHER, "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_UNAVAILABLE);
	publish(&s, "RegistrationUnavailable", "ProgressingWithRetry", "");
	scene_done(&s);
}

/* The write went through, and nobody told us. */
static void test_the_answer_to_the_store_is_lost(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	set_secret(&s, "{'a.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, ",'next':" NEW(HOST)) "}");
	assert_int_equal(edit(&s), 0);
	assert_int_equal(s.memory.works[0].state, PLAN_WORK_NONE);
	scene_done(&s);
}

/* One claim for the set, one account. */
static void test_shared(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_object(&s, AB, SHARED, VISITED);
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, "") ",'b.test':" RECORD(HOST, "") "}");
	ask(&s, "1");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	(void)edit(&s);
	publish(&s, "Ready", "", "1");
	assert_string_equal(api_record_value(&s.object->status, "a.test"), NAME2);
	assert_string_equal(api_record_value(&s.object->status, "b.test"), NAME2);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void expect_accounts(const struct scene *s, const char *accounts)
{
	CLEANUP(jv_freep) json_t *want = parse(accounts);
	CLEANUP(jv_freep) json_t *is = parse(s->values[0].data);

	if (!json_equal(is, want))
		fail_msg("%s", s->values[0].data);
}

#define ABC_SHARED(host)                                                                           \
	"{'a.test':" ENTRY("new", NAME2, host) ",'b.test':" ENTRY(                                 \
		"new", NAME2, host) ",'c.test':" ENTRY("new", NAME2, host) "}"

/* A domain that comes to the set while its next account waits has that account, too. */
static void test_shared_and_another_domain(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_object(&s, "['a.test','b.test','c.test']", SHARED, VISITED);
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, ",'next':" NEW(HOST)) ",'b.test':" RECORD(
			   HOST, ",'next':" NEW(HOST)) "}");
	ask(&s, "1");
	(void)edit(&s);
	assert_int_equal(s.memory.works[0].state, PLAN_WORK_NONE);
	expect_accounts(&s, ABC_SHARED(HOST));
	publish(&s, "TooManyNames", "", "1");
	scene_done(&s);
}

/* So has one that comes while the account moves to another address. */
static void test_shared_at_the_same_server(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_object(&s, "['a.test','b.test','c.test']", SHARED, VISITED);
	set_secret(&s, "{'a.test':" NEW(OTHER) ",'b.test':" NEW(OTHER) "}",
		   "{'a.test':" RECORD(OTHER, "") ",'b.test':" RECORD(OTHER, "") "}");
	s.view.secret.same_server = OTHER " " HOST;
	(void)edit(&s);
	assert_int_equal(s.memory.works[0].state, PLAN_WORK_NONE);
	expect_accounts(&s, ABC_SHARED(HOST));
	publish(&s, "TooManyNames", "", "");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_the_same_host),
		cmocka_unit_test(test_a_server_that_refuses),
		cmocka_unit_test(test_called_off_before_the_post),
		cmocka_unit_test(test_called_off_during_the_post),
		cmocka_unit_test(test_asked_again_during_the_post),
		cmocka_unit_test(test_changed_host),
		cmocka_unit_test(test_an_entry_of_another_host),
		cmocka_unit_test(test_same_server),
		cmocka_unit_test(test_same_server_adopted),
		cmocka_unit_test(test_asked_before_there_was_one),
		cmocka_unit_test(test_asked_before_and_stored_unseen),
		cmocka_unit_test(test_asked_when_it_is_adopted),
		cmocka_unit_test(test_a_missing_account),
		cmocka_unit_test(test_a_missing_account_and_one_that_waits),
		cmocka_unit_test(test_another_rotates_it),
		cmocka_unit_test(test_rotation_is_needed),
		cmocka_unit_test(test_an_account_of_no_host),
		cmocka_unit_test(test_an_incomplete_entry_is_not_replaced),
		cmocka_unit_test(test_no_slot_yet),
		cmocka_unit_test(test_the_new_host_refuses),
		cmocka_unit_test(test_the_answer_to_the_store_is_lost),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_shared_and_another_domain),
		cmocka_unit_test(test_shared_at_the_same_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
