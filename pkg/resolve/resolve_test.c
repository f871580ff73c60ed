/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "resolve/resolve.h"

#define DNS_HEADER_LEN 12
#define TYPE_A	       1
#define TYPE_AAAA      28

/* ---- a DNS server that answers by the first label of the name ---- */

struct script {
	const char *label;
	const char *a;	  /* repeated copies times */
	const char *aaaa; /* NULL: no such record */
	int copies;
	uint8_t flags; /* the second byte of them: the RCODE */
	bool truncated;
	bool silent;	  /* to every question */
	bool silent_aaaa; /* as broken servers are */
	bool garbage;
};

static const struct script scripts[] = {
	{.label = "both", .a = "192.0.2.1", .aaaa = "2001:db8::1", .copies = 1},
	{.label = "v4", .a = "192.0.2.4", .copies = 1},
	{.label = "many", .a = "192.0.2.5", .copies = 20},
	{.label = "empty"},
	{.label = "nx", .flags = 3},
	{.label = "servfail", .flags = 2},
	{.label = "refused", .flags = 5},
	{.label = "truncated", .truncated = true},
	{.label = "silent", .silent = true},
	{.label = "half", .a = "192.0.2.6", .copies = 1, .silent_aaaa = true},
	{.label = "garbage", .garbage = true},
};

struct world {
	struct event_base *base;
	struct resolve *resolve;
	struct event *dns;
	int dns_fd;
	char servers[32];
	int questions;
	int done;
	struct resolve_call *call;
	struct resolve_answer answer;
	struct err err;
};

static const struct script *script_for(const uint8_t *name)
{
	static const struct script nx = {.flags = 3};

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		if (strlen(scripts[i].label) == name[0] &&
		    memcmp(scripts[i].label, name + 1, name[0]) == 0)
			return &scripts[i];
	return &nx;
}

static size_t put_record(uint8_t *at, uint8_t type, const char *address)
{
	/* A pointer to the question's name, the type, class IN, 60 s, the length. */
	uint8_t head[] = {0xc0, DNS_HEADER_LEN, 0, type, 0, 1, 0, 0, 0, 60, 0, 0};
	uint8_t data[16];
	size_t len = type == TYPE_A ? 4 : 16;

	assert_int_equal(inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, data), 1);
	head[sizeof(head) - 1] = (uint8_t)len;
	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), data, len);
	return sizeof(head) + len;
}

/* Turns the question into its answer; the new length. */
static size_t answer(const struct script *script, uint8_t *msg, size_t len)
{
	uint8_t type = msg[len - 3];
	const char *address = type == TYPE_A ? script->a : script->aaaa;

	msg[2] = script->truncated ? 0x82 : 0x80;
	msg[3] = script->flags;
	for (int i = 0; address && i < script->copies; i++) {
		len += put_record(msg + len, type, address);
		msg[7]++;
	}
	return len;
}

static void on_question(evutil_socket_t fd, short what, void *ctx)
{
	struct world *w = ctx;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t msg[2048];
	ssize_t len = recvfrom(fd, msg, 512, 0, (struct sockaddr *)&from, &from_len);
	const struct script *script = script_for(msg + DNS_HEADER_LEN);
	size_t answer_len;

	(void)what;
	assert_true(len >= DNS_HEADER_LEN + 5);
	w->questions++;
	if (script->silent || (script->silent_aaaa && msg[len - 3] == TYPE_AAAA))
		return;
	answer_len = answer(script, msg, (size_t)len);
	if (script->garbage)
		memset(msg + 2, 0xff, answer_len - 2);
	assert_true(sendto(fd, msg, answer_len, 0, (struct sockaddr *)&from, from_len) > 0);
}

static int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	w->base = event_base_new();
	w->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->dns_fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(w->dns_fd, (struct sockaddr *)&addr, &len), 0);
	w->dns = event_new(w->base, w->dns_fd, EV_READ | EV_PERSIST, on_question, w);
	assert_int_equal(event_add(w->dns, NULL), 0);
	(void)snprintf(w->servers, sizeof(w->servers), "127.0.0.1:%d", ntohs(addr.sin_port));
	w->resolve = resolve_new(
		w->base,
		&(struct resolve_options){.servers = w->servers, .timeout_ms = 50, .tries = 2},
		&w->err);
	assert_non_null(w->resolve);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	resolve_free(w->resolve);
	event_free(w->dns);
	(void)close(w->dns_fd);
	event_base_free(w->base);
	free(w);
	return 0;
}

static void note(void *ctx, const struct resolve_answer *got, const struct err *err)
{
	struct world *w = ctx;

	assert_true((got == NULL) != (err == NULL));
	w->done++;
	w->answer = got ? *got : (struct resolve_answer){0};
	w->err = err ? *err : (struct err){0};
}

static void too_late(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("no answer came");
}

static void run_until_done(struct world *w, int number)
{
	static const struct timeval limit = {.tv_sec = 8};
	struct event *alarm = evtimer_new(w->base, too_late, NULL);

	assert_int_equal(evtimer_add(alarm, &limit), 0);
	while (w->done < number)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
	event_free(alarm);
}

static void look_up(struct world *w, const char *host)
{
	w->done = 0;
	(void)resolve_start(w->resolve, host, note, w);
	assert_int_equal(w->done, 0);
	run_until_done(w, 1);
}

static bool has_address(const struct world *w, const char *text)
{
	char mapped[64];
	struct in6_addr ip;

	(void)snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, &ip), 1);
	for (size_t i = 0; i < w->answer.len; i++)
		if (memcmp(&w->answer.addrs[i].ip, &ip, sizeof(ip)) == 0)
			return true;
	return false;
}

/* ---- tests ---- */

static void test_literals(void **state)
{
	static const char *const hosts[] = {"192.0.2.9", "2001:db8::9"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		look_up(w, hosts[i]);
		assert_int_equal(w->answer.len, 1);
		assert_true(has_address(w, hosts[i]));
	}
	assert_int_equal(w->questions, 0);
}

static void test_hosts_file(void **state)
{
	struct world *w = *state;

	look_up(w, "localhost");
	assert_true(has_address(w, "127.0.0.1"));
	assert_int_equal(w->questions, 0);
}

static void test_answers(void **state)
{
	struct world *w = *state;

	look_up(w, "both.test");
	assert_int_equal(w->answer.len, 2);
	assert_true(has_address(w, "192.0.2.1"));
	assert_true(has_address(w, "2001:db8::1"));
	look_up(w, "v4.test");
	assert_int_equal(w->answer.len, 1);
	assert_true(has_address(w, "192.0.2.4"));
	look_up(w, "half.test");
	assert_true(has_address(w, "192.0.2.6"));
	look_up(w, "many.test");
	assert_int_equal(w->answer.len, RESOLVE_MAX_ADDRS);
}

static void test_failures(void **state)
{
	static const struct {
		const char *host;
		enum err_kind kind;
	} cases[] = {
		{"nx.test", ERR_NOT_FOUND},
		{"empty.test", ERR_NOT_FOUND},
		{"", ERR_NOT_FOUND},
		{"a..b", ERR_NOT_FOUND},
		{"servfail.test", ERR_TRANSIENT},
		{"refused.test", ERR_TRANSIENT},
		{"silent.test", ERR_TRANSIENT},
		{"garbage.test", ERR_TRANSIENT},
		{"truncated.test", ERR_TRANSIENT},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		look_up(w, cases[i].host);
		if (w->err.kind != cases[i].kind)
			fail_msg("%s: %s: %s", cases[i].host, err_kind_name(w->err.kind),
				 w->err.msg);
	}
}

static void test_overlong_name(void **state)
{
	struct world *w = *state;
	char host[1024] = {0};

	memset(host, 'a', sizeof(host) - 1);
	look_up(w, host);
	assert_int_equal(w->err.kind, ERR_NOT_FOUND);
}

static void never(void *ctx, const struct resolve_answer *got, const struct err *err)
{
	(void)ctx;
	(void)got;
	(void)err;
	fail();
}

static void test_cancel_is_for_one(void **state)
{
	struct world *w = *state;
	struct resolve_call *asked = resolve_start(w->resolve, "both.test", never, NULL);
	struct resolve_call *silent = resolve_start(w->resolve, "silent.test", never, NULL);
	struct resolve_call *literal = resolve_start(w->resolve, "192.0.2.1", never, NULL);

	(void)resolve_start(w->resolve, "both.test", note, w);
	resolve_cancel(asked);
	resolve_cancel(silent);
	resolve_cancel(literal);
	resolve_cancel(NULL);
	run_until_done(w, 1);
	assert_int_equal(w->answer.len, 2);
}

static void ask_again(void *ctx, const struct resolve_answer *got, const struct err *err)
{
	struct world *w = ctx;

	note(w, got, err);
	resolve_cancel(w->call);
	(void)resolve_start(w->resolve, "v4.test", note, w);
}

static void test_handler_starts_and_cancels(void **state)
{
	struct world *w = *state;

	(void)resolve_start(w->resolve, "both.test", ask_again, w);
	w->call = resolve_start(w->resolve, "silent.test", never, NULL);
	run_until_done(w, 2);
	assert_true(has_address(w, "192.0.2.4"));
}

static void free_it(void *ctx, const struct resolve_answer *got, const struct err *err)
{
	struct world *w = ctx;

	note(w, got, err);
	resolve_free(w->resolve);
	w->resolve = NULL;
}

static void test_free_with_calls(void **state)
{
	struct world *w = *state;

	(void)resolve_start(w->resolve, "silent.test", never, NULL);
	resolve_cancel(resolve_start(w->resolve, "silent.test", never, NULL));
	(void)resolve_start(w->resolve, "v4.test", free_it, w);
	run_until_done(w, 1);
	assert_int_equal(w->answer.len, 1);
	resolve_free(NULL);
}

static void test_bad_options(void **state)
{
	struct world *w = *state;
	struct resolve *resolve;

	resolve = resolve_new(w->base, &(struct resolve_options){.servers = "no address"}, &w->err);
	assert_null(resolve);
	assert_int_equal(w->err.kind, ERR_INVALID);
	resolve = resolve_new(w->base, &(struct resolve_options){0}, &w->err);
	assert_non_null(resolve);
	resolve_free(resolve);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_literals),
		CASE(test_hosts_file),
		CASE(test_answers),
		CASE(test_failures),
		CASE(test_overlong_name),
		CASE(test_cancel_is_for_one),
		CASE(test_handler_starts_and_cancels),
		CASE(test_free_with_calls),
		CASE(test_bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
