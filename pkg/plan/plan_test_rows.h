/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_TEST_ROWS_H
#define PLAN_TEST_ROWS_H

/* The rows of the decision table, for plan_test.c and plan_work_test.c: a view and a memory, and
 * the one thing that plan() decides. */

#include "plan/plan_test_scene.h"

#define FOREIGN "{'a.test':" CLAIM("n-1") "}"
#define OF_TWO	"{'a.test':" REGISTERED_OF("uid-2") "}"

/* ---- what a row may say beyond its texts ---- */

static inline void stale(struct scene *s)
{
	s->view.secret.fresh = false;
}

static inline void read_failed_once(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 1, NOW + 700);
}

static inline void read_failed_often(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 3, NOW + 700);
}

static inline void read_failed_before(struct scene *s)
{
	s->memory.read = failure(API_REASON_SECRET_UNAVAILABLE, 3, NOW);
}

static inline void write_denied(struct scene *s)
{
	s->memory.write = failure(API_REASON_SECRET_DENIED, 1, NOW + 700);
}

static inline void refused(struct scene *s)
{
	s->memory.claim = failure(API_REASON_REGISTRATION_DENIED, 1, NOW + 700);
}

static inline void deleting(struct scene *s)
{
	s->object->deleting = true;
}

static inline void changed(struct scene *s)
{
	s->object->generation = 2;
}

static inline void host_unresolved(struct scene *s)
{
	s->view.host.state = PLAN_HOST_UNRESOLVED;
}

static inline void no_slots(struct scene *s)
{
	s->view.host.slots = 0;
}

static inline void posting(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_POSTING, "a.test", "n-1");
}

static inline void posting_b(struct scene *s)
{
	(void)add_work(s, PLAN_WORK_POSTING, "b.test", "n-2");
}

/* ---- the rows ---- */

struct row {
	const char *name;
	given_fn *given[5];
	const char *domains; /* these as in struct setting */
	const char *spec;
	const char *status;
	const char *accounts;
	const char *records;
	enum plan_what want;
	int64_t wake_ms; /* WAIT; 0 = never */
	unsigned int claims;
	enum api_reason ready; /* PATCH_STATUS: the reason that Ready gets */
	const char *owner;     /* ASK_OWNER: its name */
};

static inline void check_action(const struct row *row, const struct plan_action *action)
{
	int64_t wake_ms = row->wake_ms ? row->wake_ms : INT64_MAX;
	enum api_reason ready = action->status.conditions[API_READY].reason;

	if (action->what != row->want)
		fail_msg("%s: %s instead of %s", row->name, plan_what_name(action->what),
			 plan_what_name(row->want));
	if (action->what == PLAN_WAIT && action->wake_ms != wake_ms)
		fail_msg("%s: wakes at %lld", row->name, (long long)action->wake_ms);
	if (action->what == PLAN_EDIT_SECRET && action->claims != row->claims)
		fail_msg("%s: %u claims", row->name, action->claims);
	if (action->what == PLAN_PATCH_STATUS && ready != row->ready)
		fail_msg("%s: Ready says %s", row->name, api_reason_name(ready));
	if (row->owner && strcmp(action->owner_name, row->owner) != 0)
		fail_msg("%s: asks for %s", row->name, action->owner_name);
}

static inline void run(const struct row *rows, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		const struct row *row = &rows[i];
		struct plan_action action;
		struct scene scene;

		scene_set(&scene, &(struct setting){row->given, row->domains, row->spec,
						    row->status, row->accounts, row->records});
		plan(&scene.view, &scene.memory, &action);
		check_action(row, &action);
		plan_action_done(&action);
		scene_done(&scene);
	}
}

#endif
