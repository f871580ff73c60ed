/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts that vanish from the Secret: made again once, after a while, and then no more. */

#include "plan/plan_test_steps.h"

#define HOUR	    3600
#define LOST_RECORD RECORD(HOST, ",'lossTime':1800000000") /* WALL */

static void read_anew(struct scene *s, const char *accounts, const char *records)
{
	set_secret(s, accounts, records);
	plan_fold_read(&s->memory, &s->view);
}

/* Ready, and then the Secret is not there any more. */
static void lose(struct scene *s)
{
	read_anew(s, "{}", NULL);
	s->view.secret.state = PLAN_SECRET_ABSENT;
	plan_fold_read(&s->memory, &s->view);
}

static void start_and_lose(struct scene *s)
{
	start(s, HOST, "");
	publish(s, "Ready", "", "");
	lose(s);
	publish(s, "AccountMissing", "ProgressingWithRetry", "");
	assert_int_equal(s->object->status.loss_s, WALL);
}

static void pass_time(struct scene *s, int64_t seconds)
{
	s->view.now_ms += seconds * 1000;
	s->view.wall_s += seconds;
}

static void expect_wait_until(struct scene *s, int64_t wake_ms)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_WAIT);
	assert_int_equal(action.wake_ms, wake_ms);
	plan_action_done(&action);
}

/* From the claim to Ready; the Secret that set_secret() made holds a document of ours. */
static void make_again(struct scene *s)
{
	set_secret(s, "{}", "{}");
	(void)edit(s);
	answer(s, ACMEDNS_REGISTERED);
	(void)edit(s);
	publish(s, "Ready", "", *s->object->rotate ? "1" : "");
	plan_fold_read(&s->memory, &s->view);
}

static void test_made_again_after_a_while(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	assert_string_equal(api_record_value(&s.object->status, "a.test"), FULL);
	expect_wait_until(&s, NOW + 60000);
	pass_time(&s, 60);
	make_again(&s);
	assert_string_equal(api_record_value(&s.object->status, "a.test"), NAME2);
	assert_int_equal(s.object->status.loss_s, WALL);
	assert_int_equal(s.memory.missing_ms, 0);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_put_back_in_time(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 59);
	read_anew(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, "") "}");
	publish(&s, "Ready", "", "");
	pass_time(&s, 60);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* The record of ours is still there, only the entry is gone. */
static void test_an_entry_alone(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	read_anew(&s, "{}", "{'a.test':" RECORD(HOST, "") "}");
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	pass_time(&s, 60);
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", LOST_RECORD);
	scene_done(&s);
}

/* The new account does not come at once: status goes on naming the old one. */
static void test_a_server_that_does_not_answer(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 60);
	set_secret(&s, "{}", "{}");
	(void)edit(&s);
	answer(&s, ACMEDNS_UNAVAILABLE);
	publish(&s, "RegistrationUnavailable", "ProgressingWithRetry", "");
	assert_string_equal(api_record_value(&s.object->status, "a.test"), FULL);
	plan_fold_read(&s.memory, &s.view);
	pass_time(&s, HOUR);
	(void)edit(&s); /* and not after another while */
	scene_done(&s);
}

static void test_lost_again_within_a_day(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 60);
	make_again(&s);
	pass_time(&s, HOUR);
	lose(&s);
	publish(&s, "SecretContested", "", "");
	assert_true(s.object->status.conditions[API_STALLED].present);
	assert_int_equal(s.object->status.loss_s, WALL);
	unparsable(&s);
	s.view.secret.state = PLAN_SECRET_PRESENT;
	publish(&s, "SecretContested", "", "");
	lose(&s);
	publish(&s, "SecretContested", "", "");
	pass_time(&s, 48 * HOUR);
	expect(&s, PLAN_WAIT);
	ask(&s, "1");
	make_again(&s);
	scene_done(&s);
}

static void test_lost_again_after_a_day(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 60);
	make_again(&s);
	pass_time(&s, 24 * HOUR);
	lose(&s);
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	assert_int_equal(s.object->status.loss_s, WALL + 60 + 24 * HOUR);
	scene_done(&s);
}

/* Status still tells of the loss that the account was made for, and the account is gone again. */
static void lose_before_status(struct scene *s)
{
	start_and_lose(s);
	pass_time(s, 60);
	set_secret(s, "{}", "{}");
	(void)edit(s);
	answer(s, ACMEDNS_REGISTERED);
	(void)edit(s);
	check(s, "{'a.test':" NEW(HOST) "}", LOST_RECORD);
	read_anew(s, "{}", "{'a.test':" LOST_RECORD "}");
}

static void test_lost_again_before_status(void **state)
{
	struct scene s;

	(void)state;
	lose_before_status(&s);
	publish(&s, "SecretContested", "", "");
	assert_int_equal(s.object->status.loss_s, WALL);
	pass_time(&s, 48 * HOUR);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_lost_again_before_status_for_a_day(void **state)
{
	struct scene s;

	(void)state;
	lose_before_status(&s);
	pass_time(&s, 24 * HOUR);
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	assert_int_equal(s.object->status.loss_s, WALL + 60 + 24 * HOUR);
	plan_fold_read(&s.memory, &s.view);
	pass_time(&s, 60);
	(void)edit(&s);
	scene_done(&s);
}

/* Another domain's loss is nothing that the first account of this one was made for. */
static void test_a_first_account_beside_a_loss(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test','b.test']", "", VISITED);
	s.object->status.loss_s = WALL;
	set_secret(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, "") "}");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	check_all(&s, "{'a.test':" OLD(HOST) ",'b.test':" NEW(HOST) "}",
		  "{'a.test':" RECORD(HOST, "") ",'b.test':" RECORD(HOST, "") "}");
	scene_done(&s);
}

/* Nobody looked at the Secret between the store and the second loss, which is another one. */
static void test_lost_again_before_a_look(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 24 * HOUR); /* the server was away for so long */
	set_secret(&s, "{}", "{}");
	(void)edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	(void)edit(&s);
	publish(&s, "Ready", "", "");
	lose(&s);
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	expect_wait_until(&s, s.view.now_ms + 60000);
	scene_done(&s);
}

/* What is written says nothing of an object that is not in the cache, or cannot be read. */
static void test_written_and_not_to_be_seen(void **state)
{
	const struct plan_written written = {.outcome = PLAN_WRITTEN};
	const struct plan_edit nothing = {0};
	struct scene s;

	(void)state;
	start_and_lose(&s);
	plan_fold_written(&s.memory, &s.view, &nothing, &written);
	assert_int_equal(s.memory.missing_ms, NOW);
	s.view.secret.ledger = NULL;
	plan_fold_written(&s.memory, &s.view, &nothing, &written);
	s.view.object = NULL;
	plan_fold_written(&s.memory, &s.view, &nothing, &written);
	assert_int_equal(s.memory.missing_ms, NOW);
	scene_done(&s);
}

/* It is one loss, whoever looks at it. */
static void test_another_process_goes_on(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	pass_time(&s, 30);
	s.memory = (struct plan_memory){.visited_generation = 1};
	plan_fold_read(&s.memory, &s.view);
	expect_wait_until(&s, NOW + 90000);
	scene_done(&s);
}

static void test_a_secret_that_cannot_be_read_in_between(void **state)
{
	struct scene s;

	(void)state;
	start_and_lose(&s);
	unparsable(&s);
	s.view.secret.state = PLAN_SECRET_PRESENT;
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	lose(&s);
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	assert_int_equal(s.object->status.loss_s, WALL);
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_again_after_a_while),
		cmocka_unit_test(test_put_back_in_time),
		cmocka_unit_test(test_an_entry_alone),
		cmocka_unit_test(test_a_server_that_does_not_answer),
		cmocka_unit_test(test_lost_again_within_a_day),
		cmocka_unit_test(test_lost_again_after_a_day),
		cmocka_unit_test(test_lost_again_before_status),
		cmocka_unit_test(test_lost_again_before_status_for_a_day),
		cmocka_unit_test(test_a_first_account_beside_a_loss),
		cmocka_unit_test(test_lost_again_before_a_look),
		cmocka_unit_test(test_written_and_not_to_be_seen),
		cmocka_unit_test(test_another_process_goes_on),
		cmocka_unit_test(test_a_secret_that_cannot_be_read_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
