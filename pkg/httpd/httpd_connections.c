/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd_impl.h"

#include <assert.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mono.h"

#define MAX_CONNECTIONS 64
#define MAX_AGE_MS	60000
#define SWEEP_S		1

struct connection {
	struct bufferevent *stream; /* with a reference of ours, to learn that evhttp let it go */
	int64_t since_ms;
};

struct httpd_connections {
	struct event *sweep;
	struct connection list[MAX_CONNECTIONS]; /* the oldest first */
	size_t len;
};

/* bufferevent_free() takes the handlers off before it drops its reference. */
static bool is_closed(const struct connection *connection)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(connection->stream, NULL, NULL, &on_event, NULL);
	return !on_event;
}

/* evhttp's own handler does it, as if the peer had gone. */
static void close_connection(const struct connection *connection)
{
	bufferevent_trigger_event(connection->stream, BEV_EVENT_READING | BEV_EVENT_ERROR, 0);
}

static void forget_closed(struct httpd_connections *connections)
{
	size_t kept = 0;

	for (size_t i = 0; i < connections->len; i++) {
		if (is_closed(&connections->list[i]))
			bufferevent_decref(connections->list[i].stream); /* closes the socket */
		else
			connections->list[kept++] = connections->list[i];
	}
	connections->len = kept;
}

static void plan_sweep(struct httpd_connections *connections)
{
	const struct timeval interval = {.tv_sec = SWEEP_S};

	if (connections->len > 0)
		evtimer_add(connections->sweep, &interval);
}

static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
	struct httpd_connections *connections = ctx;
	int64_t now_ms = mono_ms();

	(void)fd;
	(void)what;
	for (size_t i = 0; i < connections->len; i++)
		if (now_ms - connections->list[i].since_ms > MAX_AGE_MS)
			close_connection(&connections->list[i]);
	forget_closed(connections);
	plan_sweep(connections);
}

/* evhttp asks for the stream of each connection it accepted. When there are too many, the oldest
 * makes room: nobody can keep a probe out by connecting and waiting. */
static struct bufferevent *on_accepted(struct event_base *base, void *ctx)
{
	struct bufferevent *stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct httpd_connections *connections = ctx;

	assert(stream);
	forget_closed(connections);
	if (connections->len == MAX_CONNECTIONS) {
		close_connection(&connections->list[0]);
		forget_closed(connections);
	}
	/* What a closed one still sends until it is swept is not kept in memory. */
	bufferevent_setwatermark(stream, EV_READ, 0, 2 * (size_t)HTTPD_MAX_HEAD);
	bufferevent_incref(stream);
	connections->list[connections->len++] = (struct connection){stream, mono_ms()};
	plan_sweep(connections);
	return stream;
}

struct httpd_connections *httpd_connections_new(struct event_base *base, struct evhttp *server)
{
	struct httpd_connections *connections = mem_zalloc(sizeof(*connections));

	connections->sweep = evtimer_new(base, on_sweep, connections);
	assert(connections->sweep);
	evhttp_set_bevcb(server, on_accepted, connections);
	return connections;
}

void httpd_connections_free(struct httpd_connections *connections)
{
	forget_closed(connections);
	assert(connections->len == 0);
	event_free(connections->sweep);
	free(connections);
}
