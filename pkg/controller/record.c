/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rnd.h"
#include "controller/controller_impl.h"

struct record *record_find(struct controller *controller, const char *uid)
{
	struct record *record;

	HASH_FIND_STR(controller->records, uid, record);
	return record;
}

struct record *record_get(struct controller *controller, const struct api_registration *object)
{
	struct record *record = record_find(controller, object->uid);

	if (record)
		return record;
	record = mem_zalloc(sizeof(*record));
	record->controller = controller;
	record->uid = mem_strdup(object->uid);
	record->namespace = intern_get(object->namespace);
	record->name = mem_strdup(object->name);
	/* accountSecretRef is immutable: these hold for the object's life. */
	record->secret_key = intern_get(object->spec.secret_key);
	record->channel = channel_get(controller, object->namespace, object->spec.secret_name);
	channel_add(record->channel, record);
	record->probe_ms = probe_first_ms(controller, object);
	HASH_ADD_KEYPTR(hh, controller->records, record->uid, strlen(record->uid), record);
	return record;
}

void record_free(struct record *record)
{
	host_leave(record);
	patch_drop(record);
	reference_drop(record);
	verify_drop(record);
	endpoint_drop(record);
	channel_remove(record->channel, record);
	HASH_DEL(record->controller->records, record);
	mem_wipe_free(record->memory, record->memory ? sizeof(*record->memory) : 0);
	free(record->head);
	free(record->uid);
	intern_put(record->namespace);
	free(record->name);
	intern_put(record->secret_key);
	free(record);
}

void record_release(struct record *record)
{
	bool idle = !record->call && record->stage == RECORD_NOTHING && !post_is_running(record) &&
		    !record->probe;

	if (idle && !record_object(record) && !record_is_unfinished(record))
		record_free(record);
}

void record_touch(struct record *record, int64_t since_ms, enum workq_priority priority)
{
	if (record->due_ms < since_ms)
		record->due_ms = since_ms;
	workq_add(record->controller->queue, record->uid, priority);
}

const struct api_registration *record_object(const struct record *record)
{
	const struct api_registration *object =
		informer_get(record->controller->informer, record->namespace, record->name, NULL);

	return object && strcmp(object->uid, record->uid) == 0 ? object : NULL;
}

struct plan_memory *record_memory(struct record *record)
{
	if (record->memory)
		return record->memory;
	record->memory = mem_zalloc(sizeof(*record->memory));
	if (record->head)
		memcpy(record->memory, record->head, MEMORY_HEAD);
	else
		memcpy(record->memory, record->kept, MEMORY_KEPT);
	return record->memory;
}

/* Nothing but what is kept in any case: so are nearly all objects, nearly always. */
static bool is_blank(const struct plan_memory *memory)
{
	static const unsigned char zeros[MEMORY_HEAD];

	return memcmp((const char *)memory + MEMORY_KEPT, zeros, MEMORY_HEAD - MEMORY_KEPT) == 0;
}

void record_rest(struct record *record)
{
	struct plan_memory *memory = record->memory;

	if (!memory || !plan_resting(memory))
		return;
	free(record->head);
	record->head = is_blank(memory) ? NULL : mem_dup(memory, MEMORY_HEAD);
	memcpy(record->kept, memory, MEMORY_KEPT);
	record->memory = NULL;
	mem_wipe_free(memory, sizeof(*memory));
}

bool record_is_unfinished(const struct record *record)
{
	return record->memory && plan_unfinished(record->memory) > 0;
}

bool record_has_account(const struct record *record)
{
	size_t i;

	for (i = 0; record->memory && i < PLAN_WORKS; i++)
		if (record->memory->works[i].state == PLAN_WORK_IN_HAND)
			return true;
	return false;
}

void record_view(struct record *record, struct plan_view *ret_view)
{
	struct controller *controller = record->controller;

	*ret_view = (struct plan_view){
		.object = record_object(record),
		.holder = controller->holder,
		.leading = !controller->draining &&
			   controller->options.is_leader(controller->options.ctx),
		.now_ms = mono_ms(),
		.wall_s = mono_wall_us() / 1000000,
		.lost_account_grace_ms = controller->options.lost_account_grace_ms,
		.register_timeout_ms = controller->options.register_timeout_ms,
		.probe_interval_ms = controller->options.probe_interval_ms,
	};
	rnd_bytes(ret_view->random, sizeof(ret_view->random));
	if (ret_view->object)
		host_use(record, ret_view->object->spec.host);
	ret_view->references = reference_view(record, ret_view->object);
	channel_view(record->channel, record, &ret_view->secret);
	host_view(record, &ret_view->host);
	verify_view(record, ret_view);
	endpoint_view(record, ret_view);
}

void record_act_ended(struct record *record)
{
	struct workq *queue = record->controller->queue;

	record_rest(record);
	workq_add(queue, record->uid, WORKQ_HIGH);
	workq_done(queue, record->uid);
}
