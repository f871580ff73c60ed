/* SPDX-License-Identifier: Apache-2.0 */

/* What status says of the CNAMEs, by what was seen in DNS and by what status said before. */

#include "base/intern.h"
#include "plan/plan_test_scene.h"

#define OWNER_A	    "_acme-challenge.a.test"
#define AB_OURS	    "{'a.test':" REGISTERED ",'b.test':" REGISTERED "}"
#define AB_ACCOUNTS "{'a.test':" ACCOUNT ",'b.test':" ACCOUNT "}"
#define LOOPS	    "the CNAMEs lead in circles or through too many names"

/* What this process saw of a CNAME; verdict UNKNOWN with NO_REASON: nothing yet. */
struct sight {
	const char *domain;
	enum cname_verdict verdict;
	enum cname_reason reason;
	const char *observed;
};

struct row {
	const char *title;
	const char *status; /* conditions and records, as before; NULL: VISITED */
	struct sight sights[2];
	enum api_status_value value;
	enum api_reason reason;
	const char *message;	   /* begins with */
	const char *verifications; /* of the records: "Fm", a letter each */
};

#define BEFORE(reason, message, records)                                                           \
	"{'observedGeneration':1,'conditions':[{'type':'Ready','status':'Unknown','reason':'',"    \
	"'message':''},{'type':'CNAMEReady','status':'False','reason':'" reason                    \
	"','message':'" message "'}],'records':[" records "]}"
#define RECORD(domain, verification)                                                               \
	"{'domain':'" domain "','value':'" FULL "','verification':'" verification "'}"
#define OTHER(domain, verification)                                                                \
	"{'domain':'" domain "','value':'other.auth.test','verification':'" verification "'}"
#define A(verdict, reason)                                                                         \
	{                                                                                          \
		"a.test", CNAME_##verdict, CNAME_##reason, ""                                      \
	}
#define A_AT(verdict, reason, target)                                                              \
	{                                                                                          \
		"a.test", CNAME_##verdict, CNAME_##reason, target                                  \
	}
#define B(verdict, reason)                                                                         \
	{                                                                                          \
		"b.test", CNAME_##verdict, CNAME_##reason, ""                                      \
	}
#define SAYS(value, reason) API_##value, API_REASON_##reason

static const struct row rows[] = {
	{"nothing was looked up", NULL, {{0}}, SAYS(UNKNOWN, NOT_VERIFIED), "not every", "uu"},
	{"both are there",
	 NULL,
	 {A(FOUND, NO_REASON), B(FOUND, NO_REASON)},
	 SAYS(TRUE, CNAME_FOUND),
	 "every CNAME",
	 "ff"},
	{"one was not looked up yet",
	 NULL,
	 {A(FOUND, NO_REASON)},
	 SAYS(UNKNOWN, NOT_VERIFIED),
	 "not every CNAME",
	 "fu"},
	{"one is missing",
	 NULL,
	 {A(FOUND, NO_REASON), B(MISSING, NO_NAME)},
	 SAYS(FALSE, CNAME_MISSING),
	 "_acme-challenge.b.test: there is no such name; add a CNAME to " FULL,
	 "fm"},
	{"something else is in its place",
	 NULL,
	 {A(MISSING, NO_CNAME)},
	 SAYS(FALSE, CNAME_MISSING),
	 OWNER_A ": no CNAME, but maybe another record in its place (TXT, A); add a CNAME to ",
	 "mu"},
	{"one leads elsewhere, which comes before one that is missing",
	 NULL,
	 {A(MISSING, NO_NAME), {"b.test", CNAME_MISMATCH, CNAME_ELSEWHERE, "x.example.net"}},
	 SAYS(FALSE, CNAME_MISMATCH),
	 "_acme-challenge.b.test: the CNAME, or a wildcard's, leads to x.example.net; it has to "
	 "lead to " FULL,
	 "mx"},
	{"in circles",
	 NULL,
	 {A(MISMATCH, LOOP)},
	 SAYS(FALSE, CNAME_MISMATCH),
	 OWNER_A ": " LOOPS "; it has to lead to " FULL,
	 "xu"},
	{"the zone is not delegated",
	 NULL,
	 {A(UNDELEGATED, NOT_DELEGATED), B(FOUND, NO_REASON)},
	 SAYS(FALSE, ZONE_NOT_DELEGATED),
	 OWNER_A ": leads to the zone auth.test: its parent zone does not delegate it",
	 "ff"},
	{"the zone is signed",
	 NULL,
	 {A(SIGNED, HAS_DS), B(UNKNOWN, TIMEOUT)},
	 SAYS(FALSE, ZONE_SIGNED),
	 OWNER_A ": leads to the zone auth.test: a DS record",
	 "fu"},
	{"no answer",
	 NULL,
	 {A(UNKNOWN, TIMEOUT), B(FOUND, NO_REASON)},
	 SAYS(UNKNOWN, DNS_UNAVAILABLE),
	 OWNER_A ": no answer in time",
	 "uf"},
	{"after a restart, what was said stands",
	 BEFORE("CNAMEMissing", OWNER_A ": as it was",
		RECORD("a.test", "Missing") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(FALSE, CNAME_MISSING),
	 OWNER_A ": as it was",
	 "mf"},
	{"a verdict about one that the message is not about",
	 BEFORE("CNAMEMissing", "_acme-challenge.b.test: as it was",
		RECORD("a.test", "Missing") "," RECORD("b.test", "Missing")),
	 {B(FOUND, NO_REASON)},
	 SAYS(FALSE, CNAME_MISSING),
	 OWNER_A ": no CNAME; add a CNAME to " FULL,
	 "mf"},
	{"all were found before",
	 BEFORE("CNAMEFound", "", RECORD("a.test", "Found") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(TRUE, CNAME_FOUND),
	 "every CNAME",
	 "ff"},
	{"what was said of a zone stands",
	 BEFORE("ZoneNotDelegated", OWNER_A ": as it was",
		RECORD("a.test", "Found") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(FALSE, ZONE_NOT_DELEGATED),
	 OWNER_A ": as it was",
	 "ff"},
	{"and of a signed one",
	 BEFORE("ZoneSigned", OWNER_A ": as it was",
		RECORD("a.test", "Found") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(FALSE, ZONE_SIGNED),
	 OWNER_A ": as it was",
	 "ff"},
	{"until it is seen again",
	 BEFORE("ZoneSigned", OWNER_A ": as it was",
		RECORD("a.test", "Found") "," RECORD("b.test", "Found")),
	 {A(FOUND, NO_REASON)},
	 SAYS(TRUE, CNAME_FOUND),
	 "every CNAME",
	 "ff"},
	{"what was said of it is over",
	 BEFORE("CNAMEMissing", OWNER_A ": as it was",
		RECORD("a.test", "Found") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(TRUE, CNAME_FOUND),
	 "every CNAME",
	 "ff"},
	{"that DNS did not answer stands",
	 BEFORE("DNSUnavailable", OWNER_A ": as it was",
		RECORD("a.test", "Unknown") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(UNKNOWN, DNS_UNAVAILABLE),
	 OWNER_A ": as it was",
	 "uf"},
	{"a verdict of another account is none",
	 BEFORE("CNAMEFound", "", OTHER("a.test", "Found") "," RECORD("b.test", "Found")),
	 {{0}},
	 SAYS(UNKNOWN, NOT_VERIFIED),
	 "not every CNAME",
	 "uf"},
	{"what DNS says instead stands, too",
	 BEFORE("CNAMEMismatch", OWNER_A ": as it was",
		"{'domain':'a.test','value':'" FULL
		"','verification':'Mismatch','observed':'x.example.net'}," RECORD("b.test",
										  "Found")),
	 {{0}},
	 SAYS(FALSE, CNAME_MISMATCH),
	 OWNER_A ": as it was",
	 "xf"},
};

/* Sets the sights, in the order of the row; one without a domain ends them. */
static size_t see(const struct row *row, struct plan_seen seen[2])
{
	size_t i;

	for (i = 0; i < 2 && row->sights[i].domain; i++)
		seen[i] = (struct plan_seen){
			.digest = plan_record_digest(row->sights[i].domain, FULL),
			.observed = row->sights[i].observed,
			.verdict = row->sights[i].verdict,
			.reason = row->sights[i].reason,
			.told = true,
		};
	return i;
}

static void check_records(const struct row *row, const struct api_status *status)
{
	static const char letters[] = {[CNAME_UNKNOWN] = 'u',
				       [CNAME_FOUND] = 'f',
				       [CNAME_MISSING] = 'm',
				       [CNAME_MISMATCH] = 'x'};
	size_t i;

	assert_int_equal(status->records_len, 2);
	for (i = 0; i < 2; i++)
		if (letters[status->records[i].verification] != row->verifications[i])
			fail_msg("%s: record %zu", row->title, i);
}

static void check_row(const struct row *row)
{
	struct plan_seen seen[2] = {{0}};
	struct plan_action action;
	const struct api_condition *c;
	struct scene s;

	scene_init(&s);
	set_object(&s, AB, VERIFIED, row->status ? row->status : VISITED);
	set_secret(&s, AB_ACCOUNTS, AB_OURS);
	s.view.seen = seen;
	s.view.seen_len = see(row, seen);
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	c = &action.status.conditions[API_CNAME_READY];
	if (c->status != row->value || c->reason != row->reason ||
	    strncmp(c->message, row->message, strlen(row->message)) != 0)
		fail_msg("%s: %s, %s", row->title, api_reason_name(c->reason), c->message);
	check_records(row, &action.status);
	plan_action_done(&action);
	scene_done(&s);
}

static void test_rows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i]);
}

/* The condition when something about the object is as given. */
static void check_condition(struct scene *s, enum api_reason reason, const char *handled)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_int_equal(action.status.conditions[API_CNAME_READY].reason, reason);
	assert_int_equal(action.status.conditions[API_CNAME_READY].status, API_UNKNOWN);
	if (handled)
		assert_string_equal(action.status.handled_verify, handled);
	else
		assert_null(action.status.handled_verify);
	plan_action_done(&action);
	scene_done(s);
}

static void test_disabled(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", UNVERIFIED,
		   BEFORE("CNAMEMissing", "", RECORD("a.test", "Missing")));
	set_secret(&s, A_ACCOUNT, A_OURS);
	check_condition(&s, API_REASON_VERIFICATION_DISABLED, NULL);
}

/* a.test has its account, and b.test is another object's. */
static void begin_half(struct scene *s)
{
	scene_init(s);
	set_object(s, AB, VERIFIED, VISITED);
	set_secret(s, A_ACCOUNT, "{'a.test':" REGISTERED ",'b.test':" REGISTERED_OF("uid-2") "}");
	set_owner(s, "uid-2", 0, 2);
}

static void test_no_account_yet(void **state)
{
	struct scene s;

	(void)state;
	begin_half(&s);
	check_condition(&s, API_REASON_NOT_VERIFIED, NULL);
}

/* A spec that cannot be acted on has no domain that could have a record. */
static void test_no_domain(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "[]", VERIFIED, VISITED);
	check_condition(&s, API_REASON_NOT_VERIFIED, NULL);
}

static void plan_with(struct scene *s, const struct plan_seen *seen, struct plan_action *ret_action)
{
	s->view.seen = seen;
	s->view.seen_len = 1;
	plan(&s->view, &s->memory, ret_action);
}

/* One is missing, and another has no account yet: that one is told of which a person has to know.
 */
static void test_the_worst_is_told(void **state)
{
	struct plan_seen seen = {.digest = plan_record_digest("a.test", FULL),
				 .observed = "",
				 .verdict = CNAME_MISSING,
				 .reason = CNAME_NO_NAME,
				 .told = true};
	struct plan_action action;
	struct scene s;

	(void)state;
	begin_half(&s);
	plan_with(&s, &seen, &action);
	assert_int_equal(action.status.conditions[API_CNAME_READY].reason,
			 API_REASON_CNAME_MISSING);
	plan_action_done(&action);
	scene_done(&s);
}

/* A name out of a Secret may be in no zone at all. */
static void test_a_name_without_a_zone(void **state)
{
	struct plan_seen seen = {.digest = plan_record_digest("a.test", "single"),
				 .observed = "",
				 .verdict = CNAME_SIGNED,
				 .reason = CNAME_HAS_DS,
				 .told = true};
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", VERIFIED, VISITED);
	set_secret(&s,
		   "{'a.test':{'username':'u','password':'p','subdomain':'s','fulldomain':'single',"
		   "'server_url':'" HOST "'}}",
		   A_OURS);
	plan_with(&s, &seen, &action);
	assert_non_null(strstr(action.status.conditions[API_CNAME_READY].message,
			       "leads to the zone single: a DS record"));
	plan_action_done(&action);
	scene_done(&s);
}

static void test_annotation(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", VERIFIED, VISITED);
	set_secret(&s, A_ACCOUNT, A_OURS);
	intern_put(s.object->verify);
	s.object->verify = intern_get("2");
	s.view.verified = true;
	check_condition(&s, API_REASON_NOT_VERIFIED, "2");
}

static void check_drift(const char *before, enum cname_verdict after, bool drifts)
{
	CLEANUP(api_freep)
	struct api_registration *object = make_object("['a.test']", "", before);
	CLEANUP(api_status_donep) struct api_status status;

	api_status_init(&status, 1);
	api_status_set(&status, API_READY, API_UNKNOWN, API_REASON_REGISTERING, "");
	api_status_add_record(&status, "a.test", FULL);
	api_record_set(&status.records[0], after, "");
	assert_int_equal(plan_news(object, &status), drifts ? PLAN_NEWS_DRIFTED : 0);
}

static void test_drift(void **state)
{
	(void)state;
	check_drift(BEFORE("CNAMEFound", "", RECORD("a.test", "Found")), CNAME_MISSING, true);
	check_drift(BEFORE("CNAMEFound", "", RECORD("a.test", "Found")), CNAME_MISMATCH, true);
	check_drift(BEFORE("CNAMEFound", "", RECORD("a.test", "Found")), CNAME_UNKNOWN, false);
	check_drift(BEFORE("CNAMEFound", "", RECORD("a.test", "Found")), CNAME_FOUND, false);
	check_drift(BEFORE("CNAMEFound", "", RECORD("a.test", "Missing")), CNAME_MISMATCH, false);
	check_drift(BEFORE("CNAMEFound", "", OTHER("a.test", "Found")), CNAME_MISSING, false);
	check_drift(VISITED, CNAME_MISSING, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_no_account_yet),
		cmocka_unit_test(test_no_domain),
		cmocka_unit_test(test_annotation),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_the_worst_is_told),
		cmocka_unit_test(test_a_name_without_a_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
