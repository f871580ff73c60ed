/* SPDX-License-Identifier: Apache-2.0 */

/* Labels and annotations of the Secret: what it has, what we put there, and what is to change. */

#include <string.h>

#include "jv/jv.h"
#include "ledger/ledger_impl.h"

/* The API server's limit on keys and values of all annotations together. */
#define MAX_ANNOTATIONS (256 * 1024)
/* Of our record of a tag, apart from key, value and owner; with a new member around it. */
#define TAG_SIZE   128
#define TAG_VALUES 16

static const char *member(bool annotation)
{
	return annotation ? "annotations" : "labels";
}

void ledger_set_metadata(struct ledger *ledger, json_t *metadata)
{
	json_decref(ledger->metadata);
	ledger->metadata = json_incref(metadata);
}

bool ledger_is_created(const struct ledger *ledger)
{
	return jv_bool(ledger->own, "created", false);
}

/* ---- asking ---- */

/* As it will be; NULL, or no string: absent. */
static const json_t *value_of(const struct ledger *ledger, bool annotation, const char *key)
{
	const char *name = member(annotation);
	const json_t *changed = json_object_get(json_object_get(ledger->tags, name), key);

	return changed ? changed : json_object_get(json_object_get(ledger->metadata, name), key);
}

static json_t *records_of(const struct ledger *ledger, bool annotation)
{
	return json_object_get(jv_object(ledger->own, "template"), member(annotation));
}

void ledger_look_tag(const struct ledger *ledger, bool annotation, const char *key,
		     struct ledger_tag *ret_tag)
{
	const json_t *record = json_object_get(records_of(ledger, annotation), key);
	const char *owner = jv_str(record, "owner");

	*ret_tag = (struct ledger_tag){
		.value = json_string_value(value_of(ledger, annotation, key)),
		.put = record ? jv_str(record, "value") : NULL,
		.owner = owner,
		.owner_name = ledger_owner_name(ledger, owner),
	};
}

static bool is_of(const json_t *record, const char *uid)
{
	return strcmp(jv_str(record, "owner"), uid) == 0;
}

static void except_owners(json_t *uids, json_t *records)
{
	const char *key;
	json_t *record;

	json_object_foreach(records, key, record)
		(void)json_object_del(uids, jv_str(record, "owner"));
}

void ledger_except_tag_owners(const struct ledger *ledger, json_t *uids)
{
	except_owners(uids, records_of(ledger, false));
	except_owners(uids, records_of(ledger, true));
}

static size_t count_unwanted(const struct ledger *ledger, bool annotation, const char *uid,
			     ledger_keep_fn *keep, const void *ctx)
{
	size_t count = 0;
	const char *key;
	json_t *record;

	json_object_foreach(records_of(ledger, annotation), key, record)
		count += is_of(record, uid) && !keep(ctx, annotation, key);
	return count;
}

size_t ledger_count_tags(const struct ledger *ledger, const char *uid, ledger_keep_fn *keep,
			 const void *ctx)
{
	return count_unwanted(ledger, false, uid, keep, ctx) +
	       count_unwanted(ledger, true, uid, keep, ctx);
}

/* 0: it is absent. */
static size_t size_of(const char *key, const json_t *value)
{
	return json_is_string(value) ? strlen(key) + json_string_length(value) : 0;
}

/* As they will be. */
static size_t annotations_size(const struct ledger *ledger)
{
	json_t *before = json_object_get(ledger->metadata, member(true));
	json_t *changes = json_object_get(ledger->tags, member(true));
	size_t size = 0;
	const char *key;
	json_t *value;

	json_object_foreach(before, key, value)
		size += size_of(key, value);
	json_object_foreach(changes, key, value)
		size += size_of(key, value) - size_of(key, json_object_get(before, key));
	return size;
}

bool ledger_tag_fits(const struct ledger *ledger, bool annotation, const char *key,
		     const char *value, const struct ledger_owner *owner)
{
	CLEANUP(jv_freep) json_t *text = json_string(value);
	size_t own = ledger->size_bound + TAG_SIZE + strlen(key) + ledger_text_size(text) +
		     2 * strlen(owner->uid) + strlen(owner->name);

	if (own > LEDGER_MAX_SECRET || ledger->values_bound + TAG_VALUES > LEDGER_MAX_VALUES)
		return false;
	if (!annotation)
		return true;
	return annotations_size(ledger) + size_of(key, text) <=
	       MAX_ANNOTATIONS + size_of(key, value_of(ledger, true, key));
}

/* ---- changing ---- */

static bool is_set(const struct ledger *ledger, bool annotation, const char *key, const char *value)
{
	const char *now = json_string_value(value_of(ledger, annotation, key));

	return now && strcmp(now, value) == 0;
}

static void change(struct ledger *ledger, bool annotation, const char *key, json_t *value)
{
	if (!ledger->tags)
		ledger->tags = json_object();
	jv_set(jv_ensure_object(ledger->tags, member(annotation)), key, value);
}

void ledger_put_tag(struct ledger *ledger, bool annotation, const char *key, const char *value,
		    const struct ledger_owner *owner)
{
	json_t *template = ledger_ensure_own(ledger, ledger->own, "template");
	json_t *records = ledger_ensure_own(ledger, template, member(annotation));
	json_t *record = ledger_ensure_own(ledger, records, key);
	CLEANUP(jv_freep) json_t *before = json_incref(json_object_get(record, "owner"));

	ledger_put_own(ledger, record, "owner", json_string(owner->uid));
	ledger_put_own(ledger, record, "value", json_string(value));
	ledger_put_own(ledger, json_object_get(ledger->own, "owners"), owner->uid,
		       json_string(owner->name));
	if (before)
		ledger_note_loser(ledger, json_string_value(before));
	if (is_set(ledger, annotation, key, value))
		return;
	change(ledger, annotation, key, json_string(value));
	ledger->own_changed = true;
}

static size_t drop_unwanted(struct ledger *ledger, bool annotation, const char *uid,
			    ledger_keep_fn *keep, const void *ctx)
{
	json_t *records = records_of(ledger, annotation);
	size_t count = 0;
	const char *key;
	json_t *record;
	void *next;

	json_object_foreach_safe(records, next, key, record) {
		if (!is_of(record, uid) || keep(ctx, annotation, key))
			continue;
		if (is_set(ledger, annotation, key, jv_str(record, "value")))
			change(ledger, annotation, key, json_null());
		ledger_drop_own(ledger, records, key);
		count++;
	}
	if (count > 0 && json_object_size(records) == 0)
		ledger_drop_own(ledger, jv_object(ledger->own, "template"), member(annotation));
	return count;
}

size_t ledger_drop_tags(struct ledger *ledger, const char *uid, ledger_keep_fn *keep,
			const void *ctx)
{
	size_t count = drop_unwanted(ledger, false, uid, keep, ctx) +
		       drop_unwanted(ledger, true, uid, keep, ctx);

	if (count == 0)
		return 0;
	if (json_object_size(jv_object(ledger->own, "template")) == 0)
		ledger_drop_own(ledger, ledger->own, "template");
	ledger_note_loser(ledger, uid);
	return count;
}

/* ---- the result ---- */

void ledger_write_tags(const struct ledger *ledger, json_t *metadata)
{
	const char *name;
	json_t *changes;

	json_object_foreach(ledger->tags, name, changes)
		(void)json_object_update(jv_ensure_object(metadata, name), changes);
}
