/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "base/mem.h"
#include "httpd/httpd_impl.h"

#define MAX_REQUEST_BODY 1024
#define MAX_ANSWER	 ((size_t)16 * 1024 * 1024)
#define IDLE_TIMEOUT_S	 30

struct page {
	char *path;
	const char *content_type;
	httpd_page_fn *write;
	void *ctx;
	struct page *next;
};

struct httpd {
	struct evhttp *server;
	struct evconnlistener *listener; /* the server's */
	struct httpd_connections *connections;
	struct page *pages;
	struct httpd_check *checks;
};

/* ---- answering ---- */

struct answer {
	int status;
	const char *content_type;
	struct buf body;
};

static void answer_donep(struct answer *answer)
{
	buf_done(&answer->body);
}

static void plain(struct answer *answer, int status, const char *text)
{
	answer->status = status;
	answer->content_type = "text/plain; charset=utf-8";
	buf_clear(&answer->body);
	(void)buf_adds(&answer->body, text);
}

static const struct page *find_page(const struct httpd *httpd, const char *path)
{
	const struct page *page;

	LL_FOREACH(httpd->pages, page)
		if (strcmp(page->path, path) == 0)
			return page;
	return NULL;
}

static void fill(const struct httpd *httpd, const struct evhttp_uri *uri, struct answer *answer)
{
	const char *path = evhttp_uri_get_path(uri);
	const struct page *page = find_page(httpd, path);

	plain(answer, 0, "");
	if (page) {
		answer->content_type = page->content_type;
		answer->status = page->write(page->ctx, &answer->body);
	} else {
		answer->status = httpd_checks_answer(httpd->checks, path, evhttp_uri_get_query(uri),
						     &answer->body);
	}
	if (answer->body.failed)
		plain(answer, HTTP_INTERNAL, "too large\n");
	else if (!answer->status)
		plain(answer, HTTP_NOTFOUND, "not found\n");
}

static void send_answer(struct evhttp_request *req, const struct answer *answer)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	const struct buf *body = &answer->body;
	char length[24];

	(void)evhttp_add_header(headers, "Content-Type", answer->content_type);
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)snprintf(length, sizeof(length), "%zu", body->len);
	(void)evhttp_add_header(headers, "Content-Length", length);
	if (evhttp_request_get_command(req) != EVHTTP_REQ_HEAD)
		(void)evbuffer_add(evhttp_request_get_output_buffer(req), buf_str(body), body->len);
	evhttp_send_reply(req, answer->status, NULL, NULL);
}

static void on_request(struct evhttp_request *req, void *ctx)
{
	CLEANUP(answer_donep) struct answer answer = {.body = BUF_INIT(MAX_ANSWER)};

	fill(ctx, evhttp_request_get_evhttp_uri(req), &answer);
	send_answer(req, &answer);
}

/* ---- the server ---- */

struct httpd *httpd_new(struct event_base *base, const char *address, struct err *err)
{
	struct evconnlistener *listener = httpd_listen(base, address, err);
	struct httpd *httpd;
	struct evhttp_bound_socket *bound;

	if (!listener)
		return NULL;
	httpd = mem_zalloc(sizeof(*httpd));
	httpd->listener = listener;
	httpd->server = evhttp_new(base);
	assert(httpd->server);
	evhttp_set_allowed_methods(httpd->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(httpd->server, HTTPD_MAX_HEAD);
	evhttp_set_max_body_size(httpd->server, MAX_REQUEST_BODY);
	evhttp_set_timeout(httpd->server, IDLE_TIMEOUT_S);
	evhttp_set_gencb(httpd->server, on_request, httpd);
	httpd->connections = httpd_connections_new(base, httpd->server);
	bound = evhttp_bind_listener(httpd->server, listener);
	assert(bound);
	return httpd;
}

void httpd_free(struct httpd *httpd)
{
	struct page *page;
	struct page *next;

	if (!httpd)
		return;
	evhttp_free(httpd->server);
	httpd_connections_free(httpd->connections);
	LL_FOREACH_SAFE(httpd->pages, page, next) {
		free(page->path);
		free(page);
	}
	httpd_checks_free(httpd->checks);
	free(httpd);
}

int httpd_port(const struct httpd *httpd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address = {0};
	socklen_t len = sizeof(address);
	int failed = getsockname(evconnlistener_get_fd(httpd->listener), &address.any, &len);

	assert(!failed);
	return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port
						       : address.ipv4.sin_port);
}

void httpd_page(struct httpd *httpd, const char *path, const char *content_type,
		httpd_page_fn *page, void *ctx)
{
	struct page *added = mem_zalloc(sizeof(*added));

	added->path = mem_strdup(path);
	added->content_type = content_type;
	added->write = page;
	added->ctx = ctx;
	LL_PREPEND(httpd->pages, added);
}

void httpd_check(struct httpd *httpd, const char *path, const char *name, httpd_check_fn *check,
		 void *ctx)
{
	httpd_checks_add(&httpd->checks, path, name, check, ctx);
}
