/* SPDX-License-Identifier: Apache-2.0 */

/* Writes of a Secret that meet a conflict or are refused, and replies that are lost. */

#include "api/api.h"
#include "controller/controller_test_world.h"

#define TOO_LONG                                                                                   \
	"{\"kind\":\"Status\",\"code\":422,\"details\":{\"causes\":["                              \
	"{\"reason\":\"FieldValueTooLong\"}]}}"
#define TERMINATING                                                                                \
	"{\"kind\":\"Status\",\"code\":403,\"details\":{\"causes\":["                              \
	"{\"reason\":\"NamespaceTerminating\"}]}}"

static void bump_secret(struct peer *peer, const char *request)
{
	if (strstr(request, PATCH_SECRET) && peer->rv < 1000)
		peer_stamp(peer, peer_secret(peer, "s"));
	if (strstr(request, PATCH_SECRET))
		peer->before = NULL;
}

static void test_conflict(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.before = bump_secret;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_int_equal(peer_count(&w->peer, PATCH_SECRET), 2);
	assert_int_equal(peer_count(&w->peer, CREATE_SECRET), 1);
}

/* A quota may answer so for ever. */
static void test_endless_conflict(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_fault(w, CREATE_SECRET, 409, 9);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, peer_count(&w->peer, CREATE_SECRET) == 9);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(peer_count(&w->peer, CREATE_SECRET), 10);
	assert_int_equal(w->peer.posts, 1);
}

static void refuse_store(struct world *w, const char *how)
{
	peer_fail(&w->peer, &(struct peer_fault){
				    .what = PATCH_SECRET, .status = 422, .times = 1, .body = how});
}

static void test_refused_merged_write_is_sent_piecewise(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	given(w, "b", "s", "[\"b.example.org\"]");
	UNTIL(w, w->peer.held_len == 2);
	refuse_store(w, NULL);
	peer_release(&w->peer);
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a") && is_ready(w, "b"));
	assert_int_equal(peer_count(&w->peer, PATCH_SECRET), 3);
	assert_int_equal(w->peer.posts, 2);
}

/* A store goes alone when it was refused together with a claim of the same object. */
static void test_refused_claim_does_not_hold_up_a_store(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	given_spec(w, "a", "domains", json_pack("[s, s]", "a.example.org", "b.example.org"));
	given(w, "c", "t", "[\"c.example.org\"]");
	UNTIL(w, w->peer.held_len == 3);
	refuse_store(w, TOO_LONG);
	while (w->peer.held_len)
		peer_release(&w->peer);
	UNTIL(w, has_account(w, "s", "a.example.org"));
	w->peer.hold = false;
	while (w->peer.held_len)
		peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a") && is_ready(w, "c"));
}

static void test_reasons_of_refusals(void **state)
{
	struct world *w = *state;

	world_start(w);
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = CREATE_SECRET, .status = 422, .times = 1, .body = TOO_LONG});
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "SecretReady", "SecretTooLarge"));
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = CREATE_SECRET, .status = 403, .times = 1, .body = TERMINATING});
	given(w, "b", "t", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "b", "SecretReady", "NamespaceTerminating"));
	given_fault(w, CREATE_SECRET, 404, 1);
	given(w, "c", "u", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "c", "SecretReady", "NamespaceTerminating"));
	assert_int_equal(w->peer.posts, 0);
}

/* A proxy on its way up, and a token that is being replaced. */
static void test_answers_that_say_nothing_of_the_secret(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_fault(w, GET_SECRET, 401, 1);
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = CREATE_SECRET, .status = 404, .times = 1, .body = NO_PAGE});
	given(w, "a", "s", "[\"a.example.org\"]");
	given_spec(w, "a", "deletionPolicy", json_string("Delete"));
	UNTIL(w, is_ready(w, "a") && has_finalizers(w, "a", 1));
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = GET_SECRET, .status = 404, .times = 1, .body = NO_PAGE});
	given_fault(w, GET_SECRET, 401, 1);
	given_fault(w, PATCH_SECRET, 401, 1);
	given_deleted(w, "a");
	UNTIL(w, has_finalizers(w, "a", 0));
	assert_int_equal(count_accounts(w, "s"), 0);
	assert_false(has_event(w, "EntriesNotDeleted") || has_event(w, "SecretDenied") ||
		     has_event(w, "NamespaceTerminating"));
}

static void test_immutable_secret(void **state)
{
	struct world *w = *state;

	given_secret(w, "s", "{}");
	jv_set_bool(peer_secret(&w->peer, "s"), "immutable", true);
	jv_set_str(jv_ensure_object(jv_ensure_object(peer_secret(&w->peer, "s"), "metadata"),
				    "annotations"),
		   "acme-dns-operator.github.io/adopt", "true");
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, has_reason(w, "a", "SecretReady", "SecretImmutable"));
	assert_int_equal(peer_count(&w->peer, PATCH_SECRET), 0);
	assert_int_equal(w->peer.posts, 0);
}

static void probe(struct world *w, const char *name)
{
	json_t *object = json_deep_copy(json_object_get(w->peer.registrations, name));

	jv_set_str(jv_ensure_object(jv_object(object, "metadata"), "annotations"),
		   API_ANNOTATION_PROBE, "1");
	peer_put_registration(&w->peer, object);
}

/* Many Secrets, and servers that take their time, would fill the memory. */
static void test_large_reading_is_not_kept_during_a_post(void **state)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(PEER_MAX_TEXT);
	struct world *w = *state;

	(void)buf_adds(&text, "{\"old.example.org\":{\"username\":\"u\",\"password\":\"p\","
			      "\"subdomain\":\"s\",\"fulldomain\":\"f\"}");
	for (int i = 0; i < 9000; i++)
		(void)buf_addf(&text, ",\"%d\":{}", i);
	(void)buf_adds(&text, "}");
	given_secret(w, "s", buf_str(&text));
	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	assert_int_equal(peer_count(&w->peer, GET_SECRET), 1);
	(void)event_base_loopexit(w->base, &(struct timeval){.tv_sec = 2, .tv_usec = 500000});
	(void)event_base_dispatch(w->base);
	peer_release(&w->peer);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(peer_count(&w->peer, GET_SECRET), 2);
	assert_int_equal(w->peer.posts, 1);
	/* A round needs it to the end. */
	probe(w, "a");
	UNTIL(w, has_reason(w, "a", "CredentialsValid", "Accepted"));
	assert_true(peer_count(&w->peer, GET_SECRET) <= 3);
}

static void test_reply_lost(void **state)
{
	struct world *w = *state;

	world_start(w);
	given_lost(w, CREATE_SECRET, 500, 1);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.posts == 1);
	given_lost(w, PATCH_SECRET, 504, 1);
	given_lost(w, PATCH_STATUS, 500, 1);
	UNTIL(w, is_ready(w, "a"));
	assert_int_equal(w->peer.posts, 1);
	assert_true(has_metric(w, "acmedns_accounts_possibly_orphaned_total 0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_conflict),
		CASE(test_endless_conflict),
		CASE(test_refused_merged_write_is_sent_piecewise),
		CASE(test_refused_claim_does_not_hold_up_a_store),
		CASE(test_reasons_of_refusals),
		CASE(test_answers_that_say_nothing_of_the_secret),
		CASE(test_immutable_secret),
		CASE(test_large_reading_is_not_kept_during_a_post),
		CASE(test_reply_lost),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
