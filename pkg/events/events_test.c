/* SPDX-License-Identifier: Apache-2.0 */
#include "events/events.h"

#include <fcntl.h>
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

#define TERMINATING                                                                                \
	"{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\",\"details\":{\"causes\":"      \
	"[{\"reason\":\"NamespaceTerminating\"}]}}"

struct fixture {
	struct event_base *base;
	struct httpd_peer peer;
	struct kube_config *config;
	struct kube *kube;
	struct events *events;
	/* what the server has got */
	int creates, patches;
	char *path;   /* of the last request */
	json_t *body; /* of the last request */
	/* what it answers */
	int fail_next;
	int fail_status;
	const char *fail_body;
	int log_pipe[2];
};

static const struct events_object about = {
	.api_version = "acme.example/v1",
	.kind = "Thing",
	.namespace = "ns",
	.name = "thing",
	.uid = "u-1",
	.resource_version = "7",
};

/* ---- the server ---- */

static int respond(void *ctx, const char *method, const char *path, const char *body,
		   struct buf *answer)
{
	CLEANUP(jv_freep) json_t *stored = NULL;
	CLEANUP(mem_freep) char *text = NULL;
	struct fixture *f = ctx;

	free(f->path);
	f->path = mem_strdup(path);
	json_decref(f->body);
	f->body = json_loads(body, 0, NULL);
	*(strcmp(method, "POST") == 0 ? &f->creates : &f->patches) += 1;
	if (f->fail_next > 0) {
		f->fail_next--;
		(void)buf_adds(answer, f->fail_body);
		return f->fail_status;
	}
	stored = json_deep_copy(f->body);
	jv_set_str(jv_ensure_object(stored, "metadata"), "resourceVersion", "8");
	text = json_dumps(stored, 0);
	(void)buf_adds(answer, text);
	return 200;
}

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	const struct kube_options kube_options = {.user_agent = "events-test", .http1 = true};
	const struct events_options options = {
		.controller = "acme.example/thing-controller",
		.instance = "pod-1",
		.series_ms = 50,
		.retry_ms = 1,
	};
	char *path;
	struct err err;

	(void)alarm(30); /* for a test that waits in vain */
	f->fail_body = "{}";
	assert_int_equal(pipe2(f->log_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	log_setup_fd(f->log_pipe[1]);
	f->base = event_base_new();
	httpd_peer_start(&f->peer, f->base, respond, f);
	path = httpd_peer_kubeconfig(&f->peer);
	f->config = kube_config_load(path, NULL, &err);
	assert_non_null(f->config);
	(void)unlink(path);
	free(path);
	f->kube = kube_new(f->base, f->config, &kube_options);
	f->events = events_new(f->base, f->kube, &options);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	events_free(f->events);
	kube_free(f->kube);
	kube_config_free(f->config);
	httpd_peer_stop(&f->peer);
	event_base_free(f->base);
	json_decref(f->body);
	free(f->path);
	(void)close(f->log_pipe[0]);
	(void)close(f->log_pipe[1]);
	free(f);
	return 0;
}

#define UNTIL(f, condition)                                                                        \
	while (!(condition))                                                                       \
	assert_int_equal(event_base_loop((f)->base, EVLOOP_ONCE), 0)

static void emit(struct fixture *f, const char *note)
{
	events_emit(f->events, &about,
		    &(struct events_message){.warning = false,
					     .reason = "Registered",
					     .action = "Register",
					     .note = note});
}

static void emit_and_send(struct fixture *f, const char *note)
{
	emit(f, note);
	UNTIL(f, events_idle(f->events));
}

static const char *sent(struct fixture *f, const char *path)
{
	return jv_str(f->body, path);
}

/* Lines logged since the last call. */
static int count_logged(struct fixture *f)
{
	char text[65536];
	ssize_t len = read(f->log_pipe[0], text, sizeof(text));
	int lines = 0;

	for (ssize_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* ---- one event ---- */

static void test_event(void **state)
{
	struct fixture *f = *state;
	int64_t now_s = mono_wall_us() / 1000000;

	assert_true(events_idle(f->events));
	events_emit(f->events, &about,
		    &(struct events_message){.warning = true,
					     .reason = "Refused",
					     .action = "Register",
					     .note = "the server refused"});
	assert_false(events_idle(f->events));
	UNTIL(f, events_idle(f->events));
	assert_int_equal(f->creates, 1);
	assert_string_equal(f->path, "/apis/events.k8s.io/v1/namespaces/ns/events");
	assert_string_equal(sent(f, "apiVersion"), "events.k8s.io/v1");
	assert_string_equal(sent(f, "kind"), "Event");
	assert_string_equal(sent(f, "metadata.namespace"), "ns");
	assert_memory_equal(sent(f, "metadata.name"), "thing.", 6);
	assert_int_equal(strlen(sent(f, "metadata.name")), strlen("thing.") + 16);
	assert_string_equal(sent(f, "type"), "Warning");
	assert_string_equal(sent(f, "reason"), "Refused");
	assert_string_equal(sent(f, "action"), "Register");
	assert_string_equal(sent(f, "note"), "the server refused");
	assert_string_equal(sent(f, "reportingController"), "acme.example/thing-controller");
	assert_string_equal(sent(f, "reportingInstance"), "pod-1");
	assert_string_equal(sent(f, "regarding.apiVersion"), "acme.example/v1");
	assert_string_equal(sent(f, "regarding.kind"), "Thing");
	assert_string_equal(sent(f, "regarding.namespace"), "ns");
	assert_string_equal(sent(f, "regarding.name"), "thing");
	assert_string_equal(sent(f, "regarding.uid"), "u-1");
	assert_string_equal(sent(f, "regarding.resourceVersion"), "7");
	assert_int_equal(strlen(sent(f, "eventTime")), MONO_RFC3339_LEN - 1);
	assert_in_range(mono_parse_rfc3339(sent(f, "eventTime")), now_s, now_s + 10);
}

static void test_about_something_without_a_namespace(void **state)
{
	struct fixture *f = *state;
	const struct events_object cluster = {
		.api_version = "v1", .kind = "Node", .namespace = "", .name = "n", .uid = "u"};

	events_emit(f->events, &cluster,
		    &(struct events_message){
			    .warning = false, .reason = "Seen", .action = "Look", .note = "x"});
	UNTIL(f, events_idle(f->events));
	assert_string_equal(f->path, "/apis/events.k8s.io/v1/namespaces/default/events");
	assert_string_equal(sent(f, "type"), "Normal");
	assert_null(jv_get(f->body, "regarding.namespace"));
	assert_null(jv_get(f->body, "regarding.resourceVersion"));
}

static void test_fields_are_cut(void **state)
{
	struct fixture *f = *state;
	struct events_object object = about;
	char name[254], note[1200];

	memset(name, 'a', sizeof(name));
	name[253] = '\0';
	name[234] = name[235] = '-'; /* where it is cut */
	memset(note, 'n', sizeof(note));
	memcpy(note + 1023, "\xc3\xa4", 3);
	object.name = name;
	events_emit(f->events, &object,
		    &(struct events_message){
			    .warning = false, .reason = note, .action = note, .note = note});
	UNTIL(f, events_idle(f->events));
	assert_int_equal(strlen(sent(f, "metadata.name")), 234 + 17);
	assert_int_equal(sent(f, "metadata.name")[233], 'a');
	assert_int_equal(sent(f, "metadata.name")[234], '.');
	assert_string_equal(sent(f, "regarding.name"), name);
	assert_int_equal(strlen(sent(f, "reason")), 128);
	assert_int_equal(strlen(sent(f, "action")), 128);
	assert_int_equal(strlen(sent(f, "note")), 1023); /* no half of a character */
}

static void test_note_that_is_not_text(void **state)
{
	struct fixture *f = *state;

	emit_and_send(f, "a\xff\xc3\xa4z");
	assert_string_equal(sent(f, "note"), "a???z");
	emit_and_send(f, "fine \xc3\xa4");
	assert_string_equal(sent(f, "note"), "fine \xc3\xa4");
}

static void test_in_order(void **state)
{
	struct fixture *f = *state;

	emit(f, "first");
	emit(f, "second");
	emit(f, "third");
	UNTIL(f, f->creates == 1);
	assert_string_equal(sent(f, "note"), "first");
	UNTIL(f, f->creates == 2);
	assert_string_equal(sent(f, "note"), "second");
	UNTIL(f, events_idle(f->events));
	assert_string_equal(sent(f, "note"), "third");
	assert_int_equal(f->creates, 3);
}

/* ---- the same again ---- */

static void test_series(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) char *path = NULL;

	emit_and_send(f, "x");
	path = mem_printf("/apis/events.k8s.io/v1/namespaces/ns/events/%s",
			  sent(f, "metadata.name"));
	emit(f, "x");
	emit(f, "x");
	assert_true(events_idle(f->events));
	UNTIL(f, f->patches);
	UNTIL(f, events_idle(f->events));
	assert_int_equal(f->creates, 1);
	assert_int_equal(f->patches, 1);
	assert_string_equal(f->path, path);
	assert_int_equal(jv_int(f->body, "series.count", 0), 3);
	assert_int_equal(strlen(sent(f, "series.lastObservedTime")), MONO_RFC3339_LEN - 1);
	assert_int_equal(json_object_size(f->body), 1);
	emit(f, "x");
	UNTIL(f, f->patches == 2);
	assert_int_equal(jv_int(f->body, "series.count", 0), 4);
}

static void test_what_is_not_the_same(void **state)
{
	struct fixture *f = *state;
	struct events_object other = about;

	other.uid = "u-2";
	emit(f, "x");
	emit(f, "y");
	events_emit(f->events, &about,
		    &(struct events_message){.warning = true,
					     .reason = "Registered",
					     .action = "Register",
					     .note = "x"});
	events_emit(
		f->events, &about,
		&(struct events_message){
			.warning = false, .reason = "Refused", .action = "Register", .note = "x"});
	events_emit(f->events, &other,
		    &(struct events_message){.warning = false,
					     .reason = "Registered",
					     .action = "Register",
					     .note = "x"});
	UNTIL(f, events_idle(f->events));
	assert_int_equal(f->creates, 5);
}

static void test_series_of_a_deleted_event_begins_anew(void **state)
{
	struct fixture *f = *state;

	emit_and_send(f, "x");
	f->fail_next = 1;
	f->fail_status = 404;
	emit(f, "x");
	UNTIL(f, f->patches);
	UNTIL(f, events_idle(f->events));
	assert_int_equal(count_logged(f), 0);
	emit_and_send(f, "x");
	assert_int_equal(f->creates, 2);
}

static void test_memory_of_what_was_seen_is_bounded(void **state)
{
	enum { BATCH = 500, ALL = 4500 };
	struct fixture *f = *state;
	char note[16];

	for (int i = 0; i < ALL; i++) {
		(void)snprintf(note, sizeof(note), "%d", i);
		emit(f, note);
		if (i % BATCH == BATCH - 1)
			UNTIL(f, events_idle(f->events));
	}
	assert_int_equal(f->creates, ALL);
	emit_and_send(f, "4000"); /* still known */
	assert_int_equal(f->creates, ALL);
	emit_and_send(f, "0");
	assert_int_equal(f->creates, ALL + 1);
}

/* ---- failing ---- */

static void test_tried_again(void **state)
{
	static const int statuses[] = {500, 429, 503};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		CLEANUP(mem_freep) char *note = mem_printf("%d", statuses[i]);

		f->creates = 0;
		f->fail_next = 3;
		f->fail_status = statuses[i];
		emit_and_send(f, note);
		assert_int_equal(f->creates, 4);
		assert_string_equal(sent(f, "note"), note);
	}
	assert_int_equal(count_logged(f), 0);
}

static void test_dropped_after_a_few_tries(void **state)
{
	struct fixture *f = *state;

	f->fail_next = 4;
	f->fail_status = 500;
	emit(f, "x");
	emit(f, "y");
	UNTIL(f, events_idle(f->events));
	assert_int_equal(f->creates, 5);
	assert_string_equal(sent(f, "note"), "y");
	assert_int_equal(count_logged(f), 1);
	emit_and_send(f, "x"); /* it never came to be */
	assert_int_equal(f->creates, 6);
}

static void test_not_tried_again(void **state)
{
	static const struct {
		const char *body;
		int status;
		int logged;
	} cases[] = {
		{"{}", 400, 1},	       {"{}", 403, 1}, {"{}", 422, 0}, /* logged at powers of two */
		{TERMINATING, 403, 0}, {"{}", 404, 0}, {"{}", 409, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(mem_freep) char *note = mem_printf("%zu", i);

		f->creates = 0;
		f->fail_next = 1;
		f->fail_status = cases[i].status;
		f->fail_body = cases[i].body;
		emit_and_send(f, note);
		assert_int_equal(f->creates, 1);
		assert_int_equal(count_logged(f), cases[i].logged);
	}
}

static void test_queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	char note[16];

	for (int i = 0; i < 1010; i++) {
		(void)snprintf(note, sizeof(note), "%d", i);
		emit(f, note);
	}
	assert_int_equal(count_logged(f), 4); /* at 1, 2, 4, 8 */
	UNTIL(f, events_idle(f->events));
	assert_int_equal(f->creates, 1000);
	emit_and_send(f, "1005"); /* dropped, so not known */
	assert_int_equal(f->creates, 1001);
}

static void test_free_with_a_full_queue(void **state)
{
	struct fixture *f = *state;

	emit(f, "x");
	emit(f, "y");
	events_free(TAKE(f->events));
	events_free(NULL);
	(void)event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->creates, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_event),
		TEST(test_about_something_without_a_namespace),
		TEST(test_fields_are_cut),
		TEST(test_note_that_is_not_text),
		TEST(test_in_order),
		TEST(test_series),
		TEST(test_what_is_not_the_same),
		TEST(test_series_of_a_deleted_event_begins_anew),
		TEST(test_memory_of_what_was_seen_is_bounded),
		TEST(test_tried_again),
		TEST(test_dropped_after_a_few_tries),
		TEST(test_not_tried_again),
		TEST(test_queue_is_bounded),
		TEST(test_free_with_a_full_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
