/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube_peer.h"

#include "base/log.h"
#include "jv/jv.h"

#define OBJECT "{\"kind\":\"Secret\",\"metadata\":{\"resourceVersion\":\"1\"}}"

static const struct kube_resource secrets = {"", "v1", "secrets"};
static const struct kube_resource leases = {"coordination.k8s.io", "v1", "leases"};

/* What came of a request. */
struct outcome {
	bool done;
	struct err err; /* kind ERR_NONE for success */
	json_t *object;
};

static void note(void *ctx, json_t *object, const struct err *err)
{
	struct outcome *outcome = ctx;

	assert_false(outcome->done);
	outcome->done = true;
	outcome->err = err ? *err : (struct err){0};
	outcome->object = json_incref(object);
}

static void outcome_donep(struct outcome *outcome)
{
	json_decref(outcome->object);
}

static struct kube_call *begin(struct peer *peer, struct kube_request req, struct outcome *outcome)
{
	struct kube_call *call;

	req.on_done = note;
	req.ctx = outcome;
	call = kube_start(peer->kube, &req);
	assert_false(outcome->done);
	return call;
}

static struct kube_call *begin_get(struct peer *peer, const char *name, struct outcome *outcome)
{
	return begin(peer,
		     (struct kube_request){
			     .verb = "get", .resource = &secrets, .namespace = "ns", .name = name},
		     outcome);
}

static bool peer_saw(const struct peer *peer, const char *text)
{
	return peer->request && strstr(peer->request, text);
}

/* ---- what is sent ---- */

static void check_body(const struct peer *peer, const char *content_type, const char *body)
{
	CLEANUP(mem_freep) char *type = mem_printf("\r\nContent-Type: %s\r\n", content_type);

	if (!body) {
		assert_false(peer_saw(peer, "\r\nContent-Type"));
		return;
	}
	assert_true(peer_saw(peer, type));
	assert_string_equal(strstr(peer->request, "\r\n\r\n") + 4, body);
}

static const struct {
	struct kube_request req;
	const char *body, *line, *content_type;
} request_cases[] = {
	{{.verb = "get", .resource = &secrets, .namespace = "ns", .name = "a"},
	 NULL,
	 "GET /api/v1/namespaces/ns/secrets/a HTTP/1.1\r\n",
	 NULL},
	{{.verb = "get", .resource = &secrets, .query = "limit=500&continue=x"},
	 NULL,
	 "GET /api/v1/secrets?limit=500&continue=x HTTP/1.1\r\n",
	 NULL},
	{{.verb = "create", .resource = &leases, .namespace = "ns"},
	 "{\"a\":1}",
	 "POST /apis/coordination.k8s.io/v1/namespaces/ns/leases HTTP/1.1\r\n",
	 "application/json"},
	{{.verb = "update", .resource = &leases, .namespace = "ns", .name = "l"},
	 "{\"a\":1}",
	 "PUT /apis/coordination.k8s.io/v1/namespaces/ns/leases/l HTTP/1.1\r\n",
	 "application/json"},
	{{.verb = "patch", .resource = &secrets, .namespace = "ns", .name = "a"},
	 "{\"a\":1}",
	 "PATCH /api/v1/namespaces/ns/secrets/a HTTP/1.1\r\n",
	 "application/merge-patch+json"},
	{{.verb = "patch",
	  .resource = &secrets,
	  .namespace = "ns",
	  .name = "a",
	  .subresource = "status",
	  .query = "fieldManager=me",
	  .patch = KUBE_APPLY_PATCH},
	 "{\"a\":1}",
	 "PATCH /api/v1/namespaces/ns/secrets/a/status?fieldManager=me HTTP/1.1\r\n",
	 "application/apply-patch+yaml"},
	{{.verb = "delete", .resource = &secrets, .namespace = "ns", .name = "a/b ?"},
	 NULL,
	 "DELETE /api/v1/namespaces/ns/secrets/a%2Fb%20%3F HTTP/1.1\r\n",
	 NULL},
	{{.verb = "delete", .resource = &secrets, .namespace = "ns", .name = "a"},
	 "{\"preconditions\":{\"uid\":\"u\"}}",
	 "DELETE /api/v1/namespaces/ns/secrets/a HTTP/1.1\r\n",
	 "application/json"},
};

static void test_requests(void **state)
{
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_LEN(request_cases); i++) {
		CLEANUP(outcome_donep) struct outcome outcome = {0};
		CLEANUP(jv_freep)
		json_t *body =
			request_cases[i].body ? json_loads(request_cases[i].body, 0, NULL) : NULL;
		struct kube_request req = request_cases[i].req;

		peer_answer(peer, 200, "", OBJECT);
		req.body = body;
		(void)begin(peer, req, &outcome);
		peer_run_until(peer, &outcome.done);
		assert_int_equal(outcome.err.kind, ERR_NONE);
		assert_string_equal(jv_str(outcome.object, "kind"), "Secret");
		assert_ptr_equal(strstr(peer->request, request_cases[i].line), peer->request);
		check_body(peer, request_cases[i].content_type, request_cases[i].body);
	}
}

static void test_headers(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome outcome = {0};

	peer_answer(peer, 200, "", "{}");
	(void)begin_get(peer, "a", &outcome);
	peer_run_until(peer, &outcome.done);
	assert_true(peer_saw(peer, "\r\nAuthorization: Bearer s3cret\r\n"));
	assert_true(peer_saw(peer, "\r\nAccept: application/json\r\n"));
	assert_true(peer_saw(peer, "\r\nUser-Agent: peer-test/1\r\n"));
}

static void test_no_such_path(void **state)
{
	struct peer *peer = *state;
	CLEANUP(mem_freep) char *long_name = mem_alloc(20000);
	const char *const names[] = {"", ".", "..", long_name};

	memset(long_name, 'a', 19999);
	long_name[19999] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(outcome_donep) struct outcome outcome = {0};

		(void)begin_get(peer, names[i], &outcome);
		peer_run_until(peer, &outcome.done);
		assert_int_equal(outcome.err.kind, ERR_INVALID);
		assert_null(outcome.object);
	}
	assert_int_equal(peer->requests_len, 0);
}

/* ---- what comes back ---- */

static void test_status_to_err(void **state)
{
	static const char *const status =
		"{\"kind\":\"Status\",\"reason\":\"R\",\"message\":\"M\"}";
	static const struct {
		int status;
		const char *headers, *body;
		enum err_kind kind;
		int code;
		const char *msg;
	} cases[] = {
		{400, "", status, ERR_INVALID, 400, "HTTP 400 R: M"},
		{401, "", status, ERR_DENIED, 401, "HTTP 401 R: M"},
		{403, "", status, ERR_DENIED, 403, "HTTP 403 R: M"},
		{404, "", status, ERR_NOT_FOUND, 404, "HTTP 404 R: M"},
		{405, "", status, ERR_INVALID, 405, "HTTP 405 R: M"},
		{409, "", status, ERR_CONFLICT, 409, "HTTP 409 R: M"},
		{410, "", status, ERR_GONE, 410, "HTTP 410 R: M"},
		{413, "", status, ERR_INVALID, 413, "HTTP 413 R: M"},
		{415, "", status, ERR_INVALID, 415, "HTTP 415 R: M"},
		{422, "", status, ERR_INVALID, 422, "HTTP 422 R: M"},
		{429, "Retry-After: 7\r\n", status, ERR_THROTTLED, 7, "HTTP 429 R: M"},
		{429, "", status, ERR_THROTTLED, 0, "HTTP 429 R: M"},
		{429, "Retry-After: junk\r\n",
		 "{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":3}}", ERR_THROTTLED, 3,
		 "HTTP 429"},
		{500, "", status, ERR_TRANSIENT, 500, "HTTP 500 R: M"},
		{503, "Retry-After: 2\r\n", status, ERR_THROTTLED, 2, "HTTP 503 R: M"},
		{504, "", status, ERR_TRANSIENT, 504, "HTTP 504 R: M"},
		{504, "Retry-After: 0\r\n", status, ERR_THROTTLED, 0, "HTTP 504 R: M"},
		{302, "Location: http://127.0.0.1:1/\r\n", "", ERR_TRANSIENT, 302, "HTTP 302"},
		{502, "", "<html>Bad Gateway", ERR_TRANSIENT, 502, "HTTP 502"},
		{404, "", "[]", ERR_NOT_FOUND, 404, "HTTP 404"},
		{404, "", "{\"kind\":\"Other\",\"message\":\"no\"}", ERR_NOT_FOUND, 404,
		 "HTTP 404"},
		{409, "", "{\"kind\":\"Status\",\"message\":\"a\\nb\\u00e4\"}", ERR_CONFLICT, 409,
		 "HTTP 409: a?b??"},
		{200, "", "{", ERR_TRANSIENT, 200, NULL},
		{200, "", "", ERR_TRANSIENT, 200, NULL},
	};
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(outcome_donep) struct outcome outcome = {0};

		peer_answer(peer, cases[i].status, cases[i].headers, cases[i].body);
		(void)begin_get(peer, "a", &outcome);
		peer_run_until(peer, &outcome.done);
		assert_int_equal(outcome.err.kind, cases[i].kind);
		assert_int_equal(outcome.err.code, cases[i].code);
		if (cases[i].msg)
			assert_string_equal(outcome.err.msg, cases[i].msg);
		assert_int_equal(outcome.object != NULL, strstr(cases[i].body, "Status") != NULL);
	}
}

static void test_long_message_is_cut(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome outcome = {0};
	CLEANUP(mem_freep) char *body = NULL;
	char message[1000];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	body = mem_printf("{\"kind\":\"Status\",\"message\":\"%s\"}", message);
	peer_answer(peer, 422, "", body);
	(void)begin_get(peer, "a", &outcome);
	peer_run_until(peer, &outcome.done);
	assert_int_equal(strlen(outcome.err.msg), sizeof(outcome.err.msg) - 1);
}

/* By whatever stands before the API server. */
static void test_what_is_no_object(void **state)
{
	static const char *const bodies[] = {"{}", "[]", "1", "{\"metadata\":{}}",
					     "{\"metadata\":{\"resourceVersion\":1}}"};
	struct peer *peer = *state;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		CLEANUP(outcome_donep) struct outcome got = {0}, deleted = {0};

		peer_answer(peer, 200, "", bodies[i]);
		(void)begin_get(peer, "a", &got);
		peer_run_until(peer, &got.done);
		assert_int_equal(got.err.kind, ERR_TRANSIENT);
		assert_non_null(strstr(got.err.msg, "no Kubernetes object"));

		peer_answer(peer, 200, "", bodies[i]);
		(void)begin(peer,
			    (struct kube_request){.verb = "delete",
						  .resource = &secrets,
						  .namespace = "ns",
						  .name = "a"},
			    &deleted);
		peer_run_until(peer, &deleted.done);
		assert_int_equal(deleted.err.kind, ERR_TRANSIENT);
	}
}

static void test_too_large(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome one = {0}, list = {0};
	CLEANUP(mem_freep) char *body = mem_alloc(KUBE_MAX_OBJECT + 2);

	memset(body, ' ', KUBE_MAX_OBJECT + 1);
	memcpy(body, OBJECT, strlen(OBJECT));
	body[KUBE_MAX_OBJECT + 1] = '\0';
	peer_answer(peer, 200, "", body);
	(void)begin_get(peer, "a", &one);
	peer_run_until(peer, &one.done);
	assert_int_equal(one.err.kind, ERR_TRANSIENT);

	peer_answer(peer, 200, "", body);
	(void)begin(peer, (struct kube_request){.verb = "get", .resource = &secrets}, &list);
	peer_run_until(peer, &list.done);
	assert_int_equal(list.err.kind, ERR_NONE);
}

static void test_no_connection(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome outcome = {0};
	CLEANUP(mem_freep)
	char *expected = mem_printf("%s: %s", kube_config_server(peer->config),
				    http_fault_text(HTTP_FAULT_CONNECT));

	(void)evconnlistener_disable(peer->listener);
	evconnlistener_free(TAKE(peer->listener));
	(void)begin_get(peer, "a", &outcome);
	peer_run_until(peer, &outcome.done);
	assert_int_equal(outcome.err.kind, ERR_TRANSIENT);
	assert_int_equal(outcome.err.code, 0);
	assert_string_equal(outcome.err.msg, expected);
}

static void test_deadline(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome outcome = {0};

	(void)begin(peer,
		    (struct kube_request){.verb = "get", .resource = &secrets, .timeout_ms = 50},
		    &outcome);
	peer_run_until(peer, &outcome.done);
	assert_int_equal(outcome.err.kind, ERR_TRANSIENT);
}

static void test_namespace_terminating(void **state)
{
	static const struct {
		const char *status;
		bool expected;
	} cases[] = {
		{"{\"code\":403,\"details\":{\"causes\":[{\"reason\":\"x\"},{\"reason\":"
		 "\"NamespaceTerminating\"}]}}",
		 true},
		{"{\"code\":403,\"details\":{\"causes\":[{\"reason\":\"x\"}]}}", false},
		{"{\"code\":404,\"details\":{\"causes\":[{\"reason\":\"NamespaceTerminating\"}]}}",
		 false},
		{"{\"code\":403}", false},
		{"[]", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(jv_freep) json_t *status = json_loads(cases[i].status, 0, NULL);

		assert_int_equal(kube_is_namespace_terminating(status), cases[i].expected);
	}
	assert_false(kube_is_namespace_terminating(NULL));
}

/* ---- life ---- */

static void test_cancel(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome cancelled = {0}, other = {0};

	kube_cancel(begin_get(peer, "a", &cancelled));
	kube_cancel(NULL);
	peer_answer(peer, 200, "", "{}");
	(void)begin_get(peer, "b", &other);
	peer_run_until(peer, &other.done);
	assert_false(cancelled.done);
	assert_int_equal(peer->requests_len, 1);
}

static void test_free_with_calls_running(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome running = {0}, queued = {0};

	(void)begin_get(peer, "a", &running);
	while (!peer->requests_len)
		(void)event_base_loop(peer->base, EVLOOP_ONCE);
	(void)begin_get(peer, "b", &queued);
	kube_free(TAKE(peer->kube));
	kube_free(NULL);
	(void)event_base_loop(peer->base, EVLOOP_NONBLOCK);
	assert_false(running.done || queued.done);
}

/* ---- the token, metrics, the log ---- */

static void put_token(const char *path, const char *token)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(token, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void get_and_expect(struct peer *peer, int status, const char *token)
{
	CLEANUP(outcome_donep) struct outcome outcome = {0};
	CLEANUP(mem_freep) char *header = mem_printf("\r\nAuthorization: Bearer %s\r\n", token);

	peer_answer(peer, status, "", "{}");
	(void)begin_get(peer, "a", &outcome);
	peer_run_until(peer, &outcome.done);
	assert_true(peer_saw(peer, header));
}

static void test_token_read_again_after_401(void **state)
{
	struct peer *peer = *state;
	char path[] = "/tmp/kube-token-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	put_token(path, "old");
	peer->config->token_path = mem_strdup(path);
	kube_config_distrust_token(peer->config);
	get_and_expect(peer, 200, "old");
	put_token(path, "new");
	get_and_expect(peer, 200, "old"); /* not a minute yet */
	get_and_expect(peer, 401, "old");
	get_and_expect(peer, 200, "new");
	(void)unlink(path);
}

static void test_metrics(void **state)
{
	struct peer *peer = *state;
	struct metrics *metrics = metrics_new();
	struct metrics_family *family = kube_declare_requests_total(metrics);
	struct kube_options options = {.user_agent = "u", .requests_total = family};
	CLEANUP(outcome_donep) struct outcome good = {0}, bad = {0};
	const char *host = kube_config_server(peer->config) + strlen("http://");

	kube_free(peer->kube);
	peer->kube = kube_new(peer->base, peer->config, &options);
	peer_answer(peer, 404, "", "{}");
	(void)begin_get(peer, "a", &good);
	peer_run_until(peer, &good.done);
	(void)begin(peer,
		    (struct kube_request){.verb = "get", .resource = &secrets, .timeout_ms = 50},
		    &bad);
	peer_run_until(peer, &bad.done);
	assert_true(metrics_value(family, (const char *[]){"404", "GET", host}) == 1.0);
	assert_true(metrics_value(family, (const char *[]){"<error>", "GET", host}) == 1.0);
	metrics_free(metrics);
}

static void test_debug_log_holds_no_secret(void **state)
{
	struct peer *peer = *state;
	CLEANUP(outcome_donep) struct outcome outcome = {0};
	FILE *file = tmpfile();
	char text[4096];
	ssize_t len;

	assert_non_null(file);
	log_setup(LOG_TEXT, 4);
	log_setup_fd(fileno(file));
	peer_answer(peer, 200, "", "{\"data\":\"hidden\"}");
	(void)begin_get(peer, "a", &outcome);
	peer_run_until(peer, &outcome.done);
	log_setup(LOG_TEXT, 0);
	log_setup_fd(2);
	len = pread(fileno(file), text, sizeof(text) - 1, 0);
	(void)fclose(file);
	assert_true(len > 0);
	text[len] = '\0';
	assert_non_null(strstr(text, "method=GET path=/api/v1/namespaces/ns/secrets/a status=200"));
	assert_null(strstr(text, "s3cret"));
	assert_null(strstr(text, "hidden"));
}

int main(void)
{
#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, peer_set_up, peer_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_PEER(test_requests),
		WITH_PEER(test_headers),
		WITH_PEER(test_no_such_path),
		WITH_PEER(test_status_to_err),
		WITH_PEER(test_long_message_is_cut),
		WITH_PEER(test_what_is_no_object),
		WITH_PEER(test_too_large),
		WITH_PEER(test_no_connection),
		WITH_PEER(test_deadline),
		cmocka_unit_test(test_namespace_terminating),
		WITH_PEER(test_cancel),
		WITH_PEER(test_free_with_calls_running),
		WITH_PEER(test_token_read_again_after_401),
		WITH_PEER(test_metrics),
		WITH_PEER(test_debug_log_holds_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
