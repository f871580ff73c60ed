/* SPDX-License-Identifier: Apache-2.0 */
#include "informer/informer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mono.h"
#include "informer/informer_impl.h"

#define PAGE_SIZE   500
#define WATCH_MIN_S 300
#define BACKOFF_MS  800
#define SILENCE_MS  150000

void informer_metrics_declare(struct informer_metrics *ret_families, struct metrics *metrics)
{
	const struct metrics_desc lists = {
		.type = METRICS_COUNTER,
		.name = "informer_lists_total",
		.help = "Lists begun, by resource and cause (start, expired, error).",
		.labels = {"resource", "cause"},
	};
	const struct metrics_desc watch_events = {
		.type = METRICS_COUNTER,
		.name = "informer_watch_events_total",
		.help = "Watch events received, by resource and type.",
		.labels = {"resource", "type"},
	};
	const struct metrics_desc last_activity = {
		.type = METRICS_GAUGE,
		.name = "informer_last_activity_seconds",
		.help = "Unix time when the watch of a resource was last heard of.",
		.labels = {"resource", "namespace"},
	};

	*ret_families = (struct informer_metrics){
		.lists = metrics_declare(metrics, &lists),
		.watch_events = metrics_declare(metrics, &watch_events),
		.last_activity = metrics_declare(metrics, &last_activity),
	};
}

static bool is_reflected(const struct informer *informer, const char *namespace)
{
	size_t i;

	for (i = 0; i < informer->reflectors_len; i++) {
		if (strcmp(informer->reflectors[i].namespace, namespace) == 0)
			return true;
	}
	return false;
}

static void add_reflector(struct informer *informer, const char *namespace)
{
	informer_reflector_init(&informer->reflectors[informer->reflectors_len++], informer,
				namespace);
}

static void add_reflectors(struct informer *informer, const char *const *namespaces)
{
	size_t count = 0;
	size_t i;

	while (namespaces && namespaces[count])
		count++;
	informer->reflectors = mem_zalloc_array(count ? count : 1, sizeof(*informer->reflectors));
	if (!namespaces)
		add_reflector(informer, NULL);
	/* Two reflectors of one namespace would sweep away each other's half-read lists. */
	for (i = 0; i < count; i++) {
		if (!is_reflected(informer, namespaces[i]))
			add_reflector(informer, namespaces[i]);
	}
}

struct informer *informer_new(struct event_base *base, struct kube *kube,
			      const struct informer_kind *kind,
			      const struct informer_options *options)
{
	struct informer *informer = mem_zalloc(sizeof(*informer));

	informer->base = base;
	informer->kube = kube;
	informer->store.kind = *kind;
	informer->page_size = options->page_size ? options->page_size : PAGE_SIZE;
	informer->watch_min_s = options->watch_min_s ? options->watch_min_s : WATCH_MIN_S;
	informer->backoff_ms = options->backoff_ms ? options->backoff_ms : BACKOFF_MS;
	informer->silence_ms = options->silence_ms ? options->silence_ms : SILENCE_MS;
	if (options->metrics)
		informer->metrics = *options->metrics;
	if (options->selector)
		informer->selector = mem_strdup(options->selector);
	add_reflectors(informer, options->namespaces);
	return informer;
}

void informer_start(struct informer *informer)
{
	size_t i;

	for (i = 0; i < informer->reflectors_len; i++)
		informer_reflector_start(&informer->reflectors[i]);
}

void informer_free(struct informer *informer)
{
	size_t i;

	if (!informer)
		return;
	for (i = 0; i < informer->reflectors_len; i++)
		informer_reflector_done(&informer->reflectors[i]);
	informer_store_done(&informer->store);
	free(informer->reflectors);
	free(informer->selector);
	free(informer);
}

void informer_note_list(struct informer *informer)
{
	size_t i;

	if (informer->synced)
		return;
	for (i = 0; i < informer->reflectors_len; i++) {
		if (!*informer->reflectors[i].rv)
			return;
	}
	informer->synced = true;
	if (informer->store.kind.synced)
		informer->store.kind.synced(informer->store.kind.ctx);
}

bool informer_synced(const struct informer *informer)
{
	return informer->synced;
}

size_t informer_len(const struct informer *informer)
{
	return informer->store.len;
}

void *informer_get(const struct informer *informer, const char *namespace, const char *name,
		   const char **ret_rv)
{
	struct informer_entry *entry = informer_store_find(&informer->store, namespace, name);

	if (!entry || !entry->object)
		return NULL;
	if (ret_rv)
		*ret_rv = entry->rv;
	return entry->object;
}

void informer_each(const struct informer *informer,
		   void (*fn)(void *ctx, const char *namespace, const char *name, void *object),
		   void *ctx)
{
	struct informer_entry *entry, *next;

	HASH_ITER(hh, informer->store.entries, entry, next) {
		if (entry->object)
			fn(ctx, entry->key, informer_entry_name(entry), entry->object);
	}
}

const char *informer_rv(const struct informer *informer, const char *namespace)
{
	size_t i;

	for (i = 0; i < informer->reflectors_len; i++) {
		const struct informer_reflector *r = &informer->reflectors[i];

		if (!r->namespace || strcmp(r->namespace, namespace) == 0)
			return r->rv;
	}
	return "";
}

int64_t informer_silence_ms(const struct informer *informer)
{
	int64_t now_ms = mono_ms();
	int64_t longest_ms = 0;
	size_t i;

	for (i = 0; i < informer->reflectors_len; i++) {
		int64_t silence_ms = now_ms - informer->reflectors[i].heard_ms;

		if (silence_ms > longest_ms)
			longest_ms = silence_ms;
	}
	return longest_ms;
}
