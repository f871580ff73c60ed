/* SPDX-License-Identifier: Apache-2.0 */

/* Rounds over the accounts: when they are made, who is asked, and what is told of it. */

#include "base/intern.h"
#include "plan/plan_test_rows.h"

#define BARE "{'username':'u','password':'p','subdomain':'s','fulldomain':'" FULL "'}"
#define OTHER(user, more)                                                                          \
	"{'username':'" user "','password':'p','subdomain':'s','fulldomain':'" FULL                \
	"','server_url':'" HOST "'" more "}"
#define TWO	 "{'a.test':" OTHER("u", "") ",'b.test':" OTHER("v", "") "}"
#define TWO_OURS "{'a.test':" REGISTERED ",'b.test':" REGISTERED "}"
#define MOVED                                                                                      \
	"{'username':'u','password':'p','subdomain':'s','fulldomain':'new.auth.test','server_"     \
	"url':'" HOST "'}"
#define LIMITED	    "{'a.test':" OTHER("u", ",'allowfrom':['192.0.2.0/24']") "}"
#define CA	    ",'caBundleRef':{'kind':'ConfigMap','name':'ca','key':'ca.crt'}"
#define LOGIN	    ",'registrationAuth':{'basic':{'secretRef':{'name':'login'}}}"
#define VALID(s)    (&(s)->object->status.conditions[API_CREDENTIALS_VALID])
#define IS_READY(s) ((s)->object->status.conditions[API_READY].status == API_TRUE)

/* Served, told, and at rest. */
static void scene_at_rest(struct scene *s, const char *domains, const char *accounts,
			  const char *records)
{
	scene_init(s);
	s->view.probe_interval_ms = 3600000;
	set_object(s, domains, "", VISITED);
	set_secret(s, accounts, records);
	assert_int_equal(next_action(s).what, PLAN_WAIT);
}

static void ask_for(struct scene *s, const char *value)
{
	intern_put(s->object->probe);
	s->object->probe = intern_get(value);
}

/* ---- what is decided ---- */

static void due(struct scene *s)
{
	plan_fold_probe_due(&s->memory);
}

static void asked(struct scene *s)
{
	ask_for(s, "1");
}

static void handled(struct scene *s)
{
	asked(s);
	api_status_set_handled(&s->object->status, NULL, "1", NULL);
}

static void handled_before(struct scene *s)
{
	asked(s);
	api_status_set_handled(&s->object->status, NULL, "0", NULL);
}

static void stopped(struct scene *s)
{
	due(s);
	s->memory.probe.stopped = 1;
}

static void stopped_before(struct scene *s)
{
	due(s);
	s->memory.probe.stopped = 7;
}

static void missed(struct scene *s)
{
	s->memory.probe.misses = 1;
}

static void asking(struct scene *s)
{
	due(s);
	plan_fold_probing(&s->memory, &s->view, 0);
}

/* The first account was asked. */
static void one_done(struct scene *s)
{
	asking(s);
	plan_fold_probed(&s->memory, &s->view,
			 &(struct acmedns_probe_result){ACMEDNS_PROBE_ALIVE, -1, "good"});
}

/* In a round that another value of the annotation began. */
static void one_done_before(struct scene *s)
{
	one_done(s);
	asked(s);
}

static void permitted(struct scene *s)
{
	s->view.secret.host = "HTTPS://auth.test:443/";
}

static void permitted_elsewhere(struct scene *s)
{
	s->view.secret.host = "https://other.test";
}

static void with_ca(struct scene *s)
{
	struct api_status status = s->object->status;

	api_status_init(&s->object->status, -1);
	set_object(s, "['a.test']", CA, "{}");
	s->object->status = status;
}

static void with_login(struct scene *s)
{
	struct api_status status = s->object->status;

	api_status_init(&s->object->status, -1);
	set_object(s, "['a.test']", LOGIN, "{}");
	s->object->status = status;
}

static void with_ca_inline(struct scene *s)
{
	with_ca(s);
	s->object->spec.auth->ca_pem = intern_get("PEM");
}

/* Of two domains; the first is ours. */
static void two_holds_b(struct scene *s)
{
	set_owner(s, "uid-2", 0, 2);
}

static void references_ok(struct scene *s)
{
	s->view.references = PLAN_REFERENCES_OK;
}

static void reference_missing(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, NOW + 700);
}

static void reference_missed_before(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, NOW);
}

static void suspended(struct scene *s)
{
	s->object->spec.suspend = true;
}

static void unsupported(struct scene *s)
{
	s->object->spec.unsupported = mem_strdup("spec.future: no");
}

static const struct decision {
	const char *name;
	given_fn *given[5];   /* ends with NULL */
	const char *accounts; /* NULL: one account of a.test */
	enum plan_what want;
	size_t domain;
	bool wants_slot;
	const char *domains;
	const char *records;
} decisions[] = {
	{"not due", .want = PLAN_WAIT},
	{"due", ON(due), .want = PLAN_PROBE},
	{"asked for", ON(asked), .want = PLAN_PROBE},
	{"done", ON(handled), .want = PLAN_WAIT},
	{"done for another value", ON(handled_before), .want = PLAN_PROBE},
	{"being asked", ON(asking), .want = PLAN_WAIT},
	{"all were asked", ON(one_done), .want = PLAN_END_ROUND},
	{"another round", ON(one_done_before), .want = PLAN_PROBE},
	{"no acme-dns", ON(stopped), .want = PLAN_WAIT},
	{"no acme-dns, but asked for", ON(stopped, asked), .want = PLAN_PROBE},
	{"the host was none when the spec was another", ON(stopped_before), .want = PLAN_PROBE},
	{"an address first", ON(due, host_unresolved), .want = PLAN_RESOLVE_HOST},
	{"no address", ON(due, host_failed), .want = PLAN_END_ROUND},
	{"an address that leads inside", ON(due, host_refused), .want = PLAN_END_ROUND},
	{"a host that may not be used", ON(due, host_not_allowed), .want = PLAN_END_ROUND},
	{"a host that fails", ON(due, host_down), .want = PLAN_END_ROUND},
	{"and has failed", ON(missed, host_down), .want = PLAN_WAIT, .wants_slot = true},
	{"it works again", ON(missed), .want = PLAN_WAIT},
	{"no slot", ON(due, no_slots), .want = PLAN_WAIT, .wants_slot = true},
	{"a CA first", ON(with_ca, due), .want = PLAN_READ_REFERENCES},
	{"a CA", ON(with_ca, due, references_ok), .want = PLAN_PROBE},
	{"no CA", ON(with_ca, due, reference_missing), .want = PLAN_END_ROUND},
	{"no CA, but now?", ON(with_ca, due, reference_missed_before),
	 .want = PLAN_READ_REFERENCES},
	{"one in the spec", ON(with_ca_inline, due), .want = PLAN_READ_REFERENCES},
	{"a login is not for this", ON(with_login, due), .want = PLAN_PROBE},
	{"no matter whose it is", ON(due), "{'a.test':" BARE "}", .want = PLAN_END_ROUND},
	{"the Secret says whose", ON(permitted, due), "{'a.test':" BARE "}", .want = PLAN_PROBE},
	{"another's", ON(permitted_elsewhere, due), "{'a.test':" BARE "}", .want = PLAN_END_ROUND},
	{"what the entry says goes before", ON(permitted_elsewhere, due), .want = PLAN_PROBE},
	{"the second account", ON(one_done), TWO, .want = PLAN_PROBE, .domain = 1, .domains = AB,
	 .records = TWO_OURS},
	{"a second name of the first", ON(one_done), "{'a.test':" ACCOUNT ",'b.test':" ACCOUNT "}",
	 .want = PLAN_END_ROUND, .domains = AB, .records = TWO_OURS},
	{"suspended", ON(suspended, due), .want = PLAN_WAIT},
	{"on its way out", ON(deleting, due), .want = PLAN_WAIT},
	{"another one leads", ON(not_leading, due), .want = PLAN_WAIT},
	{"not all is understood", ON(unsupported, due), .want = PLAN_WAIT},
	{"the reading is old", ON(stale, due), .want = PLAN_READ_SECRET},
};

static void test_decisions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(decisions); i++) {
		const struct decision *row = &decisions[i];
		struct plan_action action;
		struct scene s;

		scene_at_rest(&s, row->domains ? row->domains : "['a.test']",
			      row->accounts ? row->accounts : A_ACCOUNT,
			      row->records ? row->records : A_OURS);
		for (given_fn *const *given = row->given; *given; given++)
			(*given)(&s);
		action = next_action(&s);
		if (action.what != row->want || action.wants_slot != row->wants_slot ||
		    (row->want == PLAN_PROBE && action.domain != row->domain))
			fail_msg("%s: %s of %zu%s", row->name, plan_what_name(action.what),
				 action.domain, action.wants_slot ? ", waits for a slot" : "");
		plan_action_done(&action);
		scene_done(&s);
	}
}

/* An account is served beside a domain that has none. */
static const struct row registrations_first[] = {
	{"a registration runs", ON(due, posting_b), AB, .accounts = A_ACCOUNT, .records = A_OURS,
	 .want = PLAN_WAIT},
	{"one waits for a slot", ON(due, no_slots), AB, .accounts = A_ACCOUNT, .records = A_OURS,
	 .want = PLAN_WAIT},
	{"nothing is ours", ON(due, two_holds_a), .accounts = A_ACCOUNT, .records = OF_TWO,
	 .want = PLAN_PATCH_STATUS, .ready = API_REASON_DOMAIN_CONFLICT},
};

static void test_registrations_go_first(void **state)
{
	(void)state;
	run(registrations_first, ARRAY_LEN(registrations_first));
}

static void test_what_is_not_ours_is_not_asked(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_secret(&s, A_ACCOUNT, OF_TWO);
	two_holds_a(&s);
	due(&s);
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	assert_int_equal(VALID(&s)->reason, API_REASON_NOT_PROBED);
	set_secret(&s, "{'a.test':" ACCOUNT_AT("https://other.test") "}", A_OURS);
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	scene_done(&s);
}

/* ---- rounds ---- */

/* Goes on until there is nothing to do; the accounts asked get these answers, in turn. Returns the
 * pause, -1: there was no round. */
static int64_t go_round(struct scene *s, const struct acmedns_probe_result *answers)
{
	struct plan_action action = next_action(s);
	int64_t pause_ms = -1;

	while (action.what != PLAN_WAIT) {
		if (action.what == PLAN_PROBE) {
			plan_fold_probing(&s->memory, &s->view, action.domain);
			plan_fold_probed(&s->memory, &s->view, answers++);
		} else {
			assert_int_equal(action.what, PLAN_END_ROUND);
			pause_ms = plan_fold_round(&s->memory, &s->view);
		}
		action = next_action(s);
	}
	return pause_ms;
}

/* With the answer to one account. */
static int64_t go_round_with(struct scene *s, enum acmedns_probe_verdict verdict)
{
	const struct acmedns_probe_result answer = {verdict, -1, "so it is"};

	due(s);
	return go_round(s, &answer);
}

static void expect(const struct scene *s, enum api_status_value value, enum api_reason reason,
		   const char *message)
{
	const struct api_condition *valid = VALID(s);

	if (valid->status != value || valid->reason != reason ||
	    strncmp(valid->message, message, strlen(message)) != 0)
		fail_msg("%d %s: %s", valid->status, api_reason_name(valid->reason),
			 valid->message);
}

static const struct outcome {
	const char *accounts; /* of a.test and b.test */
	struct acmedns_probe_result answers[2];
	enum api_status_value value;
	enum api_reason reason;
	const char *message;
} outcomes[] = {
	{TWO,
	 {{ACMEDNS_PROBE_ALIVE, -1, "good"}, {ACMEDNS_PROBE_ALIVE, -1, "good"}},
	 API_TRUE,
	 API_REASON_ACCEPTED,
	 "good"},
	{TWO,
	 {{ACMEDNS_PROBE_ALIVE, -1, "good"}, {ACMEDNS_PROBE_REJECTED, -1, "bad"}},
	 API_FALSE,
	 API_REASON_CREDENTIALS_REJECTED,
	 "b.test: bad"},
	{TWO,
	 {{ACMEDNS_PROBE_REJECTED, -1, "bad"}, {ACMEDNS_PROBE_UNKNOWN, -1, "away"}},
	 API_FALSE,
	 API_REASON_CREDENTIALS_REJECTED,
	 "a.test: bad"},
	{TWO,
	 {{ACMEDNS_PROBE_UNSUPPORTED, -1, "odd"}, {ACMEDNS_PROBE_ALIVE, -1, "good"}},
	 API_UNKNOWN,
	 API_REASON_PROBE_UNSUPPORTED,
	 "a.test: odd"},
	/* Nobody else is asked. */
	{TWO,
	 {{ACMEDNS_PROBE_UNKNOWN, -1, "away"}},
	 API_UNKNOWN,
	 API_REASON_SERVER_UNAVAILABLE,
	 "a.test: away"},
	{TWO,
	 {{ACMEDNS_PROBE_NOT_ACMEDNS, -1, "no"}},
	 API_UNKNOWN,
	 API_REASON_PROBE_UNSUPPORTED,
	 "a.test: no"},
	{"{'a.test':" OTHER("u", "") ",'b.test':" OTHER("v", ",'allowfrom':['::/0']") "}",
	 {{ACMEDNS_PROBE_ALIVE, -1, "good"}, {ACMEDNS_PROBE_REJECTED, -1, "bad"}},
	 API_UNKNOWN,
	 API_REASON_ADDRESS_NOT_ALLOWED,
	 "b.test: the server does not take the credentials: "},
	{"{'a.test':" OTHER("u", "") ",'b.test':" BARE "}",
	 {{ACMEDNS_PROBE_ALIVE, -1, "good"}},
	 API_UNKNOWN,
	 API_REASON_HOST_UNKNOWN,
	 "b.test: its entry in the Secret has no server_url"},
	{"{'a.test':" BARE ",'b.test':" BARE "}",
	 {{0}},
	 API_UNKNOWN,
	 API_REASON_HOST_UNKNOWN,
	 "a.test: its entry"},
};

static void test_outcomes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		const struct outcome *row = &outcomes[i];
		struct scene s;

		scene_at_rest(&s, AB, row->accounts, TWO_OURS);
		expect(&s, API_UNKNOWN, API_REASON_NOT_PROBED, "the server was not asked yet");
		due(&s);
		assert_true(go_round(&s, row->answers) > 0);
		expect(&s, row->value, row->reason, row->message);
		assert_int_equal(IS_READY(&s), row->value != API_FALSE);
		assert_int_equal(s.object->status.conditions[API_REGISTERED].status, API_TRUE);
		assert_int_equal(s.object->status.conditions[API_STALLED].present,
				 row->value == API_FALSE);
		scene_done(&s);
	}
}

static void test_words(void **state)
{
	static const struct acmedns_probe_result answers[] = {
		{ACMEDNS_PROBE_REJECTED, -1, "by the server"},
		{ACMEDNS_PROBE_REJECTED, -1, "by a proxy"},
	};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		CLEANUP(mem_freep) char *told = mem_printf("a.test: %s", answers[i].message);

		due(&s);
		(void)go_round(&s, &answers[i]);
		expect(&s, API_FALSE, API_REASON_CREDENTIALS_REJECTED, told);
	}
	scene_done(&s);
}

/* A domain of the greatest length does not push out what is said of it. */
static void test_longest_domain(void **state)
{
	CLEANUP(mem_freep) char *label = mem_zalloc(64);
	CLEANUP(mem_freep) char *domain = NULL;
	CLEANUP(mem_freep) char *domains = NULL;
	CLEANUP(mem_freep) char *accounts = NULL;
	CLEANUP(mem_freep) char *records = NULL;
	CLEANUP(mem_freep) char *told = NULL;
	struct scene s;

	(void)state;
	memset(label, 'x', 63);
	domain = mem_printf("%s.%s.%s.%.45s", label, label, label, label);
	domains = mem_printf("['%s']", domain);
	accounts = mem_printf("{'%s':" BARE "}", domain);
	records = mem_printf("{'%s':" REGISTERED "}", domain);
	told = mem_printf("%s: its entry in the Secret has no server_url, so its credentials are "
			  "not sent anywhere; annotate the Secret with " API_ANNOTATION_HOST
			  "=<spec.host> to allow it",
			  domain);
	scene_at_rest(&s, domains, accounts, records);
	due(&s);
	assert_true(go_round(&s, NULL) > 0);
	expect(&s, API_UNKNOWN, API_REASON_HOST_UNKNOWN, told);
	scene_done(&s);
}

/* One domain is ours, the other is not. */
static void test_half(void **state)
{
	struct scene s;

	(void)state;
	scene_at_rest(&s, AB, TWO, TWO_OURS);
	set_secret(&s, TWO, "{'a.test':" REGISTERED ",'b.test':" REGISTERED_OF("uid-2") "}");
	two_holds_b(&s);
	assert_true(go_round_with(&s, ACMEDNS_PROBE_ALIVE) > 0);
	expect(&s, API_TRUE, API_REASON_ACCEPTED, "so it is");
	assert_false(IS_READY(&s));
	scene_done(&s);
}

/* What keeps an account from being asked. */
static void test_obstacles(void **state)
{
	static const struct {
		given_fn *given;
		enum api_reason reason;
	} rows[] = {
		{host_failed, API_REASON_SERVER_UNAVAILABLE},
		{host_down, API_REASON_SERVER_UNAVAILABLE},
		{host_refused, API_REASON_HOST_ADDRESS_REFUSED},
		{host_not_allowed, API_REASON_HOST_NOT_ALLOWED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene s;

		scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
		rows[i].given(&s);
		due(&s);
		assert_true(go_round(&s, NULL) > 0);
		expect(&s, API_UNKNOWN, rows[i].reason, s.view.host.message);
		assert_int_equal(s.memory.probe.misses, 1);
		scene_done(&s);
	}
}

/* The memory at rest holds nothing more than before. */
static void test_nothing_stays(void **state)
{
	static const unsigned char zeros[sizeof(struct plan_memory)];
	const size_t kept = offsetof(struct plan_memory, read);
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	assert_memory_equal((const char *)&s.memory + kept, zeros, sizeof(zeros) - kept);
	assert_false(s.memory.probe.due);
	scene_done(&s);
}

/* ---- what is known stays known ---- */

static void test_silence_is_no_news(void **state)
{
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	for (int i = 0; i < 2; i++) {
		(void)go_round_with(&s, ACMEDNS_PROBE_UNKNOWN);
		expect(&s, API_TRUE, API_REASON_ACCEPTED, "so it is");
	}
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	for (int i = 0; i < 3; i++) {
		expect(&s, API_TRUE, API_REASON_ACCEPTED, "so it is");
		(void)go_round_with(&s, ACMEDNS_PROBE_UNKNOWN);
	}
	expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "a.test: so it is");
	/* Ever so often, and in whatever words. */
	for (int i = 0; i < 300; i++) {
		const struct acmedns_probe_result other = {ACMEDNS_PROBE_UNKNOWN, -1, "again"};

		due(&s);
		(void)go_round(&s, &other);
		expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "a.test: so it is");
	}
	(void)go_round_with(&s, ACMEDNS_PROBE_REJECTED);
	expect(&s, API_FALSE, API_REASON_CREDENTIALS_REJECTED, "a.test: so it is");
	assert_false(IS_READY(&s));
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	assert_true(IS_READY(&s));
	scene_done(&s);
}

/* Nor where the server's word leaves it open whether the account lives. */
static void test_silence_after_a_doubt(void **state)
{
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", LIMITED, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_UNKNOWN);
	expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "a.test: so it is");
	(void)go_round_with(&s, ACMEDNS_PROBE_REJECTED);
	for (int i = 0; i < 3; i++) {
		expect(&s, API_UNKNOWN, API_REASON_ADDRESS_NOT_ALLOWED, "a.test: the server");
		(void)go_round_with(&s, ACMEDNS_PROBE_UNKNOWN);
	}
	expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "a.test: so it is");
	scene_done(&s);
}

/* What was found and could not be told yet is told later, if nothing else is found. */
static void test_untold(void **state)
{
	const struct acmedns_probe_result bad = {ACMEDNS_PROBE_REJECTED, -1, "bad"};
	const struct acmedns_probe_result away = {ACMEDNS_PROBE_UNKNOWN, -1, "away"};
	const struct acmedns_probe_result good = {ACMEDNS_PROBE_ALIVE, -1, "so it is"};
	const struct acmedns_probe_result *const answers[] = {&bad, &away, &good};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		plan_fold_probing(&s.memory, &s.view, 0);
		plan_fold_probed(&s.memory, &s.view, answers[i]);
		(void)plan_fold_round(&s.memory, &s.view);
		assert_int_equal(s.memory.finding.reason,
				 i < 2 ? API_REASON_CREDENTIALS_REJECTED : API_REASON_OTHER);
	}
	scene_done(&s);
}

static void test_who_asks_is_answered(void **state)
{
	const struct acmedns_probe_result away = {ACMEDNS_PROBE_UNKNOWN, -1, "away"};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	ask_for(&s, "1");
	assert_true(go_round(&s, &away) > 0);
	expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "a.test: away");
	assert_string_equal(s.object->status.handled_probe, "1");
	assert_int_equal(go_round(&s, NULL), -1);
	ask_for(&s, "");
	assert_int_equal(go_round(&s, NULL), -1);
	assert_string_equal(s.object->status.handled_probe, "1");
	scene_done(&s);
}

/* A value that came when the round had ended asks for another. */
static void test_next_value(void **state)
{
	const struct acmedns_probe_result good = {ACMEDNS_PROBE_ALIVE, -1, "good"};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	ask_for(&s, "1");
	plan_fold_probing(&s.memory, &s.view, 0);
	plan_fold_probed(&s.memory, &s.view, &good);
	(void)plan_fold_round(&s.memory, &s.view);
	ask_for(&s, "2");
	assert_int_equal(next_action(&s).what, PLAN_PROBE);
	assert_null(s.object->status.handled_probe);
	expect(&s, API_TRUE, API_REASON_ACCEPTED, "good");
	scene_done(&s);
}

/* ---- whose answer it is ---- */

static void given_other_account(struct scene *s)
{
	set_secret(s, "{'a.test':" OTHER("new", "") "}", A_OURS);
}

static void test_answer_about_another(void **state)
{
	static const struct {
		given_fn *given;
		enum plan_what then;
	} rows[] = {
		{given_other_account, PLAN_PROBE},
		{unread, PLAN_READ_SECRET},
		{asked, PLAN_PROBE},
		{gone, PLAN_WAIT},
		{changed, PLAN_PROBE},
	};
	const struct acmedns_probe_result bad = {ACMEDNS_PROBE_REJECTED, -1, "bad"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene s;

		scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
		asking(&s);
		rows[i].given(&s);
		plan_fold_probed(&s.memory, &s.view, &bad);
		assert_int_equal(s.memory.round.reason, API_REASON_OTHER);
		assert_int_equal(next_action(&s).what, rows[i].then);
		scene_done(&s);
	}
}

/* What the view says of the host is of the one that is being asked. */
static void test_no_claim_while_another_host_is_asked(void **state)
{
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	asking(&s);
	set_secret(&s, "{}", "{}");
	s.object->status.records_len = 0;
	free(s.object->status.records[0].domain);
	free(s.object->status.records[0].value);
	assert_int_equal(next_action(&s).what, PLAN_EDIT_SECRET);
	s.object->generation = 2;
	s.memory.visited_generation = 2;
	action = next_action(&s);
	assert_int_equal(action.what, PLAN_WAIT);
	assert_int_equal(action.claims, 0);
	scene_done(&s);
}

/* Nor is an account asked for with the address and the proxy of a host that is left. */
static void test_no_probe_while_another_host_registers(void **state)
{
	struct plan_work *work;
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	work = &s.memory.works[0];
	*work = (struct plan_work){.state = PLAN_WORK_POSTING, .nonce = "n", .domain = "b.test"};
	(void)snprintf(work->host, sizeof(work->host), "https://other.test");
	due(&s);
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	(void)snprintf(work->host, sizeof(work->host), HOST);
	assert_int_equal(next_action(&s).what, PLAN_PROBE);
	scene_done(&s);
}

/* A round that ends under another spec than it began does not tell what it found before. */
static void test_round_of_another_spec(void **state)
{
	const struct acmedns_probe_result bad = {ACMEDNS_PROBE_REJECTED, -1, "bad"};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	asking(&s);
	plan_fold_probed(&s.memory, &s.view, &bad);
	s.object->generation = 2;
	host_failed(&s);
	assert_true(go_round(&s, NULL) > 0);
	expect(&s, API_UNKNOWN, API_REASON_SERVER_UNAVAILABLE, "no address");
	scene_done(&s);
}

/* Nor of an account that has gone meanwhile, be it the last one's. */
static void test_round_of_other_accounts(void **state)
{
	const struct acmedns_probe_result bad = {ACMEDNS_PROBE_REJECTED, -1, "bad"};
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	asking(&s);
	plan_fold_probed(&s.memory, &s.view, &bad);
	given_other_account(&s);
	action = next_action(&s);
	assert_int_equal(action.what, PLAN_PROBE);
	assert_int_equal(action.domain, 0);
	(void)go_round_with(&s, ACMEDNS_PROBE_ALIVE);
	expect(&s, API_TRUE, API_REASON_ACCEPTED, "");
	assert_true(IS_READY(&s));
	scene_done(&s);
}

/* What is said of an account is not said of the one that comes after it. */
static void test_other_account_was_not_asked(void **state)
{
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_REJECTED);
	assert_false(IS_READY(&s));
	set_secret(&s, "{'a.test':" MOVED "}", A_OURS);
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	expect(&s, API_UNKNOWN, API_REASON_NOT_PROBED, "the server was not asked yet");
	assert_true(IS_READY(&s));
	/* Nor is what was found and not told yet. */
	plan_fold_probing(&s.memory, &s.view, 0);
	plan_fold_probed(&s.memory, &s.view,
			 &(struct acmedns_probe_result){ACMEDNS_PROBE_REJECTED, -1, "bad"});
	(void)plan_fold_round(&s.memory, &s.view);
	set_secret(&s, A_ACCOUNT, A_OURS);
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	expect(&s, API_UNKNOWN, API_REASON_NOT_PROBED, "the server was not asked yet");
	scene_done(&s);
}

/* So who asked is answered of the account that is there now. */
static void test_who_asks_is_answered_of_another(void **state)
{
	const struct acmedns_probe_result good = {ACMEDNS_PROBE_ALIVE, -1, "good"};
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	ask_for(&s, "1");
	plan_fold_probing(&s.memory, &s.view, 0);
	plan_fold_probed(&s.memory, &s.view, &good);
	(void)plan_fold_round(&s.memory, &s.view);
	set_secret(&s, "{'a.test':" MOVED "}", A_OURS);
	assert_int_equal(next_action(&s).what, PLAN_PROBE);
	expect(&s, API_UNKNOWN, API_REASON_NOT_PROBED, "the server was not asked yet");
	assert_null(s.object->status.handled_probe);
	assert_true(go_round(&s, &good) > 0);
	expect(&s, API_TRUE, API_REASON_ACCEPTED, "good");
	assert_string_equal(s.object->status.handled_probe, "1");
	scene_done(&s);
}

/* A domain that is no longer the object's takes with it what was said of it. */
static void test_domain_removed(void **state)
{
	const struct acmedns_probe_result answers[] = {{ACMEDNS_PROBE_ALIVE, -1, "good"},
						       {ACMEDNS_PROBE_REJECTED, -1, "bad"}};
	struct api_status status;
	struct scene s;

	(void)state;
	scene_at_rest(&s, AB, TWO, TWO_OURS);
	due(&s);
	(void)go_round(&s, answers);
	status = s.object->status;
	api_status_init(&s.object->status, -1);
	set_object(&s, "['a.test']", "", "{}");
	s.object->status = status;
	assert_int_equal(next_action(&s).what, PLAN_WAIT);
	expect(&s, API_UNKNOWN, API_REASON_NOT_PROBED, "the server was not asked yet");
	scene_done(&s);
}

/* Under way to new accounts nobody needs to be told that only he can help. */
static void test_rotation_of_the_rejected(void **state)
{
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	(void)go_round_with(&s, ACMEDNS_PROBE_REJECTED);
	assert_true(s.object->status.conditions[API_STALLED].present);
	intern_put(s.object->rotate);
	s.object->rotate = intern_get("1");
	s.view.host.slots = 0;
	action = next_action(&s);
	assert_int_equal(action.what, PLAN_WAIT);
	assert_true(action.wants_slot);
	assert_false(s.object->status.conditions[API_STALLED].present);
	assert_true(s.object->status.conditions[API_RECONCILING].present);
	assert_false(IS_READY(&s));
	scene_done(&s);
}

/* What the first patch of a generation keeps, it keeps as it was found since. */
static void test_visit_tells(void **state)
{
	struct plan_action action;
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	due(&s);
	plan_fold_probing(&s.memory, &s.view, 0);
	plan_fold_probed(&s.memory, &s.view,
			 &(struct acmedns_probe_result){ACMEDNS_PROBE_ALIVE, -1, "good"});
	(void)plan_fold_round(&s.memory, &s.view);
	s.object->generation = 2;
	plan(&s.view, &s.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_true(action.status.conditions[API_RECONCILING].present);
	assert_int_equal(action.status.conditions[API_CREDENTIALS_VALID].status, API_TRUE);
	plan_action_done(&action);
	scene_done(&s);
}

/* ---- pauses ---- */

#define HOUR INT64_C(3600000)

static void test_pauses(void **state)
{
	const struct acmedns_probe_result later = {ACMEDNS_PROBE_UNKNOWN, 7200, "later"};
	struct scene s;

	(void)state;
	assert_int_equal(plan_probe_pause_ms(HOUR, API_REASON_OTHER), HOUR);
	assert_int_equal(plan_probe_pause_ms(HOUR, API_REASON_ACCEPTED), HOUR);
	assert_int_equal(plan_probe_pause_ms(HOUR, API_REASON_CREDENTIALS_REJECTED), 600000);
	assert_int_equal(plan_probe_pause_ms(HOUR, API_REASON_SERVER_UNAVAILABLE), 600000);
	assert_int_equal(plan_probe_pause_ms(1000, API_REASON_SERVER_UNAVAILABLE), 1000);
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	assert_in_range(go_round_with(&s, ACMEDNS_PROBE_ALIVE), HOUR, HOUR + HOUR / 5);
	assert_in_range(go_round_with(&s, ACMEDNS_PROBE_REJECTED), 600000, 720000);
	assert_in_range(go_round_with(&s, ACMEDNS_PROBE_UNKNOWN), 600000, 720000);
	due(&s);
	assert_int_equal(go_round(&s, &later), 2 * HOUR);
	scene_done(&s);
}

/* Not again before something is another. */
static void test_no_acmedns(void **state)
{
	struct scene s;

	(void)state;
	scene_at_rest(&s, "['a.test']", A_ACCOUNT, A_OURS);
	assert_true(go_round_with(&s, ACMEDNS_PROBE_NOT_ACMEDNS) > 0);
	assert_int_equal(go_round_with(&s, ACMEDNS_PROBE_ALIVE), -1);
	expect(&s, API_UNKNOWN, API_REASON_PROBE_UNSUPPORTED, "a.test: so it is");
	s.object->generation = 2;
	assert_true(go_round_with(&s, ACMEDNS_PROBE_ALIVE) > 0);
	expect(&s, API_TRUE, API_REASON_ACCEPTED, "so it is");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_registrations_go_first),
		cmocka_unit_test(test_what_is_not_ours_is_not_asked),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_longest_domain),
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_obstacles),
		cmocka_unit_test(test_nothing_stays),
		cmocka_unit_test(test_silence_is_no_news),
		cmocka_unit_test(test_silence_after_a_doubt),
		cmocka_unit_test(test_untold),
		cmocka_unit_test(test_who_asks_is_answered),
		cmocka_unit_test(test_next_value),
		cmocka_unit_test(test_answer_about_another),
		cmocka_unit_test(test_no_claim_while_another_host_is_asked),
		cmocka_unit_test(test_no_probe_while_another_host_registers),
		cmocka_unit_test(test_round_of_another_spec),
		cmocka_unit_test(test_round_of_other_accounts),
		cmocka_unit_test(test_other_account_was_not_asked),
		cmocka_unit_test(test_who_asks_is_answered_of_another),
		cmocka_unit_test(test_domain_removed),
		cmocka_unit_test(test_rotation_of_the_rejected),
		cmocka_unit_test(test_visit_tells),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_no_acmedns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
