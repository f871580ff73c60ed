/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_IMPL_H
#define KUBE_IMPL_H

/* What the files of this package share. Included by nobody else. */

#include "base/buf.h"
#include "kube/kube.h"

/* ---- files (kube_file.c) ---- */

#define KUBE_MAX_KUBECONFIG (4 * 1024 * 1024)
#define KUBE_MAX_PEM	    (1024 * 1024)
#define KUBE_MAX_WORD	    (64 * 1024) /* a token */

/* Appends a regular file's bytes, as many as ret_text may hold. ERR_INVALID. */
int kube_file_read(const char *path, struct buf *ret_text, struct err *err) MUST_CHECK;
/* A file of one word, without the white space around it; ERR_INVALID also when nothing is left or
 * it holds blanks, control or non-ASCII characters. The caller frees (wipes, if secret). */
char *kube_file_word(const char *path, struct err *err) MUST_CHECK;
/* True for a word as above: safe as a header's value. */
bool kube_is_word(const char *text);

/* ---- TLS material (kube_tls.c) ---- */

/* One PEM text: from a file that is read again, or inline, or neither. */
struct kube_pem {
	char *path;
	char *text;
};

struct kube_tls_spec {
	struct kube_pem ca, cert, key;
	char *server_name;
	bool insecure;
};

/* One generation of the material. It outlives its successor while requests still use it. */
struct kube_tls {
	int refs;
	struct http_tls http; /* points to the texts below */
	char *ca, *cert, *key;
};

void kube_tls_spec_done(struct kube_tls_spec *spec);
/* Reads and checks what spec names (server_name stays lent by it). The caller owns one
 * reference. ERR_INVALID. */
struct kube_tls *kube_tls_load(const struct kube_tls_spec *spec, struct err *err) MUST_CHECK;
struct kube_tls *kube_tls_ref(struct kube_tls *tls);
void kube_tls_unref(struct kube_tls *tls); /* NULL is fine */

/* ---- configuration (kube_identity.c) ---- */

struct kube_config {
	char *server;
	char *namespace;

	char *token; /* NULL: none */
	char *token_path;
	int64_t token_due_ms; /* when to read token_path again */

	struct kube_tls_spec tls_spec;
	struct kube_tls *tls;
	int64_t tls_due_ms;
};

/* Reads the files that a configuration names for the first time; fills in the defaults. */
int kube_config_complete(struct kube_config *config, struct err *err) MUST_CHECK;

/* What to use for a request at now_ms, read again when it is time. Lent until the next call. */
const char *kube_config_token(struct kube_config *config, int64_t now_ms);
struct kube_tls *kube_config_tls(struct kube_config *config, int64_t now_ms);

/* The server refused the token: read it again for the next request. */
void kube_config_distrust_token(struct kube_config *config);

/* A server as configured -> its URL without a trailing slash, https unless it says otherwise.
 * NULL and ERR_INVALID if it is none. */
char *kube_server_url(const char *server, struct err *err) MUST_CHECK;

/* kube_config_load() of a file's text (kube_config.c); dir is what relative paths are relative to.
 */
struct kube_config *kube_config_parse(const struct buf *text, const char *context, const char *dir,
				      struct err *err) MUST_CHECK;

/* ---- answers (kube_status.c) ---- */

/* 0 for a complete 2xx answer, whose body is not looked at; else -1, err, and the Status that the
 * server sent (the caller owns it) or NULL. */
int kube_status_check(const struct http_response *resp, const char *server, json_t **ret_status,
		      struct err *err) MUST_CHECK;

/* ---- exchanges: what a request and a watch have in common (kube_exchange.c) ---- */

struct kube {
	struct http *http;
	struct kube_config *config;
	struct metrics_family *requests_total;
	char *host;			 /* of the server, for metrics */
	struct kube_exchange *exchanges; /* what runs; a utlist */
};

struct kube_exchange {
	struct kube *kube;
	struct http_call *call; /* NULL when it is over */
	struct kube_tls *tls;
	const char *method; /* static */
	char *path;	    /* with the query; NULL when the target was refused: nothing is sent */
	int64_t started_ms;
	void (*destroy)(struct kube_exchange *x); /* frees what x is embedded in */
	struct kube_exchange *prev, *next;
};

/* What a path is made of, as in struct kube_request. */
struct kube_target {
	const struct kube_resource *resource;
	const char *namespace, *name, *subresource, *query;
};

/* Sends http_req: the caller has filled in all but the URL, the headers, TLS, and ctx, which will
 * be x. A target that is no path (an empty name, "..") fails with ERR_INVALID, later. */
void kube_exchange_start(struct kube_exchange *x, struct kube *kube,
			 const struct kube_target *target, const char *content_type,
			 struct http_request *http_req);
/* The call is over: counts and logs it, then as kube_status_check(). */
int kube_exchange_end(struct kube_exchange *x, const struct http_response *resp,
		      json_t **ret_status, struct err *err) MUST_CHECK;
/* Ends the call if it still runs, and frees what x holds, but not x. */
void kube_exchange_done(struct kube_exchange *x);

/* ---- framing (kube_split.c) ---- */

/* What gets each document; non-zero ends the feeding. */
typedef int kube_split_fn(void *ctx, const char *text, size_t len);

/* Cuts a stream into its JSON objects, at whatever places it was torn. Each byte is looked at
 * once; a document is handed on when its last brace has come. */
struct kube_split {
	kube_split_fn *on_doc;
	void *ctx;
	struct buf doc;
	unsigned depth; /* 0: between documents */
	bool in_string, escaped;
};

void kube_split_init(struct kube_split *split, size_t max_doc, kube_split_fn *on_doc, void *ctx);
void kube_split_done(struct kube_split *split);
/* 0; what on_doc returned if not 0; or -1 with ERR_TRANSIENT for what is no object, or too large.
 * After any but 0 the splitter is of no more use. */
int kube_split_feed(struct kube_split *split, const char *data, size_t len, struct err *err);

/* Calls on_doc for the text of each object in the array "items" of a list document, and gives what
 * is left of the document, the array empty. What is not JSON is found by whoever parses the
 * pieces. Stops at and returns what on_doc returned if that is not 0. */
int kube_split_items(const char *text, size_t len, kube_split_fn *on_doc, void *ctx,
		     struct buf *ret_rest);

#endif
