/* SPDX-License-Identifier: Apache-2.0 */

/* Wires the packages together, runs the loop, and ends in the right order: POSTs and their stores,
 * events, the Lease, the process. */

#include <curl/curl.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller.h"
#include "events/events.h"
#include "flags.h"
#include "httpd/httpd.h"
#include "jv/jv.h"
#include "kube/kube.h"
#include "lease/lease.h"
#include "metrics/metrics.h"

#define EXIT_USAGE	  2
#define EVENTS_LAST_MS	  2000
#define TURN_MAX_S	  0.1
#define TIDY_EVERY_S	  3
#define TIDY_REST_S	  0.02	 /* CPU used since the last look, at most */
#define TIDY_WORK_S	  0.05	 /* CPU used since memory was last tidied, at least */
#define WATCH_MAX_SILENCE 900000 /* longer than any watch lives: something is deaf */

struct app {
	struct flags flags;
	char *user_agent;
	struct event_base *base;
	struct metrics *metrics;
	struct kube_config *config;
	struct kube *kube;
	struct kube *lease_kube; /* of its own, so that no stalled stream costs the Lease */
	struct events *events;
	struct controller *controller;
	struct lease *lease;
	struct httpd *probes;
	struct httpd *metrics_server;
	struct event *signals[2];
	struct event *last_timer;
	int64_t last_until_ms;
	struct event *tidy_timer;
	double tidy_seen_s; /* CPU used, when last looked at */
	double tidied_s;    /* and when last tidied */
	bool signalled;
	int exit_code;
};

/* ---- the end ---- */

static void on_released(void *ctx)
{
	struct app *app = ctx;

	log_info("ended", NULL);
	(void)event_base_loopbreak(app->base);
}

/* Events are best effort: they get a moment, not more. */
static void on_last_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct app *app = ctx;
	const struct timeval look = {.tv_usec = 20000};

	(void)fd;
	(void)what;
	if (!events_idle(app->events) && mono_ms() < app->last_until_ms) {
		(void)evtimer_add(app->last_timer, &look);
		return;
	}
	if (app->lease)
		lease_release(app->lease, on_released, app);
	else
		on_released(app);
}

static void on_drained(void *ctx)
{
	struct app *app = ctx;
	const struct timeval now = {0};

	app->last_until_ms = mono_ms() + EVENTS_LAST_MS;
	app->last_timer = evtimer_new(app->base, on_last_timer, app);
	(void)evtimer_add(app->last_timer, &now);
}

static void end(struct app *app, int exit_code)
{
	/* A lost lease stays the reason, whatever comes after it. */
	if (app->exit_code == EXIT_SUCCESS)
		app->exit_code = exit_code;
	controller_drain(app->controller, on_drained, app);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
	struct app *app = ctx;

	(void)what;
	if (app->signalled) {
		log_warn("second signal, ending at once", NULL);
		_exit(EXIT_FAILURE);
	}
	app->signalled = true;
	log_info("ending", "signal", fd == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
	end(app, EXIT_SUCCESS);
}

/* ---- leading ---- */

static void on_leading(void *ctx)
{
	struct app *app = ctx;

	controller_lead(app->controller);
}

static void on_lost(void *ctx)
{
	struct app *app = ctx;

	log_error("the Lease is lost; ending", NULL);
	end(app, EXIT_FAILURE);
}

static bool is_leader(void *ctx)
{
	const struct app *app = ctx;

	return !app->lease || lease_valid(app->lease);
}

static int start_lease(struct app *app, struct err *err)
{
	char host[65] = "localhost";
	char uuid[RND_UUID_LEN];
	CLEANUP(mem_freep) char *identity = NULL;

	if (!app->flags.leader_elect) {
		on_leading(app);
		return 0;
	}
	(void)gethostname(host, sizeof(host) - 1);
	rnd_uuid(uuid);
	identity = mem_printf("%s_%s", host, uuid);
	const struct lease_options options = {
		.namespace = app->flags.lease_namespace ? app->flags.lease_namespace
							: kube_config_namespace(app->config),
		.name = app->flags.lease_id,
		.identity = identity,
		.lease_duration_ms = app->flags.lease_duration_ms,
		.renew_deadline_ms = app->flags.renew_deadline_ms,
		.retry_period_ms = app->flags.retry_period_ms,
		.on_started = on_leading,
		.on_lost = on_lost,
		.ctx = app,
		.metrics = app->metrics,
	};
	app->lease = lease_new(app->base, app->lease_kube, &options, err);
	if (!app->lease)
		return err_wrap(err, "leader election");
	lease_start(app->lease);
	return 0;
}

/* ---- probes and metrics ---- */

static bool check_ping(void *ctx)
{
	(void)ctx;
	return true;
}

static bool check_watch(void *ctx)
{
	const struct app *app = ctx;

	return !controller_synced(app->controller) ||
	       controller_silence_ms(app->controller) < WATCH_MAX_SILENCE;
}

static bool check_synced(void *ctx)
{
	const struct app *app = ctx;

	return controller_synced(app->controller);
}

static int write_metrics(void *ctx, struct buf *body)
{
	const struct app *app = ctx;

	return metrics_write(app->metrics, body) ? 500 : 200;
}

static bool is_on(const char *address)
{
	return strcmp(address, "0") != 0;
}

static int start_servers(struct app *app, struct err *err)
{
	if (is_on(app->flags.probe_address)) {
		app->probes = httpd_new(app->base, app->flags.probe_address, err);
		if (!app->probes)
			return err_wrap(err, "--health-probe-bind-address");
		httpd_check(app->probes, "/healthz", "ping", check_ping, app);
		httpd_check(app->probes, "/healthz", "watch", check_watch, app);
		httpd_check(app->probes, "/readyz", "informer-sync", check_synced, app);
	}
	if (is_on(app->flags.metrics_address)) {
		app->metrics_server = httpd_new(app->base, app->flags.metrics_address, err);
		if (!app->metrics_server)
			return err_wrap(err, "--metrics-bind-address");
		httpd_page(app->metrics_server, "/metrics",
			   "text/plain; version=0.0.4; charset=utf-8", write_metrics, app);
	}
	return 0;
}

/* ---- wiring ---- */

static char *make_user_agent(void)
{
	struct utsname name;

	return uname(&name) ? mem_strdup("acme-dns-operator/" VERSION)
			    : mem_printf("acme-dns-operator/%s (linux/%s)", VERSION, name.machine);
}

static int start_clients(struct app *app, struct err *err)
{
	struct kube_options options = {.user_agent = app->user_agent, .http1 = app->flags.http1};
	CLEANUP(mem_freep) char *lease_agent = mem_printf("%s leader-election", app->user_agent);

	app->config = kube_config_load(app->flags.kubeconfig, NULL, err);
	if (!app->config)
		return err_wrap(err, "finding the API server (--kubeconfig)");
	options.requests_total = kube_declare_requests_total(app->metrics);
	app->kube = kube_new(app->base, app->config, &options);
	options.user_agent = lease_agent;
	app->lease_kube = kube_new(app->base, app->config, &options);
	return 0;
}

static int start_controller(struct app *app, struct err *err)
{
	char instance[65] = "localhost";

	(void)gethostname(instance, sizeof(instance) - 1);
	const struct events_options events = {
		.controller = "acme-dns-operator.github.io/acme-dns-operator",
		.instance = instance,
	};
	const struct controller_options options = {
		.base = app->base,
		.kube = app->kube,
		.events = app->events = events_new(app->base, app->kube, &events),
		.metrics = app->metrics,
		.user_agent = app->user_agent,
		.namespaces = app->flags.namespaces[0] ? app->flags.namespaces : NULL,
		.dns_resolvers = app->flags.dns_resolvers,
		.dns_authoritative = app->flags.dns_authoritative,
		.api_server = kube_config_server(app->config),
		.allowed = app->flags.allowed,
		.allowed_len = app->flags.allowed_len,
		.allowed_hosts = app->flags.allowed_hosts,
		.allowed_hosts_len = app->flags.allowed_hosts_len,
		.require_https = app->flags.require_https,
		.endpoint_domains = app->flags.endpoint_domains,
		.endpoint_domains_len = app->flags.endpoint_domains_len,
		.register_timeout_ms = app->flags.register_timeout_ms,
		.lost_account_grace_ms = app->flags.lost_account_grace_ms,
		.secret_resync_ms = app->flags.secret_resync_ms,
		.probe_interval_ms = app->flags.probe_interval_ms,
		.is_leader = is_leader,
		.ctx = app,
	};

	app->controller = controller_new(&options, err);
	return app->controller ? 0 : -1;
}

static void watch_signals(struct app *app)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		app->signals[i] = evsignal_new(app->base, numbers[i], on_signal, app);
		(void)evsignal_add(app->signals[i], NULL);
	}
}

static int start(struct app *app, struct err *err)
{
	app->user_agent = make_user_agent();
	app->metrics = metrics_new();
	if (start_clients(app, err) || start_controller(app, err) || start_servers(app, err))
		return -1;
	watch_signals(app);
	log_info("starting", "version", VERSION, "server", kube_config_server(app->config), NULL);
	controller_start(app->controller);
	return start_lease(app, err);
}

static void app_done(struct app *app)
{
	size_t i;

	lease_free(app->lease);
	controller_free(app->controller);
	events_free(app->events);
	httpd_free(app->probes);
	httpd_free(app->metrics_server);
	kube_free(app->kube);
	kube_free(app->lease_kube);
	kube_config_free(app->config);
	metrics_free(app->metrics);
	for (i = 0; i < ARRAY_LEN(app->signals); i++)
		if (app->signals[i])
			event_free(app->signals[i]);
	if (app->last_timer)
		event_free(app->last_timer);
	if (app->tidy_timer)
		event_free(app->tidy_timer);
	if (app->base)
		event_base_free(app->base);
	flags_done(&app->flags);
	free(app->user_agent);
}

/* ---- the loop ---- */

static double cpu_seconds(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Work was done and has come to rest: the holes that it left go back to the kernel. */
static void on_tidy(evutil_socket_t fd, short what, void *ctx)
{
	struct app *app = ctx;
	double now = cpu_seconds();

	(void)fd;
	(void)what;
	if (now - app->tidy_seen_s < TIDY_REST_S && now - app->tidied_s > TIDY_WORK_S) {
		(void)malloc_trim(0);
		app->tidied_s = now;
	}
	app->tidy_seen_s = now;
}

static void start_tidying(struct app *app)
{
	const struct timeval every = {.tv_sec = TIDY_EVERY_S};

	app->tidy_timer = event_new(app->base, -1, EV_PERSIST, on_tidy, app);
	(void)event_add(app->tidy_timer, &every);
}

static struct metrics_family *declare_turns(struct app *app)
{
	static const double seconds[] = {.0001, .0005, .001, .005, .01, .025, .05, .1, .25, .5, 1};
	const struct metrics_desc turns = {
		.type = METRICS_HISTOGRAM,
		.name = "event_loop_turn_cpu_seconds",
		.help = "CPU time of one turn of the event loop; nothing in a turn waits",
		.buckets = seconds,
		.buckets_len = ARRAY_LEN(seconds),
	};

	return metrics_declare(app->metrics, &turns);
}

/* The CPU's clock, not the wall's: a turn begins with the wait for something to do. */
static void loop(struct app *app)
{
	struct metrics_family *turns = declare_turns(app);
	double before = cpu_seconds();

	while (!event_base_got_break(app->base) && event_base_loop(app->base, EVLOOP_ONCE) == 0) {
		double now = cpu_seconds();

		metrics_observe(turns, NULL, now - before);
		if (now - before > TURN_MAX_S) {
			CLEANUP(mem_freep) char *ms = mem_printf("%.0f", (now - before) * 1000);

			log_warn("a turn of the loop took long", "ms", ms, NULL);
		}
		before = now;
	}
}

/* What is large lives shortly here: pages of a list, memories and edits in use. Given a mapping of
 * its own it leaves no holes among what stays. */
static void tune_malloc(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 16 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

/* The soft limit is often 1,024, for the sake of select(), which nothing here uses. The requests to
 * many tenants' servers shall not keep the Lease from a socket. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct app *app)
{
	struct err err;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(app->base = event_base_new())) {
		(void)fprintf(stderr, "acme-dns-operator: the event loop cannot be made\n");
		return EXIT_FAILURE;
	}
	if (start(app, &err)) {
		(void)fprintf(stderr, "acme-dns-operator: %s\n", err.msg);
		return EXIT_FAILURE;
	}
	start_tidying(app);
	loop(app);
	return app->exit_code;
}

int main(int argc, char **argv)
{
	struct app app = {0};
	struct err err;
	int exit_code = EXIT_SUCCESS;

	jv_setup();
	if (flags_parse(argc, argv, &app.flags, &err)) {
		(void)fprintf(stderr, "acme-dns-operator: %s\n", err.msg);
		flags_done(&app.flags);
		return EXIT_USAGE;
	}
	tune_malloc();
	raise_file_limit();
	log_setup(app.flags.log_format, app.flags.verbosity);
	if (app.flags.help)
		flags_print_help("acme-dns-operator");
	else if (app.flags.version)
		(void)printf("acme-dns-operator %s\n", VERSION);
	else
		exit_code = run(&app);
	app_done(&app);
	curl_global_cleanup();
	return exit_code;
}
