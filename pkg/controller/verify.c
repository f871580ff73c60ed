/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Do the CNAMEs that status names lead to the accounts, and is there a zone that they lead to? Each
 * is looked up by itself, at the times that pkg/cname says; what plan() sees changes only when an
 * answer is to be believed.
 *
 * Those that are due wait in a line of their namespace, and namespaces take turns; each has no more
 * than its share under way. So names whose servers do not answer hold up no others than those of
 * their own namespace.
 */

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/fnv.h"
#include "base/intern.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"

#define RUNNING_MOST  32 /* lookups under way */
#define SHARE	      4	 /* of which one namespace may have so many */
#define WALK_LEAST_MS 20 /* between two walks over all names */

enum lookup_state { LOOKUP_RESTING, LOOKUP_DUE, LOOKUP_RUNNING };

/* One CNAME. */
struct lookup {
	struct record *record;
	struct dns_call *call;
	struct lookup *prev, *next; /* in the line */
	struct lookup_line *line;   /* unless it rests */
	struct cname_schedule schedule;
	enum lookup_state state;
	bool authoritative, tcp; /* how it is asked now */
};

/* Of one namespace; there while one of its names is due or under way. */
struct lookup_line {
	const char *namespace; /* interned */
	struct lookup *due;
	int running;
	UT_hash_handle hh; /* the order of the hash is that of the turns */
};

/* The records of a status, and those that are to follow them. */
struct names {
	size_t len;
	const struct api_record *at[2 * API_MAX_DOMAINS];
};

/* Those of an object, in that order. */
struct verify {
	size_t len;
	uint64_t act; /* digest of API_ANNOTATION_VERIFY, for which all were hurried; 0: none */
	struct plan_seen *seen;
	struct lookup lookups[];
};

static struct plan_seen *seen_of(const struct lookup *lookup)
{
	const struct verify *verify = lookup->record->verify;

	return &verify->seen[lookup - verify->lookups];
}

static void list_names(const struct api_status *status, struct names *ret_names)
{
	size_t i;

	ret_names->len = 0;
	for (i = 0; i < status->records_len; i++) {
		const struct api_record *record = &status->records[i];

		ret_names->at[ret_names->len++] = record;
		if (record->next)
			ret_names->at[ret_names->len++] = record->next;
	}
}

static uint64_t digest_of(const struct api_record *named)
{
	return plan_record_digest(named->domain, named->value);
}

/* As status says it now; NULL when that has changed, which the next pass will find. */
static const struct api_record *named_by(const struct lookup *lookup)
{
	const struct api_registration *object = record_object(lookup->record);
	const size_t i = (size_t)(lookup - lookup->record->verify->lookups);
	struct names names;

	if (!object)
		return NULL;
	list_names(&object->status, &names);
	return i < names.len && digest_of(names.at[i]) == seen_of(lookup)->digest ? names.at[i]
										  : NULL;
}

/* ---- the lines ---- */

static struct lookup_line *line_get(struct controller *controller, const char *namespace)
{
	struct lookup_line *line;

	HASH_FIND_STR(controller->lookup_lines, namespace, line);
	if (line)
		return line;
	line = mem_zalloc(sizeof(*line));
	line->namespace = intern_get(namespace);
	HASH_ADD_KEYPTR(hh, controller->lookup_lines, line->namespace, strlen(line->namespace),
			line);
	return line;
}

static void line_put(struct controller *controller, struct lookup_line *line)
{
	if (line->due || line->running > 0)
		return;
	HASH_DEL(controller->lookup_lines, line);
	intern_put(line->namespace);
	free(line);
}

static void line_up(struct lookup *lookup)
{
	struct record *record = lookup->record;

	lookup->line = line_get(record->controller, record->namespace);
	lookup->state = LOOKUP_DUE;
	DL_APPEND(lookup->line->due, lookup);
}

/* The place of one under way is for the next. */
static void leave(struct lookup *lookup)
{
	struct controller *controller = lookup->record->controller;
	struct lookup_line *line = TAKE(lookup->line);

	dns_cancel(TAKE(lookup->call));
	if (lookup->state == LOOKUP_DUE) {
		DL_DELETE(line->due, lookup);
	} else if (lookup->state == LOOKUP_RUNNING) {
		line->running--;
		controller->lookups_running--;
		alarm_at(&controller->verify_alarm, 0);
	}
	lookup->state = LOOKUP_RESTING;
	if (line)
		line_put(controller, line);
}

/* The next whose turn it is, at the end of its line's turn; NULL: there is none, or no place. */
static struct lookup *take_turn(struct controller *controller)
{
	struct lookup_line *line;
	struct lookup_line *next;

	if (controller->lookups_running == RUNNING_MOST)
		return NULL;
	HASH_ITER(hh, controller->lookup_lines, line, next) {
		if (!line->due || line->running == SHARE)
			continue;
		HASH_DEL(controller->lookup_lines, line);
		HASH_ADD_KEYPTR(hh, controller->lookup_lines, line->namespace,
				strlen(line->namespace), line);
		return line->due;
	}
	return NULL;
}

/* ---- one lookup ---- */

static void count(struct controller *controller, enum cname_verdict verdict)
{
	static const char *const results[] = {
		[CNAME_UNKNOWN] = "unknown",	       [CNAME_FOUND] = "found",
		[CNAME_MISSING] = "missing",	       [CNAME_MISMATCH] = "mismatch",
		[CNAME_UNDELEGATED] = "not_delegated", [CNAME_SIGNED] = "signed",
	};
	const char *const values[] = {results[verdict]};

	metrics_add(controller->metrics.lookups, values, 1);
}

static void see(struct plan_seen *seen, const struct dns_answer *answer)
{
	intern_put(seen->observed);
	seen->observed = intern_get(answer->observed);
	seen->verdict = answer->verdict;
	seen->reason = answer->reason;
	seen->told = true;
}

static void finish(struct lookup *lookup, const struct dns_answer *answer)
{
	struct record *record = lookup->record;
	struct controller *controller = record->controller;
	struct cname_schedule *schedule = &lookup->schedule;

	count(controller, answer->verdict);
	log_debug("a CNAME was looked up", "namespace", record->namespace, "name", record->name,
		  "result", cname_reason_text(answer->reason), NULL);
	leave(lookup);
	if (cname_schedule_fold(schedule, answer->verdict, answer->ttl_s, mono_ms(), rnd_u64())) {
		see(seen_of(lookup), answer);
		workq_add(controller->queue, record->uid, WORKQ_LOW);
	}
	alarm_at(&controller->verify_alarm, schedule->next_ms);
}

/* That nothing is known of the zone is no news: what was known of it stands. */
static void on_zone(void *ctx, const struct dns_answer *zone)
{
	struct lookup *lookup = ctx;
	struct dns_answer answer = *zone;

	lookup->call = NULL;
	if (zone->verdict == CNAME_UNKNOWN && cname_is_of_zone(lookup->schedule.verdict))
		answer = (struct dns_answer){.verdict = lookup->schedule.verdict,
					     .reason = seen_of(lookup)->reason};
	else if (zone->verdict == CNAME_UNKNOWN)
		answer = (struct dns_answer){.verdict = CNAME_FOUND};
	finish(lookup, &answer);
}

static void ask(struct lookup *lookup, const struct api_record *named);

static void on_cname(void *ctx, const struct dns_answer *answer)
{
	struct lookup *lookup = ctx;
	const struct controller *controller = lookup->record->controller;
	const struct api_record *named = named_by(lookup);
	const char *zone = named ? strchr(named->value, '.') : NULL;
	const bool urgent = lookup->schedule.urgent;

	lookup->call = NULL;
	/* The next pass begins anew with what status says by now. */
	if (!named) {
		leave(lookup);
		return;
	}
	if (urgent && answer->verdict == CNAME_UNKNOWN && lookup->authoritative &&
	    !controller->options.dns_authoritative) {
		lookup->authoritative = false;
		ask(lookup, named);
	} else if (urgent && answer->verdict == CNAME_FOUND && !lookup->tcp) {
		lookup->tcp = true;
		ask(lookup, named);
	} else if (zone && !urgent && answer->verdict == CNAME_FOUND) {
		lookup->call = dns_check_zone(controller->dns, zone + 1, on_zone, lookup);
	} else {
		finish(lookup, answer);
	}
}

static void ask(struct lookup *lookup, const struct api_record *named)
{
	CLEANUP(mem_freep) char *owner = mem_printf("%s%s", DNSNAME_CHALLENGE, named->domain);
	const struct dns_check_options check = {
		.owner = owner,
		.expected = named->value,
		.authoritative = lookup->authoritative,
		.tcp = lookup->tcp,
	};

	lookup->call = dns_check(lookup->record->controller->dns, &check, on_cname, lookup);
}

/* An account's turn hangs on the answer: caches are passed by where that can be, and it has to come
 * twice, the second time by TCP. */
static void start(struct lookup *lookup)
{
	struct controller *controller = lookup->record->controller;
	const struct api_record *named = named_by(lookup);

	if (!named) {
		leave(lookup);
		alarm_at(&controller->verify_alarm, mono_ms() + CNAME_FAST_MS);
		return;
	}
	DL_DELETE(lookup->line->due, lookup);
	lookup->line->running++;
	controller->lookups_running++;
	lookup->state = LOOKUP_RUNNING;
	lookup->authoritative = controller->options.dns_authoritative || lookup->schedule.urgent;
	lookup->tcp = false;
	ask(lookup, named);
}

/* ---- all of them ---- */

/* Lines up those of a record that are due; returns when the next one of the others is. */
static int64_t line_up_due(struct record *record, int64_t now_ms)
{
	struct verify *verify = record->verify;
	int64_t next_ms = INT64_MAX;
	size_t i;

	for (i = 0; verify && i < verify->len; i++) {
		struct lookup *lookup = &verify->lookups[i];
		int64_t at_ms = lookup->schedule.next_ms;

		if (lookup->state != LOOKUP_RESTING)
			continue;
		if (at_ms <= now_ms)
			line_up(lookup);
		else if (at_ms < next_ms)
			next_ms = at_ms;
	}
	return next_ms;
}

static void walk(void *ctx)
{
	struct controller *controller = ctx;
	int64_t now_ms = mono_ms();
	int64_t next_ms = INT64_MAX;
	struct record *record;
	struct record *after;
	struct lookup *lookup;

	if (controller->draining)
		return;
	HASH_ITER(hh, controller->records, record, after) {
		int64_t ms = line_up_due(record, now_ms);

		if (ms < next_ms)
			next_ms = ms;
	}
	while ((lookup = take_turn(controller)))
		start(lookup);
	if (next_ms < INT64_MAX)
		alarm_at(&controller->verify_alarm, next_ms);
}

static void declare_metrics(struct controller *controller)
{
	struct metrics *metrics = controller->options.metrics;
	const struct metrics_desc lookups = {
		.type = METRICS_COUNTER,
		.name = "acmedns_cname_lookups_total",
		.help = "CNAMEs that were looked up, by result",
		.labels = {"result"},
	};
	const struct metrics_desc drifts = {
		.type = METRICS_COUNTER,
		.name = "acmedns_cname_drifts_total",
		.help = "Times that a CNAME which was right was found missing or leading elsewhere",
	};

	controller->metrics.lookups = metrics_declare(metrics, &lookups);
	controller->metrics.drifts = metrics_declare(metrics, &drifts);
	metrics_add(controller->metrics.drifts, NULL, 0);
}

int verify_start(struct controller *controller, struct err *err)
{
	const struct controller_options *options = &controller->options;
	const struct dns_options dns = {
		.resolvers = options->dns_resolvers,
		.refusal = controller_refusal,
		.ctx = controller,
		.port = options->dns_port,
	};

	controller->dns = dns_new(options->base, &dns, err);
	if (!controller->dns)
		return err_wrap(err, "--dns-resolvers %s", options->dns_resolvers);
	declare_metrics(controller);
	controller->verify_alarm.least_ms = WALK_LEAST_MS;
	alarm_start(&controller->verify_alarm, options->base, walk, controller);
	return 0;
}

void verify_stop(struct controller *controller)
{
	alarm_stop(&controller->verify_alarm);
	dns_free(controller->dns);
}

/* ---- those of one object ---- */

void verify_drop(struct record *record)
{
	struct verify *verify = record->verify;
	size_t i;

	if (!verify)
		return;
	for (i = 0; i < verify->len; i++) {
		leave(&verify->lookups[i]);
		intern_put(verify->seen[i].observed);
	}
	free(verify->seen);
	free(verify);
	record->verify = NULL;
}

static bool is_wanted(const struct api_registration *object)
{
	return object && !object->deleting && object->spec.verify && !object->spec.suspend &&
	       !object->spec.unsupported && object->status.records_len > 0;
}

static bool is_the_same(const struct verify *verify, const struct names *names)
{
	size_t i;

	if (!verify || verify->len != names->len)
		return false;
	for (i = 0; i < names->len; i++)
		if (verify->seen[i].digest != digest_of(names->at[i]))
			return false;
	return true;
}

static const struct lookup *find(const struct verify *verify, uint64_t digest)
{
	size_t i;

	for (i = 0; verify && i < verify->len; i++)
		if (verify->seen[i].digest == digest)
			return &verify->lookups[i];
	return NULL;
}

/* What is known of a CNAME stays though others come and go. One that was named while this process
 * looked on is looked up at once, and one that an account waits for: status alone does not move it.
 */
static void begin(struct lookup *lookup, struct plan_seen *seen, const struct api_record *named,
		  const struct lookup *before)
{
	const struct api_registration *object = record_object(lookup->record);
	struct cname_schedule *schedule = &lookup->schedule;
	const bool urgent = schedule->urgent;

	if (before) {
		*schedule = before->schedule;
		*seen = *seen_of(before);
		seen->observed = intern_get(seen->observed);
	} else {
		*seen = (struct plan_seen){.digest = digest_of(named), .observed = intern_get("")};
		cname_schedule_begin(schedule,
				     urgent ? CNAME_UNKNOWN : plan_said(&object->status, named),
				     mono_ms(), rnd_u64());
		if (urgent || lookup->record->viewed)
			cname_schedule_hurry(schedule, mono_ms());
	}
	schedule->urgent = urgent;
}

static void rebuild(struct record *record, const struct names *names)
{
	struct verify *verify =
		mem_zalloc(sizeof(*verify) + names->len * sizeof(verify->lookups[0]));
	size_t i;

	verify->len = names->len;
	verify->act = record->verify ? record->verify->act : 0;
	verify->seen = mem_zalloc_array(names->len, sizeof(*verify->seen));
	for (i = 0; i < names->len; i++) {
		struct lookup *lookup = &verify->lookups[i];

		lookup->record = record;
		lookup->schedule.urgent = i > 0 && names->at[i - 1]->next == names->at[i];
		begin(lookup, &verify->seen[i], names->at[i],
		      find(record->verify, digest_of(names->at[i])));
	}
	verify_drop(record);
	record->verify = verify;
	alarm_at(&record->controller->verify_alarm, 0);
}

static void hurry(struct record *record, const struct api_registration *object)
{
	struct verify *verify = record->verify;
	const char *handled = object->status.handled_verify;
	uint64_t act = fnv_text(FNV_BEGIN, object->verify);
	size_t i;

	if (!*object->verify || act == verify->act ||
	    (handled && strcmp(handled, object->verify) == 0))
		return;
	verify->act = act;
	/* An answer to what was asked before does not count. */
	for (i = 0; i < verify->len; i++) {
		leave(&verify->lookups[i]);
		cname_schedule_hurry(&verify->lookups[i].schedule, mono_ms());
	}
	alarm_at(&record->controller->verify_alarm, 0);
}

static bool is_verified(const struct verify *verify, const struct api_registration *object)
{
	size_t i;

	for (i = 0; i < verify->len; i++)
		if (verify->lookups[i].schedule.asked)
			return false;
	return *object->verify && verify->act == fnv_text(FNV_BEGIN, object->verify);
}

void verify_view(struct record *record, struct plan_view *view)
{
	const struct api_registration *object = view->object;
	struct names names;

	if (!is_wanted(object)) {
		verify_drop(record);
	} else {
		list_names(&object->status, &names);
		if (!is_the_same(record->verify, &names))
			rebuild(record, &names);
		hurry(record, object);
		view->seen = record->verify->seen;
		view->seen_len = record->verify->len;
		view->verified = is_verified(record->verify, object);
	}
	record->viewed = true;
}
