/* SPDX-License-Identifier: Apache-2.0 */

/* The hand-off to external-dns: what is wanted of the DNSEndpoint, what is done about it, and what
 * status says. */

#include "base/intern.h"
#include "plan/plan_test_scene.h"

#define HANDED	    ",'cname':{'dnsEndpoint':{}}"
#define BLIND	    ",'cname':{'verify':false,'dnsEndpoint':{}}"
#define DELETE	    ",'deletionPolicy':'Delete'"
#define AB_OURS	    "{'a.test':" REGISTERED ",'b.test':" REGISTERED "}"
#define AB_ACCOUNTS "{'a.test':" ACCOUNT ",'b.test':" ACCOUNT "}"

static const struct dnsname_glob a_test[] = {{"x.example"}, {"a.test"}};
static const struct dnsname_glob all_tests[] = {{"*.test"}};

/* ---- scenes ---- */

static void allow(struct scene *s, const struct dnsname_glob *globs, size_t len)
{
	s->view.endpoint_domains = globs;
	s->view.endpoint_domains_len = len;
}

/* The spec of an object at rest is another: its status, finalizers and generation stay. */
static void respec(struct scene *s, const char *spec)
{
	struct api_registration *other = make_object("['a.test']", spec, VISITED);
	struct api_spec before = s->object->spec;

	s->object->spec = other->spec;
	other->spec = before;
	api_free(other);
}

/* An account, and all told: what is next is up to the test. */
static void begin(struct scene *s, const char *spec)
{
	scene_init(s);
	allow(s, all_tests, 1);
	set_object(s, "['a.test']", spec, VISITED);
	set_secret(s, A_ACCOUNT, A_OURS);
	if (strstr(spec, "'Delete'"))
		add_finalizer(s, API_FINALIZER);
}

static void expect(struct scene *s, enum plan_what what)
{
	struct plan_action action = next_action(s);

	if (action.what != what)
		fail_msg("%s instead of %s", plan_what_name(action.what), plan_what_name(what));
	plan_action_done(&action);
}

static void expect_finalizer(struct scene *s, bool add)
{
	struct plan_action action = next_action(s);

	assert_int_equal(action.what, PLAN_PATCH_FINALIZER);
	assert_string_equal(action.finalizer, API_FINALIZER_ENDPOINT);
	assert_int_equal(action.add, add);
	plan_action_done(&action);
}

static int64_t fold(struct scene *s, enum plan_endpoint_state state)
{
	return plan_fold_endpoint(&s->memory, &s->view, plan_endpoint_digest(&s->view), state);
}

/* With a DNSEndpoint that is as it should be. */
static void begin_current(struct scene *s, const char *spec)
{
	begin(s, spec);
	expect(s, PLAN_READ_ENDPOINT);
	assert_int_equal(fold(s, PLAN_ENDPOINT_CURRENT), 0);
	expect(s, PLAN_WAIT);
}

/* ---- what is wanted ---- */

static void test_list(void **state)
{
	struct api_cname list[API_MAX_DOMAINS];
	struct scene s;

	(void)state;
	scene_init(&s);
	allow(&s, a_test, 2);
	set_object(&s, AB, HANDED, VISITED);
	assert_int_equal(plan_endpoint_list(&s.view, list), 0);
	set_secret(&s, AB_ACCOUNTS, AB_OURS);
	expect(&s, PLAN_READ_ENDPOINT);
	assert_int_equal(plan_endpoint_list(&s.view, list), 1);
	assert_string_equal(list[0].domain, "a.test");
	assert_string_equal(list[0].target, FULL);
	allow(&s, all_tests, 1);
	assert_int_equal(plan_endpoint_list(&s.view, list), 2);
	assert_string_equal(list[1].domain, "b.test");
	scene_done(&s);
}

/* Whoever may write status may write anything. */
static void test_no_host_name(void **state)
{
	struct api_cname list[API_MAX_DOMAINS];
	struct scene s;

	(void)state;
	scene_init(&s);
	allow(&s, all_tests, 1);
	set_object(&s, "['a.test']", HANDED,
		   "{'records':[{'domain':'a.test','value':'not a name'}]}");
	assert_int_equal(plan_endpoint_list(&s.view, list), 0);
	scene_done(&s);
}

/* A rotation waits for the CNAME that leads to the new account. */
static void test_rotation(void **state)
{
	struct api_cname list[API_MAX_DOMAINS];
	struct scene s;

	(void)state;
	scene_init(&s);
	allow(&s, all_tests, 1);
	set_object(&s, "['a.test']", HANDED,
		   "{'records':[{'domain':'a.test','value':'" FULL
		   "','next':{'value':'next.auth.test'}}]}");
	assert_int_equal(plan_endpoint_list(&s.view, list), 1);
	assert_string_equal(list[0].target, "next.auth.test");
	scene_done(&s);
}

static uint64_t digest_of(const char *spec)
{
	struct scene s;
	uint64_t digest;

	begin(&s, spec);
	digest = plan_endpoint_digest(&s.view);
	scene_done(&s);
	return digest;
}

static void test_digest(void **state)
{
	static const char *const specs[] = {
		"",
		HANDED,
		",'cname':{'dnsEndpoint':{'ttlSeconds':60}}",
		",'cname':{'dnsEndpoint':{'labels':{'a':'b'}}}",
		",'cname':{'dnsEndpoint':{'labels':{'a':'c'}}}",
		",'cname':{'dnsEndpoint':{'labels':{'ab':''}}}",
		",'cname':{'dnsEndpoint':{'annotations':{'a':'b'}}}",
		",'cname':{'dnsEndpoint':{'labels':{'a':'b','c':'d'}}}",
	};
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(specs); i++) {
		assert_true(digest_of(specs[i]));
		for (k = 0; k < ARRAY_LEN(specs); k++)
			if ((digest_of(specs[i]) == digest_of(specs[k])) != (i == k))
				fail_msg("%s and %s", specs[i], specs[k]);
	}
}

static void test_digest_of_records(void **state)
{
	struct scene s;
	uint64_t digest;

	(void)state;
	begin(&s, HANDED);
	digest = plan_endpoint_digest(&s.view);
	expect(&s, PLAN_READ_ENDPOINT);
	assert_true(plan_endpoint_digest(&s.view) != digest);
	allow(&s, a_test, 1);
	assert_true(plan_endpoint_digest(&s.view) == digest);
	scene_done(&s);
}

static void test_minds(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	assert_true(plan_minds_endpoint(&s.view));
	s.object->spec.suspend = true;
	assert_false(plan_minds_endpoint(&s.view));
	s.object->spec.suspend = false;
	s.object->spec.unsupported = mem_strdup("odd");
	assert_false(plan_minds_endpoint(&s.view));
	s.object->deleting = true;
	assert_false(plan_minds_endpoint(&s.view));
	add_finalizer(&s, API_FINALIZER_ENDPOINT);
	assert_true(plan_minds_endpoint(&s.view));
	gone(&s);
	assert_false(plan_minds_endpoint(&s.view));
	scene_done(&s);

	begin(&s, "");
	assert_false(plan_minds_endpoint(&s.view));
	scene_done(&s);
}

/* ---- what is done ---- */

static void test_it_is_made_and_kept(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	expect(&s, PLAN_READ_ENDPOINT);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_ABSENT), 0);
	expect(&s, PLAN_WRITE_ENDPOINT);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_CURRENT), 0);
	expect(&s, PLAN_WAIT);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_OTHER), 0); /* it drifted */
	expect(&s, PLAN_WRITE_ENDPOINT);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_CURRENT), 0);
	respec(&s, ",'cname':{'dnsEndpoint':{'ttlSeconds':60}}");
	expect(&s, PLAN_READ_ENDPOINT);
	scene_done(&s);
}

static void test_not_without_the_flag(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	allow(&s, NULL, 0);
	expect(&s, PLAN_WAIT);
	assert_int_equal(s.object->status.conditions[API_CNAME_READY].reason,
			 API_REASON_DNS_ENDPOINT_NOT_ALLOWED);
	scene_done(&s);
}

static void test_not_while_a_registration_runs(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	set_secret(&s, "{}", "{'a.test':" CLAIM("n-1") "}");
	(void)add_work(&s, PLAN_WORK_POSTING, "a.test", "n-1");
	expect(&s, PLAN_WAIT);
	s.memory.works[0] = (struct plan_work){0};
	set_secret(&s, A_ACCOUNT, A_OURS);
	expect(&s, PLAN_READ_ENDPOINT);
	scene_done(&s);
}

/* All that the Secret needs comes first. */
static void test_not_while_the_secret_is_in_trouble(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	s.memory.read = failure(API_REASON_SECRET_DENIED, 1, NOW + 700);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_the_finalizer_comes_before_it(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, DELETE HANDED);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_ABSENT);
	expect_finalizer(&s, true);
	add_finalizer(&s, API_FINALIZER_ENDPOINT);
	expect(&s, PLAN_WRITE_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* One that is made, under Delete. */
static void begin_kept(struct scene *s)
{
	begin(s, DELETE HANDED);
	add_finalizer(s, API_FINALIZER_ENDPOINT);
	expect(s, PLAN_READ_ENDPOINT);
	(void)fold(s, PLAN_ENDPOINT_CURRENT);
	expect(s, PLAN_WAIT);
}

/* It was made before the policy was Delete, or by an object of the name that was there before. */
static void test_the_finalizer_comes_to_one_that_is_there(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, DELETE HANDED);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	expect_finalizer(&s, true);
	allow(&s, a_test, 1); /* none is there, and none is wanted */
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_the_finalizer_goes_with_the_policy(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	add_finalizer(&s, API_FINALIZER_ENDPOINT);
	expect_finalizer(&s, false);
	s.object->deleting = true;
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void test_it_goes_with_the_field(void **state)
{
	struct scene s;

	(void)state;
	begin_kept(&s);
	respec(&s, DELETE);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_OTHER);
	expect(&s, PLAN_DELETE_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	expect_finalizer(&s, false);
	scene_done(&s);
}

static void test_under_retain_it_stays(void **state)
{
	struct scene s;

	(void)state;
	begin_current(&s, HANDED);
	respec(&s, "");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

static void test_it_goes_with_the_object(void **state)
{
	struct scene s;

	(void)state;
	begin_kept(&s);
	s.object->deleting = true;
	s.view.leading = false;
	expect(&s, PLAN_WAIT);
	s.view.leading = true;
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_OTHER);
	expect(&s, PLAN_DELETE_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CHANGED);
	expect(&s, PLAN_WAIT); /* for another look */
	(void)fold(&s, PLAN_ENDPOINT_OTHER);
	expect(&s, PLAN_DELETE_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	expect_finalizer(&s, false);
	free(s.object->finalizers[--s.object->finalizers_len]);
	expect(&s, PLAN_EDIT_SECRET); /* the entries go after it */
	scene_done(&s);
}

/* What holds the object up when the DNSEndpoint is to go. */
static void test_leaving(void **state)
{
	static const struct {
		enum plan_endpoint_state state;
		bool waits, told, lasts;
	} rows[] = {
		{PLAN_ENDPOINT_FOREIGN, false, false, false},
		{PLAN_ENDPOINT_CHANGED, true, false, false},
		{PLAN_ENDPOINT_NO_KIND, false, false, true},
		{PLAN_ENDPOINT_DENIED, false, true, true},
		{PLAN_ENDPOINT_REFUSED, false, true, true},
		{PLAN_ENDPOINT_UNANSWERED, true, false, true},
	};
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		begin_kept(&s);
		s.object->deleting = true;
		(void)fold(&s, rows[i].state);
		if (rows[i].lasts) {
			(void)fold(&s, rows[i].state);
			expect(&s, PLAN_WAIT); /* one odd answer, or two, may be anything */
			(void)fold(&s, rows[i].state);
		}
		if (rows[i].waits)
			expect(&s, PLAN_WAIT);
		if (rows[i].told) {
			struct plan_action action;

			plan(&s.view, &s.memory, &action);
			assert_int_equal(action.what, PLAN_EMIT_EVENT);
			assert_true(action.leaves_endpoint);
			assert_non_null(action.leftover);
			plan_fold_endpoint_left(&s.memory);
		}
		if (!rows[i].waits)
			expect_finalizer(&s, false);
		scene_done(&s);
	}
}

/* ---- what came of it ---- */

static void test_pauses(void **state)
{
	struct scene s;
	int64_t pause_ms = 0;
	int i;

	(void)state;
	begin(&s, HANDED);
	s.view.random[0] = 0;
	for (i = 0; i < 300; i++)
		pause_ms = fold(&s, PLAN_ENDPOINT_NO_KIND);
	assert_int_equal(pause_ms, 40000);
	s.view.random[0] = 19999;
	assert_int_equal(fold(&s, PLAN_ENDPOINT_NO_KIND), 59999);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	s.view.random[0] = 0;
	assert_int_equal(fold(&s, PLAN_ENDPOINT_NO_KIND), 1000);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_CHANGED), 2000);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_ABSENT), 0);
	assert_int_equal(fold(&s, PLAN_ENDPOINT_REFUSED), 4000);
	scene_done(&s);
}

static void test_what_is_remembered(void **state)
{
	const struct plan_endpoint *known;
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	known = &s.memory.endpoint;
	(void)fold(&s, PLAN_ENDPOINT_REFUSED);
	(void)fold(&s, PLAN_ENDPOINT_UNANSWERED);
	(void)fold(&s, PLAN_ENDPOINT_CHANGED);
	assert_int_equal(known->trouble, PLAN_ENDPOINT_REFUSED);
	(void)fold(&s, PLAN_ENDPOINT_ABSENT);
	assert_int_equal(known->trouble, PLAN_ENDPOINT_REFUSED);
	assert_int_equal(known->state, PLAN_ENDPOINT_ABSENT);
	(void)fold(&s, PLAN_ENDPOINT_FOREIGN);
	assert_int_equal(known->trouble, PLAN_ENDPOINT_FOREIGN);
	/* Of what is wanted now nothing is known yet. */
	(void)plan_fold_endpoint(&s.memory, &s.view, 7, PLAN_ENDPOINT_UNANSWERED);
	assert_int_equal(known->trouble, PLAN_ENDPOINT_UNANSWERED);
	assert_int_equal(known->times, 1);
	plan_fold_endpoint_end(&s.memory);
	assert_memory_equal(known, &(struct plan_endpoint){0}, sizeof(*known));
	scene_done(&s);
}

/* ---- what status says ---- */

static const struct api_condition *told(struct scene *s)
{
	struct plan_action action = next_action(s);

	plan_action_done(&action);
	return &s->object->status.conditions[API_CNAME_READY];
}

static void check_told(struct scene *s, enum api_reason reason, const char *message)
{
	const struct api_condition *c = told(s);

	if (c->reason != reason || !strstr(c->message, message))
		fail_msg("%s: %s", api_reason_name(c->reason), c->message);
}

static void test_troubles_are_told(void **state)
{
	static const struct {
		enum plan_endpoint_state state;
		const char *message;
	} rows[] = {
		{PLAN_ENDPOINT_FOREIGN,
		 "the DNSEndpoint one was not made for this object; delete it, or hand it over by "
		 "annotating it with acme-dns-operator.github.io/registration=one"},
		{PLAN_ENDPOINT_NO_KIND, "knows no DNSEndpoints; install"},
		{PLAN_ENDPOINT_DENIED, "may not read DNSEndpoints here; apply"},
		{PLAN_ENDPOINT_REFUSED, "refuses the DNSEndpoint one as the operator writes it"},
	};
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		begin_current(&s, HANDED);
		assert_int_equal(told(&s)->reason, API_REASON_NOT_VERIFIED);
		(void)fold(&s, rows[i].state);
		check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, rows[i].message);
		assert_int_equal(told(&s)->status, API_FALSE);
		assert_int_equal(s.object->status.conditions[API_READY].status, API_TRUE);
		(void)fold(&s, PLAN_ENDPOINT_ABSENT); /* it can be written again, but was not yet */
		check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, rows[i].message);
		(void)fold(&s, PLAN_ENDPOINT_CURRENT);
		check_told(&s, API_REASON_NOT_VERIFIED, "");
		scene_done(&s);
	}
}

static void test_no_answer_is_told_late(void **state)
{
	struct scene s;

	(void)state;
	begin_current(&s, BLIND);
	(void)fold(&s, PLAN_ENDPOINT_UNANSWERED);
	(void)fold(&s, PLAN_ENDPOINT_UNANSWERED);
	check_told(&s, API_REASON_VERIFICATION_DISABLED, "");
	(void)fold(&s, PLAN_ENDPOINT_UNANSWERED);
	check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, "does not answer for the DNSEndpoint");
	scene_done(&s);
}

static void test_what_was_told_stands_after_a_restart(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, BLIND);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_NO_KIND);
	expect(&s, PLAN_WAIT);
	plan_fold_endpoint_end(&s.memory);
	check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, "knows no DNSEndpoints");
	(void)fold(&s, PLAN_ENDPOINT_ABSENT); /* and it is to be seen whether it can be made */
	check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, "knows no DNSEndpoints");
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	check_told(&s, API_REASON_VERIFICATION_DISABLED, "");
	scene_done(&s);
}

/* What DNS says of both. */
static void see(struct scene *s, struct plan_seen seen[2], enum cname_verdict a,
		enum cname_verdict b)
{
	const enum cname_verdict verdicts[] = {a, b};
	static const char *const domains[] = {"a.test", "b.test"};
	size_t i;

	for (i = 0; i < 2; i++)
		seen[i] = (struct plan_seen){.digest = plan_record_digest(domains[i], FULL),
					     .observed = "",
					     .verdict = verdicts[i],
					     .reason = CNAME_NO_NAME,
					     .told = true};
	s->view.seen = seen;
	s->view.seen_len = 2;
}

/* a.test is handed over, b.test may not be. */
static void test_a_domain_that_is_not_allowed(void **state)
{
	struct plan_seen seen[2];
	struct scene s;

	(void)state;
	scene_init(&s);
	allow(&s, a_test, 2);
	set_object(&s, AB, HANDED, VISITED);
	set_secret(&s, AB_ACCOUNTS, AB_OURS);
	see(&s, seen, CNAME_MISSING, CNAME_MISSING);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_NO_KIND);
	check_told(&s, API_REASON_DNS_ENDPOINT_NOT_ALLOWED,
		   "_acme-challenge.b.test: the operator's --dns-endpoint-domains does not");
	see(&s, seen, CNAME_MISSING, CNAME_FOUND);
	check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, "knows no DNSEndpoints");
	see(&s, seen, CNAME_FOUND, CNAME_FOUND);
	check_told(&s, API_REASON_CNAME_FOUND, "");
	assert_int_equal(told(&s)->status, API_TRUE);
	(void)fold(&s, PLAN_ENDPOINT_CURRENT);
	see(&s, seen, CNAME_MISSING, CNAME_FOUND);
	check_told(&s, API_REASON_CNAME_MISSING,
		   "the DNSEndpoint asks external-dns for a CNAME to");
	scene_done(&s);
}

/* It is the next CNAME that external-dns is asked for. */
static void test_a_rotation_names_what_is_asked_for(void **state)
{
	struct plan_seen seen[2];
	struct scene s;

	(void)state;
	begin(&s, HANDED);
	set_secret(&s, A_ACCOUNT,
		   "{'a.test':{'owner':'uid-1','origin':'registered','host':'" HOST
		   "','next':{'username':'n','password':'p','subdomain':'n',"
		   "'fulldomain':'next.auth.test','server_url':'" HOST "'}}}");
	s.object->rotate = intern_get("1");
	see(&s, seen, CNAME_MISSING, CNAME_FOUND);
	check_told(&s, API_REASON_CNAME_MISSING,
		   "the DNSEndpoint asks external-dns for a CNAME to next.auth.test");
	scene_done(&s);
}

/* The one that has no account yet will need it, too. */
static void test_a_domain_without_an_account(void **state)
{
	struct plan_seen seen[2];
	struct scene s;

	(void)state;
	scene_init(&s);
	allow(&s, all_tests, 1);
	set_object(&s, AB, HANDED, VISITED);
	set_secret(&s, A_ACCOUNT, "{'a.test':" REGISTERED ",'b.test':" REGISTERED_OF("uid-2") "}");
	set_owner(&s, "uid-2", 0, 2);
	see(&s, seen, CNAME_FOUND, CNAME_FOUND);
	expect(&s, PLAN_READ_ENDPOINT);
	(void)fold(&s, PLAN_ENDPOINT_NO_KIND);
	check_told(&s, API_REASON_DNS_ENDPOINT_UNAVAILABLE, "knows no DNSEndpoints");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_no_host_name),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_digest_of_records),
		cmocka_unit_test(test_minds),
		cmocka_unit_test(test_it_is_made_and_kept),
		cmocka_unit_test(test_not_without_the_flag),
		cmocka_unit_test(test_not_while_a_registration_runs),
		cmocka_unit_test(test_not_while_the_secret_is_in_trouble),
		cmocka_unit_test(test_the_finalizer_comes_before_it),
		cmocka_unit_test(test_the_finalizer_comes_to_one_that_is_there),
		cmocka_unit_test(test_the_finalizer_goes_with_the_policy),
		cmocka_unit_test(test_it_goes_with_the_field),
		cmocka_unit_test(test_under_retain_it_stays),
		cmocka_unit_test(test_it_goes_with_the_object),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_what_is_remembered),
		cmocka_unit_test(test_troubles_are_told),
		cmocka_unit_test(test_no_answer_is_told_late),
		cmocka_unit_test(test_what_was_told_stands_after_a_restart),
		cmocka_unit_test(test_a_domain_that_is_not_allowed),
		cmocka_unit_test(test_a_rotation_names_what_is_asked_for),
		cmocka_unit_test(test_a_domain_without_an_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
