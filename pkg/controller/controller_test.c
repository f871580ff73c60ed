/* SPDX-License-Identifier: Apache-2.0 */

/* The main job, objects that share a Secret, and objects that come and go. */

#include "controller/controller_test_world.h"

static void test_main_job(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\", \"*.a.example.org\", \"b.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 2);
	assert_true(has_account(w, "s", "a.example.org"));
	assert_true(has_account(w, "s", "b.example.org"));
	UNTIL(w, has_event(w, "Registered"));
	assert_int_equal(peer_count(&w->peer, "GET "), 1);
	assert_true(peer_count(&w->peer, "/secrets") <= 4);
	assert_true(has_metric(w, "acmedns_registrations_total{result=\"registered\"} 2"));
	assert_true(has_metric(w, "acmedns_accounts_possibly_orphaned_total 0"));
}

static void test_two_objects_share_a_secret_and_a_write(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	given(w, "b", "s", "[\"b.example.org\"]");
	UNTIL(w, w->peer.held_len == 2);
	assert_int_equal(peer_count(&w->peer, CREATE_SECRET), 1);
	assert_int_equal(peer_count(&w->peer, "/secrets"), 2);
	peer_release(&w->peer);
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a") && is_ready(w, "b"));
	assert_int_equal(count_accounts(w, "s"), 2);
	assert_int_equal(w->peer.posts, 2);
}

static void test_one_account_for_all_domains(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\", \"b.example.org\"]");
	given_spec(w, "a", "accountPolicy", json_string("Shared"));
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_int_equal(count_accounts(w, "s"), 2);
}

static void test_acts_on_what_was_cached_before(void **state)
{
	struct world *w = *state;

	given(w, "a", "s", "[\"a.example.org\"]");
	w->leading = false;
	w->controller = controller_new(&w->options, &(struct err){0});
	controller_start(w->controller);
	UNTIL(w, controller_synced(w->controller));
	given(w, "b", "t", "[\"b.example.org\"]");
	given(w, "gone", "t", "[\"gone.example.org\"]");
	peer_delete_registration(&w->peer, "gone");
	assert_int_equal(w->peer.log.len, 0);
	w->leading = true;
	controller_lead(w->controller);
	UNTIL(w, is_ready(w, "a") && is_ready(w, "b"));
	assert_int_equal(w->peer.posts, 2);
	assert_true(controller_silence_ms(w->controller) < 10000);
}

static void test_an_account_is_stored_for_an_object_that_is_gone(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	peer_delete_registration(&w->peer, "a");
	given(w, "b", "t", "[\"b.example.org\"]"); /* told after the deletion */
	UNTIL(w, w->peer.held_len == 2);
	peer_release(&w->peer);
	UNTIL(w, has_account(w, "s", "a.example.org"));
	assert_int_equal(w->peer.posts, 2);
}

static void test_the_secret_is_emptied_during_a_post(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	given_secret(w, "s", "{}");
	jv_set_str(jv_ensure_object(jv_ensure_object(peer_secret(&w->peer, "s"), "metadata"),
				    "annotations"),
		   "acme-dns-operator.github.io/adopt", "true");
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_true(has_metric(w, "acmedns_accounts_possibly_orphaned_total 0"));
}

static void test_the_secret_is_deleted_during_a_post(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	(void)json_object_del(w->peer.secrets, "s");
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_int_equal(peer_count(&w->peer, CREATE_SECRET), 2);
}

static void test_a_domain_has_one_owner(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	given(w, "b", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "b", "Ready", "DomainConflict"));
	assert_true(is_ready(w, "a"));
	given_spec(w, "a", "domains", json_pack("[s]", "c.example.org"));
	UNTIL(w, is_ready(w, "b") && has_account(w, "s", "c.example.org"));
	assert_int_equal(w->peer.posts, 2);
}

static bool owns(struct world *w, const char *uid, const char *domain)
{
	CLEANUP(jv_freep) json_t *own = document(w, "s", "acme-dns-operator.json");
	const json_t *records = json_object_get(json_object_get(own, "keys"), WORLD_KEY);

	return strcmp(jv_str(json_object_get(records, domain), "owner"), uid) == 0;
}

/* What an owner listed before its spec changed takes nothing from it after that. */
static void test_an_owner_changes_while_it_is_asked_for(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	w->peer.keep = GET_OBJECT "a";
	given(w, "b", "s", "[\"a.example.org\",\"c.example.org\"]");
	UNTIL(w, w->peer.kept);
	given_spec(w, "a", "domains", json_pack("[s,s]", "a.example.org", "c.example.org"));
	UNTIL(w, has_account(w, "s", "c.example.org"));
	peer_answer_kept(&w->peer);
	UNTIL(w, has_reason(w, "b", "Ready", "DomainConflict"));
	assert_true(owns(w, "uid-1", "a.example.org"));
	assert_true(owns(w, "uid-1", "c.example.org"));
}

static void test_the_loser_takes_over_when_the_owner_is_deleted(void **state)
{
	struct world *w = *state;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	given_fault(w, GET_OBJECT, 503, 2);
	given(w, "b", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "b", "Ready", "DomainConflict"));
	/* A 404 that is not Kubernetes' own proves nothing. */
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = GET_OBJECT, .status = 404, .times = 2, .body = NO_PAGE});
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = GET_OBJECT, .status = 200, .times = 1, .body = "{\"hello\": 1}"});
	peer_delete_registration(&w->peer, "a");
	UNTIL(w, is_ready(w, "b"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_another_object_of_the_same_name(void **state)
{
	struct world *w = *state;
	json_t *again;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	again = json_deep_copy(json_object_get(w->peer.registrations, "a"));
	(void)json_object_del(again, "status");
	jv_set_str(jv_ensure_object(again, "metadata"), "uid", "other");
	peer_put_registration(&w->peer, again); /* the DELETED between was missed */
	UNTIL(w, is_ready(w, "a"));
	peer_delete_registration(&w->peer, "a");
	given(w, "a", "s", "[\"a.example.org\", \"b.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 2);
}

static void test_a_change_of_the_secret_is_noticed(void **state)
{
	struct world *w = *state;

	w->options.secret_resync_ms = 50;
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	(void)json_object_del(w->peer.secrets, "s");
	UNTIL(w, has_reason(w, "a", "Ready", "AccountMissing"));
	given_secret(w, "s", "no JSON");
	UNTIL(w, has_reason(w, "a", "SecretReady", "SecretUnparsable"));
	/* What is broken in one key is broken for those who use it. */
	given(w, "b", "s", "[\"b.example.org\"]");
	UNTIL(w, has_reason(w, "b", "Ready", "SecretUnparsable"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_our_document_is_broken(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_freep) char *base64 = enc_base64("{\"version\": 99}", 15);

	given_secret(w, "s", NULL);
	jv_set_str(jv_ensure_object(peer_secret(&w->peer, "s"), "data"), "acme-dns-operator.json",
		   base64);
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "Ready", "SecretUnparsable"));
	assert_int_equal(w->peer.posts, 0);
}

static void test_at_rest_nothing_is_asked(void **state)
{
	struct world *w = *state;
	size_t len;

	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_event(w, "Registered"));
	given(w, "b", "t", "[\"b.example.org\"]");
	UNTIL(w, json_array_size(w->peer.events) == 2);
	len = w->peer.log.len;
	/* What is kept for a while is let go, and nothing else happens. */
	(void)event_base_loopexit(w->base, &(struct timeval){.tv_sec = 2, .tv_usec = 500000});
	(void)event_base_dispatch(w->base);
	assert_int_equal(w->peer.log.len, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_main_job),
		CASE(test_two_objects_share_a_secret_and_a_write),
		CASE(test_one_account_for_all_domains),
		CASE(test_acts_on_what_was_cached_before),
		CASE(test_an_account_is_stored_for_an_object_that_is_gone),
		CASE(test_the_secret_is_emptied_during_a_post),
		CASE(test_the_secret_is_deleted_during_a_post),
		CASE(test_a_domain_has_one_owner),
		CASE(test_an_owner_changes_while_it_is_asked_for),
		CASE(test_the_loser_takes_over_when_the_owner_is_deleted),
		CASE(test_another_object_of_the_same_name),
		CASE(test_a_change_of_the_secret_is_noticed),
		CASE(test_our_document_is_broken),
		CASE(test_at_rest_nothing_is_asked),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
