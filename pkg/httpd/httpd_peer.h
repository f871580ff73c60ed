/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_PEER_H
#define HTTPD_PEER_H

/* For tests: a server on a free port of the loopback that answers as a function says, and a
 * kubeconfig that leads to it. */

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define HTTPD_PEER_MAX (1 << 20)

/* Returns the status after writing the answer's body; 0 leaves the request without an answer. */
typedef int httpd_peer_fn(void *ctx, const char *method, const char *path, const char *body,
			  struct buf *answer);

struct httpd_peer {
	struct evhttp *server;
	int port;
	httpd_peer_fn *respond;
	void *ctx;
};

static inline const char *httpd_peer_method(struct evhttp_request *req)
{
	switch ((int)evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	default:
		return "PATCH";
	}
}

static inline void httpd_peer_on_request(struct evhttp_request *req, void *ctx)
{
	CLEANUP(buf_donep) struct buf answer = BUF_INIT(HTTPD_PEER_MAX);
	struct evbuffer *input = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(input);
	CLEANUP(mem_freep) char *body = mem_dup(evbuffer_pullup(input, -1), len);
	struct httpd_peer *peer = ctx;
	int status = peer->respond(peer->ctx, httpd_peer_method(req), evhttp_request_get_uri(req),
				   body, &answer);

	if (!status)
		return;
	(void)evbuffer_add(evhttp_request_get_output_buffer(req), buf_str(&answer), answer.len);
	evhttp_send_reply(req, status, NULL, NULL);
}

static inline void httpd_peer_start(struct httpd_peer *peer, struct event_base *base,
				    httpd_peer_fn *respond, void *ctx)
{
	struct evhttp_bound_socket *bound;
	struct sockaddr_in address = {0};
	socklen_t len = sizeof(address);

	peer->respond = respond;
	peer->ctx = ctx;
	peer->server = evhttp_new(base);
	evhttp_set_allowed_methods(peer->server, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
							 EVHTTP_REQ_PATCH);
	evhttp_set_gencb(peer->server, httpd_peer_on_request, peer);
	bound = evhttp_bind_socket_with_handle(peer->server, "127.0.0.1", 0);
	if (!bound ||
	    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) != 0)
		abort();
	peer->port = ntohs(address.sin_port);
}

static inline void httpd_peer_stop(struct httpd_peer *peer)
{
	evhttp_free(peer->server);
}

/* The path of a new file; the caller unlinks it, and frees the text. */
static inline char *httpd_peer_kubeconfig(const struct httpd_peer *peer)
{
	char *path = mem_strdup("/tmp/kubeconfig-XXXXXX");
	int fd = mkstemp(path);
	int len = dprintf(fd,
			  "current-context: c\n"
			  "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
			  "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:%d'}}]\n"
			  "users: [{name: u, user: {}}]\n",
			  peer->port);

	if (len <= 0 || close(fd) != 0)
		abort();
	return path;
}

#endif
