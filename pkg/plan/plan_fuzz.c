/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An object, our document and the public one, all of an attacker's making: what plan() decides is
 * done by servers in good health. Nothing ends the process, whatever is written can be read again,
 * and all comes to rest.
 */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jv/jv.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY   "acmedns.json"
#define UUID  "8e5700ea-a4bf-41c7-8a77-e990661dcc6a"
#define WAITS 20
#define ACTS  1000 /* without a wait; none of them is needed ten times for a domain */

struct play {
	struct plan_view view;
	struct plan_memory memory;
	struct api_registration *object;
	struct ledger_value values[2]; /* ours, and the public one, which may be absent */
	json_t *metadata;	       /* the Secret's */
	struct ledger *ledger;
	unsigned int accounts;
};

/* ---- the Secret ---- */

static struct ledger *open_ledger(const struct play *play, struct err *err)
{
	bool ours = play->values[0].len > 0;
	struct ledger *ledger =
		ledger_open(&play->values[!ours], ARRAY_LEN(play->values) - !ours, err);

	if (!ledger)
		return NULL;
	ledger_set_metadata(ledger, play->metadata);
	if (!ledger_use(ledger, KEY, err))
		return ledger;
	ledger_free(ledger);
	return NULL;
}

static void show(struct play *play)
{
	static const char why[] = "unreadable";
	struct err err = {0};

	ledger_free(TAKE(play->ledger));
	play->ledger = open_ledger(play, &err);
	play->view.secret.state = PLAN_SECRET_PRESENT;
	play->view.secret.fresh = true;
	play->view.secret.ledger = play->ledger;
	play->view.secret.unparsable = play->ledger ? NULL : why;
}

static void keep(struct play *play, const struct ledger_value *value)
{
	struct ledger_value *kept = &play->values[strcmp(value->key, LEDGER_OWN_KEY) != 0];

	free(kept->data);
	kept->data = mem_dup(value->data, value->len);
	kept->len = value->len;
}

/* A merge patch. */
static void tag(const struct play *play, const struct ledger *ledger)
{
	CLEANUP(jv_freep) json_t *patch = json_object();
	const char *member;
	const char *key;
	json_t *changes;
	json_t *value;

	ledger_write_tags(ledger, patch);
	json_object_foreach(patch, member, changes) {
		json_t *tags = jv_ensure_object(play->metadata, member);

		json_object_foreach(changes, key, value) {
			if (json_is_null(value))
				(void)json_object_del(tags, key);
			else
				jv_set(tags, key, json_incref(value));
		}
	}
}

static void edit(struct play *play)
{
	const struct plan_written written = {.outcome = PLAN_WRITTEN, .sent_ms = play->view.now_ms};
	CLEANUP(mem_freep) struct plan_edit *made = mem_zalloc(sizeof(*made));
	struct ledger_value *values;
	struct err err;
	struct ledger *ledger = open_ledger(play, &err);
	size_t bound;
	size_t len;
	size_t i;

	assert(ledger);
	plan_edit(&play->view, &play->memory, ledger, made);
	bound = ledger_size_bound(ledger);
	len = ledger_write(ledger, &values);
	for (i = 0; i < len; i++)
		keep(play, &values[i]);
	ledger_values_free(values, len);
	tag(play, ledger);
	ledger_free(ledger);
	assert(play->values[0].len + play->values[1].len <= bound);
	show(play);
	assert(play->ledger);
	plan_fold_written(&play->memory, &play->view, made, &written);
}

/* ---- the servers ---- */

static void register_account(struct play *play, int work)
{
	const struct acmedns_result result = {.verdict = ACMEDNS_REGISTERED};
	struct acmedns_account account = {.username = UUID, .password = "p"};

	(void)snprintf(account.subdomain, sizeof(account.subdomain), "%08x%s", ++play->accounts,
		       &UUID[8]);
	(void)snprintf(account.fulldomain, sizeof(account.fulldomain), "%s.auth.test",
		       account.subdomain);
	plan_fold_posting(&play->memory, work);
	plan_fold_registered(&play->memory, &play->view, work, &result, &account);
}

static void probe(struct play *play, size_t domain)
{
	const struct acmedns_probe_result alive = {ACMEDNS_PROBE_ALIVE, -1, "good"};

	plan_fold_probing(&play->memory, &play->view, domain);
	plan_fold_probed(&play->memory, &play->view, &alive);
}

static void publish(struct play *play, struct api_status *status)
{
	plan_fold_status(&play->memory, play->object->generation, plan_news(play->object, status));
	api_status_done(&play->object->status);
	play->object->status = *status;
	api_status_init(status, -1);
}

/* True when it was the last one: it may go. */
static bool change_finalizers(struct api_registration *object, const struct plan_action *action)
{
	size_t i = 0;

	if (action->add) {
		object->finalizers = mem_resize(object->finalizers, object->finalizers_len + 1,
						sizeof(*object->finalizers));
		object->finalizers[object->finalizers_len++] = mem_strdup(action->finalizer);
		return false;
	}
	while (strcmp(object->finalizers[i], action->finalizer) != 0)
		i++;
	free(object->finalizers[i]);
	object->finalizers[i] = object->finalizers[--object->finalizers_len];
	return object->deleting && object->finalizers_len == 0;
}

/* ---- one act ---- */

static void tell(struct play *play, const struct plan_action *action)
{
	if (action->leaves_endpoint)
		plan_fold_endpoint_left(&play->memory);
	else if (action->leftover)
		plan_fold_leftover(&play->memory);
	else
		plan_fold_event(&play->memory, action->news);
}

/* True when there is no more to do. */
static bool act(struct play *play, struct plan_action *action)
{
	struct plan_view *view = &play->view;
	struct plan_memory *memory = &play->memory;

	switch (action->what) {
	case PLAN_WAIT:
		view->now_ms = action->wake_ms;
		view->secret.fresh = false;
		return action->wake_ms == INT64_MAX;
	case PLAN_PATCH_STATUS:
		publish(play, &action->status);
		return false;
	case PLAN_READ_SECRET:
		show(play);
		plan_fold_read(memory, view);
		return false;
	case PLAN_EDIT_SECRET:
		edit(play);
		return false;
	case PLAN_RESOLVE_HOST:
		view->host.state = PLAN_HOST_OK;
		return false;
	case PLAN_READ_REFERENCES:
		view->references = PLAN_REFERENCES_OK;
		plan_fold_references(memory, view, NULL);
		return false;
	case PLAN_ASK_OWNER:
		plan_fold_owner(memory, view, action->owner_uid, NULL);
		return false;
	case PLAN_ASK_SELF:
		(void)plan_fold_self(memory, false);
		return false;
	case PLAN_REGISTER:
		register_account(play, action->work);
		return false;
	case PLAN_EXPIRE:
		plan_fold_expired(memory, action->work);
		return false;
	case PLAN_EMIT_EVENT:
		tell(play, action);
		return false;
	case PLAN_PATCH_FINALIZER:
		return change_finalizers(play->object, action);
	case PLAN_PROBE:
		probe(play, action->domain);
		return false;
	case PLAN_END_ROUND:
		(void)plan_fold_round(memory, view);
		return false;
	case PLAN_READ_ENDPOINT:
	case PLAN_WRITE_ENDPOINT:
	case PLAN_DELETE_ENDPOINT:
		(void)plan_fold_endpoint(memory, view, plan_endpoint_digest(view),
					 action->what == PLAN_READ_ENDPOINT
						 ? PLAN_ENDPOINT_OTHER
						 : PLAN_ENDPOINT_CURRENT);
		return false;
	}
	return true;
}

static void run(struct play *play)
{
	int waits = 0;
	int acts = 0;
	bool done = false;

	while (!done && waits < WAITS) {
		struct plan_action action;

		plan(&play->view, &play->memory, &action);
		acts = action.what == PLAN_WAIT ? 0 : acts + 1;
		waits += action.what == PLAN_WAIT;
		assert(acts < ACTS);
		done = act(play, &action);
		plan_action_done(&action);
	}
}

/* ---- the input ---- */

/* Up to a NUL or the end; *data and *size go on behind it. */
static struct ledger_value take_text(const char *key, const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\0', *size);
	size_t len = end ? (size_t)(end - *data) : *size;
	struct ledger_value value = {
		.key = mem_strdup(key), .data = mem_dup(*data, len), .len = len};

	*data += len + (end != NULL);
	*size -= len + (end != NULL);
	return value;
}

static void play_object(struct play *play, const struct ledger_value *text)
{
	static const struct dnsname_glob any = {.text = "*"};
	struct err err;
	CLEANUP(jv_freep) json_t *json = jv_parse(text->data, text->len, &err);
	size_t i;

	play->object = json ? api_decode(json) : NULL;
	if (!play->object)
		return;
	play->view = (struct plan_view){
		.object = play->object,
		.holder = UUID,
		.leading = true,
		.secret = {.opaque = true, .adopt = true, .key = KEY},
		.host = {.slots = PLAN_WORKS},
		.verified = true,
		.endpoint_domains = &any,
		.endpoint_domains_len = 1,
		.now_ms = 1000000,
		.wall_s = 1800000000,
		.register_timeout_ms = 10000,
	};
	for (i = 0; i < ARRAY_LEN(play->view.random); i++)
		play->view.random[i] = i;
	run(play);
}

/* The object, our document and the public one, with a NUL between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_value object = take_text("", &data, &size);
	struct play *play = mem_zalloc(sizeof(*play));
	size_t i;

	play->metadata = json_object();
	play->values[0] = take_text(LEDGER_OWN_KEY, &data, &size);
	play->values[1] = take_text(KEY, &data, &size);
	play_object(play, &object);
	api_free(play->object);
	ledger_free(play->ledger);
	json_decref(play->metadata);
	for (i = 0; i < ARRAY_LEN(play->values); i++) {
		free(play->values[i].key);
		free(play->values[i].data);
	}
	free(object.key);
	free(object.data);
	free(play);
	return 0;
}
