/* SPDX-License-Identifier: Apache-2.0 */

/* spec.secretTemplate: what is put onto the Secret, what is taken away, and what is told of it. */

#include "plan/plan_test_steps.h"

#define TEMPLATE(members) ",'secretTemplate':" members
#define TEAM		  TEMPLATE("{'labels':{'team':'a'}}")
#define OF(uid, value)	  "{'labels':{'team':{'owner':'" uid "','value':'" value "'}}}"
#define LABEL(value)	  "{'labels':{'team':'" value "'}}"
#define PART		  "x1234567890123456789012345678901234567890123456789"
#define LONG_NAME	  PART "." PART "." PART "." PART
#define LONG_KEY	  LONG_NAME ".example/" PART

/* An object with an account in a Secret that we made; template: what our document says. */
static void begin(struct scene *s, const char *spec, const char *template, const char *metadata)
{
	CLEANUP(jv_freep) json_t *json = parse(metadata);
	CLEANUP(mem_freep)
	char *own = mem_printf("{'version':1,'created':true,'owners':{'uid-1':'one','uid-2':'two',"
			       "'uid-4':'" LABEL_64 "','uid-5':'" LONG_NAME "'},'keys':{'" KEY
			       "':" A_OURS "},'template':%s}",
			       template);

	scene_init(s);
	set_object(s, "['a.test']", spec, VISITED);
	set_secret(s, A_ACCOUNT, A_OURS);
	free(s->values[1].data);
	s->values[1].data = quoted(own);
	s->values[1].len = strlen(own);
	ledger_free(s->ledger);
	s->ledger = open_ledger(s);
	ledger_set_metadata(s->ledger, json);
	s->view.secret.ledger = s->ledger;
}

/* What was put for the object gets another value, or goes. */
static bool are_others_concerned(const struct scene *s, json_t *patch)
{
	const char *kind;
	const char *key;
	json_t *tags;
	json_t *value;

	json_object_foreach(patch, kind, tags)
		json_object_foreach(tags, key, value) {
			struct ledger_tag tag;

			ledger_look_tag(s->ledger, strcmp(kind, "annotations") == 0, key, &tag);
			if (strcmp(tag.owner, "uid-1") == 0 &&
			    (json_is_null(value) || strcmp(tag.put, json_string_value(value)) != 0))
				return true;
		}
	return false;
}

/* What an edit makes of the Secret's metadata; NULL: nothing is to be written at all. */
static void expect_tags(struct scene *s, const char *metadata, const char *expected)
{
	CLEANUP(mem_freep) struct plan_edit *made = mem_zalloc(sizeof(*made));
	CLEANUP(ledger_freep) struct ledger *ledger = open_ledger(s);
	CLEANUP(jv_freep) json_t *have = metadata ? parse(metadata) : NULL;
	CLEANUP(jv_freep) json_t *want = parse(expected ? expected : "{}");
	CLEANUP(jv_freep) json_t *patch = json_object();

	ledger_set_metadata(ledger, have);
	plan_edit(&s->view, &s->memory, ledger, made);
	ledger_write_tags(ledger, patch);
	if (!json_equal(patch, want))
		fail_msg("instead of %s", expected ? expected : "nothing");
	assert_int_equal(ledger_changed(ledger), expected != NULL);
	assert_int_equal(made->retagged, are_others_concerned(s, want));
}

/* What Ready and SecretReady say, both True. */
static void expect_told(struct scene *s, enum api_reason reason, const char *says)
{
	struct plan_action action = {0};
	const struct api_condition *c = action.status.conditions;

	plan(&s->view, &s->memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_int_equal(c[API_READY].status, API_TRUE);
	assert_int_equal(c[API_READY].reason, reason);
	assert_false(c[API_STALLED].present || c[API_RECONCILING].present);
	assert_int_equal(c[API_SECRET_READY].status, API_TRUE);
	if (reason == API_REASON_TEMPLATE_CONFLICT)
		assert_string_equal(c[API_SECRET_READY].message, c[API_READY].message);
	if (!strstr(c[API_READY].message, says))
		fail_msg("%s: not %s", c[API_READY].message, says);
	plan_action_done(&action);
}

static void test_one_object(void **state)
{
	static const struct {
		const char *spec;
		const char *template;
		const char *metadata;
		const char *patch; /* NULL: none */
		const char *says;  /* NULL: no conflict */
	} cases[] = {
		{TEAM, "{}", "{}", LABEL("a"), NULL},
		{TEMPLATE("{'annotations':{'n':'x'}}"), "{}", "{}", "{'annotations':{'n':'x'}}",
		 NULL},
		{TEAM, "{}", LABEL("a"), NULL, NULL},
		{TEAM, "{}", LABEL("x"), NULL, "the label team was set otherwise by somebody else"},
		{TEMPLATE("{'annotations':{'n':'x'}}"), "{}", "{'annotations':{'n':'y'}}", NULL,
		 "the annotation n was"},
		{TEAM, OF("uid-1", "a"), LABEL("a"), NULL, NULL},
		{TEAM, OF("uid-1", "a"), "{}", LABEL("a"), NULL},
		{TEAM, OF("uid-1", "a"), LABEL("x"), NULL, "somebody else"},
		{TEAM, OF("uid-1", "b"), LABEL("b"), LABEL("a"), NULL},
		{TEAM, OF("uid-1", "b"), LABEL("a"), "{}", NULL},
		{"", OF("uid-1", "a"), LABEL("a"), "{'labels':{'team':null}}", NULL},
		{TEMPLATE("{'annotations':{'team':'a'}}"), OF("uid-1", "a"), LABEL("a"),
		 "{'labels':{'team':null},'annotations':{'team':'a'}}", NULL},
		{"", OF("uid-2", "a"), LABEL("a"), NULL, NULL},
		{TEAM, OF("uid-2", "a"), LABEL("a"), NULL, NULL},
		{TEAM, OF("uid-9", "b"), LABEL("b"), LABEL("a"), NULL},
		{TEMPLATE("{'labels':{'x':'y','team':'a'}}"), "{}", LABEL("b"),
		 "{'labels':{'x':'y'}}", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s;

		begin(&s, cases[i].spec, cases[i].template, cases[i].metadata);
		if (cases[i].patch)
			expect(&s, PLAN_EDIT_SECRET);
		else if (cases[i].says)
			expect_told(&s, API_REASON_TEMPLATE_CONFLICT, cases[i].says);
		else
			expect_told(&s, API_REASON_READY, "");
		expect_tags(&s, cases[i].metadata, cases[i].patch);
		scene_done(&s);
	}
}

/* uid-2 is asked for: what it wants. NULL: it is gone. */
static void answer_for(struct scene *s, const char *owner_spec, bool deleting)
{
	struct api_registration *owner =
		owner_spec ? make_object("['b.test']", owner_spec, VISITED) : NULL;

	if (owner) {
		free(owner->uid);
		owner->uid = mem_strdup("uid-2");
		owner->deleting = deleting;
	}
	plan_fold_owner(&s->memory, &s->view, "uid-2", owner);
	api_free(owner);
}

static void test_another_owner(void **state)
{
	static const struct {
		const char *spec;
		bool deleting;
		bool held;
	} cases[] = {
		{TEMPLATE("{'labels':{'more':'m','team':'b'}}"), false, true},
		{TEMPLATE("{'labels':{'team':'b'}}"), true, false},
		{TEMPLATE("{'annotations':{'team':'b'}}"), false, false},
		{"", false, false},
		{NULL, false, false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan_action action;
		struct scene s;

		begin(&s, TEAM, OF("uid-2", "b"), LABEL("b"));
		plan(&s.view, &s.memory, &action);
		assert_int_equal(action.what, PLAN_ASK_OWNER);
		assert_string_equal(action.owner_uid, "uid-2");
		assert_string_equal(action.owner_name, "two");
		expect_tags(&s, LABEL("b"), NULL);
		answer_for(&s, cases[i].spec, cases[i].deleting);
		if (cases[i].held)
			expect_told(&s, API_REASON_TEMPLATE_CONFLICT,
				    "by the AcmeDnsRegistration two");
		else
			expect(&s, PLAN_EDIT_SECRET);
		expect_tags(&s, LABEL("b"), cases[i].held ? NULL : LABEL("a"));
		scene_done(&s);
	}
}

/* The edit is made on another reading than the question. */
static void test_owner_changes_meanwhile(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, TEAM, OF("uid-4", "b"), LABEL("b"));
	answer_for(&s, TEMPLATE("{'labels':{'team':'b'}}"), false);
	expect(&s, PLAN_ASK_OWNER);
	s.view.secret.ledger = NULL;
	answer_for(&s, NULL, false);
	s.view.secret.ledger = s.ledger;
	expect(&s, PLAN_ASK_OWNER);
	scene_done(&s);
}

/* Whoever is named for the first tag wants it. */
static void is_held(struct scene *s)
{
	s->memory.owner = (struct plan_owner){.generation = 1, .asked_ms = NOW, .since_ms = NOW};
	s->memory.owner.held[API_MAX_DOMAINS / 64] = UINT64_C(1) << (API_MAX_DOMAINS % 64);
}

static void test_longest_names(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, TEMPLATE("{'annotations':{'" LONG_KEY "':'a'}}"),
	      "{'annotations':{'" LONG_KEY "':{'owner':'uid-5','value':'b'}}}",
	      "{'annotations':{'" LONG_KEY "':'b'}}");
	is_held(&s);
	expect_told(&s, API_REASON_TEMPLATE_CONFLICT, "by the AcmeDnsRegistration " LONG_NAME);
	scene_done(&s);
}

static void test_owner_without_a_name(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, TEAM, OF("uid-4", "b"), LABEL("b"));
	is_held(&s);
	expect_told(&s, API_REASON_TEMPLATE_CONFLICT, "of another name");
	scene_done(&s);
}

/* A living owner of the same value puts it back itself. Two that are to be asked: one by one. */
static void test_same_value(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, TEAM, OF("uid-2", "a"), "{}");
	expect(&s, PLAN_ASK_OWNER);
	answer_for(&s, TEAM, false);
	expect_told(&s, API_REASON_READY, "");
	scene_done(&s);
	begin(&s, TEMPLATE("{'labels':{'x':'1','y':'1'}}"),
	      "{'labels':{'x':{'owner':'uid-2','value':'2'},'y':{'owner':'uid-2','value':'2'}}}",
	      "{'labels':{'x':'2','y':'2'}}");
	expect(&s, PLAN_ASK_OWNER);
	answer_for(&s, TEMPLATE("{'labels':{'x':'2','y':'2'}}"), false);
	expect_told(&s, API_REASON_TEMPLATE_CONFLICT, "the label x");
	scene_done(&s);
}

static void test_no_room(void **state)
{
	CLEANUP(mem_freep) char *text = mem_alloc(256 * 1024);
	CLEANUP(mem_freep) char *metadata = NULL;
	struct scene s;

	(void)state;
	memset(text, 'x', 256 * 1024 - 1);
	text[256 * 1024 - 1] = '\0';
	metadata = mem_printf("{'annotations':{'n':'%s'}}", text);
	begin(&s, TEMPLATE("{'annotations':{'k':'v'}}"), "{}", metadata);
	expect_told(&s, API_REASON_TEMPLATE_CONFLICT, "the annotation k does not fit");
	expect_tags(&s, metadata, NULL);
	scene_done(&s);
}

/* Not by us: adopted, or of an older version of us. */
static void test_secret_of_others(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", TEAM, VISITED);
	set_secret(&s, A_ACCOUNT, A_OURS);
	expect_told(&s, API_REASON_TEMPLATE_CONFLICT, "was not made by this operator");
	expect_tags(&s, "{}", NULL);
	scene_done(&s);
}

/* With the claim that makes the Secret, and not without one. */
static void test_secret_to_be_made(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	set_object(&s, "['a.test']", TEAM, VISITED);
	absent(&s);
	expect(&s, PLAN_EDIT_SECRET);
	expect_tags(&s, NULL, LABEL("a"));
	host_failed(&s);
	expect_tags(&s, NULL, NULL);
	scene_done(&s);
}

static void leave(struct scene *s)
{
	add_finalizer(s, API_FINALIZER);
	s->object->deleting = true;
}

/* Under Delete all goes, even where only a label is left. */
static void test_deletion(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, TEAM ",'deletionPolicy':'Delete'", OF("uid-1", "a"), LABEL("a"));
	leave(&s);
	expect(&s, PLAN_EDIT_SECRET);
	expect_tags(&s, LABEL("a"), "{'labels':{'team':null}}");
	free(s.object->uid);
	s.object->uid = mem_strdup("uid-2");
	expect(&s, PLAN_PATCH_FINALIZER);
	scene_done(&s);
	begin(&s, TEAM ",'deletionPolicy':'Delete'", OF("uid-2", "a"), LABEL("a"));
	free(s.object->uid);
	s.object->uid = mem_strdup("uid-2");
	leave(&s);
	expect(&s, PLAN_EDIT_SECRET);
	scene_done(&s);
}

/* "*.x" and "x" are two names of one record, and need two TXT values. */
static void test_too_many_names(void **state)
{
	static const struct {
		const char *domains;
		const char *policy;
		enum api_reason reason;
	} cases[] = {
		{"['a.test','*.a.test']", SHARED, API_REASON_READY},
		{"['a.test','*.a.test','A.test.']", SHARED, API_REASON_READY},
		{"['a.test','*.a.test','b.test']", SHARED, API_REASON_TOO_MANY_NAMES},
		{"['a.test','*.a.test','b.test']", "", API_REASON_ROTATION_NEEDED},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s;

		scene_init(&s);
		set_object(&s, cases[i].domains, cases[i].policy, VISITED);
		set_secret(&s, "{'a.test':" ACCOUNT ",'b.test':" ACCOUNT "}",
			   "{'a.test':" REGISTERED ",'b.test':" REGISTERED "}");
		expect_told(&s, cases[i].reason, "");
		scene_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_object),
		cmocka_unit_test(test_another_owner),
		cmocka_unit_test(test_owner_changes_meanwhile),
		cmocka_unit_test(test_owner_without_a_name),
		cmocka_unit_test(test_longest_names),
		cmocka_unit_test(test_same_value),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_secret_of_others),
		cmocka_unit_test(test_secret_to_be_made),
		cmocka_unit_test(test_deletion),
		cmocka_unit_test(test_too_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
