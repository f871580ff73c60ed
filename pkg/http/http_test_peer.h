/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_TEST_PEER_H
#define HTTP_TEST_PEER_H

/* For the tests of this package: a scripted server in the test's own loop, and the outcome of a
 * call. */

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "http/http.h"

#define PEER_MAX_CONNS 32

struct peer;
/* Answers one request; conn may be freed with peer_drop() or peer_reset(). */
typedef void peer_serve_fn(struct peer *peer, struct bufferevent *conn);

struct peer {
	struct event_base *base;
	struct evconnlistener *listener;
	SSL_CTX *tls;	      /* lent; NULL: none */
	peer_serve_fn *serve; /* NULL: sends reply */
	const char *reply;
	int port;
	int accepted;
	int requests;
	struct bufferevent *conns[PEER_MAX_CONNS];
	char head[8192]; /* of the last request */
	char body[512];	 /* the start of its */
	size_t body_len;
};

static inline struct bufferevent **peer_slot(struct peer *peer, const struct bufferevent *conn)
{
	for (size_t i = 0; i < PEER_MAX_CONNS; i++)
		if (peer->conns[i] == conn)
			return &peer->conns[i];
	abort();
}

static inline void peer_drop(struct peer *peer, struct bufferevent *conn)
{
	*peer_slot(peer, conn) = NULL;
	bufferevent_free(conn);
}

/* Closes with an RST. */
static inline void peer_reset(struct peer *peer, struct bufferevent *conn)
{
	struct linger linger = {.l_onoff = 1};

	assert(setsockopt(bufferevent_getfd(conn), SOL_SOCKET, SO_LINGER, &linger,
			  sizeof(linger)) == 0);
	peer_drop(peer, conn);
}

static inline void peer_on_written(struct bufferevent *conn, void *ctx)
{
	peer_drop(ctx, conn);
}

static inline void peer_say(struct bufferevent *conn, const char *text)
{
	assert(bufferevent_write(conn, text, strlen(text)) == 0);
}

static inline void peer_say_and_close(struct peer *peer, struct bufferevent *conn, const char *text)
{
	bufferevent_setcb(conn, NULL, peer_on_written, NULL, peer);
	peer_say(conn, text);
}

static inline size_t peer_content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* True when a whole request was taken out of the buffer. */
static inline bool peer_take_request(struct peer *peer, struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	size_t head_len = (size_t)end.pos + 4;

	if (end.pos < 0)
		return false;
	assert(head_len < sizeof(peer->head));
	assert(evbuffer_copyout(in, peer->head, head_len) == end.pos + 4);
	peer->head[head_len] = '\0';
	peer->body_len = peer_content_length(peer->head);
	if (evbuffer_get_length(in) < head_len + peer->body_len)
		return false;
	assert(evbuffer_drain(in, head_len) == 0);
	memset(peer->body, 0, sizeof(peer->body));
	(void)evbuffer_copyout(in, peer->body,
			       peer->body_len < sizeof(peer->body) ? peer->body_len
								   : sizeof(peer->body) - 1);
	return evbuffer_drain(in, peer->body_len) == 0;
}

static inline void peer_on_read(struct bufferevent *conn, void *ctx)
{
	struct peer *peer = ctx;

	if (!peer_take_request(peer, bufferevent_get_input(conn)))
		return;
	peer->requests++;
	if (peer->serve)
		peer->serve(peer, conn);
	else
		peer_say(conn, peer->reply);
}

static inline void peer_on_event(struct bufferevent *conn, short what, void *ctx)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		peer_drop(ctx, conn);
}

static inline void peer_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
				  struct sockaddr *addr, int len, void *ctx)
{
	struct peer *peer = ctx;
	struct bufferevent *conn;

	(void)listener;
	(void)addr;
	(void)len;
	if (peer->tls)
		conn = bufferevent_openssl_socket_new(peer->base, fd, SSL_new(peer->tls),
						      BUFFEREVENT_SSL_ACCEPTING,
						      BEV_OPT_CLOSE_ON_FREE);
	else
		conn = bufferevent_socket_new(peer->base, fd, BEV_OPT_CLOSE_ON_FREE);
	assert(conn);
	peer->accepted++;
	*peer_slot(peer, NULL) = conn;
	bufferevent_setcb(conn, peer_on_read, NULL, peer_on_event, peer);
	assert(bufferevent_enable(conn, EV_READ | EV_WRITE) == 0);
}

/* False when the address cannot be had. port 0: a free one. */
static inline bool peer_listen(struct peer *peer, struct event_base *base, const char *ip, int port)
{
	struct sockaddr_in6 addr = {0}; /* has its port where sockaddr_in has it */
	int len = sizeof(addr);
	socklen_t got_len = sizeof(addr);

	*peer = (struct peer){.base = base,
			      .reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
	assert(evutil_parse_sockaddr_port(ip, (struct sockaddr *)&addr, &len) == 0);
	addr.sin6_port = htons((uint16_t)port);
	peer->listener = evconnlistener_new_bind(base, peer_on_accept, peer,
						 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
						 (struct sockaddr *)&addr, len);
	if (!peer->listener)
		return false;
	assert(getsockname(evconnlistener_get_fd(peer->listener), (struct sockaddr *)&addr,
			   &got_len) == 0);
	peer->port = ntohs(addr.sin6_port);
	return true;
}

static inline void peer_done(struct peer *peer)
{
	for (size_t i = 0; i < PEER_MAX_CONNS; i++)
		if (peer->conns[i])
			peer_drop(peer, peer->conns[i]);
	if (peer->listener)
		evconnlistener_free(peer->listener);
	peer->listener = NULL;
}

static inline void serve_nothing(struct peer *peer, struct bufferevent *conn)
{
	(void)peer;
	(void)conn;
}

/* ---- outcome ---- */

struct outcome {
	int done; /* how often on_done was called */
	struct http_response resp;
	char body[4096];
};

static inline void outcome_note(void *ctx, const struct http_response *resp)
{
	struct outcome *outcome = ctx;

	outcome->done++;
	outcome->resp = *resp;
	(void)snprintf(outcome->body, sizeof(outcome->body), "%s", resp->body);
}

static inline void peer_too_late(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	(void)fputs("the test waits for something that does not come\n", stderr);
	abort();
}

/* Runs the loop until the counter has reached the number. */
static inline void run_until(struct event_base *base, const int *counter, int number)
{
	static const struct timeval limit = {.tv_sec = 8};
	struct event *alarm = evtimer_new(base, peer_too_late, NULL);

	assert(evtimer_add(alarm, &limit) == 0);
	while (*counter < number)
		assert(event_base_loop(base, EVLOOP_ONCE) == 0);
	event_free(alarm);
}

#endif
