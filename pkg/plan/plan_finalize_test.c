/* SPDX-License-Identifier: Apache-2.0 */

/* deletionPolicy: the finalizer, and what goes with the object. */

#include "plan/plan_test_steps.h"

#define DELETE	",'deletionPolicy':'Delete'"
#define ADOPTED "{'owner':'uid-1','origin':'adopted','host':'" HOST "'}"

/* An object with a finalizer, and an account. */
static void start_with(struct scene *s, const char *spec)
{
	start(s, HOST, spec);
	add_finalizer(s, API_FINALIZER);
}

/* The same on its way out. */
static void leave(struct scene *s, const char *spec)
{
	start_with(s, spec);
	s->object->deleting = true;
}

static void expect_finalizer(struct scene *s, bool add)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_FINALIZER);
	assert_int_equal(action.add, add);
	plan_action_done(&action);
}

/* It is told why, once, and then the object may go. */
static void expect_leftover(struct scene *s, const char *why)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_EMIT_EVENT);
	if (!action.leftover || !strstr(action.leftover, why))
		fail_msg("%s instead of %s", action.leftover, why);
	plan_action_done(&action);
	plan_fold_leftover(&s->memory);
	expect_finalizer(s, false);
}

static void test_it_comes_before_the_first_claim(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", DELETE, VISITED);
	unread(&s);
	expect_finalizer(&s, true);
	add_finalizer(&s, API_FINALIZER);
	expect(&s, PLAN_READ_SECRET);
	scene_done(&s);
}

static void test_it_goes_with_the_policy(void **state)
{
	struct scene s;

	(void)state;
	start_with(&s, "");
	expect_finalizer(&s, false);
	s.object->deleting = true;
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void test_what_is_not_ours_to_let_go(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	s.view.leading = false;
	expect(&s, PLAN_WAIT);
	scene_done(&s);

	start(&s, HOST, DELETE); /* another finalizer holds it */
	s.object->deleting = true;
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_entries_go_with_the_object(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{'a.test':" OLD(HOST) ",'b.test':" OLD(HOST) ",'c.test':" OLD(HOST) "}",
		   "{'a.test':" RECORD(HOST, ",'next':" NEW(HOST)) ",'b.test':" ADOPTED
								   ",'c.test':" REGISTERED_OF(
									   "uid-2") "}");
	s.view.secret.fresh = false;
	expect(&s, PLAN_READ_SECRET);
	s.view.secret.fresh = true;
	assert_int_equal(edit(&s), 0);
	check_all(&s, "{'b.test':" OLD(HOST) ",'c.test':" OLD(HOST) "}",
		  "{'c.test':" REGISTERED_OF("uid-2") "}");
	assert_null(strstr(s.values[1].data, "uid-1"));
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void test_no_secret_holds_nothing(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	unread(&s);
	expect(&s, PLAN_READ_SECRET);
	absent(&s);
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void denied(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_DENIED, 1, NOW + 700);
}

static void write_denied(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_DENIED, 1, NOW + 700);
}

static void write_too_large(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_TOO_LARGE, 1, NOW + 700);
}

static void write_terminating(struct scene *s)
{
	s->memory.write = failure(API_REASON_NAMESPACE_TERMINATING, 1, NOW + 700);
}

static void write_unanswered(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_UNAVAILABLE, 8, NOW + 700);
}

static void test_a_secret_that_cannot_be_used_holds_nothing(void **state)
{
	static const struct {
		given_fn *given;
		const char *why;
	} troubles[] = {
		{unparsable, "cannot be read as one"},
		{not_opaque, "cannot be read as one"},
		{immutable, "immutable"},
		{denied, "denies access"},
		{write_denied, "denies access"},
		{write_too_large, "1 MiB"},
		{write_terminating, "namespace is being terminated"},
		{write_unanswered, "does not answer"},
	};
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(troubles); i++) {
		leave(&s, DELETE);
		troubles[i].given(&s);
		expect_leftover(&s, troubles[i].why);
		scene_done(&s);

		leave(&s, DELETE); /* not even by an account in hand */
		troubles[i].given(&s);
		in_hand(&s);
		expect_leftover(&s, troubles[i].why);
		scene_done(&s);
	}
}

/* For minutes: until then the finalizer could not be taken off, either, as a rule. */
static void test_an_api_server_that_does_not_answer_is_asked_again(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	s.view.secret.fresh = false;
	s.memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 7, NOW + 700);
	expect(&s, PLAN_WAIT);
	s.memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 8, NOW); /* it is tried first */
	expect(&s, PLAN_READ_SECRET);
	s.memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 9, NOW + 700);
	expect_leftover(&s, "does not answer");
	scene_done(&s);
}

static void test_posts_end_first(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	(void)add_work(&s, PLAN_WORK_POSTING, "a.test", "n-1");
	expect(&s, PLAN_WAIT);
	s.memory.works[0].state = PLAN_WORK_IN_HAND;
	s.memory.works[0].account = (struct acmedns_account){
		.username = "new", .password = "p", .subdomain = "new", .fulldomain = NAME2};
	(void)add_work(&s, PLAN_WORK_POSTING, "b.test", "n-2");
	assert_int_equal(edit(&s), 0);
	check_all(&s, "{'a.test':" NEW(HOST) "}", "{'a.test':" RECORD(HOST, "") "}");
	expect(&s, PLAN_WAIT);
	s.memory.works[1].state = PLAN_WORK_NONE;
	(void)edit(&s);
	check_all(&s, "{}", "{}");
	expect_finalizer(&s, false);
	scene_done(&s);
}

/* It is stored with the same write that removes what is there. */
/* The policy was changed before the object was deleted, and the finalizer is still there. */
static void test_an_account_in_hand_is_retained(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, "");
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	in_hand(&s);
	(void)edit(&s);
	assert_non_null(strstr(s.values[0].data, "hand"));
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void test_an_account_in_hand_comes_and_goes(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	in_hand(&s);
	s.memory.write = failure(API_REASON_SECRET_UNAVAILABLE, 1, NOW + 700);
	expect(&s, PLAN_WAIT);
	s.view.now_ms = NOW + 700;
	assert_int_equal(edit(&s), 0);
	check_all(&s, "{}", "{}");
	scene_done(&s);
}

static void test_a_claim_of_another_process_ends_first(void **state)
{
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	expect(&s, PLAN_READ_SECRET);
	watched(&s);
	expect(&s, PLAN_WAIT);
	s.view.now_ms = NOW + 300;
	assert_int_equal(edit(&s), 1);
	check_all(&s, "{}", "{}");
	scene_done(&s);
}

/* The Secret may have changed since the edit was decided, or the object, since another one was. */
static void test_an_edit_decided_before_waits_for_the_claim_too(void **state)
{
	CLEANUP(mem_freep) struct plan_edit *made = mem_zalloc(sizeof(*made));
	struct scene s;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	watched(&s);
	plan_edit(&s.view, &s.memory, s.ledger, made);
	assert_int_equal(made->uncertain, 0);
	assert_false(ledger_changed(s.ledger));
	scene_done(&s);
}

static void test_a_claim_without_a_post_counts_nothing(void **state)
{
	struct scene s;
	size_t i;

	(void)state;
	leave(&s, DELETE);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	for (i = 0; i < PLAN_SPENT; i++)
		(void)snprintf(s.memory.spent[i], PLAN_NONCE_LEN, "n-%zu", i + 1);
	assert_int_equal(edit(&s), 0);
	check_all(&s, "{}", "{}");
	scene_done(&s);
}

static void test_domains_taken_from_the_spec(void **state)
{
	static const char accounts[] = "{'a.test':" OLD(HOST) ",'b.test':" NEW(HOST) "}";
	static const char records[] =
		"{'a.test':" RECORD(HOST, "") ",'b.test':" RECORD(HOST, "") "}";
	struct scene s;

	(void)state;
	start_with(&s, DELETE);
	set_secret(&s, accounts, records);
	(void)edit(&s);
	check_all(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, "") "}");
	publish(&s, "Ready", "", "");
	expect(&s, PLAN_WAIT);
	scene_done(&s);

	start_with(&s, DELETE); /* another domain is being registered */
	set_object(&s, "['a.test','c.test']", DELETE, VISITED);
	add_finalizer(&s, API_FINALIZER);
	set_secret(&s, accounts, records);
	(void)add_work(&s, PLAN_WORK_POSTING, "c.test", "n-2");
	(void)edit(&s);
	check_all(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, "") "}");
	scene_done(&s);

	start(&s, HOST, ""); /* Retain */
	set_secret(&s, accounts, records);
	publish(&s, "Ready", "", "");
	expect(&s, PLAN_WAIT);
	scene_done(&s);

	start_with(&s, DELETE); /* one that is being registered */
	set_secret(&s, accounts, records);
	(void)add_work(&s, PLAN_WORK_POSTING, "b.test", "n-2");
	publish(&s, "Ready", "", "");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_comes_before_the_first_claim),
		cmocka_unit_test(test_it_goes_with_the_policy),
		cmocka_unit_test(test_what_is_not_ours_to_let_go),
		cmocka_unit_test(test_entries_go_with_the_object),
		cmocka_unit_test(test_no_secret_holds_nothing),
		cmocka_unit_test(test_a_secret_that_cannot_be_used_holds_nothing),
		cmocka_unit_test(test_an_api_server_that_does_not_answer_is_asked_again),
		cmocka_unit_test(test_posts_end_first),
		cmocka_unit_test(test_an_account_in_hand_is_retained),
		cmocka_unit_test(test_an_account_in_hand_comes_and_goes),
		cmocka_unit_test(test_a_claim_of_another_process_ends_first),
		cmocka_unit_test(test_an_edit_decided_before_waits_for_the_claim_too),
		cmocka_unit_test(test_a_claim_without_a_post_counts_nothing),
		cmocka_unit_test(test_domains_taken_from_the_spec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
