/* SPDX-License-Identifier: Apache-2.0 */

/*
 * POST /update without a value: does the server still take an account? plan() says whose account
 * goes where; it holds one of the host's slots meanwhile.
 *
 * When the next round of an object is due is found by walking over all of them now and then: a
 * timer, or a place in the queue, for each of those at rest would cost more than the walks.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "acmedns/acmedns.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"

#define LOOKS_EACH    20 /* in an interval */
#define LOOK_LEAST_MS 20
#define LOOK_MOST_MS  5000

struct probe {
	struct record *record;
	struct acmedns_probe_call *call;
	char *ca_pem; /* NULL: the system's roots */
	struct http_tls tls;
};

/* ---- when ---- */

int64_t probe_first_ms(const struct controller *controller, const struct api_registration *object)
{
	const struct api_condition *valid = &object->status.conditions[API_CREDENTIALS_VALID];
	int64_t pause_ms =
		plan_probe_pause_ms(controller->options.probe_interval_ms, valid->reason);

	if (pause_ms == 0)
		return 0;
	return mono_ms() + 1 + (int64_t)(rnd_u64() % (uint64_t)pause_ms);
}

static void look(evutil_socket_t fd, short what, void *ctx)
{
	struct controller *controller = ctx;
	int64_t now_ms = mono_ms();
	struct record *record;
	struct record *next;

	(void)fd;
	(void)what;
	HASH_ITER(hh, controller->records, record, next) {
		if (record->probe_ms == 0 || record->probe_ms > now_ms)
			continue;
		record->probe_ms = 0;
		plan_fold_probe_due(record_memory(record));
		record_rest(record);
		record_touch(record, now_ms, WORKQ_LOW);
	}
}

void probe_start_timer(struct controller *controller)
{
	int64_t ms = controller->options.probe_interval_ms / LOOKS_EACH;
	struct timeval each;

	if (controller->options.probe_interval_ms == 0)
		return;
	if (ms < LOOK_LEAST_MS)
		ms = LOOK_LEAST_MS;
	if (ms > LOOK_MOST_MS)
		ms = LOOK_MOST_MS;
	each = mono_timeval(ms);
	controller->probe_timer =
		event_new(controller->options.base, -1, EV_PERSIST, look, controller);
	(void)event_add(controller->probe_timer, &each);
}

void probe_end_round(struct record *record, const struct plan_view *view)
{
	int64_t pause_ms = plan_fold_round(record_memory(record), view);

	record->probe_ms = view->probe_interval_ms ? mono_ms() + pause_ms : 0;
	host_settle(record);
	record_act_ended(record);
}

/* ---- asking ---- */

static void probe_free(struct probe *probe)
{
	free(probe->ca_pem);
	free(probe);
}

static void finish(struct record *record, const struct acmedns_probe_result *result)
{
	static const char *const results[] = {
		[ACMEDNS_PROBE_ALIVE] = "alive",
		[ACMEDNS_PROBE_REJECTED] = "rejected",
		[ACMEDNS_PROBE_NOT_ACMEDNS] = "not_acmedns",
		[ACMEDNS_PROBE_UNKNOWN] = "unknown",
		[ACMEDNS_PROBE_UNSUPPORTED] = "unsupported",
	};
	const char *const values[] = {results[result->verdict]};
	struct plan_view view;

	metrics_add(record->controller->metrics.probes, values, 1);
	log_debug("an account was asked for", "namespace", record->namespace, "name", record->name,
		  "result", result->message, NULL);
	record_view(record, &view);
	plan_fold_probed(record_memory(record), &view, result);
	record_rest(record);
	host_settle(record);
}

static void on_answer(void *ctx, const struct acmedns_probe_result *result)
{
	struct probe *probe = ctx;
	struct record *record = probe->record;

	record->probe = NULL;
	finish(record, result);
	probe_free(probe);
	workq_add(record->controller->queue, record->uid, WORKQ_HIGH);
}

/* Of registrationAuth it is the CA alone that counts here: the login is for /register. */
static const struct http_tls *trust(struct probe *probe, const struct api_registration *object)
{
	const struct auth *auth =
		plan_probe_trusts(&object->spec) ? reference_auth(probe->record, object) : NULL;

	probe->ca_pem = reference_copy_ca(auth, &probe->tls);
	return probe->ca_pem ? &probe->tls : NULL;
}

void probe_start(struct record *record, const struct plan_view *view, size_t domain)
{
	struct controller *controller = record->controller;
	const struct api_spec *spec = &view->object->spec;
	struct probe *probe = mem_zalloc(sizeof(*probe));
	struct ledger_credentials credentials;
	struct acmedns_probe_result refusal;

	assert(strcmp(record->host->url, spec->host) == 0);
	probe->record = record;
	ledger_look_credentials(view->secret.ledger, view->secret.key, spec->domains[domain],
				&credentials);
	plan_fold_probing(record_memory(record), view, domain);
	host_take_slots(record, 1);
	probe->call =
		acmedns_probe_start(controller->http,
				    &(struct acmedns_probe){
					    .host = spec->host,
					    .pin = host_pin(record->host),
					    .proxy = record->host->proxy,
					    .tls = trust(probe, view->object),
					    .username = credentials.username,
					    .password = credentials.password,
					    .subdomain = credentials.subdomain,
					    .timeout_ms = controller->options.register_timeout_ms,
					    .on_done = on_answer,
					    .ctx = probe,
				    },
				    &refusal);
	if (probe->call) {
		record->probe = probe;
	} else {
		probe_free(probe);
		finish(record, &refusal);
	}
	record_act_ended(record);
}

void probe_cancel(struct record *record)
{
	struct probe *probe = TAKE(record->probe);

	if (!probe)
		return;
	acmedns_probe_cancel(probe->call);
	probe_free(probe);
}
