/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_PEER_H
#define KUBE_PEER_H

/*
 * For tests: an API server that says what it is told to, on a free port of the loopback, and a
 * client for it. Answers are sent in the order of peer_answer(), one for each request; a request
 * without one is left waiting.
 */

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/kube_impl.h"

#define PEER_MAX 32

struct peer {
	struct event_base *base;
	struct evconnlistener *listener;
	struct bufferevent *conns[PEER_MAX];
	size_t conns_len;
	char *answers[PEER_MAX];
	size_t answers_len, answered;
	char *request; /* the last one, head and body */
	size_t requests_len;
	struct kube_config *config;
	struct kube *kube;
};

static void peer_on_read(struct bufferevent *conn, void *ctx)
{
	struct peer *peer = ctx;
	struct evbuffer *input = bufferevent_get_input(conn);
	size_t len = evbuffer_get_length(input);
	CLEANUP(mem_freep) char *text = mem_dup(evbuffer_pullup(input, -1), len);
	const char *body = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "\r\nContent-Length: ");
	char *end = NULL;
	size_t body_len = length ? strtoul(length + 18, &end, 10) : 0;

	assert_true(!end || *end == '\r');
	if (!body || len < (size_t)(body + 4 - text) + body_len)
		return;
	(void)evbuffer_drain(input, len);
	free(peer->request);
	peer->request = TAKE(text);
	peer->requests_len++;
	if (peer->answered < peer->answers_len) {
		const char *answer = peer->answers[peer->answered++];

		(void)bufferevent_write(conn, answer, strlen(answer));
	}
}

static void peer_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
			   struct sockaddr *address, int len, void *ctx)
{
	struct peer *peer = ctx;
	struct bufferevent *conn = bufferevent_socket_new(peer->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)address;
	(void)len;
	assert_true(peer->conns_len < PEER_MAX);
	peer->conns[peer->conns_len++] = conn;
	bufferevent_setcb(conn, peer_on_read, NULL, NULL, peer);
	(void)bufferevent_enable(conn, EV_READ | EV_WRITE);
}

static void peer_close_last(struct peer *peer)
{
	bufferevent_free(peer->conns[--peer->conns_len]);
}

static void peer_answer_raw(struct peer *peer, const char *raw)
{
	assert_true(peer->answers_len < PEER_MAX);
	peer->answers[peer->answers_len++] = mem_strdup(raw);
}

/* headers: "" or lines that end in \r\n. */
static void peer_answer(struct peer *peer, int status, const char *headers, const char *body)
{
	CLEANUP(mem_freep)
	char *raw = mem_printf("HTTP/1.1 %d Word\r\nContent-Length: %zu\r\n%s\r\n%s", status,
			       strlen(body), headers, body);

	peer_answer_raw(peer, raw);
}

static void peer_run_until(struct peer *peer, const bool *flag)
{
	while (!*flag)
		(void)event_base_loop(peer->base, EVLOOP_ONCE);
}

static int peer_port(struct peer *peer)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	assert_int_equal(getsockname(evconnlistener_get_fd(peer->listener),
				     (struct sockaddr *)&address, &len),
			 0);
	return ntohs(address.sin_port);
}

static int peer_set_up(void **state)
{
	struct peer *peer = mem_zalloc(sizeof(*peer));
	struct kube_options options = {.user_agent = "peer-test/1", .http1 = true};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct err err;

	(void)alarm(30); /* a test that waits in vain */
	(void)setenv("no_proxy", "127.0.0.1", 1);
	peer->base = event_base_new();
	peer->listener =
		evconnlistener_new_bind(peer->base, peer_on_accept, peer, LEV_OPT_CLOSE_ON_FREE, -1,
					(struct sockaddr *)&address, sizeof(address));
	assert_non_null(peer->listener);
	peer->config = mem_zalloc(sizeof(*peer->config));
	peer->config->server = mem_printf("http://127.0.0.1:%d", peer_port(peer));
	peer->config->token = mem_strdup("s3cret");
	assert_int_equal(kube_config_complete(peer->config, &err), 0);
	peer->kube = kube_new(peer->base, peer->config, &options);
	*state = peer;
	return 0;
}

static int peer_tear_down(void **state)
{
	struct peer *peer = *state;

	kube_free(peer->kube);
	kube_config_free(peer->config);
	while (peer->conns_len)
		peer_close_last(peer);
	if (peer->listener)
		evconnlistener_free(peer->listener);
	event_base_free(peer->base);
	for (size_t i = 0; i < peer->answers_len; i++)
		free(peer->answers[i]);
	free(peer->request);
	free(peer);
	return 0;
}

#endif
