/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_H
#define HTTPD_H

/*
 * The small HTTP server of an operator, on libevent's evhttp: probes and metrics. GET and HEAD
 * only, capped heads and bodies, deadlines on slow clients, a cap on open connections.
 */

#include <event2/event.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

struct httpd;

/* Writes the body; returns the HTTP status. */
typedef int httpd_page_fn(void *ctx, struct buf *body);
/* True when the check passes. */
typedef bool httpd_check_fn(void *ctx);

/* address: ":8080", "127.0.0.1:0", "[::1]:8081". ERR_INVALID for a bad address, ERR_DENIED with
 * errno when it cannot be bound. */
struct httpd *httpd_new(struct event_base *base, const char *address, struct err *err) MUST_CHECK;
void httpd_free(struct httpd *httpd);
int httpd_port(const struct httpd *httpd); /* the port bound */

void httpd_page(struct httpd *httpd, const char *path, const char *content_type,
		httpd_page_fn *page, void *ctx);

/* A named check under /healthz or /readyz (path): "path" answers 200 "ok" or 500 with a line for
 * each check as the API server's does ("[+]ping ok", "[-]name failed: reason withheld"), with
 * ?verbose always; "path/name" answers for that one; ?exclude=name leaves one out. */
void httpd_check(struct httpd *httpd, const char *path, const char *name, httpd_check_fn *check,
		 void *ctx);

#endif
