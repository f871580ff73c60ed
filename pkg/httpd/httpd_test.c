/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/mono.h"

#define MORE_THAN_ALLOWED 100

struct fixture {
	struct event_base *base;
	struct httpd *httpd;
	struct buf answer;
	bool passes;
};

static int hello(void *ctx, struct buf *body)
{
	(void)ctx;
	(void)buf_adds(body, "hello\n");
	return 200;
}

static int huge(void *ctx, struct buf *body)
{
	CLEANUP(mem_freep) char *block = mem_zalloc(1 << 20);

	(void)ctx;
	memset(block, 'x', 1 << 20);
	while (buf_add(body, block, 1 << 20) == 0)
		continue;
	return 200;
}

static int megabyte(void *ctx, struct buf *body)
{
	(void)ctx;
	while (body->len < 1 << 20)
		(void)buf_adds(body, "0123456789abcdef");
	return 503;
}

static bool always(void *ctx)
{
	(void)ctx;
	return true;
}

static bool when_told(void *ctx)
{
	return ((struct fixture *)ctx)->passes;
}

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));
	struct err err;

	f->base = event_base_new();
	f->httpd = httpd_new(f->base, "127.0.0.1:0", &err);
	assert_non_null(f->httpd);
	httpd_page(f->httpd, "/hello", "text/x-test", hello, NULL);
	httpd_page(f->httpd, "/huge", "text/x-test", huge, NULL);
	httpd_page(f->httpd, "/megabyte", "text/x-test", megabyte, NULL);
	httpd_check(f->httpd, "/healthz", "ping", always, NULL);
	httpd_check(f->httpd, "/readyz", "first", always, NULL);
	httpd_check(f->httpd, "/readyz", "second", when_told, f);
	buf_init(&f->answer, 4 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	httpd_free(f->httpd);
	event_base_free(f->base);
	buf_done(&f->answer);
	free(f);
	return 0;
}

/* ---- a client on the same loop ---- */

static struct sockaddr_in address_of(const struct fixture *f)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)httpd_port(f->httpd)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

struct client {
	struct bufferevent *stream;
	bool ended; /* by the server */
};

static void on_end(struct bufferevent *stream, short what, void *ctx)
{
	(void)stream;
	((struct client *)ctx)->ended = (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0;
}

static void client_start(struct fixture *f, struct client *client, const char *request)
{
	struct sockaddr_in address = address_of(f);

	client->ended = false;
	client->stream = bufferevent_socket_new(f->base, -1, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(client->stream, NULL, NULL, on_end, client);
	(void)bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	assert_int_equal(bufferevent_socket_connect(client->stream, (struct sockaddr *)&address,
						    (int)sizeof(address)),
			 0);
	(void)bufferevent_write(client->stream, request, strlen(request));
}

static void client_wait_for_end(struct fixture *f, const struct client *client)
{
	const int64_t limit_ms = mono_ms() + 5000;

	while (!client->ended) {
		(void)event_base_loop(f->base, EVLOOP_ONCE);
		assert_true(mono_ms() < limit_ms);
	}
}

/* Everything the server sends until it closes the connection. */
static const char *exchange(struct fixture *f, const char *request)
{
	struct client client;
	struct evbuffer *input;
	size_t len;

	client_start(f, &client, request);
	client_wait_for_end(f, &client);
	input = bufferevent_get_input(client.stream);
	len = evbuffer_get_length(input);
	buf_clear(&f->answer);
	(void)buf_add(&f->answer, evbuffer_pullup(input, -1), len);
	bufferevent_free(client.stream);
	return buf_str(&f->answer);
}

static const char *get(struct fixture *f, const char *path)
{
	CLEANUP(mem_freep)
	char *request = mem_printf("GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", path);

	return exchange(f, request);
}

static void assert_answer(struct fixture *f, const char *path, const char *status, const char *body)
{
	const char *text = get(f, path);
	const char *behind_head = strstr(text, "\r\n\r\n");

	assert_non_null(behind_head);
	assert_memory_equal(text, "HTTP/1.1 ", 9);
	assert_memory_equal(text + 9, status, strlen(status));
	assert_string_equal(behind_head + 4, body);
}

/* ---- pages ---- */

static void test_page(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, "/hello", "200", "hello\n");
	assert_non_null(strstr(buf_str(&f->answer), "Content-Type: text/x-test\r\n"));
	assert_answer(f, "/hello?any=query", "200", "hello\n");
	assert_answer(f, "/hell", "404", "not found\n");
	assert_answer(f, "/hello/", "404", "not found\n");
}

static void test_connection_serves_many_requests(void **state)
{
	const char *text = exchange(*state, "GET /hello HTTP/1.1\r\n\r\n"
					    "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");

	text = strstr(text, "\r\n\r\nhello\nHTTP/1.1 200");
	assert_non_null(text);
	assert_non_null(strstr(text + 4, "\r\n\r\nhello\n"));
}

static void test_large_page_arrives_whole(void **state)
{
	struct fixture *f = *state;
	const char *text = get(f, "/megabyte");

	assert_memory_equal(text, "HTTP/1.1 503", 12);
	assert_int_equal(strlen(strstr(text, "\r\n\r\n") + 4), 1 << 20);
}

static void test_too_large_page(void **state)
{
	assert_answer(*state, "/huge", "500", "too large\n");
}

static void test_head_has_no_body(void **state)
{
	const char *text = exchange(*state, "HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n");

	assert_memory_equal(text, "HTTP/1.1 200", 12);
	assert_non_null(strstr(text, "Content-Length: 6\r\n"));
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

/* ---- bad clients ---- */

static void test_other_methods_are_refused(void **state)
{
	const char *text = exchange(*state, "POST /hello HTTP/1.1\r\nConnection: close\r\n"
					    "Content-Length: 0\r\n\r\n");

	assert_memory_equal(text, "HTTP/1.1 501", 12);
}

static void test_bad_request(void **state)
{
	const char *text = exchange(*state, "GET /hello HTTP/1.1\r\nno colon\r\n\r\n");

	assert_memory_equal(text, "HTTP/1.1 400", 12);
}

static void test_head_is_capped(void **state)
{
	CLEANUP(buf_donep) struct buf request = BUF_INIT(1 << 20);
	const char *text;

	(void)buf_adds(&request, "GET /hello HTTP/1.1\r\nX: ");
	while (request.len < 100000)
		(void)buf_addc(&request, 'x');
	text = exchange(*state, buf_str(&request));
	assert_memory_equal(text, "HTTP/1.1 4", 10);
}

static void test_body_is_capped(void **state)
{
	const char *text =
		exchange(*state, "GET /hello HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");

	assert_memory_equal(text, "HTTP/1.1 4", 10);
}

static void test_the_oldest_connection_makes_room(void **state)
{
	struct fixture *f = *state;
	struct client waiting[MORE_THAN_ALLOWED];

	for (size_t i = 0; i < MORE_THAN_ALLOWED; i++)
		client_start(f, &waiting[i], "GET /hello HTTP/1.1\r\n");
	client_wait_for_end(f, &waiting[0]);
	assert_answer(f, "/hello", "200", "hello\n");
	assert_false(waiting[MORE_THAN_ALLOWED - 1].ended);
	for (size_t i = 0; i < MORE_THAN_ALLOWED; i++)
		bufferevent_free(waiting[i].stream);
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

static void test_closed_connections_leave_no_socket(void **state)
{
	struct fixture *f = *state;
	size_t before = count_fds();
	int64_t limit_ms = mono_ms() + 5000;

	assert_answer(f, "/hello", "200", "hello\n");
	while (count_fds() > before) { /* until they are swept */
		(void)event_base_loop(f->base, EVLOOP_ONCE);
		assert_true(mono_ms() < limit_ms);
	}
}

static void test_ended_with_open_connections(void **state)
{
	struct fixture *f = *state;
	struct client client;

	client_start(f, &client, "GET /hello HTTP/1.1\r\n\r\n");
	while (evbuffer_get_length(bufferevent_get_input(client.stream)) == 0)
		(void)event_base_loop(f->base, EVLOOP_ONCE);
	httpd_free(f->httpd);
	f->httpd = NULL;
	client_wait_for_end(f, &client);
	bufferevent_free(client.stream);
}

/* ---- checks ---- */

static void test_checks(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, "/healthz", "200", "ok");
	assert_answer(f, "/healthz?verbose", "200", "[+]ping ok\nhealthz check passed\n");
	assert_answer(f, "/healthz/ping", "200", "ok");
	assert_answer(f, "/healthz/pong", "404", "not found\n");
	assert_answer(f, "/healthzping", "404", "not found\n");
}

static void test_failing_check(void **state)
{
	struct fixture *f = *state;

	assert_answer(f, "/readyz", "500",
		      "[+]first ok\n[-]second failed: reason withheld\nreadyz check failed\n");
	assert_answer(f, "/readyz/first", "200", "ok");
	assert_answer(f, "/readyz/second", "500",
		      "[-]second failed: reason withheld\nreadyz/second check failed\n");
	assert_answer(f, "/readyz?exclude=second", "200", "ok");
	assert_answer(f, "/readyz?a=b&exclude=second&verbose", "200",
		      "[+]first ok\n[+]second excluded: ok\nreadyz check passed\n");
	assert_answer(f, "/readyz?exclude=seconds&verbosely", "500",
		      "[+]first ok\n[-]second failed: reason withheld\nreadyz check failed\n");
	f->passes = true;
	assert_answer(f, "/readyz", "200", "ok");
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
	static const char *const good[] = {":0", "127.0.0.1:0", "0.0.0.0:0"};
	static const char *const bad[] = {"",	      "8080",	 "localhost:0", "1.2.3.4",
					  "1.2.3.4:", ":x",	 "::1:80",	"[::1]",
					  "[::1:80",  "[]:80",	 ":65536",	":4294967376",
					  ":-1",      "[::1]80", "[zz::]:0",	"1.2.3.4.5:0"};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct httpd *httpd = httpd_new(f->base, good[i], &err);

		assert_non_null(httpd);
		assert_in_range(httpd_port(httpd), 1, 65535);
		httpd_free(httpd);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(httpd_new(f->base, bad[i], &err));
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

static void test_ipv6_address(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct httpd *httpd = httpd_new(f->base, "[::1]:0", &err);

	if (!httpd) /* a machine without IPv6 */
		assert_int_equal(err.kind, ERR_DENIED);
	else
		assert_in_range(httpd_port(httpd), 1, 65535);
	httpd_free(httpd);
}

static void test_address_in_use(void **state)
{
	struct fixture *f = *state;
	CLEANUP(mem_freep) char *taken = mem_printf("127.0.0.1:%d", httpd_port(f->httpd));
	struct err err;

	assert_null(httpd_new(f->base, taken, &err));
	assert_int_equal(err.kind, ERR_DENIED);
	assert_int_equal(err.code, EADDRINUSE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_page),
		TEST(test_connection_serves_many_requests),
		TEST(test_large_page_arrives_whole),
		TEST(test_too_large_page),
		TEST(test_head_has_no_body),
		TEST(test_other_methods_are_refused),
		TEST(test_bad_request),
		TEST(test_head_is_capped),
		TEST(test_body_is_capped),
		TEST(test_the_oldest_connection_makes_room),
		TEST(test_closed_connections_leave_no_socket),
		TEST(test_ended_with_open_connections),
		TEST(test_checks),
		TEST(test_failing_check),
		TEST(test_addresses),
		TEST(test_ipv6_address),
		TEST(test_address_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
