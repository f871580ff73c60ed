/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_TEST_WORLD_H
#define HTTP_TEST_WORLD_H

/* For the tests of this package: a client and a server without TLS. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/http.h"
#include "http/http_test_peer.h"

struct world {
	struct event_base *base;
	struct http *http;
	struct peer peer;
	struct outcome out;
	char url[64];
};

static inline int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));

	w->base = event_base_new();
	w->http = http_new(w->base, &(struct http_options){.user_agent = "test/1"});
	assert_true(peer_listen(&w->peer, w->base, "127.0.0.1", 0));
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d/path?q=1", w->peer.port);
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	peer_done(&w->peer);
	event_base_free(w->base);
	free(w);
	return 0;
}

static inline struct http_request get(struct world *w)
{
	return (struct http_request){
		.method = "GET",
		.url = w->url,
		.max_body = 1024,
		.timeout_ms = 5000,
		.on_done = outcome_note,
		.ctx = &w->out,
	};
}

static inline void use_options(struct world *w, const struct http_options *options)
{
	http_free(w->http);
	w->http = http_new(w->base, options);
}

/* Sends it and waits for its end. */
static inline const struct http_response *exchange(struct world *w, const struct http_request *req)
{
	w->out = (struct outcome){0};
	(void)http_start(w->http, req);
	assert_int_equal(w->out.done, 0);
	run_until(w->base, &w->out.done, 1);
	return &w->out.resp;
}

static inline void assert_fault(struct world *w, const struct http_request *req,
				enum http_fault fault, bool sent)
{
	const struct http_response *resp = exchange(w, req);

	assert_string_equal(http_fault_text(resp->fault), http_fault_text(fault));
	assert_int_equal(resp->sent, sent);
	assert_true(resp->detail[0] != '\0');
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
