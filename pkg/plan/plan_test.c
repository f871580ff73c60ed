/* SPDX-License-Identifier: Apache-2.0 */

/* The decision table: what an object needs, and what has to come first. */

#include "plan/plan_test_rows.h"

static void adoptable(struct scene *s)
{
	s->view.secret.adopt = true;
}

static void write_failed_once(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_UNAVAILABLE, 1, NOW + 700);
}

static void refused_before(struct scene *s)
{
	s->memory.claim = failure(API_REASON_REGISTRATION_DENIED, 1, NOW);
}

static void posting_b_elsewhere(struct scene *s)
{
	(void)snprintf(add_work(s, PLAN_WORK_POSTING, "b.test", "n-2")->host, URL_LEN,
		       "https://old.test");
}

static void posting_four_others(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_POSTING, "b.test", "n-2");
	(void)add_work(s, PLAN_WORK_POSTING, "c.test", "n-3");
	(void)add_work(s, PLAN_WORK_POSTING, "d.test", "n-4");
	(void)add_work(s, PLAN_WORK_POSTING, "e.test", "n-5");
}

static void long_nonce_expired(struct scene *s)
{
	add_foreign(s, "012345678901234567890123456789012345", NOW);
}

static void two_freed_a(struct scene *s)
{
	set_owner(s, "uid-2", 1, 0);
}

static void long_uid_freed_a(struct scene *s)
{
	set_owner(s, "012345678901234567890123456789012345678901234567890123456789012", 1, 0);
}

static void three_freed_a(struct scene *s)
{
	set_owner(s, "uid-3", 1, 0);
}

static void asked_long_ago(struct scene *s)
{
	s->memory.owner.asked_ms = NOW - 60000;
	s->memory.owner.since_ms = NOW - 60000;
}

static void asked_for_another_spec(struct scene *s)
{
	s->memory.owner.generation = 7;
}

/* The answers of two and then of three. */
static void two_holds_a_three_freed_b(struct scene *s)
{
	set_owner(s, "uid-3", 2, 1);
}

static void two_and_three_hold(struct scene *s)
{
	set_owner(s, "uid-3", 0, 3);
}

static void suspension_said(struct scene *s)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	api_status_done(&s->object->status);
	s->object->status = action.status; /* its texts too */
}

/* ---- rows ---- */

#define NEVER_SEEN    "{'observedGeneration':-1}"
#define OBSERVED_BARE "{'observedGeneration':1}"

static const struct row visits[] = {
	{"a new object", .status = NEVER_SEEN, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"a status without conditions", .status = OBSERVED_BARE, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"a new generation", ON(changed), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"also when nothing is supported", ON(changed), .spec = ",'suspend':1",
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"then what is not supported is told", .spec = ",'suspend':1", .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_UNSUPPORTED_FIELD},
	{"never seen, and suspended", .status = NEVER_SEEN, .spec = ",'suspend':true",
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_SUSPENDED},
	{"suspended on its way", ON(unread), .spec = ",'suspend':true", .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"suspended, and it was said", ON(changed, suspension_said), .spec = ",'suspend':true",
	 .want = PLAN_WAIT},
	{"suspended, and it is on its way out", ON(deleting), .spec = ",'suspend':true",
	 .want = PLAN_WAIT},
	{"no object", ON(gone), .want = PLAN_WAIT},
	{"an object on its way out", ON(deleting), .want = PLAN_WAIT},
	{"one who does not lead", ON(not_leading, changed), .want = PLAN_WAIT},
};

static void test_visits(void **state)
{
	(void)state;
	run(visits, ARRAY_LEN(visits));
}

static const struct row readings[] = {
	{"unread", ON(unread), .want = PLAN_READ_SECRET},
	{"a read failed once: no news", ON(read_failed_once), .want = PLAN_WAIT,
	 .wake_ms = NOW + 700},
	{"a read failed often", ON(read_failed_often), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_UNAVAILABLE},
	{"the pause is over", ON(unread, read_failed_before), .want = PLAN_READ_SECRET},
	{"another type, read before", ON(not_opaque, stale), .want = PLAN_READ_SECRET},
	{"another type", ON(not_opaque), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_NOT_ADOPTED},
	{"unparsable", ON(unparsable), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_UNPARSABLE},
	{"not there, and the key is none", ON(absent, unparsable), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_UNPARSABLE},
	{"nobody's and empty", .accounts = "{}", .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_NOT_ADOPTED},
	{"the same with the annotation", ON(adoptable), .accounts = "{}", .want = PLAN_EDIT_SECRET,
	 .claims = 1},
	{"nobody's with an account of another domain", .accounts = "{'z.test':" ACCOUNT "}",
	 .want = PLAN_EDIT_SECRET, .claims = 1},
	{"absent", ON(absent), .want = PLAN_EDIT_SECRET, .claims = 1},
	{"nothing to do, read before", ON(stale), .accounts = A_ACCOUNT, .records = A_OURS,
	 .want = PLAN_READ_SECRET},
};

static void test_readings(void **state)
{
	(void)state;
	run(readings, ARRAY_LEN(readings));
}

static const struct row needs[] = {
	{"an account of ours", .accounts = A_ACCOUNT, .records = A_OURS, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_READY},
	{"an account of nobody", .accounts = A_ACCOUNT, .records = "{}", .want = PLAN_EDIT_SECRET},
	{"the same, and no host is needed for it", ON(host_unresolved), .accounts = A_ACCOUNT,
	 .records = "{}", .want = PLAN_EDIT_SECRET},
	{"one with an origin, but no owner", .accounts = A_ACCOUNT,
	 .records = "{'a.test':{'origin':'adopted','host':'" HOST "'}}", .want = PLAN_EDIT_SECRET},
	{"one without server_url, by our document at this host",
	 .accounts = "{'a.test':{'username':'u','password':'p','subdomain':'s',"
		     "'fulldomain':'" FULL "'}}",
	 .records = A_OURS, .want = PLAN_PATCH_STATUS, .ready = API_REASON_READY},
	{"one that says no host at all",
	 .accounts = "{'a.test':{'username':'u','password':'p','subdomain':'s',"
		     "'fulldomain':'" FULL "'}}",
	 .records = "{}", .want = PLAN_EDIT_SECRET},
	{"an account at another host", .accounts = "{'a.test':" ACCOUNT_AT("https://x.test") "}",
	 .records = A_OURS, .want = PLAN_PATCH_STATUS, .ready = API_REASON_HOST_CHANGED},
	{"an entry without all fields", .accounts = "{'a.test':{'username':'u'}}",
	 .want = PLAN_PATCH_STATUS, .records = "{}", .ready = API_REASON_ACCOUNT_INCOMPLETE},
	{"an entry whose name is none",
	 .accounts = "{'a.test':{'username':'u','password':'p','subdomain':'s',"
		     "'fulldomain':'not a name'}}",
	 .records = "{}", .want = PLAN_PATCH_STATUS, .ready = API_REASON_ACCOUNT_INCOMPLETE},
	{"an account that our document knows is gone", .records = A_OURS, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_ACCOUNT_MISSING},
	{"an account that status names is gone", .status = NAMED("a.test"),
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_ACCOUNT_MISSING},
	{"status names another domain", .status = NAMED("b.test"), .want = PLAN_EDIT_SECRET,
	 .claims = 1},
};

static void test_needs(void **state)
{
	(void)state;
	run(needs, ARRAY_LEN(needs));
}

static const struct row claims[] = {
	{"nothing there", .want = PLAN_EDIT_SECRET, .claims = 1},
	{"an older reading serves", ON(stale), .want = PLAN_EDIT_SECRET, .claims = 1},
	{"five domains", .domains = "['a.test','b.test','c.test','d.test','e.test']",
	 .want = PLAN_EDIT_SECRET, .claims = 4},
	{"one slot", ON(one_slot), .domains = AB, .want = PLAN_EDIT_SECRET, .claims = 1},
	{"no slot", ON(no_slots), .want = PLAN_WAIT},
	{"all works are taken", ON(posting_four_others), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"host unknown", ON(host_unresolved), .want = PLAN_RESOLVE_HOST},
	{"host without address", ON(host_failed), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SERVER_UNAVAILABLE},
	{"a server that fails", ON(host_down), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SERVER_UNAVAILABLE},
	{"host not allowed", ON(host_not_allowed), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_HOST_NOT_ALLOWED},
	{"host refused", ON(host_refused), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_HOST_ADDRESS_REFUSED},
	{"a pause after a refusal", ON(refused), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTRATION_DENIED},
	{"the pause is over", ON(refused_before), .want = PLAN_EDIT_SECRET, .claims = 1},
	{"not proven by this process", ON(not_proven), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"a pause after a write", ON(write_failed_once), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"a write was denied", ON(write_denied), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_DENIED},
	{"the Secret is immutable", ON(immutable), .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_SECRET_IMMUTABLE},
	{"the same, read before", ON(immutable, stale), .want = PLAN_READ_SECRET},
	{"immutable, but whole", ON(immutable), .accounts = A_ACCOUNT, .records = A_OURS,
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_READY},
	{"posts run at the host of the spec before", ON(posting_b_elsewhere),
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"the same, and the next host has to wait", ON(posting_b_elsewhere, host_unresolved),
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"posts run at this host", ON(posting_b), .want = PLAN_EDIT_SECRET, .claims = 1},
	{"Shared", .domains = AB, .spec = SHARED, .want = PLAN_EDIT_SECRET, .claims = 1},
	{"Shared, all works are taken", ON(posting_four_others), .domains = "['a.test','z.test']",
	 .spec = SHARED, .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"Shared, one under way", ON(posting), .domains = AB, .spec = SHARED, .want = PLAN_WAIT},
	{"Shared, a claim of others", ON(watched), .domains = AB, .spec = SHARED,
	 .records = FOREIGN, .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"Shared, with an account", .domains = AB, .spec = SHARED, .accounts = A_ACCOUNT,
	 .records = A_OURS, .want = PLAN_EDIT_SECRET},
	{"Shared, with an account of nobody", .domains = AB, .spec = SHARED, .accounts = A_ACCOUNT,
	 .records = "{}", .want = PLAN_EDIT_SECRET},
};

static void test_claims(void **state)
{
	(void)state;
	run(claims, ARRAY_LEN(claims));
}

static const struct row claims_of_others[] = {
	{"not seen before", .records = FOREIGN, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"watched", ON(watched), .records = FOREIGN, .want = PLAN_PATCH_STATUS,
	 .ready = API_REASON_REGISTERING},
	{"expired", ON(expired), .records = FOREIGN, .want = PLAN_EDIT_SECRET, .claims = 1},
	{"our own, surely without an account", ON(spent), .records = FOREIGN,
	 .want = PLAN_EDIT_SECRET, .claims = 1},
	{"our own, under way", ON(posting), .records = FOREIGN, .want = PLAN_WAIT},
	{"our own for another domain of the set", ON(posting_b), .domains = "['a.test']",
	 .records = "{'a.test':" CLAIM("n-2") "}", .want = PLAN_WAIT},
	{"a nonce longer than ours", ON(long_nonce_expired),
	 .records = "{'a.test':" CLAIM("0123456789012345678901234567890123456789") "}",
	 .want = PLAN_EDIT_SECRET, .claims = 1},
};

static void test_claims_of_others(void **state)
{
	(void)state;
	run(claims_of_others, ARRAY_LEN(claims_of_others));
}

static const struct row owners[] = {
	{"another is named", .accounts = A_ACCOUNT, .records = OF_TWO, .want = PLAN_ASK_OWNER,
	 .owner = "two"},
	{"it has no name", .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-9") "}", .want = PLAN_EDIT_SECRET},
	{"it has a name that no object can have", .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-8") "}", .want = PLAN_EDIT_SECRET},
	{"it holds the domain", ON(two_holds_a), .accounts = A_ACCOUNT, .records = OF_TWO,
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_DOMAIN_CONFLICT},
	{"it held it a minute ago", ON(two_holds_a, asked_long_ago), .accounts = A_ACCOUNT,
	 .records = OF_TWO, .want = PLAN_ASK_OWNER, .owner = "two"},
	{"it gave it up", ON(two_freed_a), .accounts = A_ACCOUNT, .records = OF_TWO,
	 .want = PLAN_EDIT_SECRET},
	{"it gave it up, and the entry is gone", ON(two_freed_a), .records = OF_TWO,
	 .want = PLAN_EDIT_SECRET},
	{"it gave it up a minute ago", ON(two_freed_a, asked_long_ago), .accounts = A_ACCOUNT,
	 .records = OF_TWO, .want = PLAN_ASK_OWNER, .owner = "two"},
	{"one with a uid longer than any gave it up", ON(long_uid_freed_a),
	 .records = "{'a.test':{'owner':'" LONG_UID "'}}", .want = PLAN_EDIT_SECRET, .claims = 1},
	{"somebody else gave it up", ON(three_freed_a), .accounts = A_ACCOUNT, .records = OF_TWO,
	 .want = PLAN_ASK_OWNER, .owner = "two"},
	{"that was about another spec", ON(two_freed_a, asked_for_another_spec),
	 .accounts = A_ACCOUNT, .records = OF_TWO, .want = PLAN_ASK_OWNER, .owner = "two"},
	{"a write has to wait", ON(two_freed_a, write_denied), .accounts = A_ACCOUNT,
	 .records = OF_TWO, .want = PLAN_PATCH_STATUS, .ready = API_REASON_SECRET_DENIED},
	{"nothing was proven yet", ON(two_freed_a, not_proven), .accounts = A_ACCOUNT,
	 .records = OF_TWO, .want = PLAN_PATCH_STATUS, .ready = API_REASON_REGISTERING},
	{"its claim is taken with the domain", ON(two_freed_a),
	 .records = "{'a.test':" CLAIM_BY("uid-2", "n-1") "}", .want = PLAN_EDIT_SECRET},
	{"two owners: the second is asked for", ON(two_holds_a), .domains = AB,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" REGISTERED_OF("uid-3") "}",
	 .want = PLAN_ASK_OWNER, .owner = "three"},
	{"two owners: the second has gone", ON(two_holds_a_three_freed_b), .domains = AB,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" REGISTERED_OF("uid-3") "}",
	 .want = PLAN_EDIT_SECRET},
	{"two owners, both there", ON(two_and_three_hold), .domains = AB,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" REGISTERED_OF("uid-3") "}",
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_DOMAIN_CONFLICT},
	{"two owners: what is free is taken before the next is asked", ON(two_freed_a),
	 .domains = AB,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" REGISTERED_OF("uid-3") "}",
	 .want = PLAN_EDIT_SECRET},
};

static void test_owners(void **state)
{
	(void)state;
	run(owners, ARRAY_LEN(owners));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_visits),
		cmocka_unit_test(test_readings),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_claims_of_others),
		cmocka_unit_test(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
