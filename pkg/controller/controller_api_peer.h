/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_API_PEER_H
#define CONTROLLER_API_PEER_H

/*
 * For tests: the half of controller_peer.h that is a small Kubernetes API server:
 * AcmeDnsRegistrations with list, watch and status, Secrets with get, create and merge patch,
 * ConfigMaps with get, DNSEndpoints with get, create, apply, merge patch and delete, Events. A test
 * says what goes wrong with peer_fail().
 */

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jv/jv.h"

#define PEER_MAX_FAULTS	  8
#define PEER_MAX_WATCHES  8
#define PEER_MAX_HELD	  64
#define PEER_MAX_EVENTS	  4096
#define PEER_MAX_TEXT	  (1 << 20)
#define PEER_REGISTRATION "/apis/acme-dns-operator.github.io/v1alpha1/"
#define PEER_NAMESPACED	  "namespaces/default/"

enum peer_how {
	PEER_REFUSE, /* answers so, and does nothing */
	PEER_LOSE,   /* does it, and then answers so: the reply is lost */
	PEER_HANG,   /* never answers */
};

/* For the next requests whose "METHOD path" has a text in it. */
struct peer_fault {
	const char *what;
	int status;
	int times;
	enum peer_how how;
	const char *headers; /* "Retry-After: 1" or NULL */
	const char *body;    /* NULL: a Status */
};

struct peer {
	struct event_base *base;
	struct evhttp *api, *acme;
	int api_port, acme_port;
	int rv;
	json_t *registrations; /* by name */
	json_t *secrets;       /* by name */
	json_t *config_maps;   /* by name */
	json_t *endpoints;     /* by name; NULL: such a kind is not known */
	json_t *events;	       /* as they were posted */
	char *watch_events[PEER_MAX_EVENTS];
	int watch_events_len;
	struct evhttp_request *watches[PEER_MAX_WATCHES];
	struct peer_fault faults[PEER_MAX_FAULTS];
	struct buf log; /* "METHOD path\n" of all but lists and watches */
	/* Called before and after a request is acted on; may change what is stored. */
	void (*before)(struct peer *peer, const char *request);
	void (*after)(struct peer *peer, const char *request);
	void *ctx;
	/* The answer to the next request that has this in it waits for peer_answer_kept(). */
	const char *keep;
	struct evhttp_request *kept;
	json_t *kept_object;
	/* acme-dns */
	bool hold;		  /* registrations wait for peer_release() */
	const char *register_url; /* NULL: "/register" */
	int acme_status;
	const char *acme_body; /* NULL: an account */
	int health_status;
	int health_asked;
	const char *health; /* what it says then; NULL: nothing */
	struct evhttp_request *held[PEER_MAX_HELD];
	size_t held_len, most_held;
	int posts;
	int updates;
	int update_status; /* 0: what acme-dns says of an account that lives */
	bool hold_updates; /* they wait for peer_release_updates() */
	struct evhttp_request *held_updates[PEER_MAX_HELD];
	int held_updates_len;
	struct buf headers; /* "Name: value\n" of all of them */
};

/* ---- what went over the wire ---- */

static inline int peer_count(struct peer *peer, const char *what)
{
	const char *at = buf_str(&peer->log);
	int count = 0;

	while ((at = strstr(at, what))) {
		count++;
		at++;
	}
	return count;
}

static inline void peer_fail(struct peer *peer, const struct peer_fault *fault)
{
	size_t i = 0;

	while (peer->faults[i].times > 0)
		assert_true(++i < PEER_MAX_FAULTS);
	peer->faults[i] = *fault;
}

/* ---- the store ---- */

static inline void peer_stamp(struct peer *peer, json_t *object)
{
	char rv[16];

	(void)snprintf(rv, sizeof(rv), "%d", ++peer->rv);
	jv_set_str(jv_ensure_object(object, "metadata"), "resourceVersion", rv);
}

static inline int peer_event_rv(const char *text)
{
	CLEANUP(jv_freep) json_t *event = json_loads(text, 0, NULL);

	return (int)strtol(jv_str(event, "object.metadata.resourceVersion"), NULL, 10);
}

static inline void peer_send_event(struct evhttp_request *watch, const char *text)
{
	struct evbuffer *chunk = evbuffer_new();

	(void)evbuffer_add_printf(chunk, "%s\n", text);
	evhttp_send_reply_chunk(watch, chunk);
	evbuffer_free(chunk);
}

static inline void peer_tell(struct peer *peer, const char *type, json_t *object)
{
	CLEANUP(jv_freep) json_t *event = json_pack("{s:s, s:O}", "type", type, "object", object);
	char *text = json_dumps(event, JSON_COMPACT);

	assert_true(peer->watch_events_len < PEER_MAX_EVENTS);
	peer->watch_events[peer->watch_events_len++] = text;
	for (size_t i = 0; i < PEER_MAX_WATCHES; i++)
		if (peer->watches[i])
			peer_send_event(peer->watches[i], text);
}

/* Takes the object over. */
static inline void peer_put_registration(struct peer *peer, json_t *object)
{
	const char *name = jv_str(object, "metadata.name");
	bool known = json_object_get(peer->registrations, name);

	peer_stamp(peer, object);
	peer_tell(peer, known ? "MODIFIED" : "ADDED", object);
	jv_set(peer->registrations, name, object);
}

static inline void peer_delete_registration(struct peer *peer, const char *name)
{
	CLEANUP(jv_freep)
	json_t *object = json_deep_copy(json_object_get(peer->registrations, name));

	assert_non_null(object);
	(void)json_object_del(peer->registrations, name);
	peer_stamp(peer, object);
	peer_tell(peer, "DELETED", object);
}

static inline json_t *peer_secret(struct peer *peer, const char *name)
{
	return json_object_get(peer->secrets, name);
}

/* Takes the object over. */
static inline void peer_put_secret(struct peer *peer, const char *name, json_t *secret)
{
	peer_stamp(peer, secret);
	jv_set(peer->secrets, name, secret);
}

/* ---- answers ---- */

static inline void peer_reply(struct evhttp_request *req, int status, const char *body)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	(void)evbuffer_add(out, body, strlen(body));
	evhttp_send_reply(req, status, "Word", NULL);
}

static inline void peer_reply_json(struct evhttp_request *req, int status, const json_t *doc)
{
	CLEANUP(mem_freep) char *text = json_dumps(doc, JSON_COMPACT);

	peer_reply(req, status, text);
}

static inline void peer_reply_status(struct evhttp_request *req, int status)
{
	CLEANUP(jv_freep)
	json_t *doc = json_pack("{s:s, s:i, s:s, s:s}", "kind", "Status", "code", status, "reason",
				status == 404	? "NotFound"
				: status == 409 ? "Conflict"
						: "Other",
				"message", "scripted");

	if (status == 404)
		jv_set_str(jv_ensure_object(doc, "details"), "name", "whatever");
	peer_reply_json(req, status, doc);
}

static inline void peer_reply_fault(struct evhttp_request *req, const struct peer_fault *fault)
{
	const char *colon = fault->headers ? strchr(fault->headers, ':') : NULL;

	if (colon) {
		CLEANUP(mem_freep)
		char *name = mem_dup(fault->headers, (size_t)(colon - fault->headers));

		(void)evhttp_add_header(evhttp_request_get_output_headers(req), name, colon + 2);
	}
	if (fault->body)
		peer_reply(req, fault->status, fault->body);
	else
		peer_reply_status(req, fault->status);
}

static inline json_t *peer_body(struct evhttp_request *req)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(input);

	return json_loadb((const char *)evbuffer_pullup(input, -1), len, 0, NULL);
}

/* ---- list and watch ---- */

static inline void peer_list(struct peer *peer, struct evhttp_request *req)
{
	CLEANUP(jv_freep) json_t *list = json_object();
	json_t *items = json_array();
	const char *name;
	json_t *object;
	char rv[16];

	(void)snprintf(rv, sizeof(rv), "%d", peer->rv);
	jv_set_str(jv_ensure_object(list, "metadata"), "resourceVersion", rv);
	jv_set_str(list, "kind", "AcmeDnsRegistrationList");
	json_object_foreach(peer->registrations, name, object)
		(void)json_array_append(items, object);
	jv_set(list, "items", items);
	peer_reply_json(req, 200, list);
}

static inline void peer_on_watch_closed(struct evhttp_connection *connection, void *ctx)
{
	struct peer *peer = ctx;

	for (size_t i = 0; i < PEER_MAX_WATCHES; i++)
		if (peer->watches[i] &&
		    evhttp_request_get_connection(peer->watches[i]) == connection)
			peer->watches[i] = NULL;
}

static inline void peer_watch(struct peer *peer, struct evhttp_request *req)
{
	const char *since = strstr(evhttp_request_get_uri(req), "resourceVersion=");
	int rv = since ? (int)strtol(strchr(since, '=') + 1, NULL, 10) : 0;
	size_t place = 0;

	while (peer->watches[place])
		assert_true(++place < PEER_MAX_WATCHES);
	peer->watches[place] = req;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), peer_on_watch_closed,
				      peer);
	evhttp_send_reply_start(req, 200, "OK");
	for (int i = 0; i < peer->watch_events_len; i++)
		if (peer_event_rv(peer->watch_events[i]) > rv)
			peer_send_event(req, peer->watch_events[i]);
}

/* A backup was restored: the objects are what they are now, at versions that were before. */
static inline void peer_restore(struct peer *peer)
{
	const char *name;
	json_t *object;

	peer->rv = 10;
	while (peer->watch_events_len)
		free(peer->watch_events[--peer->watch_events_len]);
	json_object_foreach(peer->registrations, name, object)
		peer_stamp(peer, object);
	for (size_t i = 0; i < PEER_MAX_WATCHES; i++) {
		if (!peer->watches[i])
			continue;
		peer_send_event(peer->watches[i],
				"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\","
				"\"code\":410}}");
		evhttp_send_reply_end(peer->watches[i]);
		peer->watches[i] = NULL;
	}
}

/* ---- requests ---- */

static inline bool peer_is_stale(const json_t *object, const json_t *patch)
{
	return strcmp(jv_str(object, "metadata.resourceVersion"),
		      jv_str(patch, "metadata.resourceVersion")) != 0;
}

/* Each returns the status, and with 2xx the object, lent. */
static inline int peer_patch_status(struct peer *peer, const char *name, json_t *patch,
				    json_t **ret_object)
{
	json_t *object = json_object_get(peer->registrations, name);
	json_t *next;

	if (!object)
		return 404;
	if (peer_is_stale(object, patch))
		return 409;
	next = json_deep_copy(object);
	(void)json_object_update_recursive(next, patch);
	if (json_equal(next, object))
		json_decref(next);
	else
		peer_put_registration(peer, next);
	*ret_object = json_object_get(peer->registrations, name);
	return 200;
}

static inline int peer_patch_secret(struct peer *peer, const char *name, json_t *patch,
				    json_t **ret_object)
{
	json_t *secret = peer_secret(peer, name);

	if (!secret)
		return 404;
	if (peer_is_stale(secret, patch))
		return 409;
	(void)json_object_update_recursive(secret, patch);
	peer_stamp(peer, secret);
	*ret_object = secret;
	return 200;
}

/* ---- DNSEndpoints ---- */

#define PEER_ENDPOINTS "/apis/externaldns.k8s.io/v1alpha1/namespaces/default/dnsendpoints"
/* The answer where nobody knows the kind; for an object that is not there it is a Status. */
#define PEER_NO_KIND 1404

/* Takes the object over. */
static inline void peer_put_endpoint(struct peer *peer, const char *name, json_t *endpoint)
{
	CLEANUP(mem_freep) char *uid = mem_printf("endpoint-%d", peer->rv);

	peer_stamp(peer, endpoint);
	jv_set_str(jv_ensure_object(endpoint, "metadata"), "uid", uid);
	jv_set(peer->endpoints, name, endpoint);
}

/* What the operator has put there, as managedFields has it. */
static inline void peer_note_fields(json_t *endpoint, const char *operation)
{
	json_t *metadata = jv_object(endpoint, "metadata");
	json_t *entry =
		json_pack("{s:s, s:s}", "manager", "acme-dns-operator", "operation", operation);
	json_t *fields = jv_ensure_object(jv_ensure_object(entry, "fieldsV1"), "f:metadata");
	const char *key;
	json_t *ignored;

	json_object_foreach(jv_object(metadata, "labels"), key, ignored) {
		CLEANUP(mem_freep) char *field = mem_printf("f:%s", key);

		jv_set(jv_ensure_object(fields, "f:labels"), field, json_object());
	}
	if (!jv_array(metadata, "managedFields"))
		jv_set(metadata, "managedFields", json_array());
	jv_append(jv_array(metadata, "managedFields"), entry);
}

static inline void peer_drop_nulls(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value) {
		if (json_is_null(value))
			(void)json_object_del(object, key);
	}
}

static inline int peer_patch_endpoint(struct peer *peer, const char *path, json_t *patch,
				      json_t **ret_object)
{
	CLEANUP(mem_freep) char *name = mem_strdup(strrchr(path, '/') + 1);
	json_t *endpoint;

	name[strcspn(name, "?")] = '\0';
	endpoint = json_object_get(peer->endpoints, name);
	if (!endpoint)
		return 404;
	if (peer_is_stale(endpoint, patch))
		return 409;
	(void)json_object_update_recursive(endpoint, patch);
	peer_drop_nulls(jv_object(endpoint, "metadata.labels"));
	if (strstr(path, "force=true"))
		peer_note_fields(endpoint, "Apply");
	peer_stamp(peer, endpoint);
	*ret_object = endpoint;
	return 200;
}

static inline int peer_delete_endpoint(struct peer *peer, const char *path, const json_t *options,
				       json_t **ret_object)
{
	const char *name = strrchr(path, '/') + 1;
	const json_t *endpoint = json_object_get(peer->endpoints, name);

	if (!endpoint)
		return 404;
	if (strcmp(jv_str(endpoint, "metadata.uid"), jv_str(options, "preconditions.uid")) != 0 ||
	    strcmp(jv_str(endpoint, "metadata.resourceVersion"),
		   jv_str(options, "preconditions.resourceVersion")) != 0)
		return 409;
	(void)json_object_del(peer->endpoints, name);
	*ret_object = peer->events; /* any JSON will do */
	return 200;
}

static inline int peer_act_endpoint(struct peer *peer, const char *method, const char *path,
				    json_t *body, json_t **ret_object)
{
	const char *name = jv_str(body, "metadata.name");

	if (!peer->endpoints)
		return PEER_NO_KIND;
	if (strcmp(method, "PATCH") == 0)
		return peer_patch_endpoint(peer, path, body, ret_object);
	if (strcmp(method, "DELETE") == 0)
		return peer_delete_endpoint(peer, path, body, ret_object);
	if (strcmp(method, "POST") != 0) {
		*ret_object = json_object_get(peer->endpoints, strrchr(path, '/') + 1);
		return *ret_object ? 200 : 404;
	}
	if (json_object_get(peer->endpoints, name))
		return 409;
	peer_note_fields(body, "Update");
	peer_put_endpoint(peer, name, json_incref(body));
	*ret_object = body;
	return 201;
}

static inline int peer_create(struct peer *peer, const char *path, json_t *body,
			      json_t **ret_object)
{
	const char *name = jv_str(body, "metadata.name");

	*ret_object = body;
	if (strstr(path, "/events")) {
		jv_set_str(jv_ensure_object(body, "metadata"), "resourceVersion", "1");
		(void)json_array_append(peer->events, body);
		return 201;
	}
	assert_string_equal(strrchr(path, '/'), "/secrets");
	if (peer_secret(peer, name))
		return 409;
	peer_put_secret(peer, name, json_incref(body));
	return 201;
}

static inline int peer_act(struct peer *peer, const char *method, const char *path, json_t *body,
			   json_t **ret_object)
{
	const char *plural = strstr(path, "acmednsregistrations/");
	CLEANUP(mem_freep)
	char *name = plural ? mem_dup(plural + 21, strcspn(plural + 21, "/"))
			    : mem_strdup(strrchr(path, '/') + 1);

	if (strstr(path, "/dnsendpoints"))
		return peer_act_endpoint(peer, method, path, body, ret_object);
	if (strcmp(method, "POST") == 0)
		return peer_create(peer, path, body, ret_object);
	if (strcmp(method, "PATCH") == 0 && plural)
		return peer_patch_status(peer, name, body, ret_object);
	if (strcmp(method, "PATCH") == 0)
		return peer_patch_secret(peer, name, body, ret_object);
	*ret_object = json_object_get(plural			     ? peer->registrations
				      : strstr(path, "/configmaps/") ? peer->config_maps
								     : peer->secrets,
				      name);
	return *ret_object ? 200 : 404;
}

static inline struct peer_fault *peer_find_fault(struct peer *peer, const char *request)
{
	for (size_t i = 0; i < PEER_MAX_FAULTS; i++)
		if (peer->faults[i].times > 0 && strstr(request, peer->faults[i].what))
			return &peer->faults[i];
	return NULL;
}

static inline void peer_answer(struct peer *peer, struct evhttp_request *req, const char *method)
{
	const char *path = evhttp_request_get_uri(req);
	CLEANUP(mem_freep) char *request = mem_printf("%s %s", method, path);
	CLEANUP(jv_freep) json_t *body = peer_body(req);
	struct peer_fault *fault;
	json_t *object = NULL;
	int status;

	(void)buf_addf(&peer->log, "%s\n", request);
	if (peer->before)
		peer->before(peer, request);
	fault = peer_find_fault(peer, request);
	if (!fault || fault->how == PEER_LOSE)
		status = peer_act(peer, method, path, body, &object);
	if (fault) {
		fault->times--;
		if (fault->how != PEER_HANG)
			peer_reply_fault(req, fault);
	} else if (peer->keep && strstr(request, peer->keep)) {
		peer->keep = NULL;
		peer->kept = req;
		peer->kept_object = json_deep_copy(object);
	} else if (status == PEER_NO_KIND) {
		peer_reply(req, 404, "404 page not found\n");
	} else if (status >= 300) {
		peer_reply_status(req, status);
	} else {
		peer_reply_json(req, status, object);
	}
	if (peer->after)
		peer->after(peer, request);
}

/* It says what was so when the request came. */
static inline void peer_answer_kept(struct peer *peer)
{
	CLEANUP(jv_freep) json_t *object = TAKE(peer->kept_object);

	peer_reply_json(TAKE(peer->kept), 200, object);
}

static inline void peer_on_api(struct evhttp_request *req, void *ctx)
{
	struct peer *peer = ctx;
	const char *uri = evhttp_request_get_uri(req);

	switch ((int)evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
		if (strstr(uri, "watch="))
			peer_watch(peer, req);
		else if (strstr(uri, "limit="))
			peer_list(peer, req);
		else
			peer_answer(peer, req, "GET");
		break;
	case EVHTTP_REQ_POST:
		peer_answer(peer, req, "POST");
		break;
	case EVHTTP_REQ_DELETE:
		peer_answer(peer, req, "DELETE");
		break;
	default:
		peer_answer(peer, req, "PATCH");
	}
}

#endif
