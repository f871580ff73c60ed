/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_H
#define KUBE_H

/*
 * Talking to the Kubernetes API: where and as whom (kubeconfig or in-cluster), single requests,
 * watches. What the answers mean for the caller is in the err kind: see kube_done_fn.
 *
 * Sources: client-go tools/clientcmd and rest for the configuration's rules, the API concepts page
 * (resourceVersion, watch, 410) for the verbs.
 */

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "http/http.h"
#include "metrics/metrics.h"

/* ---- configuration ---- */

/* Where the API server is and who we are. Files it names are read again when a request is due: a
 * token file at most once a minute, or after a 401; certificate and key files every 5 minutes, and
 * new connections are made when they changed. While a file is unreadable, empty, or (certificates)
 * no proper PEM, what was read before stays in use. */
struct kube_config;

/* path NULL: $KUBECONFIG (a single file in this version), else in-cluster when
 * KUBERNETES_SERVICE_HOST is set, else ~/.kube/config. context NULL: current-context. Relative
 * file names resolve against the kubeconfig's directory. ERR_INVALID says which key is bad,
 * missing, or not supported (exec, auth-provider, ...), and what to do.
 *
 * A server without a scheme is https. (clientcmd takes http unless the entry has TLS keys, and so
 * would send a token in clear.) Of token and tokenFile, tokenFile wins. A file and its ...-data
 * twin, or a certificate-authority with insecure-skip-tls-verify, are a contradiction. */
struct kube_config *kube_config_load(const char *path, const char *context,
				     struct err *err) MUST_CHECK;
/* The in-cluster form: dir holds token, ca.crt and namespace; host and port as the kubelet sets
 * them (an IPv6 host gets its brackets). */
struct kube_config *kube_config_in_cluster(const char *dir, const char *host, const char *port,
					   struct err *err) MUST_CHECK;
void kube_config_free(struct kube_config *config);
void kube_config_freep(struct kube_config **config);

const char *kube_config_server(const struct kube_config *config); /* "https://host:port[/path]" */
const char *
kube_config_namespace(const struct kube_config *config); /* "default" when none is set */

/* ---- client ---- */

struct kube;
struct kube_call;

struct kube_options {
	const char *user_agent;
	bool http1;
	struct metrics_family *requests_total; /* lent; NULL: none */
};

/* rest_client_requests_total{code,method,host}: once for each registry. */
struct metrics_family *kube_declare_requests_total(struct metrics *metrics);

/* A client with a connection of its own (HTTP/2 unless http1). config is lent and must outlive it.
 */
struct kube *kube_new(struct event_base *base, struct kube_config *config,
		      const struct kube_options *options);
/* Cancels what runs; NULL is fine. Not from inside a handler of its own. */
void kube_free(struct kube *kube);

#define KUBE_RV_LEN 40 /* a resourceVersion; KEP-5504: up to 128 bits, 39 digits */

/* A kind of object in the API. */
struct kube_resource {
	const char *group;   /* "" for the core group */
	const char *version; /* "v1" */
	const char *plural;  /* "secrets" */
};

/* One item of a list, lent; an item is parsed when its turn comes, so that a page of hundreds costs
 * the memory of one. A failure ends the request with that error. Only kube_start() may be called
 * from inside. */
typedef int kube_item_fn(void *ctx, json_t *item, struct err *err);

enum kube_patch { KUBE_MERGE_PATCH, KUBE_APPLY_PATCH };

/*
 * The end of a request. On success err is NULL and object is the answer's JSON (lent; json_incref
 * to keep it). Otherwise object is NULL, or the Status the server sent (lent), and the kind is:
 *   ERR_CONFLICT   409 Conflict or AlreadyExists        ERR_NOT_FOUND 404
 *   ERR_GONE       410                                  ERR_THROTTLED 429; 5xx with Retry-After
 *   ERR_DENIED     401, 403                             ERR_INVALID   400, 405, 413, 415, 422
 *   ERR_TRANSIENT  everything else: 5xx, no connection, deadline; the outcome of a write is unknown
 * code is the HTTP status (seconds for ERR_THROTTLED). The message holds the Status' own message,
 * cut: the API server is trusted for that, but no message of it goes into another object's status.
 * A name, namespace or the like that cannot be part of a path (empty, ".", "..") is ERR_INVALID,
 * and nothing is sent. The call handle is gone when on_done runs.
 */
typedef void kube_done_fn(void *ctx, json_t *object, const struct err *err);

struct kube_request {
	const char *verb; /* "get", "create", "update", "patch", "delete": as in RBAC */
	const struct kube_resource *resource;
	const char *namespace;	 /* NULL: cluster-scoped, or all namespaces for a list */
	const char *name;	 /* NULL: the collection ("create", or "get" to list) */
	const char *subresource; /* NULL or "status" */
	const char *query;	 /* NULL, or encoded text behind the '?' */
	enum kube_patch patch;
	json_t *body;	       /* NULL or lent for the call of kube_start() */
	int64_t timeout_ms;    /* 0: 30 s */
	kube_item_fn *on_item; /* a list's items go here, and object has none; NULL: they stay */
	kube_done_fn *on_done;
	void *ctx;
};

/* Sends one request; nothing is retried. Never calls back from inside. Everything is copied. */
struct kube_call *kube_start(struct kube *kube, const struct kube_request *req) RETURNS_NONNULL;
void kube_cancel(struct kube_call *call); /* on_done is not called any more; NULL is fine */

/* True of an ERR_TRANSIENT that says that the answer passed its cap. */
bool kube_is_too_large(const struct err *err);
/* True when a 403 of a create says that the namespace is being terminated. */
bool kube_is_namespace_terminating(const json_t *status);

/* ---- watch ---- */

struct kube_watch;

/* One event of a watch: type is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR (object is a Status).
 */
typedef void kube_event_fn(void *ctx, const char *type, json_t *object);
/* The stream ended: err as in kube_done_fn, NULL for a plain end. Not after kube_watch_stop(). The
 * handle is gone when it runs. */
typedef void kube_watch_end_fn(void *ctx, const struct err *err);

struct kube_watch_request {
	const struct kube_resource *resource;
	const char *namespace;	      /* NULL: all */
	const char *resource_version; /* where to begin */
	const char *selector;	      /* label selector, NULL: none */
	int timeout_s;		      /* the server's timeoutSeconds */
	int64_t idle_timeout_ms;      /* silence that means a dead connection; 0: none */
	kube_event_fn *on_event;
	kube_watch_end_fn *on_end;
	void *ctx;
};

/* With bookmarks. The stream also has a hard deadline of timeout_s + 5 s. What is no event, or
 * over KUBE_MAX_OBJECT, ends it with ERR_TRANSIENT. An ERROR event is an event like others: it is
 * for on_event to judge. on_event runs inside a read of libcurl's: of the calls here it may use
 * kube_start(), kube_watch_start(), and kube_watch_stop() of its own watch. */
struct kube_watch *kube_watch_start(struct kube *kube,
				    const struct kube_watch_request *req) RETURNS_NONNULL;
void kube_watch_stop(struct kube_watch *watch); /* NULL is fine */

#define KUBE_MAX_OBJECT (2 * 1024 * 1024) /* etcd takes 1.5 MiB */
/* A page of a list: some thousands of ordinary objects, and some of the largest. */
#define KUBE_MAX_RESPONSE (8 * 1024 * 1024)

/* ---- resource versions (KEP-5504: comparable integers) ---- */

/* <0, 0, >0 as a is older, equal, newer; *ret_ok false when one is not comparable (then 0). */
int kube_rv_compare(const char *a, const char *b, bool *ret_ok);

#endif
