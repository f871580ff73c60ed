/* SPDX-License-Identifier: Apache-2.0 */

/* The decision table: when what the spec refers to is read, and what comes of it. */

#include "plan/plan_test_rows.h"

#define AUTH	",'registrationAuth':{'basic':{'secretRef':{'name':'login'}}}"
#define NO_AUTH ",'registrationAuth':{'headers':[]}"

static void references_ok(struct scene *s)
{
	s->view.references = PLAN_REFERENCES_OK;
}

static void claimed(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_CLAIMED, "a.test", "n-1");
}

static void reference_missing(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, NOW + 700);
}

static void reference_missed_before(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, NOW);
}

static void reference_hopeless(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, INT64_MAX);
}

static const struct row before_claims[] = {
	{"nothing there", .spec = AUTH, .want = PLAN_READ_REFERENCES},
	{"not proven by this process either", ON(not_proven), .spec = AUTH,
	 .want = PLAN_READ_REFERENCES},
	{"read", ON(references_ok), .spec = AUTH, .want = PLAN_EDIT_SECRET, .claims = 1},
	{"read for nothing", ON(references_ok), .want = PLAN_EDIT_SECRET, .claims = 1},
	{"nothing is referred to", .spec = NO_AUTH, .want = PLAN_EDIT_SECRET, .claims = 1},
	{"the host first", ON(host_unresolved), .spec = AUTH, .want = PLAN_RESOLVE_HOST},
	{"not without a slot", ON(no_slots), .spec = AUTH, .want = PLAN_WAIT},
	{"not without an address", ON(host_failed), .spec = AUTH, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SERVER_UNAVAILABLE},
	{"not while it is not leading", ON(not_leading), .spec = AUTH, .want = PLAN_WAIT},
	{"not for an account that is there", .spec = AUTH, .accounts = A_ACCOUNT, .records = A_OURS,
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_READY},
	{"not for one to adopt", .spec = AUTH, .accounts = A_ACCOUNT, .records = "{}",
	 .want = PLAN_EDIT_SECRET},
	{"for the second domain", .domains = AB, .spec = AUTH, .accounts = A_ACCOUNT,
	 .records = A_OURS, .want = PLAN_READ_REFERENCES},
};

static void test_before_claims(void **state)
{
	(void)state;
	run(before_claims, ARRAY_LEN(before_claims));
}

static const struct row problems[] = {
	{"told", ON(reference_missing), .spec = AUTH, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_INVALID_REFERENCE},
	{"the pause is over", ON(reference_missed_before), .spec = AUTH,
	 .want = PLAN_READ_REFERENCES},
	{"no pause ends what only another spec heals", ON(reference_hopeless), .spec = AUTH,
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_INVALID_REFERENCE},
	{"what is to be adopted is not held up", ON(reference_missing), .domains = AB, .spec = AUTH,
	 .accounts = A_ACCOUNT, .records = "{}", .want = PLAN_EDIT_SECRET},
	{"an account that is there does not mind", ON(reference_missing), .spec = AUTH,
	 .accounts = A_ACCOUNT, .records = A_OURS, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_READY},
};

static void test_problems(void **state)
{
	(void)state;
	run(problems, ARRAY_LEN(problems));
}

static const struct row before_posts[] = {
	{"read", ON(claimed, references_ok), .spec = AUTH, .want = PLAN_REGISTER},
	{"read too long ago", ON(claimed), .spec = AUTH, .want = PLAN_READ_REFERENCES},
	{"the host first", ON(claimed, host_unresolved), .spec = AUTH, .want = PLAN_RESOLVE_HOST},
	{"gone meanwhile", ON(claimed, reference_missing), .spec = AUTH, .want = PLAN_EXPIRE},
	{"an account in hand first", ON(in_hand), .spec = AUTH, .want = PLAN_EDIT_SECRET},
};

static void test_before_posts(void **state)
{
	(void)state;
	run(before_posts, ARRAY_LEN(before_posts));
}

/* The edit is made anew when the Secret is another by then; so much time may have passed that what
 * was read does not count any more. */
static void test_edit_without_references(void **state)
{
	struct plan_edit edit;
	struct scene scene;

	(void)state;
	scene_init(&scene);
	set_object(&scene, "['a.test']", AUTH, VISITED);
	plan_edit(&scene.view, &scene.memory, scene.ledger, &edit);
	assert_int_equal(edit.claimed[0].state, PLAN_WORK_NONE);
	references_ok(&scene);
	plan_edit(&scene.view, &scene.memory, scene.ledger, &edit);
	assert_int_equal(edit.claimed[0].state, PLAN_WORK_CLAIMED);
	scene_done(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_claims),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_before_posts),
		cmocka_unit_test(test_edit_without_references),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
