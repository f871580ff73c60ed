/* SPDX-License-Identifier: Apache-2.0 */

/* The decision table: registrations under way, accounts in hand, and rest. */

#include "plan/plan_test_rows.h"

static void write_denied_before(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_DENIED, 1, NOW);
}

static void lives(struct scene *s)
{
	s->memory.lives = true;
}

static void news_due(struct scene *s)
{
	s->memory.news = PLAN_NEWS_READY;
}

static void claimed(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-1");
}

static void watched_four_others(struct scene *s)
{
	add_foreign(s, "n-2", NOW);
	add_foreign(s, "n-3", NOW);
	add_foreign(s, "n-4", NOW);
	add_foreign(s, "n-5", NOW);
}

/* The claim's 20 s less the 10 s that a POST may take. */
static void claimed_just_in_time(struct scene *s)
{
	add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-1")->claimed_ms = NOW - 10000;
}

static void claimed_too_long_ago(struct scene *s)
{
	add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-1")->claimed_ms = NOW - 10001;
}

/* A claim counts for 300 s at most, whatever the operator's own timeout. */
static void slow_server(struct scene *s)
{
	s->view.register_timeout_ms = 290001;
}

static void claimed_elsewhere(struct scene *s)
{
	(void)snprintf(add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-1")->host, URL_LEN,
		       "https://old.test");
}

static void claimed_b(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_CLAIMED, "b.test", "n-2");
}

/* ---- rows ---- */

static const struct row posts[] = {
	{"claimed", ON(claimed), .want = PLAN_REGISTER},
	{"the second of two", ON(posting, claimed_b), .domains = AB, .want = PLAN_REGISTER},
	{"in time", ON(claimed_just_in_time), .want = PLAN_REGISTER},
	{"too late", ON(claimed_too_long_ago), .want = PLAN_EXPIRE},
	{"a slow server, in time", ON(claimed_just_in_time, slow_server), .want = PLAN_EXPIRE},
	{"host to be resolved again", ON(claimed, host_unresolved), .want = PLAN_RESOLVE_HOST},
	{"host failed", ON(claimed, host_failed), .want = PLAN_EXPIRE},
	{"a server that fails", ON(claimed, host_down), .want = PLAN_EXPIRE},
	{"claimed at another host", ON(claimed_elsewhere), .want = PLAN_EXPIRE},
	{"the domain left the spec", ON(claimed_b), .want = PLAN_EXPIRE},
	{"suspended in the meantime", ON(claimed), .spec = ",'suspend':true", .want = PLAN_EXPIRE},
	{"nothing is supported", ON(claimed), .spec = ",'suspend':1", .want = PLAN_EXPIRE},
	{"not leading", ON(claimed, not_leading), .want = PLAN_EXPIRE},
	{"on its way out", ON(claimed, deleting), .want = PLAN_EXPIRE},
	{"gone", ON(claimed, gone), .want = PLAN_EXPIRE},
	{"another account cannot be stored", ON(in_hand, claimed_b, immutable), .domains = AB,
	 .want = PLAN_EXPIRE},
	{"before the visit of a new generation", ON(claimed, changed), .want = PLAN_REGISTER},
};

static void test_posts(void **state)
{
	(void)state;
	run(posts, ARRAY_LEN(posts));
}

static const struct row stores[] = {
	{"in hand", ON(in_hand), .want = PLAN_EDIT_SECRET},
	{"before any other POST", ON(in_hand, claimed_b), .domains = AB, .want = PLAN_EDIT_SECRET},
	{"unread", ON(in_hand, unread), .want = PLAN_READ_SECRET},
	{"not leading", ON(in_hand, not_leading, stale), .want = PLAN_EDIT_SECRET},
	{"deleting", ON(in_hand, deleting), .want = PLAN_EDIT_SECRET},
	{"the Secret is gone", ON(in_hand, absent), .want = PLAN_EDIT_SECRET},
	{"a read failed", ON(in_hand, read_failed_once), .want = PLAN_WAIT, .wake_ms = NOW + 700},
	{"a write failed: that is told", ON(in_hand, write_denied), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_DENIED},
	{"a write failed", ON(in_hand, write_denied, not_leading), .want = PLAN_WAIT,
	 .wake_ms = NOW + 700},
	{"the pause is over", ON(in_hand, write_denied_before), .want = PLAN_EDIT_SECRET},
	{"immutable, read before", ON(in_hand, immutable, stale), .want = PLAN_READ_SECRET},
	{"immutable", ON(in_hand, immutable), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_IMMUTABLE},
	{"immutable, not leading", ON(in_hand, immutable, not_leading), .want = PLAN_WAIT,
	 .wake_ms = NOW + 5000},
	{"object gone", ON(in_hand, gone), .want = PLAN_EDIT_SECRET},
	{"object gone, unread", ON(in_hand, gone, unread), .want = PLAN_READ_SECRET},
	{"object and Secret gone", ON(absent, in_hand, gone), .want = PLAN_ASK_SELF},
	{"object alive after all", ON(absent, in_hand, gone, lives), .want = PLAN_EDIT_SECRET},
	{"object gone, a read failed", ON(in_hand, gone, unread, read_failed_before),
	 .want = PLAN_ASK_SELF},
	{"object gone, a write failed", ON(in_hand, gone, write_denied_before),
	 .want = PLAN_ASK_SELF},
	{"object gone, a write failed just now", ON(in_hand, gone, write_denied), .want = PLAN_WAIT,
	 .wake_ms = NOW + 700},
	{"object gone, immutable", ON(in_hand, gone, immutable), .want = PLAN_ASK_SELF},
	{"object alive, immutable", ON(in_hand, gone, immutable, lives), .want = PLAN_WAIT,
	 .wake_ms = NOW + 5000},
};

static void test_stores(void **state)
{
	(void)state;
	run(stores, ARRAY_LEN(stores));
}

static const struct row busy[] = {
	{"while a POST runs nothing is told", ON(posting), .want = PLAN_WAIT},
	{"unless something is wrong: a refusal", ON(posting, refused), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTRATION_DENIED},
	{"a write", ON(posting, write_denied), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_DENIED},
	{"the Secret", ON(posting, immutable), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_IMMUTABLE},
	{"or nothing says Reconciling yet", ON(posting),
	 .status = "{'observedGeneration':1,'conditions':[{'type':'Ready',"
		   "'status':'True','reason':'Ready','message':''}]}",
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"an expiring claim wakes", ON(posting_b, watched), .domains = AB, .records = FOREIGN,
	 .want = PLAN_WAIT, .wake_ms = NOW + 300},
	{"the time of one that is not watched begins with a reading", ON(posting_b), .domains = AB,
	 .records = FOREIGN, .want = PLAN_READ_SECRET},
	{"if there is a place for it", ON(posting_b, watched_four_others), .domains = AB,
	 .records = FOREIGN, .want = PLAN_WAIT, .wake_ms = NOW + 30000},
};

static void test_busy(void **state)
{
	(void)state;
	run(busy, ARRAY_LEN(busy));
}

/* ---- at rest ---- */

/* Writes status as plan() wants it into the object. */
static void settle(struct scene *s)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	api_status_done(&s->object->status);
	s->object->status = action.status;
}

static void check_rest(given_fn *given, int64_t wake_ms)
{
	struct plan_action action;
	struct scene scene;

	scene_init(&scene);
	set_secret(&scene, A_ACCOUNT, OF_TWO);
	given(&scene);
	settle(&scene);
	plan(&scene.view, &scene.memory, &action);
	assert_int_equal(action.what, PLAN_WAIT);
	assert_true(action.wake_ms == wake_ms);
	news_due(&scene);
	plan(&scene.view, &scene.memory, &action);
	assert_int_equal(action.what, PLAN_EMIT_EVENT);
	scene_done(&scene);
}

static void ours(struct scene *s)
{
	set_secret(s, A_ACCOUNT, A_OURS);
}

static void no_account(struct scene *s)
{
	set_secret(s, "{}", "{}");
	host_failed(s);
}

static void no_account_and_refused(struct scene *s)
{
	set_secret(s, "{}", "{}");
	refused(s);
}

/* What was told once is not told again; then an event is due; then there is nothing but time. */
static void test_rest(void **state)
{
	(void)state;
	check_rest(ours, INT64_MAX);
	check_rest(two_holds_a, NOW + 60000);
	check_rest(no_account, NOW + 500);
	check_rest(no_account_and_refused, NOW + 700);
	check_rest(not_opaque, INT64_MAX);
	check_rest(read_failed_often, NOW + 700);
}

static void test_slot_is_waited_for(void **state)
{
	struct plan_action action;
	struct scene scene;

	(void)state;
	scene_init(&scene);
	no_slots(&scene);
	plan(&scene.view, &scene.memory, &action);
	assert_int_equal(action.what, PLAN_WAIT);
	assert_true(action.wants_slot);
	host_failed(&scene);
	settle(&scene);
	plan(&scene.view, &scene.memory, &action);
	assert_false(action.wants_slot);
	scene_done(&scene);
}

static void test_questions(void **state)
{
	struct scene scene;
	int what;

	(void)state;
	scene_init(&scene);
	assert_true(plan_resting(&scene.memory));
	claimed(&scene);
	posting_b(&scene);
	in_hand(&scene);
	assert_false(plan_resting(&scene.memory));
	assert_int_equal(plan_unfinished(&scene.memory), 2);
	assert_int_equal(plan_slots_held(&scene.memory), 2);
	scene_done(&scene);
	for (what = PLAN_WAIT; what <= PLAN_EMIT_EVENT; what++)
		assert_non_null(plan_what_name((enum plan_what)what));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_posts),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_slot_is_waited_for),
		cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
