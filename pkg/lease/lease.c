/* SPDX-License-Identifier: Apache-2.0 */
#include "lease/lease.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "jv/jv.h"
#include "lease/lease_impl.h"

#define CANDIDATE_JITTER_PERCENT 120

static const struct kube_resource leases = {"coordination.k8s.io", "v1", "leases"};

/* A candidate reads the Lease each round and writes it when it is free; a leader writes at once
 * what it knows, with its resourceVersion. Either way one request runs at a time, and a conflict
 * leads to one more reading and writing within the round. */
struct lease {
	struct kube *kube;
	struct lease_options options; /* the texts are ours */
	struct event *round;	      /* when the next begins */
	struct event *deadline;	      /* while leading: the end of what the last renewal gave us */
	struct kube_call *call;
	bool unsure;	    /* of what became of a write: the Lease may be ours */
	bool conflicted;    /* in this round */
	bool failing;	    /* said so in the log */
	json_t *object;	    /* as the server last sent it */
	int64_t seen_ms;    /* since when its record is as it is, by our clock */
	int64_t sent_ms;    /* when the call was sent */
	int64_t renewed_ms; /* when the last successful write was sent */
	bool leading;
	void (*released)(void *ctx); /* giving it up, once set */
	void *released_ctx;
	int64_t release_until_ms;
	struct metrics_family *status;
};

static void read_lease(struct lease *lease);

static void add_timer(struct event *event, int64_t delay_ms)
{
	const struct timeval delay = mono_timeval(delay_ms);

	evtimer_add(event, &delay);
}

static int64_t request_timeout_ms(const struct lease *lease)
{
	int64_t half_ms = lease->options.renew_deadline_ms / 2;
	int64_t timeout_ms = half_ms > 1000 ? half_ms : 1000;
	int64_t left_ms = lease->release_until_ms - mono_ms();

	if (!lease->released || left_ms > timeout_ms)
		return timeout_ms;
	return left_ms > 0 ? left_ms : 1;
}

/* body is stolen; NULL to read. */
static void start_call(struct lease *lease, const char *verb, json_t *body, kube_done_fn *on_done)
{
	const struct kube_request req = {
		.verb = verb,
		.resource = &leases,
		.namespace = lease->options.namespace,
		.name = strcmp(verb, "create") == 0 ? NULL : lease->options.name,
		.body = body,
		.timeout_ms = request_timeout_ms(lease),
		.on_done = on_done,
		.ctx = lease,
	};

	lease->sent_ms = mono_ms();
	if (body)
		lease->unsure = true;
	lease->call = kube_start(lease->kube, &req);
	json_decref(body);
}

/* What the last write gave us is not over. */
static bool is_fresh(const struct lease *lease)
{
	return mono_ms() - lease->renewed_ms < lease->options.renew_deadline_ms;
}

static void set_leading(struct lease *lease, bool leading)
{
	const char *const labels[] = {lease->options.name};

	lease->leading = leading;
	metrics_set(lease->status, labels, leading);
}

/* ---- ends ---- */

static void stop(struct lease *lease)
{
	kube_cancel(TAKE(lease->call));
	event_del(lease->round);
	event_del(lease->deadline);
	set_leading(lease, false);
}

static void lose(struct lease *lease)
{
	stop(lease);
	lease->options.on_lost(lease->options.ctx);
}

/* Asked first by everything that the loop calls: after a pause of the process the loss must not
 * wait behind a late answer. */
static bool lost_meanwhile(struct lease *lease)
{
	if (!lease->leading || lease_valid(lease))
		return false;
	lose(lease);
	return true;
}

/* ---- rounds ---- */

static void end_round(struct lease *lease)
{
	int64_t retry_ms = lease->options.retry_period_ms;

	add_timer(lease->round,
		  lease->leading ? retry_ms : rnd_jitter_ms(retry_ms, CANDIDATE_JITTER_PERCENT));
}

static void fail_round(struct lease *lease, const struct err *err)
{
	if (!lease->failing)
		log_warn("lease request failed", "lease", lease->options.name, "err", err->msg,
			 NULL);
	lease->failing = true;
	end_round(lease);
}

static void observe(struct lease *lease, json_t *object)
{
	if (!lease->object || !lease_record_same(lease->object, object))
		lease->seen_ms = mono_ms();
	json_decref(lease->object);
	lease->object = json_incref(object);
	lease->unsure = false;
	lease->failing = false;
}

static void start_deadline(struct lease *lease)
{
	int64_t left_ms = lease->renewed_ms + lease->options.renew_deadline_ms - mono_ms();

	add_timer(lease->deadline, left_ms > 0 ? left_ms : 0);
}

static void renewed(struct lease *lease)
{
	bool was_leading = lease->leading;

	lease->renewed_ms = lease->sent_ms;
	if (is_fresh(lease))
		set_leading(lease, true);
	start_deadline(lease);
	end_round(lease);
	if (was_leading || !lease->leading)
		return;
	log_info("became the leader", "lease", lease->options.name, "identity",
		 lease->options.identity, NULL);
	lease->options.on_started(lease->options.ctx);
}

static void on_written(void *ctx, json_t *object, const struct err *err)
{
	struct lease *lease = ctx;

	lease->call = NULL;
	if (lost_meanwhile(lease))
		return;
	if (!err) {
		observe(lease, object);
		renewed(lease);
	} else if ((err->kind == ERR_CONFLICT || err->kind == ERR_NOT_FOUND) &&
		   !lease->conflicted) {
		lease->conflicted = true;
		read_lease(lease);
	} else {
		fail_round(lease, err);
	}
}

static void claim(struct lease *lease)
{
	start_call(lease, "update",
		   lease_record_claimed(lease->object, &lease->options, mono_wall_us()),
		   on_written);
}

static bool is_ours_to_take(const struct lease *lease)
{
	return lease_record_holds(lease->object, lease->options.identity) ||
	       lease_record_is_free(lease->object, mono_ms() - lease->seen_ms,
				    lease->options.lease_duration_ms);
}

static void create(struct lease *lease)
{
	start_call(lease, "create", lease_record_new(&lease->options, mono_wall_us()), on_written);
}

static void on_read(void *ctx, json_t *object, const struct err *err)
{
	struct lease *lease = ctx;

	lease->call = NULL;
	if (lost_meanwhile(lease))
		return;
	if (err && err->kind == ERR_NOT_FOUND) {
		create(lease);
		return;
	}
	if (err) {
		fail_round(lease, err);
		return;
	}
	observe(lease, object);
	if (is_ours_to_take(lease))
		claim(lease);
	else if (lease->leading)
		lose(lease);
	else
		end_round(lease);
}

static void read_lease(struct lease *lease)
{
	start_call(lease, "get", NULL, on_read);
}

/* ---- giving it up ---- */

static void on_release_read(void *ctx, json_t *object, const struct err *err);

static void finish_release(struct lease *lease)
{
	lease->released(lease->released_ctx);
}

static void read_for_release(struct lease *lease)
{
	if (mono_ms() < lease->release_until_ms)
		start_call(lease, "get", NULL, on_release_read);
	else
		finish_release(lease);
}

static void on_given_up(void *ctx, json_t *object, const struct err *err)
{
	struct lease *lease = ctx;

	(void)object;
	lease->call = NULL;
	if (!err || err->kind == ERR_NOT_FOUND)
		finish_release(lease);
	else if (err->kind == ERR_CONFLICT)
		read_for_release(lease);
	else
		fail_round(lease, err);
}

static void give_up(struct lease *lease)
{
	start_call(lease, "update", lease_record_released(lease->object, mono_wall_us()),
		   on_given_up);
}

static void on_release_read(void *ctx, json_t *object, const struct err *err)
{
	struct lease *lease = ctx;

	lease->call = NULL;
	if (err && err->kind != ERR_NOT_FOUND) {
		fail_round(lease, err);
		return;
	}
	if (!err)
		observe(lease, object);
	if (!err && lease_record_holds(object, lease->options.identity))
		give_up(lease);
	else
		finish_release(lease);
}

void lease_release(struct lease *lease, void (*released)(void *ctx), void *ctx)
{
	bool leading = lease->leading;

	assert(!lease->released);
	stop(lease);
	lease->released = released;
	lease->released_ctx = ctx;
	lease->release_until_ms = mono_ms() + lease->options.renew_deadline_ms;
	if (lease->unsure)
		read_for_release(lease);
	else if (leading)
		give_up(lease);
	else
		finish_release(lease);
}

/* ---- timers ---- */

static void on_round(evutil_socket_t fd, short what, void *ctx)
{
	struct lease *lease = ctx;

	(void)fd;
	(void)what;
	if (lost_meanwhile(lease))
		return;
	lease->conflicted = false;
	if (lease->released)
		read_for_release(lease);
	else if (lease->leading)
		claim(lease);
	else
		read_lease(lease);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct lease *lease = ctx;

	(void)fd;
	(void)what;
	if (!lost_meanwhile(lease) && lease->leading)
		start_deadline(lease);
}

/* ---- from outside ---- */

static struct metrics_family *declare_status(struct metrics *metrics, const char *name)
{
	const struct metrics_desc desc = {
		.type = METRICS_GAUGE,
		.name = "leader_election_master_status",
		.help = "Whether this process leads by the lease of this name.",
		.labels = {"name"},
	};
	struct metrics_family *family = metrics_declare(metrics, &desc);

	metrics_set(family, &name, 0);
	return family;
}

static bool are_apart(const struct lease_options *options)
{
	int64_t retry_ms = options->retry_period_ms;

	return options->lease_duration_ms > options->renew_deadline_ms && retry_ms > 0 &&
	       options->renew_deadline_ms > retry_ms + retry_ms / 5;
}

struct lease *lease_new(struct event_base *base, struct kube *kube,
			const struct lease_options *options, struct err *err)
{
	struct lease *lease;

	if (!are_apart(options)) {
		(void)err_set(err, ERR_INVALID, 0,
			      "lease: its duration must be longer than the renew deadline, and "
			      "that longer than 1.2 times the retry period");
		return NULL;
	}
	lease = mem_zalloc(sizeof(*lease));
	lease->kube = kube;
	lease->options = *options;
	lease->options.namespace = mem_strdup(options->namespace);
	lease->options.name = mem_strdup(options->name);
	lease->options.identity = mem_strdup(options->identity);
	lease->round = evtimer_new(base, on_round, lease);
	lease->deadline = evtimer_new(base, on_deadline, lease);
	assert(lease->round && lease->deadline);
	lease->status = declare_status(options->metrics, lease->options.name);
	return lease;
}

void lease_start(struct lease *lease)
{
	add_timer(lease->round, 0);
}

void lease_free(struct lease *lease)
{
	if (!lease)
		return;
	kube_cancel(lease->call);
	event_free(lease->round);
	event_free(lease->deadline);
	json_decref(lease->object);
	mem_freep(&lease->options.namespace);
	mem_freep(&lease->options.name);
	mem_freep(&lease->options.identity);
	free(lease);
}

bool lease_valid(const struct lease *lease)
{
	return lease->leading && is_fresh(lease);
}
