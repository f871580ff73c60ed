/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_TEST_WORLD_H
#define CONTROLLER_TEST_WORLD_H

/* For the tests of this package: a controller with its peers in one loop, and words to say what is
 * given and what is expected. Objects are in the namespace "default", and their CNAMEs are not
 * looked up, unless a word says otherwise.
 */

#include <arpa/inet.h>
#include <signal.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/controller_peer.h"

#define WORLD_KEY     "acmedns.json"
#define WORLD_TIMEOUT 5000
#define CREATE_SECRET "POST /api/v1/namespaces/default/secrets"
#define NO_PAGE	      "404 page not found" /* by whatever stands before the API server */
#define PATCH_SECRET  "PATCH /api/v1/namespaces/default/secrets/"
#define GET_SECRET    "GET /api/v1/namespaces/default/secrets/"
#define PATCH_STATUS  "PATCH " PEER_REGISTRATION PEER_NAMESPACED
#define GET_OBJECT    "GET " PEER_REGISTRATION PEER_NAMESPACED

#define CASE(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)

struct world {
	struct event_base *base;
	struct peer peer;
	struct kube_config *config;
	struct kube *kube;
	struct events *events;
	struct metrics *metrics;
	struct cidr allowed;
	struct url_glob allowed_host;
	struct controller_options options;
	struct controller *controller;
	bool leading;
	bool drained;
	int uids;
};

/* Runs the loop until something is so; alarm() ends what is never so. */
#define UNTIL(w, condition)                                                                        \
	while (!(condition))                                                                       \
	assert_int_equal(event_base_loop((w)->base, EVLOOP_ONCE), 0)

/* ---- life ---- */

static inline bool world_is_leader(void *ctx)
{
	return ((struct world *)ctx)->leading;
}

static inline void world_on_drained(void *ctx)
{
	((struct world *)ctx)->drained = true;
}

static inline struct kube_config *world_config(int port)
{
	CLEANUP(mem_freep) char *path = mem_strdup("/tmp/kubeconfig-XXXXXX");
	struct kube_config *config;
	int fd = mkstemp(path);
	struct err err;

	assert_true(dprintf(fd,
			    "current-context: c\n"
			    "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
			    "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:%d'}}]\n"
			    "users: [{name: u, user: {}}]\n",
			    port) > 0);
	assert_int_equal(close(fd), 0);
	config = kube_config_load(path, NULL, &err);
	(void)unlink(path);
	assert_non_null(config);
	return config;
}

static inline int world_set_up(void **state)
{
	static const char *const proxies[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
					      "https_proxy"};
	struct world *w = mem_zalloc(sizeof(*w));
	const struct kube_options kube = {.user_agent = "controller-test", .http1 = true};
	const struct events_options events = {.controller = "test/test", .instance = "test"};
	struct err err;

	(void)alarm(30);
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
		assert_int_equal(unsetenv(proxies[i]), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	peer_start(&w->peer, w->base);
	w->config = world_config(w->peer.api_port);
	w->kube = kube_new(w->base, w->config, &kube);
	w->events = events_new(w->base, w->kube, &events);
	w->metrics = metrics_new();
	assert_int_equal(cidr_parse("127.0.0.2/32", &w->allowed, &err), 0);
	w->leading = true;
	w->options = (struct controller_options){
		.base = w->base,
		.kube = w->kube,
		.events = w->events,
		.metrics = w->metrics,
		.user_agent = "controller-test",
		.dns_resolvers = "127.0.0.1:1",
		.api_server = kube_config_server(w->config),
		.allowed = &w->allowed,
		.allowed_len = 1,
		.register_timeout_ms = WORLD_TIMEOUT,
		.lost_account_grace_ms = 60000,
		.secret_resync_ms = 600000,
		.is_leader = world_is_leader,
		.ctx = w,
	};
	*state = w;
	return 0;
}

static inline void world_start(struct world *w)
{
	struct err err;

	w->controller = controller_new(&w->options, &err);
	assert_non_null(w->controller);
	controller_start(w->controller);
	controller_lead(w->controller);
	UNTIL(w, controller_synced(w->controller));
}

static inline int world_tear_down(void **state)
{
	struct world *w = *state;

	controller_free(w->controller);
	events_free(w->events);
	kube_free(w->kube);
	kube_config_free(w->config);
	peer_stop(&w->peer);
	metrics_free(w->metrics);
	event_base_free(w->base);
	free(w);
	return 0;
}

/* ---- given ---- */

static inline json_t *new_object(struct world *w, const char *name, const char *secret,
				 const char *domains, const char *host)
{
	CLEANUP(mem_freep) char *uid = mem_printf("uid-%d", ++w->uids);
	json_t *object = json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:s, s:i}, s:{s:s, s:{s:s, s:s}, s:o, s:{s:b}}, s:{s:i}}",
		"apiVersion", "acme-dns-operator.github.io/v1alpha1", "kind", "AcmeDnsRegistration",
		"metadata", "namespace", "default", "name", name, "uid", uid, "generation", 1,
		"spec", "host", host, "accountSecretRef", "name", secret, "key", WORLD_KEY,
		"domains", json_loads(domains, 0, NULL), "cname", "verify", 0, "status",
		"observedGeneration", -1);

	assert_non_null(object);
	return object;
}

/* domains: NULL-terminated JSON texts in one array, like ["a.example.org"]. */
static inline void given_at(struct world *w, const char *name, const char *secret,
			    const char *domains, const char *host)
{
	peer_put_registration(&w->peer, new_object(w, name, secret, domains, host));
}

/* In a namespace, with a Secret of its name. The peer tells objects apart by their names alone. */
static inline void given_in(struct world *w, const char *namespace, const char *name,
			    const char *domains)
{
	CLEANUP(mem_freep) char *host = mem_printf("http://127.0.0.2:%d", w->peer.acme_port);
	json_t *object = new_object(w, name, name, domains, host);

	jv_set_str(json_object_get(object, "metadata"), "namespace", namespace);
	peer_put_registration(&w->peer, object);
}

static inline void given(struct world *w, const char *name, const char *secret, const char *domains)
{
	CLEANUP(mem_freep) char *host = mem_printf("http://127.0.0.2:%d", w->peer.acme_port);

	given_at(w, name, secret, domains, host);
}

static inline void given_spec(struct world *w, const char *name, const char *field, json_t *value)
{
	json_t *object = json_deep_copy(json_object_get(w->peer.registrations, name));
	json_t *metadata = json_object_get(object, "metadata");

	jv_set(json_object_get(object, "spec"), field, value);
	jv_set_int(metadata, "generation", jv_int(metadata, "generation", 0) + 1);
	peer_put_registration(&w->peer, object);
}

/* By a user; finalizers hold it. */
static inline void given_deleted(struct world *w, const char *name)
{
	json_t *object = json_deep_copy(json_object_get(w->peer.registrations, name));

	jv_set_str(jv_object(object, "metadata"), "deletionTimestamp", "2026-01-01T00:00:00Z");
	peer_put_registration(&w->peer, object);
}

/* text NULL: without data. */
static inline void given_secret(struct world *w, const char *name, const char *text)
{
	json_t *secret = json_pack("{s:s, s:s, s:{s:s, s:s}}", "kind", "Secret", "type", "Opaque",
				   "metadata", "namespace", "default", "name", name);

	if (text) {
		CLEANUP(mem_freep) char *base64 = enc_base64(text, strlen(text));

		jv_set_str(jv_ensure_object(secret, "data"), WORLD_KEY, base64);
	}
	peer_put_secret(&w->peer, name, secret);
}

static inline void given_fault(struct world *w, const char *what, int status, int times)
{
	peer_fail(&w->peer, &(struct peer_fault){.what = what, .status = status, .times = times});
}

static inline void given_lost(struct world *w, const char *what, int status, int times)
{
	peer_fail(&w->peer,
		  &(struct peer_fault){
			  .what = what, .status = status, .times = times, .how = PEER_LOSE});
}

/* ---- expected ---- */

static inline const json_t *condition(struct world *w, const char *name, const char *type)
{
	const json_t *object = json_object_get(w->peer.registrations, name);
	const json_t *at;
	size_t i;

	json_array_foreach(jv_array(object, "status.conditions"), i, at)
		if (strcmp(jv_str(at, "type"), type) == 0)
			return at;
	return NULL;
}

static inline bool is_ready(struct world *w, const char *name)
{
	return strcmp(jv_str(condition(w, name, "Ready"), "status"), "True") == 0;
}

static inline bool has_reason(struct world *w, const char *name, const char *type,
			      const char *reason)
{
	return strcmp(jv_str(condition(w, name, type), "reason"), reason) == 0;
}

static inline bool has_finalizers(struct world *w, const char *name, size_t len)
{
	const json_t *object = json_object_get(w->peer.registrations, name);

	return json_array_size(jv_array(object, "metadata.finalizers")) == len;
}

/* A document in the Secret, owned by the caller; NULL when it is not there. */
static inline json_t *document(struct world *w, const char *secret, const char *key)
{
	const json_t *data = jv_object(peer_secret(&w->peer, secret), "data");
	const char *base64 = json_string_value(json_object_get(data, key));
	CLEANUP(mem_freep) char *text = NULL;
	struct err err;
	size_t len = 0;

	if (!base64)
		return NULL;
	text = enc_unbase64(base64, strlen(base64), &len, &err);
	assert_non_null(text);
	return json_loadb(text, len, 0, NULL);
}

static inline size_t count_accounts(struct world *w, const char *secret)
{
	CLEANUP(jv_freep) json_t *accounts = document(w, secret, WORLD_KEY);

	return json_object_size(accounts);
}

static inline bool has_account(struct world *w, const char *secret, const char *domain)
{
	CLEANUP(jv_freep) json_t *accounts = document(w, secret, WORLD_KEY);

	return json_object_get(accounts, domain);
}

static inline bool has_metric(struct world *w, const char *line)
{
	CLEANUP(buf_donep) struct buf text = BUF_INIT(PEER_MAX_TEXT);

	assert_int_equal(metrics_write(w->metrics, &text), 0);
	return strstr(buf_str(&text), line);
}

/* Of the first event of that reason; "": there is none. */
static inline const char *event_action(struct world *w, const char *reason)
{
	const json_t *event;
	size_t i;

	json_array_foreach(w->peer.events, i, event)
		if (strcmp(jv_str(event, "reason"), reason) == 0)
			return jv_str(event, "action");
	return "";
}

static inline bool has_event(struct world *w, const char *reason)
{
	return *event_action(w, reason);
}

#endif
