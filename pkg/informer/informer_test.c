/* SPDX-License-Identifier: Apache-2.0 */

/* What the owner of the cache was told reads "+a/x@5" (added), "~a/x@5>6" (changed), "-a/x@6". */

#include "informer/informer.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "informer/informer_peer.h"
#include "jv/jv.h"

struct fixture {
	struct peer peer;
	struct kube_config *config;
	struct kube *kube;
	struct informer *informer;
	struct buf changes;
	struct buf logged;
	int log_pipe[2];
	int synced;
	int objects; /* decoded and not freed */
};

#define UNTIL(f, condition)                                                                        \
	while (!(condition))                                                                       \
	turn(&(f)->peer)

/* ---- the owner ---- */

static struct fixture *current; /* decode and free have no context */

static void *decode(const json_t *object)
{
	if (jv_bool(object, "bad", false))
		return NULL;
	current->objects++;
	return mem_strdup(jv_str(object, "metadata.resourceVersion"));
}

static void free_object(void *object)
{
	current->objects--;
	free(object);
}

static void on_changed(void *ctx, const char *namespace, const char *name, void *old_object,
		       void *new_object)
{
	struct fixture *f = ctx;
	const char *old_rv = old_object;
	const char *new_rv = new_object;

	assert_ptr_equal(informer_get(f->informer, namespace, name, NULL), new_object);
	if (!old_rv)
		(void)buf_addf(&f->changes, "+%s/%s@%s ", namespace, name, new_rv);
	else if (!new_rv)
		(void)buf_addf(&f->changes, "-%s/%s@%s ", namespace, name, old_rv);
	else
		(void)buf_addf(&f->changes, "~%s/%s@%s>%s ", namespace, name, old_rv, new_rv);
}

static void on_synced(void *ctx)
{
	struct fixture *f = ctx;

	f->synced++;
	assert_true(informer_synced(f->informer));
}

static void expect_changes(struct fixture *f, const char *wanted)
{
	UNTIL(f, f->changes.len >= strlen(wanted));
	assert_string_equal(buf_str(&f->changes), wanted);
	buf_clear(&f->changes);
}

/* How often this was logged so far. */
static int count_logged(struct fixture *f, const char *part)
{
	const char *at;
	char chunk[4096];
	ssize_t len;
	int count = 0;

	while ((len = read(f->log_pipe[0], chunk, sizeof(chunk))) > 0)
		(void)buf_add(&f->logged, chunk, (size_t)len);
	for (at = buf_str(&f->logged); (at = strstr(at, part)); at++)
		count++;
	return count;
}

static void start(struct fixture *f, const struct informer_options *options)
{
	const struct informer_kind kind = {
		.resource = {"example.com", "v1", "things"},
		.decode = decode,
		.free = free_object,
		.changed = on_changed,
		.synced = on_synced,
		.ctx = f,
	};
	struct informer_options fast = *options;

	fast.backoff_ms = 1;
	f->informer = informer_new(f->peer.base, f->kube, &kind, &fast);
	informer_start(f->informer);
}

/* Lists these, at resourceVersion 10, and returns the watch that follows. */
static struct request *start_with(struct fixture *f, const char *specs)
{
	struct request *watch;

	start(f, &(struct informer_options){0});
	reply_list(next_list(&f->peer), "10", "", specs);
	watch = next_watch(&f->peer, "10");
	begin_stream(watch);
	buf_clear(&f->changes);
	return watch;
}

/* ---- set-up ---- */

static struct kube_config *load_config(const struct fixture *f)
{
	char path[] = "/tmp/informer-test-XXXXXX";
	int fd = mkstemp(path);
	struct kube_config *config;
	struct err err;

	assert_true(fd >= 0);
	(void)dprintf(fd,
		      "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
		      "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%d'}}]\n"
		      "users: [{name: c, user: {}}]\n"
		      "contexts: [{name: c, context: {cluster: c, user: c}}]\n",
		      ntohs(f->peer.address.sin_port));
	(void)close(fd);
	config = kube_config_load(path, NULL, &err);
	(void)unlink(path);
	if (!config)
		fail_msg("%s", err.msg);
	return config;
}

static int set_up(void **state)
{
	const struct kube_options options = {.user_agent = "test", .http1 = true};
	struct fixture *f = mem_zalloc(sizeof(*f));

	buf_init(&f->changes, MAX_TEXT);
	buf_init(&f->logged, MAX_TEXT);
	assert_int_equal(pipe2(f->log_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	log_setup_fd(f->log_pipe[1]);
	peer_init(&f->peer);
	f->config = load_config(f);
	f->kube = kube_new(f->peer.base, f->config, &options);
	current = f;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	informer_free(f->informer);
	assert_int_equal(f->objects, 0);
	kube_free(f->kube);
	kube_config_free(f->config);
	peer_done(&f->peer);
	log_setup_fd(STDERR_FILENO);
	(void)close(f->log_pipe[0]);
	(void)close(f->log_pipe[1]);
	buf_done(&f->changes);
	buf_done(&f->logged);
	free(f);
	return 0;
}

/* ---- lists ---- */

static void add_name(void *ctx, const char *namespace, const char *name, void *object)
{
	(void)buf_addf(ctx, "%s/%s@%s ", namespace, name, (const char *)object);
}

static void test_first_list(void **state)
{
	CLEANUP(buf_donep) struct buf names = BUF_INIT(MAX_TEXT);
	struct fixture *f = *state;
	struct request *list;
	const char *rv = NULL;

	start(f, &(struct informer_options){.selector = "tier in (a,b)"});
	assert_string_equal(informer_rv(f->informer, "a"), "");
	list = next_list(&f->peer);
	assert_string_equal(list->target, "/apis/example.com/v1/things?limit=500"
					  "&labelSelector=tier%20in%20%28a%2Cb%29");
	assert_false(informer_synced(f->informer));
	reply_list(list, "10", "", "a/x:5 b/x:7");
	expect_changes(f, "+a/x@5 +b/x@7 ");
	UNTIL(f, f->synced == 1);
	assert_int_equal(informer_len(f->informer), 2);
	assert_string_equal(informer_get(f->informer, "b", "x", &rv), "7");
	assert_string_equal(rv, "7");
	assert_null(informer_get(f->informer, "a", "y", NULL));
	informer_each(f->informer, add_name, &names);
	assert_string_equal(buf_str(&names), "a/x@5 b/x@7 ");
	assert_string_equal(informer_rv(f->informer, "a"), "10");
	assert_true(informer_silence_ms(f->informer) < TEST_LIMIT_S * 1000);
}

static void test_pages(void **state)
{
	struct fixture *f = *state;
	struct request *list;

	start(f, &(struct informer_options){.page_size = 2});
	list = next_list(&f->peer);
	assert_string_equal(list->target, "/apis/example.com/v1/things?limit=2");
	reply_list(list, "10", "to/ken=", "a/1:1 a/2:2");
	list = next_list(&f->peer);
	assert_string_equal(list->target,
			    "/apis/example.com/v1/things?limit=2&continue=to%2Fken%3D");
	assert_false(informer_synced(f->informer));
	assert_int_equal(informer_len(f->informer), 2);
	reply_list(list, "11", "", "a/3:3");
	(void)next_watch(&f->peer, "10");
	expect_changes(f, "+a/1@1 +a/2@2 +a/3@3 ");
	assert_int_equal(f->synced, 1);
}

static void test_page_expires(void **state)
{
	struct fixture *f = *state;
	struct request *list;

	start(f, &(struct informer_options){0});
	reply_list(next_list(&f->peer), "10", "token", "a/1:1 a/2:2");
	reply_status(next_request(&f->peer, "continue=token"), "410 Gone");
	list = next_list(&f->peer);
	assert_string_equal(list->target, "/apis/example.com/v1/things?limit=0");
	reply_list(list, "12", "", "a/2:2 a/3:3");
	(void)next_watch(&f->peer, "12");
	expect_changes(f, "+a/1@1 +a/2@2 +a/3@3 -a/1@1 ");
	assert_int_equal(count_logged(f, "warning"), 0);
}

/* The end of a list takes away what it did not name. */
static void test_page_that_is_none(void **state)
{
	struct fixture *f = *state;

	send_error(start_with(f, "a/1:1 a/2:2"), 410);
	reply_list(next_list(&f->peer), "20", "token", "a/1:1");
	reply(next_request(&f->peer, "continue=token"), "200 OK", "{\"items\":[]}");
	reply_list(next_list(&f->peer), "21", "", "a/1:1 a/2:2");
	(void)next_watch(&f->peer, "21");
	expect_changes(f, "");
}

/* As many objects as fit; the same for the next list. */
static void test_page_is_too_large(void **state)
{
	CLEANUP(mem_freep) char *large = mem_alloc(KUBE_MAX_RESPONSE + 2);
	struct fixture *f = *state;
	struct request *list;

	memset(large, ' ', KUBE_MAX_RESPONSE + 1);
	large[KUBE_MAX_RESPONSE + 1] = '\0';
	start(f, &(struct informer_options){.page_size = 5});
	reply(next_list(&f->peer), "200 OK", large);
	list = next_list(&f->peer);
	assert_string_equal(list->target, "/apis/example.com/v1/things?limit=2");
	reply_list(list, "10", "token", "a/1:1 a/2:2");
	reply(next_request(&f->peer, "continue=token"), "200 OK", large);
	list = next_list(&f->peer);
	assert_string_equal(list->target, "/apis/example.com/v1/things?limit=1");
	reply_list(list, "10", "", "a/1:1");
	(void)next_watch(&f->peer, "10");
	assert_int_equal(count_logged(f, "warning"), 0);
}

/* What is missing from a list that broke off is not deleted. */
static void test_broken_list_deletes_nothing(void **state)
{
	struct fixture *f = *state;

	send_error(start_with(f, "a/1:1 a/2:2 a/3:3"), 410);
	reply_list(next_list(&f->peer), "20", "token", "a/3:3");
	reply_status(next_request(&f->peer, "continue=token"), "500 Internal Server Error");
	reply_list(next_list(&f->peer), "21", "", "a/2:2");
	(void)next_watch(&f->peer, "21");
	expect_changes(f, "-a/1@1 -a/3@3 ");
}

static void test_list_failures(void **state)
{
	static const char *const bodies[] = {
		"not json",
		"{}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[7]}",
	};
	struct fixture *f = *state;
	size_t i;

	start(f, &(struct informer_options){0});
	reply_status(next_list(&f->peer), "410 Gone");
	reply_status(next_list(&f->peer), "403 Forbidden");
	reply_status(next_list(&f->peer), "429 Too Many Requests");
	hang_up(next_list(&f->peer));
	for (i = 0; i < ARRAY_LEN(bodies); i++)
		reply(next_list(&f->peer), "200 OK", bodies[i]);
	reply_list(next_list(&f->peer), "1", "", "a/x:");
	UNTIL(f, find_request(&f->peer, "limit="));
	assert_int_equal(count_logged(f, "cannot follow"), 1);
	assert_int_equal(count_logged(f, "following a resource again"), 0);
	reply_list(next_list(&f->peer), "10", "", "a/x:1");
	(void)next_watch(&f->peer, "10");
	assert_int_equal(count_logged(f, "following a resource again"), 1);
	assert_int_equal(f->synced, 1);
}

static void test_list_limits(void **state)
{
	CLEANUP(mem_freep) char *token = mem_zalloc(20001);
	CLEANUP(mem_freep) char *name = mem_zalloc(401);
	CLEANUP(mem_freep) char *spec = NULL;
	struct fixture *f = *state;

	memset(token, 't', 20000);
	memset(name, 'n', 400);
	spec = mem_printf("a/%s:1", name);
	start(f, &(struct informer_options){0});
	reply_list(next_list(&f->peer), "10", token, "");
	reply_list(next_list(&f->peer), "10", "", spec);
	reply_list(next_list(&f->peer), "1234567890123456789012345678901234567890", "", "");
	reply_list(next_list(&f->peer), "10", "", "");
	(void)next_watch(&f->peer, "10");
	assert_null(informer_get(f->informer, "a", name, NULL));
}

/* ---- watches ---- */

static void test_watch_query(void **state)
{
	struct fixture *f = *state;
	struct request *watch;
	const char *timeout;
	char *end;

	start(f, &(struct informer_options){.selector = "a=b"});
	reply_list(next_list(&f->peer), "10", "", "");
	watch = next_watch(&f->peer, "10");
	assert_non_null(strstr(watch->target, "/apis/example.com/v1/things?"));
	assert_non_null(strstr(watch->target, "allowWatchBookmarks=true"));
	assert_non_null(strstr(watch->target, "labelSelector=a%3Db"));
	timeout = strstr(watch->target, "timeoutSeconds=");
	assert_non_null(timeout);
	assert_in_range(strtol(timeout + strlen("timeoutSeconds="), &end, 10), 300, 599);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/x:5");

	send_event(watch, "ADDED", "a/y:11");
	send_event(watch, "MODIFIED", "a/x:12");
	send_event(watch, "DELETED", "a/y:13");
	send_event(watch, "DELETED", "a/unknown:14");
	expect_changes(f, "+a/y@11 ~a/x@5>12 -a/y@11 ");
	UNTIL(f, strcmp(informer_rv(f->informer, "a"), "14") == 0);
	send_event(watch, "BOOKMARK", "/:20");
	UNTIL(f, strcmp(informer_rv(f->informer, "a"), "20") == 0);
	send_event(watch, "ADDED", "a/z:22");
	expect_changes(f, "+a/z@22 ");
	assert_int_equal(informer_len(f->informer), 2);
}

static void test_torn_and_joined_chunks(void **state)
{
	CLEANUP(mem_freep) char *first = event_text("ADDED", "a/y:11");
	CLEANUP(mem_freep) char *second = event_text("MODIFIED", "a/y:12");
	CLEANUP(mem_freep) char *both = mem_printf("%s%s", first, second);
	struct fixture *f = *state;
	struct request *watch = start_with(f, "");
	size_t i;

	for (i = 0; first[i]; i++) {
		send_chunk(watch, first + i, 1);
		UNTIL(f, !evbuffer_get_length(bufferevent_get_output(watch->bev)));
	}
	expect_changes(f, "+a/y@11 ");
	send_event(watch, "DELETED", "a/y:12");
	expect_changes(f, "-a/y@11 ");
	send_chunk(watch, both, strlen(both));
	expect_changes(f, "+a/y@11 ~a/y@11>12 ");
}

static void test_old_versions_are_ignored(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/x:9");

	send_event(watch, "MODIFIED", "a/x:8");
	send_event(watch, "ADDED", "a/x:9");
	send_event(watch, "MODIFIED", "a/x:10");
	expect_changes(f, "~a/x@9>10 ");
	send_event(watch, "MODIFIED", "a/x:opaque");
	expect_changes(f, "~a/x@10>opaque ");
}

/* Only a list may go back: the server was restored from a backup. */
static void test_list_goes_back(void **state)
{
	struct fixture *f = *state;

	send_error(start_with(f, "a/x:9"), 410);
	reply_list(next_list(&f->peer), "5", "", "a/x:4");
	(void)next_watch(&f->peer, "5");
	expect_changes(f, "~a/x@9>4 ");
}

static void test_plain_end(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "");

	send_event(watch, "ADDED", "a/x:11");
	send_event(watch, "BOOKMARK", "/:15");
	end_stream(watch);
	watch = next_watch(&f->peer, "15");
	begin_stream(watch);
	send_event(watch, "MODIFIED", "a/x:16");
	expect_changes(f, "+a/x@11 ~a/x@11>16 ");
	assert_int_equal(count_logged(f, "warning"), 0);
}

static void test_mute_watches(void **state)
{
	struct fixture *f = *state;
	int i;

	end_stream(start_with(f, ""));
	for (i = 1; i < 5; i++) {
		struct request *watch = next_watch(&f->peer, "10");

		begin_stream(watch);
		end_stream(watch);
	}
	reply_list(next_list(&f->peer), "20", "", "");
	assert_int_equal(count_logged(f, "cannot follow"), 1);
	assert_int_equal(count_logged(f, "ends at once"), 1);
	(void)next_watch(&f->peer, "20");
}

/* Deleted, changed and unchanged while the watch was blind. */
static void test_gap(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/gone:1 a/changed:2 a/same:3");

	send_error(watch, 410);
	reply_list(next_list(&f->peer), "20", "", "a/changed:15 a/same:3 a/new:16");
	(void)next_watch(&f->peer, "20");
	expect_changes(f, "~a/changed@2>15 +a/new@16 -a/gone@1 ");
	assert_true(watch->closed);
	assert_int_equal(f->synced, 1);
	assert_int_equal(count_logged(f, "warning"), 0);
	assert_int_equal(count_logged(f, "expired"), 1);
}

/* How a watch fails, and whether it is tried again (from the same version) or a list is due. */
static void test_watch_failures(void **state)
{
	static const struct {
		const char *status; /* NULL: a stream with an ERROR event */
		int code;
		bool lists;
	} cases[] = {
		{"429 Too Many Requests", 0, false},
		{"503 Service Unavailable", 0, false},
		{"410 Gone", 0, true},
		{"403 Forbidden", 0, true},
		{NULL, 429, false},
		{NULL, 500, false},
		{NULL, 410, true},
		{NULL, 400, true},
	};
	struct fixture *f = *state;
	struct request *watch;
	size_t i;

	start(f, &(struct informer_options){0});
	reply_list(next_list(&f->peer), "10", "", "a/x:1");
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		watch = next_watch(&f->peer, "10");
		if (cases[i].status) {
			reply_status(watch, cases[i].status);
		} else {
			begin_stream(watch);
			send_error(watch, cases[i].code);
		}
		if (cases[i].lists)
			reply_list(next_list(&f->peer), "10", "", "a/x:1");
	}
	watch = next_watch(&f->peer, "10");
	begin_stream(watch);
	assert_int_equal(count_logged(f, "cannot follow"), 1);
	send_event(watch, "BOOKMARK", "/:11");
	UNTIL(f, count_logged(f, "following a resource again") == 1);
	expect_changes(f, "+a/x@1 ");
}

static void test_connection_refused(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/x:1");

	send_event(watch, "MODIFIED", "a/x:11");
	expect_changes(f, "~a/x@1>11 ");
	server_refuse(&f->peer);
	end_stream(watch);
	UNTIL(f, count_logged(f, "cannot follow") == 1);
	server_listen(&f->peer);
	watch = next_watch(&f->peer, "11");
	begin_stream(watch);
	send_event(watch, "MODIFIED", "a/x:12");
	expect_changes(f, "~a/x@11>12 ");
}

static void test_reset_in_mid_event(void **state)
{
	struct fixture *f = *state;
	struct request *watch = start_with(f, "");

	send_event(watch, "ADDED", "a/x:11");
	send_chunk(watch, "{\"type\":", 8);
	hang_up(watch);
	(void)next_watch(&f->peer, "11");
	expect_changes(f, "+a/x@11 ");
}

static void test_nameless_event(void **state)
{
	static const char *const types[] = {"ADDED", "DELETED"};
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/x:1");
	size_t i;

	for (i = 0; i < ARRAY_LEN(types); i++) {
		send_event(watch, types[i], "a/:11");
		reply_list(next_list(&f->peer), "10", "", "a/x:1");
		watch = next_watch(&f->peer, "10");
		begin_stream(watch);
	}
	send_event(watch, "BOOKMARK", "/:");
	(void)next_list(&f->peer);
	assert_int_equal(f->changes.len, 0);
}

static void test_silence(void **state)
{
	struct fixture *f = *state;
	struct request *first;
	struct request *second;

	start(f, &(struct informer_options){.silence_ms = 20});
	reply_list(next_list(&f->peer), "10", "", "");
	first = next_watch(&f->peer, "10");
	begin_stream(first);
	send_event(first, "BOOKMARK", "/:15");
	second = next_watch(&f->peer, "15");
	UNTIL(f, first->closed);
	(void)next_watch(&f->peer, "15");
	UNTIL(f, second->closed);
}

/* ---- the rest ---- */

static void test_two_namespaces(void **state)
{
	const char *const namespaces[] = {"a", "b", "a", NULL};
	struct fixture *f = *state;
	struct request *list_a;
	struct request *list_b;
	struct request *watch_a;

	start(f, &(struct informer_options){.namespaces = namespaces});
	UNTIL(f, find_request(&f->peer, "/namespaces/a/things?") &&
			 find_request(&f->peer, "/namespaces/b/"));
	list_a = next_request(&f->peer, "/apis/example.com/v1/namespaces/a/things?limit=");
	list_b = next_request(&f->peer, "/apis/example.com/v1/namespaces/b/things?limit=");
	reply_list(list_a, "10", "", "a/x:1 a/y:2");
	watch_a = next_request(&f->peer, "/namespaces/a/things?");
	begin_stream(watch_a);
	assert_int_equal(f->synced, 0);
	assert_string_equal(informer_rv(f->informer, "a"), "10");
	assert_string_equal(informer_rv(f->informer, "b"), "");
	assert_string_equal(informer_rv(f->informer, "c"), "");
	reply_list(list_b, "12", "", "b/x:3");
	(void)next_request(&f->peer, "/namespaces/b/things?");
	assert_int_equal(f->synced, 1);
	send_error(watch_a, 410);
	reply_list(next_list(&f->peer), "14", "", "a/y:2");
	expect_changes(f, "+a/x@1 +a/y@2 +b/x@3 -a/x@1 ");
	assert_int_equal(informer_len(f->informer), 2);
	assert_non_null(informer_get(f->informer, "b", "x", NULL));
}

static void test_refused_object(void **state)
{
	CLEANUP(buf_donep) struct buf names = BUF_INIT(MAX_TEXT);
	struct fixture *f = *state;
	struct request *watch = start_with(f, "a/x:1! a/y:2");

	assert_int_equal(informer_len(f->informer), 1);
	assert_null(informer_get(f->informer, "a", "x", NULL));
	informer_each(f->informer, add_name, &names);
	assert_string_equal(buf_str(&names), "a/y@2 ");
	send_event(watch, "MODIFIED", "a/x:11!");
	send_event(watch, "MODIFIED", "a/y:12!");
	expect_changes(f, "-a/y@2 ");
	assert_int_equal(informer_len(f->informer), 0);
	assert_int_equal(count_logged(f, "is not understood"), 2);
	send_event(watch, "DELETED", "a/y:13");
	send_event(watch, "MODIFIED", "a/x:14");
	expect_changes(f, "+a/x@14 ");
}

static void test_free_while_running(void **state)
{
	struct fixture *f = *state;
	struct request *request;

	start(f, &(struct informer_options){0});
	request = next_list(&f->peer);
	informer_free(TAKE(f->informer));
	UNTIL(f, request->closed);

	request = start_with(f, "a/x:1");
	informer_free(TAKE(f->informer));
	UNTIL(f, request->closed);

	start(f, &(struct informer_options){0});
	reply_status(next_list(&f->peer), "500 Internal Server Error");
	UNTIL(f, count_logged(f, "cannot follow"));
	informer_free(TAKE(f->informer));
	assert_int_equal(f->changes.len, 0);
	informer_free(NULL);
}

static double value(struct metrics_family *family, const char *first, const char *second)
{
	const char *const labels[] = {first, second};

	return metrics_value(family, labels);
}

static void test_metrics(void **state)
{
	struct metrics *metrics = metrics_new();
	struct informer_metrics families;
	struct fixture *f = *state;
	struct request *watch;

	informer_metrics_declare(&families, metrics);
	start(f, &(struct informer_options){.metrics = &families});
	reply_status(next_list(&f->peer), "500 Internal Server Error");
	reply_list(next_list(&f->peer), "10", "", "");
	watch = next_watch(&f->peer, "10");
	begin_stream(watch);
	send_event(watch, "ADDED", "a/x:11");
	send_error(watch, 410);
	(void)next_list(&f->peer);
	assert_int_equal(value(families.lists, "things", "start"), 1);
	assert_int_equal(value(families.lists, "things", "error"), 1);
	assert_int_equal(value(families.lists, "things", "expired"), 1);
	assert_int_equal(value(families.watch_events, "things", "ADDED"), 1);
	assert_int_equal(value(families.watch_events, "things", "ERROR"), 1);
	assert_true(value(families.last_activity, "things", "") > 1e9);
	informer_free(TAKE(f->informer));
	metrics_free(metrics);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_list),
		TEST(test_pages),
		TEST(test_page_expires),
		TEST(test_page_that_is_none),
		TEST(test_page_is_too_large),
		TEST(test_broken_list_deletes_nothing),
		TEST(test_list_failures),
		TEST(test_list_limits),
		TEST(test_watch_query),
		TEST(test_events),
		TEST(test_torn_and_joined_chunks),
		TEST(test_old_versions_are_ignored),
		TEST(test_list_goes_back),
		TEST(test_plain_end),
		TEST(test_mute_watches),
		TEST(test_gap),
		TEST(test_watch_failures),
		TEST(test_connection_refused),
		TEST(test_reset_in_mid_event),
		TEST(test_nameless_event),
		TEST(test_silence),
		TEST(test_two_namespaces),
		TEST(test_refused_object),
		TEST(test_free_while_running),
		TEST(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
