/* SPDX-License-Identifier: Apache-2.0 */

/* What status says: each row is a view and a memory, and the conditions and records that follow.
 * Ready comes from the two before it; Reconciling and Stalled from Ready. */

#include "plan/plan_test_scene.h"

/* ---- what a row may say beyond its texts ---- */

static void read_denied(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_DENIED, 1, NOW + 700);
}

static void unavailable(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 3, NOW + 700);
}

static void terminating(struct scene *s)
{
	s->memory.write = failure(API_REASON_NAMESPACE_TERMINATING, 1, NOW + 700);
}

static void write_immutable(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_IMMUTABLE, 1, NOW + 700);
}

static void write_unavailable(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_UNAVAILABLE, 2, NOW + 700);
}

static void too_large(struct scene *s)
{
	s->memory.claim = failure(API_REASON_SECRET_TOO_LARGE, 1, NOW + 700);
}

static void bad_allow_from(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_ALLOW_FROM, 1, NOW + 700);
	(void)snprintf(s->memory.claim_message, sizeof(s->memory.claim_message), "said no");
}

static void no_server(struct scene *s)
{
	s->memory.claim = failure(API_REASON_SERVER_UNAVAILABLE, 1, NOW + 700);
	(void)snprintf(s->memory.claim_message, sizeof(s->memory.claim_message), "timed out");
}

static void reference_missing(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, NOW + 700);
	(void)snprintf(s->memory.claim_message, sizeof(s->memory.claim_message), "not there");
}

static void reference_hopeless(struct scene *s)
{
	s->memory.claim = failure(API_REASON_INVALID_REFERENCE, 1, INT64_MAX);
	(void)snprintf(s->memory.claim_message, sizeof(s->memory.claim_message), "no PEM");
}

static void four_holds_a(struct scene *s)
{
	set_owner(s, "uid-4", 0, 1);
}

/* ---- rows ---- */

struct row {
	const char *name;
	given_fn *given[3];
	const char *domains; /* these as in struct setting */
	const char *spec;
	const char *status;
	const char *accounts;
	const char *records;
	const char *registered; /* "False HostChanged" */
	const char *secret_ready;
	const char *ready;
	const char *progress; /* "Stalled HostChanged" or "Reconciling Progressing"; "" = neither */
	const char *says;     /* in the message of Ready */
	const char *value;    /* of the record of the first domain; "" = none */
};

static const char *text_of(const struct api_status *status, enum api_type type, char text[80])
{
	static const char *const values[] = {"Unknown", "True", "False"};
	const struct api_condition *condition = &status->conditions[type];

	if (!condition->present)
		return "";
	assert_int_equal(condition->observed_generation, 1);
	(void)snprintf(text, 80, "%s %s", values[condition->status],
		       api_reason_name(condition->reason));
	return text;
}

static const char *progress_of(const struct api_status *status, char text[80])
{
	enum api_type type =
		status->conditions[API_STALLED].present ? API_STALLED : API_RECONCILING;

	if (!status->conditions[type].present)
		return "";
	assert_false(status->conditions[API_STALLED].present &&
		     status->conditions[API_RECONCILING].present);
	assert_int_equal(status->conditions[type].status, API_TRUE);
	(void)snprintf(text, 80, "%s %s", api_type_name(type),
		       api_reason_name(status->conditions[type].reason));
	return text;
}

static void expect(const struct row *row, const char *what, const char *is, const char *want)
{
	if (strcmp(is, want) != 0)
		fail_msg("%s: %s is \"%s\" instead of \"%s\"", row->name, what, is, want);
}

static void check_row(const struct row *row, const struct api_status *status,
		      const struct api_spec *spec)
{
	const char *value = api_record_value(status, spec->domains[0]);
	const char *message = status->conditions[API_READY].message;
	char text[80];

	expect(row, "Registered", text_of(status, API_REGISTERED, text), row->registered);
	expect(row, "SecretReady", text_of(status, API_SECRET_READY, text), row->secret_ready);
	expect(row, "Ready", text_of(status, API_READY, text), row->ready);
	expect(row, "progress", progress_of(status, text), row->progress);
	expect(row, "record", value ? value : "", row->value);
	expect(row, "CredentialsValid", text_of(status, API_CREDENTIALS_VALID, text),
	       "Unknown NotProbed");
	expect(row, "CNAMEReady", text_of(status, API_CNAME_READY, text),
	       "Unknown VerificationDisabled");
	if (row->says && !strstr(message, row->says))
		fail_msg("%s: Ready says: %s", row->name, message);
	message = status->conditions[API_REGISTERED].message;
	if (strcmp(row->registered, "Unknown Registering") == 0 &&
	    strncmp(row->secret_ready, "False", 5) == 0 && !strstr(message, "see SecretReady"))
		fail_msg("%s: Registered says: %s", row->name, message);
}

static void run(const struct row *rows, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		const struct row *row = &rows[i];
		struct plan_action action;
		struct scene scene;

		scene_set(&scene, &(struct setting){row->given, row->domains, row->spec,
						    row->status, row->accounts, row->records});
		plan(&scene.view, &scene.memory, &action);
		if (action.what != PLAN_PATCH_STATUS)
			fail_msg("%s: %s", row->name, plan_what_name(action.what));
		check_row(row, &action.status, &scene.object->spec);
		plan_action_done(&action);
		scene_done(&scene);
	}
}

#define REGISTERING "Unknown Registering"
#define PROGRESSING "Reconciling Progressing"
#define RETRYING    "Reconciling ProgressingWithRetry"

static const struct row registered[] = {
	{"all there", .accounts = A_ACCOUNT, .records = A_OURS, .registered = "True Registered",
	 .secret_ready = "True Stored", .ready = "True Ready", .progress = "", .value = FULL},
	{"waiting for another's claim", ON(watched), .records = "{'a.test':" CLAIM("n-1") "}",
	 .registered = REGISTERING, .secret_ready = REGISTERING, .ready = REGISTERING,
	 .progress = PROGRESSING, .value = ""},
	{"the same, and the host is of no interest", ON(watched, host_failed),
	 .records = "{'a.test':" CLAIM("n-1") "}", .registered = REGISTERING,
	 .secret_ready = REGISTERING, .ready = REGISTERING, .progress = PROGRESSING, .value = ""},
	{"no address", ON(host_failed), .registered = "False ServerUnavailable",
	 .secret_ready = REGISTERING, .ready = "False ServerUnavailable", .progress = RETRYING,
	 .says = "no address", .value = ""},
	{"an address not allowed", ON(host_refused), .registered = "False HostAddressRefused",
	 .secret_ready = REGISTERING, .ready = "False HostAddressRefused",
	 .progress = "Stalled HostAddressRefused", .says = "loopback", .value = ""},
	{"a server that fails", ON(host_down), .registered = "False ServerUnavailable",
	 .secret_ready = REGISTERING, .ready = "False ServerUnavailable", .progress = RETRYING,
	 .says = "it fails", .value = ""},
	{"a host not allowed", ON(host_not_allowed), .registered = "False HostNotAllowed",
	 .secret_ready = REGISTERING, .ready = "False HostNotAllowed",
	 .progress = "Stalled HostNotAllowed", .says = "--allowed-hosts", .value = ""},
	{"the same, and all there", ON(host_not_allowed), .accounts = A_ACCOUNT, .records = A_OURS,
	 .registered = "True Registered", .secret_ready = "True Stored", .ready = "True Ready",
	 .progress = "", .value = FULL},
	{"no answer", ON(no_server), .registered = "False ServerUnavailable",
	 .secret_ready = REGISTERING, .ready = "False ServerUnavailable", .progress = RETRYING,
	 .says = "timed out", .value = ""},
	{"allowFrom refused", ON(bad_allow_from), .registered = "False InvalidAllowFrom",
	 .secret_ready = REGISTERING, .ready = "False InvalidAllowFrom",
	 .progress = "Stalled InvalidAllowFrom", .says = "said no", .value = ""},
	{"what the spec refers to is missing", ON(reference_missing),
	 .registered = "False InvalidReference", .secret_ready = REGISTERING,
	 .ready = "False InvalidReference", .progress = "Reconciling ProgressingWithRetry",
	 .says = "not there", .value = ""},
	{"what the spec itself holds is no use", ON(reference_hopeless),
	 .registered = "False InvalidReference", .secret_ready = REGISTERING,
	 .ready = "False InvalidReference", .progress = "Stalled InvalidReference",
	 .says = "no PEM", .value = ""},
	{"of another", ON(two_holds_a), .domains = AB, .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") ",'b.test':" CLAIM("n-1") "}",
	 .status = NAMED("a.test"), .registered = "False DomainConflict",
	 .secret_ready = REGISTERING, .ready = "False DomainConflict",
	 .progress = "Stalled DomainConflict", .says = "a.test belongs", .value = ""},
	{"of another, whose name cannot be repeated", ON(four_holds_a), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-4") "}", .registered = "False DomainConflict",
	 .secret_ready = REGISTERING, .ready = "False DomainConflict",
	 .progress = "Stalled DomainConflict", .says = "AcmeDnsRegistration of another name",
	 .value = ""},
	{"at another host", .accounts = "{'a.test':" ACCOUNT_AT("https://x.test") "}",
	 .records = A_OURS, .registered = "False HostChanged", .secret_ready = REGISTERING,
	 .ready = "False HostChanged", .progress = "Stalled HostChanged",
	 .says = API_ANNOTATION_SAME_SERVER "=\"https://x.test " HOST "\"", .value = FULL},
	{"at what is no host", .accounts = "{'a.test':" ACCOUNT_AT("https://x.test x") "}",
	 .records = A_OURS, .registered = "False HostChanged", .secret_ready = REGISTERING,
	 .ready = "False HostChanged", .progress = "Stalled HostChanged",
	 .says = API_ANNOTATION_ROTATE "=<a new value>", .value = FULL},
	{"vanished", .status = NAMED("a.test"), .registered = "False AccountMissing",
	 .secret_ready = REGISTERING, .ready = "False AccountMissing",
	 .progress = "Reconciling ProgressingWithRetry", .says = "a.test had", .value = FULL},
	{"incomplete", .accounts = "{'a.test':{}}", .records = "{}",
	 .registered = "False AccountIncomplete", .secret_ready = REGISTERING,
	 .ready = "False AccountIncomplete", .progress = "Stalled AccountIncomplete",
	 .says = "a.test has an entry", .value = ""},
	{"incomplete, named before", .accounts = "{'a.test':{}}", .records = "{}",
	 .status = NAMED("a.test"), .registered = "False AccountIncomplete",
	 .secret_ready = REGISTERING, .ready = "False AccountIncomplete",
	 .progress = "Stalled AccountIncomplete", .value = FULL},
	{"the first obstacle of several", .domains = AB, .accounts = "{'b.test':{}}",
	 .records = A_OURS, .registered = "False AccountMissing", .secret_ready = REGISTERING,
	 .ready = "False AccountMissing", .progress = "Reconciling ProgressingWithRetry",
	 .value = ""},
	{"not supported", ON(unparsable), .spec = ",'suspend':1", .status = NAMED("a.test"),
	 .registered = "False UnsupportedField", .secret_ready = REGISTERING,
	 .ready = "False UnsupportedField", .progress = "Stalled UnsupportedField",
	 .says = "spec.suspend", .value = FULL},
	{"not supported, and the Secret is not even read", ON(unread), .spec = ",'suspend':1",
	 .registered = "False UnsupportedField", .secret_ready = REGISTERING,
	 .ready = "False UnsupportedField", .progress = "Stalled UnsupportedField", .value = ""},
};

static void test_registered(void **state)
{
	(void)state;
	run(registered, ARRAY_LEN(registered));
}

/* A message holds whole URLs, or none. */
static void test_a_host_with_a_long_url(void **state)
{
	CLEANUP(mem_freep)
	char *accounts =
		mem_printf("{'a.test':" ACCOUNT_AT("https://x.test/%0*d") "}", URL_LEN / 2, 0);
	const struct row row = {"a long URL",
				.accounts = accounts,
				.records = A_OURS,
				.registered = "False HostChanged",
				.secret_ready = REGISTERING,
				.ready = "False HostChanged",
				.progress = "Stalled HostChanged",
				.says = "=\"<old URL> <new URL>\"",
				.value = FULL};

	(void)state;
	run(&row, 1);
}

static const struct row secret_ready[] = {
	{"another type", ON(not_opaque), .registered = REGISTERING,
	 .secret_ready = "False SecretNotAdopted", .ready = "False SecretNotAdopted",
	 .progress = "Stalled SecretNotAdopted", .says = "Opaque", .value = ""},
	{"nobody's", .accounts = "{}", .registered = REGISTERING,
	 .secret_ready = "False SecretNotAdopted", .ready = "False SecretNotAdopted",
	 .progress = "Stalled SecretNotAdopted", .says = API_ANNOTATION_ADOPT, .value = ""},
	{"unparsable, named before", ON(unparsable), .status = NAMED("a.test"),
	 .registered = REGISTERING, .secret_ready = "False SecretUnparsable",
	 .ready = "False SecretUnparsable", .progress = "Stalled SecretUnparsable",
	 .says = "it is damaged", .value = FULL},
	{"immutable", ON(immutable), .registered = REGISTERING,
	 .secret_ready = "False SecretImmutable", .ready = "False SecretImmutable",
	 .progress = "Stalled SecretImmutable", .says = "immutable", .value = ""},
	{"immutable, as the API server says", ON(write_immutable), .registered = REGISTERING,
	 .secret_ready = "False SecretImmutable", .ready = "False SecretImmutable",
	 .progress = "Stalled SecretImmutable", .value = ""},
	{"immutable, and the owner is not known", ON(immutable), .accounts = A_ACCOUNT,
	 .records = "{'a.test':" REGISTERED_OF("uid-2") "}", .status = NAMED("a.test"),
	 .registered = REGISTERING, .secret_ready = "False SecretImmutable",
	 .ready = "False SecretImmutable", .progress = "Stalled SecretImmutable", .value = FULL},
	{"immutable, but whole", ON(immutable), .accounts = A_ACCOUNT, .records = A_OURS,
	 .registered = "True Registered", .secret_ready = "True Stored", .ready = "True Ready",
	 .progress = "", .value = FULL},
	{"full", ON(too_large), .registered = REGISTERING, .secret_ready = "False SecretTooLarge",
	 .ready = "False SecretTooLarge", .progress = "Stalled SecretTooLarge", .says = "1 MiB",
	 .value = ""},
	{"may not be read", ON(read_denied), .registered = REGISTERING,
	 .secret_ready = "False SecretDenied", .ready = "False SecretDenied", .progress = RETRYING,
	 .says = "RBAC", .value = ""},
	{"cannot be read", ON(unavailable), .status = NAMED("a.test"), .registered = REGISTERING,
	 .secret_ready = "False SecretUnavailable", .ready = "False SecretUnavailable",
	 .progress = RETRYING, .says = "does not answer", .value = FULL},
	{"the namespace goes", ON(terminating), .registered = REGISTERING,
	 .secret_ready = "False NamespaceTerminating", .ready = "False NamespaceTerminating",
	 .progress = RETRYING, .says = "terminated", .value = ""},
	{"the namespace goes, but nothing is missing", ON(terminating), .accounts = A_ACCOUNT,
	 .records = A_OURS, .registered = "True Registered", .secret_ready = "True Stored",
	 .ready = "True Ready", .progress = "", .value = FULL},
	{"a write did not come through twice: no news", ON(write_unavailable),
	 .registered = REGISTERING, .secret_ready = REGISTERING, .ready = REGISTERING,
	 .progress = PROGRESSING, .value = ""},
};

static void test_secret_ready(void **state)
{
	(void)state;
	run(secret_ready, ARRAY_LEN(secret_ready));
}

/* ---- the visit ---- */

#define READY_AT(generation, reason, more)                                                         \
	"{'observedGeneration':" generation ",'conditions':[{'type':'Ready','status':'True',"      \
	"'reason':'" reason "','message':'m','observedGeneration':" generation                     \
	",'lastTransitionTime':'2026-11-24T10:00:00Z'}" more                                       \
	"],'records':[{'domain':'old.test','value':'" FULL "'}]}"

/* What is known stays as it is, of the spec that it was true for. */
static void test_visit(void **state)
{
	struct plan_action action;
	struct scene scene;

	(void)state;
	scene_init(&scene);
	set_object(&scene, AB, "",
		   READY_AT("1", "Ready",
			    ",{'type':'Stalled','status':'True','reason':'HostChanged',"
			    "'message':'m'}"));
	scene.object->generation = 2;
	plan(&scene.view, &scene.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_int_equal(action.status.observed_generation, 2);
	assert_int_equal(action.status.conditions[API_READY].status, API_TRUE);
	assert_int_equal(action.status.conditions[API_READY].observed_generation, 1);
	assert_int_equal(action.status.conditions[API_REGISTERED].status, API_UNKNOWN);
	assert_int_equal(action.status.conditions[API_REGISTERED].observed_generation, 2);
	assert_int_equal(action.status.conditions[API_RECONCILING].status, API_TRUE);
	assert_false(action.status.conditions[API_STALLED].present);
	assert_string_equal(api_record_value(&action.status, "old.test"), FULL);
	assert_int_equal(plan_news(scene.object, &action.status), 0);
	plan_action_done(&action);
	scene_done(&scene);
}

/* A new process proves itself by a patch that changes nothing but the progress. */
static void test_proof(void **state)
{
	struct plan_action action;
	struct scene scene;

	(void)state;
	scene_init(&scene);
	not_proven(&scene);
	plan(&scene.view, &scene.memory, &action);
	assert_int_equal(action.what, PLAN_PATCH_STATUS);
	assert_int_equal(action.status.conditions[API_READY].status, API_UNKNOWN);
	assert_int_equal(plan_news(scene.object, &action.status), 0);
	plan_action_done(&action);
	scene_done(&scene);
}

static void check_changed(const char *before, enum api_status_value value, enum api_reason reason,
			  bool changed)
{
	CLEANUP(api_freep) struct api_registration *object = make_object(AB, "", before);
	CLEANUP(api_status_donep) struct api_status after;

	api_status_init(&after, 1);
	api_status_set(&after, API_READY, value, reason, "");
	assert_int_equal(plan_news(object, &after), changed ? PLAN_NEWS_READY : 0);
}

/* An event tells of a new reason of Ready, but not that nothing is known yet. */
static void test_ready_changed(void **state)
{
	(void)state;
	check_changed("{}", API_UNKNOWN, API_REASON_REGISTERING, false);
	check_changed("{}", API_TRUE, API_REASON_READY, true);
	check_changed(READY_AT("1", "Ready", ""), API_TRUE, API_REASON_READY, false);
	check_changed(READY_AT("1", "Ready", ""), API_FALSE, API_REASON_HOST_CHANGED, true);
	check_changed(READY_AT("1", "Ready", ""), API_UNKNOWN, API_REASON_REGISTERING, false);
	check_changed(READY_AT("1", "Stored", ""), API_TRUE, API_REASON_READY, true);
	check_changed(VISITED, API_FALSE, API_REASON_REGISTERING, true);
}

#define ROTATED(value)                                                                             \
	"{'observedGeneration':1," READY_STATUS ",'lastHandled':{'rotate':'" value "'}"            \
	",'records':[{'domain':'a.test','value':'" FULL "'},{'domain':'b.test','value':'" FULL     \
	"'}]}"

static void check_rotated(const char *before, const char *handled, const char *value, bool rotated)
{
	CLEANUP(api_freep) struct api_registration *object = make_object(AB, "", before);
	CLEANUP(api_status_donep) struct api_status after;

	api_status_init(&after, 1);
	api_status_set(&after, API_READY, API_UNKNOWN, API_REASON_REGISTERING, "");
	api_status_set_handled(&after, handled, NULL, NULL);
	api_status_add_record(&after, "b.test", value);
	assert_int_equal(plan_news(object, &after), rotated ? PLAN_NEWS_ROTATED : 0);
}

/* Another account, and no rotation left to do: only then is one done. */
static void test_rotated(void **state)
{
	(void)state;
	check_rotated(ROTATED("1"), "2", "new.auth.test", true);
	check_rotated(NAMED("b.test"), "1", "new.auth.test", true);
	check_rotated(ROTATED("1"), "1", "new.auth.test", false);
	check_rotated(NAMED("b.test"), NULL, "new.auth.test", false);
	check_rotated(ROTATED("1"), "2", FULL, false);
	check_rotated(NAMED("a.test"), "1", "new.auth.test", false);
	check_rotated(VISITED, "1", "new.auth.test", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registered),   cmocka_unit_test(test_a_host_with_a_long_url),
		cmocka_unit_test(test_secret_ready), cmocka_unit_test(test_visit),
		cmocka_unit_test(test_proof),	     cmocka_unit_test(test_ready_changed),
		cmocka_unit_test(test_rotated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
