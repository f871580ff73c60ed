/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_H
#define HTTP_H

/*
 * HTTP client on the loop: one libcurl multi handle driven by libevent.
 *
 * Each struct http has connections of its own: the API server, the lease, and tenants' hosts use
 * one each, so that none can stall another. Nothing blocks; a handler runs on the loop, exactly
 * once for each request that was started and not cancelled, never from inside http_start().
 * Every response has a cap, every request a deadline. Redirects are never followed, a URL with
 * credentials is refused. TLS is verified unless the request's http_tls says otherwise. The program
 * must ignore SIGPIPE.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define HTTP_MAX_HEADERS 20

struct http;
struct http_call;

struct http_options {
	const char *user_agent; /* copied */
	bool http1;		/* never HTTP/2 */
	bool no_proxy;		/* only those that a request names, none of the environment */
	int max_connections;	/* 0 = libcurl's default */
};

struct http *http_new(struct event_base *base, const struct http_options *options);
void http_free(struct http *http); /* cancels what runs; not from inside a handler; NULL is fine */

/* TLS material. All lent until the call is done, so it usually lives in the owner's struct. A
 * connection is only used again by a request with the same material. */
struct http_tls {
	const char *ca_pem; /* NULL: the system's roots */
	size_t ca_pem_len;
	const char *cert_pem; /* client certificate and key, both or none */
	const char *key_pem;
	const char *server_name; /* SNI and name to verify instead of the URL's; NULL: the URL's */
	bool insecure;		 /* do not verify (kubeconfig's insecure-skip-tls-verify only) */
};

/* Whether a text can be a ca_pem: certificates in PEM form, at least one and all of them whole. */
bool http_is_ca(const char *pem);

/* Why a request brought no complete answer. */
enum http_fault {
	HTTP_OK = 0,
	HTTP_FAULT_RESOLVE, /* the name did not resolve */
	HTTP_FAULT_CONNECT, /* refused or unreachable */
	HTTP_FAULT_CONNECT_TIMEOUT,
	HTTP_FAULT_TLS,		/* handshake failed */
	HTTP_FAULT_TLS_TIMEOUT, /* connected, but the handshake was not done in time */
	HTTP_FAULT_TLS_UNTRUSTED,
	HTTP_FAULT_TLS_EXPIRED, /* or not valid yet */
	HTTP_FAULT_TLS_NAME,	/* the certificate is for another name */
	HTTP_FAULT_TIMEOUT,	/* deadline passed after a byte of the request went out */
	HTTP_FAULT_CLOSED,	/* reset or closed before the answer was complete */
	HTTP_FAULT_TOO_LARGE,	/* the answer passed its cap */
	HTTP_FAULT_NOT_HTTP,	/* what came back */
	HTTP_FAULT_PROXY,
	HTTP_FAULT_OTHER,
};

struct http_response {
	enum http_fault fault;
	bool sent;  /* a byte of the request may have reached the server; a CONNECT does not */
	int status; /* 0 when no status line came */
	const char *body; /* NUL-terminated, lent; empty for streams */
	size_t body_len;
	int retry_after_s; /* Retry-After in seconds (delta or date), capped at 3600; -1: none */
	char detail[128];  /* libcurl's words, for debug logs only */
};

/* A complete answer of whatever status has fault HTTP_OK. resp is lent for the call; the
 * call handle is gone when it returns. */
typedef void http_done_fn(void *ctx, const struct http_response *resp);
/* A stream's bytes as they come. Returning non-zero ends the stream with HTTP_FAULT_OTHER.
 * Only called for a 2xx answer; the body of any other is collected. */
typedef int http_data_fn(void *ctx, const char *data, size_t len);

struct http_request {
	const char *method; /* "GET", "POST", ... */
	const char *url;
	const char *headers[HTTP_MAX_HEADERS]; /* "Name: value", NULL-terminated */
	const char *body;		       /* NULL: none */
	size_t body_len;
	const struct http_tls *tls;
	size_t max_body;	    /* cap of the answer; for a stream, of a non-2xx answer */
	int64_t timeout_ms;	    /* for the whole; 0 only for streams */
	int64_t connect_timeout_ms; /* 0: as timeout_ms */
	int64_t idle_timeout_ms;    /* streams: fail when no byte comes for so long; 0: none */
	/* A connection of its own that nothing shares, HTTP/1.1: libcurl repeats a request by
	 * itself when a reused connection turns out dead, which a registration must not be. */
	bool fresh_connection;
	/* "host:port:address[,address]", the only addresses for the URL's host and port; implies
	 * fresh_connection and no proxy. A URL with another host fails with HTTP_FAULT_RESOLVE, one
	 * with an IPv6 literal cannot be pinned (and need not). NULL: look the name up. */
	const char *pin;
	const char *proxy;     /* for this request, instead of http_proxy_of(); not with a pin */
	http_data_fn *on_data; /* NULL: collect the body */
	http_done_fn *on_done;
	void *ctx;
};

/* Starts a request; everything in req is copied except tls. Never NULL; a bad URL and the like is
 * reported through on_done. */
struct http_call *http_start(struct http *http, const struct http_request *req) RETURNS_NONNULL;

/* Ends a call; its handlers are not called any more. NULL is fine. From inside an on_data the
 * call's tls stays lent until that handler is back on the loop. */
void http_cancel(struct http_call *call);

/* The proxy that the environment names for a URL, as client-go finds it: by the URL's scheme
 * HTTPS_PROXY or HTTP_PROXY, in either case, unless NO_PROXY exempts the host ("*", names,
 * suffixes, addresses, CIDRs, each but CIDRs with a port if wanted) or it is the loopback. NULL:
 * none. The caller frees with mem_wipe_str(): it may hold a password. */
char *http_proxy_of(const char *url);

/* A static phrase for people: "connection refused or unreachable", "certificate not trusted". */
const char *http_fault_text(enum http_fault fault);

#endif
