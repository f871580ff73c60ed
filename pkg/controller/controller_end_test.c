/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts that nobody may ever know of, and the end of the process. */

#include "controller/controller_test_world.h"

/* A claim that another process left behind is taken over, and counted. */
static void test_a_claim_left_behind(void **state)
{
	static const char own[] =
		"{\"version\":1,\"owners\":{},\"keys\":{\"" WORLD_KEY "\":{\"a.example.org\":{"
		"\"owner\":\"uid-1\",\"claim\":{\"nonce\":\"n\",\"holder\":\"h\",\"owner\":"
		"\"uid-1\",\"host\":\"http://127.0.0.2\",\"timeoutSeconds\":1,\"attempt\":1}}}}}";
	struct world *w = *state;
	CLEANUP(mem_freep) char *base64 = enc_base64(own, strlen(own));

	given_secret(w, "s", NULL);
	jv_set_str(jv_ensure_object(peer_secret(&w->peer, "s"), "data"), "acme-dns-operator.json",
		   base64);
	world_start(w);
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, is_ready(w, "a"));
	assert_true(has_metric(w, "acmedns_accounts_possibly_orphaned_total 1"));
	assert_int_equal(w->peer.posts, 1);
}

static void test_an_account_for_an_object_that_is_gone_cannot_be_stored(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	given_fault(w, PATCH_SECRET, 403, 100);
	peer_release(&w->peer);
	UNTIL(w, peer_count(&w->peer, PATCH_SECRET) > 0);
	peer_delete_registration(&w->peer, "a");
	UNTIL(w, has_metric(w, "acmedns_accounts_possibly_orphaned_total 1"));
	UNTIL(w, has_event(w, "AccountPossiblyOrphaned"));
	assert_int_equal(count_accounts(w, "s"), 0);
}

static void test_drain_waits_for_posts(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a1.org\", \"a2.org\", \"a3.org\", \"a4.org\", \"a5.org\"]");
	UNTIL(w, w->peer.held_len == 4);
	w->leading = false; /* the Lease is lost */
	controller_drain(w->controller, world_on_drained, w);
	controller_drain(w->controller, world_on_drained, w);
	while (w->peer.held_len) {
		assert_false(w->drained);
		peer_release(&w->peer);
	}
	UNTIL(w, w->drained);
	assert_int_equal(count_accounts(w, "s"), 4);
	assert_int_equal(w->peer.posts, 4);
}

static void test_drain_tries_a_store_once_more(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	peer_fail(&w->peer, &(struct peer_fault){.what = PATCH_SECRET,
						 .status = 429,
						 .times = 1,
						 .headers = "Retry-After: 600"});
	peer_release(&w->peer);
	UNTIL(w, peer_count(&w->peer, PATCH_SECRET) == 1);
	UNTIL(w, has_reason(w, "a", "Reconciling", "Progressing"));
	(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	controller_drain(w->controller, world_on_drained, w);
	UNTIL(w, w->drained);
	assert_int_equal(count_accounts(w, "s"), 1);
}

/* However many calls of others hang. */
static void test_drain_waits_for_nobody_else(void **state)
{
	struct world *w = *state;
	int patches;

	w->options.drain_ms = 3000;
	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	patches = peer_count(&w->peer, PATCH_STATUS);
	peer_fail(&w->peer,
		  &(struct peer_fault){.what = PATCH_STATUS, .times = 8, .how = PEER_HANG});
	for (int i = 0; i < 8; i++) {
		CLEANUP(mem_freep) char *name = mem_printf("n%d", i);

		given(w, name, name, "[\"n.example.org\"]");
	}
	UNTIL(w, peer_count(&w->peer, PATCH_STATUS) == patches + 8);
	controller_drain(w->controller, world_on_drained, w);
	peer_release(&w->peer);
	UNTIL(w, w->drained);
	assert_int_equal(count_accounts(w, "s"), 1);
}

static void test_drain_ends(void **state)
{
	struct world *w = *state;

	w->options.drain_ms = 200;
	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a.example.org\"]");
	UNTIL(w, w->peer.held_len == 1);
	given_fault(w, PATCH_SECRET, 500, 100);
	controller_drain(w->controller, world_on_drained, w);
	peer_release(&w->peer);
	UNTIL(w, w->drained);
	assert_int_equal(count_accounts(w, "s"), 0);
}

/* Everything that may be under way is given up without a trace. */
static void test_free_in_the_middle(void **state)
{
	struct world *w = *state;

	world_start(w);
	w->peer.hold = true;
	given(w, "a", "s", "[\"a1.org\", \"a2.org\", \"a3.org\", \"a4.org\"]");
	UNTIL(w, w->peer.held_len == 4);
	given(w, "b", "s", "[\"a1.org\"]");	   /* asks for the owner */
	given(w, "c", "s", "[\"c.example.org\"]"); /* waits for a slot */
	given(w, "d", "t", "[\"d.example.org\"]");
	UNTIL(w, peer_count(&w->peer, "GET " PEER_REGISTRATION) > 0);
	controller_free(w->controller);
	w->controller = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_claim_left_behind),
		CASE(test_an_account_for_an_object_that_is_gone_cannot_be_stored),
		CASE(test_drain_waits_for_posts),
		CASE(test_drain_tries_a_store_once_more),
		CASE(test_drain_waits_for_nobody_else),
		CASE(test_drain_ends),
		CASE(test_free_in_the_middle),
	};

	jv_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
