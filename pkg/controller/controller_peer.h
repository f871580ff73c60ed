/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_PEER_H
#define CONTROLLER_PEER_H

/*
 * For tests: a small Kubernetes API server (controller_api_peer.h) and an acme-dns, on free ports
 * of the loopback. The API server has 127.0.0.1 and acme-dns 127.0.0.2, so that one can be refused
 * for the other's sake.
 */

#include "controller/controller_api_peer.h"

/* ---- acme-dns ---- */

static inline void peer_register(struct peer *peer, struct evhttp_request *req)
{
	CLEANUP(mem_freep) char *uuid = mem_printf("00000000-0000-4000-8000-%012d", peer->posts);
	CLEANUP(mem_freep) char *full = mem_printf("%s.auth.example.org", uuid);
	CLEANUP(jv_freep)
	json_t *account = json_pack("{s:s, s:s, s:s, s:s, s:[]}", "username", uuid, "password",
				    "secret", "subdomain", uuid, "fulldomain", full, "allowfrom");

	if (peer->acme_body || peer->acme_status != 201)
		peer_reply(req, peer->acme_status, peer->acme_body ? peer->acme_body : "{}");
	else
		peer_reply_json(req, 201, account);
}

/* The one that has waited longest. */
static inline void peer_release(struct peer *peer)
{
	struct evhttp_request *req = peer->held[0];

	assert_true(peer->held_len > 0);
	peer->held_len--;
	for (size_t i = 0; i < peer->held_len; i++)
		peer->held[i] = peer->held[i + 1];
	peer_register(peer, req);
}

static inline void peer_answer_update(struct peer *peer, struct evhttp_request *req)
{
	int status = peer->update_status ? peer->update_status : 400;

	peer_reply(req, status,
		   status == 400 ? "{\"error\":\"bad_txt\"}" : "{\"error\":\"forbidden\"}");
}

static inline void peer_release_updates(struct peer *peer)
{
	peer->hold_updates = false;
	while (peer->held_updates_len > 0)
		peer_answer_update(peer, peer->held_updates[--peer->held_updates_len]);
}

static inline void peer_update(struct peer *peer, struct evhttp_request *req)
{
	peer->updates++;
	assert_true(peer->held_updates_len < PEER_MAX_HELD);
	if (peer->hold_updates)
		peer->held_updates[peer->held_updates_len++] = req;
	else
		peer_answer_update(peer, req);
}

static inline void peer_on_acme(struct evhttp_request *req, void *ctx)
{
	struct peer *peer = ctx;
	struct evkeyval *header;

	TAILQ_FOREACH(header, evhttp_request_get_input_headers(req), next)
	(void)buf_addf(&peer->headers, "%s: %s\n", header->key, header->value);
	if (strncmp(evhttp_request_get_uri(req), "/broken/", strlen("/broken/")) == 0) {
		peer_reply(req, 502, "");
		return;
	}
	if (strcmp(evhttp_request_get_uri(req), "/health") == 0) {
		assert_int_equal(evhttp_request_get_command(req), EVHTTP_REQ_GET);
		peer->health_asked++;
		peer_reply(req, peer->health_status, peer->health ? peer->health : "");
		return;
	}
	if (strcmp(evhttp_request_get_uri(req), "/update") == 0) {
		peer_update(peer, req);
		return;
	}
	assert_string_equal(evhttp_request_get_uri(req),
			    peer->register_url ? peer->register_url : "/register");
	peer->posts++;
	if (!peer->hold) {
		peer_register(peer, req);
		return;
	}
	assert_true(peer->held_len < PEER_MAX_HELD);
	peer->held[peer->held_len++] = req;
	if (peer->most_held < peer->held_len)
		peer->most_held = peer->held_len;
}

/* ---- life ---- */

static inline struct evhttp *peer_listen(struct event_base *base, const char *address,
					 int *ret_port)
{
	struct evhttp *server = evhttp_new(base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server, address, 0);
	struct sockaddr_in name = {0};
	socklen_t len = sizeof(name);

	assert_non_null(bound);
	assert_int_equal(
		getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&name, &len), 0);
	*ret_port = ntohs(name.sin_port);
	evhttp_set_allowed_methods(server, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PATCH |
						   EVHTTP_REQ_DELETE);
	return server;
}

static inline void peer_start(struct peer *peer, struct event_base *base)
{
	*peer = (struct peer){
		.base = base,
		.rv = 100,
		.registrations = json_object(),
		.secrets = json_object(),
		.config_maps = json_object(),
		.endpoints = json_object(),
		.events = json_array(),
		.log = BUF_INIT(PEER_MAX_TEXT),
		.headers = BUF_INIT(PEER_MAX_TEXT),
		.acme_status = 201,
		.health_status = 200,
	};
	peer->api = peer_listen(base, "127.0.0.1", &peer->api_port);
	peer->acme = peer_listen(base, "127.0.0.2", &peer->acme_port);
	evhttp_set_gencb(peer->api, peer_on_api, peer);
	evhttp_set_gencb(peer->acme, peer_on_acme, peer);
}

static inline void peer_stop_acme(struct peer *peer)
{
	if (peer->acme)
		evhttp_free(peer->acme);
	peer->acme = NULL;
	peer->held_len = 0;
	peer->held_updates_len = 0;
}

static inline void peer_stop(struct peer *peer)
{
	peer_stop_acme(peer);
	evhttp_free(peer->api);
	json_decref(peer->registrations);
	json_decref(peer->secrets);
	json_decref(peer->config_maps);
	json_decref(peer->endpoints);
	json_decref(peer->events);
	for (int i = 0; i < peer->watch_events_len; i++)
		free(peer->watch_events[i]);
	buf_done(&peer->log);
	buf_done(&peer->headers);
}

#endif
