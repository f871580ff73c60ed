/* SPDX-License-Identifier: Apache-2.0 */

/* Rotation and changed hosts, step by step: what plan() decides, and what the documents say after
 * each edit. */

#include "plan/plan_test_scene.h"

#define OTHER "https://other.test"
#define NAME2 "22222222-2222-4222-8222-222222222222.auth.test"
#define ENTRY(user, full, url)                                                                     \
	"{'username':'" user "','password':'p','subdomain':'" user "','fulldomain':'" full         \
	"','allowfrom':[],'server_url':'" url "'}"
#define OLD(url)	  ENTRY("old", FULL, url)
#define NEW(url)	  ENTRY("new", NAME2, url)
#define RECORD(url, more) "{'owner':'uid-1','origin':'registered','host':'" url "'" more "}"

static void ask(struct scene *s, const char *value)
{
	free(s->object->rotate);
	s->object->rotate = mem_strdup(value);
}

/* Spec and status as after a first visit; the accounts are at url. */
static void start(struct scene *s, const char *url, const char *spec)
{
	CLEANUP(mem_freep) char *accounts = mem_printf("{'a.test':" OLD("%s") "}", url);
	CLEANUP(mem_freep) char *records = mem_printf("{'a.test':" RECORD("%s", "") "}", url);

	scene_init(s);
	set_object(s, "['a.test']", spec, VISITED);
	set_secret(s, accounts, records);
}

static void expect(struct scene *s, enum plan_what what)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	if (action.what != what)
		fail_msg("%s instead of %s", plan_what_name(action.what), plan_what_name(what));
	plan_action_done(&action);
}

/* As the controller does it: the edit, the write, the fold. */
static void edit(struct scene *s)
{
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = NOW};
	CLEANUP(mem_freep) struct plan_edit *made = mem_zalloc(sizeof(*made));
	CLEANUP(ledger_freep) struct ledger *ledger = open_ledger(s);
	struct ledger_value *values;
	size_t len;
	size_t i;
	size_t k;

	expect(s, PLAN_EDIT_SECRET);
	plan_edit(&s->view, &s->memory, ledger, made);
	len = ledger_write(ledger, &values);
	ledger_free(TAKE(s->ledger));
	for (i = 0; i < len; i++)
		for (k = 0; k < s->values_len; k++)
			if (strcmp(s->values[k].key, values[i].key) == 0) {
				free(s->values[k].data);
				s->values[k].data = mem_dup(values[i].data, values[i].len);
				s->values[k].len = values[i].len;
			}
	ledger_values_free(values, len);
	s->ledger = open_ledger(s);
	s->view.secret.ledger = s->ledger;
	plan_fold_written(&s->memory, &s->view, made, &written);
}

static void answer(struct scene *s, enum acmedns_verdict verdict)
{
	const struct acmedns_result result = {.verdict = verdict, .message = "disabled"};
	const struct acmedns_account account = {
		.username = "new", .password = "p", .subdomain = "new", .fulldomain = NAME2};

	expect(s, PLAN_REGISTER);
	plan_fold_posting(&s->memory, 0);
	plan_fold_registered(&s->memory, &s->view, 0, &result, &account);
}

/* Publishes, and compares two conditions and what was handled. */
static void publish(struct scene *s, const char *ready, const char *progress, const char *handled)
{
	struct plan_action action = {0};
	const struct api_condition *c = action.status.conditions;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_string_equal(api_reason_name(c[API_READY].reason), ready);
	assert_string_equal(c[API_RECONCILING].present ? api_reason_name(c[API_RECONCILING].reason)
						       : "",
			    progress);
	assert_string_equal(action.status.handled_rotate ? action.status.handled_rotate : "",
			    handled);
	api_status_done(&s->object->status);
	s->object->status = action.status; /* its texts too */
}

static void check(const struct scene *s, const char *accounts, const char *record)
{
	CLEANUP(mem_freep) char *text = mem_printf("{'a.test':%s}", record);
	CLEANUP(jv_freep) json_t *want = parse(text);
	CLEANUP(jv_freep) json_t *want_accounts = parse(accounts);
	CLEANUP(jv_freep) json_t *is_accounts = parse(s->values[0].data);
	CLEANUP(jv_freep) json_t *own = parse(s->values[1].data);

	if (!json_equal(is_accounts, want_accounts))
		fail_msg("%s", s->values[0].data);
	if (!json_equal(json_object_get(jv_object(own, "keys"), KEY), want))
		fail_msg("%s", s->values[1].data);
}

static void test_at_the_same_host(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	publish(&s, "Ready", "", "");
	expect(&s, PLAN_WAIT);
	ask(&s, "1");
	edit(&s);
	assert_true(s.memory.works[0].rotates);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'next':" NEW(HOST)));
	edit(&s);
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
	edit(&s);
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
	edit(&s);
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
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	ask(&s, "");
	edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'next':" NEW(HOST)));
	expect(&s, PLAN_WAIT);
	ask(&s, "2");
	edit(&s);
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
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	ask(&s, "2");
	edit(&s);
	edit(&s);
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
	edit(&s);
	assert_string_equal(s.memory.works[0].host, HOST);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
	edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}",
	      RECORD(HOST, ",'rotate':'1','retired':{'" OTHER "':" OLD(OTHER) "}"));
	publish(&s, "Ready", "", "1");

	free(s.object->spec.host); /* and back again */
	s.object->spec.host = mem_strdup(OTHER);
	publish(&s, "HostChanged", "", "1");
	ask(&s, "2");
	edit(&s);
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
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
	edit(&s);
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
	struct scene s;
	size_t i;

	(void)state;
	start(&s, OTHER, "");
	publish(&s, "HostChanged", "", "");
	for (i = 0; i < ARRAY_LEN(wrong); i++) {
		s.view.secret.same_server = wrong[i];
		expect(&s, PLAN_WAIT);
	}
	s.view.secret.same_server = "HTTPS://OTHER.test:443/ " HOST;
	edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ""));
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
	edit(&s);
	assert_false(s.memory.works[0].rotates);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
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
	edit(&s);
	publish(&s, "Ready", "", "1");
	expect(&s, PLAN_WAIT);
	scene_done(&s);
}

/* An account that vanished is made anew when the user asks. */
static void test_a_missing_account(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	set_secret(&s, "{}", "{'a.test':" RECORD(HOST, "") "}");
	publish(&s, "AccountMissing", "", "");
	ask(&s, "1");
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
	check(&s, "{'a.test':" NEW(HOST) "}", RECORD(HOST, ",'rotate':'1'"));
	scene_done(&s);
}

/* The claim was taken over by somebody else in the meantime: there is no place for the account. */
static void test_another_rotates_it(void **state)
{
	struct scene s;

	(void)state;
	start(&s, HOST, "");
	ask(&s, "1");
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	set_secret(&s, "{'a.test':" OLD(HOST) "}", "{'a.test':" RECORD(HOST, ",'rotate':'1'") "}");
	edit(&s);
	check(&s, "{'a.test':" OLD(HOST) "}", RECORD(HOST, ",'rotate':'1','uncertain':1"));
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
	edit(&s);
	answer(&s, ACMEDNS_REGISTERED);
	edit(&s);
	edit(&s);
	publish(&s, "Ready", "", "1");
	assert_string_equal(api_record_value(&s.object->status, "a.test"), NAME2);
	assert_string_equal(api_record_value(&s.object->status, "b.test"), NAME2);
	expect(&s, PLAN_WAIT);
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
		cmocka_unit_test(test_asked_before_there_was_one),
		cmocka_unit_test(test_asked_when_it_is_adopted),
		cmocka_unit_test(test_a_missing_account),
		cmocka_unit_test(test_another_rotates_it),
		cmocka_unit_test(test_rotation_is_needed),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
