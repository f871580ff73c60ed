/* SPDX-License-Identifier: Apache-2.0 */

/* A Secret that cannot be read; a status that cannot be written, is not kept, or taken back. */

#include "controller/controller_test_world.h"

/* ---- reads ---- */

static void test_reading_fails(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_fault(w, GET_SECRET, 403, 1);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "SecretReady", "SecretDenied"));
	assert_int_equal(w->peer.posts, 0);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(peer_count(&w->peer, GET_SECRET), 2);
}

/* Nobody who wants to write is left behind when the reading that a conflict needs fails. */
static void fail_next_read(struct peer *peer, const char *request)
{
	if (!strstr(request, CREATE_SECRET))
		return;
	peer->before = NULL;
	peer_fail(peer, &(struct peer_fault){.what = CREATE_SECRET, .status = 409, .times = 1});
	peer_fail(peer, &(struct peer_fault){.what = GET_SECRET,
					     .status = 503,
					     .times = 1,
					     .headers = "Retry-After: 1"});
}

static void test_reading_after_a_conflict_fails(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.before = fail_next_read;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(peer_count(&w->peer, CREATE_SECRET), 2);
	assert_int_equal(w->peer.posts, 1);
}

/* ---- status ---- */

static void test_status_is_refused_for_a_while(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_fault(w, PATCH_STATUS, 403, 3);
	given_fault(w, PATCH_STATUS, 409, 1);
	peer_fail(&w->peer, &(struct peer_fault){.what = PATCH_STATUS,
						 .status = 429,
						 .times = 1,
						 .headers = "Retry-After: 1"});
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_true(has_metric(w, "controller_runtime_reconcile_total{controller="
				  "\"acmednsregistration\",result=\"error\"} 5"));
}

/* An API server that takes a status and keeps nothing of it is not asked in a circle. */
static void test_status_is_not_kept(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *body = NULL;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	body = json_dumps(json_object_get(w->peer.registrations, "a"), 0);
	peer_fail(&w->peer, &(struct peer_fault){
				    .what = PATCH_STATUS, .status = 200, .times = 2, .body = body});
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_true(has_metric(w, "controller_runtime_reconcile_total{controller="
				  "\"acmednsregistration\",result=\"error\"} 2"));
}

/* Somebody who takes back whatever we say: we do not answer at full speed for ever. */
static void undo_status(struct peer *peer, const char *request)
{
	json_t *object = json_object_get(peer->registrations, "a");

	if (!strstr(request, PATCH_STATUS) || peer->posts == 0)
		return;
	object = json_deep_copy(object);
	jv_set(json_object_get(object, "status"), "conditions", json_array());
	peer_put_registration(peer, object);
}

static bool has_retried(struct world *w, int times)
{
	CLEANUP(mem_freep)
	char *line = mem_printf("workqueue_retries_total{name=\"acmednsregistration\","
				"controller=\"acmednsregistration\"} %d\n",
				times);

	return has_metric(w, line);
}

static void test_fight_over_a_status(void **state)
{
	struct world *w = *state;
	int patches;

	world_start(w);
	w->peer.after = undo_status;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_retried(w, 5));
	patches = peer_count(&w->peer, PATCH_STATUS);
	UNTIL(w, has_retried(w, 6));
	assert_in_range(peer_count(&w->peer, PATCH_STATUS) - patches, 1, 5);
	w->peer.after = NULL;
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_a_restored_backup(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	UNTIL(w, has_event(w, "Registered"));
	jv_set(json_object_get(json_object_get(w->peer.registrations, "a"), "status"), "conditions",
	       json_array());
	peer_restore(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_reading_fails),
		CASE(test_reading_after_a_conflict_fails),
		CASE(test_status_is_refused_for_a_while),
		CASE(test_status_is_not_kept),
		CASE(test_fight_over_a_status),
		CASE(test_a_restored_backup),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
