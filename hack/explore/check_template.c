/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What must be so of the labels and annotations that spec.secretTemplate asks for:
 *	- a value that somebody else has put is never overwritten or removed by a write of ours;
 *	- what our document says, is so after a write, and what it says no more is gone;
 *	- an object that wants a key, as far as the writer can know, keeps it, with its value;
 *	- at rest, an object that is Ready has all it wants, or says TemplateConflict, and then
 *	  another object or somebody else is in the way;
 *	- at rest, nothing of ours is there that its owner does not want, unless it went under
 *	  Retain.
 */

#include <string.h>

#include "explore.h"

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Not as we have put it there, if we did. */
static bool is_foreign(const struct ledger_tag *tag)
{
	return tag->value && !is_same(tag->value, tag->put);
}

static bool is_changed(const struct ledger_tag *before, const struct ledger_tag *after)
{
	return !is_same(before->value, after->value) || !is_same(before->put, after->put) ||
	       !is_same(before->owner, after->owner);
}

/* NULL: it does not want the key. */
static const char *wanted(const struct api_registration *object, size_t i)
{
	const struct api_template *template = object->spec.template;
	size_t k;

	for (k = 0; template && !object->deleting && k < template->len; k++)
		if (template->tags[k].annotation == tag_names[i].annotation &&
		    strcmp(template->tags[k].key, tag_names[i].key) == 0)
			return template->tags[k].value;
	return NULL;
}

/* ---- each write ---- */

static void check_tag(struct run *run, const char *key, const struct ledger_tag *before,
		      const struct ledger_tag *after)
{
	bool foreign = is_foreign(before);

	tell(run, "  %s is %s, by us %s for %s", key, after->value ? after->value : "not there",
	     after->put ? after->put : "not", after->put ? after->owner : "anybody");
	if (foreign && !is_same(before->value, after->value))
		broken(run, "%s is somebody else's, and is written", key);
	else if (after->put && !is_same(after->put, after->value))
		broken(run, "%s is said to be put, and is not", key);
	else if (!after->put && after->value && !foreign)
		broken(run, "%s is put, and our document does not say so", key);
}

void check_tags(struct run *run, const struct secret_thing *was, const struct secret_thing *is)
{
	size_t i;

	for (i = 0; i < TAGS; i++)
		if (is_changed(&was->tags[i], &is->tags[i]))
			check_tag(run, tag_names[i].key, &was->tags[i], &is->tags[i]);
}

/* The owner, when the process has heard of its last change. */
static const struct object_thing *known_owner(const struct run *run, size_t process, uint32_t uid)
{
	const struct process *by = &run->w.processes[process];
	const struct object_thing *live = world_by_uid(run, uid);
	size_t n;

	for (n = 0; n < NAMES && live; n++) {
		uint32_t id = by->cache[n].id;
		const struct object_thing *cached = id ? store_get_object(run->store, id) : NULL;

		if (cached && cached->uid == uid &&
		    cached->object->generation == live->object->generation)
			return cached;
	}
	return NULL;
}

void check_tag_owners(struct run *run, size_t process, const struct secret_thing *was,
		      const struct secret_thing *is)
{
	size_t i;

	for (i = 0; i < TAGS; i++) {
		const struct ledger_tag *before = &was->tags[i];
		const struct ledger_tag *after = &is->tags[i];
		const struct object_thing *owner =
			known_owner(run, process, number_in(before->owner, 10));
		const char *want = owner ? wanted(owner->object, i) : NULL;

		if (!want || !is_changed(before, after))
			continue;
		if (!is_same(before->owner, after->owner))
			broken(run, "%s is to be taken from %s, which wants it", tag_names[i].key,
			       owner->object->name);
		else if (!is_same(after->put, want))
			broken(run, "%s is to be put as %s does not want it", tag_names[i].key,
			       owner->object->name);
	}
}

/* ---- at rest ---- */

static bool is_ready(const struct api_registration *object)
{
	return object->status.conditions[API_READY].status == API_TRUE && !object->spec.suspend;
}

static bool is_explained(const struct run *run, const struct object_thing *thing, size_t i)
{
	const struct secret_thing *secret = store_get_secret(run->store, run->w.secret.id);
	const struct ledger_tag *tag = &secret->tags[i];
	const char *want = wanted(thing->object, i);
	const struct object_thing *owner = world_by_uid(run, number_in(tag->owner, 10));

	if (!want || is_same(tag->value, want))
		return false;
	return is_foreign(tag) || (owner && owner != thing && wanted(owner->object, i));
}

static void check_object(struct run *run, const struct object_thing *thing)
{
	const struct secret_thing *secret = store_get_secret(run->store, run->w.secret.id);
	const struct api_registration *object = thing->object;
	bool told =
		object->status.conditions[API_SECRET_READY].reason == API_REASON_TEMPLATE_CONFLICT;
	bool explained = !ledger_is_created(secret->snapshot.ledger);
	size_t i;

	for (i = 0; i < TAGS; i++) {
		const char *want = wanted(object, i);

		explained |= is_explained(run, thing, i);
		if (!told && want && !is_same(secret->tags[i].value, want))
			broken(run, "%s is Ready without a word, and %s is not as it wants it",
			       object->name, tag_names[i].key);
	}
	if (told && !explained)
		broken(run, "%s says TemplateConflict, and nothing is in its way", object->name);
}

static void check_owner(struct run *run, const struct ledger_tag *tag, size_t i)
{
	uint32_t uid = number_in(tag->owner, 10);
	const struct object_thing *owner = world_by_uid(run, uid);
	const char *want = owner ? wanted(owner->object, i) : NULL;

	if (!owner && !(run->w.retained >> uid & 1))
		broken(run, "faults have stopped, and %s stays of uid-%u, which is gone",
		       tag_names[i].key, uid);
	if (!owner || !is_ready(owner->object))
		return;
	if (!want)
		broken(run, "faults have stopped, and %s stays, which %s wants no more",
		       tag_names[i].key, owner->object->name);
	else if (!is_same(tag->put, want) && !is_foreign(tag))
		broken(run, "faults have stopped, and %s is not put as %s wants it",
		       tag_names[i].key, owner->object->name);
}

void check_tags_at_rest(struct run *run)
{
	const struct secret_thing *secret = store_get_secret(run->store, run->w.secret.id);
	size_t n;
	size_t i;

	if (!secret->readable)
		return;
	for (n = 0; n < NAMES; n++) {
		uint32_t id = run->w.live[n].id;
		const struct object_thing *thing = id ? store_get_object(run->store, id) : NULL;

		if (thing && is_ready(thing->object))
			check_object(run, thing);
	}
	for (i = 0; i < TAGS; i++)
		if (secret->tags[i].put)
			check_owner(run, &secret->tags[i], i);
}
