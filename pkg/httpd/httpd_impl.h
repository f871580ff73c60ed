/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_IMPL_H
#define HTTPD_IMPL_H

/* Between the files of this package only. */

#include <event2/http.h>
#include <event2/listener.h>

#include "httpd/httpd.h"

#define HTTPD_MAX_HEAD 8192

/* ---- httpd_listen.c: the address ---- */

struct evconnlistener *httpd_listen(struct event_base *base, const char *address, struct err *err);

/* ---- httpd_connections.c: what evhttp lacks, a cap on their number and a deadline for a whole one
 * ----
 */

struct httpd_connections;

struct httpd_connections *httpd_connections_new(struct event_base *base, struct evhttp *server);
void httpd_connections_free(struct httpd_connections *connections); /* after evhttp_free() */

/* ---- httpd_checks.c: a list of named checks ---- */

struct httpd_check;

void httpd_checks_add(struct httpd_check **checks, const char *path, const char *name,
		      httpd_check_fn *run, void *ctx);
void httpd_checks_free(struct httpd_check *checks);

/* The HTTP status, or 0 when path asks for none of them; query may be NULL. */
int httpd_checks_answer(const struct httpd_check *checks, const char *path, const char *query,
			struct buf *body);

#endif
