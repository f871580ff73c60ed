/* SPDX-License-Identifier: Apache-2.0 */

/* Rotation where CNAMEs are looked up: an entry stays until the CNAME leads to what follows it. */

#include "plan/plan_test_steps.h"

#define WAITING(next) RECORD(HOST, ",'next':" next)
#define DONE	      RECORD(HOST, ",'rotate':'1','retired':{'" HOST "':" OLD(HOST) "}")

/* What DNS was seen to say of a name; lent to the view. */
static struct plan_seen seen[2];

static void see(struct scene *s, size_t i, const char *value, enum cname_verdict verdict,
		const char *observed)
{
	seen[i] = (struct plan_seen){.digest = plan_record_digest("a.test", value),
				     .verdict = verdict,
				     .observed = observed,
				     .told = true};
	s->view.seen = seen;
	s->view.seen_len = ARRAY_LEN(seen);
}

/* A rotation whose account is there, and waits. */
static void start_waiting_as(struct scene *s, const char *spec)
{
	memset(seen, 0, sizeof(seen));
	start(s, HOST, spec);
	see(s, 0, FULL, CNAME_FOUND, "");
	publish(s, "Ready", "", "");
	ask(s, "1");
	(void)edit(s);
	answer(s, ACMEDNS_REGISTERED);
	(void)edit(s);
	publish(s, "Ready", "Progressing", "");
	expect(s, PLAN_WAIT);
}

static void start_waiting(struct scene *s)
{
	start_waiting_as(s, VERIFIED);
}

static const struct api_record *record(const struct scene *s)
{
	return &s->object->status.records[0];
}

static enum api_reason cname_reason(const struct scene *s)
{
	return s->object->status.conditions[API_CNAME_READY].reason;
}

static void test_waits_for_the_cname(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", WAITING(NEW(HOST)));
	assert_string_equal(record(&s)->value, FULL);
	assert_string_equal(record(&s)->next->value, NAME2);
	assert_int_equal(record(&s)->next->verification, CNAME_UNKNOWN);
	assert_non_null(strstr(s.object->status.conditions[API_RECONCILING].message,
			       "status.records[].next"));
	see(&s, 1, NAME2, CNAME_MISMATCH, FULL);
	publish(&s, "Ready", "Progressing", "");
	assert_int_equal(record(&s)->next->verification, CNAME_MISMATCH);
	assert_string_equal(record(&s)->next->observed, FULL);
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	expect(&s, PLAN_WAIT);

	see(&s, 1, NAME2, CNAME_FOUND, "");
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", DONE);
	publish(&s, "Ready", "", "1");
	assert_string_equal(record(&s)->value, NAME2);
	assert_int_equal(record(&s)->verification, CNAME_FOUND);
	assert_null(record(&s)->next);
	assert_int_equal(s.memory.news, 0);
	scene_done(&s);
}

/* Who has to move the CNAME has not heard of it: the old account serves, and yet that is told. */
static void test_external_dns_cannot_be_asked(void **state)
{
	static const struct dnsname_glob all = {"*.test"};
	struct scene s;

	(void)state;
	start_waiting_as(&s, ",'cname':{'dnsEndpoint':{}}");
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	s.view.endpoint_domains = &all;
	s.view.endpoint_domains_len = 1;
	expect(&s, PLAN_READ_ENDPOINT);
	(void)plan_fold_endpoint(&s.memory, &s.view, plan_endpoint_digest(&s.view),
				 PLAN_ENDPOINT_NO_KIND);
	publish(&s, "Ready", "Progressing", "");
	assert_int_equal(cname_reason(&s), API_REASON_DNS_ENDPOINT_UNAVAILABLE);
	see(&s, 1, NAME2, CNAME_FOUND, "");
	(void)edit(&s);
	publish(&s, "Ready", "", "1");
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	scene_done(&s);
}

/* Who moves it by hand has done so: it is no more asked for. */
static void test_moved_by_hand(void **state)
{
	struct scene s;

	(void)state;
	start_waiting_as(&s, ",'cname':{'dnsEndpoint':{}}");
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	see(&s, 0, FULL, CNAME_MISSING, "");
	publish(&s, "Ready", "Progressing", "");
	assert_int_equal(cname_reason(&s), API_REASON_DNS_ENDPOINT_NOT_ALLOWED);
	see(&s, 0, FULL, CNAME_MISMATCH, NAME2);
	publish(&s, "Ready", "Progressing", "");
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	scene_done(&s);
}

/* That the CNAME leads to the account that follows is no drift of the one that it led to. */
static void test_moving_is_no_drift(void **state)
{
	struct plan_action action;
	struct scene s;

	(void)state;
	start_waiting(&s);
	see(&s, 0, FULL, CNAME_MISMATCH, NAME2);
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_int_equal(action.status.records[0].verification, CNAME_MISMATCH);
	assert_int_equal(action.status.conditions[API_CNAME_READY].reason, API_REASON_CNAME_FOUND);
	assert_int_equal(plan_news(s.object, &action.status) & PLAN_NEWS_DRIFTED, 0);
	plan_action_done(&action);
	see(&s, 0, FULL, CNAME_MISMATCH, "elsewhere.test");
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.status.conditions[API_CNAME_READY].reason,
			 API_REASON_CNAME_MISMATCH);
	assert_int_equal(plan_news(s.object, &action.status) & PLAN_NEWS_DRIFTED,
			 PLAN_NEWS_DRIFTED);
	plan_action_done(&action);
	scene_done(&s);
}

/* What status says of it is not enough: another process may have seen that, long ago. */
static void test_a_restart_looks_again(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	see(&s, 1, NAME2, CNAME_FOUND, "");
	expect(&s, PLAN_EDIT_SECRET);
	api_record_set(s.object->status.records[0].next, CNAME_FOUND, "");
	memset(seen, 0, sizeof(seen));
	expect(&s, PLAN_WAIT);
	assert_int_equal(cname_reason(&s), API_REASON_CNAME_FOUND);
	scene_done(&s);
}

static void test_a_zone_in_trouble_is_led_to_all_the_same(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	see(&s, 1, NAME2, CNAME_SIGNED, "");
	expect(&s, PLAN_EDIT_SECRET);
	scene_done(&s);
}

static void test_called_off_while_it_waits(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	ask(&s, "");
	see(&s, 1, NAME2, CNAME_FOUND, "");
	publish(&s, "Ready", "", "");
	assert_null(record(&s)->next);
	expect(&s, PLAN_WAIT);
	check(&s, "{'a.test':" OLD(HOST) "}", WAITING(NEW(HOST)));
	scene_done(&s);
}

/* Who wants no CNAME looked up waits for none. */
static void test_not_looked_up(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	s.object->spec.verify = false;
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", DONE);
	scene_done(&s);
}

/* An account that nobody can use any more is not waited for. */
static void test_nothing_to_break(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	set_secret(&s, "{}", "{'a.test':" WAITING(NEW(HOST)) "}");
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'rotate':'1'"));
	scene_done(&s);
}

/* The account that is retired at the host which spec.host names again. */
static void test_back_to_a_host(void **state)
{
	struct scene s;

	(void)state;
	memset(seen, 0, sizeof(seen));
	start(&s, OTHER, VERIFIED);
	set_secret(&s, "{'a.test':" OLD(OTHER) "}",
		   "{'a.test':" RECORD(OTHER, ",'retired':{'" HOST "':" NEW(HOST) "}") "}");
	publish(&s, "HostChanged", "", "");
	ask(&s, "1");
	publish(&s, "Registering", "Progressing", "");
	assert_string_equal(record(&s)->next->value, NAME2);
	expect(&s, PLAN_WAIT);
	see(&s, 0, NAME2, CNAME_FOUND, "");
	(void)edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" OTHER "':" OLD(OTHER) "}"));
	scene_done(&s);
}

/* That the Secret cannot be read is no reason to stop looking for what is to follow. */
static void test_the_secret_cannot_be_read_while_it_waits(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	unparsable(&s);
	publish(&s, "SecretUnparsable", "", "");
	assert_string_equal(record(&s)->next->value, NAME2);
	scene_done(&s);
}

/* An entry that is gone has nothing to follow it but what is made of that. */
static void test_lost_while_it_waits(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	ask(&s, "");
	set_secret(&s, "{}", "{'a.test':" WAITING(NEW(HOST)) "}");
	publish(&s, "AccountMissing", "ProgressingWithRetry", "");
	assert_string_equal(record(&s)->value, FULL);
	assert_null(record(&s)->next);
	scene_done(&s);
}

/* What nobody can make a CNAME to is not waited for. */
static void test_an_odd_name_is_not_waited_for(void **state)
{
	struct scene s;

	(void)state;
	memset(seen, 0, sizeof(seen));
	start(&s, OTHER, VERIFIED);
	set_secret(&s, "{'a.test':" OLD(OTHER) "}",
		   "{'a.test':" RECORD(OTHER, ",'retired':{'" HOST
					      "':" ENTRY("new", "no name", HOST) "}") "}");
	ask(&s, "1");
	expect(&s, PLAN_EDIT_SECRET);
	scene_done(&s);
}

static void test_suspended_while_it_waits(void **state)
{
	struct plan_action action;
	struct scene s;

	(void)state;
	start_waiting(&s);
	see(&s, 1, NAME2, CNAME_MISMATCH, FULL);
	publish(&s, "Ready", "Progressing", "");
	s.object->spec.suspend = true;
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_string_equal(action.status.records[0].next->value, NAME2);
	assert_int_equal(action.status.records[0].next->verification, CNAME_MISMATCH);
	assert_string_equal(action.status.records[0].next->observed, FULL);
	plan_action_done(&action);
	scene_done(&s);
}

/* One that comes to the set during a rotation waits with the others for their account. */
static void test_a_domain_comes_to_a_set(void **state)
{
	struct scene s;

	(void)state;
	start_waiting(&s);
	set_object(&s, AB, SHARED VERIFIED, VISITED);
	ask(&s, "1");
	publish(&s, "Registering", "Progressing", "");
	assert_int_equal(s.object->status.records_len, 1);
	expect(&s, PLAN_WAIT);
	see(&s, 1, NAME2, CNAME_FOUND, "");
	(void)edit(&s);
	check_all(&s, "{'a.test':" NEW(HOST) ",'b.test':" NEW(HOST) "}",
		  "{'a.test':" DONE ",'b.test':" RECORD(HOST, ",'rotate':'1'") "}");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_the_cname),
		cmocka_unit_test(test_external_dns_cannot_be_asked),
		cmocka_unit_test(test_moved_by_hand),
		cmocka_unit_test(test_moving_is_no_drift),
		cmocka_unit_test(test_a_restart_looks_again),
		cmocka_unit_test(test_a_zone_in_trouble_is_led_to_all_the_same),
		cmocka_unit_test(test_called_off_while_it_waits),
		cmocka_unit_test(test_not_looked_up),
		cmocka_unit_test(test_nothing_to_break),
		cmocka_unit_test(test_back_to_a_host),
		cmocka_unit_test(test_an_odd_name_is_not_waited_for),
		cmocka_unit_test(test_suspended_while_it_waits),
		cmocka_unit_test(test_the_secret_cannot_be_read_while_it_waits),
		cmocka_unit_test(test_lost_while_it_waits),
		cmocka_unit_test(test_a_domain_comes_to_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
