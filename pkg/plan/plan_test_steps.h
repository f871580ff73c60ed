/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_TEST_STEPS_H
#define PLAN_TEST_STEPS_H

/* A scene played step by step: what plan() decides is done as the controller does it. */

#include "base/intern.h"
#include "plan/plan_test_scene.h"

#define OTHER "https://other.test"
#define NAME2 "22222222-2222-4222-8222-222222222222.auth.test"
#define ENTRY(user, full, url)                                                                     \
	"{'username':'" user "','password':'p','subdomain':'" user "','fulldomain':'" full         \
	"','allowfrom':[],'server_url':'" url "'}"
#define OLD(url)	  ENTRY("old", FULL, url)
#define NEW(url)	  ENTRY("new", NAME2, url)
#define RECORD(url, more) "{'owner':'uid-1','origin':'registered','host':'" url "'" more "}"

static inline void ask(struct scene *s, const char *value)
{
	intern_put(s->object->rotate);
	s->object->rotate = intern_get(value);
}

/* Spec and status as after a first visit; the accounts are at url. */
static inline void start(struct scene *s, const char *url, const char *spec)
{
	CLEANUP(mem_freep) char *accounts = mem_printf("{'a.test':" OLD("%s") "}", url);
	CLEANUP(mem_freep) char *records = mem_printf("{'a.test':" RECORD("%s", "") "}", url);

	scene_init(s);
	set_object(s, "['a.test']", spec, VISITED);
	set_secret(s, accounts, records);
}

static inline void expect(struct scene *s, enum plan_what what)
{
	struct plan_action action;

	plan(&s->view, &s->memory, &action);
	if (action.what != what)
		fail_msg("%s instead of %s", plan_what_name(action.what), plan_what_name(what));
	plan_action_done(&action);
}

/* The edit, the write, the fold; returns how many accounts were counted as uncertain. */
static inline unsigned int edit(struct scene *s)
{
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = s->view.now_ms};
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
	return made->uncertain;
}

static inline void answer(struct scene *s, enum acmedns_verdict verdict)
{
	const struct acmedns_result result = {.verdict = verdict, .message = "disabled"};
	const struct acmedns_account account = {
		.username = "new", .password = "p", .subdomain = "new", .fulldomain = NAME2};

	expect(s, PLAN_REGISTER);
	plan_fold_posting(&s->memory, 0);
	plan_fold_registered(&s->memory, &s->view, 0, &result, &account);
}

/* Publishes, and compares two conditions and what was handled. */
static inline void publish(struct scene *s, const char *ready, const char *progress,
			   const char *handled)
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

/* Both documents: all accounts, and all records of KEY. */
static inline void check_all(const struct scene *s, const char *accounts, const char *records)
{
	CLEANUP(jv_freep) json_t *want = parse(records);
	CLEANUP(jv_freep) json_t *want_accounts = parse(accounts);
	CLEANUP(jv_freep) json_t *is_accounts = parse(s->values[0].data);
	CLEANUP(jv_freep) json_t *own = parse(s->values[1].data);

	if (!json_equal(is_accounts, want_accounts))
		fail_msg("%s", s->values[0].data);
	if (!json_equal(json_object_get(jv_object(own, "keys"), KEY), want))
		fail_msg("%s", s->values[1].data);
}

/* Where a.test has the only record. */
static inline void check(const struct scene *s, const char *accounts, const char *record)
{
	CLEANUP(mem_freep) char *records = mem_printf("{'a.test':%s}", record);

	check_all(s, accounts, records);
}

#endif
