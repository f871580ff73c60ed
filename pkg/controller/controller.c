/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/controller.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"
#include "url/url.h"

/* Objects in the middle of a pass at a time: bounds memory and what the API server is asked. */
#define MAX_RUNNING	  8
#define BACKOFF_MOST_MS	  300000
#define DRAIN_MS	  20000
#define DRAIN_LOOK_MS	  50
#define API_ADDRS_RETRY_S 5
#define API_ADDRS_AGAIN_S 60

const struct kube_resource controller_registrations = {API_GROUP, API_VERSION, API_PLURAL};

/* ---- the API server's own addresses ---- */

static void on_api_addrs(void *ctx, const struct resolve_answer *answer, const struct err *err)
{
	struct controller *controller = ctx;
	const struct timeval again = {.tv_sec = err ? API_ADDRS_RETRY_S : API_ADDRS_AGAIN_S};

	controller->api_call = NULL;
	if (!err) {
		free(controller->api_addrs);
		controller->api_addrs =
			mem_dup(answer->addrs, answer->len * sizeof(*answer->addrs));
		controller->api_addrs_len = answer->len;
	}
	(void)evtimer_add(controller->api_timer, &again);
}

static void resolve_api(evutil_socket_t fd, short what, void *ctx)
{
	struct controller *controller = ctx;
	struct url url;
	struct err err;

	(void)fd;
	(void)what;
	if (!controller->api_call && !url_parse(controller->options.api_server, &url, &err))
		controller->api_call =
			resolve_start(controller->resolve, url.host, on_api_addrs, controller);
}

const char *controller_refusal(void *ctx, const struct cidr_addr *addr)
{
	const struct controller *controller = ctx;
	const struct cidr_policy policy = {
		.allowed = controller->options.allowed,
		.allowed_len = controller->options.allowed_len,
		.refused = controller->api_addrs,
		.refused_len = controller->api_addrs_len,
	};

	return cidr_refusal(&policy, addr);
}

/* ---- the cache's handlers ---- */

static void *decode(const json_t *object)
{
	return api_decode(object);
}

static void free_object(void *object)
{
	api_free(object);
}

/* The record goes at the end of its next pass: a handler of the cache must not cancel requests. */
static void object_gone(struct controller *controller, const struct api_registration *object)
{
	struct record *record = record_find(controller, object->uid);

	if (!record)
		return;
	channel_wake_losers(record->channel);
	record_touch(record, mono_ms(), WORKQ_HIGH);
}

/* What is asked of the servers goes by a new reading of the Secret. */
static bool asks_the_same(const struct api_registration *a, const struct api_registration *b)
{
	return a && strcmp(a->uid, b->uid) == 0 && a->generation == b->generation &&
	       strcmp(a->probe, b->probe) == 0;
}

/* A backup was restored: our last write may never have been. */
static bool goes_back(const struct api_registration *before, const struct api_registration *after)
{
	bool comparable;

	return before &&
	       kube_rv_compare(after->resource_version, before->resource_version, &comparable) < 0;
}

static void object_changed(struct controller *controller, const struct api_registration *before,
			   const struct api_registration *after)
{
	bool first = !informer_synced(controller->informer);
	struct record *record = record_get(controller, after);

	if (goes_back(before, after))
		*record->own_rv = '\0';
	if (asks_the_same(before, after)) {
		/* A change of status asks for a look, but for no new reading of the Secret. */
		workq_add(controller->queue, record->uid, WORKQ_HIGH);
		return;
	}
	if (before)
		channel_wake_losers(record->channel);
	record_touch(record, mono_ms(), first ? WORKQ_LOW : WORKQ_HIGH);
}

static void on_changed(void *ctx, const char *namespace, const char *name, void *old_object,
		       void *new_object)
{
	struct controller *controller = ctx;
	const struct api_registration *before = old_object;
	const struct api_registration *after = new_object;

	(void)namespace;
	(void)name;
	if (!controller->leading)
		return;
	if (before && (!after || strcmp(before->uid, after->uid) != 0))
		object_gone(controller, before);
	if (after)
		object_changed(controller, before, after);
}

/* What was cached before we led. */
static void on_cached(void *ctx, const char *namespace, const char *name, void *object)
{
	struct controller *controller = ctx;

	(void)namespace;
	(void)name;
	record_touch(record_get(controller, object), mono_ms(), WORKQ_LOW);
}

static void on_synced(void *ctx)
{
	struct controller *controller = ctx;
	CLEANUP(mem_freep) char *count = mem_printf("%zu", informer_len(controller->informer));

	log_info("cache is complete", "objects", count, NULL);
}

/* ---- life ---- */

static void declare_metrics(struct controller *controller)
{
	static const double seconds[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60};
	struct metrics *metrics = controller->options.metrics;
	const struct metrics_desc reconciles = {
		.type = METRICS_COUNTER,
		.name = "controller_runtime_reconcile_total",
		.help = "Passes of the reconcile loop, by controller and result",
		.labels = {"controller", "result"},
	};
	const struct metrics_desc reconcile_time = {
		.type = METRICS_HISTOGRAM,
		.name = "controller_runtime_reconcile_time_seconds",
		.help = "Time that a pass takes on the loop",
		.labels = {"controller"},
		.buckets = seconds,
		.buckets_len = ARRAY_LEN(seconds),
	};
	const struct metrics_desc registered = {
		.type = METRICS_COUNTER,
		.name = "acmedns_registrations_total",
		.help = "POST /register calls that ended, by result",
		.labels = {"result"},
	};
	const struct metrics_desc orphaned = {
		.type = METRICS_COUNTER,
		.name = "acmedns_accounts_possibly_orphaned_total",
		.help = "Accounts that may exist at an acme-dns server unknown to anybody",
	};

	const struct metrics_desc unavailable = {
		.type = METRICS_GAUGE,
		.name = "acmedns_hosts_unavailable",
		.help = "acme-dns servers that failed several times in a row and are left alone",
	};
	const struct metrics_desc probes = {
		.type = METRICS_COUNTER,
		.name = "acmedns_credential_probes_total",
		.help = "POST /update calls that asked whether an account lives, by result",
		.labels = {"result"},
	};
	const struct metrics_desc health_probes = {
		.type = METRICS_COUNTER,
		.name = "acmedns_health_probes_total",
		.help = "GET /health of acme-dns servers that are left alone, by result",
		.labels = {"result"},
	};

	controller->metrics.reconciles = metrics_declare(metrics, &reconciles);
	controller->metrics.reconcile_time = metrics_declare(metrics, &reconcile_time);
	controller->metrics.registrations = metrics_declare(metrics, &registered);
	controller->metrics.orphaned = metrics_declare(metrics, &orphaned);
	metrics_add(controller->metrics.orphaned, NULL, 0);
	controller->metrics.unavailable = metrics_declare(metrics, &unavailable);
	controller->metrics.health_probes = metrics_declare(metrics, &health_probes);
	controller->metrics.probes = metrics_declare(metrics, &probes);
}

static void make_informer(struct controller *controller)
{
	const struct informer_kind kind = {
		.resource = controller_registrations,
		.decode = decode,
		.free = free_object,
		.changed = on_changed,
		.synced = on_synced,
		.ctx = controller,
	};
	struct informer_metrics metrics;
	const struct informer_options options = {
		.namespaces = controller->options.namespaces,
		.metrics = &metrics,
	};

	informer_metrics_declare(&metrics, controller->options.metrics);
	controller->informer =
		informer_new(controller->options.base, controller->options.kube, &kind, &options);
}

struct controller *controller_new(const struct controller_options *options, struct err *err)
{
	struct controller *controller = mem_zalloc(sizeof(*controller));
	const struct http_options http = {.user_agent = options->user_agent, .no_proxy = true};
	const struct workq_options queue = {
		.name = CONTROLLER_NAME,
		.backoff_max_ms = BACKOFF_MOST_MS,
		.max_running = MAX_RUNNING,
		.metrics = options->metrics,
	};
	const struct resolve_options resolve = {.servers = options->dns_servers};
	struct url url;

	if (url_parse(options->api_server, &url, err)) {
		(void)err_set(err, ERR_INVALID, 0, "the API server's URL %s is not a plain one",
			      options->api_server);
		free(controller);
		return NULL;
	}
	controller->options = *options;
	if (!options->drain_ms)
		controller->options.drain_ms = DRAIN_MS;
	controller->resolve = resolve_new(options->base, &resolve, err);
	if (!controller->resolve || verify_start(controller, err)) {
		resolve_free(controller->resolve);
		free(controller);
		return NULL;
	}
	rnd_uuid(controller->holder);
	controller->http = http_new(options->base, &http);
	controller->queue = workq_new(options->base, &queue, act_pass, controller);
	controller->api_timer = evtimer_new(options->base, resolve_api, controller);
	endpoint_start(controller);
	declare_metrics(controller);
	make_informer(controller);
	return controller;
}

void controller_free(struct controller *controller)
{
	struct record *record;
	struct record *next;

	if (!controller)
		return;
	informer_free(controller->informer);
	HASH_ITER(hh, controller->records, record, next) {
		act_cancel(record);
		record_free(record);
	}
	host_free_all(controller);
	resolve_cancel(controller->api_call);
	event_free(controller->api_timer);
	if (controller->drain_timer)
		event_free(controller->drain_timer);
	if (controller->probe_timer)
		event_free(controller->probe_timer);
	verify_stop(controller);
	endpoint_stop(controller);
	workq_free(controller->queue);
	http_free(controller->http);
	resolve_free(controller->resolve);
	free(controller->api_addrs);
	free(controller);
}

void controller_start(struct controller *controller)
{
	resolve_api(-1, 0, controller);
	informer_start(controller->informer);
}

void controller_lead(struct controller *controller)
{
	controller->leading = true;
	probe_start_timer(controller);
	informer_each(controller->informer, on_cached, controller);
	workq_resume(controller->queue);
}

bool controller_synced(const struct controller *controller)
{
	return informer_synced(controller->informer);
}

int64_t controller_silence_ms(const struct controller *controller)
{
	return informer_silence_ms(controller->informer);
}

/* ---- the end ---- */

static size_t count_unfinished(struct controller *controller)
{
	struct record *record;
	struct record *next;
	size_t count = 0;

	HASH_ITER(hh, controller->records, record, next) {
		count += record_is_unfinished(record);
	}
	return count;
}

static void log_given_up(struct controller *controller)
{
	struct record *record;
	struct record *next;

	HASH_ITER(hh, controller->records, record, next) {
		if (!record_is_unfinished(record))
			continue;
		log_error("gave up a registration at exit; an account may be orphaned", "namespace",
			  record->namespace, "name", record->name, NULL);
	}
}

static void on_drain_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct controller *controller = ctx;
	const struct timeval look = {.tv_usec = DRAIN_LOOK_MS * 1000};

	(void)fd;
	(void)what;
	if (count_unfinished(controller) > 0 && mono_ms() < controller->drain_until_ms) {
		(void)evtimer_add(controller->drain_timer, &look);
		return;
	}
	log_given_up(controller);
	controller->drained(controller->drained_ctx);
}

static void try_now(struct plan_failure *failure)
{
	failure->retry_ms = 0;
	failure->times = 0;
}

/* Accounts in hand get a last chance now, however long they would have waited for the next, or for
 * the calls of others. */
static void store_at_once(struct controller *controller)
{
	struct record *record;
	struct record *next;

	workq_unlimit(controller->queue);
	HASH_ITER(hh, controller->records, record, next) {
		if (!record_is_unfinished(record))
			continue;
		try_now(&record->memory->read);
		try_now(&record->memory->write);
		workq_add(controller->queue, record->uid, WORKQ_HIGH);
	}
}

void controller_drain(struct controller *controller, void (*drained)(void *ctx), void *ctx)
{
	const struct timeval now = {0};

	if (controller->draining)
		return;
	controller->draining = true;
	controller->drained = drained;
	controller->drained_ctx = ctx;
	controller->drain_until_ms = mono_ms() + controller->options.drain_ms;
	store_at_once(controller);
	controller->drain_timer = evtimer_new(controller->options.base, on_drain_timer, controller);
	(void)evtimer_add(controller->drain_timer, &now);
}
