/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLAN_TEST_WORLD_H
#define PLAN_TEST_WORLD_H

/*
 * A small world around the plan, for plan_world_test.c: one Secret, objects that share it and
 * quarrel over domains, an acme-dns server that counts, two processes of which one leads. While
 * it is faulty, anything may go wrong at any step. What must never happen is checked on the way.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "jv/jv.h"
#include "plan/plan.h"

#define OBJECTS	   3
#define PROCESSES  2
#define POSTS	   32
#define NAMES	   4 /* domains a.test to d.test */
#define TIMEOUT_MS 10000
#define KEEP_MS	   3000 /* of what specs refer to */
#define AUTH	   "\"registrationAuth\":{\"basic\":{\"secretRef\":{\"name\":\"login\"}}},"
#define KEY	   "acmedns.json"

/* What a process knows of an object. */
struct seat {
	struct plan_memory memory;
	struct api_registration *cached;
	int64_t due_ms;
	int64_t wake_ms;
	int64_t proven_generation; /* by a status patch of this process */
	int64_t references_ms;	   /* what the spec refers to was read, and is good for a while */
};

struct process {
	char holder[PLAN_NONCE_LEN];
	struct seat seats[OBJECTS];
	/* the Secret as it read it last */
	json_t *reading; /* NULL: unread; JSON null: absent */
	struct ledger_value values[4];
	size_t values_len;
	struct ledger *ledger;
	int rv;
	int64_t read_ms;
};

struct post {
	bool active;
	int process; /* -1: it has crashed */
	int object;
	int work;
	char domain[DNSNAME_LEN];
	char nonce[PLAN_NONCE_LEN];
	int64_t end_ms;
};

struct world {
	uint64_t random;
	struct buf story;
	int64_t now_ms;
	bool faulty;
	bool gentle; /* nothing happens that leaves an outcome unknown */
	bool shared;
	bool auth;  /* specs refer to a Secret */
	bool reset; /* the Secret was deleted at some time: the bounds are void */
	bool moved; /* spec.host was another for some time */
	bool immutable;
	json_t *secret; /* data as text; JSON null: absent */
	int rv;		/* its resourceVersion */
	int object_rv;
	json_t *late; /* a write that may still arrive */
	int late_rv;
	json_t *objects[OBJECTS]; /* NULL: deleted */
	struct process processes[PROCESSES];
	int leader;
	struct post posts[POSTS];
	json_t *posted;	 /* nonce -> true */
	json_t *durable; /* fulldomain -> true: was in the Secret */
	int64_t made[NAMES];
	int accounts;
	int host_state;
	int64_t host_retry_ms;
	unsigned int writes;
};

/* ---- chance and story ---- */

static uint64_t next_random(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random * UINT64_C(0x2545f4914f6cdd1d);
}

static int pick(struct world *w, int n)
{
	return (int)(next_random(w) >> 33) % n;
}

static bool chance(struct world *w, int percent)
{
	return w->faulty && pick(w, 100) < percent;
}

static void tell(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void tell(struct world *w, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)buf_addf(&w->story, "%8lld  %s\n", (long long)w->now_ms, text);
}

static void check(struct world *w, bool ok, const char *what)
{
	char *secret;
	size_t ignored;

	if (ok)
		return;
	secret = jv_text(w->secret, &ignored);
	(void)fprintf(stderr, "%s%s\nSecret: %s\n", buf_str(&w->story), what, secret);
	free(secret);
	fail();
}

/* ---- the objects ---- */

static json_t *parse(const char *text)
{
	struct err err = {0};
	json_t *doc = jv_parse(text, strlen(text), &err);

	if (!doc)
		fail_msg("%s: %s", text, err.msg);
	return doc;
}

/* Each quarrels with both others. */
static const char *const domains_of[OBJECTS] = {
	"[\"a.test\",\"b.test\"]",
	"[\"b.test\",\"c.test\"]",
	"[\"c.test\",\"a.test\",\"d.test\"]",
};

static void bump(struct world *w, int o)
{
	jv_set(jv_object(w->objects[o], "metadata"), "resourceVersion",
	       json_sprintf("%d", ++w->object_rv));
}

static void set_spec(struct world *w, int o, const char *host, const char *domains)
{
	json_t *metadata = jv_object(w->objects[o], "metadata");
	CLEANUP(mem_freep)
	char *spec =
		mem_printf("{%s\"host\":\"https://%s\",\"accountSecretRef\":{\"name\":\"s\"},"
			   "\"domains\":%s,\"accountPolicy\":\"%s\",\"cname\":{\"verify\":false}}",
			   w->auth ? AUTH : "", host, domains, w->shared ? "Shared" : "PerDomain");

	jv_set(w->objects[o], "spec", parse(spec));
	jv_set_int(metadata, "generation", jv_int(metadata, "generation", 0) + 1);
	bump(w, o);
	tell(w, "object %d: %s", o, spec);
}

static void make_object(struct world *w, int o)
{
	w->objects[o] = parse("{\"metadata\":{},\"status\":{\"observedGeneration\":-1}}");
	jv_set(jv_object(w->objects[o], "metadata"), "name", json_sprintf("object-%d", o));
	jv_set(jv_object(w->objects[o], "metadata"), "uid", json_sprintf("uid-%d", o));
	set_spec(w, o, "one.test", domains_of[o]);
}

/* The watch brings what the object is now. */
static void deliver(struct world *w, int p, int o)
{
	struct seat *seat = &w->processes[p].seats[o];
	int64_t before = seat->cached ? seat->cached->generation : 0;
	size_t i;

	if (seat->cached && strcmp(jv_str(w->objects[o], "metadata.resourceVersion"),
				   seat->cached->resource_version) == 0)
		return;
	api_free(TAKE(seat->cached));
	if (w->objects[o])
		seat->cached = api_decode(w->objects[o]);
	if (seat->cached && seat->cached->generation == before)
		return;
	seat->due_ms = w->now_ms;
	for (i = 0; i < OBJECTS; i++)
		plan_fold_owner_stale(&w->processes[p].seats[i].memory);
}

/* ---- the Secret ---- */

static void forget_reading(struct process *process)
{
	ledger_free(TAKE(process->ledger));
	while (process->values_len > 0) {
		struct ledger_value *value = &process->values[--process->values_len];

		free(value->key);
		free(value->data);
	}
	json_decref(TAKE(process->reading));
}

static struct ledger *open_reading(struct process *process)
{
	struct err err = {0};
	struct ledger *ledger = ledger_open(process->values, process->values_len, &err);

	if (!ledger || ledger_use(ledger, KEY, &err))
		fail_msg("ledger: %s", err.msg);
	return ledger;
}

static void read_secret(struct world *w, struct process *process)
{
	const char *key;
	json_t *value;

	process->read_ms = w->now_ms;
	if (process->reading && process->rv == w->rv)
		return;
	forget_reading(process);
	process->reading = json_incref(w->secret);
	process->rv = w->rv;
	json_object_foreach(process->reading, key, value)
		process->values[process->values_len++] = (struct ledger_value){
			.key = mem_strdup(key),
			.data = mem_strdup(json_string_value(value)),
			.len = json_string_length(value),
		};
	process->ledger = open_reading(process);
}

static json_t *written(const struct process *process, struct ledger *ledger)
{
	json_t *data =
		json_is_object(process->reading) ? json_copy(process->reading) : json_object();
	struct ledger_value *values;
	size_t len = ledger_write(ledger, &values);
	size_t i;

	for (i = 0; i < len; i++)
		jv_set_str(data, values[i].key, values[i].data);
	ledger_values_free(values, len);
	return data;
}

static void commit(struct world *w, json_t *data)
{
	CLEANUP(jv_freep) json_t *accounts = NULL;
	const char *text = json_string_value(json_object_get(data, KEY));
	const char *domain;
	json_t *entry;

	json_decref(w->secret);
	w->secret = json_incref(data);
	w->rv++;
	w->writes++;
	if (!text)
		return;
	accounts = parse(text);
	json_object_foreach(accounts, domain, entry)
		jv_set_bool(w->durable, jv_str(entry, "fulldomain"), true);
}

/* ---- the acme-dns server ---- */

static void make_account(struct world *w, const char *domain, struct acmedns_account *account)
{
	int n = ++w->accounts;

	*account = (struct acmedns_account){.password = "secret"};
	(void)snprintf(account->username, sizeof(account->username),
		       "10000000-0000-4000-8000-%012d", n);
	(void)snprintf(account->subdomain, sizeof(account->subdomain),
		       "20000000-0000-4000-8000-%012d", n);
	(void)snprintf(account->fulldomain, sizeof(account->fulldomain), "%s.one.test",
		       account->subdomain);
	w->made[domain[0] - 'a']++;
	tell(w, "server: account %d for %s", n, domain);
}

static void view_of(struct world *w, int p, int o, struct plan_view *view)
{
	struct process *process = &w->processes[p];
	struct seat *seat = &process->seats[o];
	unsigned int held = 0;
	size_t i;

	for (i = 0; i < OBJECTS; i++)
		held += (unsigned int)plan_slots_held(&process->seats[i].memory);
	*view = (struct plan_view){
		.object = seat->cached,
		.holder = process->holder,
		.leading = p == w->leader,
		.secret = {.key = KEY, .opaque = true, .immutable = w->immutable},
		.host = {.state = (enum plan_host_state)w->host_state,
			 .message = "out of order",
			 .retry_ms = w->host_retry_ms,
			 .slots = held < 3 ? 3 - held : 0},
		.now_ms = w->now_ms,
		.register_timeout_ms = TIMEOUT_MS,
		.lost_account_grace_ms = INT32_MAX, /* what vanishes here comes back */
	};
	if (seat->references_ms && w->now_ms - seat->references_ms < KEEP_MS)
		view->references = PLAN_REFERENCES_OK;
	if (view->host.state != PLAN_HOST_OK && w->now_ms >= w->host_retry_ms)
		view->host.state = PLAN_HOST_UNRESOLVED;
	for (i = 0; i < ARRAY_LEN(view->random); i++)
		view->random[i] = next_random(w);
	if (!process->reading)
		return;
	view->secret.state =
		json_is_null(process->reading) ? PLAN_SECRET_ABSENT : PLAN_SECRET_PRESENT;
	view->secret.ledger = process->ledger;
	view->secret.fresh = process->read_ms >= seat->due_ms;
}

static void start_post(struct world *w, int p, int o, int work)
{
	struct seat *seat = &w->processes[p].seats[o];
	const struct plan_work *at = &seat->memory.works[work];
	struct post *post = w->posts;
	size_t i;

	check(w, !json_object_get(w->posted, at->nonce), "two POSTs for one claim");
	check(w, w->now_ms + TIMEOUT_MS <= at->claimed_ms + TIMEOUT_MS + 10000, "a late POST");
	for (i = 0; i < POSTS; i++)
		check(w,
		      !w->posts[i].active || strcmp(w->posts[i].domain, at->domain) != 0 ||
			      (w->reset && (w->posts[i].process != p || w->posts[i].object != o)),
		      "two POSTs for one domain at a time");
	jv_set_bool(w->posted, at->nonce, true);
	while (post->active)
		post++;
	*post = (struct post){.active = true, .process = p, .object = o, .work = work};
	(void)snprintf(post->domain, sizeof(post->domain), "%s", at->domain);
	(void)snprintf(post->nonce, sizeof(post->nonce), "%s", at->nonce);
	post->end_ms = w->now_ms + (w->faulty ? pick(w, TIMEOUT_MS) : 100);
	plan_fold_posting(&seat->memory, work);
}

static void end_post(struct world *w, struct post *post)
{
	static const struct acmedns_result results[] = {
		{ACMEDNS_REGISTERED, false, -1, "registered"},
		{ACMEDNS_NO_ANSWER, true, -1, "no answer"},
		{ACMEDNS_SERVER_ERROR, true, -1, "error"},
		{ACMEDNS_UNREACHABLE, false, -1, "unreachable"},
		{ACMEDNS_UNAVAILABLE, false, 7, "disabled"},
	};
	const size_t first_bad = w->gentle ? 3 : 1;
	const size_t bad = first_bad + (size_t)pick(w, (int)(ARRAY_LEN(results) - first_bad));
	const struct acmedns_result *result = &results[chance(w, 40) ? bad : 0];
	struct acmedns_account account;
	struct plan_view view;

	post->active = false;
	if (result->verdict == ACMEDNS_REGISTERED || (result->maybe_made && pick(w, 2)))
		make_account(w, post->domain, &account);
	if (post->process < 0)
		return;
	tell(w, "process %d, object %d: POST for %s: %s", post->process, post->object, post->domain,
	     result->message);
	view_of(w, post->process, post->object, &view);
	plan_fold_registered(&w->processes[post->process].seats[post->object].memory, &view,
			     post->work, result, &account);
}

static void pass_time(struct world *w, int64_t ms)
{
	size_t i;

	w->now_ms += ms;
	for (i = 0; i < POSTS; i++)
		if (w->posts[i].active && w->posts[i].end_ms <= w->now_ms)
			end_post(w, &w->posts[i]);
}

/* ---- faults ---- */

static void crash(struct world *w, int p)
{
	struct process *process = &w->processes[p];
	size_t i;

	tell(w, "process %d crashes", p);
	for (i = 0; i < POSTS; i++)
		if (w->posts[i].process == p)
			w->posts[i].process = -1;
	for (i = 0; i < OBJECTS; i++) {
		api_free(process->seats[i].cached);
		process->seats[i] = (struct seat){.due_ms = w->now_ms};
	}
	forget_reading(process);
	(void)snprintf(process->holder, sizeof(process->holder), "holder-%d-%d", p,
		       pick(w, 1000000));
	for (i = 0; i < OBJECTS; i++)
		deliver(w, p, (int)i);
}

static void delete_secret(struct world *w)
{
	tell(w, "the Secret is deleted");
	json_decref(w->secret);
	w->secret = json_null();
	w->rv++;
	w->reset = true;
}

static void trouble(struct world *w)
{
	int o = 1 + pick(w, OBJECTS - 1);

	switch (w->gentle ? 7 + pick(w, 9) : pick(w, 16)) {
	case 0:
	case 1:
		crash(w, pick(w, PROCESSES));
		break;
	case 2:
	case 3:
		w->leader = !w->leader;
		tell(w, "process %d leads", w->leader);
		break;
	case 4:
		if (w->random % 5 == 0)
			delete_secret(w);
		break;
	case 5:
		set_spec(w, 0, pick(w, 3) ? "one.test" : "two.test",
			 "[\"a.test\",\"b.test\",\"d.test\"]");
		w->moved = true;
		break;
	case 6:
		if (w->objects[o])
			set_spec(w, o, "one.test", pick(w, 2) ? domains_of[o] : "[\"c.test\"]");
		break;
	case 7:
		w->immutable = !w->immutable;
		break;
	case 8:
		if (pick(w, 4) == 0 && w->objects[o]) {
			tell(w, "object %d is deleted", o);
			json_decref(TAKE(w->objects[o]));
		}
		break;
	case 9:
		w->host_state = PLAN_HOST_FAILED;
		w->host_retry_ms = w->now_ms + 3000;
		break;
	case 10:
		pass_time(w, pick(w, 40000));
		break;
	default:
		break;
	}
}

/* A write that was given up for lost arrives after all. */
static void arrive_late(struct world *w)
{
	if (w->late && pick(w, 2)) {
		tell(w, "a late write: %s", w->late_rv == w->rv ? "taken" : "refused");
		if (w->late_rv == w->rv)
			commit(w, w->late);
		json_decref(TAKE(w->late));
	}
}

#endif
