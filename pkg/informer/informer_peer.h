/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INFORMER_PEER_H
#define INFORMER_PEER_H

/*
 * For the tests of this package: a scripted API server on loopback, in the test's own loop. A test
 * waits for the next request and answers it as it likes, byte for byte.
 *
 * Objects are written "namespace/name:resourceVersion", with a "!" behind for one that the test's
 * decode() refuses.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#define TEST_LIMIT_S 8
#define MAX_TEXT     65536

/* One connection, one request; kept until the test ends. */
struct request {
	struct bufferevent *bev;
	char *target; /* NULL until the request has come */
	bool taken;   /* by the test */
	bool closed;  /* by the client */
	struct request *next;
};

struct peer {
	struct event_base *base;
	struct event *limit;
	struct evconnlistener *listener;
	struct sockaddr_in address;
	struct request *requests;
};

static inline void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	fail_msg("the test waits in vain");
}

static inline void turn(struct peer *peer)
{
	assert_int_equal(event_base_loop(peer->base, EVLOOP_ONCE), 0);
}

static inline void on_request_bytes(struct bufferevent *bev, void *ctx)
{
	struct evbuffer *input = bufferevent_get_input(bev);
	struct request *request = ctx;
	char *text;
	char *end;

	(void)evbuffer_add(input, "", 1);
	text = (char *)evbuffer_pullup(input, -1);
	end = strstr(text, "\r\n\r\n");
	if (end && !request->target) {
		assert_memory_equal(text, "GET ", 4);
		request->target = mem_dup(text + 4, strcspn(text + 4, " "));
	}
	if (end)
		(void)evbuffer_drain(input, evbuffer_get_length(input));
}

static inline void on_request_event(struct bufferevent *bev, short what, void *ctx)
{
	struct request *request = ctx;

	(void)bev;
	(void)what;
	request->closed = true;
}

static inline void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
				 struct sockaddr *address, int address_len, void *ctx)
{
	struct peer *peer = ctx;
	struct request *request = mem_zalloc(sizeof(*request));

	(void)listener;
	(void)address;
	(void)address_len;
	request->bev = bufferevent_socket_new(peer->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(request->bev, on_request_bytes, NULL, on_request_event, request);
	(void)bufferevent_enable(request->bev, EV_READ | EV_WRITE);
	request->next = peer->requests;
	peer->requests = request;
}

static inline void server_listen(struct peer *peer)
{
	socklen_t len = sizeof(peer->address);

	peer->listener = evconnlistener_new_bind(
		peer->base, on_connection, peer, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
		(struct sockaddr *)&peer->address, sizeof(peer->address));
	assert_non_null(peer->listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(peer->listener),
				     (struct sockaddr *)&peer->address, &len),
			 0);
}

static inline void server_refuse(struct peer *peer)
{
	evconnlistener_free(peer->listener);
	peer->listener = NULL;
}

static inline struct request *find_request(const struct peer *peer, const char *part)
{
	struct request *request;

	for (request = peer->requests; request; request = request->next) {
		if (request->target && !request->taken && strstr(request->target, part))
			return request;
	}
	return NULL;
}

/* The next request must be one whose target has this part. */
static inline struct request *next_request(struct peer *peer, const char *part)
{
	struct request *request;

	while (!find_request(peer, "/"))
		turn(peer);
	request = find_request(peer, part);
	if (!request)
		fail_msg("expected %s, got another", part);
	assert(request); /* the compiler does not know that fail_msg() never returns */
	request->taken = true;
	return request;
}

static inline struct request *next_list(struct peer *peer)
{
	return next_request(peer, "?limit=");
}

static inline struct request *next_watch(struct peer *peer, const char *rv)
{
	struct request *request = next_request(peer, "watch=");
	CLEANUP(mem_freep) char *wanted = mem_printf("resourceVersion=%s&", rv);
	CLEANUP(mem_freep) char *got = mem_printf("%s&", request->target);

	if (!strstr(got, wanted))
		fail_msg("expected %s in %s", wanted, request->target);
	return request;
}

static inline void send_bytes(struct request *request, const char *data, size_t len)
{
	assert_int_equal(bufferevent_write(request->bev, data, len), 0);
}

/* Ends the connection from here, when all is written. */
static inline void on_written(struct bufferevent *bev, void *ctx)
{
	struct request *request = ctx;

	(void)bev;
	bufferevent_free(request->bev);
	request->bev = NULL;
}

static inline void hang_up(struct request *request)
{
	if (evbuffer_get_length(bufferevent_get_output(request->bev)))
		bufferevent_setcb(request->bev, NULL, on_written, on_request_event, request);
	else
		on_written(request->bev, request);
}

static inline void reply(struct request *request, const char *status, const char *body)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
				"Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
				status, strlen(body), body);

	send_bytes(request, text, strlen(text));
	hang_up(request);
}

static inline void reply_status(struct request *request, const char *status)
{
	CLEANUP(mem_freep)
	char *body =
		mem_printf("{\"kind\":\"Status\",\"code\":%.3s,\"message\":\"scripted\"}", status);

	reply(request, status, body);
}

static inline void add_object(struct buf *out, const char *spec, size_t len)
{
	CLEANUP(mem_freep) char *text = mem_dup(spec, len);
	char *name = strchr(text, '/');
	char *rv = strchr(text, ':');
	bool bad = text[len - 1] == '!';

	*name++ = '\0';
	*rv++ = '\0';
	rv[strcspn(rv, "!")] = '\0';
	(void)buf_addf(out,
		       "{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\","
		       "\"resourceVersion\":\"%s\"},\"bad\":%s}",
		       text, name, rv, bad ? "true" : "false");
}

/* specs: objects with a blank between. */
static inline void reply_list(struct request *request, const char *rv, const char *token,
			      const char *specs)
{
	CLEANUP(buf_donep) struct buf body = BUF_INIT(MAX_TEXT);

	(void)buf_addf(&body,
		       "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"%s\","
		       "\"continue\":\"%s\"},\"items\":[",
		       rv, token);
	while (*specs) {
		size_t len = strcspn(specs, " ");

		add_object(&body, specs, len);
		specs += len;
		if (*specs) {
			(void)buf_addc(&body, ',');
			specs++;
		}
	}
	(void)buf_adds(&body, "]}");
	reply(request, "200 OK", buf_str(&body));
}

static inline void begin_stream(struct request *request)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";

	send_bytes(request, head, sizeof(head) - 1);
}

static inline void send_chunk(struct request *request, const char *text, size_t len)
{
	CLEANUP(mem_freep) char *head = mem_printf("%zx\r\n", len);

	send_bytes(request, head, strlen(head));
	send_bytes(request, text, len);
	send_bytes(request, "\r\n", 2);
}

static inline void end_stream(struct request *request)
{
	send_bytes(request, "0\r\n\r\n", 5);
	hang_up(request);
}

static inline char *event_text(const char *type, const char *spec)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(MAX_TEXT);

	(void)buf_addf(&text, "{\"type\":\"%s\",\"object\":", type);
	add_object(&text, spec, strlen(spec));
	(void)buf_adds(&text, "}\n");
	return buf_take(&text);
}

static inline void send_event(struct request *request, const char *type, const char *spec)
{
	CLEANUP(mem_freep) char *text = event_text(type, spec);

	send_chunk(request, text, strlen(text));
}

static inline void send_error(struct request *request, int code)
{
	CLEANUP(mem_freep)
	char *text = mem_printf("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\","
				"\"message\":\"scripted\",\"code\":%d}}\n",
				code);

	send_chunk(request, text, strlen(text));
}

static inline void peer_init(struct peer *peer)
{
	*peer = (struct peer){
		.base = event_base_new(),
		.address.sin_family = AF_INET,
		.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	peer->limit = evtimer_new(peer->base, on_limit, NULL);
	(void)evtimer_add(peer->limit, &(struct timeval){.tv_sec = TEST_LIMIT_S});
	server_listen(peer);
}

static inline void peer_done(struct peer *peer)
{
	while (peer->requests) {
		struct request *request = peer->requests;

		peer->requests = request->next;
		if (request->bev)
			bufferevent_free(request->bev);
		free(request->target);
		free(request);
	}
	if (peer->listener)
		server_refuse(peer);
	event_free(peer->limit);
	event_base_free(peer->base);
}

#endif
