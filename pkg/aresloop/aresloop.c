/* SPDX-License-Identifier: Apache-2.0 */
#include "aresloop/aresloop.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/mem.h"

/* A socket of c-ares that the loop watches. */
struct watch {
	struct watch *prev, *next;
	struct event *event;
	ares_socket_t fd;
};

struct aresloop {
	struct event_base *base;
	ares_channel channel;
	struct event *timer; /* when c-ares wants to try again or to give up */
	struct watch *watches;
};

void aresloop_arm(struct aresloop *loop)
{
	struct timeval room;
	struct timeval *wait = ares_timeout(loop->channel, NULL, &room);

	if (wait)
		(void)evtimer_add(loop->timer, wait);
	else
		(void)evtimer_del(loop->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct aresloop *loop = ctx;

	(void)fd;
	(void)what;
	ares_process_fd(loop->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	aresloop_arm(loop);
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
	struct aresloop *loop = ctx;

	ares_process_fd(loop->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	aresloop_arm(loop);
}

static void unwatch(struct aresloop *loop, ares_socket_t fd)
{
	struct watch *watch;

	DL_SEARCH_SCALAR(loop->watches, watch, fd, fd);
	if (!watch)
		return;
	DL_DELETE(loop->watches, watch);
	event_free(watch->event);
	free(watch);
}

static void want_socket(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct aresloop *loop = ctx;
	struct watch *watch;
	short what = EV_PERSIST;

	unwatch(loop, fd);
	if (readable)
		what |= EV_READ;
	if (writable)
		what |= EV_WRITE;
	if (what == EV_PERSIST)
		return; /* it is being closed */
	watch = mem_zalloc(sizeof(*watch));
	watch->fd = fd;
	watch->event = event_new(loop->base, fd, what, on_socket, loop);
	(void)event_add(watch->event, NULL);
	DL_APPEND(loop->watches, watch);
}

struct aresloop *aresloop_new(struct event_base *base, struct ares_options *options, int mask,
			      int *ret_status)
{
	struct aresloop *loop = mem_zalloc(sizeof(*loop));

	loop->base = base;
	loop->timer = evtimer_new(base, on_timer, loop);
	options->sock_state_cb = want_socket;
	options->sock_state_cb_data = loop;
	*ret_status = ares_init_options(&loop->channel, options, mask | ARES_OPT_SOCK_STATE_CB);
	if (*ret_status == ARES_SUCCESS)
		return loop;
	loop->channel = NULL;
	aresloop_free(loop);
	return NULL;
}

ares_channel aresloop_channel(struct aresloop *loop)
{
	return loop->channel;
}

void aresloop_free(struct aresloop *loop)
{
	if (!loop)
		return;
	if (loop->channel)
		ares_destroy(loop->channel);
	event_free(loop->timer);
	free(loop);
}
