/* SPDX-License-Identifier: Apache-2.0 */
#include "lease/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mono.h"
#include "httpd/httpd_peer.h"
#include "jv/jv.h"

/* Our terms; the duration counts for others only. */
#define DURATION_MS 450
#define DEADLINE_MS 350
#define RETRY_MS    30

/* An API server that has at most one Lease. */
struct server {
	json_t *lease;
	int rv;
	int reads, creates, updates, conflicts;
	int fail_next; /* so many requests answer with fail_status (0: not at all) */
	int fail_status;
	bool lose_create_answer; /* fails after it did what it was asked */
	bool hang_writes;
	const char *before_put; /* becomes the holder just before the next PUT */
	int renewals_of_other;	/* so many reads see another renewal */
};

struct fixture {
	struct event_base *base;
	struct httpd_peer peer;
	struct server server;
	struct kube_config *config;
	struct kube *kube;
	struct metrics *metrics;
	struct lease *lease;
	int started, lost, released;
};

/* ---- the server ---- */

static void store(struct server *server, json_t *lease)
{
	char rv[16];

	(void)snprintf(rv, sizeof(rv), "%d", ++server->rv);
	jv_set_str(jv_ensure_object(lease, "metadata"), "resourceVersion", rv);
	if (lease != server->lease)
		json_decref(server->lease);
	server->lease = lease;
}

static void set_holder(struct server *server, const char *holder)
{
	jv_set_str(jv_ensure_object(server->lease, "spec"), "holderIdentity", holder);
	store(server, server->lease);
}

static int get(struct server *server)
{
	server->reads++;
	if (server->renewals_of_other > 0) {
		jv_set_int(jv_ensure_object(server->lease, "spec"), "renewal",
			   server->renewals_of_other--);
		store(server, server->lease);
	}
	return server->lease ? 200 : 404;
}

static int post(struct server *server, const char *body)
{
	server->creates++;
	if (server->lease)
		return 409;
	store(server, json_loads(body, 0, NULL));
	return server->lose_create_answer ? 500 : 201;
}

static int put(struct server *server, const char *body)
{
	CLEANUP(jv_freep) json_t *wanted = json_loads(body, 0, NULL);

	server->updates++;
	if (server->before_put)
		set_holder(server, TAKE(server->before_put));
	if (!server->lease)
		return 404;
	if (strcmp(jv_str(wanted, "metadata.resourceVersion"),
		   jv_str(server->lease, "metadata.resourceVersion")) != 0) {
		server->conflicts++;
		return 409;
	}
	store(server, TAKE(wanted));
	return 200;
}

static int respond(void *ctx, const char *method, const char *path, const char *body,
		   struct buf *answer)
{
	struct server *server = ctx;
	int status;

	assert_memory_equal(path, "/apis/coordination.k8s.io/v1/namespaces/ns/leases", 49);
	assert_string_equal(path + 49, *method == 'P' && method[1] == 'O' ? "" : "/operator");
	if (server->hang_writes && *method == 'P')
		return 0;
	if (server->fail_next > 0) {
		server->fail_next--;
		return server->fail_status;
	}
	status = *method == 'G'	    ? get(server)
		 : method[1] == 'O' ? post(server, body)
				    : put(server, body);
	if (status < 300) {
		CLEANUP(mem_freep) char *text = json_dumps(server->lease, 0);

		(void)buf_adds(answer, text);
	} else {
		(void)buf_addf(answer, "{\"kind\":\"Status\",\"code\":%d}", status);
	}
	return status;
}

/* ---- the client ---- */

static void on_started(void *ctx)
{
	((struct fixture *)ctx)->started++;
}

static void on_lost(void *ctx)
{
	((struct fixture *)ctx)->lost++;
}

static void on_released(void *ctx)
{
	((struct fixture *)ctx)->released++;
}

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	const struct kube_options kube_options = {.user_agent = "lease-test", .http1 = true};
	const struct lease_options options = {
		.namespace = "ns",
		.name = "operator",
		.identity = "me",
		.lease_duration_ms = DURATION_MS,
		.renew_deadline_ms = DEADLINE_MS,
		.retry_period_ms = RETRY_MS,
		.on_started = on_started,
		.on_lost = on_lost,
		.ctx = f,
		.metrics = f->metrics = metrics_new(),
	};
	char *path;
	struct err err;

	(void)alarm(30); /* for a test that waits in vain */
	f->base = event_base_new();
	httpd_peer_start(&f->peer, f->base, respond, &f->server);
	path = httpd_peer_kubeconfig(&f->peer);
	f->config = kube_config_load(path, NULL, &err);
	assert_non_null(f->config);
	(void)unlink(path);
	free(path);
	f->kube = kube_new(f->base, f->config, &kube_options);
	f->lease = lease_new(f->base, f->kube, &options, &err);
	assert_non_null(f->lease);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	lease_free(f->lease);
	kube_free(f->kube);
	kube_config_free(f->config);
	httpd_peer_stop(&f->peer);
	metrics_free(f->metrics);
	event_base_free(f->base);
	json_decref(f->server.lease);
	free(f);
	return 0;
}

#define UNTIL(f, condition)                                                                        \
	while (!(condition))                                                                       \
	assert_int_equal(event_base_loop((f)->base, EVLOOP_ONCE), 0)

static void run_for(struct fixture *f, int ms)
{
	const struct timeval limit = {.tv_usec = ms * 1000L};

	(void)event_base_loopexit(f->base, &limit);
	(void)event_base_dispatch(f->base);
}

static void given_lease(struct fixture *f, const char *holder)
{
	store(&f->server,
	      json_pack("{s:{s:{s:s}}, s:{s:s, s:i, s:i, s:s}}", "metadata", "labels", "keep", "me",
			"spec", "holderIdentity", holder, "leaseDurationSeconds", 1,
			"leaseTransitions", 4, "strategy", "unknown"));
}

static void given_leader(struct fixture *f)
{
	lease_start(f->lease);
	UNTIL(f, f->started);
}

static void assert_spec(struct fixture *f, const char *holder, int transitions)
{
	assert_string_equal(jv_str(f->server.lease, "spec.holderIdentity"), holder);
	assert_int_equal(jv_int(f->server.lease, "spec.leaseTransitions", -1), transitions);
}

static double status(struct fixture *f)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(1 << 20);
	const char *line;

	assert_int_equal(metrics_write(f->metrics, &text), 0);
	line = strstr(buf_str(&text), "\nleader_election_master_status{name=\"operator\"} ");
	assert_non_null(line);
	return strtod(strchr(line, '}') + 1, NULL);
}

/* ---- becoming the leader ---- */

static void test_options(void **state)
{
	static const struct {
		int64_t duration_ms, deadline_ms, retry_ms;
	} bad[] = {
		{15000, 15000, 2000}, {15000, 10000, 0}, {15000, 10000, -1},
		{15000, 1200, 1000},  {0, 0, 0},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct lease_options options = {
			.lease_duration_ms = bad[i].duration_ms,
			.renew_deadline_ms = bad[i].deadline_ms,
			.retry_period_ms = bad[i].retry_ms,
		};

		assert_null(lease_new(NULL, NULL, &options, &err));
		assert_int_equal(err.kind, ERR_INVALID);
	}
	lease_free(NULL);
}

static void test_creates_the_lease(void **state)
{
	struct fixture *f = *state;

	assert_true(status(f) == 0);
	assert_false(lease_valid(f->lease));
	given_leader(f);
	assert_true(lease_valid(f->lease));
	assert_true(status(f) == 1);
	assert_spec(f, "me", 0);
	assert_string_equal(jv_str(f->server.lease, "metadata.name"), "operator");
	assert_int_equal(f->server.creates, 1);
	assert_int_equal(f->server.updates, 0);
}

static void test_takes_a_free_lease_at_once(void **state)
{
	struct fixture *f = *state;

	given_lease(f, "");
	given_leader(f);
	assert_spec(f, "me", 5);
	assert_string_equal(jv_str(f->server.lease, "metadata.labels.keep"), "me");
	assert_string_equal(jv_str(f->server.lease, "spec.strategy"), "unknown");
	assert_int_equal(f->server.reads, 1);
}

static void test_takes_an_expired_lease(void **state)
{
	struct fixture *f = *state;
	int64_t start_ms = mono_ms();

	given_lease(f, "you");
	given_leader(f);
	assert_true(mono_ms() - start_ms >= 1000);
	assert_true(f->server.reads > 2);
	assert_spec(f, "me", 5);
}

static void test_leaves_a_renewed_lease_alone(void **state)
{
	struct fixture *f = *state;
	int64_t start_ms = mono_ms();

	given_lease(f, "you");
	f->server.renewals_of_other = 1000;
	lease_start(f->lease);
	while (mono_ms() < start_ms + 1200)
		run_for(f, 100);
	assert_int_equal(f->started, 0);
	assert_int_equal(f->server.updates, 0);
	assert_spec(f, "you", 4);
}

static void test_somebody_else_is_faster(void **state)
{
	struct fixture *f = *state;

	given_lease(f, "");
	f->server.before_put = "you";
	lease_start(f->lease);
	UNTIL(f, f->server.reads >= 3);
	assert_int_equal(f->server.updates, 1);
	assert_int_equal(f->started, 0);
	assert_spec(f, "you", 4);
}

static void test_answer_to_the_create_is_lost(void **state)
{
	struct fixture *f = *state;

	f->server.lose_create_answer = true;
	given_leader(f);
	assert_spec(f, "me", 0);
	assert_int_equal(f->server.creates, 1);
	assert_int_equal(f->server.updates, 1);
}

static void test_candidate_outlives_errors(void **state)
{
	struct fixture *f = *state;

	f->server.fail_next = 3;
	f->server.fail_status = 403;
	given_leader(f);
	assert_int_equal(f->server.fail_next, 0);
	assert_int_equal(f->lost, 0);
}

/* ---- being the leader ---- */

static void test_renews(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) char *acquired = NULL;

	given_leader(f);
	acquired = mem_strdup(jv_str(f->server.lease, "spec.acquireTime"));
	assert_string_equal(jv_str(f->server.lease, "spec.renewTime"), acquired);
	UNTIL(f, f->server.updates >= 15); /* longer than the deadline */
	assert_string_equal(jv_str(f->server.lease, "spec.acquireTime"), acquired);
	assert_string_not_equal(jv_str(f->server.lease, "spec.renewTime"), acquired);
	assert_int_equal(f->server.reads, 1);
	assert_true(lease_valid(f->lease));
	assert_int_equal(f->started, 1);
	assert_int_equal(f->lost, 0);
	assert_spec(f, "me", 0);
}

static void test_somebody_else_writes_into_it(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	jv_set_str(jv_ensure_object(f->server.lease, "metadata"), "note", "hello");
	store(&f->server, f->server.lease);
	UNTIL(f, f->server.updates >= 3);
	assert_int_equal(f->server.conflicts, 1);
	assert_string_equal(jv_str(f->server.lease, "metadata.note"), "hello");
	assert_spec(f, "me", 0);
	assert_int_equal(f->lost, 0);
}

static void test_somebody_else_takes_it(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	set_holder(&f->server, "you");
	UNTIL(f, f->lost);
	assert_false(lease_valid(f->lease));
	assert_true(status(f) == 0);
	run_for(f, 100);
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->started, 1);
	assert_spec(f, "you", 0);
}

static void test_deleted_lease_is_made_again(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	json_decref(TAKE(f->server.lease));
	UNTIL(f, f->server.creates == 2);
	run_for(f, 100);
	assert_spec(f, "me", 0);
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->started, 1);
}

static void test_a_few_errors_are_outlived(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	f->server.fail_next = 2;
	f->server.fail_status = 500;
	UNTIL(f, f->server.updates >= 15);
	assert_int_equal(f->lost, 0);
	assert_true(lease_valid(f->lease));
}

static void assert_lost_for_good(struct fixture *f)
{
	int requests;

	UNTIL(f, f->lost);
	assert_false(lease_valid(f->lease));
	requests = f->server.reads + f->server.updates;
	f->server.fail_next = 0;
	f->server.hang_writes = false;
	run_for(f, 100);
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->started, 1);
	assert_int_equal(f->server.reads + f->server.updates, requests);
}

static void test_lost_when_renewals_fail(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	f->server.fail_next = 1000;
	f->server.fail_status = 500;
	assert_lost_for_good(f);
}

static void test_lost_when_renewals_hang(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	f->server.hang_writes = true;
	assert_lost_for_good(f);
}

static void test_pause_of_the_process(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	(void)usleep((DEADLINE_MS + 50) * 1000);
	assert_false(lease_valid(f->lease)); /* before the loop has turned */
	assert_int_equal(f->lost, 0);
	assert_lost_for_good(f);
}

static void test_pause_while_a_renewal_runs(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	UNTIL(f, f->server.updates == 1); /* and its answer is on the way */
	(void)usleep((DEADLINE_MS + 50) * 1000);
	assert_lost_for_good(f);
}

static void test_pause_while_the_first_write_runs(void **state)
{
	struct fixture *f = *state;

	lease_start(f->lease);
	UNTIL(f, f->server.creates);
	(void)usleep((DEADLINE_MS + 50) * 1000);
	UNTIL(f, f->started);
	assert_true(f->server.updates >= 1); /* what the create gave was over already */
	assert_true(lease_valid(f->lease));
	assert_spec(f, "me", 0);
}

/* ---- giving it up ---- */

static void test_release(void **state)
{
	struct fixture *f = *state;

	given_lease(f, "");
	given_leader(f);
	lease_release(f->lease, on_released, f);
	assert_false(lease_valid(f->lease));
	assert_int_equal(f->released, 0);
	UNTIL(f, f->released);
	assert_spec(f, "", 5);
	assert_int_equal(jv_int(f->server.lease, "spec.leaseDurationSeconds", 0), 1);
	assert_string_equal(jv_str(f->server.lease, "spec.strategy"), "unknown");
	run_for(f, 100);
	assert_int_equal(f->released, 1);
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->server.updates, 2);
}

static void test_release_on_conflict(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	store(&f->server, f->server.lease);
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_int_equal(f->server.conflicts, 1);
	assert_spec(f, "", 0);
}

static void test_release_of_what_another_has(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	set_holder(&f->server, "you");
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_spec(f, "you", 0);
	assert_int_equal(f->lost, 0);
}

static void test_release_of_what_is_deleted(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	json_decref(TAKE(f->server.lease));
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_null(f->server.lease);
}

static void test_release_after_errors(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	f->server.fail_next = 2;
	f->server.fail_status = 500;
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_spec(f, "", 0);
}

static void test_release_gives_up(void **state)
{
	struct fixture *f = *state;

	given_leader(f);
	f->server.hang_writes = true;
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_spec(f, "me", 0);
}

static void test_release_of_a_candidate(void **state)
{
	struct fixture *f = *state;

	given_lease(f, "you");
	lease_start(f->lease);
	UNTIL(f, f->server.reads);
	lease_release(f->lease, on_released, f);
	assert_int_equal(f->released, 1);
	run_for(f, 100);
	assert_int_equal(f->server.reads, 1);
	assert_spec(f, "you", 4);
}

static void test_release_while_a_write_runs(void **state)
{
	struct fixture *f = *state;

	lease_start(f->lease);
	UNTIL(f, f->server.creates); /* it is ours, but we do not know yet */
	assert_int_equal(f->started, 0);
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_spec(f, "", 0);
	assert_int_equal(f->started, 0);
}

static void test_release_after_a_write_of_unknown_outcome(void **state)
{
	struct fixture *f = *state;

	f->server.lose_create_answer = true;
	lease_start(f->lease);
	UNTIL(f, f->server.creates);
	run_for(f, RETRY_MS / 2); /* the answer is there, and no other request was made */
	assert_int_equal(f->server.reads, 1);
	lease_release(f->lease, on_released, f);
	UNTIL(f, f->released);
	assert_spec(f, "", 0);
	assert_int_equal(f->started, 0);
}

static void test_free_while_a_call_runs(void **state)
{
	struct fixture *f = *state;

	lease_start(f->lease);
	UNTIL(f, f->server.creates);
	lease_free(TAKE(f->lease));
	run_for(f, 50);
	assert_int_equal(f->started, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		TEST(test_creates_the_lease),
		TEST(test_takes_a_free_lease_at_once),
		TEST(test_takes_an_expired_lease),
		TEST(test_leaves_a_renewed_lease_alone),
		TEST(test_somebody_else_is_faster),
		TEST(test_answer_to_the_create_is_lost),
		TEST(test_candidate_outlives_errors),
		TEST(test_renews),
		TEST(test_somebody_else_writes_into_it),
		TEST(test_somebody_else_takes_it),
		TEST(test_deleted_lease_is_made_again),
		TEST(test_a_few_errors_are_outlived),
		TEST(test_lost_when_renewals_fail),
		TEST(test_lost_when_renewals_hang),
		TEST(test_pause_of_the_process),
		TEST(test_pause_while_a_renewal_runs),
		TEST(test_pause_while_the_first_write_runs),
		TEST(test_release),
		TEST(test_release_on_conflict),
		TEST(test_release_of_what_another_has),
		TEST(test_release_of_what_is_deleted),
		TEST(test_release_after_errors),
		TEST(test_release_gives_up),
		TEST(test_release_of_a_candidate),
		TEST(test_release_while_a_write_runs),
		TEST(test_release_after_a_write_of_unknown_outcome),
		TEST(test_free_while_a_call_runs),
	};

	log_setup_fd(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
